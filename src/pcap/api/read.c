/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading frames: pcap_dispatch, pcap_loop, pcap_next, pcap_next_ex, pcap_breakloop.
 *
 * The callback gets a pointer into the ring's buffer: nothing is copied, and the filter looks at
 * the frame where it lies. Slots go back after each batch, in one sync with the look for more.
 *
 * A reader that is not in immediate mode does not ask for a wake-up by each frame (pace.h).
 */
#include "pcap/api/handle.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SYNC_PERIOD 4	/* batches: slots go back at least that often */
#define SYNC_FRAMES 256 /* the same for single frames */

#define LOOK_AGAIN  1 /* wait_frames(): there may be frames */

void
pcap_breakloop(pcap_t *p)
{
	struct unm_pcap *h = unm_pcap_of(p);
	const uint64_t one = 1;
	const int saved = errno;

	if (h == NULL) {
		PCAP_REAL(pcap_breakloop)(p);
		return;
	}
	__atomic_store_n(&h->break_loop, 1, __ATOMIC_RELAXED);
	/* Wakes a thread that sleeps. Full is as good as written. */
	if (h->break_fd >= 0 && write(h->break_fd, &one, sizeof(one)) < 0)
		errno = saved;
}

static bool
is_broken(const struct unm_pcap *h)
{
	return __atomic_load_n(&h->break_loop, __ATOMIC_RELAXED) != 0;
}

/* The loop has been told to end. What tells it ends with it. */
static int
take_break(struct unm_pcap *h)
{
	eventfd_t n;

	__atomic_store_n(&h->break_loop, 0, __ATOMIC_RELAXED);
	(void)eventfd_read(h->break_fd, &n); /* empty: whoever breaks has not come to that yet */
	return PCAP_ERROR_BREAK;
}

static int
port_gone(struct unm_pcap *h)
{
	return unm_pcap_fail(h, PCAP_ERROR, "%.64s has gone: %s", h->name,
		unm_cap_is_monitor(h->cap)
			? "the port that was monitored was closed, or netmapd was restarted while "
			  "this program was stopped (then start it again)"
			: "the port has been removed");
}

/* Give back what has been read, and look for more. Return: 0, or PCAP_ERROR with the text set. */
static int
sync_rings(struct unm_pcap *h)
{
	static const struct timespec down_nap = {.tv_nsec = 1000000};
	int ret;

	unm_cap_release(h->cap);
	ret = unm_cap_sync(h->cap);
	if (ret == -ENETDOWN &&
		h->nonblock) /* poll(2) returns at once: don't let the caller spin */
		nanosleep(&down_nap, NULL);
	return ret < 0 && ret != -ENETDOWN ? port_gone(h) : 0;
}

static bool
is_wanted(const struct unm_pcap *h, const struct unm_cap_frame *f)
{
	const struct bpf_insn *insns;

	if (h->direction != PCAP_D_INOUT && (h->direction == PCAP_D_OUT) != f->is_tx)
		return false;
	insns = unm_program_insns(&h->filter, f->is_tx);
	return insns == NULL || PCAP_REAL(bpf_filter)(insns, f->data, f->len, f->len) != 0;
}

static void
fill_hdr(const struct unm_pcap *h, const struct unm_cap_frame *f, struct pcap_pkthdr *hdr)
{
	const uint64_t ns = unm_cap_time_ns(h->cap);

	hdr->ts.tv_sec = (time_t)(ns / 1000000000u);
	hdr->ts.tv_usec = (suseconds_t)(ns % 1000000000u);
	if (h->precision == PCAP_TSTAMP_PRECISION_MICRO)
		hdr->ts.tv_usec /= 1000;
	hdr->len = f->len;
	hdr->caplen = f->len < (uint32_t)h->snaplen ? f->len : (uint32_t)h->snaplen;
}

/*
 * Give the callback up to @max of the frames that the rings hold. @n_done: how many it got.
 * Return: are there more?
 */
