/* SPDX-License-Identifier: BSD-2-Clause */
/* Persistent ports on and off switches. See persistent.h. */
#include "daemon/persistent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/kinds.h"
#include "daemon/worker.h"

/* "p" of "vale0:p", or the name itself. */
static const char *
plain_name(const struct unm_dport *port)
{
	const char *colon = strchr(port->name, ':');

	return colon != NULL ? colon + 1 : port->name;
}

/* The port on some switch whose name ends in @plain and that has @flag. */
static struct unm_dport *
find_on_switch(struct unm_domain *dom, const char *plain, uint32_t flag)
{
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (!p->is_dying && p->kind == UNM_PORT_VALE && (p->flags & flag) &&
			strcmp(plain_name(p), plain) == 0)
			return p;
	}
	return NULL;
}

struct unm_dport *
unm_persistent_find(struct unm_domain *dom, const char *plain)
{
	struct unm_dport *port = unm_dport_find(dom, plain);

	if (port != NULL)
		return port->flags & UNM_PORTF_PERSISTENT ? port : NULL;
	return find_on_switch(dom, plain, UNM_PORTF_PERSISTENT);
}

struct unm_dport *
unm_persistent_second(struct unm_domain *dom, const struct unm_dport *port)
{
	if (!unm_persistent_is_on_switch(port))
		return NULL;
	return find_on_switch(dom, plain_name(port), UNM_PORTF_ATTACHED);
}

bool
unm_persistent_is_on_switch(const struct unm_dport *port)
{
	return (port->flags & UNM_PORTF_PERSISTENT) && port->kind == UNM_PORT_VALE &&
	       !(port->flags & UNM_PORTF_DETACHED);
}

/* Pipes over a port follow it when its entry moves to another segment. */
static void
move_pipes(struct unm_domain *dom, struct unm_dport *from, struct unm_dport *to)
{
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->base == from)
			p->base = to;
	}
	to->n_pipes = from->n_pipes;
	from->n_pipes = 0;
}

static struct unm_geometry
geometry_of(const struct unm_dport *port)
{
	const struct unm_geometry geo = {
		.n_tx = port->n_tx,
		.n_rx = port->n_rx,
		.tx_slots = port->tx_slots,
		.rx_slots = port->rx_slots,
		.region = port->region,
	};

	return geo;
}

/* What a frame looks like on @from, it does on @to. */
static void
copy_header(const struct unm_dport *from, struct unm_dport *to)
{
	to->vnet_hdr_len = from->vnet_hdr_len;
	to->vnet_lacks = from->vnet_lacks;
	to->max_frame = from->max_frame;
	unm_dport_update(to);
}

/*
 * Take over what stays the same when a port is made anew in another segment, and end the old one.
 */
static void
replace_port(struct unm_domain *dom, struct unm_dport *old, struct unm_dport *port)
{
	copy_header(old, port);
	move_pipes(dom, old, port);
	unm_dport_remove(dom, old);
}

int
unm_persistent_make_second(struct unm_domain *dom, struct unm_dport *first,
	const struct unm_name *name, struct unm_dport **out, struct unm_reason *why)
{
	const struct unm_geometry geo = {
		.n_tx = first->n_rx,
		.n_rx = first->n_tx,
		.tx_slots = first->rx_slots,
		.rx_slots = first->tx_slots,
		.region = first->region, /* so that the worker exchanges buffers */
	};
	const struct unm_dport *second = unm_persistent_second(dom, first);
	int ret;

	if (second != NULL)
		return unm_fail(why, -EBUSY, "'%s' is on two switches already, as '%s' and '%s'",
			name->port, first->name, second->name);
	ret = unm_vale_new(dom, name->full, name->sw, &geo, UNM_PORTF_ATTACHED, out, why);
	if (ret == 0)
		copy_header(first, *out);
	return ret;
}

static int
attach_second(struct unm_server *srv, struct unm_dport *first, const struct unm_name *name,
	struct unm_dport **out, struct unm_reason *why)
{
	int ret = unm_persistent_make_second(&srv->dom, first, name, out, why);

	if (ret < 0)
		return ret;
	ret = unm_worker_attach(srv, *out, why);
	if (ret < 0)
		unm_dport_remove(&srv->dom, *out);
	return ret;
}

/* The entry gets the name @name, which is not anybody's. */
static void
rename_port(struct unm_domain *dom, struct unm_dport *port, const char *name)
{
	unm_dport_unlink(dom, port);
	memset(port->name, 0, sizeof(port->name));
	snprintf(port->name, sizeof(port->name), "%s", name);
	unm_dport_link(dom, port);
}

/* Back to the switch that it was taken from, in whose tables it still is. */
static void
attach_again(struct unm_domain *dom, struct unm_dport *port, const struct unm_name *name)
{
	rename_port(dom, port, name->full);
	port->flags &= ~UNM_PORTF_DETACHED;
	unm_dport_update(port);
	unm_dseg_wake(port->seg); /* its clients have a link again */
}

int
unm_persistent_attach(struct unm_server *srv, struct unm_dport *port, const struct unm_name *name,
	bool again, struct unm_dport **out, struct unm_reason *why)
{
	const struct unm_geometry geo = geometry_of(port);
	int ret;

	if (port->n_bindings > 0 && (port->flags & UNM_PORTF_DETACHED)) {
		if (!again || strcmp(port->seg->name, name->sw) != 0)
			return unm_fail(why, -EBUSY,
				"'%s' is open: close it first, or put it back where it was (nmctl "
				"attach %s %s)",
				name->port, port->seg->name, name->port);
		attach_again(&srv->dom, port, name);
		*out = port;
		return 0;
	}
	if (unm_persistent_second(&srv->dom, port) == NULL && port->n_bindings > 0)
		return unm_fail(why, -EBUSY, "'%s' is open: close it first", name->port);
	if (unm_persistent_is_on_switch(port))
		return attach_second(srv, port, name, out, why);
	ret = unm_vale_new(&srv->dom, name->full, name->sw, &geo, UNM_PORTF_PERSISTENT, out, why);
	if (ret == 0)
		replace_port(&srv->dom, port, *out);
	return ret;
}

int
unm_persistent_detach(struct unm_domain *dom, struct unm_dport *port, struct unm_reason *why)
{
	const struct unm_dport *second = unm_persistent_second(dom, port);
	char plain[UNM_NAME_SIZE];

	if (second != NULL)
		return unm_fail(why, -EBUSY,
			"'%s' is on a second switch, as '%s': detach that one first", port->name,
			second->name);
	/*
	 * The entry keeps its name: the flag alone says where it is, so no crash finds half of it.
	 */
	snprintf(plain, sizeof(plain), "%s", plain_name(port));
	rename_port(dom, port, plain);
	port->flags |= UNM_PORTF_DETACHED;
	unm_dport_update(port);
	unm_dseg_forget_macs(port->seg, port->idx);
	unm_dseg_wake(port->seg); /* its clients' link is down; who waits for room waits in vain */
	unm_port_release(dom, port);
	return 0;
}

void
unm_persistent_settle(struct unm_domain *dom, struct unm_dport *port)
{
	const struct unm_geometry geo = geometry_of(port);
	struct unm_reason why;
	struct unm_dport *alone;

	if (unm_base_new(dom, port->name, &geo, UNM_PORTF_PERSISTENT, &alone, &why) == 0)
		replace_port(dom, port, alone);
	else /* no harm: it can be opened, attached and deleted where it is */
		unm_log(LOG_WARNING, "%s stays in the tables of its switch: %s", port->name,
			why.text);
}
