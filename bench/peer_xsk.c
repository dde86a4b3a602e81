/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer_xsk.c - frames sent, received or forwarded by the least that AF_XDP takes: the sockets' own
 * rings, one loop, nothing in between.
 *
 *   --tx IF            fill the tx ring, call the kernel once a batch, take completions
 *   --rx IF            sleep in poll, take the rx ring, read a word of each frame, give them back by
 *                      the fill ring
 *   --in IF --out IF   what comes from one is sent to the other: one UMEM, only addresses move
 *
 * Each part that is named runs in a process of its own, the interface in its namespace. Sockets and
 * the XDP program are netmapd's (src/daemon/xdp.c), so that both sides of a comparison have the
 * same; frames are for another host's address, so that a stack that gets them drops them first
 * thing.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/xdp.h"
#include "shm/xsk_ring.h"

#define MAX_SLOTS   4096u
#define HEADROOM    256u
#define ETH_TYPE_AT 12
#define POLL_MS	    200

static uint32_t opt_frame = BENCH_MIN_FRAME;
static uint32_t opt_batch = 256;
static uint32_t opt_slots = 1024;
static bool opt_spin;
static bool opt_unaligned;
static const char *opt_tx = "", *opt_rx = "", *opt_in = "", *opt_out = "";
static const char *opt_tx_ns = "", *opt_rx_ns = "", *opt_mid_ns = "";

static const struct bench_opt opts[] = {
	{"frame", BENCH_U32, &opt_frame, BENCH_MIN_FRAME, BENCH_MAX_FRAME, "bytes of a frame"},
	{"batch", BENCH_U32, &opt_batch, 1, MAX_SLOTS, "frames a system call"},
	{"slots", BENCH_U32, &opt_slots, 64, MAX_SLOTS, "of each ring: a power of two"},
	{"spin", BENCH_FLAG, &opt_spin, 0, 0, "look for frames all the time instead of poll"},
	{"unaligned", BENCH_FLAG, &opt_unaligned, 0, 0, "chunks of 2304 bytes that overlap"},
	{"tx", BENCH_STRING, &opt_tx, 0, 0, "interface to send to"},
	{"rx", BENCH_STRING, &opt_rx, 0, 0, "interface to receive from"},
	{"in", BENCH_STRING, &opt_in, 0, 0, "interface to forward from"},
	{"out", BENCH_STRING, &opt_out, 0, 0, "interface to forward to"},
	{"tx-ns", BENCH_STRING, &opt_tx_ns, 0, 0, "the sender's namespace, like /proc/1/ns/net"},
	{"rx-ns", BENCH_STRING, &opt_rx_ns, 0, 0, "the receiver's namespace"},
	{"mid-ns", BENCH_STRING, &opt_mid_ns, 0, 0, "the forwarder's namespace"},
};

/* A socket with its rings, and our positions in them. */
struct xsk {
	int fd, link, map;
	struct unm_xsk_ring rx, tx, fill, comp;
	uint32_t rx_pos, tx_pos, fill_pos, comp_pos;
};

/* Of the UMEM: what the fill ring holds, and what the tx ring sends. */
static size_t
n_bytes(void)
{
	return 2 * (size_t)opt_slots * BENCH_BUF_SIZE;
}

/* The chunk of a frame whose data is at @addr, as the kernel says it. */
static uint64_t
chunk_of(uint64_t addr)
{
	return opt_unaligned ? addr & ((UINT64_C(1) << 48) - 1) : addr - HEADROOM;
}

static int
failed(const char *what, const char *name, int err)
{
	bench_say("%s \"%s\": %s", what, name, strerror(-err));
	return err;
}

static int
enter_namespace(const char *path)
{
	int fd, err = 0;

	if (path[0] == '\0')
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		err = failed("cannot enter the namespace", path, -errno);
	if (fd >= 0)
		close(fd);
	return err;
}

