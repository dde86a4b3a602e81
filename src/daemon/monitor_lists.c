/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of monitors, changed under the readers' eyes, and exchanges of buffers that the dead have left
 * half done.
 *
 * What is on which list follows from netmapd's own tables: nothing that is read back from the
 * segment decides more than where a list is mended.
 */
#include "daemon/monitor_lists.h"

#include <stddef.h>

#include "daemon/format.h"
#include "daemon/monitors.h"
#include "daemon/server.h"
#include "shm/atomic.h"
#include "shm/lock.h"

/* Number, in the segment, of rx ring @i of a monitor. */
static uint32_t
mon_kring(const struct unm_dport *mon, uint32_t i)
{
	return mon->kring_base + mon->n_tx + i;
}

uint32_t
unm_monitor_watched(const struct unm_dport *mon, uint32_t dir, uint32_t i)
{
	const struct unm_dport *w = mon->watched;
	const bool is_tx = dir == UNM_MON_OF_TX;
	const uint32_t n = is_tx ? w->n_tx : w->n_rx;
	const uint32_t n_nic = is_tx ? unm_dport_nic_tx(w) : unm_dport_nic_rx(w);
	const uint32_t base = w->kring_base + (is_tx ? 0 : w->n_tx);

	/* host ring k of the one is for host ring k of the other */
	if (i >= unm_dport_nic_rx(mon))
		i = i - unm_dport_nic_rx(mon) + n_nic;
	else if (i >= n_nic)
		return UNM_NONE;
	return i < n ? base + i : UNM_NONE;
}

static bool
has_ring(const struct unm_dport *mon, uint32_t i)
{
	return i >= mon->mon_lo && i < mon->mon_hi;
}

/*
 * The zero-copy monitors of one ring, in the order in which they came: the one before @mon (@after
 * false) or behind it. NULL if there is none.
 */
static struct unm_dport *
neighbour(const struct unm_domain *dom, const struct unm_dport *mon, uint32_t i, bool after)
{
	struct unm_dport *p, *best = NULL;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p == mon || p->kind != UNM_PORT_MONITOR || p->watched != mon->watched ||
			!(p->mon_flags & UNM_MONF_ZCOPY) || !has_ring(p, i) ||
			(p->mon_seq > mon->mon_seq) != after)
			continue;
		if (best == NULL || (p->mon_seq < best->mon_seq) == after)
			best = p;
	}
	return best;
}

/* Put monitor kring @m at the head of @of's list. Its fields are complete before the list shows it. */
static void
list_add(struct unm_dseg *seg, uint32_t of, uint32_t dir, uint32_t m)
{
	struct unm_kring *k = &seg->krings[m];

	UNM_WRITE_ONCE(seg->krings[of].mon_from, UNM_NONE);
	UNM_WRITE_ONCE(k->mon_of[dir], of);
	UNM_WRITE_ONCE(k->mon_next[dir], UNM_READ_ONCE(seg->krings[of].mon_head));
	unm_store_release(&seg->krings[of].mon_head, m);
}

static void
list_del(struct unm_dseg *seg, uint32_t of, uint32_t dir, uint32_t m)
{
	uint32_t *link = &seg->krings[of].mon_head;
	uint32_t steps;

	for (steps = 0; steps < UNM_RING_MAX_MONITORS; steps++) {
		const uint32_t at = UNM_READ_ONCE(*link);

		if (at >= seg->n_krings)
			break; /* damaged by a client: readers check as we do */
		if (at == m) {
			unm_store_release(link, UNM_READ_ONCE(seg->krings[m].mon_next[dir]));
			break;
		}
		link = &seg->krings[at].mon_next[dir];
	}
	UNM_WRITE_ONCE(seg->krings[m].mon_of[dir], UNM_NONE);
}

