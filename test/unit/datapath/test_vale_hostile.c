/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio-net headers as an attacker writes them: whatever they say, a receiver gets a frame that
 * its own stack can take, or none; nothing is read or written outside the frame (the address
 * sanitizer's variant watches), and what is changed while it is looked at does not get past the
 * check.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "offload_rig.h"
#include "shm/atomic.h"
#include "vale/vnet.h"

static struct vale_rig v;
static struct offload_frame f, good;
static struct offload_result got;

static int
setup(void **state)
{
	const struct fake_geometry g = {
		.n_tx = 1, .n_rx = 1, .slots = 1024, .buf_size = 2048, .hdr_len = 12};
	struct fake_geometry plain = g;

	(void)state;
	plain.hdr_len = 0;
	vale_rig_init(&v, 10);
	vale_rig_add(&v, g);
	vale_rig_add(&v, g);
	vale_rig_add(&v, plain);
	vale_rig_teach(&v);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vale_rig_free(&v);
	offload_result_free(&got);
	return 0;
}

/* A frame of @kind, without tags, options and extension headers. */
static void
make(enum offload_kind kind)
{
	const struct offload_shape shape = {
		.src = 0, .dst = 1, .max_payload = 3000, .min_size = 1000, .max_size = 1000};
	uint64_t rng = 1;

	do
		offload_frame_make(&f, kind, &shape, &rng);
	while (f.len < 2000 || f.l3 != 14 || f.payload > 14 + 40 + 20 ||
		f.l4 != (f.data[14] >> 4 == 4 ? 34 : 54) || f.vnet[1] & UNM_VNET_GSO_ECN);
	good = f;
}

/* Frames that receiver @port gets of f. */
static uint32_t
send_to(uint32_t port)
{
	traffic_mac(f.data, port);
	offload_rig_send(&v, 0, 12, &f, NULL);
	vale_txsync(&v, 0);
	offload_rig_receive(&v, port, &got);
	return got.n;
}

/* f has to be dropped for every receiver, for that reason; the good one still passes. */
static void
expect_drop(const char *what)
{
	const uint64_t before = vale_drops(&v, 0, UNM_DROP_OFFLOAD);

	if (send_to(1) != 0 || send_to(2) != 0 || vale_drops(&v, 0, UNM_DROP_OFFLOAD) != before + 2)
		fail_msg("not dropped: %s", what);
	f = good;
	assert_int_equal(send_to(1), 1);
	assert_true(send_to(2) >= 1);
	f = good;
}

static struct unm_vnet_hdr *
hdr(void)
{
	return (struct unm_vnet_hdr *)(void *)f.vnet;
}

static void
bad_types(void **state)
{
	static const enum offload_kind kinds[] = {
		OFFLOAD_TCP4, OFFLOAD_TCP6, OFFLOAD_USO4, OFFLOAD_UFO6, OFFLOAD_CSUM_UDP4};
	static const bool is_type[256] = {[0] = true,
		[1] = true,
		[3] = true,
		[4] = true,
		[5] = true,
		[0x81] = true,
		[0x84] = true};
	uint32_t k, i;

	(void)state;
	for (k = 0; k < 5; k++) {
		make(kinds[k]);
		for (i = 0; i < 256; i++) {
			if (is_type[i])
				continue;
			hdr()->gso_type = (uint8_t)i;
			expect_drop("gso_type");
		}
		for (i = 4; i < 256; i++) {
			hdr()->flags = (uint8_t)i;
			expect_drop("flags");
		}
	}
}

/* A type that is known, and not that of the frame. */
static void
wrong_types(void **state)
{
	static const struct {
		enum offload_kind kind;
		uint8_t type;
	} cases[] = {
		{OFFLOAD_TCP4, 4},
		{OFFLOAD_TCP4, 5},
		{OFFLOAD_TCP4, 3},
		{OFFLOAD_TCP4, 0x84},
		{OFFLOAD_TCP6, 1},
		{OFFLOAD_TCP6, 5},
		{OFFLOAD_TCP6, 3},
		{OFFLOAD_TCP6, 0x81},
		{OFFLOAD_USO4, 1},
		{OFFLOAD_USO4, 4},
		{OFFLOAD_USO6, 1},
		{OFFLOAD_USO6, 4},
		{OFFLOAD_UFO4, 1},
		{OFFLOAD_UFO6, 4},
		{OFFLOAD_UFO4, 0x83},
		{OFFLOAD_USO4, 0x85},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(cases[i].kind);
		hdr()->gso_type = cases[i].type;
		expect_drop("type of another frame");
		hdr()->gso_type = cases[i].type;
		hdr()->flags = 0; /* the checksum's place gives no hint */
		expect_drop("type of another frame, no checksum");
	}
}

static void
bad_sizes(void **state)
{
	uint32_t k;

	(void)state;
	for (k = OFFLOAD_TCP4; k <= OFFLOAD_UFO6; k++) {
		make((enum offload_kind)k);
		hdr()->gso_size = 0;
		expect_drop("gso_size 0");
	}
	make(OFFLOAD_UFO4);
	hdr()->gso_size = 7; /* fragments of 0 bytes: fine for who cuts it himself, if ever */
	assert_int_equal(send_to(2), 0);
	/* Pieces of one byte are more than the ring has slots. */
	make(OFFLOAD_TCP4);
	hdr()->gso_size = 1;
	assert_int_equal(send_to(2), 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_TOO_LONG) == 1);
	/* Larger than the frame: one piece. */
	make(OFFLOAD_TCP4);
	hdr()->gso_size = 65535;
	v.d->seg.ports[2].max_frame = 65535;
	v.d->seg.hdr->epoch++;
	assert_int_equal(send_to(2), 1);
	assert_int_equal(got.len[0], f.len);
	assert_true(offload_l4_ok(&f, got.data, got.len[0]));
}

