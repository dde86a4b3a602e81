/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtqueues whose driver breaks the rules: each breach breaks the queue, with a reason and a
 * signal, and nothing else; and random bytes in rings, tables and in-flight regions never lead
 * outside of the guest's memory, nor into a walk without an end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support/test_random.h"
#include "vm/log.h"
#include "vq_rig.h"

#define NUM	  16u
#define MAX_PART  32u
#define MAX_CHAIN 64u		      /* for so short a ring */
#define DATA	  (RIG_GPA + 0x20000) /* some bytes that are no ring */
#define TABLE	  (RIG_GPA + 0x10000)
#define OUTSIDE	  (RIG_GPA + RIG_SIZE)

static unsigned int n_lines;	  /* logged */
static unsigned int may_log = 20; /* lines at once: vm/log.h */

static void
count_line(void *arg, const char *line)
{
	(void)arg;
	if (strstr(line, "messages left out") == NULL) /* a token came back: not about this queue */
		n_lines++;
}

/* Descriptors by hand: a ring of NUM, or a table in guest memory. */
static void
put_split(struct vd_split_desc *d, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*d = (struct vd_split_desc){addr, len, flags, next};
}

static void
offer_split(struct rig *r, uint16_t head)
{
	struct vd_split_avail *a = r->vd.avail.split;

	a->ring[a->idx % NUM] = head;
	__atomic_store_n(&a->idx, (uint16_t)(a->idx + 1), __ATOMIC_RELEASE);
}

static struct vd_split_desc *
table_split(struct rig *r)
{
	return (struct vd_split_desc *)(void *)rig_ptr(r, TABLE);
}

static void
split_loop(struct rig *r)
{
	put_split(&r->vd.desc.split[3], DATA, 10, VD_DESC_NEXT, 4);
	put_split(&r->vd.desc.split[4], DATA, 10, VD_DESC_NEXT, 3);
	offer_split(r, 3);
}

static void
split_own_loop(struct rig *r)
{
	put_split(&r->vd.desc.split[0], DATA, 0, VD_DESC_NEXT, 0);
	offer_split(r, 0);
}

static void
split_link_outside(struct rig *r)
{
	put_split(&r->vd.desc.split[0], DATA, 10, VD_DESC_NEXT, NUM);
	offer_split(r, 0);
}

static void
split_head_outside(struct rig *r)
{
	offer_split(r, NUM);
}

static void
split_index_jumps(struct rig *r)
{
	r->vd.avail.split->idx = NUM + 1;
}

static void
split_index_goes_back(struct rig *r)
{
	r->vd.avail.split->idx = 0xffff;
}

static void
split_address_outside(struct rig *r)
{
	put_split(&r->vd.desc.split[0], OUTSIDE - 4, 5, 0, 0);
	offer_split(r, 0);
}

static void
split_address_wraps(struct rig *r)
{
	put_split(&r->vd.desc.split[0], UINT64_MAX - 4, 100, 0, 0);
	offer_split(r, 0);
}

static void
split_read_after_write(struct rig *r)
{
	put_split(&r->vd.desc.split[0], DATA, 10, VD_DESC_NEXT | VD_DESC_WRITE, 1);
	put_split(&r->vd.desc.split[1], DATA, 10, 0, 0);
	offer_split(r, 0);
}

static void
split_nested_table(struct rig *r)
{
	put_split(&table_split(r)[0], TABLE + 0x1000, 32, VD_DESC_INDIRECT, 0);
	put_split(&r->vd.desc.split[0], TABLE, 16, VD_DESC_INDIRECT, 0);
	offer_split(r, 0);
}

static void
split_table_and_next(struct rig *r)
{
	put_split(&table_split(r)[0], DATA, 32, 0, 0);
	put_split(&r->vd.desc.split[0], TABLE, 16, VD_DESC_INDIRECT | VD_DESC_NEXT, 1);
	offer_split(r, 0);
}

static void
split_table_loop(struct rig *r)
{
	put_split(&table_split(r)[0], DATA, 1, VD_DESC_NEXT, 1);
	put_split(&table_split(r)[1], DATA, 1, VD_DESC_NEXT, 0);
	put_split(&r->vd.desc.split[0], TABLE, 32, VD_DESC_INDIRECT, 0);
	offer_split(r, 0);
}

static void
split_table_link_outside(struct rig *r)
{
	put_split(&table_split(r)[0], DATA, 1, VD_DESC_NEXT, 2);
	put_split(&r->vd.desc.split[0], TABLE, 32, VD_DESC_INDIRECT, 0);
	offer_split(r, 0);
}

