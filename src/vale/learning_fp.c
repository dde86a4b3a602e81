/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The learning switch's decision. See decide.h and fdb.h.
 *
 * Frames come in runs with equal addresses; the last source and destination are remembered within a
 * batch, so that the table is touched once a run. No longer than that: a MAC may move.
 */
#include <time.h>

#include "vale/decide.h"
#include "vale/fdb.h"

#define NO_MAC UINT64_MAX /* not a 48-bit value */

void
unm_decide_tick(struct unm_decide *d)
{
	const uint32_t ageing_s = UNM_READ_ONCE(d->seg->hdr->max_ageing_s);
	uint32_t *swept = &d->seg->hdr->fdb_tick;
	struct timespec ts;
	uint32_t tick;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	tick = (uint32_t)((uint64_t)ts.tv_sec / UNM_FDB_TICK_S);
	d->now = (uint8_t)tick;
	d->ageing = (uint8_t)((ageing_s < UNM_FDB_MAX_AGEING_S ? ageing_s : UNM_FDB_MAX_AGEING_S) /
			      UNM_FDB_TICK_S);
	if (ageing_s != 0 && d->ageing == 0)
		d->ageing = 1;
	if (__builtin_expect(UNM_READ_ONCE(*swept) != tick, 0))
		unm_fdb_sweep(d->seg->fdb, d->seg->n_fdb_buckets, swept, tick, d->ageing);
}

void
unm_decide_learning(struct unm_decide *d, struct unm_frame *frames, unsigned int n)
{
	struct unm_fdb_bucket *fdb = d->seg->fdb;
	const uint32_t n_buckets = d->seg->n_fdb_buckets;
	uint64_t last_src = NO_MAC, last_dst = NO_MAC;
	uint16_t last_port = UNM_DST_FLOOD;
	unsigned int i;

	for (i = 0; i < n; i++) { /* at most UNM_VALE_BATCH */
		const uint8_t *eth = frames[i].eth;
		const uint64_t dst = unm_mac_load(eth);
		const uint64_t src = unm_mac_load(eth + 6);

		if (src != last_src) {
			last_src = src;
			if (!unm_mac_is_group(src) && src != 0)
				unm_fdb_learn(fdb, n_buckets, src, d->src_port, d->now, d->ageing,
					d->may_displace);
		}
		if (dst != last_dst) {
			uint32_t port = UNM_NONE;

			last_dst = dst;
			if (!unm_mac_is_group(dst))
				port = unm_fdb_lookup(fdb, n_buckets, dst, d->now, d->ageing);
			last_port = port < d->seg->n_ports ? (uint16_t)port : UNM_DST_FLOOD;
		}
		frames[i].dst = last_port;
	}
}
