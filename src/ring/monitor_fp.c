/* SPDX-License-Identifier: BSD-2-Clause */
/* Showing frames to monitors. See monitor.h. */
#include "ring/monitor.h"

#include "ring/rx_slots.h"
#include "ring/wake.h"
#include "shm/clock.h"
#include "shm/lock.h"

/*
 * A lock that does not come free belongs to somebody who was stopped in the middle of a batch. He
 * may cost the monitor its frames, but others no more than this share of their time.
 */
#define MON_WAIT_NS    (20 * UINT64_C(1000000))
#define MON_BACKOFF_NS UINT64_C(1000000000)

/* What a monitor sees of a slot's flags: where frames end, and how many slots they have. */
#define KEPT_FLAGS (NS_MOREFRAG | NS_PORT_MASK)

/* The ring of a monitor while its lock is held. */
struct mon_place {
	struct netmap_ring *ring;
	char *bufs;
	uint32_t n_bufs, buf_size;
	uint32_t n;    /* slots */
	uint32_t pos;  /* next to fill */
	uint32_t room; /* free from there */
	struct unm_rx_limits limits;
	uint64_t pkts, bytes, lost;
};

static inline bool
ends_frame(const struct unm_mon_src *src, uint32_t pos)
{
	return !(UNM_READ_ONCE(src->ring->slot[pos].flags) & NS_MOREFRAG);
}

/* Frames in slots [from, to). */
static uint64_t
count_frames(const struct unm_mon_src *src, uint32_t from, uint32_t to)
{
	uint64_t n = 0;

	while (from != to) { /* less than num_slots turns */
		const bool end = ends_frame(src, from);

		from = unm_pos_next(from, src->num_slots);
		n += end || from == to;
	}
	return n;
}

/* Is the view's ring still one that watches this one? Asked with its lock held. */
static bool
still_watches(const struct unm_mons *m, const struct unm_mon_view *v)
{
	const struct unm_seg_port *e = &m->seg->ports[v->port];
	const uint32_t dir =
		UNM_READ_ONCE(m->seg->krings[m->kring_idx].is_rx) ? UNM_MON_OF_RX : UNM_MON_OF_TX;

	return UNM_READ_ONCE(e->state) == UNM_PORT_ACTIVE && UNM_READ_ONCE(e->gen) == v->gen &&
	       (UNM_READ_ONCE(e->flags) & UNM_PORTF_OPEN) &&
	       UNM_READ_ONCE(v->kring->mon_of[dir]) == m->kring_idx;
}

/* Return: 0; -EBUSY: the frames are lost; -ENOENT: there is no such monitor any more. */
static int
view_lock(const struct unm_mons *m, struct unm_mon_view *v, uint32_t slot)
{
	uint32_t *word = &v->kring->lock;
	uint64_t budget = MON_WAIT_NS;

	if (__builtin_expect(unm_lock_try(word, slot) != 0, 0)) {
		if (v->stuck_until_ns != 0 && unm_now_coarse_ns() < v->stuck_until_ns)
			return -EBUSY;
		if (unm_lock_wait(word, slot, &budget) != 0) {
			v->stuck_until_ns = unm_now_coarse_ns() + MON_BACKOFF_NS;
			m->env->lock_stuck(m->seg, v->kring_idx, UNM_READ_ONCE(*word));
			return -EBUSY;
		}
	}
	v->stuck_until_ns = 0;
	if (__builtin_expect(!still_watches(m, v), 0)) {
		unm_lock_release(word);
		return -ENOENT;
	}
	return 0;
}

static void
place_open(struct mon_place *p, const struct unm_mon_view *v)
{
	const struct unm_region_info *info = &v->region->info;

	p->ring = v->ring;
	p->bufs = v->region->base + info->buf_ofs;
	p->n_bufs = info->buf_num;
	p->buf_size = info->buf_size;
	p->n = v->num_slots;
	p->pos = unm_kring_load_hwtail(v->kring, p->n, 0);
	p->room = unm_rx_room(v->kring, p->pos, p->n);
	p->limits = unm_rx_limits(v->kring, p->buf_size);
}

/* Publish, count and unlock. */
static void
place_close(const struct mon_place *p, struct unm_mon_view *v)
{
	struct unm_kring *k = v->kring;

	if (p->pkts > 0) {
		unm_kring_publish_hwtail(k, p->pos);
		unm_count(&k->rx_pkts, p->pkts);
		unm_count(&k->rx_bytes, p->bytes);
		v->is_news = true;
	}
	if (__builtin_expect(p->lost + v->uncounted > 0, 0)) {
		unm_count(&k->rx_full, p->lost + v->uncounted);
		v->uncounted = 0;
	}
	unm_lock_release(&k->lock);
}

