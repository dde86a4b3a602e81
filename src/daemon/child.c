/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting, watching and ending programs. See child.h. */
/* The program's loader runs under netmapd's filter (tools/netmapd/confine.h), before its own main(). */
/* Syscalls: openat arch_prctl set_tid_address mmap mprotect pread64 getdents64 prctl capget capset */
/* Syscalls: seccomp */
/* Syscalls: pipe2 clone clone3 getppid setsid execve kill wait4 pidfd_open poll ppoll */
/* Syscalls: readlink readlinkat access faccessat faccessat2 */
#include "daemon/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_S     UINT64_C(1000000000)
#define MAX_PAUSE_S  60u
#define STABLE_S     3u		    /* one that ran so long starts with a short pause again */
#define LOOK_NS	     (5 * NS_PER_S) /* between two looks at what one waits for */
#define GAP_NS	     (NS_PER_S / 2) /* between two starts of one that does not fail */
#define MAX_CHILDREN 65536
#define END_WAIT_MS  500  /* a killed process takes milliseconds */
#define EXEC_WAIT_MS 2000 /* so does execve(); netmapd can't wait for ever */
#define NO_PROGRAM   127
#define LOW_FDS	     10

/* The program beside netmapd (as in a build tree), else where it is installed. */
static void
program_path(const char *program, char *out, size_t size)
{
	const ssize_t n = readlink("/proc/self/exe", out, size - 1);
	char *slash;

	if (n > 0) {
		out[n] = '\0';
		slash = strrchr(out, '/');
		if (slash != NULL && (size_t)(slash - out) + 1 + strlen(program) < size) {
			memcpy(slash + 1, program, strlen(program) + 1);
			if (access(out, X_OK) == 0)
				return;
		}
	}
	snprintf(out, size, "%s/%s", UNM_LIBEXECDIR, program);
}

/*
 * In the child: only standard descriptors, no blocked signals, then the program; or errno to @fd.
 * Until the program has made up its mind about netmapd's end (tools/netmapd/output.h), it ends with
 * netmapd.
 */
static void
become(const struct unm_child *c, const char *path, pid_t parent, int fd)
{
	sigset_t none;
	int err;

	prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
	if (getppid() != parent)
		_exit(NO_PROGRAM);		  /* it has ended already: no signal comes */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, LOW_FDS); /* away from those that the program is given */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	setsid();
	/* It can't start a netmapd that could make TAPs: it has none of the privileges. */
	if (setenv(UNM_SOCKET_ENV, c->srv->socket_path, 1) == 0 &&
		setenv(UNM_NO_AUTOSTART_ENV, "1", 1) == 0)
		c->ops->exec(c, path);
	err = errno;
	if (write(fd, &err, sizeof(err)) != (ssize_t)sizeof(err))
		_exit(NO_PROGRAM - 1);
	_exit(NO_PROGRAM);
}

/*
 * Did the program take over? Then the pipe that it would have told its failure by has been closed
 * by that. Return: 0 or negative errno.
 */
static int
exec_result(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int err;

	if (poll(&p, 1, EXEC_WAIT_MS) != 1 || read(fd, &err, sizeof(err)) != (ssize_t)sizeof(err))
		return 0;
	return err > 0 ? -err : -EIO;
}

static int
cannot_run(const struct unm_child *c, const char *path, int error, struct unm_reason *why)
{
	return unm_fail(why, error, "cannot run %s: %s (%s)", path, strerror(-error),
		error == -ENOENT   ? "install it there, or beside netmapd"
		: error == -EACCES ? "netmapd may not: see its mode, those of its directories, and "
				     "whether it lies on a file system mounted noexec"
				   : c->ops->program);
}

static void
schedule(struct unm_child *c)
{
	c->pause_s = c->pause_s == 0 ? 1 : c->pause_s * 2;
	if (c->pause_s > MAX_PAUSE_S)
		c->pause_s = MAX_PAUSE_S;
	c->next_start_ns = unm_now_ns() + c->pause_s * NS_PER_S;
}

/* At once, without having failed. */
static void
schedule_now(struct unm_child *c)
{
	const uint64_t now = unm_now_ns();

	c->pause_s = 0;
	c->next_start_ns = c->started_ns + GAP_NS > now ? c->started_ns + GAP_NS : now;
}

/* How it ended, in brackets; empty if it was another netmapd's child, whose end tells nobody how. */
static void
describe_end(struct unm_child *c, char *out, size_t size)
{
	const char *name;
	int status;

	if (c->status < 0 && waitpid(c->pid, &status, WNOHANG) == c->pid)
		c->status = status;
	out[0] = '\0';
	if (c->status < 0)
		return;
	if (WIFSIGNALED(c->status)) {
		name = sigabbrev_np(WTERMSIG(c->status));
		if (name != NULL)
			snprintf(out, size, " (SIG%s)", name);
		else
			snprintf(out, size, " (signal %d)", WTERMSIG(c->status));
	} else {
		snprintf(out, size, " (exit status %d%s)", WEXITSTATUS(c->status),
			WEXITSTATUS(c->status) == NO_PROGRAM
				? ": it could not be loaded, try it with --version"
				: "");
	}
}

