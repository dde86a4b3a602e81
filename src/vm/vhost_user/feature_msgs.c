/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages about features, the session and the device as a whole. */
#include <errno.h>

#include "vm/vhost_user/backend_priv.h"

uint64_t
vu_offered_protocol(const struct unm_vu_backend *b)
{
	return b->ops->protocol_features & UNM_VU_PF_SUPPORTED;
}

uint64_t
vu_offered_features(const struct unm_vu_backend *b)
{
	uint64_t features = b->ops->features & ~(UNM_VU_F_LOG_ALL | UNM_VU_F_PROTOCOL);

	features |= UNM_VU_F_PROTOCOL;
	if ((vu_offered_protocol(b) & UNM_VU_PF_BIT(UNM_VU_PF_LOG_SHMFD)) != 0)
		features |= UNM_VU_F_LOG_ALL;
	return features;
}

int
vu_get_features(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	(void)m;
	b->has_asked = true;
	return vu_reply_u64(b, vu_offered_features(b));
}

int
vu_set_features(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	const uint64_t own = UNM_VU_F_LOG_ALL | UNM_VU_F_PROTOCOL;
	const uint64_t acked = m->payload.u64;
	const uint64_t changed = b->has_features ? acked ^ b->features : ~0ull;
	unsigned int i;

	if ((acked & ~vu_offered_features(b)) != 0)
		return vu_fail(b, -EINVAL, "0x%llx has bits that were not offered",
			(unsigned long long)acked);
	/* Under traffic only the dirty log may go on or off. */
	if ((changed & ~UNM_VU_F_LOG_ALL) != 0 && unm_vu_is_running(b))
		return vu_fail(
			b, -EBUSY, "0x%llx while rings are running", (unsigned long long)acked);
	b->features = acked;
	b->has_features = true;
	unm_guest_mem_enable_log(&b->mem, (acked & UNM_VU_F_LOG_ALL) != 0);
	if ((changed & ~own) != 0)
		b->ops->set_features(b->dev, acked & ~own);
	if ((acked & UNM_VU_F_PROTOCOL) != 0)
		return 0;
	/* A front end without SET_VRING_ENABLE. */
	for (i = 0; i < b->ops->n_rings; i++)
		vu_ring_set_enabled(b, i, true);
	return 0;
}

int
vu_get_protocol_features(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	(void)m;
	return vu_reply_u64(b, vu_offered_protocol(b));
}

int
vu_set_protocol_features(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	if ((m->payload.u64 & ~vu_offered_protocol(b)) != 0)
		return vu_fail(b, -EINVAL, "0x%llx has bits that were not offered",
			(unsigned long long)m->payload.u64);
	b->protocol_features = m->payload.u64;
	vu_update_driver_ok(b);
	return 0;
}

int
vu_set_owner(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	(void)m;
	b->has_owner = true;
	b->owner_first |= !b->has_asked;
	return 0;
}

int
vu_reset_owner(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	(void)m;
	b->has_owner = false;
	return 0;
}

/*
 * The protocol's text says queues, QEMU understands pairs, User-Mode Linux and cloud-hypervisor
 * understand rings. They differ in when they ask: QEMU before SET_OWNER, the others after it.
 */
int
vu_get_queue_num(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	(void)m;
	return vu_reply_u64(b, b->has_owner ? b->ops->n_rings : b->ops->queue_num);
}

int
vu_get_status(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	(void)m;
	return vu_reply_u64(b, b->status);
}

int
vu_set_status(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	unsigned int i;

	if (m->payload.u64 > UINT8_MAX)
		return vu_fail(b, -EINVAL, "0x%llx is more than a byte",
			(unsigned long long)m->payload.u64);
	b->status = (uint8_t)m->payload.u64;
	/* The driver has reset the device, or is paused, says QEMU. */
	for (i = 0; i < b->ops->n_rings && b->status == 0; i++)
		vu_ring_end(b, i);
	if (b->status == 0)
		b->ops->reset(b->dev);
	vu_update_driver_ok(b);
	return 0;
}

int
vu_reset_device(struct unm_vu_backend *b, struct unm_vu_msg *m)
{
	unsigned int i;

	(void)m;
	b->status = 0;
	for (i = 0; i < b->ops->n_rings; i++) {
		vu_ring_end(b, i);
		vu_ring_reset(b, i);
	}
	b->ops->reset(b->dev);
	vu_update_driver_ok(b);
	return 0;
}
