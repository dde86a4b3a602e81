/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: TCP segments that follow one another on an interface's tx ring are handed to the kernel as
 * one frame, while somebody has the host rx ring open or it is on a switch, and their slots are free
 * again at once; in all other cases, and whatever else there is, each goes into a descriptor, in order.
 */
#include <linux/if_packet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "nic_rig.h"
#include "offload_frames.h"
#include "vale/bytes.h"
#include "vale/checksum_fp.h"
#include "vale/vnet.h"

#define N_SEGS 6u
#define VNET   10

static struct offload_frame frame;
static struct offload_result pieces;
static uint64_t rng = 11;

/* The C library's, as a packet socket would answer. The rig's is another kind, which can be read. */
static int bound_to;

int
getsockname(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	const struct sockaddr_ll sa = {.sll_family = AF_PACKET, .sll_ifindex = bound_to};

	(void)fd;
	assert_true(*len >= sizeof(sa));
	memcpy(addr.__sockaddr__, &sa, sizeof(sa));
	return 0;
}

/* The port's rings: tx, the host's tx, rx, the host's rx. */
static struct unm_kring *
host_rx(const struct nic_rig *rig)
{
	return &rig->d->seg.krings[rig->d->seg.ports[0].kring_base + 3];
}

static int
setup(void **state)
{
	struct nic_rig *rig;

	nic_rig_setup_host(state);
	rig = *state;
	bound_to = (int)rig->st->setup.ifindex;
	host_rx(rig)->n_users = 1;
	offload_make_segments(&frame, N_SEGS, &pieces, &rng);
	return 0;
}

static void
put_piece(struct nic_rig *rig, uint32_t i)
{
	struct unm_bring *r = rig->bp->tx;
	uint32_t ofs = 0, k;

	for (k = 0; k < i; k++)
		ofs += pieces.len[k];
	memcpy(r->bufs + (size_t)r->ring->slot[r->ring->head].buf_idx * BUF_SIZE, pieces.data + ofs,
		pieces.len[i]);
	nic_rig_put(r, (uint16_t)pieces.len[i], 0);
}

static void
put_pieces(struct nic_rig *rig)
{
	uint32_t i;

	for (i = 0; i < N_SEGS; i++)
		put_piece(rig, i);
}

/* The socket has got the super-frame, and nothing else. */
static void
assert_whole(const struct nic_rig *rig)
{
	static uint8_t got[VNET + OFFLOAD_MAX_FRAME];
	const ssize_t n = recv(rig->wire, got, sizeof(got), 0);

	assert_true(n > 0 && offload_is_joined(&frame, got, (uint32_t)n, VNET));
	assert_int_equal(recv(rig->wire, got, sizeof(got), 0), -1);
}

static void
assert_descriptors(const struct nic_rig *rig, uint32_t n)
{
	uint8_t byte;

	assert_true(recv(rig->wire, &byte, 1, 0) <= 0);
	assert_int_equal(*rig->tx.producer, n);
	assert_true(rig->st->txq[0].n_joined == 0);
}

/* The kernel sends what is in the ring. */
static void
all_sent(struct nic_rig *rig)
{
	while (*rig->tx.consumer != *rig->tx.producer) {
		nic_rig_complete(rig, unm_xsk_desc(&rig->tx, *rig->tx.consumer)->addr);
		unm_xsk_consume(&rig->tx, *rig->tx.consumer + 1);
	}
}

/* Another identification in the IP header of the piece in slot @i, whose checksum stays right. */
static void
change_id(struct nic_rig *rig, uint32_t i)
{
	const struct unm_bring *r = rig->bp->tx;
	uint8_t *ip = (uint8_t *)r->bufs + (size_t)r->ring->slot[i].buf_idx * BUF_SIZE + frame.l3;

	unm_put_be16(ip + 4, unm_get_be16(ip + 4) ^ 0x5500u);
	unm_put_raw16(ip + 10, 0);
	unm_put_raw16(ip + 10, (uint16_t)~unm_csum_fold(unm_csum_bytes(ip, 20)));
}

static void
a_run_is_one_frame(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->tx;
	uint32_t round;

	for (round = 1; round <= 10; round++) { /* the ring's end comes by */
		put_pieces(rig);
		assert_int_equal(unm_bport_txsync(rig->bp), 0);
		assert_whole(rig);
		assert_int_equal(*rig->tx.producer, 0);
		assert_int_equal(nic_rig_room(r), SLOTS - 1);
		assert_true(r->kring->n_pkts == round * N_SEGS);
		assert_true(r->kring->n_bytes == (uint64_t)round * pieces.size);
		assert_true(rig->st->txq[0].n_joined == round * N_SEGS);
	}
}

