/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtqueues from the driver's side; see vdriver.h.
 *
 * Order: a split ring's descriptors and avail entries are stored before avail->idx (release),
 * used->idx is loaded (acquire) before the elements. A packed ring's descriptors carry their own
 * flags: those of the first head since the last vd_publish() are stored last (release), so a batch
 * becomes visible at once. Both vd_publish() and vd_calls_on() have a full fence between their
 * store and the load that decides about the notification; the device has the counterpart.
 */
#include "vdriver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/atomic.h"

_Static_assert(sizeof(struct vd_split_desc) == 16, "VIRTIO 1.2, 2.7.5");
_Static_assert(sizeof(struct vd_packed_desc) == 16, "VIRTIO 1.2, 2.8.13");
_Static_assert(sizeof(struct vd_used_elem) == 8, "VIRTIO 1.2, 2.7.8");
_Static_assert(sizeof(struct vd_packed_event) == 4, "VIRTIO 1.2, 2.8.14");

#define AREA_ALIGN 64u

static inline uint16_t
load_acquire16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void
store_release16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static size_t
round_up(size_t n)
{
	return (n + AREA_ALIGN - 1) / AREA_ALIGN * AREA_ALIGN;
}

/* Offsets of the parts; the tables' end is the size. */
struct layout {
	size_t avail, used, table, end;
};

static struct layout
layout_of(const struct vd_config *c)
{
	const size_t n = c->num;
	struct layout l;

	l.avail = round_up(n * sizeof(struct vd_split_desc));
	if (c->is_packed) {
		l.used = l.avail + AREA_ALIGN;
		l.table = l.used + AREA_ALIGN;
	} else {
		l.used = l.avail + round_up(sizeof(struct vd_split_avail) + (n + 1) * 2);
		l.table = l.used + round_up(sizeof(struct vd_split_used) +
					    n * sizeof(struct vd_used_elem) + 2);
	}
	l.end = l.table + n * c->table_len * sizeof(struct vd_split_desc);
	return l;
}

size_t
vd_mem_size(const struct vd_config *c)
{
	return layout_of(c).end;
}

int
vd_init(struct vd *v, const struct vd_config *c)
{
	const struct layout l = layout_of(c);
	unsigned int i;

	if (c->num == 0 || c->num > VD_MAX_SIZE || (uintptr_t)c->mem % VD_RING_ALIGN != 0)
		return -EINVAL;
	if (!c->is_packed && (c->num & (c->num - 1)) != 0)
		return -EINVAL;
	memset(v, 0, sizeof(*v));
	v->c = *c;
	v->slot = calloc(c->num, sizeof(*v->slot));
	v->fifo = calloc(c->num, sizeof(*v->fifo));
	if (v->slot == NULL || v->fifo == NULL) {
		vd_fini(v);
		return -ENOMEM;
	}
	memset(c->mem, 0, l.end);
	v->desc.split = (struct vd_split_desc *)c->mem;
	v->avail.split = (struct vd_split_avail *)(c->mem + l.avail);
	v->used.split = (struct vd_split_used *)(c->mem + l.used);
	v->table = (struct vd_split_desc *)(c->mem + l.table);
	for (i = 0; i < c->num; i++)
		v->slot[i].next = (uint16_t)(i + 1 == c->num ? 0 : i + 1);
	v->n_free = c->num;
	v->avail_wrap = v->used_wrap = true;
	v->wants_calls = true;
	return 0;
}

void
vd_fini(struct vd *v)
{
	free(v->slot);
	free(v->fifo);
	v->slot = NULL;
	v->fifo = NULL;
}

/* ---- adding ---------------------------------------------------------------------------------- */

static bool
takes_table(const struct vd *v, unsigned int n)
{
	return v->c.table_len > 0 && n >= v->c.indirect_from && n <= v->c.table_len;
}

/* The table of buffer @id, filled. Return: its guest physical address. */
static uint64_t
fill_table(struct vd *v, uint16_t id, const struct vd_seg *seg, unsigned int n_read, unsigned int n)
{
	struct vd_split_desc *t = v->table + (size_t)id * v->c.table_len;
	unsigned int i;

	for (i = 0; i < n; i++) {
		const uint16_t write = i < n_read ? 0 : VD_DESC_WRITE;

		if (v->c.is_packed) {
			struct vd_packed_desc *d = (struct vd_packed_desc *)&t[i];

			*d = (struct vd_packed_desc){seg[i].gpa, seg[i].len, 0, write};
			continue;
		}
		t[i] = (struct vd_split_desc){seg[i].gpa, seg[i].len,
			(uint16_t)(write | (i + 1 < n ? VD_DESC_NEXT : 0)), (uint16_t)(i + 1)};
	}
	return v->c.gpa + (uint64_t)((uint8_t *)t - v->c.mem);
}

