/* SPDX-License-Identifier: BSD-2-Clause */
/* Times by magnitude: 32 classes an octave, so that a figure read from it is 3 % off at most. */
#ifndef TEST_VM_HISTOGRAM_H
#define TEST_VM_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 5u
#define HISTOGRAM_CLASSES  ((64u - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t n, max;
	uint64_t count[HISTOGRAM_CLASSES];
};

static inline unsigned int
histogram_class(uint64_t v)
{
	unsigned int shift;

	if (v < 1u << HISTOGRAM_SUB_BITS)
		return (unsigned int)v;
	shift = 63u - (unsigned int)__builtin_clzll(v) - HISTOGRAM_SUB_BITS;
	return ((shift + 1) << HISTOGRAM_SUB_BITS) +
	       (unsigned int)((v >> shift) & ((1u << HISTOGRAM_SUB_BITS) - 1));
}

static inline void
histogram_add(struct histogram *h, uint64_t v)
{
	h->n++;
	if (v > h->max)
		h->max = v;
	h->count[histogram_class(v)]++;
}

/* The value that @share (0..1) of all are not above; 0 without any. */
static inline uint64_t
histogram_quantile(const struct histogram *h, double share)
{
	const uint64_t rank = (uint64_t)(share * (double)h->n);
	uint64_t below = 0;
	unsigned int i;

	for (i = 0; i < HISTOGRAM_CLASSES; i++) {
		below += h->count[i];
		if (below > rank)
			break;
	}
	if (i == HISTOGRAM_CLASSES)
		return h->max;
	if (i < 1u << HISTOGRAM_SUB_BITS)
		return i;
	return ((1ull << HISTOGRAM_SUB_BITS) + (i & ((1u << HISTOGRAM_SUB_BITS) - 1)))
	       << ((i >> HISTOGRAM_SUB_BITS) - 1);
}

#endif
