/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmreplay: play a capture file on a netmap port, at the times of the capture or at a given rate,
 * over a link with delay and loss.
 *
 * The work is done in four steps, each with a file of its own:
 *
 *	capture_reader.c   reads packets from pcap and pcapng
 *	trace.c            holds them in memory
 *	schedule.c         computes when each leaves, with the link of models.c
 *	transmit.c         a thread that sends them
 *
 * The main thread does the first three, opens the port, starts the transmitter, and reports once a
 * second (report.c) until that has ended or a signal asks to stop. The port is opened last, when
 * nothing else can fail: opening a NIC takes it away from the kernel.
 *
 * Exit status: 0 everything played, or stopped by a signal; 1 a failure; 2 a wrong command line.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnetmap.h>

#include "nmt_affinity.h"
#include "nmt_log.h"
#include "nmt_open.h"
#include "nmt_stop.h"
#include "nmt_time.h"
#include "options.h"
#include "report.h"
#include "schedule.h"
#include "trace.h"
#include "transmit.h"

#define REPORT_PERIOD_NS NMT_NS_PER_S

/* What the user should know about a capture that is not played exactly as it is. */
static void
warn_about_trace(const char *file, const struct nmr_trace *trace)
{
	if (trace->is_truncated)
		nmt_log("warning: %s: %s; playing the %" PRIu32 " packets before", file,
			trace->truncation.text, trace->n_packets);
	if (trace->n_cut > 0)
		nmt_log("warning: %s: %" PRIu64
			" packets were not captured to their end; what there "
			"is of them is sent",
			file, trace->n_cut);
	if (trace->n_empty > 0)
		nmt_log("warning: %s: %" PRIu64 " packets left out, nothing of them was captured",
			file, trace->n_empty);
	if (trace->n_backward > 0)
		nmt_log("warning: %s: %" PRIu64
			" packets have an earlier time than the one before; "
			"they follow it at once",
			file, trace->n_backward);
	if (trace->n_timeless > 0)
		nmt_log("warning: %s: %" PRIu64 " packets have no time; they follow the one before "
			"at once",
			file, trace->n_timeless);
	if (trace->n_fcs > 0)
		nmt_debug(1, "%s: frame check sequence taken off %" PRIu64 " packets", file,
			trace->n_fcs);
}

/* Read the capture and compute the schedule; ends the program on failure. */
static void
prepare(const struct nmr_options *opt, struct nmr_trace *trace, struct nmr_schedule *sched)
{
	struct nmt_err err;

	if (nmr_trace_load(opt->file, opt->memory_limit, trace, &err) != 0)
		nmt_die(nmr_cli(), "%s: %s", opt->file, err.text);
	warn_about_trace(opt->file, trace);
	if (nmr_schedule_build(trace, &opt->link, opt->n_rounds,
		    opt->memory_limit - trace->memory_len, sched, &err) != 0)
		nmt_die(nmr_cli(), "%s: %s", opt->file, err.text);
}

/* Open the port; ends the program on failure. */
static struct nmport_d *
open_port(const char *given_name)
{
	char name[256];
	struct nmport_d *port;
	struct nmt_err err;
	int n;

	n = snprintf(
		name, sizeof(name), "%s%s", strchr(given_name, ':') ? "" : "netmap:", given_name);
	if (n >= (int)sizeof(name))
		nmt_die(nmr_cli(), "port name '%.40s...' is too long", given_name);
	port = nmt_port_open(name, &err);
	if (port == NULL)
		nmt_die(nmr_cli(), "%s", err.text);
	return port;
}

/* Does every packet fit? Ends the program if not. */
static void
check_port(
	const struct nmr_options *opt, const struct nmr_trace *trace, const struct nmport_d *port)
{
	uint64_t max_len = nmr_tx_max_packet(port);

	if (max_len == 0)
		nmt_die(nmr_cli(), "%s has no transmit ring; open it without /R", opt->port_name);
	if (trace->max_len > max_len)
		nmt_die(nmr_cli(),
			"%s: a packet has %" PRIu32 " bytes, %s takes %" PRIu64
			" at most; give it more slots (@conf:slots=N)",
			opt->file, trace->max_len, opt->port_name, max_len);
}

