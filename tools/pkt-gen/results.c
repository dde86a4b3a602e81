/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said before the run and after it: see report.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nmt_affinity.h"
#include "nmt_json.h"
#include "nmt_log.h"
#include "nmt_units.h"
#include "report.h"

#define FRAME_LEN_ETH 60 /* shorter ones are padded on a wire */

/* All workers together. */
struct total {
	uint64_t pkts, bytes, events;
	uint64_t n_dropped;
	double seconds; /* from the first packet to the last; 0 when there was at most one batch */
	double pps, bps, raw_bps;
	double avg_batch;
	int error;
	struct pg_hist hist;
};

static const double percentiles[] = {50, 90, 99, 99.9};
#define N_PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

/* Results for people: standard output belongs to the objects when there are any. */
static FILE *
result_stream(const struct pg_options *opt)
{
	return opt->json ? stderr : stdout;
}

static void
log_range(const struct nmt_ip_range *r)
{
	char first[NMT_IP_TEXT_SIZE];
	char last[NMT_IP_TEXT_SIZE];

	nmt_log_at("extract_ip_range", __LINE__, "range is %s:%u to %s:%u",
		nmt_format_ip(first, &r->first), r->port_first, nmt_format_ip(last, &r->last),
		r->port_last);
}

static const char *
verb(const struct pg_options *opt)
{
	return pg_is_sender(opt)     ? "Sending on"
	       : pg_is_receiver(opt) ? "Receiving from"
				     : "Working on";
}

void
pg_report_start(const struct pg_run *run)
{
	const struct pg_options *opt = run->opt;
	char ip[2][NMT_IP_TEXT_SIZE];
	char mac[2][NMT_MAC_TEXT_SIZE];
	uint64_t period_ns = 0;

	nmt_log_at("main", __LINE__, "interface is %s", run->port->id.name);
	nmt_log_at("main", __LINE__, "running on %d cpus (have %d)", opt->n_cpus, nmt_n_cpus());
	log_range(&opt->src_ip);
	log_range(&opt->dst_ip);
	fprintf(result_stream(opt), "%s %s: %u queues, %u threads and %d cpus.\n", verb(opt),
		run->port->id.name, run->port->n_queues, opt->n_threads, opt->n_cpus);
	if (pg_is_sender(opt) && opt->template_file == NULL)
		fprintf(result_stream(opt), "%s -> %s (%s -> %s)\n",
			nmt_format_ip(ip[0], &opt->src_ip.first),
			nmt_format_ip(ip[1], &opt->dst_ip.first),
			nmt_format_mac(mac[0], opt->src_mac.first),
			nmt_format_mac(mac[1], opt->dst_mac.first));
	fflush(result_stream(opt));
	if (opt->rate_pps != 0)
		period_ns = UINT64_C(1000000000) * opt->burst * opt->n_threads / opt->rate_pps;
	if (pg_is_sender(opt) || opt->function == PG_PING)
		nmt_log_at("main", __LINE__,
			"Sending %u packets every  %" PRIu64 ".%09" PRIu64 " s", opt->burst,
			period_ns / 1000000000, period_ns % 1000000000);
}

static void
sum_up(const struct pg_run *run, struct total *t)
{
	uint64_t tic_ns = UINT64_MAX;
	uint64_t toc_ns = 0;
	uint64_t padded;

	memset(t, 0, sizeof(*t));
	pg_hist_reset(&t->hist);
	for (uint32_t i = 0; i < run->opt->n_threads; i++) {
		const struct pg_worker *w = &run->workers[i];

		t->pkts += w->local.pkts;
		t->bytes += w->local.bytes;
		t->events += w->local.events;
		t->n_dropped += w->n_dropped;
		pg_hist_merge(&t->hist, &w->hist);
		if (w->error != 0)
			t->error = w->error;
		if (w->tic_ns != 0 && w->tic_ns < tic_ns)
			tic_ns = w->tic_ns;
		if (w->toc_ns > toc_ns)
			toc_ns = w->toc_ns;
	}
	if (t->events > 0)
		t->avg_batch = (double)t->pkts / (double)t->events;
	if (toc_ns <= tic_ns || t->pkts == 0)
		return;
	t->seconds = (double)(toc_ns - tic_ns) / 1e9;
	t->pps = (double)t->pkts / t->seconds;
	t->bps = (double)t->bytes * 8 / t->seconds;
	padded = t->pkts * FRAME_LEN_ETH > t->bytes ? t->pkts * FRAME_LEN_ETH : t->bytes;
	t->raw_bps = (double)(padded + t->pkts * PG_FRAMING_BYTES) * 8 / t->seconds;
}

