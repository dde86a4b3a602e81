/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-net driver's two kinds of queues, over the rings of a front end: buffers, headers,
 * merged frames.
 *
 * Each buffer is contiguous in guest memory, a header in front. How it is cut into descriptors
 * (seg_size) is the caller's choice, as drivers differ in it. Functions that run per frame are
 * inline.
 */
#ifndef TEST_VM_NETDRV_H
#define TEST_VM_NETDRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend.h"

#define ND_BATCH     64u
#define ND_MAX_PARTS 64u /* buffers that one frame may be spread over */
#define ND_MAX_SEGS  64u /* descriptors of one buffer */
#define ND_HDR_LEN   12u /* with VERSION_1 or MRG_RXBUF, and we ask for nothing less */

struct nd_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

struct nd_part {
	const uint8_t *data;
	uint32_t len;
};

/* A frame that has come; valid until the callback returns. */
struct nd_frame {
	const struct nd_hdr *hdr;
	struct nd_part part[ND_MAX_PARTS]; /* without the header */
	unsigned int n_parts;
	uint32_t len;
};

struct nd_queue {
	struct fe *fe;
	struct fe_ring *ring;
	bool is_rx, is_merging;
	bool keeps_chain; /* one descriptor a buffer */
	uint8_t *buf;	  /* n_bufs of stride bytes each */
	uint64_t gpa;	  /* of buf */
	uint32_t stride, seg_size;
	uint32_t n_bufs;
	uint16_t *free; /* tx: buffers to be had, a stack */
	uint32_t n_free;

	struct vd_seg seg[ND_BATCH]; /* tx: put, not yet added */
	uint64_t token[ND_BATCH];
	unsigned int n_put;

	uint64_t frames; /* rx: handed out; tx: come back */
	uint64_t calls;	 /* times that the call descriptor was found signalled */
	/* rx without merged frames: num_buffers that was not 1 (VIRTIO 1.2, 5.1.6.4.1) */
	uint64_t odd_num_buffers;
	const char *fault;
};

/**
 * nd_init() - buffers for a ring of @fe; they stay in the guest's memory
 * @buf_size: bytes, header included
 * @seg_size: 0: one descriptor a buffer; else so many bytes a descriptor, the header in one of its
 *   own
 *
 * Return: 0, -EINVAL, -ENOMEM guest memory is used up.
 */
int nd_init(
	struct nd_queue *q, struct fe *fe, unsigned int ring, uint32_t buf_size, uint32_t seg_size);
void nd_fini(struct nd_queue *q);

/* After fe_fresh(): all tx buffers are free, all rx buffers are posted. */
int nd_fresh(struct nd_queue *q);

/**
 * nd_rx() - take up to about @budget frames, and post their buffers again
 *
 * Return: how many frames, or -EPROTO (fault says why).
 */
int nd_rx(struct nd_queue *q, unsigned int budget, void (*fn)(void *, const struct nd_frame *),
	void *arg);

/* Take back what was sent. Return: how many, or -EPROTO. */
int nd_tx_reclaim(struct nd_queue *q);

/* Add what was put, and show it to the device. */
int nd_tx_flush(struct nd_queue *q);
int nd_tx_add(struct nd_queue *q);

/* A buffer to be filled from its header on; NULL: none free now. */
static inline uint8_t *
nd_tx_buf(struct nd_queue *q)
{
	return q->n_free == 0 ? NULL : q->buf + (size_t)q->free[q->n_free - 1] * q->stride;
}

/* Send the buffer that nd_tx_buf() has just given: @len bytes, the header included. */
static inline int
nd_tx_put(struct nd_queue *q, uint32_t len)
{
	const uint16_t i = q->free[--q->n_free];

	q->seg[q->n_put] = (struct vd_seg){q->gpa + (uint64_t)i * q->stride, len};
	q->token[q->n_put] = i;
	return ++q->n_put == ND_BATCH ? nd_tx_add(q) : 0;
}

#endif
