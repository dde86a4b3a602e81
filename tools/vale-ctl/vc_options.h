/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of vale-ctl: one action, and what goes with it. */
#ifndef VALE_CTL_VC_OPTIONS_H_
#define VALE_CTL_VC_OPTIONS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nmt_cli.h"

enum vc_action {
	VC_LIST,   /* -l, or no option at all; name: a switch, a port, or NULL for everything */
	VC_INFO,   /* -g */
	VC_ATTACH, /* -a */
	VC_ATTACH_HOST, /* -h */
	VC_DETACH,	/* -d */
	VC_CREATE,	/* -n */
	VC_DELETE,	/* -r */
	VC_POLL_START,	/* -p */
	VC_POLL_STOP,	/* -P */
};

/* What -C says, by action. Fields not given are 0, which the device takes for its default. */
struct vc_geometry {
	uint32_t tx_slots, rx_slots;
	uint16_t tx_rings, rx_rings;
};

struct vc_polling {
	uint32_t mode; /* NETMAP_POLLING_MODE_* */
	uint32_t first_cpu;
	uint32_t n_cpus;
};

struct vc_options {
	enum vc_action action;
	const char *name; /* borrowed from argv; NULL only with VC_LIST */
	struct vc_geometry geometry;
	struct vc_polling polling;
	const char *mem_spec; /* -m as written, NULL if not given; see vc_find_mem_id() */
	bool verbose;
	bool json;
};

extern const struct nmt_cli vc_cli;

/**
 * vc_options_parse() - read the command line, or end the program with a message
 * @opts: written
 *
 * Thread: main.
 */
void vc_options_parse(struct vc_options *opts, int argc, char **argv);

#endif /* VALE_CTL_VC_OPTIONS_H_ */
