/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening and closing a bound port, and announcing sleep on it. See port.h.
 *
 * Everything that netmapd said about the port is checked here against the sizes of what is really
 * mapped, once; the data path then uses the private copies.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "port/join.h"
#include "port/monitor.h"
#include "port/super_rx.h"
#include "ring/wake.h"

static const struct unm_port_ops *
ops_of(uint32_t kind)
{
	switch (kind) {
	case UNM_PORT_VALE:
		return &unm_port_vale_ops;
	case UNM_PORT_PIPE:
		return &unm_port_pipe_ops;
	case UNM_PORT_NULL:
		return &unm_port_null_ops;
	case UNM_PORT_TAP:
		return &unm_port_tap_ops;
	case UNM_PORT_BASE:
		return &unm_port_sink_ops;
	case UNM_PORT_NIC:
		return &unm_port_nic_ops;
	case UNM_PORT_MONITOR:
		return &unm_port_monitor_ops;
	case UNM_PORT_ISOLATED:
		return &unm_port_isolated_ops;
	default:
		return NULL;
	}
}

static int
bring_init(
	struct unm_bring *r, struct unm_bport *bp, uint32_t kring_idx, uint32_t ring_id, bool is_rx)
{
	const struct unm_region *region = bp->region;

	if (kring_idx >= bp->seg->n_krings)
		return -EINVAL;
	r->bp = bp;
	r->kring = &bp->seg->krings[kring_idx];
	r->ops = bp->ops;
	r->kring_idx = kring_idx;
	r->ring_id = ring_id;
	r->is_rx = is_rx;
	r->fd = -1;
	r->stack_fd = -1;
	r->bufs = region->base + region->info.buf_ofs;
	r->buf_size = region->info.buf_size;
	r->n_bufs = region->info.buf_num;
	/* A null port has exactly what was asked for, rings without slots too (spec 11). */
	r->ring = unm_region_ring(
		region, r->kring, bp->info.kind == UNM_PORT_NULL ? 0 : 2, &r->num_slots);
	return r->ring != NULL && UNM_READ_ONCE(r->kring->is_rx) == (uint32_t)is_rx ? 0 : -EINVAL;
}

/*
 * First kring and number of rings of each direction of a port entry, NIC and host rings together,
 * and how many of them come before the host rings.
 */
struct geometry {
	uint32_t base, n_tx, n_rx;
	uint32_t n_nic_tx, n_nic_rx;
};

static int
port_geometry(const struct unm_seg *seg, uint32_t port, struct geometry *g)
{
	const struct unm_seg_port *e = &seg->ports[port];
	const uint32_t tx = UNM_READ_ONCE(e->n_tx_rings), htx = UNM_READ_ONCE(e->n_host_tx_rings);
	const uint32_t rx = UNM_READ_ONCE(e->n_rx_rings), hrx = UNM_READ_ONCE(e->n_host_rx_rings);

	g->base = UNM_READ_ONCE(e->kring_base);
	if (tx > UNM_PORT_MAX_RINGS || htx > UNM_PORT_MAX_RINGS || rx > UNM_PORT_MAX_RINGS ||
		hrx > UNM_PORT_MAX_RINGS)
		return -EINVAL;
	g->n_tx = tx + htx;
	g->n_rx = rx + hrx;
	g->n_nic_tx = tx;
	g->n_nic_rx = rx;
	return g->base <= seg->n_krings && g->n_tx + g->n_rx <= seg->n_krings - g->base ? 0
											: -EINVAL;
}

/* Pipe: ring i of one direction meets ring i of the other direction of the other end. */
static int
link_peer(struct unm_bport *bp, const struct geometry *peer)
{
	uint32_t i, n;

	for (i = 0; i < bp->n_tx + bp->n_rx; i++) {
		struct unm_bring *r = i < bp->n_tx ? &bp->tx[i] : &bp->rx[i - bp->n_tx];
		const uint32_t n_peer = r->is_rx ? peer->n_tx : peer->n_rx;

		if (r->ring_id >= n_peer)
			return -EINVAL;
		r->peer_kring =
			&bp->seg->krings[peer->base + (r->is_rx ? 0 : peer->n_tx) + r->ring_id];
		r->peer_ring = unm_region_ring(bp->region, r->peer_kring, 2, &n);
		if (r->peer_ring == NULL || n != r->num_slots)
			return -EINVAL;
	}
	return 0;
}

