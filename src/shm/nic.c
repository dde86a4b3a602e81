/* SPDX-License-Identifier: BSD-2-Clause */
/* Private copies of what an interface port's clients share. See nic.h. */
#include "shm/nic.h"

#include <errno.h>
#include <string.h>

#define MAX_RING     65536u /* entries */
#define MAX_RING_HDR 4096u  /* bytes before the entries of a ring: some cache lines */

static bool
is_ring(uint32_t n, const struct unm_nic_ring_ofs *o)
{
	/* The kernel has its entries last. */
	return n > 0 && n <= MAX_RING && (n & (n - 1)) == 0 && o->desc <= MAX_RING_HDR &&
	       o->producer < o->desc && o->consumer < o->desc && o->flags < o->desc &&
	       (o->producer | o->consumer | o->flags) % sizeof(uint32_t) == 0 &&
	       o->desc % sizeof(uint64_t) == 0;
}

static bool
is_mode(uint32_t mode, uint32_t n_queues)
{
	return mode >= UNM_NIC_XDP_ZC && mode <= UNM_NIC_PACKET &&
	       (mode != UNM_NIC_PACKET || n_queues == 1);
}

int
unm_nic_setup_read(const struct unm_nic_state *st, uint64_t size, uint32_t n_queues,
	const struct unm_region_info *region, struct unm_nic_setup *out)
{
	struct unm_nic_setup *const s = out;

	memcpy(s, &st->setup, sizeof(*s));
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* what is looked at from here on is the copy */
	if (s->magic != UNM_NIC_MAGIC || s->version != UNM_NIC_VERSION || s->size != size ||
		s->n_queues != n_queues || n_queues > UNM_NIC_MAX_QUEUES ||
		!is_mode(s->mode, n_queues))
		return -EINVAL;
	if (s->stride == 0 || s->stride != region->buf_size || s->n_window > region->buf_num ||
		size < sizeof(*st) || size - sizeof(*st) < s->n_window ||
		s->frame_room > region->buf_size || s->lead > UINT32_MAX ||
		(!s->is_unaligned && s->lead != UNM_NIC_HEADROOM) || s->n_bounce == 0 ||
		s->n_bounce > UNM_NIC_MAX_BOUNCE)
		return -EINVAL;
	if (s->mode != UNM_NIC_PACKET &&
		(!is_ring(s->tx_size, &s->tx_ofs) || !is_ring(s->comp_size, &s->comp_ofs) ||
			!is_ring(s->rx_size, &s->rx_ofs) || !is_ring(s->fill_size, &s->fill_ofs)))
		return -EINVAL;
	return 0;
}

int
unm_nic_bounce_read(
	const struct unm_nic_state *st, const struct unm_nic_setup *s, uint32_t q, uint32_t *out)
{
	uint32_t i;

	memcpy(out, st->bounce[q], s->n_bounce * sizeof(*out));
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* as above */
	for (i = 0; i < s->n_bounce; i++) {
		if (out[i] >= s->n_window)
			return -EINVAL;
	}
	return 0;
}
