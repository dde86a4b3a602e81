/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_nm_open.c - proves the header-only nm_parse(), nm_open(), nm_mmap() and nm_close() against a
 * fake /dev/netmap: names, what is taken from req, flags and arg, ring intervals, mapping, errors.
 */
#define NETMAP_WITH_LIBS
#include "test_ctx.h"
#include "fake_dev.h"
#include "fake_region.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct fake_region region;
static FILE *messages;
static int real_stderr;

/* nm_open() talks on stderr, here into a file. */
static int
setup(void **state)
{
	static const struct fake_geometry geo = {2, 1, 3, 1, 8, 128};

	(void)state;
	fake_region_init(&region, &geo);
	memset(&fake_dev, 0, sizeof(fake_dev));
	fake_dev.mem = region.mem;
	fake_dev.memsize = region.size;
	fake_dev.offset = FAKE_NIFP_OFS;
	fake_dev.mem_id = 4;
	fake_dev.n_tx = 2;
	fake_dev.n_rx = 3;
	messages = tmpfile();
	real_stderr = dup(STDERR_FILENO);
	if (messages == NULL || real_stderr == -1)
		return -1;
	return dup2(fileno(messages), STDERR_FILENO) == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	fclose(messages);
	fake_region_fini(&region);
	assert_int_equal(fake_dev.n_open, 0);
	assert_int_equal(fake_dev.n_mapped, 0);
	return 0;
}

