/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the port into a guest.
 *
 *   by the ring:  rxsync when it has been read to its end, find frames      sender in this thread:
 *                              |                                            unm_net_sink(), from
 *                              v                                            within its txsync
 *                 a packet: parts wherever they are <-----------------------------'
 *                              |
 *                 as many chains as it takes (one without MRG_RXBUF), header, one copy, push
 *                 (by the ring, usual frames take a loop of their own: give_plain())
 *                              |
 *                 flush, call; chains peeked and not needed are given back
 *
 * A frame for which the guest has no buffers now stays in the ring, and the queue is starved until
 * the guest kicks. One that can never fit is dropped.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "shm/atomic.h"
#include "vale/copy.h"
#include "vale/vnet.h"
#include "vm/net_hdr.h"
#include "vm/net_priv.h"

/* Slots between the prefetch of a frame and its copy, as in vale/deliver_fp.c */
#define PREFETCH_AHEAD 12u

/* Chains peeked and not used yet: n->chain[next ... n_peeked). */
struct ahead {
	unsigned int next, n_peeked;
	unsigned int n_parts;	   /* of the pool in use */
	const uint64_t *looked_at; /* of the queue */
	uint64_t start;		   /* that before this pass */
};

/* Nothing is peeked at the beginning of a pass. */
static inline struct ahead
begin_pass(const struct unm_vq *q)
{
	const uint64_t *looked_at = unm_vq_looked_at(q);

	return (struct ahead){.looked_at = looked_at, .start = *looked_at};
}

/* Has the driver made us look at enough for one pass? A frame that is begun may yet be finished. */
static inline bool
is_spent(const struct ahead *a)
{
	return *a->looked_at - a->start >= NET_LOOKS;
}

/* A place in a packet. */
struct source {
	const struct unetmap_part *part;
	uint32_t ofs;
};

/*
 * Copy the next @len bytes, which must be there. Each byte is read once: it may be a guest's.
 */
static inline void
copy_from(struct source *s, uint8_t *dst, uint32_t len)
{
	while (len > 0) { /* each turn passes a part, or ends */
		const uint32_t left = (uint32_t)s->part->len - s->ofs;
		const uint32_t n = left < len ? left : len;

		memcpy(dst, (const uint8_t *)s->part->data + s->ofs, n);
		dst += n;
		len -= n;
		s->ofs += n;
		if (n == left) {
			s->part++;
			s->ofs = 0;
		}
	}
}

/*
 * The frame at @at of the ring. Return: number of its slots; 0: it is not all there, or there is
 * none. A slot that can't be read spoils all of it, as does an empty one (a pipe makes such of what
 * it can't read), and one more than there are parts: what is left would pass for a frame. Its
 * length is 0 then, so it is dropped as too short.
 */
static inline uint32_t
find_frame(struct net_ring *r, uint32_t at, uint32_t tail, struct unetmap_part *part,
	struct unetmap_packet *p)
{
	struct netmap_ring *ring = r->rx;
	uint32_t n_slots = 0;
	bool is_whole = true;

