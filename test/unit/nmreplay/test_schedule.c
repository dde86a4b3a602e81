/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: a capture becomes a trace with its packets, times and oddities, within its memory limit; a
 * schedule has exactly the rate asked for over any number of rounds (no drift), keeps the order of
 * packets whatever delay is drawn, repeats with its seed, and a cursor counts rounds and backlog as
 * a plain walk through the events does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture_build.h"
#include "schedule.h"
#include "trace.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define MAGIC_NS	  0xa1b23c4d
#define MS		  UINT64_C(1000000)
#define S		  UINT64_C(1000000000)
#define NO_LIMIT	  UINT64_MAX

static const struct nmr_link real_link = {.bw = {.kind = NMR_BW_REAL, .speed = 1}};

static int
load(const struct cb_file *f, uint64_t limit, struct nmr_trace *trace, struct nmt_err *err)
{
	char path[64];
	int error;

	cb_write(f, path);
	error = nmr_trace_load(path, limit, trace, err);
	unlink(path);
	return error;
}

static void
load_good(const struct cb_file *f, struct nmr_trace *trace)
{
	struct nmt_err err;

	if (load(f, NO_LIMIT, trace, &err) != 0)
		fail_msg("%s", err.text);
}

/* A trace of @n packets of @len bytes, @gap_ns apart. */
static void
make_trace(unsigned n, uint32_t len, uint64_t gap_ns, struct nmr_trace *trace)
{
	struct cb_file *f = cb_new(false);

	cb_pcap_header(f, MAGIC_NS, 1);
	for (unsigned i = 0; i < n; i++)
		cb_pcap_packet(f, 1500000000 + (uint32_t)(i * gap_ns / S),
			(uint32_t)(i * gap_ns % S), i, len, len);
	load_good(f, trace);
	free(f);
}

static void
build_good(const struct nmr_trace *trace, const struct nmr_link *link, uint64_t n_rounds,
	struct nmr_schedule *sched)
{
	struct nmt_err err;

	if (nmr_schedule_build(trace, link, n_rounds, NO_LIMIT, sched, &err) != 0)
		fail_msg("%s", err.text);
}

static void
test_trace(void **state)
{
	struct cb_file *f = cb_new(false);
	struct nmr_trace trace;

	(void)state;
	cb_pcap_header(f, MAGIC_NS, 1);
	cb_pcap_packet(f, 100, 5, 1, 60, 60);
	cb_pcap_packet(f, 101, 0, 2, 1514, 9000); /* cut */
	cb_pcap_packet(f, 100, 7, 3, 64, 64);	  /* earlier than the one before */
	cb_pcap_packet(f, 102, 0, 4, 0, 64);	  /* nothing captured */
	cb_pcap_packet(f, 99, 0, 5, 64, 64);	  /* earlier than the first */
	cb_pcap_packet(f, 103, 5, 6, 64, 64);
	load_good(f, &trace);
	assert_int_equal(trace.n_packets, 5);
	assert_int_equal(trace.max_len, 1514);
	assert_int_equal(trace.n_bytes, 60 + 1514 + 3 * 64);
	assert_int_equal(trace.span_ns, 3 * S);
	assert_int_equal(trace.n_cut, 1);
	assert_int_equal(trace.n_backward, 2);
	assert_int_equal(trace.n_empty, 1);
	assert_int_equal(trace.n_timeless, 0);
	assert_false(trace.is_truncated);
	assert_int_equal(trace.packets[0].time_ns, 0);
	assert_int_equal(trace.packets[1].time_ns, S - 5);
	assert_int_equal(trace.packets[2].time_ns, S - 5);
	assert_int_equal(trace.packets[3].time_ns, S - 5);
	assert_int_equal(trace.packets[4].time_ns, 3 * S);
	assert_int_equal(trace.packets[1].len, 1514);
	assert_memory_equal(trace.packets[1].data, cb_pattern(2, 1514), 1514);
	assert_memory_equal(trace.packets[4].data, cb_pattern(6, 64), 64);
	nmr_trace_free(&trace);

	/* Cut in the last record: played up to there, and said. */
	f->len -= 10;
	load_good(f, &trace);
	assert_int_equal(trace.n_packets, 4);
	assert_true(trace.is_truncated);
	assert_non_null(strstr(trace.truncation.text, "in the middle of a packet"));
	nmr_trace_free(&trace);
	free(f);
}

