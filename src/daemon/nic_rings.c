/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings of interfaces. See nic_rings.h.
 *
 * A queue's frames come to us while its rx ring is open: then the program's table has its socket. The
 * first opening of an rx ring gives the kernel a pool of buffers for it, which it keeps until the port
 * ends, as there is no way to get them back but to close the socket.
 */
/* Syscalls: recvfrom */
#include "daemon/nic_rings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/nic.h"
#include "daemon/nic_host.h"
#include "daemon/packet.h"
#include "shm/xsk_ring.h"

#define MAX_STALE 65536u /* frames in a socket's buffer */

/* Buffers for the kernel's use: from the window. */
static int
alloc_in_window(const struct unm_dport *port, uint32_t n, uint32_t *bufs, struct unm_reason *why)
{
	const uint32_t n_window = port->nic->setup.n_window;
	struct unm_pool *pool = &port->region->bufs;
	const int ret = unm_pool_alloc_many(pool, n, bufs, why);
	uint32_t i;

	for (i = 0; ret == 0 && i < n; i++) {
		if (bufs[i] < n_window)
			continue;
		unm_pool_free_many(pool, bufs, n);
		return unm_fail(why, -ENOMEM,
			"'%s': of the region's first %u buffers, which interfaces use, no %u are "
			"free: close ports, or raise [nic] buffers in netmapd.conf",
			port->name, n_window, n);
	}
	return ret;
}

/* AF_PACKET: is there a program that keeps frames from the stack? Else its places are filled. */
static bool
has_guard(const struct unm_dport *port)
{
	return !unm_same_file(
		port->port_fds[UNM_NIC_FD_MAP(1)], port->port_fds[UNM_NIC_FD_STATE(1)]);
}

static int
set_guard(const struct unm_dport *port, bool drops)
{
	return unm_packet_guard_set(
		port->port_fds[UNM_NIC_FD_LINK(1)], port->port_fds[UNM_NIC_FD_MAP(1)], drops);
}

/* Frames that came while nobody had the ring open go back to where the next ones come from. */
static void
recycle(const struct unm_nic_setup *s, const struct unm_xsk_ring *rx, struct unm_xsk_ring *fill,
	uint32_t n_pool, uint32_t *pos)
{
	const uint32_t end = unm_xsk_produced(rx);

	for (; *pos != end && end - *pos <= rx->mask + 1; (*pos)++) { /* at most its size */
		const uint64_t addr = unm_xsk_desc(rx, *pos)->addr & ((UINT64_C(1) << 48) - 1);
		const uint64_t base = s->is_unaligned ? addr : addr - addr % s->stride;

		*unm_xsk_addr(fill, *pos + n_pool) = base;
	}
}

