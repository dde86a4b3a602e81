/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One side of a stream of numbered and checksummed frames, for the tests in this directory.
 *
 * usage: bl-traffic send|recv|watch PORT STATUSFILE [options]      (see usage_text)
 *
 * It begins paused. SIGUSR1: go. SIGUSR2: pause. SIGTERM: hand over what is queued, print the counters as JSON, end. The tests
 * send an order until the status file shows it, as a signal may come just before a poll that then sleeps: the order is noticed
 * with the next one.
 *
 * The program believes nothing that lies in shared memory: other tests have a peer that overwrites it. A ring whose words make no sense is
 * left alone until the library has repaired it. So a crash here is one of the library.
 *
 * Exit status: 0, 1 for an error (named on standard error), 3 when the port was taken away.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "libnetmap.h"

#include "bl_frame.h"
#include "bl_status.h"

#define LIFE_S	       900 /* no test is longer: whatever goes wrong, nothing stays behind */
#define FLUSH_NS       UINT64_C(3000000000)
#define PAUSE_US       2000
#define ERROR_PAUSE_US 1000
#define GONE_LIMIT     50 /* errors in a row before the port counts as taken away */
#define EXIT_GONE      3
#define NS_PER_S       UINT64_C(1000000000)

static const char usage_text[] =
	"usage: bl-traffic send|recv|watch PORT STATUSFILE [options]\n"
	"  watch: a receiver that sends nothing, for monitors\n"
	"  -s N      stream (default 1)\n"
	"  -r N      which life of the sender this is (default 1)\n"
	"  -l N[:M]  frame lengths, 60 ... 16000 (default 60:1500)\n"
	"  -b N      frames in a burst, at most (default 64)\n"
	"  -R N      frames per second (default: as many as there is room for)\n"
	"  -t MS     timeout of poll (default: none)\n"
	"  -L MS     count frames that are later than this\n"
	"  -B        send to the broadcast address\n"
	"  -k        keep trying when the port is taken away\n";

/* A ring, with our own copy of everything that does not change. */
struct side {
	struct netmap_ring *ring;
	char *bufs; /* buffer 0 */
	uint32_t n_slots, n_bufs, buf_size;
	uint32_t head;
};

static struct {
	bool is_sender, is_watcher, is_pipe, is_broadcast, is_stubborn;
	uint16_t stream;
	uint32_t run, min_len, max_len, burst;
	uint64_t rate_pps;
	int timeout_ms;
	uint64_t late_us;
	struct nmport_d *port;
	struct side tx, rx;
	uint64_t *slot_seq; /* the frame that each tx slot belongs to */
	struct bl_status *st;
	uint64_t random;
	unsigned int n_errors_in_a_row;
} bl = {
	.stream = 1,
	.run = 1,
	.min_len = BL_MIN_LEN,
	.max_len = 1500,
	.burst = 64,
	.timeout_ms = -1,
};

static volatile sig_atomic_t order = BL_PAUSED;
static char scratch[BL_MAX_LEN] __attribute__((aligned(8)));

