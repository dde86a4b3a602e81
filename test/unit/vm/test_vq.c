/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtqueues against a driver and a model, over all formats and options: what the driver makes
 * available is peeked in that order with the right parts, what is pushed comes back with the right
 * lengths, through wrap-arounds, peeks that are given back, stops and starts, deaths; and whoever
 * has gone to sleep is always woken.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "support/test_random.h"
#include "vq_rig.h"

#define MAX_SEGS 6u
#define MAX_SEEN 4096u /* chains under way that the model remembers */
#define MAX_PART 64u
#define BURST	 40u

/* A chain as the driver added it. */
struct known {
	struct vd_seg seg[MAX_SEGS];
	unsigned int n_read, n_write;
	uint32_t written; /* by the device */
};

/* Positions run freely: added >= peeked >= pushed >= got. */
struct model {
	struct rig r;
	struct known known[MAX_SEEN];
	struct unm_vq_chain peek[MAX_SEEN]; /* as peeked; only id and n_descs are used later */
	uint64_t added, published, peeked, pushed, flushed, got;
	uint32_t random;
	bool device_sleeps, driver_sleeps;
	uint64_t driver_wakes_at; /* when so many were flushed */
	bool writes;		  /* in order: all chains are written to, or none */
};

static uint32_t
pick(struct model *m, uint32_t n)
{
	return test_random(&m->random) % n;
}

/* A run of bytes, often across the border of the regions. */
static struct vd_seg
pick_seg(struct model *m)
{
	const uint64_t border = RIG_GPA + RIG_SIZE / 2;
	const uint32_t len = 1 + pick(m, 3000);

	if (pick(m, 4) == 0)
		return (struct vd_seg){border - 1 - pick(m, len), len};
	return (struct vd_seg){m->r.buffers + pick(m, 1000000), len};
}

static void
driver_adds(struct model *m)
{
	unsigned int i, n = pick(m, BURST);
	bool kick;

	for (; n > 0; n--) {
		struct known *k = &m->known[m->added % MAX_SEEN];

		k->n_read = pick(m, MAX_SEGS / 2 + 1);
		k->n_write = pick(m, MAX_SEGS / 2 + 1);
		if (m->r.c.in_order)
			k->n_write = m->writes ? k->n_write + (k->n_write == 0) : 0;
		if (k->n_read + k->n_write == 0)
			k->n_read = 1;
		if (k->n_read + k->n_write > m->r.c.num)
			continue;
		for (i = 0; i < k->n_read + k->n_write; i++)
			k->seg[i] = pick_seg(m);
		if (vd_add(&m->r.vd, k->seg, k->n_read, k->n_write, m->added) != 0)
			break;
		m->added++;
	}
	if (m->added == m->published)
		return;
	kick = vd_publish(&m->r.vd);
	m->published = m->added;
	if (m->device_sleeps)
		assert_true(kick);
	m->device_sleeps = false;
}

/* The parts, joined where they are contiguous, are the segments. */
static void
check_parts(const struct model *m, const struct known *k, const struct unm_vq_chain *c)
{
	unsigned int s = 0, p;
	uint32_t ofs = 0;
	uint64_t read_len = 0, write_len = 0;

	for (p = 0; p < (unsigned int)c->n_read + c->n_write; p++) {
		const struct unm_vq_part *part = &c->part[p];

		assert_true(s < k->n_read + k->n_write);
		assert_true((p < c->n_read) == (s < k->n_read));
		assert_int_equal(part->gpa, k->seg[s].gpa + ofs);
		assert_ptr_equal(unm_guest_map((struct unm_guest_mem *)&m->r.mem, part->gpa,
					 &(uint64_t){part->len}),
			part->data);
		assert_true(part->len > 0 && part->len <= k->seg[s].len - ofs);
		ofs += part->len;
		if (p < c->n_read)
			read_len += part->len;
		else
			write_len += part->len;
		if (ofs == k->seg[s].len) {
			ofs = 0;
			s++;
		}
	}
	assert_int_equal(s, k->n_read + k->n_write);
	assert_int_equal(read_len, c->read_len);
	assert_int_equal(write_len, c->write_len);
}

static void
device_peeks(struct model *m)
{
	unsigned int n = pick(m, BURST);

	for (; n > 0; n--) {
		struct unm_vq_part part[MAX_PART];
		struct unm_vq_chain *c = &m->peek[m->peeked % MAX_SEEN];
		const int ret = unm_vq_peek(m->r.q, c, part, MAX_PART);

		assert_int_equal(ret, m->peeked < m->published);
		if (ret == 0)
			break;
		check_parts(m, &m->known[m->peeked % MAX_SEEN], c);
		m->peeked++;
	}
}

