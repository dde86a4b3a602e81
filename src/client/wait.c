/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wait. See wait.h.
 *
 * Descriptors are looked up again in each pass, under an epoch section that ends before the sleep;
 * so a thread that sleeps keeps nothing from being freed, and what was closed meanwhile is reported
 * as the kernel would.
 */
/* Syscalls: poll ppoll */
#include "client/wait.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#include "client/desc.h"
#include "client/device.h"
#include "client/epoch.h"
#include "client/epoll_set.h"
#include "client/fdready.h"
#include "client/fdtab.h"
#include "client/handlers.h"
#include "client/real.h"
#include "client/session.h"
#include "client/sleeper.h"
#include "shm/clock.h"

#define N_TELLING 8  /* descriptors that are asked what a wake-up took */
#define N_SMALL	  64 /* entries of the sleep array that need no allocation */

/* One wait. The sleep array holds, for each user entry, the descriptors that stand for it. */
struct wait {
	struct pollfd *fds; /* the caller's */
	nfds_t n;
	unsigned int n_foreign;
	struct pollfd *sleep;
	uint32_t n_sleep, sleep_size;
	struct unm_thread *t;
	struct unm_sleeper *sleeper;
	struct pollfd small[N_SMALL];
	struct pollfd *heap;
	uint64_t deadline_ns; /* 0: not computed yet */
	uint32_t n_asked;     /* foreign entries that the latest sleep has looked at; 0: none */
	bool stop_ends_it;    /* as it does epoll_wait(2) */
	int result;	      /* of the part that can be cancelled */
};

bool
unm_wait_concerns(const struct pollfd *fds, nfds_t n)
{
	nfds_t i;

	for (i = 0; i < n; i++) {
		const struct unm_file *f = unm_fdtab_get(fds[i].fd);

		if (f != NULL && f->kind != UNM_FILE_INTERNAL)
			return true;
	}
	return false;
}

/* In an epoch section. */
int
unm_wait_scan_fd(int fd, short events)
{
	struct unm_file *f = unm_fdtab_get(fd);

	if (f == NULL || f->kind == UNM_FILE_INTERNAL)
		return -1;
	if (f->kind == UNM_FILE_DESC)
		return unm_device_poll((struct unm_desc *)f, events);
	return unm_epoll_set_ready((struct unm_epoll_set *)f) ? events & (POLLIN | POLLRDNORM) : 0;
}

/* An epoll instance is ours by its netmap members and foreign by the others. */
static bool
is_also_foreign(int fd)
{
	const struct unm_file *f = unm_fdtab_get(fd);

	if (f != NULL && f->kind == UNM_FILE_EPOLL)
		return unm_epoll_set_has_foreign((const struct unm_epoll_set *)f);
	return f == NULL || f->kind != UNM_FILE_DESC;
}

static int
scan(struct wait *w, struct unm_thread *t)
{
	const bool outer = unm_epoch_enter(t);
	unsigned int n_foreign = 0;
	int n_ready = 0;
	nfds_t i;

	for (i = 0; i < w->n; i++) {
		struct pollfd *p = &w->fds[i];
		int got;

		p->revents = 0;
		if (p->fd < 0)
			continue;
		got = unm_wait_scan_fd(p->fd, p->events);
		if (got < 0 || is_also_foreign(p->fd))
			n_foreign++;
		if (got > 0) {
			p->revents = (short)got;
			n_ready++;
		}
	}
	unm_epoch_exit(t, outer);
	w->n_foreign = n_foreign;
	return n_ready;
}

