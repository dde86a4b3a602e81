/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue from the driver's side (the guest's), split and packed, for tests and measurements
 * (VIRTIO 1.2, 2.7 and 2.8).
 *
 *   vd_add(), vd_add_singles() ----> descriptors, not yet visible
 *   vd_publish() ------------------> visible; tells whether the device wants a kick
 *   vd_get() <---------------------- used buffers, by the caller's token
 *   vd_calls_on(), vd_calls_off() -> does the device have to call
 *
 * The caller gives the memory of the ring and its guest physical address, and the guest physical
 * addresses of buffers; buffers themselves are never touched. No socket, no thread, no allocation
 * after vd_init().
 *
 * A device that breaks the rules is noticed, as that is what tests are for: an id that is not in
 * flight, or is used twice, more bytes written than there was room for, an index that jumps.
 * vd_get() then returns -EPROTO, and fault says what it was.
 *
 * Fields of struct vd may be read by anyone, and the ring itself (desc, avail, used) may be written
 * by tests that play a hostile guest.
 */
#ifndef TEST_VM_VDRIVER_H
#define TEST_VM_VDRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VD_DESC_NEXT	 1u
#define VD_DESC_WRITE	 2u
#define VD_DESC_INDIRECT 4u
#define VD_DESC_AVAIL	 (1u << 7)  /* packed */
#define VD_DESC_USED	 (1u << 15) /* packed */

#define VD_MAX_SIZE	 32768u
#define VD_RING_ALIGN	 4096u	     /* of what vd_init() gets */
#define VD_PACKED_BASE	 0x80008000u /* of a fresh packed ring, as SET_VRING_BASE has it */

/* The formats in memory; little-endian, and so are the machines that we run on. */
struct vd_split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct vd_split_avail {
	uint16_t flags, idx;
	uint16_t ring[]; /* and used_event behind the last */
};

struct vd_used_elem {
	uint32_t id, len;
};

struct vd_split_used {
	uint16_t flags, idx;
	struct vd_used_elem ring[]; /* and avail_event behind the last */
};

struct vd_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

struct vd_packed_event {
	uint16_t off_wrap;
	uint16_t flags; /* 0: enabled, 1: disabled, 2: at off_wrap */
};

/* One run of guest memory. */
struct vd_seg {
	uint64_t gpa;
	uint32_t len;
};

/* A buffer that has come back. */
struct vd_used {
	uint64_t token; /* of vd_add() */
	uint32_t len;	/* bytes that the device says it has written */
};

struct vd_config {
	uint16_t num; /* split: a power of two */
	bool is_packed;
	bool has_event_idx;
	bool in_order;
	uint16_t table_len;	/* room of an indirect table, descriptors; 0: no tables */
	uint16_t indirect_from; /* chains of so many segments or more go by a table */
	uint8_t *mem;		/* vd_mem_size() bytes, aligned to VD_RING_ALIGN; borrowed */
	uint64_t gpa;		/* of mem */
};

/* What we know of a buffer in flight, by its id (split: of its first descriptor). */
struct vd_slot {
	uint64_t token;
	uint32_t write_len; /* room for the device */
	uint16_t n_descs;   /* in the ring; 0: not in flight */
	uint16_t next;	    /* split: descriptor behind this one; packed: next free id */
};

struct vd {
	struct vd_config c;
	union {
		struct vd_split_desc *split;
		struct vd_packed_desc *packed;
	} desc;
	union {
		struct vd_split_avail *split;
		struct vd_packed_event *packed; /* driver area */
	} avail;
	union {
		struct vd_split_used *split;
		struct vd_packed_event *packed; /* device area */
	} used;
	struct vd_split_desc
		*table;	      /* num tables of table_len; a packed ring's have the packed format */
	struct vd_slot *slot; /* num */
	uint16_t *fifo;	      /* num: ids in the order in which they were added (in-order only) */
	uint16_t fifo_head, fifo_len;
	uint16_t free_head;   /* split: descriptor, packed: id */
	uint16_t n_free;      /* descriptors */
	uint16_t n_in_flight; /* chains, published or not */

	uint16_t avail_pos; /* split: free-running index; packed: ring position */
	bool avail_wrap;    /* packed */
	uint16_t n_added;   /* since vd_publish(); split: chains, packed: descriptors */
	uint16_t held_pos,
		held_flags; /* packed: first head since vd_publish(), whose flags are withheld */

	uint16_t used_pos; /* split: free-running index; packed: ring position */
	bool used_wrap;	   /* packed */
	/* in-order: one used element has stood for several, not all are handed out */
	bool in_batch;
	uint16_t batch_last;
	uint32_t batch_len;
	bool wants_calls;
	/*
	 * Used elements of what could not be written, with a length all the same: it should be 0.
	 */
	uint64_t odd_lens;

	const char *fault; /* NULL: the device has kept the rules */
};

/* Bytes that vd_init() needs at c->mem (which may still be unset). */
size_t vd_mem_size(const struct vd_config *c);

/**
 * vd_init() - a fresh ring: the memory is cleared, calls are wanted
 *
 * Return: 0, -EINVAL size or alignment, -ENOMEM. To begin anew (a guest that reboots): vd_fini()
 * and vd_init().
 */
int vd_init(struct vd *v, const struct vd_config *c);
void vd_fini(struct vd *v);

/*
 * Addresses of the three parts in our address space, in the order in which SET_VRING_ADDR names
 * them for a packed ring too.
 */
static inline void *
vd_desc_area(const struct vd *v)
{
	return v->desc.split;
}

static inline void *
vd_driver_area(const struct vd *v)
{
	return v->avail.split;
}

static inline void *
vd_device_area(const struct vd *v)
{
	return v->used.split;
}

/**
 * vd_add() - make a chain: @n_read segments that the device reads, then @n_write that it writes
 *
 * Return: 0, -ENOSPC no room now, -EINVAL no segment, or more than the ring (or its tables) could
 * ever take.
 */
int vd_add(struct vd *v, const struct vd_seg *seg, unsigned int n_read, unsigned int n_write,
	uint64_t token);

/* Many buffers of one segment each. Return: how many fitted. */
unsigned int vd_add_singles(struct vd *v, const struct vd_seg *seg, const uint64_t *token,
	unsigned int n, bool is_write);

/* Show the device what was added. Return: it wants to be kicked (read after a full fence). */
bool vd_publish(struct vd *v);

/* Take up to @max used buffers. Return: how many, or -EPROTO (then always). */
int vd_get(struct vd *v, struct vd_used *out, unsigned int max);

/* Is there anything for vd_get()? */
bool vd_has_used(const struct vd *v);

/**
 * vd_calls_on() - ask for a call
 * @after: when so many more buffers have been used; 1: the next. Without event index the next in
 *   any case
 *
 * Return: something is there already; look again before sleeping (full fence within).
 */
bool vd_calls_on(struct vd *v, uint16_t after);
void vd_calls_off(struct vd *v);

/*
 * What QEMU says in SET_VRING_BASE to a server that succeeds a crashed one: split: the used index;
 * packed: as of a fresh ring.
 */
uint32_t vd_crash_base(const struct vd *v);

#endif
