/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes (spec 14): order, zero copy with buffers that travel and come back, back-pressure, incomplete packets,
 * state that outlives the view of an end, and what bad slots and bad shared words do.
 */
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "fake_domain.h"
#include "ring/kring.h"
#include "ring/wake.h"
#include "traffic.h"

#define SLOTS	 8u  /* of the rings in most tests */
#define LONG	 64u /* long enough for runs of plain slots */
#define N_BUFS	 300u
#define BUF_SIZE 2048u

struct rig {
	struct fake_domain *d;
	uint32_t pa, pb;
	struct unm_bport *a, *b;
	struct unm_bring *tx, *rx; /* a's to b's */
};

static int
setup_slots(void **state, uint32_t slots)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = slots};
	static struct rig rig;

	rig.d = fake_domain_new(UNM_SEG_DOMAIN, N_BUFS, BUF_SIZE);
	rig.pa = fake_port_add(rig.d, &g);
	rig.pb = fake_port_add(rig.d, &g);
	fake_pipe_join(rig.d, rig.pa, rig.pb);
	rig.a = fake_port_open(rig.d, rig.pa);
	rig.b = fake_port_open(rig.d, rig.pb);
	rig.tx = rig.a->tx;
	rig.rx = rig.b->rx;
	*state = &rig;
	return 0;
}

static int
setup(void **state)
{
	return setup_slots(state, SLOTS);
}

