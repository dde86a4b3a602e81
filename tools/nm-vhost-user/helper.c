/* SPDX-License-Identifier: BSD-2-Clause */
/* See helper.h. */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <libnetmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unetmap.h>
#include <unistd.h>

#include "shm/clock.h"

#define LONG_WAKE_NS UINT64_C(1000000000)

/* What the child is asked for, a byte each; it sends it back when that is done. */
#define ASK_WAKE   'w'
#define ASK_UNMAKE 'u'

/*
 * Who starts netmapd in case none runs: a child, as this process can't any more once it has given
 * up its files, and netmapd would inherit that. @why: VH_WHY_SIZE, receives the child's reason.
 * Return: false if there is no netmapd, which this process would find out as well, but not why.
 */
static bool
wake_netmapd(char *why)
{
	int ends[2], status = 0;
	ssize_t n = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return true; /* not known; opening the ports will tell */
	pid = fork();
	if (pid == 0) {
		if (open("/dev/netmap", O_RDWR) >= 0)
			_exit(EXIT_SUCCESS);
		(void)!write(ends[1], nmctx_last_error(), strlen(nmctx_last_error()));
		_exit(EXIT_FAILURE);
	}
	close(ends[1]);
	while (pid > 0 && (n = read(ends[0], why, VH_WHY_SIZE - 1)) < 0 && errno == EINTR)
		; /* a signal before they are blocked; it writes once, less than a pipe takes */
	close(ends[0]);
	why[n > 0 ? n : 0] = '\0';
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		; /* likewise */
	return pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == EXIT_SUCCESS;
}

/* A netmapd may end just as it is asked; what takes long was in vain, and would be again. */
int
vh_helper_need_netmapd(char *why)
{
	const uint64_t start_ns = unm_now_ns();
	unsigned int n;

	for (n = 0; n < VH_N_WAKES; n++) {
		if (wake_netmapd(why))
			return 0;
		if (unm_now_ns() - start_ns > LONG_WAKE_NS)
			break;
	}
	if (why[0] == '\0')
		snprintf(why, VH_WHY_SIZE, "netmapd can't be reached");
	return -ENOENT;
}

static void
unmake(const struct vh_nic *nic, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		vh_nic_unmake(&nic[i]);
}

/* It holds neither a lock of records nor a socket that others connect to, whoever ends first. */
static void
leave_files(const struct vh_nic *nic, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && nic[i].opts != NULL; i++) {
		if (nic[i].records_fd >= 0)
			close(nic[i].records_fd);
		if (nic[i].listen_fd >= 0)
			close(nic[i].listen_fd);
	}
}

static void
help(int sock, const struct vh_nic *nic, unsigned int n)
{
	char what, why[VH_WHY_SIZE];

	leave_files(nic, n);
	while (read(sock, &what, 1) == 1) {
		if (what == ASK_UNMAKE)
			unmake(nic, n);
		else
			(void)wake_netmapd(why); /* whoever asked tries again, and says why not */
		(void)!write(sock, &what, 1);
	}
}

void
vh_helper_start(struct vh_helper *h, const struct vh_nic *nic, unsigned int n)
{
	int pair[2];

	*h = (struct vh_helper){.pid = -1, .sock = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return; /* netmapd has just been there, mostly that will do */
	h->sock = pair[0];
	h->pid = fork();
	if (h->pid == 0) {
		close(pair[0]);
		help(pair[1], nic, n);
		_exit(EXIT_SUCCESS);
	}
	close(pair[1]);
}

static bool
ask(const struct vh_helper *h, char what)
{
	return h->sock >= 0 && send(h->sock, &what, 1, MSG_NOSIGNAL) == 1 &&
	       recv(h->sock, &what, 1, 0) == 1;
}

bool
vh_helper_wake_netmapd(const struct vh_helper *h)
{
	return ask(h, ASK_WAKE);
}

void
vh_helper_unmake(const struct vh_helper *h, const struct vh_nic *nic, unsigned int n)
{
	if (!ask(h, ASK_UNMAKE))
		unmake(nic, n);
}

void
vh_helper_end(struct vh_helper *h)
{
	if (h->sock >= 0)
		close(h->sock);
	if (h->pid > 0)
		(void)waitpid(h->pid, NULL, 0);
	*h = (struct vh_helper){.pid = -1, .sock = -1};
}
