/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net/netmap.h - the netmap ABI: what a client and the provider of a port share.
 *
 * Everything here is fixed by programs that exist already. Sizes, offsets, names, constants and
 * ioctl numbers must not change; test/unit/api/test_abi.c holds them one by one.
 *
 * A client opens /dev/netmap, binds the descriptor to a port with one NIOCCTRL request (or the
 * older NIOCREGIF, see net/netmap_legacy.h), maps the memory region of the port and finds in it
 *
 *	struct netmap_if         at the offset that the request returned
 *	  ring_ofs[]             distances from the netmap_if to each bound ring
 *	    struct netmap_ring   indices and a circular array of slots
 *	      slot[].buf_idx     number of a packet buffer of the region
 *
 * All links are offsets or indices, so each process may map the region at another address. The
 * macros that turn them into pointers are in net/netmap_user.h.
 *
 * Ownership. A ring of n slots is always divided in two. From head up to, but not including, tail
 * the slots belong to the client: free for a packet on a transmit ring, holding a received one on a
 * receive ring. All other slots belong to netmap, and one of them at least, so that head == tail
 * means "nothing for the client". cur lies between head and tail: a sleeping client is woken only
 * when tail moves past cur. The client writes head, cur and its own slots; netmap writes tail and
 * its own slots, and only while a holder of the ring is in poll(2), select(2) or a sync ioctl.
 */
#ifndef _NET_NETMAP_H_
#define _NET_NETMAP_H_

#if !defined(__linux__) && !defined(__FreeBSD__)
#error "net/netmap.h: the netmap ABI is defined for Linux and FreeBSD only"
#endif

#include <stdint.h>
#include <sys/types.h>
#include <sys/time.h>

/* A program may have these from the kernel's own headers, which do not mix with libc's. */
#ifndef _IOWR
#include <sys/ioctl.h>
#endif
#ifndef IFNAMSIZ
#include <net/if.h>
#endif
/* libc hides this name from programs that ask for strict ISO C. */
#ifndef IFNAMSIZ
#define IFNAMSIZ 16
#endif

/* The version that a request carries in nr_version, and the range that is accepted. */
#define NETMAP_API     14
#define NETMAP_MIN_API 14
#define NETMAP_MAX_API 15

/* Alignment of what the two sides of a ring write, far enough apart for adjacent-line prefetch. */
#define NM_CACHE_ALIGN 128

/* First letters of every VALE switch. */
#define NM_BDG_NAME "vale"

/* An array at the end of a struct whose length only run time knows. C++ has no such thing. */
#ifdef __cplusplus
#define NM_FLEX_ARRAY 0
#else
#define NM_FLEX_ARRAY
#endif

/**
 * struct netmap_slot - one place of a ring: a buffer and what is in it
 * @buf_idx: number of the buffer in the region; 0 and 1 are never valid
 * @len: bytes in use
 * @flags: NS_*
 * @ptr: address of the payload (NS_INDIRECT), or the offset of the packet in its buffer where the
 *	ring has an offset_mask; otherwise the client's to use
 */
struct netmap_slot {
	uint32_t buf_idx;
	uint16_t len;
	uint16_t flags;
	uint64_t ptr;
};

/* Slot flags. */
#define NS_BUF_CHANGED 0x0001 /* client: buf_idx is not what it was at the last sync */
#define NS_REPORT      0x0002 /* client, tx: say soon when this slot has been sent */
#define NS_FORWARD     0x0004 /* client, rx: pass the packet on to the other side of the interface */
#define NS_NO_LEARN    0x0008 /* client, tx on VALE: do not learn the source address */
#define NS_INDIRECT    0x0010 /* client, tx on VALE: the payload is at ptr */
#define NS_MOREFRAG    0x0020 /* both: the packet goes on in the next slot */
#define NS_TXMON       0x0040 /* netmap: a monitor saw this packet on a transmit ring */
#define NS_PORT_SHIFT  8
#define NS_PORT_MASK   (0xff << NS_PORT_SHIFT)
/* Number of slots of a received packet, where the port says it (VALE); takes a pointer. */
#define NS_RFRAGS(_slot) (((_slot)->flags >> 8) & 0xff)

/* Most slots of one packet that every port kind accepts. */
#define NETMAP_MAX_FRAGS 64

