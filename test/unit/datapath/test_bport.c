/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a bound port: what netmapd says is checked against what is mapped. Segments and regions as they come from
 * others. Ports without traffic (null, sink). Syncs with indices from a CSB.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "port/internal.h"
#include "ring/kring.h"
#include "vale_rig.h"

static void
segment_header(void **state)
{
	static const uint32_t types[] = {UNM_SEG_DOMAIN, UNM_SEG_VALE};
	size_t i, at;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct unm_seg_hdr h = {0}, good;
		struct unm_seg seg;

		unm_seg_layout(&h, types[i]);
		assert_int_equal(unm_seg_check(&h, h.size), 0);
		assert_int_equal(unm_seg_check(&h, h.size - 1), -EINVAL);
		assert_int_equal(unm_seg_check(&h, h.size + 4096), -EINVAL);
		assert_int_equal(unm_seg_check(&h, 100), -EINVAL);
		assert_int_equal(unm_seg_attach(&seg, &h, h.size), 0);
		assert_ptr_equal(seg.hdr, &h);
		assert_int_equal(seg.n_ports,
			types[i] == UNM_SEG_VALE ? UNM_SEG_NPORTS_VALE : UNM_SEG_NPORTS_DOMAIN);
		assert_int_equal(seg.fdb != NULL, types[i] == UNM_SEG_VALE);
		good = h;
		h.version++;
		assert_int_equal(unm_seg_check(&h, h.size), -EPROTO);
		h = good;
		h.type = 3;
		assert_int_equal(unm_seg_check(&h, h.size), -EINVAL);
		/* Every bit of what describes the tables counts: a header that says otherwise is refused */
		for (at = offsetof(struct unm_seg_hdr, n_fdb_buckets) * 8;
			at < offsetof(struct unm_seg_hdr, max_ageing_s) * 8; at++) {
			h = good;
			((uint8_t *)&h)[at / 8] ^= (uint8_t)(1 << at % 8);
			assert_int_equal(unm_seg_check(&h, good.size), -EINVAL);
			assert_int_equal(unm_seg_attach(&seg, &h, good.size), -EINVAL);
		}
	}
}

static void
region_shapes(void **state)
{
	static const struct unm_region_info good = {.size = 1 << 20,
		.if_num = 4,
		.if_size = 1024,
		.ring_ofs = 4096,
		.ring_num = 4,
		.ring_size = 4096,
		.buf_ofs = 32768,
		.buf_num = 100,
		.buf_size = 2048};
	struct unm_region_info r = good;

	(void)state;
	assert_int_equal(unm_region_check(&r), 0);
#define REFUSED(field, value)                                                                      \
	do {                                                                                       \
		r = good;                                                                          \
		r.field = (value);                                                                 \
		assert_int_equal(unm_region_check(&r), -EINVAL);                                   \
	} while (0)
	REFUSED(size, 32768 + 100 * 2048 - 1);
	REFUSED(size, 0);
	REFUSED(if_num, 0);
	REFUSED(if_size, 0);
	REFUSED(if_ofs, UINT64_MAX);
	REFUSED(ring_ofs, UINT64_MAX - 100);
	REFUSED(ring_num, 0);
	REFUSED(ring_num, UINT32_MAX);
	REFUSED(ring_size, 0);
	REFUSED(buf_ofs, (1 << 20) + 64);
	REFUSED(buf_ofs, 32768 + 32); /* whole lines are copied */
	REFUSED(buf_num, 0);
	REFUSED(buf_num, 2);
	REFUSED(buf_num, UINT32_MAX);
	REFUSED(buf_size, 0);
	REFUSED(buf_size, 2047);
	REFUSED(buf_size, 65536 + 64);
	REFUSED(buf_size, UINT32_MAX & ~63u);
#undef REFUSED
}

