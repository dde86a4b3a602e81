/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer_socketpair.c - frames between two processes over a UNIX socket pair, many per system call.
 *
 * What a program uses when it has no packet framework: sendmmsg and recvmmsg on SOCK_DGRAM or
 * SOCK_SEQPACKET. The kernel copies each frame in and out and wakes the other side.
 */
#include "bench.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_BATCH 256
#define SOCK_BUF  (4 << 20) /* enough for some hundred frames in flight */

static uint32_t opt_frame = BENCH_MIN_FRAME;
static uint32_t opt_batch = 64;
static bool opt_seqpacket;

static const struct bench_opt opts[] = {
	{"frame", BENCH_U32, &opt_frame, BENCH_MIN_FRAME, BENCH_MAX_FRAME, "bytes of a frame"},
	{"batch", BENCH_U32, &opt_batch, 1, MAX_BATCH, "frames a system call"},
	{"seqpacket", BENCH_FLAG, &opt_seqpacket, 0, 0, "SOCK_SEQPACKET instead of SOCK_DGRAM"},
};

struct msgs {
	struct mmsghdr hdr[MAX_BATCH];
	struct iovec iov[MAX_BATCH];
	char buf[MAX_BATCH][BENCH_BUF_SIZE];
};

struct pair {
	int fd[2]; /* [0] is the sender's */
	struct msgs *tx;
	struct msgs *rx;
};

static struct msgs *
new_msgs(uint32_t len)
{
	struct msgs *m = bench_shared(sizeof(*m));

	for (int i = 0; i < MAX_BATCH; i++) {
		bench_frame(m->buf[i], opt_frame, 2, 1, BENCH_WORD);
		m->iov[i] = (struct iovec){.iov_base = m->buf[i], .iov_len = len};
		m->hdr[i].msg_hdr = (struct msghdr){.msg_iov = &m->iov[i], .msg_iovlen = 1};
	}
	return m;
}

/* Let blocked calls return now and then, so that the stop flag is seen. */
static int
set_timeouts(int fd)
{
	const struct timeval t = {.tv_usec = 200000};
	const int size = SOCK_BUF;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) != 0)
		return -errno;
	/* Without privilege the kernel's smaller limit holds; that is not an error. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) != 0)
		return -errno;
	return 0;
}

static int
send_frames(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	const struct pair *p = arg;

	bench_barrier(run);
	while (!bench_stop(run)) {
		const int n = sendmmsg(p->fd[0], p->tx->hdr, opt_batch, 0);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			const int err = errno;

			if (bench_stop(run)) /* the receiver has gone */
				break;
			bench_say("sendmmsg: %s", strerror(err));
			return -err;
		}
		if (n > 0)
			bench_count(&stat->sent, (uint64_t)n);
	}
	return 0;
}

static int
receive_frames(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	const struct pair *p = arg;
	struct bench_check check = {0};

	bench_barrier(run);
	while (!bench_stop(run)) {
		const int n = recvmmsg(p->fd[1], p->rx->hdr, opt_batch, MSG_WAITFORONE, NULL);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			const int err = errno;

			bench_say("recvmmsg: %s", strerror(err));
			return -err;
		}
		for (int i = 0; i < n; i++)
			bench_check_frame(&check, p->rx->buf[i]);
		if (n > 0) {
			bench_count(&stat->packets, (uint64_t)n);
			bench_count(&stat->batches, 1);
		}
	}
	stat->errors = bench_check_errors(&check);
	return 0;
}

int
main(int argc, char **argv)
{
	struct bench_conf conf = {.program = "peer_socketpair",
		.purpose = "Sends frames over a UNIX socket pair.",
		.opts = opts,
		.n_opts = sizeof(opts) / sizeof(opts[0])};
	struct bench_run *run;
	struct pair pair;
	int err;

	bench_parse(&conf, argc, argv);
	if (socketpair(AF_UNIX, opt_seqpacket ? SOCK_SEQPACKET : SOCK_DGRAM, 0, pair.fd) != 0) {
		bench_say("cannot make a socket pair: %s", strerror(errno));
		return 1;
	}
	err = set_timeouts(pair.fd[0]);
	if (err == 0)
		err = set_timeouts(pair.fd[1]);
	if (err != 0) {
		bench_say("cannot set up a socket pair: %s", strerror(-err));
		return 1;
	}
	pair.tx = new_msgs(opt_frame);
	pair.rx = new_msgs(BENCH_BUF_SIZE);
	run = bench_new(&conf, false);
	bench_side(run, "sender", 0, false, send_frames, &pair);
	bench_side(run, "receiver", 1, true, receive_frames, &pair);
	bench_release(run);
	return bench_finish_rate(run, opt_frame);
}
