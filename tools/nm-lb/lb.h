/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load balancer: one port to read, groups of pipes to write, overflow queues in between.
 *
 *	         hash                      hash
 *	PORT ----------> group 0's pipes ----------> group 1's pipes ---> ... ---> released, done
 *	 rx ring      |     tx ring    ^ consumer |
 *	              |                | releases |
 *	              +-> overflow ----+          +-> overflow -> ...
 *
 * All ports share one memory region. A packet goes from a slot to the next by exchanging buffers
 * and is never copied. A packet that has been through a consumer of group k comes back in the slots
 * of that pipe's tx ring which the consumer released, and goes on to group k + 1.
 *
 * The slots of a pipe's tx ring, seen from here:
 *
 *	released ........ head ............ limit
 *	   |  at the        |   free for       |  always one slot
 *	   |  consumer      |   new packets    |  before released
 *
 * "released" is the first slot that has not come back, or has come back and was not passed on yet.
 * What has come back ends with the slot at the ring's tail: netmap keeps that one empty and does
 * not send it, but its packet was released like the others.
 *
 * These indices are private and move in lb_collect(), which looks at the ring's tail once. A sync
 * after that may move tail again; the news must not get lost, so cur, which says what we have seen,
 * is never set beyond the tail that lb_collect() saw.
 *
 * Files: lb_open.c opens and closes, lb_forward_fp.c moves packets, lb_stats.c reports, main.c
 * polls. Everything runs in one thread.
 */
#ifndef NM_LB_LB_H_
#define NM_LB_LB_H_

#include <stdbool.h>
#include <stdint.h>

#include <libnetmap.h>

#include "lb_options.h"
#include "overflow.h"

struct lb_counters {
	uint64_t forwarded_packets; /* put into the pipe's ring */
	uint64_t forwarded_bytes;
	uint64_t dropped_packets; /* meant for this pipe, thrown away */
	uint64_t dropped_bytes;
};

struct lb_pipe {
	struct nmport_d *port;	  /* NULL: not open */
	struct netmap_ring *ring; /* its only tx ring */
	uint32_t released;	  /* see the drawing */
	uint32_t head;		  /* ring->head is a copy */
	uint32_t limit;		  /* see the drawing */
	uint32_t tail;		  /* ring->tail as lb_collect() saw it */
	uint32_t queue;		  /* overflow queue, and place among all pipes */
	bool dirty;		  /* slots were filled since the last txsync */
	struct lb_counters counters;
	const struct lb_group_spec *spec; /* borrowed from the options */
	uint32_t id;			  /* K in NAME{K */
};

struct lb_group {
	struct lb_pipe *pipes; /* part of lb.pipes */
	uint32_t n_pipes;
};

struct lb {
	struct nmport_d *port;
	struct lb_pipe *pipes; /* of all groups, in order */
	uint32_t n_pipes;
	struct lb_group groups[LB_MAX_GROUPS];
	uint32_t n_groups;
	struct lb_overflow *overflow;
	uint32_t n_bufs;       /* of the region; a buffer index must be below */
	uint32_t next_rx_ring; /* where lb_receive() begins, for fairness */
	uint64_t received_packets;
	uint64_t non_ip_packets;
	/* slots with an impossible buffer or length, or no end; not forwarded */
	uint64_t bad_packets;
};

/**
 * lb_open() - open the port and all pipes, take over the extra buffers
 * @lb:   written; after an error lb_close() is still due
 * @opts: borrowed; must outlive @lb
 *
 * Says on standard error what it opens, and why it could not. Thread: main; blocks as the requests
 * do. Return: 0 or negative errno.
 */
int lb_open(struct lb *lb, const struct lb_options *opts);

/**
 * lb_finish() - drop and count what waits in overflow queues, give the extra buffers back
 *
 * Nothing may be forwarded afterwards; the counters are final. Accepts a half-opened @lb.
 * Thread: main.
 */
void lb_finish(struct lb *lb);

/** lb_close() - lb_finish(), then close everything and free the pipes. Thread: main. */
void lb_close(struct lb *lb);

/**
 * lb_collect() - look what consumers released: pass it on, and move waiting packets into the room
 *
 * Does not sync. To be called after each sync of the pipes and before lb_receive().
 */
void lb_collect(struct lb *lb);

/**
 * lb_receive() - distribute what the port has received, up to @n_max packets
 *
 * Does not sync. Return: how many packets were taken.
 */
uint32_t lb_receive(struct lb *lb, uint32_t n_max);

/**
 * lb_is_filling() - is more than half of this pipe's ring taken, as far as we know?
 *
 * Nothing else syncs a pipe that takes no more packets, so its consumer's progress would not be
 * seen.
 */
bool lb_is_filling(const struct lb_pipe *p);

/**
 * lb_wants_release() - is there anything to do when this pipe's consumer releases slots?
 *
 * If so, sets cur so that poll(POLLOUT) reports the pipe when more slots come back, and not before.
 */
bool lb_wants_release(const struct lb *lb, struct lb_pipe *p);

#endif /* NM_LB_LB_H_ */
