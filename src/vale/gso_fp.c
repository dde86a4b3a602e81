/* SPDX-License-Identifier: BSD-2-Clause */
/* See gso_fp.h. */
#include "vale/gso_fp.h"

#include "vale/bytes.h"

#define IPV6_LEN     40u
#define FRAG_LEN     8u /* IPv6 fragment header */
#define EXT_FRAGMENT 44
#define IP_MF	     0x2000
#define IP6_MF	     1

#define TCP_SEQ	     4
#define TCP_FLAGS    13
#define TCP_FIN	     0x01
#define TCP_PSH	     0x08
#define TCP_CWR	     0x80

/*
 * Put an IPv6 fragment header between the headers and the datagram; what differs between fragments
 * comes later.
 */
static void
add_fragment_header(struct unm_gso *g, uint8_t *frame)
{
	uint8_t *ext = frame + g->head_len;

	ext[0] = frame[g->o->next_hdr];
	ext[1] = 0;
	unm_put_be32(ext + 4, g->id);
	frame[g->o->next_hdr] = EXT_FRAGMENT;
	g->head_len += FRAG_LEN;
}

/* Zero what differs between the pieces, and sum the rest. */
static void
sum_headers(struct unm_gso *g, uint8_t *frame)
{
	const struct unm_offload *o = g->o;
	const bool is_udp = o->gso_type == UNM_VNET_GSO_UDP_L4;
	uint8_t *ip = frame + o->l3, *l4 = frame + o->l4;

	if (!o->is_v6) {
		memset(ip + 2, 0, g->is_fragments ? 6 : 4); /* length, identification, offset */
		unm_put_raw16(ip + 10, 0);
		g->ip_sum = unm_csum_bytes(ip, o->l4 - o->l3);
	}
	if (o->gso_type == UNM_VNET_GSO_UDP)
		return;
	g->pseudo = o->is_v6 ? unm_csum_pseudo6(ip, is_udp ? IPPROTO_UDP : IPPROTO_TCP)
			     : unm_csum_pseudo4(ip, is_udp ? IPPROTO_UDP : IPPROTO_TCP);
	if (is_udp) {
		memset(l4 + 4, 0, 4); /* length, checksum */
	} else {
		g->seq = unm_get_be32(l4 + TCP_SEQ);
		g->tcp_flags = l4[TCP_FLAGS];
		unm_put_be32(l4 + TCP_SEQ, 0);
		l4[TCP_FLAGS] = 0;
		unm_put_raw16(l4 + UNM_TCP_CSUM_OFFSET, 0);
	}
	g->l4_sum = unm_csum_bytes(l4, o->head_len - o->l4);
}

bool
unm_gso_plan(struct unm_gso *g, struct unm_offload *o, uint32_t vnet_len, uint32_t max_frame,
	uint32_t lacks, uint32_t id)
{
	uint8_t *frame = o->head + UNM_VNET_HDR_MAX;
	const bool is_udp = o->gso_type == UNM_VNET_GSO_UDP_L4;
	const bool is_datagram = o->gso_type == UNM_VNET_GSO_UDP;
	const uint32_t head_len = o->head_len + (is_datagram && o->is_v6 ? FRAG_LEN : 0);
	const uint32_t limit = max_frame + o->tags;

	if (limit <= head_len)
		return false;
	g->o = o;
	g->vnet_len = vnet_len;
	g->is_partial = !(lacks & UNM_VNET_LACKS_CSUM) && !is_datagram;
	g->head_len = o->head_len;
	g->payload = o->len - o->head_len;
	g->size = o->vnet.gso_size;
	if (!is_udp && g->size > limit - head_len)
		g->size = limit - head_len;
	if (is_datagram)
		g->size &= ~7u;
	if (g->size == 0)
		return false;
	g->n = g->payload > 0 ? (g->payload + g->size - 1) / g->size : 1;
	g->id = o->is_v6 ? id : unm_get_be16(frame + o->l3 + 4);
	g->is_fragments = is_datagram && g->n > 1;
	if (g->is_fragments && o->is_v6)
		add_fragment_header(g, frame);
	sum_headers(g, frame);
	return true;
}

