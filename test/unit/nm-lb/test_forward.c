/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves, on ports in plain memory: packets reach the pipe of their flow in order; a full pipe
 * makes them wait in extra buffers, and the longest queue pays when those run out; what a consumer
 * releases goes on to the next group; packets of several slots stay whole; impossible slots are
 * counted and harm nobody; a pipe is waited for exactly when its consumer's progress matters; and
 * in all of this, under random load, no packet is lost uncounted and no buffer is lost or held
 * twice.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fake_ports.h"
#include "lb.h"
#include "nmt_pkt.h"
#include "pkt_hash.h"
#include "test_random.h"

#define BUF_SIZE   256
#define N_BUFS	   4096
#define RX_SLOTS   64
#define PIPE_SLOTS 16 /* the region gives all ports of a test the same size, but it need not */
#define PIPES_MAX  8

struct bench {
	struct fake_region region;
	struct nmport_d rx_port;
	struct nmport_d pipe_ports[PIPES_MAX];
	struct lb_pipe pipes[PIPES_MAX];
	struct lb lb;
	uint32_t n_extra;
	uint32_t next_seq;
};

/* @n_pipes: pipes per group, ended by 0. */
static void
bench_init(struct bench *b, const uint32_t *n_pipes, uint32_t n_extra)
{
	struct lb *lb = &b->lb;

	memset(b, 0, sizeof(*b));
	fake_region_init(&b->region, N_BUFS, BUF_SIZE);
	fake_port_init(&b->rx_port, &b->region, "rx", 1, 1, RX_SLOTS);
	lb->port = &b->rx_port;
	lb->pipes = b->pipes;
	lb->n_bufs = N_BUFS;
	for (; n_pipes[lb->n_groups] != 0; lb->n_groups++) {
		struct lb_group *g = &lb->groups[lb->n_groups];

		g->pipes = &lb->pipes[lb->n_pipes];
		g->n_pipes = n_pipes[lb->n_groups];
		for (uint32_t k = 0; k < g->n_pipes; k++) {
			struct lb_pipe *p = &g->pipes[k];

			p->port = &b->pipe_ports[lb->n_pipes];
			fake_port_init(p->port, &b->region, "pipe", 1, 0, PIPE_SLOTS);
			p->ring = NETMAP_TXRING(p->port->nifp, 0);
			p->tail = p->limit = p->ring->tail;
			p->queue = lb->n_pipes++;
		}
	}
	assert_int_equal(lb_overflow_new(lb->n_pipes, n_extra, &lb->overflow), 0);
	b->n_extra = n_extra;
	for (uint32_t i = 0; i < n_extra; i++)
		assert_int_equal(
			lb_overflow_add(lb->overflow, fake_region_take_buf(&b->region)), 0);
}

static void
bench_fini(struct bench *b)
{
	lb_overflow_free(b->lb.overflow);
	fake_region_fini(&b->region);
}

static struct netmap_ring *
rx_ring(const struct bench *b)
{
	return NETMAP_RXRING(b->rx_port.nifp, 0);
}

/* A UDP packet of flow @flow with a number in its payload. Return: its length. */
static uint16_t
write_packet(char *buf, uint32_t flow, uint32_t seq)
{
	struct nmt_udp_flow f = {.src_port = (uint16_t)flow, .dst_port = 53};
	const size_t off = nmt_udp_payload_off(false);

	f.src_ip.bytes[0] = f.dst_ip.bytes[0] = 10;
	f.src_ip.bytes[3] = 1;
	f.dst_ip.bytes[3] = 2;
	memcpy(buf + off, &seq, sizeof(seq));
	assert_int_equal(nmt_pkt_build_udp((uint8_t *)buf, off + sizeof(seq), &f), 0);
	return (uint16_t)(off + sizeof(seq));
}

