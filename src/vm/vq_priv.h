/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of a virtqueue: shared by vq*.c only.
 *
 * Positions are of chains for split rings (free running, 16 bits) and of ring slots for packed ones
 * (index below num, and a wrap bit). Three of them follow each other through the ring:
 *
 *      done_flushed        done              peek              what the driver has made available
 *   ----|------------------|-----------------|-----------------|
 *         pushed, not yet     peeked, not yet
 *         visible             pushed
 *
 * Our positions live here, in private memory; the ring holds copies that are never read back while
 * the queue runs.
 */
#ifndef UNM_VM_VQ_PRIV_H
#define UNM_VM_VQ_PRIV_H

#include <endian.h>
#include <errno.h>

#include "shm/atomic.h"
#include "vm/inflight.h"
#include "vm/record.h"
#include "vm/vq.h"

#define VQ_NAME_LEN 64

/* Descriptor flags (VIRTIO 1.2, 2.7.5 and 2.8.1) */
#define DESC_F_NEXT	     1u
#define DESC_F_WRITE	     2u
#define DESC_F_INDIRECT	     4u
#define DESC_F_AVAIL	     (1u << 7)	/* packed */
#define DESC_F_USED	     (1u << 15) /* packed */

#define AVAIL_F_NO_INTERRUPT 1u
#define USED_F_NO_NOTIFY     1u

/*
 * Descriptors of a chain, those of a table included: no more than the ring has (VIRTIO 1.2,
 * 2.7.5.3.1). Linux' driver does not hold its tables to that (virtqueue_add_split()), which matters
 * in rings that are shorter than a frame can have fragments: 45, one for its beginning, and one for
 * the header. In long rings the room for parts is the limit.
 */
#define CHAIN_FLOOR 64u

/* Event suppression areas of packed rings (2.8.14) */
#define EVENT_F_ENABLE	0u
#define EVENT_F_DISABLE 1u
#define EVENT_F_DESC	2u

