/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of a ring whose indices or slots are wrong (spec 7.2 to 7.4): of the ring itself, for every
 * combination on a small ring; and what a sync then does with it, and tells.
 */
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "fake_domain.h"
#include "ring/prologue.h"
#include "traffic.h"

#define N	 4u
#define N_BUFS	 10u
#define BUF_SIZE 2048u

union small_ring {
	uint64_t align;
	char bytes[sizeof(struct netmap_ring) + N * sizeof(struct netmap_slot)]
		__attribute__((aligned(NM_CACHE_ALIGN)));
};

static struct netmap_ring *
small_ring_init(union small_ring *s)
{
	struct netmap_ring *ring = (struct netmap_ring *)(void *)s->bytes;
	uint32_t i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < N; i++) {
		ring->slot[i].buf_idx = 2 + i;
		ring->slot[i].len = 60;
	}
	return ring;
}

/* All values of the three indices: reset if and only if one is out of range. */
static void
indices_out_of_range(void **state)
{
	static const uint32_t values[] = {0, 1, N - 1, N, N + 1, UINT32_MAX};
	const size_t n_values = sizeof(values) / sizeof(values[0]);
	union small_ring s;
	size_t h, c, t;

	(void)state;
	for (h = 0; h < n_values; h++)
		for (c = 0; c < n_values; c++)
			for (t = 0; t < n_values; t++) {
				struct netmap_ring *r = small_ring_init(&s);
				const bool bad = values[h] >= N || values[c] >= N || values[t] >= N;

				r->head = values[h];
				r->cur = values[c];
				r->tail = values[t];
				assert_int_equal(
					unm_ring_reinit(r, N, N_BUFS, BUF_SIZE, 2, 3), bad);
				assert_int_equal(r->head, bad ? 2 : values[h]);
				assert_int_equal(r->cur, bad ? 2 : values[c]);
				assert_int_equal(r->tail, bad ? 3 : values[t]);
			}
}

static void
slots_out_of_range(void **state)
{
	static const struct {
		uint32_t buf_idx, len;
		bool reset;
		uint32_t want_idx, want_len;
	} cases[] = {
		{2, 0, false, 2, 0}, {N_BUFS - 1, BUF_SIZE, false, N_BUFS - 1, BUF_SIZE},
		{2, BUF_SIZE + 1, true, 2, 0}, {2, UINT16_MAX, true, 2, 0}, {1, 60, true, 0, 0},
		{N_BUFS, 60, true, 0, 0}, {UINT32_MAX, UINT16_MAX, true, 0, 0},
		{0, 0, false, 0, 0},  /* a pipe's rx slot before its first use */
		{0, 60, false, 0, 0}, /* the same, with the initial length */
	};
	union small_ring s;
	size_t i;
	uint32_t at;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (at = 0; at < N; at++) {
			struct netmap_ring *r = small_ring_init(&s);
			uint32_t k;

			r->slot[at].buf_idx = cases[i].buf_idx;
			r->slot[at].len = (uint16_t)cases[i].len;
			assert_int_equal(
				unm_ring_reinit(r, N, N_BUFS, BUF_SIZE, 2, 3), cases[i].reset);
			assert_int_equal(r->slot[at].buf_idx, cases[i].want_idx);
			assert_int_equal(r->slot[at].len, cases[i].want_len);
			assert_int_equal(r->head, cases[i].reset ? 2 : 0);
			for (k = 0; k < N; k++) /* the others stay */
				assert_true(k == at ||
					    (r->slot[k].buf_idx == 2 + k && r->slot[k].len == 60));
		}
}

/* A pipe: rings a.tx -> b.rx of 8 slots. */
struct rig {
	struct fake_domain *d;
	struct unm_bport *a, *b;
	struct unm_bring *tx, *rx;
};

static int
setup(void **state)
{
	const struct fake_geometry g = {.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = 8};
	static struct rig rig;
	uint32_t a, b;

	rig.d = fake_domain_new(UNM_SEG_DOMAIN, 100, BUF_SIZE);
	a = fake_port_add(rig.d, &g);
	b = fake_port_add(rig.d, &g);
	fake_pipe_join(rig.d, a, b);
	rig.a = fake_port_open(rig.d, a);
	rig.b = fake_port_open(rig.d, b);
	rig.tx = rig.a->tx;
	rig.rx = rig.b->rx;
	*state = &rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	unm_bport_close(rig->a);
	unm_bport_close(rig->b);
	fake_domain_free(rig->d);
	return 0;
}

static void
send_n(struct rig *rig, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		ring_send_frame(rig->tx, 60, 1, 0, 0, i);
	assert_int_equal(unm_bport_txsync(rig->a), 0);
}

