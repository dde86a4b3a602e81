/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy monitors (spec 15): what they see of VALE ports, pipes and TAPs, in which order and how much of it when their
 * ring is small; that whatever is wrong with a monitor (no room, no memory, a lock that does not come free, a list or
 * a ring full of nonsense) costs only its own frames; and its end.
 */
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring/kring.h"
#include "shm/lock.h"
#include "vale_rig.h"

#define SLOTS 32u

static struct vale_rig v;
static struct unm_bport *mon;
static uint32_t mon_port;

/* Ports 0, 1 and 2 on a switch. */
static int
setup(void **state)
{
	(void)state;
	vale_rig_init(&v, 2000);
	vale_rig_add(&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = SLOTS});
	vale_rig_add(&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = SLOTS});
	vale_rig_add(&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = SLOTS});
	vale_rig_teach(&v);
	mon = NULL;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unm_bport_close(mon);
	vale_rig_free(&v);
	assert_int_equal(fake_region_refs, 0);
	return 0;
}

static struct unm_bport *
watch(uint32_t port, uint32_t flags, uint32_t slots, uint32_t buf_size)
{
	mon_port = fake_monitor_add(v.d, port, flags, 1, slots, buf_size);
	mon = fake_port_open(v.d, mon_port);
	return mon;
}

/* The next slot of the monitor, which must hold a frame of @flow with number @seq. */
static void
expect_at(struct unm_bport *bp, uint32_t flow, uint64_t seq, uint16_t flags)
{
	struct unm_bring *r = &bp->rx[0];
	const uint32_t h = r->ring->head;
	uint32_t got_flow;
	uint64_t got_seq;

	assert_true(ring_space(r) > 0);
	assert_true(traffic_check(ring_buf(r, h), r->ring->slot[h].len, &got_flow, &got_seq));
	assert_int_equal(got_flow, flow);
	assert_true(got_seq == seq);
	assert_int_equal(r->ring->slot[h].flags & (NS_TXMON | NS_MOREFRAG), flags);
	ring_advance(r, 1);
}

static uint32_t
shown(struct unm_bport *bp)
{
	assert_int_equal(unm_bport_rxsync(bp), 0);
	return ring_space(&bp->rx[0]);
}

static uint64_t
lost(uint32_t m)
{
	return fake_kring(v.d, m, true, 0)->rx_full;
}

/* What port 0 sends is seen on its tx ring with the mark of that, what it gets is not; and the other way round. */
static void
directions(void **state)
{
	struct unm_bport *rx_mon, *both;

	(void)state;
	watch(0, UNM_MONF_TX, SLOTS, 2048);
	rx_mon = fake_port_open(v.d, fake_monitor_add(v.d, 0, UNM_MONF_RX, 1, SLOTS, 2048));
	both = fake_port_open(
		v.d, fake_monitor_add(v.d, 0, UNM_MONF_TX | UNM_MONF_RX, 1, SLOTS, 2048));
	vale_send(&v, 0, 1, 60, 1);
	vale_send(&v, 0, 2, 200, 2);
	vale_txsync(&v, 0);
	vale_send(&v, 1, 0, 1400, 7);
	vale_txsync(&v, 1);
	assert_int_equal(shown(mon), 2);
	expect_at(mon, 0, 1, NS_TXMON);
	expect_at(mon, 0, 2, NS_TXMON);
	assert_int_equal(shown(rx_mon), 1); /* port 0 has not looked at it, and never will */
	expect_at(rx_mon, 1, 7, 0);
	assert_int_equal(shown(both), 3);
	expect_at(both, 0, 1, NS_TXMON);
	expect_at(both, 0, 2, NS_TXMON);
	expect_at(both, 1, 7, 0);
	vale_expect(&v, 1, 0, 1); /* nobody else has noticed */
	vale_expect(&v, 2, 0, 2);
	vale_expect(&v, 0, 1, 7);
	unm_bport_close(rx_mon);
	unm_bport_close(both);
}

