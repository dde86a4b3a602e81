/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.c - sides, the measuring window, and the JSON line; see bench.h for the scheme.
 *
 * A barrier counts arrivals upwards and the main process publishes how many have been released: both
 * only grow, so no barrier can be confused with the next. Sides wait at a barrier by short sleeps,
 * because nothing is measured there and a spinning side could keep another from its CPU.
 */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BARRIER_LIMIT_S 30.0 /* opening 250 ports takes well below a second */
#define JOIN_LIMIT_S	10.0 /* a side looks at the stop flag at least once a second */
#define PACED_LIMIT_S	90.0 /* beyond its length; a round is 60 s at most */
#define NAP_NS		1000000

struct side {
	const char *name;
	uint32_t cpu;
	bool counted;
	bool ended;
	pid_t pid;	  /* 0 for a thread */
	pthread_t thread; /* only if pid is 0 */
	clockid_t clock;  /* CPU time of the process or thread */
	bench_fn *fn;
	void *arg;
	struct bench_run *run;
	struct bench_stat *stat;
	uint64_t packets; /* in the window */
	uint64_t sent;
	uint64_t batches;
	double cpu_s;
};

/* In shared memory. */
struct control {
	_Alignas(2 * BENCH_CACHE_LINE) uint32_t released; /* W: main; barriers opened so far */
	uint32_t stop;					  /* W: main */
	_Alignas(2 * BENCH_CACHE_LINE) uint32_t arrived;  /* W: sides, atomically */
	uint32_t failed;				  /* W: sides, atomically */
};

struct bench_run {
	const struct bench_conf *conf;
	bool threads;
	struct control *control;
	struct bench_stat *stats;
	double window_s;
	double busy_s; /* of the sides' CPUs in the window, whoever used them */
	int n_sides;
	struct side sides[BENCH_MAX_SIDES];
};

const char *bench_program = "bench";
static _Thread_local const char *say_side;

void
bench_say(const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fprintf(stderr, "%s: %s%s%s\n", bench_program, say_side ? say_side : "",
		say_side ? ": " : "", text);
}

int
bench_failed(const char *what, const char *name)
{
	const int err = errno;

	bench_say("%s \"%s\": %s", what, name, strerror(err));
	return -err;
}

static void __attribute__((noreturn)) die(const char *what)
{
	bench_say("%s: %s", what, strerror(errno));
	exit(1);
}

uint64_t
bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void
bench_sleep_until(uint64_t ns)
{
	const struct timespec t = {
		.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

void
bench_gap(double seconds)
{
	if (seconds > 0)
		bench_sleep_until(bench_now_ns() + (uint64_t)(seconds * 1e9));
}

void *
bench_shared(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED)
		die("cannot get shared memory");
	return mem;
}

static void
put_mac(uint8_t *mac, uint32_t port)
{
	const uint8_t bytes[6] = {0x02, 0x6e, (uint8_t)(port >> 24), (uint8_t)(port >> 16),
		(uint8_t)(port >> 8), (uint8_t)port};

	if (port == BENCH_BROADCAST)
		memset(mac, 0xff, 6);
	else
		memcpy(mac, bytes, 6);
}

void
bench_frame(void *buf, uint32_t len, uint32_t dst, uint32_t src, uint64_t word)
{
	uint8_t *p = buf;

	memset(p, 0, len);
	put_mac(p, dst);
	put_mac(p + 6, src);
	p[12] = 0x88; /* EtherType 0x88b5: for local experiments (IEEE 802) */
	p[13] = 0xb5;
	bench_set_word(p, word);
}

/* ---- sides --------------------------------------------------------------------------------- */

struct bench_run *
bench_new(const struct bench_conf *conf, bool threads)
{
	struct bench_run *run = calloc(1, sizeof(*run));

	if (run == NULL)
		die("cannot start");
	run->conf = conf;
	run->threads = threads;
	run->control = bench_shared(sizeof(*run->control));
	run->stats = bench_shared(sizeof(*run->stats) * BENCH_MAX_SIDES);
	return run;
}

static int
pin(uint32_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0) {
		const int err = errno;

		bench_say("cannot run on CPU %u: %s; choose other CPUs with --cpus", cpu,
			strerror(err));
		return -err;
	}
	return 0;
}