/* Where the checksum is, at every place around those that are right. */
static void
bad_checksums(void **state)
{
	static const uint16_t starts[] = {0, 1, 13, 14, 33, 34, 35, 100, 0x7fff, 0xfffe, 0xffff};
	static const uint16_t offsets[] = {0, 6, 15, 16, 17, 0x7fff, 0xfffe, 0xffff};
	size_t s, o;

	(void)state;
	for (s = 0; s < sizeof(starts) / sizeof(starts[0]); s++)
		for (o = 0; o < sizeof(offsets) / sizeof(offsets[0]); o++) {
			const uint64_t end = (uint64_t)starts[s] + offsets[o] + 2;

			make(OFFLOAD_TCP4);
			hdr()->csum_start = starts[s];
			hdr()->csum_offset = offsets[o];
			if (starts[s] != 34 || offsets[o] != 16)
				expect_drop("place of a segment's checksum");
			make(OFFLOAD_CSUM_TCP4);
			hdr()->csum_start = starts[s];
			hdr()->csum_offset = offsets[o];
			if (starts[s] < 14 || end > f.len) {
				expect_drop("place of a checksum");
				continue;
			}
			assert_int_equal(send_to(1), 1);
			assert_int_equal(send_to(2), 1);
			assert_int_equal(got.len[0], f.len);
		}
	/* Up to the last byte, and one further. */
	make(OFFLOAD_CSUM_UDP4);
	hdr()->csum_offset = (uint16_t)(f.len - 34 - 2);
	assert_int_equal(send_to(2), 1);
	hdr()->csum_offset++;
	expect_drop("one byte outside");
	hdr()->csum_start = (uint16_t)(f.len - 1);
	hdr()->csum_offset = 0;
	expect_drop("one byte of a checksum");
}

