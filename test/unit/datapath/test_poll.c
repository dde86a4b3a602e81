/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One pass of poll(2) (spec 8), the announcement of sleep and who is then signalled, and rings that somebody else is
 * syncing at the moment.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "ring/kring.h"
#include "ring/wake.h"
#include "shm/lock.h"
#include "vale/forward.h"
#include "vale_rig.h"

static struct vale_rig v;

/* Ports 0 and 1 with two rings each way, 16 slots. */
static int
setup(void **state)
{
	const struct fake_geometry g = {.n_tx = 2, .n_rx = 2, .slots = 16};

	(void)state;
	vale_rig_init(&v, 200);
	vale_rig_add(&v, g);
	vale_rig_add(&v, g);
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

/* Put a frame from 0 to 1 into tx ring @ring, without a sync. */
static void
queue(uint32_t ring, uint64_t seq)
{
	ring_send_frame(&v.port[0]->tx[ring], 60, 1, 0, 0, seq);
}

static uint64_t
signals(uint32_t binding)
{
	return fake_signals(v.d, binding);
}

static uint32_t
binding_of(uint32_t port)
{
	return v.port[port]->info.binding;
}

static void
nothing_ready(void **state)
{
	(void)state;
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), 0);
	assert_int_equal(unm_bport_poll(v.port[1], 0), 0);
	assert_int_equal(unm_bport_poll(v.port[1], POLLPRI | POLLRDHUP), 0);
}

/* A poll for input flushes tx, unless the binding says no; a poll for output always does. */
static void
flush(void **state)
{
	static const struct {
		uint64_t nr_flags;
		short events;
		bool flushed;
	} cases[] = {
		{0, POLLIN, true},
		{0, 0, true},
		{0, POLLOUT, true},
		{NR_NO_TX_POLL, POLLIN, false},
		{NR_NO_TX_POLL, POLLOUT, true},
		{NR_NO_TX_POLL, POLLIN | POLLWRNORM, true},
		{NR_DO_RX_POLL, POLLOUT, true},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		v.port[0]->info.nr_flags = cases[i].nr_flags;
		queue(0, 1);
		queue(1, 2);
		unm_bport_poll(v.port[0], cases[i].events);
		assert_int_equal(unm_bport_poll(v.port[1], POLLIN), cases[i].flushed ? POLLIN : 0);
		assert_int_equal(ring_space(&v.port[1]->rx[0]), cases[i].flushed);
		assert_int_equal(ring_space(&v.port[1]->rx[1]), cases[i].flushed); /* every ring */
		teardown(state);
	}
}

/* Just the bits asked for. */
static void
bits(void **state)
{
	static const struct {
		short events, want;
	} cases[] = {
		{POLLIN, POLLIN},
		{POLLRDNORM, POLLRDNORM},
		{POLLIN | POLLRDNORM, POLLIN | POLLRDNORM},
		{POLLOUT, POLLOUT},
		{POLLWRNORM, POLLWRNORM},
		{POLLIN | POLLOUT | POLLPRI, POLLIN | POLLOUT},
		{POLLHUP | POLLERR, 0},
		{0, 0},
	};
	size_t i;

	(void)state;
	queue(0, 1);
	vale_txsync(&v, 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(unm_bport_poll(v.port[1], cases[i].events), cases[i].want);
}

/* Ready means cur != tail: what the client has looked at does not count, though it has not given it back. */
static void
cur_decides(void **state)
{
	struct netmap_ring *rx = v.port[1]->rx[0].ring;

	(void)state;
	queue(0, 1);
	queue(0, 2);
	vale_txsync(&v, 0);
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), POLLIN);
	rx->cur = rx->tail;
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), 0);
	assert_int_equal(rx->head, 0);
	queue(0, 3);
	vale_txsync(&v, 0);
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), POLLIN);
	vale_expect(&v, 1, 0, 1);
	assert_int_equal(rx->tail, 3);
}

