/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rx and rxseq: take what has arrived, count it, give the slots back.
 *
 * Fast path (rx without -o): one pass over the slots that adds up lengths and counts ends of
 * packets; buffers are not touched. Slots taken in one pass are given back with the next sync,
 * which also brings new ones; poll is called only when there are none. The end after a second of
 * silence (-W) is the main thread's business, since it sees all workers.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "nmt_log.h"
#include "nmt_time.h"
#include "pcap_io.h"
#include "seq.h"
#include "worker.h"

#define PREFETCH_SLOTS 4 /* -o 1: how far ahead buffers are fetched */

/* How often to say that nothing has come yet: poll's second may end slightly early. */
#define NOTICE_NS (NMT_NS_PER_S - NMT_NS_PER_S / 100)

/* What was found in a run of slots. */
struct tally {
	uint64_t pkts;
	uint64_t bytes;
};

/* Fast path: count @n slots from @first on, without wrapping. */
static inline void
count_span(const struct netmap_ring *ring, uint32_t first, uint32_t n, struct tally *t)
{
	const struct netmap_slot *slot = &ring->slot[first];
	uint64_t bytes = 0;
	uint32_t n_more = 0;

	for (uint32_t i = 0; i < n; i++) { /* at most one ring */
		bytes += slot[i].len;
		n_more += (slot[i].flags & NS_MOREFRAG) != 0;
	}
	t->bytes += bytes;
	t->pkts += n - n_more;
}

/* Fast path: @n slots from ring->head on. */
static void
count_slots(const struct netmap_ring *ring, uint32_t n, struct tally *t)
{
	uint32_t head = ring->head;
	uint32_t until_wrap = ring->num_slots - head;

	if (n < until_wrap) {
		count_span(ring, head, n, t);
		return;
	}
	count_span(ring, head, until_wrap, t);
	count_span(ring, 0, n - until_wrap, t);
}

/* One way delay, when the frame carries a stamp of this machine's clock that can be true. */
static void
note_delay(struct pg_worker *w, const uint8_t *frame, uint32_t len, uint64_t now_ns)
{
	const uint8_t *payload = pg_udp_payload(frame, len, PG_STAMP_LEN);
	uint64_t sent_ns;

	if (payload == NULL)
		return;
	sent_ns = pg_read_stamp(payload);
	if (sent_ns != 0 && sent_ns <= now_ns)
		pg_hist_add(&w->hist, now_ns - sent_ns);
}

/* -o, -X and rxseq on one slot. @is_start: the slot begins a packet. */
static void
examine(struct pg_worker *w, const uint8_t *frame, uint32_t len, uint32_t slot_idx, bool is_start,
	uint64_t now_ns)
{
	unsigned data = w->opt->data;

	if ((data & PG_DATA_ACCESS) != 0 && len > 0)
		w->access_sum += frame[0];
	if ((data & PG_DATA_MEMCPY) != 0)
		memcpy(w->scratch, frame, len);
	else if ((data & PG_DATA_COPY) != 0)
		nm_pkt_copy(frame, w->scratch, (int)len);
	if ((data & PG_DATA_DUMP) != 0)
		pg_dump(frame, len, slot_idx);
	if (!is_start || len < w->port->vnet_len)
		return;
	frame += w->port->vnet_len;
	len -= w->port->vnet_len;
	if ((data & PG_DATA_STAMP) != 0)
		note_delay(w, frame, len, now_ns);
	if (w->opt->function == PG_RXSEQ)
		pg_seq_check(&w->seq, frame, len);
}

/* General path: slot by slot. */
static void
examine_slots(struct pg_worker *w, struct netmap_ring *ring, uint32_t n, struct tally *t)
{
	uint64_t now_ns = (w->opt->data & PG_DATA_STAMP) != 0 ? nmt_now_ns() : 0;
	uint32_t i = ring->head;
	bool is_start = true; /* rounds end at the end of a packet, see whole_packets() */

	for (uint32_t k = 0; k < n; k++) { /* at most one ring */
		const struct netmap_slot *slot = &ring->slot[i];
		struct pg_buf buf = pg_slot_buf(w, ring, slot);
		uint32_t len = slot->len;

		if (len > buf.room)
			len = buf.room;
		if ((w->opt->data & PG_DATA_PREFETCH) != 0) {
			uint32_t ahead = nmt_ring_skip(ring, i, PREFETCH_SLOTS);

			__builtin_prefetch(pg_slot_buf(w, ring, &ring->slot[ahead]).data);
		}
		examine(w, buf.data, len, i, is_start, now_ns);
		is_start = (slot->flags & NS_MOREFRAG) == 0;
		t->pkts += is_start;
		t->bytes += len;
		i = nm_ring_next(ring, i);
	}
}

