/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What applications see in a region: interface objects and rings, written before they are handed
 * out.
 *
 * The formats are netmap's (spec 3.1 to 3.3); all is written by system call. See region.h.
 */
#ifndef UNM_DAEMON_FORMAT_H
#define UNM_DAEMON_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/region.h"

#define UNM_RING_HDR_SIZE 256u
#define UNM_SLOT_SIZE	  16u

static inline uint64_t
unm_format_ring_bytes(uint32_t num_slots)
{
	return UNM_RING_HDR_SIZE + (uint64_t)num_slots * UNM_SLOT_SIZE;
}

struct unm_ring_format {
	uint64_t ring_ofs;
	uint32_t num_slots;
	uint32_t ring_id;
	bool is_rx;
	const uint32_t *bufs; /* one per slot; NULL: the slots stay without buffers */
};

/** unm_format_ring() - a fresh ring (spec 7.1). Return: 0 or negative errno. */
int unm_format_ring(const struct unm_dregion *r, const struct unm_ring_format *f);

/**
 * unm_format_ring_rewind() - let a new user of a used ring begin at its head
 *
 * cur may be ahead of head (spec 7.2). For who left it so, the slots between have been seen; for
 * who comes next they have not, and poll would not tell of them.
 */
int unm_format_ring_rewind(const struct unm_dregion *r, uint64_t ring_ofs);

/**
 * unm_format_ring_restart() - let a new user of a used ring begin at @pos
 * @n: slots of the ring
 * @end: the user's slots are those before this one; in [0, n) as @pos
 */
int unm_format_ring_restart(
	const struct unm_dregion *r, uint64_t ring_ofs, uint32_t n, uint32_t pos, uint32_t end);

/**
 * unm_format_offsets() - put an offset mask and an initial offset into a fresh ring
 * @set_slots: also store @initial in every slot
 */
int unm_format_offsets(const struct unm_dregion *r, uint64_t ring_ofs, uint32_t num_slots,
	uint64_t mask, uint64_t initial, bool set_slots);

/**
 * unm_format_slot_bufs() - read the buffer index of each slot into @bufs. Return: 0 or negative
 * errno.
 */
int unm_format_slot_bufs(
	const struct unm_dregion *r, uint64_t ring_ofs, uint32_t num_slots, uint32_t *bufs);

struct unm_if_format {
	uint64_t if_ofs;
	const char *name;
	uint32_t n_tx, n_rx;	       /* all rings, host rings last */
	uint32_t n_host_tx, n_host_rx; /* of these, host rings; 0: shown as one that is not bound */
	bool is_private;
	uint32_t extra_head;
	const uint64_t *ring_ofs; /* n_tx + n_rx from the region's start; 0 = not bound */
};

/** unm_format_if_bytes() - size of a netmap_if with so many rings, and one more each way. */
uint64_t unm_format_if_bytes(uint32_t n_tx, uint32_t n_rx);
int unm_format_if(const struct unm_dregion *r, const struct unm_if_format *f);

/** unm_format_extra_link() - chain buffers by their first words; the last one gets 0. */
int unm_format_extra_link(const struct unm_dregion *r, const uint32_t *bufs, uint32_t n);

/**
 * unm_format_extra_read() - first buffer of the list that a client has left behind
 * @next: index that the buffer @idx names as its successor
 */
int unm_format_extra_head(const struct unm_dregion *r, uint64_t if_ofs, uint32_t *head);
int unm_format_extra_next(const struct unm_dregion *r, uint32_t idx, uint32_t *next);

#endif
