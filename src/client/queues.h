/* SPDX-License-Identifier: BSD-2-Clause */
/* TAP queues behind other ports of a switch: for a worker, which writes to them. */
#ifndef UNM_CLIENT_QUEUES_H
#define UNM_CLIENT_QUEUES_H

#include <stdint.h>

struct unm_seg;

/**
 * unm_queues_get() - callback of unm_env: the queues behind a port that is attached to a switch
 * @fds: room for @max; descriptors of ours, to be given back with unm_queues_put()
 *
 * Asks netmapd. Return: how many; -EPERM this process is no worker of the switch, -ESTALE no such
 * port, -ENOSPC more than @max, -errno.
 */
int unm_queues_get(
	const struct unm_seg *seg, uint32_t port, uint32_t gen, int *fds, unsigned int max);
void unm_queues_put(const int *fds, unsigned int n);

#endif
