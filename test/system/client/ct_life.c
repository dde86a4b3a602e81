/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves that a binding belongs to the open descriptor, whoever holds it: fork, exec, passing it on, closing everything, dying (spec
 * 4.2). ct_life --exec FD is the second program of the exec case.
 */
#include "ct.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

extern char **environ;

static bool
is_free(const char *name)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC, .nr_flags = NR_EXCLUSIVE};
	const int fd = ct_open_device();
	const int r = ct_register(fd, name, &reg);

	CHECK(r == 0 || errno == EBUSY);
	CHECK_EQ(close(fd), 0);
	return r == 0;
}

static void
wait_until_free(const char *name)
{
	const uint64_t deadline = ct_now_ms() + CT_WAIT_MS;

	while (!is_free(name)) {
		CHECK(ct_now_ms() < deadline);
		usleep(1000);
	}
}

struct both {
	struct ct_port *a, *b;
};

static void
child_receives(void *arg)
{
	struct both *p = arg;
	struct pollfd pfd = {p->b->fd, POLLIN, 0};
	uint32_t n = 0;

	while (n < 1000) {
		CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
		n += ct_take(p->b, NULL);
	}
}

static void
forked_child_uses_it(void)
{
	struct ct_port a, b;
	struct both both = {&a, &b};
	int i;
	pid_t pid;

	ct_pipe(&a, &b, "");
	pid = ct_spawn(child_receives, &both);
	for (i = 0; i < 100; i++) {
		ct_send(&a, (uint32_t)i * 10, 10);
		usleep(500);
	}
	ct_join(pid);
	/* ... and the parent still can */
	ct_recv(&b);
	ct_send(&a, 0, 1);
	CHECK_EQ(ct_recv(&b), 1);
}

static void
child_registers(void *arg)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};

	CHECK_EQ(ct_register(*(int *)arg, "valect:byc", &reg), 0);
}

static void
bound_by_child_used_by_parent(void)
{
	int fd = ct_open_device();

	ct_join(ct_spawn(child_registers, &fd));
	CHECK_EQ(ioctl(fd, NIOCRXSYNC, NULL), 0);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
}

static void
hold_until_told(void *arg)
{
	char c;

	CHECK_EQ(read(*(int *)arg, &c, 1), 0);
}

static void
child_keeps_it_alive(void)
{
	struct ct_port p = ct_port("valect:kept", NR_EXCLUSIVE);
	int hold[2];
	pid_t pid;

	CHECK_EQ(pipe(hold), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		hold_until_told(&hold[0]);
		_exit(0);
	}
	ct_close(&p);
	CHECK(!is_free("valect:kept"));
	close(hold[1]);
	ct_join(pid);
	wait_until_free("valect:kept");
}

static void
raw_forked_child(void)
{
	struct ct_port a, b;
	pid_t pid;

	ct_pipe(&a, &b, "");
	/* No fork handler runs here: the child must find out by itself that it is one */
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	CHECK(pid >= 0);
	if (pid == 0) {
		struct pollfd pfd = {b.fd, POLLIN, 0};

		_exit(poll(&pfd, 1, CT_WAIT_MS) == 1 && ct_take(&b, NULL) == 1 ? 0 : 1);
	}
	usleep(20000);
	ct_send(&a, 0, 1);
	ct_join(pid);
}

