/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ours_pair.c - throughput from senders to receivers through our pipes, VALE switches and NIC ports.
 *
 * Only the public API is used, the way that pkt-gen uses it: a sender fills slots up to its burst
 * and syncs; a receiver syncs, reads one word of each frame and gives the slots back. With --spin
 * both sync by ioctl and never sleep, else by poll, which sleeps when there is nothing to do.
 *
 * Buffers are prepared once and not written again, unless --numbered. With several receivers the
 * slots of a sender's ring address them in turn. Before the start every port announces its address,
 * so nothing is flooded, and receivers drop what they got of that. Frames that a full receiver
 * makes a switch drop do not count. Monitors read what they are shown like receivers, whose CPU they
 * share.
 */
#include "ours_port.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define MAX_RECEIVERS 64
#define IDLE_SLOTS    128 /* nothing but announcements goes there */

static const char *opt_kind = "vale";
static uint32_t opt_frame = BENCH_MIN_FRAME;
static uint32_t opt_burst = 256;
static uint32_t opt_senders = 1;
static uint32_t opt_receivers = 1;
static uint32_t opt_idle_ports;
static uint32_t opt_monitors;
static const char *opt_watch = "r";
static bool opt_one_process;
static bool opt_one_core;
static bool opt_spin;
static bool opt_numbered;
static uint32_t opt_receiver_slots;
static enum ours_kind kind;

static const struct bench_opt opts[] = {
	{"kind", BENCH_STRING, &opt_kind, 0, 0, "vale, pipe or nic (default vale)"},
	{"from", BENCH_STRING, &ours_nics[0], 0, 0, "nic: interface of the sender, IF%NETNS"},
	{"to", BENCH_STRING, &ours_nics[1], 0, 0, "nic: interface of the receiver"},
	{"frame", BENCH_U32, &opt_frame, BENCH_MIN_FRAME, BENCH_MAX_FRAME, "bytes of a frame"},
	{"burst", BENCH_U32, &opt_burst, 1, 4096, "frames a sync, at most"},
	{"senders", BENCH_U32, &opt_senders, 1, 32, "sending processes; they share the first CPUs"},
	{"receivers", BENCH_U32, &opt_receivers, 1, MAX_RECEIVERS, "receiving ports"},
	{"idle-ports", BENCH_U32, &opt_idle_ports, 0, 1000, "further ports that do nothing"},
	{"monitors", BENCH_U32, &opt_monitors, 0, 32, "monitors of the first receiver, or sender"},
	{"watch", BENCH_STRING, &opt_watch, 0, 0,
		"what they see: t of the sender, r of the receiver, with z zero-copy (default r)"},
	{"one-process", BENCH_FLAG, &opt_one_process, 0, 0,
		"one process serves all receiving ports"},
	{"one-core", BENCH_FLAG, &opt_one_core, 0, 0,
		"one sender and one receiver take turns on the first CPU; monitors have the last"},
	{"spin", BENCH_FLAG, &opt_spin, 0, 0, "sync by ioctl all the time instead of poll"},
	{"receiver-slots", BENCH_U32, &opt_receiver_slots, 0, 4096,
		"of a receiver's rings, 0 the default; with other ones than the sender's, the two "
		"ends of a veth pair are not joined"},
	{"numbered", BENCH_FLAG, &opt_numbered, 0, 0,
		"write a number into each frame; one pair only"},
};

/* ---- senders ------------------------------------------------------------------------------- */

static void
prepare_buffers(struct netmap_ring *ring, uint32_t address)
{
	for (uint32_t i = 0; i < ring->num_slots; i++)
		bench_frame(NETMAP_BUF(ring, ring->slot[i].buf_idx), opt_frame,
			OURS_RECEIVER + i % opt_receivers, address, BENCH_WORD);
}

/* Hand over up to a burst of the free slots. Return: how many. */
static uint32_t
fill(struct netmap_ring *ring, uint64_t *number)
{
	const uint32_t space = nm_ring_space(ring);
	const uint32_t n = space < opt_burst ? space : opt_burst;
	uint32_t head = ring->head;

	for (uint32_t i = 0; i < n; i++) { /* at most a burst */
		struct netmap_slot *slot = &ring->slot[head];

		if (opt_numbered)
			bench_set_word(NETMAP_BUF(ring, slot->buf_idx), (*number)++);
		slot->len = (uint16_t)opt_frame;
		slot->flags = 0;
		head = nm_ring_next(ring, head);
	}
	ring->head = ring->cur = head;
	return n;
}