static void
split_table_odd(struct rig *r)
{
	put_split(&r->vd.desc.split[0], TABLE, 31, VD_DESC_INDIRECT, 0);
	offer_split(r, 0);
}

static void
split_table_empty(struct rig *r)
{
	put_split(&r->vd.desc.split[0], TABLE, 0, VD_DESC_INDIRECT, 0);
	offer_split(r, 0);
}

static void
split_table_outside(struct rig *r)
{
	put_split(&r->vd.desc.split[0], OUTSIDE - 8, 16, VD_DESC_INDIRECT, 0);
	offer_split(r, 0);
}

static void
split_too_many_parts(struct rig *r)
{
	unsigned int i;

	for (i = 0; i <= MAX_PART; i++)
		put_split(&table_split(r)[i], DATA, 1, VD_DESC_NEXT, (uint16_t)(i + 1));
	put_split(&r->vd.desc.split[0], TABLE, 16 * (MAX_PART + 2), VD_DESC_INDIRECT, 0);
	offer_split(r, 0);
}

/* Of empty descriptors, so that only their number counts; the table ends with them. */
static void
split_table_of(struct rig *r, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		put_split(&table_split(r)[i], DATA, 0, i + 1 < n ? VD_DESC_NEXT : 0,
			(uint16_t)(i + 1));
	put_split(&r->vd.desc.split[0], TABLE, 16 * n, VD_DESC_INDIRECT, 0);
	offer_split(r, 0);
}

static void
split_table_too_long(struct rig *r)
{
	split_table_of(r, MAX_CHAIN + 1);
}

/* A chain may end with a table: they count together. */
static void
split_chain_and_table_too_long(struct rig *r)
{
	split_table_of(r, MAX_CHAIN);
	put_split(&r->vd.desc.split[1], DATA, 0, VD_DESC_NEXT, 0);
	r->vd.avail.split->ring[0] = 1;
}

/* The ring's slot @i, offered in the first round. */
static void
put_packed(struct rig *r, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags)
{
	r->vd.desc.packed[i] =
		(struct vd_packed_desc){addr, len, (uint16_t)i, (uint16_t)(flags | VD_DESC_AVAIL)};
}

static void
packed_too_long(struct rig *r)
{
	unsigned int i;

	for (i = 0; i < NUM; i++)
		put_packed(r, i, DATA, 1, VD_DESC_NEXT);
}

static void
packed_table_of(struct rig *r, unsigned int n)
{
	struct vd_packed_desc *t = (struct vd_packed_desc *)(void *)rig_ptr(r, TABLE);
	unsigned int i;

	for (i = 0; i < n; i++)
		t[i] = (struct vd_packed_desc){DATA, 0, 0, 0};
	put_packed(r, 0, TABLE, 16 * n, VD_DESC_INDIRECT);
}

static void
packed_table_too_long(struct rig *r)
{
	packed_table_of(r, MAX_CHAIN + 1);
}

static void
packed_address_outside(struct rig *r)
{
	put_packed(r, 0, OUTSIDE, 1, 0);
}

static void
packed_nested_table(struct rig *r)
{
	struct vd_packed_desc *t = (struct vd_packed_desc *)(void *)rig_ptr(r, TABLE);

	t[0] = (struct vd_packed_desc){DATA, 16, 0, VD_DESC_INDIRECT};
	put_packed(r, 0, TABLE, 16, VD_DESC_INDIRECT);
}

static void
packed_table_and_next(struct rig *r)
{
	put_packed(r, 0, TABLE, 16, VD_DESC_INDIRECT | VD_DESC_NEXT);
}

static void
packed_table_odd(struct rig *r)
{
	put_packed(r, 0, TABLE, 17, VD_DESC_INDIRECT);
}

static void
packed_table_outside(struct rig *r)
{
	put_packed(r, 0, OUTSIDE - 16, 32, VD_DESC_INDIRECT);
}

static void
packed_read_after_write(struct rig *r)
{
	put_packed(r, 0, DATA, 1, VD_DESC_NEXT | VD_DESC_WRITE);
	put_packed(r, 1, DATA, 1, 0);
}

