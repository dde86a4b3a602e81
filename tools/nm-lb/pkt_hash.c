/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symmetric flow hash: see pkt_hash.h.
 *
 * The packet is untrusted. All reading goes through a cursor that knows how much is left and hands
 * out pointers to bytes that are there, or NULL. Parsers take one header each and say what comes
 * next; the loop in lb_pkt_hash() counts them, so that a frame cannot choose how long it takes.
 *
 * Symmetry comes from hashing each endpoint (address and port) for itself and joining the two by
 * operations that do not care for order (sum and exclusive or), instead of sorting them.
 */
#include "pkt_hash.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <netinet/in.h>

#include "nmt_pkt.h"

#define ETHERTYPE_VLAN	     0x8100
#define ETHERTYPE_QINQ	     0x88a8
#define ETHERTYPE_QINQ_OLD   0x9100
#define ETHERTYPE_GRE_BRIDGE 0x6558 /* Ethernet in GRE, RFC 1701 */

#define IP4_MORE_FRAGMENTS   0x2000
#define IP4_OFFSET_MASK	     0x1fff
#define IP6_MORE_FRAGMENTS   0x0001
#define IP6_OFFSET_MASK	     0xfff8

/* First 16 bits of a GRE header, RFC 2784 and 2890. */
#define GRE_CHECKSUM 0x8000
#define GRE_ROUTING  0x4000
#define GRE_KEY	     0x2000
#define GRE_SEQUENCE 0x1000
#define GRE_VERSION  0x0007

/* Protocol numbers that not every libc has. */
#define PROTO_HIP     139
#define PROTO_SHIM6   140
#define PROTO_UDPLITE 136

/* What the next header is. Values below 256 are IP protocol numbers. */
enum {
	NEXT_ETHERNET = 256,
	NEXT_IP4,
	NEXT_IP6,
	NEXT_NONE, /* nothing further to read, or not readable */
};

struct cursor {
	const uint8_t *at;
	uint32_t left;
};

struct flow {
	const uint8_t *src; /* NULL: no IP header yet */
	const uint8_t *dst;
	uint32_t addr_len; /* 4 or 16 */
	uint32_t proto;
	uint16_t src_port; /* 0 without ports */
	uint16_t dst_port;
};

static const uint8_t *
take(struct cursor *c, uint32_t n)
{
	const uint8_t *p = c->at;

	if (n > c->left)
		return NULL;
	c->at += n;
	c->left -= n;
	return p;
}

static int
next_of_ethertype(uint32_t type)
{
	switch (type) {
	case NMT_ETHERTYPE_IPV4:
		return NEXT_IP4;
	case NMT_ETHERTYPE_IPV6:
		return NEXT_IP6;
	case ETHERTYPE_GRE_BRIDGE:
		return NEXT_ETHERNET;
	default:
		return NEXT_NONE;
	}
}

static bool
is_vlan_tag(uint32_t type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_OLD;
}

static int
parse_ethernet(struct cursor *c)
{
	const uint8_t *p = take(c, NMT_ETH_HDR_LEN);
	uint32_t type;

	if (p == NULL)
		return NEXT_NONE;
	type = nmt_get16(p + 2 * NMT_MAC_LEN);
	for (int i = 0; i < LB_MAX_VLAN_TAGS && is_vlan_tag(type); i++) {
		p = take(c, 4);
		if (p == NULL)
			return NEXT_NONE;
		type = nmt_get16(p + 2);
	}
	/* Ethernet's own type for a bridged frame means nothing outside of GRE. */
	return type == ETHERTYPE_GRE_BRIDGE ? NEXT_NONE : next_of_ethertype(type);
}

static int
parse_ip4(struct cursor *c, struct flow *f)
{
	const uint8_t *p = take(c, NMT_IPV4_HDR_LEN);
	uint32_t header_len, total_len;

	if (p == NULL || p[0] >> 4 != 4)
		return NEXT_NONE;
	header_len = (uint32_t)(p[0] & 0xf) * 4;
	if (header_len < NMT_IPV4_HDR_LEN || take(c, header_len - NMT_IPV4_HDR_LEN) == NULL)
		return NEXT_NONE;
	*f = (struct flow){.src = p + 12, .dst = p + 16, .addr_len = 4, .proto = p[9]};
	/* What follows the datagram is Ethernet padding. A length of 0 is what a sender leaves to
	 * hardware that will cut the packet up. */
	total_len = nmt_get16(p + 2);
	if (total_len != 0) {
		if (total_len < header_len)
			return NEXT_NONE;
		if (total_len - header_len < c->left)
			c->left = total_len - header_len;
	}
	if ((nmt_get16(p + 6) & (IP4_MORE_FRAGMENTS | IP4_OFFSET_MASK)) != 0)
		return NEXT_NONE;
	return p[9];
}

