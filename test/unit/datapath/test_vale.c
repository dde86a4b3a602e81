/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VALE (spec 16.3): who gets which frame, on which ring, in which order; learning and moves; ports that come and go;
 * 300 ports on one switch.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ring/kring.h"
#include "vale/fdb.h"
#include "vale/forward.h"
#include "vale_rig.h"

static struct vale_rig v;

static int
teardown(void **state)
{
	(void)state;
	vale_rig_free(&v);
	assert_int_equal(fake_region_refs, 0);
	return 0;
}

static void
unicast(void **state)
{
	(void)state;
	vale_rig_simple(&v, 3, 16);
	vale_send(&v, 0, 2, 60, 1); /* nobody knows 2 */
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 1);
	vale_expect(&v, 2, 0, 1);
	vale_send(&v, 2, 0, 60, 1); /* 0 has been heard */
	vale_txsync(&v, 2);
	vale_expect(&v, 0, 2, 1);
	assert_int_equal(vale_pending(&v, 1), 0);
	vale_send(&v, 0, 2, 60, 2); /* and now 2 as well */
	vale_txsync(&v, 0);
	vale_expect(&v, 2, 0, 2);
	assert_int_equal(vale_pending(&v, 1), 0);
	assert_int_equal(vale_pending(&v, 0), 0);
	assert_true(vale_all_drops(&v, 0) == 0);
	assert_true(vale_tx(&v, 0)->kring->n_pkts == 2);
	assert_true(vale_tx(&v, 0)->kring->n_bytes == 120);
	assert_true(vale_rx(&v, 2)->kring->rx_pkts == 2);
	assert_true(vale_rx(&v, 2)->kring->rx_bytes == 120);
}

/* After a txsync all slots are free again, whoever got the frames. */
static void
sender_not_blocked(void **state)
{
	uint32_t i, round;

	(void)state;
	vale_rig_simple(&v, 2, 16);
	vale_rig_teach(&v);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 15; i++)
			vale_send(&v, 0, 1, 60, i);
		vale_txsync(&v, 0);
		assert_int_equal(ring_space(vale_tx(&v, 0)), 15);
	}
	assert_true(vale_drops(&v, 0, UNM_DROP_RX_FULL) == 30);
	assert_true(vale_rx(&v, 1)->kring->rx_full == 30);
	for (i = 0; i < 15; i++)
		vale_expect(&v, 1, 0, i); /* the first ones, in order */
	assert_int_equal(vale_pending(&v, 1), 0);
}

static void
groups_flood(void **state)
{
	static const uint8_t groups[][6] = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{1, 0, 0x5e, 1, 2, 3}, {0x33, 0x33, 0, 0, 0, 1}};
	uint8_t frame[60] = {0};
	size_t i;

	(void)state;
	vale_rig_simple(&v, 4, 16);
	vale_rig_teach(&v);
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		uint32_t p;

		memcpy(frame, groups[i], 6);
		traffic_mac(frame + 6, 1);
		ring_send(vale_tx(&v, 1), frame, sizeof(frame), 0);
		vale_txsync(&v, 1);
		for (p = 0; p < 4; p++)
			assert_int_equal(vale_drain(&v, p), p == 1 ? 0 : 1);
	}
}

static void
moves(void **state)
{
	uint8_t frame[60] = {0};

	(void)state;
	vale_rig_simple(&v, 4, 16);
	vale_rig_teach(&v);
	vale_send(&v, 0, 2, 60, 1);
	vale_txsync(&v, 0);
	vale_expect(&v, 2, 0, 1);
	traffic_mac(frame, 0);
	traffic_mac(frame + 6, 2); /* 2's address, now heard on 3 */
	ring_send(vale_tx(&v, 3), frame, sizeof(frame), 0);
	vale_txsync(&v, 3);
	vale_drain(&v, 0);
	vale_send(&v, 0, 2, 60, 2);
	vale_txsync(&v, 0);
	vale_expect(&v, 3, 0, 2);
	assert_int_equal(vale_pending(&v, 2), 0);
	vale_send(&v, 2, 0, 60, 9); /* and back again, though it was the last one heard on 3 */
	vale_txsync(&v, 2);
	vale_send(&v, 0, 2, 60, 3);
	vale_txsync(&v, 0);
	vale_expect(&v, 2, 0, 3);
}

