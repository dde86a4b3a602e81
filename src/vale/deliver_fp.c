/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delivery to one receiver: room, copy, publish, wake.
 *
 * The receiver's rx lock is held across the copy of at most one batch. netmap reserves a lease and copies outside its lock; here a
 * sender may be killed at any instruction, and a lease that its holder never fills would block the ring until somebody proves the holder dead.
 * Under one lock there is nothing to repair: what is not published does not exist, and the lock itself is broken by netmapd.
 */

#include "ring/kring.h"
#include "ring/slot.h"
#include "ring/wake.h"
#include "shm/clock.h"
#include "shm/lock.h"
#include "vale/flow_hash.h"
#include "vale/forward.h"
#include "vale/vnet.h"

/*
 * Distance, in frames, between the prefetch of a receiver's buffer and the copy into it. The line was last read by another core.
 */
#define PREFETCH_AHEAD	 6u

#define STUCK_BACKOFF_NS UINT64_C(100000000)
#define STUCK_REPORT_NS	 UINT64_C(1000000000)

/* A place in a receiver's ring, and what is known about it while its lock is held. */
struct spot {
	struct netmap_ring *ring;
	const struct unm_peer *p;
	uint32_t n;	   /* slots of the ring */
	uint32_t pos;	   /* next slot to fill */
	uint32_t room;	   /* free slots from there */
	uint32_t cap;	   /* bytes a slot takes */
	uint64_t ofs_mask; /* OFFSETS in force */
	uint32_t ofs_max;
	uint64_t pkts, bytes, full;
};

/* The buffer of slot @pos, or NULL if the receiver has put nonsense there: its frame is then delivered empty. */
static inline uint8_t *
spot_buffer(const struct spot *sp, uint32_t pos)
{
	struct netmap_slot *slot = &sp->ring->slot[pos];
	const uint32_t idx = UNM_READ_ONCE(slot->buf_idx);
	uint64_t ofs = 0;

	if (!unm_buf_idx_ok(idx, sp->p->n_bufs))
		return NULL;
	if (__builtin_expect(sp->ofs_mask != 0, 0)) {
		const uint64_t ptr = UNM_READ_ONCE(slot->ptr);

		ofs = ptr & sp->ofs_mask;
		if (ofs > sp->ofs_max) {
			ofs = sp->ofs_max;
			UNM_WRITE_ONCE(
				slot->ptr, (ptr & ~sp->ofs_mask) |
						   ofs); /* where the frame really is (spec 10.6) */
		}
	}
	return (uint8_t *)sp->p->bufs + (size_t)idx * sp->p->buf_size + ofs;
}

static inline void
spot_prefetch(const struct spot *sp, uint32_t ahead)
{
	const uint32_t pos = unm_pos_add(sp->pos, ahead, sp->n);
	const uint32_t idx = UNM_READ_ONCE(sp->ring->slot[pos].buf_idx);

	if (unm_buf_idx_ok(idx, sp->p->n_bufs))
		__builtin_prefetch(sp->p->bufs + (size_t)idx * sp->p->buf_size, 1, 3);
}

/* A frame read as one run of bytes: a prefix of ours, then its fragments. */
struct reader {
	const struct unm_frag *frag;
	uint32_t frag_ofs;
	const uint8_t *prefix;
	uint32_t prefix_len;
};

/* Copy the next @len bytes to @dst, or just pass over them (@dst NULL). The caller never asks for more than there is. */
static void
reader_take(struct reader *r, uint8_t *dst, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) { /* consumes fragments; their lengths sum up to at least len */
		const uint8_t *src;
		uint32_t part;

		if (r->prefix_len > 0) {
			src = r->prefix;
			part = r->prefix_len;
		} else {
			src = r->frag->data + r->frag_ofs;
			part = r->frag->len - r->frag_ofs;
		}
		if (part > len - done)
			part = len - done;
		if (dst != NULL)
			memcpy(dst + done, src, part);
		done += part;
		if (r->prefix_len > 0) {
			r->prefix += part;
			r->prefix_len -= part;
		} else {
			r->frag_ofs += part;
			if (r->frag_ofs == r->frag->len) {
				r->frag++;
				r->frag_ofs = 0;
			}
		}
	}
}

