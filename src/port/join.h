/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two NIC ports that are the ends of one veth pair: frames go from one's tx ring straight into the
 * other's rx ring, as on a pipe, instead of through the kernel.
 *
 *   X.tx[i] ====> Y.rx[i]     each such pair of rings by itself; a ring whose counterpart is not
 *   X.rx[i] <==== Y.tx[i]     open, or has another number of slots, goes through the kernel
 *
 * netmapd knows which interfaces belong together. It *links* two rings, and parts them again when
 * an end closes, dies, goes down or moves (daemon/join.h). What it can't see is what is on its way
 * in the kernel; so the two syncs agree between themselves when to *join*:
 *
 *   X's txsync                                    Y's rxsync
 *     goes on through the kernel until              goes on through the kernel
 *     join_ready says that Y syncs           <--    join_ready = 1
 *     waits until its own frames are through
 *     join_offer = MADE, wakes Y             -->    sees the offer, and after that:
 *                                                   nothing in the socket, no slot with the client:
 *     waits                                           offer MADE -> TAKEN (compare and swap)
 *                                                     buffers of the slots -> spares; delta
 *     sees JOINED, or takes the offer back   <--      join_state = JOINED, wakes X
 *
 * So nothing overtakes, nothing is lost, and X is held up only in one sync: while its frames drain,
 * and then until Y answers or has not synced for some time. That time is 50 ms, and twice as long
 * after each try that was in vain, so that X and Y also meet where Y waits long for a processor; 0.8 s
 * at most, as Y may never be empty, or be stopped. A Y that goes on syncing is waited for up to 1 s.
 * After a try in vain X goes on for ten times as long as it took before it tries again.
 *
 * Buffers: from JOINED on, Y's slots hold what X lends, and X gets the same buffers back, as an
 * application may count on that (pkt-gen fills them once). Y's own are kept, in the order of its
 * slots, in an array behind them in the ring object: the *spares*. Parting is then an exchange that
 * needs no allocation, and that can be repeated if netmapd dies in the middle.
 *
 * All of this is memory of one trust domain; every word is checked before it is used as an index.
 */
#ifndef UNM_PORT_JOIN_H
#define UNM_PORT_JOIN_H

#include "port/internal.h"

enum unm_join {
	UNM_JOIN_OFF,  /* through the kernel */
	UNM_JOIN_MEET, /* through the kernel, and see whether the other one is ready to join */
	UNM_JOIN_ON,   /* as a pipe: r->peer_* are set */
	UNM_JOIN_HALT, /* nothing moves at the moment; whoever changes that wakes the ring's sleepers */
};

/* Buffers of an rx ring's slots while it is joined. */
static inline uint32_t *
unm_join_spares(struct netmap_ring *ring, uint32_t num_slots)
{
	return (uint32_t *)(void *)&ring->slot[num_slots];
}

/* A sync of a ring that is halted: all is as it was. */
static inline int
unm_join_stay(const struct unm_bring *r, uint32_t *tail)
{
	const uint32_t pos = UNM_READ_ONCE(r->kring->pub_tail);

	*tail = pos < r->num_slots ? pos : unm_own_hwcur(r);
	return 0;
}

/* Is this ring a pipe at the moment? From outside a sync, so it may have changed already. */
bool unm_join_is_on(const struct unm_bring *r);

enum unm_join unm_join_look_at_peer(struct unm_bring *r);

/* How does @r go on? At the begin of each sync, busy word held. */
static inline enum unm_join
unm_join_look(struct unm_bring *r)
{
	if (__builtin_expect(UNM_READ_ONCE(r->kring->join_peer) == UNM_NONE, 1))
		return UNM_JOIN_OFF;
	return unm_join_look_at_peer(r);
}

/**
 * unm_join_offer() - a tx ring in UNM_JOIN_MEET: join now, if the receiver is there
 * @r:          busy word held, hwcur up to date
 * @is_drained: has the kernel done with all frames of this ring? Looks for completions itself
 * @has_sent:   frames have gone through the kernel: the last may still be on its way
 *
 * Blocks as said above; only while the receiver syncs. Return: UNM_JOIN_OFF, UNM_JOIN_ON or
 * UNM_JOIN_HALT.
 */
enum unm_join unm_join_offer(
	struct unm_bring *r, bool (*is_drained)(struct unm_bring *r), bool has_sent);

/** unm_join_offered() - an rx ring in UNM_JOIN_MEET, before its sync: for unm_join_answer() */
uint32_t unm_join_offered(const struct unm_bring *r);

/**
 * unm_join_answer() - an rx ring in UNM_JOIN_MEET, after its sync
 * @offer:    what unm_join_offered() said before it looked for frames
 * @pos:      its head
 * @is_empty: head is also its tail, and nothing waits in the kernel
 *
 * Return: true if it is joined from now on.
 */
bool unm_join_answer(struct unm_bring *r, uint32_t offer, uint32_t pos, bool is_empty);

#endif
