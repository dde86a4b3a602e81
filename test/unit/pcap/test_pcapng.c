/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: what the pcapng writer writes is read back, by nmreplay's reader, as it was: frames of
 * all lengths modulo 4, times of nanoseconds, interfaces that come in between; names, directions
 * and counters are where the format has them, byte for byte; and the first failure sticks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture_reader.h"
#include "pcap/pcapng.h"

#define T0 UINT64_C(1795920434402188095)

struct image {
	char *bytes;
	size_t size;
	FILE *file;
};

static void
image_open(struct image *m)
{
	m->file = open_memstream(&m->bytes, &m->size);
	assert_non_null(m->file);
}

static uint32_t
u32_at(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The @n-th block of a type, from 0; each block's two lengths have to agree. NULL: none. */
static const char *
find_block(const struct image *m, uint32_t type, int n)
{
	size_t off = 0;

	while (off + 12 <= m->size) {
		const char *p = m->bytes + off;
		const uint32_t len = u32_at(p + 4);

		assert_true(len % 4 == 0 && len >= 12 && len <= m->size - off);
		assert_int_equal(u32_at(p + len - 4), len);
		if (u32_at(p) == type && n-- == 0)
			return p;
		off += len;
	}
	assert_int_equal(off, m->size);
	return NULL;
}

/* The value of an option in a block whose fixed part has @fixed bytes; NULL: it has none. */
static const char *
find_option(const char *block, uint32_t fixed, uint16_t code, uint16_t *len)
{
	const char *p = block + 8 + fixed, *end = block + u32_at(block + 4) - 4;

	while (p < end) {
		uint16_t head[2];

		memcpy(head, p, sizeof(head));
		if (head[0] == 0)
			break;
		if (head[0] == code) {
			*len = head[1];
			return p + 4;
		}
		p += 4 + (head[1] + 3) / 4 * 4;
	}
	return NULL;
}

static void
assert_text(const char *block, uint32_t fixed, uint16_t code, const char *text)
{
	uint16_t len = 0;
	const char *p = find_option(block, fixed, code, &len);

	assert_non_null(p);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(p, text, len);
}

static void
test_read_back(void **state)
{
	const struct unm_pcapng_interface a = {.name = "vale0:a"}, c = {.name = "netmap:x{1"};
	uint8_t data[64];
	struct nmt_capture_packet pkt;
	struct nmt_capture *cap;
	struct unm_pcapng w;
	struct image m;
	uint32_t i;
	FILE *in;

	(void)state;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	image_open(&m);
	unm_pcapng_begin(&w, m.file, "test");
	assert_int_equal(unm_pcapng_interface(&w, &a), 0);
	for (i = 0; i < 20; i++) {
		const struct unm_pcapng_packet p = {.data = data + i,
			.caplen = 14 + i,
			.len = 100 + i,
			.time_ns = T0 + i,
			.direction = i % 3};

		if (i == 10)
			assert_int_equal(unm_pcapng_interface(&w, &c), 1);
		assert_int_equal(unm_pcapng_packet(&w, i / 10, &p), 0);
	}
	assert_int_equal(unm_pcapng_flush(&w), 0);
	fclose(m.file);

	in = fmemopen(m.bytes, m.size, "r");
	assert_int_equal(nmt_capture_open_stream(in, &cap, NULL), 0);
	for (i = 0; i < 20; i++) {
		assert_int_equal(nmt_capture_next(cap, &pkt, NULL), 1);
		assert_int_equal(pkt.caplen, 14 + i);
		assert_int_equal(pkt.len, 100 + i);
		assert_int_equal(pkt.if_idx, i / 10);
		assert_int_equal(pkt.linktype, NMT_CAPTURE_LINKTYPE_ETHERNET);
		assert_true(pkt.has_time && pkt.time_ns == (int64_t)(T0 + i));
		assert_memory_equal(pkt.data, data + i, 14 + i);
	}
	assert_int_equal(nmt_capture_next(cap, &pkt, NULL), 0);
	nmt_capture_close(cap);
	fclose(in);
	free(m.bytes);
}

static void
test_descriptions(void **state)
{
	const struct unm_pcapng_interface iface = {
		.name = "vale0:a", .description = "a port", .filter = "tcp", .snaplen = 96};
	struct unm_pcapng w;
	const char *block, *p;
	struct image m;
	uint16_t len;

	(void)state;
	image_open(&m);
	unm_pcapng_begin(&w, m.file, "test");
	unm_pcapng_interface(&w, &iface);
	assert_int_equal(unm_pcapng_flush(&w), 0);
	fclose(m.file);
	block = find_block(&m, 0x0a0d0d0a, 0);
	assert_non_null(block);
	assert_int_equal(u32_at(block + 8), 0x1a2b3c4d);
	assert_text(block, 16, 4, "test (unetmap) " UNM_VERSION);
	block = find_block(&m, 1, 0);
	assert_non_null(block);
	assert_int_equal(u32_at(block + 12), 96);
	assert_text(block, 8, 2, "vale0:a");
	assert_text(block, 8, 3, "a port");
	assert_text(block, 8, 9, "\x09");
	p = find_option(block, 8, 11, &len);
	assert_non_null(p);
	assert_int_equal(len, 4);
	assert_memory_equal(p, "\0tcp", 4);
	free(m.bytes);
}

static void
test_directions(void **state)
{
	static const enum unm_pcapng_direction directions[] = {
		UNM_PCAPNG_UNKNOWN, UNM_PCAPNG_IN, UNM_PCAPNG_OUT};
	const struct unm_pcapng_interface iface = {.name = "a"};
	struct unm_pcapng w;
	struct image m;
	uint16_t len;
	int i;

	(void)state;
	image_open(&m);
	unm_pcapng_begin(&w, m.file, "test");
	unm_pcapng_interface(&w, &iface);
	for (i = 0; i < 3; i++) {
		const struct unm_pcapng_packet p = {.data = (const uint8_t *)"0123456789abcd",
			.caplen = 13,
			.len = 13,
			.time_ns = T0,
			.direction = directions[i]};

		unm_pcapng_packet(&w, 0, &p);
	}
	assert_int_equal(unm_pcapng_flush(&w), 0);
	fclose(m.file);
	for (i = 0; i < 3; i++) {
		const char *block = find_block(&m, 6, i);
		const char *p;

		assert_non_null(block);
		assert_int_equal(u32_at(block + 12), (uint32_t)(T0 >> 32));
		assert_int_equal(u32_at(block + 16), (uint32_t)T0);
		p = find_option(block, 20 + 16, 2, &len);
		assert_int_equal(p != NULL ? u32_at(p) : 0, i);
	}
	free(m.bytes);
}

static void
test_counters(void **state)
{
	const struct unm_pcapng_counters counters = {.start_ns = T0,
		.end_ns = T0 + 5,
		.received = 7,
		.dropped = UINT64_C(1) << 33,
		.accepted = 3};
	const struct unm_pcapng_interface iface = {.name = "a"};
	struct unm_pcapng w;
	const char *block;
	struct image m;
	uint64_t v;
	uint16_t len;

	(void)state;
	image_open(&m);
	unm_pcapng_begin(&w, m.file, "test");
	unm_pcapng_interface(&w, &iface);
	unm_pcapng_counters(&w, 0, &counters);
	assert_int_equal(unm_pcapng_flush(&w), 0);
	fclose(m.file);
	block = find_block(&m, 5, 0);
	assert_non_null(block);
	assert_int_equal(u32_at(find_option(block, 12, 2, &len)), (uint32_t)(T0 >> 32));
	assert_int_equal(u32_at(find_option(block, 12, 3, &len) + 4), (uint32_t)(T0 + 5));
	memcpy(&v, find_option(block, 12, 4, &len), sizeof(v));
	assert_int_equal(v, 7);
	memcpy(&v, find_option(block, 12, 5, &len), sizeof(v));
	assert_int_equal(v, UINT64_C(1) << 33);
	memcpy(&v, find_option(block, 12, 6, &len), sizeof(v));
	assert_int_equal(v, 3);
	free(m.bytes);
}

static void
test_full_disk(void **state)
{
	const struct unm_pcapng_interface iface = {.name = "a"};
	FILE *full = fopen("/dev/full", "w");
	struct unm_pcapng w;

	(void)state;
	if (full == NULL)
		skip();
	unm_pcapng_begin(&w, full, "test");
	unm_pcapng_interface(&w, &iface);
	assert_int_equal(unm_pcapng_flush(&w), -ENOSPC);
	assert_int_equal(unm_pcapng_interface(&w, &iface), -ENOSPC);
	assert_int_equal(unm_pcapng_flush(&w), -ENOSPC);
	fclose(full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_descriptions),
		cmocka_unit_test(test_directions),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
