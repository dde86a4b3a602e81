/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the clients of a network interface port share beside the port's segment entry: one sealed
 * memfd per port, and the rings of its AF_XDP sockets, which are the kernel's format.
 *
 * Where frames lie. The sockets' UMEM is the low part of the region's buffers, the *window*. A
 * frame begins UNM_NIC_HEADROOM bytes before a buffer, so that what the kernel writes behind its
 * headroom is at the buffer's start:
 *
 *   UMEM      0 ...... frame k ..................... frame k+1
 *             | @lead  |<- 256 ->|<-- @frame_room ... ->|
 *   region              headroom  buffer k (stride @stride)
 *
 * The headroom is the end of the buffer before; nobody writes there (the XDP program is ours).
 *
 * Who owns which buffer. An rx ring has, beside the buffers in its slots, a pool of @n_pool buffers
 * that the kernel holds (fill ring, its own hands, rx ring). rxsync exchanges: the frame's buffer
 * goes into the slot, the slot's buffer into the fill ring. So the number that the kernel has is
 * constant, while which ones they are changes with each frame; @owner says it, a byte a buffer.
 *
 * A process may be killed at any instruction, while others go on with the same rings. What has to
 * change together is one word of 64 bits each, stored last:
 *
 *   txq.taken   slot up to which frames were put into the tx ring | the tx ring's producer then
 *   txq.done    completion ring's consumer | tx ring position up to which all are completed
 *   rxq.taken   slot up to which frames were received | the rx ring's consumer then
 *
 * Each slot taken is one tx descriptor, and each rx descriptor is one slot and one entry of the fill
 * ring, so from the word and from the kernel's rings the next one sees exactly how far the dead one
 * came.
 */
#ifndef UNM_SHM_NIC_H
#define UNM_SHM_NIC_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/proto.h"

#define UNM_NIC_MAGIC	   0x314e4d55u /* "UMN1" */
#define UNM_NIC_VERSION	   2u
#define UNM_NIC_HEADROOM   256u /* XDP_PACKET_HEADROOM */
#define UNM_NIC_MAX_QUEUES 32u	/* descriptors of a message: UNM_PROTO_MAXFDS */
#define UNM_NIC_MAX_BOUNCE 128u

/* How the port reaches its interface. */
enum unm_nic_mode {
	UNM_NIC_XDP_ZC = 1, /* AF_XDP, the driver's own rings */
	UNM_NIC_XDP_DRV,    /* AF_XDP, the driver runs the program, frames are copied */
	UNM_NIC_XDP_SKB,    /* AF_XDP, the stack runs the program, frames are copied */
	UNM_NIC_PACKET,	    /* AF_PACKET */
};
#define UNM_NIC_N_MODES 4u

/* What failed when a mode was tried. */
enum unm_nic_hurdle {
	UNM_NIC_NO_HURDLE, /* it was not tried, or it works */
	UNM_NIC_HURDLE_SOCKET,
	UNM_NIC_HURDLE_QUEUE,
	UNM_NIC_HURDLE_TABLE,	/* of sockets */
	UNM_NIC_HURDLE_PROGRAM, /* the XDP program could not be loaded */
	UNM_NIC_HURDLE_ATTACH,
	UNM_NIC_HURDLE_BUFFERS, /* of this region can't be used so */
	UNM_NIC_HURDLE_GUARD,	/* the mode works, but nothing keeps frames from the stack */
	UNM_NIC_HURDLE_RINGS,	/* of a bound socket can't be mapped (before Linux 6.4) */
	UNM_NIC_N_HURDLES
};

/* Offsets in the mapping of a socket's ring, as getsockopt(XDP_MMAP_OFFSETS) gives them. */
struct unm_nic_ring_ofs {
	uint64_t producer, consumer, desc, flags;
};

struct unm_nic_txq {
	uint64_t taken; /* W: who syncs the tx ring, holding its busy word (so all that follow) */
	uint64_t done;
	uint64_t n_copied; /* frames that were not in the window */
	uint64_t n_kicks;  /* system calls */
	uint64_t n_joined; /* frames that were sent as parts of larger ones */
	uint64_t txq_pad[11];
};

struct unm_nic_rxq {
	uint64_t taken; /* W: who syncs the rx ring, holding its busy word (so all that follow) */
	uint64_t n_copied; /* frames that could not be exchanged */
	uint64_t n_kicks;
	uint64_t n_too_long; /* frames of more pieces than the ring has slots */
	uint32_t n_pool;     /* buffers that the kernel holds. W: netmapd, while nobody syncs */
	uint32_t rxq_pad0;
	uint64_t rxq_pad[11];
};

/*
 * What never changes. netmapd writes it before anybody else has the file; who maps that takes a copy,
 * checks it and looks at no other (unm_nic_setup_read()), as each client can write here.
 */
