/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port for an isolated client. See broker.h.
 *
 * We open it as any client would, on a descriptor of our own, and give the client a region
 * (memory.h) and a segment that we make here. They are committed as a whole and sealed, so that they
 * keep their size; pages of them the client can take away, and then we wait, or pay, and nobody else.
 */
/* Syscalls: memfd_create ftruncate fallocate fcntl mmap munmap eventfd2 close getrandom */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "client/csb.h"
#include "client/ctrl.h"
#include "client/device.h"
#include "client/session.h"
#include "isolate/broker.h"
#include "ring/kring.h"
#include "shm/lock.h"

#define STANDIN_GEN 2u /* even: not being changed */

/* --- the client's segment --- */

static int
map_segment(struct unm_ibinding *b)
{
	const unsigned int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct unm_seg_hdr h = {0};
	void *p;

	unm_seg_layout(&h, UNM_SEG_ISOLATED);
	b->mem.size = h.size;
	b->mem.memfd = memfd_create("unetmap-isolated", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (b->mem.memfd < 0 || ftruncate(b->mem.memfd, (off_t)h.size) < 0 ||
		fallocate(b->mem.memfd, 0, 0, (off_t)h.size) < 0 ||
		fcntl(b->mem.memfd, F_ADD_SEALS, seals) < 0)
		return -errno;
	p = mmap(NULL, h.size, PROT_READ | PROT_WRITE, MAP_SHARED, b->mem.memfd, 0);
	if (p == MAP_FAILED)
		return -errno;
	b->mem.map = p;
	memcpy(h.name, "isolated", sizeof("isolated"));
	if (getrandom(&h.uid, sizeof(h.uid), 0) != sizeof(h.uid))
		return -EIO;
	h.uid |= 1; /* never 0 */
	memcpy(p, &h, sizeof(h));
	b->info.seg_uid = h.uid;
	b->info.seg_size = h.size;
	return 0;
}

/* Positions of a ring that was opened just now. */
static void
read_positions(const struct unm_bring *r, struct unm_pump_ring *k)
{
	const uint32_t n = r->num_slots;
	const uint32_t hwcur = UNM_READ_ONCE(r->kring->hwcur);
	const uint32_t last = r->is_rx ? hwcur : UNM_READ_ONCE(r->kring->last_head);
	const uint32_t tail = UNM_READ_ONCE(r->kring->pub_tail);

	k->head = last < n ? last : 0;
	k->hwcur = hwcur < n ? hwcur : k->head;
	k->tail = tail < n ? tail : (r->is_rx ? k->head : unm_pos_prev(k->head, n));
	if (r->is_rx)
		k->tail = k->head; /* nothing has been copied */
	k->copy.ring->head = k->copy.ring->cur = k->head;
	k->copy.ring->tail = k->tail;
}

static void
fill_ring(struct unm_ibinding *b, uint32_t i, struct unm_kring *standin)
{
	struct unm_bring *r = unm_csb_ring(b->pump.bport, i);
	struct unm_pump_ring *k = &b->pump.rings[i];
	struct nm_csb_atok *atok =
		&unm_iso_atok(b->mem.map, ((struct unm_seg_hdr *)b->mem.map)->csb_ofs)[i];
	struct nm_csb_ktoa *ktoa =
		&unm_iso_ktoa(b->mem.map, ((struct unm_seg_hdr *)b->mem.map)->csb_ofs)[i];
	uint64_t ring_ofs;

	k->ring = r;
	k->atok = atok;
	k->ktoa = ktoa;
	k->num_slots = r->num_slots;
	k->is_rx = r->is_rx;
	unm_copy_mem_ring(&b->copy, i, &k->copy, &ring_ofs);
	read_positions(r, k);
	standin->ring_id = r->ring_id;
	standin->is_rx = r->is_rx;
	standin->num_slots = r->num_slots;
	standin->ring_ofs = ring_ofs;
	standin->offset_max = r->kring->offset_max;
	standin->offset_gap = r->kring->offset_gap;
	standin->offset_mask = r->kring->offset_mask;
	standin->mon_head = UNM_NONE; /* the broker's own syncs show frames to monitors */
	standin->hwcur = k->head;
	standin->last_head = k->head;
	standin->pub_tail = k->tail;
	standin->hwtail = k->tail;
	atok->head = atok->cur = k->head;
	ktoa->hwcur = k->hwcur;
	ktoa->hwtail = k->tail;
	ktoa->kern_need_kick = 1;
}

/* What a trusted client would find in the tables of netmapd, for the one port. */
static int
fill_segment(struct unm_ibinding *b, const struct unm_bport *bp)
{
	struct unm_seg_hdr *h = b->mem.map;
	const struct unm_seg_port *e = &bp->seg->ports[bp->info.port];
	struct unm_seg_port *port =
		(struct unm_seg_port *)(void *)((char *)b->mem.map + h->port_ofs);
	struct unm_seg_binding *bind =
		(struct unm_seg_binding *)(void *)((char *)b->mem.map + h->bind_ofs);
	struct unm_kring *krings = (struct unm_kring *)(void *)((char *)b->mem.map + h->kring_ofs);
	const uint32_t n_tx = UNM_READ_ONCE(e->n_tx_rings) + UNM_READ_ONCE(e->n_host_tx_rings);
	const uint32_t n_rx = UNM_READ_ONCE(e->n_rx_rings) + UNM_READ_ONCE(e->n_host_rx_rings);
	uint32_t i;

	if (n_tx > UNM_SEG_NKRINGS_ISO || n_rx > UNM_SEG_NKRINGS_ISO - n_tx)
		return -EOPNOTSUPP;
	memcpy(port, e, offsetof(struct unm_seg_port, room_wanted));
	port->region_uid = b->copy.info.uid;
	port->gen = STANDIN_GEN;
	port->state = UNM_PORT_ACTIVE;
	port->kind = UNM_PORT_ISOLATED;
	port->flags &= UNM_ISO_PORT_FLAGS;
	port->kring_base = 0;
	port->bind_head = 0;
	port->peer_port = UNM_NONE;
	bind->gen = STANDIN_GEN;
	bind->next = UNM_NONE;
	bind->in_use = 1;
	b->pump.standin = port;
	b->pump.port_flags = port->flags;
	for (i = 0; i < bp->n_tx + bp->n_rx; i++) {
		const uint32_t at =
			i < bp->n_tx ? bp->info.tx_lo + i : n_tx + bp->info.rx_lo + (i - bp->n_tx);

		if (at >= n_tx + n_rx)
			return -EINVAL;
		fill_ring(b, i, &krings[at]);
	}
	return 0;
}

static void
fill_info(struct unm_ibinding *b, const struct unm_idesc *d, const struct unm_bind_info *own)
{
	const uint64_t uid = b->info.seg_uid, size = b->info.seg_size;

	b->info = *own;
	b->info.seg_uid = uid;
	b->info.seg_size = size;
	memcpy(b->info.desc_id, d->id, sizeof(d->id));
	b->info.port = b->info.binding = 0;
	b->info.port_gen = b->info.binding_gen = STANDIN_GEN;
	b->info.kind = UNM_PORT_ISOLATED;
	b->info.n_port_fds = b->info.host_fd = b->info.n_host_fds = 0;
	b->info.region = b->copy.info;
	b->info.nifp_ofs = b->copy.info.if_ofs;
	b->info.n_extra_bufs = b->copy.n_extra;
}

/* --- memory --- */

/* Bytes of the policy's share that the binding takes, beside those that others have. */
static uint64_t
cost_of(const struct unm_ibinding *b)
{
	struct unm_seg_hdr h = {0};

	unm_seg_layout(&h, UNM_SEG_ISOLATED);
	/* Ours, and as much for the port: its own rings, or a pipe's other end. */
	return h.size + 2 * unm_copy_mem_size(unm_desc_binding(b->own)->bport, b->copy.n_extra);
}

static int
check_memory(const struct unm_broker *br, const struct unm_ibinding *b, struct unm_reason *why)
{
	if (unm_copy_mem_size(unm_desc_binding(b->own)->bport, b->copy.n_extra) == 0)
		return unm_fail(why, -ENOMEM, "%u extra buffers are too many", b->copy.n_extra);
	if (cost_of(b) <= br->policy.max_memory - br->memory)
		return 0;
	return unm_fail(why, -ENOMEM,
		"this socket's clients may have %llu MiB in all, and %llu are in use "
		"(memory= of nmctl isolate create)",
		(unsigned long long)br->policy.max_memory >> 20,
		(unsigned long long)br->memory >> 20);
}

/* nr_mem_id tells an application which ports have the same memory: none has that of a copy. */
static uint32_t
new_region_id(struct unm_broker *br)
{
	const struct unm_idesc *d;

	do { /* there are far fewer bindings than numbers */
		br->last_region_id =
			br->last_region_id > UNM_REGION_LAST_ID && br->last_region_id < UINT16_MAX
				? br->last_region_id + 1
				: UNM_REGION_LAST_ID + 1;
		for (d = br->descs; d != NULL; d = d->next)
			if (d->binding != NULL && d->binding->info.region.id == br->last_region_id)
				break;
	} while (d != NULL);
	return br->last_region_id;
}

/* --- making and ending --- */

static void
close_own(struct unm_ibinding *b)
{
	if (b->own != NULL)
		unm_file_put(&b->own->file);
	if (b->fd >= 0)
		unm_desc_close(b->fd);
	b->own = NULL;
	b->fd = -1;
}

static void
destroy(struct unm_ibinding *b)
{
	close_own(b);
	unm_copy_mem_end(&b->copy);
	if (b->mem.map != NULL)
		munmap(b->mem.map, b->mem.size);
	if (b->mem.memfd >= 0)
		close(b->mem.memfd);
	if (b->call_fd >= 0)
		close(b->call_fd);
	if (b->kick_fd >= 0)
		close(b->kick_fd);
	free(b->pump.rings);
	free(b);
}

static int
open_own(struct unm_ibinding *b, struct unm_reason *why)
{
	b->fd = unm_desc_open(O_RDWR | O_CLOEXEC);
	if (b->fd < 0)
		return unm_fail(why, b->fd, "%s", unm_last_error());
	b->own = unm_device_hold(b->fd);
	return b->own == NULL ? -ENOMEM : 0;
}

static int
open_port(const struct unm_broker *br, struct unm_ibinding *b, struct nmreq_header *hdr,
	struct unm_reason *why)
{
	struct nmreq_register *reg = (struct nmreq_register *)(uintptr_t)hdr->nr_body;
	const struct nmreq_register wanted = *reg;
	int err = open_own(b, why);

	if (err < 0)
		return err;
	reg->nr_flags |= NR_EXCLUSIVE; /* we alone move its positions */
	reg->nr_extra_bufs = 0;
	b->copy.n_extra = wanted.nr_extra_bufs;
	err = unm_ctrl_within(b->own, (uintptr_t)hdr, unm_broker_room(br));
	if (err == 0)
		reg->nr_flags = wanted.nr_flags;
	else
		*reg = wanted;
	return err < 0 ? unm_fail(why, err, "%s", unm_last_error()) : 0;
}

/* All that the client gets. */
static int
equip(struct unm_broker *br, struct unm_ibinding *b, const struct unm_idesc *d)
{
	const struct unm_binding *own = unm_desc_binding(b->own);
	struct unm_bport *bp = own->bport;
	int err;

	bp->is_foreign = true;
	b->pump.bport = bp;
	b->pump.n_rings = bp->n_tx + bp->n_rx;
	b->pump.rings = calloc(b->pump.n_rings + 1, sizeof(*b->pump.rings));
	b->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->pump.rings == NULL || b->call_fd < 0 || b->kick_fd < 0)
		return -ENOMEM;
	err = map_segment(b);
	if (err == 0)
		err = unm_copy_mem_new(&b->copy, bp, new_region_id(br), b->copy.n_extra);
	if (err == 0)
		err = fill_segment(b, bp);
	if (err < 0)
		return err;
	fill_info(b, d, &own->info);
	b->pump.port_fd = own->event_fd;
	b->pump.kick_fd = b->kick_fd;
	b->pump.call_fd = b->call_fd;
	return 0;
}

