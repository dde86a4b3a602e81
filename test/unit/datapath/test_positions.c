/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Positions in rings and the check of a client's indices: every case of every small ring, against references that
 * walk slot by slot. Also: what a shared word out of range reads as, and how slots are loaded and stored.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ring/kring.h"
#include "ring/prologue.h"
#include "ring/slot.h"

#define MAX_N 9u

/* Steps from @from to @to, counted. */
static uint32_t
walk(uint32_t from, uint32_t to, uint32_t n)
{
	uint32_t steps = 0;

	while (from != to) {
		from = (from + 1) % n;
		steps++;
	}
	return steps;
}

static void
arithmetic(void **state)
{
	uint32_t n, i, k;

	(void)state;
	for (n = 1; n <= MAX_N; n++) {
		for (i = 0; i < n; i++) {
			assert_int_equal(unm_pos_next(i, n), (i + 1) % n);
			assert_int_equal(unm_pos_prev(unm_pos_next(i, n), n), i);
			assert_int_equal(unm_pos_next(unm_pos_prev(i, n), n), i);
			for (k = 0; k < n; k++) {
				assert_int_equal(unm_pos_dist(i, k, n), walk(i, k, n));
				assert_int_equal(unm_pos_add(i, k, n), (i + k) % n);
			}
			assert_int_equal(unm_pos_add(i, n, n), i);
		}
	}
}

/* Walk once round from @start: head, cur and tail have to be met in this order, tail last. */
static bool
indices_ok_slowly(uint32_t start, uint32_t head, uint32_t cur, uint32_t tail, uint32_t n)
{
	bool seen_head = false, seen_cur = false;
	uint32_t i, at = start;

	for (i = 0; i < n; i++) {
		seen_head |= at == head;
		seen_cur |= seen_head && at == cur;
		if (at == tail)
			return seen_head && seen_cur;
		at = (at + 1) % n;
	}
	return false;
}

static void
indices(void **state)
{
	uint32_t n, start, head, cur, tail;
	unsigned int n_legal = 0;

	(void)state;
	for (n = 2; n <= MAX_N; n++)
		for (start = 0; start < n; start++)
			for (tail = 0; tail < n; tail++)
				for (head = 0; head < n + 2; head++)
					for (cur = 0; cur < n + 2; cur++) {
						const bool ok =
							unm_indices_ok(start, head, cur, tail, n);

						assert_int_equal(ok, indices_ok_slowly(start, head,
									     cur, tail, n));
						n_legal += ok;
					}
	assert_true(n_legal > 0);
	assert_false(unm_indices_ok(0, UINT32_MAX, 0, 3, 4));
	assert_false(unm_indices_ok(0, 0, UINT32_MAX, 3, 4));
}

static void
words_out_of_range(void **state)
{
	static const struct {
		uint32_t word, n, expected;
	} cases[] = {
		{0, 4, 0},
		{3, 4, 3},
		{4, 4, 2}, /* 2 is the fallback */
		{UINT32_MAX, 4, 2},
	};
	struct unm_kring k = {0};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unm_kring_publish_hwtail(&k, cases[i].word);
		unm_kring_publish_hwcur(&k, cases[i].word);
		assert_int_equal(unm_kring_load_hwtail(&k, cases[i].n, 2), cases[i].expected);
		assert_int_equal(unm_kring_load_hwcur(&k, cases[i].n, 2), cases[i].expected);
	}
}

static void
slots(void **state)
{
	const struct netmap_slot v = {.buf_idx = 0x01020304,
		.len = 0x1516,
		.flags = NS_MOREFRAG | 0x700,
		.ptr = UINT64_C(0xf1f2f3f4f5f6f7f8)};
	struct netmap_slot s[2] = {{0}, {0}}, got;

	(void)state;
	unm_slot_store(&s[1], v);
	got = unm_slot_load(&s[1]);
	assert_memory_equal(&got, &v, sizeof(v));
	assert_int_equal(s[0].buf_idx | s[0].len | s[0].flags | s[0].ptr, 0);
	unm_slot_store_len_flags(&s[1], 60, 1 << NS_PORT_SHIFT);
	assert_int_equal(s[1].len, 60);
	assert_int_equal(s[1].flags, 1 << NS_PORT_SHIFT);
	assert_int_equal(s[1].buf_idx, v.buf_idx);
	assert_true(s[1].ptr == v.ptr);
}

static void
buffer_indices(void **state)
{
	(void)state;
	assert_false(unm_buf_idx_ok(0, 10));
	assert_false(unm_buf_idx_ok(1, 10));
	assert_true(unm_buf_idx_ok(2, 10));
	assert_true(unm_buf_idx_ok(9, 10));
	assert_false(unm_buf_idx_ok(10, 10));
	assert_false(unm_buf_idx_ok(UINT32_MAX, 10));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arithmetic),
		cmocka_unit_test(indices),
		cmocka_unit_test(words_out_of_range),
		cmocka_unit_test(slots),
		cmocka_unit_test(buffer_indices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