/* Headers in the frame that are cut off, too long, or contradict each other. */
static void
bad_packets(void **state)
{
	static const struct {
		enum offload_kind kind;
		uint32_t at;
		uint8_t value;
		const char *what;
	} cases[] = {
		{OFFLOAD_TCP4, 12, 0x86, "EtherType"},
		{OFFLOAD_TCP4, 12, 0x81, "a tag, then not IP"},
		{OFFLOAD_TCP4, 14, 0x65, "IPv4 with version 6"},
		{OFFLOAD_TCP4, 14, 0x44, "IPv4 header of 16 bytes"},
		{OFFLOAD_TCP4, 14, 0x4f, "IPv4 header of 60 bytes: TCP is elsewhere"},
		{OFFLOAD_TCP4, 14 + 6, 0x20, "first fragment"},
		{OFFLOAD_TCP4, 14 + 7, 0x01, "later fragment"},
		{OFFLOAD_TCP4, 14 + 9, 17, "UDP as TCP"},
		{OFFLOAD_TCP4, 34 + 12, 0x40, "TCP header of 16 bytes"},
		{OFFLOAD_TCP6, 14, 0x45, "IPv6 with version 4"},
		{OFFLOAD_TCP6, 14 + 6, 44, "IPv6 fragment"},
		{OFFLOAD_TCP6, 14 + 6, 51, "authentication header"},
		{OFFLOAD_TCP6, 14 + 6, 59, "no next header"},
		{OFFLOAD_TCP6, 14 + 6, 17, "UDP as TCP"},
		{OFFLOAD_USO4, 14 + 9, 6, "TCP as UDP"},
		{OFFLOAD_USO6, 14 + 6, 6, "TCP as UDP"},
		{OFFLOAD_UFO6, 14 + 6, 58, "ICMP as UDP"},
	};
	size_t i;
	uint32_t k, len;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(cases[i].kind);
		f.data[cases[i].at] = cases[i].value;
		expect_drop(cases[i].what);
		f.data[cases[i].at] = cases[i].value;
		hdr()->flags = 0;
		if (strcmp(cases[i].what, "IPv4 header of 60 bytes: TCP is elsewhere") != 0)
			expect_drop(cases[i].what);
		f = good;
	}
	/* Every length below that of the headers. */
	for (k = OFFLOAD_TCP4; k <= OFFLOAD_UFO6; k++) {
		make((enum offload_kind)k);
		for (len = 14; len < f.payload; len++) {
			f.len = len;
			hdr()->flags = 0;
			expect_drop("cut off");
		}
	}
}

/* Chains of extension headers: too many, past the end, longer than what is looked at. */
static void
bad_extensions(void **state)
{
	uint32_t i, n;

	(void)state;
	for (n = 0; n < 12; n++) { /* eight are walked */
		make(OFFLOAD_TCP6);
		memmove(f.data + 54 + 8 * n, f.data + 54, f.len - 54);
		memset(f.data + 54, 0, 8 * n);
		f.len += 8 * n;
		if (n > 0)
			f.data[14 + 6] = 60;
		for (i = 0; i < n; i++)
			f.data[54 + 8 * i] = i + 1 < n ? 60 : 6;
		hdr()->csum_start = (uint16_t)(54 + 8 * n);
		if (n > 8)
			expect_drop("too many extension headers");
		else
			assert_int_equal(send_to(1), 1);
	}
	for (i = 0; i < 256; i++) { /* lengths of one header */
		make(OFFLOAD_TCP6);
		f.data[14 + 6] = 0;
		f.data[54] = 6;
		f.data[55] = (uint8_t)i;
		if (i > 30)
			expect_drop("extension header past what is looked at");
	}
	make(OFFLOAD_TCP6);
	memmove(f.data + 54 + 24, f.data + 54, f.len - 54);
	f.len += 24;
	memset(f.data + 54, 0, 24);
	f.data[14 + 6] = 43;
	f.data[54] = 6;
	f.data[55] = 2;
	hdr()->csum_start = 54 + 24;
	assert_int_equal(send_to(1), 1);
	good = f;
	f.data[57] = 1;
	expect_drop("routing header with segments left");
}

/* The hint of the header's length is corrected when it leaves the frame. */
static void
hint(void **state)
{
	const struct unm_vnet_hdr *h;

	(void)state;
	make(OFFLOAD_TCP4);
	hdr()->hdr_len = 0xffff;
	assert_int_equal(send_to(1), 1);
	h = (const struct unm_vnet_hdr *)(const void *)got.data;
	assert_int_equal(h->hdr_len, f.payload);
	assert_int_equal(h->gso_size, 1000);
	make(OFFLOAD_CSUM_TCP4);
	hdr()->hdr_len = (uint16_t)(f.len + 1);
	assert_int_equal(send_to(1), 1);
	h = (const struct unm_vnet_hdr *)(const void *)got.data;
	assert_int_equal(h->hdr_len, 0);
}

