/* SPDX-License-Identifier: BSD-2-Clause */
/* What syncs do for the monitors of their ring. See monitor_fp.c, and ring/monitor.h. */
#ifndef UNM_PORT_MONITOR_H
#define UNM_PORT_MONITOR_H

#include "port/internal.h"
#include "ring/monitor.h"

/* One sync of a watched ring. */
struct unm_watch {
	struct unm_mons *mons; /* NULL: nobody to show anything to */
	uint32_t slot;
	uint32_t old_tail; /* published by the last sync */
	uint32_t shown;	   /* tx: first slot that was not shown */
	bool makes_room;   /* rx: monitors that could not receive for want of room can now */
};

/* Around the sync of ring @r up to @head, with its busy word held. @tail: the new one, stored in the kring. */
void unm_watch_before(struct unm_bring *r, uint32_t head, struct unm_watch *w);
void unm_watch_after(struct unm_bring *r, uint32_t tail, struct unm_watch *w);

/*
 * Pipe: slots [from, to) are in the peer's rx ring, and the peer will see them next. Nobody may be
 * watching: then what was known of monitors is dropped.
 */
void unm_show_to_peer(struct unm_bring *r, uint32_t from, uint32_t to);

/* Joined NIC rings: the peer's monitors have to fetch what has arrived, if nobody else does. */
void unm_wake_watchers(struct unm_bring *r);

/*
 * rxsync of a ring that somebody else owns: what has come is taken into the ring, nothing is given
 * back, and its owner is woken. A ring that is being synced already is left alone.
 */
void unm_bring_receive(struct unm_bring *r);

#endif
