/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: vale-ctl's text output is, byte for byte, what scripts written for upstream's read, and
 * -j gives the same as JSON.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "tool_args.h"
#include "vc_print.h"

static const struct vc_list_entry entries[] = {
	{"vale0:a", 0, 1},
	{"valexyz:eth0^", 3, 1023},
};

static const struct vc_port_info info = {
	.memsize = 343019520,
	.geometry = {.tx_slots = 1024, .rx_slots = 512, .tx_rings = 2, .rx_rings = 1},
	.mem_id = 1,
};

/* What to print is the first word, "json" the second. */
static void
print(int argc, char **argv)
{
	const bool json = argc > 2;
	const struct vc_port_info created = {.geometry = info.geometry, .mem_id = 9};

	if (strcmp(argv[1], "list") == 0)
		vc_print_list(entries, 2, json);
	else if (strcmp(argv[1], "nothing") == 0)
		vc_print_list(NULL, 0, json);
	else if (strcmp(argv[1], "indices") == 0)
		vc_print_indices(&entries[1], json);
	else if (strcmp(argv[1], "info") == 0)
		vc_print_info(&info, json);
	else if (strcmp(argv[1], "created") == 0)
		vc_print_info(&created, json);
	else
		vc_print_port_index(17, json);
	assert_int_equal(vc_print_finish(), 0);
}

static void
test_output(void **state)
{
	static const struct tool_args_case cases[] = {
		{"list", 0,
			"vale0:a bridge_idx 0 port_idx 1\nvalexyz:eth0^ bridge_idx 3 port_idx "
			"1023\n",
			NULL},
		{"list json", 0,
			"{\"ports\":[{\"name\":\"vale0:a\",\"bridge_idx\":0,\"port_idx\":1},"
			"{\"name\":\"valexyz:eth0^\",\"bridge_idx\":3,\"port_idx\":1023}]}\n",
			NULL},
		{"nothing", 0, "", NULL},
		{"nothing json", 0, "{\"ports\":[]}\n", NULL},
		{"indices", 0, "bridge_idx: 3\nport_idx:   1023\n", NULL},
		{"indices json", 0,
			"{\"name\":\"valexyz:eth0^\",\"bridge_idx\":3,\"port_idx\":1023}\n", NULL},
		{"info", 0,
			"memsize:    343019520\ntx_slots:   1024\nrx_slots:   512\n"
			"tx_rings:   2\nrx_rings    1\nmem_id:     1\n",
			NULL},
		{"info json", 0,
			"{\"memsize\":343019520,\"tx_slots\":1024,\"rx_slots\":512,\"tx_rings\":2,"
			"\"rx_rings\":1,\"mem_id\":1}\n",
			NULL},
		{"created", 0,
			"tx_slots:   1024\nrx_slots:   512\ntx_rings:   2\nrx_rings    1\n"
			"mem_id:     9\n",
			NULL},
		{"index", 0, "port_index: 17\n", NULL},
		{"index json", 0, "{\"port_index\":17}\n", NULL},
	};

	(void)state;
	tool_args_check("print", print, cases, sizeof(cases) / sizeof(cases[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