/**
 * struct netmap_ring - one ring; each field names its only writer
 * @buf_ofs: bytes from this struct to buffer 0 of the region. W: netmap, once
 * @num_slots: length of @slot. W: netmap, once
 * @nr_buf_size: bytes of each buffer. W: netmap, once
 * @ringid: index in the port, host rings counted after the others. W: netmap, once
 * @dir: 0 transmit, 1 receive. W: netmap, once
 * @head: first slot of the client. W: client
 * @cur: where the client wants to be woken. W: client
 * @tail: first slot of netmap. W: netmap, in a sync
 * @flags: NR_TIMESTAMP, NR_FORWARD. W: client
 * @ts: wall clock of the last receive sync. W: netmap, in a sync
 * @offset_mask: bits of slot.ptr that are an offset, 0 when offsets are not in use. W: netmap
 * @buf_align: alignment wanted of the start of a packet to transmit, 0 for none. W: netmap
 * @sem: scratch memory of the client, never touched by netmap
 * @slot: the slots
 */
struct netmap_ring {
	const int64_t buf_ofs;
	const uint32_t num_slots;
	const uint32_t nr_buf_size;
	const uint16_t ringid;
	const uint16_t dir;

	uint32_t head;
	uint32_t cur;
	uint32_t tail;

	uint32_t flags;

	struct timeval ts;

	const uint64_t offset_mask;
	const uint64_t buf_align;

	uint8_t sem[128] __attribute__((__aligned__(NM_CACHE_ALIGN)));

	__extension__ struct netmap_slot slot[NM_FLEX_ARRAY];
};

/* Ring flags. */
#define NR_TIMESTAMP 0x0002 /* fill ts at every receive sync, whatever the default is */
#define NR_FORWARD   0x0004 /* honour NS_FORWARD in the slots of this ring */

/**
 * nm_ring_empty() - does the client own no slot of this ring?
 * @ring: borrowed
 *
 * Transmit: there is no room. Receive: nothing has arrived.
 * Thread: any holder of the ring. Return: 1 or 0.
 */
static inline int
nm_ring_empty(struct netmap_ring *ring)
{
	return ring->head == ring->tail;
}

/**
 * struct netmap_if - what a binding sees of its port; written by netmap unless said otherwise
 * @ni_name: name of the port, possibly cut short
 * @ni_version: always 0
 * @ni_flags: NI_PRIV_MEM; NI_LINK_DOWN and NI_NO_SWITCH, as of the last NIOCTXSYNC or NIOCRXSYNC
 * @ni_tx_rings: transmit rings, without host rings
 * @ni_rx_rings: receive rings, without host rings
 * @ni_bufs_head: first extra buffer, 0 for none; each begins with the index of the next. W: client
 *	after registration; read back when the port is closed
 * @ni_host_tx_rings: entries of @ring_ofs kept for host transmit rings
 * @ni_host_rx_rings: entries of @ring_ofs kept for host receive rings
 * @ni_spare1: not used
 * @ring_ofs: bytes from this struct to each ring, 0 for a ring that is not bound; in the order
 *	transmit, host transmit, receive, host receive
 */
struct netmap_if {
	char ni_name[IFNAMSIZ];
	const uint32_t ni_version;
	const uint32_t ni_flags;
	const uint32_t ni_tx_rings;
	const uint32_t ni_rx_rings;

	uint32_t ni_bufs_head;
	const uint32_t ni_host_tx_rings;
	const uint32_t ni_host_rx_rings;
	const uint32_t ni_spare1[3];

	__extension__ const ssize_t ring_ofs[NM_FLEX_ARRAY];
};

#define NI_PRIV_MEM 0x1 /* the port does not use the global region */
/*
 * The administrator has taken the port's link down: frames are dropped both ways. poll() reports
 * POLLPRI from a change until the next NIOCTXSYNC or NIOCRXSYNC, which brings these bits up to date.
 * Ours, not netmap's.
 */
#define NI_LINK_DOWN 0x2
#define NI_NO_SWITCH 0x4 /* with NI_LINK_DOWN: the port has been taken from its switch */

/* struct nmreq and the ioctls of older programs. */
#include <net/netmap_legacy.h>

