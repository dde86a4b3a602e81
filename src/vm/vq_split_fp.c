/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueues (VIRTIO 1.2, 2.7): a table of descriptors, the driver's ring of heads (avail),
 * ours of completions (used).
 *
 *   driver                                    device
 *   desc[], avail->ring[i]
 *   avail->idx = i + 1      (release) ------> (acquire) avail_seen
 *                                             used->ring[j]
 *   (acquire) <------------------------------ used->idx = j + 1      (release)
 *
 * Event index, both directions alike: publish an index, full fence, read the other side's event.
 * The other side: write the event, full fence, look at the index. At least one sees the other.
 */
#include "vm/chain.h"
#include "vm/vq_inflight.h"

/* used_event lies behind the avail ring, avail_event behind the used ring. */
static inline const uint16_t *
used_event(const struct unm_vq *q)
{
	return &q->s.avail->ring[q->c.num];
}

static inline uint16_t *
avail_event(const struct unm_vq *q)
{
	return (uint16_t *)(void *)&q->s.used->ring[q->c.num];
}

static void
log_used(struct unm_vq *q, uint64_t ofs, uint64_t len)
{
	if (q->c.log_gpa != UINT64_MAX)
		unm_guest_dirty(q->mem, q->c.log_gpa + ofs, len);
}

int
unm_vq_split_map(struct unm_vq *q)
{
	const uint64_t n = q->c.num;
	struct split_state *s = &q->s;

	s->desc = unm_guest_from_user(q->mem, q->c.desc_uaddr, n * sizeof(struct desc_split));
	s->avail = unm_guest_from_user(
		q->mem, q->c.avail_uaddr, sizeof(struct avail_ring) + 2 * n + 2);
	s->used = unm_guest_from_user(q->mem, q->c.used_uaddr,
		sizeof(struct used_ring) + n * sizeof(struct used_elem) + 2);
	if (s->desc == NULL || s->avail == NULL || s->used == NULL)
		return -EFAULT;
	if ((uintptr_t)s->desc % 16 != 0 || (uintptr_t)s->avail % 2 != 0 ||
		(uintptr_t)s->used % 4 != 0)
		return -EINVAL;
	return 0;
}

int
unm_vq_split_start(struct unm_vq *q)
{
	struct split_state *s = &q->s;
	const uint16_t used_idx = guest_load16(&s->used->idx);
	int err;

	s->mask = (uint16_t)(q->c.num - 1);
	s->peek = s->done = s->done_flushed = (uint16_t)q->c.base;
	s->held = 0;
	if (q->c.inflight != NULL) {
		err = unm_inflight_start_split(q, used_idx);
		if (err != 0)
			return err;
		/*
		 * What was taken lies between the two indices, whatever the front end knows about
		 * it.
		 */
		s->peek = s->done = s->done_flushed = used_idx;
	}
	s->used_delta = (uint16_t)(used_idx - s->done);
	s->avail_seen = (uint16_t)(s->peek + q->inf.n_resume);
	return 0;
}

static const char *
walk_table(struct unm_vq *q, struct walk *w, const struct desc_split *d)
{
	const uint32_t n = d->len / sizeof(*d);
	struct desc_split bounce;
	uint16_t i = 0;

	if (!q->c.has_indirect)
		return "an indirect table, which was not negotiated";
	if (d->flags & DESC_F_NEXT)
		return "a descriptor is indirect and has a next one";
	if (n == 0 || d->len % sizeof(*d) != 0 || n > UNM_VQ_MAX_SIZE)
		return "an indirect table of a bad length";
	while (walk_step(w, 1)) {
		const struct desc_split *e =
			walk_fetch(w, d->addr + i * sizeof(*e), &bounce, sizeof(*e));
		const char *why;
		uint16_t flags;

		if (e == NULL)
			return "an indirect table outside of the guest's memory";
		flags = guest_load16(&e->flags);
		if (flags & DESC_F_INDIRECT)
			return "an indirect table within an indirect table";
		why = walk_add(w, le64toh(UNM_READ_ONCE(e->addr)), le32toh(UNM_READ_ONCE(e->len)),
			flags & DESC_F_WRITE);
		if (why != NULL || !(flags & DESC_F_NEXT))
			return why;
		i = guest_load16(&e->next);
		if (i >= n)
			return "a link leaves its indirect table";
	}
	return "an indirect table has a loop, or more descriptors than the ring";
}

