/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What netmapd governs: regions, segments, ports and the rings in them.
 *
 *   struct unm_domain
 *     regions   unm_region_set       memory
 *     segs      unm_dseg ...         tables that clients share: a switch each, and the domain
 *                                    segment. Of two (one was handed back by clients that were
 *                                    stopped while netmapd was restarted) the first gets new ports
 *     ports     unm_dport ...        each lives in one segment, uses one region, has rings
 *
 * Life of a port here
 *   LIVE    found by name, may be bound
 *   DYING   not found by name any more, entry DEAD; waits until every binding has gone and
 *           every ring is closed. A ring can't be closed while a live client holds its lock or
 *           syncs it: the port is then looked at again by unm_domain_reap()
 *   freed   entry FREE, memory reusable
 *
 * Life of a ring
 *   closed  no buffers. An rx ring shows itself as full (hwtail just behind hwcur), so that nobody
 *           delivers into it
 *   open    has buffers; at least one binding uses it, or its kind keeps rings (pipes)
 *   closing last user gone, but the lock could not be had yet
 *
 * Everything in here belongs to netmapd's only thread.
 */
#ifndef UNM_DAEMON_DOMAIN_H
#define UNM_DAEMON_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/names.h"
#include "daemon/region.h"
#include "daemon/segment_table.h"
#include "shm/proto.h"

#define UNM_PORT_HASH	   512u
#define UNM_VALE_MAX_RINGS 64u
#define UNM_DEFAULT_SLOTS  1024u
#define UNM_MAX_EXTRA_BUFS 524288u
#define UNM_MAX_TAP_QUEUES 8u
#define UNM_MAX_PORT_FDS   64u /* UNM_PROTO_MAXFDS - UNM_BIND_FDS, and some to spare */

struct unm_dport;
struct unm_domain;
struct unm_dbinding;
struct unm_giveback;
struct unm_nic;
struct unm_nic_setting;
struct unm_offload;
struct unm_loop;

struct unm_dring {
	uint32_t obj; /* first ring object in the region, or UNM_NONE */
	uint32_t n_users;
	bool is_exclusive;
	bool is_open;
	bool is_closing;
	bool is_virgin; /* open, and never bound since */
	uint32_t offset_bits;
	uint64_t offset_max;
};

/* What the kinds of port do differently on the control side. One file each. */
struct unm_port_kind_ops {
	const char *label;
	bool keeps_rings;    /* a ring without users stays open */
	bool shares_rx_lock; /* other ports deliver into the rx rings, under their lock */
	/* The last binding has gone. */
	void (*idle)(struct unm_domain *dom, struct unm_dport *port);
	/*
	 * Ring @i has its buffers and a fresh state, and no users yet. May be NULL. Return: 0 or
	 * negative errno with the reason: the ring is closed again.
	 */
	int (*ring_opened)(struct unm_dport *port, uint32_t i, struct unm_reason *why);
	/* Nobody uses ring @i any more, whose buffers are about to be freed. May be NULL. */
	void (*ring_closing)(struct unm_dport *port, uint32_t i);
	/*
	 * The port is about to be freed, and the memory that it has of its region; nobody has it
	 * open. May be NULL.
	 */
	void (*release_memory)(struct unm_dport *port);
	/* Free what is netmapd's own (@nic). May be NULL. */
	void (*free)(struct unm_dport *port);
	/* There is a new binding; may be NULL. */
	void (*bound)(struct unm_domain *dom, struct unm_dport *port, const struct unm_dbinding *b);
	/*
	 * While ring @i was joined with another one, its position has become @pos: where the kernel
	 * path has to go on. Guarded; may be called again with the same. May be NULL.
	 */
	void (*ring_moved)(struct unm_dport *port, uint32_t i, uint32_t pos);
};

struct unm_dport {
	struct unm_domain *dom;
	struct unm_dport *next;	     /* all ports */
	struct unm_dport *next_hash; /* same bucket */
	char name[UNM_NAME_SIZE];
	enum unm_port_kind kind;
	const struct unm_port_kind_ops *ops;
	uint32_t flags; /* UNM_PORTF_*, but for OPEN, which follows n_bindings */
	bool is_dying;
	bool needs_reap;
	struct unm_dseg *seg;
	uint32_t idx, gen;
	struct unm_dregion *region;
	uint32_t n_tx, n_rx;	       /* all rings, host rings last */
	uint32_t n_host_tx, n_host_rx; /* of these, host rings */
	uint32_t tx_slots, rx_slots;
	uint32_t kring_base;
	struct unm_dring *rings; /* n_tx tx rings, then n_rx rx rings */
	uint32_t n_bindings;
	uint32_t n_pending;	     /* requests under way that will bind it: see pending.h */
	struct unm_dport *peer;	     /* pipe: the other end */
	struct unm_dport *base;	     /* pipe: whose region it uses; NULL: that port has ended */
	struct unm_dport *join_with; /* NIC: the other end of its veth pair; see join.h */
	bool is_joining;	     /* to be linked or parted, once nobody syncs */
	uint32_t n_pipes;	     /* pairs of ports that have this one as base */
	/* Monitor (monitors.h): the port that it watches, NULL: none any more */
	struct unm_dport *watched;
	uint32_t mon_flags;	 /* UNM_MONF_* */
	uint32_t mon_lo, mon_hi; /* rings that are on lists */
	uint64_t mon_seq;	 /* who came later has more */
	uint32_t vnet_hdr_len;
	uint32_t vnet_lacks; /* UNM_VNET_LACKS_* */
	uint32_t max_frame;
	uint8_t mac[6];
	int port_fds[UNM_MAX_PORT_FDS]; /* what its clients get: see UNM_BIND_FDS */
	uint32_t n_port_fds;
	uint32_t host_fd, n_host_fds; /* of these, queues of the host rings */
	struct unm_nic *nic;	      /* of a network interface, else NULL */
	int worker_pid; /* ATTACHED: who forwards for this port; 0 = nobody at the moment */
	uint64_t created_ns;
};

