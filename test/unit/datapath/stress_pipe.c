/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes under load, both ways at once: every packet arrives, whole and in order, while the receiver keeps swapping
 * buffers and both ends now sleep, now spin.
 *
 *   stress_pipe threads|processes [milliseconds]
 */
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "actors.h"
#include "ring/kring.h"

#define SLOTS	 128u
#define N_SPARE	 64u
#define BUF_SIZE 512u

/* What both directions of the pipe share with the main program. */
struct ends {
	uint32_t stop;
	uint64_t sent[2]; /* frames of each end, when it has ended; + 1 */
};

/* Packets of one to four slots, each of which is a frame. */
static void
sender(struct actor *a)
{
	struct unm_bring *tx = &a->bp->tx[0];
	struct ends *ends = a->arg;
	struct waiter w;
	uint64_t seq = 0;

	waiter_init(&w, a->d, a->bp->info.binding);
	while (!__atomic_load_n(&ends->stop, __ATOMIC_ACQUIRE)) {
		uint32_t n = traffic_random(&a->seed) % 32, parts = 0;

		for (; n > 0 && ring_space(tx) > 4; n--) {
			const uint32_t len = TRAFFIC_MIN_LEN + traffic_random(&a->seed) %
								       (BUF_SIZE - TRAFFIC_MIN_LEN);
			const bool more = parts < 3 && traffic_random(&a->seed) % 4 == 0;
			const uint32_t head = tx->ring->head;

			traffic_fill(ring_buf(tx, head), len, 0, 0, a->port, seq++);
			tx->ring->slot[head].len = (uint16_t)len;
			tx->ring->slot[head].flags = more ? NS_MOREFRAG : 0;
			ring_advance(tx, 1);
			parts = more ? parts + 1 : 0;
		}
		if (parts > 0) { /* finish the packet */
			const uint32_t head = tx->ring->head;

			traffic_fill(ring_buf(tx, head), 60, 0, 0, a->port, seq++);
			tx->ring->slot[head].len = 60;
			tx->ring->slot[head].flags = 0;
			ring_advance(tx, 1);
		}
		if (ring_space(tx) <= 8 && (a->blocking || traffic_random(&a->seed) % 2)) {
			UNM_WRITE_ONCE(tx->ring->cur, unm_load_acquire(&tx->ring->tail));
			CHECK(waiter_poll(&w, a->bp, POLLOUT, &ends->stop) != 0 || ends->stop);
		} else {
			CHECK(unm_bport_txsync(a->bp) == 0);
		}
	}
	/* The receiver of this end may have been in the ring, and have turned the last sync away. */
	while (tx->ops->tx_done(tx) != tx->ring->head) {
		CHECK(unm_bport_txsync(a->bp) == 0);
		sched_yield();
	}
	__atomic_store_n(&ends->sent[a->port], seq + 1, __ATOMIC_RELEASE);
	waiter_free(&w);
}

static void
receiver(struct actor *a)
{
	struct unm_bring *rx = &a->bp->rx[0];
	struct ends *ends = a->arg;
	const uint64_t *total = &ends->sent[1 - a->port];
	uint32_t spare[N_SPARE], i;
	struct flows flows = {{0}};
	struct waiter w;

	for (i = 0; i < N_SPARE; i++)
		spare[i] = 2 + 2 * SLOTS + a->port * N_SPARE + i;
	waiter_init(&w, a->d, a->bp->info.binding);
	for (;;) { /* until everything is there */
		const uint64_t end = __atomic_load_n(total, __ATOMIC_ACQUIRE);

		if (end != 0 && a->n == end - 1)
			break;
		if (a->blocking || traffic_random(&a->seed) % 2)
			waiter_poll(&w, a->bp, POLLIN, &ends->stop);
		else
			CHECK(unm_bport_rxsync(a->bp) == 0);
		while (ring_space(rx) > 0 && traffic_random(&a->seed) % 50) {
			struct netmap_slot *s = &rx->ring->slot[rx->ring->head];
			const uint32_t k = traffic_random(&a->seed) % N_SPARE, old = s->buf_idx;

			flows_check(&flows, rx, true);
			if (traffic_random(&a->seed) % 4 == 0) {
				s->buf_idx = spare[k];
				s->flags |= NS_BUF_CHANGED;
				spare[k] = old;
			}
			ring_advance(rx, 1);
			a->n++;
		}
	}
	CHECK(unm_bport_rxsync(a->bp) == 0);
	waiter_free(&w);
}

/*
 * One packet at a time, both ends asleep in between: each round is a race between a look and a wake-up, in either
 * direction.
 */
static void
ping(struct actor *a)
{
	struct unm_bring *tx = &a->bp->tx[0], *rx = &a->bp->rx[0];
	struct ends *ends = a->arg;
	struct flows flows = {{0}};
	struct waiter w;

	waiter_init(&w, a->d, a->bp->info.binding);
	while (!__atomic_load_n(&ends->stop, __ATOMIC_ACQUIRE)) {
		ring_send_frame(tx, 60, 0, 0, a->port, a->n++);
		CHECK(waiter_poll(&w, a->bp, POLLIN, NULL) == POLLIN); /* flushes, too */
		CHECK(ring_space(rx) == 1);
		flows_check(&flows, rx, true);
		ring_advance(rx, 1);
	}
	CHECK(unm_bport_rxsync(a->bp) == 0);
	__atomic_store_n(&ends->sent[a->port], a->n, __ATOMIC_RELEASE);
	__atomic_store_n(&ends->stop, 2, __ATOMIC_RELEASE);
	fake_wake_all(a->d);
	waiter_free(&w);
}

