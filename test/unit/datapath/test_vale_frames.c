/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VALE and the shape of frames: several slots, ports with buffers of different sizes, offsets, payload at an address of
 * the sender (NS_INDIRECT), virtio-net headers of different lengths (spec 9, 10.6, 16.3, 16.4, 17).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "port/trusted.h"
#include "ring/kring.h"
#include "vale/vnet.h"
#include "vale_rig.h"

static struct vale_rig v;
static uint8_t frame[70000], got[140000];

static int
teardown(void **state)
{
	(void)state;
	vale_rig_free(&v);
	return 0;
}

/* Two ports, 0 and 1, with @slots slots and buffers of the given sizes. */
static void
two_ports(uint32_t slots, uint32_t size_0, uint32_t size_1)
{
	vale_rig_init(&v, 10);
	vale_rig_add(&v,
		(struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = slots, .buf_size = size_0});
	vale_rig_add(&v,
		(struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = slots, .buf_size = size_1});
	vale_rig_teach(&v);
}

/* A frame from 0 to 1 in frame[], with a virtio-net header of @hdr_len bytes 1, 2, 3... in front. */
static void
make_frame(uint32_t hdr_len, uint32_t len, uint64_t seq)
{
	uint32_t i;

	for (i = 0; i < hdr_len; i++)
		frame[i] = (uint8_t)(i < 2 ? 0 : i); /* no offload asked for */
	traffic_fill(frame + hdr_len, len, 1, 0, 0, seq);
}

/* Send frame[0 ... len) in slots of at most @part bytes. */
static void
send_parts(uint32_t len, uint32_t part)
{
	uint32_t at;

	for (at = 0; at < len; at += part) {
		const uint32_t n = len - at < part ? len - at : part;

		ring_send(vale_tx(&v, 0), frame + at, n, at + n < len ? NS_MOREFRAG : 0);
	}
}

/*
 * One frame from port 1's ring into got[]; its flags have to agree with its slots, and all slots but the last to be
 * full. Return: its length.
 */
static uint32_t
receive(uint32_t cap)
{
	struct unm_bring *r = vale_rx(&v, 1);
	uint32_t len = 0, n = 0, first, i;

	assert_int_equal(unm_bport_rxsync(v.port[1]), 0);
	first = r->ring->head;
	for (;;) {
		const struct netmap_slot *s = &r->ring->slot[r->ring->head];

		assert_true(ring_space(r) > 0);
		memcpy(got + len, ring_buf(r, r->ring->head), s->len);
		len += s->len;
		n++;
		ring_advance(r, 1);
		if (!(s->flags & NS_MOREFRAG))
			break;
		assert_int_equal(s->len, cap);
	}
	for (i = first; i != r->ring->head; i = unm_pos_next(i, r->num_slots))
		assert_int_equal(NS_RFRAGS(&r->ring->slot[i]), n > 255 ? 255 : n);
	assert_int_equal(unm_bport_rxsync(v.port[1]), 0);
	return len;
}

/* All combinations of buffer sizes, frame lengths and ways to cut them. */
static void
fragments(void **state)
{
	static const uint32_t sizes[] = {64, 256, 2048, 65536};
	static const uint32_t lens[] = {
		60, 64, 65, 256, 257, 1514, 2048, 2049, 9000, 60000, 65535, 65536, 70000};
	static const uint32_t parts[] = {33, 64, 255, 2000, 65535};
	size_t a, b, l, p;

	(void)state;
	for (a = 0; a < 4; a++)
		for (b = 0; b < 4; b++) {
			two_ports(4096, sizes[a], sizes[b]);
			for (l = 0; l < sizeof(lens) / sizeof(lens[0]); l++)
				for (p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
					const uint32_t cap = sizes[b] == 65536 ? 65535 : sizes[b];
					const uint32_t len = lens[l];

					if (parts[p] > sizes[a] || len / parts[p] > 4000)
						continue;
					make_frame(0, len, l * 100 + p);
					send_parts(len, parts[p]);
					vale_txsync(&v, 0);
					assert_true(vale_all_drops(&v, 0) == 0);
					assert_int_equal(receive(cap), len);
					assert_memory_equal(got, frame, len);
				}
			assert_int_equal(vale_pending(&v, 1), 0);
			teardown(NULL);
		}
}

