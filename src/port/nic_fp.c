/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network interfaces by AF_XDP: a netmap ring beside a ring of the kernel's. The formats, and who
 * owns which buffer, are in shm/nic.h.
 *
 * txsync puts a descriptor into the tx ring for each slot, calls the kernel if it wants to be
 * called, and takes completions, in whatever order they come, for the tail. A slot keeps its buffer.
 * rxsync exchanges the buffers of frames with those of slots. Payload is copied in these cases only,
 * and counted: a buffer outside the window, a gap or offset under OFFSETS, a frame that does not
 * begin where it should (another program has moved its head).
 *
 *   tx ring      done        taken (producer)        done: all before are completed
 *   slots        tail + 1    hwcur                   the same distance
 *
 * So that this distance stays the same, each slot taken is one descriptor. A frame that can't be
 * sent has none: it waits until there is nothing under way, and is then left out.
 *
 * A completion names its frame by address. Those that are not next in line find their descriptor in
 * the tx ring, where it stays until it is overwritten, and mark it.
 */
/* Syscalls: sendto recvfrom munmap fstat newfstatat */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "port/join.h"
#include "port/nic_run.h"
#include "shm/xsk_ring.h"
#include "vale/complete_fp.h"

#define ETH_HDR_LEN  14u
#define MAX_FRAGS    17u /* of the kernel: MAX_SKB_FRAGS */
#define ADDR_DONE    UINT64_MAX
#define ADDR_BITS    48 /* XSK_UNALIGNED_BUF_OFFSET_SHIFT: above it, the offset in the frame */
#define ADDR_MASK    ((UINT64_C(1) << ADDR_BITS) - 1)
#define MAX_KICKS    256 /* the kernel takes 32 frames or more at each call */
#define MAX_SEGMENTS 4096
#define AHEAD	     8	/* descriptors: their frames come from the core that received them */
#define MAX_SUMMED   64 /* slots of an IP packet */

struct nic_tx {
	struct unm_xsk_ring tx, comp;
	struct unm_nic_txq *q;
	struct unm_nic_run run;
	uint32_t bounce[UNM_NIC_MAX_BOUNCE]; /* a copy, as of what never changes */
};

struct nic_rx {
	struct unm_xsk_ring rx, fill;
	struct unm_nic_rxq *q;
	uint8_t tag; /* in the map of owners */
};

/* What never changes, copied out of the shared state and checked. */
struct nic_port {
	struct unm_nic_state *st;
	size_t st_len;
	uint64_t lead;
	uint64_t bias; /* from a frame's address as received to that of its buffer less @lead */
	uint32_t stride;
	uint32_t shift; /* of the stride, if it is a power of two, else 0 */
	uint32_t n_window, n_bounce, frame_room;
	bool is_multi_buffer;
	bool has_open_sums;
	bool is_busy_polled;
	struct nic_tx *tx; /* as many as the bport's rings */
	struct nic_rx *rx;
};

static inline struct nic_port *
port_of(const struct unm_bring *r)
{
	return r->bp->kind_data;
}

static inline struct nic_tx *
tx_of(const struct unm_bring *r)
{
	return &port_of(r)->tx[r - r->bp->tx];
}

static inline struct nic_rx *
rx_of(const struct unm_bring *r)
{
	return &port_of(r)->rx[r - r->bp->rx];
}

