/* SPDX-License-Identifier: BSD-2-Clause */
/* Closing what came from others, in threads. See closer.h. */
/* Syscalls: recvfrom */
#include "shm/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shm/clock.h"
#include "shm/thread.h"

#define TICK_NS	     UINT64_C(100000000)
#define LEAST_IDLE   1u
#define WAKE_SIGNAL  SIGALRM
#define EMPTY_AT_ONE 4096

struct unm_closer_job {
	struct unm_closer_job *next;
	int fd;
	bool is_to_be_emptied; /* before it is closed */
};

/* A thread; on its stack. */
struct worker {
	struct worker *next;
	pthread_t thread;
	uint32_t n_begun, seen; /* jobs; at the watchdog's last look */
	bool is_busy;
};

/* All under @lock. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t has_work, is_busy;
	struct unm_closer_queue *first, **end; /* queues that wait for a thread */
	struct worker *workers;
	unsigned int n_queues, n_idle, n_workers, n_busy;
	bool has_watchdog, is_watched;
	int told_fd;
} c = {.lock = PTHREAD_MUTEX_INITIALIZER,
	.has_work = PTHREAD_COND_INITIALIZER,
	.is_busy = PTHREAD_COND_INITIALIZER,
	.end = &c.first,
	.told_fd = -1};

/* --- threads: with the lock held --- */

/* It has work to do by being there: the call that it interrupts ends. */
static void
on_wake(int sig)
{
	(void)sig;
}

