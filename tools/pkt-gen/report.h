/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What pkt-gen tells: a line per period, the final report, and both as JSON.
 *
 * Lines follow upstream's pkt-gen to the letter, because scripts parse them (spec section 24.1):
 * progress on standard error, results on standard output. With --json standard output carries one
 * JSON object per line instead, and the result lines go to standard error.
 */
#ifndef PG_REPORT_H_
#define PG_REPORT_H_

#include <stdint.h>

#include "hist.h"
#include "worker.h"

#define PG_FRAMING_BYTES 24 /* CRC 4, preamble 8, gap 12 (IEEE 802.3) */

struct nmt_json;

/* A finished or running set of workers. */
struct pg_run {
	const struct pg_options *opt;
	const struct pg_port *port;
	const struct pg_template *tmpl;
	struct pg_worker *workers; /* opt->n_threads of them */
};

/**
 * pg_json_begin(), pg_json_end() - an object on standard output, with what all objects have
 * @type: "report", "rtt" or "final"
 *
 * Between them the caller holds flockfile(stdout) while workers run.
 */
void pg_json_begin(struct nmt_json *j, const struct pg_run *run, const char *type);
void pg_json_end(struct nmt_json *j);

/** pg_report_start() - the lines before anything happens. Thread: main. */
void pg_report_start(const struct pg_run *run);

/** pg_report_rtt() - ping's lines about the last period. Thread: the ping worker. */
void pg_report_rtt(const struct pg_worker *w, const struct pg_hist *h);

/**
 * pg_report_loop() - report until all workers have ended; SIGINT and SIGTERM ask them to
 *
 * Expects SIGINT, SIGTERM and SIGUSR1 to be blocked in all threads, and a handler for SIGUSR2,
 * which interrupts a worker's wait. Joins the workers. Thread: main; blocks.
 */
void pg_report_loop(struct pg_run *run);

/**
 * pg_report_final() - the results. Thread: main, after pg_report_loop().
 *
 * Return: 0, or the negative errno that a worker ended with.
 */
int pg_report_final(const struct pg_run *run);

#endif /* PG_REPORT_H_ */