static void
vforked_child_changes_nothing(void)
{
	struct ct_port a, b;
	int status;
	pid_t pid;

	ct_pipe(&a, &b, "");
	pid = vfork();
	if (pid == 0) {
		close(a.fd);
		dup2(0, b.fd);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	ct_send(&a, 0, 1);
	CHECK_EQ(ct_recv(&b), 1);
}

/* @how: --exec (maps first) or --exec-poll (waits first) */
static void
exec_with(const char *how)
{
	struct ct_port a, b;
	char num[16], self[256] = {0};
	char *argv[] = {self, (char *)(uintptr_t)how, num, NULL};
	pid_t pid;

	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	ct_pipe(&a, &b, "");
	CHECK_EQ(fcntl(b.fd, F_SETFD, 0), 0);
	snprintf(num, sizeof(num), "%d", b.fd);
	CHECK_EQ(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
	ct_send(&a, 0, 5);
	ct_join(pid);
}

static void
across_exec(void)
{
	exec_with("--exec");
}

static void
exec_then_poll(void)
{
	exec_with("--exec-poll");
}

static int
exec_main(int fd, bool poll_first)
{
	struct pollfd pfd = {fd, POLLIN, 0};

	if (poll_first)
		CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLIN);
	CHECK_EQ(ioctl(fd, NIOCRXSYNC, NULL), 0);
	return 0;
}

static void
receiver_of_fd(void *arg)
{
	struct pollfd pfd = {.events = POLLIN};

	/* This process has never opened /dev/netmap; it polls first */
	pfd.fd = ct_recv_fd(*(int *)arg);
	CHECK_EQ(poll(&pfd, 1, CT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLIN);
	CHECK_EQ(ioctl(pfd.fd, NIOCRXSYNC, NULL), 0);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, pfd.fd, 0) != MAP_FAILED);
}

static void
passed_over_a_socket(void)
{
	struct ct_port a, b;
	int sock[2];
	pid_t pid;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sock), 0);
	pid = ct_spawn(receiver_of_fd, &sock[1]);
	ct_pipe(&a, &b, "");
	ct_send_fd(sock[0], b.fd);
	CHECK_EQ(close(b.fd), 0);
	usleep(20000);
	ct_send(&a, 0, 1);
	ct_join(pid);
}

/* All numbers but the standard ones and @keep. */
static void
close_all_but(int keep1, int keep2)
{
	int fd;

	for (fd = 3; fd < 4096; fd++)
		if (fd != keep1 && fd != keep2)
			close(fd);
}

static void
close_all_at_start(void)
{
	struct ct_port a, b, c;

	close_all_but(-1, -1);
	ct_pipe(&a, &b, "");
	ct_send(&a, 0, 1);
	CHECK_EQ(ct_recv(&b), 1);
	/* Mid-life: what the library needs stays open */
	close_all_but(a.fd, b.fd);
	close_range(600, ~0u, 0);
	closefrom(400);
	ct_send(&a, 0, 1);
	CHECK_EQ(ct_recv(&b), 1);
	c = ct_port("valect:later", 0);
	CHECK_EQ(ioctl(c.fd, NIOCTXSYNC, NULL), 0);
	ct_close(&c);
	closefrom(3);
	CHECK_ERR(ioctl(a.fd, NIOCRXSYNC, NULL), EBADF);
}

static void
close_range_unregisters(void)
{
	struct ct_port p = ct_port("valect:range", NR_EXCLUSIVE);

	CHECK(!is_free("valect:range"));
	CHECK_EQ(close_range((unsigned int)p.fd, (unsigned int)p.fd, 0), 0);
	wait_until_free("valect:range");
}

/* Open descriptors of this process. Return: how many. */
static int
list_open(int *fds, int max)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int n = 0;

	CHECK(dir != NULL);
	while ((e = readdir(dir)) != NULL && n < max)
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(dir))
			fds[n++] = atoi(e->d_name);
	closedir(dir);
	return n;
}

static void
dup2_onto_internal_is_refused(void)
{
	int before[64], after[64], n_before = list_open(before, 64), n_after, n_ours = 0, i, k;
	struct ct_port p = ct_port("valect:dup2", 0);

	n_after = list_open(after, 64);
	for (i = 0; i < n_after; i++) {
		for (k = 0; k < n_before && before[k] != after[i]; k++)
			;
		if (k < n_before || after[i] == p.fd)
			continue;
		CHECK(after[i] >= 512); /* out of the application's way */
		CHECK_ERR(dup2(0, after[i]), EBUSY);
		CHECK_ERR(close(after[i]), EBADF);
		n_ours++;
	}
	CHECK(n_ours >= 3);
	CHECK_EQ(ioctl(p.fd, NIOCTXSYNC, NULL), 0);
}