static bool
handle_batch(struct unm_pcap *h, int max, pcap_handler callback, u_char *user, int *n_done)
{
	struct unm_cap_frame f[UNM_CAP_BATCH];
	const uint32_t n = unm_cap_batch(h->cap, f, UNM_CAP_BATCH);
	struct pcap_pkthdr hdr;
	uint32_t i;

	*n_done = 0;
	h->pace.frames += n;
	for (i = 0; i < n; i++) {
		if (is_broken(h) || *n_done == max) {
			unm_cap_rewind(h->cap, &f[i], n - i);
			break;
		}
		if (!is_wanted(h, &f[i]))
			continue;
		h->accepted++;
		++*n_done;
		fill_hdr(h, &f[i], &hdr);
		callback(user, &hdr, f[i].data);
	}
	return n > 0;
}

/* Give the callback what is there: up to @max frames, one ring's worth of slots at most. */
static int
handle_pending(struct unm_pcap *h, int max, pcap_handler callback, u_char *user)
{
	const uint32_t n_slots = unm_cap_n_slots(h->cap);
	uint32_t batches;
	int n, total = 0;

	for (batches = 0; batches <= n_slots && total < max; batches++) {
		if (is_broken(h))
			break;
		if (batches % SYNC_PERIOD == SYNC_PERIOD - 1 && sync_rings(h) < 0)
			return total > 0 ? total : PCAP_ERROR;
		if (!handle_batch(h, max - total, callback, user, &n))
			break;
		total += n;
	}
	unm_cap_release(h->cap);
	return total;
}

/* Nothing is left. Look away for a while, if that is good. Return: has that been done? */
static bool
nap(struct unm_pcap *h)
{
	const uint32_t ns =
		unm_pace_nap_ns(&h->pace, unm_cap_time_ns(h->cap), unm_cap_n_slots(h->cap));

	if (h->immediate || ns == 0)
		return false;
	unm_cap_nap(h->cap, ns, h->break_fd);
	return true;
}

static int
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int)((uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u);
}

/* The read timeout, from when the first wait of a call begins. */
struct patience {
	bool is_running;
	int began_ms;
};

/* What is left of it, for poll(2): -1 for ever, 0 over. */
static int
timeout_left(const struct unm_pcap *h, struct patience *p)
{
	int gone;

	if (h->timeout_ms <= 0)
		return -1;
	if (!p->is_running) {
		p->began_ms = now_ms();
		p->is_running = true;
	}
	gone = (int)((unsigned int)now_ms() - (unsigned int)p->began_ms);
	return gone < h->timeout_ms ? h->timeout_ms - gone : 0;
}

/*
 * Sleep until frames come. Return: LOOK_AGAIN, or what the read has to return: 0 after the timeout,
 * PCAP_ERROR with the text set, PCAP_ERROR_BREAK.
 */
static int
wait_frames(struct unm_pcap *h, struct patience *patience)
{
	eventfd_t n;
	int left, ret;

	if (is_broken(h))
		return take_break(h);
	if (h->nonblock)
		return 0;
	left = timeout_left(h, patience);
	if (left != 0 && nap(h))
		return LOOK_AGAIN;
	ret = left == 0 ? 0 : unm_cap_wait(h->cap, left, h->break_fd);
	if (ret == -EIO)
		return port_gone(h);
	if (ret < 0 && ret != -EINTR)
		return unm_pcap_fail(h, PCAP_ERROR, "%.64s: poll: %s", h->name, strerror(-ret));
	if (is_broken(h))
		return take_break(h);
	if (ret == 2)
		(void)eventfd_read(h->break_fd, &n); /* of a break that was taken already */
	return ret == 0 ? 0 : LOOK_AGAIN;
}

/*
 * One pcap_dispatch(): wait for frames, up to the timeout, and give the callback up to @max.
 * Return: how many; 0 after the timeout; PCAP_ERROR, PCAP_ERROR_BREAK.
 */
