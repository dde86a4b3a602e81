/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit_handover.c - how fast can frames change hands between two CPUs, with no API around it?
 *
 * The producer fills slots that name a buffer, the consumer reads one word of each buffer and gives
 * the slot back. This is the limit for pipes, which hand buffers over as well. With --numbered the
 * producer writes that word before each hand-over, so that a cache line of every frame has to travel
 * too; without, frames stay as they are, as a packet generator leaves them.
 */
#include "limit_ring.h"

static uint32_t opt_frame = BENCH_MIN_FRAME;
static uint32_t opt_batch = 256;
static bool opt_numbered;
static bool opt_threads;

static const struct bench_opt opts[] = {
	{"frame", BENCH_U32, &opt_frame, BENCH_MIN_FRAME, BENCH_MAX_FRAME, "bytes of a frame"},
	{"batch", BENCH_U32, &opt_batch, 1, BENCH_RING_SLOTS / 2,
		"frames that are handed over at once"},
	{"numbered", BENCH_FLAG, &opt_numbered, 0, 0, "write a number into each frame"},
	{"threads", BENCH_FLAG, &opt_threads, 0, 0, "two threads instead of two processes"},
};

static int
produce(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct limit_ring *r = arg;
	uint32_t head = 0, tail = 0;
	uint64_t number = 0;

	bench_barrier(run);
	while (limit_wait_room(run, r, head, &tail, opt_batch)) {
		for (uint32_t i = 0; i < opt_batch; i++, head++) {
			const uint32_t idx = head % BENCH_RING_SLOTS;

			if (opt_numbered)
				bench_set_word(r->buf[idx], number++);
			*limit_slot(r, head) =
				(struct limit_slot){.buf_idx = idx, .len = (uint16_t)opt_frame};
		}
		limit_publish(r, head);
		bench_count(&stat->sent, opt_batch);
		bench_count(&stat->batches, 1);
		if (bench_stop(run))
			break;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct bench_conf conf = {.program = "limit_handover",
		.purpose = "Hands frames over a bare ring between two CPUs.",
		.opts = opts,
		.n_opts = sizeof(opts) / sizeof(opts[0])};
	struct limit_ring *ring;
	struct limit_rx rx;
	struct bench_run *run;

	bench_parse(&conf, argc, argv);
	ring = bench_shared(sizeof(*ring));
	for (int i = 0; i < BENCH_RING_SLOTS; i++)
		bench_frame(ring->buf[i], opt_frame, 2, 1, BENCH_WORD);
	rx = (struct limit_rx){.ring = ring, .batch = opt_batch, .numbered = opt_numbered};
	run = bench_new(&conf, opt_threads);
	bench_side(run, "sender", 0, false, produce, ring);
	bench_side(run, "receiver", 1, true, limit_consume, &rx);
	bench_release(run);
	return bench_finish_rate(run, opt_frame);
}
