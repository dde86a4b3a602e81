/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmport_offset.c - packets that begin behind the start of their buffers (option OFFSETS).
 */
#include "nmport_priv.h"

#include <errno.h>

static void
offset_cleanup(struct nmport_cleanup_d *c, struct nmport_d *d)
{
	struct nmreq_option *opt = nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS);

	(void)c; /* there is one such option at most */
	if (opt != NULL)
		unm_nmport_drop_option(d, opt);
}

int
nmport_offset(struct nmport_d *d, uint64_t initial, uint64_t maxoff, uint64_t bits, uint64_t mingap)
{
	struct nmreq_opt_offsets *opt;
	struct nmport_cleanup_d *c;

	if (d->register_done || nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS) != NULL) {
		nmctx_ferror(
			d->ctx, "%s: offsets are set once, before registration", d->hdr.nr_name);
		return unm_nmport_result(-EINVAL);
	}
	if (bits > 64) {
		nmctx_ferror(d->ctx, "%s: an offset has 64 bits at most, not %llu", d->hdr.nr_name,
			(unsigned long long)bits);
		return unm_nmport_result(-EINVAL);
	}
	c = unm_nmport_zalloc(d->ctx, sizeof(*c));
	if (c == NULL)
		return unm_nmport_result(-ENOMEM);
	opt = unm_nmport_zalloc(d->ctx, sizeof(*opt));
	if (opt == NULL) {
		nmctx_free(d->ctx, c);
		return unm_nmport_result(-ENOMEM);
	}
	opt->nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS;
	opt->nro_initial_offset = initial;
	opt->nro_max_offset = maxoff;
	opt->nro_offset_bits = (uint32_t)bits;
	opt->nro_min_gap = mingap;
	nmreq_push_option(&d->hdr, &opt->nro_opt);
	unm_nmport_push_cleanup(d, c, offset_cleanup);
	return 0;
}