/* Floods reach no monitor as a destination, and a monitored receiver's monitor sees them once. */
static void
flood(void **state)
{
	(void)state;
	watch(1, UNM_MONF_RX, SLOTS, 2048);
	vale_send(&v, 0, UNM_NONE, 60, 3);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 1);
	expect_at(mon, 0, 3, 0);
	assert_int_equal(vale_all_drops(&v, 0), 0);
}

/* A small ring keeps the newest frames of a batch, whole ones, and counts the others. */
static void
newest_that_fit(void **state)
{
	uint64_t seq;

	(void)state;
	watch(0, UNM_MONF_TX, 8, 2048);
	for (seq = 0; seq < 20; seq++)
		vale_send(&v, 0, 1, 60, seq);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 7);
	assert_true(lost(mon_port) == 13);
	for (seq = 13; seq < 20; seq++)
		expect_at(mon, 0, seq, NS_TXMON);
	/* one of three slots, one of one, one of three: the first one does not fit beside the others */
	shown(mon);
	ring_send(vale_tx(&v, 0), "aaaaaaaaaaaaaaaaaaaa", 20, NS_MOREFRAG);
	ring_send(vale_tx(&v, 0), "b", 1, NS_MOREFRAG);
	ring_send(vale_tx(&v, 0), "c", 1, NS_MOREFRAG);
	ring_send(vale_tx(&v, 0), "d", 1, 0);
	vale_send(&v, 0, 1, 60, 99);
	ring_send(vale_tx(&v, 0), "aaaaaaaaaaaaaaaaaaaa", 20, NS_MOREFRAG);
	ring_send(vale_tx(&v, 0), "e", 1, NS_MOREFRAG);
	ring_send(vale_tx(&v, 0), "f", 1, 0);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 4);
	assert_true(lost(mon_port) == 14);
	expect_at(mon, 0, 99, NS_TXMON);
	assert_int_equal(
		mon->rx[0].ring->slot[mon->rx[0].ring->head].flags & NS_MOREFRAG, NS_MOREFRAG);
	assert_int_equal(vale_pending(&v, 1), 23); /* the receiver has them all */
}

/* Payload is cut to the monitor's buffers; where frames end stays. */
static void
small_buffers(void **state)
{
	uint8_t *buf;

	(void)state;
	watch(0, UNM_MONF_TX, SLOTS, 128);
	vale_send(&v, 0, 1, 1000, 5);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 1);
	assert_int_equal(mon->rx[0].ring->slot[0].len, 128);
	buf = ring_buf(&mon->rx[0], 0);
	assert_memory_equal(buf,
		ring_buf(vale_tx(&v, 0), unm_pos_prev(vale_tx(&v, 0)->ring->head, SLOTS)), 128);
}

/* OFFSETS of either side. */
static void
offsets(void **state)
{
	struct unm_bring *tx = vale_tx(&v, 0), *r;
	const uint32_t h = tx->ring->head;
	uint32_t flow;
	uint64_t seq;

	(void)state;
	watch(0, UNM_MONF_TX, SLOTS, 2048);
	r = &mon->rx[0];
	fake_port_set_offsets(v.d, 0, 16, 256, 0);
	fake_port_set_offsets(v.d, mon_port, 16, 128, 0);
	r->ring->slot[0].ptr = 64;
	r->ring->slot[1].ptr = 4000; /* beyond the maximum: corrected */
	tx->ring->slot[h].ptr = 100;
	traffic_fill(ring_buf(tx, h) + 100, 80, 1, 0, 0, 1);
	tx->ring->slot[h].len = 80;
	ring_advance(tx, 1);
	tx->ring->slot[h + 1].ptr = 200;
	traffic_fill(ring_buf(tx, h + 1) + 200, 90, 1, 0, 0, 2);
	tx->ring->slot[h + 1].len = 90;
	ring_advance(tx, 1);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 2);
	assert_true(
		traffic_check(ring_buf(r, 0) + 64, r->ring->slot[0].len, &flow, &seq) && seq == 1);
	assert_true(r->ring->slot[1].ptr == 128);
	assert_true(
		traffic_check(ring_buf(r, 1) + 128, r->ring->slot[1].len, &flow, &seq) && seq == 2);
}

