/* SPDX-License-Identifier: BSD-2-Clause */
/* Linking and parting the rings of veth pairs. See join.h. */
#include "daemon/join.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/format.h"
#include "net/netmap.h"
#include "ring/kring.h"
#include "ring/slot.h"

/* A tx ring and the rx ring that it meets. */
struct pair {
	struct unm_dport *tx, *rx;
	uint32_t tx_i, rx_i; /* among the rings of their ports */
	struct unm_kring *tx_k, *rx_k;
};

/* Slots and spares of a pair that is parted, with the positions that decide. rx positions. */
struct parting {
	struct netmap_slot *tx_slots, *rx_slots;
	uint32_t *spares;
	uint32_t n, delta;
	uint32_t oldest;   /* the first slot that the tx ring has not taken back */
	uint32_t released; /* ... that the reader has not given back */
	uint32_t end;	   /* ... without a frame */
};

static struct unm_dport *
port_of_kring(const struct unm_domain *dom, const struct unm_dseg *seg, uint32_t k)
{
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->seg == seg && k >= p->kring_base && k - p->kring_base < p->n_tx + p->n_rx)
			return p;
	}
	return NULL;
}

/* The pair that ring @i of @port is half of. Return: false if it is none, or its words are wrong. */
static bool
find_pair(const struct unm_dport *port, uint32_t i, struct pair *p)
{
	const uint32_t peer_k = UNM_READ_ONCE(unm_dport_kring(port, i)->join_peer);
	struct unm_dport *self = (struct unm_dport *)(uintptr_t)port, *peer;
	uint32_t peer_i;

	if (peer_k == UNM_NONE)
		return false;
	peer = port_of_kring(port->dom, port->seg, peer_k);
	if (peer == NULL || peer->kind != UNM_PORT_NIC || peer->region != port->region)
		return false;
	peer_i = peer_k - peer->kring_base;
	if ((i < port->n_tx) == (peer_i < peer->n_tx) ||
		unm_dport_ring_slots(port, i) != unm_dport_ring_slots(peer, peer_i) ||
		UNM_READ_ONCE(unm_dport_kring(peer, peer_i)->join_peer) != port->kring_base + i)
		return false;
	if (i < port->n_tx)
		*p = (struct pair){self, peer, i, peer_i, NULL, NULL};
	else
		*p = (struct pair){peer, self, peer_i, i, NULL, NULL};
	p->tx_k = unm_dport_kring(p->tx, p->tx_i);
	p->rx_k = unm_dport_kring(p->rx, p->rx_i);
	return true;
}

static bool
is_usable(const struct unm_dport *port, uint32_t i)
{
	const struct unm_dring *ring = &port->rings[i];

	return ring->is_open && !ring->is_closing && ring->n_users > 0;
}

/* A txsync may be about to make the next one: its number stays, so that no two are the same. */
static void
withdraw_offer(struct unm_kring *tx_k)
{
	unm_fetch_and(&tx_k->join_offer, ~UNM_OFFER_STATES);
}

/* Return: 0 (also if there is nothing to link), -EBUSY. */
static int
link_rings(struct unm_dport *tx, struct unm_dport *rx, uint32_t id)
{
	const struct pair p = {tx, rx, id, rx->n_tx + id, unm_dport_kring(tx, id),
		unm_dport_kring(rx, rx->n_tx + id)};
	const uint32_t gen = UNM_READ_ONCE(p.tx_k->join_gen) + UNM_READ_ONCE(p.rx_k->join_gen) + 1;

	if (!is_usable(tx, p.tx_i) || !is_usable(rx, p.rx_i) || tx->tx_slots != rx->rx_slots ||
		UNM_READ_ONCE(p.tx_k->join_peer) != UNM_NONE ||
		UNM_READ_ONCE(p.rx_k->join_peer) != UNM_NONE)
		return 0;
	if (unm_dring_guard(rx, p.rx_i) < 0)
		return -EBUSY;
	withdraw_offer(p.tx_k);
	UNM_WRITE_ONCE(p.tx_k->join_failed, 0);
	UNM_WRITE_ONCE(p.rx_k->join_ready, 0);
	UNM_WRITE_ONCE(p.tx_k->join_gen, gen);
	UNM_WRITE_ONCE(p.rx_k->join_gen, gen);
	UNM_WRITE_ONCE(p.tx_k->join_peer, rx->kring_base + p.rx_i);
	UNM_WRITE_ONCE(p.rx_k->join_peer, tx->kring_base + p.tx_i);
	unm_store_release(&p.rx_k->join_state, UNM_JOIN_LINKED);
	unm_dring_unguard(rx, p.rx_i);
	return 0;
}

