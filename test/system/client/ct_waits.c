/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves poll, ppoll, select, pselect and epoll on netmap descriptors, alone, with others, from several threads (spec 8). */
#include "ct.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>

struct send_later {
	struct ct_port *port;
	int delay_ms;
};

/* Send one frame after a while, from another thread. */
static void *
send_later_main(void *arg)
{
	const struct send_later *s = arg;

	usleep((useconds_t)s->delay_ms * 1000);
	ct_send(s->port, 0, 1);
	return NULL;
}

static pthread_t
start_send_later(struct send_later *s)
{
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, send_later_main, s), 0);
	return t;
}

static void
poll_ready(void)
{
	struct ct_port a, b;
	struct pollfd pfd;

	ct_pipe(&a, &b, "");
	pfd = (struct pollfd){a.fd, POLLIN | POLLOUT | POLLWRNORM | POLLPRI | POLLRDHUP, 0};
	CHECK_EQ(poll(&pfd, 1, 0), 1);
	CHECK_EQ(pfd.revents, POLLOUT | POLLWRNORM);
	pfd.fd = b.fd;
	pfd.events = POLLIN;
	CHECK_EQ(poll(&pfd, 1, 0), 0);
	CHECK_EQ(poll(&pfd, 1, 20), 0);
	ct_send(&a, 0, 3);
	pfd.events = POLLIN | POLLRDNORM;
	CHECK_EQ(poll(&pfd, 1, -1), 1);
	CHECK_EQ(pfd.revents, POLLIN | POLLRDNORM);
	CHECK_EQ(ct_take(&b, NULL), 3);
	CHECK_EQ(poll(&pfd, 1, 0), 0);
}

static void
poll_flushes_tx(void)
{
	struct ct_port a, b;
	struct pollfd pfd;

	ct_pipe(&a, &b, "");
	a.tx->slot[0].len = 60;
	a.tx->head = a.tx->cur = 1;
	pfd = (struct pollfd){a.fd, POLLIN, 0};
	CHECK_EQ(poll(&pfd, 1, 0), 0);
	CHECK_EQ(ct_recv(&b), 1);
}

static void
poll_wakes(void)
{
	struct ct_port a, b;
	struct send_later s = {&a, 50};
	struct pollfd pfd[3];
	struct timespec ts = {5, 0};
	int pipefd[2], i;

	ct_pipe(&a, &b, "");
	CHECK_EQ(pipe(pipefd), 0);
	for (i = 0; i < 3; i++) {
		pthread_t t = start_send_later(&s);

		pfd[0] = (struct pollfd){pipefd[0], POLLIN, 0};
		pfd[1] = (struct pollfd){-1, POLLIN, 0x55};
		pfd[2] = (struct pollfd){b.fd, POLLIN, 0};
		CHECK_EQ(i == 2 ? ppoll(pfd, 3, &ts, NULL) : poll(pfd, 3, CT_WAIT_MS), 1);
		CHECK(pfd[0].revents == 0 && pfd[1].revents == 0 && pfd[2].revents == POLLIN);
		CHECK_EQ(ct_take(&b, NULL), 1);
		CHECK_EQ(pthread_join(t, NULL), 0);
	}
	CHECK_EQ(write(pipefd[1], "x", 1), 1);
	CHECK_EQ(poll(pfd, 3, CT_WAIT_MS), 1);
	CHECK(pfd[0].revents == POLLIN && pfd[2].revents == 0);
	ct_send(&a, 0, 1);
	CHECK_EQ(poll(pfd, 3, CT_WAIT_MS), 2);
	pfd[1].fd = 999;
	CHECK_EQ(poll(pfd, 3, 0), 3);
	CHECK_EQ(pfd[1].revents, POLLNVAL);
}

static void
poll_waits_for_room(void)
{
	struct ct_port a, b;
	struct pollfd pfd;
	uint32_t i, n = 0;
	pid_t pid;

	ct_pipe(&a, &b, "");
	while (!nm_ring_empty(a.tx)) {
		ct_send(&a, n, 1);
		n++;
		CHECK(n < 10000);
	}
	pfd = (struct pollfd){a.fd, POLLOUT, 0};
	CHECK_EQ(poll(&pfd, 1, 20), 0);
	pid = fork();
	if (pid == 0) {
		usleep(50000);
		for (i = 0; i < 2; i++) /* take, then give back */
			ct_recv(&b);
		_exit(0);
	}
	CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLOUT);
	ct_join(pid);
}

