/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From TAP or interface to TAP without a ring in between (vale/direct_fp.h): a switch with two
 * attached ports and an ordinary one. The queues behind the second port are packet sockets here, so what was
 * written can be looked at frame by frame.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "offload_frames.h"
#include "ring/kring.h"
#include "vale/bytes.h"
#include "vale/checksum_fp.h"
#include "vale/forward.h"
#include "vale_rig.h"

enum { SRC, TAP, PLAIN };

#define HDR_LEN	 12u
#define N_QUEUES 2u
#define SLOTS	 128u

static struct {
	struct vale_rig v;
	struct unm_env env; /* of SRC: the rig's, with queues */
	int kernel[N_QUEUES], queue[N_QUEUES];
	int n_got, n_put;
	int error; /* queues_get() gives this instead */
} rig;

static int
queues_get(const struct unm_seg *seg, uint32_t port, uint32_t gen, int *fds, unsigned int max)
{
	assert_true(port == TAP && gen == UNM_READ_ONCE(seg->ports[port].gen) && max >= N_QUEUES);
	rig.n_got++;
	if (rig.error != 0)
		return rig.error;
	memcpy(fds, rig.queue, sizeof(rig.queue));
	return N_QUEUES;
}

static void
queues_put(const int *fds, unsigned int n)
{
	assert_int_equal(n, N_QUEUES);
	assert_memory_equal(fds, rig.queue, sizeof(rig.queue));
	rig.n_put++;
}

