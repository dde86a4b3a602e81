/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * By which interfaces does this machine reach the network? Of the current network namespace.
 *
 *   default route -> br0 -> its ports, but for guests' and containers' -> bond0 -> its only member
 *                    vlan, macvlan ... -> the interface it lies on
 */
#ifndef UNM_DAEMON_UPLINK_H
#define UNM_DAEMON_UPLINK_H

#include <stdbool.h>

#include "daemon/names.h"

/**
 * unm_uplink_is_carried() - may all that goes by the only default route go through interface @name?
 * @route: receives the interface of that route, @name or another one
 *
 * Return: false also if it can't be found out, or if there are several default routes.
 */
bool unm_uplink_is_carried(const char *name, char route[UNM_IFNAME_SIZE]);

#endif
