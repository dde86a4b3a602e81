/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VALE under load from several senders at once: no frame is torn, none overtakes another of its flow, none is lost
 * but those that are counted, and nobody oversleeps.
 *
 *   stress_vale threads|processes [milliseconds]
 */
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "actors.h"
#include "ring/kring.h"
#include "vale_rig.h"

#define SLOTS	256u
#define MAX_LEN 600u

struct plan {
	const char *name;
	uint32_t n_tx_ports,
		tx_rings; /* one actor for each ring; those of a port share its binding */
	uint32_t n_rx_ports, rx_rings;
	bool lossless, floods;
};

static const struct plan plans[] = {
	{"many to one", 4, 1, 1, 1, false, false},
	{"one to many", 1, 1, 8, 1, false, true},
	{"many to one, lossless", 3, 1, 1, 1, true, false},
	{"one to many, lossless", 1, 1, 4, 1, true, true},
	{"rings of one binding", 1, 3, 1, 3, false, false},
	{"rings of one binding, lossless", 1, 3, 1, 2, true, false},
};

#define N_PLANS (sizeof(plans) / sizeof(plans[0]))

/* Shared by the actors of one plan. */
struct scene {
	const struct plan *plan;
	uint32_t stop;	 /* senders: end */
	uint32_t closed; /* senders have ended: receivers end when their rings are empty */
	uint64_t copies
		[ACTOR_MAX]; /* frames that each receiving port should get, lost ones included */
};

static void
fill(struct actor *a, struct scene *s, uint64_t *seq, uint32_t *turn)
{
	struct unm_bring *tx = &a->bp->tx[a->ring];
	const struct plan *p = s->plan;
	uint32_t n = traffic_random(&a->seed) % 100, i;

	for (; n > 0 && ring_space(tx) > 0; n--) {
		const bool flood = p->floods && traffic_random(&a->seed) % 32 == 0;
		const uint32_t len =
			TRAFFIC_MIN_LEN + traffic_random(&a->seed) % (MAX_LEN - TRAFFIC_MIN_LEN);
		const uint32_t to = *turn;

		*turn = (*turn + 1) % p->n_rx_ports;
		ring_send_frame(
			tx, len, flood ? UNM_NONE : p->n_tx_ports + to, a->port, a->slot, (*seq)++);
		for (i = 0; i < p->n_rx_ports; i++)
			if (flood || i == to)
				__atomic_fetch_add(&s->copies[i], 1, __ATOMIC_RELAXED);
	}
}

static bool
all_taken(const struct unm_bring *tx)
{
	return UNM_READ_ONCE(tx->kring->hwcur) == tx->ring->head;
}

static void
sender(struct actor *a)
{
	const struct unm_bring *tx = &a->bp->tx[a->ring];
	struct scene *s = a->arg;
	struct waiter w;
	uint32_t turn = 0;

	waiter_init(&w, a->d, a->bp->info.binding);
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		fill(a, s, &a->n, &turn);
		if (a->blocking && ring_space(tx) == 0)
			waiter_poll(&w, a->bp, POLLOUT, &s->stop);
		else
			CHECK(unm_bport_txsync(a->bp) == 0);
		if (!s->plan->lossless && traffic_random(&a->seed) % 8 == 0)
			usleep(100); /* so that receivers get some of the processor */
	}
	while (!all_taken(tx)) { /* what waits for room in a lossless receiver */
		CHECK(unm_bport_txsync(a->bp) == 0);
		usleep(100);
	}
	waiter_free(&w);
}

/* Takes ring a->ring of its port. */
static void
receiver(struct actor *a)
{
	struct unm_bring *rx = &a->bp->rx[a->ring];
	struct scene *s = a->arg;
	struct flows flows = {{0}};
	struct waiter w;
	uint32_t closed, n;

	waiter_init(&w, a->d, a->bp->info.binding);
	do {
		closed = __atomic_load_n(&s->closed, __ATOMIC_ACQUIRE);
		/* With several rings the others' readiness ends a poll; then spin */
		if (a->blocking && s->plan->rx_rings == 1)
			waiter_poll(&w, a->bp, POLLIN, &s->closed);
		CHECK(unm_bport_rxsync(a->bp) == 0);
		n = ring_space(rx);
		for (; ring_space(rx) > 0; ring_advance(rx, 1)) {
			flows_check(&flows, rx, false);
			a->n++;
		}
		CHECK(unm_bport_rxsync(a->bp) == 0);
		if (n == 0 && !a->blocking)
			sched_yield();
	} while (!closed || n > 0 || UNM_READ_ONCE(rx->kring->busy) != 0 ||
		 UNM_READ_ONCE(rx->kring->hwtail) != rx->ring->head);
	waiter_free(&w);
}

