/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP ports, with a pair of packet sockets in place of the kernel's end: what arrives and what is sent, queues, a
 * kernel that takes no more, frames that are not fit to be sent, offsets, virtio-net headers that the client sees or does not, and TCP segments, which are joined.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fake_domain.h"
#include "offload_frames.h"
#include "ring/kring.h"
#include "traffic.h"
#include "vale/vnet.h"

#define N_QUEUES 2u
#define SLOTS	 16u
#define BUF_SIZE 2048u

#define HDR_LEN	 12u /* of the kernel's end, unless the port's is 10 */

struct rig {
	uint32_t hdr_len; /* what the client sees */
	struct fake_domain *d;
	struct unm_bport *bp;
	int kernel[N_QUEUES]; /* the far ends */
	int queue[N_QUEUES];
};

static int
setup_with(void **state, uint32_t hdr_len, uint32_t slots)
{
	const struct fake_geometry g = {.kind = UNM_PORT_TAP,
		.n_tx = N_QUEUES,
		.n_rx = N_QUEUES,
		.slots = slots,
		.hdr_len = hdr_len};
	static struct rig rig;
	struct unm_bind_info info;
	uint32_t q, port;

	rig.hdr_len = hdr_len;
	rig.d = fake_domain_new(UNM_SEG_DOMAIN, 4 * slots + 40, BUF_SIZE);
	port = fake_port_add(rig.d, &g);
	info = fake_bind_info(rig.d, port, 0);
	info.n_port_fds = N_QUEUES;
	for (q = 0; q < N_QUEUES; q++) {
		int sv[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
		rig.queue[q] = sv[0];
		rig.kernel[q] = sv[1];
	}
	rig.bp = fake_port_open_info(rig.d, &info, rig.queue);
	*state = &rig;
	return 0;
}

static int
setup(void **state)
{
	return setup_with(state, 0, SLOTS);
}

static int
teardown(void **state)
{
	struct rig *rig = *state;
	uint32_t q;

	unm_bport_close(rig->bp);
	for (q = 0; q < N_QUEUES; q++) {
		close(rig->kernel[q]);
		close(rig->queue[q]);
	}
	fake_domain_free(rig->d);
	return 0;
}

/* Bytes before the frame at the kernel's end. */
static uint32_t
kernel_hdr(const struct rig *rig)
{
	return rig->hdr_len == 10 ? 10 : HDR_LEN;
}

/* A frame from the kernel to queue @q, with a header of 1, 2, 3 ... that has no meaning to anybody here. */
static void
arrive(struct rig *rig, uint32_t q, uint32_t len, uint64_t seq)
{
	const uint32_t hdr = kernel_hdr(rig);
	uint8_t frame[HDR_LEN + 65536];
	uint32_t i;

	for (i = 0; i < hdr; i++)
		frame[i] = (uint8_t)(i + 1);
	traffic_fill(frame + hdr, len, 0, 1, q, seq);
	assert_int_equal(send(rig->kernel[q], frame, hdr + len, 0), hdr + len);
}

/* What the kernel got next from queue @q, without its header, which must be zeros if the client has none; 0 if nothing. */
static uint32_t
sent(struct rig *rig, uint32_t q, uint8_t *frame)
{
	static const uint8_t zeros[HDR_LEN];
	const uint32_t hdr = kernel_hdr(rig);
	uint8_t header[HDR_LEN];
	struct iovec iov[2] = {{header, hdr}, {frame, 65536}};
	const ssize_t n = readv(rig->kernel[q], iov, 2);

	if (n <= 0)
		return 0;
	assert_true(n >= hdr);
	if (rig->hdr_len == 0)
		assert_memory_equal(header, zeros, hdr);
	return (uint32_t)n - hdr;
}

static void
expect_sent(struct rig *rig, uint32_t q, uint32_t len, uint64_t want_seq)
{
	uint8_t frame[65536];
	uint32_t flow;
	uint64_t seq;

	assert_int_equal(sent(rig, q, frame), len);
	assert_true(traffic_check(frame, len, &flow, &seq));
	assert_true(seq == want_seq);
}

static void
receive(void **state)
{
	struct rig *rig = *state;
	struct unm_bring *rx = rig->bp->rx;
	uint32_t i, q, flow;
	uint64_t seq;

	for (i = 0; i < 20; i++) /* more than the ring takes */
		arrive(rig, 0, 60 + i, i);
	arrive(rig, 1, 1514, 100);
	assert_int_equal(unm_bport_poll(rig->bp, POLLIN), POLLIN);
	assert_int_equal(ring_space(&rx[0]), SLOTS - 1);
	assert_int_equal(ring_space(&rx[1]), 1);
	for (i = 0; i < 20; i++) {
		const struct netmap_slot *s = &rx[0].ring->slot[rx[0].ring->head];

		assert_true(traffic_check(ring_buf(&rx[0], rx[0].ring->head), s->len, &flow, &seq));
		assert_int_equal(s->len, 60 + i);
		assert_int_equal(s->flags, 0);
		assert_true(seq == i && flow == 0);
		ring_advance(&rx[0], 1);
		assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	}
	for (q = 0; q < N_QUEUES; q++)
		ring_advance(&rx[q], ring_space(&rx[q]));
	assert_int_equal(unm_bport_poll(rig->bp, POLLIN), 0);
	assert_true(rx[0].kring->rx_pkts == 20);
	assert_true(rx[0].kring->rx_bytes == 20 * 60 + 190);
	assert_true(rx[1].kring->rx_pkts == 1);
}

/* A slot without a buffer stops reception there, and nowhere else, until it is put right. */
static void
receive_bad_slot(void **state)
{
	struct rig *rig = *state;
	struct unm_bring *rx = rig->bp->rx;
	const uint32_t good = rx[0].ring->slot[2].buf_idx;
	uint32_t i;

	rx[0].ring->slot[2].buf_idx = 1;
	for (i = 0; i < 4; i++)
		arrive(rig, 0, 60, i);
	arrive(rig, 1, 60, 9);
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal(ring_space(&rx[0]), 2);
	assert_int_equal(ring_space(&rx[1]), 1);
	rx[0].ring->slot[2].buf_idx = good;
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal(ring_space(&rx[0]), 4);
}

/*
 * A frame that is longer than a buffer takes several slots, one that is longer than a read offers is dropped whole, and
 * so is one for which the ring has too few slots left.
 */
static void
receive_long(void **state)
{
	static const struct {
		uint32_t len, slots; /* 0: dropped */
	} cases[] = {
		{BUF_SIZE, 1},
		{BUF_SIZE + 1, 2},
		{3 * BUF_SIZE, 3},
		{7 * BUF_SIZE, 7},
		{7 * BUF_SIZE + 1, 0},
		{9 * BUF_SIZE, 0},
	};
	struct rig *rig = *state;
	struct unm_bring *rx = rig->bp->rx;
	uint8_t frame[65536];
	uint64_t n_full = 0, seq;
	uint32_t flow, i;
	size_t c;

	for (c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		arrive(rig, 0, cases[c].len, c);
		arrive(rig, 0, 60, 100 + c); /* the next one is not harmed */
		assert_int_equal(unm_bport_rxsync(rig->bp), 0);
		assert_int_equal(ring_space(&rx[0]), cases[c].slots + 1);
		for (i = 0; i < cases[c].slots; i++) {
			const uint32_t h = rx[0].ring->head;
			const struct netmap_slot *s = &rx[0].ring->slot[h];

			assert_int_equal(
				s->flags & NS_MOREFRAG, i + 1 < cases[c].slots ? NS_MOREFRAG : 0);
			memcpy(frame + (size_t)i * BUF_SIZE, ring_buf(&rx[0], h), s->len);
			ring_advance(&rx[0], 1);
		}
		n_full += cases[c].slots == 0;
		if (cases[c].slots > 0)
			assert_true(traffic_check(frame, cases[c].len, &flow, &seq) && seq == c);
		assert_true(rx[0].kring->rx_full == n_full);
		assert_int_equal(rx[0].ring->slot[rx[0].ring->head].len, 60);
		assert_int_equal(rx[0].ring->slot[rx[0].ring->head].flags, 0);
		ring_advance(&rx[0], 1);
	}
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	for (i = 0; i < SLOTS - 3; i++)
		arrive(rig, 0, 60, i);
	arrive(rig, 0, 2 * BUF_SIZE, 1); /* the last two slots */
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal(ring_space(&rx[0]), SLOTS - 1);
	ring_advance(&rx[0], 1);
	arrive(rig, 0, 2 * BUF_SIZE, 2); /* one slot is not enough */
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal(ring_space(&rx[0]), SLOTS - 2);
	assert_true(rx[0].kring->rx_full == n_full + 1);
}

/*
 * Where a frame is put, and how much of it, with OFFSETS in force: @first bytes into the first slot, the others at the
 * start of the second one's buffer.
 */
static void
receive_offsets(void **state)
{
	static const struct {
		uint32_t offset, gap, first;
	} cases[] = {
		{0, 0, 100},
		{64, 0, 100},
		{BUF_SIZE - 100, 0, 100},
		{BUF_SIZE - 99, 0, 99},
		{BUF_SIZE - 1, 0, 1},
		{BUF_SIZE, 0, 0}, /* there is nothing behind the buffer's end: no frame */
		{0xffff, 0, 0},
		{64, 80, 80},
		{64, 100, 100},
		{BUF_SIZE - 40, 80, 40},
	};
	struct rig *rig;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint32_t first = cases[i].first, second = first > 0 ? 100 - first : 0;
		struct unm_bring *rx;
		uint8_t *buf;
		uint32_t k;

		setup(state);
		rig = *state;
		rx = rig->bp->rx;
		fake_port_set_offsets(rig->d, 0, 16, BUF_SIZE, cases[i].gap);
		rx[0].ring->slot[0].ptr = 0x50000 | cases[i].offset;
		buf = ring_buf(&rx[0], 0);
		memset(buf, 0xee, 2 * BUF_SIZE); /* the next slot's buffer follows */
		arrive(rig, 0, 100, 1);
		assert_int_equal(unm_bport_rxsync(rig->bp), 0);
		assert_int_equal(ring_space(&rx[0]), (first > 0) + (second > 0));
		if (first > 0)
			assert_int_equal(rx[0].ring->slot[0].len, first);
		if (second > 0)
			assert_int_equal(rx[0].ring->slot[1].len, second);
		for (k = 0; k < 2 * BUF_SIZE; k++)
			if ((k < cases[i].offset || k >= cases[i].offset + first) &&
				(k < BUF_SIZE || k >= BUF_SIZE + second))
				assert_int_equal(buf[k], 0xee);
		teardown(state);
	}
}