static uint32_t
packet_seq(const struct bench *b, const struct netmap_slot *slot)
{
	uint32_t seq;

	memcpy(&seq, fake_region_buf(&b->region, slot->buf_idx) + nmt_udp_payload_off(false),
		sizeof(seq));
	return seq;
}

/* Let a packet of @n_slots slots arrive. The first slot has the headers and the number. */
static uint32_t
arrive(struct bench *b, uint32_t flow, uint32_t n_slots)
{
	struct netmap_ring *ring = rx_ring(b);

	for (uint32_t i = 0; i < n_slots; i++) {
		struct netmap_slot *slot = fake_ring_next_slot(ring, i);
		char *buf = fake_region_buf(&b->region, slot->buf_idx);

		slot->len = i == 0 ? write_packet(buf, flow, b->next_seq) : 100;
		slot->flags = (uint16_t)(n_slots << 8 | (i + 1 < n_slots ? NS_MOREFRAG : 0));
	}
	fake_ring_arrive(ring, n_slots);
	return b->next_seq++;
}

/* The pipe of a group that a flow belongs to. */
static uint32_t
pipe_of(uint32_t flow, uint32_t n_pipes)
{
	char buf[BUF_SIZE] = {0};
	uint32_t hash;

	assert_int_equal(lb_pkt_hash(buf, write_packet(buf, flow, 0), &hash), LB_PKT_IP);
	return (uint32_t)((uint64_t)hash * n_pipes >> 32);
}

/* A flow of pipe @k of @n_pipes. */
static uint32_t
flow_of(uint32_t k, uint32_t n_pipes)
{
	uint32_t flow = 1;

	while (pipe_of(flow, n_pipes) != k)
		flow++;
	return flow;
}

static uint32_t
n_sent(const struct lb_pipe *p)
{
	return (p->ring->head + PIPE_SLOTS - p->ring->tail - 1) % PIPE_SLOTS;
}

/* Play the consumer of a pipe: look at the oldest packet's slots and release them. */
static uint32_t
consume(const struct bench *b, struct lb_pipe *p, uint32_t *n_slots)
{
	uint32_t i = (p->ring->tail + 1) % PIPE_SLOTS;
	uint32_t seq = packet_seq(b, &p->ring->slot[i]);

	*n_slots = 1;
	while ((p->ring->slot[i].flags & NS_MOREFRAG) != 0) {
		i = (i + 1) % PIPE_SLOTS;
		(*n_slots)++;
	}
	assert_true(*n_slots <= n_sent(p));
	fake_ring_release(p->ring, *n_slots);
	return seq;
}

/* Each buffer that was handed out sits in exactly one place. Empties the overflow queues. */
static void
check_no_buffer_lost(struct bench *b)
{
	static bool seen[N_BUFS];
	uint32_t n = 0, buf;

	memset(seen, 0, sizeof(seen));
	for (uint32_t k = 0; k <= b->lb.n_pipes; k++) {
		struct netmap_ring *ring = k < b->lb.n_pipes ? b->lb.pipes[k].ring : rx_ring(b);

		for (uint32_t i = 0; i < ring->num_slots; i++, n++) {
			assert_false(seen[ring->slot[i].buf_idx]);
			seen[ring->slot[i].buf_idx] = true;
		}
	}
	for (uint32_t k = 0; k < b->lb.n_pipes; k++)
		while (lb_overflow_drop(b->lb.overflow, k).n_slots > 0)
			continue;
	for (; (buf = lb_overflow_take_back(b->lb.overflow)) != 0; n++) {
		assert_false(seen[buf]);
		seen[buf] = true;
	}
	assert_int_equal(n, RX_SLOTS + b->lb.n_pipes * PIPE_SLOTS + b->n_extra);
}

static const uint32_t two_pipes[] = {2, 0};
static const uint32_t chain[] = {2, 1, 0};

