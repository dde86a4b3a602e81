/* SPDX-License-Identifier: BSD-2-Clause */
/* BPF programs for frames of netmap ports. See program.h. */
#include "pcap/program.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of Linux's linux/filter.h, which defines the same structures as libpcap's header. */
#define SKF_AD_OFF		0xfffff000u
#define SKF_AD_PKTTYPE		(SKF_AD_OFF + 4)
#define SKF_AD_IFINDEX		(SKF_AD_OFF + 8)
#define SKF_AD_VLAN_TAG		(SKF_AD_OFF + 44)
#define SKF_AD_VLAN_TAG_PRESENT (SKF_AD_OFF + 48)
#define SKF_LL_OFF		0xffe00000u /* from here on no offset is one into the frame */

static bool
is_metadata(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS &&
	       insn->k >= SKF_LL_OFF;
}

/* Return: 0, -EOPNOTSUPP. */
static int
settle(struct bpf_insn *insn, bool is_tx, char *why)
{
	uint32_t value;

	switch (insn->k) {
	case SKF_AD_PKTTYPE:
		value = is_tx ? PACKET_OUTGOING : PACKET_HOST;
		break;
	case SKF_AD_VLAN_TAG:
	case SKF_AD_VLAN_TAG_PRESENT:
		value = 0;
		break;
	case SKF_AD_IFINDEX:
		snprintf(why, UNM_PROGRAM_WHY_SIZE,
			"a filter by interface number (ifindex): a netmap port has none");
		return -EOPNOTSUPP;
	default:
		snprintf(why, UNM_PROGRAM_WHY_SIZE,
			"a filter by what Linux knows of a packet (offset %d): a netmap port can't "
			"tell",
			(int32_t)insn->k);
		return -EOPNOTSUPP;
	}
	*insn = (struct bpf_insn){.code = BPF_LD | BPF_IMM, .k = value};
	return 0;
}

int
unm_program_set(struct unm_program *p, const struct bpf_program *from, char *why)
{
	const size_t n = from->bf_len;
	struct bpf_insn *insns = calloc(n, 2 * sizeof(*insns));
	size_t i;

	if (insns == NULL) {
		snprintf(why, UNM_PROGRAM_WHY_SIZE, "out of memory");
		return -ENOMEM;
	}
	memcpy(insns, from->bf_insns, n * sizeof(*insns));
	memcpy(insns + n, from->bf_insns, n * sizeof(*insns));
	for (i = 0; i < 2 * n; i++) {
		if (!is_metadata(&insns[i]) || settle(&insns[i], i >= n, why) == 0)
			continue;
		free(insns);
		return -EOPNOTSUPP;
	}
	unm_program_clear(p);
	p->insns[0] = insns;
	p->insns[1] = insns + n;
	return 0;
}

void
unm_program_clear(struct unm_program *p)
{
	free(p->insns[0]); /* both are one piece */
	*p = (struct unm_program){0};
}
