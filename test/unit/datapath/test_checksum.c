/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum: every length around the steps of the loop, every alignment, pieces of odd
 * length, copies that write nothing but what they should; against a sum byte by byte.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "traffic.h"
#include "vale/checksum_fp.h"

static uint8_t src[UNM_CSUM_MAX + 64], dst[UNM_CSUM_MAX + 64];

static uint16_t
slow(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0, i;
	uint8_t word[2];
	uint16_t out;

	for (i = 0; i < len; i++) {
		sum += (uint32_t)(i % 2 ? p[i] : p[i] << 8);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	word[0] = (uint8_t)(sum >> 8);
	word[1] = (uint8_t)sum;
	memcpy(&out, word, 2);
	return out;
}

/* The two zeros of ones' complement are the same. */
static uint16_t
one_zero(uint16_t sum)
{
	return sum == 0xffff ? 0 : sum;
}

static void
fill(uint64_t seed)
{
	uint32_t i;

	for (i = 0; i < sizeof(src); i += 4) {
		const uint32_t x = traffic_random(&seed);

		memcpy(src + i, &x, 4);
	}
}

static void
lengths(void **state)
{
	uint32_t len, at;

	(void)state;
	fill(1);
	for (len = 0; len < 300; len++)
		for (at = 0; at < 17; at++) {
			const uint16_t want = one_zero(slow(src + at, len));
			uint32_t i;

			assert_int_equal(
				one_zero(unm_csum_fold(unm_csum_bytes(src + at, len))), want);
			memset(dst, 0xa5, 400);
			assert_int_equal(one_zero(unm_csum_fold(
						 unm_csum_copy(dst + 20 - at, src + at, len))),
				want);
			assert_memory_equal(dst + 20 - at, src + at, len);
			for (i = 0; i < 400; i++)
				if (i < 20 - at || i >= 20 - at + len)
					assert_int_equal(dst[i], 0xa5);
		}
}

/* The most that one call takes, with the words that overflow first. */
static void
longest(void **state)
{
	(void)state;
	memset(src, 0xff, sizeof(src));
	assert_int_equal(unm_csum_fold(unm_csum_bytes(src, UNM_CSUM_MAX)), 0xffff);
	src[UNM_CSUM_MAX - 1] = 0xfe;
	assert_int_equal(unm_csum_fold(unm_csum_bytes(src, UNM_CSUM_MAX)), slow(src, UNM_CSUM_MAX));
	fill(2);
	assert_int_equal(
		unm_csum_fold(unm_csum_copy(dst, src, UNM_CSUM_MAX)), slow(src, UNM_CSUM_MAX));
	assert_memory_equal(dst, src, UNM_CSUM_MAX);
}

static void
pieces(void **state)
{
	uint64_t rng = 3;
	int i;

	(void)state;
	fill(3);
	for (i = 0; i < 2000; i++) {
		const uint32_t len = traffic_random(&rng) % 3000;
		struct unm_csum c = {0};
		uint32_t at = 0;

		while (at < len) {
			uint32_t n = 1 + traffic_random(&rng) % 500;

			if (n > len - at)
				n = len - at;
			unm_csum_add(&c, unm_csum_bytes(src + at, n), n);
			at += n;
		}
		assert_int_equal(one_zero(unm_csum_fold(c.sum)), one_zero(slow(src, len)));
	}
}

static void
folding(void **state)
{
	static const uint64_t sums[] = {0, 1, 0xffff, 0x10000, 0x1fffe, 0xffffffff, 0x100000000,
		0xffffffffffff, UINT64_MAX, UINT64_MAX - 1, 0xffff0000ffff0000};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) /* 2^16 is 1 modulo 65535 */
		assert_int_equal(one_zero(unm_csum_fold(sums[i])), sums[i] % 0xffff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths),
		cmocka_unit_test(longest),
		cmocka_unit_test(pieces),
		cmocka_unit_test(folding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
