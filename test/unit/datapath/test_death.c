/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client is killed at any instruction of a sync.
 *
 * A child runs the sync one machine instruction at a time (ptrace). Whenever an instruction has changed the shared
 * memory, the parent takes a copy of that memory, acts as if the child had just died (netmapd breaks its locks, others
 * go on, somebody else continues with the same binding), checks that nothing is torn, lost or stuck, and puts
 * the memory back for the next step. So every state that a death can leave behind is seen, once.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors.h"
#include "ring/kring.h"

#define SKIP	    77
#define CHILD_SLOT  9u
#define PARENT_SLOT 10u
#define N_BUFS	    400u
#define BUF_SIZE    512u
#define SLOTS	    16u
#define MAX_PARTS   8

static struct fake_domain *d;
static struct unm_bport *port[6];
static const char *scenario;

/* Shared memory: where it is, and its copy. */
static struct part {
	void *start;
	size_t len;
	uint8_t *copy;
} parts[MAX_PARTS];
static unsigned int n_parts;

static void
part_add(void *start, size_t len)
{
	CHECK(n_parts < MAX_PARTS);
	parts[n_parts].start = start;
	parts[n_parts].len = len;
	parts[n_parts].copy = malloc(len);
	CHECK(parts[n_parts].copy != NULL);
	n_parts++;
}

static void
parts_of_domain(void)
{
	struct fake_region *r = &d->regions[0];
	const struct unm_region_info *ri = &r->region.info;

	part_add(d->seg.hdr, sizeof(*d->seg.hdr));
	if (d->seg.fdb != NULL)
		part_add(d->seg.fdb, d->seg.n_fdb_buckets * sizeof(*d->seg.fdb));
	part_add(d->seg.ports, d->n_ports * sizeof(*d->seg.ports));
	part_add(d->seg.bindings, d->n_bindings * sizeof(*d->seg.bindings));
	part_add(d->seg.krings, d->kring_top * sizeof(*d->seg.krings));
	part_add(r->region.base + ri->ring_ofs, r->ring_top - ri->ring_ofs);
	part_add(r->region.base + ri->buf_ofs, (size_t)r->buf_top * ri->buf_size);
}

static void
parts_save(void)
{
	unsigned int i;

	for (i = 0; i < n_parts; i++)
		memcpy(parts[i].copy, parts[i].start, parts[i].len);
}

static void
parts_restore(void)
{
	unsigned int i;

	for (i = 0; i < n_parts; i++)
		memcpy(parts[i].start, parts[i].copy, parts[i].len);
}

static bool
parts_changed(void)
{
	unsigned int i;

	for (i = 0; i < n_parts; i++)
		if (memcmp(parts[i].copy, parts[i].start, parts[i].len) != 0)
			return true;
	return false;
}

static void
parts_free(void)
{
	while (n_parts > 0)
		free(parts[--n_parts].copy);
}

/* What every scenario checks first: the locks of the dead come free, and no others are held. */
static void
bury(void)
{
	uint32_t i;

	fake_monitors_repair(d);
	CHECK(fake_client_died(d, CHILD_SLOT) <= 3);
	for (i = 0; i < d->kring_top; i++) {
		CHECK(d->seg.krings[i].busy == 0);
		CHECK(d->seg.krings[i].lock == 0);
	}
}

static void
sync_tx(struct unm_bport *bp)
{
	CHECK(unm_bport_txsync(bp) == 0);
	CHECK(bp->tx[0].kring->n_reinits == 0);
}

static void
sync_rx(struct unm_bport *bp)
{
	CHECK(unm_bport_rxsync(bp) == 0);
	CHECK(bp->rx[0].kring->n_reinits == 0);
}

