/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trust domain without netmapd, for tests of the data path: one segment and one region in shared anonymous memory, ports laid out by
 * the test. Works across fork, as the memory is shared and addresses stay the same.
 */
#ifndef FAKE_DOMAIN_H
#define FAKE_DOMAIN_H

#include "port/port.h"

#define FAKE_MAX_PORTS 320

struct fake_domain {
	struct unm_seg seg;
	struct unm_region region;
	uint64_t ring_top; /* next free byte of the ring pool */
	uint32_t buf_top;  /* next free buffer */
	uint32_t kring_top;
	uint32_t n_ports;
	uint32_t n_bindings;
	int eventfd[FAKE_MAX_PORTS];
};

struct fake_geometry {
	uint32_t kind; /* enum unm_port_kind */
	uint32_t n_tx, n_rx, slots;
	uint32_t flags; /* UNM_PORTF_*; OPEN is added */
};

/* Make a domain with @n_bufs buffers of @buf_size bytes. Aborts the test on failure. */
struct fake_domain *fake_domain_new(uint32_t seg_type, uint32_t n_bufs, uint32_t buf_size);
void fake_domain_free(struct fake_domain *d);

/* Add a port with one binding; buffers are put into its rings (not into the rx rings of a pipe). Return: its index. */
uint32_t fake_port_add(struct fake_domain *d, const struct fake_geometry *g);
/* Make two pipe ports each other's peers. */
void fake_pipe_join(struct fake_domain *d, uint32_t a, uint32_t b);
/* Open a bport that has all rings of @port. */
struct unm_bport *fake_port_open(struct fake_domain *d, uint32_t port);
/* Change a port's entry the way netmapd does: generation and epoch move. */
void fake_port_set_state(struct fake_domain *d, uint32_t port, uint32_t state, uint32_t flags);

/* What the env callbacks saw. */
extern uint32_t fake_slot; /* slot() answers this */
extern unsigned int fake_stuck_calls;

#endif
