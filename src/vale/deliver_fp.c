/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delivery to one receiver: room, copy, publish, wake.
 *
 * The receiver's rx lock is held across the copy of at most one batch. netmap reserves a lease and
 * copies outside its lock; here a sender may be killed at any instruction, and a lease that its
 * holder never fills would block the ring until somebody proves the holder dead. Under one lock
 * there is nothing to repair: what is not published does not exist, and the lock itself is broken
 * by netmapd.
 */

#include "ring/kring.h"
#include "ring/slot.h"
#include "ring/wake.h"
#include "shm/clock.h"
#include "shm/lock.h"
#include "vale/copy.h"
#include "vale/direct_fp.h"
#include "vale/flow_hash.h"
#include "vale/put_fp.h"
#include "vale/sink.h"
#include "vale/vnet.h"

/*
 * Distance, in frames, between the prefetch of a receiver's buffer and the copy into it. The lines
 * were last read by another core. Whole lines are better not prefetched: who overwrites one need not
 * fetch it (60 bytes between two CPUs of a Xeon, 170 ns from each other: 18 -> 34 Mpps without). The
 * first ones are, in any case, for those whose few frames the lock's release would wait for.
 */
#define PREFETCH_AHEAD	 6u

#define STUCK_BACKOFF_NS UINT64_C(100000000)
#define STUCK_REPORT_NS	 UINT64_C(1000000000)

/* The frame of @total bytes fills one slot, of which @len are good. */
static inline void
finish_one(struct unm_spot *sp, uint32_t len, uint32_t total)
{
	unm_slot_store_len_flags(&sp->ring->slot[sp->pos], (uint16_t)len, 1 << NS_PORT_SHIFT);
	sp->pos = unm_pos_next(sp->pos, sp->n);
	sp->room--;
	sp->pkts++;
	sp->bytes += total;
}

/*
 * A frame in one slot, with a virtio-net header of the same length on either side that asks for
 * nothing. Return: false if it is another one, or there is no room.
 */
static inline bool
put_with_header(struct unm_vale_src *s, struct unm_spot *sp, const struct unm_frame *f)
{
	const struct unm_frag *frag = &s->frags[f->frag];
	const uint32_t hdr_len = s->hdr_len;
	uint8_t vnet[UNM_VNET_HDR_MAX];
	uint8_t *dst;

	if (f->n_frags != 1 || f->total > sp->limits.cap || hdr_len != sp->p->hdr_len ||
		sp->room == 0)
		return false;
	memcpy(vnet, frag->data, sizeof(vnet)); /* an Ethernet header follows the 10 or 12 bytes */
	dst = unm_spot_buffer(sp, sp->pos);
	if (!unm_vnet_is_plain(vnet) || dst == NULL)
		return false;
	memmove(dst, frag->data, f->total);
	memcpy(dst, vnet, 2); /* what was checked, should it have changed */
	finish_one(sp, f->total, f->total);
	return true;
}

/* Put frame @f at the spot. */
static inline unsigned int
put_frame(struct unm_vale_src *s, struct unm_spot *sp, const struct unm_frame *f)
{
	const struct unm_frag *frag = &s->frags[f->frag];
	uint8_t *dst;

	if (__builtin_expect(f->n_frags != 1 || f->total > sp->limits.cap || !sp->is_plain, 0)) {
		if (!sp->is_plain && put_with_header(s, sp, f))
			return UNM_PUT_DONE;
		return unm_put_general(s, sp, f);
	}
	if (__builtin_expect(sp->room == 0, 0)) {
		s->wait_room = 1;
		return UNM_PUT_FULL;
	}
	dst = unm_spot_buffer(sp, sp->pos);
	if (__builtin_expect(dst != NULL, 1)) {
		/*
		 * The whole line where both buffers surely have it: aligned starts, buffer sizes a
		 * multiple of 64, no gap rule.
		 */
		if (f->total <= 64 && sp->limits.cap >= 64 &&
			(((uintptr_t)frag->data | (uintptr_t)dst) & 63) == 0)
			memcpy(dst, frag->data, 64);
		else
			memmove(dst, frag->data, f->total);
	}
	finish_one(sp, dst != NULL ? f->total : 0, f->total);
	return UNM_PUT_DONE;
}

