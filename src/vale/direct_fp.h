/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what is attached to a switch to a TAP on it, without a ring in between.
 *
 *	TAP a --read--> buffers of worker a's tx ring --write--> TAP b
 *	interface a --exchange--> the same ---join, write------> TAP b
 *
 * Worker a holds the queues of TAP b (unm_env.queues_get) and writes what is for b's port there
 * itself, out of its own buffers. That saves a copy, and b's worker a wake-up: each worker does the
 * whole way of what its own TAP or interface gets. What an interface brings are frames of the wire's
 * size, of which segments of one stream are joined (super_tx.h). Frames from other senders still come through b's ring and
 * worker. The order of a flow stays: all frames of one sender go the same way.
 *
 * The kernel takes frames as fast as they come (a TAP's receive path has no queue that fills up),
 * so nothing waits here.
 */
#ifndef UNM_VALE_DIRECT_FP_H
#define UNM_VALE_DIRECT_FP_H

#include "vale/forward.h"

/*
 * Does @p take frames of this sender so? It has none of the headers, so that they ask for nothing, or
 * both have them of the same length; and the receiver takes all offloads, or the frames would have to be
 * changed. Headers are the kernel's own, and it checks them again when they come back.
 */
static inline bool
unm_vale_is_direct(const struct unm_vale_src *s, const struct unm_peer *p)
{
	return __builtin_expect(p->n_queues > 0, 0) && p->lacks == 0 &&
	       (s->hdr_len == p->hdr_len || s->hdr_len == 0);
}

/** unm_vale_write() - unm_vale_deliver() for such a receiver: frames are written or dropped. */
void unm_vale_write(struct unm_vale_src *s, struct unm_peer *p, unsigned int a, unsigned int b);

#endif
