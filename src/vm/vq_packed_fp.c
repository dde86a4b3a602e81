/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packed virtqueues (VIRTIO 1.2, 2.8): one ring of descriptors, that the driver makes available and
 * the device overwrites with completions.
 *
 * The flags of a slot say whose it is, against a wrap bit that each side turns over at the end of
 * the ring: AVAIL == wrap and USED != wrap: the driver's offer; AVAIL == USED == wrap: used. A
 * chain lies in consecutive slots; its completion takes the first of them, and both sides skip the
 * rest. The id is the driver's name for the chain; it stands in the last slot.
 *
 * What the server before us has left tells the in-flight region (vq_inflight.h) or, without one,
 * our own record (vq_record.h).
 *
 * A batch becomes visible at once: the flags of its first completion are stored last (release), and
 * the driver goes through completions in order.
 */
#include "vm/chain.h"
#include "vm/vq_inflight.h"
#include "vm/vq_record.h"

int
unm_vq_packed_map(struct unm_vq *q)
{
	const uint64_t size = q->c.num * sizeof(struct desc_packed);
	struct packed_state *p = &q->p;

	p->desc = unm_guest_from_user(q->mem, q->c.desc_uaddr, size);
	p->driver_event = unm_guest_from_user(q->mem, q->c.avail_uaddr, sizeof(uint32_t));
	p->device_event = unm_guest_from_user(q->mem, q->c.used_uaddr, sizeof(uint32_t));
	if (p->desc == NULL || p->driver_event == NULL || p->device_event == NULL)
		return -EFAULT;
	if ((uintptr_t)p->desc % 16 != 0 || (uintptr_t)p->driver_event % 4 != 0 ||
		(uintptr_t)p->device_event % 4 != 0)
		return -EINVAL;
	/* What the front end says about logging names one address; we write in two places. */
	p->desc_gpa = p->event_gpa = UINT64_MAX;
	if (q->c.log_gpa != UINT64_MAX) {
		p->desc_gpa = unm_guest_user_to_gpa(q->mem, q->c.desc_uaddr, size);
		p->event_gpa = unm_guest_user_to_gpa(q->mem, q->c.used_uaddr, sizeof(uint32_t));
	}
	return 0;
}

int
unm_vq_packed_start(struct unm_vq *q)
{
	struct packed_state *p = &q->p;
	/*
	 * What a server like us had taken and not completed lies untouched behind the used index,
	 * as it completes in order; so that is where to begin, and the avail index says nothing.
	 */
	struct packed_pos used = {q->c.base >> 16 & 0x7fff, q->c.base >> 31};
	const char *lost = NULL;
	int err;

	if (used.idx >= q->c.num)
		return -EINVAL;
	p->n_done = p->n_peeked = p->n_seen = 0;
	p->held_slots = 0;
	p->has_first = false;
	if (q->c.inflight != NULL) {
		err = unm_inflight_start_packed(q, &used);
		if (err != 0)
			return err;
	}
	if (q->c.record != NULL && q->c.inflight == NULL) {
		lost = unm_record_start(q, &used);
	} else {
		q->rec = (struct record_state){0};
		if (q->c.record != NULL)
			unm_record_forget(q->c.record);
	}
	p->peek = p->seen = used;
	p->done = p->done_flushed = used;
	if (lost != NULL)
		unm_vq_break(q, lost);
	else
		(void)unm_record_pass_by(q); /* the driver is called in any case */
	return 0;
}

/* Everything that is peeked has been pushed when a queue stops: both indices are the same. */
uint32_t
unm_vq_packed_base(const struct unm_vq *q)
{
	const uint32_t at = q->p.done.idx | (uint32_t)q->p.done.wrap << 15;

	return at | at << 16;
}

static inline bool
is_avail(uint16_t flags, bool wrap)
{
	return !!(flags & DESC_F_AVAIL) == wrap && !!(flags & DESC_F_USED) != wrap;
}

/*
 * The driver's flags of a slot. What it stored before them is seen after this: pairs with its
 * release of the same word.
 */
static inline bool
slot_is_avail(const struct unm_vq *q, struct packed_pos at)
{
	return is_avail(guest_load16_acquire(&q->p.desc[at.idx].flags), at.wrap);
}

static inline struct desc_packed
load_desc(const struct desc_packed *d)
{
	return (struct desc_packed){
		.addr = le64toh(UNM_READ_ONCE(d->addr)),
		.len = le32toh(UNM_READ_ONCE(d->len)),
		.id = guest_load16(&d->id),
		.flags = guest_load16(&d->flags),
	};
}

/* Is there a chain to peek in the ring? */
static inline bool
has_avail(const struct unm_vq *q)
{
	return q->p.n_done + q->p.n_peeked < q->c.num && slot_is_avail(q, q->p.peek);
}

