/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: what was switched off is read again as it was written, wrong lines are refused, and what belongs to interfaces that are gone is
 * forgotten and said once. Features are those of the interface of that number, and of names that the kernel has.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/nic_features.h"
#include "daemon/offload.h"

static unsigned int n_saved;

static void
count_save(struct unm_domain *dom)
{
	(void)dom;
	n_saved++;
}

static void
test_round_trip(void **state)
{
	struct unm_domain dom = {.ports = NULL}, next = {.ports = NULL};
	char *text = NULL, list[128];
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	char *line, *rest;

	(void)state;
	assert_non_null(f);
	assert_true(unm_offload_read(&dom, "offload 7 41 4026532592 blue\n"));
	assert_true(unm_offload_read(&dom, "offload 3 2 1 \n"));
	unm_offload_write(&dom, f);
	fclose(f);
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		assert_true(unm_offload_read(&next, line));
	unm_offload_list(&next, 7, "blue", 4026532592, list, sizeof(list));
	assert_string_equal(list, "rx-gro-hw rx-gro");
	unm_offload_list(&next, 3, "", 1, list, sizeof(list));
	assert_string_equal(list, "rx-lro");
	unm_offload_list(&next, 3, "blue", 2, list, sizeof(list));
	assert_string_equal(list, "");
	unm_offload_list(&next, 7, "blue", 4026532592, list, 6); /* cut, with its end */
	assert_string_equal(list, "rx-gr");
	free(text);
	unm_offload_clear(&dom);
	unm_offload_clear(&next);
	assert_null(next.offloads);
}

static void
test_wrong_lines(void **state)
{
	static const char *const lines[] = {
		"", "offload", "offload x 1 1", "offload 1", "offload 1 1", "port 1 1 1 1 p\n"};
	struct unm_domain dom = {.ports = NULL};
	char list[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(unm_offload_read(&dom, lines[i]));
	assert_null(dom.offloads);
	/* bits that this version does not know are not taken for others */
	assert_true(unm_offload_read(&dom, "offload 1 ffffff80 1"));
	unm_offload_list(&dom, 1, "", 1, list, sizeof(list));
	assert_string_equal(list, "");
	unm_offload_clear(&dom);
}

static void
test_gone(void **state)
{
	struct unm_domain dom = {.save = count_save};

	(void)state;
	assert_true(unm_offload_read(&dom, "offload 2147483000 41 1"));
	assert_true(unm_offload_read(&dom, "offload 2 41 1 no-such-namespace"));
	unm_offload_settle(&dom);
	assert_null(dom.offloads);
	assert_int_equal(n_saved, 1);
	unm_offload_give_back(&dom, 5, "", 0, -1); /* of which nothing is off */
	assert_int_equal(n_saved, 1);
}

static void
test_features(void **state)
{
	static const char *const name[] = {"no-such-feature", "also-none", "rx-gro", "loopback"};
	const struct unm_feature_names names = {.n = 4, .name = name};
	uint32_t on = 77, changeable = 77;
	struct unm_features f;

	(void)state;
	if (unm_features_open(&f) < 0)
		skip();
	assert_int_equal(unm_features_get(&f, 1, &names, &on, &changeable), 0);
	assert_int_equal(on & 1, 0);
	assert_int_equal(on & 8, 8); /* interface 1 is lo */
	assert_int_equal(unm_features_get(&f, 2147483000, &names, &on, &changeable), -ENODEV);
	assert_true(unm_features_set(&f, 1, &names, 1, true) < 0); /* -EINVAL; -EPERM */
	unm_features_close(&f);
	unm_features_close(&f); /* is harmless */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
