/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings: opening and closing them while other processes look on. See domain.h.
 *
 * An open ring's positions belong to its clients. To change them netmapd does what a client does,
 * it takes the words that guard them: @busy of the ring and, where others deliver, @lock. It only
 * ever tries, as it must not wait for a client; a holder has it for the length of a batch copy, so
 * a few tries with short sleeps nearly always do.
 */
/* Syscalls: nanosleep clock_nanosleep */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/domain.h"
#include "daemon/format.h"
#include "daemon/join.h"
#include "shm/lock.h"

#define GUARD_TRIES    10
#define GUARD_SLEEP_NS 100000

struct unm_kring *
unm_dport_kring(const struct unm_dport *port, uint32_t i)
{
	return &port->seg->krings[port->kring_base + i];
}

uint32_t
unm_dport_ring_slots(const struct unm_dport *port, uint32_t i)
{
	return i < port->n_tx ? port->tx_slots : port->rx_slots;
}

uint64_t
unm_dport_ring_ofs(const struct unm_dport *port, uint32_t i)
{
	return port->region->info.ring_ofs +
	       (uint64_t)port->rings[i].obj * port->region->info.ring_size;
}

static int
try_word(uint32_t *word)
{
	const struct timespec pause = {.tv_nsec = GUARD_SLEEP_NS};
	int i;

	for (i = 0; i < GUARD_TRIES; i++) {
		if (unm_lock_try(word, UNM_SLOT_NETMAPD) == 0)
			return 0;
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

int
unm_dring_guard(const struct unm_dport *port, uint32_t i)
{
	struct unm_kring *k = unm_dport_kring(port, i);

	if (try_word(&k->busy) < 0)
		return -EBUSY;
	if (i >= port->n_tx && port->ops->shares_rx_lock && try_word(&k->lock) < 0) {
		unm_lock_release(&k->busy);
		return -EBUSY;
	}
	return 0;
}

/* Who was turned away meanwhile may have gone to sleep on what it knew before. */
void
unm_dring_unguard(const struct unm_dport *port, uint32_t i)
{
	struct unm_kring *k = unm_dport_kring(port, i);

	if (i >= port->n_tx && port->ops->shares_rx_lock)
		unm_lock_release(&k->lock);
	if (unm_lock_release(&k->busy))
		unm_dseg_wake(port->seg);
}

/* Positions of a fresh ring (spec 7.1), or of a closed one: no room for anybody. */
static void
set_positions(const struct unm_dport *port, uint32_t i, bool is_open)
{
	struct unm_kring *k = unm_dport_kring(port, i);
	const uint32_t n = unm_dport_ring_slots(port, i);
	const uint32_t last = n > 0 ? n - 1 : 0;

	UNM_WRITE_ONCE(k->hwcur, 0);
	UNM_WRITE_ONCE(k->last_head, 0);
	UNM_WRITE_ONCE(k->pub_tail, i < port->n_tx ? last : 0);
	unm_store_release(&k->hwtail, i >= port->n_tx && !is_open ? last : 0);
}

static void
clear_offsets(struct unm_kring *k)
{
	k->offset_mask = 0;
	k->offset_max = 0;
	k->offset_gap = 0;
}

static int
format(struct unm_dport *port, uint32_t i, const uint32_t *bufs)
{
	const struct unm_ring_format f = {
		.ring_ofs = unm_dport_ring_ofs(port, i),
		.num_slots = unm_dport_ring_slots(port, i),
		.ring_id = i < port->n_tx ? i : i - port->n_tx,
		.is_rx = i >= port->n_tx,
		.bufs = bufs,
	};

	return unm_format_ring(port->region, &f);
}

int
unm_dring_commit(const struct unm_dport *port, uint32_t i, struct unm_reason *why)
{
	return unm_pool_commit(
		&port->region->rings, port->rings[i].obj, unm_dport_ring_objs(port, i), why);
}

static int
open_with(struct unm_dport *port, uint32_t i, const uint32_t *bufs, struct unm_reason *why)
{
	struct unm_dring *ring = &port->rings[i];
	int ret = unm_dring_commit(port, i, why);

	if (ret < 0)
		return ret;
	if (format(port, i, bufs) < 0)
		return unm_fail(why, -ENOMEM, "can't write a ring into the memory region");
	if (unm_dring_guard(port, i) < 0)
		return unm_fail(why, -EBUSY,
			"ring %u of this port is still held by another client; try again", i);
	set_positions(port, i, true);
	clear_offsets(unm_dport_kring(port, i));
	unm_dring_unguard(port, i);
	ring->is_open = true;
	ring->is_virgin = true;
	ring->offset_bits = 0;
	ring->offset_max = 0;
	return 0;
}

int
unm_dring_open_rx_empty(struct unm_dport *port, uint32_t i, struct unm_reason *why)
{
	return open_with(port, i, NULL, why);
}

int
unm_dring_open(struct unm_dport *port, uint32_t i, struct unm_reason *why)
{
	struct unm_dring *ring = &port->rings[i];
	const uint32_t n = unm_dport_ring_slots(port, i);
	uint32_t *bufs;
	int ret;

	if (ring->is_closing && unm_dring_close(port, i) < 0)
		return unm_fail(why, -EBUSY,
			"ring %u of this port is still held by a client that is leaving; try again",
			i);
	if (ring->is_open)
		return 0;
	bufs = calloc((size_t)n + 1, sizeof(*bufs));
	if (bufs == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	ret = unm_pool_alloc_many(&port->region->bufs, n, bufs, why);
	if (ret == 0) {
		ret = open_with(port, i, bufs, why);
		if (ret < 0)
			unm_pool_free_many(&port->region->bufs, bufs, n);
	}
	if (ret == 0 && port->ops->ring_opened != NULL) {
		ret = port->ops->ring_opened(port, i, why);
		if (ret < 0)
			unm_dring_close(port, i);
	}
	free(bufs);
	return ret;
}

/*
 * A pipe takes whole frames only: one without an end is still the sender's, and the next one's
 * would be glued to it, or find the ring full of it for ever. No slot changes hands here.
 */
static int
restart_pipe_tx(struct unm_dport *port, uint32_t i)
{
	struct unm_kring *k = unm_dport_kring(port, i);
	/* Who holds it without being a user is dead, or leaves it as it is: nobody is waited for. */
	const bool is_guarded = unm_dring_guard(port, i) == 0;
	const uint32_t sent =
		UNM_READ_ONCE(unm_dport_kring(port->peer, port->peer->n_tx + i)->hwtail);
	const uint32_t n = port->tx_slots, tail = UNM_READ_ONCE(k->pub_tail);
	int ret = 0;

	if (sent < n && tail < n) { /* else they are nonsense, which the syncs deal with */
		ret = unm_format_ring_restart(
			port->region, unm_dport_ring_ofs(port, i), n, sent, tail);
		UNM_WRITE_ONCE(k->last_head, sent);
		UNM_WRITE_ONCE(k->mon_from, UNM_NONE); /* other frames will be in these slots */
	}
	if (is_guarded)
		unm_dring_unguard(port, i);
	return ret;
}

int
unm_dring_reuse(struct unm_dport *port, uint32_t i)
{
	if (port->kind == UNM_PORT_PIPE && i < port->n_tx && port->peer != NULL)
		return restart_pipe_tx(port, i);
	return unm_format_ring_rewind(port->region, unm_dport_ring_ofs(port, i));
}

/*
 * Whose slot tells the truth about a pipe's buffers: the receiver's for what it has not given back,
 * else the sender's.
 */
static void
pipe_merge(const struct unm_dport *port, uint32_t i, uint32_t *bufs)
{
	const struct unm_dport *peer = port->peer;
	const uint32_t n = port->tx_slots;
	const uint32_t rx = peer->n_tx + i;
	const uint32_t from = (UNM_READ_ONCE(unm_dport_kring(port, i)->pub_tail) + 1) % n;
	const uint32_t to = UNM_READ_ONCE(unm_dport_kring(peer, rx)->hwtail) % n;
	uint32_t *theirs = calloc(n, sizeof(*theirs));
	uint32_t p;

	if (theirs == NULL)
		return;
	if (unm_format_slot_bufs(peer->region, unm_dport_ring_ofs(peer, rx), n, theirs) == 0) {
		for (p = from; p != to; p = (p + 1) % n) /* below n steps */
			bufs[p] = theirs[p];
	}
	free(theirs);
}

/*
 * Return the buffers that the slots name. What a client has put there may be nonsense: the pool
 * skips that.
 */
static void
reclaim_bufs(struct unm_dport *port, uint32_t i)
{
	const uint32_t n = unm_dport_ring_slots(port, i);
	const bool is_pipe = port->kind == UNM_PORT_PIPE;
	uint32_t *bufs;

	if (n == 0 || (is_pipe && i >= port->n_tx))
		return; /* an rx slot's buffer is accounted for with the peer's tx ring */
	bufs = calloc(n, sizeof(*bufs));
	if (bufs == NULL)
		return; /* lost until the region is empty */
	if (unm_format_slot_bufs(port->region, unm_dport_ring_ofs(port, i), n, bufs) == 0) {
		/* else nothing has been sent: the pipe was not opened to the end */
		if (is_pipe && port->peer != NULL &&
			port->peer->rings[port->peer->n_tx + i].is_open)
			pipe_merge(port, i, bufs);
		unm_pool_free_many(&port->region->bufs, bufs, n);
	}
	free(bufs);
}

int
unm_dring_close(struct unm_dport *port, uint32_t i)
{
	struct unm_dring *ring = &port->rings[i];

	if (!ring->is_open) {
		/*
		 * Its memory may be about to be reused: nobody may be looking at a closed ring
		 * under its lock either.
		 */
		if (port->is_dying) {
			if (unm_dring_guard(port, i) < 0)
				return -EBUSY;
			unm_dring_unguard(port, i);
		}
		return 0;
	}
	if (unm_join_part(port, i, true) < 0 || unm_dring_guard(port, i) < 0) {
		ring->is_closing = true;
		return -EBUSY;
	}
	/*
	 * A pipe's positions are needed by its other half, and nobody can deliver: both ends are
	 * closed together.
	 */
	if (!port->ops->keeps_rings)
		set_positions(port, i, false);
	if (port->ops->ring_closing != NULL)
		port->ops->ring_closing(port, i);
	unm_dring_unguard(port, i);
	reclaim_bufs(port, i);
	ring->is_open = false;
	ring->is_closing = false;
	return 0;
}