static int
map_rings(struct xsk *x)
{
	struct unm_nic_setup ofs;
	int err = unm_xsk_offsets(x->fd, &ofs);

	if (err == 0)
		err = unm_xsk_ring_map(&x->rx, x->fd, XDP_PGOFF_RX_RING, &ofs.rx_ofs, opt_slots,
			sizeof(struct xdp_desc));
	if (err == 0)
		err = unm_xsk_ring_map(&x->tx, x->fd, XDP_PGOFF_TX_RING, &ofs.tx_ofs, opt_slots,
			sizeof(struct xdp_desc));
	if (err == 0)
		err = unm_xsk_ring_map(&x->fill, x->fd, XDP_UMEM_PGOFF_FILL_RING, &ofs.fill_ofs,
			opt_slots, sizeof(uint64_t));
	if (err == 0)
		err = unm_xsk_ring_map(&x->comp, x->fd, XDP_UMEM_PGOFF_COMPLETION_RING,
			&ofs.comp_ofs, opt_slots, sizeof(uint64_t));
	return err;
}

/* A socket on queue 0 of @ifname, over @frames; its received frames begin with
 * number @first. */
static int
open_xsk(struct xsk *x, const char *ifname, void *frames, uint32_t first, bool receives)
{
	const struct unm_xsk_umem umem = {.addr = frames,
		.len = n_bytes(),
		.chunk = BENCH_BUF_SIZE + (opt_unaligned ? HEADROOM : 0),
		.is_unaligned = opt_unaligned};
	const struct unm_xsk_sizes sizes = {opt_slots, opt_slots, opt_slots, opt_slots, 0};
	const uint32_t ifindex = if_nametoindex(ifname), zero = 0;
	bool puts_tags_back;
	int prog, err;

	memset(x, 0, sizeof(*x));
	x->fd = unm_xsk_open(&umem, &sizes);
	err = x->fd < 0 ? x->fd : unm_xsk_bind(x->fd, ifindex, zero, -1, 0);
	if (err == 0)
		err = map_rings(x);
	for (; err == 0 && receives && x->fill_pos < opt_slots; x->fill_pos++)
		*unm_xsk_addr(&x->fill, x->fill_pos) =
			(uint64_t)(first + x->fill_pos) * BENCH_BUF_SIZE;
	if (err == 0 && receives) {
		unm_xsk_produce(&x->fill, x->fill_pos);
		x->map = unm_xdp_map_new(1);
		prog = x->map < 0 ? x->map
				  : unm_xdp_prog_new(x->map, ifindex, NULL, &puts_tags_back);
		x->link = prog < 0 ? prog : unm_xdp_attach(prog, ifindex, false);
		err = x->link < 0 ? x->link : unm_xdp_map_set(x->map, 0, x->fd);
	}
	return err == 0 ? 0 : failed("cannot open an AF_XDP socket on", ifname, err);
}

