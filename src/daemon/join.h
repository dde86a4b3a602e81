/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joining the rings of two NIC ports that are the ends of one veth pair. What it is, and the
 * clients' half, stands in port/join.h; here rings are linked and parted.
 *
 * What parting does, with the busy words of both rings held:
 *
 *                       rx ring                                   tx ring
 *   given back          slot <- its spare                         slot takes its buffer back
 *   received, not read  stays: the buffer is the reader's now     slot <- the rx slot's spare, with
 *                                                                 a copy of what its buffer held
 *   free                slot <- its spare                         stays
 *
 * So each ring has as many buffers as before, and none is allocated or freed. All of it can be done
 * again from the begin if netmapd dies in the middle: first what was given back is pulled, which is
 * what a txsync does; then the state is PARTING, in which no position changes, and the rest follows
 * from the positions and the spares.
 *
 * An rx ring that a client syncs at this moment can't be linked or parted, and a tx ring can't be
 * parted when the two are joined. Linking is then tried again by unm_domain_reap(); parting returns
 * -EBUSY, and its caller has a way to come back. Otherwise the tx ring is left alone: a sender at
 * full speed is in a sync nearly always, as the kernel's path is long, and would never be found
 * outside of one. A txsync that has begun with the words as they were before
 *
 *   without a peer      goes on through the kernel, as it would have a moment ago
 *   with one in LINKED  may still make an offer, which is true: its frames are through. It waits for
 *                       the answer and takes the offer back, or finds it taken, by whoever is its
 *                       peer now, and does nothing more. An offer's number is never used again
 */
#ifndef UNM_DAEMON_JOIN_H
#define UNM_DAEMON_JOIN_H

#include "daemon/domain.h"

/** unm_join_pair() - @a and @b are the ends of one pair from now on; their open rings are linked. */
void unm_join_pair(struct unm_dport *a, struct unm_dport *b);

/** unm_join_unpair() - @port is no end of a pair any more. */
void unm_join_unpair(struct unm_dport *port);

/**
 * unm_join_update() - the link of @port has gone down or up: part or link its rings
 *
 * What can't be done now is done by unm_domain_reap().
 */
void unm_join_update(struct unm_dport *port);

/** unm_join_rings() - @port's rings have been opened: link what can be linked. */
void unm_join_rings(struct unm_dport *port);

/**
 * unm_join_part() - part ring @i of @port from its peer, if it has one
 * @is_closing: nobody reads @port's ring any more: what is in it is dropped
 *
 * Return: 0, -EBUSY.
 */
int unm_join_part(struct unm_dport *port, uint32_t i, bool is_closing);

/** unm_join_retry() - for unm_domain_reap(). Return: true if something is left to be done. */
bool unm_join_retry(struct unm_dport *port);

/**
 * unm_join_adopt() - all ports of a previous run are back: finish what it was killed in
 */
void unm_join_adopt(struct unm_domain *dom);

/** unm_join_state_of() - of ring @i: enum unm_join_state */
uint32_t unm_join_state_of(const struct unm_dport *port, uint32_t i);

#endif
