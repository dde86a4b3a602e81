/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VALE ports: from slots to frames, and back to positions.
 *
 * txsync gathers up to a batch of frames out of the ring, each slot loaded once and checked, and
 * has them forwarded (vale/forward.h), until the ring is done or a lossless receiver makes it wait.
 * rxsync only moves positions: the payload is there already.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "port/indirect.h"
#include "port/internal.h"
#include "port/trusted.h"
#include "ring/wake.h"
#include "shm/clock.h"
#include "shm/lock.h"
#include "vale/fdb.h"
#include "vale/forward.h"
#include "vale/vnet.h"

#define ETH_HDR_LEN 14u

static uint32_t
vale_tx_done(const struct unm_bring *r)
{
	return unm_own_hwcur(r);
}

/*
 * Nothing is under way: whatever a batch may have left half done in the private state is forgotten.
 */
static void
vale_after_fork(struct unm_bport *bp)
{
	struct unm_vale_src *s = bp->kind_data;
	unsigned int i;

	for (i = 0; i < UNM_SEG_NPORTS_VALE; i++)
		s->head[i] = UNM_VALE_NOFRAME;
	s->peers->valid = false;
}

static int
vale_open(struct unm_bport *bp)
{
	const struct unm_seg_port *e = &bp->seg->ports[bp->info.port];
	struct unm_vale_src *s;

	if (bp->seg->fdb == NULL)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->peers = unm_peers_new(bp->env, bp->seg, bp->info.port);
	if (s->peers == NULL) {
		free(s);
		return -ENOMEM;
	}
	s->env = bp->env;
	s->seg = bp->seg;
	s->port = bp->info.port;
	s->n_tx_rings = UNM_READ_ONCE(e->n_tx_rings);
	s->decide.seg = bp->seg;
	s->decide.src_port = bp->info.port;
	s->decide_fn = unm_decide_learning;
	s->lock_budget_ns = UNM_LOCK_WAIT_NS;
	if (getrandom(&s->ip6_id, sizeof(s->ip6_id), GRND_NONBLOCK) != sizeof(s->ip6_id))
		s->ip6_id =
			/* early at boot; less than ideal, and no reason to fail */
			unm_now_coarse_ns();
	bp->kind_data = s;
	vale_after_fork(bp);
	return 0;
}

static void
vale_close(struct unm_bport *bp)
{
	struct unm_vale_src *s = bp->kind_data;

	unm_peers_free(s->peers);
	free(s->bounce);
	free(s);
}

/*
 * Find the Ethernet header behind the virtio-net header: it must lie wholly in one fragment, the
 * first or, when the first is exactly the header, the second (spec 16.3). Return: false if there is
 * none.
 */
static bool
find_eth(const struct unm_vale_src *s, struct unm_frame *f)
{
	const struct unm_frag *frag = &s->frags[f->frag];
	uint32_t skip = s->hdr_len;

	if (skip > 0 && frag->len == skip && f->n_frags > 1) {
		frag++;
		skip = 0;
	}
	if (frag->len < skip || frag->len - skip < ETH_HDR_LEN)
		return false;
	f->eth = frag->data + skip;
	f->eth_len = frag->len - skip;
	return true;
}

/* Progress of one txsync through its ring. */
struct gather {
	struct unm_bring *r;
	uint32_t pos; /* next slot to look at */
	uint32_t head;
	uint64_t drops[UNM_DROP_N];
	bool has_offsets; /* OFFSETS in force: payload may begin anywhere */
	uint64_t pkts, bytes, wakes;
	uint64_t plain_bytes; /* of the batch's frames that gather_plain() took */
	/* Of the batch: frames taken from the ring, and those with something wrong */
	unsigned int n_taken, n_faults;
	struct {
		uint8_t order;
		uint8_t reason; /* enum unm_drop */
	} faults[UNM_VALE_BATCH];
};

