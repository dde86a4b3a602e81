/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's side of an interface on a switch. See host_port.h. */
/* Syscalls: fcntl */
#include "daemon/host_port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/nic.h"
#include "daemon/tap.h"

#define TAP_PREFIX "tap:"

/* "IF^%NETNS" of "IF%NETNS": the port part of its name on a switch. The TAP's name may be another. */
static void
host_name(const char *nic_name, char *out, size_t size)
{
	const char *percent = strchr(nic_name, '%');
	const size_t len = percent != NULL ? (size_t)(percent - nic_name) : strlen(nic_name);

	snprintf(out, size, "%.*s^%s", (int)len, nic_name, percent != NULL ? percent : "");
}

static void
tap_name(const char *nic_name, char *out, size_t size)
{
	memcpy(out, TAP_PREFIX, sizeof(TAP_PREFIX));
	host_name(nic_name, out + strlen(TAP_PREFIX), size - strlen(TAP_PREFIX));
}

struct unm_dport *
unm_host_port_tap(struct unm_domain *dom, const struct unm_dport *nic)
{
	char name[UNM_NAME_SIZE + 8];

	tap_name(nic->name, name, sizeof(name));
	return unm_dport_find(dom, name);
}

struct unm_dport *
unm_host_port_nic(struct unm_domain *dom, const char *name)
{
	char theirs[UNM_NAME_SIZE + 8];
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->kind != UNM_PORT_NIC || p->is_dying || p->nic == NULL || p->n_host_fds == 0)
			continue;
		tap_name(p->name, theirs, sizeof(theirs));
		if (strcmp(theirs, name) == 0)
			return p;
	}
	return NULL;
}

int
unm_host_port_queues(const struct unm_dport *nic, int *fds, struct unm_reason *why)
{
	uint32_t i;

	for (i = 0; i < nic->n_host_fds; i++) {
		fds[i] = fcntl(nic->port_fds[nic->host_fd + i], F_DUPFD_CLOEXEC, 0);
		if (fds[i] >= 0)
			continue;
		while (i-- > 0)
			close(fds[i]);
		return unm_fail(why, -EMFILE, "netmapd is out of descriptors");
	}
	return 0;
}

/* The host's side of @nic on whatever switch. */
static struct unm_dport *
find_on_switch(struct unm_domain *dom, const struct unm_dport *nic)
{
	char host[UNM_NAME_SIZE + 8];
	struct unm_dport *p;

	host_name(nic->name, host, sizeof(host));
	for (p = dom->ports; p != NULL; p = p->next) {
		const char *part = strchr(p->name, ':');

		if ((p->flags & UNM_PORTF_HOST_SIDE) && !p->is_dying && part != NULL &&
			strcmp(part + 1, host) == 0)
			return p;
	}
	return NULL;
}

void
unm_host_port_settle(struct unm_domain *dom, struct unm_dport *nic)
{
	const struct unm_dport *side = find_on_switch(dom, nic);
	struct unm_dport *tap = unm_host_port_tap(dom, nic);
	struct unm_name name = {.kind = UNM_NAME_TAP};
	struct unm_geometry geo = {.region = nic->region, .tx_slots = UNM_TAP_ATTACHED_SLOTS};
	struct unm_reason why = {""};
	int ret = 0;

	if (side == NULL || nic->n_host_fds == 0)
		return;
	if (tap == NULL) {
		tap_name(nic->name, name.full, sizeof(name.full));
		geo.rx_slots = side->tx_slots;
		ret = unm_tap_open(dom, &name, &geo, &tap, &why);
	} else if (tap->n_port_fds == 0 && tap->n_tx == nic->n_host_fds) {
		ret = unm_host_port_queues(nic, tap->port_fds, &why);
		if (ret == 0)
			tap->n_port_fds = nic->n_host_fds;
	}
	if (ret < 0)
		unm_log(LOG_WARNING, "%s: %s", side->name, why.text);
}

int
unm_host_port_attach(struct unm_domain *dom, struct unm_dport *nic, const char *sw,
	const struct unm_geometry *tap_geo, const struct unm_geometry *geo, struct unm_dport **out,
	struct unm_reason *why)
{
	char part[UNM_NAME_SIZE + 8], full[2 * UNM_NAME_SIZE];
	struct unm_name tap = {.kind = UNM_NAME_TAP};
	struct unm_dport *tap_port;
	uint32_t i;
	int ret;

	if (nic->n_host_fds == 0)
		return unm_fail(why, -EOPNOTSUPP,
			"'%s' has no host rings (netmapd's log says why): attach it without them "
			"(vale-ctl -a)",
			nic->name);
	host_name(nic->name, part, sizeof(part));
	snprintf(full, sizeof(full), "%s:%s", sw, part);
	if (strlen(full) >= UNM_NAME_SIZE || strlen(part) >= UNM_NAME_SIZE - strlen(TAP_PREFIX))
		return unm_fail(why, -EINVAL, "'%s' is too long a name for a port", full);
	snprintf(tap.full, sizeof(tap.full), TAP_PREFIX "%.59s", part);
	if (unm_dport_find(dom, full) != NULL || unm_dport_find(dom, tap.full) != NULL)
		return unm_fail(why, -EBUSY, "'%s' exists already", full);
	for (i = 0; i < nic->n_tx + nic->n_rx; i++) {
		const bool is_host = i < nic->n_tx ? i >= unm_dport_nic_tx(nic)
						   : i - nic->n_tx >= unm_dport_nic_rx(nic);

		if (is_host && nic->rings[i].n_users > 0)
			return unm_fail(why, -EBUSY,
				"the host rings of '%s' are open: close them first", nic->name);
	}
	ret = unm_tap_open(dom, &tap, tap_geo, &tap_port, why);
	if (ret < 0)
		return ret;
	ret = unm_vale_new(dom, full, sw, geo, UNM_PORTF_ATTACHED | UNM_PORTF_HOST_SIDE, out, why);
	if (ret < 0)
		unm_port_release(dom, tap_port);
	return ret;
}

struct unm_dport *
unm_host_port_of(struct unm_domain *dom, const struct unm_dport *attached)
{
	const char *part = strchr(attached->name, ':');
	char host[UNM_NAME_SIZE + 8], full[2 * UNM_NAME_SIZE];
	struct unm_dport *port;

	if (part == NULL)
		return NULL;
	host_name(part + 1, host, sizeof(host));
	snprintf(full, sizeof(full), "%.*s:%s", (int)(part - attached->name), attached->name, host);
	port = unm_dport_find(dom, full);
	return port != NULL && (port->flags & UNM_PORTF_HOST_SIDE) ? port : NULL;
}

void
unm_host_port_end(struct unm_domain *dom, const char *nic_name)
{
	char name[UNM_NAME_SIZE + 8];
	struct unm_dport *tap;

	tap_name(nic_name, name, sizeof(name));
	tap = unm_dport_find(dom, name);
	if (tap != NULL && tap->kind == UNM_PORT_TAP)
		unm_dport_remove(dom, tap);
}