/* Everything that may be wrong with an answer of netmapd, or with the entries that it points to. */
static void
open_checks(void **state)
{
	const struct fake_geometry g = {.kind = UNM_PORT_PIPE, .n_tx = 2, .n_rx = 2, .slots = 16};
	struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 200, 2048);
	const uint32_t a = fake_port_add(d, &g), b = fake_port_add(d, &g);
	const struct unm_bind_info good = fake_bind_info(d, a, 0);
	struct unm_region *region = &d->regions[0].region;
	struct unm_seg_port *ea = &d->seg.ports[a], *eb = &d->seg.ports[b];
	struct unm_kring *ka = fake_kring(d, a, false, 1), *kb = fake_kring(d, b, true, 1);
	struct unm_bind_info info = good;
	const struct unm_env *env;
	struct unm_bport *bp;

	(void)state;
	fake_pipe_join(d, a, b);
	bp = fake_port_open(d, a);
	env = bp->env;
	unm_bport_close(bp);
	assert_int_equal(unm_bport_open(&bp, env, &d->seg, region, &info, NULL), 0);
	assert_int_equal(bp->n_tx, 2);
	assert_int_equal(bp->n_rx, 2);
	unm_bport_close(bp);
	unm_bport_close(NULL);
	bp = NULL;
#define REFUSED(lvalue, value, err)                                                                \
	do {                                                                                       \
		const __typeof__(lvalue) saved = (lvalue);                                         \
		(lvalue) = (value);                                                                \
		assert_int_equal(unm_bport_open(&bp, env, &d->seg, region, &info, NULL), err);     \
		assert_null(bp);                                                                   \
		(lvalue) = saved;                                                                  \
	} while (0)
	REFUSED(info.port, UNM_SEG_NPORTS_DOMAIN, -EINVAL);
	REFUSED(info.port, UNM_NONE, -EINVAL);
	REFUSED(info.binding, UNM_SEG_NBINDINGS, -EINVAL);
	REFUSED(info.kind, 0, -EINVAL);
	REFUSED(info.kind, UNM_PORT_NIC, -EINVAL);
	REFUSED(info.kind, UNM_PORT_VALE, -EINVAL); /* not in this kind of segment */
	REFUSED(info.port_gen, 4, -ESTALE);
	REFUSED(info.nifp_ofs, region->info.size, -EINVAL);
	REFUSED(info.nifp_ofs, region->info.size - 8, -EINVAL);
	REFUSED(info.nifp_ofs, UINT64_MAX, -EINVAL);
	REFUSED(info.tx_hi, 3, -EINVAL);
	REFUSED(info.rx_hi, UINT32_MAX, -EINVAL);
	REFUSED(info.tx_lo, 3, -EINVAL);
	REFUSED(region->info.buf_size, 100, -EINVAL);
	REFUSED(ea->n_tx_rings, UINT32_MAX, -EINVAL);
	REFUSED(ea->n_host_tx_rings, 257, -EINVAL);
	REFUSED(ea->n_rx_rings, 257, -EINVAL);
	REFUSED(ea->n_host_rx_rings, UINT32_MAX, -EINVAL);
	REFUSED(ea->kring_base, UNM_SEG_NKRINGS - 3, -EINVAL);
	REFUSED(ea->kring_base, UINT32_MAX, -EINVAL);
	REFUSED(ea->peer_port, UNM_NONE, -EINVAL);
	REFUSED(eb->kring_base, UINT32_MAX, -EINVAL);
	REFUSED(eb->n_rx_rings, 1, -EINVAL); /* the peer has no ring 1 */
	REFUSED(ka->is_rx, 1, -EINVAL);
	REFUSED(ka->num_slots, 1, -EINVAL);
	REFUSED(ka->num_slots, UNM_RING_MAX_SLOTS + 1, -EINVAL);
	REFUSED(ka->ring_ofs, region->info.size - 256, -EINVAL);
	REFUSED(ka->ring_ofs, ka->ring_ofs + 8, -EINVAL);
	REFUSED(ka->ring_ofs, UINT64_MAX - 63, -EINVAL);
	REFUSED(kb->num_slots, 8, -EINVAL);
	REFUSED(kb->ring_ofs, UINT64_MAX - 63, -EINVAL);
#undef REFUSED
	fake_domain_free(d);
}