/* Report until the transmitter has ended. Return: 0, or -EIO when nobody reads the reports. */
static int
report_until_done(struct nmr_tx *tx, struct nmr_report *report)
{
	const uint64_t start_ns = nmt_now_ns();
	uint64_t next_ns = start_ns + REPORT_PERIOD_NS;
	struct pollfd fd = {.fd = tx->done_fd, .events = POLLIN};
	struct nmr_counters now;
	int error = 0;

	for (;;) { /* ends with the transmitter, which a signal or an error here ends too */
		uint64_t now_ns = nmt_now_ns();
		int n;

		if (now_ns >= next_ns) {
			nmr_tx_read_counters(tx, &now);
			error = nmr_report_period(report, &now, now_ns - start_ns);
			next_ns += REPORT_PERIOD_NS;
			if (next_ns < now_ns) /* stopped for a while: no report for that */
				next_ns = now_ns + REPORT_PERIOD_NS;
		}
		if (error != 0 || nmt_stop_requested())
			return error;
		n = nmt_stop_poll(
			&fd, 1, next_ns > now_ns ? (int)((next_ns - now_ns) / 1000000) + 1 : 0);
		if (n > 0 || (n < 0 && n != -EINTR))
			return n > 0 ? 0 : n;
	}
}

/* Play to the end or until a signal. Return: exit status. */
static int
play(const struct nmr_options *opt, struct nmport_d *port, const struct nmr_trace *trace,
	const struct nmr_schedule *sched)
{
	const struct nmr_tx_config config = {
		.port = port,
		.trace = trace,
		.sched = sched,
		.batch = opt->batch,
		.cpu = opt->tx_cpu,
	};
	struct nmr_counters total;
	struct nmr_report report;
	struct nmr_tx tx;
	int output_error;
	int error;

	output_error = nmr_report_start(&report, opt, trace, sched);
	error = nmr_tx_start(&tx, &config);
	if (error != 0) {
		fprintf(stderr, "nmreplay: cannot start the transmitter%s: %s\n",
			opt->tx_cpu == NMR_NO_CPU ? "" : " on the CPU of -C", strerror(-error));
		return EXIT_FAILURE;
	}
	if (output_error == 0)
		output_error = report_until_done(&tx, &report);
	nmr_tx_stop(&tx);
	error = nmr_tx_join(&tx);
	nmr_tx_read_counters(&tx, &total);
	if (tx.n_undelivered > 0)
		nmt_log("warning: %" PRIu32 " slots were still waiting in the port at the end",
			tx.n_undelivered);
	if (output_error == 0)
		output_error =
			nmr_report_end(&report, &total, tx.end_ns - tx.start_ns, tx.n_undelivered);
	if (error != 0)
		fprintf(stderr, "nmreplay: %s does not take packets any more: %s\n", opt->port_name,
			strerror(-error));
	if (output_error != 0)
		fprintf(stderr, "nmreplay: cannot write to standard output\n");
	return error != 0 || output_error != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct nmr_schedule sched;
	struct nmr_options opt;
	struct nmr_trace trace;
	struct nmport_d *port;
	int status = EXIT_SUCCESS;
	int error;

	nmr_options_parse(&opt, argc, argv);
	if (opt.main_cpu != NMR_NO_CPU && nmt_pin_self(opt.main_cpu) != 0)
		nmt_usage_error(nmr_cli(), "-C: CPU %d is not there or not allowed", opt.main_cpu);
	prepare(&opt, &trace, &sched);
	error = nmt_stop_init(false);
	if (error != 0)
		nmt_die(nmr_cli(), "cannot catch signals: %s", strerror(-error));
	port = open_port(opt.port_name);
	check_port(&opt, &trace, port);
	if (!nmt_stop_sleep(opt.wait_s))
		status = play(&opt, port, &trace, &sched);
	nmport_close(port);
	nmr_schedule_free(&sched);
	nmr_trace_free(&trace);
	return status;
}
