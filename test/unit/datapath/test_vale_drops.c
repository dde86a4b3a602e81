/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every way in which VALE can lose a frame is counted under its reason, and none of them costs the sender more than a
 * bounded time or the frames of others anything.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ring/kring.h"
#include "shm/lock.h"
#include "vale/forward.h"
#include "vale_rig.h"

#define SLACK_NS UINT64_C(2000000000) /* what a loaded machine may add to a bounded wait */

static struct vale_rig v;

static int
setup(void **state)
{
	(void)state;
	vale_rig_simple(&v, 4, 16);
	vale_rig_teach(&v);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vale_rig_free(&v);
	return 0;
}

/* A policy: odd ports are not to be reached. */
static void
no_odd_ports(struct unm_decide *d, struct unm_frame *frames, unsigned int n)
{
	unsigned int i;

	unm_decide_learning(d, frames, n);
	for (i = 0; i < n; i++)
		if (frames[i].dst < UNM_DST_DROP && frames[i].dst & 1)
			frames[i].dst = UNM_DST_DROP;
}

/* Each prepares a frame from 0 to 1 that is lost for one reason. */
static void
lose_rx_full(void)
{
	vale_rx(&v, 1)->kring->hwcur = 1;
	vale_send(&v, 0, 1, 60, 1);
}

static void
lose_no_port(void)
{
	vale_send(&v, 0, 0, 60, 1);
}

static void
lose_bad_slot(void)
{
	vale_tx(&v, 0)->ring->slot[vale_tx(&v, 0)->ring->head].buf_idx = 1;
	ring_advance(vale_tx(&v, 0), 1);
}

static void
lose_too_long(void)
{
	vale_tx(&v, 0)->ring->slot[vale_tx(&v, 0)->ring->head].len = RIG_BUF_SIZE + 1;
	ring_advance(vale_tx(&v, 0), 1);
}

static void
lose_runt(void)
{
	vale_tx(&v, 0)->ring->slot[vale_tx(&v, 0)->ring->head].len = 13;
	ring_advance(vale_tx(&v, 0), 1);
}

static void
lose_busy(void)
{
	vale_rx(&v, 1)->kring->lock = 77;
	vale_send(&v, 0, 1, 60, 1);
}

static void
lose_unmapped(void)
{
	v.d->deny_uid = v.d->regions[0].region.info.uid;
	vale_send(&v, 0, 1, 60, 1);
}

static void
lose_policy(void)
{
	struct unm_vale_src *s = v.port[0]->kind_data;

	s->decide_fn = no_odd_ports;
	vale_send(&v, 0, 1, 60, 1);
}

/* That of UNM_DROP_OFFLOAD is in test_vale_frames.c. */
static void
reasons(void **state)
{
	static const struct {
		void (*lose)(void);
		enum unm_drop reason;
	} cases[] = {
		{lose_rx_full, UNM_DROP_RX_FULL},
		{lose_no_port, UNM_DROP_NO_PORT},
		{lose_bad_slot, UNM_DROP_BAD_SLOT},
		{lose_too_long, UNM_DROP_TOO_LONG},
		{lose_runt, UNM_DROP_RUNT},
		{lose_busy, UNM_DROP_BUSY},
		{lose_unmapped, UNM_DROP_UNMAPPED},
		{lose_policy, UNM_DROP_POLICY},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t taken;

		setup(state);
		cases[i].lose();
		vale_txsync(&v, 0);
		assert_true(vale_drops(&v, 0, cases[i].reason) == 1);
		assert_true(vale_all_drops(&v, 0) == 1);
		taken = vale_tx(&v, 0)->kring->n_pkts;
		assert_true(taken == 1);
		assert_int_equal(ring_space(vale_tx(&v, 0)), 15);
		assert_int_equal(vale_pending(&v, 1), 0);
		if (cases[i].reason != UNM_DROP_UNMAPPED) { /* there, 2 shares the region of 1 */
			vale_send(&v, 0, 2, 60, 2);
			vale_txsync(&v, 0);
			vale_expect(&v, 2, 0, 2);
		}
		teardown(state);
	}
}

/* A flooded frame counts once for each receiver that lost it. */
static void
flood_counts(void **state)
{
	(void)state;
	vale_rx(&v, 1)->kring->hwcur = 1;
	vale_rx(&v, 2)->kring->lock = 77;
	vale_send(&v, 0, UNM_NONE, 60, 1);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_RX_FULL) == 1);
	assert_true(vale_drops(&v, 0, UNM_DROP_BUSY) == 1);
	assert_true(vale_all_drops(&v, 0) == 2);
	vale_expect(&v, 3, 0, 1);
}

