/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves CSB mode and the sync loop: entering, both modes, direct rings, stopping, errors (spec 18). */
#include "ct.h"

#include <pthread.h>
#include <sys/eventfd.h>

#define N_FRAMES 20000u
#define N_MAX	 8

struct csb_port {
	struct ct_port p;
	struct nm_csb_atok *atok;
	struct nm_csb_ktoa *ktoa;
	struct {
		struct nmreq_option opt;
		struct {
			int32_t ioeventfd, irqfd;
		} fd[2];
	} fds;
	struct nmreq_opt_sync_kloop_mode mode;
	bool with_fds, with_mode;
	uint32_t sleep_us;
	int start_result, start_errno;
	pthread_t loop;
};

static int
request(int fd, uint16_t type, void *body, void *opts)
{
	struct nmreq_header h = {.nr_version = NETMAP_API,
		.nr_reqtype = type,
		.nr_body = (uintptr_t)body,
		.nr_options = (uintptr_t)opts};

	return ioctl(fd, NIOCCTRL, &h);
}

static void
alloc_records(struct csb_port *c)
{
	c->atok = aligned_alloc(64, N_MAX * sizeof(*c->atok));
	c->ktoa = aligned_alloc(64, N_MAX * sizeof(*c->ktoa));
	CHECK(c->atok != NULL && c->ktoa != NULL);
	memset(c->atok, 0x55, N_MAX * sizeof(*c->atok));
	memset(c->ktoa, 0x55, N_MAX * sizeof(*c->ktoa));
}

/* One port of a pipe, with CSB from the start. */
static void
open_csb(struct csb_port *c, const char *name)
{
	struct nmreq_opt_csb o = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB};
	struct nmreq_header h = {.nr_version = NETMAP_API,
		.nr_reqtype = NETMAP_REQ_REGISTER,
		.nr_body = (uintptr_t)&c->p.reg,
		.nr_options = (uintptr_t)&o};

	memset(c, 0, sizeof(*c));
	alloc_records(c);
	o.csb_atok = (uintptr_t)c->atok;
	o.csb_ktoa = (uintptr_t)c->ktoa;
	snprintf(h.nr_name, sizeof(h.nr_name), "%s", name);
	c->p.reg.nr_mode = NR_REG_ALL_NIC;
	c->p.reg.nr_flags = NR_EXCLUSIVE;
	c->p.fd = ct_open_device();
	CHECK_EQ(ioctl(c->p.fd, NIOCCTRL, &h), 0);
	CHECK_EQ(o.nro_opt.nro_status, 0);
	ct_map(&c->p);
}

static void *
loop_main(void *arg)
{
	struct csb_port *c = arg;
	struct nmreq_sync_kloop_start body = {.sleep_us = c->sleep_us};
	void *opts = NULL;

	if (c->with_mode) {
		c->mode.nro_opt.nro_next = (uintptr_t)opts;
		opts = &c->mode;
	}
	if (c->with_fds) {
		c->fds.opt.nro_next = (uintptr_t)opts;
		opts = &c->fds;
	}
	c->start_result = request(c->p.fd, NETMAP_REQ_SYNC_KLOOP_START, &body, opts);
	c->start_errno = errno;
	return NULL;
}

static void
start(struct csb_port *c)
{
	CHECK_EQ(pthread_create(&c->loop, NULL, loop_main, c), 0);
}

static void
stop(struct csb_port *c)
{
	CHECK_EQ(request(c->p.fd, NETMAP_REQ_SYNC_KLOOP_STOP, NULL, NULL), 0);
	CHECK_EQ(pthread_join(c->loop, NULL), 0);
	CHECK_EQ(c->start_result, 0);
}

static void
with_eventfds(struct csb_port *c)
{
	int i;

	c->fds.opt.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS;
	c->fds.opt.nro_size = sizeof(c->fds);
	for (i = 0; i < 2; i++) {
		c->fds.fd[i].ioeventfd = eventfd(0, EFD_NONBLOCK);
		c->fds.fd[i].irqfd = eventfd(0, EFD_NONBLOCK);
	}
	c->with_fds = true;
}

