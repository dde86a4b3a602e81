/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One turn of a binding: what the client has written is read, checked and carried out.
 *
 * Everything a client can write is read once: two positions a ring from its CSB here, slots where
 * they are copied (copy_fp.h). Nothing in its memory decides for how long a loop runs, or where we
 * store.
 */
#ifndef UNM_ISOLATE_TURN_FP_H
#define UNM_ISOLATE_TURN_FP_H

#include <stdbool.h>
#include <stdint.h>

#include "isolate/bucket.h"
#include "isolate/copy_fp.h"
#include "port/port.h"
#include "ring/csb.h"

#define UNM_TURN_SLOTS                                                                             \
	512u		 /* of a ring in a turn; with more than two rings, twice as many for all */
#define UNM_TURN_MIN 32u /* but so many of each */

/* One ring that is pumped. Private to the thread; what the client sees is a copy. */
struct unm_pump_ring {
	struct unm_bring *ring; /* of our own binding: the port's sync takes it from there */
	struct nm_csb_atok *atok;
	struct nm_csb_ktoa *ktoa;
	struct unm_copy_ring copy; /* the client's own ring */
	uint32_t num_slots;
	uint32_t head;	/* accepted: the port's sync has seen slots before it */
	uint32_t hwcur; /* published */
	uint32_t tail;	/* published */
	bool is_rx;
	/*
	 * tx: there will be news without any from the client. The port has not taken all up to
	 * @head (no room at the receiver), or has taken slots that it has not given back yet
	 */
	bool is_behind;
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

	/* The pump's own */
	bool is_hot;
	bool is_gone;		 /* the port was taken away */
	bool is_throttled;	 /* has frames to send, and the rate is used up */
	uint32_t n_idle;	 /* rounds without work */
	uint32_t n_slow_calls;	 /* in a row */
	struct unm_bucket kicks; /* that may bring no work */
	struct unm_pump_binding *next_muted;
	bool is_muted;	     /* has kicked too often for nothing: its kicks are not waited for */
	uint32_t port_flags; /* as the client has been told: UNM_ISO_PORT_FLAGS */
};

/* What a turn has done. */
#define UNM_TURN_MOVED 1u /* something has moved */
#define UNM_TURN_CALL  2u /* the client sleeps on it */
#define UNM_TURN_FULL  4u /* a ring is full of what the client has not read yet, or nearly so */

/**
 * unm_turn() - each ring of @b once, as many slots as stands above
 * @rate: what may be sent now; what is sent is taken from it
 *
 * Return: UNM_TURN_* bits.
 */
uint32_t unm_turn(struct unm_pump_binding *b, struct unm_bucket *rate);

/* Is there a tx ring that goes on when a receiver makes room, or gives slots back? */
bool unm_turn_is_behind(const struct unm_pump_binding *b);

/*
 * Ask the client for kicks (before sleep), or not (while we look anyway). Of an rx ring only if it has
 * slots to give back: there may be a sender who waits for the last of them.
 */
void unm_turn_need_kick(const struct unm_pump_binding *b, bool is_asleep);

#endif
