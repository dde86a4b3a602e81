/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of this process that the data path may read directly (unetmap.h).
 *
 * Few ranges, looked up by whoever syncs, changed by whoever maps memory; the user keeps the two
 * apart in time for the range in question, but others may be in use. So an entry's length is
 * published last and cleared first: a reader sees whole entries, or none.
 */
#ifndef UNM_PORT_TRUSTED_H
#define UNM_PORT_TRUSTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/atomic.h"

#define UNM_TRUSTED_MAX 4096u /* 64 devices with 64 ranges each */

struct unm_trusted {
	uint64_t start;
	uint64_t len; /* 0: free */
};

extern struct unm_trusted unm_trusted_table[UNM_TRUSTED_MAX];
extern uint32_t unm_trusted_used; /* entries from here on were never used */
extern uint32_t unm_trusted_hit;  /* entry of the latest success, a hint */

/* Return: 0, -EINVAL, -ENOSPC. */
int unm_trusted_add(const void *start, size_t len);
void unm_trusted_remove(const void *start);

bool unm_trusted_has_slow(uint64_t addr, uint64_t len);

static inline bool
unm_trusted_entry_has(const struct unm_trusted *t, uint64_t addr, uint64_t len)
{
	const uint64_t size = unm_load_acquire64(&t->len);
	const uint64_t ofs = addr - UNM_READ_ONCE(t->start);

	return ofs < size && len <= size - ofs;
}

/* May [addr, addr + len) be read directly? */
static inline bool
unm_trusted_has(uint64_t addr, uint64_t len)
{
	const uint32_t hit = UNM_READ_ONCE(unm_trusted_hit);

	return __builtin_expect(unm_trusted_entry_has(&unm_trusted_table[hit], addr, len), 1) ||
	       unm_trusted_has_slow(addr, len);
}

#endif
