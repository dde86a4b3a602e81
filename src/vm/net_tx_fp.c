/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a guest into the port.
 *
 *   peek a burst of chains        their first lines are on the way into the cache
 *   for each: in one part, with a header that asks for nothing: a slot that points to it
 *             else header and the frame's beginning are copied to a buffer of the port, checked
 *             there; the rest: more slots, that point into the guest (NS_INDIRECT), or copied
 *   ... until the budget or the ring is used up
 *   one txsync
 *   push the chains whose slots the port has taken, flush, call
 *
 * So a usual frame and a long one are copied once, by the sync, into their receiver's buffer. A
 * short one in several parts is copied twice, the second time out of the L1 cache: this is cheaper
 * than a frame of two fragments. What offloads depend on is copied before it is checked, so that it
 * no longer changes; where a header asks for nothing there is nothing to depend on, and the switch
 * sees to it that what it delivers does not either.
 *
 * The sync holds a receiver's lock while it copies. Where the guest's memory must not be used then
 * (unm_net_set_direct()), no slot points there: all of each frame is copied before, to buffers that
 * are still in the cache when the sync copies on.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "shm/atomic.h"
#include "vale/copy.h"
#include "vm/net_hdr.h"
#include "vm/net_priv.h"

/* A place in a chain's parts to read. */
struct reader {
	const struct unm_vq_part *part;
	uint32_t n_parts;
	uint32_t ofs; /* in the first */
};

/* Copy the next @len bytes, which must be there. */
static inline void
read_bytes(struct reader *r, uint8_t *dst, uint32_t len)
{
	while (len > 0) { /* each turn passes a part, or ends */
		const uint32_t left = r->part->len - r->ofs;
		const uint32_t n = left < len ? left : len;

		memcpy(dst, r->part->data + r->ofs, n);
		dst += n;
		len -= n;
		r->ofs += n;
		if (r->ofs == r->part->len) {
			r->part++;
			r->n_parts--;
			r->ofs = 0;
		}
	}
}

/* Slots to be filled; nothing is visible before head is set. */
struct writer {
	struct netmap_ring *ring;
	uint32_t n_bufs;
	uint32_t at;   /* next slot */
	uint32_t room; /* slots from there on */
	uint32_t buf_size;
	bool can_point; /* at the guest's memory */
	/* Slot before the ring's head whose buffer is used next, and how many there are */
	bool has_warm;
	uint32_t warm, n_warm;
};

/*
 * All slots are free, and all frames to be copied. Those sent last have had the buffers that are most
 * likely in the cache: of a ring of 1024 slots of 2 KiB few would be by the time it comes round. So the
 * next ones get these, the oldest first, by exchange (to VALE all buffers are the same), and the others
 * stay unused. NET_WARM slots before the ring's head are given from, as many behind it filled: the two
 * must not meet.
 */
static inline void
keep_warm(struct writer *w)
{
	const uint32_t num = w->ring->num_slots,
		       back = NET_WARM + 1; /* the last one is never free */

	if (w->room + 1 != num || num <= 2 * back)
		return;
	w->has_warm = true;
	w->n_warm = NET_WARM;
	w->warm = w->at >= back ? w->at - back : w->at + num - back;
}

/* May the next frame need more warm buffers than there are left? Then it is better to sync before. */
static inline bool
is_cooling(const struct writer *w)
{
	return w->has_warm && w->n_warm < NETMAP_MAX_FRAGS;
}

/* The buffer of the next slot, to be copied to. NULL: there is none. */
static inline uint8_t *
take_buf(struct writer *w)
{
	struct netmap_slot *slot = &w->ring->slot[w->at];
	uint32_t idx = slot->buf_idx;

	if (w->n_warm > 0) {
		struct netmap_slot *other = &w->ring->slot[w->warm];

		slot->buf_idx = other->buf_idx;
		other->buf_idx = idx;
		idx = slot->buf_idx;
		w->warm = nm_ring_next(w->ring, w->warm);
		w->n_warm--;
	}
	return idx < w->n_bufs ? (uint8_t *)NETMAP_BUF(w->ring, idx) : NULL;
}

static inline void
put_slot(struct writer *w, uint32_t len, uint16_t flags)
{
	struct netmap_slot *slot = &w->ring->slot[w->at];

	slot->len = (uint16_t)len;
	slot->flags = flags;
	w->at = nm_ring_next(w->ring, w->at);
	w->room--;
}

enum put { PUT_DONE, PUT_NO_ROOM, PUT_BAD_FRAME, PUT_BAD_HEADER };

