/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other side of nmreplay.bats: makes captures, receives what is played, and compares.
 *
 *	replay_peer make FILE FORMAT COUNT GAP_US MIN_LEN MAX_LEN
 *		COUNT packets, GAP_US apart, of lengths spread between MIN_LEN and MAX_LEN. FORMAT: us, ns, ng (pcapng), each also as us-be and so on in big endian.
 *	replay_peer sink PORT FILE COUNT TIMEOUT_S
 *		receive COUNT packets and write them with the time of their arrival. Prints "ready"
 *		when the port is open. Status 1: the time was over before.
 *	replay_peer compare PLAYED RECEIVED ROUNDS
 *		RECEIVED must hold the packets of PLAYED, ROUNDS times, in order, byte for byte. Prints
 *		"packets N span_us S spread_us D": S is how long the packets should have taken, with the
 *		gaps of PLAYED and its average behind the last packet of a round; nine of ten packets
 *		arrived within D of their time, all measured against the median packet, so that a
 *		machine that stands still for a moment does not count. Status 1: something differs,
 *		with the reason on standard error.
 *	replay_peer subset PLAYED RECEIVED
 *		RECEIVED must be PLAYED with some packets left out. Prints "received N of M".
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <libnetmap.h>

#include "capture_build.h"
#include "nmt_cli.h"
#include "nmt_time.h"
#include "trace.h"

#define PCAP_MAGIC_US 0xa1b2c3d4
#define PCAP_MAGIC_NS 0xa1b23c4d
#define PACKET_MAX    65536
#define START_S	      1500000000 /* of captures made here */

#define LEN_STEP      7919 /* a prime: lengths differ from packet to packet and cover the range */

static const struct nmt_cli cli = {.prog = "replay_peer"};

static uint64_t
number(const char *name, const char *arg, uint64_t max)
{
	return nmt_cli_u64(&cli, name, arg, 0, max);
}

/* From the second MAC to the first one, which nobody has, so that a switch floods. */
static const uint8_t macs[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};

/* Append one packet; its data is the last @len bytes of a record, before padding and trailer. */
static void
put_packet(struct cb_file *f, const char *format, uint64_t time_us, unsigned seed, uint32_t len)
{
	size_t data_off = f->len + 16;

	if (strncmp(format, "ng", 2) == 0) {
		data_off = f->len + 28;
		cb_enhanced(f, 0, START_S * UINT64_C(1000000) + time_us, seed, len, len);
	} else {
		uint32_t unit = strncmp(format, "ns", 2) == 0 ? 1000 : 1;

		cb_pcap_packet(f, START_S + (uint32_t)(time_us / 1000000),
			(uint32_t)(time_us % 1000000) * unit, seed, len, len);
	}
	memcpy(f->bytes + data_off, macs, sizeof(macs));
}

