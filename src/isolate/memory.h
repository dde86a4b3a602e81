/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client's memory: a region with the rings that it binds, and a buffer for each slot, laid out as
 * netmapd lays out its own (spec 3.1 to 3.3). Nobody but the client and the broker maps it: it can
 * take pages away (fallocate(2), madvise(2)), and then whoever touches them waits, or pays.
 *
 *   netmap_if | rings, one object each | buffers: 2 reserved, one a slot, extra ones
 *
 * It is committed as a whole and sealed, as all that clients map: see binding.c.
 */
#ifndef UNM_ISOLATE_MEMORY_H
#define UNM_ISOLATE_MEMORY_H

#include "isolate/copy_fp.h"
#include "port/port.h"

struct unm_copy_mem {
	char *map; /* NULL: there is none */
	int fd;
	struct unm_region_info info;
	uint32_t n_extra;
};

/**
 * unm_copy_mem_size() - bytes that it takes
 *
 * Return: 0 if more than can be had is asked for.
 */
uint64_t unm_copy_mem_size(const struct unm_bport *bp, uint32_t n_extra);

/**
 * unm_copy_mem_new() - make it. Positions of the rings are left to the caller
 * @id: nr_mem_id
 *
 * Return: 0, -EINVAL, -ENOMEM, -EMFILE; then nothing is left.
 */
int unm_copy_mem_new(
	struct unm_copy_mem *m, const struct unm_bport *bp, uint32_t id, uint32_t n_extra);
void unm_copy_mem_end(struct unm_copy_mem *m);

/** unm_copy_mem_ring() - ring @i of the binding, tx rings first, and where it begins */
void unm_copy_mem_ring(
	const struct unm_copy_mem *m, uint32_t i, struct unm_copy_ring *out, uint64_t *ring_ofs);

#endif
