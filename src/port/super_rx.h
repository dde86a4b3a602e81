/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rx rings whose frames the kernel hands over as large as it has them, super-frames of up to 64 KiB
 * (host_fp.c, packet_fp.c): they are read into private memory, and put into slots from there as a
 * VALE port would have them (vale/put_fp.h), cut and with their checksums.
 */
#ifndef UNM_PORT_SUPER_RX_H
#define UNM_PORT_SUPER_RX_H

#include "port/internal.h"
#include "vale/put_fp.h"

#define UNM_SUPER_SLOTS 48u /* of a super-frame of a stream in full-size segments */

/* Private memory of such a ring begins with this. */
struct unm_super_rx {
	struct unm_vale_src *src; /* what put_fp.h wants of a sender */
	struct unm_peer *peer;	  /* and of a receiver: the ring */
};

/**
 * unm_super_rx_init() - give ring @r its private memory, in @r->super
 * @size:    bytes of it, not set but for those of struct unm_super_rx
 * @hdr_len: of the virtio-net header before each frame
 *
 * Return: 0 or -ENOMEM.
 */
int unm_super_rx_init(struct unm_bring *r, size_t size, uint32_t hdr_len);

/** unm_super_rx_fini() - free it; any ring may be without. */
void unm_super_rx_fini(struct unm_bring *r);

/* At the end of what the ring has. unm_spot_close() publishes what was put. */
static inline void
unm_super_rx_open(struct unm_bring *r, struct unm_spot *sp)
{
	const struct unm_peer_ring to = {
		.ring = r->ring, .kring = r->kring, .num_slots = r->num_slots};

	unm_spot_open(sp, r->super->src, r->super->peer, &to);
}

/* Put a frame with its header, in one piece; none (no bytes), or one that can't be put, is counted. */
static inline void
unm_super_rx_put(struct unm_super_rx *x, struct unm_spot *sp, struct unm_frag whole)
{
	const struct unm_frame f = {.n_frags = 1, .total = whole.len};

	x->src->frags[0] = whole;
	if (whole.len == 0 || unm_put_general(x->src, sp, &f) != UNM_PUT_DONE)
		sp->full++;
}

/* Slots from head on that have frames, the client's own included. */
static inline uint32_t
unm_super_rx_held(const struct unm_bring *r)
{
	const uint32_t n = r->num_slots, head = unm_own_hwcur(r);

	return unm_pos_dist(head, unm_kring_load_hwtail(r->kring, n, head), n);
}

#endif