/* A frame that needs more slots than the receiver's ring has is dropped at once; one that just fits is not. */
static void
longer_than_the_ring(void **state)
{
	(void)state;
	two_ports(8, 2048, 64);
	make_frame(0, 7 * 64, 1);
	send_parts(7 * 64, 2048);
	vale_txsync(&v, 0);
	assert_int_equal(receive(64), 7 * 64);
	make_frame(0, 7 * 64 + 1, 1);
	send_parts(7 * 64 + 1, 2048);
	vale_txsync(&v, 0);
	assert_int_equal(vale_pending(&v, 1), 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_TOO_LONG) == 1);
	make_frame(0, 3 * 64, 2); /* whole packets only: 4 slots are in use, 3 needed, then 2 */
	send_parts(4 * 64, 2048);
	make_frame(0, 4 * 64, 3);
	send_parts(4 * 64, 2048);
	make_frame(0, 2 * 64, 4);
	send_parts(2 * 64, 2048);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_RX_FULL) == 1);
	assert_int_equal(vale_pending(&v, 1), 6);
}

/* The last slot before head ends a frame, whatever its flag says. */
static void
unfinished(void **state)
{
	(void)state;
	two_ports(16, 2048, 2048);
	make_frame(0, 100, 1);
	ring_send(vale_tx(&v, 0), frame, 50, NS_MOREFRAG);
	ring_send(vale_tx(&v, 0), frame + 50, 50, NS_MOREFRAG);
	vale_txsync(&v, 0);
	assert_int_equal(ring_space(vale_tx(&v, 0)), 15);
	assert_int_equal(receive(2048), 100);
	assert_memory_equal(got, frame, 100);
}

/* Slots that hold nothing: an explicit length of 0, a length above the buffer, a bad index (spec 16.4). */
static void
empty_slots(void **state)
{
	static const struct {
		uint32_t len, idx;
		enum unm_drop reason;
	} cases[] = {
		{0, 0, UNM_DROP_N},
		{2049, 0, UNM_DROP_TOO_LONG},
		{60, 1, UNM_DROP_BAD_SLOT},
		{60, UINT32_MAX, UNM_DROP_BAD_SLOT},
	};
	size_t i;
	uint32_t at;

	(void)state;
	two_ports(16, 2048, 2048);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (at = 0; at < 3; at++) { /* before, between and after two good ones */
			struct unm_bring *r = vale_tx(&v, 0);
			const enum unm_drop reason = cases[i].reason;
			uint32_t k, good = 0;
			uint64_t before = vale_all_drops(&v, 0);

			make_frame(0, 100, 1);
			for (k = 0; k < 3; k++) {
				struct netmap_slot *s = &r->ring->slot[r->ring->head];

				if (k == at) {
					const uint32_t idx = s->buf_idx;

					s->len = (uint16_t)cases[i].len;
					s->flags = k < 2 ? NS_MOREFRAG : 0;
					if (cases[i].idx != 0)
						s->buf_idx = cases[i].idx;
					ring_advance(r, 1);
					good = idx;
				} else {
					ring_send(r, frame + (k - (k > at)) * 50, 50,
						k < 2 ? NS_MOREFRAG : 0);
				}
			}
			vale_txsync(&v, 0);
			r->ring->slot[unm_pos_add(r->ring->head, 16 - 3 + at, 16)].buf_idx = good;
			assert_int_equal(receive(2048), 100);
			assert_memory_equal(got, frame, 100);
			assert_true(vale_all_drops(&v, 0) == before + (reason != UNM_DROP_N));
		}
	assert_true(vale_drops(&v, 0, UNM_DROP_TOO_LONG) == 3);
	assert_true(vale_drops(&v, 0, UNM_DROP_BAD_SLOT) == 6);
}

