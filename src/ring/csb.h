/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The doorbell block of a ring (spec 18.3, 18.4): who stores and loads what in which order.
 *
 *   client                                     loop (kloop.c, isolate/pump_fp.c)
 *     store atok.cur; release; store atok.head   load atok.head; acquire; load atok.cur
 *     full fence                                 sync
 *     ktoa.kern_need_kick? signal the loop       release; store ktoa.hwcur; release; store hwtail
 *                                                full fence
 *     load ktoa.hwtail; acquire; load hwcur      atok.appl_need_kick? signal the client
 *
 *   about to sleep:                            about to sleep:
 *     atok.appl_need_kick = 1; full fence;       ktoa.kern_need_kick = 1; full fence;
 *     load ktoa.hwtail once more                 load atok.head once more
 */
#ifndef UNM_RING_CSB_H
#define UNM_RING_CSB_H

#include <stdint.h>

#include "shm/atomic.h"
#include "shm/isolated.h"

/* What a client has written: to be checked. */
struct unm_csb_view {
	uint32_t head, cur;
};

static inline struct unm_csb_view
unm_csb_read(const struct nm_csb_atok *atok)
{
	struct unm_csb_view v;

	v.head = unm_load_acquire(&atok->head); /* pairs with unm_csb_appl_write() */
	v.cur = UNM_READ_ONCE(atok->cur);
	return v;
}

static inline void
unm_csb_write(struct nm_csb_ktoa *ktoa, uint32_t hwcur, uint32_t hwtail)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	UNM_WRITE_ONCE(ktoa->hwcur, hwcur);
	unm_store_release(&ktoa->hwtail, hwtail); /* pairs with unm_csb_appl_read() */
}

static inline void
unm_csb_appl_write(struct nm_csb_atok *atok, uint32_t cur, uint32_t head)
{
	UNM_WRITE_ONCE(atok->cur, cur);
	unm_store_release(&atok->head, head);
}

/* The position up to which the loop has come. The caller checks it. */
static inline uint32_t
unm_csb_appl_read(const struct nm_csb_ktoa *ktoa)
{
	return unm_load_acquire(&ktoa->hwtail);
}

#endif