/* Fill @need slots with @total bytes of @r. The slots are free. */
static void
put_bytes(struct spot *sp, struct reader *r, uint32_t total, uint32_t need)
{
	uint32_t left = total, k;

	for (k = 0; k < need; k++) { /* at most the ring's free slots */
		uint8_t *dst = spot_buffer(sp, sp->pos);
		const uint32_t len = left < sp->cap ? left : sp->cap;

		reader_take(r, dst, len);
		left -= len;
		unm_slot_store_len_flags(&sp->ring->slot[sp->pos], dst != NULL ? (uint16_t)len : 0,
			(uint16_t)((need > 255 ? 255 : need) << NS_PORT_SHIFT |
				   (k + 1 < need ? NS_MOREFRAG : 0)));
		sp->pos = unm_pos_next(sp->pos, sp->n);
	}
}

/* What became of a frame. From PUT_DROPPED on: the drop reason is the value less PUT_DROPPED. */
enum put { PUT_DONE, PUT_FULL, PUT_DROPPED };

/*
 * The general case: several fragments, a frame longer than a slot, or ports whose virtio-net headers differ in length (spec 17:
 * 10 bytes are kept, what is added is zero). A frame that asks for a checksum or segmentation can't lose its header.
 */
static unsigned int
put_general(struct unm_vale_src *s, struct spot *sp, const struct unm_frame *f)
{
	const uint32_t in = s->hdr_len, out = sp->p->hdr_len;
	struct reader r = {.frag = &s->frags[f->frag]};
	uint8_t hdr[UNM_VNET_HDR_MAX] = {0};
	uint32_t total = f->total, need;

	if (in != out) {
		uint8_t from[UNM_VNET_HDR_MAX] = {0};

		reader_take(&r, from, in);
		if (out == 0 && (from[0] & UNM_VNET_F_NEEDS_CSUM || from[1] != 0))
			return PUT_DROPPED + UNM_DROP_OFFLOAD;
		memcpy(hdr, from, UNM_VNET_HDR_BASE);
		r.prefix = hdr;
		r.prefix_len = out;
		total = f->total - in + out;
	}
	need = (total + sp->cap - 1) / sp->cap;
	if (need >= sp->n)
		return PUT_DROPPED +
		       UNM_DROP_TOO_LONG; /* would never fit: nobody must wait for that */
	if (need > sp->room) {
		s->wait_room = need;
		return PUT_FULL;
	}
	put_bytes(sp, &r, total, need);
	sp->room -= need;
	sp->pkts++;
	sp->bytes += total;
	return PUT_DONE;
}

/* Put frame @f at the spot. */
static inline unsigned int
put_frame(struct unm_vale_src *s, struct spot *sp, const struct unm_frame *f)
{
	struct netmap_slot *slot = &sp->ring->slot[sp->pos];
	const struct unm_frag *frag = &s->frags[f->frag];
	uint8_t *dst;

	if (__builtin_expect(
		    f->n_frags != 1 || f->total > sp->cap || s->hdr_len != sp->p->hdr_len, 0))
		return put_general(s, sp, f);
	if (__builtin_expect(sp->room == 0, 0)) {
		s->wait_room = 1;
		return PUT_FULL;
	}
	dst = spot_buffer(sp, sp->pos);
	if (__builtin_expect(dst == NULL, 0)) {
		unm_slot_store_len_flags(slot, 0, 1 << NS_PORT_SHIFT);
	} else {
		/* The whole line where both buffers surely have it: aligned starts, buffer sizes a multiple of 64, no gap rule. */
		if (f->total <= 64 && sp->cap >= 64 &&
			(((uintptr_t)frag->data | (uintptr_t)dst) & 63) == 0)
			memcpy(dst, frag->data, 64);
		else
			memcpy(dst, frag->data, f->total);
		unm_slot_store_len_flags(slot, (uint16_t)f->total, 1 << NS_PORT_SHIFT);
	}
	sp->pos = unm_pos_next(sp->pos, sp->n);
	sp->room--;
	sp->pkts++;
	sp->bytes += f->total;
	return PUT_DONE;
}