/* Run @op in a child step by step; @check in between and after its end. */
static void
at_every_step(void (*op)(void), void (*check)(void))
{
	unsigned int n_steps = 0, n_states = 0;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		fake_slot = CHILD_SLOT;
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(SKIP);
		raise(SIGSTOP);
		op();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP) {
		printf("may not trace a child of our own here\n");
		exit(SKIP);
	}
	parts_of_domain();
	parts_save();
	while (WIFSTOPPED(status)) {
		if (parts_changed() || n_steps == 0) {
			parts_save();
			check();
			parts_restore();
			n_states++;
		}
		CHECK(n_steps++ < 3000000);
		CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(!WIFSTOPPED(status) || WSTOPSIG(status) == SIGTRAP);
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	check();
	parts_free();
	printf("%s: %u instructions, %u states of the shared memory\n", scenario, n_steps,
		n_states);
	CHECK(n_states > 1);
}

static uint64_t pipe_seq;	   /* next to be sent */
static uint64_t pipe_due;	   /* next to be received */
static uint8_t pipe_taken[N_BUFS]; /* buffers that the receiver keeps */
static uint32_t pipe_spare;	   /* its next one to give for another */

static void
pipe_setup(const char *name)
{
	const struct fake_geometry g = {
		.kind = UNM_PORT_PIPE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};
	uint32_t i;

	scenario = name;
	d = fake_domain_new(UNM_SEG_DOMAIN, N_BUFS, BUF_SIZE);
	for (i = 0; i < 2; i++)
		fake_port_add(d, &g);
	fake_pipe_join(d, 0, 1);
	for (i = 0; i < 2; i++)
		port[i] = fake_port_open(d, i);
	pipe_seq = pipe_due = 0;
	memset(pipe_taken, 0, sizeof(pipe_taken));
	pipe_spare = d->regions[0].buf_top;
	d->regions[0].buf_top += 8;
}

static void
teardown(uint32_t n_ports)
{
	uint32_t i;

	for (i = 0; i < n_ports; i++)
		unm_bport_close(port[i]);
	fake_domain_free(d);
}

static void
pipe_put(uint32_t n, uint16_t flags)
{
	struct unm_bring *tx = &port[0]->tx[0];

	for (; n > 0; n--) {
		const uint32_t at = tx->ring->head;

		traffic_fill(ring_buf(tx, at), 60, 0, 0, 0, pipe_seq++);
		tx->ring->slot[at].len = 60;
		tx->ring->slot[at].flags = n > 1 ? NS_MOREFRAG : flags;
		ring_advance(tx, 1);
	}
}

/* Receive all and give it back. */
static void
pipe_take(uint64_t *due)
{
	struct unm_bring *rx = &port[1]->rx[0];
	struct flows f = {{*due}};

	sync_rx(port[1]);
	for (; ring_space(rx) > 0; ring_advance(rx, 1))
		flows_check(&f, rx, true);
	*due = f.next[0];
	sync_rx(port[1]);
}

/* The receiver has read the packet at its head, keeps the buffer, and gives another one back for it. */
static void
pipe_take_and_swap(void)
{
	struct unm_bring *rx = &port[1]->rx[0];
	struct netmap_slot *slot = &rx->ring->slot[rx->ring->head];
	struct flows f = {{pipe_due}};

	flows_check(&f, rx, true);
	pipe_due = f.next[0];
	pipe_taken[slot->buf_idx] = 1;
	slot->buf_idx = pipe_spare++;
	ring_advance(rx, 1);
}

/* Whoever died: all that was accepted arrives once and in order, buffers are all there, and it goes on. */
static void
pipe_check(void)
{
	const uint64_t seq = pipe_seq;
	uint64_t due = pipe_due;
	uint8_t seen[N_BUFS] = {0};
	uint32_t i, round;

	bury();
	for (round = 0; round < 3; round++) {
		pipe_take(&due);
		sync_tx(port[0]);
		pipe_take(&due);
		CHECK(due == pipe_seq);
		sync_tx(port[0]);
		CHECK(ring_space(&port[0]->tx[0]) == SLOTS - 1);
		pipe_put(1 + round, 0);
	}
	for (i = 0; i < SLOTS; i++) {
		const uint32_t idx = port[0]->tx[0].ring->slot[i].buf_idx;

		CHECK(idx >= 2 && idx < N_BUFS && seen[idx]++ == 0 && !pipe_taken[idx]);
	}
	for (i = 0; i < 2; i++)
		fake_signals(d, i);
	pipe_seq = seq;
}

