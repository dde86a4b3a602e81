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
 * Kicks that bring no work do not make a binding HOT; a client that goes on with them is not
 * listened to for a while (pump_fp.c: MUTE_MS), so what it costs has a bound. Nor can it keep the
 * thread in a call that blocks: vm/event_fd.h.
 */
#ifndef UNM_ISOLATE_PUMP_H
#define UNM_ISOLATE_PUMP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/desc.h"
#include "client/spin.h"
#include "isolate/turn_fp.h"

struct unm_pump_stats {
	uint64_t n_rounds, n_sleeps, n_calls, n_throttled, n_muted;
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

/** unm_pump_call() - signal the client of a binding that was added */
void unm_pump_call(struct unm_pump *p, struct unm_pump_binding *b);

#endif