/* Any ring with something makes it ready, and all are synced. */
static void
any_ring(void **state)
{
	uint64_t n_syncs;

	(void)state;
	queue(1, 1);
	vale_txsync(&v, 0);
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), POLLIN);
	assert_int_equal(ring_space(&v.port[1]->rx[0]), 0);
	assert_int_equal(ring_space(&v.port[1]->rx[1]), 1);
	v.port[1]->tx[0].ring->cur = v.port[1]->tx[0].ring->tail; /* no wish for more room there */
	assert_int_equal(unm_bport_poll(v.port[1], POLLOUT), POLLOUT);
	v.port[1]->tx[1].ring->cur = v.port[1]->tx[1].ring->tail;
	assert_int_equal(unm_bport_poll(v.port[1], POLLOUT), 0);
	v.port[1]->tx[0].ring->cur = v.port[1]->tx[0].ring->head;
	n_syncs = v.port[1]->tx[1].kring->n_syncs;
	assert_int_equal(unm_bport_poll(v.port[1], POLLOUT), POLLOUT);
	/* ready with the first, nothing to send in the second */
	assert_true(v.port[1]->tx[1].kring->n_syncs == n_syncs);
}

static void
timestamps(void **state)
{
	struct timespec before, after;
	struct timeval *ts;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &before);
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), 0);
	clock_gettime(CLOCK_REALTIME, &after);
	ts = &v.port[1]->rx[1].ring->ts;
	assert_in_range(ts->tv_sec, before.tv_sec, after.tv_sec);
	assert_in_range(ts->tv_usec, 0, 999999);
	memset(ts, 0, sizeof(*ts));
	assert_int_equal(unm_bport_rxsync(v.port[1]), 0);
	assert_true(ts->tv_sec >= before.tv_sec);
}

static void
errors(void **state)
{
	(void)state;
	v.port[1]->rx[1].ring->head = 77;
	queue(0, 1);
	vale_txsync(&v, 0);
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), POLLIN | POLLERR);
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), POLLIN); /* reinitialised */
	v.port[0]->tx[0].ring->head = 99;
	assert_int_equal(unm_bport_poll(v.port[0], POLLIN), POLLERR); /* of the flush */
	fake_slot = 0;
	assert_int_equal(unm_bport_poll(v.port[0], POLLIN | POLLOUT), POLLERR);
	fake_slot = 1;
	fake_port_set_state(v.d, 1, UNM_PORT_DEAD, 0);
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), POLLERR);
	assert_int_equal(unm_bport_poll(v.port[1], 0), POLLERR);
	assert_true(unm_bport_gone(v.port[1]));
}

static void
arming(void **state)
{
	static const struct {
		short events;
		uint64_t nr_flags;
		uint32_t pending, want;
	} cases[] = {
		{POLLIN, 0, 0, UNM_WANT_RX},
		{POLLRDNORM, 0, 0, UNM_WANT_RX},
		{POLLOUT, 0, 0, UNM_WANT_TX},
		{POLLWRNORM | POLLIN, 0, 0, UNM_WANT_TX | UNM_WANT_RX},
		{0, 0, 0, 0},
		{POLLIN, 0, 1, UNM_WANT_TX | UNM_WANT_RX}, /* what is to be flushed may need room */
		{POLLIN, NR_NO_TX_POLL, 1, UNM_WANT_RX},
	};
	const struct unm_seg_binding *b;
	size_t i;
	uint32_t q;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		b = &v.d->seg.bindings[binding_of(0)];
		v.port[0]->info.nr_flags = cases[i].nr_flags;
		if (cases[i].pending)
			queue(1, 1);
		unm_bport_arm(v.port[0], cases[i].events);
		assert_int_equal(b->want, cases[i].want);
		for (q = 0; q < 2; q++) {
			assert_int_equal(
				v.port[0]->rx[q].kring->want, (cases[i].want & UNM_WANT_RX) != 0);
			assert_int_equal(
				v.port[0]->tx[q].kring->want, (cases[i].want & UNM_WANT_TX) != 0);
		}
		teardown(state);
	}
}

