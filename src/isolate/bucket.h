/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket: how much may be done now, of what is limited to a rate. What is taken may be more
 * than there was room for (a frame is not cut in two); the next ones pay for it.
 */
#ifndef UNM_ISOLATE_BUCKET_H
#define UNM_ISOLATE_BUCKET_H

#include <stdint.h>

#define UNM_BUCKET_BURST_MS 10u /* what has not been used for this long is lost */
#define UNM_BUCKET_MIN	    32u /* tokens that fit at least */

struct unm_bucket {
	uint64_t rate; /* tokens a second; 0 = no limit */
	int64_t size, level;
	uint64_t filled_ns;
};

/* Full, with room for @size tokens. */
static inline void
unm_bucket_init_size(struct unm_bucket *b, uint64_t rate, uint32_t size, uint64_t now_ns)
{
	b->rate = rate;
	b->size = size;
	b->level = b->size;
	b->filled_ns = now_ns;
}

static inline void
unm_bucket_init(struct unm_bucket *b, uint64_t rate, uint64_t now_ns)
{
	const uint64_t size = rate * UNM_BUCKET_BURST_MS / 1000u;

	unm_bucket_init_size(
		b, rate, size < UNM_BUCKET_MIN ? UNM_BUCKET_MIN : (uint32_t)size, now_ns);
}

/* Let time pass. @now_ns does not run backwards. */
static inline void
unm_bucket_fill(struct unm_bucket *b, uint64_t now_ns)
{
	const uint64_t ns_a_second = UINT64_C(1000000000);
	uint64_t ns = now_ns - b->filled_ns, n;

	if (b->rate == 0)
		return;
	if (ns > ns_a_second &&
		ns / ns_a_second > (uint64_t)(b->size - b->level) / b->rate) { /* enough for all */
		b->level = b->size;
		b->filled_ns = now_ns;
		return;
	}
	n = ns * b->rate / ns_a_second; /* fits: what is missing and a second's, times 10^9 */
	b->filled_ns += n * ns_a_second / b->rate; /* the rest of the time counts later */
	b->level += (int64_t)n;
	if (b->level > b->size)
		b->level = b->size;
}

/* How many of @wanted may be had now. */
static inline uint32_t
unm_bucket_room(const struct unm_bucket *b, uint32_t wanted)
{
	if (b->rate == 0)
		return wanted;
	if (b->level <= 0)
		return 0;
	return b->level < (int64_t)wanted ? (uint32_t)b->level : wanted;
}

static inline void
unm_bucket_take(struct unm_bucket *b, uint32_t n)
{
	if (b->rate != 0)
		b->level -= n;
}

/* Milliseconds until there is room again; -1: there is room now, and only news can bring work. */
static inline int
unm_bucket_wait_ms(const struct unm_bucket *b)
{
	uint64_t ms;

	if (b->rate == 0 || b->level > 0)
		return -1;
	ms = (uint64_t)(1 - b->level) * 1000u / b->rate + 1;
	return ms < 1000 ? (int)ms : 1000;
}

#endif
