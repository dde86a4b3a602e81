/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending frames of offload_frames.h into a switch of vale_rig.h, and collecting what comes out. */
#ifndef OFFLOAD_RIG_H
#define OFFLOAD_RIG_H

#include "offload_frames.h"
#include "vale_rig.h"

/* How @f goes into the tx ring: cut at random if @rng is not NULL, else into full slots. */
void offload_rig_send(struct vale_rig *v, uint32_t port, uint32_t hdr_len,
	const struct offload_frame *f, uint64_t *rng);

/*
 * Sync and add all frames of rx ring 0 to @r (which is reset first): all slots of one but the last
 * are full, and say how many there are.
 */
void offload_rig_receive(struct vale_rig *v, uint32_t port, struct offload_result *r);

#endif