static int
read_frames(struct unm_pcap *h, int max, pcap_handler callback, u_char *user)
{
	struct patience patience = {0};
	int ret;

	for (;;) { /* until there is a result; the timeout bounds it where there is one */
		if (is_broken(h))
			return take_break(h);
		if (sync_rings(h) < 0)
			return PCAP_ERROR;
		ret = handle_pending(h, max, callback, user);
		if (ret != 0)
			return ret;
		ret = wait_frames(h, &patience);
		if (ret != LOOK_AGAIN)
			return ret;
	}
}

int
pcap_dispatch(pcap_t *p, int cnt, pcap_handler callback, u_char *user)
{
	struct unm_pcap *h = unm_pcap_of(p);
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_dispatch)(p, cnt, callback, user);
	ret = unm_pcap_check_active(h);
	return ret != 0 ? ret : read_frames(h, cnt > 0 ? cnt : INT_MAX, callback, user);
}

int
pcap_loop(pcap_t *p, int cnt, pcap_handler callback, u_char *user)
{
	struct unm_pcap *h = unm_pcap_of(p);
	int n;

	if (h == NULL)
		return PCAP_REAL(pcap_loop)(p, cnt, callback, user);
	n = unm_pcap_check_active(h);
	if (n != 0)
		return n;
	for (;;) { /* as long as the caller wants */
		n = read_frames(h, cnt > 0 ? cnt : INT_MAX, callback, user);
		if (n < 0)
			return n;
		if (cnt > 0) {
			cnt -= n;
			if (cnt <= 0)
				return 0;
		}
	}
}

/* The next wanted frame of those that are there. It stays until the next call. */
static bool
take_one(struct unm_pcap *h, struct unm_cap_frame *f)
{
	while (unm_cap_batch(h->cap, f, 1) == 1) { /* at most what one sync has brought */
		h->unsynced++;
		h->pace.frames++;
		if (is_wanted(h, f))
			return true;
	}
	return false;
}

/* Return: 1 a frame, 0 timeout, PCAP_ERROR, PCAP_ERROR_BREAK. */
static int
next_frame(struct unm_pcap *h, struct unm_cap_frame *f)
{
	struct patience patience = {0};
	int ret;

	unm_cap_release(h->cap);
	for (;;) { /* until there is a result; the timeout bounds it where there is one */
		if (is_broken(h))
			return take_break(h);
		if (h->unsynced < SYNC_FRAMES && take_one(h, f)) {
			h->accepted++;
			return 1;
		}
		h->unsynced = 0;
		if (sync_rings(h) < 0)
			return PCAP_ERROR;
		if (take_one(h, f)) {
			h->accepted++;
			return 1;
		}
		ret = wait_frames(h, &patience);
		if (ret != LOOK_AGAIN)
			return ret;
	}
}

int
pcap_next_ex(pcap_t *p, struct pcap_pkthdr **hdr, const u_char **data)
{
	struct unm_pcap *h = unm_pcap_of(p);
	struct unm_cap_frame f;
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_next_ex)(p, hdr, data);
	ret = unm_pcap_check_active(h);
	if (ret == 0)
		ret = next_frame(h, &f);
	if (ret != 1)
		return ret;
	fill_hdr(h, &f, &h->hdr);
	*hdr = &h->hdr;
	*data = f.data;
	return 1;
}

const u_char *
pcap_next(pcap_t *p, struct pcap_pkthdr *hdr)
{
	struct unm_pcap *h = unm_pcap_of(p);
	struct unm_cap_frame f;

	if (h == NULL)
		return PCAP_REAL(pcap_next)(p, hdr);
	if (unm_pcap_check_active(h) != 0 || next_frame(h, &f) != 1)
		return NULL;
	fill_hdr(h, &f, hdr);
	return f.data;
}
