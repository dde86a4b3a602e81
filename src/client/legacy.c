/* SPDX-License-Identifier: BSD-2-Clause */
/* Translation of the legacy requests. See legacy.h. */
#include "client/legacy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/session.h"
#include "client/uaccess.h"

static_assert(sizeof(struct nmreq) == 60, "struct nmreq");

/* Registration: mode from nr_flags, or from nr_ringid as programs before API 11 had it. */
static int
to_register(const struct nmreq *nmr, struct unm_legacy_req *out)
{
	struct nmreq_register *reg = &out->body.reg;
	const uint32_t ring = nmr->nr_ringid & NETMAP_RING_MASK;
	const size_t len = strlen(out->hdr.nr_name);

	out->hdr.nr_reqtype = NETMAP_REQ_REGISTER;
	reg->nr_tx_slots = nmr->nr_tx_slots;
	reg->nr_rx_slots = nmr->nr_rx_slots;
	reg->nr_tx_rings = nmr->nr_tx_rings;
	reg->nr_rx_rings = nmr->nr_rx_rings;
	reg->nr_mem_id = nmr->nr_arg2;
	reg->nr_extra_bufs = nmr->nr_arg3;
	reg->nr_ringid = (uint16_t)ring;
	reg->nr_mode = nmr->nr_flags & NR_REG_MASK;
	reg->nr_flags = nmr->nr_flags & ~(uint64_t)NR_REG_MASK;
	if (nmr->nr_ringid & NETMAP_NO_TX_POLL)
		reg->nr_flags |= NR_NO_TX_POLL;
	if (nmr->nr_ringid & NETMAP_DO_RX_POLL)
		reg->nr_flags |= NR_DO_RX_POLL;
	switch (reg->nr_mode) {
	case NR_REG_DEFAULT:
		if (nmr->nr_ringid & NETMAP_SW_RING)
			reg->nr_mode = NR_REG_SW;
		else if (nmr->nr_ringid & NETMAP_HW_RING)
			reg->nr_mode = NR_REG_ONE_NIC;
		else
			reg->nr_mode = NR_REG_ALL_NIC;
		break;
	case NR_REG_PIPE_MASTER:
	case NR_REG_PIPE_SLAVE:
		snprintf(out->hdr.nr_name + len, sizeof(out->hdr.nr_name) - len, "%c%u",
			reg->nr_mode == NR_REG_PIPE_MASTER ? '{' : '}', ring);
		reg->nr_mode = NR_REG_ALL_NIC;
		reg->nr_ringid = 0;
		break;
	default:
		break;
	}
	return 0;
}

static void
to_attach(const struct nmreq *nmr, struct unm_legacy_req *out)
{
	struct nmreq_register *reg = &out->body.attach.reg;

	out->hdr.nr_reqtype = NETMAP_REQ_VALE_ATTACH;
	reg->nr_mode = nmr->nr_arg1 & NETMAP_BDG_HOST ? NR_REG_NIC_SW : NR_REG_ALL_NIC;
	reg->nr_mem_id = nmr->nr_arg2;
}

static void
to_newif(const struct nmreq *nmr, struct unm_legacy_req *out)
{
	struct nmreq_vale_newif *newif = &out->body.newif;

	out->hdr.nr_reqtype = NETMAP_REQ_VALE_NEWIF;
	newif->nr_tx_slots = nmr->nr_tx_slots;
	newif->nr_rx_slots = nmr->nr_rx_slots;
	newif->nr_tx_rings = nmr->nr_tx_rings;
	newif->nr_rx_rings = nmr->nr_rx_rings;
	newif->nr_mem_id = nmr->nr_arg2;
}

static int
to_polling(const struct nmreq *nmr, struct unm_legacy_req *out)
{
	struct nmreq_vale_polling *p = &out->body.polling;

	out->hdr.nr_reqtype = nmr->nr_cmd == NETMAP_BDG_POLLING_ON
				      ? NETMAP_REQ_VALE_POLLING_ENABLE
				      : NETMAP_REQ_VALE_POLLING_DISABLE;
	switch (nmr->nr_flags & NR_REG_MASK) {
	case NR_REG_ONE_NIC:
		p->nr_mode = NETMAP_POLLING_MODE_MULTI_CPU;
		break;
	case NR_REG_ALL_NIC:
		p->nr_mode = NETMAP_POLLING_MODE_SINGLE_CPU;
		break;
	default:
		return -EINVAL;
	}
	p->nr_first_cpu_id = nmr->nr_ringid;
	p->nr_num_polling_cpus = nmr->nr_arg1;
	return 0;
}

