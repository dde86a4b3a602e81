/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-net device from a port that the test plays to a guest: frames of all shapes, guests
 * without buffers, or with buffers that are too small, parts of frames, pages logged, and the way
 * from a neighbour without a ring in between.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "net_case.h"
#include "support/test_random.h"
#include "vale/vnet.h"

static uint32_t posted; /* bytes of the guest's buffers in use, before they are used again */

/* The guest posts @n buffers of @len bytes, in two segments each if @split. */
static void
guest_posts(unsigned int n, uint32_t len, bool split)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		const uint64_t at = r.rx.buffers + posted;
		const struct vd_seg seg[2] = {{at, 5}, {at + 5, len - 5}};
		const struct vd_seg whole = {at, len};

		assert_int_equal(vd_add(&r.rx.vd, split ? seg : &whole, 0, split ? 2 : 1, at), 0);
		posted = posted + 2 * len < 3000000 ? posted + len : 0;
	}
	vd_publish(&r.rx.vd);
}

/*
 * The next frame that the guest has got: header to @hdr, the rest to got[]. Return: its length, 0:
 * none.
 */
static uint32_t
guest_receives(uint8_t *hdr)
{
	struct vd_used used;
	uint32_t len = 0, left;

	if (vd_get(&r.rx.vd, &used, 1) != 1)
		return 0;
	memcpy(hdr, rig_ptr(&r.rx, used.token), 12);
	left = hdr[10] | (uint32_t)hdr[11] << 8;
	assert_true(left > 0);
	memcpy(got, rig_ptr(&r.rx, used.token) + 12, used.len - 12);
	len = used.len - 12;
	while (--left > 0) {
		assert_int_equal(vd_get(&r.rx.vd, &used, 1), 1);
		memcpy(got + len, rig_ptr(&r.rx, used.token), used.len);
		len += used.len;
	}
	return len;
}

/* Frames @lens from the port to a guest with buffers of this size. */
static void
receives(uint32_t hdr_len, uint32_t buf_len, uint32_t part, bool split, uint64_t features)
{
	const uint32_t lens[] = {14, 60, 1514, 2000, 9000, 65000};
	uint8_t in[70100] = {0}, hdr[12];
	uint32_t i;

	net_rig_open(&r, hdr_len, true, features);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		if (!(features & UNM_F_MRG_RXBUF) && lens[i] + 12 > buf_len)
			continue;
		if ((lens[i] + hdr_len) / part > 60 || (lens[i] + 12) / buf_len > 25)
			continue;
		make_frame(lens[i], i);
		memcpy(in + hdr_len, frame, lens[i]);
		net_rig_receive(&r, in, hdr_len + lens[i], part);
		guest_posts((lens[i] + 12) / buf_len + 1, buf_len, split);
		assert_int_equal(unm_net_rx(r.n, 0), 1);
		assert_int_equal(guest_receives(hdr), lens[i]);
		assert_memory_equal(got, frame, lens[i]);
		assert_memory_equal(hdr, "\0\0\0\0\0\0\0\0\0\0", 10);
		assert_int_equal(r.port_rx->head, r.port_rx->tail);
	}
	assert_null(r.rx.vd.fault);
	net_rig_close(&r);
}

static void
receives_all_shapes(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 16; i++) {
		const uint32_t hdr_len = i & 1 ? 12 : 0, part = i & 2 ? 2048 : 1100;

		receives(hdr_len, i & 8 ? 1526 : 66000, part, i & 4, MODERN);
		receives(hdr_len, 66000, part, i & 4, MODERN & ~UNM_F_MRG_RXBUF);
	}
}

