/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can a signal run a handler of the program in this thread?
 *
 * Where none can, a sleep that fails with EINTR was only stopped, and goes on; so it may be one in
 * epoll_pwait2(), the cheapest there is (sleeper.h). To ask after the sleep is not enough, as a
 * handler may have removed itself. To ask before takes a system call for each signal: that is done
 * by threads that sleep often, once in PERIOD.
 *
 * What escapes: a handler that was installed less than PERIOD before the sleep (by a thread that
 * had slept often until then) or during it, and that removes itself when it ends the sleep.
 */
#ifndef UNM_CLIENT_HANDLERS_H
#define UNM_CLIENT_HANDLERS_H

#include <stdbool.h>
#include <stdint.h>

#define UNM_HANDLERS_PERIOD_NS 10000000u
#define UNM_HANDLERS_WORTH     100u /* sleeps in a period that make asking worth it */

/* State of one thread. All zero at the start. */
struct unm_handlers {
	uint64_t until_ns; /* end of the period */
	uint32_t n_sleeps; /* in it so far */
	bool none;	   /* at its beginning */
};

/* Before a sleep, at @now_ns. Return: true if no handler can run, as far as is known. */
bool unm_handlers_none(struct unm_handlers *h, uint64_t now_ns);

/*
 * Is there a handler for a signal that this thread does not block? Those of faults don't count.
 * Async-signal-safe.
 */
bool unm_handlers_any(void);

#endif
