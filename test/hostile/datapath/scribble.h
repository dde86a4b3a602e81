/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Garbage for shared memory, and a watch on how long calls take.
 *
 * Values are random, or such as look right: small numbers, ring sizes and their neighbours, lock
 * words. The same seed gives the same garbage.
 */
#ifndef HOSTILE_SCRIBBLE_H
#define HOSTILE_SCRIBBLE_H

#include <stddef.h>
#include <stdint.h>

/* Words that may be overwritten. */
struct area {
	void *base; /* 4-byte aligned */
	size_t len;
};

uint32_t scribble_value(uint64_t *seed);
/* Store @n values at random words of random areas, each area as often as any other. */
void scribble(const struct area *areas, uint32_t n_areas, uint32_t n, uint64_t *seed);

/*
 * Processor time of one call into the data path. More than CALL_MAX_NS is taken for a walk whose
 * end a peer decides; a call costs microseconds, with all tables damaged milliseconds. Sleep (for a
 * lock, or because the machine is busy) is bounded by CALL_MAX_SLEEP_NS on top.
 */
struct watch {
	uint64_t cpu_ns, wall_ns;
};

#define CALL_MAX_NS	  UINT64_C(2000000000)
#define CALL_MAX_SLEEP_NS UINT64_C(20000000000)

void watch_start(struct watch *w);
void watch_end(const struct watch *w);

#endif
