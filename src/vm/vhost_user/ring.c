/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting and stopping rings; the states are in backend_priv.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vm/net_features.h"
#include "vm/inflight.h"
#include "vm/log.h"
#include "vm/vhost_user/backend_priv.h"
#include "vm/vq_record.h"

/* The in-flight part of ring @idx in @part, NULL if there is none. */
static int
get_inflight(struct unm_vu_backend *b, unsigned int idx, void **part)
{
	*part = NULL;
	if (b->inflight.data == NULL)
		return 0;
	if (idx >= b->inflight_queues || b->ring[idx].num > b->inflight_size)
		return vu_fail(b, -EINVAL,
			"ring %u of size %u: in-flight region is for %u rings of size %u", idx,
			b->ring[idx].num, b->inflight_queues, b->inflight_size);
	*part = b->inflight.data + idx * UNM_INFLIGHT_PART(b->inflight_size);
	return 0;
}

/*
 * Two front ends start a packed ring with a base that the protocol's text forbids. DPDK's
 * virtio-user leaves the half about used descriptors 0, which would mean that all are in flight.
 * User-Mode Linux leaves all of it 0, which would mean the end of an even pass; it never resumes a
 * ring.
 */
static uint32_t
correct_packed_base(const struct unm_vu_backend *b, uint32_t base)
{
	if (base == (UNM_VQ_PACKED_FRESH & UINT16_MAX) || (base == 0 && b->owner_first))
		return UNM_VQ_PACKED_FRESH;
	return base;
}

/* The record of ring @idx, NULL if there is none. */
static struct unm_record *
get_record(const struct unm_vu_backend *b, unsigned int idx)
{
	if (b->records.data == NULL)
		return NULL;
	return (struct unm_record *)(void *)b->records.data + idx;
}

static int
make_config(struct unm_vu_backend *b, unsigned int idx, struct unm_vq_config *c)
{
	const struct vu_ring *r = &b->ring[idx];

	*c = (struct unm_vq_config){
		.num = (uint16_t)r->num,
		.is_packed = (b->features & UNM_F_PACKED) != 0,
		.has_event_idx = (b->features & UNM_F_EVENT_IDX) != 0,
		.has_indirect = (b->features & UNM_F_INDIRECT_DESC) != 0,
		.in_order = (b->features & UNM_F_IN_ORDER) != 0,
		.desc_uaddr = r->addr.desc,
		.avail_uaddr = r->addr.avail,
		.used_uaddr = r->addr.used,
		.log_gpa = (r->addr.flags & UNM_VU_ADDR_LOG) != 0 ? r->addr.log : UINT64_MAX,
		.base = r->base,
		.record = get_record(b, idx),
		.base_is_ours = r->has_own_base && r->base == r->own_base,
		.goes_on = r->goes_on,
	};
	if (!r->has_base)
		c->base = c->is_packed ? UNM_VQ_PACKED_FRESH : UNM_VQ_FRESH;
	if (c->is_packed)
		c->base = correct_packed_base(b, c->base);
	if (!c->is_packed && c->base > UINT16_MAX)
		return vu_fail(b, -EINVAL, "ring %u: base %u of a split ring", idx, c->base);
	return get_inflight(b, idx, &c->inflight);
}

bool
vu_ring_rests(const struct unm_vu_backend *b)
{
	return b->owner_first && (b->features & UNM_VU_F_PROTOCOL) != 0 &&
	       (b->protocol_features & UNM_VU_PF_BIT(UNM_VU_PF_STATUS)) == 0;
}