static inline uint64_t
load64(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* All stores before are made when this one is: also if the process is killed in between. */
static inline void
commit(uint64_t *word, uint64_t v)
{
	unm_store_release64(word, v);
}

/* --- tx --- */

/* A completion out of order: mark its descriptor. */
static void
mark_done(struct nic_tx *t, uint64_t addr, uint32_t done, uint32_t producer)
{
	for (; done != producer; done++) { /* at most the ring's size: checked by the caller */
		struct xdp_desc *d = unm_xsk_desc(&t->tx, done);

		if (d->addr == addr) {
			d->addr = ADDR_DONE;
			return;
		}
	}
}

/* Take completions. Return: position in the tx ring before which all are completed. */
static uint32_t
reap(struct nic_tx *t, uint32_t producer)
{
	const uint64_t word = load64(&t->q->done);
	uint32_t pos = unm_nic_pair_slot(word);
	uint32_t done = unm_nic_pair_pos(word);
	const uint32_t end = unm_xsk_produced(&t->comp);
	const uint32_t begin = pos;

	if (producer - done > t->tx.mask + 1 || end - pos > t->comp.mask + 1)
		return producer;    /* somebody's stray store: all that we can know is lost */
	for (; pos != end; pos++) { /* at most the completion ring's size */
		const uint64_t addr = *unm_xsk_addr(&t->comp, pos);

		if (done != producer && unm_xsk_desc(&t->tx, done)->addr == addr)
			done++;
		else
			mark_done(t, addr, done, producer);
		while (done != producer && unm_xsk_desc(&t->tx, done)->addr == ADDR_DONE)
			done++;
	}
	if (pos != begin || UNM_READ_ONCE(*t->comp.consumer) != pos) {
		commit(&t->q->done, unm_nic_pair(pos, done));
		unm_xsk_consume(&t->comp, pos);
	}
	return done;
}

/* Let the kernel see what is in the tx ring. */
static void
kick(const struct unm_bring *r, struct nic_tx *t, uint32_t producer)
{
	uint32_t left = producer - UNM_READ_ONCE(*t->tx.consumer);
	int i;

	for (i = 0; i < MAX_KICKS && left > 0 && unm_xsk_needs_wakeup(&t->tx); i++) {
		const uint32_t before = left;

		unm_count(&t->q->n_kicks, 1);
		if (sendto(r->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN &&
			errno != EBUSY && errno != ENOBUFS)
			return; /* ENETDOWN: frames wait until it is up */
		left = producer - UNM_READ_ONCE(*t->tx.consumer);
		if (left >= before)
			return; /* it can take no more now */
	}
}

/* A slot's data as a tx descriptor's address, copied into a bounce buffer if it has to be. */
static inline uint64_t
tx_addr(const struct unm_bring *r, const struct nic_port *p, struct nic_tx *t,
	const struct netmap_slot *v, const uint8_t *data, uint32_t pos)
{
	uint32_t idx;

	if (__builtin_expect(v->buf_idx < p->n_window && v->len <= p->frame_room, 1))
		return p->lead + (uint64_t)(data - (const uint8_t *)r->bufs);
	idx = t->bounce[pos % p->n_bounce];
	memmove(r->bufs + (size_t)idx * p->stride, data, v->len);
	unm_count(&t->q->n_copied, 1);
	return p->lead + (uint64_t)idx * p->stride;
}

/* What a look at a frame's slots has found. */
struct frame {
	uint32_t n_slots; /* 0: it is not complete */
	uint32_t len;
	bool is_bounced;      /* parts of it have to be copied */
	bool begins_run;      /* it seems that it can be sent with those behind it */
	enum unm_drop reason; /* UNM_DROP_N: it can be sent */
};

static struct frame
look_at(const struct unm_bring *r, const struct nic_port *p, uint32_t pos, uint32_t head)
{
	struct frame f = {.reason = UNM_DROP_N};
	bool more = true;

	while (more && pos != head) { /* less than num_slots turns */
		const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);

		more = v.flags & NS_MOREFRAG;
		f.n_slots++;
		f.len += v.len;
		if (unm_slot_data(r, &v) == NULL)
			f.reason = v.len > r->buf_size ? UNM_DROP_TOO_LONG : UNM_DROP_BAD_SLOT;
		else if (v.len > p->frame_room || v.len == 0)
			f.reason = UNM_DROP_TOO_LONG;
		f.is_bounced = f.is_bounced || v.buf_idx >= p->n_window;
		pos = unm_pos_next(pos, r->num_slots);
	}
	if (more)
		f.n_slots = 0;
	else if (f.reason == UNM_DROP_N && f.n_slots > (p->is_multi_buffer ? MAX_FRAGS : 1))
		f.reason = UNM_DROP_TOO_LONG;
	if (f.len < ETH_HDR_LEN && f.reason != UNM_DROP_BAD_SLOT)
		f.reason = UNM_DROP_RUNT;
	return f;
}

/* Counters of one pass. */
struct sent {
	uint64_t pkts, bytes;
};

/*
 * Descriptors for the slots from *@pos on, from *@producer on. Stops before a frame that can't be
 * sent, or with @runs begins a run (both returned); that is not complete, or for which there is no
 * bounce buffer.
 */
static struct frame
fill_tx(struct unm_bring *r, const struct nic_port *p, struct nic_tx *t, uint32_t head,
	uint32_t done, bool runs, uint32_t *pos, uint32_t *producer, struct sent *sent)
{
	struct frame none = {.reason = UNM_DROP_N};

	while (*pos != head) { /* each turn takes slots or ends */
		struct frame f = look_at(r, p, *pos, head);
		uint32_t i;

		if (f.n_slots == 0)
			return none;
		f.begins_run = runs && unm_nic_run_begins(r, *pos, head);
		if (f.reason != UNM_DROP_N || f.begins_run)
			return f;
		if (*producer - done + f.n_slots > t->tx.mask + 1 ||
			(f.is_bounced && *producer - done + f.n_slots > p->n_bounce))
			return none;
		for (i = 0; i < f.n_slots; i++) {
			const struct netmap_slot v = unm_slot_load(&r->ring->slot[*pos]);
			const uint8_t *data = unm_slot_data(r, &v);
			struct xdp_desc *d = unm_xsk_desc(&t->tx, *producer);

			if (data == NULL || v.len > p->frame_room || v.len == 0)
				return none; /* changed since a moment ago: the next look says it */
			d->addr = tx_addr(r, p, t, &v, data, *producer);
			d->len = v.len;
			d->options = i + 1 < f.n_slots ? XDP_PKT_CONTD : 0;
			*pos = unm_pos_next(*pos, r->num_slots);
			(*producer)++;
		}
		sent->pkts++;
		sent->bytes += f.len;
	}
	return none;
}

/* The slot after the last one that has a descriptor; *@producer: the end of these. */
static uint32_t
tx_position(const struct unm_bring *r, const struct nic_tx *t, uint32_t *producer)
{
	const uint64_t word = load64(&t->q->taken);
	const uint32_t pos = unm_nic_pair_slot(word);
	uint32_t since;

	*producer = UNM_READ_ONCE(*t->tx.producer);
	since = *producer - unm_nic_pair_pos(word);
	return pos < r->num_slots && since < r->num_slots ? unm_pos_add(pos, since, r->num_slots)
							  : unm_own_hwcur(r);
}

/*
 * Slots without descriptors, before which all are completed: a frame that is left out, or a run.
 * Return: how many; 0: it is no run.
 */
static uint32_t
pass_by(struct unm_bring *r, struct nic_tx *t, const struct frame *f, uint32_t pos, uint32_t head,
	struct sent *sent)
{
	uint32_t n;

	if (f->reason != UNM_DROP_N) {
		unm_count(&r->kring->drops[f->reason], 1);
		return f->n_slots;
	}
	n = unm_nic_run_send(r, &t->run, pos, head, &sent->pkts, &sent->bytes);
	unm_count(&t->q->n_joined, n);
	return n;
}

static int
kernel_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const struct nic_port *p = port_of(r);
	struct nic_tx *t = tx_of(r);
	uint32_t producer, done, n, i;
	uint32_t pos = tx_position(r, t, &producer);
	bool runs = unm_nic_run_may(r, &t->run);
	struct sent sent = {0, 0};

	done = reap(t, producer);
	for (i = 0; i < r->num_slots; i++) { /* frames that are left out, and runs */
		const struct frame f = fill_tx(r, p, t, head, done, runs, &pos, &producer, &sent);

		unm_xsk_produce(&t->tx, producer);
		commit(&t->q->taken, unm_nic_pair(pos, producer));
		kick(r, t, producer);
		done = reap(t, producer);
		if (f.reason == UNM_DROP_N && !f.begins_run)
			break;
		if (f.reason != UNM_DROP_N && done != producer)
			break;
		/* Segments need not wait for what is under way: they can go behind it by themselves. */
		n = done == producer ? pass_by(r, t, &f, pos, head, &sent) : 0;
		runs = runs && n > 0;
		pos = unm_pos_add(pos, n, r->num_slots);
		commit(&t->q->taken, unm_nic_pair(pos, producer));
	}
	unm_kring_publish_hwcur(r->kring, pos);
	unm_count(&r->kring->n_pkts, sent.pkts);
	unm_count(&r->kring->n_bytes, sent.bytes);
	i = producer - done;
	*tail = i < r->num_slots ? unm_pos_prev(unm_pos_add(pos, r->num_slots - i, r->num_slots),
					   r->num_slots)
				 : pos;
	return 0;
}

