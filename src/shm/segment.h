/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The segment: what the members of a trust domain share about a set of ports.
 *
 * One sealed memfd per VALE switch, and one for all ports outside a switch (pipes, TAP, null, later
 * NICs and monitors: the "domain" segment). It holds offsets and indices, never pointers.
 *
 *   0        struct unm_seg_hdr
 *   fdb_ofs  MAC table (VALE only): n_fdb_buckets * struct unm_fdb_bucket
 *   port_ofs port table:            n_ports    * struct unm_seg_port
 *   bind_ofs binding table:         n_bindings * struct unm_seg_binding
 *   kring_ofs kring pool:           n_krings   * struct unm_kring
 *
 * Who writes what stands at each field. A field without a lock has one writer at a time. Readers
 * trust nothing here: geometry is copied into private memory and checked against the region's real
 * size when a port is first met (under @gen), positions are checked at each use, walks are bounded
 * by the table's size. A wild store of one member can thus disturb traffic, but makes nobody hang
 * or crash.
 *
 * Life of a port entry (W: netmapd, except as marked):
 *   FREE    any field may be stale. Exits: ACTIVE.
 *   ACTIVE  geometry is fixed, senders may deliver. Exits: DEAD.
 *   DEAD    no sender delivers any more once it has seen this under the ring's lock; netmapd takes
 *           and drops each rx lock before it reuses the memory. Exits: FREE.
 */
#ifndef UNM_SHM_SEGMENT_H
#define UNM_SHM_SEGMENT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_SEG_MAGIC	      0x53314d55u /* "UM1S" */
#define UNM_SEG_VERSION	      6u

#define UNM_SEG_DOMAIN	      1u
#define UNM_SEG_VALE	      2u
#define UNM_SEG_ISOLATED      3u /* of one binding of an isolated client: shm/isolated.h */

#define UNM_SEG_NPORTS_VALE   2048u
#define UNM_SEG_NPORTS_DOMAIN 8192u
#define UNM_SEG_NBINDINGS     16384u
#define UNM_SEG_NKRINGS	      32768u
#define UNM_SEG_NKRINGS_ISO   128u
#define UNM_PORT_MAX_RINGS    256u   /* per direction; VALE and TAP ports allow 64 */
#define UNM_RING_MAX_SLOTS    65536u /* receiving: VALE ports and copy monitors; all of a port's */
#define UNM_PORT_MAX_SLOTS    4096u  /* all other rings */
/* of a struct netmap_ring in its region; the compiler counts on it */
#define UNM_RING_ALIGN 128u

#define UNM_NONE       UINT32_MAX /* "no index" in every table below */

/* Kinds of port; the same words in unm_seg_port.kind and in the control protocol. */
enum unm_port_kind {
	UNM_PORT_VALE = 1,
	UNM_PORT_PIPE = 2,
	UNM_PORT_NULL = 3,
	UNM_PORT_TAP = 4,
	UNM_PORT_BASE =
		/*
		 * a persistent port that is on no switch: pipe base, NEWIF; its packets go nowhere
		 */
	5,
	UNM_PORT_NIC = 6,
	UNM_PORT_HOST = 7,
	UNM_PORT_MONITOR = 8,
	UNM_PORT_ISOLATED = 9, /* what an isolated client sees, whatever is behind it */
};

enum unm_port_state {
	UNM_PORT_FREE = 0,
	UNM_PORT_ACTIVE = 1,
	UNM_PORT_DEAD = 2,
};

#define UNM_PORTF_LOSSLESS   0x1u /* senders wait for room in this port's rx rings */
#define UNM_PORTF_PERSISTENT 0x2u /* made by NEWIF: outlives its bindings */
#define UNM_PORTF_ATTACHED   0x4u /* driven by a worker on behalf of VALE_ATTACH */
/* at least one binding: else frames to it are dropped as "closed" */
#define UNM_PORTF_OPEN 0x8u
/*
 * Taken from its switch while clients have it open: what it sends goes nowhere, and they learn of it
 * as of a link that is down. Never with OPEN
 */