static void
waits_for_buffers(void **state)
{
	uint8_t in[3000] = {0}, hdr[12];

	(void)state;
	net_rig_open(&r, 12, true, MODERN);
	make_frame(2500, 1);
	memcpy(in + 12, frame, 2500);
	net_rig_receive(&r, in, 2512, 2048);
	assert_int_equal(unm_net_rx(r.n, 0), 0);
	assert_true(r.n->rx[0].starved);
	assert_false(unm_vq_kicks_on(r.rx.q));
	guest_posts(1, 1000, false); /* not enough; none of it is used yet */
	assert_int_equal(unm_net_rx(r.n, 0), 0);
	assert_true(r.n->rx[0].starved);
	assert_false(unm_vq_kicks_on(r.rx.q));
	assert_int_equal(guest_receives(hdr), 0);
	guest_posts(2, 1000, false);
	assert_true(unm_vq_kicks_on(r.rx.q));
	assert_int_equal(unm_net_rx(r.n, 0), 1);
	assert_int_equal(guest_receives(hdr), 2500);
	assert_int_equal(hdr[10], 3);
	assert_memory_equal(got, frame, 988);
	assert_false(r.n->rx[0].starved);
}

/* A guest without buffers whose cable is pulled, and which posts some then: nobody waits for these, so the loop sleeps. */
static void
starved_and_unplugged(void **state)
{
	uint8_t in[1526] = {0};

	(void)state;
	net_rig_open(&r, 12, true, MODERN);
	make_frame(1514, 1);
	memcpy(in + 12, frame, 1514);
	net_rig_receive(&r, in, 1526, 2048);
	assert_int_equal(unm_net_rx(r.n, 0), 0);
	assert_true(r.n->rx[0].starved);
	unm_net_set_link(r.n, false);
	guest_posts(4, 2000, false);
	assert_int_equal(unm_net_work(r.n), 0);
	assert_true(unm_net_sleep_prepare(r.n));
	unm_net_sleep_end(r.n);
	unm_net_set_link(r.n, true);
	net_rig_receive(&r, in, 1526, 2048);
	assert_int_equal(unm_net_rx(r.n, 0), 1);
}

/* Without mergeable buffers, a buffer that is too small costs the frame, not the buffer. */
static void
too_small(void **state)
{
	uint8_t in[3000] = {0}, hdr[12];

	(void)state;
	net_rig_open(&r, 12, true, MODERN & ~UNM_F_MRG_RXBUF);
	guest_posts(1, 1526, false);
	net_rig_receive(&r, in, 2512, 2048);
	make_frame(1514, 1);
	memcpy(in + 12, frame, 1514);
	net_rig_receive(&r, in, 1526, 2048);
	assert_int_equal(unm_net_rx(r.n, 0), 2);
	assert_int_equal(r.n->stats.rx_no_buffer, 1);
	assert_int_equal(guest_receives(hdr), 1514);
	assert_memory_equal(got, frame, 1514);
}

/*
 * The part of a frame that an isolated client's broker has copied so far waits for the rest; a
 * runt, and one without an end, are dropped.
 */
static void
unfinished(void **state)
{
	uint8_t in[2100] = {0}, hdr[12];
	uint32_t i;

	(void)state;
	net_rig_open(&r, 0, false, MODERN);
	guest_posts(8, 4000, false);
	net_rig_receive(&r, in, 1000, 1000);
	r.port_rx->slot[0].flags = NS_MOREFRAG;
	assert_int_equal(unm_net_rx(r.n, 0), 0);
	assert_int_equal(r.port_rx->cur, r.port_rx->tail); /* so that poll waits for more */
	assert_int_equal(r.port_rx->head, 0);
	assert_int_equal(unm_net_rx(r.n, 0), 0);
	net_rig_receive(&r, in, 500, 500);
	assert_int_equal(unm_net_rx(r.n, 0), 1);
	assert_int_equal(guest_receives(hdr), 1500);
	net_rig_receive(&r, in, 13, 13);
	assert_int_equal(unm_net_rx(r.n, 0), 1);
	assert_int_equal(r.n->stats.rx_bad_header, 1);
	for (i = 0; i < NET_RX_SLOTS - 1; i++) {
		net_rig_receive(&r, in, 20, 20);
		r.port_rx->slot[(3 + i) % NET_RX_SLOTS].flags = NS_MOREFRAG;
	}
	unm_net_rx(r.n, 0);
	assert_int_equal(r.n->stats.rx_bad_header, 2);
	assert_int_equal(r.port_rx->head, r.port_rx->tail);
}

