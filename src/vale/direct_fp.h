/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From one TAP of a switch to another without a ring in between.
 *
 *	TAP a --read--> buffers of worker a's tx ring --write--> TAP b
 *
 * Worker a holds the queues of TAP b (unm_env.queues_get) and writes what is for b's port there
 * itself, out of its own buffers. That saves a copy, and b's worker a wake-up: each worker does the
 * whole way of what its own TAP sends. Frames from other senders still come through b's ring and
 * worker. The order of a flow stays: all frames of one sender go the same way.
 *
 * The kernel takes frames as fast as they come (a TAP's receive path has no queue that fills up),
 * so nothing waits here.
 */
#ifndef UNM_VALE_DIRECT_FP_H
#define UNM_VALE_DIRECT_FP_H

#include "vale/forward.h"

/*
 * Does @p take frames of this sender so? Both have headers of the same length, and it takes all
 * offloads, or the frames would have to be changed. They are the kernel's own, and it checks
 * headers again that come back.
 */
static inline bool
unm_vale_is_direct(const struct unm_vale_src *s, const struct unm_peer *p)
{
	return __builtin_expect(p->n_queues > 0, 0) && s->hdr_len == p->hdr_len && p->lacks == 0;
}

/** unm_vale_write() - unm_vale_deliver() for such a receiver: frames are written or dropped. */
void unm_vale_write(struct unm_vale_src *s, struct unm_peer *p, unsigned int a, unsigned int b);

#endif
