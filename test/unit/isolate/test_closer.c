/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: what can't be closed, or lies in a socket with what can't, keeps neither who hands it over nor
 * other senders' descriptors, and for a moment only if it waits for a peer; what lies in a socket is
 * thrown away, wherever it hides; and a message of a peer that is not trusted is received without a
 * descriptor being closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "shm/clock.h"
#include "shm/closer.h"
#include "shm/proto.h"

#define WAIT_MS	 5000
#define SOON_NS	 UINT64_C(50000000)
#define LINGER_S 3600

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool
becomes_empty(const struct unm_closer_queue *q)
{
	int ms;

	for (ms = 0; ms < WAIT_MS && unm_closer_len(q) > 0; ms++)
		usleep(1000);
	return unm_closer_len(q) == 0;
}

/* A TCP socket whose last close() waits for @peer to read. Return: -1: there is no network here. */
static int
lingering(int *peer)
{
	const struct linger l = {1, LINGER_S};
	const int small = 2048;
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static char buf[65536];
	socklen_t len = sizeof(sa);
	const int listener = socket(AF_INET, SOCK_STREAM, 0);
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(listener, (struct sockaddr *)&sa, len) < 0 || listen(listener, 1) < 0 ||
		getsockname(listener, (struct sockaddr *)&sa, &len) < 0 ||
		connect(fd, (struct sockaddr *)&sa, len) < 0)
		return -1;
	*peer = accept(listener, NULL, NULL);
	assert_true(*peer >= 0);
	close(listener);
	while (send(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		continue;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	return fd;
}

/* A byte, with @fd or without (-1). */
static void
send_fd(int sock, int fd, int flags)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr c;
	} space = {.c = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&space.c), &fd, sizeof(fd));
		msg.msg_control = space.buf;
		msg.msg_controllen = sizeof(space.buf);
	}
	assert_int_equal(sendmsg(sock, &msg, flags), 1);
}

static void
nobody_waits(void **state)
{
	static struct unm_closer_queue slow, other;
	int fd, peer, pair[2], last = -1, i;
	uint64_t begin;

	(void)state;
	for (i = 0; i < 2; i++) {
		fd = lingering(&peer);
		if (fd < 0)
			skip();
		if (i == 1) { /* in the queue of a socket */
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
			send_fd(pair[0], fd, 0);
			close(fd);
			close(pair[0]);
			fd = pair[1];
		}
		begin = unm_now_ns();
		unm_closer_close(&slow, fd);
		unm_closer_close(&slow, open("/dev/null", O_RDONLY));
		last = open("/dev/null", O_RDONLY);
		unm_closer_close(&other, last);
		assert_true(unm_now_ns() - begin < SOON_NS);
		assert_true(becomes_empty(&other));
		assert_false(is_open(last));
		assert_true(unm_closer_len(&slow) == 2); /* it takes a while, */
		assert_true(becomes_empty(&slow));	 /* but no longer */
		assert_false(is_open(fd));
		assert_true(unm_now_ns() - begin > SOON_NS);
		close(peer);
	}
}

static void
counts_until_closed(void **state)
{
	static unsigned int n_left;
	struct unm_closer_queue *q = calloc(1, sizeof(*q));
	int fd, peer, ms;

	(void)state;
	assert_non_null(q);
	unm_closer_end(q, &n_left);
	assert_int_equal(n_left, 0);
	fd = lingering(&peer);
	if (fd < 0)
		skip();
	unm_closer_abandon(fd, &n_left);
	assert_int_equal(__atomic_load_n(&n_left, __ATOMIC_RELAXED), 1);
	for (ms = 0; ms < WAIT_MS && __atomic_load_n(&n_left, __ATOMIC_RELAXED) > 0; ms++)
		usleep(1000);
	assert_int_equal(__atomic_load_n(&n_left, __ATOMIC_RELAXED), 0);
	assert_false(is_open(fd));
	close(peer);
}

static void
empties(void **state)
{
	static struct unm_closer_queue q;
	int ends[2], sv[2], how;
	char c;

	(void)state;
	for (how = 0; how < 3; how++) {
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		send_fd(sv[0], -1, 0);
		send_fd(sv[0], ends[1], how > 0 ? MSG_OOB : 0);
		if (how == 2)
			assert_int_equal(recv(sv[1], &c, 1, MSG_OOB), 1);
		send_fd(sv[0], -1, 0);
		close(ends[1]);
		assert_int_equal(shutdown(sv[1], SHUT_RD), 0);
		assert_int_equal(unm_closer_empty(&q, sv[1]), 0);
		assert_true(becomes_empty(&q));
		assert_int_equal(read(ends[0], &c, 1), 0); /* nobody has the other end */
		assert_true(is_open(sv[1]));
		close(ends[0]);
		close(sv[0]);
		close(sv[1]);
	}
}

static void
send_many(int sock, unsigned int n, uint16_t said)
{
	struct unm_msg_hdr hdr = {
		.magic = UNM_PROTO_MAGIC, .n_fds = said, .len = sizeof(hdr), .type = 1};
	union {
		char buf[CMSG_SPACE(sizeof(int) * UNM_PROTO_SCM_FDS)];
		struct cmsghdr c;
	} space = {.c = {CMSG_LEN(sizeof(int) * n), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {&hdr, sizeof(hdr)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space.buf,
		.msg_controllen = CMSG_SPACE(sizeof(int) * n)};
	unsigned int i;

	for (i = 0; i < n; i++)
		memcpy(CMSG_DATA(&space.c) + i * sizeof(int), &sock, sizeof(int));
	assert_int_equal(sendmsg(sock, &msg, 0), sizeof(hdr));
}

static unsigned int
recv_foreign(int sock, int want)
{
	static char buf[UNM_PROTO_MAXLEN] __attribute__((aligned(8)));
	int fds[UNM_PROTO_SCM_FDS];
	unsigned int i, n;

	assert_int_equal(unm_proto_recv_foreign(sock, buf, sizeof(buf), fds, &n), want);
	for (i = 0; i < n; i++)
		assert_int_equal(close(fds[i]), 0);
	return n;
}

static void
receives(void **state)
{
	struct rlimit before, few;
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_int_equal(recv_foreign(sv[1], -EAGAIN), 0);
	send_many(sv[0], 2, 2);
	assert_int_equal(recv_foreign(sv[1], 0), 2);
	send_many(sv[0], 2, 1);
	assert_int_equal(recv_foreign(sv[1], -EPROTO), 2);
	send_many(sv[0], UNM_PROTO_SCM_FDS, UNM_PROTO_SCM_FDS);
	assert_int_equal(recv_foreign(sv[1], -EPROTO), UNM_PROTO_SCM_FDS);
	send_many(sv[0], 72, 72);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){40, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_in_range(recv_foreign(sv[1], -EMFILE), 1, 71);
	assert_in_range(recv_foreign(sv[1], -EMFILE), 1, 71); /* it is still there */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(recv_foreign(sv[1], 0), 72);
	assert_int_equal(recv_foreign(sv[1], -EAGAIN), 0);
	close(sv[0]);
	assert_int_equal(recv_foreign(sv[1], -ECONNRESET), 0);
	close(sv[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_waits),
		cmocka_unit_test(counts_until_closed),
		cmocka_unit_test(empties),
		cmocka_unit_test(receives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