static void
print_traffic(const struct pg_run *run, const struct total *t, const char *what)
{
	FILE *out = result_stream(run->opt);
	bool plain = run->opt->plain_numbers;
	char num[3][NMT_NUM_SIZE];

	if (t->pkts == 0) {
		fprintf(out, "%s nothing.\n", what);
		return;
	}
	fprintf(out,
		"%s %" PRIu64 " packets %" PRIu64 " bytes %" PRIu64 " events %" PRIu64
		" bytes each in %.2f seconds.\n",
		what, t->pkts, t->bytes, t->events, t->bytes / t->pkts, t->seconds);
	fprintf(out, "Speed: %spps Bandwidth: %sbps (raw %sbps). Average batch: %.2f pkts\n",
		nmt_format_scaled(num[0], t->pps, plain), nmt_format_scaled(num[1], t->bps, plain),
		nmt_format_scaled(num[2], t->raw_bps, plain), t->avg_batch);
}

static void
print_percentiles(const struct pg_run *run, const struct total *t, const char *what)
{
	FILE *out = result_stream(run->opt);

	if (t->hist.count == 0)
		return;
	fprintf(out, "%s over %" PRIu64 " packets: min %" PRIu64 " av %" PRIu64 " ns\n", what,
		t->hist.count, t->hist.min, pg_hist_mean(&t->hist));
	fprintf(out, "%s percentiles:", what);
	for (size_t i = 0; i < N_PERCENTILES; i++)
		fprintf(out, " p%g %" PRIu64, percentiles[i],
			pg_hist_percentile(&t->hist, percentiles[i]));
	fprintf(out, " max %" PRIu64 " ns\n", t->hist.max);
}

static bool
pace_result(const struct pg_run *run, struct pg_pace_result *out)
{
	const struct pg_pace *paces[PG_THREADS_MAX];

	if (run->opt->rate_pps == 0)
		return false;
	for (uint32_t i = 0; i < run->opt->n_threads; i++)
		paces[i] = &run->workers[i].pace;
	return pg_pace_result(paces, run->opt->n_threads, out);
}

static void
print_pace(const struct pg_run *run)
{
	bool plain = run->opt->plain_numbers;
	struct pg_pace_result r;
	char num[2][NMT_NUM_SIZE];

	if (!pace_result(run, &r))
		return;
	fprintf(result_stream(run->opt),
		"Rate: asked %spps measured %spps error %.3f ppm, bursts late by %.3f us on "
		"average, "
		"%.3f us at most\n",
		nmt_format_scaled(num[0], r.asked_pps, plain),
		nmt_format_scaled(num[1], r.measured_pps, plain), r.error_ppm,
		(double)r.late_mean_ns / 1e3, (double)r.late_max_ns / 1e3);
}

static void
print_seq(const struct pg_run *run)
{
	const struct pg_seq_stats *s = &run->workers[0].seq;

	fprintf(result_stream(run->opt),
		"Sequence: %" PRIu64 " gaps %" PRIu64 " lost %" PRIu64 " late %" PRIu64
		" without number\n",
		s->n_gaps, s->n_lost, s->n_late, s->n_foreign);
}

static void
json_hist(struct nmt_json *j, const char *key, const struct pg_hist *h)
{
	uint64_t log2[PG_HIST_N_LOG2];
	char name[32];

	nmt_json_begin_object(j, key);
	nmt_json_u64(j, "count", h->count);
	if (h->count > 0) {
		nmt_json_u64(j, "min_ns", h->min);
		nmt_json_u64(j, "avg_ns", pg_hist_mean(h));
		for (size_t i = 0; i < N_PERCENTILES; i++) {
			snprintf(name, sizeof(name), "p%g_ns", percentiles[i]);
			nmt_json_u64(j, name, pg_hist_percentile(h, percentiles[i]));
		}
		nmt_json_u64(j, "max_ns", h->max);
	}
	pg_hist_log2(h, log2);
	nmt_json_begin_array(j, "log2");
	for (unsigned k = 0; k < PG_HIST_N_LOG2; k++) {
		if (log2[k] == 0)
			continue;
		nmt_json_begin_object(j, NULL);
		nmt_json_u64(j, "from_ns", k == 0 ? 0 : UINT64_C(1) << k);
		nmt_json_u64(j, "count", log2[k]);
		nmt_json_end_object(j);
	}
	nmt_json_end_array(j);
	nmt_json_end_object(j);
}

