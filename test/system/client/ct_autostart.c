/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves that starting netmapd leaves the application as it was: no child to wait for, no SIGCHLD, no changed signal mask. */
#include "ct.h"

#include <signal.h>

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

static const struct ct_case cases[] = {
	{"no_trace", no_trace},
};

int
main(int argc, char **argv)
{
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
