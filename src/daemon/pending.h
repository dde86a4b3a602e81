/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Big requests in small steps, so that netmapd is never away for long.
 *
 * A REGISTER may ask for hundreds of thousands of buffers: rings of up to 65536 slots, all those of
 * both ends of a pipe, and extra buffers on top. To commit their memory and to link them takes seconds where the memory of a virtual
 * machine comes from its host page by page. So unm_bind() does it in steps of UNM_STEP_NS and
 * returns
 * -EINPROGRESS in between; the request is held and run again when the others have had their turn
 * (message.c). What a step has achieved is kept here, with the descriptor that asks:
 *   - rings that are open already, in the port itself, which stays while it is pending
 *   - extra buffers, allocated and linked
 *
 * A list that a client leaves behind is walked in the same way, by a struct unm_giveback, which
 * keeps the region. What is left of it when nobody else has the region goes with the region.
 */
#ifndef UNM_DAEMON_PENDING_H
#define UNM_DAEMON_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/domain.h"

#define UNM_STEP_NS UINT64_C(10000000) /* what others may have to wait for it */

struct unm_pending {
	struct unm_dport *port; /* NULL: nothing is pending */
	uint32_t *extra;	/* the first @n_extra are allocated, and linked */
	uint32_t n_extra;
	uint32_t n_wanted; /* extra buffers */
};

/** unm_pending_begin() - @p is about @port from now on; work for another port is dropped. */
void unm_pending_begin(struct unm_domain *dom, struct unm_pending *p, struct unm_dport *port);

/**
 * unm_pending_extra() - a step towards @wanted extra buffers; fewer, if there is no memory, are no
 * error
 * @deadline_ns: of the step; something is done in each
 *
 * Return: 0 all are there, -EINPROGRESS, -ENOMEM (netmapd's own memory).
 */
int unm_pending_extra(struct unm_pending *p, uint32_t wanted, uint64_t deadline_ns);

/** unm_pending_done() - the binding has everything; @p is empty again. */
void unm_pending_done(struct unm_pending *p);

/** unm_pending_drop() - undo all steps. @p may be empty. The port may be gone on return. */
void unm_pending_drop(struct unm_domain *dom, struct unm_pending *p);

/**
 * unm_giveback() - free the extra buffers of a list in a region, now or in steps
 * @head: of the list as the client left it: any words it likes
 */
void unm_giveback(struct unm_domain *dom, struct unm_dregion *region, uint32_t head);

/** unm_giveback_step() - go on with one of them. */
void unm_giveback_step(struct unm_domain *dom);

/** unm_giveback_fini() - forget all of them: netmapd ends. */
void unm_giveback_fini(struct unm_domain *dom);

#endif
