/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel-gso: does the switch cut and complete frames as the kernel does?
 *
 *   random frame that asks for offloads
 *      |                                          .--> VALE port without a header
 *      +-- ring of a VALE port with a header -----'         |
 *      |                                               compared byte by byte
 *      '-- TAP a, IFF_VNET_HDR --> bridge --> TAP b without offloads
 *                                             (the kernel does all in software)
 *
 * The TAPs and the bridge are in a network namespace of this process, the VALE switch is in its
 * memory. What may differ: the identification of IPv6 fragments, which the kernel chooses at
 * random, and a TCP checksum of 0, which some of its paths write as 0xffff (the same number).
 * Datagrams to be cut have no IPv6 extension headers here: Linux 6.18 counts them in the offsets of
 * fragments, which are of the part behind them (RFC 8200, 4.5).
 *
 * kernel-gso FRAMES SEED [PCAP]: PCAP gets what the switch made.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "offload_rig.h"
#include "vale/vnet.h"

#define EXIT_SKIP   77
#define TAP_MTU	    65521 /* the most */
#define TAP_QUEUE   4000  /* frames; more than a super-frame makes */
#define WAIT_MS	    10000 /* for the kernel, on a machine that does other things */
#define LARGEST	    66000u
#define PCAP_RECORD 16u

static struct offload_frame f;
static struct offload_result ours, kernels;
static struct vale_rig v;
static int tap_a, tap_b;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static int
open_tap(const char *name, short flags)
{
	struct ifreq ifr = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags)};
	const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) != 0) {
		fprintf(stderr, "no TAP can be made here: %s\n", strerror(errno));
		exit(EXIT_SKIP);
	}
	return fd;
}

static void
set_link(int sock, const char *name, bool is_tap)
{
	struct ifreq ifr = {.ifr_mtu = TAP_MTU};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (is_tap && ioctl(sock, SIOCSIFMTU, &ifr) != 0)
		die("SIOCSIFMTU");
	ifr.ifr_qlen = TAP_QUEUE;
	if (is_tap && ioctl(sock, SIOCSIFTXQLEN, &ifr) != 0)
		die("SIOCSIFTXQLEN");
	ifr.ifr_flags = IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &ifr) != 0)
		die("SIOCSIFFLAGS");
}

static void
add_to_bridge(int sock, const char *tap)
{
	struct ifreq ifr = {.ifr_name = "br"};

	ifr.ifr_ifindex = (int)if_nametoindex(tap);
	if (ifr.ifr_ifindex == 0 || ioctl(sock, SIOCBRADDIF, &ifr) != 0)
		die("SIOCBRADDIF");
}

static void
make_network(void)
{
	static const char *const silent[] = {"/proc/sys/net/ipv6/conf/all/disable_ipv6",
		"/proc/sys/net/ipv6/conf/default/disable_ipv6"};
	int sock, i, fd;

	if (unshare(CLONE_NEWNET) != 0) {
		fprintf(stderr, "a network namespace can't be made: %s\n", strerror(errno));
		exit(EXIT_SKIP);
	}
	for (i = 0; i < 2; i++) { /* the kernel's own frames would be in the way; no IPv6: none */
		fd = open(silent[i], O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, "1", 1) != 1)
			die(silent[i]);
		if (fd >= 0)
			close(fd);
	}
	tap_a = open_tap("a", IFF_VNET_HDR);
	tap_b = open_tap("b", 0);
	if (ioctl(tap_b, TUNSETOFFLOAD, 0) != 0)
		die("TUNSETOFFLOAD");
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		die("socket");
	if (ioctl(sock, SIOCBRADDBR, "br") != 0) {
		fprintf(stderr, "a bridge can't be made: %s\n", strerror(errno));
		exit(EXIT_SKIP);
	}
	set_link(sock, "a", true);
	set_link(sock, "b", true);
	add_to_bridge(sock, "a");
	add_to_bridge(sock, "b");
	set_link(sock, "br", false);
	close(sock);
}

static void
make_switch(void)
{
	const struct fake_geometry from = {
		.n_tx = 1, .n_rx = 1, .slots = 1024, .buf_size = 2048, .hdr_len = 10};
	const struct fake_geometry to = {.n_tx = 1, .n_rx = 1, .slots = 2048, .buf_size = 2048};

	vale_rig_init(&v, 10);
	vale_rig_add(&v, from);
	vale_rig_add(&v, to);
	vale_rig_teach(&v);
	v.d->seg.ports[1].max_frame =
		LARGEST; /* the kernel does not look at the receiver's limit */
	v.d->seg.hdr->epoch++;
}

static void
through_switch(uint64_t *rng)
{
	offload_rig_send(&v, 0, UNM_VNET_HDR_BASE, &f, rng);
	vale_txsync(&v, 0);
	offload_rig_receive(&v, 1, &ours);
	offload_clear_ids(&f, 0, &ours);
}

/* Is it one of ours? The bridge's neighbours may speak, too. */
static bool
is_ours(const uint8_t *frame, ssize_t len)
{
	return len >= 12 && memcmp(frame, f.data, 12) == 0;
}