/* Bytes of the port name in a request, and most bytes of a body with all its options. */
#define NETMAP_REQ_IFNAMSIZ 64
#define NETMAP_REQ_MAXSIZE  4096

/**
 * struct nmreq_header - argument of NIOCCTRL
 * @nr_version: NETMAP_API
 * @nr_reqtype: NETMAP_REQ_*
 * @nr_reserved: 0
 * @nr_name: the port, terminated by a zero byte
 * @nr_options: address of the first struct nmreq_option, 0 for none
 * @nr_body: address of the body of the request, 0 if it has none
 */
struct nmreq_header {
	uint16_t nr_version;
	uint16_t nr_reqtype;
	uint32_t nr_reserved;
	char nr_name[NETMAP_REQ_IFNAMSIZ];
	uint64_t nr_options;
	uint64_t nr_body;
};

/* Requests; the comment names the body. */
enum {
	NETMAP_REQ_REGISTER = 1,	      /* nmreq_register: bind the descriptor to a port */
	NETMAP_REQ_PORT_INFO_GET = 2,	      /* nmreq_port_info_get */
	NETMAP_REQ_VALE_ATTACH = 3,	      /* nmreq_vale_attach */
	NETMAP_REQ_VALE_DETACH = 4,	      /* nmreq_vale_detach */
	NETMAP_REQ_VALE_LIST = 5,	      /* nmreq_vale_list */
	NETMAP_REQ_PORT_HDR_SET = 6,	      /* nmreq_port_hdr */
	NETMAP_REQ_PORT_HDR_GET = 7,	      /* nmreq_port_hdr */
	NETMAP_REQ_VALE_NEWIF = 8,	      /* nmreq_vale_newif */
	NETMAP_REQ_VALE_DELIF = 9,	      /* none */
	NETMAP_REQ_VALE_POLLING_ENABLE = 10,  /* nmreq_vale_polling */
	NETMAP_REQ_VALE_POLLING_DISABLE = 11, /* nmreq_vale_polling */
	NETMAP_REQ_POOLS_INFO_GET = 12,	      /* nmreq_pools_info */
	NETMAP_REQ_SYNC_KLOOP_START = 13,     /* nmreq_sync_kloop_start */
	NETMAP_REQ_SYNC_KLOOP_STOP = 14,      /* none */
	NETMAP_REQ_CSB_ENABLE = 15	      /* none */
};

/* Options; the comment names the struct, which begins with a struct nmreq_option. */
enum {
	NETMAP_REQ_OPT_EXTMEM = 1,		/* nmreq_opt_extmem */
	NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS = 2, /* nmreq_opt_sync_kloop_eventfds */
	NETMAP_REQ_OPT_CSB = 3,			/* nmreq_opt_csb */
	NETMAP_REQ_OPT_SYNC_KLOOP_MODE = 4,	/* nmreq_opt_sync_kloop_mode */
	NETMAP_REQ_OPT_OFFSETS = 5,		/* nmreq_opt_offsets */
	NETMAP_REQ_OPT_MAX			/* first number that is not an option */
};

/**
 * struct nmreq_option - how each option begins
 * @nro_next: address of the next option, 0 after the last
 * @nro_reqtype: NETMAP_REQ_OPT_*
 * @nro_status: on return 0 if honoured, else an errno value; written even if the request fails
 * @nro_size: bytes of the whole option, where its size can vary (EVENTFDS)
 */
struct nmreq_option {
	uint64_t nro_next;
	uint32_t nro_reqtype;
	uint32_t nro_status;
	uint64_t nro_size;
};

/**
 * struct nmreq_register - bind the descriptor to the rings of a port, creating it where possible
 * @nr_offset: out: where in the region the struct netmap_if is
 * @nr_memsize: out: bytes of the region
 * @nr_tx_slots: in: wish, 0 for the default; out: slots of each transmit ring
 * @nr_rx_slots: likewise, receive rings
 * @nr_tx_rings: in: wish, 0 for the default; out: transmit rings
 * @nr_rx_rings: likewise, receive rings
 * @nr_host_tx_rings: likewise, host transmit rings
 * @nr_host_rx_rings: likewise, host receive rings
 * @nr_mem_id: in: region wanted, 0 for any; out: region in use
 * @nr_ringid: in: the ring, for NR_REG_ONE_NIC and NR_REG_ONE_SW
 * @nr_mode: in: NR_REG_*
 * @nr_extra_bufs: in: extra buffers wanted; out: obtained
 * @nr_flags: in: NR_MONITOR_TX and those that follow it; unknown bits are ignored
 */