/* How often this thread has gone to sleep. */
static long
sleeps(void)
{
	struct rusage ru;

	assert_int_equal(getrusage(RUSAGE_THREAD, &ru), 0);
	return ru.ru_nvcsw;
}

static void *
release_soon(void *word)
{
	usleep(5000);
	unm_lock_release(word);
	return NULL;
}

/* A lock that nobody gives back costs one wait, a report, and no further waits until it is free again. */
static void
stuck_lock(void **state)
{
	struct unm_kring *k = vale_rx(&v, 1)->kring;
	uint64_t start, took;
	long n_slept = 0;
	uint32_t i;
	pthread_t t;

	(void)state;
	fake_stuck_calls = 0;
	k->lock = 77;
	start = traffic_now_ns();
	vale_send(&v, 0, 1, 60, 0);
	vale_txsync(&v, 0);
	took = traffic_now_ns() - start;
	assert_true(took >= UNM_LOCK_WAIT_NS && took < UNM_LOCK_WAIT_NS + SLACK_NS);
	assert_int_equal(fake_stuck_calls, 1);
	start = traffic_now_ns();
	/* For a second, in which a sender without memory would wait six times */
	for (i = 1; i < 100; i++) {
		const bool soon = traffic_now_ns() - start < UNM_LOCK_WAIT_NS;
		long before;

		vale_send(&v, 0, 1, 60, i);
		vale_send(&v, 0, 2, 60, i);
		before = sleeps();
		vale_txsync(&v, 0);
		if (soon) /* else we were kept from sending for so long that a try is due */
			n_slept += sleeps() - before;
		start = traffic_now_ns();
		vale_expect(&v, 2, 0, i);
		usleep(10000);
	}
	assert_int_equal(n_slept, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_BUSY) == 100);
	assert_int_equal(fake_client_died(v.d, 77), 1); /* it was the lock of a dead client */
	vale_send(&v, 0, 1, 60, 200);
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 200);
	/* From now on it is worth waiting for again; more than one try is for a busy machine */
	for (i = 0; i < 10 && vale_pending(&v, 1) == 0; i++) {
		assert_int_equal(unm_lock_try(&k->lock, 78), 0);
		assert_int_equal(pthread_create(&t, NULL, release_soon, &k->lock), 0);
		vale_send(&v, 0, 1, 60, 201 + i);
		vale_txsync(&v, 0);
		pthread_join(t, NULL);
	}
	vale_expect(&v, 1, 0, 201 + i - 1);
}

/* All locks of 60 receivers stuck: a flood waits for one of them, not for each. */
static void
all_locks_stuck(void **state)
{
	uint64_t start;
	uint32_t p, round;

	(void)state;
	vale_rig_simple(&v, 61, 8);
	for (p = 1; p < 60; p++)
		vale_rx(&v, p)->kring->lock = 77;
	start = traffic_now_ns();
	for (round = 0; round < 3; round++) {
		vale_send(&v, 0, UNM_NONE, 60, round);
		vale_txsync(&v, 0);
		vale_expect(&v, 60, 0, round);
	}
	assert_true(traffic_now_ns() - start < 3 * UNM_LOCK_WAIT_NS + SLACK_NS);
	assert_true(vale_drops(&v, 0, UNM_DROP_BUSY) == 3 * 59);
}

/* One region that can't be had: the others' ports are reached all the same, and its own when it can be had again. */
static void
one_region_denied(void **state)
{
	static const struct fake_geometry g = {.n_tx = 1, .n_rx = 1, .slots = 16, .buf_size = 2048};
	uint32_t p, round;

	(void)state;
	vale_rig_init(&v, 10);
	for (p = 0; p < 4; p++)
		vale_rig_add(&v, g);
	vale_rig_teach(&v);
	v.d->deny_uid = v.d->seg.ports[1].region_uid;
	for (round = 0; round < 3; round++) {
		vale_send(&v, 0, UNM_NONE, 60, round);
		vale_txsync(&v, 0);
		vale_expect(&v, 2, 0, round);
		vale_expect(&v, 3, 0, round);
		assert_true(vale_drops(&v, 0, UNM_DROP_UNMAPPED) == round + 1);
	}
	v.d->deny_uid = 0;
	v.d->seg.hdr->epoch++; /* something has changed: tried again at once */
	vale_send(&v, 0, 1, 60, 7);
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 7);
	v.d->deny_uid = v.d->seg.ports[1].region_uid;
	vale_send(&v, 0, 1, 60, 8); /* a region that is there stays */
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 8);
}

