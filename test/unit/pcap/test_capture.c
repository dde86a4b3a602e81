/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves, on rings in plain memory: frames are handed out in order, in place, once; their slots
 * stay until they are released, and cur follows what was handed out, so that poll(2) reports news
 * only; a batch can be handed out again; frames of several slots are put together, whole or not at
 * all; virtio-net headers are left out; and whatever stands in slots and indices, nothing outside
 * of the region is read and every frame that is sound comes out.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fake_ports.h"
#include "pcap/capture_priv.h"
#include "test_random.h"

#define BUF_SIZE 256
#define N_BUFS	 512
#define N_SLOTS	 128

struct bench {
	struct fake_region region;
	struct nmport_d port;
	struct unm_cap cap;
	struct unm_cap_ring rings[2];
};

static void
bench_init(struct bench *b, uint32_t n_rings)
{
	uint32_t i;

	memset(b, 0, sizeof(*b));
	fake_region_init(&b->region, N_BUFS, BUF_SIZE);
	fake_port_init(&b->port, &b->region, "a", 1, n_rings, N_SLOTS);
	b->cap.port = &b->port;
	b->cap.rings = b->rings;
	b->cap.n_rings = n_rings;
	b->cap.join = malloc(NETMAP_MAX_FRAGS * BUF_SIZE);
	for (i = 0; i < n_rings; i++) {
		struct netmap_ring *ring = NETMAP_RXRING(b->port.nifp, i);

		b->rings[i] = (struct unm_cap_ring){
			.ring = ring,
			.num_slots = N_SLOTS,
			.buf_size = BUF_SIZE,
			.n_bufs = N_BUFS,
			.bufs = NETMAP_BUF(ring, 0),
			.next = ring->head,
		};
	}
}

static void
bench_fini(struct bench *b)
{
	free(b->cap.join);
	fake_region_fini(&b->region);
}

/* A frame of @len bytes, all @fill, in as many slots as it needs. */
static void
arrive(struct bench *b, uint32_t ring_idx, uint32_t len, int fill)
{
	struct netmap_ring *ring = b->rings[ring_idx].ring;
	uint32_t n = 0;

	while (len > 0 || n == 0) {
		struct netmap_slot *slot = fake_ring_next_slot(ring, n);
		const uint32_t part = len < BUF_SIZE ? len : BUF_SIZE;

		memset(fake_region_buf(&b->region, slot->buf_idx), fill, part);
		slot->len = (uint16_t)part;
		slot->flags = len > part ? NS_MOREFRAG : 0;
		len -= part;
		n++;
	}
	fake_ring_arrive(ring, n);
}

static void
assert_frame(const struct unm_cap_frame *f, uint32_t len, int fill)
{
	uint32_t i;

	assert_int_equal(f->len, len);
	for (i = 0; i < len; i++)
		assert_int_equal(f->data[i], fill);
}

static void
test_in_order_in_place(void **state)
{
	struct unm_cap_frame f[UNM_CAP_BATCH];
	struct bench b;
	int i;

	(void)state;
	bench_init(&b, 1);
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 0);
	for (i = 0; i < 5; i++)
		arrive(&b, 0, 60 + (uint32_t)i, i);
	assert_int_equal(unm_cap_batch(&b.cap, f, 3), 3);
	for (i = 0; i < 3; i++)
		assert_frame(&f[i], 60 + (uint32_t)i, i);
	assert_ptr_equal(f[0].data, fake_region_buf(&b.region, b.rings[0].ring->slot[0].buf_idx));
	/* Held, and no news any more but for the last two */
	assert_int_equal(b.rings[0].ring->head, 0);
	assert_int_equal(b.rings[0].ring->cur, 3);
	unm_cap_release(&b.cap);
	assert_int_equal(b.rings[0].ring->head, 3);
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 2);
	assert_frame(&f[1], 64, 4);
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 0);
	unm_cap_release(&b.cap);
	assert_int_equal(b.rings[0].ring->head, 5);
	assert_int_equal(b.cap.frames, 5);
	assert_int_equal(b.cap.bytes, 60 + 61 + 62 + 63 + 64);
	bench_fini(&b);
}

