/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host rings, with packet sockets in place of the TAP's queues: what the kernel hands over as one
 * frame arrives in pieces, pieces that follow one another are handed to the kernel as one frame,
 * and cutting what was joined gives the same pieces again.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_domain.h"
#include "offload_frames.h"
#include "ring/kring.h"
#include "ring/slot.h"
#include "vale/vnet.h"

#define SLOTS	  256u
#define BUF_SIZE  2048u
#define MAX_FRAME (14u + 65535u)

struct rig {
	struct fake_domain *d;
	struct unm_bport *bp;
	struct unm_bring *tx, *rx;
	int kernel, queue;
	uint64_t rng;
};

static struct rig rig;
static struct offload_frame frame;
static struct offload_result want, got;

static const struct offload_shape shape = {
	.src = 1, .dst = 2, .max_payload = 60000, .min_size = 400, .max_size = 1800};

static int
setup(void **state)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_NULL, .n_tx = 1, .n_rx = 1, .slots = SLOTS};
	const int size = 4 * 1024 * 1024;
	struct unm_seg_port *e;
	struct unm_bind_info info;
	int sv[2];

	(void)state;
	rig.d = fake_domain_new(UNM_SEG_DOMAIN, 2 * SLOTS + 40, BUF_SIZE);
	e = &rig.d->seg.ports[fake_port_add(rig.d, &g)];
	info = fake_bind_info(rig.d, 0, 0);
	e->n_host_tx_rings = e->n_host_rx_rings = 1;
	e->n_tx_rings = e->n_rx_rings = 0;
	info.n_port_fds = info.n_host_fds = 1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	rig.queue = sv[0];
	rig.kernel = sv[1];
	setsockopt(rig.queue, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(rig.kernel, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	rig.bp = fake_port_open_info(rig.d, &info, &rig.queue);
	rig.tx = &rig.bp->tx[0];
	rig.rx = &rig.bp->rx[0];
	rig.rng = 7;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unm_bport_close(rig.bp);
	close(rig.kernel);
	close(rig.queue);
	fake_domain_free(rig.d);
	return 0;
}

/* The kernel hands over a frame with its header. */
static void
arrive(const uint8_t *vnet, const uint8_t *data, uint32_t len)
{
	static uint8_t buf[12 + OFFLOAD_MAX_FRAME];

	memcpy(buf, vnet, 12);
	memcpy(buf + 12, data, len);
	assert_int_equal(send(rig.kernel, buf, 12 + len, 0), 12 + len);
}

/* Take all frames of the rx ring, each in one piece. */
static void
receive_all(struct offload_result *r)
{
	struct netmap_ring *ring = rig.rx->ring;
	uint8_t buf[OFFLOAD_MAX_FRAME];
	uint32_t len = 0;

	assert_int_equal(unm_bport_rxsync(rig.bp), 0);
	while (ring->head != ring->tail) {
		const struct netmap_slot *s = &ring->slot[ring->head];

		memcpy(buf + len, rig.rx->bufs + (size_t)s->buf_idx * BUF_SIZE, s->len);
		len += s->len;
		if (!(s->flags & NS_MOREFRAG)) {
			offload_result_add(r, buf, len);
			len = 0;
		}
		ring->head = ring->cur = (ring->head + 1) % SLOTS;
	}
	assert_int_equal(unm_bport_rxsync(rig.bp), 0);
}

static void
same_results(struct offload_result *a, struct offload_result *b)
{
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->size, b->size);
	assert_memory_equal(a->data, b->data, a->size);
}

/* Whatever the kernel leaves undone is done. */
static void
super_frames_are_cut(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 400; i++) {
		const uint64_t missed = rig.rx->kring->rx_full;
		const enum offload_kind kind = (enum offload_kind)(i % OFFLOAD_KINDS);

		offload_frame_make(&frame, kind, &shape, &rig.rng);
		offload_result_reset(&want);
		offload_result_reset(&got);
		arrive(frame.vnet, frame.data, frame.len);
		receive_all(&got);
		if (!offload_expect(&frame, 0, UNM_VNET_LACKS_ALL, MAX_FRAME, &want)) {
			assert_int_equal(rig.rx->kring->rx_full, missed + 1);
			continue;
		}
		assert_int_equal(rig.rx->kring->rx_full, missed);
		assert_true(offload_clear_ids(&frame, 0, &got));
		same_results(&want, &got);
	}
}

