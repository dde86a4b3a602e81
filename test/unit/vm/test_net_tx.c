/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-net device from a guest into a port that the test plays: frames of all shapes, pointed
 * to and copied, hostile headers, ports that are full or gone, queues that are off, stops in the
 * middle.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <string.h>

#include "net_case.h"
#include "support/test_random.h"
#include "vale/vnet.h"

#define TX_BUFS 12u   /* of the guest, 128 KiB each */
#define NET_BIG 1024u /* slots of a ring that is large enough for warm buffers */

static uint64_t token;

/* The guest sends header and frame[], cut into segments of @part bytes. */
static void
guest_sends(const struct unm_vnet_hdr *h, uint32_t len, uint32_t part)
{
	const uint64_t at = r.tx.buffers + token % TX_BUFS * 131072;
	uint8_t *p = rig_ptr(&r.tx, at);
	struct vd_seg seg[64];
	uint32_t total = 12 + len, ofs, n = 0;

	memset(p, 0, 12);
	memcpy(p, h, sizeof(*h));
	memcpy(p + 12, frame, len);
	for (ofs = 0; ofs < total; ofs += part) {
		assert_true(n < 64);
		seg[n++] = (struct vd_seg){at + ofs, total - ofs < part ? total - ofs : part};
	}
	assert_int_equal(vd_add(&r.tx.vd, seg, n, 0, token++), 0);
	vd_publish(&r.tx.vd);
}

static int
guest_gets_back(void)
{
	struct vd_used used[64];

	return vd_get(&r.tx.vd, used, 64);
}

static const struct unm_vnet_hdr plain;

static bool
points_at_guest(uint32_t at, uint32_t end)
{
	bool points = false;

	for (; at != end; at = nm_ring_next(r.port_tx, at))
		points |= r.port_tx->slot[at].flags & NS_INDIRECT;
	return points;
}

static void
sends_all_shapes(void **state)
{
	const uint32_t lens[] = {14, 60, 256, 257, 1514, 2036, 2037, 9000, 65549};
	const uint32_t parts[] = {70000, 12, 13, 500, 4096};
	uint32_t variant, i, k, next;

	(void)state;
	for (variant = 0; variant < 6; variant++) {
		const uint32_t hdr_len = variant % 2 ? 12 : 0;
		const bool direct = variant / 2 == 1;

		net_rig_open(&r, hdr_len, variant / 2 > 0, MODERN);
		unm_net_set_direct(r.n, direct);
		for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			for (k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
				const uint32_t at = r.port_tx->head;
				/* In one part that one slot can point to, asking for nothing */
				const bool pointed = hdr_len == 12 && direct &&
						     12 + lens[i] <= parts[k] &&
						     12 + lens[i] <= NET_BUF_SIZE;

				if ((12 + lens[i]) / parts[k] >= 60)
					continue;
				make_frame(lens[i], i + k);
				guest_sends(&plain, lens[i], parts[k]);
				assert_int_equal(unm_net_tx(r.n, 0), 1);
				assert_int_equal(
					net_rig_frame(&r, at, got, &next), hdr_len + lens[i]);
				assert_int_equal(next, r.port_tx->head);
				assert_memory_equal(got, "\0\0\0\0\0\0\0\0\0\0\0", hdr_len);
				assert_memory_equal(got + hdr_len, frame, lens[i]);
				assert_int_equal(
					(r.port_tx->slot[at].flags & NS_INDIRECT) != 0, pointed);
				assert_true(direct || !points_at_guest(at, next));
				assert_true(
					r.port_tx->slot[at].len >=
					hdr_len + (lens[i] < NET_TX_HEAD ? lens[i] : NET_TX_HEAD));
				assert_int_equal(guest_gets_back(), 1);
			}
		}
		assert_int_equal(r.n->stats.tx_bad_frame + r.n->stats.tx_bad_header, 0);
		net_rig_close(&r);
	}
}

