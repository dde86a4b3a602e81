/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load - UDP frames at a given rate, for programs that capture: into a netmap port, or by an
 * AF_PACKET socket into an interface. Both send the same frames in the same small bursts, so that
 * what captures them can be compared. Prints what was sent as one line of JSON.
 *
 * Unlike the measuring programs this is one side of a measurement that bench/run puts together.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LIBNETMAP_NOTHREADSAFE
#include "libnetmap.h"
#include "nmt_affinity.h"
#include "nmt_cli.h"
#include "nmt_open.h"
#include "nmt_pkt.h"
#include "nmt_time.h"

#define BURST	  64	/* frames at most in one system call or sync */
#define GAP_NS	  50000 /* between bursts: what is due then is sent together */
#define SETTLE_NS 200000000
#define LATE_S	  0.001
#define MAX_FRAME 1514

enum { OPT_PORT = 256, OPT_IF, OPT_PPS, OPT_SECONDS, OPT_FRAME, OPT_CPU };

static const char help[] =
	"load - UDP frames at a given rate\n"
	"\n"
	"usage: load --port PORT|--if INTERFACE --pps RATE [--seconds S] [--frame LEN] [--cpu N]\n";

static const struct option longopts[] = {
	{"port", required_argument, NULL, OPT_PORT},
	{"if", required_argument, NULL, OPT_IF},
	{"pps", required_argument, NULL, OPT_PPS},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"frame", required_argument, NULL, OPT_FRAME},
	{"cpu", required_argument, NULL, OPT_CPU},
	{0},
};

static const struct nmt_cli cli = {
	.prog = "load", .help = help, .shortopts = "", .longopts = longopts};

struct load {
	struct nmport_d *port; /* or NULL: */
	int fd;
	uint32_t len;
	uint8_t frame[MAX_FRAME];
};

static void
build_frame(struct load *l)
{
	const struct nmt_udp_flow flow = {
		.dst_mac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		.src_mac = {2, 0, 0, 0, 0, 1},
		.src_ip = {.bytes = {10, 0, 0, 1}},
		.dst_ip = {.bytes = {10, 0, 0, 2}},
		.src_port = 1234,
		.dst_port = 9,
	};

	if (nmt_pkt_build_udp(l->frame, l->len, &flow) != 0)
		nmt_die(&cli, "--frame %u: no UDP frame", l->len);
}

static void
open_interface(struct load *l, const char *name)
{
	struct sockaddr_ll sa = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};

	l->fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (l->fd < 0 || sa.sll_ifindex == 0 ||
		bind(l->fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		nmt_die(&cli, "%s: %s", name, strerror(errno));
}

static void
open_port(struct load *l, const char *name)
{
	struct nmt_err err;

	l->port = nmt_port_open(name, &err);
	if (l->port == NULL)
		nmt_die(&cli, "%s", err.text);
}

/* Return: how many of @n were sent. */
static uint32_t
send_port(struct load *l, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n && nmport_inject(l->port, l->frame, l->len) != 0; i++)
		;
	if (ioctl(l->port->fd, NIOCTXSYNC, NULL) != 0)
		nmt_die(&cli, "NIOCTXSYNC: %s", strerror(errno));
	return i;
}

static uint32_t
send_interface(struct load *l, uint32_t n)
{
	struct iovec iov = {.iov_base = l->frame, .iov_len = l->len};
	struct mmsghdr msgs[BURST];
	uint32_t i;
	int sent;

	memset(msgs, 0, sizeof(msgs));
	for (i = 0; i < n; i++) {
		msgs[i].msg_hdr.msg_iov = &iov;
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(l->fd, msgs, n, 0);
	if (sent < 0 && errno != ENOBUFS && errno != EAGAIN)
		nmt_die(&cli, "sendmmsg: %s", strerror(errno));
	return sent > 0 ? (uint32_t)sent : 0;
}

static uint32_t
send_burst(struct load *l, uint32_t n)
{
	return l->port != NULL ? send_port(l, n) : send_interface(l, n);
}

static void
run(struct load *l, double pps, double seconds)
{
	const uint64_t total_ns = (uint64_t)(seconds * 1e9);
	const uint64_t first = send_burst(l, 1);
	const uint64_t late_max = (uint64_t)(pps * LATE_S) + BURST;
	uint64_t sent = 0, missed = 0, begin, now;
	struct rusage ru;

	/* Whoever sleeps is found for the first time, and awake when it begins. */
	(void)nmt_sleep_until_ns(nmt_now_ns() + SETTLE_NS);
	begin = now = nmt_now_ns();
	while (now - begin < total_ns) {
		uint64_t due = (uint64_t)((double)(now - begin) * pps / 1e9) - sent - missed;
		uint32_t n;

		if (due > late_max) { /* we were stopped: that is not made up for by a flood */
			missed += due - late_max;
			due = late_max;
		}
		n = due < BURST ? (uint32_t)due : BURST;
		if (n > 0)
			sent += send_burst(l, n);
		if (n < BURST) {
			const uint64_t until = now + GAP_NS;

			while ((now = nmt_now_ns()) < until)
				; /* a sleep would be longer than the gap */
		}
		now = nmt_now_ns();
	}
	getrusage(RUSAGE_SELF, &ru);
	printf("{\"sent\": %llu, \"seconds\": %.6f, \"cpu_s\": %.6f}\n",
		(unsigned long long)(first + sent), (double)(now - begin) / 1e9,
		(double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
			(double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
}

int
main(int argc, char **argv)
{
	const char *port = NULL, *interface = NULL;
	double pps = 0, seconds = 1;
	static struct load l = {.len = 60, .fd = -1};
	int opt;

	while ((opt = nmt_cli_next(&cli, argc, argv)) != -1) {
		switch (opt) {
		case OPT_PORT:
			port = optarg;
			break;
		case OPT_IF:
			interface = optarg;
			break;
		case OPT_PPS:
			pps = nmt_cli_scaled(&cli, "--pps", optarg, 1, 1e9);
			break;
		case OPT_SECONDS:
			seconds = nmt_cli_scaled(&cli, "--seconds", optarg, 0.01, 3600);
			break;
		case OPT_FRAME:
			l.len = (uint32_t)nmt_cli_u64(&cli, "--frame", optarg, 60, MAX_FRAME);
			break;
		case OPT_CPU:
			if (nmt_pin_self(nmt_cli_int(&cli, "--cpu", optarg, 0, 65535)) != 0)
				nmt_die(&cli, "--cpu %s: not one of ours", optarg);
			break;
		}
	}
	if ((port == NULL) == (interface == NULL) || pps == 0)
		nmt_usage_error(&cli, "one of --port and --if is needed, and --pps");
	build_frame(&l);
	if (port != NULL)
		open_port(&l, port);
	else
		open_interface(&l, interface);
	run(&l, pps, seconds);
	return 0;
}
