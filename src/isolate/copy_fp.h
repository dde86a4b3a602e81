/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying between a client's ring and the ring of a port that lies in memory of others.
 *
 *   client's region (its own)              region of the port (everybody's)
 *     tx slot i, buffer  ---- copied ---->   tx slot i, buffer      then the port's txsync
 *     rx slot i, buffer  <--- copied -----   rx slot i, buffer      after the port's rxsync
 *
 * Both rings have equally many slots, and slot i of one is slot i of the other: positions, and with
 * them room and back-pressure, are those of the port. Whatever was copied but not synced is copied
 * once more; so nothing is lost and nothing is doubled wherever the client or the broker ends.
 *
 * Slots of either side are loaded once, then checked, then used: the client writes those of its
 * own ring at will, and any trusted client those of the port's.
 */
#ifndef UNM_ISOLATE_COPY_FP_H
#define UNM_ISOLATE_COPY_FP_H

#include <stdint.h>

#include "port/port.h"

/* A client's ring. */
struct unm_copy_ring {
	struct netmap_ring *ring;
	char *bufs; /* buffer 0 of its region */
	uint32_t buf_size, n_bufs;
};

/**
 * unm_copy_out() - slots [from, to) of the client's tx ring to the port's
 *
 * A slot that names no buffer, or more than there is of one, or an address (NS_INDIRECT: it would
 * be read in our memory, or a receiver's) goes on empty, and is counted.
 */
void unm_copy_out(
	const struct unm_bring *port, const struct unm_copy_ring *c, uint32_t from, uint32_t to);

/** unm_copy_in() - slots [from, to) of the port's rx ring to the client's, likewise */
void unm_copy_in(
	const struct unm_bring *port, const struct unm_copy_ring *c, uint32_t from, uint32_t to);

#endif
