/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See offload_fp.h. Offsets only grow while something is left behind them, so that lengths are
 * compared by subtraction alone.
 */
#include "vale/offload_fp.h"

#include "vale/bytes.h"

#define ETH_LEN		14u
#define ETH_TYPE_OFS	12u
#define VLAN_LEN	4u
#define MAX_VLANS	2
#define TYPE_VLAN	0x8100
#define TYPE_QINQ	0x88a8
#define TYPE_IPV4	0x0800
#define TYPE_IPV6	0x86dd

#define IPV4_MIN	20u
#define IPV6_LEN	40u
#define IP_MAX		65535u /* IPv4 packet; IPv6 payload */
#define MAX_EXTENSIONS	8      /* more than any sender has, few enough to walk for each frame */
#define EXT_HOP_BY_HOP	0
#define EXT_ROUTING	43
#define EXT_DESTINATION 60

#define PROTO_TCP	6
#define PROTO_UDP	17
#define TCP_MIN		20u
#define UDP_LEN		8u

/* The frame's copied bytes. */
struct window {
	const uint8_t *p;
	uint32_t len;
};

static bool
has(const struct window *w, uint32_t ofs, uint32_t len)
{
	return ofs <= w->len && w->len - ofs >= len;
}

/* Pass over VLAN tags. Return: the EtherType behind them, 0 if the frame is cut off. */
static uint16_t
parse_ethernet(struct unm_offload *o, const struct window *w)
{
	uint16_t type;
	int i;

	if (!has(w, 0, ETH_LEN))
		return 0;
	type = unm_get_be16(w->p + ETH_TYPE_OFS);
	o->l3 = ETH_LEN;
	for (i = 0; i < MAX_VLANS && (type == TYPE_VLAN || type == TYPE_QINQ); i++) {
		if (!has(w, o->l3, VLAN_LEN))
			return 0;
		type = unm_get_be16(w->p + o->l3 + 2);
		o->l3 += VLAN_LEN;
	}
	o->tags = o->l3 - ETH_LEN;
	return type;
}

/* Return: the protocol behind an IPv4 header that may be repeated, or -1. A fragment may not. */
static int
parse_ipv4(struct unm_offload *o, const struct window *w)
{
	const uint8_t *ip = w->p + o->l3;
	uint32_t ihl;

	if (!has(w, o->l3, IPV4_MIN) || o->len - o->l3 > IP_MAX)
		return -1;
	ihl = (ip[0] & 15u) * 4;
	if (ip[0] >> 4 != 4 || ihl < IPV4_MIN || !has(w, o->l3, ihl) ||
		((ip[6] & 0x3f) | ip[7]) != 0)
		return -1;
	o->l4 = o->l3 + ihl;
	return ip[9];
}

/* Return: the protocol behind an IPv6 header and extension headers that may be repeated, or -1. */
static int
parse_ipv6(struct unm_offload *o, const struct window *w)
{
	const uint8_t *ip = w->p + o->l3;
	uint32_t at = o->l3 + IPV6_LEN;
	uint8_t next;
	int i;

	if (!has(w, o->l3, IPV6_LEN) || ip[0] >> 4 != 6 || o->len - at > IP_MAX)
		return -1;
	next = ip[6];
	o->next_hdr = o->l3 + 6;
	for (i = 0; i < MAX_EXTENSIONS &&
		    (next == EXT_HOP_BY_HOP || next == EXT_ROUTING || next == EXT_DESTINATION);
		i++) {
		const uint8_t *ext = w->p + at;
		uint32_t len;

		if (!has(w, at, 8))
			return -1;
		len = 8 + ext[1] * 8u;
		if (!has(w, at, len))
			return -1;
		if (next == EXT_ROUTING && ext[3] != 0)
			return -1; /* the checksum covers an address that is not in the IP header */
		next = ext[0];
		o->next_hdr = at;
		at += len;
	}
	o->l4 = at;
	return next;
}

/* The transport header. Return: false if it is not one of @proto's, or not whole. */
static bool
parse_transport(struct unm_offload *o, const struct window *w, int proto)
{
	uint32_t len = UDP_LEN;

	if (!has(w, o->l4, len))
		return false;
	if (proto == PROTO_TCP) {
		if (!has(w, o->l4, TCP_MIN))
			return false;
		len = (w->p[o->l4 + 12] >> 4) * 4u;
		if (len < TCP_MIN || !has(w, o->l4, len))
			return false;
	}
	o->head_len = o->gso_type == UNM_VNET_GSO_UDP ? o->l4 : o->l4 + len;
	return true;
}

/*
 * Is the type one that we know? Sets what it needs. Return: the protocol that must be in the frame,
 * or -1.
 */
