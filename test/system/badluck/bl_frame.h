/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that tell whether they are whole: a number, a length and a checksum over everything.
 *
 * A frame belongs to a stream (a sender and its receiver) and to a life of its sender, which begins again with number 0.
 */
#ifndef BL_FRAME_H
#define BL_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define BL_MIN_LEN	   60u
#define BL_MAX_LEN	   16000u
#define BL_STREAM_ANNOUNCE 0xffffu /* a receiver makes its address known */

struct bl_frame {
	uint8_t dst[6], src[6];
	uint16_t ethertype;
	uint16_t stream;
	uint32_t run;
	uint32_t len;
	uint64_t seq;
	uint64_t sent_ns;
	uint64_t sum; /* of all other bytes */
};

/* Fill in the payload and the checksum; all other fields are set. @f has room for f->len bytes, at least BL_MIN_LEN. */
void bl_frame_seal(struct bl_frame *f);

/* Is this, with @len bytes, what bl_frame_seal() made? */
bool bl_frame_is_whole(const struct bl_frame *f, uint32_t len);

/* Address of the sender (@is_receiver false) or receiver of a stream. */
void bl_frame_mac(uint8_t *mac, uint16_t stream, bool is_receiver);

#endif
