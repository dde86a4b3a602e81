/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings of veth pairs: when they join and part, no frame is lost, doubled or out of order, no buffer is lost or in two
 * places, and a sender gets its own buffers back; also when netmapd is killed while it parts them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "join_rig.h"

#define ALL UINT32_MAX

static int
setup(void **state)
{
	static struct rig rig;

	rig_init(&rig, RIG_SLOTS, RIG_SLOTS);
	rig_open(&rig, 0);
	rig_open(&rig, 1);
	*state = &rig;
	return 0;
}

static int
teardown(void **state)
{
	rig_fini(*state);
	return 0;
}

static void
pair(struct rig *rig)
{
	unm_join_pair(rig->end[0].port, rig->end[1].port);
}

static void
join(struct rig *rig)
{
	pair(rig);
	rig_join(rig);
}

static void
part(struct rig *rig)
{
	unm_join_unpair(rig->end[0].port);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_NONE);
	assert_int_equal(rig_state(rig, 1), UNM_JOIN_NONE);
}

/* Everything that was sent arrives. */
static void
drain(struct rig *rig)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		rig_send(rig, 1 - i, 0);
		while (rig_receive(rig, i, ALL) > 0) /* as much as the rings and the wire hold */
			rig_send(rig, 1 - i, 0);
		assert_int_equal(rig->end[i].got, rig->end[1 - i].sent);
		assert_int_equal(rig->end[i].in->n_late, 0);
	}
}

static void
joined_is_a_pipe(void **state)
{
	struct rig *rig = *state;
	uint32_t i;

	assert_int_equal(rig_send(rig, 0, 5), 5);
	assert_int_equal(rig_receive(rig, 1, ALL), 5);
	assert_int_equal(rig->end[0].out->n_kernel, 5);
	rig_send(rig, 1, 3);
	rig_receive(rig, 0, ALL);
	join(rig);
	for (i = 0; i < 40; i++) {
		const uint32_t at = rig->end[0].bp->tx->ring->head;
		const uint32_t buf = rig->end[0].bp->tx->ring->slot[at].buf_idx;
		const struct unm_bring *rx = rig->end[1].bp->rx;

		assert_int_equal(rig_send(rig, 0, 1), 1);
		assert_int_equal(unm_bport_rxsync(rig->end[1].bp), 0);
		assert_int_equal(rx->ring->slot[rx->ring->head].buf_idx, buf); /* not a copy */
		assert_int_equal(rig_receive(rig, 1, ALL), 1);
		rig_send(rig, 1, i % 15);
		rig_receive(rig, 0, ALL);
	}
	assert_int_equal(rig->end[0].out->n_kernel, 5);
	assert_int_equal(rig_send(rig, 0, ALL), RIG_SLOTS - 1); /* back-pressure */
	assert_int_equal(rig_send(rig, 0, 1), 0);
	drain(rig);
	part(rig);
	rig_check_buffers(rig, NULL, 0);
	assert_int_equal(rig_send(rig, 0, 2), 2);
	drain(rig);
	assert_int_equal(rig->end[0].out->n_kernel, 7);
	join(rig);
	rig_send(rig, 0, 9);
	drain(rig);
	assert_int_equal(rig->end[0].out->n_kernel, 7);
}

/* Wherever the rings stand, and however many frames are unread when they part. */
static void
every_position(void **state)
{
	struct rig *rig = *state;
	uint32_t unread, before;

	for (unread = 0; unread < RIG_SLOTS; unread++) {
		for (before = 0; before < 2; before++) {
			join(rig);
			rig_send(rig, 0, before * 6 + 1);
			rig_send(rig, 1, before);
			rig_receive(rig, 1, before * 5);
			rig_receive(rig, 0, before);
			rig_send(rig, 0, unread);
			part(rig);
			rig_check_buffers(rig, NULL, 0);
			rig_send(rig, 0, 1);
			drain(rig);
		}
	}
}