static void
pong(struct actor *a)
{
	struct unm_bring *tx = &a->bp->tx[0], *rx = &a->bp->rx[0];
	struct ends *ends = a->arg;
	struct flows flows = {{0}};
	struct waiter w;

	waiter_init(&w, a->d, a->bp->info.binding);
	for (;;) {
		if (waiter_poll(&w, a->bp, POLLIN, &ends->stop) == 0) {
			if (__atomic_load_n(&ends->stop, __ATOMIC_ACQUIRE) == 2)
				break;
			sched_yield(); /* the other end has not finished its last round */
			continue;
		}
		flows_check(&flows, rx, true);
		ring_advance(rx, 1);
		ring_send_frame(tx, 60, 0, 0, a->port, a->n++);
		CHECK(unm_bport_txsync(a->bp) == 0);
	}
	CHECK(a->n == ends->sent[1 - a->port]);
	waiter_free(&w);
}

static void
run_ping_pong(bool processes, unsigned int ms)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};
	struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 2 + 2 * SLOTS, BUF_SIZE);
	struct actor *a = actors_shared(sizeof(*a) * 2);
	struct ends *ends = actors_shared(sizeof(*ends));
	uint32_t i;

	for (i = 0; i < 2; i++)
		fake_port_add(d, &g);
	fake_pipe_join(d, 0, 1);
	for (i = 0; i < 2; i++) {
		a[i].run = i == 0 ? ping : pong;
		a[i].d = d;
		a[i].slot = 1 + i;
		a[i].port = i;
		a[i].arg = ends;
	}
	actors_start(a, 2, processes);
	actors_run(fake_kring(d, 0, true, 0), ms);
	__atomic_store_n(&ends->stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		actor_join(&a[i], processes);
	printf("%s: %llu round trips\n", processes ? "processes" : "threads",
		(unsigned long long)a[0].n);
	CHECK(a[0].n > 10);
	fake_domain_free(d);
}

/* No buffer is in two places. */
static void
check_buffers(struct unm_bport *bp[2])
{
	static uint8_t seen[2 + 2 * SLOTS + 2 * N_SPARE];
	uint32_t end, i;

	memset(seen, 0, sizeof(seen));
	for (end = 0; end < 2; end++) {
		CHECK(unm_bport_txsync(bp[end]) == 0); /* take back the last ones */
		for (i = 0; i < SLOTS; i++) {
			const uint32_t idx = bp[end]->tx[0].ring->slot[i].buf_idx;

			CHECK(idx >= 2 && idx < sizeof(seen) && seen[idx]++ == 0);
		}
	}
}

static void
run(bool processes, bool blocking, unsigned int ms)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};
	struct fake_domain *d =
		fake_domain_new(UNM_SEG_DOMAIN, 2 + 2 * SLOTS + 2 * N_SPARE, BUF_SIZE);
	struct actor *a = actors_shared(sizeof(*a) * 4);
	struct ends *ends = actors_shared(sizeof(*ends));
	struct unm_bport *bp[2];
	uint32_t i;

	for (i = 0; i < 2; i++)
		fake_port_add(d, &g);
	fake_pipe_join(d, 0, 1);
	for (i = 0; i < 2; i++)
		bp[i] = fake_port_open(d, i);
	for (i = 0; i < 4; i++) {
		a[i].run = i < 2 ? receiver : sender;
		a[i].d = d;
		a[i].slot = 1 + i;
		a[i].port = i % 2;
		a[i].blocking = blocking;
		a[i].seed = i + 1;
		a[i].arg = ends;
		a[i].bp = bp[i % 2]; /* sender and receiver of an end share its binding */
	}
	actors_start(a, 4, processes);
	actors_run(fake_kring(d, 0, true, 0), ms / 2);
	actors_run(fake_kring(d, 1, true, 0), ms / 2);
	__atomic_store_n(&ends->stop, 1, __ATOMIC_RELEASE);
	fake_wake_all(d);
	for (i = 0; i < 4; i++)
		actor_join(&a[4 - 1 - i], processes);
	for (i = 0; i < 2; i++) {
		CHECK(a[i].n == ends->sent[1 - i] - 1);
		CHECK(a[i].n > 100);
		printf("%s, %s: end %u got %llu\n", processes ? "processes" : "threads",
			blocking ? "sleeping" : "mixed", i, (unsigned long long)a[i].n);
	}
	check_buffers(bp);
	for (i = 0; i < 2; i++)
		unm_bport_close(bp[i]);
	fake_domain_free(d);
}

int
main(int argc, char **argv)
{
	const bool processes = argc > 1 && strcmp(argv[1], "processes") == 0;
	const unsigned int ms = argc > 2 ? (unsigned int)atoi(argv[2]) : 2000;

	run(processes, true, ms / 3);
	run(processes, false, ms / 3);
	run_ping_pong(processes, ms / 3);
	return 0;
}
