/* SPDX-License-Identifier: BSD-2-Clause */
/* Periodic counters as JSON lines: see lb_stats.h. */
#include "lb_stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "nmt_json.h"
#include "nmt_time.h"

struct lb_stats {
	const struct lb *lb;
	const char *base;
	enum lb_stats_sink sink;
	uint64_t interval_ns;
	uint64_t next_ns;
	uint64_t last_ns;	  /* when the counters below were taken */
	struct lb_counters total; /* at the last report */
	struct lb_counters pipes[];
};

/* What belongs in a line besides its own counters. */
struct line {
	double wall_s;
	double elapsed_s;
	const char *interface;
	struct lb_counters now;
	struct lb_counters before;
};

struct lb_counters
lb_total(const struct lb *lb)
{
	struct lb_counters sum = {.dropped_packets = lb->bad_packets};

	for (uint32_t i = 0; i < lb->n_pipes; i++) {
		const struct lb_counters *c = &lb->pipes[i].counters;

		sum.forwarded_packets += c->forwarded_packets;
		sum.forwarded_bytes += c->forwarded_bytes;
		sum.dropped_packets += c->dropped_packets;
		sum.dropped_bytes += c->dropped_bytes;
	}
	return sum;
}

int
lb_stats_new(const struct lb *lb, const char *base, enum lb_stats_sink sink, unsigned interval_s,
	struct lb_stats **out)
{
	struct lb_stats *st = calloc(1, sizeof(*st) + lb->n_pipes * sizeof(st->pipes[0]));

	if (st == NULL)
		return -ENOMEM;
	st->lb = lb;
	st->base = base;
	st->sink = sink;
	st->interval_ns = interval_s * NMT_NS_PER_S;
	st->last_ns = nmt_now_ns();
	st->next_ns = st->last_ns + st->interval_ns;
	if (sink == LB_STATS_SYSLOG)
		openlog("nm-lb", LOG_PID, LOG_DAEMON);
	*out = st;
	return 0;
}

void
lb_stats_free(struct lb_stats *st)
{
	if (st != NULL && st->sink == LB_STATS_SYSLOG)
		closelog();
	free(st);
}

static double
per_second(uint64_t now, uint64_t before, const struct line *line)
{
	return line->elapsed_s > 0 ? (double)(now - before) / line->elapsed_s : 0;
}

static void
write_rates(struct nmt_json *j, const struct line *line)
{
	const struct lb_counters *now = &line->now, *before = &line->before;

	nmt_json_double(j, "data_forward_rate_Mbps",
		per_second(now->forwarded_bytes, before->forwarded_bytes, line) * 8 / 1e6, 4);
	nmt_json_double(j, "data_drop_rate_Mbps",
		per_second(now->dropped_bytes, before->dropped_bytes, line) * 8 / 1e6, 4);
	nmt_json_double(j, "packet_forward_rate_kpps",
		per_second(now->forwarded_packets, before->forwarded_packets, line) / 1e3, 4);
	nmt_json_double(j, "packet_drop_rate_kpps",
		per_second(now->dropped_packets, before->dropped_packets, line) / 1e3, 4);
}

/* @output_ring: negative for the line of all pipes. */
static void
begin_line(struct nmt_json *j, const struct line *line, int64_t output_ring)
{
	nmt_json_begin_object(j, NULL);
	nmt_json_double(j, "ts", line->wall_s, 6);
	nmt_json_str(j, "interface", line->interface);
	if (output_ring < 0)
		nmt_json_null(j, "output_ring");
	else
		nmt_json_i64(j, "output_ring", output_ring);
}

static void
write_pipe_line(
	struct nmt_json *j, const struct lb_pipe *p, const struct lb_stats *st, struct line *line)
{
	line->interface = p->spec->name;
	line->now = p->counters;
	line->before = st->pipes[p->queue];
	begin_line(j, line, p->id);
	nmt_json_u64(j, "packets_forwarded", line->now.forwarded_packets);
	nmt_json_u64(j, "packets_dropped", line->now.dropped_packets);
	write_rates(j, line);
	nmt_json_u64(j, "overflow_queue_size", lb_overflow_len(st->lb->overflow, p->queue));
	nmt_json_end_object(j);
}

static void
write_total_line(struct nmt_json *j, const struct lb_stats *st, struct line *line)
{
	const struct lb *lb = st->lb;

	line->interface = st->base;
	line->now = lb_total(lb);
	line->before = st->total;
	begin_line(j, line, -1);
	nmt_json_u64(j, "packets_received", lb->received_packets);
	nmt_json_u64(j, "packets_forwarded", line->now.forwarded_packets);
	nmt_json_u64(j, "packets_dropped", line->now.dropped_packets);
	nmt_json_u64(j, "non_ip_packets", lb->non_ip_packets);
	write_rates(j, line);
	nmt_json_u64(j, "free_buffer_slots", lb_overflow_n_free(lb->overflow));
	nmt_json_end_object(j);
}

/* One line, @p NULL: that of all pipes. Return: 0, -ENOMEM, -EIO standard output failed. */
static int
report(const struct lb_stats *st, const struct lb_pipe *p, struct line *line)
{
	struct nmt_json j;
	char *text = NULL;
	size_t size;
	FILE *out;

	out = st->sink == LB_STATS_STDOUT ? stdout : open_memstream(&text, &size);
	if (out == NULL)
		return -ENOMEM;
	nmt_json_init(&j, out);
	if (p != NULL)
		write_pipe_line(&j, p, st, line);
	else
		write_total_line(&j, st, line);
	if (st->sink == LB_STATS_STDOUT)
		return nmt_json_newline(&j);
	if (fclose(out) != 0) {
		free(text);
		return -ENOMEM;
	}
	syslog(LOG_INFO, "%s", text);
	free(text);
	return 0;
}

uint64_t
lb_stats_tick(struct lb_stats *st, uint64_t now_ns)
{
	struct line line;
	int error = 0;

	if (st == NULL)
		return UINT64_MAX;
	if (now_ns < st->next_ns)
		return st->next_ns;
	line.wall_s = (double)nmt_wall_ns() / 1e9;
	line.elapsed_s = (double)(now_ns - st->last_ns) / 1e9;
	for (uint32_t i = 0; i < st->lb->n_pipes && error != -EIO; i++)
		error = report(st, &st->lb->pipes[i], &line);
	if (error != -EIO)
		error = report(st, NULL, &line);
	if (error == -EIO)
		return 0;
	/* Lines that found no memory are missing; the rates of the next ones are right again. */
	for (uint32_t i = 0; i < st->lb->n_pipes; i++)
		st->pipes[i] = st->lb->pipes[i].counters;
	st->total = lb_total(st->lb);
	st->last_ns = now_ns;
	st->next_ns += st->interval_ns;
	if (st->next_ns <= now_ns) /* held up: do not make up for it */
		st->next_ns = now_ns + st->interval_ns;
	return st->next_ns;
}
