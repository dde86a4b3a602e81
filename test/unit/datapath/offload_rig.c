/* SPDX-License-Identifier: BSD-2-Clause */
/* See offload_rig.h. */
#include "offload_rig.h"

#include <string.h>

#include "ring/kring.h"

#define ETH_LEN 14u

void
offload_rig_send(struct vale_rig *v, uint32_t port, uint32_t hdr_len, const struct offload_frame *f,
	uint64_t *rng)
{
	static uint8_t whole[12 + OFFLOAD_MAX_FRAME];
	struct unm_bring *r = vale_tx(v, port);
	const uint32_t len = hdr_len + f->len;
	uint32_t at = 0;

	memcpy(whole, f->vnet, hdr_len);
	memcpy(whole + hdr_len, f->data, f->len);
	while (at < len) {
		uint32_t n = r->buf_size;

		if (rng != NULL && at == 0)
			n = offload_random(rng, 0, 1)
				    ? hdr_len
				    : hdr_len + ETH_LEN + offload_random(rng, 0, 60);
		else if (rng != NULL)
			n = offload_random(rng, at < 200 ? 14 : 200, r->buf_size);
		if (n > len - at)
			n = len - at;
		ring_send(r, whole + at, n, at + n < len ? NS_MOREFRAG : 0);
		at += n;
	}
}

void
offload_rig_receive(struct vale_rig *v, uint32_t port, struct offload_result *r)
{
	static uint8_t whole[2 * OFFLOAD_MAX_FRAME];
	struct unm_bring *rx = vale_rx(v, port);

	offload_result_reset(r);
	CHECK(unm_bport_rxsync(v->port[port]) == 0);
	while (ring_space(rx) > 0) {
		const uint32_t first = rx->ring->head;
		uint32_t len = 0, n = 0, i;
		uint16_t flags;

		do {
			const struct netmap_slot *s = &rx->ring->slot[rx->ring->head];

			CHECK(ring_space(rx) > 0);
			CHECK(n == 0 ||
				rx->ring->slot[first].len ==
					(rx->buf_size > UINT16_MAX ? UINT16_MAX : rx->buf_size));
			CHECK(s->len > 0 && s->len <= sizeof(whole) - len);
			memcpy(whole + len, ring_buf(rx, rx->ring->head), s->len);
			len += s->len;
			flags = s->flags;
			n++;
			ring_advance(rx, 1);
		} while (flags & NS_MOREFRAG);
		for (i = 0; i < n; i++)
			CHECK(NS_RFRAGS(&rx->ring->slot[(first + i) % rx->num_slots]) ==
				(n > 255 ? 255 : n));
		offload_result_add(r, whole, len);
	}
	CHECK(unm_bport_rxsync(v->port[port]) == 0);
}
