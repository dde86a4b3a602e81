/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing interfaces, rings and buffer lists into a region. See format.h. */
#include "daemon/format.h"

#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>

#include "net/netmap.h"
#include "ring/kring.h"

static_assert(offsetof(struct netmap_ring, slot) == UNM_RING_HDR_SIZE, "slots follow the header");
static_assert(sizeof(struct netmap_slot) == UNM_SLOT_SIZE, "slot size");

int
unm_format_ring(const struct unm_dregion *r, const struct unm_ring_format *f)
{
	const size_t len = unm_format_ring_bytes(f->num_slots);
	struct netmap_ring *ring;
	void *mem;
	uint32_t i;
	int ret;

	if (posix_memalign(&mem, NM_CACHE_ALIGN, len) != 0)
		return -ENOMEM;
	ring = memset(mem, 0, len);
	/* The constant fields are const for applications. */
	*(int64_t *)(uintptr_t)&ring->buf_ofs = (int64_t)(r->info.buf_ofs - f->ring_ofs);
	*(uint32_t *)(uintptr_t)&ring->num_slots = f->num_slots;
	*(uint32_t *)(uintptr_t)&ring->nr_buf_size = r->info.buf_size;
	*(uint16_t *)(uintptr_t)&ring->ringid = (uint16_t)f->ring_id;
	*(uint16_t *)(uintptr_t)&ring->dir = f->is_rx ? 1 : 0;
	if (!f->is_rx && f->num_slots > 0)
		ring->tail = f->num_slots - 1;
	for (i = 0; i < f->num_slots && f->bufs != NULL; i++) {
		ring->slot[i].buf_idx = f->bufs[i];
		ring->slot[i].len = (uint16_t)(r->info.buf_size > 65535 ? 65535 : r->info.buf_size);
	}
	ret = unm_dregion_write(r, f->ring_ofs, ring, len);
	free(ring);
	return ret;
}

int
unm_format_ring_rewind(const struct unm_dregion *r, uint64_t ring_ofs)
{
	uint32_t head;
	int ret = unm_dregion_read(
		r, ring_ofs + offsetof(struct netmap_ring, head), &head, sizeof(head));

	if (ret == 0)
		ret = unm_dregion_write(
			r, ring_ofs + offsetof(struct netmap_ring, cur), &head, sizeof(head));
	return ret;
}

/* Slots [from, to) look as in a fresh ring to who does not set their flags. */
static int
clear_flags(const struct unm_dregion *r, uint64_t ring_ofs, uint32_t n, uint32_t from, uint32_t to)
{
	const size_t len = (size_t)n * UNM_SLOT_SIZE;
	struct netmap_slot *slots = malloc(len);
	int ret = -ENOMEM;
	uint32_t i;

	if (slots != NULL)
		ret = unm_dregion_read(r, ring_ofs + UNM_RING_HDR_SIZE, slots, len);
	for (i = from; ret == 0 && i != to; i = unm_pos_next(i, n)) /* less than n turns */
		slots[i].flags = 0;
	if (ret == 0)
		ret = unm_dregion_write(r, ring_ofs + UNM_RING_HDR_SIZE, slots, len);
	free(slots);
	return ret;
}

int
unm_format_ring_restart(
	const struct unm_dregion *r, uint64_t ring_ofs, uint32_t n, uint32_t pos, uint32_t end)
{
	const uint32_t head_cur[2] = {pos, pos};
	uint32_t head;
	int ret = unm_dregion_read(
		r, ring_ofs + offsetof(struct netmap_ring, head), &head, sizeof(head));

	_Static_assert(offsetof(struct netmap_ring, cur) ==
			       offsetof(struct netmap_ring, head) + sizeof(head),
		"they are written together");
	if (ret == 0 && head != pos)
		ret = clear_flags(r, ring_ofs, n, pos, end);
	if (ret == 0)
		ret = unm_dregion_write(r, ring_ofs + offsetof(struct netmap_ring, head), head_cur,
			sizeof(head_cur));
	return ret;
}

