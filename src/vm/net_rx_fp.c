/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the port into a guest.
 *
 *   rxsync when the ring has been read to its end
 *   peek chains ahead, as many as there may be frames: their first lines are on the way
 *   for each frame: as many chains as it takes (one without MRG_RXBUF), header, one copy, push
 *   flush, call; chains peeked and not needed are given back
 *
 * A frame for which the guest has no buffers now stays in the ring, and the queue is starved until
 * the guest kicks. One that can never fit is dropped.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "shm/atomic.h"
#include "vm/net_hdr.h"
#include "vm/net_priv.h"

/* Slots between the prefetch of a frame and its copy, as in vale/deliver_fp.c */
#define PREFETCH_AHEAD 6u

/* Chains peeked and not used yet: n->chain[next ... n_peeked). */
struct ahead {
	unsigned int next, n_peeked;
	unsigned int n_parts; /* of the pool in use */
};

/* A frame in the ring: slots first ... first + n_slots - 1. */
struct frame {
	uint32_t first, n_slots;
	uint32_t total; /* bytes, the port's header included */
};

/* A place in the slots of a frame. */
struct source {
	struct netmap_ring *ring;
	uint32_t n_bufs;
	uint32_t at, ofs;
	const uint8_t *data; /* of slot @at; NULL: not looked up yet */
	uint32_t len;
};

static const uint8_t *
slot_data(const struct netmap_ring *ring, uint32_t at, uint32_t n_bufs, uint32_t *len)
{
	const struct netmap_slot *slot = &ring->slot[at];
	const uint32_t idx = UNM_READ_ONCE(slot->buf_idx);

	*len = UNM_READ_ONCE(slot->len);
	if (idx >= n_bufs || *len > ring->nr_buf_size)
		return NULL;
	return (const uint8_t *)NETMAP_BUF(ring, idx);
}

/* Find the frame at @at. Return: false if it is not all there, or there is none. */
static inline bool
find_frame(struct netmap_ring *ring, uint32_t at, uint32_t tail, struct frame *f)
{
	*f = (struct frame){.first = at};
	while (at != tail) { /* less than num_slots turns */
		const struct netmap_slot *slot = &ring->slot[at];
		const uint16_t flags = UNM_READ_ONCE(slot->flags);

		f->total += UNM_READ_ONCE(slot->len);
		f->n_slots++;
		if (!(flags & NS_MOREFRAG))
			return true;
		at = nm_ring_next(ring, at);
	}
	return false;
}

/*
 * Copy the next @len bytes of the frame. Return: false if the ring has changed, and they are not
 * there any more.
 */
static bool
copy_from(struct source *s, uint8_t *dst, uint32_t len)
{
	while (len > 0) { /* bounded by the caller's count of bytes: a slot without any ends it */
		uint32_t n;

		if (s->data == NULL) {
			s->data = slot_data(s->ring, s->at, s->n_bufs, &s->len);
			if (s->data == NULL || s->len == 0)
				return false;
			s->ofs = 0;
		}
		n = s->len - s->ofs < len ? s->len - s->ofs : len;
		memcpy(dst, s->data + s->ofs, n);
		dst += n;
		len -= n;
		s->ofs += n;
		if (s->ofs == s->len) {
			s->data = NULL;
			s->at = nm_ring_next(s->ring, s->at);
		}
	}
	return true;
}

enum peeked { PEEKED, PEEKED_NONE, PEEKED_NO_ROOM };

/* Peek one chain more. */
static inline enum peeked
peek_one(struct unm_net *n, struct unm_vq *q, struct ahead *a)
{
	struct unm_vq_chain *c = &n->chain[a->n_peeked];

	if (a->n_peeked == NET_CHAINS || NET_POOL_PARTS - a->n_parts < UNM_VQ_MAX_PARTS)
		return PEEKED_NO_ROOM;
	if (unm_vq_peek(q, c, &n->part[a->n_parts], UNM_VQ_MAX_PARTS) <= 0)
		return PEEKED_NONE;
	if (c->n_write > 0)
		__builtin_prefetch(c->part[c->n_read].data, 1, 3);
	a->n_parts += c->n_read + c->n_write;
	a->n_peeked++;
	return PEEKED;
}

/* As many chains as there may be frames, one for each slot. */
static void
peek_burst(struct unm_net *n, struct unm_vq *q, struct ahead *a, uint32_t at, uint32_t tail,
	uint32_t num_slots)
{
	const uint32_t frames = tail >= at ? tail - at : tail + num_slots - at;
	uint32_t i;

	*a = (struct ahead){0};
	for (i = 0; i < frames && i < NET_BURST && peek_one(n, q, a) == PEEKED;)
		i++;
}

static void
give_back(struct unm_net *n, struct unm_vq *q, struct ahead *a)
{
	while (a->n_peeked > a->next)
		unm_vq_unpeek(q, &n->chain[--a->n_peeked]);
}