int
vu_ring_try_start(struct unm_vu_backend *b, unsigned int idx)
{
	struct vu_ring *r = &b->ring[idx];
	struct unm_vq_config c;
	int err;

	if (r->is_started || !r->has_kick || r->num == 0 || !r->has_addr ||
		(!r->is_enabled && vu_ring_rests(b)))
		return 0;
	if (b->mem.n_regions == 0) {
		if (!b->has_missed_memory)
			unm_vm_log(b->name,
				"vhost-user: ring %u is there, but no guest memory (QEMU shares it "
				"with -object memory-backend-memfd,share=on)",
				idx);
		b->has_missed_memory = true; /* said once */
		return 0;
	}
	err = make_config(b, idx, &c);
	if (err < 0)
		return err;
	err = unm_vq_start(r->q, &c);
	if (err == -EFAULT)
		return vu_fail(b, err, "ring %u is not in the guest's memory", idx);
	if (err < 0)
		return vu_fail(b, err, "ring %u: %s (size %u, base 0x%x)", idx, strerror(-err),
			r->num, c.base);
	unm_vq_set_call_fd(r->q, r->call_fd);
	unm_vq_set_err_fd(r->q, r->err_fd);
	r->is_started = true;
	b->ops->ring_started(b->dev, idx, r->q, r->kick_fd);
	vu_update_driver_ok(b);
	return 0;
}

void
vu_ring_halt(struct unm_vu_backend *b, unsigned int idx)
{
	struct vu_ring *r = &b->ring[idx];

	if (!r->is_started)
		return;
	b->ops->ring_stopped(b->dev, idx);
	r->base = r->own_base = unm_vq_stop(r->q);
	r->has_base = true;
	r->has_own_base = unm_vq_broken_reason(r->q) == NULL;
	r->goes_on = true;
	r->is_started = false;
}

void
vu_ring_stop(struct unm_vu_backend *b, unsigned int idx)
{
	struct vu_ring *r = &b->ring[idx];

	vu_ring_halt(b, idx);
	r->goes_on = false;
	unm_vq_set_call_fd(r->q, -1);
	if (r->kick_fd >= 0)
		close(r->kick_fd);
	if (r->call_fd >= 0)
		close(r->call_fd);
	r->kick_fd = -1;
	r->call_fd = -1;
	r->has_kick = false;
	vu_update_driver_ok(b);
}

void
vu_ring_told(struct unm_vu_backend *b, unsigned int idx)
{
	struct unm_record *r = get_record(b, idx);

	if (r != NULL)
		unm_record_stopped(r);
}

void
vu_ring_end(struct unm_vu_backend *b, unsigned int idx)
{
	const bool was_started = b->ring[idx].is_started;

	vu_ring_stop(b, idx);
	if (was_started)
		vu_ring_told(b, idx);
}

void
vu_ring_reset(struct unm_vu_backend *b, unsigned int idx)
{
	struct vu_ring *r = &b->ring[idx];

	vu_ring_stop(b, idx);
	r->num = 0;
	r->base = 0;
	r->has_base = r->has_own_base = false;
	r->has_addr = false;
	vu_ring_set_enabled(b, idx, b->has_features && (b->features & UNM_VU_F_PROTOCOL) == 0);
}

void
vu_ring_set_enabled(struct unm_vu_backend *b, unsigned int idx, bool enabled)
{
	if (b->ring[idx].is_enabled == enabled)
		return;
	b->ring[idx].is_enabled = enabled;
	b->ops->ring_enabled(b->dev, idx, enabled);
}

void
vu_halt_all(struct unm_vu_backend *b)
{
	unsigned int i;

	for (i = 0; i < b->ops->n_rings; i++)
		vu_ring_halt(b, i);
}

void
vu_start_all(struct unm_vu_backend *b)
{
	b->is_starting = true;
	b->start_next = 0;
	vu_start_more(b);
}

void
vu_start_more(struct unm_vu_backend *b)
{
	while (b->start_next < b->ops->n_rings) {
		if (vu_ring_try_start(b, b->start_next++) < 0)
			unm_vm_log(b->name, "vhost-user: %s; it waits for memory", b->reason);
		if (vu_turn_is_over(b))
			break; /* one at least is done, so that it ends */
	}
	b->is_starting = b->start_next < b->ops->n_rings;
	vu_update_driver_ok(b);
}

void
vu_update_driver_ok(struct unm_vu_backend *b)
{
	bool ok;

	if ((b->protocol_features & UNM_VU_PF_BIT(UNM_VU_PF_STATUS)) != 0)
		ok = (b->status & UNM_VU_STATUS_DRIVER_OK) != 0;
	else
		ok = unm_vu_is_running(b);
	if (ok == b->is_driver_ok)
		return;
	b->is_driver_ok = ok;
	b->ops->driver_ok(b->dev, ok);
}
