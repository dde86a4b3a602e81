/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture filters. See filter.h. */
#include "pcap/filter.h"

#include <assert.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "pcap/capture.h"
#include "pcap/program.h"

static_assert(UNM_PROGRAM_WHY_SIZE <= UNM_CAP_WHY_SIZE, "a sentence of either fits");

#define SNAPLEN 262144 /* libpcap's largest */

struct unm_filter {
	struct unm_program program;
};

/* Return: 0, negative errno with @why. */
static int
compile(struct unm_filter *f, pcap_t *dead, const char *text, char *why)
{
	struct bpf_program compiled;
	int ret;

	if (pcap_compile(dead, &compiled, text, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		snprintf(why, UNM_CAP_WHY_SIZE, "%.255s", pcap_geterr(dead));
		return -EINVAL;
	}
	ret = unm_program_set(&f->program, &compiled, why);
	pcap_freecode(&compiled);
	return ret;
}

int
unm_filter_compile(struct unm_filter **out, const char *text, char *why)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	struct unm_filter *f = calloc(1, sizeof(*f));
	int ret = -ENOMEM;

	if (dead != NULL && f != NULL)
		ret = compile(f, dead, text, why);
	else
		snprintf(why, UNM_CAP_WHY_SIZE, "out of memory");
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
	unm_program_clear(&f->program);
	free(f);
}

bool
unm_filter_matches(const struct unm_filter *f, const struct unm_cap_frame *frame)
{
	return f == NULL || bpf_filter(unm_program_insns(&f->program, frame->is_tx), frame->data,
				    frame->len, frame->len) != 0;
}
