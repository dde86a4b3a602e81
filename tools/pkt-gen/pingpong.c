/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ping and pong: round-trip times.
 *
 * ping numbers its frames and remembers in a table, by number modulo its size, when each one left.
 * A reply is a UDP frame to our own address with a number that is still open in the table; its time
 * is taken from there, so what the frame says about times cannot mislead us, and a reply counts
 * once. The stamp goes into the frame all the same, for whoever reads it on the way.
 *
 * Without -R a burst is sent when all replies to the one before have come, or after a second, so
 * one frame at a time (-b 1, the default) measures the bare round trip. With -R bursts leave on
 * time, whether or not there were replies.
 *
 * pong sends every frame back the way it came: MAC and IP addresses change places. A frame that was
 * sent to a group gets pong's own MAC address as source, because a group address cannot be one.
 * Frames that find no room in the tx ring are dropped, and counted.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_log.h"
#include "nmt_time.h"
#include "report.h"
#include "seq.h"
#include "worker.h"

#define WINDOW	      65536 /* open numbers; a power of two */
#define REPLY_WAIT_NS NMT_NS_PER_S

struct pinger {
	struct pg_worker *w;
	uint64_t *sent_ns; /* [number % WINDOW]; 0: not sent or answered already. Owned */
	uint32_t next_seq;
	uint64_t n_open;      /* of the current burst (without -R), or all (with -R) */
	uint32_t payload_sum; /* of the payload behind number and stamp */
	struct nmt_udp_flow flow;
	uint64_t n_answered;
	struct pg_hist *recent; /* since the last line. Owned */
	uint64_t report_ns;	/* when the next line is due */
};

static int
pinger_init(struct pinger *p, struct pg_worker *w)
{
	const struct pg_options *opt = w->opt;
	uint32_t payload_off = (uint32_t)nmt_udp_payload_off(opt->is_v6);
	const uint8_t *payload = w->tmpl->data + w->tmpl->vnet_len + payload_off;
	uint32_t payload_len = w->tmpl->len - w->tmpl->vnet_len - payload_off;

	*p = (struct pinger){.w = w, .flow = w->vary.flow};
	p->sent_ns = calloc(WINDOW, sizeof(p->sent_ns[0]));
	p->recent = malloc(sizeof(*p->recent));
	if (p->sent_ns == NULL || p->recent == NULL)
		return -ENOMEM;
	pg_hist_reset(p->recent);
	/* Number and stamp are zero in the template: what is summed up here is the rest. */
	p->payload_sum = nmt_csum_add(0, payload, payload_len);
	p->report_ns = nmt_now_ns() + opt->report_ms * UINT64_C(1000000);
	return 0;
}

static void
pinger_free(struct pinger *p)
{
	free(p->sent_ns);
	free(p->recent);
}

/* Write the next frame into one slot. */
static void
put_ping(struct pinger *p, struct netmap_ring *ring, struct netmap_slot *slot)
{
	struct pg_worker *w = p->w;
	struct pg_buf buf = pg_slot_buf(w, ring, slot);
	uint32_t len = w->tmpl->len < buf.room ? w->tmpl->len : buf.room;
	uint32_t frame_len = w->tmpl->len - w->tmpl->vnet_len;
	uint8_t *frame = w->scratch + w->tmpl->vnet_len;
	uint8_t *payload = frame + nmt_udp_payload_off(w->opt->is_v6);
	uint64_t now_ns = nmt_now_ns();

	nmt_put32(payload, p->next_seq);
	pg_write_stamp(payload, now_ns);
	/* Cannot fail: the template was built from the same flow and length. */
	nmt_pkt_build_udp_headers(
		frame, frame_len, &p->flow, nmt_csum_add(p->payload_sum, payload, PG_STAMP_LEN));
	nm_pkt_copy(w->scratch, buf.data, (int)len);
	slot->len = (uint16_t)len;
	slot->flags = 0;
	if ((w->opt->data & PG_DATA_DUMP) != 0)
		pg_dump(w->scratch, len, (uint32_t)(slot - ring->slot));
	p->sent_ns[p->next_seq % WINDOW] = now_ns;
	p->next_seq++;
}

