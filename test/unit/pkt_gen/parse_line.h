/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: options of pkt-gen from a line of words. */
#ifndef TEST_PKT_GEN_PARSE_LINE_H_
#define TEST_PKT_GEN_PARSE_LINE_H_

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

/**
 * parse_line() - as pg_options_parse(), with the words of @line, separated by single spaces
 *
 * Texts in @opt stay valid until the next call.
 */
static inline void
parse_line(struct pg_options *opt, const char *line)
{
	static char copy[512];
	char *argv[64] = {0};
	int argc = 0;

	if (snprintf(copy, sizeof(copy), "pkt-gen %s", line) >= (int)sizeof(copy))
		abort(); /* a test's line is too long */
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " ")) {
		if (argc == 63)
			abort();
		argv[argc++] = w;
	}
	optind = 0; /* getopt starts again (getopt(3), NOTES) */
	pg_options_parse(opt, argc, argv);
}

#endif /* TEST_PKT_GEN_PARSE_LINE_H_ */
