/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joining the segments of a TCP stream that follow one another into one frame with a virtio-net
 * header, for a receiver that takes such frames as one: the reverse of gso_fp.h.
 *
 * Joined is only what the receiver could cut again into the same segments: headers alike in all but
 * length, identification (see @keeps_ids), sequence number and checksum, payloads of one size but for
 * the last, checksums that are right. What is not joined goes on as it is.
 *
 * A sender whose checksum was left to an offload that nobody has done (a veth in AF_XDP mode hands
 * such frames over) has put the pseudo header's sum into the field. Such a frame gets a header that
 * says so, and the receiver completes it. In one of 2^16 frames that sum is the right checksum by
 * accident; then completing it gives the same.
 *
 * Headers are copied once and checked in the copy, as in offload_fp.h.
 */
#ifndef UNM_VALE_GRO_FP_H
#define UNM_VALE_GRO_FP_H

#include "vale/offload_fp.h"

#define UNM_GRO_SEGS 64u /* joined at most */

/* A frame taken apart. */
struct unm_segment {
	struct unm_offload o; /* its headers, and room for a virtio-net header in front */
	const uint8_t *frame;
	uint32_t len;	 /* without what pads it */
	uint32_t whole;	 /* with that */
	uint8_t proto;	 /* TCP, UDP; 0: something else, of which the rest is not filled in */
	bool is_partial; /* its checksum is to be completed */
};

/* A frame that is being joined. */
struct unm_gro {
	struct unm_segment first;
	uint32_t n;	  /* segments; 0: nothing */
	uint32_t payload; /* of all */
	uint32_t size;	  /* of the first one's payload */
	uint32_t next_seq;
	bool is_checked; /* the first one's checksum is right, or left to us */
	bool is_closed;	 /* nothing can follow */
	/*
	 * Set by the user, before the first: who cuts it again counts up IPv4's identification, so
	 * only what has been counted up is joined. A host that takes it as one does not look
	 */
	bool keeps_ids;
};

/** unm_segment_is_tcp() - does a frame look like TCP over IP? By its types only */
bool unm_segment_is_tcp(const uint8_t *frame, uint32_t len);

/** unm_segment_parse() - take @len bytes at @frame apart, which stay in use */
void unm_segment_parse(struct unm_segment *s, const uint8_t *frame, uint32_t len);

/** unm_segment_vnet() - the virtio-net header of a frame that is sent as it is, 12 bytes */
void unm_segment_vnet(const struct unm_segment *s, uint8_t *vnet);

/** unm_gro_begin() - let @s be the first; it may stay the only one. */
void unm_gro_begin(struct unm_gro *g, const struct unm_segment *s);

/** unm_gro_add() - join @s, if it fits. Its payload begins at s->o.head_len. */
bool unm_gro_add(struct unm_gro *g, const struct unm_segment *s);

/*
 * Finish headers of what was joined, at least two: g->first.o.head has them, behind a virtio-net
 * header of UNM_VNET_HDR_MAX bytes.
 */
void unm_gro_finish(struct unm_gro *g);

#endif
