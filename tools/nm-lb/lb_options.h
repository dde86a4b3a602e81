/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of nm-lb. */
#ifndef NM_LB_LB_OPTIONS_H_
#define NM_LB_LB_OPTIONS_H_

#include <stdbool.h>
#include <stdint.h>

#include "nmt_cli.h"

#define LB_MAX_GROUPS 64
#define LB_MAX_PIPES  1024 /* of all groups together */
#define LB_NAME_SIZE  64   /* as nr_name */
#define LB_SPEC_SIZE  (LB_NAME_SIZE + 32)

/* One -p: pipes NAME{first_id to NAME{first_id + n_pipes - 1. */
struct lb_group_spec {
	char name[LB_NAME_SIZE]; /* base port as the device knows it, without "netmap:" */
	uint32_t first_id;	 /* not 0 where an earlier group has the same name */
	uint32_t n_pipes;
};

struct lb_options {
	char port[LB_SPEC_SIZE]; /* what is opened: -i, with "netmap:" if that was missing */
	char base[LB_NAME_SIZE]; /* the port's own name, which pipes get by default */
	struct lb_group_spec groups[LB_MAX_GROUPS];
	uint32_t n_groups; /* at least 1 */
	uint32_t n_pipes;  /* of all groups */
	uint32_t n_extra_bufs;
	uint32_t batch;
	unsigned wait_s;
	bool busy_wait;
	unsigned syslog_interval_s; /* 0: off */
	unsigned stdout_interval_s; /* 0: off */
};

extern const struct nmt_cli lb_cli;

/**
 * lb_options_parse() - read the command line, or end the program with a message
 * @opts: written
 *
 * Thread: main.
 */
void lb_options_parse(struct lb_options *opts, int argc, char **argv);

#endif /* NM_LB_LB_OPTIONS_H_ */
