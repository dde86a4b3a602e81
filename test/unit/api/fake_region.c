/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_region.c - see fake_region.h.
 */
#include "fake_region.h"

#include <stdio.h>
#include <stdlib.h>

static size_t
round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* Fields that are constant to clients are written through this. */
#define SET(field, type, value) (*(type *)(uintptr_t) & (field) = (value))

static void
init_ring(struct netmap_ring *ring, const struct fake_geometry *geo, int is_rx, uint32_t first_buf,
	int64_t buf_ofs)
{
	uint32_t i;

	SET(ring->buf_ofs, int64_t, buf_ofs);
	SET(ring->num_slots, uint32_t, geo->n_slots);
	SET(ring->nr_buf_size, uint32_t, geo->buf_size);
	SET(ring->dir, uint16_t, is_rx ? 1 : 0);
	ring->tail = is_rx ? 0 : geo->n_slots - 1;
	for (i = 0; i < geo->n_slots; i++) {
		ring->slot[i].buf_idx = first_buf + i;
		ring->slot[i].len = (uint16_t)geo->buf_size;
	}
}

void
fake_region_init(struct fake_region *r, const struct fake_geometry *geo)
{
	const uint32_t n_tx = geo->n_tx + geo->n_host_tx;
	const uint32_t n = n_tx + geo->n_rx + geo->n_host_rx;
	const size_t ring_size = round_up(
		sizeof(struct netmap_ring) + geo->n_slots * sizeof(struct netmap_slot), 128);
	const size_t rings = round_up(FAKE_NIFP_OFS + sizeof(struct netmap_if) + n * 8, 128);
	const size_t bufs = rings + n * ring_size;
	uint32_t i;

	r->geo = *geo;
	r->size = round_up(bufs + (2 + (size_t)n * geo->n_slots) * geo->buf_size, 4096);
	r->mem = aligned_alloc(4096, r->size);
	if (r->mem == NULL) {
		perror("aligned_alloc");
		exit(1);
	}
	memset(r->mem, 0, r->size);
	r->nifp = NETMAP_IF(r->mem, FAKE_NIFP_OFS);
	snprintf(r->nifp->ni_name, sizeof(r->nifp->ni_name), "fake");
	SET(r->nifp->ni_tx_rings, uint32_t, geo->n_tx);
	SET(r->nifp->ni_host_tx_rings, uint32_t, geo->n_host_tx);
	SET(r->nifp->ni_rx_rings, uint32_t, geo->n_rx);
	SET(r->nifp->ni_host_rx_rings, uint32_t, geo->n_host_rx);
	for (i = 0; i < n; i++) {
		const size_t ofs = rings + i * ring_size;

		SET(r->nifp->ring_ofs[i], ssize_t, (ssize_t)ofs - FAKE_NIFP_OFS);
		init_ring(NETMAP_TXRING(r->nifp, i), geo, i >= n_tx, 2 + i * geo->n_slots,
			(int64_t)bufs - (int64_t)ofs);
	}
}

void
fake_region_fini(struct fake_region *r)
{
	free(r->mem);
	r->mem = NULL;
	r->nifp = NULL;
}

void
fake_region_unbind(struct fake_region *r, uint32_t i)
{
	SET(r->nifp->ring_ofs[i], ssize_t, 0);
}

void
fake_ring_set(struct netmap_ring *ring, uint32_t head, uint32_t tail, uint64_t offset_mask)
{
	ring->head = ring->cur = head;
	ring->tail = tail;
	SET(ring->offset_mask, uint64_t, offset_mask);
}

struct netmap_slot *
fake_ring_receive(struct netmap_ring *ring, char byte, uint16_t len, uint16_t flags)
{
	struct netmap_slot *slot = &ring->slot[ring->tail];

	slot->len = len;
	slot->flags = flags;
	memset(NETMAP_BUF_OFFSET(ring, slot), byte, len);
	ring->tail = nm_ring_next(ring, ring->tail);
	return slot;
}