/* Group and zero source addresses are not learned. */
static void
sources_not_learned(void **state)
{
	static const uint8_t bad[][6] = {
		{0, 0, 0, 0, 0, 0}, {1, 2, 3, 4, 5, 6}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	uint8_t frame[60] = {0};
	size_t i;

	(void)state;
	vale_rig_simple(&v, 3, 16);
	vale_rig_teach(&v);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		traffic_mac(frame, 0);
		memcpy(frame + 6, bad[i], 6);
		ring_send(vale_tx(&v, 1), frame, sizeof(frame), 0);
		vale_txsync(&v, 1);
		vale_drain(&v, 0);
		memcpy(frame, bad[i], 6);
		traffic_mac(frame + 6, 0);
		ring_send(vale_tx(&v, 0), frame, sizeof(frame), 0);
		vale_txsync(&v, 0);
		assert_int_equal(vale_drain(&v, 1), 1); /* flooded */
		assert_int_equal(vale_drain(&v, 2), 1);
	}
}

/* A destination that is the source itself, closed, or gone: counted, and no harm to what comes with it. */
static void
nobody_there(void **state)
{
	(void)state;
	vale_rig_simple(&v, 4, 16);
	vale_rig_teach(&v);
	vale_send(&v, 0, 1, 60, 1);
	vale_send(&v, 0, 0, 60, 2);
	vale_send(&v, 0, 1, 60, 3);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_NO_PORT) == 1);
	vale_expect(&v, 1, 0, 1);
	vale_expect(&v, 1, 0, 3);

	fake_port_set_state(v.d, 1, UNM_PORT_ACTIVE, 0); /* persistent, but no client has it open */
	vale_send(&v, 0, 1, 60, 4);
	vale_send(&v, 0, 2, 60, 5);
	vale_send(&v, 0, UNM_NONE, 60, 6);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_NO_PORT) == 2);
	vale_expect(&v, 2, 0, 5);
	vale_expect(&v, 2, 0, 6);
	vale_expect(&v, 3, 0, 6);

	fake_port_set_state(v.d, 1, UNM_PORT_ACTIVE, UNM_PORTF_OPEN);
	fake_port_set_state(v.d, 2, UNM_PORT_DEAD, UNM_PORTF_OPEN);
	vale_send(&v, 0, 1, 60, 7);
	vale_send(&v, 0, 2, 60, 8);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_NO_PORT) == 3);
	vale_expect(&v, 1, 0, 7);
	assert_true(vale_all_drops(&v, 0) == 3);
	assert_int_equal(unm_bport_txsync(v.port[2]), -ENXIO);
	assert_int_equal(unm_bport_rxsync(v.port[2]), -ENXIO);
}

/* netmapd has just taken the port away and not yet said so by the epoch: seen under the lock. */
static void
gone_meanwhile(void **state)
{
	(void)state;
	vale_rig_simple(&v, 2, 16);
	vale_rig_teach(&v);
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 1);
	UNM_WRITE_ONCE(v.d->seg.ports[1].state, UNM_PORT_DEAD);
	vale_send(&v, 0, 1, 60, 2);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_NO_PORT) == 1);
	UNM_WRITE_ONCE(v.d->seg.ports[1].state, UNM_PORT_ACTIVE);
	assert_int_equal(vale_pending(&v, 1), 0);
	assert_int_equal(vale_rx(&v, 1)->kring->lock, 0); /* given back */
}