/* Everything at random, into rings full of bad buffers too: no more than that it ends well. */
static void
noise(void **state)
{
	uint64_t rng = 9;
	uint32_t i, k;

	(void)state;
	for (i = 0; i < 20000; i++) {
		const struct offload_shape shape = {.src = 0,
			.dst = 1 + i % 2,
			.max_payload = 3000,
			.min_size = 1,
			.max_size = 2000};
		struct unm_bring *rx = vale_rx(&v, 1 + i % 2);
		uint32_t bad = UINT32_MAX, old = 0;

		if (i % 16 == 0)
			offload_frame_make(
				&good, (enum offload_kind)(i / 16 % OFFLOAD_KINDS), &shape, &rng);
		memcpy(&f, &good, offsetof(struct offload_frame, data) + good.len);
		traffic_mac(f.data, 1 + i % 2);
		for (k = offload_random(&rng, 0, 3); k > 0; k--)
			f.vnet[offload_random(&rng, 0, 11)] = (uint8_t)traffic_random(&rng);
		for (k = offload_random(&rng, 0, 3); k > 0; k--)
			f.data[12 + offload_random(&rng, 0, f.payload - 13)] =
				(uint8_t)traffic_random(&rng);
		if (offload_random(&rng, 0, 3) == 0)
			f.len = offload_random(&rng, 14, f.len);
		if (offload_random(&rng, 0, 3) == 0) {
			bad = (rx->ring->head + offload_random(&rng, 0, 2)) % rx->num_slots;
			old = rx->ring->slot[bad].buf_idx;
			rx->ring->slot[bad].buf_idx = traffic_random(&rng) | 0x10000;
		}
		offload_rig_send(&v, 0, 12, &f, &rng);
		vale_txsync(&v, 0);
		if (bad != UINT32_MAX)
			rx->ring->slot[bad].buf_idx = old;
		vale_drain(&v, 1 + i % 2);
	}
}

/* ---- a header that changes while it is looked at ------------------------------------------- */

static uint8_t *racy;
static uint32_t is_over;

static void *
flip(void *arg)
{
	uint32_t i;

	for (i = 0; !UNM_READ_ONCE(is_over); i++) /* until the test has its frames */
		__atomic_store_n(racy + 1, i & 1 ? 0x7f : 0, __ATOMIC_RELAXED);
	return arg;
}

static void
races(void **state)
{
	struct unm_bring *tx = vale_tx(&v, 0);
	pthread_t thread;
	uint32_t i;

	(void)state;
	for (i = 0; i < tx->num_slots; i++)
		tx->ring->slot[i].buf_idx = tx->ring->slot[0].buf_idx;
	racy = ring_buf(tx, 0);
	memset(racy, 0, 72);
	traffic_fill(racy + 12, 60, 1, 0, 0, 0);
	is_over = 0;
	assert_int_equal(pthread_create(&thread, NULL, flip, NULL), 0);
	for (i = 0; i < 20000; i++) {
		struct unm_bring *rx = vale_rx(&v, 1);
		struct netmap_slot *s = &tx->ring->slot[tx->ring->head];

		s->len = 72;
		s->flags = 0;
		ring_advance(tx, 1);
		vale_txsync(&v, 0);
		if (vale_pending(&v, 1) == 0)
			continue;
		if (ring_buf(rx, rx->ring->head)[1] != 0)
			break;
		vale_drain(&v, 1);
	}
	UNM_WRITE_ONCE(is_over, 1);
	pthread_join(thread, NULL);
	for (i = 0; i < tx->num_slots; i++) /* each its own again, for who frees them */
		tx->ring->slot[i].buf_idx = tx->ring->slot[0].buf_idx + i;
	assert_int_equal(vale_pending(&v, 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bad_types, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_types, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_checksums, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_packets, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_extensions, setup, teardown),
		cmocka_unit_test_setup_teardown(hint, setup, teardown),
		cmocka_unit_test_setup_teardown(noise, setup, teardown),
		cmocka_unit_test_setup_teardown(races, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
