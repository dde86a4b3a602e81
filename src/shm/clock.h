/* SPDX-License-Identifier: BSD-2-Clause */
/* The monotonic clock in nanoseconds. Both answer from the vDSO: no system call. */
#ifndef UNM_SHM_CLOCK_H
#define UNM_SHM_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t
unm_clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Now, to the nanosecond: some 20 ns a call. */
static inline uint64_t
unm_now_ns(void)
{
	return unm_clock_ns(CLOCK_MONOTONIC);
}

/* The same in microseconds, modulo 2^32: only differences mean something. */
static inline uint32_t
unm_now_us(void)
{
	return (uint32_t)(unm_now_ns() / 1000);
}

/* For calls that take one. */
static inline struct timespec
unm_timespec(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

/* From now on, for so long, which is not negative; 100 years are as good as for ever. */
static inline uint64_t
unm_deadline_ns(const struct timespec *timeout)
{
	const uint64_t s = (uint64_t)timeout->tv_sec, most = UINT64_C(3153600000);

	return unm_now_ns() + (s < most ? s : most) * 1000000000u + (uint64_t)timeout->tv_nsec;
}

/* Now, to a scheduler tick (1 ... 10 ms): a few ns a call. */
static inline uint64_t
unm_now_coarse_ns(void)
{
	return unm_clock_ns(CLOCK_MONOTONIC_COARSE);
}

#endif
