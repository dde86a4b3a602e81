/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ours_gso.c - TCP super-frames of 64 KiB through a VALE switch, on one core.
 *
 * The sender's port has a virtio-net header of 12 bytes in front of each frame, which asks for
 * segments of 1448 bytes. The receiver's port has none, so that the switch cuts each frame into 45
 * frames of 1514 bytes and computes their checksums. With --partial the receiver has a header too
 * and gets segments whose checksums are left to it, with --pass it gets the frames whole.
 *
 * One process has both ports, and syncs them in turn: the rate is what one core can do, with
 * nothing lost and without the time that another core takes to be told.
 */
#include "ours_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define VNET_LEN   12u
#define ETH_LEN	   14u
#define IP_LEN	   20u
#define TCP_LEN	   32u /* with a time stamp, as is usual */
#define HEADERS	   (ETH_LEN + IP_LEN + TCP_LEN)
#define SEGMENT	   1448u
#define N_SEGMENTS 45u
#define SUPER_LEN  (HEADERS + N_SEGMENTS * SEGMENT)
#define CUT_LEN	   (HEADERS + SEGMENT)
#define LACKS_TSO4 2u /* in pad1 of PORT_HDR_SET */

/* The header of VIRTIO 1.2, 5.1.6, in the machine's byte order. */
struct vnet_hdr {
	uint8_t flags; /* 1: complete the checksum */
	uint8_t type;  /* 1: TCP over IPv4 */
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

static bool opt_pass;
static bool opt_partial;

static const struct bench_opt opts[] = {
	{"pass", BENCH_FLAG, &opt_pass, 0, 0, "the receiver takes the frames whole"},
	{"partial", BENCH_FLAG, &opt_partial, 0, 0, "the receiver completes checksums itself"},
};

/* Give an open port a virtio-net header. */
static int
set_header(struct nmport_d *d, uint32_t lacks)
{
	struct nmreq_port_hdr body = {.nr_hdr_len = VNET_LEN, .pad1 = lacks};
	struct nmreq_header hdr = {.nr_version = NETMAP_API,
		.nr_reqtype = NETMAP_REQ_PORT_HDR_SET,
		.nr_body = (uintptr_t)&body};

	memcpy(hdr.nr_name, d->hdr.nr_name, sizeof(hdr.nr_name));
	if (ioctl(d->fd, NIOCCTRL, &hdr) == 0)
		return 0;
	bench_say("cannot set the header of %s: %s", hdr.nr_name, strerror(errno));
	return -EIO;
}

/* The super-frame, virtio-net header first. */
static void
prepare(uint8_t *buf)
{
	const struct vnet_hdr vnet = {.flags = 1,
		.type = 1,
		.hdr_len = HEADERS,
		.gso_size = SEGMENT,
		.csum_start = ETH_LEN + IP_LEN,
		.csum_offset = 16};
	uint8_t *ip = buf + VNET_LEN + ETH_LEN, *tcp = ip + IP_LEN;

	memcpy(buf, &vnet, sizeof(vnet));
	bench_frame(buf + VNET_LEN, SUPER_LEN, OURS_RECEIVER, OURS_SENDER, BENCH_WORD);
	buf[VNET_LEN + 12] = 8; /* EtherType of IPv4 */
	buf[VNET_LEN + 13] = 0;
	memset(ip, 0, IP_LEN + TCP_LEN);
	ip[0] = 0x45;
	ip[2] = (SUPER_LEN - ETH_LEN) >> 8;
	ip[3] = (SUPER_LEN - ETH_LEN) & 0xff;
	ip[8] = 64;
	ip[9] = 6;
	ip[12] = ip[16] = 10;
	ip[15] = 1;
	ip[19] = 2;
	tcp[12] = TCP_LEN / 4 << 4;
	tcp[13] = 0x10;
	for (uint32_t i = VNET_LEN + HEADERS; i < VNET_LEN + SUPER_LEN; i++)
		buf[i] = (uint8_t)(i * 7);
}

/*
 * Put the super-frame into as many slots as it takes, all round the ring; it stays there. Return:
 * slots of a frame, or 0 after bench_say() when they don't go evenly into the ring.
 */
static uint32_t
prepare_ring(struct netmap_ring *ring)
{
	static uint8_t frame[VNET_LEN + SUPER_LEN];
	const uint32_t size = BENCH_BUF_SIZE, len = VNET_LEN + SUPER_LEN;
	const uint32_t n = (len + size - 1) / size;

	if (ring->num_slots % n != 0 || ring->nr_buf_size < size) {
		bench_say("frames of %u slots of %u bytes don't go into a ring of %u of %u", n,
			size, ring->num_slots, ring->nr_buf_size);
		return 0;
	}
	prepare(frame);
	for (uint32_t i = 0; i < ring->num_slots; i++) {
		struct netmap_slot *slot = &ring->slot[(ring->head + i) % ring->num_slots];
		const uint32_t at = i % n * size, part = len - at < size ? len - at : size;

		memcpy(NETMAP_BUF(ring, slot->buf_idx), frame + at, part);
		slot->len = (uint16_t)part;
		slot->flags = i % n + 1 < n ? NS_MOREFRAG : 0;
	}
	return n;
}

/* Both ports of the one side, and what it sends at a time. */
struct core {
	struct nmport_d *from, *to;
	uint32_t n_slots; /* of a super-frame */
	uint32_t burst;	  /* super-frames; half a ring: the rest is given back later */
};

static int
set_up(struct core *c)
{
	const uint32_t lacks = opt_partial ? LACKS_TSO4 : 0;
	int err;

	c->from = ours_open(OURS_VALE, 's', 0, 0);
	c->to = ours_open(OURS_VALE, 'r', 0, 0);
	if (c->from == NULL || c->to == NULL)
		return -EIO;
	err = ours_announce(c->from, OURS_SENDER);
	if (err == 0)
		err = ours_announce(c->to, OURS_RECEIVER);
	if (err == 0)
		err = ours_drain(c->to);
	if (err == 0)
		err = set_header(c->from, 0);
	if (err == 0 && (opt_pass || opt_partial))
		err = set_header(c->to, lacks);
	c->n_slots = prepare_ring(ours_tx(c->from));
	c->burst = ours_rx(c->to)->num_slots / 2 / N_SEGMENTS;
	return err != 0 || c->n_slots > 0 ? err : -EIO;
}

/* Hand over a burst of the prepared frames. */
static int
send_burst(const struct core *c)
{
	struct netmap_ring *ring = ours_tx(c->from);

	ring->head = (ring->head + c->burst * c->n_slots) % ring->num_slots;
	ring->cur = ring->head;
	return ours_sync(c->from, NIOCTXSYNC);
}

/* Count and check the frames that have arrived, and give their slots back. */
static uint32_t
empty(struct netmap_ring *ring, uint64_t *errors)
{
	const uint32_t want =
		opt_pass ? VNET_LEN + SUPER_LEN : CUT_LEN + (opt_partial ? VNET_LEN : 0);
	uint32_t head = ring->head, len = 0, n = 0;

	while (head != ring->tail) { /* less than num_slots */
		const struct netmap_slot *slot = &ring->slot[head];

		len += slot->len;
		if (!(slot->flags & NS_MOREFRAG)) {
			*errors += len != want;
			len = 0;
			n++;
		}
		head = nm_ring_next(ring, head);
	}
	ring->head = ring->cur = head;
	return n;
}

static int
run_core(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	struct core c = {0};
	int err = set_up(&c);
	const uint32_t want = c.burst * (opt_pass ? 1 : N_SEGMENTS);

	(void)arg;
	bench_barrier(run);
	while (err == 0 && !bench_stop(run)) {
		uint32_t n = 0;

		err = send_burst(&c);
		if (err == 0)
			err = ours_sync(c.to, NIOCRXSYNC);
		if (err == 0)
			n = empty(ours_rx(c.to), &stat->errors);
		if (err == 0 && n != want)
			stat->errors++;
		bench_count(&stat->packets, n);
		bench_count(&stat->sent, c.burst);
		bench_count(&stat->batches, 1);
	}
	nmport_close(c.from);
	nmport_close(c.to);
	return err;
}

int
main(int argc, char **argv)
{
	struct bench_conf conf = {.program = "ours_gso",
		.purpose = "Sends TCP super-frames through a VALE switch, which cuts them.",
		.opts = opts,
		.n_opts = sizeof(opts) / sizeof(opts[0])};
	struct bench_run *run;

	bench_parse(&conf, argc, argv);
	if (opt_pass && opt_partial) {
		bench_say("--pass and --partial: a receiver takes the frames whole or cut");
		return 2;
	}
	run = bench_new(&conf, false);
	bench_side(run, "core", 0, true, run_core, NULL);
	bench_release(run);
	return bench_finish_rate(run, opt_pass ? SUPER_LEN : CUT_LEN);
}
