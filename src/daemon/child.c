/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting, watching and ending programs. See child.h. */
/* The program's loader runs under netmapd's filter (tools/netmapd/confine.h), before its own main(). */
/* Syscalls: openat arch_prctl set_tid_address mmap mprotect pread64 getdents64 prctl capget capset */
/* Syscalls: seccomp */
/* Syscalls: clone clone3 getppid setsid execve kill wait4 pidfd_open poll ppoll */
/* Syscalls: readlink readlinkat access faccessat faccessat2 */
#include "daemon/child.h"

#include <errno.h>
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
#define STABLE_S     3u /* one that ran so long starts with a short pause again */
#define MAX_CHILDREN 65536
#define END_WAIT_MS  500 /* a killed process takes milliseconds */

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
 * In the child: only standard descriptors, no blocked signals, then the program. Until that has
 * made up its mind about netmapd's end (tools/netmapd/output.h), it ends with netmapd.
 */
static void
become(const struct unm_child *c, const char *path, pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
	if (getppid() != parent)
		_exit(127); /* it has ended already: no signal comes */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	setsid();
	/* It can't start a netmapd that could make TAPs: it has none of the privileges. */
	if (setenv(UNM_SOCKET_ENV, c->srv->socket_path, 1) == 0 &&
		setenv(UNM_NO_AUTOSTART_ENV, "1", 1) == 0)
		c->ops->exec(c, path);
	_exit(127);
}

static void
unwatch(struct unm_child *c)
{
	if (c->src.fd < 0)
		return;
	unm_loop_del(&c->srv->loop, &c->src);
	close(c->src.fd);
	c->src.fd = -1;
}

static void
schedule(struct unm_child *c)
{
	c->pause_s = c->pause_s == 0 ? 1 : c->pause_s * 2;
	if (c->pause_s > MAX_PAUSE_S)
		c->pause_s = MAX_PAUSE_S;
	c->next_start_ns = unm_now_ns() + c->pause_s * NS_PER_S;
}

static void
child_gone(struct unm_source *src, uint32_t events)
{
	struct unm_child *c =
		(struct unm_child *)(void *)((char *)src - offsetof(struct unm_child, src));

	(void)events; /* readable is all that a pidfd becomes */
	unwatch(c);
	if (unm_now_ns() - c->started_ns > STABLE_S * NS_PER_S)
		c->pause_s = 0;
	c->pid = 0;
	schedule(c);
	unm_log(LOG_WARNING, "%s: its %s has ended; another one in %u s", c->ops->name(c),
		c->ops->program, c->pause_s);
	c->ops->changed(c);
	unm_server_arm_timer(c->srv);
}

void
unm_child_adopt(struct unm_child *c, pid_t pid)
{
	c->pid = pid;
	c->started_ns = unm_now_ns();
	c->next_start_ns = 0;
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

void
unm_child_start(struct unm_child *c)
{
	const pid_t parent = getpid();
	char path[256];
	pid_t pid = -1;

	if (c->ops->prepare == NULL || c->ops->prepare(c) == 0) {
		program_path(c->ops->program, path, sizeof(path));
		pid = fork();
	}
	if (pid == 0)
		become(c, path, parent);
	if (pid > 0) {
		unm_child_adopt(c, pid);
		return;
	}
	unm_log(LOG_ERR, "%s: can't start %s: %s", c->ops->name(c), c->ops->program,
		strerror(errno));
	schedule(c);
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
	unwatch(c);
	for (pp = &c->srv->children; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == c) {
			*pp = c->next;
			break;
		}
	}
}

void
unm_child_reap(void)
{
	int i;

	for (i = 0; i < MAX_CHILDREN; i++) { /* what they did is seen by their pidfds */
		if (waitpid(-1, NULL, WNOHANG) <= 0)
			return;
	}
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
			unm_child_start(c);
	}
}
