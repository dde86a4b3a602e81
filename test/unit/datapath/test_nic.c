/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves what port/nic_fp.c does with the rings of an AF_XDP socket: which descriptors it makes of
 * slots and which slots of descriptors, that buffers are exchanged and none is lost or doubled, that
 * completions count in whatever order they come, that bad slots cost only themselves, that a process
 * killed between any two steps leaves rings that the next one goes on with, and that nothing is
 * believed which other clients can write to.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "nic_rig.h"

/* Take a buffer from the fill ring and receive @len bytes of @byte into it. */
static uint32_t
receive(struct nic_rig *rig, uint32_t len, uint8_t byte, bool goes_on)
{
	const uint32_t at = *rig->fill.consumer, pos = *rig->rx.producer;
	const uint64_t base = *unm_xsk_addr(&rig->fill, at);
	const uint32_t idx = (uint32_t)(base / BUF_SIZE);
	struct xdp_desc *d = unm_xsk_desc(&rig->rx, pos);

	assert_true(at != *rig->fill.producer);
	unm_xsk_consume(&rig->fill, at + 1);
	memset(rig->bp->rx->bufs + (size_t)idx * BUF_SIZE, byte, len);
	d->addr = base | (uint64_t)UNM_NIC_HEADROOM << 48;
	d->len = len;
	d->options = goes_on ? XDP_PKT_CONTD : 0;
	unm_xsk_produce(&rig->rx, pos + 1);
	return idx;
}

static const uint8_t *
slot_bytes(const struct unm_bring *r, uint32_t i)
{
	return (const uint8_t *)r->bufs + (size_t)r->ring->slot[i].buf_idx * BUF_SIZE;
}

/* Each buffer is in one place only: a slot, the fill ring, or the map of what the kernel has. */
static void
check_buffers(const struct nic_rig *rig)
{
	const struct unm_bring *r = rig->bp->rx;
	uint8_t seen[N_BUFS] = {0};
	uint32_t i, n_owned = 0;

	for (i = 0; i < SLOTS; i++)
		assert_int_equal(seen[r->ring->slot[i].buf_idx]++, 0);
	for (i = 0; i < WINDOW; i++) {
		if (rig->st->owner[i] == 0)
			continue;
		n_owned++;
		assert_int_equal(seen[i], 0);
	}
	assert_int_equal(n_owned, POOL);
	for (i = *rig->fill.consumer; i != *rig->fill.producer; i++) {
		const uint32_t idx = (uint32_t)(*unm_xsk_addr(&rig->fill, i) / BUF_SIZE);

		assert_int_equal(rig->st->owner[idx], 1);
		assert_int_equal(seen[idx]++, 0);
	}
}

/* --- tests --- */

