/* SPDX-License-Identifier: BSD-2-Clause */
/* Copying frames, most of which are short. */
#ifndef UNM_VALE_COPY_H
#define UNM_VALE_COPY_H

#include <stdint.h>
#include <string.h>

/*
 * memcpy(), without a call for 32 to 128 bytes: two halves of fixed length that overlap. So a byte
 * may be read twice; use it only where the content is not looked at.
 */
static inline void
unm_copy_frame(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	if (len - 32 > 128 - 32) {
		memcpy(dst, src, len);
	} else if (len <= 64) {
		memcpy(dst, src, 32);
		memcpy(dst + len - 32, src + len - 32, 32);
	} else {
		memcpy(dst, src, 64);
		memcpy(dst + len - 64, src + len - 64, 64);
	}
}

#endif