/* For unm_join_offer(): has the kernel sent what it got from this ring? */
static bool
is_drained(struct unm_bring *r)
{
	struct nic_tx *t = tx_of(r);
	uint32_t producer;
	const uint32_t pos = tx_position(r, t, &producer);

	commit(&t->q->taken, unm_nic_pair(pos, producer));
	unm_kring_publish_hwcur(r->kring, pos);
	kick(r, t, producer);
	return reap(t, producer) == producer;
}

static int
nic_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	enum unm_join how = unm_join_look(r);

	if (__builtin_expect(how == UNM_JOIN_MEET, 0))
		how = unm_join_offer(r, is_drained, UNM_READ_ONCE(r->kring->n_pkts) != 0);
	switch (how) {
	case UNM_JOIN_ON:
		return unm_pipe_txsync(r, head, tail);
	case UNM_JOIN_HALT:
		return unm_join_stay(r, tail);
	default:
		return kernel_txsync(r, head, tail);
	}
}

/* Slots whose frames the kernel has not looked at yet are still to be flushed. */
static uint32_t
nic_tx_done(const struct unm_bring *r)
{
	const struct nic_tx *t = tx_of(r);
	const uint32_t left = UNM_READ_ONCE(*t->tx.producer) - UNM_READ_ONCE(*t->tx.consumer);
	const uint32_t pos = unm_own_hwcur(r);

	if (__builtin_expect(left == 0 || left >= r->num_slots || !unm_xsk_needs_wakeup(&t->tx), 1))
		return pos;
	return unm_pos_add(pos, r->num_slots - left, r->num_slots);
}

