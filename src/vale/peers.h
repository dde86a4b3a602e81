/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a sender knows about the other ports of its switch: private, checked copies of their
 * geometry.
 *
 * A view is made when a port is first sent to, and thrown away when the port table's epoch says
 * that something changed and the port's generation is another one. Nothing here is shared; one
 * sender (bport) owns one table.
 */
#ifndef UNM_VALE_PEERS_H
#define UNM_VALE_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/monitor.h"
#include "ring/view.h"
#include "shm/atomic.h"

struct netmap_ring;

#define UNM_PEER_QUEUES 8 /* of a TAP, at most (daemon/domain.h) */

/* One rx ring of a receiver. */
struct unm_peer_ring {
	struct netmap_ring *ring;
	struct unm_kring *kring;
	uint32_t num_slots;
	uint32_t kring_idx;
	uint64_t stuck_until_ns; /* its lock timed out: only try it until then */
	struct unm_mons *mons;	 /* who watches it; NULL until somebody does */
};

struct unm_peer {
	uint32_t gen;
	uint32_t port;
	uint32_t n_rings;
	uint32_t n_bufs;
	uint32_t buf_size;
	uint32_t max_frame;
	uint32_t hdr_len;
	uint32_t lacks; /* UNM_VNET_LACKS_*; all of them without a header */
	bool lossless;
	uint32_t n_queues;    /* we may write to the TAP behind it: vale/direct_fp.h */
	bool may_have_queues; /* netmapd did not say: asked again when the table changes */
	int queue[UNM_PEER_QUEUES];
	char *bufs;
	struct unm_region *region;
	struct unm_peer_ring ring[];
};

struct unm_peers {
	const struct unm_env *env;
	struct unm_seg *seg;
	uint32_t self;
	uint32_t epoch;	   /* of the port table, as last looked at */
	bool valid;	   /* @epoch means something */
	bool any_queues;   /* some view has n_queues */
	bool any_lossless; /* some open port other than ours is lossless */
	uint32_t n_open;   /* entries of open[] */
	uint64_t retry_ns
		/* no mapping of the port is tried before, after one has failed */
		[UNM_SEG_NPORTS_VALE];
	uint16_t open[UNM_SEG_NPORTS_VALE]; /* ports that take frames, ours left out, ascending */
	struct unm_peer *peer[UNM_SEG_NPORTS_VALE];
};

/* Borrow @env and @seg for the life of the table. Return: the table or NULL (no memory). */
struct unm_peers *unm_peers_new(const struct unm_env *env, struct unm_seg *seg, uint32_t self);
void unm_peers_free(struct unm_peers *t);

/* The slow half of unm_peers_refresh(). */
void unm_peers_rescan(struct unm_peers *t, uint32_t epoch);

/* Follow the port table. Once a sync, before any other use of the table. */
static inline void
unm_peers_refresh(struct unm_peers *t)
{
	/*
	 * Pairs with netmapd's release store of epoch, made after the entries that it speaks for.
	 */
	const uint32_t epoch = __atomic_load_n(&t->seg->hdr->epoch, __ATOMIC_ACQUIRE);

	if (__builtin_expect(!t->valid || epoch != t->epoch, 0))
		unm_peers_rescan(t, epoch);
}

/**
 * unm_peers_map() - make the view of @port
 *
 * May ask netmapd for the region, so it may block. Return: the view, or NULL: no such port, closed,
 * or its memory can't be had now (tried again at the next change of the table, or after a second; after
 * 10 ms if netmapd has only not answered yet).
 */
struct unm_peer *unm_peers_map(struct unm_peers *t, uint32_t port);

static inline struct unm_peer *
unm_peers_get(struct unm_peers *t, uint32_t port)
{
	struct unm_peer *p;

	if (port >= UNM_SEG_NPORTS_VALE)
		return NULL;
	p = t->peer[port];
	return __builtin_expect(p != NULL, 1) ? p : unm_peers_map(t, port);
}

/*
 * May frames be put into @p now? Asked with the ring's lock held, so that netmapd can wait the last
 * delivery out.
 */
static inline bool
unm_peer_takes(const struct unm_peers *t, const struct unm_peer *p)
{
	const struct unm_seg_port *e = &t->seg->ports[p->port];

	return UNM_READ_ONCE(e->state) == UNM_PORT_ACTIVE && UNM_READ_ONCE(e->gen) == p->gen &&
	       (UNM_READ_ONCE(e->flags) & (UNM_PORTF_OPEN | UNM_PORTF_LINK_DOWN)) == UNM_PORTF_OPEN;
}

/* Why unm_peer_takes() said no; the port may have changed since. */
static inline enum unm_drop
unm_peer_refusal(const struct unm_peers *t, const struct unm_peer *p)
{
	return UNM_READ_ONCE(t->seg->ports[p->port].flags) & UNM_PORTF_LINK_DOWN
		       ? UNM_DROP_LINK_DOWN
		       : UNM_DROP_NO_PORT;
}

#endif