/* The Ethernet header has to lie in one piece behind the virtio-net header (spec 16.3). */
static void
header_places(void **state)
{
	static const struct {
		uint32_t hdr_len, first, second;
		bool ok;
	} cases[] = {
		{0, 14, 86, true},
		{0, 13, 87, false},
		{12, 12, 100, true}, /* exactly the header, then the frame */
		{12, 26, 86, true},
		{12, 25, 87, false},
		{12, 11, 101, false},
		{10, 10, 100, true},
		{10, 12, 98, false},
		{12, 12, 13, false}, /* nothing that is a frame behind it */
		{12, 12, 0, false},
		{12, 25, 0, false},
		{12, 26, 0, true},
		{0, 14, 0, true},
		{0, 13, 0, false},
		{0, 1, 0, false},
	};
	uint64_t n_runts = 0;
	size_t i;

	(void)state;
	two_ports(16, 2048, 2048);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint32_t hdr_len = cases[i].hdr_len;

		v.d->seg.ports[0].vnet_hdr_len = v.d->seg.ports[1].vnet_hdr_len = hdr_len;
		v.d->seg.hdr->epoch++;
		make_frame(hdr_len, 100, 1);
		ring_send(vale_tx(&v, 0), frame, cases[i].first, cases[i].second ? NS_MOREFRAG : 0);
		if (cases[i].second)
			ring_send(vale_tx(&v, 0), frame + cases[i].first, cases[i].second, 0);
		vale_txsync(&v, 0);
		n_runts += !cases[i].ok;
		assert_true(vale_drops(&v, 0, UNM_DROP_RUNT) == n_runts);
		if (cases[i].ok) {
			assert_int_equal(receive(2048), cases[i].first + cases[i].second);
			assert_memory_equal(got, frame, cases[i].first + cases[i].second);
		}
		assert_int_equal(vale_pending(&v, 1), 0);
	}
}

/* Every pair of header lengths, in one slot and in several (spec 17). */
static void
vnet_lengths(void **state)
{
	static const uint32_t lens[] = {0, 10, 12};
	size_t in, out, part;

	(void)state;
	for (in = 0; in < 3; in++)
		for (out = 0; out < 3; out++)
			for (part = 0; part < 2; part++) {
				uint8_t want[12] = {0};
				uint32_t i, n;

				vale_rig_init(&v, 200);
				vale_rig_add(&v, (struct fake_geometry){.n_tx = 1,
							 .n_rx = 1,
							 .slots = 16,
							 .hdr_len = lens[in]});
				vale_rig_add(&v, (struct fake_geometry){.n_tx = 1,
							 .n_rx = 1,
							 .slots = 16,
							 .hdr_len = lens[out]});
				vale_rig_teach(&v);
				make_frame(lens[in], 200, 7);
				for (i = 2; i < 12 && in > 0; i++)
					if (in == out ? i < lens[in] : i < 10)
						want[i] = (uint8_t)i;
				send_parts(lens[in] + 200, part ? 50 : 2048);
				vale_txsync(&v, 0);
				n = receive(2048);
				assert_int_equal(n, lens[out] + 200);
				assert_memory_equal(got, want, lens[out]);
				assert_memory_equal(got + lens[out], frame + lens[in], 200);
				teardown(NULL);
			}
}

/* A header that means nothing to us goes nowhere, not even to a port that would keep it: a guest may be behind it. */
static void
vnet_bad_header(void **state)
{
	static const uint32_t lens[] = {0, 10, 12};
	size_t i;

	(void)state;
	vale_rig_init(&v, 200);
	vale_rig_add(&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = 16, .hdr_len = 12});
	vale_rig_add(&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = 16});
	vale_rig_teach(&v);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		v.d->seg.ports[1].vnet_hdr_len = lens[i];
		v.d->seg.hdr->epoch++;
		make_frame(12, 200, 7);
		frame[1] = 0x7f; /* no such gso_type */
		send_parts(212, 2048);
		vale_txsync(&v, 0);
		assert_int_equal(vale_pending(&v, 1), 0);
		assert_true(vale_drops(&v, 0, UNM_DROP_OFFLOAD) == i + 1);
	}
}

