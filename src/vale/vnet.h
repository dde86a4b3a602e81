/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-net header that may precede frames on a port (spec 17; VIRTIO 1.2, 5.1.6). Byte order of the machine, as TAP devices and
 * netmap have it.
 */
#ifndef UNM_VALE_VNET_H
#define UNM_VALE_VNET_H

#include <assert.h>
#include <stdint.h>

#define UNM_VNET_HDR_BASE     10 /* struct unm_vnet_hdr */
#define UNM_VNET_HDR_MAX      12 /* and num_buffers */

#define UNM_VNET_F_NEEDS_CSUM 1
#define UNM_VNET_F_DATA_VALID 2
#define UNM_VNET_F_RSC_INFO   4

#define UNM_VNET_GSO_NONE     0
#define UNM_VNET_GSO_TCPV4    1
#define UNM_VNET_GSO_UDP      3 /* IP fragmentation of one datagram */
#define UNM_VNET_GSO_TCPV6    4
#define UNM_VNET_GSO_UDP_L4   5 /* a train of datagrams */
#define UNM_VNET_GSO_ECN      0x80

struct unm_vnet_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;     /* a hint; not trusted */
	uint16_t gso_size;    /* payload bytes of a segment */
	uint16_t csum_start;  /* from the Ethernet header on */
	uint16_t csum_offset; /* of the checksum field, from csum_start */
};

static_assert(sizeof(struct unm_vnet_hdr) == UNM_VNET_HDR_BASE, "virtio-net header");

#endif
