/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: what a program sees of a monitor: its name, memory and rings, every way to wait for it, the sync loop, a copy in a
 * child, offsets, and the end of the port that it watches (spec 15).
 */
#include "ct.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

#define MONITOR	 (NR_MONITOR_TX | NR_MONITOR_RX)
#define N_FRAMES 3u

/* Name of an end of the pipe that ct_pipe() has made. */
static const char *
pipe_end(const char *what, char brace)
{
	static char name[64];

	snprintf(name, sizeof(name), "ct%d%s%c1", (int)getpid(), what, brace);
	return name;
}

/* What the monitor must show next: frames @first, @first + 1 ... of N_FRAMES. */
static void
expect(struct ct_port *m, uint32_t first)
{
	uint32_t last = 0;

	CHECK_EQ(ct_take(m, &last), N_FRAMES);
	CHECK_EQ(last, first + N_FRAMES - 1);
}

static void
shape(void)
{
	struct ct_port a, b, copy, zero;

	ct_pipe(&a, &b, "shape");
	copy = ct_port(pipe_end("shape", '}'), NR_MONITOR_RX);
	zero = ct_port(pipe_end("shape", '}'), NR_ZCOPY_MON);
	CHECK(strncmp(copy.nifp->ni_name, pipe_end("shape", '}'), 8) == 0);
	CHECK(copy.reg.nr_mem_id != b.reg.nr_mem_id && zero.reg.nr_mem_id == b.reg.nr_mem_id);
	CHECK_EQ(zero.reg.nr_flags, NR_ZCOPY_MON | MONITOR);
	CHECK_EQ(copy.reg.nr_flags, NR_MONITOR_RX);
	CHECK_EQ(copy.reg.nr_tx_rings, 1);
	CHECK_EQ(copy.reg.nr_rx_rings, 1);
	CHECK_EQ(copy.reg.nr_rx_slots, b.reg.nr_rx_slots);
	CHECK(copy.nifp->ni_flags & NI_PRIV_MEM);
	CHECK_ERR(ioctl(copy.fd, NIOCTXSYNC, NULL), EIO);
	CHECK_EQ(ioctl(copy.fd, NIOCRXSYNC, NULL), 0);
}

/* @wait must find the monitor ready after a frame has gone by, and not before. */
static void
with_wait(const char *what, int (*wait)(int fd, int ms))
{
	struct ct_port a, b, m;
	uint32_t i;

	ct_pipe(&a, &b, what);
	m = ct_port(pipe_end(what, '{'), NR_MONITOR_TX | NR_RX_RINGS_ONLY);
	for (i = 0; i < 5; i++) {
		CHECK_EQ(wait(m.fd, CT_IDLE_MS), 0);
		ct_send(&a, i * N_FRAMES, N_FRAMES);
		CHECK_EQ(wait(m.fd, CT_WAIT_MS), 1);
		CHECK_EQ(ioctl(m.fd, NIOCRXSYNC, NULL), 0);
		CHECK(m.rx->slot[m.rx->head].flags & NS_TXMON);
		expect(&m, i * N_FRAMES);
		CHECK_EQ(ioctl(m.fd, NIOCRXSYNC, NULL), 0);
	}
}

static int
wait_poll(int fd, int ms)
{
	struct pollfd pfd = {fd, POLLIN, 0};

	return poll(&pfd, 1, ms);
}

static int
wait_select(int fd, int ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, &set, NULL, NULL, &tv);
}

