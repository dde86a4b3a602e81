/* SPDX-License-Identifier: BSD-2-Clause */
/* ATTACH, DETACH, LIST, NEWIF, DELIF and POLLING (spec 16.5 to 16.8). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/elsewhere.h"
#include "daemon/host_port.h"
#include "daemon/nic.h"
#include "daemon/nic_names.h"
#include "daemon/persistent.h"
#include "daemon/request.h"
#include "daemon/tap.h"
#include "daemon/worker.h"

#define MIN_WORKER_SLOTS 64u

/*
 * A ring of either port for each queue that was asked for, and rings that hold the longest frame.
 */
static void
attached_geometry(const struct unm_domain *dom, const struct nmreq_register *reg,
	struct unm_geometry *vale, struct unm_geometry *tap)
{
	const uint32_t n =
		reg->nr_tx_rings > reg->nr_rx_rings ? reg->nr_tx_rings : reg->nr_rx_rings;

	vale->n_tx = vale->n_rx = unm_hint(n, 1, 1, UNM_MAX_TAP_QUEUES);
	vale->tx_slots = unm_hint(
		reg->nr_tx_slots, UNM_TAP_ATTACHED_SLOTS, MIN_WORKER_SLOTS, UNM_PORT_MAX_SLOTS);
	vale->rx_slots = unm_hint(
		reg->nr_rx_slots, dom->defaults.vale_slots, MIN_WORKER_SLOTS, UNM_PORT_MAX_SLOTS);
	*tap = *vale;
	tap->rx_slots = vale->tx_slots;
	tap->tx_slots = UNM_TAP_ATTACHED_SLOTS;
}

/* Is there a port that somebody has opened, or that is used in another way than as a base of pipes? */
static bool
is_open(struct unm_domain *dom, const char *name)
{
	const struct unm_dport *port = unm_dport_find(dom, name);

	return port != NULL && !unm_base_is_automatic(port);
}

static int
attach_tap(struct unm_ctrl *c, const struct unm_name *name, const struct nmreq_register *reg,
	struct unm_dregion *region, struct unm_dport **out)
{
	struct unm_geometry geo = {.region = region}, tap_geo;
	struct unm_dregion *global = NULL;
	struct unm_dport *tap_port = NULL;
	char tap[UNM_NAME_SIZE + 8];
	struct unm_name tap_name;
	int ret;

	/*
	 * "vale0:tap:IF%NETNS" has the TAP's own name as its port part, "vale0:IF" only the
	 * interface's.
	 */
	snprintf(tap, sizeof(tap), "%s%.60s", name->ifname[0] != '\0' ? "" : "tap:", name->port);
	if (is_open(&c->srv->dom, tap))
		return unm_fail(&c->why, -EBUSY, "'%s' is open: close it first", tap);
	ret = unm_tap_allowed(&c->why);
	/* The TAP port's own region, so that the worker exchanges buffers instead of copying. */
	if (ret == 0 && region == NULL)
		ret = unm_dregion_global(&c->srv->dom.regions, &global, &c->why);
	if (ret < 0)
		return ret;
	if (region == NULL)
		geo.region = global;
	attached_geometry(&c->srv->dom, reg, &geo, &tap_geo);
	/*
	 * The interface is there when the request returns, or its error is the request's: not the
	 * worker's, later.
	 */
	ret = unm_name_parse(tap, &tap_name, &c->why);
	if (ret == 0)
		ret = unm_tap_open(&c->srv->dom, &tap_name, &tap_geo, &tap_port, &c->why);
	if (ret == 0)
		ret = unm_vale_new(
			&c->srv->dom, name->full, name->sw, &geo, UNM_PORTF_ATTACHED, out, &c->why);
	if (ret == 0) {
		ret = unm_worker_attach(c->srv, *out, &c->why);
		if (ret < 0)
			unm_dport_remove(&c->srv->dom, *out);
	}
	if (ret < 0 && tap_port != NULL)
		unm_port_release(&c->srv->dom, tap_port);
	unm_dregion_put(&c->srv->dom.regions, global);
	return ret;
}