static void
indirect(void **state)
{
	uint8_t frame[300];
	struct unm_bring *tx = vale_tx(&v, 0);

	(void)state;
	watch(0, UNM_MONF_TX, SLOTS, 2048);
	traffic_fill(frame, sizeof(frame), 1, 0, 0, 8);
	tx->ring->slot[tx->ring->head].ptr = (uintptr_t)frame;
	tx->ring->slot[tx->ring->head].len = sizeof(frame);
	tx->ring->slot[tx->ring->head].flags = NS_INDIRECT;
	ring_advance(tx, 1);
	tx->ring->slot[tx->ring->head].ptr = 16; /* nothing there */
	tx->ring->slot[tx->ring->head].len = 64;
	tx->ring->slot[tx->ring->head].flags = NS_INDIRECT;
	ring_advance(tx, 1);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 2);
	expect_at(mon, 0, 8, NS_TXMON);
	assert_int_equal(mon->rx[0].ring->slot[1].len, 0);
}

/* What a full lossless receiver keeps in the sender's ring is shown once, although several syncs take it. */
static void
shown_once(void **state)
{
	uint64_t seq, n = 0;
	int i;

	(void)state;
	fake_port_set_state(v.d, 1, UNM_PORT_ACTIVE, UNM_PORTF_OPEN | UNM_PORTF_LOSSLESS);
	watch(0, UNM_MONF_TX, 256, 2048);
	for (i = 0; i < 30; i++) {
		for (seq = 0; seq < 5 && ring_space(vale_tx(&v, 0)) > 0; seq++)
			vale_send(&v, 0, 1, 60, n++);
		vale_txsync(&v, 0);
		vale_txsync(&v, 0);
		if (vale_pending(&v, 1) > 0 && i % 3 == 0)
			ring_advance(vale_rx(&v, 1), 3);
	}
	assert_int_equal(shown(mon), n);
	for (seq = 0; seq < n; seq++)
		expect_at(mon, 0, seq, NS_TXMON);
}

/* A monitor whose ring is full, whose memory can't be had or whose lock is held loses frames, and only it does. */
static void
no_room(void **state)
{
	uint64_t seq;

	(void)state;
	watch(0, UNM_MONF_TX, 4, 2048);
	for (seq = 0; seq < 10; seq++) {
		vale_send(&v, 0, 1, 60, seq);
		vale_txsync(&v, 0);
	}
	assert_int_equal(shown(mon), 3);
	assert_true(lost(mon_port) == 7);
	expect_at(mon, 0, 0, NS_TXMON); /* the oldest: it came when there was room */
	assert_int_equal(vale_pending(&v, 1), 10);
}

static void
no_memory(void **state)
{
	(void)state;
	watch(0, UNM_MONF_TX, SLOTS, 2048);
	v.d->deny_uid = v.d->seg.ports[mon_port].region_uid;
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 0);
	assert_true(lost(mon_port) == 1);
	vale_expect(&v, 1, 0, 1);
	v.d->deny_uid = 0;
	usleep(1100000); /* it is tried again after a second */
	vale_send(&v, 0, 1, 60, 2);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 1);
	expect_at(mon, 0, 2, NS_TXMON);
}

static void
stuck_lock(void **state)
{
	const unsigned int stuck = fake_stuck_calls;
	struct unm_kring *k;
	uint64_t seq, begin;

	(void)state;
	watch(0, UNM_MONF_TX, SLOTS, 2048);
	k = fake_kring(v.d, mon_port, true, 0);
	k->lock = 77;
	begin = traffic_now_ns();
	for (seq = 0; seq < 20; seq++) {
		vale_send(&v, 0, 1, 60, seq);
		vale_txsync(&v, 0);
	}
	assert_true(traffic_now_ns() - begin <
		    500 * UINT64_C(1000000)); /* 20 waits of 50 ms would be 1 s */
	assert_int_equal(fake_stuck_calls, stuck + 1);
	assert_int_equal(vale_pending(&v, 1), 20);
	k->lock = 0;
	vale_send(&v, 0, 1, 60, 20);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 1);
	expect_at(mon, 0, 20, NS_TXMON);
	assert_true(lost(mon_port) == 20); /* counted when that was possible */
}

