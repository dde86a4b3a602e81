/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nm-worker: forwards between a port of a VALE switch and a TAP. netmapd starts it for VALE_ATTACH; it is not for use by hand.
 *
 * An ordinary netmap client in one thread. Both ports are in one region, so frames move by exchanging buffers. It sleeps in
 * poll until a frame comes; a direction whose far side is full waits for room there and leaves its own side alone, so nothing
 * is dropped here that the switch or the kernel would not drop. It ends with an error when either port is taken away.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include "../nm-bridge/move_fp.h"
#include "libnetmap.h"
#include "nmt_cli.h"

static const struct nmt_cli cli = {
	.prog = "nm-worker",
	.help = "nm-worker - forward between a VALE port and a TAP, started by netmapd\n"
		"\n"
		"usage: nm-worker VALEPORT TAPPORT\n"
		"\n"
		"  --help     this text\n"
		"  --version  version\n",
	.shortopts = "",
};

struct end {
	struct nmport_d *port;
	uint32_t n_bufs;
};

/* Open a port by the name that netmapd knows it by, for us alone. */
static void
open_end(struct end *e, const char *name, uint16_t n_rings)
{
	const struct netmap_ring *ring;
	uint64_t buf_ofs;

	e->port = nmport_new();
	if (e->port == NULL)
		nmt_die(&cli, "out of memory");
	if (strlen(name) >= sizeof(e->port->hdr.nr_name))
		nmt_usage_error(&cli, "'%s': a port's name has at most %zu characters", name,
			sizeof(e->port->hdr.nr_name) - 1);
	strcpy(e->port->hdr.nr_name, name);
	e->port->reg.nr_mode = NR_REG_ALL_NIC;
	e->port->reg.nr_flags = NR_EXCLUSIVE;
	e->port->reg.nr_tx_rings = n_rings;
	e->port->reg.nr_rx_rings = n_rings;
	if (nmport_open_desc(e->port) < 0)
		nmt_die(&cli, "can't open %s: %s", name, strerror(errno));
	ring = NETMAP_TXRING(e->port->nifp, e->port->first_tx_ring);
	buf_ofs = (uint64_t)((const char *)ring - (const char *)e->port->nifp) +
		  e->port->reg.nr_offset + (uint64_t)ring->buf_ofs;
	e->n_bufs = (uint32_t)((e->port->reg.nr_memsize - buf_ofs) / ring->nr_buf_size);
}

/* Move what there is from @from to @to. Return: true if a full ring of @to holds something up. */
static bool
move(struct end *from, struct end *to, struct br_counters *c)
{
	const uint32_t n_tx = to->port->last_tx_ring - to->port->first_tx_ring + 1u;
	struct br_move m = {
		.swap = from->port->reg.nr_mem_id == to->port->reg.nr_mem_id,
		.n_rx_bufs = from->n_bufs,
		.n_tx_bufs = to->n_bufs,
		.n_limit = UINT32_MAX,
	};
	bool is_blocked = false;
	uint32_t i;

	for (i = from->port->first_rx_ring; i <= from->port->last_rx_ring; i++) {
		m.rx = NETMAP_RXRING(from->port->nifp, i);
		m.tx = NETMAP_TXRING(to->port->nifp, to->port->first_tx_ring + i % n_tx);
		if (br_move_ring(&m, c) == BR_MOVE_NO_ROOM)
			is_blocked = true;
	}
	return is_blocked;
}

static void
forward(struct end *vale, struct end *tap)
{
	struct br_counters up = {0}, down = {0};

	for (;;) { /* until a signal ends us, or a port is gone */
		struct pollfd fds[2];
		const bool down_full = move(vale, tap, &down);
		const bool up_full = move(tap, vale, &up);

		fds[0].fd = vale->port->fd;
		fds[0].events = (short)((down_full ? 0 : POLLIN) | (up_full ? POLLOUT : 0));
		fds[1].fd = tap->port->fd;
		fds[1].events = (short)((up_full ? 0 : POLLIN) | (down_full ? POLLOUT : 0));
		fds[0].revents = fds[1].revents = 0;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			nmt_die(&cli, "poll: %s", strerror(errno));
		if ((fds[0].revents | fds[1].revents) & POLLERR)
			nmt_die(&cli, "%s has been taken away",
				fds[0].revents & POLLERR ? vale->port->hdr.nr_name
							 : tap->port->hdr.nr_name);
	}
}

int
main(int argc, char **argv)
{
	struct end vale, tap;

	while (nmt_cli_next(&cli, argc, argv) != -1)
		continue; /* the two options that there are end the program */
	if (argc - optind != 2)
		nmt_usage_error(&cli, "a VALE port and a TAP port are needed");
	open_end(&vale, argv[optind], 0);
	open_end(&tap, argv[optind + 1], vale.port->reg.nr_tx_rings);
	forward(&vale, &tap);
	return 0;
}
