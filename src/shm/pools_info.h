/* SPDX-License-Identifier: BSD-2-Clause */
/* The public form of a region's layout (spec 6.3), as netmapd and brokers answer it. */
#ifndef UNM_SHM_POOLS_INFO_H
#define UNM_SHM_POOLS_INFO_H

#include <net/netmap.h>

#include "shm/proto.h"

static inline void
unm_fill_pools_info(const struct unm_region_info *info, struct nmreq_pools_info *out)
{
	out->nr_memsize = info->size;
	out->nr_mem_id = (uint16_t)info->id;
	out->nr_if_pool_offset = info->if_ofs;
	out->nr_if_pool_objtotal = info->if_num;
	out->nr_if_pool_objsize = info->if_size;
	out->nr_ring_pool_offset = info->ring_ofs;
	out->nr_ring_pool_objtotal = info->ring_num;
	out->nr_ring_pool_objsize = info->ring_size;
	out->nr_buf_pool_offset = info->buf_ofs;
	out->nr_buf_pool_objtotal = info->buf_num;
	out->nr_buf_pool_objsize = info->buf_size;
}

#endif
