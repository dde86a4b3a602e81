/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer on what an isolated client writes into its CSB and its rings while the broker serves it.
 *
 * The input is one byte for the rate, then a list of steps, each an opcode, a client (0 ... 2) and its
 * operands, little-endian; one that is cut off ends the list:
 *
 *   SLOT    ring (0 tx, 1 rx; 2 and 3: the port's, which a trusted client may scribble on), index,
 *           buf_idx (4), len (2), flags (2), ptr (8)    all flags
 *   HEAD    ring, head (4), cur (4): as a client tells the broker
 *   FORWARD ring, n: legal, as far as there is room
 *   CSB     offset, value (4): any word of the client's CSB, the broker's half too
 *   BYTES   index, n, n bytes: the start of a tx slot's buffer
 *   TURN    the broker's
 *
 * Rings and buffers of a client are its own, on the heap: what is read or written beside them is found.
 * Client 1 is lossless, client 2 has virtio-net headers. A fourth port is a trusted receiver. After each
 * turn all positions that others see are legal, and the broker's own are what it has published.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fake_domain.h"
#include "isolate/turn_fp.h"
#include "ring/kring.h"
#include "traffic.h"

#define N_CLIENTS  3u
#define N_PORTS	   4u
#define SLOTS	   16u
#define BUF_SIZE   256u
#define HDR_LEN	   12u
#define MAX_STEPS  400u
#define OWN_BUFS   (2u + 2u * SLOTS) /* of a client; 0 and 1 are in no slot */
#define RING_BYTES (sizeof(struct netmap_ring) + SLOTS * sizeof(struct netmap_slot))

enum step { SLOT, HEAD, FORWARD, CSB, BYTES, TURN, N_STEPS };

struct client {
	struct unm_bport *bp;
	struct netmap_ring *own[2]; /* tx, rx: in its region */
	char *bufs;
	struct unm_pump_binding b, first;
	struct unm_pump_ring rings[2], first_rings[2];
	struct nm_csb_atok atok[2], first_atok[2];
	struct nm_csb_ktoa ktoa[2], first_ktoa[2];
};

static struct fake_domain *domain;
static struct client clients[N_CLIENTS];
static struct unm_bport *receiver;
static struct unm_kring first_krings[2 * N_PORTS];
static char first_netmap[2 * N_PORTS][RING_BYTES];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct unm_bport *
port(uint32_t i)
{
	return i < N_CLIENTS ? clients[i].bp : receiver;
}

static struct unm_bring *
ring(uint32_t r)
{
	return r % 2 == 0 ? &port(r / 2)->tx[0] : &port(r / 2)->rx[0];
}

static void *
must_alloc(size_t len)
{
	void *p = malloc(len);

	CHECK(p != NULL);
	return p;
}

/* The client's slots name its buffers one after the other, which are empty. */
static void
fresh_region(struct client *c)
{
	uint32_t k, i;

	memset(c->bufs, 0, (size_t)OWN_BUFS * BUF_SIZE);
	for (k = 0; k < 2; k++) {
		memset(c->own[k], 0, RING_BYTES);
		for (i = 0; i < SLOTS; i++)
			c->own[k]->slot[i].buf_idx = 2 + k * SLOTS + i;
	}
}

static void
make_client(struct client *c, uint32_t i)
{
	uint32_t k;

	c->bp = fake_port_open(domain, i);
	c->bp->is_foreign = true;
	c->bufs = must_alloc((size_t)OWN_BUFS * BUF_SIZE);
	c->b.bport = c->bp;
	c->b.n_rings = 2;
	c->b.rings = c->rings;
	for (k = 0; k < 2; k++) {
		struct unm_bring *r = k == 0 ? &c->bp->tx[0] : &c->bp->rx[0];

		c->own[k] = must_alloc(RING_BYTES);
		c->rings[k] = (struct unm_pump_ring){.ring = r,
			.copy = {c->own[k], c->bufs, BUF_SIZE, OWN_BUFS},
			.atok = &c->atok[k],
			.ktoa = &c->ktoa[k],
			.num_slots = SLOTS,
			.is_rx = k == 1,
			.tail = k == 0 ? SLOTS - 1 : 0};
		c->ktoa[k].hwtail = c->rings[k].tail;
	}
	c->first = c->b;
	memcpy(c->first_rings, c->rings, sizeof(c->rings));
	memcpy(c->first_atok, c->atok, sizeof(c->atok));
	memcpy(c->first_ktoa, c->ktoa, sizeof(c->ktoa));
}

static void
make(void)
{
	static const struct fake_geometry ports[N_PORTS] = {
		{.flags = 0}, {.flags = UNM_PORTF_LOSSLESS}, {.hdr_len = HDR_LEN}, {.flags = 0}};
	uint32_t i;

	domain = fake_domain_new(UNM_SEG_VALE, 2 + 2 * N_PORTS * SLOTS, BUF_SIZE);
	for (i = 0; i < N_PORTS; i++) {
		struct fake_geometry g = ports[i];

		g.kind = UNM_PORT_VALE;
		g.n_tx = g.n_rx = 1;
		g.slots = SLOTS;
		g.buf_size = BUF_SIZE; /* memory of its own, as every port of an isolate has */
		fake_port_add(domain, &g);
	}
	for (i = 0; i < N_CLIENTS; i++)
		make_client(&clients[i], i);
	receiver = fake_port_open(domain, N_CLIENTS);
	for (i = 0; i < 2 * N_PORTS; i++) {
		first_krings[i] = *ring(i)->kring;
		memcpy(first_netmap[i], ring(i)->ring, sizeof(first_netmap[i]));
	}
}

static void
restore(void)
{
	uint32_t i;

	for (i = 0; i < 2 * N_PORTS; i++) {
		*ring(i)->kring = first_krings[i];
		memcpy(ring(i)->ring, first_netmap[i], sizeof(first_netmap[i]));
		ring(i)->flood_resume = 0;
	}
	for (i = 0; i < N_CLIENTS; i++) {
		struct client *c = &clients[i];

		c->b = c->first;
		fresh_region(c);
		memcpy(c->rings, c->first_rings, sizeof(c->rings));
		memcpy(c->atok, c->first_atok, sizeof(c->atok));
		memcpy(c->ktoa, c->first_ktoa, sizeof(c->ktoa));
	}
	memset(domain->seg.fdb, 0, domain->seg.n_fdb_buckets * sizeof(domain->seg.fdb[0]));
}

/* The rest of the input. */
struct input {
	const uint8_t *at;
	size_t left;
};

/* The next @n <= 8 bytes; zero, and no input left, if there are fewer. */
static uint64_t
take(struct input *in, unsigned int n)
{
	uint64_t v = 0;
	unsigned int i;

	if (in->left < n) {
		in->left = 0;
		return 0;
	}
	for (i = 0; i < n; i++)
		v |= (uint64_t)in->at[i] << 8 * i;
	in->at += n;
	in->left -= n;
	return v;
}

static void
set_slot(struct client *c, struct input *in)
{
	const uint32_t r = (uint32_t)take(in, 1) % 4;
	struct netmap_ring *ring = r < 2 ? c->own[r] : c->rings[r % 2].ring->ring;
	struct netmap_slot *slot = &ring->slot[take(in, 1) % SLOTS];
	struct netmap_slot v = {.buf_idx = (uint32_t)take(in, 4), .len = (uint16_t)take(in, 2)};

	v.flags = (uint16_t)take(in, 2);
	v.ptr = take(in, 8);
	*slot = v;
}

static void
forward(struct client *c, struct input *in)
{
	const uint32_t i = take(in, 1) % 2, n = (uint32_t)take(in, 1);
	const uint32_t head = c->atok[i].head, tail = c->ktoa[i].hwtail;
	uint32_t room;

	if (head >= SLOTS || tail >= SLOTS)
		return;
	room = unm_pos_dist(head, tail, SLOTS);
	c->atok[i].head = c->atok[i].cur = unm_pos_add(head, n < room ? n : room, SLOTS);
}

static void
set_csb(struct client *c, struct input *in)
{
	const uint32_t ofs = (uint32_t)take(in, 1), v = (uint32_t)take(in, 4);

	if (ofs < sizeof(c->atok) / 4)
		((uint32_t *)(void *)c->atok)[ofs] = v;
	else
		((uint32_t *)(void *)c->ktoa)[(ofs - sizeof(c->atok) / 4) % (sizeof(c->ktoa) / 4)] =
			v;
}

static void
set_bytes(struct client *c, struct input *in)
{
	const uint32_t idx = c->own[0]->slot[take(in, 1) % SLOTS].buf_idx;
	uint32_t n = (uint32_t)take(in, 1), i;

	for (i = 0; unm_buf_idx_ok(idx, OWN_BUFS) && i < n && i < BUF_SIZE && in->left > 0; i++)
		((uint8_t *)c->bufs)[(size_t)idx * BUF_SIZE + i] = (uint8_t)take(in, 1);
}

static void
turn(struct client *c, struct unm_bucket *rate)
{
	const int64_t level = rate->level;
	uint32_t i;

	unm_turn(&c->b, rate);
	unm_turn_need_kick(&c->b, true);
	CHECK(rate->rate == 0 || level <= 0 ? rate->level == level : rate->level >= -64);
	for (i = 0; i < 2; i++) {
		const struct unm_pump_ring *k = &c->rings[i];

		CHECK(k->head < SLOTS && k->tail < SLOTS && k->hwcur < SLOTS);
	}
	for (i = 0; i < 2 * N_PORTS; i++) {
		const struct unm_kring *k = ring(i)->kring;

		CHECK(k->hwcur < SLOTS && k->hwtail < SLOTS && k->last_head < SLOTS);
	}
}

/* Return: false at the end of the input. */
static bool
one_step(struct input *in, struct unm_bucket *rate)
{
	const uint32_t op = take(in, 1) % N_STEPS;
	struct client *c = &clients[take(in, 1) % N_CLIENTS];
	uint32_t i;

	switch (op) {
	case SLOT:
		set_slot(c, in);
		break;
	case HEAD:
		i = take(in, 1) % 2;
		c->atok[i].head = (uint32_t)take(in, 4);
		c->atok[i].cur = (uint32_t)take(in, 4);
		break;
	case FORWARD:
		forward(c, in);
		break;
	case CSB:
		set_csb(c, in);
		break;
	case BYTES:
		set_bytes(c, in);
		break;
	default:
		turn(c, rate);
		break;
	}
	return in->left > 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct unm_bucket rate;
	uint32_t i;

	if (domain == NULL)
		make();
	fake_domain_use(domain);
	restore();
	unm_bucket_init(&rate, take(&in, 1) % 4 == 0 ? 100 : 0, 0);
	for (i = 0; i < MAX_STEPS && one_step(&in, &rate); i++)
		;
	return 0;
}