static uint32_t
nic_tx_taken(const struct unm_bring *r)
{
	return unm_own_hwcur(r);
}

/* --- rx --- */

/* Bring the kernel's words to what the last commit says; the one who made it may have died since. */
static void
finish_rx(struct nic_rx *x, uint32_t consumer)
{
	const uint32_t fill = consumer + UNM_READ_ONCE(x->q->n_pool);

	if (UNM_READ_ONCE(*x->fill.producer) != fill)
		unm_xsk_produce(&x->fill, fill);
	if (UNM_READ_ONCE(*x->rx.consumer) != consumer)
		unm_xsk_consume(&x->rx, consumer);
}

/* Descriptors of the frame at @pos, none of them at or above @end. Return: 0 if it is not whole. */
static inline uint32_t
rx_segments(const struct nic_rx *x, uint32_t pos, uint32_t end)
{
	uint32_t n = 0;

	while (pos != end && n < MAX_SEGMENTS) {
		n++;
		if (!(unm_xsk_desc(&x->rx, pos++)->options & XDP_PKT_CONTD))
			return n;
	}
	return 0;
}

/* A descriptor, read once. */
static inline struct xdp_desc
load_desc(const struct unm_xsk_ring *ring, uint32_t pos)
{
	const struct xdp_desc *d = unm_xsk_desc(ring, pos);

	return (struct xdp_desc){.addr = UNM_READ_ONCE(d->addr),
		.len = UNM_READ_ONCE(d->len),
		.options = UNM_READ_ONCE(d->options)};
}

static inline uint32_t
frame_to_idx(const struct nic_port *p, uint64_t addr)
{
	const uint64_t ofs = (addr & ADDR_MASK) + p->bias;

	if (p->shift != 0)
		return (uint32_t)(ofs >> p->shift);
	/* of 32 bits, which is faster, as far as it goes */
	return ofs <= UINT32_MAX ? (uint32_t)ofs / p->stride : (uint32_t)(ofs / p->stride);
}