static int
setup_long(void **state)
{
	return setup_slots(state, LONG);
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
sync_tx(struct rig *rig)
{
	assert_int_equal(unm_bport_txsync(rig->a), 0);
}

static void
sync_rx(struct rig *rig)
{
	assert_int_equal(unm_bport_rxsync(rig->b), 0);
}

/* A slot that is recognised by its length. */
static void
put(struct rig *rig, uint32_t len, uint16_t flags)
{
	struct netmap_slot *s = &rig->tx->ring->slot[rig->tx->ring->head];

	assert_true(ring_space(rig->tx) > 0);
	s->len = (uint16_t)len;
	s->flags = flags;
	ring_advance(rig->tx, 1);
}

static void
order_and_zero_copy(void **state)
{
	struct rig *rig = *state;
	uint64_t sent = 0, got = 0;
	int round;

	for (round = 0; round < 100; round++) {
		const uint32_t n = 1 + (uint32_t)round % (SLOTS - 1);
		uint32_t idx[SLOTS], at[SLOTS], i;

		for (i = 0; i < n; i++) {
			idx[i] = rig->tx->ring->slot[rig->tx->ring->head].buf_idx;
			at[i] = ring_send_frame(rig->tx, 60 + i, 1, 0, 5, sent++);
		}
		sync_tx(rig);
		sync_rx(rig);
		assert_int_equal(ring_space(rig->rx), n);
		for (i = 0; i < n; i++) {
			const uint32_t h = rig->rx->ring->head;
			uint32_t flow;
			uint64_t seq;

			assert_int_equal(h, at[i]); /* slot by slot the same place */
			assert_int_equal(rig->rx->ring->slot[h].buf_idx, idx[i]);
			assert_true(traffic_check(
				ring_buf(rig->rx, h), rig->rx->ring->slot[h].len, &flow, &seq));
			assert_true(seq == got++);
			ring_advance(rig->rx, 1);
		}
		sync_rx(rig);
		sync_tx(rig);
		assert_int_equal(ring_space(rig->tx), SLOTS - 1);
	}
	assert_true(rig->tx->kring->n_pkts == sent);
	assert_true(rig->rx->kring->rx_pkts == sent);
	assert_true(rig->rx->kring->n_pkts == sent); /* given back */
}

/* The whole slot crosses: length, flags, ptr; NS_BUF_CHANGED is cleared on the copying side. */
static void
whole_slots(void **state)
{
	struct rig *rig = *state;
	struct netmap_slot *ts = &rig->tx->ring->slot[0];
	struct netmap_slot *rs = &rig->rx->ring->slot[0];

	ts->ptr = UINT64_C(0x1122334455667788);
	put(rig, 77, NS_BUF_CHANGED | NS_REPORT | NS_INDIRECT);
	sync_tx(rig);
	sync_rx(rig);
	assert_int_equal(ts->flags & NS_BUF_CHANGED, 0);
	assert_int_equal(rs->flags & (NS_REPORT | NS_INDIRECT), NS_REPORT | NS_INDIRECT);
	assert_int_equal(rs->len, 77);
	assert_true(rs->ptr == ts->ptr);
	rs->ptr = 99;
	rs->len = 11;
	ring_advance(rig->rx, 1);
	sync_rx(rig);
	sync_tx(rig);
	assert_true(ts->ptr == 99);
	assert_int_equal(ts->len, 11);
}

static void
back_pressure(void **state)
{
	struct rig *rig = *state;
	uint32_t i;

	for (i = 0; i < SLOTS - 1; i++)
		put(rig, 60 + i, 0);
	sync_tx(rig);
	assert_int_equal(ring_space(rig->tx), 0);
	assert_int_equal(unm_bport_poll(rig->a, POLLOUT), 0);
	sync_rx(rig); /* seen, but nothing given back */
	sync_tx(rig);
	assert_int_equal(ring_space(rig->tx), 0);
	ring_advance(rig->rx, 2);
	sync_tx(rig); /* not yet synced by the receiver */
	assert_int_equal(ring_space(rig->tx), 0);
	sync_rx(rig);
	sync_tx(rig);
	assert_int_equal(ring_space(rig->tx), 2);
	assert_int_equal(unm_bport_poll(rig->a, POLLOUT), POLLOUT);
	assert_int_equal(rig->rx->ring->slot[rig->rx->ring->head].len, 62); /* nothing was lost */
	assert_int_equal(ring_space(rig->rx), SLOTS - 3);
}

static void
incomplete_packets(void **state)
{
	struct rig *rig = *state;

	put(rig, 60, 0);
	put(rig, 61, NS_MOREFRAG);
	put(rig, 62, NS_MOREFRAG);
	sync_tx(rig);
	sync_rx(rig);
	assert_int_equal(ring_space(rig->rx), 1);
	sync_tx(rig); /* again, with nothing new */
	sync_rx(rig);
	assert_int_equal(ring_space(rig->rx), 1);
	assert_true(rig->tx->kring->n_pkts == 1);
	put(rig, 63, 0);
	put(rig, 64, NS_MOREFRAG);
	sync_tx(rig);
	sync_rx(rig);
	assert_int_equal(ring_space(rig->rx), 4);
	assert_int_equal(rig->rx->ring->slot[1].len, 61);
	assert_int_equal(rig->rx->ring->slot[1].flags, NS_MOREFRAG);
	assert_int_equal(rig->rx->ring->slot[2].flags, NS_MOREFRAG);
	assert_int_equal(rig->rx->ring->slot[3].len, 63);
	assert_int_equal(rig->rx->ring->slot[3].flags, 0);
	assert_true(rig->tx->kring->n_pkts == 2);
	assert_true(rig->tx->kring->n_bytes == 60 + 61 + 62 + 63);
}

/* The receiver keeps buffers and puts others in their place: these come back to the sender. */
static void
swapped_buffers(void **state)
{
	struct rig *rig = *state;
	const uint32_t spare[3] = {90, 91, 92};
	uint32_t taken[3], i;

	for (i = 0; i < 3; i++)
		put(rig, 60 + i, 0);
	sync_tx(rig);
	sync_rx(rig);
	for (i = 0; i < 3; i++) {
		taken[i] = rig->rx->ring->slot[i].buf_idx;
		rig->rx->ring->slot[i].buf_idx = spare[i];
		rig->rx->ring->slot[i].flags |= NS_BUF_CHANGED;
		assert_int_equal(taken[i], rig->tx->ring->slot[i].buf_idx);
	}
	ring_advance(rig->rx, 2);
	sync_rx(rig);
	sync_tx(rig);
	assert_int_equal(rig->tx->ring->slot[0].buf_idx, spare[0]);
	assert_int_equal(rig->tx->ring->slot[1].buf_idx, spare[1]);
	assert_int_equal(rig->tx->ring->slot[2].buf_idx, taken[2]); /* still the receiver's */
	ring_advance(rig->rx, 1);
	sync_rx(rig);
	sync_tx(rig);
	assert_int_equal(rig->tx->ring->slot[2].buf_idx, spare[2]);
}

/* Packets sent before the peer looks, and positions of an end that is closed and opened again, stay. */
static void
reopened(void **state)
{
	struct rig *rig = *state;

	unm_bport_close(rig->b);
	put(rig, 60, 0);
	put(rig, 61, 0);
	put(rig, 62, NS_MOREFRAG);
	sync_tx(rig);
	rig->b = fake_port_open(rig->d, rig->pb);
	rig->rx = rig->b->rx;
	sync_rx(rig);
	assert_int_equal(ring_space(rig->rx), 2);
	ring_advance(rig->rx, 1);
	sync_rx(rig);
	unm_bport_close(rig->b);
	unm_bport_close(rig->a);
	rig->a = fake_port_open(rig->d, rig->pa);
	rig->tx = rig->a->tx;
	rig->b = fake_port_open(rig->d, rig->pb);
	rig->rx = rig->b->rx;
	put(rig, 63, 0);
	sync_tx(rig);
	sync_rx(rig);
	assert_int_equal(rig->rx->ring->head, 1);
	assert_int_equal(ring_space(rig->rx), 3);
	assert_int_equal(rig->rx->ring->slot[1].len, 61);
	assert_int_equal(rig->rx->ring->slot[2].len, 62);
	assert_int_equal(rig->rx->ring->slot[3].len, 63);
	assert_int_equal(ring_space(rig->tx), SLOTS - 1 - 3);
}

/* A buffer index, length or offset that leaves its buffer reaches nobody: the receiver sees the empty buffer 0. */
static void
bad_slots(void **state)
{
	static const struct {
		uint32_t buf_idx, len, ptr, mask;
		bool bad;
	} cases[] = {
		{0, 60, 0, 0, true},
		{1, 60, 0, 0, true},
		{N_BUFS, 60, 0, 0, true},
		{UINT32_MAX, 60, 0, 0, true},
		{5, BUF_SIZE + 1, 0, 0, true},
		{5, UINT16_MAX, 0, 0, true},
		{5, 60, UINT32_MAX, 0, false}, /* no OFFSETS: ptr is the client's */
		{5, 60, BUF_SIZE - 59, 0xffff, true},
		{5, 60, BUF_SIZE - 60, 0xffff, false},
		{5, 60, 0x10000, 0xffff, false},
		{5, BUF_SIZE, 0, 0xffff, false},
	};
	struct rig *rig = *state;
	uint64_t n_bad = 0;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint32_t at = rig->tx->ring->head;
		struct netmap_slot *ts = &rig->tx->ring->slot[at];
		const struct netmap_slot *rs = &rig->rx->ring->slot[at];
		const uint32_t good = ts->buf_idx;

		rig->rx->kring->offset_mask = cases[i].mask;
		ts->buf_idx = cases[i].buf_idx;
		ts->ptr = cases[i].ptr;
		put(rig, cases[i].len, 0);
		sync_tx(rig);
		sync_rx(rig);
		n_bad += cases[i].bad;
		assert_int_equal(ring_space(rig->rx), 1);
		assert_int_equal(rs->buf_idx, cases[i].bad ? 0 : cases[i].buf_idx);
		assert_int_equal(rs->len, cases[i].bad ? 0 : cases[i].len);
		assert_true((rs->ptr & cases[i].mask) <= BUF_SIZE - rs->len);
		assert_true(rig->tx->kring->drops[UNM_DROP_BAD_SLOT] == n_bad);
		ring_advance(rig->rx, 1);
		sync_rx(rig);
		sync_tx(rig);
		ts->buf_idx = good;
	}
}

