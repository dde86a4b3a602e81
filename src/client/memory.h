/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory mapped in this process, each piece once.
 *
 * Regions and segments are kept by their random uid, with a count of users: bindings, peers' ports
 * that the data path delivers to, and the application's own mmap. The last user unmaps. A lock
 * guards the lists; it is never held across a question to netmapd.
 */
#ifndef UNM_CLIENT_MEMORY_H
#define UNM_CLIENT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port/port.h"

struct unm_mregion {
	struct unm_region region; /* first: the data path has a pointer to it */
	struct unm_mregion *next;
	uint32_t refs;
	uint32_t n_handed_out; /* of @refs: mmap()s of the application that have our own mapping */
	int memfd;
	int map_fd; /* allocation map, for RESTORE; -1 for a region that no binding of ours uses */
};

struct unm_mseg {
	struct unm_seg seg;
	struct unm_mseg *next;
	uint32_t refs;
	uint64_t size;
	int memfd;
};

/**
 * unm_memory_region() - the region @info tells of, mapped; takes a reference
 * @memfd, @map_fd: taken over in any case; @map_fd may be -1
 *
 * Return: 0, -EINVAL (the file is smaller than @info says), -ENOMEM, -EMFILE.
 */
int unm_memory_region(
	struct unm_mregion **out, const struct unm_region_info *info, int memfd, int map_fd);

/* The same for a segment. Return: 0, -EINVAL, -EPROTO (another version's), -ENOMEM, -EMFILE. */
int unm_memory_segment(struct unm_mseg **out, uint64_t uid, uint64_t size, int memfd);

void unm_memory_region_put(struct unm_mregion *r);
void unm_memory_segment_put(struct unm_mseg *s);

/* Callbacks of unm_env: by uid, asking netmapd if we don't have it. */
int unm_memory_region_get_uid(uint64_t uid, bool may_wait, struct unm_region **out);
void unm_memory_region_put_view(struct unm_region *region);

/**
 * unm_memory_hand_out() - an application's mmap() of the whole region: our own mapping, one more
 * reference
 *
 * Sharing it lets the application and the data path use the same page-table entries and TLB
 * entries.
 */
void *unm_memory_hand_out(struct unm_mregion *r);

/* Is [addr, addr + len) part of something handed out? Cheap when nothing is. */
bool unm_memory_is_handed_out(const void *addr, size_t len);

/*
 * munmap() of such a range: a whole region loses a reference, a part is left mapped (it is ours).
 */
void unm_memory_take_back(void *addr, size_t len);

void unm_memory_before_fork(void);
void unm_memory_in_parent(void);
void unm_memory_after_fork(void);

#endif
