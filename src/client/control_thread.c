/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control thread. See control_thread.h.
 *
 * It runs with all signals blocked, so that no handler of the application runs on its small stack,
 * and is the one that brings the session back: 20 ms after the hang-up, then with doubled pauses up
 * to 1 s, for as long as the process lives. In the instance that clients start by themselves it
 * also starts the new netmapd, after a random pause, as other clients are about to do the same.
 *
 * While netmapd is away, who has to wake a binding for the first time can't get its eventfd, and
 * has taken the sleeper's mark by then. So until a session is back this thread has our sleepers
 * look by themselves, every 20 ms: traffic goes on without netmapd, if slower. Of a netmapd that is
 * there and does not answer it asks the eventfds that the data path could not wait for.
 */
/* Syscalls: poll ppoll eventfd2 */
#include "client/control_thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <time.h>

#include "client/desc.h"
#include "client/epoch.h"
#include "client/fdready.h"
#include "client/fdtab.h"
#include "client/process.h"
#include "client/real.h"
#include "client/session.h"
#include "client/wake_cache.h"
#include "shm/atomic.h"

#define STACK_BYTES                                                                                \
	(256 * 1024) /* restoring uses buffers on the stack; untouched pages cost nothing */
#define FIRST_PAUSE_MS	 20
#define LONGEST_PAUSE_MS 1000
#define START_SPREAD_MS	 50
#define LOOK_MS		 20
#define AGAIN_MS	 50 /* for wake-ups that are owed */
#define N_WATCHED	 3

static int kick_fd = -1;
static uint32_t running; /* 0 no, 1 yes; taken by compare and swap */

/*
 * Sleep until the session hangs up, a kick, a binding that somebody waits for where we don't see it
 * (@ready_fd), or @timeout_ms. Return: false if it was the timeout.
 */
static bool
sleep_watching(int session_fd, int ready_fd, int timeout_ms)
{
	struct pollfd pfd[N_WATCHED] = {
		{kick_fd, POLLIN, 0}, {session_fd, 0, 0}, {ready_fd, POLLIN, 0}};
	uint64_t count;

	if (UNM_REAL(poll)(pfd, N_WATCHED, timeout_ms) <= 0)
		return false;
	if (pfd[0].revents != 0)
		(void)!UNM_RAW_READ(kick_fd, &count, sizeof(count)); /* nothing to read is fine */
	if (pfd[2].revents != 0)
		unm_fdready_signalled();
	return true;
}

static void
wake_own(struct unm_desc *d, void *arg)
{
	const struct unm_binding *b = unm_desc_binding(d);
	const uint64_t one = 1;

	(void)arg;
	if (b != NULL)
		(void)!UNM_RAW_WRITE(
			b->event_fd, &one, sizeof(one)); /* full counter: it is awake anyway */
}

/*
 * Let @pause_ms pass without netmapd, unless there is a kick. The bindings that are watched for
 * raw waits are signalled by ourselves here: watching them too would end each sleep at once.
 */
static void
sit_out(int pause_ms)
{
	int left;

	for (left = pause_ms; left > 0; left -= LOOK_MS) {
		unm_desc_for_each(wake_own, NULL);
		unm_fdready_signalled();
		if (sleep_watching(-1, -1, left < LOOK_MS ? left : LOOK_MS))
			return;
	}
}

/* A pause that differs between processes; the clock's low bits are random enough. */
static int
random_pause_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int)((uint64_t)(ts.tv_nsec / 1000 + getpid() * 7919) % START_SPREAD_MS);
}

static void *
control_main(void *arg)
{
	int pause_ms = 0;

	(void)arg;
	for (;;) { /* as long as the process lives */
		const bool had_failed = pause_ms > 0;

		if (unm_epoch_pending())
			unm_epoch_collect();
		if (unm_session_revive(had_failed) == 0) {
			const int timeout_ms = unm_wake_pay() ? -1 : AGAIN_MS;

			pause_ms = 0;
			sleep_watching(unm_session_fd(), unm_fdready_watch_fd(), timeout_ms);
			continue;
		}
		if (pause_ms == 0)
			pause_ms = FIRST_PAUSE_MS + random_pause_ms();
		else
			pause_ms =
				pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
		sit_out(pause_ms);
	}
	return NULL;
}

void
unm_control_start(void)
{
	struct unm_quiet quiet;
	pthread_attr_t attr;
	pthread_t thread;
	int fd;

	if (UNM_READ_ONCE(running) || !unm_cas(&running, 0, 1))
		return;
	unm_quiet_begin(&quiet); /* the thread inherits the blocked signals */
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd >= 0)
		fd = unm_fd_internal(fd);
	__atomic_store_n(&kick_fd, fd, __ATOMIC_RELEASE);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (fd < 0 || pthread_create(&thread, &attr, control_main, NULL) != 0) {
		/*
		 * Without it all works but the return after netmapd's death; the next start tries
		 * again
		 */
		unm_fd_internal_close(fd);
		__atomic_store_n(&kick_fd, -1, __ATOMIC_RELEASE);
		UNM_WRITE_ONCE(running, 0);
	}
	pthread_attr_destroy(&attr);
	unm_quiet_end(&quiet);
}

bool
unm_control_runs(void)
{
	return __atomic_load_n(&kick_fd, __ATOMIC_ACQUIRE) >= 0;
}

void
unm_control_kick(void)
{
	const uint64_t one = 1;
	const int fd = __atomic_load_n(&kick_fd, __ATOMIC_ACQUIRE);

	if (fd >= 0)
		(void)!UNM_RAW_WRITE(fd, &one, sizeof(one)); /* full counter: it is awake anyway */
}

void
unm_control_after_fork(void)
{
	unm_fd_internal_close(kick_fd);
	kick_fd = -1;
	running = 0;
}