/* Where the frame's data is in the UMEM, in either kind of chunks. */
static inline uint64_t
frame_data(uint64_t addr)
{
	return (addr & ADDR_MASK) + (addr >> ADDR_BITS);
}

/*
 * Most bytes that may be received at @data, which lies in a buffer (spec 10.6: a gap limits them).
 */
static size_t
rx_room(const struct unm_bring *r, const uint8_t *data)
{
	const size_t room = r->buf_size - (size_t)((const char *)data - r->bufs) % r->buf_size;
	const uint64_t gap = UNM_READ_ONCE(r->kring->offset_gap);

	return gap != 0 && gap < room ? gap : room;
}

/*
 * Does the frame lie in the region? The kernel says so, in memory that others who hold the socket can
 * write to as well.
 */
static bool
lies_inside(const struct unm_bring *r, const struct nic_port *p, const struct xdp_desc *d)
{
	const uint64_t size = (uint64_t)r->n_bufs * r->buf_size;
	const uint64_t ofs = frame_data(d->addr) - p->lead;

	return d->len <= size && ofs <= size - d->len;
}

/*
 * The frame's bytes into the slot's own buffer; the frame goes back to the kernel. One that is nowhere
 * leaves no bytes.
 */
static bool
rx_copy(struct unm_bring *r, const struct nic_port *p, struct nic_rx *x, struct netmap_slot *v,
	const struct xdp_desc *d, uint64_t *fill)
{
	const char *from = r->bufs + (ptrdiff_t)(frame_data(d->addr) - p->lead);
	size_t len = lies_inside(r, p, d) ? d->len : 0;
	uint8_t *to;

	v->len = 1; /* so that an offset at the buffer's very end is refused */
	to = unm_slot_data(r, v);
	if (to == NULL)
		return false;
	if (len > rx_room(r, to))
		len = rx_room(r, to); /* of a gap that its owner chose */
	memmove(to, from, len);
	v->len = (uint16_t)len;
	*fill = unm_nic_frame(p->lead, p->stride, frame_to_idx(p, d->addr));
	unm_count(&x->q->n_copied, 1);
	return true;
}

/*
 * Receive descriptor @d into slot @pos; the entry of the fill ring at @fill is for what the kernel
 * gets instead. Return: false if the slot has no usable buffer.
 */
static inline bool
rx_one(struct unm_bring *r, const struct nic_port *p, struct nic_rx *x, uint32_t pos,
	const struct xdp_desc *d, uint64_t *fill)
{
	struct netmap_slot *slot = &r->ring->slot[pos];
	struct netmap_slot v = unm_slot_load(slot);
	const uint32_t idx = frame_to_idx(p, d->addr);
	const uint16_t flags = d->options & XDP_PKT_CONTD ? NS_MOREFRAG : 0;

	if (__builtin_expect(v.buf_idx == idx, 0)) {
		/* Who made this exchange was killed before it counted: take it as made. */
		unm_slot_store_len_flags(slot, (uint16_t)d->len, flags);
		return true;
	}
	if (__builtin_expect(v.buf_idx < UNM_BUF_FIRST || v.buf_idx >= p->n_window ||
				     idx >= p->n_window ||
				     frame_data(d->addr) != p->lead + (uint64_t)idx * p->stride ||
				     UNM_READ_ONCE(r->kring->offset_mask) != 0,
		    0)) {
		if (!rx_copy(r, p, x, &v, d, fill))
			return false;
		unm_slot_store_len_flags(slot, v.len, flags);
		return true;
	}
	*fill = p->lead + (uint64_t)v.buf_idx * p->stride - UNM_NIC_HEADROOM;
	UNM_WRITE_ONCE(p->st->owner[v.buf_idx], x->tag);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the order in which a killed process stops */
	v.buf_idx = idx;
	v.len = (uint16_t)d->len;
	v.flags = flags;
	unm_slot_store(slot, v);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	UNM_WRITE_ONCE(p->st->owner[idx], 0);
	return true;
}

