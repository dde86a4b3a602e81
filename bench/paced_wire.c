/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * paced_wire.c - how long a frame takes from an interface to a netmap port, one now and then.
 *
 * One frame leaves by an AF_PACKET socket at each of a series of points in time, with the time
 * written in it; who receives it blocks in poll on a netmap port. What lies in between (the kernel,
 * and the worker of an interface that is attached to the port's switch) has been asleep each time.
 */
#include "ours_port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOST_MS 3000 /* a frame that does not arrive within that time is lost */

static const char *opt_if = "", *opt_ns = "", *opt_port = "";
static double opt_interval = 1;

static const struct bench_opt opts[] = {
	{"if", BENCH_STRING, &opt_if, 0, 0, "interface to send to"},
	{"ns", BENCH_STRING, &opt_ns, 0, 0, "its namespace, like /proc/1/ns/net"},
	{"port", BENCH_STRING, &opt_port, 0, 0, "netmap port to receive from"},
	{"interval", BENCH_DOUBLE, &opt_interval, 0.001, 60, "seconds between frames (default 1)"},
};

struct wire {
	struct bench_samples *samples;
	uint32_t done; /* W: the receiver, at its end */
};

/* Return: a socket bound to the interface, or -errno. */
static int
open_interface(void)
{
	struct sockaddr_ll sa = {.sll_family = AF_PACKET};
	const int ns = open(opt_ns, O_RDONLY | O_CLOEXEC);
	int fd;

	if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
		return bench_failed("cannot enter the namespace", opt_ns);
	close(ns);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	sa.sll_ifindex = (int)if_nametoindex(opt_if);
	if (fd < 0 || sa.sll_ifindex == 0 ||
		bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0)
		return bench_failed("cannot send to", opt_if);
	return fd;
}

static int
paced_send(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	const struct wire *w = arg;
	const uint64_t interval_ns = (uint64_t)(opt_interval * 1e9);
	const int fd = open_interface();
	char frame[BENCH_MIN_FRAME];
	uint64_t next;

	if (fd < 0)
		return fd;
	bench_frame(frame, sizeof(frame), BENCH_BROADCAST, 1, 0);
	bench_barrier(run);
	next = bench_now_ns();
	for (uint32_t i = 0; i < w->samples->n_rounds; i++) {
		next += interval_ns;
		bench_sleep_until(next);
		bench_set_word(frame, bench_now_ns());
		if (send(fd, frame, sizeof(frame), 0) < 0)
			return bench_failed("cannot send to", opt_if);
		bench_count(&stat->sent, 1);
	}
	while (__atomic_load_n(&w->done, __ATOMIC_RELAXED) == 0)
		bench_sleep_until(bench_now_ns() + 10000000);
	close(fd);
	return 0;
}

static int
paced_receive(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct wire *w = arg;
	struct nmport_d *d = nmport_open(opt_port);
	struct netmap_ring *ring;
	struct pollfd p;
	int ready = 1;

	if (d == NULL)
		return bench_failed("cannot open", opt_port);
	ring = ours_rx(d);
	p = (struct pollfd){.fd = d->fd, .events = POLLIN};
	bench_barrier(run);
	while (ready > 0 && w->samples->n < w->samples->n_rounds) {
		ready = ours_wait(&p, 1, LOST_MS + (int)(opt_interval * 1000));
		for (uint32_t n = nm_ring_space(ring); n > 0; n--) {
			const void *frame = NETMAP_BUF(ring, ring->slot[ring->head].buf_idx);

			bench_sample(w->samples, bench_now_ns() - bench_word(frame));
			bench_count(&stat->packets, 1);
			ring->head = ring->cur = nm_ring_next(ring, ring->head);
		}
	}
	__atomic_store_n(&w->done, 1, __ATOMIC_RELAXED);
	nmport_close(d);
	return ready < 0 ? ready : 0;
}

int
main(int argc, char **argv)
{
	struct bench_conf conf = {.program = "paced_wire",
		.purpose = "Times single frames from an interface to a netmap port.",
		.opts = opts,
		.n_opts = sizeof(opts) / sizeof(opts[0])};
	struct bench_run *run;
	struct wire *w;

	bench_parse(&conf, argc, argv);
	w = bench_shared(sizeof(*w));
	w->samples = bench_samples(&conf, opt_interval);
	run = bench_new(&conf, false);
	bench_side(run, "sender", 0, false, paced_send, w);
	bench_side(run, "receiver", 1, true, paced_receive, w);
	bench_release(run);
	return bench_finish_latency(run, w->samples);
}