/* Where fragment @v has its payload, or NULL with the reason + 1 in *fault. */
static inline const uint8_t *
frag_data(struct unm_vale_src *s, const struct unm_bring *r, const struct netmap_slot *v,
	unsigned int *n_indirect, uint8_t *fault)
{
	const uint8_t *data;

	if (v->flags & NS_INDIRECT)
		data = unm_trusted_has(v->ptr, v->len) ? (const uint8_t *)(uintptr_t)v->ptr
						       : unm_indirect_frag(s, r, v, n_indirect);
	else
		data = unm_slot_data(r, v);
	if (__builtin_expect(data == NULL, 0))
		*fault = 1 + (v->len > r->buf_size || *n_indirect == UNM_INDIRECT_BUFS
					     ? UNM_DROP_TOO_LONG
					     : UNM_DROP_BAD_SLOT);
	return data;
}

/*
 * Collect the fragments of the frame at g->pos. A bad slot counts as empty (spec 16.4). Return:
 * number of slots taken.
 */
static uint32_t
gather_frame(
	struct unm_vale_src *s, struct gather *g, struct unm_frame *f, unsigned int *n_indirect)
{
	struct unm_bring *r = g->r;
	const uint32_t n = r->num_slots;
	uint32_t taken = 0, i = g->pos;
	bool more;

	f->slot = i;
	f->frag = s->n_frags;
	f->total = 0;
	f->n_frags = 0;
	f->fault = 0;
	/*
	 * at most to head: less than num_slots turns, and n_frags + num_slots <= UNM_VALE_FRAGS was
	 * checked
	 */
	do {
		struct netmap_slot *slot = &r->ring->slot[i];
		const struct netmap_slot v = unm_slot_load(slot);
		struct unm_frag *frag = &s->frags[s->n_frags];

		if (__builtin_expect(v.flags & NS_BUF_CHANGED, 0))
			UNM_WRITE_ONCE(slot->flags, v.flags & (uint16_t)~NS_BUF_CHANGED);
		i = unm_pos_next(i, n);
		taken++;
		more = (v.flags & NS_MOREFRAG) && i != g->head;
		frag->len = v.len;
		frag->data = frag_data(s, r, &v, n_indirect, &f->fault);
		if (__builtin_expect(frag->data == NULL, 0))
			continue;
		__builtin_prefetch(frag->data, 0, 3);
		if (v.len == 0)
			continue;
		f->total += v.len;
		f->n_frags++;
		s->n_frags++;
	} while (more);
	return taken;
}

/*
 * The usual slots: one frame each, nothing asked by a flag, a good index and length. Take them from
 * g->pos on, up to the first other one or the end of the ring. Return: how many; each has become
 * frame @n, n + 1, ...
 */
static unsigned int
gather_plain(struct unm_vale_src *s, struct gather *g, unsigned int n)
{
	const struct unm_bring *r = g->r;
	const struct netmap_slot *slot = &r->ring->slot[g->pos];
	const uint32_t to_end = (g->head > g->pos ? g->head : r->num_slots) - g->pos;
	const uint32_t max = to_end < UNM_VALE_BATCH - n ? to_end : UNM_VALE_BATCH - n;
	const uint32_t size = r->buf_size, n_good = r->n_bufs - UNM_BUF_FIRST;
	const uint32_t hdr_len = s->hdr_len, shortest = hdr_len + ETH_HDR_LEN;
	const uint8_t *bufs = (const uint8_t *)r->bufs;
	struct unm_frame *f = &s->frames[n];
	struct unm_frag *frag = &s->frags[s->n_frags];
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < max; i++) { /* at most a batch */
		const struct netmap_slot v = unm_slot_load(&slot[i]);
		const uint8_t *data = bufs + (size_t)v.buf_idx * size;

		if ((v.flags & (NS_BUF_CHANGED | NS_INDIRECT | NS_MOREFRAG)) != 0 ||
			v.buf_idx - UNM_BUF_FIRST >= n_good ||
			(uint32_t)v.len - shortest > size - shortest)
			break;
		__builtin_prefetch(data, 0, 3);
		frag[i].data = data;
		frag[i].len = v.len;
		f[i].eth = data + hdr_len;
		f[i].eth_len = v.len - hdr_len;
		f[i].slot = g->pos + i;
		f[i].frag = s->n_frags + i;
		f[i].total = v.len;
		f[i].n_frags = 1;
		f[i].dst = 0;
		f[i].next = 0;
		f[i].order = (uint8_t)(n + i);
		f[i].fault = 0;
		bytes += v.len;
	}
	s->n_frags += i;
	g->plain_bytes += bytes;
	g->pos = unm_pos_add(g->pos, i, r->num_slots);
	return i;
}