static void
test_rewind(void **state)
{
	struct unm_cap_frame f[UNM_CAP_BATCH];
	struct bench b;
	int i;

	(void)state;
	bench_init(&b, 1);
	for (i = 0; i < 4; i++)
		arrive(&b, 0, 100, i);
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 4);
	unm_cap_rewind(&b.cap, &f[1], 3);
	unm_cap_release(&b.cap);
	assert_int_equal(b.rings[0].ring->head, 1);
	assert_int_equal(b.rings[0].ring->cur, 1);
	assert_int_equal(b.cap.frames, 1);
	assert_int_equal(b.cap.bytes, 100);
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 3);
	assert_frame(&f[0], 100, 1);
	bench_fini(&b);
}

static void
test_several_rings(void **state)
{
	struct unm_cap_frame f[UNM_CAP_BATCH];
	uint32_t n, total = 0, seen[2] = {0, 0};
	struct bench b;
	int i;

	(void)state;
	bench_init(&b, 2);
	for (i = 0; i < 10; i++)
		arrive(&b, (uint32_t)i % 2, 60, i);
	while ((n = unm_cap_batch(&b.cap, f, 3)) > 0) {
		for (i = 0; i < (int)n; i++) {
			assert_int_equal(f[i].ring, f[0].ring);
			assert_frame(&f[i], 60, (int)(2 * seen[f[i].ring] + f[i].ring));
			seen[f[i].ring]++;
		}
		total += n;
	}
	assert_int_equal(total, 10);
	bench_fini(&b);
}

static void
test_direction(void **state)
{
	struct unm_cap_frame f[2];
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	arrive(&b, 0, 60, 1);
	arrive(&b, 0, 60, 2);
	b.rings[0].ring->slot[1].flags = NS_TXMON;
	assert_int_equal(unm_cap_batch(&b.cap, f, 2), 2);
	assert_false(f[0].is_tx);
	assert_true(f[1].is_tx);
	bench_fini(&b);
}

static void
test_vnet_header(void **state)
{
	struct unm_cap_frame f[2];
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	b.cap.vnet_len = 12;
	arrive(&b, 0, 72, 1);
	arrive(&b, 0, 11, 2); /* shorter than its header */
	arrive(&b, 0, 600, 3);
	assert_int_equal(unm_cap_batch(&b.cap, f, 2), 1);
	assert_frame(&f[0], 60, 1);
	assert_int_equal(b.cap.invalid, 1);
	assert_int_equal(unm_cap_batch(&b.cap, f, 2), 1);
	assert_frame(&f[0], 588, 3);
	bench_fini(&b);
}

static void
test_several_slots(void **state)
{
	struct unm_cap_frame f[UNM_CAP_BATCH];
	struct netmap_ring *ring;
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	ring = b.rings[0].ring;
	arrive(&b, 0, 60, 1);
	arrive(&b, 0, 5 * BUF_SIZE, 2);
	arrive(&b, 0, 61, 3);
	/* There is one place to put frames together, so such a frame is alone in its batch. */
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 1);
	assert_frame(&f[0], 60, 1);
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 1);
	assert_frame(&f[0], 5 * BUF_SIZE, 2);
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 1);
	assert_frame(&f[0], 61, 3);
	unm_cap_release(&b.cap);
	assert_int_equal(ring->head, 7);

	/* The rest has not come yet: nothing, and no reason to be woken for what is there */
	arrive(&b, 0, 2 * BUF_SIZE, 4);
	ring->slot[8].flags = NS_MOREFRAG;
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 0);
	assert_int_equal(ring->cur, 9);
	unm_cap_release(&b.cap);
	assert_int_equal(ring->head, 7);
	arrive(&b, 0, 10, 4);
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 1);
	assert_frame(&f[0], 2 * BUF_SIZE + 10, 4);
	unm_cap_rewind(&b.cap, f, 1);
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 1);
	assert_frame(&f[0], 2 * BUF_SIZE + 10, 4);
	bench_fini(&b);
}

