/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture filters. See filter.h. */
#include "pcap/filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "pcap/capture.h"

#define SNAPLEN 262144 /* libpcap's largest */

struct unm_filter {
	struct bpf_program program;
};

int
unm_filter_compile(struct unm_filter **out, const char *text, char *why)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	struct unm_filter *f = malloc(sizeof(*f));
	int ret = 0;

	if (dead == NULL || f == NULL) {
		snprintf(why, UNM_CAP_WHY_SIZE, "out of memory");
		ret = -ENOMEM;
	} else if (pcap_compile(dead, &f->program, text, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		snprintf(why, UNM_CAP_WHY_SIZE, "%.255s", pcap_geterr(dead));
		ret = -EINVAL;
	}
	if (dead != NULL)
		pcap_close(dead);
	if (ret == 0)
		*out = f;
	else
		free(f);
	return ret;
}

void
unm_filter_free(struct unm_filter *f)
{
	if (f == NULL)
		return;
	pcap_freecode(&f->program);
	free(f);
}

bool
unm_filter_matches(const struct unm_filter *f, const uint8_t *data, uint32_t len)
{
	return f == NULL || bpf_filter(f->program.bf_insns, data, len, len) != 0;
}
