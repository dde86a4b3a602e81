/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy and zero-copy monitors against a dumb model, with random rings, frames, bursts and readers: which frames of each
 * batch a monitor gets, in what order, and how many it misses, is exactly what the spec says (15.3): the newest that fit.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "ring/kring.h"
#include "vale_rig.h"

#define SLOTS	  64u
#define MAX_BATCH 64u
#define MAX_QUEUE 4096u
#define N_RUNS	  40
#define N_STEPS	  400

struct frame {
	uint64_t seq;
	uint32_t n_slots;
};

/* What a monitor ought to be like. */
struct model {
	uint32_t port, n_slots;
	struct unm_bport *bp;
	struct frame queue[MAX_QUEUE]; /* published, not read */
	uint32_t n_queue;
	uint32_t used; /* slots that are not free for those who publish */
	uint32_t read; /* of these, read by the client but not given back by a sync */
	uint64_t missed;
};

static struct vale_rig v;
static uint64_t seed;

static uint32_t
below(uint32_t n)
{
	return traffic_random(&seed) % n;
}

static void
model_open(struct model *m, uint32_t watched, uint32_t flags)
{
	memset(m, 0, sizeof(*m));
	m->n_slots = 2 + below(80);
	m->port = fake_monitor_add(v.d, watched, flags, 1, m->n_slots, 2048);
	m->bp = fake_port_open(v.d, m->port);
}

/* The frames of one sync: the newest that fit. */
static void
model_batch(struct model *m, const struct frame *f, uint32_t n)
{
	uint32_t total = 0, i;

	for (i = 0; i < n; i++)
		total += f[i].n_slots;
	for (i = 0; i < n && total > m->n_slots - 1 - m->used; i++) {
		total -= f[i].n_slots;
		m->missed++;
	}
	m->used += total;
	for (; i < n; i++) {
		assert_true(m->n_queue < MAX_QUEUE);
		m->queue[m->n_queue++] = f[i];
	}
}

/* Read some frames, and compare. */
static void
model_read(struct model *m, uint32_t max_frames)
{
	struct unm_bring *r = &m->bp->rx[0];
	uint32_t i, k, slots = 0;

	assert_int_equal(unm_bport_rxsync(m->bp), 0);
	m->used -= m->read;
	m->read = 0;
	for (i = 0; i < m->n_queue; i++)
		slots += m->queue[i].n_slots;
	assert_int_equal(ring_space(r), slots);
	assert_true(r->kring->rx_full == m->missed);
	for (i = 0; i < m->n_queue && i < max_frames; i++) {
		for (k = 0; k < m->queue[i].n_slots; k++) {
			const uint32_t h = r->ring->head;
			const struct netmap_slot *s = &r->ring->slot[h];
			uint32_t flow;
			uint64_t seq;

			assert_true(traffic_check(ring_buf(r, h), s->len, &flow, &seq));
			assert_true(seq == m->queue[i].seq + k);
			assert_int_equal(
				(s->flags & NS_MOREFRAG) != 0, k + 1 < m->queue[i].n_slots);
			ring_advance(r, 1);
			m->read++;
		}
	}
	memmove(m->queue, m->queue + i, (m->n_queue - i) * sizeof(m->queue[0]));
	m->n_queue -= i;
}

/* Put frames of up to @max_slots slots, each slot a frame of its own for traffic_check(). Return: how many. */
static uint32_t
put_frames(struct frame *f, uint32_t max_slots, uint64_t *seq)
{
	struct unm_bring *tx = vale_tx(&v, 0);
	const uint32_t want = below(MAX_BATCH);
	uint32_t n = 0, k;

	while (n < want && ring_space(tx) >= max_slots) {
		f[n].n_slots = 1 + below(max_slots);
		f[n].seq = *seq;
		for (k = 0; k < f[n].n_slots; k++) {
			const uint32_t h = tx->ring->head;

			ring_send_frame(tx, TRAFFIC_MIN_LEN + below(300), 1, 0, 0, (*seq)++);
			tx->ring->slot[h].flags = k + 1 < f[n].n_slots ? NS_MOREFRAG : 0;
		}
		n++;
	}
	return n;
}

/* Monitors of the sender: all that is sent, in one batch. */
static void
run_tx(uint32_t flags)
{
	struct frame f[MAX_BATCH];
	struct model m[3];
	uint64_t seq = 0;
	uint32_t i, step, n, n_models = flags & UNM_MONF_ZCOPY ? 1 : 3;

	for (i = 0; i < n_models; i++)
		model_open(&m[i], 0, flags);
	for (step = 0; step < N_STEPS; step++) {
		n = put_frames(f, 3, &seq);
		vale_txsync(&v, 0);
		for (i = 0; i < n_models; i++) {
			model_batch(&m[i], f, n);
			if (below(3) == 0)
				model_read(&m[i], below(60));
		}
		vale_drain(&v, 1);
	}
	for (i = 0; i < n_models; i++)
		unm_bport_close(m[i].bp);
}

/* Monitors of the receiver: what it has room for, whether it reads or not. */
static void
run_rx(void)
{
	struct frame f[MAX_BATCH];
	struct model m[2];
	uint64_t seq = 0;
	uint32_t held = 0, i, step, n;

	for (i = 0; i < 2; i++)
		model_open(&m[i], 1, UNM_MONF_RX);
	for (step = 0; step < N_STEPS; step++) {
		n = put_frames(f, 1, &seq);
		vale_txsync(&v, 0);
		if (n > SLOTS - 1 - held)
			n = SLOTS - 1 - held;
		held += n;
		for (i = 0; i < 2; i++) {
			model_batch(&m[i], f, n);
			if (below(3) == 0)
				model_read(&m[i], below(60));
		}
		if (below(4) == 0) {
			assert_int_equal(vale_drain(&v, 1), held);
			held = 0;
		}
	}
	for (i = 0; i < 2; i++)
		unm_bport_close(m[i].bp);
}

static void
run_all(void (*fn)(void))
{
	int run;

	for (run = 0; run < N_RUNS; run++) {
		seed = 1000 + (uint64_t)run;
		vale_rig_init(&v, 2000);
		vale_rig_add(&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = SLOTS});
		vale_rig_add(&v, (struct fake_geometry){.n_tx = 1, .n_rx = 1, .slots = SLOTS});
		vale_rig_teach(&v);
		fn();
		vale_rig_free(&v);
	}
}

static void
copy_tx(void)
{
	run_tx(UNM_MONF_TX);
}

static void
zcopy_tx(void)
{
	run_tx(UNM_MONF_TX | UNM_MONF_RX | UNM_MONF_ZCOPY);
}

static void
of_sender(void **state)
{
	(void)state;
	run_all(copy_tx);
}

static void
of_sender_zero_copy(void **state)
{
	(void)state;
	run_all(zcopy_tx);
}

static void
of_receiver(void **state)
{
	(void)state;
	run_all(run_rx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_sender),
		cmocka_unit_test(of_sender_zero_copy),
		cmocka_unit_test(of_receiver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
