/* SPDX-License-Identifier: BSD-2-Clause */
/* One turn of a binding. See turn_fp.h. */
#include "isolate/turn_fp.h"

#include "ring/kring.h"
#include "ring/slot.h"

#define MAX_FRAME_SLOTS 64u /* a frame is not cut in two for as long as it has no more */

/* Is start <= head <= tail, going round? All but @head are our own. */
static inline bool
head_ok(const struct unm_pump_ring *k, uint32_t head)
{
	return head < k->num_slots && unm_pos_dist(k->head, head, k->num_slots) <=
					      unm_pos_dist(k->head, k->tail, k->num_slots);
}

/* At most @max slots (not 0) of those up to @head, but not in the middle of a frame. */
static uint32_t
cut(const struct unm_pump_ring *k, uint32_t head, uint32_t max)
{
	const uint32_t n = k->num_slots;
	uint32_t pos, i;

	if (unm_pos_dist(k->head, head, n) <= max)
		return head;
	pos = unm_pos_add(k->head, max, n);
	for (i = 0; i < MAX_FRAME_SLOTS && pos != head; i++) {
		const struct netmap_slot s =
			unm_slot_load(&k->copy.ring->slot[unm_pos_prev(pos, n)]);

		if (!(s.flags & NS_MOREFRAG))
			break;
		pos = unm_pos_next(pos, n);
	}
	return pos;
}

/* Tell the client how far the ring has come. Return: UNM_TURN_CALL if it sleeps on it. */
static uint32_t
publish(struct unm_pump_ring *k, uint32_t hwcur, uint32_t hwtail)
{
	const bool has_moved = hwtail != k->tail;

	if (!has_moved && hwcur == k->hwcur)
		return 0;
	k->hwcur = hwcur;
	k->tail = hwtail;
	unm_csb_write(k->ktoa, hwcur, hwtail);
	if (!has_moved)
		return 0;
	unm_full_fence(); /* pairs with the client's, before its last look */
	if (__builtin_expect(UNM_READ_ONCE(k->atok->appl_need_kick) == 0, 1))
		return 0;
	unm_exchange(&k->atok->appl_need_kick, 0);
	return UNM_TURN_CALL;
}

static uint32_t
turn_tx(struct unm_pump_binding *b, struct unm_pump_ring *k, uint32_t budget,
	struct unm_bucket *rate)
{
	const struct unm_csb_view v = unm_csb_read(k->atok);
	uint32_t head = k->head, hwcur, hwtail, n_new;

	if (v.head != k->head && head_ok(k, v.head)) {
		const uint32_t room = unm_bucket_room(rate, budget);

		if (room > 0)
			head = cut(k, v.head, room);
		else
			b->is_throttled = true;
	}
	if (head == k->head && !k->is_behind)
		return 0;
	unm_copy_out(k->ring, &k->copy, k->head, head);
	if (unm_bring_sync_at(k->ring, head, head, &hwcur, &hwtail) != 0)
		return 0;
	n_new = unm_pos_dist(k->head, head, k->num_slots);
	unm_bucket_take(rate, n_new);
	k->head = head;
	k->is_behind = hwcur != head || hwtail != unm_pos_prev(head, k->num_slots);
	if (n_new == 0 && hwtail == k->tail)
		return 0;
	return UNM_TURN_MOVED | publish(k, hwcur, hwtail);
}

/* Do frames come into the ring by our own sync, and not by a peer's? */
static inline bool
must_fetch(const struct unm_bring *r)
{
	return r->ops->rx_arrives_here || r->fd >= 0;
}

/*
 * The client gets what has come since @k->tail, as much as a turn may copy.
 * Return: the tail that it may see.
 */
static uint32_t
take_in(const struct unm_pump_ring *k, uint32_t budget, uint32_t head, uint32_t hwtail)
{
	/* head <= @k->tail <= hwtail, going round; else a trusted client has scribbled on it */
	if (unm_pos_dist(head, hwtail, k->num_slots) < unm_pos_dist(head, k->tail, k->num_slots))
		return k->tail;
	if (unm_pos_dist(k->tail, hwtail, k->num_slots) > budget)
		hwtail = unm_pos_add(k->tail, budget, k->num_slots);
	unm_copy_in(k->ring, &k->copy, k->tail, hwtail);
	return hwtail;
}

static uint32_t
turn_rx(struct unm_pump_ring *k, uint32_t budget)
{
	const struct unm_csb_view v = unm_csb_read(k->atok);
	const uint32_t head = head_ok(k, v.head) ? v.head : k->head;
	uint32_t hwcur, hwtail, done;

	if (head == k->head && UNM_READ_ONCE(k->ring->kring->hwtail) == k->tail &&
		!must_fetch(k->ring))
		return 0;
	if (unm_bring_sync_at(k->ring, head, head, &hwcur, &hwtail) != 0)
		return 0;
	hwtail = take_in(k, budget, head, hwtail);
	if (head == k->head && hwtail == k->tail)
		return 0;
	k->head = head;
	done = UNM_TURN_MOVED | publish(k, hwcur, hwtail);
	return unm_pos_dist(head, hwtail, k->num_slots) >= k->num_slots / 2 ? done | UNM_TURN_FULL
									    : done;
}

uint32_t
unm_turn(struct unm_pump_binding *b, struct unm_bucket *rate)
{
	uint32_t budget = 2 * UNM_TURN_SLOTS / (b->n_rings > 2 ? b->n_rings : 2);
	uint32_t done = 0, i;

	if (budget < UNM_TURN_MIN)
		budget = UNM_TURN_MIN;
	b->is_throttled = false;
	for (i = 0; i < b->n_rings; i++) { /* at most UNM_SEG_NKRINGS_ISO */
		struct unm_pump_ring *k = &b->rings[i];

		done |= k->is_rx ? turn_rx(k, budget) : turn_tx(b, k, budget, rate);
	}
	return done;
}

bool
unm_turn_is_behind(const struct unm_pump_binding *b)
{
	uint32_t i;

	for (i = 0; i < b->n_rings; i++)
		if (b->rings[i].is_behind)
			return true;
	return false;
}

void
unm_turn_need_kick(const struct unm_pump_binding *b, bool is_asleep)
{
	uint32_t i;

	for (i = 0; i < b->n_rings; i++) {
		const struct unm_pump_ring *k = &b->rings[i];
		const uint32_t held = k->is_rx ? unm_pos_dist(k->head, k->tail, k->num_slots) : 0;

		UNM_WRITE_ONCE(k->ktoa->kern_need_kick, is_asleep && (!k->is_rx || held > 0));
	}
}