/* All that is in TAP b, after waiting for @n frames. */
static void
read_tap(uint32_t n)
{
	static uint8_t frame[LARGEST + 100];
	struct pollfd p = {.fd = tap_b, .events = POLLIN};

	offload_result_reset(&kernels);
	for (;;) { /* until the TAP is empty, or the deadline */
		const ssize_t len = read(tap_b, frame, sizeof(frame));

		if (len < 0 && errno != EAGAIN && errno != EINTR)
			die("read");
		if (len >= 0 && is_ours(frame, len))
			offload_result_add(&kernels, frame, (uint32_t)len);
		if (len < 0 && (kernels.n >= n || poll(&p, 1, WAIT_MS) <= 0))
			return;
	}
}

static void
through_kernel(uint32_t number)
{
	static uint8_t whole[UNM_VNET_HDR_BASE + OFFLOAD_MAX_FRAME];

	memcpy(whole, f.vnet, UNM_VNET_HDR_BASE);
	memcpy(whole + UNM_VNET_HDR_BASE, f.data, f.len);
	if (write(tap_a, whole, UNM_VNET_HDR_BASE + f.len) < 0) {
		fprintf(stderr,
			"the kernel does not take frame %u (kind %d, %u bytes, gso_size %u): %s\n",
			number, (int)f.kind, f.len, f.vnet[4] | f.vnet[5] << 8, strerror(errno));
		exit(1);
	}
	read_tap(ours.n);
	offload_clear_ids(&f, 0, &kernels);
}

/* One zero for all: a TCP checksum of 0 becomes 0xffff. */
static void
same_zeros(struct offload_result *r)
{
	const bool tcp = f.kind == OFFLOAD_TCP4 || f.kind == OFFLOAD_TCP6;
	uint32_t at = 0, i;

	for (i = 0; tcp && i < r->n; i++) {
		uint8_t *field = r->data + at + f.l4 + 16;

		if (r->len[i] >= f.payload && field[0] == 0 && field[1] == 0)
			field[0] = field[1] = 0xff;
		at += r->len[i];
	}
}

/* Return: do both have the same frames? Says where not. */
static bool
compare(uint32_t number)
{
	const uint8_t *a = ours.data, *b = kernels.data;
	uint32_t i, k;

	same_zeros(&ours);
	same_zeros(&kernels);
	for (i = 0; i < ours.n && i < kernels.n; i++) {
		for (k = 0; k < ours.len[i] && k < kernels.len[i] && a[k] == b[k]; k++)
			;
		if (k == ours.len[i] && k == kernels.len[i]) {
			a += k;
			b += k;
			continue;
		}
		fprintf(stderr,
			"frame %u (kind %d, tags %u, l3 %u, l4 %u, payload %u, %u bytes): piece %u "
			"differs at byte %u: ours %02x, the kernel's %02x (%u and %u bytes)\n",
			number, (int)f.kind, f.tags, f.l3, f.l4, f.payload, f.len, i, k, a[k], b[k],
			ours.len[i], kernels.len[i]);
		return false;
	}
	if (ours.n != kernels.n)
		fprintf(stderr, "frame %u (kind %d, %u bytes): %u pieces, %u of the kernel's\n",
			number, (int)f.kind, f.len, ours.n, kernels.n);
	return ours.n == kernels.n;
}

static void
write_or_die(FILE *out, const void *p, size_t len)
{
	if (fwrite(p, 1, len, out) != len)
		die("pcap");
}

static FILE *
pcap_create(const char *path)
{
	const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, figures, snaplen, link;
	} h = {0xa1b2c3d4, 2, 4, 0, 0, 262144, 1};
	FILE *out = fopen(path, "we");

	if (out == NULL)
		die(path);
	write_or_die(out, &h, sizeof(h));
	return out;
}

static void
pcap_add(FILE *out, uint32_t number)
{
	uint32_t i, at = 0;

	for (i = 0; i < ours.n; i++) {
		const uint32_t record[PCAP_RECORD / 4] = {number, i, ours.len[i], ours.len[i]};

		write_or_die(out, record, sizeof(record));
		write_or_die(out, ours.data + at, ours.len[i]);
		at += ours.len[i];
	}
}

int
main(int argc, char **argv)
{
	const struct offload_shape shape = {.src = 0,
		.dst = 1,
		.max_payload = 65000, /* one that is not cut has to fit the MTU */
		.min_size = 200,
		.max_size = 9000,
		.is_kernels = true};
	uint32_t n, i, n_bad = 0;
	FILE *pcap = NULL;
	uint64_t rng;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: kernel-gso FRAMES SEED [PCAP]\n");
		return 2;
	}
	n = (uint32_t)strtoul(argv[1], NULL, 10);
	rng = strtoull(argv[2], NULL, 10);
	if (argc == 4)
		pcap = pcap_create(argv[3]);
	make_network();
	make_switch();
	for (i = 0; i < n; i++) {
		offload_frame_make(&f, (enum offload_kind)(i % OFFLOAD_KINDS), &shape, &rng);
		through_switch(&rng);
		if (pcap != NULL)
			pcap_add(pcap, i);
		through_kernel(i);
		n_bad += !compare(i);
	}
	if (pcap != NULL && fclose(pcap) != 0)
		die("pcap");
	printf("%u frames, %u differ\n", n, n_bad);
	return n_bad != 0;
}