/* tx: the ioctl says 0, the ring starts again behind what was sent, nothing of the bad range is sent. */
static void
tx_sync(void **state)
{
	struct rig *rig = *state;

	send_n(rig, 3);
	rig->tx->ring->head = rig->tx->ring->cur = 8;
	assert_int_equal(unm_bport_txsync(rig->a), 0);
	assert_int_equal(rig->tx->ring->head, 3);
	assert_int_equal(rig->tx->ring->cur, 3);
	assert_int_equal(rig->tx->ring->tail, 7);
	assert_int_equal(rig->tx->kring->n_reinits, 1);
	assert_int_equal(unm_bport_rxsync(rig->b), 0);
	assert_int_equal(rig->rx->ring->tail, 3);
	send_n(rig, 2); /* and it goes on */
	assert_int_equal(unm_bport_rxsync(rig->b), 0);
	assert_int_equal(rig->rx->ring->tail, 5);
}

/* In range but inconsistent: reported, left as it is, legal again when the client puts it right. */
static void
tx_inconsistent(void **state)
{
	struct rig *rig = *state;

	send_n(rig, 3);
	rig->tx->ring->head = rig->tx->ring->cur = 1; /* behind what was sent */
	assert_int_equal(unm_bport_poll(rig->a, POLLOUT), POLLOUT | POLLERR);
	assert_int_equal(rig->tx->ring->head, 1);
	rig->tx->ring->head = rig->tx->ring->cur = 5;
	assert_int_equal(unm_bport_poll(rig->a, POLLOUT), POLLOUT);
	assert_int_equal(unm_bport_rxsync(rig->b), 0);
	assert_int_equal(rig->rx->ring->tail, 5);
}

/* An overwritten tail is put back, with legal indices and with illegal ones. */
static void
tx_tail(void **state)
{
	struct rig *rig = *state;

	rig->tx->ring->tail = 2;
	assert_int_equal(unm_bport_txsync(rig->a), 0);
	assert_int_equal(rig->tx->ring->tail, 7);
	send_n(rig, 3);
	rig->tx->ring->tail = 1;
	rig->tx->ring->head = rig->tx->ring->cur = 2;
	assert_int_equal(unm_bport_txsync(rig->a), 0);
	assert_int_equal(rig->tx->ring->tail, 7);
}

/* rx: reinitialised, and synced all the same. */
static void
rx_sync(void **state)
{
	struct rig *rig = *state;

	send_n(rig, 3);
	assert_int_equal(unm_bport_rxsync(rig->b), 0);
	ring_advance(rig->rx, 1);
	assert_int_equal(unm_bport_rxsync(rig->b), 0);
	send_n(rig, 2);
	rig->rx->ring->cur = 9;
	assert_int_equal(unm_bport_rxsync(rig->b), 0);
	assert_int_equal(rig->rx->ring->head, 1);
	assert_int_equal(rig->rx->ring->cur, 1);
	assert_int_equal(rig->rx->ring->tail, 5);
	assert_int_equal(rig->rx->kring->n_reinits, 1);
}

/* rx, in range but inconsistent: nothing is given back, new packets are seen, poll says POLLERR too. */
static void
rx_inconsistent(void **state)
{
	struct rig *rig = *state;

	send_n(rig, 3);
	assert_int_equal(unm_bport_rxsync(rig->b), 0);
	rig->rx->ring->head = 5; /* beyond tail */
	rig->rx->ring->cur = 5;
	send_n(rig, 1);
	assert_int_equal(unm_bport_poll(rig->b, POLLIN), POLLIN | POLLERR);
	assert_int_equal(rig->rx->ring->head, 5);
	assert_int_equal(rig->rx->ring->tail, 4);
	assert_int_equal(rig->rx->kring->hwcur, 0);
	rig->rx->ring->head = rig->rx->ring->cur = 4;
	assert_int_equal(unm_bport_poll(rig->b, POLLIN), 0);
	assert_int_equal(rig->rx->kring->hwcur, 4);
}

/*
 * The sender died between publishing to the peer and noting it on its own side; whoever continues and loses its
 * place must not go back to slots that are with the receiver.
 */
static void
tx_after_crash(void **state)
{
	struct rig *rig = *state;
	struct unm_kring *k = rig->tx->kring;

	send_n(rig, 4);
	k->hwcur = 1; /* as if the last stores had not been made */
	k->last_head = 1;
	rig->tx->ring->head = rig->tx->ring->cur = 99;
	assert_int_equal(unm_bport_txsync(rig->a), 0);
	assert_int_equal(rig->tx->ring->head, 4);
	send_n(rig, 1);
	assert_int_equal(unm_bport_rxsync(rig->b), 0);
	assert_int_equal(rig->rx->ring->tail, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(indices_out_of_range),
		cmocka_unit_test(slots_out_of_range),
		cmocka_unit_test_setup_teardown(tx_sync, setup, teardown),
		cmocka_unit_test_setup_teardown(tx_inconsistent, setup, teardown),
		cmocka_unit_test_setup_teardown(tx_tail, setup, teardown),
		cmocka_unit_test_setup_teardown(rx_sync, setup, teardown),
		cmocka_unit_test_setup_teardown(rx_inconsistent, setup, teardown),
		cmocka_unit_test_setup_teardown(tx_after_crash, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
