/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a traffic program has done so far, in a file that outlives it.
 *
 * The programs are killed at any instruction; the tests must know afterwards what had been handed over by then. So
 * the counters lie in a small shared file, mapped by the program and read by the test (badluck.py has the same list). One
 * writer, the program; every counter is stored once, in the order that its comment promises.
 */
#ifndef BL_STATUS_H
#define BL_STATUS_H

#include <stdint.h>

enum bl_mode {
	BL_STARTING,
	BL_PAUSED,
	BL_RUNNING,
	BL_ENDED,
};

struct bl_status {
	uint64_t mode;	   /* enum bl_mode: the order that is being followed */
	uint64_t filled;   /* frames handed to the tx ring; stored before head moves */
	uint64_t accepted; /* frames that the link has taken over; stored after the sync */
	uint64_t received; /* frames of our stream that were looked at */
	uint64_t missing;  /* numbers that were skipped */
	uint64_t torn;	   /* frames whose length or checksum is wrong */
	uint64_t late;	   /* frames with a number that had been passed already */
	uint64_t foreign;  /* whole frames of other streams */
	uint64_t run;	   /* the sender's life that the last frame came from */
	uint64_t n_runs;   /* how many lives were seen */
	uint64_t first;	   /* number of the first frame of this life */
	uint64_t next;	   /* number expected next */
	uint64_t max_delay_us;
	uint64_t n_delays;    /* frames later than the limit given with -L */
	uint64_t max_call_us; /* longest sync or poll, less the timeout given */
	uint64_t n_errors;    /* calls that failed, or reported POLLERR */
	uint64_t n_idle;      /* polls that timed out */
	uint64_t bad_ring;    /* ring indices or slots that make no sense: passed over */
};

/* Stores of one counter are seen in program order by who reads the file. */
static inline void
bl_set(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

static inline void
bl_add(uint64_t *counter, uint64_t n)
{
	bl_set(counter, *counter + n);
}

static inline void
bl_max(uint64_t *counter, uint64_t value)
{
	if (value > *counter)
		bl_set(counter, value);
}

#endif
