/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: what the thread bodies put into slots, take out of them and answer, against a port played
 * by this file. poll() and ioctl() are defined here, so a sync ends in on_tx() and on_rx() below,
 * which look at every slot and do to it what other ends of pipes, switches and monitors may do.
 *
 * The port has one tx and one rx ring in private memory, and spare buffers to swap in.
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
#include <libnetmap.h>

#include "fake_ports.h"
#include "nmt_time.h"
#include "parse_line.h"
#include "seq.h"
#include "worker.h"

#define N_SLOTS	 16
#define N_BUFS	 (2 + 2 * N_SLOTS + 1) /* two reserved, two rings, one to swap in */
#define BUF_SIZE 2048

/* How the other side behaves. */
enum behaviour {
	KEEP,	/* returns every slot as it was */
	SWAP,	/* swaps in buffers that others have written to */
	NOTIFY, /* changes buffers in place and says NS_BUF_CHANGED */
	PONG,	/* answers in the rx ring */
	STALL,	/* takes nothing */
};

static struct {
	struct fake_region region;
	struct netmap_ring *tx, *rx;
	struct nmport_d nmd;
	struct pg_port port;
	struct pg_options opt;
	struct pg_template tmpl;
	struct pg_worker *worker;

	enum behaviour behaviour;
	uint32_t tx_taken; /* the port's own position in the tx ring */
	uint64_t n_frames; /* complete ones seen */
	uint64_t n_slots;  /* seen */
	uint32_t n_reports;
	uint32_t next_spare;
	uint64_t stop_after_polls; /* 0: never */
	uint64_t n_polls;
	uint8_t whole[65536]; /* a packet put together from its slots */
	uint32_t whole_len;
	void (*check_frame)(const uint8_t *frame, uint32_t len);
} fake;

/* A fresh port and worker for a command line. */
static void
set_up(const char *line, enum behaviour behaviour)
{
	char whole[256];

	memset(&fake, 0, sizeof(fake));
	fake.behaviour = behaviour;
	fake_region_init(&fake.region, N_BUFS, BUF_SIZE);
	fake_port_init(&fake.nmd, &fake.region, "vale0:x", 1, 1, N_SLOTS);
	fake.next_spare = fake_region_take_buf(&fake.region);
	fake.tx = nmt_port_tx(&fake.nmd, 0);
	fake.rx = nmt_port_rx(&fake.nmd, 0);
	fake.port.nmd[0] = &fake.nmd;
	fake.port.n_threads = 1;
	snprintf(whole, sizeof(whole), "-i vale0:x -S 2:0:0:0:0:1 %s", line);
	parse_line(&fake.opt, whole);
	assert_int_equal(pg_template_init(&fake.tmpl, &fake.opt, 0), 0);
	fake.worker = aligned_alloc(PG_CACHE_LINE, sizeof(*fake.worker));
	assert_non_null(fake.worker);
	assert_int_equal(pg_worker_init(fake.worker, &fake.opt, &fake.tmpl, &fake.port, 0), 0);
	pg_worker_set_start(fake.worker, nmt_now_ns());
	pg_set_stop(false);
}

static void
tear_down(void)
{
	pg_worker_free(fake.worker);
	free(fake.worker);
	pg_template_free(&fake.tmpl);
	fake_region_fini(&fake.region);
}

static uint8_t *
buffer(uint32_t idx)
{
	return (uint8_t *)fake_region_buf(&fake.region, idx);
}

/* Put a frame into the rx ring, as a switch would; false when it is full. */
static bool
deliver(const uint8_t *frame, uint32_t len, uint16_t flags)
{
	struct netmap_slot *slot = fake_ring_next_slot(fake.rx, 0);

	if ((fake.rx->tail + 1) % N_SLOTS == fake.rx->head)
		return false;
	memcpy(buffer(slot->buf_idx), frame, len);
	slot->len = (uint16_t)len;
	slot->flags = flags;
	fake_ring_arrive(fake.rx, 1);
	return true;
}

static void
deliver_answer(void)
{
	uint8_t frame[BUF_SIZE];

	memcpy(frame, fake.whole, fake.whole_len);
	memcpy(frame, fake.whole + 6, 6);
	memcpy(frame + 6, fake.whole, 6);
	assert_true(deliver(frame, fake.whole_len, 0));
	assert_true(deliver(frame, fake.whole_len, 0)); /* and once more: must not count */
	frame[0] ^= 2;
	assert_true(deliver(frame, fake.whole_len, 0)); /* for somebody else */
	nmt_put32(frame + 42, 77777);
	frame[0] ^= 2;
	assert_true(deliver(frame, fake.whole_len, 0)); /* a number never sent */
}

