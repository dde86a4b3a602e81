/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receivers in the sender's own thread (vale/sink.h): they get frames where these lie, without a
 * copy in between; the order of what comes by the ring and by the sink is that of sending; virtio-
 * net headers are checked as for anybody; other threads are not concerned.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "port/trusted.h"
#include "ring/kring.h"
#include "vale/sink.h"
#include "vale/vnet.h"
#include "vale_rig.h"

#define MAX_TAKEN 300u

static struct vale_rig v;

/* What the sink of port 1 has got. */
static struct {
	uint32_t limit; /* takes no more than so many in all */
	uint32_t n, n_calls;
	uint8_t bytes[MAX_TAKEN][2048];
	uint32_t len[MAX_TAKEN];
	struct unetmap_part first[MAX_TAKEN], last[MAX_TAKEN];
	uint32_t n_parts[MAX_TAKEN];
} taken;

static uint32_t
take(void *arg, const struct unetmap_packet *packets, uint32_t n)
{
	uint32_t i, p;

	assert_ptr_equal(arg, &taken);
	assert_true(n > 0);
	taken.n_calls++;
	for (i = 0; i < n && taken.n < taken.limit; i++) {
		const struct unetmap_packet *k = &packets[i];
		const uint32_t at = taken.n++;

		assert_true(at < MAX_TAKEN && k->n_parts > 0 && k->len <= sizeof(taken.bytes[0]));
		taken.len[at] = 0;
		for (p = 0; p < k->n_parts; p++) {
			assert_true(k->parts[p].len > 0);
			memcpy(taken.bytes[at] + taken.len[at], k->parts[p].data, k->parts[p].len);
			taken.len[at] += (uint32_t)k->parts[p].len;
		}
		assert_int_equal(taken.len[at], k->len);
		taken.n_parts[at] = k->n_parts;
		taken.first[at] = k->parts[0];
		taken.last[at] = k->parts[k->n_parts - 1];
	}
	return i;
}

static int
set_sink(uint32_t ring, unetmap_sink_fn *fn)
{
	return unm_sink_set(&v.d->seg, 1, v.d->seg.ports[1].gen, ring, fn, &taken);
}

static void
setup(uint32_t slots, uint32_t n_rings, uint32_t hdr_len)
{
	uint32_t i;

	memset(&taken, 0, sizeof(taken));
	taken.limit = MAX_TAKEN;
	vale_rig_init(&v, 2000);
	for (i = 0; i < 3; i++)
		vale_rig_add(&v, (struct fake_geometry){.n_tx = n_rings,
					 .n_rx = n_rings,
					 .slots = slots,
					 .hdr_len = hdr_len});
	vale_rig_teach(&v);
	for (i = 0; i < 3; i++)
		vale_drain(&v, i);
	assert_int_equal(set_sink(0, take), 0);
}

static int
teardown(void **state)
{
	(void)state;
	set_sink(0, NULL);
	vale_rig_free(&v);
	return 0;
}

/* The @i-th frame taken is number @seq of port 0. */
static void
is_number(uint32_t i, uint64_t seq)
{
	uint32_t flow;
	uint64_t number;

	assert_true(i < taken.n);
	assert_true(traffic_check(taken.bytes[i], taken.len[i], &flow, &number));
	assert_int_equal(number, seq);
}

static uint64_t
received(void)
{
	return vale_rx(&v, 1)->kring->rx_pkts;
}

/* The copies of a frame before the sink's own are none: the parts are the sender's memory. */
static void
no_copy(void **state)
{
	static uint8_t memory[1500];
	struct unm_bring *tx;
	uint64_t before;
	const uint8_t *buf;
	uint32_t at;

	(void)state;
	setup(64, 1, 0);
	before = received();
	tx = vale_tx(&v, 0);
	buf = ring_buf(tx, tx->ring->head);
	vale_send(&v, 0, 1, 60, 7);
	traffic_fill(memory, sizeof(memory), 1, 0, 0, 8);
	assert_int_equal(unm_trusted_add(memory, sizeof(memory)), 0);
	at = tx->ring->head;
	tx->ring->slot[at].ptr = (uint64_t)(uintptr_t)memory;
	tx->ring->slot[at].len = sizeof(memory);
	tx->ring->slot[at].flags = NS_INDIRECT;
	ring_advance(tx, 1);
	vale_txsync(&v, 0);
	unm_trusted_remove(memory);
	assert_int_equal(taken.n, 2);
	assert_int_equal(taken.n_calls, 1);
	is_number(0, 7);
	assert_int_equal(taken.n_parts[0], 1);
	assert_ptr_equal(taken.first[0].data, buf);
	is_number(1, 8);
	assert_int_equal(taken.n_parts[1], 1);
	assert_ptr_equal(taken.first[1].data, memory);
	assert_int_equal(vale_pending(&v, 1), 0);
	assert_int_equal(received() - before, 2);
	assert_int_equal(vale_all_drops(&v, 0), 0);
}

