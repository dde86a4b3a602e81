/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes: slots change hands, payload never moves (spec 14).
 *
 * The tx ring of one end and the rx ring of the other have equally many slots and correspond one to
 * one:
 *
 *                hwcur (B.rx)                 hwtail (B.rx)
 *   ---- free ----|------- with B -------------|---- A's to fill ----
 *                 ^ B's rxsync stores          ^ A's txsync stores
 *
 * These two words are the whole state of the queue. A's "hwcur" is the hwtail of B, so there is
 * nothing that two crashes could leave in disagreement; a sync that was killed half-way has
 * published nothing and the next one repeats it.
 *
 * On a pipe slot i of one ring is slot i of the other. Rings of two NIC ports that are joined
 * (join.h) were in use before, each at a position of its own: there slot i of A's is slot
 * i + peer_delta of B's. Positions below are A's unless they say otherwise.
 *
 * A returned slot (with the buffer that B left there) is copied back by A's next txsync, not by B:
 * B's rxsync then writes one word, and A reads lines that it wrote itself unless B changed them.
 *
 * What the other end wrote into a slot is checked before it reaches this end's ring: the
 * application would follow a bad index, or a bad offset, out of the region.
 */
#include "port/monitor.h"
#include "ring/wake.h"

/*
 * Slots ahead of the one being copied whose line in the peer's ring is fetched for writing: two
 * lines.
 */
#define PREFETCH_SLOTS 8u

/* Where slot @i of A's ring is in B's. */
static inline uint32_t
to_peer(const struct unm_bring *r, uint32_t i)
{
	return unm_pos_add(i, r->peer_delta, r->num_slots);
}

static inline uint32_t
from_peer(const struct unm_bring *r, uint32_t i)
{
	return unm_pos_dist(r->peer_delta, i, r->num_slots);
}

/* The queue's end, which A's txsync alone writes, in B's kring. */
static inline uint32_t
queue_end(const struct unm_bring *r)
{
	return from_peer(r, unm_kring_load_hwtail(r->peer_kring, r->num_slots, 0));
}

/* From slot @i of A's ring, how many slots before @to lie in a row in both rings? */
static inline uint32_t
row_len(const struct unm_bring *r, uint32_t i, uint32_t to)
{
	const uint32_t mine = (to > i ? to : r->num_slots) - i;
	const uint32_t theirs = r->num_slots - to_peer(r, i);

	return mine < theirs ? mine : theirs;
}

uint32_t
unm_pipe_tx_done(const struct unm_bring *r)
{
	return queue_end(r);
}

/*
 * A slot as the receiver may see it: an index, offset or length that leaves its buffer becomes the
 * empty buffer 0.
 * @mask: OFFSETS in force in the receiver's ring
 */
static inline struct netmap_slot
safe_slot(struct unm_bring *r, struct netmap_slot s, uint64_t mask)
{
	if (__builtin_expect(!unm_buf_idx_ok(s.buf_idx, r->n_bufs) || s.len > r->buf_size ||
				     (s.ptr & mask) > r->buf_size - s.len,
		    0)) {
		unm_count(&r->kring->drops[UNM_DROP_BAD_SLOT], 1);
		s.buf_idx = 0;
		s.len = 0;
		s.ptr &= ~mask;
	}
	return s;
}

/* A slot in one register: moved by one load and one store, as slot words are (slot.h). */
typedef uint64_t slot_vec __attribute__((vector_size(16), may_alias));

/* One word each of four slots. */
typedef uint32_t word_vec __attribute__((vector_size(16)));

struct four_slots {
	slot_vec slot[4];
};

/*
 * The value that was loaded, from now on: the compiler can't fetch it from memory again. A volatile
 * access would say the same, but keeps gcc from using the address modes of the loop (387 -> 488
 * Mpps, both sides spinning).
 */
static inline slot_vec
vec_load(const struct netmap_slot *s)
{
#if defined(__x86_64__)
	slot_vec v = *(const slot_vec *)(const void *)s;

	__asm__ volatile("" : "+x"(v));
	return v;
#else
	return *(const volatile slot_vec *)(const volatile void *)s;
#endif
}

static inline struct four_slots
four_load(const struct netmap_slot *s)
{
	const struct four_slots f = {
		{vec_load(&s[0]), vec_load(&s[1]), vec_load(&s[2]), vec_load(&s[3])}};

	return f;
}

static inline void
four_store(struct netmap_slot *s, const struct four_slots *f)
{
	slot_vec *v = (slot_vec *)(void *)s;

	v[0] = f->slot[0];
	v[1] = f->slot[1];
	v[2] = f->slot[2];
	v[3] = f->slot[3];
}

