/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches of a device server's loop: as many as are wanted, each gets its events, and one for which
 * memory was short leaves the others, and those to come, as they are.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

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

/* There are no devices here. */
unsigned int
unm_net_work(struct unm_net *n)
{
	(void)n;
	abort();
}

void
unm_net_timers(struct unm_net *n, uint64_t now_ns, uint64_t *deadline_ns)
{
	(void)n;
	(void)now_ns;
	(void)deadline_ns;
	abort();
}

bool
unm_net_is_lost_anew(struct unm_net *n)
{
	(void)n;
	abort();
}

bool
unm_net_link_has_changed(struct unm_net *n, bool *up)
{
	(void)n;
	(void)up;
	abort();
}

bool
unm_net_sleep_prepare(struct unm_net *n)
{
	(void)n;
	abort();
}

void
unm_net_sleep_end(struct unm_net *n)
{
	(void)n;
	abort();
}

unsigned int
unm_net_max_fds(const struct unm_net *n)
{
	(void)n;
	abort();
}

unsigned int
unm_net_fds(struct unm_net *n, struct pollfd *out)
{
	(void)n;
	(void)out;
	abort();
}

void
unm_net_fds_ready(struct unm_net *n, const struct pollfd *fds, unsigned int n_fds)
{
	(void)n;
	(void)fds;
	(void)n_fds;
	abort();
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
