/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for an interface that is to come back: a netlink socket in its namespace tells of links.
 *
 * The socket keeps the namespace, also one whose name has been taken away or given to another one
 * meanwhile. So nobody waits by it alone, or for long: who waits looks again after some seconds, and
 * listens anew, where the name leads to by then.
 */
#ifndef UNM_DAEMON_NIC_RETURN_H
#define UNM_DAEMON_NIC_RETURN_H

#include "daemon/loop.h"
#include "daemon/names.h"

struct unm_nic_return {
	struct unm_source src; /* -1: does not listen */
	struct unm_loop *loop;
	char ifname[UNM_IFNAME_SIZE + 1];
	/* There is an interface of that name now, or there may be. Nothing is listened to any more. */
	void (*came)(struct unm_nic_return *r);
};

void unm_nic_return_init(
	struct unm_nic_return *r, struct unm_loop *loop, void (*came)(struct unm_nic_return *r));

/**
 * unm_nic_return_listen() - call back when interface @name comes; not between enter and leave of a
 * namespace
 *
 * One that came before the call is not told of. Without a namespace, or a socket in it, none is.
 */
void unm_nic_return_listen(struct unm_nic_return *r, const struct unm_name *name);

/** unm_nic_return_stop() - no more; it need not listen. */
void unm_nic_return_stop(struct unm_nic_return *r);

#endif