/* Room for @n more entries. Return: 0 or -ENOMEM. */
static int
reserve(struct wait *w, uint32_t n)
{
	uint32_t size = w->sleep_size;
	struct pollfd *bigger;

	n++; /* the sleeper's own */
	if (n <= size - w->n_sleep)
		return 0;
	while (n > size - w->n_sleep)
		size *= 2;
	bigger = realloc(w->heap, size * sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	if (w->heap == NULL)
		__builtin_memcpy(bigger, w->small, w->n_sleep * sizeof(*bigger));
	w->heap = bigger;
	w->sleep = bigger;
	w->sleep_size = size;
	return 0;
}

/* Announce the sleep on one binding and add what to sleep on. */
static int
arm_desc(struct wait *w, struct unm_desc *d, short events)
{
	struct unm_binding *b = unm_desc_binding(d);
	const uint32_t n_more = b == NULL ? 0 : b->info.n_port_fds;
	int err;

	if (b == NULL)
		return 0; /* the scan has said POLLERR: there will be no sleep */
	if (reserve(w, n_more) < 0)
		return -ENOMEM;
	err = unm_sleeper_add(w->sleeper, b);
	if (err < 0)
		return err;
	unm_fdready_waits_here(w->t, d, b);
	unm_bport_arm(b->bport, events);
	if (n_more > 0)
		w->n_sleep += unm_bport_fds(b->bport, events, &w->sleep[w->n_sleep], n_more);
	return 0;
}

struct arm_member {
	struct wait *w;
	int err;
};

static void
arm_member(struct unm_desc *d, short events, void *arg)
{
	struct arm_member *a = arg;

	if (a->err == 0)
		a->err = arm_desc(a->w, d, events);
}

/*
 * All foreign entries come first, in the order of the caller's, so that their results are found
 * again by counting.
 */
static int
arm(struct wait *w, struct unm_thread *t)
{
	const bool outer = unm_epoch_enter(t);
	struct arm_member member = {w, 0};
	int err = 0;
	nfds_t i;

	w->n_sleep = 0;
	for (i = 0; i < w->n && err == 0; i++)
		if (w->fds[i].fd >= 0 && is_also_foreign(w->fds[i].fd)) {
			err = reserve(w, 1);
			if (err == 0)
				w->sleep[w->n_sleep++] =
					(struct pollfd){w->fds[i].fd, w->fds[i].events, 0};
		}
	w->n_foreign = w->n_sleep;
	for (i = 0; i < w->n && err == 0; i++) {
		struct unm_file *f = unm_fdtab_get(w->fds[i].fd);

		if (f == NULL || f->kind == UNM_FILE_INTERNAL)
			continue;
		if (f->kind == UNM_FILE_DESC) {
			err = arm_desc(w, (struct unm_desc *)f, w->fds[i].events);
		} else {
			unm_epoll_set_each((struct unm_epoll_set *)f, arm_member, &member);
			err = member.err;
		}
	}
	unm_epoch_exit(t, outer);
	return err;
}

/*
 * Give the foreign results in the sleep array to the caller's entries. Return: how many entries are
 * newly ready.
 */
static int
take_foreign(struct wait *w)
{
	uint32_t k = 0;
	int n_ready = 0;
	nfds_t i;

	for (i = 0; i < w->n && k < w->n_foreign; i++) {
		struct pollfd *p = &w->fds[i];

		if (p->fd != w->sleep[k].fd)
			continue;
		if (w->sleep[k].revents != 0 && p->revents == 0)
			n_ready++;
		p->revents |= w->sleep[k].revents;
		k++;
	}
	return n_ready;
}

/*
 * Netmap entries are settled: look at the foreign ones without waiting. Return: how many more are
 * ready, or -1.
 */
static int
look_at_foreign(struct wait *w)
{
	const struct timespec zero = {0, 0};
	nfds_t i;

	if (w->n_foreign == 0)
		return 0;
	w->n_sleep = 0;
	for (i = 0; i < w->n; i++) {
		if (w->fds[i].fd < 0 || !is_also_foreign(w->fds[i].fd))
			continue;
		if (reserve(w, 1) < 0) {
			errno = ENOMEM;
			return -1;
		}
		w->sleep[w->n_sleep++] = (struct pollfd){w->fds[i].fd, w->fds[i].events, 0};
	}
	w->n_foreign = w->n_sleep;
	if (UNM_REAL(ppoll)(w->sleep, w->n_sleep, &zero, NULL) < 0)
		return -1;
	return take_foreign(w);
}

/* What is left of the timeout. Return: false when it is over. */
static bool
time_left(struct wait *w, const struct timespec *timeout, struct timespec *left)
{
	uint64_t now;

	if (w->deadline_ns == 0)
		w->deadline_ns = unm_deadline_ns(timeout);
	now = unm_now_ns();
	if (now >= w->deadline_ns)
		return false;
	*left = unm_timespec(w->deadline_ns - now);
	return true;
}

/*
 * Pauses between two looks, growing: each look takes a cache line from who writes it, but what is
 * there soon must be found soon.
 */
#define SPIN_PAUSES_MIN 2
#define SPIN_PAUSES_MAX 16

/*
 * Look for a while before sleeping, if that has paid lately. Foreign descriptors can only be slept
 * on. Return: ready entries.
 */
static int
look_longer(struct wait *w, struct unm_thread *t)
{
	const uint64_t budget = w->n_foreign == 0 ? unm_spin_budget_ns(&t->spin) : 0;
	uint64_t end;
	int n_ready, pauses = SPIN_PAUSES_MIN, i;

	if (budget == 0)
		return 0;
	end = unm_now_ns() + budget;
	do { /* bounded by the budget */
		if (unm_session_is_isolated())
			sched_yield(); /* the broker may be waiting for this very processor */
		for (i = 0; i < pauses; i++)
			unm_cpu_relax();
		if (pauses < SPIN_PAUSES_MAX)
			pauses *= 2;
		n_ready = scan(w, t);
	} while (n_ready == 0 && unm_now_ns() < end);
	unm_spin_result(&t->spin, n_ready > 0);
	return n_ready;
}

struct wake_up {
	uint32_t begin_us, end_us; /* of the sleep */
	bool is_known;
};

static void
learn_from(struct unm_desc *d, short events, void *arg)
{
	const struct unm_binding *b = unm_desc_binding(d);
	struct wake_up *u = arg;
	uint32_t us;

	(void)events;
	if (b == NULL || u->is_known)
		return;
	us = u->end_us - unm_bport_signalled_us(b->bport);
	if (us > u->end_us - u->begin_us)
		return; /* the latest signal was before the sleep, or is nonsense */
	unm_spin_woken(us);
	u->is_known = true;
}

/* What a wake-up costs: this one, if it was by a signal. The first descriptors tell. */
static void
learn_wake_up(struct wait *w, uint64_t begin_ns, uint64_t end_ns)
{
	struct wake_up u = {(uint32_t)(begin_ns / 1000), (uint32_t)(end_ns / 1000), false};
	const bool outer = unm_epoch_enter(w->t);
	nfds_t i;

	for (i = 0; i < w->n && i < N_TELLING; i++) {
		struct unm_file *f = unm_fdtab_get(w->fds[i].fd);

		if (f != NULL && f->kind == UNM_FILE_DESC)
			learn_from((struct unm_desc *)f, 0, &u);
		else if (f != NULL && f->kind == UNM_FILE_EPOLL)
			unm_epoll_set_each((struct unm_epoll_set *)f, learn_from, &u);
	}
	unm_epoch_exit(w->t, outer);
}

/* Return: -1 failed (errno), 0 go on, 1 foreign descriptors are ready or the time is over. */
static int
sleep_once(struct wait *w, const struct timespec *timeout, const sigset_t *mask)
{
	const bool looked = w->t->spin.credit > 0;
	bool stop_only = false; /* is what an EINTR would mean */
	struct timespec left;
	uint64_t begin, end;
	uint32_t i, n_ready = 0;
	int r;

	if (timeout != NULL && !time_left(w, timeout, &left))
		return 1;
	begin = unm_now_ns();
	if (w->n_sleep == 0 && mask == NULL && !w->stop_ends_it)
		stop_only = unm_handlers_none(&w->t->handlers, begin);
	if (stop_only || (w->n_sleep == 0 && w->stop_ends_it))
		r = unm_sleeper_sleep_alone(w->sleeper, timeout != NULL ? &left : NULL, mask);
	else
		r = unm_sleeper_sleep(
			w->sleeper, w->sleep, w->n_sleep, timeout != NULL ? &left : NULL, mask);
	end = unm_now_ns();
	if (r > 0)
		learn_wake_up(w, begin, end);
	if (!looked)
		unm_spin_slept(&w->t->spin, end - begin);
	unm_fdready_slept_here(w->t);
	if (r < 0)
		return stop_only && errno == EINTR && !unm_handlers_any() ? 0 : -1;
	w->n_asked = w->n_foreign;
	for (i = 0; i < w->n_foreign; i++)
		n_ready += w->sleep[i].revents != 0;
	return n_ready > 0 || (r == 0 && !time_left(w, timeout, &left));
}

static void
clean_up(void *arg)
{
	struct wait *w = arg;

	unm_sleeper_put(w->t, w->sleeper);
	free(w->heap);
}

static int
wait_slowly(
	struct wait *w, struct unm_thread *t, const struct timespec *timeout, const sigset_t *mask)
{
	int n_ready, r = 0;

	w->sleeper = unm_sleeper_get(t);
	if (w->sleeper == NULL) {
		errno = ENOMEM;
		return -1;
	}
	for (;;) { /* ends with an event, a signal or the timeout */
		w->n_asked = 0;
		unm_sleeper_clear(w->sleeper);
		if (arm(w, t) < 0) {
			errno = ENOMEM;
			return -1;
		}
		n_ready = scan(w, t);
		if (n_ready > 0)
			break;
		r = sleep_once(w, timeout, mask);
		if (r < 0)
			return -1;
		n_ready = scan(w, t);
		if (n_ready > 0 || r > 0)
			break;
	}
	if (w->n_asked > 0 && w->n_asked == w->n_foreign) /* the sleep has told */
		return n_ready + take_foreign(w);
	r = look_at_foreign(w);
	return r < 0 ? -1 : n_ready + r;
}

static bool
is_zero(const struct timespec *timeout)
{
	return timeout != NULL && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
}

/* Look at what is not ours, or wait for any of them: the part in which a thread can be cancelled. */
static int __attribute__((noinline))
wait_for_any(struct wait *w, int n_ready, const struct timespec *timeout, const sigset_t *mask)
{
	int r;

	if (n_ready == 0 && !is_zero(timeout))
		return wait_slowly(w, w->t, timeout, mask);
	r = look_at_foreign(w);
	return r < 0 ? -1 : n_ready + r;
}

static int
wait_as(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
	bool stop_ends_it)
{
	struct unm_thread *t = unm_thread_get();
	const int saved = errno;
	struct wait w;
	int n_ready;

	pthread_testcancel();
	if (t == NULL) {
		errno = ENOMEM;
		return -1;
	}
	w.fds = fds;
	w.n = n;
	w.sleep = w.small;
	w.sleep_size = N_SMALL;
	w.n_sleep = 0;
	w.heap = NULL;
	w.t = t;
	w.sleeper = NULL;
	w.deadline_ns = 0;
	w.n_asked = 0;
	w.stop_ends_it = stop_ends_it;
	n_ready = scan(&w, t);
	if (n_ready == 0 && !is_zero(timeout))
		n_ready = look_longer(&w, t);
	if (n_ready > 0 && w.n_foreign == 0) {
		errno = saved;
		return n_ready;
	}
	/* Between the two nothing changes a local variable: cleaning up may come by longjmp(). */
	pthread_cleanup_push(clean_up, &w);
	w.result = wait_for_any(&w, n_ready, timeout, mask);
	pthread_cleanup_pop(1);
	if (w.result >= 0)
		errno = saved;
	return w.result;
}

int
unm_wait(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	return wait_as(fds, n, timeout, mask, false);
}

int
unm_wait_epoll(int epfd, const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd pfd = {epfd, POLLIN, 0};

	return wait_as(&pfd, 1, timeout, mask, true);
}
