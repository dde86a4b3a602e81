/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients in another network namespace than netmapd. See elsewhere.h. */
/* Syscalls: stat newfstatat */
#include "daemon/elsewhere.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/kinds.h"
#include "daemon/missing.h"
#include "daemon/names.h"
#include "daemon/netns.h"
#include "daemon/nic.h"

#define NETNS_SIZE 32 /* more of a namespace's name would not fit into the sentence */

/* An interface as its namespace counts. */
struct place {
	struct unm_netns_id ns;
	uint32_t ifindex;
};

/* Is it known that process @pid is in another namespace of that kind than netmapd? */
static bool
is_other_ns(pid_t pid, const char *kind)
{
	char path[40];
	struct stat own, theirs;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	if (stat(path, &own) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
	return stat(path, &theirs) == 0 &&
	       (own.st_ino != theirs.st_ino || own.st_dev != theirs.st_dev);
}

/* The file of the network namespace that the client is in, if that is known and is not netmapd's. */
static bool
find_elsewhere(const struct unm_session *s, char *path, size_t size)
{
	if (s->isolate != NULL || s->pid <= 0 || !is_other_ns(s->pid, "net"))
		return false;
	snprintf(path, size, "/proc/%d/ns/net", (int)s->pid);
	/* It may have ended, and another process have its number. */
	return s->started == 0 || unm_process_started(s->pid) == s->started;
}

bool
unm_elsewhere_is(const struct unm_session *s)
{
	return s->isolate == NULL && s->pid > 0 &&
	       (is_other_ns(s->pid, "net") || is_other_ns(s->pid, "pid"));
}

/* Is @place what netmapd would take for @name, or is that no interface at all? */
static bool
is_meant(struct unm_domain *dom, const struct unm_name *name, const struct place *place)
{
	const struct unm_dport *port;
	struct unm_netns_id ns;

	if (name->kind == UNM_NAME_PLAIN && unm_interface_exists(name->full))
		return false; /* netmapd's */
	port = unm_port_find(dom, name);
	if (port == NULL)
		return false;
	if (port->kind == UNM_PORT_NIC)
		return port->nic != NULL && port->nic->ifindex == place->ifindex &&
		       unm_netns_same(&port->nic->ns, &place->ns);
	if (port->kind == UNM_PORT_TAP && port->n_port_fds > 0) {
		unm_netns_of_socket(port->port_fds[0], &ns);
		return unm_netns_same(&ns, &place->ns);
	}
	return true;
}

int
unm_elsewhere_check(
	const struct unm_session *s, const char *raw, bool is_opened, struct unm_reason *why)
{
	struct unm_domain *dom = &s->srv->dom;
	char path[40], netns[NETNS_SIZE];
	struct unm_name name;
	struct place place;

	if (unm_name_parse(raw, &name, NULL) < 0 || name.netns[0] != '\0' ||
		(name.kind != UNM_NAME_PLAIN && name.kind != UNM_NAME_TAP))
		return 0;
	if (!find_elsewhere(s, path, sizeof(path)) ||
		unm_netns_interface(path, name.ifname, &place.ns, &place.ifindex) < 0 ||
		is_meant(dom, &name, &place))
		return 0;
	if (!unm_netns_name(&place.ns, netns, sizeof(netns)))
		return unm_fail(why, -ENXIO,
			"'%s' is in your network namespace, netmapd is in another one: write "
			"%s%%pid:N, N being a process of yours",
			name.full, name.full);
	/* In what a program opens, these begin something else. */
	return unm_fail(why, -ENXIO,
		"'%s' is in your network namespace, netmapd is in another one: write %s%s%s",
		name.full, name.full,
		is_opened && strpbrk(netns, "-*^/@") != NULL ? "@netns=" : "%", netns);
}