struct nmreq_register {
	uint64_t nr_offset;
	uint64_t nr_memsize;
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_host_tx_rings;
	uint16_t nr_host_rx_rings;
	uint16_t nr_mem_id;
	uint16_t nr_ringid;
	uint32_t nr_mode;
	uint32_t nr_extra_bufs;
	uint64_t nr_flags;
};

/* Which rings a registration binds; also in nr_flags of the legacy struct nmreq. */
enum {
	NR_REG_DEFAULT = 0,	/* legacy only: nr_ringid says it */
	NR_REG_ALL_NIC = 1,	/* all but the host rings */
	NR_REG_SW = 2,		/* the host rings */
	NR_REG_NIC_SW = 3,	/* all */
	NR_REG_ONE_NIC = 4,	/* ring nr_ringid */
	NR_REG_PIPE_MASTER = 5, /* legacy only: pipe end "name{nr_ringid" */
	NR_REG_PIPE_SLAVE = 6,	/* legacy only: pipe end "name}nr_ringid" */
	NR_REG_NULL = 7,	/* a port without packets, for the use of its region */
	NR_REG_ONE_SW = 8	/* host ring nr_ringid */
};

/* nr_flags of a registration. */
#define NR_MONITOR_TX	   0x100   /* see what the named port transmits */
#define NR_MONITOR_RX	   0x200   /* see what the named port receives */
#define NR_ZCOPY_MON	   0x400   /* monitor by exchanging buffers; implies both directions */
#define NR_EXCLUSIVE	   0x800   /* nobody else may bind these rings */
#define NR_RX_RINGS_ONLY   0x2000  /* leave the transmit rings alone */
#define NR_TX_RINGS_ONLY   0x4000  /* leave the receive rings alone */
#define NR_ACCEPT_VNET_HDR 0x8000  /* the client copes with virtio-net headers */
#define NR_DO_RX_POLL	   0x10000 /* poll for POLLOUT releases receive slots too */
#define NR_NO_TX_POLL	   0x20000 /* poll transmits only when asked for POLLOUT */

/* NIOCCTRL carries a struct nmreq_header; the syncs act on all rings bound to the descriptor. */
#define NIOCCTRL   _IOWR('i', 151, struct nmreq_header)
#define NIOCTXSYNC _IO('i', 148)
#define NIOCRXSYNC _IO('i', 149)

/**
 * struct nmreq_port_info_get - ask for the geometry of a port without binding it
 *
 * Fields as in struct nmreq_register. With an empty name only the region nr_mem_id is reported.
 */
struct nmreq_port_info_get {
	uint64_t nr_memsize;
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_host_tx_rings;
	uint16_t nr_host_rx_rings;
	uint16_t nr_mem_id;
	uint16_t pad[3];
};

/**
 * struct nmreq_vale_attach - make an interface a port of a VALE switch
 * @reg: in: nr_mode NR_REG_ALL_NIC, or NR_REG_NIC_SW to connect the host's stack as well
 * @port_index: out
 * @pad1: not used
 */
struct nmreq_vale_attach {
	struct nmreq_register reg;
	uint32_t port_index;
	uint32_t pad1;
};

/** struct nmreq_vale_detach - undo nmreq_vale_attach; @port_index is returned */
struct nmreq_vale_detach {
	uint32_t port_index;
	uint32_t pad1;
};

/**
 * struct nmreq_vale_list - look up one port, or walk over all
 * @nr_bridge_idx: in: where to begin; out: switch of the port found
 * @pad1: not used
 * @nr_port_idx: in: where to begin; out: the port found
 */
struct nmreq_vale_list {
	uint16_t nr_bridge_idx;
	uint16_t pad1;
	uint32_t nr_port_idx;
};

/** struct nmreq_port_hdr - bytes of virtio-net header before each frame: 0, 10 or 12 */
struct nmreq_port_hdr {
	uint32_t nr_hdr_len;
	uint32_t pad1;
};

