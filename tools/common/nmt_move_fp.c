/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving packets between two rings: see nmt_move_fp.h.
 *
 * What a slot says is checked on the private copy that is then used to find the bytes. Copying
 * does not know beforehand how many slots a packet takes, since the other side's buffers may be
 * smaller; if the room ends in the middle, the slots filled so far are simply not published.
 */
#include "nmt_move_fp.h"

#include <string.h>

#include "nmt_slot.h"

enum put_result {
	PUT_DONE,
	PUT_NO_ROOM, /* nothing was changed */
	PUT_BAD,     /* the packet can never be moved */
};

/* Transmit slots being filled. Nothing is visible until head is set. */
struct writer {
	struct netmap_ring *ring;
	uint32_t at;	/* next slot to fill */
	uint32_t room;	/* slots left, from there on */
	uint64_t bytes; /* put into slots */
};

static bool
slot_is_sane(const struct netmap_ring *ring, const struct netmap_slot *slot, uint32_t n_bufs)
{
	const uint64_t off = NETMAP_ROFFSET(ring, slot);

	return slot->buf_idx >= 2 && slot->buf_idx < n_bufs && off <= ring->nr_buf_size &&
	       slot->len <= ring->nr_buf_size - off;
}

static void
advance(struct writer *w)
{
	w->at = nm_ring_next(w->ring, w->at);
	w->room--;
}

/* Copy the bytes of one receive slot into one or more transmit slots. */
static enum put_result
copy_slot(const struct nmt_move *m, struct writer *w, uint32_t from)
{
	const struct netmap_slot rs = m->rx->slot[from];
	const char *src = NETMAP_BUF_OFFSET(m->rx, &rs);
	uint32_t left = rs.len;

	if (!slot_is_sane(m->rx, &rs, m->n_rx_bufs))
		return PUT_BAD;
	do { /* at most as often as there is room */
		struct netmap_slot ts = w->ring->slot[w->at];
		uint32_t space;

		if (w->room == 0)
			return PUT_NO_ROOM;
		ts.len = 0;
		if (!slot_is_sane(w->ring, &ts, m->n_tx_bufs))
			return PUT_BAD;
		space = w->ring->nr_buf_size - (uint32_t)NETMAP_ROFFSET(w->ring, &ts);
		if (space == 0)
			return PUT_BAD;
		ts.len = (uint16_t)(left < space ? left : space);
		memcpy(NETMAP_BUF_OFFSET(w->ring, &ts), src, ts.len);
		src += ts.len;
		left -= ts.len;
		ts.flags = left > 0 ? NS_MOREFRAG : (uint16_t)(rs.flags & NS_MOREFRAG);
		w->ring->slot[w->at] = ts;
		advance(w);
	} while (left > 0);
	w->bytes += rs.len;
	return PUT_DONE;
}

/* The packet of @n_slots slots from @from on, by copying. */
static enum put_result
put_by_copy(const struct nmt_move *m, struct writer *w, uint32_t from, uint32_t n_slots)
{
	const struct writer start = *w;

	for (uint32_t n = 0; n < n_slots; n++) {
		enum put_result result = copy_slot(m, w, from);

		if (result != PUT_DONE) {
			*w = start;
			/* An empty ring has as much room as there will ever be. */
			return start.room < w->ring->num_slots - 1 ? result : PUT_BAD;
		}
		from = nm_ring_next(m->rx, from);
	}
	return PUT_DONE;
}

/* The same by exchanging buffers. */
static enum put_result
put_by_swap(const struct nmt_move *m, struct writer *w, uint32_t from, uint32_t n_slots)
{
	uint64_t bytes = 0;
	uint32_t i = from;

	if (n_slots > w->ring->num_slots - 1)
		return PUT_BAD;
	if (n_slots > w->room)
		return PUT_NO_ROOM;
	for (uint32_t n = 0; n < n_slots; n++) {
		const struct netmap_slot rs = m->rx->slot[i];

		if (!slot_is_sane(m->rx, &rs, m->n_rx_bufs))
			return PUT_BAD;
		bytes += rs.len;
		i = nm_ring_next(m->rx, i);
	}
	for (uint32_t n = 0; n < n_slots; n++) {
		nmt_slot_move(&m->rx->slot[from], &w->ring->slot[w->at]);
		from = nm_ring_next(m->rx, from);
		advance(w);
	}
	w->bytes += bytes;
	return PUT_DONE;
}

static enum put_result
put_packet(struct nmt_move *m, struct writer *w, struct nmt_move_counters *c, uint32_t from,
	uint32_t n_slots)
{
	enum put_result result =
		m->swap ? put_by_swap(m, w, from, n_slots) : put_by_copy(m, w, from, n_slots);

	if (result == PUT_DONE) {
		m->n_packets++;
		c->packets++;
	} else if (result == PUT_BAD) {
		c->dropped++;
	}
	return result;
}

enum nmt_move_end
nmt_move_ring(struct nmt_move *m, struct nmt_move_counters *c)
{
	uint32_t avail = nmt_ring_avail(m->rx);
	const uint32_t room = nmt_ring_avail(m->tx);
	uint32_t from = m->rx->head;
	struct writer w = {.ring = m->tx, .at = m->tx->head, .room = room};
	enum nmt_move_end end = NMT_MOVE_DRAINED;

	m->first_tx = w.at;
	m->n_packets = 0;
	while (avail > 0) { /* shrinks in each round */
		uint32_t n_slots = nmt_packet_slots(m->rx, from, avail);

		if (room - w.room >= m->n_limit) {
			end = NMT_MOVE_LIMIT;
			break;
		}
		if (n_slots == 0 && avail < m->rx->num_slots - 1)
			break; /* unfinished */
		if (n_slots == 0) {
			n_slots = avail; /* fills the ring: its end can never come */
			c->dropped++;
		} else if (put_packet(m, &w, c, from, n_slots) == PUT_NO_ROOM) {
			end = NMT_MOVE_NO_ROOM;
			break;
		}
		from = nmt_ring_skip(m->rx, from, n_slots);
		avail -= n_slots;
	}
	c->bytes += w.bytes;
	m->n_slots = room - w.room;
	m->rx->head = from;
	m->rx->cur = end == NMT_MOVE_DRAINED ? nmt_ring_skip(m->rx, from, avail) : from;
	m->tx->head = w.at;
	m->tx->cur = end == NMT_MOVE_NO_ROOM ? nmt_ring_skip(m->tx, w.at, w.room) : w.at;
	return end;
}
