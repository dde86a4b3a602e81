/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VALE ports: from slots to frames, and back to positions.
 *
 * txsync gathers up to a batch of frames out of the ring, each slot loaded once and checked, and has them forwarded
 * (vale/forward.h), until the ring is done or a lossless receiver makes it wait. rxsync only moves positions: the payload is there already.
 */
#include <errno.h>
#include <stdlib.h>

#include "port/indirect.h"
#include "port/internal.h"
#include "ring/wake.h"
#include "vale/fdb.h"
#include "vale/forward.h"
#include "vale/vnet.h"

#define ETH_HDR_LEN 14u

static uint32_t
vale_tx_done(const struct unm_bring *r)
{
	return unm_own_hwcur(r);
}

static int
vale_open(struct unm_bport *bp)
{
	const struct unm_seg_port *e = &bp->seg->ports[bp->info.port];
	struct unm_vale_src *s;
	unsigned int i;

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
	for (i = 0; i < UNM_SEG_NPORTS_VALE; i++)
		s->head[i] = UNM_VALE_NOFRAME;
	bp->kind_data = s;
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
 * Find the Ethernet header behind the virtio-net header: it must lie wholly in one fragment, the first or, when the first is exactly the
 * header, the second (spec 16.3). Return: false if there is none, with the reason counted.
 */
static bool
find_eth(struct unm_vale_src *s, struct unm_frame *f)
{
	const struct unm_frag *frag = &s->frags[f->frag];
	uint32_t skip = s->hdr_len;

	if (skip > 0 && frag->len == skip && f->n_frags > 1) {
		frag++;
		skip = 0;
	}
	if (frag->len < skip || frag->len - skip < ETH_HDR_LEN) {
		s->drops[UNM_DROP_RUNT]++;
		return false;
	}
	f->eth = frag->data + skip;
	f->eth_len = frag->len - skip;
	return true;
}

/* Progress of one txsync through its ring. */
struct gather {
	struct unm_bring *r;
	uint32_t pos;	/* next slot to look at */
	uint32_t head;
	uint64_t drops[UNM_DROP_N];
	uint64_t pkts, bytes;
};

/* Collect the fragments of the frame at g->pos. Return: number of slots taken. A bad slot makes the whole frame void (f->n_frags 0). */
static uint32_t
gather_frame(struct unm_vale_src *s, struct gather *g, struct unm_frame *f, unsigned int *n_indirect)
{
	struct unm_bring *r = g->r;
	const uint32_t n = r->num_slots;
	uint32_t taken = 0, i = g->pos;
	bool more;

	f->slot = i;
	f->frag = s->n_frags;
	f->total = 0;
	f->n_frags = 0;
	f->dst = 0;
	do { /* at most to head: less than num_slots turns, and n_frags + num_slots <= UNM_VALE_FRAGS was checked */
		struct netmap_slot *slot = &r->ring->slot[i];
		const struct netmap_slot v = unm_slot_load(slot);
		struct unm_frag *frag = &s->frags[s->n_frags];

		if (__builtin_expect(v.flags & NS_BUF_CHANGED, 0))
			UNM_WRITE_ONCE(slot->flags, v.flags & (uint16_t)~NS_BUF_CHANGED);
		i = unm_pos_next(i, n);
		taken++;
		more = (v.flags & NS_MOREFRAG) && i != g->head;
		frag->len = v.len;
		if (__builtin_expect(v.flags & NS_INDIRECT, 0)) {
			frag->data = unm_indirect_frag(s, r, &v, n_indirect);
		} else {
			frag->data = unm_slot_data(r, &v);
		}
		if (__builtin_expect(frag->data == NULL, 0)) {
			g->drops[v.len > r->buf_size ? UNM_DROP_TOO_LONG : UNM_DROP_BAD_SLOT]++;
			f->dst = UNM_DST_DROP; /* if nothing remains of the frame, it has been counted */
			continue; /* netmap: the slot counts as empty */
		}
		__builtin_prefetch(frag->data, 0, 3);
		if (v.len == 0)
			continue;
		f->total += v.len;
		f->n_frags++;
		s->n_frags++;
	} while (more);
	return taken;
}

/* Fill a batch from the ring. Return: false if the ring had nothing left. */
static bool
gather_batch(struct unm_vale_src *s, struct gather *g)
{
	unsigned int n_indirect = 0, i, k;

	s->n_frames = 0;
	s->n_frags = 0;
	while (g->pos != g->head && s->n_frames < UNM_VALE_BATCH && /* at most UNM_VALE_BATCH turns */
		s->n_frags + unm_pos_dist(g->pos, g->head, g->r->num_slots) <= UNM_VALE_FRAGS) {
		struct unm_frame *f = &s->frames[s->n_frames];

		g->pos = unm_pos_add(g->pos, gather_frame(s, g, f, &n_indirect), g->r->num_slots);
		s->n_frames++;
	}
	if (n_indirect > 0)
		unm_indirect_fetch(s, n_indirect);
	/* Second look: headers. The frames' first lines have been prefetched above. */
	for (i = 0, k = 0; i < s->n_frames; i++) {
		struct unm_frame *f = &s->frames[i];

		g->pkts++;
		g->bytes += f->total;
		if (__builtin_expect(f->n_frags == 0, 0)) {
			if (f->dst != UNM_DST_DROP)
				g->drops[UNM_DROP_RUNT]++;
			continue;
		}
		if (!find_eth(s, f))
			continue;
		if (i != k)
			s->frames[k] = *f;
		k++;
	}
	s->n_frames = k;
	return g->pos != g->head || k > 0;
}

static void
add_drops(uint64_t *to, const uint64_t *from)
{
	int i;

	for (i = 0; i < UNM_DROP_N; i++)
		to[i] += from[i];
}

static void
forward_ring(struct unm_vale_src *s, struct gather *g, uint64_t *wakes)
{
	bool more = true;
	unsigned int done, i;

	while (more) { /* each turn takes slots, of which there are less than num_slots, or ends */
		uint32_t batch_pkts;

		memset(s->drops, 0, sizeof(s->drops));
		more = gather_batch(s, g);
		add_drops(g->drops, s->drops);
		batch_pkts = s->n_frames;
		done = unm_vale_forward(s);
		add_drops(g->drops, s->drops);
		*wakes += s->n_wakes;
		if (done == batch_pkts) {
			unm_kring_publish_hwcur(g->r->kring, g->pos);
			continue;
		}
		/* A lossless receiver is full: go back to its frame. Whatever was gathered from there on is gathered again. */
		for (i = done; i < batch_pkts; i++) {
			g->pkts--;
			g->bytes -= s->frames[i].total;
		}
		g->pos = s->frames[done].slot;
		unm_kring_publish_hwcur(g->r->kring, g->pos);
		return;
	}
}

static int
vale_txsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_bport *bp = r->bp;
	struct unm_vale_src *s = bp->kind_data;
	struct gather g = {.r = r, .pos = unm_own_hwcur(r), .head = head};
	uint64_t wakes = 0;
	int i;

	*tail = unm_tx_tail_all_free(r, g.pos);
	if (g.pos == head)
		return 0;
	if (!unm_cas(&bp->busy_thread, 0, 1))
		return 0; /* another thread forwards for this binding now; this ring's frames wait for the next sync */
	s->slot = bp->env->slot();
	s->ring_id = r->ring_id;
	s->hdr_len = UNM_READ_ONCE(bp->seg->ports[s->port].vnet_hdr_len);
	if (s->hdr_len > UNM_VNET_HDR_MAX)
		s->hdr_len = 0;
	unm_peers_refresh(s->peers);
	unm_decide_tick(&s->decide);
	forward_ring(s, &g, &wakes);
	unm_store_release(&bp->busy_thread, 0);
	*tail = unm_tx_tail_all_free(r, g.pos);
	unm_count(&r->kring->n_pkts, g.pkts);
	unm_count(&r->kring->n_bytes, g.bytes);
	unm_count(&r->kring->n_wakes, wakes);
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

static int
vale_rxsync(struct unm_bring *r, uint32_t head, uint32_t *tail)
{
	struct unm_kring *k = r->kring;
	const uint32_t released = unm_own_hwcur(r);

	if (released != head) {
		unm_kring_publish_hwcur(k, head);
		unm_count(&k->n_pkts, unm_pos_dist(released, head, r->num_slots));
		if (__builtin_expect(UNM_READ_ONCE(r->bp->seg->ports[r->bp->info.port].flags) & UNM_PORTF_LOSSLESS, 0))
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
};
