/* SPDX-License-Identifier: BSD-2-Clause */
/* See gro_fp.h. */
#include "vale/gro_fp.h"

#include "vale/bytes.h"

#define ETH_LEN	   14u
#define TYPE_IPV4  0x0800
#define TYPE_IPV6  0x86dd
#define TYPE_VLAN  0x8100
#define TYPE_QINQ  0x88a8
#define MIN_HEADER 42u /* Ethernet, IPv4, UDP */

#define IPV4_LEN   20u
#define IPV4_ID	   4
#define IPV6_LEN   40u
#define IP_MAX	   65535u

#define PROTO_TCP  6
#define PROTO_UDP  17
#define TCP_LEN	   20u
#define TCP_SEQ	   4
#define TCP_FLAGS  13
#define TCP_FIN	   0x01
#define TCP_PSH	   0x08
#define TCP_ACK	   0x10

/* As unm_offload_parse() wants it: a type that the frame may have, judged by its outer bytes. */
static uint8_t
guess_type(const uint8_t *frame, uint32_t len, uint8_t *proto)
{
	uint16_t type = unm_get_be16(frame + 12);
	uint32_t l3 = ETH_LEN;

	if (type == TYPE_VLAN || type == TYPE_QINQ) {
		type = unm_get_be16(frame + 16);
		l3 += 4;
	}
	if (type == TYPE_IPV4)
		*proto = frame[l3 + 9];
	else if (type == TYPE_IPV6 && len >= l3 + IPV6_LEN)
		*proto = frame[l3 + 6];
	else
		return UNM_VNET_GSO_NONE;
	if (*proto == PROTO_TCP)
		return type == TYPE_IPV4 ? UNM_VNET_GSO_TCPV4 : UNM_VNET_GSO_TCPV6;
	return *proto == PROTO_UDP ? UNM_VNET_GSO_UDP_L4 : UNM_VNET_GSO_NONE;
}

bool
unm_segment_is_tcp(const uint8_t *frame, uint32_t len)
{
	uint8_t proto;

	return len >= MIN_HEADER && guess_type(frame, len, &proto) != UNM_VNET_GSO_NONE &&
	       proto == PROTO_TCP;
}

static uint8_t *
headers(struct unm_segment *s)
{
	return s->o.head + UNM_VNET_HDR_MAX;
}

static uint32_t
field_offset(const struct unm_segment *s)
{
	return s->proto == PROTO_TCP ? UNM_TCP_CSUM_OFFSET : UNM_UDP_CSUM_OFFSET;
}

/* Sum of the pseudo header over @len bytes of transport header and payload. */
static uint64_t
pseudo(const struct unm_segment *s, uint32_t len)
{
	const uint8_t *ip = s->o.head + UNM_VNET_HDR_MAX + s->o.l3;

	return (s->o.is_v6 ? unm_csum_pseudo6(ip, s->proto) : unm_csum_pseudo4(ip, s->proto)) +
	       htons((uint16_t)len);
}

void
unm_segment_parse(struct unm_segment *s, const uint8_t *frame, uint32_t len)
{
	const struct unm_frag frag = {.data = frame, .len = len};
	struct unm_reader r = {.frag = &frag};
	struct unm_vnet_hdr vnet = {.gso_size = 1};
	uint8_t raw[UNM_VNET_HDR_MAX] = {0}, proto = 0;
	const uint8_t *ip;
	uint32_t end;
	uint16_t field;

	s->frame = frame;
	s->len = s->whole = len;
	s->proto = 0;
	s->is_partial = false;
	if (len < MIN_HEADER)
		return;
	vnet.gso_type = guess_type(frame, len, &proto);
	if (vnet.gso_type == UNM_VNET_GSO_NONE)
		return;
	memcpy(raw, &vnet, sizeof(vnet));
	if (!unm_offload_parse(&s->o, raw, &r, len))
		return;
	/* What the IP header says is in the frame, which may be padded. */
	ip = headers(s) + s->o.l3;
	end = s->o.l3 + (s->o.is_v6 ? IPV6_LEN + unm_get_be16(ip + 4) : unm_get_be16(ip + 2));
	if (end < s->o.head_len || end > len)
		return;
	s->len = end;
	s->proto = proto;
	memcpy(&field, headers(s) + s->o.l4 + field_offset(s), sizeof(field));
	s->is_partial = field != 0 && field == unm_csum_fold(pseudo(s, end - s->o.l4));
}

void
unm_segment_vnet(const struct unm_segment *s, uint8_t *vnet)
{
	const struct unm_vnet_hdr hdr = {
		.flags = UNM_VNET_F_NEEDS_CSUM,
		.csum_start = (uint16_t)s->o.l4,
		.csum_offset = (uint16_t)field_offset(s),
	};

	memset(vnet, 0, UNM_VNET_HDR_MAX);
	if (s->is_partial)
		memcpy(vnet, &hdr, sizeof(hdr));
}

/* Is the checksum right, or left to be completed? */
static bool
is_sound(const struct unm_segment *s)
{
	const uint32_t l4 = s->o.l4, len = s->len - l4;
	const uint8_t *head = s->o.head + UNM_VNET_HDR_MAX;
	struct unm_csum c = {0};

	if (!s->o.is_v6 && unm_csum_fold(unm_csum_bytes(head + s->o.l3, l4 - s->o.l3)) != 0xffff)
		return false;
	if (s->is_partial)
		return true;
	unm_csum_add(&c, unm_csum_bytes(head + l4, s->o.head_len - l4), s->o.head_len - l4);
	unm_csum_add(&c, unm_csum_bytes(s->frame + s->o.head_len, s->len - s->o.head_len),
		s->len - s->o.head_len);
	return unm_csum_fold(c.sum + pseudo(s, len)) == 0xffff;
}