/* Monitors come and go in the middle of traffic; the others stay. */
static void
come_and_go(void **state)
{
	struct unm_kring *tx = fake_kring(v.d, 0, false, 0);
	struct unm_bport *second;
	uint32_t port;

	(void)state;
	watch(0, UNM_MONF_TX, SLOTS, 2048);
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	port = fake_monitor_add(v.d, 0, UNM_MONF_TX, 1, SLOTS, 2048);
	second = fake_port_open(v.d, port);
	vale_send(&v, 0, 1, 60, 2);
	vale_txsync(&v, 0);
	/* Off the list, but the sender does not know yet: asked under the lock, the ring says so. */
	fake_kring(v.d, port, true, 0)->mon_of[UNM_MON_OF_TX] = UNM_NONE;
	vale_send(&v, 0, 1, 60, 3);
	vale_txsync(&v, 0);
	fake_kring(v.d, port, true, 0)->mon_of[UNM_MON_OF_TX] = (uint32_t)(tx - v.d->seg.krings);
	fake_monitor_unlink(v.d, port, 0, tx);
	vale_send(&v, 0, 1, 60, 4);
	vale_txsync(&v, 0);
	assert_int_equal(shown(second), 1);
	expect_at(second, 0, 2, NS_TXMON);
	unm_bport_close(second);
	/* Closed, and not yet off the list. */
	fake_port_set_state(v.d, mon_port, UNM_PORT_ACTIVE, 0);
	vale_send(&v, 0, 1, 60, 5);
	vale_txsync(&v, 0);
	fake_port_set_state(v.d, mon_port, UNM_PORT_ACTIVE, UNM_PORTF_OPEN);
	vale_send(&v, 0, 1, 60, 6);
	vale_txsync(&v, 0);
	assert_int_equal(shown(mon), 5);
	assert_int_equal(vale_pending(&v, 1), 6);
}

/* When the last one has gone the sender lets go of its memory. */
static void
memory_is_let_go(void **state)
{
	(void)state;
	watch(1, UNM_MONF_RX, SLOTS, 2048);
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	vale_drain(&v, 1);
	assert_true(shown(mon) == 1);
	{
		const unsigned int before = fake_region_refs;

		fake_monitor_unlink(v.d, mon_port, 0, fake_kring(v.d, 1, true, 0));
		vale_send(&v, 0, 1, 60, 2);
		vale_txsync(&v, 0);
		vale_drain(&v, 1);
		assert_true(fake_region_refs < before - 1); /* the sender's and the receiver's */
	}
}

/* Lists and rings full of nonsense. */
static void
nonsense(void **state)
{
	struct unm_kring *tx = fake_kring(v.d, 0, false, 0), *k;
	uint64_t seq = 0;
	uint32_t i;

	(void)state;
	watch(0, UNM_MONF_TX, SLOTS, 2048);
	k = fake_kring(v.d, mon_port, true, 0);
	k->mon_next[UNM_MON_OF_TX] = tx->mon_head; /* a circle: followed for a while */
	v.d->seg.hdr->epoch++;
	vale_send(&v, 0, 1, 60, seq++);
	vale_txsync(&v, 0);
	assert_int_equal(vale_pending(&v, 1), seq);
	for (i = 0; i < 6; i++) {
		static const uint32_t heads[] = {0, 1, 5, UNM_SEG_NKRINGS, UINT32_MAX - 1, 77777};

		tx->mon_head = heads[i];
		v.d->seg.hdr->epoch++;
		vale_send(&v, 0, 1, 60, seq++);
		vale_txsync(&v, 0);
		assert_int_equal(vale_pending(&v, 1), seq);
	}
	k->mon_next[UNM_MON_OF_TX] = UNM_NONE;
	tx->mon_head = (uint32_t)(k - v.d->seg.krings);
	v.d->seg.hdr->epoch++;
	for (i = 0; i < SLOTS; i++) { /* what a hostile monitor does to its own */
		mon->rx[0].ring->slot[i].buf_idx = i % 3 == 0	? UINT32_MAX
						   : i % 3 == 1 ? 0
								: 100000;
		mon->rx[0].ring->slot[i].ptr = UINT64_MAX;
	}
	k->hwcur = 12345;
	k->hwtail = 99999;
	for (i = 0; i < 3; i++) {
		vale_send(&v, 0, 1, 60, seq++);
		vale_txsync(&v, 0);
		assert_int_equal(vale_pending(&v, 1), seq);
		k->offset_mask = UINT64_MAX;
		k->offset_max = UINT32_MAX;
		k->offset_gap = 1;
	}
	vale_expect(&v, 1, 0, 0);
}

