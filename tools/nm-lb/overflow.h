/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Overflow queues: where packets wait whose pipe is full.
 *
 * All queues share one pool of nodes, one node for each extra buffer, and a node always owns
 * exactly one buffer:
 *
 *	free node      a buffer without contents; on the free list
 *	queued node    a buffer with one slot's worth of a packet; on one queue
 *
 * Putting a slot into a queue swaps it with a free node, taking it out swaps back, so buffers are
 * neither made nor lost and what the port lent can be given back whatever happened in between.
 *
 *	slot of a ring    node                         node              slot of the pipe
 *	[buf 7, packet] x [buf 90, free]   and later   [buf 7, packet] x [buf 31, sent]
 *
 * A packet may take several slots (NS_MOREFRAG). It is queued, taken out and dropped as a whole;
 * only lb_overflow_push() and lb_overflow_pop() see single slots, and their callers do all slots of
 * a packet in one go.
 *
 * Buffers are scarce when this matters, so a caller in need takes them from the longest queue
 * (lb_overflow_longest(), lb_overflow_drop()), oldest packet first: the slow consumer pays, and
 * what it gets is the newest.
 *
 * Memory is allocated at the start only. Thread: one; nothing blocks.
 */
#ifndef NM_LB_OVERFLOW_H_
#define NM_LB_OVERFLOW_H_

#include <stdint.h>

struct netmap_slot;
struct lb_overflow;

#define LB_NO_QUEUE UINT32_MAX

/* What lb_overflow_drop() took away. */
struct lb_overflow_lost {
	uint32_t n_slots; /* and so many nodes are free again; 0: the queue was empty */
	uint64_t n_bytes;
};

/**
 * lb_overflow_new() - queues without any buffer
 * @n_queues: at least 1
 * @n_nodes:  how many buffers will be added at most; 0 is allowed
 * @out:      written on success only; the caller ends it with lb_overflow_free()
 *
 * Return: 0 or -ENOMEM.
 */
int lb_overflow_new(uint32_t n_queues, uint32_t n_nodes, struct lb_overflow **out);

/** lb_overflow_free() - free the queues; buffers still inside are forgotten. Accepts NULL. */
void lb_overflow_free(struct lb_overflow *of);

/** lb_overflow_add() - lend a buffer to the pool. Return: 0, -ENOSPC it has n_nodes already. */
int lb_overflow_add(struct lb_overflow *of, uint32_t buf_idx);

/**
 * lb_overflow_take_back() - remove one free buffer from the pool for good
 *
 * Return: its index, 0 when no node is free. Drop what is queued first to get all of them.
 */
uint32_t lb_overflow_take_back(struct lb_overflow *of);

/** lb_overflow_n_free() - how many slots can be pushed now */
uint32_t lb_overflow_n_free(const struct lb_overflow *of);

/** lb_overflow_n_nodes() - how many buffers the pool has, free and queued */
uint32_t lb_overflow_n_nodes(const struct lb_overflow *of);

/** lb_overflow_len() - slots waiting in queue @q */
uint32_t lb_overflow_len(const struct lb_overflow *of, uint32_t q);

/**
 * lb_overflow_push() - append @from's contents to queue @q; @from gets an empty buffer
 *
 * The caller has seen a free node (asserted), and pushes all slots of a packet before other things.
 */
void lb_overflow_push(struct lb_overflow *of, uint32_t q, struct netmap_slot *from);

/** lb_overflow_first_len() - slots of the packet at the head of queue @q; 0: the queue is empty */
uint32_t lb_overflow_first_len(const struct lb_overflow *of, uint32_t q);

/** lb_overflow_pop() - move the slot at the head of queue @q (not empty, asserted) to @to */
void lb_overflow_pop(struct lb_overflow *of, uint32_t q, struct netmap_slot *to);

/** lb_overflow_drop() - drop the packet at the head of queue @q. Return: what was lost. */
struct lb_overflow_lost lb_overflow_drop(struct lb_overflow *of, uint32_t q);

/** lb_overflow_longest() - the queue with the most slots; LB_NO_QUEUE when all are empty */
uint32_t lb_overflow_longest(const struct lb_overflow *of);

#endif /* NM_LB_OVERFLOW_H_ */