/* The entry is used for another port: views of the old one are dropped, frames go to the new one's memory. */
static void
entry_reused(void **state)
{
	struct fake_geometry g = {
		.kind = UNM_PORT_VALE, .n_tx = 1, .n_rx = 1, .slots = 32, .buf_size = 1024};
	struct unm_bind_info info;
	struct unm_bport *reused;
	struct unm_seg_port *e;

	(void)state;
	vale_rig_simple(&v, 2, 16);
	vale_rig_teach(&v);
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 1);
	vale_rig_add(&v, g);
	e = &v.d->seg.ports[1];
	e->region_uid = v.d->seg.ports[2].region_uid;
	e->kring_base = v.d->seg.ports[2].kring_base;
	e->gen = 4;
	fake_port_set_state(v.d, 2, UNM_PORT_FREE, 0);
	vale_send(&v, 0, 1, 60, 2);
	vale_txsync(&v, 0);
	assert_int_equal(unm_bport_rxsync(v.port[1]), -ENXIO); /* the old binding is a zombie */
	info = fake_bind_info(v.d, 2, e->bind_head);
	info.port = 1;
	info.port_gen = 4;
	v.d->region_of[1] = v.d->region_of[2];
	reused = fake_port_open_info(v.d, &info, NULL);
	assert_int_equal(unm_bport_rxsync(reused), 0);
	assert_int_equal(ring_space(reused->rx), 1);
	assert_int_equal(reused->rx->ring->slot[0].len, 60);
	unm_bport_close(reused);
	assert_int_equal(unm_bport_open(&reused, v.port[0]->env, &v.d->seg, v.port[0]->region,
				 &v.port[1]->info, NULL),
		-ESTALE);
}

/* Ring k of the source goes to ring k modulo the destination's; with fewer source rings a flow hash decides. */
static void
rings(void **state)
{
	static const struct fake_geometry four = {.n_tx = 4, .n_rx = 2, .slots = 64};
	static const struct fake_geometry one = {.n_tx = 1, .n_rx = 8, .slots = 64};
	uint32_t a, b, i, q, used = 0;

	(void)state;
	vale_rig_init(&v, 2000);
	a = vale_rig_add(&v, four);
	b = vale_rig_add(&v, one);
	vale_rig_teach(&v);
	for (i = 0; i < 4; i++)
		ring_send_frame(&v.port[a]->tx[i], 60, b, a, i, i);
	vale_txsync(&v, a);
	assert_int_equal(unm_bport_rxsync(v.port[b]), 0);
	for (q = 0; q < 8; q++) /* 4 source rings, 8 destination rings: the hash of the one flow */
		used += ring_space(&v.port[b]->rx[q]) > 0;
	assert_int_equal(used, 1);
	for (i = 0; i < 3; i++) {
		ring_send_frame(&v.port[b]->tx[0], 60, a, b, 0, i);
		ring_send_frame(&v.port[b]->tx[0], 60, UNM_NONE, b, 0, i);
	}
	vale_txsync(&v, b);
	assert_int_equal(unm_bport_rxsync(v.port[a]), 0);
	assert_int_equal(ring_space(&v.port[a]->rx[0]) + ring_space(&v.port[a]->rx[1]), 6);
	assert_true(ring_space(&v.port[a]->rx[0]) >= 3); /* floods: ring 0 */
}

static void
ring_modulo(void **state)
{
	static const struct fake_geometry four = {.n_tx = 4, .n_rx = 3, .slots = 64};
	uint32_t a, b, i;

	(void)state;
	vale_rig_init(&v, 2000);
	a = vale_rig_add(&v, four);
	b = vale_rig_add(&v, four);
	vale_rig_teach(&v);
	for (i = 0; i < 4; i++)
		ring_send_frame(&v.port[a]->tx[i], 60, b, a, i, i);
	vale_txsync(&v, a);
	assert_int_equal(unm_bport_rxsync(v.port[b]), 0);
	assert_int_equal(ring_space(&v.port[b]->rx[0]), 2);
	assert_int_equal(ring_space(&v.port[b]->rx[1]), 1);
	assert_int_equal(ring_space(&v.port[b]->rx[2]), 1);
}

