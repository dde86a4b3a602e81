/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Monitors under load, asleep or spinning, slow or fast, while senders and receivers go on.
 *
 *   VALE   senders 0 and 1 -> receiver 2; monitors of 0's tx, of 2's rx (two), and a chain of two zero-copy ones on 2
 *   pipe   0 -> 1, lossless; copy monitors of either end, zero-copy ones of both
 *
 * Every frame that anybody sees is whole and not older than the last of its flow that he saw; the pipe's receiver sees
 * all; who sleeps is woken; and when all have stopped each buffer is in one place.
 *
 *   stress_monitor threads|processes [milliseconds]
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "actors.h"
#include "ring/kring.h"

#define SLOTS	 128u
#define BUF_SIZE 512u
#define ZCOPY	 (UNM_MONF_TX | UNM_MONF_RX | UNM_MONF_ZCOPY)
#define BOTH	 (UNM_MONF_TX | UNM_MONF_RX)

struct shared {
	uint32_t stop;
};

static void
sender(struct actor *a)
{
	struct unm_bring *tx = &a->bp->tx[0];
	const struct shared *s = a->arg;
	struct waiter w;

	waiter_init(&w, a->d, a->bp->info.binding);
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		uint32_t n = traffic_random(&a->seed) % 40;

		for (; n > 0 && ring_space(tx) > 0; n--)
			ring_send_frame(tx, TRAFFIC_MIN_LEN + traffic_random(&a->seed) % 400, 2,
				a->port, a->port, a->n++);
		if (ring_space(tx) == 0 && traffic_random(&a->seed) % 2)
			waiter_poll(&w, a->bp, POLLOUT, &s->stop);
		else
			CHECK(unm_bport_txsync(a->bp) == 0);
	}
	waiter_free(&w);
}

/*
 * A receiver, or a monitor: reads, now and then late. In a zero-copy monitor tx and rx of a pipe's end are different
 * flows, as different ports send them.
 */
static void
reader(struct actor *a)
{
	struct unm_bring *rx = &a->bp->rx[0];
	const struct shared *s = a->arg;
	struct flows flows = {{0}};
	struct waiter w;

	waiter_init(&w, a->d, a->bp->info.binding);
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		if (a->blocking || traffic_random(&a->seed) % 2)
			waiter_poll(&w, a->bp, POLLIN, &s->stop);
		else
			CHECK(unm_bport_rxsync(a->bp) == 0);
		while (ring_space(rx) > 0 && traffic_random(&a->seed) % 30) {
			flows_check(&flows, rx, a->ring != 0);
			ring_advance(rx, 1);
			a->n++;
		}
		if (traffic_random(&a->seed) % 200 == 0)
			usleep(500);
	}
	CHECK(unm_bport_rxsync(a->bp) == 0);
	waiter_free(&w);
}

/* Buffers that rings of region 0 name: each once. An rx ring of a pipe lends what is under way: see test_death.c. */
static void
check_buffers(const struct fake_domain *d)
{
	static uint8_t seen[8192];
	uint32_t k, p;

	memset(seen, 0, sizeof(seen));
	for (k = 0; k < d->kring_top; k++) {
		const struct unm_kring *kr = &d->seg.krings[k], *of = kr;
		const struct unm_seg_port *e = &d->seg.ports[kr->port];
		const bool is_pipe = e->kind == UNM_PORT_PIPE;

		if (d->region_of[kr->port] != 0 || (is_pipe && kr->is_rx))
			continue;
		if (is_pipe)
			of = fake_kring(d, e->peer_port, true, 0);
		for (p = 0; p < kr->num_slots; p++) {
			const uint32_t oldest = unm_pos_next(kr->pub_tail, kr->num_slots);
			const bool lent =
				is_pipe && unm_pos_dist(oldest, p, kr->num_slots) <
						   unm_pos_dist(oldest, of->hwtail, kr->num_slots);
			const struct netmap_ring *ring = (const void *)(d->regions[0].region.base +
									(lent ? of : kr)->ring_ofs);
			const uint32_t idx = ring->slot[p].buf_idx;

			CHECK(idx >= 2 && idx < sizeof(seen) && seen[idx]++ == 0);
		}
		CHECK(kr->swap.is_open == 0);
	}
}

