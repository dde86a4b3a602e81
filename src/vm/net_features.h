/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of virtio-net that device, protocol and command lines share (VIRTIO 1.2, 5.1.3 and 6).
 * Those of vhost-user's own are in vhost_user/msg.h.
 */
#ifndef UNM_VM_NET_FEATURES_H
#define UNM_VM_NET_FEATURES_H

#include <stdint.h>

#define UNM_F_CSUM		  (UINT64_C(1) << 0)
#define UNM_F_GUEST_CSUM	  (UINT64_C(1) << 1)
#define UNM_F_CTRL_GUEST_OFFLOADS (UINT64_C(1) << 2)
#define UNM_F_MTU		  (UINT64_C(1) << 3)
#define UNM_F_MAC		  (UINT64_C(1) << 5)
#define UNM_F_GUEST_TSO4	  (UINT64_C(1) << 7)
#define UNM_F_GUEST_TSO6	  (UINT64_C(1) << 8)
#define UNM_F_GUEST_ECN		  (UINT64_C(1) << 9)
#define UNM_F_GUEST_UFO		  (UINT64_C(1) << 10)
#define UNM_F_HOST_TSO4		  (UINT64_C(1) << 11)
#define UNM_F_HOST_TSO6		  (UINT64_C(1) << 12)
#define UNM_F_HOST_ECN		  (UINT64_C(1) << 13)
#define UNM_F_HOST_UFO		  (UINT64_C(1) << 14)
#define UNM_F_MRG_RXBUF		  (UINT64_C(1) << 15)
#define UNM_F_STATUS		  (UINT64_C(1) << 16)
#define UNM_F_CTRL_VQ		  (UINT64_C(1) << 17)
#define UNM_F_MQ		  (UINT64_C(1) << 22)
#define UNM_F_CTRL_MAC_ADDR	  (UINT64_C(1) << 23)
#define UNM_F_INDIRECT_DESC	  (UINT64_C(1) << 28)
#define UNM_F_EVENT_IDX		  (UINT64_C(1) << 29)
#define UNM_F_VERSION_1		  (UINT64_C(1) << 32)
#define UNM_F_PACKED		  (UINT64_C(1) << 34)
#define UNM_F_IN_ORDER		  (UINT64_C(1) << 35)
#define UNM_F_GUEST_USO4	  (UINT64_C(1) << 54)
#define UNM_F_GUEST_USO6	  (UINT64_C(1) << 55)
#define UNM_F_HOST_USO		  (UINT64_C(1) << 56)

/* Checksums and segmentation, both directions; some of it is never offered. */
#define UNM_F_OFFLOADS                                                                             \
	(UNM_F_CSUM | UNM_F_GUEST_CSUM | UNM_F_CTRL_GUEST_OFFLOADS | UNM_F_GUEST_TSO4 |            \
		UNM_F_GUEST_TSO6 | UNM_F_GUEST_ECN | UNM_F_GUEST_UFO | UNM_F_HOST_TSO4 |           \
		UNM_F_HOST_TSO6 | UNM_F_HOST_ECN | UNM_F_HOST_UFO | UNM_F_GUEST_USO4 |             \
		UNM_F_GUEST_USO6 | UNM_F_HOST_USO)

/* The least MTU that a device may say (5.1.4.1; RFC 791) */
#define UNM_NET_MIN_MTU 68u

#endif
