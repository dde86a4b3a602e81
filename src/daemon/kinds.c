/* SPDX-License-Identifier: BSD-2-Clause */
/* Which kind of port does a name mean? See kinds.h. */
#include "daemon/kinds.h"

#include <errno.h>
#include <string.h>

#include "daemon/persistent.h"

const struct unm_port_kind_ops *
unm_kind_ops(uint32_t kind)
{
	switch (kind) {
	case UNM_PORT_VALE:
		return &unm_kind_vale;
	case UNM_PORT_PIPE:
		return &unm_kind_pipe;
	case UNM_PORT_NULL:
		return &unm_kind_null;
	case UNM_PORT_TAP:
		return &unm_kind_tap;
	case UNM_PORT_BASE:
		return &unm_kind_base;
	case UNM_PORT_NIC:
		return &unm_kind_nic;
	case UNM_PORT_MONITOR:
		return &unm_kind_monitor;
	default:
		return NULL;
	}
}

/*
 * An interface in another namespace may be named without it while its port exists: "tap:x" finds
 * "tap:x%ns".
 */
static struct unm_dport *
find_in_any_netns(struct unm_domain *dom, const char *name)
{
	const size_t len = strlen(name);
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (!p->is_dying && strncmp(p->name, name, len) == 0 && p->name[len] == '%')
			return p;
	}
	return NULL;
}

struct unm_dport *
unm_port_find(struct unm_domain *dom, const struct unm_name *name)
{
	struct unm_dport *port = unm_dport_find(dom, name->full);

	if (port == NULL && name->kind == UNM_NAME_PLAIN)
		port = unm_persistent_find(dom, name->full); /* on a switch: spec 16.6 */
	if (port == NULL && name->ifname[0] != '\0' && name->netns[0] == '\0')
		port = find_in_any_netns(dom, name->full);
	return port;
}

int
unm_port_open(struct unm_domain *dom, const struct unm_name *name, const struct unm_geometry *geo,
	struct unm_dport **out, struct unm_reason *why)
{
	switch (name->kind) {
	case UNM_NAME_PIPE:
		return unm_pipe_open(dom, name, geo, out, why);
	case UNM_NAME_VALE:
		return unm_vale_open(dom, name, geo, out, why);
	case UNM_NAME_TAP:
		return unm_tap_open(dom, name, geo, out, why);
	case UNM_NAME_PLAIN:
		break;
	}
	if (name->netns[0] != '\0' || unm_interface_exists(name->full))
		return unm_nic_open(dom, name, geo, out, why);
	*out = unm_port_find(dom, name);
	if (*out == NULL)
		return unm_fail(why, -ENXIO,
			"no interface or port '%s'; VALE ports are named vale0:x, pipes x{1, TAPs "
			"tap:x",
			name->full);
	return 0;
}

void
unm_port_release(struct unm_domain *dom, struct unm_dport *port)
{
	if (port->n_bindings == 0 && port->n_pending == 0 && !port->is_dying)
		port->ops->idle(dom, port);
}
