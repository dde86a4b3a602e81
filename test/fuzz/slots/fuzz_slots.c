/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer on what an application writes into its rings: head, cur, slots and the frames in them.
 *
 * The input is one byte that chooses the scene, then a list of steps, each an opcode, a ring (0 ... 7)
 * and its operands, little-endian; one that is cut off ends the list:
 *
 *   SLOT     index, buf_idx (4), len (2), flags (2), ptr (2)      NS_INDIRECT is left out
 *   INDICES  head (4), cur (4)
 *   FORWARD  n: head = cur = head + n, as far as there is room
 *   BYTES    index, n, n bytes: the start of the slot's buffer
 *   SYNC     what: txsync, rxsync or poll of the ring's port
 *   SYNC_AT  head (4), cur (4), for unm_bring_sync_at()
 *
 * Scenes: a switch with a plain port, a lossless one, one with a virtio-net header and one with larger
 * buffers, without or with OFFSETS; and two pipes. Ring r is the tx (even) or rx (odd) ring of port r / 2.
 *
 * After each sync: all positions are legal, and what a pipe hands to the other end stays inside its
 * buffers.
 */
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fake_domain.h"
#include "ring/kring.h"
#include "traffic.h"

#define N_PORTS	  4u
#define SLOTS	  16u
#define BUF_SIZE  256u
#define BIG_SIZE  4096u
#define HDR_LEN	  12u
#define OFS_BITS  8u
#define OFS_MAX	  64u
#define MAX_STEPS 400u
#define MAX_RINGS (2 * N_PORTS)

enum step { SLOT, INDICES, FORWARD, BYTES, SYNC, SYNC_AT, N_STEPS };

/* A domain that is put back to its first state before each run. */
struct scene {
	struct fake_domain *d;
	struct unm_bport *bp[N_PORTS];
	bool is_pipe;
	struct unm_kring krings[MAX_RINGS];
	char rings[MAX_RINGS][sizeof(struct netmap_ring) + SLOTS * sizeof(struct netmap_slot)];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct unm_bring *
ring_of(const struct scene *s, uint32_t r)
{
	return r % 2 == 0 ? &s->bp[r / 2]->tx[0] : &s->bp[r / 2]->rx[0];
}

static void
scene_save(struct scene *s)
{
	uint32_t r;

	for (r = 0; r < MAX_RINGS; r++) {
		s->krings[r] = *ring_of(s, r)->kring;
		memcpy(s->rings[r], ring_of(s, r)->ring, sizeof(s->rings[r]));
	}
}

static void
scene_restore(struct scene *s)
{
	const struct unm_seg *seg = &s->d->seg;
	uint32_t r;

	for (r = 0; r < MAX_RINGS; r++) {
		*ring_of(s, r)->kring = s->krings[r];
		memcpy(ring_of(s, r)->ring, s->rings[r], sizeof(s->rings[r]));
		ring_of(s, r)->flood_resume = 0;
	}
	if (seg->fdb != NULL)
		memset(seg->fdb, 0, seg->n_fdb_buckets * sizeof(seg->fdb[0]));
}

static void
make_switch(struct scene *s, bool with_offsets)
{
	static const struct fake_geometry ports[N_PORTS] = {
		{.flags = 0},
		{.flags = UNM_PORTF_LOSSLESS},
		{.hdr_len = HDR_LEN, .buf_size = BIG_SIZE},
		{.buf_size = BIG_SIZE},
	};
	uint32_t i;

	s->d = fake_domain_new(UNM_SEG_VALE, 2 + 4 * SLOTS, BUF_SIZE);
	for (i = 0; i < N_PORTS; i++) {
		struct fake_geometry g = ports[i];

		g.kind = UNM_PORT_VALE;
		g.n_tx = g.n_rx = 1;
		g.slots = SLOTS;
		fake_port_add(s->d, &g);
		if (with_offsets)
			fake_port_set_offsets(s->d, i, OFS_BITS, OFS_MAX, i == 3 ? 100 : 0);
		s->bp[i] = fake_port_open(s->d, i);
	}
}

static void
make_pipes(struct scene *s)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};
	uint32_t i;

	s->is_pipe = true;
	s->d = fake_domain_new(UNM_SEG_DOMAIN, 2 + N_PORTS * SLOTS, BUF_SIZE);
	for (i = 0; i < N_PORTS; i++)
		fake_port_add(s->d, &g);
	fake_pipe_join(s->d, 0, 1);
	fake_pipe_join(s->d, 2, 3);
	for (i = 2; i < N_PORTS; i++) /* the second one has OFFSETS */
		fake_port_set_offsets(s->d, i, OFS_BITS, OFS_MAX, 0);
	for (i = 0; i < N_PORTS; i++)
		s->bp[i] = fake_port_open(s->d, i);
}

/* The rest of the input. */
struct input {
	const uint8_t *at;
	size_t left;
};

