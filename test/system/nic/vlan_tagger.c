/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlan-tagger IF: what the stack sends on the interface gets VLAN 7, priority 3, as from a VLAN
 * interface on it: beside the frame, for an offload of the interface to put it there. "ready" on
 * standard output; until it is killed. Exit status 77: this kernel has no such hook (Linux 6.6).
 */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/bpf.h"

#define TCX_EGRESS 47
#define TCX_NEXT   (-1)

int
main(int argc, char **argv)
{
	const struct bpf_insn code[] = {
		unm_bpf_set(2, 0x0081), /* 802.1Q, in network order */
		unm_bpf_set(3, 3 << 13 | 7),
		unm_bpf_call(BPF_FUNC_skb_vlan_push),
		unm_bpf_set(0, TCX_NEXT),
		unm_bpf_exit(),
	};
	const uint32_t ifindex = argc == 2 ? if_nametoindex(argv[1]) : 0;
	union bpf_attr attr;
	int prog, link;

	if (ifindex == 0) {
		fprintf(stderr, "usage: vlan-tagger IF\n");
		return 2;
	}
	prog = unm_bpf_load(
		BPF_PROG_TYPE_SCHED_CLS, 0, 0, "vlan_tagger", code, sizeof(code) / sizeof(code[0]));
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)prog;
	attr.link_create.target_ifindex = ifindex;
	attr.link_create.attach_type = TCX_EGRESS;
	link = prog < 0 ? prog : unm_bpf(BPF_LINK_CREATE, &attr);
	if (link < 0) {
		fprintf(stderr, "vlan-tagger: %s\n", strerror(-link));
		return 77;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) /* until a signal */
		pause();
}