static const struct breach {
	const char *name;
	bool is_packed;
	void (*commit)(struct rig *r);
	bool needs_tables; /* the same without them negotiated is a breach, too */
} breaches[] = {
	{"split: a loop of two", false, split_loop, false},
	{"split: a loop of one, without bytes", false, split_own_loop, false},
	{"split: a link outside", false, split_link_outside, false},
	{"split: a head outside", false, split_head_outside, false},
	{"split: the index jumps", false, split_index_jumps, false},
	{"split: the index goes back", false, split_index_goes_back, false},
	{"split: a buffer outside", false, split_address_outside, false},
	{"split: an address that wraps", false, split_address_wraps, false},
	{"split: read after write", false, split_read_after_write, false},
	{"split: a table in a table", false, split_nested_table, true},
	{"split: a table and a next", false, split_table_and_next, true},
	{"split: a loop in a table", false, split_table_loop, true},
	{"split: a link out of a table", false, split_table_link_outside, true},
	{"split: a table of an odd length", false, split_table_odd, true},
	{"split: an empty table", false, split_table_empty, true},
	{"split: a table outside", false, split_table_outside, true},
	{"split: too many parts", false, split_too_many_parts, true},
	{"split: a table longer than any ring's chain", false, split_table_too_long, true},
	{"split: a chain and a table, together", false, split_chain_and_table_too_long, true},
	{"packed: longer than the ring", true, packed_too_long, false},
	{"packed: a buffer outside", true, packed_address_outside, false},
	{"packed: read after write", true, packed_read_after_write, false},
	{"packed: a table in a table", true, packed_nested_table, true},
	{"packed: a table and a next", true, packed_table_and_next, true},
	{"packed: a table of an odd length", true, packed_table_odd, true},
	{"packed: a table outside", true, packed_table_outside, true},
	{"packed: a table longer than any ring's chain", true, packed_table_too_long, true},
};

#define N_BREACHES (sizeof(breaches) / sizeof(breaches[0]))

static void
breaks_the_queue(const struct breach *b, uint16_t table_len)
{
	const struct rig_config c = {
		.name = b->name, .num = NUM, .is_packed = b->is_packed, .table_len = table_len};
	const int err_fd = eventfd(0, EFD_NONBLOCK);
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain chain;
	uint64_t value = 0;
	struct rig r;
	int ret;

	rig_open(&r, &c);
	unm_vq_set_err_fd(r.q, err_fd);
	n_lines = 0;
	b->commit(&r);
	ret = unm_vq_peek(r.q, &chain, part, MAX_PART);
	assert_true(ret == -EPROTO || ret == -EMSGSIZE);
	assert_non_null(unm_vq_broken_reason(r.q));
	assert_false(unm_vq_is_running(r.q));
	assert_true(n_lines == 1 || (n_lines == 0 && may_log == 0));
	may_log -= may_log > 0;
	assert_int_equal(read(err_fd, &value, sizeof(value)), sizeof(value));
	assert_int_equal(value, 1);
	/* It stays so, says nothing more, and can be started anew by a driver that behaves. */
	assert_int_equal(unm_vq_peek(r.q, &chain, part, MAX_PART), -EPROTO);
	assert_false(unm_vq_kicks_on(r.q));
	assert_true(n_lines <= 1);
	unm_vq_stop(r.q);
	close(err_fd);
	rig_close(&r);
}

static void
one_breach(void **state)
{
	const struct breach *b = *state;

	breaks_the_queue(b, b->needs_tables ? 4 : 0);
	if (b->needs_tables)
		breaks_the_queue(b, 0);
}

/* As long as allowed, and counted: it is by that number that a device leaves off. */
static void
longest_tables(void **state)
{
	const uint16_t num[] = {NUM, 256, 2048};
	const unsigned int len[] = {MAX_CHAIN, 256, UNM_VQ_MAX_PARTS};
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		const struct rig_config c = {.name = "longest table",
			.num = num[i / 2],
			.is_packed = i % 2,
			.table_len = 4};
		struct unm_vq_part part[MAX_PART];
		struct unm_vq_chain chain;
		struct rig r;

		rig_open(&r, &c);
		if (c.is_packed)
			packed_table_of(&r, len[i / 2]);
		else
			split_table_of(&r, len[i / 2]);
		assert_int_equal(unm_vq_peek(r.q, &chain, part, MAX_PART), 1);
		assert_int_equal(chain.n_read + chain.n_write, 0);
		assert_int_equal(*unm_vq_looked_at(r.q), len[i / 2]);
		unm_vq_push(r.q, &chain, 0);
		unm_vq_stop(r.q);
		rig_close(&r);
	}
}