static void
device_unpeeks(struct model *m)
{
	unsigned int n = pick(m, 5);

	if (pick(m, 8) == 0) {
		unm_vq_rewind(m->r.q);
		m->peeked = m->pushed;
	}
	for (; n > 0 && m->peeked > m->pushed; n--)
		unm_vq_unpeek(m->r.q, &m->peek[--m->peeked % MAX_SEEN]);
}

static void
device_pushes(struct model *m)
{
	unsigned int n = pick(m, BURST);
	bool call;

	for (; n > 0 && m->pushed < m->peeked; n--) {
		const struct unm_vq_chain *c = &m->peek[m->pushed % MAX_SEEN];
		struct known *k = &m->known[m->pushed % MAX_SEEN];

		k->written = c->write_len > 0 ? 1 + pick(m, c->write_len) : 0;
		unm_vq_push(m->r.q, c, k->written);
		m->pushed++;
	}
	if (pick(m, 3) == 0)
		return; /* not yet visible */
	call = unm_vq_flush(m->r.q);
	m->flushed = m->pushed;
	if (m->driver_sleeps && m->flushed >= m->driver_wakes_at) {
		assert_true(call);
		m->driver_sleeps = false;
	}
}

static void
driver_gets(struct model *m)
{
	struct vd_used used[BURST];
	int n, i;

	n = vd_get(&m->r.vd, used, 1 + pick(m, BURST));
	assert_true(n >= 0);
	for (i = 0; i < n; i++) {
		assert_true(m->got < m->flushed);
		assert_int_equal(used[i].token, m->got);
		assert_int_equal(used[i].len, m->known[m->got % MAX_SEEN].written);
		m->got++;
	}
}

static void
device_sleeps(struct model *m)
{
	/* As the loop does: only when everything that it has seen is peeked. */
	if (m->peeked < m->published)
		return;
	assert_false(unm_vq_kicks_on(m->r.q));
	m->device_sleeps = true;
}

static void
driver_sleeps(struct model *m)
{
	const uint16_t after = 1;

	if (m->got < m->flushed)
		return;
	assert_false(vd_calls_on(&m->r.vd, after));
	m->driver_sleeps = true;
	m->driver_wakes_at = m->flushed + after;
}

/* GET_VRING_BASE and a new start with it: nothing of what was peeked and not pushed is lost. */
static void
stop_and_start(struct model *m)
{
	const uint32_t base = unm_vq_stop(m->r.q);

	assert_false(unm_vq_is_running(m->r.q));
	assert_int_equal(unm_vq_stop(m->r.q), base);
	assert_int_equal(rig_restart(&m->r, base), 0);
	m->flushed = m->pushed;
	m->peeked = m->pushed;
	m->device_sleeps = m->driver_sleeps = false;
}

/*
 * Halted for a message, sound or broken, and started where it was: as after a death, and without a look
 * at the in-flight part, which is not what it was while the queue starts.
 */
static void
halt_and_go_on(struct model *m)
{
	static uint8_t part[UNM_INFLIGHT_PART(MAX_SEEN)];
	const size_t size = m->r.inflight != NULL ? UNM_INFLIGHT_PART(m->r.c.num) : 0;
	const bool breaks = size > 0 && pick(m, 4) == 0;
	struct unm_vq_config c;

	if (breaks)
		unm_vq_break(m->r.q, "the model says so");
	c = rig_vq_config(&m->r, unm_vq_stop(m->r.q));
	c.base_is_ours = !breaks;
	c.goes_on = true;
	if (size > 0) {
		memcpy(part, m->r.inflight, size);
		memset(m->r.inflight, 0xff, size);
	}
	assert_int_equal(unm_vq_start(m->r.q, &c), 0);
	if (size > 0)
		memcpy(m->r.inflight, part, size);
	if (breaks)
		m->pushed = m->flushed;
	m->flushed = m->peeked = m->pushed;
	m->device_sleeps = m->driver_sleeps = false;
}

/* The server is killed between two operations; what it had not published is seen again, once. */
static void
crash(struct model *m)
{
	if (m->r.c.is_packed && !m->r.c.has_inflight)
		return; /* nobody knows where it was */
	assert_int_equal(rig_restart(&m->r, vd_crash_base(&m->r.vd)), 0);
	m->pushed = m->peeked = m->flushed;
	m->device_sleeps = m->driver_sleeps = false;
}

static void
any_step(struct model *m)
{
	switch (pick(m, 32)) {
	case 0:
		device_sleeps(m);
		break;
	case 1:
		driver_sleeps(m);
		break;
	case 2:
		device_unpeeks(m);
		break;
	case 3:
		if (pick(m, 10) == 0)
			stop_and_start(m);
		else if (pick(m, 10) == 0)
			crash(m);
		else if (pick(m, 10) == 0)
			halt_and_go_on(m);
		break;
	case 4:
		if (!m->device_sleeps)
			unm_vq_kicks_off(m->r.q);
		break;
	default:
		switch (pick(m, 4)) {
		case 0:
			driver_adds(m);
			break;
		case 1:
			device_peeks(m);
			break;
		case 2:
			device_pushes(m);
			break;
		default:
			driver_gets(m);
		}
	}
}

