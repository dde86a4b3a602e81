/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to netmapd, made by a thread of their own: netmapd may be away, or stopped, and whoever
 * asks it then waits for seconds. The loop must not, as all NICs of the process would.
 *
 *   loop                                      the asker, one thread for the process
 *     under the lock: what is wanted            under the lock: a job that is due; it is running
 *     unm_ask(job)  ------- wake ------------>  job->fn(job): asks netmapd, as long as it takes
 *     goes on                                   failed: due again after a pause, which grows
 *                                               asked for anew meanwhile: due in 10 ms
 *
 * So what a job says in the end is what was wanted last, whatever became of netmapd in between.
 * Jobs run one at a time, in turn.
 */
#ifndef UNM_VM_ASKER_H
#define UNM_VM_ASKER_H

#include <stdbool.h>
#include <stdint.h>

struct unm_ask {
	/*
	 * Runs in the asker, without the lock. Return: done; else it runs again. What it works on
	 * belongs to it from unm_ask() on, but for what the lock protects.
	 */
	bool (*fn)(struct unm_ask *a);
	/* The asker's, under its lock */
	struct unm_ask *next;
	bool is_known, is_wanted, is_running;
	uint64_t due_ns;
	uint64_t not_before_ns; /* whoever wants it again and again does not keep netmapd busy */
	unsigned int pause_ms;
};

/*
 * Start the thread; before calls are limited (sandbox). Without it unm_ask() runs the job itself,
 * once. Return: 0 or a negative errno.
 */
int unm_asker_start(void);

/* No job is known any more. Waits for one that is running. */
void unm_asker_stop(void);

/* Have @a run soon. It is borrowed until unm_ask_end(). */
void unm_ask(struct unm_ask *a);

/* Does it run, or wait to? */
bool unm_ask_is_busy(struct unm_ask *a);

/* Forget @a; waits until it does not run. Not for the loop while that may be long. */
void unm_ask_end(struct unm_ask *a);

/* For what a job and the loop share. Held for moments only. */
void unm_asker_lock(void);
void unm_asker_unlock(void);

#endif
