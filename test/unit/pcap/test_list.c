/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: the list of ports is read from netmapd's answer whatever else is in there, names get the
 * prefix that programs use, monitors are left out, and answers that are cut or wrong are refused.
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

#include "pcap/list.h"

static const char answer[] = "{\"ports\":[\n"
			     " {\"name\":\"vale0:a\",\"kind\":\"vale\",\"switch\":\"vale0\","
			     "\"new\":{\"x\":[1,{\"y\":\"}]\"}]},"
			     "\"users\":2,\"attached\":false,\"link\":true},\n"
			     " {\"name\":\"x{1\",\"kind\":\"pipe\",\"switch\":\"\",\"users\":0,"
			     "\"link\":false,\"n\":-1.5e3},\n"
			     " {\"name\":\"vale0:a/rt#1\",\"kind\":\"monitor\",\"users\":1},\n"
			     " {\"attached\":true,\"name\":\"tap:t0\"},{}\n"
			     "]}";

static void
test_ports(void **state)
{
	struct unm_list_port *ports;
	char text[160];

	(void)state;
	assert_int_equal(unm_list_parse(answer, &ports), 3);
	assert_string_equal(ports[0].name, "vale0:a");
	assert_string_equal(ports[0].vale, "vale0");
	assert_int_equal(ports[0].users, 2);
	assert_true(ports[0].has_link);
	assert_false(ports[0].is_attached);
	assert_string_equal(ports[1].name, "netmap:x{1");
	assert_false(ports[1].has_link);
	assert_string_equal(ports[2].name, "tap:t0");
	assert_true(ports[2].is_attached);
	unm_list_describe(&ports[0], text, sizeof(text));
	assert_string_equal(text, "netmap port of switch vale0, in use");
	unm_list_describe(&ports[1], text, sizeof(text));
	assert_string_equal(text, "netmap port, not in use, link down");
	free(ports);
}

/* What programs call them can be opened, see nmreq_decode.c. */
static void
test_namespaces(void **state)
{
	static const char text[] =
		"{\"ports\":[{\"name\":\"vale0:tap:x%\\/run\\/netns\\/my-ns\",\"kind\":\"vale\"},"
		"{\"name\":\"vale0:tap:x%\\/run\\/netns\\/my-ns/rt#1\",\"kind\":\"monitor\"},"
		"{\"name\":\"eth0%\\/run\\/netns\\/a\",\"kind\":\"nic\"},"
		"{\"name\":\"vale0:eth0^%blue\",\"kind\":\"vale\"},"
		"{\"name\":\"vale0:tap:x%my-ns\",\"kind\":\"vale\"},"
		"{\"name\":\"eth0%my-ns\",\"kind\":\"nic\"}]}";
	static const char *const names[] = {"vale0:tap:x%/run/netns/my-ns",
		"netmap:eth0%/run/netns/a", "vale0:eth0^%blue", "vale0:tap:x@netns=my-ns",
		"netmap:eth0@netns=my-ns"};
	struct unm_list_port *ports;
	size_t i;

	(void)state;
	assert_int_equal(unm_list_parse(text, &ports), 5);
	for (i = 0; i < 5; i++)
		assert_string_equal(ports[i].name, names[i]);
	free(ports);
}

static void
test_none(void **state)
{
	struct unm_list_port *ports;

	(void)state;
	assert_int_equal(unm_list_parse(" { \"ports\" : [ ] } ", &ports), 0);
	assert_null(ports);
}

/* Escaped characters are decoded, in keys too; one that does not fit is not cut in two. */
static void
test_escapes(void **state)
{
	static const char text[] =
		"{\"ports\":[{\"name\":\"vale0:\\u0061\\u005e%\\\"\\\\\\b\\f\\n\\r\\t\\u001B\","
		"\"kind\":\"a\\/b\",\"switch\":\"\\u00e9\\u20ac\\ud83d\\uDE00\",\"x\":\"\\u0022\"},"
		"{\"\\u006eame\":\"tap:t0\\u0025n\",\"kind\":\"0123456789abcd\\u00e9f\"}]}";
	static const char *const wrong[] = {"\\u", "\\u12", "\\u12g4", "\\u0000", "\\ud83d",
		"\\ud83dx", "\\ud83d\\u0041", "\\ude00", "\\x", "\\ud83d\\ud83d"};
	struct unm_list_port *ports;
	char *answer_wrong;
	size_t i;

	(void)state;
	assert_int_equal(unm_list_parse(text, &ports), 2);
	assert_string_equal(ports[0].name, "vale0:a^%\"\\\b\f\n\r\t\x1b");
	assert_string_equal(ports[0].kind, "a/b");
	assert_string_equal(ports[0].vale, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	assert_string_equal(ports[1].name, "tap:t0%n");
	assert_string_equal(ports[1].kind, "0123456789abcd");
	free(ports);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_true(
			asprintf(&answer_wrong, "{\"ports\":[{\"name\":\"%s\"}]}", wrong[i]) > 0);
		assert_int_equal(unm_list_parse(answer_wrong, &ports), -EPROTO);
		free(answer_wrong);
	}
}

/* Cut anywhere, up to the bracket that ends the array. */
static void
test_cut(void **state)
{
	const size_t len = (size_t)(strrchr(answer, ']') - answer);
	struct unm_list_port *ports;
	size_t i;

	(void)state;
	for (i = 0; i <= len; i++) {
		char *cut = strndup(answer, i);

		assert_int_equal(unm_list_parse(cut, &ports), -EPROTO);
		free(cut);
	}
}

static void
test_wrong(void **state)
{
	static const char *const wrong[] = {"", "[]", "{\"rings\":[]}", "{\"ports\":{}}",
		"{\"ports\":[1]}", "{\"ports\":[{\"name\":1}]}", "{\"ports\":[{\"users\":\"x\"}]}",
		"{\"ports\":[{\"x\":}]}",
		"{\"ports\":[{\"x\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}]}",
		"{\"ports\":[{\"x\":1,}]}"};
	struct unm_list_port *ports;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(unm_list_parse(wrong[i], &ports), -EPROTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
