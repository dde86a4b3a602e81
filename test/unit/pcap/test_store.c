/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves that nm-record's store keeps the newest frames, whole and in order, within each of its
 * limits, however long the frames: by a dumb model that keeps them all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "store.h"
#include "test_random.h"

#define N_FRAMES 60000

static uint8_t pattern[4096 + 256];

/* Frame @i has this length, and begins at this byte of the pattern. */
static uint32_t
frame_len(uint32_t i)
{
	uint32_t seed = i * 2654435761u + 1;

	return test_random(&seed) % 8 == 0 ? test_random(&seed) % 4096 : test_random(&seed) % 128;
}

static void
put(struct store *s, uint32_t i)
{
	const struct store_frame f = {
		.time_ns = 1000u * i,
		.caplen = frame_len(i),
		.len = frame_len(i) + i % 3,
		.port = (uint16_t)(i % 5),
		.is_tx = i % 2,
		.data = pattern + i % 256,
	};

	store_put(s, &f);
}

/* It has to hold the frames up to @last, without a gap. Return: the first one. */
static uint32_t
check(struct store *s, uint32_t last)
{
	const uint64_t n = store_n_frames(s);
	struct store_pos pos = store_first(s);
	uint32_t i = (uint32_t)(last + 1 - n);
	uint64_t bytes = 0;
	struct store_frame f;

	while (store_next(s, &pos, &f)) {
		assert_int_equal(f.time_ns, 1000u * i);
		assert_int_equal(f.caplen, frame_len(i));
		assert_int_equal(f.len, frame_len(i) + i % 3);
		assert_int_equal(f.port, i % 5);
		assert_int_equal(f.is_tx, i % 2);
		assert_memory_equal(f.data, pattern + i % 256, f.caplen);
		bytes += f.caplen;
		i++;
	}
	assert_int_equal(i, last + 1);
	assert_int_equal(bytes, store_n_bytes(s));
	return (uint32_t)(last + 1 - n);
}

static struct store *
new_store(size_t size, uint64_t n_frames, uint64_t age_ns)
{
	const struct store_limits limits = {.n_frames = n_frames, .age_ns = age_ns};
	struct store *s;

	assert_int_equal(store_new(&s, size, &limits), 0);
	return s;
}

static void
test_memory(void **state)
{
	struct store *s = new_store(STORE_MIN_SIZE + 5, 0, 0);
	uint64_t most = 0;
	uint32_t i;

	(void)state;
	assert_int_equal(store_n_frames(s), 0);
	for (i = 0; i < N_FRAMES; i++) {
		put(s, i);
		if (i % 997 == 0)
			check(s, i);
		if (store_n_bytes(s) + 24 * store_n_frames(s) > most)
			most = store_n_bytes(s) + 24 * store_n_frames(s);
	}
	assert_true(check(s, N_FRAMES - 1) > 0);
	/* It is used nearly to its end: alignment and a filler are all that is lost. */
	assert_true(most > STORE_MIN_SIZE * 9 / 10);
	assert_true(most <= STORE_MIN_SIZE);
	store_free(s);
}

static void
test_frames(void **state)
{
	struct store *s = new_store(STORE_MIN_SIZE, 100, 0);
	uint32_t i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		put(s, i);
		assert_int_equal(store_n_frames(s), i < 100 ? i + 1 : 100);
	}
	assert_int_equal(check(s, 4999), 4900);
	store_free(s);
}

static void
test_age(void **state)
{
	struct store *s = new_store(STORE_MIN_SIZE, 0, 50 * 1000);
	uint32_t i;

	(void)state;
	for (i = 0; i < 1000; i++)
		put(s, i);
	store_expire(s, 1000u * 999);
	assert_int_equal(check(s, 999), 949);
	store_expire(s, 1000u * 2000);
	assert_int_equal(store_n_frames(s), 0);
	assert_int_equal(store_n_bytes(s), 0);
	put(s, 3000);
	assert_int_equal(check(s, 3000), 3000);
	store_free(s);
}

static void
test_too_small(void **state)
{
	const struct store_limits none = {0};
	struct store *s;

	(void)state;
	assert_int_equal(store_new(&s, 1000, &none), -EINVAL);
	store_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_too_small),
	};
	size_t i;

	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
