/* SPDX-License-Identifier: BSD-2-Clause */
/* Filters, and files to write to: with the help of a handle of the system's library. */
#include "pcap/api/handle.h"

/* What went wrong with the helper went wrong with us. */
static void
take_error(struct unm_pcap *h)
{
	unm_pcap_fail(h, PCAP_ERROR, "%.255s", PCAP_REAL(pcap_geterr)(h->dead));
}

int
pcap_compile(
	pcap_t *p, struct bpf_program *program, const char *text, int optimize, bpf_u_int32 netmask)
{
	struct unm_pcap *h = unm_pcap_of(p);
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_compile)(p, program, text, optimize, netmask);
	if (unm_pcap_check_active(h) != 0)
		return unm_pcap_fail(
			h, PCAP_ERROR, "not-yet-activated pcap_t passed to pcap_compile");
	ret = PCAP_REAL(pcap_compile)(h->dead, program, text, optimize, netmask);
	if (ret != 0)
		take_error(h);
	return ret;
}

int
pcap_setfilter(pcap_t *p, struct bpf_program *program)
{
	struct unm_pcap *h = unm_pcap_of(p);
	char why[UNM_PROGRAM_WHY_SIZE];
	int ret;

	if (h == NULL)
		return PCAP_REAL(pcap_setfilter)(p, program);
	ret = unm_pcap_check_active(h);
	if (ret != 0)
		return ret;
	if (program == NULL || program->bf_insns == NULL)
		return unm_pcap_fail(h, PCAP_ERROR, "setfilter: No filter specified");
	if (program->bf_len > INT32_MAX ||
		!PCAP_REAL(bpf_validate)(program->bf_insns, (int)program->bf_len))
		return unm_pcap_fail(h, PCAP_ERROR, "BPF program is not valid");
	if (unm_program_set(&h->filter, program, why) < 0)
		return unm_pcap_fail(h, PCAP_ERROR, "%s", why);
	return 0;
}

/* A file of our frames is one of the helper's. */
#define DUMP_TO(name, type)                                                                        \
	pcap_dumper_t *name(pcap_t *p, type to)                                                    \
	{                                                                                          \
		struct unm_pcap *h = unm_pcap_of(p);                                               \
		pcap_dumper_t *d;                                                                  \
                                                                                                   \
		if (h == NULL)                                                                     \
			return PCAP_REAL(name)(p, to);                                             \
		if (unm_pcap_check_active(h) != 0)                                                 \
			return NULL;                                                               \
		d = PCAP_REAL(name)(h->dead, to);                                                  \
		if (d == NULL)                                                                     \
			take_error(h);                                                             \
		return d;                                                                          \
	}

DUMP_TO(pcap_dump_open, const char *)
DUMP_TO(pcap_dump_open_append, const char *)
DUMP_TO(pcap_dump_fopen, FILE *)
