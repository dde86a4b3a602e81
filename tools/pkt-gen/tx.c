/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tx and txseq: fill slots, sync, and wait when there is no room.
 *
 * Fast path. Frames are usually all the same, so the work per packet is to make sure that the slot
 * still says what it said when it was last sent: one 8-byte compare of (buf_idx, len, flags) with a
 * private copy, r->known[]. When they are equal nothing is written, neither slot nor buffer: the
 * buffer has come back to the slot that it was sent from and holds what we put there, and no cache
 * line has to move. Otherwise (first round, another buffer because the other end of a pipe swapped
 * it, NS_BUF_CHANGED set by a monitor) refill_slot() looks: the same buffer needs only the slot's
 * fields again; of another one the contents are compared with the template, and copied when they
 * differ, since whoever had it in between may have written to it. A peer that changes a buffer in
 * place and returns it in the same slot gets its change back; upstream's pkt-gen behaves likewise.
 *
 * Everything else (frames that differ, fragments, indirect buffers, -o) goes through
 * fill_general(), packet by packet.
 *
 * Each burst is synced when it has been written, so a packet never waits for the next burst; poll
 * is called only when no slot is free.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_log.h"
#include "nmt_time.h"
#include "pcap_io.h"
#include "worker.h"

#define PREFETCH_SLOTS	    4 /* -o 1: how far ahead buffers are fetched */
#define FULL_QUEUE_SLEEP_NS 100000

/* The first eight bytes of a slot as one word; whatever the byte order, only equality counts. */
static inline uint64_t
slot_word(const struct netmap_slot *slot)
{
	uint64_t word;

	_Static_assert(offsetof(struct netmap_slot, ptr) == sizeof(word), "index, length, flags");
	memcpy(&word, slot, sizeof(word));
	return word;
}

static inline uint32_t
known_buf_idx(const struct pg_tx_ring *r, uint32_t i)
{
	struct netmap_slot slot;

	memcpy(&slot, &r->known[i], sizeof(r->known[i]));
	return slot.buf_idx;
}

/* Whether the buffer in slot @i is the one that we filled when we last sent from there. */
static inline bool
is_own_buffer(const struct pg_tx_ring *r, uint32_t i)
{
	const struct netmap_slot *slot = &r->ring->slot[i];

	return slot->buf_idx == known_buf_idx(r, i) && (slot->flags & NS_BUF_CHANGED) == 0;
}

/* Make slot @i hold the template, and remember what it looks like. */
static void __attribute__((noinline))
refill_slot(struct pg_worker *w, struct pg_tx_ring *r, uint32_t i)
{
	struct netmap_slot *slot = &r->ring->slot[i];
	const struct pg_template *t = w->tmpl;
	struct pg_buf buf = pg_slot_buf(w, r->ring, slot);
	uint32_t len = t->len < buf.room ? t->len : buf.room;

	if ((w->opt->data & PG_DATA_RUBBISH) == 0 && !is_own_buffer(r, i) &&
		memcmp(buf.data, t->data, len) != 0)
		nm_pkt_copy(t->data, buf.data, (int)len);
	slot->len = (uint16_t)len;
	slot->flags = 0;
	r->known[i] = slot_word(slot);
}

/* Fast path: @n slots from @first on, without wrapping. */
static inline void
fill_span(struct pg_worker *w, struct pg_tx_ring *r, uint32_t first, uint32_t n)
{
	const struct netmap_slot *slot = &r->ring->slot[first];
	const uint64_t *known = &r->known[first];

	for (uint32_t i = 0; i < n; i++) /* at most one ring */
		if (unlikely(slot_word(&slot[i]) != known[i]))
			refill_slot(w, r, first + i);
}

/* Fast path: @n packets from ring->head on. Return: the slot after the last. */
static uint32_t
fill_plain(struct pg_worker *w, struct pg_tx_ring *r, uint32_t n)
{
	uint32_t head = r->ring->head;
	uint32_t until_wrap = r->ring->num_slots - head;

	if (n < until_wrap) {
		fill_span(w, r, head, n);
		return head + n;
	}
	fill_span(w, r, head, until_wrap);
	fill_span(w, r, 0, n - until_wrap);
	return n - until_wrap;
}

/* Write the frame in w->scratch to @n_frags slots. Return: the slot after the last. */
static uint32_t
put_fragments(struct pg_worker *w, struct pg_tx_ring *r, uint32_t i, uint32_t len)
{
	uint32_t done = 0;

	for (uint32_t k = 0; k < w->opt->n_frags; k++) {
		struct netmap_slot *slot = &r->ring->slot[i];
		bool is_last = k + 1 == w->opt->n_frags;
		uint32_t part = is_last ? len - done : w->opt->frag_len;
		struct pg_buf buf = pg_slot_buf(w, r->ring, slot);

		if (part > buf.room)
			part = buf.room;
		nm_pkt_copy(w->scratch + done, buf.data, (int)part);
		slot->len = (uint16_t)part;
		slot->flags = is_last ? 0 : NS_MOREFRAG;
		done += part;
		i = nm_ring_next(r->ring, i);
	}
	return i;
}