/*
 * The same for slots that point to memory which may be read where it is (trusted.h), each a whole
 * frame.
 */
static unsigned int
gather_pointed(struct unm_vale_src *s, struct gather *g, unsigned int n)
{
	const struct unm_bring *r = g->r;
	const struct netmap_slot *slot = &r->ring->slot[g->pos];
	const uint32_t to_end = (g->head > g->pos ? g->head : r->num_slots) - g->pos;
	const uint32_t max = to_end < UNM_VALE_BATCH - n ? to_end : UNM_VALE_BATCH - n;
	const uint32_t hdr_len = s->hdr_len, shortest = hdr_len + ETH_HDR_LEN;
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < max; i++) { /* at most a batch */
		const struct netmap_slot v = unm_slot_load(&slot[i]);
		const uint8_t *data = (const uint8_t *)(uintptr_t)v.ptr;

		if ((v.flags & (NS_BUF_CHANGED | NS_INDIRECT | NS_MOREFRAG)) != NS_INDIRECT ||
			v.len < shortest || v.len > r->buf_size || !unm_trusted_has(v.ptr, v.len))
			break;
		__builtin_prefetch(data, 0, 3);
		s->frags[s->n_frags + i] = (struct unm_frag){data, v.len};
		s->frames[n + i] = (struct unm_frame){
			.eth = data + hdr_len,
			.eth_len = v.len - hdr_len,
			.slot = g->pos + i,
			.frag = s->n_frags + i,
			.total = v.len,
			.n_frags = 1,
			.order = (uint8_t)(n + i),
		};
		bytes += v.len;
	}
	s->n_frags += i;
	g->plain_bytes += bytes;
	g->pos = unm_pos_add(g->pos, i, r->num_slots);
	return i;
}

/*
 * Second look at @n gathered frames, whose first lines have been prefetched: is there an Ethernet
 * header? Those without are left out.
 */
static unsigned int
check_headers(struct unm_vale_src *s, struct gather *g, unsigned int n)
{
	unsigned int i, k = 0;

	for (i = 0; i < n; i++) {
		struct unm_frame *f = &s->frames[i];
		const bool valid = f->n_frags > 0 && find_eth(s, f);

		if (__builtin_expect(!valid || f->fault != 0, 0)) {
			g->faults[g->n_faults].order = (uint8_t)i;
			g->faults[g->n_faults++].reason =
				f->fault != 0 ? f->fault - 1 : UNM_DROP_RUNT;
			if (!valid)
				continue;
		}
		f->order = (uint8_t)i;
		g->bytes += f->total;
		if (i != k)
			s->frames[k] = *f;
		k++;
	}
	return k;
}

/*
 * Fill a batch from the ring: at least one frame is taken, though it may be none to forward. g->pos
 * is before g->head.
 */
static void
gather_batch(struct unm_vale_src *s, struct gather *g)
{
	const uint32_t n_slots = g->r->num_slots;
	unsigned int n_indirect = 0, n = 0, n_plain = 0, k;

	s->n_frags = 0;
	g->plain_bytes = 0;
	while (g->pos != g->head && n < UNM_VALE_BATCH &&
		n_indirect + NETMAP_MAX_FRAGS <= UNM_INDIRECT_BUFS &&
		s->n_frags + unm_pos_dist(g->pos, g->head, n_slots) <= UNM_VALE_FRAGS) {
		k = g->has_offsets ? 0 : gather_plain(s, g, n);
		if (k == 0 && !g->has_offsets)
			k = gather_pointed(s, g, n);
		n += k;
		n_plain += k;
		if (k == 0)
			g->pos = unm_pos_add(
				g->pos, gather_frame(s, g, &s->frames[n++], &n_indirect), n_slots);
	}
	s->n_frames = n;
	if (n_indirect > 0)
		unm_indirect_fetch(s, n_indirect);
	g->n_taken = n;
	g->n_faults = 0;
	if (__builtin_expect(n == n_plain, 1)) {
		g->bytes += g->plain_bytes;
		return;
	}
	s->n_frames = check_headers(s, g, n);
}

