/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data path of the load balancer: see lb.h for the picture.
 *
 * A packet offered to a pipe ends in one of three places: in the pipe's ring, if there is room and
 * nothing waits before it; in the pipe's overflow queue, if buffers can be found; nowhere, counted
 * as dropped, and its buffer stays in the slot where it was.
 *
 * Consumers can write the slots that they release, so what a slot says is checked before the packet
 * is looked at, on a private copy. A slot that changes later than that harms nobody but itself: the
 * number of slots to move is already known, and what is moved is not looked at again.
 */
#include "lb.h"

#include "nmt_port.h"
#include "nmt_slot.h"
#include "pkt_hash.h"

/* A packet in slots of a ring, before it is moved. */
struct packet {
	struct netmap_ring *ring;
	uint32_t first;
	uint32_t n_slots;
	uint64_t n_bytes;    /* set by inspect_packet(), as the next two */
	const char *headers; /* the bytes of the first slot */
	uint32_t headers_len;
};

static uint32_t
ring_prev(const struct netmap_ring *ring, uint32_t i)
{
	return (i == 0 ? ring->num_slots : i) - 1;
}

/* Find where the headers are, and add up the bytes. Return: false when a slot is impossible. */
static bool
inspect_packet(const struct lb *lb, struct packet *pkt)
{
	struct netmap_ring *ring = pkt->ring;
	uint32_t i = pkt->first;

	pkt->n_bytes = 0;
	for (uint32_t n = 0; n < pkt->n_slots; n++) { /* at most num_slots - 1 */
		const struct netmap_slot slot = ring->slot[i];
		const uint64_t off = NETMAP_ROFFSET(ring, &slot);

		if (slot.buf_idx < 2 || slot.buf_idx >= lb->n_bufs || off > ring->nr_buf_size ||
			slot.len > ring->nr_buf_size - off)
			return false;
		if (n == 0) {
			pkt->headers = NETMAP_BUF(ring, slot.buf_idx) + off;
			pkt->headers_len = slot.len;
		}
		pkt->n_bytes += slot.len;
		i = nm_ring_next(ring, i);
	}
	return true;
}

static struct lb_pipe *
choose_pipe(struct lb *lb, const struct lb_group *g, const struct packet *pkt, bool is_new)
{
	uint32_t hash;

	if (lb_pkt_hash(pkt->headers, pkt->headers_len, &hash) == LB_PKT_OTHER && is_new)
		lb->non_ip_packets++;
	/* Scales 32 bits to 0..n_pipes-1 without a division; 0, which is not IP, goes to pipe 0. */
	return &g->pipes[(uint64_t)hash * g->n_pipes >> 32];
}

static void
count_drop(struct lb_pipe *p, uint64_t n_bytes)
{
	p->counters.dropped_packets++;
	p->counters.dropped_bytes += n_bytes;
}

static uint32_t
pipe_room(const struct lb_pipe *p)
{
	return nmt_ring_distance(p->ring, p->head, p->limit);
}

/* Let netmap have the slots up to @head at the next sync. */
static void
publish_head(struct lb_pipe *p, uint32_t head)
{
	p->head = p->ring->head = p->ring->cur = head;
	p->dirty = true;
}

static void
put_in_ring(struct lb_pipe *p, const struct packet *pkt)
{
	uint32_t from = pkt->first;
	uint32_t head = p->head;

	for (uint32_t n = 0; n < pkt->n_slots; n++) {
		nmt_slot_move(&pkt->ring->slot[from], &p->ring->slot[head]);
		from = nm_ring_next(pkt->ring, from);
		head = nm_ring_next(p->ring, head);
	}
	publish_head(p, head);
	p->counters.forwarded_packets++;
	p->counters.forwarded_bytes += pkt->n_bytes;
}

/* Queue the packet, at the expense of the longest queue if need be. Return: false, if it can never
 * fit: into the pool, or later into the ring. */
static bool
put_in_queue(struct lb *lb, struct lb_pipe *p, const struct packet *pkt)
{
	uint32_t from = pkt->first;

	if (pkt->n_slots > lb_overflow_n_nodes(lb->overflow) ||
		pkt->n_slots > p->ring->num_slots - 1)
		return false;
	while (lb_overflow_n_free(lb->overflow) < pkt->n_slots) { /* each round frees a slot */
		uint32_t victim = lb_overflow_longest(lb->overflow);

		count_drop(&lb->pipes[victim], lb_overflow_drop(lb->overflow, victim).n_bytes);
	}
	for (uint32_t n = 0; n < pkt->n_slots; n++) {
		lb_overflow_push(lb->overflow, p->queue, &pkt->ring->slot[from]);
		from = nm_ring_next(pkt->ring, from);
	}
	return true;
}

/* Give a packet to a group. Its slots belong to the source afterwards, with whatever buffers. */
static void
deliver(struct lb *lb, const struct lb_group *g, struct packet *pkt, bool is_new)
{
	struct lb_pipe *p;

	if (!inspect_packet(lb, pkt)) {
		lb->bad_packets++;
		return;
	}
	p = choose_pipe(lb, g, pkt, is_new);
	if (lb_overflow_len(lb->overflow, p->queue) == 0 && pipe_room(p) >= pkt->n_slots)
		put_in_ring(p, pkt);
	else if (!put_in_queue(lb, p, pkt))
		count_drop(p, pkt->n_bytes);
}