/* Both rings go on alone. The state first: it says whether the rest means anything. */
static void
unlink_pair(const struct pair *p)
{
	unm_store_release(&p->rx_k->join_state, UNM_JOIN_NONE);
	UNM_WRITE_ONCE(p->tx_k->join_peer, UNM_NONE);
	UNM_WRITE_ONCE(p->rx_k->join_peer, UNM_NONE);
	withdraw_offer(p->tx_k);
}

static uint64_t
slot_ofs(const struct unm_dport *port, uint32_t ring, uint32_t slot)
{
	return unm_dport_ring_ofs(port, ring) + UNM_RING_HDR_SIZE + (uint64_t)slot * UNM_SLOT_SIZE;
}

/* Write slots [from, to), going round, and no others: their neighbours may be a client's. */
static int
write_slots(const struct unm_dport *port, uint32_t ring, const struct netmap_slot *slots,
	uint32_t from, uint32_t to, uint32_t n)
{
	int ret = 0;

	if (from > to) {
		ret = unm_dregion_write(port->region, slot_ofs(port, ring, from), &slots[from],
			(size_t)(n - from) * sizeof(*slots));
		from = 0;
	}
	if (ret == 0 && from < to)
		ret = unm_dregion_write(port->region, slot_ofs(port, ring, from), &slots[from],
			(size_t)(to - from) * sizeof(*slots));
	return ret;
}

static int
read_pair(const struct pair *p, struct parting *w)
{
	const struct unm_dregion *r = p->tx->region;
	const size_t len = w->n * sizeof(*w->tx_slots);
	int ret = unm_dregion_read(r, slot_ofs(p->tx, p->tx_i, 0), w->tx_slots, len);

	if (ret == 0)
		ret = unm_dregion_read(r, slot_ofs(p->rx, p->rx_i, 0), w->rx_slots, len);
	return ret == 0 ? unm_dregion_read(r, slot_ofs(p->rx, p->rx_i, w->n), w->spares,
				  w->n * sizeof(*w->spares))
			: ret;
}

/*
 * The words that clients write, brought into a legal order: what makes no sense has not moved. In
 * PARTING they have been made legal already, and the tx ring's may have moved on.
 */
static void
read_positions(const struct pair *p, struct parting *w, bool is_first)
{
	const uint32_t n = w->n, pub_tail = UNM_READ_ONCE(p->tx_k->pub_tail);

	w->delta = UNM_READ_ONCE(p->rx_k->join_delta) % n;
	w->end = UNM_READ_ONCE(p->rx_k->hwtail) % n;
	w->released = UNM_READ_ONCE(p->rx_k->hwcur) % n;
	w->oldest =
		pub_tail < n ? unm_pos_add(unm_pos_next(pub_tail, n), w->delta, n) : w->released;
	if (is_first &&
		unm_pos_dist(w->oldest, w->released, n) > unm_pos_dist(w->oldest, w->end, n))
		w->released = w->oldest;
}

/* Take back what the reader has given back, as a txsync does. */
static int
pull(const struct pair *p, struct parting *w)
{
	const uint32_t n = w->n;
	const uint32_t from = unm_pos_dist(w->delta, w->oldest, n);
	const uint32_t to = unm_pos_dist(w->delta, w->released, n);
	uint32_t i;
	int ret;

	for (i = from; i != to; i = unm_pos_next(i, n)) { /* less than n turns */
		const struct netmap_slot s = w->rx_slots[unm_pos_add(i, w->delta, n)];

		if (unm_buf_idx_ok(s.buf_idx, p->tx->region->info.buf_num))
			w->tx_slots[i] = s;
	}
	ret = write_slots(p->tx, p->tx_i, w->tx_slots, from, to, n);
	if (ret == 0)
		UNM_WRITE_ONCE(p->tx_k->pub_tail, unm_pos_prev(to, n));
	return ret;
}

