/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of nm-record. */
#ifndef NM_RECORD_OPTIONS_H
#define NM_RECORD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "nmt_cli.h"

#define OPTIONS_PIDS_MAX 16

enum when {
	WHEN_PORT = 1,	  /* a port has gone */
	WHEN_NETMAPD = 2, /* netmapd has died */
	WHEN_EXIT = 4,	  /* told to end */
};

enum command {
	COMMAND_RECORD,
	COMMAND_DUMP,
	COMMAND_STATUS,
	COMMAND_STOP,
};

struct options {
	enum command command;
	uint64_t n_bytes;
	uint64_t n_frames; /* 0: no limit */
	uint64_t age_ns;   /* 0: no limit */
	uint32_t snaplen;
	const char *filter; /* NULL: none */
	const char *prefix;
	const char *socket_path; /* NULL: the usual one */
	unsigned int when;	 /* enum when */
	pid_t pid[OPTIONS_PIDS_MAX];
	unsigned int n_pids;
	uint64_t max_dumps; /* without being asked */
	bool json;
	char **words; /* ports, or what follows the command */
	unsigned int n_words;
};

extern const struct nmt_cli record_cli;

/* Wrong arguments do not return. */
void options_parse(struct options *o, int argc, char **argv);

#endif