static void
many_descriptors(void)
{
	enum { N = 100 };
	struct ct_port a[N], b[N];
	struct pollfd pfd[N];
	char what[16];
	int i, k;

	for (i = 0; i < N; i++) {
		snprintf(what, sizeof(what), "m%d", i);
		ct_pipe(&a[i], &b[i], what);
		pfd[i] = (struct pollfd){b[i].fd, POLLIN, 0};
	}
	CHECK_EQ(poll(pfd, N, 10), 0);
	for (i = 0; i < N; i++) {
		struct send_later s = {&a[i], 1};
		pthread_t t = start_send_later(&s);

		CHECK_EQ(poll(pfd, N, CT_WAIT_MS), 1);
		for (k = 0; k < N; k++)
			CHECK_EQ(pfd[k].revents, k == i ? POLLIN : 0);
		CHECK_EQ(ct_take(&b[i], NULL), 1);
		CHECK_EQ(pthread_join(t, NULL), 0);
	}
}

static void
on_alarm(int sig)
{
	(void)sig;
}

static void
signals_interrupt(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct ct_port a, b;
	struct pollfd pfd;
	struct timespec ts = {5, 0};
	sigset_t blocked, none;

	ct_pipe(&a, &b, "");
	pfd = (struct pollfd){b.fd, POLLIN, 0};
	CHECK_EQ(sigaction(SIGALRM, &sa, NULL), 0);
	ualarm(30000, 0);
	CHECK_ERR(poll(&pfd, 1, CT_WAIT_MS), EINTR);
	/* ppoll: the signal comes only during the call */
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGALRM);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
	ualarm(1000, 0);
	usleep(20000);
	CHECK_ERR(ppoll(&pfd, 1, &ts, &none), EINTR);
	CHECK_EQ(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
	alarm(30);
}

/* The ways to wait for one descriptor without an epoll instance of the program's. */
enum way { WAY_POLL, WAY_PPOLL, WAY_PPOLL_MASK, WAY_SELECT, WAY_PSELECT, WAY_PSELECT_MASK, N_WAYS };

/* @ms: -1 for ever. */
static int
wait_by(enum way way, int fd, int ms)
{
	const struct timespec ts = {ms / 1000, ms % 1000 * 1000000L}, *ts_p = ms < 0 ? NULL : &ts;
	struct timeval tv = {ms / 1000, ms % 1000 * 1000L};
	struct pollfd pfd = {fd, POLLIN, 0};
	sigset_t none;
	fd_set r;

	FD_ZERO(&r);
	FD_SET(fd, &r);
	sigemptyset(&none);
	switch (way) {
	case WAY_POLL:
		return poll(&pfd, 1, ms);
	case WAY_PPOLL:
		return ppoll(&pfd, 1, ts_p, NULL);
	case WAY_PPOLL_MASK:
		return ppoll(&pfd, 1, ts_p, &none);
	case WAY_SELECT:
		return select(fd + 1, &r, NULL, NULL, ms < 0 ? NULL : &tv);
	case WAY_PSELECT:
		return pselect(fd + 1, &r, NULL, NULL, ts_p, NULL);
	default:
		return pselect(fd + 1, &r, NULL, NULL, ts_p, &none);
	}
}

/* Until process @pid is in @state (proc(5)); at most CT_WAIT_MS. */
static void
await_state(pid_t pid, char state)
{
	const uint64_t limit = ct_now_ms() + CT_WAIT_MS;
	char path[64], is = '?';

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (is != state && ct_now_ms() < limit) {
		FILE *f = fopen(path, "r");

		CHECK(f != NULL);
		CHECK_EQ(fscanf(f, "%*d %*s %c", &is), 1);
		fclose(f);
		usleep(200);
	}
	CHECK_EQ(is, state);
}

/* Stop @pid in its sleep, for @ms, and let it go on. */
static void
stop_asleep(pid_t pid, int ms)
{
	await_state(pid, 'S');
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	await_state(pid, 'T');
	usleep((useconds_t)ms * 1000);
	CHECK_EQ(kill(pid, SIGCONT), 0);
}

