/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of packed rings. See vq_record.h. */
#include "vm/vq_record.h"

#define FLAGS_USED (DESC_F_AVAIL | DESC_F_USED)

static struct packed_pos
pos_of(uint16_t v)
{
	return (struct packed_pos){v & 0x7fff, v >> 15};
}

/* A private copy of slot @idx, its flags and id as host integers. Nothing else reads slots here. */
static struct desc_packed
load_slot(const struct unm_vq *q, uint16_t idx)
{
	const struct desc_packed *d = &q->p.desc[idx];

	return (struct desc_packed){
		.addr = UNM_READ_ONCE(d->addr),
		.len = UNM_READ_ONCE(d->len),
		.id = guest_load16(&d->id),
		.flags = guest_load16(&d->flags),
	};
}

/* Slot @d is as a driver makes it with the ring. */
static bool
is_untouched(struct desc_packed d)
{
	return d.addr == 0 && d.len == 0 && d.id == 0 && d.flags == 0;
}

/* Slot @d says that its chain is completed, in a lap of @wrap. */
static bool
is_used(struct desc_packed d, bool wrap)
{
	return (d.flags & FLAGS_USED) == (wrap ? FLAGS_USED : 0) && !is_untouched(d);
}

/* The driver's, in a lap of @wrap; or it was when a chain was completed of which it is no head. */
static bool
is_offered(struct desc_packed d, bool wrap)
{
	return (d.flags & FLAGS_USED) == (wrap ? DESC_F_AVAIL : DESC_F_USED);
}

static struct unm_record_ring
ring_of(const struct unm_vq *q)
{
	struct unm_record_ring ring = {
		.version = UNM_RECORD_VERSION,
		.num = q->c.num,
		.desc_uaddr = q->c.desc_uaddr,
		.avail_uaddr = q->c.avail_uaddr,
		.used_uaddr = q->c.used_uaddr,
	};

	unm_guest_file_of(q->mem, q->c.desc_uaddr, &ring.dev, &ring.ino);
	return ring;
}

static bool
is_same_ring(const struct unm_record_ring *r, const struct unm_record_ring *want)
{
	return UNM_READ_ONCE(r->version) == want->version && UNM_READ_ONCE(r->num) == want->num &&
	       UNM_READ_ONCE(r->desc_uaddr) == want->desc_uaddr &&
	       UNM_READ_ONCE(r->avail_uaddr) == want->avail_uaddr &&
	       UNM_READ_ONCE(r->used_uaddr) == want->used_uaddr &&
	       UNM_READ_ONCE(r->dev) == want->dev && UNM_READ_ONCE(r->ino) == want->ino;
}

/* Has the ring been served since the driver made it? */
static bool
was_served(const struct unm_vq *q)
{
	return UNM_READ_ONCE(*q->p.device_event) != 0;
}

/*
 * QEMU, while it has no back end, may write to the event area of a ring that is new. But where the
 * record says that we have been, there was a descriptor.
 */
static bool
has_been_at(const struct unm_vq *q, struct packed_pos at)
{
	const uint16_t n = at.wrap ? at.idx : q->c.num;
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (is_untouched(load_slot(q, i)))
			return false;
	}
	return true;
}

/*
 * What the record says, as far as it makes sense. Return: UNM_RECORD_VOID if it does not, or is
 * about another ring.
 */
static union unm_record_state
read_record(const struct unm_vq *q, const struct unm_record_ring *ring)
{
	const struct unm_record *r = q->c.record;
	const union unm_record_state s = {.word = UNM_READ_ONCE(r->state.word)};

	if ((s.f.mark != UNM_RECORD_IN_USE && s.f.mark != UNM_RECORD_STOPPED) ||
		!is_same_ring(&r->ring, ring) || pos_of(s.f.pos).idx >= q->c.num ||
		pos_of(s.f.next).idx >= q->c.num || s.f.n > UNM_RECORD_SAVED ||
		!has_been_at(q, pos_of(s.f.pos)))
		return (union unm_record_state){.word = 0};
	return s;
}

/*
 * The batch under way is committed, or undone. Whoever dies in here has changed nothing that the
 * next one would not find again. Return: where the ring stands.
 */
static struct packed_pos
settle(struct unm_vq *q, union unm_record_state s)
{
	const struct unm_record *r = q->c.record;
	const struct packed_pos at = pos_of(s.f.pos);
	const bool used_bit = (load_slot(q, at.idx).flags & DESC_F_USED) != 0;
	uint16_t i;

	/*
	 * The first slot, before: the driver's offer, whose USED bit is not our wrap bit. After:
	 * used; or the driver's again, one lap later, and the bit is still the same.
	 */
	if (s.f.n > 0 && s.f.next != s.f.pos && used_bit == at.wrap)
		return pos_of(s.f.next);
	for (i = 0; i < s.f.n; i++) { /* at most UNM_RECORD_SAVED */
		const uint16_t idx = UNM_READ_ONCE(r->saved[i].idx);
		const uint64_t word = UNM_READ_ONCE(r->saved[i].word);

		if (idx >= q->c.num)
			continue;
		__atomic_store_n((uint64_t *)(void *)&q->p.desc[idx].len, word, __ATOMIC_RELEASE);
		packed_log_slot(q, idx);
	}
	return at;
}