static void
pipe_tx_op(void)
{
	unm_bport_txsync(port[0]);
}

static void
pipe_rx_op(void)
{
	unm_bport_rxsync(port[1]);
}

static void
pipe_poll_op(void)
{
	unm_bport_arm(port[1], POLLIN);
	unm_bport_poll(port[1], POLLIN);
}

/* The sender dies: with packets of several slots, and with other buffers to take back. */
static void
pipe_sender(void)
{
	uint32_t i;

	pipe_setup("pipe, sender");
	pipe_put(1, 0);
	pipe_put(3, 0);
	pipe_put(1, 0);
	sync_tx(port[0]);
	sync_rx(port[1]);
	for (i = 0; i < 5; i++)
		pipe_take_and_swap();
	sync_rx(port[1]);
	pipe_put(2, 0);
	pipe_put(6, 0); /* more than a line */
	pipe_put(1, 0);
	unm_bport_arm(port[1], POLLIN);
	at_every_step(pipe_tx_op, pipe_check);
	teardown(2);
}

/* The receiver dies while it gives back slots, with other buffers in them. */
static void
pipe_receiver(void)
{
	uint32_t i;

	pipe_setup("pipe, receiver");
	for (i = 0; i < 9; i++)
		pipe_put(1, 0);
	sync_tx(port[0]);
	sync_rx(port[1]);
	for (i = 0; i < 5; i++)
		pipe_take_and_swap();
	unm_bport_arm(port[0], POLLOUT);
	at_every_step(pipe_rx_op, pipe_check);
	teardown(2);
}

/* The receiver dies on its way to sleep. */
static void
pipe_sleeper(void)
{
	pipe_setup("pipe, sleeper");
	pipe_put(2, 0);
	sync_tx(port[0]);
	at_every_step(pipe_poll_op, pipe_check);
	teardown(2);
}

/* --- pipes with monitors: 2 copies from port 0, 3 and 4 take the buffers of port 0 and of port 1 --- */

static void
watched_setup(const char *name)
{
	const uint32_t zcopy = UNM_MONF_TX | UNM_MONF_RX | UNM_MONF_ZCOPY;
	uint32_t i;

	pipe_setup(name);
	fake_monitor_add(d, 0, UNM_MONF_TX | UNM_MONF_RX, 1, SLOTS, 0);
	fake_monitor_add(d, 0, zcopy, 1, SLOTS, 0);
	fake_monitor_add(d, 1, zcopy, 1, SLOTS, 0);
	for (i = 2; i < 5; i++)
		port[i] = fake_port_open(d, i);
}

/* The buffers that netmapd would take back now are those that it has given: see pipe_merge() in daemon/rings.c. */
static void
watched_buffers(void)
{
	const struct unm_kring *tx = port[0]->tx[0].kring, *rx = port[1]->rx[0].kring;
	uint8_t seen[N_BUFS] = {0};
	uint32_t p, i;

	for (i = 0; i < 5; i++) {
		const struct unm_bring *r = i < 2 ? &port[i]->tx[0] : &port[i]->rx[0];

		for (p = 0; p < SLOTS; p++) {
			const uint32_t oldest = unm_pos_next(tx->pub_tail, SLOTS);
			const bool lent = i == 0 && unm_pos_dist(oldest, p, SLOTS) <
							    unm_pos_dist(oldest, rx->hwtail, SLOTS);
			const uint32_t idx = (lent ? &port[1]->rx[0] : r)->ring->slot[p].buf_idx;

			CHECK(idx >= 2 && idx < N_BUFS && seen[idx]++ == 0 && !pipe_taken[idx]);
		}
	}
}