/* A frame of three slots has three parts. More frames than are offered at once come in order. */
static void
many_and_long(void **state)
{
	static uint8_t frame[300];
	uint32_t i;

	(void)state;
	setup(256, 1, 0);
	traffic_fill(frame, sizeof(frame), 1, 0, 0, 0);
	ring_send(vale_tx(&v, 0), frame, 100, NS_MOREFRAG);
	ring_send(vale_tx(&v, 0), frame + 100, 100, NS_MOREFRAG);
	ring_send(vale_tx(&v, 0), frame + 200, 100, 0);
	for (i = 1; i < 200; i++)
		vale_send(&v, 0, 1, 60 + i, i);
	vale_txsync(&v, 0);
	assert_int_equal(taken.n, 200);
	assert_int_equal(taken.n_parts[0], 3);
	for (i = 0; i < 200; i++)
		is_number(i, i);
	assert_int_equal(vale_pending(&v, 1), 0);
}

/*
 * What the sink leaves goes into the ring, and so does what follows, until the ring has been read.
 */
static void
order(void **state)
{
	uint32_t i;

	(void)state;
	setup(64, 1, 0);
	taken.limit = 2;
	for (i = 0; i < 5; i++)
		vale_send(&v, 0, 1, 60, i);
	vale_txsync(&v, 0);
	assert_int_equal(taken.n, 2);
	taken.limit = MAX_TAKEN;
	vale_send(&v, 0, 1, 60, 5);
	vale_txsync(&v, 0);
	assert_int_equal(taken.n, 2);
	for (i = 2; i < 6; i++)
		vale_expect(&v, 1, 0, i);
	vale_send(&v, 0, 1, 60, 6);
	vale_txsync(&v, 0);
	assert_int_equal(taken.n, 3);
	is_number(2, 6);
	assert_int_equal(vale_pending(&v, 1), 0);
}

/*
 * Floods and known destinations come in the order of sending; the other receivers of a flood have
 * rings.
 */
static void
floods(void **state)
{
	(void)state;
	setup(64, 1, 0);
	vale_send(&v, 0, 1, 60, 0);
	vale_send(&v, 0, 9, 60, 1); /* nobody's */
	vale_send(&v, 0, 1, 60, 2);
	vale_send(&v, 0, 2, 60, 3);
	vale_txsync(&v, 0);
	assert_int_equal(taken.n, 3);
	is_number(0, 0);
	is_number(1, 1);
	is_number(2, 2);
	assert_int_equal(vale_pending(&v, 1), 0);
	vale_expect(&v, 2, 0, 1);
	vale_expect(&v, 2, 0, 3);
}

static void *
sync_port_0(void *arg)
{
	(void)arg;
	vale_txsync(&v, 0);
	return NULL;
}

