/* SPDX-License-Identifier: BSD-2-Clause */
/* When each packet is to be sent: see schedule.h. */
#include "schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Time from the start of a round, in ns, of a packet that @bits of the round go before. */
static double
start_in_round(const struct nmr_bw *bw, const struct nmr_packet *packet, uint64_t bits)
{
	/* Doubles hold every ns of the first 104 days; nothing is added up. */
	if (bw->kind == NMR_BW_REAL)
		return (double)packet->time_ns / bw->speed;
	return bw->bps > 0 ? (double)bits * 1e9 / bw->bps : 0;
}

/* How long a round lasts, in ns. */
static int
round_len(const struct nmr_trace *trace, const struct nmr_bw *bw, uint64_t n_rounds, double *out,
	struct nmt_err *err)
{
	uint64_t bits = 0;
	double len_ns;

	if (bw->kind != NMR_BW_REAL) {
		for (uint32_t i = 0; i < trace->n_packets; i++)
			bits += nmr_bw_bits(bw, trace->packets[i].len);
		len_ns = bw->bps > 0 ? (double)bits * 1e9 / bw->bps : 0;
	} else if (trace->span_ns > 0) { /* so there are two packets at least */
		len_ns = (double)trace->span_ns / bw->speed;
		len_ns += len_ns / (trace->n_packets - 1);
	} else if (n_rounds != 1) {
		return nmt_err_set(err, -EINVAL,
			"all its packets have the same time, which gives no rate to repeat them "
			"at; give one (-B 10M) or play it once (--loops 1)");
	} else {
		len_ns = 0;
	}
	if (len_ns > (double)NMR_TIME_MAX_NS)
		return nmt_err_set(err, -ERANGE,
			"playing it once would take %.3g years at this rate, longer than the %u "
			"that can be scheduled; give a higher one with -B",
			len_ns / 1e9 / 86400 / 365,
			(unsigned)(NMR_TIME_MAX_NS / 1000000000 / 86400 / 365));
	*out = len_ns;
	return 0;
}

/* How many rounds a cycle has. */
static uint32_t
rounds_of_cycle(const struct nmr_schedule *sched, const struct nmr_link *link)
{
	uint64_t n = 1;
	uint64_t n_fitting;

	if (nmr_delay_is_random(&link->delay) || nmr_loss_is_random(&link->loss))
		n = (NMR_CYCLE_EVENTS + sched->n_packets - 1) / sched->n_packets;
	if (n > sched->n_total_rounds)
		n = sched->n_total_rounds;
	n_fitting = NMR_TIME_MAX_NS / (nmr_round_len_ns(sched) + 1);
	if (n > n_fitting)
		n = n_fitting;
	return n > 0 ? (uint32_t)n : 1;
}

/*
 * Fill in the events of one round. @last_due_ns is that of the event before; returns the new one.
 */
static uint64_t
fill_round(struct nmr_schedule *sched, const struct nmr_trace *trace, const struct nmr_link *link,
	uint32_t round, uint64_t last_due_ns, struct nmr_rng *rng)
{
	struct nmr_event *event = sched->events + (uint64_t)round * sched->n_packets;
	uint64_t start_ns = nmr_round_start_ns(sched, round);
	uint64_t bits = 0;

	for (uint32_t i = 0; i < sched->n_packets; i++, event++) {
		const struct nmr_packet *packet = &trace->packets[i];

		event->packet = i;
		event->due_ns = start_ns + (uint64_t)start_in_round(&link->bw, packet, bits) +
				nmr_delay_draw(&link->delay, rng);
		if (event->due_ns < last_due_ns)
			event->due_ns = last_due_ns;
		last_due_ns = event->due_ns;
		event->is_lost = nmr_loss_draw(&link->loss, packet->len, rng);
		bits += nmr_bw_bits(&link->bw, packet->len);
	}
	return last_due_ns;
}

static double
mean_loss(const struct nmr_trace *trace, const struct nmr_loss *loss)
{
	double sum = 0;

	for (uint32_t i = 0; i < trace->n_packets; i++)
		sum += nmr_loss_probability(loss, trace->packets[i].len);
	return sum / trace->n_packets;
}