/* Its host's side, as vale0:IF^, a TAP of the same region. */
static int
attach_host(struct unm_ctrl *c, struct unm_dport *nic, const struct unm_name *name,
	const struct nmreq_register *reg, struct unm_dport **out)
{
	struct nmreq_register host = *reg;
	struct unm_geometry geo = {.region = nic->region}, tap_geo;

	host.nr_tx_rings = host.nr_rx_rings = (uint16_t)nic->n_host_fds;
	attached_geometry(&c->srv->dom, &host, &geo, &tap_geo);
	return unm_host_port_attach(&c->srv->dom, nic, name->sw, &tap_geo, &geo, out, &c->why);
}

/*
 * A network interface: the switch port lies in its region, so that the worker exchanges buffers,
 * and has a ring for each of its queues.
 */
static int
attach_nic(struct unm_ctrl *c, const struct unm_name *name, const struct nmreq_register *reg,
	struct unm_dregion *region, struct unm_dport **out)
{
	struct unm_geometry geo = {.region = region}, nic_geo = geo;
	struct unm_dport *nic = NULL, *host = NULL;
	char full[2 * UNM_NAME_SIZE];
	struct unm_name nic_name;
	bool is_there;
	int ret = unm_nic_parse_name(name->port, &nic_name, &is_there, &c->why);

	if (ret == 0 && is_open(&c->srv->dom, nic_name.full))
		ret = unm_fail(&c->why, -EBUSY, "'%s' is open: close it first", nic_name.full);
	if (ret == 0)
		ret = unm_nic_open(&c->srv->dom, &nic_name, &nic_geo, &nic, &c->why);
	if (ret < 0)
		return ret;
	geo.region = nic->region;
	geo.n_tx = unm_dport_nic_tx(nic);
	geo.n_rx = unm_dport_nic_rx(nic);
	geo.tx_slots =
		unm_hint(reg->nr_tx_slots, nic->tx_slots, MIN_WORKER_SLOTS, UNM_PORT_MAX_SLOTS);
	geo.rx_slots =
		unm_hint(reg->nr_rx_slots, nic->rx_slots, MIN_WORKER_SLOTS, UNM_PORT_MAX_SLOTS);
	/* Its port has the interface's own name, and is found by that, though asked for by another. */
	snprintf(full, sizeof(full), "%s:%s", name->sw, nic->name);
	if (strlen(full) >= UNM_NAME_SIZE)
		ret = unm_fail(&c->why, -EINVAL, "'%s' is too long a name for a port", full);
	else if (unm_dport_find(&c->srv->dom, full) != NULL)
		ret = unm_fail(&c->why, -EBUSY, "'%s' is attached already", full);
	else
		ret = unm_vale_new(
			&c->srv->dom, full, name->sw, &geo, UNM_PORTF_ATTACHED, out, &c->why);
	if (ret < 0)
		goto release_nic;
	if (reg->nr_mode == NR_REG_NIC_SW)
		ret = attach_host(c, nic, name, reg, &host);
	if (ret == 0)
		ret = unm_worker_attach(c->srv, *out, &c->why);
	if (ret == 0 && host != NULL) {
		ret = unm_worker_attach(c->srv, host, &c->why);
		if (ret < 0)
			unm_worker_detach(c->srv, *out);
	}
	if (ret == 0)
		return 0;
	if (host != NULL)
		unm_dport_remove(&c->srv->dom, host);
	unm_dport_remove(&c->srv->dom, *out);
release_nic:
	unm_port_release(&c->srv->dom, nic);
	return ret;
}

/*
 * Its attachment stays when an interface goes, and wants it back. Return: 0, or @error with where
 * interface @plain is attached, there or not.
 */
static int
check_unattached(struct unm_ctrl *c, const char *plain, int error)
{
	const struct unm_dport *p;

	for (p = c->srv->dom.ports; p != NULL; p = p->next) {
		const char *part = strchr(p->name, ':');

		if (p->is_dying || p->kind != UNM_PORT_VALE || part == NULL ||
			(p->flags & (UNM_PORTF_ATTACHED | UNM_PORTF_HOST_SIDE)) !=
				UNM_PORTF_ATTACHED ||
			!unm_nic_same_name(part + 1, plain))
			continue;
		return unm_fail(&c->why, error,
			"'%s' is attached as '%s', also while it is away: detach it first (nmctl "
			"detach %.*s %s)",
			plain, p->name, (int)(part - p->name), p->name, part + 1);
	}
	return 0;
}

