/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command lines, the same way in every program.
 *
 *	static const struct nmt_cli cli = {
 *		.prog = "nm-bridge", .help = help_text, .shortopts = "hvb:", .h_is_help = true,
 *	};
 *
 *	while ((opt = nmt_cli_next(&cli, argc, argv)) != -1)
 *		switch (opt) {
 *		case 'b':
 *			burst = nmt_cli_u64(&cli, "-b", optarg, 1, 4096);
 *
 * --help prints the text to standard output and exits with 0, --version likewise. Whatever is wrong
 * with an argument ends the program with status 2 and one line on standard error,
 *
 *	nm-bridge: -b: 'x' is not a whole number (try nm-bridge --help)
 *
 * A failure that is not the command line's fault exits with 1 (nmt_die()).
 */
#ifndef NMT_CLI_H_
#define NMT_CLI_H_

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#define NMT_EXIT_USAGE 2

struct nmt_cli {
	const char *prog;      /* name in messages and in --version */
	const char *help;      /* whole text of --help, ends with a newline */
	const char *shortopts; /* as for getopt(3), without a leading '+', '-' or ':' */
	const struct option
		*longopts; /* ends with zeroes; NULL: none. --help, --version are added */
	bool h_is_help;	   /* -h prints the help too; 'h' must be in shortopts */
};

/**
 * nmt_cli_next() - the next option, as getopt_long(3) returns it; -1 at the end
 *
 * Does not return for --help, --version, an unknown option or a missing argument. optarg and optind
 * are getopt's. Thread: main.
 */
int nmt_cli_next(const struct nmt_cli *cli, int argc, char **argv);

/** nmt_usage_error() - "PROG: MESSAGE (try PROG --help)" on standard error, exit status 2 */
void nmt_usage_error(const struct nmt_cli *cli, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/** nmt_die() - "PROG: MESSAGE" on standard error, exit status 1 */
void nmt_die(const struct nmt_cli *cli, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/**
 * nmt_cli_u64() and the others - the value of an option, or nmt_usage_error()
 * @opt: how the user wrote the option ("-b"), for the message
 * @arg: its argument
 *
 * The syntax is that of the parser of the same name in nmt_units.h. Thread: main.
 */
uint64_t nmt_cli_u64(
	const struct nmt_cli *cli, const char *opt, const char *arg, uint64_t min, uint64_t max);
uint64_t nmt_cli_count(
	const struct nmt_cli *cli, const char *opt, const char *arg, uint64_t min, uint64_t max);
uint64_t nmt_cli_size(
	const struct nmt_cli *cli, const char *opt, const char *arg, uint64_t min, uint64_t max);
int nmt_cli_int(const struct nmt_cli *cli, const char *opt, const char *arg, int min, int max);
double nmt_cli_scaled(
	const struct nmt_cli *cli, const char *opt, const char *arg, double min, double max);
uint64_t nmt_cli_time_ns(const struct nmt_cli *cli, const char *opt, const char *arg,
	char default_unit, uint64_t min, uint64_t max);

#endif /* NMT_CLI_H_ */
