/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer_packet.c - frames between two kernel interfaces by AF_PACKET, with rings mapped on both sides.
 *
 * The sender fills a PACKET_TX_RING (TPACKET_V2) and kicks it once a batch, past the queueing
 * discipline. The receiver sleeps in poll and reads whole blocks of a PACKET_RX_RING (TPACKET_V3).
 * Those are the fastest ways that a stock kernel offers on an interface without AF_XDP support. What
 * lies between the two interfaces is up to whoever made them: a bridge, Open vSwitch, or nothing.
 * Each side can live in a network namespace of its own.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ETHERTYPE     0x88b5 /* what bench_frame() writes; the receiver gets nothing else */
#define TX_SLOTS      1024
#define TX_BLOCK_SIZE (1u << 20)
#define RX_BLOCK_SIZE (1u << 18)
#define RX_BLOCKS     32
#define RX_RETIRE_MS  4 /* a block that is not full is handed over after that time */
#define POLL_MS	      200

static uint32_t opt_frame = BENCH_MIN_FRAME;
static uint32_t opt_batch = 256;
static const char *opt_tx = "";
static const char *opt_rx = "";
static const char *opt_tx_ns = "";
static const char *opt_rx_ns = "";

static const struct bench_opt opts[] = {
	{"frame", BENCH_U32, &opt_frame, BENCH_MIN_FRAME, BENCH_MAX_FRAME, "bytes of a frame"},
	{"batch", BENCH_U32, &opt_batch, 1, TX_SLOTS / 2, "frames a system call"},
	{"tx", BENCH_STRING, &opt_tx, 0, 0, "interface to send to"},
	{"rx", BENCH_STRING, &opt_rx, 0, 0, "interface to receive from"},
	{"tx-ns", BENCH_STRING, &opt_tx_ns, 0, 0, "the former's namespace, like /proc/1/ns/net"},
	{"rx-ns", BENCH_STRING, &opt_rx_ns, 0, 0, "the latter's namespace"},
};

static int
enter_namespace(const char *path)
{
	int fd, err = 0;

	if (path[0] == '\0')
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return bench_failed("cannot open the namespace", path);
	if (setns(fd, CLONE_NEWNET) != 0)
		err = bench_failed("cannot enter the namespace", path);
	close(fd);
	return err;
}

static int
bind_to(int fd, const char *ifname, int protocol)
{
	const struct sockaddr_ll addr = {.sll_family = AF_PACKET,
		.sll_protocol = htons((uint16_t)protocol),
		.sll_ifindex = (int)if_nametoindex(ifname)};

	if (addr.sll_ifindex == 0)
		return bench_failed("no such interface", ifname);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0)
		return bench_failed("cannot bind to", ifname);
	return 0;
}

/* Set one socket option of AF_PACKET; @name is for the message. */
static int
set_packet(int fd, int option, const void *value, socklen_t size, const char *name)
{
	return setsockopt(fd, SOL_PACKET, option, value, size) == 0
		       ? 0
		       : bench_failed("cannot set", name);
}