static void
die(const char *what)
{
	fprintf(stderr, "bl-traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
on_signal(int sig)
{
	if (order == BL_ENDED)
		return;
	order = sig == SIGUSR1 ? BL_RUNNING : sig == SIGUSR2 ? BL_PAUSED : BL_ENDED;
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint32_t
random_below(uint32_t n)
{
	bl.random ^= bl.random << 13;
	bl.random ^= bl.random >> 7;
	bl.random ^= bl.random << 17;
	return (uint32_t)((bl.random >> 32) * n >> 32);
}

/* --- rings --- */

static void
side_init(struct side *s, struct netmap_ring *ring)
{
	const uint64_t base = (uint64_t)((char *)ring - (char *)bl.port->nifp) +
			      bl.port->reg.nr_offset + (uint64_t)ring->buf_ofs;

	s->ring = ring;
	s->bufs = (char *)ring + ring->buf_ofs;
	s->n_slots = ring->num_slots;
	s->buf_size = ring->nr_buf_size;
	s->n_bufs = (uint32_t)((bl.port->reg.nr_memsize - base) / s->buf_size);
	s->head = ring->head;
}

static uint32_t
next_slot(const struct side *s, uint32_t i)
{
	return i + 1 == s->n_slots ? 0 : i + 1;
}

/* Slots that are ours. The head that we left may have been reset by the library, or overwritten. */
static uint32_t
space(struct side *s)
{
	const uint32_t tail = __atomic_load_n(&s->ring->tail, __ATOMIC_ACQUIRE);
	const uint32_t head = __atomic_load_n(&s->ring->head, __ATOMIC_RELAXED);

	if (tail >= s->n_slots || head >= s->n_slots) {
		bl_add(&bl.st->bad_ring, 1);
		return 0;
	}
	if (head != s->head) {
		bl_add(&bl.st->bad_ring, 1);
		s->head = head;
	}
	return tail >= head ? tail - head : tail + s->n_slots - head;
}

/* The buffer of slot @i, or NULL if the slot names none. */
static char *
slot_buf(const struct side *s, uint32_t i)
{
	const uint32_t idx = __atomic_load_n(&s->ring->slot[i].buf_idx, __ATOMIC_RELAXED);

	return idx >= 2 && idx < s->n_bufs ? s->bufs + (size_t)idx * s->buf_size : NULL;
}

static void
give(struct side *s, uint32_t head)
{
	s->head = head;
	s->ring->cur = head;
	__atomic_store_n(&s->ring->head, head, __ATOMIC_RELEASE);
}

/* --- calls, timed --- */

static void
note_call(uint64_t began, uint64_t allowed_ns, bool failed)
{
	const uint64_t took = now_ns() - began;

	bl_max(&bl.st->max_call_us, took > allowed_ns ? (took - allowed_ns) / 1000 : 0);
	bl.n_errors_in_a_row = failed ? bl.n_errors_in_a_row + 1 : 0;
	if (!failed)
		return;
	bl_add(&bl.st->n_errors, 1);
	if (bl.n_errors_in_a_row > GONE_LIMIT && !bl.is_stubborn)
		order = BL_ENDED;
	usleep(ERROR_PAUSE_US);
}

static void
sync_tx(void)
{
	const uint64_t began = now_ns();
	const int r = ioctl(bl.port->fd, NIOCTXSYNC, NULL);

	note_call(began, 0, r < 0);
}

/* Wait for @events. Return: true if they came. */
static bool
wait_for(short events)
{
	struct pollfd pfd = {bl.port->fd, events, 0};
	const uint64_t began = now_ns();
	const int r = poll(&pfd, 1, bl.timeout_ms);
	const bool failed = (r < 0 && errno != EINTR) || (pfd.revents & ~events) != 0;

	/* without a timeout the test has a deadline of its own for a sleep that does not end */
	if (bl.timeout_ms >= 0)
		note_call(began, (uint64_t)bl.timeout_ms * 1000000u, failed);
	else
		note_call(now_ns(), 0, failed);
	if (r == 0)
		bl_add(&bl.st->n_idle, 1);
	return r > 0 && !failed;
}

/* --- sender --- */

static void
make_frame(struct bl_frame *f, uint64_t seq)
{
	bl_frame_mac(f->dst, bl.stream, true);
	if (bl.is_broadcast)
		memset(f->dst, 0xff, sizeof(f->dst));
	bl_frame_mac(f->src, bl.stream, false);
	f->stream = bl.stream;
	f->run = bl.run;
	f->len = bl.min_len + random_below(bl.max_len - bl.min_len + 1);
	f->seq = seq;
	f->sent_ns = now_ns();
	bl_frame_seal(f);
}

/* Copy the frame in scratch to slots from *head on. Return: false if there is no room. */
static bool
put_frame(uint32_t *head, uint32_t *room, uint64_t seq)
{
	const struct bl_frame *f = (const struct bl_frame *)(const void *)scratch;
	const uint32_t need = (f->len + bl.tx.buf_size - 1) / bl.tx.buf_size;
	uint32_t done, part;

	if (need > *room)
		return false;
	for (done = 0; done < f->len; done += part) {
		struct netmap_slot *slot = &bl.tx.ring->slot[*head];
		char *buf = slot_buf(&bl.tx, *head);

		part = f->len - done < bl.tx.buf_size ? f->len - done : bl.tx.buf_size;
		if (buf != NULL)
			memcpy(buf, scratch + done, part);
		slot->len = (uint16_t)part;
		slot->flags = done + part < f->len ? NS_MOREFRAG : 0;
		bl.slot_seq[*head] = seq;
		*head = next_slot(&bl.tx, *head);
	}
	*room -= need;
	return true;
}

/* What the link has taken over: on a pipe all that a sync has seen, on a switch up to the first slot that is still pending. */
static void
note_accepted(void)
{
	const uint32_t tail = __atomic_load_n(&bl.tx.ring->tail, __ATOMIC_ACQUIRE);
	uint32_t pending;

	if (tail >= bl.tx.n_slots)
		return;
	pending = next_slot(&bl.tx, tail);
	if (bl.is_pipe || pending == bl.tx.head)
		bl_set(&bl.st->accepted, bl.st->filled);
	else
		bl_set(&bl.st->accepted, bl.slot_seq[pending]);
}

static void
send_burst(void)
{
	const uint32_t want = bl.rate_pps > 0 ? 1 : 1 + random_below(bl.burst);
	uint32_t room = space(&bl.tx), head = bl.tx.head, n = 0;
	uint64_t seq = bl.st->filled;

	for (; n < want && room > 0; n++, seq++) {
		make_frame((struct bl_frame *)(void *)scratch, seq);
		if (!put_frame(&head, &room, seq))
			break;
	}
	if (n == 0) {
		usleep(10); /* room for a part of a frame */
	} else {
		bl_set(&bl.st->filled, seq);
		give(&bl.tx, head);
	}
	sync_tx();
	note_accepted();
}

static void
run_sender(void)
{
	const uint64_t period_ns = bl.rate_pps > 0 ? NS_PER_S / bl.rate_pps : 0;
	uint64_t due = now_ns();

	while (order == BL_RUNNING) { /* until told otherwise */
		if (period_ns > 0) {
			const struct timespec t = {
				(time_t)(due / NS_PER_S), (long)(due % NS_PER_S)};

			if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
				continue;
			due += period_ns;
		}
		if (wait_for(POLLOUT))
			send_burst();
	}
}

/* --- receiver --- */

/* Tell the switch where we are. */
static void
announce(void)
{
	struct bl_frame *f = (struct bl_frame *)(void *)scratch;
	uint32_t room = space(&bl.tx), head = bl.tx.head;

	memset(f->dst, 0xff, sizeof(f->dst));
	bl_frame_mac(f->src, bl.stream, true);
	f->stream = BL_STREAM_ANNOUNCE;
	f->run = bl.run;
	f->len = BL_MIN_LEN;
	f->seq = 0;
	f->sent_ns = now_ns();
	bl_frame_seal(f);
	if (!put_frame(&head, &room, 0))
		return;
	give(&bl.tx, head);
	sync_tx();
}

static void
judge_number(const struct bl_frame *f)
{
	struct bl_status *st = bl.st;

	if (f->run > st->run) {
		bl_add(&st->n_runs, 1);
		bl_set(&st->first, f->seq);
		bl_set(&st->next, f->seq);
		bl_set(&st->run, f->run); /* last: who sees it sees the numbers of this life */
	}
	if (f->run < st->run || f->seq < st->next) {
		bl_add(&st->late, 1);
		return;
	}
	bl_add(&st->missing, f->seq - st->next);
	bl_set(&st->next, f->seq + 1);
	bl_add(&st->received, 1);
}

static void
judge(uint32_t len, uint64_t now)
{
	const struct bl_frame *f = (const struct bl_frame *)(const void *)scratch;
	uint64_t delay_us;

	if (!bl_frame_is_whole(f, len)) {
		bl_add(&bl.st->torn, 1);
		return;
	}
	if (f->stream != bl.stream) {
		if (f->stream != BL_STREAM_ANNOUNCE)
			bl_add(&bl.st->foreign, 1);
		return;
	}
	judge_number(f);
	delay_us = now > f->sent_ns ? (now - f->sent_ns) / 1000 : 0;
	bl_max(&bl.st->max_delay_us, delay_us);
	if (bl.late_us > 0 && delay_us > bl.late_us)
		bl_add(&bl.st->n_delays, 1);
}

/* Copy the frame at the head to scratch. Return: its slots, 0 if it does not end before the tail. */
static uint32_t
take_frame(uint32_t room, uint32_t *len)
{
	uint32_t i = bl.rx.head, n;

	*len = 0;
	for (n = 1; n <= room; n++) {
		const struct netmap_slot *slot = &bl.rx.ring->slot[i];
		const uint32_t part = __atomic_load_n(&slot->len, __ATOMIC_RELAXED);
		const char *buf = slot_buf(&bl.rx, i);

		if (buf == NULL || part > bl.rx.buf_size || part > sizeof(scratch) - *len)
			bl_add(&bl.st->bad_ring, 1);
		else
			memcpy(scratch + *len, buf, part);
		if (buf != NULL && part <= sizeof(scratch) - *len)
			*len += part;
		i = next_slot(&bl.rx, i);
		if (!(__atomic_load_n(&slot->flags, __ATOMIC_RELAXED) & NS_MOREFRAG))
			return n;
	}
	return 0;
}

static void
take_frames(void)
{
	uint32_t room = space(&bl.rx);
	const uint64_t now = now_ns();

	while (room > 0) {
		uint32_t len, i, head = bl.rx.head;
		const uint32_t n = take_frame(room, &len);

		if (n == 0)
			break; /* cut off: somebody has overwritten its flags */
		judge(len, now);
		for (i = 0; i < n; i++)
			head = next_slot(&bl.rx, head);
		give(&bl.rx, head);
		room -= n;
	}
}

static void
run_receiver(void)
{
	if (!bl.is_watcher)
		announce();
	while (order == BL_RUNNING) /* until told otherwise */
		if (wait_for(POLLIN))
			take_frames();
}

/* --- orders --- */

/* Keep what is queued moving while nothing is added. */
static void
pause_here(void)
{
	while (order == BL_PAUSED) {
		usleep(PAUSE_US);
		if (bl.is_sender) {
			sync_tx();
			note_accepted();
		}
	}
}

/* Bounded: a receiver that has gone takes nothing. */
static void
finish(void)
{
	const uint64_t deadline = now_ns() + FLUSH_NS;

	if (bl.n_errors_in_a_row > 0)
		return;
	if (!bl.is_sender) {
		if (ioctl(bl.port->fd, NIOCRXSYNC, NULL) == 0)
			take_frames();
		return;
	}
	while (nm_tx_pending(bl.tx.ring) && now_ns() < deadline) {
		sync_tx();
		note_accepted();
		usleep(PAUSE_US);
	}
}

static void
print_json(void)
{
	const struct bl_status *st = bl.st;

	printf("{\"role\": \"%s\", \"sent\": %" PRIu64 ", \"accepted\": %" PRIu64
	       ", \"received\": %" PRIu64 ", \"missing\": %" PRIu64 ", \"torn\": %" PRIu64
	       ", \"reordered\": %" PRIu64 ", \"foreign\": %" PRIu64 ", \"max_delay_us\": %" PRIu64
	       ", \"max_call_us\": %" PRIu64 ", \"errors\": %" PRIu64 "}\n",
		bl.is_sender	? "send"
		: bl.is_watcher ? "watch"
				: "recv",
		st->filled, st->accepted, st->received, st->missing, st->torn, st->late,
		st->foreign, st->max_delay_us, st->max_call_us, st->n_errors);
}

/* --- start --- */

static void
usage(void)
{
	fputs(usage_text, stderr);
	exit(1);
}

static uint64_t
number(const char *text, char **end)
{
	errno = 0;
	if (text[0] < '0' || text[0] > '9')
		usage();
	return strtoull(text, end, 10);
}

static void
parse_lengths(const char *text)
{
	char *end;

	bl.min_len = bl.max_len = (uint32_t)number(text, &end);
	if (*end == ':')
		bl.max_len = (uint32_t)number(end + 1, &end);
	if (*end != '\0' || bl.min_len < BL_MIN_LEN || bl.max_len > BL_MAX_LEN ||
		bl.min_len > bl.max_len)
		usage();
}

static void
parse_options(int argc, char **argv)
{
	char *end = NULL;
	int c;

	while ((c = getopt(argc, argv, "s:r:l:b:R:t:L:Bk")) != -1) {
		if (c == 'B')
			bl.is_broadcast = true;
		else if (c == 'k')
			bl.is_stubborn = true;
		else if (c == 'l')
			parse_lengths(optarg);
		else if (c == 's')
			bl.stream = (uint16_t)number(optarg, &end);
		else if (c == 'r')
			bl.run = (uint32_t)number(optarg, &end);
		else if (c == 'b')
			bl.burst = (uint32_t)number(optarg, &end);
		else if (c == 'R')
			bl.rate_pps = number(optarg, &end);
		else if (c == 't')
			bl.timeout_ms = (int)number(optarg, &end);
		else if (c == 'L')
			bl.late_us = number(optarg, &end) * 1000;
		else
			usage();
		if (end != NULL && *end != '\0')
			usage();
	}
	if (argc - optind != 3 || bl.burst == 0 ||
		(strcmp(argv[optind], "send") != 0 && strcmp(argv[optind], "recv") != 0 &&
			strcmp(argv[optind], "watch") != 0))
		usage();
	bl.is_sender = argv[optind][0] == 's';
	bl.is_watcher = argv[optind][0] == 'w';
}

static void
map_status(const char *path)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)sizeof(*bl.st)) < 0)
		die(path);
	bl.st = mmap(NULL, sizeof(*bl.st), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bl.st == MAP_FAILED)
		die(path);
	close(fd);
}

