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
#include "shm/lock.h"

#define IF_SIZE	  8192u
#define RING_AREA (64u << 20)
#define FIRST_UID 7u
#define LIVE_GEN  2u

_Thread_local uint32_t fake_slot = 1;
_Thread_local int fake_slot_left = -1;
unsigned int fake_stuck_calls;
unsigned int fake_region_refs;
static struct fake_domain *the_domain;

static void
must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		abort();
	}
}

/* Whoever runs past either end must not meet another mapping of ours. */
#define GUARD (1u << 20)

static void *
shared_map(size_t size)
{
	char *p = mmap(NULL, size + 2 * GUARD, PROT_NONE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(p != MAP_FAILED, "mmap");
	must(mprotect(p + GUARD, size, PROT_READ | PROT_WRITE) == 0, "mprotect");
	return p + GUARD;
}

static void
shared_unmap(void *p, size_t size)
{
	must(munmap((char *)p - GUARD, size + 2 * GUARD) == 0, "munmap");
}

static uint32_t
region_new(struct fake_domain *d, uint32_t n_bufs, uint32_t buf_size)
{
	const uint32_t i = d->n_regions++;
	struct fake_region *r = &d->regions[i];
	struct unm_region_info *ri = &r->region.info;

	must(i < FAKE_MAX_REGIONS, "enough regions for this test");
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
	ri->uid = FIRST_UID + i;
	r->region.base = shared_map(ri->size);
	r->ring_top = ri->ring_ofs;
	r->buf_top = UNM_BUF_FIRST;
	return i;
}

struct fake_domain *
fake_domain_new(uint32_t seg_type, uint32_t n_bufs, uint32_t buf_size)
{
	struct fake_domain *d = shared_map(sizeof(*d));
	struct unm_seg_hdr hdr = {0};
	void *map;

	unm_seg_layout(&hdr, seg_type);
	hdr.uid = 1;
	map = shared_map(hdr.size);
	memcpy(map, &hdr, sizeof(hdr));
	must(unm_seg_attach(&d->seg, map, hdr.size) == 0, "segment");
	d->seg_size = hdr.size;
	region_new(d, n_bufs, buf_size);
	the_domain = d;
	return d;
}

void
fake_domain_use(struct fake_domain *d)
{
	the_domain = d;
}

void
fake_domain_free(struct fake_domain *d)
{
	uint32_t i;

	for (i = 0; i < d->n_bindings; i++)
		close(d->eventfd[i]);
	for (i = 0; i < d->n_regions; i++)
		shared_unmap(d->regions[i].region.base, d->regions[i].region.info.size);
	shared_unmap(d->seg.hdr, d->seg_size);
	shared_unmap(d, sizeof(*d));
}

/* The constant fields of a ring are netmapd's to write. */
static void
set_const(const void *field, const void *value, size_t len)
{
	memcpy((void *)(uintptr_t)field, value, len);
}

static void
ring_add(struct fake_domain *d, uint32_t port, uint32_t id, bool is_rx, uint32_t slots, bool bufs)
{
	struct fake_region *fr = &d->regions[d->region_of[port]];
	const struct unm_region_info *ri = &fr->region.info;
	struct unm_kring *k = &d->seg.krings[d->kring_top++];
	struct netmap_ring *ring = (struct netmap_ring *)(void *)(fr->region.base + fr->ring_top);
	const int64_t buf_ofs = (int64_t)(ri->buf_ofs - fr->ring_top);
	const uint16_t dir = is_rx;
	uint32_t i;

	k->port = port;
	k->ring_id = id;
	k->is_rx = is_rx;
	k->num_slots = slots;
	k->ring_ofs = fr->ring_top;
	k->mon_head = k->mon_from = UNM_NONE;
	k->mon_next[UNM_MON_OF_TX] = k->mon_next[UNM_MON_OF_RX] = UNM_NONE;
	k->mon_of[UNM_MON_OF_TX] = k->mon_of[UNM_MON_OF_RX] = UNM_NONE;
	k->join_peer = UNM_NONE;
	k->pub_tail = is_rx || slots == 0 ? 0 : slots - 1;
	set_const(&ring->buf_ofs, &buf_ofs, sizeof(buf_ofs));
	set_const(&ring->num_slots, &slots, sizeof(slots));
	set_const(&ring->nr_buf_size, &ri->buf_size, sizeof(uint32_t));
	set_const(&ring->dir, &dir, sizeof(dir));
	ring->tail = k->pub_tail;
	for (i = 0; i < slots; i++) {
		if (bufs) {
			must(fr->buf_top < ri->buf_num, "enough buffers for this test");
			ring->slot[i].buf_idx = fr->buf_top++;
		}
		ring->slot[i].len = (uint16_t)ri->buf_size;
	}
	/* with an array of spares behind the slots (port/join.h), whether it is used or not */
	fr->ring_top +=
		(sizeof(*ring) + slots * (sizeof(struct netmap_slot) + sizeof(uint32_t)) + 4095) &
		~4095ul;
	must(fr->ring_top <= ri->buf_ofs, "enough room for rings for this test");
}

uint32_t
fake_binding_add(struct fake_domain *d, uint32_t port)
{
	const uint32_t i = d->n_bindings++;
	struct unm_seg_binding *b = &d->seg.bindings[i];

	must(i < FAKE_MAX_BINDINGS, "enough bindings for this test");
	d->eventfd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	must(d->eventfd[i] >= 0, "eventfd");
	b->gen = LIVE_GEN;
	b->port = port;
	b->next = d->seg.ports[port].bind_head;
	b->in_use = 1;
	d->seg.ports[port].bind_head = i;
	d->seg.hdr->n_bindings_used = d->n_bindings;
	return i;
}

uint32_t
fake_port_add(struct fake_domain *d, const struct fake_geometry *g)
{
	const uint32_t port = d->n_ports++;
	struct unm_seg_port *e = &d->seg.ports[port];
	uint32_t i;

	must(port < FAKE_MAX_PORTS, "enough ports for this test");
	d->region_of[port] = g->region;
	if (g->buf_size != 0)
		d->region_of[port] = region_new(
			d, UNM_BUF_FIRST + (g->n_tx + g->n_rx) * g->slots + 64, g->buf_size);
	e->kind = g->kind;
	e->flags = g->flags | UNM_PORTF_OPEN;
	e->region_uid = d->regions[d->region_of[port]].region.info.uid;
	e->n_tx_rings = g->n_tx;
	e->n_rx_rings = g->n_rx;
	e->kring_base = d->kring_top;
	e->peer_port = UNM_NONE;
	e->bind_head = UNM_NONE;
	e->max_frame = 1514;
	e->vnet_hdr_len = g->hdr_len;
	for (i = 0; i < g->n_tx; i++)
		ring_add(d, port, i, false, g->slots, true);
	for (i = 0; i < g->n_rx; i++)
		ring_add(d, port, i, true, g->slots, g->kind != UNM_PORT_PIPE);
	fake_binding_add(d, port);
	e->gen = LIVE_GEN;
	e->state = UNM_PORT_ACTIVE;
	d->seg.hdr->n_ports_used = d->n_ports;
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

static uint32_t
kring_number(const struct fake_domain *d, const struct unm_kring *k)
{
	return (uint32_t)(k - d->seg.krings);
}

void
fake_monitor_link(struct fake_domain *d, uint32_t m, uint32_t i, struct unm_kring *of)
{
	struct unm_kring *k = fake_kring(d, m, true, i);
	const uint32_t dir = of->is_rx ? UNM_MON_OF_RX : UNM_MON_OF_TX;

	UNM_WRITE_ONCE(of->mon_from, UNM_NONE);
	UNM_WRITE_ONCE(k->mon_of[dir], kring_number(d, of));
	UNM_WRITE_ONCE(k->mon_next[dir], UNM_READ_ONCE(of->mon_head));
	unm_store_release(&of->mon_head, kring_number(d, k));
	__atomic_fetch_add(&d->seg.hdr->epoch, 1, __ATOMIC_RELEASE);
}

void
fake_monitor_unlink(struct fake_domain *d, uint32_t m, uint32_t i, struct unm_kring *of)
{
	struct unm_kring *k = fake_kring(d, m, true, i);
	const uint32_t dir = of->is_rx ? UNM_MON_OF_RX : UNM_MON_OF_TX, at = kring_number(d, k);
	uint32_t *link = &of->mon_head;

	while (*link != at)
		link = &d->seg.krings[*link].mon_next[dir];
	unm_store_release(link, k->mon_next[dir]);
	UNM_WRITE_ONCE(k->mon_of[dir], UNM_NONE);
	__atomic_fetch_add(&d->seg.hdr->epoch, 1, __ATOMIC_RELEASE);
}

uint32_t
fake_monitor_add(struct fake_domain *d, uint32_t watched, uint32_t mon_flags, uint32_t n_rx,
	uint32_t slots, uint32_t buf_size)
{
	const struct unm_seg_port *e = &d->seg.ports[watched];
	const struct fake_geometry g = {
		.kind = UNM_PORT_MONITOR,
		.n_tx = 1,
		.n_rx = n_rx,
		.slots = slots,
		.buf_size = mon_flags & UNM_MONF_ZCOPY ? 0 : buf_size,
		.region = mon_flags & UNM_MONF_ZCOPY ? d->region_of[watched] : 0,
	};
	const uint32_t m = fake_port_add(d, &g);
	uint32_t i;

	d->seg.ports[m].peer_port = watched;
	d->seg.ports[m].peer_gen = e->gen;
	d->seg.ports[m].mon_flags = mon_flags;
	for (i = 0; i < n_rx; i++) {
		if ((mon_flags & UNM_MONF_TX) && i < e->n_tx_rings)
			fake_monitor_link(d, m, i, fake_kring(d, watched, false, i));
		if ((mon_flags & UNM_MONF_RX) && i < e->n_rx_rings)
			fake_monitor_link(d, m, i, fake_kring(d, watched, true, i));
	}
	return m;
}

void
fake_port_set_state(struct fake_domain *d, uint32_t port, uint32_t state, uint32_t flags)
{
	UNM_WRITE_ONCE(d->seg.ports[port].state, state);
	UNM_WRITE_ONCE(d->seg.ports[port].flags, flags);
	__atomic_fetch_add(&d->seg.hdr->epoch, 1, __ATOMIC_RELEASE);
}

struct unm_kring *
fake_kring(const struct fake_domain *d, uint32_t port, bool is_rx, uint32_t i)
{
	const struct unm_seg_port *e = &d->seg.ports[port];

	return &d->seg.krings[e->kring_base + (is_rx ? e->n_tx_rings : 0) + i];
}

void
fake_port_set_offsets(
	struct fake_domain *d, uint32_t port, unsigned int bits, uint32_t max, uint32_t gap)
{
	const struct unm_seg_port *e = &d->seg.ports[port];
	uint32_t i;

	for (i = 0; i < e->n_tx_rings + e->n_rx_rings; i++) {
		struct unm_kring *k = &d->seg.krings[e->kring_base + i];

		k->offset_mask = (UINT64_C(1) << bits) - 1;
		k->offset_max = max;
		k->offset_gap = gap;
	}
}

void
fake_wake_all(struct fake_domain *d)
{
	const uint64_t one = 1;
	uint32_t i;

	for (i = 0; i < d->n_bindings; i++)
		must(write(d->eventfd[i], &one, sizeof(one)) == (ssize_t)sizeof(one), "eventfd");
}

static struct netmap_slot *
slot_of(struct fake_domain *d, const struct unm_kring *k, uint32_t pos)
{
	char *base = d->regions[d->region_of[k->port]].region.base;

	return &((struct netmap_ring *)(void *)(base + k->ring_ofs))->slot[pos];
}

void
fake_monitors_repair(struct fake_domain *d)
{
	uint32_t i;

	for (i = 0; i < d->kring_top; i++) {
		struct unm_kring *k = &d->seg.krings[i];
		struct unm_swap *x = &k->swap;
		struct netmap_slot *mine, *theirs;

		if (!x->is_open)
			continue;
		mine = slot_of(d, k, x->pos);
		theirs = slot_of(d, &d->seg.krings[x->of], x->of_pos);
		must(mine->buf_idx == x->mine || mine->buf_idx == x->theirs,
			"one of the two buffers");
		must(theirs->buf_idx == x->mine || theirs->buf_idx == x->theirs, "one of the two");
		mine->buf_idx = x->theirs;
		theirs->buf_idx = x->mine;
		x->is_open = 0;
	}
}

unsigned int
fake_client_died(struct fake_domain *d, uint32_t slot)
{
	unsigned int n = 0;
	uint32_t i;

	for (i = 0; i < d->kring_top; i++) {
		n += (unsigned int)unm_lock_break(&d->seg.krings[i].busy, slot);
		n += (unsigned int)unm_lock_break(&d->seg.krings[i].lock, slot);
	}
	fake_wake_all(d);
	return n;
}

uint64_t
fake_signals(const struct fake_domain *d, uint32_t b)
{
	uint64_t n = 0;

	return read(d->eventfd[b], &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

static uint32_t
env_slot(void)
{
	if (fake_slot_left == 0)
		return 0;
	if (fake_slot_left > 0)
		fake_slot_left--;
	return fake_slot;
}

static int
env_region_get(uint64_t uid, bool may_wait, struct unm_region **out)
{
	(void)may_wait;
	if (uid == the_domain->deny_uid || uid < FIRST_UID ||
		uid - FIRST_UID >= the_domain->n_regions)
		return -ENOENT;
	if (uid == the_domain->late_uid)
		return -EAGAIN;
	__atomic_fetch_add(&fake_region_refs, 1, __ATOMIC_RELAXED);
	*out = &the_domain->regions[uid - FIRST_UID].region;
	return 0;
}

static void
env_region_put(struct unm_region *region)
{
	must(region != NULL, "a region");
	__atomic_fetch_sub(&fake_region_refs, 1, __ATOMIC_RELAXED);
}

static int
env_wake_fd(const struct unm_seg *seg, uint32_t binding, uint32_t gen)
{
	(void)seg;
	return gen == LIVE_GEN && binding < the_domain->n_bindings ? the_domain->eventfd[binding]
								   : -1;
}

static void
env_lock_stuck(const struct unm_seg *seg, uint32_t kring, uint32_t word)
{
	(void)seg;
	(void)kring;
	(void)word;
	__atomic_fetch_add(&fake_stuck_calls, 1, __ATOMIC_RELAXED);
}

static const struct unm_env fake_env = {
	.slot = env_slot,
	.region_get = env_region_get,
	.region_put = env_region_put,
	.wake_fd = env_wake_fd,
	.lock_stuck = env_lock_stuck,
};

struct unm_bind_info
fake_bind_info(const struct fake_domain *d, uint32_t port, uint32_t binding)
{
	const struct unm_seg_port *e = &d->seg.ports[port];
	const struct unm_bind_info info = {
		.port = port,
		.port_gen = LIVE_GEN,
		.binding = binding,
		.binding_gen = LIVE_GEN,
		.kind = e->kind,
		.tx_hi = e->n_tx_rings,
		.rx_hi = e->n_rx_rings,
		.nifp_ofs = (uint64_t)port * IF_SIZE,
	};

	return info;
}

int
fake_port_try_open(struct fake_domain *d, const struct unm_bind_info *info, const int *fds,
	struct unm_bport **out)
{
	return unm_bport_open(
		out, &fake_env, &d->seg, &d->regions[d->region_of[info->port]].region, info, fds);
}

struct unm_bport *
fake_port_open_info(struct fake_domain *d, const struct unm_bind_info *info, const int *fds)
{
	struct unm_bport *bp = NULL;

	must(fake_port_try_open(d, info, fds, &bp) == 0, "bport_open");
	return bp;
}

struct unm_bport *
fake_port_open(struct fake_domain *d, uint32_t port)
{
	const struct unm_bind_info info = fake_bind_info(d, port, d->seg.ports[port].bind_head);

	return fake_port_open_info(d, &info, NULL);
}
