/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer_vde.c - frames between two processes plugged into a running vde_switch.
 *
 * The receiver says hello first, so that the switch has learned its address before the sender
 * floods it. Each frame is a system call at the sender, two at the switch and one at the receiver;
 * what the switch has to drop does not count.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <libvdeplug.h>

#define RX_BATCH 64 /* frames between two looks at the stop flag */
#define POLL_MS	 200

static uint32_t opt_frame = BENCH_MIN_FRAME;
static const char *opt_switch = "";

static const struct bench_opt opts[] = {
	{"frame", BENCH_U32, &opt_frame, BENCH_MIN_FRAME, BENCH_MAX_FRAME, "bytes of a frame"},
	{"switch", BENCH_STRING, &opt_switch, 0, 0, "directory of the running switch's sockets"},
};

static VDECONN *
plug(void)
{
	char url[256], descr[] = "bench";
	VDECONN *conn;

	snprintf(url, sizeof(url), "vde://%s", opt_switch);
	conn = vde_open(url, descr, NULL);
	if (conn == NULL)
		bench_say("cannot plug into the switch at \"%s\": %s; is vde_switch -s %s running?",
			opt_switch, strerror(errno), opt_switch);
	return conn;
}

static int
send_frames(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	VDECONN *conn = plug();
	char buf[BENCH_BUF_SIZE];

	(void)arg; /* both sides know all they need from the options */
	if (conn == NULL)
		return -EIO;
	bench_frame(buf, opt_frame, 2, 1, BENCH_WORD);
	bench_barrier(run);
	bench_barrier(run);
	while (!bench_stop(run)) {
		if (vde_send(conn, buf, opt_frame, 0) == (ssize_t)opt_frame)
			bench_count(&stat->sent, 1);
		else if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
			break;
	}
	if (!bench_stop(run))
		bench_say("the switch has gone");
	vde_close(conn);
	return bench_stop(run) ? 0 : -EIO;
}

/* Take what is there, up to RX_BATCH. Return: 0 or a negative errno. */
static int
receive_some(VDECONN *conn, struct bench_stat *stat, struct bench_check *check)
{
	char buf[BENCH_BUF_SIZE];

	for (int i = 0; i < RX_BATCH; i++) {
		const ssize_t n = vde_recv(conn, buf, sizeof(buf), 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			return -EIO;
		if ((size_t)n < opt_frame)
			continue; /* a frame of the switch's own */
		bench_check_frame(check, buf);
		bench_count(&stat->packets, 1);
	}
	bench_count(&stat->batches, 1);
	return 0;
}

static int
receive_frames(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	VDECONN *conn = plug();
	struct bench_check check = {0};
	struct pollfd p;
	char hello[BENCH_MIN_FRAME];
	int err = 0;

	(void)arg;
	if (conn == NULL)
		return -EIO;
	p = (struct pollfd){.fd = vde_datafd(conn), .events = POLLIN};
	/* vde_recv() does not hand its flags on, so MSG_DONTWAIT would have no effect */
	if (fcntl(p.fd, F_SETFL, O_NONBLOCK) != 0)
		err = -errno;
	bench_barrier(run);
	bench_frame(hello, sizeof(hello), BENCH_BROADCAST, 2, BENCH_WORD);
	if (vde_send(conn, hello, sizeof(hello), 0) < 0)
		err = -errno;
	bench_barrier(run);
	while (err == 0 && !bench_stop(run)) {
		if (poll(&p, 1, POLL_MS) > 0)
			err = receive_some(conn, stat, &check);
	}
	if (err != 0)
		bench_say("the switch has gone: %s", strerror(-err));
	stat->errors = bench_check_errors(&check);
	vde_close(conn);
	return err;
}

int
main(int argc, char **argv)
{
	struct bench_conf conf = {.program = "peer_vde",
		.purpose = "Sends frames through a running vde_switch.",
		.opts = opts,
		.n_opts = sizeof(opts) / sizeof(opts[0])};
	struct bench_run *run;

	bench_parse(&conf, argc, argv);
	run = bench_new(&conf, false);
	bench_side(run, "sender", 0, false, send_frames, NULL);
	bench_side(run, "receiver", 1, true, receive_frames, NULL);
	bench_release(run);
	bench_release(run);
	return bench_finish_rate(run, opt_frame);
}
