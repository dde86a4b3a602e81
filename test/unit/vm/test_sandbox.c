/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is left to a device server that has been taken over (tools/nm-vhost-user/sandbox.c): it
 * connects to where it may, by an address that it can't change, and nowhere else. And to its witness:
 * a look at files.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unetmap.h>
#include <unistd.h>

#include "../../../tools/nm-vhost-user/sandbox.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static char directory[] = "/tmp/unm-sandbox-XXXXXX";
static struct sockaddr_un good, other;

static int
listen_at(struct sockaddr_un *sa, const char *name)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa->sun_family = AF_UNIX;
	snprintf(sa->sun_path, sizeof(sa->sun_path), "%s/%s", directory, name);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)sa, sizeof(*sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* Return: 0 or errno. */
static int
try_connect(const struct sockaddr_un *sa, int type)
{
	const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0)
		err = errno;
	close(fd);
	return err;
}

static bool
is_denied(int ret)
{
	return ret < 0 && errno == EPERM;
}

/* Descriptors do what is needed, and send signals to nobody. Return: as below. */
static int
check_descriptors(void)
{
	const int fd = memfd_create("x", MFD_ALLOW_SEALING);
	const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), flags = fcntl(fd, F_GETFL);
	const struct f_owner_ex owner = {F_OWNER_PID, 1};

	if (fd < 0 || copy < 0 || flags < 0 || fcntl(fd, F_DUPFD, 0) < 0)
		return 10;
	if (fcntl(copy, F_GETFD) != FD_CLOEXEC || fcntl(copy, F_SETFD, 0) != 0)
		return 11;
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0 ||
		fcntl(fd, F_GET_SEALS) != F_SEAL_SHRINK)
		return 12;
	if (!is_denied(fcntl(fd, F_SETOWN, getpid())) ||
		!is_denied(fcntl(fd, F_SETOWN_EX, &owner)) ||
		!is_denied(fcntl(fd, F_SETSIG, SIGKILL)) ||
		!is_denied(fcntl(fd, F_NOTIFY, DN_MODIFY)) ||
		!is_denied(fcntl(fd, F_SETLEASE, F_RDLCK)))
		return 13;
	if (!is_denied(fcntl(fd, F_SETFL, flags | O_ASYNC)) ||
		!is_denied((int)syscall(SYS_fcntl, fd, F_SETOWN | 1ull << 32, getpid())) ||
		!is_denied((int)syscall(SYS_fcntl, fd, F_SETFL | 1ull << 32, O_ASYNC)))
		return 14;
	if (!is_denied(ioctl(fd, FIOASYNC, &fd)) || !is_denied(ioctl(fd, FIOSETOWN, &fd)))
		return 15;
	return 0;
}

/* In a child. Return: number of the first expectation that failed, 0 none. */
static int
confined(void)
{
	const struct sockaddr_un *sealed = unetmap_seal_address(good.sun_path);
	const bool has_mseal = syscall(SYS_mseal, 0, 0, 0) == 0;
	void *page = (void *)(uintptr_t)sealed;
	int pair[2];

	if (sealed == NULL || sealed != unetmap_seal_address(good.sun_path))
		return 1;
	if (vh_sandbox_files() != 0 || vh_sandbox_calls(&sealed, 1) != 0)
		return 2;
	if (try_connect(sealed, SOCK_STREAM) != 0)
		return 3;
	if (try_connect(&good, SOCK_STREAM) != EPERM || try_connect(&other, SOCK_STREAM) != EPERM)
		return 4;
	if (socket(AF_UNIX, SOCK_DGRAM, 0) >= 0 || socket(AF_INET, SOCK_STREAM, 0) >= 0 ||
		socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0)
		return 5;
	if (check_descriptors() != 0)
		return check_descriptors();
	if (!has_mseal)
		return 0;
	if (mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0 || munmap(page, 4096) == 0 ||
		mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0) != MAP_FAILED)
		return 6;
	return memcmp(sealed, &good, sizeof(good)) == 0 ? 0 : 7;
}

/* The witness, in a child. Return: as above. */
static int
can_only_look(void)
{
	struct stat st;
	int pair[2];
	char c = 0;

	if (pipe(pair) != 0 || vh_sandbox_witness() != 0)
		return 1;
	if (stat("/proc/self/ns/user", &st) != 0)
		return 2;
	if (write(pair[1], &c, 1) != 1 || read(pair[0], &c, 1) != 1)
		return 3;
	if (!is_denied(open("/proc/self/status", O_RDONLY)) || !is_denied(dup(pair[0])) ||
		!is_denied(socket(AF_UNIX, SOCK_STREAM, 0)) || !is_denied(kill(getppid(), 0)) ||
		!is_denied(unlink("/nothing")))
		return 4;
	return 0;
}

static void
expect_of_child(int (*fn)(void))
{
	const pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
witness_looks_only(void **state)
{
	(void)state;
	expect_of_child(can_only_look);
}

static void
connects_nowhere_else(void **state)
{
	int fds[2];

	(void)state;
	assert_non_null(mkdtemp(directory));
	fds[0] = listen_at(&good, "good");
	fds[1] = listen_at(&other, "other");
	expect_of_child(confined);
	close(fds[0]);
	close(fds[1]);
	unlink(good.sun_path);
	unlink(other.sun_path);
	rmdir(directory);
}

static void
refuses_paths(void **state)
{
	char longest[200];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	errno = 0;
	assert_null(unetmap_seal_address(longest));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(unetmap_seal_address(NULL)); /* no netmapd was ever looked for */
	assert_int_equal(errno, EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_paths),
		cmocka_unit_test(connects_nowhere_else),
		cmocka_unit_test(witness_looks_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