/*
 * How many of @n slots to take so that at most @max_pkts packets are taken, and the last one whole.
 * Only needed near the end of -n, and on the general path. A packet that is longer than the ring is
 * taken in pieces.
 */
static uint32_t
whole_packets(struct netmap_ring *ring, uint32_t n, uint32_t max_pkts)
{
	uint32_t i = ring->head;
	uint32_t n_whole = 0;

	for (uint32_t k = 0; k < max_pkts && n_whole < n; k++) { /* at most one ring */
		uint32_t n_slots = nmt_packet_slots(ring, i, n - n_whole);

		if (n_slots == 0)
			break;
		n_whole += n_slots;
		i = nmt_ring_skip(ring, i, n_slots);
	}
	return n_whole == 0 ? n : n_whole;
}

/* Take at most one burst from one ring. Return: slots taken. */
static uint32_t
take_ring(struct pg_worker *w, struct netmap_ring *ring)
{
	bool is_general = w->opt->data != 0 || w->opt->function == PG_RXSEQ;
	uint32_t space = nmt_ring_avail(ring);
	uint32_t n = space < w->opt->burst ? space : w->opt->burst;
	struct tally t = {0};
	uint32_t n_left;

	if (n == 0)
		return 0;
	pg_worker_note_space(w, space);
	n_left = pg_worker_n_left(w, n);
	if (is_general || n_left < n)
		n = whole_packets(ring, n, n_left);
	if (is_general)
		examine_slots(w, ring, n, &t);
	else
		count_slots(ring, n, &t);
	ring->head = ring->cur = nmt_ring_skip(ring, ring->head, n);
	w->local.pkts += t.pkts;
	w->local.bytes += t.bytes - t.pkts * w->port->vnet_len;
	w->local.events++;
	return n;
}

static uint32_t
take_rings(struct pg_worker *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_rx_rings && !pg_worker_is_done(w); i++)
		n += take_ring(w, nmt_port_rx(w->nmd, i));
	return n;
}

static void
take_pcap_frame(void *arg, const uint8_t *frame, uint32_t len)
{
	struct pg_worker *w = arg;
	uint64_t now_ns = (w->opt->data & PG_DATA_STAMP) != 0 ? nmt_now_ns() : 0;

	if (w->opt->data != 0 || w->opt->function == PG_RXSEQ)
		examine(w, frame, len, 0, true, now_ns);
	w->local.pkts++;
	w->local.bytes += len;
}

/*
 * Receive once: what is there, or what comes within a second.
 * Return: slots or frames taken, 0 for silence, or negative errno (-EINTR: look whether to stop).
 */
static int
receive_netmap(struct pg_worker *w)
{
	int n = (int)take_rings(w);

	if (n == 0) {
		int ready = pg_wait_ring(w, POLLIN, PG_POLL_RX_MS);

		if (ready <= 0)
			return ready;
		n = (int)take_rings(w);
	}
	if (n > 0) {
		int error = pg_sync_rx(w);

		if (error != 0)
			return error;
	}
	return n;
}

static int
receive(struct pg_worker *w)
{
	int n;

	if (w->nmd != NULL)
		return receive_netmap(w);
	if (w->port->pcap != NULL) {
		n = pg_pcap_receive(w->port->pcap, PG_POLL_RX_MS,
			pg_worker_n_left(w, w->opt->burst), take_pcap_frame, w);
		if (n > 0)
			w->local.events++;
		return n;
	}
	/* "null" is always silent. */
	return nmt_sleep_until_ns(nmt_now_ns() + PG_POLL_RX_MS * UINT64_C(1000000));
}

void *
receiver_body(void *arg)
{
	struct pg_worker *w = arg;
	uint64_t quiet_since_ns = nmt_now_ns();

	if (!pg_worker_begin(w))
		return pg_worker_finish(w);
	while (!pg_worker_is_done(w)) {
		int n = receive(w);
		uint64_t now_ns = nmt_now_ns();

		if (n > 0) {
			if (w->tic_ns == 0)
				w->tic_ns = now_ns;
			w->toc_ns = quiet_since_ns = now_ns;
			pg_worker_publish(w);
			continue;
		}
		if (n < 0 && n != -EINTR) {
			nmt_log("poll error on queue %u: %s", w->idx, strerror(-n));
			w->error = n;
			break;
		}
		if (n < 0 || now_ns - quiet_since_ns < NOTICE_NS)
			continue;
		quiet_since_ns = now_ns;
		if (w->tic_ns == 0)
			nmt_log("waiting for initial packets, poll returns %d %d", n, 0);
	}
	return pg_worker_finish(w);
}