static int
setup_with(uint32_t src_hdr_len, uint32_t src_flags, uint32_t tap_flags)
{
	const struct fake_geometry g = {.n_tx = 1, .n_rx = 1, .slots = SLOTS, .hdr_len = HDR_LEN};
	struct fake_geometry src = g, tap = g;
	struct unm_vale_src *s;
	uint32_t q;

	memset(&rig, 0, sizeof(rig));
	src.hdr_len = src_hdr_len;
	src.flags = src_flags;
	tap.flags = tap_flags;
	vale_rig_init(&rig.v, 10 * SLOTS);
	vale_rig_add(&rig.v, src);
	vale_rig_add(&rig.v, tap);
	vale_rig_add(&rig.v, g);
	vale_rig_teach(&rig.v);
	for (q = 0; q < N_QUEUES; q++) {
		int sv[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
		rig.queue[q] = sv[0];
		rig.kernel[q] = sv[1];
	}
	s = rig.v.port[SRC]->kind_data;
	rig.env = *s->env;
	rig.env.queues_get = queues_get;
	rig.env.queues_put = queues_put;
	s->env = s->peers->env = rig.v.port[SRC]->env = &rig.env;
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	return setup_with(HDR_LEN, UNM_PORTF_ATTACHED, UNM_PORTF_ATTACHED);
}

/* SRC is an interface: its frames have no headers. */
static int
setup_wire(void **state)
{
	(void)state;
	return setup_with(0, UNM_PORTF_ATTACHED, UNM_PORTF_ATTACHED);
}

static int
teardown(void **state)
{
	uint32_t q;

	(void)state;
	vale_rig_free(&rig.v);
	for (q = 0; q < N_QUEUES; q++) {
		close(rig.queue[q]);
		close(rig.kernel[q]);
	}
	return 0;
}

/* A frame of @len bytes and its header, cut into slots of @piece bytes. */
static void
send_pieces(uint32_t to, uint32_t len, uint32_t piece, uint64_t seq)
{
	uint8_t frame[HDR_LEN + 65536] = {0};
	uint32_t at;

	frame[2] = 0x5a; /* a part of the header that has no meaning here, to be found again */
	traffic_fill(frame + HDR_LEN, len, to, SRC, SRC, seq);
	for (at = 0; at < HDR_LEN + len; at += piece) {
		const uint32_t left = HDR_LEN + len - at;

		ring_send(vale_tx(&rig.v, SRC), frame + at, left < piece ? left : piece,
			left > piece ? NS_MOREFRAG : 0);
	}
}

/* The next frame in any of the queues is number @seq, @len bytes without its header. */
static void
expect_written(uint32_t len, uint64_t seq)
{
	uint8_t frame[HDR_LEN + 65536];
	uint32_t flow, q;
	uint64_t number;
	ssize_t n = -1;

	for (q = 0; q < N_QUEUES && n < 0; q++)
		n = recv(rig.kernel[q], frame, sizeof(frame), 0);
	assert_int_equal(n, HDR_LEN + len);
	assert_int_equal(frame[2], 0x5a);
	assert_true(traffic_check(frame + HDR_LEN, len, &flow, &number));
	assert_true(flow == SRC && number == seq);
}

static void
expect_nothing_written(void)
{
	uint8_t byte = 0;
	uint32_t q;

	for (q = 0; q < N_QUEUES; q++)
		assert_int_equal(recv(rig.kernel[q], &byte, 1, 0), -1);
}

static void
frames_are_written(void **state)
{
	(void)state;
	send_pieces(TAP, 60, RIG_BUF_SIZE, 1);
	send_pieces(TAP, 3000, 100, 2); /* buffers with gaps between the pieces */
	send_pieces(PLAIN, 60, RIG_BUF_SIZE, 3);
	send_pieces(TAP, 40000, RIG_BUF_SIZE, 4);
	vale_txsync(&rig.v, SRC);
	expect_written(60, 1);
	expect_written(3000, 2);
	expect_written(40000, 4);
	expect_nothing_written();
	assert_int_equal(vale_pending(&rig.v, TAP), 0);
	assert_int_equal(vale_pending(&rig.v, PLAIN), 1);
	assert_int_equal(vale_all_drops(&rig.v, SRC), 0);
	assert_int_equal(rig.n_got, 1);
	assert_true(vale_rx(&rig.v, TAP)->kring->rx_pkts == 3);
	assert_true(vale_rx(&rig.v, TAP)->kring->rx_bytes == 3 * HDR_LEN + 43060);
}

static void
floods_reach_both(void **state)
{
	(void)state;
	send_pieces(77, 60, RIG_BUF_SIZE, 1); /* nobody's address */
	send_pieces(TAP, 60, RIG_BUF_SIZE, 2);
	vale_txsync(&rig.v, SRC);
	expect_written(60, 1);
	expect_written(60, 2);
	assert_int_equal(vale_pending(&rig.v, PLAIN), 1);
}

/*
 * Who is no worker, gets no queues, meets a receiver with other headers or fewer offloads: the
 * ring.
 */
static void
others_use_the_ring(void **state)
{
	uint32_t i;

	for (i = 0; i < 5; i++) {
		struct unm_seg_port *e;

		setup_with(
			HDR_LEN, i == 0 ? 0 : UNM_PORTF_ATTACHED, i == 1 ? 0 : UNM_PORTF_ATTACHED);
		e = &rig.v.d->seg.ports[TAP];
		if (i == 2)
			rig.error = -EPERM;
		if (i == 3)
			e->vnet_hdr_len = 10;
		if (i == 4)
			e->vnet_lacks = 1;
		send_pieces(TAP, 60, RIG_BUF_SIZE, 1);
		vale_txsync(&rig.v, SRC);
		expect_nothing_written();
		assert_int_equal(vale_pending(&rig.v, TAP), 1);
		assert_int_equal(rig.n_got, i >= 2);
		teardown(state);
	}
}

/* netmapd can't say yet: the ring, until the table has changed and it can. */
static void
queues_come_later(void **state)
{
	(void)state;
	rig.error = -EAGAIN;
	send_pieces(TAP, 60, RIG_BUF_SIZE, 1);
	vale_txsync(&rig.v, SRC);
	send_pieces(TAP, 60, RIG_BUF_SIZE, 2);
	vale_txsync(&rig.v, SRC);
	expect_nothing_written();
	assert_int_equal(vale_pending(&rig.v, TAP), 2);
	assert_int_equal(rig.n_got, 1);
	rig.error = 0;
	fake_port_set_state(rig.v.d, PLAIN, UNM_PORT_DEAD, 0);
	send_pieces(TAP, 60, RIG_BUF_SIZE, 3);
	vale_txsync(&rig.v, SRC);
	expect_written(60, 3);
	assert_int_equal(rig.n_got, 2);
}

static void
failures_are_counted(void **state)
{
	uint8_t byte = 0;

	(void)state;
	send_pieces(TAP, 4000, 40, 1); /* more pieces than fit into one call */
	vale_txsync(&rig.v, SRC);
	assert_int_equal(vale_drops(&rig.v, SRC, UNM_DROP_TOO_LONG), 1);
	while (send(rig.queue[0], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ||
		send(rig.queue[1], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		continue; /* until the sockets are full */
	send_pieces(TAP, 60, RIG_BUF_SIZE, 2);
	vale_txsync(&rig.v, SRC);
	assert_int_equal(vale_drops(&rig.v, SRC, UNM_DROP_RX_FULL), 1);
	assert_true(vale_rx(&rig.v, TAP)->kring->rx_pkts == 0);
}

/* A port that is detached takes its queues with it, although nothing is sent any more. */
static void
queues_are_given_back(void **state)
{
	(void)state;
	send_pieces(TAP, 60, RIG_BUF_SIZE, 1);
	vale_txsync(&rig.v, SRC);
	expect_written(60, 1);
	vale_pending(&rig.v, SRC);
	assert_int_equal(rig.n_put, 0);
	fake_port_set_state(rig.v.d, TAP, UNM_PORT_DEAD, UNM_PORTF_ATTACHED);
	vale_pending(&rig.v, SRC);
	assert_int_equal(rig.n_put, 1);
	send_pieces(TAP, 60, RIG_BUF_SIZE, 2);
	vale_txsync(&rig.v, SRC);
	expect_nothing_written();
	assert_int_equal(vale_drops(&rig.v, SRC, UNM_DROP_NO_PORT), 1);
	assert_int_equal(rig.n_got, 1);
}

/* --- from an interface --- */

#define N_SEGS 6u

static struct offload_frame whole;
static struct offload_result pieces;
static uint64_t rng = 11;

/* What the kernel gets next from any queue. Return: its length, header included; 0 nothing. */
static uint32_t
written(uint8_t *got)
{
	ssize_t n = -1;
	uint32_t q;

	for (q = 0; q < N_QUEUES && n < 0; q++)
		n = recv(rig.kernel[q], got, HDR_LEN + OFFLOAD_MAX_FRAME, 0);
	return n < 0 ? 0 : (uint32_t)n;
}

/* ... is @frame with a header that asks for nothing. */
static void
expect_plain(const uint8_t *frame, uint32_t len)
{
	static const uint8_t zeros[HDR_LEN];
	static uint8_t got[HDR_LEN + OFFLOAD_MAX_FRAME];

	assert_int_equal(written(got), HDR_LEN + len);
	assert_memory_equal(got, zeros, HDR_LEN);
	assert_memory_equal(got + HDR_LEN, frame, len);
}

static const uint8_t *
piece(uint32_t i)
{
	const uint8_t *p = pieces.data;
	uint32_t k;

	for (k = 0; k < i; k++)
		p += pieces.len[k];
	return p;
}

static void
send_piece(uint32_t i)
{
	ring_send(vale_tx(&rig.v, SRC), piece(i), pieces.len[i], 0);
}

static void
wire_frames(void **state)
{
	uint8_t frame[3000];
	uint32_t at;

	(void)state;
	traffic_fill(frame, sizeof(frame), TAP, SRC, SRC, 1);
	ring_send(vale_tx(&rig.v, SRC), frame, 61, 0);
	for (at = 0; at < sizeof(frame); at += 1000)
		ring_send(vale_tx(&rig.v, SRC), frame + at, 1000,
			at + 1000 < sizeof(frame) ? NS_MOREFRAG : 0);
	vale_send(&rig.v, SRC, PLAIN, 60, 2);
	vale_txsync(&rig.v, SRC);
	expect_plain(frame, 61);
	expect_plain(frame, sizeof(frame));
	expect_nothing_written();
	assert_int_equal(vale_pending(&rig.v, TAP), 0);
	assert_int_equal(vale_pending(&rig.v, PLAIN), 1);
	assert_true(vale_rx(&rig.v, TAP)->kring->rx_pkts == 2);
	assert_true(vale_rx(&rig.v, TAP)->kring->rx_bytes == 2 * HDR_LEN + 3061);
}

static void
wire_segments(void **state)
{
	static uint8_t got[HDR_LEN + OFFLOAD_MAX_FRAME];
	uint8_t other[61];
	uint32_t i, n;

	(void)state;
	offload_make_segments(&whole, N_SEGS, &pieces, &rng);
	traffic_fill(other, sizeof(other), TAP, SRC, SRC, 1);
	ring_send(vale_tx(&rig.v, SRC), other, 61, 0);
	for (i = 0; i < N_SEGS; i++)
		send_piece(i);
	ring_send(vale_tx(&rig.v, SRC), other, 60, 0);
	vale_txsync(&rig.v, SRC);
	expect_plain(other, 61);
	n = written(got);
	assert_true(offload_is_joined(&whole, got, n, HDR_LEN));
	expect_plain(other, 60);
	expect_nothing_written();
	assert_true(vale_rx(&rig.v, TAP)->kring->rx_pkts == 2 + N_SEGS);
	assert_true(vale_rx(&rig.v, TAP)->kring->rx_bytes ==
		    (2 + N_SEGS) * HDR_LEN + 121 + pieces.size);
}

/* What pads a short one, or comes after its packet, goes with it. */
static void
wire_padded(void **state)
{
	uint8_t padded[2000];

	(void)state;
	offload_make_segments(&whole, N_SEGS, &pieces, &rng);
	memcpy(padded, pieces.data, pieces.len[0]);
	memset(padded + pieces.len[0], 0x77, 9);
	ring_send(vale_tx(&rig.v, SRC), padded, pieces.len[0] + 9, 0);
	vale_txsync(&rig.v, SRC);
	expect_plain(padded, pieces.len[0] + 9);
	expect_nothing_written();
}

/* What the wire has damaged stays so: no checksum is made right, also not one that looks as if it was to be. */
static void
wire_damaged(void **state)
{
	uint8_t *p;

	(void)state;
	offload_make_segments(&whole, N_SEGS, &pieces, &rng);
	pieces.data[pieces.len[0] - 1] ^= 1;
	p = (uint8_t *)(uintptr_t)piece(1) + whole.l4 + 16;
	unm_put_raw16(p, unm_csum_fold(unm_csum_pseudo4(piece(1) + whole.l3, 6) +
				       htons((uint16_t)(pieces.len[1] - whole.l4))));
	send_piece(0);
	send_piece(1);
	send_piece(2);
	vale_txsync(&rig.v, SRC);
	expect_plain(piece(0), pieces.len[0]);
	expect_plain(piece(1), pieces.len[1]);
	expect_plain(piece(2), pieces.len[2]);
	expect_nothing_written();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_are_written, setup, teardown),
		cmocka_unit_test_setup_teardown(floods_reach_both, setup, teardown),
		cmocka_unit_test(others_use_the_ring),
		cmocka_unit_test_setup_teardown(queues_come_later, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_are_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(wire_frames, setup_wire, teardown),
		cmocka_unit_test_setup_teardown(wire_segments, setup_wire, teardown),
		cmocka_unit_test_setup_teardown(wire_padded, setup_wire, teardown),
		cmocka_unit_test_setup_teardown(wire_damaged, setup_wire, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