/* The first words, buf_idx, of all four. */
static inline word_vec
four_idx(const struct four_slots *f)
{
	const word_vec a = (word_vec)f->slot[0], b = (word_vec)f->slot[1];
	const word_vec c = (word_vec)f->slot[2], d = (word_vec)f->slot[3];
	const word_vec ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
	const word_vec cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);

	return __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
}

/*
 * The second words, len and flags: on a little-endian machine one is not above the buffer size if
 * the length is not and no flag is set.
 */
static inline word_vec
four_len_flags(const struct four_slots *f)
{
	const word_vec a = (word_vec)f->slot[0], b = (word_vec)f->slot[1];
	const word_vec c = (word_vec)f->slot[2], d = (word_vec)f->slot[3];
	const word_vec ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
	const word_vec cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);

	return __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/* Is @v[i] in [0, max] for all four? As signed numbers, which SSE2 can compare; @max is one. */
static inline bool
four_within(word_vec v, uint32_t max)
{
	typedef int32_t sign_vec __attribute__((vector_size(16)));
	typedef uint64_t pair_vec __attribute__((vector_size(16)));
	const sign_vec sv = (sign_vec)v,
		       top = {(int32_t)max, (int32_t)max, (int32_t)max, (int32_t)max};
	const pair_vec bad = (pair_vec)((sv > top) | (sv < 0));

	return (bad[0] | bad[1]) == 0;
}

static inline bool
four_good_idx(const struct four_slots *f, uint32_t n_bufs)
{
	return four_within(four_idx(f) - UNM_BUF_FIRST, n_bufs - UNM_BUF_FIRST - 1);
}

/*
 * Push @n slots from @from on, in a row in both rings, while they are plain: no flags, a good index
 * and length. A line of four at a time.
 * Return: how many. Several times as fast as the general loop, which takes the rest.
 */
static uint32_t
push_plain(struct unm_bring *r, uint32_t from, uint32_t n, uint64_t *bytes)
{
	const struct netmap_slot *ts = &r->ring->slot[from];
	struct netmap_slot *ps = &r->peer_ring->slot[to_peer(r, from)];
	const uint32_t n_bufs = r->n_bufs, size = r->buf_size;
	word_vec sum = {0}; /* at most UNM_PORT_MAX_SLOTS lengths of 16 bits */
	uint32_t i;

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		return 0;
	for (i = 0; i + 4 <= n; i += 4) { /* at most the slots of the ring */
		const struct four_slots f = four_load(&ts[i]);
		const word_vec len = four_len_flags(&f);

		if (!four_good_idx(&f, n_bufs) || !four_within(len, size))
			break;
		__builtin_prefetch(&ps[i + PREFETCH_SLOTS], 1, 3);
		four_store(&ps[i], &f);
		sum += len;
	}
	*bytes += (uint64_t)sum[0] + sum[1] + sum[2] + sum[3];
	return i;
}

/*
 * Copy slots [from, head) to the peer's ring. Return: the position after the last complete packet.
 */
static uint32_t
push_slots(struct unm_bring *r, uint32_t from, uint32_t head)
{
	const uint32_t n = r->num_slots;
	const uint64_t mask = UNM_READ_ONCE(r->peer_kring->offset_mask);
	uint64_t pkts = 0, bytes = 0, part = 0;
	uint32_t end = from, i = from;
	bool inside = false; /* a packet of several slots */

	while (i != head) { /* head is in [0, n): less than n turns */
		struct netmap_slot *ts = &r->ring->slot[i];
		struct netmap_slot s;

		if (!inside && mask == 0) {
			const uint32_t done = push_plain(r, i, row_len(r, i, head), &bytes);

			if (done > 0) {
				pkts += done;
				i = end = unm_pos_add(i, done, n);
				continue;
			}
		}
		s = safe_slot(r, unm_slot_load(ts), mask);
		unm_slot_store(&r->peer_ring->slot[to_peer(r, i)], s);
		if (s.flags & NS_BUF_CHANGED)
			UNM_WRITE_ONCE(ts->flags, s.flags & (uint16_t)~NS_BUF_CHANGED);
		i = unm_pos_next(i, n);
		part += s.len;
		inside = (s.flags & NS_MOREFRAG) != 0;
		if (!inside) {
			end = i;
			pkts++;
			bytes += part;
			part = 0;
		}
	}
	unm_count(&r->kring->n_pkts, pkts);
	unm_count(&r->kring->n_bytes, bytes);
	unm_count(&r->peer_kring->rx_pkts, pkts);
	unm_count(&r->peer_kring->rx_bytes, bytes);
	return end;
}

/*
 * Take back @n slots from @from on, in a row in both rings, that hold a good index: four at a time.
 * Return: how many.
 */
