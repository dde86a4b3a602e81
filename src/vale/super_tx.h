/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that are written to a TAP or a packet socket as large as they can be made, one system call each:
 * segments of one stream that follow one another are joined (gro_fp.h). The reverse of
 * port/super_rx.h.
 */
#ifndef UNM_VALE_SUPER_TX_H
#define UNM_VALE_SUPER_TX_H

#include <sys/uio.h>

#include "vale/gro_fp.h"

/* What is to be written next: a frame, or segments that are being joined. All of it in use till then. */
struct unm_super_tx {
	int fd;		      /* the first four, and gro.keeps_ids, are the user's */
	uint32_t hdr_len;     /* of the virtio-net header that the kernel takes there: 10 or 12 */
	uint64_t *drops;      /* by enum unm_drop: what the kernel has refused; NULL: not counted */
	bool is_summed;	      /* checksums are as they are to be: none is left to be completed */
	uint64_t pkts, bytes; /* written, before they were joined, without virtio-net headers */
	int error;	      /* of the last write, positive, or 0 */
	struct unm_gro gro;
	struct iovec payload[UNM_GRO_SEGS];
};

/* Nothing has been taken. Large arrays are not touched: this is on the path of every sync. */
static inline void
unm_super_tx_init(struct unm_super_tx *x, int fd, uint32_t hdr_len, uint64_t *drops)
{
	x->fd = fd;
	x->hdr_len = hdr_len;
	x->drops = drops;
	x->is_summed = false;
	x->pkts = x->bytes = 0;
	x->error = 0;
	x->gro.n = 0;
	x->gro.keeps_ids = false;
}

/** unm_super_tx_add() - take a frame if there is none yet, or it can be joined to what there is. */
bool unm_super_tx_add(struct unm_super_tx *x, const struct unm_segment *s);

/** unm_super_tx_one() - take a frame in one piece; what it can't be joined to is written. */
void unm_super_tx_one(struct unm_super_tx *x, const uint8_t *data, uint32_t len);

/**
 * unm_super_tx_whole() - write what there is, and a frame in several pieces as it is
 * @iov: @n_iov entries, the first of which is free for the virtio-net header
 */
void unm_super_tx_whole(struct unm_super_tx *x, struct iovec *iov, int n_iov);

/** unm_super_tx_flush() - write what there is. */
void unm_super_tx_flush(struct unm_super_tx *x);

#endif