/* Bytes of guest memory that were written are noted for the migration. */
static inline void
dirty(struct unm_net *n, const struct unm_vq_part *p, uint32_t ofs, uint32_t len)
{
	unm_guest_dirty(n->mem, p->gpa + ofs, len);
}

/* Write @len bytes of the frame to the chain, from byte @ofs of it on. There is room. */
static bool
fill_chain(struct unm_net *n, const struct unm_vq_chain *c, uint32_t ofs, struct source *s,
	uint32_t len)
{
	const struct unm_vq_part *p = &c->part[c->n_read];

	for (; len > 0; p++) { /* at most n_write turns: there is room */
		uint32_t k;

		if (ofs >= p->len) {
			ofs -= p->len;
			continue;
		}
		k = p->len - ofs < len ? p->len - ofs : len;
		if (!copy_from(s, p->data + ofs, k))
			return false;
		dirty(n, p, ofs, k);
		len -= k;
		ofs = 0;
	}
	return true;
}

/* Write @len bytes of @hdr to the beginning of the chain. There is room. */
static void
put_header(struct unm_net *n, const struct unm_vq_chain *c, const uint8_t *hdr, uint32_t len)
{
	const struct unm_vq_part *p = &c->part[c->n_read];

	for (; len > 0; p++) { /* at most n_write turns */
		const uint32_t k = p->len < len ? p->len : len;

		memcpy(p->data, hdr, k);
		dirty(n, p, 0, k);
		hdr += k;
		len -= k;
	}
}

enum give { GIVE_DONE, GIVE_NO_BUFFER, GIVE_TOO_BIG, GIVE_BAD };

/*
 * Have chains from a->next on that take @need bytes together. *num is set to their number. Return:
 * GIVE_DONE, GIVE_NO_BUFFER (not yet enough), GIVE_TOO_BIG (never will be).
 */
static enum give
reserve(struct unm_net *n, struct unm_vq *q, struct ahead *a, uint32_t need, unsigned int *num)
{
	const unsigned int max = n->features & F_MRG_RXBUF ? NET_CHAINS : 1;
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < max;) { /* each turn adds a chain, or starts anew, which happens once */
		if (a->next + i == a->n_peeked) {
			const enum peeked p = peek_one(n, q, a);

			if (p == PEEKED_NONE)
				return i < unm_vq_size(q) ? GIVE_NO_BUFFER : GIVE_TOO_BIG;
			if (p == PEEKED_NO_ROOM && a->next == 0)
				break;
			if (p == PEEKED_NO_ROOM) {
				give_back(n, q, a);
				*a = (struct ahead){0};
				sum = i = 0;
				continue;
			}
		}
		sum += n->chain[a->next + i].write_len;
		*num = ++i;
		if (sum >= need)
			return n->chain[a->next].write_len >= n->hdr_len ? GIVE_DONE : GIVE_TOO_BIG;
	}
	return GIVE_TOO_BIG;
}

/* The port's header becomes the guest's. Return: false if this guest can't be shown it. */
static inline bool
make_header(const struct unm_net *n, struct source *s, uint8_t *hdr, unsigned int num)
{
	memset(hdr, 0, NET_HDR_LEN);
	if (n->port.hdr_len > 0 && !copy_from(s, hdr, n->port.hdr_len))
		return false;
	hdr[UNM_VNET_HDR_BASE] = (uint8_t)num; /* num_buffers, little-endian */
	hdr[UNM_VNET_HDR_BASE + 1] = (uint8_t)(num >> 8);
	if (__builtin_expect((hdr[0] | hdr[1]) != 0, 0)) {
		struct unm_vnet_hdr h;

		/* The switch gives no more than was asked for (port_hdr.pad1); other ports may. */
		if ((hdr[0] & UNM_VNET_F_NEEDS_CSUM || hdr[1] != 0) &&
			!(n->features & F_GUEST_CSUM))
			return false;
		memcpy(&h, hdr, sizeof(h));
		h.hdr_len = htole16(h.hdr_len);
		h.gso_size = htole16(h.gso_size);
		h.csum_start = htole16(h.csum_start);
		h.csum_offset = htole16(h.csum_offset);
		memcpy(hdr, &h, sizeof(h));
	}
	return true;
}

/* The general case: several slots, parts or chains. */
static enum give
give_general(struct unm_net *n, struct unm_vq *q, struct ahead *a, struct source *s, uint32_t len,
	unsigned int num)
{
	uint8_t hdr[NET_HDR_LEN];
	uint32_t ofs = n->hdr_len;
	unsigned int i;

	if (!make_header(n, s, hdr, num))
		return GIVE_BAD;
	put_header(n, &n->chain[a->next], hdr, n->hdr_len);
	for (i = 0; i < num; i++, ofs = 0) {
		const struct unm_vq_chain *c = &n->chain[a->next + i];
		const uint32_t k = c->write_len - ofs < len ? c->write_len - ofs : len;

		if (!fill_chain(n, c, ofs, s, k))
			return GIVE_BAD;
		len -= k;
		unm_vq_push(q, c, ofs + k);
	}
	a->next += num;
	return GIVE_DONE;
}

