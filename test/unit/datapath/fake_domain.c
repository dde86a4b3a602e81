/* SPDX-License-Identifier: BSD-2-Clause */
/* See fake_domain.h. */
#include "fake_domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring/kring.h"
#include "ring/slot.h"

#define IF_SIZE	 8192u
#define RING_AREA (256u << 20)

uint32_t fake_slot = 1;
unsigned int fake_stuck_calls;
static struct fake_domain *the_domain;

static void
must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		abort();
	}
}

static void *
shared_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(p != MAP_FAILED, "mmap");
	return p;
}

struct fake_domain *
fake_domain_new(uint32_t seg_type, uint32_t n_bufs, uint32_t buf_size)
{
	struct fake_domain *d = shared_map(sizeof(*d));
	struct unm_seg_hdr hdr = {0};
	struct unm_region_info *ri = &d->region.info;
	void *map;

	unm_seg_layout(&hdr, seg_type);
	map = shared_map(hdr.size);
	memcpy(map, &hdr, sizeof(hdr));
	must(unm_seg_attach(&d->seg, map, hdr.size) == 0, "segment");
	ri->if_ofs = 0;
	ri->if_num = FAKE_MAX_PORTS;
	ri->if_size = IF_SIZE;
	ri->ring_ofs = (uint64_t)IF_SIZE * FAKE_MAX_PORTS;
	ri->ring_num = RING_AREA / 4096;
	ri->ring_size = 4096;
	ri->buf_ofs = ri->ring_ofs + RING_AREA;
	ri->buf_num = n_bufs;
	ri->buf_size = buf_size;
	ri->size = ri->buf_ofs + (uint64_t)n_bufs * buf_size;
	ri->uid = 7;
	d->region.base = shared_map(ri->size);
	d->ring_top = ri->ring_ofs;
	d->buf_top = UNM_BUF_FIRST;
	the_domain = d;
	return d;
}

void
fake_domain_free(struct fake_domain *d)
{
	uint32_t i;

	for (i = 0; i < d->n_bindings; i++)
		close(d->eventfd[i]);
	munmap(d->region.base, d->region.info.size);
	munmap(d->seg.hdr, d->seg.hdr->size);
	munmap(d, sizeof(*d));
}

static void
set_const(const void *field, const void *value, size_t len)
{
	memcpy((void *)(uintptr_t)field, value, len);
}

static void
ring_add(struct fake_domain *d, uint32_t port, uint32_t id, bool is_rx, uint32_t slots, bool bufs)
{
	struct unm_kring *k = &d->seg.krings[d->kring_top++];
	struct netmap_ring *ring = (struct netmap_ring *)(void *)(d->region.base + d->ring_top);
	const int64_t buf_ofs = (int64_t)(d->region.info.buf_ofs - d->ring_top);
	const uint16_t dir = is_rx;
	uint32_t i;

	k->port = port;
	k->ring_id = id;
	k->is_rx = is_rx;
	k->num_slots = slots;
	k->ring_ofs = d->ring_top;
	k->mon_head = UNM_NONE;
	k->pub_tail = is_rx ? 0 : slots - 1;
	set_const(&ring->buf_ofs, &buf_ofs, sizeof(buf_ofs));
	set_const(&ring->num_slots, &slots, sizeof(slots));
	set_const(&ring->nr_buf_size, &d->region.info.buf_size, sizeof(uint32_t));
	set_const(&ring->dir, &dir, sizeof(dir));
	ring->tail = k->pub_tail;
	for (i = 0; i < slots; i++) {
		if (bufs) {
			must(d->buf_top < d->region.info.buf_num, "enough buffers for this test");
			ring->slot[i].buf_idx = d->buf_top++;
		}
		ring->slot[i].len = (uint16_t)d->region.info.buf_size;
	}
	d->ring_top += (sizeof(*ring) + slots * sizeof(struct netmap_slot) + 4095) & ~4095ul;
}

uint32_t
fake_port_add(struct fake_domain *d, const struct fake_geometry *g)
{
	const uint32_t port = d->n_ports++, b = d->n_bindings++;
	struct unm_seg_port *e = &d->seg.ports[port];
	uint32_t i;

	must(port < FAKE_MAX_PORTS, "enough ports for this test");
	e->kind = g->kind;
	e->flags = g->flags | UNM_PORTF_OPEN;
	e->region_uid = d->region.info.uid;
	e->n_tx_rings = g->n_tx;
	e->n_rx_rings = g->n_rx;
	e->kring_base = d->kring_top;
	e->peer_port = UNM_NONE;
	e->max_frame = 1514;
	for (i = 0; i < g->n_tx; i++)
		ring_add(d, port, i, false, g->slots, true);
	for (i = 0; i < g->n_rx; i++)
		ring_add(d, port, i, true, g->slots, g->kind != UNM_PORT_PIPE);
	d->eventfd[b] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	must(d->eventfd[b] >= 0, "eventfd");
	d->seg.bindings[b].gen = 2;
	d->seg.bindings[b].port = port;
	d->seg.bindings[b].next = UNM_NONE;
	d->seg.bindings[b].in_use = 1;
	e->bind_head = b;
	e->gen = 2;
	e->state = UNM_PORT_ACTIVE;
	d->seg.hdr->n_ports_used = d->n_ports;
	d->seg.hdr->n_bindings_used = d->n_bindings;
	d->seg.hdr->n_krings_used = d->kring_top;
	d->seg.hdr->epoch++;
	return port;
}

void
fake_pipe_join(struct fake_domain *d, uint32_t a, uint32_t b)
{
	d->seg.ports[a].peer_port = b;
	d->seg.ports[b].peer_port = a;
}

void
fake_port_set_state(struct fake_domain *d, uint32_t port, uint32_t state, uint32_t flags)
{
	d->seg.ports[port].state = state;
	d->seg.ports[port].flags = flags;
	__atomic_fetch_add(&d->seg.hdr->epoch, 1, __ATOMIC_RELEASE);
}

static uint32_t
env_slot(void)
{
	return fake_slot;
}

static struct unm_region *
env_region_get(uint64_t uid)
{
	return uid == the_domain->region.info.uid ? &the_domain->region : NULL;
}

static void
env_region_put(struct unm_region *region)
{
	(void)region; /* lives as long as the domain */
}

static int
env_wake_fd(const struct unm_seg *seg, uint32_t binding, uint32_t gen)
{
	(void)seg;
	return gen == 2 && binding < the_domain->n_bindings ? the_domain->eventfd[binding] : -1;
}

static void
env_lock_stuck(const struct unm_seg *seg, uint32_t kring, uint32_t word)
{
	(void)seg;
	(void)kring;
	(void)word;
	fake_stuck_calls++;
}

static const struct unm_env fake_env = {
	.slot = env_slot,
	.region_get = env_region_get,
	.region_put = env_region_put,
	.wake_fd = env_wake_fd,
	.lock_stuck = env_lock_stuck,
};

struct unm_bport *
fake_port_open(struct fake_domain *d, uint32_t port)
{
	const struct unm_seg_port *e = &d->seg.ports[port];
	struct unm_bind_info info = {
		.port = port,
		.port_gen = 2,
		.binding = e->bind_head,
		.binding_gen = 2,
		.kind = e->kind,
		.tx_hi = e->n_tx_rings,
		.rx_hi = e->n_rx_rings,
		.nifp_ofs = (uint64_t)port * IF_SIZE,
	};
	struct unm_bport *bp = NULL;

	must(unm_bport_open(&bp, &fake_env, &d->seg, &d->region, &info, NULL) == 0, "bport_open");
	return bp;
}
