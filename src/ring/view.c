/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking a mapped segment into use. See view.h. */
#include "ring/view.h"

#include <errno.h>
#include <stddef.h>

#include "ring/slot.h"
#include "shm/atomic.h"

int
unm_seg_attach(struct unm_seg *seg, void *map, uint64_t size)
{
	struct unm_seg_hdr *h = map;
	const int err = unm_seg_check(h, size);
	struct unm_seg_hdr own = {0};

	if (err != 0)
		return err;
	/*
	 * unm_seg_check() found the header equal to what the constants of this version give: use
	 * the constants.
	 */
	unm_seg_layout(&own, UNM_READ_ONCE(h->type));
	if (own.size != size)
		return -EINVAL;
	seg->hdr = h;
	seg->uid = UNM_READ_ONCE(h->uid);
	seg->fdb = own.n_fdb_buckets ? (struct unm_fdb_bucket *)((char *)map + own.fdb_ofs) : NULL;
	seg->ports = (struct unm_seg_port *)((char *)map + own.port_ofs);
	seg->bindings = (struct unm_seg_binding *)((char *)map + own.bind_ofs);
	seg->krings = (struct unm_kring *)((char *)map + own.kring_ofs);
	seg->n_ports = own.n_ports;
	seg->n_bindings = own.n_bindings;
	seg->n_krings = own.n_krings;
	seg->n_fdb_buckets = own.n_fdb_buckets;
	return 0;
}

static int
pool_ok(uint64_t ofs, uint32_t num, uint32_t size, uint64_t region_size)
{
	return size > 0 && num > 0 && ofs <= region_size &&
	       (uint64_t)num * size <= region_size - ofs;
}

int
unm_region_check(const struct unm_region_info *info)
{
	if (!pool_ok(info->if_ofs, info->if_num, info->if_size, info->size) ||
		!pool_ok(info->ring_ofs, info->ring_num, info->ring_size, info->size) ||
		!pool_ok(info->buf_ofs, info->buf_num, info->buf_size, info->size))
		return -EINVAL;
	/*
	 * The data path copies whole lines where addresses are multiples of 64: those must be whole
	 * lines of a buffer.
	 */
	if (info->buf_ofs % 64 != 0 || info->buf_size % 64 != 0)
		return -EINVAL;
	return info->buf_size <= 65536 && info->buf_num > 2 ? 0 : -EINVAL;
}

struct netmap_ring *
unm_region_ring(const struct unm_region *region, const struct unm_kring *k, uint32_t min_slots,
	uint32_t *num_slots)
{
	const uint64_t ofs = UNM_READ_ONCE(k->ring_ofs);
	const uint32_t n = UNM_READ_ONCE(k->num_slots);
	const uint64_t need = sizeof(struct netmap_ring) + (uint64_t)n * sizeof(struct netmap_slot);
	const uint64_t size = region->info.size;

	if (n < min_slots || n > UNM_RING_MAX_SLOTS || ofs % UNM_RING_ALIGN != 0 || ofs > size ||
		need > size - ofs)
		return NULL;
	*num_slots = n;
	return (struct netmap_ring *)(void *)(region->base + ofs);
}

bool
unm_seg_port_read(const struct unm_seg_port *e, struct unm_seg_port *copy)
{
	const uint32_t gen = unm_load_acquire(&e->gen);

	if (gen & 1)
		return false;
	copy->gen = gen;
	copy->state = UNM_READ_ONCE(e->state);
	copy->kind = UNM_READ_ONCE(e->kind);
	copy->flags = UNM_READ_ONCE(e->flags);
	copy->region_uid = UNM_READ_ONCE(e->region_uid);
	copy->n_tx_rings = UNM_READ_ONCE(e->n_tx_rings);
	copy->n_host_tx_rings = UNM_READ_ONCE(e->n_host_tx_rings);
	copy->n_rx_rings = UNM_READ_ONCE(e->n_rx_rings);
	copy->kring_base = UNM_READ_ONCE(e->kring_base);
	copy->max_frame = UNM_READ_ONCE(e->max_frame);
	copy->vnet_hdr_len = UNM_READ_ONCE(e->vnet_hdr_len);
	copy->vnet_lacks = UNM_READ_ONCE(e->vnet_lacks);
	copy->mon_flags = UNM_READ_ONCE(e->mon_flags);
	/*
	 * The copies above, then the generation again: pairs with netmapd's release of an odd
	 * generation before it writes the entry.
	 */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return UNM_READ_ONCE(e->gen) == gen && copy->state == UNM_PORT_ACTIVE;
}
