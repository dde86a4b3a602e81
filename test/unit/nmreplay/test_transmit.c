/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: the transmitter sends every packet once, in order and byte for byte, in one slot or
 * several; never before it is due and, over a run, at the rate of the schedule; it waits for a slow
 * port without loss and catches up; it honours its batch, takes losses out, stops when told, waits
 * at the end until the port has taken everything, and ends with the port's error.
 *
 * The port is made of plain memory: one ring, and in place of ioctl(2) and poll(2) functions (linked
 * with --wrap) that take packets out of it as a netmap port does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fake_ports.h"
#include "nmt_time.h"
#include "transmit.h"

#define PORT_FD	    12345 /* no descriptor that exists */
#define N_SLOTS	    8
#define BUF_SIZE    2048
#define FIRST_BUF   2 /* buffers 0 and 1 are never in a ring */
#define MS	    UINT64_C(1000000)
#define PACKETS_MAX 5000
#define LEN_MAX	    (7 * BUF_SIZE)

struct arrival {
	uint64_t time_ns;
	uint32_t n_slots;
	uint32_t len;
	uint32_t seq; /* first four bytes */
};

/* The port, and what it has seen. W: the transmitter thread; the test looks after it has ended. */
static struct {
	struct fake_region region;
	struct netmap_ring *ring;
	struct nmport_d port;
	unsigned take_max; /* slots taken in one sync; 0: all */
	uint64_t hold_ns;  /* nothing is taken before this time */
	unsigned n_syncs;
	unsigned max_batch; /* most packets found in one sync */
	int fail_after;	    /* sync with this number fails; 0: none */
	unsigned n_arrivals;
	struct arrival arrivals[PACKETS_MAX];
	uint8_t bytes[LEN_MAX]; /* the packet being put together */
	uint32_t len;
	uint32_t n_packet_slots;
} fake;

static uint8_t pattern[PACKETS_MAX + LEN_MAX];

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_poll(struct pollfd *fds, nfds_t n_fds, int timeout_ms);
int __real_poll(struct pollfd *fds, nfds_t n_fds, int timeout_ms);

/* cmocka's assertions belong to the main thread; these hold on the transmitter's, too. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static uint32_t
next_slot(uint32_t i)
{
	return i + 1 == N_SLOTS ? 0 : i + 1;
}

/* The packet that a packet of the trace must be: its number, then bytes that depend on it. */
static void
check_packet(uint32_t seq)
{
	REQUIRE(fake.len >= 4 && fake.len <= LEN_MAX);
	REQUIRE(memcmp(fake.bytes + 4, pattern + seq % PACKETS_MAX, fake.len - 4) == 0);
}

static void
take_slot(const struct netmap_slot *slot, uint64_t now_ns)
{
	REQUIRE(slot->buf_idx - FIRST_BUF < N_SLOTS);
	REQUIRE(slot->len >= 1 && slot->len <= BUF_SIZE);
	REQUIRE(slot->len <= LEN_MAX - fake.len);
	memcpy(fake.bytes + fake.len, NETMAP_BUF(fake.ring, slot->buf_idx), slot->len);
	fake.len += slot->len;
	fake.n_packet_slots++;
	if ((slot->flags & NS_MOREFRAG) == 0) {
		struct arrival *arrival = &fake.arrivals[fake.n_arrivals % PACKETS_MAX];

		arrival->time_ns = now_ns;
		arrival->len = fake.len;
		arrival->n_slots = fake.n_packet_slots;
		memcpy(&arrival->seq, fake.bytes, sizeof(arrival->seq));
		check_packet(arrival->seq);
		fake.n_arrivals++;
		fake.len = fake.n_packet_slots = 0;
	}
}

/* txsync: take what is allowed, give the slots back. */
static void
sync_port(void)
{
	struct netmap_ring *ring = fake.ring;
	uint32_t first = next_slot(ring->tail); /* oldest slot not taken */
	uint64_t now_ns = nmt_now_ns();
	unsigned n_before = fake.n_arrivals;
	unsigned n = 0;

	REQUIRE(ring->head < N_SLOTS);
	REQUIRE(ring->cur == ring->head || ring->cur == ring->tail);
	if (now_ns < fake.hold_ns)
		return;
	for (uint32_t i = first; i != ring->head; i = next_slot(i)) {
		if (fake.take_max > 0 && n == fake.take_max)
			break;
		take_slot(&ring->slot[i], now_ns);
		ring->tail = i;
		n++;
	}
	if (fake.n_arrivals - n_before > fake.max_batch)
		fake.max_batch = fake.n_arrivals - n_before;
}

