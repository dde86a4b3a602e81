/* SPDX-License-Identifier: BSD-2-Clause */
/* For who fills somebody else's rx ring: where a slot's payload goes, and how many are free. */
#ifndef UNM_RING_RX_SLOTS_H
#define UNM_RING_RX_SLOTS_H

#include "ring/kring.h"
#include "ring/slot.h"

/* What a slot takes. */
struct unm_rx_limits {
	uint64_t ofs_mask; /* OFFSETS in force */
	uint32_t ofs_max;
	uint32_t cap; /* bytes, at least 1 */
};

static inline struct unm_rx_limits
unm_rx_limits(const struct unm_kring *k, uint32_t buf_size)
{
	struct unm_rx_limits l = {.ofs_mask = UNM_READ_ONCE(k->offset_mask)};

	l.cap = buf_size <= UINT16_MAX ? buf_size : UINT16_MAX; /* slot.len has 16 bits */
	if (__builtin_expect(l.ofs_mask != 0, 0)) {
		const uint32_t gap = UNM_READ_ONCE(k->offset_gap);

		l.ofs_max = UNM_READ_ONCE(k->offset_max);
		if (l.ofs_max > buf_size - 64)
			l.ofs_max = buf_size - 64;
		if (l.cap > buf_size - l.ofs_max)
			l.cap = buf_size - l.ofs_max;
		if (gap != 0 && gap < l.cap)
			l.cap = gap;
	}
	return l;
}

/* Free slots from @pos, the ring's hwtail, on. The ring has @n slots. */
static inline uint32_t
unm_rx_room(const struct unm_kring *k, uint32_t pos, uint32_t n)
{
	const uint32_t hwcur = unm_kring_load_hwcur(k, n, unm_pos_next(pos, n));

	return n - 1 - unm_pos_dist(hwcur, pos, n);
}

/*
 * The buffer of @slot from where its payload begins, or NULL if its client has put nonsense there:
 * what belongs there is then delivered empty.
 */
static inline uint8_t *
unm_rx_buffer(struct netmap_slot *slot, char *bufs, uint32_t n_bufs, uint32_t buf_size,
	const struct unm_rx_limits *l)
{
	const uint32_t idx = UNM_READ_ONCE(slot->buf_idx);
	uint64_t ofs = 0;

	if (!unm_buf_idx_ok(idx, n_bufs))
		return NULL;
	if (__builtin_expect(l->ofs_mask != 0, 0)) {
		const uint64_t ptr = UNM_READ_ONCE(slot->ptr);

		ofs = ptr & l->ofs_mask;
		if (ofs > l->ofs_max) {
			ofs = l->ofs_max;
			/* where the frame really is (spec 10.6) */
			UNM_WRITE_ONCE(slot->ptr, (ptr & ~l->ofs_mask) | ofs);
		}
	}
	return (uint8_t *)bufs + (size_t)idx * buf_size + ofs;
}

#endif