/* More packets than one allocation of the table and more data than one chunk holds. */
static void
test_trace_large(void **state)
{
	struct nmr_trace trace;
	FILE *out;
	char path[64];
	struct cb_file *f = cb_new(false);
	struct nmt_err err;

	(void)state;
	cb_pcap_header(f, MAGIC_NS, 1);
	cb_write(f, path);
	out = fopen(path, "ae");
	assert_non_null(out);
	for (unsigned i = 0; i < 20000; i++) {
		f->len = 0;
		cb_pcap_packet(f, i, 0, i, 60 + i % 1400, 60 + i % 1400);
		assert_int_equal(fwrite(f->bytes, 1, f->len, out), f->len);
	}
	assert_int_equal(fclose(out), 0);
	assert_int_equal(nmr_trace_load(path, NO_LIMIT, &trace, &err), 0);
	assert_int_equal(trace.n_packets, 20000);
	for (unsigned i = 0; i < 20000; i++) {
		assert_int_equal(trace.packets[i].len, 60 + i % 1400);
		assert_memory_equal(
			trace.packets[i].data, cb_pattern(i, 60 + i % 1400), 60 + i % 1400);
	}
	assert_in_range(trace.memory_len, trace.n_bytes, 2 * trace.n_bytes);
	nmr_trace_free(&trace);
	/* The limit holds for data and for the table. */
	assert_int_equal(nmr_trace_load(path, 8 << 20, &trace, &err), -EFBIG);
	assert_non_null(strstr(err.text, "more than 8 MB of memory"));
	assert_non_null(strstr(err.text, "--max-memory"));
	assert_int_equal(nmr_trace_load(path, 1000, &trace, &err), -EFBIG);
	unlink(path);
	free(f);
}

static void
test_trace_refused(void **state)
{
	struct cb_file *f = cb_new(false);
	struct nmr_trace trace;
	struct nmt_err err;

	(void)state;
	cb_pcap_header(f, MAGIC_NS, 1);
	assert_int_equal(load(f, NO_LIMIT, &trace, &err), -ENODATA);
	assert_string_equal(err.text, "it holds no packet that could be sent");

	cb_pcap_packet(f, 1, 0, 1, 0, 60);
	assert_int_equal(load(f, NO_LIMIT, &trace, &err), -ENODATA);

	f->len -= 1; /* nothing complete in it */
	assert_int_equal(load(f, NO_LIMIT, &trace, &err), -ENODATA);
	assert_string_equal(err.text,
		"offset 24: the file ends at offset 39, in the middle of a packet header");

	f->len = 24 - 10;
	assert_int_equal(load(f, NO_LIMIT, &trace, &err), -ENODATA);

	/* Damage is refused whatever was good before it. */
	f->len = 24;
	cb_pcap_packet(f, 1, 0, 1, 60, 60);
	cb_pcap_packet(f, 1, 0, 1, 60, 60);
	cb_poke32(f, 24 + 16 + 60 + 8, 0x10000000);
	assert_int_equal(load(f, NO_LIMIT, &trace, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "offset 100: packet header claims 268435456"));

	f->len = 0;
	cb_pcap_header(f, MAGIC_NS, 113); /* Linux "any" */
	cb_pcap_packet(f, 1, 0, 1, 60, 60);
	assert_int_equal(load(f, NO_LIMIT, &trace, &err), -EPROTONOSUPPORT);
	assert_string_equal(err.text, "offset 24: a packet of link type 113 (interface 0); only "
				      "Ethernet (1) can be sent");
	free(f);
}

