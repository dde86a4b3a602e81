/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves that netmapd's death is survived: traffic goes on without loss, descriptors are handed back, new clients can join.
 *
 * usage: ct_restart [CASE], with $CT_NETMAPD the daemon and $UNETMAP_SOCKET a socket of which no daemon is in charge
 */
#include "ct.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <unetmap.h>

#define N_KILLS 5

/* Start a netmapd that is our child, and wait until it serves. */
static pid_t
start_netmapd(void)
{
	const char *program = getenv("CT_NETMAPD"), *path = getenv("UNETMAP_SOCKET");
	const uint64_t deadline = ct_now_ms() + CT_WAIT_MS;
	pid_t pid;

	CHECK(setenv("UNETMAP_NO_AUTOSTART", "1", 1) == 0); /* only this one */
	CHECK(program != NULL && path != NULL);
	unlink(path); /* a dead one's: its coming back is what shows that the new one serves */
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a case that fails leaves none behind */
		execl(program, "netmapd", "--foreground", "--socket", path, (char *)NULL);
		_exit(127);
	}
	while (access(path, F_OK) < 0) {
		CHECK(ct_now_ms() < deadline);
		usleep(1000);
	}
	return pid;
}

static void
kill_netmapd(pid_t pid)
{
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	unlink(getenv("UNETMAP_SOCKET"));
}

struct traffic {
	const char *tx, *rx;
	int go;		       /* pipe: closed by the parent when the receiver is there */
	int stop, stop_writer; /* pipe: closed by the parent when the sender is to end */
};

static bool
is_closed(int fd)
{
	struct pollfd pfd = {fd, POLLIN, 0};

	return poll(&pfd, 1, 0) > 0;
}

/* Numbered frames, each taken once and in order, until the sender's last (number 0xffffffff). */
static void
receive_all(struct ct_port *p)
{
	uint32_t expected = 0;

	for (;;) {
		struct pollfd pfd = {p->fd, POLLIN, 0};

		CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
		CHECK_EQ(pfd.revents, POLLIN);
		while (!nm_ring_empty(p->rx)) {
			uint32_t number;

			memcpy(&number, NETMAP_BUF(p->rx, p->rx->slot[p->rx->head].buf_idx) + 20,
				sizeof(number));
			p->rx->head = p->rx->cur = nm_ring_next(p->rx, p->rx->head);
			if (number == UINT32_MAX)
				return;
			CHECK_EQ(number, expected);
			expected++;
		}
	}
}

static void
receiver(void *arg)
{
	const struct traffic *t = arg;
	struct ct_port p = ct_port(t->rx, 0);

	close(t->stop_writer);
	CHECK_EQ(write(t->go, "x", 1), 1);
	receive_all(&p);
}

/* Pipes push back; on a switch the sender leaves the receiver time. */
static void
sender(void *arg)
{
	const struct traffic *t = arg;
	const bool vale = strncmp(t->tx, "vale", 4) == 0;
	struct ct_port p = ct_port(t->tx, 0);
	uint32_t n = 0;

	close(t->stop_writer);
	CHECK_EQ(write(t->go, "x", 1), 1);
	while (!is_closed(t->stop)) {
		struct pollfd pfd = {p.fd, POLLOUT, 0};

		CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
		ct_send(&p, n, 1);
		n++;
		if (vale)
			usleep(20);
	}
	CHECK(n > 100);
	while (nm_ring_empty(p.tx))
		CHECK_EQ(ioctl(p.fd, NIOCTXSYNC, NULL), 0);
	ct_send(&p, UINT32_MAX, 1);
}

