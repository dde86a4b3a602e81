/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of nm-bridge. */
#ifndef NM_BRIDGE_BRIDGE_OPTIONS_H_
#define NM_BRIDGE_BRIDGE_OPTIONS_H_

#include <stdbool.h>
#include <stdint.h>

#include "nmt_cli.h"

#define BR_SPEC_SIZE 256 /* longest port specification, with its options */

struct br_options {
	char port_a[BR_SPEC_SIZE];
	char port_b[BR_SPEC_SIZE]; /* empty: packets go back to where they came from (-L) */
	uint32_t burst;		   /* slots moved between two syncs, per direction */
	unsigned wait_s;
	bool copy; /* even if buffers could be exchanged */
};

extern const struct nmt_cli br_cli;

/**
 * br_options_parse() - read the command line, or end the program with a message
 * @opts: written; the verbosity goes to nmt_log_set_verbosity()
 *
 * Thread: main.
 */
void br_options_parse(struct br_options *opts, int argc, char **argv);

#endif /* NM_BRIDGE_BRIDGE_OPTIONS_H_ */
