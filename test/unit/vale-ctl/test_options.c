/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: vale-ctl takes one action with the options that belong to it, spreads the numbers of -C
 * as documented, and ends with status 2 and a message for each wrong command line.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "tool_args.h"
#include "vc_options.h"

#define CHARS_64 "a123456789012345678901234567890123456789012345678901234567890123"

static void
parse_and_print(int argc, char **argv)
{
	struct vc_options o;

	vc_options_parse(&o, argc, argv);
	printf("%d %s slots %u %u rings %u %u poll %u %u %u mem %s%s%s", o.action,
		o.name != NULL ? o.name : "-", o.geometry.tx_slots, o.geometry.rx_slots,
		o.geometry.tx_rings, o.geometry.rx_rings, o.polling.mode, o.polling.first_cpu,
		o.polling.n_cpus, o.mem_spec != NULL ? o.mem_spec : "-", o.verbose ? " v" : "",
		o.json ? " j" : "");
}

#define NO_CONFIG " slots 0 0 rings 0 0 poll 0 0 0"

static void
test_good(void **state)
{
	static const struct tool_args_case cases[] = {
		{"", 0, "0 -" NO_CONFIG " mem -", NULL},
		{"-j", 0, "0 -" NO_CONFIG " mem - j", NULL},
		{"--json", 0, "0 -" NO_CONFIG " mem - j", NULL},
		{"-l", 0, "0 -" NO_CONFIG " mem -", NULL},
		{"-l vale0:x", 0, "0 vale0:x" NO_CONFIG " mem -", NULL},
		{"-l -v -j vale0", 0, "0 vale0" NO_CONFIG " mem - v j", NULL},
		{"-g vale0:x", 0, "1 vale0:x" NO_CONFIG " mem -", NULL},
		{"-g netmap:eth0", 0, "1 eth0" NO_CONFIG " mem -", NULL},
		{"-g netmap:eth0%blue", 0, "1 eth0%blue" NO_CONFIG " mem -", NULL},
		{"-r netmap:v0", 0, "6 v0" NO_CONFIG " mem -", NULL},
		{"-a vale0:eth0 -m 3", 0, "2 vale0:eth0" NO_CONFIG " mem 3", NULL},
		{"-m vale1:a -h vale0:eth0 -v", 0, "3 vale0:eth0" NO_CONFIG " mem vale1:a v", NULL},
		{"-d vale0:eth0", 0, "4 vale0:eth0" NO_CONFIG " mem -", NULL},
		{"-n v0", 0, "5 v0" NO_CONFIG " mem -", NULL},
		{"-n v0 -C 256", 0, "5 v0 slots 256 256 rings 0 0 poll 0 0 0 mem -", NULL},
		{"-C 256,512 -n v0", 0, "5 v0 slots 256 512 rings 0 0 poll 0 0 0 mem -", NULL},
		{"-n v0 -C 1,2,3", 0, "5 v0 slots 1 2 rings 3 3 poll 0 0 0 mem -", NULL},
		{"-n v0 -C 1,2,3,4", 0, "5 v0 slots 1 2 rings 3 4 poll 0 0 0 mem -", NULL},
		{"-r v0", 0, "6 v0" NO_CONFIG " mem -", NULL},
		{"-p vale0:eth0 -C 0,3", 0, "7 vale0:eth0 slots 0 0 rings 0 0 poll 1 3 1 mem -",
			NULL},
		{"-p vale0:eth0 -C 1,2,4", 0, "7 vale0:eth0 slots 0 0 rings 0 0 poll 2 2 4 mem -",
			NULL},
		{"-P vale0:eth0", 0, "8 vale0:eth0" NO_CONFIG " mem -", NULL},
		{"--help", 0, NULL, NULL},
		{"--version", 0, NULL, NULL},
	};

	(void)state;
	tool_args_check("vale-ctl", parse_and_print, cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_bad(void **state)
{
	static const struct tool_args_case cases[] = {
		{"vale0:x", 2, "", "vale-ctl: unexpected argument 'vale0:x'"},
		{"-l a b", 2, "", "unexpected argument 'b'"},
		{"-a vale0:x y", 2, "", "unexpected argument 'y'"},
		{"-a vale0:x -d vale0:x", 2, "", "-a and -d: one action at a time"},
		{"-l -l", 2, "", "-l and -l: one action at a time"},
		{"-h", 2, "", "-h needs an argument"},
		{"-a " CHARS_64, 2, "", "is not a name of 1 to 63"},
		{"-C 1", 2, "", "-C belongs to -n or -p"},
		{"-g x -C 1", 2, "", "-C belongs to -n or -p"},
		{"-m 1", 2, "", "-m belongs to -n, -a or -h"},
		{"-n v0 -C x", 2, "", "-C: "},
		{"-n v0 -C 1,,2", 2, "", "-C: "},
		{"-n v0 -C 1,2,3,4,5", 2, "", "-C: "},
		{"-n v0 -C 65536", 2, "", "-C: "},
		{"-p vale0:x", 2, "", "-p wants -C"},
		{"-p vale0:x -C 0", 2, "", "-C: '0' names no CPU"},
		{"-p vale0:x -C 2,0", 2, "", "MODE is 0"},
		{"-p vale0:x -C 0,1,2", 2, "", "N cannot be 2"},
		{"-j -r v0", 2, "", "-j: -r has no result"},
		{"-j -P vale0:x", 2, "", "-j: -P has no result"},
		{"-x", 2, "", "unknown option -x"},
	};

	(void)state;
	tool_args_check("vale-ctl", parse_and_print, cases, sizeof(cases) / sizeof(cases[0]));
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
