/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: defaults are those of the specification, every option reaches its field, and whatever is
 * wrong ends with status 2 and a message that names it. Refused lines run in a child process, since
 * they end the program.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "nmt_log.h"
#include "options.h"
#include "parse_line.h"
#include "tool_args.h"

static void
test_defaults(void **state)
{
	struct pg_options o;

	(void)state; /* cmocka's signature */
	parse_line(&o, "-i netmap:eth0");
	assert_string_equal(o.port_name, "netmap:eth0");
	assert_int_equal(o.function, PG_RX);
	assert_int_equal(o.n_packets, 0);
	assert_int_equal(o.frame_len_min, 60);
	assert_int_equal(o.frame_len_max, 60);
	assert_int_equal(o.burst, 512);
	assert_int_equal(o.n_frags, 1);
	assert_int_equal(o.n_threads, 1);
	assert_int_equal(o.n_cpus, 1);
	assert_int_equal(o.first_cpu, -1);
	assert_int_equal(o.report_ms, 1000);
	assert_int_equal(o.wait_s, -1);
	assert_int_equal(o.vnet_hdr_len, -1);
	assert_int_equal(o.rate_pps, 0);
	assert_int_equal(o.data, 0);
	assert_int_equal(o.src_ip.port_first, 1234);
	assert_memory_equal(o.src_ip.first.bytes, "\x0a\x00\x00\x01", 4);
	assert_memory_equal(o.dst_ip.last.bytes, "\x0a\x01\x00\x01", 4);
	assert_memory_equal(o.dst_mac.first, "\xff\xff\xff\xff\xff\xff", 6);
	assert_false(pg_is_varied(&o));
	parse_line(&o, "-i x -f ping");
	assert_int_equal(o.burst, 1);
	parse_line(&o, "-i x -f pong");
	assert_int_equal(o.burst, 1);
	parse_line(&o, "-i x -f ping -6"); /* the default length grows to what has to fit */
	assert_int_equal(o.frame_len_max, 74);
}

static void
test_fields(void **state)
{
	struct pg_options o;

	(void)state;
	parse_line(&o, "-i v -f tx -n 1.5M -l 1000 -b 64 -p 4 -a 1 -c 0 -T 250 -w 7 -R 2M -H 10 -C "
		       "256,512,1,2 -F 3 -M 400 -o 65 -NAB --json --busy-wait");
	assert_int_equal(o.function, PG_TX);
	assert_int_equal(o.n_packets, 1500000);
	assert_int_equal(o.frame_len_max, 1000);
	assert_int_equal(o.burst, 64);
	assert_int_equal(o.n_threads, 4);
	assert_int_equal(o.first_cpu, 1);
	assert_int_equal(o.report_ms, 250);
	assert_int_equal(o.wait_s, 7);
	assert_int_equal(o.rate_pps, 2000000);
	assert_int_equal(o.vnet_hdr_len, 10);
	assert_int_equal(o.n_tx_slots, 256);
	assert_int_equal(o.n_rx_slots, 512);
	assert_int_equal(o.n_tx_rings, 1);
	assert_int_equal(o.n_rx_rings, 2);
	assert_int_equal(o.n_frags, 3);
	assert_int_equal(o.frag_len, 400);
	assert_int_equal(o.data, PG_DATA_PREFETCH | PG_DATA_DUMP);
	assert_true(o.plain_numbers && o.window_stats && o.count_framing && o.json && o.busy_wait);

	parse_line(&o, "-i v -f rx -WXv");
	assert_true(o.exit_on_silence);
	assert_int_equal(o.data, PG_DATA_DUMP);
	assert_int_equal(nmt_log_verbosity(), 1);
	parse_line(&o, "-i v -f tx -I");
	assert_int_equal(o.data, PG_DATA_INDIRECT);
	parse_line(&o, "-i v -f tx -r");
	assert_int_equal(o.data, PG_DATA_RUBBISH);
	parse_line(&o, "-i v -f tx -P file -o 256");
	assert_string_equal(o.template_file, "file");
	parse_line(&o, "-i v -f tx -R 600 -b 100"); /* 300 bursts a second at least */
	assert_int_equal(o.burst, 2);
}

static void
test_variation(void **state)
{
	static const char *const varied[] = {"-z", "-Z", "-l 64 -l 128", "-l 128 -l 64", "-o 16",
		"-s 1.2.3.4-1.2.3.5", "-s 1.2.3.4:1-1.2.3.4:2", "-d 1.2.3.4-1.2.3.5",
		"-S 2:0:0:0:0:1-2:0:0:0:0:2", "-D 2:0:0:0:0:1-2:0:0:0:0:2", "-f txseq"};
	struct pg_options o;

	(void)state;
	for (size_t i = 0; i < sizeof(varied) / sizeof(varied[0]); i++) {
		char line[128];

		snprintf(line, sizeof(line), "-i v -f tx %s", varied[i]);
		parse_line(&o, line);
		assert_true(pg_is_varied(&o));
	}
	parse_line(&o, "-i v -f tx -s 1.2.3.4:5 -d 1.2.3.5:7 -S 2:0:0:0:0:1 -l 100 -l 100");
	assert_false(pg_is_varied(&o));
}

