/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event descriptors of a front end: kicks to read, calls and errors to write.
 *
 * They are made nonblocking when they come. But that flag is the front end's as well: it can take
 * it away at any moment, and fill or empty the descriptor between a look of ours and our call. The
 * call would then keep the thread, and with it all NICs of the process. No call for eventfds is
 * sure not to block (writes refuse RWF_NOWAIT), so a watchdog ends one that does:
 *
 *   thread                                   watchdog, a thread that sleeps on a timer
 *     n_calls odd    (a call is under way)     tick: odd, and the same as at the tick before:
 *     ---- full fence ----                           signal: the call ends with EINTR
 *     is_armed? no: arm the timer              tick: even, and the same: disarm, is_armed = 0
 *     read() or write()                              ---- full fence ----
 *     n_calls even                                   n_calls is another: arm again
 *
 * So a call costs nothing more while there is traffic, and there are no ticks while there is none.
 */
#ifndef UNM_VM_EVENT_FD_H
#define UNM_VM_EVENT_FD_H

#include <stddef.h>

/*
 * Start the watchdog of the calling thread, which is the one that will make the calls; without it
 * they may block. Before calls are limited (sandbox). Return: 0 or a negative errno.
 */
int unm_event_watchdog_start(void);
void unm_event_watchdog_stop(void);

/*
 * Signal @fd. Return: 0, also when it is full, as its reader has not been there since; -ETIMEDOUT
 * it blocked: don't use it any more.
 */
int unm_event_signal(int fd);

/*
 * Take what was signalled. Return: 1 something, 0 nothing, -ETIMEDOUT as above, -EPIPE nothing will
 * ever come: the other end of the pipe is closed.
 */
int unm_event_take(int fd);

/*
 * Is @fd an eventfd of which each read takes 1 (EFD_SEMAPHORE)? One write by its owner could keep a
 * reader busy for ever. What was signalled stays so. Return: 1 yes, 0 no, -ETIMEDOUT as above.
 */
int unm_event_is_semaphore(int fd);

/*
 * Write a line of at most PIPE_BUF bytes to @fd (a log, a status), whose reader must not stop us:
 * all of it, or nothing if there is no room. Return: 0 or a negative errno, -EAGAIN no room.
 */
int unm_event_write_line(int fd, const char *line, size_t len);

#endif
