/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port of an isolated client: its syncs are doorbells.
 *
 * The process maps its region and its own little segment (shm/isolated.h), nothing else. A txsync
 * tells the broker how far the ring is filled, a rxsync what was given back, and both take over how
 * far the broker has come. Slots are checked and frames are moved over there. Whether the broker
 * sleeps it says itself: only then does a sync cost a system call.
 *
 *   tx ring   last_head  what the broker was told of      tail  what it has freed
 *   rx ring   hwcur      what the broker was told of      tail  what it has delivered
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "port/internal.h"
#include "ring/csb.h"

struct isolated {
	struct nm_csb_atok *atok; /* one for each bound ring, tx then rx */
	struct nm_csb_ktoa *ktoa;
};

/* tx[] and rx[] of a bport are one array, in the order of the CSB. */
static inline size_t
csb_index(const struct unm_bring *r)
{
	return (size_t)(r - r->bp->tx);
}

static inline void
tell_broker(struct unm_bring *r, uint32_t head)
{
	const struct isolated *is = r->bp->kind_data;
	const size_t i = csb_index(r);
	const uint64_t one = 1;

	unm_csb_appl_write(&is->atok[i], head, head);
	unm_full_fence(); /* pairs with the broker's, before its last look */
	if (__builtin_expect(UNM_READ_ONCE(is->ktoa[i].kern_need_kick) == 0, 1))
		return;
	/* EAGAIN means that the counter is full: the broker is as awake as can be. */
	if (write(r->bp->kick_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		unm_count(&r->kring->n_wakes, 1);
}

static inline uint32_t
read_tail(const struct unm_bring *r, uint32_t fallback)
{
	const struct isolated *is = r->bp->kind_data;
	const uint32_t tail = unm_csb_appl_read(&is->ktoa[csb_index(r)]);

	return tail < r->num_slots ? tail : fallback;
}

static int
isolated_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_kring *k = r->kring;
	const uint32_t told = UNM_READ_ONCE(k->last_head);

	if (head != told) {
		UNM_WRITE_ONCE(k->last_head, head);
		unm_count(&k->n_pkts,
			told < r->num_slots ? unm_pos_dist(told, head, r->num_slots) : 0);
		tell_broker(r, head);
	}
	*tail = read_tail(r, unm_pos_prev(head, r->num_slots));
	return 0;
}

static int
isolated_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_kring *k = r->kring;
	const uint32_t told = unm_own_hwcur(r);

	if (head != told) {
		unm_kring_publish_hwcur(k, head);
		unm_count(&k->n_pkts, unm_pos_dist(told, head, r->num_slots));
		tell_broker(r, head);
	}
	*tail = read_tail(r, head);
	return 0;
}

static uint32_t
isolated_tx_done(const struct unm_bring *r)
{
	return UNM_READ_ONCE(r->kring->last_head);
}

static void
isolated_arm_ring(struct unm_bring *r)
{
	const struct isolated *is = r->bp->kind_data;

	unm_exchange(&is->atok[csb_index(r)].appl_need_kick, 1);
}

static int
isolated_open(struct unm_bport *bp)
{
	const struct unm_seg_hdr *h = bp->seg->hdr;
	struct unm_seg_hdr own = {0};
	struct isolated *is;

	unm_seg_layout(&own, UNM_SEG_ISOLATED);
	if (bp->seg->n_krings != own.n_krings || h->type != UNM_SEG_ISOLATED || bp->kick_fd < 0)
		return -EINVAL;
	is = calloc(1, sizeof(*is));
	if (is == NULL)
		return -ENOMEM;
	is->atok = unm_iso_atok(bp->seg->hdr, own.csb_ofs);
	is->ktoa = unm_iso_ktoa(bp->seg->hdr, own.csb_ofs);
	bp->kind_data = is;
	return 0;
}

static void
isolated_close(struct unm_bport *bp)
{
	free(bp->kind_data);
}

const struct unm_port_ops unm_port_isolated_ops = {
	.txsync = isolated_txsync,
	.rxsync = isolated_rxsync,
	.tx_done = isolated_tx_done,
	.open = isolated_open,
	.close = isolated_close,
	.arm_ring = isolated_arm_ring,
};