int
__wrap_ioctl(int fd, unsigned long request, ...)
{
	REQUIRE(fd == PORT_FD);
	REQUIRE(request == NIOCTXSYNC);
	fake.n_syncs++;
	if (fake.fail_after > 0 && fake.n_syncs >= (unsigned)fake.fail_after) {
		errno = ENXIO;
		return -1;
	}
	/* What was put must fill whole packets, and ask for a report at its end. */
	REQUIRE((fake.ring->slot[(fake.ring->head + N_SLOTS - 1) % N_SLOTS].flags & NS_REPORT) !=
		0);
	sync_port();
	return 0;
}

/* The first descriptor is the transmitter's own, the second the port. */
int
__wrap_poll(struct pollfd *fds, nfds_t n_fds, int timeout_ms)
{
	uint64_t deadline_ns = nmt_now_ns() + (uint64_t)timeout_ms * MS;

	REQUIRE(n_fds == 2);
	REQUIRE(fds[1].fd == PORT_FD);
	REQUIRE(fds[1].events == POLLOUT);
	do {
		sync_port();
		fds[1].revents = fake.ring->cur != fake.ring->tail ? POLLOUT : 0;
		if (__real_poll(fds, 1, 0) > 0 || fds[1].revents != 0)
			return 1;
		usleep(200);
	} while (nmt_now_ns() < deadline_ns);
	return 0;
}

static void
free_port(void)
{
	fake_region_fini(&fake.region);
	memset(&fake, 0, sizeof(fake));
}

/* A fresh port in place of the one of the test before. Its receive ring is not used. */
static void
make_port(void)
{
	free_port();
	fake_region_init(&fake.region, FIRST_BUF + 2 * N_SLOTS, BUF_SIZE);
	fake_port_init(&fake.port, &fake.region, "fake", 1, 1, N_SLOTS);
	fake.port.fd = PORT_FD;
	fake.ring = NETMAP_TXRING(fake.port.nifp, 0);
}

/* A trace of @n packets in plain memory, @gap_ns apart, lengths as @len says. */
static void
make_trace(struct nmr_trace *trace, unsigned n, uint64_t gap_ns, uint32_t (*len)(unsigned i))
{
	*trace = (struct nmr_trace){.packets = calloc(n, sizeof(*trace->packets)), .n_packets = n};
	assert_non_null(trace->packets);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *data = malloc(len(i));

		assert_non_null(data);
		memcpy(data, &i, 4);
		memcpy(data + 4, pattern + i, len(i) - 4);
		trace->packets[i] =
			(struct nmr_packet){.data = data, .len = len(i), .time_ns = i * gap_ns};
		trace->span_ns = i * gap_ns;
	}
}

static void
free_trace(struct nmr_trace *trace)
{
	for (unsigned i = 0; i < trace->n_packets; i++)
		free((void *)(uintptr_t)trace->packets[i].data);
	free(trace->packets);
}

static uint32_t
len_60(unsigned i)
{
	(void)i;
	return 60;
}

/* Around every multiple of the buffer size, up to the whole ring. */
static uint32_t
len_mixed(unsigned i)
{
	static const uint32_t lens[] = {60, 2047, 2048, 2049, 4096, 4097, 6143, 9000, 14336, 14335};

	return lens[i % 10];
}

struct run {
	struct nmr_tx tx;
	struct nmr_counters counters;
	int result;
};

/* Play a whole schedule; the transmitter ends by itself. */
static void
run(struct run *r, const struct nmr_trace *trace, const struct nmr_link *link, uint64_t n_rounds,
	uint32_t batch)
{
	struct nmr_tx_config config = {
		.port = &fake.port, .trace = trace, .batch = batch, .cpu = NMR_NO_CPU};
	struct nmr_schedule sched;
	struct nmt_err err;

	if (nmr_schedule_build(trace, link, n_rounds, UINT64_MAX, &sched, &err) != 0)
		fail_msg("%s", err.text);
	config.sched = &sched;
	assert_int_equal(nmr_tx_start(&r->tx, &config), 0);
	r->result = nmr_tx_join(&r->tx);
	nmr_tx_read_counters(&r->tx, &r->counters);
	nmr_schedule_free(&sched);
}

static const struct nmr_link unlimited = {.bw = {.kind = NMR_BW_CONSTANT}};
static const struct nmr_link real_link = {.bw = {.kind = NMR_BW_REAL, .speed = 1}};

