/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Putting a frame into a receiver's ring in the general case: several fragments, a frame longer
 * than a slot, and whatever virtio-net headers ask for (spec 17).
 *
 *   header of source, receiver   treatment
 *   none, some                    a header of zeros in front
 *   some, none or another length  taken off; cut, or filled up with zeros
 *   any that asks for something   checked, and done here if the receiver lacks the ability: the
 *                                 checksum is completed, the frame is cut into pieces (gso_fp.h),
 *                                 each with a header that asks for nothing, or for a checksum
 *
 * Payload is copied once, from the sender's slots to where it belongs in the receiver's, and summed
 * on the way.
 */
#ifndef UNM_VALE_PUT_FP_H
#define UNM_VALE_PUT_FP_H

#include "vale/spot.h"

/**
 * unm_put_general() - put frame @f of @s at @sp, whose receiver's lock is held
 *
 * Return: UNM_PUT_DONE, with the spot behind it; UNM_PUT_FULL, nothing done, s->wait_room slots are
 * needed; UNM_PUT_DROPPED + a drop reason.
 */
unsigned int unm_put_general(
	struct unm_vale_src *s, struct unm_spot *sp, const struct unm_frame *f);

#endif
