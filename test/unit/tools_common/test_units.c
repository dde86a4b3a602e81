/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: numbers print with the right prefix also where rounding crosses a power of 1000, and the
 * parsers take exactly the documented syntax, keep to the range and leave *out alone on failure.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nmt_units.h"

#define UNTOUCHED  UINT64_C(0xfeedfacecafebeef)
#define N_ELEMS(a) (sizeof(a) / sizeof((a)[0]))

static void
test_format(void **state)
{
	static const struct {
		double val;
		bool plain;
		const char *expected;
	} cases[] = {
		{0, false, "0.000 "},
		{12, false, "12.000 "},
		{999, false, "999.000 "},
		{999.9994, false, "999.999 "},
		{999.9996, false, "1.000 K"},
		{1000, false, "1.000 K"},
		{14880952, false, "14.881 M"},
		{999999.6e3, false, "1.000 G"},
		{7.1428e9, false, "7.143 G"},
		{3.5e15, false, "3500.000 T"},
		{14880952, true, "14880952 "},
		{0.4, true, "0 "},
	};
	char buf[NMT_NUM_SIZE];

	(void)state; /* cmocka's signature */
	for (size_t i = 0; i < N_ELEMS(cases); i++)
		assert_string_equal(
			nmt_format_scaled(buf, cases[i].val, cases[i].plain), cases[i].expected);
}

struct u64_case {
	const char *text;
	uint64_t min, max;
	int error;
	uint64_t val;
};

static void
check_u64(int (*parse)(const char *, uint64_t, uint64_t, uint64_t *, struct nmt_err *),
	const struct u64_case *c)
{
	struct nmt_err err = {""};
	uint64_t out = UNTOUCHED;
	int error = parse(c->text, c->min, c->max, &out, &err);

	if (error != c->error)
		fail_msg("'%s': returned %d, expected %d", c->text, error, c->error);
	if (error == 0) {
		assert_int_equal(out, c->val);
		assert_string_equal(err.text, "");
	} else {
		assert_int_equal(out, UNTOUCHED);
		assert_string_not_equal(err.text, "");
	}
}

