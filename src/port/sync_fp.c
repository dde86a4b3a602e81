/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Synchronisation of the rings of a bport: what NIOCTXSYNC, NIOCRXSYNC and poll(2) have in common
 * (spec 7 and 8).
 *
 * A sync of one ring: take its busy word (or skip the ring: another thread is at it), read head and
 * cur once, check them against our own positions, let the port kind do its work, publish the new
 * tail. Our positions live in the segment, because a binding may be held by several processes; they
 * are range-checked at each use.
 *
 * Whoever is turned away from a busy ring may go to sleep on what he knows, although the other one
 * looked before the last frame came. So the other one, when he leaves the ring and finds that
 * somebody was turned away, signals the sleepers of the port: they look again.
 */
#include <errno.h>
#include <poll.h>
#include <sys/time.h>
#include <time.h>

#include "port/link.h"
#include "port/monitor.h"
#include "ring/prologue.h"
#include "ring/wake.h"
#include "shm/lock.h"

#define POLL_IN	 (POLLIN | POLLRDNORM)
#define POLL_OUT (POLLOUT | POLLWRNORM)

/* Result of one ring's sync beyond errors: its indices were illegal. */
#define RING_BAD 1

/* Positions of the ring as of its last sync, made legal. */
static void
own_positions(const struct unm_bring *r, uint32_t *start, uint32_t *tail)
{
	const struct unm_kring *k = r->kring;
	const uint32_t n = r->num_slots;

	*start = r->is_rx ? unm_own_hwcur(r) : UNM_READ_ONCE(k->last_head);
	if (*start >= n)
		*start = 0;
	*tail = UNM_READ_ONCE(k->pub_tail);
	if (*tail >= n)
		*tail = r->is_rx ? *start : unm_pos_prev(*start, n);
}

static int
sync_kind(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_kring *k = r->kring;
	const int err = r->is_rx ? r->ops->rxsync(r, head, tail) : r->ops->txsync(r, head, tail);

	if (err != 0)
		return err;
	UNM_WRITE_ONCE(k->last_head, head);
	UNM_WRITE_ONCE(k->pub_tail, *tail);
	unm_count(&k->n_syncs, 1);
	return 0;
}

/* The same for a ring that has monitors. */
static int
sync_watched(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_watch w = {0};
	int err;

	unm_watch_before(r, head, &w);
	err = sync_kind(r, head, tail);
	if (err == 0)
		unm_watch_after(r, *tail, &w);
	return err;
}

static int
sync_checked(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	/* Before a monitor gets the buffers */
	if (__builtin_expect(r->stack_fd >= 0, 0) && unm_ring_forwards(r))
		unm_host_pass_up(r, head);
	if (__builtin_expect(unm_is_watched(r->kring) || r->mons != NULL, 0))
		return sync_watched(r, head, tail);
	return sync_kind(r, head, tail);
}

/* Where an application that has lost its place goes on: everything before has been taken over. */
static uint32_t
restart_position(const struct unm_bring *r)
{
	const uint32_t pos = r->is_rx ? unm_own_hwcur(r) : r->ops->tx_done(r);

	return pos < r->num_slots ? pos : unm_own_hwcur(r);
}

/*
 * Illegal indices (spec 7.4): repair what can be. rx goes on from its own position, tx does not.
 * Busy word held.
 */
static int
sync_bad_indices(struct unm_bring *r, uint32_t start, uint32_t tail)
{
	const uint32_t pos = restart_position(r);
	uint32_t new_tail;
	int err;

	unm_count(&r->kring->n_reinits, 1);
	if (unm_ring_reinit(r->ring, r->num_slots, r->n_bufs, r->buf_size, pos, tail)) {
		UNM_WRITE_ONCE(r->kring->last_head, pos);
		start = pos;
	}
	if (!r->is_rx) {
		/*
		 * An overwritten tail is put back (spec 7.4); a client that follows it finds a
		 * legal place again.
		 */
		if (UNM_READ_ONCE(r->ring->tail) != tail)
			unm_store_release(&r->ring->tail, tail);
		return RING_BAD;
	}
	err = sync_checked(r, start, &new_tail);
	if (err != 0)
		return err;
	unm_store_release(&r->ring->tail, new_tail);
	return RING_BAD;
}

