/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: overflow queues are first in, first out; a packet of several slots is handed out and
 * dropped whole; the longest queue is found; no buffer is ever lost or held twice. The last by
 * random operations beside a dumb model that keeps each queue as an array.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <net/netmap_user.h>

#include "overflow.h"
#include "test_random.h"

#define N_QUEUES  3
#define N_NODES	  40
#define FIRST_BUF 100 /* the pool's buffers are 100 ... 139 */
#define ROUNDS	  200000

static struct lb_overflow *
new_pool(uint32_t n_nodes)
{
	struct lb_overflow *of;

	assert_int_equal(lb_overflow_new(N_QUEUES, n_nodes, &of), 0);
	for (uint32_t i = 0; i < n_nodes; i++)
		assert_int_equal(lb_overflow_add(of, FIRST_BUF + i), 0);
	return of;
}

static struct netmap_slot
filled_slot(uint32_t buf_idx, uint16_t len, bool more)
{
	return (struct netmap_slot){
		.buf_idx = buf_idx, .len = len, .flags = more ? NS_MOREFRAG : 0, .ptr = buf_idx};
}

static void
test_empty_pool(void **state)
{
	struct lb_overflow *of = new_pool(0);

	(void)state;
	assert_int_equal(lb_overflow_n_nodes(of), 0);
	assert_int_equal(lb_overflow_n_free(of), 0);
	assert_int_equal(lb_overflow_longest(of), LB_NO_QUEUE);
	assert_int_equal(lb_overflow_first_len(of, 0), 0);
	assert_int_equal(lb_overflow_drop(of, 0).n_slots, 0);
	assert_int_equal(lb_overflow_take_back(of), 0);
	assert_int_equal(lb_overflow_add(of, 5), -ENOSPC);
	lb_overflow_free(of);
	lb_overflow_free(NULL);
}

static void
test_order_and_exchange(void **state)
{
	struct lb_overflow *of = new_pool(2);
	struct netmap_slot a = filled_slot(7, 60, false);
	struct netmap_slot b = filled_slot(8, 61, false);
	struct netmap_slot to = {.buf_idx = 30};

	(void)state;
	lb_overflow_push(of, 1, &a);
	lb_overflow_push(of, 1, &b);
	assert_int_equal(lb_overflow_n_free(of), 0);
	assert_int_equal(lb_overflow_len(of, 1), 2);
	/* The sources hold buffers of the pool now, and netmap is told so. */
	assert_true(a.buf_idx >= FIRST_BUF && b.buf_idx >= FIRST_BUF && a.buf_idx != b.buf_idx);
	assert_int_equal(a.flags, NS_BUF_CHANGED);
	lb_overflow_pop(of, 1, &to);
	assert_int_equal(to.buf_idx, 7);
	assert_int_equal(to.len, 60);
	assert_int_equal(to.flags, NS_BUF_CHANGED);
	assert_int_equal(to.ptr, 7);
	to = (struct netmap_slot){.buf_idx = 31};
	lb_overflow_pop(of, 1, &to);
	assert_int_equal(to.buf_idx, 8);
	/* What the targets had is what can be given back. */
	assert_int_equal(lb_overflow_n_free(of), 2);
	assert_int_equal(lb_overflow_take_back(of) + lb_overflow_take_back(of), 30 + 31);
	assert_int_equal(lb_overflow_take_back(of), 0);
	assert_int_equal(lb_overflow_n_nodes(of), 0);
	lb_overflow_free(of);
}

static void
test_several_slots_drop_as_one(void **state)
{
	struct lb_overflow *of = new_pool(8);
	struct lb_overflow_lost lost;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct netmap_slot s = filled_slot(10 + i, 100, i < 2);

		lb_overflow_push(of, 0, &s);
	}
	for (uint32_t i = 0; i < 2; i++) {
		struct netmap_slot s = filled_slot(20 + i, 1, false);

		lb_overflow_push(of, 0, &s);
		lb_overflow_push(of, 2, &s);
	}
	assert_int_equal(lb_overflow_longest(of), 0);
	assert_int_equal(lb_overflow_first_len(of, 0), 3);
	lost = lb_overflow_drop(of, 0);
	assert_int_equal(lost.n_slots, 3);
	assert_int_equal(lost.n_bytes, 300);
	assert_int_equal(lb_overflow_first_len(of, 0), 1);
	lost = lb_overflow_drop(of, 0);
	assert_int_equal(lost.n_slots, 1);
	assert_int_equal(lb_overflow_longest(of), 2);
	lb_overflow_free(of);
}

/* The model: for each queue the contents of its slots in order. */
struct model {
	struct netmap_slot queues[N_QUEUES][N_NODES];
	uint32_t lens[N_QUEUES];
	uint32_t n_free;
	bool outside[FIRST_BUF + N_NODES + 1]; /* buffers that the test holds, by index */
};