static void
do_job(struct worker *w, const struct unm_closer_job *j)
{
	char buf[EMPTY_AT_ONE];

	w->is_busy = true;
	w->n_begun++;
	if (c.n_busy++ == 0 && !c.is_watched)
		pthread_cond_signal(&c.is_busy);
	pthread_mutex_unlock(&c.lock);
	while (j->is_to_be_emptied && recv(j->fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		continue; /* as much as lies there: nothing more can come */
	close(j->fd);
	pthread_mutex_lock(&c.lock);
	c.n_busy--;
	w->is_busy = false;
}

static void
free_if_over(struct unm_closer_queue *q)
{
	if (!q->is_over || q->n_jobs > 0)
		return;
	if (q->n_left != NULL)
		__atomic_fetch_sub(q->n_left, 1, __ATOMIC_RELEASE);
	free(q);
}

static void
serve(struct worker *w, struct unm_closer_queue *q)
{
	const uint64_t one = 1;
	struct unm_closer_job *j;

	while ((j = q->first) != NULL) { /* bounded by what the sender may have in it */
		q->first = j->next;
		do_job(w, j);
		free(j);
		__atomic_fetch_sub(&q->n_jobs, 1, __ATOMIC_RELEASE);
	}
	q->has_thread = false;
	free_if_over(q);
	if (c.told_fd >= 0)
		(void)!write(c.told_fd, &one, sizeof(one)); /* full: its reader will look */
}

static void *
work(void *arg)
{
	struct worker me = {.thread = pthread_self()}, **pp;
	sigset_t wake;

	(void)arg;
	sigemptyset(&wake);
	sigaddset(&wake, WAKE_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
	pthread_mutex_lock(&c.lock);
	c.n_idle--; /* have_threads() */
	me.next = c.workers;
	c.workers = &me;
	while (c.first != NULL || c.n_idle < LEAST_IDLE) {
		struct unm_closer_queue *q = c.first;

		if (q == NULL) {
			c.n_idle++;
			pthread_cond_wait(&c.has_work, &c.lock);
			c.n_idle--;
			continue;
		}
		c.first = q->next;
		if (c.first == NULL)
			c.end = &c.first;
		c.n_queues--;
		serve(&me, q);
	}
	for (pp = &c.workers; *pp != &me; pp = &(*pp)->next)
		continue;
	*pp = me.next;
	c.n_workers--;
	pthread_mutex_unlock(&c.lock);
	return NULL;
}

static void *
watch(void *arg)
{
	struct timespec next;
	struct worker *w;

	(void)arg;
	pthread_mutex_lock(&c.lock);
	for (;;) { /* as long as the process lives */
		if (c.n_busy == 0) {
			pthread_cond_wait(&c.is_busy, &c.lock);
			continue;
		}
		c.is_watched = true;
		next = unm_timespec(unm_now_ns() + TICK_NS);
		while (pthread_cond_clockwait(&c.is_busy, &c.lock, CLOCK_MONOTONIC, &next) == 0)
			continue;
		c.is_watched = false;
		for (w = c.workers; w != NULL; w = w->next) {
			if (w->is_busy && w->seen == w->n_begun)
				pthread_kill(w->thread, WAKE_SIGNAL);
			w->seen = w->n_begun;
		}
	}
	return NULL;
}

static int
start_thread(void *(*fn)(void *))
{
	pthread_t thread;
	const int err = unm_thread_start(&thread, fn, NULL);

	if (err == 0)
		pthread_detach(thread);
	return err;
}

/* As many as there are queues to serve. What can't be had now is tried again with the next job. */
static int
have_threads(void)
{
	const struct sigaction sa = {.sa_handler = on_wake}; /* no SA_RESTART */
	int err = 0;

	if (!c.has_watchdog) {
		err = sigaction(WAKE_SIGNAL, &sa, NULL) != 0 ? -errno : start_thread(watch);
		c.has_watchdog = err == 0;
	}
	if (err == 0 && (c.n_workers == 0 || c.n_queues > c.n_idle)) {
		err = start_thread(work);
		if (err == 0) {
			c.n_workers++;
			c.n_idle++;
		}
	}
	return err;
}

/* --- jobs --- */

int
unm_closer_start(void)
{
	int err;

	pthread_mutex_lock(&c.lock);
	err = have_threads();
	pthread_mutex_unlock(&c.lock);
	return err;
}

void
unm_closer_tell(int fd)
{
	pthread_mutex_lock(&c.lock);
	c.told_fd = fd;
	pthread_mutex_unlock(&c.lock);
}

static int
add(struct unm_closer_queue *q, int fd, bool is_to_be_emptied)
{
	struct unm_closer_job *j = malloc(sizeof(*j));

	if (j == NULL)
		return -ENOMEM;
	*j = (struct unm_closer_job){.fd = fd, .is_to_be_emptied = is_to_be_emptied};
	pthread_mutex_lock(&c.lock);
	if (q->first == NULL)
		q->end = &q->first;
	*q->end = j;
	q->end = &j->next;
	__atomic_fetch_add(&q->n_jobs, 1, __ATOMIC_RELAXED);
	if (!q->has_thread) {
		q->has_thread = true;
		q->next = NULL;
		*c.end = q;
		c.end = &q->next;
		c.n_queues++;
		pthread_cond_signal(&c.has_work);
	}
	(void)have_threads();
	pthread_mutex_unlock(&c.lock);
	return 0;
}

void
unm_closer_close(struct unm_closer_queue *q, int fd)
{
	(void)add(q, fd, false); /* to keep it costs less than to wait */
}

int
unm_closer_empty(struct unm_closer_queue *q, int fd)
{
	const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int err = own < 0 ? -errno : add(q, own, true);

	if (err < 0 && own >= 0)
		close(own); /* not the last one */
	return err;
}

unsigned int
unm_closer_len(const struct unm_closer_queue *q)
{
	return __atomic_load_n(&q->n_jobs, __ATOMIC_ACQUIRE); /* after what was done */
}

void
unm_closer_end(struct unm_closer_queue *q, unsigned int *n_left)
{
	pthread_mutex_lock(&c.lock);
	q->is_over = true;
	q->n_left = n_left;
	if (n_left != NULL)
		__atomic_fetch_add(n_left, 1, __ATOMIC_RELAXED);
	if (!q->has_thread)
		free_if_over(q);
	pthread_mutex_unlock(&c.lock);
}

void
unm_closer_abandon(int fd, unsigned int *n_left)
{
	struct unm_closer_queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return; /* as unm_closer_close() */
	unm_closer_close(q, fd);
	unm_closer_end(q, n_left);
}
