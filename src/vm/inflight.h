/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight region of vhost-user: what a device server had taken and not completed when it
 * died.
 *
 * The back end makes the region (GET_INFLIGHT_FD), the front end keeps its descriptor and hands it
 * to the next server (SET_INFLIGHT_FD). It consists of one part per ring, each a header and an
 * entry per descriptor. The protocol fixes header and entries; where a part begins is ours to
 * choose: parts are UNM_INFLIGHT_PART(queue_size) bytes apart, whatever the ring format, as the
 * format is the driver's choice and may come later.
 *
 *   part 0                              part 1
 *   +--------+--------+-----+--------+  +--------+-...
 *   | header | desc 0 | ... | desc n |  | header |
 *   +--------+--------+-----+--------+  +--------+-...
 *
 * The protocol part (vhost_user/) sees to the region's size: a part that it passes to
 * unm_vq_start() has room for at least num entries of either format. Contents belong to the
 * virtqueue. A region that GET_INFLIGHT_FD has made is zero: version 0 means that no server has
 * used the part yet, and unm_vq_start() formats it. A front end may write to it at any time, so all
 * contents are untrusted: read once, check, use.
 *
 * Source: vhost-user protocol, "Inflight I/O tracking".
 */
#ifndef UNM_VM_INFLIGHT_H
#define UNM_VM_INFLIGHT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_INFLIGHT_VERSION 1
#define UNM_INFLIGHT_ALIGN   64u

/* Entry @i is about the chain whose head is descriptor @i. */
struct unm_inflight_desc_split {
	uint8_t inflight; /* 1: taken, not completed */
	uint8_t pad[5];
	uint16_t next;	  /* links the heads of the batch under completion */
	uint64_t counter; /* order in which chains were taken */
};

struct unm_inflight_split {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head; /* of the batch being completed */
	uint16_t used_idx;	  /* used->idx when that batch was begun */
	struct unm_inflight_desc_split desc[];
};

struct unm_inflight_desc_packed {
	uint8_t inflight;
	uint8_t pad;
	uint16_t next; /* of the free list, or of this chain's descriptors */
	uint16_t last; /* the chain's last entry, valid in its first */
	uint16_t num;  /* the chain's length, valid in its first */
	uint64_t counter;
	uint16_t id; /* this and the rest: the descriptor as it was */
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

struct unm_inflight_packed {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	uint16_t used_idx;
	uint16_t old_used_idx;
	uint8_t used_wrap;
	uint8_t old_used_wrap;
	uint8_t pad[7];
	/* The protocol's structure has its entries at the next multiple of 8. */
	struct unm_inflight_desc_packed desc[];
};

static_assert(sizeof(struct unm_inflight_desc_split) == 16, "entry of a split ring");
static_assert(sizeof(struct unm_inflight_split) == 16, "header of a split ring");
static_assert(sizeof(struct unm_inflight_desc_packed) == 32, "entry of a packed ring");
static_assert(offsetof(struct unm_inflight_packed, desc) == 32, "header of a packed ring");
static_assert(offsetof(struct unm_inflight_packed, version) ==
		      offsetof(struct unm_inflight_split, version),
	"unm_inflight_forget()");

/* Bytes between two parts; @queue_size at most UINT16_MAX, so nothing overflows. */
#define UNM_INFLIGHT_PART(queue_size)                                                              \
	((sizeof(struct unm_inflight_packed) +                                                     \
		 (uint64_t)(queue_size) * sizeof(struct unm_inflight_desc_packed) +                \
		 UNM_INFLIGHT_ALIGN - 1) &                                                         \
		~(uint64_t)(UNM_INFLIGHT_ALIGN - 1))

/* A part that no server has used yet, whatever it holds: both headers have the version there. */
static inline void
unm_inflight_forget(void *part)
{
	struct unm_inflight_split *p = part;

	p->version = 0;
}

#endif
