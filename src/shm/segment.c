/* SPDX-License-Identifier: BSD-2-Clause */
/* Layout of a segment and the check of one that somebody hands us. See segment.h. */
#include "shm/segment.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "shm/isolated.h"

static uint64_t
page_up(uint64_t v)
{
	return (v + 4095) & ~UINT64_C(4095);
}

void
unm_seg_layout(struct unm_seg_hdr *h, uint32_t type)
{
	const bool is_isolated = type == UNM_SEG_ISOLATED;
	uint64_t ofs = page_up(sizeof(*h));

	h->magic = UNM_SEG_MAGIC;
	h->version = UNM_SEG_VERSION;
	h->type = type;
	h->n_fdb_buckets = type == UNM_SEG_VALE ? UNM_FDB_NBUCKETS : 0;
	h->n_ports = type == UNM_SEG_VALE ? UNM_SEG_NPORTS_VALE : UNM_SEG_NPORTS_DOMAIN;
	h->n_bindings = UNM_SEG_NBINDINGS;
	h->n_krings = UNM_SEG_NKRINGS;
	if (is_isolated) {
		h->n_ports = h->n_bindings = 1;
		h->n_krings = UNM_SEG_NKRINGS_ISO;
	}
	h->fdb_ofs = ofs;
	ofs = page_up(ofs + (uint64_t)h->n_fdb_buckets * sizeof(struct unm_fdb_bucket));
	h->port_ofs = ofs;
	ofs = page_up(ofs + (uint64_t)h->n_ports * sizeof(struct unm_seg_port));
	h->bind_ofs = ofs;
	ofs = page_up(ofs + (uint64_t)h->n_bindings * sizeof(struct unm_seg_binding));
	h->kring_ofs = ofs;
	ofs = page_up(ofs + (uint64_t)h->n_krings * sizeof(struct unm_kring));
	h->csb_ofs = is_isolated ? ofs : 0;
	if (is_isolated)
		ofs = page_up(ofs + UNM_ISO_CSB_SIZE);
	h->size = ofs;
}

int
unm_seg_check(const struct unm_seg_hdr *h, uint64_t file_size)
{
	struct unm_seg_hdr want;

	if (file_size < sizeof(*h) || h->magic != UNM_SEG_MAGIC)
		return -EINVAL;
	if (h->version != UNM_SEG_VERSION)
		return -EPROTO;
	if (h->type < UNM_SEG_DOMAIN || h->type > UNM_SEG_ISOLATED)
		return -EINVAL;
	memset(&want, 0, sizeof(want));
	unm_seg_layout(&want, h->type);
	if (h->size != want.size || file_size != want.size ||
		h->n_fdb_buckets != want.n_fdb_buckets || h->n_ports != want.n_ports ||
		h->n_bindings != want.n_bindings || h->n_krings != want.n_krings ||
		h->fdb_ofs != want.fdb_ofs || h->port_ofs != want.port_ofs ||
		h->bind_ofs != want.bind_ofs || h->kring_ofs != want.kring_ofs ||
		h->csb_ofs != want.csb_ofs)
		return -EINVAL;
	return 0;
}