static const char *
walk_table(struct unm_vq *q, struct walk *w, const struct desc_packed *d)
{
	const uint32_t n = d->len / sizeof(*d);
	struct desc_packed bounce;
	uint32_t i;

	if (!q->c.has_indirect)
		return "an indirect table, which was not negotiated";
	if (d->flags & DESC_F_NEXT)
		return "a descriptor is indirect and has a next one";
	if (n == 0 || d->len % sizeof(*d) != 0)
		return "an indirect table of a bad length";
	if (!walk_step(w, n))
		return "an indirect table has more descriptors than the ring";
	for (i = 0; i < n; i++) { /* all entries count: of their flags only WRITE means something */
		const struct desc_packed *e =
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
		if (why != NULL)
			return why;
	}
	return NULL;
}

static inline const char *
walk_one(struct unm_vq *q, struct walk *w, const struct desc_packed *d)
{
	if (d->flags & DESC_F_INDIRECT)
		return walk_table(q, w, d);
	if (!walk_step(w, 1))
		return "a chain is longer than the ring";
	return walk_add(w, d->addr, d->len, d->flags & DESC_F_WRITE);
}

/* Walk the chain at peek. *n is set to its slots, *id to its name. */
static inline const char *
walk_chain(struct unm_vq *q, struct walk *w, uint32_t *n, uint16_t *id)
{
	const uint32_t room = q->c.num - q->p.n_done - q->p.n_peeked;
	struct packed_pos at = q->p.peek;

	for (*n = 1; *n <= room; (*n)++) {
		const struct desc_packed d = load_desc(&q->p.desc[at.idx]);
		const char *why = walk_one(q, w, &d);

		if (why != NULL)
			return why;
		if (q->inf.part != NULL)
			unm_inflight_note_packed(q, &d);
		if (!(d.flags & DESC_F_NEXT) || d.flags & DESC_F_INDIRECT) {
			*id = d.id;
			return NULL;
		}
		packed_advance(&at, 1, q->c.num);
	}
	return "a chain is longer than the ring";
}

static const char *
walk_resumed(struct unm_vq *q, struct walk *w, uint16_t entry, uint32_t *n, uint16_t *id)
{
	const uint32_t len = unm_inflight_resumed_len(q, entry);

	for (*n = 0; *n < len; (*n)++) { /* at most num */
		struct desc_packed d;
		const char *why;

		entry = unm_inflight_resumed_desc(q, entry, &d);
		why = walk_one(q, w, &d);
		if (why != NULL)
			return why;
		*id = d.id;
	}
	return NULL;
}

int
unm_vq_packed_peek(
	struct unm_vq *q, struct unm_vq_chain *c, struct unm_vq_part *part, unsigned int max)
{
	struct packed_state *p = &q->p;
	struct walk w = walk_begin(q, part, max);
	const bool resumed = q->inf.part != NULL && unm_inflight_resumed(q, &c->id);
	const uint16_t entry = resumed ? c->id : 0;
	const char *why;
	uint32_t n;

	if (resumed) {
		why = walk_resumed(q, &w, entry, &n, &c->id);
	} else {
		if (!has_avail(q))
			return 0;
		why = walk_chain(q, &w, &n, &c->id);
	}
	if (why == NULL)
		why = walk_end(q, &w, c);
	if (__builtin_expect(why != NULL, 0)) {
		unm_vq_break(q, why);
		return w.too_long ? -EMSGSIZE : -EPROTO;
	}
	c->n_descs = (uint16_t)n;
	if (resumed)
		unm_inflight_take_resumed(q, entry);
	else if (q->inf.part != NULL)
		unm_inflight_take_packed(q);
	packed_advance(&p->peek, n, q->c.num);
	p->n_peeked += n;
	if (p->n_peeked > p->n_seen) {
		p->n_seen = p->n_peeked;
		p->seen = p->peek;
	}
	return 1;
}

/* A completion at @at, in the flags' words of the first one of a batch excepted. */
static inline void
put_used(struct unm_vq *q, struct packed_pos at, uint16_t id, uint32_t len)
{
	struct packed_state *p = &q->p;
	struct desc_packed *d = &p->desc[at.idx];
	const uint16_t flags = (uint16_t)((at.wrap ? DESC_F_AVAIL | DESC_F_USED : 0) |
					  (len > 0 ? DESC_F_WRITE : 0));

	if (q->rec.r != NULL)
		unm_record_save(q, at.idx);
	UNM_WRITE_ONCE(d->id, htole16(id));
	UNM_WRITE_ONCE(d->len, htole32(len));
	if (!p->has_first) {
		p->has_first = true;
		p->first_flags = flags;
		return; /* noted with its flags */
	}
	guest_store16_release(&d->flags, flags);
	if (__builtin_expect(q->mem->log != NULL, 0))
		packed_log_slot(q, at.idx);
}

/*
 * In order, one completion may stand for several: it takes the first one's slot, with the last
 * one's id.
 */