int
nmr_schedule_build(const struct nmr_trace *trace, const struct nmr_link *link, uint64_t n_rounds,
	uint64_t memory_limit, struct nmr_schedule *sched, struct nmt_err *err)
{
	struct nmr_schedule building = {
		.n_packets = trace->n_packets,
		.n_total_rounds = n_rounds,
	};
	struct nmr_rng rng;
	uint64_t last_due_ns = 0;
	double len_ns = 0;
	int error;

	error = round_len(trace, &link->bw, n_rounds, &len_ns, err);
	if (error != 0)
		return error;
	building.round_len_q32 = (unsigned __int128)(len_ns * 0x1p32);
	building.n_rounds = rounds_of_cycle(&building, link);
	building.n_events = (uint64_t)building.n_rounds * building.n_packets;
	building.loss_nominal = mean_loss(trace, &link->loss);
	/* Below 2^33 events, so that the product cannot overflow. */
	if (building.n_events * sizeof(*building.events) > memory_limit)
		return nmt_err_set(err, -EFBIG,
			"more than %" PRIu64 " MB of memory needed for the schedule of %" PRIu64
			" packets; raise the limit with --max-memory, or split the file",
			memory_limit / 1000000, building.n_events);
	building.events = malloc(building.n_events * sizeof(*building.events));
	if (building.events == NULL)
		return nmt_err_set(err, -ENOMEM,
			"no memory for the schedule of %" PRIu64 " packets", building.n_events);
	nmr_rng_seed(&rng, link->seed);
	for (uint32_t round = 0; round < building.n_rounds; round++)
		last_due_ns = fill_round(&building, trace, link, round, last_due_ns, &rng);
	*sched = building;
	return 0;
}

void
nmr_schedule_free(struct nmr_schedule *sched)
{
	free(sched->events);
	memset(sched, 0, sizeof(*sched));
}

void
nmr_cursor_init(struct nmr_cursor *cur, const struct nmr_schedule *sched)
{
	*cur = (struct nmr_cursor){.sched = sched, .n_left = UINT64_MAX};
	if (sched->n_total_rounds < UINT64_MAX / sched->n_packets)
		cur->n_left = sched->n_total_rounds * sched->n_packets;
}

void
nmr_cursor_next_cycle(struct nmr_cursor *cur)
{
	cur->idx = 0;
	cur->cycle_round += cur->sched->n_rounds;
	cur->cycle_start_ns = nmr_round_start_ns(cur->sched, cur->cycle_round);
}

uint64_t
nmr_cursor_round(const struct nmr_cursor *cur)
{
	return cur->cycle_round + cur->idx / cur->sched->n_packets;
}

/* How many events of a cycle, from @first on, are due at @now_ns since its beginning. */
static uint64_t
n_due_in_cycle(const struct nmr_schedule *sched, uint64_t first, uint64_t now_ns)
{
	uint64_t low = first;
	uint64_t high = sched->n_events;

	while (low < high) { /* halves the interval: at most 33 rounds */
		uint64_t middle = low + (high - low) / 2;

		if (sched->events[middle].due_ns <= now_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low - first;
}

uint64_t
nmr_cursor_backlog(const struct nmr_cursor *cur, uint64_t now_ns)
{
	const struct nmr_schedule *sched = cur->sched;
	uint64_t cycle_len_ns = nmr_round_start_ns(sched, sched->n_rounds);
	uint64_t n_cycles;
	uint64_t n;

	if (cycle_len_ns == 0 || now_ns < cur->cycle_start_ns || cur->n_left == 0)
		return 0;
	now_ns -= cur->cycle_start_ns;
	n = n_due_in_cycle(sched, cur->idx, now_ns);
	if (now_ns >= cycle_len_ns) {
		n_cycles = now_ns / cycle_len_ns - 1; /* whole ones behind this */
		n += n_cycles * sched->n_events;
		n += n_due_in_cycle(sched, 0, now_ns - (n_cycles + 1) * cycle_len_ns);
	}
	return n < cur->n_left ? n : cur->n_left;
}
