/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lossless receivers: the sender's txsync stops at the first frame that does not fit, counts nothing twice, goes on
 * exactly there, and is woken when there is room; a flood that stopped reaches each receiver exactly once.
 */
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "ring/kring.h"
#include "vale_rig.h"

static struct vale_rig v;

/* Ports 0 ... n-1 of @slots slots; those in @mask are lossless. */
static void
ports(uint32_t n, uint32_t slots, uint32_t mask, uint32_t n_tx, uint32_t n_rx)
{
	uint32_t i;

	vale_rig_init(&v, 2 + n * (n_tx + n_rx) * slots);
	for (i = 0; i < n; i++)
		vale_rig_add(&v, (struct fake_geometry){.n_tx = n_tx,
					 .n_rx = n_rx,
					 .slots = slots,
					 .flags = mask >> i & 1 ? UNM_PORTF_LOSSLESS : 0});
	vale_rig_teach(&v);
}

static int
teardown(void **state)
{
	(void)state;
	vale_rig_free(&v);
	return 0;
}

static uint64_t
signals(uint32_t port)
{
	return fake_signals(v.d, v.port[port]->info.binding);
}

static void
stops_and_goes_on(void **state)
{
	uint32_t i;

	(void)state;
	ports(2, 16, 1 << 1, 1, 1);
	for (i = 0; i < 15; i++)
		vale_send(&v, 0, 1, 60, i);
	vale_txsync(&v, 0);
	assert_int_equal(ring_space(vale_tx(&v, 0)), 15);
	for (; i < 25; i++)
		vale_send(&v, 0, 1, 60, i);
	vale_txsync(&v, 0);
	assert_int_equal(ring_space(vale_tx(&v, 0)), 5); /* ten wait */
	vale_txsync(&v, 0);
	assert_int_equal(ring_space(vale_tx(&v, 0)), 5);
	for (i = 0; i < 4; i++)
		vale_expect(&v, 1, 0, i);
	vale_txsync(&v, 0);
	assert_int_equal(ring_space(vale_tx(&v, 0)), 9);
	for (; i < 25; i++) {
		vale_expect(&v, 1, 0, i);
		vale_txsync(&v, 0);
	}
	assert_int_equal(vale_pending(&v, 1), 0);
	assert_int_equal(ring_space(vale_tx(&v, 0)), 15);
	assert_true(vale_all_drops(&v, 0) == 0);
	assert_true(vale_tx(&v, 0)->kring->n_pkts == 25);
	assert_true(vale_tx(&v, 0)->kring->n_bytes == 25 * 60);
	assert_true(vale_rx(&v, 1)->kring->rx_full == 0);
}

/* Bad frames before and after the one that waits: each counted once, when it is really passed. */
static void
counted_once(void **state)
{
	uint32_t i, round;

	(void)state;
	ports(3, 8, 1 << 1, 1, 1);
	for (i = 0; i < 7; i++)
		vale_send(&v, 0, 1, 60, i);
	vale_txsync(&v, 0);
	ring_send(vale_tx(&v, 0), "", 1, 0); /* a runt */
	vale_send(&v, 0, 0, 60, 0);	     /* to itself */
	vale_send(&v, 0, 2, 60, 100);
	vale_send(&v, 0, 1, 60, 7); /* waits */
	ring_send(vale_tx(&v, 0), "", 1, 0);
	vale_send(&v, 0, 2, 60, 101);
	vale_send(&v, 0, 0, 60, 0);
	for (round = 0; round < 3; round++) {
		vale_txsync(&v, 0);
		assert_int_equal(ring_space(vale_tx(&v, 0)), 3);
		assert_true(vale_drops(&v, 0, UNM_DROP_RUNT) == 1);
		assert_true(vale_drops(&v, 0, UNM_DROP_NO_PORT) == 1);
		assert_true(vale_all_drops(&v, 0) == 2);
		assert_true(vale_tx(&v, 0)->kring->n_pkts == 7 + 3);
		assert_true(vale_tx(&v, 0)->kring->n_bytes == (7 + 2) * 60 + 0);
		assert_int_equal(vale_pending(&v, 2), 1);
	}
	vale_expect(&v, 1, 0, 0);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_RUNT) == 2);
	assert_true(vale_drops(&v, 0, UNM_DROP_NO_PORT) == 2);
	assert_true(vale_tx(&v, 0)->kring->n_pkts == 7 + 7);
	vale_expect(&v, 2, 0, 100);
	vale_expect(&v, 2, 0, 101);
}