static void
test_all_sizes(void **state)
{
	struct nmr_trace trace;
	struct run r;
	uint64_t n_bytes = 0;

	(void)state;
	make_port();
	make_trace(&trace, 1000, 0, len_mixed);
	assert_int_equal(nmr_tx_max_packet(&fake.port), LEN_MAX);
	run(&r, &trace, &unlimited, 3, 128);
	assert_int_equal(r.result, 0);
	assert_int_equal(fake.n_arrivals, 3000);
	for (unsigned i = 0; i < 3000; i++) {
		assert_int_equal(fake.arrivals[i].seq, i % 1000);
		assert_int_equal(fake.arrivals[i].len, len_mixed(i % 1000));
		assert_int_equal(
			fake.arrivals[i].n_slots, (len_mixed(i % 1000) + BUF_SIZE - 1) / BUF_SIZE);
		n_bytes += fake.arrivals[i].len;
	}
	assert_int_equal(r.counters.n_rx, 3000);
	assert_int_equal(r.counters.n_tx, 3000);
	assert_int_equal(r.counters.n_lost, 0);
	assert_int_equal(r.counters.n_bytes, n_bytes);
	assert_int_equal(r.counters.round, 3);
	assert_int_equal(r.tx.n_undelivered, 0);
	free_trace(&trace);
}

static void
test_batch(void **state)
{
	struct nmr_trace trace;
	struct run r;

	(void)state;
	make_trace(&trace, 1000, 0, len_60);
	for (unsigned batch = 1; batch <= N_SLOTS + 1; batch++) {
		make_port();
		run(&r, &trace, &unlimited, 1, batch);
		assert_int_equal(fake.n_arrivals, 1000);
		assert_int_equal(fake.max_batch, batch < N_SLOTS ? batch : N_SLOTS - 1);
	}
	free_trace(&trace);
}

/*
 * No packet is early; and over the run no time is lost: the last packet is due 300 ms after the
 * first however late single ones were. The tolerance is for a busy machine.
 */
static void
test_pacing(void **state)
{
	static const uint64_t gaps_ns[] = {10000, 100000, 1 * MS, 30 * MS};

	(void)state;
	for (size_t g = 0; g < sizeof(gaps_ns) / sizeof(gaps_ns[0]); g++) {
		unsigned n = (unsigned)(90 * MS / gaps_ns[g]) + 1;
		struct nmr_trace trace;
		struct run r;

		make_port();
		if (n > 1000)
			n = 1000;
		make_trace(&trace, n, gaps_ns[g], len_60);
		run(&r, &trace, &real_link, 2, 128);
		assert_int_equal(fake.n_arrivals, 2 * n);
		for (unsigned i = 0; i < 2 * n; i++)
			assert_true(fake.arrivals[i].time_ns >= r.tx.start_ns + i * gaps_ns[g]);
		assert_true(fake.arrivals[2 * n - 1].time_ns <
			    r.tx.start_ns + (2 * n - 1) * gaps_ns[g] + 100 * MS);
		/* The counters saw the same lateness as the port. */
		assert_true(r.counters.max_late_ns < 100 * MS);
		assert_true(r.counters.sum_late_ns <= r.counters.n_tx * r.counters.max_late_ns);
		free_trace(&trace);
	}
}

/* The port takes nothing for 50 ms, then a slot at a time: nothing is lost, and what is overdue
 * follows at once. */
static void
test_slow_port(void **state)
{
	struct nmr_trace trace;
	struct run r;
	uint64_t held;

	(void)state;
	make_port();
	make_trace(&trace, 100, 1 * MS, len_60);
	fake.hold_ns = nmt_now_ns() + 50 * MS;
	run(&r, &trace, &real_link, 1, 128);
	assert_int_equal(fake.n_arrivals, 100);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(fake.arrivals[i].seq, i);
	/* One became due each ms from the start, which may have been late, to the end of the hold. */
	held = fake.hold_ns > r.tx.start_ns ? (fake.hold_ns - r.tx.start_ns) / MS : 0;
	assert_in_range(r.counters.max_queue, held * 6 / 10, 100);
	/* Back on schedule at the end. */
	assert_true(fake.arrivals[99].time_ns < r.tx.start_ns + 99 * MS + 100 * MS);
	free_trace(&trace);

	make_port();
	make_trace(&trace, 50, 0, len_mixed);
	fake.take_max = 1;
	run(&r, &trace, &unlimited, 1, 128);
	assert_int_equal(fake.n_arrivals, 50);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(fake.arrivals[i].seq, i);
	assert_int_equal(r.tx.n_undelivered, 0);
	free_trace(&trace);
}

static void
test_loss(void **state)
{
	struct nmr_link link = unlimited;
	struct nmr_trace trace;
	struct run r;

	(void)state;
	make_port();
	make_trace(&trace, 1000, 0, len_60);
	link.loss.rate = 0.5;
	link.seed = 1;
	run(&r, &trace, &link, 1, 128);
	assert_int_equal(r.counters.n_rx, 1000);
	assert_int_equal(r.counters.n_lost + r.counters.n_tx, 1000);
	assert_in_range(r.counters.n_lost, 400, 600);
	assert_int_equal(fake.n_arrivals, r.counters.n_tx);
	for (unsigned i = 1; i < fake.n_arrivals; i++)
		assert_true(fake.arrivals[i].seq > fake.arrivals[i - 1].seq);
	link.loss.rate = 1;
	make_port();
	run(&r, &trace, &link, 2, 128);
	assert_int_equal(r.counters.n_lost, 2000);
	assert_int_equal(fake.n_syncs, 0);
	free_trace(&trace);
}