static int
make(char **args)
{
	const char *format = args[1];
	uint64_t count = number("COUNT", args[2], 100000);
	uint64_t gap_us = number("GAP_US", args[3], 1000000);
	uint32_t min_len = (uint32_t)number("MIN_LEN", args[4], PACKET_MAX);
	uint32_t max_len = (uint32_t)number("MAX_LEN", args[5], PACKET_MAX);
	struct cb_file *f = cb_new(strstr(format, "-be") != NULL);
	FILE *out = fopen(args[0], "we");

	if (out == NULL || min_len < sizeof(macs) || max_len < min_len)
		nmt_die(&cli, "cannot make %s", args[0]);
	if (strncmp(format, "ng", 2) == 0) {
		cb_section(f);
		cb_ethernet(f);
	} else {
		cb_pcap_header(f, strncmp(format, "ns", 2) == 0 ? PCAP_MAGIC_NS : PCAP_MAGIC_US, 1);
	}
	for (unsigned i = 0; i < count; i++) {
		put_packet(f, format, i * gap_us, i,
			min_len + (uint32_t)(UINT64_C(1) * i * LEN_STEP % (max_len - min_len + 1)));
		if (fwrite(f->bytes, 1, f->len, out) != f->len)
			nmt_die(&cli, "cannot write %s", args[0]);
		f->len = 0;
	}
	free(f);
	return fclose(out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A packet that arrives: its slots are put together here. */
struct sink {
	FILE *out;
	uint64_t n_packets;
	uint32_t len;
	uint8_t bytes[PACKET_MAX];
};

static void
write_packet(struct sink *sink, uint64_t time_ns)
{
	const uint32_t head[] = {(uint32_t)(time_ns / NMT_NS_PER_S),
		(uint32_t)(time_ns % NMT_NS_PER_S), sink->len, sink->len};

	if (fwrite(head, sizeof(head), 1, sink->out) != 1 ||
		fwrite(sink->bytes, 1, sink->len, sink->out) != sink->len)
		nmt_die(&cli, "cannot write what was received");
	sink->n_packets++;
	sink->len = 0;
}

/* Take everything from a receive ring. */
static void
take_ring(struct sink *sink, struct netmap_ring *ring, uint64_t now_ns)
{
	while (!nm_ring_empty(ring)) { /* at most num_slots */
		const struct netmap_slot slot = ring->slot[ring->head];

		if (slot.len > PACKET_MAX - sink->len)
			nmt_die(&cli, "received a packet of more than %d bytes", PACKET_MAX);
		memcpy(sink->bytes + sink->len, NETMAP_BUF(ring, slot.buf_idx), slot.len);
		sink->len += slot.len;
		ring->head = ring->cur = nm_ring_next(ring, ring->head);
		if ((slot.flags & NS_MOREFRAG) == 0)
			write_packet(sink, now_ns);
	}
}

static int
receive(char **args)
{
	uint64_t count = number("COUNT", args[2], UINT64_MAX);
	uint64_t deadline_ns = nmt_now_ns() + number("TIMEOUT_S", args[3], 1000) * NMT_NS_PER_S;
	struct cb_file *header = cb_new(false);
	struct sink *sink = calloc(1, sizeof(*sink));
	struct nmport_d *port = nmport_open(args[0]);

	if (port == NULL || sink == NULL)
		nmt_die(&cli, "cannot open %s: %s", args[0], strerror(errno));
	sink->out = fopen(args[1], "we");
	cb_pcap_header(header, PCAP_MAGIC_NS, 1);
	if (sink->out == NULL || fwrite(header->bytes, 1, header->len, sink->out) != header->len)
		nmt_die(&cli, "cannot write %s", args[1]);
	printf("ready\n");
	fflush(stdout);
	while (sink->n_packets < count && nmt_now_ns() < deadline_ns) {
		struct pollfd fd = {.fd = port->fd, .events = POLLIN};

		if (poll(&fd, 1, 100) <= 0)
			continue;
		take_ring(sink, NETMAP_RXRING(port->nifp, port->first_rx_ring), nmt_now_ns());
	}
	/* Give the last slots back: a sender on a pipe waits for that. */
	if (ioctl(port->fd, NIOCRXSYNC, NULL) != 0)
		nmt_die(&cli, "cannot sync %s: %s", args[0], strerror(errno));
	if (fclose(sink->out) != 0)
		nmt_die(&cli, "cannot write %s", args[1]);
	printf("received %" PRIu64 "\n", sink->n_packets);
	count -= sink->n_packets;
	nmport_close(port);
	free(sink);
	free(header);
	return count == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
load(const char *path, struct nmr_trace *trace)
{
	struct nmt_err err;

	if (nmr_trace_load(path, UINT64_MAX, trace, &err) != 0)
		nmt_die(&cli, "%s: %s", path, err.text);
}

static bool
is_same(const struct nmr_packet *a, const struct nmr_packet *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static int
by_value(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a;
	const int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The distance from their median that nine of ten of @n numbers keep. Sorts and changes them. */
static int64_t
spread(int64_t *vals, uint32_t n)
{
	int64_t median;

	qsort(vals, n, sizeof(*vals), by_value);
	median = vals[n / 2];
	for (uint32_t i = 0; i < n; i++)
		vals[i] = vals[i] < median ? median - vals[i] : vals[i] - median;
	qsort(vals, n, sizeof(*vals), by_value);
	return vals[(uint64_t)n * 9 / 10];
}

static int
compare(char **args)
{
	uint64_t n_rounds = number("ROUNDS", args[2], UINT32_MAX);
	struct nmr_trace played, received;
	uint64_t due_ns = 0;
	uint64_t round_ns;
	int64_t *late_ns;

	load(args[0], &played);
	load(args[1], &received);
	if (received.n_packets != n_rounds * played.n_packets)
		nmt_die(&cli, "received %" PRIu32 " packets, not %" PRIu64 " times %" PRIu32,
			received.n_packets, n_rounds, played.n_packets);
	late_ns = calloc(received.n_packets, sizeof(*late_ns));
	if (late_ns == NULL)
		nmt_die(&cli, "no memory");
	round_ns = played.span_ns;
	if (played.n_packets > 1)
		round_ns += played.span_ns / (played.n_packets - 1);
	for (uint32_t i = 0; i < received.n_packets; i++) {
		const struct nmr_packet *want = &played.packets[i % played.n_packets];
		const struct nmr_packet *got = &received.packets[i];

		if (!is_same(want, got))
			nmt_die(&cli, "packet %" PRIu32 " differs", i);
		due_ns = i / played.n_packets * round_ns + want->time_ns;
		late_ns[i] = (int64_t)(got->time_ns - due_ns);
	}
	printf("packets %" PRIu32 " span_us %" PRIu64 " spread_us %" PRId64 "\n",
		received.n_packets, due_ns / 1000, spread(late_ns, received.n_packets) / 1000);
	free(late_ns);
	nmr_trace_free(&played);
	nmr_trace_free(&received);
	return EXIT_SUCCESS;
}

static int
subset(char **args)
{
	struct nmr_trace played, received;
	uint32_t at = 0;

	load(args[0], &played);
	load(args[1], &received);
	for (uint32_t i = 0; i < received.n_packets; i++, at++) {
		while (at < played.n_packets && !is_same(&played.packets[at], &received.packets[i]))
			at++;
		if (at == played.n_packets)
			nmt_die(&cli, "packet %" PRIu32 " was not played, or not at this place", i);
	}
	printf("received %" PRIu32 " of %" PRIu32 "\n", received.n_packets, played.n_packets);
	nmr_trace_free(&played);
	nmr_trace_free(&received);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int n_args;
		int (*run)(char **args);
	} commands[] = {
		{"make", 6, make},
		{"sink", 4, receive},
		{"compare", 3, compare},
		{"subset", 2, subset},
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (argc > 1 && strcmp(argv[1], commands[i].name) == 0 &&
			argc == 2 + commands[i].n_args)
			return commands[i].run(argv + 2);
	nmt_die(&cli, "usage: make|sink|compare|subset ..., see the top of the source");
}