/* Asleep until there is room: POLLOUT is not ready, the receiver's rxsync signals, and not before there is enough room. */
static void
woken_by_room(void **state)
{
	uint32_t i;

	(void)state;
	ports(2, 8, 1 << 1, 1, 1);
	for (i = 0; i < 14; i++) {
		vale_send(&v, 0, 1, 60, i);
		vale_txsync(&v, 0);
	}
	assert_int_equal(ring_space(vale_tx(&v, 0)), 0);
	assert_int_equal(unm_bport_poll(v.port[0], POLLOUT), 0);
	unm_bport_arm(v.port[0], POLLOUT);
	assert_int_equal(unm_bport_poll(v.port[0], POLLOUT), 0);
	assert_true(signals(0) == 0);
	assert_int_equal(vale_pending(&v, 1), 7); /* a look is not room */
	assert_true(signals(0) == 0);
	vale_expect(&v, 1, 0, 0);
	assert_true(signals(0) == 1);
	assert_int_equal(unm_bport_poll(v.port[0], POLLOUT), POLLOUT);
	/* Polling for input alone flushes as well, and so is woken as well */
	assert_int_equal(unm_bport_poll(v.port[0], POLLIN), 0);
	unm_bport_arm(v.port[0], POLLIN);
	assert_int_equal(unm_bport_poll(v.port[0], POLLIN), 0);
	vale_expect(&v, 1, 0, 1);
	assert_true(signals(0) == 1);
}

/* A frame of three slots' size waits for three slots, asleep, and is not kept busy by the one or two that there are. */
static void
long_frame_waits(void **state)
{
	uint32_t i;

	(void)state;
	vale_rig_init(&v, 10);
	vale_rig_add(
		&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = 8, .buf_size = 2048});
	vale_rig_add(&v, (struct fake_geometry){.n_tx = 1,
				 .n_rx = 1,
				 .slots = 8,
				 .buf_size = 64,
				 .flags = UNM_PORTF_LOSSLESS});
	vale_rig_teach(&v);
	for (i = 0; i < 7; i++)
		vale_send(&v, 0, 1, 60, i);
	vale_txsync(&v, 0);
	vale_send(&v, 0, 1, 192, 7);
	vale_txsync(&v, 0);
	for (i = 0; i < 3; i++) {
		unm_bport_arm(v.port[0], POLLIN);
		assert_int_equal(unm_bport_poll(v.port[0], POLLIN), 0);
		assert_true(signals(0) == 0);
		assert_int_equal(vale_tx(&v, 0)->kring->hwcur, 0); /* teach took one, then seven */
		vale_expect(&v, 1, 0, i);
		assert_true(signals(0) == 1);
	}
	vale_txsync(&v, 0);
	assert_int_equal(vale_pending(&v, 1), 4 + 3);
	assert_true(vale_all_drops(&v, 0) == 0);
}

/* Receivers before, at and behind the full one get a flooded frame once, however often it is tried. */
static void
flood_resumes(void **state)
{
	uint32_t i, p;

	(void)state;
	ports(5, 8, 1 << 2, 1, 1);
	for (i = 0; i < 7; i++)
		vale_send(&v, 0, 2, 60, i);
	vale_txsync(&v, 0);
	vale_send(&v, 0, UNM_NONE, 60, 100);
	vale_send(&v, 0, UNM_NONE, 60, 101);
	for (i = 0; i < 5; i++)
		vale_txsync(&v, 0);
	assert_int_equal(vale_pending(&v, 1), 1);
	assert_int_equal(vale_pending(&v, 3), 0);
	vale_drain(&v, 2);
	vale_txsync(&v, 0);
	for (p = 1; p < 5; p++) {
		vale_expect(&v, p, 0, 100);
		vale_expect(&v, p, 0, 101);
		assert_int_equal(vale_pending(&v, p), 0);
	}
	assert_true(vale_all_drops(&v, 0) == 0);
}

