/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rate control without drift.
 *
 * A flow of R packets per second is a timetable fixed at the start: packet k is due at
 *
 *	start + k * 10^9 / R     (exact in 128 bits, rounded down once, never summed up)
 *
 * Packets leave in bursts, each at the time its first packet is due. A burst that is late, because
 * the thread woke late or the ring was full, moves no later one: they follow at once until the
 * timetable is reached again. So the mean rate is right whatever happens, and how far single bursts
 * were off is measured: lateness, and the rate between the first and the last burst.
 *
 * Several threads share a rate by interleaving: thread i of n runs at R/n and starts i/R later.
 */
#ifndef PG_PACE_H_
#define PG_PACE_H_

#include <stdbool.h>
#include <stdint.h>

struct pg_pace {
	uint64_t rate_pps;  /* of all threads together; 0: no limit */
	uint32_t n_threads; /* that share it */
	uint64_t start_ns;  /* when packet 0 of this thread is due */

	/* What happened, for the final report. */
	uint64_t n_bursts;
	uint64_t first_ns; /* when the first burst left */
	uint64_t last_ns;  /* when the last burst left */
	uint64_t last_idx; /* its first packet */
	uint64_t late_sum_ns;
	uint64_t late_max_ns;
};

/* What the final report says about a paced flow. */
struct pg_pace_result {
	double asked_pps;
	double measured_pps;
	double error_ppm; /* of the measured rate */
	uint64_t late_mean_ns, late_max_ns;
};

/**
 * pg_pace_burst() - burst to use for a rate: the asked one, but 300 bursts a second at least
 *
 * Return: 1 to @burst. Source: spec section 24.1, option -R.
 */
uint32_t pg_pace_burst(uint64_t rate_pps, uint32_t n_threads, uint32_t burst);

/**
 * pg_pace_init() - set up the timetable of one thread
 * @start_ns: when the first packet of thread 0 is due, monotonic
 */
void pg_pace_init(struct pg_pace *p, uint64_t rate_pps, uint32_t n_threads, uint32_t thread_idx,
	uint64_t start_ns);

/** pg_pace_due_ns() - when packet @idx of this thread is due. The rate must not be 0. */
uint64_t pg_pace_due_ns(const struct pg_pace *p, uint64_t idx);

/** pg_pace_record() - note that the burst beginning with packet @idx leaves at @now_ns */
void pg_pace_record(struct pg_pace *p, uint64_t idx, uint64_t now_ns);

/**
 * pg_pace_wait() - block until packet @idx is due, and note the burst
 *
 * Sleeps, then spins for the last PG_PACE_SPIN_NS. Thread: the owner of @p.
 * Return: 0, or -EINTR when a signal came first (nothing noted).
 */
int pg_pace_wait(struct pg_pace *p, uint64_t idx);

/**
 * pg_pace_result() - sum up the threads that shared a rate
 *
 * Return: false when a thread sent fewer than two bursts, so that there is no rate to tell.
 */
bool pg_pace_result(const struct pg_pace *const *paces, uint32_t n, struct pg_pace_result *out);

#endif /* PG_PACE_H_ */
