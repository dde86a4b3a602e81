/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trying command lines. Parsers of command lines end the program when they do not like one, so each
 * case runs in a child process that calls the parser and prints what came out.
 */
#ifndef TEST_SUPPORT_TOOL_ARGS_H_
#define TEST_SUPPORT_TOOL_ARGS_H_

#include <stddef.h>

/* One command line and what is expected of it. */
struct tool_args_case {
	const char *line; /* words behind the program's name, separated by single spaces */
	int status;	  /* exit status */
	const char *out;  /* all of standard output; NULL: not looked at */
	const char *err;  /* part of standard error; NULL: not looked at */
};

/**
 * tool_args_check() - run each case and assert what it says; a failing one is named
 * @prog:  argv[0]
 * @parse: runs in the child, which ends with status 0 when it returns
 */
void tool_args_check(const char *prog, void (*parse)(int argc, char **argv),
	const struct tool_args_case *cases, size_t n_cases);

#endif /* TEST_SUPPORT_TOOL_ARGS_H_ */
