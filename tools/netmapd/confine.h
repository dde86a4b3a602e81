/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Giving up what netmapd and its workers do not need, so that who takes over one of them by a bug
 * has little to do with it.
 *
 *   start              as the user or the system started it: reads its configuration, makes
 *                      directory, socket and lock
 *   confine_netmapd()  no new privileges; of root's capabilities those for TAPs and network
 *                      namespaces; only the system calls that netmapd and its workers make, others
 *                      fail with ENOSYS. From here on it serves
 *   exec of nm-worker  inherits all that. It opens its two ports
 *   confine_worker()   no capabilities; only what forwarding and coming back to a restarted netmapd
 *                      take: no files by name, no programs, no new executable memory
 *   exec of nm-isolator, confine_broker(): the same for who serves isolated clients, which also
 *                      makes memory and opens ports
 *
 * Which calls are allowed stands beside the code that makes them ("Syscalls:" in comments) and is
 * collected at build time by syscalls.sh.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include <stdbool.h>

/**
 * confine_netmapd() - the stage after start
 * @wants_filter: limit system calls too
 *
 * Return: 0, or negative errno of the first thing that could not be given up; the rest has been.
 */
int confine_netmapd(bool wants_filter);

/**
 * confine_worker() - the last stage of a worker; its threads may be running
 *
 * Nothing is done if netmapd was told not to limit system calls: UNETMAP_NO_FILTER is set then.
 * Return: as confine_netmapd().
 */
int confine_worker(void);

/** confine_broker() - as confine_worker(), for a broker */
int confine_broker(void);

#endif
