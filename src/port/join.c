/* SPDX-License-Identifier: BSD-2-Clause */
/* How two rings that netmapd has linked join. See join.h. */
/* Syscalls: nanosleep clock_nanosleep */
#include "port/join.h"

#include <time.h>

#include "ring/wake.h"
#include "shm/clock.h"

/*
 * Frames that the kernel has done with may have been redirected to the other socket and not be
 * shown there yet: until the end of a NAPI poll, which lasts less than 1 ms.
 */
#define JOIN_GRACE_NS 10000000u
/*
 * A receiver that sleeps has to be woken and to run, and the kernel's thread that passes frames on
 * too. How long that takes on a machine with too much to do is found by trying.
 */
#define JOIN_PATIENCE_NS UINT64_C(50000000)
#define JOIN_DOUBLINGS	 4u
#define JOIN_HOLD_NS	 UINT64_C(1000000000)
#define JOIN_PAUSE_NS	 UINT64_C(500000000)
#define JOIN_PAUSE_TIMES 10u /* as long as the try was: so tries in vain cost a tenth of the time */
#define JOIN_LOOK_NS	 50000u

/* Kring @idx is of a ring that @r can be joined with: find its ring. Return: false if it is not. */
static bool
meet(struct unm_bring *r, uint32_t idx)
{
	struct netmap_ring *ring;
	struct unm_kring *k;
	uint32_t n;

	r->peer_kring = NULL;
	if (idx >= r->bp->seg->n_krings)
		return false;
	k = &r->bp->seg->krings[idx];
	ring = unm_region_ring(r->bp->region, k, 2, &n);
	if (ring == NULL || n != r->num_slots || UNM_READ_ONCE(k->is_rx) == (uint32_t)r->is_rx)
		return false;
	r->peer_kring = k;
	r->peer_ring = ring;
	return true;
}

enum unm_join
unm_join_look_at_peer(struct unm_bring *r)
{
	const uint32_t gen = unm_load_acquire(&r->kring->join_gen);
	const struct unm_kring *rx;

	if (__builtin_expect(r->peer_kring == NULL || r->join_gen != gen, 0)) {
		if (!meet(r, UNM_READ_ONCE(r->kring->join_peer)))
			return UNM_JOIN_HALT; /* somebody's stray store */
		r->join_gen = gen;
		r->join_after_ns = 0;
	}
	if (UNM_READ_ONCE(r->peer_kring->join_peer) != r->kring_idx)
		return UNM_JOIN_OFF; /* netmapd was killed when it had parted them: old news */
	rx = r->is_rx ? r->kring : r->peer_kring;
	switch (unm_load_acquire(&rx->join_state)) {
	case UNM_JOIN_JOINED:
		r->peer_delta = UNM_READ_ONCE(rx->join_delta);
		return r->peer_delta < r->num_slots ? UNM_JOIN_ON : UNM_JOIN_HALT;
	case UNM_JOIN_LINKED:
		return UNM_JOIN_MEET;
	case UNM_JOIN_NONE:
		return UNM_JOIN_OFF;
	default:
		return UNM_JOIN_HALT;
	}
}

bool
unm_join_is_on(const struct unm_bring *r)
{
	const struct unm_seg *seg = r->bp->seg;
	const uint32_t peer = UNM_READ_ONCE(r->kring->join_peer);
	const struct unm_kring *rx = r->kring;

	if (peer >= seg->n_krings)
		return false;
	if (!r->is_rx)
		rx = &seg->krings[peer];
	return UNM_READ_ONCE(rx->join_state) == UNM_JOIN_JOINED;
}

static void
pause_ns(uint32_t ns)
{
	const struct timespec t = {.tv_nsec = ns};

	nanosleep(&t, NULL);
}

static uint64_t
patience_ns(const struct unm_bring *r)
{
	const uint32_t n = UNM_READ_ONCE(r->kring->join_failed);

	return JOIN_PATIENCE_NS << (n < JOIN_DOUBLINGS ? n : JOIN_DOUBLINGS);
}

static bool
wait_drained(struct unm_bring *r, bool (*is_drained)(struct unm_bring *r))
{
	const uint64_t until = unm_now_ns() + patience_ns(r);

	while (!is_drained(r)) {
		if (unm_now_ns() >= until)
			return false;
		pause_ns(JOIN_LOOK_NS);
	}
	return true;
}

/* A receiver that syncs is about to have read all that waits, as nothing is sent meanwhile. */
static bool
wait_joined(const struct unm_bring *r)
{
	const struct unm_kring *rx = r->peer_kring;
	const uint64_t patience = patience_ns(r), last = unm_now_ns() + JOIN_HOLD_NS;
	uint64_t n_seen = 0, until = 0;

	for (;;) { /* bounded by last */
		const uint32_t state = unm_load_acquire(&rx->join_state);
		const uint64_t n = __atomic_load_n(&rx->n_syncs, __ATOMIC_RELAXED);
		const uint64_t now = unm_now_ns();

		if (state != UNM_JOIN_LINKED)
			return state == UNM_JOIN_JOINED;
		if (until == 0 || n != n_seen)
			until = now + patience;
		n_seen = n;
		if (now >= until || now >= last)
			return false;
		pause_ns(JOIN_LOOK_NS);
	}
}

/*
 * @join_offer is an enum unm_join_offer with the number of the offer above it. Who has looked whether
 * anything is on its way takes the offer that was made before, and no later one: before that frames
 * may have been sent.
 */
#define OFFER_BITS 2