/* Host rings have queues of their own, after whatever else the port has, and their own operations. */
static void
host_rings(void **state)
{
	const struct fake_geometry g = {.kind = UNM_PORT_NULL, .n_tx = 3, .n_rx = 4, .slots = 16};
	const int fds[] = {100, 101, 102, 103};
	struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 400, 2048);
	const uint32_t a = fake_port_add(d, &g);
	struct unm_bind_info info = fake_bind_info(d, a, 0);
	struct unm_seg_port *e = &d->seg.ports[a];
	struct unm_bport *bp;

	(void)state;
	e->n_tx_rings = 2;
	e->n_host_tx_rings = 1;
	e->n_rx_rings = 2;
	e->n_host_rx_rings = 2;
	info.n_port_fds = 4;
	info.host_fd = 1;
	info.n_host_fds = 2;
	assert_int_equal(fake_port_try_open(d, &info, fds, &bp), 0);
	assert_int_equal(bp->tx[0].fd, 100);
	assert_int_equal(bp->tx[1].fd, -1); /* 101 is not the port's own */
	assert_int_equal(bp->tx[2].fd, 101);
	assert_int_equal(bp->rx[1].fd, -1);
	assert_int_equal(bp->rx[2].fd, 101);
	assert_int_equal(bp->rx[3].fd, 102);
	assert_ptr_equal(bp->tx[1].ops, bp->ops);
	assert_ptr_equal(bp->tx[2].ops, &unm_port_host_ops);
	assert_ptr_equal(bp->rx[3].ops, &unm_port_host_ops);
	unm_bport_close(bp);
	info.rx_lo = 3;
	assert_int_equal(fake_port_try_open(d, &info, fds, &bp), 0); /* bound alone */
	assert_int_equal(bp->rx[0].fd, 102);
	unm_bport_close(bp);
	info.n_host_fds = 1; /* there is no queue for the second host ring */
	assert_int_equal(fake_port_try_open(d, &info, fds, &bp), -EINVAL);
	info.n_host_fds = 4;
	assert_int_equal(fake_port_try_open(d, &info, fds, &bp), -EINVAL);
	info.host_fd = 5;
	info.n_host_fds = 0;
	assert_int_equal(fake_port_try_open(d, &info, fds, &bp), -EINVAL);
	fake_domain_free(d);
}

/* Only some rings of a port bound: the others are not touched. */
static void
some_rings(void **state)
{
	const struct fake_geometry g = {.kind = UNM_PORT_PIPE, .n_tx = 4, .n_rx = 4, .slots = 16};
	struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 200, 2048);
	const uint32_t a = fake_port_add(d, &g), b = fake_port_add(d, &g);
	struct unm_bind_info info = fake_bind_info(d, a, 0);
	struct unm_bport *bp, *peer;
	uint32_t i;

	(void)state;
	fake_pipe_join(d, a, b);
	info.tx_lo = 2;
	info.tx_hi = 3;
	info.rx_lo = info.rx_hi = 0;
	bp = fake_port_open_info(d, &info, NULL);
	peer = fake_port_open(d, b);
	assert_int_equal(bp->n_tx, 1);
	assert_int_equal(bp->n_rx, 0);
	assert_int_equal(bp->tx[0].ring_id, 2);
	ring_send_frame(&bp->tx[0], 60, 0, 0, 0, 1);
	assert_int_equal(unm_bport_txsync(bp), 0);
	assert_int_equal(unm_bport_rxsync(peer), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(ring_space(&peer->rx[i]), i == 2);
		assert_true((fake_kring(d, a, false, i)->n_syncs > 0) == (i == 2));
	}
	assert_int_equal(unm_bport_poll(bp, POLLIN | POLLOUT), POLLOUT);
	unm_bport_close(bp);
	unm_bport_close(peer);
	fake_domain_free(d);
}

/* spec 11: exactly the rings and slots asked for, none allowed; nothing ever moves. */
static void
null_ports(void **state)
{
	static const uint32_t slots[] = {0, 1, 2, 16};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 200, 2048);
		const struct fake_geometry g = {
			.kind = UNM_PORT_NULL, .n_tx = 1, .n_rx = 1, .slots = slots[i]};
		struct unm_bport *bp = fake_port_open(d, fake_port_add(d, &g));
		const uint32_t tail = slots[i] > 0 ? slots[i] - 1 : 0;
		uint32_t n;

		for (n = 0; n < 3; n++) {
			assert_int_equal(unm_bport_txsync(bp), 0);
			assert_int_equal(unm_bport_rxsync(bp), 0);
			assert_int_equal(unm_bport_poll(bp, POLLIN), 0);
			assert_int_equal(unm_bport_poll(bp, POLLOUT), tail > n ? POLLOUT : 0);
			assert_int_equal(bp->tx[0].ring->tail, tail);
			assert_int_equal(bp->rx[0].ring->tail, 0);
			if (tail > n)
				ring_advance(&bp->tx[0], 1);
		}
		bp->tx[0].ring->head = 100;
		assert_int_equal(unm_bport_txsync(bp), 0);
		assert_int_equal(bp->tx[0].ring->head, slots[i] > 0 ? 0 : 100);
		unm_bport_close(bp);
		fake_domain_free(d);
	}
}

