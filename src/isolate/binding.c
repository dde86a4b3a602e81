/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port for an isolated client. See broker.h.
 *
 * We open it as any client would, on a descriptor of our own, and give the client the region of
 * that port, which netmapd has made for it alone (UNM_MSG_BROKER), and a segment that we make here.
 * The segment is committed as a whole and sealed: the client can neither make us fault nor take
 * memory by it.
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

/* Positions of a ring that was opened just now, or is shared by bindings of one client. */
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

	k->ring = r;
	k->atok = atok;
	k->ktoa = ktoa;
	k->num_slots = r->num_slots;
	k->is_rx = r->is_rx;
	read_positions(r, k);
	standin->ring_id = r->ring_id;
	standin->is_rx = r->is_rx;
	standin->num_slots = r->num_slots;
	standin->ring_ofs = r->kring->ring_ofs;
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
	port->gen = STANDIN_GEN;
	port->state = UNM_PORT_ACTIVE;
	port->kind = UNM_PORT_ISOLATED;
	port->flags &= UNM_PORTF_LINK_DOWN;
	port->kring_base = 0;
	port->bind_head = 0;
	port->peer_port = UNM_NONE;
	bind->gen = STANDIN_GEN;
	bind->next = UNM_NONE;
	bind->in_use = 1;
	b->pump.standin = port;
	b->pump.link_flags = port->flags;
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
}

/* --- memory --- */

/* Bytes that one more binding of this region would take of the policy's share. */
static uint64_t
cost_of(const struct unm_broker *br, const struct unm_ibinding *b)
{
	const struct unm_idesc *d;

	for (d = br->descs; d != NULL; d = d->next)
		if (d->binding != NULL && d->binding != b &&
			d->binding->info.region.uid == b->info.region.uid)
			return b->mem.size;
	return b->mem.size + b->info.region.size;
}

/* --- making and ending --- */

static void
destroy(struct unm_ibinding *b)
{
	if (b->own != NULL)
		unm_file_put(&b->own->file);
	if (b->fd >= 0)
		unm_desc_close(b->fd);
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
open_port(struct unm_ibinding *b, struct nmreq_header *hdr, struct unm_reason *why)
{
	const struct unm_bind_info *own;
	int err;

	b->fd = unm_desc_open(O_RDWR | O_CLOEXEC);
	if (b->fd < 0)
		return unm_fail(why, b->fd, "%s", unm_last_error());
	b->own = unm_device_hold(b->fd);
	err = b->own == NULL ? -ENOMEM : unm_ctrl(b->own, (uintptr_t)hdr);
	if (err < 0)
		return unm_fail(why, err, "%s", unm_last_error());
	/* Whatever the name was: what leaves this process is the memory of one VALE port. */
	own = &unm_desc_binding(b->own)->info;
	if (own->kind != UNM_PORT_VALE || (own->region.flags & UNM_REGIONF_GLOBAL))
		return unm_fail(why, -EOPNOTSUPP, "isolated clients open ports of VALE switches");
	return 0;
}

/* All that the client gets besides the region. */
static int
equip(struct unm_ibinding *b, const struct unm_idesc *d)
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
		err = fill_segment(b, bp);
	if (err < 0)
		return err;
	fill_info(b, d, &own->info);
	b->pump.port_fd = own->event_fd;
	b->pump.kick_fd = b->kick_fd;
	b->pump.call_fd = b->call_fd;
	return 0;
}

int
unm_ibinding_new(struct unm_broker *br, struct unm_idesc *d, struct nmreq_header *hdr,
	struct unm_reason *why)
{
	struct unm_ibinding *b = calloc(1, sizeof(*b));
	uint64_t cost = 0;
	int err;

	if (b == NULL)
		return -ENOMEM;
	b->fd = b->mem.memfd = b->call_fd = b->kick_fd = -1;
	err = open_port(b, hdr, why);
	if (err == 0) {
		err = equip(b, d);
		if (err < 0)
			unm_fail(why, err,
				err == -EOPNOTSUPP ? "a port has at most %u rings here"
						   : "the broker can't have the memory it needs",
				UNM_SEG_NKRINGS_ISO);
	}
	if (err == 0) {
		cost = cost_of(br, b);
		if (cost > br->policy.max_memory - br->memory)
			err = unm_fail(why, -ENOMEM,
				"this socket's clients may have %llu MiB in all, and %llu are in "
				"use "
				"(memory= of nmctl isolate create)",
				(unsigned long long)br->policy.max_memory >> 20,
				(unsigned long long)br->memory >> 20);
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
	d->binding = b;
	br->memory += cost;
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
	cost = cost_of(br, b);
	d->binding = NULL;
	br->memory -= cost;
	br->n_bindings--;
	destroy(b);
}

void
unm_ibinding_break_locks(const struct unm_ibinding *b, uint32_t slot)
{
	struct unm_seg_hdr own = {0};
	struct unm_kring *krings;
	const uint64_t one = 1;
	uint32_t i;

	unm_seg_layout(&own, UNM_SEG_ISOLATED);
	krings = (struct unm_kring *)(void *)((char *)b->mem.map + own.kring_ofs);
	for (i = 0; i < own.n_krings; i++)
		unm_lock_break(&krings[i].busy, slot);
	/* It may have taken a mark without signalling whom it meant. */
	(void)!write(b->call_fd, &one, sizeof(one));
}

void
unm_ibinding_fds(const struct unm_idesc *d, int *fds)
{
	const struct unm_ibinding *b = d->binding;

	fds[0] = d->src.fd;
	fds[1] = unm_desc_binding(b->own)->region->memfd;
	fds[2] = b->kick_fd;
	fds[3] = b->mem.memfd;
	fds[4] = b->call_fd;
}
