/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: frames have the length, addresses, numbers and checksums that the options ask for,
 * whatever varies; ranges are walked through completely; numbers are found again by the receiver's
 * checks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "frame.h"
#include "parse_line.h"
#include "seq.h"
#include "worker.h"

static struct pg_template tmpl;
static struct pg_options opt;
static uint8_t frame[PG_VNET_HDR_MAX + PG_FRAME_LEN_MAX];

/* Options from a line of words, and their template. */
static void
set_up(const char *line, uint32_t vnet_len)
{
	char whole[256];

	pg_template_free(&tmpl);
	snprintf(whole, sizeof(whole), "-i null %s", line);
	parse_line(&opt, whole);
	assert_int_equal(pg_template_init(&tmpl, &opt, vnet_len), 0);
}

/* The next frame of a variation, put together as a sender does it. */
static uint32_t
next_frame(struct pg_vary *v)
{
	uint32_t len = pg_vary_next(v, 123 * UINT64_C(1000000000) + 456);
	uint32_t head_len = len < tmpl.head_len ? len : tmpl.head_len;

	memcpy(frame, tmpl.data, tmpl.len);
	memcpy(frame, v->head, head_len);
	return len;
}

static void
check_udp(const uint8_t *f, uint32_t len, bool is_v6)
{
	assert_int_equal(nmt_get16(f + nmt_udp_hdr_off(is_v6) + 4), len - nmt_udp_hdr_off(is_v6));
	assert_int_equal(nmt_get16(f + nmt_udp_hdr_off(is_v6) + 6), nmt_udp_csum(f, len, is_v6));
	if (!is_v6)
		assert_int_equal(nmt_csum_finish(nmt_csum_add(0, f + 14, 20)), 0);
}

static void
test_template(void **state)
{
	(void)state; /* cmocka's signature */
	set_up("-f tx", 0);
	assert_int_equal(tmpl.len, 60);
	assert_null(tmpl.payload_sums);
	check_udp(tmpl.data, 60, false);
	assert_memory_equal(tmpl.data, "\xff\xff\xff\xff\xff\xff", 6);
	assert_memory_equal(tmpl.data + 26, "\x0a\x00\x00\x01\x0a\x01\x00\x01\x04\xd2\x04\xd2", 12);

	set_up("-f tx -6 -l 1514 -s [fd00::5]:7 -d fd00::6", 12);
	assert_int_equal(tmpl.len, 1526);
	assert_int_equal(tmpl.data[0], 0);
	check_udp(tmpl.data + 12, 1514, true);

	/* Shorter than its headers: the headers cut short. */
	set_up("-f tx -l 16", 0);
	assert_int_equal(tmpl.len, 16);
	assert_int_equal(nmt_get16(tmpl.data + 12), 0x0800);

	set_up("-f tx -l 65536", 0);
	check_udp(tmpl.data, 65536, false);
}

/* Two ports, three addresses, two destination ports: 12 different frames, then the first again. */
static void
test_ranges(void **state)
{
	struct pg_vary v;
	uint8_t seen[12][12];
	uint8_t first[12];

	(void)state;
	set_up("-f tx -l 77 -s 1.0.0.254:10-1.0.1.0:11 -d 2.0.0.1:99-2.0.0.1:100", 0);
	pg_vary_init(&v, &tmpl, &opt, 0);
	for (int i = 0; i < 12; i++) {
		assert_int_equal(next_frame(&v), 77);
		check_udp(frame, 77, false);
		memcpy(seen[i], frame + 26, 12);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(seen[i], seen[k], 12);
	}
	/* The port turns fastest, the source before the destination. */
	assert_memory_equal(seen[1], "\x01\x00\x00\xfe\x02\x00\x00\x01\x00\x0b\x00\x63", 12);
	assert_memory_equal(seen[2], "\x01\x00\x00\xff\x02\x00\x00\x01\x00\x0a\x00\x63", 12);
	assert_memory_equal(seen[6], "\x01\x00\x00\xfe\x02\x00\x00\x01\x00\x0a\x00\x64", 12);
	memcpy(first, seen[0], 12);
	next_frame(&v);
	assert_memory_equal(frame + 26, first, 12);
}

static void
test_mac_ranges(void **state)
{
	static const uint8_t src_last[] = {9, 10, 9, 10};
	static const uint8_t dst_last[] = {1, 2, 3, 1};
	struct pg_vary v;

	(void)state;
	set_up("-f tx -S 2:0:0:0:0:9-2:0:0:0:0:a -D 2:0:0:0:1:1-2:0:0:0:1:3", 10);
	pg_vary_init(&v, &tmpl, &opt, 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(next_frame(&v), 70);
		assert_int_equal(frame[10 + 5], dst_last[i]);
		assert_int_equal(frame[10 + 11], src_last[i]);
		check_udp(frame + 10, 60, false);
	}
}

