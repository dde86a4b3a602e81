/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting, watching and ending workers. See worker.h.
 *
 * A worker's end is seen by a pidfd, as one that was taken over from a previous netmapd is not our child.
 */
/* The program's loader runs under netmapd's filter (tools/netmapd/confine.h), before its own main(). */
/* Syscalls: openat arch_prctl set_tid_address mmap mprotect pread64 getdents64 prctl capget capset */
/* Syscalls: seccomp */
/* Syscalls: clone clone3 setsid execve kill wait4 pidfd_open poll ppoll */
/* Syscalls: readlink readlinkat access faccessat faccessat2 */
#include "daemon/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/persistent.h"

#define NS_PER_S       UINT64_C(1000000000)
#define MAX_PAUSE_S    60u
#define STABLE_S       30u /* a worker that ran so long starts with a short pause again */
#define WORKER_PROGRAM "nm-worker"
#define MAX_CHILDREN   65536
#define END_WAIT_MS    500 /* a killed process takes milliseconds */

struct unm_worker {
	struct unm_source src; /* pidfd; -1 while it does not run */
	struct unm_worker *next;
	struct unm_server *srv;
	char port_name[UNM_NAME_SIZE];
	pid_t pid;
	uint64_t started_ns;
	uint64_t next_start_ns; /* 0: runs */
	uint32_t pause_s;
};

static struct unm_dport *
port_of(const struct unm_worker *w)
{
	return unm_dport_find(&w->srv->dom, w->port_name);
}

/* "tap:IF%NETNS" of the port "vale0:tap:IF%NETNS", or of "vale0:IF"; a persistent port IF as it is known */
static void
far_name(const struct unm_worker *w, char *out, size_t size)
{
	const char *part = strchr(w->port_name, ':');
	const struct unm_dport *port;

	part = part != NULL ? part + 1 : w->port_name;
	port = unm_persistent_find(&w->srv->dom, part);
	if (port != NULL) {
		snprintf(out, size, "%s", port->name);
		return;
	}
	snprintf(out, size, "%s%s", strncmp(part, "tap:", 4) == 0 ? "" : "tap:", part);
}

/* The program beside netmapd (as in a build tree), else where it is installed. */
static void
worker_path(char *out, size_t size)
{
	const ssize_t n = readlink("/proc/self/exe", out, size - 1);
	char *slash;

	if (n > 0) {
		out[n] = '\0';
		slash = strrchr(out, '/');
		if (slash != NULL && (size_t)(slash - out) + sizeof("/" WORKER_PROGRAM) < size) {
			memcpy(slash, "/" WORKER_PROGRAM, sizeof("/" WORKER_PROGRAM));
			if (access(out, X_OK) == 0)
				return;
		}
	}
	snprintf(out, size, "%s", UNM_LIBEXECDIR "/" WORKER_PROGRAM);
}

/* In the child: only standard descriptors, no blocked signals, then the worker. */
static void
exec_worker(const struct unm_worker *w, const char *path)
{
	char far[UNM_NAME_SIZE + 8];
	sigset_t none;

	far_name(w, far, sizeof(far));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	setsid();
	/* It can't start a netmapd that could make TAPs: it has none of the privileges. */
	if (setenv("UNETMAP_SOCKET", w->srv->socket_path, 1) == 0 &&
		setenv(UNM_NO_AUTOSTART_ENV, "1", 1) == 0)
		execl(path, WORKER_PROGRAM, w->port_name, far, (char *)NULL);
	_exit(127);
}

static void worker_gone(struct unm_source *src, uint32_t events);

static void
watch(struct unm_worker *w, pid_t pid)
{
	struct unm_dport *port = port_of(w);

	w->pid = pid;
	w->started_ns = unm_now_ns();
	w->next_start_ns = 0;
	w->src.ready = worker_gone;
	w->src.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (w->src.fd >= 0)
		unm_loop_add(&w->srv->loop, &w->src, EPOLLIN);
	if (port != NULL)
		port->worker_pid = pid;
}

static void
schedule(struct unm_worker *w)
{
	w->pid = 0;
	w->pause_s = w->pause_s == 0 ? 1 : w->pause_s * 2;
	if (w->pause_s > MAX_PAUSE_S)
		w->pause_s = MAX_PAUSE_S;
	w->next_start_ns = unm_now_ns() + w->pause_s * NS_PER_S;
}

