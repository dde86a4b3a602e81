/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of packed rings (vm/record.h): which ring one counts for, and what becomes of one that
 * makes no sense. That a batch under way is settled at any moment is test_vq_death.c's subject.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "support/test_random.h"
#include "vm/log.h"
#include "vm/record.h"
#include "vq_rig.h"

#define NUM	 64u
#define MAX_PART 8u

static const struct rig_config packed = {
	.name = "record", .num = NUM, .is_packed = true, .has_record = true};

static unsigned int n_lines;	  /* logged */
static unsigned int may_log = 20; /* lines at once: vm/log.h */
static uint64_t n_added;

static void
count_line(void *arg, const char *line)
{
	(void)arg;
	n_lines += strstr(line, "its place in the ring is lost") != NULL;
}

/* Chains of @len slots. */
static void
driver_adds(struct rig *r, unsigned int n, unsigned int len)
{
	struct vd_seg seg[4];
	unsigned int i;

	for (i = 0; i < len; i++)
		seg[i] = (struct vd_seg){r->buffers + 64 * i, 60};
	for (; n > 0; n--)
		assert_int_equal(vd_add(&r->vd, seg, len, 0, n_added++), 0);
	vd_publish(&r->vd);
}

static unsigned int
device_serves(struct rig *r, unsigned int max)
{
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain c;
	unsigned int n;

	for (n = 0; n < max && unm_vq_peek(r->q, &c, part, MAX_PART) == 1; n++)
		unm_vq_push(r->q, &c, 0);
	unm_vq_flush(r->q);
	return n;
}

static unsigned int
driver_gets(struct rig *r)
{
	struct vd_used used;
	unsigned int n = 0;

	while (vd_get(&r->vd, &used, 1) == 1)
		n++;
	assert_null(r->vd.fault);
	return n;
}

static void
passes(struct rig *r, unsigned int n)
{
	for (; n > 0; n--) {
		driver_adds(r, 1, 1);
		assert_int_equal(device_serves(r, NUM), 1);
		assert_int_equal(driver_gets(r), 1);
	}
}

/* The server is killed, and the front end says that the ring is fresh. */
static void
server_dies(struct rig *r)
{
	assert_int_equal(rig_restart(r, VD_PACKED_BASE), 0);
}

/* The guest makes the ring anew, where it was. */
static void
guest_reboots(struct rig *r)
{
	const struct vd_config c = r->vd.c;

	vd_fini(&r->vd);
	assert_int_equal(vd_init(&r->vd, &c), 0);
}

static void
expect_lost(struct rig *r)
{
	assert_false(unm_vq_is_running(r->q));
	assert_non_null(strstr(unm_vq_broken_reason(r->q), "its place in the ring is lost"));
	/* What else is not known: there need not have been a server before. */
	assert_null(strstr(unm_vq_broken_reason(r->q), "server"));
	if (may_log > 0) {
		assert_int_equal(n_lines, 1);
		may_log--;
	}
	n_lines = 0;
	/* The guest can help itself. */
	guest_reboots(r);
	server_dies(r);
	passes(r, 2 * NUM);
	assert_int_equal(n_lines, 0);
}

/* At any place of the ring, in odd and even laps. */
static void
goes_on(void **state)
{
	struct rig r;
	unsigned int i;

	(void)state;
	rig_open(&r, &packed);
	for (i = 0; i < 5 * NUM; i++) {
		passes(&r, 1);
		driver_adds(&r, 3, 1 + i % 3);
		server_dies(&r);
		server_dies(&r);
		assert_int_equal(device_serves(&r, NUM), 3);
		assert_int_equal(driver_gets(&r), 3);
	}
	assert_int_equal(n_lines, 0);
	rig_close(&r);
}

/* A ring that was full, and that nobody has touched, is not taken for another lap's. */
static void
idle_ring(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, &packed);
	driver_adds(&r, NUM, 1);
	server_dies(&r);
	server_dies(&r);
	assert_int_equal(device_serves(&r, 2 * NUM), NUM);
	assert_int_equal(driver_gets(&r), NUM);
	passes(&r, 7);
	rig_close(&r);
}

