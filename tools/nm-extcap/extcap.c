/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capturing from one port into a FIFO. See extcap.h.
 *
 * Signals to stop come in only where something is waited for: frames or a nap, always together with
 * the FIFO's other end, a reader, or room (fifo.h).
 */
#include "extcap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fifo.h"
#include "nmt_stop.h"
#include "nmt_time.h"
#include "pcap/capture.h"
#include "pcap/filter.h"
#include "pcap/pace.h"
#include "pcap/pcapng.h"

#define DOWN_PAUSE_NS 100000000u /* between two looks at an interface that is down */

struct run {
	const struct extcap_job *job;
	struct fifo fifo;
	struct unm_cap *cap;
	struct unm_pcapng out;
	uint32_t idx;
	uint64_t start_ns;
	uint64_t accepted;
	struct unm_pace pace;
};

static bool
is_wanted(const struct run *r, const struct unm_cap_frame *f)
{
	if (r->job->direction != EXTCAP_BOTH && (r->job->direction == EXTCAP_OUT) != f->is_tx)
		return false;
	return unm_filter_matches(r->job->filter, f);
}

static void
write_frame(struct run *r, const struct unm_cap_frame *f)
{
	const uint32_t caplen = f->len < r->job->snaplen ? f->len : r->job->snaplen;
	const struct unm_pcapng_packet pkt = {
		.data = f->data,
		.caplen = caplen,
		.len = f->len,
		.time_ns = unm_cap_time_ns(r->cap),
		.direction = f->is_tx ? UNM_PCAPNG_OUT : UNM_PCAPNG_IN,
	};

	r->accepted++;
	(void)unm_pcapng_packet(&r->out, r->idx, &pkt); /* an error sticks */
}

/* Return: how many frames that were. */
static uint32_t
take_batch(struct run *r)
{
	struct unm_cap_frame f[UNM_CAP_BATCH];
	const uint32_t n = unm_cap_batch(r->cap, f, UNM_CAP_BATCH);
	uint32_t i;

	for (i = 0; i < n; i++)
		if (is_wanted(r, &f[i]))
			write_frame(r, &f[i]);
	unm_cap_release(r->cap);
	r->pace.frames += n;
	return n;
}

/* All that is there. Return: 0, or negative errno of the port. */
static int
drain(struct run *r)
{
	const uint32_t n_slots = unm_cap_n_slots(r->cap);
	uint32_t n, total = 0;
	int ret;

	do {
		ret = unm_cap_sync(r->cap);
		n = take_batch(r);
		total += n;
		/* After the rings' size whoever reads gets what has been written. */
	} while (ret == 0 && n > 0 && total < n_slots && !nmt_stop_requested());
	return ret;
}

/* Until there is something to do. Return: 0, or negative errno; -EPIPE: nobody reads any more. */
static int
rest(struct run *r, bool is_down)
{
	const uint32_t nap_ns = is_down ? DOWN_PAUSE_NS
					: unm_pace_nap_ns(&r->pace, unm_cap_time_ns(r->cap),
						  unm_cap_n_slots(r->cap));
	const struct timespec nap = {.tv_nsec = nap_ns};
	struct pollfd p[2] = {
		{is_down ? -1 : unm_cap_fd(r->cap), nap_ns == 0 ? POLLIN : 0, 0},
		{r->fifo.fd, 0, 0}, /* errors only */
	};
	const int n = nmt_stop_ppoll(p, 2, nap_ns != 0 ? &nap : NULL);

	if (n < 0 && n != -EINTR)
		return n;
	return n > 0 && p[1].revents != 0 ? -EPIPE : 0; /* of the port the next sync tells */
}

static int
loop(struct run *r)
{
	int ret = 0;

	while (ret == 0 && !nmt_stop_requested()) { /* a batch of at most the rings' size a round */
		ret = drain(r);
		if (unm_pcapng_flush(&r->out) < 0 || (ret < 0 && ret != -ENETDOWN))
			break;
		ret = rest(r, ret == -ENETDOWN);
	}
	return ret;
}

static uint64_t
real_time_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NMT_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int
write_end(struct run *r)
{
	struct unm_cap_counters c;
	struct unm_pcapng_counters counters;

	unm_cap_get_counters(r->cap, &c);
	counters = (struct unm_pcapng_counters){
		.start_ns = r->start_ns,
		.end_ns = real_time_ns(),
		.received = c.frames,
		.dropped = c.missed + c.invalid,
		.accepted = r->accepted,
	};
	(void)unm_pcapng_counters(&r->out, r->idx, &counters);
	return unm_pcapng_flush(&r->out);
}

static int
write_begin(struct run *r)
{
	const struct unm_pcapng_interface iface = {
		.name = r->job->name,
		.description =
			unm_cap_is_monitor(r->cap) ? "netmap port, monitored" : "netmap port",
		.filter = r->job->filter != NULL ? r->job->filter_text : NULL,
		.snaplen = r->job->snaplen,
	};
	int64_t idx;

	(void)unm_pcapng_begin(&r->out, r->fifo.file, "nm-extcap");
	idx = unm_pcapng_interface(&r->out, &iface);
	r->idx = idx > 0 ? (uint32_t)idx : 0;
	r->start_ns = real_time_ns();
	return unm_pcapng_flush(&r->out);
}

/* What came of it, in words. */
static int
result(const struct run *r, int port_error, int file_error, char *why)
{
	if (file_error == -EPIPE || (file_error == 0 && port_error == -EPIPE))
		return 0; /* Wireshark has seen enough */
	if (file_error < 0) {
		snprintf(why, UNM_CAP_WHY_SIZE, "cannot write to %.128s: %s", r->job->fifo,
			file_error == -ETIMEDOUT ? "it is full, and nobody reads it"
						 : strerror(-file_error));
		return file_error;
	}
	if (port_error < 0)
		snprintf(why, UNM_CAP_WHY_SIZE, "%.128s has gone", r->job->name);
	return port_error;
}

int
extcap_capture(const struct extcap_job *job, char *why)
{
	const struct unm_cap_opts opts = {.name = job->name};
	struct run r = {.job = job};
	int ret, file_error;

	signal(SIGPIPE, SIG_IGN);
	ret = nmt_stop_init(false);
	if (ret < 0) {
		snprintf(why, UNM_CAP_WHY_SIZE, "signals: %s", strerror(-ret));
		return ret;
	}
	ret = unm_cap_open(&r.cap, &opts, why);
	if (ret < 0)
		return ret;
	ret = fifo_open(&r.fifo, job->fifo);
	if (ret < 0) {
		unm_cap_close(r.cap);
		if (ret == -EINTR)
			return 0;
		snprintf(
			why, UNM_CAP_WHY_SIZE, "cannot open %.128s: %s", job->fifo, strerror(-ret));
		return ret;
	}
	file_error = write_begin(&r);
	ret = file_error < 0 ? 0 : loop(&r);
	file_error = write_end(&r);
	ret = result(&r, ret, file_error, why);
	fifo_close(&r.fifo);
	unm_cap_close(r.cap);
	return ret;
}
