/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a reader may look away.
 *
 * Who waits for the next frame asks the sender for a wake-up, and that costs the sender a system
 * call each time. When frames come fast it is better to look away for a while and look again: about
 * as long as takes a quarter of the ring to fill at the rate seen since the last rest, and 1 ms at
 * most. Who asks and awaits an answer is not made to wait by that: a nap follows only on many
 * frames.
 */
#ifndef UNM_PCAP_PACE_H
#define UNM_PCAP_PACE_H

#include <stdint.h>

#define UNM_PACE_MIN_FRAMES 32u /* since the last rest: fewer may be a question and its answer */
#define UNM_PACE_WINDOW_NS  100000000u /* older frames tell nothing about the rate */
#define UNM_PACE_MIN_NAP_NS 20000u     /* below, it is not worth its system call */
#define UNM_PACE_MAX_NAP_NS 1000000u

struct unm_pace {
	uint64_t since_ns; /* the last rest */
	uint64_t frames;   /* since then */
};

/**
 * unm_pace_nap_ns() - nothing is left to read: for how long to look away
 * @now_ns: of any clock, always the same
 * @n_slots: of the rings
 *
 * What has been counted starts anew. Return: nanoseconds; 0: wait for the next frame instead.
 */
static inline uint32_t
unm_pace_nap_ns(struct unm_pace *p, uint64_t now_ns, uint32_t n_slots)
{
	const uint64_t frames = p->frames, ns = now_ns - p->since_ns;
	uint64_t nap;

	p->frames = 0;
	p->since_ns = now_ns;
	if (frames < UNM_PACE_MIN_FRAMES || ns > UNM_PACE_WINDOW_NS)
		return 0;
	nap = ns * (n_slots / 4) / frames;
	if (nap > UNM_PACE_MAX_NAP_NS)
		return UNM_PACE_MAX_NAP_NS;
	return nap < UNM_PACE_MIN_NAP_NS ? 0 : (uint32_t)nap;
}

#endif
