/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forwarding of one batch: decide, sort by destination, copy.
 *
 * The caller (port/vale_fp.c) has loaded and checked the source slots and filled frames[] and frags[]; here the frames find their
 * receivers. All work is done in the sender's context, and all state in struct unm_vale_src is private to it.
 */
#ifndef UNM_VALE_FORWARD_H
#define UNM_VALE_FORWARD_H

#include <stdint.h>

#include "vale/decide.h"
#include "vale/peers.h"

/* One fragment of a frame: a checked copy of a slot. */
struct unm_frag {
	const uint8_t *data;
	uint32_t len;
};

#define UNM_VALE_FRAGS	 UNM_PORT_MAX_SLOTS /* a batch ends when a frame might not fit any more */
#define UNM_VALE_NOFRAME UNM_VALE_BATCH	    /* "no frame" in lists of frames */

struct unm_vale_src {
	const struct unm_env *env;
	struct unm_seg *seg;
	struct unm_peers *peers;
	struct unm_decide decide;
	unm_decide_fn *decide_fn;
	uint32_t port;
	uint32_t n_tx_rings; /* of the source port: decides how rings are chosen */
	uint32_t ring_id;    /* source ring of this batch */
	uint32_t hdr_len;    /* virtio-net header of the source port: 0, 10, 12 */
	uint32_t slot;	     /* client slot for locks */
	unsigned int n_frames;
	unsigned int n_frags;
	unsigned int n_wakes; /* signals sent by the batch */
	bool may_wait; /* a full lossless receiver stops the batch; else it loses frames as any other */
	uint32_t wait_room; /* slots that the frame which stopped the batch needs */
	uint32_t
		flood_resume; /* in and out, lossless: receivers below have the first frame of the batch already */
	uint64_t lock_budget_ns; /* what is left for waiting for locks */
	uint64_t lock_refill_ns; /* when used up: not before this time is there a new budget */
	uint64_t drops
		[UNM_DROP_N]; /* of the batch; a flooded frame counts once for each receiver that lost it */
	uint64_t stuck_report_ns;
	uint64_t
		ip6_id; /* state of the generator of identifications for IPv6 fragments; random at first */
	uint8_t *bounce; /* NS_INDIRECT payload; see port/indirect_fp.c */
	uint16_t n_used; /* entries of used[] */
	uint16_t flood_head, flood_tail;
	uint16_t used[UNM_VALE_BATCH];
	uint16_t head
		[UNM_SEG_NPORTS_VALE]; /* lists of frames by destination; empty between batches */
	uint16_t tail[UNM_SEG_NPORTS_VALE];
	uint8_t ring_of
		[UNM_VALE_BATCH]; /* receiver's ring of a frame, while one receiver is served */
	struct unm_frame frames[UNM_VALE_BATCH];
	struct unm_frag frags[UNM_VALE_FRAGS];
};

/* At the start of a sync: allow it UNM_LOCK_WAIT_MS for waiting for receivers' locks, unless the last one has just used up its own. */
void unm_vale_refill(struct unm_vale_src *s);

/**
 * unm_vale_forward() - deliver frames[0 ... n_frames)
 *
 * Return: number of frames done with (delivered or dropped), in order. Fewer than n_frames only if a lossless receiver has no room for the
 * next one; the receiver will then wake the source port's tx sleepers.
 */
unsigned int unm_vale_forward(struct unm_vale_src *s);

/*
 * Deliver to one receiver the frames of list @a, and those of list @b in between (both ascending; UNM_VALE_NOFRAME ends one).
 * Return: UNM_VALE_NOFRAME, or the first frame for which a lossless receiver had no room (it and later ones are not delivered).
 */
unsigned int unm_vale_deliver(
	struct unm_vale_src *s, struct unm_peer *p, unsigned int a, unsigned int b);

/* Number of frames in the list that begins with @f. */
unsigned int unm_vale_count_list(const struct unm_vale_src *s, unsigned int f);

#endif