/* A program that fills its buffers once and sends them again and again. */
static void
sender_keeps_its_contents(void **state)
{
	struct rig *rig = *state;
	struct unm_bring *tx = rig->end[0].bp->tx;
	uint32_t i, flow;
	uint64_t seq;

	join(rig);
	for (i = 0; i < RIG_SLOTS; i++) {
		traffic_fill(ring_buf(tx, i), RIG_FRAME, 0, 0, 7, i);
		tx->ring->slot[i].len = RIG_FRAME;
	}
	ring_advance(tx, 9);
	assert_int_equal(unm_bport_txsync(rig->end[0].bp), 0);
	part(rig);
	for (i = 0; i < RIG_SLOTS; i++) {
		assert_true(traffic_check(ring_buf(tx, i), RIG_FRAME, &flow, &seq));
		assert_int_equal(seq, i);
	}
	rig_check_buffers(rig, NULL, 0);
}

/* The reader closes: what it has not read is gone, as on a pipe, and the sender has its very buffers again. */
static void
reader_closes(void **state)
{
	struct rig *rig = *state;
	struct unm_bring *tx = rig->end[0].bp->tx;
	uint32_t i, bufs[RIG_SLOTS];

	join(rig);
	rig_send(rig, 0, 12);
	rig_receive(rig, 1, 7);
	for (i = 0; i < RIG_SLOTS; i++)
		bufs[i] = tx->ring->slot[i].buf_idx;
	rig_close(rig, 1);
	for (i = 0; i < RIG_SLOTS; i++)
		assert_int_equal(tx->ring->slot[i].buf_idx, bufs[i]);
	assert_int_equal(rig_send(rig, 0, 4), 4); /* through the kernel */
	assert_int_equal(rig->end[0].out->n, 4);
	rig->end[1].got = rig->end[0].sent - 4;
	rig_open(rig, 1);
	drain(rig);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_LINKED); /* by itself */
	rig_join(rig);
	rig_send(rig, 0, 4);
	drain(rig);
	part(rig);
	rig_check_buffers(rig, NULL, 0);
}

/* The sender closes: what it had sent can be read. */
static void
sender_closes(void **state)
{
	struct rig *rig = *state;

	join(rig);
	rig_send(rig, 0, 12);
	rig_receive(rig, 1, 7);
	rig_send(rig, 0, 6);
	rig_close(rig, 0);
	rig->end[0].sent = rig->end[1].got + 11;
	assert_int_equal(rig_receive(rig, 1, ALL), 11);
	rig_open(rig, 0);
	rig_join(rig);
	rig_send(rig, 0, 3);
	drain(rig);
	part(rig);
	rig_check_buffers(rig, NULL, 0);
}

/* An application moves buffers between its rings: the sender gets others back. */
static void
reader_swaps(void **state)
{
	struct rig *rig = *state;
	struct unm_pool *pool = &rig->end[0].port->region->bufs;
	struct unm_bring *rx = rig->end[1].bp->rx;
	uint32_t extra[6], i;

	assert_int_equal(unm_pool_alloc_many(pool, 6, extra, NULL), 0);
	join(rig);
	rig_send(rig, 0, 10);
	assert_int_equal(unm_bport_rxsync(rig->end[1].bp), 0);
	for (i = 0; i < 6; i++) { /* 2 to 7: some will be given back, some not */
		struct netmap_slot *s =
			&rx->ring->slot[unm_pos_add(rx->ring->head, 2 + i, RIG_SLOTS)];
		const uint32_t mine = extra[i];

		memcpy(rx->bufs + (size_t)mine * rx->buf_size,
			rx->bufs + (size_t)s->buf_idx * rx->buf_size, RIG_FRAME);
		extra[i] = s->buf_idx;
		s->buf_idx = mine;
	}
	rig_receive(rig, 1, 5);
	part(rig);
	rig_check_buffers(rig, extra, 6);
	drain(rig);
	unm_pool_free_many(pool, extra, 6);
}