static void
die(void *arg)
{
	struct ct_port p = ct_port("valect:dies", NR_EXCLUSIVE);

	(void)arg;
	CHECK_EQ(p.reg.nr_tx_rings, 1);
	raise(SIGKILL);
}

static void
crash_unregisters(void)
{
	pid_t pid = ct_spawn(die, NULL);
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	wait_until_free("valect:dies");
}

static void *
sync_main(void *arg)
{
	const int fd = *(int *)arg;
	int i;

	for (i = 0; i < 200000; i++)
		if (ioctl(fd, i & 1 ? NIOCTXSYNC : NIOCRXSYNC, NULL) < 0)
			return errno == EBADF || errno == ENOTTY || errno == ENXIO
				       ? NULL
				       : (void *)(intptr_t)errno;
	return NULL;
}

/* A descriptor closed under the feet of threads that sync on it: they get an error (the port may be gone first), nothing worse. */
static void
closed_while_syncing(void)
{
	int round;

	for (round = 0; round < 20; round++) {
		struct ct_port p = ct_port("valect:race", 0);
		pthread_t t[2];
		void *bad;
		int i;

		for (i = 0; i < 2; i++)
			CHECK_EQ(pthread_create(&t[i], NULL, sync_main, &p.fd), 0);
		usleep(2000);
		CHECK_EQ(close(p.fd), 0);
		for (i = 0; i < 2; i++) {
			CHECK_EQ(pthread_join(t[i], &bad), 0);
			CHECK_EQ((intptr_t)bad, 0);
		}
		CHECK_EQ(munmap(p.mem, p.mem_size), 0);
	}
}

/* @n slots of a frame without an end; there is room. */
static void
put_half(struct ct_port *p, uint32_t n)
{
	while (n-- > 0) {
		p->tx->slot[p->tx->head].len = 100;
		p->tx->slot[p->tx->head].flags = NS_MOREFRAG;
		p->tx->head = p->tx->cur = nm_ring_next(p->tx, p->tx->head);
	}
	CHECK_EQ(ioctl(p->fd, NIOCTXSYNC, NULL), 0);
}

static void
put_half_and_die(void *arg)
{
	struct ct_port p = ct_port(arg, 0);

	put_half(&p, 3);
	kill(getpid(), SIGKILL);
}

/* Frames @first and on arrive at @b, each in a slot of its own. */
static void
expect_whole(struct ct_port *b, uint32_t first, uint32_t n)
{
	CHECK_EQ(ioctl(b->fd, NIOCRXSYNC, NULL), 0);
	CHECK_EQ(nm_ring_space(b->rx), n);
	for (; n > 0; n--, first++) {
		const struct netmap_slot *s = &b->rx->slot[b->rx->head];
		uint32_t number;

		memcpy(&number, NETMAP_BUF(b->rx, s->buf_idx) + 20, sizeof(number));
		CHECK_EQ(number, first);
		CHECK_EQ(s->len, 60);
		CHECK_EQ(s->flags, 0);
		b->rx->head = b->rx->cur = nm_ring_next(b->rx, b->rx->head);
	}
	CHECK_EQ(ioctl(b->fd, NIOCRXSYNC, NULL), 0);
}

/* What the sender of a pipe had put of a frame, and not its end, goes with him; what he sent stays. */
static void
half_a_frame_goes_with_its_sender(void)
{
	uint32_t round, first, halves[] = {1, 3, 500, 0};
	char name[64];
	struct ct_port a, b;

	ct_pipe(&a, &b, "half");
	snprintf(name, sizeof(name), "ct%dhalf{1", (int)getpid());
	halves[3] = a.tx->num_slots - 3;      /* no room is left */
	ct_send(&a, 0, a.tx->num_slots - 20); /* so that the ring's end is passed below */
	expect_whole(&b, 0, a.tx->num_slots - 20);
	CHECK_EQ(ioctl(a.fd, NIOCTXSYNC, NULL), 0);
	first = a.tx->num_slots - 20;
	for (round = 0; round < 8; round++) {
		ct_send(&a, first, 2);
		put_half(&a, halves[round % 4]);
		ct_close(&a);
		a = ct_port(name, 0);
		CHECK_EQ(a.tx->head, a.tx->cur);
		CHECK_EQ(nm_ring_space(a.tx), a.tx->num_slots - 3);
		ct_send(&a, first + 2, 5);
		expect_whole(&b, first, 7);
		CHECK_EQ(ioctl(a.fd, NIOCTXSYNC, NULL), 0);
		first += 7;
	}
	/* Somebody puts slots there, does not sync, and leaves head and cur anywhere. */
	a.tx->slot[a.tx->head].flags = NS_MOREFRAG;
	a.tx->head = nm_ring_next(a.tx, a.tx->head);
	a.tx->cur = UINT32_MAX;
	ct_close(&a);
	a = ct_port(name, 0);
	ct_send(&a, first, 1);
	expect_whole(&b, first, 1);
}

