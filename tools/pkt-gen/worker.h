/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: one thread, one descriptor, one function.
 *
 * The main thread sets a worker up, starts its body and from then on only reads its counters, and
 * tells it to stop. The worker publishes counters once per batch with relaxed stores: each is a
 * number by itself, and a report that is one batch behind is right all the same. Everything else in
 * the struct belongs to the worker until it is finished, then to the main thread (pthread_join()
 * orders the two).
 *
 * min_space, the least number of slots that the worker found available in a report period, is
 * published together with the number of the period, so that main thread and worker need not both
 * write it: a value of an older period counts as "none".
 */
#ifndef PG_WORKER_H_
#define PG_WORKER_H_

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <libnetmap.h>

#include "frame.h"
#include "hist.h"
#include "nmt_port.h"
#include "nmt_slot.h"
#include "options.h"
#include "pace.h"
#include "port.h"

#define PG_CACHE_LINE 64
#define PG_NO_SPACE   99999 /* min_space of a period without any batch */
#define PG_POLL_TX_MS 2000
#define PG_POLL_RX_MS 1000

/* All senders begin together: time for the threads to start. */
#define PG_START_DELAY_NS 10000000

/* Holds any frame sent, and any slot received (its length has 16 bits). */
#define PG_SCRATCH_SIZE (PG_VNET_HDR_MAX + PG_FRAME_LEN_MAX)

/* What a worker counts; all W: worker. */
struct pg_counters {
	uint64_t pkts;
	uint64_t bytes;
	uint64_t events;       /* batches that were not empty */
	uint64_t period_space; /* period << 32 | min_space */
};

/* How sequence numbers arrived (rxseq). */
struct pg_seq_stats {
	uint64_t n_gaps;    /* places where numbers are missing */
	uint64_t n_lost;    /* missing numbers, as far as they did not come later */
	uint64_t n_late;    /* numbers below the expected one: reordered or repeated */
	uint64_t n_foreign; /* frames without a number */
	uint32_t expected;
	bool has_expected;
};

/* How pings were answered. */
struct pg_ping_stats {
	uint64_t n_sent;
	uint64_t n_lost; /* not answered in time */
};

/* What a tx ring's slot looked like when we last sent it; see tx.c. */
struct pg_tx_ring {
	struct netmap_ring *ring;
	uint64_t *known; /* owned; one per slot */
};

struct pg_worker {
	struct pg_counters ctr __attribute__((aligned(PG_CACHE_LINE)));
	bool is_finished; /* W: worker, last thing before its end */

	/* Own line: the counters above are read by another thread. */
	const struct pg_options *opt __attribute__((aligned(PG_CACHE_LINE)));
	const struct pg_template *tmpl;
	struct pg_port *port;
	struct nmport_d *nmd; /* NULL unless the port is netmap's */
	uint32_t idx;
	int cpu;	    /* -1: not pinned */
	uint64_t n_packets; /* this thread's share; 0: no end */
	uint64_t start_ns;  /* when all threads begin */
	pthread_t thread;   /* W: main */
	bool is_started;    /* W: main */

	/* Private to the worker. */
	struct pg_counters local; /* what is going to be published */
	uint32_t period;
	uint32_t min_space;
	struct pg_tx_ring *tx_rings; /* owned */
	uint32_t n_tx_rings;
	uint32_t n_rx_rings;
	uint32_t n_bufs; /* of the region */
	struct pg_vary vary;
	uint8_t *scratch;    /* owned; PG_SCRATCH_SIZE bytes that begin with the template */
	uint64_t access_sum; /* -o 2: what was read, so that it is not optimised away */

	/* Results. */
	struct pg_pace pace;
	struct pg_hist hist; /* round trips (ping) or delays (rx -o 16), ns */
	struct pg_seq_stats seq;
	struct pg_ping_stats ping;
	uint64_t n_dropped;	 /* pong: found no room */
	uint64_t tic_ns, toc_ns; /* first and last activity; 0: none */
	int error;		 /* negative errno: why it ended early */
};

/* Private to the two functions below. W: main. */
extern bool pg_stop_flag;

/** pg_set_stop() - have the workers end as soon as they look. Thread: main. */
static inline void
pg_set_stop(bool stop)
{
	__atomic_store_n(&pg_stop_flag, stop, __ATOMIC_RELAXED); /* nothing else hangs on it */
}

static inline bool
pg_is_stopped(void)
{
	return __atomic_load_n(&pg_stop_flag, __ATOMIC_RELAXED);
}

/* Number of the report period. W: main. */
extern uint32_t pg_period;

/* Thread bodies; @arg is a struct pg_worker. */
void *sender_body(void *arg);
void *receiver_body(void *arg);
void *ping_body(void *arg);
void *pong_body(void *arg);