/* A ring that a client syncs can't be linked or parted, and is later. */
static void
busy_ring(void **state)
{
	struct rig *rig = *state;
	struct unm_kring *k = rig->end[1].bp->rx->kring;

	UNM_WRITE_ONCE(k->busy, 77);
	pair(rig);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_NONE);
	assert_int_equal(rig_state(rig, 1), UNM_JOIN_LINKED);
	unm_domain_reap(&rig->dom);
	assert_int_equal(rig->dom.n_reap, 1);
	UNM_WRITE_ONCE(k->busy, 0);
	unm_domain_reap(&rig->dom);
	assert_int_equal(rig->dom.n_reap, 0);
	rig_join(rig);
	rig_send(rig, 0, 3);
	UNM_WRITE_ONCE(k->busy, 77);
	unm_join_unpair(rig->end[0].port);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_JOINED);
	assert_int_equal(rig_state(rig, 1), UNM_JOIN_NONE);
	UNM_WRITE_ONCE(k->busy, 0);
	rig_send(rig, 0, 2); /* a pipe still */
	unm_domain_reap(&rig->dom);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_NONE);
	assert_int_equal(rig->dom.n_reap, 0);
	rig_check_buffers(rig, NULL, 0);
	drain(rig);
}

/* A sender at full speed is in a sync whenever netmapd looks. */
static void
busy_sender(void **state)
{
	struct rig *rig = *state;
	struct unm_kring *k = rig->end[0].bp->tx->kring;

	UNM_WRITE_ONCE(k->busy, 77);
	pair(rig);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_LINKED);
	unm_join_unpair(rig->end[0].port);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_NONE);
	pair(rig);
	UNM_WRITE_ONCE(k->busy, 0);
	assert_int_equal(rig->dom.n_reap, 0);
	rig_join(rig);
	rig_send(rig, 0, 3);
	UNM_WRITE_ONCE(k->busy, 77);
	unm_join_unpair(rig->end[0].port);
	assert_int_equal(
		rig_state(rig, 0), UNM_JOIN_JOINED); /* what is in it has to be shared out */
	UNM_WRITE_ONCE(k->busy, 0);
	unm_domain_reap(&rig->dom);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_NONE);
	rig_check_buffers(rig, NULL, 0);
	drain(rig);
}

/* A receiver that does not sync, or keeps a slot, holds nobody up for long. */
static void
no_answer(void **state)
{
	struct rig *rig = *state;
	uint64_t start;

	pair(rig);
	start = traffic_now_ns();
	rig_send(rig, 0, 3); /* nobody has synced: not even tried */
	assert_int_equal(rig->end[0].out->n_kernel, 3);
	assert_int_equal(unm_bport_rxsync(rig->end[1].bp), 0);
	rig_send(rig, 0, 3);
	assert_int_equal(rig->end[0].out->n_kernel, 6);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_LINKED);
	assert_true(traffic_now_ns() - start < 5000000000u);
	drain(rig);
}

static void
other_slots(void **state)
{
	struct rig rig;

	(void)state; /* cmocka's signature */
	rig_init(&rig, RIG_SLOTS, 2 * RIG_SLOTS);
	rig_open(&rig, 0);
	rig_open(&rig, 1);
	pair(&rig);
	assert_int_equal(rig_state(&rig, 0), UNM_JOIN_NONE);
	rig_send(&rig, 0, 3);
	drain(&rig);
	rig_fini(&rig);
}

/* --- an offer that comes between a receiver's look and its answer --- */

static void *
sync_run(void *arg)
{
	struct rig *rig = arg;

	CHECK(unm_bport_txsync(rig->end[0].bp) == 0);
	return NULL;
}

static pthread_t offering;

/* The sender sends what the receiver has not seen, and then offers. */
static void
send_and_offer(struct rig *rig)
{
	struct unm_kring *rx = rig->end[1].bp->rx->kring;
	const struct unm_kring *tx = rig->end[0].bp->tx->kring;

	rig_before_answer = NULL;
	UNM_WRITE_ONCE(rx->join_ready, 0);
	CHECK(rig_send(rig, 0, 3) == 3);
	UNM_WRITE_ONCE(rx->join_ready, 1);
	CHECK(pthread_create(&offering, NULL, sync_run, rig) == 0);
	while ((UNM_READ_ONCE(tx->join_offer) & 3) !=
		UNM_OFFER_MADE) /* the test has a time limit */
		usleep(50);
}