static void
test_never_ending(void **state)
{
	struct unm_cap_frame f[UNM_CAP_BATCH];
	struct netmap_ring *ring;
	struct bench b;
	uint32_t i;

	(void)state;
	bench_init(&b, 1);
	ring = b.rings[0].ring;
	for (i = 0; i < NETMAP_MAX_FRAGS; i++)
		arrive(&b, 0, BUF_SIZE, 1);
	for (i = 0; i < NETMAP_MAX_FRAGS; i++)
		ring->slot[i].flags = NS_MOREFRAG;
	arrive(&b, 0, 60, 2);
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 1);
	assert_frame(&f[0], 60, 2);
	assert_int_equal(b.cap.invalid, 1);
	bench_fini(&b);
}

static void
test_bad_slots(void **state)
{
	struct unm_cap_frame f[UNM_CAP_BATCH];
	struct netmap_ring *ring;
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	ring = b.rings[0].ring;
	arrive(&b, 0, 60, 1);
	arrive(&b, 0, 60, 2);
	arrive(&b, 0, 60, 3);
	ring->slot[0].buf_idx = N_BUFS;
	ring->slot[1].len = BUF_SIZE + 1;
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 1);
	assert_frame(&f[0], 60, 3);
	assert_int_equal(b.cap.invalid, 2);
	ring->tail = N_SLOTS;
	assert_int_equal(unm_cap_batch(&b.cap, f, UNM_CAP_BATCH), 0);
	bench_fini(&b);
}

/* Anything in slots and tail: it ends, and what is handed out is inside of the region. */
static void
test_random_slots(void **state)
{
	struct unm_cap_frame f[UNM_CAP_BATCH];
	uint32_t seed = 2026, round, i, n;
	struct netmap_ring *ring;
	volatile uint8_t sum = 0;
	struct bench b;

	(void)state;
	bench_init(&b, 1);
	ring = b.rings[0].ring;
	for (round = 0; round < 2000; round++) {
		for (i = 0; i < N_SLOTS; i++) {
			ring->slot[i].buf_idx = test_random(&seed) % (N_BUFS + 20);
			ring->slot[i].len = (uint16_t)(test_random(&seed) % (BUF_SIZE + 20));
			ring->slot[i].flags = (uint16_t)test_random(&seed);
		}
		ring->tail = test_random(&seed) % (N_SLOTS + 2);
		b.cap.vnet_len = test_random(&seed) % 2 * 12;
		for (i = 0; i <= N_SLOTS; i++) {
			n = unm_cap_batch(&b.cap, f, 1 + test_random(&seed) % UNM_CAP_BATCH);
			if (n == 0)
				break;
			sum = (uint8_t)(sum + f[n - 1].data[0] +
					(f[n - 1].len > 0 ? f[n - 1].data[f[n - 1].len - 1] : 0));
			if (test_random(&seed) % 4 == 0)
				unm_cap_release(&b.cap);
		}
		assert_true(i <= N_SLOTS);
		unm_cap_release(&b.cap);
		assert_true(ring->head < N_SLOTS && ring->cur < N_SLOTS);
	}
	bench_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order_in_place),
		cmocka_unit_test(test_rewind),
		cmocka_unit_test(test_several_rings),
		cmocka_unit_test(test_direction),
		cmocka_unit_test(test_vnet_header),
		cmocka_unit_test(test_several_slots),
		cmocka_unit_test(test_never_ending),
		cmocka_unit_test(test_bad_slots),
		cmocka_unit_test(test_random_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