static void *
map_ring(int fd, size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* ---- the sender ---------------------------------------------------------------------------- */

static struct tpacket2_hdr *
tx_slot(char *ring, uint32_t pos)
{
	return (struct tpacket2_hdr *)(ring + (size_t)(pos % TX_SLOTS) * BENCH_BUF_SIZE);
}

/* Return: a descriptor with its ring in @ring, or a negative errno. */
static int
open_sender(char **ring)
{
	const struct tpacket_req req = {.tp_block_size = TX_BLOCK_SIZE,
		.tp_block_nr = TX_SLOTS * BENCH_BUF_SIZE / TX_BLOCK_SIZE,
		.tp_frame_size = BENCH_BUF_SIZE,
		.tp_frame_nr = TX_SLOTS};
	const int version = TPACKET_V2, on = 1;
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return bench_failed("cannot open a packet socket on", opt_tx);
	err = set_packet(fd, PACKET_VERSION, &version, sizeof(version), "PACKET_VERSION");
	if (err == 0)
		err = set_packet(fd, PACKET_QDISC_BYPASS, &on, sizeof(on), "PACKET_QDISC_BYPASS");
	if (err == 0)
		err = set_packet(fd, PACKET_TX_RING, &req, sizeof(req), "PACKET_TX_RING");
	if (err == 0)
		err = bind_to(fd, opt_tx, 0);
	if (err == 0 && (*ring = map_ring(fd, TX_SLOTS * BENCH_BUF_SIZE)) == NULL)
		err = bench_failed("cannot map the send ring of", opt_tx);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

/* Hand free slots from *@pos on to the kernel, at most a batch. Return: how many. */
static uint32_t
fill_slots(char *ring, uint32_t *pos)
{
	uint32_t n;

	for (n = 0; n < opt_batch; n++, (*pos)++) {
		struct tpacket2_hdr *h = tx_slot(ring, *pos);

		if (__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE)
			break;
		h->tp_len = opt_frame;
		__atomic_store_n(&h->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	}
	return n;
}

static int
send_frames(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	char *ring = NULL;
	uint32_t pos = 0;
	int fd, err = enter_namespace(opt_tx_ns);

	(void)arg; /* both sides know all they need from the options */
	if (err != 0)
		return err;
	fd = open_sender(&ring);
	if (fd < 0)
		return fd;
	for (uint32_t i = 0; i < TX_SLOTS; i++)
		bench_frame((char *)tx_slot(ring, i) + TPACKET2_HDRLEN - sizeof(struct sockaddr_ll),
			opt_frame, 2, 1, BENCH_WORD);
	bench_barrier(run);
	bench_barrier(run);
	while (!bench_stop(run)) {
		const uint32_t n = fill_slots(ring, &pos);

		if (send(fd, NULL, 0, MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != ENOBUFS &&
			errno != EINTR) {
			err = bench_failed("cannot send on", opt_tx);
			break;
		}
		bench_count(&stat->sent, n);
	}
	close(fd);
	return err;
}

/* ---- the receiver -------------------------------------------------------------------------- */

/* Return: a descriptor with its ring in @ring, or a negative errno. */
static int
open_receiver(char **ring)
{
	const struct tpacket_req3 req = {.tp_block_size = RX_BLOCK_SIZE,
		.tp_block_nr = RX_BLOCKS,
		.tp_frame_size = BENCH_BUF_SIZE,
		.tp_frame_nr = RX_BLOCKS * (RX_BLOCK_SIZE / BENCH_BUF_SIZE),
		.tp_retire_blk_tov = RX_RETIRE_MS};
	const int version = TPACKET_V3;
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return bench_failed("cannot open a packet socket on", opt_rx);
	err = set_packet(fd, PACKET_VERSION, &version, sizeof(version), "PACKET_VERSION");
	if (err == 0)
		err = set_packet(fd, PACKET_RX_RING, &req, sizeof(req), "PACKET_RX_RING");
	if (err == 0)
		err = bind_to(fd, opt_rx, ETHERTYPE);
	if (err == 0 && (*ring = map_ring(fd, (size_t)RX_BLOCKS * RX_BLOCK_SIZE)) == NULL)
		err = bench_failed("cannot map the receive ring of", opt_rx);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

/* Say hello, so that a switch in between learns where the receiver is. */
static int
say_hello(int fd)
{
	char buf[BENCH_MIN_FRAME];

	bench_frame(buf, sizeof(buf), BENCH_BROADCAST, 2, BENCH_WORD);
	if (send(fd, buf, sizeof(buf), 0) < 0)
		return bench_failed("cannot send on", opt_rx);
	return 0;
}

static uint32_t
read_block(const struct tpacket_block_desc *block, struct bench_check *check)
{
	const char *p = (const char *)block + block->hdr.bh1.offset_to_first_pkt;
	const uint32_t n = block->hdr.bh1.num_pkts;

	for (uint32_t i = 0; i < n; i++) { /* the kernel's own count */
		const struct tpacket3_hdr *h = (const struct tpacket3_hdr *)p;

		bench_check_frame(check, p + h->tp_mac);
		p += h->tp_next_offset;
	}
	return n;
}

static int
receive_frames(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct bench_check check = {0};
	struct pollfd p = {.events = POLLIN};
	char *ring = NULL;
	int err = enter_namespace(opt_rx_ns);

	(void)arg;
	if (err != 0)
		return err;
	p.fd = open_receiver(&ring);
	if (p.fd < 0)
		return p.fd;
	bench_barrier(run);
	err = say_hello(p.fd);
	bench_barrier(run);
	for (uint32_t b = 0; err == 0 && !bench_stop(run);) {
		struct tpacket_block_desc *block =
			(struct tpacket_block_desc *)(ring + (size_t)b * RX_BLOCK_SIZE);
		uint32_t *status = &block->hdr.bh1.block_status;

		if ((__atomic_load_n(status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
			if (poll(&p, 1, POLL_MS) < 0 && errno != EINTR)
				err = bench_failed("cannot wait for", opt_rx);
			continue;
		}
		bench_count(&stat->packets, read_block(block, &check));
		bench_count(&stat->batches, 1);
		__atomic_store_n(status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		b = (b + 1) % RX_BLOCKS;
	}
	stat->errors = bench_check_errors(&check);
	close(p.fd);
	return err;
}

int
main(int argc, char **argv)
{
	struct bench_conf conf = {.program = "peer_packet",
		.purpose = "Sends frames from one interface to another by AF_PACKET.",
		.opts = opts,
		.n_opts = sizeof(opts) / sizeof(opts[0])};
	struct bench_run *run;

	bench_parse(&conf, argc, argv);
	run = bench_new(&conf, false);
	bench_side(run, "sender", 0, false, send_frames, NULL);
	bench_side(run, "receiver", 1, true, receive_frames, NULL);
	bench_release(run);
	bench_release(run);
	return bench_finish_rate(run, opt_frame);
}