/** struct nmreq_vale_newif - create a persistent VALE port; fields as in struct nmreq_register */
struct nmreq_vale_newif {
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_mem_id;
	uint16_t pad1;
};

/* nr_mode of struct nmreq_vale_polling. */
enum {
	NETMAP_POLLING_MODE_SINGLE_CPU = 1, /* one core serves all rings */
	NETMAP_POLLING_MODE_MULTI_CPU = 2   /* one core per ring */
};

/**
 * struct nmreq_vale_polling - have cores poll an attached interface instead of its interrupts
 * @nr_mode: NETMAP_POLLING_MODE_*
 * @nr_first_cpu_id: first core
 * @nr_num_polling_cpus: cores to use
 * @pad1: not used
 */
struct nmreq_vale_polling {
	uint32_t nr_mode;
	uint32_t nr_first_cpu_id;
	uint32_t nr_num_polling_cpus;
	uint32_t pad1;
};

/**
 * struct nmreq_pools_info - layout of a region: three pools, each of equal objects
 * @nr_memsize: bytes of the region
 * @nr_mem_id: the region
 * @pad1: not used
 * @nr_if_pool_offset: bytes from the start of the region to the pool of struct netmap_if
 * @nr_if_pool_objtotal: objects in it
 * @nr_if_pool_objsize: bytes of each
 * @nr_ring_pool_offset: the same three for rings ...
 * @nr_ring_pool_objtotal: ...
 * @nr_ring_pool_objsize: ...
 * @nr_buf_pool_offset: ... and for buffers
 * @nr_buf_pool_objtotal: ...
 * @nr_buf_pool_objsize: ...
 */
struct nmreq_pools_info {
	uint64_t nr_memsize;
	uint16_t nr_mem_id;
	uint16_t pad1[3];
	uint64_t nr_if_pool_offset;
	uint32_t nr_if_pool_objtotal;
	uint32_t nr_if_pool_objsize;
	uint64_t nr_ring_pool_offset;
	uint32_t nr_ring_pool_objtotal;
	uint32_t nr_ring_pool_objsize;
	uint64_t nr_buf_pool_offset;
	uint32_t nr_buf_pool_objtotal;
	uint32_t nr_buf_pool_objsize;
};

/** struct nmreq_sync_kloop_start - sync in a loop until stopped; pause of at most one second */
struct nmreq_sync_kloop_start {
	uint32_t sleep_us;
	uint32_t pad1;
};

/**
 * struct nm_csb_atok - indices of one ring in CSB mode, from the client to the loop
 * @head: as in the ring. W: client
 * @cur: as in the ring. W: client
 * @appl_need_kick: the client sleeps: signal its irqfd. W: client
 * @sync_flags: 1 look at the source again, 2 reclaim sent buffers. W: client
 * @pad: fills the cache line
 */
struct nm_csb_atok {
	uint32_t head;
	uint32_t cur;
	uint32_t appl_need_kick;
	uint32_t sync_flags;
	uint32_t pad[12];
};

/**
 * struct nm_csb_ktoa - indices of one ring in CSB mode, from the loop to the client
 * @hwcur: first slot that the loop has not yet taken over. W: loop
 * @hwtail: first slot of netmap, as tail in the ring. W: loop
 * @kern_need_kick: the loop sleeps: signal its ioeventfd. W: loop
 * @pad: fills the cache line
 */
struct nm_csb_ktoa {
	uint32_t hwcur;
	uint32_t hwtail;
	uint32_t kern_need_kick;
	uint32_t pad[13];
};

/** nm_stst_barrier() - stores before it are seen before stores after it; see the pair below */
static inline void
nm_stst_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/** nm_ldld_barrier() - loads after it happen after loads before it; see the pair below */
static inline void
nm_ldld_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/**
 * nm_sync_kloop_appl_write() - hand the indices of a ring to the sync loop
 * @atok: entry of the ring
 * @cur: new value
 * @head: new value
 *
 * The loop loads head first and cur second, so cur is stored first:
 *
 *	client (here)            loop
 *	fill slots
 *	  release fence
 *	store cur
 *	  release fence
 *	store head         --->  load head
 *	                           acquire fence
 *	                         load cur, slots
 *
 * A head that the loop sees thus comes with a cur that is no older, and with filled slots.
 * Thread: the one that uses the ring. Never blocks.
 */
