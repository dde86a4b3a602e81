/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls that do not block for long. See event_fd.h. */
#include "vm/event_fd.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "shm/atomic.h"
#include "shm/thread.h"

#define TICK_NS	    10000000L /* a call that blocks ends after 10 to 20 ms */
#define WAKE_SIGNAL SIGALRM

/* One for the process, as its loop has one thread. */
static struct {
	uint32_t n_calls;  /* W: thread; odd within a call */
	uint32_t is_armed; /* W: both */
	uint32_t must_end; /* W: thread */
	int timer_fd;	   /* 0: there is no watchdog */
	pthread_t thread, watchdog;
} w;

static void
arm(long tick_ns)
{
	const struct itimerspec t = {{0, tick_ns}, {0, tick_ns}};

	(void)timerfd_settime(w.timer_fd, 0, &t, NULL); /* the values are right */
}

/* It has work to do by being there: the call that it interrupts ends. */
static void
on_wake(int sig)
{
	(void)sig;
}

static void *
watch(void *arg)
{
	uint32_t seen = 0, now;
	uint64_t n_ticks;

	(void)arg;
	while (UNM_READ_ONCE(w.must_end) == 0) {
		if (read(w.timer_fd, &n_ticks, sizeof(n_ticks)) != sizeof(n_ticks))
			continue;
		now = UNM_READ_ONCE(w.n_calls);
		if (now == seen && now % 2 == 1) {
			pthread_kill(w.thread, WAKE_SIGNAL);
		} else if (now == seen) {
			arm(0);
			UNM_WRITE_ONCE(w.is_armed, 0);
			unm_full_fence(); /* with the one in call_begin() */
			if (UNM_READ_ONCE(w.n_calls) != now) {
				UNM_WRITE_ONCE(w.is_armed, 1);
				arm(TICK_NS);
			}
		}
		seen = now;
	}
	return NULL;
}

int
unm_event_watchdog_start(void)
{
	const struct sigaction sa = {.sa_handler = on_wake}; /* no SA_RESTART */
	int err;

	w.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (w.timer_fd < 0 || sigaction(WAKE_SIGNAL, &sa, NULL) != 0) {
		err = -errno;
		w.timer_fd = 0;
		return err;
	}
	w.thread = pthread_self();
	w.must_end = w.is_armed = 0;
	err = unm_thread_start(&w.watchdog, watch, NULL);
	if (err != 0) {
		close(w.timer_fd);
		w.timer_fd = 0;
	}
	return err;
}

void
unm_event_watchdog_stop(void)
{
	if (w.timer_fd == 0)
		return;
	UNM_WRITE_ONCE(w.must_end, 1);
	arm(1);
	pthread_join(w.watchdog, NULL);
	close(w.timer_fd);
	w.timer_fd = 0;
}

static void
call_begin(void)
{
	UNM_WRITE_ONCE(w.n_calls, w.n_calls + 1);
	unm_full_fence(); /* with the one in watch() */
	if (__builtin_expect(UNM_READ_ONCE(w.is_armed) == 0 && w.timer_fd != 0, 0)) {
		UNM_WRITE_ONCE(w.is_armed, 1);
		arm(TICK_NS);
	}
}

static void
call_end(void)
{
	UNM_WRITE_ONCE(w.n_calls, w.n_calls + 1);
}

int
unm_event_signal(int fd)
{
	const uint64_t one = 1;
	bool has_blocked;

	call_begin();
	/* No other signal that is caught comes here, and this one only to a call that blocks. */
	has_blocked = write(fd, &one, sizeof(one)) < 0 && errno == EINTR;
	call_end();
	return has_blocked ? -ETIMEDOUT : 0;
}

int
unm_event_take(int fd)
{
	uint64_t value;
	ssize_t n;

	call_begin();
	n = read(fd, &value, sizeof(value));
	call_end();
	if (n < 0)
		return errno == EINTR ? -ETIMEDOUT : 0;
	return n == 0 ? -EPIPE : n == sizeof(value);
}

/* As the calls themselves, or -1 with EINTR for one that blocked. */
static ssize_t
add_to(int fd, uint64_t value)
{
	ssize_t n;

	call_begin();
	n = write(fd, &value, sizeof(value));
	call_end();
	return n;
}

int
unm_event_is_semaphore(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	uint64_t value = 0, added = 2;
	ssize_t n;

	/* It may have been made full and blocking since: asking first makes that hard to hit. */
	if (poll(&p, 1, 0) == 0) {
		added = 0;
	} else if ((n = add_to(fd, added)) < 0) {
		if (errno != EAGAIN)
			return errno == EINTR ? -ETIMEDOUT : 0;
		added = 0; /* full, or nearly */
	}
	call_begin();
	n = read(fd, &value, sizeof(value));
	call_end();
	/* Nothing there: its owner reads along, which an honest one doesn't do. */
	if (n < 0)
		return errno == EINTR ? -ETIMEDOUT : 1;
	if (value == 1)
		return 1;
	if (value > added && add_to(fd, value - added) < 0 && errno == EINTR)
		return -ETIMEDOUT;
	return 0;
}

int
unm_event_write_line(int fd, const char *line, size_t len)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int err = 0;

	/* A pipe with room has room for PIPE_BUF. Others may write to it, so it may block yet. */
	if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
		return -EAGAIN;
	call_begin();
	if (write(fd, line, len) < 0)
		err = errno == EINTR ? -EAGAIN : -errno;
	call_end();
	return err;
}