static void
test_fragments(void **state)
{
	struct pg_options o;

	(void)state;
	parse_line(&o, "-i v -f tx -l 100 -F 3");
	assert_int_equal(o.frag_len, 34);
	parse_line(&o, "-i v -f tx -l 100 -M 34");
	assert_int_equal(o.n_frags, 3);
	parse_line(&o, "-i v -f tx -l 9000 -F 5 -M 2048");
	assert_int_equal(o.n_frags, 5);
	assert_int_equal(o.frag_len, 2048);
}

static void
parse_args(int argc, char **argv)
{
	struct pg_options o;

	optind = 0; /* the tests before have used getopt */
	pg_options_parse(&o, argc, argv);
}

static void
test_refused(void **state)
{
	static const struct tool_args_case cases[] = {
		{"", 2, "", "no port: -i PORT is missing"},
		{"-f tx", 2, "", "no port: -i PORT is missing"},
		{"-i x extra", 2, "", "unexpected argument 'extra'"},
		{"-i x -q", 2, "", "unknown option -q"},
		{"-i x --jsn", 2, "", "unknown or ambiguous option --jsn"},
		{"-i x -n", 2, "", "-n needs an argument"},
		{"-i x -f send", 2, "",
			"-f: 'send' is not one of rx, tx, ping, pong, txseq, rxseq"},
		{"-i x -n -1", 2, "", "-n: '-1' is not a number"},
		{"-i x -n 10x", 2, "", "-n: '10x' is not a number"},
		{"-i x -l 15", 2, "", "-l: 15 is out of range, 16 to 65536 are allowed"},
		{"-i x -l 65537", 2, "", "-l: 65537 is out of range"},
		{"-i x -l 60 -l 61 -l 62", 2, "", "-l may be given twice"},
		{"-i x -b 0", 2, "", "-b: 0 is out of range"},
		{"-i x -p 0", 2, "", "-p: 0 is out of range"},
		{"-i x -p 257", 2, "", "-p: 257 is out of range"},
		{"-i x -f ping -p 2", 2, "", "-p: -f ping runs in one thread"},
		{"-i x -f txseq -p 2", 2, "", "-p: -f txseq runs in one thread"},
		{"-i x -a -1", 2, "", "-a: '-1' is not a whole number"},
		{"-i x -c 65000", 2, "", "-c: 65000 CPUs asked for, this machine has"},
		{"-i x -a 65000", 2, "", "-a: CPU 65000 asked for, this machine has"},
		{"-i x -T 0", 2, "", "-T: 0 is out of range"},
		{"-i x -w x", 2, "", "-w: 'x' is not a whole number"},
		{"-i x -R 0", 2, "", "-R: 0 is out of range, 1 to 1000000000 are allowed"},
		{"-i x -R fast", 2, "", "-R: 'fast' is not a number"},
		{"-i x -H 11", 2, "", "-H: 11 is not 0, 10 or 12"},
		{"-i x -F 64", 2, "", "-F: 64 is out of range, 1 to 63 are allowed"},
		{"-i x -f tx -l 60 -F 40 -M 2", 2, "", "does not fill 40 slots of 2"},
		{"-i x -f tx -l 1500 -M 10", 2, "", "make 150 slots, 63 are the most"},
		{"-i x -f ping -F 2", 2, "", "-F, -M go with -f tx only"},
		{"-i x -o 128", 2, "", "-o: 128 is not a sum of"},
		{"-i x -o 512", 2, "", "-o: 512 is not a sum of"},
		{"-i x -C 1,2,3,4,5", 2, "", "-C: '1,2,3,4,5' has more than 4 numbers"},
		{"-i x -C 1,,2", 2, "", "-C: '' is not a whole number"},
		{"-i x -C 1,1,257", 2, "", "-C: a port has at most 256 rings"},
		{"-i x -s 1.2.3", 2, "", "-s: '1.2.3' is not an IPv4 address"},
		{"-i x -d 1.2.3.4:70000", 2, "", "-d: 70000 is out of range"},
		{"-i x -d 1.2.3.4-1.2.3.3", 2, "",
			"-d: the range 1.2.3.4-1.2.3.3 ends before it starts"},
		{"-i x -6 -s 1.2.3.4", 2, "", "-s: '1.2.3.4' is not an IPv6 address"},
		{"-i x -D 1:2:3", 2, "", "-D: '1:2:3' is not a MAC address"},
		{"-i x -S 2:0:0:0:0:2-2:0:0:0:0:1", 2, "", "-S: the range"},
		{"-i x -4 -6", 2, "", "-4 and -6 exclude each other"},
		{"-i x -f ping -l 53", 2, "", "-l: -f ping needs at least 54 bytes"},
		{"-i x -f txseq -l 45", 2, "", "-l: -f txseq needs at least 46 bytes"},
		{"-i x -f tx -o 16 -l 53", 2, "", "-l: -f tx needs at least 54 bytes"},
		{"-i x -f tx -W", 2, "", "-W goes with -f rx and rxseq only"},
		{"-i x -P file", 2, "", "-P goes with -f tx only"},
		{"-i x -f tx -P file -l 60", 2, "", "-P sends the packet as it is"},
		{"-i x -f tx -P file -z", 2, "", "-P sends the packet as it is"},
		{"-i x -f tx -I -z", 2, "", "-I sends one frame from one place"},
		{"-i x -f txseq -I", 2, "", "-I sends one frame from one place"},
		{"-i x -f tx -I -F 2", 2, "", "-I sends one frame from one place"},
	};

	(void)state;
	tool_args_check("pkt-gen", parse_args, cases, sizeof(cases) / sizeof(cases[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_variation),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