static void
child_gone(struct unm_source *src, uint32_t events)
{
	struct unm_child *c =
		(struct unm_child *)(void *)((char *)src - offsetof(struct unm_child, src));
	char how[96];

	(void)events; /* readable is all that a pidfd becomes */
	unm_loop_close(&c->srv->loop, &c->src);
	describe_end(c, how, sizeof(how));
	if (unm_now_ns() - c->started_ns > STABLE_S * NS_PER_S)
		c->pause_s = 0;
	c->pid = 0;
	if (c->ops->was_deprived != NULL && c->ops->was_deprived(c)) {
		schedule_now(c);
	} else {
		schedule(c);
		unm_log(LOG_WARNING, "%s: its %s has ended%s; another one in %u s", c->ops->name(c),
			c->ops->program, how, c->pause_s);
	}
	c->ops->changed(c);
	unm_server_arm_timer(c->srv);
}

void
unm_child_adopt(struct unm_child *c, pid_t pid)
{
	c->pid = pid;
	c->status = -1;
	c->started_ns = unm_now_ns();
	c->next_start_ns = 0;
	c->waits = false;
	c->src.ready = child_gone;
	c->src.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (c->src.fd >= 0)
		unm_loop_add(&c->srv->loop, &c->src, EPOLLIN);
	c->ops->changed(c);
}

void
unm_child_init(struct unm_child *c, struct unm_server *srv, const struct unm_child_ops *ops)
{
	memset(c, 0, sizeof(*c));
	c->src.fd = -1;
	c->srv = srv;
	c->ops = ops;
	c->next = srv->children;
	srv->children = c;
}

int
unm_child_start(struct unm_child *c, struct unm_reason *why)
{
	const pid_t parent = getpid();
	char path[256];
	int ret = c->ops->prepare != NULL ? c->ops->prepare(c, why) : 0;
	int fds[2];
	pid_t pid;

	if (ret < 0)
		return ret;
	program_path(c->ops->program, path, sizeof(path));
	if (pipe2(fds, O_CLOEXEC) < 0)
		return cannot_run(c, path, -errno, why);
	pid = fork();
	if (pid == 0)
		become(c, path, parent, fds[1]);
	ret = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (ret == 0)
		ret = exec_result(fds[0]);
	close(fds[0]);
	if (ret < 0)
		return cannot_run(c, path, ret, why);
	unm_child_adopt(c, pid);
	return 0;
}

void
unm_child_keep(struct unm_child *c)
{
	struct unm_reason why = {""};

	c->waits = c->ops->has_to_wait != NULL && c->ops->has_to_wait(c);
	if (c->waits) {
		c->next_start_ns = unm_now_ns() + LOOK_NS;
		return;
	}
	if (unm_child_start(c, &why) == 0)
		return;
	schedule(c);
	unm_log(LOG_ERR, "%s: %s; again in %u s", c->ops->name(c), why.text, c->pause_s);
}

void
unm_child_due(struct unm_child *c)
{
	if (!c->waits)
		return;
	schedule_now(c);
	unm_server_arm_timer(c->srv);
}

/*
 * Killed, not asked: it has nothing to put in order, and a stopped one would not hear. Waited for,
 * so that its ports and what it holds can be had again as soon as the request that ends it has been
 * answered.
 */
void
unm_child_end(struct unm_child *c)
{
	struct pollfd end = {.fd = c->src.fd, .events = POLLIN};
	struct unm_child **pp;

	if (c->pid > 0)
		kill(c->pid, SIGKILL);
	if (c->src.fd >= 0)
		poll(&end, 1, END_WAIT_MS);
	unm_loop_close(&c->srv->loop, &c->src);
	for (pp = &c->srv->children; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == c) {
			*pp = c->next;
			break;
		}
	}
}

void
unm_child_reap(struct unm_server *srv)
{
	struct unm_child *c;
	int i, status;
	pid_t pid;

	for (i = 0; i < MAX_CHILDREN; i++) { /* what they did is seen by their pidfds */
		pid = waitpid(-1, &status, WNOHANG);
		if (pid <= 0)
			return;
		for (c = srv->children; c != NULL; c = c->next)
			if (c->pid == pid)
				c->status = status;
	}
}

bool
unm_child_is_any(const struct unm_server *srv, pid_t pid)
{
	const struct unm_child *c;

	for (c = srv->children; c != NULL && c->pid != pid; c = c->next)
		continue;
	return c != NULL && pid > 0;
}

uint64_t
unm_child_next_start_ns(const struct unm_server *srv)
{
	const struct unm_child *c;
	uint64_t t = 0;

	for (c = srv->children; c != NULL && !srv->home.is_gone; c = c->next) {
		if (c->next_start_ns != 0 && (t == 0 || c->next_start_ns < t))
			t = c->next_start_ns;
	}
	return t;
}

void
unm_child_start_due(struct unm_server *srv)
{
	struct unm_child *c;

	for (c = srv->children; c != NULL && !srv->home.is_gone; c = c->next) {
		if (c->next_start_ns != 0 && c->next_start_ns <= unm_now_ns())
			unm_child_keep(c);
	}
}