/* The watched port is closed: what is in the ring can be read, then EIO and POLLERR for good. */
static void
orphan(void **state)
{
	(void)state;
	watch(0, UNM_MONF_TX, SLOTS, 2048);
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	fake_port_set_state(v.d, mon_port, UNM_PORT_ACTIVE, UNM_PORTF_OPEN | UNM_PORTF_ORPHAN);
	assert_int_equal(unm_bport_poll(mon, POLLIN), POLLIN);
	expect_at(mon, 0, 1, NS_TXMON);
	assert_int_equal(unm_bport_rxsync(mon), -EIO);
	assert_int_equal(unm_bport_rxsync(mon), -EIO);
	assert_int_equal(unm_bport_poll(mon, POLLIN), POLLERR);
}

/* It sends nothing; asking for no POLLOUT it can be polled with its tx ring bound. */
static void
sends_nothing(void **state)
{
	(void)state;
	watch(0, UNM_MONF_TX, SLOTS, 2048);
	assert_int_equal(unm_bport_txsync(mon), -EIO);
	assert_int_equal(unm_bport_poll(mon, POLLIN), 0);
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	assert_int_equal(unm_bport_poll(mon, POLLIN), POLLIN);
	assert_true(unm_bport_poll(mon, POLLOUT) & POLLERR);
}

/* Who sleeps on a monitor is woken by who sends, in either direction. */
static void
wakes(void **state)
{
	(void)state;
	watch(0, UNM_MONF_TX | UNM_MONF_RX, SLOTS, 2048);
	unm_bport_arm(mon, POLLIN);
	assert_int_equal(unm_bport_poll(mon, POLLIN), 0);
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	assert_true(fake_signals(v.d, mon->info.binding) > 0);
	shown(mon);
	ring_advance(&mon->rx[0], 1);
	unm_bport_arm(mon, POLLIN);
	assert_int_equal(unm_bport_poll(mon, POLLIN), 0);
	vale_send(&v, 2, 0, 60, 1);
	vale_txsync(&v, 2);
	assert_true(fake_signals(v.d, mon->info.binding) > 0);
}

/* Ring i shows ring i of either direction. */
static void
many_rings(void **state)
{
	struct unm_bport *bp;
	uint32_t port, m, i;

	(void)state;
	port = vale_rig_add(&v, (struct fake_geometry){.n_tx = 4, .n_rx = 2, .slots = SLOTS});
	m = fake_monitor_add(v.d, port, UNM_MONF_TX | UNM_MONF_RX, 4, SLOTS, 2048);
	bp = fake_port_open(v.d, m);
	for (i = 0; i < 4; i++)
		ring_send_frame(&v.port[port]->tx[i], 60, 1, port, port, i);
	vale_txsync(&v, port);
	assert_int_equal(unm_bport_rxsync(bp), 0);
	for (i = 0; i < 4; i++) {
		struct unm_bring *r = &bp->rx[i];
		uint32_t flow;
		uint64_t seq;

		assert_int_equal(ring_space(r), 1);
		assert_true(traffic_check(ring_buf(r, 0), r->ring->slot[0].len, &flow, &seq));
		assert_true(seq == i);
	}
	unm_bport_close(bp);
}