/* A slot has been sent: look at it, and do to it what the other side does. */
static void
take_tx_slot(struct netmap_slot *slot)
{
	const uint8_t *data = buffer(slot->buf_idx);

	if ((slot->flags & NS_INDIRECT) != 0)
		data = (const uint8_t *)(uintptr_t)slot->ptr;
	assert_true(fake.whole_len + slot->len <= sizeof(fake.whole));
	memcpy(fake.whole + fake.whole_len, data, slot->len);
	fake.whole_len += slot->len;
	fake.n_slots++;
	fake.n_reports += (slot->flags & NS_REPORT) != 0;
	if ((slot->flags & NS_MOREFRAG) == 0) {
		fake.n_frames++;
		if (fake.check_frame != NULL)
			fake.check_frame(fake.whole, fake.whole_len);
		if (fake.behaviour == PONG)
			deliver_answer();
		fake.whole_len = 0;
	}
	if (fake.behaviour == SWAP && random() % 3 == 0) {
		uint32_t spare = fake.next_spare;

		memset(buffer(spare), (int)random(), BUF_SIZE);
		fake.next_spare = slot->buf_idx; /* ours comes back later, scribbled over */
		slot->buf_idx = spare;
	} else if (fake.behaviour == NOTIFY && random() % 3 == 0) {
		buffer(slot->buf_idx)[random() % slot->len] ^= 1;
		slot->flags |= NS_BUF_CHANGED;
	}
}

static void
on_tx(void)
{
	if (fake.behaviour == STALL)
		return;
	for (; fake.tx_taken != fake.tx->head; fake.tx_taken = (fake.tx_taken + 1) % N_SLOTS)
		take_tx_slot(&fake.tx->slot[fake.tx_taken]);
	fake.tx->tail = (fake.tx_taken + N_SLOTS - 1) % N_SLOTS;
}

int
ioctl(int fd, unsigned long request, ...)
{
	assert_int_equal(fd, -1);
	if (request == NIOCTXSYNC)
		on_tx();
	else
		assert_int_equal(request, NIOCRXSYNC);
	return 0;
}

int
poll(struct pollfd *fds, nfds_t n_fds, int timeout_ms)
{
	bool is_ready;

	(void)timeout_ms; /* time does not pass here */
	assert_int_equal(n_fds, 1);
	on_tx();
	if (fake.stop_after_polls != 0 && ++fake.n_polls >= fake.stop_after_polls)
		pg_set_stop(true);
	is_ready = (fds->events & POLLIN) != 0 ? fake.rx->cur != fake.rx->tail
					       : fake.tx->cur != fake.tx->tail;
	fds->revents = is_ready ? fds->events : 0;
	return is_ready;
}

static void
check_template(const uint8_t *frame, uint32_t len)
{
	assert_int_equal(len, fake.tmpl.len);
	assert_memory_equal(frame, fake.tmpl.data, len);
}

/* Every frame is right, whatever happened to the buffers in between. */
static void
test_tx_plain(void **state)
{
	static const enum behaviour behaviours[] = {KEEP, SWAP, NOTIFY};

	(void)state; /* cmocka's signature */
	srandom(3);
	for (size_t i = 0; i < sizeof(behaviours) / sizeof(behaviours[0]); i++) {
		set_up("-f tx -n 5000 -l 200 -b 7", behaviours[i]);
		fake.check_frame = check_template;
		sender_body(fake.worker);
		assert_int_equal(fake.n_frames, 5000);
		assert_int_equal(fake.worker->error, 0);
		assert_int_equal(pg_worker_read(fake.worker).pkts, 5000);
		assert_int_equal(pg_worker_read(fake.worker).bytes, 5000 * 200);
		assert_true(fake.n_reports >= 5000 / 7);
		tear_down();
	}
}

static void
mark_buffers(uint8_t mark)
{
	for (uint32_t i = 0; i < N_SLOTS; i++)
		memset(buffer(fake.tx->slot[i].buf_idx), mark, BUF_SIZE);
}

static void
check_marks(uint8_t mark)
{
	for (uint32_t i = 0; i < N_SLOTS; i++)
		for (uint32_t k = 0; k < BUF_SIZE; k++)
			assert_int_equal(buffer(fake.tx->slot[i].buf_idx)[k], mark);
}

