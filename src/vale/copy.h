/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying frames, most of which are short.
 *
 * Wherever bytes go from one buffer to another, memmove() does it: a sender whose memory is the
 * receiver's too can name the very buffer that it is copied to, at another offset. What comes out
 * then is the sender's own affair, but it is defined. (Where whole lines are copied, both are
 * aligned to 64: the same line, or another one.)
 */
#ifndef UNM_VALE_COPY_H
#define UNM_VALE_COPY_H

#include <stdint.h>
#include <string.h>

/*
 * memmove(), without a call for 32 to 128 bytes: two halves of fixed length that overlap. So a byte
 * may be read twice, and bytes that overlap are mixed up; use it only where the content is not
 * looked at.
 */
static inline void
unm_copy_frame(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	if (len - 32 > 128 - 32) {
		memmove(dst, src, len);
	} else if (len <= 64) {
		memcpy(dst, src, 32);
		memcpy(dst + len - 32, src + len - 32, 32);
	} else {
		memcpy(dst, src, 64);
		memcpy(dst + len - 64, src + len - 64, 64);
	}
}

#endif
