/* SPDX-License-Identifier: BSD-2-Clause */
/* Learning. See fdb.h for the rules. */
#include "vale/fdb.h"

/* The way to overwrite in a full bucket. */
static int
choose_victim(const struct unm_fdb_bucket *b, uint32_t port, uint8_t now)
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
	return n_own > 1 ? own : oldest;
}

void
unm_fdb_learn(struct unm_fdb_bucket *fdb, uint32_t n_buckets, uint64_t mac, uint32_t port, uint8_t now, uint8_t ageing)
{
	struct unm_fdb_bucket *b = unm_fdb_bucket_of(fdb, n_buckets, mac);
	const uint64_t want = mac << 16 | port;
	int i, room = -1;

	for (i = 0; i < UNM_FDB_WAYS; i++) {
		const uint64_t e = UNM_READ_ONCE(b->entry[i]);

		if (e >> 16 == mac && e != 0) {
			if (e != want)
				UNM_WRITE_ONCE(b->entry[i], want);
			if (UNM_READ_ONCE(b->age[i]) != now)
				UNM_WRITE_ONCE(b->age[i], now);
			return;
		}
		if (e != 0 && ageing != 0 && (uint8_t)(now - UNM_READ_ONCE(b->age[i])) >= ageing)
			UNM_WRITE_ONCE(b->entry[i], 0);
		if (room < 0 && UNM_READ_ONCE(b->entry[i]) == 0)
			room = i;
	}
	if (room < 0)
		room = choose_victim(b, port, now);
	/* Age first: an entry with a stale age could be taken for expired by a lookup in between. */
	UNM_WRITE_ONCE(b->age[room], now);
	UNM_WRITE_ONCE(b->entry[room], want);
}
