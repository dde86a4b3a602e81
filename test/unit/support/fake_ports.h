/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Netmap ports in plain memory, for tests of code that moves packets between rings: a region with
 * rings and buffers, and struct nmport_d that show them. Nobody syncs them; the test plays netmap,
 * by setting tail, as fake_ring_arrive() and fake_ring_release() do.
 */
#ifndef TEST_SUPPORT_FAKE_PORTS_H_
#define TEST_SUPPORT_FAKE_PORTS_H_

#include <stdbool.h>
#include <stdint.h>

#include <libnetmap.h>

struct fake_region {
	struct nmem_d mem; /* equal for all ports of the region */
	uint32_t buf_size;
	uint32_t n_bufs;
	uint32_t next_buf; /* first one not handed out */
	size_t used;	   /* bytes taken by interfaces and rings */
	size_t bufs_off;
};

/** fake_region_init() - memory for @n_bufs buffers of @buf_size bytes, and for some rings */
void fake_region_init(struct fake_region *r, uint32_t n_bufs, uint32_t buf_size);
void fake_region_fini(struct fake_region *r);

/** fake_region_take_buf() - a buffer that is nobody's. Asserts that there is one. */
uint32_t fake_region_take_buf(struct fake_region *r);

/** fake_region_buf() - address of a buffer */
char *fake_region_buf(const struct fake_region *r, uint32_t buf_idx);

/**
 * fake_port_init() - a port with rings of @num_slots slots, each slot with a buffer of its own
 *
 * Fresh as spec section 7.1 says: transmit rings all free, receive rings empty.
 */
void fake_port_init(struct nmport_d *d, struct fake_region *r, const char *name, uint32_t n_tx,
	uint32_t n_rx, uint32_t num_slots);

/** fake_ring_arrive() - let @n slots of a receive ring, filled by the test, become visible */
void fake_ring_arrive(struct netmap_ring *ring, uint32_t n);

/** fake_ring_next_slot() - the slot that arrives @i slots after those visible now */
struct netmap_slot *fake_ring_next_slot(struct netmap_ring *ring, uint32_t i);

/** fake_ring_release() - play the consumer of a pipe's transmit ring, who releases @n slots more */
void fake_ring_release(struct netmap_ring *ring, uint32_t n);

#endif /* TEST_SUPPORT_FAKE_PORTS_H_ */
