/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing what is kept to a file, by a process forked off for that: it has the store as it was at
 * that moment, and however long the disk takes, recording goes on. What has come of it is in memory
 * that both have.
 *
 * A file that is there is replaced only by a whole one: its successor is written beside it, under
 * another name. What is no regular file, a FIFO say, is written to as it is.
 *
 * A terminal, systemd or pkill(1) may send their signals to the process, too, and these mean the
 * recorder: SIGUSR1 does nothing, nor does the first SIGTERM or SIGINT. The second one ends it.
 */
#ifndef NM_RECORD_DUMP_H
#define NM_RECORD_DUMP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pcap/capture.h"
#include "ports.h"
#include "store.h"

struct dump_port {
	char name[UNM_LIST_NAME_SIZE];
	struct unm_cap_counters counters;
	uint64_t n_accepted; /* by the filter */
};

struct dump_job {
	const struct store *store;
	const struct dump_port *ports; /* by number */
	unsigned int n_ports;
	const char *path;   /* NULL or "": a name is made */
	const char *prefix; /* of that name */
	const char *filter; /* that was in force; NULL: none */
	uint32_t snaplen;
	uint64_t start_ns; /* of recording */
};

struct dump_result {
	int error; /* 0 or negative errno */
	uint64_t n_frames;
	uint64_t n_bytes;
	char path[PATH_MAX];
	char target[PATH_MAX];			   /* the file that is replaced */
	char part[PATH_MAX];			   /* written in its stead; "": none, or no more */
	char why[UNM_CAP_WHY_SIZE + 2 * PATH_MAX]; /* with an error: a sentence */
};

struct dump {
	pid_t pid;		    /* 0: none is being written */
	int fd;			    /* of the process: readable when it has ended */
	struct dump_result *result; /* W: the process */
};

/* Return: 0; negative errno: nothing could be started. */
int dump_start(struct dump *d, const struct dump_job *job);

/* How many frames have been written so far. */
uint64_t dump_n_frames(const struct dump *d);

/* End the process; dump_finish() is still due. Waits for a second at most. */
void dump_kill(const struct dump *d);

/* It is readable, or has been killed: take the result. Does not block. */
void dump_finish(struct dump *d, struct dump_result *r);

#endif
