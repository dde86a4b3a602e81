/* SPDX-License-Identifier: BSD-2-Clause */
/* A switch with a few ports, all of them opened by the test itself, for the tests of VALE. */
#ifndef VALE_RIG_H
#define VALE_RIG_H

#include "fake_domain.h"
#include "traffic.h"

#define RIG_BUF_SIZE 2048u

struct vale_rig {
	struct fake_domain *d;
	uint32_t n;
	struct unm_bport *port[FAKE_MAX_PORTS];
};

/* An empty switch; the common region has @n_bufs buffers. */
void vale_rig_init(struct vale_rig *v, uint32_t n_bufs);
void vale_rig_free(struct vale_rig *v);
/* Add and open a port. @g->kind is filled in. Return: its index. */
uint32_t vale_rig_add(struct vale_rig *v, struct fake_geometry g);
/* As vale_rig_init() with @n ports of one ring of @slots slots each way. */
void vale_rig_simple(struct vale_rig *v, uint32_t n, uint32_t slots);

/* Let the switch learn the MACs of all ports. Counters of the tx rings are zero afterwards. */
void vale_rig_teach(struct vale_rig *v);

/* Shorthands for ring 0. */
struct unm_bring *vale_tx(const struct vale_rig *v, uint32_t port);
struct unm_bring *vale_rx(const struct vale_rig *v, uint32_t port);
void vale_send(struct vale_rig *v, uint32_t from, uint32_t to, uint32_t len, uint64_t seq);
void vale_txsync(struct vale_rig *v, uint32_t port);
/* Frames that a sync finds in ring 0. */
uint32_t vale_pending(struct vale_rig *v, uint32_t port);
/* Sync, expect one frame from @from with number @seq at the head of ring 0, and give its slot back. */
void vale_expect(struct vale_rig *v, uint32_t port, uint32_t from, uint64_t seq);
/* Sync and give everything back. Return: slots that were pending. */
uint32_t vale_drain(struct vale_rig *v, uint32_t port);

/* A reason's counter of tx ring 0. */
uint64_t vale_drops(const struct vale_rig *v, uint32_t port, enum unm_drop reason);
/* All reasons of tx ring 0. */
uint64_t vale_all_drops(const struct vale_rig *v, uint32_t port);

#endif