/** pg_worker_init() - set up thread @idx. Thread: main. Return: 0 or -ENOMEM. */
int pg_worker_init(struct pg_worker *w, const struct pg_options *opt,
	const struct pg_template *tmpl, struct pg_port *port, uint32_t idx);

/** pg_worker_set_start() - when all threads begin to send. Thread: main, before they start. */
void pg_worker_set_start(struct pg_worker *w, uint64_t start_ns);

/** pg_worker_free() - after its thread has been joined */
void pg_worker_free(struct pg_worker *w);

/** pg_worker_begin() - first thing in a body: pin, name; false: give up (w->error set) */
bool pg_worker_begin(struct pg_worker *w);

/** pg_worker_finish() - last thing in a body: publish and tell the main thread */
void *pg_worker_finish(struct pg_worker *w);

/** pg_worker_read() - the counters as published. Thread: main. */
struct pg_counters pg_worker_read(const struct pg_worker *w);

/** pg_worker_publish() - make w->local visible to the main thread. Thread: worker. */
static inline void
pg_worker_publish(struct pg_worker *w)
{
	/* Relaxed: see the top of the file. */
	__atomic_store_n(&w->ctr.pkts, w->local.pkts, __ATOMIC_RELAXED);
	__atomic_store_n(&w->ctr.bytes, w->local.bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&w->ctr.events, w->local.events, __ATOMIC_RELAXED);
	__atomic_store_n(
		&w->ctr.period_space, (uint64_t)w->period << 32 | w->min_space, __ATOMIC_RELAXED);
}

/** pg_worker_note_space() - a batch found @space slots. Thread: worker. */
static inline void
pg_worker_note_space(struct pg_worker *w, uint32_t space)
{
	uint32_t period = __atomic_load_n(&pg_period, __ATOMIC_RELAXED);

	if (period != w->period || space < w->min_space) {
		w->period = period;
		w->min_space = space;
	}
}

/**
 * pg_worker_is_done() - whether the worker is to end: stopped, or its share of packets is through
 */
static inline bool
pg_worker_is_done(const struct pg_worker *w)
{
	return pg_is_stopped() || (w->n_packets != 0 && w->local.pkts >= w->n_packets);
}

/** pg_worker_n_left() - packets still to go, at most @limit */
static inline uint32_t
pg_worker_n_left(const struct pg_worker *w, uint32_t limit)
{
	uint64_t left;

	if (w->n_packets == 0)
		return limit;
	left = w->n_packets - w->local.pkts;
	return left < limit ? (uint32_t)left : limit;
}

/* A buffer that may be used: slots lie where other processes can write, so indices are checked. */
struct pg_buf {
	uint8_t *data;
	uint32_t room; /* bytes from data to the end of the buffer */
};

/**
 * pg_slot_buf() - the buffer of a slot, at the offset that the slot gives
 *
 * An impossible index stands for buffer 0, which nobody uses, an impossible offset for 0, so what
 * comes back can be read and written. Thread: the ring's.
 */
static inline struct pg_buf
pg_slot_buf(
	const struct pg_worker *w, const struct netmap_ring *ring, const struct netmap_slot *slot)
{
	const uint32_t idx = slot->buf_idx;
	const uint64_t off = NETMAP_ROFFSET(ring, slot);
	const uint32_t checked_off = off < ring->nr_buf_size ? (uint32_t)off : 0;

	return (struct pg_buf){
		.data = (uint8_t *)NETMAP_BUF(ring, idx < w->n_bufs ? idx : 0) + checked_off,
		.room = ring->nr_buf_size - checked_off,
	};
}

/**
 * pg_wait_ring() - synchronise, and sleep until a ring is ready unless busy waiting was asked for
 * @events: POLLIN or POLLOUT
 *
 * Thread: worker; blocks up to @timeout_ms. Return: as poll(2) (busy waiting: 1), or negative
 * errno; -EINTR after a signal, -EIO when the port reports POLLERR.
 */
int pg_wait_ring(struct pg_worker *w, short events, int timeout_ms);

/** pg_sync_tx(), pg_sync_rx() - NIOCTXSYNC, NIOCRXSYNC. Return: 0 or negative errno. */
int pg_sync_tx(struct pg_worker *w);
int pg_sync_rx(struct pg_worker *w);

/** pg_flush_tx() - sync until everything sent has been taken, or until pg_set_stop() */
void pg_flush_tx(struct pg_worker *w);

/** pg_dump() - -X: one frame in hexadecimal on standard error. Thread: any. */
void pg_dump(const uint8_t *data, uint32_t len, uint32_t slot_idx);

#endif /* PG_WORKER_H_ */