static void
other_thread(void **state)
{
	pthread_t thread;

	(void)state;
	setup(64, 1, 0);
	vale_send(&v, 0, 1, 60, 0);
	assert_int_equal(pthread_create(&thread, NULL, sync_port_0, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(taken.n_calls, 0);
	vale_expect(&v, 1, 0, 0);
}

static void
ended(void **state)
{
	(void)state;
	setup(64, 1, 0);
	assert_int_equal(set_sink(0, NULL), 0);
	assert_int_equal(set_sink(0, NULL), 0);
	vale_send(&v, 0, 1, 60, 0);
	vale_txsync(&v, 0);
	assert_int_equal(taken.n_calls, 0);
	vale_expect(&v, 1, 0, 0);
	/* Another port under the same number is not this one. */
	assert_int_equal(unm_sink_set(&v.d->seg, 1, v.d->seg.ports[1].gen + 1, 0, take, &taken), 0);
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0);
	assert_int_equal(taken.n_calls, 0);
	vale_expect(&v, 1, 0, 1);
}

/* Only the frames of the ring that has a sink. */
static void
rings(void **state)
{
	uint32_t i;

	(void)state;
	setup(64, 2, 0);
	for (i = 0; i < 2; i++) {
		ring_send_frame(&v.port[0]->tx[i], 60, 1, 0, 0, i);
		vale_txsync(&v, 0);
	}
	assert_int_equal(taken.n, 1);
	is_number(0, 0);
	vale_pending(&v, 1);
	assert_int_equal(ring_space(&v.port[1]->rx[0]), 0);
	assert_int_equal(ring_space(&v.port[1]->rx[1]), 1);
}

/* Send a frame of 100 bytes with this virtio-net header. */
static void
send_with_header(const struct unm_vnet_hdr *h)
{
	uint8_t frame[112] = {0};

	memcpy(frame, h, sizeof(*h));
	frame[11] = 1; /* num_buffers, which travels */
	traffic_fill(frame + 12, 100, 1, 0, 0, 0);
	ring_send(vale_tx(&v, 0), frame, sizeof(frame), 0);
	vale_txsync(&v, 0);
}

static void
headers(void **state)
{
	const struct unm_vnet_hdr plain = {0};
	const struct unm_vnet_hdr csum = {
		.flags = UNM_VNET_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
	const struct unm_vnet_hdr bad = {
		.flags = UNM_VNET_F_NEEDS_CSUM, .csum_start = 99, .csum_offset = 16};
	struct unm_bring *tx;
	const uint8_t *buf;

	(void)state;
	setup(64, 1, 12);
	tx = vale_tx(&v, 0);
	buf = ring_buf(tx, tx->ring->head);
	send_with_header(&plain);
	assert_int_equal(taken.n, 1);
	assert_int_equal(taken.len[0], 112);
	/* The header is a copy that stays as it was checked; the frame is where it was. */
	assert_ptr_not_equal(taken.first[0].data, buf);
	assert_int_equal(taken.first[0].len, 12);
	assert_ptr_equal(taken.last[0].data, buf + 12);
	assert_memory_equal(taken.bytes[0], &plain, sizeof(plain));
	assert_int_equal(taken.bytes[0][11], 1);
	send_with_header(&csum);
	assert_int_equal(taken.n, 2);
	assert_memory_equal(taken.bytes[1], &csum, sizeof(csum));
	send_with_header(&bad);
	assert_int_equal(taken.n, 2);
	assert_int_equal(vale_drops(&v, 0, UNM_DROP_OFFLOAD), 1);
	/* A receiver that can't complete checksums gets the frame by its ring, completed. */
	v.d->seg.ports[1].vnet_lacks = UNM_VNET_LACKS_ALL;
	fake_port_set_state(v.d, 1, UNM_PORT_ACTIVE, v.d->seg.ports[1].flags);
	send_with_header(&csum);
	assert_int_equal(taken.n, 2);
	assert_int_equal(vale_pending(&v, 1), 1);
	/* Headers of different lengths: by the ring as well. */
	vale_drain(&v, 1);
	v.d->seg.ports[1].vnet_lacks = 0;
	v.d->seg.ports[1].vnet_hdr_len = 0;
	fake_port_set_state(v.d, 1, UNM_PORT_ACTIVE, v.d->seg.ports[1].flags);
	send_with_header(&plain);
	assert_int_equal(taken.n, 2);
	assert_int_equal(vale_pending(&v, 1), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(no_copy, teardown),
		cmocka_unit_test_teardown(many_and_long, teardown),
		cmocka_unit_test_teardown(order, teardown),
		cmocka_unit_test_teardown(floods, teardown),
		cmocka_unit_test_teardown(other_thread, teardown),
		cmocka_unit_test_teardown(ended, teardown),
		cmocka_unit_test_teardown(rings, teardown),
		cmocka_unit_test_teardown(headers, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
