/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When may a descriptor object be freed that another thread may be using?
 *
 * A sync looks its descriptor up without a lock. So what a close takes down is *retired*: freed
 * once every thread that was inside a library call at that time has left it (or was not inside).
 * Each thread has a record with a sequence number, odd while inside.
 *
 *   thread                             retiring thread
 *     seq = odd                          table entry = NULL
 *     (compiler barrier)                 membarrier()  = a full fence on every running thread
 *     entry = table[fd]                  seq odd? then wait for it to change before freeing
 *
 * The membarrier makes the thread's side free of fences: about 1 ns. Where the kernel refuses it,
 * the thread's side uses a full fence. A section must be short: a thread that is about to sleep
 * leaves it first.
 */
#ifndef UNM_CLIENT_EPOCH_H
#define UNM_CLIENT_EPOCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/handlers.h"
#include "client/spin.h"
#include "shm/atomic.h"

#define UNM_TEXT_MAX 384 /* a socket's path twice, and what about it */

struct unm_thread {
	uint32_t seq;	/* odd: inside a section. W: its thread */
	uint32_t taken; /* record belongs to a living thread */
	struct unm_thread *next;
	struct unm_spin spin;	      /* spin.h */
	struct unm_handlers handlers; /* handlers.h */
	struct unm_sleeper *sleeper;  /* sleeper.h; NULL until the thread first sleeps */
	/* raw waits (fdready.c): empty syncs in a row without a sleep in between */
	uint32_t raw_idle;
	uint32_t raw_never;	 /* it has said that it has none */
	uint64_t raw_nvcsw;	 /* voluntary context switches seen last */
	char text[UNM_TEXT_MAX]; /* sentence of the last failed request */
};

/* initial-exec: one instruction to reach; the library is loaded with the program or preloaded. */
extern __thread struct unm_thread *unm_thread_self __attribute__((tls_model("initial-exec")));
extern bool unm_epoch_fence; /* no membarrier: sections begin with a fence */

/* Make this thread's record. NULL: no memory. */
struct unm_thread *unm_thread_make(void);

static inline struct unm_thread *
unm_thread_get(void)
{
	struct unm_thread *t = unm_thread_self;

	return __builtin_expect(t != NULL, 1) ? t : unm_thread_make();
}

/**
 * unm_epoch_enter() - begin a section: what it finds in the tables stays valid until the end
 *
 * Return: token for unm_epoch_exit(). Sections nest (a signal handler may sync too).
 */
static inline bool
unm_epoch_enter(struct unm_thread *t)
{
	const uint32_t seq = UNM_READ_ONCE(t->seq);

	if (seq & 1)
		return false;
	UNM_WRITE_ONCE(t->seq, seq + 1);
	if (unm_epoch_fence)
		unm_full_fence();
	else
		__asm__ volatile("" ::: "memory");
	return true;
}

/*
 * Everything read in the section has been read before @seq turns even: pairs with the check in
 * epoch.c.
 */
static inline void
unm_epoch_exit(struct unm_thread *t, bool outer)
{
	if (outer)
		unm_store_release(&t->seq, UNM_READ_ONCE(t->seq) + 1);
}

/**
 * unm_epoch_retire() - call @fn(@arg) once no section that is running now can still use @arg
 *
 * At once when no section runs; else later, from unm_epoch_collect(). Takes a lock; not for use
 * inside a section of another thread's making.
 */
void unm_epoch_retire(void (*fn)(void *arg), void *arg);

/* Anything waiting to be freed? */
bool unm_epoch_pending(void);

/* Wait (briefly) for the sections, then free. For the control thread. */
void unm_epoch_collect(void);

/* First use in the process; later calls do nothing. */
void unm_epoch_init(void);

/* In the child of a fork: the other threads are gone, and so are their sections. */
void unm_epoch_after_fork(void);

#endif
