/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: regions' numbers go round, over restarts too; none is given that a client of a previous run may
 * still bring back, not even the global region's; the state file's lines stay few.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/region.h"

static const struct unm_region_shape shape = {
	.if_num = 1,
	.if_size = 64,
	.ring_num = 2,
	.ring_size = 256,
	.buf_num = 4,
	.buf_size = 64,
};

static uint32_t
make(struct unm_region_set *set)
{
	struct unm_dregion *r;

	assert_int_equal(unm_dregion_create(set, &shape, &r, NULL), 0);
	return r->info.id;
}

/* What a run writes, the next one reads. Return: lines. */
static uint32_t
hand_over(const struct unm_region_set *from, struct unm_region_set *to)
{
	char *text, *line, *rest = NULL;
	uint32_t n = 0;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	unm_region_ids_write(from, f);
	assert_int_equal(fclose(f), 0);
	unm_region_set_init(to, 0, false);
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		assert_true(unm_region_ids_read(&to->ids, line));
		n++;
	}
	free(text);
	return n;
}

static void
test_round(void **state)
{
	struct unm_region_set set, next;
	struct unm_reason why = {""};
	struct unm_dregion *r;
	uint32_t id;

	(void)state; /* cmocka's signature */
	unm_region_set_init(&set, 0, false);
	assert_int_equal(make(&set), 2);
	assert_true(set.ids.is_changed);
	unm_dregion_put(&set, unm_dregion_by_id(&set, 2));
	assert_int_equal(make(&set), 3); /* not the one that is free again */
	hand_over(&set, &next);
	assert_false(unm_region_ids_is_kept(&next.ids, 2));
	assert_true(unm_region_ids_is_kept(&next.ids, 3));
	assert_int_equal(make(&next), 4);
	next.ids.next = UNM_REGION_LAST_ID;
	assert_int_equal(make(&next), UNM_REGION_LAST_ID);
	assert_int_equal(make(&next), 2);
	assert_int_equal(make(&next), 5); /* 3 may come back */
	unm_region_ids_give_up(&next.ids);
	next.ids.next = 2;
	assert_int_equal(make(&next), 3);
	for (id = 2; id < UNM_REGION_LAST_ID; id++)
		unm_bit_set(next.ids.kept, id);
	assert_int_equal(unm_dregion_create(&next, &shape, &r, &why), -ENOMEM);
	assert_non_null(strstr(why.text, "regions are in use"));
	unm_region_set_fini(&next);
	unm_region_set_fini(&set);
}

static void
test_global(void **state)
{
	struct unm_region_set set, next;
	struct unm_dregion *old, *global, *late;

	(void)state; /* cmocka's signature */
	unm_region_set_init(&set, 0, false);
	assert_int_equal(unm_dregion_global(&set, &old, NULL), 0);
	assert_int_equal(old->info.id, UNM_REGION_GLOBAL_ID);
	hand_over(&set, &next);
	assert_int_equal(unm_dregion_global(&next, &global, NULL), 0);
	assert_int_equal(global->info.id, 2);
	assert_int_equal(
		unm_dregion_adopt(&next, &old->info, old->fd, old->map_fd, &late, NULL), 0);
	assert_ptr_equal(unm_dregion_by_id(&next, UNM_REGION_GLOBAL_ID), late);
	unm_dregion_get(late); /* of a port */
	unm_region_set_drop_unused(&next);
	assert_int_equal(unm_dregion_global(&next, &global, NULL), 0);
	assert_int_equal(global->info.id, 2);
	unm_dregion_put(&next, late);
	assert_null(
		unm_dregion_by_id(&next, UNM_REGION_GLOBAL_ID)); /* not kept for others to use */
	unm_dregion_put(&next, global);
	unm_dregion_put(&next, global);
	assert_ptr_equal(unm_dregion_by_id(&next, 2), global); /* that one is */
	unm_region_set_fini(&next);
	unm_region_set_fini(&set);
}

static void
test_scattered(void **state)
{
	struct unm_region_set set, next;
	uint32_t id, n = 0;

	(void)state; /* cmocka's signature */
	unm_region_set_init(&set, 0, false);
	for (id = 10; id < 10000; id += 10)
		unm_bit_set(set.ids.kept, id);
	assert_true(hand_over(&set, &next) <= UNM_REGION_IDS_MAX_LINES + 1);
	for (id = 1; id <= UNM_REGION_LAST_ID; id++) {
		assert_true(unm_region_ids_is_kept(&next.ids, id) ||
			    !unm_region_ids_is_kept(&set.ids, id));
		n += unm_region_ids_is_kept(&next.ids, id);
	}
	assert_true(n < 10000);
	unm_bit_set(set.ids.kept, UNM_REGION_LAST_ID);
	hand_over(&set, &next);
	assert_true(unm_region_ids_is_kept(&next.ids, UNM_REGION_LAST_ID));
}

/* What stands in the file need not be what we wrote. */
static void
test_nonsense(void **state)
{
	struct unm_region_ids ids;

	(void)state; /* cmocka's signature */
	unm_region_ids_init(&ids);
	assert_true(unm_region_ids_read(&ids, "next_region 0"));
	assert_true(unm_region_ids_read(&ids, "next_region 1"));
	assert_true(unm_region_ids_read(&ids, "next_region 32768"));
	assert_int_equal(ids.next, 2);
	assert_true(unm_region_ids_read(&ids, "regions 0 7"));
	assert_true(unm_region_ids_read(&ids, "regions 9 3"));
	assert_true(unm_region_ids_read(&ids, "regions 32760 4294967295"));
	assert_false(unm_region_ids_is_kept(&ids, 0));
	assert_false(unm_region_ids_is_kept(&ids, 5));
	assert_true(unm_region_ids_is_kept(&ids, UNM_REGION_LAST_ID));
	assert_false(unm_region_ids_is_kept(&ids, UNM_REGION_LAST_ID + 1)); /* a broker's */
	assert_false(unm_region_ids_read(&ids, "regions"));
	assert_false(unm_region_ids_read(&ids, "sessions 3"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_global),
		cmocka_unit_test(test_scattered),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
