/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Actors of the stress and kill tests: senders and receivers that run as threads or as processes of their own, sleep
 * as the client library does, and check what they get.
 *
 * Whoever sleeps for ACTOR_PATIENCE_MS although there is something to do has missed a wake-up: the test aborts.
 */
#ifndef ACTORS_H
#define ACTORS_H

#include <pthread.h>
#include <sys/types.h>

#include "fake_domain.h"
#include "traffic.h"

#define ACTOR_PATIENCE_MS 40000
#define ACTOR_MAX	  16

/* How a thread sleeps on one binding: an epoll instance of its own, edge-triggered (see src/ring/wake.h). */
struct waiter {
	int ep;
};

void waiter_init(struct waiter *w, const struct fake_domain *d, uint32_t binding);
void waiter_free(struct waiter *w);
/*
 * Like poll(2): return when @bp is ready for some of @events. @stop, if not NULL: return 0 as well once it is set and
 * somebody has signalled the binding.
 */
short waiter_poll(struct waiter *w, struct unm_bport *bp, short events, const uint32_t *stop);

/* One actor; shared memory when actors are processes. */
struct actor {
	void (*run)(struct actor *a);
	struct fake_domain *d;
	uint32_t slot; /* client slot of its own */
	uint32_t port;
	struct unm_bport *bp; /* NULL: it opens the port itself */
	uint32_t ring;	      /* that it works on */
	uint32_t blocking;    /* sleeps instead of spinning */
	uint64_t seed;
	uint64_t n; /* sender: frames to send, then: frames sent; receiver: frames got */
	const uint32_t *stop;
	void *arg;
	pid_t pid;
	pthread_t thread;
};

/* Start all, in this order, as threads or processes. */
void actors_start(struct actor *a, unsigned int n, bool processes);
/* Wait until @a has ended, which must be well. */
void actor_join(struct actor *a, bool process);

/*
 * Let traffic run for @ms, and on a machine that is busy otherwise for longer, until rx kring @k has seen some frames.
 */
void actors_run(const struct unm_kring *k, unsigned int ms);

/* Zeroed memory that children of a fork share. */
void *actors_shared(size_t size);

/* Flows as a receiver sees them: the next number that is due of each. */
struct flows {
	uint64_t next[64];
};

/*
 * Check the frame at head of an rx ring whose frames have one slot: whole, and not older than the last of its flow.
 * @gapless: none is missing either. Return: the flow.
 */
uint32_t flows_check(struct flows *f, const struct unm_bring *r, bool gapless);

#endif