/* Of several bindings of the receiver exactly those that sleep for input are signalled, once each. */
static void
who_is_signalled(void **state)
{
	const uint32_t first = binding_of(1);
	uint32_t more[3], i;

	(void)state;
	for (i = 0; i < 3; i++)
		more[i] = fake_binding_add(v.d, 1);
	v.port[1]->info.binding = more[0];
	unm_bport_arm(v.port[1], POLLIN);
	v.port[1]->info.binding = more[2];
	unm_bport_arm(v.port[1], POLLIN | POLLOUT);
	v.port[1]->info.binding = more[1];
	v.port[1]->tx[0].kring->want = 0;
	unm_bport_arm(v.port[1], POLLOUT);
	queue(0, 1);
	queue(1, 2);
	vale_txsync(&v, 0);
	assert_true(signals(first) == 0);
	assert_true(signals(more[0]) == 1);
	assert_true(signals(more[1]) == 0);
	assert_true(signals(more[2]) == 1);
	assert_int_equal(v.d->seg.bindings[more[1]].want, UNM_WANT_TX);
	queue(0, 3); /* awake now */
	vale_txsync(&v, 0);
	assert_true(signals(more[0]) + signals(more[2]) == 0);
	assert_true(vale_tx(&v, 0)->kring->n_wakes == 2);
	v.port[1]->info.binding = first;
}

/* A list that leads to another port's bindings, a cycle, an index out of range, no such port: the walk ends. */
static void
damaged_lists(void **state)
{
	struct unm_seg_binding *b = v.d->seg.bindings;
	const struct unm_env *env = v.port[0]->env;
	const uint32_t first = fake_binding_add(v.d, 1), other = binding_of(0);

	(void)state;
	b[first].want = UNM_WANT_RX;
	b[first].next = other;
	b[other].next = other;
	assert_int_equal(unm_wake_port(env, &v.d->seg, 1, UNM_WANT_RX), 1);
	b[first].want = UNM_WANT_RX;
	b[first].next = first;
	assert_int_equal(unm_wake_port(env, &v.d->seg, 1, UNM_WANT_RX), 1);
	b[first].want = UNM_WANT_RX;
	b[first].next = UNM_SEG_NBINDINGS;
	assert_int_equal(unm_wake_port(env, &v.d->seg, 1, UNM_WANT_RX), 1);
	assert_int_equal(unm_wake_port(env, &v.d->seg, UNM_NONE, UNM_WANT_RX), 0);
	assert_int_equal(unm_wake_port(env, &v.d->seg, v.d->seg.n_ports, UNM_WANT_RX), 0);
}

/* The walk that meets a binding at the moment of its move starts again at the head of its own list. */
static uint32_t moved, move_to;
static const struct unm_env *real_env;

static int
move_binding(const struct unm_seg *seg, uint32_t binding, uint32_t gen)
{
	if (binding == moved) {
		seg->ports[1].bind_head = seg->bindings[moved].next;
		seg->bindings[moved].port = 0;
		seg->bindings[moved].next = move_to;
		moved = UNM_NONE;
	}
	return real_env->wake_fd(seg, binding, gen);
}

static void
binding_moves(void **state)
{
	const uint32_t last = binding_of(1), other = binding_of(0);
	struct unm_env env = *v.port[0]->env;

	(void)state;
	real_env = v.port[0]->env;
	env.wake_fd = move_binding;
	moved = fake_binding_add(v.d, 1);
	move_to = other;
	v.d->seg.bindings[moved].want = UNM_WANT_RX;
	v.d->seg.bindings[last].want = UNM_WANT_RX;
	assert_int_equal(unm_wake_port(&env, &v.d->seg, 1, UNM_WANT_RX), 2);
	assert_true(signals(last) == 1);
}

/* Something that happens in the middle of a ring's sync, after it has looked. */
static struct unm_port_ops hooked;
static const struct unm_port_ops *real_ops;
static void (*in_sync)(void);

static int
rxsync_hook(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const int err = real_ops->rxsync(r, head, tail);

	if (in_sync != NULL)
		in_sync();
	in_sync = NULL;
	return err;
}

