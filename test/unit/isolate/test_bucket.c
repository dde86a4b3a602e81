/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves: over any time no more goes through a bucket than its rate and one burst, debt included. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "isolate/bucket.h"

#define NS_PER_S UINT64_C(1000000000)

/* As fast as the bucket lets, looking every @step_ns for a second. @over: tokens beyond the room. */
static uint64_t
pour(uint64_t rate, uint64_t step_ns, uint32_t over)
{
	uint64_t now = 12345, end = now + NS_PER_S, n = 0;
	struct unm_bucket b;

	unm_bucket_init(&b, rate, now);
	for (; now < end; now += step_ns) {
		uint32_t room;

		unm_bucket_fill(&b, now);
		while ((room = unm_bucket_room(&b, 512)) > 0) {
			unm_bucket_take(&b, room + over);
			n += room + over;
		}
		assert_true(unm_bucket_wait_ms(&b) > 0);
	}
	return n;
}

static void
test_rate(void **state)
{
	static const uint64_t rates[] = {1, 50, 1000, 33333, 1000000, 1000000000};
	static const uint64_t steps[] = {1000, 50000, 1000000, 9000000};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		for (k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
			const uint64_t rate = rates[i];
			const uint64_t burst =
				rate / 100 < UNM_BUCKET_MIN ? UNM_BUCKET_MIN : rate / 100;
			uint64_t n = pour(rate, steps[k], 0);

			assert_true(n <= rate + burst);
			assert_true(n + rate / 50 + burst >= rate);
			n = pour(rate, steps[k], 63);
			assert_true(n <= rate + burst + 63);
		}
}

static void
test_no_limit(void **state)
{
	struct unm_bucket b;

	(void)state;
	unm_bucket_init(&b, 0, 0);
	unm_bucket_take(&b, 1000000);
	assert_int_equal(unm_bucket_room(&b, 512), 512);
	assert_int_equal(unm_bucket_wait_ms(&b), -1);
}

/* The wait that is advised is long enough, and no second longer than needed. */
static void
test_wait(void **state)
{
	struct unm_bucket b;
	int ms;

	(void)state;
	unm_bucket_init(&b, 1000, 0);
	unm_bucket_take(&b, unm_bucket_room(&b, 512) + 20);
	ms = unm_bucket_wait_ms(&b);
	assert_in_range(ms, 1, 30);
	unm_bucket_fill(&b, (uint64_t)ms * 1000000u);
	assert_true(unm_bucket_room(&b, 1) == 1);
}

/* One that is larger than a second's tokens is full again as soon as it can be, debt included. */
static void
test_large(void **state)
{
	struct unm_bucket b;

	(void)state;
	unm_bucket_init_size(&b, 200, 500, 0);
	assert_int_equal(unm_bucket_room(&b, 1000), 500);
	unm_bucket_take(&b, 700);
	unm_bucket_fill(&b, NS_PER_S);
	assert_int_equal(unm_bucket_room(&b, 1000), 0);
	unm_bucket_fill(&b, 5 * NS_PER_S / 2);
	assert_int_equal(unm_bucket_room(&b, 1000), 300);
	unm_bucket_fill(&b, 7 * NS_PER_S / 2);
	assert_int_equal(unm_bucket_room(&b, 1000), 500);
	unm_bucket_take(&b, 700);
	unm_bucket_fill(&b, 100 * NS_PER_S);
	assert_int_equal(unm_bucket_room(&b, 1000), 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