#define UNM_PORTF_DETACHED 0x10u
/*
 * The administrator has taken the link down (VALE and TAP ports): it neither sends nor gets frames.
 * Its clients learn of it by NI_LINK_DOWN and POLLPRI, see port/link.h
 */
#define UNM_PORTF_LINK_DOWN 0x20u
/* A network interface that was taken down: syncs fail until it is up again (spec 12) */
#define UNM_PORTF_STOPPED 0x100u
/* Of a monitor: the port that it watched has been closed; nothing will come any more */
#define UNM_PORTF_ORPHAN 0x40u
/* Frames that clients give back on rx rings go on between interface and stack (spec 13.4) */
#define UNM_PORTF_FORWARD 0x80u
/* With ATTACHED: "vale0:IF^", the host's side of an interface (spec 16.5) */
#define UNM_PORTF_HOST_SIDE 0x200u
/* Of an interface: its host's side is on a switch, as "vale0:IF^" */
#define UNM_PORTF_STACK 0x400u
/* Of an interface: the other end of its veth pair is a port too */
#define UNM_PORTF_VETH_PEER 0x800u

/* What a monitor watches (unm_seg_port.mon_flags). */
#define UNM_MONF_TX	      0x1u
#define UNM_MONF_RX	      0x2u
#define UNM_MONF_ZCOPY	      0x4u /* takes the buffers instead of copying them; with both of the above */

#define UNM_RING_MAX_MONITORS 256u /* bounds the walk of a ring's list */

/*
 * Why a frame was not delivered. Counted in the sender's tx kring; RX_FULL also in the receiver's
 * rx kring.
 */
enum unm_drop {
	UNM_DROP_RX_FULL = 0, /* the receiver's ring has no room */
	UNM_DROP_NO_PORT,     /* the destination is the source itself, closed, or has no client */
	UNM_DROP_BAD_SLOT,    /* buffer index out of range, or an unreadable NS_INDIRECT address */
	/*
	 * slot length above the buffer size, too many fragments, frame above the receiver's limit
	 */
	UNM_DROP_TOO_LONG,
	UNM_DROP_RUNT, /* below 14 bytes */
	UNM_DROP_BUSY, /* the receiver's ring stayed locked for UNM_LOCK_WAIT_MS */
	/* the receiver's memory could not be had (netmapd away, descriptors exhausted) */
	UNM_DROP_UNMAPPED,
	UNM_DROP_POLICY, /* the forwarding decision said so */
	/* its virtio-net header is wrong, or its payload can't be cut to fit the receiver */
	UNM_DROP_OFFLOAD,
	UNM_DROP_LINK_DOWN, /* the sender's or the receiver's link is down */
	/*
	 * Of an rx ring that is joined with the other end of its veth pair: what came through the
	 * kernel. W: its sync
	 */
	UNM_DROP_JOINED,
	UNM_DROP_N,
};

struct unm_seg_hdr {
	uint32_t magic;	  /* W: netmapd, once */
	uint32_t version; /* W: netmapd, once */
	uint64_t size;	  /* bytes of the whole file. W: netmapd, once */
	uint64_t uid;	  /* random name of this segment. W: netmapd, once */
	uint32_t type;	  /* UNM_SEG_*. W: netmapd, once */
	uint32_t hdr_pad;
	char name[32]; /* "vale0", or "domain". W: netmapd, once */
	/* power of two, 0 in the domain segment. W: netmapd, once (so all that follow) */
	uint32_t n_fdb_buckets;
	uint32_t n_ports;
	uint32_t n_bindings;
	uint32_t n_krings;
	uint64_t fdb_ofs;
	uint64_t port_ofs;
	uint64_t bind_ofs;
	uint64_t kring_ofs;
	uint64_t csb_ofs; /* isolated only, else 0 */
	/* All above is the same for ever: netmapd puts it right when a member has written there */
	uint32_t
		max_ageing_s; /* seconds until an unheard MAC is forgotten, 0 = never. W: netmapd */
	/* clock tick up to which the MAC table was swept. W: any sender, by compare and swap */
	uint32_t fdb_tick;
	uint32_t hdr_pad2[2];

