/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a thread sleeps on bindings.
 *
 * An eventfd that several threads or processes sleep on must not be read by one of them: that would
 * take the signal from the others that have not run yet. So ours are never read. Each thread has an
 * epoll instance of its own, with the eventfds of the bindings it has slept on, edge-triggered:
 * every write to an eventfd ends the next sleep of every sleeper, once.
 *
 * A sleep in epoll_pwait2() is a single system call. But that fails with EINTR whenever the thread
 * was stopped (job control, debuggers, a suspended machine), and whether a handler of the program
 * has run, only the kernel knows. poll(2) is restarted by it, so poll(), select() and their like
 * sleep in poll(2) on the epoll instance, unless no handler can run (handlers.h). What ended a
 * sleep is taken out of the instance before the next one only: so no frame waits for that.
 *
 * A binding stays a member after it is gone; at worst that ends a sleep for nothing.
 */
#ifndef UNM_CLIENT_SLEEPER_H
#define UNM_CLIENT_SLEEPER_H

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include "client/desc.h"
#include "client/epoch.h"

#define UNM_SLEEPER_SEEN 509 /* bindings remembered as members without asking the kernel; prime */

struct unm_sleeper {
	int ep;		/* -1: could not be made */
	uint32_t busy;	/* in use: a signal handler that waits takes another one */
	uint32_t stale; /* what ended the latest sleep would end the next one too */
	uint64_t seen[UNM_SLEEPER_SEEN]; /* serials of bindings, by serial modulo the size */
};

/**
 * unm_sleeper_get() - this thread's sleeper, to be put back with unm_sleeper_put()
 *
 * Async-signal-safe. Return: NULL when there is neither memory nor a descriptor to be had.
 */
struct unm_sleeper *unm_sleeper_get(struct unm_thread *t);
void unm_sleeper_put(struct unm_thread *t, struct unm_sleeper *s);

/*
 * Make sure that a signal to @b ends the next sleep. To be called before the binding is armed.
 * Return: 0 or -errno.
 */
int unm_sleeper_add(struct unm_sleeper *s, const struct unm_binding *b);

/* Signals that have ended a sleep don't end the next one. To be called before bindings are armed. */
void unm_sleeper_clear(struct unm_sleeper *s);

/**
 * unm_sleeper_sleep() - until a member is signalled, one of @fds is ready, or the timeout
 * @fds: further descriptors; there must be room for one more entry behind them
 *
 * A cancellation point. Without @mask the timeout goes on while the thread is stopped, as with
 * poll(2), else it does not, as with ppoll(2). Return: as ppoll(2), where a member counts as one; 0
 * is no proof that the timeout is over.
 */
int unm_sleeper_sleep(struct unm_sleeper *s, struct pollfd *fds, uint32_t n,
	const struct timespec *timeout, const sigset_t *mask);

/* The same on the members alone, as epoll_pwait2(2): it fails with EINTR after a stop. */
int unm_sleeper_sleep_alone(
	struct unm_sleeper *s, const struct timespec *timeout, const sigset_t *mask);

/*
 * The thread ends, or is its parent's copy in the child of a fork: no instance may be shared, as
 * one would take the other's edges.
 */
void unm_sleeper_end(struct unm_thread *t);

#endif