/*
 * One descriptor more of a packed ring. The first head since vd_publish() keeps its flags to
 * itself.
 */
static inline void
packed_put(struct vd *v, struct vd_seg s, uint16_t id, uint16_t flags)
{
	struct vd_packed_desc *d = &v->desc.packed[v->avail_pos];

	flags |= v->avail_wrap ? VD_DESC_AVAIL : VD_DESC_USED;
	d->addr = s.gpa;
	d->len = s.len;
	d->id = id;
	if (v->n_added == 0) {
		v->held_pos = v->avail_pos;
		v->held_flags = flags;
	} else {
		UNM_WRITE_ONCE(d->flags, flags);
	}
	v->n_added++;
	if (++v->avail_pos == v->c.num) {
		v->avail_pos = 0;
		v->avail_wrap = !v->avail_wrap;
	}
}

static inline void
split_put(struct vd *v, uint16_t i, struct vd_seg s, uint16_t flags)
{
	struct vd_split_desc *d = &v->desc.split[i];

	d->addr = s.gpa;
	d->len = s.len;
	d->flags = flags;
	d->next = v->slot[i].next;
}

/* Buffer @id is in flight from now on. */
static inline void
note_added(struct vd *v, uint16_t id, uint64_t token, uint32_t write_len, uint16_t n_descs)
{
	struct vd_slot *s = &v->slot[id];

	s->token = token;
	s->write_len = write_len;
	s->n_descs = n_descs;
	v->n_free = (uint16_t)(v->n_free - n_descs);
	v->n_in_flight++;
	if (v->c.in_order) {
		unsigned int at = (unsigned int)v->fifo_head + v->fifo_len++;

		v->fifo[at >= v->c.num ? at - v->c.num : at] = id;
	}
}

static inline void
split_offer(struct vd *v, uint16_t id)
{
	UNM_WRITE_ONCE(v->avail.split->ring[v->avail_pos & (v->c.num - 1)], id);
	v->avail_pos++;
	v->n_added++;
}

int
vd_add(struct vd *v, const struct vd_seg *seg, unsigned int n_read, unsigned int n_write,
	uint64_t token)
{
	const unsigned int n = n_read + n_write;
	const bool by_table = takes_table(v, n);
	const unsigned int n_descs = by_table ? 1 : n;
	const uint16_t id = v->free_head;
	uint32_t write_len = 0;
	uint16_t at = id;
	unsigned int i;

	if (n == 0 || n_descs > v->c.num)
		return -EINVAL;
	if (n_descs > v->n_free)
		return -ENOSPC;
	for (i = n_read; i < n; i++)
		write_len += seg[i].len;
	v->free_head = v->slot[id].next;
	if (by_table) {
		const struct vd_seg table = {fill_table(v, id, seg, n_read, n),
			(uint32_t)(n * sizeof(struct vd_split_desc))};

		if (v->c.is_packed)
			packed_put(v, table, id, VD_DESC_INDIRECT);
		else
			split_put(v, id, table, VD_DESC_INDIRECT);
	} else {
		for (i = 0; i < n; i++) {
			const uint16_t flags = (uint16_t)((i < n_read ? 0 : VD_DESC_WRITE) |
							  (i + 1 < n ? VD_DESC_NEXT : 0));

			if (v->c.is_packed) {
				packed_put(v, seg[i], id, flags);
				continue;
			}
			split_put(v, at, seg[i], flags);
			at = v->slot[at].next;
			v->free_head = at;
		}
	}
	note_added(v, id, token, write_len, (uint16_t)n_descs);
	if (!v->c.is_packed)
		split_offer(v, id);
	return 0;
}

