/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a batch of decided frames to deliveries. See forward.h.
 *
 * Two ways through: the usual one sorts the whole batch by destination, so that each receiver is locked once. While some open port of the
 * switch is lossless, frames are taken in order instead, in runs with one destination, so that the batch can stop at the first
 * frame that must wait, with everything before it done and nothing after it.
 */
#include "ring/kring.h"
#include "ring/wake.h"
#include "vale/forward.h"

static void
list_append(struct unm_vale_src *s, uint16_t *head, uint16_t *tail, unsigned int f)
{
	s->frames[f].next = UNM_VALE_NOFRAME;
	if (*head == UNM_VALE_NOFRAME)
		*head = (uint16_t)f;
	else
		s->frames[*tail].next = (uint16_t)f;
	*tail = (uint16_t)f;
}

/* Why is there no view of this receiver? */
static enum unm_drop
missing_reason(const struct unm_vale_src *s, uint32_t port)
{
	const struct unm_seg_port *e = &s->seg->ports[port];

	if (port == s->port || UNM_READ_ONCE(e->state) != UNM_PORT_ACTIVE ||
		!(UNM_READ_ONCE(e->flags) & UNM_PORTF_OPEN))
		return UNM_DROP_NO_PORT;
	return UNM_DROP_UNMAPPED;
}

unsigned int
unm_vale_count_list(const struct unm_vale_src *s, unsigned int f)
{
	unsigned int n = 0;

	for (; f != UNM_VALE_NOFRAME && n < UNM_VALE_BATCH; f = s->frames[f].next)
		n++;
	return n;
}

static void
forward_to(struct unm_vale_src *s, uint32_t port, unsigned int a, unsigned int b)
{
	struct unm_peer *p = unm_peers_get(s->peers, port);

	if (__builtin_expect(p == NULL, 0))
		s->drops[missing_reason(s, port)] +=
			unm_vale_count_list(s, a) + unm_vale_count_list(s, b);
	else
		unm_vale_deliver(s, p, a, b);
}

/* Do all frames go to one known port? Then make them one list. */
static bool
link_uniform(struct unm_vale_src *s)
{
	const uint16_t dst = s->frames[0].dst;
	const unsigned int n = s->n_frames;
	unsigned int i;

	if (dst >= s->seg->n_ports || dst == s->port)
		return false;
	for (i = 1; i < n; i++) { /* at most UNM_VALE_BATCH */
		if (s->frames[i].dst != dst)
			return false;
		s->frames[i - 1].next = (uint16_t)i;
	}
	s->frames[n - 1].next = UNM_VALE_NOFRAME;
	return true;
}

/* Sort frames by destination. */
static void
sort_frames(struct unm_vale_src *s)
{
	unsigned int i;

	s->n_used = 0;
	s->flood_head = s->flood_tail = UNM_VALE_NOFRAME;
	for (i = 0; i < s->n_frames; i++) {
		const uint16_t dst = s->frames[i].dst;

		if (dst < s->seg->n_ports && dst != s->port) {
			if (s->head[dst] == UNM_VALE_NOFRAME)
				s->used[s->n_used++] = dst;
			list_append(s, &s->head[dst], &s->tail[dst], i);
		} else if (dst == UNM_DST_FLOOD) {
			list_append(s, &s->flood_head, &s->flood_tail, i);
		} else {
			s->drops[dst == UNM_DST_DROP ? UNM_DROP_POLICY : UNM_DROP_NO_PORT]++;
		}
	}
}

static void
forward_sorted(struct unm_vale_src *s)
{
	unsigned int i;

	if (link_uniform(s)) {
		forward_to(s, s->frames[0].dst, 0, UNM_VALE_NOFRAME);
		return;
	}
	sort_frames(s);
	if (s->flood_head != UNM_VALE_NOFRAME) {
		for (i = 0; i < s->peers->n_open; i++) { /* bounded by the port table */
			const uint16_t port = s->peers->open[i];

			forward_to(s, port, s->head[port], s->flood_head);
			s->head[port] = UNM_VALE_NOFRAME;
		}
	}
	for (i = 0; i < s->n_used; i++) { /* known destinations that the flood has not served */
		const uint16_t port = s->used[i];

		if (s->head[port] != UNM_VALE_NOFRAME)
			forward_to(s, port, s->head[port], UNM_VALE_NOFRAME);
		s->head[port] = UNM_VALE_NOFRAME;
	}
}

/*
 * Note on the receiver that we wait for room, for frame @f. Return: true if there is enough already, so that one more try is due.
 *
 * The same pair of fences as in ring/wake.h: either we see the receiver's hwcur, or its rxsync sees room_wanted.
 */
