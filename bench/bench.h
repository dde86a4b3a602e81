/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.h - what every measuring program of this directory shares.
 *
 * A measurement has two or more sides (a sender and a receiver, say). Each side is a process of its
 * own, or a thread where a program asks for that, pinned to one CPU. The sides meet at barriers
 * while they set up, then run until the main process raises a stop flag. They count packets in
 * memory that they share with the main process, which itself only sleeps:
 *
 *   main   fork sides | barriers | warm-up | read counters | seconds | read counters | stop | join
 *   sides             | open     | run ------------------------------------------------> |
 *
 * So the figures describe a window in the middle of a steady run: neither start-up nor the last
 * batch is in them. CPU seconds are those that each side used within the same window.
 *
 * A program prints one line of JSON on success. On failure it prints one line on stderr that says
 * why, and ends with 1, or with BENCH_SKIP when this machine cannot run the measurement at all.
 *
 * Thread: the functions are for the main process unless their comment names the sides.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_SKIP	 77   /* exit status: cannot be measured here, stderr says why */
#define BENCH_MAX_SIDES	 128  /* 64 receivers and some senders */
#define BENCH_MAX_CPUS	 8    /* CPUs that --cpus can name */
#define BENCH_BUF_SIZE	 2048 /* netmap's default buffer */
#define BENCH_RING_SLOTS 1024 /* netmap's default ring */
#define BENCH_MIN_FRAME	 60   /* Ethernet's shortest frame, without its checksum */
#define BENCH_MAX_FRAME	 1514
#define BENCH_WORD_OFS	 16 /* the word of a frame that receivers read; in its first cache line */
#define BENCH_CACHE_LINE 64

/* ---- options ------------------------------------------------------------------------------- */

enum bench_opt_type { BENCH_U32, BENCH_DOUBLE, BENCH_STRING, BENCH_FLAG, BENCH_CPUS };

/**
 * struct bench_opt - one long option of a program
 * @name:  without the leading dashes
 * @type:  how the value is read; a flag has none
 * @value: uint32_t, double, const char * or bool; unused for BENCH_CPUS
 * @min, @max: inclusive range of a number
 * @help:  one line
 */
struct bench_opt {
	const char *name;
	enum bench_opt_type type;
	void *value;
	double min;
	double max;
	const char *help;
};

/* What all programs have in common; --seconds, --warm-up and --cpus are read into it. */
struct bench_conf {
	const char *program; /* borrowed, static */
	const char *purpose; /* one line for --help */
	const struct bench_opt *opts;
	int n_opts;
	double seconds;
	double warm_up;
	uint32_t n_cpus;
	uint32_t cpus[BENCH_MAX_CPUS];
};

/**
 * bench_parse() - read the command line into @conf and the values of its options
 * @conf: @program, @purpose, @opts and @n_opts are filled in; the rest gets its defaults here
 *
 * Ends the process: with 0 after --help, with 2 and a message naming the option on a mistake.
 */
void bench_parse(struct bench_conf *conf, int argc, char **argv);

/* The opening of the JSON line: program and options, with the outer object left open. */
void bench_print_options(const struct bench_conf *conf);

/* ---- sides --------------------------------------------------------------------------------- */

/* One side's figures, in memory shared with the main process. */
struct bench_stat {
	_Alignas(2 * BENCH_CACHE_LINE) uint64_t packets; /* W: the side; counted as throughput */
	uint64_t sent;					 /* W: the side; frames it sent */
	uint64_t batches;				 /* W: the side; syncs that moved frames */
	uint64_t errors;      /* W: the side; wrong or reordered frames */
	double user_s, sys_s; /* W: the side, at its end */
	uint64_t switches;    /* W: the side; times it slept */
	int status;	      /* W: the side; result of its function */
};

struct bench_run;

/**
 * typedef bench_fn - the body of a side
 * @run: for bench_barrier() and bench_stop()
 * @stat: this side's own
 * @arg: as given to bench_side()
 *
 * Runs on the side's CPU. Must call bench_barrier() as often as the main process calls
 * bench_release(), and return soon after bench_stop() turns true.
 * Return: 0 or a negative errno, after bench_say(). Then the whole measurement fails.
 */
typedef int bench_fn(struct bench_run *run, struct bench_stat *stat, void *arg);

/**
 * bench_new() - prepare a measurement without sides
 * @threads: sides become threads of this process, else processes of their own
 *
 * Return: never NULL; ends the process with a message when there is no memory. One of the
 * bench_finish_*() functions frees it.
 */
struct bench_run *bench_new(const struct bench_conf *conf, bool threads);

/**
 * bench_side() - start one more side; it runs up to its first barrier
 * @name: for messages and JSON; borrowed
 * @cpu:  pinned to conf->cpus[cpu], counted modulo n_cpus
 * @counted: its packets make up the throughput (a receiver)
 */
void bench_side(struct bench_run *run, const char *name, uint32_t cpu, bool counted, bench_fn *fn,
	void *arg);

