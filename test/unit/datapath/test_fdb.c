/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MAC table: learning, moves, ageing over turns of its clock, eviction in a full bucket, random operations
 * against a model that remembers everything, and several senders at once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "traffic.h"
#include "vale/fdb.h"

#define N_BUCKETS 64u

static struct unm_fdb_bucket fdb[N_BUCKETS];

static int
empty(void **state)
{
	(void)state;
	memset(fdb, 0, sizeof(fdb));
	return 0;
}

static uint32_t
lookup(uint64_t mac, uint32_t tick, uint8_t ageing)
{
	return unm_fdb_lookup(fdb, N_BUCKETS, mac, (uint8_t)tick, ageing);
}

static void
learn(uint64_t mac, uint32_t port, uint32_t tick, uint8_t ageing)
{
	unm_fdb_learn(fdb, N_BUCKETS, mac, port, (uint8_t)tick, ageing, true);
}

/* From a sender that must not take what others have. */
static void
learn_meekly(uint64_t mac, uint32_t port, uint32_t tick, uint8_t ageing)
{
	unm_fdb_learn(fdb, N_BUCKETS, mac, port, (uint8_t)tick, ageing, false);
}

/* The @nth MAC that falls into the bucket of @like. */
static uint64_t
mac_in_bucket(uint64_t like, unsigned int nth)
{
	const struct unm_fdb_bucket *b = unm_fdb_bucket_of(fdb, N_BUCKETS, like);
	uint64_t mac = 0x020000000000;

	for (;;) {
		mac += 2;
		if (mac != like && unm_fdb_bucket_of(fdb, N_BUCKETS, mac) == b && nth-- == 0)
			return mac;
	}
}