static int
attach(struct unm_ctrl *c, const struct unm_name *name, const struct nmreq_register *reg,
	struct unm_dregion *region, struct unm_dport **out)
{
	struct unm_domain *dom = &c->srv->dom;
	struct unm_dport *port = unm_port_find(dom, name);
	struct unm_name nic_name;
	bool is_tap, is_there;
	int ret;

	if (port != NULL)
		return unm_fail(&c->why, -EBUSY, "'%s' is %s", port->name,
			port->flags & (UNM_PORTF_ATTACHED | UNM_PORTF_PERSISTENT)
				? "attached already"
				: "a port that a client has open");
	is_tap = strncmp(name->port, "tap:", 4) == 0 || unm_tap_is_tap(name->port);
	port = unm_persistent_find(dom, name->port);
	if (reg->nr_mode == NR_REG_NIC_SW && (is_tap || port != NULL))
		return unm_fail(&c->why, -EINVAL,
			"'%s' has no host rings: attach it without them (vale-ctl -a)", name->full);
	if (strncmp(name->port, "tap:", 4) == 0)
		return attach_tap(c, name, reg, region, out);
	if (port != NULL)
		return unm_persistent_attach(c->srv, port, name, c->is_admin, out, &c->why);
	ret = check_unattached(c, name->port, -EBUSY);
	if (ret < 0)
		return ret;
	if (name->netns[0] != '\0')
		return attach_nic(c, name, reg, region, out);
	if (!unm_interface_exists(name->port)) {
		ret = unm_nic_parse_name(name->port, &nic_name, &is_there, &c->why);
		if (ret < 0)
			return ret;
		return unm_fail(&c->why, -EINVAL,
			"'%s' is neither an interface nor a persistent port: vale-ctl -n %s makes "
			"one, tap:%s attaches a TAP",
			name->port, name->port, name->port);
	}
	if (is_tap)
		return attach_tap(c, name, reg, region, out);
	return attach_nic(c, name, reg, region, out);
}

/* The name of a VALE port, as ATTACH and DETACH need it. Return: as unm_name_parse(). */
static int
parse_vale_name(struct unm_ctrl *c, struct unm_name *name)
{
	const int ret = unm_ctrl_parse_name(c, name);
	const char *rest = strchr(name->full, ':');

	if (name->kind == UNM_NAME_VALE)
		return ret;
	if (ret < 0 && strncmp(name->full, NM_BDG_NAME, strlen(NM_BDG_NAME)) == 0)
		return ret; /* its switch is not what is wrong */
	if (name->kind == UNM_NAME_PIPE)
		return unm_fail(&c->why, -EINVAL,
			"'%s' is a pipe: interfaces, TAPs and persistent ports can be attached",
			name->full);
	if (rest == NULL || name->kind == UNM_NAME_TAP)
		return unm_fail(&c->why, -EINVAL,
			"'%s': the port's name must begin with its switch, like vale0:%s",
			name->full, name->full);
	return unm_fail(&c->why, -EINVAL,
		"'%s': the port's name must begin with its switch, and a switch's name with vale, "
		"like vale0:%s",
		name->full, rest + 1);
}

int
unm_req_vale_attach(struct unm_ctrl *c)
{
	struct nmreq_vale_attach *req = c->body;
	struct unm_dregion *region = NULL;
	struct unm_dport *port = NULL;
	struct unm_name name;
	int ret = parse_vale_name(c, &name);

	if (ret < 0)
		return ret;
	if ((req->reg.nr_mode != NR_REG_ALL_NIC && req->reg.nr_mode != NR_REG_NIC_SW) ||
		req->reg.nr_ringid != 0)
		return unm_fail(&c->why, -EINVAL,
			"'%s': ATTACH takes all rings: nr_mode ALL_NIC or NIC_SW, nr_ringid 0",
			name.full);
	ret = unm_elsewhere_check(c->s, name.port, false, &c->why);
	if (ret == 0)
		ret = unm_ctrl_region(c, req->reg.nr_mem_id, &region);
	if (ret == 0)
		ret = attach(c, &name, &req->reg, region, &port);
	if (ret == 0) {
		req->port_index = port->idx;
		req->reg.nr_mem_id = (uint16_t)port->region->info.id;
		unm_state_file_update(c->srv);
	}
	unm_dregion_put(&c->srv->dom.regions, region);
	return ret;
}

