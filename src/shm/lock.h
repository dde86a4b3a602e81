/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock word in shared memory that survives the death of its holder and any garbage in the word.
 *
 * The word is 0 when free, else the holder's client slot (given by netmapd with the session, 1 ...
 * 65535) with UNM_LOCK_CONTENDED set while somebody may sleep on it. Two threads of one process
 * share a slot; they exclude each other all the same, as the word only ever goes from 0 to taken.
 *
 * Why not a robust pthread mutex: its list pointers and type lie in the shared word itself, where a
 * peer's stray store turns them into wild writes of ours. Here a peer can do no more than make us
 * wait for a bounded time:
 *
 *   holder dies      netmapd sees the session's socket hang up and frees the words that carry the
 *                    slot
 *   holder stopped,  unm_lock_wait() gives up when its budget is used up; the caller drops (and
 *   or garbage       counts) its frames, and tells netmapd (UNM_MSG_LOCK_STUCK), which frees a word
 *                    whose slot is nobody's
 *
 * What a lock protects must therefore be valid at every instruction: data first, position last.
 * Waiting, giving up, dying and breaking are checked exhaustively by test/model/lock.pml.
 */
#ifndef UNM_SHM_LOCK_H
#define UNM_SHM_LOCK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/atomic.h"

#define UNM_LOCK_CONTENDED 0x80000000u
#define UNM_LOCK_SLOT_MASK 0x0000ffffu
#define UNM_LOCK_WAIT_MS                                                                           \
	50 /* many scheduling slices of a preempted holder, yet no hang for a human */

/**
 * unm_lock_try() - take the lock if it is free
 * @word: lock word
 * @slot: the caller's client slot, 1 ... 65535
 *
 * Return: 0 or -EBUSY.
 */
static inline int
unm_lock_try(uint32_t *word, uint32_t slot)
{
	if (UNM_READ_ONCE(*word) != 0)
		return -EBUSY;
	return unm_cas(word, 0, slot) ? 0 : -EBUSY;
}

#define UNM_LOCK_WAIT_NS (UNM_LOCK_WAIT_MS * UINT64_C(1000000))

/**
 * unm_lock_wait() - take the lock, spinning briefly, then sleeping
 * @budget_ns: longest sleep. Reduced by the time that was slept, so that one budget bounds any
 * number of waits; with
 *             nothing left the lock is still spun for.
 *
 * Return: 0 or -ETIMEDOUT; the word is then marked as contended, unless it has just changed.
 */
int unm_lock_wait(uint32_t *word, uint32_t slot, uint64_t *budget_ns);

/* Take the lock, waiting for at most UNM_LOCK_WAIT_MS. Return: 0 or -ETIMEDOUT. */
static inline int
unm_lock_take(uint32_t *word, uint32_t slot)
{
	uint64_t budget_ns = UNM_LOCK_WAIT_NS;

	return unm_lock_try(word, slot) == 0 ? 0 : unm_lock_wait(word, slot, &budget_ns);
}

void unm_lock_wake(uint32_t *word);

/**
 * unm_lock_release() - give up a lock that the caller holds
 *
 * All stores made under it are seen by the next holder. Return: true if somebody waited, or gave up
 * waiting, meanwhile.
 */
static inline bool
unm_lock_release(uint32_t *word)
{
	if (!(unm_exchange(word, 0) & UNM_LOCK_CONTENDED))
		return false;
	unm_lock_wake(word);
	return true;
}

/**
 * unm_lock_try_or_mark() - for words that nobody sleeps on: take the lock, or let its holder know
 * that somebody was turned away
 *
 * Return: 0, or -EBUSY: the holder's unm_lock_release_unslept() returns true.
 */
static inline int
unm_lock_try_or_mark(uint32_t *word, uint32_t slot)
{
	int i;

	if (__builtin_expect(unm_lock_try(word, slot) == 0, 1))
		return 0;
	for (i = 0; i < 16;
		i++) { /* each turn means that the word has changed in the last few nanoseconds */
		const uint32_t seen = UNM_READ_ONCE(*word);

		if (seen == 0) {
			if (unm_cas(word, 0, slot))
				return 0;
		} else if ((seen & UNM_LOCK_CONTENDED) ||
			   unm_cas(word, seen, seen | UNM_LOCK_CONTENDED)) {
			return -EBUSY;
		}
	}
	return -EBUSY;
}

/* As unm_lock_release(), for words that nobody sleeps on. */
static inline bool
unm_lock_release_unslept(uint32_t *word)
{
	return (unm_exchange(word, 0) & UNM_LOCK_CONTENDED) != 0;
}

/**
 * unm_lock_break() - free the word if @slot holds it; for netmapd, once that client is known to be
 * dead
 *
 * Return: 1 if it was held by @slot, else 0.
 */
int unm_lock_break(uint32_t *word, uint32_t slot);

#endif
