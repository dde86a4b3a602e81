/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio-net driver's queues; see netdrv.h. */
#include "netdrv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct nd_hdr) == ND_HDR_LEN, "VIRTIO 1.2, 5.1.6");

#define CACHE_LINE 64u
#define BUFS_AHEAD 8u /* buffers on their way into the cache while frames are read */

static int
fault(struct nd_queue *q, const char *what)
{
	if (q->fault == NULL)
		q->fault = what;
	return -EPROTO;
}

/* Descriptors of a buffer of @len bytes. */
static unsigned int
n_segs_of(const struct nd_queue *q, uint32_t len)
{
	return q->seg_size == 0 ? 1 : 1 + (len - ND_HDR_LEN + q->seg_size - 1) / q->seg_size;
}

static unsigned int
cut(const struct nd_queue *q, struct vd_seg whole, struct vd_seg *seg)
{
	unsigned int n = 0;
	uint32_t ofs = ND_HDR_LEN;

	seg[n++] = (struct vd_seg){whole.gpa, ND_HDR_LEN};
	for (; ofs < whole.len && n < ND_MAX_SEGS; ofs += q->seg_size) {
		const uint32_t left = whole.len - ofs;

		seg[n++] =
			(struct vd_seg){whole.gpa + ofs, left < q->seg_size ? left : q->seg_size};
	}
	return n;
}