static void
add(struct actor *a, uint32_t *n, struct fake_domain *d, struct shared *s, uint32_t port,
	void (*run)(struct actor *))
{
	a[*n].run = run;
	a[*n].d = d;
	a[*n].slot = 1 + *n;
	a[*n].port = port;
	a[*n].seed = 77 + *n;
	a[*n].blocking = *n % 2;
	a[*n].arg = s;
	(*n)++;
}

static void
run(struct fake_domain *d, struct actor *a, uint32_t n, struct shared *s, const char *what,
	bool processes, unsigned int ms)
{
	uint32_t i;

	actors_start(a, n, processes);
	actors_run(fake_kring(d, 2, true, 0), ms);
	__atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
	fake_wake_all(d);
	for (i = 0; i < n; i++)
		actor_join(&a[i], processes);
	printf("%s, %s:", what, processes ? "processes" : "threads");
	for (i = 0; i < n; i++)
		printf(" %llu", (unsigned long long)a[i].n);
	printf("\n");
	for (i = 0; i < n; i++)
		CHECK(a[i].n > 0);
	check_buffers(d);
	fake_domain_free(d);
}

static void
vale(bool processes, unsigned int ms)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_VALE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};
	struct fake_domain *d = fake_domain_new(UNM_SEG_VALE, 3000, BUF_SIZE);
	struct actor *a = actors_shared(sizeof(*a) * ACTOR_MAX);
	struct shared *s = actors_shared(sizeof(*s));
	uint32_t i, n = 0, chained;

	d->seg.hdr->max_ageing_s = 300;
	for (i = 0; i < 3; i++)
		fake_port_add(d, &g);
	add(a, &n, d, s, 0, sender);
	add(a, &n, d, s, 1, sender);
	add(a, &n, d, s, 2, reader);
	add(a, &n, d, s, fake_monitor_add(d, 0, BOTH, 1, SLOTS, BUF_SIZE), reader);
	add(a, &n, d, s, fake_monitor_add(d, 2, BOTH, 1, SLOTS / 4, BUF_SIZE), reader);
	add(a, &n, d, s, fake_monitor_add(d, 2, UNM_MONF_RX, 1, 4 * SLOTS, BUF_SIZE), reader);
	i = fake_monitor_add(d, 2, ZCOPY, 1, SLOTS, 0);
	add(a, &n, d, s, i, reader);
	chained = fake_port_add(
		d, &(struct fake_geometry){
			   .kind = UNM_PORT_MONITOR, .n_tx = 1, .n_rx = 1, .slots = SLOTS});
	d->seg.ports[chained].mon_flags = ZCOPY;
	fake_monitor_link(d, chained, 0, fake_kring(d, i, true, 0));
	add(a, &n, d, s, chained, reader);
	run(d, a, n, s, "VALE", processes, ms);
}

static void
pipe_ends(bool processes, unsigned int ms)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};
	struct fake_domain *d = fake_domain_new(UNM_SEG_DOMAIN, 3000, BUF_SIZE);
	struct actor *a = actors_shared(sizeof(*a) * ACTOR_MAX);
	struct shared *s = actors_shared(sizeof(*s));
	uint32_t i, n = 0;

	fake_port_add(d, &g);
	fake_port_add(d, &g);
	fake_pipe_join(d, 0, 1);
	i = fake_monitor_add(d, 0, BOTH, 1, SLOTS, BUF_SIZE); /* port 2: run() looks at it */
	add(a, &n, d, s, 0, sender);
	add(a, &n, d, s, 1, reader);
	a[1].ring = 1; /* sees all */
	add(a, &n, d, s, i, reader);
	add(a, &n, d, s, fake_monitor_add(d, 1, BOTH, 1, SLOTS / 2, BUF_SIZE), reader);
	add(a, &n, d, s, fake_monitor_add(d, 0, ZCOPY, 1, SLOTS, 0), reader);
	add(a, &n, d, s, fake_monitor_add(d, 1, ZCOPY, 1, SLOTS / 2, 0), reader);
	run(d, a, n, s, "pipe", processes, ms);
}

int
main(int argc, char **argv)
{
	const bool processes = argc > 1 && strcmp(argv[1], "processes") == 0;
	const unsigned int ms = argc > 2 ? (unsigned int)atoi(argv[2]) : 1000;

	vale(processes, ms / 2);
	pipe_ends(processes, ms / 2);
	return 0;
}
