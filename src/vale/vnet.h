/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtio-net header that may precede frames on a port (spec 17). Byte order of the machine. */
#ifndef UNM_VALE_VNET_H
#define UNM_VALE_VNET_H

#define UNM_VNET_HDR_BASE   10 /* flags, gso_type, hdr_len, gso_size, csum_start, csum_offset */
#define UNM_VNET_HDR_MAX    12 /* and num_buffers */
#define UNM_VNET_NEEDS_CSUM 1  /* bit of flags, byte 0 */

#endif