/* --- pipes --- */

static void
pipes(void **state)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};
	struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 400, 2048);
	const uint32_t pa = fake_port_add(d, &g), pb = fake_port_add(d, &g);
	struct unm_bport *a, *b, *of_a, *of_b;

	(void)state;
	fake_pipe_join(d, pa, pb);
	a = fake_port_open(d, pa);
	b = fake_port_open(d, pb);
	of_a = fake_port_open(
		d, fake_monitor_add(d, pa, UNM_MONF_TX | UNM_MONF_RX, 1, SLOTS, 2048));
	of_b = fake_port_open(
		d, fake_monitor_add(d, pb, UNM_MONF_TX | UNM_MONF_RX, 1, SLOTS, 2048));
	ring_send_frame(&a->tx[0], 60, 1, 0, 0, 1);
	ring_send_frame(&a->tx[0], 60, 1, 0, 0, 2);
	a->tx[0].ring->slot[1].flags = NS_MOREFRAG; /* the rest is still to come */
	assert_int_equal(unm_bport_txsync(a), 0);
	assert_int_equal(shown(of_a), 1);
	assert_int_equal(shown(of_b), 1);
	expect_at(of_a, 0, 1, NS_TXMON);
	expect_at(of_b, 0, 1, 0);
	ring_send_frame(&a->tx[0], 60, 1, 0, 0, 3);
	assert_int_equal(unm_bport_txsync(a), 0);
	assert_int_equal(unm_bport_txsync(a), 0);
	assert_int_equal(shown(of_a), 2);
	assert_int_equal(shown(of_b), 2);
	expect_at(of_a, 0, 2, NS_TXMON | NS_MOREFRAG);
	expect_at(of_a, 0, 3, NS_TXMON);
	expect_at(of_b, 0, 2, NS_MOREFRAG);
	expect_at(of_b, 0, 3, 0);
	assert_int_equal(shown(b), 3);
	unm_bport_close(of_a);
	unm_bport_close(of_b);
	unm_bport_close(a);
	unm_bport_close(b);
	fake_domain_free(d);
	fake_domain_use(v.d);
}

/* --- TAP: the frames come from the kernel --- */

struct tap {
	struct fake_domain *d;
	uint32_t port, m;
	struct unm_bport *bp, *mon;
	int queue, kernel;
};

static void
tap_open(struct tap *t, uint32_t slots, uint32_t mon_slots)
{
	const struct fake_geometry g = {.kind = UNM_PORT_TAP, .n_tx = 1, .n_rx = 1, .slots = slots};
	struct unm_bind_info info;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	t->queue = sv[0];
	t->kernel = sv[1];
	t->d = fake_domain_new(UNM_SEG_DOMAIN, 400, 2048);
	t->port = fake_port_add(t->d, &g);
	info = fake_bind_info(t->d, t->port, t->d->seg.ports[t->port].bind_head);
	info.n_port_fds = 1;
	t->bp = fake_port_open_info(t->d, &info, &t->queue);
	t->m = fake_monitor_add(t->d, t->port, UNM_MONF_TX | UNM_MONF_RX, 1, mon_slots, 2048);
	info = fake_bind_info(t->d, t->m, t->d->seg.ports[t->m].bind_head);
	info.n_port_fds = 1;
	t->mon = fake_port_open_info(t->d, &info, &t->queue);
}

static void
tap_close(struct tap *t)
{
	unm_bport_close(t->mon);
	unm_bport_close(t->bp);
	close(t->queue);
	close(t->kernel);
	fake_domain_free(t->d);
	fake_domain_use(v.d);
}

static void
arrive(struct tap *t, uint64_t seq)
{
	uint8_t frame[12 + 60] = {0};

	traffic_fill(frame + 12, 60, 0, 1, 1, seq);
	assert_int_equal(send(t->kernel, frame, sizeof(frame), 0), sizeof(frame));
}

