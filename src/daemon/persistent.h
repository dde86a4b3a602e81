/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Persistent ports (NEWIF) on and off switches (spec 16.6).
 *
 * States of a persistent port "p"
 *   alone     BASE, named "p", in the domain segment: its packets go nowhere. Exits: attached.
 *   attached  VALE, named "vale0:p", in the switch's segment; clients open it by either name.
 *             Exits: twice attached, detached, alone.
 *   twice     as attached, and a second port "vale1:p", flagged ATTACHED, stands for it on
 *             another switch. A worker forwards between the two, and nobody else may open either.
 *             Exits: attached, by detaching the second one.
 *   detached  taken from its switch while clients have it open, so the entry stays where they
 *             have it, flagged DETACHED and named "p" again: nobody sends to it, what it sends goes
 *             nowhere. Exits: attached, to that switch again; alone, when the last client lets
 *             go.
 */
#ifndef UNM_DAEMON_PERSISTENT_H
#define UNM_DAEMON_PERSISTENT_H

#include "daemon/server.h"

/** unm_persistent_find() - by its plain name, in whatever state; NULL if there is none. */
struct unm_dport *unm_persistent_find(struct unm_domain *dom, const char *plain);

/** unm_persistent_second() - the port that stands for @port on a second switch, or NULL. */
struct unm_dport *unm_persistent_second(struct unm_domain *dom, const struct unm_dport *port);

/** unm_persistent_is_on_switch() - is @port attached (also: twice)? */
bool unm_persistent_is_on_switch(const struct unm_dport *port);

/**
 * unm_persistent_attach() - put @port on the switch of @name; on a second one if it is on one
 * @again: also if it was taken from that switch and is still open; netmap's API has EBUSY for that
 * @out: the port on that switch, written on success: another one than @port, except when @port was
 *       taken from that switch and is still open
 *
 * @port may be gone on return. Return: 0, -EBUSY (open, or on two switches), -ENOMEM, each with
 * the reason.
 */
int unm_persistent_attach(struct unm_server *srv, struct unm_dport *port,
	const struct unm_name *name, bool again, struct unm_dport **out, struct unm_reason *why);

/**
 * unm_persistent_make_second() - the port that stands for @first, which is on a switch, on that of
 * @name, its rings the other way round: what leaves one switch enters the other. It has no worker yet.
 *
 * Return: 0, -EBUSY (there is one), -ENOMEM, each with the reason.
 */
int unm_persistent_make_second(struct unm_domain *dom, struct unm_dport *first,
	const struct unm_name *name, struct unm_dport **out, struct unm_reason *why);

/**
 * unm_persistent_detach() - take @port from its switch; clients that have it open keep it
 *
 * @port may be gone on return. Return: 0, or -EBUSY with the reason: the second attachment goes
 * first.
 */
int unm_persistent_detach(struct unm_domain *dom, struct unm_dport *port, struct unm_reason *why);

/**
 * unm_persistent_settle() - nobody has @port, which is detached, open any more. It is gone on
 * return.
 */
void unm_persistent_settle(struct unm_domain *dom, struct unm_dport *port);

#endif
