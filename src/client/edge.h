/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far a port has got: a number that changes when something comes, and not when the client takes
 * it.
 */
#ifndef UNM_CLIENT_EDGE_H
#define UNM_CLIENT_EDGE_H

#include <poll.h>
#include <stdint.h>

#include "client/desc.h"
#include "client/netmap_abi.h"

/*
 * Slots that the provider has handed to the client on this ring so far: those given back to it, and
 * those between.
 */
static inline uint64_t
unm_edge_ring(const struct unm_bring *r)
{
	const uint32_t hwcur = UNM_READ_ONCE(r->kring->hwcur);
	const uint32_t tail = UNM_READ_ONCE(r->ring->tail);
	const uint32_t n = r->num_slots;
	const uint32_t held = n == 0 ? 0 : (tail % n + n - hwcur % n) % n;

	return UNM_READ_ONCE(r->kring->n_pkts) + held;
}

/* Over all rings of the directions in @events. In an epoch section, after a sync. */
static inline uint64_t
unm_edge_position(const struct unm_desc *d, short events)
{
	const struct unm_binding *b = unm_desc_binding(d);
	uint64_t sum = 0;
	uint32_t i;

	if (b == NULL)
		return 0;
	for (i = 0; (events & (POLLIN | POLLRDNORM)) && i < b->bport->n_rx; i++)
		sum += unm_edge_ring(&b->bport->rx[i]);
	for (i = 0; (events & (POLLOUT | POLLWRNORM)) && i < b->bport->n_tx; i++)
		sum += unm_edge_ring(&b->bport->tx[i]);
	return sum;
}

#endif
