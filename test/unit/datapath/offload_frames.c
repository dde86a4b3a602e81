/* SPDX-License-Identifier: BSD-2-Clause */
/* See offload_frames.h: making frames. What is expected of them is in offload_expect.c. */
#include "offload_frames.h"

#include <string.h>

#include "traffic.h"
#include "vale/vnet.h"

#define KERNEL_TRAIN	127 /* datagrams, and one that is not full */
#define MAX_TCP_OPTIONS 40

uint32_t
offload_random(uint64_t *rng, uint32_t lo, uint32_t hi)
{
	return lo + traffic_random(rng) % (hi - lo + 1);
}

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static bool
is_v6(enum offload_kind kind)
{
	return kind == OFFLOAD_TCP6 || kind == OFFLOAD_USO6 || kind == OFFLOAD_UFO6 ||
	       kind == OFFLOAD_CSUM_TCP6 || kind == OFFLOAD_CSUM_UDP6;
}

static bool
is_tcp(enum offload_kind kind)
{
	return kind == OFFLOAD_TCP4 || kind == OFFLOAD_TCP6 || kind == OFFLOAD_CSUM_TCP4 ||
	       kind == OFFLOAD_CSUM_TCP6;
}

static void
random_bytes(uint8_t *p, uint32_t len, uint64_t *rng)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)traffic_random(rng);
}

/* Ethernet header and up to two VLAN tags. */
static void
make_ethernet(struct offload_frame *f, const struct offload_shape *shape, uint64_t *rng)
{
	static const uint32_t types[] = {0x8100, 0x88a8};
	const uint32_t n_tags = offload_random(rng, 0, 5) < 3 ? 0 : offload_random(rng, 1, 2);
	uint32_t at = 12, i;

	traffic_mac(f->data, shape->dst);
	traffic_mac(f->data + 6, shape->src);
	for (i = 0; i < n_tags; i++) {
		put16(f->data + at, i + 1 == n_tags ? types[0] : types[offload_random(rng, 0, 1)]);
		put16(f->data + at + 2, offload_random(rng, 1, 4094));
		at += 4;
	}
	put16(f->data + at, is_v6(f->kind) ? 0x86dd : 0x0800);
	f->tags = n_tags * 4;
	f->l3 = at + 2;
}

/* Options that say nothing: IPv4 and TCP have a one-byte one. */
static uint32_t
make_nops(uint8_t *p, uint64_t *rng)
{
	const uint32_t len = offload_random(rng, 0, 2) ? 0 : 4 * offload_random(rng, 1, 10);

	memset(p, 1, len);
	return len;
}

static void
make_ipv4(struct offload_frame *f, uint64_t *rng)
{
	uint8_t *ip = f->data + f->l3;
	const uint32_t hdr_len = 20 + make_nops(ip + 20, rng);

	random_bytes(ip, 20, rng);
	ip[0] = (uint8_t)(0x40 | hdr_len / 4);
	put16(ip + 6, offload_random(rng, 0, 1) ? 0x4000 : 0);
	ip[8] |= 1;
	ip[9] = is_tcp(f->kind) ? 6 : 17;
	ip[12] = ip[16] = 10;
	f->l4 = f->l3 + hdr_len;
}

/* An extension header of 8 * @n bytes that holds only padding. */
static uint32_t
make_extension(struct offload_frame *f, uint32_t at, uint8_t type, uint32_t n)
{
	uint8_t *ext = f->data + at;

	f->data[f->next_hdr] = type;
	f->next_hdr = at;
	memset(ext, 0, 8 * n);
	ext[1] = (uint8_t)(n - 1);
	if (type == 43) {
		ext[2] = 4; /* segment routing, at its end: no segments left */
		return 8 * n;
	}
	ext[2] = 1; /* PadN */
	ext[3] = (uint8_t)(8 * n - 4);
	return 8 * n;
}

static void
make_ipv6(struct offload_frame *f, bool is_kernels, uint64_t *rng)
{
	uint8_t *ip = f->data + f->l3;
	uint32_t at = f->l3 + 40;

	random_bytes(ip, 40, rng);
	ip[0] = (uint8_t)(0x60 | (ip[0] & 15));
	ip[7] |= 1;
	ip[8] = ip[24] = 0xfd;
	f->next_hdr = f->l3 + 6;
	if (offload_random(rng, 0, 3) == 0 && (!is_kernels || f->kind != OFFLOAD_UFO6))
		at += make_extension(f, at, 0, offload_random(rng, 1, 3));
	if (offload_random(rng, 0, 3) == 0 && !is_kernels)
		at += make_extension(f, at, 43, offload_random(rng, 1, 3));
	if (offload_random(rng, 0, 3) == 0 && (!is_kernels || f->kind != OFFLOAD_UFO6))
		at += make_extension(f, at, 60, offload_random(rng, 1, 3));
	f->data[f->next_hdr] = is_tcp(f->kind) ? 6 : 17;
	f->l4 = at;
}

static void
make_transport(struct offload_frame *f, uint64_t *rng)
{
	uint8_t *l4 = f->data + f->l4;
	uint32_t len = 8;

	random_bytes(l4, 20, rng);
	if (is_tcp(f->kind)) {
		len = 20 + make_nops(l4 + 20, rng);
		l4[12] = (uint8_t)(len / 4 << 4);
		if (offload_random(rng, 0, 7) == 0)
			memset(l4 + 4, 0xff, 3); /* the sequence number wraps round */
	}
	f->payload = f->l4 + len;
}

