/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop of the bridge: see bridge.h. */
#include "bridge.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "nmt_log.h"
#include "nmt_port.h"
#include "nmt_slot.h"
#include "nmt_stop.h"
#include "nmt_time.h"

#define POLL_TIMEOUT_MS 2500
#define DOWN_PAUSE_MS	100 /* between two looks at an interface that is down */

/* Ring flags are set by programs, and we set none: somebody else uses the ring too. */
static void
warn_about_flags(struct br_dir *dir, const struct netmap_ring *rx, const struct netmap_ring *tx)
{
	const uint64_t now_ns = nmt_now_ns();

	if (now_ns < dir->warn_after_ns)
		return;
	dir->warn_after_ns = now_ns + NMT_NS_PER_S;
	nmt_log("%s rxflags %x txflags %x", dir->label, rx->flags, tx->flags);
}

/* -vv. The slots are filled, and ours until the next sync. */
static void
log_packets(const struct br_dir *dir, const struct nmt_move *m)
{
	uint32_t i = m->first_tx;
	uint32_t len = 0;

	for (uint32_t n = 0; n < m->n_slots; n++) {
		const struct netmap_slot *slot = &m->tx->slot[i];

		len += slot->len;
		if ((slot->flags & NS_MOREFRAG) == 0) {
			nmt_log("%s fwd len %u, tx slot %u buf idx %u", dir->label, len, i,
				slot->buf_idx);
			len = 0;
		}
		i = nm_ring_next(m->tx, i);
	}
}

static enum nmt_move_end
move_between_rings(struct br_bridge *br, struct br_dir *dir, struct nmt_move *m)
{
	enum nmt_move_end end;

	if (m->rx->flags != 0 || m->tx->flags != 0)
		warn_about_flags(dir, m->rx, m->tx);
	/* An offset travels with its slot only if both rings look for it in the same bits. */
	m->swap = br->zerocopy && m->rx->offset_mask == m->tx->offset_mask;
	end = nmt_move_ring(m, &dir->counters);
	if (m->n_slots > 0) {
		nmt_debug(1, "%s fwd %u packets: rxring %u --> txring %u", dir->label, m->n_packets,
			m->rx->ringid, m->tx->ringid);
		if (nmt_log_verbosity() > 1)
			log_packets(dir, m);
	}
	return end;
}

/* Move what there is and fits, up to the burst. A tx ring is left for the next when it is full. */
static void
move_direction(struct br_bridge *br, struct br_dir *dir)
{
	const uint32_t n_rx = nmt_port_n_rx(dir->from->port);
	const uint32_t n_tx = nmt_port_n_tx(dir->to->port);
	struct nmt_move m = {
		.n_rx_bufs = dir->from->n_bufs,
		.n_tx_bufs = dir->to->n_bufs,
		.n_limit = br->burst,
	};
	uint32_t n_drained = 0;
	uint32_t ti = 0;

	while (n_drained < n_rx && ti < n_tx) { /* each round uses up a ring, or is the last */
		enum nmt_move_end end;

		m.rx = nmt_port_rx(dir->from->port, dir->next_rx);
		m.tx = nmt_port_tx(dir->to->port, ti);
		end = move_between_rings(br, dir, &m);
		if (end == NMT_MOVE_NO_ROOM)
			ti++;
		else
			dir->next_rx = dir->next_rx + 1 < n_rx ? dir->next_rx + 1 : 0;
		if (end == NMT_MOVE_DRAINED)
			n_drained++;
		if (end == NMT_MOVE_LIMIT)
			break;
		m.n_limit -= m.n_slots < m.n_limit ? m.n_slots : m.n_limit;
	}
	dir->pending = n_drained < n_rx;
}

