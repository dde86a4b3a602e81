/* SPDX-License-Identifier: BSD-2-Clause */
/* Life of a worker, waiting and syncing: see worker.h. */
#include "worker.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "nmt_affinity.h"
#include "nmt_log.h"
#include "nmt_time.h"

#define FLUSH_SLEEP_NS	50000
#define FLUSH_NOTICE_NS NMT_NS_PER_S
#define DUMP_MAX	2048 /* bytes of a frame that are shown */
#define TIMER_SLACK_NS	1

bool pg_stop_flag;
uint32_t pg_period;

static int
init_rings(struct pg_worker *w)
{
	uint32_t n_tx = nmt_port_n_tx(w->nmd);

	w->n_rx_rings = nmt_port_n_rx(w->nmd);
	w->n_bufs = nmt_port_n_bufs(w->nmd);
	w->tx_rings = calloc((size_t)n_tx + 1, sizeof(w->tx_rings[0]));
	if (w->tx_rings == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_tx; i++) {
		struct pg_tx_ring *r = &w->tx_rings[i];

		r->ring = nmt_port_tx(w->nmd, i);
		/* Zeroes match no slot: buffer 0 is never handed out. */
		r->known = calloc(r->ring->num_slots, sizeof(r->known[0]));
		if (r->known == NULL)
			return -ENOMEM;
		w->n_tx_rings++;
	}
	return 0;
}

int
pg_worker_init(struct pg_worker *w, const struct pg_options *opt, const struct pg_template *tmpl,
	struct pg_port *port, uint32_t idx)
{
	int n_online = nmt_n_cpus();
	uint32_t step = opt->n_cpus_given ? idx % (uint32_t)opt->n_cpus : idx;
	int error = 0;

	memset(w, 0, sizeof(*w));
	w->opt = opt;
	w->tmpl = tmpl;
	w->port = port;
	w->nmd = port->nmd[idx];
	w->idx = idx;
	w->cpu = opt->first_cpu < 0 ? -1 : (opt->first_cpu + (int)step) % n_online;
	w->min_space = PG_NO_SPACE;
	pg_worker_publish(w);
	w->n_packets = opt->n_packets / opt->n_threads;
	if (idx < opt->n_packets % opt->n_threads)
		w->n_packets++;
	pg_hist_reset(&w->hist);
	pg_vary_init(&w->vary, tmpl, opt, idx);
	w->scratch = malloc(PG_SCRATCH_SIZE);
	if (w->scratch == NULL)
		return -ENOMEM;
	memcpy(w->scratch, tmpl->data, tmpl->len);
	if (w->nmd != NULL)
		error = init_rings(w);
	return error;
}

void
pg_worker_set_start(struct pg_worker *w, uint64_t start_ns)
{
	w->start_ns = start_ns;
	pg_pace_init(&w->pace, w->opt->rate_pps, w->opt->n_threads, w->idx, start_ns);
}

void
pg_worker_free(struct pg_worker *w)
{
	for (uint32_t i = 0; i < w->n_tx_rings; i++)
		free(w->tx_rings[i].known);
	free(w->tx_rings);
	free(w->scratch);
	w->tx_rings = NULL;
	w->n_tx_rings = 0;
	w->scratch = NULL;
}

bool
pg_worker_begin(struct pg_worker *w)
{
	int error;

	nmt_set_timer_slack_ns(TIMER_SLACK_NS); /* pacing gets less exact without, no more */
	if (w->cpu < 0)
		return true;
	error = nmt_pin_self(w->cpu);
	if (error == 0)
		return true;
	nmt_log("cannot pin thread %u to CPU %d: %s", w->idx, w->cpu, strerror(-error));
	w->error = error;
	return false;
}

void *
pg_worker_finish(struct pg_worker *w)
{
	pg_worker_publish(w);
	/* The join that follows orders everything else. */
	__atomic_store_n(&w->is_finished, true, __ATOMIC_RELAXED);
	kill(getpid(), SIGUSR1); /* the main thread waits for signals */
	return NULL;
}

struct pg_counters
pg_worker_read(const struct pg_worker *w)
{
	return (struct pg_counters){
		.pkts = __atomic_load_n(&w->ctr.pkts, __ATOMIC_RELAXED),
		.bytes = __atomic_load_n(&w->ctr.bytes, __ATOMIC_RELAXED),
		.events = __atomic_load_n(&w->ctr.events, __ATOMIC_RELAXED),
		.period_space = __atomic_load_n(&w->ctr.period_space, __ATOMIC_RELAXED),
	};
}

int
pg_sync_tx(struct pg_worker *w)
{
	return ioctl(w->nmd->fd, NIOCTXSYNC, NULL) == 0 ? 0 : -errno;
}

int
pg_sync_rx(struct pg_worker *w)
{
	return ioctl(w->nmd->fd, NIOCRXSYNC, NULL) == 0 ? 0 : -errno;
}

int
pg_wait_ring(struct pg_worker *w, short events, int timeout_ms)
{
	struct pollfd pfd = {.fd = w->nmd->fd, .events = events};
	int n;

	if (w->opt->busy_wait) {
		n = events == POLLIN ? pg_sync_rx(w) : pg_sync_tx(w);
		return n == 0 ? 1 : n;
	}
	n = poll(&pfd, 1, timeout_ms);
	if (n < 0)
		return -errno;
	if (n > 0 && (pfd.revents & POLLERR) != 0)
		return -EIO;
	return n;
}

static bool
is_tx_pending(const struct pg_worker *w)
{
	for (uint32_t i = 0; i < w->n_tx_rings; i++)
		if (nm_tx_pending(w->tx_rings[i].ring))
			return true;
	return false;
}

void
pg_flush_tx(struct pg_worker *w)
{
	uint64_t notice_ns = nmt_now_ns() + FLUSH_NOTICE_NS;

	/* Ends with the receiver taking the packets, or with Ctrl-C. */
	while (!pg_is_stopped()) {
		if (pg_sync_tx(w) != 0 || !is_tx_pending(w))
			return;
		if (notice_ns != 0 && nmt_now_ns() >= notice_ns) {
			nmt_log("packets are waiting to be taken by the receiver, Ctrl-C gives up");
			notice_ns = 0;
		}
		nmt_sleep_until_ns(nmt_now_ns() + FLUSH_SLEEP_NS); /* -EINTR: look again */
	}
}

void
pg_dump(const uint8_t *data, uint32_t len, uint32_t slot_idx)
{
	uint32_t shown = len < DUMP_MAX ? len : DUMP_MAX;

	flockfile(stderr);
	fprintf(stderr, "slot %u: %u bytes\n", slot_idx, len);
	for (uint32_t i = 0; i < shown; i += 16) { /* at most 128 lines */
		uint32_t n = shown - i < 16 ? shown - i : 16;

		fprintf(stderr, "%5u: ", i);
		for (uint32_t k = 0; k < 16; k++) {
			if (k < n)
				fprintf(stderr, "%02x ", data[i + k]);
			else
				fputs("   ", stderr);
		}
		fputc(' ', stderr);
		for (uint32_t k = 0; k < n; k++)
			fputc(isprint(data[i + k]) ? data[i + k] : '.', stderr);
		fputc('\n', stderr);
	}
	funlockfile(stderr);
}