static void
test_random(void **state)
{
	uint32_t n_short = 0;
	struct pg_vary v;
	uint8_t last[12] = {0};

	(void)state;
	set_up("-f tx -z -Z -6 -l 1400 -l 62", 0);
	pg_vary_init(&v, &tmpl, &opt, 3);
	for (int i = 0; i < 2000; i++) {
		uint32_t len = next_frame(&v);

		assert_in_range(len, 62, 1400);
		n_short += len < 731;
		check_udp(frame, len, true);
		assert_memory_not_equal(frame + 22, last, 12);
		memcpy(last, frame + 22, 12);
	}
	/* Half of the lengths lie below the middle: 1000, and six standard deviations of 22. */
	assert_in_range(n_short, 1000 - 134, 1000 + 134);
}

static void
test_short_random(void **state)
{
	bool seen[61] = {false};
	struct pg_vary v;

	(void)state;
	set_up("-f tx -l 16 -l 60", 0);
	pg_vary_init(&v, &tmpl, &opt, 0);
	for (int i = 0; i < 4000; i++) {
		uint32_t len = next_frame(&v);

		assert_in_range(len, 16, 60);
		seen[len] = true;
	}
	for (int len = 16; len <= 60; len++)
		assert_true(seen[len]);
}

static void
test_numbers(void **state)
{
	struct pg_seq_stats s = {0};
	struct pg_vary v;

	(void)state;
	set_up("-f txseq -o 16 -l 100", 0);
	pg_vary_init(&v, &tmpl, &opt, 0);
	for (uint32_t i = 0; i < 10; i++) {
		const uint8_t *payload;
		uint32_t len = next_frame(&v);

		check_udp(frame, len, false);
		payload = pg_udp_payload(frame, len, PG_STAMP_LEN);
		assert_ptr_equal(payload, frame + 42);
		assert_int_equal(nmt_get32(payload), i);
		assert_true(pg_read_stamp(payload) == 123 * UINT64_C(1000000000) + 456);
		if (i != 3 && i != 4 && i != 6)
			pg_seq_check(&s, frame, len);
	}
	assert_int_equal(s.n_gaps, 2);
	assert_int_equal(s.n_lost, 3);
	assert_int_equal(s.n_late, 0);
}

/* Hand numbers to the check, in a frame made for the purpose. */
static void
feed(struct pg_seq_stats *s, uint32_t seq)
{
	memcpy(frame, tmpl.data, tmpl.len);
	nmt_put32(frame + 42, seq);
	pg_seq_check(s, frame, tmpl.len);
}

static void
test_seq_check(void **state)
{
	struct pg_seq_stats s = {0};

	(void)state;
	set_up("-f txseq", 0);
	feed(&s, UINT32_MAX - 1); /* starts anywhere */
	feed(&s, UINT32_MAX);
	feed(&s, 0); /* wraps */
	assert_int_equal(s.n_gaps + s.n_lost + s.n_late, 0);
	feed(&s, 3); /* 1 and 2 are missing */
	feed(&s, 2); /* comes late */
	feed(&s, 4);
	feed(&s, 4); /* twice */
	assert_int_equal(s.n_gaps, 1);
	assert_int_equal(s.n_late, 2);
	assert_int_equal(s.n_lost, 0);
	feed(&s, 5);
	frame[23] = 6; /* TCP */
	pg_seq_check(&s, frame, tmpl.len);
	pg_seq_check(&s, tmpl.data, 45); /* too short for a number */
	assert_int_equal(s.n_foreign, 2);
	assert_int_equal(s.expected, 6);
}

static void
test_derived_mac(void **state)
{
	uint8_t a[6], b[6], c[6];

	(void)state;
	pg_derived_mac("vale0:a", a);
	pg_derived_mac("vale0:a", b);
	pg_derived_mac("vale0:b", c);
	assert_memory_equal(a, b, 6);
	assert_memory_not_equal(a, c, 6);
	assert_int_equal(a[0], 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_template),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_mac_ranges),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_short_random),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_seq_check),
		cmocka_unit_test(test_derived_mac),
	};
	int n_failed = cmocka_run_group_tests(tests, NULL, NULL);

	pg_template_free(&tmpl);
	return n_failed;
}
