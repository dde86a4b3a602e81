/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flood - the same UDP frame into an interface, as fast as the kernel can: an XDP program that
 * redirects what it gets, run by BPF_PROG_RUN on live frames. No frame is made from a socket's
 * memory, so this is several times faster than AF_XDP or AF_PACKET, and a receiver at the other end
 * of a veth pair is what is measured.
 *
 * The other end has to have NAPI: an XDP program (of an AF_XDP socket), or GRO (ethtool -K IF gro on).
 * Ends with its parent, or after --seconds. Prints the number of frames and the time.
 */
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "daemon/bpf.h"
#include "nmt_affinity.h"
#include "nmt_cli.h"
#include "nmt_pkt.h"
#include "nmt_time.h"

#define LIVE_FRAMES (1U << 1) /* BPF_F_TEST_XDP_LIVE_FRAMES, newer than some headers */
#define BATCH	    64	      /* frames redirected together: what NAPI takes at once */
#define A_CALL	    65536     /* frames */
#define MAX_FRAME   1514

enum { OPT_IF = 256, OPT_SECONDS, OPT_FRAME, OPT_CPU };

static const char help[] = "flood - UDP frames into an interface, as fast as the kernel can\n"
			   "\n"
			   "usage: flood --if INTERFACE [--seconds S] [--frame LEN] [--cpu N]\n";

static const struct option longopts[] = {
	{"if", required_argument, NULL, OPT_IF},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"frame", required_argument, NULL, OPT_FRAME},
	{"cpu", required_argument, NULL, OPT_CPU},
	{0},
};

static const struct nmt_cli cli = {
	.prog = "flood", .help = help, .shortopts = "", .longopts = longopts};

static int
load_program(uint32_t ifindex)
{
	const struct bpf_insn code[] = {
		unm_bpf_set(BPF_REG_1, (int32_t)ifindex),
		unm_bpf_set(BPF_REG_2, 0),
		unm_bpf_call(BPF_FUNC_redirect),
		unm_bpf_exit(),
	};

	return unm_bpf_load(
		BPF_PROG_TYPE_XDP, BPF_XDP, 0, "flood", code, sizeof(code) / sizeof(code[0]));
}

/* Return: 0 or -errno. */
static int
send_some(int prog, uint8_t *frame, uint32_t len)
{
	union bpf_attr attr;
	int err;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)prog;
	attr.test.data_in = (uintptr_t)frame;
	attr.test.data_size_in = len;
	attr.test.repeat = A_CALL;
	attr.test.flags = LIVE_FRAMES;
	attr.test.batch_size = BATCH;
	err = unm_bpf(BPF_PROG_TEST_RUN, &attr);
	return err < 0 && err != -EINTR ? err : 0;
}

int
main(int argc, char **argv)
{
	const struct nmt_udp_flow flow = {
		.dst_mac = {2, 0, 0, 0, 0, 2},
		.src_mac = {2, 0, 0, 0, 0, 1},
		.src_ip = {.bytes = {10, 0, 0, 1}},
		.dst_ip = {.bytes = {10, 0, 0, 2}},
		.src_port = 1234,
		.dst_port = 9,
	};
	const char *interface = "";
	double seconds = 3600;
	uint8_t frame[MAX_FRAME];
	uint32_t len = 60;
	uint64_t begin, end, n = 0;
	int opt, prog, err = 0;

	while ((opt = nmt_cli_next(&cli, argc, argv)) != -1) {
		switch (opt) {
		case OPT_IF:
			interface = optarg;
			break;
		case OPT_SECONDS:
			seconds = nmt_cli_scaled(&cli, "--seconds", optarg, 0.01, 3600);
			break;
		case OPT_FRAME:
			len = (uint32_t)nmt_cli_u64(&cli, "--frame", optarg, 60, MAX_FRAME);
			break;
		case OPT_CPU:
			if (nmt_pin_self(nmt_cli_int(&cli, "--cpu", optarg, 0, 65535)) != 0)
				nmt_die(&cli, "--cpu %s: not one of ours", optarg);
			break;
		}
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (if_nametoindex(interface) == 0)
		nmt_die(&cli, "--if \"%s\": no such interface", interface);
	if (nmt_pkt_build_udp(frame, len, &flow) != 0)
		nmt_die(&cli, "--frame %u: no UDP frame", len);
	prog = load_program(if_nametoindex(interface));
	if (prog < 0)
		nmt_die(&cli, "cannot load the XDP program: %s", strerror(-prog));
	begin = nmt_now_ns();
	end = begin + (uint64_t)(seconds * 1e9);
	for (; err == 0 && nmt_now_ns() < end; n += A_CALL)
		err = send_some(prog, frame, len);
	if (err != 0)
		nmt_die(&cli, "cannot run the XDP program on live frames: %s", strerror(-err));
	printf("{\"sent\": %llu, \"seconds\": %.6f}\n", (unsigned long long)n,
		(double)(nmt_now_ns() - begin) / 1e9);
	return 0;
}
