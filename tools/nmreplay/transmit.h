/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread that sends: it walks through the schedule, waits until an event is due, and copies
 * what is due into a transmit ring.
 *
 * Time is absolute. The thread notes when it started; an event is due at that time plus what the
 * schedule says, so that being late once makes nothing else late. After a pause (a full pipe, a
 * preempted thread) everything overdue goes out at once, in batches.
 *
 * Waiting: asleep until NMR_SPIN_NS before the event, then spinning, because a sleeping thread
 * wakes too late for a packet; see transmit.c for the figures.
 *
 * One ring, the first that the port has bound: packets of several rings could overtake each other.
 * A packet larger than a buffer takes several slots (NS_MOREFRAG).
 *
 * Threads: nmr_tx_start() to nmr_tx_join() are for the main thread. In between the port belongs to
 * the transmitter; the main thread reads counters, each of which has one writer, and may ask it to
 * stop.
 */
#ifndef TRANSMIT_H_
#define TRANSMIT_H_

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <libnetmap.h>

#include "schedule.h"
#include "trace.h"

/*
 * A sleeping thread is woken this long before the packet is due and spins for the rest. On a
 * virtual machine with 2 CPUs ppoll() with a timer slack of 1 ns came back 26 us late in the median
 * after sleeping for 100 us, 95 us after 10 ms, and less than 150 us in nine of ten cases (measured
 * for this constant; 5000 and 500 sleeps). At 100 packets a second it costs 2 % of a CPU.
 */
#define NMR_SPIN_NS UINT64_C(200000)

#define NMR_NO_CPU  (-1)

/* What has been done so far. */
struct nmr_counters {
	uint64_t n_rx;	      /* packets whose turn came: sent or lost */
	uint64_t n_tx;	      /* packets put into the ring */
	uint64_t n_lost;      /* packets that the loss model took */
	uint64_t n_bytes;     /* in the packets of n_tx */
	uint64_t round;	      /* the pass over the trace that is being played, from 1 */
	uint64_t max_queue;   /* most packets due and not yet sent, since counters were read last */
	uint64_t max_late_ns; /* longest time that a packet left after it was due, likewise */
	uint64_t sum_late_ns; /* total of these times */
};

struct nmr_tx_config {
	struct nmport_d *port;		  /* open; borrowed */
	const struct nmr_trace *trace;	  /* borrowed */
	const struct nmr_schedule *sched; /* borrowed */
	uint32_t batch;			  /* packets handed over in one sync, at most */
	int cpu;			  /* to run on, or NMR_NO_CPU */
};

struct nmr_tx {
	struct nmr_tx_config config;
	struct netmap_ring *ring;
	struct nmr_cursor cursor; /* private to the transmitter */
	pthread_t thread;
	int stop_fd;		/* eventfd, readable when the transmitter has to stop */
	int done_fd;		/* eventfd, readable when it has ended */
	bool stop;		/* the same as stop_fd, for looking at often; W: main thread */
	uint64_t start_ns;	/* W: transmitter, before its first packet */
	uint64_t end_ns;	/* W: transmitter, before done_fd; behind its last packet */
	uint32_t n_undelivered; /* W: transmitter, before done_fd; slots the port had not taken */
	int result;		/* W: transmitter, before done_fd; 0 or negative errno */
	struct nmr_counters counters; /* W: transmitter; the two maxima are reset by main */
};

/** nmr_tx_max_packet() - bytes of the largest packet that fits into the transmit ring of a port */
uint64_t nmr_tx_max_packet(const struct nmport_d *port);

/**
 * nmr_tx_start() - start the thread; the first packet may leave before this returns
 * @tx: undefined on failure; must not move until nmr_tx_join()
 *
 * The port must have a transmit ring and each packet must fit (nmr_tx_max_packet()).
 * Return: 0 or negative errno: no thread, no descriptors, or -EINVAL the CPU cannot be had.
 */
int nmr_tx_start(struct nmr_tx *tx, const struct nmr_tx_config *config);

/** nmr_tx_stop() - have the thread end soon, without sending what is due */
void nmr_tx_stop(struct nmr_tx *tx);

/**
 * nmr_tx_join() - wait for the end of the thread and release what nmr_tx_start() took
 *
 * Counters, times and n_undelivered stay readable.
 * Return: 0 all sent or stopped; else what the port answered: -ENXIO or -EIO, it went away.
 */
int nmr_tx_join(struct nmr_tx *tx);

/** nmr_tx_read_counters() - counters as of now; starts new maxima */
void nmr_tx_read_counters(struct nmr_tx *tx, struct nmr_counters *out);

#endif /* TRANSMIT_H_ */
