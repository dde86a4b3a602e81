/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In-flight tracking. See vq_inflight.h; source of the two procedures: vhost-user, "Inflight I/O
 * tracking".
 */
#include "vm/vq_inflight.h"

#include <stdlib.h>
#include <string.h>

/* Keeps the compiler from moving a store before an earlier one; nobody reads while we live. */
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

/* An entry found in flight, by the order in which it was taken. */
struct found {
	uint64_t counter;
	uint16_t entry;
};

static struct unm_inflight_split *
split_part(const struct unm_vq *q)
{
	return q->inf.part;
}

static struct unm_inflight_packed *
packed_part(const struct unm_vq *q)
{
	return q->inf.part;
}

/*
 * Sort by counter, in linear time, as the counters are the front end's to write: by one byte after
 * the other, from the lowest on. Those of a server that has died span few numbers, which takes two
 * rounds. Return: @a or @tmp, where the result is.
 */
static struct found *
sort_found(struct found *a, struct found *tmp, uint32_t n)
{
	uint64_t min = UINT64_MAX, max = 0;
	unsigned int shift;
	uint32_t i;

	for (i = 0; i < n; i++) {
		min = a[i].counter < min ? a[i].counter : min;
		max = a[i].counter > max ? a[i].counter : max;
	}
	for (shift = 0; n > 0 && shift < 64 && (max - min) >> shift != 0; shift += 8) {
		uint32_t at[257] = {0}; /* where the next one with this byte goes */
		struct found *sorted = tmp;

		for (i = 0; i < n; i++)
			at[1 + ((a[i].counter - min) >> shift & 0xff)]++;
		for (i = 1; i < 256; i++)
			at[i] += at[i - 1];
		for (i = 0; i < n; i++)
			sorted[at[(a[i].counter - min) >> shift & 0xff]++] = a[i];
		tmp = a;
		a = sorted;
	}
	return a;
}

static int
alloc_state(struct unm_vq *q)
{
	struct inflight_state *f = &q->inf;
	uint32_t cap = 1;

	while (cap < q->c.num)
		cap *= 2;
	*f = (struct inflight_state){.taken_mask = cap - 1};
	f->taken = calloc(cap, sizeof(*f->taken));
	f->resume = calloc(q->c.num, sizeof(*f->resume));
	if (q->c.is_packed)
		f->link = calloc(q->c.num, sizeof(*f->link));
	if (f->taken == NULL || f->resume == NULL || (q->c.is_packed && f->link == NULL)) {
		unm_inflight_stop(q);
		return -ENOMEM;
	}
	f->part = q->c.inflight;
	return 0;
}

void
unm_inflight_stop(struct unm_vq *q)
{
	free(q->inf.taken);
	free(q->inf.resume);
	free(q->inf.link);
	q->inf = (struct inflight_state){0};
}

void
unm_inflight_halt(struct unm_vq *q)
{
	struct inflight_state *f = &q->inf;
	const uint32_t n_taken = f->taken_pos - f->flushed_pos;
	const uint32_t n_left = f->taken_pos < f->n_resume ? f->n_resume - f->taken_pos : 0;
	uint32_t i;

	if (f->part == NULL)
		return;
	/* A queue that was broken has not been rewound, nor flushed. */
	memmove(f->resume + n_taken, f->resume + f->taken_pos * (n_left > 0), /* down */
		n_left * sizeof(*f->resume));
	for (i = 0; i < n_taken; i++) /* at most num */
		f->resume[i] = f->taken[(f->flushed_pos + i) & f->taken_mask];
	if (f->n_noted > 0)
		f->free_head = f->noted_head; /* of a chain that was not taken */
	f->n_noted = 0;
	f->n_resume = n_taken + n_left;
	f->n_unwrite = f->done_pos - f->flushed_pos;
	f->taken_pos = f->done_pos = f->flushed_pos = 0;
}

/*
 * What was found becomes what is resumed. @found has room for twice num, of which the second half is
 * scratch.
 */
static void
set_resume(struct unm_vq *q, struct found *found, uint32_t n)
{
	struct inflight_state *f = &q->inf;
	uint32_t i;

	found = sort_found(found, found + q->c.num, n);
	for (i = 0; i < n; i++)
		f->resume[i] = found[i].entry;
	f->n_resume = n;
	f->counter = n > 0 ? found[n - 1].counter + 1 : 0;
}

/* ---- split ---- */

static void
format_split(struct unm_inflight_split *p, uint16_t num, uint16_t used_idx)
{
	memset(p, 0, sizeof(*p) + num * sizeof(p->desc[0]));
	p->desc_num = num;
	p->used_idx = used_idx;
	STORE(p->version, UNM_INFLIGHT_VERSION);
}

