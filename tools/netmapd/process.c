/* SPDX-License-Identifier: BSD-2-Clause */
/* Leaving behind what was inherited. See process.h. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define WANTED_FDS 1048576u /* what systemd's LimitNOFILE=infinity gives, too */

static void
clean_signals(void)
{
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL); /* fails for those that can't be changed, and libc's own */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A limit of the client that was first would be one for all others. */
static void
raise_limits(void)
{
	static const __rlimit_resource_t limits[] = {RLIMIT_AS, RLIMIT_CPU, RLIMIT_DATA,
		RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_NOFILE, RLIMIT_NPROC};
	struct rlimit lim;
	size_t i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (getrlimit(limits[i], &lim) < 0 || lim.rlim_cur == lim.rlim_max)
			continue;
		lim.rlim_cur = lim.rlim_max;
		setrlimit(limits[i], &lim);
	}
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_max < WANTED_FDS) {
		lim.rlim_cur = lim.rlim_max = WANTED_FDS;
		setrlimit(RLIMIT_NOFILE, &lim); /* root may */
	}
}

static void
clean_oom_score(void)
{
	const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "0", 1) < 0) {
		/* Lower than what was set may only be asked for with privilege: then it stays. */
	}
	close(fd);
}

static void
clean_scheduling(void)
{
	const struct sched_param none = {0};
	cpu_set_t all;

	sched_setscheduler(0, SCHED_OTHER, &none);
	errno = 0;
	if (getpriority(PRIO_PROCESS, 0) != 0)
		setpriority(PRIO_PROCESS, 0, 0);
	memset(&all, 0xff, sizeof(all)); /* those that the cgroup allows remain */
	sched_setaffinity(0, sizeof(all), &all);
}

void
process_clean(bool is_autostarted)
{
	clean_signals();
	raise_limits();
	umask(077);
	if (!is_autostarted)
		return; /* whoever starts it by hand may want what he set */
	clean_scheduling();
	clean_oom_score();
	unsetenv("LD_PRELOAD"); /* for the workers; our own is loaded, and harmless */
}

int
process_detach(void)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	if (null < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0)
		_exit(0);
	setsid();
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	if (null > 2)
		close(null);
	return chdir("/") < 0 ? -errno : 0;
}