/* One bad slot, one that is part of a packet, one with a flag to clear, at any place in a run of plain ones, both ways. */
static void
bad_among_good(void **state)
{
	struct rig *rig = *state;
	uint32_t at, kind, i;

	for (kind = 0; kind < 4; kind++)
		for (at = 0; at < 11; at++) {
			const uint32_t first = rig->tx->ring->head;
			const uint32_t odd = unm_pos_add(first, at, LONG);
			struct netmap_slot *ts = &rig->tx->ring->slot[odd];
			const struct netmap_slot *rs = &rig->rx->ring->slot[odd];
			const uint32_t good = ts->buf_idx;
			const uint64_t n_drops = rig->tx->kring->drops[UNM_DROP_BAD_SLOT];
			const uint64_t n_pkts = rig->tx->kring->n_pkts;
			const uint64_t n_bytes = rig->tx->kring->n_bytes;

			if (kind == 0)
				ts->buf_idx = N_BUFS;
			for (i = 0; i < 12; i++)
				put(rig, i == at && kind == 1 ? BUF_SIZE + 1 : 60 + i,
					i != at || kind < 2 ? 0
					: kind == 2	    ? NS_MOREFRAG
							    : NS_BUF_CHANGED);
			sync_tx(rig);
			sync_rx(rig);
			assert_int_equal(ring_space(rig->rx), 12);
			for (i = 0; i < 12; i++)
				assert_int_equal(
					rig->rx->ring->slot[unm_pos_add(first, i, LONG)].len,
					i == at && kind < 2 ? 0 : 60 + i);
			assert_int_equal(rs->buf_idx, kind < 2 ? 0 : good);
			assert_int_equal(rs->flags & NS_MOREFRAG, kind == 2 ? NS_MOREFRAG : 0);
			assert_int_equal(ts->flags & NS_BUF_CHANGED, 0);
			assert_true(
				rig->tx->kring->drops[UNM_DROP_BAD_SLOT] == n_drops + (kind < 2));
			assert_true(rig->tx->kring->n_pkts == n_pkts + (kind == 2 ? 11 : 12));
			assert_true(rig->tx->kring->n_bytes ==
				    n_bytes + 12 * 60 + 66 - (kind < 2 ? 60 + at : 0));
			/* and a bad one among those given back */
			rig->rx->ring->slot[odd].buf_idx = 1;
			ring_advance(rig->rx, 12);
			sync_rx(rig);
			sync_tx(rig);
			assert_int_equal(ring_space(rig->tx), LONG - 1);
			assert_int_equal(ts->buf_idx, kind == 0 ? N_BUFS : good);
			ts->buf_idx = good;
		}
}

