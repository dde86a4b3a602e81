/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread's own epoll instance. See sleeper.h. */
/* Syscalls: epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 */
#include "client/sleeper.h"

#include <errno.h>
#include <sys/epoll.h>

#include "client/fdtab.h"
#include "client/real.h"
#include "shm/atomic.h"

#define N_EVENTS 8

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

/* Take the edges; more than N_EVENTS wait for the next sleep, which they end at once. */
static void
take_edges(struct unm_sleeper *s)
{
	struct epoll_event ev[N_EVENTS];

	UNM_REAL(epoll_wait)(s->ep, ev, N_EVENTS, 0);
}

int
unm_sleeper_sleep(struct unm_sleeper *s, struct pollfd *fds, uint32_t n,
	const struct timespec *timeout, const sigset_t *mask)
{
	struct epoll_event ev[N_EVENTS];
	int r;

	if (n == 0) {
		r = UNM_REAL(epoll_pwait2)(s->ep, ev, N_EVENTS, timeout, mask);
		if (r >= 0 || errno != ENOSYS)
			return r > 0 ? 1 : r;
	}
	fds[n] = (struct pollfd){s->ep, POLLIN, 0};
	r = UNM_REAL(ppoll)(fds, n + 1, timeout, mask);
	if (r > 0 && fds[n].revents != 0)
		take_edges(s);
	return r;
}

void
unm_sleeper_end(struct unm_thread *t)
{
	struct unm_sleeper *s = t->sleeper;

	t->sleeper = NULL;
	if (s != NULL)
		destroy(s);
}