static int
run_sender(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	const uint32_t index = (uint32_t)(uintptr_t)arg;
	struct nmport_d *d = ours_open(kind, 's', index, 0);
	struct netmap_ring *ring;
	struct pollfd p;
	uint64_t number = 0;
	int err = 0;

	if (d == NULL)
		return -EIO;
	ring = ours_tx(d);
	p = (struct pollfd){.fd = d->fd, .events = POLLOUT};
	bench_barrier(run);
	if (kind == OURS_VALE)
		err = ours_announce(d, OURS_SENDER + index);
	bench_barrier(run);
	prepare_buffers(ring, OURS_SENDER + index);
	bench_barrier(run);
	while (err >= 0 && !bench_stop(run)) {
		const uint32_t n = fill(ring, &number);

		err = opt_spin ? ours_sync(d, NIOCTXSYNC) : ours_wait(&p, 1, OURS_POLL_MS);
		if (n > 0) {
			bench_count(&stat->sent, n);
			bench_count(&stat->batches, 1);
		}
	}
	nmport_close(d);
	return err < 0 ? err : 0;
}

/* ---- receivers ----------------------------------------------------------------------------- */

/* The ports of one receiving process. */
struct receiver {
	uint32_t first; /* their numbers */
	uint32_t n;
	struct nmport_d *port[MAX_RECEIVERS];
	struct pollfd fds[MAX_RECEIVERS];
};

/* Read all that has arrived and give the slots back. Return: how many. */
static uint32_t
empty(struct netmap_ring *ring, struct bench_check *check)
{
	const uint32_t n = nm_ring_space(ring);
	uint32_t head = ring->head;

	for (uint32_t i = 0; i < n; i++) { /* less than num_slots */
		bench_check_frame(check, NETMAP_BUF(ring, ring->slot[head].buf_idx));
		head = nm_ring_next(ring, head);
	}
	ring->head = ring->cur = head;
	return n;
}

static int
open_receivers(struct receiver *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		r->port[i] = ours_open(kind, 'r', r->first + i, opt_receiver_slots);
		if (r->port[i] == NULL)
			return -EIO;
		r->fds[i] = (struct pollfd){.fd = r->port[i]->fd, .events = POLLIN};
	}
	return 0;
}

/* The steps before the start, between the same barriers as the sender's. */
static int
announce_receivers(struct bench_run *run, struct receiver *r)
{
	int err = 0;

	bench_barrier(run);
	for (uint32_t i = 0; kind == OURS_VALE && err == 0 && i < r->n; i++)
		err = ours_announce(r->port[i], OURS_RECEIVER + r->first + i);
	bench_barrier(run);
	for (uint32_t i = 0; err == 0 && i < r->n; i++)
		err = ours_drain(r->port[i]);
	bench_barrier(run);
	return err;
}

static int
sync_all(struct receiver *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const int err = ours_sync(r->port[i], NIOCRXSYNC);

		if (err != 0)
			return err;
	}
	return 0;
}

static int
run_receiver(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct receiver *r = arg;
	struct bench_check check = {.numbered = opt_numbered};
	int err = open_receivers(r);

	if (err != 0)
		return err;
	err = announce_receivers(run, r);
	while (err >= 0 && !bench_stop(run)) {
		uint32_t n = 0;

		err = opt_spin ? sync_all(r) : ours_wait(r->fds, r->n, OURS_POLL_MS);
		for (uint32_t i = 0; err >= 0 && i < r->n; i++)
			n += empty(ours_rx(r->port[i]), &check);
		if (n > 0) {
			bench_count(&stat->packets, n);
			bench_count(&stat->batches, 1);
		}
	}
	stat->errors = bench_check_errors(&check);
	for (uint32_t i = 0; i < r->n; i++)
		nmport_close(r->port[i]);
	return err < 0 ? err : 0;
}

/* ---- both on one CPU ----------------------------------------------------------------------- */

/* A burst there, the same burst out: what the stream itself costs, whoever else has a CPU. */
static int
run_both(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct nmport_d *s = ours_open(kind, 's', 0, 0), *r = ours_open(kind, 'r', 0, 0);
	struct bench_check check = {.numbered = opt_numbered};
	uint64_t number = 0;
	int err = s == NULL || r == NULL ? -EIO : 0;

	(void)arg;
	if (err != 0)
		return err;
	bench_barrier(run);
	if (kind == OURS_VALE) {
		err = ours_announce(s, OURS_SENDER);
		if (err == 0)
			err = ours_announce(r, OURS_RECEIVER);
	}
	bench_barrier(run);
	if (err == 0)
		err = ours_drain(r);
	prepare_buffers(ours_tx(s), OURS_SENDER);
	bench_barrier(run);
	while (err == 0 && !bench_stop(run)) {
		bench_count(&stat->sent, fill(ours_tx(s), &number));
		err = ours_sync(s, NIOCTXSYNC);
		if (err == 0)
			err = ours_sync(r, NIOCRXSYNC);
		bench_count(&stat->packets, empty(ours_rx(r), &check));
		bench_count(&stat->batches, 1);
	}
	stat->errors = bench_check_errors(&check);
	nmport_close(r);
	nmport_close(s);
	return err;
}

