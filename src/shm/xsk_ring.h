/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The four rings of an AF_XDP socket, as the kernel has them in memory (linux/if_xdp.h).
 *
 * A ring has two free-running positions; an entry's place is its position masked. The kernel is the
 * producer of the rx and completion rings and the consumer of the others. It is trusted: what it
 * says about descriptors is not checked beyond what keeps our own arithmetic in bounds.
 *
 *   us, tx and fill:    store entries, unm_xsk_produce()   kernel: acquires the producer, reads
 *   us, rx and comp.:   unm_xsk_produced(), read entries   kernel: stored entries, released it
 */
#ifndef UNM_SHM_XSK_RING_H
#define UNM_SHM_XSK_RING_H

#include <errno.h>
#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "shm/atomic.h"
#include "shm/nic.h"

/* Newer than the headers that we build with: the frame goes on in the next descriptor. */
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

struct unm_xsk_ring {
	uint32_t *producer, *consumer, *flags;
	void *entry; /* uint64_t (fill, completion) or struct xdp_desc */
	uint32_t mask;
	void *map; /* NULL: not mapped */
	size_t map_len;
};

/**
 * unm_xsk_ring_map() - map one ring of socket @fd
 * @pgoff: which one: XDP_PGOFF_RX_RING ...
 * @ofs:   where its words are. The caller's own, and checked (unm_nic_setup_read())
 * @n:     its entries
 *
 * Return: 0 or -errno.
 */
static inline int
unm_xsk_ring_map(struct unm_xsk_ring *r, int fd, uint64_t pgoff, const struct unm_nic_ring_ofs *ofs,
	uint32_t n, size_t entry_size)
{
	const size_t len = (size_t)ofs->desc + n * entry_size;
	char *map = mmap(
		NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)pgoff);

	if (map == MAP_FAILED)
		return -errno;
	r->map = map;
	r->map_len = len;
	r->producer = (uint32_t *)(void *)(map + ofs->producer);
	r->consumer = (uint32_t *)(void *)(map + ofs->consumer);
	r->flags = (uint32_t *)(void *)(map + ofs->flags);
	r->entry = map + ofs->desc;
	r->mask = n - 1;
	return 0;
}

static inline void
unm_xsk_ring_unmap(struct unm_xsk_ring *r)
{
	if (r->map != NULL)
		munmap(r->map, r->map_len);
	r->map = NULL;
}

static inline uint64_t *
unm_xsk_addr(const struct unm_xsk_ring *r, uint32_t pos)
{
	return (uint64_t *)r->entry + (pos & r->mask);
}

static inline struct xdp_desc *
unm_xsk_desc(const struct unm_xsk_ring *r, uint32_t pos)
{
	return (struct xdp_desc *)r->entry + (pos & r->mask);
}

/* Entries below this position are there. Pairs with the kernel's release of the producer. */
static inline uint32_t
unm_xsk_produced(const struct unm_xsk_ring *r)
{
	return unm_load_acquire(r->producer);
}

/* Our reads of entries below @pos are over. Pairs with the kernel's acquire of the consumer. */
static inline void
unm_xsk_consume(struct unm_xsk_ring *r, uint32_t pos)
{
	unm_store_release(r->consumer, pos);
}

/* Our stores of entries below @pos are to be seen. Pairs with the kernel's acquire. */
static inline void
unm_xsk_produce(struct unm_xsk_ring *r, uint32_t pos)
{
	unm_store_release(r->producer, pos);
}

/* Does the kernel have to be called for it to look at the ring? */
static inline bool
unm_xsk_needs_wakeup(const struct unm_xsk_ring *r)
{
	return (UNM_READ_ONCE(*r->flags) & XDP_RING_NEED_WAKEUP) != 0;
}

/* UMEM address of the frame whose data is at the start of buffer @idx. */
static inline uint64_t
unm_nic_frame(uint64_t lead, uint32_t stride, uint32_t idx)
{
	return lead + (uint64_t)idx * stride - UNM_NIC_HEADROOM;
}

#endif