static int
wait_epoll(int fd, int ms)
{
	struct epoll_event ev = {.events = EPOLLIN};
	const int ep = epoll_create1(0);
	int n;

	CHECK(ep >= 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	n = epoll_wait(ep, &ev, 1, ms);
	close(ep);
	return n;
}

static void
by_poll(void)
{
	with_wait("poll", wait_poll);
}

static void
by_select(void)
{
	with_wait("select", wait_select);
}

static void
by_epoll(void)
{
	with_wait("epoll", wait_epoll);
}

struct late {
	struct ct_port *from;
	uint32_t first;
};

static void *
send_late(void *arg)
{
	const struct late *l = arg;

	usleep(CT_IDLE_MS * 1000);
	ct_send(l->from, l->first, N_FRAMES);
	return NULL;
}

/* Asleep when the frames go by. */
static void
woken(void)
{
	struct ct_port a, b, m;
	uint32_t i;

	ct_pipe(&a, &b, "woken");
	m = ct_port(pipe_end("woken", '}'), MONITOR | NR_RX_RINGS_ONLY);
	for (i = 0; i < 5; i++) {
		struct late l = {&a, i * N_FRAMES};
		pthread_t t;

		CHECK_EQ(pthread_create(&t, NULL, send_late, &l), 0);
		CHECK_EQ(wait_poll(m.fd, CT_WAIT_MS), 1);
		CHECK_EQ(pthread_join(t, NULL), 0);
		CHECK_EQ(ioctl(m.fd, NIOCRXSYNC, NULL), 0);
		expect(&m, i * N_FRAMES);
		CHECK_EQ(ioctl(m.fd, NIOCRXSYNC, NULL), 0);
	}
}

static void
child_reads(void *arg)
{
	struct ct_port *m = arg;

	CHECK_EQ(wait_poll(m->fd, CT_WAIT_MS), 1);
	expect(m, 0);
}

/* The descriptor is the binding: who inherits it can read, and it stays when its maker closes it. */
static void
inherited(void)
{
	struct ct_port a, b, m;
	pid_t pid;

	ct_pipe(&a, &b, "inherited");
	m = ct_port(pipe_end("inherited", '{'), NR_MONITOR_TX | NR_RX_RINGS_ONLY);
	pid = ct_spawn(child_reads, &m);
	close(m.fd);
	ct_send(&a, 0, N_FRAMES);
	ct_join(pid);
}

/* The sync loop: positions of the one ring that is bound are in record 0. */
struct loop {
	struct ct_port *m;
	int result;
};

static void *
loop_main(void *arg)
{
	struct loop *l = arg;
	struct nmreq_sync_kloop_start body = {.sleep_us = 100};
	struct nmreq_header h = {.nr_version = NETMAP_API,
		.nr_reqtype = NETMAP_REQ_SYNC_KLOOP_START,
		.nr_body = (uintptr_t)&body};

	l->result = ioctl(l->m->fd, NIOCCTRL, &h);
	return NULL;
}

static void
sync_loop(void)
{
	struct nm_csb_atok *atok = aligned_alloc(64, sizeof(*atok));
	struct nm_csb_ktoa *ktoa = aligned_alloc(64, sizeof(*ktoa));
	struct nmreq_opt_csb o = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB};
	struct nmreq_header enable = {.nr_version = NETMAP_API,
		.nr_reqtype = NETMAP_REQ_CSB_ENABLE,
		.nr_options = (uintptr_t)&o};
	struct nmreq_header stop = {
		.nr_version = NETMAP_API, .nr_reqtype = NETMAP_REQ_SYNC_KLOOP_STOP};
	struct ct_port a, b, m;
	struct loop l = {&m, -1};
	uint64_t deadline;
	pthread_t t;

	CHECK(atok != NULL && ktoa != NULL);
	ct_pipe(&a, &b, "loop");
	m = ct_port(pipe_end("loop", '}'), NR_MONITOR_RX | NR_RX_RINGS_ONLY | NR_EXCLUSIVE);
	o.csb_atok = (uintptr_t)atok;
	o.csb_ktoa = (uintptr_t)ktoa;
	CHECK_EQ(ioctl(m.fd, NIOCCTRL, &enable), 0);
	CHECK_EQ(pthread_create(&t, NULL, loop_main, &l), 0);
	ct_send(&a, 0, N_FRAMES);
	for (deadline = ct_now_ms() + CT_WAIT_MS; ct_now_ms() < deadline; usleep(1000)) {
		uint32_t hwtail, hwcur;

		nm_sync_kloop_appl_read(ktoa, &hwtail, &hwcur);
		if (hwtail == N_FRAMES)
			break;
	}
	CHECK(ct_now_ms() < deadline);
	CHECK_EQ(ioctl(m.fd, NIOCCTRL, &stop), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(l.result, 0);
}

/* The last user of the port goes: what came before can be read, then it is over, and stays so. */
static void
end(void)
{
	struct ct_port a, b, m;
	struct pollfd pfd;

	ct_pipe(&a, &b, "end");
	m = ct_port(pipe_end("end", '{'), NR_MONITOR_TX | NR_RX_RINGS_ONLY);
	ct_send(&a, 0, N_FRAMES);
	ct_close(&a);
	pfd = (struct pollfd){m.fd, POLLIN, 0};
	CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLIN);
	expect(&m, 0);
	CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLERR);
	CHECK_ERR(ioctl(m.fd, NIOCRXSYNC, NULL), EIO);
	a = ct_port(pipe_end("end", '{'), 0);
	ct_send(&a, 0, N_FRAMES);
	CHECK_ERR(ioctl(m.fd, NIOCRXSYNC, NULL), EIO);
}

static void
refused(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC, .nr_flags = NR_MONITOR_RX};
	struct ct_port a, b;
	int fd = ct_open_device();

	CHECK_ERR(ct_register(fd, "vale0:ctnobody", &reg), EINVAL);
	ct_pipe(&a, &b, "refused");
	reg.nr_mode = NR_REG_SW;
	CHECK_ERR(ct_register(fd, pipe_end("refused", '{'), &reg), EINVAL);
	reg = (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC, .nr_flags = NR_MONITOR_RX};
	CHECK_EQ(ct_register(fd, pipe_end("refused", '{'), &reg),
		0); /* nothing has happened to the descriptor */
}

static const struct ct_case cases[] = {
	{"shape", shape},
	{"by_poll", by_poll},
	{"by_select", by_select},
	{"by_epoll", by_epoll},
	{"woken", woken},
	{"inherited", inherited},
	{"sync_loop", sync_loop},
	{"end", end},
	{"refused", refused},
};

int
main(int argc, char **argv)
{
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
