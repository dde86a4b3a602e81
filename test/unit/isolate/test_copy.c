/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: what lies in a client's slots comes to the port's, and back, at the same place of the
 * ring and of the buffer; whatever a slot of either side says, nothing outside the two buffers it
 * names is read or written, its flags do not become addresses, and the other slots arrive.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "isolate/copy_fp.h"
#include "ring/kring.h"
#include "ring/slot.h"

#define SLOTS	 8u
#define N_BUFS	 (2u + SLOTS)
#define BUF_SIZE 256u
#define GUARD	 4096u /* on both sides of the buffers */
#define FILL	 0xa5

struct memory {
	char ring[sizeof(struct netmap_ring) + SLOTS * sizeof(struct netmap_slot)]
		__attribute__((aligned(UNM_RING_ALIGN)));
	uint8_t bufs[GUARD + N_BUFS * BUF_SIZE + GUARD];
};

static struct memory client, other;
static struct unm_kring kring;
static struct unm_bring port;
static struct unm_copy_ring copy;

static struct netmap_ring *
ring(struct memory *m)
{
	return (struct netmap_ring *)(void *)m->ring;
}

static struct netmap_slot *
slot(struct memory *m, uint32_t i)
{
	return &ring(m)->slot[i];
}

static uint8_t *
buf(struct memory *m, uint32_t idx)
{
	return m->bufs + GUARD + (size_t)idx * BUF_SIZE;
}

static void
fill(struct memory *m, uint8_t seed)
{
	uint32_t i, k;

	memset(m, 0, sizeof(*m));
	memset(m->bufs, FILL, sizeof(m->bufs));
	for (i = 0; i < SLOTS; i++) {
		slot(m, i)->buf_idx = 2 + i;
		slot(m, i)->len = (uint16_t)(60 + i);
		for (k = 0; k < BUF_SIZE; k++)
			buf(m, 2 + i)[k] = (uint8_t)(seed + 16 * i + k);
	}
}

static int
setup(void **state)
{
	(void)state;
	fill(&client, 1);
	fill(&other, 7);
	memset(&kring, 0, sizeof(kring));
	port = (struct unm_bring){.ring = ring(&other),
		.kring = &kring,
		.bufs = (char *)buf(&other, 0),
		.buf_size = BUF_SIZE,
		.n_bufs = N_BUFS,
		.num_slots = SLOTS};
	copy = (struct unm_copy_ring){.ring = ring(&client),
		.bufs = (char *)buf(&client, 0),
		.buf_size = BUF_SIZE,
		.n_bufs = N_BUFS};
	return 0;
}

static void
assert_guards(const struct memory *m)
{
	uint32_t i;

	for (i = 0; i < GUARD + 2 * BUF_SIZE; i++) /* buffers 0 and 1 as well */
		assert_int_equal(m->bufs[i], FILL);
	for (i = 0; i < GUARD; i++)
		assert_int_equal(m->bufs[sizeof(m->bufs) - 1 - i], FILL);
}

static void
test_round_the_end(void **state)
{
	uint32_t i;

	(void)state;
	unm_copy_out(&port, &copy, SLOTS - 2, 3);
	for (i = 0; i < SLOTS; i++) {
		const bool is_copied = i >= SLOTS - 2 || i < 3;

		assert_int_equal(slot(&other, i)->buf_idx, 2 + i);
		assert_int_equal(
			memcmp(buf(&client, 2 + i), buf(&other, 2 + i), 60 + i) == 0, is_copied);
	}
	unm_copy_out(&port, &copy, 4, 4);
	assert_memory_not_equal(buf(&client, 6), buf(&other, 6), 60);
	assert_guards(&other);
}

static void
test_in(void **state)
{
	(void)state;
	slot(&other, 1)->flags = NS_MOREFRAG | NS_BUF_CHANGED;
	slot(&client, 1)->buf_idx = 9; /* the client has put another buffer there */
	slot(&client, 1)->ptr = 77;
	unm_copy_in(&port, &copy, 1, 2);
	assert_memory_equal(buf(&client, 9), buf(&other, 3), 61);
	assert_int_equal(slot(&client, 1)->buf_idx, 9);
	assert_int_equal(slot(&client, 1)->len, 61);
	assert_int_equal(slot(&client, 1)->flags, NS_MOREFRAG);
	assert_int_equal(slot(&client, 1)->ptr, 77);
	assert_guards(&client);
}

