/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of what can be opened: netmap ports stand behind the system's interfaces. */
#include "pcap/api/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcap/list.h"

#define DESCRIPTION_SIZE 160

/* Parts of a list are for pcap_freealldevs(), which frees each by free(). */
static pcap_if_t *
make_device(const struct unm_list_port *port)
{
	char text[DESCRIPTION_SIZE];
	pcap_if_t *dev = calloc(1, sizeof(*dev));

	if (dev == NULL)
		return NULL;
	unm_list_describe(port, text, sizeof(text));
	dev->name = strdup(port->name);
	dev->description = strdup(text);
	dev->flags = PCAP_IF_UP | PCAP_IF_RUNNING |
		     (port->has_link ? PCAP_IF_CONNECTION_STATUS_CONNECTED
				     : PCAP_IF_CONNECTION_STATUS_DISCONNECTED);
	if (dev->name != NULL && dev->description != NULL)
		return dev;
	free(dev->name);
	free(dev->description);
	free(dev);
	return NULL;
}

/* A list without our ports is as good a list to the program, which would not say why: so we do, once. */
static void
note_no_list(int error, const char *why)
{
	static int noted; /* by any thread: twice does no harm */

	if (why[0] == '\0' || __atomic_exchange_n(&noted, error, __ATOMIC_RELAXED) == error)
		return;
	fprintf(stderr, "nm-pcap: netmap ports are not listed: %s\n", why);
}

/*
 * No netmapd, no ports: a list is no reason to start one, and that the program may not ask is none
 * to withhold the other interfaces.
 */
static void
append_ports(pcap_if_t **list)
{
	char why[UNM_LIST_WHY_SIZE];
	struct unm_list_port *ports;
	const int n = unm_list_ports(&ports, UNM_LIST_WAIT_MS, why);
	int i;

	if (n < 0)
		note_no_list(n, why);

	while (*list != NULL)
		list = &(*list)->next;
	for (i = 0; i < n; i++) {
		*list = make_device(&ports[i]);
		if (*list == NULL)
			break;
		list = &(*list)->next;
	}
	if (n >= 0)
		free(ports);
}

int
pcap_findalldevs(pcap_if_t **list, char *errbuf)
{
	const int ret = PCAP_REAL(pcap_findalldevs)(list, errbuf);

	if (ret == 0)
		append_ports(list);
	return ret;
}

/* A port has no address of its own, as the system's library says of devices without one. */
int
pcap_lookupnet(const char *name, bpf_u_int32 *net, bpf_u_int32 *mask, char *errbuf)
{
	if (!unm_cap_is_name(name))
		return PCAP_REAL(pcap_lookupnet)(name, net, mask, errbuf);
	*net = 0;
	*mask = 0;
	return 0;
}
