/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of flows: see flow_frames.h. */
#include "flow_frames.h"

#include <assert.h>
#include <string.h>

#include "nmt_pkt.h"

struct ff_talk
ff_swapped(struct ff_talk t)
{
	return (struct ff_talk){t.b, t.a, t.b_port, t.a_port};
}

uint8_t *
ff_append(struct ff_frame *f, size_t len)
{
	uint8_t *p = f->bytes + f->len;

	assert(len <= FF_FRAME_MAX - f->len);
	memset(p, 0, len);
	f->len += len;
	return p;
}

void
ff_add_ethernet(struct ff_frame *f, struct ff_talk t, uint16_t type)
{
	uint8_t *p = ff_append(f, NMT_ETH_HDR_LEN);

	p[5] = t.b;
	p[11] = t.a;
	nmt_put16(p + 12, type);
}

void
ff_add_vlan(struct ff_frame *f, uint16_t vid, uint16_t next_type)
{
	uint8_t *p = ff_append(f, 4);

	nmt_put16(p, vid);
	nmt_put16(p + 2, next_type);
}

void
ff_add_ip4(struct ff_frame *f, struct ff_talk t, uint8_t proto, uint16_t payload_len,
	uint16_t fragment)
{
	uint8_t *p = ff_append(f, NMT_IPV4_HDR_LEN);

	p[0] = 0x45;
	nmt_put16(p + 2, (uint16_t)(NMT_IPV4_HDR_LEN + payload_len));
	nmt_put16(p + 6, fragment);
	p[9] = proto;
	nmt_put32(p + 12, 0x0a000000u + t.a);
	nmt_put32(p + 16, 0x0a000000u + t.b);
}

void
ff_add_ip6(struct ff_frame *f, struct ff_talk t, uint8_t proto, uint16_t payload_len)
{
	uint8_t *p = ff_append(f, NMT_IPV6_HDR_LEN);

	p[0] = 0x60;
	nmt_put16(p + 4, payload_len);
	p[6] = proto;
	p[8] = p[24] = 0xfd;
	p[23] = t.a;
	p[39] = t.b;
}

uint8_t *
ff_add_ip6_extension(struct ff_frame *f, uint8_t proto, uint8_t next, uint8_t len)
{
	uint8_t *p = ff_append(f, len);

	p[0] = next;
	p[1] = proto == FF_PROTO_AH ? (uint8_t)(len / 4 - 2) : (uint8_t)(len / 8 - 1);
	return p;
}

void
ff_add_tcp(struct ff_frame *f, struct ff_talk t)
{
	uint8_t *p = ff_append(f, 20);

	nmt_put16(p, t.a_port);
	nmt_put16(p + 2, t.b_port);
}

/* Ways to wrap a TCP segment. */
static void
make_ip4(struct ff_frame *f, struct ff_talk t)
{
	ff_add_ethernet(f, t, 0x0800);
	ff_add_ip4(f, t, FF_PROTO_TCP, 20, 0);
	ff_add_tcp(f, t);
}

static void
make_ip6(struct ff_frame *f, struct ff_talk t)
{
	ff_add_ethernet(f, t, 0x86dd);
	ff_add_ip6(f, t, FF_PROTO_TCP, 20);
	ff_add_tcp(f, t);
}

static void
make_qinq_ip4(struct ff_frame *f, struct ff_talk t)
{
	ff_add_ethernet(f, t, 0x88a8);
	ff_add_vlan(f, 10, 0x8100);
	ff_add_vlan(f, 20, 0x0800);
	ff_add_ip4(f, t, FF_PROTO_TCP, 20, 0);
	ff_add_tcp(f, t);
}

