/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: commas, nesting and quoting come out as RFC 8259 wants them, whatever bytes a string
 * holds, and a full disk is reported.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_json.h"

struct sink {
	char *text;
	size_t size;
	struct nmt_json json;
};

static struct nmt_json *
open_sink(struct sink *s)
{
	FILE *out = open_memstream(&s->text, &s->size);

	assert_non_null(out);
	nmt_json_init(&s->json, out);
	return &s->json;
}

static void
check_sink(struct sink *s, const char *expected)
{
	fclose(s->json.out);
	assert_string_equal(s->text, expected);
	free(s->text);
}

static void
test_structure(void **state)
{
	struct sink s;
	struct nmt_json *j = open_sink(&s);

	(void)state;
	nmt_json_begin_object(j, NULL);
	nmt_json_u64(j, "n", UINT64_MAX);
	nmt_json_begin_array(j, "list");
	nmt_json_i64(j, NULL, -1);
	nmt_json_begin_object(j, NULL);
	nmt_json_end_object(j);
	nmt_json_begin_array(j, NULL);
	nmt_json_end_array(j);
	nmt_json_bool(j, NULL, true);
	nmt_json_null(j, NULL);
	nmt_json_end_array(j);
	nmt_json_bool(j, "off", false);
	nmt_json_end_object(j);
	assert_int_equal(nmt_json_newline(j), 0);
	nmt_json_str(j, NULL, NULL);
	check_sink(&s, "{\"n\":18446744073709551615,\"list\":[-1,{},[],true,null],\"off\":false}\n"
		       "null");
}

static void
test_strings(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", "\"\""}, {"vale0:p", "\"vale0:p\""}, {"a\"b\\c/", "\"a\\\"b\\\\c/\""},
		{"\n\t\x01\x7f", "\"\\u000a\\u0009\\u0001\\u007f\""},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7",
			"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7\""},
		{"\xff\x80", "\"\\ufffd\\ufffd\""},
		{"\xc0\xaf", "\"\\ufffd\\ufffd\""},			  /* overlong '/' */
		{"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""},		  /* overlong in three */
		{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},		  /* surrogate */
		{"\xe2\x82", "\"\\ufffd\\ufffd\""},			  /* ends in the middle */
		{"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* above 10ffff */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sink s;

		nmt_json_str(open_sink(&s), NULL, cases[i].in);
		check_sink(&s, cases[i].out);
	}
}

static void
test_doubles(void **state)
{
	struct sink s;
	struct nmt_json *j = open_sink(&s);

	(void)state;
	nmt_json_begin_array(j, NULL);
	nmt_json_double(j, NULL, 1.0 / 3, 3);
	nmt_json_double(j, NULL, -2, 0);
	nmt_json_double(j, NULL, NAN, 3);
	nmt_json_double(j, NULL, INFINITY, 3);
	nmt_json_end_array(j);
	check_sink(&s, "[0.333,-2,null,null]");
}

static void
test_write_error(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	struct nmt_json j;

	(void)state;
	assert_non_null(full);
	nmt_json_init(&j, full);
	nmt_json_str(&j, NULL, "x");
	assert_int_equal(nmt_json_newline(&j), -EIO);
	fclose(full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_write_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
