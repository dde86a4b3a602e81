/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: entries of a segment are never handed out twice, generations never repeat, binding lists hold exactly the bindings, and a
 * segment that is adopted gives its entries to whoever claims them rightly and to nobody else.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/segment_table.h"
#include "shm/atomic.h"

static uint32_t
list_len(const struct unm_dseg *seg, uint32_t port)
{
	uint32_t n = 0, at = seg->ports[port].bind_head;

	while (at < seg->n_bindings && n < seg->n_bindings) {
		at = seg->bindings[at].next;
		n++;
	}
	return n;
}

static uint32_t
new_port(struct unm_dseg *seg, uint32_t n_krings, uint32_t *base)
{
	struct unm_seg_port *e;
	uint32_t port;

	assert_int_equal(unm_dseg_alloc_port(seg, n_krings, &port, base, NULL), 0);
	e = unm_dseg_port_begin(seg, port);
	assert_true(e->gen & 1);
	e->bind_head = UNM_NONE;
	e->state = UNM_PORT_ACTIVE;
	assert_false(unm_dseg_port_end(seg, port) & 1);
	return port;
}

static void
test_ports(void **state)
{
	struct unm_reason why;
	struct unm_dseg *seg;
	uint32_t i, base, port, n = 0, seen[UNM_SEG_NPORTS_VALE] = {0}, gen;

	(void)state; /* cmocka's signature */
	assert_int_equal(unm_dseg_create(UNM_SEG_VALE, "vale0", &seg, &why), 0);
	assert_int_equal(unm_seg_check(seg->hdr, seg->size), 0);
	while (unm_dseg_alloc_port(seg, 2, &port, &base, &why) == 0) {
		assert_true(port != UNM_VALE_NO_PORT && seen[port] == 0);
		seen[port] = 1;
		n++;
	}
	assert_true(n >= 1024);
	assert_non_null(strstr(why.text, "full"));
	gen = seg->ports[5].gen;
	for (i = 0; i < 100; i++) {
		unm_dseg_free_port(seg, 5, 10, 2);
		assert_true(seg->ports[5].gen > gen);
		gen = seg->ports[5].gen;
		assert_int_equal(unm_dseg_alloc_port(seg, 2, &port, &base, &why), 0);
		assert_int_equal(port, 5);
		assert_int_equal(base, 10);
	}
	unm_dseg_free(seg);
}

static void
test_kring_limit(void **state)
{
	struct unm_reason why;
	struct unm_dseg *seg;
	uint32_t base, port, n = 0;

	(void)state; /* cmocka's signature */
	assert_int_equal(unm_dseg_create(UNM_SEG_DOMAIN, "domain", &seg, &why), 0);
	while (unm_dseg_alloc_port(seg, 512, &port, &base, &why) == 0) {
		assert_true(base + 512 <= UNM_SEG_NKRINGS);
		n++;
	}
	assert_int_equal(n, UNM_SEG_NKRINGS / 512);
	assert_non_null(strstr(why.text, "rings"));
	unm_dseg_free(seg);
}

