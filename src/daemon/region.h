/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory regions: one memfd each in netmap's layout, three pools one after another.
 *
 *   0 ........ interface objects | rings (page aligned) | buffers (page aligned) | end
 *
 * Region 1 is the global one; it stays for netmapd's life and gives its memory back when its last
 * user leaves. (It has another number if number 1 may be that of a previous run's, whose clients were
 * stopped: region_ids.h. That one, once it has been handed back, ends with its last user.) A private region belongs to a port and those who joined it by nr_mem_id. An external
 * region lies in a file that a client brought.
 *
 * netmapd reads and writes regions by system call, so that no client can make it fault. A file on
 * huge pages knows no write(2): there, the bytes go through a short mapping and
 * process_vm_writev(), which reports a missing page as an error where a plain store would be a
 * SIGBUS.
 */
#ifndef UNM_DAEMON_REGION_H
#define UNM_DAEMON_REGION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/commit.h"
#include "daemon/pool.h"
#include "daemon/region_ids.h"
#include "shm/proto.h"

#define UNM_REGION_BUF_SIZE 2048u
/*
 * Private regions: no power of two, at whose stride all buffers would compete for the same cache
 * sets
 */
#define UNM_REGION_PRIVATE_BUF_SIZE 2176u
#define UNM_REGION_RING_SIZE	    36864u
#define UNM_REGION_IF_SIZE	    1024u

struct unm_region_shape {
	uint32_t if_num, if_size;
	uint32_t ring_num, ring_size;
	uint32_t buf_num, buf_size;
};

struct unm_dregion {
	struct unm_dregion *next;
	struct unm_region_info info;
	int fd;
	int map_fd;
	uint32_t n_refs;
	/* from a previous run, and kept (one reference) while the restore phase goes on */
	bool is_adopted;
	bool no_write_call;  /* huge pages */
	uint32_t isolate_id; /* whose clients it belongs to (isolate.h); 0: nobody is kept out */
	dev_t dev;	     /* external memory: the same pages give the same region */
	ino_t ino;
	struct unm_commit commit;
	struct unm_pool ifs, rings, bufs;
};

struct unm_region_set {
	struct unm_dregion *first;
	struct unm_dregion *global; /* one of them, or NULL */
	struct unm_mem_budget budget;
	struct unm_region_ids ids;
	bool use_huge_pages;
};

void unm_region_set_init(struct unm_region_set *set, uint64_t limit, bool use_huge_pages);
void unm_region_set_fini(struct unm_region_set *set);

/**
 * unm_dregion_global() - the global region, made when first asked for. Takes a reference. Return: 0
 * or negative errno.
 */
int unm_dregion_global(
	struct unm_region_set *set, struct unm_dregion **out, struct unm_reason *why);

/**
 * unm_dregion_create() - a private region of the given shape with the next free id; one reference.
 */
int unm_dregion_create(struct unm_region_set *set, const struct unm_region_shape *shape,
	struct unm_dregion **out, struct unm_reason *why);

struct unm_extmem {
	int fd; /* borrowed; duplicated when used */
	uint64_t ofs;
	uint64_t size;
	struct unm_region_shape shape; /* as asked for; 0 = default */
};

/**
 * unm_dregion_extmem() - lay a region out in a client's file, or join the one that is already
 * there; one reference
 *
 * Return: 0, -EFAULT (not writable, too short), -EINVAL (sizes out of limits), -ENOMEM (pools do
 * not fit).
 */
int unm_dregion_extmem(struct unm_region_set *set, const struct unm_extmem *em,
	struct unm_dregion **out, struct unm_reason *why);

/** unm_dregion_by_id(), unm_dregion_by_uid() - borrowed; NULL if there is none. */
struct unm_dregion *unm_dregion_by_id(struct unm_region_set *set, uint32_t id);
struct unm_dregion *unm_dregion_by_uid(struct unm_region_set *set, uint64_t uid);

struct unm_dregion *unm_dregion_get(struct unm_dregion *r);
void unm_dregion_put(struct unm_region_set *set, struct unm_dregion *r);

/**
 * unm_dregion_adopt() - take over a region of netmapd's previous run; the caller gets no reference
 * @fd, @map_fd: duplicated
 *
 * It stays until unm_region_set_drop_unused(), as others who use it may be on their way.
 *
 * Return: 0 (also if it is known already), -EINVAL with a reason if the descriptors do not fit
 * @info.
 */
int unm_dregion_adopt(struct unm_region_set *set, const struct unm_region_info *info, int fd,
	int map_fd, struct unm_dregion **out, struct unm_reason *why);

/** unm_region_set_drop_unused() - everybody is back: free adopted regions that no port uses. */
void unm_region_set_drop_unused(struct unm_region_set *set);

/** unm_dregion_write(), unm_dregion_read() - all of @len bytes, or a negative errno. */
int unm_dregion_write(const struct unm_dregion *r, uint64_t ofs, const void *buf, size_t len);
int unm_dregion_read(const struct unm_dregion *r, uint64_t ofs, void *buf, size_t len);

/** unm_same_file() - do two descriptors mean one file? */
bool unm_same_file(int a, int b);

/** unm_random64() - never 0. */
uint64_t unm_random64(void);

#endif
