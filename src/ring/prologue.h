/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks at the start of every sync, and what is done to a ring whose indices are wrong (spec
 * 7.2 - 7.4).
 */
#ifndef UNM_RING_PROLOGUE_H
#define UNM_RING_PROLOGUE_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/kring.h"

struct netmap_ring;

/*
 * Is start <= head <= cur <= tail, going round?
 *
 *      start      head      cur      tail
 *   -----+----------+--------+---------+------   (each may wrap past num_slots)
 *        '-- d(head) <= d(cur) <= d(tail), d(x) = slots from start to x
 */
static inline bool
unm_indices_ok(uint32_t start, uint32_t head, uint32_t cur, uint32_t tail, uint32_t n)
{
	uint32_t d_head, d_cur;

	if (head >= n || cur >= n)
		return false;
	d_head = unm_pos_dist(start, head, n);
	d_cur = unm_pos_dist(start, cur, n);
	return d_head <= d_cur && d_cur <= unm_pos_dist(start, tail, n);
}

/**
 * unm_ring_reinit() - netmap's answer to illegal indices (spec 7.4)
 * @ring:   the application's ring, @n slots
 * @bufs:   number of buffers in its region; @buf_size: their size
 * @hwcur, @hwtail: our positions, both in [0, n)
 *
 * Invalid slots are set to buffer 0, length 0; if any index or slot was out of range, head = cur =
 * @hwcur and tail = @hwtail.
 * Return: true if the indices were reset.
 */
bool unm_ring_reinit(struct netmap_ring *ring, uint32_t n, uint32_t n_bufs, uint32_t buf_size,
	uint32_t hwcur, uint32_t hwtail);

#endif
