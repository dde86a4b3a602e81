/* SPDX-License-Identifier: BSD-2-Clause */
/* PORT_INFO_GET and POOLS_INFO_GET (spec 6.2, 6.3): a port is opened for an instant and asked. */
#include <errno.h>
#include <string.h>

#include "daemon/elsewhere.h"
#include "daemon/request.h"
#include "shm/pools_info.h"

/* Find or make the port as a REGISTER would. The caller releases it. */
static int
open_for_query(
	struct unm_ctrl *c, struct unm_geometry *geo, uint32_t mem_id, struct unm_dport **out)
{
	struct unm_dregion *region = NULL;
	struct unm_name name;
	int ret = unm_ctrl_region(c, mem_id, &region);

	if (ret == 0)
		ret = unm_elsewhere_check(c->s, c->hdr->nr_name, false, &c->why);
	if (ret == 0)
		ret = unm_ctrl_parse_name(c, &name);
	if (ret == 0) {
		geo->region = region;
		geo->isolate_id = unm_ctrl_isolate_id(c);
		geo->max_bytes = c->max_bytes;
		ret = unm_port_open(&c->srv->dom, &name, geo, out, &c->why);
	}
	unm_dregion_put(&c->srv->dom.regions, region);
	return ret;
}

/* The form without a name: only the region is told. */
static int
region_info(struct unm_ctrl *c, struct nmreq_port_info_get *info)
{
	struct unm_dregion *region = NULL;
	const uint32_t id = info->nr_mem_id != 0 ? info->nr_mem_id : UNM_REGION_GLOBAL_ID;
	const int ret = unm_ctrl_region(c, id, &region);

	if (ret < 0)
		return ret;
	info->nr_memsize = region->info.size;
	info->nr_mem_id = (uint16_t)region->info.id;
	unm_dregion_put(&c->srv->dom.regions, region);
	return 0;
}

int
unm_req_port_info(struct unm_ctrl *c)
{
	struct nmreq_port_info_get *info = c->body;
	struct unm_geometry geo = {
		.n_tx = info->nr_tx_rings,
		.n_rx = info->nr_rx_rings,
		.n_host_tx = info->nr_host_tx_rings,
		.n_host_rx = info->nr_host_rx_rings,
		.tx_slots = info->nr_tx_slots,
		.rx_slots = info->nr_rx_slots,
	};
	struct unm_dport *port;
	int ret;

	if (c->hdr->nr_name[0] == '\0')
		return region_info(c, info);
	ret = open_for_query(c, &geo, info->nr_mem_id, &port);
	if (ret < 0)
		return ret;
	info->nr_memsize = port->region->info.size;
	info->nr_mem_id = (uint16_t)port->region->info.id;
	info->nr_tx_slots = port->tx_slots;
	info->nr_rx_slots = port->rx_slots;
	info->nr_tx_rings = (uint16_t)unm_dport_nic_tx(port);
	info->nr_rx_rings = (uint16_t)unm_dport_nic_rx(port);
	info->nr_host_tx_rings = (uint16_t)unm_dport_host_tx_shown(port);
	info->nr_host_rx_rings = (uint16_t)unm_dport_host_rx_shown(port);
	unm_port_release(&c->srv->dom, port);
	return 0;
}

int
unm_req_pools_info(struct unm_ctrl *c)
{
	struct nmreq_pools_info *info = c->body;
	struct unm_geometry geo = {0};
	struct unm_dport *port;
	const int ret = open_for_query(c, &geo, info->nr_mem_id, &port);

	if (ret < 0)
		return ret;
	unm_fill_pools_info(&port->region->info, info);
	unm_port_release(&c->srv->dom, port);
	return 0;
}