/* Once each buffer has been filled, a plain run writes to none: marks put there meanwhile stay. */
static void
test_tx_plain_leaves_buffers_alone(void **state)
{
	(void)state;
	set_up("-f tx -n 17 -b 4", KEEP); /* each slot once, and round */
	sender_body(fake.worker);
	mark_buffers(0x5a);
	fake.worker->n_packets = 1000;
	sender_body(fake.worker);
	assert_int_equal(fake.n_frames, 1000);
	check_marks(0x5a);
	tear_down();
}

static void
test_tx_as_they_are(void **state)
{
	(void)state;
	set_up("-f tx -n 100 -r -l 99", KEEP);
	mark_buffers(0xee);
	sender_body(fake.worker);
	assert_int_equal(fake.n_frames, 100);
	check_marks(0xee);
	tear_down();
}

/* All ways to copy give the same frames. */
static void
test_tx_data_options(void **state)
{
	static const char *const lines[] = {"-o 1", "-o 2", "-o 4", "-o 8", "-o 15", "-I", "-F 3",
		"-M 100", "-F 2 -M 150 -o 3"};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char line[128];

		snprintf(line, sizeof(line), "-f tx -n 300 -l 250 -b 5 %s", lines[i]);
		set_up(line, SWAP);
		if (strcmp(lines[i], "-I") == 0)
			fake.behaviour = KEEP;
		fake.check_frame = check_template;
		sender_body(fake.worker);
		assert_int_equal(fake.n_frames, 300);
		assert_int_equal(fake.n_slots, 300 * fake.opt.n_frags);
		assert_int_equal(fake.worker->local.bytes, 300 * 250);
		tear_down();
	}
}

static uint32_t expected_seq;

static void
check_numbered(const uint8_t *frame, uint32_t len)
{
	assert_int_equal(nmt_get16(frame + 40), nmt_udp_csum(frame, len, false));
	assert_int_equal(nmt_get32(frame + 42), expected_seq);
	expected_seq++;
}

/* Frames that differ: no number missing, right checksums, also cut in pieces and at all lengths. */
static void
test_tx_varied(void **state)
{
	static const char *const lines[] = {"-f txseq -l 100", "-f txseq -l 60 -l 1500",
		"-f txseq -z -Z -l 77", "-f txseq -o 4 -l 46 -l 200", "-f tx -o 16 -l 600 -F 3"};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char line[128];

		snprintf(line, sizeof(line), "-n 2000 -b 9 %s", lines[i]);
		set_up(line, SWAP);
		fake.check_frame = check_numbered;
		expected_seq = 0;
		sender_body(fake.worker);
		assert_int_equal(fake.n_frames, 2000);
		tear_down();
	}
}

/* A receiver that never takes anything: the sender waits, and stops when asked. */
static void
test_tx_stalled(void **state)
{
	(void)state;
	set_up("-f tx -n 100", STALL);
	fake.stop_after_polls = 3;
	sender_body(fake.worker);
	assert_int_equal(fake.worker->local.pkts, N_SLOTS - 1);
	assert_int_equal(fake.worker->error, 0);
	tear_down();
}

static void
deliver_packets(void)
{
	uint8_t frame[100] = {0};

	assert_true(deliver(frame, 100, 0));
	assert_true(deliver(frame, 80, NS_MOREFRAG | 2 << 8));
	assert_true(deliver(frame, 20, 2 << 8));
	assert_true(deliver(frame, 60, 0));
	assert_true(deliver(frame, 60, 0));
}

/* Packets of several slots count once, -n is exact, and what is left over stays in the ring. */
static void
test_rx_counts(void **state)
{
	static const char *const lines[] = {
		"-f rx", "-f rx -o 15", "-f rx -b 2", "-f rx -n 3", "-f rx -n 3 -o 2"};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		bool is_limited = strstr(lines[i], "-n") != NULL;

		set_up(lines[i], KEEP);
		fake.rx->head = fake.rx->cur = fake.rx->tail = N_SLOTS - 2; /* wraps */
		deliver_packets();
		fake.stop_after_polls = 2;
		receiver_body(fake.worker);
		assert_int_equal(fake.worker->local.pkts, is_limited ? 3 : 4);
		assert_int_equal(fake.worker->local.bytes, is_limited ? 260 : 320);
		assert_int_equal(fake.rx->head, is_limited ? 2 : 3);
		assert_true(fake.worker->tic_ns != 0);
		tear_down();
	}
}

