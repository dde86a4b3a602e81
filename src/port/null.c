/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports without traffic.
 *
 * null (spec 11): a label on a region; syncs do nothing and tails never move.
 * sink: a persistent port (NEWIF) that is on no switch: what is sent goes nowhere, nothing arrives.
 */
#include "port/internal.h"

static int
null_sync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const uint32_t old = UNM_READ_ONCE(r->kring->pub_tail);

	(void)head; /* nothing is taken over, whatever the client says */
	*tail = old < r->num_slots ? old : 0;
	return 0;
}

static uint32_t
own_tx_done(const struct unm_bring *r)
{
	return unm_own_hwcur(r);
}

static uint32_t
null_tx_done(const struct unm_bring *r)
{
	return UNM_READ_ONCE(r->ring->head); /* never anything to flush */
}

static int
sink_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const uint32_t n = unm_pos_dist(unm_own_hwcur(r), head, r->num_slots);

	unm_kring_publish_hwcur(r->kring, head);
	unm_count(&r->kring->drops[UNM_DROP_NO_PORT], n);
	*tail = unm_tx_tail_all_free(r, head);
	return 0;
}

static int
sink_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	unm_kring_publish_hwcur(r->kring, head);
	*tail = unm_kring_load_hwtail(r->kring, r->num_slots, head);
	return 0;
}

const struct unm_port_ops unm_port_null_ops = {
	.txsync = null_sync,
	.rxsync = null_sync,
	.tx_done = null_tx_done,
};

const struct unm_port_ops unm_port_sink_ops = {
	.txsync = sink_txsync,
	.rxsync = sink_rxsync,
	.tx_done = own_tx_done,
};