/* A persistent port on no switch: what is sent goes nowhere, and is counted. */
static void
sink_ports(void **state)
{
	struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 200, 2048);
	const struct fake_geometry g = {.kind = UNM_PORT_BASE, .n_tx = 1, .n_rx = 1, .slots = 16};
	struct unm_bport *bp = fake_port_open(d, fake_port_add(d, &g));
	int round, i;

	(void)state;
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 10; i++)
			ring_send_frame(&bp->tx[0], 60, 0, 0, 0, 1);
		assert_int_equal(unm_bport_txsync(bp), 0);
		assert_int_equal(ring_space(&bp->tx[0]), 15);
		assert_int_equal(unm_bport_poll(bp, POLLIN | POLLOUT), POLLOUT);
	}
	assert_true(bp->tx[0].kring->drops[UNM_DROP_NO_PORT] == 50);
	unm_bport_close(bp);
	fake_domain_free(d);
}

/* The ring's own indices play no part (spec 18.1); results and refusals. */
static void
csb(void **state)
{
	struct vale_rig v;
	struct unm_bring *tx, *rx;
	uint32_t hwcur = 99, hwtail = 99;

	(void)state;
	vale_rig_simple(&v, 2, 16);
	tx = vale_tx(&v, 0);
	rx = vale_rx(&v, 1);
	tx->ring->head = tx->ring->cur = 12345;
	rx->ring->head = 54321;
	traffic_fill(ring_buf(tx, 0), 60, 1, 0, 0, 1);
	traffic_fill(ring_buf(tx, 1), 60, 1, 0, 0, 2);
	tx->ring->slot[0].len = tx->ring->slot[1].len = 60;
	assert_int_equal(unm_bring_sync_at(tx, 2, 3, &hwcur, &hwtail), 0);
	assert_int_equal(hwcur, 2);
	assert_int_equal(hwtail, 1);
	assert_int_equal(unm_bring_sync_at(rx, 0, 0, &hwcur, &hwtail), 0);
	assert_int_equal(hwcur, 0);
	assert_int_equal(hwtail, 2);
	assert_int_equal(rx->ring->slot[1].len, 60);
	assert_int_equal(unm_bring_sync_at(rx, 1, 2, &hwcur, &hwtail), 0);
	assert_int_equal(hwcur, 1);
	assert_int_equal(tx->ring->head, 12345);
	assert_int_equal(rx->ring->head, 54321);

	hwcur = hwtail = 99;
	assert_int_equal(unm_bring_sync_at(rx, 2, 1, &hwcur, &hwtail), -EINVAL);
	assert_int_equal(unm_bring_sync_at(rx, 3, 3, &hwcur, &hwtail), -EINVAL); /* beyond tail */
	assert_int_equal(
		unm_bring_sync_at(tx, 5, 3, &hwcur, &hwtail), -EINVAL); /* cur behind head */
	assert_int_equal(unm_bring_sync_at(tx, 16, 16, &hwcur, &hwtail), -EINVAL);
	assert_int_equal(unm_bring_sync_at(tx, UINT32_MAX, 0, &hwcur, &hwtail), -EINVAL);
	assert_true(tx->kring->n_reinits == 3 && rx->kring->n_reinits == 2);
	tx->kring->busy = 77;
	assert_int_equal(unm_bring_sync_at(tx, 2, 2, &hwcur, &hwtail), -EBUSY);
	tx->kring->busy = 0;
	fake_slot = 0;
	assert_int_equal(unm_bring_sync_at(tx, 2, 2, &hwcur, &hwtail), -EIO);
	fake_slot = 1;
	fake_port_set_state(v.d, 0, UNM_PORT_DEAD, 0);
	assert_int_equal(unm_bring_sync_at(tx, 2, 2, &hwcur, &hwtail), -EIO);
	fake_port_set_state(v.d, 0, UNM_PORT_ACTIVE, UNM_PORTF_OPEN);
	assert_int_equal(hwcur, 99); /* untouched by failures */
	assert_int_equal(hwtail, 99);
	assert_int_equal(unm_bring_sync_at(tx, 2, 2, &hwcur, &hwtail), 0);
	assert_int_equal(hwcur, 2);
	vale_rig_free(&v);
}