/* Many flows from one ring to 64: each flow stays on one ring and in order, every ring gets some. */
static void
flows(void **state)
{
	static const struct fake_geometry wide = {.n_tx = 1, .n_rx = 64, .slots = 256};
	static const struct fake_geometry narrow = {.n_tx = 1, .n_rx = 1, .slots = 1024};
	static uint32_t ring_of[500], last[500];
	uint32_t a, b, i, q, used = 0;

	(void)state;
	vale_rig_init(&v, 30000);
	a = vale_rig_add(&v, narrow);
	b = vale_rig_add(&v, wide);
	vale_rig_teach(&v);
	memset(ring_of, 0xff, sizeof(ring_of));
	for (i = 0; i < 1000; i++) {
		uint8_t frame[64] = {0};

		traffic_mac(frame, b);
		traffic_mac(frame + 6, a);
		frame[12] = 8;
		frame[14] = 0x45;
		frame[23] = 17;
		frame[34] = (uint8_t)(i % 500 >> 8); /* source port: the flow */
		frame[35] = (uint8_t)(i % 500);
		frame[50] = (uint8_t)(i / 500 + 1); /* number within the flow */
		ring_send(vale_tx(&v, a), frame, sizeof(frame), 0);
	}
	vale_txsync(&v, a);
	assert_int_equal(unm_bport_rxsync(v.port[b]), 0);
	for (q = 0; q < 64; q++) {
		struct unm_bring *r = &v.port[b]->rx[q];

		used += ring_space(r) > 0;
		for (; ring_space(r) > 0; ring_advance(r, 1)) {
			const uint8_t *frame = ring_buf(r, r->ring->head);
			const uint32_t flow = (uint32_t)frame[34] << 8 | frame[35];

			assert_in_range(flow, 0, 499);
			assert_true(ring_of[flow] == UNM_NONE || ring_of[flow] == q);
			ring_of[flow] = q;
			assert_int_equal(frame[50], ++last[flow]);
		}
	}
	assert_int_equal(used, 64);
	for (i = 0; i < 500; i++)
		assert_int_equal(last[i], 2);
}

/*
 * Bursts of unicast and broadcast frames at random between five ports: each receiver gets exactly what it should, in
 * the order in which each source sent it; what is missing is counted as a full ring.
 */
static void
order(void **state)
{
	uint64_t seed = 5, next[5] = {0}, due[5][5] = {{0}}, got[5][5] = {{0}}, seen[5][5] = {{0}};
	uint32_t round, p, q;

	(void)state;
	vale_rig_simple(&v, 5, 64);
	vale_rig_teach(&v);
	for (round = 0; round < 20000; round++) {
		uint32_t n;

		p = traffic_random(&seed) % 5;
		n = traffic_random(&seed) % 40;
		while (n-- > 0) {
			const uint32_t to = traffic_random(&seed) % 4 == 0
						    ? UNM_NONE
						    : traffic_random(&seed) % 5;

			vale_send(&v, p, to, 60 + traffic_random(&seed) % 200, ++next[p]);
			for (q = 0; q < 5; q++)
				due[q][p] += q != p && (to == q || to == UNM_NONE);
		}
		vale_txsync(&v, p);
		p = traffic_random(&seed) % 5;
		for (n = vale_pending(&v, p); n > 0; n--) {
			struct unm_bring *r = vale_rx(&v, p);
			uint32_t from;
			uint64_t seq;

			assert_true(traffic_check(ring_buf(r, r->ring->head),
				r->ring->slot[r->ring->head].len, &from, &seq));
			assert_true(from < 5 && from != p && seq > seen[p][from]);
			seen[p][from] = seq;
			got[p][from]++;
			ring_advance(r, 1);
		}
		assert_int_equal(unm_bport_rxsync(v.port[p]), 0);
	}
	for (p = 0; p < 5; p++) {
		uint64_t lost = 0, total = 0;

		for (q = 0; q < 5; q++) {
			total += due[p][q];
			lost += due[p][q] - got[p][q];
		}
		lost -= vale_pending(&v, p);
		assert_true(total > 10000);
		assert_true(lost == vale_rx(&v, p)->kring->rx_full);
	}
	for (p = 0, q = 0; p < 5; p++)
		q += vale_drops(&v, p, UNM_DROP_RX_FULL) > 0;
	assert_int_equal(q, 5); /* or the test has not shown much */
}

