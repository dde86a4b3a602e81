/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Progress: the line per period, ping's lines, and waiting for what ends the run; see report.h.
 *
 * Scripts look for the function names in upstream's lines, main_thread and ping_body, so those
 * names are given to nmt_log_at() here.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "nmt_affinity.h"
#include "nmt_json.h"
#include "nmt_log.h"
#include "nmt_time.h"
#include "nmt_units.h"

#define WINDOW	      15 /* periods that -A looks at */
#define JOIN_RETRY_NS 10000000
#define SILENCE_NS    NMT_NS_PER_S /* -W: end after that, looked at this often: */
#define SILENCE_STEP  (NMT_NS_PER_S / 20)

/* Counters of all workers at one moment. */
struct sample {
	uint64_t time_ns;
	uint64_t pkts, bytes, events;
	uint32_t min_space;
};

/* The rates of the last periods (-A). */
struct window {
	double pps[WINDOW];
	uint32_t n;    /* filled */
	uint32_t next; /* to be overwritten */
};

struct reporter {
	struct pg_run *run;
	struct sample last;
	struct window window;
	uint64_t next_ns; /* when the next line is due */
	uint32_t n_alive;
	uint64_t quiet_pkts;	 /* -W: packets when the silence began ... */
	uint64_t quiet_since_ns; /* ... and when that was */
};

static struct sample
take_sample(const struct pg_run *run)
{
	struct sample s = {.time_ns = nmt_now_ns(), .min_space = PG_NO_SPACE};

	for (uint32_t i = 0; i < run->opt->n_threads; i++) {
		struct pg_counters c = pg_worker_read(&run->workers[i]);
		uint32_t space = (uint32_t)c.period_space;

		s.pkts += c.pkts;
		s.bytes += c.bytes;
		s.events += c.events;
		if (c.period_space >> 32 == pg_period && space < s.min_space)
			s.min_space = space;
	}
	return s;
}

/* Mean and standard deviation of the window. */
static void
window_stats(const struct window *w, double *mean, double *deviation)
{
	double sum = 0;
	double sum_sq = 0;

	for (uint32_t i = 0; i < w->n; i++)
		sum += w->pps[i];
	*mean = sum / w->n;
	for (uint32_t i = 0; i < w->n; i++)
		sum_sq += (w->pps[i] - *mean) * (w->pps[i] - *mean);
	*deviation = sqrt(sum_sq / w->n);
}

static void
window_add(struct window *w, double pps)
{
	w->pps[w->next] = pps;
	w->next = (w->next + 1) % WINDOW;
	if (w->n < WINDOW)
		w->n++;
}

void
pg_json_begin(struct nmt_json *j, const struct pg_run *run, const char *type)
{
	nmt_json_init(j, stdout);
	nmt_json_begin_object(j, NULL);
	nmt_json_str(j, "type", type);
	nmt_json_double(j, "time", (double)nmt_wall_ns() / 1e9, 6);
	nmt_json_str(j, "port", run->port->id.name);
	nmt_json_str(j, "function", pg_function_name(run->opt->function));
}

void
pg_json_end(struct nmt_json *j)
{
	nmt_json_end_object(j);
	if (nmt_json_newline(j) != 0)
		clearerr(stdout); /* nobody is left to be told when standard output is gone */
}

/* One period: @d holds the differences. */
static void
json_period(const struct reporter *r, const struct sample *d, double pps, double bps)
{
	struct nmt_json j;
	double mean;
	double deviation;

	flockfile(stdout); /* the ping worker writes objects too */
	pg_json_begin(&j, r->run, "report");
	nmt_json_u64(&j, "interval_us", d->time_ns / 1000);
	nmt_json_u64(&j, "packets", d->pkts);
	nmt_json_u64(&j, "bytes", d->bytes);
	nmt_json_u64(&j, "events", d->events);
	nmt_json_double(&j, "pps", pps, 3);
	nmt_json_double(&j, "bps", bps, 3);
	nmt_json_double(&j, "avg_batch", d->events ? (double)d->pkts / (double)d->events : 0, 2);
	nmt_json_u64(&j, "min_space", d->min_space);
	if (r->run->opt->window_stats) {
		window_stats(&r->window, &mean, &deviation);
		nmt_json_double(&j, "pps_avg", mean, 3);
		nmt_json_double(&j, "pps_std", deviation, 3);
	}
	pg_json_end(&j);
	funlockfile(stdout);
}

static uint64_t
framing_bytes(const struct pg_options *opt, uint64_t pkts)
{
	return opt->count_framing ? pkts * PG_FRAMING_BYTES : 0;
}

/* "[avg/std A/D pps] ", or nothing. */
static const char *
format_window(const struct reporter *r, char *buf, size_t size)
{
	char num[2][NMT_NUM_SIZE];
	double mean;
	double deviation;

	buf[0] = '\0';
	if (!r->run->opt->window_stats)
		return buf;
	window_stats(&r->window, &mean, &deviation);
	snprintf(buf, size, "[avg/std %s/%spps] ",
		nmt_format_scaled(num[0], mean, r->run->opt->plain_numbers),
		nmt_format_scaled(num[1], deviation, r->run->opt->plain_numbers));
	return buf;
}

