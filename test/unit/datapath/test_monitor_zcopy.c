/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Zero-copy monitors (spec 15.3): when buffers change places, with what marks; that no buffer is ever lost or in two
 * places, whatever the rings' sizes and whoever leaves what unread; chains; exchanges that somebody left half done.
 */
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ring/kring.h"
#include "vale_rig.h"

#define SLOTS 16u

static struct vale_rig v;

static int
setup(void **state)
{
	(void)state;
	vale_rig_init(&v, 2000);
	vale_rig_add(&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = SLOTS});
	vale_rig_add(&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = SLOTS});
	vale_rig_teach(&v);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vale_rig_free(&v);
	assert_int_equal(fake_region_refs, 0);
	return 0;
}

static uint32_t
zcopy(struct fake_domain *d, uint32_t watched, uint32_t slots, struct unm_bport **bp)
{
	const uint32_t m = fake_monitor_add(
		d, watched, UNM_MONF_TX | UNM_MONF_RX | UNM_MONF_ZCOPY, 1, slots, 0);

	*bp = fake_port_open(d, m);
	return m;
}

static int
by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Every buffer that rings of @d name is named once, so none is missing. Not of a pipe's rx rings, which borrow. */
static void
assert_each_once(const struct fake_domain *d)
{
	static uint32_t idx[4096];
	uint32_t n = 0, k, i;

	for (k = 0; k < d->kring_top; k++) {
		const struct unm_kring *kr = &d->seg.krings[k];
		const struct netmap_ring *ring;

		if (d->seg.ports[kr->port].kind == UNM_PORT_PIPE && kr->is_rx)
			continue;
		ring = (const struct netmap_ring *)(const void
				*)(d->regions[d->region_of[kr->port]].region.base + kr->ring_ofs);
		for (i = 0; i < kr->num_slots; i++)
			idx[n++] = ring->slot[i].buf_idx;
	}
	qsort(idx, n, sizeof(idx[0]), by_value);
	for (i = 1; i < n; i++)
		assert_true(idx[i] != idx[i - 1]);
}

/* The next slot of @r holds frame @seq of @flow. Return: its buffer. */
static uint32_t
expect_at(struct unm_bring *r, uint32_t flow, uint64_t seq, uint16_t flags)
{
	const uint32_t h = r->ring->head;
	const struct netmap_slot s = r->ring->slot[h];
	uint32_t got_flow;
	uint64_t got_seq;

	assert_true(ring_space(r) > 0);
	assert_true(traffic_check(ring_buf(r, h), s.len, &got_flow, &got_seq));
	assert_int_equal(got_flow, flow);
	assert_true(got_seq == seq);
	assert_int_equal(s.flags & (NS_TXMON | NS_MOREFRAG), flags);
	ring_advance(r, 1);
	return s.buf_idx;
}

static uint32_t
shown(struct unm_bport *bp)
{
	assert_int_equal(unm_bport_rxsync(bp), 0);
	return ring_space(&bp->rx[0]);
}

/* tx: the buffer that was sent is the monitor's, another one is in its slot, marked. */
static void
vale_tx_side(void **state)
{
	struct unm_bring *tx = vale_tx(&v, 0);
	const uint32_t h = tx->ring->head, sent = tx->ring->slot[h].buf_idx;
	struct unm_bport *mon;
	uint32_t spare;

	(void)state;
	zcopy(v.d, 0, SLOTS, &mon);
	spare = mon->rx[0].ring->slot[0].buf_idx;
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 1);
	assert_int_equal(expect_at(&mon->rx[0], 0, 1, NS_TXMON), sent);
	assert_int_equal(tx->ring->slot[h].buf_idx, spare);
	assert_true(tx->ring->slot[h].flags & NS_BUF_CHANGED);
	vale_expect(&v, 1, 0, 1);
	assert_each_once(v.d);
	unm_bport_close(mon);
}

