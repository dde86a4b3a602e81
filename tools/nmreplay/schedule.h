/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When each packet is to be sent: computed once, before the first one leaves.
 *
 * A round is one pass over the trace. The schedule holds the events of one cycle of one or more
 * rounds, and the cycle is repeated: with nothing random in it every round is the same and one is
 * enough; with random delay or loss a cycle has about NMR_CYCLE_EVENTS drawings, so that a short
 * trace does not lose the same packets each time.
 *
 *	             round 0              round 1              round 2 = cycle 1, round 0
 *	        |--------------------|--------------------|-----------
 *	start --+ 0                  | 1 * length         | 2 * length + due_ns of the event
 *
 * No drift: every time is computed from the beginning of the run, never from the packet before. The
 * length of a round is kept in units of 2^-32 ns, so that even rounds of one small packet stay true
 * to the bandwidth asked for; an event's time within its cycle is off by less than 1 ns.
 *
 * How long a round is: with a bandwidth, what all its bits take; with the capture's own times, the
 * time from the first packet to the last and one average gap, or the last packet of a round and the
 * first of the next would be sent together.
 *
 * Never reordered: an event is not due before the one before it, whatever delay was drawn; it waits
 * for its turn. A lost packet stays in the schedule, marked, since it takes its time on the link.
 *
 * A struct nmr_cursor walks through the events of all rounds. Thread: the schedule is constant
 * after nmr_schedule_build() and may be shared; a cursor belongs to one thread.
 */
#ifndef SCHEDULE_H_
#define SCHEDULE_H_

#include <stdbool.h>
#include <stdint.h>

#include "models.h"
#include "trace.h"

/* Random numbers drawn for a cycle, rounded up to whole rounds: 16 MiB of events. */
#define NMR_CYCLE_EVENTS (UINT32_C(1) << 20)

#define NMR_FOREVER	 UINT64_MAX /* as a number of rounds */

struct nmr_link {
	struct nmr_bw bw;
	struct nmr_delay delay;
	struct nmr_loss loss;
	uint64_t seed;
};

struct nmr_event {
	uint64_t due_ns; /* since the beginning of the cycle */
	uint32_t packet; /* index into the trace */
	bool is_lost;	 /* to be counted, not sent */
};

struct nmr_schedule {
	struct nmr_event *events;	 /* of one cycle, due_ns ascending */
	uint64_t n_events;		 /* n_rounds * n_packets */
	uint32_t n_packets;		 /* of a round */
	uint32_t n_rounds;		 /* of a cycle */
	uint64_t n_total_rounds;	 /* to be played, or NMR_FOREVER */
	unsigned __int128 round_len_q32; /* in 2^-32 ns; 0: all events are due at once */
	double loss_nominal;		 /* mean probability of a packet to be lost */
};

/**
 * nmr_schedule_build() - compute the schedule of a trace on a link
 * @n_rounds:     how often the trace is played, or NMR_FOREVER
 * @memory_limit: bytes that the events may take
 * @sched:        written on success only; the caller ends it with nmr_schedule_free()
 * @err:          receives the reason on failure
 *
 * Return: 0, -EFBIG over @memory_limit, -ENOMEM, -ERANGE a round lasts longer than NMR_TIME_MAX_NS,
 * -EINVAL the capture's own times are asked for more than one round, and are all the same, which
 * says nothing about the distance of rounds.
 */
int nmr_schedule_build(const struct nmr_trace *trace, const struct nmr_link *link,
	uint64_t n_rounds, uint64_t memory_limit, struct nmr_schedule *sched, struct nmt_err *err);

/** nmr_schedule_free() - give the memory back; @sched may be all zeroes */
void nmr_schedule_free(struct nmr_schedule *sched);

/** nmr_round_len_ns() - length of a round, rounded down */
static inline uint64_t
nmr_round_len_ns(const struct nmr_schedule *sched)
{
	return (uint64_t)(sched->round_len_q32 >> 32);
}

/** nmr_round_start_ns() - when a round begins, since the start of the run */
static inline uint64_t
nmr_round_start_ns(const struct nmr_schedule *sched, uint64_t round)
{
	return (uint64_t)(sched->round_len_q32 * round >> 32);
}

struct nmr_cursor {
	const struct nmr_schedule *sched; /* borrowed */
	uint64_t idx;			  /* event within the cycle */
	uint64_t cycle_start_ns;	  /* since the start of the run */
	uint64_t cycle_round;		  /* the first round of the cycle, counted over the run */
	uint64_t n_left;		  /* events still to come */
};

/** nmr_cursor_init() - go to the first event of the first round */
void nmr_cursor_init(struct nmr_cursor *cur, const struct nmr_schedule *sched);

/** nmr_cursor_next_cycle() - private to nmr_cursor_advance() */
void nmr_cursor_next_cycle(struct nmr_cursor *cur);

/** nmr_cursor_at_end() - have all rounds been walked through? */
static inline bool
nmr_cursor_at_end(const struct nmr_cursor *cur)
{
	return cur->n_left == 0;
}

/** nmr_cursor_event() - the event that is next; not at the end */
static inline const struct nmr_event *
nmr_cursor_event(const struct nmr_cursor *cur)
{
	return &cur->sched->events[cur->idx];
}

/** nmr_cursor_due_ns() - when it is due, since the start of the run; not at the end */
static inline uint64_t
nmr_cursor_due_ns(const struct nmr_cursor *cur)
{
	return cur->cycle_start_ns + nmr_cursor_event(cur)->due_ns;
}

/** nmr_cursor_advance() - go to the next event; not at the end */
static inline void
nmr_cursor_advance(struct nmr_cursor *cur)
{
	cur->n_left--;
	if (++cur->idx == cur->sched->n_events)
		nmr_cursor_next_cycle(cur);
}

/**
 * nmr_cursor_round() - the round that the next event belongs to, from 0; at the end: their number
 */
uint64_t nmr_cursor_round(const struct nmr_cursor *cur);

/**
 * nmr_cursor_backlog() - how many events are due at @now_ns (since the start of the run)
 *
 * From the next event on, in this cycle and whole ones behind it. 0 without a bandwidth limit, when
 * everything is due at once and the number says nothing. Cost: a binary search.
 */
uint64_t nmr_cursor_backlog(const struct nmr_cursor *cur, uint64_t now_ns);

#endif /* SCHEDULE_H_ */
