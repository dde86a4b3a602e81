/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of ports that are copied. See memory.h. */
/* Syscalls: memfd_create ftruncate fallocate fcntl mmap munmap close getrandom */
#include "isolate/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "ring/slot.h"
#include "shm/atomic.h"

#define PAGE	  UINT64_C(4096)
#define MAX_EXTRA 1000000u
#define MAX_BUFS  (UINT32_C(1) << 21) /* 4 GiB: the legacy API's nr_memsize has 32 bits */

static uint64_t
round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

/* --- layout --- */

static uint64_t
if_bytes(const struct unm_bport *bp)
{
	const struct unm_seg_port *e = &bp->seg->ports[bp->info.port];
	const uint64_t n = (uint64_t)UNM_READ_ONCE(e->n_tx_rings) + UNM_READ_ONCE(e->n_rx_rings) +
			   UNM_READ_ONCE(e->n_host_tx_rings) + UNM_READ_ONCE(e->n_host_rx_rings);

	/* Never more than four times UNM_PORT_MAX_RINGS: bport.c has checked. */
	return sizeof(struct netmap_if) + (n % (4 * UNM_PORT_MAX_RINGS + 1) + 2) * sizeof(ssize_t);
}

/* Return: 0, or -EINVAL: too large. */
static int
lay_out(struct unm_region_info *info, const struct unm_bport *bp, uint32_t n_extra)
{
	const uint32_t n_rings = bp->n_tx + bp->n_rx;
	uint32_t most = 0, i;
	uint64_t n_bufs = UNM_BUF_FIRST + 1; /* a region has three at least */

	for (i = 0; i < n_rings; i++) {
		const uint32_t n = bp->tx[i].num_slots; /* rx rings follow in the same array */

		n_bufs += n;
		most = n > most ? n : most;
	}
	if (n_extra > MAX_EXTRA || n_bufs + n_extra > MAX_BUFS)
		return -EINVAL;
	memset(info, 0, sizeof(*info));
	info->if_num = 1;
	info->if_size = (uint32_t)round_up(if_bytes(bp), UNM_RING_ALIGN);
	info->ring_ofs = round_up(info->if_size, PAGE);
	info->ring_num = n_rings > 0 ? n_rings : 1;
	info->ring_size = (uint32_t)round_up(
		sizeof(struct netmap_ring) + most * sizeof(struct netmap_slot), UNM_RING_ALIGN);
	info->buf_ofs = round_up(info->ring_ofs + (uint64_t)info->ring_num * info->ring_size, PAGE);
	info->buf_num = (uint32_t)n_bufs + n_extra;
	info->buf_size = bp->region->info.buf_size;
	info->size = round_up(info->buf_ofs + (uint64_t)info->buf_num * info->buf_size, PAGE);
	return 0;
}

uint64_t
unm_copy_mem_size(const struct unm_bport *bp, uint32_t n_extra)
{
	struct unm_region_info info;

	return lay_out(&info, bp, n_extra) == 0 ? info.size : 0;
}

void
unm_copy_mem_ring(
	const struct unm_copy_mem *m, uint32_t i, struct unm_copy_ring *out, uint64_t *ring_ofs)
{
	*ring_ofs = m->info.ring_ofs + (uint64_t)i * m->info.ring_size;
	out->ring = (struct netmap_ring *)(void *)(m->map + *ring_ofs);
	out->bufs = m->map + m->info.buf_ofs;
	out->buf_size = m->info.buf_size;
	out->n_bufs = m->info.buf_num;
}

/* --- what the client finds in it; the fields are const for applications --- */

static uint32_t
fill_ring(const struct unm_copy_mem *m, const struct unm_bring *r, uint32_t i, uint32_t buf)
{
	struct unm_copy_ring c;
	uint64_t ofs;
	uint32_t k;

	unm_copy_mem_ring(m, i, &c, &ofs);
	*(int64_t *)(uintptr_t)&c.ring->buf_ofs = (int64_t)(m->info.buf_ofs - ofs);
	*(uint32_t *)(uintptr_t)&c.ring->num_slots = r->num_slots;
	*(uint32_t *)(uintptr_t)&c.ring->nr_buf_size = m->info.buf_size;
	*(uint16_t *)(uintptr_t)&c.ring->ringid = (uint16_t)r->ring_id;
	*(uint16_t *)(uintptr_t)&c.ring->dir = r->is_rx ? 1 : 0;
	*(uint64_t *)(uintptr_t)&c.ring->offset_mask = UNM_READ_ONCE(r->ring->offset_mask);
	for (k = 0; k < r->num_slots; k++) {
		struct netmap_slot s = unm_slot_load(&r->ring->slot[k]);

		c.ring->slot[k].buf_idx = buf + k;
		c.ring->slot[k].len =
			(uint16_t)(m->info.buf_size > 65535 ? 65535 : m->info.buf_size);
		c.ring->slot[k].ptr = s.ptr & UNM_READ_ONCE(r->kring->offset_mask);
	}
	return buf + r->num_slots;
}

