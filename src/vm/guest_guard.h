/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses to memory that the other side can take away: a file that is truncated after we have
 * mapped it makes the next load a SIGBUS. That must cost one NIC its connection, not the process.
 *
 *   any code: load from a guarded range --SIGBUS--> handler: range found?
 *                                                     yes: anonymous memory over the whole range,
 *                                                          failed = 1, eventfd written; the load is
 *                                                          repeated and finds zeroes
 *                                                     no:  the handler before us, or death
 *
 * So readers need no preparation, libnetmap's copies included: whoever was reading goes on with
 * zeroes to the end of its batch. Then the loop finds the eventfd readable and ends that
 * connection. It does the same for a front end with a descriptor that blocks, as each of the many
 * that one can have would cost all NICs of the process as much time as the first.
 *
 * Threads: ranges are added and removed by the thread that owns the guard; faults may come in any
 * thread.
 */
#ifndef UNM_VM_GUEST_GUARD_H
#define UNM_VM_GUEST_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_GUEST_MAX_REGIONS 64u /* of one guest's memory (guest_mem.h) */
/* NICs of one process */
#define UNM_GUEST_MAX_GUARDS 64u
/*
 * Of one NIC: regions, dirty log, in-flight region and records; all of them twice, as what is new is
 * mapped before what it replaces is unmapped.
 */
#define UNM_GUEST_MAX_RANGES (2 * (UNM_GUEST_MAX_REGIONS + 3))

struct unm_guest_ranges;

/* One for each NIC. */
struct unm_guest_guard {
	int event_fd; /* readable after a fault or block; the owner's to poll, closed by _fini() */
	uint32_t failed; /* W: handler */
	/* One of its descriptors has kept us waiting: none is used any more. W: thread of the loop */
	bool has_blocked;
	struct unm_guest_ranges *ranges;
};

/**
 * unm_guest_guard_init() - a guard without ranges; installs the handler when it is the first
 *
 * The handler is for SIGBUS and SIGSEGV and runs on the stack of whoever faults. It stays until the
 * process ends. Return: 0; -EUSERS there are UNM_GUEST_MAX_GUARDS; or another negative errno.
 */
int unm_guest_guard_init(struct unm_guest_guard *g);

/* All ranges of @g must be gone. */
void unm_guest_guard_fini(struct unm_guest_guard *g);

/**
 * unm_guest_guard_add() - watch [start, start + size), whole pages of one mapping
 *
 * Return: 0, -EDQUOT @g has UNM_GUEST_MAX_RANGES. What other guards have makes no difference.
 */
int unm_guest_guard_add(struct unm_guest_guard *g, void *start, size_t size);

/* Before the range is unmapped. Unknown ranges are ignored. */
void unm_guest_guard_remove(struct unm_guest_guard *g, const void *start);

/*
 * Have @added called for each range that is guarded from now on, and @removed before one no longer
 * is: they may read it without care in between. Set once, before the first range; either is called
 * by the thread that adds and removes, and what @added returns makes no difference.
 */
void unm_guest_guard_tell(
	int (*added)(const void *start, size_t size), void (*removed)(const void *start));

static inline bool
unm_guest_guard_failed(const struct unm_guest_guard *g)
{
	return __atomic_load_n(&g->failed, __ATOMIC_ACQUIRE) != 0;
}

/*
 * A descriptor of the front end has blocked (event_fd.h): has_blocked is set and the eventfd made
 * readable, as after a fault.
 */
void unm_guest_guard_block(struct unm_guest_guard *g);

#endif
