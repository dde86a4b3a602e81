/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is in our user namespace. */
#ifndef UNM_SHM_USER_NS_H
#define UNM_SHM_USER_NS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * Trust ends at a user namespace: who is this user, or root, in there need not be it out here. A
 * process that can't be seen (pid 0, or hidden) is elsewhere too. To look at one takes what ptrace(2)
 * calls PTRACE_MODE_READ_FSCREDS.
 */
static inline bool
unm_is_in_our_user_ns(pid_t pid, uid_t uid)
{
	struct stat own, other;
	char path[40];

	if (stat("/proc/self/ns/user", &own) < 0)
		return true; /* no /proc, or a kernel without: nothing to tell apart */
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	if (pid > 0 && stat(path, &other) == 0)
		return other.st_ino == own.st_ino && other.st_dev == own.st_dev;
	return uid == 0 && geteuid() != 0; /* root's are not for us to look at */
}

#endif
