/* SPDX-License-Identifier: BSD-2-Clause */
/* See offload_frames.h: what has to become of a frame. */
#include <stdlib.h>
#include <string.h>

#include "offload_frames.h"
#include "traffic.h"
#include "vale/vnet.h"

#define RESULT_SIZE (2u << 20)

static uint8_t piece[OFFLOAD_MAX_FRAME + 100];

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

void
offload_result_reset(struct offload_result *r)
{
	if (r->data == NULL)
		r->data = malloc(RESULT_SIZE);
	CHECK(r->data != NULL);
	r->n = r->size = 0;
}

void
offload_result_add(struct offload_result *r, const uint8_t *frame, uint32_t len)
{
	CHECK(r->n < OFFLOAD_MAX_PIECES && len <= RESULT_SIZE - r->size);
	memcpy(r->data + r->size, frame, len);
	r->size += len;
	r->len[r->n++] = len;
}

void
offload_result_free(struct offload_result *r)
{
	free(r->data);
	r->data = NULL;
}

/* Sum of 16-bit numbers, the last byte being the high one of its number. */
static uint32_t
sum_bytes(uint32_t sum, const uint8_t *p, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++) {
		sum += (uint32_t)(i % 2 ? p[i] : p[i] << 8);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* The frame in piece[], @len bytes, gets its IPv4 or IPv6 lengths and checksum. */
static void
finish_ip(const struct offload_frame *f, uint32_t hdr_len, uint32_t len)
{
	uint8_t *ip = piece + f->l3;

	if (ip[0] >> 4 == 6) {
		put16(ip + 4, len - f->l3 - 40);
		return;
	}
	put16(ip + 2, len - f->l3);
	put16(ip + 10, 0);
	put16(ip + 10, ~sum_bytes(0, ip, hdr_len));
}

/* Add piece[] with a virtio-net header in front. */
static void
add_piece(struct offload_result *r, const struct unm_vnet_hdr *h, uint32_t hdr_len, uint32_t len)
{
	static uint8_t whole[12 + sizeof(piece)];

	memset(whole, 0, 12);
	memcpy(whole, h, sizeof(*h));
	memcpy(whole + hdr_len, piece, len);
	offload_result_add(r, whole, hdr_len + len);
}

/* Sum of the pseudo header of the packet in piece[], and of its TCP or UDP part if @whole. */
static uint32_t
l4_sum(const struct offload_frame *f, uint8_t proto, uint32_t len, bool whole)
{
	const uint8_t *ip = piece + f->l3;
	uint8_t ends[4] = {0, proto};
	uint32_t sum;

	put16(ends + 2, len - f->l4);
	sum = sum_bytes(0, ends, 4);
	sum = ip[0] >> 4 == 6 ? sum_bytes(sum, ip + 8, 32) : sum_bytes(sum, ip + 12, 8);
	return whole ? sum_bytes(sum, piece + f->l4, len - f->l4) : sum;
}

/* TCP segments, or datagrams of @size bytes. */
static void
expect_segments(const struct offload_frame *f, const struct unm_vnet_hdr *asked, uint32_t hdr_len,
	uint32_t lacks, uint32_t size, struct offload_result *r)
{
	const bool tcp = asked->csum_offset == 16, partial = !(lacks & UNM_VNET_LACKS_CSUM);
	const uint8_t *seq = f->data + f->l4 + 4;
	uint32_t at = f->payload, i = 0;

	do {
		const uint32_t n = f->len - at < size ? f->len - at : size;
		const uint32_t len = f->payload + n;
		const bool last = at + n == f->len;
		uint8_t *l4 = piece + f->l4, *field = l4 + (tcp ? 16 : 6);
		struct unm_vnet_hdr h = {0};
		uint32_t sum;

		memcpy(piece, f->data, f->payload);
		memcpy(piece + f->payload, f->data + at, n);
		if (piece[f->l3] >> 4 == 4)
			put16(piece + f->l3 + 4, get16(f->data + f->l3 + 4) + i);
		finish_ip(f, f->l4 - f->l3, len);
		if (tcp) {
			const uint32_t s = get16(seq) << 16 | get16(seq + 2);

			put16(l4 + 4, (s + at - f->payload) >> 16);
			put16(l4 + 6, s + at - f->payload);
			if (!last)
				l4[13] &= (uint8_t)~9;
			if (i > 0)
				l4[13] &= 0x7f;
		} else {
			put16(l4 + 4, len - f->l4);
		}
		put16(field, 0);
		sum = l4_sum(f, tcp ? 6 : 17, len, !partial);
		if (partial) {
			h.flags = UNM_VNET_F_NEEDS_CSUM;
			h.csum_start = asked->csum_start;
			h.csum_offset = asked->csum_offset;
			put16(field, sum);
		} else {
			put16(field, tcp || sum != 0xffff ? ~sum : 0xffff);
		}
		add_piece(r, &h, hdr_len, len);
		at += n;
		i++;
	} while (at < f->len);
}

/* Fragments of a datagram whose checksum is completed first. */
static void
expect_fragments(
	const struct offload_frame *f, uint32_t hdr_len, uint32_t size, struct offload_result *r)
{
	static uint8_t datagram[OFFLOAD_MAX_FRAME];
	const struct unm_vnet_hdr none = {0};
	const uint32_t total = f->len - f->l4;
	const bool v6 = f->data[f->l3] >> 4 == 6;
	uint32_t at, sum;

	memcpy(datagram, f->data + f->l4, total);
	sum = sum_bytes(0, datagram, total);
	put16(datagram + 6, sum != 0xffff ? ~sum : 0xffff);
	if (total <= size) { /* fits without being cut: as it is */
		memcpy(piece, f->data, f->l4);
		memcpy(piece + f->l4, datagram, total);
		add_piece(r, &none, hdr_len, f->len);
		return;
	}
	for (at = 0; at < total; at += size) {
		const uint32_t n = total - at < size ? total - at : size;
		const uint32_t more = at + n < total;
		uint32_t len = f->l4;

		memcpy(piece, f->data, f->l4);
		if (v6) {
			memset(piece + len, 0, 8);
			piece[len] = 17;
			piece[f->next_hdr] = 44;
			put16(piece + len + 2, at | more);
			len += 8;
		} else {
			put16(piece + f->l3 + 6, at / 8 | more << 13);
		}
		memcpy(piece + len, datagram + at, n);
		finish_ip(f, f->l4 - f->l3, len + n);
		add_piece(r, &none, hdr_len, len + n);
	}
}

/* The whole frame with its checksum completed. */
static void
expect_completed(const struct offload_frame *f, const struct unm_vnet_hdr *asked, uint32_t hdr_len,
	struct offload_result *r)
{
	const struct unm_vnet_hdr none = {0};
	const uint32_t sum = sum_bytes(0, f->data + f->l4, f->len - f->l4);

	memcpy(piece, f->data, f->len);
	put16(piece + f->l4 + asked->csum_offset, sum != 0xffff ? ~sum : 0xffff);
	add_piece(r, &none, hdr_len, f->len);
}

static const uint32_t needs[OFFLOAD_KINDS] = {
	[OFFLOAD_TCP4] = UNM_VNET_LACKS_TSO4,
	[OFFLOAD_TCP6] = UNM_VNET_LACKS_TSO6,
	[OFFLOAD_USO4] = UNM_VNET_LACKS_USO4,
	[OFFLOAD_USO6] = UNM_VNET_LACKS_USO6,
	[OFFLOAD_UFO4] = UNM_VNET_LACKS_UFO,
	[OFFLOAD_UFO6] = UNM_VNET_LACKS_UFO,
};

bool
offload_expect(const struct offload_frame *f, uint32_t hdr_len, uint32_t lacks, uint32_t max_frame,
	struct offload_result *r)
{
	uint32_t need = needs[f->kind] | UNM_VNET_LACKS_CSUM, head = f->payload, size;
	struct unm_vnet_hdr h;

	offload_result_reset(r);
	memcpy(&h, f->vnet, sizeof(h));
	if (h.gso_type & UNM_VNET_GSO_ECN)
		need |= UNM_VNET_LACKS_ECN;
	if (hdr_len == 0 || lacks & UNM_VNET_LACKS_CSUM)
		lacks = UNM_VNET_LACKS_ALL;
	if (!(lacks & need)) {
		memcpy(piece, f->data, f->len);
		add_piece(r, &h, hdr_len, f->len);
		return true;
	}
	if (h.gso_type == UNM_VNET_GSO_NONE) {
		expect_completed(f, &h, hdr_len, r);
		return true;
	}
	if (h.gso_type == UNM_VNET_GSO_UDP)
		head = f->l4 + (f->kind == OFFLOAD_UFO6 ? 8 : 0);
	if (max_frame + f->tags <= head)
		return false;
	size = h.gso_size;
	if (h.gso_type != UNM_VNET_GSO_UDP_L4 && size > max_frame + f->tags - head)
		size = max_frame + f->tags - head;
	if (h.gso_type != UNM_VNET_GSO_UDP) {
		expect_segments(f, &h, hdr_len, lacks, size, r);
		return true;
	}
	size -= size % 8;
	if (size == 0)
		return false;
	expect_fragments(f, hdr_len, size, r);
	return true;
}

bool
offload_clear_ids(const struct offload_frame *f, uint32_t hdr_len, struct offload_result *r)
{
	uint32_t at = hdr_len + f->l4 + 4, i;
	uint8_t first[4];

	if (f->kind != OFFLOAD_UFO6 || r->n == 0 || r->data[hdr_len + f->next_hdr] != 44)
		return true;
	memcpy(first, r->data + at, 4);
	for (i = 0; i < r->n; i++) {
		if (memcmp(first, r->data + at, 4) != 0)
			return false;
		memset(r->data + at, 0, 4);
		at += r->len[i];
	}
	return true;
}

void
offload_make_segments(struct offload_frame *f, uint32_t n, struct offload_result *r, uint64_t *rng)
{
	const struct offload_shape shape = {
		.src = 0, .dst = 1, .max_payload = 1400 * n, .min_size = 1000, .max_size = 1400};

	do {
		offload_frame_make(f, OFFLOAD_TCP4, &shape, rng);
		f->data[f->l4 + 13] = 0x10; /* ACK */
		f->vnet[1] &= (uint8_t)~UNM_VNET_GSO_ECN;
		offload_result_reset(r);
	} while (f->tags > 4 || f->l4 - f->l3 != 20 ||
		 !offload_expect(f, 0, UNM_VNET_LACKS_ALL, 65549, r) || r->n != n ||
		 r->len[n - 1] < 300);
}

bool
offload_is_joined(const struct offload_frame *f, const uint8_t *got, uint32_t len, uint32_t hdr_len)
{
	const uint32_t head = f->len - f->payload;
	struct unm_vnet_hdr had, has;

	if (len != hdr_len + f->len)
		return false;
	memcpy(&had, f->vnet, sizeof(had));
	memcpy(&has, got, sizeof(has));
	got += hdr_len;
	return has.flags == UNM_VNET_F_NEEDS_CSUM && has.gso_type == UNM_VNET_GSO_TCPV4 &&
	       has.gso_size == had.gso_size && has.csum_start == f->l4 &&
	       memcmp(got, f->data, f->l3 + 10) == 0 && /* up to the IP header's checksum */
	       memcmp(got + head, f->data + head, f->payload) == 0;
}
