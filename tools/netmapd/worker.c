/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nm-worker: forwards between a port of a VALE switch and a TAP, a network interface, or another
 * port. netmapd starts it
 * for VALE_ATTACH; it is not for use by hand.
 *
 * An ordinary netmap client. Both ports are in one region, so frames move by exchanging buffers. A
 * direction whose far side is full waits for room there and leaves its own side alone, so nothing
 * is dropped here that the switch or the kernel would not drop. While an interface is down it waits. It
 * ends with an error when either port is taken away.
 *
 * With a TAP both ports have virtio-net headers, and frames are what the kernel's TCP makes: up to
 * 64 KiB, many slots each. What goes from this TAP to another one of the switch is written there by
 * our txsync, with no ring in between (src/vale/direct_fp.h). Each queue of the TAP has a lane of
 * its own: a thread, with one ring of either port.
 *
 *	        far rx ring --exchange--> VALE tx ring --txsync--> other ports
 *	lane i
 *	        far tx ring <--exchange-- VALE rx ring <---------- other ports
 *
 * A lane works as long as there are frames, looks a little longer if that has paid lately
 * (src/client/spin.h), and sleeps in poll.
 *
 * It outlives a netmapd that was killed, and goes on for the next one. Where there can't be a next one,
 * as somebody has removed the directory of the socket, it ends once nothing moves any more.
 */
/* Syscalls: sched_setaffinity */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/spin.h"
#include "confine.h"
#include "libnetmap.h"
#include "nmt_cli.h"
#include "nmt_move_fp.h"
#include "nmt_open.h"
#include "nmt_time.h"
#include "output.h"
#include "shm/atomic.h"
#include "shm/proto.h"
#include "shm/socket_dir.h"

#define MAX_LANES     64 /* rings of a VALE port */
#define VNET_HDR      12
#define DOWN_PAUSE_MS 100 /* between two looks at an interface that is down */
#define IDLE_LOOK_MS  10000

enum {
	OPT_POLL = 256,
};

static const struct option long_options[] = {
	{"poll", required_argument, NULL, OPT_POLL},
	{NULL, 0, NULL, 0},
};

static const struct nmt_cli cli = {
	.prog = "nm-worker",
	.help = "nm-worker - forward between a VALE port and a TAP, started by netmapd\n"
		"\n"
		"usage: nm-worker [--poll=MODE:CPU:N] VALEPORT TAPPORT\n"
		"\n"
		"  --poll=MODE:CPU:N  look for frames all the time, on N cores from CPU on; MODE "
		"1:\n"
		"             all rings on one core, 2: a core for each ring\n"
		"  --help     this text\n"
		"  --version  version\n",
	.shortopts = "",
	.longopts = long_options,
};

/* Cores that look for frames all the time (spec 16.8). */
static struct {
	unsigned int mode; /* NETMAP_POLLING_MODE_*, 0: none */
	unsigned int first_cpu, n_cpus;
} polling;

struct end {
	struct nmport_d *port;
	uint32_t n_bufs;
};

struct lane {
	struct end vale, far;
	struct nmt_move_counters up, down;
	bool up_full, down_full; /* that direction waits for room */
	bool has_moved;		 /* since lane 0 last looked, which clears it */
	struct unm_spin spin;
	pthread_t thread;
};

static struct lane lanes[MAX_LANES];
static int n_lanes = 1;
static const char *attached; /* our port's name, which is what its user knows */

static void
set_name(struct nmreq_header *hdr, const char *name)
{
	if (strlen(name) >= sizeof(hdr->nr_name))
		nmt_usage_error(&cli, "'%s': a port's name has at most %zu characters", name,
			sizeof(hdr->nr_name) - 1);
	strcpy(hdr->nr_name, name);
}

/* One of our ports is no more. What is behind ours, its user may know by another name, or by none. */
static _Noreturn void
taken_away(const char *name)
{
	if (strcmp(name, attached) == 0)
		nmt_die(&cli, "%s: has been taken away", attached);
	if (strncmp(name, "vale", 4) == 0)
		nmt_die(&cli, "%s: %s has been taken away", attached, name);
	nmt_die(&cli, "%s: its interface has gone", attached);
}

/* Before the port is opened: no frame without a header must be on its way into a ring. */
static void
set_header(const char *name, uint32_t len)
{
	struct nmreq_port_hdr body = {.nr_hdr_len = len};
	struct nmreq_header hdr = {
		.nr_version = NETMAP_API,
		.nr_reqtype = NETMAP_REQ_PORT_HDR_SET,
		.nr_body = (uintptr_t)&body,
	};
	const int fd = open("/dev/netmap", O_RDWR);

	set_name(&hdr, name);
	if (fd < 0 || ioctl(fd, NIOCCTRL, &hdr) < 0) {
		if (errno == ENXIO)
			taken_away(name);
		nmt_die(&cli, "%s: %s can't have virtio-net headers: %s", attached, name,
			strerror(errno));
	}
	close(fd);
}

