/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ours_rtt.c - how long one frame takes through our pipes and VALE switches.
 *
 * Without --interval one frame goes there and back; a sample is one round trip. Both sides block in
 * poll, which sends, sleeps and receives in one call; with --spin both sync by ioctl until the frame
 * is there. A poll that looks a little longer before it sleeps is faster than any wake-up: with --gap the
 * sender pauses before each frame, long enough for the receiver to be asleep when it comes.
 *
 * With --interval one frame leaves at each of a series of absolute points in time, with the time
 * written in it, and the receiver blocks in poll for as long as it takes: nothing else happens on
 * the port that could make up for a lost wake-up. A sample is the time until the receiver has the
 * frame in hand.
 */
#include "ours_port.h"

#include <errno.h>
#include <poll.h>

#define LOST_MS 3000 /* a frame that does not arrive within that time is lost */

static const char *opt_kind = "vale";
static uint32_t opt_frame = BENCH_MIN_FRAME;
static double opt_gap;
static double opt_interval;
static bool opt_spin;
static enum ours_kind kind;

static const struct bench_opt opts[] = {
	{"kind", BENCH_STRING, &opt_kind, 0, 0, "vale or pipe (default vale)"},
	{"frame", BENCH_U32, &opt_frame, BENCH_MIN_FRAME, BENCH_MAX_FRAME, "bytes of a frame"},
	{"gap", BENCH_DOUBLE, &opt_gap, 0, 1, "seconds of sleep before each ping"},
	{"interval", BENCH_DOUBLE, &opt_interval, 0, 60,
		"seconds between one-way frames; 0: ping-pong"},
	{"spin", BENCH_FLAG, &opt_spin, 0, 0, "sync by ioctl all the time instead of poll"},
};

struct rtt {
	struct bench_samples *samples;
	uint32_t
		done; /* W: the side that times, at its end: the other's frames are not needed any more */
};

static void
set_done(struct rtt *rtt)
{
	__atomic_store_n(&rtt->done, 1, __ATOMIC_RELAXED);
}

static bool
is_done(const struct rtt *rtt)
{
	return __atomic_load_n(&rtt->done, __ATOMIC_RELAXED) != 0;
}

/* Put one frame into the transmit ring; the caller syncs. Return: 0 or -ENOSPC. */
static int
put_frame(struct nmport_d *d, uint64_t word)
{
	struct netmap_ring *ring = ours_tx(d);
	struct netmap_slot *slot = &ring->slot[ring->head];

	if (nm_ring_space(ring) == 0) {
		bench_say("the transmit ring is full");
		return -ENOSPC;
	}
	bench_set_word(NETMAP_BUF(ring, slot->buf_idx), word);
	slot->len = (uint16_t)opt_frame;
	slot->flags = 0;
	ring->head = ring->cur = nm_ring_next(ring, ring->head);
	return 0;
}

/* Take one frame out of the receive ring. Return: false when there is none. */
static bool
take_frame(struct nmport_d *d, uint64_t *word)
{
	struct netmap_ring *ring = ours_rx(d);

	if (nm_ring_space(ring) == 0)
		return false;
	*word = bench_word(NETMAP_BUF(ring, ring->slot[ring->head].buf_idx));
	ring->head = ring->cur = nm_ring_next(ring, ring->head);
	return true;
}

/*
 * Send what is in the transmit ring and wait for a frame.
 * Return: 1 got it, 0 after @timeout_ms, or a negative errno.
 */
static int
await_frame(struct nmport_d *d, int timeout_ms, uint64_t *word)
{
	const uint64_t limit = bench_now_ns() + (uint64_t)timeout_ms * 1000000;
	struct pollfd p = {.fd = d->fd, .events = POLLIN};
	int err;

	if (opt_spin && (err = ours_sync(d, NIOCTXSYNC)) != 0)
		return err;
	do {
		err = opt_spin ? ours_sync(d, NIOCRXSYNC) : ours_wait(&p, 1, timeout_ms);
		if (err < 0)
			return err;
		if (take_frame(d, word))
			return 1;
	} while (bench_now_ns() < limit);
	return 0;
}

/* Open, announce, and write every transmit buffer: the steps of a side before the start. */
static struct nmport_d *
prepare(struct bench_run *run, char role, uint32_t own, uint32_t peer)
{
	struct nmport_d *d = ours_open(kind, role, 0, 0);
	struct netmap_ring *ring;
	int err = 0;

	if (d == NULL)
		return NULL;
	bench_barrier(run);
	if (kind == OURS_VALE)
		err = ours_announce(d, own);
	bench_barrier(run);
	if (err == 0)
		err = ours_drain(d);
	ring = ours_tx(d);
	/* The slave end of a pipe has its buffers in its own transmit ring too. */
	for (uint32_t i = 0; i < ring->num_slots; i++)
		bench_frame(NETMAP_BUF(ring, ring->slot[i].buf_idx), opt_frame, peer, own, 0);
	bench_barrier(run);
	if (err == 0)
		return d;
	nmport_close(d);
	return NULL;
}