/* The sender's buffer is kept by the reader: what it had put there, it finds in another one. */
static void
copy_buffer(const struct unm_dregion *r, uint32_t from, uint32_t to, void *tmp)
{
	const uint32_t size = r->info.buf_size;

	if (from != to && unm_buf_idx_ok(from, r->info.buf_num) &&
		unm_buf_idx_ok(to, r->info.buf_num) &&
		unm_dregion_read(r, r->info.buf_ofs + (uint64_t)from * size, tmp, size) == 0)
		unm_dregion_write(r, r->info.buf_ofs + (uint64_t)to * size, tmp, size);
}

/* In PARTING: who has which buffer from now on. */
static int
share_out(const struct pair *p, struct parting *w)
{
	const struct unm_dregion *r = p->tx->region;
	const uint32_t n = w->n;
	const bool has_sender = p->tx->rings[p->tx_i].n_users > 0;
	void *tmp = malloc(r->info.buf_size);
	uint32_t j;
	int ret;

	if (tmp == NULL)
		return -ENOMEM;
	for (j = w->released; j != w->end; j = unm_pos_next(j, n)) { /* less than n turns */
		struct netmap_slot *s = &w->tx_slots[unm_pos_dist(w->delta, j, n)];

		if (has_sender)
			copy_buffer(r, s->buf_idx, w->spares[j], tmp);
		s->buf_idx = w->spares[j];
	}
	free(tmp);
	j = w->end;
	do { /* n turns at most */
		w->rx_slots[j] = (struct netmap_slot){.buf_idx = w->spares[j]};
		j = unm_pos_next(j, n);
	} while (j != w->released);
	ret = write_slots(p->tx, p->tx_i, w->tx_slots, unm_pos_dist(w->delta, w->released, n),
		unm_pos_dist(w->delta, w->end, n), n);
	if (ret == 0 && w->released == w->end)
		ret = write_slots(p->rx, p->rx_i, w->rx_slots, 0, n, n);
	else if (ret == 0)
		ret = write_slots(p->rx, p->rx_i, w->rx_slots, w->end, w->released, n);
	return ret;
}

/* Both rings are guarded, and are joined. */
static int
part_joined(const struct pair *p, struct parting *w, bool reader_is_closing)
{
	const bool is_first = UNM_READ_ONCE(p->rx_k->join_state) == UNM_JOIN_JOINED;
	uint32_t sent;
	int ret = read_pair(p, w);

	if (ret < 0)
		return ret;
	read_positions(p, w, is_first);
	if (is_first) {
		if (reader_is_closing)
			w->released = w->end;
		UNM_WRITE_ONCE(p->rx_k->hwcur, w->released);
		ret = pull(p, w);
		if (ret < 0)
			return ret;
		unm_store_release(&p->rx_k->join_state, UNM_JOIN_PARTING);
	}
	ret = share_out(p, w);
	if (ret < 0)
		return ret;
	sent = unm_pos_dist(w->delta, w->end, w->n);
	UNM_WRITE_ONCE(p->tx_k->hwcur, sent);
	UNM_WRITE_ONCE(p->tx_k->pub_tail, unm_pos_prev(sent, w->n));
	if (p->tx->ops->ring_moved != NULL) {
		p->tx->ops->ring_moved(p->tx, p->tx_i, sent);
		p->rx->ops->ring_moved(p->rx, p->rx_i, w->end);
	}
	unlink_pair(p);
	return 0;
}

static int
part_guarded(const struct pair *p, bool reader_is_closing)
{
	struct parting w = {.n = p->tx->tx_slots};
	int ret = -ENOMEM;

	w.tx_slots = calloc(w.n, sizeof(*w.tx_slots));
	w.rx_slots = calloc(w.n, sizeof(*w.rx_slots));
	w.spares = calloc(w.n, sizeof(*w.spares));
	if (w.tx_slots != NULL && w.rx_slots != NULL && w.spares != NULL)
		ret = part_joined(p, &w, reader_is_closing);
	free(w.tx_slots);
	free(w.rx_slots);
	free(w.spares);
	return ret < 0 ? -EBUSY : 0; /* memory may be had later */
}

/* The rx ring is guarded, so the state does not become JOINED. */
static int
part_or_unlink(const struct pair *p, bool reader_is_closing)
{
	const uint32_t state = UNM_READ_ONCE(p->rx_k->join_state);
	int ret;

	if (state != UNM_JOIN_JOINED && state != UNM_JOIN_PARTING) {
		unlink_pair(p);
		return 0;
	}
	if (unm_dring_guard(p->tx, p->tx_i) < 0)
		return -EBUSY;
	ret = part_guarded(p, reader_is_closing);
	unm_dring_unguard(p->tx, p->tx_i);
	return ret;
}