/*
 * Count a batch of which frames[0 ... done) are dealt with; what comes after is gathered again by a
 * later sync.
 */
static void
account(const struct unm_vale_src *s, struct gather *g, unsigned int done)
{
	const unsigned int limit = done < s->n_frames ? s->frames[done].order : g->n_taken;
	unsigned int i;

	g->pkts += limit;
	for (i = done; i < s->n_frames; i++)
		g->bytes -= s->frames[i].total;
	for (i = 0; i < g->n_faults && g->faults[i].order < limit; i++)
		g->drops[g->faults[i].reason]++;
	for (i = 0; i < UNM_DROP_N; i++)
		g->drops[i] += s->drops[i];
	g->wakes += s->n_wakes;
}

static void
forward_ring(struct unm_vale_src *s, struct gather *g)
{
	const uint32_t start = g->pos;

	while (g->pos !=
		/* each turn takes slots, of which there are less than num_slots, or ends */
		g->head) {
		unsigned int done;

		gather_batch(s, g);
		if (s->n_frames == 0 || s->frames[0].slot != start)
			s->flood_resume = 0; /* not the frame that the last sync stopped at */
		done = unm_vale_forward(s);
		account(s, g, done);
		if (done < s->n_frames) { /* a lossless receiver is full: go back to its frame */
			g->pos = s->frames[done].slot;
			unm_kring_publish_hwcur(g->r->kring, g->pos);
			return;
		}
		unm_kring_publish_hwcur(g->r->kring, g->pos);
	}
}

/* Slots hwcur ... head - 1, with the private state of the binding held. Return: 0, -EIO. */
static int
forward_slots(struct unm_vale_src *s, struct gather *g)
{
	struct unm_bport *bp = g->r->bp;

	s->slot = bp->env->slot();
	if (s->slot == 0)
		/* a lock word of 0 means free: without a number of ours we can't take one */
		return -EIO;
	s->ring_id = g->r->ring_id;
	s->hdr_len = UNM_READ_ONCE(bp->seg->ports[s->port].vnet_hdr_len);
	if (!unm_vnet_len_ok(s->hdr_len))
		s->hdr_len = 0;
	s->flood_resume = g->r->flood_resume;
	unm_vale_refill(s);
	unm_peers_refresh(s->peers);
	unm_decide_tick(&s->decide);
	s->decide.may_displace = !bp->is_foreign;
	forward_ring(s, g);
	g->r->flood_resume = s->flood_resume;
	return 0;
}

/*
 * The link is down: the frames in the slots up to @head are lost. A last one that is not whole
 * counts too.
 */
static void
lose_slots(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	uint32_t pos = unm_own_hwcur(r);
	uint64_t n_frames = 0, n_bytes = 0;

	while (pos != head) { /* less than num_slots turns */
		const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);

		pos = unm_pos_next(pos, r->num_slots);
		n_frames += !(v.flags & NS_MOREFRAG) || pos == head;
		n_bytes += v.len;
	}
	unm_kring_publish_hwcur(r->kring, head);
	unm_count(&r->kring->n_pkts, n_frames);
	unm_count(&r->kring->n_bytes, n_bytes);
	unm_count(&r->kring->drops[UNM_DROP_LINK_DOWN], n_frames);
	*tail = unm_tx_tail_all_free(r, head);
}

/*
 * Is there nowhere to forward to: taken from its switch (spec 16.6), or the link is down? Then all
 * is done here.
 */
static bool
goes_nowhere(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const struct unm_bport *bp = r->bp;
	const uint32_t flags = UNM_READ_ONCE(bp->seg->ports[bp->info.port].flags);

	if (__builtin_expect((flags & (UNM_PORTF_DETACHED | UNM_PORTF_LINK_DOWN)) == 0, 1))
		return false;
	if (flags & UNM_PORTF_DETACHED)
		unm_port_sink_ops.txsync(r, head, tail);
	else
		lose_slots(r, head, tail);
	return true;
}