static void
fresh_ring(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, &packed);
	passes(&r, 17);
	guest_reboots(&r);
	driver_adds(&r, 5, 2);
	server_dies(&r);
	assert_int_equal(device_serves(&r, NUM), 5);
	assert_int_equal(driver_gets(&r), 5);
	rig_close(&r);
}

/* QEMU without a back end has written to the event area of a ring that is new. */
static void
fresh_with_an_event_area(void **state)
{
	unsigned int at;

	(void)state;
	for (at = 1; at < 4 * NUM; at += 7) {
		struct rig r;
		uint32_t *area;

		rig_open(&r, &packed);
		passes(&r, at);
		guest_reboots(&r);
		area = vd_device_area(&r.vd);
		*area = 0x8000;
		driver_adds(&r, 5, 1);
		server_dies(&r);
		/* In the first lap, and not yet beyond what the new ring has, nobody could tell. */
		if (at > 5) {
			assert_int_equal(device_serves(&r, NUM), 5);
			assert_int_equal(driver_gets(&r), 5);
		}
		rig_close(&r);
	}
}

/* What the device's event area holds while the ring is served is never what a driver makes of it. */
static void
event_area(void **state)
{
	struct rig_config c = packed;
	const uint32_t *area;
	struct rig r;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		unsigned int k;

		c.has_event_idx = i == 1;
		rig_open(&r, &c);
		area = vd_device_area(&r.vd);
		for (k = 0; k < 3 * NUM; k++) {
			assert_int_not_equal(*area, 0);
			unm_vq_kicks_off(r.q);
			assert_int_not_equal(*area, 0);
			unm_vq_kicks_on(r.q);
			assert_int_not_equal(*area, 0);
			passes(&r, 1);
		}
		rig_close(&r);
	}
}

/* Another guest whose memory has the same addresses; its ring is in use, or new. */
static void
anothers_record(void **state)
{
	struct unm_record *records;
	struct rig a, b;

	(void)state;
	rig_open(&a, &packed);
	rig_open(&b, &packed);
	passes(&a, 5);
	passes(&b, 9);
	records = b.record;
	b.record = a.record;
	server_dies(&b);
	b.record = records;
	expect_lost(&b);
	rig_close(&a);
	rig_close(&b);
}

static void
no_record(void **state)
{
	unsigned int at;

	(void)state;
	/* In odd and even laps, with room and without. */
	for (at = 1; at < 3 * NUM; at += 5) { /* never 2 * NUM, where a ring looks fresh */
		struct rig r;

		rig_open(&r, &packed);
		passes(&r, at);
		if (at % 2 == 0)
			driver_adds(&r, NUM, 1);
		unm_vq_stop(r.q);
		memset(r.record, 0, UNM_RECORD_SIZE);
		server_dies(&r);
		expect_lost(&r);
		rig_close(&r);
	}
}

static void
garbage(void **state)
{
	uint32_t random = 1;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2000; i++) {
		struct rig r;
		uint8_t *p;
		unsigned int k;

		rig_open(&r, &packed);
		passes(&r, 1 + i % 120); /* as in no_record() */
		driver_adds(&r, 3, 1);
		p = (uint8_t *)r.record;
		if (i % 2 == 0) { /* all of it */
			for (k = 0; k < UNM_RECORD_SIZE; k++)
				p[k] = (uint8_t)test_random(&random);
			server_dies(&r);
			expect_lost(&r);
		} else { /* all but what it is about */
			const unsigned int from = offsetof(struct unm_record, state);

			for (k = from; k < UNM_RECORD_SIZE; k++)
				p[k] = (uint8_t)test_random(&random);
			r.record->state.f.mark = UNM_RECORD_IN_USE;
			if (i % 4 == 1) {
				r.record->state.f.pos %= NUM;
				r.record->state.f.next %= NUM;
				r.record->state.f.n %= UNM_RECORD_SAVED;
			}
			server_dies(&r);
			device_serves(&r, NUM);
			n_lines = 0;
			guest_reboots(&r);
			server_dies(&r);
			passes(&r, 3);
		}
		rig_close(&r);
	}
}

