/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_names.c - proves the grammar of port names: what each name means, that everything else is
 * refused with EINVAL and a message, and that a refusal leaves the caller's variables alone.
 */
#include "test_ctx.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define A10  "aaaaaaaaaa"
#define A63  A10 A10 A10 A10 A10 A10 "aaa"

static int
setup(void **state)
{
	(void)state;
	test_ctx_init();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	test_ctx_check();
	nmctx_set_default(NULL);
	return 0;
}

/* ---- the port ---- */

static void
header_good(void **state)
{
	static const struct {
		const char *spec, *name, *rest;
	} table[] = {
		{"netmap:eth0", "eth0", ""},
		{"netmap:eth0^", "eth0", "^"},
		{"netmap:eth0^3", "eth0", "^3"},
		{"netmap:eth0*", "eth0", "*"},
		{"netmap:eth0-2/Tx", "eth0", "-2/Tx"},
		{"netmap:eth0{3", "eth0{3", ""},
		{"netmap:eth0}a_Z9-1", "eth0}a_Z9", "-1"},
		{"netmap:eth0@share=vale1:2", "eth0", "@share=vale1:2"},
		{"netmap:eth0.5:1", "eth0.5:1", ""},
		{"vale0:p}a@7", "vale0:p}a", "@7"},
		{"vale:x/z@conf:slots=512,rings=2", "vale:x", "/z@conf:slots=512,rings=2"},
		{"vale_Aa9:x", "vale_Aa9:x", ""},
		{"tap:t0", "tap:t0", ""},
		{"tap:t0^@netns=blue", "tap:t0^", "@netns=blue"},
		{"tap:t0^%blue/r", "tap:t0^%blue", "/r"},
		{"vale0:eth0^", "vale0:eth0^", ""},
		{"vale0:eth0^/rt@2", "vale0:eth0^", "/rt@2"},
		{"vale0:eth0^@2", "vale0:eth0^", "@2"},
		{"vale0:eth0^%blue", "vale0:eth0^%blue", ""},
		{"netmap:eth0%/run/netns/my-ns", "eth0%/run/netns/my-ns", ""},
		{"netmap:eth0%/a/r*^-1@2@conf:rings=1", "eth0%/a/r*^-1", "@2@conf:rings=1"},
		{"tap:t0%/a/r", "tap:t0%/a/r", ""},
		{"tap:t0^%/a/r", "tap:t0^%/a/r", ""},
		{"vale0:tap:t0%/run/netns/a@3", "vale0:tap:t0%/run/netns/a", "@3"},
		{"vale0:eth0^%/run/netns/a", "vale0:eth0^%/run/netns/a", ""},
		{"netmap:eth0%a/r", "eth0%a", "/r"},
		{"netmap:eth0%pid:7/r", "eth0%pid:7", "/r"},
		{"netmap:eth0^%/a", "eth0", "^%/a"},
		{"vale0:eth0^%blue-1/r", "vale0:eth0^%blue", "-1/r"},
		{"vale0:eth0^3", "vale0:eth0", "^3"},
		{"vale0:eth0^^", "vale0:eth0", "^^"},
		{"vale0:p{a^", "vale0:p{a", "^"},
		{"netmap:eth0^%blue", "eth0", "^%blue"},
		{"netmap:" A63, A63, ""},
		{"vale0:" A10 A10 A10 A10 A10 "aaaaaaa", "vale0:" A10 A10 A10 A10 A10 "aaaaaaa",
			""},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		struct nmreq_header hdr, want;
		const char *p = table[i].spec;

		memset(&hdr, 0x5a, sizeof(hdr));
		want = hdr;
		memset(want.nr_name, 0, sizeof(want.nr_name));
		snprintf(want.nr_name, sizeof(want.nr_name), "%s", table[i].name);
		assert_int_equal(nmreq_header_decode(&p, &hdr, &test_ctx.ctx), 0);
		assert_string_equal(p, table[i].rest);
		assert_memory_equal(&hdr, &want, sizeof(hdr));
	}
	assert_int_equal(test_ctx.n_errors, 0);
}