static void
late_offer(void **state)
{
	struct rig *rig = *state;

	pair(rig);
	assert_int_equal(rig_receive(rig, 1, ALL), 0);
	rig_before_answer = send_and_offer;
	CHECK(unm_bport_rxsync(rig->end[1].bp) == 0);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_LINKED);
	pthread_join(offering, NULL);
	drain(rig);
	rig_check_buffers(rig, NULL, 0);
}

/* It gets a processor only some time after each offer, as on a machine with too much to do. */
static void *
slow_run(void *arg)
{
	struct rig *rig = arg;
	const struct unm_kring *tx = rig->end[0].bp->tx->kring;
	const uint64_t until = traffic_now_ns() + UINT64_C(40000000000);

	while (rig_state(rig, 0) != UNM_JOIN_JOINED) {
		CHECK(traffic_now_ns() < until);
		CHECK(unm_bport_rxsync(rig->end[1].bp) == 0);
		while ((UNM_READ_ONCE(tx->join_offer) & UNM_OFFER_STATES) != UNM_OFFER_MADE &&
			rig_state(rig, 0) != UNM_JOIN_JOINED) {
			CHECK(traffic_now_ns() < until);
			usleep(50);
		}
		usleep(300000);
	}
	return NULL;
}

static void
slow_receiver(void **state)
{
	struct rig *rig = *state;
	pthread_t receiver;

	pair(rig);
	assert_int_equal(pthread_create(&receiver, NULL, slow_run, rig), 0);
	while (rig_state(rig, 0) != UNM_JOIN_JOINED) { /* the thread has a deadline */
		CHECK(unm_bport_txsync(rig->end[0].bp) == 0);
		usleep(100);
	}
	pthread_join(receiver, NULL);
	assert_true(UNM_READ_ONCE(rig->end[0].bp->tx->kring->join_failed) > 0);
	rig_send(rig, 0, 4);
	drain(rig);
	part(rig);
	rig_check_buffers(rig, NULL, 0);
}

/* --- traffic while they join and part --- */

struct side {
	struct rig *rig;
	uint32_t stop;
	pthread_t sender, receiver;
};

static void *
send_run(void *arg)
{
	struct side *s = arg;
	uint64_t seed = 1;

	while (UNM_READ_ONCE(s->stop) == 0)
		rig_send(s->rig, 0, traffic_random(&seed) % RIG_SLOTS);
	return NULL;
}

static void *
receive_run(void *arg)
{
	struct side *s = arg;
	uint64_t seed = 2;

	while (UNM_READ_ONCE(s->stop) == 0)
		rig_receive(s->rig, 1, traffic_random(&seed) % 4 == 0 ? 3 : ALL);
	return NULL;
}

static void
wait_state(struct rig *rig, uint32_t state)
{
	const uint64_t until = traffic_now_ns() + UINT64_C(20000000000);

	while (rig_state(rig, 0) != state) {
		assert_true(traffic_now_ns() < until);
		unm_domain_reap(&rig->dom);
		usleep(200);
	}
}

static void
start_traffic(struct side *s)
{
	assert_int_equal(pthread_create(&s->sender, NULL, send_run, s), 0);
	assert_int_equal(pthread_create(&s->receiver, NULL, receive_run, s), 0);
}

static void
stop_traffic(struct side *s)
{
	UNM_WRITE_ONCE(s->stop, 1);
	pthread_join(s->sender, NULL);
	pthread_join(s->receiver, NULL);
	unm_domain_reap(&s->rig->dom);
}