/* Ring @i of a zero-copy monitor hangs on @before's ring, or, without one, on those that it watches. */
static void
hang(struct unm_dport *mon, const struct unm_dport *before, uint32_t i)
{
	const uint32_t m = mon_kring(mon, i);
	uint32_t dir;

	if (before != NULL) {
		list_add(mon->seg, mon_kring(before, i), UNM_MON_OF_RX, m);
		return;
	}
	for (dir = 0; dir < 2; dir++) {
		const uint32_t of = unm_monitor_watched(mon, dir, i);

		if (of != UNM_NONE &&
			(mon->mon_flags & (dir == UNM_MON_OF_TX ? UNM_MONF_TX : UNM_MONF_RX)))
			list_add(mon->seg, of, dir, m);
	}
}

static void
unhang(struct unm_dport *mon, const struct unm_dport *before, uint32_t i)
{
	const uint32_t m = mon_kring(mon, i);
	uint32_t dir;

	if (before != NULL) {
		list_del(mon->seg, mon_kring(before, i), UNM_MON_OF_RX, m);
		return;
	}
	for (dir = 0; dir < 2; dir++) {
		const uint32_t of = unm_monitor_watched(mon, dir, i);

		if (of != UNM_NONE)
			list_del(mon->seg, of, dir, m);
	}
}

void
unm_monitor_link(struct unm_domain *dom, struct unm_dport *mon)
{
	const bool is_zcopy = (mon->mon_flags & UNM_MONF_ZCOPY) != 0;
	uint32_t i;

	mon->mon_seq = ++dom->n_monitors_made;
	for (i = mon->mon_lo; i < mon->mon_hi; i++)
		hang(mon, is_zcopy ? neighbour(dom, mon, i, false) : NULL, i);
	unm_dseg_port_touch(mon->seg);
}

void
unm_monitor_unlink(struct unm_domain *dom, struct unm_dport *mon)
{
	const bool is_zcopy = (mon->mon_flags & UNM_MONF_ZCOPY) != 0;
	uint32_t i;

	for (i = mon->mon_lo; i < mon->mon_hi; i++) {
		const struct unm_dport *before = is_zcopy ? neighbour(dom, mon, i, false) : NULL;
		struct unm_dport *behind = is_zcopy ? neighbour(dom, mon, i, true) : NULL;

		unhang(mon, before, i);
		if (behind != NULL) {
			unhang(behind, mon, i);
			hang(behind, before, i);
		}
	}
	mon->mon_lo = mon->mon_hi = 0;
	unm_dseg_port_touch(mon->seg);
}

/* --- exchanges that were left half done --- */

/* The port whose kring this is, and which of its rings. NULL: nobody's. */
static struct unm_dport *
owner_of(const struct unm_domain *dom, const struct unm_dseg *seg, uint32_t kring, uint32_t *ring)
{
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->seg != seg || kring < p->kring_base ||
			kring - p->kring_base >= p->n_tx + p->n_rx)
			continue;
		*ring = kring - p->kring_base;
		return p;
	}
	return NULL;
}

/* Make slot @pos of the ring name @right instead of @wrong, if it names that. */
static bool
slot_names(const struct unm_dport *port, uint32_t ring, uint32_t pos, uint32_t a, uint32_t b)
{
	const uint64_t ofs =
		unm_dport_ring_ofs(port, ring) + UNM_RING_HDR_SIZE + (uint64_t)pos * UNM_SLOT_SIZE;
	uint32_t idx;

	return pos < unm_dport_ring_slots(port, ring) &&
	       unm_dregion_read(port->region, ofs, &idx, sizeof(idx)) == 0 &&
	       (idx == a || idx == b);
}

static void
slot_set(const struct unm_dport *port, uint32_t ring, uint32_t pos, uint32_t idx)
{
	const uint64_t ofs =
		unm_dport_ring_ofs(port, ring) + UNM_RING_HDR_SIZE + (uint64_t)pos * UNM_SLOT_SIZE;

	if (unm_dregion_write(port->region, ofs, &idx, sizeof(idx)) < 0)
		unm_log(LOG_WARNING, "%s: can't write a slot", port->name);
}

