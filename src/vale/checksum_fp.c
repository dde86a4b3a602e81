/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See checksum_fp.h.
 *
 * Each 32-bit lane of a vector is split into its two 16-bit words, which are added to lanes of
 * their own: no carry can be lost within UNM_CSUM_MAX bytes, as a lane takes 2^16 additions of at
 * most 2^16 - 1 and one call makes at most UNM_CSUM_MAX / VEC_LEN of them. The compiler's vectors
 * give SSE2 here and NEON elsewhere.
 */
#include "vale/checksum_fp.h"

#include <arpa/inet.h>
#include <string.h>

typedef uint32_t vec __attribute__((vector_size(16)));

#define VEC_LEN sizeof(vec)
#define STEP	(4 * VEC_LEN) /* bytes of a turn: two pairs of sums keep the adders busy */

_Static_assert(UNM_CSUM_MAX / VEC_LEN <= 65536, "no lane overflows");

/* Load a vector, and copy it if there is a @dst. */
static inline __attribute__((always_inline)) vec
take(uint8_t *dst, const uint8_t *src)
{
	vec v;

	memcpy(&v, src, VEC_LEN);
	if (dst != NULL)
		memcpy(dst, &v, VEC_LEN);
	return v;
}

/* What does not fill a vector: less than VEC_LEN bytes. */
static inline __attribute__((always_inline)) uint64_t
sum_tail(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	uint64_t sum = 0, w8 = 0;
	uint32_t w4 = 0;
	uint16_t w2 = 0;

	if (len & 8) {
		memcpy(&w8, src, 8);
		if (dst != NULL)
			memcpy(dst, &w8, 8);
		sum += (w8 & UINT32_MAX) + (w8 >> 32);
	}
	if (len & 4) {
		memcpy(&w4, src + (len & 8), 4);
		if (dst != NULL)
			memcpy(dst + (len & 8), &w4, 4);
		sum += w4;
	}
	if (len & 2) {
		memcpy(&w2, src + (len & 12), 2);
		if (dst != NULL)
			memcpy(dst + (len & 12), &w2, 2);
		sum += w2;
	}
	if (len & 1) {
		w2 = 0;
		memcpy(&w2, src + (len & 14), 1);
		if (dst != NULL)
			memcpy(dst + (len & 14), &w2, 1);
		sum += w2;
	}
	return sum;
}

/*
 * The compiler knows for each caller whether @dst is NULL (unm_csum_copy() is declared so), and
 * drops the question.
 */
static inline __attribute__((always_inline)) uint64_t
sum_run(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	vec even = {0}, odd = {0}, even2 = {0}, odd2 = {0};
	uint64_t sum = 0;
	uint32_t at = 0;
	int i;

	for (; len - at >= STEP; at += STEP) { /* len <= UNM_CSUM_MAX */
		uint8_t *to = dst != NULL ? dst + at : NULL;
		const vec a = take(to, src + at);
		const vec b = take(to != NULL ? to + VEC_LEN : NULL, src + at + VEC_LEN);
		const vec c = take(to != NULL ? to + 2 * VEC_LEN : NULL, src + at + 2 * VEC_LEN);
		const vec d = take(to != NULL ? to + 3 * VEC_LEN : NULL, src + at + 3 * VEC_LEN);

		even += (a & 0xffff) + (b & 0xffff);
		odd += (a >> 16) + (b >> 16);
		even2 += (c & 0xffff) + (d & 0xffff);
		odd2 += (c >> 16) + (d >> 16);
	}
	for (; len - at >= VEC_LEN; at += VEC_LEN) { /* at most three turns */
		const vec a = take(dst != NULL ? dst + at : NULL, src + at);

		even += a & 0xffff;
		odd += a >> 16;
	}
	for (i = 0; i < 4; i++)
		sum += (uint64_t)even[i] + odd[i] + even2[i] + odd2[i];
	return sum + sum_tail(dst != NULL ? dst + at : NULL, src + at, len - at);
}

uint64_t
unm_csum_bytes(const void *src, uint32_t len)
{
	return sum_run(NULL, src, len);
}

uint64_t
unm_csum_copy(void *dst, const void *src, uint32_t len)
{
	return sum_run(dst, src, len);
}

uint64_t
unm_csum_pseudo4(const uint8_t *ip, uint8_t proto)
{
	return unm_csum_bytes(ip + 12, 8) + htons(proto);
}

uint64_t
unm_csum_pseudo6(const uint8_t *ip, uint8_t proto)
{
	return unm_csum_bytes(ip + 8, 32) + htons(proto);
}