static void
test_offsets(void **state)
{
	(void)state;
	kring.offset_mask = 0xff;
	slot(&client, 0)->ptr = 0xabcd00 | 100;
	slot(&other, 0)->ptr = 0x100;
	unm_copy_out(&port, &copy, 0, 1);
	assert_memory_equal(buf(&client, 2) + 100, buf(&other, 2) + 100, 60);
	assert_int_equal(slot(&other, 0)->ptr, 0x100 | 100);
	assert_int_equal(kring.drops[UNM_DROP_BAD_SLOT], 0);
	slot(&client, 0)->ptr = BUF_SIZE - 59; /* one byte past the end */
	unm_copy_out(&port, &copy, 0, 1);
	assert_int_equal(slot(&other, 0)->len, 0);
	assert_int_equal(slot(&other, 0)->ptr & 0xff, 0);
	assert_int_equal(kring.drops[UNM_DROP_BAD_SLOT], 1);
}

static void
test_wrong_slots(void **state)
{
	static const struct netmap_slot wrong[] = {
		{.buf_idx = 0, .len = 60},
		{.buf_idx = 1, .len = 60},
		{.buf_idx = N_BUFS, .len = 60},
		{.buf_idx = UINT32_MAX, .len = 60},
		{.buf_idx = 2, .len = BUF_SIZE + 1},
		{.buf_idx = 2, .len = UINT16_MAX},
		{.buf_idx = 2, .len = 60, .flags = NS_INDIRECT, .ptr = 4096},
	};
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		setup(state);
		*slot(&client, 3) = wrong[i];
		unm_copy_out(&port, &copy, 2, 5);
		assert_int_equal(slot(&other, 3)->len, 0);
		assert_int_equal(slot(&other, 3)->buf_idx, 5);
		assert_int_equal(slot(&other, 3)->flags & NS_INDIRECT, 0);
		assert_int_equal(slot(&other, 3)->ptr, 0);
		assert_int_equal(kring.drops[UNM_DROP_BAD_SLOT], 1);
		assert_memory_equal(buf(&client, 4), buf(&other, 4), 62);
		assert_memory_equal(buf(&client, 6), buf(&other, 6), 64);
		assert_guards(&other);

		setup(state);
		*slot(&other, 3) = wrong[i]; /* by another trusted client */
		unm_copy_out(&port, &copy, 3, 4);
		unm_copy_in(&port, &copy, 3, 4);
		assert_guards(&other);
		assert_guards(&client);
	}
}

/* Random words in all slots, both ways: the sanitizers and the guards look. */
static void
test_random(void **state)
{
	uint32_t n, i;

	(void)state;
	srand(1);
	for (n = 0; n < 20000; n++) {
		for (i = 0; i < SLOTS; i++) {
			struct netmap_slot *s = rand() % 2 ? slot(&client, i) : slot(&other, i);

			s->buf_idx = (uint32_t)rand() % (N_BUFS + 2);
			s->len = (uint16_t)(rand() % (BUF_SIZE + 16));
			s->flags = (uint16_t)rand();
			s->ptr = (uint64_t)rand();
		}
		kring.offset_mask = rand() % 2 ? 0 : 0xffff;
		unm_copy_out(&port, &copy, (uint32_t)rand() % SLOTS, (uint32_t)rand() % SLOTS);
		unm_copy_in(&port, &copy, (uint32_t)rand() % SLOTS, (uint32_t)rand() % SLOTS);
	}
	assert_guards(&client);
	assert_guards(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_round_the_end, setup),
		cmocka_unit_test_setup(test_in, setup),
		cmocka_unit_test_setup(test_offsets, setup),
		cmocka_unit_test_setup(test_wrong_slots, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