/* What the receiver gives back is looked at as well. */
static void
bad_returns(void **state)
{
	struct rig *rig = *state;
	uint32_t idx[3], i;

	rig->tx->kring->offset_mask = 0xffff;
	for (i = 0; i < 3; i++) {
		idx[i] = rig->tx->ring->slot[i].buf_idx;
		put(rig, 60, 0);
	}
	sync_tx(rig);
	sync_rx(rig);
	rig->rx->ring->slot[0].buf_idx = 0;
	rig->rx->ring->slot[1].buf_idx = 4000000000u;
	rig->rx->ring->slot[2].buf_idx = 90;
	rig->rx->ring->slot[2].ptr = BUF_SIZE + 1;
	ring_advance(rig->rx, 3);
	sync_rx(rig);
	sync_tx(rig);
	assert_int_equal(rig->tx->ring->slot[0].buf_idx, idx[0]);
	assert_int_equal(rig->tx->ring->slot[1].buf_idx, idx[1]);
	assert_int_equal(rig->tx->ring->slot[2].buf_idx, 90);
	assert_true(rig->tx->ring->slot[2].ptr == 0);
}

/*
 * Every value of the two shared words of the queue, right or wrong: neither end's indices become illegal, no slot
 * beyond head is handed over, and with the receiver drained traffic goes on.
 */
