/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-net header that may precede frames on a port (spec 17; VIRTIO 1.2, 5.1.6). Byte order
 * of the machine, as TAP devices and netmap have it.
 */
#ifndef UNM_VALE_VNET_H
#define UNM_VALE_VNET_H

#include <assert.h>
#include <stdbool.h>
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

/*
 * What the receiver behind a port with a header can't take, in nmreq_port_hdr.pad1 and
 * unm_seg_port.vnet_lacks; 0: it takes all. Without CSUM it is taken to lack the others too. Ports
 * without a header lack all of them.
 */
#define UNM_VNET_LACKS_CSUM 0x01u
#define UNM_VNET_LACKS_TSO4 0x02u
#define UNM_VNET_LACKS_TSO6 0x04u
#define UNM_VNET_LACKS_ECN  0x08u /* segments of which only the first may have CWR */
#define UNM_VNET_LACKS_UFO  0x10u
#define UNM_VNET_LACKS_USO4 0x20u
#define UNM_VNET_LACKS_USO6 0x40u
#define UNM_VNET_LACKS_ALL  0x7fu

struct unm_vnet_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;     /* a hint; not trusted */
	uint16_t gso_size;    /* payload bytes of a segment */
	uint16_t csum_start;  /* from the Ethernet header on */
	uint16_t csum_offset; /* of the checksum field, from csum_start */
};

static inline bool
unm_vnet_len_ok(uint32_t len)
{
	return len == 0 || len == UNM_VNET_HDR_BASE || len == UNM_VNET_HDR_MAX;
}

/* Does the header ask for nothing? Then all but its flag DATA_VALID is without meaning. */
static inline bool
unm_vnet_is_plain(const uint8_t *vnet)
{
	return ((vnet[0] & ~UNM_VNET_F_DATA_VALID) | vnet[1]) == 0;
}

static_assert(sizeof(struct unm_vnet_hdr) == UNM_VNET_HDR_BASE, "virtio-net header");

#endif