/* The interface behind an attached port, or NULL: there is none now, or it is something else. */
static const struct unm_dport *
far_interface(struct unm_ctrl *c, const struct unm_dport *port)
{
	char far_name[UNM_NAME_SIZE + 8];
	const struct unm_dport *far;

	unm_worker_far_name(&c->srv->dom, port->name, far_name, sizeof(far_name));
	far = unm_dport_find(&c->srv->dom, far_name);
	return (port->flags & UNM_PORTF_ATTACHED) && far != NULL && far->kind == UNM_PORT_NIC
		       ? far
		       : NULL;
}

/* A TAP, an interface, or a persistent port that is on another switch too. */
static void
detach_far(struct unm_ctrl *c, struct unm_dport *port)
{
	char far_name[UNM_NAME_SIZE + 8];
	struct unm_dport *far, *host = unm_host_port_of(&c->srv->dom, port);

	unm_worker_far_name(&c->srv->dom, port->name, far_name, sizeof(far_name));
	unm_worker_detach(c->srv, port);
	if (host != NULL) {
		unm_worker_detach(c->srv, host);
		unm_dport_remove(&c->srv->dom, host);
	}
	unm_loop_poll_hangups(&c->srv->loop); /* what it had open is closed now */
	unm_dport_remove(&c->srv->dom, port);
	far = unm_dport_find(&c->srv->dom, far_name);
	if (far != NULL)
		unm_port_release(&c->srv->dom, far); /* the worker may be gone already */
	unm_nic_names_settle(&c->srv->dom);
	unm_state_file_update(c->srv);
}

int
unm_req_vale_detach(struct unm_ctrl *c)
{
	struct nmreq_vale_detach *req = c->body;
	struct unm_dport *port;
	struct unm_name name;
	int ret = parse_vale_name(c, &name);

	if (ret < 0 && name.kind != UNM_NAME_VALE)
		return ret;
	port = ret == 0 ? unm_port_find(&c->srv->dom, &name) : NULL;
	if (port == NULL)
		return unm_fail(&c->why, -ENXIO,
			"there is no port '%s' (vale-ctl lists those there are)", name.full);
	ret = port->flags & UNM_PORTF_ATTACHED
		      ? unm_elsewhere_check(c->s, name.port, false, &c->why)
		      : 0;
	if (ret < 0)
		return ret;
	req->port_index = port->idx;
	if (port->flags & UNM_PORTF_PERSISTENT) {
		ret = unm_persistent_detach(&c->srv->dom, port, &c->why);
		unm_state_file_update(c->srv);
		return ret;
	}
	if (unm_worker_is_polling(c->srv, port) && far_interface(c, port) != NULL)
		return unm_fail(&c->why, -EBUSY, "'%s' is polled: end that first (vale-ctl -P %s)",
			name.full, name.full);
	if (port->flags & UNM_PORTF_HOST_SIDE)
		return unm_fail(&c->why, -EINVAL,
			"'%s' goes with its interface: detach that (vale-ctl -d without the ^)",
			name.full);
	if (port->flags & UNM_PORTF_ATTACHED)
		detach_far(c, port);
	return 0; /* an ephemeral port stays, without an error: spec 16.5 */
}

/* --- LIST --- */

static struct unm_dseg *
switch_by_idx(struct unm_domain *dom, uint32_t from)
{
	struct unm_dseg *s, *best = NULL;

	for (s = dom->segs; s != NULL; s = s->next) {
		if (s->type == UNM_SEG_VALE && s->switch_idx >= from &&
			(best == NULL || s->switch_idx < best->switch_idx))
			best = s;
	}
	return best;
}

static struct unm_dport *
port_by_idx(struct unm_domain *dom, const struct unm_dseg *seg, uint32_t from)
{
	struct unm_dport *p, *best = NULL;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->seg == seg && p->kind == UNM_PORT_VALE && !p->is_dying &&
			!(p->flags & UNM_PORTF_DETACHED) && p->idx >= from &&
			(best == NULL || p->idx < best->idx))
			best = p;
	}
	return best;
}