static void
kick(struct csb_port *c, int ring)
{
	uint64_t one = 1;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (c->with_fds && __atomic_load_n(&c->ktoa[ring].kern_need_kick, __ATOMIC_RELAXED))
		CHECK_EQ(write(c->fds.fd[ring].ioeventfd, &one, sizeof(one)), sizeof(one));
}

/* Wait for an interrupt, or (in sleep mode) a little. */
static void
wait_irq(struct csb_port *c, int ring)
{
	struct pollfd pfd = {c->fds.fd[ring].irqfd, POLLIN, 0};
	uint64_t count;

	if (!c->with_fds) {
		usleep(100);
		return;
	}
	CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK_EQ(read(pfd.fd, &count, sizeof(count)), sizeof(count));
}

/* The client's tx side (spec 18.4). */
static void
csb_send_all(struct csb_port *c)
{
	struct netmap_ring *r = c->p.tx;
	uint32_t head = c->atok[0].head, hwtail, hwcur, i;

	for (i = 0; i < N_FRAMES; i++) {
		nm_sync_kloop_appl_read(&c->ktoa[0], &hwtail, &hwcur);
		while (head == hwtail) {
			__atomic_store_n(&c->atok[0].appl_need_kick, 1, __ATOMIC_RELAXED);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			nm_sync_kloop_appl_read(&c->ktoa[0], &hwtail, &hwcur);
			if (head == hwtail)
				wait_irq(c, 0);
			nm_sync_kloop_appl_read(&c->ktoa[0], &hwtail, &hwcur);
			c->atok[0].appl_need_kick = 0;
		}
		memcpy(NETMAP_BUF(r, r->slot[head].buf_idx) + 20, &i, sizeof(i));
		r->slot[head].len = 60;
		head = nm_ring_next(r, head);
		nm_sync_kloop_appl_write(&c->atok[0], head, head);
		kick(c, 0);
	}
}

/* The client's rx side: every frame, in order. */
static void
csb_receive_all(struct csb_port *c)
{
	struct netmap_ring *r = c->p.rx;
	uint32_t head = c->atok[1].head, hwtail, hwcur, expected = 0;

	while (expected < N_FRAMES) {
		nm_sync_kloop_appl_read(&c->ktoa[1], &hwtail, &hwcur);
		if (head == hwtail) {
			__atomic_store_n(&c->atok[1].appl_need_kick, 1, __ATOMIC_RELAXED);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			nm_sync_kloop_appl_read(&c->ktoa[1], &hwtail, &hwcur);
			if (head == hwtail) {
				wait_irq(c, 1);
				continue;
			}
			c->atok[1].appl_need_kick = 0;
		}
		for (; head != hwtail; head = nm_ring_next(r, head), expected++) {
			uint32_t number;

			memcpy(&number, NETMAP_BUF(r, r->slot[head].buf_idx) + 20, sizeof(number));
			CHECK_EQ(number, expected);
		}
		nm_sync_kloop_appl_write(&c->atok[1], head, head);
		kick(c, 1);
	}
}

static void *
receiver_main(void *arg)
{
	csb_receive_all(arg);
	return NULL;
}

/* Both ends of a pipe in CSB mode, a loop for each, frames from one to the other. */
static void
exchange(bool eventfds, uint32_t mode, uint32_t sleep_us)
{
	struct csb_port a, b;
	pthread_t t;

	open_csb(&a, "ctcsb{1");
	open_csb(&b, "ctcsb}1");
	a.sleep_us = b.sleep_us = sleep_us;
	if (eventfds) {
		with_eventfds(&a);
		with_eventfds(&b);
	}
	if (mode != 0) {
		a.with_mode = b.with_mode = true;
		a.mode.mode = b.mode.mode = mode;
		a.mode.nro_opt.nro_reqtype = b.mode.nro_opt.nro_reqtype =
			NETMAP_REQ_OPT_SYNC_KLOOP_MODE;
	}
	start(&a);
	start(&b);
	CHECK_EQ(pthread_create(&t, NULL, receiver_main, &b), 0);
	csb_send_all(&a);
	CHECK_EQ(pthread_join(t, NULL), 0);
	stop(&a);
	stop(&b);
}

