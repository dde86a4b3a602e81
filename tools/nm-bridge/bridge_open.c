/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening and closing the ports of the bridge: see bridge.h. */
#include "bridge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nmt_log.h"
#include "nmt_open.h"
#include "nmt_port.h"

static int
open_side(struct br_bridge *br, const char *spec)
{
	struct br_side *side = &br->sides[br->n_sides];
	struct nmt_err err;
	int error;

	side->port = nmt_port_open(spec, &err);
	if (side->port == NULL) {
		error = -errno;
		nmt_log("%s%s", err.text,
			error == -EIO ? " (it carries virtio-net headers, not frames)" : "");
		return error;
	}
	side->n_bufs = nmt_port_n_bufs(side->port);
	br->n_sides++;
	return 0;
}

static const char *
side_kind(const struct br_side *side)
{
	const uint32_t mode = side->port->reg.nr_mode;

	return mode == NR_REG_SW || mode == NR_REG_ONE_SW ? "host" : "nic";
}

static void
add_direction(struct br_bridge *br, const struct br_side *from, const struct br_side *to)
{
	struct br_dir *dir = &br->dirs[br->n_dirs];

	if (nmt_port_n_rx(from->port) == 0 || nmt_port_n_tx(to->port) == 0)
		return;
	*dir = (struct br_dir){.from = from, .to = to};
	snprintf(dir->label, sizeof(dir->label), "%s:%s --> %s:%s", from->port->hdr.nr_name,
		side_kind(from), to->port->hdr.nr_name, side_kind(to));
	br->n_dirs++;
}

int
br_open(struct br_bridge *br, const struct br_options *opts)
{
	const struct br_side *a = &br->sides[0], *b = a;
	int error;

	*br = (struct br_bridge){.burst = opts->burst};
	error = open_side(br, opts->port_a);
	if (error == 0 && opts->port_b[0] != '\0') {
		error = open_side(br, opts->port_b);
		b = &br->sides[1];
	}
	if (error != 0)
		return error;
	br->zerocopy = !opts->copy && a->port->mem == b->port->mem;
	nmt_log("------- zerocopy %ssupported", br->zerocopy ? "" : "NOT ");
	add_direction(br, a, b);
	if (b != a)
		add_direction(br, b, a);
	if (br->n_dirs == 0) {
		nmt_log("nothing to forward: neither port has rings to read while the other has "
			"rings to write");
		return -EINVAL;
	}
	return 0;
}

void
br_close(struct br_bridge *br)
{
	for (uint32_t i = 0; i < br->n_dirs; i++) {
		const struct br_dir *dir = &br->dirs[i];

		nmt_log("%s total %" PRIu64 " packets %" PRIu64 " bytes %" PRIu64 " dropped",
			dir->label, dir->counters.packets, dir->counters.bytes,
			dir->counters.dropped);
	}
	br->n_dirs = 0;
	for (uint32_t i = 0; i < br->n_sides; i++)
		nmport_close(br->sides[i].port);
	br->n_sides = 0;
}
