/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ending a program that forwards until it is told to stop: SIGINT and SIGTERM set a flag, the main
 * loop looks at it, and what is in flight can be finished.
 *
 * A program that sleeps in poll(2) must not miss a signal that arrives after it looked and before
 * it sleeps, or it goes on until the next packet. So signals are held back all the time and let
 * through only while nmt_stop_poll() sleeps. A program that never sleeps leaves them open.
 *
 * The second signal of a kind has its usual effect: it ends the program at once.
 */
#ifndef NMT_STOP_H_
#define NMT_STOP_H_

#include <poll.h>
#include <stdbool.h>
#include <time.h>

/**
 * nmt_stop_init() - have SIGINT and SIGTERM set the flag from now on
 * @never_sleeps: true leaves the signals open between calls of nmt_stop_poll(), for busy loops
 *
 * Thread: main, before other threads are made, so that they inherit the mask.
 * Return: 0 or negative errno.
 */
int nmt_stop_init(bool never_sleeps);

/** nmt_stop_requested() - has a signal been seen? Thread: any. */
bool nmt_stop_requested(void);

/**
 * nmt_stop_poll() - poll(2) that a signal ends, also one that came before
 * @timeout_ms: as for poll(2)
 *
 * Thread: main. Return: as poll(2), but negative errno in place of -1; -EINTR after a signal.
 */
int nmt_stop_poll(struct pollfd *fds, nfds_t n_fds, int timeout_ms);

/** nmt_stop_ppoll() - the same with a finer timeout; NULL for none */
int nmt_stop_ppoll(struct pollfd *fds, nfds_t n_fds, const struct timespec *timeout);

/** nmt_stop_sleep() - sleep until the time is over or a signal comes. Return: did one come? */
bool nmt_stop_sleep(unsigned seconds);

#endif /* NMT_STOP_H_ */
