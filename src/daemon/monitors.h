/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Monitors on the control side (spec 15): making them, and the lists that the data path follows
 * (ring/monitor.h).
 *
 * Life of a monitor
 *   made      by a REGISTER, in the segment of the port that it watches; on no list yet
 *   watching  its bound rings are on the lists of the watched port's rings
 *   orphan    the watched port has lost its last binding: on no list, and never again. Its client
 *             reads what is left in the rings and then gets EIO
 *   freed     with its only binding
 *
 * A chain of zero-copy monitors: the first one is on the watched rings' lists, each other one on
 * that of the one before it.
 */
#ifndef UNM_DAEMON_MONITORS_H
#define UNM_DAEMON_MONITORS_H

#include "daemon/binding.h"
#include "daemon/kinds.h"

struct unm_server;

/**
 * unm_monitor_open() - a new monitor
 * @name:  of the port that is to be watched
 * @flags: NR_MONITOR_TX, NR_MONITOR_RX, NR_ZCOPY_MON
 *
 * Return: 0, -EINVAL nobody has the port open, -ENOMEM, each with the reason.
 */
int unm_monitor_open(struct unm_domain *dom, const struct unm_name *name, uint64_t flags,
	const struct unm_geometry *geo, struct unm_dport **out, struct unm_reason *why);

/** unm_monitors_orphan() - @port is being closed: its monitors lose it. */
void unm_monitors_orphan(struct unm_domain *dom, struct unm_dport *port);

/** unm_monitors_set_header() - monitors have headers as the port that they watch. */
void unm_monitors_set_header(struct unm_domain *dom, const struct unm_dport *port);

/**
 * unm_monitors_repair() - finish exchanges of buffers in @seg that somebody has left half done
 * @slot: who is dead, and may hold locks; 0: whoever netmapd does not know
 *
 * Before the dead one's locks are broken.
 */
void unm_monitors_repair(struct unm_server *srv, const struct unm_dseg *seg, uint32_t slot);

/**
 * unm_monitors_adopt() - after a restart, when all are back: whom does each monitor watch? Makes the
 * lists anew.
 */
void unm_monitors_adopt(struct unm_server *srv);

#endif
