/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port's link: while it is down nothing leaves the port and nothing reaches it, each lost frame
 * is counted under that reason, nobody waits for it; and its client learns of a change by POLLPRI
 * until it looks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>

#include "port/link.h"
#include "vale_rig.h"

static struct vale_rig v;

static int
setup(void **state)
{
	(void)state;
	vale_rig_simple(&v, 3, 16);
	vale_rig_teach(&v);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vale_rig_free(&v);
	return 0;
}

/* As netmapd does it. */
static void
set_link(uint32_t port, bool is_up)
{
	struct unm_seg_port *e = &v.d->seg.ports[port];

	if (is_up)
		e->flags &= ~UNM_PORTF_LINK_DOWN;
	else
		e->flags |= UNM_PORTF_LINK_DOWN;
	__atomic_fetch_add(&v.d->seg.hdr->epoch, 1, __ATOMIC_RELEASE);
}

static void
sender_down(void **state)
{
	struct unm_bring *tx = vale_tx(&v, 0);

	(void)state;
	set_link(0, false);
	vale_send(&v, 0, 1, 60, 1);
	vale_send(&v, 0, 1, 60, 2);
	tx->ring->slot[tx->ring->head].flags = NS_MOREFRAG; /* one frame in two slots */
	vale_send(&v, 0, 1, 60, 3);
	tx->ring->slot[(tx->ring->head + tx->num_slots - 1) % tx->num_slots].flags = NS_MOREFRAG;
	vale_send(&v, 0, 1, 60, 4);
	vale_txsync(&v, 0);
	assert_int_equal(vale_drops(&v, 0, UNM_DROP_LINK_DOWN), 3);
	assert_int_equal(vale_all_drops(&v, 0), 3);
	assert_int_equal(tx->kring->n_pkts, 3);
	assert_int_equal(tx->kring->n_bytes, 240);
	assert_int_equal(ring_space(tx), 15); /* all slots are the client's again */
	assert_int_equal(vale_pending(&v, 1), 0);
	set_link(0, true);
	tx->ring->slot[tx->ring->head].flags = 0;
	vale_send(&v, 0, 1, 60, 5);
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 5);
	assert_int_equal(vale_all_drops(&v, 0), 3);
}

static void
receiver_down(void **state)
{
	(void)state;
	vale_send(&v, 0, 1, 60, 1);
	vale_txsync(&v, 0); /* so that its view of port 1 is there already */
	set_link(1, false);
	vale_send(&v, 0, 1, 60, 2);
	vale_send(&v, 0, 2, 60, 3);
	vale_txsync(&v, 0);
	assert_int_equal(vale_drops(&v, 0, UNM_DROP_LINK_DOWN), 1);
	assert_int_equal(vale_all_drops(&v, 0), 1);
	vale_expect(&v, 2, 0, 3);
	vale_expect(&v, 1, 0, 1); /* what was there before stays */
	assert_int_equal(vale_pending(&v, 1), 0);
	set_link(1, true);
	vale_send(&v, 0, 1, 60, 4);
	vale_txsync(&v, 0);
	vale_expect(&v, 1, 0, 4);
}

/* A frame for all reaches the others, and counts once as lost. */
static void
flood(void **state)
{
	uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	(void)state;
	traffic_mac(frame + 6, 0);
	set_link(1, false);
	ring_send(vale_tx(&v, 0), frame, sizeof(frame), 0);
	vale_txsync(&v, 0);
	assert_int_equal(vale_drops(&v, 0, UNM_DROP_LINK_DOWN), 1);
	assert_int_equal(vale_pending(&v, 1), 0);
	assert_int_equal(vale_drain(&v, 2), 1);
}

/* A lossless receiver with a full ring makes senders wait; one whose link is down does not. */
static void
nobody_waits(void **state)
{
	uint64_t i;

	(void)state;
	v.d->seg.ports[1].flags |= UNM_PORTF_LOSSLESS;
	set_link(1, true);
	for (i = 0; i < 15; i++)
		vale_send(&v, 0, 1, 60, i);
	vale_txsync(&v, 0);
	vale_send(&v, 0, 1, 60, 15);
	vale_txsync(&v, 0);
	assert_int_equal(ring_space(vale_tx(&v, 0)), 14);
	set_link(1, false);
	vale_txsync(&v, 0);
	assert_int_equal(ring_space(vale_tx(&v, 0)), 15);
	assert_int_equal(vale_drops(&v, 0, UNM_DROP_LINK_DOWN), 1);
}

static void
told_until_looked(void **state)
{
	struct unm_bport *bp = v.port[1];
	int i;

	(void)state;
	for (i = 0; i < 2; i++) { /* by either sync */
		assert_int_equal(unm_bport_poll(bp, POLLIN | POLLPRI), 0);
		set_link(1, false);
		assert_int_equal(unm_bport_poll(bp, POLLIN), 0); /* not asked for */
		assert_int_equal(unm_bport_poll(bp, POLLIN | POLLPRI), POLLPRI);
		assert_int_equal(unm_bport_poll(bp, POLLPRI), POLLPRI);
		assert_int_equal(bp->nifp->ni_flags & NI_LINK_DOWN, 0);
		assert_int_equal(i == 0 ? unm_bport_rxsync(bp) : unm_bport_txsync(bp), 0);
		assert_int_equal(bp->nifp->ni_flags & NI_LINK_DOWN, NI_LINK_DOWN);
		assert_int_equal(unm_bport_poll(bp, POLLIN | POLLPRI), 0);
		set_link(1, true);
		assert_int_equal(unm_bport_poll(bp, POLLPRI), POLLPRI);
		assert_int_equal(i == 0 ? unm_bport_rxsync(bp) : unm_bport_txsync(bp), 0);
		assert_int_equal(bp->nifp->ni_flags & NI_LINK_DOWN, 0);
	}
	assert_int_equal(unm_bport_poll(v.port[0], POLLPRI), 0);
}

/* Taken from its switch: so is a link that was down before, which stays down when it is back. */
static void
told_of_switch(void **state)
{
	struct unm_bport *bp = v.port[1];
	uint32_t *flags = &v.d->seg.ports[1].flags;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		const uint32_t before = i == 0 ? 0 : NI_LINK_DOWN;

		*flags |= UNM_PORTF_DETACHED;
		assert_int_equal(unm_bport_poll(bp, POLLPRI), POLLPRI);
		assert_int_equal(bp->nifp->ni_flags & UNM_LINK_BITS, before);
		assert_int_equal(unm_bport_rxsync(bp), 0);
		assert_int_equal(bp->nifp->ni_flags & UNM_LINK_BITS, NI_LINK_DOWN | NI_NO_SWITCH);
		assert_int_equal(unm_bport_poll(bp, POLLPRI), 0);
		*flags &= ~UNM_PORTF_DETACHED;
		assert_int_equal(unm_bport_poll(bp, POLLPRI), POLLPRI);
		assert_int_equal(unm_bport_txsync(bp), 0);
		assert_int_equal(bp->nifp->ni_flags & UNM_LINK_BITS, before);
		set_link(1, false);
		assert_int_equal(unm_bport_rxsync(bp), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sender_down, setup, teardown),
		cmocka_unit_test_setup_teardown(receiver_down, setup, teardown),
		cmocka_unit_test_setup_teardown(flood, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(told_until_looked, setup, teardown),
		cmocka_unit_test_setup_teardown(told_of_switch, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