/*
 * The rx lock of @pr is taken by somebody else: wait for it, but only once for a lock that does not
 * come free, and within the budget of this sync. Return: 0 or -ETIMEDOUT.
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
		return unm_peer_refusal(s->peers, p) + 1;
	}
	return 0;
}

/*
 * The budget for lock waits of a new sync. One that was used up comes back only after a while: the
 * next sync is not far.
 */
void
unm_vale_refill(struct unm_vale_src *s)
{
	if (__builtin_expect(s->lock_budget_ns == UNM_LOCK_WAIT_NS, 1))
		return;
	if (s->lock_budget_ns > 0 || unm_now_coarse_ns() >= s->lock_refill_ns)
		s->lock_budget_ns = UNM_LOCK_WAIT_NS;
}

/*
 * The usual frames of list @a: in one piece, for a ring without OFFSETS, @hdr_len as both sides have
 * it and asking for nothing. Put them until another one comes, or a slot that is not as it should
 * be, or the ring is full. Return: the first frame not put.
 */
static inline __attribute__((always_inline)) unsigned int
put_usual(struct unm_vale_src *s, struct unm_spot *sp, unsigned int a, const uint32_t hdr_len)
{
	struct netmap_slot *slot = sp->ring->slot;
	uint8_t *bufs = (uint8_t *)sp->p->bufs;
	const uint32_t n = sp->n, size = sp->p->buf_size, n_good = sp->p->n_bufs - UNM_BUF_FIRST;
	const uint32_t cap = sp->limits.cap;
	/* Whole lines may be copied where both buffers surely have them */
	const uintptr_t odd = cap < 64 ? 1 : ((uintptr_t)bufs | size) & 63;
	uint32_t pos = sp->pos, room = sp->room;
	uint32_t ahead = unm_pos_add(pos, PREFETCH_AHEAD < n ? PREFETCH_AHEAD : 0, n);
	uint64_t bytes = 0;

	while (a != UNM_VALE_NOFRAME && room > 0) { /* each turn fills a slot */
		const struct unm_frame *f = &s->frames[a];
		const uint32_t idx = UNM_READ_ONCE(slot[pos].buf_idx), len = f->total;
		const uint8_t *src = f->eth - hdr_len;
		uint8_t *dst = bufs + (size_t)idx * size;
		uint8_t vnet[2] = {0, 0};

		if (f->n_frags != 1 || len > cap || idx - UNM_BUF_FIRST >= n_good)
			break;
		if (hdr_len > 0) {
			memcpy(vnet, src, sizeof(vnet));
			if (!unm_vnet_is_plain(vnet))
				break;
		}
		if (hdr_len > 0) {
			/* The index there is only a hint: a prefetch of nowhere does nothing. */
			const uint8_t *next =
				bufs + (size_t)UNM_READ_ONCE(slot[ahead].buf_idx) * size;

			__builtin_prefetch(next, 1, 3);
			__builtin_prefetch(next + 64, 1, 3); /* a short frame has two lines then */
			ahead = unm_pos_next(ahead, n);
			unm_copy_frame(dst, src, len);
			memcpy(dst, vnet, sizeof(vnet)); /* what was checked, if it has changed */
		} else if (len <= 64 && (((uintptr_t)src & 63) | odd) == 0) {
			memcpy(dst, src, 64);
		} else {
			memmove(dst, src, len);
		}
		unm_slot_store_len_flags(&slot[pos], (uint16_t)len, 1 << NS_PORT_SHIFT);
		pos = unm_pos_next(pos, n);
		room--;
		bytes += len;
		a = f->next;
	}
	sp->pkts += sp->room - room;
	sp->bytes += bytes;
	sp->pos = pos;
	sp->room = room;
	return a;
}

static unsigned int
put_plain(struct unm_vale_src *s, struct unm_spot *sp, unsigned int a)
{
	return put_usual(s, sp, a, 0);
}

static unsigned int
put_headed(struct unm_vale_src *s, struct unm_spot *sp, unsigned int a)
{
	return put_usual(s, sp, a, s->hdr_len);
}

/* Let monitors see what has been put from @start on, before its receiver does. */
static void
show(const struct unm_vale_src *s, const struct unm_spot *sp, struct unm_mons *mons, uint32_t start)
{
	const struct unm_mon_src src = {
		.ring = sp->ring,
		.num_slots = sp->n,
		.bufs = sp->p->bufs,
		.n_bufs = sp->p->n_bufs,
		.buf_size = sp->p->buf_size,
		.offset_mask = sp->limits.ofs_mask,
	};

	unm_mons_show(mons, s->slot, &src, start, sp->pos);
}