static void
test_flows_reach_their_pipes_in_order(void **state)
{
	struct bench b;
	uint32_t last[2] = {0, 0}, n_slots;

	(void)state;
	bench_init(&b, two_pipes, 0);
	for (uint32_t i = 0; i < 12; i++)
		arrive(&b, i, 1);
	lb_collect(&b.lb);
	assert_int_equal(lb_receive(&b.lb, 5), 5);
	assert_int_equal(lb_receive(&b.lb, 100), 7);
	assert_int_equal(rx_ring(&b)->head, 12);
	assert_int_equal(rx_ring(&b)->cur, 12);
	for (uint32_t k = 0; k < 2; k++) {
		struct lb_pipe *p = &b.lb.pipes[k];

		assert_true(p->dirty);
		assert_int_equal(p->counters.forwarded_packets, n_sent(p));
		assert_int_equal(p->counters.forwarded_bytes, n_sent(p) * 46);
		while (n_sent(p) > 0) {
			uint32_t seq = consume(&b, p, &n_slots);

			assert_int_equal(pipe_of(seq, 2), k); /* flow and number are the same */
			assert_true(seq >= last[k]);
			last[k] = seq;
		}
	}
	assert_int_equal(b.lb.received_packets, 12);
	assert_int_equal(b.lb.non_ip_packets, 0);
	check_no_buffer_lost(&b);
	bench_fini(&b);
}

static void
test_non_ip_goes_to_the_first_pipe(void **state)
{
	struct bench b;
	struct netmap_slot *slot;

	(void)state;
	bench_init(&b, two_pipes, 0);
	arrive(&b, flow_of(1, 2), 1);
	slot = &rx_ring(&b)->slot[0];
	nmt_put16((uint8_t *)fake_region_buf(&b.region, slot->buf_idx) + 12, 0x0806);
	lb_receive(&b.lb, 1);
	assert_int_equal(b.lb.pipes[0].counters.forwarded_packets, 1);
	assert_int_equal(b.lb.non_ip_packets, 1);
	bench_fini(&b);
}

static void
test_full_pipe_without_extra_buffers_drops(void **state)
{
	struct bench b;
	const uint32_t flow = flow_of(0, 2);

	(void)state;
	bench_init(&b, two_pipes, 0);
	for (uint32_t i = 0; i < PIPE_SLOTS + 4; i++)
		arrive(&b, flow, 1);
	lb_receive(&b.lb, 100);
	assert_int_equal(b.lb.pipes[0].counters.forwarded_packets, PIPE_SLOTS - 1);
	assert_int_equal(b.lb.pipes[0].counters.dropped_packets, 5);
	assert_int_equal(b.lb.pipes[0].counters.dropped_bytes, 5 * 46);
	/* Not worth waking up for, but the next time round the pipe is looked at. */
	assert_false(lb_wants_release(&b.lb, &b.lb.pipes[0]));
	assert_true(lb_is_filling(&b.lb.pipes[0]));
	assert_false(lb_is_filling(&b.lb.pipes[1]));
	fake_ring_release(b.lb.pipes[0].ring, PIPE_SLOTS / 2);
	lb_collect(&b.lb);
	assert_false(lb_is_filling(&b.lb.pipes[0]));
	check_no_buffer_lost(&b);
	bench_fini(&b);
}

