/* SPDX-License-Identifier: BSD-2-Clause */
/* Trying command lines: see tool_args.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tool_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX   160
#define LINE_SIZE   1024
#define OUTPUT_SIZE 4096

struct output {
	int status;
	char out[OUTPUT_SIZE];
	char err[OUTPUT_SIZE];
};

static void
read_back(FILE *f, char *text)
{
	size_t n;

	rewind(f);
	n = fread(text, 1, OUTPUT_SIZE - 1, f);
	text[n] = '\0';
	fclose(f);
}

static void
run_in_child(int argc, char **argv, void (*parse)(int, char **), struct output *result)
{
	FILE *out = tmpfile();
	FILE *err = tmpfile();
	pid_t pid;

	assert_non_null(out);
	assert_non_null(err);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		parse(argc, argv);
		fflush(stdout);
		_exit(EXIT_SUCCESS);
	}
	assert_int_equal(waitpid(pid, &result->status, 0), pid);
	assert_true(WIFEXITED(result->status));
	result->status = WEXITSTATUS(result->status);
	read_back(out, result->out);
	read_back(err, result->err);
}

static void
check_case(const char *prog, void (*parse)(int, char **), const struct tool_args_case *c)
{
	char *argv[WORDS_MAX + 2] = {0};
	char line[LINE_SIZE];
	char *save = NULL;
	struct output got;
	int argc = 0;

	assert_true(snprintf(line, sizeof(line), "%s %s", prog, c->line) < LINE_SIZE);
	for (char *w = strtok_r(line, " ", &save); w != NULL && argc <= WORDS_MAX;
		w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	assert_true(argc <= WORDS_MAX);
	run_in_child(argc, argv, parse, &got);
	if (got.status == c->status && (c->out == NULL || strcmp(got.out, c->out) == 0) &&
		(c->err == NULL || strstr(got.err, c->err) != NULL))
		return;
	fail_msg("%s %s\nstatus %d, expected %d\nout: %s\nexpected: %s\nerr: %s\nexpected part: %s",
		prog, c->line, got.status, c->status, got.out, c->out != NULL ? c->out : "any",
		got.err, c->err != NULL ? c->err : "any");
}

void
tool_args_check(const char *prog, void (*parse)(int, char **), const struct tool_args_case *cases,
	size_t n_cases)
{
	for (size_t i = 0; i < n_cases; i++)
		check_case(prog, parse, &cases[i]);
}
