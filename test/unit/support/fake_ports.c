/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports in plain memory: see fake_ports.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define LIBNETMAP_NOTHREADSAFE /* the library is not linked */
#include "fake_ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_SIZE (1024 * 1024) /* for interfaces and rings */
#define ALIGNMENT    128

/* Fields of the region are constant for clients, which the test is not. */
#define SET_CONST(field, val)                                                                      \
	do {                                                                                       \
		__typeof__(field) val_ = (val);                                                    \
		memcpy((void *)(uintptr_t) & (field), &val_, sizeof(val_));                        \
	} while (0)

void
fake_region_init(struct fake_region *r, uint32_t n_bufs, uint32_t buf_size)
{
	size_t size = CONTROL_SIZE + (size_t)n_bufs * buf_size;

	*r = (struct fake_region){
		.mem = {.mem_id = 7, .refcount = 1, .size = size},
		.buf_size = buf_size,
		.n_bufs = n_bufs,
		.next_buf = 2, /* 0 and 1 are reserved */
		.bufs_off = CONTROL_SIZE,
	};
	assert_int_equal(posix_memalign(&r->mem.mem, ALIGNMENT, size), 0);
	memset(r->mem.mem, 0, size);
}

void
fake_region_fini(struct fake_region *r)
{
	free(r->mem.mem);
}

uint32_t
fake_region_take_buf(struct fake_region *r)
{
	assert_true(r->next_buf < r->n_bufs);
	return r->next_buf++;
}

char *
fake_region_buf(const struct fake_region *r, uint32_t buf_idx)
{
	assert_in_range(buf_idx, 2, r->n_bufs - 1);
	return (char *)r->mem.mem + r->bufs_off + (size_t)buf_idx * r->buf_size;
}

static void *
take_control(struct fake_region *r, size_t size)
{
	void *p = (char *)r->mem.mem + r->used;

	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	assert_true(size <= CONTROL_SIZE - r->used);
	r->used += size;
	return p;
}

static struct netmap_ring *
make_ring(struct fake_region *r, uint32_t num_slots, bool is_tx, uint16_t ringid)
{
	struct netmap_ring *ring =
		take_control(r, sizeof(*ring) + num_slots * sizeof(struct netmap_slot));

	SET_CONST(ring->buf_ofs, (char *)r->mem.mem + r->bufs_off - (char *)ring);
	SET_CONST(ring->num_slots, num_slots);
	SET_CONST(ring->nr_buf_size, r->buf_size);
	SET_CONST(ring->ringid, ringid);
	ring->tail = is_tx ? num_slots - 1 : 0;
	for (uint32_t i = 0; i < num_slots; i++) {
		ring->slot[i].buf_idx = fake_region_take_buf(r);
		ring->slot[i].len = (uint16_t)r->buf_size;
	}
	return ring;
}

void
fake_port_init(struct nmport_d *d, struct fake_region *r, const char *name, uint32_t n_tx,
	uint32_t n_rx, uint32_t num_slots)
{
	/* One host ring per direction, never bound, as ports without host rings report. */
	struct netmap_if *nifp =
		take_control(r, sizeof(*nifp) + (n_tx + n_rx + 2) * sizeof(ssize_t));
	uint32_t at = 0;

	SET_CONST(nifp->ni_tx_rings, n_tx);
	SET_CONST(nifp->ni_rx_rings, n_rx);
	SET_CONST(nifp->ni_host_tx_rings, 1);
	SET_CONST(nifp->ni_host_rx_rings, 1);
	for (uint32_t i = 0; i < n_tx; i++, at++)
		SET_CONST(nifp->ring_ofs[at],
			(char *)make_ring(r, num_slots, true, (uint16_t)i) - (char *)nifp);
	at++;
	for (uint32_t i = 0; i < n_rx; i++, at++)
		SET_CONST(nifp->ring_ofs[at],
			(char *)make_ring(r, num_slots, false, (uint16_t)i) - (char *)nifp);
	memset(d, 0, sizeof(*d));
	snprintf(d->hdr.nr_name, sizeof(d->hdr.nr_name), "%s", name);
	d->reg.nr_mem_id = r->mem.mem_id;
	d->mem = &r->mem;
	d->fd = -1;
	d->nifp = nifp;
	d->last_tx_ring = (uint16_t)(n_tx - 1);
	d->last_rx_ring = (uint16_t)(n_rx - 1);
}

struct netmap_slot *
fake_ring_next_slot(struct netmap_ring *ring, uint32_t i)
{
	return &ring->slot[(ring->tail + i) % ring->num_slots];
}

void
fake_ring_arrive(struct netmap_ring *ring, uint32_t n)
{
	uint32_t visible = (ring->tail + ring->num_slots - ring->head) % ring->num_slots;

	assert_true(visible + n < ring->num_slots);
	ring->tail = (ring->tail + n) % ring->num_slots;
}

void
fake_ring_release(struct netmap_ring *ring, uint32_t n)
{
	uint32_t sent = (ring->head + ring->num_slots - ring->tail - 1) % ring->num_slots;

	assert_true(n <= sent);
	ring->tail = (ring->tail + n) % ring->num_slots;
}
