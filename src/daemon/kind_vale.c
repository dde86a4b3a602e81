/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports of VALE switches (spec 16), and those that are on no switch: persistent ones (NEWIF) and
 * the automatic bases of pipes.
 *
 * A switch is a segment; it comes with its first port and goes with its last. Each port has a
 * private region unless it joins another one, so that a client sees the buffers of no one else.
 */
/* Syscalls: socket ioctl */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "daemon/format.h"
#include "daemon/kinds.h"
#include "daemon/persistent.h"

/*
 * Pipes that a private region has room for. Only address space: memory is committed as it is used.
 */
#define SPARE_PIPES 64u
/* Openings of one port by an isolated client: one for each of its rings, large as they may be */
#define ISOLATED_IFS 256u

bool
unm_interface_exists(const char *name)
{
	return unm_ifname_ok(name) && if_nametoindex(name) != 0;
}

uint32_t
unm_max_rx_slots(uint32_t n_rings)
{
	const uint32_t share = UNM_RING_MAX_SLOTS / n_rings;

	return share > UNM_MIN_SLOTS ? share : UNM_MIN_SLOTS;
}

void
unm_vale_geometry(const struct unm_domain *dom, struct unm_geometry *geo)
{
	geo->n_tx = unm_hint(geo->n_tx, 1, 1, UNM_VALE_MAX_RINGS);
	geo->n_rx = unm_hint(geo->n_rx, 1, 1, UNM_VALE_MAX_RINGS);
	geo->tx_slots = unm_hint(
		geo->tx_slots, dom->defaults.vale_slots, UNM_MIN_SLOTS, UNM_PORT_MAX_SLOTS);
	geo->rx_slots = unm_hint(geo->rx_slots, dom->defaults.vale_slots, UNM_MIN_SLOTS,
		unm_max_rx_slots(geo->n_rx));
	if (geo->n_extra > UNM_MAX_EXTRA_BUFS)
		geo->n_extra = UNM_MAX_EXTRA_BUFS;
}

void
unm_private_shape(const struct unm_geometry *geo, struct unm_region_shape *shape)
{
	const uint32_t slots = geo->tx_slots > geo->rx_slots ? geo->tx_slots : geo->rx_slots;
	/* What an isolated client may have is counted, so there is nothing to spare. */
	const uint32_t n_pipes = geo->isolate_id == 0 ? SPARE_PIPES : 0;
	const uint32_t objs = (uint32_t)((unm_format_ring_bytes(slots) + UNM_REGION_RING_SIZE - 1) /
					 UNM_REGION_RING_SIZE);

	shape->if_num = geo->isolate_id == 0 ? 1024 : ISOLATED_IFS;
	shape->if_size = UNM_REGION_IF_SIZE;
	shape->ring_num = (geo->n_tx + geo->n_rx + 2 + n_pipes * 4) * objs;
	shape->ring_size = UNM_REGION_RING_SIZE;
	shape->buf_num = 2 + geo->n_tx * geo->tx_slots + geo->n_rx * geo->rx_slots + geo->n_extra +
			 n_pipes * 2 * slots;
	shape->buf_size = UNM_REGION_PRIVATE_BUF_SIZE;
}

/* The region asked for, or a new private one; with a reference. */
static int
take_region(struct unm_domain *dom, const struct unm_geometry *geo, struct unm_dregion **out,
	struct unm_reason *why)
{
	struct unm_region_shape shape;
	int ret;

	if (geo->region != NULL) {
		*out = unm_dregion_get(geo->region);
		return 0;
	}
	unm_private_shape(geo, &shape);
	ret = unm_dregion_create(&dom->regions, &shape, out, why);
	if (ret == 0 && geo->isolate_id != 0) {
		(*out)->isolate_id = geo->isolate_id;
		(*out)->info.flags |= UNM_REGIONF_ISOLATED;
	}
	return ret;
}

int
unm_vale_new(struct unm_domain *dom, const char *full, const char *sw,
	const struct unm_geometry *geo, uint32_t flags, struct unm_dport **out,
	struct unm_reason *why)
{
	struct unm_port_spec spec = {
		.kind = UNM_PORT_VALE,
		.ops = &unm_kind_vale,
		.name = full,
		.n_tx = geo->n_tx,
		.n_rx = geo->n_rx,
		.tx_slots = geo->tx_slots,
		.rx_slots = geo->rx_slots,
		.flags = flags,
	};
	int ret = unm_domain_switch_get(dom, sw, &spec.seg, why);

