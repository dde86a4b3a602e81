/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is really there before anybody is told to use it.
 *
 * A region is sparse. A page that can't be had when a client first touches it would be a SIGBUS in
 * that client, so the pages of an object are reserved with fallocate() before it is handed out, in
 * chunks, since a system call per buffer would make registration slow. What the memory cgroup has no
 * room for is refused before, as the kernel would kill instead (memcg.h). Committed chunks stay until
 * the region is emptied.
 */
#ifndef UNM_DAEMON_COMMIT_H
#define UNM_DAEMON_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/log.h"

#define UNM_COMMIT_CHUNK      (256u * 1024u)
#define UNM_COMMIT_CHUNK_HUGE (2048u * 1024u)

/* All memory that netmapd has committed, against the configured limit. */
struct unm_mem_budget {
	uint64_t n_bytes;
	uint64_t limit;	    /* 0 = none */
	uint64_t n_unasked; /* committed since the memory cgroup was looked at */
};

struct unm_commit {
	int fd;		   /* borrowed */
	uint64_t file_ofs; /* of byte 0 in the file */
	uint64_t size;
	uint32_t chunk;
	uint64_t *done; /* one bit a chunk */
	uint64_t n_bytes;
	struct unm_mem_budget *budget; /* borrowed */
	bool is_charged; /* to our memory cgroup, as it is no huge page, nor a client's. Set by the user */
};

/** unm_commit_init() - nothing committed yet. Return: 0 or -ENOMEM. */
int unm_commit_init(struct unm_commit *c, int fd, uint64_t file_ofs, uint64_t size, uint32_t chunk,
	struct unm_mem_budget *budget);

/** unm_commit_fini() - give the bytes back to the budget; the file is not touched. */
void unm_commit_fini(struct unm_commit *c);

/**
 * unm_commit_range() - make sure that bytes [@ofs, @ofs + @len) have memory
 *
 * Return: 0, or -ENOMEM with a reason that names the limit and what lifts it.
 */
int unm_commit_range(struct unm_commit *c, uint64_t ofs, uint64_t len, struct unm_reason *why);

/**
 * unm_commit_reset() - give all memory back to the system: holes are punched, contents become zero.
 */
void unm_commit_reset(struct unm_commit *c);

#endif