/* Send @n pings, waiting for room as needed. Return: 0 or negative errno. */
static int
send_pings(struct pinger *p, uint32_t n)
{
	struct pg_worker *w = p->w;
	struct netmap_ring *ring = w->tx_rings[0].ring;
	int error;

	while (n > 0 && !pg_is_stopped()) {
		uint32_t space = nmt_ring_avail(ring);
		uint32_t head = ring->head;
		uint32_t k;

		if (space == 0) {
			error = pg_wait_ring(w, POLLOUT, PG_POLL_TX_MS);
			if (error < 0 && error != -EINTR)
				return error;
			continue;
		}
		pg_worker_note_space(w, space);
		for (k = 0; k < n && k < space; k++) { /* at most one ring */
			put_ping(p, ring, &ring->slot[head]);
			head = nm_ring_next(ring, head);
		}
		ring->head = ring->cur = head;
		n -= k;
		p->n_open += k;
		w->ping.n_sent += k;
		w->local.pkts += k;
		w->local.bytes += (uint64_t)k * (w->tmpl->len - w->tmpl->vnet_len);
		w->local.events++;
		error = pg_sync_tx(w);
		if (error != 0)
			return error;
	}
	return 0;
}

static void
take_reply(struct pinger *p, const uint8_t *frame, uint32_t len, uint64_t now_ns)
{
	struct pg_worker *w = p->w;
	uint32_t vnet_len = w->tmpl->vnet_len;
	const uint8_t *payload;
	uint64_t *sent_ns;
	uint32_t seq;

	if (len < vnet_len)
		return;
	payload = pg_udp_payload(frame + vnet_len, len - vnet_len, PG_STAMP_LEN);
	if (payload == NULL || memcmp(frame + vnet_len, p->flow.src_mac, NMT_MAC_LEN) != 0)
		return;
	seq = nmt_get32(payload);
	sent_ns = &p->sent_ns[seq % WINDOW];
	if (p->next_seq - 1 - seq >= WINDOW || *sent_ns == 0)
		return; /* not ours, too old, or answered */
	pg_hist_add(p->recent, now_ns - *sent_ns);
	*sent_ns = 0;
	p->n_answered++;
	if (p->n_open > 0)
		p->n_open--;
}

static void
take_replies(struct pinger *p)
{
	struct pg_worker *w = p->w;

	for (uint32_t i = 0; i < w->n_rx_rings; i++) {
		struct netmap_ring *ring = nmt_port_rx(w->nmd, i);
		uint32_t n = nmt_ring_avail(ring);
		uint32_t head = ring->head;
		uint64_t now_ns = n > 0 ? nmt_now_ns() : 0;

		for (; n > 0; n--) { /* at most one ring */
			const struct netmap_slot *slot = &ring->slot[head];
			struct pg_buf buf = pg_slot_buf(w, ring, slot);
			uint32_t len = slot->len;

			if (len > buf.room)
				len = buf.room;
			if ((w->opt->data & PG_DATA_DUMP) != 0)
				pg_dump(buf.data, len, head);
			take_reply(p, buf.data, len, now_ns);
			head = nm_ring_next(ring, head);
		}
		ring->head = ring->cur = head;
	}
}

/* The line once a second, and the numbers into the total. */
static void
report_recent(struct pinger *p)
{
	if (p->recent->count > 0)
		pg_report_rtt(p->w, p->recent);
	pg_hist_merge(&p->w->hist, p->recent);
	pg_hist_reset(p->recent);
}

static void
report_if_due(struct pinger *p, uint64_t now_ns)
{
	if (now_ns < p->report_ns)
		return;
	report_recent(p);
	p->report_ns = now_ns + p->w->opt->report_ms * UINT64_C(1000000);
}

/*
 * Take replies until none is open (@all), or until @deadline_ns.
 * Return: 0 or negative errno.
 */
