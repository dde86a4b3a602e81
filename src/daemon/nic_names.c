/* SPDX-License-Identifier: BSD-2-Clause */
/* Which name has an open interface's port, and which interface does a name mean? See nic_names.h. */
#include "daemon/nic_names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/kinds.h"
#include "daemon/nic.h"

/* What @port is called after its interface's present name. */
static void
present_name(const struct unm_dport *port, char *out)
{
	const struct unm_nic *nic = port->nic;

	snprintf(out, UNM_NAME_SIZE, "%s%s%.46s", nic->ifname, nic->netns[0] != '\0' ? "%" : "",
		nic->netns);
}

bool
unm_nic_has_present_name(const struct unm_dport *port)
{
	char name[UNM_NAME_SIZE];

	present_name(port, name);
	return strcmp(port->name, name) == 0;
}

static bool
may_follow(const struct unm_domain *dom, const struct unm_dport *port)
{
	return port->nic != NULL && !port->is_dying && !unm_nic_has_present_name(port) &&
	       !unm_nic_is_attached(dom, port);
}

/* @port gets the name of @other, which gets that of @port. */
static void
exchange(struct unm_domain *dom, struct unm_dport *port, struct unm_dport *other)
{
	char mine[UNM_NAME_SIZE], theirs[UNM_NAME_SIZE];

	memcpy(mine, port->name, sizeof(mine));
	memcpy(theirs, other->name, sizeof(theirs));
	unm_dport_unlink(dom, other);
	unm_dport_rename(dom, port, theirs);
	unm_dport_rename(dom, other, mine);
}

/*
 * Give the port its interface's present name, if that can be had. From another port that has lost the
 * right to it too it is had for the one that @port has: so those of a cycle get theirs one after the
 * other. One that has not heard of its new name yet gives nothing away, and gets it when it has.
 * Return: has it been renamed?
 */
static bool
follow(struct unm_domain *dom, struct unm_dport *port)
{
	char before[UNM_NAME_SIZE], name[UNM_NAME_SIZE];
	struct unm_dport *other;

	if (!may_follow(dom, port))
		return false;
	present_name(port, name);
	other = unm_dport_find(dom, name);
	/* Nor by a name that a switch waits for: its worker would find the port of somebody else. */
	if (unm_port_attached_as(dom, name) != NULL || (other != NULL && !may_follow(dom, other)))
		return false;
	memcpy(before, port->name, sizeof(before));
	if (other != NULL)
		exchange(dom, port, other);
	else
		unm_dport_rename(dom, port, name);
	unm_log(LOG_INFO, "%s is %s now", before, name);
	if (other != NULL)
		unm_log(LOG_INFO, "%s is %s now", name, before);
	return true;
}

void
unm_nic_names_settle(struct unm_domain *dom)
{
	bool is_settled = dom->is_adopting;
	struct unm_dport *p;
	uint32_t n;

	/* Each round but the last makes at least one name right, and none wrong that was right. */
	for (n = dom->n_ports + 1; n > 0 && !is_settled; n--) {
		is_settled = true;
		for (p = dom->ports; p != NULL; p = p->next)
			is_settled &= !follow(dom, p);
	}
}

struct unm_dport *
unm_nic_find(const struct unm_domain *dom, const struct unm_netns_id *ns, uint32_t ifindex)
{
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (!p->is_dying && p->nic != NULL && p->nic->ifindex == ifindex &&
			unm_netns_same(&p->nic->ns, ns))
			return p;
	}
	return NULL;
}

/* The name leads to @port, and means another interface. */
static int
fail_other(struct unm_domain *dom, const struct unm_dport *port, const struct unm_netns_id *ns,
	struct unm_reason *why)
{
	const struct unm_dport *attached = unm_port_attached_as(dom, port->name);
	char now[UNM_NAME_SIZE];
	int len;

	if (!unm_netns_same(&port->nic->ns, ns))
		return unm_fail(why, -EBUSY,
			"'%s' is open in a namespace that had this name before: close that first",
			port->name);
	present_name(port, now);
	if (attached == NULL)
		return unm_fail(why, -EBUSY,
			"'%s': by this name what is '%s' now is still open: close that first",
			port->name, now);
	len = (int)strcspn(attached->name, ":");
	return unm_fail(why, -EBUSY,
		"'%s': by this name %.*s has what is '%s' now: write that, or detach it first "
		"(nmctl detach %.*s %s)",
		port->name, len, attached->name, now, len, attached->name,
		attached->name + len + 1);
}

static bool
has_nic(const struct unm_domain *dom)
{
	const struct unm_dport *p = dom->ports;

	while (p != NULL && p->nic == NULL)
		p = p->next;
	return p != NULL;
}

int
unm_nic_true_name(struct unm_domain *dom, struct unm_name *name, struct unm_reason *why)
{
	struct unm_dport *named = unm_port_find(dom, name);
	const struct unm_dport *port;
	struct unm_netns_id ns;
	uint32_t ifindex;
	int ret;

	if (named != NULL && unm_base_is_automatic(named))
		named = NULL; /* it gives way */
	if (!has_nic(dom) || (named != NULL && named->kind != UNM_PORT_NIC))
		return 0;
	ret = unm_netns_interface(name->netns, name->ifname, &ns, &ifindex);
	if (ret < 0 && ret != -ENODEV)
		return 0; /* nobody can tell */
	port = ret == 0 ? unm_nic_find(dom, &ns, ifindex) : NULL;
	if (port == NULL && named != NULL) {
		unm_nic_look(named); /* of what netmapd has not read yet */
		named = unm_dport_find(dom, name->full);
	}
	if (port != NULL)
		return unm_name_parse(port->name, name, why);
	if (named == NULL || named->nic == NULL || named->nic->ns.ino == 0)
		return 0;
	/* By the name of one that is not there any more a switch has what had it. */
	return ret == 0 || !unm_netns_same(&named->nic->ns, &ns) ? fail_other(dom, named, &ns, why)
								 : 0;
}
