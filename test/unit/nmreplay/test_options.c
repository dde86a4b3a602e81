/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: the command line of nmreplay gives the values and defaults that the manual states, and
 * whatever is wrong with it ends the program with status 2 and a message that names the option. Each
 * command line is parsed in a child process, since errors end it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nmt_log.h"
#include "options.h"
#include "transmit.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define ARGS_MAX	  31

/* What a child leaves behind, in memory shared with it. */
struct parsed {
	struct nmr_options opt;
	int verbosity;
	bool is_complete;
};

/* Parse @words (split at blanks) in a child. Return: exit status; @err gets its standard error. */
static int
parse(const char *words, struct parsed *out, char *err, size_t err_size)
{
	struct parsed *shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fds[2];
	size_t len = 0;
	ssize_t n;
	int status;
	pid_t pid;

	assert_ptr_not_equal(shared, MAP_FAILED);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char *argv[ARGS_MAX + 1] = {"nmreplay"};
		char *copy = strdup(words);
		int argc = 1;

		for (char *word = strtok(copy, " "); word != NULL && argc < ARGS_MAX;
			word = strtok(NULL, " "))
			argv[argc++] = word;
		dup2(fds[1], STDERR_FILENO);
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		nmr_options_parse(&shared->opt, argc, argv);
		shared->verbosity = nmt_log_verbosity();
		shared->is_complete = true;
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], err + len, err_size - 1 - len)) > 0)
		len += (size_t)n;
	err[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	*out = *shared;
	munmap(shared, sizeof(*shared));
	return WEXITSTATUS(status);
}

static struct nmr_options
parse_good(const char *words, int *verbosity)
{
	struct parsed parsed;
	char err[4096];

	if (parse(words, &parsed, err, sizeof(err)) != 0 || !parsed.is_complete)
		fail_msg("'%s': %s", words, err);
	*verbosity = parsed.verbosity;
	return parsed.opt;
}

static void
test_defaults(void **state)
{
	int verbosity;
	struct nmr_options opt = parse_good("-f a.pcap -i vale0:x", &verbosity);

	(void)state;
	assert_int_equal(opt.link.bw.kind, NMR_BW_REAL);
	assert_true(opt.link.bw.speed > 0.999 && opt.link.bw.speed < 1.001);
	assert_int_equal(opt.link.delay.kind, NMR_DELAY_CONSTANT);
	assert_int_equal(opt.link.delay.min_ns, 0);
	assert_true(opt.link.loss.rate < 1e-12);
	assert_true(opt.n_rounds == NMR_FOREVER);
	assert_int_equal(opt.batch, 128);
	assert_int_equal(opt.wait_s, 0);
	assert_int_equal(opt.tx_cpu, NMR_NO_CPU);
	assert_int_equal(opt.main_cpu, NMR_NO_CPU);
	assert_true(opt.memory_limit > 0);
	assert_false(opt.json);
	assert_int_equal(verbosity, 0);
}

static void
test_values(void **state)
{
	int verbosity;
	struct nmr_options opt;

	(void)state;
	opt = parse_good("-f - -i netmap:p{1 -B ether,1G -D exp,1m,2m -L ber,1e-6 -b 7 -w 3 -C 1,0 "
			 "-v -j",
		&verbosity);
	assert_int_equal(opt.link.bw.kind, NMR_BW_ETHER);
	assert_int_equal(opt.link.delay.kind, NMR_DELAY_EXP);
	assert_int_equal(opt.link.loss.kind, NMR_LOSS_BIT);
	assert_int_equal(opt.batch, 7);
	assert_int_equal(opt.wait_s, 3);
	assert_int_equal(opt.tx_cpu, 1);
	assert_int_equal(opt.main_cpu, 0);
	assert_true(opt.json);
	assert_int_equal(verbosity, 1);
	opt = parse_good(
		"-f a -i b --loops 3 --seed 0x10 --max-memory 1.5G --json -C 2", &verbosity);
	assert_int_equal(opt.n_rounds, 3);
	assert_int_equal(opt.link.seed, 16);
	assert_int_equal(opt.memory_limit, 1500000000);
	assert_true(opt.json);
	assert_int_equal(opt.tx_cpu, 2);
	assert_int_equal(opt.main_cpu, NMR_NO_CPU);
	assert_true(parse_good("-f a -i b --loops 0", &verbosity).n_rounds == NMR_FOREVER);
}

/* Random seeds differ, so that two runs do not lose the same packets. */
static void
test_seed_is_random(void **state)
{
	int verbosity;
	uint64_t first = parse_good("-f a -i b", &verbosity).link.seed;

	(void)state;
	assert_true(parse_good("-f a -i b", &verbosity).link.seed != first);
}

static void
test_errors(void **state)
{
	static const struct {
		const char *words;
		const char *says;
	} cases[] = {
		{"", "no capture file given (-f)"},
		{"-f a", "no port given (-i)"},
		{"-i b", "no capture file given (-f)"},
		{"-f a -i b c", "unexpected argument 'c'"},
		{"-f a -f a -i b", "-f given twice"},
		{"-f a -i b -i b", "-i given twice"},
		{"-f a -i b -B 1 -B 1", "-B given twice"},
		{"-f a -i b -D 1 -D 1", "-D given twice"},
		{"-f a -i b -L 0 -L 0", "-L given twice"},
		{"-f a -i b -B fast", "-B: 'fast' is not one of BPS, constant,BPS"},
		{"-f a -i b -D -1", "-D: '-1' is not one of TIME"},
		{"-f a -i b -L 2", "-L: 2 is out of range"},
		{"-f a -i b -b 0", "-b"},
		{"-f a -i b -b x", "-b"},
		{"-f a -i b -w -1", "-w"},
		{"-f a -i b -w 86401", "-w"},
		{"-f a -i b -C x", "-C: "},
		{"-f a -i b -C 1,2,3", "-C: '1,2,3' has more than 2 numbers"},
		{"-f a -i b -C 1024", "-C: 1024 is out of range"},
		{"-f a -i b --loops -1", "--loops"},
		{"-f a -i b --loops 5000000000", "--loops"},
		{"-f a -i b --seed x", "--seed"},
		{"-f a -i b --max-memory 0", "--max-memory"},
		{"-f a -i b --max-memory lots", "--max-memory"},
		{"-f a -i b --loops", "needs an argument"},
		{"-f a -i", "-i needs an argument"},
		{"-f a -i b -q", "unknown option -q"},
		{"-f a -i b --fast", "unknown or ambiguous option --fast"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct parsed parsed;
		char err[4096];
		int status = parse(cases[i].words, &parsed, err, sizeof(err));

		if (status != NMT_EXIT_USAGE || strncmp(err, "nmreplay: ", 10) != 0 ||
			strstr(err, cases[i].says) == NULL ||
			strstr(err, "(try nmreplay --help)\n") == NULL)
			fail_msg("'%s': status %d, '%s'", cases[i].words, status, err);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_seed_is_random),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