static void
test_bindings(void **state)
{
	const int wake = eventfd(0, EFD_NONBLOCK);
	struct unm_reason why;
	struct unm_dseg *seg;
	uint32_t b[10], gen[10], base, i;
	uint64_t count;
	const uint32_t order[] = {3, 0, 9, 5};

	(void)state; /* cmocka's signature */
	assert_int_equal(unm_dseg_create(UNM_SEG_VALE, "vale0", &seg, &why), 0);
	new_port(seg, 2, &base);
	for (i = 0; i < 10; i++)
		assert_int_equal(unm_dseg_add_binding(seg, 0, wake, &b[i], &gen[i], &why), 0);
	assert_int_equal(list_len(seg, 0), 10);
	for (i = 0; i < 4; i++) {
		unm_dseg_del_binding(seg, 0, b[order[i]]);
		assert_int_equal(list_len(seg, 0), 9 - i);
		assert_int_not_equal(seg->bindings[b[order[i]]].gen, gen[order[i]]);
	}
	/* all that exist are signalled: a dead waker may have taken the mark of one of them; removed ones are not */
	seg->bindings[b[1]].want = UNM_WANT_RX;
	seg->bindings[b[3]].want = UNM_WANT_RX;
	unm_dseg_wake(seg);
	assert_int_equal(read(wake, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 10 - 4);
	assert_int_equal(seg->bindings[b[1]].want, 0);
	assert_int_equal(seg->bindings[b[3]].want, UNM_WANT_RX); /* of a removed one: nobody's */
	/* a list that a client has bent into a circle ends all the same */
	seg->bindings[b[1]].next = b[1];
	unm_dseg_del_binding(seg, 0, b[2]);
	close(wake);
	unm_dseg_free(seg);
}

static void
test_locks(void **state)
{
	struct unm_reason why;
	struct unm_dseg *seg;
	uint32_t base;

	(void)state; /* cmocka's signature */
	assert_int_equal(unm_dseg_create(UNM_SEG_VALE, "vale0", &seg, &why), 0);
	new_port(seg, 4, &base);
	seg->krings[base].lock = 7 | 0x80000000u;
	seg->krings[base + 1].busy = 7;
	seg->krings[base + 2].lock = 8;
	assert_int_equal(unm_dseg_break_locks(seg, 7), 2);
	assert_int_equal(seg->krings[base].lock, 0);
	assert_int_equal(seg->krings[base + 1].busy, 0);
	assert_int_equal(seg->krings[base + 2].lock, 8);
	unm_dseg_free(seg);
}

static void
test_macs(void **state)
{
	struct unm_reason why;
	struct unm_dseg *seg;

	(void)state; /* cmocka's signature */
	assert_int_equal(unm_dseg_create(UNM_SEG_VALE, "vale0", &seg, &why), 0);
	seg->fdb[3].entry[2] = UINT64_C(0x020000000001) << 16 | 5;
	seg->fdb[9].entry[6] = UINT64_C(0x020000000002) << 16 | 6;
	unm_dseg_forget_macs(seg, 5);
	assert_int_equal(seg->fdb[3].entry[2], 0);
	assert_int_not_equal(seg->fdb[9].entry[6], 0);
	unm_dseg_free(seg);
}

static void
test_adoption(void **state)
{
	const int wake = eventfd(0, EFD_NONBLOCK);
	struct unm_dseg *old, *seg;
	struct unm_reason why;
	uint32_t port, base, b, gen, other;

	(void)state; /* cmocka's signature */
	assert_int_equal(unm_dseg_create(UNM_SEG_VALE, "vale0", &old, &why), 0);
	port = new_port(old, 2, &base);
	assert_int_equal(unm_dseg_add_binding(old, port, wake, &b, &gen, &why), 0);
	assert_int_equal(unm_dseg_add_binding(old, port, wake, &other, &gen, &why), 0);
	assert_int_equal(unm_dseg_adopt(old->fd, old->uid + 1, &seg, &why), -EINVAL);
	assert_int_equal(unm_dseg_adopt(wake, old->uid, &seg, &why), -EINVAL);
	assert_int_equal(unm_dseg_adopt(old->fd, old->uid, &seg, &why), 0);
	assert_int_equal(unm_dseg_claim_port(seg, port + 1, base, 2), -EINVAL);
	assert_int_equal(unm_dseg_claim_port(seg, port, UNM_SEG_NKRINGS, 2), -EINVAL);
	assert_int_equal(unm_dseg_claim_port(seg, port, base, UINT32_MAX), -EINVAL);
	assert_int_equal(unm_dseg_claim_port(seg, port, base, 2), 0);
	assert_int_equal(unm_dseg_claim_port(seg, port, base, 2), -EINVAL);
	assert_int_equal(unm_dseg_claim_binding(seg, port, wake, other, gen + 2), -ESTALE);
	assert_int_equal(unm_dseg_claim_binding(seg, port + 1, wake, other, gen), -ESTALE);
	assert_int_equal(unm_dseg_claim_binding(seg, port, wake, UINT32_MAX, gen), -ESTALE);
	assert_int_equal(unm_dseg_claim_binding(seg, port, wake, other, gen), 0);
	assert_int_equal(unm_dseg_claim_binding(seg, port, wake, other, gen), -ESTALE);
	assert_int_equal(list_len(seg, port),
		2); /* the list is in use by others: left alone until the end */
	unm_dseg_drop_unclaimed(seg);
	assert_int_equal(list_len(seg, port), 1);
	assert_int_equal(seg->ports[port].bind_head, other);
	assert_true(seg->next_gen > gen);
	unm_dseg_free(seg);
	unm_dseg_free(old);
	close(wake);
}

/* What was learned about a port that was retired is forgotten when its index becomes another one's. */
static void
test_known(void **state)
{
	const uint64_t mac = UINT64_C(0x020000000001) << 16;
	struct unm_reason why;
	struct unm_dseg *seg;
	uint32_t port, base;

	(void)state; /* cmocka's signature */
	assert_int_equal(unm_dseg_create(UNM_SEG_VALE, "vale0", &seg, &why), 0);
	port = new_port(seg, 2, &base);
	memcpy(seg->ports[port].name, "vale0:a", 8);
	seg->fdb[3].entry[2] = mac | port;
	unm_dseg_retire_entry(seg, port);
	unm_dseg_reuse_entry(seg, port, "vale0:a");
	assert_int_not_equal(seg->fdb[3].entry[2], 0);
	unm_dseg_retire_entry(seg, port);
	unm_dseg_reuse_entry(seg, port, "vale0:b");
	assert_int_equal(seg->fdb[3].entry[2], 0);
	seg->fdb[3].entry[2] = mac | port;
	unm_dseg_reuse_entry(seg, port, "vale0:c"); /* not retired: forgotten when it ended */
	assert_int_not_equal(seg->fdb[3].entry[2], 0);
	unm_dseg_free(seg);
}

/* Two ports that nobody claims: none of their rings is given out before all have been seen free. */
static void
test_held(void **state)
{
	struct unm_dseg *old, *seg;
	uint32_t port[3], base[3], again, i;
	struct unm_reason why;

	(void)state; /* cmocka's signature */
	assert_int_equal(unm_dseg_create(UNM_SEG_VALE, "vale0", &old, &why), 0);
	for (i = 0; i < 3; i++)
		port[i] = new_port(old, 2, &base[i]);
	assert_int_equal(unm_dseg_adopt(old->fd, old->uid, &seg, &why), 0);
	assert_int_equal(unm_dseg_claim_port(seg, port[1], base[1], 2), 0);
	seg->krings[base[2] + 1].lock = 7;
	for (i = 0; i < 3; i += 2)
		unm_dseg_retire_entry(seg, port[i]);
	unm_dseg_hold_unclaimed(seg);
	assert_true(seg->has_held);
	assert_false(unm_dseg_free_held(seg));
	assert_int_equal(unm_dseg_alloc_port(seg, 2, &port[0], &again, &why), 0);
	assert_int_equal(again, base[2] + 2);
	assert_int_equal(seg->krings[base[2] + 1].lock, 7);
	seg->krings[base[2] + 1].lock = 0;
	seg->krings[base[0]].busy = 7;
	assert_false(unm_dseg_free_held(seg));
	assert_int_equal(unm_dseg_break_locks(seg, 7), 1);
	assert_true(unm_dseg_free_held(seg));
	assert_false(seg->has_held);
	assert_int_equal(unm_dseg_alloc_port(seg, 2, &port[2], &again, &why), 0);
	assert_int_equal(again, base[0]);
	assert_int_equal(unm_dseg_alloc_port(seg, 2, &port[2], &again, &why), 0);
	assert_int_equal(again, base[2]);
	unm_dseg_free(seg);
	unm_dseg_free(old);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_kring_limit),
		cmocka_unit_test(test_bindings),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_macs),
		cmocka_unit_test(test_adoption),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