void
pg_report_rtt(const struct pg_worker *w, const struct pg_hist *h)
{
	struct pg_run run = {.opt = w->opt, .port = w->port};
	uint64_t log2[PG_HIST_N_LOG2];
	char text[PG_HIST_N_LOG2 * 21 + 1];
	struct nmt_json j;
	unsigned first = 0;
	unsigned last = PG_HIST_N_LOG2 - 1;
	int len = 0;

	pg_hist_log2(h, log2);
	for (; first < last && log2[first] == 0; first++)
		; /* at least one is not zero: the histogram is not empty */
	for (; last > first && log2[last] == 0; last--)
		;
	for (unsigned k = first; k <= last; k++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%5" PRIu64,
			k == first ? "" : " ", log2[k]);
	nmt_log_at("ping_body", __LINE__,
		"count %" PRIu64 " RTT: min %" PRIu64 " av %" PRIu64 " ns", h->count, h->min,
		pg_hist_mean(h));
	nmt_log_at("ping_body", __LINE__, "k: %" PRIu64 " .. %" PRIu64 "\n\t%s",
		UINT64_C(1) << first, UINT64_C(1) << last, text);
	if (!w->opt->json)
		return;
	flockfile(stdout);
	pg_json_begin(&j, &run, "rtt");
	nmt_json_u64(&j, "count", h->count);
	nmt_json_u64(&j, "min_ns", h->min);
	nmt_json_u64(&j, "avg_ns", pg_hist_mean(h));
	nmt_json_u64(&j, "max_ns", h->max);
	pg_json_end(&j);
	funlockfile(stdout);
}

/* Join those workers that have ended, or are just about to. */
static void
join_finished(struct reporter *r)
{
	for (uint32_t i = 0; i < r->run->opt->n_threads; i++) {
		struct pg_worker *w = &r->run->workers[i];

		if (w->is_started && __atomic_load_n(&w->is_finished, __ATOMIC_RELAXED)) {
			pthread_join(w->thread, NULL);
			w->is_started = false;
			r->n_alive--;
		}
	}
}

/*
 * Stop: the workers look at pg_is_stopped() between two waits, so interrupt these. A signal may
 * come just before a worker begins to wait, hence again and again; 10 ms is short for a person.
 */
static void
interrupt_workers(struct reporter *r)
{
	for (uint32_t i = 0; i < r->run->opt->n_threads; i++)
		if (r->run->workers[i].is_started)
			pthread_kill(r->run->workers[i].thread, SIGUSR2);
	r->next_ns = nmt_now_ns() + JOIN_RETRY_NS;
}

/* Wait for the next line's time, the end of a worker, or a request to stop. Return: signal or 0. */
static int
wait_event(const struct reporter *r)
{
	uint64_t now_ns = nmt_now_ns();
	uint64_t left_ns = r->next_ns > now_ns ? r->next_ns - now_ns : 0;
	struct timespec timeout;
	sigset_t set;
	int signo;

	if (r->run->opt->exit_on_silence && left_ns > SILENCE_STEP)
		left_ns = SILENCE_STEP;
	timeout.tv_sec = (time_t)(left_ns / NMT_NS_PER_S);
	timeout.tv_nsec = (long)(left_ns % NMT_NS_PER_S);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	signo = sigtimedwait(&set, NULL, &timeout);
	return signo < 0 ? 0 : signo;
}

/* A period is over: the line about it, and the object. */
static void
report_period(struct reporter *r)
{
	const struct pg_options *opt = r->run->opt;
	struct sample now = take_sample(r->run);
	struct sample d = {
		.time_ns = now.time_ns - r->last.time_ns,
		.pkts = now.pkts - r->last.pkts,
		.bytes = now.bytes - r->last.bytes,
		.events = now.events - r->last.events,
		.min_space = now.min_space,
	};
	double pps = (double)d.pkts * 1e9 / (double)d.time_ns;
	double bps = (double)(d.bytes + framing_bytes(opt, d.pkts)) * 8e9 / (double)d.time_ns;
	char num[3][NMT_NUM_SIZE];
	char window[2 * NMT_NUM_SIZE + 24];

	__atomic_store_n(&pg_period, pg_period + 1, __ATOMIC_RELAXED);
	r->last = now;
	window_add(&r->window, pps);
	nmt_log_at("main_thread", __LINE__,
		"%spps %s(%spkts %sbps in %" PRIu64 " usec) %.2f avg_batch %u min_space",
		nmt_format_scaled(num[0], pps, opt->plain_numbers),
		format_window(r, window, sizeof(window)),
		nmt_format_scaled(num[1], (double)d.pkts, opt->plain_numbers),
		nmt_format_scaled(num[2], bps, opt->plain_numbers), d.time_ns / 1000,
		d.events ? (double)d.pkts / (double)d.events : 0, d.min_space);
	if (opt->json)
		json_period(r, &d, pps, bps);
}

/* -W: has no worker received anything for a second, after the first packet? */
static bool
has_fallen_silent(struct reporter *r)
{
	struct sample s = take_sample(r->run);

	if (s.pkts != r->quiet_pkts) {
		r->quiet_pkts = s.pkts;
		r->quiet_since_ns = s.time_ns;
	}
	return s.pkts != 0 && s.time_ns - r->quiet_since_ns >= SILENCE_NS;
}

void
pg_report_loop(struct pg_run *run)
{
	uint64_t period_ns = run->opt->report_ms * UINT64_C(1000000);
	struct reporter r = {.run = run, .n_alive = run->opt->n_threads};

	r.last = take_sample(run);
	r.next_ns = r.last.time_ns + period_ns;
	while (r.n_alive > 0) { /* until the last worker has ended */
		int signo = wait_event(&r);
		bool is_request = signo == SIGINT || signo == SIGTERM;

		if (is_request && pg_is_stopped())
			nmt_die(pg_cli(), "interrupted again before the workers had ended");
		if (is_request)
			pg_set_stop(true);
		if (run->opt->exit_on_silence && has_fallen_silent(&r))
			pg_set_stop(true);
		join_finished(&r);
		if (r.n_alive > 0 && pg_is_stopped()) {
			interrupt_workers(&r);
		} else if (r.n_alive > 0 && nmt_now_ns() >= r.next_ns) {
			report_period(&r);
			r.next_ns += period_ns;
		}
	}
}