/* On a pipe hwcur lags behind head while a packet is unfinished. */
static void
csb_pipe(void **state)
{
	const struct fake_geometry g = {.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = 16};
	struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 200, 2048);
	const uint32_t a = fake_port_add(d, &g), b = fake_port_add(d, &g);
	struct unm_bport *pa, *pb;
	uint32_t hwcur, hwtail;

	(void)state;
	fake_pipe_join(d, a, b);
	pa = fake_port_open(d, a);
	pb = fake_port_open(d, b);
	pa->tx[0].ring->slot[1].flags = NS_MOREFRAG;
	assert_int_equal(unm_bring_sync_at(&pa->tx[0], 2, 2, &hwcur, &hwtail), 0);
	assert_int_equal(hwcur, 1);
	assert_int_equal(hwtail, 15);
	assert_int_equal(unm_bring_sync_at(&pa->tx[0], 3, 3, &hwcur, &hwtail), 0);
	assert_int_equal(hwcur, 3);
	assert_int_equal(unm_bring_sync_at(&pb->rx[0], 0, 0, &hwcur, &hwtail), 0);
	assert_int_equal(hwtail, 3);
	assert_int_equal(unm_bring_sync_at(&pb->rx[0], 3, 3, &hwcur, &hwtail), 0);
	assert_int_equal(hwcur, 3);
	assert_int_equal(unm_bring_sync_at(&pa->tx[0], 3, 3, &hwcur, &hwtail), 0);
	assert_int_equal(hwtail, 2);
	unm_bport_close(pa);
	unm_bport_close(pb);
	fake_domain_free(d);
}

static struct fake_domain *ending;
static int left_to_the_end;

/* netmapd frees the port, and another one gets its rings, while a sync is under way. */
static uint32_t
slot_of_a_late_one(void)
{
	if (--left_to_the_end == 0) {
		fake_port_set_state(ending, 0, UNM_PORT_FREE, 0);
		ending->seg.ports[0].gen += 2;
	}
	return fake_slot;
}

/* A ring is synced only as long as it is the port's, whatever was found before its word was taken. */
static void
late_syncs(void **state)
{
	struct vale_rig v;
	struct unm_bport *bp;
	struct unm_env env;

	(void)state;
	vale_rig_init(&v, 2 + 4 * 16);
	vale_rig_add(&v, (struct fake_geometry){.n_tx = 2, .n_rx = 1, .slots = 16});
	bp = v.port[0];
	env = *bp->env;
	env.slot = slot_of_a_late_one;
	bp->env = &env;
	ending = v.d;
	left_to_the_end = 2; /* the sync's own look comes first, then that of ring 0 */
	bp->tx[0].ring->head = bp->tx[0].ring->cur = 1;
	bp->tx[1].ring->head = bp->tx[1].ring->cur = 1;
	assert_int_equal(unm_bport_txsync(bp), -ENXIO);
	assert_int_equal(left_to_the_end, 0);
	assert_int_equal(bp->tx[0].kring->hwcur, 1);
	assert_int_equal(bp->tx[1].kring->hwcur, 0);
	assert_int_equal(bp->tx[1].kring->n_syncs, 0);
	assert_int_equal(bp->tx[1].kring->busy, 0);
	assert_int_equal(unm_bport_txsync(bp), -ENXIO);
	vale_rig_free(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segment_header),
		cmocka_unit_test(region_shapes),
		cmocka_unit_test(open_checks),
		cmocka_unit_test(host_rings),
		cmocka_unit_test(some_rings),
		cmocka_unit_test(null_ports),
		cmocka_unit_test(sink_ports),
		cmocka_unit_test(csb),
		cmocka_unit_test(csb_pipe),
		cmocka_unit_test(late_syncs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