static int
await_replies(struct pinger *p, uint64_t deadline_ns, bool all)
{
	for (;;) { /* until the deadline at the latest */
		uint64_t now_ns;
		uint64_t left_ns;
		int n;

		take_replies(p);
		now_ns = nmt_now_ns();
		report_if_due(p, now_ns);
		if ((all && p->n_open == 0) || now_ns >= deadline_ns || pg_is_stopped())
			return 0;
		left_ns = deadline_ns - now_ns;
		/* Below a millisecond poll(0) spins, so that -R is kept exactly. */
		n = pg_wait_ring(p->w, POLLIN,
			left_ns < NMT_NS_PER_S ? (int)(left_ns / 1000000) : PG_POLL_RX_MS);
		if (n < 0 && n != -EINTR)
			return n;
	}
}

static int
ping_loop(struct pinger *p)
{
	struct pg_worker *w = p->w;
	bool is_paced = w->opt->rate_pps != 0;
	int error = 0;

	while (!pg_worker_is_done(w) && error == 0) {
		if (is_paced) {
			error = await_replies(p, pg_pace_due_ns(&w->pace, w->local.pkts), false);
			if (error != 0 || pg_is_stopped())
				break;
			pg_pace_record(&w->pace, w->local.pkts, nmt_now_ns());
		} else {
			p->n_open = 0; /* replies that did not come in time */
		}
		error = send_pings(p, pg_worker_n_left(w, w->opt->burst));
		if (error == 0 && !is_paced)
			error = await_replies(p, nmt_now_ns() + REPLY_WAIT_NS, true);
		pg_worker_publish(w);
	}
	if (error == 0 && is_paced)
		error = await_replies(p, nmt_now_ns() + REPLY_WAIT_NS, true);
	return error;
}

void *
ping_body(void *arg)
{
	struct pg_worker *w = arg;
	struct pinger p;
	int error;

	if (!pg_worker_begin(w))
		return pg_worker_finish(w);
	error = pinger_init(&p, w);
	while (error == 0 && !pg_is_stopped() && nmt_now_ns() < w->start_ns)
		nmt_sleep_until_ns(w->start_ns);
	w->tic_ns = nmt_now_ns();
	if (error == 0)
		error = ping_loop(&p);
	w->toc_ns = nmt_now_ns();
	if (error != 0)
		nmt_log("poll error on queue %u: %s", w->idx, strerror(-error));
	else
		report_recent(&p);
	w->error = error;
	w->ping.n_lost = w->ping.n_sent - p.n_answered;
	pinger_free(&p);
	return pg_worker_finish(w);
}

/* Turn a frame round: MAC addresses, and the addresses of IPv4 or IPv6. */
static void
swap_addresses(uint8_t *frame, uint32_t len, const uint8_t own_mac[NMT_MAC_LEN])
{
	uint8_t addr[16];
	size_t off;
	size_t n;

	if (len < NMT_ETH_HDR_LEN)
		return;
	memcpy(addr, frame, NMT_MAC_LEN);
	memcpy(frame, frame + NMT_MAC_LEN, NMT_MAC_LEN);
	memcpy(frame + NMT_MAC_LEN, (addr[0] & 1) != 0 ? own_mac : addr, NMT_MAC_LEN);
	switch (nmt_get16(frame + 2 * NMT_MAC_LEN)) {
	case NMT_ETHERTYPE_IPV4:
		off = NMT_ETH_HDR_LEN + 12;
		n = 4;
		break;
	case NMT_ETHERTYPE_IPV6:
		off = NMT_ETH_HDR_LEN + 8;
		n = 16;
		break;
	default:
		return;
	}
	if (len < off + 2 * n)
		return;
	/* Checksums stay right: sums do not depend on the order of their terms. */
	memcpy(addr, frame + off, n);
	memcpy(frame + off, frame + off + n, n);
	memcpy(frame + off + n, addr, n);
}