int
unm_format_offsets(const struct unm_dregion *r, uint64_t ring_ofs, uint32_t num_slots,
	uint64_t mask, uint64_t initial, bool set_slots)
{
	const size_t len = (size_t)num_slots * UNM_SLOT_SIZE;
	struct netmap_slot *slots;
	uint32_t i;
	int ret;

	ret = unm_dregion_write(
		r, ring_ofs + offsetof(struct netmap_ring, offset_mask), &mask, sizeof(mask));
	if (ret < 0 || !set_slots || num_slots == 0)
		return ret;
	slots = malloc(len);
	if (slots == NULL)
		return -ENOMEM;
	ret = unm_dregion_read(r, ring_ofs + UNM_RING_HDR_SIZE, slots, len);
	for (i = 0; i < num_slots && ret == 0; i++)
		slots[i].ptr = initial;
	if (ret == 0)
		ret = unm_dregion_write(r, ring_ofs + UNM_RING_HDR_SIZE, slots, len);
	free(slots);
	return ret;
}

int
unm_format_slot_bufs(
	const struct unm_dregion *r, uint64_t ring_ofs, uint32_t num_slots, uint32_t *bufs)
{
	const size_t len = (size_t)num_slots * UNM_SLOT_SIZE;
	struct netmap_slot *slots;
	uint32_t i;
	int ret;

	if (num_slots == 0)
		return 0;
	slots = malloc(len);
	if (slots == NULL)
		return -ENOMEM;
	ret = unm_dregion_read(r, ring_ofs + UNM_RING_HDR_SIZE, slots, len);
	for (i = 0; i < num_slots && ret == 0; i++)
		bufs[i] = slots[i].buf_idx;
	free(slots);
	return ret;
}

uint64_t
unm_format_if_bytes(uint32_t n_tx, uint32_t n_rx)
{
	return sizeof(struct netmap_if) + ((uint64_t)n_tx + n_rx + 2) * sizeof(ssize_t);
}

int
unm_format_if(const struct unm_dregion *r, const struct unm_if_format *f)
{
	const size_t len = unm_format_if_bytes(f->n_tx, f->n_rx);
	struct netmap_if *nifp = calloc(1, len);
	ssize_t *ofs;
	uint32_t i;
	int ret;

	if (nifp == NULL)
		return -ENOMEM;
	snprintf(nifp->ni_name, sizeof(nifp->ni_name), "%.*s", (int)sizeof(nifp->ni_name) - 1,
		f->name);
	*(uint32_t *)(uintptr_t)&nifp->ni_flags = f->is_private ? NI_PRIV_MEM : 0;
	*(uint32_t *)(uintptr_t)&nifp->ni_tx_rings = f->n_tx - f->n_host_tx;
	*(uint32_t *)(uintptr_t)&nifp->ni_rx_rings = f->n_rx - f->n_host_rx;
	*(uint32_t *)(uintptr_t)&nifp->ni_host_tx_rings = f->n_host_tx > 0 ? f->n_host_tx : 1;
	*(uint32_t *)(uintptr_t)&nifp->ni_host_rx_rings = f->n_host_rx > 0 ? f->n_host_rx : 1;
	nifp->ni_bufs_head = f->extra_head;
	ofs = (ssize_t *)(uintptr_t)nifp->ring_ofs;
	for (i = 0; i < f->n_tx + f->n_rx; i++) {
		/* without host tx rings there is an empty entry between tx and rx rings */
		const uint32_t at = i < f->n_tx || f->n_host_tx > 0 ? i : i + 1;

		if (f->ring_ofs[i] != 0)
			ofs[at] = (ssize_t)(f->ring_ofs[i] - f->if_ofs);
	}
	ret = unm_dregion_write(r, f->if_ofs, nifp, len);
	free(nifp);
	return ret;
}

static uint64_t
buf_pos(const struct unm_dregion *r, uint32_t idx)
{
	return r->info.buf_ofs + (uint64_t)idx * r->info.buf_size;
}

int
unm_format_extra_link(const struct unm_dregion *r, const uint32_t *bufs, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		const uint32_t next = i + 1 < n ? bufs[i + 1] : 0;
		const int ret = unm_dregion_write(r, buf_pos(r, bufs[i]), &next, sizeof(next));

		if (ret < 0)
			return ret;
	}
	return 0;
}

int
unm_format_extra_head(const struct unm_dregion *r, uint64_t if_ofs, uint32_t *head)
{
	return unm_dregion_read(
		r, if_ofs + offsetof(struct netmap_if, ni_bufs_head), head, sizeof(*head));
}

int
unm_format_extra_next(const struct unm_dregion *r, uint32_t idx, uint32_t *next)
{
	return unm_dregion_read(r, buf_pos(r, idx), next, sizeof(*next));
}