/* Leave out the oldest frames of [from, to) until the rest fits. Return: where the rest begins. */
static uint32_t
skip_oldest(struct mon_place *p, const struct unm_mon_src *src, uint32_t from, uint32_t to)
{
	uint32_t n = unm_pos_dist(from, to, src->num_slots);
	bool inside = false;

	while (n > 0 && (n > p->room || inside)) {
		inside = !ends_frame(src, from);
		from = unm_pos_next(from, src->num_slots);
		n--;
		p->lost += !inside || n == 0;
	}
	return from;
}

/* The payload of slot @v, or NULL: its index, offset or length leaves the buffer. */
static inline const uint8_t *
src_data(const struct unm_mon_src *src, const struct netmap_slot *v)
{
	const uint64_t ofs = v->ptr & src->offset_mask;

	if (!unm_buf_idx_ok(v->buf_idx, src->n_bufs) || v->len > src->buf_size ||
		ofs > src->buf_size - v->len)
		return NULL;
	return (const uint8_t *)src->bufs + (size_t)v->buf_idx * src->buf_size + ofs;
}

/* Copy the payload of @v to @dst, at most @cap bytes. Return: how many. */
static inline uint32_t
copy_payload(const struct unm_mon_src *src, const struct netmap_slot *v, uint8_t *dst, uint32_t cap)
{
	const uint32_t len = v->len < cap ? v->len : cap;
	const uint8_t *data;

	if (__builtin_expect((v->flags & NS_INDIRECT) && src->fetch != NULL, 0))
		return src->fetch(v->ptr, len, dst) ? len : 0;
	data = src_data(src, v);
	if (__builtin_expect(data == NULL, 0))
		return 0;
	/*
	 * A whole line where both buffers surely have it: and not prefetched, as who overwrites one need
	 * not fetch it (deliver_fp.c).
	 */
	if (len <= 64 && cap >= 64 && src->buf_size >= 64 &&
		(((uintptr_t)data | (uintptr_t)dst) & 63) == 0)
		memcpy(dst, data, 64);
	else
		memmove(dst, data, len);
	return len;
}

static void
copy_slots(struct mon_place *p, const struct unm_mon_src *src, uint32_t from, uint32_t to)
{
	const uint16_t mark = src->is_tx ? NS_TXMON : 0;

	while (from != to) { /* at most the free slots: skip_oldest() */
		const struct netmap_slot v = unm_slot_load(&src->ring->slot[from]);
		struct netmap_slot *slot = &p->ring->slot[p->pos];
		uint8_t *dst = unm_rx_buffer(slot, p->bufs, p->n_bufs, p->buf_size, &p->limits);
		uint16_t flags = (v.flags & KEPT_FLAGS) | mark;
		uint32_t len = 0;

		if (__builtin_expect(dst != NULL, 1))
			len = copy_payload(src, &v, dst, p->limits.cap);
		from = unm_pos_next(from, src->num_slots);
		if (from == to)
			flags &= (uint16_t)~NS_MOREFRAG;
		unm_slot_store_len_flags(slot, (uint16_t)len, flags);
		p->pos = unm_pos_next(p->pos, p->n);
		p->pkts += !(flags & NS_MOREFRAG);
		p->bytes += v.len;
	}
}

void
unm_mons_show(struct unm_mons *m, uint32_t slot, const struct unm_mon_src *src, uint32_t from,
	uint32_t to)
{
	uint32_t i;

	for (i = 0; i < m->n && from != to; i++) { /* at most UNM_RING_MAX_MONITORS */
		struct unm_mon_view *v = &m->view[i];
		struct mon_place p = {.pkts = 0};
		int err;

		if (v->is_zcopy)
			continue;
		err = view_lock(m, v, slot);
		if (err != 0) {
			v->uncounted += err == -EBUSY ? count_frames(src, from, to) : 0;
			continue;
		}
		if (v->ring == NULL) {
			p.lost = count_frames(src, from, to);
		} else {
			place_open(&p, v);
			copy_slots(&p, src, skip_oldest(&p, src, from, to), to);
		}
		place_close(&p, v);
	}
}

/*
 * One buffer for another, so that death in the middle leaves netmapd what it needs (segment.h). Both
 * indices are good.
 */
static void
exchange_slots(struct unm_swap *x, struct netmap_slot *mine, struct netmap_slot *theirs,
	struct netmap_slot v, uint16_t flags)
{
	struct netmap_slot shown = v, left = v;

	left.buf_idx = UNM_READ_ONCE(x->mine);
	left.flags |= NS_BUF_CHANGED;
	shown.flags = flags;
	unm_store_release(&x->is_open, 1); /* after the fields: who sees it finds them filled in */
	unm_slot_store(mine, shown);
	unm_slot_store(theirs, left);
	unm_store_release(&x->is_open, 0); /* after both */
}

