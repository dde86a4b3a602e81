/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VALE between ports that differ in offloads (spec 17): checksum completion, segmentation,
 * datagrams and fragments, for receivers of all abilities, against a slow implementation; who gets
 * what of what is flooded; all or nothing, and waiting where nothing may be lost.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "offload_rig.h"
#include "vale/vnet.h"

static struct vale_rig v;
static struct offload_frame f;
static struct offload_result got, want;

static int
teardown(void **state)
{
	(void)state;
	vale_rig_free(&v);
	offload_result_free(&got);
	offload_result_free(&want);
	return 0;
}

/* Port 0 with 12 bytes of header, and others. */
static void
rig(uint32_t n, uint32_t slots, uint32_t buf_size)
{
	const struct fake_geometry sender = {
		.n_tx = 1, .n_rx = 1, .slots = 2048, .buf_size = 2048, .hdr_len = 12};
	const struct fake_geometry receiver = {
		.n_tx = 1, .n_rx = 1, .slots = slots, .buf_size = buf_size};

	vale_rig_init(&v, 10);
	vale_rig_add(&v, sender);
	while (v.n < n)
		vale_rig_add(&v, receiver);
	vale_rig_teach(&v);
}

static void
set_receiver(uint32_t port, uint32_t hdr_len, uint32_t lacks, uint32_t max_frame)
{
	struct unm_seg_port *e = &v.d->seg.ports[port];

	e->vnet_hdr_len = hdr_len;
	e->vnet_lacks = lacks;
	e->max_frame = max_frame;
	v.d->seg.hdr->epoch++;
}

/* Has @port got what it has to? */
static void
expect_at(uint32_t port)
{
	const struct unm_seg_port *e = &v.d->seg.ports[port];
	uint32_t i;

	assert_true(offload_expect(&f, e->vnet_hdr_len, e->vnet_lacks, e->max_frame, &want));
	offload_rig_receive(&v, port, &got);
	assert_int_equal(got.n, want.n);
	assert_true(offload_clear_ids(&f, e->vnet_hdr_len, &got));
	for (i = 0; i < want.n; i++)
		assert_int_equal(got.len[i], want.len[i]);
	assert_memory_equal(got.data, want.data, want.size);
}

/* All kinds of frames to all kinds of receivers, cut anyhow on both sides. */
static void
any_to_any(void **state)
{
	static const uint32_t buf_sizes[] = {64, 256, 2048, 65536};
	static const uint32_t hdr_lens[] = {0, 0, 10, 12};
	const struct offload_shape shape = {
		.src = 0, .dst = 1, .max_payload = 65535, .min_size = 100, .max_size = 9000};
	uint64_t rng = 1;
	int b, i;

	(void)state;
	for (b = 0; b < 4; b++) {
		rig(2, 4096, buf_sizes[b]);
		for (i = 0; i < 100; i++) {
			const uint32_t in = i % 7 == 0 ? 10 : 12;

			offload_frame_make(
				&f, (enum offload_kind)(i % OFFLOAD_KINDS), &shape, &rng);
			v.d->seg.ports[0].vnet_hdr_len = in;
			set_receiver(1, hdr_lens[offload_random(&rng, 0, 3)],
				offload_random(&rng, 0, 1) ? offload_random(&rng, 0, 127) : 0,
				offload_random(&rng, 0, 1) ? 1514
							   : offload_random(&rng, 600, 9000));
			offload_rig_send(&v, 0, in, &f, offload_random(&rng, 0, 2) ? &rng : NULL);
			vale_txsync(&v, 0);
			assert_true(vale_all_drops(&v, 0) == 0);
			expect_at(1);
		}
		teardown(NULL);
	}
}

/* What every receiver gets can be checked without a second implementation, too. */
static void
checksums_are_right(void **state)
{
	const struct offload_shape shape = {
		.src = 0, .dst = 1, .max_payload = 30000, .min_size = 100, .max_size = 1448};
	uint64_t rng = 2;
	int i;

	(void)state;
	rig(2, 1024, 2048);
	for (i = 0; i < 200; i++) {
		uint32_t k, at = 0;

		offload_frame_make(&f, (enum offload_kind)(i % OFFLOAD_KINDS), &shape, &rng);
		if (f.kind == OFFLOAD_UFO4 || f.kind == OFFLOAD_UFO6)
			continue;
		offload_rig_send(&v, 0, 12, &f, NULL);
		vale_txsync(&v, 0);
		offload_rig_receive(&v, 1, &got);
		assert_true(got.n > 0);
		for (k = 0; k < got.n; k++) {
			assert_true(offload_l4_ok(&f, got.data + at, got.len[k]));
			at += got.len[k];
		}
	}
}