static void
test_overflow_keeps_order_and_is_waited_for(void **state)
{
	struct bench b;
	struct lb_pipe *p = &b.pipes[0];
	const uint32_t flow = flow_of(0, 2);
	uint32_t n_slots, tail;

	(void)state;
	bench_init(&b, two_pipes, 8);
	for (uint32_t i = 0; i < PIPE_SLOTS - 1 + 8; i++)
		arrive(&b, flow, 1);
	lb_receive(&b.lb, 100);
	assert_int_equal(lb_overflow_len(b.lb.overflow, 0), 8);
	assert_int_equal(p->counters.dropped_packets, 0);
	/* A release that the next lb_collect() has not seen must end the wait: cur stays behind. */
	tail = p->ring->tail;
	consume(&b, p, &n_slots);
	assert_true(lb_wants_release(&b.lb, p));
	assert_int_equal(p->ring->cur, tail);
	assert_false(lb_wants_release(&b.lb, &b.lb.pipes[1]));
	lb_collect(&b.lb);
	assert_int_equal(lb_overflow_len(b.lb.overflow, 0), 7);
	/* A newcomer does not overtake those that wait. */
	arrive(&b, flow, 1);
	fake_ring_release(p->ring, 1);
	lb_receive(&b.lb, 1);
	assert_int_equal(lb_overflow_len(b.lb.overflow, 0), 8);
	for (uint32_t seq = 2; seq < PIPE_SLOTS + 8; seq++) {
		lb_collect(&b.lb);
		assert_int_equal(consume(&b, p, &n_slots), seq);
	}
	lb_collect(&b.lb);
	assert_false(lb_wants_release(&b.lb, p));
	assert_int_equal(p->counters.forwarded_packets, PIPE_SLOTS + 8);
	assert_int_equal(p->counters.forwarded_bytes, (PIPE_SLOTS + 8) * 46);
	check_no_buffer_lost(&b);
	bench_fini(&b);
}

static void
test_longest_queue_pays(void **state)
{
	struct bench b;
	const uint32_t slow = flow_of(0, 2), fast = flow_of(1, 2);

	(void)state;
	bench_init(&b, two_pipes, 6);
	for (uint32_t i = 0; i < PIPE_SLOTS - 1 + 6; i++)
		arrive(&b, slow, 1);
	lb_receive(&b.lb, 100);
	for (uint32_t i = 0; i < PIPE_SLOTS - 1 + 2; i++)
		arrive(&b, fast, 1);
	lb_receive(&b.lb, 100);
	assert_int_equal(b.lb.pipes[0].counters.dropped_packets, 2);
	assert_int_equal(b.lb.pipes[1].counters.dropped_packets, 0);
	assert_int_equal(lb_overflow_len(b.lb.overflow, 0), 4);
	assert_int_equal(lb_overflow_len(b.lb.overflow, 1), 2);
	check_no_buffer_lost(&b);
	bench_fini(&b);
}

static void
test_released_packets_visit_the_next_group(void **state)
{
	struct bench b;
	struct lb_pipe *first = &b.pipes[0], *last = &b.pipes[2];
	const uint32_t flow = flow_of(0, 2);
	uint32_t n_slots;

	(void)state;
	bench_init(&b, chain, 0);
	for (uint32_t i = 0; i < PIPE_SLOTS - 1; i++)
		arrive(&b, flow, 1);
	lb_receive(&b.lb, 100);
	assert_true(lb_wants_release(&b.lb, first)); /* although nothing overflows */
	assert_int_equal(n_sent(last), 0);
	/* Released one by one, all go on, the one in the slot at tail included. */
	for (uint32_t seq = 0; seq < PIPE_SLOTS - 1; seq++) {
		assert_int_equal(consume(&b, first, &n_slots), seq);
		lb_collect(&b.lb);
		assert_int_equal(n_sent(last), seq + 1);
	}
	assert_false(lb_wants_release(&b.lb, first));
	assert_false(lb_wants_release(&b.lb, last)); /* nobody comes after it */
	for (uint32_t seq = 0; seq < PIPE_SLOTS - 1; seq++)
		assert_int_equal(consume(&b, last, &n_slots), seq);
	assert_int_equal(b.lb.received_packets, PIPE_SLOTS - 1);
	check_no_buffer_lost(&b);
	bench_fini(&b);
}

