/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes (spec 14): two ports that are made and freed together.
 *
 *   BASE{ID   tx ring i ---> rx ring i   BASE}ID        tx and rx ring have the same slots
 *             rx ring i <--- tx ring i
 *
 * All rings are opened before the first of the two is bound (unm_bind(), in steps), tx rings with
 * buffers, rx rings without, and stay open while one end is in use: that is what keeps the packets of
 * an end that is closed and opened again. The memory is that of the base port; if no port has the
 * base's name one is made, which ends with its last pipe, or when an interface of its name is opened.
 * One that ends before them (such a one, or an interface that is gone) leaves them without a base.
 * Only an isolated client's port shares its memory with nobody: pipes of its name are in the global
 * region.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/kinds.h"

/* Find or make the port whose region the pipe uses. */
static int
open_base(struct unm_domain *dom, const struct unm_name *name, const struct unm_geometry *geo,
	struct unm_dport **out, struct unm_reason *why)
{
	struct unm_geometry g = {.region = geo->region, .n_extra = geo->n_extra};
	struct unm_dregion *region = NULL;
	struct unm_name base;
	int ret = unm_name_parse(name->base, &base, why);

	if (base.kind == UNM_NAME_VALE)
		return ret < 0 ? ret : unm_vale_open(dom, &base, &g, out, why);
	*out = ret < 0 ? unm_dport_find(dom, name->base) : unm_port_find(dom, &base);
	if (*out != NULL)
		return 0;
	if (g.region == NULL) {
		ret = unm_dregion_global(&dom->regions, &region, why);
		if (ret < 0)
			return ret;
		g.region = region;
	}
	unm_vale_geometry(dom, &g);
	ret = unm_base_new(dom, name->base, &g, 0, out, why);
	unm_dregion_put(&dom->regions, region);
	return ret;
}

static int
make_end(struct unm_domain *dom, const struct unm_port_spec *spec, char brace,
	const struct unm_name *name, struct unm_dport **out, struct unm_reason *why)
{
	char full[UNM_NAME_SIZE * 2];
	struct unm_port_spec end = *spec;

	snprintf(full, sizeof(full), "%s%c%s", name->base, brace, name->id);
	end.name = full;
	return unm_dport_new(dom, &end, out, why);
}

static void
take_down(struct unm_domain *dom, struct unm_dport *port)
{
	struct unm_dport *peer = port->peer;
	uint32_t i;

	/*
	 * Both ends' tx rings first: to tell whose buffers are whose the peer's rx ring is needed.
	 */
	for (i = 0; i < port->n_tx; i++)
		unm_dring_close(port, i);
	for (i = 0; peer != NULL && i < peer->n_tx; i++)
		unm_dring_close(peer, i);
	unm_dport_remove(dom, port); /* waits for its peer */
	if (peer != NULL) {
		unm_dport_remove(dom, peer);
		unm_dport_finish(dom, port);
	}
}

/* Where the rings of a pipe over @base lie, with a reference. */
static int
take_region(struct unm_domain *dom, const struct unm_dport *base, struct unm_dregion **out,
	struct unm_reason *why)
{
	if (base->region->isolate_id != 0)
		return unm_dregion_global(&dom->regions, out, why);
	*out = unm_dregion_get(base->region);
	return 0;
}

/* Both ends, over memory that the caller has. @spec: the master's. @out: both */
static int
make_ends(struct unm_domain *dom, const struct unm_name *name, const struct unm_port_spec *spec,
	struct unm_dport **out, struct unm_reason *why)
{
	struct unm_port_spec other = *spec;
	struct unm_dport *master = NULL, *slave = NULL;
	int ret = make_end(dom, spec, '{', name, &master, why);

	if (ret < 0)
		return ret;
	other.n_tx = spec->n_rx;
	other.n_rx = spec->n_tx;
	other.tx_slots = spec->rx_slots;
	other.rx_slots = spec->tx_slots;
	ret = make_end(dom, &other, '}', name, &slave, why);
	if (ret < 0) {
		unm_dport_remove(dom, master);
		return ret;
	}
	master->peer = slave;
	slave->peer = master;
	out[0] = master;
	out[1] = slave;
	return 0;
}

static int
make_pair(struct unm_domain *dom, const struct unm_name *name, const struct unm_geometry *geo,
	struct unm_dport *base, struct unm_dport **out, struct unm_reason *why)
{
	struct unm_port_spec spec = {
		.kind = UNM_PORT_PIPE,
		.ops = &unm_kind_pipe,
		.name = name->full,
		.seg = unm_domain_segment(dom, why),
		.n_tx = unm_hint(geo->n_tx, 1, 1, UNM_PORT_MAX_RINGS),
		.n_rx = unm_hint(geo->n_rx, 1, 1, UNM_PORT_MAX_RINGS),
		.tx_slots =
			unm_hint(geo->tx_slots, base->tx_slots, UNM_MIN_SLOTS, UNM_PORT_MAX_SLOTS),
		.rx_slots =
			unm_hint(geo->rx_slots, base->rx_slots, UNM_MIN_SLOTS, UNM_PORT_MAX_SLOTS),
	};
	struct unm_dport *ends[2] = {NULL, NULL};
	int i, ret;

	if (spec.seg == NULL)
		return -ENOMEM;
	ret = take_region(dom, base, &spec.region, why);
	if (ret < 0)
		return ret;
	ret = unm_port_check_size(geo, &spec, why);
	if (ret == 0)
		ret = make_ends(dom, name, &spec, ends, why);
	unm_dregion_put(&dom->regions, spec.region);
	if (ret < 0)
		return ret;
	base->n_pipes++;
	for (i = 0; i < 2; i++) {
		ends[i]->base = base;
		unm_dport_activate(ends[i]);
		unm_dport_link(dom, ends[i]);
	}
	*out = ends[name->is_master ? 0 : 1];
	return 0;
}

int
unm_pipe_open(struct unm_domain *dom, const struct unm_name *name, const struct unm_geometry *geo,
	struct unm_dport **out, struct unm_reason *why)
{
	struct unm_dport *base = NULL;
	int ret;

	*out = unm_dport_find(dom, name->full);
	if (*out != NULL)
		return 0;
	ret = open_base(dom, name, geo, &base, why);
	if (ret < 0)
		return ret;
	if (base->flags & UNM_PORTF_ATTACHED)
		ret = unm_fail(why, -EBUSY, "'%s' is attached to a switch", base->name);
	if (ret == 0)
		ret = make_pair(dom, name, geo, base, out, why);
	if (ret < 0)
		unm_port_release(dom, base);
	return ret;
}

static void
pipe_idle(struct unm_domain *dom, struct unm_dport *port)
{
	struct unm_dport *base = port->base;

	if (port->peer != NULL && (port->peer->n_bindings > 0 || port->peer->n_pending > 0))
		return;
	/* Now, as an end that has to wait for its peer may outlive the base. */
	port->base = NULL;
	if (port->peer != NULL)
		port->peer->base = NULL;
	take_down(dom, port);
	if (base != NULL) {
		base->n_pipes--;
		unm_port_release(dom, base);
	}
}

const struct unm_port_kind_ops unm_kind_pipe = {
	.label = "pipe",
	.keeps_rings = true,
	.idle = pipe_idle,
};
