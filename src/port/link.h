/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a client learns that its port's link went down or up, or with it the port off its switch.
 *
 *   netmapd                                   the port's clients
 *     UNM_PORTF_LINK_DOWN or _DETACHED in       poll: entry and ni_flags differ? POLLPRI, if asked
 *     the port entry                            for
 *     write each binding's eventfd              NIOCTXSYNC, NIOCRXSYNC: copy the entry's state to
 *                                               NI_LINK_DOWN and NI_NO_SWITCH
 *
 * The bits in netmap_if are at once what the client reads and what it has been told: so POLLPRI stays
 * until the client looks, and no change is lost, although two that cancel each other out may be.
 * Copies of a descriptor in several processes have one netmap_if.
 */
#ifndef UNM_PORT_LINK_H
#define UNM_PORT_LINK_H

#include "net/netmap.h"
#include "port/port.h"
#include "shm/atomic.h"

#define UNM_LINK_BITS ((uint32_t)(NI_LINK_DOWN | NI_NO_SWITCH))

/* As they should be now. */
static inline uint32_t
unm_link_bits(const struct unm_bport *bp)
{
	const uint32_t flags = UNM_READ_ONCE(bp->seg->ports[bp->info.port].flags);

	if (flags & UNM_PORTF_DETACHED)
		return UNM_LINK_BITS;
	return flags & UNM_PORTF_LINK_DOWN ? NI_LINK_DOWN : 0;
}

/* Is the client's idea of the link out of date? */
static inline bool
unm_link_has_changed(const struct unm_bport *bp)
{
	return unm_link_bits(bp) != (UNM_READ_ONCE(bp->nifp->ni_flags) & UNM_LINK_BITS);
}

/* Bring it up to date. Threads and processes that do so at once store the same. */
static inline void
unm_link_take(struct unm_bport *bp)
{
	uint32_t *flags = (uint32_t *)(uintptr_t)&bp->nifp->ni_flags; /* const to the client */

	if (__builtin_expect(unm_link_has_changed(bp), 0))
		UNM_WRITE_ONCE(
			*flags, (UNM_READ_ONCE(*flags) & ~UNM_LINK_BITS) | unm_link_bits(bp));
}

#endif