/* ---- monitors ------------------------------------------------------------------------------ */

/* Read all that one is shown: its figures are not counted, but its work is done. */
static int
run_monitor(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct bench_check check = {.numbered = false};
	struct nmport_d *d;
	struct pollfd p;

	(void)arg;
	bench_barrier(run); /* what it watches is open then */
	d = ours_open_monitor(kind, strchr(opt_watch, 't') != NULL ? 's' : 'r', opt_watch);
	if (d == NULL)
		return -EIO;
	bench_barrier(run);
	bench_barrier(run);
	p = (struct pollfd){.fd = d->fd, .events = POLLIN};
	while (!bench_stop(run)) {
		const int n = poll(&p, 1, OURS_POLL_MS);

		if (n > 0 && (p.revents & POLLERR))
			break; /* what it watches has ended first */
		if (n > 0)
			bench_count(&stat->packets, empty(ours_rx(d), &check));
	}
	nmport_close(d);
	return 0;
}

/* ---- idle ports ---------------------------------------------------------------------------- */

static int
run_idle(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct nmport_d *ports[1000];
	int err = 0;

	(void)stat; /* nothing to count */
	(void)arg;
	for (uint32_t i = 0; i < opt_idle_ports; i++) {
		ports[i] = ours_open(kind, 'i', i, IDLE_SLOTS);
		if (ports[i] == NULL)
			return -EIO;
	}
	bench_barrier(run);
	for (uint32_t i = 0; err == 0 && i < opt_idle_ports; i++)
		err = ours_announce(ports[i], OURS_IDLE + i);
	bench_barrier(run);
	bench_barrier(run);
	while (!bench_stop(run))
		bench_sleep_until(bench_now_ns() + 50000000);
	for (uint32_t i = 0; i < opt_idle_ports; i++)
		nmport_close(ports[i]);
	return err;
}

/* Receivers share the last CPU, senders the others. */
static void
start_sides(struct bench_run *run, uint32_t n_cpus)
{
	static struct receiver receivers[MAX_RECEIVERS];
	const uint32_t n_processes = opt_one_process ? 1 : opt_receivers;
	const uint32_t last = n_cpus - 1;

	if (opt_one_core) {
		bench_side(run, "both", 0, true, run_both, NULL);
		for (uint32_t i = 0; i < opt_monitors; i++)
			bench_side(run, "monitor", last, false, run_monitor, NULL);
		return;
	}
	for (uint32_t i = 0; i < n_processes; i++) {
		receivers[i].first = i;
		receivers[i].n = opt_one_process ? opt_receivers : 1;
		bench_side(run, "receiver", last, true, run_receiver, &receivers[i]);
	}
	for (uint32_t i = 0; i < opt_senders; i++)
		bench_side(run, "sender", last > 0 ? i % last : 0, false, run_sender,
			(void *)(uintptr_t)i);
	for (uint32_t i = 0; i < opt_monitors; i++)
		bench_side(run, "monitor", last, false, run_monitor, NULL);
	if (opt_idle_ports > 0)
		bench_side(run, "idle", last, false, run_idle, NULL);
}

int
main(int argc, char **argv)
{
	struct bench_conf conf = {.program = "ours_pair",
		.purpose = "Sends frames through a pipe, a VALE switch or two interfaces.",
		.opts = opts,
		.n_opts = sizeof(opts) / sizeof(opts[0])};
	struct bench_run *run;

	bench_parse(&conf, argc, argv);
	kind = ours_kind(opt_kind);
	if (kind != OURS_VALE && (opt_senders > 1 || opt_receivers > 1 || opt_idle_ports > 0)) {
		bench_say(
			"a pipe or NIC has one sender and one receiver; use --kind vale for more");
		return 2;
	}
	if (opt_one_core && (opt_senders > 1 || opt_receivers > 1 || opt_idle_ports > 0)) {
		bench_say("--one-core: one sender and one receiver only");
		return 2;
	}
	if (opt_numbered && (opt_senders > 1 || opt_receivers > 1)) {
		bench_say(
			"--numbered: frames are numbered between one sender and one receiver only");
		return 2;
	}
	ours_raise_limits();
	run = bench_new(&conf, false);
	start_sides(run, conf.n_cpus);
	for (int i = 0; i < 3; i++) /* opened, announced, drained */
		bench_release(run);
	return bench_finish_rate(run, opt_frame);
}