static int
vale_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_bport *bp = r->bp;
	struct gather g = {.r = r, .pos = unm_own_hwcur(r), .head = head};
	int err, i;

	g.has_offsets = UNM_READ_ONCE(r->kring->offset_mask) != 0;
	*tail = unm_tx_tail_all_free(r, g.pos);
	if (g.pos == head)
		return 0;
	if (goes_nowhere(r, head, tail))
		return 0;
	if (unm_lock_take(&bp->busy_thread, 1) != 0)
		/*
		 * another thread has been forwarding for long; these frames wait for the next sync,
		 * and we are told when
		 */
		return 0;
	err = forward_slots(bp->kind_data, &g);
	if (__builtin_expect(unm_lock_release(&bp->busy_thread), 0))
		unm_wake_port(bp->env, bp->seg, bp->info.port, UNM_WANT_TX);
	if (err != 0)
		return err;
	*tail = unm_tx_tail_all_free(r, g.pos);
	unm_count(&r->kring->n_pkts, g.pkts);
	unm_count(&r->kring->n_bytes, g.bytes);
	unm_count(&r->kring->n_wakes, g.wakes);
	for (i = 0; i < UNM_DROP_N; i++)
		if (g.drops[i] != 0)
			unm_count(&r->kring->drops[i], g.drops[i]);
	return 0;
}

/* Slots were given back on a lossless port: wake the senders that wait for them. */
static void
wake_room_waiters(struct unm_bport *bp)
{
	struct unm_seg_port *e = &bp->seg->ports[bp->info.port];
	uint32_t w, bit;

	unm_full_fence(); /* pairs with wait_for_room(): our hwcur, then its room_wanted */
	if (UNM_READ_ONCE(e->room_wanted) == 0)
		return;
	unm_exchange(&e->room_wanted, 0);
	for (w = 0; w < UNM_SEG_NPORTS_VALE / 32; w++) {
		uint32_t map = UNM_READ_ONCE(e->room_map[w]) ? unm_exchange(&e->room_map[w], 0) : 0;

		for (bit = 0; map != 0; bit++, map >>= 1)
			if (map & 1)
				unm_wake_port(bp->env, bp->seg, w * 32 + bit, UNM_WANT_TX);
	}
}

/*
 * A worker that holds queues of other TAPs lets go of one that was detached, or its interface would
 * stay as long as nothing is sent.
 */
static void
let_go(struct unm_bport *bp)
{
	const struct unm_vale_src *s = bp->kind_data;

	if (UNM_READ_ONCE(bp->seg->hdr->epoch) == s->peers->epoch ||
		unm_lock_try(&bp->busy_thread, 1) != 0)
		return; /* who forwards just now looks itself */
	unm_peers_refresh(s->peers);
	if (unm_lock_release(&bp->busy_thread))
		unm_wake_port(bp->env, bp->seg, bp->info.port, UNM_WANT_TX);
}

static int
vale_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	const struct unm_vale_src *s = r->bp->kind_data;
	struct unm_kring *k = r->kring;
	const uint32_t released = unm_own_hwcur(r);

	if (__builtin_expect(s->peers->any_queues, 0))
		let_go(r->bp);
	if (released != head) {
		unm_kring_publish_hwcur(k, head);
		unm_count(&k->n_pkts, unm_pos_dist(released, head, r->num_slots));
		if (__builtin_expect(UNM_READ_ONCE(r->bp->seg->ports[r->bp->info.port].flags) &
					     UNM_PORTF_LOSSLESS,
			    0))
			wake_room_waiters(r->bp);
	}
	*tail = unm_kring_load_hwtail(k, r->num_slots, head);
	return 0;
}

const struct unm_port_ops unm_port_vale_ops = {
	.txsync = vale_txsync,
	.rxsync = vale_rxsync,
	.tx_done = vale_tx_done,
	.open = vale_open,
	.close = vale_close,
	.after_fork = vale_after_fork,
};
