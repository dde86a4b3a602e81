/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_region.h - a region with rings in ordinary memory, as netmap would lay it out.
 *
 * One block: a struct netmap_if with its ring_ofs, then the rings, then the buffers, n_slots of
 * them for each ring and two that are never used in front. Every ring is bound and starts as a
 * fresh one: transmit rings with all slots but one for the client, receive rings empty. The tests
 * then play netmap: they fill slots and move tails.
 */
#ifndef FAKE_REGION_H
#define FAKE_REGION_H

#include <net/netmap_user.h>

/* Where the struct netmap_if is: not at 0, so that nr_offset has to be used. */
#define FAKE_NIFP_OFS 4096

/**
 * struct fake_geometry - what to build
 *
 * Host entries of ring_ofs get rings too; fake_region_unbind() removes a ring from the binding.
 */
struct fake_geometry {
	uint32_t n_tx;
	uint32_t n_host_tx;
	uint32_t n_rx;
	uint32_t n_host_rx;
	uint32_t n_slots;
	uint32_t buf_size;
};

struct fake_region {
	struct fake_geometry geo;
	char *mem;
	size_t size;
	struct netmap_if *nifp;
};

/** fake_region_init() - build; ends the program when there is no memory */
void fake_region_init(struct fake_region *r, const struct fake_geometry *geo);

void fake_region_fini(struct fake_region *r);

/** fake_region_unbind() - have entry i of ring_ofs say that the ring is not bound */
void fake_region_unbind(struct fake_region *r, uint32_t i);

/** fake_ring_set() - store indices and offset mask, which are constant to clients in part */
void fake_ring_set(struct netmap_ring *ring, uint32_t head, uint32_t tail, uint64_t offset_mask);

/**
 * fake_ring_receive() - put a packet of one slot behind the last one
 * @byte: each byte of it
 * @flags: of the slot
 *
 * Return: the slot. The ring must have room.
 */
struct netmap_slot *fake_ring_receive(
	struct netmap_ring *ring, char byte, uint16_t len, uint16_t flags);

#endif /* FAKE_REGION_H */
