/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP ports: a kernel interface whose far side is a netmap port. Ring i sends to and receives from
 * queue i.
 *
 * The interface is made when the port is opened and goes with it, unless it was there before as a
 * persistent one. While it is attached to a switch the port stays, whatever becomes of the worker.
 * "tap:IF^" is the TAP beside an interface, which has its queues: see host_port.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/host_port.h"
#include "daemon/kinds.h"
#include "daemon/nic_host.h"
#include "daemon/tap.h"

/* A ring for each of the attached port's, in its memory. */
static struct unm_geometry
geometry_beside(const struct unm_dport *attached)
{
	const struct unm_geometry geo = {
		.n_tx = attached->n_rx,
		.n_rx = attached->n_tx,
		.tx_slots = UNM_TAP_ATTACHED_SLOTS,
		.rx_slots = attached->tx_slots,
		.region = attached->region,
	};

	return geo;
}

static int
make_port(struct unm_domain *dom, const struct unm_name *name, const struct unm_geometry *geo,
	struct unm_dregion *region, struct unm_dport **out, struct unm_reason *why)
{
	const uint32_t tx = unm_hint(geo->n_tx, 1, 1, UNM_MAX_TAP_QUEUES);
	const uint32_t rx = unm_hint(geo->n_rx, 1, 1, UNM_MAX_TAP_QUEUES);
	struct unm_dport *nic = unm_host_port_nic(dom, name->full);
	const uint32_t n = nic != NULL ? nic->n_host_fds : tx > rx ? tx : rx;
	struct unm_port_spec spec = {
		.kind = UNM_PORT_TAP,
		.ops = &unm_kind_tap,
		.name = name->full,
		.region = region,
		.seg = unm_domain_segment(dom, why),
		.n_tx = n, /* a queue takes and gives frames: as many rings each way */
		.n_rx = n,
		.tx_slots = unm_hint(
			geo->tx_slots, UNM_DEFAULT_SLOTS, UNM_MIN_SLOTS, UNM_PORT_MAX_SLOTS),
		.rx_slots = unm_hint(
			geo->rx_slots, UNM_DEFAULT_SLOTS, UNM_MIN_SLOTS, UNM_PORT_MAX_SLOTS),
	};
	int fds[UNM_MAX_TAP_QUEUES];
	struct unm_dport *port;
	uint32_t i;
	int ret;

	if (spec.seg == NULL)
		return -ENOMEM;
	ret = nic != NULL ? unm_host_port_queues(nic, fds, why)
			  : unm_tap_open_queues(name, n, fds, why);
	if (ret < 0)
		return ret;
	ret = unm_dport_new(dom, &spec, &port, why);
	if (ret < 0) {
		for (i = 0; i < n; i++)
			close(fds[i]);
		return ret;
	}
	memcpy(port->port_fds, fds, n * sizeof(*fds));
	port->n_port_fds = n;
	unm_dport_activate(port);
	unm_dport_link(dom, port);
	if (nic != NULL)
		unm_nic_host_note_switch(nic, true);
	*out = port;
	return 0;
}

int
unm_tap_open(struct unm_domain *dom, const struct unm_name *name, const struct unm_geometry *geo,
	struct unm_dport **out, struct unm_reason *why)
{
	struct unm_dregion *region = NULL;
	const struct unm_dport *attached;
	struct unm_geometry as_attached;
	struct unm_dport *base;
	int ret;

	*out = unm_port_find(dom, name);
	ret = unm_base_in_the_way(name->full, out, &base, why);
	if (ret < 0 || *out != NULL)
		return ret;
	attached = unm_port_attached_as(dom, name->full);
	if (attached != NULL &&
		geo->region == NULL) { /* it was lost, or could not be made before */
		as_attached = geometry_beside(attached);
		geo = &as_attached;
	}
	if (geo->region == NULL)
		ret = unm_dregion_global(&dom->regions, &region, why);
	if (ret == 0)
		ret = make_port(
			dom, name, geo, geo->region != NULL ? geo->region : region, out, why);
	if (ret == 0 && base != NULL)
		unm_dport_remove(dom, base);
	unm_dregion_put(&dom->regions, region);
	return ret;
}

struct unm_dport *
unm_tap_behind(struct unm_domain *dom, const struct unm_dport *attached)
{
	const char *part = strchr(attached->name, ':');
	char tap[UNM_NAME_SIZE + 8];

	if (!(attached->flags & UNM_PORTF_ATTACHED) || part == NULL)
		return NULL;
	part++;
	snprintf(tap, sizeof(tap), "%s%s", strncmp(part, "tap:", 4) == 0 ? "" : "tap:", part);
	return unm_dport_find(dom, tap);
}

/* The last client has gone, in whatever way: a TAP that stays does its own checksums again. */
static void
tap_idle(struct unm_domain *dom, struct unm_dport *port)
{
	struct unm_dport *nic;

	if (port->vnet_hdr_len != 0) {
		if (port->n_port_fds > 0)
			unm_tap_set_header(port->port_fds[0], 0, 0); /* can't fail where it went */
		unm_dport_set_vnet_hdr(port, 0, 0);
	}
	/*
	 * One that is on a switch waits for its next worker, or it would lose its addresses. Without
	 * queues, as nobody has handed them back, it is of no use to anybody.
	 */
	if (port->n_port_fds > 0 &&
		(port->n_pipes > 0 || unm_port_attached_as(dom, port->name) != NULL))
		return;
	nic = unm_host_port_nic(dom, port->name);
	if (nic != NULL)
		unm_nic_host_note_switch(nic, false);
	unm_dport_remove(dom, port);
}

const struct unm_port_kind_ops unm_kind_tap = {
	.label = "tap",
	.idle = tap_idle,
};