/* A TCP frame of @payload bytes without options or tags, with @flags. */
static void
plain_tcp(uint32_t payload, uint32_t size, uint8_t flags)
{
	const struct offload_shape shape = {
		.src = 0, .dst = 1, .max_payload = payload, .min_size = size, .max_size = size};
	uint64_t rng = 5;

	do
		offload_frame_make(&f, OFFLOAD_TCP4, &shape, &rng);
	while (f.payload != 14 + 20 + 20 || f.len != f.payload + payload);
	f.data[14 + 20 + 13] = flags;
}

/* A UDP checksum of 0 would say that there is none: 0xffff in its place, the other zero. */
static void
udp_zero(void **state)
{
	static const enum offload_kind kinds[] = {OFFLOAD_USO4, OFFLOAD_USO6, OFFLOAD_UFO4,
		OFFLOAD_UFO6, OFFLOAD_CSUM_UDP4, OFFLOAD_CSUM_UDP6};
	const struct offload_shape shape = {
		.src = 0, .dst = 1, .max_payload = 1000, .min_size = 2000, .max_size = 2000};
	uint64_t rng = 11;
	size_t i;

	(void)state;
	rig(2, 1024, 2048);
	set_receiver(1, 0, 0, 3000);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint32_t sum;
		uint8_t *word;

		do
			offload_frame_make(&f, kinds[i], &shape, &rng);
		while (f.len - f.payload < 2);
		offload_rig_send(&v, 0, 12, &f, NULL);
		vale_txsync(&v, 0);
		offload_rig_receive(&v, 1, &got);
		assert_int_equal(got.n, 1);
		/* What the checksum is short of all ones goes into the payload. */
		word = f.data + f.payload;
		sum = (uint32_t)(word[0] << 8 | word[1]) +
		      (uint32_t)(got.data[f.l4 + 6] << 8 | got.data[f.l4 + 7]);
		sum = (sum & 0xffff) + (sum >> 16);
		word[0] = (uint8_t)(sum >> 8);
		word[1] = (uint8_t)sum;
		offload_rig_send(&v, 0, 12, &f, NULL);
		vale_txsync(&v, 0);
		offload_rig_receive(&v, 1, &got);
		assert_int_equal(got.n, 1);
		assert_int_equal(got.data[f.l4 + 6], 0xff);
		assert_int_equal(got.data[f.l4 + 7], 0xff);
		assert_true(offload_l4_ok(&f, got.data, got.len[0]));
	}
}

/* Flags, numbers and limits, spelled out. */
static void
tcp_fields(void **state)
{
	static const uint8_t flags[3] = {0xd0, 0x50, 0x59}; /* CWR ECE ACK; ...; and PSH FIN */
	uint8_t *ip = f.data + 14, *tcp = ip + 20;
	uint32_t i, at = 0;

	(void)state;
	rig(2, 1024, 2048);
	plain_tcp(2500, 1000, 0xd9);
	ip[4] = ip[5] = 0xff;
	memset(tcp + 4, 0xff, 4);
	offload_rig_send(&v, 0, 12, &f, NULL);
	vale_txsync(&v, 0);
	offload_rig_receive(&v, 1, &got);
	assert_int_equal(got.n, 3);
	for (i = 0; i < 3; i++) {
		static const uint8_t ids[3][2] = {{0xff, 0xff}, {0, 0}, {0, 1}};
		static const uint8_t seqs[3][4] = {
			{0xff, 0xff, 0xff, 0xff}, {0, 0, 3, 0xe7}, {0, 0, 7, 0xcf}};
		const uint8_t *p = got.data + at;

		assert_int_equal(got.len[i], 54 + (i < 2 ? 1000 : 500));
		assert_memory_equal(p + 14 + 4, ids[i], 2);
		assert_memory_equal(p + 14 + 20 + 4, seqs[i], 4);
		assert_int_equal(p[14 + 20 + 13], flags[i]);
		assert_memory_equal(p + 54, f.data + 54 + i * 1000, got.len[i] - 54);
		at += got.len[i];
	}
	/* gso_size above what the receiver takes: full frames of it. */
	plain_tcp(14600, 8000, 0x10);
	offload_rig_send(&v, 0, 12, &f, NULL);
	vale_txsync(&v, 0);
	offload_rig_receive(&v, 1, &got);
	assert_int_equal(got.n, 10);
	for (i = 0; i < 10; i++)
		assert_int_equal(got.len[i], 1514);
	/* Not one byte fits: dropped. */
	set_receiver(1, 0, 0, 54);
	offload_rig_send(&v, 0, 12, &f, NULL);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_OFFLOAD) == 1);
	assert_int_equal(vale_pending(&v, 1), 0);
}