/* One sync for a burst, and frames beyond the ring wait for room. */
static void
sends_a_burst(void **state)
{
	unsigned int i;

	(void)state;
	net_rig_open(&r, 12, true, MODERN);
	make_frame(60, 0);
	for (i = 0; i < 40; i++)
		guest_sends(&plain, 60, 100);
	assert_int_equal(unm_net_tx(r.n, 0), 40);
	assert_int_equal(r.n_txsyncs, 1);
	assert_int_equal(guest_gets_back(), 40);
	r.takes = 0;
	for (i = 0; i < 64; i++)
		guest_sends(&plain, 60, 100);
	assert_int_equal(unm_net_tx(r.n, 0), 63);
	assert_int_equal(guest_gets_back(), 0); /* they are still referred to */
	assert_true(r.n->port.ring[0].tx_blocked);
	assert_int_equal(unm_net_tx(r.n, 0), 0);
	r.takes = 10;
	unm_net_tx(r.n, 0);
	assert_int_equal(guest_gets_back(), 10);
	r.takes = UINT32_MAX;
	while (unm_net_tx(r.n, 0) > 0)
		;
	assert_int_equal(guest_gets_back(), 54);
	assert_false(r.n->port.ring[0].tx_blocked);
}

/* Each buffer is some slot's still. */
static void
check_buffers(void)
{
	static uint8_t used[NET_BIG + 2];
	uint32_t i;

	memset(used, 0, sizeof(used));
	for (i = 0; i < r.port_tx->num_slots; i++)
		assert_int_equal(used[r.port_tx->slot[i].buf_idx]++, 0);
}

/* The frames in the ring from @at on, as copies_from_warm_buffers() has sent them. */
static uint32_t
check_frames(uint32_t at, uint32_t *seed, uint8_t *touched)
{
	while (at != r.port_tx->head) {
		uint32_t next, i;
		const uint32_t len = net_rig_frame(&r, at, got, &next) - 12;

		assert_false(points_at_guest(at, next));
		for (i = at; i != next; i = nm_ring_next(r.port_tx, i))
			touched[r.port_tx->slot[i].buf_idx] = 1;
		make_frame(len, *seed);
		assert_memory_equal(got + 12, frame, len);
		(*seed)++;
		at = next;
	}
	return at;
}

/*
 * Memory that must not be used directly, on a ring so large that buffers are used again while they
 * are in the cache: bursts of frames of all lengths, more than fit before a sync, some of them bad,
 * and a port that sometimes does not take all.
 */
static void
copies_from_warm_buffers(void **state)
{
	const struct unm_vnet_hdr bad = {.flags = 1, .csum_start = UINT16_MAX};
	uint32_t burst, i, at = 0, sent = 0, checked = 0, n_back = 0, n_touched = 0;
	uint8_t touched[NET_BIG + 2] = {0};
	uint32_t rnd = 5;

	(void)state;
	net_rig_set_tx_slots(NET_BIG);
	net_rig_open(&r, 12, true, MODERN);
	net_rig_set_tx_slots(NET_SLOTS);
	unm_net_set_direct(r.n, false);
	for (burst = 0; burst < 400; burst++) {
		const bool long_ones = test_random(&rnd) % 2;

		for (i = 0; i < TX_BUFS; i++) {
			const uint32_t len = long_ones ? 65549 - test_random(&rnd) % 16
						       : 14 + test_random(&rnd) % 3000;

			if (burst >= 300 && test_random(&rnd) % 32 == 0) {
				guest_sends(&bad, 60, 70000);
			} else {
				make_frame(len, sent++);
				guest_sends(&plain, len, 16000);
			}
			if (burst < 300 || i != TX_BUFS / 2)
				continue;
			r.takes = test_random(&rnd) % 4; /* hardly any */
			while (unm_net_tx(r.n, 0) > 0)
				;
		}
		r.takes = UINT32_MAX;
		while (unm_net_tx(r.n, 0) > 0) /* before the buffers are used again */
			at = check_frames(at, &checked, touched);
		n_back += (uint32_t)guest_gets_back();
		check_buffers();
		if (burst == 299) /* until now the port has taken all at once, and none was bad */
			for (i = 0; i < sizeof(touched); i++)
				n_touched += touched[i];
	}
	assert_int_equal(checked, sent);
	assert_int_equal(n_back, 400 * TX_BUFS);
	assert_int_equal(n_touched, NET_WARM + 1);
}

/* What has been pointed to and not been taken when that is forbidden is sent as copies. */
static void
copies_from_now_on(void **state)
{
	uint32_t i, at, next;

	(void)state;
	net_rig_open(&r, 12, true, MODERN);
	for (i = 0; i < 4; i++) {
		make_frame(3000, i);
		guest_sends(&plain, 3000, 70000);
	}
	r.takes = 3;
	assert_int_equal(unm_net_tx(r.n, 0), 4);
	assert_true(points_at_guest(0, r.port_tx->head));
	assert_int_equal(guest_gets_back(), 1);
	at = r.port_tx->head;
	unm_net_set_direct(r.n, false);
	assert_false(points_at_guest(3, at));
	r.takes = UINT32_MAX;
	assert_int_equal(unm_net_tx(r.n, 0), 3);
	assert_false(points_at_guest(3, r.port_tx->head));
	assert_int_equal(guest_gets_back(), 3);
	for (i = 1; i < 4; i++, at = next) {
		make_frame(3000, i);
		assert_int_equal(net_rig_frame(&r, at, got, &next), 3012);
		assert_memory_equal(got + 12, frame, 3000);
	}
	assert_int_equal(at, r.port_tx->head);
}

