/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions about an open port that the library's struct answers only after some arithmetic, and
 * syncing it. All functions want a port that nmport_open() or nmport_mmap() has finished.
 * Thread: any, but one at a time for each port.
 */
#ifndef NMT_PORT_H_
#define NMT_PORT_H_

#include <stddef.h>
#include <stdint.h>

#include <libnetmap.h>

/** nmt_port_n_rx(), nmt_port_n_tx() - how many rings are bound, host rings included; may be 0 */
static inline uint32_t
nmt_port_n_rx(const struct nmport_d *d)
{
	/* An empty interval may wrap around: spec section 22.1. */
	return (uint16_t)(d->last_rx_ring - d->first_rx_ring + 1);
}

static inline uint32_t
nmt_port_n_tx(const struct nmport_d *d)
{
	return (uint16_t)(d->last_tx_ring - d->first_tx_ring + 1);
}

/** nmt_port_rx() - the @i-th bound receive ring, @i below nmt_port_n_rx() */
static inline struct netmap_ring *
nmt_port_rx(const struct nmport_d *d, uint32_t i)
{
	return NETMAP_RXRING(d->nifp, d->first_rx_ring + i);
}

/** nmt_port_tx() - the @i-th bound transmit ring, @i below nmt_port_n_tx() */
static inline struct netmap_ring *
nmt_port_tx(const struct nmport_d *d, uint32_t i)
{
	return NETMAP_TXRING(d->nifp, d->first_tx_ring + i);
}

/**
 * nmt_port_n_bufs() - how many buffers the port's region can have
 *
 * Counted from buffer 0 to the end of the mapping, so every smaller index gives an address inside
 * of it. Return: 0 if the port has no rings.
 */
static inline uint32_t
nmt_port_n_bufs(const struct nmport_d *d)
{
	const char *end = (const char *)d->mem->mem + d->mem->size;
	struct netmap_ring *ring;
	uint64_t n;

	if (nmt_port_n_rx(d) > 0)
		ring = nmt_port_rx(d, 0);
	else if (nmt_port_n_tx(d) > 0)
		ring = nmt_port_tx(d, 0);
	else
		return 0;
	n = (uint64_t)(end - NETMAP_BUF(ring, 0)) / ring->nr_buf_size;
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/**
 * nmt_port_sync() - NIOCTXSYNC or NIOCRXSYNC for all rings that are bound
 *
 * Does not sleep. Return: 0 or negative errno (spec section 7.5), with a message on standard error
 * that names the port.
 */
int nmt_port_sync(const struct nmport_d *d, unsigned long request);

#endif /* NMT_PORT_H_ */
