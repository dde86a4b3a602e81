/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets in netmap slots: where one ends, and handing it to another slot without copying.
 *
 * Slots lie in memory that other processes can write. So each function reads a slot once, and
 * whatever it reads there, it stays within the ring.
 */
#ifndef NMT_SLOT_H_
#define NMT_SLOT_H_

#include <stdint.h>

#include <net/netmap_user.h>

/**
 * nmt_packet_slots() - how many slots the packet takes that starts in slot @first
 * @first: below num_slots
 * @avail: slots from @first on that may be looked at, less than num_slots
 *
 * Thread: the ring's. Return: 1 to @avail; 0 when the last of them still says NS_MOREFRAG, or
 * @avail is 0. Source: spec section 7.6.
 */
static inline uint32_t
nmt_packet_slots(struct netmap_ring *ring, uint32_t first, uint32_t avail)
{
	for (uint32_t n = 1; n <= avail; n++) {
		if ((ring->slot[first].flags & NS_MOREFRAG) == 0)
			return n;
		first = nm_ring_next(ring, first);
	}
	return 0;
}

/** nmt_ring_distance() - slots from @from up to, not including, @to. Both below num_slots. */
static inline uint32_t
nmt_ring_distance(const struct netmap_ring *ring, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + ring->num_slots - from;
}

/**
 * nmt_ring_avail() - as nm_ring_space(), with indices that nobody has checked
 *
 * Thread: the ring's. Return: 0 to num_slots - 1; 0 too when head or tail is impossible.
 */
static inline uint32_t
nmt_ring_avail(const struct netmap_ring *ring)
{
	const uint32_t head = ring->head, tail = ring->tail;

	if (head >= ring->num_slots || tail >= ring->num_slots)
		return 0;
	return nmt_ring_distance(ring, head, tail);
}

/** nmt_ring_skip() - the slot @n slots after slot @i; @n at most num_slots */
static inline uint32_t
nmt_ring_skip(const struct netmap_ring *ring, uint32_t i, uint32_t n)
{
	return n < ring->num_slots - i ? i + n : i + n - ring->num_slots;
}

/**
 * nmt_slot_move() - give @to the packet of @from, and @from the buffer that @to had
 * @from: of the same memory region; keeps its length, which no longer means anything
 * @to:   gets length, NS_MOREFRAG and ptr (where the offset is) of @from; other flags do not travel
 *
 * Thread: the one that owns both slots. Source: spec sections 9 (NS_BUF_CHANGED), 10.3.
 */
static inline void
nmt_slot_move(struct netmap_slot *from, struct netmap_slot *to)
{
	const struct netmap_slot packet = *from;

	from->buf_idx = to->buf_idx;
	from->ptr = to->ptr;
	from->flags = NS_BUF_CHANGED;
	to->buf_idx = packet.buf_idx;
	to->len = packet.len;
	to->ptr = packet.ptr;
	to->flags = (uint16_t)((packet.flags & NS_MOREFRAG) | NS_BUF_CHANGED);
}

#endif /* NMT_SLOT_H_ */