static int
list_next(struct unm_ctrl *c, struct nmreq_vale_list *req)
{
	struct unm_domain *dom = &c->srv->dom;
	uint32_t port_idx = req->nr_port_idx;
	uint32_t from = req->nr_bridge_idx;
	struct unm_dseg *seg;

	while ((seg = switch_by_idx(dom, from)) != NULL) { /* from grows each round */
		const struct unm_dport *port =
			port_by_idx(dom, seg, seg->switch_idx == req->nr_bridge_idx ? port_idx : 0);

		if (port != NULL) {
			memcpy(c->hdr->nr_name, port->name, sizeof(c->hdr->nr_name));
			req->nr_bridge_idx = (uint16_t)seg->switch_idx;
			req->nr_port_idx = port->idx;
			return 0;
		}
		from = seg->switch_idx + 1;
	}
	return unm_fail(&c->why, -ENOENT, "there are no more ports");
}

int
unm_req_vale_list(struct unm_ctrl *c)
{
	struct nmreq_vale_list *req = c->body;
	const struct unm_dport *port;
	const struct unm_dseg *seg;
	char sw[UNM_SWITCH_SIZE];
	struct unm_name name;
	int ret;

	if (c->hdr->nr_name[0] == '\0')
		return list_next(c, req);
	ret = unm_ctrl_parse_name(c, &name);
	if (strncmp(name.full, NM_BDG_NAME, strlen(NM_BDG_NAME)) != 0)
		return unm_fail(&c->why, -EINVAL, "'%s' is no VALE port: these begin with %s",
			name.full, NM_BDG_NAME);
	/* Only the switch has to exist, so a name without a port will do. */
	snprintf(sw, sizeof(sw), "%.*s", (int)strcspn(name.full, ":"), name.full);
	seg = unm_domain_switch(&c->srv->dom, sw);
	if (seg == NULL || port_by_idx(&c->srv->dom, seg, 0) == NULL)
		return unm_fail(&c->why, -ENOENT, "there is no switch '%s'", sw);
	port = ret == 0 ? unm_port_find(&c->srv->dom, &name) : NULL;
	req->nr_bridge_idx = (uint16_t)seg->switch_idx;
	req->nr_port_idx = port != NULL ? port->idx : UNM_VALE_NO_PORT;
	return 0;
}

/* --- NEWIF, DELIF --- */

int
unm_req_vale_newif(struct unm_ctrl *c)
{
	struct nmreq_vale_newif *req = c->body;
	struct unm_geometry geo = {
		.n_tx = req->nr_tx_rings,
		.n_rx = req->nr_rx_rings,
		.tx_slots = req->nr_tx_slots,
		.rx_slots = req->nr_rx_slots,
	};
	struct unm_dregion *region = NULL;
	struct unm_dport *port;
	struct unm_name name;
	int ret = unm_ctrl_parse_name(c, &name);

	if (ret < 0 || name.kind != UNM_NAME_PLAIN)
		return unm_fail(&c->why, -EINVAL,
			"'%s': a persistent port's name has 1 to 15 characters without blanks or "
			"any of / : { }, and does not begin with vale",
			name.full);
	if (unm_interface_exists(name.full))
		return unm_fail(&c->why, -EEXIST,
			"'%s' is the name of a network interface: choose another one", name.full);
	if (unm_port_find(&c->srv->dom, &name) != NULL)
		return unm_fail(&c->why, -EEXIST,
			"'%s' exists already: choose another name, or delete it (vale-ctl -r %s)",
			name.full, name.full);
	ret = check_unattached(c, name.full, -EEXIST);
	if (ret == 0)
		ret = unm_ctrl_region(c, req->nr_mem_id, &region);
	if (ret < 0)
		return ret;
	geo.region = region;
	unm_vale_geometry(&c->srv->dom, &geo);
	ret = unm_base_new(&c->srv->dom, name.full, &geo, UNM_PORTF_PERSISTENT, &port, &c->why);
	if (ret == 0) {
		req->nr_tx_rings = (uint16_t)unm_dport_nic_tx(port);
		req->nr_rx_rings = (uint16_t)unm_dport_nic_rx(port);
		req->nr_tx_slots = port->tx_slots;
		req->nr_rx_slots = port->rx_slots;
		req->nr_mem_id = (uint16_t)port->region->info.id;
		unm_state_file_update(c->srv);
	}
	unm_dregion_put(&c->srv->dom.regions, region);
	return ret;
}