static void
sleep_mode(void)
{
	exchange(false, 0, 50);
}

static void
busy_mode(void)
{
	exchange(false, 0, 0);
}

static void
notification_mode(void)
{
	exchange(true, 0, 0);
}

static void
direct_tx(void)
{
	exchange(true, NM_OPT_SYNC_KLOOP_DIRECT_TX, 0);
}

static void
direct_both(void)
{
	exchange(true, NM_OPT_SYNC_KLOOP_DIRECT_TX | NM_OPT_SYNC_KLOOP_DIRECT_RX, 0);
}

/* Rings that share one blocking eventfd: the loop neither misses a frame nor a stop. */
static void
shared_eventfd(void)
{
	const int kicks = eventfd(0, 0);
	struct csb_port a;
	struct ct_port b;
	int i;

	open_csb(&a, "ctcsb{8");
	with_eventfds(&a);
	a.fds.fd[0].ioeventfd = a.fds.fd[1].ioeventfd = kicks;
	b = ct_port("ctcsb}8", 0);
	start(&a);
	for (i = 0; i < 50; i++) {
		struct pollfd pfd = {b.fd, POLLIN, 0};
		const uint32_t head = nm_ring_next(a.p.tx, a.atok[0].head);

		a.p.tx->slot[a.atok[0].head].len = 60;
		nm_sync_kloop_appl_write(&a.atok[0], head, head);
		kick(&a, 0);
		CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
		b.rx->head = b.rx->cur = b.rx->tail;
	}
	stop(&a);
}

static void
entering(void)
{
	struct csb_port c;
	struct pollfd pfd;

	open_csb(&c, "ctcsb{2");
	CHECK(c.atok[0].head == 0 && c.atok[0].cur == 0 && c.atok[0].appl_need_kick == 1);
	CHECK(c.atok[1].sync_flags == 1 && c.ktoa[1].kern_need_kick == 1);
	CHECK(c.ktoa[0].hwcur == 0 && c.ktoa[0].hwtail == c.p.tx->num_slots - 1);
	CHECK_EQ(c.atok[2].head, 0x55555555); /* one record for each ring, no more */
	CHECK_ERR(ioctl(c.p.fd, NIOCTXSYNC, NULL), EBUSY);
	CHECK_ERR(ioctl(c.p.fd, NIOCRXSYNC, NULL), EBUSY);
	pfd = (struct pollfd){c.p.fd, POLLIN, 0};
	CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLERR);
}

static void
enable_later(void)
{
	struct csb_port c = {0};
	struct nmreq_opt_csb o = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB};
	struct ct_port shared;

	alloc_records(&c);
	c.p.fd = ct_open_device();
	o.csb_atok = (uintptr_t)c.atok;
	o.csb_ktoa = (uintptr_t)c.ktoa;
	CHECK_ERR(request(c.p.fd, NETMAP_REQ_CSB_ENABLE, NULL, NULL), EINVAL);
	CHECK_ERR(request(c.p.fd, NETMAP_REQ_CSB_ENABLE, NULL, &o), ENXIO);
	c.p = ct_port("ctcsb{3", NR_EXCLUSIVE);
	o.csb_atok += 8;
	CHECK_ERR(request(c.p.fd, NETMAP_REQ_CSB_ENABLE, NULL, &o), EINVAL);
	CHECK_EQ(o.nro_opt.nro_status, EINVAL);
	o.csb_atok = 0;
	CHECK_ERR(request(c.p.fd, NETMAP_REQ_CSB_ENABLE, NULL, &o), EFAULT);
	o.csb_atok = (uintptr_t)c.atok;
	CHECK_EQ(request(c.p.fd, NETMAP_REQ_CSB_ENABLE, NULL, &o), 0);
	CHECK_EQ(o.nro_opt.nro_status, 0);
	shared = ct_port("ctcsb{4", 0);
	CHECK_ERR(request(shared.fd, NETMAP_REQ_CSB_ENABLE, NULL, &o), EINVAL);
}