/* Give frame @f to the guest. */
static inline enum give
give_frame(struct unm_net *n, struct net_ring *r, struct unm_vq *q, struct ahead *a,
	const struct frame *f)
{
	struct source s = {.ring = r->rx, .n_bufs = r->n_bufs, .at = f->first};
	const uint32_t hdr_len = n->port.hdr_len;
	const struct unm_vq_chain *c;
	unsigned int num;
	enum give give;
	uint8_t *dst;

	if (f->total < hdr_len + NET_ETH_LEN)
		return GIVE_BAD;
	give = reserve(n, q, a, n->hdr_len + f->total - hdr_len, &num);
	if (give != GIVE_DONE)
		return give;
	c = &n->chain[a->next];
	if (f->n_slots > 1 || num > 1 || c->n_write > 1)
		return give_general(n, q, a, &s, f->total - hdr_len, num);
	dst = c->part[c->n_read].data;
	if (!make_header(n, &s, dst, 1) || !copy_from(&s, dst + n->hdr_len, f->total - hdr_len))
		return GIVE_BAD;
	dirty(n, &c->part[c->n_read], 0, n->hdr_len + f->total - hdr_len);
	unm_vq_push(q, c, n->hdr_len + f->total - hdr_len);
	a->next++;
	return GIVE_DONE;
}

/* Its frame's data has been written by another core: have it on its way. */
static inline void
prefetch_slot(const struct net_ring *r, uint32_t at)
{
	const uint32_t idx = UNM_READ_ONCE(r->rx->slot[at].buf_idx);

	if (idx < r->n_bufs)
		__builtin_prefetch(NETMAP_BUF(r->rx, idx), 0, 3);
}

static uint32_t
add_pos(const struct netmap_ring *ring, uint32_t at, uint32_t k)
{
	at += k;
	return at >= ring->num_slots ? at - ring->num_slots : at;
}

/* All frames up to the budget. Return: how many are done with; *at is where the rest begins. */
static unsigned int
give_frames(
	struct unm_net *n, struct net_ring *r, struct net_queue *nq, uint32_t *at, uint32_t *given)
{
	const uint32_t tail = UNM_READ_ONCE(r->rx->tail);
	struct ahead a = {0};
	unsigned int done;
	struct frame f;

	for (done = 0; done < NET_BUDGET && find_frame(r->rx, *at, tail, &f); done++) {
		enum give give;

		prefetch_slot(r, add_pos(r->rx, *at, PREFETCH_AHEAD % r->rx->num_slots));
		if (a.next == a.n_peeked)
			peek_burst(n, nq->q, &a, *at, tail, r->rx->num_slots);
		give = give_frame(n, r, nq->q, &a, &f);
		if (give == GIVE_NO_BUFFER) {
			nq->starved = true;
			break;
		}
		if (give == GIVE_DONE) {
			n->stats.rx_frames++;
			n->stats.rx_bytes += f.total - n->port.hdr_len;
			(*given)++;
		} else if (give == GIVE_TOO_BIG) {
			n->stats.rx_no_buffer++;
		} else {
			n->stats.rx_bad_header++;
		}
		*at = add_pos(r->rx, *at, f.n_slots);
	}
	/* A frame without an end that fills the ring would stop it for ever. */
	if (done < NET_BUDGET && !nq->starved && f.n_slots >= r->rx->num_slots - 1) {
		n->stats.rx_bad_header++;
		*at = tail;
	}
	give_back(n, nq->q, &a);
	return done;
}

unsigned int
unm_net_rx(struct unm_net *n, unsigned int k)
{
	struct net_ring *r = &n->port.ring[k];
	struct net_queue *nq = r->target;
	struct netmap_ring *ring = r->rx;
	uint32_t at, given = 0;
	unsigned int done;

	if (nq == NULL || n->port.lost)
		return 0;
	if (ring->head == UNM_READ_ONCE(ring->tail)) {
		unm_net_port_sync(n, r, NIOCRXSYNC);
		if (ring->head == UNM_READ_ONCE(ring->tail))
			return 0;
	}
	nq->starved = false;
	at = ring->head;
	done = give_frames(n, r, nq, &at, &given);
	ring->head = ring->cur = at;
	if (given > 0)
		unm_net_call(nq, unm_vq_flush(nq->q), given);
	return done;
}

void
unm_net_rx_discard(struct unm_net *n)
{
	unsigned int k;

	for (k = 0; k < n->port.n_rings && !n->port.lost; k++) {
		struct net_ring *r = &n->port.ring[k];
		struct netmap_ring *ring = r->rx;

		unm_net_port_sync(n, r, NIOCRXSYNC);
		n->stats.rx_discarded += nm_ring_space(ring);
		ring->head = ring->cur = UNM_READ_ONCE(ring->tail);
	}
}