/* What the frame's sender has left to an offload: done here, whoever gets it. */
static void
complete_sum(const struct unm_bring *r, uint32_t pos, uint32_t n_seg)
{
	struct iovec iov[MAX_SUMMED];
	uint32_t i;

	if (n_seg > MAX_SUMMED)
		return;
	for (i = 0; i < n_seg; i++) {
		const uint32_t at = unm_pos_add(pos, i, r->num_slots);
		const struct netmap_slot v = unm_slot_load(&r->ring->slot[at]);

		iov[i].iov_base = unm_slot_data(r, &v);
		iov[i].iov_len = v.len;
		if (iov[i].iov_base == NULL)
			return;
	}
	unm_csum_complete(iov, n_seg);
}

/* For complete_sum(): the descriptor is the kernel's, and a prefetch of anything is harmless. */
static inline void
prefetch_frame(const struct unm_bring *r, const struct nic_port *p, uint64_t addr)
{
	__builtin_prefetch((const char *)r->bufs + (ptrdiff_t)(frame_data(addr) - p->lead));
}

/* Frames that no slot will get: back to the kernel. */
static void
rx_give_back(const struct nic_port *p, struct nic_rx *x, uint32_t pos, uint32_t fill, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		*unm_xsk_addr(&x->fill, fill + i) = unm_nic_frame(
			p->lead, p->stride, frame_to_idx(p, unm_xsk_desc(&x->rx, pos + i)->addr));
}

static bool
nic_rx_has_room(const struct unm_bring *r)
{
	const uint32_t n = r->num_slots, head = unm_own_hwcur(r);
	const uint32_t held = unm_pos_dist(head, unm_kring_load_hwtail(r->kring, n, head), n);

	/* whatever comes has at most so many pieces; who has nothing can't make more room */
	return held == 0 || n - 1 - held >= (port_of(r)->is_multi_buffer ? MAX_FRAGS : 1);
}

static int
kernel_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const struct nic_port *p = port_of(r);
	struct nic_rx *x = rx_of(r);
	const uint32_t n = r->num_slots;
	const uint32_t n_pool = UNM_READ_ONCE(x->q->n_pool);
	const uint64_t word = load64(&x->q->taken);
	uint32_t pos = unm_nic_pair_slot(word), from = unm_nic_pair_pos(word), end;
	uint64_t pkts = 0, bytes = 0;
	uint32_t room, i;

	if (pos >= n)
		pos = head;
	finish_rx(x, from);
	unm_kring_publish_hwcur(r->kring, head);
	end = unm_xsk_produced(&x->rx);
	if (p->is_busy_polled && end == from) {
		recvfrom(r->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL); /* polls the driver */
		end = unm_xsk_produced(&x->rx);
	}
	if (end - from > x->rx.mask + 1)
		end = from;				    /* a stray store */
	room = unm_pos_dist(pos, unm_pos_prev(head, n), n); /* one slot stays empty */
	while (from != end) { /* each turn takes descriptors or ends */
		const uint32_t n_seg = rx_segments(x, from, end);

		if (p->has_open_sums && end - from > AHEAD)
			prefetch_frame(r, p, unm_xsk_desc(&x->rx, from + AHEAD)->addr);
		if (n_seg == 0 || (n_seg > room && n_seg < n))
			break;
		if (n_seg > room) {
			rx_give_back(p, x, from, from + n_pool, n_seg);
			unm_count(&x->q->n_too_long, 1);
			from += n_seg;
			continue;
		}
		for (i = 0; i < n_seg; i++) {
			const struct xdp_desc d = load_desc(&x->rx, from + i);
			const uint32_t at = unm_pos_add(pos, i, n);

			if (!rx_one(r, p, x, at, &d, unm_xsk_addr(&x->fill, from + i + n_pool)))
				break;
			bytes += d.len;
		}
		if (i < n_seg)
			break; /* a slot without a buffer: nothing goes beyond until it is repaired */
		if (p->has_open_sums)
			complete_sum(r, pos, n_seg);
		pkts++;
		from += n_seg;
		room -= n_seg;
		pos = unm_pos_add(pos, n_seg, n);
	}
	if (from != unm_nic_pair_pos(word)) {
		commit(&x->q->taken, unm_nic_pair(pos, from));
		finish_rx(x, from);
		unm_kring_publish_hwtail(r->kring, pos);
		unm_count(&r->kring->rx_pkts, pkts);
		unm_count(&r->kring->rx_bytes, bytes);
	}
	if (unm_xsk_needs_wakeup(&x->fill)) {
		unm_count(&x->q->n_kicks, 1);
		recvfrom(r->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL); /* says nothing that we need */
	}
	*tail = pos;
	return 0;
}

