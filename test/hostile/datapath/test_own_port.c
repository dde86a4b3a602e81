/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A peer that writes garbage into all that is its own: its rings, its krings, its binding.
 *
 * Proves that only its own port suffers. VALE: two others exchange frames, to the peer as well;
 * between them every frame arrives, whole and in order, no ring of theirs is ever found damaged,
 * and each call returns soon. Pipes: the other end never gets an index or length that leaves a buffer,
 * and its own indices stay legal.
 *
 * What was overwritten is put right again from time to time, as by a client that starts anew, so
 * that the peer takes part.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <poll.h>
#include <string.h>

#include "actors.h"
#include "ring/prologue.h"
#include "scribble.h"
#include "vale_rig.h"

#define ROUNDS	    80000
#define SLOTS	    64u
#define BUF_SIZE    512u
#define MAX_AREAS   5
#define MAX_GARBAGE 12
#define ACTOR_SLOT  1u

/* What the peer owns, and how it was before. */
struct own {
	struct area area[MAX_AREAS];
	void *saved[MAX_AREAS];
	uint32_t n;
};

static void
own_add(struct own *o, void *base, size_t len)
{
	assert_true(o->n < MAX_AREAS);
	o->area[o->n].base = base;
	o->area[o->n].len = len;
	o->saved[o->n] = malloc(len);
	assert_non_null(o->saved[o->n]);
	memcpy(o->saved[o->n], base, len);
	o->n++;
}

static void
own_restore(struct own *o)
{
	uint32_t i;

	for (i = 0; i < o->n; i++)
		memcpy(o->area[i].base, o->saved[i], o->area[i].len);
}

static void
own_free(struct own *o)
{
	uint32_t i;

	for (i = 0; i < o->n; i++)
		free(o->saved[i]);
	o->n = 0;
}

/* A ring with its slots. */
static void
own_add_ring(struct own *o, struct unm_bring *r)
{
	own_add(o, r->ring, sizeof(struct netmap_ring) + r->num_slots * sizeof(struct netmap_slot));
	own_add(o, r->kring, sizeof(*r->kring));
}

/* Hand over or give back all slots, whatever they hold. */
static void
use_all(struct unm_bring *r)
{
	const uint32_t tail = UNM_READ_ONCE(r->ring->tail);

	r->ring->cur = tail;
	r->ring->head = tail;
}

/* All that an application does, in any order. */
static void
peer_acts(struct unm_bport *bp, uint64_t *seed)
{
	struct watch w;

	if (traffic_random(seed) % 2 == 0)
		use_all(traffic_random(seed) % 2 == 0 ? &bp->tx[0] : &bp->rx[0]);

	watch_start(&w);
	switch (traffic_random(seed) % 4) {
	case 0:
		unm_bport_txsync(bp);
		break;
	case 1:
		unm_bport_rxsync(bp);
		break;
	case 2:
		unm_bport_arm(bp, POLLIN | POLLOUT);
		break;
	default:
		unm_bport_poll(bp, POLLIN | POLLOUT);
		break;
	}
	watch_end(&w);
}

/* --- VALE --- */

enum { PEER, SENDER, RECEIVER, OTHER, N_PORTS };

static struct vale_rig v;

static void
expect_unharmed(uint32_t port)
{
	const struct unm_kring *tx = vale_tx(&v, port)->kring, *rx = vale_rx(&v, port)->kring;

	CHECK(tx->n_reinits == 0 && rx->n_reinits == 0);
	CHECK(tx->drops[UNM_DROP_BAD_SLOT] == 0 && tx->drops[UNM_DROP_RUNT] == 0);
	CHECK(tx->drops[UNM_DROP_NO_PORT] == 0);
}

static void
timed_txsync(uint32_t port)
{
	struct watch w;

	watch_start(&w);
	CHECK(unm_bport_txsync(v.port[port]) == 0);
	watch_end(&w);
}

/* A few frames to the receiver, some to others in between. */
static void
send_some(uint64_t *next, uint64_t *seed)
{
	static const uint32_t to[] = {RECEIVER, RECEIVER, PEER, RECEIVER, OTHER, UNM_NONE};
	struct unm_bring *tx = vale_tx(&v, SENDER);
	uint32_t n = traffic_random(seed) % 12;

	for (; n > 0 && ring_space(tx) > 0; n--) {
		const uint32_t dst = to[traffic_random(seed) % 6];
		const uint32_t len = TRAFFIC_MIN_LEN + traffic_random(seed) % 400;

		/* flow 0 is what has to arrive */
		if (dst == RECEIVER)
			ring_send_frame(tx, len, dst, SENDER, 0, (*next)++);
		else
			ring_send_frame(tx, len, dst, SENDER, 1, 0);
	}
	timed_txsync(SENDER);
}

static void
receive_all(struct flows *f)
{
	struct unm_bring *rx = vale_rx(&v, RECEIVER);
	uint32_t flow;
	uint64_t seq;

	for (vale_pending(&v, RECEIVER); ring_space(rx) > 0; ring_advance(rx, 1)) {
		const uint32_t at = rx->ring->head;

		CHECK(rx->ring->slot[at].len <= BUF_SIZE);
		/* The peer's own frames are what its garbage makes of them. */
		if (!traffic_check(ring_buf(rx, at), rx->ring->slot[at].len, &flow, &seq) ||
			flow != 0)
			continue;
		CHECK(seq == f->next[0]);
		f->next[0]++;
	}
	CHECK(unm_bport_rxsync(v.port[RECEIVER]) == 0);
}

/* It sends what it has, to all. Its buffers name itself only: a switch believes a forged source. */
static void
fill_peer_buffers(void)
{
	struct unm_bring *tx = vale_tx(&v, PEER);
	uint32_t i;

	for (i = 0; i < tx->num_slots; i++)
		traffic_fill(ring_buf(tx, i), 200, i % N_PORTS, PEER, 2, i);
}

