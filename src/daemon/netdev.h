/* SPDX-License-Identifier: BSD-2-Clause */
/* What there is to know about a network interface of the current namespace. */
#ifndef UNM_DAEMON_NETDEV_H
#define UNM_DAEMON_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/names.h"

struct unm_netdev {
	char name[UNM_IFNAME_SIZE];
	uint32_t ifindex;
	uint32_t mtu;
	uint8_t mac[6];
	bool is_up;
	bool has_carrier;
	bool is_ethernet; /* frames with Ethernet headers */
	bool is_virtual;  /* its frames come from a kernel, ours or a guest's, not from a wire */
	bool is_veth;
	/* queues in use; 0 = the driver does not say */
	uint32_t n_tx, n_rx;
	/* descriptors of a queue; 0 = the driver does not say */
	uint32_t tx_slots, rx_slots;
};

/** unm_netdev_get() - Return: 0, -ENODEV (no such interface), -errno. */
int unm_netdev_get(const char *name, struct unm_netdev *out);

/**
 * unm_netdev_queues() - how many receive queues interface @name has in use now
 * @fd: any socket of the interface's namespace
 *
 * Return: their number, 0 if that is not known.
 */
uint32_t unm_netdev_queues(int fd, const char *name);

/** unm_netdev_name() - present name of interface @ifindex. Return: 0 or -ENODEV. */
int unm_netdev_name(uint32_t ifindex, char *out);

#endif
