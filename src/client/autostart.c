/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding and starting netmapd. See autostart.h.
 *
 * The start must leave no trace in the application: no child that its wait() could meet, no
 * SIGCHLD, none of its descriptors in the daemon. So a first child is cloned with no exit signal
 * (invisible to wait() without __WCLONE), clones the second and ends; the second belongs to init
 * and becomes netmapd. Both share our memory while we stand still (CLONE_VFORK), hence nothing is
 * copied, no fork handler runs, and only system calls are made there.
 */
#include "client/autostart.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "client/process.h"
#include "client/real.h"
#include "shm/proto.h"

#define STACK_BYTES  32768 /* for each of the two children */
#define NETMAPD_ENV  "UNETMAP_NETMAPD"
#define NETMAPD_NAME "netmapd"

extern int dladdr(const void *addr, Dl_info *info) __attribute__((weak));
extern char **environ;

static int
format_path(char *path, size_t size, const char *dir, const char *rest)
{
	const int n = snprintf(path, size, "%s/%s", dir, rest);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* A directory under /tmp can be anybody's: it must be ours alone, or not be there yet. */
static int
check_tmp_dir(const char *dir)
{
	struct stat st;

	if (UNM_REAL(lstat)(dir, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return -EPERM;
	return 0;
}

static int
user_path(char *path, size_t size)
{
	const char *run = secure_getenv("XDG_RUNTIME_DIR");
	char dir[64];
	int err;

	if (geteuid() == 0)
		return -ENOENT; /* root's is the system instance */
	if (run != NULL && run[0] == '/')
		return format_path(path, size, run, "unetmap/" UNM_SOCKET_NAME);
	snprintf(dir, sizeof(dir), "/tmp/unetmap-%u", (unsigned int)geteuid());
	err = check_tmp_dir(dir);
	return err < 0 ? err : format_path(path, size, dir, UNM_SOCKET_NAME);
}

int
unm_instance_path(enum unm_instance which, char *path, size_t size)
{
	const char *env = secure_getenv(UNM_SOCKET_ENV);

	if (env != NULL && env[0] != '\0') {
		if (which != UNM_INSTANCE_ENV)
			return -ENOENT;
		if (strlen(env) >= size)
			return -ENAMETOOLONG;
		memcpy(path, env, strlen(env) + 1);
		return 0;
	}
	switch (which) {
	case UNM_INSTANCE_SYSTEM:
		return format_path(path, size, UNM_SYSTEM_DIR, UNM_SOCKET_NAME);
	case UNM_INSTANCE_USER:
		return user_path(path, size);
	default:
		return -ENOENT;
	}
}

bool
unm_instance_may_start(enum unm_instance which)
{
	if (getenv(UNM_NO_AUTOSTART_ENV) != NULL)
		return false;
	return which != UNM_INSTANCE_SYSTEM || geteuid() == 0;
}

static bool
is_program(const char *path)
{
	struct stat st;

	return UNM_REAL(stat)(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       UNM_REAL(access)(path, X_OK) == 0;
}

/* Beside our own file: where it was built, and where it was installed. */
static bool
find_beside_library(char *path, size_t size)
{
	static const char *const relative[] = {
		"../../tools/netmapd/" NETMAPD_NAME,
		"../bin/" NETMAPD_NAME,
		"../sbin/" NETMAPD_NAME,
		"../../bin/" NETMAPD_NAME,
		"../../sbin/" NETMAPD_NAME,
	};
	char dir[PATH_MAX], *slash;
	Dl_info info;
	size_t i;

	if (dladdr == NULL || dladdr((const void *)unm_autostart, &info) == 0 ||
		info.dli_fname == NULL || realpath(info.dli_fname, dir) == NULL)
		return false;
	slash = strrchr(dir, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	for (i = 0; i < sizeof(relative) / sizeof(relative[0]); i++)
		if (format_path(path, size, dir, relative[i]) == 0 && is_program(path))
			return true;
	return false;
}

static bool
find_in_path(char *path, size_t size)
{
	const char *p = secure_getenv("PATH");

	while (p != NULL && *p != '\0') { /* bounded by the string */
		const size_t len = strcspn(p, ":");

		if (len > 0 && len + sizeof("/" NETMAPD_NAME) <= size) {
			memcpy(path, p, len);
			memcpy(path + len, "/" NETMAPD_NAME, sizeof("/" NETMAPD_NAME));
			if (is_program(path))
				return true;
		}
		p += len;
		if (*p == ':')
			p++;
	}
	return false;
}

static int
find_netmapd(char *path, size_t size)
{
	const char *env = secure_getenv(NETMAPD_ENV);

	if (env != NULL && env[0] != '\0') {
		if (strlen(env) >= size || !is_program(env))
			return -ENOENT;
		memcpy(path, env, strlen(env) + 1);
		return 0;
	}
	if (find_beside_library(path, size))
		return 0;
	if (format_path(path, size, UNM_BINDIR, NETMAPD_NAME) == 0 && is_program(path))
		return 0;
	return find_in_path(path, size) ? 0 : -ENOENT;
}

struct start {
	const char *program;
	char *const *argv;
	char *stack; /* of the second child */
	int error;
};

/*
 * Second child: becomes netmapd.
 *
 * Without ASan: its marks around this frame, which is never left, would be found on pages that
 * others get.
 */
__attribute__((no_sanitize_address)) static int
become_netmapd(void *arg)
{
	struct start *s = arg;
	sigset_t none;
	int sig, null;

	syscall(SYS_setsid);
	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	null = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
	if (null >= 0) {
		syscall(SYS_dup3, null, 0, 0); /* fails when equal, which is as good */
		syscall(SYS_dup3, null, 1, 0);
		syscall(SYS_dup3, null, 2, 0);
	}
	syscall(SYS_close_range, 3u, ~0u, 0);
	syscall(SYS_chdir, "/");
	sigemptyset(&none);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
	syscall(SYS_execve, s->program, s->argv, environ);
	s->error = errno;
	syscall(SYS_exit, 127);
	return 0;
}

static int
clone_vfork(int (*fn)(void *), char *stack, void *arg)
{
	return clone(fn, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, arg);
}

/* First child: hands the second over to init by ending. */
static int
middle(void *arg)
{
	struct start *s = arg;

	if (clone_vfork(become_netmapd, s->stack, s) < 0)
		s->error = errno;
	syscall(SYS_exit, 0);
	return 0;
}

/* netmapd's directory is not ours. */
static int
make_absolute(const char *path, char *out, size_t size)
{
	char dir[PATH_MAX];
	int n;

	if (path[0] == '/')
		n = snprintf(out, size, "%s", path);
	else if (getcwd(dir, sizeof(dir)) == NULL)
		return -errno;
	else
		n = snprintf(out, size, "%s/%s", dir, path);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int
unm_autostart(const char *path)
{
	char program[PATH_MAX];
	char socket_arg[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char name[] = NETMAPD_NAME, opt_auto[] = "--autostart", opt_socket[] = "--socket";
	char *const argv[] = {name, opt_auto, opt_socket, socket_arg, NULL};
	struct start s = {.program = program, .argv = argv};
	struct unm_quiet quiet;
	char *stacks;
	pid_t pid;
	int err;

	err = find_netmapd(program, sizeof(program));
	if (err < 0)
		return err;
	err = make_absolute(path, socket_arg, sizeof(socket_arg));
	if (err < 0)
		return err;
	stacks = unm_pages_alloc((size_t)2 * STACK_BYTES);
	if (stacks == NULL)
		return -ENOMEM;
	s.stack = stacks;
	unm_quiet_begin(&quiet); /* a handler must not run in a child that has our memory */
	pid = clone_vfork(middle, stacks + STACK_BYTES, &s);
	err = pid < 0 ? -errno : 0;
	if (pid > 0)
		while (waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
			;
	unm_quiet_end(&quiet);
	unm_pages_free(stacks, (size_t)2 * STACK_BYTES);
	return err < 0 ? err : -s.error;
}