static struct actor *
cast(struct vale_rig *v, const struct plan *p, struct scene *s, bool blocking)
{
	struct actor *a = actors_shared(sizeof(*a) * ACTOR_MAX);
	const uint32_t n_senders = p->n_tx_ports * p->tx_rings;
	uint32_t i;

	for (i = 0; i < n_senders + p->n_rx_ports * p->rx_rings; i++) {
		const uint32_t k = i < n_senders ? i : i - n_senders;
		const uint32_t rings = i < n_senders ? p->tx_rings : p->rx_rings;

		a[i].run = i < n_senders ? sender : receiver;
		a[i].d = v->d;
		a[i].slot = i + 1;
		a[i].port = (i < n_senders ? 0 : p->n_tx_ports) + k / rings;
		a[i].ring = k % rings;
		a[i].bp = v->port[a[i].port];
		a[i].blocking = blocking;
		a[i].seed = i + 1;
		a[i].arg = s;
	}
	return a;
}

static void
verify(struct vale_rig *v, const struct scene *s, const struct actor *receivers, bool blocking)
{
	const struct plan *p = s->plan;
	uint64_t due = 0, got = 0, full = 0, drops[UNM_DROP_N] = {0}, all = 0;
	uint32_t i, k, q;

	for (i = 0; i < p->n_rx_ports; i++) {
		due += s->copies[i];
		for (q = 0; q < p->rx_rings; q++) {
			got += receivers[i * p->rx_rings + q].n;
			full += v->port[p->n_tx_ports + i]->rx[q].kring->rx_full;
		}
	}
	for (i = 0; i < p->n_tx_ports; i++)
		for (q = 0; q < p->tx_rings; q++)
			for (k = 0; k < UNM_DROP_N; k++) {
				drops[k] += v->port[i]->tx[q].kring->drops[k];
				all += v->port[i]->tx[q].kring->drops[k];
			}
	printf("%s, %s: %llu frames due, %llu got, %llu found no room, %llu a stuck lock\n",
		p->name, blocking ? "sleeping" : "spinning", (unsigned long long)due,
		(unsigned long long)got, (unsigned long long)drops[UNM_DROP_RX_FULL],
		(unsigned long long)drops[UNM_DROP_BUSY]);
	CHECK(due == got + all);
	CHECK(full == drops[UNM_DROP_RX_FULL]);
	CHECK(!p->lossless || full == 0);
	/* A holder that does not run for 50 ms is the machine's fault; no other reason has a place here */
	CHECK(all == drops[UNM_DROP_RX_FULL] + drops[UNM_DROP_BUSY]);
	CHECK(got > 100);
}

static void
run(const struct plan *p, bool processes, bool blocking, unsigned int ms)
{
	const uint32_t n_senders = p->n_tx_ports * p->tx_rings;
	const uint32_t n_receivers = p->n_rx_ports * p->rx_rings;
	struct scene *s = actors_shared(sizeof(*s));
	struct vale_rig v;
	struct actor *a;
	uint32_t i;

	s->plan = p;
	vale_rig_init(&v, 20000);
	for (i = 0; i < p->n_tx_ports; i++)
		vale_rig_add(
			&v, (struct fake_geometry){.n_tx = p->tx_rings, .n_rx = 1, .slots = SLOTS});
	for (i = 0; i < p->n_rx_ports; i++)
		vale_rig_add(&v, (struct fake_geometry){.n_tx = 1,
					 .n_rx = p->rx_rings,
					 .slots = SLOTS,
					 .flags = p->lossless ? UNM_PORTF_LOSSLESS : 0});
	vale_rig_teach(&v);
	a = cast(&v, p, s, blocking);
	actors_start(a, n_senders + n_receivers, processes);
	actors_run(fake_kring(v.d, p->n_tx_ports, true, 0), ms);
	__atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
	fake_wake_all(v.d);
	for (i = 0; i < n_senders; i++)
		actor_join(&a[i], processes);
	__atomic_store_n(&s->closed, 1, __ATOMIC_RELEASE);
	fake_wake_all(v.d);
	for (i = 0; i < n_receivers; i++)
		actor_join(&a[n_senders + i], processes);
	verify(&v, s, a + n_senders, blocking);
	vale_rig_free(&v);
}

int
main(int argc, char **argv)
{
	const bool processes = argc > 1 && strcmp(argv[1], "processes") == 0;
	const unsigned int ms = argc > 2 ? (unsigned int)atoi(argv[2]) : 3000;
	size_t i;

	for (i = 0; i < 2 * N_PLANS; i++)
		run(&plans[i / 2], processes, i % 2 == 0, ms / (2 * N_PLANS));
	return 0;
}
