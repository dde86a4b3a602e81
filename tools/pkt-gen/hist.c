/* SPDX-License-Identifier: BSD-2-Clause */
/* Histogram: see hist.h. */
#include "hist.h"

#include <string.h>

void
pg_hist_reset(struct pg_hist *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

/* Largest value that falls into bucket @i. */
static uint64_t
bucket_last(unsigned i)
{
	unsigned shift;
	uint64_t first;

	if (i < 2 * PG_HIST_SUB)
		return i;
	shift = i / PG_HIST_SUB - 1;
	first = (uint64_t)(PG_HIST_SUB + i % PG_HIST_SUB) << shift;
	return first + ((UINT64_C(1) << shift) - 1);
}

void
pg_hist_merge(struct pg_hist *h, const struct pg_hist *other)
{
	h->count += other->count;
	h->sum += other->sum;
	if (other->min < h->min)
		h->min = other->min;
	if (other->max > h->max)
		h->max = other->max;
	for (unsigned i = 0; i < PG_HIST_N_BUCKETS; i++)
		h->buckets[i] += other->buckets[i];
}

uint64_t
pg_hist_percentile(const struct pg_hist *h, double percent)
{
	double exact_rank = (double)h->count * percent / 100;
	uint64_t rank = (uint64_t)exact_rank;
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	/* The rank is a count of values: round up, but not for the noise of the multiplication. */
	if (exact_rank - (double)rank > 1e-6)
		rank++;
	if (rank < 1)
		rank = 1;
	for (unsigned i = 0; i < PG_HIST_N_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= rank)
			return bucket_last(i) < h->max ? bucket_last(i) : h->max;
	}
	return h->max;
}

uint64_t
pg_hist_mean(const struct pg_hist *h)
{
	return h->count == 0 ? 0 : h->sum / h->count;
}

void
pg_hist_log2(const struct pg_hist *h, uint64_t counts[PG_HIST_N_LOG2])
{
	memset(counts, 0, PG_HIST_N_LOG2 * sizeof(counts[0]));
	for (unsigned i = 0; i < PG_HIST_N_BUCKETS; i++) {
		uint64_t last = bucket_last(i);

		counts[last == 0 ? 0 : 63 - __builtin_clzll(last)] += h->buckets[i];
	}
}