unsigned int
vd_add_singles(struct vd *v, const struct vd_seg *seg, const uint64_t *token, unsigned int n,
	bool is_write)
{
	const uint16_t flags = is_write ? VD_DESC_WRITE : 0;
	unsigned int i;

	if (n > v->n_free)
		n = v->n_free;
	for (i = 0; i < n; i++) {
		const uint16_t id = v->free_head;

		v->free_head = v->slot[id].next;
		if (v->c.is_packed) {
			packed_put(v, seg[i], id, flags);
		} else {
			split_put(v, id, seg[i], flags);
			split_offer(v, id);
		}
		note_added(v, id, token[i], is_write ? seg[i].len : 0, 1);
	}
	return n;
}

/* ---- publishing ------------------------------------------------------------------------------ */

/* Does moving from @old to @new pass @event (VIRTIO 1.2, 2.7.10)? */
static inline bool
passes(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static uint16_t *
split_used_event(const struct vd *v)
{
	return &v->avail.split->ring[v->c.num];
}

static const uint16_t *
split_avail_event(const struct vd *v)
{
	return (const uint16_t *)&v->used.split->ring[v->c.num];
}

static bool
packed_wants_kick(const struct vd *v, uint16_t n_added)
{
	const uint16_t flags = load_acquire16(&v->used.packed->flags);
	const uint16_t off_wrap = UNM_READ_ONCE(v->used.packed->off_wrap);
	uint16_t event = off_wrap & 0x7fff;

	if (flags != 2)
		return flags == 0;
	if ((off_wrap >> 15 != 0) != v->avail_wrap)
		event = (uint16_t)(event - v->c.num);
	return passes(event, v->avail_pos, (uint16_t)(v->avail_pos - n_added));
}

bool
vd_publish(struct vd *v)
{
	const uint16_t n_added = v->n_added;

	if (n_added == 0)
		return false;
	v->n_added = 0;
	if (v->c.is_packed) {
		store_release16(&v->desc.packed[v->held_pos].flags, v->held_flags);
		unm_full_fence();
		return packed_wants_kick(v, n_added);
	}
	store_release16(&v->avail.split->idx, v->avail_pos);
	unm_full_fence();
	if (v->c.has_event_idx)
		return passes(UNM_READ_ONCE(*split_avail_event(v)), v->avail_pos,
			(uint16_t)(v->avail_pos - n_added));
	return (UNM_READ_ONCE(v->used.split->flags) & 1) == 0;
}

/* ---- taking back ----------------------------------------------------------------------------- */

static int
fault(struct vd *v, const char *what)
{
	if (v->fault == NULL)
		v->fault = what;
	return -EPROTO;
}

/*
 * The descriptors of @id are free again. In order they form a circle, so the list needs no change
 * at all.
 */
static inline void
release(struct vd *v, uint16_t id)
{
	struct vd_slot *s = &v->slot[id];
	uint16_t last = id;
	unsigned int i;

	v->n_free = (uint16_t)(v->n_free + s->n_descs);
	v->n_in_flight--;
	if (!v->c.in_order) {
		if (!v->c.is_packed)
			for (i = 1; i < s->n_descs; i++)
				last = v->slot[last].next;
		v->slot[last].next = v->free_head;
		v->free_head = id;
	}
	s->n_descs = 0;
}

static inline bool
packed_is_used(const struct vd *v)
{
	const uint16_t flags = load_acquire16(&v->desc.packed[v->used_pos].flags);

	return ((flags & VD_DESC_AVAIL) != 0) == v->used_wrap &&
	       ((flags & VD_DESC_USED) != 0) == v->used_wrap;
}

bool
vd_has_used(const struct vd *v)
{
	if (v->in_batch)
		return true;
	if (v->c.is_packed)
		return packed_is_used(v);
	return load_acquire16(&v->used.split->idx) != v->used_pos;
}

/* Take the used element at the current position. Return: 1, or -EPROTO. */
static inline int
take(struct vd *v, uint32_t id, uint32_t len, struct vd_used *out)
{
	const struct vd_slot *s;
	uint16_t n_descs;

	if (v->c.in_order) {
		if (v->fifo_len == 0)
			return fault(v, "an in-order batch ends with a buffer that is not in it");
		if (!v->in_batch && (id >= v->c.num || v->slot[id].n_descs == 0))
			return fault(v, "a used id that is not in flight");
		if (!v->in_batch) {
			v->batch_last = (uint16_t)id;
			v->batch_len = len;
		}
		id = v->fifo[v->fifo_head];
		v->fifo_head = (uint16_t)(v->fifo_head + 1 == v->c.num ? 0 : v->fifo_head + 1);
		v->fifo_len--;
		v->in_batch = id != v->batch_last;
		len = v->in_batch ? v->slot[id].write_len : v->batch_len;
	} else if (id >= v->c.num || v->slot[id].n_descs == 0) {
		return fault(v, "a used id that is not in flight");
	}
	s = &v->slot[id];
	if (len > s->write_len && s->write_len > 0)
		return fault(v, "more bytes written than the buffer has room for");
	v->odd_lens += len > s->write_len;
	out->token = s->token;
	out->len = len;
	n_descs = s->n_descs;
	release(v, (uint16_t)id);
	if (!v->c.is_packed) {
		v->used_pos++;
		return 1;
	}
	v->used_pos = (uint16_t)(v->used_pos + n_descs);
	if (v->used_pos >= v->c.num) {
		v->used_pos = (uint16_t)(v->used_pos - v->c.num);
		v->used_wrap = !v->used_wrap;
	}
	return 1;
}

static int
split_get(struct vd *v, struct vd_used *out, unsigned int max)
{
	const uint16_t end = load_acquire16(&v->used.split->idx);
	const unsigned int there = (uint16_t)(end - v->used_pos);
	unsigned int n;

	if (there > v->n_in_flight)
		return fault(v, "a used index beyond what is in flight");
	for (n = 0; n < max && n < there; n++) {
		const struct vd_used_elem *e = &v->used.split->ring[v->used_pos & (v->c.num - 1)];

		if (take(v, UNM_READ_ONCE(e->id), UNM_READ_ONCE(e->len), &out[n]) < 0)
			return -EPROTO;
	}
	if (v->in_batch && v->used_pos == end)
		return fault(v, "an in-order batch longer than the used index says");
	return (int)n;
}

static int
packed_get(struct vd *v, struct vd_used *out, unsigned int max)
{
	unsigned int n;

	if (v->n_in_flight == 0 && packed_is_used(v))
		return fault(v, "a used descriptor while nothing is in flight");
	for (n = 0; n < max && v->n_in_flight > 0; n++) {
		const struct vd_packed_desc *d = &v->desc.packed[v->used_pos];

		if (!v->in_batch && !packed_is_used(v))
			break;
		if (take(v, UNM_READ_ONCE(d->id), UNM_READ_ONCE(d->len), &out[n]) < 0)
			return -EPROTO;
	}
	return (int)n;
}

int
vd_get(struct vd *v, struct vd_used *out, unsigned int max)
{
	int n;

	if (v->fault != NULL)
		return -EPROTO;
	n = v->c.is_packed ? packed_get(v, out, max) : split_get(v, out, max);
	if (n > 0 && !v->wants_calls && v->c.has_event_idx && !v->c.is_packed)
		UNM_WRITE_ONCE(*split_used_event(v), (uint16_t)(v->used_pos - 1));
	return n;
}

/* ---- calls ----------------------------------------------------------------------------------- */

bool
vd_calls_on(struct vd *v, uint16_t after)
{
	v->wants_calls = true;
	if (v->c.is_packed) {
		unsigned int at = (unsigned int)v->used_pos + after - 1;
		bool wrap = v->used_wrap;

		if (at >= v->c.num) {
			at -= v->c.num;
			wrap = !wrap;
		}
		UNM_WRITE_ONCE(v->avail.packed->off_wrap, (uint16_t)(at | (wrap ? 0x8000u : 0)));
		store_release16(&v->avail.packed->flags, v->c.has_event_idx ? 2 : 0);
	} else if (v->c.has_event_idx) {
		UNM_WRITE_ONCE(*split_used_event(v), (uint16_t)(v->used_pos + after - 1));
	} else {
		UNM_WRITE_ONCE(v->avail.split->flags, 0);
	}
	unm_full_fence();
	return vd_has_used(v);
}

void
vd_calls_off(struct vd *v)
{
	v->wants_calls = false;
	if (v->c.is_packed)
		UNM_WRITE_ONCE(v->avail.packed->flags, 1);
	else if (v->c.has_event_idx)
		UNM_WRITE_ONCE(*split_used_event(v), (uint16_t)(v->used_pos - 1));
	else
		UNM_WRITE_ONCE(v->avail.split->flags, 1);
}

uint32_t
vd_crash_base(const struct vd *v)
{
	return v->c.is_packed ? VD_PACKED_BASE : load_acquire16(&v->used.split->idx);
}