static void
spot_open(struct spot *sp, const struct unm_peer *p, const struct unm_peer_ring *pr)
{
	struct unm_kring *k = pr->kring;
	const uint32_t n = pr->num_slots;
	uint32_t hwcur, gap;

	sp->ring = pr->ring;
	sp->p = p;
	sp->n = n;
	sp->pos = unm_kring_load_hwtail(
		k, n, 0); /* our own earlier word, under the lock; checked all the same */
	hwcur = unm_kring_load_hwcur(k, n, unm_pos_next(sp->pos, n));
	sp->room = n - 1 - unm_pos_dist(hwcur, sp->pos, n);
	sp->ofs_mask = UNM_READ_ONCE(k->offset_mask);
	sp->cap = p->buf_size <= UINT16_MAX ? p->buf_size : UINT16_MAX; /* slot.len has 16 bits */
	sp->ofs_max = 0;
	if (__builtin_expect(sp->ofs_mask != 0, 0)) {
		sp->ofs_max = UNM_READ_ONCE(k->offset_max);
		if (sp->ofs_max > p->buf_size - 64)
			sp->ofs_max = p->buf_size - 64;
		if (sp->cap > p->buf_size - sp->ofs_max)
			sp->cap = p->buf_size - sp->ofs_max;
		gap = UNM_READ_ONCE(k->offset_gap);
		if (gap != 0 && gap < sp->cap)
			sp->cap = gap;
	}
	sp->pkts = sp->bytes = sp->full = 0;
}

/* Publish what was put, still under the lock. */
static void
spot_close(struct spot *sp, struct unm_kring *k)
{
	if (sp->pkts > 0) {
		unm_kring_publish_hwtail(k, sp->pos);
		unm_count(&k->rx_pkts, sp->pkts);
		unm_count(&k->rx_bytes, sp->bytes);
	}
	if (sp->full > 0)
		unm_count(&k->rx_full, sp->full);
}

/*
 * The rx lock of @pr is taken by somebody else: wait for it, but only once for a lock that does not come free, and within the budget
 * of this sync. Return: 0 or -ETIMEDOUT.
 */
static int
ring_lock_wait(struct unm_vale_src *s, struct unm_peer_ring *pr)
{
	uint32_t *word = &pr->kring->lock;
	const bool backoff = pr->stuck_until_ns != 0 && unm_now_coarse_ns() < pr->stuck_until_ns;
	const bool no_budget = s->lock_budget_ns == 0;
	uint64_t now;

	if (!backoff && unm_lock_wait(word, s->slot, &s->lock_budget_ns) == 0)
		return 0;
	if (!backoff && no_budget)
		return -ETIMEDOUT; /* spinning proves nothing */
	now = unm_now_coarse_ns();
	pr->stuck_until_ns = now + STUCK_BACKOFF_NS;
	if (!backoff && s->lock_budget_ns == 0)
		s->lock_refill_ns = now + STUCK_BACKOFF_NS;
	if (now >= s->stuck_report_ns) {
		s->stuck_report_ns = now + STUCK_REPORT_NS;
		s->env->lock_stuck(s->seg, pr->kring_idx, UNM_READ_ONCE(*word));
	}
	return -ETIMEDOUT;
}

/* Take the rx lock of @pr, or say why not in terms of a drop reason. Return: 0 or a reason + 1. */
static int
ring_lock(struct unm_vale_src *s, struct unm_peer *p, struct unm_peer_ring *pr)
{
	uint32_t *word = &pr->kring->lock;

	if (__builtin_expect(unm_lock_try(word, s->slot) != 0, 0) && ring_lock_wait(s, pr) != 0)
		return UNM_DROP_BUSY + 1;
	pr->stuck_until_ns = 0;
	if (__builtin_expect(!unm_peer_takes(s->peers, p), 0)) {
		unm_lock_release(word);
		return UNM_DROP_NO_PORT + 1;
	}
	return 0;
}

/* The budget for lock waits of a new sync. One that was used up comes back only after a while: the next sync is not far. */
void
unm_vale_refill(struct unm_vale_src *s)
{
	if (__builtin_expect(s->lock_budget_ns == UNM_LOCK_WAIT_NS, 1))
		return;
	if (s->lock_budget_ns > 0 || unm_now_coarse_ns() >= s->lock_refill_ns)
		s->lock_budget_ns = UNM_LOCK_WAIT_NS;
}

