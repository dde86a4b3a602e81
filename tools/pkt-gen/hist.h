/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A histogram of durations from which percentiles can be read.
 *
 * Buckets are log-linear: each power of two is cut into HIST_SUB equal parts, so a value read back
 * is at most 1/HIST_SUB (3 %) above the true one, over the whole range of 64 bits, in 15 KiB and
 * without a division on insertion. Minimum, maximum and mean are exact.
 *
 * One thread adds; others may read what is there after it has ended.
 */
#ifndef PG_HIST_H_
#define PG_HIST_H_

#include <stdint.h>

#define PG_HIST_SUB_BITS  5
#define PG_HIST_SUB	  (1u << PG_HIST_SUB_BITS)
#define PG_HIST_N_BUCKETS ((64 - PG_HIST_SUB_BITS + 1) * PG_HIST_SUB)
#define PG_HIST_N_LOG2	  64

struct pg_hist {
	uint64_t count;
	uint64_t sum;
	uint64_t min; /* UINT64_MAX while empty */
	uint64_t max;
	uint64_t buckets[PG_HIST_N_BUCKETS];
};

/** pg_hist_reset() - make it empty; needed before first use */
void pg_hist_reset(struct pg_hist *h);

/* Index of the bucket that holds @val. Values below HIST_SUB have one each. */
static inline unsigned
pg_hist_bucket(uint64_t val)
{
	unsigned exponent;

	if (val < PG_HIST_SUB)
		return (unsigned)val;
	exponent = 63u - (unsigned)__builtin_clzll(val);
	return (exponent - PG_HIST_SUB_BITS + 1) * PG_HIST_SUB +
	       (unsigned)(val >> (exponent - PG_HIST_SUB_BITS) & (PG_HIST_SUB - 1));
}

static inline void
pg_hist_add(struct pg_hist *h, uint64_t val)
{
	h->count++;
	h->sum += val;
	if (val < h->min)
		h->min = val;
	if (val > h->max)
		h->max = val;
	h->buckets[pg_hist_bucket(val)]++;
}

/** pg_hist_merge() - add everything in @other to @h */
void pg_hist_merge(struct pg_hist *h, const struct pg_hist *other);

/**
 * pg_hist_percentile() - a value that at least @percent of all values do not exceed
 * @percent: above 0, up to 100
 *
 * Return: the upper end of the bucket, at most the maximum; 0 when empty.
 */
uint64_t pg_hist_percentile(const struct pg_hist *h, double percent);

/** pg_hist_mean() - 0 when empty */
uint64_t pg_hist_mean(const struct pg_hist *h);

/**
 * pg_hist_log2() - the same counts in powers of two
 * @counts: counts[k] becomes the number of values v with 2^k <= v < 2^(k+1); 0 counts with 1
 */
void pg_hist_log2(const struct pg_hist *h, uint64_t counts[PG_HIST_N_LOG2]);

#endif /* PG_HIST_H_ */
