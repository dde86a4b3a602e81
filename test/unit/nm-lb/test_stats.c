/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: reports come when they are due and not before; each has a line for every pipe and one for
 * all, with the counters and with rates since the report before; a closed output is noticed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb_stats.h"
#include "nmt_time.h"

#define OUTPUT_SIZE 4096

/* What follows the time stamp in the lines of test_lines(), by report and line. */
static const char *const expected_lines[] = {
	"\"interface\":\"a\",\"output_ring\":0,\"packets_forwarded\":2000,\"packets_dropped\":0,"
	"\"data_forward_rate_Mbps\":0.8000,\"data_drop_rate_Mbps\":0.0000,"
	"\"packet_forward_rate_kpps\":1.0000,\"packet_drop_rate_kpps\":0.0000,"
	"\"overflow_queue_size\":0}",
	"\"interface\":\"a\",\"output_ring\":1,\"packets_forwarded\":0,\"packets_dropped\":0,"
	"\"data_forward_rate_Mbps\":0.0000,\"data_drop_rate_Mbps\":0.0000,"
	"\"packet_forward_rate_kpps\":0.0000,\"packet_drop_rate_kpps\":0.0000,"
	"\"overflow_queue_size\":0}",
	"\"interface\":\"eth0\",\"output_ring\":null,\"packets_received\":2003,"
	"\"packets_forwarded\":2000,\"packets_dropped\":3,\"non_ip_packets\":1,"
	"\"data_forward_rate_Mbps\":0.8000,\"data_drop_rate_Mbps\":0.0000,"
	"\"packet_forward_rate_kpps\":1.0000,\"packet_drop_rate_kpps\":0.0015,"
	"\"free_buffer_slots\":5}",
	"\"interface\":\"a\",\"output_ring\":0,\"packets_forwarded\":2000,\"packets_dropped\":0,"
	"\"data_forward_rate_Mbps\":0.0000,\"data_drop_rate_Mbps\":0.0000,"
	"\"packet_forward_rate_kpps\":0.0000,\"packet_drop_rate_kpps\":0.0000,"
	"\"overflow_queue_size\":0}",
	"\"interface\":\"a\",\"output_ring\":1,\"packets_forwarded\":0,\"packets_dropped\":500,"
	"\"data_forward_rate_Mbps\":0.0000,\"data_drop_rate_Mbps\":0.4000,"
	"\"packet_forward_rate_kpps\":0.0000,\"packet_drop_rate_kpps\":0.2500,"
	"\"overflow_queue_size\":1}",
	"\"interface\":\"eth0\",\"output_ring\":null,\"packets_received\":2003,"
	"\"packets_forwarded\":2000,\"packets_dropped\":503,\"non_ip_packets\":1,"
	"\"data_forward_rate_Mbps\":0.0000,\"data_drop_rate_Mbps\":0.4000,"
	"\"packet_forward_rate_kpps\":0.0000,\"packet_drop_rate_kpps\":0.2500,"
	"\"free_buffer_slots\":4}",
};

struct fixture {
	struct lb lb;
	struct lb_pipe pipes[2];
	struct lb_group_spec spec;
	struct lb_stats *stats;
	int saved_stdout;
	FILE *out;
};

static void
fixture_init(struct fixture *fx)
{
	memset(fx, 0, sizeof(*fx));
	fx->lb.pipes = fx->pipes;
	fx->lb.n_pipes = 2;
	strcpy(fx->spec.name, "a");
	for (uint32_t i = 0; i < 2; i++)
		fx->pipes[i] = (struct lb_pipe){.queue = i, .id = i, .spec = &fx->spec};
	assert_int_equal(lb_overflow_new(2, 5, &fx->lb.overflow), 0);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(lb_overflow_add(fx->lb.overflow, 10 + i), 0);
	assert_int_equal(lb_stats_new(&fx->lb, "eth0", LB_STATS_STDOUT, 2, &fx->stats), 0);
	fx->saved_stdout = dup(STDOUT_FILENO);
	fx->out = tmpfile();
	assert_non_null(fx->out);
}

/* lb_stats_tick() with standard output in the fixture's file. */
static uint64_t
tick(struct fixture *fx, uint64_t now_ns)
{
	uint64_t next_ns;

	fflush(stdout);
	dup2(fileno(fx->out), STDOUT_FILENO);
	next_ns = lb_stats_tick(fx->stats, now_ns);
	fflush(stdout);
	dup2(fx->saved_stdout, STDOUT_FILENO);
	return next_ns;
}

static void
fixture_fini(struct fixture *fx)
{
	lb_stats_free(fx->stats);
	lb_overflow_free(fx->lb.overflow);
	close(fx->saved_stdout);
	fclose(fx->out);
}

static void
test_lines(void **state)
{
	const size_t n_lines = sizeof(expected_lines) / sizeof(expected_lines[0]);
	struct netmap_slot slot = {.buf_idx = 3};
	struct fixture fx;
	uint64_t first_ns, now_ns;
	char line[OUTPUT_SIZE];

	(void)state;
	fixture_init(&fx);
	first_ns = tick(&fx, 0);
	assert_true(first_ns > nmt_now_ns());
	assert_int_equal(tick(&fx, first_ns - 1), first_ns);
	assert_int_equal(ftell(fx.out), 0); /* not due: nothing was written */
	fx.pipes[0].counters.forwarded_packets = 2000;
	fx.pipes[0].counters.forwarded_bytes = 200000;
	fx.lb.received_packets = 2003;
	fx.lb.bad_packets = 3;
	fx.lb.non_ip_packets = 1;
	now_ns = tick(&fx, first_ns);
	assert_int_equal(now_ns, first_ns + 2 * NMT_NS_PER_S);
	fx.pipes[1].counters.dropped_packets = 500;
	fx.pipes[1].counters.dropped_bytes = 100000;
	lb_overflow_push(fx.lb.overflow, 1, &slot);
	assert_int_equal(tick(&fx, now_ns), now_ns + 2 * NMT_NS_PER_S);
	rewind(fx.out);
	for (size_t i = 0; i < n_lines; i++) {
		double ts;
		int skip = 0;

		assert_non_null(fgets(line, sizeof(line), fx.out));
		line[strcspn(line, "\n")] = '\0';
		assert_int_equal(sscanf(line, "{\"ts\":%lf,%n", &ts, &skip), 1);
		assert_true(ts > 1.6e9);
		assert_string_equal(line + skip, expected_lines[i]);
	}
	assert_null(fgets(line, sizeof(line), fx.out));
	fixture_fini(&fx);
}

static void
test_late_report_is_not_made_up_for(void **state)
{
	struct fixture fx;
	uint64_t now_ns;

	(void)state;
	fixture_init(&fx);
	now_ns = tick(&fx, 0) + 100 * NMT_NS_PER_S;
	assert_int_equal(tick(&fx, now_ns), now_ns + 2 * NMT_NS_PER_S);
	fixture_fini(&fx);
}

static void
test_full_disk(void **state)
{
	struct fixture fx;
	uint64_t due_ns;

	(void)state;
	fixture_init(&fx);
	due_ns = tick(&fx, 0);
	fclose(fx.out);
	fx.out = fopen("/dev/full", "w");
	assert_non_null(fx.out);
	assert_int_equal(tick(&fx, due_ns), 0);
	fixture_fini(&fx);
	assert_int_equal(lb_stats_tick(NULL, 5), UINT64_MAX);
	lb_stats_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_late_report_is_not_made_up_for),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