static void
test_rxseq(void **state)
{
	static const uint32_t numbers[] = {5, 6, 9, 7, 10};
	uint8_t frame[60];

	(void)state;
	set_up("-f rxseq", KEEP);
	memcpy(frame, fake.tmpl.data, sizeof(frame));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		nmt_put32(frame + 42, numbers[i]);
		assert_true(deliver(frame, sizeof(frame), 0));
	}
	fake.stop_after_polls = 2;
	receiver_body(fake.worker);
	assert_int_equal(fake.worker->seq.n_gaps, 1);
	assert_int_equal(fake.worker->seq.n_late, 1);
	assert_int_equal(fake.worker->seq.n_lost, 1);
	tear_down();
}

/* Every ping is answered once, whatever else arrives. */
static void
test_ping(void **state)
{
	static const char *const lines[] = {"-f ping -n 200", "-f ping -n 200 -b 3",
		"-f ping -n 50 -R 10K", "-f ping -n 200 --busy-wait"};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		set_up(lines[i], PONG);
		ping_body(fake.worker);
		assert_int_equal(fake.worker->error, 0);
		assert_int_equal(fake.worker->ping.n_sent, fake.opt.n_packets);
		assert_int_equal(fake.worker->ping.n_lost, 0);
		assert_int_equal(fake.worker->hist.count, fake.opt.n_packets);
		tear_down();
	}
}

static uint8_t pong_received[6];

static void
check_pong(const uint8_t *frame, uint32_t len)
{
	assert_int_equal(len, 60);
	assert_memory_equal(frame, "\x02\x00\x00\x00\x00\x07", 6);
	assert_memory_equal(frame + 6, pong_received, 6);
	assert_memory_equal(frame + 26, "\x0a\x01\x00\x01\x0a\x00\x00\x01", 8);
	assert_int_equal(nmt_csum_finish(nmt_csum_add(0, frame + 14, 20)), 0);
	assert_int_equal(nmt_get16(frame + 40), nmt_udp_csum(frame, len, false));
}

static void
test_pong(void **state)
{
	static const uint8_t unicast[6] = {2, 0, 0, 0, 0, 9};
	uint8_t frame[60];

	(void)state;
	set_up("-f pong -n 3", KEEP);
	fake.check_frame = check_pong;
	memcpy(frame, fake.tmpl.data, sizeof(frame));
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x07", 6);
	/* To a group: the answer comes from pong's own address. */
	memcpy(pong_received, fake.opt.src_mac.first, 6);
	assert_true(deliver(frame, sizeof(frame), 0));
	fake.worker->n_packets = 1;
	pong_body(fake.worker);
	/* To one station: the addresses change places. */
	memcpy(pong_received, unicast, 6);
	memcpy(frame, unicast, 6);
	assert_true(deliver(frame, sizeof(frame), 0));
	fake.worker->n_packets = 2;
	pong_body(fake.worker);
	assert_int_equal(fake.n_frames, 2);
	tear_down();
}

/* No room to answer: dropped and counted, whole packets only. */
static void
test_pong_drops(void **state)
{
	uint8_t frame[60] = {0};

	(void)state;
	set_up("-f pong", STALL);
	fake.tx->head = fake.tx->cur = fake.tx->tail - 2; /* two slots free */
	assert_true(deliver(frame, 60, NS_MOREFRAG));
	assert_true(deliver(frame, 60, NS_MOREFRAG));
	assert_true(deliver(frame, 60, 0)); /* three slots: no room */
	assert_true(deliver(frame, 60, 0));
	assert_true(deliver(frame, 60, 0));
	assert_true(deliver(frame, 60, 0));
	fake.stop_after_polls = 1;
	pong_body(fake.worker);
	assert_int_equal(fake.worker->local.pkts, 4);
	assert_int_equal(fake.worker->n_dropped, 2);
	assert_int_equal(fake.rx->head, fake.rx->tail);
	tear_down();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tx_plain),
		cmocka_unit_test(test_tx_plain_leaves_buffers_alone),
		cmocka_unit_test(test_tx_as_they_are),
		cmocka_unit_test(test_tx_data_options),
		cmocka_unit_test(test_tx_varied),
		cmocka_unit_test(test_tx_stalled),
		cmocka_unit_test(test_rx_counts),
		cmocka_unit_test(test_rxseq),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_pong),
		cmocka_unit_test(test_pong_drops),
	};

	signal(SIGUSR1, SIG_IGN); /* sent by workers to the main thread of pkt-gen */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
