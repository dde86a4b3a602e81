/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Monitors (spec 15): what the sync of a watched ring does for them, and the monitor as a port.
 *
 *   watched tx ring    before txsync   [tx_taken, head)           copied
 *                      after           [old tail + 1, tail + 1)   reclaimed: exchanged
 *   watched rx ring    before rxsync   [hwcur, head)              given back: exchanged
 *                      after           [old tail, tail)           come from the kernel: copied
 *
 * Into the rx ring of a VALE port or pipe somebody else delivers, who shows the frames himself
 * (vale/deliver_fp.c, pipe_fp.c). Where they come from the kernel nobody does while the port's
 * client does not sync: so the monitor's own process syncs the watched ring, with the descriptors
 * that netmapd gave it for that, and gives back nothing. The client finds the frames at its next
 * sync, as if they had come just then.
 *
 * A slot that is exchanged must not be the peer's to tell of: netmapd believes a pipe's receiver
 * about a sent slot until the sender's new tail is stored (daemon/rings.c). So tx slots are
 * exchanged after that.
 *
 * A buffer goes through a pipe, or joined rings, once, and one zero-copy monitor can have it. With one
 * at either end that is the receiver's: it exchanges when the slot is given back, before the sender
 * takes it back and finds another buffer there. The frame is lost to the sender's monitor, as it is
 * when the receiver itself keeps the buffer.
 */
#include "port/monitor.h"

#include <errno.h>
#include <stdlib.h>

#include "port/indirect.h"
#include "port/trusted.h"
#include "ring/wake.h"

static bool
fetch_indirect(uint64_t addr, uint32_t len, void *dst)
{
	if (!unm_trusted_has(addr, len))
		return unm_indirect_read(addr, len, dst);
	memcpy(dst, (const void *)(uintptr_t)addr, len);
	return true;
}

/* The slots of @r, or (pipes) of the ring at its other end, as a source. */
static struct unm_mon_src
source(const struct unm_bring *r, struct netmap_ring *ring, const struct unm_kring *k, bool is_tx)
{
	const struct unm_mon_src src = {
		.ring = ring,
		.num_slots = r->num_slots,
		.bufs = r->bufs,
		.n_bufs = r->n_bufs,
		.buf_size = r->buf_size,
		.offset_mask = UNM_READ_ONCE(k->offset_mask),
		.region_uid = r->bp->region->info.uid,
		.is_tx = is_tx,
		.fetch = is_tx && r->ops == &unm_port_vale_ops ? fetch_indirect : NULL,
	};

	return src;
}

/* Where the whole frames before @head end; not before @from. */
static uint32_t
whole_frames(const struct unm_bring *r, uint32_t from, uint32_t head)
{
	while (head != from) { /* less than num_slots turns */
		const uint32_t last = unm_pos_prev(head, r->num_slots);

		if (!(UNM_READ_ONCE(r->ring->slot[last].flags) & NS_MOREFRAG))
			break;
		head = last;
	}
	return head;
}

static uint32_t
tx_taken(const struct unm_bring *r)
{
	return r->ops->tx_taken != NULL ? r->ops->tx_taken(r) : r->ops->tx_done(r);
}

/*
 * Slots from @first up to @head are to be shown. Return: the first of them that was not yet, by a
 * sync that could not take it, or by somebody who was killed before he had.
 */
static uint32_t
not_shown(const struct unm_bring *r, uint32_t first, uint32_t head)
{
	const uint32_t n = r->num_slots, shown = UNM_READ_ONCE(r->kring->mon_shown);

	if (UNM_READ_ONCE(r->kring->mon_from) != first || shown >= n ||
		unm_pos_dist(first, shown, n) > unm_pos_dist(first, head, n))
		return first;
	return shown;
}

/* Slots from @first up to @shown have been; @taken: the ring has gone on up to there. */
static void
note_shown(struct unm_bring *r, uint32_t taken, uint32_t shown)
{
	UNM_WRITE_ONCE(r->kring->mon_shown, shown);
	unm_store_release(&r->kring->mon_from, taken == shown ? UNM_NONE : taken);
}

/* Show what the sync is about to take. */
static void
show_tx(struct unm_bring *r, uint32_t head, struct unm_watch *w)
{
	const struct unm_mon_src src = source(r, r->ring, r->kring, true);
	const uint32_t n = r->num_slots, taken = tx_taken(r);
	const uint32_t oldest = unm_pos_next(w->old_tail, n);

	w->shown = taken;
	/* A pipe's word may be nonsense: oldest <= taken <= head, going round. */
	if (taken >= n || unm_pos_dist(oldest, taken, n) > unm_pos_dist(oldest, head, n))
		return;
	/* VALE sends what it has of a frame that is not whole */
	w->shown = r->ops == &unm_port_vale_ops ? head : whole_frames(r, taken, head);
	unm_mons_show(w->mons, w->slot, &src, not_shown(r, taken, w->shown), w->shown);
}