/* The guest's header at @buf becomes that of the port, before a frame of which @n bytes follow. */
static bool
check_header(
	const struct unm_net *n, uint8_t *hdr, const uint8_t *eth, uint32_t n_eth, uint32_t len)
{
	struct unm_vnet_hdr h;

	memcpy(&h, hdr, sizeof(h));
	h.hdr_len = le16toh(h.hdr_len);
	h.gso_size = le16toh(h.gso_size);
	h.csum_start = le16toh(h.csum_start);
	h.csum_offset = le16toh(h.csum_offset);
	if (!net_hdr_check(&h, eth, n_eth, len))
		return false;
	/* Without a header on the port, nothing was offered; a plain frame has an empty one. */
	if (n->port.hdr_len == 0)
		return h.flags == 0 && h.gso_type == 0;
	memcpy(hdr, &h, sizeof(h));
	return true;
}

/* Number of NS_INDIRECT slots for what is left of the chain. */
static uint32_t
count_indirect(const struct reader *r, uint32_t max_len)
{
	uint32_t n = 0, i, ofs = r->ofs;

	for (i = 0; i < r->n_parts; i++, ofs = 0)
		n += (r->part[i].len - ofs + max_len - 1) / max_len;
	return n;
}

static void
put_indirect(struct writer *w, struct reader *r, uint32_t left, uint32_t max_len)
{
	while (left > 0) { /* as many turns as count_indirect() said */
		const uint32_t in_part = r->part->len - r->ofs;
		const uint32_t n = in_part < max_len ? in_part : max_len;

		w->ring->slot[w->at].ptr = (uint64_t)(uintptr_t)(r->part->data + r->ofs);
		left -= n;
		put_slot(w, n, NS_INDIRECT | (left > 0 ? NS_MOREFRAG : 0));
		r->ofs += n;
		if (r->ofs == r->part->len) {
			r->part++;
			r->n_parts--;
			r->ofs = 0;
		}
	}
}

/* Copy the rest of the frame to buffers. Return: false if one can't be had. */
static bool
put_copied(struct writer *w, struct reader *r, uint32_t left)
{
	while (left > 0) { /* as many turns as there are free slots, at most */
		uint8_t *dst = take_buf(w);
		const uint32_t n = left < w->buf_size ? left : w->buf_size;

		if (dst == NULL)
			return false;
		read_bytes(r, dst, n);
		left -= n;
		put_slot(w, n, left > 0 ? NS_MOREFRAG : 0);
	}
	return true;
}

/*
 * A frame that does not fit in one slot, or is too long to be copied twice: @head bytes of it are
 * in the first slot's buffer.
 */
static enum put
put_rest(const struct unm_net *n, struct writer *w, struct reader *r, uint32_t head, uint32_t len)
{
	const uint32_t left = len - head;
	uint32_t slots = (left + w->buf_size - 1) / w->buf_size;
	bool indirect = false;

	if (w->can_point) {
		const uint32_t k = count_indirect(r, w->buf_size);

		indirect = k < NETMAP_MAX_FRAGS;
		slots = indirect ? k : slots;
	}
	if (1 + slots > w->ring->num_slots - 1)
		return PUT_BAD_FRAME;
	if (1 + slots > w->room)
		return PUT_NO_ROOM;
	put_slot(w, n->port.hdr_len + head, NS_MOREFRAG);
	if (indirect)
		put_indirect(w, r, left, w->buf_size);
	else if (!put_copied(w, r, left))
		return PUT_BAD_FRAME;
	return PUT_DONE;
}

/*
 * The usual frame of a usual port: one slot that points to the guest's own header and frame, or has
 * all of it. Return: false if it is another one.
 */
static inline bool
put_usual(const struct unm_net *n, struct writer *w, const struct unm_vq_chain *c)
{
	const uint32_t hdr_len = n->port.hdr_len, len = c->read_len;
	const uint8_t *data;
	uint16_t asked;
	uint8_t *buf;

	if (c->n_read != 1 || c->n_write != 0 || hdr_len != n->hdr_len ||
		len < hdr_len + NET_ETH_LEN || len > w->buf_size || w->room == 0)
		return false;
	data = c->part[0].data;
	memcpy(&asked, data, sizeof(asked));
	if (asked != 0)
		return false;
	if (w->can_point) {
		w->ring->slot[w->at].ptr = (uint64_t)(uintptr_t)data;
		put_slot(w, len, NS_INDIRECT);
		return true;
	}
	buf = take_buf(w);
	if (buf == NULL)
		return false;
	unm_copy_frame(buf, data, len);
	memset(buf, 0, UNM_VNET_HDR_BASE); /* also what was checked, if it has changed */
	if (hdr_len == UNM_VNET_HDR_MAX)
		memset(buf + UNM_VNET_HDR_BASE, 0, UNM_VNET_HDR_MAX - UNM_VNET_HDR_BASE);
	put_slot(w, len, 0);
	return true;
}