/* In the side: run its body, then leave what only the side itself can know. */
static void
side_main(struct side *s)
{
	struct rusage ru;

	say_side = s->name;
	s->stat->status = pin(s->cpu);
	if (s->stat->status == 0)
		s->stat->status = s->fn(s->run, s->stat, s->arg);
	getrusage(s->pid == 0 ? RUSAGE_THREAD : RUSAGE_SELF, &ru);
	s->stat->user_s = (double)ru.ru_utime.tv_sec + (double)ru.ru_utime.tv_usec / 1e6;
	s->stat->sys_s = (double)ru.ru_stime.tv_sec + (double)ru.ru_stime.tv_usec / 1e6;
	s->stat->switches = (uint64_t)ru.ru_nvcsw;
	if (s->stat->status != 0)
		__atomic_add_fetch(&s->run->control->failed, 1, __ATOMIC_RELEASE);
}

static void *
side_thread(void *arg)
{
	side_main(arg);
	return NULL;
}

static void
start_process(struct side *s)
{
	const pid_t parent = getpid();

	fflush(NULL);
	s->pid = fork();
	if (s->pid < 0)
		die("cannot start a process");
	if (s->pid == 0) {
		s->pid = getpid();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		side_main(s);
		_exit(s->stat->status != 0);
	}
	if (clock_getcpuclockid(s->pid, &s->clock) != 0)
		die("cannot read a side's CPU clock");
}

void
bench_side(struct bench_run *run, const char *name, uint32_t cpu, bool counted, bench_fn *fn,
	void *arg)
{
	struct side *s = &run->sides[run->n_sides];

	if (run->n_sides == BENCH_MAX_SIDES) {
		bench_say("more than %d sides", BENCH_MAX_SIDES);
		exit(1);
	}
	*s = (struct side){.name = name,
		.cpu = run->conf->cpus[cpu % run->conf->n_cpus],
		.counted = counted,
		.fn = fn,
		.arg = arg,
		.run = run,
		.stat = &run->stats[run->n_sides]};
	run->n_sides++;
	if (!run->threads) {
		start_process(s);
		return;
	}
	errno = pthread_create(&s->thread, NULL, side_thread, s);
	if (errno != 0)
		die("cannot start a thread");
	if (pthread_getcpuclockid(s->thread, &s->clock) != 0)
		die("cannot read a side's CPU clock");
}

void
bench_barrier(struct bench_run *run)
{
	struct control *c = run->control;
	const uint32_t seen = __atomic_load_n(&c->released, __ATOMIC_ACQUIRE);

	__atomic_add_fetch(&c->arrived, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&c->released, __ATOMIC_ACQUIRE) == seen)
		bench_sleep_until(bench_now_ns() + NAP_NS);
}

bool
bench_stop(const struct bench_run *run)
{
	return __atomic_load_n(&run->control->stop, __ATOMIC_RELAXED) != 0;
}

static void
raise_stop(struct bench_run *run)
{
	__atomic_store_n(&run->control->stop, 1, __ATOMIC_RELAXED);
}

/* True once the side has ended, by itself or not. A crash becomes its status. */
static bool
side_ended(struct side *s)
{
	int status;

	if (s->ended)
		return true;
	if (s->pid == 0) {
		s->ended = pthread_tryjoin_np(s->thread, NULL) == 0;
		return s->ended;
	}
	if (waitpid(s->pid, &status, WNOHANG) != s->pid)
		return false;
	s->ended = true;
	if (WIFSIGNALED(status)) {
		bench_say("%s was killed by signal %d", s->name, WTERMSIG(status));
		s->stat->status = -EIO;
	}
	return true;
}