struct pinger {
	struct ct_port *port;
	uint32_t n;
	bool first;
};

static void *
ping_main(void *arg)
{
	struct pinger *p = arg;
	uint32_t i, last;

	for (i = 0; i < p->n; i++) {
		struct pollfd pfd = {p->port->fd, POLLIN, 0};

		if (p->first)
			ct_send(p->port, i, 1);
		CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
		CHECK_EQ(ct_take(p->port, &last), 1);
		CHECK_EQ(last, i);
		if (!p->first)
			ct_send(p->port, i, 1);
	}
	return NULL;
}

/* This thread sleeps so often that it is asked once in a while what signals could do to it (client/handlers.h). */
static void
sleep_often(struct ct_port *a, struct ct_port *b)
{
	struct pinger p = {a, 1000, true}, q = {b, 1000, false};
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, ping_main, &p), 0);
	ping_main(&q);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(ct_recv(a), 0);
}

/* A wait goes on after a stop; then a frame comes. */
static void
go_on_after_stops(bool often)
{
	struct ct_port a, b;
	int way, i;

	CHECK_EQ(setenv("UNETMAP_SPIN_US", "0", 1), 0);
	ct_pipe(&a, &b, "");
	for (way = 0; way < N_WAYS; way++) {
		const pid_t me = getpid();
		pid_t pid;

		if (often)
			sleep_often(&a, &b);
		pid = fork();
		if (pid == 0) {
			for (i = 0; i < 3; i++)
				stop_asleep(me, 1);
			await_state(me, 'S');
			ct_send(&a, 0, 1);
			_exit(0);
		}
		CHECK_EQ(wait_by((enum way)way, b.fd, -1), 1);
		CHECK_EQ(ct_take(&b, NULL), 1);
		ct_join(pid);
	}
}

static void
stops(void)
{
	go_on_after_stops(false);
}

static void
stops_of_busy_threads(void)
{
	go_on_after_stops(true);
}

/* How long a wait of @ms takes in which the process is stopped for @stop_ms. */
static uint64_t
stopped_wait_ms(enum way way, int fd, int ms, int stop_ms)
{
	const uint64_t t0 = ct_now_ms();
	const pid_t me = getpid(), pid = fork();
	uint64_t t;

	if (pid == 0) {
		stop_asleep(me, stop_ms);
		_exit(0);
	}
	CHECK_EQ(wait_by(way, fd, ms), 0);
	t = ct_now_ms() - t0;
	ct_join(pid);
	return t;
}

/* The time goes on in a stop, but for the calls with a signal mask, as the kernel has it for ppoll(2). */
static void
stops_and_timeouts(void)
{
	struct ct_port a, b;
	int way;

	ct_pipe(&a, &b, "");
	for (way = 0; way < N_WAYS; way++) {
		CHECK(stopped_wait_ms((enum way)way, b.fd, 300, 10) >= 300);
#ifdef SYS_poll /* else poll(2) is ppoll(2) */
		if (way != WAY_PPOLL_MASK && way != WAY_PSELECT_MASK)
			CHECK(stopped_wait_ms((enum way)way, b.fd, 1500, 1500) < 2500);
#endif
	}
}

static void
end_by_handlers(bool often, int flags)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = flags};
	struct ct_port a, b;
	int way;

	CHECK_EQ(setenv("UNETMAP_SPIN_US", "0", 1), 0);
	ct_pipe(&a, &b, "");
	for (way = 0; way < N_WAYS; way++) {
		const pid_t me = getpid();
		pid_t pid;

		CHECK_EQ(sigaction(SIGALRM, &sa, NULL), 0);
		CHECK_EQ(sigaction(SIGCONT, &sa, NULL), 0);
		if (often)
			sleep_often(&a, &b);
		pid = fork();
		if (pid == 0) {
			await_state(me, 'S');
			_exit(kill(me, SIGALRM));
		}
		CHECK_ERR(wait_by((enum way)way, b.fd, CT_WAIT_MS), EINTR);
		ct_join(pid);
		pid = fork();
		if (pid == 0) {
			stop_asleep(me, 1);
			_exit(0);
		}
		CHECK_ERR(wait_by((enum way)way, b.fd, CT_WAIT_MS), EINTR);
		ct_join(pid);
	}
	alarm(30);
}

