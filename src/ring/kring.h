/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Positions in a ring: arithmetic modulo the number of slots, and the ordered accesses to the
 * shared words.
 *
 * Every shared position goes through a check before it is used: a value out of range reads as
 * "nothing moved".
 */
#ifndef UNM_RING_KRING_H
#define UNM_RING_KRING_H

#include <stdint.h>

#include "shm/atomic.h"
#include "shm/segment.h"

static inline uint32_t
unm_pos_next(uint32_t i, uint32_t n)
{
	return i + 1 == n ? 0 : i + 1;
}

static inline uint32_t
unm_pos_prev(uint32_t i, uint32_t n)
{
	return i == 0 ? n - 1 : i - 1;
}

/* Slots from @from up to, not including, @to. Both in [0, n). */
static inline uint32_t
unm_pos_dist(uint32_t from, uint32_t to, uint32_t n)
{
	return to >= from ? to - from : to + n - from;
}

static inline uint32_t
unm_pos_add(uint32_t i, uint32_t k, uint32_t n)
{
	i += k;
	return i >= n ? i - n : i;
}

/*
 * Slot and payload stores made before are seen by who loads @hwtail with unm_kring_load_hwtail().
 */
static inline void
unm_kring_publish_hwtail(struct unm_kring *k, uint32_t pos)
{
	unm_store_release(&k->hwtail, pos);
}

/*
 * Pairs with unm_kring_publish_hwtail(). @fallback: what to believe when the word holds no
 * position.
 */
static inline uint32_t
unm_kring_load_hwtail(const struct unm_kring *k, uint32_t n, uint32_t fallback)
{
	const uint32_t pos = unm_load_acquire(&k->hwtail);

	return pos < n ? pos : fallback;
}

/*
 * The client's reads of the slots given back are over before a deliverer that loads @hwcur
 * overwrites them.
 */
static inline void
unm_kring_publish_hwcur(struct unm_kring *k, uint32_t pos)
{
	unm_store_release(&k->hwcur, pos);
}

/* Pairs with unm_kring_publish_hwcur(). */
static inline uint32_t
unm_kring_load_hwcur(const struct unm_kring *k, uint32_t n, uint32_t fallback)
{
	const uint32_t pos = unm_load_acquire(&k->hwcur);

	return pos < n ? pos : fallback;
}

#endif
