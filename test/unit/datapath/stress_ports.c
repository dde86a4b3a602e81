/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port that is taken away and given back in the middle of traffic, as netmapd does it: once its locks have been taken
 * and dropped nobody writes to its memory any more, and the other receivers notice nothing.
 *
 *   stress_ports threads|processes [milliseconds]
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "actors.h"
#include "ring/kring.h"
#include "shm/lock.h"
#include "vale_rig.h"

#define SLOTS	  64u
#define N_SENDERS 2u
#define STABLE	  N_SENDERS /* a lossless receiver that stays */
#define VICTIM                                                                                     \
	(N_SENDERS +                                                                               \
		1) /* comes and goes; lossless, too, and nobody reads it: senders wait for it */

struct scene {
	uint32_t stop, closed;
	uint64_t due; /* frames for the stable receiver */
};

static void
sender(struct actor *a)
{
	struct unm_bring *tx = &a->bp->tx[0];
	struct scene *s = a->arg;
	struct waiter w;

	waiter_init(&w, a->d, a->bp->info.binding);
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		uint32_t n = traffic_random(&a->seed) % 40;

		for (; n > 0 && ring_space(tx) > 0; n--) {
			const uint32_t kind = traffic_random(&a->seed) % 4;
			const uint32_t to = kind == 0 ? UNM_NONE : kind == 1 ? VICTIM : STABLE;

			ring_send_frame(tx, 60 + kind, to, a->port, a->port, a->n++);
			if (to != VICTIM)
				__atomic_fetch_add(&s->due, 1, __ATOMIC_RELAXED);
		}
		if (ring_space(tx) == 0)
			waiter_poll(&w, a->bp, POLLOUT, &s->stop);
		else
			CHECK(unm_bport_txsync(a->bp) == 0);
	}
	while (UNM_READ_ONCE(tx->kring->hwcur) != tx->ring->head) {
		CHECK(unm_bport_txsync(a->bp) == 0);
		usleep(100);
	}
	waiter_free(&w);
}

static void
receiver(struct actor *a)
{
	struct unm_bring *rx = &a->bp->rx[0];
	struct scene *s = a->arg;
	struct flows flows = {{0}};
	struct waiter w;
	uint32_t closed, n;

	waiter_init(&w, a->d, a->bp->info.binding);
	do {
		closed = __atomic_load_n(&s->closed, __ATOMIC_ACQUIRE);
		waiter_poll(&w, a->bp, POLLIN, &s->closed);
		for (n = 0; ring_space(rx) > 0; n++, ring_advance(rx, 1))
			flows_check(&flows, rx, false);
		a->n += n;
		CHECK(unm_bport_rxsync(a->bp) == 0);
	} while (!closed || n > 0);
	waiter_free(&w);
}

static void
change_entry(struct fake_domain *d, uint32_t state, uint32_t flags, uint32_t *gen)
{
	struct unm_seg_port *e = &d->seg.ports[VICTIM];

	if (state == UNM_PORT_ACTIVE) { /* a new use of the entry */
		UNM_WRITE_ONCE(e->gen, *gen | 1);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		*gen += 2;
		unm_store_release(&e->gen, *gen);
	}
	fake_port_set_state(d, VICTIM, state, flags);
}

/* Take the lock of the victim's ring as netmapd does, and give it back. Nobody holds it for long. */
static void
wait_out(struct unm_kring *k)
{
	while (unm_lock_take(&k->lock, 65535) != 0)
		;
	unm_lock_release(&k->lock);
}