/* A batch that was published and not committed: its newest entries are done. */
static void
commit_left_over(struct unm_inflight_split *p, uint16_t num, uint16_t used_idx)
{
	uint16_t n = (uint16_t)(used_idx - UNM_READ_ONCE(p->used_idx));
	uint16_t e = UNM_READ_ONCE(p->last_batch_head);

	for (; n > 0 && n <= num && e < num; n--) {
		p->desc[e].inflight = 0;
		e = UNM_READ_ONCE(p->desc[e].next);
	}
	STORE(p->used_idx, used_idx);
}

int
unm_inflight_start_split(struct unm_vq *q, uint16_t used_idx)
{
	const uint16_t num = q->c.num;
	struct unm_inflight_split *p = q->c.inflight;
	const uint16_t version = UNM_READ_ONCE(p->version);
	uint16_t batch_head;
	struct found *found;
	uint32_t i, n = 0;

	if (q->inf.part != NULL) {
		STORE(p->used_idx, used_idx);
		return 0;
	}
	if (version != 0 && (version != UNM_INFLIGHT_VERSION || UNM_READ_ONCE(p->desc_num) != num))
		return -EINVAL;
	found = calloc(2u * num, sizeof(*found));
	if (found == NULL || alloc_state(q) != 0) {
		free(found);
		return -ENOMEM;
	}
	if (version == 0)
		format_split(p, num, used_idx);
	else
		commit_left_over(p, num, used_idx);
	for (i = 0; i < num; i++)
		if (UNM_READ_ONCE(p->desc[i].inflight) == 1)
			found[n++] = (struct found){UNM_READ_ONCE(p->desc[i].counter), (uint16_t)i};
	set_resume(q, found, n);
	batch_head = UNM_READ_ONCE(p->last_batch_head);
	q->inf.batch_head = batch_head < num ? batch_head : 0;
	free(found);
	return 0;
}

void
unm_inflight_take_split(struct unm_vq *q, uint16_t head)
{
	struct inflight_state *f = &q->inf;
	struct unm_inflight_desc_split *d = &split_part(q)->desc[head];

	if (f->taken_pos >= f->n_resume) {
		d->counter = f->counter++;
		STORE(d->inflight, 1);
	}
	f->taken[f->taken_pos++ & f->taken_mask] = head;
}

static void
prepare_split(struct unm_vq *q)
{
	struct inflight_state *f = &q->inf;
	struct unm_inflight_split *p = split_part(q);
	uint32_t pos;

	for (pos = f->flushed_pos; pos != f->done_pos; pos++) { /* at most num */
		const uint16_t e = f->taken[pos & f->taken_mask];

		p->desc[e].next = f->batch_head;
		STORE(p->last_batch_head, e);
		f->batch_head = e;
	}
}

/* ---- packed ---- */

static void
format_packed(struct unm_inflight_packed *p, uint16_t num, struct packed_pos used)
{
	uint16_t i;

	memset(p, 0, sizeof(*p) + num * sizeof(p->desc[0]));
	for (i = 0; i + 1 < num; i++)
		p->desc[i].next = (uint16_t)(i + 1);
	p->desc_num = num;
	p->used_idx = p->old_used_idx = used.idx;
	p->used_wrap = p->old_used_wrap = used.wrap;
	STORE(p->version, UNM_INFLIGHT_VERSION);
}

/*
 * Was the batch that was being completed published? Then it is committed, else undone. Result:
 * where the used index is.
 */
static int
settle_packed(struct unm_vq *q, struct unm_inflight_packed *p, struct packed_pos *used)
{
	const uint16_t num = q->c.num;
	const struct packed_pos now = {UNM_READ_ONCE(p->used_idx), UNM_READ_ONCE(p->used_wrap) & 1};
	const struct packed_pos old = {
		UNM_READ_ONCE(p->old_used_idx), UNM_READ_ONCE(p->old_used_wrap) & 1};
	uint16_t flags, e;
	uint32_t steps;
	bool torn;

	if (now.idx >= num || old.idx >= num)
		return -EINVAL;
	*used = old;
	if (now.idx == old.idx && now.wrap == old.wrap)
		return 0;
	/* The same wrap bit and a lower index: killed between the two halves of a commit. */
	torn = now.wrap == old.wrap && now.idx < old.idx;
	/*
	 * Before, the slot is the driver's offer, whose USED bit is not our wrap bit; after, it is
	 * used, or the driver's again, one lap later: the bit is the same then.
	 */
	flags = guest_load16(&q->p.desc[old.idx].flags);
	if (!torn && !!(flags & DESC_F_USED) != old.wrap)
		return 0;
	e = UNM_READ_ONCE(p->free_head);
	for (steps = 0; steps < num && e < num; steps++) { /* what is in the free list is done */
		p->desc[e].inflight = 0;
		e = UNM_READ_ONCE(p->desc[e].next);
	}
	*used = now;
	return 0;
}