/* What a monitor has is whole and in order; there may be gaps, as the dead one may have shown less, and repetitions. */
static void
watched_take(struct unm_bport *bp)
{
	struct unm_bring *rx = &bp->rx[0];

	sync_rx(bp);
	for (; ring_space(rx) > 0; ring_advance(rx, 1)) {
		const struct netmap_slot *s = &rx->ring->slot[rx->ring->head];
		uint32_t flow;
		uint64_t seq;

		CHECK(traffic_check(ring_buf(rx, rx->ring->head), s->len, &flow, &seq));
		CHECK(seq < pipe_seq + 16);
	}
	sync_rx(bp);
}

static void
watched_check(void)
{
	uint32_t i;

	bury();
	watched_buffers();
	watched_take(port[2]);
	pipe_check();
	watched_buffers();
	for (i = 2; i < 5; i++)
		CHECK(port[i]->rx[0].kring->swap.is_open == 0);
}

static void
watched_sender(void)
{
	uint32_t i;

	watched_setup("watched pipe, sender");
	for (i = 0; i < 6; i++)
		pipe_put(1, 0);
	sync_tx(port[0]);
	sync_rx(port[1]);
	for (i = 0; i < 4; i++)
		pipe_take_and_swap();
	sync_rx(port[1]);
	pipe_put(2, 0);
	pipe_put(1, 0);
	unm_bport_arm(port[2], POLLIN);
	unm_bport_arm(port[3], POLLIN);
	at_every_step(pipe_tx_op, watched_check);
	teardown(5);
}

static void
watched_receiver(void)
{
	uint32_t i;

	watched_setup("watched pipe, receiver");
	for (i = 0; i < 9; i++)
		pipe_put(1, 0);
	sync_tx(port[0]);
	sync_rx(port[1]);
	for (i = 0; i < 5; i++)
		pipe_take_and_swap();
	unm_bport_arm(port[4], POLLIN);
	at_every_step(pipe_rx_op, watched_check);
	teardown(5);
}

static uint32_t vale_seq;    /* number of the next frame, below 32 */
static uint32_t vale_due[4]; /* frames for each receiver: a bit for each number */

static void
vale_put(uint32_t to)
{
	uint32_t p;

	for (p = 1; p < 4; p++)
		if (to == p || to == UNM_NONE || to == 3) /* 3 is not known */
			vale_due[p] |= 1u << vale_seq;
	ring_send_frame(&port[0]->tx[0], TRAFFIC_MIN_LEN + vale_seq * 7, to, 0, 0, vale_seq);
	vale_seq++;
}

/* Port 2 has @flags. */
static void
vale_setup(const char *name, uint32_t flags)
{
	uint32_t i;

	scenario = name;
	vale_seq = 0;
	memset(vale_due, 0, sizeof(vale_due));
	d = fake_domain_new(UNM_SEG_VALE, N_BUFS, BUF_SIZE);
	d->seg.hdr->max_ageing_s = 300;
	for (i = 0; i < 4; i++) {
		struct fake_geometry g = {
			.kind = UNM_PORT_VALE, .n_tx = 1, .n_rx = 1, .slots = SLOTS};

		g.flags = i == 2 ? flags : 0;
		fake_port_add(d, &g);
		port[i] = fake_port_open(d, i);
	}
	for (i = 0; i < 3; i++) { /* the switch learns all but 3 */
		ring_send_frame(&port[i]->tx[0], 60, i, i, 0, 0);
		sync_tx(port[i]);
	}
}

/* Add what is in the ring of @p to *got: whole frames that are its own, in order. */
static void
vale_take(uint32_t p, uint32_t *got)
{
	struct unm_bring *rx = &port[p]->rx[0];

	sync_rx(port[p]);
	for (; ring_space(rx) > 0; ring_advance(rx, 1)) {
		const uint32_t at = rx->ring->head;
		uint32_t flow;
		uint64_t seq;

		CHECK(traffic_check(ring_buf(rx, at), rx->ring->slot[at].len, &flow, &seq));
		CHECK(seq < 32 && (vale_due[p] >> seq & 1) != 0);
		CHECK(*got >> seq == 0);
		*got |= 1u << seq;
	}
	sync_rx(port[p]);
}

