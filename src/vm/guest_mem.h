/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's memory as a device server sees it: regions of the front end, mapped here, and the dirty
 * log of a live migration.
 *
 * Three address spaces meet: guest physical (in descriptors), front-end user (in SET_VRING_ADDR)
 * and ours. A region says how the three belong together. Regions come and go only between batches,
 * in the thread that walks the rings, so a translation lasts until the batch ends.
 *
 * The front end may hand us a descriptor that it truncates later: then a load from the mapping
 * raises SIGBUS. unm_guest_mem_add() refuses what is not big enough; what shrinks afterwards is
 * caught by the guard (guest_guard.h), which costs that one NIC its connection.
 */
#ifndef UNM_VM_GUEST_MEM_H
#define UNM_VM_GUEST_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vm/guest_file.h"

#define UNM_GUEST_PAGE_SHIFT 12 /* of the dirty log */

/* As the front end describes it; nothing in here is to be believed. */
struct unm_guest_region_desc {
	uint64_t gpa;	   /* guest physical address, bytes */
	uint64_t size;	   /* bytes */
	uint64_t uaddr;	   /* the same byte in the front end's address space */
	uint64_t mmap_ofs; /* of gpa in the descriptor */
};

struct unm_guest_region {
	struct unm_guest_region_desc d;
	uint8_t *host;	     /* our address of gpa, = file.data */
	unsigned int n_adds; /* so many removals take it away */
	struct unm_guest_file file;
};

struct unm_guest_mem {
	struct unm_guest_region region[UNM_GUEST_MAX_REGIONS];
	unsigned int n_regions;
	unsigned int last_hit;		/* region of the latest translation */
	uint8_t *log;			/* one bit a page; NULL: nothing is logged */
	struct unm_guest_file log_file; /* kept over pauses of logging */
	uint64_t log_size;		/* bytes */
	struct unm_guest_guard *guard;	/* of all mappings made from now on; NULL: none */
};

void unm_guest_mem_init(struct unm_guest_mem *m);

/* Unmap all regions and the log. */
void unm_guest_mem_clear(struct unm_guest_mem *m);

/**
 * unm_guest_mem_add() - map a region
 * @fd: borrowed
 *
 * Return: 0; -EINVAL size 0, an address that wraps, addresses and file offset that do not lie alike
 * within their pages, or a descriptor that is too small or can't be mapped; -EEXIST it overlaps a
 * region, guest physical or front-end user; -ENOSPC no slot; -ENOMEM. On error nothing has changed.
 */
int unm_guest_mem_add(struct unm_guest_mem *m, const struct unm_guest_region_desc *d, int fd);

/*
 * Count a region that is there already, exactly as @d says, as added once more. Return: 0, -ENOENT.
 */
int unm_guest_mem_add_again(struct unm_guest_mem *m, const struct unm_guest_region_desc *d);

/*
 * Unmap the region with these gpa, size and uaddr (mmap_ofs is not compared), if it was removed as
 * often as it was added. Return: 0, -ENOENT.
 */
int unm_guest_mem_remove(struct unm_guest_mem *m, const struct unm_guest_region_desc *d);

/**
 * unm_guest_mem_replace() - a whole new table in place of the regions there are; the log stays
 * @n: may be 0
 *
 * Translations made before are void on success. Return: as unm_guest_mem_add(), -ENOSPC more than
 * UNM_GUEST_MAX_REGIONS. On error the old table is in force.
 */
int unm_guest_mem_replace(struct unm_guest_mem *m, const struct unm_guest_region_desc *d,
	const int *fd, unsigned int n);

/**
 * unm_guest_mem_set_log() - map a dirty log in place of the one there is, if any; fd < 0: unmap it
 * @size: bytes, one bit a page
 *
 * Return: 0; -EINVAL descriptor too small or of the wrong kind; -ENOMEM. On error the old one
 * stays.
 */
int unm_guest_mem_set_log(struct unm_guest_mem *m, int fd, uint64_t size, uint64_t ofs);

/* Use the log that is mapped, or pause. No log: no effect. */
void unm_guest_mem_enable_log(struct unm_guest_mem *m, bool enabled);

/* Our address of [uaddr, uaddr + len), which must lie in one region; NULL if it does not. */
void *unm_guest_from_user(const struct unm_guest_mem *m, uint64_t uaddr, uint64_t len);

/* The guest physical address of a front-end user address; UINT64_MAX if none. */
uint64_t unm_guest_user_to_gpa(const struct unm_guest_mem *m, uint64_t uaddr, uint64_t len);

/* The file that a front-end user address lies in; 0, 0 if none. */
void unm_guest_file_of(const struct unm_guest_mem *m, uint64_t uaddr, uint64_t *dev, uint64_t *ino);

/* As unm_guest_map(), for an address outside the region of the last hit. */
uint8_t *unm_guest_map_slow(struct unm_guest_mem *m, uint64_t gpa, uint64_t *len);

/*
 * Our address of guest physical @gpa; *len is cut to what is contiguous from there, so that a
 * buffer across regions comes in several parts. NULL if @gpa is in no region.
 */
static inline uint8_t *
unm_guest_map(struct unm_guest_mem *m, uint64_t gpa, uint64_t *len)
{
	const struct unm_guest_region *r = &m->region[m->last_hit];
	const uint64_t ofs = gpa - r->d.gpa;

	if (__builtin_expect(m->n_regions > 0 && ofs < r->d.size && *len <= r->d.size - ofs, 1))
		return r->host + ofs;
	return unm_guest_map_slow(m, gpa, len);
}

void unm_guest_log_pages(struct unm_guest_mem *m, uint64_t gpa, uint64_t len);

/* We have written [gpa, gpa + len). Call it after the store that it is about. */
static inline void
unm_guest_dirty(struct unm_guest_mem *m, uint64_t gpa, uint64_t len)
{
	if (__builtin_expect(m->log != NULL, 0))
		unm_guest_log_pages(m, gpa, len);
}

#endif