/*
 * Check the chain that begins with entry @e, and take over its links. Return: its length, or 0: it
 * makes no sense.
 */
static uint32_t
adopt_chain(struct unm_vq *q, const struct unm_inflight_packed *p, uint16_t e)
{
	struct inflight_link *link = q->inf.link;
	const uint16_t n = UNM_READ_ONCE(p->desc[e].num);
	const uint16_t head = e;
	uint16_t i;

	if (n == 0 || n > q->c.num)
		return 0;
	for (i = 0; i < n; i++) {
		if (e >= q->c.num || link[e].in_use)
			return 0;
		link[e].in_use = true;
		link[head].last = e;
		e = link[e].next = UNM_READ_ONCE(p->desc[e].next);
	}
	link[head].num = n;
	return n;
}

/* Everything that is in no chain is free. */
static void
rebuild_free_list(struct unm_vq *q, struct unm_inflight_packed *p)
{
	struct inflight_state *f = &q->inf;
	uint16_t i, head = 0;

	for (i = q->c.num; i-- > 0;) {
		if (f->link[i].in_use)
			continue;
		f->link[i].next = head;
		p->desc[i].next = head;
		head = i;
	}
	f->free_head = head;
	p->free_head = head;
	STORE(p->old_free_head, head);
}

/*
 * A batch is written from its second completion on, and published by its first. One that was never
 * published has left completions that the driver would believe as soon as it gets there: their
 * slots become the driver's offers again, as they were. @n: chains from @at on, of those resumed.
 */
static void
unwrite_completions(struct unm_vq *q, struct packed_pos at, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) { /* at most num */
		const uint16_t flags = at.wrap ? DESC_F_AVAIL : DESC_F_USED;

		guest_store16_release(&q->p.desc[at.idx].flags, flags);
		packed_log_slot(q, at.idx);
		packed_advance(&at, q->inf.link[q->inf.resume[i]].num, q->c.num);
	}
}

int
unm_inflight_start_packed(struct unm_vq *q, struct packed_pos *used)
{
	const uint16_t num = q->c.num;
	struct unm_inflight_packed *p = q->c.inflight;
	const uint16_t version = UNM_READ_ONCE(p->version);
	struct found *found;
	uint32_t i, n = 0, slots = 0;
	int err = 0;

	if (q->inf.part != NULL) {
		*used = q->p.done_flushed;
		unwrite_completions(q, *used, q->inf.n_unwrite);
		return 0;
	}
	if (version != 0 && (version != UNM_INFLIGHT_VERSION || UNM_READ_ONCE(p->desc_num) != num))
		return -EINVAL;
	found = calloc(2u * num, sizeof(*found));
	if (found == NULL || alloc_state(q) != 0) {
		free(found);
		return -ENOMEM;
	}
	if (version == 0)
		format_packed(p, num, *used);
	else
		err = settle_packed(q, p, used);
	for (i = 0; i < num && err == 0; i++) {
		uint32_t len;

		if (UNM_READ_ONCE(p->desc[i].inflight) != 1)
			continue;
		len = adopt_chain(q, p, (uint16_t)i);
		slots += len;
		if (len == 0 || slots > num)
			err = -EINVAL;
		else
			found[n++] = (struct found){UNM_READ_ONCE(p->desc[i].counter), (uint16_t)i};
	}
	if (err == 0) {
		rebuild_free_list(q, p);
		p->used_idx = used->idx;
		p->used_wrap = used->wrap;
		p->old_used_idx = used->idx;
		STORE(p->old_used_wrap, used->wrap);
		set_resume(q, found, n);
		unwrite_completions(q, *used, n);
	} else {
		unm_inflight_stop(q);
	}
	free(found);
	return err;
}

uint32_t
unm_inflight_resumed_len(const struct unm_vq *q, uint16_t entry)
{
	return q->inf.link[entry].num;
}

