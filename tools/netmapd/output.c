/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving up pipes when netmapd ends. See output.h. */
/* Syscalls: dup3 */
#include "output.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int null_fd;
static bool is_pipe[STDERR_FILENO + 1];

/* The library in front of dup3() takes locks, which a handler must not. */
static void
parent_ended(int sig)
{
	int fd;

	(void)sig;
	for (fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (is_pipe[fd])
			syscall(SYS_dup3, null_fd, fd, 0);
}

void
output_watch_parent(void)
{
	struct sigaction sa = {.sa_handler = parent_ended, .sa_flags = SA_RESTART};
	bool any = false;
	struct stat st;
	int fd;

	for (fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		is_pipe[fd] = fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
		any |= is_pipe[fd];
	}
	null_fd = any ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
	if (null_fd < 0)
		sa.sa_handler = SIG_IGN;
	/* netmapd has asked for the signal on our behalf (daemon/child.c), so that none is missed. */
	sigaction(SIGUSR1, &sa, NULL);
}