/* Chains that were made available can't be taken back: not those that were peeked, either. */
static void
index_goes_back_later(void **state)
{
	const struct rig_config c = {.name = "index goes back later", .num = NUM};
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain chain;
	struct rig r;
	unsigned int i;

	(void)state;
	rig_open(&r, &c);
	put_split(&r.vd.desc.split[0], DATA, 10, 0, 0);
	r.vd.avail.split->idx = 5; /* its entries are zero: five times the same chain */
	for (i = 0; i < 5; i++)
		assert_int_equal(unm_vq_peek(r.q, &chain, part, MAX_PART), 1);
	r.vd.avail.split->idx = 3;
	assert_int_equal(unm_vq_peek(r.q, &chain, part, MAX_PART), -EPROTO);
	assert_non_null(unm_vq_broken_reason(r.q));
	unm_vq_stop(r.q);
	rig_close(&r);
}

/* What the front end says about a ring may be nonsense as well. */
static void
bad_configurations(void **state)
{
	const struct rig_config good = {.name = "bad configuration", .num = NUM};
	struct rig r;
	unsigned int i;

	(void)state;
	rig_open(&r, &good);
	for (i = 0; i < 9; i++) {
		struct unm_vq_config c = rig_vq_config(&r, 0);
		struct unm_vq *q = unm_vq_new(&r.mem, "bad");
		int expected = i < 5 ? -EINVAL : -EFAULT;

		switch (i) {
		case 0:
			c.num = 0;
			break;
		case 1:
			c.num = 24; /* no power of two */
			break;
		case 2:
			c.desc_uaddr += 8;
			break;
		case 3:
			c.avail_uaddr += 1;
			break;
		case 4:
			c.used_uaddr += 2;
			break;
		case 5:
			c.desc_uaddr = RIG_UADDR + RIG_SIZE - 16 * NUM + 16;
			break;
		case 6:
			c.avail_uaddr = UINT64_MAX - 1;
			break;
		case 7:
			c.used_uaddr = RIG_UADDR - 4;
			break;
		default:
			/*
			 * In two regions that are not neighbours here, though they are in the
			 * guest.
			 */
			c.desc_uaddr = RIG_UADDR + RIG_SIZE / 2 - 16;
			expected = -EFAULT;
		}
		assert_int_equal(unm_vq_start(q, &c), expected);
		assert_false(unm_vq_is_running(q));
		unm_vq_free(q);
	}
	rig_close(&r);
}

/*
 * All that is done with a queue by a device, whatever its ring holds. Each loop here is bounded;
 * the queue's own must be.
 */
static void
use_up(struct rig *r, uint32_t *random)
{
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain c[8];
	unsigned int round, n, i, p;

	for (round = 0; round < 20; round++) {
		for (n = 0; n < 8; n++) {
			if (unm_vq_peek(r->q, &c[n], part, MAX_PART) <= 0)
				break;
			for (p = 0; p < (unsigned int)c[n].n_read + c[n].n_write; p++) {
				/* The sanitizer or a fault would tell. */
				volatile uint8_t *data = part[p].data;

				data[0] = (uint8_t)(data[part[p].len - 1] + 1);
			}
		}
		for (i = 0; i < n && test_random(random) % 4 != 0; i++)
			unm_vq_push(r->q, &c[i], c[i].write_len);
		if (unm_vq_is_running(r->q)) {
			while (n > i)
				unm_vq_unpeek(r->q, &c[--n]);
			unm_vq_flush(r->q);
		}
		unm_vq_kicks_off(r->q);
		unm_vq_kicks_on(r->q);
	}
	unm_vq_stop(r->q);
}

static void
random_bytes(uint8_t *p, size_t len, uint32_t *random)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(test_random(random) >> 8);
}

/* Descriptors that are sometimes right, so that walks get somewhere. */
static void
random_descs(struct rig *r, uint8_t *at, unsigned int n, uint32_t *random)
{
	struct vd_split_desc *d = (struct vd_split_desc *)(void *)at;
	unsigned int i;

	for (i = 0; i < n; i++) {
		d[i].addr = RIG_GPA + test_random(random) % (RIG_SIZE + 4096);
		d[i].len = test_random(random) % 8 == 0 ? test_random(random)
							: 16 * (test_random(random) % 64);
		/* Flags and next, or id and flags */
		d[i].flags = (uint16_t)(test_random(random) % 8 | (test_random(random) & 0x8080));
		d[i].next = (uint16_t)(r->c.is_packed ? test_random(random) % 8 |
								(test_random(random) & 0x8080)
						      : test_random(random) % (NUM + 1));
	}
}

