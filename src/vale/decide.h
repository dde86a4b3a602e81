/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The forwarding decision: a batch of frames in, a destination for each out.
 *
 * This is the one replaceable piece of a switch. It sees frames and may keep state of its own; it
 * does not copy, lock, or know rings.
 */
#ifndef UNM_VALE_DECIDE_H
#define UNM_VALE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/view.h"

#define UNM_VALE_BATCH 256u /* frames a decision gets at most */

/* Destinations beyond port indices. */
#define UNM_DST_FLOOD 0xffffu /* every other open port */
#define UNM_DST_DROP  0xfffeu /* counted as UNM_DROP_POLICY */

/* A frame on its way. Private to the sending thread. */
struct unm_frame {
	const uint8_t *eth; /* Ethernet header, at least 14 contiguous bytes */
	uint32_t eth_len;   /* contiguous bytes there */
	uint32_t slot;	    /* first slot in the source ring */
	uint32_t frag;	    /* first fragment in unm_vale_src.frags */
	uint32_t total;	    /* bytes of all fragments, virtio-net header included */
	uint16_t n_frags;   /* as many as the sender used slots */
	uint16_t dst;	    /* result: port index or UNM_DST_* */
	uint16_t next;	    /* next frame of the same destination, UNM_VALE_BATCH = none */
	/* number among the frames taken from the ring for this batch, bad ones included */
	uint8_t order;
	uint8_t fault; /* something was wrong with its slots: drop reason + 1, else 0 */
};

/* State that a decision may use; one per sending bport, used by one thread at a time. */
struct unm_decide {
	const struct unm_seg *seg;
	uint32_t src_port;
	uint8_t now;	/* clock tick of this batch */
	uint8_t ageing; /* in ticks, 0 = never */
	/* W: the sync. May it draw an address to its port that another was heard with? (fdb.h) */
	bool may_displace;
};

/**
 * Set dst of each of @n frames (1 ... UNM_VALE_BATCH).
 *
 * Runs on the sending thread for every batch: no lock, no system call, bounded work per frame. Must
 * not keep pointers to frames.
 */
typedef void unm_decide_fn(struct unm_decide *d, struct unm_frame *frames, unsigned int n);

/* The learning switch: source MACs are learned, known unicast goes to its port, all else floods. */
unm_decide_fn unm_decide_learning;

/* Refresh the clock and the ageing time from the segment; once a sync. */
void unm_decide_tick(struct unm_decide *d);

#endif