static uint32_t
pull_plain(struct unm_bring *r, uint32_t from, uint32_t n)
{
	const struct netmap_slot *ps = &r->peer_ring->slot[to_peer(r, from)];
	struct netmap_slot *ts = &r->ring->slot[from];
	const uint32_t n_bufs = r->n_bufs;
	uint32_t i;

	for (i = 0; i + 4 <= n; i += 4) { /* at most the slots of the ring */
		const struct four_slots f = four_load(&ps[i]);

		if (!four_good_idx(&f, n_bufs))
			break;
		four_store(&ts[i], &f);
	}
	return i;
}

/*
 * Take back slots [from, to) that the receiver has released, with whatever buffers it left in them.
 */
static void
pull_slots(struct unm_bring *r, uint32_t from, uint32_t to)
{
	const uint32_t n = r->num_slots;
	const uint64_t mask = UNM_READ_ONCE(r->kring->offset_mask);
	uint32_t i = from;

	while (i != to) { /* both in [0, n): less than n turns */
		struct netmap_slot s;

		if (mask == 0) {
			const uint32_t done = pull_plain(r, i, row_len(r, i, to));

			if (done > 0) {
				i = unm_pos_add(i, done, n);
				continue;
			}
		}
		s = unm_slot_load(&r->peer_ring->slot[to_peer(r, i)]);
		if ((s.ptr & mask) > r->buf_size)
			s.ptr &= ~mask;
		if (unm_buf_idx_ok(s.buf_idx, r->n_bufs))
			unm_slot_store(&r->ring->slot[i], s);
		i = unm_pos_next(i, n);
	}
}

/* What the receiver has given back ends here. @fallback: if its word holds no position */
static inline uint32_t
released_by_peer(const struct unm_bring *r, uint32_t fallback)
{
	return from_peer(
		r, unm_kring_load_hwcur(r->peer_kring, r->num_slots, to_peer(r, fallback)));
}

int
unm_pipe_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const uint32_t n = r->num_slots;
	const uint32_t from = queue_end(r);
	const uint32_t old_tail = UNM_READ_ONCE(r->kring->pub_tail);
	/*
	 * The oldest slot that was not taken back. If somebody scribbled on our word, all that is
	 * released counts as taken back.
	 */
	const uint32_t oldest =
		old_tail < n ? unm_pos_next(old_tail, n) : released_by_peer(r, from);
	const uint32_t n_out = unm_pos_dist(oldest, head, n);
	uint32_t end = from, released;

	/*
	 * oldest <= from <= head, going round; a queue end beyond head is nonsense, and nothing is
	 * sent
	 */
	if (from != head && unm_pos_dist(oldest, from, n) < n_out)
		end = push_slots(r, from, head);
	if (end != from) {
		const bool is_watched = unm_is_watched(r->peer_kring);

		/* A NIC's rxsync shows what arrives, joined or not. */
		if (__builtin_expect(is_watched || r->peer_mons != NULL, 0) &&
			!r->ops->rx_arrives_here)
			unm_show_to_peer(r, from, end);
		unm_kring_publish_hwtail(r->peer_kring, to_peer(r, end));
		UNM_WRITE_ONCE(r->kring->hwcur, end); /* for display; queue_end() is the truth */
		unm_count(&r->kring->n_wakes,
			unm_wake_ring(r->bp->env, r->bp->seg, r->peer_kring,
				UNM_READ_ONCE(r->peer_kring->port), UNM_WANT_RX));
		if (__builtin_expect(is_watched, 0) && r->ops->rx_arrives_here)
			unm_wake_watchers(r);
	}
	released = released_by_peer(r, end);
	/*
	 * oldest <= released <= end <= head; else the peer's word is nonsense, and nothing is taken
	 * back
	 */
	if (unm_pos_dist(oldest, released, n) > unm_pos_dist(oldest, end, n) ||
		unm_pos_dist(oldest, released, n) > n_out)
		released = oldest;
	pull_slots(r, oldest, released);
	*tail = unm_pos_prev(released, n);
	return 0;
}

int
unm_pipe_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_kring *k = r->kring;
	const uint32_t released = unm_own_hwcur(r);

	*tail = unm_kring_load_hwtail(k, r->num_slots, head);
	if (released != head) {
		unm_count(&k->n_pkts, unm_pos_dist(released, head, r->num_slots));
		unm_kring_publish_hwcur(k, head);
		unm_count(&k->n_wakes, unm_wake_ring(r->bp->env, r->bp->seg, r->peer_kring,
					       UNM_READ_ONCE(r->peer_kring->port), UNM_WANT_TX));
	}
	return 0;
}

const struct unm_port_ops unm_port_pipe_ops = {
	.txsync = unm_pipe_txsync,
	.rxsync = unm_pipe_rxsync,
	.tx_done = unm_pipe_tx_done,
};