/*
 * Frames wait in the guest's ring for a port that is full, or has room for less than the next one.
 * What a sync brings is looked at again at once; else the server sleeps until there is more room.
 */
static void
waits_for_room(void **state)
{
	const uint32_t lens[] = {60, 1400, 9000};
	uint32_t i, k;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		const uint32_t slots = (lens[i] + NET_BUF_SIZE - 1) / NET_BUF_SIZE;
		const uint32_t fits = (NET_SLOTS - 1) / slots;
		struct pollfd fds[NET_MAX_PAIRS + 3];
		struct nmport_d port = {.fd = 7};
		uint32_t sent = fits;

		net_rig_open(&r, 0, false, MODERN);
		r.n->port.ring[0].port = &port;
		make_frame(lens[i], i);
		r.takes = 0;
		for (k = 0; k < 64; k++)
			guest_sends(&plain, lens[i], 70000);
		assert_int_equal(unm_net_tx(r.n, 0), fits);
		assert_int_equal(guest_gets_back(), fits); /* so that there are more than fit */
		for (k = 0; k < fits; k++)
			guest_sends(&plain, lens[i], 70000);
		while (sent < 64 + fits) { /* a slot at a time, for @slots of them a frame */
			assert_int_equal(unm_net_tx(r.n, 0), 0);
			assert_true(unm_net_sleep_prepare(r.n));
			assert_int_equal(r.port_tx->cur, r.port_tx->tail);
			assert_int_equal(unm_net_fds(r.n, fds), 1);
			assert_true(fds[0].events & POLLOUT);
			unm_net_sleep_end(r.n);
			r.takes = 1;
			assert_int_equal(unm_net_tx(r.n, 0), 1);
			sent += unm_net_tx(r.n, 0);
		}
		assert_int_equal(sent, 64 + fits);
		r.takes = UINT32_MAX;
		assert_int_equal(unm_net_tx(r.n, 0), 0);
		assert_false(r.n->port.ring[0].tx_blocked);
		assert_int_equal(guest_gets_back(), 64);
		assert_int_equal(r.n->stats.tx_frames, 64 + fits);
		net_rig_close(&r);
	}
}

/* A port that is full when the link goes down: what the guest sends then is dropped, not kept. */
static void
drops_what_waits(void **state)
{
	unsigned int i;

	(void)state;
	net_rig_open(&r, 0, false, MODERN);
	make_frame(9000, 0);
	r.takes = 0;
	for (i = 0; i < 20; i++)
		guest_sends(&plain, 9000, 70000);
	assert_int_equal(unm_net_tx(r.n, 0), 12);
	assert_int_equal(unm_net_tx(r.n, 0), 0);
	assert_true(r.n->port.ring[0].tx_blocked);
	unm_net_set_link(r.n, false);
	assert_int_equal(unm_net_tx(r.n, 0), 8);
	assert_false(r.n->port.ring[0].tx_blocked);
	assert_int_equal(r.n->stats.tx_disabled, 8);
	assert_int_equal(guest_gets_back(), 20);
}

/*
 * A queue that stops while the port has not taken all: nothing refers to the guest any more, the
 * rest was not taken.
 */
static void
stops_half_way(void **state)
{
	const struct unm_vu_device_ops *ops;
	uint32_t i, at;

	(void)state;
	net_rig_open(&r, 12, true, MODERN);
	ops = unm_net_ops(r.n);
	make_frame(3000, 0);
	for (i = 0; i < 4; i++)
		guest_sends(&plain, 3000, 70000);
	r.takes = 5; /* the first frame, of three slots, and part of the second */
	assert_int_equal(unm_net_tx(r.n, 0), 4);
	assert_int_equal(guest_gets_back(), 1);
	ops->ring_stopped(r.n, 1);
	for (at = 5; at != r.port_tx->head; at++) {
		assert_int_equal(r.port_tx->slot[at].len, 0);
		assert_int_equal(r.port_tx->slot[at].flags, 0);
	}
	assert_int_equal(unm_vq_stop(r.tx.q), 1);
}