static void
vale_storm(uint32_t receiver_flags)
{
	struct fake_geometry g = {.n_tx = 1, .n_rx = 1, .slots = SLOTS, .buf_size = BUF_SIZE};
	struct flows flows = {0};
	struct own own = {.n = 0};
	uint64_t seed = receiver_flags + 1, next = 0;
	uint32_t i;

	vale_rig_init(&v, 16);
	for (i = 0; i < N_PORTS; i++) {
		g.flags = i == RECEIVER ? receiver_flags : 0;
		vale_rig_add(&v, g);
	}
	vale_rig_teach(&v);
	fill_peer_buffers();
	own_add_ring(&own, vale_tx(&v, PEER));
	own_add_ring(&own, vale_rx(&v, PEER));
	own_add(&own, &v.d->seg.bindings[v.port[PEER]->info.binding],
		sizeof(struct unm_seg_binding));
	for (i = 0; i < ROUNDS; i++) {
		scribble(own.area, own.n, traffic_random(&seed) % MAX_GARBAGE, &seed);
		if (traffic_random(&seed) % 4 == 0) {
			peer_acts(v.port[PEER], &seed);
			receive_all(&flows); /* what it sends takes room */
		}
		send_some(&next, &seed);
		receive_all(&flows);
		vale_drain(&v, OTHER);
		if (traffic_random(&seed) % 8 == 0)
			own_restore(&own); /* locks as well, as netmapd would */
	}
	own_restore(&own);
	for (i = 0; i < SLOTS; i++) { /* the rest, which a lossless receiver may have held up */
		timed_txsync(SENDER);
		receive_all(&flows);
	}
	CHECK(flows.next[0] == next && next > ROUNDS);
	for (i = SENDER; i < N_PORTS; i++)
		expect_unharmed(i);
	own_free(&own);
	vale_rig_free(&v);
}

static void
test_vale(void **state)
{
	(void)state;
	vale_storm(0);
}

static void
test_vale_lossless(void **state)
{
	(void)state;
	vale_storm(UNM_PORTF_LOSSLESS);
}

/* --- pipes --- */

/* Slots that the application may look at. */
static void
expect_slots_ok(const struct unm_bring *r, uint32_t from, uint32_t to)
{
	uint32_t i;

	for (i = from; i != to; i = unm_pos_next(i, r->num_slots)) {
		const struct netmap_slot *s = &r->ring->slot[i];

		/* an empty buffer stands for what could not be passed on; a tx slot has no length yet */
		CHECK(unm_buf_idx_ok(s->buf_idx, r->n_bufs) || (r->is_rx && s->buf_idx == 0));
		CHECK(!r->is_rx || s->len <= r->buf_size);
	}
}

static void
expect_ring_ok(const struct unm_bring *r)
{
	const struct netmap_ring *ring = r->ring;

	CHECK(ring->head < r->num_slots && ring->cur < r->num_slots && ring->tail < r->num_slots);
	expect_slots_ok(r, ring->head, ring->tail);
}

static void
victim_acts(struct unm_bport *bp, uint64_t *seed)
{
	struct unm_bring *tx = &bp->tx[0], *rx = &bp->rx[0];
	struct watch w;
	uint32_t n;

	for (n = traffic_random(seed) % 20; n > 0 && ring_space(tx) > 0; n--) {
		tx->ring->slot[tx->ring->head].len = (uint16_t)(traffic_random(seed) % BUF_SIZE);
		ring_advance(tx, 1);
	}
	n = ring_space(rx);
	ring_advance(rx, n > 0 ? traffic_random(seed) % (n + 1) : 0);
	watch_start(&w);
	CHECK(unm_bport_txsync(bp) == 0);
	CHECK(unm_bport_rxsync(bp) == 0);
	unm_bport_arm(bp, POLLIN | POLLOUT);
	CHECK((unm_bport_poll(bp, POLLIN | POLLOUT) & POLLERR) == 0);
	watch_end(&w);
	expect_ring_ok(tx);
	expect_ring_ok(rx);
}

static void
test_pipe(void **state)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};
	struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 4 * SLOTS, BUF_SIZE);
	struct unm_bport *peer, *victim;
	struct own own = {.n = 0};
	uint64_t seed = 3;
	uint32_t i;

	(void)state;
	fake_port_add(d, &g);
	fake_port_add(d, &g);
	fake_pipe_join(d, 0, 1);
	peer = fake_port_open(d, 0);
	victim = fake_port_open(d, 1);
	own_add_ring(&own, &peer->tx[0]);
	own_add_ring(&own, &peer->rx[0]);
	own_add(&own, &d->seg.bindings[peer->info.binding], sizeof(struct unm_seg_binding));
	for (i = 0; i < ROUNDS; i++) {
		scribble(own.area, own.n, traffic_random(&seed) % MAX_GARBAGE, &seed);
		if (traffic_random(&seed) % 2 == 0)
			peer_acts(peer, &seed);
		victim_acts(victim, &seed);
		if (traffic_random(&seed) % 64 == 0)
			own_restore(&own);
	}
	CHECK(victim->tx[0].kring->n_pkts > 0 && victim->rx[0].kring->n_pkts > 0);
	CHECK(victim->tx[0].kring->n_reinits == 0 && victim->rx[0].kring->n_reinits == 0);
	own_free(&own);
	unm_bport_close(peer);
	unm_bport_close(victim);
	fake_domain_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vale),
		cmocka_unit_test(test_vale_lossless),
		cmocka_unit_test(test_pipe),
	};

	fake_slot = ACTOR_SLOT;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
