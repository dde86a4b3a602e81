/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This process's views of shared memory, and what the data path needs from its host (the client
 * library or a worker).
 *
 * A view holds addresses and sizes that were checked once; the shared originals are not looked at
 * again.
 */
#ifndef UNM_RING_VIEW_H
#define UNM_RING_VIEW_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/proto.h"
#include "shm/segment.h"

struct netmap_ring;

/*
 * A region mapped in this process. Owned by the client; valid while the client's reference is held.
 */
struct unm_region {
	char *base; /* whole region, info.size bytes, read/write */
	struct unm_region_info info;
};

/**
 * unm_region_check() - do the pools of a region lie inside it?
 *
 * Return: 0, or -EINVAL: object sizes of zero, buffers that do not start at or are no multiple of
 * 64 bytes, or are above 64 KiB, a pool past the end.
 */
int unm_region_check(const struct unm_region_info *info);

/**
 * unm_region_ring() - the netmap_ring of kring @k in @region
 * @min_slots: fewer are refused
 * @num_slots: written on success; the shared copy is not to be read again
 *
 * Return: NULL if the ring does not lie inside the region, or its number of slots is out of range.
 */
struct netmap_ring *unm_region_ring(const struct unm_region *region, const struct unm_kring *k,
	uint32_t min_slots, uint32_t *num_slots);

/* A segment mapped in this process. Owned by the client. */
struct unm_seg {
	struct unm_seg_hdr *hdr;
	uint64_t uid;
	/* Tables, computed from this version's constants, not from what the header says later */
	struct unm_fdb_bucket *fdb; /* NULL in the domain segment */
	struct unm_seg_port *ports;
	struct unm_seg_binding *bindings;
	struct unm_kring *krings;
	uint32_t n_ports, n_bindings, n_krings, n_fdb_buckets;
};

/**
 * unm_seg_attach() - check a mapped segment and fill our view of it
 * @map:  start of a read/write mapping of @size bytes, the whole memfd
 *
 * Return: 0, -EPROTO (other version), -EINVAL (damaged).
 */
int unm_seg_attach(struct unm_seg *seg, void *map, uint64_t size);

/**
 * unm_seg_port_read() - copy the constant part of a port's entry while its generation stands still
 * @copy: gen, state, kind, flags, region_uid, ring counts, kring_base, header, limits, mon_flags
 *
 * Return: false if it is no active port now.
 */
bool unm_seg_port_read(const struct unm_seg_port *e, struct unm_seg_port *copy);

/*
 * What the data path needs from the client. All of them may block on netmapd, so they are for the
 * rare cases; the data path caches what it gets. They may be called on any thread that syncs.
 */
struct unm_env {
	/*
	 * Slot of this process for shared locks; 0 = not to be had now (then the sync gives -EIO).
	 * Cheap.
	 */
	uint32_t (*slot)(void);
	/*
	 * Map the region @uid, or take another reference. Return: 0; -EAGAIN netmapd can't be asked now,
	 * or does not answer in time (@may_wait: it has all the time that it may take); -errno it is gone,
	 * or can't be mapped.
	 */
	int (*region_get)(uint64_t uid, bool may_wait, struct unm_region **out);
	void (*region_put)(struct unm_region *region);
	/*
	 * Eventfd that wakes a binding; stays the client's, who caches it. Negative errno if it
	 * can't be had.
	 */
	int (*wake_fd)(const struct unm_seg *seg, uint32_t binding, uint32_t gen);
	/*
	 * TAP queues behind a port that is attached to the switch, at most @max; only a worker gets
	 * any. They stay open until they are put. Return: how many, or -errno. NULL for a host that
	 * has none to give.
	 */
	int (*queues_get)(
		const struct unm_seg *seg, uint32_t port, uint32_t gen, int *fds, unsigned int max);
	void (*queues_put)(const int *fds, unsigned int n);
	/* A lock word did not come free. Rate-limited by the data path to one call a second. */
	void (*lock_stuck)(const struct unm_seg *seg, uint32_t kring, uint32_t word);
};

/* Ns after which a region that region_get() has refused with @err is asked for again. */
static inline uint64_t
unm_region_retry_ns(int err)
{
	return err == -EAGAIN ? UINT64_C(10000000) : UINT64_C(1000000000);
}

#endif