uint16_t
unm_inflight_resumed_desc(const struct unm_vq *q, uint16_t entry, struct desc_packed *out)
{
	const struct unm_inflight_desc_packed *d = &packed_part(q)->desc[entry];

	*out = (struct desc_packed){
		.addr = UNM_READ_ONCE(d->addr),
		.len = UNM_READ_ONCE(d->len),
		.id = UNM_READ_ONCE(d->id),
		.flags = UNM_READ_ONCE(d->flags),
	};
	return q->inf.link[entry].next;
}

void
unm_inflight_note_packed(struct unm_vq *q, const struct desc_packed *d)
{
	struct inflight_state *f = &q->inf;
	const uint16_t e = f->free_head;
	struct unm_inflight_desc_packed *out = &packed_part(q)->desc[e];

	out->id = d->id;
	out->flags = d->flags;
	out->len = d->len;
	out->addr = d->addr;
	if (f->n_noted++ == 0)
		f->noted_head = e;
	f->link[f->noted_head].last = e;
	f->free_head = f->link[e].next;
}

void
unm_inflight_take_packed(struct unm_vq *q)
{
	struct inflight_state *f = &q->inf;
	struct unm_inflight_packed *p = packed_part(q);
	const uint16_t head = f->noted_head;

	f->link[head].num = f->n_noted;
	p->desc[head].num = f->n_noted;
	p->desc[head].last = f->link[head].last;
	p->desc[head].counter = f->counter++;
	STORE(p->desc[head].inflight, 1);
	p->free_head = f->free_head;
	STORE(p->old_free_head, f->free_head);
	f->n_noted = 0;
	f->taken[f->taken_pos++ & f->taken_mask] = head;
}

void
unm_inflight_take_resumed(struct unm_vq *q, uint16_t entry)
{
	struct inflight_state *f = &q->inf;

	f->taken[f->taken_pos++ & f->taken_mask] = entry;
}

/* The entries of a chain go back to the free list. */
static void
free_chain(struct unm_vq *q, uint16_t head)
{
	struct inflight_state *f = &q->inf;
	struct unm_inflight_packed *p = packed_part(q);
	const uint16_t last = f->link[head].last;

	f->link[last].next = f->free_head;
	STORE(p->desc[last].next, f->free_head);
	f->free_head = head;
	STORE(p->free_head, head);
}

static void
prepare_packed(struct unm_vq *q, uint16_t used_idx, bool used_wrap)
{
	struct inflight_state *f = &q->inf;
	struct unm_inflight_packed *p = packed_part(q);
	uint32_t pos;

	for (pos = f->flushed_pos; pos != f->done_pos; pos++) /* at most num */
		free_chain(q, f->taken[pos & f->taken_mask]);
	STORE(p->used_wrap, used_wrap);
	STORE(p->used_idx, used_idx);
}

/* ---- both ---- */

void
unm_inflight_untake(struct unm_vq *q)
{
	struct inflight_state *f = &q->inf;
	const uint16_t e = f->taken[--f->taken_pos & f->taken_mask];

	if (f->taken_pos < f->n_resume)
		return; /* resumed ones stay in flight */
	if (q->c.is_packed) {
		STORE(packed_part(q)->desc[e].inflight, 0);
		free_chain(q, e);
		STORE(packed_part(q)->old_free_head, f->free_head);
	} else {
		STORE(split_part(q)->desc[e].inflight, 0);
	}
}

void
unm_inflight_rewind(struct unm_vq *q)
{
	while (q->inf.taken_pos != q->inf.done_pos) /* at most num */
		unm_inflight_untake(q);
}

void
unm_inflight_prepare(struct unm_vq *q, uint16_t used_idx, bool used_wrap)
{
	if (q->c.is_packed)
		prepare_packed(q, used_idx, used_wrap);
	else
		prepare_split(q);
}

void
unm_inflight_commit(struct unm_vq *q, uint16_t used_idx, bool used_wrap)
{
	struct inflight_state *f = &q->inf;
	uint32_t pos;

	for (pos = f->flushed_pos; pos != f->done_pos; pos++) { /* at most num */
		const uint16_t e = f->taken[pos & f->taken_mask];

		if (q->c.is_packed)
			STORE(packed_part(q)->desc[e].inflight, 0);
		else
			STORE(split_part(q)->desc[e].inflight, 0);
	}
	f->flushed_pos = f->done_pos;
	if (q->c.is_packed) {
		struct unm_inflight_packed *p = packed_part(q);

		STORE(p->old_free_head, f->free_head);
		STORE(p->old_used_wrap, used_wrap); /* before the index: see settle_packed() */
		STORE(p->old_used_idx, used_idx);
	} else {
		STORE(split_part(q)->used_idx, used_idx);
	}
}