static void
against_the_model(void **state)
{
	const struct rig_config *c = *state;
	static struct model m;
	unsigned int pass;
	uint64_t steps;

	for (pass = 0; pass < 2; pass++) {
		memset(&m, 0, sizeof(m));
		m.random = 1 + c->num + pass;
		m.writes = pass == 0;
		rig_open(&m.r, c);
		/* Often enough for free-running positions of 16 bits to come round. */
		for (steps = 0; steps < 40000 || m.got < 70000; steps++) {
			assert_true(steps < 3000000);
			any_step(&m);
			assert_null(m.r.vd.fault);
			assert_null(unm_vq_broken_reason(m.r.q));
		}
		rig_close(&m.r);
	}
}

/* A driver that wants a call only after the n-th buffer: not before, and then for sure. */
static void
calls_after_n(void **state)
{
	const struct rig_config *c = *state;
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain chain;
	struct vd_used used[64];
	struct rig r;
	unsigned int i, round;

	rig_open(&r, c);
	assert_true(c->num >= 16);
	for (round = 0; round < 5000; round++) {
		const unsigned int after = 1 + round % 7;
		const struct vd_seg seg = {r.buffers, 100};

		for (i = 0; i < 8; i++)
			assert_int_equal(vd_add(&r.vd, &seg, 1, 0, i), 0);
		vd_publish(&r.vd);
		assert_false(vd_calls_on(&r.vd, (uint16_t)after));
		for (i = 1; i <= 8; i++) {
			bool call;

			assert_int_equal(unm_vq_peek(r.q, &chain, part, MAX_PART), 1);
			unm_vq_push(r.q, &chain, 0);
			call = unm_vq_flush(r.q);
			if (c->has_event_idx)
				assert_int_equal(call, i == after);
			else
				assert_true(call);
		}
		assert_int_equal(vd_get(&r.vd, used, 64), 8);
		vd_calls_off(&r.vd);
	}
	rig_close(&r);
}

/* With kicks off the driver keeps quiet; on again, the next buffer kicks. */
static void
kicks_off_and_on(void **state)
{
	const struct rig_config *c = *state;
	const struct vd_seg seg = {RIG_GPA + RIG_SIZE / 2, 60};
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain chain;
	struct vd_used used[4];
	struct rig r;
	unsigned int i;

	rig_open(&r, c);
	for (i = 0; i < 3 * c->num; i++) {
		assert_false(unm_vq_kicks_on(r.q));
		unm_vq_kicks_off(r.q);
		if (i % 2 == 0)
			assert_false(unm_vq_kicks_on(r.q));
		assert_int_equal(vd_add(&r.vd, &seg, 1, 0, i), 0);
		/* With an event index on a split ring, off means "not again". */
		if (i % 2 == 0)
			assert_true(vd_publish(&r.vd));
		else if (c->is_packed || !c->has_event_idx)
			assert_false(vd_publish(&r.vd));
		else
			vd_publish(&r.vd);
		assert_true(unm_vq_kicks_on(r.q));
		assert_int_equal(unm_vq_peek(r.q, &chain, part, MAX_PART), 1);
		unm_vq_push(r.q, &chain, 0);
		unm_vq_flush(r.q);
		assert_int_equal(vd_get(&r.vd, used, 4), 1);
	}
	rig_close(&r);
}

static bool
is_dirty(const struct rig *r, uint64_t gpa)
{
	const uint64_t page = gpa >> UNM_GUEST_PAGE_SHIFT;

	return r->log[page / 8] >> (page % 8) & 1;
}

static struct rig_config
logged_ring(const bool *is_packed)
{
	return (struct rig_config){.name = "log",
		.num = 1024,
		.is_packed = *is_packed,
		.has_event_idx = true,
		.has_log = true};
}

/*
 * During a migration, what the queue writes into its ring is noted. Buffers are noted by who writes
 * into them.
 */
