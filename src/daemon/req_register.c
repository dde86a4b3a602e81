/* SPDX-License-Identifier: BSD-2-Clause */
/* NETMAP_REQ_REGISTER: the order of checks is that of spec 6.1. */
#include <errno.h>
#include <string.h>

#include "daemon/elsewhere.h"
#include "daemon/host_port.h"
#include "daemon/monitors.h"
#include "daemon/persistent.h"
#include "daemon/request.h"
#include "shm/pools_info.h"

#define MONITOR_FLAGS (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON)

/*
 * Memory that an isolated client writes to is nobody else's, and what is somebody else's never
 * becomes an isolated client's. A broker may also have a port in everybody's memory, by itself, to
 * copy between that and its client's (isolate/copy_fp.h).
 */
static int
check_isolation(struct unm_ctrl *c, const struct nmreq_register *reg, const struct unm_dport *port)
{
	if (port->region->isolate_id == unm_ctrl_isolate_id(c))
		return 0;
	if (port->region->isolate_id == 0 && (reg->nr_flags & NR_EXCLUSIVE) &&
		!unm_ctrl_others_have_open(c, port))
		return 0;
	if (c->s->isolate != NULL)
		return unm_fail(&c->why, -EBUSY, "'%s' has a user out there already", port->name);
	return unm_fail(&c->why, -EBUSY,
		"'%s' is an isolated client's, whose memory can't be shared: open another port of "
		"the switch",
		port->name);
}

static int
open_port(struct unm_ctrl *c, const struct nmreq_register *reg, struct unm_dregion *region,
	struct unm_dport **out)
{
	const struct unm_geometry geo = {
		.n_tx = reg->nr_tx_rings,
		.n_rx = reg->nr_rx_rings,
		.n_host_tx = reg->nr_host_tx_rings,
		.n_host_rx = reg->nr_host_rx_rings,
		.tx_slots = reg->nr_tx_slots,
		.rx_slots = reg->nr_rx_slots,
		.n_extra = reg->nr_extra_bufs,
		.isolate_id = unm_ctrl_isolate_id(c),
		.max_bytes = c->max_bytes,
		.region = region,
	};
	struct unm_dport *pending = c->desc->pending.port;
	struct unm_name name;
	int ret;

	/* One that an earlier step of this request has made: no name leads to it. */
	if (pending != NULL && !pending->is_dying &&
		(pending->kind == UNM_PORT_NULL || pending->watched != NULL)) {
		*out = pending;
		return 0;
	}
	if (reg->nr_mode == NR_REG_NULL) {
		char label[UNM_NAME_SIZE];

		memcpy(label, c->hdr->nr_name, sizeof(label));
		label[sizeof(label) - 1] = '\0';
		return unm_null_open(&c->srv->dom, label, &geo, out, &c->why);
	}
	ret = unm_elsewhere_check(c->s, c->hdr->nr_name, true, &c->why);
	if (ret == 0)
		ret = unm_ctrl_parse_name(c, &name);
	if (ret < 0)
		return ret;
	if (reg->nr_flags & MONITOR_FLAGS)
		return unm_monitor_open(&c->srv->dom, &name, reg->nr_flags, &geo, out, &c->why);
	return unm_port_open(&c->srv->dom, &name, &geo, out, &c->why);
}

/* Does process @pid forward for the host's side of an interface? */
static bool
is_worker(const struct unm_server *srv, pid_t pid)
{
	const struct unm_dport *p;

	for (p = srv->dom.ports; p != NULL; p = p->next) {
		if ((p->flags & UNM_PORTF_HOST_SIDE) && !p->is_dying && p->worker_pid == pid)
			return true;
	}
	return false;
}

static int
check_port(struct unm_ctrl *c, const struct nmreq_register *reg, const struct unm_dport *port)
{
	const struct unm_dport *second = unm_persistent_second(&c->srv->dom, port);

	if ((port->flags & UNM_PORTF_ATTACHED) && c->s->pid != port->worker_pid)
		return unm_fail(&c->why, -EBUSY,
			"'%s' is attached to a switch: detach it first (vale-ctl -d %s)",
			port->name, port->name);
	if (second != NULL && c->s->pid != second->worker_pid)
		return unm_fail(&c->why, -EBUSY,
			"'%s' links two switches, as '%s' too: detach that one first (vale-ctl -d "
			"%s)",
			port->name, second->name, second->name);
	if (port->kind == UNM_PORT_NIC && unm_host_port_tap(&c->srv->dom, port) != NULL &&
		reg->nr_mode != NR_REG_ALL_NIC && reg->nr_mode != NR_REG_ONE_NIC)
		return unm_fail(&c->why, -EBUSY,
			"'%s' is attached to a switch with its host rings: detach it first",
			port->name);
	if (port->kind == UNM_PORT_TAP && unm_host_port_nic(&c->srv->dom, port->name) != NULL &&
		!is_worker(c->srv, c->s->pid))
		return unm_fail(&c->why, -EBUSY,
			"'%s' is the host's side of an interface: open that (IF^), or attach it to "
			"a switch (vale-ctl -h)",
			port->name);
	if (port->vnet_hdr_len != 0 && !(reg->nr_flags & NR_ACCEPT_VNET_HDR))
		return unm_fail(&c->why, -EIO,
			"'%s' has virtio-net headers: open it with NR_ACCEPT_VNET_HDR", port->name);
	if (c->has_csb && !(reg->nr_flags & NR_EXCLUSIVE))
		return unm_fail(&c->why, -EINVAL, "the CSB option needs NR_EXCLUSIVE");
	return check_isolation(c, reg, port);
}

