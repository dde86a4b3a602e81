/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MAC table of a switch (forwarding data base).
 *
 * Shared by all senders of the switch, without a lock. A bucket is one cache line of 7 entries; an
 * entry is one 64-bit word, MAC << 16 | port, so it is seen whole or not at all. Its age, the clock
 * tick at which it was last heard, is a byte beside it; the two are written one after the other,
 * and a reader that meets them between sees an entry with another's age for a moment: it may expire
 * early or late once, nothing else.
 *
 * Two senders that learn the same MAC at once may fill two ways of the bucket. A lookup takes the
 * first; the next learning of that MAC refreshes the first as well, and the second one ages away.
 *
 * A port number found here is a hint: whoever uses it checks that the port exists.
 *
 * The clock ticks every 2 s and is kept modulo 256, which bounds the ageing time to
 * UNM_FDB_MAX_AGEING_S. An entry nobody touched for a whole turn of the clock would look young
 * again, and send frames for ever to a port that may be closed by now. So the table is swept:
 * whichever sender first meets a new tick clears what has expired in one part of it, or in all of
 * it after a pause.
 *
 *   ageing at most 200 ticks + 32 ticks until each part's turn = 232 < 256: no entry gets old
 *   enough to look young
 */
#ifndef UNM_VALE_FDB_H
#define UNM_VALE_FDB_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "shm/atomic.h"
#include "shm/segment.h"

#define UNM_FDB_TICK_S	     2u
#define UNM_FDB_MAX_AGEING_S 400u
#define UNM_FDB_AGEING_S     300u /* default, as IEEE 802.1D recommends */
#define UNM_FDB_SWEEP_PARTS  32u

/* The MAC at @p as the low 48 bits in memory order. Reads 8 bytes. */
static inline uint64_t
unm_mac_load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return v & UINT64_C(0xffffffffffff);
#else
	return v >> 16;
#endif
}

/* Group bit of the first octet. */
static inline int
unm_mac_is_group(uint64_t mac)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (int)(mac & 1);
#else
	return (int)(mac >> 40 & 1);
#endif
}

static inline struct unm_fdb_bucket *
unm_fdb_bucket_of(struct unm_fdb_bucket *fdb, uint32_t n_buckets, uint64_t mac)
{
	const uint64_t h =
		mac * UINT64_C(0x9e3779b97f4a7c15); /* golden ratio: spreads consecutive MACs */

	return &fdb[(h >> 40) & (n_buckets - 1)];
}

/**
 * unm_fdb_lookup() - the port where @mac was last heard
 * @now:    current tick, low 8 bits
 * @ageing: ticks until an entry expires, 0 = never
 *
 * Return: port index, or UNM_NONE.
 */
static inline uint32_t
unm_fdb_lookup(
	struct unm_fdb_bucket *fdb, uint32_t n_buckets, uint64_t mac, uint8_t now, uint8_t ageing)
{
	const struct unm_fdb_bucket *b = unm_fdb_bucket_of(fdb, n_buckets, mac);
	int i;

	for (i = 0; i < UNM_FDB_WAYS; i++) {
		const uint64_t e = UNM_READ_ONCE(b->entry[i]);

		if (e >> 16 == mac && e != 0) {
			const uint8_t age = (uint8_t)(now - UNM_READ_ONCE(b->age[i]));

			return ageing != 0 && age >= ageing ? UNM_NONE : (uint32_t)(e & 0xffff);
		}
	}
	return UNM_NONE;
}

/**
 * unm_fdb_learn() - @mac was heard on @port
 *
 * Refreshes, moves or inserts. With the bucket full, an expired entry goes first, then the oldest
 * of this same port if it has more than one in the bucket (a port that floods the table with MACs
 * evicts its own), then the oldest of all.
 *
 * @may_displace: else @port gets neither an address that another port has been heard with, until
 * that expires, nor the place of one; nothing is learned then. For senders that nobody trusts
 */
void unm_fdb_learn(struct unm_fdb_bucket *fdb, uint32_t n_buckets, uint64_t mac, uint32_t port,
	uint8_t now, uint8_t ageing, bool may_displace);

/**
 * unm_fdb_sweep() - clear expired entries, if it is time to
 * @swept: word shared by all senders, the tick of the last sweep; the one who moves it on does the
 * work
 * @tick:  now, not yet cut to 8 bits
 *
 * At most n_buckets buckets are looked at, n_buckets / UNM_FDB_SWEEP_PARTS for each tick that has
 * passed.
 */
void unm_fdb_sweep(struct unm_fdb_bucket *fdb, uint32_t n_buckets, uint32_t *swept, uint32_t tick,
	uint8_t ageing);

#endif
