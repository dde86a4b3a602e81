/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allocation map: a small sealed memfd beside each region, with one bit per object of its three
 * pools.
 *
 *   0   struct unm_region_map_hdr | interface bits | ring bits | buffer bits (each 8-byte aligned)
 *
 * Written by netmapd only. Clients keep its descriptor and hand it back to a restarted netmapd.
 */
#ifndef UNM_DAEMON_REGION_MAP_H
#define UNM_DAEMON_REGION_MAP_H

#include <assert.h>
#include <stdint.h>

#include "daemon/log.h"
#include "shm/proto.h"

#define UNM_REGION_MAP_MAGIC   0x4d314d55u /* "UM1M" */
#define UNM_REGION_MAP_VERSION 1u

struct unm_region_map_hdr {
	uint32_t magic;
	uint32_t version;
	uint64_t region_uid;
	uint32_t n_objs[3];
	uint32_t pad[9];
};

static_assert(sizeof(struct unm_region_map_hdr) == 64, "allocation map header");

/** unm_region_map_ofs() - where the bits of a pool (0 interfaces, 1 rings, 2 buffers) begin. */
uint64_t unm_region_map_ofs(const struct unm_region_info *info, unsigned int pool);
uint64_t unm_region_map_size(const struct unm_region_info *info);

/** unm_region_map_create() - write the header and reserve the memory. Return: 0 or -ENOMEM. */
int unm_region_map_create(int map_fd, const struct unm_region_info *info);

/**
 * unm_region_info_check() - is this a region that netmapd may have made, and do the files fit it?
 *
 * Return: 0, or -EINVAL with the reason.
 */
int unm_region_info_check(
	const struct unm_region_info *info, int fd, int map_fd, struct unm_reason *why);

#endif