#define MANY 300u

static void
many_ports(void **state)
{
	uint32_t p, i, n;

	(void)state;
	vale_rig_simple(&v, MANY, 8);
	vale_rig_teach(&v);
	for (p = 1; p < MANY; p++) { /* one frame to each, in bursts of 7 destinations */
		vale_send(&v, 0, p, 60, p);
		if (p % 7 == 0 || p == MANY - 1)
			vale_txsync(&v, 0);
	}
	for (p = 1; p < MANY; p++)
		vale_expect(&v, p, 0, p);
	vale_send(&v, 7, UNM_NONE, 60, 1000);
	vale_send(&v, 7, 299, 60, 1001);
	vale_send(&v, 7, UNM_NONE, 60, 1002);
	vale_txsync(&v, 7);
	for (p = 0; p < MANY; p++) {
		n = p == 7 ? 0 : p == 299 ? 3 : 2;
		assert_int_equal(vale_pending(&v, p), n);
		for (i = 0; i < n; i++)
			vale_expect(&v, p, 7, n == 3 ? 1000 + i : 1000 + 2 * i);
	}
	assert_true(vale_all_drops(&v, 0) == 0);
	assert_true(vale_all_drops(&v, 7) == 0);
	assert_int_equal(fake_region_refs, 2 * (MANY - 1));
	for (p = 1; p < MANY;
		p += 2) /* views of ports that are gone are given up at the next sync */
		fake_port_set_state(v.d, p, UNM_PORT_DEAD, 0);
	vale_send(&v, 0, UNM_NONE, 60, 1003);
	vale_txsync(&v, 0);
	for (p = 2; p < MANY; p += 2)
		vale_expect(&v, p, 0, 1003);
	assert_int_equal(fake_region_refs, MANY - 1 + MANY / 2 - 1);
}

/* A child of a fork that happened in the middle of another thread's sync starts with clean lists. */
static void
fork_in_sync(void **state)
{
	struct unm_vale_src *s;
	uint32_t i;

	(void)state;
	vale_rig_simple(&v, 3, 16);
	vale_rig_teach(&v);
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 1);
	s = v.port[0]->kind_data;
	s->head[1] = s->tail[1] = 0; /* as a batch leaves them that has just been sorted */
	s->head[2] = 5;
	s->tail[2] = 7;
	s->peers->n_open = 1;
	v.port[0]->busy_thread = 1;
	unm_bport_after_fork(v.port[0]);
	for (i = 0; i < 3; i++)
		vale_send(&v, 0, 1, 60, 10 + i);
	vale_send(&v, 0, UNM_NONE, 60, 13);
	vale_txsync(&v, 0);
	for (i = 0; i < 4; i++)
		vale_expect(&v, 1, 0, 10 + i);
	vale_expect(&v, 2, 0, 13);
	assert_int_equal(vale_pending(&v, 2), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(unicast, teardown),
		cmocka_unit_test_teardown(sender_not_blocked, teardown),
		cmocka_unit_test_teardown(groups_flood, teardown),
		cmocka_unit_test_teardown(moves, teardown),
		cmocka_unit_test_teardown(sources_not_learned, teardown),
		cmocka_unit_test_teardown(nobody_there, teardown),
		cmocka_unit_test_teardown(gone_meanwhile, teardown),
		cmocka_unit_test_teardown(entry_reused, teardown),
		cmocka_unit_test_teardown(rings, teardown),
		cmocka_unit_test_teardown(ring_modulo, teardown),
		cmocka_unit_test_teardown(flows, teardown),
		cmocka_unit_test_teardown(order, teardown),
		cmocka_unit_test_teardown(many_ports, teardown),
		cmocka_unit_test_teardown(fork_in_sync, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
