/* SPDX-License-Identifier: BSD-2-Clause */
/* What proc(5) tells of other processes. */
#ifndef UNM_DAEMON_PROC_H
#define UNM_DAEMON_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * unm_proc_read() - the beginning of /proc/PID/@what
 * @text: receives up to @size - 1 bytes, which may be zeros, and a zero
 * @len:  how many bytes these are, without the last zero; NULL: not asked
 *
 * Return: false if there is no such process, or it can't be seen.
 */
bool unm_proc_read(pid_t pid, const char *what, char *text, size_t size, size_t *len);

/**
 * unm_proc_may_act_as() - is process @pid one of user @uid, of root or of group @gid, or can it
 * become that again?
 * @gid: (gid_t)-1 is nobody's
 *
 * Its real, effective and saved ids count, and its groups. Return: true also if it can't be told.
 */
bool unm_proc_may_act_as(pid_t pid, uid_t uid, gid_t gid);

#endif
