/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A BPF program for frames of a netmap port.
 *
 * libpcap compiles some keywords to loads of what Linux knows of a packet besides its bytes: loads
 * from SKF_AD_OFF on, which only the kernel's interpreter has. In libpcap's every one of them ends
 * the program with "no match". So they are replaced before the program runs, by constants:
 *
 *   SKF_AD_PKTTYPE           inbound, outbound: PACKET_HOST for what the port receives,
 *                            PACKET_OUTGOING for what it sends
 *   SKF_AD_VLAN_TAG_PRESENT  vlan, of a program that was compiled for a live interface: 0, as tags
 *   SKF_AD_VLAN_TAG          are in the frames, where such a program looks next
 *   all others               ifindex, and programs made by hand: refused
 */
#ifndef UNM_PCAP_PROGRAM_H
#define UNM_PCAP_PROGRAM_H

#include <stdbool.h>

struct bpf_insn;
struct bpf_program;

#define UNM_PROGRAM_WHY_SIZE 128

struct unm_program {
	struct bpf_insn *insns[2]; /* for what is received, and sent; NULL: no program */
};

/**
 * unm_program_set() - take a copy of @from, in the place of the program that is there
 * @from: valid; borrowed
 * @why:  UNM_PROGRAM_WHY_SIZE bytes; on failure a sentence
 *
 * Return: 0, -ENOMEM, -EOPNOTSUPP it asks what a netmap port can't tell. On error nothing has
 * changed.
 */
int unm_program_set(struct unm_program *p, const struct bpf_program *from, char *why);

void unm_program_clear(struct unm_program *p);

/* For bpf_filter(3); NULL: everything matches. */
static inline const struct bpf_insn *
unm_program_insns(const struct unm_program *p, bool is_tx)
{
	return p->insns[is_tx];
}

#endif