static void
wrong_positions(void **state)
{
	uint32_t hwtail, hwcur, i;

	(void)state;
	for (hwtail = 0; hwtail < SLOTS + 2; hwtail++)
		for (hwcur = 0; hwcur < SLOTS + 2; hwcur++) {
			struct rig *rig;
			void *s;

			setup(&s);
			rig = s;
			for (i = 0; i < 4; i++)
				put(rig, 60 + i, 0);
			sync_tx(rig);
			sync_rx(rig);
			ring_advance(rig->rx, 2);
			sync_rx(rig);
			rig->rx->kring->hwtail = hwtail;
			rig->rx->kring->hwcur = hwcur;
			put(rig, 64, 0);
			assert_int_equal(unm_bport_txsync(rig->a), 0);
			assert_true(rig->tx->ring->tail < SLOTS);
			assert_int_equal(rig->tx->ring->head, 5);
			for (i = 5; i < SLOTS; i++)
				assert_int_equal(rig->rx->ring->slot[i].buf_idx, 0);
			assert_true(rig->tx->ring->tail == 7 || rig->tx->ring->tail < 5);
			for (i = 0; i < 4 * SLOTS; i++) { /* both follow what they are told */
				unm_bport_rxsync(rig->b);
				assert_true(rig->rx->ring->tail < SLOTS);
				ring_advance(rig->rx, ring_space(rig->rx));
				unm_bport_rxsync(rig->b);
				unm_bport_txsync(rig->a);
				if (ring_space(rig->tx) > 0)
					put(rig, 100, 0);
				unm_bport_txsync(rig->a);
			}
			unm_bport_rxsync(rig->b);
			assert_int_equal(rig->rx->ring->tail, rig->tx->ring->head);
			teardown(&s);
		}
}

/* Each side signals the other when it sleeps, and only then. */
static void
wakes(void **state)
{
	struct rig *rig = *state;

	put(rig, 60, 0);
	sync_tx(rig);
	assert_true(fake_signals(rig->d, rig->b->info.binding) == 0);
	sync_rx(rig);
	ring_advance(rig->rx, 1);
	unm_bport_arm(rig->b, POLLIN);
	assert_int_equal(unm_bport_poll(rig->b, POLLIN), 0);
	put(rig, 60, 0);
	sync_tx(rig);
	assert_true(fake_signals(rig->d, rig->b->info.binding) == 1);
	assert_int_equal(unm_bport_poll(rig->b, POLLIN), POLLIN);
	while (ring_space(rig->tx) > 0)
		put(rig, 60, 0);
	sync_tx(rig);
	assert_true(fake_signals(rig->d, rig->b->info.binding) == 0); /* not asleep any more */
	unm_bport_arm(rig->a, POLLOUT);
	assert_int_equal(unm_bport_poll(rig->a, POLLOUT), 0);
	ring_advance(rig->rx, 1);
	sync_rx(rig);
	assert_true(fake_signals(rig->d, rig->a->info.binding) == 1);
	assert_int_equal(unm_bport_poll(rig->a, POLLOUT), POLLOUT);
	assert_true(rig->tx->kring->n_wakes == 1);
	assert_true(rig->rx->kring->n_wakes == 1);
}

/*
 * Everything at random, against a model: q[] is the truth about each slot that is under way.
 */
#define N_SPARE 16u

struct model {
	struct netmap_slot q[LONG];
	uint32_t sent;	   /* after the last complete packet handed over */
	uint32_t seen;	   /* rx tail as of the last rxsync */
	uint32_t released; /* by the last rxsync */
	uint32_t back;	   /* taken back by the last txsync */
	uint32_t spare[N_SPARE];
	uint32_t n_spare;
};

static void
model_tx(struct rig *rig, struct model *m, uint64_t *seed)
{
	const uint32_t n = traffic_random(seed) % (ring_space(rig->tx) + 1);
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct netmap_slot *s = &rig->tx->ring->slot[rig->tx->ring->head];

		if (traffic_random(seed) % 8 == 0) { /* another buffer in its place */
			const uint32_t k = traffic_random(seed) % m->n_spare, old = s->buf_idx;

			s->buf_idx = m->spare[k];
			m->spare[k] = old;
		}
		s->ptr = traffic_random(seed);
		put(rig, traffic_random(seed) % (BUF_SIZE + 1),
			traffic_random(seed) % 8 == 0 ? NS_MOREFRAG : 0);
		m->q[unm_pos_prev(rig->tx->ring->head, rig->tx->num_slots)] = *s;
	}
}