bool
unm_bport_gone(const struct unm_bport *bp)
{
	const struct unm_seg_port *e = &bp->seg->ports[bp->info.port];

	return __builtin_expect(UNM_READ_ONCE(e->gen) != UNM_READ_ONCE(bp->info.port_gen) ||
					UNM_READ_ONCE(e->state) != UNM_PORT_ACTIVE,
		0);
}

/*
 * Take the ring's busy word. Whether it is still the port's is asked with the word held, so that
 * netmapd can wait the last sync out before another port gets the ring. Return: 0, -EBUSY, or
 * -ENXIO: the port is gone.
 */
static inline int
enter_ring(struct unm_bring *r, uint32_t slot)
{
	const struct unm_bport *bp = r->bp;
	struct unm_kring *k = r->kring;

	if (__builtin_expect(unm_lock_try_or_mark(&k->busy, slot) != 0, 0))
		return -EBUSY;
	if (__builtin_expect(!unm_bport_gone(bp), 1))
		return 0;
	/* It may be another port's that we have turned away */
	if (unm_lock_release_unslept(&k->busy))
		unm_wake_port(bp->env, bp->seg, UNM_READ_ONCE(k->port), UNM_WANT_RX | UNM_WANT_TX);
	return -ENXIO;
}

static void
leave_ring(struct unm_bring *r)
{
	const struct unm_bport *bp = r->bp;

	if (__builtin_expect(unm_lock_release_unslept(&r->kring->busy), 0))
		unm_wake_port(bp->env, bp->seg, bp->info.port, UNM_WANT_RX | UNM_WANT_TX);
}

/* Return: 0, RING_BAD, -EBUSY (skipped), -ENXIO (the port is gone) or the provider's error. */
static int
sync_ring(struct unm_bring *r, uint32_t slot)
{
	struct netmap_ring *ring = r->ring;
	uint32_t head, cur, start, old_tail, tail;
	int err;

	if (__builtin_expect(r->num_slots == 0, 0))
		return 0; /* of a null port */
	err = enter_ring(r, slot);
	if (__builtin_expect(err != 0, 0))
		return err;
	head = unm_load_acquire(
		&ring->head); /* a client may fill slots in one thread and sync in another */
	cur = UNM_READ_ONCE(ring->cur);
	own_positions(r, &start, &old_tail);
	if (__builtin_expect(!unm_indices_ok(start, head, cur, old_tail, r->num_slots), 0)) {
		err = sync_bad_indices(r, start, old_tail);
	} else {
		err = sync_checked(r, head, &tail);
		if (err == 0 && UNM_READ_ONCE(ring->tail) != tail)
			unm_store_release(&ring->tail, tail);
	}
	leave_ring(r);
	return err;
}

static inline bool
is_stopped(const struct unm_bport *bp)
{
	return (UNM_READ_ONCE(bp->seg->ports[bp->info.port].flags) & UNM_PORTF_STOPPED) != 0;
}

int
unm_bring_sync_at(
	struct unm_bring *r, uint32_t head, uint32_t cur, uint32_t *hwcur, uint32_t *hwtail)
{
	const uint32_t slot = r->bp->env->slot();
	uint32_t start, tail;
	int err;

	if (slot == 0 || unm_bport_gone(r->bp) || is_stopped(r->bp))
		return -EIO;
	err = enter_ring(r, slot);
	if (err != 0)
		return err == -EBUSY ? err : -EIO;
	own_positions(r, &start, &tail);
	if (!unm_indices_ok(start, head, cur, tail, r->num_slots)) {
		unm_count(&r->kring->n_reinits, 1);
		unm_ring_reinit(
			r->ring, r->num_slots, r->n_bufs, r->buf_size, restart_position(r), tail);
		err = -EINVAL;
	} else {
		err = sync_checked(r, head, &tail);
	}
	if (err == 0) {
		*hwcur = r->is_rx ? unm_own_hwcur(r) : r->ops->tx_done(r);
		*hwtail = tail;
	}
	leave_ring(r);
	return err == 0 || err == -EINVAL ? err : -EIO;
}

void
unm_bring_receive(struct unm_bring *r)
{
	const struct unm_bport *bp = r->bp;
	const uint32_t slot = bp->env->slot();
	uint32_t start, old_tail, tail;
	bool has_come = false;

	if (slot == 0 || unm_bport_gone(bp) || enter_ring(r, slot) != 0)
		return;
	own_positions(r, &start, &old_tail);
	if (sync_checked(r, start, &tail) == 0)
		has_come = tail != old_tail;
	leave_ring(r);
	if (has_come)
		unm_count(&r->kring->n_wakes,
			unm_wake_ring(bp->env, bp->seg, r->kring, bp->info.port, UNM_WANT_RX));
}

