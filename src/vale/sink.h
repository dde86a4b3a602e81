/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receivers in the sender's own thread (unetmap.h): instead of the receiver's ring, its function
 * gets the frames, and puts them where they belong.
 *
 *   usual:  sender's memory --copy--> receiver's ring --copy--> where the receiver wants it
 *   sink:   sender's memory ----------------copy---------------> where the receiver wants it
 *
 * The order of a flow stays: a sink is asked only while the receiver has read its ring to the end,
 * and what it does not take goes into the ring, as does all that follows. The ring's rx lock is
 * held meanwhile, as for any delivery, so that others keep their turn.
 *
 * A sink belongs to the thread that has set it, and is called in no other: there is nothing to
 * lock.
 */
#ifndef UNM_VALE_SINK_H
#define UNM_VALE_SINK_H

#include <unetmap.h>

#include "vale/forward.h"
#include "vale/spot.h"

extern uint32_t unm_sinks_used; /* number of entries that may be set; 0: none ever was */

/**
 * unm_sink_set() - set or (fn NULL) end the sink of rx ring @ring of @port, for this thread
 *
 * Return: 0, -ENOSPC too many.
 */
int unm_sink_set(const struct unm_seg *seg, uint32_t port, uint32_t gen, uint32_t ring,
	unetmap_sink_fn *fn, void *arg);

/**
 * unm_sink_deliver() - offer frames of lists *a and *b for ring @q (as of deliver_ring()) to the
 * receiver's sink
 *
 * The receiver's lock is held, @sp is open. Lists are moved past what is done with.
 */
void unm_sink_deliver(
	struct unm_vale_src *s, struct unm_spot *sp, int q, unsigned int *a, unsigned int *b);

#endif