/* Handlers end waits, also with SA_RESTART, also that of SIGCONT, also those that remove themselves. */
static void
handlers_and_stops(void)
{
	end_by_handlers(false, SA_RESTART);
}

static void
handlers_of_busy_threads(void)
{
	end_by_handlers(true, SA_RESETHAND);
}

/* What ended a wait does not keep the next ones from sleeping. */
static void
sleeps_again(void)
{
	struct send_later s;
	struct ct_port a, b;
	int way;

	CHECK_EQ(setenv("UNETMAP_SPIN_US", "0", 1), 0);
	ct_pipe(&a, &b, "");
	s = (struct send_later){&a, 20};
	for (way = 0; way < N_WAYS; way++) {
		const pthread_t t = start_send_later(&s);
		clock_t before;

		CHECK_EQ(wait_by((enum way)way, b.fd, CT_WAIT_MS), 1);
		CHECK_EQ(ct_take(&b, NULL), 1);
		CHECK_EQ(pthread_join(t, NULL), 0);
		before = clock();
		CHECK_EQ(wait_by((enum way)way, b.fd, 200), 0);
		CHECK(clock() - before < CLOCKS_PER_SEC / 20);
	}
}

static void
timeouts(void)
{
	struct ct_port a, b;
	struct pollfd pfd;
	struct timespec bad = {0, 1000000000};
	uint64_t t0;
	int i;

	ct_pipe(&a, &b, "");
	pfd = (struct pollfd){b.fd, POLLIN, 0};
	t0 = ct_now_ms();
	CHECK_EQ(poll(&pfd, 1, 100), 0);
	CHECK(ct_now_ms() - t0 >= 99 && ct_now_ms() - t0 < 1000);
	for (i = 1; i < 8; i++) { /* whole milliseconds, and what is beyond them */
		const struct timespec ts = {0, i * 700000};
		struct timespec t1, t2;

		clock_gettime(CLOCK_MONOTONIC, &t1);
		CHECK_EQ(ppoll(&pfd, 1, &ts, NULL), 0);
		clock_gettime(CLOCK_MONOTONIC, &t2);
		CHECK((t2.tv_sec - t1.tv_sec) * 1000000000 + t2.tv_nsec - t1.tv_nsec >= ts.tv_nsec);
	}
	CHECK_ERR(ppoll(&pfd, 1, &bad, NULL), EINVAL);
}

static void
select_all(void)
{
	struct ct_port a, b;
	struct send_later s = {&a, 50};
	struct timeval tv = {5, 0};
	struct timespec ts = {5, 0};
	fd_set r, w, e;
	int pipefd[2], n;
	pthread_t t;

	ct_pipe(&a, &b, "");
	CHECK_EQ(pipe(pipefd), 0);
	n = (pipefd[0] > b.fd ? pipefd[0] : b.fd) + 1;
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(b.fd, &r);
	FD_SET(b.fd, &w);
	FD_SET(b.fd, &e);
	CHECK_EQ(select(n, &r, &w, &e, &tv), 1);
	CHECK(!FD_ISSET(b.fd, &r) && FD_ISSET(b.fd, &w) && !FD_ISSET(b.fd, &e));
	FD_SET(b.fd, &r);
	FD_SET(pipefd[0], &r);
	t = start_send_later(&s);
	CHECK_EQ(select(n, &r, NULL, &e, &tv), 1);
	CHECK(FD_ISSET(b.fd, &r) && !FD_ISSET(pipefd[0], &r));
	CHECK(tv.tv_sec == 4); /* what was left */
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(ct_take(&b, NULL), 1);
	FD_SET(pipefd[0], &r);
	tv = (struct timeval){0, 20000};
	CHECK_EQ(select(n, &r, NULL, NULL, &tv), 0);
	CHECK(!FD_ISSET(b.fd, &r));
	CHECK_EQ(write(pipefd[1], "x", 1), 1);
	FD_SET(pipefd[0], &r);
	FD_SET(b.fd, &r);
	CHECK_EQ(pselect(n, &r, NULL, NULL, &ts, NULL), 1);
	CHECK(FD_ISSET(pipefd[0], &r) && !FD_ISSET(b.fd, &r));
	FD_SET(b.fd, &r);
	FD_SET(500, &r);
	CHECK_ERR(select(501, &r, NULL, NULL, NULL), EBADF);
}