static void
kill_sides(struct bench_run *run)
{
	for (int i = 0; i < run->n_sides; i++) {
		struct side *s = &run->sides[i];

		if (s->pid > 0 && !s->ended)
			kill(s->pid, SIGKILL);
	}
}

void
bench_release(struct bench_run *run)
{
	struct control *c = run->control;
	const uint32_t want = (c->released + 1) * (uint32_t)run->n_sides;
	const uint64_t limit = bench_now_ns() + (uint64_t)(BARRIER_LIMIT_S * 1e9);
	bool ended = false;

	while (__atomic_load_n(&c->arrived, __ATOMIC_ACQUIRE) < want) {
		for (int i = 0; i < run->n_sides; i++)
			ended |= side_ended(&run->sides[i]);
		if (ended || bench_now_ns() > limit) {
			if (!ended)
				bench_say(
					"a side did not get ready within %.0f s", BARRIER_LIMIT_S);
			kill_sides(run);
			exit(1);
		}
		bench_sleep_until(bench_now_ns() + NAP_NS);
	}
	__atomic_store_n(&c->released, c->released + 1, __ATOMIC_RELEASE);
}

/* Wait for all sides to end; after @limit_s by force. */
static int
join_sides(struct bench_run *run, double limit_s)
{
	const uint64_t limit = bench_now_ns() + (uint64_t)(limit_s * 1e9);
	int result = 0;

	for (int i = 0; i < run->n_sides; i++) {
		struct side *s = &run->sides[i];

		while (!side_ended(s)) {
			if (bench_now_ns() > limit) {
				bench_say("%s does not end", s->name);
				kill_sides(run);
				return -ETIMEDOUT;
			}
			bench_sleep_until(bench_now_ns() + NAP_NS);
		}
		if (s->stat->status != 0)
			result = -EIO;
	}
	return result;
}

