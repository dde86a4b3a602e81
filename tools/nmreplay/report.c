/* SPDX-License-Identifier: BSD-2-Clause */
/* What nmreplay tells: see report.h. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "nmt_log.h"
#include "nmt_units.h"

/* Lost packets among those that came to their turn. */
static double
actual_loss(const struct nmr_counters *counters)
{
	return counters->n_rx > 0 ? (double)counters->n_lost / (double)counters->n_rx : 0;
}

/* How late packets were; without a rate there is no time to be late for. */
static void
write_late(struct nmr_report *report, uint64_t sum_ns, uint64_t n_packets, uint64_t max_ns)
{
	struct nmt_json *j = &report->out;

	if (report->sched->round_len_q32 == 0 || n_packets == 0) {
		nmt_json_null(j, "late_avg_ns");
		nmt_json_null(j, "late_max_ns");
		return;
	}
	nmt_json_double(j, "late_avg_ns", (double)sum_ns / (double)n_packets, 0);
	nmt_json_u64(j, "late_max_ns", max_ns);
}

int
nmr_report_start(struct nmr_report *report, const struct nmr_options *opt,
	const struct nmr_trace *trace, const struct nmr_schedule *sched)
{
	struct nmt_json *j = &report->out;

	*report = (struct nmr_report){.json = opt->json, .sched = sched};
	nmt_json_init(j, stdout);
	nmt_debug(1, "%s: %s, %" PRIu32 " packets, %" PRIu64 " bytes, recorded in %.6f s",
		opt->file, nmt_capture_format_name(trace->format), trace->n_packets, trace->n_bytes,
		(double)trace->span_ns / 1e9);
	nmt_debug(1, "a round lasts %.6f s; %" PRIu32 " rounds scheduled, seed %" PRIu64,
		(double)nmr_round_len_ns(sched) / 1e9, sched->n_rounds, opt->link.seed);
	if (!report->json)
		return 0;
	nmt_json_begin_object(j, NULL);
	nmt_json_str(j, "type", "start");
	nmt_json_str(j, "file", opt->file);
	nmt_json_str(j, "format", nmt_capture_format_name(trace->format));
	nmt_json_str(j, "port", opt->port_name);
	nmt_json_u64(j, "packets", trace->n_packets);
	nmt_json_u64(j, "bytes", trace->n_bytes);
	nmt_json_u64(j, "recorded_ns", trace->span_ns);
	nmt_json_bool(j, "truncated", trace->is_truncated);
	nmt_json_u64(j, "round_ns", nmr_round_len_ns(sched));
	if (opt->n_rounds == NMR_FOREVER)
		nmt_json_null(j, "loops");
	else
		nmt_json_u64(j, "loops", opt->n_rounds);
	nmt_json_u64(j, "seed", opt->link.seed);
	nmt_json_end_object(j);
	return nmt_json_newline(j);
}

/* The maxima of the whole run, to which a period adds. */
static void
keep_maxima(struct nmr_report *report, const struct nmr_counters *period)
{
	if (period->max_queue > report->max_queue)
		report->max_queue = period->max_queue;
	if (period->max_late_ns > report->max_late_ns)
		report->max_late_ns = period->max_late_ns;
}

int
nmr_report_period(struct nmr_report *report, const struct nmr_counters *now, uint64_t time_ns)
{
	const struct nmr_counters *last = &report->last;
	const uint64_t n_tx = now->n_tx - last->n_tx;
	struct nmt_json *j = &report->out;
	int error = 0;

	nmt_log("%" PRIu64 " -> %" PRIu64 " maxq %" PRIu64 " round %" PRIu64,
		now->n_rx - last->n_rx, n_tx, now->max_queue, now->round);
	nmt_log("plr nominal %e actual %e", report->sched->loss_nominal, actual_loss(now));
	if (report->json) {
		nmt_json_begin_object(j, NULL);
		nmt_json_str(j, "type", "report");
		nmt_json_double(j, "time_s", (double)time_ns / 1e9, 6);
		nmt_json_u64(j, "rx", now->n_rx - last->n_rx);
		nmt_json_u64(j, "tx", n_tx);
		nmt_json_u64(j, "tx_bytes", now->n_bytes - last->n_bytes);
		nmt_json_u64(j, "lost", now->n_lost - last->n_lost);
		nmt_json_u64(j, "maxq", now->max_queue);
		nmt_json_u64(j, "round", now->round);
		nmt_json_double(j, "plr_nominal", report->sched->loss_nominal, 9);
		nmt_json_double(j, "plr_actual", actual_loss(now), 9);
		write_late(report, now->sum_late_ns - last->sum_late_ns, n_tx, now->max_late_ns);
		nmt_json_end_object(j);
		error = nmt_json_newline(j);
	}
	keep_maxima(report, now);
	report->last = *now;
	return error;
}

static int
write_end_text(const struct nmr_counters *total, double seconds)
{
	char pps[NMT_NUM_SIZE];
	char bps[NMT_NUM_SIZE];
	int n;

	if (total->n_tx == 0) {
		n = printf("Sent nothing.\n");
	} else {
		n = printf("Sent %" PRIu64 " packets %" PRIu64 " bytes in %.2f seconds, %" PRIu64
			   " lost by the model.\n",
			total->n_tx, total->n_bytes, seconds, total->n_lost);
		n = n < 0 ? n
			  : printf("Speed: %spps Bandwidth: %sbps\n",
				    nmt_format_scaled(pps, (double)total->n_tx / seconds, false),
				    nmt_format_scaled(
					    bps, (double)total->n_bytes * 8 / seconds, false));
	}
	return n < 0 || fflush(stdout) != 0 ? -EIO : 0;
}

int
nmr_report_end(struct nmr_report *report, const struct nmr_counters *total, uint64_t time_ns,
	uint32_t n_undelivered)
{
	const double seconds = time_ns > 0 ? (double)time_ns / 1e9 : 1e-9;
	struct nmt_json *j = &report->out;

	keep_maxima(report, total);
	if (!report->json)
		return write_end_text(total, seconds);
	nmt_json_begin_object(j, NULL);
	nmt_json_str(j, "type", "end");
	nmt_json_double(j, "time_s", seconds, 9);
	nmt_json_u64(j, "rx", total->n_rx);
	nmt_json_u64(j, "tx", total->n_tx);
	nmt_json_u64(j, "tx_bytes", total->n_bytes);
	nmt_json_u64(j, "lost", total->n_lost);
	nmt_json_u64(j, "maxq", report->max_queue);
	nmt_json_u64(j, "undelivered_slots", n_undelivered);
	nmt_json_u64(j, "rounds", total->round);
	nmt_json_double(j, "pps", (double)total->n_tx / seconds, 3);
	nmt_json_double(j, "bps", (double)total->n_bytes * 8 / seconds, 3);
	nmt_json_double(j, "plr_nominal", report->sched->loss_nominal, 9);
	nmt_json_double(j, "plr_actual", actual_loss(total), 9);
	write_late(report, total->sum_late_ns, total->n_tx, report->max_late_ns);
	nmt_json_end_object(j);
	return nmt_json_newline(j);
}