static int
parse_ip6(struct cursor *c, struct flow *f)
{
	const uint8_t *p = take(c, NMT_IPV6_HDR_LEN);
	uint32_t payload_len;

	if (p == NULL || p[0] >> 4 != 6)
		return NEXT_NONE;
	*f = (struct flow){.src = p + 8, .dst = p + 24, .addr_len = 16, .proto = p[6]};
	payload_len = nmt_get16(p + 4); /* 0: a jumbogram, or left to hardware */
	if (payload_len != 0 && payload_len < c->left)
		c->left = payload_len;
	return p[6];
}

/* An IPv6 extension header of type @proto; the flow's protocol is what follows the last of them. */
static int
parse_ip6_extension(struct cursor *c, struct flow *f, int proto)
{
	const uint8_t *p = take(c, 8);
	uint32_t len;

	if (p == NULL)
		return NEXT_NONE;
	f->proto = p[0];
	if (proto == IPPROTO_FRAGMENT) {
		if ((nmt_get16(p + 2) & (IP6_OFFSET_MASK | IP6_MORE_FRAGMENTS)) != 0)
			return NEXT_NONE;
		return p[0];
	}
	/* RFC 8200: units of 8 bytes, the first not counted; RFC 4302: of 4 bytes, less two. */
	len = proto == IPPROTO_AH ? ((uint32_t)p[1] + 2) * 4 : ((uint32_t)p[1] + 1) * 8;
	if (len < 8 || take(c, len - 8) == NULL)
		return NEXT_NONE;
	return p[0];
}

static int
parse_gre(struct cursor *c)
{
	const uint8_t *p = take(c, 4);
	uint32_t flags, optional_len = 0;

	if (p == NULL)
		return NEXT_NONE;
	flags = nmt_get16(p);
	if ((flags & (GRE_VERSION | GRE_ROUTING)) != 0)
		return NEXT_NONE;
	for (uint32_t bits = flags & (GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE); bits != 0;
		bits &= bits - 1) /* at most three */
		optional_len += 4;
	if (take(c, optional_len) == NULL)
		return NEXT_NONE;
	return next_of_ethertype(nmt_get16(p + 2));
}

static int
parse_ports(struct cursor *c, struct flow *f)
{
	const uint8_t *p = take(c, 4);

	if (p != NULL) {
		f->src_port = nmt_get16(p);
		f->dst_port = nmt_get16(p + 2);
	}
	return NEXT_NONE;
}

/* Take one header. Return: what comes after it. */
static int
parse_header(struct cursor *c, struct flow *f, int kind)
{
	switch (kind) {
	case NEXT_ETHERNET:
		return parse_ethernet(c);
	case NEXT_IP4:
	case IPPROTO_IPIP:
		return parse_ip4(c, f);
	case NEXT_IP6:
	case IPPROTO_IPV6:
		return parse_ip6(c, f);
	case IPPROTO_GRE:
		return parse_gre(c);
	case IPPROTO_AH:
		return parse_ip6_extension(c, f, kind);
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_FRAGMENT:
	case IPPROTO_MH:
	case PROTO_HIP:
	case PROTO_SHIM6:
		/* In IPv4 these numbers have no defined layout (0 is even "reserved"). */
		return f->addr_len == 16 ? parse_ip6_extension(c, f, kind) : NEXT_NONE;
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case PROTO_UDPLITE:
		return parse_ports(c, f);
	default:
		return NEXT_NONE;
	}
}

/* Finaliser of splitmix64 (Vigna): every input bit reaches every output bit. */
static uint64_t
mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return x;
}

static uint64_t
hash_endpoint(const uint8_t *addr, uint32_t addr_len, uint16_t port)
{
	uint64_t h = UINT64_C(0x9e3779b97f4a7c15) + port;
	uint64_t words[2] = {0, 0};

	memcpy(words, addr, addr_len); /* 4 or 16 */
	h = mix(h ^ le64toh(words[0]));
	return addr_len == 16 ? mix(h + le64toh(words[1])) : h;
}

static uint32_t
hash_flow(const struct flow *f)
{
	uint64_t a = hash_endpoint(f->src, f->addr_len, f->src_port);
	uint64_t b = hash_endpoint(f->dst, f->addr_len, f->dst_port);

	return (uint32_t)(mix((a + b) ^ mix((a ^ b) + f->proto)) >> 32);
}

enum lb_pkt_kind
lb_pkt_hash(const void *pkt, uint32_t len, uint32_t *hash)
{
	struct cursor c = {.at = pkt, .left = len};
	struct flow f = {.src = NULL};
	int next = NEXT_ETHERNET;

	for (int i = 0; i < LB_MAX_HEADERS && next != NEXT_NONE; i++)
		next = parse_header(&c, &f, next);
	if (f.src == NULL) {
		*hash = 0;
		return LB_PKT_OTHER;
	}
	*hash = hash_flow(&f);
	return LB_PKT_IP;
}