static void
drops_what_is_off(void **state)
{
	const struct unm_vu_device_ops *ops;
	unsigned int i;

	(void)state;
	net_rig_open(&r, 0, false, MODERN);
	ops = unm_net_ops(r.n);
	make_frame(60, 0);
	for (i = 0; i < 4; i++) {
		guest_sends(&plain, 60, 100);
		ops->ring_enabled(r.n, 1, i != 0);
		unm_net_set_link(r.n, i != 1);
		r.gone = i == 2;
		if (i == 2)
			unm_net_port_check(r.n);
		assert_int_equal(unm_net_work(r.n), 1);
		assert_int_equal(guest_gets_back(), 1);
		if (i == 2)
			r.n->port.lost = r.gone = false;
	}
	assert_int_equal(r.n->stats.tx_disabled, 3);
	assert_int_equal(r.n->stats.tx_frames, 1);
	ops->driver_ok(r.n, false);
	guest_sends(&plain, 60, 100);
	assert_int_equal(unm_net_work(r.n), 0);
	assert_int_equal(guest_gets_back(), 0);
}

/* A port that is lost, opened again and lost before anybody has looked is lost once more. */
static void
each_loss_is_told(void **state)
{
	char why[UNM_NET_WHY_SIZE];

	(void)state;
	net_rig_open(&r, 0, false, MODERN);
	assert_false(unm_net_is_lost_anew(r.n));
	r.n->port.lost = true;
	assert_true(unm_net_is_lost_anew(r.n));
	assert_false(unm_net_is_lost_anew(r.n));
	assert_int_equal(unm_net_reopen(r.n, why), 0);
	r.n->port.lost = true;
	assert_true(unm_net_is_lost_anew(r.n));
	assert_int_equal(unm_net_reopen(r.n, why), 0);
	assert_false(unm_net_is_lost_anew(r.n));
}

/* Frames without an end or a beginning. */
static void
drops_bad_frames(void **state)
{
	const struct vd_seg runt = {r.tx.buffers, 25}, none = {RIG_GPA + RIG_SIZE - 8192, 0};
	struct vd_seg huge[2];

	(void)state;
	net_rig_open(&r, 12, true, MODERN);
	huge[0] = (struct vd_seg){r.tx.buffers, 60000};
	huge[1] = huge[0];
	assert_int_equal(vd_add(&r.tx.vd, &(struct vd_seg){r.tx.buffers, runt.len}, 1, 0, 0), 0);
	assert_int_equal(vd_add(&r.tx.vd, &none, 1, 0, 1), 0);
	assert_int_equal(vd_add(&r.tx.vd, huge, 2, 0, 2), 0);
	vd_publish(&r.tx.vd);
	assert_int_equal(unm_net_tx(r.n, 0), 3);
	assert_int_equal(r.n->stats.tx_bad_frame, 3);
	assert_int_equal(r.port_tx->head, 0);
	assert_int_equal(guest_gets_back(), 3);
}

static const struct {
	const char *what;
	struct unm_vnet_hdr h;
	bool good;
} headers[] = {
	{"nothing", {0}, true},
	{"a checksum", {1, 0, 0, 0, 34, 16}, true},
	{"the last two bytes", {1, 0, 0, 0, 98, 0}, true},
	{"one byte too far", {1, 0, 0, 0, 98, 1}, false},
	{"starts behind the frame", {1, 0, 0, 0, 101, 0}, false},
	{"offset that wraps", {1, 0, 0, 0, 34, 0xfff0}, false},
	{"TCPv4", {1, UNM_VNET_GSO_TCPV4, 54, 1448, 34, 16}, true},
	{"TCPv4 with ECN", {1, UNM_VNET_GSO_TCPV4 | UNM_VNET_GSO_ECN, 54, 1448, 34, 16}, true},
	{"no size", {1, UNM_VNET_GSO_TCPV4, 54, 0, 34, 16}, false},
	{"no checksum", {0, UNM_VNET_GSO_TCPV4, 54, 1448, 34, 16}, false},
	{"TCPv6 in an IPv4 frame", {1, UNM_VNET_GSO_TCPV6, 54, 1448, 34, 16}, false},
	{"UDP segments", {1, UNM_VNET_GSO_UDP_L4, 42, 1000, 34, 6}, true},
	{"UDP segments with ECN", {1, UNM_VNET_GSO_UDP_L4 | UNM_VNET_GSO_ECN, 42, 1000, 34, 6},
		false},
	{"a type that was not offered", {1, UNM_VNET_GSO_UDP, 42, 1000, 34, 6}, false},
	{"a type that is none", {1, 2, 42, 1000, 34, 6}, false},
	{"ECN alone", {1, UNM_VNET_GSO_ECN, 42, 1000, 34, 6}, false},
	{"a length that is only a hint", {1, UNM_VNET_GSO_TCPV4, 65535, 1448, 34, 16}, true},
};