struct unm_nic_setup {
	uint32_t magic;
	uint32_t version;
	uint64_t size; /* of the file */
	uint32_t mode; /* enum unm_nic_mode */
	uint32_t n_queues;
	uint32_t ifindex;
	uint32_t is_multi_buffer; /* frames of several descriptors */
	uint64_t lead;		  /* from the UMEM's start to buffer 0 */
	uint32_t stride;	  /* of buffers */
	uint32_t n_window;	  /* buffers in the UMEM: indices below */
	uint32_t frame_room;	  /* most bytes of a descriptor */
	uint32_t n_bounce;	  /* for each tx ring */
	/* entries: powers of two */
	uint32_t tx_size, comp_size, rx_size, fill_size;
	struct unm_nic_ring_ofs rx_ofs, tx_ofs, fill_ofs, comp_ofs;
	/*
	 * Chunks of the UMEM: at any address (a frame's address is then that of its chunk, with the
	 * data's offset in the bits above 48), or at multiples of the stride (then @lead is the
	 * headroom, and the address that of the data).
	 */
	uint32_t is_unaligned;
	uint32_t has_open_sums;	 /* frames may come with checksums that are still to be done */
	uint32_t is_busy_polled; /* rxsync calls the kernel when there is nothing */
	uint32_t keeps_tags;	 /* VLAN tags of received frames, also those left to an offload */
	/* For each mode from UNM_NIC_XDP_ZC on: why not (unm_nic_refusal()). For netmapd's next run */
	uint32_t refused[UNM_NIC_N_MODES];
	uint32_t joins_segments; /* they may be joined again for sending: port/nic_run.h */
	uint32_t setup_pad[5];
};

struct unm_nic_state {
	struct unm_nic_setup setup;
	struct unm_nic_txq txq[UNM_NIC_MAX_QUEUES] __attribute__((aligned(128)));
	struct unm_nic_rxq rxq[UNM_NIC_MAX_QUEUES];
	/* Buffers that frames from elsewhere are copied to. W: netmapd, while nobody syncs */
	uint32_t bounce[UNM_NIC_MAX_QUEUES][UNM_NIC_MAX_BOUNCE];
	/* For each buffer of the window: 1 + the rx ring for which the kernel has it, or 0. */
	uint8_t owner[];
};

static_assert(sizeof(struct unm_nic_txq) == 128, "a tx queue's words");
static_assert(sizeof(struct unm_nic_rxq) == 128, "an rx queue's words");
static_assert(sizeof(struct unm_nic_setup) == 256, "the constant part");
static_assert(offsetof(struct unm_nic_state, txq) == 256, "what changes");

/* Descriptors of the port in a message: one socket for each queue, then these; then host rings' queues. */
#define UNM_NIC_FD_STATE(n_queues) (n_queues)
#define UNM_NIC_FD_LINK(n_queues)  ((n_queues) + 1u) /* XDP modes: keeps the program attached */
#define UNM_NIC_FD_MAP(n_queues)   ((n_queues) + 2u) /* its table of sockets */
/* Ports with host rings: the socket for segments that are sent joined, if joins_segments */
#define UNM_NIC_FD_SEGMENTS(n_queues) ((n_queues) + 3u)

static inline uint32_t
unm_nic_n_fds(uint32_t n_queues, bool has_host_rings)
{
	return n_queues + 3 + has_host_rings;
}

/**
 * unm_nic_setup_read() - a private copy of what never changes
 * @size:   of the mapping
 * @region: whose buffers they are
 * @out:    written in any case, good on success only
 *
 * Return: 0; -EINVAL: it does not fit @n_queues sockets and the region, or is not possible at all.
 */
int unm_nic_setup_read(const struct unm_nic_state *st, uint64_t size, uint32_t n_queues,
	const struct unm_region_info *region, struct unm_nic_setup *out);

/**
 * unm_nic_bounce_read() - a private copy of tx queue @q's bounce buffers, all zeroes if it has none
 * @out: @s->n_bounce words, written in any case
 *
 * Return: 0; -EINVAL: one is not in the window.
 */
int unm_nic_bounce_read(
	const struct unm_nic_state *st, const struct unm_nic_setup *s, uint32_t q, uint32_t *out);

/* What failed, with its errno (positive), in one word. */
static inline uint32_t
unm_nic_refusal(enum unm_nic_hurdle hurdle, int error)
{
	return (uint32_t)hurdle << 16 | ((uint32_t)error & 0xffff);
}

/* UNM_NIC_N_HURDLES and above: nothing that we know. */
static inline uint32_t
unm_nic_refusal_hurdle(uint32_t refusal)
{
	return refusal >> 16;
}

static inline int
unm_nic_refusal_error(uint32_t refusal)
{
	return (int)(refusal & 0xffff);
}

/* A position in a ring of slots and one in a ring of the kernel's, in one word. */
static inline uint64_t
unm_nic_pair(uint32_t slot, uint32_t pos)
{
	return slot | (uint64_t)pos << 32;
}

static inline uint32_t
unm_nic_pair_slot(uint64_t pair)
{
	return (uint32_t)pair;
}

static inline uint32_t
unm_nic_pair_pos(uint64_t pair)
{
	return (uint32_t)(pair >> 32);
}

#endif