static void
random_rings(void **state)
{
	const struct rig_config *c = *state;
	uint32_t random = 12345;
	unsigned int i;
	struct rig r;

	rig_open(&r, c);
	for (i = 0; i < 3000; i++) {
		const size_t ring_len = (size_t)(r.buffers - RIG_GPA);

		random_bytes(r.guest, ring_len, &random);
		if (i % 2 == 0) {
			random_descs(&r, vd_desc_area(&r.vd), NUM, &random);
			random_descs(&r, rig_ptr(&r, TABLE), 4096, &random);
			if (!c->is_packed) {
				uint16_t k;

				for (k = 0; k < NUM; k++)
					r.vd.avail.split->ring[k] =
						(uint16_t)(test_random(&random) %
							   (NUM + (i % 8 == 0)));
				r.vd.avail.split->idx =
					(uint16_t)(test_random(&random) % (NUM + 1));
			}
		}
		if (r.inflight != NULL) {
			struct unm_inflight_split *s = r.inflight;

			random_bytes(r.inflight, UNM_INFLIGHT_PART(NUM), &random);
			if (i % 4 != 0) { /* the split and the packed header agree so far */
				s->version = UNM_INFLIGHT_VERSION;
				s->desc_num = NUM;
			}
			if (i % 4 == 1 && c->is_packed) {
				struct unm_inflight_packed *p = r.inflight;
				unsigned int k;

				p->used_idx %= NUM;
				p->old_used_idx %= NUM;
				for (k = 0; k < NUM; k++) {
					p->desc[k].inflight %= 2;
					p->desc[k].num = 1;
				}
			}
		}
		if (rig_restart(&r, c->is_packed ? 0x80008000 : test_random(&random) % 2) == 0)
			use_up(&r, &random);
	}
	rig_close(&r);
}

/* The ring's words change while the queue looks at them. */
static void
ring_changes(void **state)
{
	const struct rig_config *c = *state;
	uint32_t random = 777;
	unsigned int i, k;
	struct rig r;

	rig_open(&r, c);
	for (i = 0; i < 3000; i++) {
		struct unm_vq_part part[MAX_PART];
		struct unm_vq_chain chain;

		memset(r.guest, 0, (size_t)(r.buffers - RIG_GPA));
		assert_int_equal(rig_restart(&r, rig_fresh_base(&r)), 0);
		for (k = 0; k < 40 && unm_vq_is_running(r.q); k++) {
			random_descs(&r, vd_desc_area(&r.vd), NUM, &random);
			if (!c->is_packed)
				r.vd.avail.split->idx++;
			if (unm_vq_peek(r.q, &chain, part, MAX_PART) == 1 && k % 3 != 0) {
				unm_vq_push(r.q, &chain, 0);
				unm_vq_flush(r.q);
			} else if (k % 5 == 0 && unm_vq_is_running(r.q)) {
				unm_vq_rewind(r.q);
			}
		}
	}
	rig_close(&r);
}

static const struct rig_config rings[] = {
	{.name = "split", .num = NUM, .has_event_idx = true, .table_len = 8},
	{.name = "split in order", .num = NUM, .in_order = true},
	{.name = "packed", .num = NUM, .is_packed = true, .has_event_idx = true, .table_len = 8},
	{.name = "packed in order", .num = NUM, .is_packed = true, .in_order = true},
	{.name = "split in flight", .num = NUM, .table_len = 8, .has_inflight = true},
	{.name = "packed in flight",
		.num = NUM,
		.is_packed = true,
		.table_len = 8,
		.has_inflight = true},
};

#define N_RINGS (sizeof(rings) / sizeof(rings[0]))

int
main(void)
{
	static struct CMUnitTest tests[N_BREACHES + 3 + 2 * N_RINGS];
	unsigned int i, n = 0;

	unm_vm_set_log(count_line, NULL);
	for (i = 0; i < N_BREACHES; i++)
		tests[n++] = (struct CMUnitTest){
			breaches[i].name, one_breach, NULL, NULL, (void *)(uintptr_t)&breaches[i]};
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(longest_tables);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(index_goes_back_later);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(bad_configurations);
	for (i = 0; i < N_RINGS; i++) {
		tests[n++] = (struct CMUnitTest){
			"random bytes", random_rings, NULL, NULL, (void *)(uintptr_t)&rings[i]};
		if (!rings[i].has_inflight)
			tests[n++] = (struct CMUnitTest){
				"changes", ring_changes, NULL, NULL, (void *)(uintptr_t)&rings[i]};
	}
	return _cmocka_run_group_tests("hostile drivers", tests, n, NULL, NULL);
}