struct desc_split {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct desc_packed {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

struct avail_ring {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* num entries, then used_event */
};

struct used_elem {
	uint32_t id;
	uint32_t len;
};

struct used_ring {
	uint16_t flags;
	uint16_t idx;
	struct used_elem ring[]; /* num entries, then avail_event */
};

static_assert(sizeof(struct desc_split) == 16, "descriptor");
static_assert(sizeof(struct desc_packed) == 16, "packed descriptor");
static_assert(sizeof(struct used_elem) == 8, "used element");

struct packed_pos {
	uint16_t idx; /* below num */
	bool wrap;
};

static inline void
packed_advance(struct packed_pos *p, uint32_t slots, uint16_t num)
{
	const uint32_t idx = p->idx + slots;

	p->wrap ^= idx >= num;
	p->idx = (uint16_t)(idx >= num ? idx - num : idx);
}

static inline void
packed_retreat(struct packed_pos *p, uint32_t slots, uint16_t num)
{
	p->wrap ^= slots > p->idx;
	p->idx = (uint16_t)(p->idx + (slots > p->idx ? num : 0) - slots);
}

struct split_state {
	struct desc_split *desc;
	struct avail_ring *avail;
	struct used_ring *used;
	uint16_t mask;
	uint16_t avail_seen; /* avail->idx as last read */
	uint16_t peek, done, done_flushed;
	/* Used index less avail position of a chain: 0 unless the front end says else */
	uint16_t used_delta;
	/* In order: used elements held back, to be written as one */
	uint16_t held, held_id;
};

struct packed_state {
	struct desc_packed *desc;
	uint32_t *driver_event;
	uint32_t *device_event;
	uint64_t desc_gpa;  /* for the dirty log; UINT64_MAX: not logged */
	uint64_t event_gpa; /* of device_event, likewise */
	struct packed_pos peek, done, done_flushed;
	struct packed_pos seen; /* as far as we ever looked; peek goes back, this does not */
	/* Slots, each at most num: done_flushed to done, done to peek, done to seen */
	uint32_t n_done, n_peeked, n_seen;
	uint16_t first_flags; /* of the slot at done_flushed: stored last, publishes the batch */
	bool has_first;
	/* In order: used descriptors held back, to be written as one */
	uint32_t held_slots;
	struct packed_pos held_at;
	uint16_t held_id;
};

/* Packed: what the region says about an entry, checked and private. */
struct inflight_link {
	uint16_t next, last, num;
	bool in_use; /* at the start */
};

/* In-flight tracking; see vq_inflight.h. All zero: none. */
struct inflight_state {
	void *part;
	uint64_t counter; /* of the next chain taken */
	/* The three positions again, in chains and free running */
	uint32_t taken_pos, done_pos, flushed_pos;
	uint32_t taken_mask;
	uint16_t *taken;	    /* entries of the chains between flushed_pos and taken_pos */
	uint16_t *resume;	    /* entries that a server before us left, in order */
	uint32_t n_resume;	    /* taken_pos below it: the next chain is one of these */
	uint32_t n_unwrite;	    /* packed: of these, written to the ring and not published */
	uint16_t batch_head;	    /* split: last one linked */
	uint16_t free_head;	    /* packed */
	uint16_t noted_head;	    /* packed: first entry of the chain being taken */
	uint16_t n_noted;	    /* packed: entries of it */
	struct inflight_link *link; /* packed */
};

/* The record of a packed ring; see vq_record.h. All zero: none. */
struct record_state {
	struct unm_record *r;
	uint32_t n_foreign; /* completions ahead that are not ours */
	uint16_t n;	    /* descriptors saved */
	bool owes_call;	    /* for a part of a batch that was published before the flush */
};

struct unm_vq {
	struct unm_guest_mem *mem;
	struct unm_vq_config c;
	const char *broken; /* why; NULL: sound */
	const char *said;   /* why it was broken last: has been logged */
	bool running;
	bool call_owed; /* a server before us may have died before it called the driver */
	int call_fd, err_fd;
	uint32_t max_chain; /* descriptors */
	uint64_t looked_at; /* descriptors and parts */
	union {
		struct split_state s;
		struct packed_state p;
	};
	struct inflight_state inf;
	struct record_state rec;
	char name[VQ_NAME_LEN];
};

/* Little-endian words of the guest: each read once, written once. */
static inline uint16_t
guest_load16(const uint16_t *p)
{
	return le16toh(UNM_READ_ONCE(*p));
}

/* Pairs with the driver's release of the same word. */
static inline uint16_t
guest_load16_acquire(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void
guest_store16(uint16_t *p, uint16_t v)
{
	UNM_WRITE_ONCE(*p, htole16(v));
}

/* Pairs with the driver's acquire of the same word. */
static inline void
guest_store16_release(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

/* Slot @idx of a packed ring was written: for the dirty log. */
static inline void
packed_log_slot(struct unm_vq *q, uint16_t idx)
{
	if (q->p.desc_gpa != UINT64_MAX)
		unm_guest_dirty(q->mem, q->p.desc_gpa + idx * sizeof(struct desc_packed),
			sizeof(struct desc_packed));
}

/* The two ring formats. Meaning as of the functions in vq.h that are named alike. */
int unm_vq_split_map(struct unm_vq *q);
int unm_vq_split_start(struct unm_vq *q);
int unm_vq_split_peek(
	struct unm_vq *q, struct unm_vq_chain *c, struct unm_vq_part *part, unsigned int max);
unsigned int unm_vq_split_peek_singles(
	struct unm_vq *q, struct unm_vq_chain *c, struct unm_vq_part *part, unsigned int max);
void unm_vq_split_push_burst(struct unm_vq *q, const struct unm_vq_done *d, unsigned int n);
void unm_vq_split_push(struct unm_vq *q, const struct unm_vq_chain *c, uint32_t written);
void unm_vq_split_unpeek(struct unm_vq *q);
void unm_vq_split_rewind(struct unm_vq *q);
bool unm_vq_split_flush(struct unm_vq *q);
void unm_vq_split_kicks_off(struct unm_vq *q);
bool unm_vq_split_kicks_on(struct unm_vq *q);

int unm_vq_packed_map(struct unm_vq *q);
int unm_vq_packed_start(struct unm_vq *q);
int unm_vq_packed_peek(
	struct unm_vq *q, struct unm_vq_chain *c, struct unm_vq_part *part, unsigned int max);
void unm_vq_packed_push(struct unm_vq *q, const struct unm_vq_chain *c, uint32_t written);
void unm_vq_packed_unpeek(struct unm_vq *q, const struct unm_vq_chain *c);
void unm_vq_packed_rewind(struct unm_vq *q);
bool unm_vq_packed_flush(struct unm_vq *q);
void unm_vq_packed_kicks_off(struct unm_vq *q);
bool unm_vq_packed_kicks_on(struct unm_vq *q);
uint32_t unm_vq_packed_base(const struct unm_vq *q);
/* The device's event area asks for kicks, and does not look as the driver has made it. */
void unm_vq_packed_mark(struct unm_vq *q);

#endif