static void
make_vlan_ip6_extensions(struct ff_frame *f, struct ff_talk t)
{
	ff_add_ethernet(f, t, 0x8100);
	ff_add_vlan(f, 1, 0x86dd);
	ff_add_ip6(f, t, 0, 8 + 16 + 24 + 8 + 20);
	ff_add_ip6_extension(f, 0, 60, 8);
	ff_add_ip6_extension(f, 60, FF_PROTO_AH, 16);
	ff_add_ip6_extension(f, FF_PROTO_AH, FF_PROTO_FRAG, 24);
	ff_add_ip6_extension(
		f, FF_PROTO_FRAG, FF_PROTO_TCP, 8); /* whole datagram: offset 0, no more */
	ff_add_tcp(f, t);
}

const struct ff_talk ff_tunnel = {200, 201, 0, 0};

static void
make_ip4_in_ip4(struct ff_frame *f, struct ff_talk t)
{
	ff_add_ethernet(f, t, 0x0800);
	ff_add_ip4(f, t.a < t.b ? ff_tunnel : ff_swapped(ff_tunnel), FF_PROTO_IPIP, 40, 0);
	ff_add_ip4(f, t, FF_PROTO_TCP, 20, 0);
	ff_add_tcp(f, t);
}

static void
make_ip6_in_ip4(struct ff_frame *f, struct ff_talk t)
{
	ff_add_ethernet(f, t, 0x0800);
	ff_add_ip4(f, t.a < t.b ? ff_tunnel : ff_swapped(ff_tunnel), FF_PROTO_IPV6, 60, 0);
	ff_add_ip6(f, t, FF_PROTO_TCP, 20);
	ff_add_tcp(f, t);
}

static void
make_ip4_in_ip6(struct ff_frame *f, struct ff_talk t)
{
	ff_add_ethernet(f, t, 0x86dd);
	ff_add_ip6(f, t.a < t.b ? ff_tunnel : ff_swapped(ff_tunnel), FF_PROTO_IPIP, 40);
	ff_add_ip4(f, t, FF_PROTO_TCP, 20, 0);
	ff_add_tcp(f, t);
}

static void
make_gre_ip4(struct ff_frame *f, struct ff_talk t)
{
	uint8_t *p;

	ff_add_ethernet(f, t, 0x0800);
	ff_add_ip4(f, t.a < t.b ? ff_tunnel : ff_swapped(ff_tunnel), FF_PROTO_GRE, 16 + 40, 0);
	p = ff_append(f, 16);
	nmt_put16(p, 0xb000); /* checksum, key and sequence number */
	nmt_put16(p + 2, 0x0800);
	nmt_put32(p + 12, t.a); /* sequence number: differs, must not matter */
	ff_add_ip4(f, t, FF_PROTO_TCP, 20, 0);
	ff_add_tcp(f, t);
}

static void
make_gre_ethernet(struct ff_frame *f, struct ff_talk t)
{
	uint8_t *p;

	ff_add_ethernet(f, t, 0x86dd);
	ff_add_ip6(f, t.a < t.b ? ff_tunnel : ff_swapped(ff_tunnel), FF_PROTO_GRE, 4 + 14 + 40);
	p = ff_append(f, 4);
	nmt_put16(p + 2, 0x6558);
	make_ip4(f, t);
}

const struct ff_shape ff_shapes[FF_N_SHAPES] = {
	[FF_IP4] = {"ip4", make_ip4, 34},
	[FF_IP6] = {"ip6", make_ip6, 54},
	[FF_QINQ_IP4] = {"qinq-ip4", make_qinq_ip4, 42},
	[FF_VLAN_IP6_EXTENSIONS] = {"vlan-ip6-extensions", make_vlan_ip6_extensions, 58},
	[FF_IP4_IN_IP4] = {"ip4-in-ip4", make_ip4_in_ip4, 34},
	[FF_IP6_IN_IP4] = {"ip6-in-ip4", make_ip6_in_ip4, 34},
	[FF_IP4_IN_IP6] = {"ip4-in-ip6", make_ip4_in_ip6, 54},
	[FF_GRE_IP4] = {"gre-ip4", make_gre_ip4, 34},
	[FF_GRE_ETHERNET] = {"gre-ethernet", make_gre_ethernet, 54},
};
