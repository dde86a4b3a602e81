/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit_ring.h - the bare single-producer single-consumer ring that everything is held against.
 *
 * 1024 slots of 16 bytes, like netmap's, and a 2048-byte buffer for each. Positions run freely and
 * are masked on use. Each side owns one position and keeps a copy of the other's, which it reloads
 * only when the copy says that nothing can be done: so the lines that hold the positions travel
 * between the CPUs once a batch at most.
 *
 *   producer   writes slots, then head  (release)  --->  head (acquire), then reads slots   consumer
 *              head - tail <= 1024      (acquire)  <---  tail (release), after reading buffers
 */
#ifndef LIMIT_RING_H
#define LIMIT_RING_H

#include "bench.h"

struct limit_slot {
	uint32_t buf_idx;
	uint16_t len;
	uint16_t flags;
	uint64_t ptr;
};

_Static_assert(sizeof(struct limit_slot) == 16, "as large as a netmap slot");

struct limit_ring {
	_Alignas(2 * BENCH_CACHE_LINE) uint32_t head; /* W: producer; next slot to fill */
	_Alignas(2 * BENCH_CACHE_LINE) uint32_t tail; /* W: consumer; next slot to read */
	_Alignas(2 * BENCH_CACHE_LINE) struct limit_slot slot[BENCH_RING_SLOTS];
	_Alignas(4096) char buf[BENCH_RING_SLOTS][BENCH_BUF_SIZE];
};

static inline struct limit_slot *
limit_slot(struct limit_ring *r, uint32_t pos)
{
	return &r->slot[pos % BENCH_RING_SLOTS];
}

/* The consumer's position; buffers before it may be written again. Pairs with limit_release(). */
static inline uint32_t
limit_load_tail(const struct limit_ring *r)
{
	return __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
}

/* Buffers before @pos have been read. Pairs with limit_load_tail(). */
static inline void
limit_release(struct limit_ring *r, uint32_t pos)
{
	__atomic_store_n(&r->tail, pos, __ATOMIC_RELEASE);
}

/* The producer's position; slots and buffers before it can be read. Pairs with limit_publish(). */
static inline uint32_t
limit_load_head(const struct limit_ring *r)
{
	return __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
}

/* Slots and buffers before @pos are written. Pairs with limit_load_head(). */
static inline void
limit_publish(struct limit_ring *r, uint32_t pos)
{
	__atomic_store_n(&r->head, pos, __ATOMIC_RELEASE);
}

/*
 * For the producer: wait until @batch slots are free.
 * @tail: its copy of the consumer's position
 * Return: false when the measurement is over.
 */
static inline bool
limit_wait_room(const struct bench_run *run, const struct limit_ring *r, uint32_t head,
	uint32_t *tail, uint32_t batch)
{
	while (BENCH_RING_SLOTS - (head - *tail) < batch) {
		*tail = limit_load_tail(r);
		if (BENCH_RING_SLOTS - (head - *tail) >= batch)
			break;
		if (bench_stop(run))
			return false;
		bench_pause();
	}
	return true;
}

/* The consumer of both limits: a bench_fn whose argument is a struct limit_rx. */
struct limit_rx {
	struct limit_ring *ring;
	uint32_t batch; /* released after at most so many */
	bool numbered;
};

bench_fn limit_consume;

#endif
