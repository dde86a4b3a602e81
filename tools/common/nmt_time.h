/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time for measuring and pacing: CLOCK_MONOTONIC in nanoseconds, never set back by anybody. The
 * vDSO answers in some 20 ns, so a program may ask once per batch, not once per packet.
 */
#ifndef NMT_TIME_H_
#define NMT_TIME_H_

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NMT_NS_PER_S UINT64_C(1000000000)

/** nmt_now_ns() - monotonic time. Thread: any; does not block. */
static inline uint64_t
nmt_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NMT_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/** nmt_wall_ns() - time of day since the epoch, for what people read. Thread: any. */
static inline uint64_t
nmt_wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NMT_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/**
 * nmt_sleep_until_ns() - sleep until an absolute monotonic time; at once if it has passed
 *
 * Thread: any; blocks. Return: 0, or -EINTR when a signal handler ran, so that a program asked to
 * stop can look at its flag.
 */
int nmt_sleep_until_ns(uint64_t deadline_ns);

/**
 * nmt_set_timer_slack_ns() - how late the kernel may wake the calling thread (default 50 us)
 *
 * Thread: affects the caller only. Return: 0 or negative errno. Source: prctl(2),
 * PR_SET_TIMERSLACK.
 */
int nmt_set_timer_slack_ns(uint64_t slack_ns);

#endif /* NMT_TIME_H_ */