/* Sync the @n rings of one direction. Return: 0, -ENXIO, -EIO. */
static int
sync_all(struct unm_bport *bp, struct unm_bring *rings, uint32_t n)
{
	const uint32_t slot = bp->env->slot();
	uint32_t i;
	int err = 0;

	if (unm_bport_gone(bp))
		return -ENXIO;
	unm_link_take(bp);
	if (slot == 0 || is_stopped(bp))
		return -EIO;
	for (i = 0; i < n; i++) { /* at most UNM_PORT_MAX_RINGS */
		const int e = sync_ring(&rings[i], slot);

		if (e == -ENXIO && unm_bport_gone(bp))
			return e;
		if (e < 0 && e != -EBUSY)
			err = -EIO;
	}
	return err;
}

int
unm_bport_txsync(struct unm_bport *bp)
{
	return sync_all(bp, bp->tx, bp->n_tx);
}

/* Time of the sync, for rings (spec 7.3): taken once for all rings of a binding. */
static void
stamp(struct unm_bport *bp)
{
	struct timespec ts;
	uint32_t i;

	clock_gettime(CLOCK_REALTIME, &ts);
	for (i = 0; i < bp->n_rx; i++) {
		/* Another thread may stamp the same ring now: either's time will do. */
		UNM_WRITE_ONCE(bp->rx[i].ring->ts.tv_sec, ts.tv_sec);
		UNM_WRITE_ONCE(bp->rx[i].ring->ts.tv_usec, ts.tv_nsec / 1000);
	}
}

/* Send what an rx sync has moved to tx rings. */
static void
send_forwarded(struct unm_bport *bp)
{
	if (__builtin_expect(!UNM_READ_ONCE(bp->has_forwarded), 1))
		return;
	UNM_WRITE_ONCE(bp->has_forwarded, false);
	sync_all(bp, bp->tx, bp->n_tx);
}

int
unm_bport_rxsync(struct unm_bport *bp)
{
	const int err = sync_all(bp, bp->rx, bp->n_rx);

	send_forwarded(bp);
	if (err != -ENXIO)
		stamp(bp);
	return err;
}

/* cur != tail, from the client's own words; nothing but its own readiness depends on them. */
static inline bool
ring_ready(const struct unm_bring *r)
{
	return UNM_READ_ONCE(r->ring->cur) != UNM_READ_ONCE(r->ring->tail);
}

static short
poll_tx(struct unm_bport *bp, uint32_t slot, bool want)
{
	bool ready = false;
	short bad = 0;
	uint32_t i;

	for (i = 0; i < bp->n_tx; i++) {
		struct unm_bring *r = &bp->tx[i];

		/* Sync while POLLOUT is not satisfied yet, or to flush what is pending. */
		if ((want && !ready) || UNM_READ_ONCE(r->ring->head) != r->ops->tx_done(r)) {
			const int e = sync_ring(r, slot);

			if (e != 0 && e != -EBUSY)
				bad = POLLERR;
		}
		ready = ready || ring_ready(r);
	}
	return (short)((want && ready ? POLL_OUT : 0) | bad);
}

static short
poll_rx(struct unm_bport *bp, uint32_t slot)
{
	bool ready = false;
	short bad = 0;
	uint32_t i;

	for (i = 0; i < bp->n_rx; i++) {
		const int e = sync_ring(&bp->rx[i], slot);

		if (e != 0 && e != -EBUSY)
			bad = POLLERR;
		ready = ready || ring_ready(&bp->rx[i]);
	}
	if (bp->n_rx > 0)
		stamp(bp);
	send_forwarded(bp);
	return (short)((ready ? POLL_IN : 0) | bad);
}

short
unm_bport_poll(struct unm_bport *bp, short events)
{
	const uint32_t slot = bp->env->slot();
	short got = 0;

	if (unm_bport_gone(bp) || slot == 0 || is_stopped(bp))
		return POLLERR;
	if ((events & POLL_OUT) || !(bp->info.nr_flags & NR_NO_TX_POLL))
		got |= poll_tx(bp, slot, (events & POLL_OUT) != 0);
	if (events & POLL_IN)
		got |= poll_rx(bp, slot);
	if ((events & POLLPRI) && unm_link_has_changed(bp))
		got |= POLLPRI;
	return (short)(got & (events | POLLERR));
}