/* The application is told of the memory that it has. */
static void
fill_results(const struct unm_ibinding *b, struct nmreq_register *reg)
{
	reg->nr_offset = b->info.nifp_ofs;
	reg->nr_memsize = b->info.region.size;
	reg->nr_mem_id = (uint16_t)b->info.region.id;
	reg->nr_extra_bufs = b->info.n_extra_bufs;
}

int
unm_ibinding_new(struct unm_broker *br, struct unm_idesc *d, struct nmreq_header *hdr,
	struct unm_reason *why)
{
	struct unm_ibinding *b = calloc(1, sizeof(*b));
	int err;

	if (b == NULL)
		return -ENOMEM;
	b->fd = b->mem.memfd = b->call_fd = b->kick_fd = b->copy.fd = -1;
	err = open_port(br, b, hdr, why);
	if (err == 0)
		err = check_memory(br, b, why);
	if (err == 0) {
		err = equip(br, b, d);
		if (err < 0)
			unm_fail(why, err,
				err == -EOPNOTSUPP ? "a port has at most %u rings here"
						   : "the broker can't have the memory it needs",
				UNM_SEG_NKRINGS_ISO);
	}
	if (err == 0) {
		err = unm_pump_add(br->pump, &b->pump);
		if (err < 0)
			unm_fail(why, err, "the broker is out of memory or descriptors");
	}
	if (err < 0) {
		destroy(b);
		return err;
	}
	fill_results(b, (struct nmreq_register *)(uintptr_t)hdr->nr_body);
	br->memory += cost_of(b);
	d->binding = b;
	br->n_bindings++;
	return 0;
}