/* Lines printed since the last call; the text of all of them goes to text. */
static int
printed(char *text, size_t size)
{
	static char discard[4096];
	size_t len, i;
	int n = 0;

	if (text == NULL) {
		text = discard;
		size = sizeof(discard);
	}
	rewind(messages);
	len = fread(text, 1, size - 1, messages);
	text[len] = '\0';
	assert_int_equal(ftruncate(fileno(messages), 0), 0);
	rewind(messages);
	for (i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

/* ---- names ---- */

static void
good_names(void **state)
{
	static const struct {
		const char *spec, *name;
		uint32_t flags;
		uint16_t ringid, arg2;
	} table[] = {
		{"netmap:eth0", "eth0", NR_REG_ALL_NIC, 0, 0},
		{"netmap:eth0^", "eth0", NR_REG_SW, 0, 0},
		{"netmap:eth0*", "eth0", NR_REG_NIC_SW, 0, 0},
		{"netmap:eth0-3", "eth0", NR_REG_ONE_NIC, 3, 0},
		{"netmap:eth0-", "eth0", NR_REG_ONE_NIC, 0, 0},
		{"netmap:eth0-4094", "eth0", NR_REG_ONE_NIC, 4094, 0},
		{"netmap:eth0{7", "eth0", NR_REG_PIPE_MASTER, 7, 0},
		{"netmap:eth0}7", "eth0", NR_REG_PIPE_SLAVE, 7, 0},
		{"netmap:eth0{", "eth0", NR_REG_PIPE_MASTER, 0, 0},
		{"netmap:eth0/xztrRT", "eth0",
			NR_REG_ALL_NIC | NR_EXCLUSIVE | NR_ZCOPY_MON | NR_MONITOR_TX |
				NR_MONITOR_RX | NR_RX_RINGS_ONLY | NR_TX_RINGS_ONLY,
			0, 0},
		{"netmap:eth0-1/x@65535", "eth0", NR_REG_ONE_NIC | NR_EXCLUSIVE, 1, 65535},
		{"netmap:eth0@7/x", "eth0", NR_REG_ALL_NIC | NR_EXCLUSIVE, 0, 7},
		{"netmap:abcdefghijklmno", "abcdefghijklmno", NR_REG_ALL_NIC, 0, 0},
		{"netmap:eth0.5", "eth0.5", NR_REG_ALL_NIC, 0, 0},
		{"vale0:p", "vale0:p", NR_REG_ALL_NIC, 0, 0},
		{"vale:p_1", "vale:p_1", NR_REG_ALL_NIC, 0, 0},
		{"valeA_1:p{2/x@3", "valeA_1:p", NR_REG_PIPE_MASTER | NR_EXCLUSIVE, 2, 3},
		{"vale0:123456789", "vale0:123456789", NR_REG_ALL_NIC, 0, 0},
		{"vale0:eth0^", "vale0:eth0^", NR_REG_ALL_NIC, 0, 0},
		{"vale0:eth0^/r@3", "vale0:eth0^", NR_REG_ALL_NIC | NR_MONITOR_RX, 0, 3},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		struct nm_desc d;
		char err[MAXERRMSG] = "untouched";

		memset(&d, 0, sizeof(d));
		memset(d.req.nr_name, 0x5a, sizeof(d.req.nr_name));
		assert_int_equal(nm_parse(table[i].spec, &d, err), 0);
		assert_string_equal(err, "untouched");
		assert_string_equal(d.req.nr_name, table[i].name);
		assert_int_equal(d.req.nr_flags, table[i].flags);
		assert_int_equal(d.req.nr_ringid, table[i].ringid);
		assert_int_equal(d.req.nr_arg2, table[i].arg2);
		assert_int_equal(d.req.nr_name[15], 0);
	}
}

static void
bad_names(void **state)
{
	static const struct {
		const char *spec, *message;
	} table[] = {
		{"", "must begin with"},
		{"eth0", "must begin with"},
		{"netmapx:eth0", "must begin with"},
		{"vole:x", "must begin with"},
		{"vale", "then a colon"},
		{"vale0", "then a colon"},
		{"vale-0:x", "then a colon"},
		{"netmap:", "no port name"},
		{"netmap:^", "no port name"},
		{"vale0:", "no port name"},
		{"vale0:@1", "no port name"},
		{"vale0:a.b", "letters, digits and _"},
		{"netmap:abcdefghijklmnop", "longer than 15"},
		{"vale0:1234567890", "longer than 15"},
		{"vale0:123456789^", "longer than 15"},
		{"vale0:eth0^2", "did not expect: '2'"},
		{"netmap:eth0-4095", "above 4094"},
		{"netmap:eth0{4095", "above 4094"},
		{"netmap:eth0}99999999999999999999", "above 4094"},
		{"netmap:eth0{a", "did not expect"},
		{"netmap:eth0^3", "did not expect: '3'"},
		{"netmap:eth0*-1", "did not expect"},
		{"netmap:eth0-1x", "did not expect"},
		{"netmap:eth0/", "no flag after '/', want letters of xztrRT: '/'"},
		{"netmap:eth0/@1", "no flag after"},
		{"netmap:eth0/q", "unknown flag"},
		{"netmap:eth0%/xrT", "takes nmport_open()"},
		{"netmap:eth0/x/t", "unknown flag"},
		{"netmap:eth0/x@1/t", "did not expect: '/t'"},
		{"netmap:eth0@", "want a region number"},
		{"netmap:eth0@0", "want a region number"},
		{"netmap:eth0@65536", "want a region number"},
		{"netmap:eth0@1@1", "did not expect"},
		{"netmap:eth0@1x", "did not expect"},
		{"netmap:eth0@conf:rings=1", "want a region number"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		struct nm_desc d, before;
		char err[MAXERRMSG] = "";

		memset((void *)&d, 0x5a, sizeof(d));
		memcpy((void *)&before, &d, sizeof(d));
		errno = 0;
		assert_int_equal(nm_parse(table[i].spec, &d, err), -1);
		assert_int_equal(errno, EINVAL);
		assert_memory_equal(&d, &before, sizeof(d));
		assert_int_equal(nm_parse(table[i].spec, &d, NULL), -1);
		if (strstr(err, table[i].message) == NULL)
			fail_msg("'%s' gives '%s', without '%s'", table[i].spec, err,
				table[i].message);
	}
}

/* libpcap tries its other back ends after this. */
static void
foreign_names(void **state)
{
	static const char *const names[] = {"", "eth0", "netmap", "netmapx:y", "any", "tap:x"};
	size_t i;

	(void)state;
	for (i = 0; i < N(names); i++) {
		errno = EIO;
		assert_null(nm_open(names[i], NULL, 0, NULL));
		assert_int_equal(errno, 0);
	}
	assert_int_equal(fake_dev.n_opened, 0);
	assert_int_equal(printed(NULL, 0), 0);
}

/* ---- opening ---- */

static void
open_and_close(void **state)
{
	struct nm_desc *d = nm_open("netmap:eth0@9", NULL, 0, NULL);
	struct nm_desc stale;

	(void)state;
	assert_non_null(d);
	assert_string_equal(fake_dev.legacy.nr_name, "eth0");
	assert_int_equal(fake_dev.legacy.nr_version, NETMAP_API);
	assert_int_equal(fake_dev.legacy.nr_arg2, 9);
	assert_int_equal(fake_dev.legacy.nr_cmd, 0);
	assert_true(IS_NETMAP_DESC(d));
	assert_ptr_equal(P2NMD(d), d);
	assert_true(NETMAP_FD(d) >= FAKE_FD);
	assert_int_equal(d->req.nr_arg2, 4); /* what netmap said */
	assert_ptr_equal(d->mem, region.mem);
	assert_int_equal(d->memsize, region.size);
	assert_int_equal(d->done_mmap, 1);
	assert_ptr_equal(d->nifp, region.nifp);
	assert_ptr_equal(d->some_ring, NETMAP_TXRING(region.nifp, 0));
	assert_ptr_equal(d->buf_start, NETMAP_BUF(d->some_ring, 0));
	assert_ptr_equal(d->buf_end, region.mem + region.size);
	assert_int_equal(nm_mmap(d, NULL), 0); /* nothing to do */
	assert_int_equal(fake_dev.n_mmaps, 1);
	assert_int_equal(nm_close(d), 0);
	assert_int_equal(printed(NULL, 0), 0);

	assert_int_equal(nm_close(NULL), EINVAL);
	memset((void *)&stale, 0, sizeof(stale));
	assert_int_equal(nm_close(&stale), EINVAL);
}

static void
ring_intervals(void **state)
{
	static const struct {
		const char *spec;
		uint16_t first_tx, last_tx, first_rx, last_rx;
	} table[] = {
		{"netmap:x", 0, 1, 0, 2},
		{"netmap:x^", 2, 2, 3, 3},
		{"netmap:x*", 0, 2, 0, 3},
		{"netmap:x-1", 1, 1, 1, 1},
		{"netmap:x{5", 0, 0, 0, 0},
		{"netmap:x}5", 0, 0, 0, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		/* The bits beside the ring number are no part of it. */
		struct nm_desc *d =
			nm_open(table[i].spec, NULL, NETMAP_NO_TX_POLL | NETMAP_DO_RX_POLL, NULL);

		assert_non_null(d);
		assert_int_equal(d->req.nr_ringid & ~NETMAP_RING_MASK,
			NETMAP_NO_TX_POLL | NETMAP_DO_RX_POLL);
		assert_int_equal(d->first_tx_ring, table[i].first_tx);
		assert_int_equal(d->last_tx_ring, table[i].last_tx);
		assert_int_equal(d->first_rx_ring, table[i].first_rx);
		assert_int_equal(d->last_rx_ring, table[i].last_rx);
		assert_int_equal(d->cur_tx_ring, table[i].first_tx);
		assert_int_equal(d->cur_rx_ring, table[i].first_rx);
		nm_close(d);
	}
}

static void
request_gives_first_values(void **state)
{
	struct nmreq req;
	struct nm_desc *d;

	(void)state;
	memset(&req, 0, sizeof(req));
	req.nr_flags = NR_ACCEPT_VNET_HDR;
	req.nr_tx_slots = 512;
	req.nr_arg1 = 3;
	req.nr_arg2 = 6;
	req.nr_arg3 = 77;
	req.nr_ringid = 0x8;
	req.nr_version = 11;
	d = nm_open("netmap:eth0-2/x", &req, 0, NULL);
	assert_non_null(d);
	assert_int_equal(
		fake_dev.legacy.nr_flags, NR_ACCEPT_VNET_HDR | NR_REG_ONE_NIC | NR_EXCLUSIVE);
	assert_int_equal(fake_dev.legacy.nr_ringid, 0xa);
	assert_int_equal(fake_dev.legacy.nr_tx_slots, 512);
	assert_int_equal(fake_dev.legacy.nr_arg1, 3);
	assert_int_equal(fake_dev.legacy.nr_arg2, 6);
	assert_int_equal(fake_dev.legacy.nr_arg3, 77);
	assert_int_equal(fake_dev.legacy.nr_version, NETMAP_API);
	nm_close(d);
	d = nm_open("netmap:eth0@5", &req, 0, NULL);
	assert_non_null(d);
	assert_int_equal(fake_dev.legacy.nr_arg2, 5); /* the name wins */
	nm_close(d);
}

static void
values_from_another_port(void **state)
{
	static const uint64_t every =
		NM_OPEN_IFNAME | NM_OPEN_ARG1 | NM_OPEN_ARG2 | NM_OPEN_ARG3 | NM_OPEN_RING_CFG;
	struct nmreq req;
	struct nm_desc *parent, *d;
	char text[1024];

	(void)state;
	memset(&req, 0, sizeof(req));
	req.nr_arg1 = 9;
	req.nr_arg3 = 30;
	req.nr_tx_slots = 128;
	req.nr_rx_slots = 256;
	parent = nm_open("netmap:eth0-1/x", &req, 0, NULL);
	assert_non_null(parent);

	d = nm_open("netmap:whatever", NULL, every, parent);
	assert_non_null(d);
	assert_string_equal(fake_dev.legacy.nr_name, "eth0");
	assert_int_equal(fake_dev.legacy.nr_ringid, 1);
	assert_int_equal(fake_dev.legacy.nr_flags, NR_REG_ONE_NIC | NR_EXCLUSIVE);
	assert_int_equal(fake_dev.legacy.nr_arg1, 9);
	assert_int_equal(fake_dev.legacy.nr_arg2, 4);
	assert_int_equal(fake_dev.legacy.nr_arg3, 30);
	assert_int_equal(fake_dev.legacy.nr_tx_slots, 128);
	assert_int_equal(fake_dev.legacy.nr_rx_slots, 256);
	assert_int_equal(fake_dev.legacy.nr_tx_rings, 2);
	assert_int_equal(fake_dev.legacy.nr_rx_rings, 3);
	/* A line for each. */
	assert_int_equal(printed(text, sizeof(text)), 5);
	assert_non_null(strstr(text, "overriding ARG1 9\n"));
	assert_non_null(strstr(text, "overriding ARG2 4\n"));
	assert_non_null(strstr(text, "overriding ARG3 30\n"));
	assert_non_null(strstr(text, "overriding RING_CFG\n"));
	assert_non_null(strstr(text, "overriding ifname eth0"));
	/* One region, one mapping. */
	assert_int_equal(d->done_mmap, 0);
	assert_ptr_equal(d->mem, parent->mem);
	assert_int_equal(d->memsize, parent->memsize);
	assert_ptr_equal(d->some_ring, parent->some_ring);
	nm_close(d);
	assert_int_equal(fake_dev.n_mapped, 1);

	/* Not asked for: arg1 is 4 and arg3 0, whatever req says. */
	req.nr_arg1 = 2;
	d = nm_open("netmap:eth1", &req, NM_OPEN_ARG2, parent);
	assert_non_null(d);
	assert_string_equal(fake_dev.legacy.nr_name, "eth1");
	assert_int_equal(fake_dev.legacy.nr_arg1, 4);
	assert_int_equal(fake_dev.legacy.nr_arg3, 0);
	nm_close(d);
	/* Without flags, arg is for the mapping only. */
	d = nm_open("netmap:eth1", &req, 0, parent);
	assert_non_null(d);
	assert_int_equal(fake_dev.legacy.nr_arg1, 2);
	assert_int_equal(fake_dev.legacy.nr_arg3, 30);
	assert_int_equal(d->done_mmap, 0);
	nm_close(d);
	/* Another region is mapped by itself. */
	fake_dev.mem_id = 8;
	d = nm_open("netmap:eth1", NULL, 0, parent);
	assert_non_null(d);
	assert_int_equal(d->done_mmap, 1);
	assert_int_equal(fake_dev.n_mapped, 2);
	nm_close(d);
	nm_close(parent);
}

static void
no_mmap(void **state)
{
	struct nm_desc *parent = nm_open("netmap:x", NULL, 0, NULL), *d;

	(void)state;
	d = nm_open("netmap:x", NULL, NM_OPEN_NO_MMAP, NULL);
	assert_non_null(d);
	assert_null(d->mem);
	assert_null(d->nifp);
	assert_int_equal(nm_mmap(d, parent), 0);
	assert_ptr_equal(d->mem, parent->mem);
	nm_close(d);
	d = nm_open("netmap:x", NULL, NM_OPEN_NO_MMAP, parent);
	assert_non_null(d);
	assert_ptr_equal(d->mem, parent->mem);
	nm_close(d);
	nm_close(parent);
}

/* some_ring is a ring of the binding, whichever it has. */
static void
some_ring(void **state)
{
	struct nm_desc *d;
	uint32_t i;

	(void)state;
	for (i = 0; i < 6; i++)
		fake_region_unbind(&region, i);
	d = nm_open("netmap:x^/R", NULL, 0, NULL);
	assert_non_null(d);
	assert_ptr_equal(d->some_ring, NETMAP_RXRING(region.nifp, 3));
	nm_close(d);
	fake_region_unbind(&region, 6);
	assert_null(nm_open("netmap:x", NULL, 0, NULL));
	assert_int_equal(errno, EINVAL);
}

static void
failures(void **state)
{
	struct nmreq req;
	char text[1024];

	(void)state;
	assert_null(nm_open("netmap:eth0/q", NULL, 0, NULL));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(printed(text, sizeof(text)), 1);
	assert_non_null(strstr(text, "netmap:eth0/q: unknown flag"));

	fake_dev.open_errno = EACCES;
	assert_null(nm_open("netmap:eth0", NULL, 0, NULL));
	assert_int_equal(errno, EACCES);
	assert_int_equal(printed(text, sizeof(text)), 1);
	assert_non_null(strstr(text, "cannot open /dev/netmap (Permission denied)"));
	fake_dev.open_errno = 0;

	fake_dev.ioctl_errno = EBUSY;
	assert_null(nm_open("netmap:eth0", NULL, 0, NULL));
	assert_int_equal(errno, EBUSY);
	assert_int_equal(printed(text, sizeof(text)), 1);
	assert_non_null(strstr(text, "NIOCREGIF failed"));
	fake_dev.ioctl_errno = 0;

	fake_dev.mmap_errno = ENOMEM;
	assert_null(nm_open("netmap:eth0", NULL, 0, NULL));
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(printed(text, sizeof(text)), 1);
	assert_non_null(strstr(text, "cannot map the region"));
	fake_dev.mmap_errno = 0;

	/* Modes are or-ed; what comes out may be none. */
	memset(&req, 0, sizeof(req));
	req.nr_flags = NR_REG_ONE_SW;
	assert_null(nm_open("netmap:eth0", &req, 0, NULL));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(printed(text, sizeof(text)), 1);
	assert_non_null(strstr(text, "unknown mode"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(good_names),
		TEST(bad_names),
		TEST(foreign_names),
		TEST(open_and_close),
		TEST(ring_intervals),
		TEST(request_gives_first_values),
		TEST(values_from_another_port),
		TEST(no_mmap),
		TEST(some_ring),
		TEST(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