static void
log_poll(const struct br_bridge *br, const struct pollfd *fds, const char *what)
{
	char text[256] = "";
	size_t len = 0;

	for (uint32_t i = 0; i < br->n_sides && len < sizeof(text); i++) {
		const struct nmport_d *d = br->sides[i].port;
		const uint32_t n_rx = nmt_port_n_rx(d), n_tx = nmt_port_n_tx(d);
		uint32_t rx = 0, tx = 0;

		for (uint32_t r = 0; r < n_rx; r++)
			rx += nmt_ring_avail(nmt_port_rx(d, r));
		for (uint32_t r = 0; r < n_tx; r++)
			tx += nmt_ring_avail(nmt_port_tx(d, r));
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%s[%u] ev %x %x rx %u@%u tx %u", i > 0 ? ", " : "", i,
			(unsigned)fds[i].events, (unsigned)fds[i].revents, rx,
			n_rx > 0 ? nmt_port_rx(d, 0)->head : 0, tx);
	}
	nmt_log("poll %s %s", what, text);
}

static int
sync_side(const struct br_side *side)
{
	const int error = nmt_port_sync(side->port, NIOCRXSYNC);

	return error == 0 ? nmt_port_sync(side->port, NIOCTXSYNC) : error;
}

/*
 * EIO: the interface was taken down. It is waited for: what its rings hold goes on when it is up again.
 * Return: 0, or what ends the bridge.
 */
static int
check_side(struct br_side *side)
{
	const int error = sync_side(side);

	if (error == -EIO && !side->is_down)
		nmt_log("%s is down: waiting until it is up", side->port->hdr.nr_name);
	else if (error == 0 && side->is_down)
		nmt_log("%s is up again", side->port->hdr.nr_name);
	side->is_down = error == -EIO;
	return side->is_down ? 0 : error;
}

/*
 * poll() says POLLERR after it put a ring with wrong indices right, too; so ask again. And it says so
 * at once as long as an interface is down: so not too often.
 */
static int
check_errors(struct br_bridge *br, const struct pollfd *fds)
{
	bool is_down = false;
	int error = 0;

	for (uint32_t i = 0; i < br->n_sides && error == 0; i++) {
		struct br_side *side = &br->sides[i];

		if ((fds[i].revents & (POLLERR | POLLNVAL)) == 0 && !side->is_down)
			continue;
		if (!side->is_down)
			log_poll(br, fds, "error");
		error = check_side(side);
		is_down = is_down || side->is_down;
	}
	if (error == 0 && is_down)
		(void)nmt_stop_poll(NULL, 0, DOWN_PAUSE_MS); /* a signal is seen by the caller */
	return error;
}

/* Sync both ports; sleep until a direction can go on. */
static int
wait_for_work(struct br_bridge *br)
{
	struct pollfd fds[2] = {{.fd = -1}, {.fd = -1}};
	int n;

	for (uint32_t i = 0; i < br->n_sides; i++)
		fds[i].fd = br->sides[i].port->fd;
	for (uint32_t i = 0; i < br->n_dirs; i++) {
		const struct br_dir *dir = &br->dirs[i];

		if (dir->pending)
			fds[dir->to - br->sides].events |= POLLOUT;
		else
			fds[dir->from - br->sides].events |= POLLIN;
	}
	n = nmt_stop_poll(fds, br->n_sides, POLL_TIMEOUT_MS);
	if (n == -EINTR)
		return 0;
	if (n < 0) {
		nmt_log("poll: %s", strerror(-n));
		return n;
	}
	if (n == 0 || nmt_log_verbosity() > 0)
		log_poll(br, fds, n == 0 ? "timeout" : "ok");
	return check_errors(br, fds);
}

int
br_run(struct br_bridge *br)
{
	int error = 0;

	while (error == 0 && !nmt_stop_requested()) { /* until a signal, or a port fails */
		error = wait_for_work(br);
		if (error != 0)
			break;
		for (uint32_t i = 0; i < br->n_dirs; i++)
			move_direction(br, &br->dirs[i]);
	}
	/* What the last round moved has not been seen by netmap yet. */
	for (uint32_t i = 0; i < br->n_sides && error == 0; i++) {
		error = nmt_port_sync(br->sides[i].port, NIOCTXSYNC);
		if (error == -EIO)
			error = 0; /* down: it stays there */
	}
	return error;
}