/* Copy one slot, and turn the frame round if it begins there. Return: bytes copied. */
static uint32_t
answer_slot(struct pg_worker *w, struct netmap_ring *rx, uint32_t in, struct netmap_ring *tx,
	uint32_t out, bool is_start)
{
	const struct netmap_slot from = rx->slot[in]; /* the only read of it */
	struct pg_buf src = pg_slot_buf(w, rx, &from);
	struct pg_buf dst = pg_slot_buf(w, tx, &tx->slot[out]);
	uint32_t vnet_len = w->port->vnet_len;
	uint32_t len = from.len;

	if (len > src.room)
		len = src.room;
	if (len > dst.room)
		len = dst.room;
	nm_pkt_copy(src.data, dst.data, (int)len);
	if (is_start && len > vnet_len)
		swap_addresses(dst.data + vnet_len, len - vnet_len, w->opt->src_mac.first);
	if ((w->opt->data & PG_DATA_DUMP) != 0)
		pg_dump(src.data, len, in);
	tx->slot[out].len = (uint16_t)len;
	tx->slot[out].flags = from.flags & NS_MOREFRAG;
	return len;
}

/* Copy one packet of @n slots to the tx ring. False: no room for it. */
static bool
answer(struct pg_worker *w, struct netmap_ring *rx, struct netmap_ring *tx, uint32_t n)
{
	uint32_t in = rx->head;
	uint32_t len = 0;
	uint32_t out;

	if (nmt_ring_avail(tx) < n) {
		pg_sync_tx(w); /* an error shows at the sync that ends the round */
		if (nmt_ring_avail(tx) < n)
			return false;
	}
	out = tx->head;
	for (uint32_t k = 0; k < n; k++) { /* at most one ring */
		len += answer_slot(w, rx, in, tx, out, k == 0);
		in = nm_ring_next(rx, in);
		out = nm_ring_next(tx, out);
	}
	w->local.bytes += len > w->port->vnet_len ? len - w->port->vnet_len : 0;
	tx->head = tx->cur = out;
	return true;
}

/* Answer what one ring holds. Return: packets taken. */
static uint32_t
answer_ring(struct pg_worker *w, struct netmap_ring *rx, struct netmap_ring *tx)
{
	uint32_t space = nmt_ring_avail(rx);
	uint32_t limit = pg_worker_n_left(w, rx->num_slots);
	uint32_t n_taken = 0;

	if (space > 0)
		pg_worker_note_space(w, space);
	for (; space > 0 && n_taken < limit; n_taken++) { /* at most one ring */
		uint32_t n = nmt_packet_slots(rx, rx->head, space);

		if (n == 0) /* longer than the ring: its pieces become packets */
			n = space;
		if (!answer(w, rx, tx, n))
			w->n_dropped++;
		w->local.pkts++;
		rx->head = rx->cur = nmt_ring_skip(rx, rx->head, n);
		space -= n;
	}
	return n_taken;
}

void *
pong_body(void *arg)
{
	struct pg_worker *w = arg;
	int error = 0;

	if (!pg_worker_begin(w))
		return pg_worker_finish(w);
	while (!pg_worker_is_done(w)) {
		uint32_t n_taken = 0;

		for (uint32_t i = 0; i < w->n_rx_rings; i++)
			n_taken += answer_ring(w, nmt_port_rx(w->nmd, i), w->tx_rings[0].ring);
		if (n_taken > 0) {
			w->toc_ns = nmt_now_ns();
			if (w->tic_ns == 0)
				w->tic_ns = w->toc_ns;
			w->local.events++;
			pg_worker_publish(w);
			error = pg_sync_tx(w);
			if (error != 0)
				break;
			continue; /* more may have come; poll only when there is nothing */
		}
		error = pg_wait_ring(w, POLLIN, PG_POLL_RX_MS);
		if (error < 0 && error != -EINTR)
			break;
		error = 0;
	}
	if (error == 0)
		pg_flush_tx(w);
	else
		nmt_log("poll error on queue %u: %s", w->idx, strerror(-error));
	w->error = error;
	return pg_worker_finish(w);
}