static int
bind_port(struct unm_ctrl *c, const struct nmreq_register *reg, struct unm_dport *port)
{
	struct nmreq_opt_offsets *opt =
		(struct nmreq_opt_offsets *)(void *)unm_ctrl_option(c, NETMAP_REQ_OPT_OFFSETS);
	struct unm_offsets offsets;
	struct unm_bind_wish wish = {
		.mode = reg->nr_mode,
		.ringid = reg->nr_ringid,
		.flags = reg->nr_flags,
		.n_extra = reg->nr_extra_bufs,
		.pending = &c->desc->pending,
	};
	int offsets_error = 0;
	int ret;

	if (opt != NULL) {
		offsets.bits = opt->nro_offset_bits;
		offsets.max = opt->nro_max_offset;
		offsets.initial = opt->nro_initial_offset;
		offsets.min_gap = opt->nro_min_gap;
		wish.offsets = &offsets;
		wish.offsets_error = &offsets_error;
	}
	ret = unm_bind(&c->srv->dom, port, &wish, &c->desc->binding, &c->why);
	if (ret == -EINPROGRESS)
		return ret;
	if (opt != NULL && (ret == 0 || offsets_error != 0))
		opt->nro_opt.nro_status = (uint32_t)offsets_error;
	return ret;
}

static void
fill_results(struct unm_ctrl *c, struct nmreq_register *reg)
{
	const struct unm_dbinding *b = &c->desc->binding;
	const struct unm_dport *port = b->port;
	struct nmreq_opt_extmem *ext =
		(struct nmreq_opt_extmem *)(void *)unm_ctrl_option(c, NETMAP_REQ_OPT_EXTMEM);

	reg->nr_offset = unm_bind_nifp_ofs(b);
	reg->nr_memsize = port->region->info.size;
	reg->nr_mem_id = (uint16_t)port->region->info.id;
	reg->nr_tx_rings = (uint16_t)unm_dport_nic_tx(port);
	reg->nr_rx_rings = (uint16_t)unm_dport_nic_rx(port);
	reg->nr_tx_slots = port->tx_slots;
	reg->nr_rx_slots = port->rx_slots;
	reg->nr_host_tx_rings = (uint16_t)unm_dport_host_tx_shown(port);
	reg->nr_host_rx_rings = (uint16_t)unm_dport_host_rx_shown(port);
	reg->nr_extra_bufs = b->n_extra;
	if (ext != NULL)
		unm_fill_pools_info(&port->region->info, &ext->nro_info);
}

int
unm_req_register(struct unm_ctrl *c)
{
	struct nmreq_register *reg = c->body;
	struct unm_dregion *region = NULL;
	struct unm_dport *port = NULL;
	int ret;

	if (c->desc->binding.port != NULL)
		return unm_fail(&c->why, -EBUSY, "this descriptor is registered already");
	if (reg->nr_mode == NR_REG_PIPE_MASTER || reg->nr_mode == NR_REG_PIPE_SLAVE)
		return unm_fail(&c->why, -EINVAL,
			"pipe modes are for the legacy API: name the pipe's end, like p{1, with "
			"mode ALL_NIC");
	if (reg->nr_flags & NR_ZCOPY_MON)
		reg->nr_flags |= NR_MONITOR_TX | NR_MONITOR_RX;
	ret = unm_ctrl_region(c, reg->nr_mem_id, &region);
	if (ret == 0)
		ret = open_port(c, reg, region, &port);
	if (ret == 0) {
		ret = check_port(c, reg, port);
		if (ret == 0)
			ret = bind_port(c, reg, port);
		if (ret == 0) {
			fill_results(c, reg);
			c->has_registered = true;
		} else if (ret != -EINPROGRESS) {
			unm_port_release(&c->srv->dom, port);
			unm_pending_drop(&c->srv->dom, &c->desc->pending);
		}
	} else {
		unm_pending_drop(&c->srv->dom, &c->desc->pending);
	}
	unm_dregion_put(&c->srv->dom.regions, region);
	return ret;
}
