/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server's own record of where a packed ring stands, for front ends that have no in-flight
 * region (inflight.h): QEMU, for network cards. A split ring says by itself how far the server has
 * come; a packed one does not, and QEMU, which can't read it, then says that it is fresh.
 *
 * A record is less than an in-flight part: as completion is in order, the position of the latest
 * batch that was published is enough, and an undo log of the batch under way, whose completions
 * overwrite descriptors before they count.
 *
 *   push:   save      the descriptor that the completion overwrites; n + 1
 *           write     the completion; the flags of the batch's first are held back
 *   flush:  prepare   next = where the ring will stand
 *           publish   the flags held back
 *           commit    pos = next, n = 0, in one store
 *
 * Whoever dies leaves a batch that was published (its first slot shows it: commit it), or one that
 * was not (put the descriptors back).
 *
 * A record lies in a file that outlives the server. It counts for the ring that it names only: the
 * same memory of the front end's, the same addresses, the same size, and one that has been used.
 * Drivers zero the device's event area when they make a ring, and a ring that is served always has
 * something else there; and every slot that we have passed had a descriptor. Contents are
 * untrusted: read once, check, use.
 *
 * The file consists of one record for each ring, UNM_RECORD_SIZE bytes apart. It is read by servers
 * of the same build only; others have another version, and find a file without records.
 */
#ifndef UNM_VM_RECORD_H
#define UNM_VM_RECORD_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_RECORD_VERSION 1u
#define UNM_RECORD_SAVED   1024u /* completions of one batch; longer ones are published in parts */

/* What becomes of a record */
#define UNM_RECORD_VOID	   0u /* nothing is known; also while the other fields change */
#define UNM_RECORD_IN_USE  1u
#define UNM_RECORD_STOPPED 2u /* the front end has asked for the position, and got it */

struct unm_record_saved {
	uint64_t word; /* length, id and flags of the descriptor as the driver made it */
	uint16_t idx;  /* its slot */
	uint16_t pad[3];
};

/* Positions: index, and the wrap counter in bit 15. Changed in one store where it matters. */
union unm_record_state {
	struct {
		uint16_t pos;  /* up to here all is published */
		uint16_t next; /* other than pos: the batch is about to be published, up to here */
		uint16_t n;    /* descriptors saved */
		uint16_t mark; /* UNM_RECORD_ */
	} f;
	uint64_t word;
};

struct unm_record_ring {
	uint32_t version;
	uint32_t num;
	uint64_t desc_uaddr, avail_uaddr, used_uaddr;
	uint64_t dev, ino; /* of the file that the ring's descriptors lie in */
};

struct unm_record {
	struct unm_record_ring ring;
	union unm_record_state state;
	uint64_t pad;
	struct unm_record_saved saved[UNM_RECORD_SAVED];
};

#define UNM_RECORD_SIZE sizeof(struct unm_record)

static_assert(sizeof(union unm_record_state) == 8, "state of a record");
static_assert(offsetof(struct unm_record, saved) == 64, "header of a record");
static_assert(UNM_RECORD_SIZE % 64 == 0, "records do not share lines");

#endif
