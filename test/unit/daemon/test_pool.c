/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: a region's pools hand out each object once, against a dumb model with random operations; the allocation map says the
 * same after every one of them; what a region has committed is within the budget and comes back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/bitmap.h"
#include "daemon/region.h"

#define N_BUFS	 3000u
#define N_ROUNDS 20000
#define MAX_RUN	 7u

static const struct unm_region_shape shape = {
	.if_num = 16,
	.if_size = 1024,
	.ring_num = 64,
	.ring_size = 4096,
	.buf_num = N_BUFS,
	.buf_size = 2048,
};

static uint32_t
rnd(uint32_t n)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x % n);
}

static void
check_map(const struct unm_pool *p, const bool *model)
{
	uint64_t words[UNM_BITMAP_WORDS(N_BUFS)];
	uint32_t i, n_free = 0;

	assert_int_equal(pread(p->map_fd, words, sizeof(words), (off_t)p->map_ofs), sizeof(words));
	for (i = 0; i < N_BUFS; i++) {
		if (i >= 2)
			assert_int_equal(unm_bit_test(words, i), model[i]);
		assert_int_equal(unm_pool_holds(p, i), i >= 2 && model[i]);
		n_free += i >= 2 && !model[i];
	}
	assert_int_equal(p->n_free, n_free);
}

static void
random_round(struct unm_pool *p, bool *model)
{
	uint32_t first, run = 1 + rnd(MAX_RUN), many[40], i;

	switch (rnd(4)) {
	case 0:
		if (unm_pool_alloc_run(p, run, &first, NULL) == 0) {
			for (i = 0; i < run; i++) {
				assert_true(first + i >= 2 && first + i < N_BUFS);
				assert_false(model[first + i]);
				model[first + i] = true;
			}
		}
		break;
	case 1:
		if (unm_pool_alloc_many(p, 40, many, NULL) == 0) {
			for (i = 0; i < 40; i++) {
				assert_true(many[i] >= 2 && many[i] < N_BUFS);
				assert_false(model[many[i]]);
				model[many[i]] = true;
			}
		}
		break;
	case 2:
		first = rnd(N_BUFS + 10); /* a client's list may name anything, also twice */
		unm_pool_free_run(p, first, run);
		for (i = first; i < first + run && i < N_BUFS; i++)
			model[i] = model[i] && i < 2;
		break;
	default:
		for (i = 0; i < 40; i++)
			many[i] = rnd(2) ? rnd(N_BUFS) : UINT32_MAX - i;
		unm_pool_free_many(p, many, 40);
		for (i = 0; i < 40; i++) {
			if (many[i] < N_BUFS)
				model[many[i]] = false;
		}
	}
}

static void
test_model(void **state)
{
	struct unm_region_set set;
	struct unm_dregion *r;
	bool *model = calloc(N_BUFS + MAX_RUN + 10, sizeof(*model));
	int i;

	(void)state; /* cmocka's signature */
	assert_non_null(model);
	unm_region_set_init(&set, 0, false);
	assert_int_equal(unm_dregion_create(&set, &shape, &r, NULL), 0);
	for (i = 0; i < N_ROUNDS; i++) {
		random_round(&r->bufs, model);
		if (i % 500 == 0)
			check_map(&r->bufs, model);
	}
	check_map(&r->bufs, model);
	unm_dregion_put(&set, r);
	assert_null(set.first);
	assert_int_equal(set.budget.n_bytes, 0);
	free(model);
}

static void
test_exhaustion(void **state)
{
	struct unm_reason why = {""};
	struct unm_region_set set;
	struct unm_dregion *r;
	uint32_t all[N_BUFS], first;

	(void)state; /* cmocka's signature */
	unm_region_set_init(&set, 0, false);
	assert_int_equal(unm_dregion_create(&set, &shape, &r, NULL), 0);
	assert_int_equal(unm_pool_alloc_many(&r->bufs, N_BUFS - 1, all, &why), -ENOMEM);
	assert_non_null(strstr(why.text, "buffers"));
	assert_int_equal(unm_pool_alloc_many(&r->bufs, N_BUFS - 2, all, &why), 0);
	assert_int_equal(unm_pool_alloc_run(&r->bufs, 1, &first, &why), -ENOMEM);
	unm_pool_free_run(&r->bufs, 77, 1);
	assert_int_equal(unm_pool_alloc_run(&r->bufs, 2, &first, &why), -ENOMEM);
	assert_int_equal(unm_pool_alloc_run(&r->bufs, 1, &first, &why), 0);
	assert_int_equal(first, 77);
	unm_region_set_fini(&set);
}

/* The budget is never exceeded, a failure leaves nothing taken, and other regions share it. */
static void
test_budget(void **state)
{
	const uint64_t limit = 1 << 20;
	struct unm_reason why = {""};
	struct unm_region_set set;
	struct unm_dregion *a, *b;
	uint32_t bufs[N_BUFS];

	(void)state; /* cmocka's signature */
	unm_region_set_init(&set, limit, false);
	assert_int_equal(unm_dregion_create(&set, &shape, &a, NULL), 0);
	assert_int_equal(unm_dregion_create(&set, &shape, &b, NULL), 0);
	assert_int_equal(unm_pool_alloc_many(&a->bufs, 1000, bufs, &why), -ENOMEM);
	assert_non_null(strstr(why.text, "memory_mib"));
	assert_int_equal(a->bufs.n_free, N_BUFS - 2);
	assert_true(set.budget.n_bytes <= limit);
	assert_int_equal(unm_pool_alloc_many(&b->bufs, 1000, bufs, &why), -ENOMEM);
	unm_dregion_put(&set, a);
	assert_int_equal(unm_pool_alloc_many(&b->bufs, 200, bufs, &why), 0);
	unm_region_set_fini(&set);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_exhaustion),
		cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
