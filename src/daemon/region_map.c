/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allocation map's format, and the checks of a region that a client hands back. See
 * region_map.h.
 */
#include "daemon/region_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/bitmap.h"
#include "shm/segment.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

uint64_t
unm_region_map_ofs(const struct unm_region_info *info, unsigned int pool)
{
	uint64_t ofs = sizeof(struct unm_region_map_hdr);

	if (pool > 0)
		ofs += UNM_BITMAP_WORDS(info->if_num) * sizeof(uint64_t);
	if (pool > 1)
		ofs += UNM_BITMAP_WORDS(info->ring_num) * sizeof(uint64_t);
	if (pool > 2)
		ofs += UNM_BITMAP_WORDS(info->buf_num) * sizeof(uint64_t);
	return ofs;
}

uint64_t
unm_region_map_size(const struct unm_region_info *info)
{
	return unm_region_map_ofs(info, 3);
}

int
unm_region_map_create(int map_fd, const struct unm_region_info *info)
{
	const struct unm_region_map_hdr hdr = {
		.magic = UNM_REGION_MAP_MAGIC,
		.version = UNM_REGION_MAP_VERSION,
		.region_uid = info->uid,
		.n_objs = {info->if_num, info->ring_num, info->buf_num},
	};

	if (fallocate(map_fd, 0, 0, (off_t)unm_region_map_size(info)) < 0)
		return -ENOMEM;
	return pwrite(map_fd, &hdr, sizeof(hdr), 0) == (ssize_t)sizeof(hdr) ? 0 : -ENOMEM;
}

/* @n objects of @size bytes from @ofs on end at or below @limit; no sum can overflow. */
static bool
pool_fits(uint64_t ofs, uint32_t n, uint32_t size, uint64_t limit)
{
	return ofs <= limit && (uint64_t)n * size <= limit - ofs;
}

static int
check_geometry(const struct unm_region_info *i, struct unm_reason *why)
{
	if (i->uid == 0 || i->id == 0 || i->id > 65535)
		return unm_fail(why, -EINVAL, "region without identity");
	if (i->if_size < 64 || i->ring_size < 256 || i->buf_size < 64 || i->buf_size > 65536 ||
		i->if_size > 1048576 || i->ring_size > 1048576 || i->buf_num < 2 ||
		i->ring_size % UNM_RING_ALIGN != 0 || i->if_ofs % 64 != 0 ||
		i->ring_ofs % UNM_RING_ALIGN != 0 || i->buf_ofs % 64 != 0)
		return unm_fail(why, -EINVAL, "region with impossible object sizes");
	if (i->size > UINT64_C(1) << 46 || i->file_ofs > UINT64_C(1) << 46 ||
		!pool_fits(i->if_ofs, i->if_num, i->if_size, i->ring_ofs) ||
		!pool_fits(i->ring_ofs, i->ring_num, i->ring_size, i->buf_ofs) ||
		!pool_fits(i->buf_ofs, i->buf_num, i->buf_size, i->size))
		return unm_fail(why, -EINVAL, "region whose pools overlap or end outside it");
	return 0;
}

int
unm_region_info_check(
	const struct unm_region_info *info, int fd, int map_fd, struct unm_reason *why)
{
	struct unm_region_map_hdr hdr;
	struct stat st;
	int ret = check_geometry(info, why);

	if (ret < 0)
		return ret;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < info->file_ofs ||
		(uint64_t)st.st_size - info->file_ofs < info->size)
		return unm_fail(why, -EINVAL, "the region's file is shorter than the region");
	if (!(info->flags & UNM_REGIONF_EXTMEM) && (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS)
		return unm_fail(why, -EINVAL, "the region's file is not sealed");
	if (fstat(map_fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		(uint64_t)st.st_size != unm_region_map_size(info) ||
		(fcntl(map_fd, F_GET_SEALS) & SEALS) != SEALS ||
		pread(map_fd, &hdr, sizeof(hdr), 0) != (ssize_t)sizeof(hdr))
		return unm_fail(why, -EINVAL, "the region's allocation map has the wrong size");
	if (hdr.magic != UNM_REGION_MAP_MAGIC || hdr.version != UNM_REGION_MAP_VERSION ||
		hdr.region_uid != info->uid || hdr.n_objs[0] != info->if_num ||
		hdr.n_objs[1] != info->ring_num || hdr.n_objs[2] != info->buf_num)
		return unm_fail(why, -EINVAL, "the allocation map belongs to another region");
	return 0;
}