static void
header_bad(void **state)
{
	static const struct {
		const char *spec, *message;
	} table[] = {
		{"", "begins with"},
		{"eth0", "begins with"},
		{"netmap", "begins with"},
		{"eth0:netmap:", "begins with"},
		{"netmapx:eth0", "begins with"},
		{"netma:eth0", "begins with"},
		{" netmap:eth0", "begins with"},
		{"NETMAP:eth0", "begins with"},
		{"val:x", "begins with"},
		{"vale", "begins with"},
		{"tapx:y", "begins with"},
		{"vale-1:x", "a switch is named"},
		{"vale.:x", "a switch is named"},
		{"vale\xc3\xa9:x", "a switch is named"},
		{"netmap:eth0%/a{b", "can't have { or }"},
		{"vale0:tap:t0%/a/}", "can't have { or }"},
		{"netmap:eth0%/" A63, "longer than 63"},
		{"netmap:", "no port name"},
		{"netmap:^", "no port name"},
		{"netmap:{1", "no port name"},
		{"vale1:", "no port name"},
		{"vale1:^", "no port name"},
		{"tap:^%blue", "no port name"},
		{"vale1:@2", "no port name"},
		{"tap:", "no port name"},
		{"netmap:a{", "pipe id"},
		{"netmap:a}", "pipe id"},
		{"netmap:a{-1", "pipe id"},
		{"netmap:a{b.c", "pipe id"},
		{"netmap:a{b{c", "pipe id"},
		{"netmap:a}b{c", "pipe id"},
		{"netmap:" A63 "a", "longer than 63"},
		{"vale0:" A10 A10 A10 A10 A10 "aaaaaaaa", "longer than 63"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		struct nmreq_header hdr, before;
		const char *p = table[i].spec;

		memset(&hdr, 0x5a, sizeof(hdr));
		before = hdr;
		errno = 0;
		test_ctx.last[0] = '\0';
		assert_int_equal(nmreq_header_decode(&p, &hdr, &test_ctx.ctx), -1);
		assert_int_equal(errno, EINVAL);
		assert_ptr_equal(p, table[i].spec);
		assert_memory_equal(&hdr, &before, sizeof(hdr));
		if (strstr(test_ctx.last, table[i].message) == NULL)
			fail_msg("'%s' gives '%s', without '%s'", table[i].spec, test_ctx.last,
				table[i].message);
	}
}

/* ---- rings, flags and region ---- */

static void
register_good(void **state)
{
	static const struct {
		const char *spec, *rest;
		uint32_t mode;
		uint16_t ringid;
		uint64_t flags;
		uint16_t mem_id; /* 5 when the name has none */
	} table[] = {
		{"", "", NR_REG_ALL_NIC, 0, 0, 5},
		{"^", "", NR_REG_SW, 0, 0, 5},
		{"^0", "", NR_REG_ONE_SW, 0, 0, 5},
		{"^3", "", NR_REG_ONE_SW, 3, 0, 5},
		{"^4094", "", NR_REG_ONE_SW, 4094, 0, 5},
		{"*", "", NR_REG_NIC_SW, 0, 0, 5},
		{"-0", "", NR_REG_ONE_NIC, 0, 0, 5},
		{"-0000000000000000000012", "", NR_REG_ONE_NIC, 12, 0, 5},
		{"-4094", "", NR_REG_ONE_NIC, 4094, 0, 5},
		{"/x", "", NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, 5},
		{"/z", "", NR_REG_ALL_NIC, 0, NR_ZCOPY_MON, 5},
		{"/t", "", NR_REG_ALL_NIC, 0, NR_MONITOR_TX, 5},
		{"/r", "", NR_REG_ALL_NIC, 0, NR_MONITOR_RX, 5},
		{"/R", "", NR_REG_ALL_NIC, 0, NR_RX_RINGS_ONLY, 5},
		{"/T", "", NR_REG_ALL_NIC, 0, NR_TX_RINGS_ONLY, 5},
		{"/xzrtRT", "", NR_REG_ALL_NIC, 0,
			NR_EXCLUSIVE | NR_ZCOPY_MON | NR_MONITOR_TX | NR_MONITOR_RX |
				NR_RX_RINGS_ONLY | NR_TX_RINGS_ONLY,
			5},
		{"/xx", "", NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, 5},
		{"-2/Tx", "", NR_REG_ONE_NIC, 2, NR_TX_RINGS_ONLY | NR_EXCLUSIVE, 5},
		{"@5", "", NR_REG_ALL_NIC, 0, 0, 5},
		{"^/x@5", "", NR_REG_SW, 0, NR_EXCLUSIVE, 5},
		{"*@5/x", "", NR_REG_NIC_SW, 0, NR_EXCLUSIVE, 5},
		{"@conf:rings=2", "@conf:rings=2", NR_REG_ALL_NIC, 0, 0, 5},
		{"-1/x@5@share=a", "@share=a", NR_REG_ONE_NIC, 1, NR_EXCLUSIVE, 5},
		{"/z@conf:slots=512,rings=2", "@conf:slots=512,rings=2", NR_REG_ALL_NIC, 0,
			NR_ZCOPY_MON, 5},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		struct nmreq_register reg, want;
		const char *p = table[i].spec;

		memset(&reg, 0x5a, sizeof(reg));
		reg.nr_mem_id = 5;
		want = reg;
		want.nr_mode = table[i].mode;
		want.nr_ringid = table[i].ringid;
		want.nr_flags = table[i].flags;
		want.nr_mem_id = table[i].mem_id;
		assert_int_equal(nmreq_register_decode(&p, &reg, &test_ctx.ctx), 0);
		assert_string_equal(p, table[i].rest);
		assert_memory_equal(&reg, &want, sizeof(reg));
	}
	assert_int_equal(test_ctx.n_errors, 0);
}

static void
register_region(void **state)
{
	struct nmreq_register reg;
	const char *p = "@65535";

	(void)state;
	memset(&reg, 0, sizeof(reg));
	assert_int_equal(nmreq_register_decode(&p, &reg, &test_ctx.ctx), 0);
	assert_int_equal(reg.nr_mem_id, 65535);
	p = "@7";
	assert_int_equal(nmreq_register_decode(&p, &reg, &test_ctx.ctx), -1);
	assert_non_null(strstr(test_ctx.last, "region 65535 already"));
	assert_int_equal(reg.nr_mem_id, 65535);
}

static void
register_bad(void **state)
{
	static const struct {
		const char *spec, *message;
	} table[] = {
		{"-", "number is missing"},
		{"-x", "number is missing"},
		{"--1", "number is missing"},
		{"-/x", "number is missing"},
		{"-4095", "highest ring number is 4094"},
		{"-5000", "highest ring number is 4094"},
		{"^4095", "highest ring number is 4094"},
		{"-18446744073709551617", "highest ring number is 4094"},
		{"-1x", "should be"},
		{"^x", "should be"},
		{"**", "should be"},
		{"*1", "should be"},
		{"^*", "should be"},
		{"x", "should be"},
		{"{1", "should be"},
		{"/", "flags are missing"},
		{"/@1", "flags are missing"},
		{"//x", "flags are missing"},
		{"/q", "unknown flag"},
		{"/xq", "unknown flag"},
		{"/x ", "unknown flag"},
		{"/x/t", "should be"},
		{"@0", "region is a number"},
		{"@00", "region is a number"},
		{"@65536", "region is a number"},
		{"@99999999999999999999", "region is a number"},
		{"@2x", "should be"},
		{"@2@2", "should be"},
		{"@2@3", "should be"},
		{"@2/x@2", "should be"},
		{"@", "region is a number"},
		{"@2@", "should be"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		struct nmreq_register reg, before;
		const char *p = table[i].spec;

		memset(&reg, 0x5a, sizeof(reg));
		reg.nr_mem_id = 0;
		before = reg;
		errno = 0;
		test_ctx.last[0] = '\0';
		assert_int_equal(nmreq_register_decode(&p, &reg, &test_ctx.ctx), -1);
		assert_int_equal(errno, EINVAL);
		assert_ptr_equal(p, table[i].spec);
		assert_memory_equal(&reg, &before, sizeof(reg));
		if (strstr(test_ctx.last, table[i].message) == NULL)
			fail_msg("'%s' gives '%s', without '%s'", table[i].spec, test_ctx.last,
				table[i].message);
	}
}

/* ---- options in general ---- */

/* What the callbacks below were given. */
static struct {
	int n_calls;
	void *token;
	char a[64], b[64], c[64];
	int rv;
	int err;
} got;

static void
keep(char *to, const char *value)
{
	snprintf(to, 64, "%s", value != NULL ? value : "-");
}

static int
record(struct nmreq_parse_ctx *p)
{
	got.n_calls++;
	got.token = p->token;
	assert_ptr_equal(p->ctx, &test_ctx.ctx);
	keep(got.a, p->keys[0]);
	keep(got.b, p->keys[7]);
	keep(got.c, p->keys[15]);
	errno = got.err;
	return got.rv;
}

/* first: default key, a mandatory one and one that may be empty. second: nothing needed. */
static struct nmreq_opt_parser second_parser = {
	.prefix = "second",
	.parse = record,
	.default_key = -1,
	.nr_keys = 1,
	.flags = NMREQ_OPTF_ALLOWEMPTY,
	.keys = {{"b", 7, 0}},
};
static struct nmreq_opt_parser first_parser = {
	.prefix = "first-one",
	.parse = record,
	.default_key = 0,
	.nr_keys = 3,
	.next = &second_parser,
	.keys = {{"key-a", 0, NMREQ_OPTK_MUSTSET | NMREQ_OPTK_DEFAULT}, {"b", 7, 0},
		{"c", 15, NMREQ_OPTK_ALLOWEMPTY}},
};
static struct nmreq_opt_parser disabled_parser = {
	.prefix = "off",
	.parse = record,
	.default_key = 0,
	.nr_keys = 1,
	.flags = NMREQ_OPTF_DISABLED,
	.next = &first_parser,
	.keys = {{"a", 0, 0}},
};
static struct nmreq_opt_parser broken_parser = {
	.prefix = "broken",
	.parse = record,
	.default_key = NMREQ_OPT_MAXKEYS,
	.nr_keys = 1,
	.next = &disabled_parser,
	.keys = {{"a", NMREQ_OPT_MAXKEYS, 0}},
};

static int
decode_options(const char *text)
{
	memset(&got, 0, sizeof(got));
	test_ctx.last[0] = '\0';
	return nmreq_options_decode(text, &broken_parser, &got, &test_ctx.ctx);
}

static void
options_good(void **state)
{
	static const struct {
		const char *text, *a, *b, *c;
	} table[] = {
		{"@first-one=x", "x", "-", "-"},
		{"@first-one=x,b=2:3=4", "x,b=2:3=4", "-", "-"},
		{"@first-one:key-a=x", "x", "-", "-"},
		{"@first_one:key_a=x=y:z", "x=y:z", "-", "-"},
		{"@first-one:b=2,key-a=1,c=3", "1", "2", "3"},
		{"@first-one:c,key-a=1", "1", "-", ""},
		{"@first-one:key-a=1,c=", "1", "-", ""},
		{"@second", "-", "-", "-"},
		{"@second:b=1", "-", "1", "-"},
	};
	size_t i;

	(void)state;
	assert_int_equal(decode_options(""), 0);
	assert_int_equal(got.n_calls, 0);
	for (i = 0; i < N(table); i++) {
		if (decode_options(table[i].text) != 0)
			fail_msg("%s: %s", table[i].text, test_ctx.last);
		assert_int_equal(got.n_calls, 1);
		assert_ptr_equal(got.token, &got);
		assert_string_equal(got.a, table[i].a);
		assert_string_equal(got.b, table[i].b);
		assert_string_equal(got.c, table[i].c);
	}
	assert_int_equal(decode_options("@first-one=x@second@second:b=1"), 0);
	assert_int_equal(got.n_calls, 3);
	assert_int_equal(test_ctx.n_errors, 0);
}

static void
options_bad(void **state)
{
	static const struct {
		const char *text, *message;
		int err, n_calls;
	} table[] = {
		{"second", "begins with @", EINVAL, 0},
		{":", "begins with @", EINVAL, 0},
		{"@", "no such option", EINVAL, 0},
		{"@@second", "no such option", EINVAL, 0},
		{"@second@", "no such option", EINVAL, 1},
		{"@second@@second", "no such option", EINVAL, 1},
		{"@=x", "no such option", EINVAL, 0},
		{"@firs=x", "no such option", EINVAL, 0},
		{"@first-onex=x", "no such option", EINVAL, 0},
		{"@first-one,x", "no such option", EINVAL, 0},
		{"@first-one", "write @first-one=value", EINVAL, 0},
		{"@first-one=", "write @first-one=value", EINVAL, 0},
		{"@first-one:", "write @first-one=value", EINVAL, 0},
		{"@second:", "write @second", EINVAL, 0},
		{"@second=1", "write @second:key=value", EINVAL, 0},
		{"@first-one:b=2", "key-a is missing", EINVAL, 0},
		{"@first-one:key-a", "key-a needs =value", EINVAL, 0},
		{"@first-one:key-a=", "key-a needs =value", EINVAL, 0},
		{"@first-one:key-a=1,key_a=1", "key-a is set twice", EINVAL, 0},
		{"@first-one:key-a=1,c,c", "c is set twice", EINVAL, 0},
		{"@first-one:key-a=1,d=1", "no key 'd", EINVAL, 0},
		{"@first-one:key-a=1,", "no key ''", EINVAL, 0},
		{"@first-one:,key-a=1", "no key ''", EINVAL, 0},
		{"@first-one:key=1", "no key 'key", EINVAL, 0},
		{"@first-one:key-aa=1", "no key 'key-aa", EINVAL, 0},
		{"@off=1", "does not support", EOPNOTSUPP, 0},
		{"@second@off", "does not support", EOPNOTSUPP, 1},
		{"@broken:a=1", "impossible id", EINVAL, 0},
		{"@broken=1", "impossible id", EINVAL, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		errno = 0;
		assert_int_equal(decode_options(table[i].text), -1);
		assert_int_equal(errno, table[i].err);
		assert_int_equal(got.n_calls, table[i].n_calls);
		if (strstr(test_ctx.last, table[i].message) == NULL)
			fail_msg("'%s' gives '%s', without '%s'", table[i].text, test_ctx.last,
				table[i].message);
	}
}

static int
fail_with_enxio(struct nmreq_parse_ctx *p)
{
	(void)p;
	errno = ENXIO;
	return -1;
}

static void
options_callback_fails(void **state)
{
	struct nmreq_opt_parser failing = {
		.prefix = "f",
		.parse = fail_with_enxio,
		.flags = NMREQ_OPTF_ALLOWEMPTY,
		.next = &second_parser,
	};

	(void)state;
	memset(&got, 0, sizeof(got));
	assert_int_equal(
		nmreq_options_decode("@second@f@second", &failing, &got, &test_ctx.ctx), -1);
	assert_int_equal(errno, ENXIO);
	assert_int_equal(got.n_calls, 1); /* nothing after it is looked at */

	test_ctx.fail_at = test_ctx.n_allocs + 1;
	assert_int_equal(nmreq_options_decode("@f", &failing, NULL, &test_ctx.ctx), -1);
	assert_int_equal(errno, ENOMEM);
}

/* ---- whole names, as nmport_parse() takes them ---- */

static void
parse_examples(void **state)
{
	static const struct {
		const char *spec, *name;
		uint32_t mode;
		uint16_t ringid;
		uint64_t flags;
		uint16_t mem_id;
	} table[] = {
		{"netmap:eth0", "eth0", NR_REG_ALL_NIC, 0, 0, 0},
		{"netmap:eth0^", "eth0", NR_REG_SW, 0, 0, 0},
		{"netmap:eth0^3", "eth0", NR_REG_ONE_SW, 3, 0, 0},
		{"netmap:eth0*", "eth0", NR_REG_NIC_SW, 0, 0, 0},
		{"netmap:eth0-2/Tx", "eth0", NR_REG_ONE_NIC, 2, NR_TX_RINGS_ONLY | NR_EXCLUSIVE, 0},
		{"netmap:eth0{3", "eth0{3", NR_REG_ALL_NIC, 0, 0, 0},
		{"vale0:p}a@7", "vale0:p}a", NR_REG_ALL_NIC, 0, 0, 7},
		{"vale:x/z@conf:slots=512,rings=2", "vale:x", NR_REG_ALL_NIC, 0, NR_ZCOPY_MON, 0},
		{"tap:t0/x", "tap:t0", NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, 0},
		{"tap:t0@netns=blue", "tap:t0%blue", NR_REG_ALL_NIC, 0, 0, 0},
		{"netmap:eth0@netns=blue", "eth0%blue", NR_REG_ALL_NIC, 0, 0, 0},
		{"netmap:eth0^@netns=blue", "eth0%blue", NR_REG_SW, 0, 0, 0},
		{"tap:t0@netns=/run/netns/blue", "tap:t0%/run/netns/blue", NR_REG_ALL_NIC, 0, 0, 0},
		{"netmap:eth0%/a/r@7", "eth0%/a/r", NR_REG_ALL_NIC, 0, 0, 7},
		{"netmap:eth0-1/r@netns=/a/b-1", "eth0%/a/b-1", NR_REG_ONE_NIC, 1, NR_MONITOR_RX,
			0},
		{"vale0:tap:t0/t@netns=my-ns", "vale0:tap:t0%my-ns", NR_REG_ALL_NIC, 0,
			NR_MONITOR_TX, 0},
		{"vale0:eth0^@netns=/a", "vale0:eth0^%/a", NR_REG_ALL_NIC, 0, 0, 0},
		{"tap:t0@2@netns:name=pid:71", "tap:t0%pid:71", NR_REG_ALL_NIC, 0, 0, 2},
		{"tap:t0@netns=" A10 A10 A10 A10 A10 "aaaaaa",
			"tap:t0%" A10 A10 A10 A10 A10 "aaaaaa", NR_REG_ALL_NIC, 0, 0, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		struct nmport_d *d = nmport_prepare(table[i].spec);

		if (d == NULL)
			fail_msg("%s: %s", table[i].spec, test_ctx.last);
		assert_string_equal(d->hdr.nr_name, table[i].name);
		assert_int_equal(d->hdr.nr_version, NETMAP_API);
		assert_int_equal(d->hdr.nr_reqtype, NETMAP_REQ_REGISTER);
		assert_true(d->hdr.nr_body == (uintptr_t)&d->reg);
		assert_int_equal(d->reg.nr_mode, table[i].mode);
		assert_int_equal(d->reg.nr_ringid, table[i].ringid);
		assert_int_equal(d->reg.nr_flags, table[i].flags);
		assert_int_equal(d->reg.nr_mem_id, table[i].mem_id);
		nmport_undo_prepare(d);
	}
	assert_int_equal(test_ctx.n_errors, 0);
}

static void
parse_errors(void **state)
{
	static const struct {
		const char *spec, *message;
		int err;
	} table[] = {
		{"eth0", "begins with", EINVAL},
		{"netmap:eth0-", "number is missing", EINVAL},
		{"netmap:eth0-5000", "highest ring", EINVAL},
		{"netmap:eth0^x", "should be", EINVAL},
		{"netmap:", "no port name", EINVAL},
		{"netmap:a{", "pipe id", EINVAL},
		{"netmapx:eth0", "begins with", EINVAL},
		{"netmap:eth0@0", "region is a number", EINVAL},
		{"netmap:eth0/", "flags are missing", EINVAL},
		{"netmap:eth0/q", "unknown flag", EINVAL},
		{"netmap:eth0/x/t", "should be", EINVAL},
		{"netmap:eth0-1@2@share", "write @share=value", EINVAL},
		{"netmap:eth0@", "region is a number", EINVAL},
		{"netmap:eth0@nosuch=1", "no such option", EINVAL},
		{"netmap:eth0@share:", "write @share=value", EINVAL},
		{"netmap:eth0@share:x=1", "no key 'x", EINVAL},
		{"netmap:eth0@share=eth1", "begins with", EINVAL},
		{"netmap:eth0@conf", "write @conf", EINVAL},
		{"netmap:eth0@conf:", "write @conf", EINVAL},
		{"netmap:eth0@conf:ring=1", "no key 'ring", EINVAL},
		{"netmap:eth0@conf:rings", "rings needs =value", EINVAL},
		{"netmap:eth0@conf:rings=1,rings=1", "rings is set twice", EINVAL},
		{"netmap:eth0@conf:rings=x", "'x' is not a number from 0 to 65535", EINVAL},
		{"netmap:eth0@conf:rings=-1", "'-1' is not a number", EINVAL},
		{"netmap:eth0@conf:rings=65536", "'65536' is not a number", EINVAL},
		{"netmap:eth0@conf:tx-slots=4294967296", "from 0 to 4294967295", EINVAL},
		{"netmap:eth0@extmem:buf-num=7", "file is missing", EINVAL},
		{"netmap:eth0@extmem=/nonexistent/file", "cannot open /nonexistent/file", ENOENT},
		{"netmap:eth0@extmem=/dev/null", "cannot get the size of /dev/null", EINVAL},
		{"netmap:eth0@offset=64", "does not support", EOPNOTSUPP},
		{"netmap:p{1@netns=blue", "only an interface", EINVAL},
		{"vale0:p}1@netns=blue", "only an interface", EINVAL},
		{"tap:t0@netns=/a{b", "can't have { or }", EINVAL},
		{"tap:t0%/a@netns=/b", "names a network namespace already", EINVAL},
		{"tap:t0@netns=", "write @netns=value", EINVAL},
		{"tap:t0@netns=a@netns=b", "names a network namespace already", EINVAL},
		{"tap:t0%x@netns=a", "names a network namespace already", EINVAL},
		{"tap:t0@netns=pid:", "number of a process", EINVAL},
		{"tap:t0@netns=pid:0", "number of a process", EINVAL},
		{"tap:t0@netns=pid:7x", "number of a process", EINVAL},
		{"tap:t0@netns=pid:-7", "number of a process", EINVAL},
		{"tap:t0@netns=" A63, "longer than 63", EINVAL},
		{"tap:t0@netns=" A10 A10 A10 A10 A10 "aaaaaaa", "longer than 63", EINVAL},
		/* A name with no room left at all, not even for the %. */
		{"tap:" A10 A10 A10 A10 A10 "aaaaaaaaa@netns=b", "longer than 63", EINVAL},
		{"tap:" A10 A10 A10 A10 A10 "aaaaaaaa@netns=b", "longer than 63", EINVAL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		struct nmport_d *d = nmport_new();
		struct nmport_d zero;

		assert_non_null(d);
		errno = 0;
		test_ctx.last[0] = '\0';
		if (nmport_parse(d, table[i].spec) != -1)
			fail_msg("'%s' is accepted", table[i].spec);
		if (errno != table[i].err || strstr(test_ctx.last, table[i].message) == NULL)
			fail_msg("'%s' gives errno %d and '%s', not %d and '%s'", table[i].spec,
				errno, test_ctx.last, table[i].err, table[i].message);
		/* Nothing is left, and the descriptor can be parsed again. */
		memset(&zero, 0, sizeof(zero));
		assert_memory_equal(&d->hdr, &zero.hdr, sizeof(d->hdr));
		assert_memory_equal(&d->reg, &zero.reg, sizeof(d->reg));
		assert_null(d->clist);
		assert_null(d->extmem);
		assert_int_equal(nmport_parse(d, "netmap:again"), 0);
		assert_int_equal(d->hdr.nr_version, NETMAP_API);
		assert_true(d->hdr.nr_body == (uintptr_t)&d->reg);
		nmport_undo_prepare(d);
		assert_int_equal(test_ctx.n_live, 0);
		assert_null(nmport_prepare(table[i].spec));
		assert_int_equal(errno, table[i].err);
	}
}

static void
parse_conf(void **state)
{
	static const struct {
		const char *text;
		uint16_t tx_rings, rx_rings, host_tx, host_rx;
		uint32_t tx_slots, rx_slots;
	} table[] = {
		{"@conf:rings=2", 2, 2, 0, 0, 0, 0},
		{"@conf=3", 3, 3, 0, 0, 0, 0},
		{"@conf:tx-rings=2", 2, 0, 0, 0, 0, 0},
		{"@conf:rx-rings=2", 0, 2, 0, 0, 0, 0},
		{"@conf:rx_rings=2,rings=5", 5, 2, 0, 0, 0, 0},
		{"@conf:host-rings=4", 0, 0, 4, 4, 0, 0},
		{"@conf:host-rings=4,host-tx-rings=1", 0, 0, 1, 4, 0, 0},
		{"@conf:host-rx-rings=6", 0, 0, 0, 6, 0, 0},
		{"@conf:slots=512", 0, 0, 0, 0, 512, 512},
		{"@conf:tx-slots=4294967295", 0, 0, 0, 0, UINT32_MAX, 0},
		{"@conf:rx-slots=7,slots=9", 0, 0, 0, 0, 9, 7},
		{"@conf:rings=65535,slots=12k", 65535, 65535, 0, 0, 12, 12}, /* as atoi() does */
		{"@conf:rings=2@conf:slots=8", 2, 2, 0, 0, 8, 8},
		{"@conf:rings=0", 0, 0, 0, 0, 0, 0},
	};
	char spec[128];
	size_t i;

	(void)state;
	for (i = 0; i < N(table); i++) {
		struct nmport_d *d;

		snprintf(spec, sizeof(spec), "vale0:p%s", table[i].text);
		d = nmport_prepare(spec);
		if (d == NULL)
			fail_msg("%s: %s", spec, test_ctx.last);
		assert_int_equal(d->reg.nr_tx_rings, table[i].tx_rings);
		assert_int_equal(d->reg.nr_rx_rings, table[i].rx_rings);
		assert_int_equal(d->reg.nr_host_tx_rings, table[i].host_tx);
		assert_int_equal(d->reg.nr_host_rx_rings, table[i].host_rx);
		assert_int_equal(d->reg.nr_tx_slots, table[i].tx_slots);
		assert_int_equal(d->reg.nr_rx_slots, table[i].rx_slots);
		nmport_undo_prepare(d);
	}
}

static void
parse_offset(void **state)
{
	struct nmreq_opt_offsets *opt;
	struct nmport_d *d;

	(void)state;
	assert_int_equal(nmport_enable_option("offset"), 0);
	d = nmport_prepare("netmap:eth0@offset=64");
	assert_non_null(d);
	opt = (struct nmreq_opt_offsets *)nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS);
	assert_non_null(opt);
	assert_int_equal(opt->nro_initial_offset, 64);
	assert_int_equal(opt->nro_max_offset, 64);
	assert_int_equal(opt->nro_offset_bits, 0);
	assert_int_equal(opt->nro_min_gap, 0);
	nmport_undo_prepare(d);

	d = nmport_prepare("netmap:eth0@offset:bits=16,initial=2");
	assert_non_null(d);
	opt = (struct nmreq_opt_offsets *)nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS);
	assert_int_equal(opt->nro_initial_offset, 2);
	assert_int_equal(opt->nro_offset_bits, 16);
	nmport_undo_prepare(d);

	assert_null(nmport_prepare("netmap:eth0@offset:bits=16"));
	assert_non_null(strstr(test_ctx.last, "initial is missing"));
	assert_null(nmport_prepare("netmap:eth0@offset:initial=1,bits=65"));
	assert_non_null(strstr(test_ctx.last, "64 bits at most"));
	assert_null(nmport_prepare("netmap:eth0@offset=1@offset=1"));
	assert_non_null(strstr(test_ctx.last, "set once"));
	nmport_disable_option("offset");
	assert_null(nmport_prepare("netmap:eth0@offset=1"));
	assert_int_equal(errno, EOPNOTSUPP);
}

static void
enable_and_disable(void **state)
{
	(void)state;
	errno = 0;
	assert_int_equal(nmport_enable_option("nosuch"), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	nmport_disable_option("nosuch");
	nmport_disable_option("conf");
	assert_null(nmport_prepare("vale0:p@conf:rings=1"));
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(nmport_enable_option("conf"), 0);
	nmport_undo_prepare(nmport_prepare("vale0:p@conf:rings=1"));
}

static void
parse_extmem(void **state)
{
	char spec[256], path[64], byte = 0;
	struct nmreq_pools_info *info;
	struct nmport_d *d;
	char *mem;
	int fd;

	(void)state;
	fd = memfd_create("extmem", MFD_CLOEXEC);
	assert_int_not_equal(fd, -1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(spec, sizeof(spec),
		"netmap:x@extmem:file=%s,if-num=1,if-size=2,ring-num=3,ring-size=4,buf-num=5,"
		"buf_size=6",
		path);

	assert_null(nmport_prepare(spec)); /* empty */
	assert_int_equal(errno, EINVAL);

	assert_int_equal(ftruncate(fd, 8192), 0);
	d = nmport_prepare(spec);
	assert_non_null(d);
	info = nmport_extmem_getinfo(d);
	assert_ptr_equal(info, &d->extmem->nro_info);
	assert_int_equal(info->nr_memsize, 8192);
	assert_int_equal(info->nr_if_pool_objtotal, 1);
	assert_int_equal(info->nr_if_pool_objsize, 2);
	assert_int_equal(info->nr_ring_pool_objtotal, 3);
	assert_int_equal(info->nr_ring_pool_objsize, 4);
	assert_int_equal(info->nr_buf_pool_objtotal, 5);
	assert_int_equal(info->nr_buf_pool_objsize, 6);
	assert_true(d->hdr.nr_options == (uintptr_t)d->extmem);
	/* The memory is the file. */
	mem = (char *)(uintptr_t)d->extmem->nro_usrptr;
	mem[8191] = 'm';
	assert_int_equal(pread(fd, &byte, 1, 8191), 1);
	assert_int_equal(byte, 'm');
	nmport_undo_prepare(d);

	snprintf(spec, sizeof(spec), "netmap:x@extmem=%s@extmem=%s", path, path);
	assert_null(nmport_prepare(spec)); /* twice */
	assert_int_equal(errno, EINVAL);
	snprintf(spec, sizeof(spec), "netmap:x@extmem:file=%s,buf-num=many", path);
	assert_null(nmport_prepare(spec)); /* after the file was mapped */
	assert_int_equal(errno, EINVAL);
	close(fd);
}

/* Whichever allocation fails, the result is ENOMEM and nothing stays behind. */
static void
parse_without_memory(void **state)
{
	int i, n_failed = 0;

	(void)state;
	nmport_enable_option("offset");
	for (i = 1; i < 20; i++) {
		struct nmport_d *d;

		test_ctx.n_allocs = 0;
		test_ctx.fail_at = i;
		d = nmport_prepare("netmap:eth0@offset=2@conf:rings=1");
		if (d != NULL) {
			nmport_undo_prepare(d);
			break;
		}
		assert_int_equal(errno, ENOMEM);
		assert_int_equal(test_ctx.n_live, 0);
		n_failed++;
	}
	/* The descriptor, the text of the options, and two for the offset. */
	assert_int_equal(n_failed, 4);
	nmport_disable_option("offset");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(header_good),
		TEST(header_bad),
		TEST(register_good),
		TEST(register_region),
		TEST(register_bad),
		TEST(options_good),
		TEST(options_bad),
		TEST(options_callback_fails),
		TEST(parse_examples),
		TEST(parse_errors),
		TEST(parse_conf),
		TEST(parse_offset),
		TEST(enable_and_disable),
		TEST(parse_extmem),
		TEST(parse_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