static void
json_pace(struct nmt_json *j, const struct pg_run *run)
{
	struct pg_pace_result r;

	if (!pace_result(run, &r))
		return;
	nmt_json_begin_object(j, "rate");
	nmt_json_double(j, "asked_pps", r.asked_pps, 3);
	nmt_json_double(j, "measured_pps", r.measured_pps, 3);
	nmt_json_double(j, "error_ppm", r.error_ppm, 3);
	nmt_json_u64(j, "late_avg_ns", r.late_mean_ns);
	nmt_json_u64(j, "late_max_ns", r.late_max_ns);
	nmt_json_end_object(j);
}

/* What only one function has. */
static void
json_function(struct nmt_json *j, const struct pg_run *run, const struct total *t)
{
	const struct pg_worker *w = &run->workers[0];

	switch (run->opt->function) {
	case PG_PING:
		nmt_json_u64(j, "lost", w->ping.n_lost);
		json_hist(j, "rtt", &t->hist);
		break;
	case PG_PONG:
		nmt_json_u64(j, "dropped", t->n_dropped);
		break;
	case PG_RXSEQ:
		nmt_json_begin_object(j, "sequence");
		nmt_json_u64(j, "gaps", w->seq.n_gaps);
		nmt_json_u64(j, "lost", w->seq.n_lost);
		nmt_json_u64(j, "late", w->seq.n_late);
		nmt_json_u64(j, "without_number", w->seq.n_foreign);
		nmt_json_end_object(j);
		break;
	default:
		break;
	}
	if (pg_is_receiver(run->opt) && (run->opt->data & PG_DATA_STAMP) != 0)
		json_hist(j, "delay", &t->hist);
}

static void
json_final(const struct pg_run *run, const struct total *t)
{
	struct nmt_json j;

	pg_json_begin(&j, run, "final");
	nmt_json_u64(&j, "threads", run->opt->n_threads);
	nmt_json_double(&j, "seconds", t->seconds, 9);
	nmt_json_u64(&j, "packets", t->pkts);
	nmt_json_u64(&j, "bytes", t->bytes);
	nmt_json_u64(&j, "events", t->events);
	nmt_json_double(&j, "pps", t->pps, 3);
	nmt_json_double(&j, "bps", t->bps, 3);
	nmt_json_double(&j, "raw_bps", t->raw_bps, 3);
	nmt_json_double(&j, "avg_batch", t->avg_batch, 2);
	json_pace(&j, run);
	json_function(&j, run, t);
	nmt_json_str(&j, "error", t->error != 0 ? strerror(-t->error) : NULL);
	pg_json_end(&j);
}

int
pg_report_final(const struct pg_run *run)
{
	const struct pg_options *opt = run->opt;
	struct total t;

	sum_up(run, &t);
	if (pg_is_sender(opt))
		print_traffic(run, &t, "Sent");
	else if (pg_is_receiver(opt))
		print_traffic(run, &t, "Received");
	else if (opt->function == PG_PONG)
		fprintf(result_stream(opt), "Answered %" PRIu64 " packets, %" PRIu64 " dropped.\n",
			t.pkts - t.n_dropped, t.n_dropped);
	if (opt->function == PG_RXSEQ)
		print_seq(run);
	if (opt->function == PG_PING) {
		print_percentiles(run, &t, "RTT");
		fprintf(result_stream(opt), "Sent %" PRIu64 " packets, %" PRIu64 " not answered.\n",
			run->workers[0].ping.n_sent, run->workers[0].ping.n_lost);
	} else {
		print_percentiles(run, &t, "Delay");
	}
	print_pace(run);
	fflush(result_stream(opt));
	if (opt->json)
		json_final(run, &t);
	return t.error;
}
