/* SPDX-License-Identifier: BSD-2-Clause */
/* Host rings of interfaces. See nic_host.h. */
/* Syscalls: fcntl close */
#include "daemon/nic_host.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/hoststack.h"
#include "daemon/nic.h"
#include "daemon/packet.h"

static_assert(UNM_HOST_MAX_QUEUES == UNM_MAX_TAP_QUEUES, "queues of a TAP");

static enum unm_host_inject
injection(enum unm_nic_mode mode)
{
	switch (mode) {
	case UNM_NIC_XDP_SKB:
		return UNM_HOST_TOKEN;
	case UNM_NIC_PACKET:
		return UNM_HOST_MARKED;
	default:
		return UNM_HOST_PLAIN;
	}
}

/*
 * The socket for segments that are sent joined. For veth ends, which hand frames over in the order of
 * the calls: other drivers have queues that are sent in an order of their own, or get some later.
 */
static int
open_segments(const struct unm_netdev *dev, enum unm_nic_mode mode)
{
	int fd;

	if (!dev->is_veth || dev->n_tx > 1 || (mode != UNM_NIC_XDP_DRV && mode != UNM_NIC_XDP_SKB))
		return -1;
	fd = unm_packet_open_sender(dev->ifindex);
	if (fd < 0)
		unm_log(LOG_INFO, "%s: segments are sent one by one: %s", dev->name, strerror(-fd));
	return fd;
}

void
unm_nic_host_open(const struct unm_netdev *dev, enum unm_nic_mode mode,
	const struct unm_geometry *geo, struct unm_nic_host *h)
{
	h->n_tx = unm_hint(geo->n_host_tx, 1, 1, UNM_HOST_MAX_QUEUES);
	h->n_rx = unm_hint(geo->n_host_rx, 1, 1, UNM_HOST_MAX_QUEUES);
	h->n_fds = h->n_tx > h->n_rx ? h->n_tx : h->n_rx;
	h->segment_fd = -1;
	if (unm_host_open(dev->name, dev->ifindex, injection(mode), h->n_fds, h->fds, &h->why) ==
		0) {
		h->segment_fd = open_segments(dev, mode);
		return;
	}
	unm_log(LOG_WARNING, "%s", h->why.text);
	h->n_tx = h->n_rx = h->n_fds = 0;
}

void
unm_nic_host_close(const struct unm_nic_host *h)
{
	uint32_t i;

	for (i = 0; i < h->n_fds; i++)
		close(h->fds[i]);
	if (h->n_fds > 0 && h->segment_fd >= 0)
		close(h->segment_fd);
}

void
unm_nic_host_join(struct unm_dport *port, const struct unm_nic_host *h)
{
	if (h->n_fds == 0)
		return;
	/* Every place has a descriptor: see nic_rings.c. */
	port->port_fds[port->n_port_fds++] =
		h->segment_fd >= 0 ? h->segment_fd : fcntl(h->fds[0], F_DUPFD_CLOEXEC, 0);
	port->host_fd = port->n_port_fds;
	port->n_host_fds = h->n_fds;
	memcpy(port->port_fds + port->host_fd, h->fds, h->n_fds * sizeof(h->fds[0]));
	port->n_port_fds += h->n_fds;
}

uint32_t
unm_nic_host_n_fds(const struct unm_dport *port)
{
	return port->n_host_fds > 0 ? port->host_fd + port->n_host_fds : port->n_port_fds;
}

void
unm_nic_host_stop(struct unm_dport *port)
{
	if (port->n_host_fds == 0 || port->n_port_fds == unm_nic_host_n_fds(port))
		return;
	port->n_port_fds--;
	unm_host_release(port->port_fds[port->host_fd], port->nic->ifindex,
		port->port_fds[port->n_port_fds]);
}

void
unm_nic_host_settle(struct unm_dport *port, uint32_t closing)
{
	const bool is_on = port->n_port_fds > unm_nic_host_n_fds(port);
	struct unm_reason why = {""};
	bool wanted = false;
	uint32_t i;
	int fd;

	if (port->nic == NULL || port->n_host_fds == 0)
		return;
	for (i = 0; i < unm_dport_nic_tx(port) && !wanted; i++)
		wanted = i != closing && port->rings[i].is_open;
	wanted = wanted && !port->is_dying;
	if (wanted == is_on)
		return;
	if (is_on) {
		unm_nic_host_stop(port);
		return;
	}
	fd = unm_host_intercept(port->port_fds[port->host_fd], port->nic->ifindex, &why);
	if (fd >= 0)
		port->port_fds[port->n_port_fds++] = fd;
	else
		unm_log(LOG_WARNING, "'%s': %s", port->name, why.text);
}

void
unm_nic_host_note_switch(struct unm_dport *port, bool is_on)
{
	if (is_on)
		port->flags |= UNM_PORTF_STACK;
	else
		port->flags &= ~UNM_PORTF_STACK;
	unm_dport_update(port);
}

uint32_t
unm_nic_host_shown_fds(const struct unm_dbinding *b)
{
	const struct unm_dport *port = b->port;

	if (b->tx_lo < b->tx_hi && b->tx_lo < unm_dport_nic_tx(port))
		return port->n_port_fds;
	return unm_nic_host_n_fds(port);
}