static void
slots_become_descriptors(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->tx;
	const uint32_t first = r->ring->slot[0].buf_idx;
	uint32_t i;

	for (i = 0; i < 4; i++)
		nic_rig_put(r, (uint16_t)(60 + i), i == 1 ? NS_MOREFRAG : 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_int_equal(*rig->tx.producer, 4);
	for (i = 0; i < 4; i++) {
		const struct xdp_desc *d = unm_xsk_desc(&rig->tx, i);

		assert_true(d->addr ==
			    UNM_NIC_HEADROOM + (uint64_t)r->ring->slot[i].buf_idx * BUF_SIZE);
		assert_int_equal(d->len, 60 + i);
		assert_int_equal(d->options, i == 1 ? XDP_PKT_CONTD : 0);
	}
	assert_int_equal(r->ring->slot[0].buf_idx, first);
	assert_int_equal(nic_rig_room(r), SLOTS - 1 - 4);
	assert_true(r->kring->n_pkts == 3);
	assert_true(rig->st->txq[0].n_copied == 0);
}

static void
completions_in_any_order(void **state)
{
	static const uint32_t order[] = {2, 0, 3, 1};
	static const uint32_t done[] = {0, 1, 1, 4};
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->tx;
	uint64_t addr[4];
	uint32_t i;

	for (i = 0; i < 4; i++)
		nic_rig_put(r, 60, 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	for (i = 0; i < 4; i++)
		addr[i] = unm_xsk_desc(&rig->tx, i)->addr;
	unm_xsk_consume(&rig->tx, 4);
	for (i = 0; i < 4; i++) {
		nic_rig_complete(rig, addr[order[i]]);
		assert_int_equal(unm_bport_txsync(rig->bp), 0);
		assert_int_equal(nic_rig_room(r), SLOTS - 1 - 4 + done[i]);
	}
}

static void
bad_slots_are_left_out(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->tx;

	nic_rig_put(r, 60, 0);
	r->ring->slot[r->ring->head].buf_idx = 1000000;
	nic_rig_put(r, 60, 0);
	nic_rig_put(r, 5, 0); /* too short */
	nic_rig_put(r, 61, 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_int_equal(*rig->tx.producer, 1); /* it waits for what is under way */
	unm_xsk_consume(&rig->tx, 1);
	nic_rig_complete(rig, unm_xsk_desc(&rig->tx, 0)->addr);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_int_equal(*rig->tx.producer, 2);
	assert_int_equal(unm_xsk_desc(&rig->tx, 1)->len, 61);
	assert_true(r->kring->drops[UNM_DROP_BAD_SLOT] == 1);
	assert_true(r->kring->drops[UNM_DROP_RUNT] == 1);
	assert_int_equal(nic_rig_room(r), SLOTS - 1 - 1);
}

static void
buffers_from_elsewhere_are_copied(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *tx = rig->bp->tx, *rx = rig->bp->rx;
	const uint32_t outside = WINDOW + 3;

	tx->ring->slot[0].buf_idx = outside;
	memset(tx->bufs + (size_t)outside * BUF_SIZE, 7, 60);
	nic_rig_put(tx, 60, 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_true(unm_xsk_desc(&rig->tx, 0)->addr ==
		    UNM_NIC_HEADROOM + (uint64_t)(FIRST + POOL) * BUF_SIZE);
	assert_int_equal(tx->bufs[(size_t)(FIRST + POOL) * BUF_SIZE], 7);
	assert_true(rig->st->txq[0].n_copied == 1);

	rx->ring->slot[0].buf_idx = outside + 1;
	receive(rig, 60, 9, false);
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal(rx->ring->slot[0].buf_idx, outside + 1);
	assert_int_equal(slot_bytes(rx, 0)[59], 9);
	assert_true(rig->st->rxq[0].n_copied == 1);
	check_buffers(rig);
}

/* As whoever else holds the socket could write them. */
static void
descriptors_that_point_elsewhere(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{UINT64_C(1) << 40, 60},
		{UINT64_MAX >> 16, 2000},
		{(UINT64_C(2000) << 48) | (UINT64_MAX >> 16), 60},
		{0, 60},
		{UNM_NIC_HEADROOM, UINT32_MAX},
	};
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->rx;
	uint32_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		receive(rig, 60, 9, false);
		unm_xsk_desc(&rig->rx, i)->addr = bad[i].addr;
		unm_xsk_desc(&rig->rx, i)->len = bad[i].len;
		r->ring->slot[i].buf_idx = WINDOW + 3 + i; /* so that it is copied */
		assert_int_equal(unm_bport_rxsync(rig->bp), 0);
		assert_int_equal(r->ring->slot[i].len, 0);
		assert_int_equal(r->ring->slot[i].buf_idx, WINDOW + 3 + i);
	}
	receive(rig, 61, 9, false);
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal(r->ring->slot[i].len, 61);
	assert_int_equal(slot_bytes(r, i)[60], 9);
}

static void
receiving_exchanges_buffers(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->rx;
	uint32_t i, round;

	for (round = 0; round < 10; round++) {
		for (i = 0; i < 7; i++)
			receive(rig, 60 + i, (uint8_t)(round + i), i == 2);
		assert_int_equal(unm_bport_rxsync(rig->bp), 0);
		for (i = 0; i < 7; i++) {
			const uint32_t at = (round * 7 + i) % SLOTS;

			assert_int_equal(r->ring->slot[at].len, 60 + i);
			assert_int_equal(r->ring->slot[at].flags, i == 2 ? NS_MOREFRAG : 0);
			assert_int_equal(slot_bytes(r, at)[59], round + i);
		}
		check_buffers(rig);
		r->ring->head = r->ring->cur = r->ring->tail;
	}
	assert_true(rig->st->rxq[0].n_copied == 0);
	assert_true(r->kring->rx_pkts == 60);
}

static void
a_full_ring_takes_no_part_of_a_frame(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->rx;
	uint32_t i;

	for (i = 0; i < SLOTS - 2; i++)
		receive(rig, 60, 1, false);
	receive(rig, 60, 2, true);
	receive(rig, 60, 2, false);
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal((r->ring->tail + SLOTS - r->ring->head) % SLOTS, SLOTS - 2);
	r->ring->head = r->ring->cur = r->ring->tail;
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal((r->ring->tail + SLOTS - r->ring->head) % SLOTS, 2);
	check_buffers(rig);
}

/*
 * Killed in rxsync after some exchanges, before they were counted: @word and the kernel's positions
 * are as before, slots and fill entries are not.
 */
static void
killed_while_receiving(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->rx;
	const uint64_t taken = rig->st->rxq[0].taken;
	const uint32_t fill = *rig->fill.producer, hwtail = r->kring->hwtail;
	uint32_t i;

	for (i = 0; i < 5; i++)
		receive(rig, 60 + i, (uint8_t)i, false);
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	rig->st->rxq[0].taken = taken; /* as if it had not come so far */
	*rig->fill.producer = fill;
	*rig->rx.consumer = 0;
	r->kring->hwtail = hwtail;
	r->ring->tail = 0;
	r->kring->pub_tail = 0;
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal(r->ring->tail, 5);
	for (i = 0; i < 5; i++)
		assert_int_equal(slot_bytes(r, i)[59], i);
	check_buffers(rig);
}

/* Killed between the commit and the kernel's words: the next one brings them up to date. */
static void
killed_before_the_kernel_knew(void **state)
{
	struct nic_rig *rig = *state;
	uint32_t i;

	for (i = 0; i < 5; i++)
		receive(rig, 60, 1, false);
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	*rig->fill.producer = POOL;
	*rig->rx.consumer = 0;
	assert_int_equal(unm_bport_rxsync(rig->bp), 0);
	assert_int_equal(*rig->fill.producer, POOL + 5);
	assert_int_equal(*rig->rx.consumer, 5);
	check_buffers(rig);
}

/* Killed after the tx ring's producer moved: what was sent is not sent again. */
static void
killed_while_sending(void **state)
{
	struct nic_rig *rig = *state;
	struct unm_bring *r = rig->bp->tx;
	uint32_t i;

	for (i = 0; i < 3; i++)
		nic_rig_put(r, 60, 0);
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	rig->st->txq[0].taken = 0;
	r->kring->hwcur = 0;
	assert_int_equal(unm_bport_txsync(rig->bp), 0);
	assert_int_equal(*rig->tx.producer, 3);
	assert_int_equal(r->kring->hwcur, 3);
	assert_int_equal(nic_rig_room(r), SLOTS - 1 - 3);
}

/* Stray stores into the shared words: no crash, no endless loop, nothing outside the rings. */
static void
garbage_in_shared_words(void **state)
{
	struct nic_rig *rig = *state;
	uint32_t i;

	for (i = 0; i < 64; i++) {
		const uint64_t v = 0x9e3779b97f4a7c15u * (i + 1);

		rig->st->txq[0].taken = v;
		rig->st->txq[0].done = ~v;
		rig->st->rxq[0].taken = v >> 7;
		*rig->tx.producer = (uint32_t)(v >> 3);
		*rig->comp.producer = (uint32_t)(v >> 5);
		*rig->rx.producer = (uint32_t)(v >> 11);
		nic_rig_put(rig->bp->tx, 60, 0);
		unm_bport_txsync(rig->bp);
		unm_bport_rxsync(rig->bp);
	}
}

/* ... into what never changes: it has been copied. */
static void
garbage_in_the_setup(void **state)
{
	struct nic_rig *rig = *state;

	memset(&rig->st->setup, 0xff, sizeof(rig->st->setup));
	memset(rig->st->bounce, 0xff, sizeof(rig->st->bounce));
	buffers_from_elsewhere_are_copied(state);
}

static int
try_open(struct nic_rig *rig)
{
	struct unm_bind_info info = fake_bind_info(rig->d, 0, 0);
	struct unm_bport *bp = NULL;
	int err;

	info.n_port_fds = rig->n_fds;
	err = fake_port_try_open(rig->d, &info, rig->fds, &bp);
	unm_bport_close(bp);
	return err;
}

#define OFS(field) offsetof(struct unm_nic_setup, field)

/* A setup that is not possible is refused, whoever has written it. */
static void
wrong_setups_are_refused(void **state)
{
	static const struct {
		size_t ofs;
		uint32_t v;
	} wrong[] = {
		{OFS(magic), 0},
		{OFS(version), UNM_NIC_VERSION + 1},
		{OFS(size), 4096},
		{OFS(mode), 0},
		{OFS(mode), UNM_NIC_N_MODES + 1},
		{OFS(n_queues), 2},
		{OFS(n_queues), UINT32_MAX},
		{OFS(lead) + 4, 1},
		{OFS(stride), 0},
		{OFS(stride), BUF_SIZE * 2},
		{OFS(n_window), N_BUFS + 1},
		{OFS(n_window), UINT32_MAX},
		{OFS(frame_room), BUF_SIZE + 1},
		{OFS(n_bounce), 0},
		{OFS(n_bounce), UNM_NIC_MAX_BOUNCE + 1},
		{OFS(tx_size), 0},
		{OFS(tx_size), SLOTS / 2},
		{OFS(comp_size), RING - 1},
		{OFS(rx_size), 131072},
		{OFS(fill_size), UINT32_MAX},
		{OFS(rx_ofs.producer), 192},
		{OFS(tx_ofs.consumer) + 4, 1},
		{OFS(fill_ofs.flags), 2},
		{OFS(comp_ofs.desc), 1 << 20},
		{OFS(comp_ofs.desc) + 4, UINT32_MAX},
		{OFS(rx_ofs.desc), 196},
	};
	struct nic_rig *rig = *state;
	const struct unm_nic_setup right = rig->st->setup;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memcpy((char *)&rig->st->setup + wrong[i].ofs, &wrong[i].v, sizeof(wrong[i].v));
		assert_int_equal(try_open(rig), -EINVAL);
		rig->st->setup = right;
	}
	rig->st->bounce[0][N_BOUNCE - 1] = WINDOW;
	assert_int_equal(try_open(rig), -EINVAL);
	rig->st->bounce[0][N_BOUNCE - 1] = WINDOW - 1;
	assert_int_equal(try_open(rig), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, nic_rig_setup, nic_rig_teardown)
	const struct CMUnitTest tests[] = {
		T(slots_become_descriptors),
		T(completions_in_any_order),
		T(bad_slots_are_left_out),
		T(buffers_from_elsewhere_are_copied),
		T(descriptors_that_point_elsewhere),
		T(receiving_exchanges_buffers),
		T(a_full_ring_takes_no_part_of_a_frame),
		T(killed_while_receiving),
		T(killed_before_the_kernel_knew),
		T(killed_while_sending),
		T(garbage_in_shared_words),
		T(garbage_in_the_setup),
		T(wrong_setups_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
