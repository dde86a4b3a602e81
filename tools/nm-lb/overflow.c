/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Overflow queues: see overflow.h.
 *
 * Nodes are linked by position in one array. The lengths of the queues stand in an array of their
 * own, since finding the longest queue runs once per packet while consumers are too slow, and 16
 * lengths share a cache line.
 */
#include "overflow.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <net/netmap.h>

#include "nmt_slot.h"

#define NO_NODE UINT32_MAX

struct node {
	struct netmap_slot slot;
	uint32_t next;
};

struct queue {
	uint32_t first; /* NO_NODE: empty */
	uint32_t last;	/* valid unless empty */
};

struct lb_overflow {
	struct node *nodes;
	struct queue *queues;
	uint32_t *lens; /* slots per queue */
	uint32_t n_queues;
	uint32_t n_nodes_max;
	uint32_t n_nodes; /* buffers in the pool */
	uint32_t n_free;
	uint32_t first_free;   /* nodes with a free buffer */
	uint32_t first_unused; /* nodes without a buffer */
};

int
lb_overflow_new(uint32_t n_queues, uint32_t n_nodes, struct lb_overflow **out)
{
	struct lb_overflow *of = calloc(1, sizeof(*of));

	assert(n_queues > 0);
	if (of == NULL)
		return -ENOMEM;
	of->nodes = calloc(n_nodes > 0 ? n_nodes : 1, sizeof(*of->nodes));
	of->queues = calloc(n_queues, sizeof(*of->queues));
	of->lens = calloc(n_queues, sizeof(*of->lens));
	if (of->nodes == NULL || of->queues == NULL || of->lens == NULL) {
		lb_overflow_free(of);
		return -ENOMEM;
	}
	of->n_queues = n_queues;
	of->n_nodes_max = n_nodes;
	of->first_free = NO_NODE;
	of->first_unused = n_nodes > 0 ? 0 : NO_NODE;
	for (uint32_t i = 0; i < n_nodes; i++)
		of->nodes[i].next = i + 1 < n_nodes ? i + 1 : NO_NODE;
	for (uint32_t q = 0; q < n_queues; q++)
		of->queues[q].first = NO_NODE;
	*out = of;
	return 0;
}

void
lb_overflow_free(struct lb_overflow *of)
{
	if (of == NULL)
		return;
	free(of->nodes);
	free(of->queues);
	free(of->lens);
	free(of);
}

/* Take the first node off a list of nodes. The list is not empty. */
static uint32_t
list_pop(struct lb_overflow *of, uint32_t *first)
{
	uint32_t i = *first;

	*first = of->nodes[i].next;
	return i;
}

static void
list_push(struct lb_overflow *of, uint32_t *first, uint32_t i)
{
	of->nodes[i].next = *first;
	*first = i;
}

int
lb_overflow_add(struct lb_overflow *of, uint32_t buf_idx)
{
	uint32_t i;

	if (of->first_unused == NO_NODE)
		return -ENOSPC;
	i = list_pop(of, &of->first_unused);
	of->nodes[i].slot = (struct netmap_slot){.buf_idx = buf_idx};
	list_push(of, &of->first_free, i);
	of->n_nodes++;
	of->n_free++;
	return 0;
}

uint32_t
lb_overflow_take_back(struct lb_overflow *of)
{
	uint32_t i;

	if (of->n_free == 0)
		return 0;
	i = list_pop(of, &of->first_free);
	list_push(of, &of->first_unused, i);
	of->n_nodes--;
	of->n_free--;
	return of->nodes[i].slot.buf_idx;
}

uint32_t
lb_overflow_n_free(const struct lb_overflow *of)
{
	return of->n_free;
}

uint32_t
lb_overflow_n_nodes(const struct lb_overflow *of)
{
	return of->n_nodes;
}

uint32_t
lb_overflow_len(const struct lb_overflow *of, uint32_t q)
{
	return of->lens[q];
}

void
lb_overflow_push(struct lb_overflow *of, uint32_t q, struct netmap_slot *from)
{
	struct queue *queue = &of->queues[q];
	uint32_t i;

	assert(of->n_free > 0);
	i = list_pop(of, &of->first_free);
	of->n_free--;
	nmt_slot_move(from, &of->nodes[i].slot);
	of->nodes[i].next = NO_NODE;
	if (queue->first == NO_NODE)
		queue->first = i;
	else
		of->nodes[queue->last].next = i;
	queue->last = i;
	of->lens[q]++;
}

uint32_t
lb_overflow_first_len(const struct lb_overflow *of, uint32_t q)
{
	uint32_t i = of->queues[q].first;
	uint32_t n = 0;

	while (i != NO_NODE) { /* at most the length of the queue */
		n++;
		if ((of->nodes[i].slot.flags & NS_MOREFRAG) == 0)
			break;
		i = of->nodes[i].next;
	}
	return n;
}

/* Unlink the head of a queue that is not empty and put its node on the free list. */
static struct node *
free_first(struct lb_overflow *of, uint32_t q)
{
	uint32_t i = of->queues[q].first;

	assert(i != NO_NODE);
	list_pop(of, &of->queues[q].first);
	list_push(of, &of->first_free, i);
	of->lens[q]--;
	of->n_free++;
	return &of->nodes[i];
}

void
lb_overflow_pop(struct lb_overflow *of, uint32_t q, struct netmap_slot *to)
{
	nmt_slot_move(&free_first(of, q)->slot, to);
}

struct lb_overflow_lost
lb_overflow_drop(struct lb_overflow *of, uint32_t q)
{
	struct lb_overflow_lost lost = {.n_slots = lb_overflow_first_len(of, q)};

	for (uint32_t i = 0; i < lost.n_slots; i++)
		lost.n_bytes += free_first(of, q)->slot.len;
	return lost;
}

uint32_t
lb_overflow_longest(const struct lb_overflow *of)
{
	uint32_t longest = 0;

	for (uint32_t q = 1; q < of->n_queues; q++)
		if (of->lens[q] > of->lens[longest])
			longest = q;
	return of->lens[longest] > 0 ? longest : LB_NO_QUEUE;
}