/* What stands before and behind it keeps its place. */
static void
between_others(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->tx;
	uint8_t byte;

	nic_rig_put(r, 60, 0);
	put_pieces(rig);
	nic_rig_put(r, 61, 0);
	/* The kernel has the first one under way: so the others follow it by descriptors. */
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_descriptors(rig, 1 + N_SEGS + 1);
	assert_int_equal(unm_xsk_desc(&rig->tx, 0)->len, 60);
	assert_int_equal(unm_xsk_desc(&rig->tx, N_SEGS + 1)->len, 61);
	all_sent(rig);
	/* Nothing is under way: now they are joined, and what follows is a descriptor. */
	put_pieces(rig);
	nic_rig_put(r, 62, 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_whole(rig);
	assert_int_equal(*rig->tx.producer, N_SEGS + 3);
	assert_int_equal(unm_xsk_desc(&rig->tx, N_SEGS + 2)->len, 62);
	assert_int_equal(nic_rig_room(r), SLOTS - 2);
	assert_int_equal(recv(rig->wire, &byte, 1, 0), -1);
}

/* Whose stack sends here, and to whom? */
static void
only_from_a_host(void **state)
{
	struct nic_rig *rig = *state;
	uint32_t *flags = &rig->d->seg.ports[0].flags;
	static const uint32_t without[] = {
		0, UNM_PORTF_STACK | UNM_PORTF_LINK_DOWN, UNM_PORTF_STACK | UNM_PORTF_VETH_PEER};
	uint32_t i;

	host_rx(rig)->n_users = 0;
	for (i = 0; i < 3; i++) {
		*flags = UNM_PORTF_OPEN | without[i];
		put_piece(rig, 0);
		put_piece(rig, 1);
		assert_int_equal(unm_bport_txsync(rig->bp), 0);
		assert_descriptors(rig, 2 * (i + 1));
		all_sent(rig);
	}
	*flags = UNM_PORTF_OPEN | UNM_PORTF_STACK;
	put_pieces(rig);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_whole(rig);
}

static void
no_runs(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->tx;

	put_piece(rig, 0);
	put_piece(rig, 2); /* one is missing between */
	put_piece(rig, 4);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_descriptors(rig, 3);
	put_piece(rig, 0);
	put_piece(rig, 1);
	/* The second one's last byte is wrong, and stays so. */
	r->bufs[(size_t)r->ring->slot[r->ring->head - 1].buf_idx * BUF_SIZE + pieces.len[1] - 1] ^=
		1;
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_descriptors(rig, 5);
	put_piece(rig, 0); /* alone */
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_descriptors(rig, 6);
}

/* They would leave with other identifications than they have. */
static void
not_counted_up(void **state)
{
	struct nic_rig *rig = *state;

	put_pieces(rig);
	change_id(rig, 1);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_descriptors(rig, N_SEGS);
}

/* Another one who has the socket has turned it elsewhere. */
static void
bound_elsewhere(void **state)
{
	struct nic_rig *rig = *state;

	bound_to++;
	put_pieces(rig);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_descriptors(rig, N_SEGS);
}

/* The kernel does not take it: nothing is lost, and it is left in peace for a while. */
static void
the_kernel_refuses(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->tx;

	shutdown(rig->wire, SHUT_RDWR);
	put_pieces(rig);
	nic_rig_put(r, 60, 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_descriptors(rig, N_SEGS + 1);
	assert_true(r->kring->n_pkts == N_SEGS + 1);
	assert_true(r->kring->drops[UNM_DROP_NO_PORT] == 0);
	all_sent(rig);
	put_piece(rig, 0);
	put_piece(rig, 1);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_descriptors(rig, N_SEGS + 3);
}

/* It has no room just now: that lasts no longer than that. */
static void
the_kernel_is_full(void **state)
{
	struct nic_rig *rig = *state;
	const int fd = rig->fds[UNM_NIC_FD_SEGMENTS(1)];
	static uint8_t fill[60000];
	uint32_t n = 0;

	while (send(fd, fill, sizeof(fill), 0) > 0)
		n++;
	put_piece(rig, 0);
	put_piece(rig, 1);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_int_equal(*rig->tx.producer, 2);
	all_sent(rig);
	while (n-- > 0)
		assert_int_equal(recv(rig->wire, fill, sizeof(fill), 0), sizeof(fill));
	put_pieces(rig);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_whole(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_run_is_one_frame, setup, nic_rig_teardown),
		cmocka_unit_test_setup_teardown(between_others, setup, nic_rig_teardown),
		cmocka_unit_test_setup_teardown(only_from_a_host, setup, nic_rig_teardown),
		cmocka_unit_test_setup_teardown(no_runs, setup, nic_rig_teardown),
		cmocka_unit_test_setup_teardown(not_counted_up, setup, nic_rig_teardown),
		cmocka_unit_test_setup_teardown(bound_elsewhere, setup, nic_rig_teardown),
		cmocka_unit_test_setup_teardown(the_kernel_is_full, setup, nic_rig_teardown),
		cmocka_unit_test_setup_teardown(the_kernel_refuses, setup, nic_rig_teardown),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN); /* the wire's other end is shut in one of them */
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	offload_result_free(&pieces);
	return failed;
}
