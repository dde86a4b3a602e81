/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker's data path: one thread for all bindings of the isolate.
 *
 *   HOT     looked at in each round, never has to be kicked. Exits: ARMED, when nothing has come
 *           for some rounds; REMOVED.
 *   ARMED   the client kicks, peers signal (both by eventfd), and the thread may sleep. Exits: HOT.
 *   REMOVED the thread has forgotten it.
 *
 * In a round each hot binding has one turn, and in a turn each of its rings a budget of slots: so
 * nobody keeps the others waiting for longer than their number of turns. A round without work is
 * followed by some looking (client/spin.h), then by sleep.
 *
 * Everything a client can write is read once and checked: two positions a ring from its CSB here,
 * slots in the port's sync. Nothing in its memory decides for how long a loop runs, or where we
 * store.
 */
#ifndef UNM_ISOLATE_PUMP_H
#define UNM_ISOLATE_PUMP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/desc.h"
#include "client/spin.h"
#include "ring/csb.h"

/* One ring that is pumped. Private to the thread; what the client sees is a copy. */
struct unm_pump_ring {
	struct unm_bring *ring; /* of our own binding: the port's sync takes it from there */
	struct nm_csb_atok *atok;
	struct nm_csb_ktoa *ktoa;
	uint32_t num_slots;
	uint32_t head;	/* accepted: the port's sync has seen slots before it */
	uint32_t hwcur; /* published */
	uint32_t tail;	/* published */
	bool is_rx;
	bool is_behind; /* the port has not taken all up to @head: no room at the receiver */
};

/* A binding as the pump knows it. The maker fills in the first group before unm_pump_add(). */
struct unm_pump_binding {
	struct unm_bport *bport;
	int port_fd; /* signalled by peers; never read */
	int kick_fd; /* signalled by the client; never read */
	int call_fd; /* signalled for the client */
	struct unm_seg_port *standin;
	uint32_t n_rings;
	struct unm_pump_ring *rings;

	bool is_hot;
	bool is_gone;	   /* the port was taken away */
	bool is_throttled; /* has frames to send, and the rate is used up */
	uint32_t n_idle;   /* rounds without work */
	uint32_t link_flags;
};

struct unm_pump_stats {
	uint64_t n_rounds, n_sleeps, n_calls, n_throttled;
};

struct unm_pump;

/**
 * unm_pump_new() - start the thread
 * @rate_pps: frames (slots) that all clients together may send in a second; 0 = no limit
 *
 * Return: 0 or -errno.
 */
int unm_pump_new(struct unm_pump **out, uint64_t rate_pps);

/**
 * unm_pump_add(), unm_pump_remove() - @b is borrowed in between
 *
 * Both wait for the thread, which is never busy for longer than a round; after remove the last
 * frames that the client had handed over are on their way. Return (add): 0 or -errno.
 */
int unm_pump_add(struct unm_pump *p, struct unm_pump_binding *b);
void unm_pump_remove(struct unm_pump *p, struct unm_pump_binding *b);

#endif
