/* SPDX-License-Identifier: BSD-2-Clause */
/* A place in a receiver's ring while its lock is held, and writing frames from there on. */
#ifndef UNM_VALE_SPOT_H
#define UNM_VALE_SPOT_H

#include <string.h>

#include "ring/rx_slots.h"
#include "vale/forward.h"

struct unm_spot {
	struct netmap_ring *ring;
	const struct unm_peer *p;
	uint32_t n;    /* slots of the ring */
	uint32_t pos;  /* next slot to fill */
	uint32_t room; /* free slots from there */
	struct unm_rx_limits limits;
	bool is_plain; /* neither side has virtio-net headers */
	uint64_t pkts, bytes, full;
};

/*
 * What became of a frame. From UNM_PUT_DROPPED on: the drop reason is the value less
 * UNM_PUT_DROPPED.
 */
enum unm_put { UNM_PUT_DONE, UNM_PUT_FULL, UNM_PUT_DROPPED };

/*
 * The buffer of slot @pos, or NULL if the receiver has put nonsense there: its frame is then
 * delivered empty.
 */
static inline uint8_t *
unm_spot_buffer(const struct unm_spot *sp, uint32_t pos)
{
	return unm_rx_buffer(
		&sp->ring->slot[pos], sp->p->bufs, sp->p->n_bufs, sp->p->buf_size, &sp->limits);
}

static inline void
unm_spot_prefetch(const struct unm_spot *sp, uint32_t ahead)
{
	const uint32_t pos = unm_pos_add(sp->pos, ahead, sp->n);
	const uint32_t idx = UNM_READ_ONCE(sp->ring->slot[pos].buf_idx);

	if (unm_buf_idx_ok(idx, sp->p->n_bufs))
		__builtin_prefetch(sp->p->bufs + (size_t)idx * sp->p->buf_size, 1, 3);
}

static inline uint32_t
unm_spot_slots(const struct unm_spot *sp, uint32_t len)
{
	return (len + sp->limits.cap - 1) / sp->limits.cap;
}

/* Is there room for @need slots, now or ever? */
static inline unsigned int
unm_spot_room(struct unm_vale_src *s, const struct unm_spot *sp, uint32_t need)
{
	if (need >= sp->n)
		return UNM_PUT_DROPPED +
		       UNM_DROP_TOO_LONG; /* would never fit: nobody must wait for that */
	if (need > sp->room) {
		s->wait_room = need;
		return UNM_PUT_FULL;
	}
	return UNM_PUT_DONE;
}

/*
 * Where in a frame that is being written at the spot; its slots are free, and are filled one after
 * another.
 */
struct unm_cursor {
	const struct unm_spot *sp;
	uint32_t pos; /* slot */
	uint32_t ofs; /* in the slot */
	uint8_t *buf; /* of the slot, or NULL */
};

/* The start of the next frame. */
static inline struct unm_cursor
unm_cursor_at(const struct unm_spot *sp)
{
	const struct unm_cursor c = {.sp = sp, .pos = sp->pos, .buf = unm_spot_buffer(sp, sp->pos)};

	return c;
}

/*
 * The next run of at most @len bytes in one slot. Return: its length, not 0 unless @len is; *dst
 * NULL: a slot without buffer.
 */
static inline uint32_t
unm_cursor_run(struct unm_cursor *c, uint32_t len, uint8_t **dst)
{
	uint32_t run;

	if (c->ofs == c->sp->limits.cap) {
		c->pos = unm_pos_next(c->pos, c->sp->n);
		c->ofs = 0;
		c->buf = unm_spot_buffer(c->sp, c->pos);
	}
	run = c->sp->limits.cap - c->ofs;
	if (run > len)
		run = len;
	*dst = c->buf != NULL ? c->buf + c->ofs : NULL;
	c->ofs += run;
	return run;
}

/* Pass over @len bytes. */
static inline void
unm_cursor_skip(struct unm_cursor *c, uint32_t len)
{
	uint8_t *dst;

	while (len > 0) /* each turn takes at least one byte */
		len -= unm_cursor_run(c, len, &dst);
}

static inline void
unm_cursor_write(struct unm_cursor *c, const uint8_t *src, uint32_t len)
{
	while (len > 0) { /* as above */
		uint8_t *dst;
		const uint32_t run = unm_cursor_run(c, len, &dst);

		if (dst != NULL)
			memcpy(dst, src, run);
		src += run;
		len -= run;
	}
}

/* The frame of @len bytes is written: fill in its slots and go to the next. */
static inline void
unm_spot_finish(struct unm_spot *sp, uint32_t len)
{
	const uint32_t need = unm_spot_slots(sp, len);
	const uint16_t n_frags = (uint16_t)((need > 255 ? 255 : need) << NS_PORT_SHIFT);
	uint32_t left = len, k;

	for (k = 0; k < need; k++) { /* at most the ring's free slots */
		const uint32_t part = left < sp->limits.cap ? left : sp->limits.cap;
		const bool ok = unm_spot_buffer(sp, sp->pos) != NULL;

		unm_slot_store_len_flags(&sp->ring->slot[sp->pos], ok ? (uint16_t)part : 0,
			(uint16_t)(n_frags | (k + 1 < need ? NS_MOREFRAG : 0)));
		left -= part;
		sp->pos = unm_pos_next(sp->pos, sp->n);
	}
	sp->room -= need;
	sp->pkts++;
	sp->bytes += len;
}

/* At the end of what ring @pr has; its lock is held. */
static inline void
unm_spot_open(struct unm_spot *sp, const struct unm_vale_src *s, const struct unm_peer *p,
	const struct unm_peer_ring *pr)
{
	struct unm_kring *k = pr->kring;
	const uint32_t n = pr->num_slots;

	sp->ring = pr->ring;
	sp->p = p;
	sp->n = n;
	/* our own earlier word, under the lock; checked all the same */
	sp->pos = unm_kring_load_hwtail(k, n, 0);
	sp->room = unm_rx_room(k, sp->pos, n);
	sp->limits = unm_rx_limits(k, p->buf_size);
	sp->is_plain = (s->hdr_len | p->hdr_len) == 0;
	sp->pkts = sp->bytes = sp->full = 0;
}

/* Publish what was put, still under the lock. */
static inline void
unm_spot_close(struct unm_spot *sp, struct unm_kring *k)
{
	if (sp->pkts > 0) {
		unm_kring_publish_hwtail(k, sp->pos);
		unm_count(&k->rx_pkts, sp->pkts);
		unm_count(&k->rx_bytes, sp->bytes);
	}
	if (sp->full > 0)
		unm_count(&k->rx_full, sp->full);
}

#endif
