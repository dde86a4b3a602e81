/* SPDX-License-Identifier: BSD-2-Clause */
/* Entering CSB mode. See csb.h. */
#include "client/csb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/session.h"
#include "client/uaccess.h"

#define CSB_ALIGN 64

static_assert(sizeof(struct nm_csb_atok) == 64, "struct nm_csb_atok");
static_assert(sizeof(struct nm_csb_ktoa) == 64, "struct nm_csb_ktoa");

/* Both arrays, @n entries each: aligned, readable, writable. */
static int
check_arrays(const struct nmreq_opt_csb *opt, uint32_t n)
{
	struct nm_csb_atok atok;
	struct nm_csb_ktoa ktoa;
	uint32_t i;

	if (opt->csb_atok % CSB_ALIGN != 0 || opt->csb_ktoa % CSB_ALIGN != 0) {
		unm_set_error("the CSB arrays must be aligned to %d bytes", CSB_ALIGN);
		return -EINVAL;
	}
	for (i = 0; i < n; i++) {
		const uint64_t a = opt->csb_atok + i * sizeof(atok);
		const uint64_t k = opt->csb_ktoa + i * sizeof(ktoa);

		if (unm_user_read(&atok, a, sizeof(atok)) < 0 ||
			unm_user_write(a, &atok, sizeof(atok)) < 0 ||
			unm_user_read(&ktoa, k, sizeof(ktoa)) < 0 ||
			unm_user_write(k, &ktoa, sizeof(ktoa)) < 0) {
			unm_set_error(
				"entry %u of %u of a CSB array can't be read or written", i, n);
			return -EFAULT;
		}
	}
	return 0;
}

/* First state of the records (spec 18.1). */
static void
init_records(struct unm_bport *bp, struct unm_csb *csb)
{
	uint32_t i;

	for (i = 0; i < bp->n_tx + bp->n_rx; i++) {
		const struct unm_bring *r = unm_csb_ring(bp, i);
		struct nm_csb_atok *a = &csb->atok[i];
		struct nm_csb_ktoa *k = &csb->ktoa[i];

		memset(k, 0, sizeof(*k));
		a->head = UNM_READ_ONCE(r->ring->head);
		a->cur = UNM_READ_ONCE(r->ring->cur);
		a->appl_need_kick = 1;
		a->sync_flags = 1;
		k->hwcur = UNM_READ_ONCE(r->kring->hwcur);
		k->hwtail = UNM_READ_ONCE(r->ring->tail);
		k->kern_need_kick = 1;
	}
}

static int
enable(struct unm_binding *b, const struct nmreq_opt_csb *opt)
{
	struct unm_csb *csb, *none = NULL;
	int err;

	if (!(b->info.nr_flags & NR_EXCLUSIVE)) {
		unm_set_error("CSB mode needs a registration with NR_EXCLUSIVE");
		return -EINVAL;
	}
	if (UNM_READ_ONCE(b->shared->kloop_running) != 0)
		return -EBUSY;
	err = check_arrays(opt, b->bport->n_tx + b->bport->n_rx);
	if (err < 0)
		return err;
	csb = b->csb != NULL ? b->csb : calloc(1, sizeof(*csb));
	if (csb == NULL)
		return -ENOMEM;
	csb->atok = (struct nm_csb_atok *)(uintptr_t)opt->csb_atok;
	csb->ktoa = (struct nm_csb_ktoa *)(uintptr_t)opt->csb_ktoa;
	init_records(b->bport, csb);
	if (csb != b->csb && !__atomic_compare_exchange_n(&b->csb, &none, csb, false,
				     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		free(csb);
		return -EBUSY; /* another thread enabled it meanwhile */
	}
	unm_store_release(&b->shared->csb_mode, 1);
	return 0;
}

static uint32_t
min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* How many rings a registration will bind, as far as can be told before: at least that many. */
static uint32_t
rings_to_be(struct unm_desc *d, const struct unm_request *req)
{
	const struct nmreq_register *reg = (const struct nmreq_register *)req->body;
	struct nmreq_port_info_get info = {
		.nr_tx_slots = reg->nr_tx_slots,
		.nr_rx_slots = reg->nr_rx_slots,
		.nr_tx_rings = reg->nr_tx_rings,
		.nr_rx_rings = reg->nr_rx_rings,
		.nr_host_tx_rings = reg->nr_host_tx_rings,
		.nr_host_rx_rings = reg->nr_host_rx_rings,
		.nr_mem_id = reg->nr_mem_id,
	};
	uint32_t tx, rx;

	/* No information: the REGISTER will say why. A null port has what it is asked for. */
	if (reg->nr_mode != NR_REG_NULL && unm_ctrl_port_info(d, req->hdr.nr_name, &info) < 0)
		return 0;
	switch (reg->nr_mode) {
	case NR_REG_ONE_NIC:
	case NR_REG_ONE_SW:
		tx = rx = 1;
		break;
	case NR_REG_SW:
		tx = info.nr_host_tx_rings;
		rx = info.nr_host_rx_rings;
		break;
	case NR_REG_NIC_SW:
		tx = info.nr_tx_rings + info.nr_host_tx_rings;
		rx = info.nr_rx_rings + info.nr_host_rx_rings;
		break;
	default:
		tx = info.nr_tx_rings;
		rx = info.nr_rx_rings;
		break;
	}
	if (reg->nr_flags & NR_TX_RINGS_ONLY)
		rx = 0;
	if (reg->nr_flags & NR_RX_RINGS_ONLY)
		tx = 0;
	return min_u32(tx, 2 * UNM_PORT_MAX_RINGS) + min_u32(rx, 2 * UNM_PORT_MAX_RINGS);
}

int
unm_csb_check_register(struct unm_desc *d, struct unm_request *req)
{
	struct unm_req_opt *o = unm_request_opt(req, NETMAP_REQ_OPT_CSB);
	int err;

	if (o == NULL)
		return 0;
	err = check_arrays(unm_request_opt_data(req, o), rings_to_be(d, req));
	if (err < 0)
		o->status = (uint32_t)-err;
	return err;
}

int
unm_csb_enable_register(struct unm_desc *d, struct unm_request *req)
{
	struct unm_req_opt *o = unm_request_opt(req, NETMAP_REQ_OPT_CSB);
	int err;

	if (o == NULL)
		return 0;
	err = enable(unm_desc_binding(d), unm_request_opt_data(req, o));
	o->status = (uint32_t)-err;
	return err;
}

int
unm_csb_enable(struct unm_desc *d, struct unm_request *req)
{
	struct unm_req_opt *o = unm_request_opt(req, NETMAP_REQ_OPT_CSB);
	struct unm_binding *b = unm_desc_find_binding(d);
	int err;

	if (o == NULL) {
		unm_set_error("CSB_ENABLE needs the option CSB");
		return -EINVAL;
	}
	err = b == NULL ? -ENXIO : enable(b, unm_request_opt_data(req, o));
	o->status = (uint32_t)-err;
	return err;
}

void
unm_csb_free(struct unm_binding *b)
{
	free(b->csb);
}