static void
catch_signals(void)
{
	const struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIFE_S);
}

static void
open_port(const char *name)
{
	bl.port = nmport_open(name);
	if (bl.port == NULL)
		die(name);
	bl.is_pipe = strpbrk(name, "{}") != NULL;
	side_init(&bl.rx, NETMAP_RXRING(bl.port->nifp, bl.port->first_rx_ring));
	if (bl.is_watcher)
		return;
	side_init(&bl.tx, NETMAP_TXRING(bl.port->nifp, bl.port->first_tx_ring));
	bl.slot_seq = calloc(bl.tx.n_slots, sizeof(*bl.slot_seq));
	if (bl.slot_seq == NULL)
		die("calloc");
}

int
main(int argc, char **argv)
{
	parse_options(argc, argv);
	catch_signals();
	bl.random = now_ns() | 1;
	map_status(argv[optind + 2]);
	open_port(argv[optind + 1]);
	while (order != BL_ENDED) {
		const sig_atomic_t now = order; /* it may change between a look and the next */

		bl_set(&bl.st->mode, (uint64_t)now);
		if (now == BL_PAUSED)
			pause_here();
		else if (bl.is_sender)
			run_sender();
		else
			run_receiver();
	}
	finish();
	bl_set(&bl.st->mode, BL_ENDED);
	print_json();
	if (bl.n_errors_in_a_row > GONE_LIMIT)
		return EXIT_GONE;
	nmport_close(bl.port);
	return 0;
}