/* The monitor fetches what the TAP's client does not; that one finds it later, in order, and is woken. */
static void
tap_fetch(void **state)
{
	struct pollfd fds[2];
	struct tap t;
	uint32_t tail;

	(void)state;
	tap_open(&t, 8, SLOTS);
	unm_bport_arm(t.bp, POLLIN);
	assert_int_equal(unm_bport_poll(t.bp, POLLIN), 0);
	tail = t.bp->rx[0].ring->tail;
	assert_int_equal(unm_bport_fds(t.mon, POLLIN, fds, 2), 1);
	assert_int_equal(fds[0].fd, t.queue);
	arrive(&t, 1);
	arrive(&t, 2);
	assert_int_equal(shown(t.mon), 2);
	assert_true(fake_signals(t.d, t.bp->info.binding) > 0);
	assert_int_equal(t.bp->rx[0].ring->tail, tail); /* it changes in its own syncs only */
	arrive(&t, 3);
	assert_int_equal(
		shown(t.bp), 3); /* its own sync brings what the monitor has fetched, and more */
	expect_at(t.bp, 1, 1, 0);
	expect_at(t.bp, 1, 2, 0);
	assert_int_equal(shown(t.mon), 3);
	expect_at(t.mon, 1, 1, 0);
	expect_at(t.mon, 1, 2, 0);
	expect_at(t.mon, 1, 3, 0);
	assert_int_equal(shown(t.bp), 1);
	expect_at(t.bp, 1, 3, 0);
	ring_send_frame(&t.bp->tx[0], 60, 0, 0, 0, 9);
	assert_int_equal(unm_bport_txsync(t.bp), 0);
	assert_int_equal(shown(t.mon), 1);
	expect_at(t.mon, 0, 9, NS_TXMON);
	tap_close(&t);
}

/* A full ring of the TAP: nobody sleeps on a queue that he can't empty, and whoever makes room tells. */
static void
tap_full(void **state)
{
	struct pollfd fds[2];
	struct tap t;
	uint64_t seq;

	(void)state;
	tap_open(&t, 8, SLOTS);
	for (seq = 0; seq < 9; seq++)
		arrive(&t, seq);
	assert_int_equal(shown(t.mon), 7);
	ring_advance(&t.mon->rx[0], 7);
	unm_bport_arm(t.mon, POLLIN);
	assert_int_equal(unm_bport_poll(t.mon, POLLIN), 0);
	assert_int_equal(unm_bport_fds(t.mon, POLLIN, fds, 2), 0);
	assert_int_equal(shown(t.bp), 7);
	assert_true(fake_signals(t.d, t.mon->info.binding) == 0);
	ring_advance(&t.bp->rx[0], 7);
	shown(t.bp);
	assert_true(fake_signals(t.d, t.mon->info.binding) > 0);
	assert_int_equal(unm_bport_fds(t.mon, POLLIN, fds, 2), 1);
	assert_int_equal(shown(t.mon), 2);
	tap_close(&t);
}

/* Who is being synced is left alone; the TAP's client in turn finds its ring busy, and is told to look again. */
static void
tap_busy(void **state)
{
	struct tap t;

	(void)state;
	tap_open(&t, 8, SLOTS);
	arrive(&t, 1);
	t.bp->rx[0].kring->busy = 99;
	assert_int_equal(shown(t.mon), 0);
	assert_true(t.bp->rx[0].kring->busy & UNM_LOCK_CONTENDED);
	t.bp->rx[0].kring->busy = 0;
	assert_int_equal(shown(t.mon), 1);
	tap_close(&t);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(directions),
		TEST(flood),
		TEST(newest_that_fit),
		TEST(small_buffers),
		TEST(offsets),
		TEST(indirect),
		TEST(shown_once),
		TEST(no_room),
		TEST(no_memory),
		TEST(stuck_lock),
		TEST(come_and_go),
		TEST(memory_is_let_go),
		TEST(nonsense),
		TEST(orphan),
		TEST(sends_nothing),
		TEST(wakes),
		TEST(many_rings),
		TEST(pipes),
		TEST(tap_fetch),
		TEST(tap_full),
		TEST(tap_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
