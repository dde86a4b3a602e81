/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmreq.c - request headers and their option lists.
 *
 * Options form a list linked by addresses in 64-bit integers, as the ioctl wants it. Whoever pushes
 * an option keeps owning it. The lists are the program's, so they are walked without a bound.
 */
#include "nmport_priv.h"

#include <stdlib.h>
#include <string.h>

void
nmreq_header_init(struct nmreq_header *hdr, uint16_t reqtype, void *body)
{
	memset(hdr, 0, sizeof(*hdr));
	hdr->nr_version = NETMAP_API;
	hdr->nr_reqtype = reqtype;
	hdr->nr_body = (uintptr_t)body;
}

void
nmreq_push_option(struct nmreq_header *hdr, struct nmreq_option *opt)
{
	opt->nro_next = hdr->nr_options;
	hdr->nr_options = (uintptr_t)opt;
}

void
nmreq_remove_option(struct nmreq_header *hdr, struct nmreq_option *opt)
{
	uint64_t *link = &hdr->nr_options;

	while (*link != 0 && *link != (uintptr_t)opt)
		link = &NMREQ_OPTION_AT(*link)->nro_next;
	if (*link != 0) {
		*link = opt->nro_next;
		opt->nro_next = 0;
	}
}

struct nmreq_option *
nmreq_find_option(struct nmreq_header *hdr, uint32_t type)
{
	struct nmreq_option *opt;

	nmreq_foreach_option(hdr, opt)
	{
		if (opt->nro_reqtype == type)
			break;
	}
	return opt;
}

void
nmreq_free_options(struct nmreq_header *hdr)
{
	struct nmreq_option *opt = NMREQ_OPTION_AT(hdr->nr_options);

	while (opt != NULL) {
		struct nmreq_option *next = NMREQ_OPTION_AT(opt->nro_next);

		free(opt);
		opt = next;
	}
	hdr->nr_options = 0;
}

const char *
nmreq_option_name(uint32_t type)
{
	switch (type) {
	case NETMAP_REQ_OPT_EXTMEM:
		return "extmem";
	case NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS:
		return "sync-kloop-eventfds";
	case NETMAP_REQ_OPT_CSB:
		return "csb";
	case NETMAP_REQ_OPT_SYNC_KLOOP_MODE:
		return "sync-kloop-mode";
	case NETMAP_REQ_OPT_OFFSETS:
		return "offsets";
	default:
		return "unknown";
	}
}
