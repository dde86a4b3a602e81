/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread that asks netmapd. See asker.h. */
#include "vm/asker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "shm/clock.h"
#include "shm/thread.h"

#define FIRST_PAUSE_MS	 50
#define LONGEST_PAUSE_MS 1000
#define LEAST_GAP_NS	 10000000 /* between two runs of a job */

/* One for the process. All is under @lock. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* something to do; a job has ended */
	pthread_t thread;
	struct unm_ask *jobs; /* those that are known */
	bool is_started, must_end;
} asker = {.lock = PTHREAD_MUTEX_INITIALIZER};

void
unm_asker_lock(void)
{
	pthread_mutex_lock(&asker.lock);
}

void
unm_asker_unlock(void)
{
	pthread_mutex_unlock(&asker.lock);
}

/* The job that is due first; NULL: none is wanted. */
static struct unm_ask *
find_job(void)
{
	struct unm_ask *a, *first = NULL;

	for (a = asker.jobs; a != NULL; a = a->next) { /* as many as NICs, twice */
		if (a->is_wanted && (first == NULL || a->due_ns < first->due_ns))
			first = a;
	}
	return first;
}

static void
run(struct unm_ask *a)
{
	bool is_done;

	a->is_wanted = false;
	a->is_running = true;
	pthread_mutex_unlock(&asker.lock);
	is_done = a->fn(a);
	pthread_mutex_lock(&asker.lock);
	a->is_running = false;
	a->not_before_ns = unm_now_ns() + LEAST_GAP_NS;
	if (a->is_wanted)
		a->due_ns = a->not_before_ns;
	if (!is_done && !a->is_wanted) {
		a->is_wanted = true;
		a->due_ns = unm_now_ns() + a->pause_ms * UINT64_C(1000000);
		a->pause_ms =
			a->pause_ms * 2 < LONGEST_PAUSE_MS ? a->pause_ms * 2 : LONGEST_PAUSE_MS;
	}
	pthread_cond_broadcast(&asker.changed);
}

static void
wait_until(uint64_t ns)
{
	const struct timespec t = unm_timespec(ns);

	pthread_cond_timedwait(&asker.changed, &asker.lock, &t);
}

static void *
ask_on(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&asker.lock);
	while (!asker.must_end) {
		struct unm_ask *a = find_job();

		if (a == NULL)
			pthread_cond_wait(&asker.changed, &asker.lock);
		else if (a->due_ns > unm_now_ns())
			wait_until(a->due_ns);
		else
			run(a);
	}
	pthread_mutex_unlock(&asker.lock);
	return NULL;
}

int
unm_asker_start(void)
{
	pthread_condattr_t attr;
	int err;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&asker.changed, &attr);
	pthread_condattr_destroy(&attr);
	asker.must_end = false;
	err = unm_thread_start(&asker.thread, ask_on, NULL);
	asker.is_started = err == 0;
	return err;
}

void
unm_asker_stop(void)
{
	if (!asker.is_started)
		return;
	pthread_mutex_lock(&asker.lock);
	asker.must_end = true;
	pthread_cond_broadcast(&asker.changed);
	pthread_mutex_unlock(&asker.lock);
	pthread_join(asker.thread, NULL);
	pthread_cond_destroy(&asker.changed);
	asker.is_started = false;
}

void
unm_ask(struct unm_ask *a)
{
	if (!asker.is_started) {
		(void)a->fn(a); /* nobody is there to repeat it */
		return;
	}
	pthread_mutex_lock(&asker.lock);
	if (!a->is_known) {
		a->is_known = true;
		a->next = asker.jobs;
		asker.jobs = a;
	}
	a->is_wanted = true;
	a->due_ns = a->not_before_ns;
	a->pause_ms = FIRST_PAUSE_MS;
	pthread_cond_broadcast(&asker.changed);
	pthread_mutex_unlock(&asker.lock);
}

bool
unm_ask_is_busy(struct unm_ask *a)
{
	bool busy;

	pthread_mutex_lock(&asker.lock);
	busy = a->is_wanted || a->is_running;
	pthread_mutex_unlock(&asker.lock);
	return busy;
}

void
unm_ask_end(struct unm_ask *a)
{
	struct unm_ask **p;

	pthread_mutex_lock(&asker.lock);
	a->is_wanted = false;
	while (a->is_running)
		pthread_cond_wait(&asker.changed, &asker.lock);
	a->is_wanted = false; /* a failed one wants to go on */
	for (p = &asker.jobs; *p != NULL; p = &(*p)->next) {
		if (*p == a) {
			*p = a->next;
			break;
		}
	}
	a->is_known = false;
	pthread_mutex_unlock(&asker.lock);
}