static inline void
nm_sync_kloop_appl_write(struct nm_csb_atok *atok, uint32_t cur, uint32_t head)
{
	nm_stst_barrier();
	__atomic_store_n(&atok->cur, cur, __ATOMIC_RELAXED);
	nm_stst_barrier();
	__atomic_store_n(&atok->head, head, __ATOMIC_RELAXED);
}

/**
 * nm_sync_kloop_appl_read() - learn how far the sync loop has come
 * @ktoa: entry of the ring
 * @hwtail: out
 * @hwcur: out
 *
 *	loop                     client (here)
 *	fill slots, store hwcur
 *	  release fence
 *	store hwtail       --->  load hwtail
 *	                           acquire fence
 *	                         load hwcur
 *	                           acquire fence
 *	                         read slots
 *
 * Thread: the one that uses the ring. Never blocks.
 */
static inline void
nm_sync_kloop_appl_read(struct nm_csb_ktoa *ktoa, uint32_t *hwtail, uint32_t *hwcur)
{
	*hwtail = __atomic_load_n(&ktoa->hwtail, __ATOMIC_RELAXED);
	nm_ldld_barrier();
	*hwcur = __atomic_load_n(&ktoa->hwcur, __ATOMIC_RELAXED);
	nm_ldld_barrier();
}

/**
 * struct nmreq_opt_sync_kloop_eventfds - how loop and client wake each other, for each bound ring
 * @nro_opt: nro_size is 24 + 8 for each entry
 * @eventfds: transmit rings first. ioeventfd wakes the loop, irqfd the client; -1 for none
 */
struct nmreq_opt_sync_kloop_eventfds {
	struct nmreq_option nro_opt;
	__extension__ struct {
		int32_t ioeventfd;
		int32_t irqfd;
	} eventfds[NM_FLEX_ARRAY];
};

/**
 * struct nmreq_opt_sync_kloop_mode - sync where the ioeventfd is signalled, not in the loop
 * @nro_opt: header
 * @mode: NM_OPT_SYNC_KLOOP_DIRECT_*, or-ed
 */
struct nmreq_opt_sync_kloop_mode {
	struct nmreq_option nro_opt;
#define NM_OPT_SYNC_KLOOP_DIRECT_TX 1
#define NM_OPT_SYNC_KLOOP_DIRECT_RX 2
	uint32_t mode;
};

/**
 * struct nmreq_opt_extmem - use memory of the client as the region
 * @nro_opt: header
 * @nro_usrptr: address of the memory
 * @nro_info: in: nr_memsize and wishes for the pools, 0 for defaults; out: the layout
 */
struct nmreq_opt_extmem {
	struct nmreq_option nro_opt;
	uint64_t nro_usrptr;
	struct nmreq_pools_info nro_info;
};

/**
 * struct nmreq_opt_csb - exchange ring indices through these arrays, one entry per bound ring
 * @nro_opt: header
 * @csb_atok: address of an array of struct nm_csb_atok, aligned to 64 bytes
 * @csb_ktoa: address of an array of struct nm_csb_ktoa, aligned to 64 bytes
 */
struct nmreq_opt_csb {
	struct nmreq_option nro_opt;
	uint64_t csb_atok;
	uint64_t csb_ktoa;
};

/**
 * struct nmreq_opt_offsets - packets may begin behind the start of their buffers
 * @nro_opt: header
 * @nro_max_offset: in: largest offset that the client will use; out: the one in force
 * @nro_initial_offset: stored into every slot of the rings that this registration opens
 * @nro_offset_bits: low bits of slot.ptr that hold the offset; 0 or 64 for all
 * @nro_tx_align: part of the ABI, not used
 * @nro_min_gap: most bytes written at an offset, where slots share buffers; 0 for no such limit
 */
struct nmreq_opt_offsets {
	struct nmreq_option nro_opt;
	uint64_t nro_max_offset;
	uint64_t nro_initial_offset;
	uint32_t nro_offset_bits;
	uint32_t nro_tx_align;
	uint64_t nro_min_gap;
};

#endif /* _NET_NETMAP_H_ */