	/* Read at each sync by everyone, written at each change of a port or binding. W: netmapd */
	uint32_t epoch __attribute__((aligned(128)));
	uint32_t n_ports_used; /* entries at and above are FREE and were never used. W: netmapd */
	uint32_t n_krings_used;
	uint32_t n_bindings_used;
	uint32_t epoch_pad[28];
};

/*
 * MAC table: one cache line a bucket of 7 entries and their ages. An entry is (MAC << 16 | port), 0
 * = empty, read and written by single 64-bit accesses; an age is the low 8 bits of a clock of 2 s
 * ticks. The rules are in vale/fdb.h. W: any sender.
 */
#define UNM_FDB_WAYS	 7
#define UNM_FDB_NBUCKETS 2048u

struct unm_fdb_bucket {
	uint64_t entry[UNM_FDB_WAYS];
	uint8_t age[8];
} __attribute__((aligned(64)));

struct unm_seg_port {
	/* odd while netmapd changes the entry; changes with each use of it. W: netmapd */
	uint32_t gen;
	uint32_t state;	     /* enum unm_port_state. W: netmapd */
	uint32_t kind;	     /* enum unm_port_kind. W: netmapd (so all that follow) */
	uint32_t flags;	     /* UNM_PORTF_* */
	char name[64];	     /* as a request names it, NUL-terminated */
	uint64_t region_uid; /* whose rings and buffers: key of UNM_MSG_GET_REGION */
	uint32_t region_id;  /* nr_mem_id */
	uint32_t n_tx_rings; /* NIC rings; host rings follow them in the kring order */
	uint32_t n_rx_rings;
	uint32_t n_host_tx_rings;
	uint32_t n_host_rx_rings;
	uint32_t kring_base; /* first kring: tx, host tx, rx, host rx */
	uint32_t bind_head;  /* first binding of the port, or UNM_NONE */
	/* pipe: the other end's port index; monitor: the watched port's; else UNM_NONE */
	uint32_t peer_port;
	uint32_t vnet_hdr_len; /* 0, 10, 12 */
	uint32_t max_frame;    /* bytes, without virtio-net header */
	uint8_t mac[6];
	uint8_t port_pad[2];
	uint64_t created_ns; /* CLOCK_REALTIME */
	/* with a header: offloads that the port can't take (vale/vnet.h), 0 = takes all */
	uint32_t vnet_lacks;
	uint32_t peer_gen;  /* monitor: generation of the watched port */
	uint32_t mon_flags; /* monitor: UNM_MONF_* */
	uint32_t port_pad2[13];

	/*
	 * Lossless ports only: source ports (one bit each) whose tx waits for room in this port's
	 * rx rings, and a summary word that says whether the map needs a look. W: senders set, the
	 * receiver clears, all atomically.
	 */
	uint32_t room_wanted __attribute__((aligned(64)));
	uint32_t port_pad3[15];
	uint32_t room_map[UNM_SEG_NPORTS_VALE / 32];
};

/* One registered descriptor. Linked from its port, so that whoever delivers finds whom to wake. */
struct unm_seg_binding {
	uint32_t gen;	     /* odd while being changed. W: netmapd */
	uint32_t port;	     /* W: netmapd */
	uint32_t next;	     /* next binding of the same port, or UNM_NONE. W: netmapd */
	uint32_t in_use;     /* W: netmapd */
	uint32_t kloop_stop; /* sticky stop mark of SYNC_KLOOP_STOP. W: any holder of the binding */
	uint32_t kloop_running; /* unm_lock word. W: the holder that runs the loop */
	uint32_t csb_mode; /* non-zero: sync ioctls give EBUSY. W: the holder that enabled it */
	uint32_t binding_pad[9];