static void
under_traffic(void **state)
{
	struct side side = {.rig = *state};
	struct rig *rig = side.rig;
	uint64_t seed = 3;
	uint32_t i;

	start_traffic(&side);
	for (i = 0; i < 20; i++) {
		pair(rig);
		wait_state(rig, UNM_JOIN_JOINED);
		usleep(traffic_random(&seed) % 3000);
		unm_join_unpair(rig->end[0].port);
		wait_state(rig, UNM_JOIN_NONE);
		usleep(traffic_random(&seed) % 3000);
	}
	stop_traffic(&side);
	drain(rig);
	rig_check_buffers(rig, NULL, 0);
}

/* Linked and parted at any moment, also while the sender waits for an answer. */
static void
links_flap(void **state)
{
	struct side side = {.rig = *state};
	struct rig *rig = side.rig;
	uint64_t seed = 4;
	uint32_t i;

	start_traffic(&side);
	for (i = 0; i < 300; i++) {
		pair(rig);
		usleep(traffic_random(&seed) % 400);
		unm_join_unpair(rig->end[0].port);
		if (i % 3 == 0)
			wait_state(rig, UNM_JOIN_NONE);
		usleep(traffic_random(&seed) % 400);
	}
	stop_traffic(&side);
	part(rig);
	drain(rig);
	rig_check_buffers(rig, NULL, 0);
}

/* --- netmapd is killed --- */

static void
die(void)
{
	_exit(0);
}

static void
run_child(void (*run)(struct rig *rig), struct rig *rig)
{
	int status;
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		run(rig);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void
child_dies_inside(struct rig *rig)
{
	rig_in_parting = die;
	unm_join_unpair(rig->end[0].port);
}

static void
killed_at_the_end(void **state)
{
	struct rig *rig = *state;

	join(rig);
	rig_send(rig, 0, 12);
	rig_receive(rig, 1, 7);
	rig_send(rig, 0, 6);
	run_child(child_dies_inside, rig);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_PARTING);
	rig_send(rig, 0, 3); /* not taken: its locks are held */
	rig_restart(rig);
	assert_int_equal(rig_state(rig, 0), UNM_JOIN_NONE);
	part(rig);
	rig_check_buffers(rig, NULL, 0);
	drain(rig);
}

static uint32_t kill_after_us;

static void
child_is_killed(struct rig *rig)
{
	const struct itimerval t = {.it_value = {.tv_usec = kill_after_us}};

	setitimer(ITIMER_REAL, &t, NULL); /* SIGALRM ends the process */
	for (;;) {
		unm_join_unpair(rig->end[0].port);
		unm_join_pair(rig->end[0].port, rig->end[1].port);
	}
}

static void
killed_anywhere(void **state)
{
	struct rig *rig = *state;
	uint64_t seed = 5;
	uint32_t i;

	for (i = 0; i < 40; i++) {
		join(rig);
		rig_send(rig, 0, traffic_random(&seed) % 16);
		rig_receive(rig, 1, traffic_random(&seed) % 16);
		rig_send(rig, 0, traffic_random(&seed) % 16);
		rig_send(rig, 1, traffic_random(&seed) % 16);
		kill_after_us = 1 + traffic_random(&seed) % 400;
		run_child(child_is_killed, rig);
		rig_restart(rig);
		part(rig);
		rig_check_buffers(rig, NULL, 0);
		drain(rig);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(joined_is_a_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(every_position, setup, teardown),
		cmocka_unit_test_setup_teardown(sender_keeps_its_contents, setup, teardown),
		cmocka_unit_test_setup_teardown(reader_closes, setup, teardown),
		cmocka_unit_test_setup_teardown(sender_closes, setup, teardown),
		cmocka_unit_test_setup_teardown(reader_swaps, setup, teardown),
		cmocka_unit_test_setup_teardown(busy_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(busy_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(no_answer, setup, teardown),
		cmocka_unit_test(other_slots),
		cmocka_unit_test_setup_teardown(late_offer, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_receiver, setup, teardown),
		cmocka_unit_test_setup_teardown(under_traffic, setup, teardown),
		cmocka_unit_test_setup_teardown(links_flap, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_anywhere, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