static void
test_several_slots_stay_whole(void **state)
{
	struct bench b;
	struct lb_pipe *first = &b.pipes[0], *last = &b.pipes[2];
	const uint32_t flow = flow_of(0, 2);
	uint32_t n_slots;

	(void)state;
	bench_init(&b, chain, 8);
	arrive(&b, flow, 9);
	arrive(&b, flow, 8); /* does not fit behind it, although one slot would */
	lb_receive(&b.lb, 100);
	assert_int_equal(n_sent(first), 9);
	assert_int_equal(lb_overflow_len(b.lb.overflow, 0), 8);
	/* Released in part: not passed on, and not overwritten. */
	fake_ring_release(first->ring, 4);
	lb_collect(&b.lb);
	assert_int_equal(n_sent(last), 0);
	assert_int_equal(first->released, 0);
	assert_int_equal(lb_overflow_len(b.lb.overflow, 0), 8);
	fake_ring_release(first->ring, 5);
	lb_collect(&b.lb);
	assert_int_equal(consume(&b, last, &n_slots), 0);
	assert_int_equal(n_slots, 9);
	lb_collect(&b.lb);
	assert_int_equal(consume(&b, first, &n_slots), 1);
	assert_int_equal(n_slots, 8);
	check_no_buffer_lost(&b);
	bench_fini(&b);
}

static void
test_packet_larger_than_pipe_or_pool(void **state)
{
	struct bench b;
	const uint32_t flow = flow_of(0, 2);

	(void)state;
	bench_init(&b, two_pipes, 40);
	arrive(&b, flow, PIPE_SLOTS); /* one more than a pipe ever holds */
	lb_receive(&b.lb, 100);
	assert_int_equal(b.lb.pipes[0].counters.dropped_packets, 1);
	bench_fini(&b);
	bench_init(&b, two_pipes, 3);
	arrive(&b, flow, PIPE_SLOTS - 1);
	arrive(&b, flow, 3);
	arrive(&b, flow, 4); /* one more than the pool has; what waits must not suffer */
	lb_receive(&b.lb, 100);
	assert_int_equal(b.lb.pipes[0].counters.dropped_packets, 1);
	assert_int_equal(lb_overflow_len(b.lb.overflow, 0), 3);
	check_no_buffer_lost(&b);
	bench_fini(&b);
}

static void
test_unfinished_packet_waits(void **state)
{
	struct bench b;
	struct netmap_ring *ring;
	const uint32_t flow = flow_of(0, 2);

	(void)state;
	bench_init(&b, two_pipes, 0);
	ring = rx_ring(&b);
	arrive(&b, flow, 1);
	arrive(&b, flow, 3);
	ring->tail = 3; /* the last slot has not arrived yet */
	assert_int_equal(lb_receive(&b.lb, 100), 1);
	assert_int_equal(ring->head, 1);
	assert_int_equal(ring->cur, 3); /* or poll() would return at once, again and again */
	ring->tail = 4;
	assert_int_equal(lb_receive(&b.lb, 100), 1);
	assert_int_equal(ring->head, 4);
	/* One that fills the ring can never be finished. */
	for (uint32_t i = 0; i < RX_SLOTS; i++)
		ring->slot[i].flags = NS_MOREFRAG;
	ring->tail = 3;
	assert_int_equal(lb_receive(&b.lb, 100), 1);
	assert_int_equal(b.lb.bad_packets, 1);
	assert_int_equal(ring->head, ring->tail);
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
		{.buf_idx = 2, .len = BUF_SIZE + 1},
	};
	struct bench b;
	const uint32_t n_bad = sizeof(bad) / sizeof(bad[0]);

	(void)state;
	bench_init(&b, chain, 4);
	for (uint32_t i = 0; i < n_bad; i++) {
		arrive(&b, 1, 1);
		rx_ring(&b)->slot[i] = bad[i];
	}
	lb_receive(&b.lb, 100);
	assert_int_equal(b.lb.bad_packets, n_bad);
	assert_int_equal(b.lb.pipes[0].counters.forwarded_packets, 0);
	/* A consumer that wrote garbage into what it released. */
	arrive(&b, flow_of(0, 2), 1);
	lb_receive(&b.lb, 100);
	b.lb.pipes[0].ring->slot[0] = bad[3];
	fake_ring_release(b.lb.pipes[0].ring, 1);
	lb_collect(&b.lb);
	assert_int_equal(b.lb.bad_packets, n_bad + 1);
	/* Indices that lead out of the rings. */
	b.lb.pipes[0].ring->tail = PIPE_SLOTS;
	lb_collect(&b.lb);
	rx_ring(&b)->tail = UINT32_MAX;
	assert_int_equal(lb_receive(&b.lb, 100), 0);
	bench_fini(&b);
}