static inline enum put
put_frame(const struct unm_net *n, struct writer *w, const struct unm_vq_chain *c)
{
	const uint32_t hdr_len = n->port.hdr_len;
	struct reader r = {.part = c->part, .n_parts = c->n_read};
	uint8_t hdr[NET_HDR_LEN] = {0};
	uint32_t len, head, room;
	uint8_t *buf;

	if (c->read_len < n->hdr_len + NET_ETH_LEN)
		return PUT_BAD_FRAME;
	len = c->read_len - n->hdr_len;
	if (len > NET_MAX_FRAME)
		return PUT_BAD_FRAME;
	if (w->room == 0)
		return PUT_NO_ROOM;
	buf = take_buf(w);
	room = w->buf_size - hdr_len;
	if (buf == NULL)
		return PUT_BAD_FRAME;
	read_bytes(&r, hdr, n->hdr_len);
	head = len;
	if (len > NET_TX_COPY && w->can_point)
		head = NET_TX_HEAD;
	if (head > room)
		head = room;
	read_bytes(&r, buf + hdr_len, head);
	if (__builtin_expect((hdr[0] | hdr[1]) == 0, 1))
		memset(hdr, 0, sizeof(hdr));
	else if (!check_header(n, hdr, buf + hdr_len, head, len))
		return PUT_BAD_HEADER;
	memset(hdr + sizeof(struct unm_vnet_hdr), 0, sizeof(hdr) - sizeof(struct unm_vnet_hdr));
	if (hdr_len > 0)
		memcpy(buf, hdr, hdr_len);
	if (__builtin_expect(head < len, 0))
		return put_rest(n, w, &r, head, len);
	put_slot(w, hdr_len + len, 0);
	return PUT_DONE;
}

static void
count_bad(struct unm_net *n, enum put why)
{
	if (why == PUT_BAD_HEADER)
		n->stats.tx_bad_header++;
	else
		n->stats.tx_bad_frame++;
}

static void
note_sent(struct net_ring *r, const struct unm_vq_chain *c, uint32_t slots)
{
	const uint32_t n = r->tx->num_slots;
	uint32_t i = r->sent_head + r->n_sent;

	i = i < n ? i : i - n;
	r->sent[i] = (struct unm_vq_done){.id = c->id, .n_descs = c->n_descs};
	r->slots[i] = (uint16_t)slots;
	r->n_sent++;
	r->sent_slots += slots;
}

/* Push the chains whose slots the port has taken. */
static void
complete_sent(struct net_ring *r, struct unm_vq *q)
{
	const struct netmap_ring *tx = r->tx;
	const uint32_t n = tx->num_slots;
	const uint32_t tail = UNM_READ_ONCE(tx->tail);
	/* Free are head ... tail - 1; one slot is always left out. */
	const uint32_t free_slots = tail >= tx->head ? tail - tx->head : tail + n - tx->head;
	const uint32_t busy = n - 1 - free_slots;

	if (busy == 0)
		r->sent_slots = 0;
	while (r->n_sent >
		0) { /* a turn each for the ring's end, its start, and slots still busy */
		const uint32_t to_end = n - r->sent_head;
		const uint32_t max = r->n_sent < to_end ? r->n_sent : to_end;
		uint32_t k = busy == 0 ? max : 0;

		for (; k < max; k++) { /* less than num_slots turns */
			const uint32_t slots = r->slots[r->sent_head + k];

			if (r->sent_slots - slots < busy && slots > 0)
				break; /* the last of its slots is still busy */
			r->sent_slots -= slots;
		}
		if (k == 0)
			break;
		unm_vq_push_burst(q, &r->sent[r->sent_head], k);
		r->sent_head = k < to_end ? r->sent_head + k : 0;
		r->n_sent -= k;
	}
}

/*
 * Peek up to @max chains into n->chain[], or until NET_LOOKS descriptors after @start. Return: how
 * many.
 */
static unsigned int
peek_burst(struct unm_net *n, struct unm_vq *q, unsigned int max, uint64_t start)
{
	const uint64_t *looked_at = unm_vq_looked_at(q);
	unsigned int k, used, i;

	used = k = unm_vq_peek_singles(q, n->chain, n->part, max);
	for (i = 0; i < k; i++)
		__builtin_prefetch(n->part[i].data, 0, 3);
	while (k < max && NET_POOL_PARTS - used >= UNM_VQ_MAX_PARTS &&
		*looked_at - start < NET_LOOKS) {
		struct unm_vq_chain *c = &n->chain[k];

		if (unm_vq_peek(q, c, &n->part[used], UNM_VQ_MAX_PARTS) <= 0)
			break;
		if (c->n_read > 0) {
			__builtin_prefetch(c->part[0].data, 0, 3);
			__builtin_prefetch(c->part[0].data + 64, 0, 3);
			if (c->n_read > 1)
				__builtin_prefetch(c->part[1].data, 0, 3);
		}
		used += c->n_read + c->n_write;
		k++;
	}
	return k;
}

