/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of netmapd, and the sentence that an answer carries when a request fails.
 *
 * Log lines go to standard error in the foreground (systemd adds time and name), to syslog else.
 * Whatever a peer can cause goes through unm_log_peer(), which lets a burst of lines pass and then
 * one per second. Nothing that a peer sent is printed raw: unm_printable() first.
 */
#ifndef UNM_DAEMON_LOG_H
#define UNM_DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#define UNM_REASON_SIZE 160 /* unm_msg_ctrl.text */

/* Why a request failed, for the user: what was wrong and what to do. */
struct unm_reason {
	char text[UNM_REASON_SIZE];
};

/**
 * unm_fail() - fill in the reason and hand the error through
 * @why:   may be NULL; cut at its size, control characters replaced
 * @error: negative errno
 *
 * Return: @error, so that a check can end with "return unm_fail(...)".
 */
int unm_fail(struct unm_reason *why, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * unm_log_open() - @use_syslog false: standard error. Lines less urgent than @max_level are
 * dropped.
 */
void unm_log_open(bool use_syslog, int max_level);

/** unm_log() - one line. @level as in syslog(3). */
void unm_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** unm_log_peer() - as unm_log(), limited to a burst of 20 lines and one a second after it. */
void unm_log_peer(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** unm_printable() - copy @src, unprintable bytes replaced by '?'. Return: @dst. */
const char *unm_printable(char *dst, size_t size, const char *src);

#endif