/*
 * Does the ring contradict its standing at @at? A completion ahead of it does, and so do two offers
 * of the lap before: of two slots in a row that are not heads of what was completed, the first has
 * a next one.
 */
static bool
contradicts(const struct unm_vq *q, struct packed_pos at)
{
	bool was_offer = false;
	uint32_t i;

	/* In order one completion stands for several: completed heads look like offers. */
	for (i = 0; i < q->c.num; i++) {
		const struct desc_packed d = load_slot(q, at.idx);
		const bool is_offer = is_offered(d, !at.wrap);

		if (is_used(d, at.wrap) || (was_offer && is_offer && !q->c.in_order))
			return true;
		was_offer = is_offer && !(d.flags & DESC_F_NEXT);
		packed_advance(&at, 1, q->c.num);
	}
	return false;
}

/* Completions ahead of @at, by somebody else. */
static uint32_t
count_foreign(const struct unm_vq *q, struct packed_pos at)
{
	uint32_t i, n = 0;

	for (i = 0; i < q->c.num; i++) {
		n += is_used(load_slot(q, at.idx), at.wrap);
		packed_advance(&at, 1, q->c.num);
	}
	return n;
}

/* Not before the record is whole does it count; not before it counts is anything consumed. */
static void
begin_record(struct unm_vq *q, const struct unm_record_ring *ring, struct packed_pos at)
{
	const uint16_t pos = record_pos(at);
	const union unm_record_state s = {.f = {pos, pos, 0, UNM_RECORD_IN_USE}};
	struct unm_record *r = q->c.record;

	if (!is_same_ring(&r->ring, ring)) {
		unm_record_forget(r);
		r->ring = *ring;
	}
	RECORD_STORE(r->state.word, s.word);
	q->rec.r = r;
	/* What it holds stays, if it holds anything: the driver may be asleep on it. */
	if (!was_served(q))
		unm_vq_packed_mark(q);
}

const char *
unm_record_start(struct unm_vq *q, struct packed_pos *at)
{
	const struct unm_record_ring ring = ring_of(q);
	const union unm_record_state s = read_record(q, &ring);
	/* What the front end says can be believed? */
	bool is_known = q->c.base_is_ours || !was_served(q) || s.f.mark == UNM_RECORD_STOPPED;
	uint32_t n_foreign = q->c.base_is_ours && was_served(q) ? q->rec.n_foreign : 0;

	if (!is_known && s.f.mark == UNM_RECORD_IN_USE) {
		*at = settle(q, s);
		n_foreign = count_foreign(q, *at);
		is_known = true;
	}
	if (!is_known && contradicts(q, *at)) {
		q->rec = (struct record_state){0};
		unm_record_forget(q->c.record);
		return "its place in the ring is lost: what is in it (packed) contradicts what "
		       "the front end says, and there is no record of it: reload the guest's "
		       "driver, or reset the guest";
	}
	q->rec = (struct record_state){.n_foreign = n_foreign};
	begin_record(q, &ring, *at);
	return NULL;
}

void
unm_record_forget(struct unm_record *r)
{
	RECORD_STORE(r->state.word, 0);
}

void
unm_record_stopped(struct unm_record *r)
{
	if (UNM_READ_ONCE(r->state.f.mark) == UNM_RECORD_IN_USE)
		RECORD_STORE(r->state.f.mark, UNM_RECORD_STOPPED);
}

/*
 * Slots of the chain @id that somebody else has completed at @at: that has taken the head's NEXT
 * flag away. What follows belongs to it up to the first slot without that flag, if that has its
 * id: the driver, which is still to see the completion, has no other chain of that name.
 */
static uint32_t
foreign_len(const struct unm_vq *q, struct packed_pos at, uint16_t id)
{
	uint32_t len;

	for (len = 1; len < q->c.num; len++) {
		struct desc_packed d;

		packed_advance(&at, 1, q->c.num);
		d = load_slot(q, at.idx);
		if (!is_offered(d, at.wrap))
			break;
		if (!(d.flags & DESC_F_NEXT))
			return d.id == id ? len + 1 : 1;
	}
	return 1;
}

uint32_t
unm_record_pass_by(struct unm_vq *q)
{
	struct packed_state *p = &q->p;
	uint32_t slots = 0;

	while (q->rec.n_foreign > 0 && p->n_done + p->n_peeked == 0) {
		const struct desc_packed head = load_slot(q, p->done.idx);
		uint32_t len;

		if (!is_used(head, p->done.wrap))
			break;
		len = foreign_len(q, p->done, head.id);
		packed_advance(&p->done, len, q->c.num);
		slots += len;
		p->done_flushed = p->peek = p->seen = p->done;
		p->n_seen = 0;
		unm_record_commit(q);
		q->rec.n_foreign--; /* so it ends */
	}
	return slots;
}
