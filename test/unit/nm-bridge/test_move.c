/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves, on rings in plain memory: packets cross in order and unchanged, by exchange of buffers
 * within a region and by copying between two, also between buffers of different sizes; packets of
 * several slots cross whole or not at all; the cur indices are left so that poll() waits for the
 * right thing; slots and indices that cannot be are dropped or ignored; and under random load
 * every byte arrives, and no buffer is lost or held twice.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "fake_ports.h"
#include "nmt_move_fp.h"
#include "test_random.h"

#define BIG_BUF	  256
#define SMALL_BUF 96
#define N_BUFS	  512
#define N_SLOTS	  16
#define NO_LIMIT  1000

struct bench {
	struct fake_region rx_region, tx_region; /* the second only if they differ */
	bool shared;
	struct nmport_d rx_port, tx_port;
	struct nmt_move m;
	struct nmt_move_counters c;
};

/* @tx_buf: buffer size of the target's own region; 0: both ports are in one region. */
static void
bench_init(struct bench *b, uint32_t tx_buf)
{
	memset(b, 0, sizeof(*b));
	b->shared = tx_buf == 0;
	fake_region_init(&b->rx_region, N_BUFS, BIG_BUF);
	if (!b->shared)
		fake_region_init(&b->tx_region, N_BUFS, tx_buf);
	fake_port_init(&b->rx_port, &b->rx_region, "a", 1, 1, N_SLOTS);
	fake_port_init(&b->tx_port, b->shared ? &b->rx_region : &b->tx_region, "b", 1, 1, N_SLOTS);
	b->m = (struct nmt_move){
		.rx = NETMAP_RXRING(b->rx_port.nifp, 0),
		.tx = NETMAP_TXRING(b->tx_port.nifp, 0),
		.swap = b->shared,
		.n_rx_bufs = N_BUFS,
		.n_tx_bufs = N_BUFS,
		.n_limit = NO_LIMIT,
	};
}

static void
bench_fini(struct bench *b)
{
	fake_region_fini(&b->rx_region);
	if (!b->shared)
		fake_region_fini(&b->tx_region);
}

/* Contents of byte @i of packet @seq. */
static char
pattern(uint32_t seq, uint32_t i)
{
	return (char)(seq * 31 + i * 7);
}

/* Let packet @seq arrive in @n_slots slots of @len bytes each. */
static void
arrive(struct bench *b, uint32_t seq, uint32_t n_slots, uint16_t len)
{
	uint32_t at = 0;

	for (uint32_t n = 0; n < n_slots; n++) {
		struct netmap_slot *slot = fake_ring_next_slot(b->m.rx, n);
		char *buf = NETMAP_BUF(b->m.rx, slot->buf_idx);

		for (uint32_t i = 0; i < len; i++)
			buf[i] = pattern(seq, at++);
		slot->len = len;
		slot->flags = (uint16_t)(n_slots << 8 | (n + 1 < n_slots ? NS_MOREFRAG : 0));
	}
	fake_ring_arrive(b->m.rx, n_slots);
}

/* Look at the packet in transmit slots from @at on. Return: the slot behind it. */
static uint32_t
check_sent(const struct bench *b, uint32_t at, uint32_t seq, uint32_t len)
{
	uint32_t pos = 0;
	bool more = true;

	while (more) {
		const struct netmap_slot *slot = &b->m.tx->slot[at];
		const char *buf = NETMAP_BUF(b->m.tx, slot->buf_idx);

		assert_true(at != b->m.tx->head);
		assert_int_equal(slot->flags & ~(NS_MOREFRAG | NS_BUF_CHANGED), 0);
		for (uint32_t i = 0; i < slot->len; i++)
			assert_int_equal(buf[i], pattern(seq, pos++));
		more = (slot->flags & NS_MOREFRAG) != 0;
		at = nm_ring_next(b->m.tx, at);
	}
	assert_int_equal(pos, len);
	return at;
}

