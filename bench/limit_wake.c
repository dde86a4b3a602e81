/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit_wake.c - what does it cost to wake a process that sleeps, with nothing around it?
 *
 * Two processes and two eventfds. Without --interval they play ping-pong: write to the other's, poll
 * one's own, read it; a sample is one round trip. This is the limit for a round trip of one frame
 * between two ports whose owners block in poll. With --gap the sender sleeps before each, so that the
 * receiver's CPU is idle when the bell rings.
 *
 * With --spin they pass one word of memory to and fro and never sleep: the limit for two sides that
 * spin, and a sign of how far apart the two CPUs are just now. A virtual machine's CPUs can share a
 * core, a cache, or neither, and change places while it runs.
 *
 * With --interval one process sleeps to absolute points in time, notes the time and writes; the
 * other blocks in poll. A sample is the time from the write to its return from poll. This is the
 * scheduling latency that the one-packet-per-second test is held against.
 */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOST_MS	    3000 /* an eventfd that does not arrive within that time is lost */

#define SPIN_ROUNDS 64 /* in a sample, for one round is about as short as reading the clock */

static double opt_gap;
static double opt_interval;
static bool opt_spin;

static const struct bench_opt opts[] = {
	{"gap", BENCH_DOUBLE, &opt_gap, 0, 1, "seconds of sleep before each ping"},
	{"interval", BENCH_DOUBLE, &opt_interval, 0, 60,
		"seconds between one-way wake-ups; 0: ping-pong"},
	{"spin", BENCH_FLAG, &opt_spin, 0, 0, "pass a word of memory instead of eventfds"},
};

struct wake {
	int there;	  /* eventfd towards the receiver */
	int back;	  /* and towards the sender */
	uint64_t sent_ns; /* W: sender, before it writes to the eventfd, which orders it */
	struct bench_samples *samples;
	_Alignas(2 * BENCH_CACHE_LINE)
		uint32_t word; /* of --spin. W: sender while even, else receiver */
};

static int
ring_bell(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) == sizeof(one))
		return 0;
	bench_say("writing to an eventfd: %s", strerror(errno));
	return -EIO;
}

/* Return: 1 woken, 0 after @timeout_ms, or a negative errno. */
static int
await_bell(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;
	const int n = poll(&p, 1, timeout_ms);

	if (n == 0)
		return 0;
	if (n == 1 && read(fd, &count, sizeof(count)) == sizeof(count))
		return 1;
	bench_say("waiting for an eventfd: %s", strerror(errno));
	return -EIO;
}

static int
ping(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct wake *w = arg;
	int err;

	(void)stat; /* the samples are the result */
	bench_barrier(run);
	while (!bench_stop(run)) {
		uint64_t start;

		bench_gap(opt_gap);
		start = bench_now_ns();
		err = ring_bell(w->there);
		if (err != 0)
			return err;
		err = await_bell(w->back, LOST_MS);
		if (err != 1) {
			bench_say("no answer");
			return err != 0 ? err : -EIO;
		}
		bench_sample(w->samples, bench_now_ns() - start);
	}
	return 0;
}

static int
pong(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct wake *w = arg;
	int err;

	bench_barrier(run);
	while (!bench_stop(run)) {
		err = await_bell(w->there, 200);
		if (err < 0)
			return err;
		if (err == 1 && (err = ring_bell(w->back)) != 0)
			return err;
		bench_count(&stat->packets, 1);
	}
	/* The sender may have rung once more before it saw the stop flag. */
	return ring_bell(w->back);
}

/* Wait until the word is no longer @old. Return: false when the measurement is over. */
static bool
await_word(const struct bench_run *run, const struct wake *w, uint32_t old)
{
	while (__atomic_load_n(&w->word, __ATOMIC_ACQUIRE) == old) {
		if (bench_stop(run))
			return false;
	}
	return true;
}

static int
spin_ping(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct wake *w = arg;
	uint32_t word = 0;

	(void)stat; /* the samples are the result */
	bench_barrier(run);
	for (;;) {
		const uint64_t start = bench_now_ns();

		for (int i = 0; i < SPIN_ROUNDS; i++, word += 2) {
			__atomic_store_n(&w->word, word + 1, __ATOMIC_RELEASE);
			if (!await_word(run, w, word + 1))
				return 0;
		}
		bench_sample(w->samples, (bench_now_ns() - start) / SPIN_ROUNDS);
	}
}

static int
spin_pong(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct wake *w = arg;

	(void)stat;
	bench_barrier(run);
	for (uint32_t word = 0; await_word(run, w, word); word += 2)
		__atomic_store_n(&w->word, word + 2, __ATOMIC_RELEASE);
	return 0;
}

static int
paced_send(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct wake *w = arg;
	const uint64_t interval_ns = (uint64_t)(opt_interval * 1e9);
	uint64_t next = bench_now_ns();
	int err;

	bench_barrier(run);
	for (uint32_t i = 0; i < w->samples->n_rounds; i++) {
		next += interval_ns;
		bench_sleep_until(next);
		__atomic_store_n(&w->sent_ns, bench_now_ns(), __ATOMIC_RELAXED);
		err = ring_bell(w->there);
		if (err != 0)
			return err;
		bench_count(&stat->sent, 1);
	}
	return 0;
}

static int
paced_receive(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct wake *w = arg;

	bench_barrier(run);
	for (uint32_t i = 0; i < w->samples->n_rounds; i++) {
		const int err = await_bell(w->there, LOST_MS + (int)(opt_interval * 1000));
		const uint64_t now = bench_now_ns();

		if (err < 0)
			return err;
		if (err == 0)
			break;
		bench_sample(w->samples, now - __atomic_load_n(&w->sent_ns, __ATOMIC_RELAXED));
		bench_count(&stat->packets, 1);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct bench_conf conf = {.program = "limit_wake",
		.purpose = "Wakes a sleeping process by an eventfd.",
		.opts = opts,
		.n_opts = sizeof(opts) / sizeof(opts[0])};
	static const struct {
		bench_fn *sender;
		bench_fn *receiver;
	} fns[] = {{ping, pong}, {spin_ping, spin_pong}, {paced_send, paced_receive}};
	struct bench_run *run;
	struct wake *w;
	int mode;

	bench_parse(&conf, argc, argv);
	if (opt_interval > 0 && opt_spin) {
		bench_say("--spin and --interval exclude each other");
		return 2;
	}
	mode = opt_interval > 0 ? 2 : opt_spin;
	w = bench_shared(sizeof(*w));
	w->samples = bench_samples(&conf, opt_interval);
	w->there = eventfd(0, EFD_CLOEXEC);
	w->back = eventfd(0, EFD_CLOEXEC);
	if (w->there < 0 || w->back < 0) {
		bench_say("cannot make an eventfd: %s", strerror(errno));
		return 1;
	}
	run = bench_new(&conf, false);
	bench_side(run, "sender", 0, false, fns[mode].sender, w);
	bench_side(run, "receiver", 1, true, fns[mode].receiver, w);
	bench_release(run);
	return bench_finish_latency(run, w->samples);
}
