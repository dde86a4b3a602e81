/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread's own epoll instance. See sleeper.h. */
/* Syscalls: epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 poll ppoll */
#include "client/sleeper.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>

#include "client/fdtab.h"
#include "client/real.h"
#include "shm/atomic.h"

#define N_EVENTS 8
#define LATE_NS	 50000 /* that a timeout may be rounded up: the kernel's own slack, as it comes */

static struct unm_sleeper *
make(void)
{
	struct unm_sleeper *s = unm_pages_alloc(sizeof(*s));
	int fd;

	if (s == NULL)
		return NULL;
	fd = epoll_create1(EPOLL_CLOEXEC);
	s->ep = fd < 0 ? -1 : unm_fd_internal(fd);
	if (s->ep < 0) {
		unm_pages_free(s, sizeof(*s));
		return NULL;
	}
	return s;
}

static void
destroy(struct unm_sleeper *s)
{
	unm_fd_internal_close(s->ep);
	unm_pages_free(s, sizeof(*s));
}

struct unm_sleeper *
unm_sleeper_get(struct unm_thread *t)
{
	struct unm_sleeper *s = t->sleeper;

	if (s != NULL && s->busy)
		return make(); /* in a signal handler, on top of a wait of the same thread */
	if (s == NULL) {
		s = make();
		t->sleeper = s;
	}
	if (s != NULL)
		s->busy = 1;
	return s;
}

void
unm_sleeper_put(struct unm_thread *t, struct unm_sleeper *s)
{
	if (s == NULL)
		return;
	if (s == t->sleeper)
		s->busy = 0;
	else
		destroy(s);
}

int
unm_sleeper_add(struct unm_sleeper *s, const struct unm_binding *b)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = b->serial};
	uint64_t *seen = &s->seen[b->serial % UNM_SLEEPER_SEEN];

	if (*seen == b->serial)
		return 0;
	if (UNM_REAL(epoll_ctl)(s->ep, EPOLL_CTL_ADD, b->event_fd, &ev) < 0 && errno != EEXIST)
		return -errno;
	*seen = b->serial;
	return 0;
}

void
unm_sleeper_clear(struct unm_sleeper *s)
{
	struct epoll_event ev[N_EVENTS]; /* more of them end the next sleep at once */

	if (!s->stale)
		return;
	s->stale = 0;
	UNM_REAL(epoll_wait)(s->ep, ev, N_EVENTS, 0);
}

/* For poll(2): -1 for ever, 0 less than it can do. */
static int
whole_ms(const struct timespec *timeout)
{
	int ms;

	if (timeout == NULL)
		return -1;
	if (timeout->tv_sec >= INT_MAX / 1000)
		return INT_MAX;
	ms = (int)timeout->tv_sec * 1000 + (int)(timeout->tv_nsec / 1000000);
	return timeout->tv_nsec % 1000000 >= 1000000 - LATE_NS ? ms + 1 : ms;
}

int
unm_sleeper_sleep(struct unm_sleeper *s, struct pollfd *fds, uint32_t n,
	const struct timespec *timeout, const sigset_t *mask)
{
	const int ms = mask == NULL ? whole_ms(timeout) : 0;
	int r;

	fds[n] = (struct pollfd){s->ep, POLLIN, 0};
	r = ms != 0 ? UNM_REAL(poll)(fds, n + 1, ms) : UNM_REAL(ppoll)(fds, n + 1, timeout, mask);
	if (r > 0 && fds[n].revents != 0)
		s->stale = 1;
	return r;
}

int
unm_sleeper_sleep_alone(struct unm_sleeper *s, const struct timespec *timeout, const sigset_t *mask)
{
	struct epoll_event ev[N_EVENTS];
	struct pollfd fd;
	const int r = UNM_REAL(epoll_pwait2)(s->ep, ev, N_EVENTS, timeout, mask);

	if (r < 0 && errno == ENOSYS)
		return unm_sleeper_sleep(s, &fd, 0, timeout, mask);
	return r > 0 ? 1 : r;
}

void
unm_sleeper_end(struct unm_thread *t)
{
	struct unm_sleeper *s = t->sleeper;

	t->sleeper = NULL;
	if (s != NULL)
		destroy(s);
}