static inline const char *
walk_chain(struct unm_vq *q, struct walk *w, uint16_t i)
{
	for (;;) { /* as many turns as steps */
		const struct desc_split *e = &q->s.desc[i];
		const struct desc_split d = {
			.addr = le64toh(UNM_READ_ONCE(e->addr)),
			.len = le32toh(UNM_READ_ONCE(e->len)),
			.flags = guest_load16(&e->flags),
			.next = guest_load16(&e->next),
		};
		const char *why;

		if (d.flags & DESC_F_INDIRECT)
			return walk_table(q, w, &d);
		if (!walk_step(w, 1))
			return "a chain has a loop, or is longer than the ring";
		why = walk_add(w, d.addr, d.len, d.flags & DESC_F_WRITE);
		if (why != NULL || !(d.flags & DESC_F_NEXT))
			return why;
		i = d.next;
		if (i >= q->c.num)
			return "a link leaves the descriptor table";
	}
}

/*
 * Is there a chain at peek? Reads the driver's index only when those seen are used up. Return: 1,
 * 0, -EPROTO.
 */
static inline int
look(struct unm_vq *q)
{
	struct split_state *s = &q->s;

	if (s->peek != s->avail_seen)
		return 1;
	s->avail_seen = guest_load16_acquire(&s->avail->idx);
	/* Backwards is a jump as well: what lies between done_flushed and peek was there before. */
	if ((uint16_t)(s->avail_seen - s->peek) >
		q->c.num - (uint16_t)(s->peek - s->done_flushed)) {
		s->avail_seen = s->peek;
		return unm_vq_break(q, "the index of the avail ring jumps");
	}
	return s->peek != s->avail_seen;
}

int
unm_vq_split_peek(
	struct unm_vq *q, struct unm_vq_chain *c, struct unm_vq_part *part, unsigned int max)
{
	struct split_state *s = &q->s;
	struct walk w = walk_begin(q, part, max);
	const char *why;
	uint16_t head;

	if (q->inf.part == NULL || !unm_inflight_resumed(q, &head)) {
		const int found = look(q);

		if (found <= 0)
			return found;
		head = guest_load16(&s->avail->ring[s->peek & s->mask]);
	}
	if (head >= q->c.num)
		return unm_vq_break(q, "the avail ring names a descriptor that is none");
	why = walk_chain(q, &w, head);
	if (why == NULL)
		why = walk_end(q, &w, c);
	if (__builtin_expect(why != NULL, 0)) {
		unm_vq_break(q, why);
		return w.too_long ? -EMSGSIZE : -EPROTO;
	}
	c->id = head;
	c->n_descs = 1;
	if (q->inf.part != NULL)
		unm_inflight_take_split(q, head);
	s->peek++;
	return 1;
}

/* Descriptors of so many chains ahead are on their way into the cache. */
#define DESCS_AHEAD 8u

unsigned int
unm_vq_split_peek_singles(
	struct unm_vq *q, struct unm_vq_chain *c, struct unm_vq_part *part, unsigned int max)
{
	struct split_state *s = &q->s;
	const struct desc_split *desc = s->desc;
	const uint16_t *heads = s->avail->ring;
	const uint16_t mask = s->mask;
	const struct unm_guest_region *r = &q->mem->region[q->mem->last_hit];
	const uint64_t gpa = r->d.gpa, size = q->mem->n_regions > 0 ? r->d.size : 0;
	uint8_t *host = r->host;
	unsigned int n, i;

	if ((uint16_t)(s->avail_seen - s->peek) < max && look(q) <= 0)
		return 0;
	n = (uint16_t)(s->avail_seen - s->peek);
	n = n < max ? n : max;
	for (i = 0; i < n; i++) {
		const uint16_t pos = (uint16_t)(s->peek + i);
		const uint16_t head = guest_load16(&heads[pos & mask]);
		/* A hint: where there is no such descriptor the prefetch does nothing. */
		const uint16_t hint = guest_load16(&heads[(pos + DESCS_AHEAD) & mask]);
		const struct desc_split *e = &desc[head];
		uint64_t ofs;
		uint32_t len;
		uint16_t flags;

		__builtin_prefetch(&desc[hint], 0, 3);
		if (head > mask)
			break;
		ofs = le64toh(UNM_READ_ONCE(e->addr)) - gpa;
		len = le32toh(UNM_READ_ONCE(e->len));
		flags = guest_load16(&e->flags);
		if ((flags & (DESC_F_NEXT | DESC_F_INDIRECT)) != 0 || len == 0 || ofs >= size ||
			len > size - ofs)
			break;
		part[i] = (struct unm_vq_part){host + ofs, len, gpa + ofs};
		c[i] = (struct unm_vq_chain){
			.part = &part[i],
			.n_read = !(flags & DESC_F_WRITE),
			.n_write = (flags & DESC_F_WRITE) != 0,
			.read_len = flags & DESC_F_WRITE ? 0 : len,
			.write_len = flags & DESC_F_WRITE ? len : 0,
			.id = head,
			.n_descs = 1,
		};
	}
	s->peek = (uint16_t)(s->peek + i);
	return i;
}