static void
test_exchange_and_copy(void **state)
{
	static const uint32_t tx_bufs[] = {0, BIG_BUF};

	(void)state;
	for (size_t i = 0; i < sizeof(tx_bufs) / sizeof(tx_bufs[0]); i++) {
		struct bench b;
		uint32_t first_buf, at = 0;

		bench_init(&b, tx_bufs[i]);
		first_buf = b.m.rx->slot[0].buf_idx;
		for (uint32_t seq = 0; seq < 5; seq++)
			arrive(&b, seq, 1, (uint16_t)(60 + seq));
		assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
		assert_int_equal(b.m.n_packets, 5);
		assert_int_equal(b.m.n_slots, 5);
		assert_int_equal(b.m.first_tx, 0);
		assert_int_equal(b.c.packets, 5);
		assert_int_equal(b.c.bytes, 60 + 61 + 62 + 63 + 64);
		for (uint32_t seq = 0; seq < 5; seq++)
			at = check_sent(&b, at, seq, 60 + seq);
		assert_int_equal(b.m.tx->head, at);
		assert_int_equal(b.m.tx->cur, at);
		assert_int_equal(b.m.rx->head, 5);
		assert_int_equal(b.m.rx->cur, 5);
		if (b.shared) {
			assert_int_equal(b.m.tx->slot[0].buf_idx, first_buf);
			assert_int_equal(b.m.tx->slot[0].flags, NS_BUF_CHANGED);
			assert_int_equal(b.m.rx->slot[0].flags, NS_BUF_CHANGED);
		} else {
			assert_int_equal(b.m.rx->slot[0].buf_idx, first_buf);
		}
		bench_fini(&b);
	}
}

static void
test_offset_travels(void **state)
{
	struct bench b;
	const uint64_t mask = 0xff;

	(void)state;
	bench_init(&b, BIG_BUF);
	memcpy((void *)(uintptr_t)&b.m.rx->offset_mask, &mask, sizeof(mask));
	memcpy((void *)(uintptr_t)&b.m.tx->offset_mask, &mask, sizeof(mask));
	arrive(&b, 0, 1, 100);
	b.m.rx->slot[0].ptr = 40;
	b.m.rx->slot[0].len = 60;
	b.m.tx->slot[0].ptr = 16;
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
	/* Copied from where it was to where the other side wants it. */
	assert_int_equal(b.m.tx->slot[0].ptr, 16);
	assert_int_equal(b.m.tx->slot[0].len, 60);
	assert_memory_equal(NETMAP_BUF_OFFSET(b.m.tx, &b.m.tx->slot[0]),
		NETMAP_BUF(b.m.rx, b.m.rx->slot[0].buf_idx) + 40, 60);
	/* An offset and a length that together lead out of the buffer. */
	arrive(&b, 1, 1, 100);
	b.m.rx->slot[1].ptr = 200;
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
	assert_int_equal(b.c.dropped, 1);
	bench_fini(&b);
}

static void
test_copy_into_smaller_buffers(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, SMALL_BUF);
	arrive(&b, 0, 2, 200); /* 96 + 96 + 8, twice */
	arrive(&b, 1, 1, SMALL_BUF);
	arrive(&b, 2, 1, 0);
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
	assert_int_equal(b.m.n_slots, 6 + 1 + 1);
	assert_int_equal(b.m.n_packets, 3);
	assert_int_equal(check_sent(&b, 0, 0, 400), 6);
	assert_int_equal(check_sent(&b, 6, 1, SMALL_BUF), 7);
	assert_int_equal(check_sent(&b, 7, 2, 0), 8);
	bench_fini(&b);
}

