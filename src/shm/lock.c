/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slow half of the shared lock: waiting, waking, breaking. See lock.h.
 *
 * A waiter marks the word as contended and sleeps in FUTEX_WAIT on exactly the value it saw, so a release between the two is never
 * missed. A sleeper that takes the lock keeps the mark, because it can't know whether it was the last one.
 */
#include "shm/lock.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOCK_SPINS 200 /* about 5 us: longer than a batch of small frames is copied, shorter than a sleep */

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int
unm_lock_wait(uint32_t *word, uint32_t slot)
{
	uint64_t deadline;
	int i;

	for (i = 0; i < LOCK_SPINS; i++) {
		if (unm_lock_try(word, slot) == 0)
			return 0;
		unm_cpu_relax();
	}
	deadline = now_ns() + UNM_LOCK_WAIT_MS * UINT64_C(1000000);
	for (;;) { /* bounded by the deadline */
		uint32_t seen = UNM_READ_ONCE(*word);
		uint64_t now;
		struct timespec left;

		if (seen == 0) {
			if (unm_cas(word, 0, slot | UNM_LOCK_CONTENDED))
				return 0;
			continue;
		}
		now = now_ns();
		if (now >= deadline)
			return -ETIMEDOUT;
		if (!(seen & UNM_LOCK_CONTENDED)) {
			if (!unm_cas(word, seen, seen | UNM_LOCK_CONTENDED))
				continue;
			seen |= UNM_LOCK_CONTENDED;
		}
		left.tv_sec = 0;
		left.tv_nsec = (long)(deadline - now);
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
	const uint32_t seen = UNM_READ_ONCE(*word);

	if (seen == 0 || (seen & UNM_LOCK_SLOT_MASK) != slot || !unm_cas(word, seen, 0))
		return 0;
	unm_lock_wake(word);
	return 1;
}
