/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping and waking, the two sides of one protocol (model-checked in test/model/):
 *
 *   sleeper                                    waker
 *     binding.want |= bits                       publish a position        (release)
 *     kring.want <- 1, each ring                 full fence            <-- unm_wake_ring()
 *     full fence          <-- unm_arm_fence()    kring.want == 0? done
 *     look at the positions once more            exchange(kring.want, 0)
 *     nothing: sleep until a signal after        for each binding of the port:
 *     the last one taken                             exchange(binding.want, 0) & bits? signal
 *
 * With a fence on each side, either the sleeper's look sees the position or the waker sees
 * kring.want. kring.want is cleared by an exchange, not a store: the walk after it must see the
 * binding.want of every sleeper whose kring.want it has wiped out, or the next waker would find
 * nobody. It is set by an exchange too, so that a waker that meets the mark of the second of two
 * sleepers has also met the first's.
 *
 * A signal is a write to the binding's eventfd, and is meant for all who sleep on the binding. So
 * nobody reads the eventfd, as that would take the signal from those who have not run yet: each
 * sleeper notices by an edge of its own (an epoll instance, edge-triggered).
 *
 * The look is a sync, and a sync passes over a ring that somebody else is syncing. Who did that
 * sync may have looked before the position was published: on leaving the ring it signals the
 * sleepers of its own port if anybody was turned away (port/sync_fp.c).
 *
 * A waker that is killed between the exchange and the signal owes a wake-up: netmapd pays it when
 * the dead one's session hangs up.
 */
#ifndef UNM_RING_WAKE_H
#define UNM_RING_WAKE_H

#include "ring/view.h"
#include "shm/atomic.h"

/* Announce sleep on one ring; after binding.want has been set. */
static inline void
unm_arm_ring(struct unm_kring *k)
{
	unm_exchange(&k->want, 1);
}

/*
 * After the last unm_arm_ring(), before the last look at the rings. Pairs with the fence in
 * unm_wake_ring().
 */
static inline void
unm_arm_fence(void)
{
	unm_full_fence();
}

/**
 * unm_wake_port() - signal the sleeping bindings of a port
 * @mask: UNM_WANT_RX and/or UNM_WANT_TX
 *
 * One write(2) for each sleeper; the walk is bounded by the binding table. Return: number of
 * signals.
 */
unsigned int unm_wake_port(
	const struct unm_env *env, const struct unm_seg *seg, uint32_t port, uint32_t mask);

/* After a position of @k was published: wake who sleeps on it. Return: number of signals. */
static inline unsigned int
unm_wake_ring(const struct unm_env *env, const struct unm_seg *seg, struct unm_kring *k,
	uint32_t port, uint32_t mask)
{
	unm_full_fence(); /* pairs with unm_arm_fence() */
	if (__builtin_expect(UNM_READ_ONCE(k->want) == 0, 1))
		return 0;
	unm_exchange(&k->want, 0);
	return unm_wake_port(env, seg, port, mask);
}

#endif