static void
traffic_survives(const char *tx, const char *rx)
{
	struct traffic t = {.tx = tx, .rx = rx};
	int go[2], stop[2], i;
	pid_t daemon, from, to;
	char c;

	CHECK_EQ(pipe2(go, O_CLOEXEC), 0);
	CHECK_EQ(pipe2(stop, O_CLOEXEC), 0);
	t.go = go[1];
	t.stop = stop[0];
	t.stop_writer = stop[1];
	daemon = start_netmapd();
	to = ct_spawn(receiver, &t);
	CHECK_EQ(read(go[0], &c, 1), 1);
	from = ct_spawn(sender, &t);
	CHECK_EQ(read(go[0], &c, 1), 1);
	for (i = 0; i < N_KILLS; i++) {
		usleep(100000);
		kill_netmapd(daemon);
		usleep(50000 * (useconds_t)i);
		daemon = start_netmapd();
	}
	usleep(300000);
	/* It knows its clients again: their ports are taken */
	{
		struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC, .nr_flags = NR_EXCLUSIVE};
		const int fd = ct_open_device();

		CHECK_ERR(ct_register(fd, rx, &reg), EBUSY);
		CHECK_EQ(close(fd), 0);
	}
	close(stop[1]);
	ct_join(from);
	ct_join(to);
	CHECK_EQ(kill(daemon, SIGTERM), 0);
	CHECK_EQ(waitpid(daemon, NULL, 0), daemon);
}

static void
pipe_traffic(void)
{
	traffic_survives("rst{1", "rst}1");
}

static void
vale_traffic(void)
{
	traffic_survives("vale0:a", "vale0:b");
}

static void
new_client_joins(void)
{
	pid_t daemon = start_netmapd();
	struct ct_port a = ct_port("vale0:a", 0), b;
	int unbound = ct_open_device();
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};

	kill_netmapd(daemon);
	daemon = start_netmapd();
	b = ct_port("vale0:b", 0); /* on the same switch, or nothing will arrive */
	ct_send(&a, 0, 3);
	CHECK_EQ(ct_recv(&b), 3);
	CHECK_EQ(ct_register(unbound, "vale0:c", &reg), 0);
	/* A descriptor closed while nobody watched is gone with the next one, too */
	kill_netmapd(daemon);
	ct_close(&b);
	daemon = start_netmapd();
	b = ct_port("vale0:b", NR_EXCLUSIVE);
	ct_send(&a, 0, 2);
	CHECK_EQ(ct_recv(&b), 2);
	CHECK_EQ(kill(daemon, SIGTERM), 0);
}