static void
test_no_room(void **state)
{
	static const uint32_t tx_bufs[] = {0, SMALL_BUF};

	(void)state;
	for (size_t i = 0; i < sizeof(tx_bufs) / sizeof(tx_bufs[0]); i++) {
		struct bench b;

		bench_init(&b, tx_bufs[i]);
		b.m.tx->tail = 4;
		arrive(&b, 0, 3, 90);
		arrive(&b, 1, 2, 90); /* one slot is free, two are needed */
		assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_NO_ROOM);
		assert_int_equal(b.m.n_packets, 1);
		assert_int_equal(b.m.tx->head, 3);
		assert_int_equal(b.m.tx->cur, 4); /* poll() is to wait for more than that one */
		assert_int_equal(b.m.rx->head, 3);
		assert_int_equal(b.m.rx->cur, 3);
		assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_NO_ROOM);
		assert_int_equal(b.m.n_slots, 0);
		b.m.tx->tail = 5;
		assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
		assert_int_equal(check_sent(&b, check_sent(&b, 0, 0, 270), 1, 180), 5);
		assert_int_equal(b.c.dropped, 0);
		bench_fini(&b);
	}
}

static void
test_limit(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 0);
	for (uint32_t seq = 0; seq < 4; seq++)
		arrive(&b, seq, 2, 50);
	b.m.n_limit = 3;
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_LIMIT);
	assert_int_equal(b.m.n_slots, 4); /* a packet that is begun is finished */
	assert_int_equal(b.m.tx->cur, b.m.tx->head);
	b.m.n_limit = 0;
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_LIMIT);
	assert_int_equal(b.m.n_slots, 0);
	b.m.n_limit = 4;
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
	assert_int_equal(b.c.packets, 4);
	bench_fini(&b);
}

static void
test_unfinished_packet_waits(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 0);
	arrive(&b, 0, 3, 50);
	b.m.rx->tail = 2;
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
	assert_int_equal(b.m.rx->head, 0);
	assert_int_equal(b.m.rx->cur, 2); /* poll() is to wait for the rest */
	b.m.rx->tail = 3;
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
	assert_int_equal(check_sent(&b, 0, 0, 150), 3);
	/* One that fills the ring can never be finished. */
	for (uint32_t i = 0; i < N_SLOTS; i++)
		b.m.rx->slot[i].flags = NS_MOREFRAG;
	b.m.rx->tail = 2;
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
	assert_int_equal(b.c.dropped, 1);
	assert_int_equal(b.m.rx->head, 2);
	bench_fini(&b);
}

static void
test_packet_larger_than_the_other_ring(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, SMALL_BUF);
	arrive(&b, 0, 6, BIG_BUF); /* 18 small buffers, 15 slots */
	arrive(&b, 1, 1, 60);
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
	assert_int_equal(b.c.dropped, 1);
	assert_int_equal(b.c.packets, 1);
	assert_int_equal(check_sent(&b, 0, 1, 60), 1);
	bench_fini(&b);
	/* Exchanged slots are as many on both sides, so it takes a smaller ring. */
	bench_init(&b, 0);
	fake_port_init(&b.tx_port, &b.rx_region, "c", 1, 0, 4);
	b.m.tx = NETMAP_TXRING(b.tx_port.nifp, 0);
	arrive(&b, 0, 4, 60);
	arrive(&b, 1, 3, 60);
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
	assert_int_equal(b.c.dropped, 1);
	assert_int_equal(check_sent(&b, 0, 1, 180), 3);
	bench_fini(&b);
}