static void
fill_if(const struct unm_copy_mem *m, const struct unm_bport *bp)
{
	const struct unm_seg_port *e = &bp->seg->ports[bp->info.port];
	const uint32_t n_host_tx = UNM_READ_ONCE(e->n_host_tx_rings);
	const uint32_t n_host_rx = UNM_READ_ONCE(e->n_host_rx_rings);
	const uint32_t n_tx = UNM_READ_ONCE(e->n_tx_rings), n_rx = UNM_READ_ONCE(e->n_rx_rings);
	struct netmap_if *nifp = (struct netmap_if *)(void *)m->map;
	ssize_t *ofs = (ssize_t *)(uintptr_t)nifp->ring_ofs;
	const uint32_t room =
		(uint32_t)((m->info.if_size - offsetof(struct netmap_if, ring_ofs)) / sizeof(*ofs));
	uint32_t i;

	snprintf(nifp->ni_name, sizeof(nifp->ni_name), "%.*s", (int)sizeof(nifp->ni_name) - 1,
		e->name);
	*(uint32_t *)(uintptr_t)&nifp->ni_flags = NI_PRIV_MEM;
	*(uint32_t *)(uintptr_t)&nifp->ni_tx_rings = n_tx;
	*(uint32_t *)(uintptr_t)&nifp->ni_rx_rings = n_rx;
	*(uint32_t *)(uintptr_t)&nifp->ni_host_tx_rings = n_host_tx > 0 ? n_host_tx : 1;
	*(uint32_t *)(uintptr_t)&nifp->ni_host_rx_rings = n_host_rx > 0 ? n_host_rx : 1;
	for (i = 0; i < bp->n_tx + bp->n_rx; i++) {
		/* without host tx rings there is an empty entry between tx and rx rings */
		const uint32_t at = i < bp->n_tx ? bp->info.tx_lo + i
						 : n_tx + (n_host_tx > 0 ? n_host_tx : 1) +
							   bp->info.rx_lo + (i - bp->n_tx);

		if (at < room)
			ofs[at] = (ssize_t)(m->info.ring_ofs + (uint64_t)i * m->info.ring_size);
	}
}

/* Chained by their first words (spec 10.3). */
static void
fill_extra(const struct unm_copy_mem *m, uint32_t first)
{
	uint32_t i;

	for (i = 0; i < m->n_extra; i++) {
		const uint32_t next = i + 1 < m->n_extra ? first + i + 1 : 0;

		memcpy(m->map + m->info.buf_ofs + (uint64_t)(first + i) * m->info.buf_size, &next,
			sizeof(next));
	}
	((struct netmap_if *)(void *)m->map)->ni_bufs_head = m->n_extra > 0 ? first : 0;
}

/* --- making and ending --- */

static int
map_memory(struct unm_copy_mem *m)
{
	const unsigned int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	void *p;

	m->fd = memfd_create("unetmap-copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->fd < 0 || ftruncate(m->fd, (off_t)m->info.size) < 0 ||
		fallocate(m->fd, 0, 0, (off_t)m->info.size) < 0 ||
		fcntl(m->fd, F_ADD_SEALS, seals) < 0)
		return -errno;
	p = mmap(NULL, m->info.size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	m->map = p;
	return 0;
}

int
unm_copy_mem_new(struct unm_copy_mem *m, const struct unm_bport *bp, uint32_t id, uint32_t n_extra)
{
	uint32_t buf = UNM_BUF_FIRST, i;
	int err = lay_out(&m->info, bp, n_extra);

	m->fd = -1;
	m->map = NULL;
	m->n_extra = n_extra;
	m->info.id = id;
	if (err == 0 && getrandom(&m->info.uid, sizeof(m->info.uid), 0) != sizeof(m->info.uid))
		err = -EIO;
	m->info.uid |= 1; /* never 0 */
	if (err == 0)
		err = map_memory(m);
	if (err < 0) {
		unm_copy_mem_end(m);
		return err;
	}
	for (i = 0; i < bp->n_tx + bp->n_rx; i++)
		buf = fill_ring(m, &bp->tx[i], i, buf);
	fill_if(m, bp);
	fill_extra(m, buf);
	return 0;
}

void
unm_copy_mem_end(struct unm_copy_mem *m)
{
	if (m->map != NULL)
		munmap(m->map, m->info.size);
	if (m->fd >= 0) {
		/* The client may keep its mapping: what it touches from now on is its own cgroup's. */
		(void)!fallocate(
			m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)m->info.size);
		close(m->fd);
	}
	m->map = NULL;
	m->fd = -1;
}