static uint64_t
cpu_us(void)
{
	struct rusage u;

	CHECK_EQ(getrusage(RUSAGE_SELF, &u), 0);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/*
 * While there is no netmapd the library looks 50 times a second, no more: also with a port that is
 * waited for in ways that it does not see, which it signals itself (one did nothing else).
 */
static void
absence_costs_little(void)
{
	pid_t daemon = start_netmapd();
	struct ct_port p;
	uint64_t before;

	CHECK_EQ(setenv("UNETMAP_FD_READY", "1", 1), 0);
	p = ct_port("vale0:a", 0);
	CHECK_EQ(ioctl(p.fd, NIOCRXSYNC, NULL), 0);
	kill_netmapd(daemon);
	usleep(200000);
	before = cpu_us();
	usleep(1000000);
	CHECK(cpu_us() - before < 100000);
	CHECK_EQ(unsetenv("UNETMAP_FD_READY"), 0);
	ct_close(&p);
}

/* Two slots of a frame, whose end is still to come. */
static void
put_half(struct ct_port *p)
{
	uint32_t i;

	for (i = 0; i < 2; i++) {
		p->tx->slot[p->tx->head].len = 60;
		p->tx->slot[p->tx->head].flags = NS_MOREFRAG;
		p->tx->head = p->tx->cur = nm_ring_next(p->tx, p->tx->head);
	}
	CHECK_EQ(ioctl(p->fd, NIOCTXSYNC, NULL), 0);
}

/* It stays if its sender does, and goes if he ended while netmapd was away. */
static void
half_a_frame(void)
{
	struct ct_port a, b;
	char name[64];
	pid_t pid = start_netmapd();

	ct_pipe(&a, &b, "half");
	snprintf(name, sizeof(name), "ct%dhalf{1", (int)getpid());
	ct_send(&a, 0, 3);
	put_half(&a);
	kill_netmapd(pid);
	pid = start_netmapd();
	ct_close(&b);
	*strchr(name, '{') = '}';
	b = ct_port(name, 0); /* answered when all have come back */
	CHECK_EQ(ct_recv(&b), 3);
	ct_send(&a, 3, 1);
	CHECK_EQ(ct_recv(&b), 3);
	put_half(&a);
	kill_netmapd(pid);
	ct_close(&a);
	pid = start_netmapd();
	*strchr(name, '}') = '{';
	a = ct_port(name, 0);
	CHECK_EQ(a.tx->head, a.tx->cur);
	ct_send(&a, 4, 2);
	CHECK_EQ(ct_recv(&b), 2);
	kill_netmapd(pid);
}

struct sleeper {
	const char *name;
	int ready; /* pipe: written to before each step */
};

/* Gets a first frame without sleeping, and a second one by sleeping: only the second sender needs its wake-up. */
static void
look_then_sleep(void *arg)
{
	const struct sleeper *s = arg;
	struct ct_port p = ct_port(s->name, 0);
	struct pollfd pfd = {p.fd, POLLIN, 0};
	const uint64_t deadline = ct_now_ms() + CT_WAIT_MS;

	CHECK_EQ(unetmap_sleeps_in_poll(), 0); /* else it may count as asleep when it is not */
	CHECK_EQ(write(s->ready, "x", 1), 1);
	while (ct_recv(&p) == 0)
		CHECK(ct_now_ms() < deadline);
	CHECK_EQ(write(s->ready, "x", 1), 1);
	CHECK_EQ(poll(&pfd, 1, 2 * CT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLIN);
}

/* Who wakes others for the first time does not wait for a netmapd that is stopped, and they are woken in the end. */
static void
stopped(void)
{
	struct sleeper s[] = {{.name = "vale0:s1"}, {.name = "vale0:s2"}};
	int ready[2], i;
	pid_t daemon, pid[2];
	uint64_t start_ms;
	struct ct_port p;
	char c;

	CHECK_EQ(pipe2(ready, O_CLOEXEC), 0);
	daemon = start_netmapd();
	p = ct_port("vale0:p", 0);
	for (i = 0; i < 2; i++) {
		s[i].ready = ready[1];
		pid[i] = ct_spawn(look_then_sleep, &s[i]);
	}
	for (i = 0; i < 2; i++)
		CHECK_EQ(read(ready[0], &c, 1), 1);
	ct_send(&p, 0, 1);
	for (i = 0; i < 2; i++)
		CHECK_EQ(read(ready[0], &c, 1), 1);
	usleep(200000);
	CHECK_EQ(kill(daemon, SIGSTOP), 0);
	start_ms = ct_now_ms();
	for (i = 0; i < 20; i++)
		ct_send(&p, 1, 1);
	CHECK(ct_now_ms() - start_ms < 1000); /* 20 s with a sender that waits */
	CHECK_EQ(waitpid(pid[0], NULL, WNOHANG), 0);
	CHECK_EQ(waitpid(pid[1], NULL, WNOHANG), 0);
	CHECK_EQ(kill(daemon, SIGCONT), 0);
	for (i = 0; i < 2; i++)
		ct_join(pid[i]);
	ct_close(&p);
	kill_netmapd(daemon);
}

static void *
continue_later(void *arg)
{
	usleep(700000);
	CHECK_EQ(kill(*(pid_t *)arg, SIGCONT), 0);
	return NULL;
}

/* A netmapd that is late when a sender needs the memory of a port that is new to it: the sender waits, nothing is lost. */
static void
late(void)
{
	pthread_t thread;
	struct ct_port p, r;
	pid_t daemon = start_netmapd(), child;
	int ready[2];
	char c;

	CHECK_EQ(pipe2(ready, O_CLOEXEC), 0);
	p = ct_port("vale0:p", 0);
	child = fork(); /* another process, whose memory is its own */
	CHECK(child >= 0);
	if (child == 0) {
		const uint64_t deadline = ct_now_ms() + CT_WAIT_MS;

		r = ct_port("vale0:r", NR_EXCLUSIVE);
		CHECK_EQ(write(ready[1], "x", 1), 1);
		for (uint32_t n = 0; n < 10; n += ct_recv(&r))
			CHECK(ct_now_ms() < deadline);
		_exit(0);
	}
	CHECK_EQ(read(ready[0], &c, 1), 1);
	CHECK_EQ(kill(daemon, SIGSTOP), 0);
	CHECK_EQ(pthread_create(&thread, NULL, continue_later, &daemon), 0);
	ct_send(&p, 0, 10);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	ct_join(child);
	ct_close(&p);
	kill_netmapd(daemon);
}

#define N_MANY 1100 /* more than eventfds are kept */

static void *
sleep_once(void *arg)
{
	struct ct_port *p = arg;
	struct pollfd pfd = {p->fd, POLLIN, 0};

	return poll(&pfd, 1, 3 * CT_WAIT_MS) == 1 ? arg : NULL;
}

/* So many sleep on ports of their own, and all are woken by one frame that is sent while netmapd is stopped. */
static void
stopped_many(void)
{
	static struct ct_port r[N_MANY];
	static pthread_t thread[N_MANY];
	pid_t daemon = start_netmapd(), child;
	int ready[2], go[2], i;
	pthread_attr_t attr;
	struct ct_port p;
	char c;

	CHECK_EQ(pipe2(ready, O_CLOEXEC), 0);
	CHECK_EQ(pipe2(go, O_CLOEXEC), 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		const struct rlimit lim = {16 * N_MANY, 16 * N_MANY};

		alarm(60);
		CHECK_EQ(setrlimit(RLIMIT_NOFILE, &lim), 0);
		CHECK_EQ(unetmap_sleeps_in_poll(), 0);
		for (i = 0; i < N_MANY; i++) {
			struct nmreq_register reg = {
				.nr_mode = NR_REG_ALL_NIC, .nr_rx_slots = 64, .nr_tx_slots = 64};
			char name[32];

			snprintf(name, sizeof(name), "vale0:m%d", i);
			r[i].fd = ct_open_device();
			CHECK_EQ(ct_register(r[i].fd, name, &reg), 0);
			r[i].reg = reg;
			ct_map(&r[i]);
		}
		CHECK_EQ(write(ready[1], "x", 1), 1);
		CHECK_EQ(read(go[0], &c, 1), 1); /* they are known to the sender */
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, 64 * 1024);
		for (i = 0; i < N_MANY; i++) {
			CHECK_EQ(ct_recv(&r[i]), 1);
			CHECK_EQ(pthread_create(&thread[i], &attr, sleep_once, &r[i]), 0);
		}
		CHECK_EQ(write(ready[1], "x", 1), 1);
		for (i = 0; i < N_MANY; i++) {
			void *woken;

			CHECK_EQ(pthread_join(thread[i], &woken), 0);
			CHECK(woken != NULL);
		}
		_exit(0);
	}
	CHECK_EQ(read(ready[0], &c, 1), 1);
	p = ct_port("vale0:p", 0);
	ct_send(&p, 0, 1); /* a frame for everybody, when nobody sleeps */
	CHECK_EQ(write(go[1], "x", 1), 1);
	CHECK_EQ(read(ready[0], &c, 1), 1);
	usleep(500000);
	CHECK_EQ(kill(daemon, SIGSTOP), 0);
	ct_send(&p, 1, 1);
	usleep(300000);
	CHECK_EQ(kill(daemon, SIGCONT), 0);
	ct_join(child);
	ct_close(&p);
	kill_netmapd(daemon);
}

static void
receive_ten(void *arg)
{
	struct ct_port p = ct_port("vale0:r", 0);
	const uint64_t deadline = ct_now_ms() + CT_WAIT_MS;
	uint32_t n = 0;

	CHECK_EQ(write(*(int *)arg, "x", 1), 1);
	while (n < 10) {
		n += ct_recv(&p);
		CHECK(ct_now_ms() < deadline);
	}
}

/*
 * A sender whose patience is at its end; then netmapd goes on, and the ports that are new to the sender get
 * what it sends, one after the other, as if nothing had been.
 */
static void
patient_again(void)
{
	pid_t daemon = start_netmapd(), child;
	int ready[2], i, round;
	struct ct_port p;
	char c;

	CHECK_EQ(pipe2(ready, O_CLOEXEC), 0);
	CHECK_EQ(unetmap_wait_at_most(100), 0);
	p = ct_port("vale0:p", 0);
	for (round = 0; round < 3; round++) {
		child = ct_spawn(receive_ten, &ready[1]);
		CHECK_EQ(read(ready[0], &c, 1), 1);
		if (round == 0) {
			CHECK_EQ(kill(daemon, SIGSTOP), 0);
			for (i = 0; i < 5; i++) {
				ct_send(&p, 1, 1); /* lost */
				usleep(20000);
			}
			CHECK_EQ(kill(daemon, SIGCONT), 0);
			usleep(200000);
			ct_send(&p, 1, 1); /* what is late comes now */
			usleep(50000);
			ct_send(&p, 1, 1);
			usleep(50000);
		}
		ct_send(&p, 1, 10);
		ct_join(child);
	}
	ct_close(&p);
	kill_netmapd(daemon);
}

/* Requests end at once when the process has hung up. */
static void *
hang_up(void *arg)
{
	(void)arg;
	usleep(200000);
	unetmap_hang_up(0);
	return NULL;
}

static void
hung_up(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	pid_t daemon = start_netmapd();
	const int fd = ct_open_device();
	const uint64_t start_ms = ct_now_ms();
	pthread_t thread;

	CHECK_EQ(kill(daemon, SIGSTOP), 0);
	CHECK_EQ(pthread_create(&thread, NULL, hang_up, NULL), 0);
	CHECK_ERR(ct_register(fd, "vale0:h", &reg), EIO);
	CHECK_ERR(ct_register(fd, "vale0:h", &reg), EIO);
	CHECK_ERR(open("/dev/netmap", O_RDWR), EIO);
	CHECK(ct_now_ms() - start_ms < 2000);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	kill_netmapd(daemon);
}

/* What was handed back to the second netmapd is known to it when a program that was handed it asks, registered or not. */
static void
handed_on(void)
{
	pid_t daemon = start_netmapd(), pid;
	struct ct_port a, b;
	char self[256] = {0}, registered[16], unregistered[16];
	char *argv[] = {self, "--handed", registered, unregistered, NULL};
	const int fd = ct_open_device();

	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	ct_pipe(&a, &b, "");
	CHECK_EQ(fcntl(b.fd, F_SETFD, 0), 0);
	CHECK_EQ(fcntl(fd, F_SETFD, 0), 0);
	kill_netmapd(daemon);
	daemon = start_netmapd();
	close(ct_open_device()); /* it has come back */
	snprintf(registered, sizeof(registered), "%d", b.fd);
	snprintf(unregistered, sizeof(unregistered), "%d", fd);
	CHECK_EQ(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
	ct_send(&a, 0, 5);
	ct_join(pid);
	kill_netmapd(daemon);
}

static int
handed_main(int registered, int unregistered)
{
	struct pollfd pfd = {registered, POLLIN, 0};
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};

	CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLIN);
	CHECK_EQ(ct_register(unregistered, "rst{handed", &reg), 0);
	return 0;
}

static const struct ct_case cases[] = {
	{"absence_costs_little", absence_costs_little},
	{"new_client_joins", new_client_joins},
	{"half_a_frame", half_a_frame},
	{"hung_up", hung_up},
	{"handed_on", handed_on},
	{"late", late},
	{"stopped", stopped},
	{"stopped_many", stopped_many},
	{"patient_again", patient_again},
	{"pipe_traffic", pipe_traffic},
	{"vale_traffic", vale_traffic},
};

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--handed") == 0)
		return handed_main(atoi(argv[2]), atoi(argv[3]));
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