struct unm_port_defaults {
	uint32_t vale_slots;
	uint32_t max_ports; /* 0 = as many as the tables hold */
	uint32_t ageing_s;
	/* of network interfaces */
	int nic_mode; /* enum unm_nic_mode, 0: the best that works */
	uint32_t nic_buffers;
	uint32_t nic_busy_poll_us;
	bool nic_may_take_uplink;
};

struct unm_domain {
	struct unm_region_set regions;
	struct unm_dseg *segs;
	struct unm_dport *ports;
	struct unm_dport *hash[UNM_PORT_HASH];
	uint32_t n_ports;
	uint64_t n_removed;	  /* ports freed so far: has a walk of the list to begin again? */
	uint64_t n_monitors_made; /* gives them their mon_seq */
	uint32_t n_reap;	  /* ports and segments that unm_domain_reap() has to look at */
	bool is_adopting;	  /* clients hand their ports back: adopt.h */
	struct unm_giveback *givebacks; /* lists of extra buffers that are still to be freed */
	struct unm_port_defaults defaults;
	struct unm_nic_setting *nic_settings;
	struct unm_offload *offloads;
	/* Clients of a run before may come back, with ports that are not known here: missing.h */
	bool has_late;
	struct unm_loop *loop; /* of the server; NULL in tests */
	/* What has to survive a crash has changed; NULL in tests */
	void (*save)(struct unm_domain *dom);
	/* An interface has been opened, or is about to end as it is gone; NULL in tests */
	void (*nic_changed)(struct unm_domain *dom, const struct unm_dport *nic, bool is_there);
};

/* Everything that makes a new port. */
struct unm_port_spec {
	enum unm_port_kind kind;
	const struct unm_port_kind_ops *ops;
	const char *name;
	struct unm_dseg *seg;
	struct unm_dregion *region;    /* the port takes its own reference */
	uint32_t n_tx, n_rx;	       /* all rings, host rings last */
	uint32_t n_host_tx, n_host_rx; /* of these, host rings */
	uint32_t tx_slots, rx_slots;
	uint32_t flags;
};

void unm_domain_init(struct unm_domain *dom, const struct unm_port_defaults *defaults,
	uint64_t mem_limit, bool use_huge_pages);
void unm_domain_fini(struct unm_domain *dom);

/** unm_domain_reap() - try again to finish what a held lock had kept from being closed. */
void unm_domain_reap(struct unm_domain *dom);

/**
 * unm_domain_segment() - the one for all ports outside a switch, made when first asked for; NULL
 * with the reason.
 */
struct unm_dseg *unm_domain_segment(struct unm_domain *dom, struct unm_reason *why);

/** unm_domain_seg_by_uid(), unm_domain_switch() - borrowed, NULL if there is none */
struct unm_dseg *unm_domain_seg_by_uid(struct unm_domain *dom, uint64_t uid);
struct unm_dseg *unm_domain_switch(struct unm_domain *dom, const char *name);

/** unm_domain_add_segment() - put a new or adopted segment into the list. */
void unm_domain_add_segment(struct unm_domain *dom, struct unm_dseg *seg);

/** unm_domain_switch_get() - find or make a switch; a new one lives while it has ports. */
int unm_domain_switch_get(
	struct unm_domain *dom, const char *name, struct unm_dseg **out, struct unm_reason *why);

/** unm_domain_seg_drop_unused() - free switches without ports, and a second domain segment. */
void unm_domain_seg_drop_unused(struct unm_domain *dom);

/** unm_dport_find() - a live port by its full name, or NULL. */
struct unm_dport *unm_dport_find(struct unm_domain *dom, const char *name);

/**
 * unm_dport_new() - a port with ring objects (memory for them comes when a ring is opened) and krings,
 * not yet ACTIVE
 *
 * Return: 0, -ENOMEM with the reason; on error nothing has changed.
 */
int unm_dport_new(struct unm_domain *dom, const struct unm_port_spec *spec, struct unm_dport **out,
	struct unm_reason *why);

