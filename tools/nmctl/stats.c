/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmctl stats: rates, as the difference of two looks at the counters divided by the time between them.
 *
 * A port is matched with its former self by name, index and time of creation; one that was made meanwhile starts at its next line.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "nmctl.h"
#include "nmt_json.h"

#define NS_PER_S 1e9

struct rates {
	double sent_pps, sent_bps, received_pps, received_bps, missed_pps, dropped_pps;
};

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / NS_PER_S;
}

static struct json_object *
find_before(struct json_object *before, struct json_object *port)
{
	size_t i;

	for (i = 0; i < json_object_array_length(before); i++) {
		struct json_object *p = json_object_array_get_idx(before, i);

		if (strcmp(field_str(p, "name"), field_str(port, "name")) == 0 &&
			field_u64(p, "index") == field_u64(port, "index") &&
			field_u64(p, "created_s") == field_u64(port, "created_s"))
			return p;
	}
	return NULL;
}

/* Counters only grow; a client that scribbles on them gets zeroes. */
static double
rate(uint64_t before, uint64_t now, double seconds)
{
	return now > before ? (double)(now - before) / seconds : 0;
}

static void
compute(struct json_object *a, struct json_object *b, double s, struct rates *r)
{
	r->sent_pps = rate(field_u64(a, "sent"), field_u64(b, "sent"), s);
	r->sent_bps = 8 * rate(field_u64(a, "sent_bytes"), field_u64(b, "sent_bytes"), s);
	r->received_pps = rate(field_u64(a, "received"), field_u64(b, "received"), s);
	r->received_bps =
		8 * rate(field_u64(a, "received_bytes"), field_u64(b, "received_bytes"), s);
	r->missed_pps = rate(field_u64(a, "missed"), field_u64(b, "missed"), s);
	r->dropped_pps = rate(dropped_total(a), dropped_total(b), s);
}

static void
print_line(struct json_object *p, const struct rates *r)
{
	char b[6][16];

	printf("%-24s %9s %9s %9s %9s %9s %9s\n", field_str(p, "name"),
		format_count(b[0], r->sent_pps), format_count(b[1], r->sent_bps),
		format_count(b[2], r->received_pps), format_count(b[3], r->received_bps),
		format_count(b[4], r->missed_pps), format_count(b[5], r->dropped_pps));
}

static void
print_json(struct nmt_json *j, struct json_object *p, const struct rates *r)
{
	nmt_json_begin_object(j, NULL);
	nmt_json_str(j, "name", field_str(p, "name"));
	nmt_json_double(j, "sent_pps", r->sent_pps, 1);
	nmt_json_double(j, "sent_bps", r->sent_bps, 1);
	nmt_json_double(j, "received_pps", r->received_pps, 1);
	nmt_json_double(j, "received_bps", r->received_bps, 1);
	nmt_json_double(j, "missed_pps", r->missed_pps, 1);
	nmt_json_double(j, "dropped_pps", r->dropped_pps, 1);
	nmt_json_end_object(j);
}

/* One table of rates from two looks. Return: 0 or -EIO if nobody reads our output any more. */
static int
print_rates(struct nmctl *n, struct json_object *before, struct json_object *now, double seconds)
{
	struct nmt_json j;
	struct rates r;
	size_t i;

	if (n->json) {
		nmt_json_init(&j, stdout);
		nmt_json_begin_object(&j, NULL);
		nmt_json_double(&j, "seconds", seconds, 6);
		nmt_json_begin_array(&j, "ports");
	} else {
		printf("%-24s %9s %9s %9s %9s %9s %9s\n", "PORT", "TX pps", "TX bit/s", "RX pps",
			"RX bit/s", "missed/s", "dropped/s");
	}
	for (i = 0; i < json_object_array_length(now); i++) {
		struct json_object *p = json_object_array_get_idx(now, i);
		struct json_object *old = find_before(before, p);

		if (old == NULL)
			continue;
		compute(old, p, seconds, &r);
		if (n->json)
			print_json(&j, p, &r);
		else
			print_line(p, &r);
	}
	if (!n->json) {
		printf("\n");
		return fflush(stdout) == 0 ? 0 : -EIO;
	}
	nmt_json_end_array(&j);
	nmt_json_end_object(&j);
	return nmt_json_newline(&j);
}

int
cmd_stats(struct nmctl *n)
{
	const char *words[3] = {"show", "ports", n->n_args > 1 ? n->args[1] : NULL};
	const unsigned int n_words = n->n_args > 1 ? 3 : 2;
	const struct timespec pause = {.tv_sec = (time_t)(n->interval_ns / 1000000000u),
		.tv_nsec = (long)(n->interval_ns % 1000000000u)};
	struct json_object *before, *now;
	double t0, t1;
	uint64_t i;
	int ret = 0;

	if (n->n_args > 2)
		nmt_usage_error(n->cli, "stats: '%s' is one word too many", n->args[2]);
	nmctl_connect(n);
	before = nmctl_ask(n, words, n_words);
	if (n->n_args > 1 && json_object_array_length(field_obj(before, "ports")) == 0)
		nmt_die(n->cli, "stats: there is no port '%s'", n->args[1]);
	t0 = now_s();
	for (i = 0; ret == 0 && (n->count == 0 || i < n->count); i++) { /* until interrupted */
		nanosleep(&pause, NULL);
		now = nmctl_ask(n, words, n_words);
		t1 = now_s();
		ret = print_rates(n, field_obj(before, "ports"), field_obj(now, "ports"), t1 - t0);
		json_object_put(before);
		before = now;
		t0 = t1;
	}
	json_object_put(before);
	return ret == 0 ? 0 : 1;
}