static void
queue_frame(const uint8_t *data, uint32_t len)
{
	struct netmap_ring *ring = rig.tx->ring;
	struct netmap_slot *s = &ring->slot[ring->head];

	assert_true(len <= BUF_SIZE && (ring->head + 1) % SLOTS != ring->tail + SLOTS);
	memcpy(rig.tx->bufs + (size_t)s->buf_idx * BUF_SIZE, data, len);
	s->len = (uint16_t)len;
	s->flags = 0;
	ring->head = ring->cur = (ring->head + 1) % SLOTS;
}

/* What the kernel is handed: its header and the frame. 0: nothing more. */
static uint32_t
kernel_gets(uint8_t *vnet, uint8_t *data)
{
	static uint8_t buf[12 + OFFLOAD_MAX_FRAME];
	const ssize_t n = recv(rig.kernel, buf, sizeof(buf), 0);

	if (n <= 12)
		return 0;
	memcpy(vnet, buf, 12);
	memcpy(data, buf + 12, (size_t)n - 12);
	return (uint32_t)n - 12;
}

/* Queue the frames of @r; what the kernel is handed goes back to the rx ring. Return: how many. */
static uint32_t
send_and_return(const struct offload_result *r)
{
	static uint8_t data[OFFLOAD_MAX_FRAME];
	uint8_t vnet[12];
	uint32_t i, ofs = 0, len, n = 0;

	for (i = 0; i < r->n; i++) {
		queue_frame(r->data + ofs, r->len[i]);
		ofs += r->len[i];
	}
	assert_int_equal(unm_bport_txsync(rig.bp), 0);
	assert_int_equal(rig.tx->ring->tail, (rig.tx->ring->head + SLOTS - 1) % SLOTS);
	for (; (len = kernel_gets(vnet, data)) > 0; n++)
		arrive(vnet, data, len);
	return n;
}

static void
joined_and_cut_is_the_same(void **state)
{
	uint32_t n_pieces = 0, n_writes = 0;
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		uint64_t n_sent;

		offload_frame_make(&frame, i % 2 ? OFFLOAD_TCP4 : OFFLOAD_TCP6, &shape, &rig.rng);
		if (i % 4 != 0) {
			frame.data[frame.l4 + 13] = i % 8 == 1 ? 0x19 : 0x10; /* ACK, PSH, FIN */
			frame.vnet[1] &= (uint8_t)~UNM_VNET_GSO_ECN;
		}
		offload_result_reset(&want);
		offload_result_reset(&got);
		if (!offload_expect(&frame, 0, UNM_VNET_LACKS_ALL, MAX_FRAME, &want) ||
			want.n >= SLOTS || want.len[0] > BUF_SIZE)
			continue;
		n_sent = rig.tx->kring->n_pkts;
		n_writes += send_and_return(&want);
		n_pieces += want.n;
		receive_all(&got);
		same_results(&want, &got);
		assert_int_equal(rig.tx->kring->n_pkts, n_sent + want.n);
	}
	assert_true(n_pieces > 1000);
	assert_true(n_writes < n_pieces * 9 / 10); /* options, tags and flags forbid it for many */
}

/* A byte that is wrong stays wrong, in a frame of its own. */
static void
damage_is_passed_on(void **state)
{
	uint32_t bad = 5, ofs = 0, i;

	(void)state;
	do {
		offload_frame_make(&frame, OFFLOAD_TCP4, &shape, &rig.rng);
		offload_result_reset(&want);
	} while (!offload_expect(&frame, 0, UNM_VNET_LACKS_ALL, MAX_FRAME, &want) || want.n < 10 ||
		 want.n >= SLOTS || want.len[0] > BUF_SIZE);
	for (i = 0; i < bad; i++)
		ofs += want.len[i];
	want.data[ofs + want.len[bad] - 1] ^= 1;
	offload_result_reset(&got);
	assert_true(send_and_return(&want) >= 3);
	receive_all(&got);
	same_results(&want, &got);
}