/* rx: when the client gives the slot back, not before. */
static void
vale_rx_side(void **state)
{
	struct unm_bring *rx = vale_rx(&v, 1);
	struct unm_bport *mon;

	(void)state;
	zcopy(v.d, 1, SLOTS, &mon);
	vale_send(&v, 0, 1, 60, 1);
	vale_send(&v, 0, 1, 60, 2);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 0);
	assert_int_equal(vale_pending(&v, 1), 2);
	assert_int_equal(shown(mon), 0);
	vale_expect(&v, 1, 0, 1);
	assert_int_equal(shown(mon), 1);
	expect_at(&mon->rx[0], 0, 1, 0);
	assert_true(rx->ring->slot[0].flags & NS_BUF_CHANGED);
	assert_each_once(v.d);
	unm_bport_close(mon);
}

/* No room: the newest are kept, the watched ring keeps its own buffers for the others. */
static void
no_room(void **state)
{
	struct unm_bring *tx = vale_tx(&v, 0);
	const uint32_t h = tx->ring->head, first = tx->ring->slot[h].buf_idx;
	struct unm_bport *mon;
	uint32_t m;
	uint64_t seq;

	(void)state;
	m = zcopy(v.d, 0, 4, &mon);
	for (seq = 0; seq < 10; seq++)
		vale_send(&v, 0, 1, 60, seq);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 3);
	assert_int_equal(tx->ring->slot[h].buf_idx, first);
	for (seq = 7; seq < 10; seq++)
		expect_at(&mon->rx[0], 0, seq, NS_TXMON);
	assert_true(fake_kring(v.d, m, true, 0)->rx_full == 7);
	assert_int_equal(vale_pending(&v, 1), 10);
	assert_each_once(v.d);
	unm_bport_close(mon);
}

/* A second one gets from the first what that one gives back. */
static void
chain(void **state)
{
	struct unm_bport *first, *second;
	uint32_t a, b;

	(void)state;
	a = zcopy(v.d, 0, SLOTS, &first);
	b = fake_port_add(
		v.d, &(struct fake_geometry){
			     .kind = UNM_PORT_MONITOR, .n_tx = 1, .n_rx = 1, .slots = SLOTS});
	v.d->seg.ports[b].mon_flags = UNM_MONF_TX | UNM_MONF_RX | UNM_MONF_ZCOPY;
	fake_monitor_link(v.d, b, 0, fake_kring(v.d, a, true, 0));
	second = fake_port_open(v.d, b);
	vale_send(&v, 0, 1, 60, 1);
	vale_send(&v, 0, 1, 60, 2);
	vale_txsync(&v, 0);
	assert_int_equal(shown(second), 0);
	assert_int_equal(shown(first), 2);
	expect_at(&first->rx[0], 0, 1, NS_TXMON);
	shown(first);
	assert_int_equal(shown(second), 1);
	expect_at(&second->rx[0], 0, 1, NS_TXMON); /* the mark comes along */
	expect_at(&first->rx[0], 0, 2, NS_TXMON);
	assert_each_once(v.d);
	unm_bport_close(first);
	unm_bport_close(second);
}

/* An exchange that is still open belongs to netmapd; nothing is given to that ring meanwhile. */
static void
left_open(void **state)
{
	struct unm_bport *mon;
	struct unm_kring *k;

	(void)state;
	k = fake_kring(v.d, zcopy(v.d, 0, SLOTS, &mon), true, 0);
	k->swap.is_open = 1;
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 0);
	assert_true(k->rx_full == 1);
	k->swap.is_open = 0;
	vale_send(&v, 0, 1, 60, 2);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 1);
	assert_each_once(v.d);
	unm_bport_close(mon);
}

/* Nonsense in either ring: bad indices are not exchanged. */
static void
nonsense(void **state)
{
	struct unm_bring *tx = vale_tx(&v, 0);
	const uint32_t h = tx->ring->head;
	struct unm_bport *mon;

	(void)state;
	zcopy(v.d, 0, SLOTS, &mon);
	vale_send(&v, 0, 1, 60, 1);
	tx->ring->slot[h].buf_idx = UINT32_MAX;
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 1);
	assert_int_equal(mon->rx[0].ring->slot[0].len, 0);
	assert_int_equal(tx->ring->slot[h].buf_idx, UINT32_MAX);
	ring_advance(&mon->rx[0], 1);
	shown(mon);
	mon->rx[0].ring->slot[1].buf_idx = 1;
	vale_send(&v, 0, 1, 60, 2);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 0);
	unm_bport_close(mon);
}

