/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A peer that writes garbage into every shared word: header, port table, bindings, MAC table,
 * krings, rings, slots, buffers.
 *
 * Proves that no call of anybody crashes (with the sanitizers: leaves what it may touch), takes for
 * ever, or fails in another way than its contract says; with the garbage between the calls and,
 * from a second thread, in the middle of them. Ports are closed and opened again on what they find.
 * All is put right from time to time, or soon nobody would get far.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "ring/kring.h"
#include "scribble.h"
#include "vale_rig.h"

#define ROUNDS	    10000
#define N_PORTS	    5u
#define N_RINGS	    2u
#define SLOTS	    64u
#define BUF_SIZE    512u
#define MAX_GARBAGE 40
#define MAX_AREAS   (5 + 2 * N_PORTS)
#define PAUSE_NS                                                                                   \
	20000 /* between two bursts of the thread: some of the damage has to be met before there is more */

static struct {
	struct fake_domain *d;
	struct unm_bind_info info[N_PORTS];
	struct unm_bport *bp[N_PORTS];
	struct area area[MAX_AREAS];
	void *saved[MAX_AREAS];
	uint32_t n_areas;
	uint64_t seed;
	uint32_t is_over;
	uint64_t n_sent, n_refused;
} h;

static void
add_area(void *base, size_t len)
{
	struct area *a = &h.area[h.n_areas];

	assert_true(h.n_areas < MAX_AREAS);
	a->base = base;
	a->len = len & ~(size_t)3;
	h.saved[h.n_areas] = malloc(a->len);
	assert_non_null(h.saved[h.n_areas]);
	memcpy(h.saved[h.n_areas++], base, a->len);
}

/* All that is in use. What is not stays clean, but indices in the garbage lead there. */
static void
find_areas(void)
{
	struct unm_seg *seg = &h.d->seg;
	uint32_t i;

	add_area(seg->hdr, sizeof(*seg->hdr));
	add_area(seg->ports, N_PORTS * sizeof(seg->ports[0]));
	add_area(seg->bindings, h.d->n_bindings * sizeof(seg->bindings[0]));
	add_area(seg->krings, h.d->kring_top * sizeof(seg->krings[0]));
	if (seg->fdb != NULL)
		add_area(seg->fdb, seg->n_fdb_buckets * sizeof(seg->fdb[0]));
	for (i = 0; i < h.d->n_regions; i++) {
		struct fake_region *r = &h.d->regions[i];
		const struct unm_region_info *ri = &r->region.info;

		if (r->ring_top == ri->ring_ofs)
			continue; /* no rings */
		add_area(r->region.base + ri->ring_ofs, r->ring_top - ri->ring_ofs);
		add_area(r->region.base + ri->buf_ofs, (size_t)ri->buf_num * ri->buf_size);
	}
}

static void
restore(void)
{
	uint32_t i;

	for (i = 0; i < h.n_areas; i++)
		memcpy(h.area[i].base, h.saved[i], h.area[i].len);
}

static void
set_up(uint32_t seg_type, uint64_t seed)
{
	/* Pipes share a region, ports of a switch have one each. */
	struct fake_geometry g = {.kind = seg_type == UNM_SEG_VALE ? UNM_PORT_VALE : UNM_PORT_PIPE,
		.n_tx = N_RINGS,
		.n_rx = N_RINGS,
		.slots = SLOTS,
		.buf_size = seg_type == UNM_SEG_VALE ? BUF_SIZE : 0};
	uint32_t i;

	memset(&h, 0, sizeof(h));
	h.seed = seed;
	h.d = fake_domain_new(seg_type, 2 * N_PORTS * N_RINGS * SLOTS, BUF_SIZE);
	for (i = 0; i < N_PORTS; i++) {
		g.flags = i == 1 ? UNM_PORTF_LOSSLESS : 0;
		g.hdr_len = seg_type == UNM_SEG_VALE && i > 2 ? 12 : 0;
		fake_port_add(h.d, &g);
		if (seg_type == UNM_SEG_DOMAIN && i % 2 == 1)
			fake_pipe_join(h.d, i - 1, i);
	}
	if (seg_type == UNM_SEG_DOMAIN) /* an odd one: a pipe with itself */
		fake_pipe_join(h.d, N_PORTS - 1, N_PORTS - 1);
	for (i = 0; i < N_PORTS; i++) {
		h.info[i] = fake_bind_info(h.d, i, i);
		h.bp[i] = fake_port_open(h.d, i);
	}
	find_areas();
}

static void
tear_down(void)
{
	uint32_t i;

	for (i = 0; i < N_PORTS; i++)
		unm_bport_close(h.bp[i]);
	for (i = 0; i < h.n_areas; i++)
		free(h.saved[i]);
	fake_domain_free(h.d);
}