/* Move waiting packets into the ring, as far as there is room. */
static void
drain_queue(struct lb *lb, struct lb_pipe *p)
{
	uint32_t n_slots = lb_overflow_first_len(lb->overflow, p->queue);

	while (n_slots > 0 && pipe_room(p) >= n_slots) { /* at most num_slots - 1 rounds */
		uint32_t head = p->head;

		for (uint32_t n = 0; n < n_slots; n++) {
			struct netmap_slot *to = &p->ring->slot[head];

			lb_overflow_pop(lb->overflow, p->queue, to);
			p->counters.forwarded_bytes += to->len;
			head = nm_ring_next(p->ring, head);
		}
		publish_head(p, head);
		p->counters.forwarded_packets++;
		n_slots = lb_overflow_first_len(lb->overflow, p->queue);
	}
}

/* Pass on what the consumer released, to group @next; NULL: it is done. Sets the pipe's limit. */
static void
collect_released(struct lb *lb, struct lb_pipe *p, const struct lb_group *next)
{
	struct netmap_ring *ring = p->ring;
	const uint32_t tail = ring->tail;
	const uint32_t end = nm_ring_next(ring, tail);

	if (tail >= ring->num_slots)
		return; /* nothing sensible has come back; the next sync will mend it */
	p->tail = tail;
	if (next == NULL)
		p->released = end;
	while (p->released != end) { /* at most num_slots - 1 rounds */
		struct packet pkt = {.ring = ring, .first = p->released};

		pkt.n_slots = nmt_packet_slots(
			ring, p->released, nmt_ring_distance(ring, p->released, end));
		if (pkt.n_slots == 0)
			break; /* released in part; the limit protects it until the rest comes */
		deliver(lb, next, &pkt, false);
		p->released = nmt_ring_skip(ring, p->released, pkt.n_slots);
	}
	p->limit = ring_prev(ring, p->released);
}

void
lb_collect(struct lb *lb)
{
	/* Last group first, so that it has room for what the one before releases. */
	for (uint32_t i = lb->n_groups; i > 0; i--) {
		const struct lb_group *g = &lb->groups[i - 1];
		const struct lb_group *next = i < lb->n_groups ? g + 1 : NULL;

		for (uint32_t k = 0; k < g->n_pipes; k++) {
			collect_released(lb, &g->pipes[k], next);
			drain_queue(lb, &g->pipes[k]);
		}
	}
}

/* Distribute up to @n_max packets of one ring. */
static uint32_t
receive_ring(struct lb *lb, struct netmap_ring *ring, uint32_t n_max)
{
	uint32_t avail = nmt_ring_avail(ring);
	struct packet pkt = {.ring = ring, .first = ring->head};
	uint32_t n_taken = 0;

	while (n_taken < n_max && avail > 0) { /* avail shrinks in each round */
		pkt.n_slots = nmt_packet_slots(ring, pkt.first, avail);
		if (pkt.n_slots > 0) {
			deliver(lb, &lb->groups[0], &pkt, true);
		} else if (avail == ring->num_slots - 1) {
			lb->bad_packets++; /* fills the ring: its end can never come */
			pkt.n_slots = avail;
		} else {
			break;
		}
		pkt.first = nmt_ring_skip(ring, pkt.first, pkt.n_slots);
		avail -= pkt.n_slots;
		n_taken++;
	}
	ring->head = pkt.first;
	/* When the rest is an unfinished packet, only what follows it is news. */
	ring->cur = n_taken < n_max ? nmt_ring_skip(ring, pkt.first, avail) : pkt.first;
	lb->received_packets += n_taken;
	return n_taken;
}

uint32_t
lb_receive(struct lb *lb, uint32_t n_max)
{
	const uint32_t n_rings = nmt_port_n_rx(lb->port);
	uint32_t n_taken = 0;

	for (uint32_t i = 0; i < n_rings && n_taken < n_max; i++) {
		struct netmap_ring *ring = nmt_port_rx(lb->port, lb->next_rx_ring);

		n_taken += receive_ring(lb, ring, n_max - n_taken);
		lb->next_rx_ring = lb->next_rx_ring + 1 < n_rings ? lb->next_rx_ring + 1 : 0;
	}
	return n_taken;
}

bool
lb_is_filling(const struct lb_pipe *p)
{
	return pipe_room(p) < p->ring->num_slots / 2;
}

bool
lb_wants_release(const struct lb *lb, struct lb_pipe *p)
{
	const struct lb_group *last = &lb->groups[lb->n_groups - 1];
	const bool passes_on = p < last->pipes;
	const bool at_consumer = p->released != p->head;

	if (lb_overflow_len(lb->overflow, p->queue) == 0 && !(passes_on && at_consumer))
		return false;
	p->ring->cur = p->tail;
	return true;
}