static int
kick(const struct xsk *x, const char *name)
{
	if (send(x->fd, NULL, 0, MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != ENOBUFS &&
		errno != EBUSY)
		return failed("cannot send on", name, -errno);
	return 0;
}

static int
send_frames(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	char *frames = bench_shared(n_bytes());
	int err = enter_namespace(opt_tx_ns);
	struct xsk x;

	(void)arg; /* sides know all they need from the options */
	if (err == 0)
		err = open_xsk(&x, opt_tx, frames, 0, false);
	if (err != 0)
		return err;
	for (uint32_t i = 0; i < opt_slots; i++) {
		char *frame = frames + (size_t)i * BENCH_BUF_SIZE;

		bench_frame(frame, opt_frame, 2, 1, BENCH_WORD);
		memcpy(frame + ETH_TYPE_AT, "\x08\x00", 2); /* as pkt-gen's: IPv4 */
	}
	bench_barrier(run);
	while (err == 0 && !bench_stop(run)) {
		const uint32_t room = opt_slots - (x.tx_pos - x.comp_pos);
		const uint32_t n = room < opt_batch ? room : opt_batch;

		for (uint32_t i = 0; i < n; i++, x.tx_pos++) {
			struct xdp_desc *d = unm_xsk_desc(&x.tx, x.tx_pos);

			d->addr = (uint64_t)(x.tx_pos % opt_slots) * BENCH_BUF_SIZE;
			d->len = opt_frame;
			d->options = 0;
		}
		unm_xsk_produce(&x.tx, x.tx_pos);
		err = kick(&x, opt_tx);
		bench_count(opt_rx[0] == '\0' ? &stat->packets : &stat->sent,
			unm_xsk_produced(&x.comp) - x.comp_pos);
		x.comp_pos = unm_xsk_produced(&x.comp);
		unm_xsk_consume(&x.comp, x.comp_pos);
	}
	return err;
}

/* What a receiver of any use does, and libnetmap does for checksums. */
static inline uint64_t
read_word(const char *frames, uint64_t addr)
{
	uint64_t word;

	memcpy(&word, frames + (addr & ((UINT64_C(1) << 48) - 1)) + (addr >> 48), sizeof(word));
	return word;
}

static int
receive_frames(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	char *frames = bench_shared(n_bytes());
	int err = enter_namespace(opt_rx_ns);
	struct pollfd p = {.events = POLLIN};
	struct xsk x;

	(void)arg;
	if (err == 0)
		err = open_xsk(&x, opt_rx, frames, 0, true);
	if (err != 0)
		return err;
	p.fd = x.fd;
	bench_barrier(run);
	while (!bench_stop(run)) {
		const uint32_t end = unm_xsk_produced(&x.rx);

		if (end == x.rx_pos) {
			if (!opt_spin)
				poll(&p, 1, POLL_MS);
			continue;
		}
		bench_count(&stat->packets, end - x.rx_pos);
		bench_count(&stat->batches, 1);
		for (; x.rx_pos != end; x.rx_pos++, x.fill_pos++) { /* at most the ring's size */
			const uint64_t addr = unm_xsk_desc(&x.rx, x.rx_pos)->addr;

			stat->errors += read_word(frames, addr) == 0; /* of no frame that is sent */
			*unm_xsk_addr(&x.fill, x.fill_pos) = chunk_of(addr);
		}
		unm_xsk_consume(&x.rx, x.rx_pos);
		unm_xsk_produce(&x.fill, x.fill_pos);
	}
	return 0;
}

static int
forward_frames(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	char *frames = bench_shared(n_bytes());
	int err = enter_namespace(opt_mid_ns);
	struct pollfd p = {.events = POLLIN};
	struct xsk in, out;

	(void)arg;
	if (err == 0)
		err = open_xsk(&in, opt_in, frames, 0, true);
	if (err == 0)
		err = open_xsk(&out, opt_out, frames, opt_slots, false);
	if (err != 0)
		return err;
	p.fd = in.fd;
	bench_barrier(run);
	while (err == 0 && !bench_stop(run)) {
		const uint32_t end = unm_xsk_produced(&in.rx);
		const uint32_t done = unm_xsk_produced(&out.comp);

		/* What has been sent can be received into again. */
		for (; out.comp_pos != done; out.comp_pos++, in.fill_pos++)
			*unm_xsk_addr(&in.fill, in.fill_pos) =
				chunk_of(*unm_xsk_addr(&out.comp, out.comp_pos));
		unm_xsk_consume(&out.comp, out.comp_pos);
		unm_xsk_produce(&in.fill, in.fill_pos);
		if (end == in.rx_pos) {
			if (!opt_spin)
				poll(&p, 1, POLL_MS);
			continue;
		}
		bench_count(opt_rx[0] == '\0' ? &stat->packets : &stat->sent, end - in.rx_pos);
		for (; in.rx_pos != end && out.tx_pos - out.comp_pos < opt_slots;
			in.rx_pos++, out.tx_pos++) {
			struct xdp_desc *d = unm_xsk_desc(&out.tx, out.tx_pos);

			*d = *unm_xsk_desc(&in.rx, in.rx_pos);
			d->options = 0;
		}
		unm_xsk_consume(&in.rx, in.rx_pos);
		unm_xsk_produce(&out.tx, out.tx_pos);
		err = kick(&out, opt_out);
	}
	return err;
}

int
main(int argc, char **argv)
{
	struct bench_conf conf = {.program = "peer_xsk",
		.purpose = "Sends, receives or forwards frames straight on AF_XDP sockets.",
		.opts = opts,
		.n_opts = sizeof(opts) / sizeof(opts[0])};
	struct bench_run *run;

	bench_parse(&conf, argc, argv);
	run = bench_new(&conf, false);
	if (opt_rx[0] != '\0')
		bench_side(run, "receiver", 1, true, receive_frames, NULL);
	if (opt_in[0] != '\0')
		bench_side(run, "forwarder", 1, opt_rx[0] == '\0', forward_frames, NULL);
	if (opt_tx[0] != '\0')
		bench_side(run, "sender", 0, opt_rx[0] == '\0' && opt_in[0] == '\0', send_frames,
			NULL);
	bench_release(run);
	return bench_finish_rate(run, opt_frame);
}