static inline void
put_held(struct unm_vq *q)
{
	if (q->p.held_slots == 0)
		return;
	put_used(q, q->p.held_at, q->p.held_id, 0);
	q->p.held_slots = 0;
}

/* The driver's wish, of one load: offset and wrap bit in the low half, flags in the high one. */
static bool
wants_call(struct unm_vq *q, uint32_t slots)
{
	const uint32_t event = le32toh(UNM_READ_ONCE(*q->p.driver_event));
	const uint32_t flags = event >> 16 & 3;
	const uint16_t now = q->p.done_flushed.idx;
	uint16_t off = event & 0x7fff;

	if (flags != EVENT_F_DESC || !q->c.has_event_idx)
		return flags != EVENT_F_DISABLE;
	if ((event >> 15 & 1) != q->p.done_flushed.wrap)
		off = (uint16_t)(off - q->c.num);
	return (uint16_t)(now - off - 1) < slots;
}

/* As unm_vq_flush(). */
static bool
publish(struct unm_vq *q)
{
	struct packed_state *p = &q->p;
	uint32_t slots = p->n_done;

	if (slots == 0)
		return false;
	put_held(q);
	if (q->inf.part != NULL)
		unm_inflight_prepare(q, p->done.idx, p->done.wrap);
	if (q->rec.r != NULL)
		unm_record_prepare(q);
	guest_store16_release(&p->desc[p->done_flushed.idx].flags, p->first_flags);
	if (__builtin_expect(q->mem->log != NULL, 0))
		packed_log_slot(q, p->done_flushed.idx);
	p->has_first = false;
	p->done_flushed = p->done;
	p->n_done = 0;
	if (q->inf.part != NULL)
		unm_inflight_commit(q, p->done.idx, p->done.wrap);
	if (q->rec.r != NULL)
		unm_record_commit(q);
	if (__builtin_expect(q->rec.n_foreign > 0, 0))
		slots += unm_record_pass_by(q);
	/* Pairs with the driver's, between its event area and its look at the slot's flags. */
	unm_full_fence();
	return wants_call(q, slots);
}

void
unm_vq_packed_push(struct unm_vq *q, const struct unm_vq_chain *c, uint32_t written)
{
	struct packed_state *p = &q->p;

	if (q->rec.r != NULL && __builtin_expect(unm_record_is_full(q), 0))
		q->rec.owes_call |= publish(q);
	if (q->c.in_order && written == 0) {
		if (p->held_slots == 0)
			p->held_at = p->done;
		p->held_slots += c->n_descs;
		p->held_id = c->id;
	} else {
		put_held(q);
		put_used(q, p->done, c->id, written);
	}
	if (q->inf.part != NULL)
		unm_inflight_done(q);
	packed_advance(&p->done, c->n_descs, q->c.num);
	p->n_done += c->n_descs;
	p->n_peeked -= c->n_descs;
	p->n_seen -= c->n_descs;
}

void
unm_vq_packed_unpeek(struct unm_vq *q, const struct unm_vq_chain *c)
{
	packed_retreat(&q->p.peek, c->n_descs, q->c.num);
	q->p.n_peeked -= c->n_descs;
	if (q->inf.part != NULL)
		unm_inflight_untake(q);
}

void
unm_vq_packed_rewind(struct unm_vq *q)
{
	q->p.peek = q->p.done;
	q->p.n_peeked = 0;
	if (q->inf.part != NULL)
		unm_inflight_rewind(q);
}

bool
unm_vq_packed_flush(struct unm_vq *q)
{
	const bool owed = q->rec.owes_call;

	q->rec.owes_call = false;
	return publish(q) || owed;
}

/*
 * Never 0, which is how a driver makes it: records tell a new ring by that. The position means
 * something with EVENT_F_DESC only, and QEMU may change the flags alone while it has no back end.
 */
static void
store_event(struct unm_vq *q, struct packed_pos at, uint32_t flags)
{
	const uint32_t pos = flags == EVENT_F_DESC ? record_pos(at) : UINT16_MAX;
	const uint32_t v = pos | flags << 16;

	UNM_WRITE_ONCE(*q->p.device_event, htole32(v));
	if (q->p.event_gpa != UINT64_MAX)
		unm_guest_dirty(q->mem, q->p.event_gpa, sizeof(v));
}

void
unm_vq_packed_kicks_off(struct unm_vq *q)
{
	store_event(q, q->p.seen, EVENT_F_DISABLE);
}

bool
unm_vq_packed_kicks_on(struct unm_vq *q)
{
	struct packed_state *p = &q->p;

	store_event(q, p->seen, q->c.has_event_idx ? EVENT_F_DESC : EVENT_F_ENABLE);
	/* Pairs with the driver's, between the slot's flags and its look at the event area. */
	unm_full_fence();
	return p->n_done + p->n_seen < q->c.num && slot_is_avail(q, p->seen);
}

void
unm_vq_packed_mark(struct unm_vq *q)
{
	store_event(q, q->p.seen, EVENT_F_ENABLE);
}