/* The sum over the pseudo header, as 16-bit numbers, not inverted. */
static uint32_t
pseudo_sum(const struct offload_frame *f, uint32_t l4_len)
{
	const uint8_t *ip = f->data + f->l3;
	const uint32_t from = is_v6(f->kind) ? 8 : 12, to = is_v6(f->kind) ? 40 : 20;
	uint32_t sum = l4_len + (is_tcp(f->kind) ? 6 : 17), i;

	for (i = from; i < to; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	return sum;
}

static uint32_t
fold(uint32_t sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Lengths and checksums, as a sender leaves them that wants the rest done. */
static void
finish_headers(struct offload_frame *f)
{
	uint8_t *ip = f->data + f->l3, *l4 = f->data + f->l4;
	uint32_t sum = 0, i;

	if (!is_tcp(f->kind))
		put16(l4 + 4, f->len - f->l4);
	put16(l4 + (is_tcp(f->kind) ? 16 : 6), fold(pseudo_sum(f, f->len - f->l4)));
	if (is_v6(f->kind)) {
		put16(ip + 4, f->len - f->l3 - 40);
		return;
	}
	put16(ip + 2, f->len - f->l3);
	put16(ip + 10, 0);
	for (i = 0; i < f->l4 - f->l3; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	put16(ip + 10, ~fold(sum));
}

/*
 * What Linux 6.18 takes: a train of 128 datagrams at most; fragments of a multiple of 8, which it
 * does not round down itself; and of TCP with options no frame that is just short enough to be one
 * segment, which it drops.
 */
static uint16_t
kernels_size(const struct offload_frame *f, uint16_t size)
{
	const uint32_t payload = f->len - f->payload;

	if (f->kind == OFFLOAD_UFO4 || f->kind == OFFLOAD_UFO6)
		return size & (uint16_t)~7;
	if (f->kind == OFFLOAD_USO4 || f->kind == OFFLOAD_USO6)
		return size > payload / KERNEL_TRAIN ? size
						     : (uint16_t)(payload / KERNEL_TRAIN + 1);
	if (size >= payload && size - payload < MAX_TCP_OPTIONS)
		return (uint16_t)(payload + MAX_TCP_OPTIONS);
	return size;
}

static void
make_vnet(struct offload_frame *f, const struct offload_shape *shape, uint64_t *rng)
{
	static const uint8_t types[OFFLOAD_KINDS] = {
		[OFFLOAD_TCP4] = UNM_VNET_GSO_TCPV4,
		[OFFLOAD_TCP6] = UNM_VNET_GSO_TCPV6,
		[OFFLOAD_USO4] = UNM_VNET_GSO_UDP_L4,
		[OFFLOAD_USO6] = UNM_VNET_GSO_UDP_L4,
		[OFFLOAD_UFO4] = UNM_VNET_GSO_UDP,
		[OFFLOAD_UFO6] = UNM_VNET_GSO_UDP,
	};
	struct unm_vnet_hdr h = {.flags = UNM_VNET_F_NEEDS_CSUM, .gso_type = types[f->kind]};

	h.hdr_len = (uint16_t)f->payload;
	h.csum_start = (uint16_t)f->l4;
	h.csum_offset = is_tcp(f->kind) ? 16 : 6;
	if (h.gso_type != 0)
		h.gso_size = (uint16_t)offload_random(rng, shape->min_size, shape->max_size);
	if (shape->is_kernels && h.gso_type != 0)
		h.gso_size = kernels_size(f, h.gso_size);
	if ((f->kind == OFFLOAD_TCP4 || f->kind == OFFLOAD_TCP6) && f->data[f->l4 + 13] & 0x80)
		h.gso_type |= UNM_VNET_GSO_ECN;
	memset(f->vnet, 0, sizeof(f->vnet));
	memcpy(f->vnet, &h, sizeof(h));
}

void
offload_frame_make(struct offload_frame *f, enum offload_kind kind,
	const struct offload_shape *shape, uint64_t *rng)
{
	uint32_t max;

	f->kind = kind;
	make_ethernet(f, shape, rng);
	if (is_v6(kind))
		make_ipv6(f, shape->is_kernels, rng);
	else
		make_ipv4(f, rng);
	make_transport(f, rng);
	max = 65535 - (f->payload - f->l3); /* what the IP header can say */
	if (max > shape->max_payload)
		max = shape->max_payload;
	if (offload_random(rng, 0, 1))
		max = max < 3000 ? max : 3000; /* short ones more often */
	f->len = f->payload + offload_random(rng, 0, max);
	random_bytes(f->data + f->payload, f->len - f->payload, rng);
	finish_headers(f);
	make_vnet(f, shape, rng);
}

bool
offload_l4_ok(const struct offload_frame *f, const uint8_t *data, uint32_t len)
{
	uint32_t sum = pseudo_sum(f, len - f->l4), i;

	for (i = f->l4; i < len; i++)
		sum = fold(sum + (uint32_t)(data[i] << ((i - f->l4) % 2 ? 0 : 8)));
	return sum == 0xffff;
}