static void
logs_its_writes(void **state)
{
	const struct rig_config c = logged_ring(*state);
	const struct vd_seg seg = {RIG_GPA + RIG_SIZE / 2, 60};
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain chain;
	struct vd_used used;
	struct rig r;
	uint64_t area, elem;
	unsigned int i;

	rig_open(&r, &c);
	area = RIG_GPA + (uint64_t)((uint8_t *)vd_device_area(&r.vd) - r.guest);
	assert_false(is_dirty(&r, area));
	assert_false(unm_vq_kicks_on(r.q));
	elem = c.is_packed ? area : area + 4 + 8 * c.num; /* avail_event */
	assert_true(is_dirty(&r, elem));
	for (i = 0; i < c.num; i++) {
		memset(r.log, 0, RIG_LOG);
		assert_int_equal(vd_add(&r.vd, &seg, 0, 1, i), 0);
		vd_publish(&r.vd);
		assert_int_equal(unm_vq_peek(r.q, &chain, part, MAX_PART), 1);
		unm_vq_push(r.q, &chain, 60);
		unm_vq_flush(r.q);
		elem = c.is_packed ? RIG_GPA + i * sizeof(struct vd_packed_desc) : area + 4 + 8 * i;
		assert_true(is_dirty(&r, elem));
		if (!c.is_packed)
			assert_true(is_dirty(&r, area)); /* the index */
		assert_int_equal(vd_get(&r.vd, &used, 1), 1);
	}
	rig_close(&r);
}

/*
 * A word is noted after it was stored: else a migration that copies the page in between, and has
 * seen the note, takes the old word along.
 */
static void
logs_after_the_store(void **state)
{
	struct rig_config c = logged_ring(*state);
	const struct vd_seg seg = {RIG_GPA + RIG_SIZE / 2, 60};
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain chain;
	struct vd_used used;
	struct rig r;
	uint64_t area;
	unsigned int i, in_order;

	for (in_order = 0; in_order < 2; in_order++) {
		c.in_order = in_order == 1;
		rig_open(&r, &c);
		area = RIG_GPA + (uint64_t)((uint8_t *)vd_device_area(&r.vd) - r.guest);
		for (i = 0; i < c.num; i++) {
			assert_int_equal(vd_add(&r.vd, &seg, in_order, 1 - in_order, i), 0);
			vd_publish(&r.vd);
			assert_int_equal(unm_vq_peek(r.q, &chain, part, MAX_PART), 1);
			unm_vq_push(r.q, &chain, in_order == 1 ? 0 : 60);
			memset(r.log, 0, RIG_LOG);
			unm_vq_flush(r.q);
			assert_true(is_dirty(&r,
				c.is_packed ? RIG_GPA + i * sizeof(struct vd_packed_desc) : area));
			assert_int_equal(vd_get(&r.vd, &used, 1), 1);
		}
		rig_close(&r);
	}
}

static const struct rig_config configs[] = {
	{.name = "split 256", .num = 256},
	{.name = "split 256 event", .num = 256, .has_event_idx = true},
	{.name = "split 16 event indirect",
		.num = 16,
		.has_event_idx = true,
		.table_len = MAX_SEGS},
	{.name = "split 1024 event in order", .num = 1024, .has_event_idx = true, .in_order = true},
	{.name = "split 64 in order indirect in flight",
		.num = 64,
		.in_order = true,
		.table_len = MAX_SEGS,
		.has_inflight = true},
	{.name = "packed 256", .num = 256, .is_packed = true},
	{.name = "packed 100 event", .num = 100, .is_packed = true, .has_event_idx = true},
	{.name = "packed 17 event indirect",
		.num = 17,
		.is_packed = true,
		.has_event_idx = true,
		.table_len = MAX_SEGS},
	{.name = "packed 1024 event in order",
		.num = 1024,
		.is_packed = true,
		.has_event_idx = true,
		.in_order = true},
	{.name = "packed 33 in order indirect in flight",
		.num = 33,
		.is_packed = true,
		.has_event_idx = true,
		.in_order = true,
		.table_len = MAX_SEGS,
		.has_inflight = true},
	{.name = "packed 64 in flight", .num = 64, .is_packed = true, .has_inflight = true},
	{.name = "split 128 event in flight",
		.num = 128,
		.has_event_idx = true,
		.has_inflight = true},
};

#define N_CONFIGS (sizeof(configs) / sizeof(configs[0]))

int
main(void)
{
	static bool formats[2] = {false, true};
	static struct CMUnitTest tests[3 * N_CONFIGS + 4];
	unsigned int i, n = 0;

	for (i = 0; i < N_CONFIGS; i++) {
		void *state = (void *)(uintptr_t)&configs[i];

		tests[n++] =
			(struct CMUnitTest){configs[i].name, against_the_model, NULL, NULL, state};
		tests[n++] = (struct CMUnitTest){"calls after n", calls_after_n, NULL, NULL, state};
		tests[n++] = (struct CMUnitTest){"kicks", kicks_off_and_on, NULL, NULL, state};
	}
	for (i = 0; i < 2; i++) {
		tests[n++] = (struct CMUnitTest){"log", logs_its_writes, NULL, NULL, &formats[i]};
		tests[n++] = (struct CMUnitTest){
			"log after the store", logs_after_the_store, NULL, NULL, &formats[i]};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
