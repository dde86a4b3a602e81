/* SPDX-License-Identifier: BSD-2-Clause */
/* Learning. See fdb.h for the rules. */
#include "vale/fdb.h"

static inline bool
has_expired(const struct unm_fdb_bucket *b, int way, uint8_t now, uint8_t ageing)
{
	return ageing != 0 && (uint8_t)(now - UNM_READ_ONCE(b->age[way])) >= ageing;
}

/* The way to overwrite in a full bucket, or -1: none. */
static int
choose_victim(const struct unm_fdb_bucket *b, uint32_t port, uint8_t now, bool may_displace)
{
	int oldest = 0, own = -1, n_own = 0;
	int i;

	for (i = 0; i < UNM_FDB_WAYS; i++) {
		const uint8_t age = (uint8_t)(now - UNM_READ_ONCE(b->age[i]));

		if (age > (uint8_t)(now - UNM_READ_ONCE(b->age[oldest])))
			oldest = i;
		if ((UNM_READ_ONCE(b->entry[i]) & 0xffff) == port) {
			n_own++;
			if (own < 0 || age > (uint8_t)(now - UNM_READ_ONCE(b->age[own])))
				own = i;
		}
	}
	return n_own > 1 || !may_displace ? own : oldest;
}

void
unm_fdb_learn(struct unm_fdb_bucket *fdb, uint32_t n_buckets, uint64_t mac, uint32_t port,
	uint8_t now, uint8_t ageing, bool may_displace)
{
	struct unm_fdb_bucket *b = unm_fdb_bucket_of(fdb, n_buckets, mac);
	const uint64_t want = mac << 16 | port;
	int i, room = -1;

	for (i = 0; i < UNM_FDB_WAYS; i++) {
		const uint64_t e = UNM_READ_ONCE(b->entry[i]);

		if (e >> 16 == mac && e != 0) {
			if (e != want) {
				if (!may_displace && !has_expired(b, i, now, ageing))
					return;
				UNM_WRITE_ONCE(b->entry[i], want);
			}
			if (UNM_READ_ONCE(b->age[i]) != now)
				UNM_WRITE_ONCE(b->age[i], now);
			return;
		}
		if (e != 0 && has_expired(b, i, now, ageing))
			UNM_WRITE_ONCE(b->entry[i], 0);
		if (room < 0 && UNM_READ_ONCE(b->entry[i]) == 0)
			room = i;
	}
	if (room < 0)
		room = choose_victim(b, port, now, may_displace);
	if (room < 0)
		return;
	/*
	 * Age first: an entry with a stale age could be taken for expired by a lookup in between.
	 */
	UNM_WRITE_ONCE(b->age[room], now);
	UNM_WRITE_ONCE(b->entry[room], want);
}

/*
 * Each part has been swept within the last 32 ticks, so no age is above 231. After so many more
 * ticks without a sweep ages could pass 255; then they are counted from the last sweep, and no part
 * may wait.
 */
#define SHORT_PAUSE 24u

static void
sweep_bucket(struct unm_fdb_bucket *b, uint32_t last, uint32_t n_ticks, uint8_t ageing)
{
	int i;

	for (i = 0; i < UNM_FDB_WAYS; i++) {
		const uint8_t heard = UNM_READ_ONCE(b->age[i]);
		uint32_t age;

		if (UNM_READ_ONCE(b->entry[i]) == 0)
			continue;
		/*
		 * After a long pause an entry that was made this very moment goes too: it is
		 * learned again.
		 */
		age = n_ticks <= SHORT_PAUSE ? (uint8_t)(last + n_ticks - heard)
					     : (uint8_t)(last - heard) + n_ticks;
		if (age >= ageing)
			UNM_WRITE_ONCE(b->entry[i], 0);
	}
}

void
unm_fdb_sweep(struct unm_fdb_bucket *fdb, uint32_t n_buckets, uint32_t *swept, uint32_t tick,
	uint8_t ageing)
{
	const uint32_t last = UNM_READ_ONCE(*swept);
	const uint32_t n_ticks = tick - last;
	const uint32_t n_parts = n_ticks <= SHORT_PAUSE ? n_ticks : UNM_FDB_SWEEP_PARTS;
	uint32_t part, i;

	if (n_ticks == 0 || !unm_cas(swept, last, tick) || ageing == 0)
		return;
	for (part = 0; part < n_parts; part++)
		for (i = (tick - part) % UNM_FDB_SWEEP_PARTS; i < n_buckets;
			i += UNM_FDB_SWEEP_PARTS)
			sweep_bucket(&fdb[i], last, n_ticks, ageing);
}