/*
 * Put a burst into the ring. Return: chains done with, put or dropped; fewer than @k when there is
 * no more room, or it is better to sync before.
 */
static unsigned int
put_burst(struct unm_net *n, struct net_ring *r, struct writer *w, unsigned int k)
{
	unsigned int i;

	for (i = 0; i < k && r->n_sent < r->tx->num_slots && !is_cooling(w); i++) {
		const struct unm_vq_chain *c = &n->chain[i];
		const struct writer before = *w;
		const enum put put = put_usual(n, w, c) ? PUT_DONE : put_frame(n, w, c);

		if (put == PUT_NO_ROOM)
			break;
		if (__builtin_expect(put != PUT_DONE, 0)) {
			count_bad(n, put);
			*w = before;
		} else {
			n->stats.tx_frames++;
			n->stats.tx_bytes += c->read_len - n->hdr_len;
		}
		/* What was copied is done with, unless it is behind something that was not. */
		note_sent(r, c, n->port.can_indirect ? before.room - w->room : 0);
	}
	return i;
}

/* A queue that is not enabled, a link that is down, a port that has gone: consume and drop. */
static unsigned int
drop_all(struct unm_net *n, struct net_queue *nq)
{
	const uint64_t start = *unm_vq_looked_at(nq->q);
	unsigned int k, i, total = 0;

	do { /* at most NET_BUDGET chains */
		k = peek_burst(n, nq->q, NET_BURST, start);
		for (i = 0; i < k; i++)
			unm_vq_push(nq->q, &n->chain[i], 0);
		total += k;
	} while (k == NET_BURST && total < NET_BUDGET);
	n->stats.tx_disabled += total;
	if (total > 0)
		unm_net_call(nq, unm_vq_flush(nq->q), total);
	return total;
}

unsigned int
unm_net_tx(struct unm_net *n, unsigned int k)
{
	struct net_queue *nq = &n->tx[k];
	struct net_ring *r = &n->port.ring[k];
	const uint64_t start = *unm_vq_looked_at(nq->q);
	struct writer w;
	unsigned int got, done, total = 0, before;
	bool waits = false, moved;
	uint32_t tail;

	if (n->port.lost || !nq->enabled || !n->link_up) {
		if (r->n_sent > 0 || r->tx_blocked)
			unm_net_tx_abandon(n, k);
		return drop_all(n, nq);
	}
	tail = r->tx->tail;
	w = (struct writer){.ring = r->tx,
		.n_bufs = r->n_bufs,
		.at = r->tx->head,
		.room = nm_ring_space(r->tx),
		.buf_size = r->tx->nr_buf_size,
		.can_point = n->port.can_indirect && n->is_direct};
	if (w.buf_size > UINT16_MAX)
		w.buf_size = UINT16_MAX;
	if (n->port.can_indirect && !w.can_point)
		keep_warm(&w);
	do { /* at most NET_BUDGET chains */
		got = peek_burst(n, nq->q, NET_BURST, start);
		done = put_burst(n, r, &w, got);
		total += done;
		waits = got > done && !is_cooling(&w);
		while (got > done)
			unm_vq_unpeek(nq->q, &n->chain[--got]);
	} while (done == NET_BURST && total < NET_BUDGET);
	if (total == 0 && !r->tx_blocked && !waits)
		return 0;
	r->tx->head = w.at;
	/* POLLOUT shall mean more room than what was not enough. */
	r->tx->cur = waits ? tail : w.at;
	unm_net_port_sync(n, r, NIOCTXSYNC);
	before = r->n_sent;
	complete_sent(r, nq->q);
	moved = waits && (r->tx->tail != tail || before > r->n_sent);
	r->tx_blocked = waits || r->n_sent > 0 || nm_ring_empty(r->tx);
	if (r->tx_blocked && !moved)
		r->tx->cur = r->tx->tail;
	if (before > r->n_sent)
		unm_net_call(nq, unm_vq_flush(nq->q), before - r->n_sent);
	/* For what waits there may be room now: another look, as the driver need not kick again. */
	return total > 0 ? total : moved;
}

void
unm_net_tx_abandon(struct unm_net *n, unsigned int k)
{
	struct net_ring *r = &n->port.ring[k];
	uint32_t at, i;

	/* What the port has not taken becomes empty slots, which it skips. */
	at = r->n_sent > 0 ? r->tx->head : 0;
	for (i = 0; i < r->sent_slots && i < r->tx->num_slots; i++) {
		at = at > 0 ? at - 1 : r->tx->num_slots - 1;
		r->tx->slot[at].flags = 0;
		r->tx->slot[at].len = 0;
	}
	r->n_sent = r->sent_slots = 0;
	r->tx_blocked = false;
	if (n->tx[k].q != NULL)
		unm_vq_rewind(n->tx[k].q);
}