static void
start(struct unm_worker *w)
{
	char path[256];
	pid_t pid;

	worker_path(path, sizeof(path));
	pid = fork();
	if (pid == 0)
		exec_worker(w, path);
	if (pid < 0) {
		unm_log(LOG_ERR, "%s: can't start a worker: %s", w->port_name, strerror(errno));
		schedule(w);
		return;
	}
	watch(w, pid);
}

static void
unwatch(struct unm_worker *w)
{
	if (w->src.fd < 0)
		return;
	unm_loop_del(&w->srv->loop, &w->src);
	close(w->src.fd);
	w->src.fd = -1;
}

static void
worker_gone(struct unm_source *src, uint32_t events)
{
	struct unm_worker *w =
		(struct unm_worker *)(void *)((char *)src - offsetof(struct unm_worker, src));
	struct unm_dport *port = port_of(w);

	(void)events; /* readable is all that a pidfd becomes */
	unwatch(w);
	if (port != NULL)
		port->worker_pid = 0;
	if (unm_now_ns() - w->started_ns > STABLE_S * NS_PER_S)
		w->pause_s = 0;
	schedule(w);
	unm_log(LOG_WARNING, "%s: its worker has ended; another one in %u s", w->port_name,
		w->pause_s);
	unm_server_arm_timer(w->srv);
}

static struct unm_worker *
new_worker(struct unm_server *srv, const struct unm_dport *port)
{
	struct unm_worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->src.fd = -1;
	w->srv = srv;
	memcpy(w->port_name, port->name, sizeof(w->port_name));
	w->next = srv->workers;
	srv->workers = w;
	return w;
}

static struct unm_worker *
find_worker(struct unm_server *srv, const struct unm_dport *port)
{
	struct unm_worker *w;

	for (w = srv->workers; w != NULL; w = w->next) {
		if (strcmp(w->port_name, port->name) == 0)
			return w;
	}
	return NULL;
}

void
unm_worker_attach(struct unm_server *srv, struct unm_dport *port)
{
	struct unm_worker *w = new_worker(srv, port);

	if (w != NULL)
		start(w);
}

void
unm_worker_adopt(struct unm_server *srv, struct unm_dport *port, pid_t pid)
{
	struct unm_worker *w = find_worker(srv, port);

	if (w == NULL)
		w = new_worker(srv, port);
	if (w != NULL && w->pid == 0)
		watch(w, pid);
}

/*
 * Killed, not asked: it has nothing to put in order, and a stopped one would not hear. Waited for, so that its ports and the interface can be had
 * again as soon as the request that ends it has been answered.
 */
static void
end_worker(struct unm_server *srv, struct unm_worker *w)
{
	struct pollfd end = {.fd = w->src.fd, .events = POLLIN};
	struct unm_worker **pp;

	if (w->pid > 0)
		kill(w->pid, SIGKILL);
	if (w->src.fd >= 0)
		poll(&end, 1, END_WAIT_MS);
	unwatch(w);
	for (pp = &srv->workers; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == w) {
			*pp = w->next;
			break;
		}
	}
	free(w);
}

void
unm_worker_detach(struct unm_server *srv, const struct unm_dport *port)
{
	struct unm_worker *w = find_worker(srv, port);

	if (w != NULL)
		end_worker(srv, w);
}

void
unm_worker_end_all(struct unm_server *srv)
{
	while (srv->workers != NULL)
		end_worker(srv, srv->workers);
}

void
unm_worker_reap(struct unm_server *srv)
{
	int i;

	(void)srv; /* children are known to the kernel; what they did is seen by their pidfds */
	for (i = 0; i < MAX_CHILDREN; i++) {
		if (waitpid(-1, NULL, WNOHANG) <= 0)
			return;
	}
}

uint64_t
unm_worker_next_start_ns(const struct unm_server *srv)
{
	const struct unm_worker *w;
	uint64_t t = 0;

	for (w = srv->workers; w != NULL; w = w->next) {
		if (w->next_start_ns != 0 && (t == 0 || w->next_start_ns < t))
			t = w->next_start_ns;
	}
	return t;
}

void
unm_worker_start_due(struct unm_server *srv)
{
	struct unm_worker *w;

	for (w = srv->workers; w != NULL; w = w->next) {
		if (w->next_start_ns != 0 && w->next_start_ns <= unm_now_ns())
			start(w);
	}
}