/* An interface of another kind does no harm as long as it has no packet; its FCS is taken off. */
static void
test_trace_pcapng(void **state)
{
	struct cb_file *f = cb_new(true);
	struct nmr_trace trace;
	struct nmt_err err;

	(void)state;
	cb_section(f);
	cb_interface(f, &(struct cb_if){.linktype = 1, .tsresol = -1, .fcslen_bits = 32});
	cb_interface(f, &(struct cb_if){.linktype = 113, .tsresol = -1, .fcslen_bits = -1});
	cb_simple(f, 1, 64, 64);
	cb_enhanced(f, 0, 1000, 2, 68, 68);
	cb_simple(f, 3, 64, 64);
	cb_enhanced(f, 0, 3000, 4, 4, 4); /* nothing but its FCS */
	load_good(f, &trace);
	assert_int_equal(trace.n_packets, 3);
	assert_int_equal(trace.n_timeless, 2);
	assert_int_equal(trace.n_fcs, 3);
	assert_int_equal(trace.n_empty, 1);
	assert_int_equal(trace.packets[0].len, 60);
	assert_int_equal(trace.packets[1].len, 64);
	assert_int_equal(trace.packets[0].time_ns, 0);
	assert_int_equal(trace.packets[1].time_ns, 0);
	assert_int_equal(trace.packets[2].time_ns, 0);
	nmr_trace_free(&trace);
	cb_enhanced(f, 1, 4000, 2, 60, 60);
	assert_int_equal(load(f, NO_LIMIT, &trace, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "link type 113 (interface 1)"));
	free(f);
}

/* The capture's own times, the length of a round, and speeds. */
static void
test_real(void **state)
{
	struct nmr_schedule sched;
	struct nmr_trace trace;
	struct nmr_link link = real_link;
	struct nmr_cursor cur;

	(void)state;
	make_trace(11, 60, 100 * MS, &trace);
	build_good(&trace, &link, 3, &sched);
	assert_int_equal(sched.n_rounds, 1);
	assert_int_equal(nmr_round_len_ns(&sched), 1100 * MS); /* ten gaps and one more */
	nmr_cursor_init(&cur, &sched);
	for (unsigned i = 0; i < 33; i++) {
		assert_false(nmr_cursor_at_end(&cur));
		assert_int_equal(nmr_cursor_due_ns(&cur), i * 100 * MS);
		assert_int_equal(nmr_cursor_event(&cur)->packet, i % 11);
		assert_int_equal(nmr_cursor_round(&cur), i / 11);
		nmr_cursor_advance(&cur);
	}
	assert_true(nmr_cursor_at_end(&cur));
	nmr_schedule_free(&sched);

	link.bw.speed = 4;
	build_good(&trace, &link, NMR_FOREVER, &sched);
	nmr_cursor_init(&cur, &sched);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(nmr_cursor_due_ns(&cur), i * 25 * MS);
		nmr_cursor_advance(&cur);
	}
	nmr_schedule_free(&sched);
	nmr_trace_free(&trace);
}

/*
 * A million rounds of small packets at rates that ns do not divide: the last packet must leave at
 * the time that the first principles give, to the ns.
 */
static void
test_no_drift(void **state)
{
	static const struct {
		unsigned n;
		uint32_t len;
		struct nmr_bw bw;
	} cases[] = {
		{1, 60, {NMR_BW_CONSTANT, 7e9, 1}},
		{1, 61, {NMR_BW_ETHER, 1e10, 1}},
		{3, 1514, {NMR_BW_ETHER, 3e9, 1}},
		{7, 60, {NMR_BW_CONSTANT, 1e12, 1}},
		{2, 60, {NMR_BW_CONSTANT, 1e6 / 3, 1}},
	};
	const uint64_t n_rounds = 1000000;

	(void)state;
	for (size_t c = 0; c < N_ELEMENTS(cases); c++) {
		struct nmr_link link = {.bw = cases[c].bw};
		struct nmr_schedule sched;
		struct nmr_trace trace;
		struct nmr_cursor cur;
		uint64_t last_ns = 0;
		uint64_t n = 0;
		double want_ns;

		make_trace(cases[c].n, cases[c].len, 0, &trace);
		build_good(&trace, &link, n_rounds, &sched);
		nmr_cursor_init(&cur, &sched);
		for (; !nmr_cursor_at_end(&cur); n++) {
			assert_true(nmr_cursor_due_ns(&cur) >= last_ns);
			last_ns = nmr_cursor_due_ns(&cur);
			nmr_cursor_advance(&cur);
		}
		assert_int_equal(n, n_rounds * cases[c].n);
		want_ns = (double)(n - 1) * (double)nmr_bw_bits(&link.bw, cases[c].len) * 1e9 /
			  link.bw.bps;
		/* One ns each for the start of the round and the place in it, and for doubles. */
		if (fabs((double)last_ns - want_ns) > 2.5)
			fail_msg(
				"case %zu: at %ju ns, wanted %.1f", c, (uintmax_t)last_ns, want_ns);
		nmr_schedule_free(&sched);
		nmr_trace_free(&trace);
	}
}

