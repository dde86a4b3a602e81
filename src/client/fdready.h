/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readiness of C for waits that we do not see: raw epoll, io_uring, runtimes that bypass the C
 * library.
 *
 * C is a socket, so it can be made readable. A thread that finds its rx rings empty in NIOCRXSYNC
 * and that has slept since its last such look (its count of voluntary context switches has moved,
 * and it was not us who slept) is taken to be about to sleep somewhere we don't see:
 *
 *   thread (rxsync, empty)                        control thread
 *     take the byte out of C, if there is one
 *     arm, look once more                           wakes by the binding's eventfd
 *     (sleeps in a raw wait on C)                   send one byte from D: C becomes readable
 *
 * A thread that spins never sleeps, and is asked ever more rarely. POLLOUT of C is always true.
 * UNETMAP_FD_READY=1 in the environment makes every empty rxsync do this.
 */
#ifndef UNM_CLIENT_FDREADY_H
#define UNM_CLIENT_FDREADY_H

#include <stdbool.h>

#include "client/desc.h"
#include "client/epoch.h"
#include "net/netmap.h"

#define UNM_FDREADY_SPINS  16	/* empty looks in a row without a sleep that are all examined */
#define UNM_FDREADY_PERIOD 1024 /* then one of this many */

void unm_fdready_empty(struct unm_thread *t, struct unm_desc *d, struct unm_binding *b, int fd);

static inline bool
unm_fdready_rx_empty(const struct unm_bport *bp)
{
	uint32_t i;

	for (i = 0; i < bp->n_rx; i++)
		if (UNM_READ_ONCE(bp->rx[i].ring->cur) != UNM_READ_ONCE(bp->rx[i].ring->tail))
			return false;
	return true;
}

/* After an NIOCRXSYNC on @fd. */
static inline void
unm_fdready_synced(struct unm_thread *t, struct unm_desc *d, struct unm_binding *b, int fd)
{
	uint32_t idle;

	if (t->raw_never || !unm_fdready_rx_empty(b->bport))
		return;
	idle = t->raw_idle++;
	if (idle < UNM_FDREADY_SPINS || idle % UNM_FDREADY_PERIOD == 0)
		unm_fdready_empty(t, d, b, fd);
}

/* A wait of our own has slept: that sleep does not count. */
void unm_fdready_slept_here(struct unm_thread *t);

/*
 * @t waits for @d here: so it does not sleep elsewhere, and what it may have asked for is undone. A
 * signal then wakes one thread, not two. In an epoch section.
 */
void unm_fdready_disarm(struct unm_thread *t, struct unm_desc *d, const struct unm_binding *b);

static inline void
unm_fdready_waits_here(struct unm_thread *t, struct unm_desc *d, const struct unm_binding *b)
{
	if (__builtin_expect(UNM_READ_ONCE(d->ready_armed), 0))
		unm_fdready_disarm(t, d, b);
}

/*
 * The control thread's part: its epoll instance, to be watched for POLLIN, or -1; and what to do
 * when it is readable.
 */
int unm_fdready_watch_fd(void);
void unm_fdready_signalled(void);

void unm_fdready_after_fork(void);

#endif