/* An application that checks what it finds in its ring, as one must with such a peer. */
static void
use_ring(struct unm_bring *r)
{
	struct netmap_ring *ring = r->ring;
	const uint32_t head = UNM_READ_ONCE(ring->head), tail = UNM_READ_ONCE(ring->tail);
	uint32_t n, i = head;

	if (head >= r->num_slots || tail >= r->num_slots)
		return;
	n = traffic_random(&h.seed) % (unm_pos_dist(head, tail, r->num_slots) + 1);
	for (; n > 0; n--, i = unm_pos_next(i, r->num_slots)) {
		const struct netmap_slot s = unm_slot_load(&ring->slot[i]);

		if (r->is_rx || !unm_buf_idx_ok(s.buf_idx, r->n_bufs))
			continue;
		traffic_fill((uint8_t *)r->bufs + (size_t)s.buf_idx * r->buf_size,
			TRAFFIC_MIN_LEN + traffic_random(&h.seed) % 400,
			traffic_random(&h.seed) % (N_PORTS + 1), r->bp->info.port, 0, 0);
		/* one in four as it comes: long, in fragments, indirect, ... */
		if (traffic_random(&h.seed) % 4 != 0)
			unm_slot_store_len_flags(&ring->slot[i], 200, 0);
	}
	UNM_WRITE_ONCE(ring->cur, i);
	UNM_WRITE_ONCE(ring->head, i);
}

/* A ring that begins inside its region and ends outside, which garbage alone hardly ever makes. */
static void
move_a_ring(void)
{
	const struct unm_region_info *ri = &h.d->regions[h.d->n_regions - 1].region.info;
	struct unm_kring *k = &h.d->seg.krings[traffic_random(&h.seed) % h.d->kring_top];

	k->ring_ofs = ri->size - 64 * (1 + traffic_random(&h.seed) % 32);
}

/* Close, and open again on whatever there is. What can't be opened now is tried again later. */
static void
reopen(uint32_t port)
{
	int err;

	if (traffic_random(&h.seed) % 2 == 0)
		move_a_ring();
	unm_bport_close(h.bp[port]);
	h.bp[port] = NULL;
	err = fake_port_try_open(h.d, &h.info[port], NULL, &h.bp[port]);
	CHECK(err == 0 || err == -EINVAL || err == -ESTALE);
	h.n_refused += err != 0;
}

static void
act(uint32_t port)
{
	struct unm_bport *bp = h.bp[port];
	uint32_t i, hwcur, hwtail;
	short got;
	int err;

	for (i = 0; i < bp->n_tx + bp->n_rx; i++)
		use_ring(&bp->tx[i]);
	switch (traffic_random(&h.seed) % 6) {
	case 0:
		unm_bport_arm(bp, POLLIN | POLLOUT);
		got = unm_bport_poll(bp, POLLIN | POLLOUT);
		CHECK((got & ~(POLLIN | POLLOUT | POLLERR)) == 0);
		break;
	case 1:
		err = unm_bport_rxsync(bp);
		CHECK(err == 0 || err == -EIO || err == -ENXIO);
		break;
	case 2:
		err = unm_bring_sync_at(&bp->tx[traffic_random(&h.seed) % N_RINGS],
			scribble_value(&h.seed), scribble_value(&h.seed), &hwcur, &hwtail);
		CHECK(err == 0 || err == -EINVAL || err == -EBUSY || err == -EIO);
		CHECK(err != 0 || (hwcur < SLOTS && hwtail < SLOTS));
		break;
	default:
		err = unm_bport_txsync(bp);
		CHECK(err == 0 || err == -EIO || err == -ENXIO);
		h.n_sent += err == 0;
		break;
	}
}

static void
one_round(void)
{
	const uint32_t port = traffic_random(&h.seed) % N_PORTS;
	struct watch w;

	watch_start(&w);
	if (h.bp[port] == NULL || traffic_random(&h.seed) % 32 == 0)
		reopen(port);
	else
		act(port);
	watch_end(&w);
}

static void
expect_some_use(void)
{
	CHECK(h.n_sent > ROUNDS / 20);
	CHECK(h.n_refused > 0);
}

static void
garbage_between(uint32_t seg_type)
{
	uint32_t i;

	set_up(seg_type, 1);
	for (i = 0; i < ROUNDS; i++) {
		scribble(h.area, h.n_areas, traffic_random(&h.seed) % MAX_GARBAGE, &h.seed);
		one_round();
		if (traffic_random(&h.seed) % 8 == 0)
			restore();
	}
	expect_some_use();
	tear_down();
}

static void *
scribbler(void *arg)
{
	const struct timespec pause = {0, PAUSE_NS};
	uint64_t seed = 99;

	(void)arg;
	while (!__atomic_load_n(&h.is_over, __ATOMIC_ACQUIRE)) {
		scribble(h.area, h.n_areas, traffic_random(&seed) % MAX_GARBAGE, &seed);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void
garbage_during(uint32_t seg_type)
{
	pthread_t thread;
	uint32_t i;

	set_up(seg_type, 2);
	CHECK(pthread_create(&thread, NULL, scribbler, NULL) == 0);
	for (i = 0; i < ROUNDS; i++) {
		one_round();
		if (traffic_random(&h.seed) % 4 == 0)
			restore();
	}
	__atomic_store_n(&h.is_over, 1, __ATOMIC_RELEASE);
	CHECK(pthread_join(thread, NULL) == 0);
	tear_down();
}

static void
test_vale_between(void **state)
{
	(void)state;
	garbage_between(UNM_SEG_VALE);
}

static void
test_vale_during(void **state)
{
	(void)state;
	garbage_during(UNM_SEG_VALE);
}

static void
test_pipes_between(void **state)
{
	(void)state;
	garbage_between(UNM_SEG_DOMAIN);
}

static void
test_pipes_during(void **state)
{
	(void)state;
	garbage_during(UNM_SEG_DOMAIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vale_between),
		cmocka_unit_test(test_vale_during),
		cmocka_unit_test(test_pipes_between),
		cmocka_unit_test(test_pipes_during),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
