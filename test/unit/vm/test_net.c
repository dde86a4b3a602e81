/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-net device between a guest and a port that the test plays: frames of all shapes both
 * ways, hostile headers, ports that are full or gone, guests without buffers, queues that are off,
 * stops in the middle.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "net_rig.h"
#include "support/test_random.h"
#include "vale/vnet.h"
#include "vm/net_hdr.h"

#define MODERN (UNM_F_VERSION_1 | UNM_F_MRG_RXBUF | UNM_F_EVENT_IDX | UNM_F_INDIRECT_DESC)
#define ALL_OFFLOADS                                                                               \
	(UNM_F_CSUM | UNM_F_GUEST_CSUM | UNM_F_GUEST_TSO4 | UNM_F_GUEST_TSO6 | UNM_F_GUEST_ECN |   \
		UNM_F_HOST_TSO4)

#define TX_BUFS 12u   /* of the guest, 128 KiB each */
#define NET_BIG 1024u /* slots of a ring that is large enough for warm buffers */

static struct net_rig r;
static uint8_t frame[70000], got[70100];
static uint64_t token;
static uint32_t posted; /* bytes of the guest's buffers in use, before they are used again */

static int
teardown(void **state)
{
	(void)state;
	net_rig_close(&r);
	return 0;
}

/* An Ethernet frame of @len bytes, IPv4, that says @seed. */
static void
make_frame(uint32_t len, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + seed + (i >> 8));
	frame[12] = 8;
	frame[13] = 0;
}

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
		cmocka_unit_test(receives_all_shapes),
		cmocka_unit_test_teardown(waits_for_buffers, teardown),
		cmocka_unit_test_teardown(starved_and_unplugged, teardown),
		cmocka_unit_test_teardown(too_small, teardown),
		cmocka_unit_test_teardown(unfinished, teardown),
		cmocka_unit_test(whole_or_not_at_all),
		cmocka_unit_test_teardown(not_agreed, teardown),
		cmocka_unit_test_teardown(each_loss_is_told, teardown),
		cmocka_unit_test_teardown(logs_buffers, teardown),
		cmocka_unit_test_teardown(from_a_sink, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
