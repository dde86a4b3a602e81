/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_nmport.c - proves the life of port descriptors against a fake /dev/netmap: what is opened,
 * asked, mapped and shared, that every failure is reported with its errno and undone, and that
 * ports may be closed in any order.
 */
#include "test_ctx.h"
#include "fake_dev.h"
#include "fake_region.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fake_region region;

static int
setup(void **state)
{
	static const struct fake_geometry geo = {2, 1, 3, 1, 8, 128};

	(void)state;
	test_ctx_init();
	fake_region_init(&region, &geo);
	memset(&fake_dev, 0, sizeof(fake_dev));
	fake_dev.mem = region.mem;
	fake_dev.memsize = region.size;
	fake_dev.offset = FAKE_NIFP_OFS;
	fake_dev.mem_id = 4;
	return 0;
}

/* No test leaves a descriptor, a mapping or memory behind. */
static int
teardown(void **state)
{
	(void)state;
	assert_int_equal(fake_dev.n_open, 0);
	assert_int_equal(fake_dev.n_mapped, 0);
	test_ctx_check();
	fake_region_fini(&region);
	nmctx_set_default(NULL);
	return 0;
}

static void
check_message(const char *part)
{
	if (strstr(test_ctx.last, part) == NULL)
		fail_msg("'%s' is without '%s'", test_ctx.last, part);
}

/* ---- opening ---- */

static void
new_descriptor(void **state)
{
	struct nmport_d *d = nmport_new();
	struct nmport_d want;

	(void)state;
	assert_non_null(d);
	memset(&want, 0, sizeof(want));
	nmreq_header_init(&want.hdr, NETMAP_REQ_REGISTER, &d->reg);
	want.ctx = &test_ctx.ctx;
	want.fd = -1;
	assert_memory_equal(d, &want, sizeof(*d));
	/* Undoing what was not done changes nothing. */
	nmport_undo_mmap(d);
	nmport_undo_register(d);
	nmport_undo_open_desc(d);
	nmport_do_cleanup(d);
	assert_memory_equal(d, &want, sizeof(*d));
	nmport_delete(d);
	nmport_delete(NULL);
	nmport_close(NULL);
	nmport_undo_prepare(NULL);
	nmport_undo_open_desc(NULL);
}

static void
open_and_close(void **state)
{
	struct nmport_d *d = nmport_open("netmap:eth0-1/x");

	(void)state;
	assert_non_null(d);
	assert_string_equal(fake_dev.hdr.nr_name, "eth0");
	assert_int_equal(fake_dev.hdr.nr_version, NETMAP_API);
	assert_int_equal(fake_dev.hdr.nr_reqtype, NETMAP_REQ_REGISTER);
	assert_int_equal(fake_dev.reg.nr_mode, NR_REG_ONE_NIC);
	assert_int_equal(fake_dev.reg.nr_ringid, 1);
	assert_int_equal(fake_dev.reg.nr_flags, NR_EXCLUSIVE);
	assert_int_equal(d->register_done, 1);
	assert_int_equal(d->mmap_done, 1);
	assert_true(d->fd >= FAKE_FD);
	assert_ptr_equal(d->nifp, region.nifp);
	assert_non_null(d->mem);
	assert_int_equal(d->mem->mem_id, 4);
	assert_int_equal(d->mem->refcount, 1);
	assert_ptr_equal(d->mem->mem, region.mem);
	assert_int_equal(d->mem->size, region.size);
	assert_int_equal(d->mem->is_extmem, 0);
	assert_ptr_equal(test_ctx.ctx.mem_descs, d->mem);
	assert_int_equal(d->first_tx_ring, 0);
	assert_int_equal(d->last_tx_ring, 2);
	assert_int_equal(d->first_rx_ring, 0);
	assert_int_equal(d->last_rx_ring, 3);
	assert_int_equal(fake_dev.n_open, 1);
	nmport_close(d);
	assert_int_equal(fake_dev.n_opened, 1);
	assert_int_equal(fake_dev.n_mmaps, 1);
	assert_int_equal(test_ctx.n_errors, 0);
}