static void
frame_and_sleeper(void)
{
	queue(0, 1);
	vale_txsync(&v, 0);
	unm_bport_arm(v.port[1], POLLIN);
	/* The other thread's look: the ring is busy, so it can't see the frame, and goes to sleep */
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), 0);
}

/* Whoever is turned away from a ring and sleeps is signalled by the one who was there. */
static void
turned_away(void **state)
{
	(void)state;
	real_ops = v.port[1]->rx[0].ops;
	hooked = *real_ops;
	hooked.rxsync = rxsync_hook;
	v.port[1]->rx[0].ops = &hooked;
	in_sync = frame_and_sleeper;
	v.port[1]->rx[1].kring->busy = 77; /* so that the hook meets ring 0 only */
	assert_int_equal(unm_bport_rxsync(v.port[1]), 0);
	assert_true(signals(binding_of(1)) == 1);
	assert_int_equal(unm_bport_poll(v.port[1], POLLIN), POLLIN);
	v.port[1]->rx[0].ops = real_ops;
}

/* A ring that is busy is passed over: no error, nothing moves. */
static void
busy_ring(void **state)
{
	(void)state;
	queue(0, 1);
	queue(1, 2);
	v.port[0]->tx[0].kring->busy = 77;
	assert_int_equal(unm_bport_txsync(v.port[0]), 0);
	assert_int_equal(v.port[0]->tx[0].kring->hwcur, 1);
	assert_int_equal(unm_bport_rxsync(v.port[1]), 0);
	assert_int_equal(ring_space(&v.port[1]->rx[0]), 0);
	assert_int_equal(ring_space(&v.port[1]->rx[1]), 1);
	assert_int_equal(unm_bport_poll(v.port[0], POLLIN), 0);
	assert_int_equal(fake_client_died(v.d, 77), 1);
	assert_int_equal(unm_bport_txsync(v.port[0]), 0);
	vale_expect(&v, 1, 0, 1);
}

/* A thread that forwards for long makes another tx ring of the binding wait, but not be forgotten. */
static unm_decide_fn *real_decide;

static void
slow_decision(struct unm_decide *d, struct unm_frame *frames, unsigned int n)
{
	struct unm_vale_src *s = v.port[0]->kind_data;

	s->decide_fn = real_decide;
	/* The other thread has come to ring 1 */
	queue(1, 2);
	v.port[0]->tx++;
	v.port[0]->n_tx = 1;
	unm_bport_arm(v.port[0], POLLIN);
	assert_int_equal(unm_bport_poll(v.port[0], POLLIN), 0);
	v.port[0]->tx--;
	assert_int_equal(v.port[0]->tx[1].kring->hwcur, 0);
	real_decide(d, frames, n);
}

static void
slow_thread(void **state)
{
	struct unm_vale_src *s = v.port[0]->kind_data;

	(void)state;
	real_decide = s->decide_fn;
	s->decide_fn = slow_decision;
	queue(0, 1);
	v.port[0]->n_tx = 1; /* the first thread syncs ring 0 */
	vale_txsync(&v, 0);
	v.port[0]->n_tx = 2;
	assert_true(signals(binding_of(0)) > 0);
	assert_int_equal(unm_bport_poll(v.port[0], POLLIN), 0);
	vale_expect(&v, 1, 0, 1);
	assert_int_equal(ring_space(&v.port[1]->rx[1]), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_ready, setup, teardown),
		cmocka_unit_test(flush),
		cmocka_unit_test_setup_teardown(bits, setup, teardown),
		cmocka_unit_test_setup_teardown(cur_decides, setup, teardown),
		cmocka_unit_test_setup_teardown(any_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(timestamps, setup, teardown),
		cmocka_unit_test_setup_teardown(errors, setup, teardown),
		cmocka_unit_test(arming),
		cmocka_unit_test_setup_teardown(who_is_signalled, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(binding_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(turned_away, setup, teardown),
		cmocka_unit_test_setup_teardown(busy_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_thread, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