static void
addresses(void **state)
{
	const uint8_t frame[14] = {
		0x02, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x01, 0, 0x5e, 1, 2, 3, 8, 0};
	const uint8_t other[14] = {
		0x02, 0x34, 0x56, 0x78, 0x9a, 0xbd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	(void)state;
	assert_true(unm_mac_load(frame) >> 48 == 0);
	assert_true(unm_mac_load(frame) != unm_mac_load(other));
	assert_false(unm_mac_is_group(unm_mac_load(frame)));
	assert_true(unm_mac_is_group(unm_mac_load(frame + 6)));
	assert_true(unm_mac_is_group(unm_mac_load(other + 6)));
}

static void
learning(void **state)
{
	(void)state;
	assert_int_equal(lookup(0x42, 0, 150), UNM_NONE);
	learn(0x42, 0, 0, 150); /* port 0 is a port like any other */
	learn(0x43, 2047, 0, 150);
	assert_int_equal(lookup(0x42, 0, 150), 0);
	assert_int_equal(lookup(0x43, 0, 150), 2047);
	assert_int_equal(lookup(0x44, 0, 150), UNM_NONE);
	learn(0x42, 9, 1, 150); /* moved */
	assert_int_equal(lookup(0x42, 1, 150), 9);
	learn(0x42, 0, 1, 150); /* and back */
	assert_int_equal(lookup(0x42, 1, 150), 0);
	assert_int_equal(lookup(0, 0, 150), UNM_NONE);
}

static void
ageing(void **state)
{
	(void)state;
	learn(0x42, 3, 250, 10);
	assert_int_equal(lookup(0x42, 259, 10), 3); /* the clock has turned */
	assert_int_equal(lookup(0x42, 260, 10), UNM_NONE);
	assert_int_equal(lookup(0x42, 260, 0), 3); /* 0: never */
	learn(0x42, 3, 260, 10);
	assert_int_equal(lookup(0x42, 269, 10), 3);
}

/* With a bucket full of fresh entries, the oldest goes; an expired one goes first. */
static void
eviction(void **state)
{
	uint64_t mac[UNM_FDB_WAYS + 2];
	unsigned int i;

	(void)state;
	mac[0] = 0x42;
	for (i = 1; i < UNM_FDB_WAYS + 2; i++)
		mac[i] = mac_in_bucket(0x42, i);
	for (i = 0; i < UNM_FDB_WAYS; i++)
		learn(mac[i], i, 100 + i, 150);
	learn(mac[0], 0, 110, 150); /* so that [1] is the oldest */
	learn(mac[7], 7, 111, 150);
	assert_int_equal(lookup(mac[1], 111, 150), UNM_NONE);
	for (i = 0; i < UNM_FDB_WAYS + 1; i++)
		assert_true(i == 1 || lookup(mac[i], 111, 150) == i);
	learn(mac[8], 8, 102 + 20, 20); /* [2] has expired by now, and nobody else */
	assert_int_equal(lookup(mac[8], 122, 150), 8);
	assert_int_equal(lookup(mac[2], 122, 150), UNM_NONE);
	for (i = 3; i < UNM_FDB_WAYS + 1; i++)
		assert_int_equal(lookup(mac[i], 122, 150), i);
}

/* A port that floods a bucket with addresses evicts its own, not its neighbours'. */
static void
flooding(void **state)
{
	const uint64_t victim = 0x42, other = mac_in_bucket(0x42, 0);
	unsigned int i;

	(void)state;
	learn(victim, 1, 0, 150);
	learn(other, 2, 1, 150);
	for (i = 0; i < 2000; i++)
		learn(mac_in_bucket(victim, 1 + i % 50), 3, 2 + i / 50, 150);
	assert_int_equal(lookup(victim, 42, 150), 1);
	assert_int_equal(lookup(other, 42, 150), 2);
}

/* An address stays with the port that it was heard on, if somebody without trust uses it too. */
static void
no_displacing(void **state)
{
	uint64_t mac[UNM_FDB_WAYS + 1];
	unsigned int i;

	(void)state;
	learn(0x42, 1, 0, 10);
	learn_meekly(0x42, 2, 5, 10);
	assert_int_equal(lookup(0x42, 5, 10), 1);
	assert_int_equal(lookup(0x42, 10, 10), UNM_NONE); /* nor is it kept young by that */
	learn_meekly(0x42, 2, 10, 10);
	assert_int_equal(lookup(0x42, 10, 10), 2);
	learn_meekly(0x42, 2, 15, 10); /* its own it may refresh */
	assert_int_equal(lookup(0x42, 24, 10), 2);
	learn(0x42, 1, 16, 10); /* the trusted one gets it back at once */
	assert_int_equal(lookup(0x42, 16, 10), 1);

	empty(NULL);
	for (i = 0; i <= UNM_FDB_WAYS; i++)
		mac[i] = mac_in_bucket(0x42, i);
	for (i = 0; i < UNM_FDB_WAYS; i++)
		learn(mac[i], i, i, 150);
	learn_meekly(mac[UNM_FDB_WAYS], 9, 20, 150); /* full: there is no room for it */
	assert_int_equal(lookup(mac[UNM_FDB_WAYS], 20, 150), UNM_NONE);
	for (i = 0; i < UNM_FDB_WAYS; i++)
		assert_int_equal(lookup(mac[i], 20, 150), i);
	learn_meekly(mac[UNM_FDB_WAYS], 0, 21, 150); /* but where it has one itself */
	assert_int_equal(lookup(mac[UNM_FDB_WAYS], 21, 150), 0);
	assert_int_equal(lookup(mac[0], 21, 150), UNM_NONE);
	learn_meekly(mac[0], 9, 152, 150); /* mac[1] expired in the last tick */
	assert_int_equal(lookup(mac[0], 152, 150), 9);
}

/* An address heard once and never again stays forgotten, however often the 8-bit clock turns. */
static void
no_return(void **state)
{
	uint32_t swept = 1000, tick;

	(void)state;
	learn(0x42, 3, 1000, 200);
	for (tick = 1000; tick < 3000; tick++) {
		unm_fdb_sweep(fdb, N_BUCKETS, &swept, tick, 200);
		assert_int_equal(lookup(0x42, tick, 200), tick < 1200 ? 3 : UNM_NONE);
	}
}

/* The same when nobody sends for a while, so that nobody sweeps. */
static void
no_return_after_pause(void **state)
{
	uint32_t pause;

	(void)state;
	for (pause = 1; pause < 1200; pause++) {
		uint32_t swept = 5000;

		memset(fdb, 0, sizeof(fdb));
		learn(0x42, 3, 4990, 150);
		unm_fdb_sweep(fdb, N_BUCKETS, &swept, 5000 + pause, 150);
		assert_int_equal(lookup(0x42, 5000 + pause, 150), pause < 140 ? 3 : UNM_NONE);
	}
}

#define N_MACS 120

/* What a table without limits would remember. */
static struct {
	uint64_t mac;
	uint32_t port, heard;
	bool known;
} model[N_MACS];

/* Addresses of which no more than a bucket's ways fall into one bucket, so that nothing is evicted. */
static void
choose_macs(uint64_t *seed)
{
	unsigned int load[N_BUCKETS] = {0};
	unsigned int i = 0;

	memset(model, 0, sizeof(model));
	while (i < N_MACS) {
		const uint64_t mac = (uint64_t)traffic_random(seed) << 16 | 0x1234;
		const size_t at = (size_t)(unm_fdb_bucket_of(fdb, N_BUCKETS, mac) - fdb);

		if (load[at] < UNM_FDB_WAYS) {
			load[at]++;
			model[i++].mac = mac;
		}
	}
}

static void
random_operations(void **state)
{
	static const uint8_t ages[] = {1, 5, 100, 150, 200};
	uint32_t tick = 0xffffff00, swept = tick; /* the full clock wraps as well */
	uint64_t seed = 1;
	unsigned int round, n_hits = 0, n_misses = 0;

	(void)state;
	for (round = 0; round < 400000; round++) {
		const uint8_t age = ages[round / 80000];
		const uint32_t r = traffic_random(&seed);
		const unsigned int i = r % N_MACS;

		if (round % 80000 == 0) {
			empty(NULL);
			choose_macs(&seed);
		}
		if (traffic_random(&seed) % 20 == 0)
			tick += traffic_random(&seed) % (age / 4 + 2);
		if (traffic_random(&seed) % 5000 == 0)
			tick += traffic_random(&seed) % 2000;
		unm_fdb_sweep(fdb, N_BUCKETS, &swept, tick, age);
		if (r >> 30 == 0) {
			learn(model[i].mac, r >> 16 & 2047, tick, age);
			model[i].port = r >> 16 & 2047;
			model[i].heard = tick;
			model[i].known = true;
		} else {
			const bool fresh = model[i].known && tick - model[i].heard < age;

			assert_int_equal(
				lookup(model[i].mac, tick, age), fresh ? model[i].port : UNM_NONE);
			n_hits += fresh;
			n_misses += !fresh;
		}
	}
	assert_true(n_hits > 10000 && n_misses > 10000);
}

#define N_THREADS 4

/* MAC m is only ever heard on the ports m % 8 and 100. */
static void *
sender(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;
	static uint32_t swept;
	uint32_t round;

	for (round = 0; round < 60000; round++) {
		const uint32_t r = traffic_random(&seed);
		const uint64_t mac = 0x10000 + (r & 1023);
		uint32_t port;

		unm_fdb_sweep(fdb, N_BUCKETS, &swept, round / 100, 50);
		if (r >> 31)
			learn(mac, r >> 30 & 1 ? 100 : (uint32_t)(mac % 8), round / 100, 50);
		port = lookup(mac, round / 100, 50);
		CHECK(port == UNM_NONE || port == 100 || port == mac % 8);
	}
	return NULL;
}

static void
concurrent(void **state)
{
	pthread_t t[N_THREADS];
	uintptr_t i;

	(void)state;
	for (i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, sender, (void *)(i + 1)), 0);
	for (i = 0; i < N_THREADS; i++)
		pthread_join(t[i], NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test_setup(learning, empty),
		cmocka_unit_test_setup(ageing, empty),
		cmocka_unit_test_setup(eviction, empty),
		cmocka_unit_test_setup(flooding, empty),
		cmocka_unit_test_setup(no_displacing, empty),
		cmocka_unit_test_setup(no_return, empty),
		cmocka_unit_test_setup(no_return_after_pause, empty),
		cmocka_unit_test_setup(random_operations, empty),
		cmocka_unit_test_setup(concurrent, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