/* Both slots name one of the two buffers: now each names its own. */
static void
repair(const struct unm_domain *dom, struct unm_dport *mon, uint32_t ring)
{
	struct unm_kring *k = unm_dport_kring(mon, ring);
	const struct unm_swap x = {
		.pos = UNM_READ_ONCE(k->swap.pos),
		.of = UNM_READ_ONCE(k->swap.of),
		.of_pos = UNM_READ_ONCE(k->swap.of_pos),
		.mine = UNM_READ_ONCE(k->swap.mine),
		.theirs = UNM_READ_ONCE(k->swap.theirs),
	};
	const struct unm_dport *of;
	uint32_t of_ring = 0;

	of = owner_of(dom, mon->seg, x.of, &of_ring);
	if (of != NULL && of->region == mon->region &&
		slot_names(mon, ring, x.pos, x.mine, x.theirs) &&
		slot_names(of, of_ring, x.of_pos, x.mine, x.theirs)) {
		slot_set(mon, ring, x.pos, x.theirs);
		slot_set(of, of_ring, x.of_pos, x.mine);
	}
	unm_store_release(&k->swap.is_open, 0);
}

void
unm_monitors_repair(struct unm_server *srv, const struct unm_dseg *seg, uint32_t slot)
{
	struct unm_dport *p;
	uint32_t i;

	for (p = srv->dom.ports; p != NULL; p = p->next) {
		if (p->seg != seg || p->kind != UNM_PORT_MONITOR ||
			!(p->mon_flags & UNM_MONF_ZCOPY))
			continue;
		for (i = p->n_tx; i < p->n_tx + p->n_rx; i++) {
			const struct unm_kring *k = unm_dport_kring(p, i);
			const uint32_t word = UNM_READ_ONCE(k->lock);

			if (UNM_READ_ONCE(k->swap.is_open) == 0)
				continue;
			if (slot != 0 ? (word & UNM_LOCK_SLOT_MASK) == slot
				      : word == 0 || unm_lock_is_dead(srv, word))
				repair(&srv->dom, p, i);
		}
	}
}

/* --- after a restart --- */

static struct unm_dport *
watched_by(const struct unm_domain *dom, const struct unm_dport *mon)
{
	const struct unm_seg_port *e = &mon->seg->ports[mon->idx];
	const uint32_t idx = UNM_READ_ONCE(e->peer_port), gen = UNM_READ_ONCE(e->peer_gen);
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->seg == mon->seg && p->idx == idx && p->gen == gen && !p->is_dying &&
			p->n_bindings > 0 && p->kind != UNM_PORT_MONITOR)
			return p;
	}
	return NULL;
}

static void
clear_lists(struct unm_dport *port)
{
	uint32_t i;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		struct unm_kring *k = unm_dport_kring(port, i);

		UNM_WRITE_ONCE(k->mon_head, UNM_NONE);
		UNM_WRITE_ONCE(k->mon_of[UNM_MON_OF_TX], UNM_NONE);
		UNM_WRITE_ONCE(k->mon_of[UNM_MON_OF_RX], UNM_NONE);
	}
}

/* The lowest monitor by its place in the table that is on no list yet. */
static struct unm_dport *
next_unlinked(const struct unm_domain *dom)
{
	struct unm_dport *p, *best = NULL;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->kind == UNM_PORT_MONITOR && p->watched == NULL && !p->is_dying &&
			!(p->flags & UNM_PORTF_ORPHAN) && (best == NULL || p->idx < best->idx))
			best = p;
	}
	return best;
}

void
unm_monitors_adopt(struct unm_server *srv)
{
	struct unm_domain *dom = &srv->dom;
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->seg->is_adopted)
			clear_lists(p);
	}
	for (p = next_unlinked(dom); p != NULL;
		p = next_unlinked(dom)) { /* each becomes another one */
		p->watched = watched_by(dom, p);
		if (p->watched != NULL) {
			unm_monitor_link(dom, p);
		} else {
			p->flags |= UNM_PORTF_ORPHAN;
			unm_dport_update(p);
		}
	}
}