/*
 * Frames of lists @a and @b that go to ring @q of @p (@q < 0: the only ring). The two lists are merged by frame number: that is the order in
 * which the sender put them.
 */
static unsigned int
deliver_ring(struct unm_vale_src *s, struct unm_peer *p, int q, unsigned int a, unsigned int b)
{
	struct unm_peer_ring *pr = &p->ring[q < 0 ? 0 : q];
	unsigned int stopped = UNM_VALE_NOFRAME;
	const int reason = ring_lock(s, p, pr);
	struct spot sp = {0};
	unsigned int put;
	uint32_t i;

	if (reason == 0) {
		spot_open(&sp, p, pr);
		for (i = 0; i < PREFETCH_AHEAD; i++)
			spot_prefetch(&sp, i);
	}
	while (a != UNM_VALE_NOFRAME ||
		b != UNM_VALE_NOFRAME) { /* each turn takes one of at most UNM_VALE_BATCH frames */
		const unsigned int cur = a < b ? a : b;
		const struct unm_frame *f = &s->frames[cur];

		if (cur == a)
			a = f->next;
		else
			b = f->next;
		if (q >= 0 && s->ring_of[cur] != q)
			continue;
		if (reason != 0) {
			s->drops[reason - 1]++;
			continue;
		}
		spot_prefetch(&sp, PREFETCH_AHEAD);
		put = put_frame(s, &sp, f);
		if (__builtin_expect(put == PUT_DONE, 1))
			continue;
		if (put == PUT_FULL && p->lossless && s->may_wait) {
			stopped = cur;
			break;
		}
		if (put == PUT_FULL)
			sp.full++;
		else
			s->drops[put - PUT_DROPPED]++;
	}
	if (reason != 0)
		return UNM_VALE_NOFRAME;
	s->drops[UNM_DROP_RX_FULL] += sp.full;
	spot_close(&sp, pr->kring);
	unm_lock_release(&pr->kring->lock);
	if (sp.pkts > 0)
		s->n_wakes += unm_wake_ring(s->env, s->seg, pr->kring, p->port, UNM_WANT_RX);
	return stopped;
}

/* Which of the receiver's rings takes this frame (spec 16.3, and a flow hash where the receiver has more rings than the source). */
static uint8_t
ring_for(const struct unm_vale_src *s, const struct unm_peer *p, const struct unm_frame *f)
{
	uint64_t h;

	if (f->dst == UNM_DST_FLOOD)
		return 0;
	if (s->n_tx_rings >= p->n_rings)
		return (uint8_t)(s->ring_id % p->n_rings);
	h = unm_flow_hash(f->eth, f->eth_len);
	return (uint8_t)((h >> 32) * p->n_rings >> 32);
}

unsigned int
unm_vale_deliver(struct unm_vale_src *s, struct unm_peer *p, unsigned int a, unsigned int b)
{
	unsigned int cur_a = a, cur_b = b, first, i;
	uint64_t rings[UNM_PORT_MAX_RINGS / 64] = {0};

	if (__builtin_expect(p->n_rings == 1, 1))
		return deliver_ring(s, p, -1, a, b);
	while (cur_a != UNM_VALE_NOFRAME ||
		cur_b != UNM_VALE_NOFRAME) { /* bounded like deliver_ring() */
		const unsigned int cur = cur_a < cur_b ? cur_a : cur_b;
		const uint8_t q = ring_for(s, p, &s->frames[cur]);

		if (cur == cur_a)
			cur_a = s->frames[cur].next;
		else
			cur_b = s->frames[cur].next;
		s->ring_of[cur] = q;
		rings[q / 64] |= UINT64_C(1) << (q % 64);
	}
	first = UNM_VALE_NOFRAME;
	for (i = 0; i < p->n_rings; i++) {
		unsigned int stopped;

		if (!(rings[i / 64] >> (i % 64) & 1))
			continue;
		stopped = deliver_ring(s, p, (int)i, a, b);
		if (stopped < first)
			first = stopped;
	}
	return first;
}