static void
start_errors(void)
{
	struct nmreq_sync_kloop_start body = {.sleep_us = 1000001};
	struct ct_port plain = ct_port("ctcsb{5", NR_EXCLUSIVE);
	const int unbound = ct_open_device();
	struct csb_port c;

	CHECK_ERR(request(unbound, NETMAP_REQ_SYNC_KLOOP_START, &body, NULL), EINVAL);
	body.sleep_us = 100;
	CHECK_ERR(request(unbound, NETMAP_REQ_SYNC_KLOOP_START, &body, NULL), ENXIO);
	CHECK_ERR(request(unbound, NETMAP_REQ_SYNC_KLOOP_STOP, NULL, NULL), ENXIO);
	CHECK_ERR(request(plain.fd, NETMAP_REQ_SYNC_KLOOP_START, &body, NULL), EINVAL);
	open_csb(&c, "ctcsb{6");
	with_eventfds(&c);
	c.fds.opt.nro_size -= 8;
	CHECK_ERR(request(c.p.fd, NETMAP_REQ_SYNC_KLOOP_START, &body, &c.fds), EINVAL);
	CHECK_EQ(c.fds.opt.nro_status, EINVAL);
	c.fds.opt.nro_size += 8;
	c.fds.fd[0].irqfd = 0; /* open, but no eventfd */
	CHECK_ERR(request(c.p.fd, NETMAP_REQ_SYNC_KLOOP_START, &body, &c.fds), EINVAL);
	c.fds.fd[0].irqfd = 499;
	CHECK_ERR(request(c.p.fd, NETMAP_REQ_SYNC_KLOOP_START, &body, &c.fds), EBADF);
	c.mode.nro_opt.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_MODE;
	c.mode.mode = 4;
	CHECK_ERR(request(c.p.fd, NETMAP_REQ_SYNC_KLOOP_START, &body, &c.mode), EINVAL);
	CHECK_EQ(c.mode.nro_opt.nro_status, EINVAL);
	c.mode.mode = NM_OPT_SYNC_KLOOP_DIRECT_TX; /* without eventfds */
	CHECK_ERR(request(c.p.fd, NETMAP_REQ_SYNC_KLOOP_START, &body, &c.mode), EINVAL);
	/* One loop at a time */
	c.sleep_us = 1000;
	c.with_fds = false;
	start(&c);
	usleep(50000);
	CHECK_ERR(request(c.p.fd, NETMAP_REQ_SYNC_KLOOP_START, &body, NULL), EBUSY);
	stop(&c);
}

static void
stop_is_sticky(void)
{
	struct nmreq_sync_kloop_start body = {.sleep_us = 100};
	struct csb_port c;
	int i;

	open_csb(&c, "ctcsb{7");
	CHECK_EQ(request(c.p.fd, NETMAP_REQ_SYNC_KLOOP_STOP, NULL, NULL), 0);
	CHECK_EQ(request(c.p.fd, NETMAP_REQ_SYNC_KLOOP_START, &body, NULL), 0);
	/* A long sleep ends with the stop, not with the time */
	c.sleep_us = 1000000;
	for (i = 0; i < 5; i++) {
		const uint64_t t0 = ct_now_ms();

		start(&c);
		usleep(20000);
		stop(&c);
		CHECK(ct_now_ms() - t0 < 500);
	}
}

static const struct ct_case cases[] = {
	{"entering", entering},
	{"enable_later", enable_later},
	{"start_errors", start_errors},
	{"stop_is_sticky", stop_is_sticky},
	{"sleep_mode", sleep_mode},
	{"busy_mode", busy_mode},
	{"notification_mode", notification_mode},
	{"direct_tx", direct_tx},
	{"direct_both", direct_both},
	{"shared_eventfd", shared_eventfd},
};

int
main(int argc, char **argv)
{
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