int
nd_init(struct nd_queue *q, struct fe *fe, unsigned int ring, uint32_t buf_size, uint32_t seg_size)
{
	const struct fe_config *c = &fe->c;
	unsigned int n_segs;

	memset(q, 0, sizeof(*q));
	q->fe = fe;
	q->ring = &fe->ring[ring];
	q->is_rx = ring % 2 == 0;
	q->is_merging = q->is_rx && (fe->features & FE_F_MRG_RXBUF) != 0;
	q->seg_size = seg_size;
	q->keeps_chain = seg_size == 0;
	q->stride = (buf_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	n_segs = n_segs_of(q, buf_size);
	if (buf_size <= ND_HDR_LEN || n_segs > ND_MAX_SEGS || n_segs > c->queue_size)
		return -EINVAL;
	q->n_bufs = c->queue_size;
	if ((fe->features & FE_F_INDIRECT_DESC) == 0 || n_segs > c->table_len ||
		n_segs < c->indirect_from)
		q->n_bufs /= n_segs;
	q->buf = guest_alloc(&fe->guest, (size_t)q->n_bufs * q->stride);
	q->free = calloc(q->n_bufs, sizeof(*q->free));
	if (q->buf == NULL || q->free == NULL) {
		nd_fini(q);
		return -ENOMEM;
	}
	q->gpa = guest_gpa(&fe->guest, q->buf);
	return 0;
}

void
nd_fini(struct nd_queue *q)
{
	free(q->free);
	q->free = NULL;
}

/* Buffers @token[0..n) to the ring. */
static int
add(struct nd_queue *q, const struct vd_seg *whole, const uint64_t *token, unsigned int n)
{
	struct vd_seg seg[ND_MAX_SEGS];
	unsigned int i, n_segs;

	if (q->keeps_chain)
		return vd_add_singles(&q->ring->vd, whole, token, n, q->is_rx) == n
			       ? 0
			       : fault(q, "no room for a buffer that had its place before");
	for (i = 0; i < n; i++) {
		n_segs = cut(q, whole[i], seg);
		if (vd_add(&q->ring->vd, seg, q->is_rx ? 0 : n_segs, q->is_rx ? n_segs : 0,
			    token[i]) < 0)
			return fault(q, "no room for a chain that had its place before");
	}
	return 0;
}

static void
publish(struct nd_queue *q)
{
	if (vd_publish(&q->ring->vd))
		fe_kick(q->fe, q->ring);
}

static struct vd_seg
whole_buf(const struct nd_queue *q, uint64_t i)
{
	return (struct vd_seg){q->gpa + i * q->stride, q->stride};
}

int
nd_fresh(struct nd_queue *q)
{
	uint32_t i;

	q->n_put = 0;
	q->n_free = 0;
	q->fault = NULL;
	for (i = 0; i < q->n_bufs; i++) {
		const struct vd_seg s = whole_buf(q, i);
		const uint64_t token = i;

		if (!q->is_rx)
			q->free[q->n_free++] = (uint16_t)i;
		else if (add(q, &s, &token, 1) < 0)
			return -EPROTO;
	}
	vd_publish(&q->ring->vd); /* fe_start() kicks */
	return 0;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* What vd_get() has given, one by one, and asked again when it is used up. */
struct source {
	struct vd_used got[ND_BATCH];
	unsigned int n, at;
};

/* A device on another CPU has written it. */
static inline void
prefetch_buf(const struct nd_queue *q, const struct source *s, unsigned int i)
{
	const uint8_t *data = q->buf + s->got[i].token * q->stride;

	__builtin_prefetch(data);
	__builtin_prefetch(data + CACHE_LINE);
}

static int
refill(struct nd_queue *q, struct source *s)
{
	const int n = vd_get(&q->ring->vd, s->got, ND_BATCH);
	int i;

	if (n < 0)
		return fault(q, q->ring->vd.fault);
	s->at = 0;
	s->n = (unsigned int)n;
	for (i = 0; i < n && i < (int)BUFS_AHEAD; i++)
		prefetch_buf(q, s, (unsigned int)i);
	return n;
}

/* The parts of the frame that begins at s->at. Return: number of buffers, or -EPROTO. */
static int
collect(struct nd_queue *q, struct source *s, struct nd_frame *f, uint64_t *token)
{
	const struct vd_used *u = &s->got[s->at];
	const uint8_t *data = q->buf + u->token * q->stride;
	unsigned int n_buffers, i;

	f->hdr = (const struct nd_hdr *)data;
	if (u->len < ND_HDR_LEN)
		return fault(q, "a frame shorter than its header");
	n_buffers = f->hdr->num_buffers;
	if (!q->is_merging) {
		q->odd_num_buffers += n_buffers != 1;
		n_buffers = 1;
	}
	if (n_buffers == 0 || n_buffers > ND_MAX_PARTS)
		return fault(q, "num_buffers is 0 or too large");
	f->part[0] = (struct nd_part){data + ND_HDR_LEN, u->len - ND_HDR_LEN};
	f->len = f->part[0].len;
	f->n_parts = n_buffers;
	token[0] = u->token;
	s->at++;
	for (i = 1; i < n_buffers; i++) {
		if (s->at == s->n && refill(q, s) <= 0)
			return fault(q, "a merged frame published in parts");
		u = &s->got[s->at++];
		f->part[i] = (struct nd_part){q->buf + u->token * q->stride, u->len};
		f->len += u->len;
		token[i] = u->token;
	}
	return (int)n_buffers;
}

/* Post buffers again that the frames in them have left. */
static int
repost(struct nd_queue *q, const uint64_t *token, unsigned int n)
{
	struct vd_seg seg[ND_BATCH + ND_MAX_PARTS];
	unsigned int i;

	for (i = 0; i < n; i++)
		seg[i] = whole_buf(q, token[i]);
	return n == 0 ? 0 : add(q, seg, token, n);
}

int
nd_rx(struct nd_queue *q, unsigned int budget, void (*fn)(void *, const struct nd_frame *),
	void *arg)
{
	struct source s;
	uint64_t token[ND_BATCH + ND_MAX_PARTS];
	struct nd_frame f;
	unsigned int n_frames = 0, n_bufs = 0;
	int n;

	s.n = s.at = 0;
	while (n_frames < budget || s.at < s.n) {
		if (s.at == s.n) {
			n = refill(q, &s);
			if (n < 0)
				return n;
			if (n == 0)
				break;
		}
		if (s.at + BUFS_AHEAD < s.n)
			prefetch_buf(q, &s, s.at + BUFS_AHEAD);
		n = collect(q, &s, &f, token + n_bufs);
		if (n < 0)
			return n;
		fn(arg, &f);
		n_frames++;
		n_bufs += (unsigned int)n;
		if (n_bufs < ND_BATCH && s.at < s.n)
			continue;
		if (repost(q, token, n_bufs) < 0)
			return -EPROTO;
		n_bufs = 0;
	}
	if (repost(q, token, n_bufs) < 0)
		return -EPROTO;
	publish(q);
	q->frames += n_frames;
	return (int)n_frames;
}

/* ---- sending --------------------------------------------------------------------------------- */

int
nd_tx_add(struct nd_queue *q)
{
	const unsigned int n = q->n_put;

	q->n_put = 0;
	return n == 0 ? 0 : add(q, q->seg, q->token, n);
}

int
nd_tx_flush(struct nd_queue *q)
{
	const int ret = nd_tx_add(q);

	publish(q);
	return ret;
}

int
nd_tx_reclaim(struct nd_queue *q)
{
	struct vd_used got[ND_BATCH];
	int total = 0, n, i;

	do {
		n = vd_get(&q->ring->vd, got, ND_BATCH);
		if (n < 0)
			return fault(q, q->ring->vd.fault);
		for (i = 0; i < n; i++)
			q->free[q->n_free++] = (uint16_t)got[i].token;
		total += n;
	} while (n == (int)ND_BATCH);
	q->frames += (uint64_t)total;
	return total;
}