static void
test_parse_u64(void **state)
{
	static const struct u64_case cases[] = {
		{"0", 0, 10, 0, 0},
		{"10", 0, 10, 0, 10},
		{"0x1f", 0, 100, 0, 31},
		{"0X1F", 0, 100, 0, 31},
		{"010", 0, 100, 0, 10}, /* no octal: leading zeros are decimal */
		{"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", 0, UINT64_MAX, -ERANGE, 0},
		{"99999999999999999999999999", 0, UINT64_MAX, -ERANGE, 0},
		{"11", 0, 10, -ERANGE, 0},
		{"4", 5, 10, -ERANGE, 0},
		{"", 0, 10, -EINVAL, 0},
		{"-1", 0, 10, -EINVAL, 0},
		{"+1", 0, 10, -EINVAL, 0},
		{" 1", 0, 10, -EINVAL, 0},
		{"1 ", 0, 10, -EINVAL, 0},
		{"1x", 0, 10, -EINVAL, 0},
		{"0x", 0, 10, -EINVAL, 0},
		{"1K", 0, 10000, -EINVAL, 0},
		{"1.0", 0, 10, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMS(cases); i++)
		check_u64(nmt_parse_u64, &cases[i]);
}

static void
test_parse_count(void **state)
{
	static const struct u64_case cases[] = {
		{"7", 0, 10, 0, 7},
		{"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
		{"0x10", 0, 100, 0, 16},
		{"1k", 0, 2000, 0, 1000},
		{"2M", 0, UINT64_MAX, 0, 2000000},
		{"3G", 0, UINT64_MAX, 0, 3000000000},
		{"1.5M", 0, UINT64_MAX, 0, 1500000},
		{"1.1K", 0, UINT64_MAX, 0, 1100},
		{".5K", 0, UINT64_MAX, 0, 500},
		{"14.88M", 0, UINT64_MAX, 0, 14880000},
		{"1.5", 0, 10, -EINVAL, 0},
		{"1.0001K", 0, 10000, -EINVAL, 0},
		{"2K", 0, 1999, -ERANGE, 0},
		{"11", 0, 10, -ERANGE, 0},
		{"9999999999G", 0, UINT64_MAX, -ERANGE, 0},
		{"1T", 0, UINT64_MAX, -EINVAL, 0},
		{"1KK", 0, UINT64_MAX, -EINVAL, 0},
		{"K", 0, UINT64_MAX, -EINVAL, 0},
		{".", 0, UINT64_MAX, -EINVAL, 0},
		{"1e3", 0, UINT64_MAX, -EINVAL, 0},
		{"-1K", 0, UINT64_MAX, -EINVAL, 0},
		{"nan", 0, UINT64_MAX, -EINVAL, 0},
		{"", 0, UINT64_MAX, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMS(cases); i++) {
		uint64_t out;

		if (cases[i].error == 0)
			check_u64(nmt_parse_count, &cases[i]);
		else
			assert_int_equal(nmt_parse_count(cases[i].text, cases[i].min, cases[i].max,
						 &out, NULL),
				cases[i].error);
	}
}

static void
test_parse_size(void **state)
{
	static const struct u64_case cases[] = {
		{"7", 0, 10, 0, 7},
		{"1k", 0, 2000, 0, 1024},
		{"1M", 1048576, UINT64_MAX, 0, 1048576},
		{"3G", 0, UINT64_MAX, 0, UINT64_C(3) << 30},
		{"1.5M", 0, UINT64_MAX, 0, 1572864},
		{"0.1K", 0, 1024, -EINVAL, 0},
		{"2K", 0, 2047, -ERANGE, 0},
		{"1T", 0, UINT64_MAX, -EINVAL, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_u64(nmt_parse_size, &cases[i]);
}

static void
test_parse_scaled(void **state)
{
	double val = -1;

	(void)state;
	assert_int_equal(nmt_parse_scaled("1.25G", 0, 1e12, &val, NULL), 0);
	assert_true(val == 1.25e9);
	assert_int_equal(nmt_parse_scaled("0.01", 0, 1, &val, NULL), 0);
	assert_true(val == 0.01);
	val = -1;
	assert_int_equal(nmt_parse_scaled("2", 0, 1, &val, NULL), -ERANGE);
	assert_int_equal(nmt_parse_scaled("inf", 0, 1e300, &val, NULL), -EINVAL);
	assert_int_equal(nmt_parse_scaled("1e9", 0, 1e300, &val, NULL), -EINVAL);
	assert_int_equal(nmt_parse_scaled("0x10", 0, 1e300, &val, NULL), -EINVAL);
	assert_true(val == -1);
}

static void
test_parse_time(void **state)
{
	static const struct {
		const char *text;
		char unit;
		int error;
		uint64_t ns;
	} cases[] = {
		{"1", 's', 0, 1000000000},
		{"1", 'm', 0, 1000000},
		{"2s", 'n', 0, 2000000000},
		{"5m", 's', 0, 5000000},
		{"5ms", 's', 0, 5000000},
		{"1.5u", 's', 0, 1500},
		{"1.5us", 's', 0, 1500},
		{"7n", 's', 0, 7},
		{"7ns", 's', 0, 7},
		{"0", 's', 0, 0},
		{"0.0000001s", 's', 0, 100},
		{"61s", 's', -ERANGE, 0},
		{"1ss", 's', -EINVAL, 0},
		{"1h", 's', -EINVAL, 0},
		{"s", 's', -EINVAL, 0},
		{"", 's', -EINVAL, 0},
		{"-1s", 's', -EINVAL, 0},
		{"1 s", 's', -EINVAL, 0},
		{"1msx", 's', -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMS(cases); i++) {
		struct nmt_err err;
		uint64_t ns = UNTOUCHED;
		int error = nmt_parse_time_ns(
			cases[i].text, cases[i].unit, 0, UINT64_C(60000000000), &ns, &err);

		if (error != cases[i].error)
			fail_msg("'%s': returned %d", cases[i].text, error);
		assert_int_equal(ns, error == 0 ? cases[i].ns : UNTOUCHED);
	}
}

static void
test_parse_list(void **state)
{
	uint64_t vals[4];
	size_t n = 99;

	(void)state;
	assert_int_equal(nmt_parse_u64_list("256,512,2,1", ',', 1, 4096, vals, 4, &n, NULL), 0);
	assert_int_equal(n, 4);
	assert_int_equal(vals[1], 512);
	assert_int_equal(vals[3], 1);
	assert_int_equal(nmt_parse_u64_list("7", ',', 1, 4096, vals, 4, &n, NULL), 0);
	assert_int_equal(n, 1);
	n = 99;
	assert_int_equal(nmt_parse_u64_list("1,2,3,4,5", ',', 1, 9, vals, 4, &n, NULL), -E2BIG);
	assert_int_equal(nmt_parse_u64_list("1,,2", ',', 1, 9, vals, 4, &n, NULL), -EINVAL);
	assert_int_equal(nmt_parse_u64_list("1,2,", ',', 1, 9, vals, 4, &n, NULL), -EINVAL);
	assert_int_equal(nmt_parse_u64_list("", ',', 1, 9, vals, 4, &n, NULL), -EINVAL);
	assert_int_equal(nmt_parse_u64_list("1,10", ',', 1, 9, vals, 4, &n, NULL), -ERANGE);
	assert_int_equal(n, 99);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_parse_count),
		cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_parse_scaled),
		cmocka_unit_test(test_parse_time),
		cmocka_unit_test(test_parse_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
