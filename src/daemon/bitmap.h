/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of indices as 64-bit words: what the allocators of netmapd are made of. */
#ifndef UNM_DAEMON_BITMAP_H
#define UNM_DAEMON_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#define UNM_BITMAP_WORDS(n) (((uint64_t)(n) + 63) / 64)

static inline bool
unm_bit_test(const uint64_t *map, uint32_t i)
{
	return (map[i / 64] >> (i % 64)) & 1;
}

static inline void
unm_bit_set(uint64_t *map, uint32_t i)
{
	map[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void
unm_bit_clear(uint64_t *map, uint32_t i)
{
	map[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/**
 * unm_bitmap_find_run() - first run of @run clear bits at or above @from
 * @n: bits in the map
 *
 * Return: its first index, or UINT32_MAX.
 */
uint32_t unm_bitmap_find_run(const uint64_t *map, uint32_t n, uint32_t from, uint32_t run);

#endif
