/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Null ports (spec 11): memory and rings without anything behind them. Every registration makes one
 * of its own.
 */
#include <errno.h>
#include <stdio.h>

#include "daemon/kinds.h"

int
unm_null_open(struct unm_domain *dom, const char *label, const struct unm_geometry *geo,
	struct unm_dport **out, struct unm_reason *why)
{
	char name[UNM_NAME_SIZE * 2];
	struct unm_port_spec spec = {
		.kind = UNM_PORT_NULL,
		.ops = &unm_kind_null,
		.name = name,
		.region = geo->region,
		.n_tx = geo->n_tx,
		.n_rx = geo->n_rx,
		.tx_slots = geo->tx_slots,
		.rx_slots = geo->rx_slots,
	};
	int ret;

	if (geo->region == NULL)
		return unm_fail(why, -EINVAL,
			"a null port needs a memory region: set nr_mem_id or use the EXTMEM "
			"option");
	if (geo->n_tx > UNM_PORT_MAX_RINGS || geo->n_rx > UNM_PORT_MAX_RINGS ||
		geo->tx_slots > UNM_PORT_MAX_SLOTS || geo->rx_slots > UNM_PORT_MAX_SLOTS)
		return unm_fail(why, -ENOMEM,
			"a null port can have %u rings per direction and %u slots per ring",
			UNM_PORT_MAX_RINGS, UNM_PORT_MAX_SLOTS);
	snprintf(name, sizeof(name), "null:%s", label);
	spec.seg = unm_domain_segment(dom, why);
	if (spec.seg == NULL)
		return -ENOMEM;
	ret = unm_dport_new(dom, &spec, out, why);
	if (ret == 0)
		unm_dport_activate(*out); /* not linked: it can't be found by name */
	return ret;
}

static void
null_idle(struct unm_domain *dom, struct unm_dport *port)
{
	unm_dport_remove(dom, port);
}

const struct unm_port_kind_ops unm_kind_null = {
	.label = "null",
	.idle = null_idle,
};