/* Whatever stands in the receiver's entry as a header length: no memory of ours gets into the frame. */
static void
vnet_garbage(void **state)
{
	static const uint32_t lens[] = {13, 64, 2048, 65536, UINT32_MAX};
	size_t i;

	(void)state;
	two_ports(16, 2048, 2048);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		v.d->seg.ports[1].vnet_hdr_len = lens[i];
		v.d->seg.hdr->epoch++;
		make_frame(0, 100, 1);
		send_parts(100, 2048);
		vale_txsync(&v, 0);
		assert_int_equal(vale_pending(&v, 1), 0);
		assert_true(vale_drops(&v, 0, UNM_DROP_UNMAPPED) == i + 1);
	}
	v.d->seg.ports[1].vnet_hdr_len = 0;
	v.d->seg.hdr->epoch++;
	send_parts(100, 2048);
	vale_txsync(&v, 0);
	assert_int_equal(receive(2048), 100);
}

/* Offsets of the sender's slots: where the payload is read. One that leaves the buffer makes the slot a bad one. */
static void
tx_offsets(void **state)
{
	static const uint32_t offsets[] = {0, 1, 63, 64, 128, 1948, 1949, 2048, 0xffff};
	struct unm_bring *r;
	size_t i;

	(void)state;
	two_ports(16, 2048, 2048);
	fake_port_set_offsets(v.d, 0, 16, 2048, 0);
	r = vale_tx(&v, 0);
	for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct netmap_slot *s = &r->ring->slot[r->ring->head];
		const bool ok = offsets[i] <= 2048 - 100;

		make_frame(0, 100, i);
		if (ok)
			memcpy(ring_buf(r, r->ring->head) + offsets[i], frame, 100);
		s->ptr = 0xabcd0000 | offsets[i];
		s->len = 100;
		s->flags = 0;
		ring_advance(r, 1);
		vale_txsync(&v, 0);
		assert_int_equal(vale_pending(&v, 1), ok);
		if (ok) {
			assert_int_equal(receive(2048), 100);
			assert_memory_equal(got, frame, 100);
		}
	}
	assert_true(vale_drops(&v, 0, UNM_DROP_BAD_SLOT) == 3);
}

/*
 * Offsets of the receiver's slots: where the payload is put, at most at the maximum, and then the slot says so; never
 * more than the gap is written.
 */
static void
rx_offsets(void **state)
{
	static const struct {
		uint32_t offset, max, gap, len;
		uint32_t at, slots; /* where the first slot's payload is, and how many slots */
	} cases[] = {
		{0, 256, 0, 100, 0, 1},
		{64, 256, 0, 60, 64, 1},
		{256, 256, 0, 1792, 256, 1},
		{0, 256, 0, 1793, 0, 2}, /* usable: 2048 - max */
		{0xffff, 256, 0, 100, 256, 1},
		{64, 256, 32, 60, 64, 2}, /* the gap */
		{64, 256, 48, 48, 64, 1},
		{0, UINT32_MAX, 0, 60, 0, 1}, /* nonsense in the shared word */
		{0xffff, UINT32_MAX, 0, 60, 1984, 1},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct unm_bring *r;
		struct netmap_slot *s;
		uint32_t first, end, k;

		two_ports(16, 2048, 2048);
		fake_port_set_offsets(v.d, 1, 16, cases[i].max, cases[i].gap);
		r = vale_rx(&v, 1);
		for (k = 0; k < 16; k++) {
			memset(ring_buf(r, k), 0xee, 2048);
			r->ring->slot[k].ptr = 0x70000 | cases[i].offset;
		}
		make_frame(0, cases[i].len, i);
		send_parts(cases[i].len, 2048);
		vale_txsync(&v, 0);
		assert_int_equal(vale_pending(&v, 1), cases[i].slots);
		s = &r->ring->slot[0];
		assert_true(s->ptr == (0x70000 | cases[i].at));
		first = s->len;
		assert_memory_equal(ring_buf(r, 0) + cases[i].at, frame, first);
		end = cases[i].at + (cases[i].gap ? cases[i].gap : first);
		for (k = 0; k < cases[i].at; k++)
			assert_int_equal(ring_buf(r, 0)[k], 0xee);
		if (cases[i].gap)
			for (k = end; k < 2048; k++)
				assert_int_equal(ring_buf(r, 0)[k], 0xee);
		teardown(NULL);
	}
}