static void
transmit(void **state)
{
	struct rig *rig = *state;
	struct unm_bring *tx = rig->bp->tx;
	uint8_t frame[65536];
	uint32_t i;

	for (i = 0; i < 10; i++)
		ring_send_frame(&tx[0], 60 + i, 0, 0, 0, i);
	ring_send_frame(&tx[1], 1514, 0, 0, 0, 77);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_int_equal(ring_space(&tx[0]), SLOTS - 1);
	for (i = 0; i < 10; i++)
		expect_sent(rig, 0, 60 + i, i);
	expect_sent(rig, 1, 1514, 77);
	/* several slots, one of them empty */
	traffic_fill(frame, 1000, 0, 0, 0, 5);
	ring_send(&tx[0], frame, 300, NS_MOREFRAG);
	ring_send(&tx[0], frame, 0, NS_MOREFRAG);
	ring_send(&tx[0], frame + 300, 700, 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	expect_sent(rig, 0, 1000, 5);
	assert_int_equal(sent(rig, 0, frame), 0);
	assert_true(tx[0].kring->n_pkts == 11);
	assert_true(tx[0].kring->n_bytes == 10 * 60 + 45 + 1000);
}

/* An unfinished packet stays in the ring until its last slot is there (spec 7.6). */
static void
transmit_unfinished(void **state)
{
	struct rig *rig = *state;
	struct unm_bring *tx = rig->bp->tx;
	uint8_t frame[65536];

	traffic_fill(frame, 200, 0, 0, 0, 5);
	ring_send(&tx[0], frame, 100, NS_MOREFRAG);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_int_equal(sent(rig, 0, frame), 0);
	assert_int_equal(ring_space(&tx[0]), SLOTS - 2);
	traffic_fill(frame, 200, 0, 0, 0, 5);
	ring_send(&tx[0], frame + 100, 100, 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	expect_sent(rig, 0, 200, 5);
	assert_int_equal(ring_space(&tx[0]), SLOTS - 1);
}

/* The kernel takes no more: nothing is lost, the ring fills, and it goes on when there is room. */
static void
transmit_full(void **state)
{
	struct rig *rig = *state;
	struct unm_bring *tx = rig->bp->tx;
	uint64_t next = 0, got = 0;
	struct pollfd fds[4];
	int round;

	for (round = 0; round < 2000 && ring_space(&tx[0]) > 0; round++) {
		ring_send_frame(&tx[0], 1500, 0, 0, 0, next++);
		assert_int_equal(unm_bport_txsync(rig->bp), 0);
	}
	assert_int_equal(ring_space(&tx[0]), 0);
	assert_int_equal(unm_bport_fds(rig->bp, POLLOUT, fds, 4), N_QUEUES);
	assert_int_equal(poll(&fds[0], 1, 0), 0); /* a sleeper sees that there is no room */
	while (got < next) {
		expect_sent(rig, 0, 1500, got++);
		assert_int_equal(unm_bport_txsync(rig->bp), 0);
	}
	assert_int_equal(poll(&fds[0], 1, 0), 1);
	assert_int_equal(ring_space(&tx[0]), SLOTS - 1);
	assert_true(tx[0].kring->n_pkts == next);
}

/* What is not fit to be sent, or refused by the kernel, is counted and passed over. */
static void
transmit_bad(void **state)
{
	struct rig *rig = *state;
	struct unm_bring *tx = rig->bp->tx;
	const uint32_t good = tx[0].ring->slot[0].buf_idx;

	tx[0].ring->slot[0].buf_idx = 0;
	ring_advance(&tx[0], 1);
	tx[0].ring->slot[1].len = BUF_SIZE + 1;
	ring_advance(&tx[0], 1);
	tx[0].ring->slot[2].flags = NS_MOREFRAG; /* one bad slot spoils its packet */
	ring_advance(&tx[0], 1);
	tx[0].ring->slot[3].buf_idx = UINT32_MAX;
	ring_advance(&tx[0], 1);
	ring_send_frame(&tx[0], 60, 0, 0, 0, 1);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	expect_sent(rig, 0, 60, 1);
	assert_true(tx[0].kring->drops[UNM_DROP_BAD_SLOT] == 2);
	assert_true(tx[0].kring->drops[UNM_DROP_TOO_LONG] == 1);
	assert_int_equal(ring_space(&tx[0]), SLOTS - 1);
	tx[0].ring->slot[0].buf_idx = good;
	close(rig->kernel[0]); /* the interface is gone */
	ring_send_frame(&tx[0], 60, 0, 0, 0, 2);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_true(tx[0].kring->drops[UNM_DROP_NO_PORT] == 1);
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	rig->kernel[0] = -1;
}

/* At most 64 slots to a packet (NETMAP_MAX_FRAGS). */
static void
transmit_fragments(void **state)
{
	const struct fake_geometry g = {.kind = UNM_PORT_TAP, .n_tx = 1, .n_rx = 1, .slots = 256};
	struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 600, BUF_SIZE);
	struct unm_bind_info info;
	struct unm_bport *bp;
	uint8_t frame[65536];
	int sv[2], i;

	(void)state;
	fake_port_add(d, &g);
	info = fake_bind_info(d, 0, 0);
	info.n_port_fds = 1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	bp = fake_port_open_info(d, &info, sv);
	traffic_fill(frame, 640, 0, 0, 0, 1);
	for (i = 0; i < 64; i++)
		ring_send(bp->tx, frame + 10 * i, 10, i < 63 ? NS_MOREFRAG : 0);
	for (i = 0; i < 65; i++)
		ring_send(bp->tx, frame, 10, i < 64 ? NS_MOREFRAG : 0);
	ring_send_frame(bp->tx, 60, 0, 0, 0, 2);
	assert_int_equal(unm_bport_txsync(bp), 0);
	assert_int_equal(recv(sv[1], frame, sizeof(frame), 0), HDR_LEN + 640);
	assert_int_equal(recv(sv[1], frame, sizeof(frame), 0), HDR_LEN + 60);
	assert_true(bp->tx->kring->drops[UNM_DROP_TOO_LONG] == 1);
	unm_bport_close(bp);
	close(sv[0]);
	close(sv[1]);
	fake_domain_free(d);
}

/* The frame at the head of rx ring @r, header and all, is taken. Return: its length, *n_slots what it took. */
static uint32_t
take_frame(struct unm_bring *r, uint8_t *frame, uint32_t *n_slots)
{
	uint32_t len = 0, flags;

	*n_slots = 0;
	do {
		const struct netmap_slot *s = &r->ring->slot[r->ring->head];

		flags = s->flags;
		memcpy(frame + len, ring_buf(r, r->ring->head), s->len);
		len += s->len;
		ring_advance(r, 1);
		(*n_slots)++;
	} while (flags & NS_MOREFRAG);
	return len;
}

/* With headers of 10 or 12 bytes: they are the frame's beginning, and the longest frame that the kernel makes comes whole. */
static void
receive_header(void **state)
{
	static const uint32_t hdr_lens[] = {10, 12}, lens[] = {60, 1514, 2 * BUF_SIZE, 65535};
	uint8_t frame[HDR_LEN + 65536];
	size_t h, c;

	for (h = 0; h < 2; h++) {
		const uint32_t hdr = hdr_lens[h];
		struct unm_bring *rx;
		struct rig *rig;

		setup_with(state, hdr, 64);
		rig = *state;
		rx = &rig->bp->rx[0];
		for (c = 0; c < sizeof(lens) / sizeof(lens[0]); c++) {
			uint32_t n_slots, flow, i;
			uint64_t seq;

			arrive(rig, 0, lens[c], c);
			assert_int_equal(unm_bport_rxsync(rig->bp), 0);
			assert_int_equal(take_frame(rx, frame, &n_slots), hdr + lens[c]);
			assert_int_equal(n_slots, (hdr + lens[c] + BUF_SIZE - 1) / BUF_SIZE);
			assert_true(traffic_check(frame + hdr, lens[c], &flow, &seq) && seq == c);
			for (i = 0; i < hdr; i++) /* the kernel does not write num_buffers */
				assert_int_equal(frame[i], i < 10 ? i + 1 : 0);
		}
		assert_true(rx->kring->rx_full == 0);
		teardown(state);
	}
}

/* A ring that may not have room for the next frame leaves it in the queue, where it is not lost. */
static void
receive_header_full(void **state)
{
	uint8_t frame[HDR_LEN + 65536];
	uint32_t n_slots, i, n = 0;
	struct rig *rig;
	struct unm_bring *rx;

	setup_with(state, HDR_LEN, 64);
	rig = *state;
	rx = &rig->bp->rx[0];
	arrive(rig, 0, 65535, 0);
	arrive(rig, 0, 60, 1);
	arrive(rig, 0, 65535, 2);
	for (i = 0; i < 3; i++) {
		assert_int_equal(unm_bport_rxsync(rig->bp), 0);
		while (ring_space(rx) > 0) {
			assert_int_equal(
				take_frame(rx, frame, &n_slots), HDR_LEN + (n == 1 ? 60 : 65535));
			n++;
		}
		assert_true(n >= i + 1);
	}
	assert_int_equal(n, 3);
	assert_true(rx->kring->rx_full == 0);
	teardown(state);
	/* A ring that never has so much room takes what it can, and the rest is lost and counted. */
	setup_with(state, HDR_LEN, SLOTS);
	rig = *state;
	rx = &rig->bp->rx[0];
	arrive(rig, 0, 65535, 0);
	arrive(rig, 0, 9000, 1);
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal(take_frame(rx, frame, &n_slots), HDR_LEN + 9000);
	assert_true(rx->kring->rx_full == 1);
	teardown(state);
}

static void
transmit_header(void **state)
{
	uint8_t frame[HDR_LEN + 65536], got[HDR_LEN + 65536];
	struct unm_bring *tx;
	struct rig *rig;
	uint32_t i, left;

	setup_with(state, HDR_LEN, 64);
	rig = *state;
	tx = &rig->bp->tx[0];
	for (i = 0; i < HDR_LEN; i++)
		frame[i] = (uint8_t)(0xa0 + i);
	traffic_fill(frame + HDR_LEN, 65535, 0, 0, 0, 3);
	for (left = HDR_LEN + 65535; left > 0; left -= i) {
		i = left < BUF_SIZE ? left : BUF_SIZE;
		ring_send(tx, frame + HDR_LEN + 65535 - left, i, left > i ? NS_MOREFRAG : 0);
	}
	ring_send(tx, frame, HDR_LEN, NS_MOREFRAG); /* the header in a slot of its own */
	ring_send(tx, frame + HDR_LEN, 60, 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_int_equal(recv(rig->kernel[0], got, sizeof(got), 0), HDR_LEN + 65535);
	assert_memory_equal(got, frame, HDR_LEN + 65535);
	assert_int_equal(recv(rig->kernel[0], got, sizeof(got), 0), HDR_LEN + 60);
	assert_memory_equal(got, frame, HDR_LEN + 60);
	assert_true(tx->kring->n_pkts == 2);
	assert_true(tx->kring->n_bytes == 2 * HDR_LEN + 65535 + 60);
	teardown(state);
}

/* --- segments of a stream --- */

#define N_SEGS 6u

static struct offload_frame whole;
static struct offload_result pieces;
static uint64_t rng = 11;

/* With headers that ask for nothing, or with @partial for the checksum that @i is left with. */
static void
send_piece(struct rig *rig, uint32_t i, bool is_partial)
{
	const struct unm_vnet_hdr hdr = {.flags = UNM_VNET_F_NEEDS_CSUM,
		.csum_start = (uint16_t)whole.l4,
		.csum_offset = 16};
	uint8_t data[HDR_LEN + BUF_SIZE] = {0};
	uint32_t ofs = 0, k;

	for (k = 0; k < i; k++)
		ofs += pieces.len[k];
	if (is_partial)
		memcpy(data, &hdr, sizeof(hdr));
	memcpy(data + rig->hdr_len, pieces.data + ofs, pieces.len[i]);
	ring_send(&rig->bp->tx[0], data, rig->hdr_len + pieces.len[i], 0);
}

/* The kernel gets piece @i as it is. */
static void
expect_piece(struct rig *rig, uint32_t i)
{
	static uint8_t got[65536];
	uint32_t ofs = 0, k;

	for (k = 0; k < i; k++)
		ofs += pieces.len[k];
	assert_int_equal(sent(rig, 0, got), pieces.len[i]);
	assert_memory_equal(got, pieces.data + ofs, pieces.len[i]);
}

static void
expect_joined(struct rig *rig)
{
	static uint8_t got[HDR_LEN + OFFLOAD_MAX_FRAME];
	const ssize_t n = recv(rig->kernel[0], got, sizeof(got), 0);

	assert_true(n > 0 && offload_is_joined(&whole, got, (uint32_t)n, kernel_hdr(rig)));
}

static void
segments_with(void **state, uint32_t hdr_len)
{
	static uint8_t got[65536];
	struct unm_bring *tx;
	struct rig *rig;
	uint32_t i;

	setup_with(state, hdr_len, 32);
	rig = *state;
	tx = &rig->bp->tx[0];
	offload_make_segments(&whole, N_SEGS, &pieces, &rng);
	/* One frame, between others that keep their places */
	ring_send_frame(tx, 80, 0, 0, 0, 1);
	for (i = 0; i < N_SEGS; i++)
		send_piece(rig, i, false);
	ring_send_frame(tx, 90, 0, 0, 0, 2);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_int_equal(sent(rig, 0, got), 80 - hdr_len);
	expect_joined(rig);
	assert_int_equal(sent(rig, 0, got), 90 - hdr_len);
	assert_int_equal(sent(rig, 0, got), 0);
	assert_int_equal(ring_space(tx), 31);
	assert_true(tx->kring->n_pkts == 2 + N_SEGS);
	assert_true(tx->kring->n_bytes == 80 + 90 + pieces.size + N_SEGS * hdr_len);
	/* Alone, with one missing, and with one whose last byte is wrong: as they are */
	send_piece(rig, 0, false);
	send_piece(rig, 2, false);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	expect_piece(rig, 0);
	expect_piece(rig, 2);
	pieces.data[pieces.len[0] + pieces.len[1] - 1] ^= 1;
	send_piece(rig, 0, false);
	send_piece(rig, 1, false);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	expect_piece(rig, 0);
	expect_piece(rig, 1);
	teardown(state);
}

static void
segments(void **state)
{
	segments_with(state, 0);
}

static void
segments_header(void **state)
{
	segments_with(state, 10);
	segments_with(state, HDR_LEN);
}

/* A header that asks for a checksum which is done already is nobody's but the kernel's to understand. */
static void
segments_odd_header(void **state)
{
	struct rig *rig;

	setup_with(state, HDR_LEN, 32);
	rig = *state;
	offload_make_segments(&whole, N_SEGS, &pieces, &rng);
	send_piece(rig, 0, true);
	send_piece(rig, 1, true);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	expect_piece(rig, 0);
	expect_piece(rig, 1);
	teardown(state);
}

/* The kernel takes no more: they stay, and go as one later. */
static void
segments_full(void **state)
{
	static uint8_t fill[65000];
	struct rig *rig;
	uint32_t i, n = 0;

	setup_with(state, 0, 32);
	rig = *state;
	offload_make_segments(&whole, N_SEGS, &pieces, &rng);
	while (send(rig->queue[0], fill, sizeof(fill), 0) > 0)
		n++;
	while (send(rig->queue[0], fill, 300, 0) > 0)
		n++;
	for (i = 0; i < N_SEGS; i++)
		send_piece(rig, i, false);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_int_equal(ring_space(&rig->bp->tx[0]), 31 - N_SEGS);
	while (n-- > 0)
		assert_true(recv(rig->kernel[0], fill, sizeof(fill), 0) > 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	expect_joined(rig);
	assert_int_equal(ring_space(&rig->bp->tx[0]), 31);
	teardown(state);
}

static void
descriptors(void **state)
{
	struct rig *rig = *state;
	struct pollfd fds[8];

	assert_int_equal(unm_bport_fds(rig->bp, POLLIN, fds, 8), 2);
	assert_int_equal(fds[0].fd, rig->queue[0]);
	assert_int_equal(fds[1].fd, rig->queue[1]);
	assert_int_equal(fds[1].events, POLLIN);
	assert_int_equal(unm_bport_fds(rig->bp, POLLOUT | POLLIN, fds, 8), 4);
	assert_int_equal(unm_bport_fds(rig->bp, POLLOUT | POLLIN, fds, 3), 3);
	assert_int_equal(unm_bport_fds(rig->bp, 0, fds, 8), 0);
	arrive(rig, 1, 60, 1);
	assert_int_equal(unm_bport_fds(rig->bp, POLLIN, fds, 8), 2);
	assert_int_equal(poll(fds, 2, 0), 1);
	assert_int_equal(fds[1].revents, POLLIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(receive, setup, teardown),
		cmocka_unit_test_setup_teardown(receive_bad_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(receive_long, setup, teardown),
		cmocka_unit_test(receive_offsets),
		cmocka_unit_test_setup_teardown(transmit, setup, teardown),
		cmocka_unit_test_setup_teardown(transmit_unfinished, setup, teardown),
		cmocka_unit_test_setup_teardown(transmit_full, setup, teardown),
		cmocka_unit_test_setup_teardown(transmit_bad, setup, teardown),
		cmocka_unit_test(transmit_fragments),
		cmocka_unit_test(receive_header),
		cmocka_unit_test(receive_header_full),
		cmocka_unit_test(transmit_header),
		cmocka_unit_test(segments),
		cmocka_unit_test(segments_header),
		cmocka_unit_test(segments_odd_header),
		cmocka_unit_test(segments_full),
		cmocka_unit_test_setup_teardown(descriptors, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN); /* sockets raise it where a TAP does not */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
