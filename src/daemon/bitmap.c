/* SPDX-License-Identifier: BSD-2-Clause */
/* Search for free runs. See bitmap.h. */
#include "daemon/bitmap.h"

uint32_t
unm_bitmap_find_run(const uint64_t *map, uint32_t n, uint32_t from, uint32_t run)
{
	uint32_t i = from, len = 0;

	if (run == 0 || run > n)
		return UINT32_MAX;
	while (i < n) { /* at most n steps */
		if (i % 64 == 0 && map[i / 64] == UINT64_MAX) {
			len = 0;
			i += 64;
			continue;
		}
		len = unm_bit_test(map, i) ? 0 : len + 1;
		if (len == run)
			return i - run + 1;
		i++;
	}
	return UINT32_MAX;
}
