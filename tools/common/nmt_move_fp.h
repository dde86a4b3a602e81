/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving packets from one netmap port to another: the data path of nm-bridge and nm-worker.
 *
 * Packets move whole. One that takes several slots (NS_MOREFRAG) is moved when its last slot has
 * arrived and all of it fits into one ring of the other side; until then it stays, and the cur
 * index of the ring that keeps it waiting is set so that poll(2) reports news only:
 *
 *	rx: head ... unfinished packet ... cur = tail     POLLIN when more slots have come
 *	tx: head ... too little room ..... cur = tail     POLLOUT when more slots are free
 *
 * Ports of one region exchange buffers. Otherwise the bytes are copied, and a packet may take more
 * slots than it had, if the other side's buffers are smaller.
 *
 * Nothing here syncs, sleeps, allocates or prints.
 */
#ifndef NMT_MOVE_FP_H_
#define NMT_MOVE_FP_H_

#include <stdbool.h>
#include <stdint.h>

#include <net/netmap_user.h>

struct nmt_move_counters {
	uint64_t packets; /* put into the other side's rings */
	uint64_t bytes;
	uint64_t dropped; /* bad slot, never-ending, or larger than the other side's ring */
};

enum nmt_move_end {
	NMT_MOVE_DRAINED, /* nothing more to move; cur of the rx ring is set */
	NMT_MOVE_NO_ROOM, /* a packet is left that does not fit; cur of the tx ring is set */
	NMT_MOVE_LIMIT,	  /* as many slots as were asked for have been moved */
};

/* From one ring to another. The first group is the caller's to fill in, once per call. */
struct nmt_move {
	struct netmap_ring *rx;
	struct netmap_ring *tx;
	bool swap;	    /* exchange buffers; both rings are in one region */
	uint32_t n_rx_bufs; /* of the receiving region; a buffer index must be below */
	uint32_t n_tx_bufs; /* of the other region */
	uint32_t n_limit;   /* slots; a packet begun below the limit is finished beyond it */

	uint32_t n_slots; /* out: transmit slots filled, from first_tx on */
	uint32_t first_tx;
	uint32_t n_packets; /* out: packets in them */
};

/**
 * nmt_move_ring() - move packets until one of the rings or the limit ends it
 * @m: in and out as marked
 * @c: increased
 *
 * The slots are visible to netmap at the next sync of each ring. Thread: the one that owns both
 * rings; does not block. Return: why it ended.
 */
enum nmt_move_end nmt_move_ring(struct nmt_move *m, struct nmt_move_counters *c);

#endif /* NMT_MOVE_FP_H_ */