	if (ret == 0)
		ret = take_region(dom, geo, &spec.region, why);
	if (ret == 0) {
		ret = unm_port_check_size(geo, &spec, why);
		if (ret == 0)
			ret = unm_dport_new(dom, &spec, out, why);
		unm_dregion_put(&dom->regions, spec.region);
	}
	if (ret == 0) {
		unm_dport_activate(*out);
		unm_dport_link(dom, *out);
	}
	unm_domain_seg_drop_unused(dom);
	return ret;
}

int
unm_vale_open(struct unm_domain *dom, const struct unm_name *name, const struct unm_geometry *geo,
	struct unm_dport **out, struct unm_reason *why)
{
	struct unm_geometry g = *geo;
	struct unm_dport *port = unm_port_find(dom, name);

	if (port != NULL) {
		*out = port;
		return 0;
	}
	if (name->ifname[0] != '\0')
		return unm_fail(why, -EINVAL,
			"'%s': attach the TAP to the switch first (vale-ctl -a %s)", name->full,
			name->full);
	if (unm_persistent_find(dom, name->port) != NULL)
		return unm_fail(why, -EINVAL,
			"'%s' is a persistent port: attach it to the switch first (nmctl attach %s "
			"%s)",
			name->port, name->sw, name->port);
	if (unm_interface_exists(name->port) || unm_dport_find(dom, name->port) != NULL)
		return unm_fail(why, -EINVAL,
			"'%s' is an interface: attach it to the switch first (vale-ctl -a %s)",
			name->port, name->full);
	if (name->port[strlen(name->port) - 1] == '^') /* not empty: a name with a port */
		return unm_fail(why, -EINVAL,
			"'%s': no interface's host side is on the switch by this name (vale-ctl "
			"-h)",
			name->full);
	unm_vale_geometry(dom, &g);
	return unm_vale_new(dom, name->full, name->sw, &g, 0, out, why);
}

static void
vale_idle(struct unm_domain *dom, struct unm_dport *port)
{
	if (port->flags & UNM_PORTF_DETACHED)
		unm_persistent_settle(dom, port);
	else if (port->n_pipes == 0 && !(port->flags & (UNM_PORTF_PERSISTENT | UNM_PORTF_ATTACHED)))
		unm_dport_remove(dom, port);
}

int
unm_base_new(struct unm_domain *dom, const char *name, const struct unm_geometry *geo,
	uint32_t flags, struct unm_dport **out, struct unm_reason *why)
{
	struct unm_port_spec spec = {
		.kind = UNM_PORT_BASE,
		.ops = &unm_kind_base,
		.name = name,
		.n_tx = geo->n_tx,
		.n_rx = geo->n_rx,
		.tx_slots = geo->tx_slots,
		.rx_slots = geo->rx_slots,
		.flags = flags,
	};
	int ret;

	spec.seg = unm_domain_segment(dom, why);
	if (spec.seg == NULL)
		return -ENOMEM;
	ret = take_region(dom, geo, &spec.region, why);
	if (ret < 0)
		return ret;
	ret = unm_dport_new(dom, &spec, out, why);
	unm_dregion_put(&dom->regions, spec.region);
	if (ret < 0)
		return ret;
	unm_dport_activate(*out);
	unm_dport_link(dom, *out);
	return 0;
}

bool
unm_base_is_automatic(const struct unm_dport *port)
{
	return port->kind == UNM_PORT_BASE && !(port->flags & UNM_PORTF_PERSISTENT) &&
	       port->n_bindings == 0 && port->n_pending == 0;
}

int
unm_base_in_the_way(
	const char *name, struct unm_dport **port, struct unm_dport **base, struct unm_reason *why)
{
	struct unm_dport *p = *port;

	*base = NULL;
	if (p == NULL || p->kind != UNM_PORT_BASE || p->flags & UNM_PORTF_PERSISTENT)
		return 0;
	if (strcmp(p->name, name) == 0 && !unm_base_is_automatic(p))
		return unm_fail(why, -EBUSY,
			"'%s' is open as the base of pipes, from before there was an interface of "
			"that name: close that first",
			p->name);
	*port = NULL;
	if (strcmp(p->name, name) == 0)
		*base = p;
	return 0;
}

const struct unm_port_kind_ops unm_kind_vale = {
	.label = "vale",
	.shares_rx_lock = true,
	.idle = vale_idle,
};

const struct unm_port_kind_ops unm_kind_base = {
	.label = "base",
	.idle = vale_idle,
};
