/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: help and version go to standard output with status 0, every kind of bad option or
 * argument ends with status 2 and one line that names it, and log lines have the documented form.
 * Each case runs in a child process, since the functions end the program.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <regex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nmt_affinity.h"
#include "nmt_cli.h"
#include "nmt_log.h"
#include "nmt_time.h"
#include "tool_args.h"

#define OUTPUT_SIZE 1024

static const struct option longopts[] = {
	{"json", no_argument, NULL, 'j'},
	{"count", required_argument, NULL, 'c'},
	{0},
};

static const struct nmt_cli cli = {
	.prog = "prog",
	.help = "usage: prog\n",
	.shortopts = "hjb:c:i:r:t:",
	.longopts = longopts,
	.h_is_help = true,
};

static void
parse_all(int argc, char **argv)
{
	int opt;

	while ((opt = nmt_cli_next(&cli, argc, argv)) != -1) {
		switch (opt) {
		case 'b':
			nmt_cli_u64(&cli, "-b", optarg, 1, 100);
			break;
		case 'c':
			nmt_cli_count(&cli, "-c", optarg, 1, 5000);
			break;
		case 'i':
			nmt_cli_int(&cli, "-i", optarg, -1, 5);
			break;
		case 'r':
			nmt_cli_scaled(&cli, "-r", optarg, 0, 1);
			break;
		case 't':
			nmt_cli_time_ns(&cli, "-t", optarg, 's', 0, NMT_NS_PER_S);
			break;
		default:
			break;
		}
	}
	puts("accepted");
}

static void
test_help(void **state)
{
	static const struct tool_args_case cases[] = {
		{"--help", 0, "usage: prog\n", ""},
		{"-h", 0, "usage: prog\n", ""},
		{"-j --help", 0, "usage: prog\n", ""},
		{"--he", 0, "usage: prog\n", ""},
		{"--version", 0, "prog (unetmap) " UNM_VERSION "\n", ""},
	};

	(void)state; /* cmocka's signature */
	tool_args_check("prog", parse_all, cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_accepted(void **state)
{
	static const struct tool_args_case cases[] = {
		{"-j -b 100 --count=5K -i -1 -r 0.5 -t 1s", 0, "accepted\n", ""},
	};

	(void)state;
	tool_args_check("prog", parse_all, cases, 1);
}

static void
test_refused(void **state)
{
	static const struct tool_args_case cases[] = {
		{"-x", 2, "", "prog: unknown option -x (try prog --help)\n"},
		{"-jx", 2, "", "prog: unknown option -x (try prog --help)\n"},
		{"--json -xj", 2, "", "prog: unknown option -x (try prog --help)\n"},
		{"--json=1 -xj", 2, "", "prog: --json=1 takes no argument (try prog --help)\n"},
		{"--nonsense", 2, "", "prog: unknown or ambiguous option --nonsense (try"},
		{"-b", 2, "", "prog: -b needs an argument (try prog --help)\n"},
		{"--count", 2, "", "prog: --count needs an argument (try prog --help)\n"},
		{"--json=1", 2, "", "prog: --json=1 takes no argument (try prog --help)\n"},
		{"-b x", 2, "", "prog: -b: 'x' is not a whole number (try prog --help)\n"},
		{"-b 0", 2, "", "prog: -b: 0 is out of range, 1 to 100 are allowed (try"},
		{"-c 5001", 2, "", "prog: -c: 5001 is out of range, 1 to 5000 are allowed (try"},
		{"-i 6", 2, "", "prog: -i: 6 is out of range, -1 to 5 are allowed (try"},
		{"-i -2", 2, "", "prog: -i: -2 is out of range, -1 to 5 are allowed (try"},
		{"-i 1.5", 2, "", "prog: -i: '1.5' is not a whole number from -1 to 5 (try"},
		{"-r 1.5", 2, "", "prog: -r: 1.5 is out of range, 0 to 1 are allowed (try"},
		{"-t 2", 2, "", "prog: -t: 2 is out of range, 0s to 1s are allowed (try"},
	};

	(void)state;
	tool_args_check("prog", parse_all, cases, sizeof(cases) / sizeof(cases[0]));
}

/* One log line through a redirected standard error; errno has to survive it. */
static void
test_log_line(void **state)
{
	FILE *err = tmpfile();
	int saved_stderr = dup(STDERR_FILENO);
	char text[OUTPUT_SIZE];
	regex_t re;
	size_t n;

	(void)state;
	assert_non_null(err);
	dup2(fileno(err), STDERR_FILENO);
	errno = ENOTTY;
	nmt_log("%s %d", "poll timeout", 7);
	assert_int_equal(errno, ENOTTY);
	nmt_debug(1, "must not appear");
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	rewind(err);
	n = fread(text, 1, sizeof(text) - 1, err);
	text[n] = '\0';
	fclose(err);
	assert_int_equal(
		regcomp(&re, "^[0-9]{3}\\.[0-9]{6} test_log_line \\[[0-9]+\\] poll timeout 7\n$",
			REG_EXTENDED | REG_NOSUB),
		0);
	assert_int_equal(regexec(&re, text, 0, NULL, 0), 0);
	regfree(&re);
}

static void
test_sleep_until(void **state)
{
	uint64_t start = nmt_now_ns();

	(void)state;
	assert_int_equal(nmt_sleep_until_ns(start + 2000000), 0);
	assert_true(nmt_now_ns() >= start + 2000000);
	start = nmt_now_ns();
	assert_int_equal(nmt_sleep_until_ns(start - 1000000000), 0);
	assert_true(nmt_now_ns() - start < 100000000); /* returned at once */
	assert_int_equal(nmt_set_timer_slack_ns(0), 0);
}

static void
test_pin(void **state)
{
	(void)state;
	assert_true(nmt_n_cpus() >= 1);
	assert_int_equal(nmt_pin_self(-1), -EINVAL);
	assert_int_equal(nmt_pin_self(65535), -EINVAL);
	assert_int_equal(nmt_pin_self(65536), -EINVAL);
	assert_int_equal(nmt_pin_self(sched_getcpu()), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_log_line),
		cmocka_unit_test(test_sleep_until),
		cmocka_unit_test(test_pin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