static void
steps_out_of_order(void **state)
{
	struct nmport_d *d = nmport_prepare("netmap:eth0");

	(void)state;
	assert_non_null(d);
	assert_int_equal(nmport_mmap(d), -1);
	assert_int_equal(errno, EINVAL);
	check_message("before registration");
	assert_int_equal(nmport_register(d), 0);
	assert_int_equal(nmport_register(d), -1);
	assert_int_equal(errno, EINVAL);
	check_message("registered already");
	assert_int_equal(nmport_register_fd(d, 5), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(nmport_mmap(d), 0);
	assert_int_equal(nmport_mmap(d), -1);
	assert_int_equal(errno, EINVAL);
	check_message("mapped already");
	nmport_undo_mmap(d);
	assert_null(d->mem);
	assert_null(d->nifp);
	assert_int_equal(d->mmap_done, 0);
	assert_int_equal(d->last_tx_ring, 0);
	assert_int_equal(d->last_rx_ring, 0);
	assert_int_equal(nmport_mmap(d), 0); /* and again */
	nmport_undo_open_desc(d);
	assert_int_equal(d->fd, -1);
	assert_int_equal(d->register_done, 0);
	assert_int_equal(nmport_open_desc(d), 0);
	nmport_close(d);
}

static void
open_fails(void **state)
{
	(void)state;
	fake_dev.open_errno = EACCES;
	assert_null(nmport_open("netmap:eth0"));
	assert_int_equal(errno, EACCES);
	check_message("cannot open /dev/netmap: Permission denied");
	fake_dev.open_errno = 0;

	fake_dev.ioctl_errno = ENXIO;
	assert_null(nmport_open("netmap:eth0"));
	assert_int_equal(errno, ENXIO);
	check_message("eth0: cannot register: No such device or address");
	fake_dev.ioctl_errno = 0;

	fake_dev.mmap_errno = ENOMEM;
	assert_null(nmport_open("netmap:eth0"));
	assert_int_equal(errno, ENOMEM);
	check_message("eth0: cannot map");
	fake_dev.mmap_errno = 0;

	assert_null(nmport_open("eth0"));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(fake_dev.n_opened, 2);
	assert_int_equal(test_ctx.n_errors, 4);
}

static void
register_on_a_descriptor(void **state)
{
	struct nmport_d *d = nmport_prepare("vale0:a");

	(void)state;
	assert_non_null(d);
	fake_dev.ioctl_errno = EBUSY;
	fake_dev.n_open = 1; /* as if the program had opened it */
	assert_int_equal(nmport_register_fd(d, FAKE_FD + 50), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(d->fd, -1);
	assert_int_equal(fake_dev.n_open, 1); /* left alone */
	fake_dev.ioctl_errno = 0;
	assert_int_equal(nmport_register_fd(d, FAKE_FD + 50), 0);
	assert_int_equal(d->fd, FAKE_FD + 50);
	nmport_close(d);
}

static void
option_statuses_are_reported(void **state)
{
	struct nmport_d *d = nmport_prepare("netmap:eth0");
	struct nmreq_option *opt;

	(void)state;
	assert_int_equal(nmport_offset(d, 0, 8, 16, 64), 0);
	fake_dev.ioctl_errno = EINVAL;
	fake_dev.option_status = EINVAL;
	assert_int_equal(nmport_register(d), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(test_ctx.n_errors, 1);
	check_message("eth0: option offsets: Invalid argument");
	/* An option that was not reached does not hide the real reason. */
	fake_dev.ioctl_errno = ENXIO;
	fake_dev.option_status = EOPNOTSUPP;
	assert_int_equal(nmport_register(d), -1);
	assert_int_equal(errno, ENXIO);
	assert_int_equal(test_ctx.n_errors, 3);
	check_message("cannot register: No such device");
	/* The program can read them too. */
	opt = nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS);
	assert_non_null(opt);
	assert_int_equal(opt->nro_status, EOPNOTSUPP);
	fake_dev.ioctl_errno = 0;
	assert_int_equal(nmport_register(d), 0);
	assert_int_equal(opt->nro_status, 0);
	/* Too late, and twice. */
	assert_int_equal(nmport_offset(d, 0, 0, 0, 0), -1);
	assert_int_equal(errno, EINVAL);
	nmport_close(d);
}

/* ---- rings ---- */

static void
ring_intervals(void **state)
{
	/* Bits say which entries of ring_ofs are bound: tx 0 1 host, rx 3 4 5 host. */
	static const struct {
		unsigned int bound;
		uint16_t first_tx, last_tx, first_rx, last_rx;
	} table[] = {
		{0x7f, 0, 2, 0, 3}, {0x3b, 0, 1, 0, 2}, /* no host rings */
		{0x44, 2, 2, 3, 3},			/* only those */
		{0x12, 1, 1, 1, 1},			/* one ring */
		{0x38, 3, 2, 0, 2},			/* receive only: empty is n, n - 1 */
		{0x07, 0, 2, 4, 3},			/* transmit only */
		{0x2d, 0, 0, 0, 0},			/* the first run counts */
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		static const struct fake_geometry geo = {2, 1, 3, 1, 8, 128};
		struct nmport_d *d;
		uint32_t r;

		fake_region_fini(&region);
		fake_region_init(&region, &geo);
		fake_dev.mem = region.mem;
		for (r = 0; r < 7; r++) {
			if ((table[i].bound & (1U << r)) == 0)
				fake_region_unbind(&region, r);
		}
		d = nmport_open("netmap:eth0");
		assert_non_null(d);
		assert_int_equal(d->first_tx_ring, table[i].first_tx);
		assert_int_equal(d->last_tx_ring, table[i].last_tx);
		assert_int_equal(d->first_rx_ring, table[i].first_rx);
		assert_int_equal(d->last_rx_ring, table[i].last_rx);
		assert_int_equal(d->cur_tx_ring, table[i].first_tx);
		assert_int_equal(d->cur_rx_ring, table[i].first_rx);
		nmport_close(d);
	}
}

/* A null port without rings: the interval wraps around, as programs know it. */
static void
no_rings_at_all(void **state)
{
	static const struct fake_geometry geo = {0, 0, 0, 0, 8, 128};
	struct nmport_d *d;

	(void)state;
	fake_region_fini(&region);
	fake_region_init(&region, &geo);
	fake_dev.mem = region.mem;
	fake_dev.memsize = region.size;
	d = nmport_open("netmap:null");
	assert_non_null(d);
	assert_int_equal(d->first_tx_ring, 0);
	assert_int_equal(d->last_tx_ring, UINT16_MAX);
	assert_int_equal(d->first_rx_ring, 0);
	assert_int_equal(d->last_rx_ring, UINT16_MAX);
	assert_int_equal(nmport_inject(d, "x", 1), 0);
	nmport_close(d);
}

/* ---- regions ---- */

static void
ports_share_a_mapping(void **state)
{
	struct nmport_d *a, *b, *c;

	(void)state;
	a = nmport_open("netmap:a");
	b = nmport_open("netmap:b");
	fake_dev.mem_id = 5;
	c = nmport_open("vale0:c");
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	assert_ptr_equal(a->mem, b->mem);
	assert_ptr_not_equal(a->mem, c->mem);
	assert_int_equal(a->mem->refcount, 2);
	assert_int_equal(fake_dev.n_mmaps, 2);
	assert_ptr_equal(test_ctx.ctx.mem_descs, c->mem);
	assert_ptr_equal(c->mem->next, a->mem);
	assert_ptr_equal(a->mem->prev, c->mem);
	/* The first to open may be the first to close. */
	nmport_close(a);
	assert_int_equal(fake_dev.n_mapped, 2);
	assert_int_equal(b->mem->refcount, 1);
	assert_int_equal(b->nifp->ni_tx_rings, 2);
	nmport_close(b);
	assert_int_equal(fake_dev.n_mapped, 1);
	assert_ptr_equal(test_ctx.ctx.mem_descs, c->mem);
	assert_null(c->mem->next);
	nmport_close(c);
	assert_true(test_ctx.n_locks > 0);
}

/* A port that knows a larger region than the one mapped must not use the short mapping. */
static void
a_region_that_grew(void **state)
{
	struct nmport_d *a, *b;

	(void)state;
	fake_dev.memsize = region.size / 2;
	a = nmport_open("netmap:a");
	fake_dev.memsize = region.size;
	b = nmport_open("netmap:b");
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a->mem, b->mem);
	assert_int_equal(b->mem->size, region.size);
	nmport_close(a);
	nmport_close(b);
}

static void
share_option(void **state)
{
	struct nmport_d *d;
	const char *p = "netmap:eth1^";

	(void)state;
	assert_int_equal(nmreq_get_mem_id(&p, &test_ctx.ctx), 4);
	assert_string_equal(p, "^");
	assert_int_equal(fake_dev.hdr.nr_reqtype, NETMAP_REQ_PORT_INFO_GET);
	assert_string_equal(fake_dev.hdr.nr_name, "eth1");
	assert_int_equal(fake_dev.n_open, 0);

	d = nmport_prepare("netmap:eth0@share=vale1:2");
	assert_non_null(d);
	assert_string_equal(fake_dev.hdr.nr_name, "vale1:2");
	assert_string_equal(d->hdr.nr_name, "eth0");
	assert_int_equal(d->reg.nr_mem_id, 4);
	nmport_undo_prepare(d);

	d = nmport_prepare("netmap:eth0@4@share:port=netmap:x-1/x");
	assert_non_null(d);
	nmport_undo_prepare(d);

	assert_null(nmport_prepare("netmap:eth0@7@share=vale1:2"));
	assert_int_equal(errno, EINVAL);
	check_message("region 4, the port is to use 7");
	assert_null(nmport_prepare("netmap:eth0@share=vale1:2/q"));
	assert_int_equal(errno, EINVAL);

	fake_dev.ioctl_errno = ENXIO;
	p = "netmap:eth1^";
	assert_int_equal(nmreq_get_mem_id(&p, &test_ctx.ctx), -1);
	assert_int_equal(errno, ENXIO);
	assert_string_equal(p, "netmap:eth1^");
	check_message("cannot get the memory region of eth1");
	assert_null(nmport_prepare("netmap:eth0@share=vale1:2"));
	assert_int_equal(errno, ENXIO);
	fake_dev.open_errno = ENOENT;
	assert_null(nmport_prepare("netmap:eth0@share=vale1:2"));
	assert_int_equal(errno, ENOENT);
}

/* ---- external memory ---- */

static void
external_memory(void **state)
{
	struct nmport_d *d = nmport_prepare("netmap:eth0");
	struct nmreq_pools_info *info;

	(void)state;
	assert_null(nmport_extmem_getinfo(d));
	assert_int_equal(nmport_extmem(d, region.mem, region.size), 0);
	info = nmport_extmem_getinfo(d);
	assert_non_null(info);
	assert_int_equal(info->nr_memsize, region.size);
	assert_int_equal(info->nr_buf_pool_objtotal, 0);
	assert_int_equal(nmport_extmem(d, region.mem, region.size), -1);
	assert_int_equal(errno, EINVAL);
	/* Which region a clone should name is not known yet. */
	assert_null(nmport_clone(d));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(nmport_open_desc(d), 0);
	assert_true(fake_dev.ext_mem == (uintptr_t)region.mem);
	assert_int_equal(fake_dev.n_mmaps, 0); /* it is there already */
	assert_int_equal(d->mem->is_extmem, 1);
	assert_ptr_equal(d->nifp, region.nifp);
	assert_int_equal(nmport_extmem(d, region.mem, region.size), -1);
	nmport_undo_open_desc(d);
	assert_non_null(d->extmem);
	nmport_undo_parse(d);
	assert_null(d->extmem);
	assert_int_equal(nmport_parse(d, "netmap:eth0"), 0);
	assert_int_equal(nmport_extmem(d, region.mem, region.size), 0);
	assert_int_equal(nmport_register(d), 0);
	assert_int_equal(nmport_extmem(d, region.mem, region.size), -1);
	assert_int_equal(errno, EINVAL);
	nmport_close(d);
}

/* The file stays mapped as long as any port uses the region, whichever is closed first. */
static void
external_memory_from_file(void **state)
{
	char path[64];
	struct nmport_d *first, *second;
	char *mem;
	int fd = memfd_create("extmem", MFD_CLOEXEC);

	(void)state;
	assert_int_not_equal(fd, -1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(write(fd, region.mem, region.size), region.size);
	first = nmport_prepare("netmap:a");
	assert_int_equal(nmport_extmem_from_file(first, path), 0);
	assert_int_equal(nmport_extmem_from_file(first, path), -1);
	assert_int_equal(errno, EINVAL);
	mem = (char *)(uintptr_t)first->extmem->nro_usrptr;
	assert_int_equal(nmport_open_desc(first), 0);
	assert_true(fake_dev.ext_mem == (uintptr_t)mem);
	assert_ptr_equal(first->nifp, mem + FAKE_NIFP_OFS);
	second = nmport_clone(first);
	assert_non_null(second);
	assert_null(second->extmem);
	assert_int_equal(second->hdr.nr_options, 0);
	assert_int_equal(nmport_open_desc(second), 0);
	assert_ptr_equal(second->mem, first->mem);
	nmport_close(first);
	assert_int_equal(second->nifp->ni_tx_rings, 2); /* would crash if it were gone */
	nmport_close(second);
	assert_int_equal(msync(mem, 4096, MS_ASYNC), -1);
	assert_int_equal(errno, ENOMEM); /* it is gone */
	close(fd);

	first = nmport_prepare("netmap:a");
	assert_int_equal(nmport_extmem_from_file(first, "/nonexistent"), -1);
	assert_int_equal(errno, ENOENT);
	assert_null(first->extmem);
	nmport_close(first);
}

static void
clone_port(void **state)
{
	struct nmport_d *d = nmport_prepare("netmap:eth0-1@9"), *c;

	(void)state;
	d->reg.nr_extra_bufs = 6;
	c = nmport_clone(d);
	assert_non_null(c);
	assert_string_equal(c->hdr.nr_name, "eth0");
	assert_true(c->hdr.nr_body == (uintptr_t)&c->reg);
	assert_memory_equal(&c->reg, &d->reg, sizeof(c->reg));
	assert_int_equal(c->fd, -1);
	assert_int_equal(c->register_done, 0);
	assert_ptr_equal(c->ctx, d->ctx);
	nmport_close(c);

	assert_int_equal(nmport_open_desc(d), 0);
	c = nmport_clone(d);
	assert_int_equal(c->reg.nr_mem_id, 4); /* the result, so that it joins the region */
	assert_null(c->mem);
	assert_null(c->nifp);
	assert_int_equal(nmport_open_desc(c), 0);
	assert_ptr_equal(c->mem, d->mem);
	nmport_close(c);
	nmport_close(d);
}

/* Whichever allocation fails, the result is ENOMEM and everything is undone. */
static void
without_memory(void **state)
{
	char path[64];
	int i, n_failed = 0, fd = memfd_create("extmem", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(write(fd, region.mem, region.size), region.size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (i = 1; i < 20; i++) {
		struct nmport_d *d;
		int done;

		test_ctx.n_allocs = 0;
		test_ctx.fail_at = i;
		d = nmport_prepare("netmap:eth0");
		done = d != NULL && nmport_extmem_from_file(d, path) == 0 &&
		       nmport_open_desc(d) == 0;
		if (!done) {
			assert_int_equal(errno, ENOMEM);
			n_failed++;
		}
		nmport_close(d);
		assert_int_equal(test_ctx.n_live, 0);
		assert_int_equal(fake_dev.n_open, 0);
		if (done)
			break;
	}
	/* Descriptor; mapped file, two cleanups and an option; mapping of the region. */
	assert_int_equal(n_failed, 6);
	close(fd);
}

/* ---- option lists ---- */

static void
option_lists(void **state)
{
	static const char *const names[] = {"unknown", "extmem", "sync-kloop-eventfds", "csb",
		"sync-kloop-mode", "offsets", "unknown"};
	struct nmreq_option a, b, c, *opt, *heap;
	struct nmreq_header hdr;
	int n = 0;
	uint32_t i;

	(void)state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	memset(&c, 0, sizeof(c));
	a.nro_reqtype = NETMAP_REQ_OPT_CSB;
	b.nro_reqtype = NETMAP_REQ_OPT_EXTMEM;
	c.nro_reqtype = NETMAP_REQ_OPT_OFFSETS;
	memset(&hdr, 0xff, sizeof(hdr));
	nmreq_header_init(&hdr, NETMAP_REQ_VALE_LIST, &n);
	assert_int_equal(hdr.nr_version, NETMAP_API);
	assert_int_equal(hdr.nr_reqtype, NETMAP_REQ_VALE_LIST);
	assert_true(hdr.nr_body == (uintptr_t)&n);
	assert_int_equal(hdr.nr_reserved, 0);
	assert_int_equal(hdr.nr_options, 0);
	assert_int_equal(hdr.nr_name[63], 0);

	assert_null(nmreq_find_option(&hdr, NETMAP_REQ_OPT_CSB));
	nmreq_remove_option(&hdr, &a);
	nmreq_push_option(&hdr, &a);
	nmreq_push_option(&hdr, &b);
	nmreq_push_option(&hdr, &c);
	assert_true(hdr.nr_options == (uintptr_t)&c); /* prepended */
	assert_true(c.nro_next == (uintptr_t)&b);
	assert_ptr_equal(nmreq_find_option(&hdr, NETMAP_REQ_OPT_CSB), &a);
	assert_null(nmreq_find_option(&hdr, NETMAP_REQ_OPT_SYNC_KLOOP_MODE));
	nmreq_foreach_option(&hdr, opt) n++;
	assert_int_equal(n, 3);
	nmreq_remove_option(&hdr, &b);
	assert_true(c.nro_next == (uintptr_t)&a);
	assert_int_equal(b.nro_next, 0);
	nmreq_remove_option(&hdr, &b);
	nmreq_remove_option(&hdr, &c);
	nmreq_remove_option(&hdr, &a);
	assert_int_equal(hdr.nr_options, 0);

	/* Freed with libc's free(); the leak checker of the sanitized build sees what is not. */
	for (i = 0; i < 3; i++) {
		heap = calloc(1, sizeof(*heap));
		assert_non_null(heap);
		nmreq_push_option(&hdr, heap);
	}
	nmreq_free_options(&hdr);
	assert_int_equal(hdr.nr_options, 0);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_string_equal(nmreq_option_name(i), names[i]);
	assert_string_equal(nmreq_option_name(UINT32_MAX), "unknown");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(new_descriptor),
		TEST(open_and_close),
		TEST(steps_out_of_order),
		TEST(open_fails),
		TEST(register_on_a_descriptor),
		TEST(option_statuses_are_reported),
		TEST(ring_intervals),
		TEST(no_rings_at_all),
		TEST(ports_share_a_mapping),
		TEST(a_region_that_grew),
		TEST(share_option),
		TEST(external_memory),
		TEST(external_memory_from_file),
		TEST(clone_port),
		TEST(without_memory),
		TEST(option_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
