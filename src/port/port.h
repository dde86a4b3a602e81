/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bound port, as the process that syncs it sees it: the one interface between the client library
 * (or a worker) and the data path. Everything in here is private memory; what is shared lies in the
 * segment and in regions.
 *
 *   client:  struct unm_env (callbacks), struct unm_seg and struct unm_region (mappings,
 *            kept by the client)
 *      |
 *      v     unm_bport_open() ... unm_bport_poll() / _txsync() / _rxsync() ... unm_bport_close()
 *   port:    struct unm_bport { struct unm_bring tx[], rx[] } and a file per kind (unm_port_ops)
 *
 * Threads: a bport may be synced by several threads and several processes at once. A ring that is
 * being synced by another one is skipped (netmap's rule). open, close and after_fork are for one
 * thread, with no sync running.
 */
#ifndef UNM_PORT_PORT_H
#define UNM_PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/view.h"

struct netmap_if;
struct netmap_ring;
struct netmap_slot;
struct pollfd;

struct unm_bport;
struct unm_bring;
struct unm_mons;

/*
 * What a kind of port does. @head is already checked: [hwcur, head) are the slots to take (tx) or
 * to give back (rx). Both run with the ring's busy word held.
 */
struct unm_port_ops {
	/* Take slots hwcur ... head - 1; set ring->kring->hwcur; return the new tail in *tail. */
	int (*txsync)(struct unm_bring *r, uint32_t head, uint32_t *tail);
	/* Give back slots hwcur ... head - 1; return the new tail in *tail. */
	int (*rxsync)(struct unm_bring *r, uint32_t head, uint32_t *tail);
	/*
	 * The slot after the last one for which txsync has done its work; for the flush test of
	 * poll.
	 */
	uint32_t (*tx_done)(const struct unm_bring *r);
	/* The slot after the last one that txsync has taken; NULL: as tx_done. */
	uint32_t (*tx_taken)(const struct unm_bring *r);
	/*
	 * Would rxsync take what the ring's descriptor has now? If not, nobody sleeps on that. NULL:
	 * it always would.
	 */
	bool (*rx_has_room)(const struct unm_bring *r);
	/* rxsync brings frames into the ring, not somebody else's txsync */
	bool rx_arrives_here;
	/* Called at open and close of the bport; may be NULL. */
	int (*open)(struct unm_bport *bp);
	void (*close)(struct unm_bport *bp);
	/* Announce sleep on a ring where the segment's want word is not what is looked at; may be NULL. */
	void (*arm_ring)(struct unm_bring *r);
	/* In the child of a fork, another thread may have been anywhere in a sync; may be NULL. */
	void (*after_fork)(struct unm_bport *bp);
};

/* One bound ring. */
struct unm_bring {
	struct netmap_ring *ring;
	struct unm_kring *kring;
	const struct unm_port_ops *ops; /* host rings have other ones than the port */
	struct unm_bport *bp;
	char *bufs; /* buffer 0 of the region */
	uint32_t buf_size;
	uint32_t n_bufs;
	uint32_t num_slots; /* private: the shared copies are not read again */
	uint32_t ring_id;
	uint32_t kring_idx; /* in the segment */
	bool is_rx;
	int fd;			    /* queue of a TAP or of a host ring, socket of a NIC; else -1 */
	struct unm_super_rx *super; /* rx ring of the host or by AF_PACKET: its private memory */
	int stack_fd; /* NIC rx ring: queue for what is passed up to the stack, else -1 */
	/* Pipe, joined NIC: the other side of this ring; joined: where it was met (join.h) */
	struct unm_kring *peer_kring;
	struct netmap_ring *peer_ring;
	uint32_t peer_delta; /* tx: slot i is slot i + peer_delta of the peer's; pipe: 0 */
	uint32_t join_gen;
	uint64_t join_after_ns; /* tx: not offered again before */
	/* Who watches it, or the ring at the other end of the pipe. W: who syncs the ring in this process */
	struct unm_mons *mons;
	struct unm_mons *peer_mons;
	uint32_t *sent; /* pipe: buffers of the slots that were sent, for zero-copy monitors */
	/*
	 * VALE, lossless: receivers below have the flooded frame at hwcur already. W: who syncs the
	 * ring in this process
	 */
	uint32_t flood_resume;
};

struct unm_bport {
	const struct unm_env *env;
	const struct unm_port_ops *ops; /* open, close and after_fork; syncs go by the ring's own */
	struct unm_seg *seg;
	struct unm_region *region;
	struct unm_bind_info info;
	const int *fds; /* info.n_port_fds, borrowed */
	struct netmap_if *nifp;
	struct unm_bring *tx; /* n_tx bound rings */
	struct unm_bring *rx;
	uint32_t n_tx, n_rx;
	const struct unm_kring *host_rx; /* the port's first host rx ring, bound or not; or NULL */
	uint32_t vnet_hdr_len;
	uint32_t busy_thread; /* private lock: one VALE forwarding at a time a bport */
	int kick_fd;	      /* isolated: wakes the broker; borrowed */
	bool is_foreign; /* what it sends is an isolated client's. W: the broker, before the first sync */
	void *kind_data; /* of the port kind: VALE source state; monitor: view of the watched port */
	/* tx rings have got frames from a host rx ring, and are to be synced (port/host_fp.c) */
	bool has_forwarded;
};

/**
 * unm_bport_open() - make a bound port usable for syncs
 * @out:    written on success
 * @env, @seg, @region: borrowed, must outlive the bport
 * @info:   from netmapd; checked against the region's and the segment's real sizes; copied
 * @fds:    info->n_port_fds descriptors, borrowed like the above; isolated: one, which wakes the broker
 *
 * Return: 0, -EINVAL (@info does not fit), -ESTALE (port generation has passed), -ENOMEM.
 */
int unm_bport_open(struct unm_bport **out, const struct unm_env *env, struct unm_seg *seg,
	struct unm_region *region, const struct unm_bind_info *info, const int *fds);

/*
 * Free the view. Touches no shared state: other processes may hold the same binding. NULL is
 * accepted.
 */
void unm_bport_close(struct unm_bport *bp);

/*
 * In the child of a fork, before its first sync: forget private locks that a thread of the parent
 * may have held.
 */
void unm_bport_after_fork(struct unm_bport *bp);

/*
 * Has netmapd taken the port away (DELIF, a generation passed)? Then the binding is a zombie:
 * ENXIO, POLLERR.
 */
bool unm_bport_gone(const struct unm_bport *bp);

/* From now on unm_bport_gone() is true: netmapd says that this binding has ended. */
void unm_bport_lose(struct unm_bport *bp);

/**
 * unm_bport_txsync(), unm_bport_rxsync() - what NIOCTXSYNC and NIOCRXSYNC do (spec 7.5)
 *
 * Return: 0 (also after a ring was reinitialised), -EIO, -ENXIO (port gone). Blocks only for
 * receivers' locks (VALE): for each tx ring UNM_LOCK_WAIT_MS at most, and not again for a while
 * once a lock has not come free.
 */
int unm_bport_txsync(struct unm_bport *bp);
int unm_bport_rxsync(struct unm_bport *bp);

/**
 * unm_bport_poll() - one synchronisation pass of poll(2) (spec 8), without sleeping
 * @events: POLLIN, POLLRDNORM, POLLOUT, POLLWRNORM, POLLPRI (port/link.h) as the caller asked
 *
 * Return: the ready bits among @events, POLLERR added after illegal indices or provider failure.
 */
short unm_bport_poll(struct unm_bport *bp, short events);

/**
 * unm_bport_arm() - announce that this thread is about to sleep
 *
 * Sets the binding's and rings' want words, then a full fence. The caller must call
 * unm_bport_poll() once more before it sleeps on the binding's eventfd (and unm_bport_fds());
 * whoever makes the port ready after that look signals the eventfd. Several sleepers of one binding
 * may arm at once.
 */
void unm_bport_arm(struct unm_bport *bp, short events);

/**
 * unm_bport_signalled_us() - when somebody signalled the binding last, as unm_now_us() tells time
 *
 * Shared memory that others write: good for estimates only.
 */
uint32_t unm_bport_signalled_us(const struct unm_bport *bp);

/**
 * unm_bport_fds() - further descriptors that a sleeper has to watch (TAP queues)
 * @out: room for @max entries; fd and events are filled
 *
 * Return: number of entries, at most n_tx + n_rx.
 */
unsigned int unm_bport_fds(
	const struct unm_bport *bp, short events, struct pollfd *out, unsigned int max);

/**
 * unm_bring_sync_at() - sync one ring with indices from elsewhere than the ring (CSB mode, spec
 * 18.3)
 * @head, @cur: as the client wrote them; checked here
 * @hwcur, @hwtail: results
 *
 * Return: 0, -EINVAL illegal indices (the ring has been reinitialised), -EBUSY another thread syncs
 * it, -EIO.
 */
int unm_bring_sync_at(
	struct unm_bring *r, uint32_t head, uint32_t cur, uint32_t *hwcur, uint32_t *hwtail);

#endif
