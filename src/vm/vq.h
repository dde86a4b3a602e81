/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue from the device's side: one face for split and packed rings (VIRTIO 1.2, 2.7 and
 * 2.8).
 *
 *   vhost_user/ (control)                      vq_split_fp.c / vq_packed_fp.c        net_[rt]x_fp.c
 *     unm_vq_start() ----------------------->  unm_vq_peek()  chain, parts  ----------->  frame
 *     unm_vq_stop()  base for the reply        unm_vq_push()  used element(s)  <--------
 *                                              unm_vq_flush() publish, call
 *
 * Everything in guest memory may change while we look: each word is read once into a private copy,
 * the copy is checked, the copy is used. A guest that breaks the rules (a loop, a chain longer than
 * the ring, a nested indirect table, an address nowhere) breaks its queue: the queue stops
 * (broken), the reason is logged once, the err descriptor is signalled, and the rest of the process
 * goes on.
 *
 * Completion is in order: what was peeked is pushed in the same sequence. An abandoned batch is not
 * lost: unm_vq_rewind() forgets the peeks that were not pushed.
 */
#ifndef UNM_VM_VQ_H
#define UNM_VM_VQ_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/guest_mem.h"

#define UNM_VQ_MAX_SIZE	 32768u
#define UNM_VQ_MAX_PARTS 1024u /* of one chain, indirect tables and region borders included */

/* Bases of rings that were never used: indices 0, wrap counters 1 */
#define UNM_VQ_FRESH	    0u
#define UNM_VQ_PACKED_FRESH 0x80008000u

/* One run of bytes of a chain, in our address space. */
struct unm_vq_part {
	uint8_t *data;
	uint32_t len;
	uint64_t gpa; /* for the dirty log */
};

/* One buffer that the driver has made available: parts to read first, then parts to write. */
struct unm_vq_chain {
	struct unm_vq_part *part; /* into the caller's array */
	uint16_t n_read, n_write;
	uint32_t read_len, write_len; /* bytes; a chain of more than UINT32_MAX bytes is an error */
	uint16_t id;		      /* for the used element */
	uint16_t n_descs;	      /* ring slots it takes (packed), 1 (split) */
};

struct unm_record;

/* Where the rings lie and where to go on, as the control path has learned it. */
struct unm_vq_config {
	uint16_t num; /* size; split: a power of two */
	bool is_packed;
	bool has_event_idx;
	bool has_indirect;
	bool in_order;
	uint64_t desc_uaddr, avail_uaddr, used_uaddr; /* front-end user addresses */
	uint64_t log_gpa; /* of the used ring, for the dirty log; UINT64_MAX: not logged */
	/* As SET_VRING_BASE has it (split: avail index; packed: both indices and wrap counters). */
	uint32_t base;
	void *inflight; /* this queue's part of the in-flight region, checked for size, or NULL */
	/* Packed: the record of this ring (record.h), which is kept without an in-flight part. */
	struct unm_record *record; /* or NULL */
	bool base_is_ours;	   /* what unm_vq_stop() has said */
	/* Nobody has had a reason to change the in-flight part since unm_vq_stop(): not read again */
	bool goes_on;
};

struct unm_vq;

/**
 * unm_vq_new() - a stopped queue
 * @mem:  borrowed, must outlive the queue
 * @name: for the log, e.g. "vale0:vm1 tx0"; copied
 *
 * Return: NULL when out of memory.
 */
struct unm_vq *unm_vq_new(struct unm_guest_mem *mem, const char *name);
void unm_vq_free(struct unm_vq *q);

/**
 * unm_vq_start() - begin to serve the rings that @c describes
 *
 * With an in-flight part, what a server before us took and did not complete is served (peeked)
 * first, in the order in which it was taken. To find that takes a look at each of its entries (1 ms
 * and more for 32768), unless the queue goes on: then what this queue itself has left is served
 * first, and the part is not read.
 *
 * With a record, a packed ring goes on where that says, if it is about this ring; a ring that is in
 * use, and nobody knows where it stands, starts broken.
 *
 * Return: 0, -EINVAL size of the queue or alignment, or an in-flight part of another version or
 * size; -EFAULT rings outside the guest's memory; -ENOMEM for the state of the in-flight part.
 */