/* Give the monitor what the client gives back. */
static void
exchange_rx(struct unm_bring *r, uint32_t hwcur, uint32_t head, struct unm_watch *w)
{
	const struct unm_mon_src src = source(r, r->ring, r->kring, false);

	/* In transparent mode a host ring's buffers go to the NIC's tx rings: they are seen there */
	if (r->ops == &unm_port_host_ops && unm_ring_forwards(r))
		return;
	unm_mons_exchange(w->mons, w->slot, &src, not_shown(r, hwcur, head), head);
	note_shown(r, hwcur, head);
}

static bool
has_room(const struct unm_bring *r)
{
	return r->ops->rx_has_room == NULL || r->ops->rx_has_room(r);
}

/*
 * A pipe's receiver may keep the buffers and give others back: note what is sent. No memory: then
 * all is taken for gone.
 */
static void
note_sent(struct unm_bring *r, uint32_t head, const struct unm_watch *w)
{
	const uint32_t n = r->num_slots;
	uint32_t pos = unm_pos_next(w->old_tail, n);

	if (r->peer_ring == NULL || !unm_mons_take_buffers(w->mons))
		return;
	if (r->sent == NULL)
		r->sent = calloc(n, sizeof(*r->sent));
	for (; r->sent != NULL && pos != head;
		pos = unm_pos_next(pos, n)) /* less than num_slots turns */
		r->sent[pos] = UNM_READ_ONCE(r->ring->slot[pos].buf_idx);
}

/* Reclaimed slots are the zero-copy monitor's. */
static void
exchange_tx(struct unm_bring *r, uint32_t tail, const struct unm_watch *w)
{
	struct unm_mon_src src = source(r, r->ring, r->kring, true);
	const uint32_t n = r->num_slots;

	src.sent = r->sent;
	if (r->peer_ring == NULL || r->sent != NULL)
		unm_mons_exchange(w->mons, w->slot, &src, unm_pos_next(w->old_tail, n),
			unm_pos_next(tail, n));
}

void
unm_watch_before(struct unm_bring *r, uint32_t head, struct unm_watch *w)
{
	struct unm_bport *bp = r->bp;
	const uint32_t old = UNM_READ_ONCE(r->kring->pub_tail);

	w->slot = bp->env->slot();
	w->mons = w->slot == 0 ? NULL : unm_mons_get(&r->mons, bp->env, bp->seg, r->kring_idx);
	if (w->mons == NULL)
		return;
	if (!r->is_rx) {
		w->old_tail =
			old < r->num_slots ? old : unm_pos_prev(unm_own_hwcur(r), r->num_slots);
		show_tx(r, head, w);
		note_sent(r, head, w);
	} else {
		const uint32_t hwcur = unm_own_hwcur(r);

		w->old_tail = old < r->num_slots ? old : hwcur;
		w->makes_room = r->ops->rx_arrives_here && head != hwcur && !has_room(r);
		if (head != hwcur)
			exchange_rx(r, hwcur, head, w);
	}
}

void
unm_watch_after(struct unm_bring *r, uint32_t tail, struct unm_watch *w)
{
	if (w->mons == NULL)
		return;
	if (!r->is_rx) {
		note_shown(r, tx_taken(r), w->shown);
		exchange_tx(r, tail, w);
	} else {
		const struct unm_mon_src src = source(r, r->ring, r->kring, false);

		note_shown(r, unm_own_hwcur(r), unm_own_hwcur(r)); /* all is given back */
		if (r->ops->rx_arrives_here)
			unm_mons_show(w->mons, w->slot, &src, w->old_tail, tail);
	}
	if (r->is_rx && w->makes_room)
		unm_mons_wake_all(w->mons);
	else
		unm_mons_wake(w->mons);
}

/* Monitors of the ring at the other end, or NULL. */
static struct unm_mons *
peer_mons(struct unm_bring *r)
{
	const struct unm_bport *bp = r->bp;

	return unm_mons_get(
		&r->peer_mons, bp->env, bp->seg, (uint32_t)(r->peer_kring - bp->seg->krings));
}

void
unm_show_to_peer(struct unm_bring *r, uint32_t from, uint32_t to)
{
	const struct unm_mon_src src = source(r, r->peer_ring, r->peer_kring, false);
	const uint32_t slot = r->bp->env->slot();
	struct unm_mons *mons = slot != 0 ? peer_mons(r) : NULL;

	if (mons == NULL)
		return;
	unm_mons_show(mons, slot, &src, from, to);
	unm_mons_wake(mons);
}

void
unm_wake_watchers(struct unm_bring *r)
{
	struct unm_mons *mons = peer_mons(r);

	if (mons != NULL)
		unm_mons_wake_all(mons);
}

