/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nm-bridge: forwards packets between two netmap ports. bridge.h has the picture. Exit status: 0
 * when told to stop, 1 when a port cannot be opened or fails, 2 for a wrong command line.
 */
#include <stdlib.h>
#include <string.h>

#include "bridge.h"
#include "nmt_log.h"
#include "nmt_stop.h"

static void
log_ready(const struct br_bridge *br)
{
	const struct nmport_d *a = br->sides[0].port;
	const struct nmport_d *b = br->sides[br->n_sides - 1].port;

	nmt_log("Ready to go, %s 0x%x/%u <-> %s 0x%x/%u.", a->hdr.nr_name, a->first_rx_ring,
		a->reg.nr_rx_rings, b->hdr.nr_name, b->first_rx_ring, b->reg.nr_rx_rings);
}

int
main(int argc, char **argv)
{
	struct br_options opts;
	struct br_bridge br;
	int error;

	br_options_parse(&opts, argc, argv);
	/* With option offset packets begin behind the start of their buffers, which is fine here. A
	 * library that does not know the option says so when a port name has it. */
	(void)nmport_enable_option("offset");
	error = nmt_stop_init(false);
	if (error != 0)
		nmt_die(&br_cli, "cannot set signal handlers: %s", strerror(-error));
	error = br_open(&br, &opts);
	if (error == 0) {
		nmt_log("Wait %u secs for link to come up...", opts.wait_s);
		(void)nmt_stop_sleep(opts.wait_s);
		log_ready(&br);
		error = br_run(&br);
	}
	br_close(&br);
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
