/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll_ctl, epoll_wait, epoll_pwait, epoll_pwait2. What netmap members mean is in epoll_set.c. */
#include "client/interpose.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>

#include "client/epoch.h"
#include "client/epoll_set.h"
#include "client/fdtab.h"
#include "client/inherited.h"
#include "client/real.h"

UNM_INTERPOSE int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	const struct unm_file *f;
	struct unm_file *set;
	int r;

	if (__builtin_expect(!unm_inherited_any(), 1))
		return UNM_REAL(epoll_ctl)(epfd, op, fd, ev);
	f = unm_fdtab_get(fd);
	if (f != NULL && f->kind != UNM_FILE_INTERNAL) {
		const int saved = errno;

		r = f->kind == UNM_FILE_DESC ? unm_epoll_set_ctl(epfd, op, fd, ev)
					     : unm_epoll_set_ctl_nested(epfd, op, fd, ev);
		errno = r < 0 ? -r : saved;
		return r < 0 ? -1 : 0;
	}
	r = UNM_REAL(epoll_ctl)(epfd, op, fd, ev);
	set = unm_fdtab_get(epfd);
	if (r == 0 && set != NULL && set->kind == UNM_FILE_EPOLL && op != EPOLL_CTL_MOD)
		unm_epoll_set_count_foreign(
			(struct unm_epoll_set *)set, op == EPOLL_CTL_ADD ? 1 : -1);
	return r;
}

/* Has the instance netmap members? */
static bool
is_ours(int epfd)
{
	const struct unm_file *f = unm_fdtab_get(epfd);
	struct unm_thread *t;
	bool outer, in_use;

	if (f == NULL || f->kind != UNM_FILE_EPOLL)
		return false;
	t = unm_thread_get();
	if (t == NULL)
		return false;
	outer = unm_epoch_enter(t);
	f = unm_fdtab_get(epfd);
	in_use = f != NULL && f->kind == UNM_FILE_EPOLL &&
		 unm_epoll_set_in_use((const struct unm_epoll_set *)f);
	unm_epoch_exit(t, outer);
	return in_use;
}

UNM_INTERPOSE int
epoll_pwait2(int epfd, struct epoll_event *ev, int max, const struct timespec *timeout,
	const sigset_t *mask)
{
	const int saved = errno;
	int r;

	if (__builtin_expect(!unm_inherited_any(), 1) || max <= 0 || !is_ours(epfd) ||
		(timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 ||
					    timeout->tv_nsec > 999999999)))
		return UNM_REAL(epoll_pwait2)(epfd, ev, max, timeout, mask);
	r = unm_epoll_set_wait(epfd, ev, max, timeout, mask);
	if (r >= 0)
		errno = saved;
	return r;
}

static int
wait_ms(int epfd, struct epoll_event *ev, int max, int timeout_ms, const sigset_t *mask)
{
	const struct timespec t = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	const int saved = errno;
	const int r = unm_epoll_set_wait(epfd, ev, max, timeout_ms < 0 ? NULL : &t, mask);

	if (r >= 0)
		errno = saved;
	return r;
}

UNM_INTERPOSE int
epoll_pwait(int epfd, struct epoll_event *ev, int max, int timeout_ms, const sigset_t *mask)
{
	if (__builtin_expect(!unm_inherited_any(), 1) || max <= 0 || !is_ours(epfd))
		return UNM_REAL(epoll_pwait)(epfd, ev, max, timeout_ms, mask);
	return wait_ms(epfd, ev, max, timeout_ms, mask);
}

UNM_INTERPOSE int
epoll_wait(int epfd, struct epoll_event *ev, int max, int timeout_ms)
{
	if (__builtin_expect(!unm_inherited_any(), 1) || max <= 0 || !is_ours(epfd))
		return UNM_REAL(epoll_wait)(epfd, ev, max, timeout_ms);
	return wait_ms(epfd, ev, max, timeout_ms, NULL);
}
