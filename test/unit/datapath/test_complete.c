/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checksums that were left to an offload are completed, in frames of any layout and any pieces; all
 * other frames stay as they are, and what is no frame at all does no harm.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "offload_frames.h"
#include "vale/complete_fp.h"

#define ROUNDS	   4000
#define MAX_PIECES 5u
#define FIRST	   160u /* bytes in the first piece at least: all headers */

static const struct offload_shape shape = {
	.src = 1, .dst = 2, .max_payload = 9000, .min_size = 500, .max_size = 1448};

static struct offload_frame frame, copy;

static enum offload_kind
kind_of(uint32_t n)
{
	return OFFLOAD_CSUM_TCP4 + n % (OFFLOAD_KINDS - OFFLOAD_CSUM_TCP4);
}

/* Lay the frame out in pieces, each in memory of its own size, so that a sanitizer sees its end. */
static uint32_t
cut(struct iovec *iov, const uint8_t *data, uint32_t len, uint64_t *rng)
{
	uint32_t n = 0, at = 0;

	while (at < len && n < MAX_PIECES) {
		uint32_t piece = offload_random(rng, n == 0 ? FIRST : 1, n == 0 ? 2048 : 3000);

		if (piece > len - at || n == MAX_PIECES - 1)
			piece = len - at;
		iov[n].iov_base = malloc(piece);
		assert_non_null(iov[n].iov_base);
		iov[n].iov_len = piece;
		memcpy(iov[n++].iov_base, data + at, piece);
		at += piece;
	}
	return n;
}

static void
join(const struct iovec *iov, uint32_t n, uint8_t *data)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		memcpy(data, iov[i].iov_base, iov[i].iov_len);
		data += iov[i].iov_len;
		free(iov[i].iov_base);
	}
}

static bool
complete(struct offload_frame *f, uint32_t len, uint64_t *rng)
{
	struct iovec iov[MAX_PIECES] = {{0}};
	const uint32_t n = cut(iov, f->data, len, rng);
	const bool was_open = unm_csum_complete(iov, n);

	join(iov, n, f->data);
	return was_open;
}

static void
is_completed_once(void **state)
{
	uint64_t rng = 1;
	uint32_t i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		offload_frame_make(&frame, kind_of(i), &shape, &rng);
		assert_false(offload_l4_ok(&frame, frame.data, frame.len));
		assert_true(complete(&frame, frame.len, &rng));
		assert_true(offload_l4_ok(&frame, frame.data, frame.len));
		copy = frame;
		complete(&frame, frame.len, &rng); /* true in one of 2^16 frames */
		assert_memory_equal(frame.data, copy.data, frame.len);
	}
}

static void
padding_does_not_count(void **state)
{
	uint64_t rng = 2;
	uint32_t i;

	(void)state;
	for (i = 0; i < 100; i++) {
		offload_frame_make(&frame, kind_of(i), &shape, &rng);
		memset(frame.data + frame.len, 0xa5, 20);
		assert_true(complete(&frame, frame.len + 20, &rng));
		assert_true(offload_l4_ok(&frame, frame.data, frame.len));
	}
}

/* A wrong checksum is for the receiver to see. */
static void
wrong_ones_stay(void **state)
{
	uint64_t rng = 3;
	uint32_t i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		offload_frame_make(&frame, kind_of(i), &shape, &rng);
		frame.data[frame.l4 + frame.vnet[8]] ^= 0x11; /* csum_offset */
		copy = frame;
		assert_false(complete(&frame, frame.len, &rng));
		assert_memory_equal(frame.data, copy.data, frame.len);
	}
}

/* Payload that makes the right checksum what an open one would be. */
static void
right_by_accident(void **state)
{
	uint64_t rng = 4;
	uint32_t i, n = 0;

	(void)state;
	for (i = 0; i < 20 && n < 2; i++) {
		uint32_t v;

		offload_frame_make(&frame, OFFLOAD_CSUM_UDP4, &shape, &rng);
		if (frame.payload < 2)
			continue;
		copy = frame;
		for (v = 0; v < 65536; v++) {
			frame.data[frame.l4 + 8] = (uint8_t)(v >> 8);
			frame.data[frame.l4 + 9] = (uint8_t)v;
			if (offload_l4_ok(&frame, frame.data, frame.len))
				break;
		}
		if (v == 65536)
			continue;
		copy = frame;
		assert_true(complete(&frame, frame.len, &rng));
		assert_memory_equal(frame.data, copy.data, frame.len);
		n++;
	}
	assert_int_equal(n, 2);
}

/* Cut off anywhere, or with bytes changed: whatever comes of it, only the checksum may change. */
static void
damaged(void **state)
{
	uint64_t rng = 5;
	uint32_t i, k;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		struct iovec iov;
		uint32_t len, differ = 0;

		offload_frame_make(&frame, kind_of(i), &shape, &rng);
		for (k = offload_random(&rng, 0, 3); k > 0; k--)
			frame.data[offload_random(&rng, 12, 80)] =
				(uint8_t)offload_random(&rng, 0, 255);
		len = offload_random(&rng, 1, frame.len < 200 ? frame.len : 200);
		iov.iov_base = malloc(len);
		assert_non_null(iov.iov_base);
		iov.iov_len = len;
		memcpy(iov.iov_base, frame.data, len);
		unm_csum_complete(&iov, 1);
		for (k = 0; k < len; k++)
			differ += ((uint8_t *)iov.iov_base)[k] != frame.data[k];
		assert_true(differ <= 2);
		free(iov.iov_base);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_completed_once),
		cmocka_unit_test(padding_does_not_count),
		cmocka_unit_test(wrong_ones_stay),
		cmocka_unit_test(right_by_accident),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