static uint32_t
offer_with(uint32_t offer, enum unm_join_offer state)
{
	return (offer & ~UNM_OFFER_STATES) | (uint32_t)state;
}

/* The offer is made, maybe by a process that was killed since: wait for the answer. */
static enum unm_join
conclude(struct unm_bring *r)
{
	const uint32_t offer = UNM_READ_ONCE(r->kring->join_offer);

	if (wait_joined(r))
		return unm_join_look_at_peer(r);
	if ((UNM_READ_ONCE(r->kring->join_offer) & UNM_OFFER_STATES) == UNM_OFFER_NONE)
		return UNM_JOIN_OFF; /* netmapd has parted us */
	if ((offer & UNM_OFFER_STATES) == UNM_OFFER_MADE &&
		unm_cas(&r->kring->join_offer, offer, offer_with(offer, UNM_OFFER_NONE)))
		return UNM_JOIN_OFF;
	/* Taken at the last moment, or the receiver was killed in between: then netmapd parts us */
	return wait_joined(r) ? unm_join_look_at_peer(r) : UNM_JOIN_HALT;
}

static enum unm_join
try_to_join(
	struct unm_bring *r, uint32_t offer, bool (*is_drained)(struct unm_bring *r), bool has_sent)
{
	struct unm_kring *rx = r->peer_kring;
	enum unm_join how;

	if ((offer & UNM_OFFER_STATES) == UNM_OFFER_NONE) {
		if (!wait_drained(r, is_drained))
			return UNM_JOIN_OFF;
		if (has_sent)
			pause_ns(JOIN_GRACE_NS);
		unm_store_release(&r->kring->join_offer,
			offer_with(offer + (1u << OFFER_BITS), UNM_OFFER_MADE));
	}
	unm_count(&r->kring->n_wakes,
		unm_wake_ring(r->bp->env, r->bp->seg, rx, UNM_READ_ONCE(rx->port), UNM_WANT_RX));
	how = conclude(r);
	return how == UNM_JOIN_MEET ? UNM_JOIN_OFF : how; /* the peer is another one by now */
}

enum unm_join
unm_join_offer(struct unm_bring *r, bool (*is_drained)(struct unm_bring *r), bool has_sent)
{
	const uint32_t offer = UNM_READ_ONCE(r->kring->join_offer);
	uint64_t begin, took;
	enum unm_join how;

	if ((offer & UNM_OFFER_STATES) == UNM_OFFER_NONE) {
		if (UNM_READ_ONCE(r->peer_kring->join_ready) == 0 ||
			unm_now_coarse_ns() < r->join_after_ns)
			return UNM_JOIN_OFF;
		UNM_WRITE_ONCE(r->peer_kring->join_ready, 0);
	}
	begin = unm_now_ns();
	how = try_to_join(r, offer, is_drained, has_sent);
	if (how == UNM_JOIN_OFF) {
		UNM_WRITE_ONCE(r->kring->join_failed, UNM_READ_ONCE(r->kring->join_failed) + 1);
		took = unm_now_ns() - begin;
		r->join_after_ns =
			begin + took +
			(took * JOIN_PAUSE_TIMES > JOIN_PAUSE_NS ? took * JOIN_PAUSE_TIMES
								 : JOIN_PAUSE_NS);
	}
	return how;
}

/* Is the array behind the slots inside the region? netmapd puts it there; the kring may not say so */
static bool
has_spares(const struct unm_bring *r)
{
	const struct unm_region *region = r->bp->region;
	const char *spares = (const char *)unm_join_spares(r->ring, r->num_slots);

	return region->info.size - (uint64_t)(spares - region->base) >=
	       r->num_slots * sizeof(uint32_t);
}

uint32_t
unm_join_offered(const struct unm_bring *r)
{
	/* What was sent before the offer is seen by who looks after this. */
	return unm_load_acquire(&r->peer_kring->join_offer);
}

bool
unm_join_answer(struct unm_bring *r, uint32_t offer, uint32_t pos, bool is_empty)
{
	struct unm_kring *k = r->kring, *tx = r->peer_kring;
	uint32_t *spares = unm_join_spares(r->ring, r->num_slots);
	const uint32_t state = offer & UNM_OFFER_STATES;
	const uint32_t from = UNM_READ_ONCE(tx->hwcur);
	uint32_t i;

	if (UNM_READ_ONCE(k->join_ready) == 0)
		UNM_WRITE_ONCE(k->join_ready, 1);
	if (!is_empty || from >= r->num_slots || !has_spares(r) ||
		(state != UNM_OFFER_MADE && state != UNM_OFFER_TAKEN))
		return false;
	if (state == UNM_OFFER_MADE &&
		!unm_cas(&tx->join_offer, offer, offer_with(offer, UNM_OFFER_TAKEN)))
		return false;
	for (i = 0; i < r->num_slots; i++)
		UNM_WRITE_ONCE(spares[i], UNM_READ_ONCE(r->ring->slot[i].buf_idx));
	UNM_WRITE_ONCE(k->join_delta, unm_pos_dist(from, pos, r->num_slots));
	UNM_WRITE_ONCE(k->hwcur, pos);
	UNM_WRITE_ONCE(k->hwtail, pos);
	unm_store_release(&k->join_state, UNM_JOIN_JOINED);
	unm_count(&k->n_wakes,
		unm_wake_ring(r->bp->env, r->bp->seg, tx, UNM_READ_ONCE(tx->port), UNM_WANT_TX));
	return true;
}