/*
 * The ring is joined, and frames come through the kernel: the other interface's host has sent them.
 * The ring's slots are not ours to fill.
 */
static void
drop_late(struct unm_bring *r)
{
	struct nic_rx *x = rx_of(r);
	const uint64_t word = load64(&x->q->taken);
	const uint32_t from = unm_nic_pair_pos(word);
	const uint32_t n = unm_xsk_produced(&x->rx) - from;

	if (__builtin_expect(n == 0, 1) || n > x->rx.mask + 1)
		return;
	rx_give_back(port_of(r), x, from, from + UNM_READ_ONCE(x->q->n_pool), n);
	commit(&x->q->taken, unm_nic_pair(unm_nic_pair_slot(word), from + n));
	finish_rx(x, from + n);
	unm_count(&r->kring->drops[UNM_DROP_JOINED], n);
}

static bool
nothing_waits(const struct nic_rx *x)
{
	return unm_xsk_produced(&x->rx) == unm_nic_pair_pos(load64(&x->q->taken));
}

static int
nic_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const enum unm_join how = unm_join_look(r);
	uint32_t offer = 0;
	int err;

	if (how == UNM_JOIN_ON) {
		drop_late(r);
		return unm_pipe_rxsync(r, head, tail);
	}
	if (__builtin_expect(how == UNM_JOIN_HALT, 0))
		return unm_join_stay(r, tail);
	if (__builtin_expect(how == UNM_JOIN_MEET, 0))
		offer = unm_join_offered(r);
	err = kernel_rxsync(r, head, tail);
	if (__builtin_expect(how == UNM_JOIN_MEET, 0) && err == 0)
		unm_join_answer(r, offer, head, *tail == head && nothing_waits(rx_of(r)));
	return err;
}

/* --- open, close --- */

static void
take_setup(struct nic_port *p, const struct unm_nic_setup *s)
{
	p->lead = s->lead;
	p->bias = s->is_unaligned ? UNM_NIC_HEADROOM - p->lead : 0;
	p->stride = s->stride;
	p->shift = (p->stride & (p->stride - 1)) == 0 ? (uint32_t)__builtin_ctz(p->stride) : 0;
	p->n_window = s->n_window;
	p->n_bounce = s->n_bounce;
	p->frame_room = s->frame_room;
	p->is_multi_buffer = s->is_multi_buffer;
	p->has_open_sums = s->has_open_sums;
	p->is_busy_polled = s->is_busy_polled;
}

static int
map_tx(const struct nic_port *p, const struct unm_nic_setup *s, struct nic_tx *t,
	const struct unm_bring *r)
{
	int err;

	if (r->ops != &unm_port_nic_ops)
		return 0; /* a host ring */
	if (r->ring_id >= s->n_queues || s->tx_size < r->num_slots)
		return -EINVAL;
	t->q = &p->st->txq[r->ring_id];
	t->run.ifindex = s->ifindex;
	t->run.fd = s->joins_segments && r->bp->info.n_host_fds > 0
			    ? r->bp->fds[UNM_NIC_FD_SEGMENTS(s->n_queues)]
			    : -1;
	err = unm_nic_bounce_read(p->st, s, r->ring_id, t->bounce);
	if (err == 0)
		err = unm_xsk_ring_map(&t->tx, r->fd, XDP_PGOFF_TX_RING, &s->tx_ofs, s->tx_size,
			sizeof(struct xdp_desc));
	return err != 0 ? err
			: unm_xsk_ring_map(&t->comp, r->fd, XDP_UMEM_PGOFF_COMPLETION_RING,
				  &s->comp_ofs, s->comp_size, sizeof(uint64_t));
}

