/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for netmap descriptors and any others at once: the core under poll, select and epoll.
 *
 *   scan      sync each netmap descriptor, note what is ready           ready? done: no system call
 *   arm       announce on each that we are about to sleep
 *   scan      once more: what came before the announcement is seen now  ready? done
 *   sleep     on the bindings' eventfds (sleeper.h), TAP queues, foreign descriptors; then back to
 *             the first line
 *
 * A signal given after an arm always ends the sleep that follows it.
 */
#ifndef UNM_CLIENT_WAIT_H
#define UNM_CLIENT_WAIT_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

/*
 * Does any of the descriptors concern us (a netmap descriptor, an epoll instance with netmap
 * members)?
 */
bool unm_wait_concerns(const struct pollfd *fds, nfds_t n);

/**
 * unm_wait() - ppoll(2) for any mix of descriptors
 * @timeout: NULL waits for ever
 *
 * A cancellation point. Return: as ppoll(2), -1 and errno included.
 */
int unm_wait(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);

/*
 * The same for one epoll instance. As epoll_wait(2) it may fail with EINTR after the thread was
 * stopped (signal(7)): that saves a system call.
 */
int unm_wait_epoll(int epfd, const struct timespec *timeout, const sigset_t *mask);

/* Ready bits of @fd if it concerns us, else -1. For epoll_set.c's nested instances. */
int unm_wait_scan_fd(int fd, short events);

#endif
