/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves: port names are taken apart as spec 11 has it, and each kind of wrong name gives its errno and a printable reason. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "daemon/names.h"

#define N_ELEMS(a) (sizeof(a) / sizeof((a)[0]))

static void
test_good(void **state)
{
	static const struct {
		const char *raw;
		enum unm_name_kind kind;
		const char *sw, *port, *base, *id, *ifname, *netns;
		bool is_master;
	} cases[] = {
		{"eth0", UNM_NAME_PLAIN, "", "", "", "", "eth0", "", false},
		{"vale0:a", UNM_NAME_VALE, "vale0", "a", "", "", "", "", false},
		{"vale:a", UNM_NAME_VALE, "vale", "a", "", "", "", "", false},
		{"valeA_9:p:q", UNM_NAME_VALE, "valeA_9", "p:q", "", "", "", "", false},
		{"vale0:tap:x%ns", UNM_NAME_VALE, "vale0", "tap:x%ns", "", "", "x", "ns", false},
		{"p{1", UNM_NAME_PIPE, "", "", "p", "1", "", "", true},
		{"p}1", UNM_NAME_PIPE, "", "", "p", "1", "", "", false},
		{"vale0:a}x", UNM_NAME_PIPE, "", "", "vale0:a", "x", "", "", false},
		{"tap:t0", UNM_NAME_TAP, "", "", "", "", "t0", "", false},
		{"tap:t0%/proc/1/ns/net", UNM_NAME_TAP, "", "", "", "", "t0", "/proc/1/ns/net",
			false},
		{"tap:fifteen_letters^", UNM_NAME_TAP, "", "", "", "", "fifteen_letters^", "",
			false},
		{"tap:fifteen_letters^%ns", UNM_NAME_TAP, "", "", "", "", "fifteen_letters^", "ns",
			false},
		{"vale0:fifteen_letters^", UNM_NAME_VALE, "vale0", "fifteen_letters^", "", "", "",
			"", false},
		{"vale0:fifteen_letters^%ns", UNM_NAME_VALE, "vale0", "fifteen_letters^%ns", "", "",
			"fifteen_letters^", "ns", false},
		{"tap:t0%pid:7", UNM_NAME_TAP, "", "", "", "", "t0", "pid:7", false},
	};
	struct unm_reason why;
	struct unm_name n;

	(void)state; /* cmocka's signature */
	for (size_t i = 0; i < N_ELEMS(cases); i++) {
		char raw[UNM_NAME_SIZE] = {0};

		memcpy(raw, cases[i].raw, strlen(cases[i].raw));
		assert_int_equal(unm_name_parse(raw, &n, &why), 0);
		assert_int_equal(n.kind, cases[i].kind);
		assert_string_equal(n.full, cases[i].raw);
		assert_string_equal(n.sw, cases[i].sw);
		assert_string_equal(n.port, cases[i].port);
		assert_string_equal(n.base, cases[i].base);
		assert_string_equal(n.id, cases[i].id);
		assert_string_equal(n.ifname, cases[i].ifname);
		assert_string_equal(n.netns, cases[i].netns);
		assert_int_equal(n.is_master, cases[i].is_master);
	}
}

static void
test_bad(void **state)
{
	static const struct {
		const char *raw;
		int error;
	} cases[] = {
		{"", -ENXIO},
		{"sixteen_letters_", -ENXIO},
		{"a/b", -ENXIO},
		{"a\nb", -ENXIO},
		{"vale0:a\033[2J", -EINVAL},
		{"vale0:a b", -EINVAL},
		{"vale0:\xc3\xa4", -EINVAL},
		{"vale0:a\x7f", -EINVAL},
		{"p{1\r", -EINVAL},
		{"tap:x%n\ts", -EINVAL},
		{"..", -ENXIO},
		{"vale0", -ENOMEM},
		{"vale0:", -ENOMEM},
		{"vale-1:a", -ENOMEM},
		{"vale567890123456:a", -ENOMEM},
		{"vale0:sixteen_letters_", -ENOMEM},
		{"vale0:sixteen_letters_^", -ENOMEM},
		{"vale0:sixteen_letters_^%ns", -EINVAL},
		{"vale0:^", -ENOMEM},
		{"tap:sixteen_letters_^", -EINVAL},
		{"tap:^", -EINVAL},
		{"fifteen_letters^%ns", -EINVAL},
		{"{1", -EINVAL},
		{"p{", -EINVAL},
		{"p}", -EINVAL},
		{"a{b{c", -EINVAL},
		{"a}b{c", -EINVAL},
		{"tap:", -EINVAL},
		{"tap:sixteen_letters_", -EINVAL},
		{"tap:x%", -EINVAL},
		{"tap:x%../y", -EINVAL},
		{"vale0:tap:", -EINVAL},
	};
	struct unm_name n;

	(void)state; /* cmocka's signature */
	for (size_t i = 0; i < N_ELEMS(cases); i++) {
		struct unm_reason why = {""};
		char raw[UNM_NAME_SIZE] = {0};

		memcpy(raw, cases[i].raw, strlen(cases[i].raw));
		assert_int_equal(unm_name_parse(raw, &n, &why), cases[i].error);
		assert_true(strlen(why.text) > 10);
		for (const char *p = why.text; *p != '\0'; p++)
			assert_true(isprint((unsigned char)*p));
	}
}

/* A name without a NUL counts as ended by its last byte, and nothing behind it is read. */
static void
test_unterminated(void **state)
{
	char raw[UNM_NAME_SIZE];
	struct unm_name n;

	(void)state; /* cmocka's signature */
	memset(raw, 'x', sizeof(raw));
	assert_int_equal(unm_name_parse(raw, &n, NULL), -ENXIO);
	assert_int_equal(strlen(n.full), UNM_NAME_SIZE - 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_unterminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