/* Put one frame of @len bytes, its head in @head, into the buffer of slot @i. */
static void
put_frame(struct pg_worker *w, struct pg_tx_ring *r, uint32_t i, const uint8_t *head, uint32_t len)
{
	const struct pg_template *t = w->tmpl;
	struct netmap_slot *slot = &r->ring->slot[i];
	struct pg_buf buf = pg_slot_buf(w, r->ring, slot);
	unsigned data = w->opt->data;
	uint32_t head_len;

	if (len > buf.room)
		len = buf.room;
	head_len = len < t->head_len ? len : t->head_len;
	if ((data & PG_DATA_MEMCPY) != 0) {
		memcpy(w->scratch, head, head_len);
		memcpy(buf.data, w->scratch, len);
	} else if ((data & PG_DATA_COPY) != 0) {
		memcpy(w->scratch, head, head_len);
		nm_pkt_copy(w->scratch, buf.data, (int)len);
	} else {
		if (!is_own_buffer(r, i)) /* whatever length comes next, the payload is there */
			nm_pkt_copy(
				t->data, buf.data, (int)(t->len < buf.room ? t->len : buf.room));
		memcpy(buf.data, head, head_len);
	}
	slot->len = (uint16_t)len;
	slot->flags = 0;
	r->known[i] = slot_word(slot);
}

static void
put_indirect(struct pg_worker *w, struct netmap_slot *slot)
{
	slot->ptr = (uint64_t)(uintptr_t)w->tmpl->data;
	slot->len = (uint16_t)w->tmpl->len;
	slot->flags = NS_INDIRECT;
}

/* -o 1, 2 and 64 on the slot that has been written. */
static void
touch_slot(struct pg_worker *w, struct pg_tx_ring *r, uint32_t i)
{
	const struct netmap_slot *slot = &r->ring->slot[i];
	unsigned data = w->opt->data;

	if ((data & PG_DATA_PREFETCH) != 0) {
		uint32_t ahead = nmt_ring_skip(r->ring, i, PREFETCH_SLOTS);

		__builtin_prefetch(pg_slot_buf(w, r->ring, &r->ring->slot[ahead]).data, 1);
	}
	if ((data & PG_DATA_ACCESS) != 0)
		w->access_sum += pg_slot_buf(w, r->ring, slot).data[0];
	if ((data & PG_DATA_DUMP) != 0) {
		const uint8_t *frame = (slot->flags & NS_INDIRECT) != 0
					       ? w->tmpl->data
					       : pg_slot_buf(w, r->ring, slot).data;

		pg_dump(frame, slot->len, i);
	}
}

/*
 * General path: @n packets from ring->head on. *bytes counts them without virtio header.
 * Return: the slot after the last.
 */
static uint32_t
fill_general(struct pg_worker *w, struct pg_tx_ring *r, uint32_t n, uint64_t *bytes)
{
	const struct pg_options *opt = w->opt;
	const struct pg_template *t = w->tmpl;
	bool is_varied = t->payload_sums != NULL;
	const uint8_t *head = is_varied ? w->vary.head : t->data;
	uint64_t stamp_ns = w->vary.has_stamp ? nmt_now_ns() : 0;
	uint32_t i = r->ring->head;

	for (uint32_t k = 0; k < n; k++) { /* at most one burst */
		uint32_t len = is_varied ? pg_vary_next(&w->vary, stamp_ns) : t->len;
		uint32_t first = i;

		if (opt->n_frags > 1) {
			memcpy(w->scratch, head, len < t->head_len ? len : t->head_len);
			i = put_fragments(w, r, i, len);
		} else {
			if ((opt->data & PG_DATA_INDIRECT) != 0)
				put_indirect(w, &r->ring->slot[i]);
			else if ((opt->data & PG_DATA_RUBBISH) != 0)
				refill_slot(w, r, i);
			else
				put_frame(w, r, i, head, len);
			i = nm_ring_next(r->ring, i);
		}
		touch_slot(w, r, first);
		*bytes += len - t->vnet_len;
	}
	return i;
}

/* Whether every slot looks alike, so that the fast path will do. */
static bool
is_plain(const struct pg_worker *w, const struct pg_tx_ring *r)
{
	return w->tmpl->payload_sums == NULL && w->opt->n_frags == 1 &&
	       (w->opt->data & ~(unsigned)PG_DATA_RUBBISH) == 0 && r->ring->offset_mask == 0;
}

