/* SPDX-License-Identifier: BSD-2-Clause */
/* Stopping on a signal: see nmt_stop.h. */
#include "nmt_stop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "nmt_time.h"

static volatile sig_atomic_t stop_flag; /* W: the signal handler */
static sigset_t open_mask; /* signals let through; set by nmt_stop_init(), then constant */

static void
on_stop_signal(int signo)
{
	(void)signo; /* both mean the same */
	stop_flag = 1;
}

int
nmt_stop_init(bool never_sleeps)
{
	struct sigaction sa = {.sa_handler = on_stop_signal, .sa_flags = (int)SA_RESETHAND};
	sigset_t held;
	int error;

	sigemptyset(&sa.sa_mask);
	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	error = pthread_sigmask(never_sleeps ? SIG_UNBLOCK : SIG_BLOCK, &held, &open_mask);
	if (error != 0)
		return -error;
	sigdelset(&open_mask, SIGINT);
	sigdelset(&open_mask, SIGTERM);
	if (sigaction(SIGINT, &sa, NULL) != 0 || sigaction(SIGTERM, &sa, NULL) != 0)
		return -errno;
	return 0;
}

bool
nmt_stop_requested(void)
{
	return stop_flag != 0;
}

int
nmt_stop_ppoll(struct pollfd *fds, nfds_t n_fds, const struct timespec *timeout)
{
	const int n = ppoll(fds, n_fds, timeout, &open_mask);

	return n < 0 ? -errno : n;
}

int
nmt_stop_poll(struct pollfd *fds, nfds_t n_fds, int timeout_ms)
{
	const struct timespec timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = (long)(timeout_ms % 1000) * 1000000,
	};

	return nmt_stop_ppoll(fds, n_fds, timeout_ms < 0 ? NULL : &timeout);
}

bool
nmt_stop_sleep(unsigned seconds)
{
	const uint64_t end_ns = nmt_now_ns() + seconds * NMT_NS_PER_S;
	uint64_t now_ns = nmt_now_ns();

	while (now_ns < end_ns && !nmt_stop_requested()) { /* one round a minute */
		uint64_t left_ms = (end_ns - now_ns) / 1000000 + 1;

		/* Why it returned is told by the flag and the clock. */
		(void)nmt_stop_poll(NULL, 0, left_ms < 60000 ? (int)left_ms : 60000);
		now_ns = nmt_now_ns();
	}
	return nmt_stop_requested();
}
