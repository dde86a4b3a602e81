/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock word in shared memory that survives the death of its holder and any garbage in the word.
 *
 * The word is 0 when free, else the holder's client slot (given by netmapd with the session, 1 ... 65535) with
 * UNM_LOCK_CONTENDED set while somebody may sleep on it. Two threads of one process share a slot; they exclude each
 * other all the same, as the word only ever goes from 0 to taken.
 *
 * Why not a robust pthread mutex: its list pointers and type lie in the shared word itself, where a peer's stray store turns
 * them into wild writes of ours. Here a peer can do no more than make us wait for a bounded time:
 *
 *   holder dies      netmapd sees the session's socket hang up and frees the words that carry the slot
 *   holder stopped,  unm_lock_wait() gives up after UNM_LOCK_WAIT_MS; the caller drops (and counts) its frames,
 *   or garbage       and tells netmapd (UNM_MSG_LOCK_STUCK), which frees a word whose slot is nobody's
 *
 * What a lock protects must therefore be valid at every instruction: data first, position last.
 */
#ifndef UNM_SHM_LOCK_H
#define UNM_SHM_LOCK_H

#include <errno.h>
#include <stdint.h>

#include "shm/atomic.h"

#define UNM_LOCK_CONTENDED 0x80000000u
#define UNM_LOCK_SLOT_MASK 0x0000ffffu
#define UNM_LOCK_WAIT_MS   50 /* many scheduling slices of a preempted holder, yet no hang for a human */

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

/**
 * unm_lock_wait() - take the lock, spinning briefly, then sleeping
 *
 * Blocks for at most UNM_LOCK_WAIT_MS. Return: 0 or -ETIMEDOUT.
 */
int unm_lock_wait(uint32_t *word, uint32_t slot);

static inline int
unm_lock_take(uint32_t *word, uint32_t slot)
{
	return unm_lock_try(word, slot) == 0 ? 0 : unm_lock_wait(word, slot);
}

void unm_lock_wake(uint32_t *word);

/* Give up a lock that the caller holds. All stores made under it are seen by the next holder. */
static inline void
unm_lock_release(uint32_t *word)
{
	if (unm_exchange(word, 0) & UNM_LOCK_CONTENDED)
		unm_lock_wake(word);
}

/**
 * unm_lock_break() - free the word if @slot holds it; for netmapd, once that client is known to be dead
 *
 * Return: 1 if it was held by @slot, else 0.
 */
int unm_lock_break(uint32_t *word, uint32_t slot);

#endif