void
unm_ibinding_end(struct unm_broker *br, struct unm_idesc *d)
{
	struct unm_ibinding *b = d->binding;
	uint64_t cost;

	if (b == NULL)
		return;
	unm_pump_remove(br->pump, &b->pump);
	cost = cost_of(b);
	d->binding = NULL;
	br->memory -= cost;
	br->n_bindings--;
	destroy(b);
}

void
unm_ibinding_break_locks(struct unm_broker *br, struct unm_ibinding *b, uint32_t slot)
{
	struct unm_seg_hdr own = {0};
	struct unm_kring *krings;
	uint32_t i;

	unm_seg_layout(&own, UNM_SEG_ISOLATED);
	krings = (struct unm_kring *)(void *)((char *)b->mem.map + own.kring_ofs);
	for (i = 0; i < own.n_krings; i++)
		unm_lock_break(&krings[i].busy, slot);
	/* It may have taken a mark without signalling whom it meant. */
	unm_pump_call(br->pump, &b->pump);
}

void
unm_ibinding_fds(const struct unm_idesc *d, int *fds)
{
	const struct unm_ibinding *b = d->binding;

	fds[0] = d->src.fd;
	fds[1] = b->copy.fd;
	fds[2] = b->kick_fd;
	fds[3] = b->mem.memfd;
	fds[4] = b->call_fd;
}