static void
half_a_frame_dies_with_its_sender(void)
{
	char name[64];
	struct ct_port a, b;
	int status;
	pid_t pid;

	ct_pipe(&a, &b, "dead");
	snprintf(name, sizeof(name), "ct%ddead{1", (int)getpid());
	ct_send(&a, 0, 1);
	ct_close(&a);
	pid = ct_spawn(put_half_and_die, name);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	wait_until_free(name);
	a = ct_port(name, 0);
	ct_send(&a, 1, 3);
	expect_whole(&b, 0, 4);
}

/* A ring that somebody else has, too, goes on where it is. */
static void
half_a_frame_of_two_senders(void)
{
	struct ct_port a, b, other;
	char name[64];
	uint32_t head;

	ct_pipe(&a, &b, "both");
	snprintf(name, sizeof(name), "ct%dboth{1", (int)getpid());
	other = ct_port(name, 0);
	put_half(&a, 3);
	head = a.tx->head;
	ct_close(&a);
	a = ct_port(name, 0);
	CHECK_EQ(a.tx->head, head);
	ct_close(&a);
	a = other;
	ct_send(&a, 0, 1);
	CHECK_EQ(ct_recv(&b), 4);
}

static void
few_descriptors(void)
{
	const struct rlimit lim = {24, 24};
	struct ct_port a, b;
	int fds[32], n;

	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &lim), 0);
	ct_pipe(&a, &b, "");
	for (n = 0; n < 32; n++) {
		fds[n] = open("/dev/netmap", O_RDWR);
		if (fds[n] < 0)
			break;
	}
	CHECK(n < 24);
	CHECK(errno == EMFILE || errno == ENFILE);
	while (n > 0)
		CHECK_EQ(close(fds[--n]), 0);
	ct_send(&a, 0, 1);
	CHECK_EQ(ct_recv(&b), 1);
}

static const struct ct_case cases[] = {
	{"forked_child_uses_it", forked_child_uses_it},
	{"bound_by_child_used_by_parent", bound_by_child_used_by_parent},
	{"child_keeps_it_alive", child_keeps_it_alive},
	{"raw_forked_child", raw_forked_child},
	{"vforked_child_changes_nothing", vforked_child_changes_nothing},
	{"across_exec", across_exec},
	{"exec_then_poll", exec_then_poll},
	{"passed_over_a_socket", passed_over_a_socket},
	{"close_all_at_start", close_all_at_start},
	{"close_range_unregisters", close_range_unregisters},
	{"dup2_onto_internal_is_refused", dup2_onto_internal_is_refused},
	{"crash_unregisters", crash_unregisters},
	{"closed_while_syncing", closed_while_syncing},
	{"half_a_frame_goes_with_its_sender", half_a_frame_goes_with_its_sender},
	{"half_a_frame_dies_with_its_sender", half_a_frame_dies_with_its_sender},
	{"half_a_frame_of_two_senders", half_a_frame_of_two_senders},
	{"few_descriptors", few_descriptors},
};

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--exec") == 0)
		return exec_main(atoi(argv[2]), false);
	if (argc == 3 && strcmp(argv[1], "--exec-poll") == 0)
		return exec_main(atoi(argv[2]), true);
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