	/*
	 * Set by a sleeper (bit 0: waits for rx, bit 1: waits for tx room), cleared by the waker
	 * that signals the eventfd.
	 */
	uint32_t want __attribute__((aligned(64)));
	/*
	 * When it was signalled last: microseconds of the monotonic clock, modulo 2^32. The sleeper
	 * learns from it what a wake-up costs, and nothing else. W: the waker.
	 */
	uint32_t signalled_us;
	uint32_t binding_pad2[14];
};

#define UNM_WANT_RX 1u
#define UNM_WANT_TX 2u

/*
 * A buffer of a zero-copy monitor's ring changes places with one of the ring that it watches: first
 * written down here, then done, then crossed out. Whoever is killed in between leaves what netmapd
 * needs to finish it (daemon/kind_monitor.c), so that no buffer is lost or in two rings.
 * W: who exchanges, holding @lock of the monitor's ring; netmapd when that one is dead.
 */
struct unm_swap {
	uint32_t is_open;
	uint32_t pos;	 /* slot of the monitor's ring */
	uint32_t of;	 /* watched kring */
	uint32_t of_pos; /* its slot */
	uint32_t mine;	 /* buffer that was in the monitor's slot */
	uint32_t theirs; /* buffer that was in the watched slot */
};

#define UNM_MON_OF_TX 0u /* indices of mon_next and mon_of below */
#define UNM_MON_OF_RX 1u

/*
 * Shared state of one ring. A position is a slot index in [0, num_slots).
 *
 *             tx ring                                 rx ring
 *   hwcur     first slot not yet taken over           first slot that the client has not given back
 *   hwtail    (pub_tail) first slot not the client's  first slot without a packet
 *
 * On a pipe the tx ring's hwcur is the peer rx ring's hwtail: one word, one truth, whoever dies.
 */
struct unm_kring {
	/* Geometry. W: netmapd, before the port is ACTIVE */
	uint32_t port;
	uint32_t ring_id; /* index within its direction, host rings after NIC rings */
	uint32_t is_rx;
	uint32_t num_slots;
	uint64_t ring_ofs;  /* of the netmap_ring from the region's start */
	uint32_t n_users;   /* bindings of this ring. W: netmapd */
	uint32_t exclusive; /* W: netmapd */
	uint32_t mon_head;  /* first monitor ring to copy to, or UNM_NONE. W: netmapd */
	/* OFFSETS in force on this ring: largest offset in a buffer. W: netmapd */
	uint32_t offset_max;
	uint32_t offset_gap; /* 0, or the most bytes written at an offset. W: netmapd */
	uint32_t geo_pad;
	uint64_t offset_mask; /* bits of slot.ptr, 0 = no offsets. W: netmapd */
	/*
	 * A monitor's rx ring: the next one in the list of the tx ring, of the rx ring, that it
	 * watches, and which rings these are (ring/monitor.h). UNM_NONE: none. W: netmapd
	 */
	uint32_t mon_next[2];
	uint32_t mon_of[2];
	struct unm_swap swap;
	/*
	 * Joined NIC rings (port/join.h). W: netmapd, holding @busy of both rings; @join_state and
	 * @join_offer also the syncs of the rings that have them, from one value to the next
	 */
	uint32_t join_peer;   /* kring of the other ring, or UNM_NONE */
	uint32_t join_gen;    /* changes with each new peer */
	uint32_t join_state;  /* rx: enum unm_join_state */
	uint32_t join_delta;  /* rx: tx slot i is rx slot i + delta. W: its sync, before JOINED */
	uint32_t join_ready;  /* rx: its client syncs. W: its sync; the tx ring's clears it */
	uint32_t join_offer;  /* tx: enum unm_join_offer in bits 0 and 1 */
	uint32_t join_failed; /* tx: offers in vain since it was linked. W: its sync */
	uint32_t geo_pad2[1];