	*p = (struct unetmap_packet){.parts = part};
	while (at != tail) { /* less than num_slots turns */
		const struct netmap_slot *slot = &ring->slot[at];
		const uint32_t idx = UNM_READ_ONCE(slot->buf_idx);
		const uint32_t len = UNM_READ_ONCE(slot->len);
		const uint16_t flags = UNM_READ_ONCE(slot->flags);

		n_slots++;
		if (len == 0 || len > ring->nr_buf_size || idx >= r->n_bufs ||
			p->n_parts == NET_RX_PARTS) {
			is_whole = false;
		} else {
			part[p->n_parts++] = (struct unetmap_part){NETMAP_BUF(ring, idx), len};
			p->len += len;
		}
		if (!(flags & NS_MOREFRAG)) {
			p->len = is_whole ? p->len : 0;
			return n_slots;
		}
		at = nm_ring_next(ring, at);
	}
	return 0;
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

/* As many chains as there may be frames. */
static void
peek_burst(struct unm_net *n, struct unm_vq *q, struct ahead *a, uint32_t frames)
{
	uint32_t i;

	frames = frames < NET_BURST ? frames : NET_BURST;
	a->next = 0;
	a->n_peeked = a->n_parts = unm_vq_peek_singles(q, n->chain, n->part, frames);
	for (i = 0; i < a->n_peeked; i++)
		__builtin_prefetch(n->part[i].data, 1, 3);
	while (a->n_peeked < frames && !is_spent(a) && peek_one(n, q, a) == PEEKED)
		; /* each turn peeks one more */
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

/* Write @len bytes of the packet to the chain, from byte @ofs of it on. There is room. */
static void
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
		copy_from(s, p->data + ofs, k);
		dirty(n, p, ofs, k);
		len -= k;
		ofs = 0;
	}
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
 * GIVE_DONE, GIVE_NO_BUFFER (not yet enough), GIVE_TOO_BIG (never will be; also where it takes more
 * than NET_LOOKS to find out).
 */
static enum give
reserve(struct unm_net *n, struct unm_vq *q, struct ahead *a, uint32_t need, unsigned int *num)
{
	const unsigned int max = n->features & UNM_F_MRG_RXBUF ? NET_CHAINS : 1;
	const uint64_t start = *a->looked_at;
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < max;) { /* each turn adds a chain, or starts anew, which happens once */
		if (a->next + i == a->n_peeked) {
			enum peeked p;

			if (*a->looked_at - start >= NET_LOOKS)
				break;
			p = peek_one(n, q, a);
			if (p == PEEKED_NONE)
				return i < unm_vq_size(q) ? GIVE_NO_BUFFER : GIVE_TOO_BIG;
			if (p == PEEKED_NO_ROOM && a->next == 0)
				break;
			if (p == PEEKED_NO_ROOM) {
				give_back(n, q, a);
				a->next = a->n_peeked = a->n_parts = 0;
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

/*
 * The port's header becomes the guest's; @len bytes of frame follow it. Return: false if this guest
 * can't be shown it.
 */
static inline bool
make_header(const struct unm_net *n, struct source *s, uint32_t len, uint8_t *hdr, unsigned int num)
{
	uint8_t eth[NET_ETH_LEN + 8] = {0};
	struct unm_vnet_hdr h;
	struct source frame;

	memset(hdr, 0, NET_HDR_LEN);
	copy_from(s, hdr, n->port.hdr_len);
	hdr[UNM_VNET_HDR_BASE] = (uint8_t)num; /* num_buffers, little-endian */
	hdr[UNM_VNET_HDR_BASE + 1] = (uint8_t)(num >> 8);
	if (__builtin_expect((hdr[0] | hdr[1]) == 0, 1))
		return true;
	memcpy(&h, hdr, sizeof(h));
	frame = *s;
	copy_from(&frame, eth, len < sizeof(eth) ? len : sizeof(eth));
	/* The switch gives no more than it was told (port_hdr.pad1), which may be yet to come. */
	if ((net_needs(&h, net_ethertype(eth, sizeof(eth))) & n->lacks) != 0)
		return false;
	h.hdr_len = htole16(h.hdr_len);
	h.gso_size = htole16(h.gso_size);
	h.csum_start = htole16(h.csum_start);
	h.csum_offset = htole16(h.csum_offset);
	memcpy(hdr, &h, sizeof(h));
	return true;
}

/* The general case: several parts or chains. @len bytes follow the header. */
static void
fill_chains(struct unm_net *n, struct unm_vq *q, struct ahead *a, const uint8_t *hdr,
	struct source *s, uint32_t len, unsigned int num)
{
	uint32_t ofs = n->hdr_len;
	unsigned int i;

	put_header(n, &n->chain[a->next], hdr, n->hdr_len);
	for (i = 0; i < num; i++, ofs = 0) {
		const struct unm_vq_chain *c = &n->chain[a->next + i];
		const uint32_t k = c->write_len - ofs < len ? c->write_len - ofs : len;

		fill_chain(n, c, ofs, s, k);
		len -= k;
		unm_vq_push(q, c, ofs + k);
	}
}

/* Give packet @p to the guest. */
static inline enum give
give_packet(struct unm_net *n, struct unm_vq *q, struct ahead *a, const struct unetmap_packet *p)
{
	struct source s = {.part = p->parts};
	const struct unm_vq_part *to;
	uint8_t hdr[NET_HDR_LEN];
	unsigned int num;
	enum give give;
	uint32_t len;

	if (p->len < n->port.hdr_len + NET_ETH_LEN)
		return GIVE_BAD;
	len = p->len - n->port.hdr_len;
	if (len > NET_MAX_FRAME)
		return GIVE_BAD;
	give = reserve(n, q, a, n->hdr_len + len, &num);
	if (give != GIVE_DONE)
		return give;
	if (!make_header(n, &s, len, hdr, num))
		return GIVE_BAD;
	to = &n->chain[a->next].part[n->chain[a->next].n_read];
	if (__builtin_expect(num > 1 || n->chain[a->next].n_write > 1, 0)) {
		fill_chains(n, q, a, hdr, &s, len, num);
	} else {
		memcpy(to->data, hdr, n->hdr_len);
		copy_from(&s, to->data + n->hdr_len, len);
		dirty(n, to, 0, n->hdr_len + len);
		unm_vq_push(q, &n->chain[a->next], n->hdr_len + len);
	}
	a->next += num;
	return GIVE_DONE;
}

/* The same, counted. */
static inline enum give
give_counted(struct unm_net *n, struct unm_vq *q, struct ahead *a, const struct unetmap_packet *p)
{
	const enum give give = give_packet(n, q, a, p);

	if (give == GIVE_DONE) {
		n->stats.rx_frames++;
		n->stats.rx_bytes += p->len - n->port.hdr_len;
	} else if (give == GIVE_TOO_BIG) {
		n->stats.rx_no_buffer++;
	} else if (give == GIVE_BAD) {
		n->stats.rx_bad_header++;
	}
	return give;
}

/*
 * Its frame's data has been written by another core: have it on its way. With a header, a short
 * frame takes two lines.
 */
static inline void
prefetch_slot(const struct net_ring *r, uint32_t at)
{
	const uint32_t idx = UNM_READ_ONCE(r->rx->slot[at].buf_idx);

	if (idx < r->n_bufs) {
		__builtin_prefetch(NETMAP_BUF(r->rx, idx), 0, 3);
		__builtin_prefetch(NETMAP_BUF(r->rx, idx) + 64, 0, 3);
	}
}

static uint32_t
add_pos(const struct netmap_ring *ring, uint32_t at, uint32_t k)
{
	at += k;
	return at >= ring->num_slots ? at - ring->num_slots : at;
}

/*
 * The usual frames from *at on: in one slot, with a header that asks for nothing and has the length
 * of the guest's, for a chain of one part. Take them up to the first other one, at most @max.
 * Return: how many.
 */
static unsigned int
give_plain(struct unm_net *n, struct net_ring *r, struct unm_vq *q, struct ahead *a, uint32_t *at,
	uint32_t tail, unsigned int max)
{
	const uint32_t num = r->rx->num_slots, hdr_len = n->hdr_len;
	const uint32_t there = tail >= *at ? tail - *at : tail + num - *at;
	struct unm_vq_done done[NET_BURST];
	unsigned int total, k = 0;
	uint64_t bytes = 0;

	if (hdr_len != n->port.hdr_len)
		return 0;
	max = max < there ? max : there;
	for (total = 0; total < max; total++) { /* at most a ring */
		const struct netmap_slot *slot = &r->rx->slot[*at];
		const uint32_t idx = UNM_READ_ONCE(slot->buf_idx);
		const uint32_t len = UNM_READ_ONCE(slot->len);
		const uint16_t flags = UNM_READ_ONCE(slot->flags);
		const struct unm_vq_chain *c;
		const uint8_t *src;
		uint8_t *dst;
		uint16_t asked;

		if (k == NET_BURST || a->next == a->n_peeked) {
			unm_vq_push_burst(q, done, k);
			k = 0;
			if (a->next == a->n_peeked)
				peek_burst(n, q, a, max - total);
			if (a->next == a->n_peeked)
				break;
		}
		prefetch_slot(r, add_pos(r->rx, *at, PREFETCH_AHEAD % num));
		c = &n->chain[a->next];
		if (flags & NS_MOREFRAG || idx >= r->n_bufs || len > r->rx->nr_buf_size ||
			len < hdr_len + NET_ETH_LEN || c->n_read != 0 || c->n_write != 1 ||
			c->write_len < len)
			break;
		src = (const uint8_t *)NETMAP_BUF(r->rx, idx);
		memcpy(&asked, src, sizeof(asked));
		if (asked != 0)
			break;
		dst = c->part[0].data;
		unm_copy_frame(dst, src, len);
		memset(dst, 0, UNM_VNET_HDR_BASE);
		if (hdr_len == UNM_VNET_HDR_MAX)
			memcpy(dst + UNM_VNET_HDR_BASE, "\1", 2); /* num_buffers, little-endian */
		dirty(n, &c->part[0], 0, len);
		done[k++] = (struct unm_vq_done){len, c->id, c->n_descs};
		bytes += len - hdr_len;
		a->next++;
		*at = nm_ring_next(r->rx, *at);
	}
	unm_vq_push_burst(q, done, k);
	n->stats.rx_frames += total;
	n->stats.rx_bytes += bytes;
	return total;
}

/* All frames up to the budget. Return: how many are done with; *at is where the rest begins. */
static unsigned int
give_frames(
	struct unm_net *n, struct net_ring *r, struct net_queue *nq, uint32_t *at, uint32_t *given)
{
	const uint32_t num = r->rx->num_slots, tail = UNM_READ_ONCE(r->rx->tail);
	struct unetmap_part part[NET_RX_PARTS];
	struct unetmap_packet p;
	struct ahead a = begin_pass(nq->q);
	unsigned int done;

	for (done = 0; done < NET_BUDGET && *at != tail; done++) {
		uint32_t slots, n_slots;
		enum give give;

		n_slots = give_plain(n, r, nq->q, &a, at, tail, NET_BUDGET - done);
		done += n_slots;
		*given += n_slots;
		if (done == NET_BUDGET || *at == tail || (done > 0 && is_spent(&a)))
			break;
		slots = tail > *at ? tail - *at : tail + num - *at;
		prefetch_slot(r, add_pos(r->rx, *at, PREFETCH_AHEAD % num));
		n_slots = find_frame(r, *at, tail, part, &p);
		/*
		 * Ports show whole frames. But the broker of an isolated client copies so many
		 * slots in a turn, and the rest of a frame in the next one.
		 */
		if (n_slots == 0 && slots < num - 1)
			break;
		if (n_slots == 0) { /* a peer has overwritten the end of what it sent */
			n->stats.rx_bad_header++;
			*at = tail;
			break;
		}
		if (a.next == a.n_peeked)
			peek_burst(n, nq->q, &a, slots);
		give = give_counted(n, nq->q, &a, &p);
		if (give == GIVE_NO_BUFFER) {
			nq->starved = true;
			break;
		}
		*given += give == GIVE_DONE;
		*at = add_pos(r->rx, *at, n_slots);
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
	if (ring->cur == UNM_READ_ONCE(ring->tail)) {
		unm_net_port_sync(n, r, NIOCRXSYNC);
		if (ring->cur == UNM_READ_ONCE(ring->tail))
			return 0;
	}
	nq->starved = false;
	at = ring->head;
	done = give_frames(n, r, nq, &at, &given);
	ring->head = ring->cur = at;
	if (done > 0 && nq->starved)
		unm_net_port_sync(n, r, NIOCRXSYNC); /* what is free now is the senders' */
	else if (done == 0 && !nq->starved)
		ring->cur = UNM_READ_ONCE(ring->tail); /* wake us for more than there is */
	if (given > 0)
		unm_net_call(nq, unm_vq_flush(nq->q), given);
	return done;
}

uint32_t
unm_net_sink(void *arg, const struct unetmap_packet *packets, uint32_t n_packets)
{
	struct net_ring *r = arg;
	struct net_queue *nq = r->target;
	unsigned int given = 0;
	struct ahead a;
	struct unm_net *n;
	uint32_t i;

	if (nq == NULL)
		return 0;
	n = nq->net;
	a = begin_pass(nq->q);
	for (i = 0; i < n_packets && (i == 0 || !is_spent(&a)); i++) {
		enum give give;

		if (a.next == a.n_peeked)
			peek_burst(n, nq->q, &a, n_packets - i);
		give = give_counted(n, nq->q, &a, &packets[i]);
		if (give == GIVE_NO_BUFFER)
			break;
		given += give == GIVE_DONE;
	}
	give_back(n, nq->q, &a);
	n->stats.rx_direct += given;
	if (given > 0)
		unm_net_call(nq, unm_vq_flush(nq->q), given);
	return i; /* the rest goes into the ring, and waits there */
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
	for (k = 0; k < n->n_pairs; k++)
		n->rx[k].starved = false;
}