static void
checks_headers(void **state)
{
	const uint32_t n = sizeof(headers) / sizeof(headers[0]);
	uint32_t i, bad = 0, next;

	(void)state;
	net_rig_open(&r, 12, true, MODERN | ALL_OFFLOADS);
	for (i = 0; i < 2 * n; i++) {
		const uint32_t at = r.port_tx->head;

		unm_net_set_direct(r.n, i < n);
		make_frame(100, i);
		guest_sends(&headers[i % n].h, 100, 1000);
		assert_int_equal(unm_net_tx(r.n, 0), 1);
		assert_int_equal(guest_gets_back(), 1);
		bad += !headers[i % n].good;
		assert_int_equal(r.n->stats.tx_bad_header, bad);
		assert_int_equal(r.port_tx->head != at, headers[i % n].good);
		if (headers[i % n].good) {
			struct unm_vnet_hdr h;

			assert_int_equal(net_rig_frame(&r, at, got, &next), 112);
			memcpy(&h, got, sizeof(h));
			/* What was checked is a copy of ours. */
			assert_int_equal((r.port_tx->slot[at].flags & NS_INDIRECT) != 0,
				i < n && h.flags == 0 && h.gso_type == 0);
			assert_true(h.hdr_len <= 100);
			assert_int_equal(h.gso_type, headers[i % n].h.gso_type);
			assert_int_equal(h.csum_start, headers[i % n].h.csum_start);
		}
	}
	net_rig_close(&r);
	/* Nothing was offered where the port has no header. */
	net_rig_open(&r, 0, true, MODERN);
	make_frame(100, 0);
	guest_sends(&headers[1].h, 100, 1000);
	assert_int_equal(unm_net_tx(r.n, 0), 1);
	assert_int_equal(r.n->stats.tx_bad_header, 1);
}

/*
 * Any header: what passes has its checksum field in the frame, a size, a type that fits, and no
 * flag but the one.
 */
static void
any_header(void **state)
{
	uint8_t eth[64] = {0};
	uint32_t random = 99, i, passed = 0;

	(void)state;
	for (i = 0; i < 2000000; i++) {
		uint32_t words[4];
		struct unm_vnet_hdr h;
		const uint32_t len = 14 + test_random(&random) % 200;

		for (unsigned int k = 0; k < 4; k++)
			words[k] = test_random(&random);
		memcpy(&h, words, sizeof(h));
		if (i % 2 == 0) {
			h.gso_type &= 0x87;
			h.csum_start %= 256;
			h.csum_offset %= 64;
		}
		eth[12] = i % 3 ? 8 : 0x86;
		eth[13] = i % 3 ? 0 : 0xdd;
		if (!net_hdr_check(&h, eth, sizeof(eth), len))
			continue;
		passed++;
		assert_int_equal(h.flags & ~UNM_VNET_F_NEEDS_CSUM, 0);
		if (h.flags)
			assert_true(h.csum_start + h.csum_offset + 2u <= len);
		if (h.gso_type == 0)
			continue;
		assert_true(h.flags && h.gso_size > 0 && h.hdr_len <= len);
		if ((h.gso_type & 0x7f) == UNM_VNET_GSO_TCPV4)
			assert_true(i % 3);
		if ((h.gso_type & 0x7f) == UNM_VNET_GSO_TCPV6)
			assert_false(i % 3);
	}
	assert_true(passed > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_all_shapes),
		cmocka_unit_test_teardown(sends_a_burst, teardown),
		cmocka_unit_test_teardown(copies_from_warm_buffers, teardown),
		cmocka_unit_test_teardown(copies_from_now_on, teardown),
		cmocka_unit_test(waits_for_room),
		cmocka_unit_test_teardown(drops_what_waits, teardown),
		cmocka_unit_test_teardown(stops_half_way, teardown),
		cmocka_unit_test_teardown(drops_what_is_off, teardown),
		cmocka_unit_test_teardown(drops_bad_frames, teardown),
		cmocka_unit_test_teardown(checks_headers, teardown),
		cmocka_unit_test(any_header),
		cmocka_unit_test_teardown(each_loss_is_told, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
