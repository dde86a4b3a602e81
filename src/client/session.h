/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session with netmapd: finding it, starting it, asking it, and coming back after its death.
 *
 * One session a process, one question at a time (a mutex). A question may find the session dead; then it connects again, hands
 * back what the process holds (unm_desc_restore_all()), and asks once more. The control thread does the same
 * when nobody asks.
 */
#ifndef UNM_CLIENT_SESSION_H
#define UNM_CLIENT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/proto.h"

#define UNM_CALL_NOWAIT 1u /* fail at once when netmapd is away */

/* How long the data path waits for netmapd, in ms: for a wake-up, which can be given later, and for all else. */
#define UNM_PATIENCE_WAKE    100u
#define UNM_PATIENCE_DEFAULT 2000u

/* One question and its answer. */
struct unm_call {
	uint16_t type; /* enum unm_msg_type */
	unsigned int flags;
	/*
	 * ms after which there is no more waiting: -EAGAIN; nor is there in the next calls with a patience,
	 * until netmapd has answered something. An answer that comes later is thrown away. 0: as long as
	 * any answer may take
	 */
	unsigned int patience;
	uint64_t end_ms; /* session.c's: when that is */
	const void *body;
	size_t body_len;
	const int *fds; /* sent; stay the caller's */
	unsigned int n_fds;
	/* Answer */
	void *ans; /* room for @ans_size bytes of body; a longer one is cut */
	size_t ans_size;
	size_t ans_len;		       /* bytes written to @ans */
	int ans_fds[UNM_PROTO_MAXFDS]; /* the caller's to close, also when the answer is an error */
	unsigned int n_ans_fds;
	bool fds_lost; /* done, but no room here for the answer's descriptors: @error is -EMFILE */
	int error;     /* the answer's error: 0 or -errno */
};

/**
 * unm_session_call() - ask netmapd
 *
 * Blocks (without UNM_CALL_NOWAIT: up to about 5 s for a netmapd that is away, then for its answer). Thread: any. Return: 0
 * there is an answer, its own error being in @c->error; -ENOENT no netmapd, -EACCES or -EPERM refused, -EPROTO other
 * version, -EIO it went away or does not answer, -EAGAIN it has no room for us, or
 * @c->patience is over. A sentence for the user is in unm_last_error().
 */
int unm_session_call(struct unm_call *c);

/* The same from inside unm_desc_restore_all(), which runs with the session's mutex held. */
int unm_session_call_locked(struct unm_call *c);

/**
 * unm_session_on_restore() - have @hook called when a new netmapd is told what we hold, before all else
 *
 * For brokers. It runs on any thread, with the session's mutex held: unm_session_call_locked() asks. Return of @hook: 0, or
 * -errno if the session is of no use. To be set before the first session.
 */
void unm_session_on_restore(int (*hook)(void));

/**
 * unm_session_on_loss() - have @hook called when a session has ended
 *
 * For brokers. It runs on any thread, with the session's mutex held. To be set before the first session.
 */
void unm_session_on_loss(void (*hook)(void));

/* Close what the answer brought, from @from on. */
void unm_call_close_fds(struct unm_call *c, unsigned int from);

/* Connect, if need be, to learn the slot. Return: slot or 0. For unm_env.slot's slow path. */
uint32_t unm_session_slot(void);

/* Where netmapd was found, or looked for, last; "" if it never was. */
const char *unm_session_path(void);

/* Is a broker at the other end? Cheap; false before the first connection. */
bool unm_session_is_isolated(void);

/* Descriptor for the control thread to watch for hang-up; -1: none. */
int unm_session_fd(void);

/**
 * unm_session_revive() - after a hang-up: drop the dead session and try once to have a new one
 *
 * @may_start: start a netmapd if this instance is one that clients start
 * Return: 0 connected, else -errno.
 */
int unm_session_revive(bool may_start);

/* What the data path's patience is in this process, in ms (not 0); UNM_PATIENCE_DEFAULT at first. Any thread. */
unsigned int unm_session_patience(void);
void unm_session_set_patience(unsigned int ms);

/**
 * unm_session_hang_up() - for a process that is about to end: netmapd has @ms for each answer
 *
 * Once it takes longer, or can't be reached for so long, those under way and all to come fail with -EIO.
 * Thread: any.
 */
void unm_session_hang_up(unsigned int ms);

void unm_session_after_fork(void);

/* Remember a sentence for this thread's user; printed at once when UNETMAP_VERBOSE is set. */
void unm_set_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The sentence of this thread's last failed request, "" if there is none. Never NULL. */
const char *unm_last_error(void);

#endif