/** unm_dport_activate() - write the entry and let everybody see it. */
void unm_dport_activate(struct unm_dport *port);

/**
 * unm_dport_set_vnet_hdr() - set the virtio-net header's length (0, 10, 12) and what follows from
 * it, and publish
 * @lacks: offloads that the port can't take, UNM_VNET_LACKS_*
 */
void unm_dport_set_vnet_hdr(struct unm_dport *port, uint32_t len, uint32_t lacks);

/** unm_dport_set_link() - take the link up or down, publish, and wake whoever has to know. */
void unm_dport_set_link(struct unm_dport *port, bool is_up);

/** unm_dport_rename() - a live port has another name from now on. */
void unm_dport_rename(struct unm_domain *dom, struct unm_dport *port, const char *name);

/** unm_dport_leave_pair() - it is no end of a veth pair of ports any more; nor is the other one. */
void unm_dport_leave_pair(struct unm_dport *port);

/** unm_dport_update() - publish flags, header length, frame limit and OPEN of a live port. */
void unm_dport_update(struct unm_dport *port);

/**
 * unm_dport_remove() - take the port down; it is freed at once if nobody holds anything of it, else
 * later
 *
 * Bindings that still exist keep their memory until they end. @port may be gone on return.
 */
void unm_dport_remove(struct unm_domain *dom, struct unm_dport *port);

/**
 * unm_dport_close_idle() - close the rings of a live port that nobody uses, unless its kind keeps
 * them.
 */
void unm_dport_close_idle(struct unm_domain *dom, struct unm_dport *port);

/**
 * unm_dport_finish() - free a dying port if nothing holds it back. For unm_unbind() and the reaper.
 */
void unm_dport_finish(struct unm_domain *dom, struct unm_dport *port);

/* Insert into or remove from the name table. */
void unm_dport_link(struct unm_domain *dom, struct unm_dport *port);
void unm_dport_unlink(struct unm_domain *dom, struct unm_dport *port);

/** unm_dport_nic_tx(), unm_dport_nic_rx() - rings of a port that are no host rings. */
static inline uint32_t
unm_dport_nic_tx(const struct unm_dport *port)
{
	return port->n_tx - port->n_host_tx;
}

static inline uint32_t
unm_dport_nic_rx(const struct unm_dport *port)
{
	return port->n_rx - port->n_host_rx;
}

/**
 * unm_dport_host_tx_shown(), unm_dport_host_rx_shown() - what clients are told: a port without host
 * rings says 1, so that their index arithmetic works (spec 3.3)
 */
static inline uint32_t
unm_dport_host_tx_shown(const struct unm_dport *port)
{
	return port->n_host_tx > 0 ? port->n_host_tx : 1;
}

static inline uint32_t
unm_dport_host_rx_shown(const struct unm_dport *port)
{
	return port->n_host_rx > 0 ? port->n_host_rx : 1;
}

/** unm_dport_kring() - kring of ring @i (tx rings first). */
struct unm_kring *unm_dport_kring(const struct unm_dport *port, uint32_t i);
uint32_t unm_dport_ring_slots(const struct unm_dport *port, uint32_t i);
uint64_t unm_dport_ring_ofs(const struct unm_dport *port, uint32_t i);
/* objects of the region's ring pool that it takes */
uint32_t unm_dport_ring_objs(const struct unm_dport *port, uint32_t i);

/**
 * unm_dring_guard() - keep all others from ring @i: take the words that guard its positions
 *
 * Return: 0, or -EBUSY: they could not be had now. unm_dring_unguard() lets go.
 */
int unm_dring_guard(const struct unm_dport *port, uint32_t i);
void unm_dring_unguard(const struct unm_dport *port, uint32_t i);

/** unm_dring_commit() - have memory for ring @i itself, as an open one does. Return: 0, -ENOMEM. */
int unm_dring_commit(const struct unm_dport *port, uint32_t i, struct unm_reason *why);

/**
 * unm_dring_open() - give ring @i buffers and a fresh state; a ring that is open already is left
 * alone
 *
 * Return: 0, -ENOMEM, -EBUSY (a client that is leaving holds it), each with the reason.
 */
int unm_dring_open(struct unm_dport *port, uint32_t i, struct unm_reason *why);

/**
 * unm_dring_open_rx_empty() - a pipe's rx ring: open, with no buffers in its slots
 */
int unm_dring_open_rx_empty(struct unm_dport *port, uint32_t i, struct unm_reason *why);

/**
 * unm_dring_reuse() - ring @i, which was kept without users, is to have one again
 *
 * What a pipe has taken stays in it; what its last user has put there besides is forgotten.
 *
 * Return: 0, or a negative errno: its memory can't be written.
 */
int unm_dring_reuse(struct unm_dport *port, uint32_t i);

/** unm_dring_close() - take the buffers back. Return: 0, or -EBUSY: marked as closing. */
int unm_dring_close(struct unm_dport *port, uint32_t i);

#endif