/* Something has to be done again when @port is looked at by unm_domain_reap(). */
static void
come_back(struct unm_dport *port)
{
	port->is_joining = true;
	if (!port->needs_reap) {
		port->needs_reap = true;
		port->dom->n_reap++;
	}
}

int
unm_join_part(struct unm_dport *port, uint32_t i, bool is_closing)
{
	struct pair p;
	int ret;

	if (port->kind != UNM_PORT_NIC)
		return 0;
	if (!find_pair(port, i, &p)) {
		/* alone, or with words that lead nowhere */
		UNM_WRITE_ONCE(unm_dport_kring(port, i)->join_peer, UNM_NONE);
		UNM_WRITE_ONCE(unm_dport_kring(port, i)->join_state, UNM_JOIN_NONE);
		return 0;
	}
	if (unm_dring_guard(p.rx, p.rx_i) < 0)
		return -EBUSY;
	ret = part_or_unlink(&p, is_closing && i >= port->n_tx);
	unm_dring_unguard(p.rx, p.rx_i);
	unm_dseg_wake(port->seg);
	return ret;
}

static uint32_t
n_common(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* A link that is down stops the frames of both ends, as it does in the kernel. */
static bool
is_up(const struct unm_dport *port)
{
	return !port->is_dying && !(port->flags & (UNM_PORTF_LINK_DOWN | UNM_PORTF_STOPPED));
}

static bool
may_join(const struct unm_dport *port)
{
	const struct unm_dport *peer = port->join_with;

	return peer != NULL && is_up(port) && is_up(peer) && !port->seg->is_adopted &&
	       port->region == peer->region && port->seg == peer->seg;
}

void
unm_join_rings(struct unm_dport *port)
{
	struct unm_dport *peer = port->join_with;
	uint32_t i;
	int ret = 0;

	if (!may_join(port))
		return;
	for (i = 0; i < n_common(unm_dport_nic_tx(port), unm_dport_nic_rx(peer)); i++)
		ret |= link_rings(port, peer, i);
	for (i = 0; i < n_common(unm_dport_nic_tx(peer), unm_dport_nic_rx(port)); i++)
		ret |= link_rings(peer, port, i);
	if (ret < 0)
		come_back(port);
}

/* Part all rings of a port that is no end of a pair. */
static int
part_all(struct unm_dport *port)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		if (UNM_READ_ONCE(unm_dport_kring(port, i)->join_peer) != UNM_NONE)
			ret |= unm_join_part(port, i, false);
	}
	return ret < 0 ? -EBUSY : 0;
}

void
unm_join_update(struct unm_dport *port)
{
	if (port->kind != UNM_PORT_NIC || port->seg->is_adopted)
		return;
	if (may_join(port))
		unm_join_rings(port);
	else if (part_all(port) < 0)
		come_back(port);
}

void
unm_join_pair(struct unm_dport *a, struct unm_dport *b)
{
	if (a->join_with != b) {
		unm_join_unpair(a);
		unm_join_unpair(b);
		a->join_with = b;
		b->join_with = a;
		unm_dport_update(a);
		unm_dport_update(b);
	}
	unm_join_update(a);
}

void
unm_join_unpair(struct unm_dport *port)
{
	unm_dport_leave_pair(port);
	unm_join_update(port);
}

bool
unm_join_retry(struct unm_dport *port)
{
	if (!port->is_joining)
		return false;
	port->is_joining = false;
	unm_join_update(port);
	return port->is_joining;
}

void
unm_join_adopt(struct unm_domain *dom)
{
	struct unm_dport *port;
	uint32_t i;

	for (port = dom->ports; port != NULL; port = port->next) {
		if (port->kind != UNM_PORT_NIC)
			continue;
		for (i = 0; i < port->n_tx + port->n_rx; i++) {
			struct pair p;
			uint32_t state = UNM_JOIN_NONE;

			if (find_pair(port, i, &p))
				state = UNM_READ_ONCE(p.rx_k->join_state);
			if (state != UNM_JOIN_JOINED && unm_join_part(port, i, false) < 0)
				come_back(port);
		}
	}
}

uint32_t
unm_join_state_of(const struct unm_dport *port, uint32_t i)
{
	struct pair p;

	return find_pair(port, i, &p) ? UNM_READ_ONCE(p.rx_k->join_state) : UNM_JOIN_NONE;
}