/* While the flood of one tx ring is stopped, another ring's must reach everybody. */
static void
flood_of_another_ring(void **state)
{
	uint32_t i, p;

	(void)state;
	ports(4, 8, 1 << 2, 2, 1);
	for (i = 0; i < 7; i++)
		vale_send(&v, 0, 2, 60, i);
	vale_txsync(&v, 0);
	ring_send_frame(&v.port[0]->tx[0], 60, UNM_NONE, 0, 0, 100);
	vale_txsync(&v, 0); /* stops at 2; 1 has it */
	ring_send_frame(&v.port[0]->tx[1], 60, UNM_NONE, 0, 0, 200);
	vale_expect(&v, 2, 0, 0);
	vale_txsync(&v, 0); /* room for one: ring 0 is done, ring 1 stops at 2 */
	ring_send_frame(&v.port[0]->tx[0], 60, UNM_NONE, 0, 0, 101);
	vale_drain(&v, 2);
	vale_txsync(&v, 0);
	for (p = 1; p < 4; p++) {
		assert_int_equal(vale_pending(&v, p), p == 2 ? 2 : 3);
		if (p != 2)
			vale_expect(&v, p, 0, 100);
	}
	vale_expect(&v, 1, 0, 200);
	vale_expect(&v, 1, 0, 101);
	for (p = 2; p < 4; p++) { /* ring 0 is synced first */
		vale_expect(&v, p, 0, 101);
		vale_expect(&v, p, 0, 200);
	}
}

/* The flood stopped at a frame whose destination is learned meanwhile: it is not sent twice, and the next flood is whole. */
static void
flood_then_known(void **state)
{
	uint8_t frame[60] = {0};
	uint32_t i, known;

	(void)state;
	for (known = 1; known < 4; known++) {
		if (known == 2)
			continue; /* is the full one */
		ports(4, 8, 1 << 2, 1, 1);
		memset(v.d->seg.fdb, 0, v.d->seg.n_fdb_buckets * sizeof(v.d->seg.fdb[0]));
		for (i = 0; i < 7; i++) /* fills 2, and the others, which are emptied again */
			vale_send(&v, 4 - known, UNM_NONE, 60, i);
		vale_txsync(&v, 4 - known);
		vale_drain(&v, 0);
		vale_drain(&v, known);
		vale_send(&v, 0, known, 60, 100); /* nobody knows it: reaches 1, stops at 2 */
		vale_send(&v, 0, UNM_NONE, 60, 101);
		vale_txsync(&v, 0);
		assert_int_equal(vale_pending(&v, 1), 1);
		traffic_mac(frame, known);
		traffic_mac(frame + 6, known);
		ring_send(vale_tx(&v, known), frame, 60, 0); /* now it is heard */
		vale_txsync(&v, known);
		vale_drain(&v, 2);
		vale_txsync(&v, 0);
		vale_expect(&v, 1, 0, 100);
		vale_expect(&v, 1, 0, 101);
		assert_int_equal(vale_pending(&v, 1), 0);
		if (known == 3)
			vale_expect(&v, 3, 0, 100);
		vale_expect(&v, 3, 0, 101);
		vale_expect(&v, 2, 0, 101);
		teardown(NULL);
	}
}

/* The full receiver goes away: what waited for it is dropped under its reason, the rest goes on. */
static void
receiver_goes(void **state)
{
	uint32_t i;

	(void)state;
	ports(4, 8, 1 << 2, 1, 1);
	for (i = 0; i < 7; i++)
		vale_send(&v, 0, 2, 60, i);
	vale_txsync(&v, 0);
	vale_send(&v, 0, UNM_NONE, 60, 99);
	vale_send(&v, 0, 2, 60, 100);
	vale_send(&v, 0, 1, 60, 101);
	vale_txsync(&v, 0);
	fake_port_set_state(v.d, 2, UNM_PORT_DEAD, 0);
	vale_txsync(&v, 0);
	assert_int_equal(ring_space(vale_tx(&v, 0)), 7);
	assert_true(vale_drops(&v, 0, UNM_DROP_NO_PORT) == 1);
	vale_expect(&v, 1, 0, 99);
	vale_expect(&v, 1, 0, 101);
	assert_int_equal(vale_pending(&v, 1), 0);
	vale_expect(&v, 3, 0, 99);
}

