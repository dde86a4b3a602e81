/* SPDX-License-Identifier: BSD-2-Clause */
/* The running recorder: ports, store, events, and what is being written. One for the program. */
#ifndef NM_RECORD_RECORDER_H
#define NM_RECORD_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "dump.h"
#include "options.h"
#include "ports.h"
#include "store.h"

#define RECORDER_NO_DEATH "isolated clients do not see it"

struct unm_filter;

struct recorder {
	const struct options *opts;
	struct ports *ports;
	struct store *store;
	struct unm_filter *filter;
	int signal_fd;
	int listen_fd;
	int pid_fd[OPTIONS_PIDS_MAX]; /* -1: has ended */
	uint64_t start_ns;
	uint64_t n_refused; /* frames that the filter did not want */
	/* Writing */
	struct dump dump;
	struct dump_port *dump_ports;
	int dump_client; /* waits for the answer; -1: none */
	bool dump_again; /* something has happened since the process was forked off */
	uint64_t n_dumps;
	uint64_t n_own_dumps; /* without being asked */
	uint64_t n_failed;    /* files that were not written */
	struct dump_result last;
	bool has_told; /* that -e netmapd is not to be had */
	bool is_stopping;
	bool has_end_signal; /* SIGTERM, SIGINT */
};

/** recorder_watch() - the processes of -p. Return: 0, or negative errno with a line that says so. */
int recorder_watch(struct recorder *r);

/**
 * recorder_run() - record until told to end
 * @r: opts set, ports, store, filter, signal_fd and listen_fd made, processes watched; the rest zero
 *
 * Return: exit status; that of a failure also if a file was being written at the end, or was due
 * then, and was not written.
 */
int recorder_run(struct recorder *r);

/* The answer to "status"; allocated, NULL without memory. */
char *status_text(struct recorder *r);
char *status_json(struct recorder *r);

#endif
