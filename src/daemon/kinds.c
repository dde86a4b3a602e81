/* SPDX-License-Identifier: BSD-2-Clause */
/* Which kind of port does a name mean? See kinds.h. */
#include "daemon/kinds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/format.h"
#include "daemon/nic_names.h"
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

const struct unm_dport *
unm_port_attached_as(const struct unm_domain *dom, const char *name)
{
	const bool is_tap = strncmp(name, "tap:", 4) == 0;
	const struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		const char *part = strchr(p->name, ':');

		if (p->is_dying || !(p->flags & UNM_PORTF_ATTACHED) || part == NULL)
			continue;
		part++; /* "vale0:IF" may be TAP "tap:IF" */
		if (strcmp(part, name) == 0 || (is_tap && strcmp(part, name + 4) == 0))
			return p;
	}
	return NULL;
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
		if (!p->is_dying && strncmp(p->name, name, len) == 0 && p->name[len] == '%' &&
			(p->nic == NULL || unm_nic_has_present_name(p)))
			return p;
	}
	return NULL;
}

/* The port of the TAP that @name means: it may be open under another name of its namespace. */
static const struct unm_dport *
find_same_tap(const struct unm_domain *dom, const struct unm_name *name)
{
	const struct unm_dport *p;
	struct unm_netns_id ns, its_ns;
	struct unm_name its;

	if (name->netns[0] == '\0') /* netmapd's own, or any */
		return NULL;
	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->kind != UNM_PORT_TAP || p->is_dying || p->n_port_fds == 0 ||
			unm_name_parse(p->name, &its, NULL) < 0 ||
			strcmp(its.ifname, name->ifname) != 0)
			continue;
		unm_netns_of_socket(p->port_fds[0], &its_ns);
		if (unm_netns_id(name->netns, &ns) == 0 && unm_netns_same(&ns, &its_ns))
			return p;
	}
	return NULL;
}

/*
 * @part of a name is itself an interface's or a TAP's: put the true one there. Return: 1 if it is
 * another one, 0, or negative errno with the reason.
 */
static int
true_part(struct unm_domain *dom, const char *part, struct unm_name *out, struct unm_reason *why)
{
	int ret;

	if (unm_name_parse(part, out, NULL) < 0 ||
		(out->kind != UNM_NAME_PLAIN && out->kind != UNM_NAME_TAP))
		return 0;
	ret = unm_port_true_name(dom, out, why);
	return ret < 0 ? ret : strcmp(out->full, part) != 0;
}

int
unm_port_true_name(struct unm_domain *dom, struct unm_name *name, struct unm_reason *why)
{
	const struct unm_dport *port;
	char full[3 * UNM_NAME_SIZE];
	struct unm_name part;
	int ret, len = 0;

	if (name->kind == UNM_NAME_PLAIN)
		return unm_nic_true_name(dom, name, why);
	if (unm_dport_find(dom, name->full) != NULL)
		return 0;
	switch (name->kind) {
	case UNM_NAME_PLAIN:
		break;
	case UNM_NAME_PIPE:
		ret = true_part(dom, name->base, &part, why);
		if (ret < 0)
			return ret;
		if (ret > 0)
			len = snprintf(full, sizeof(full), "%s%c%s", part.full,
				name->is_master ? '{' : '}', name->id);
		break;
	case UNM_NAME_VALE:
		ret = true_part(dom, name->port, &part, why);
		if (ret < 0)
			return ret;
		if (ret > 0)
			len = snprintf(full, sizeof(full), "%s:%s", name->sw, part.full);
		break;
	case UNM_NAME_TAP:
		port = find_same_tap(dom, name);
		if (port != NULL)
			len = snprintf(full, sizeof(full), "%s", port->name);
		break;
	}
	if (len > 0 && len < UNM_NAME_SIZE && unm_name_parse(full, &part, NULL) == 0)
		*name = part;
	return 0;
}

struct unm_dport *
unm_port_find(struct unm_domain *dom, const struct unm_name *name)
{
	struct unm_dport *port = unm_dport_find(dom, name->full);

	if (port == NULL && name->kind == UNM_NAME_PLAIN)
		port = unm_persistent_find(dom, name->full); /* on a switch: spec 16.6 */
	if (port == NULL && name->ifname[0] != '\0' && name->netns[0] == '\0' &&
		(name->kind != UNM_NAME_PLAIN || !unm_interface_exists(name->ifname)))
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
	if (*out == NULL && name->full[strlen(name->full) - 1] == '+')
		return unm_fail(
			why, -ENXIO, "no interface or port '%s': " UNM_NAME_NO_PLUS, name->full);
	if (*out == NULL)
		return unm_fail(why, -ENXIO,
			"no interface or port '%s'; VALE ports are named vale0:x, pipes x{1, TAPs "
			"tap:x",
			name->full);
	return 0;
}

/* Of @n rings, without their buffers. */
static uint64_t
ring_bytes(const struct unm_dregion *r, uint32_t n, uint32_t slots)
{
	const uint64_t bytes = unm_format_ring_bytes(slots);

	return n * ((bytes + r->info.ring_size - 1) / r->info.ring_size * r->info.ring_size);
}

int
unm_port_check_size(
	const struct unm_geometry *geo, const struct unm_port_spec *spec, struct unm_reason *why)
{
	const struct unm_dregion *r = spec->region;
	/* The ends of a pipe have their rings each, but share the buffers. All far below 2^64. */
	const uint32_t n_ends = spec->kind == UNM_PORT_PIPE ? 2 : 1;
	const uint64_t n_bufs = (uint64_t)spec->n_tx * spec->tx_slots +
				(uint64_t)spec->n_rx * spec->rx_slots + geo->n_extra;
	const uint64_t n_bytes = n_ends * (ring_bytes(r, spec->n_tx, spec->tx_slots) +
						  ring_bytes(r, spec->n_rx, spec->rx_slots)) +
				 n_bufs * r->info.buf_size;

	if (geo->max_bytes == 0 || n_bytes <= geo->max_bytes)
		return 0;
	return unm_fail(why, -ENOMEM,
		"'%s' would take %llu MiB, and this socket's clients may have %llu more (memory= "
		"of nmctl isolate create)",
		spec->name, (unsigned long long)((n_bytes >> 20) + 1),
		(unsigned long long)(geo->max_bytes >> 20));
}

void
unm_port_release(struct unm_domain *dom, struct unm_dport *port)
{
	if (port->n_bindings == 0 && port->n_pending == 0 && !port->is_dying)
		port->ops->idle(dom, port);
}