/*
 * Descriptors of the rings: NIC ring i has the port's descriptor i (if it has so many), host ring i
 * queue i of those that lead to the kernel's stack.
 */
static int
give_descriptor(struct unm_bring *r, const struct geometry *g, const int *fds)
{
	const struct unm_bind_info *info = &r->bp->info;
	const uint32_t n_nic = r->is_rx ? g->n_nic_rx : g->n_nic_tx;
	const uint32_t n_own = info->n_host_fds > 0 ? info->host_fd : info->n_port_fds;

	if (info->kind == UNM_PORT_MONITOR || info->kind == UNM_PORT_ISOLATED)
		return 0; /* they are the watched port's: see monitor_fp.c; or the broker's */
	if (r->ring_id < n_nic) {
		r->fd = r->ring_id < n_own ? fds[r->ring_id] : -1;
		if (r->is_rx && info->n_host_fds > 0)
			r->stack_fd = fds[info->host_fd + r->ring_id % info->n_host_fds];
		return 0;
	}
	if (r->ring_id - n_nic >= info->n_host_fds)
		return -EINVAL;
	r->fd = fds[info->host_fd + r->ring_id - n_nic];
	return unm_host_ring_init(r);
}

static int
open_rings(struct unm_bport *bp, const int *fds)
{
	const struct unm_bind_info *info = &bp->info;
	struct geometry g, peer_g;
	uint32_t peer, i;
	int err = port_geometry(bp->seg, info->port, &g);

	if (err != 0)
		return err;
	if (info->tx_lo > info->tx_hi || info->tx_hi > g.n_tx || info->rx_lo > info->rx_hi ||
		info->rx_hi > g.n_rx || info->host_fd > info->n_port_fds ||
		info->n_host_fds > info->n_port_fds - info->host_fd)
		return -EINVAL;
	bp->n_tx = info->tx_hi - info->tx_lo;
	bp->n_rx = info->rx_hi - info->rx_lo;
	bp->tx = calloc((size_t)bp->n_tx + bp->n_rx + 1, sizeof(*bp->tx));
	if (bp->tx == NULL)
		return -ENOMEM;
	bp->rx = bp->tx + bp->n_tx;
	if (info->n_host_fds > 0 && g.n_nic_rx < g.n_rx)
		bp->host_rx = &bp->seg->krings[g.base + g.n_tx + g.n_nic_rx];
	for (i = 0; i < bp->n_tx && err == 0; i++)
		err = bring_init(&bp->tx[i], bp, g.base + info->tx_lo + i, info->tx_lo + i, false);
	for (i = 0; i < bp->n_rx && err == 0; i++)
		err = bring_init(
			&bp->rx[i], bp, g.base + g.n_tx + info->rx_lo + i, info->rx_lo + i, true);
	if (err != 0)
		return err;
	for (i = 0; i < bp->n_tx + bp->n_rx && err == 0; i++)
		err = give_descriptor(&bp->tx[i], &g, fds);
	if (err != 0)
		return err;
	if (info->kind != UNM_PORT_PIPE)
		return 0;
	peer = UNM_READ_ONCE(bp->seg->ports[info->port].peer_port);
	if (peer >= bp->seg->n_ports || port_geometry(bp->seg, peer, &peer_g) != 0)
		return -EINVAL;
	return link_peer(bp, &peer_g);
}

static void
free_rings(struct unm_bport *bp)
{
	uint32_t i;

	for (i = 0; bp->tx != NULL && i < bp->n_tx + bp->n_rx; i++) {
		unm_super_rx_fini(&bp->tx[i]);
		unm_mons_free(bp->tx[i].mons);
		unm_mons_free(bp->tx[i].peer_mons);
		free(bp->tx[i].sent);
	}
	free(bp->tx);
}

int
unm_bport_open(struct unm_bport **out, const struct unm_env *env, struct unm_seg *seg,
	struct unm_region *region, const struct unm_bind_info *info, const int *fds)
{
	struct unm_bport *bp;
	int err;