/* The kernel's pool of buffers for rx queue @q. */
static int
give_pool(struct unm_dport *port, uint32_t q, struct unm_xsk_ring *fill, struct unm_reason *why)
{
	struct unm_nic *nic = port->nic;
	const uint32_t n = nic->setup.fill_size;
	uint32_t *bufs = calloc(n, sizeof(*bufs));
	uint32_t i;
	int ret;

	if (bufs == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	ret = alloc_in_window(port, n, bufs, why);
	for (i = 0; ret == 0 && i < n; i++) {
		UNM_WRITE_ONCE(nic->st->owner[bufs[i]], (uint8_t)(q + 1));
		*unm_xsk_addr(fill, i) = unm_nic_frame(nic->setup.lead, nic->setup.stride, bufs[i]);
	}
	if (ret == 0) {
		nic->n_pool[q] = n;
		UNM_WRITE_ONCE(nic->st->rxq[q].n_pool, n);
	}
	free(bufs);
	return ret;
}

static int
open_rx(struct unm_dport *port, uint32_t q, struct unm_reason *why)
{
	struct unm_nic *nic = port->nic;
	const struct unm_nic_setup *s = &nic->setup;
	uint64_t *taken = &nic->st->rxq[q].taken;
	struct unm_xsk_ring rx = {0}, fill = {0};
	uint32_t pos = unm_nic_pair_pos(UNM_READ_ONCE(*taken));
	int ret;

	ret = unm_xsk_ring_map(&rx, port->port_fds[q], XDP_PGOFF_RX_RING, &s->rx_ofs, s->rx_size,
		sizeof(struct xdp_desc));
	if (ret == 0)
		ret = unm_xsk_ring_map(&fill, port->port_fds[q], XDP_UMEM_PGOFF_FILL_RING,
			&s->fill_ofs, s->fill_size, sizeof(uint64_t));
	if (ret < 0)
		unm_fail(why, ret, "can't map the rings of a socket: %s", strerror(-ret));
	else if (nic->n_pool[q] == 0)
		ret = give_pool(port, q, &fill, why);
	else
		recycle(s, &rx, &fill, nic->n_pool[q], &pos);
	if (ret == 0) {
		unm_store_release64(taken, unm_nic_pair(0, pos));
		unm_xsk_produce(&fill, pos + nic->n_pool[q]);
		unm_xsk_consume(&rx, pos);
		ret = unm_xdp_map_set(
			port->port_fds[UNM_NIC_FD_MAP(s->n_queues)], q, port->port_fds[q]);
		if (ret < 0)
			unm_fail(why, ret, "can't direct a queue's frames to the port: %s",
				strerror(-ret));
	}
	unm_xsk_ring_unmap(&rx);
	unm_xsk_ring_unmap(&fill);
	return ret;
}

static int
give_bounce(struct unm_dport *port, uint32_t q, struct unm_reason *why)
{
	struct unm_nic *nic = port->nic;
	const uint32_t n = nic->setup.n_bounce;
	uint32_t bufs[UNM_NIC_MAX_BOUNCE];
	const int ret = alloc_in_window(port, n, bufs, why);

	if (ret < 0)
		return ret;
	memcpy(nic->bounce[q], bufs, n * sizeof(*bufs));
	memcpy(nic->st->bounce[q], bufs, n * sizeof(*bufs));
	return 0;
}

/* What the previous users of the ring have not seen completed is as good as completed. */
static int
open_tx(struct unm_dport *port, uint32_t q, struct unm_reason *why)
{
	struct unm_nic *nic = port->nic;
	struct unm_nic_txq *t = &nic->st->txq[q];
	struct unm_xsk_ring tx = {0};
	uint32_t producer;
	int ret = 0;

	if (nic->bounce[q][0] == 0)
		ret = give_bounce(port, q, why);
	if (ret < 0)
		return ret;
	ret = unm_xsk_ring_map(&tx, port->port_fds[q], XDP_PGOFF_TX_RING, &nic->setup.tx_ofs,
		nic->setup.tx_size, sizeof(struct xdp_desc));
	if (ret < 0)
		return unm_fail(why, ret, "can't map the rings of a socket: %s", strerror(-ret));
	producer = UNM_READ_ONCE(*tx.producer);
	unm_store_release64(&t->taken, unm_nic_pair(0, producer));
	unm_store_release64(
		&t->done, unm_nic_pair(unm_nic_pair_slot(UNM_READ_ONCE(t->done)), producer));
	unm_xsk_ring_unmap(&tx);
	return 0;
}

/* Frames of before are nobody's; from now on they are ours alone. */
static int
open_packet(struct unm_dport *port, struct unm_reason *why)
{
	char byte;
	uint32_t n;
	int ret;

	for (n = 0; n < MAX_STALE && recv(port->port_fds[0], &byte, 1, MSG_DONTWAIT) >= 0; n++)
		continue;
	if (!has_guard(port))
		return 0;
	ret = set_guard(port, true);
	return ret < 0 ? unm_fail(why, ret, "can't keep frames from the stack: %s", strerror(-ret))
		       : 0;
}

int
unm_nic_ring_opened(struct unm_dport *port, uint32_t i, struct unm_reason *why)
{
	const bool is_packet = port->nic->setup.mode == UNM_NIC_PACKET;
	int ret = 0;

	if (i >= port->n_tx) {
		if (i - port->n_tx >= unm_dport_nic_rx(port))
			return 0;
		return is_packet ? open_packet(port, why) : open_rx(port, i - port->n_tx, why);
	}
	if (i >= unm_dport_nic_tx(port))
		return 0;
	if (!is_packet)
		ret = open_tx(port, i, why);
	if (ret == 0)
		unm_nic_host_settle(port, UNM_NONE);
	return ret;
}

void
unm_nic_ring_closing(struct unm_dport *port, uint32_t i)
{
	/* None: nobody has handed its sockets back after a restart, so they are gone. */
	const struct unm_nic *nic = port->nic;

	if (i < unm_dport_nic_tx(port))
		unm_nic_host_settle(port, i);
	if (nic == NULL || i < port->n_tx || i - port->n_tx >= unm_dport_nic_rx(port))
		return;
	if (nic->setup.mode == UNM_NIC_PACKET) {
		if (has_guard(port))
			set_guard(port, false);
	} else {
		unm_xdp_map_clear(
			port->port_fds[UNM_NIC_FD_MAP(nic->setup.n_queues)], i - port->n_tx);
	}
}

void
unm_nic_ring_moved(struct unm_dport *port, uint32_t i, uint32_t pos)
{
	const uint32_t q = i < port->n_tx ? i : i - port->n_tx;
	uint64_t *taken;

	if (port->nic == NULL)
		return; /* nobody has handed its sockets back: it ends */
	if (q >= port->nic->setup.n_queues)
		return; /* a host ring: the words that link rings are the clients' too */
	taken = i < port->n_tx ? &port->nic->st->txq[q].taken : &port->nic->st->rxq[q].taken;
	unm_store_release64(taken, unm_nic_pair(pos, unm_nic_pair_pos(UNM_READ_ONCE(*taken))));
}
