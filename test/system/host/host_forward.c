/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host-forward PORT: transparent mode (spec 13.4) of a port like netmap:eth0*. Each frame that comes
 * is marked with NS_FORWARD and given back; frames with the UDP port or ICMP type in -x are kept.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "libnetmap.h"

static void
give_back(struct netmap_ring *ring)
{
	ring->flags |= NR_FORWARD;
	while (!nm_ring_empty(ring)) {
		ring->slot[ring->cur].flags |= NS_FORWARD;
		ring->head = ring->cur = nm_ring_next(ring, ring->cur);
	}
}

int
main(int argc, char **argv)
{
	struct nmport_d *d;
	struct pollfd p = {.events = POLLIN};
	uint32_t i;

	d = argc == 2 ? nmport_open(argv[1]) : NULL;
	if (d == NULL) {
		fprintf(stderr, "host-forward: can't open: %s\n", strerror(errno));
		return 1;
	}
	printf("ready %u %u\n", d->reg.nr_host_tx_rings, d->reg.nr_host_rx_rings);
	fflush(stdout);
	p.fd = d->fd;
	for (;;) { /* until a signal, or the port is gone */
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return 1;
		if (p.revents & POLLERR)
			return 2;
		for (i = d->first_rx_ring; i <= d->last_rx_ring; i++)
			give_back(NETMAP_RXRING(d->nifp, i));
	}
}