/* All pieces or none; what can never fit is dropped even where nothing may be lost. */
static void
all_or_nothing(void **state)
{
	(void)state;
	rig(2, 16, 2048);
	plain_tcp(10000, 1000, 0x10);
	offload_rig_send(&v, 0, 12, &f, NULL);
	offload_rig_send(&v, 0, 12, &f, NULL);
	vale_txsync(&v, 0);
	assert_int_equal(vale_pending(&v, 1), 10);
	assert_true(vale_drops(&v, 0, UNM_DROP_RX_FULL) == 1);
	expect_at(1);
	plain_tcp(16000, 1000, 0x10);
	offload_rig_send(&v, 0, 12, &f, NULL);
	vale_txsync(&v, 0);
	assert_int_equal(vale_pending(&v, 1), 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_TOO_LONG) == 1);

	fake_port_set_state(v.d, 1, UNM_PORT_ACTIVE, UNM_PORTF_OPEN | UNM_PORTF_LOSSLESS);
	offload_rig_send(&v, 0, 12, &f, NULL);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_TOO_LONG) == 2);
	plain_tcp(10000, 1000, 0x10);
	offload_rig_send(&v, 0, 12, &f, NULL);
	offload_rig_send(&v, 0, 12, &f, NULL);
	vale_txsync(&v, 0);
	expect_at(1); /* the second one waits, whole, and comes when the first has been taken */
	assert_int_equal(vale_pending(&v, 1), 0);
	vale_txsync(&v, 0);
	expect_at(1);
	assert_true(vale_drops(&v, 0, UNM_DROP_RX_FULL) == 1);
}

/* One frame to receivers of different kinds at once. */
static void
flooded(void **state)
{
	const struct offload_shape shape = {.src = 0,
		.dst = UNM_NONE - 1,
		.max_payload = 20000,
		.min_size = 500,
		.max_size = 2000};
	uint64_t rng = 7;
	uint32_t p;
	int i;

	(void)state;
	rig(6, 1024, 2048);
	set_receiver(2, 10, 0, 2048);
	set_receiver(3, 12, 0, 2048);
	set_receiver(4, 12, UNM_VNET_LACKS_ALL, 2048);
	set_receiver(5, 12, UNM_VNET_LACKS_TSO4 | UNM_VNET_LACKS_USO6 | UNM_VNET_LACKS_UFO, 1514);
	for (i = 0; i < 60; i++) {
		offload_frame_make(&f, (enum offload_kind)(i % OFFLOAD_KINDS), &shape, &rng);
		memset(f.data, 0xff, 6);
		offload_rig_send(&v, 0, 12, &f, &rng);
		vale_txsync(&v, 0);
		assert_true(vale_all_drops(&v, 0) == 0);
		for (p = 1; p < 6; p++)
			expect_at(p);
	}
}

/* Offloaded frames among plain ones: order is kept, and the batch goes on behind a bad one. */
static void
among_others(void **state)
{
	const uint8_t none[12] = {0};
	uint8_t small[12 + 60] = {0};
	uint32_t i;

	(void)state;
	rig(2, 1024, 2048);
	for (i = 0; i < 4; i++) {
		traffic_fill(small + 12, 60, 1, 0, 0, i);
		memcpy(small, none, 12);
		ring_send(vale_tx(&v, 0), small, sizeof(small), 0);
		plain_tcp(3000, 1000, 0x10);
		if (i == 2)
			f.vnet[1] = 2; /* no such type */
		offload_rig_send(&v, 0, 12, &f, NULL);
	}
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_OFFLOAD) == 1);
	assert_true(vale_all_drops(&v, 0) == 1);
	offload_rig_receive(&v, 1, &got);
	assert_int_equal(got.n, 4 + 3 * 3);
	for (i = 0; i < 4; i++) {
		const uint32_t at = i < 3 ? i * 4 : 9;

		assert_int_equal(got.len[at], 60);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_to_any),
		cmocka_unit_test_teardown(checksums_are_right, teardown),
		cmocka_unit_test_teardown(udp_zero, teardown),
		cmocka_unit_test_teardown(tcp_fields, teardown),
		cmocka_unit_test_teardown(all_or_nothing, teardown),
		cmocka_unit_test_teardown(flooded, teardown),
		cmocka_unit_test_teardown(among_others, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
