/* SPDX-License-Identifier: BSD-2-Clause */
/* Command lines: see nmt_cli.h. */
#include "nmt_cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_units.h"

enum { OPT_HELP = 0x7001, OPT_VERSION = 0x7002 }; /* outside of what programs use */

#define LONGOPTS_MAX  64
#define SHORTOPTS_MAX 128

static void
complain(const struct nmt_cli *cli, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "%s: ", cli->prog);
	vfprintf(stderr, fmt, ap);
}

void
nmt_usage_error(const struct nmt_cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(cli, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (try %s --help)\n", cli->prog);
	exit(NMT_EXIT_USAGE);
}

void
nmt_die(const struct nmt_cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(cli, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static void __attribute__((noreturn)) print_and_exit(const struct nmt_cli *cli, const char *text)
{
	if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
		nmt_die(cli, "cannot write to standard output");
	exit(EXIT_SUCCESS);
}

static void __attribute__((noreturn)) print_version(const struct nmt_cli *cli)
{
	char text[128];

	snprintf(text, sizeof(text), "%s (unetmap) %s\n", cli->prog, UNM_VERSION);
	print_and_exit(cli, text);
}

/* The program's long options, ours, and the terminator. */
static void
merge_longopts(const struct nmt_cli *cli, struct option *merged)
{
	size_t n = 0;

	if (cli->longopts != NULL)
		for (; n < LONGOPTS_MAX && cli->longopts[n].name != NULL; n++)
			merged[n] = cli->longopts[n];
	merged[n++] = (struct option){"help", no_argument, NULL, OPT_HELP};
	merged[n++] = (struct option){"version", no_argument, NULL, OPT_VERSION};
	merged[n] = (struct option){0};
}

/*
 * Whether an error is about the long option in @at. getopt_long() tells by optopt only: 0 for an
 * unknown long option, else the value of the option. In the middle of "-xy" @at is still the
 * argument before, so a long option there has to have that very value.
 */
static bool
is_about_long(const struct option *longopts, const char *at)
{
	size_t len;

	if (at == NULL || strncmp(at, "--", 2) != 0)
		return false;
	if (optopt == 0)
		return true;
	len = strcspn(at + 2, "=");
	for (; longopts->name != NULL; longopts++)
		if (longopts->val == optopt && strncmp(longopts->name, at + 2, len) == 0)
			return true;
	return false;
}

/* What getopt_long() did not like, in words. @at is the argument before optind. */
static void __attribute__((noreturn)) report_bad_option(
	const struct nmt_cli *cli, const struct option *longopts, int kind, const char *at)
{
	bool is_long = is_about_long(longopts, at);

	if (kind == ':' && is_long)
		nmt_usage_error(cli, "%.60s needs an argument", at);
	if (kind == ':')
		nmt_usage_error(cli, "-%c needs an argument", optopt);
	if (is_long && optopt != 0)
		nmt_usage_error(cli, "%.60s takes no argument", at);
	if (is_long)
		nmt_usage_error(cli, "unknown or ambiguous option %.60s", at);
	nmt_usage_error(cli, "unknown option -%c", optopt);
}

int
nmt_cli_next(const struct nmt_cli *cli, int argc, char **argv)
{
	struct option merged[LONGOPTS_MAX + 3];
	char shortopts[SHORTOPTS_MAX];
	int opt;

	merge_longopts(cli, merged);
	/* The colon in front tells a missing argument from an unknown option. */
	snprintf(shortopts, sizeof(shortopts), ":%s", cli->shortopts);
	opterr = 0;
	optopt = 0;
	opt = getopt_long(argc, argv, shortopts, merged, NULL);
	switch (opt) {
	case OPT_HELP:
		print_and_exit(cli, cli->help);
	case OPT_VERSION:
		print_version(cli);
	case '?':
	case ':':
		report_bad_option(cli, merged, opt, argv[optind - 1]);
	case 'h':
		if (cli->h_is_help)
			print_and_exit(cli, cli->help);
		return opt;
	default:
		return opt;
	}
}

uint64_t
nmt_cli_u64(const struct nmt_cli *cli, const char *opt, const char *arg, uint64_t min, uint64_t max)
{
	struct nmt_err err;
	uint64_t val;

	if (nmt_parse_u64(arg, min, max, &val, &err) != 0)
		nmt_usage_error(cli, "%s: %s", opt, err.text);
	return val;
}

uint64_t
nmt_cli_count(
	const struct nmt_cli *cli, const char *opt, const char *arg, uint64_t min, uint64_t max)
{
	struct nmt_err err;
	uint64_t val;

	if (nmt_parse_count(arg, min, max, &val, &err) != 0)
		nmt_usage_error(cli, "%s: %s", opt, err.text);
	return val;
}

uint64_t
nmt_cli_size(
	const struct nmt_cli *cli, const char *opt, const char *arg, uint64_t min, uint64_t max)
{
	struct nmt_err err;
	uint64_t val;

	if (nmt_parse_size(arg, min, max, &val, &err) != 0)
		nmt_usage_error(cli, "%s: %s", opt, err.text);
	return val;
}

int
nmt_cli_int(const struct nmt_cli *cli, const char *opt, const char *arg, int min, int max)
{
	bool is_negative = arg[0] == '-' && min < 0;
	uint64_t magnitude;
	int64_t val;

	if (nmt_parse_u64(arg + is_negative, 0, INT32_MAX, &magnitude, NULL) == 0) {
		val = is_negative ? -(int64_t)magnitude : (int64_t)magnitude;
		if (val >= min && val <= max)
			return (int)val;
		nmt_usage_error(
			cli, "%s: %s is out of range, %d to %d are allowed", opt, arg, min, max);
	}
	nmt_usage_error(cli, "%s: '%.40s' is not a whole number from %d to %d", opt, arg, min, max);
}

double
nmt_cli_scaled(const struct nmt_cli *cli, const char *opt, const char *arg, double min, double max)
{
	struct nmt_err err;
	double val;

	if (nmt_parse_scaled(arg, min, max, &val, &err) != 0)
		nmt_usage_error(cli, "%s: %s", opt, err.text);
	return val;
}

uint64_t
nmt_cli_time_ns(const struct nmt_cli *cli, const char *opt, const char *arg, char default_unit,
	uint64_t min, uint64_t max)
{
	struct nmt_err err;
	uint64_t val;

	if (nmt_parse_time_ns(arg, default_unit, min, max, &val, &err) != 0)
		nmt_usage_error(cli, "%s: %s", opt, err.text);
	return val;
}