/* Write at most @quota packets into one ring. Return: how many. */
static uint32_t
fill_ring(struct pg_worker *w, struct pg_tx_ring *r, uint32_t quota)
{
	uint32_t space = nmt_ring_avail(r->ring);
	uint32_t n = space / w->opt->n_frags;
	uint64_t bytes = 0;
	uint32_t head;
	uint32_t last;

	pg_worker_note_space(w, space);
	if (n > quota)
		n = quota;
	if (n == 0)
		return 0;
	if (is_plain(w, r)) {
		head = fill_plain(w, r, n);
		bytes = (uint64_t)n * (w->tmpl->len - w->tmpl->vnet_len);
	} else {
		head = fill_general(w, r, n, &bytes);
	}
	last = head == 0 ? r->ring->num_slots - 1 : head - 1;
	r->ring->slot[last].flags |= NS_REPORT;
	r->ring->head = r->ring->cur = head;
	w->local.pkts += n;
	w->local.bytes += bytes;
	w->local.events++;
	return n;
}

/* Write at most @quota packets, going round the rings. Return: how many. */
static uint32_t
fill_rings(struct pg_worker *w, uint32_t quota)
{
	uint32_t n_rings = w->opt->function == PG_TXSEQ ? 1 : w->n_tx_rings;
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_rings && n < quota; i++)
		n += fill_ring(w, &w->tx_rings[i], quota - n);
	return n;
}

/* Wait for room. False: give up. */
static bool
wait_for_room(struct pg_worker *w)
{
	int n = pg_wait_ring(w, POLLOUT, PG_POLL_TX_MS);

	if (n > 0 || n == -EINTR)
		return true;
	if (n == 0) {
		nmt_log_at("sender_body", __LINE__, "poll error on queue %u: timeout", w->idx);
		return true;
	}
	nmt_log_at("sender_body", __LINE__, "poll error on queue %u: %s", w->idx, strerror(-n));
	w->error = n;
	return false;
}

/* Send one burst of at most @quota packets. Return: packets sent, or negative errno. */
static int
send_netmap(struct pg_worker *w, uint32_t quota)
{
	uint32_t n = fill_rings(w, quota);
	int error;

	if (n == 0)
		return wait_for_room(w) ? 0 : w->error;
	error = pg_sync_tx(w);
	if (error != 0) {
		nmt_log_at("sender_body", __LINE__, "sync error on queue %u: %s", w->idx,
			strerror(-error));
		return error;
	}
	return (int)n;
}

/* A port without rings: build each frame in the scratch buffer, for libpcap or for nobody. */
static int
send_frames(struct pg_worker *w, uint32_t quota)
{
	const struct pg_template *t = w->tmpl;
	bool is_varied = t->payload_sums != NULL;
	uint64_t stamp_ns = w->vary.has_stamp ? nmt_now_ns() : 0;

	for (uint32_t k = 0; k < quota; k++) { /* at most one burst */
		uint32_t len = t->len;

		if (is_varied) {
			len = pg_vary_next(&w->vary, stamp_ns);
			memcpy(w->scratch, w->vary.head, len < t->head_len ? len : t->head_len);
		}
		if ((w->opt->data & PG_DATA_DUMP) != 0)
			pg_dump(w->scratch, len, k);
		if (w->port->pcap != NULL) {
			int error = pg_pcap_send(w->port->pcap, w->scratch, len);

			if (error == -ENOBUFS) { /* the interface's queue is full: the rest later */
				nmt_sleep_until_ns(nmt_now_ns() + FULL_QUEUE_SLEEP_NS);
				quota = k;
				break;
			}
			if (error != 0) {
				nmt_log("cannot send on %s: %s", w->port->id.name,
					strerror(-error));
				return error;
			}
		}
		w->local.pkts++;
		w->local.bytes += len;
	}
	if (quota > 0)
		w->local.events++;
	return (int)quota;
}

/* Packets of the current burst that may go now; waits for its time first. 0: interrupted. */
static uint32_t
next_quota(struct pg_worker *w, uint32_t *left_in_burst)
{
	if (*left_in_burst == 0) {
		if (w->opt->rate_pps != 0 && pg_pace_wait(&w->pace, w->local.pkts) != 0)
			return 0;
		*left_in_burst = pg_worker_n_left(w, w->opt->burst);
	}
	return *left_in_burst;
}

void *
sender_body(void *arg)
{
	struct pg_worker *w = arg;
	uint32_t left_in_burst = 0;

	if (!pg_worker_begin(w))
		return pg_worker_finish(w);
	while (!pg_is_stopped() && nmt_now_ns() < w->start_ns)
		nmt_sleep_until_ns(w->start_ns);
	w->tic_ns = nmt_now_ns();
	while (!pg_worker_is_done(w)) {
		uint32_t quota = next_quota(w, &left_in_burst);
		int n = 0;

		if (quota > 0)
			n = w->nmd != NULL ? send_netmap(w, quota) : send_frames(w, quota);
		if (n < 0) {
			w->error = n;
			break;
		}
		left_in_burst -= (uint32_t)n;
		pg_worker_publish(w);
	}
	if (w->nmd != NULL && w->error == 0)
		pg_flush_tx(w);
	w->toc_ns = nmt_now_ns();
	return pg_worker_finish(w);
}
