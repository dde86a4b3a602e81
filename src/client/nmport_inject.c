/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmport_inject.c - queue one packet.
 *
 * The copy into the rings is that of nm_inject(), which programs without the library need in a
 * header; it is compiled here from the same source.
 */
#define NETMAP_WITH_LIBS
#include "nmport_priv.h"

int
nmport_inject(struct nmport_d *d, const void *buf, size_t size)
{
	return nmh_inject_rings(
		d->nifp, d->first_tx_ring, d->last_tx_ring, &d->cur_tx_ring, buf, size);
}