static void
test_impossible_slots_and_indices(void **state)
{
	static const struct netmap_slot bad[] = {
		{.buf_idx = 0, .len = 60},
		{.buf_idx = 1, .len = 60},
		{.buf_idx = N_BUFS, .len = 60},
		{.buf_idx = UINT32_MAX, .len = 60},
		{.buf_idx = 2, .len = BIG_BUF + 1},
	};
	const uint32_t n_bad = sizeof(bad) / sizeof(bad[0]);
	static const uint32_t tx_bufs[] = {0, BIG_BUF};

	(void)state;
	for (size_t i = 0; i < sizeof(tx_bufs) / sizeof(tx_bufs[0]); i++) {
		struct bench b;

		bench_init(&b, tx_bufs[i]);
		for (uint32_t k = 0; k < n_bad; k++) {
			arrive(&b, k, 1, 60);
			b.m.rx->slot[k] = bad[k];
		}
		arrive(&b, 77, 1, 60);
		assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
		assert_int_equal(b.c.dropped, n_bad);
		assert_int_equal(check_sent(&b, 0, 77, 60), 1);
		b.m.rx->tail = N_SLOTS;
		assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
		b.m.rx->tail = b.m.rx->head;
		arrive(&b, 78, 1, 60);
		b.m.tx->tail = UINT32_MAX;
		assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_NO_ROOM);
		assert_int_equal(b.m.n_slots, 0);
		bench_fini(&b);
	}
}

/* Where bytes are copied to is checked as well: a consumer of a pipe may have put anything there.
 * */
static void
test_impossible_target_buffer(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, BIG_BUF);
	arrive(&b, 0, 1, 60);
	b.m.tx->slot[0].buf_idx = UINT32_MAX;
	b.m.tx->slot[0].len = UINT16_MAX; /* says nothing, it is the sender's to set */
	assert_int_equal(nmt_move_ring(&b.m, &b.c), NMT_MOVE_DRAINED);
	assert_int_equal(b.c.dropped, 1);
	assert_int_equal(b.m.n_slots, 0);
	bench_fini(&b);
}

static void
check_no_buffer_lost(const struct bench *b)
{
	bool seen[N_BUFS] = {false};

	for (uint32_t i = 0; i < 2 * N_SLOTS; i++) {
		const struct netmap_ring *ring = i < N_SLOTS ? b->m.rx : b->m.tx;
		uint32_t buf = ring->slot[i % N_SLOTS].buf_idx;

		if (!b->shared && i == N_SLOTS)
			memset(seen, 0, sizeof(seen));
		assert_false(seen[buf]);
		seen[buf] = true;
	}
}

static void
random_load(uint32_t tx_buf, uint32_t rnd)
{
	uint32_t lens[1024], n_arrived = 0, n_sent = 0, sent_at = 0;
	struct bench b;

	bench_init(&b, tx_buf);
	while (n_arrived < 1000) {
		uint32_t used = (b.m.rx->tail + N_SLOTS - b.m.rx->head) % N_SLOTS;
		uint32_t n_slots = 1 + test_random(&rnd) % 3;

		if (used + n_slots < N_SLOTS) {
			uint16_t len = (uint16_t)(1 + test_random(&rnd) % BIG_BUF);

			arrive(&b, n_arrived, n_slots, len);
			lens[n_arrived++] = n_slots * len;
		}
		b.m.n_limit = test_random(&rnd) % 12;
		nmt_move_ring(&b.m, &b.c);
		for (uint32_t n = test_random(&rnd) % 3; n > 0 && sent_at != b.m.tx->head; n--) {
			uint32_t next = check_sent(&b, sent_at, n_sent, lens[n_sent]);

			fake_ring_release(b.m.tx, (next + N_SLOTS - sent_at) % N_SLOTS);
			sent_at = next;
			n_sent++;
		}
	}
	assert_true(n_sent > 500); /* the load was what it should be */
	assert_int_equal(b.c.dropped, 0);
	check_no_buffer_lost(&b);
	bench_fini(&b);
}

static void
test_random_load(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 20; seed++) {
		random_load(0, seed);
		random_load(BIG_BUF, seed);
		random_load(SMALL_BUF, seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchange_and_copy),
		cmocka_unit_test(test_offset_travels),
		cmocka_unit_test(test_copy_into_smaller_buffers),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_unfinished_packet_waits),
		cmocka_unit_test(test_packet_larger_than_the_other_ring),
		cmocka_unit_test(test_impossible_slots_and_indices),
		cmocka_unit_test(test_impossible_target_buffer),
		cmocka_unit_test(test_random_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
