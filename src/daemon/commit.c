/* SPDX-License-Identifier: BSD-2-Clause */
/* Reserving memory chunk by chunk. See commit.h. */
/* Syscalls: fallocate */
#include "daemon/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bitmap.h"
#include "daemon/memcg.h"

#define RESERVE (4u << 20) /* bytes of the cgroup that are left to all else */
#define LARGE	(1u << 20) /* bytes; asking costs as much as committing some 100 KiB */

static uint32_t
n_chunks(const struct unm_commit *c)
{
	return (uint32_t)((c->size + c->chunk - 1) / c->chunk);
}

int
unm_commit_init(struct unm_commit *c, int fd, uint64_t file_ofs, uint64_t size, uint32_t chunk,
	struct unm_mem_budget *budget)
{
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->file_ofs = file_ofs;
	c->size = size;
	c->chunk = chunk;
	c->budget = budget;
	c->done = calloc(UNM_BITMAP_WORDS(n_chunks(c)), sizeof(uint64_t));
	return c->done != NULL ? 0 : -ENOMEM;
}

void
unm_commit_fini(struct unm_commit *c)
{
	if (c->budget != NULL)
		c->budget->n_bytes -= c->n_bytes;
	free(c->done);
	memset(c, 0, sizeof(*c));
}

/* Chunks @i to @end - 1, by one call. */
static int
commit_chunks(struct unm_commit *c, uint32_t i, uint32_t end, struct unm_reason *why)
{
	const uint64_t ofs = (uint64_t)i * c->chunk, all = (uint64_t)(end - i) * c->chunk;
	const uint64_t len = c->size - ofs < all ? c->size - ofs : all;
	struct unm_mem_budget *b = c->budget;
	bool has_room = true;
	int ret;

	if (b->limit > 0 && (b->n_bytes > b->limit || len > b->limit - b->n_bytes))
		return unm_fail(why, -ENOMEM,
			"out of memory: netmapd may use %llu MiB; raise [limits] memory_mib in "
			"netmapd.conf",
			(unsigned long long)(b->limit >> 20));
	b->n_unasked += len;
	if (c->is_charged && b->n_unasked >= LARGE) {
		const uint64_t room = unm_memcg_room();

		has_room = len <= room && room - len >= RESERVE;
		b->n_unasked = has_room ? 0 : LARGE;
	}
	if (!has_room)
		return unm_fail(why, -ENOMEM,
			"out of memory: netmapd's memory cgroup has no room for another %llu MiB",
			(unsigned long long)(len >> 20));
	do {
		ret = fallocate(c->fd, 0, (off_t)(c->file_ofs + ofs), (off_t)len);
	} while (ret < 0 && errno == EINTR);
	/*
	 * A client's own file may be of a kind that can't reserve: then it is as good as the client
	 * made it.
	 */
	if (ret < 0 && errno != EOPNOTSUPP)
		return unm_fail(why, -ENOMEM,
			"out of memory: the system gave no more (%s); see free(1), the memory "
			"cgroup and ulimit -f of netmapd",
			strerror(errno));
	for (; i < end; i++)
		unm_bit_set(c->done, i);
	c->n_bytes += len;
	b->n_bytes += len;
	return 0;
}

int
unm_commit_range(struct unm_commit *c, uint64_t ofs, uint64_t len, struct unm_reason *why)
{
	uint32_t i, end, last;

	if (len == 0)
		return 0;
	if (ofs >= c->size || len > c->size - ofs)
		return unm_fail(why, -ENOMEM, "object outside its memory region");
	last = (uint32_t)((ofs + len - 1) / c->chunk);
	for (i = (uint32_t)(ofs / c->chunk); i <= last; i = end + 1) { /* end >= i */
		int ret;

		for (end = i; end <= last && !unm_bit_test(c->done, end);)
			end++;
		ret = end > i ? commit_chunks(c, i, end, why) : 0;
		if (ret < 0)
			return ret;
	}
	return 0;
}

void
unm_commit_reset(struct unm_commit *c)
{
	if (fallocate(c->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)c->file_ofs,
		    (off_t)c->size) < 0)
		return; /* still committed, and marked so */
	memset(c->done, 0, UNM_BITMAP_WORDS(n_chunks(c)) * sizeof(uint64_t));
	c->budget->n_bytes -= c->n_bytes;
	c->n_bytes = 0;
}