/* Numbers above FD_SETSIZE, with a set made large enough, as some programs do. */
static void
select_big_numbers(void)
{
	const struct rlimit lim = {4096, 4096};
	unsigned long set[4096 / NFDBITS] = {0};
	struct ct_port a, b;
	struct timeval tv = {5, 0};
	int fd = 3000;

	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &lim), 0);
	ct_pipe(&a, &b, "");
	CHECK_EQ(dup2(b.fd, fd), fd);
	ct_send(&a, 0, 1);
	set[fd / NFDBITS] = 1UL << (fd % NFDBITS);
	CHECK_EQ(select(fd + 1, (fd_set *)(void *)set, NULL, NULL, &tv), 1);
	CHECK(set[fd / NFDBITS] == 1UL << (fd % NFDBITS));
}

static void
epoll_level(void)
{
	struct ct_port a, b;
	struct send_later s = {&a, 50};
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 77}, out[4];
	int ep = epoll_create1(EPOLL_CLOEXEC), efd = eventfd(0, 0);
	uint64_t one = 1;
	pthread_t t;

	ct_pipe(&a, &b, "");
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, b.fd, &ev), ENOENT);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, b.fd, NULL), ENOENT);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, b.fd, &ev), 0);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, b.fd, &ev), EEXIST);
	CHECK_EQ(epoll_wait(ep, out, 4, 0), 0);
	CHECK_EQ(epoll_wait(ep, out, 4, 20), 0);
	t = start_send_later(&s);
	CHECK_EQ(epoll_wait(ep, out, 4, CT_WAIT_MS), 1);
	CHECK(out[0].events == EPOLLIN && out[0].data.u64 == 77);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(epoll_pwait(ep, out, 4, CT_WAIT_MS, NULL), 1); /* level: again */
	/* With another kind of member */
	ev = (struct epoll_event){.events = EPOLLIN, .data.u64 = 78};
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, efd, &ev), 0);
	CHECK_EQ(epoll_wait(ep, out, 4, CT_WAIT_MS), 1);
	CHECK_EQ(write(efd, &one, sizeof(one)), sizeof(one));
	CHECK_EQ(epoll_wait(ep, out, 4, CT_WAIT_MS), 2);
	CHECK_EQ(ct_take(&b, NULL), 1);
	CHECK_EQ(epoll_wait(ep, out, 4, CT_WAIT_MS), 1);
	CHECK_EQ(out[0].data.u64, 78);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, efd, NULL), 0);
	/* Changed, removed, closed */
	ev = (struct epoll_event){.events = EPOLLOUT, .data.u64 = 79};
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, b.fd, &ev), 0);
	CHECK_EQ(epoll_wait(ep, out, 4, CT_WAIT_MS), 1);
	CHECK(out[0].events == EPOLLOUT && out[0].data.u64 == 79);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, b.fd, NULL), 0);
	CHECK_EQ(epoll_wait(ep, out, 4, 10), 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, b.fd, &ev), 0);
	ct_close(&b);
	CHECK_EQ(epoll_wait(ep, out, 4, 10), 0);
}

static void
epoll_edge_and_oneshot(void)
{
	struct ct_port a, b;
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET}, out[4];
	int ep = epoll_create1(0);

	ct_pipe(&a, &b, "");
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, b.fd, &ev), 0);
	ct_send(&a, 0, 2);
	CHECK_EQ(epoll_wait(ep, out, 4, CT_WAIT_MS), 1);
	CHECK_EQ(epoll_wait(ep, out, 4, 20), 0); /* edge: once */
	b.rx->head = b.rx->cur = nm_ring_next(b.rx, b.rx->head);
	CHECK_EQ(epoll_wait(ep, out, 4, 20), 0); /* taking is not coming */
	ct_send(&a, 2, 1);
	CHECK_EQ(epoll_wait(ep, out, 4, CT_WAIT_MS), 1);
	CHECK_EQ(ct_take(&b, NULL), 2);
	CHECK_EQ(epoll_wait(ep, out, 4, 20), 0);
	ev.events = EPOLLIN | EPOLLONESHOT;
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, b.fd, &ev), 0);
	ct_send(&a, 3, 1);
	CHECK_EQ(epoll_wait(ep, out, 4, CT_WAIT_MS), 1);
	ct_send(&a, 4, 1);
	CHECK_EQ(epoll_wait(ep, out, 4, 20), 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, b.fd, &ev), 0);
	CHECK_EQ(epoll_wait(ep, out, 4, CT_WAIT_MS), 1);
}

