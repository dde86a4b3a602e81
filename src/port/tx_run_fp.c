/* SPDX-License-Identifier: BSD-2-Clause */
/* See tx_run.h. */
#include "port/tx_run.h"

#include "vale/vnet.h"

/*
 * Take a frame apart that may be a segment to join. Its virtio-net header must leave it as it is, and
 * say of its checksum what it looks like.
 */
static bool
parse_segment(
	struct unm_segment *s, const uint8_t *data, uint32_t len, uint32_t vnet_len, bool is_summed)
{
	const uint8_t flags = vnet_len > 0 ? UNM_READ_ONCE(data[0]) : 0;

	if (len <= vnet_len || (vnet_len > 0 && UNM_READ_ONCE(data[1]) != UNM_VNET_GSO_NONE) ||
		!unm_segment_is_tcp(data + vnet_len, len - vnet_len))
		return false;
	unm_segment_parse(s, data + vnet_len, len - vnet_len);
	if (vnet_len == 0 && is_summed)
		s->is_partial = false;
	return vnet_len == 0 || s->is_partial == ((flags & UNM_VNET_F_NEEDS_CSUM) != 0);
}

uint32_t
unm_tx_run(struct unm_super_tx *x, const struct unm_bring *r, uint32_t pos, uint32_t head,
	uint32_t vnet_len)
{
	struct unm_segment s;
	uint32_t n;

	for (n = 0; pos != head; n++) { /* UNM_GRO_SEGS turns at most */
		const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);
		const uint8_t *data = unm_slot_data(r, &v);

		if (data == NULL || (v.flags & (NS_MOREFRAG | NS_INDIRECT)) ||
			!parse_segment(&s, data, v.len, vnet_len, x->is_summed) ||
			!unm_super_tx_add(x, &s))
			break;
		pos = unm_pos_next(pos, r->num_slots);
	}
	if (n < 2)
		x->gro.n = 0;
	return n;
}