/*
 * Ports with one memory: a sender names the receiver's buffer, the frame being elsewhere in it. That is his fault, and
 * still is a copy with a defined result.
 */
static void
own_bytes(void **state)
{
	struct unm_bring *r;
	uint32_t offset;

	(void)state;
	vale_rig_simple(&v, 2, 16);
	vale_rig_teach(&v);
	fake_port_set_offsets(v.d, 0, 16, RIG_BUF_SIZE, 0);
	r = vale_tx(&v, 0);
	for (offset = 0; offset <= 128; offset += 32) {
		struct netmap_slot *s = &r->ring->slot[r->ring->head];
		const struct unm_bring *rx = vale_rx(&v, 1);

		make_frame(0, 156, offset);
		memcpy(ring_buf(rx, rx->ring->head) + offset, frame, 156);
		s->buf_idx = rx->ring->slot[rx->ring->head].buf_idx;
		s->ptr = offset;
		s->len = 156;
		s->flags = 0;
		ring_advance(r, 1);
		vale_txsync(&v, 0);
		assert_int_equal(receive(RIG_BUF_SIZE), 156);
		assert_memory_equal(got, frame, 156);
	}
}

static uint32_t
send_indirect(const void *data, uint32_t len, uint16_t flags)
{
	struct unm_bring *r = vale_tx(&v, 0);
	const uint32_t i = r->ring->head;

	r->ring->slot[i].ptr = (uint64_t)(uintptr_t)data;
	r->ring->slot[i].len = (uint16_t)len;
	r->ring->slot[i].flags = flags | NS_INDIRECT;
	ring_advance(r, 1);
	return i;
}

static void
indirect(void **state)
{
	(void)state;
	two_ports(64, 2048, 2048);
	make_frame(0, 300, 1);
	send_indirect(frame, 300, 0);
	send_indirect(frame, 100, NS_MOREFRAG); /* all indirect, and mixed with a slot of its own */
	send_indirect(frame + 100, 200, 0);
	send_indirect(frame, 100, NS_MOREFRAG);
	ring_send(vale_tx(&v, 0), frame + 100, 50, NS_MOREFRAG);
	send_indirect(frame + 150, 150, 0);
	vale_txsync(&v, 0);
	assert_int_equal(receive(2048), 300);
	assert_memory_equal(got, frame, 300);
	assert_int_equal(receive(2048), 300);
	assert_memory_equal(got, frame, 300);
	assert_int_equal(receive(2048), 300);
	assert_memory_equal(got, frame, 300);
	assert_true(vale_all_drops(&v, 0) == 0);
	assert_true(vale_tx(&v, 0)->kring->n_bytes == 900);
}

/* A bad address costs its frame, wherever it stands, and no other. */
static void
indirect_bad(void **state)
{
	uint8_t *pages =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t n_bad = 0;
	int i;

	(void)state;
	assert_true(pages != MAP_FAILED);
	assert_int_equal(mprotect(pages + 4096, 4096, PROT_NONE), 0);
	two_ports(64, 2048, 2048);
	make_frame(0, 300, 1);
	for (i = 0; i < 6; i++) {
		const uint8_t *bad[] = {NULL, (const uint8_t *)UINTPTR_MAX, pages + 4096,
			pages + 4000, pages + 8000, (const uint8_t *)16};

		memset(pages, 7, 4096);
		send_indirect(frame, 300, 0);
		send_indirect(bad[i], 300, 0);
		send_indirect(bad[i], 300, NS_MOREFRAG); /* two bad ones in one frame */
		send_indirect(bad[i], 300, 0);
		send_indirect(frame, 100, NS_MOREFRAG); /* bad at the end */
		send_indirect(bad[i], 200, 0);
		send_indirect(frame, 100, NS_MOREFRAG);
		send_indirect(frame + 100, 200, 0);
		vale_txsync(&v, 0);
		n_bad += 3;
		assert_int_equal(receive(2048), 300);
		assert_memory_equal(got, frame, 300);
		assert_int_equal(receive(2048), 300);
		assert_memory_equal(got, frame, 300);
		assert_int_equal(vale_pending(&v, 1), 0);
		assert_true(vale_drops(&v, 0, UNM_DROP_BAD_SLOT) == n_bad);
		assert_true(vale_all_drops(&v, 0) == n_bad);
	}
	munmap(pages, 8192);
}