static void
epoll_nested_and_polled(void)
{
	struct ct_port a, b;
	struct send_later s = {&a, 50};
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 1}, out[4];
	int inner = epoll_create1(0), outer = epoll_create1(0);
	struct pollfd pfd = {inner, POLLIN, 0};
	pthread_t t;

	ct_pipe(&a, &b, "");
	CHECK_EQ(epoll_ctl(inner, EPOLL_CTL_ADD, b.fd, &ev), 0);
	ev.data.u64 = 2;
	CHECK_EQ(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &ev), 0);
	CHECK_EQ(poll(&pfd, 1, 10), 0);
	CHECK_EQ(epoll_wait(outer, out, 4, 10), 0);
	t = start_send_later(&s);
	CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLIN);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(epoll_wait(outer, out, 4, CT_WAIT_MS), 1);
	CHECK_EQ(out[0].data.u64, 2);
	CHECK_EQ(epoll_wait(inner, out, 4, 0), 1);
	CHECK_EQ(ct_take(&b, NULL), 1);
	CHECK_EQ(epoll_wait(outer, out, 4, 10), 0);
	t = start_send_later(&s);
	CHECK_EQ(epoll_wait(outer, out, 4, CT_WAIT_MS), 1);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

/*
 * Four netmap members and four eventfds, all of them ready all the time but for one of each kind, and room for few
 * events: each gets its turn, all of a kind equally often.
 */
static void
epoll_takes_turns(void)
{
	enum { N = 4, WAITS = 600 };
	struct epoll_event ev = {.events = EPOLLOUT}, out[5];
	const int ep = epoll_create1(0);
	struct ct_port a[N], b[N];
	uint64_t one = 1;
	char what[16];
	int max, i, k;

	for (i = 0; i < N; i++) {
		const int efd = eventfd(0, 0);

		snprintf(what, sizeof(what), "t%d", i);
		ct_pipe(&a[i], &b[i], what);
		ev.events = i == 1 ? EPOLLIN : EPOLLOUT;
		ev.data.u32 = (uint32_t)i;
		CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, a[i].fd, &ev), 0);
		ev.events = EPOLLIN;
		ev.data.u32 = (uint32_t)(N + i);
		CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, efd, &ev), 0);
		if (i != 1)
			CHECK_EQ(write(efd, &one, sizeof(one)), sizeof(one));
	}
	for (max = 1; max <= 5; max++) {
		int n[2 * N] = {0};

		for (i = 0; i < WAITS; i++) {
			const int got = epoll_wait(ep, out, max, CT_WAIT_MS);

			CHECK_EQ(got, max);
			for (k = 0; k < got; k++)
				n[out[k].data.u32]++;
		}
		for (i = 0; i < 2 * N; i++)
			CHECK_EQ(n[i], i % N == 1 ? 0 : max * WAITS / (2 * (N - 1)));
	}
}

/* Room for one event: whoever gets it, what stands in a tx ring is sent. */
static void
epoll_few_events_sync_all(void)
{
	struct epoll_event ev = {.events = EPOLLOUT}, out;
	const int ep = epoll_create1(0), efd = eventfd(1, 0);
	struct ct_port a, b;
	int i;

	ct_pipe(&a, &b, "");
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, a.fd, &ev), 0);
	ev.events = EPOLLIN;
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, efd, &ev), 0);
	for (i = 0; i < 4; i++) {
		a.tx->slot[a.tx->head].len = 60;
		a.tx->head = a.tx->cur = nm_ring_next(a.tx, a.tx->head);
		CHECK_EQ(epoll_wait(ep, &out, 1, CT_WAIT_MS), 1);
		CHECK_EQ(ct_recv(&b), 1);
	}
}