/*
 * Frames of lists @a and @b that go to ring @q of @p (@q < 0: the only ring). The two lists are
 * merged by frame number: that is the order in which the sender put them.
 */
static unsigned int
deliver_ring(struct unm_vale_src *s, struct unm_peer *p, int q, unsigned int a, unsigned int b)
{
	struct unm_peer_ring *pr = &p->ring[q < 0 ? 0 : q];
	unsigned int stopped = UNM_VALE_NOFRAME;
	struct unm_spot sp = {0};
	struct unm_mons *mons = NULL;
	bool plain = false, headed = false;
	unsigned int put;
	uint32_t start = 0, i;
	int reason;

	if (__builtin_expect(unm_is_watched(pr->kring) || pr->mons != NULL, 0))
		mons = unm_mons_get(&pr->mons, s->env, s->seg, pr->kring_idx);
	reason = ring_lock(s, p, pr);
	if (reason == 0) {
		unm_spot_open(&sp, s, p, pr);
		start = sp.pos;
		/* Who watches the ring has to see the frames there */
		if (__builtin_expect(UNM_READ_ONCE(unm_sinks_used) != 0, 0) && mons == NULL)
			unm_sink_deliver(s, &sp, q, &a, &b);
		plain = q < 0 && sp.is_plain && sp.limits.ofs_mask == 0;
		headed = q < 0 && !sp.is_plain && sp.limits.ofs_mask == 0 &&
			 s->hdr_len == p->hdr_len;
		for (i = 0; i < PREFETCH_AHEAD; i++)
			unm_spot_prefetch(&sp, i);
	}
	while (a != UNM_VALE_NOFRAME ||
		b != UNM_VALE_NOFRAME) { /* each turn takes one of at most UNM_VALE_BATCH frames */
		unsigned int cur;
		const struct unm_frame *f;

		if ((plain || headed) && b == UNM_VALE_NOFRAME) {
			a = plain ? put_plain(s, &sp, a) : put_headed(s, &sp, a);
			if (a != UNM_VALE_NOFRAME && sp.room == 0 &&
				!(p->lossless && s->may_wait)) {
				sp.full += unm_vale_count_list(s, a);
				a = UNM_VALE_NOFRAME;
			}
			if (a == UNM_VALE_NOFRAME)
				break;
		}
		cur = a < b ? a : b;
		f = &s->frames[cur];
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
		if (!sp.is_plain)
			unm_spot_prefetch(&sp, PREFETCH_AHEAD);
		put = put_frame(s, &sp, f);
		if (__builtin_expect(put == UNM_PUT_DONE, 1))
			continue;
		if (put == UNM_PUT_FULL && p->lossless && s->may_wait) {
			stopped = cur;
			break;
		}
		if (put == UNM_PUT_FULL)
			sp.full++;
		else
			s->drops[put - UNM_PUT_DROPPED]++;
	}
	if (reason != 0)
		return UNM_VALE_NOFRAME;
	s->drops[UNM_DROP_RX_FULL] += sp.full;
	if (__builtin_expect(mons != NULL, 0))
		show(s, &sp, mons, start);
	unm_spot_close(&sp, pr->kring);
	unm_lock_release(&pr->kring->lock);
	if (sp.pkts > 0)
		s->n_wakes += unm_wake_ring(s->env, s->seg, pr->kring, p->port, UNM_WANT_RX);
	if (__builtin_expect(mons != NULL, 0))
		s->n_wakes += unm_mons_wake(mons);
	return stopped;
}

/*
 * Which of the receiver's rings takes this frame (spec 16.3, and a flow hash where the receiver has
 * more rings than the source).
 */
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

/* Has some ring of the receiver a monitor, which sees only what comes through the ring? */
static bool
is_watched(const struct unm_peer *p)
{
	uint32_t i;

	for (i = 0; i < p->n_rings; i++)
		if (unm_is_watched(p->ring[i].kring))
			return true;
	return false;
}

unsigned int
unm_vale_deliver(struct unm_vale_src *s, struct unm_peer *p, unsigned int a, unsigned int b)
{
	unsigned int cur_a = a, cur_b = b, first, i;
	uint64_t rings[UNM_PORT_MAX_RINGS / 64] = {0};

	if (unm_vale_is_direct(s, p) && !is_watched(p)) {
		unm_vale_write(s, p, a, b);
		return UNM_VALE_NOFRAME;
	}
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