static void
test_unlimited(void **state)
{
	struct nmr_link link = {.bw = {.kind = NMR_BW_CONSTANT}, .delay = {.min_ns = 5}};
	struct nmr_schedule sched;
	struct nmr_trace trace;
	struct nmr_cursor cur;

	(void)state;
	make_trace(4, 60, 100 * MS, &trace);
	build_good(&trace, &link, NMR_FOREVER, &sched);
	nmr_cursor_init(&cur, &sched);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(nmr_cursor_due_ns(&cur), 5);
		assert_int_equal(nmr_cursor_round(&cur), i / 4);
		nmr_cursor_advance(&cur);
	}
	assert_int_equal(nmr_cursor_backlog(&cur, S), 0);
	nmr_schedule_free(&sched);
	nmr_trace_free(&trace);
}

static void
test_refused(void **state)
{
	struct nmr_link lossy = {
		.bw = {.kind = NMR_BW_CONSTANT, .bps = 1e6},
		.loss = {.rate = 0.1},
	};
	struct nmr_schedule sched;
	struct nmr_trace trace;
	struct nmt_err err;

	(void)state;
	make_trace(2, 60, 0, &trace);
	assert_int_equal(
		nmr_schedule_build(&trace, &real_link, 2, NO_LIMIT, &sched, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--loops 1"));
	build_good(&trace, &real_link, 1, &sched);
	nmr_schedule_free(&sched);
	nmr_trace_free(&trace);

	make_trace(2, 60, 365 * UINT64_C(86400) * 8 * S, &trace); /* and a gap of 8 years behind */
	assert_int_equal(
		nmr_schedule_build(&trace, &real_link, 1, NO_LIMIT, &sched, &err), -ERANGE);
	assert_non_null(strstr(err.text, "would take 16 years"));
	assert_int_equal(
		nmr_schedule_build(&trace, &lossy, NMR_FOREVER, 1 << 20, &sched, &err), -EFBIG);
	assert_non_null(strstr(err.text, "--max-memory"));
	nmr_trace_free(&trace);
}

/* Delays far larger than the distance of packets: order stays, no packet is early. */
static void
test_delay_order(void **state)
{
	struct nmr_link link = real_link;
	struct nmr_schedule sched;
	struct nmr_trace trace;
	uint64_t last_ns = 0;
	unsigned n_waiting = 0;

	(void)state;
	make_trace(5000, 60, 1 * MS, &trace);
	link.delay =
		(struct nmr_delay){.kind = NMR_DELAY_UNIFORM, .min_ns = 2 * MS, .max_ns = 12 * MS};
	link.seed = 11;
	build_good(&trace, &link, 1, &sched);
	for (uint64_t i = 0; i < sched.n_events; i++) {
		const struct nmr_event *event = &sched.events[i];

		assert_int_equal(event->packet, i);
		assert_in_range(event->due_ns, i * MS + 2 * MS, i * MS + 12 * MS);
		assert_true(event->due_ns >= last_ns);
		n_waiting += event->due_ns == last_ns;
		last_ns = event->due_ns;
	}
	assert_in_range(n_waiting, 1000, 4900); /* the clamp was at work */
	nmr_schedule_free(&sched);

	/* A constant delay moves everything and changes nothing else. */
	link.delay = (struct nmr_delay){.kind = NMR_DELAY_CONSTANT, .min_ns = 7};
	build_good(&trace, &link, 1, &sched);
	for (uint64_t i = 0; i < sched.n_events; i++)
		assert_int_equal(sched.events[i].due_ns, i * MS + 7);
	nmr_schedule_free(&sched);
	nmr_trace_free(&trace);
}

static void
test_loss(void **state)
{
	struct nmr_link link = real_link;
	struct nmr_schedule sched, again;
	struct nmr_trace trace;
	uint64_t n_lost = 0;

	(void)state;
	make_trace(10, 60, 1 * MS, &trace);
	link.loss = (struct nmr_loss){NMR_LOSS_PACKET, 0.1};
	link.seed = 42;
	build_good(&trace, &link, NMR_FOREVER, &sched);
	/* Fresh numbers for many rounds, although the trace is short. */
	assert_int_equal(sched.n_rounds, 104858);
	assert_true(fabs(sched.loss_nominal - 0.1) < 1e-12);
	for (uint64_t i = 0; i < sched.n_events; i++)
		n_lost += sched.events[i].is_lost;
	/* Five standard deviations: sqrt(n p (1 - p)) is 307. */
	assert_in_range(n_lost, 104858 - 1536, 104858 + 1536);
	build_good(&trace, &link, NMR_FOREVER, &again);
	assert_memory_equal(sched.events, again.events, sched.n_events * sizeof(*sched.events));
	nmr_schedule_free(&again);
	link.seed = 43;
	build_good(&trace, &link, NMR_FOREVER, &again);
	assert_memory_not_equal(sched.events, again.events, 1000 * sizeof(*sched.events));
	nmr_schedule_free(&again);
	nmr_schedule_free(&sched);

	/* No more rounds than will be played. */
	build_good(&trace, &link, 7, &sched);
	assert_int_equal(sched.n_rounds, 7);
	nmr_schedule_free(&sched);

	/* Everything or nothing needs no numbers. */
	link.loss.rate = 1;
	build_good(&trace, &link, NMR_FOREVER, &sched);
	assert_int_equal(sched.n_rounds, 1);
	for (uint64_t i = 0; i < sched.n_events; i++)
		assert_true(sched.events[i].is_lost);
	nmr_schedule_free(&sched);
	nmr_trace_free(&trace);
}

/* What nmr_cursor_backlog() should say: walk on until an event is not due. */
static uint64_t
backlog_by_walking(struct nmr_cursor cur, uint64_t now_ns)
{
	uint64_t n = 0;

	while (!nmr_cursor_at_end(&cur) && nmr_cursor_due_ns(&cur) <= now_ns) {
		nmr_cursor_advance(&cur);
		n++;
	}
	return n;
}

static void
test_backlog(void **state)
{
	struct nmr_link link = real_link;
	struct nmr_rng rng = {99};

	(void)state;
	for (unsigned is_random = 0; is_random < 2; is_random++) {
		struct nmr_schedule sched;
		struct nmr_trace trace;
		struct nmr_cursor cur;

		make_trace(13, 60, 1 * MS, &trace);
		link.loss.rate = 0.5 * is_random;
		build_good(&trace, &link, 40, &sched);
		nmr_cursor_init(&cur, &sched);
		for (unsigned i = 0; i < 40 * 13; i++) {
			for (unsigned k = 0; k < 20; k++) {
				uint64_t now_ns = nmr_rng_u64(&rng) % (600 * MS);

				assert_int_equal(nmr_cursor_backlog(&cur, now_ns),
					backlog_by_walking(cur, now_ns));
			}
			nmr_cursor_advance(&cur);
		}
		assert_int_equal(nmr_cursor_backlog(&cur, S), 0);
		nmr_schedule_free(&sched);
		nmr_trace_free(&trace);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_trace_large),
		cmocka_unit_test(test_trace_refused),
		cmocka_unit_test(test_trace_pcapng),
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_no_drift),
		cmocka_unit_test(test_unlimited),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_delay_order),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_backlog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
