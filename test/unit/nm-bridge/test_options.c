/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: nm-bridge finds its two ports from options and operands, makes the host end of a single
 * port where the grammar of port names wants it, and ends with status 2 and a message for each
 * wrong command line.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "bridge_options.h"
#include "nmt_log.h"
#include "tool_args.h"

#define CHARS_64 "a123456789012345678901234567890123456789012345678901234567890123"

static void
parse_and_print(int argc, char **argv)
{
	struct br_options o;

	br_options_parse(&o, argc, argv);
	printf("%s|%s b%u w%u v%d%s", o.port_a, o.port_b, o.burst, o.wait_s, nmt_log_verbosity(),
		o.copy ? " copy" : "");
}

static void
test_good(void **state)
{
	static const struct tool_args_case cases[] = {
		{"-i vale0:a -i vale0:b", 0, "vale0:a|vale0:b b1024 w4 v0", NULL},
		{"vale0:a vale0:b 16", 0, "vale0:a|vale0:b b16 w4 v0", NULL},
		{"-i vale0:a vale0:b 16", 0, "vale0:a|vale0:b b16 w4 v0", NULL},
		{"-i vale0:a -i vale0:b 16", 0, "vale0:a|vale0:b b16 w4 v0", NULL},
		{"-c -v -v -b 7 -w 0 netmap:x{1 netmap:x{2", 0,
			"netmap:x{1|netmap:x{2 b7 w0 v2 copy", NULL},
		{"-vv vale0:a -L", 0, "vale0:a| b1024 w4 v2", "loopbacking"},
		{"-L vale0:a vale0:a", 0, "vale0:a| b1024 w4 v0", "loopbacking"},
		{"netmap:eth0", 0, "netmap:eth0^|netmap:eth0 b1024 w4 v0",
			"same interface, endpoint 0 goes to host"},
		{"netmap:eth0 netmap:eth0 9", 0, "netmap:eth0^|netmap:eth0 b9 w4 v0", NULL},
		{"netmap:eth0/x@3", 0, "netmap:eth0^/x@3|netmap:eth0/x@3 b1024 w4 v0", NULL},
		{"netmap:eth0%/run/a-b", 0,
			"netmap:eth0^@netns=/run/a-b|netmap:eth0%/run/a-b b1024 w4 v0", NULL},
		{"netmap:eth0%/run/a@3", 0,
			"netmap:eth0^@3@netns=/run/a|netmap:eth0%/run/a@3 b1024 w4 v0", NULL},
		{"netmap:eth0@conf:slots=512", 0,
			"netmap:eth0^@conf:slots=512|netmap:eth0@conf:slots=512 b1024 w4 v0", NULL},
		{"-h", 0, NULL, NULL},
		{"--help", 0, NULL, NULL},
		{"--version", 0, NULL, NULL},
	};

	(void)state;
	tool_args_check("nm-bridge", parse_and_print, cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_bad(void **state)
{
	static const struct tool_args_case cases[] = {
		{"", 2, "", "nm-bridge: no port is named"},
		{"-i a -i b -i c", 2, "", "-i c: two ports are named already"},
		{"a b x", 2, "", "BURST: 'x' "},
		{"a b 1 c", 2, "", "unexpected argument 'c'"},
		{"-b 0 a b", 2, "", "-b: "},
		{"-b 1048577 a b", 2, "", "-b: "},
		{"-w -1 a b", 2, "", "-w: "},
		{"-L a b", 2, "", "-L is for one port"},
		{"vale0:a", 2, "", "'vale0:a' has no host rings"},
		{"netmap:x{1", 2, "", "'netmap:x{1' has no host rings"},
		{"netmap:eth0^", 2, "", "'netmap:eth0^' names some rings of a port"},
		{"netmap:eth0-1", 2, "", "names some rings of a port"},
		{CHARS_64 CHARS_64 CHARS_64 CHARS_64 " b", 2, "", "is not a port name of 1 to 255"},
		{"netmap:" CHARS_64 CHARS_64 CHARS_64
		 "12345678901234567890123456789012345678901234567890"
		 "123456",
			2, "", "is too long"},
		{"-i", 2, "", "-i needs an argument"},
		{"-x", 2, "", "unknown option -x"},
	};

	(void)state;
	tool_args_check("nm-bridge", parse_and_print, cases, sizeof(cases) / sizeof(cases[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