static const struct {
	const char *what;
	uint32_t slots, len; /* so many of that length */
	uint32_t odd_len;    /* of the slot in the middle */
	bool no_buf;	     /* the slot in the middle names none of ours */
	bool good;
} chains[] = {
	{"as many slots as a frame may have", NET_RX_PARTS, 100, 100, false, true},
	{"one more", NET_RX_PARTS + 1, 100, 100, false, false},
	{"nearly a ring", NET_RX_SLOTS - 2, 100, 100, false, false},
	{"a slot that is longer than its buffer", 20, 100, NET_BUF_SIZE + 1, false, false},
	{"a slot without a buffer", 20, 100, 100, true, false},
	{"an empty slot", 20, 100, 0, false, false},
	{"the longest frame", 33, 2000, NET_MAX_FRAME - 64000, false, true},
	{"a byte more", 33, 2000, NET_MAX_FRAME - 63999, false, false},
	{"much more", 40, 2000, 2000, false, false},
};

/* A frame of many slots comes whole or not at all, and the next one comes. */
static void
whole_or_not_at_all(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		const uint32_t n = chains[i].slots, odd = n / 2, odd_len = chains[i].odd_len;
		const uint32_t len = (n - 1) * chains[i].len + odd_len;
		static uint8_t in[NET_RX_SLOTS * NET_BUF_SIZE];
		struct netmap_slot *slot;
		uint8_t hdr[12];

		net_rig_open(&r, 0, false, MODERN);
		guest_posts(40, 4000, false);
		make_frame(n * chains[i].len < 70000 ? n * chains[i].len : 70000, i);
		memcpy(in, frame, sizeof(frame));
		net_rig_receive(&r, in, n * chains[i].len, chains[i].len);
		slot = &r.port_rx->slot[odd];
		slot->len = (uint16_t)odd_len;
		if (chains[i].no_buf)
			slot->buf_idx = NET_BUFS;
		net_rig_receive(&r, in, 60, 60);
		assert_int_equal(unm_net_rx(r.n, 0), 2);
		assert_int_equal(r.port_rx->head, r.port_rx->tail);
		assert_int_equal(r.n->stats.rx_bad_header, !chains[i].good);
		assert_int_equal(r.n->stats.rx_bytes, 60 + (chains[i].good ? len : 0));
		if (chains[i].good) {
			const uint32_t ofs = odd * chains[i].len;

			assert_int_equal(guest_receives(hdr), len);
			assert_memory_equal(got, frame, ofs);
			assert_memory_equal(got + ofs + odd_len, frame + ofs + chains[i].len,
				len - ofs - odd_len);
		}
		assert_int_equal(guest_receives(hdr), 60);
		net_rig_close(&r);
	}
}

static const struct {
	uint64_t features;
	uint8_t flags, gso_type;
	uint8_t ethertype[2];
	bool good;
} agreed[] = {
	{0, UNM_VNET_F_NEEDS_CSUM, 0, {8, 0}, false},
	{UNM_F_GUEST_CSUM, UNM_VNET_F_NEEDS_CSUM, 0, {8, 0}, true},
	{UNM_F_GUEST_CSUM, UNM_VNET_F_DATA_VALID, 0, {8, 0}, true},
	{UNM_F_GUEST_CSUM | UNM_F_GUEST_TSO6, 1, UNM_VNET_GSO_TCPV4, {8, 0}, false},
	{UNM_F_GUEST_CSUM | UNM_F_GUEST_TSO4, 1, UNM_VNET_GSO_TCPV4, {8, 0}, true},
	{UNM_F_GUEST_CSUM | UNM_F_GUEST_TSO4, 1, UNM_VNET_GSO_TCPV4 | UNM_VNET_GSO_ECN, {8, 0},
		false},
	{UNM_F_GUEST_CSUM | UNM_F_GUEST_TSO4 | UNM_F_GUEST_ECN, 1,
		UNM_VNET_GSO_TCPV4 | UNM_VNET_GSO_ECN, {8, 0}, true},
	{UNM_F_GUEST_CSUM | UNM_F_GUEST_USO4, 1, UNM_VNET_GSO_UDP_L4, {8, 0}, true},
	{UNM_F_GUEST_CSUM | UNM_F_GUEST_USO4, 1, UNM_VNET_GSO_UDP_L4, {0x86, 0xdd}, false},
	{UNM_F_GUEST_CSUM | UNM_F_GUEST_USO6, 1, UNM_VNET_GSO_UDP_L4, {0x86, 0xdd}, true},
	{ALL_OFFLOADS, 1, UNM_VNET_GSO_UDP, {8, 0}, false},
	{ALL_OFFLOADS, 1, 99, {8, 0}, false},
};

