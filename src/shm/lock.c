/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slow half of the shared lock: waiting, waking, breaking. See lock.h.
 *
 * A waiter marks the word as contended and sleeps in FUTEX_WAIT on exactly the value it saw, so a
 * release between the two is never missed. A sleeper that takes the lock keeps the mark, because it
 * can't know whether it was the last one.
 */
/* Syscalls: futex */
#include "shm/lock.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/clock.h"

#define NS_PER_S UINT64_C(1000000000)

#define LOCK_SPINS                                                                                 \
	200 /* about 5 us: longer than a batch of small frames is copied, shorter than a sleep */

/*
 * A waiter that marks the word makes the exchange of a breaker fail, once for each lock that is
 * broken. More tries only matter to a word that somebody scribbles on.
 */
#define BREAK_TRIES 100

/*
 * Let the release find out that somebody waits. Return: the word as it is then, without the mark if
 * it changed meanwhile.
 */
static uint32_t
mark_contended(uint32_t *word, uint32_t seen)
{
	if (!(seen & UNM_LOCK_CONTENDED) && unm_cas(word, seen, seen | UNM_LOCK_CONTENDED))
		seen |= UNM_LOCK_CONTENDED;
	return seen;
}

int
unm_lock_wait(uint32_t *word, uint32_t slot, uint64_t *budget_ns)
{
	const uint64_t budget = *budget_ns;
	uint64_t start, spent;
	int i;

	for (i = 0; i < LOCK_SPINS; i++) {
		if (unm_lock_try(word, slot) == 0)
			return 0;
		unm_cpu_relax();
	}
	start = unm_now_ns();
	for (;;) { /* bounded by the budget */
		uint32_t seen = UNM_READ_ONCE(*word);
		struct timespec left;

		if (seen == 0 && unm_cas(word, 0, slot | UNM_LOCK_CONTENDED)) {
			spent = unm_now_ns() - start;
			*budget_ns = spent < budget ? budget - spent : 0;
			return 0;
		}
		/*
		 * Before giving up, too: the wake-up that brought us here may have been meant for
		 * the next sleeper as well.
		 */
		if (seen != 0)
			seen = mark_contended(word, seen);
		spent = unm_now_ns() - start;
		if (spent >= budget) {
			*budget_ns = 0;
			/*
			 * No release will wake those who still sleep: the wake-up that we got has
			 * to.
			 */
			if (!(seen & UNM_LOCK_CONTENDED))
				unm_lock_wake(word);
			return -ETIMEDOUT;
		}
		if (!(seen & UNM_LOCK_CONTENDED))
			continue;
		left.tv_sec = (time_t)((budget - spent) / NS_PER_S);
		left.tv_nsec = (long)((budget - spent) % NS_PER_S);
		syscall(SYS_futex, word, FUTEX_WAIT, seen, &left, NULL, 0);
	}
}

void
unm_lock_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

int
unm_lock_break(uint32_t *word, uint32_t slot)
{
	int i;

	for (i = 0; i < BREAK_TRIES; i++) {
		const uint32_t seen = UNM_READ_ONCE(*word);

		if (seen == 0 || (seen & UNM_LOCK_SLOT_MASK) != slot)
			return 0;
		if (unm_cas(word, seen, 0)) {
			unm_lock_wake(word);
			return 1;
		}
	}
	return 0;
}
