/* SPDX-License-Identifier: BSD-2-Clause */
/* See traffic.h. */
#include "traffic.h"

#include <string.h>
#include <time.h>

#include "ring/kring.h"

struct proof {
	uint8_t dst[6], src[6];
	uint8_t type[2];
	uint8_t pad[2];
	uint32_t flow;
	uint32_t len;
	uint64_t seq;
	uint64_t sum;
};

static_assert(sizeof(struct proof) == TRAFFIC_MIN_LEN, "the header of a frame");

void
traffic_mac(uint8_t *mac, uint32_t port)
{
	const uint8_t m[6] = {2, 0xfa, 0, 0, (uint8_t)(port >> 8), (uint8_t)port};

	memcpy(mac, m, sizeof(m));
}

/* Order and value of each byte count. */
static uint64_t
checksum(const struct proof *p, const uint8_t *payload, uint32_t len)
{
	uint64_t h = p->seq * UINT64_C(0x9e3779b97f4a7c15) + p->flow;
	uint32_t i;

	h = (h ^ p->len) * UINT64_C(0x9fb21c651e98df25);
	for (i = 0; i < 16; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * UINT64_C(0x100000001b3);
	for (; len >= 8; len -= 8, payload += 8) {
		uint64_t w;

		memcpy(&w, payload, 8);
		h = (h ^ w) * UINT64_C(0x9fb21c651e98df25);
		h ^= h >> 29;
	}
	for (i = 0; i < len; i++)
		h = (h ^ payload[i]) * UINT64_C(0x100000001b3);
	return h;
}

void
traffic_fill(uint8_t *frame, uint32_t len, uint32_t dst, uint32_t src, uint32_t flow, uint64_t seq)
{
	struct proof p = {.type = {0x88, 0xb5}, .flow = flow, .len = len, .seq = seq};
	uint64_t w = seq ^ (uint64_t)flow << 40;
	uint32_t i;

	memset(p.dst, 0xff, sizeof(p.dst));
	if (dst != UNM_NONE)
		traffic_mac(p.dst, dst);
	traffic_mac(p.src, src);
	for (i = sizeof(p); i + 8 <= len; i += 8) {
		w = w * UINT64_C(6364136223846793005) + 1442695040888963407u;
		memcpy(frame + i, &w, 8);
	}
	memset(frame + i, (int)seq, len - i);
	p.sum = checksum(&p, frame + sizeof(p), len - (uint32_t)sizeof(p));
	memcpy(frame, &p, sizeof(p));
}

bool
traffic_check(const uint8_t *frame, uint32_t len, uint32_t *flow, uint64_t *seq)
{
	struct proof p;

	if (len < sizeof(p))
		return false;
	memcpy(&p, frame, sizeof(p));
	if (p.len != len || p.sum != checksum(&p, frame + sizeof(p), len - (uint32_t)sizeof(p)))
		return false;
	*flow = p.flow;
	*seq = p.seq;
	return true;
}

uint32_t
traffic_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(x >> 32);
}

uint8_t *
ring_buf(const struct unm_bring *r, uint32_t i)
{
	return (uint8_t *)r->bufs + (size_t)r->ring->slot[i].buf_idx * r->buf_size;
}

uint32_t
ring_space(const struct unm_bring *r)
{
	return unm_pos_dist(r->ring->head, unm_load_acquire(&r->ring->tail), r->num_slots);
}

void
ring_advance(struct unm_bring *r, uint32_t n)
{
	const uint32_t head = unm_pos_add(r->ring->head, n, r->num_slots);

	UNM_WRITE_ONCE(r->ring->cur, head);
	unm_store_release(&r->ring->head, head);
}

uint32_t
ring_send(struct unm_bring *r, const void *data, uint32_t len, uint16_t flags)
{
	const uint32_t i = r->ring->head;

	CHECK(ring_space(r) > 0 && len <= r->buf_size);
	memcpy(ring_buf(r, i), data, len);
	r->ring->slot[i].len = (uint16_t)len;
	r->ring->slot[i].flags = flags;
	ring_advance(r, 1);
	return i;
}

uint32_t
ring_send_frame(
	struct unm_bring *r, uint32_t len, uint32_t dst, uint32_t src, uint32_t flow, uint64_t seq)
{
	const uint32_t i = r->ring->head;

	CHECK(ring_space(r) > 0 && len <= r->buf_size);
	traffic_fill(ring_buf(r, i), len, dst, src, flow, seq);
	r->ring->slot[i].len = (uint16_t)len;
	r->ring->slot[i].flags = 0;
	ring_advance(r, 1);
	return i;
}

uint64_t
traffic_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
