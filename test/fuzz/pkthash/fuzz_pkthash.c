/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes nm-lb's packet parser: any bytes, at their exact size, so that AddressSanitizer sees a read
 * beyond them. Checked besides: the same bytes give the same hash, what is not IP gives 0, and bytes
 * beyond the given length do not count.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pkt_hash.h"

#define TAIL 64 /* bytes behind the packet in the second run */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *longer = malloc(size + TAIL);
	uint32_t hash, again;
	enum lb_pkt_kind kind;

	if (longer == NULL)
		return 0;
	kind = lb_pkt_hash(data, (uint32_t)size, &hash);
	if (kind == LB_PKT_OTHER && hash != 0)
		abort();
	memcpy(longer, data, size);
	memset(longer + size, 0x5a, TAIL);
	if (lb_pkt_hash(longer, (uint32_t)size, &again) != kind || again != hash)
		abort();
	free(longer);
	return 0;
}