int
unm_req_vale_delif(struct unm_ctrl *c)
{
	struct unm_dport *port = NULL;
	struct unm_name name;
	const int ret = unm_ctrl_parse_name(c, &name);

	if (ret == 0)
		port = unm_port_find(&c->srv->dom, &name);
	if (port == NULL)
		return unm_fail(&c->why, unm_interface_exists(name.full) ? -EINVAL : -ENXIO,
			"there is no persistent port '%s'", name.full);
	if (!(port->flags & UNM_PORTF_PERSISTENT) || name.kind != UNM_NAME_PLAIN)
		return unm_fail(&c->why, -EINVAL,
			"'%s' was not made by NEWIF: it ends when its last user closes it",
			name.full);
	if (unm_persistent_is_on_switch(port))
		return unm_fail(&c->why, -EBUSY,
			"'%s' is attached as '%s': detach it first (vale-ctl -d %s)", name.full,
			port->name, port->name);
	if (port->n_bindings > 0 || port->n_pipes > 0)
		return unm_fail(&c->why, -EBUSY, "'%s' is open%s: close it first", name.full,
			port->n_bindings > 0 ? "" : " as the base of a pipe");
	unm_dport_remove(&c->srv->dom, port);
	unm_state_file_update(c->srv);
	return 0;
}

/* Which cores poll which rings (spec 16.8)? */
static int
check_polling(struct unm_ctrl *c, const struct nmreq_vale_polling *req, const struct unm_dport *nic)
{
	const long n = sysconf(_SC_NPROCESSORS_ONLN);
	const uint32_t n_online = n > 0 ? (uint32_t)n : 1;
	const bool is_single = req->nr_mode == NETMAP_POLLING_MODE_SINGLE_CPU;

	if (!is_single && req->nr_mode != NETMAP_POLLING_MODE_MULTI_CPU)
		return unm_fail(&c->why, -EINVAL, "%u is no polling mode", req->nr_mode);
	if (req->nr_num_polling_cpus == 0 || req->nr_num_polling_cpus >= n_online ||
		req->nr_first_cpu_id >= n_online ||
		req->nr_num_polling_cpus > n_online - req->nr_first_cpu_id)
		return unm_fail(&c->why, -EINVAL,
			"polling takes at least one core, and leaves one: %u from core %u on of %u",
			req->nr_num_polling_cpus, req->nr_first_cpu_id, n_online);
	if (is_single ? req->nr_num_polling_cpus != 1
		      : req->nr_num_polling_cpus > unm_dport_nic_rx(nic))
		return unm_fail(&c->why, -EINVAL,
			"'%s' has %u rings: as many cores at most, and one in single mode",
			nic->name, unm_dport_nic_rx(nic));
	return 0;
}

int
unm_req_vale_polling(struct unm_ctrl *c)
{
	const struct nmreq_vale_polling *req = c->body;
	const bool enables = c->hdr->nr_reqtype == NETMAP_REQ_VALE_POLLING_ENABLE;
	struct unm_polling polling = {0};
	const struct unm_dport *far;
	struct unm_dport *port;
	struct unm_name name;
	int ret = unm_ctrl_parse_name(c, &name);

	if (ret < 0 || name.kind != UNM_NAME_VALE)
		return unm_fail(&c->why, -EINVAL, "'%s' is no VALE port", name.full);
	port = unm_port_find(&c->srv->dom, &name);
	if (port == NULL)
		return unm_fail(&c->why, -ENXIO, "there is no port '%s'", name.full);
	far = far_interface(c, port);
	/* Polling can be ended while the interface is away, and begins when its rings are known. */
	if (far == NULL && (enables || !unm_worker_is_polling(c->srv, port)))
		return unm_fail(&c->why, -EOPNOTSUPP,
			"'%s' is no attached network interface, or its interface is not there now: "
			"only these can be polled",
			name.full);
	if (enables)
		ret = check_polling(c, req, far);
	if (ret < 0)
		return ret;
	if (unm_worker_is_polling(c->srv, port) == enables)
		return unm_fail(&c->why, -EFAULT, "'%s' is %s", name.full,
			enables ? "polled already" : "not polled");
	if (enables) {
		polling.mode = req->nr_mode;
		polling.first_cpu = req->nr_first_cpu_id;
		polling.n_cpus = req->nr_num_polling_cpus;
	}
	ret = unm_worker_set_polling(c->srv, port, &polling, &c->why);
	unm_state_file_update(c->srv);
	return ret;
}