static void
write_vnet(const struct unm_gso *g)
{
	struct unm_vnet_hdr h = {0};

	if (g->is_partial) {
		h.flags = UNM_VNET_F_NEEDS_CSUM;
		h.csum_start = (uint16_t)g->o->l4;
		h.csum_offset = g->o->gso_type == UNM_VNET_GSO_UDP_L4 ? UNM_UDP_CSUM_OFFSET
								      : UNM_TCP_CSUM_OFFSET;
	}
	memset(g->o->head, 0, UNM_VNET_HDR_MAX);
	if (g->vnet_len > 0)
		memcpy(g->o->head + UNM_VNET_HDR_MAX - g->vnet_len, &h, sizeof(h));
}

/* Store 16 bits. Return: what they add to a sum. */
static uint64_t
put_summed(uint8_t *p, uint32_t v)
{
	unm_put_be16(p, v);
	return htons((uint16_t)v);
}

/* The IP header of piece @i, whose frame has @len bytes. */
static void
write_ip(const struct unm_gso *g, uint32_t i, uint32_t len)
{
	const struct unm_offload *o = g->o;
	const bool is_last = i + 1 == g->n;
	uint8_t *frame = g->o->head + UNM_VNET_HDR_MAX, *ip = frame + o->l3;
	const uint32_t ofs = i * g->size; /* multiple of 8 where it is used */
	uint64_t sum;

	if (o->is_v6) {
		unm_put_be16(ip + 4, len - o->l3 - IPV6_LEN);
		if (g->is_fragments)
			unm_put_be16(
				frame + g->head_len - FRAG_LEN + 2, ofs | (is_last ? 0 : IP6_MF));
		return;
	}
	sum = g->ip_sum + put_summed(ip + 2, len - o->l3) +
	      put_summed(ip + 4, g->is_fragments ? g->id : g->id + i);
	if (g->is_fragments)
		sum += put_summed(ip + 6, ofs / 8 | (is_last ? 0 : IP_MF));
	unm_put_raw16(ip + 10, (uint16_t)~unm_csum_fold(sum));
}

/* The transport header in front of @len bytes of payload. */
static void
write_transport(const struct unm_gso *g, uint32_t i, uint32_t len, uint64_t sum)
{
	const bool is_udp = g->o->gso_type == UNM_VNET_GSO_UDP_L4;
	const uint32_t hdr_len = g->o->head_len - g->o->l4;
	uint8_t *l4 = g->o->head + UNM_VNET_HDR_MAX + g->o->l4;
	uint8_t *field = l4 + (is_udp ? UNM_UDP_CSUM_OFFSET : UNM_TCP_CSUM_OFFSET);
	const uint64_t pseudo = g->pseudo + htons((uint16_t)(hdr_len + len));
	uint16_t check;

	sum += pseudo + g->l4_sum;
	if (is_udp) {
		sum += put_summed(l4 + 4, hdr_len + len);
	} else {
		const uint32_t seq = g->seq + i * g->size;
		uint8_t flags = g->tcp_flags;

		if (i + 1 < g->n)
			flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		if (i > 0)
			flags &= (uint8_t)~TCP_CWR;
		sum += put_summed(l4 + TCP_SEQ, seq >> 16) + put_summed(l4 + TCP_SEQ + 2, seq);
		l4[TCP_FLAGS] = flags;
		sum += htons(flags); /* the low byte of its word */
	}
	check = g->is_partial ? unm_csum_fold(pseudo) : (uint16_t)~unm_csum_fold(sum);
	if (is_udp && check == 0 && !g->is_partial)
		check = UINT16_MAX; /* zero would mean that there is none */
	unm_put_raw16(field, check);
}

void
unm_gso_header(struct unm_gso *g, uint32_t i, uint32_t len, uint64_t sum)
{
	write_vnet(g);
	write_ip(g, i, g->head_len + len);
	if (g->o->gso_type != UNM_VNET_GSO_UDP)
		write_transport(g, i, len, sum);
}