/* Random arrivals and consumers of random speed over two groups. Every packet is consumed at the
 * end of the chain, waits somewhere, or is counted as dropped; no pipe hands out of order within a
 * flow; no buffer is lost. */
static void
test_random_load(void **state)
{
	static const uint32_t groups[] = {3, 2, 0};
	static uint32_t last_seq[PIPES_MAX][8];
	struct bench b;
	uint64_t n_consumed[2] = {0, 0}, n_dropped[2] = {0, 0}, n_waiting = 0;
	uint32_t rnd = 99, n_slots;

	(void)state;
	bench_init(&b, groups, 30);
	for (int round = 0; round < 20000; round++) {
		struct netmap_ring *rx = rx_ring(&b);
		uint32_t used = (rx->tail + RX_SLOTS - rx->head) % RX_SLOTS;

		for (uint32_t n = test_random(&rnd) % 24; n > 0 && used + 3 < RX_SLOTS; n--) {
			uint32_t size =
				1 + (test_random(&rnd) % 4 == 0 ? test_random(&rnd) % 3 : 0);

			/* The flow can be told from the number. */
			b.next_seq = b.next_seq / 8 * 8 + test_random(&rnd) % 8 + 8;
			arrive(&b, b.next_seq % 8, size);
			used += size;
		}
		for (uint32_t k = 0; k < b.lb.n_pipes; k++) {
			struct lb_pipe *p = &b.lb.pipes[k];

			for (uint32_t n = test_random(&rnd) % 8; n > 0 && n_sent(p) > 0; n--) {
				uint32_t seq = consume(&b, p, &n_slots);

				assert_true(seq > last_seq[k][seq % 8]);
				last_seq[k][seq % 8] = seq;
				n_consumed[k < 3 ? 0 : 1]++;
			}
		}
		lb_collect(&b.lb);
		lb_receive(&b.lb, 1 + test_random(&rnd) % 32);
	}
	lb_collect(&b.lb);
	for (uint32_t k = 0; k < b.lb.n_pipes; k++) {
		struct lb_pipe *p = &b.lb.pipes[k];

		n_dropped[k < 3 ? 0 : 1] += p->counters.dropped_packets;
		while (lb_overflow_drop(b.lb.overflow, k).n_slots > 0)
			n_waiting += k < 3;
		while (n_sent(p) > 0) {
			consume(&b, p, &n_slots);
			n_waiting += k < 3;
		}
	}
	assert_int_equal(b.lb.bad_packets, 0);
	assert_true(n_dropped[0] > 0 && n_consumed[1] > 0); /* the load was what it should be */
	assert_int_equal(b.lb.received_packets, n_consumed[0] + n_dropped[0] + n_waiting);
	check_no_buffer_lost(&b);
	bench_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows_reach_their_pipes_in_order),
		cmocka_unit_test(test_non_ip_goes_to_the_first_pipe),
		cmocka_unit_test(test_full_pipe_without_extra_buffers_drops),
		cmocka_unit_test(test_overflow_keeps_order_and_is_waited_for),
		cmocka_unit_test(test_longest_queue_pays),
		cmocka_unit_test(test_released_packets_visit_the_next_group),
		cmocka_unit_test(test_several_slots_stay_whole),
		cmocka_unit_test(test_packet_larger_than_pipe_or_pool),
		cmocka_unit_test(test_unfinished_packet_waits),
		cmocka_unit_test(test_impossible_slots_and_indices),
		cmocka_unit_test(test_random_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