static uint8_t *locked_page;
static volatile unsigned int n_faults;

/* Whoever reads the page finds it readable from now on. */
static void
unlock_page(int sig)
{
	(void)sig;
	n_faults++;
	if (mprotect(locked_page, 4096, PROT_READ | PROT_WRITE) != 0)
		abort();
}

/*
 * What is in trusted memory is read where it is, by us and not by the kernel, which would find the page locked; it may be
 * longer than a buffer. What reaches out of it, and all of it once it is no longer trusted, is as any other.
 */
static void
indirect_trusted(void **state)
{
	const struct sigaction unlock = {.sa_handler = unlock_page};
	struct sigaction old;
	uint8_t *pages =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(pages != MAP_FAILED);
	two_ports(64, 2048, 2048);
	make_frame(0, 3000, 1);
	memcpy(pages, frame, 3000);
	memcpy(pages + 4096, frame, 3000);
	assert_int_equal(unm_trusted_add(pages, 0), -EINVAL);
	assert_int_equal(unm_trusted_add(pages, SIZE_MAX), -EINVAL);
	assert_int_equal(unm_trusted_add(pages, 4096), 0);
	locked_page = pages;
	n_faults = 0;
	sigaction(SIGSEGV, &unlock, &old);
	assert_int_equal(mprotect(pages, 4096, PROT_NONE), 0);
	send_indirect(pages, 3000, 0);
	vale_txsync(&v, 0);
	sigaction(SIGSEGV, &old, NULL);
	assert_int_equal(n_faults, 1);
	assert_int_equal(receive(2048), 3000);
	assert_memory_equal(got, frame, 3000);
	assert_true(vale_all_drops(&v, 0) == 0);
	send_indirect(pages + 4095, 1500, 0); /* one byte of it; all of it readable */
	send_indirect(pages + 4096, 1500, 0);
	vale_txsync(&v, 0);
	assert_int_equal(vale_pending(&v, 1), 2);
	vale_drain(&v, 1);
	assert_true(vale_all_drops(&v, 0) == 0);
	unm_trusted_remove(pages);
	send_indirect(pages, 3000, 0);
	vale_txsync(&v, 0);
	assert_int_equal(vale_pending(&v, 1), 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_TOO_LONG) == 1);
	munmap(pages, 8192);
}

/*
 * Whole frames with a header in trusted memory, as a guest sends them, in one sync with others of
 * all kinds: each arrives once, in order, and at every length as it was.
 */
static void
indirect_headed(void **state)
{
	static uint8_t memory[64][2048];
	uint32_t i, n = 0;

	(void)state;
	vale_rig_init(&v, 600);
	for (i = 0; i < 2; i++)
		vale_rig_add(&v,
			(struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = 128, .hdr_len = 12});
	vale_rig_teach(&v);
	assert_int_equal(unm_trusted_add(memory, sizeof(memory)), 0);
	for (i = 0; i < 64; i++) {
		const uint32_t len = 60 + 30 * i;

		make_frame(12, len, i);
		memcpy(memory[i], frame, 12 + len);
		if (i % 16 == 9)
			memory[i][1] = 0x7f; /* no such gso_type */
		if (i % 16 == 7)
			send_parts(12 + len, 100);
		else if (i % 16 == 11)
			send_parts(12 + len, 2048);
		else
			send_indirect(memory[i], 12 + len, 0);
	}
	vale_txsync(&v, 0);
	for (i = 0; i < 64; i++) {
		const uint32_t len = 60 + 30 * i;

		if (i % 16 == 9)
			continue;
		make_frame(12, len, i);
		assert_int_equal(receive(2048), 12 + len);
		assert_memory_equal(got, frame, 12 + len);
		n++;
	}
	assert_int_equal(vale_pending(&v, 1), 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_OFFLOAD) == 64 - n);
	unm_trusted_remove(memory);
}