static int
ping(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct nmport_d *d = prepare(run, 's', OURS_SENDER, OURS_RECEIVER);
	struct rtt *rtt = arg;
	uint64_t number = 0, word = 0;
	int err = d == NULL ? -EIO : 0;

	while (err == 0 && !bench_stop(run)) {
		uint64_t start;

		bench_gap(opt_gap);
		start = bench_now_ns();
		err = put_frame(d, ++number);
		if (err != 0)
			break;
		err = await_frame(d, LOST_MS, &word);
		if (err == 1 && word == number) {
			err = 0;
			bench_sample(rtt->samples, bench_now_ns() - start);
		} else if (err >= 0) {
			bench_say(err == 0 ? "frame %llu did not come back"
					   : "something else came back than frame %llu",
				(unsigned long long)number);
			err = -EIO;
		}
	}
	/* One more, which nobody times, wakes the other side to see that this is the end. */
	set_done(rtt);
	if (err == 0 && (err = put_frame(d, 0)) == 0)
		err = ours_sync(d, NIOCTXSYNC);
	stat->sent = number;
	nmport_close(d);
	return err;
}

static int
pong(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct nmport_d *d = prepare(run, 'r', OURS_RECEIVER, OURS_SENDER);
	const struct rtt *rtt = arg;
	uint64_t word = 0;
	int err = d == NULL ? -EIO : 0;

	while (err == 0 && !is_done(rtt)) {
		err = await_frame(d, LOST_MS, &word);
		if (err == 1) {
			bench_count(&stat->packets, 1);
			err = put_frame(d, word);
		}
	}
	nmport_close(d);
	return err;
}

static int
paced_send(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct nmport_d *d = prepare(run, 's', OURS_SENDER, OURS_RECEIVER);
	const struct rtt *rtt = arg;
	const uint64_t interval_ns = (uint64_t)(opt_interval * 1e9);
	uint64_t next = bench_now_ns();
	int err = d == NULL ? -EIO : 0;

	for (uint32_t i = 0; err == 0 && i < rtt->samples->n_rounds; i++) {
		next += interval_ns;
		bench_sleep_until(next);
		err = put_frame(d, bench_now_ns());
		if (err == 0)
			err = ours_sync(d, NIOCTXSYNC);
		bench_count(&stat->sent, 1);
	}
	/* Stay, so that closing the port does not become the wake-up for the last frame. */
	while (err == 0 && !is_done(rtt))
		bench_sleep_until(bench_now_ns() + 10000000);
	nmport_close(d);
	return err;
}

static int
paced_receive(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct nmport_d *d = prepare(run, 'r', OURS_RECEIVER, OURS_SENDER);
	struct rtt *rtt = arg;
	int err = d == NULL ? -EIO : 0;

	for (uint32_t i = 0; err == 0 && i < rtt->samples->n_rounds; i++) {
		uint64_t sent_ns = 0;

		err = await_frame(d, LOST_MS + (int)(opt_interval * 1000), &sent_ns);
		if (err != 1) /* a lost frame stays lost: what is missing in the end is counted */
			break;
		err = 0;
		bench_sample(rtt->samples, bench_now_ns() - sent_ns);
		bench_count(&stat->packets, 1);
	}
	set_done(rtt);
	nmport_close(d);
	return err;
}

int
main(int argc, char **argv)
{
	struct bench_conf conf = {.program = "ours_rtt",
		.purpose = "Times single frames through a pipe or a VALE switch.",
		.opts = opts,
		.n_opts = sizeof(opts) / sizeof(opts[0])};
	struct bench_run *run;
	struct rtt *rtt;
	bool paced;

	bench_parse(&conf, argc, argv);
	kind = ours_kind(opt_kind);
	paced = opt_interval > 0;
	rtt = bench_shared(sizeof(*rtt));
	rtt->samples = bench_samples(&conf, opt_interval);
	run = bench_new(&conf, false);
	bench_side(run, "sender", 0, false, paced ? paced_send : ping, rtt);
	bench_side(run, "receiver", 1, true, paced ? paced_receive : pong, rtt);
	for (int i = 0; i < 3; i++) /* opened, announced, drained */
		bench_release(run);
	return bench_finish_latency(run, rtt->samples);
}
