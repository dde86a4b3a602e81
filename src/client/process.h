/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which process is this?
 *
 * A child of fork() has our memory, but none of our threads, and it must not speak on its parent's
 * session. A child of vfork()
 * *shares* our memory, though not our descriptors: what it closes must not be forgotten here. Both
 * may come without the C library's fork handlers (clone()), so the truth is a page that the kernel
 * wipes in a forked child:
 *
 *   page intact, pid ours     the process itself
 *   page wiped                forked child: state is made new at its first use (or in the
 *                             fork handler)
 *   page intact, other pid    vforked child: real system calls only, our tables stay as they are
 */
#ifndef UNM_CLIENT_PROCESS_H
#define UNM_CLIENT_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct unm_process_page {
	uint32_t alive;
	uint32_t slot; /* client slot of the session; 0: none yet. W: session.c */
};

extern struct unm_process_page *unm_process_page;

/* Before the first descriptor or session of the process. Return: 0 or -ENOMEM. */
int unm_process_init(void);

/**
 * unm_process_is_ours() - false in a vforked child
 *
 * In a forked child, brings our state in order first. Costs one system call.
 */
bool unm_process_is_ours(void);

/*
 * Signals blocked and cancellation off, for as long as one of our mutexes is held: a handler that
 * syncs can't deadlock.
 */
struct unm_quiet {
	sigset_t mask;
	int cancel;
};

void unm_quiet_begin(struct unm_quiet *q);
void unm_quiet_end(const struct unm_quiet *q);

#endif
