/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves the translation of legacy requests, field by field (spec 19). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/legacy.h"

static struct nmreq
request(const char *name, uint16_t cmd)
{
	struct nmreq r = {.nr_version = NETMAP_API, .nr_cmd = cmd};

	snprintf(r.nr_name, sizeof(r.nr_name), "%s", name);
	return r;
}

/* What nr_flags and nr_ringid of a registration become. */
static void
modes(void **state)
{
	static const struct {
		uint32_t flags, ringid;
		uint32_t mode, ring;
		uint64_t new_flags;
		const char *name;
	} t[] = {
		{0, 0, NR_REG_ALL_NIC, 0, 0, "p"},
		{0, NETMAP_SW_RING, NR_REG_SW, 0, 0, "p"},
		{0, NETMAP_HW_RING | 3, NR_REG_ONE_NIC, 3, 0, "p"},
		{0, NETMAP_SW_RING | NETMAP_HW_RING, NR_REG_SW, 0, 0, "p"},
		{0, NETMAP_NO_TX_POLL, NR_REG_ALL_NIC, 0, NR_NO_TX_POLL, "p"},
		{0, NETMAP_DO_RX_POLL, NR_REG_ALL_NIC, 0, NR_DO_RX_POLL, "p"},
		{NR_REG_NIC_SW, 0, NR_REG_NIC_SW, 0, 0, "p"},
		{NR_REG_ONE_NIC, 0xfff, NR_REG_ONE_NIC, 0xfff, 0, "p"},
		{NR_REG_ONE_SW, 2, NR_REG_ONE_SW, 2, 0, "p"},
		{NR_REG_PIPE_MASTER, 12, NR_REG_ALL_NIC, 0, 0, "p{12"},
		{NR_REG_PIPE_SLAVE, 4095, NR_REG_ALL_NIC, 0, 0, "p}4095"},
		{NR_REG_ALL_NIC | NR_EXCLUSIVE | 0x1000, 0, NR_REG_ALL_NIC, 0,
			NR_EXCLUSIVE | 0x1000, "p"},
	};
	struct unm_legacy_req out;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct nmreq r = request("p", 0);

		r.nr_flags = t[i].flags;
		r.nr_ringid = (uint16_t)t[i].ringid;
		r.nr_arg2 = 9;
		r.nr_arg3 = 11;
		r.nr_tx_slots = 100;
		assert_int_equal(unm_legacy_to_ctrl(&r, NIOCREGIF, &out), 0);
		assert_int_equal(out.hdr.nr_reqtype, NETMAP_REQ_REGISTER);
		assert_int_equal(out.body.reg.nr_mode, t[i].mode);
		assert_int_equal(out.body.reg.nr_ringid, t[i].ring);
		assert_true(out.body.reg.nr_flags == t[i].new_flags);
		assert_string_equal(out.hdr.nr_name, t[i].name);
		assert_int_equal(out.body.reg.nr_mem_id, 9);
		assert_int_equal(out.body.reg.nr_extra_bufs, 11);
		assert_int_equal(out.body.reg.nr_tx_slots, 100);
	}
}

static void
commands(void **state)
{
	static const struct {
		uint16_t cmd, type;
	} t[] = {
		{NETMAP_BDG_ATTACH, NETMAP_REQ_VALE_ATTACH},
		{NETMAP_BDG_DETACH, NETMAP_REQ_VALE_DETACH},
		{NETMAP_BDG_VNET_HDR, NETMAP_REQ_PORT_HDR_SET},
		{NETMAP_VNET_HDR_GET, NETMAP_REQ_PORT_HDR_GET},
		{NETMAP_BDG_NEWIF, NETMAP_REQ_VALE_NEWIF},
		{NETMAP_BDG_DELIF, NETMAP_REQ_VALE_DELIF},
		{NETMAP_BDG_POLLING_ON, NETMAP_REQ_VALE_POLLING_ENABLE},
		{NETMAP_BDG_POLLING_OFF, NETMAP_REQ_VALE_POLLING_DISABLE},
	};
	struct unm_legacy_req out;
	struct nmreq r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		r = request("vale0:p", t[i].cmd);
		r.nr_flags = NR_REG_ONE_NIC;
		assert_int_equal(unm_legacy_to_ctrl(&r, NIOCREGIF, &out), 0);
		assert_int_equal(out.hdr.nr_reqtype, t[i].type);
		assert_int_equal(out.hdr.nr_body == 0, t[i].cmd == NETMAP_BDG_DELIF);
	}
	r = request("vale0:p", NETMAP_BDG_ATTACH);
	r.nr_arg1 = NETMAP_BDG_HOST;
	assert_int_equal(unm_legacy_to_ctrl(&r, NIOCREGIF, &out), 0);
	assert_int_equal(out.body.attach.reg.nr_mode, NR_REG_NIC_SW);
	r = request("vale0:p", NETMAP_BDG_POLLING_ON);
	assert_int_equal(unm_legacy_to_ctrl(&r, NIOCREGIF, &out), -EINVAL);
	r = request("p", NETMAP_PT_HOST_DELETE);
	assert_int_equal(unm_legacy_to_ctrl(&r, NIOCREGIF, &out), -ENOMEM);
	r = request("p", NETMAP_BDG_REGOPS);
	assert_int_equal(unm_legacy_to_ctrl(&r, NIOCREGIF, &out), -EINVAL);
	r = request("p", 99);
	assert_int_equal(unm_legacy_to_ctrl(&r, NIOCREGIF, &out), -EINVAL);
	r = request("p", 0);
	r.nr_version = 13;
	assert_int_equal(unm_legacy_to_ctrl(&r, NIOCGINFO, &out), -EINVAL);
	r.nr_version = 1000;
	assert_int_equal(unm_legacy_to_ctrl(&r, NIOCGINFO, &out), 0);
	assert_int_equal(out.hdr.nr_reqtype, NETMAP_REQ_PORT_INFO_GET);
	r = request("vale0:p", NETMAP_BDG_LIST);
	r.nr_arg1 = 3;
	r.nr_arg2 = 4;
	assert_int_equal(unm_legacy_to_ctrl(&r, NIOCGINFO, &out), 0);
	assert_int_equal(out.hdr.nr_reqtype, NETMAP_REQ_VALE_LIST);
	assert_true(out.body.list.nr_bridge_idx == 3 && out.body.list.nr_port_idx == 4);
}

/* A name without its NUL, and results larger than the old fields. */
static void
edges(void **state)
{
	struct unm_legacy_req out;
	struct nmreq r = request("", 0);

	(void)state;
	memset(r.nr_name, 'n', sizeof(r.nr_name));
	assert_int_equal(unm_legacy_to_ctrl(&r, NIOCREGIF, &out), 0);
	assert_int_equal(strlen(out.hdr.nr_name), sizeof(r.nr_name) - 1);
	out.body.reg.nr_memsize = UINT64_C(0x123456789a);
	out.body.reg.nr_offset = 42;
	out.body.reg.nr_extra_bufs = 7;
	out.body.reg.nr_mem_id = 5;
	r.nr_ringid = 0x1234;
	unm_legacy_from_ctrl(&out, &r);
	assert_int_equal(r.nr_memsize, 0x3456789a);
	assert_int_equal(r.nr_offset, 42);
	assert_true(r.nr_arg3 == 7 && r.nr_arg2 == 5 && r.nr_ringid == 0x1234);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes),
		cmocka_unit_test(commands),
		cmocka_unit_test(edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