/* A region that is not the watched port's: nothing may be exchanged, whatever the list says. */
static void
other_region(void **state)
{
	struct unm_bport *mon;
	uint32_t m;

	(void)state;
	m = fake_port_add(v.d, &(struct fake_geometry){.kind = UNM_PORT_MONITOR,
				       .n_tx = 1,
				       .n_rx = 1,
				       .slots = SLOTS,
				       .buf_size = 2048});
	v.d->seg.ports[m].mon_flags = UNM_MONF_TX | UNM_MONF_ZCOPY;
	fake_monitor_link(v.d, m, 0, fake_kring(v.d, 0, false, 0));
	mon = fake_port_open(v.d, m);
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 0);
	assert_true(fake_kring(v.d, m, true, 0)->rx_full == 1);
	unm_bport_close(mon);
}

/* --- pipes: sent slots are the receiver's until they come back --- */

struct pipe_rig {
	struct fake_domain *d;
	uint32_t pa, pb;
	struct unm_bport *a, *b;
};

static void
pipe_open(struct pipe_rig *p)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};

	p->d = fake_domain_new(UNM_SEG_DOMAIN, 400, 2048);
	p->pa = fake_port_add(p->d, &g);
	p->pb = fake_port_add(p->d, &g);
	fake_pipe_join(p->d, p->pa, p->pb);
	p->a = fake_port_open(p->d, p->pa);
	p->b = fake_port_open(p->d, p->pb);
}

static void
pipe_close(struct pipe_rig *p)
{
	unm_bport_close(p->a);
	unm_bport_close(p->b);
	fake_domain_free(p->d);
	fake_domain_use(v.d);
}

static void
pipe_tx_side(void **state)
{
	struct unm_bport *mon;
	struct pipe_rig p;

	(void)state;
	pipe_open(&p);
	zcopy(p.d, p.pa, SLOTS, &mon);
	ring_send_frame(&p.a->tx[0], 60, 1, 0, 0, 1);
	assert_int_equal(unm_bport_txsync(p.a), 0);
	assert_int_equal(shown(mon), 0); /* it is with the receiver */
	assert_int_equal(shown(p.b), 1);
	expect_at(&p.b->rx[0], 0, 1, 0);
	shown(p.b);
	assert_int_equal(unm_bport_txsync(p.a), 0); /* takes it back */
	assert_int_equal(shown(mon), 1);
	expect_at(&mon->rx[0], 0, 1, NS_TXMON);
	assert_each_once(p.d);
	unm_bport_close(mon);
	pipe_close(&p);
}

static void
pipe_rx_side(void **state)
{
	struct unm_bport *mon;
	struct pipe_rig p;
	uint64_t seq;

	(void)state;
	pipe_open(&p);
	zcopy(p.d, p.pb, SLOTS, &mon);
	for (seq = 0; seq < 100; seq++) {
		ring_send_frame(&p.a->tx[0], 60, 1, 0, 0, seq);
		assert_int_equal(unm_bport_txsync(p.a), 0);
		assert_int_equal(shown(p.b), 1);
		assert_int_equal(shown(mon), 0);
		expect_at(&p.b->rx[0], 0, seq, 0);
		shown(p.b);
		assert_int_equal(shown(mon), 1);
		expect_at(&mon->rx[0], 0, seq, 0);
		assert_int_equal(unm_bport_txsync(p.a), 0);
		assert_each_once(p.d); /* the buffer has come back by the sender's ring */
	}
	unm_bport_close(mon);
	pipe_close(&p);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(vale_tx_side),
		TEST(vale_rx_side),
		TEST(no_room),
		TEST(chain),
		TEST(left_open),
		TEST(nonsense),
		TEST(other_region),
		TEST(pipe_tx_side),
		TEST(pipe_rx_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
