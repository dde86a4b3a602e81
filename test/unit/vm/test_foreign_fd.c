/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: descriptors are told apart without a file system being asked, and what may wait is closed in
 * another thread and counted meanwhile.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/foreign_fd.h"

#define WAIT_MS 5000

static void
expect(int fd, enum unm_fd_kind kind)
{
	assert_true(fd >= 0);
	assert_int_equal(unm_fd_kind(fd), kind);
	assert_int_equal(close(fd), 0);
}

static void
kinds(void **state)
{
	int pair[2];

	(void)state;
	expect(eventfd(0, 0), UNM_FD_EVENT);
	expect(timerfd_create(CLOCK_MONOTONIC, 0), UNM_FD_OTHER);
	expect(memfd_create("x", 0), UNM_FD_MEMORY);
	expect(memfd_create("x", MFD_ALLOW_SEALING), UNM_FD_MEMORY);
	expect(open("/dev/null", O_RDWR), UNM_FD_OTHER);
	expect(open("/proc/self/status", O_RDONLY), UNM_FD_OTHER);
	expect(open("/", O_RDONLY), UNM_FD_OTHER);
	expect(socket(AF_INET, SOCK_DGRAM, 0), UNM_FD_OTHER);
	assert_int_equal(pipe(pair), 0);
	expect(pair[0], UNM_FD_PIPE);
	expect(pair[1], UNM_FD_PIPE);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	expect(pair[0], UNM_FD_SOCKET);
	expect(pair[1], UNM_FD_SOCKET);
	assert_int_equal(unm_fd_kind(-1), UNM_FD_OTHER);
}

static void
await_closed(int fd)
{
	int ms;

	for (ms = 0; ms < WAIT_MS && fcntl(fd, F_GETFD) >= 0; ms++)
		usleep(1000);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void
closes(void **state)
{
	static struct unm_closer_queue q; /* lives as long as the process */
	int fd = eventfd(0, 0), i, ms;

	(void)state;
	unm_fd_close(fd, &q);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* at once */
	for (i = 0; i < 200; i++) {
		fd = open("/dev/null", O_RDWR);
		assert_true(fd >= 0);
		unm_fd_close(fd, i % 2 ? &q : NULL);
	}
	await_closed(fd);
	for (ms = 0; ms < WAIT_MS && unm_closer_len(&q) > 0; ms++)
		usleep(1000);
	assert_int_equal(unm_closer_len(&q), 0);
	assert_false(unm_fd_queue_is_full(&q));
	q.n_jobs = 64;
	assert_true(unm_fd_queue_is_full(&q));
	q.n_jobs = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