struct sleeper {
	int fd;
	short events;
	int result;
};

static void *
sleeper_main(void *arg)
{
	struct sleeper *s = arg;
	struct pollfd pfd = {s->fd, s->events, 0};

	s->result = poll(&pfd, 1, CT_WAIT_MS);
	return NULL;
}

/* Several threads asleep on one binding: one frame wakes them all, none takes the signal of another. */
static void
many_sleepers(void)
{
	enum { N = 8, ROUNDS = 200 };
	struct sleeper s[N];
	struct ct_port a, b;
	pthread_t t[N];
	int i, round;

	ct_pipe(&a, &b, "");
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < N; i++) {
			s[i] = (struct sleeper){b.fd, POLLIN, -1};
			CHECK_EQ(pthread_create(&t[i], NULL, sleeper_main, &s[i]), 0);
		}
		usleep(round % 5 * 300);
		ct_send(&a, 0, 1);
		for (i = 0; i < N; i++) {
			CHECK_EQ(pthread_join(t[i], NULL), 0);
			CHECK_EQ(s[i].result, 1);
		}
		CHECK_EQ(ct_take(&b, NULL), 1);
	}
}

static void *
sleep_for_ever(void *arg)
{
	struct pollfd pfd = {*(int *)arg, POLLIN, 0};

	poll(&pfd, 1, -1);
	return NULL;
}

static void
cancellation(void)
{
	struct ct_port a, b;
	void *result;
	pthread_t t;

	ct_pipe(&a, &b, "");
	CHECK_EQ(pthread_create(&t, NULL, sleep_for_ever, &b.fd), 0);
	usleep(20000);
	CHECK_EQ(pthread_cancel(t), 0);
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK(result == PTHREAD_CANCELED);
	/* The library is none the worse */
	ct_send(&a, 0, 1);
	CHECK_EQ(ct_recv(&b), 1);
	ct_close(&a);
	ct_close(&b);
}

/* Each frame is waited for by a sleeper: one lost wake-up and this takes seconds, then fails. */
static void
no_lost_wakeup(void)
{
	struct ct_port a, b;
	struct pinger p = {&a, 50000, true}, q = {&b, 50000, false};
	pthread_t t;

	ct_pipe(&a, &b, "");
	CHECK_EQ(pthread_create(&t, NULL, ping_main, &q), 0);
	ping_main(&p);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

/* The same with a sleep for each frame: no looking before it. */
static void
no_lost_wakeup_asleep(void)
{
	struct ct_port a, b;
	struct pinger p = {&a, 5000, true}, q = {&b, 5000, false};
	pthread_t t;

	CHECK_EQ(setenv("UNETMAP_SPIN_US", "0", 1), 0);
	ct_pipe(&a, &b, "");
	CHECK_EQ(pthread_create(&t, NULL, ping_main, &q), 0);
	ping_main(&p);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

static const struct ct_case cases[] = {
	{"poll_ready", poll_ready},
	{"poll_flushes_tx", poll_flushes_tx},
	{"poll_wakes", poll_wakes},
	{"poll_waits_for_room", poll_waits_for_room},
	{"many_descriptors", many_descriptors},
	{"signals_interrupt", signals_interrupt},
	{"stops", stops},
	{"stops_of_busy_threads", stops_of_busy_threads},
	{"stops_and_timeouts", stops_and_timeouts},
	{"handlers_and_stops", handlers_and_stops},
	{"handlers_of_busy_threads", handlers_of_busy_threads},
	{"sleeps_again", sleeps_again},
	{"timeouts", timeouts},
	{"select_all", select_all},
	{"select_big_numbers", select_big_numbers},
	{"epoll_level", epoll_level},
	{"epoll_edge_and_oneshot", epoll_edge_and_oneshot},
	{"epoll_nested_and_polled", epoll_nested_and_polled},
	{"epoll_takes_turns", epoll_takes_turns},
	{"epoll_few_events_sync_all", epoll_few_events_sync_all},
	{"many_sleepers", many_sleepers},
	{"cancellation", cancellation},
	{"no_lost_wakeup", no_lost_wakeup},
	{"no_lost_wakeup_asleep", no_lost_wakeup_asleep},
};

int
main(int argc, char **argv)
{
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