static int
regif_to_ctrl(const struct nmreq *nmr, struct unm_legacy_req *out)
{
	switch (nmr->nr_cmd) {
	case 0:
		return to_register(nmr, out);
	case NETMAP_BDG_ATTACH:
		to_attach(nmr, out);
		return 0;
	case NETMAP_BDG_DETACH:
		out->hdr.nr_reqtype = NETMAP_REQ_VALE_DETACH;
		return 0;
	case NETMAP_BDG_VNET_HDR:
		out->hdr.nr_reqtype = NETMAP_REQ_PORT_HDR_SET;
		out->body.port_hdr.nr_hdr_len = nmr->nr_arg1;
		return 0;
	case NETMAP_VNET_HDR_GET:
		out->hdr.nr_reqtype = NETMAP_REQ_PORT_HDR_GET;
		return 0;
	case NETMAP_BDG_NEWIF:
		to_newif(nmr, out);
		return 0;
	case NETMAP_BDG_DELIF:
		out->hdr.nr_reqtype = NETMAP_REQ_VALE_DELIF;
		out->hdr.nr_body = 0;
		return 0;
	case NETMAP_BDG_POLLING_ON:
	case NETMAP_BDG_POLLING_OFF:
		return to_polling(nmr, out);
	case NETMAP_PT_HOST_CREATE:
	case NETMAP_PT_HOST_DELETE:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

static int
ginfo_to_ctrl(const struct nmreq *nmr, struct unm_legacy_req *out)
{
	struct nmreq_port_info_get *info = &out->body.info;

	if (nmr->nr_cmd == NETMAP_BDG_LIST) {
		out->hdr.nr_reqtype = NETMAP_REQ_VALE_LIST;
		out->body.list.nr_bridge_idx = nmr->nr_arg1;
		out->body.list.nr_port_idx = nmr->nr_arg2;
		return 0;
	}
	out->hdr.nr_reqtype = NETMAP_REQ_PORT_INFO_GET;
	info->nr_tx_slots = nmr->nr_tx_slots;
	info->nr_rx_slots = nmr->nr_rx_slots;
	info->nr_tx_rings = nmr->nr_tx_rings;
	info->nr_rx_rings = nmr->nr_rx_rings;
	info->nr_mem_id = nmr->nr_arg2;
	return 0;
}

int
unm_legacy_to_ctrl(const struct nmreq *nmr, unsigned int req, struct unm_legacy_req *out)
{
	if (nmr->nr_version < NETMAP_MIN_API) {
		unm_set_error(
			"legacy request of API version %u: rebuild the program, %d is the oldest",
			nmr->nr_version, NETMAP_MIN_API);
		return -EINVAL;
	}
	memset(out, 0, sizeof(*out));
	out->hdr.nr_version = NETMAP_API;
	out->hdr.nr_body = (uintptr_t)&out->body;
	memcpy(out->hdr.nr_name, nmr->nr_name, sizeof(nmr->nr_name));
	out->hdr.nr_name[sizeof(nmr->nr_name) - 1] = '\0';
	return req == NIOCREGIF ? regif_to_ctrl(nmr, out) : ginfo_to_ctrl(nmr, out);
}

static void
from_register(const struct nmreq_register *reg, struct nmreq *nmr)
{
	nmr->nr_offset = (uint32_t)reg->nr_offset;
	nmr->nr_memsize = (uint32_t)reg->nr_memsize;
	nmr->nr_tx_slots = reg->nr_tx_slots;
	nmr->nr_rx_slots = reg->nr_rx_slots;
	nmr->nr_tx_rings = reg->nr_tx_rings;
	nmr->nr_rx_rings = reg->nr_rx_rings;
	nmr->nr_arg2 = reg->nr_mem_id;
	nmr->nr_arg3 = reg->nr_extra_bufs;
}

static void
from_info(const struct nmreq_port_info_get *info, struct nmreq *nmr)
{
	nmr->nr_memsize = (uint32_t)info->nr_memsize;
	nmr->nr_tx_slots = info->nr_tx_slots;
	nmr->nr_rx_slots = info->nr_rx_slots;
	nmr->nr_tx_rings = info->nr_tx_rings;
	nmr->nr_rx_rings = info->nr_rx_rings;
	nmr->nr_arg2 = info->nr_mem_id;
}

static void
from_newif(const struct nmreq_vale_newif *newif, struct nmreq *nmr)
{
	nmr->nr_tx_slots = newif->nr_tx_slots;
	nmr->nr_rx_slots = newif->nr_rx_slots;
	nmr->nr_tx_rings = newif->nr_tx_rings;
	nmr->nr_rx_rings = newif->nr_rx_rings;
	nmr->nr_arg2 = newif->nr_mem_id;
}

void
unm_legacy_from_ctrl(const struct unm_legacy_req *r, struct nmreq *nmr)
{
	switch (r->hdr.nr_reqtype) {
	case NETMAP_REQ_REGISTER:
		from_register(&r->body.reg, nmr);
		break;
	case NETMAP_REQ_VALE_ATTACH:
		from_register(&r->body.attach.reg, nmr);
		break;
	case NETMAP_REQ_PORT_INFO_GET:
		from_info(&r->body.info, nmr);
		break;
	case NETMAP_REQ_VALE_LIST:
		nmr->nr_arg1 = r->body.list.nr_bridge_idx;
		nmr->nr_arg2 = (uint16_t)r->body.list.nr_port_idx;
		/* 16 of 64 bytes: what does not fit a legacy name is cut */
		memcpy(nmr->nr_name, r->hdr.nr_name, sizeof(nmr->nr_name) - 1);
		nmr->nr_name[sizeof(nmr->nr_name) - 1] = '\0';
		break;
	case NETMAP_REQ_PORT_HDR_SET:
	case NETMAP_REQ_PORT_HDR_GET:
		nmr->nr_arg1 = (uint16_t)r->body.port_hdr.nr_hdr_len;
		break;
	case NETMAP_REQ_VALE_NEWIF:
		from_newif(&r->body.newif, nmr);
		break;
	default:
		break;
	}
}

int
unm_legacy(struct unm_desc *d, unsigned int req, uint64_t user)
{
	struct unm_legacy_req r;
	struct nmreq nmr;
	int err;

	if (req == NIOCCONFIG) { /* speaks to a switch module, and there is none */
		unm_set_error("no module that NIOCCONFIG could configure");
		return -EINVAL;
	}
	if (unm_user_read(&nmr, user, sizeof(nmr)) < 0)
		return -EFAULT;
	err = unm_legacy_to_ctrl(&nmr, req, &r);
	if (err == 0)
		err = unm_ctrl(d, (uintptr_t)&r.hdr);
	if (err < 0)
		return err;
	unm_legacy_from_ctrl(&r, &nmr);
	return unm_user_write(user, &nmr, sizeof(nmr));
}
