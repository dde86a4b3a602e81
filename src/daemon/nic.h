/* SPDX-License-Identifier: BSD-2-Clause */
/* A network interface that is open as a port: netmapd's side of it. */
#ifndef UNM_DAEMON_NIC_H
#define UNM_DAEMON_NIC_H

#include "daemon/domain.h"
#include "daemon/nic_probe.h"

struct unm_nic {
	struct unm_nic_state *st; /* mapped */
	uint64_t st_size;
	uint32_t ifindex;
	char ifname[UNM_IFNAME_SIZE];
	char netns[UNM_NAME_SIZE]; /* empty: netmapd's own */
	uint32_t mtu;
	char reason[UNM_NIC_REASON_SIZE]; /* why no faster mode */
};

/**
 * unm_nic_adopt() - make the @nic of an adopted port from descriptors that a client has handed back
 * @fds: @n of them, as in shm/nic.h; borrowed. The caller makes them the port's
 *
 * Return: 0, or -EINVAL with the reason.
 */
int unm_nic_adopt(struct unm_dport *port, const int *fds, uint32_t n, struct unm_reason *why);

#endif
