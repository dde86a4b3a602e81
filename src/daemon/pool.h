/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pool of equal objects in a region: interfaces, rings or buffers.
 *
 * netmapd decides by its private bitmap. Each change is also written to the region's allocation
 * map, a memfd that the clients keep alive: after a restart it says which objects may be in
 * somebody's hands. Objects larger than one (a ring of 4096 slots) take a run of neighbours.
 */
#ifndef UNM_DAEMON_POOL_H
#define UNM_DAEMON_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/commit.h"

struct unm_pool {
	const char *what; /* "buffers", for messages */
	uint64_t ofs;	  /* of object 0 from the region's start */
	uint32_t n;
	uint32_t obj_size;
	uint32_t n_reserved; /* objects at the start that are never handed out */
	uint32_t n_free;
	uint32_t hint; /* no object below is free */
	uint64_t *used;
	bool commits_late;	   /* memory comes with unm_pool_commit(), not with the object */
	struct unm_commit *commit; /* borrowed */
	int map_fd;		   /* borrowed */
	uint64_t map_ofs;	   /* of this pool's bits in the map */
};

/**
 * unm_pool_init() - all but the reserved objects free, geometry as set in @p by the caller. Return:
 * 0 or -ENOMEM.
 */
int unm_pool_init(struct unm_pool *p);
void unm_pool_fini(struct unm_pool *p);

/**
 * unm_pool_load() - take the state from the allocation map and commit what is in use, unless that
 * comes late. Return: 0 or negative errno.
 */
int unm_pool_load(struct unm_pool *p, struct unm_reason *why);

/** unm_pool_reset() - everything free again. */
void unm_pool_reset(struct unm_pool *p);

/**
 * unm_pool_clear(), unm_pool_mark_run(), unm_pool_store() - find out anew what is in use: nothing,
 * exactly these objects (committed already), and that is all
 *
 * Only the last one writes the allocation map, from one valid state to the next: netmapd may be
 * killed in between, and what clients hold must be in the map at any moment.
 */
void unm_pool_clear(struct unm_pool *p);
void unm_pool_mark_run(struct unm_pool *p, uint32_t first, uint32_t run);
void unm_pool_store(struct unm_pool *p);

/** unm_pool_n_objs() - objects needed for @bytes. */
uint32_t unm_pool_n_objs(const struct unm_pool *p, uint64_t bytes);

/**
 * unm_pool_alloc_run() - neighbouring objects, committed unless that comes late
 * @first: written on success
 *
 * Return: 0, or -ENOMEM with the reason.
 */
int unm_pool_alloc_run(struct unm_pool *p, uint32_t run, uint32_t *first, struct unm_reason *why);

/** unm_pool_commit() - have memory for objects that were handed out. Return: 0, -ENOMEM with the reason. */
int unm_pool_commit(const struct unm_pool *p, uint32_t first, uint32_t run, struct unm_reason *why);

/**
 * unm_pool_prepare() - have memory for @n objects that are free, in steps
 *
 * Return: 0 it is there, or there are not so many; -EINPROGRESS at @deadline_ns, to be called again; -ENOMEM.
 */
int unm_pool_prepare(struct unm_pool *p, uint32_t n, uint64_t deadline_ns, struct unm_reason *why);

/**
 * unm_pool_alloc_many() - @n objects anywhere; all or nothing. Return: 0, or -ENOMEM with the
 * reason.
 */
int unm_pool_alloc_many(struct unm_pool *p, uint32_t n, uint32_t *idx, struct unm_reason *why);

/**
 * unm_pool_free_run() - objects that are not handed out are skipped, so that a client's list may
 * hold anything.
 */
void unm_pool_free_run(struct unm_pool *p, uint32_t first, uint32_t run);

/** unm_pool_free_many() - as unm_pool_free_run() for a list. */
void unm_pool_free_many(struct unm_pool *p, const uint32_t *idx, uint32_t n);

/** unm_pool_holds() - is @i handed out? Any value may be asked about. */
bool unm_pool_holds(const struct unm_pool *p, uint32_t i);

#endif
