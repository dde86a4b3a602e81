/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a hostile guest may write into a virtio-net header, and what may go on from there to another
 * guest's kernel (VIRTIO 1.2, 5.1.6.2).
 *
 * @h is a private copy, in the machine's byte order as ports have it; @eth is a private copy of the
 * frame's beginning, @n bytes of it, where what was checked can't be changed any more; @len is the
 * length of the frame.
 */
#ifndef UNM_VM_NET_HDR_H
#define UNM_VM_NET_HDR_H

#include <stdbool.h>
#include <stdint.h>

#include "vale/vnet.h"

static inline uint16_t
net_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* EtherType behind at most two VLAN tags; 0 if it is not within the @n bytes. */
static inline uint16_t
net_ethertype(const uint8_t *eth, uint32_t n)
{
	uint32_t ofs = 12;
	unsigned int tags;

	for (tags = 0; tags < 3 && ofs + 2 <= n; tags++, ofs += 4) {
		const uint16_t type = net_be16(eth + ofs);

		if (type != 0x8100 && type != 0x88a8)
			return type;
	}
	return 0;
}

/* Does the segmentation that is asked for fit the frame's EtherType? */
static inline bool
net_gso_ok(const struct unm_vnet_hdr *h, uint16_t ethertype, uint32_t len)
{
	const bool v4 = ethertype == 0x0800, v6 = ethertype == 0x86dd;

	/* The header of what is segmented lies before csum_start + 8 at least. */
	if (h->gso_size == 0 || h->csum_start + 8u > len)
		return false;
	switch (h->gso_type & ~UNM_VNET_GSO_ECN) {
	case UNM_VNET_GSO_TCPV4:
		return v4;
	case UNM_VNET_GSO_TCPV6:
		return v6;
	case UNM_VNET_GSO_UDP_L4:
		return (v4 || v6) && !(h->gso_type & UNM_VNET_GSO_ECN);
	default:
		return false;
	}
}

/* What a receiver must not lack to be given the frame as it is: UNM_VNET_LACKS_*. */
static inline uint32_t
net_needs(const struct unm_vnet_hdr *h, uint16_t ethertype)
{
	uint32_t needs = h->flags & UNM_VNET_F_NEEDS_CSUM ? UNM_VNET_LACKS_CSUM : 0;

	if (h->gso_type == UNM_VNET_GSO_NONE)
		return needs;
	needs |= UNM_VNET_LACKS_CSUM | (h->gso_type & UNM_VNET_GSO_ECN ? UNM_VNET_LACKS_ECN : 0);
	switch (h->gso_type & ~UNM_VNET_GSO_ECN) {
	case UNM_VNET_GSO_TCPV4:
		return needs | UNM_VNET_LACKS_TSO4;
	case UNM_VNET_GSO_TCPV6:
		return needs | UNM_VNET_LACKS_TSO6;
	case UNM_VNET_GSO_UDP_L4:
		return needs | (ethertype == 0x86dd ? UNM_VNET_LACKS_USO6 : UNM_VNET_LACKS_USO4);
	default:
		return needs | UNM_VNET_LACKS_UFO; /* or unknown: nobody takes it */
	}
}

/* Make the header of a guest's frame fit to travel. Return: false if it makes no sense. */
static inline bool
net_hdr_check(struct unm_vnet_hdr *h, const uint8_t *eth, uint32_t n, uint32_t len)
{
	h->flags &= UNM_VNET_F_NEEDS_CSUM; /* the others are for devices to set */
	if (h->flags == 0) {
		h->csum_start = h->csum_offset = 0;
	} else if (h->csum_start > len || len - h->csum_start < 2u ||
		   h->csum_offset > len - h->csum_start - 2u) {
		return false;
	}
	if (h->gso_type == UNM_VNET_GSO_NONE) {
		h->gso_size = h->hdr_len = 0;
		return true;
	}
	if (h->flags == 0)
		return false; /* 5.1.6.2.1: a frame to be segmented needs a checksum, too */
	if (h->hdr_len > len)
		h->hdr_len = (uint16_t)len;
	return net_gso_ok(h, net_ethertype(eth, n), len);
}

#endif