/*
 * Whoever died: what has arrived has no gap, who goes on with the binding sends the rest (and perhaps once more what had
 * arrived already: the dead one had not said that it was done), and traffic goes on.
 */
static void
vale_check(void)
{
	const uint32_t seq = vale_seq, due[4] = {0, vale_due[1], vale_due[2], vale_due[3]};
	uint32_t before[4] = {0}, after[4] = {0}, p, round;

	bury();
	for (p = 1; p < 4; p++) {
		vale_take(p, &before[p]);
		CHECK(before[p] == 0 ||
			(due[p] & (UINT32_MAX >> __builtin_clz(before[p]))) == before[p]);
	}
	for (round = 0; round < 4; round++) { /* a lossless receiver takes more than one */
		sync_tx(port[0]);
		for (p = 1; p < 4; p++)
			vale_take(p, &after[p]);
	}
	CHECK(ring_space(&port[0]->tx[0]) == SLOTS - 1);
	for (p = 1; p < 4; p++)
		CHECK((before[p] | after[p]) == due[p]);
	vale_put(UNM_NONE);
	sync_tx(port[0]);
	for (p = 1; p < 4; p++) {
		vale_take(p, &after[p]);
		CHECK(after[p] >> seq == 1);
		vale_due[p] = due[p];
	}
	for (p = 0; p < 4; p++)
		fake_signals(d, p);
	vale_seq = seq;
}

static void
vale_tx_op(void)
{
	unm_bport_txsync(port[0]);
}

static void
vale_burst(void)
{
	vale_put(1);
	vale_put(UNM_NONE);
	vale_put(2);
	vale_put(1);
	vale_put(3);
	vale_put(2);
}

static void
vale_sender(void)
{
	vale_setup("VALE, sender", 0);
	vale_burst();
	unm_bport_arm(port[1], POLLIN);
	at_every_step(vale_tx_op, vale_check);
	teardown(4);
}

/*
 * A receiver's lock is with another dead client: the sender waits for it, and dies as well. If it has given up before,
 * it has dropped the frame.
 */
static void
vale_check_stuck(void)
{
	const struct unm_bring *tx = &port[0]->tx[0];
	const uint32_t due = vale_due[1];

	fake_client_died(d, 77);
	if (tx->kring->hwcur == tx->ring->head)
		vale_due[1] = 0;
	vale_check();
	vale_due[1] = due;
}

static void
vale_waiter(void)
{
	vale_setup("VALE, waiting for a lock", 0);
	vale_put(1);
	port[1]->rx[0].kring->lock = 77;
	at_every_step(vale_tx_op, vale_check_stuck);
	teardown(4);
}

static void
vale_lossless(void)
{
	uint32_t i;

	vale_setup("VALE, lossless", UNM_PORTF_LOSSLESS);
	for (i = 0; i < SLOTS - 2; i++)
		vale_put(2);
	sync_tx(port[0]);
	vale_burst(); /* stops at the second frame for 2 */
	at_every_step(vale_tx_op, vale_check);
	teardown(4);
}

static void
vale_rx_op(void)
{
	unm_bport_rxsync(port[2]);
}

static void
vale_receiver(void)
{
	struct unm_bring *rx;
	uint32_t i;

	vale_setup("VALE, lossless receiver", UNM_PORTF_LOSSLESS);
	for (i = 0; i < SLOTS - 1; i++)
		vale_put(2);
	sync_tx(port[0]);
	vale_put(2);
	sync_tx(port[0]);
	sync_rx(port[2]);
	rx = &port[2]->rx[0];
	ring_advance(rx, 5);
	vale_due[2] &= ~0x1fu; /* consumed */
	unm_bport_arm(port[0], POLLOUT);
	at_every_step(vale_rx_op, vale_check);
	teardown(4);
}

int
main(void)
{
	fake_slot = PARENT_SLOT;
	pipe_sender();
	pipe_receiver();
	pipe_sleeper();
	watched_sender();
	watched_receiver();
	vale_sender();
	vale_waiter();
	vale_lossless();
	vale_receiver();
	return 0;
}