/* A header that this guest did not agree to is not shown to it, whatever the switch was told. */
static void
not_agreed(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(agreed) / sizeof(agreed[0]); i++) {
		uint8_t in[112] = {0, 0, 0, 0, 64, 0, 34, 0, 16}, hdr[12];

		in[0] = agreed[i].flags;
		in[1] = agreed[i].gso_type;
		memcpy(in + 12 + 12, agreed[i].ethertype, 2);
		net_rig_open(&r, 12, true, MODERN | agreed[i].features);
		guest_posts(2, 2000, false);
		net_rig_receive(&r, in, sizeof(in), 2048);
		assert_int_equal(unm_net_rx(r.n, 0), 1);
		assert_int_equal(r.n->stats.rx_bad_header, !agreed[i].good);
		assert_int_equal(guest_receives(hdr), agreed[i].good ? 100 : 0);
		if (agreed[i].good)
			assert_memory_equal(hdr, in, 10);
		net_rig_close(&r);
	}
	net_rig_open(&r, 12, true, MODERN);
}

static bool
is_logged(uint64_t gpa)
{
	const uint64_t page = gpa >> UNM_GUEST_PAGE_SHIFT;

	return r.rx.log[page / 8] >> (page % 8) & 1;
}

/* What is written into the guest is noted page by page. */
static void
logs_buffers(void **state)
{
	static uint8_t in[12012];
	struct vd_used used;
	unsigned int i;

	(void)state;
	net_rig_open(&r, 12, true, MODERN);
	guest_posts(3, 8192, false);
	memset(r.rx.log, 0, RIG_LOG);
	net_rig_receive(&r, in, sizeof(in), 2048);
	assert_int_equal(unm_net_rx(r.n, 0), 1);
	for (i = 0; i < 2; i++) {
		assert_int_equal(vd_get(&r.rx.vd, &used, 1), 1);
		assert_true(is_logged(used.token));
		assert_true(is_logged(used.token + used.len - 1));
	}
	assert_false(is_logged(used.token + 8191 + 8192)); /* the third one was not used */
}

/* A sink's packets, and order: what it does not take is left to the ring. */
static void
from_a_sink(void **state)
{
	uint8_t hdr[12] = {0}, out[12];
	struct unetmap_part parts[2][2];
	struct unetmap_packet p[2];
	unsigned int i;

	(void)state;
	net_rig_open(&r, 12, true, MODERN);
	make_frame(1514, 3);
	for (i = 0; i < 2; i++) {
		parts[i][0] = (struct unetmap_part){hdr, 12};
		parts[i][1] = (struct unetmap_part){frame, 1514};
		p[i] = (struct unetmap_packet){parts[i], 2, 1526};
	}
	assert_int_equal(unm_net_sink(&r.n->port.ring[0], p, 2), 0);
	guest_posts(1, 1600, false);
	assert_int_equal(unm_net_sink(&r.n->port.ring[0], p, 2), 1);
	assert_int_equal(guest_receives(out), 1514);
	assert_memory_equal(got, frame, 1514);
	assert_int_equal(r.n->stats.rx_direct, 1);
	unm_net_set_link(r.n, false);
	guest_posts(1, 1600, false);
	assert_int_equal(unm_net_sink(&r.n->port.ring[0], p, 2), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receives_all_shapes),
		cmocka_unit_test_teardown(waits_for_buffers, teardown),
		cmocka_unit_test_teardown(starved_and_unplugged, teardown),
		cmocka_unit_test_teardown(too_small, teardown),
		cmocka_unit_test_teardown(unfinished, teardown),
		cmocka_unit_test(whole_or_not_at_all),
		cmocka_unit_test_teardown(not_agreed, teardown),
		cmocka_unit_test_teardown(logs_buffers, teardown),
		cmocka_unit_test_teardown(from_a_sink, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
