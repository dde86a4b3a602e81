/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that are written to a TAP or a packet socket as large as they can be made, one system call each:
 * segments of one stream that follow one another are joined (vale/gro_fp.h). The reverse of
 * super_rx.h.
 */
#ifndef UNM_PORT_SUPER_TX_H
#define UNM_PORT_SUPER_TX_H

#include <sys/uio.h>

#include "port/internal.h"
#include "vale/gro_fp.h"

/* What is to be written next: a frame, or segments that are being joined. All of it in use till then. */
struct unm_super_tx {
	int fd;		      /* the first three are set by the user; the rest begins with zeroes */
	uint32_t hdr_len;     /* of the virtio-net header that the kernel takes there: 10 or 12 */
	uint64_t *drops;      /* by enum unm_drop: what the kernel has refused; NULL: not counted */
	uint64_t pkts, bytes; /* written, before they were joined, without virtio-net headers */
	int error;	      /* of the last write, positive, or 0 */
	struct unm_gro gro;
	struct iovec payload[UNM_GRO_SEGS];
};

/**
 * unm_super_tx_run() - join the frames of tx ring @r from @pos on, up to @head, as far as they are one
 * @vnet_len: of the virtio-net header before each; 0: none
 *
 * Nothing has been taken before. Return: the frames, of one slot each. Fewer than 2: there is nothing
 * to join, and nothing has been taken.
 */
uint32_t unm_super_tx_run(struct unm_super_tx *x, const struct unm_bring *r, uint32_t pos,
	uint32_t head, uint32_t vnet_len);

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