/* For the sides: wait until the main process releases the barrier. */
void bench_barrier(struct bench_run *run);

/* For the sides: true once the measurement is over. Cheap: one load of a line that nobody writes. */
bool bench_stop(const struct bench_run *run);

/**
 * bench_release() - wait for all sides to be at the barrier, then let them go on
 *
 * Ends the process with status 1 when a side has failed or does not come within 30 s.
 */
void bench_release(struct bench_run *run);

/**
 * bench_finish_rate() - warm up, measure for conf->seconds, stop and join all sides, print, free @run
 * @frame: bytes of a frame, for Gbit/s (without preamble, gap and checksum)
 *
 * Prints nothing when a side failed, nothing was received or a side has counted an error: then
 * there is no figure worth printing, and stderr says what happened.
 * Return: the program's exit status.
 */
int bench_finish_rate(struct bench_run *run, uint32_t frame);

/* What a latency measurement collects; from bench_samples(), so that sides can write it. */
struct bench_samples {
	uint32_t n_rounds; /* of a paced run, one sample each; 0: as many as the window allows */
	uint32_t n;	   /* W: the side that times */
	uint64_t ns[1u << 20];
};

/**
 * bench_samples() - prepare a latency measurement
 * @interval: seconds from one sample to the next, or 0 to go as fast as it can
 */
struct bench_samples *bench_samples(const struct bench_conf *conf, double interval);

/* For the side that times: one more sample, unless there are too many. */
static inline void
bench_sample(struct bench_samples *s, uint64_t ns)
{
	if (s->n < sizeof(s->ns) / sizeof(s->ns[0]))
		s->ns[s->n++] = ns;
}

/**
 * bench_finish_latency() - run the sides, join them, print the JSON line and free @run
 *
 * The sides of a paced run end by themselves; what they did not time until then is lost.
 * Return: the program's exit status.
 */
int bench_finish_latency(struct bench_run *run, struct bench_samples *s);

/* ---- small helpers ------------------------------------------------------------------------- */

extern const char *bench_program; /* W: bench_parse(); for messages */

/* One line on stderr, with the program's name and, in a side, the side's. */
void bench_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Say that @what failed for @name, and why by errno. Return: -errno. */
int bench_failed(const char *what, const char *name);

/* CLOCK_MONOTONIC in ns. Any thread. */
uint64_t bench_now_ns(void);

/* Sleep until CLOCK_MONOTONIC is @ns. Any thread. */
void bench_sleep_until(uint64_t ns);

/* Sleep for @seconds, or go on at once if that is 0. Any thread. */
void bench_gap(double seconds);

/* Memory shared by all sides started afterwards, zeroed, on page boundaries. Ends the process with
 * a message when there is none. Lives as long as the process. */
void *bench_shared(size_t size);

/**
 * bench_frame() - write a valid Ethernet frame of @len bytes
 * @dst, @src: port numbers, made into locally administered unicast addresses; BENCH_BROADCAST too
 * @word: stored at BENCH_WORD_OFS
 */
void bench_frame(void *buf, uint32_t len, uint32_t dst, uint32_t src, uint64_t word);
#define BENCH_BROADCAST UINT32_MAX

/* The word of a frame that a receiver reads, in the sender's byte order. */
static inline uint64_t
bench_word(const void *buf)
{
	uint64_t word;

	__builtin_memcpy(&word, (const char *)buf + BENCH_WORD_OFS, sizeof(word));
	return word;
}

static inline void
bench_set_word(void *buf, uint64_t word)
{
	__builtin_memcpy((char *)buf + BENCH_WORD_OFS, &word, sizeof(word));
}

/* Tell the CPU that this loop spins. */
static inline void
bench_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

/* Publish a counter that the main process samples. It orders nothing: a figure, not a message. */
static inline void
bench_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* Every word that senders put into frames, unless they number them. */
#define BENCH_WORD UINT64_C(0x6e6574206d617021)

/**
 * struct bench_check - how a receiver tells that what it got is what was sent
 * @numbered: senders number their frames; else every frame carries BENCH_WORD
 * @sum, @n:  of constant words: n * BENCH_WORD must be the sum
 * @next:     smallest number that may come next; gaps are drops, going back is an error
 */
struct bench_check {
	bool numbered;
	uint64_t sum;
	uint64_t n;
	uint64_t next;
	uint64_t wrong;
};

/* For receivers, once per frame: reads the frame's word. */
static inline void
bench_check_frame(struct bench_check *c, const void *buf)
{
	const uint64_t word = bench_word(buf);

	if (c->numbered) {
		c->wrong += word < c->next;
		c->next = word + 1;
	} else {
		c->sum += word;
	}
	c->n++;
}

/* Number of wrong frames, as far as they can be told apart: at least 1 if there was any. */
static inline uint64_t
bench_check_errors(const struct bench_check *c)
{
	return c->numbered ? c->wrong : (c->sum != c->n * BENCH_WORD);
}

#endif