/* Receivers with several rings: frames of a full ring wait, and nothing is lost or out of order within a ring. */
static void
several_rings(void **state)
{
	uint64_t seed = 9, next = 0, seen[4][3] = {{0}};
	uint32_t round, q, n_got = 0;

	(void)state;
	vale_rig_init(&v, 1000);
	vale_rig_add(&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = 64});
	vale_rig_add(&v, (struct fake_geometry){
				 .n_tx = 1, .n_rx = 3, .slots = 8, .flags = UNM_PORTF_LOSSLESS});
	vale_rig_teach(&v);
	for (round = 0; round < 40000; round++) {
		struct unm_bring *r;

		if (round < 20000)
			while (ring_space(vale_tx(&v, 0)) > 0 && traffic_random(&seed) % 8) {
				const uint32_t at = ring_send_frame(vale_tx(&v, 0), 60, 1, 0, 0, 0);
				uint8_t *frame = ring_buf(vale_tx(&v, 0), at);
				const uint32_t flow = traffic_random(&seed) % 4;

				frame[12] = 8; /* IPv4, UDP, source port as the flow */
				frame[13] = 0;
				frame[14] = 0x45;
				frame[23] = 17;
				frame[20] = frame[21] = 0;
				frame[34] = 0;
				frame[35] = (uint8_t)flow;
				next++;
				memcpy(frame + 48, &next, 8);
			}
		if (ring_space(vale_tx(&v, 0)) < 63)
			vale_txsync(&v, 0);
		assert_int_equal(unm_bport_rxsync(v.port[1]), 0);
		q = traffic_random(&seed) % 3;
		r = &v.port[1]->rx[q];
		while (ring_space(r) > 0 && traffic_random(&seed) % 4) {
			const uint8_t *frame = ring_buf(r, r->ring->head);
			uint64_t number;

			memcpy(&number, frame + 48, 8);
			assert_in_range(frame[35], 0, 3);
			assert_true(number > seen[frame[35]][q]);
			seen[frame[35]][q] = number;
			n_got++;
			ring_advance(r, 1);
		}
		assert_int_equal(unm_bport_rxsync(v.port[1]), 0);
	}
	for (q = 0; q < 3; q++)
		n_got += ring_space(&v.port[1]->rx[q]);
	assert_true(n_got == next);
	assert_true(next > 10000);
	assert_true(vale_all_drops(&v, 0) == 0);
	assert_int_equal(ring_space(vale_tx(&v, 0)), 63);
}

/* Lossless and lossy receivers together, floods and unicast at random: the lossless ones lose nothing. */
static void
mixed(void **state)
{
	uint64_t seed = 4, due[4] = {0}, got[4] = {0}, last[4] = {0}, next = 0;
	uint32_t round, p;

	(void)state;
	ports(4, 16, 1 << 1 | 1 << 3, 1, 1);
	for (round = 0; round < 60000; round++) {
		uint32_t n;

		while (round < 30000 && ring_space(vale_tx(&v, 0)) > 0 &&
			traffic_random(&seed) % 6) {
			const uint32_t to = traffic_random(&seed) % 3
						    ? 1 + traffic_random(&seed) % 3
						    : UNM_NONE;

			vale_send(&v, 0, to, 60, ++next);
			for (p = 1; p < 4; p++)
				due[p] += to == p || to == UNM_NONE;
		}
		vale_txsync(&v, 0);
		p = 1 + traffic_random(&seed) % 3;
		n = vale_pending(&v, p);
		for (n = traffic_random(&seed) % (n + 1); n > 0; n--) {
			struct unm_bring *r = vale_rx(&v, p);
			uint32_t from;
			uint64_t seq;

			assert_true(traffic_check(ring_buf(r, r->ring->head),
				r->ring->slot[r->ring->head].len, &from, &seq));
			assert_true(seq > last[p]);
			last[p] = seq;
			got[p]++;
			ring_advance(r, 1);
		}
		assert_int_equal(unm_bport_rxsync(v.port[p]), 0);
	}
	for (p = 1; p < 4; p++)
		got[p] += vale_pending(&v, p);
	assert_true(next > 20000);
	assert_true(got[1] == due[1]);
	assert_true(got[3] == due[3]);
	assert_true(got[2] + vale_drops(&v, 0, UNM_DROP_RX_FULL) == due[2]);
	assert_true(vale_all_drops(&v, 0) == vale_drops(&v, 0, UNM_DROP_RX_FULL));
	assert_true(vale_rx(&v, 2)->kring->rx_full == vale_drops(&v, 0, UNM_DROP_RX_FULL));
	assert_true(vale_tx(&v, 0)->kring->n_pkts == next);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(stops_and_goes_on, teardown),
		cmocka_unit_test_teardown(counted_once, teardown),
		cmocka_unit_test_teardown(woken_by_room, teardown),
		cmocka_unit_test_teardown(long_frame_waits, teardown),
		cmocka_unit_test_teardown(flood_resumes, teardown),
		cmocka_unit_test_teardown(flood_of_another_ring, teardown),
		cmocka_unit_test(flood_then_known),
		cmocka_unit_test_teardown(receiver_goes, teardown),
		cmocka_unit_test_teardown(several_rings, teardown),
		cmocka_unit_test_teardown(mixed, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