int unm_vq_start(struct unm_vq *q, const struct unm_vq_config *c);

/*
 * Stop: nothing of the ring is touched afterwards. Return: the base for GET_VRING_BASE (of what was
 * pushed). Stopped already: the base it has.
 */
uint32_t unm_vq_stop(struct unm_vq *q);

struct unm_guest_mem *unm_vq_mem(const struct unm_vq *q);
uint16_t unm_vq_size(const struct unm_vq *q);	/* of the ring, as started */
bool unm_vq_is_running(const struct unm_vq *q); /* started and not broken */
/*
 * Does it go on where this queue has stopped itself? Else a driver has made it anew, or nobody knows
 * what was before.
 */
bool unm_vq_goes_on(const struct unm_vq *q);
const char *unm_vq_broken_reason(const struct unm_vq *q); /* NULL: not broken */

/*
 * Descriptors to signal; -1: none. Owned by the caller, who keeps them open until they are
 * replaced.
 */
void unm_vq_set_call_fd(struct unm_vq *q, int fd);
void unm_vq_set_err_fd(struct unm_vq *q, int fd);

/**
 * unm_vq_peek() - take the next chain
 * @part, @max: room for its parts
 *
 * How much there is to do for that is up to the driver, within the size of the ring:
 * unm_vq_looked_at() tells.
 *
 * Return: 1 (@c filled), 0 nothing available, -EPROTO the queue is (now) broken, -EMSGSIZE more
 * than @max parts (broken as well).
 */
int unm_vq_peek(
	struct unm_vq *q, struct unm_vq_chain *c, struct unm_vq_part *part, unsigned int max);

/*
 * The same for up to @max chains of one part each, which is all that most are: @part has room for
 * as many. Return: how many there were in a row; after that comes another kind of chain, or none,
 * or something wrong: unm_vq_peek() tells.
 */
unsigned int unm_vq_peek_singles(
	struct unm_vq *q, struct unm_vq_chain *c, struct unm_vq_part *part, unsigned int max);

/*
 * Complete the oldest chain peeked and not pushed, with @written bytes. It becomes visible to the
 * driver with unm_vq_flush().
 */
void unm_vq_push(struct unm_vq *q, const struct unm_vq_chain *c, uint32_t written);

/* A chain that is done with. */
struct unm_vq_done {
	uint32_t written;
	uint16_t id, n_descs; /* of the chain */
};

/* unm_vq_push() for the @n oldest chains. */
void unm_vq_push_burst(struct unm_vq *q, const struct unm_vq_done *d, unsigned int n);

/* Forget the latest peek, which gave @c. */
void unm_vq_unpeek(struct unm_vq *q, const struct unm_vq_chain *c);

/* Break the queue for @why, which stays the caller's. Return: -EPROTO. */
int unm_vq_break(struct unm_vq *q, const char *why);

/* Forget all peeks that were not pushed. */
void unm_vq_rewind(struct unm_vq *q);

/*
 * Publish what was pushed. Return: does the driver want to be called for it (event index or flags,
 * read after a full fence)?
 */
bool unm_vq_flush(struct unm_vq *q);

/* Signal the call descriptor (one write). */
void unm_vq_call(struct unm_vq *q);

/*
 * Kicks. Off: the driver is asked not to kick, as we look by ourselves. On: it shall kick when it
 * makes more available than was seen by the peeks so far (full fence); true if it has meanwhile:
 * then look again before sleeping.
 */
void unm_vq_kicks_off(struct unm_vq *q);
bool unm_vq_kicks_on(struct unm_vq *q);

/* Descriptors and parts of all that unm_vq_peek() gave, so far. The count is there as long as @q. */
const uint64_t *unm_vq_looked_at(const struct unm_vq *q);

#endif