/* --- the monitor as a port --- */

/* The ring that ring @r of the monitor watches and has to sync, or NULL. */
static struct unm_bring *
behind(const struct unm_bring *r)
{
	const struct unm_bport *watched = r->bp->kind_data;
	const uint32_t of = UNM_READ_ONCE(r->kring->mon_of[UNM_MON_OF_RX]);
	uint32_t i;

	for (i = 0; watched != NULL && i < watched->n_rx; i++) {
		if (watched->rx[i].kring_idx == of)
			return &watched->rx[i];
	}
	return NULL;
}

static int
monitor_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	(void)r;
	(void)head;
	(void)tail;
	return -EIO; /* spec 15.2 */
}

static uint32_t
monitor_tx_done(const struct unm_bring *r)
{
	return UNM_READ_ONCE(r->ring->head); /* never anything to flush */
}

static int
monitor_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_bport *bp = r->bp;
	struct unm_kring *k = r->kring;
	struct unm_bring *watched = behind(r);
	const uint32_t released = unm_own_hwcur(r);
	/* Before the look at hwtail: all that came before the end is handed out before it is told. */
	const bool is_over =
		(unm_load_acquire(&bp->seg->ports[bp->info.port].flags) & UNM_PORTF_ORPHAN) != 0;

	if (released != head) {
		unm_kring_publish_hwcur(k, head);
		unm_count(&k->n_pkts, unm_pos_dist(released, head, r->num_slots));
	}
	if (watched != NULL && !is_over)
		unm_bring_receive(watched);
	*tail = unm_kring_load_hwtail(k, r->num_slots, head);
	return is_over && *tail == UNM_READ_ONCE(r->ring->cur) ? -EIO : 0;
}

static bool
monitor_rx_has_room(const struct unm_bring *r)
{
	const struct unm_bring *watched = behind(r);

	return watched != NULL && !unm_bport_gone(watched->bp) && has_room(watched);
}

/*
 * What netmapd would tell somebody who has the watched port's rx rings open too. Return: false if
 * there is nothing to sync there, or it has been closed, which rxsync will say.
 */
static bool
watched_info(const struct unm_bport *bp, struct unm_bind_info *info)
{
	const struct unm_seg_port *me = &bp->seg->ports[bp->info.port], *e;

	*info = bp->info;
	info->port = UNM_READ_ONCE(me->peer_port);
	if (info->n_port_fds == 0 || info->port >= bp->seg->n_ports)
		return false;
	e = &bp->seg->ports[info->port];
	info->port_gen = UNM_READ_ONCE(me->peer_gen);
	info->kind = UNM_READ_ONCE(e->kind);
	info->tx_lo = info->tx_hi = info->rx_lo = 0;
	info->rx_hi = UNM_READ_ONCE(e->n_rx_rings) + UNM_READ_ONCE(e->n_host_rx_rings);
	return info->kind != UNM_PORT_MONITOR;
}

/* Ring i of ours waits for the descriptor of the ring that it watches. */
static void
lend_descriptors(struct unm_bport *bp)
{
	uint32_t i;

	for (i = 0; i < bp->n_rx; i++) {
		const struct unm_bring *watched = behind(&bp->rx[i]);

		if (watched != NULL)
			bp->rx[i].fd = watched->fd;
	}
}

static int
monitor_open(struct unm_bport *bp)
{
	struct unm_bport *watched;
	struct unm_region *region;
	struct unm_bind_info info;
	int err;

	if (!watched_info(bp, &info))
		return 0;
	err = bp->env->region_get(
		UNM_READ_ONCE(bp->seg->ports[info.port].region_uid), true, &region);
	if (err == -ESTALE)
		return 0; /* it is just going */
	if (err < 0)
		return err;
	info.nifp_ofs = region->info.if_ofs; /* not used */
	err = unm_bport_open(&watched, bp->env, bp->seg, region, &info, bp->fds);
	if (err != 0) {
		bp->env->region_put(region);
		return err == -ESTALE ? 0 : err;
	}
	bp->kind_data = watched;
	lend_descriptors(bp);
	return 0;
}

static void
monitor_close(struct unm_bport *bp)
{
	struct unm_bport *watched = bp->kind_data;
	struct unm_region *region;

	if (watched == NULL)
		return;
	region = watched->region;
	unm_bport_close(watched);
	bp->env->region_put(region);
}

static void
monitor_after_fork(struct unm_bport *bp)
{
	if (bp->kind_data != NULL)
		unm_bport_after_fork(bp->kind_data);
}

const struct unm_port_ops unm_port_monitor_ops = {
	.txsync = monitor_txsync,
	.rxsync = monitor_rxsync,
	.tx_done = monitor_tx_done,
	.rx_has_room = monitor_rx_has_room,
	.open = monitor_open,
	.close = monitor_close,
	.after_fork = monitor_after_fork,
};