/* Told to stop while it sleeps, while it waits for room, and while it sends at full speed. */
static void
test_stop(void **state)
{
	static const struct {
		uint64_t gap_ns;
		bool is_held;
	} cases[] = {{3600000 * MS, false}, {1, true}, {1, false}};

	(void)state;
	for (unsigned c = 0; c < 3; c++) {
		struct nmr_schedule sched;
		struct nmr_trace trace;
		struct nmr_tx tx;
		struct nmt_err err;
		uint64_t stop_ns;

		make_port();
		make_trace(&trace, 20, cases[c].gap_ns, len_60);
		if (cases[c].is_held)
			fake.hold_ns = UINT64_MAX;
		assert_int_equal(nmr_schedule_build(
					 &trace, &real_link, NMR_FOREVER, UINT64_MAX, &sched, &err),
			0);
		assert_int_equal(nmr_tx_start(&tx, &(struct nmr_tx_config){.port = &fake.port,
							   .trace = &trace,
							   .sched = &sched,
							   .batch = 4,
							   .cpu = NMR_NO_CPU}),
			0);
		usleep(20000);
		stop_ns = nmt_now_ns();
		nmr_tx_stop(&tx);
		assert_int_equal(nmr_tx_join(&tx), 0);
		assert_true(nmt_now_ns() < stop_ns + 500 * MS);
		assert_int_equal(tx.n_undelivered, cases[c].is_held ? N_SLOTS - 1 : 0);
		nmr_schedule_free(&sched);
		free_trace(&trace);
	}
}

/* The port never takes the last packets: after a while without progress the run ends, and says so. */
static void
test_undelivered(void **state)
{
	struct nmr_trace trace;
	struct run r;

	(void)state;
	make_port();
	make_trace(&trace, 5, 0, len_60);
	fake.hold_ns = UINT64_MAX;
	run(&r, &trace, &unlimited, 1, 128);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.tx.n_undelivered, 5);
	assert_in_range(nmt_now_ns() - r.tx.start_ns, 1000 * MS, 3000 * MS);
	/* That wait does not count as time of sending. */
	assert_in_range(r.tx.end_ns - r.tx.start_ns, 0, 900 * MS);
	free_trace(&trace);
}

static void
test_failure(void **state)
{
	struct nmr_trace trace;
	struct run r;

	(void)state;
	make_port();
	make_trace(&trace, 100, 0, len_60);
	fake.fail_after = 3;
	run(&r, &trace, &unlimited, NMR_FOREVER, 4);
	assert_int_equal(r.result, -ENXIO);
	assert_int_equal(fake.n_arrivals, 8);
	free_trace(&trace);
}

static void
test_no_ring(void **state)
{
	(void)state;
	make_port();
	fake.port.first_tx_ring = 1; /* empty interval: opened for receiving only */
	fake.port.last_tx_ring = 0;
	assert_int_equal(nmr_tx_max_packet(&fake.port), 0);
	fake.port.first_tx_ring = 0; /* another way to write one (spec 22.1) */
	fake.port.last_tx_ring = UINT16_MAX;
	assert_int_equal(nmr_tx_max_packet(&fake.port), 0);
}

static void
test_no_cpu(void **state)
{
	struct nmr_trace trace;
	struct nmr_schedule sched;
	struct nmr_tx tx;
	struct nmt_err err;

	(void)state;
	make_port();
	make_trace(&trace, 1, 0, len_60);
	assert_int_equal(nmr_schedule_build(&trace, &unlimited, 1, UINT64_MAX, &sched, &err), 0);
	assert_int_equal(nmr_tx_start(&tx, &(struct nmr_tx_config){.port = &fake.port,
						   .trace = &trace,
						   .sched = &sched,
						   .batch = 4,
						   .cpu = CPU_SETSIZE - 1}),
		-EINVAL);
	nmr_schedule_free(&sched);
	free_trace(&trace);
}

static int
fill_pattern(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 31 ^ i >> 8);
	return 0;
}

static int
free_last_port(void **state)
{
	(void)state;
	free_port();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_sizes),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_pacing),
		cmocka_unit_test(test_slow_port),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_undelivered),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_no_ring),
		cmocka_unit_test(test_no_cpu),
	};

	return cmocka_run_group_tests(tests, fill_pattern, free_last_port);
}