	/* Owner's side. W: who syncs the ring for its client, holding @busy */
	uint32_t busy __attribute__((
		aligned(128))); /* lock word, only ever tried: a busy ring is skipped */
	uint32_t hwcur;
	uint32_t last_head; /* head accepted by the last sync */
	uint32_t pub_tail;  /* tail published by the last sync */
	uint64_t n_syncs;
	uint64_t n_reinits;
	uint64_t n_pkts;  /* tx: frames taken; rx: slots given back */
	uint64_t n_bytes; /* tx only */
	uint64_t n_wakes; /* eventfd writes made by syncs of this ring */
	/*
	 * Watched by a monitor: the next slot to be taken (tx) or given back (rx) is @mon_from, but
	 * slots up to @mon_shown have been shown already
	 */
	uint32_t mon_from;
	uint32_t mon_shown;
	uint64_t owner_pad[8];

	/*
	 * Delivering side of an rx ring. W: who delivers, holding @lock (on a pipe: the peer's
	 * sync, no lock). A tx ring has only @drops here. W: who syncs it, holding @busy
	 */
	uint32_t lock __attribute__((aligned(128)));
	uint32_t hwtail;
	uint64_t rx_pkts;
	uint64_t rx_bytes;
	uint64_t rx_full;	    /* frames dropped for want of room */
	uint64_t drops[UNM_DROP_N]; /* tx only */
	uint64_t deliver_pad[12 - UNM_DROP_N];

	/* Sleepers. W: sleeper sets to 1, waker clears before it signals */
	uint32_t want __attribute__((aligned(128)));
	uint32_t want_pad[31];
};

/*
 * State of a pair of joined rings, in the rx ring's kring: the one word that says what its slots
 * and those of the tx ring mean.
 */
enum unm_join_state {
	UNM_JOIN_NONE = 0,
	UNM_JOIN_LINKED, /* each has its own buffers and frames go through the kernel, until the two
			    have agreed. Exits: JOINED (rxsync), NONE (netmapd) */
	UNM_JOIN_JOINED, /* a pipe. Exit: PARTING (netmapd) */
	UNM_JOIN_PARTING, /* netmapd is at it, or was when it died: no sync touches the rings. Exit:
			     NONE (netmapd) */
};

/* What a tx ring says to its rx ring in LINKED. In the word's other bits is the offer's number. */
#define UNM_OFFER_STATES 3u
enum unm_join_offer {
	UNM_OFFER_NONE = 0,
	UNM_OFFER_MADE,	 /* nothing of mine is on its way. Exits: TAKEN (rxsync), NONE (txsync) */
	UNM_OFFER_TAKEN, /* the rx ring goes to JOINED: the tx ring stays as it is */
};

static_assert(sizeof(struct unm_seg_hdr) == 384, "segment header");
static_assert(offsetof(struct unm_seg_hdr, epoch) == 256, "epoch on its own line");
static_assert(sizeof(struct unm_fdb_bucket) == 64, "a bucket is a cache line");
static_assert(sizeof(struct unm_seg_port) == 576, "port entry");
static_assert(sizeof(struct unm_seg_binding) == 128, "binding entry");
static_assert(sizeof(struct unm_kring) == 512, "kring");
static_assert(
	offsetof(struct unm_kring, mon_of) == 64, "what is written often is on a line of its own");
static_assert(offsetof(struct unm_kring, busy) == 128, "owner group");
static_assert(offsetof(struct unm_kring, lock) == 256, "delivery group");
static_assert(offsetof(struct unm_kring, want) == 384, "sleepers group");

/**
 * unm_seg_layout() - fill the constant part of a header for a segment of @type
 * @h:    zeroed; magic, version, type, table sizes, offsets and size are set, the caller adds name
 *        and uid
 * @type: UNM_SEG_*
 */
void unm_seg_layout(struct unm_seg_hdr *h, uint32_t type);

/**
 * unm_seg_check() - is this a segment that we understand, and does it fit its file?
 * @h:         mapped or copied header
 * @file_size: bytes of the memfd
 *
 * Every table must have the size that this version gives it, so that constants bound all later
 * walks.
 * Return: 0, -EPROTO other version, -EINVAL damaged.
 */
int unm_seg_check(const struct unm_seg_hdr *h, uint64_t file_size);

#endif