static bool
wait_for_room(struct unm_vale_src *s, struct unm_peer *p, unsigned int f)
{
	struct unm_seg_port *e = &s->seg->ports[p->port];
	const struct unm_peer_ring *r = &p->ring[p->n_rings == 1 ? 0 : s->ring_of[f]];
	uint32_t hwtail, hwcur;

	__atomic_fetch_or(&e->room_map[s->port / 32], 1u << (s->port % 32), __ATOMIC_SEQ_CST);
	unm_exchange(&e->room_wanted, 1); /* after the bit: who clears the summary sees the bit */
	unm_full_fence(); /* pairs with the one in the receiver's rxsync, between its hwcur and its look at room_wanted */
	hwtail = unm_kring_load_hwtail(r->kring, r->num_slots, 0);
	hwcur = unm_kring_load_hwcur(r->kring, r->num_slots, unm_pos_next(hwtail, r->num_slots));
	return r->num_slots - 1 - unm_pos_dist(hwcur, hwtail, r->num_slots) >= s->wait_room;
}

#define ROOM_TRIES                                                                                 \
	4 /* a receiver that frees slots one by one must not keep the sender here for ever */

/* Deliver the list that begins with @first to @port. Return: the first one not delivered, or UNM_VALE_NOFRAME. */
static unsigned int
deliver_waiting(struct unm_vale_src *s, uint32_t port, unsigned int first)
{
	struct unm_peer *p = unm_peers_get(s->peers, port);
	int tries;

	if (p == NULL) {
		s->drops[missing_reason(s, port)] += unm_vale_count_list(s, first);
		return UNM_VALE_NOFRAME;
	}
	for (tries = 0; tries < ROOM_TRIES; tries++) {
		first = unm_vale_deliver(s, p, first, UNM_VALE_NOFRAME);
		if (first == UNM_VALE_NOFRAME || !wait_for_room(s, p, first))
			return first;
	}
	/* There is room again, and whoever made it may not have seen that we want it: our own sleepers have to look once more. */
	s->n_wakes += unm_wake_port(s->env, s->seg, s->port, UNM_WANT_TX);
	return first;
}

/* Flood frame @f to all but those below @resume, who have it from the sync that stopped at it. Return: false to stop. */
static bool
flood_waiting(struct unm_vale_src *s, unsigned int f, uint32_t resume)
{
	unsigned int i;

	s->frames[f].next = UNM_VALE_NOFRAME;
	for (i = 0; i < s->peers->n_open; i++) { /* bounded by the port table */
		const uint16_t port = s->peers->open[i];

		if (port < resume)
			continue;
		if (deliver_waiting(s, port, f) != UNM_VALE_NOFRAME) {
			s->flood_resume = port;
			return false;
		}
	}
	return true;
}

static bool
in_one_ring(struct unm_vale_src *s, uint32_t port)
{
	const struct unm_peer *p = unm_peers_get(s->peers, port);

	return p == NULL || p->n_rings == 1;
}

/* Deliver the run of frames from @i on that have the same known destination. Return: the next frame; *stopped if it has to wait. */
static unsigned int
unicast_run(struct unm_vale_src *s, unsigned int i, bool *stopped)
{
	const unsigned int first = i;
	const uint16_t dst = s->frames[i].dst;
	const bool single = in_one_ring(
		s, dst); /* a run may stop in the middle only where one ring takes it all */
	unsigned int at;

	for (i++; single && i < s->n_frames && s->frames[i].dst == dst; i++)
		s->frames[i - 1].next = (uint16_t)i;
	s->frames[i - 1].next = UNM_VALE_NOFRAME;
	at = deliver_waiting(s, dst, first);
	*stopped = at != UNM_VALE_NOFRAME;
	return *stopped ? at : i;
}

static unsigned int
forward_in_order(struct unm_vale_src *s)
{
	uint32_t resume = s->flood_resume;
	bool stopped = false;
	unsigned int i = 0;

	s->flood_resume = 0;
	while (i < s->n_frames && !stopped) { /* each turn takes at least one frame or stops */
		const uint16_t dst = s->frames[i].dst;

		if (dst == UNM_DST_FLOOD) {
			stopped = !flood_waiting(s, i, resume);
			i += !stopped;
		} else if (dst >= s->seg->n_ports || dst == s->port) {
			s->drops[dst == UNM_DST_DROP ? UNM_DROP_POLICY : UNM_DROP_NO_PORT]++;
			i++;
		} else if (dst < resume) {
			i++; /* was flooded when it stopped; its destination has been learned since, and has it */
		} else {
			i = unicast_run(s, i, &stopped);
		}
		resume = 0;
	}
	return i;
}

unsigned int
unm_vale_forward(struct unm_vale_src *s)
{
	unsigned int i;

	for (i = 0; i < UNM_DROP_N; i++)
		s->drops[i] = 0;
	s->n_wakes = 0;
	if (s->n_frames == 0)
		return 0;
	s->decide_fn(&s->decide, s->frames, s->n_frames);
	s->may_wait = s->peers->any_lossless;
	if (__builtin_expect(s->may_wait || s->flood_resume != 0, 0))
		return forward_in_order(s);
	forward_sorted(s);
	return s->n_frames;
}
