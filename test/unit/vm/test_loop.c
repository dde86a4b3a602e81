/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device server's loop. Watches: as many as are wanted, each gets its events, and one for which
 * memory was short leaves the others, and those to come, as they are. Looking for work: a guest on the
 * same processor gets to make it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shm/atomic.h"

#include "vm/loop.h"
#include "vm/net_priv.h"

#define N_FDS 40u

/* The next calls of realloc() that succeed; the one behind them does not. UINT_MAX: all do. */
static unsigned int n_good = ~0u;

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *
__wrap_realloc(void *p, size_t size)
{
	if (n_good == 0) {
		n_good = ~0u;
		return NULL;
	}
	if (n_good != ~0u)
		n_good--;
	return __real_realloc(p, size);
}

/* The device, where there is one: its guest asks, and waits for the answer. */
static struct {
	uint32_t asked, answered;
	int kick_fd;
	unsigned int n_sleeps, n_timers;
} device;

unsigned int
unm_net_work(struct unm_net *n)
{
	const uint32_t asked = unm_load_acquire(&device.asked);
	const bool found = asked != device.answered;

	(void)n;
	unm_store_release(&device.answered, asked);
	return found;
}

void
unm_net_timers(struct unm_net *n, uint64_t now_ns, uint64_t *deadline_ns)
{
	(void)n;
	(void)now_ns;
	(void)deadline_ns;
	device.n_timers++;
}

bool
unm_net_is_lost_anew(struct unm_net *n)
{
	(void)n;
	return false;
}

bool
unm_net_link_has_changed(struct unm_net *n, bool *up)
{
	(void)n;
	(void)up;
	return false;
}

bool
unm_net_sleep_prepare(struct unm_net *n)
{
	(void)n;
	unm_full_fence();
	if (unm_load_acquire(&device.asked) != device.answered)
		return false;
	device.n_sleeps++;
	return true;
}

void
unm_net_sleep_end(struct unm_net *n)
{
	(void)n;
}

unsigned int
unm_net_max_fds(const struct unm_net *n)
{
	(void)n;
	return 1;
}

unsigned int
unm_net_fds(struct unm_net *n, struct pollfd *out)
{
	(void)n;
	*out = (struct pollfd){.fd = device.kick_fd, .events = POLLIN};
	return 1;
}

void
unm_net_fds_ready(struct unm_net *n, const struct pollfd *fds, unsigned int n_fds)
{
	uint64_t kicks;

	(void)n;
	(void)n_fds;
	if (fds[0].revents != 0)
		assert_int_equal(read(device.kick_fd, &kicks, sizeof(kicks)), sizeof(kicks));
}

static struct unm_loop *loop;
static int fd[N_FDS];
static unsigned int n_seen;

static void
seen(void *arg, short revents)
{
	int *which = arg;

	assert_int_equal(revents, POLLIN);
	unm_loop_unwatch(loop, *which);
	if (++n_seen == N_FDS)
		unm_loop_stop(loop);
}

static void
memory_is_short(void **state)
{
	unsigned int i, n_failed = 0;

	(void)state;
	loop = unm_loop_new();
	assert_non_null(loop);
	for (i = 0; i < N_FDS; i++) {
		unsigned int fails_after;

		fd[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(fd[i] >= 0);
		/* Room is made by three calls, if any; each of them fails once. */
		for (fails_after = 0; fails_after < 3; fails_after++) {
			int err;

			n_good = fails_after;
			err = unm_loop_watch(loop, fd[i], POLLIN, seen, &fd[i]);
			n_good = ~0u;
			if (err == 0)
				break;
			assert_int_equal(err, -ENOMEM);
			n_failed++;
		}
		assert_int_equal(unm_loop_watch(loop, fd[i], POLLIN, seen, &fd[i]), 0);
	}
	assert_int_equal(n_failed, 9); /* for 16, 32 and 64 */
	assert_int_equal(unm_loop_run(loop), 0);
	assert_int_equal(n_seen, N_FDS);
	unm_loop_free(loop);
	for (i = 0; i < N_FDS; i++)
		close(fd[i]);
}

#define N_QUESTIONS 5000u

static unsigned int n_controls;

static void
control(void *arg, short revents)
{
	(void)arg;
	(void)revents;
	n_controls++;
}

static void *
guest(void *arg)
{
	const uint64_t one = 1;
	uint32_t i;

	(void)arg;
	for (i = 1; i <= N_QUESTIONS; i++) {
		unm_store_release(&device.asked, i);
		assert_int_equal(write(device.kick_fd, &one, sizeof(one)), sizeof(one));
		while (unm_load_acquire(&device.answered) != i)
			sched_yield(); /* as one that has other work to do */
	}
	unm_loop_stop(loop);
	return NULL;
}

/*
 * One processor for the loop and its guest, and looks of a millisecond. A loop that kept the processor
 * meanwhile would find none of the questions before it sleeps. As nearly all are found by a look, calls that are
 * due and sockets have to have their turn between looks.
 */
static void
looks_let_the_guest_run(void **state)
{
	struct unm_net *n = (struct unm_net *)(void *)&device; /* only its address is used */
	cpu_set_t before, one;
	pthread_t thread;
	int control_fd;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	device.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(device.kick_fd >= 0);
	loop = unm_loop_new();
	assert_non_null(loop);
	assert_int_equal(unm_loop_add(loop, n), 0);
	control_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* always has something to say */
	assert_int_equal(unm_loop_watch(loop, control_fd, POLLIN, control, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, guest, NULL), 0);
	assert_int_equal(unm_loop_run(loop), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(device.answered, N_QUESTIONS);
	assert_in_range(device.n_sleeps, 0, N_QUESTIONS / 2);
	assert_in_range(device.n_timers, N_QUESTIONS / 2, UINT_MAX);
	assert_in_range(n_controls, device.n_sleeps + 2, UINT_MAX);
	unm_loop_remove(loop, n);
	unm_loop_free(loop);
	close(device.kick_fd);
	close(control_fd);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_short),
		cmocka_unit_test(looks_let_the_guest_run),
	};

	setenv("UNETMAP_SPIN_US", "1000", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
