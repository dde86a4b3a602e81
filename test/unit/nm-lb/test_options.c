/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: nm-lb's command line gives the groups and names that it documents, and each wrong one
 * ends with status 2 and a message that names what was wrong.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "lb_options.h"
#include "tool_args.h"

#define P4	 "-p 1 -p 1 -p 1 -p 1 "
#define P16	 P4 P4 P4 P4

#define CHARS_63 "a12345678901234567890123456789012345678901234567890123456789012"

static void
parse_and_print(int argc, char **argv)
{
	static struct lb_options o;

	lb_options_parse(&o, argc, argv);
	printf("%s %s B%u b%u w%u %s s%u o%u", o.port, o.base, o.n_extra_bufs, o.batch, o.wait_s,
		o.busy_wait ? "busy" : "polls", o.syslog_interval_s, o.stdout_interval_s);
	for (uint32_t i = 0; i < o.n_groups; i++)
		printf(" %s:%u+%u", o.groups[i].name, o.groups[i].first_id, o.groups[i].n_pipes);
}

static void
test_good(void **state)
{
	static const struct tool_args_case cases[] = {
		{"-i eth0", 0, "netmap:eth0 eth0 B0 b2048 w2 polls s0 o0 eth0:0+2", NULL},
		{"-i netmap:eth0-1/R@3 -B 64K -b 1 -w 0 -W -s 5 -o 1", 0,
			"netmap:eth0-1/R@3 eth0 B64000 b1 w0 busy s5 o1 eth0:0+2", NULL},
		{"-i vale0:x -p 3", 0, "vale0:x vale0:x B0 b2048 w2 polls s0 o0 vale0:x:0+3", NULL},
		{"-p a:2 -p 4 -p netmap:a:1 -p vale9:y:5 -i eth0", 0,
			"netmap:eth0 eth0 B0 b2048 w2 polls s0 o0 a:0+2 eth0:0+4 a:2+1 vale9:y:0+5",
			NULL},
		{"-i netmap:eth0%/run/a-b", 0,
			"netmap:eth0%/run/a-b eth0 B0 b2048 w2 polls s0 o0 eth0:0+2", NULL},
		{"-i netmap:x}1 -p out:2", 0, "netmap:x}1 x B0 b2048 w2 polls s0 o0 out:0+2", NULL},
		{"-h", 0, NULL, NULL},
		{"--version", 0, NULL, NULL},
	};

	(void)state;
	tool_args_check("nm-lb", parse_and_print, cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_bad(void **state)
{
	static const struct tool_args_case cases[] = {
		{"", 2, "", "nm-lb: -i PORT is missing"},
		{"-i", 2, "", "-i needs an argument"},
		{"-i a -i b", 2, "", "-i is given twice"},
		{"-i netmap:", 2, "", "'netmap:' has no port name"},
		{"-i a" CHARS_63, 2, "", "has no port name of 1 to 63"},
		{"-i " CHARS_63 CHARS_63, 2, "", "is too long"},
		{"-i a x", 2, "", "unexpected argument 'x'"},
		{"-i a -p 0", 2, "", "-p: "},
		{"-i a -p x", 2, "", "-p: 'x' "},
		{"-i a -p x:", 2, "", "-p: "},
		{"-i a -p :2", 2, "", "before the last colon"},
		{"-i a -p x{1:2", 2, "", "before the last colon"},
		{"-i a -p a" CHARS_63 ":2", 2, "", "before the last colon"},
		{"-i a -p 1025", 2, "", "-p: "},
		{"-i a -p 1024 -p 1", 2, "", "more than 1024 pipes"},
		{"-i a " P16 P16 P16 P16 "-p 1", 2, "", "more than 64 groups"},
		{"-i a -B -1", 2, "", "-B: "},
		{"-i a -b 0", 2, "", "-b: "},
		{"-i a -w x", 2, "", "-w: 'x' "},
		{"-i a -s 0", 2, "", "-s: "},
		{"-i a -o 1.5", 2, "", "-o: "},
		{"-i a -z", 2, "", "unknown option -z"},
		{"--nonsense", 2, "", "--nonsense"},
	};

	(void)state;
	tool_args_check("nm-lb", parse_and_print, cases, sizeof(cases) / sizeof(cases[0]));
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