/* Take the port away, see that its memory is left alone, give it back with an empty ring. */
static void
away_and_back(struct vale_rig *v, uint8_t *memory, size_t size, uint32_t *gen)
{
	struct unm_kring *k = fake_kring(v->d, VICTIM, true, 0);
	uint64_t before[2];
	size_t i;

	change_entry(v->d, UNM_PORT_DEAD, 0, gen);
	wait_out(k);
	fake_wake_all(v->d); /* those who wait for room there */
	memset(memory, 0x5a, size);
	before[0] = k->hwtail;
	before[1] = k->rx_pkts;
	usleep(1000);
	for (i = 0; i < size; i++)
		CHECK(memory[i] == 0x5a);
	CHECK(UNM_READ_ONCE(k->hwtail) == before[0] && UNM_READ_ONCE(k->rx_pkts) == before[1]);
	unm_kring_publish_hwtail(k, 0);
	change_entry(v->d, UNM_PORT_ACTIVE, UNM_PORTF_OPEN | UNM_PORTF_LOSSLESS, gen);
}

static void
run(bool processes, unsigned int ms)
{
	const struct fake_geometry g = {.n_tx = 1, .n_rx = 1, .slots = SLOTS};
	struct fake_geometry lossless = g;
	struct actor *a = actors_shared(sizeof(*a) * (N_SENDERS + 1));
	struct scene *s = actors_shared(sizeof(*s));
	struct fake_region *own;
	struct vale_rig v;
	uint64_t end, busy = 0, delivered = 0;
	uint32_t i, n = 0, gen = 2;

	vale_rig_init(&v, 1000);
	for (i = 0; i < N_SENDERS; i++)
		vale_rig_add(&v, g);
	lossless.flags = UNM_PORTF_LOSSLESS;
	vale_rig_add(&v, lossless);
	lossless.buf_size = 512; /* memory of its own */
	vale_rig_add(&v, lossless);
	vale_rig_teach(&v);
	own = &v.d->regions[v.d->region_of[VICTIM]];
	for (i = 0; i < N_SENDERS + 1; i++) {
		a[i].run = i < N_SENDERS ? sender : receiver;
		a[i].d = v.d;
		a[i].slot = i + 1;
		a[i].port = i;
		a[i].seed = i + 1;
		a[i].arg = s;
	}
	actors_start(a, N_SENDERS + 1, processes);
	end = traffic_now_ns() + ms * UINT64_C(1000000);
	while (traffic_now_ns() < end || n <= 10 || delivered <= 100 ||
		UNM_READ_ONCE(fake_kring(v.d, STABLE, true, 0)->n_pkts) <= 100) {
		usleep(n % 8 * 300);
		delivered += UNM_READ_ONCE(fake_kring(v.d, VICTIM, true, 0)->hwtail);
		/* Of its buffers, those of the tx ring come first */
		away_and_back(&v,
			(uint8_t *)own->region.base + own->region.info.buf_ofs + (2 + SLOTS) * 512,
			SLOTS * 512, &gen);
		n++;
	}
	change_entry(v.d, UNM_PORT_DEAD, 0, &gen);
	wait_out(fake_kring(v.d, VICTIM, true, 0));
	__atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
	fake_wake_all(v.d);
	for (i = 0; i < N_SENDERS; i++)
		actor_join(&a[i], processes);
	__atomic_store_n(&s->closed, 1, __ATOMIC_RELEASE);
	fake_wake_all(v.d);
	actor_join(&a[N_SENDERS], processes);
	for (i = 0; i < N_SENDERS; i++)
		busy += vale_drops(&v, i, UNM_DROP_BUSY);
	printf("%s: away and back %u times, %llu frames for the one who stayed, %llu for the other "
	       "one\n",
		processes ? "processes" : "threads", n, (unsigned long long)a[N_SENDERS].n,
		(unsigned long long)delivered);
	CHECK(a[N_SENDERS].n <= s->due && a[N_SENDERS].n + busy >= s->due);
	CHECK(n > 10 && a[N_SENDERS].n > 100 && delivered > 100);
	vale_rig_free(&v);
}

int
main(int argc, char **argv)
{
	run(argc > 1 && strcmp(argv[1], "processes") == 0,
		argc > 2 ? (unsigned int)atoi(argv[2]) : 2000);
	return 0;
}