void
unm_gro_begin(struct unm_gro *g, const struct unm_segment *s)
{
	const uint8_t *tcp = s->o.head + UNM_VNET_HDR_MAX + s->o.l4;

	g->first = *s;
	g->n = 1;
	g->is_checked = false;
	g->is_closed = true;
	if (s->proto != PROTO_TCP || s->o.l4 - s->o.l3 != (s->o.is_v6 ? IPV6_LEN : IPV4_LEN) ||
		tcp[TCP_FLAGS] != TCP_ACK || s->len == s->o.head_len)
		return;
	g->size = g->payload = s->len - s->o.head_len;
	g->next_seq = unm_get_be32(tcp + TCP_SEQ) + g->size;
	g->is_closed = false;
}

/* Are two headers alike, but for what differs between segments? */
static bool
same_headers(const struct unm_segment *a, const struct unm_segment *b)
{
	const uint8_t *x = a->o.head + UNM_VNET_HDR_MAX, *y = b->o.head + UNM_VNET_HDR_MAX;
	const uint32_t l3 = a->o.l3, l4 = a->o.l4;

	if (b->o.l3 != l3 || b->o.l4 != l4 || b->o.head_len != a->o.head_len ||
		memcmp(x, y, l3) != 0)
		return false;
	if (a->o.is_v6 ? memcmp(x + l3, y + l3, 4) != 0 || memcmp(x + l3 + 6, y + l3 + 6, 34) != 0
		       : memcmp(x + l3, y + l3, 2) != 0 || memcmp(x + l3 + 6, y + l3 + 6, 4) != 0 ||
				 memcmp(x + l3 + 12, y + l3 + 12, 8) != 0)
		return false;
	/* ports; acknowledgement, header length; window; urgent pointer, options */
	return memcmp(x + l4, y + l4, 4) == 0 && memcmp(x + l4 + 8, y + l4 + 8, 5) == 0 &&
	       memcmp(x + l4 + 14, y + l4 + 14, 2) == 0 &&
	       memcmp(x + l4 + 18, y + l4 + 18, a->o.head_len - l4 - 18) == 0;
}

static uint16_t
ip_id(const struct unm_segment *s)
{
	return unm_get_be16(s->o.head + UNM_VNET_HDR_MAX + s->o.l3 + IPV4_ID);
}

bool
unm_gro_add(struct unm_gro *g, const struct unm_segment *s)
{
	const uint8_t *tcp = s->o.head + UNM_VNET_HDR_MAX + s->o.l4;
	const uint32_t len = s->len - s->o.head_len;
	uint8_t flags;

	if (g->is_closed || s->proto != PROTO_TCP || len == 0 || len > g->size ||
		g->n >= UNM_GRO_SEGS || g->payload + len > IP_MAX - (s->o.head_len - s->o.l3))
		return false;
	if (g->keeps_ids && !s->o.is_v6 && ip_id(s) != (uint16_t)(ip_id(&g->first) + g->n))
		return false;
	flags = tcp[TCP_FLAGS];
	if ((flags & ~(TCP_PSH | TCP_FIN)) != TCP_ACK ||
		unm_get_be32(tcp + TCP_SEQ) != g->next_seq || !same_headers(&g->first, s))
		return false;
	if (!g->is_checked) {
		g->is_checked = is_sound(&g->first);
		g->is_closed = !g->is_checked;
	}
	if (!g->is_checked || !is_sound(s))
		return false;
	headers(&g->first)[g->first.o.l4 + TCP_FLAGS] = flags;
	g->is_closed = flags != TCP_ACK || len < g->size;
	g->n++;
	g->payload += len;
	g->next_seq += len;
	return true;
}

void
unm_gro_finish(struct unm_gro *g)
{
	struct unm_offload *o = &g->first.o;
	uint8_t *head = headers(&g->first), *ip = head + o->l3;
	const uint32_t l4_len = o->head_len - o->l4 + g->payload;
	const struct unm_vnet_hdr hdr = {
		.flags = UNM_VNET_F_NEEDS_CSUM,
		.gso_type = o->is_v6 ? UNM_VNET_GSO_TCPV6 : UNM_VNET_GSO_TCPV4,
		.hdr_len = (uint16_t)o->head_len,
		.gso_size = (uint16_t)g->size,
		.csum_start = (uint16_t)o->l4,
		.csum_offset = UNM_TCP_CSUM_OFFSET,
	};

	memset(o->head, 0, UNM_VNET_HDR_MAX);
	memcpy(o->head, &hdr, sizeof(hdr));
	if (o->is_v6) {
		unm_put_be16(ip + 4, l4_len);
	} else {
		unm_put_be16(ip + 2, IPV4_LEN + l4_len);
		unm_put_raw16(ip + 10, 0);
		unm_put_raw16(ip + 10, (uint16_t)~unm_csum_fold(unm_csum_bytes(ip, IPV4_LEN)));
	}
	unm_put_raw16(head + o->l4 + UNM_TCP_CSUM_OFFSET, unm_csum_fold(pseudo(&g->first, l4_len)));
}
