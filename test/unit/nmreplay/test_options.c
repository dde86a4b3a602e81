/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: the command line of nmreplay gives the values and defaults that the manual states, and
 * whatever is wrong with it ends the program with status 2 and a message that names the option.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_log.h"
#include "options.h"
#include "tool_args.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* What the child says about a command line that it could read. */
static void
parse_and_print(int argc, char **argv)
{
	struct nmr_options opt;

	nmr_options_parse(&opt, argc, argv);
	printf("%s %s bw %d %g %g delay %d %" PRIu64 " %" PRIu64 " loss %d %g batch %" PRIu32
	       " wait %u cpus %d %d json %d verbose %d rounds %s%" PRIu64 "\n",
		opt.file, opt.port_name, opt.link.bw.kind, opt.link.bw.bps, opt.link.bw.speed,
		opt.link.delay.kind, opt.link.delay.min_ns, opt.link.delay.avg_ns,
		opt.link.loss.kind, opt.link.loss.rate, opt.batch, opt.wait_s, opt.tx_cpu,
		opt.main_cpu, opt.json, nmt_log_verbosity(),
		opt.n_rounds == NMR_FOREVER ? "forever " : "",
		opt.n_rounds == NMR_FOREVER ? 0 : opt.n_rounds);
}

static void
test_values(void **state)
{
	static const struct tool_args_case cases[] = {
		{"-f a.pcap -i vale0:x", 0,
			"a.pcap vale0:x bw 0 0 1 delay 0 0 0 loss 0 0 batch 128 wait 0 cpus -1 -1 "
			"json 0 verbose 0 rounds forever 0\n",
			NULL},
		{"-f - -i netmap:p{1 -B ether,1G -D exp,1m,2m -L ber,1e-6 -b 7 -w 3 -C 1,0 -v -j",
			0,
			"- netmap:p{1 bw 2 1e+09 1 delay 2 1000000 2000000 loss 1 1e-06 batch 7 "
			"wait 3 cpus 1 0 json 1 verbose 1 rounds forever 0\n",
			NULL},
		{"-f a -i b --loops 3 --json -C 2 -B 10M -D 5u -L 0.25", 0,
			"a b bw 1 1e+07 1 delay 0 5000 0 loss 0 0.25 batch 128 wait 0 cpus 2 -1 "
			"json 1 verbose 0 rounds 3\n",
			NULL},
		{"-f a -i b --loops 0 -B real,2", 0,
			"a b bw 0 0 2 delay 0 0 0 loss 0 0 batch 128 wait 0 cpus -1 -1 json 0 "
			"verbose 0 rounds forever 0\n",
			NULL},
	};

	(void)state;
	tool_args_check("nmreplay", parse_and_print, cases, N_ELEMENTS(cases));
}

static void
print_limits(int argc, char **argv)
{
	struct nmr_options opt;

	nmr_options_parse(&opt, argc, argv);
	printf("%" PRIu64 " %" PRIu64 "\n", opt.link.seed, opt.memory_limit);
}

static void
print_whether_set(int argc, char **argv)
{
	struct nmr_options opt;

	nmr_options_parse(&opt, argc, argv);
	printf("%s %s\n", opt.link.seed != 0 ? "seed" : "", opt.memory_limit > 0 ? "limit" : "");
}

/* A seed given is taken; without one there is some other, so that runs differ. */
static void
test_seed_and_memory(void **state)
{
	static const struct tool_args_case given = {
		"-f a -i b --seed 0x10 --max-memory 1.5G", 0, "16 1610612736\n", NULL};
	static const struct tool_args_case absent = {"-f a -i b", 0, "seed limit\n", NULL};

	(void)state;
	tool_args_check("nmreplay", print_limits, &given, 1);
	tool_args_check("nmreplay", print_whether_set, &absent, 1);
}

static void
test_errors(void **state)
{
	static const struct tool_args_case cases[] = {
		{"-f a", 2, "", "nmreplay: no port given (-i) (try nmreplay --help)\n"},
		{"-i b", 2, "", "nmreplay: no capture file given (-f) (try nmreplay --help)\n"},
		{"-f a -i b c", 2, "", "unexpected argument 'c'"},
		{"-f a -f a -i b", 2, "", "-f given twice"},
		{"-f a -i b -i b", 2, "", "-i given twice"},
		{"-f a -i b -B 1 -B 1", 2, "", "-B given twice"},
		{"-f a -i b -D 1 -D 1", 2, "", "-D given twice"},
		{"-f a -i b -L 0 -L 0", 2, "", "-L given twice"},
		{"-f a -i b -B fast", 2, "", "-B: 'fast' is not one of BPS, constant,BPS"},
		{"-f a -i b -D -1", 2, "", "-D: '-1' is not one of TIME"},
		{"-f a -i b -L 2", 2, "", "-L: 2 is out of range"},
		{"-f a -i b -b 0", 2, "", "nmreplay: -b: "},
		{"-f a -i b -b x", 2, "", "nmreplay: -b: "},
		{"-f a -i b -w -1", 2, "", "nmreplay: -w: "},
		{"-f a -i b -w 86401", 2, "", "nmreplay: -w: "},
		{"-f a -i b -C x", 2, "", "nmreplay: -C: "},
		{"-f a -i b -C 1,2,3", 2, "", "-C: '1,2,3' has more than 2 numbers"},
		{"-f a -i b -C 1024", 2, "", "-C: 1024 is out of range"},
		{"-f a -i b --loops -1", 2, "", "nmreplay: --loops: "},
		{"-f a -i b --loops 5000000000", 2, "", "nmreplay: --loops: "},
		{"-f a -i b --seed x", 2, "", "nmreplay: --seed: "},
		{"-f a -i b --max-memory 0", 2, "", "nmreplay: --max-memory: "},
		{"-f a -i b --max-memory lots", 2, "", "nmreplay: --max-memory: "},
		{"-f a -i b --loops", 2, "", "needs an argument"},
		{"-f a -i", 2, "", "-i needs an argument"},
		{"-f a -i b -q", 2, "", "unknown option -q"},
		{"-f a -i b --fast", 2, "", "unknown or ambiguous option --fast"},
	};

	(void)state;
	tool_args_check("nmreplay", parse_and_print, cases, N_ELEMENTS(cases));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_seed_and_memory),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
