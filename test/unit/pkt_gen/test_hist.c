/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: every value falls into a bucket whose ends are within 1/32 of it, percentiles agree with
 * a sorted array within that error, and minimum, maximum, mean and counts are exact.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "hist.h"

#define N_VALS 10000

static struct pg_hist hist;

static void
test_empty(void **state)
{
	(void)state; /* cmocka's signature */
	pg_hist_reset(&hist);
	assert_int_equal(pg_hist_percentile(&hist, 50), 0);
	assert_int_equal(pg_hist_mean(&hist), 0);
	assert_int_equal(hist.count, 0);
}

static void
test_single_values(void **state)
{
	static const uint64_t vals[] = {0, 1, 31, 32, 33, 63, 64, 65, 1000, 123456789, UINT32_MAX,
		UINT64_C(1) << 40, UINT64_MAX - 1, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(vals) / sizeof(vals[0]); i++) {
		pg_hist_reset(&hist);
		pg_hist_add(&hist, vals[i]);
		assert_true(pg_hist_bucket(vals[i]) < PG_HIST_N_BUCKETS);
		/* One value: clipped to the maximum, hence exact. */
		assert_true(pg_hist_percentile(&hist, 99.9) == vals[i]);
		assert_true(hist.min == vals[i] && hist.max == vals[i]);
	}
}

/* Buckets follow one another without gaps, so that a larger value never has a smaller bucket. */
static void
test_monotonic(void **state)
{
	unsigned last = 0;

	(void)state;
	for (uint64_t v = 0; v < 100000; v++) {
		unsigned b = pg_hist_bucket(v);

		assert_true(b == last || b == last + 1);
		last = b;
	}
	for (unsigned e = 17; e < 64; e++) {
		uint64_t v = UINT64_C(1) << e;

		assert_int_equal(pg_hist_bucket(v), pg_hist_bucket(v - 1) + 1);
	}
	assert_int_equal(pg_hist_bucket(UINT64_MAX), PG_HIST_N_BUCKETS - 1);
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
test_percentiles(void **state)
{
	/* percentile in tenths, and the rank that it means among N_VALS sorted values */
	static const struct {
		double percent;
		size_t rank;
	} cases[] = {{50, 5000}, {90, 9000}, {99, 9900}, {99.9, 9990}, {100, 10000}, {0.01, 1}};
	static uint64_t vals[N_VALS];
	uint64_t sum = 0;

	(void)state;
	srandom(7);
	pg_hist_reset(&hist);
	for (size_t i = 0; i < N_VALS; i++) {
		/* Spread over eight orders of magnitude. */
		vals[i] = (uint64_t)random() >> (random() % 27);
		sum += vals[i];
		pg_hist_add(&hist, vals[i]);
	}
	qsort(vals, N_VALS, sizeof(vals[0]), compare);
	assert_int_equal(hist.min, vals[0]);
	assert_int_equal(hist.max, vals[N_VALS - 1]);
	assert_int_equal(pg_hist_mean(&hist), sum / N_VALS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t exact = vals[cases[i].rank - 1];
		uint64_t found = pg_hist_percentile(&hist, cases[i].percent);

		assert_true(found >= exact);
		assert_true(found <= exact + exact / PG_HIST_SUB);
	}
}

static void
test_merge_and_log2(void **state)
{
	static struct pg_hist other;
	uint64_t log2[PG_HIST_N_LOG2];

	(void)state;
	pg_hist_reset(&hist);
	pg_hist_reset(&other);
	pg_hist_add(&hist, 1000);
	pg_hist_add(&other, 0);
	pg_hist_add(&other, 1);
	pg_hist_add(&other, 1023);
	pg_hist_add(&other, 1024);
	pg_hist_merge(&hist, &other);
	assert_int_equal(hist.count, 5);
	assert_int_equal(hist.min, 0);
	assert_int_equal(hist.max, 1024);
	pg_hist_log2(&hist, log2);
	for (unsigned k = 0; k < PG_HIST_N_LOG2; k++)
		assert_int_equal(log2[k], k == 0 ? 2 : k == 9 ? 2 : k == 10 ? 1 : 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_single_values),
		cmocka_unit_test(test_monotonic),
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_merge_and_log2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