/* Once the front end has been told, it is believed. */
static void
told(void **state)
{
	struct rig r;
	uint32_t base;

	(void)state;
	rig_open(&r, &packed);
	driver_adds(&r, NUM, 1);
	base = unm_vq_stop(r.q);
	assert_int_equal(base, VD_PACKED_BASE);
	r.record->state.f.mark = UNM_RECORD_STOPPED;
	assert_int_equal(rig_restart(&r, base), 0);
	assert_int_equal(device_serves(&r, NUM), NUM);
	assert_int_equal(driver_gets(&r), NUM);
	passes(&r, 7);
	base = unm_vq_stop(r.q);
	r.record->state.f.mark = UNM_RECORD_STOPPED;
	assert_int_equal(rig_restart(&r, base), 0);
	passes(&r, 7);
	rig_close(&r);
}

/* A batch of more completions than a record can undo is published in parts. */
static void
long_batch(void **state)
{
	struct rig_config c = packed;
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain chain;
	const unsigned int n = 3 * UNM_RECORD_SAVED;
	struct rig r;
	unsigned int i, in_order, got;

	(void)state;
	c.num = 4 * UNM_RECORD_SAVED;
	for (in_order = 0; in_order < 2; in_order++) {
		c.in_order = in_order == 1;
		rig_open(&r, &c);
		driver_adds(&r, n, 1);
		for (i = 0; i < n; i++) {
			assert_int_equal(unm_vq_peek(r.q, &chain, part, MAX_PART), 1);
			unm_vq_push(r.q, &chain, 0);
		}
		got = driver_gets(&r);
		server_dies(&r);
		assert_int_equal(device_serves(&r, n), n - got);
		assert_int_equal(driver_gets(&r), n - got);
		rig_close(&r);
	}
}

/* QEMU has dropped what the guest sent meanwhile, where it believed the ring to be: at its start. */
static void
dropped_by_qemu(void **state)
{
	unsigned int lap, len, ahead;

	(void)state;
	for (lap = 1; lap < 4; lap += 2) {
		for (len = 1; len < 4; len++) {
			for (ahead = 0; ahead < 4; ahead++) {
				struct vd_packed_desc *d;
				struct rig r;
				unsigned int i, at = 0;

				/* Ends with an even lap; the last 12 slots are still to be served. */
				rig_open(&r, &packed);
				passes(&r, (lap + 1) * NUM - 12);
				driver_adds(&r, 12 / len, len);
				driver_adds(&r, ahead, len);
				d = r.vd.desc.packed;
				for (i = 0; i < ahead; i++, at += len)
					d[at] = (struct vd_packed_desc){.addr = d[at].addr,
						.id = d[at].id,
						.flags = VD_DESC_AVAIL | VD_DESC_USED};
				driver_adds(&r, 2, len);
				server_dies(&r);
				unm_vq_kicks_on(r.q);
				/* Twice: what was passed by stays so. */
				assert_int_equal(device_serves(&r, 5 / len), 5 / len);
				server_dies(&r);
				assert_int_equal(device_serves(&r, NUM),
					12 / len - 5 / len + (ahead == 0 ? 2 : 0));
				if (ahead > 0)
					assert_int_equal(device_serves(&r, NUM), 2);
				assert_int_equal(driver_gets(&r), 12 / len + ahead + 2);
				passes(&r, 2 * NUM);
				rig_close(&r);
			}
		}
	}
}

static int
set_up(void **state)
{
	(void)state;
	n_lines = 0;
	n_added = 0;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(goes_on, set_up),
		cmocka_unit_test_setup(idle_ring, set_up),
		cmocka_unit_test_setup(fresh_ring, set_up),
		cmocka_unit_test_setup(fresh_with_an_event_area, set_up),
		cmocka_unit_test_setup(event_area, set_up),
		cmocka_unit_test_setup(anothers_record, set_up),
		cmocka_unit_test_setup(no_record, set_up),
		cmocka_unit_test_setup(garbage, set_up),
		cmocka_unit_test_setup(told, set_up),
		cmocka_unit_test_setup(long_batch, set_up),
		cmocka_unit_test_setup(dropped_by_qemu, set_up),
	};

	unm_vm_set_log(count_line, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
