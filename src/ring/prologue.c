/* SPDX-License-Identifier: BSD-2-Clause */
/* Repair of a ring whose indices are wrong. See prologue.h. */
#include "ring/prologue.h"

#include "ring/slot.h"

bool
unm_ring_reinit(struct netmap_ring *ring, uint32_t n, uint32_t n_bufs, uint32_t buf_size,
	uint32_t hwcur, uint32_t hwtail)
{
	unsigned int errors = 0;
	uint32_t i;

	errors += UNM_READ_ONCE(ring->head) >= n;
	errors += UNM_READ_ONCE(ring->cur) >= n;
	errors += UNM_READ_ONCE(ring->tail) >= n;
	for (i = 0; i < n; i++) { /* bounded by our own copy of num_slots */
		struct netmap_slot *slot = &ring->slot[i];
		const struct netmap_slot s = unm_slot_load(slot);

		if (!unm_buf_idx_ok(s.buf_idx, n_bufs)) {
			/*
			 * index 0 on an unused rx slot of a pipe is how it starts (spec 14.4), not
			 * a fault
			 */
			if (s.buf_idx != 0)
				errors++;
			UNM_WRITE_ONCE(slot->buf_idx, 0);
			UNM_WRITE_ONCE(slot->len, 0);
		} else if (s.len > buf_size) {
			errors++;
			UNM_WRITE_ONCE(slot->len, 0);
		}
	}
	if (errors == 0)
		return false;
	UNM_WRITE_ONCE(ring->head, hwcur);
	UNM_WRITE_ONCE(ring->cur, hwcur);
	unm_store_release(&ring->tail, hwtail);
	return true;
}