/* A checksum that was left to an offload is completed; it is told by its value. */
static void
undone_checksums(void **state)
{
	static uint8_t data[OFFLOAD_MAX_FRAME];
	struct offload_shape small = shape;
	uint8_t vnet[12];
	uint32_t kind, i;

	(void)state;
	small.max_payload = 1400;
	for (kind = OFFLOAD_CSUM_TCP4; kind <= OFFLOAD_CSUM_UDP6; kind++) {
		for (i = 0; i < 1000; i++) {
			offload_frame_make(&frame, (enum offload_kind)kind, &small, &rig.rng);
			if (frame.tags <= 4 &&
				(kind == OFFLOAD_CSUM_TCP4 || kind == OFFLOAD_CSUM_UDP4 ||
					frame.l4 == frame.l3 + 40))
				break;
		}
		assert_true(i < 1000);
		offload_result_reset(&want);
		assert_true(offload_expect(&frame, 0, UNM_VNET_LACKS_ALL, MAX_FRAME, &want));
		queue_frame(frame.data, frame.len);
		queue_frame(want.data, want.len[0]);
		assert_int_equal(unm_bport_txsync(rig.bp), 0);
		assert_int_equal(kernel_gets(vnet, data), frame.len);
		assert_memory_equal(data, frame.data, frame.len);
		assert_int_equal(vnet[0], UNM_VNET_F_NEEDS_CSUM);
		assert_memory_equal(vnet + 6, frame.vnet + 6, 4); /* where it is */
		assert_int_equal(kernel_gets(vnet, data), frame.len);
		assert_int_equal(vnet[0], 0);
	}
}

/* Never blocks: what the kernel does not take is gone, and counted. */
static void
full_kernel(void **state)
{
	struct unm_kring *k = rig.tx->kring;
	uint8_t f[60] = {0};
	uint32_t i;

	(void)state;
	while (send(rig.queue, f, sizeof(f), MSG_DONTWAIT) > 0)
		continue;
	for (i = 0; i < 3; i++)
		queue_frame(f, sizeof(f));
	assert_int_equal(unm_bport_txsync(rig.bp), 0);
	assert_int_equal(k->drops[UNM_DROP_RX_FULL], 3);
	assert_int_equal(rig.tx->ring->tail, (rig.tx->ring->head + SLOTS - 1) % SLOTS);
	close(rig.kernel); /* as when the TAP is gone */
	rig.kernel = dup(rig.queue);
	queue_frame(f, sizeof(f));
	assert_int_equal(unm_bport_txsync(rig.bp), 0);
	assert_int_equal(k->drops[UNM_DROP_NO_PORT], 1);
	assert_int_equal(unm_bport_rxsync(rig.bp), 0);
}

/* Slots that are not fit to be sent, and frames in several slots. */
static void
odd_slots(void **state)
{
	static uint8_t data[OFFLOAD_MAX_FRAME];
	struct netmap_ring *ring = rig.tx->ring;
	struct unm_kring *k = rig.tx->kring;
	uint8_t f[60] = {0}, vnet[12];
	uint32_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		queue_frame(f, sizeof(f));
	ring->slot[0].flags = ring->slot[1].flags = NS_MOREFRAG;
	ring->slot[3].buf_idx = 0;
	ring->slot[4].flags = NS_MOREFRAG; /* its end does not come */
	assert_int_equal(unm_bport_txsync(rig.bp), 0);
	assert_int_equal(kernel_gets(vnet, data), 180);
	assert_int_equal(kernel_gets(vnet, data), 0);
	assert_int_equal(k->drops[UNM_DROP_BAD_SLOT], 1);
	assert_int_equal(k->hwcur, 4);
	queue_frame(f, sizeof(f));
	assert_int_equal(unm_bport_txsync(rig.bp), 0);
	assert_int_equal(kernel_gets(vnet, data), 120);
	for (i = 0; i < 70; i++) {
		queue_frame(f, sizeof(f));
		ring->slot[(ring->head + SLOTS - 1) % SLOTS].flags = i < 69 ? NS_MOREFRAG : 0;
	}
	assert_int_equal(unm_bport_txsync(rig.bp), 0);
	assert_int_equal(k->drops[UNM_DROP_TOO_LONG], 1);
}

/* With little room a frame stays where it is, unless the ring is empty. */
static void
waits_for_room(void **state)
{
	struct netmap_ring *ring = rig.rx->ring;
	uint8_t f[60] = {0}, vnet[12] = {0};
	uint32_t i;

	(void)state;
	for (i = 0; i < 2 * SLOTS; i++)
		arrive(vnet, f, sizeof(f));
	assert_int_equal(unm_bport_rxsync(rig.bp), 0);
	assert_in_range(ring->tail, SLOTS - 60, SLOTS - 1);
	assert_int_equal(rig.rx->kring->rx_full, 0);
	offload_result_reset(&got);
	for (i = 0; i < 4; i++)
		receive_all(&got);
	assert_int_equal(got.n, 2 * SLOTS);
	assert_int_equal(rig.rx->kring->rx_pkts, 2 * SLOTS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(super_frames_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(joined_and_cut_is_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_passed_on, setup, teardown),
		cmocka_unit_test_setup_teardown(undone_checksums, setup, teardown),
		cmocka_unit_test_setup_teardown(full_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_for_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
