/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and opening TAP interfaces, also in other network namespaces. */
#ifndef UNM_DAEMON_TAP_H
#define UNM_DAEMON_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/log.h"
#include "daemon/names.h"

/**
 * unm_tap_open_queues() - open @n queues of the TAP that @name means, making it if it does not exist
 * @fds: written on success; non-blocking
 *
 * Blocks for the life of a short child process if the TAP is in another namespace.
 * Return: 0; -EPERM (no CAP_NET_ADMIN), -EBUSY (in use by another program), -ENXIO (no such namespace), -EINVAL (not a TAP), -errno.
 */
int unm_tap_open_queues(const struct unm_name *name, uint32_t n, int *fds, struct unm_reason *why);

/** unm_tap_allowed() - may netmapd make TAPs? Return: 0 or -EPERM, -ENXIO with the reason. */
int unm_tap_allowed(struct unm_reason *why);

/** unm_tap_is_tap() - is there an interface @ifname, and is it a TAP? */
bool unm_tap_is_tap(const char *ifname);

#endif