static double
side_cpu_s(const struct side *s)
{
	struct timespec t = {0};

	clock_gettime(s->clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool
is_ours(const struct bench_conf *conf, uint32_t cpu)
{
	for (uint32_t i = 0; i < conf->n_cpus; i++)
		if (conf->cpus[i] == cpu)
			return true;
	return false;
}

/*
 * CPU time that all programs on the sides' CPUs have used since boot, and what the host took from
 * them. Interrupts do not count, for the kernel's way of a frame is made of them.
 */
static double
busy_s(const struct bench_conf *conf)
{
	FILE *f = fopen("/proc/stat", "re");
	unsigned long long user, nice, system, steal, ticks = 0;
	unsigned int cpu;
	char line[256];

	if (f == NULL)
		die("cannot read /proc/stat");
	while (fgets(line, sizeof(line), f) != NULL) /* some lines a CPU */
		if (sscanf(line, "cpu%u %llu %llu %llu %*u %*u %*u %*u %llu", &cpu, &user, &nice,
			    &system, &steal) == 5 &&
			is_ours(conf, cpu))
			ticks += user + nice + system + steal;
	fclose(f);
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* Add the clocks, times @sign: -1 opens the window and 1 closes it. */
static void
sample_clocks(struct bench_run *run, int sign)
{
	run->window_s += sign * (double)bench_now_ns() / 1e9;
	run->busy_s += sign * busy_s(run->conf);
}

/* The same for the sides' counters as well. */
static void
sample(struct bench_run *run, int sign)
{
	for (int i = 0; i < run->n_sides; i++) {
		struct side *s = &run->sides[i];
		const struct bench_stat *st = s->stat;

		s->packets += (uint64_t)sign * __atomic_load_n(&st->packets, __ATOMIC_RELAXED);
		s->sent += (uint64_t)sign * __atomic_load_n(&st->sent, __ATOMIC_RELAXED);
		s->batches += (uint64_t)sign * __atomic_load_n(&st->batches, __ATOMIC_RELAXED);
		s->cpu_s += sign * side_cpu_s(s);
	}
	sample_clocks(run, sign);
}

static int
measure(struct bench_run *run)
{
	const uint64_t start = bench_now_ns() + (uint64_t)(run->conf->warm_up * 1e9);

	bench_sleep_until(start);
	sample(run, -1);
	bench_sleep_until(start + (uint64_t)(run->conf->seconds * 1e9));
	sample(run, 1);
	raise_stop(run);
	return join_sides(run, JOIN_LIMIT_S);
}

/* ---- results ------------------------------------------------------------------------------- */

static void
print_sides(const struct bench_run *run)
{
	printf(", \"seconds\": %.6f, \"busy_s\": %.2f, \"sides\": [", run->window_s, run->busy_s);
	for (int i = 0; i < run->n_sides; i++) {
		const struct side *s = &run->sides[i];

		printf("%s{\"name\": \"%s\", \"cpu\": %u, \"cpu_s\": %.3f, \"user_s\": %.3f, "
		       "\"sys_s\": %.3f, \"sleeps\": %llu, \"batches\": %llu}",
			i > 0 ? ", " : "", s->name, s->cpu, s->cpu_s, s->stat->user_s,
			s->stat->sys_s, (unsigned long long)s->stat->switches,
			(unsigned long long)s->batches);
	}
	printf("]}\n");
}

static int
print_rate(const struct bench_run *run, uint32_t frame)
{
	uint64_t packets = 0, sent = 0, errors = 0;
	double pps;

	for (int i = 0; i < run->n_sides; i++) {
		const struct side *s = &run->sides[i];

		packets += s->counted ? s->packets : 0;
		sent += s->sent;
		errors += s->stat->errors;
	}
	if (packets == 0 || errors != 0) {
		bench_say(errors != 0 ? "frames arrived damaged or out of order"
				      : "no frame arrived");
		return -EIO;
	}
	pps = (double)packets / run->window_s;
	bench_print_options(run->conf);
	printf(", \"packets\": %llu, \"sent\": %llu, \"ns_per_packet\": %.3f, "
	       "\"mpps\": %.4f, \"gbit_s\": %.3f",
		(unsigned long long)packets, (unsigned long long)sent, 1e9 / pps, pps / 1e6,
		pps * frame * 8 / 1e9);
	print_sides(run);
	return 0;
}

static int
compare_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int
print_latency(const struct bench_run *run, struct bench_samples *s)
{
	static const struct {
		const char *name;
		double part;
	} ranks[] = {{"min", 0}, {"median", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999},
		{"max", 1}};

	if (s->n == 0) {
		bench_say("no sample was taken");
		return -EIO;
	}
	qsort(s->ns, s->n, sizeof(s->ns[0]), compare_u64);
	bench_print_options(run->conf);
	printf(", \"samples\": %u, \"lost\": %u, \"latency_ns\": {", s->n,
		s->n_rounds > s->n ? s->n_rounds - s->n : 0);
	for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++)
		printf("%s\"%s\": %llu", i > 0 ? ", " : "", ranks[i].name,
			(unsigned long long)s->ns[(size_t)(ranks[i].part * (double)(s->n - 1))]);
	printf("}");
	print_sides(run);
	return 0;
}

struct bench_samples *
bench_samples(const struct bench_conf *conf, double interval)
{
	struct bench_samples *s = bench_shared(sizeof(*s));
	const uint32_t max = sizeof(s->ns) / sizeof(s->ns[0]);

	if (interval > 0)
		s->n_rounds = conf->seconds / interval < max
				      ? (uint32_t)(conf->seconds / interval + 0.5)
				      : max;
	return s;
}

int
bench_finish_rate(struct bench_run *run, uint32_t frame)
{
	const int failed = measure(run) != 0 || print_rate(run, frame) != 0;

	free(run);
	return failed;
}

int
bench_finish_latency(struct bench_run *run, struct bench_samples *s)
{
	int failed;

	if (s->n_rounds > 0) {
		sample_clocks(run, -1);
		failed = join_sides(run, run->conf->seconds + PACED_LIMIT_S) != 0;
		sample_clocks(run, 1);
	} else {
		failed = measure(run) != 0;
	}
	failed = failed || print_latency(run, s) != 0;
	free(run);
	return failed;
}