/* The same without any change: tried again after a second. */
static void
region_comes_back(void **state)
{
	uint64_t start = traffic_now_ns();

	(void)state;
	v.d->deny_uid = v.d->regions[0].region.info.uid;
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_UNMAPPED) == 1);
	v.d->deny_uid = 0;
	do {
		usleep(10000);
		vale_send(&v, 0, 1, 60, 2);
		vale_txsync(&v, 0);
	} while (vale_drain(&v, 1) == 0 && traffic_now_ns() - start < 20 * SLACK_NS);
	assert_true(traffic_now_ns() - start >= UINT64_C(900000000));
	assert_true(traffic_now_ns() - start < 20 * SLACK_NS);
}

/* Geometry that does not fit the memory it speaks of is refused, whatever of it is wrong. */
static void
bad_geometry(void **state)
{
	struct unm_seg_port *e = &v.d->seg.ports[1];
	struct unm_kring *k = vale_rx(&v, 1)->kring;
	const struct unm_seg_port good_port = *e;
	const struct unm_kring good_ring = *k;
	const uint64_t size = v.d->regions[0].region.info.size;
	const struct {
		uint32_t *word;
		uint32_t value;
	} words[] = {
		{&e->n_rx_rings, 0},
		{&e->n_rx_rings, 257},
		{&e->n_rx_rings, UINT32_MAX},
		{&e->n_tx_rings, UINT32_MAX},
		{&e->n_host_tx_rings, UINT32_MAX},
		{&e->kring_base, UINT32_MAX},
		{&e->kring_base, UNM_SEG_NKRINGS - 1},
		{&e->vnet_hdr_len, 13},
		{&k->num_slots, 0},
		{&k->num_slots, 1},
		{&k->num_slots, UNM_RING_MAX_SLOTS + 1},
		{&k->num_slots, UINT32_MAX},
		{&k->is_rx, 0},
	};
	const uint64_t offsets[] = {
		1, 32, size, size - 64, size - 256, UINT64_MAX, UINT64_MAX - 63};
	uint64_t n_lost = 0;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(words[0]) + sizeof(offsets) / sizeof(offsets[0]);
		i++) {
		if (i < sizeof(words) / sizeof(words[0]))
			*words[i].word = words[i].value;
		else
			k->ring_ofs = offsets[i - sizeof(words) / sizeof(words[0])];
		v.d->seg.hdr->epoch++;
		e->gen += 2;
		vale_send(&v, 0, 1, 60, i);
		vale_txsync(&v, 0);
		assert_true(vale_drops(&v, 0, UNM_DROP_UNMAPPED) == ++n_lost);
		*e = good_port;
		*k = good_ring;
	}
	e->gen += 1; /* being changed */
	v.d->seg.hdr->epoch++;
	vale_send(&v, 0, 1, 60, i);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_UNMAPPED) == n_lost + 1);
	*e = good_port;
	v.d->seg.hdr->epoch++;
	vale_send(&v, 0, 1, 60, 99);
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 99);
}

/* Without a number from netmapd nothing is sent, and no lock is taken with a number that means free. */
static void
no_slot(void **state)
{
	(void)state;
	vale_send(&v, 0, 1, 60, 1);
	fake_slot = 0;
	assert_int_equal(unm_bport_txsync(v.port[0]), -EIO);
	assert_int_equal(unm_bport_rxsync(v.port[1]), -EIO);
	fake_slot = 1;
	fake_slot_left = 1; /* lost between the ring's word and the receiver's lock */
	assert_int_equal(unm_bport_txsync(v.port[0]), -EIO);
	fake_slot_left = -1;
	assert_int_equal(vale_pending(&v, 1), 0);
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reasons),
		cmocka_unit_test_setup_teardown(flood_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(stuck_lock, setup, teardown),
		cmocka_unit_test_teardown(all_locks_stuck, teardown),
		cmocka_unit_test_teardown(one_region_denied, teardown),
		cmocka_unit_test_setup_teardown(region_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_geometry, setup, teardown),
		cmocka_unit_test_setup_teardown(no_slot, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