/* More indirect slots in one sync than a batch has bounce buffers for; too long ones; empty ones. */
static void
indirect_many(void **state)
{
	uint32_t i, k;

	(void)state;
	two_ports(4096, 2048, 2048);
	make_frame(0, 800, 1);
	for (i = 0; i < 500; i++)
		for (k = 0; k < 8; k++)
			send_indirect(frame + k * 100, 100, k < 7 ? NS_MOREFRAG : 0);
	send_indirect(frame, 2049, 0);
	send_indirect(frame, 0, NS_MOREFRAG);
	send_indirect(frame, 400, NS_MOREFRAG);
	send_indirect((void *)16, 0, NS_MOREFRAG);
	send_indirect(frame + 400, 400, 0);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_TOO_LONG) == 1);
	assert_true(vale_all_drops(&v, 0) == 1);
	assert_int_equal(vale_pending(&v, 1), 501);
	for (i = 0; i < 501; i++) {
		assert_int_equal(receive(2048), 800);
		assert_memory_equal(got, frame, 800);
	}
	for (i = 0; i < 1100; i++) /* one frame of more indirect slots than there can be */
		send_indirect(frame, 60, i < 1099 ? NS_MOREFRAG : 0);
	send_indirect(frame, 800, 0);
	vale_txsync(&v, 0);
	assert_true(vale_drops(&v, 0, UNM_DROP_TOO_LONG) == 2);
	while (vale_pending(&v, 1) > 0)
		k = receive(2048);
	assert_int_equal(k, 800); /* what comes behind it is well */
}

/* A receiver that has put nonsense into its slots gets empty frames, and nobody else notices. */
static void
receiver_slots(void **state)
{
	static const uint32_t bad[] = {0, 1, 0x7fffffff, UINT32_MAX};
	struct unm_bring *r;
	size_t i;

	(void)state;
	two_ports(16, 2048, 2048);
	r = vale_rx(&v, 1);
	for (i = 0; i < 4; i++)
		r->ring->slot[i].buf_idx = bad[i];
	for (i = 0; i < 5; i++) {
		make_frame(0, 100, i);
		send_parts(100, i == 3 ? 50 : 2048);
	}
	vale_txsync(&v, 0);
	assert_int_equal(vale_pending(&v, 1), 5);
	for (i = 0; i < 4; i++)
		assert_int_equal(r->ring->slot[i].len, 0);
	ring_advance(r, 4);
	vale_expect(&v, 1, 0, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments),
		cmocka_unit_test_teardown(longer_than_the_ring, teardown),
		cmocka_unit_test_teardown(unfinished, teardown),
		cmocka_unit_test_teardown(empty_slots, teardown),
		cmocka_unit_test_teardown(header_places, teardown),
		cmocka_unit_test(vnet_lengths),
		cmocka_unit_test_teardown(vnet_bad_header, teardown),
		cmocka_unit_test_teardown(vnet_garbage, teardown),
		cmocka_unit_test_teardown(tx_offsets, teardown),
		cmocka_unit_test(rx_offsets),
		cmocka_unit_test_teardown(own_bytes, teardown),
		cmocka_unit_test_teardown(indirect, teardown),
		cmocka_unit_test_teardown(indirect_bad, teardown),
		cmocka_unit_test_teardown(indirect_trusted, teardown),
		cmocka_unit_test_teardown(indirect_headed, teardown),
		cmocka_unit_test_teardown(indirect_many, teardown),
		cmocka_unit_test_teardown(receiver_slots, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
