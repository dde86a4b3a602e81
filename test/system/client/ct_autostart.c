/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves that starting netmapd leaves the application as it was: no child to wait for, no SIGCHLD, no changed signal mask;
 * and that one is started also when the former one dies just after it took the first connection.
 */
#include "ct.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

static volatile sig_atomic_t n_sigchld;

static void
on_sigchld(int sig)
{
	(void)sig;
	n_sigchld++;
}

static void
no_trace(void)
{
	struct sigaction sa = {.sa_handler = on_sigchld};
	sigset_t before, after;
	char path[128];
	int fd;

	/* A socket that nobody serves yet */
	snprintf(path, sizeof(path), "%s.2", getenv("UNETMAP_SOCKET"));
	CHECK_EQ(setenv("UNETMAP_SOCKET", path, 1), 0);
	CHECK_EQ(sigaction(SIGCHLD, &sa, NULL), 0);
	CHECK_EQ(sigprocmask(SIG_SETMASK, NULL, &before), 0);
	fd = ct_open_device();
	CHECK_EQ(sigprocmask(SIG_SETMASK, NULL, &after), 0);
	CHECK(memcmp(&before, &after, sizeof(before)) == 0);
	CHECK_EQ(n_sigchld, 0);
	CHECK_ERR(waitpid(-1, NULL, WNOHANG), ECHILD);
	CHECK_EQ(close(fd), 0);
}

/* What takes one connection on @path and dies, leaving its socket behind. */
static pid_t
short_lived(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	pid_t child;

	CHECK(s >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	CHECK_EQ(bind(s, (struct sockaddr *)&sa, sizeof(sa)), 0);
	CHECK_EQ(listen(s, 1), 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(accept(s, NULL, NULL) < 0);
	close(s);
	return child;
}

static void
dies_on_accept(void)
{
	char path[100];
	pid_t child;
	int status, fd;

	snprintf(path, sizeof(path), "%s.3", getenv("UNETMAP_SOCKET"));
	CHECK_EQ(setenv("UNETMAP_SOCKET", path, 1), 0);
	child = short_lived(path);
	fd = ct_open_device();
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(close(fd), 0);
}

static const struct ct_case cases[] = {
	{"no_trace", no_trace},
	{"dies_on_accept", dies_on_accept},
};

int
main(int argc, char **argv)
{
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