static uint32_t
model_first_len(const struct model *m, uint32_t q)
{
	for (uint32_t n = 0; n < m->lens[q]; n++)
		if ((m->queues[q][n].flags & NS_MOREFRAG) == 0)
			return n + 1;
	return m->lens[q];
}

static struct netmap_slot
model_pop(struct model *m, uint32_t q)
{
	struct netmap_slot s = m->queues[q][0];

	m->lens[q]--;
	m->n_free++;
	memmove(&m->queues[q][0], &m->queues[q][1], m->lens[q] * sizeof(s));
	return s;
}

/* A buffer that the test holds. Asserts that there is one, which is so: it starts with some. */
static uint32_t
any_outside(const struct model *m)
{
	uint32_t i = 1;

	while (!m->outside[i])
		i++;
	assert_true(i <= FIRST_BUF + N_NODES);
	return i;
}

static void
push_both(struct lb_overflow *of, struct model *m, uint32_t q, uint32_t *rnd)
{
	uint32_t n_slots = 1 + test_random(rnd) % 4;

	if (n_slots > m->n_free)
		return;
	for (uint32_t n = 0; n < n_slots; n++) {
		uint32_t buf = any_outside(m);
		struct netmap_slot s =
			filled_slot(buf, (uint16_t)test_random(rnd), n + 1 < n_slots);

		m->queues[q][m->lens[q]++] = s;
		m->n_free--;
		m->outside[buf] = false;
		lb_overflow_push(of, q, &s);
		assert_false(m->outside[s.buf_idx]);
		m->outside[s.buf_idx] = true;
	}
}

static void
pop_both(struct lb_overflow *of, struct model *m, uint32_t q)
{
	uint32_t n_slots = model_first_len(m, q);

	assert_int_equal(lb_overflow_first_len(of, q), n_slots);
	for (uint32_t n = 0; n < n_slots; n++) {
		struct netmap_slot expected = model_pop(m, q);
		struct netmap_slot to = {.buf_idx = any_outside(m)};

		m->outside[to.buf_idx] = false;
		lb_overflow_pop(of, q, &to);
		assert_int_equal(to.buf_idx, expected.buf_idx);
		assert_int_equal(to.len, expected.len);
		m->outside[to.buf_idx] = true;
	}
}

static void
drop_both(struct lb_overflow *of, struct model *m)
{
	uint32_t q = lb_overflow_longest(of);
	struct lb_overflow_lost lost;
	uint64_t n_bytes = 0;
	uint32_t n_slots;

	for (uint32_t i = 0; i < N_QUEUES; i++)
		assert_true(m->lens[i] <= (q == LB_NO_QUEUE ? 0 : m->lens[q]));
	if (q == LB_NO_QUEUE)
		return;
	n_slots = model_first_len(m, q);
	for (uint32_t n = 0; n < n_slots; n++)
		n_bytes += model_pop(m, q).len;
	lost = lb_overflow_drop(of, q);
	assert_int_equal(lost.n_slots, n_slots);
	assert_int_equal(lost.n_bytes, n_bytes);
}

static void
test_random_operations_against_a_model(void **state)
{
	struct lb_overflow *of = new_pool(N_NODES);
	struct model m = {.n_free = N_NODES};
	uint32_t rnd = 4711;
	uint32_t buf;

	(void)state;
	for (uint32_t i = 1; i < 20; i++)
		m.outside[i] = true;
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t q = test_random(&rnd) % N_QUEUES;
		uint32_t what = test_random(&rnd) % 8;

		if (what < 4)
			push_both(of, &m, q, &rnd);
		else if (what < 7)
			pop_both(of, &m, q);
		else
			drop_both(of, &m);
		assert_int_equal(lb_overflow_len(of, q), m.lens[q]);
		assert_int_equal(lb_overflow_n_free(of), m.n_free);
	}
	/* All that is not outside comes back, each buffer once. */
	for (uint32_t q = 0; q < N_QUEUES; q++)
		while (lb_overflow_drop(of, q).n_slots > 0)
			continue;
	assert_int_equal(lb_overflow_n_free(of), N_NODES);
	while ((buf = lb_overflow_take_back(of)) != 0) {
		assert_false(m.outside[buf]);
		m.outside[buf] = true;
	}
	for (uint32_t i = 1; i < FIRST_BUF + N_NODES; i++)
		assert_int_equal(m.outside[i], i < 20 || i >= FIRST_BUF);
	lb_overflow_free(of);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_pool),
		cmocka_unit_test(test_order_and_exchange),
		cmocka_unit_test(test_several_slots_drop_as_one),
		cmocka_unit_test(test_random_operations_against_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