/* Open a port by the name that netmapd knows it by, for us alone: ring @ring of it, or all (-1). */
static void
open_end(struct end *e, const char *name, int lane)
{
	const struct netmap_ring *ring;
	struct nmt_err err;
	uint64_t buf_ofs;

	e->port = nmport_new();
	if (e->port == NULL)
		nmt_die(&cli, "out of memory");
	set_name(&e->port->hdr, name);
	e->port->reg.nr_mode = lane < 0 ? NR_REG_ALL_NIC : NR_REG_ONE_NIC;
	e->port->reg.nr_ringid = (uint16_t)(lane < 0 ? 0 : lane);
	e->port->reg.nr_flags = NR_EXCLUSIVE | NR_ACCEPT_VNET_HDR;
	if (nmt_port_open_desc(e->port, name, &err) < 0)
		nmt_die(&cli, "%s", err.text);
	ring = NETMAP_TXRING(e->port->nifp, e->port->first_tx_ring);
	buf_ofs = (uint64_t)((const char *)ring - (const char *)e->port->nifp) +
		  e->port->reg.nr_offset + (uint64_t)ring->buf_ofs;
	e->n_bufs = (uint32_t)((e->port->reg.nr_memsize - buf_ofs) / ring->nr_buf_size);
}

/* Move what there is from @from to @to. Return: true if a full ring of @to holds something up. */
static bool
move(struct end *from, struct end *to, struct nmt_move_counters *c)
{
	const uint32_t n_tx = to->port->last_tx_ring - to->port->first_tx_ring + 1u;
	struct nmt_move m = {
		.swap = from->port->reg.nr_mem_id == to->port->reg.nr_mem_id,
		.n_rx_bufs = from->n_bufs,
		.n_tx_bufs = to->n_bufs,
		.n_limit = UINT32_MAX,
	};
	bool is_blocked = false;
	uint32_t i;

	for (i = from->port->first_rx_ring; i <= from->port->last_rx_ring; i++) {
		m.rx = NETMAP_RXRING(from->port->nifp, i);
		m.tx = NETMAP_TXRING(to->port->nifp,
			to->port->first_tx_ring + (i - from->port->first_rx_ring) % n_tx);
		if (nmt_move_ring(&m, c) == NMT_MOVE_NO_ROOM)
			is_blocked = true;
	}
	return is_blocked;
}

static void
sync_end(const struct end *e, unsigned long request)
{
	/* EIO: the interface is down. It is waited for. */
	if (ioctl(e->port->fd, request, NULL) == 0 || errno == EINTR || errno == EIO)
		return;
	if (errno == ENXIO)
		taken_away(e->port->hdr.nr_name);
	nmt_die(&cli, "%s: %s", e->port->hdr.nr_name, strerror(errno));
}

/* Both ways, what the last look has found. Return: was there anything? */
static bool
forward(struct lane *l)
{
	const uint64_t up = l->up.packets + l->up.dropped;
	const uint64_t down = l->down.packets + l->down.dropped;

	l->up_full = move(&l->far, &l->vale, &l->up);
	if (l->up.packets + l->up.dropped != up)
		sync_end(&l->vale, NIOCTXSYNC);
	l->down_full = move(&l->vale, &l->far, &l->down);
	if (l->down.packets + l->down.dropped != down)
		sync_end(&l->far, NIOCTXSYNC);
	if (l->up.packets + l->up.dropped == up && l->down.packets + l->down.dropped == down)
		return false;
	UNM_WRITE_ONCE(l->has_moved, true);
	return true;
}

static void
look(const struct lane *l)
{
	sync_end(&l->far, NIOCRXSYNC);
	sync_end(&l->vale, NIOCRXSYNC);
}

/*
 * Look for longer, if that has paid lately. In between, whoever else wants this processor has it:
 * with few of them that is who sends or receives the frames. Return: true if some were forwarded.
 */
static bool
look_longer(struct lane *l)
{
	const uint64_t budget = unm_spin_budget_ns(&l->spin);
	const uint64_t begin = budget > 0 ? nmt_now_ns() : 0;
	bool found = false;

	if (budget == 0)
		return false;
	do { /* bounded by the budget */
		sched_yield();
		look(l);
		found = forward(l);
	} while (!found && nmt_now_ns() - begin < budget);
	unm_spin_result(&l->spin, found);
	return found;
}

static bool
any_moved(void)
{
	bool any = false;
	int i;

	for (i = 0; i < n_lanes; i++)
		if (UNM_READ_ONCE(lanes[i].has_moved)) {
			UNM_WRITE_ONCE(lanes[i].has_moved, false);
			any = true;
		}
	return any;
}