/* The next @n <= 4 bytes; zero, and no input left, if there are fewer. */
static uint32_t
take(struct input *in, unsigned int n)
{
	uint32_t v = 0;
	unsigned int i;

	if (in->left < n) {
		in->left = 0;
		return 0;
	}
	for (i = 0; i < n; i++)
		v |= (uint32_t)in->at[i] << 8 * i;
	in->at += n;
	in->left -= n;
	return v;
}

static void
set_slot(struct unm_bring *r, struct input *in)
{
	struct netmap_slot *slot = &r->ring->slot[take(in, 1) % SLOTS];
	struct netmap_slot v = {.buf_idx = take(in, 4), .len = (uint16_t)take(in, 2)};

	v.flags = (uint16_t)take(in, 2) & (uint16_t)~NS_INDIRECT;
	v.ptr = take(in, 2);
	*slot = v;
}

static void
set_bytes(struct unm_bring *r, struct input *in)
{
	const struct netmap_slot *slot = &r->ring->slot[take(in, 1) % SLOTS];
	uint32_t n = take(in, 1), i;

	if (!unm_buf_idx_ok(slot->buf_idx, r->n_bufs))
		return;
	for (i = 0; i < n && in->left > 0; i++)
		((uint8_t *)r->bufs)[(size_t)slot->buf_idx * r->buf_size + i] =
			(uint8_t)take(in, 1);
}

static void
forward(struct unm_bring *r, struct input *in)
{
	const uint32_t head = r->ring->head, tail = r->ring->tail;
	uint32_t n = take(in, 1), room;

	if (head >= SLOTS || tail >= SLOTS)
		return;
	room = unm_pos_dist(head, tail, SLOTS);
	ring_advance(r, n < room ? n : room);
}

static void
check_ring(const struct unm_bring *r)
{
	CHECK(r->kring->hwcur < SLOTS && r->kring->hwtail < SLOTS);
	CHECK(r->kring->last_head < SLOTS && r->kring->pub_tail < SLOTS);
	CHECK(r->ring->tail < SLOTS);
}

/* What the pipe's tx ring @r has put into the other end's slots, from @from on. */
static void
check_pushed(const struct unm_bring *r, uint32_t from)
{
	for (; from != r->peer_kring->hwtail; from = unm_pos_next(from, SLOTS)) {
		const struct netmap_slot *s = &r->peer_ring->slot[from];

		CHECK(s->len <= r->buf_size);
		CHECK(unm_buf_idx_ok(s->buf_idx, r->n_bufs) || s->buf_idx == 0);
	}
}

static void
sync_port(struct scene *s, uint32_t port, uint32_t what)
{
	struct unm_bport *bp = s->bp[port];
	const uint32_t queued = s->is_pipe ? bp->tx[0].peer_kring->hwtail : 0;
	int ret;

	if (what % 3 == 0)
		ret = unm_bport_txsync(bp);
	else if (what % 3 == 1)
		ret = unm_bport_rxsync(bp);
	else
		ret = unm_bport_poll(bp, POLLIN | POLLOUT) < 0;
	CHECK(ret == 0);
	if (what % 3 != 1)
		check_ring(&bp->tx[0]);
	if (what % 3 != 0)
		check_ring(&bp->rx[0]);
	if (s->is_pipe)
		check_pushed(&bp->tx[0], queued);
}

static void
sync_at(struct unm_bring *r, struct input *in)
{
	const uint32_t head = take(in, 4), cur = take(in, 4);
	uint32_t hwcur, hwtail;

	if (unm_bring_sync_at(r, head, cur, &hwcur, &hwtail) == 0)
		CHECK(head < SLOTS && cur < SLOTS && hwcur < SLOTS && hwtail < SLOTS);
}

/* Return: false at the end of the input. */
static bool
one_step(struct scene *s, struct input *in)
{
	const uint32_t op = take(in, 1) % N_STEPS, ring = take(in, 1) % MAX_RINGS;
	struct unm_bring *r = ring_of(s, ring);

	if (in->left == 0)
		return false;
	switch (op) {
	case SLOT:
		set_slot(r, in);
		break;
	case INDICES:
		r->ring->head = take(in, 4);
		r->ring->cur = take(in, 4);
		break;
	case FORWARD:
		forward(r, in);
		break;
	case BYTES:
		set_bytes(r, in);
		break;
	case SYNC:
		sync_port(s, ring / 2, take(in, 1));
		break;
	default:
		sync_at(r, in);
		break;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scene scenes[3];
	struct input in = {data, size};
	struct scene *s;
	uint32_t i;

	if (scenes[0].d == NULL) {
		make_switch(&scenes[0], false);
		make_switch(&scenes[1], true);
		make_pipes(&scenes[2]);
		for (i = 0; i < 3; i++)
			scene_save(&scenes[i]);
	}
	s = &scenes[take(&in, 1) % 3];
	fake_domain_use(s->d);
	scene_restore(s);
	for (i = 0; i < MAX_STEPS && one_step(s, &in); i++)
		;
	return 0;
}
