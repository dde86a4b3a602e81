/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves that after the stages of tools/netmapd/confine.h what is not needed can't be done: system
 * calls that nobody claims fail, a worker can't open files or start programs, capabilities and new
 * privileges are gone; and that what is needed still works. Each case runs in a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "confine.h"

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%d: %s: %s\n", __LINE__, #condition, strerror(errno));    \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* Run @work in a child; it must end with 0. */
static void
in_child(void (*work)(void))
{
	const pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		work();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool
is_forbidden(long ret)
{
	return ret < 0 && errno == ENOSYS;
}

static void *
thread(void *arg)
{
	return arg;
}

/* What netmapd and its workers do all the time. */
static void
check_useful(void)
{
	const int fd = memfd_create("test", MFD_CLOEXEC);
	void *map;

	EXPECT(fd < 0 || ftruncate(fd, 4096) == 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0),
		fd, 0);
	EXPECT(map != MAP_FAILED && munmap(map, 4096) == 0);
	EXPECT(socket(AF_UNIX, SOCK_SEQPACKET, 0) >= 0);
}

static void
check_useless(void)
{
	EXPECT(is_forbidden(syscall(SYS_personality, 0xffffffff)));
	EXPECT(is_forbidden(syscall(SYS_ptrace, 0, 0, 0, 0)));
	EXPECT(is_forbidden(syscall(SYS_mount, NULL, "/", NULL, 0, NULL)));
	EXPECT(is_forbidden(syscall(SYS_unshare, 0)));
	EXPECT(is_forbidden(syscall(SYS_bpf, BPF_PROG_TEST_RUN, NULL, 0)));
	EXPECT(is_forbidden(syscall(SYS_keyctl, 0, 0, 0, 0, 0)));
}

/* Descriptors send signals to nobody. */
static void
check_descriptors(void)
{
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), flags = fcntl(fd, F_GETFL), on = 1;
	const int owner = (int)getpid();

	EXPECT(flags >= 0 && fcntl(fd, F_DUPFD_CLOEXEC, 0) >= 0);
	EXPECT(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	EXPECT(fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
	EXPECT(is_forbidden(fcntl(fd, F_SETOWN, owner)));
	EXPECT(is_forbidden(fcntl(fd, F_SETSIG, SIGKILL)));
	EXPECT(is_forbidden(fcntl(fd, F_SETFL, flags | O_ASYNC)));
	EXPECT(is_forbidden(syscall(SYS_fcntl, fd, F_SETOWN | 1ull << 32, owner)));
	EXPECT(ioctl(fd, FIOASYNC, &on) < 0 && errno == EPERM);
	EXPECT(ioctl(fd, FIOSETOWN, &owner) < 0 && errno == EPERM);
	EXPECT(ioctl(fd, SIOCSPGRP, &owner) < 0 && errno == EPERM);
	EXPECT(syscall(SYS_ioctl, fd, SIOCSPGRP | 1ull << 32, &owner) < 0 && errno == EPERM);
	EXPECT(ioctl(fd, FIONBIO, &on) == 0);
	close(fd);
}

static unsigned long long
capabilities(void)
{
	unsigned long long caps = ~0ull;
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");

	EXPECT(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "CapEff: %llx", &caps);
	fclose(f);
	return caps;
}

static void
netmapd_stage(void)
{
	const unsigned long long before = capabilities();
	/* NET_ADMIN, NET_RAW, IPC_LOCK, SYS_ADMIN, SYS_PTRACE, DAC_OVERRIDE, CHOWN */
	const unsigned long long kept = 1ull << 12 | 1ull << 13 | 1ull << 14 | 1ull << 21 |
					1ull << 19 | 1ull << 1 | 1ull << 0;
	pid_t pid;
	int status;

	EXPECT(confine_netmapd(true) == 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	check_useful();
	check_useless();
	check_descriptors();
	EXPECT(!is_forbidden(syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0))); /* for interfaces */
	EXPECT(capabilities() == (geteuid() == 0 ? before & kept : before));
	pid = fork();
	EXPECT(pid >= 0);
	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

static void
worker_stage(void)
{
	pthread_t t;

	EXPECT(confine_netmapd(true) == 0);
	EXPECT(confine_worker() == 0);
	check_useless();
	check_descriptors();
	EXPECT(socket(AF_UNIX, SOCK_SEQPACKET, 0) >= 0);
	EXPECT(pthread_create(&t, NULL, thread, NULL) == 0 && pthread_join(t, NULL) == 0);
	EXPECT(is_forbidden(open("/dev/null", O_RDONLY)));
	EXPECT(is_forbidden(execl("/bin/true", "true", (char *)NULL)));
	EXPECT(is_forbidden(fork()));
	EXPECT(is_forbidden(syscall(SYS_setns, 0, 0)));
	EXPECT(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			MAP_FAILED &&
		errno == ENOSYS);
	EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		MAP_FAILED);
}

static void
broker_stage(void)
{
	EXPECT(confine_netmapd(true) == 0);
	EXPECT(confine_broker() == 0);
	check_useless();
	check_descriptors();
}

static void
switched_off(void)
{
	EXPECT(confine_netmapd(false) == 0);
	EXPECT(confine_worker() == 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	EXPECT(!is_forbidden(syscall(SYS_personality, 0xffffffff)));
	EXPECT(capabilities() == 0);
}

static void
test_netmapd(void **state)
{
	(void)state;
	in_child(netmapd_stage);
}

static void
test_worker(void **state)
{
	(void)state;
	in_child(worker_stage);
}

static void
test_broker(void **state)
{
	(void)state;
	in_child(broker_stage);
}

static void
test_switched_off(void **state)
{
	(void)state;
	in_child(switched_off);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_netmapd),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_broker),
		cmocka_unit_test(test_switched_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