static void
model_txsync(struct rig *rig, struct model *m)
{
	const uint32_t n = rig->tx->num_slots;
	uint32_t i;

	for (i = m->sent; i != rig->tx->ring->head; i = unm_pos_next(i, n))
		if (!(m->q[i].flags & NS_MOREFRAG))
			m->sent = unm_pos_next(i, n);
	sync_tx(rig);
	for (; m->back != m->released; m->back = unm_pos_next(m->back, n))
		assert_memory_equal(&rig->tx->ring->slot[m->back], &m->q[m->back], sizeof(m->q[0]));
	assert_int_equal(rig->tx->ring->tail, unm_pos_prev(m->released, n));
}

static void
model_rx(struct rig *rig, struct model *m, uint64_t *seed)
{
	const uint32_t n = traffic_random(seed) % (ring_space(rig->rx) + 1);
	uint32_t i;

	for (i = 0; i < n; i++) {
		const uint32_t at = rig->rx->ring->head;
		struct netmap_slot *s = &rig->rx->ring->slot[at];

		assert_memory_equal(s, &m->q[at], sizeof(*s));
		if (traffic_random(seed) % 3 == 0) {
			const uint32_t k = traffic_random(seed) % m->n_spare, old = s->buf_idx;

			s->buf_idx = m->spare[k];
			m->spare[k] = old;
		}
		s->ptr = traffic_random(seed);
		m->q[at] = *s;
		ring_advance(rig->rx, 1);
	}
}

static void
model_rxsync(struct rig *rig, struct model *m)
{
	sync_rx(rig);
	m->released = rig->rx->ring->head;
	m->seen = m->sent;
	assert_int_equal(rig->rx->ring->tail, m->seen);
}

/* At the end every buffer is in exactly one place. */
static void
model_count_buffers(struct rig *rig, const struct model *m)
{
	uint8_t seen[N_BUFS] = {0};
	uint32_t i;

	for (i = 0; i < rig->tx->num_slots; i++)
		seen[rig->tx->ring->slot[i].buf_idx]++;
	for (i = 0; i < m->n_spare; i++)
		seen[m->spare[i]]++;
	for (i = 0; i < rig->tx->num_slots; i++)
		assert_int_equal(seen[2 + i], 1);
	for (i = 0; i < m->n_spare; i++)
		assert_int_equal(seen[N_BUFS - 1 - i], 1);
}

static void
random_operations(void **state)
{
	struct rig *rig = *state;
	struct model m = {.n_spare = N_SPARE};
	uint64_t seed = 3;
	uint32_t i;

	for (i = 0; i < m.n_spare; i++)
		m.spare[i] = N_BUFS - 1 - i;
	for (i = 0; i < 300000; i++) {
		switch (traffic_random(&seed) % 4) {
		case 0:
			model_tx(rig, &m, &seed);
			break;
		case 1:
			model_txsync(rig, &m);
			break;
		case 2:
			model_rx(rig, &m, &seed);
			break;
		default:
			model_rxsync(rig, &m);
			break;
		}
		if (ring_space(rig->tx) == 0 && m.sent == m.back && rig->tx->ring->head != m.sent) {
			/* the ring is one unfinished packet: finish it, or it stays so for ever */
			const uint32_t last = unm_pos_prev(rig->tx->ring->head, rig->tx->num_slots);

			rig->tx->ring->slot[last].flags = 0;
			m.q[last].flags = 0;
		}
	}
	assert_true(rig->rx->kring->rx_pkts > 10000);
	do { /* drain */
		model_txsync(rig, &m);
		model_rxsync(rig, &m);
		ring_advance(rig->rx, ring_space(rig->rx));
		model_rxsync(rig, &m);
		model_txsync(rig, &m);
	} while (ring_space(rig->rx) > 0);
	model_count_buffers(rig, &m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order_and_zero_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(whole_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(back_pressure, setup, teardown),
		cmocka_unit_test_setup_teardown(incomplete_packets, setup, teardown),
		cmocka_unit_test_setup_teardown(swapped_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(reopened, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_among_good, setup_long, teardown),
		cmocka_unit_test_setup_teardown(bad_returns, setup, teardown),
		cmocka_unit_test(wrong_positions),
		cmocka_unit_test_setup_teardown(wakes, setup, teardown),
		cmocka_unit_test_setup_teardown(random_operations, setup, teardown),
		cmocka_unit_test_setup_teardown(random_operations, setup_long, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