	if (info->port >= seg->n_ports || info->binding >= seg->n_bindings ||
		ops_of(info->kind) == NULL || unm_region_check(&region->info) != 0 ||
		info->nifp_ofs >= region->info.size ||
		region->info.size - info->nifp_ofs < sizeof(struct netmap_if))
		return -EINVAL;
	if (UNM_READ_ONCE(seg->ports[info->port].gen) != info->port_gen)
		return -ESTALE;
	bp = calloc(1, sizeof(*bp));
	if (bp == NULL)
		return -ENOMEM;
	bp->env = env;
	bp->ops = ops_of(info->kind);
	bp->kick_fd = info->kind == UNM_PORT_ISOLATED ? fds[0] : -1;
	bp->seg = seg;
	bp->region = region;
	bp->info = *info;
	bp->fds = fds;
	bp->nifp = (struct netmap_if *)(void *)(region->base + info->nifp_ofs);
	bp->vnet_hdr_len = UNM_READ_ONCE(seg->ports[info->port].vnet_hdr_len);
	err = open_rings(bp, fds);
	if (err == 0 && bp->ops->open != NULL)
		err = bp->ops->open(bp);
	if (err != 0) {
		free_rings(bp);
		free(bp);
		return err;
	}
	*out = bp;
	return 0;
}

void
unm_bport_close(struct unm_bport *bp)
{
	if (bp == NULL)
		return;
	if (bp->ops->close != NULL)
		bp->ops->close(bp);
	free_rings(bp);
	free(bp);
}

void
unm_bport_lose(struct unm_bport *bp)
{
	UNM_WRITE_ONCE(bp->info.port_gen, 0); /* of an entry that was never used: no port has it */
}

void
unm_bport_after_fork(struct unm_bport *bp)
{
	UNM_WRITE_ONCE(bp->busy_thread, 0);
	if (bp->ops->after_fork != NULL)
		bp->ops->after_fork(bp);
}

static void
arm_ring(struct unm_bring *r)
{
	unm_arm_ring(r->kring);
	if (r->ops->arm_ring != NULL)
		r->ops->arm_ring(r);
}

void
unm_bport_arm(struct unm_bport *bp, short events)
{
	struct unm_seg_binding *b = &bp->seg->bindings[bp->info.binding];
	uint32_t bits = 0, i;

	if (events & (POLLIN | POLLRDNORM))
		bits |= UNM_WANT_RX;
	if (events & (POLLOUT | POLLWRNORM))
		bits |= UNM_WANT_TX;
	/*
	 * Frames that a lossless receiver had no room for are sent when it has: that takes a
	 * wake-up too.
	 */
	for (i = 0; !(bp->info.nr_flags & NR_NO_TX_POLL) && i < bp->n_tx; i++)
		if (UNM_READ_ONCE(bp->tx[i].ring->head) != bp->tx[i].ops->tx_done(&bp->tx[i]))
			bits |= UNM_WANT_TX;
	__atomic_fetch_or(&b->want, bits, __ATOMIC_RELEASE);
	for (i = 0; (bits & UNM_WANT_RX) && i < bp->n_rx; i++)
		arm_ring(&bp->rx[i]);
	for (i = 0; (bits & UNM_WANT_TX) && i < bp->n_tx; i++)
		arm_ring(&bp->tx[i]);
	unm_arm_fence();
}

uint32_t
unm_bport_signalled_us(const struct unm_bport *bp)
{
	return UNM_READ_ONCE(bp->seg->bindings[bp->info.binding].signalled_us);
}

unsigned int
unm_bport_fds(const struct unm_bport *bp, short events, struct pollfd *out, unsigned int max)
{
	unsigned int n = 0;
	uint32_t i;

	for (i = 0; i < bp->n_tx + bp->n_rx && n < max; i++) {
		const struct unm_bring *r = &bp->tx[i];
		const short mask = r->is_rx ? POLLIN | POLLRDNORM : POLLOUT | POLLWRNORM;

		if (r->fd < 0 || !(events & mask))
			continue;
		if (r->is_rx && r->ops->rx_has_room != NULL && !r->ops->rx_has_room(r))
			continue;
		/* The socket of a joined tx ring has always room; the ring may have none. */
		if (!r->is_rx && bp->info.kind == UNM_PORT_NIC && unm_join_is_on(r))
			continue;
		out[n].fd = r->fd;
		out[n].events = r->is_rx ? POLLIN : POLLOUT;
		out[n].revents = 0;
		n++;
	}
	return n;
}