static inline void
put_used(struct unm_vq *q, uint16_t pos, uint16_t id, uint32_t len)
{
	struct split_state *s = &q->s;
	const uint32_t i = (uint16_t)(pos + s->used_delta) & s->mask;
	struct used_elem *e = &s->used->ring[i];

	UNM_WRITE_ONCE(e->id, htole32(id));
	UNM_WRITE_ONCE(e->len, htole32(len));
	if (__builtin_expect(q->mem->log != NULL, 0))
		log_used(q, sizeof(*s->used) + i * sizeof(*e), sizeof(*e));
}

/*
 * In order, one element may stand for several: written where the first would be, with the last
 * one's id.
 */
static inline void
put_held(struct unm_vq *q)
{
	struct split_state *s = &q->s;

	if (s->held == 0)
		return;
	put_used(q, (uint16_t)(s->done - s->held), s->held_id, 0);
	s->held = 0;
}

void
unm_vq_split_push(struct unm_vq *q, const struct unm_vq_chain *c, uint32_t written)
{
	struct split_state *s = &q->s;

	if (q->c.in_order && written == 0) {
		s->held++;
		s->held_id = c->id;
	} else {
		put_held(q);
		put_used(q, s->done, c->id, written);
	}
	if (q->inf.part != NULL)
		unm_inflight_done(q);
	s->done++;
}

void
unm_vq_split_push_burst(struct unm_vq *q, const struct unm_vq_done *d, unsigned int n)
{
	struct split_state *s = &q->s;
	struct used_elem *ring = s->used->ring;
	const uint16_t first = (uint16_t)(s->done + s->used_delta), mask = s->mask;
	unsigned int i;

	if (__builtin_expect(q->mem->log != NULL, 0)) {
		for (i = 0; i < n; i++)
			put_used(q, (uint16_t)(s->done + i), d[i].id, d[i].written);
	} else {
		for (i = 0; i < n; i++) {
			struct used_elem *e = &ring[(uint16_t)(first + i) & mask];

			UNM_WRITE_ONCE(e->id, htole32(d[i].id));
			UNM_WRITE_ONCE(e->len, htole32(d[i].written));
		}
	}
	s->done = (uint16_t)(s->done + n);
}

void
unm_vq_split_unpeek(struct unm_vq *q)
{
	q->s.peek--;
	if (q->inf.part != NULL)
		unm_inflight_untake(q);
}

void
unm_vq_split_rewind(struct unm_vq *q)
{
	/* avail_seen stays: what was seen there is still there. */
	q->s.peek = q->s.done;
	if (q->inf.part != NULL)
		unm_inflight_rewind(q);
}

/* Would the step from @old to @now pass @event? All three run freely. */
static inline bool
passes(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

bool
unm_vq_split_flush(struct unm_vq *q)
{
	struct split_state *s = &q->s;
	const uint16_t old = (uint16_t)(s->done_flushed + s->used_delta);
	const uint16_t now = (uint16_t)(s->done + s->used_delta);

	if (old == now)
		return false;
	put_held(q);
	if (q->inf.part != NULL)
		unm_inflight_prepare(q, now, false);
	guest_store16_release(&s->used->idx, now);
	if (__builtin_expect(q->mem->log != NULL, 0))
		log_used(q, 0, sizeof(*s->used));
	s->done_flushed = s->done;
	if (q->inf.part != NULL)
		unm_inflight_commit(q, now, false);
	/* Pairs with the driver's, between its used_event (or flags) and its look at used->idx. */
	unm_full_fence();
	if (q->c.has_event_idx)
		return passes(guest_load16(used_event(q)), now, old);
	return !(guest_load16(&s->avail->flags) & AVAIL_F_NO_INTERRUPT);
}

void
unm_vq_split_kicks_off(struct unm_vq *q)
{
	/* With an event index, one that the driver has passed keeps it quiet. */
	if (q->c.has_event_idx)
		return;
	guest_store16(&q->s.used->flags, USED_F_NO_NOTIFY);
	log_used(q, 0, sizeof(uint16_t));
}

bool
unm_vq_split_kicks_on(struct unm_vq *q)
{
	struct split_state *s = &q->s;

	if (q->c.has_event_idx) {
		guest_store16(avail_event(q), s->avail_seen);
		log_used(q, sizeof(*s->used) + q->c.num * sizeof(struct used_elem),
			sizeof(uint16_t));
	} else {
		guest_store16(&s->used->flags, 0);
		log_used(q, 0, sizeof(uint16_t));
	}
	/*
	 * Pairs with the driver's, between its avail->idx and its look at avail_event (or flags).
	 */
	unm_full_fence();
	return guest_load16(&s->avail->idx) != s->avail_seen;
}
