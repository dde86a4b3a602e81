/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The netmap members of an epoll instance.
 *
 * The kernel's instance keeps all others, and each netmap descriptor too, but with no events: so it
 * checks every epoll_ctl() for us (EEXIST, ENOENT, EBADF, EPERM, loops). We keep what the
 * application asked for, and evaluate it in epoll_wait().
 *
 *   enabled   member's events are looked at. Exits: disabled (EPOLLONESHOT, when reported).
 *   disabled  nothing is reported. Exits: enabled (EPOLL_CTL_MOD).
 *
 * Edge-triggered members are reported when packets (or room) have come since the last report. The
 * positions of the rings tell, so no wake-up has to be caught for it.
 *
 * Waits read the members without a lock, in an epoch section: a change publishes a new array and
 * retires the old one. Not seen: an instance that was duplicated, or put into another instance,
 * before its first netmap member was added.
 */
#ifndef UNM_CLIENT_EPOLL_SET_H
#define UNM_CLIENT_EPOLL_SET_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

#include "client/fdtab.h"

struct unm_desc;
struct unm_epoll_set;

/**
 * unm_epoll_set_ctl() - epoll_ctl() on a netmap descriptor
 *
 * Return: 0 or -errno, as epoll_ctl(2).
 */
int unm_epoll_set_ctl(int epfd, int op, int fd, const struct epoll_event *ev);

/* The same when @fd is an instance with netmap members. Return: 0 or -errno. */
int unm_epoll_set_ctl_nested(int epfd, int op, int fd, const struct epoll_event *ev);

/* A foreign descriptor was added to (1) or removed from (-1) the instance. */
void unm_epoll_set_count_foreign(struct unm_epoll_set *s, int change);

/* Does the kernel's instance have members that are not ours? */
bool unm_epoll_set_has_foreign(const struct unm_epoll_set *s);

/* Any member of ours? In an epoch section. */
bool unm_epoll_set_in_use(const struct unm_epoll_set *s);

/* Would a wait report one of our members now? Syncs them. In an epoch section. */
bool unm_epoll_set_ready(struct unm_epoll_set *s);

/*
 * Call @fn for each enabled netmap member, those of nested instances included. In an epoch section.
 */
void unm_epoll_set_each(struct unm_epoll_set *s,
	void (*fn)(struct unm_desc *d, short events, void *arg), void *arg);

/* epoll_pwait2() on @epfd, which has members of ours. */
int unm_epoll_set_wait(int epfd, struct epoll_event *ev, int max, const struct timespec *timeout,
	const sigset_t *mask);

/* A descriptor object goes away: forget its memberships. To be called before it is retired. */
void unm_epoll_set_forget(const struct unm_desc *d);

void unm_epoll_set_after_fork(void);

#endif
