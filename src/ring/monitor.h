/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Monitors: ports that see what passes through the rings of another one (spec 15).
 *
 * A monitor is a port with rx rings, in the segment of the port that it watches. Its ring i hangs on
 * the lists of tx ring i and of rx ring i, through two links:
 *
 *   watched tx ring i: mon_head --> A's ring i --mon_next[OF_TX]--> B's ring i
 *   watched rx ring i: mon_head --> A's ring i --mon_next[OF_RX]--> C's ring i
 *
 * Who shows frames to them is who moves the watched ring's positions: the owner's txsync (what it is
 * about to send), whoever delivers into an rx ring (before the receiver sees it), or the rxsync of a
 * port whose frames come from the kernel. A monitor's ring has its lock, as it has several writers:
 * it is taken last, and nothing is taken while it is held. A monitor without room, or whose memory
 * can't be had, or whose lock does not come free, loses frames, counted in its rx_full; nobody waits
 * for it (but MON_WAIT_NS once in a while for the lock).
 *
 * Copy monitors have buffers of their own. Zero-copy monitors have theirs in the watched port's
 * region, and get the watched slot's buffer for one of their own when the slot is done with (sent,
 * or given back by its client). The second one does the same to the first one's slots: it hangs on
 * that one's ring. So a ring's list holds any number of copy monitors and one zero-copy monitor.
 *
 * netmapd alone writes the lists. A reader follows one when the segment's epoch says that something
 * has changed, and keeps what it found as views: addresses from checked offsets. What a view says is
 * true for as long as, asked under the monitor ring's lock, the port is active and the ring says
 * that it watches this one: netmapd takes that lock before the memory becomes something else.
 */
#ifndef UNM_RING_MONITOR_H
#define UNM_RING_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/view.h"
#include "shm/atomic.h"

struct netmap_slot;

/* Does anybody watch this ring? All that it costs if not. */
static inline bool
unm_is_watched(const struct unm_kring *k)
{
	return UNM_READ_ONCE(k->mon_head) != UNM_NONE;
}

/* A ring of a monitor. */
struct unm_mon_view {
	uint32_t kring_idx;
	uint32_t port, gen;
	struct unm_kring *kring;
	struct unm_region *region; /* NULL: can't be had, or does not fit. A reference */
	struct netmap_ring *ring;  /* NULL as @region */
	uint32_t num_slots;
	bool is_zcopy;
	bool is_news; /* frames that its sleepers have not been told of */
	uint64_t
		uncounted; /* frames lost while the lock, which guards the counter, was not to be had */
	uint64_t stuck_until_ns; /* the lock timed out: only try it until then */
	uint64_t retry_ns;	 /* region NULL: no new try before */
};

/*
 * The monitors of one watched ring, as one of those who move its positions sees them: private to who
 * holds the ring's busy word or the like.
 */
struct unm_mons {
	const struct unm_env *env;
	struct unm_seg *seg;
	uint32_t kring_idx;
	uint32_t epoch;	   /* of the port table, when the list was followed */
	uint64_t retry_ns; /* a view lacks its region, which may be asked for then. 0: none does */
	uint32_t n;
	struct unm_mon_view view[];
};

/**
 * unm_mons_get() - the monitors of ring @kring_idx as of now
 * @m: NULL at first; follows the list, and is the caller's. When nobody watches any more it is
 *     NULL again, and memory is let go: so it is to be asked for while it is not
 *
 * May ask netmapd for a region, so it may block: not with a lock held that others wait for.
 * Return: *m, or NULL: nobody watches, or no memory.
 */
struct unm_mons *unm_mons_get(
	struct unm_mons **m, const struct unm_env *env, struct unm_seg *seg, uint32_t kring_idx);
void unm_mons_free(struct unm_mons *m);

/* Where the frames are that are to be shown. */
struct unm_mon_src {
	struct netmap_ring *ring;
	uint32_t num_slots;
	char *bufs;
	uint32_t n_bufs, buf_size;
	uint64_t offset_mask;
	uint64_t region_uid; /* for unm_mons_exchange() */
	/* For the same: buffers that the slots had when they were sent. NULL: they have kept them */
	const uint32_t *sent;
	bool is_tx;
	/* Copy NS_INDIRECT payload. Return: false if it can't be read. NULL: the flag means nothing */
	bool (*fetch)(uint64_t addr, uint32_t len, void *dst);
};

/**
 * unm_mons_show() - copy slots [from, to), whole frames, to each copy monitor
 * @slot: the caller's client slot, not 0
 *
 * The newest frames that fit. The last slot ends a frame, whatever its flags say.
 */
void unm_mons_show(struct unm_mons *m, uint32_t slot, const struct unm_mon_src *src, uint32_t from,
	uint32_t to);

/**
 * unm_mons_exchange() - give the buffers of slots [from, to), which are done with, to the zero-copy
 * monitor, for as many of its own
 *
 * A frame whose buffers its receiver has kept, and given others back for, can't be shown any more.
 */
void unm_mons_exchange(struct unm_mons *m, uint32_t slot, const struct unm_mon_src *src,
	uint32_t from, uint32_t to);

/* Is there a zero-copy monitor among them? */
bool unm_mons_take_buffers(const struct unm_mons *m);

/* Wake those who got something, and wait for it. Without locks held. Return: number of signals. */
unsigned int unm_mons_wake(struct unm_mons *m);

/* Wake all: they have to look at the watched ring themselves. */
void unm_mons_wake_all(struct unm_mons *m);

#endif