static int
map_rx(const struct nic_port *p, const struct unm_nic_setup *s, struct nic_rx *x,
	const struct unm_bring *r)
{
	int err;

	if (r->ops != &unm_port_nic_ops)
		return 0;
	if (r->ring_id >= s->n_queues)
		return -EINVAL;
	x->q = &p->st->rxq[r->ring_id];
	x->tag = (uint8_t)(r->ring_id + 1);
	err = unm_xsk_ring_map(
		&x->rx, r->fd, XDP_PGOFF_RX_RING, &s->rx_ofs, s->rx_size, sizeof(struct xdp_desc));
	return err != 0 ? err
			: unm_xsk_ring_map(&x->fill, r->fd, XDP_UMEM_PGOFF_FILL_RING, &s->fill_ofs,
				  s->fill_size, sizeof(uint64_t));
}

static void
free_port(struct unm_bport *bp)
{
	struct nic_port *p = bp->kind_data;
	uint32_t i;

	for (i = 0; p->tx != NULL && i < bp->n_tx; i++) {
		unm_xsk_ring_unmap(&p->tx[i].tx);
		unm_xsk_ring_unmap(&p->tx[i].comp);
	}
	for (i = 0; p->rx != NULL && i < bp->n_rx; i++) {
		unm_xsk_ring_unmap(&p->rx[i].rx);
		unm_xsk_ring_unmap(&p->rx[i].fill);
	}
	if (p->st != NULL)
		munmap(p->st, p->st_len);
	free(p->tx);
	free(p->rx);
	free(p);
	bp->kind_data = NULL;
}

static int
map_state(struct nic_port *p, int fd)
{
	struct stat file;
	void *map;

	if (fstat(fd, &file) < 0)
		return -errno;
	if (file.st_size < (off_t)sizeof(*p->st))
		return -EINVAL;
	p->st_len = (size_t)file.st_size;
	map = mmap(NULL, p->st_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	p->st = map;
	return 0;
}

static int
nic_open(struct unm_bport *bp)
{
	const bool has_host_rings = bp->info.n_host_fds > 0;
	const uint32_t n_fds = has_host_rings ? bp->info.host_fd : bp->info.n_port_fds;
	const uint32_t n_queues = n_fds - unm_nic_n_fds(0, has_host_rings);
	struct unm_nic_setup setup;
	struct nic_port *p;
	uint32_t i;
	int err;

	if (n_fds < unm_nic_n_fds(1, has_host_rings) || n_queues > UNM_NIC_MAX_QUEUES)
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	bp->kind_data = p;
	p->tx = calloc(bp->n_tx + 1, sizeof(*p->tx));
	p->rx = calloc(bp->n_rx + 1, sizeof(*p->rx));
	err = p->tx == NULL || p->rx == NULL ? -ENOMEM
					     : map_state(p, bp->fds[UNM_NIC_FD_STATE(n_queues)]);
	if (err == 0)
		err = unm_nic_setup_read(p->st, p->st_len, n_queues, &bp->region->info, &setup);
	if (err == 0)
		take_setup(p, &setup);
	if (err == 0 && setup.mode == UNM_NIC_PACKET) {
		for (i = 0; i < bp->n_tx + bp->n_rx && err == 0; i++)
			if (bp->tx[i].ops == &unm_port_nic_ops)
				err = unm_packet_ring_init(&bp->tx[i]);
		if (err != 0)
			free_port(bp);
		return err;
	}
	for (i = 0; i < bp->n_tx && err == 0; i++)
		err = map_tx(p, &setup, &p->tx[i], &bp->tx[i]);
	for (i = 0; i < bp->n_rx && err == 0; i++)
		err = map_rx(p, &setup, &p->rx[i], &bp->rx[i]);
	if (err != 0)
		free_port(bp);
	return err;
}

static void
nic_close(struct unm_bport *bp)
{
	if (bp->kind_data != NULL)
		free_port(bp);
}

const struct unm_port_ops unm_port_nic_ops = {
	.txsync = nic_txsync,
	.rxsync = nic_rxsync,
	.tx_done = nic_tx_done,
	.tx_taken = nic_tx_taken,
	.rx_has_room = nic_rx_has_room,
	.rx_arrives_here = true,
	.open = nic_open,
	.close = nic_close,
};