/* While nothing moves: can there still be a netmapd for us, now or later? */
static void
end_if_abandoned(const struct lane *l)
{
	const char *socket_path = getenv(UNM_SOCKET_ENV);
	struct nmreq_port_info_get body = {0};
	struct nmreq_header hdr = {
		.nr_version = NETMAP_API,
		.nr_reqtype = NETMAP_REQ_PORT_INFO_GET,
		.nr_body = (uintptr_t)&body,
	};
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (any_moved() || socket_path == NULL ||
		!unm_socket_dir_missing(socket_path, dir, sizeof(dir)))
		return;
	set_name(&hdr, attached);
	if (ioctl(l->vale.port->fd, NIOCCTRL, &hdr) < 0 && errno != ENXIO)
		nmt_die(&cli,
			"%s: netmapd has ended, and %s has been removed, so no other can follow",
			attached, dir);
}

static void
sleep_until_news(struct lane *l)
{
	const uint64_t begin = l->spin.credit == 0 ? nmt_now_ns() : 0;
	struct pollfd fds[2];
	int n;

	fds[0].fd = l->vale.port->fd;
	fds[0].events = (short)((l->down_full ? 0 : POLLIN) | (l->up_full ? POLLOUT : 0));
	fds[1].fd = l->far.port->fd;
	fds[1].events = (short)((l->up_full ? 0 : POLLIN) | (l->down_full ? POLLOUT : 0));
	fds[0].revents = fds[1].revents = 0;
	n = poll(fds, 2, l == lanes ? IDLE_LOOK_MS : -1);
	if (n < 0 && errno != EINTR)
		nmt_die(&cli, "poll: %s", strerror(errno));
	if (n == 0)
		end_if_abandoned(l);
	if ((fds[0].revents | fds[1].revents) & POLLERR) {
		look(l); /* one that has been taken away ends us */
		poll(NULL, 0, DOWN_PAUSE_MS);
	}
	if (begin != 0)
		unm_spin_slept(&l->spin, nmt_now_ns() - begin);
}

/* Take the core that polls lane @i. Return: does one? */
static bool
take_core(int i)
{
	const bool is_single = polling.mode == NETMAP_POLLING_MODE_SINGLE_CPU;
	cpu_set_t set;

	if (polling.mode == 0 || (!is_single && (unsigned int)i >= polling.n_cpus))
		return false;
	CPU_ZERO(&set);
	CPU_SET(polling.first_cpu + (is_single ? 0 : (unsigned int)i), &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		fprintf(stderr, "nm-worker: can't have core %u: %s\n", polling.first_cpu,
			strerror(errno));
	return true;
}

static void *
run_lane(void *arg)
{
	struct lane *l = arg;

	if (take_core((int)(l - lanes))) {
		for (;;) { /* until a signal ends us, or a port is gone */
			if (!forward(l))
				sched_yield(); /* to other lanes of this core */
			look(l);
		}
	}
	for (;;) { /* until a signal ends us, or a port is gone */
		if (forward(l))
			look(l);
		else if (!look_longer(l))
			sleep_until_news(l); /* poll looks too, before it sleeps and after */
	}
	return NULL;
}

static void
open_lanes(const char *vale, const char *far)
{
	const bool is_tap = strncmp(far, "tap:", 4) == 0;
	/* A TAP or an interface: a lane for each queue. Another switch's port: one for all rings */
	const bool has_queues = is_tap || strncmp(far, "vale", 4) != 0;
	int i;

	if (is_tap) {
		set_header(far, VNET_HDR);
		set_header(vale, VNET_HDR);
	}
	for (i = 0; i < n_lanes; i++) {
		open_end(&lanes[i].vale, vale, has_queues ? i : -1);
		open_end(&lanes[i].far, far, has_queues ? i : -1);
		if (has_queues && lanes[i].far.port->reg.nr_rx_rings <= MAX_LANES)
			n_lanes = lanes[i].far.port->reg.nr_rx_rings;
	}
}

int
main(int argc, char **argv)
{
	int i, err;

	output_watch_parent();
	while (nmt_cli_next(&cli, argc, argv) != -1) /* the others end the program */
		if (sscanf(optarg, "%u:%u:%u", &polling.mode, &polling.first_cpu,
			    &polling.n_cpus) != 3)
			nmt_usage_error(&cli, "--poll '%s': MODE:CPU:N is needed", optarg);
	if (argc - optind != 2)
		nmt_usage_error(&cli, "a VALE port and a TAP port are needed");
	attached = argv[optind];
	open_lanes(attached, argv[optind + 1]);
	err = confine_worker();
	if (err < 0)
		fprintf(stderr, "nm-worker: can't give up privileges: %s\n", strerror(-err));
	for (i = 1; i < n_lanes; i++) {
		err = pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]);
		if (err != 0)
			nmt_die(&cli, "can't start a thread: %s", strerror(err));
	}
	run_lane(&lanes[0]);
	return 0;
}