/* The end of the frame at @pos, and whether its buffers are still those that were sent. */
static uint32_t
frame_end(const struct unm_mon_src *src, uint32_t pos, uint32_t to, bool *is_there)
{
	bool end = false;

	*is_there = true;
	while (pos != to && !end) { /* less than num_slots turns */
		const struct netmap_slot v = unm_slot_load(&src->ring->slot[pos]);

		*is_there = *is_there && v.buf_idx == src->sent[pos];
		end = !(v.flags & NS_MOREFRAG);
		pos = unm_pos_next(pos, src->num_slots);
	}
	return pos;
}

/* Leave out frames that are gone. Return: where the first other one begins. */
static uint32_t
skip_gone(struct mon_place *p, const struct unm_mon_src *src, uint32_t from, uint32_t to)
{
	while (from != to) { /* each turn leaves out a frame, or ends */
		bool is_there;
		const uint32_t end = frame_end(src, from, to, &is_there);

		if (is_there)
			break;
		p->lost++;
		from = end;
	}
	return from;
}

static void
exchange_range(struct mon_place *p, const struct unm_mons *m, struct unm_swap *x,
	const struct unm_mon_src *src, uint32_t from, uint32_t to)
{
	const uint16_t mark = src->is_tx ? NS_TXMON : 0;

	bool inside = false;

	for (;;) { /* at most the free slots: skip_oldest() */
		struct netmap_slot *theirs, *mine = &p->ring->slot[p->pos];
		const uint32_t idx = UNM_READ_ONCE(mine->buf_idx);
		struct netmap_slot v;
		uint16_t flags;

		if (src->sent != NULL && !inside)
			from = skip_gone(p, src, from, to);
		if (from == to)
			return;
		theirs = &src->ring->slot[from];
		v = unm_slot_load(theirs);
		flags = (v.flags & (KEPT_FLAGS | NS_TXMON)) | mark;
		inside = (v.flags & NS_MOREFRAG) != 0;
		if (!unm_buf_idx_ok(idx, p->n_bufs)) {
			p->lost +=
				count_frames(src, from, to); /* its client has put nonsense there */
			return;
		}
		UNM_WRITE_ONCE(x->pos, p->pos);
		UNM_WRITE_ONCE(x->of, m->kring_idx);
		UNM_WRITE_ONCE(x->of_pos, from);
		UNM_WRITE_ONCE(x->mine, idx);
		UNM_WRITE_ONCE(x->theirs, v.buf_idx);
		from = unm_pos_next(from, src->num_slots);
		if (from == to)
			flags &= (uint16_t)~NS_MOREFRAG;
		if (unm_buf_idx_ok(v.buf_idx, src->n_bufs) && v.len <= src->buf_size) {
			exchange_slots(x, mine, theirs, v, flags);
			p->bytes += v.len;
		} else {
			unm_slot_store_len_flags(mine, 0, flags);
		}
		p->pos = unm_pos_next(p->pos, p->n);
		p->pkts += !(flags & NS_MOREFRAG);
	}
}

void
unm_mons_exchange(struct unm_mons *m, uint32_t slot, const struct unm_mon_src *src, uint32_t from,
	uint32_t to)
{
	uint32_t i;

	for (i = 0; i < m->n && from != to; i++) { /* at most UNM_RING_MAX_MONITORS */
		struct unm_mon_view *v = &m->view[i];
		struct unm_swap *x = &v->kring->swap;
		struct mon_place p = {.pkts = 0};
		int err;

		if (!v->is_zcopy)
			continue;
		err = view_lock(m, v, slot);
		if (err != 0) {
			v->uncounted += err == -EBUSY ? count_frames(src, from, to) : 0;
			continue;
		}
		/* One that was left open is for netmapd to finish. */
		if (v->ring == NULL || v->region->info.uid != src->region_uid ||
			UNM_READ_ONCE(x->is_open) != 0) {
			p.lost = count_frames(src, from, to);
		} else {
			place_open(&p, v);
			exchange_range(&p, m, x, src, skip_oldest(&p, src, from, to), to);
		}
		place_close(&p, v);
	}
}

unsigned int
unm_mons_wake(struct unm_mons *m)
{
	unsigned int n = 0;
	uint32_t i;

	for (i = 0; i < m->n; i++) { /* at most UNM_RING_MAX_MONITORS */
		struct unm_mon_view *v = &m->view[i];

		if (!v->is_news)
			continue;
		v->is_news = false;
		n += unm_wake_ring(m->env, m->seg, v->kring, v->port, UNM_WANT_RX);
	}
	return n;
}

void
unm_mons_wake_all(struct unm_mons *m)
{
	uint32_t i;

	for (i = 0; i < m->n; i++)
		m->view[i].is_news = true;
	unm_mons_wake(m);
}