static int
check_type(struct unm_offload *o)
{
	const bool ecn = o->vnet.gso_type & UNM_VNET_GSO_ECN;

	o->gso_type = o->vnet.gso_type & (uint8_t)~UNM_VNET_GSO_ECN;
	o->needs |= UNM_VNET_LACKS_CSUM | (ecn ? UNM_VNET_LACKS_ECN : 0);
	switch (o->gso_type) {
	case UNM_VNET_GSO_TCPV4:
		o->needs |= UNM_VNET_LACKS_TSO4;
		return PROTO_TCP;
	case UNM_VNET_GSO_TCPV6:
		o->needs |= UNM_VNET_LACKS_TSO6;
		return PROTO_TCP;
	case UNM_VNET_GSO_UDP:
		o->needs |= UNM_VNET_LACKS_UFO;
		return ecn ? -1 : PROTO_UDP;
	case UNM_VNET_GSO_UDP_L4:
		return ecn ? -1 : PROTO_UDP; /* what it needs depends on the frame */
	default:
		return -1;
	}
}

/* A frame to be segmented: do its headers agree with its type? */
static bool
parse_gso(struct unm_offload *o, const struct window *w)
{
	const int proto = check_type(o);
	const uint16_t type = parse_ethernet(o, w);

	if (proto < 0 || o->vnet.gso_size == 0 || (type != TYPE_IPV4 && type != TYPE_IPV6))
		return false;
	o->is_v6 = type == TYPE_IPV6;
	if (o->gso_type == (o->is_v6 ? UNM_VNET_GSO_TCPV4 : UNM_VNET_GSO_TCPV6))
		return false;
	if (o->gso_type == UNM_VNET_GSO_UDP_L4)
		o->needs |= o->is_v6 ? UNM_VNET_LACKS_USO6 : UNM_VNET_LACKS_USO4;
	if ((o->is_v6 ? parse_ipv6(o, w) : parse_ipv4(o, w)) != proto ||
		!parse_transport(o, w, proto))
		return false;
	return !(o->vnet.flags & UNM_VNET_F_NEEDS_CSUM) ||
	       (o->vnet.csum_start == o->l4 &&
		       o->vnet.csum_offset ==
			       (proto == PROTO_TCP ? UNM_TCP_CSUM_OFFSET : UNM_UDP_CSUM_OFFSET));
}

/* Does the checksum's field lie in the frame, behind its Ethernet header? */
static bool
csum_ok(const struct unm_offload *o)
{
	const uint32_t start = o->vnet.csum_start;

	return start >= ETH_LEN && start <= o->len && o->len - start >= 2 &&
	       o->vnet.csum_offset <= o->len - start - 2;
}

int
unm_offload_locate(struct unm_offload_place *at, const uint8_t *head, uint32_t have, uint32_t len)
{
	const struct window w = {.p = head, .len = have};
	struct unm_offload o;
	uint16_t type;
	int proto;

	o.len = len;
	type = parse_ethernet(&o, &w);
	if (type != TYPE_IPV4 && type != TYPE_IPV6)
		return -1;
	proto = type == TYPE_IPV6 ? parse_ipv6(&o, &w) : parse_ipv4(&o, &w);
	*at = (struct unm_offload_place){.l3 = o.l3, .l4 = o.l4, .is_v6 = type == TYPE_IPV6};
	return proto;
}

bool
unm_offload_parse(struct unm_offload *o, const uint8_t *vnet, struct unm_reader *r, uint32_t len)
{
	bool ok = true;

	memcpy(&o->vnet, vnet, sizeof(o->vnet));
	memcpy(o->head, vnet, UNM_VNET_HDR_MAX);
	o->len = len;
	o->needs = 0;
	o->head_len = 0;
	o->gso_type = UNM_VNET_GSO_NONE;
	if (o->vnet.flags & ~(UNM_VNET_F_NEEDS_CSUM | UNM_VNET_F_DATA_VALID))
		return false;
	if (o->vnet.flags & UNM_VNET_F_NEEDS_CSUM) {
		o->needs |= UNM_VNET_LACKS_CSUM;
		ok = csum_ok(o);
	}
	if (o->vnet.gso_type != UNM_VNET_GSO_NONE && ok) {
		struct unm_reader rest = *r;
		struct window w = {.p = o->head + UNM_VNET_HDR_MAX};

		w.len = len < UNM_HEAD_MAX ? len : UNM_HEAD_MAX;
		unm_reader_take(&rest, o->head + UNM_VNET_HDR_MAX, w.len);
		ok = parse_gso(o, &w);
		if (ok)
			unm_reader_take(r, NULL, o->head_len);
	}
	if (o->vnet.hdr_len > len)
		o->vnet.hdr_len = (uint16_t)o->head_len;
	return ok;
}
