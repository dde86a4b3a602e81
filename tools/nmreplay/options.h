/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of nmreplay (spec section 24.5 and nmreplay.8).
 *
 * nmr_options_parse() leaves a complete set behind, or ends the program with status 2 and a
 * message. What depends on the capture or on the port is checked when these are open.
 */
#ifndef OPTIONS_H_
#define OPTIONS_H_

#include <stdbool.h>
#include <stdint.h>

#include "nmt_cli.h"
#include "schedule.h"

struct nmr_options {
	const char *file;      /* borrowed from argv; "-": standard input */
	const char *port_name; /* as given; borrowed from argv */
	struct nmr_link link;  /* with a seed, given or drawn */
	uint64_t n_rounds;     /* NMR_FOREVER: until interrupted */
	uint64_t memory_limit; /* bytes for packets and schedule */
	uint32_t batch;
	unsigned wait_s; /* before the first packet */
	int tx_cpu;	 /* NMR_NO_CPU: any */
	int main_cpu;	 /* for the thread that reads and reports; likewise */
	bool json;
};

/** nmr_options_parse() - read the command line; ends the program on --help and on errors */
void nmr_options_parse(struct nmr_options *opt, int argc, char **argv);

/** nmr_cli() - for nmt_die() and nmt_usage_error() */
const struct nmt_cli *nmr_cli(void);

#endif /* OPTIONS_H_ */
