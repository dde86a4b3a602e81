/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Closing descriptors that came from others.
 *
 * The last close() of a file can wait: for a process that serves it (FUSE, or what lies on it), for
 * a server far away (NFS), for a peer that does not read (SO_LINGER); of a FUSE file every close()
 * can. And whatever drops a UNIX socket drops the descriptors that lie in its queue. So who has to
 * serve others as well does neither by itself:
 *
 *   sender --queue--> a thread, one descriptor after the other
 *                       ^ watchdog: a signal to one that is in a call for 0.1 s, every 0.1 s
 *
 * Each sender has a queue of its own, and each queue a thread of its own while there is something in
 * it: what can't be closed keeps nobody else's. The signal ends a wait for a peer that does not
 * read, so what stays longer is of a file for which somebody answers who lives. How many queues
 * there may be, and how much may be in one, is for the caller to limit.
 */
#ifndef UNM_SHM_CLOSER_H
#define UNM_SHM_CLOSER_H

#include <stdbool.h>

struct unm_closer_job;

/* Of one sender; private. All zero: empty. It lives as long as the process, or until unm_closer_end(). */
struct unm_closer_queue {
	struct unm_closer_queue *next; /* of those that wait for a thread */
	struct unm_closer_job *first, **end;
	unsigned int n_jobs; /* not done yet; read without the lock */
	bool has_thread;     /* or waits for one */
	bool is_over;	     /* to be freed when it is empty */
	unsigned int *n_left;
};

/** unm_closer_start() - have a thread from now on; else the first use starts it. Return: 0, -errno */
int unm_closer_start(void);

/** unm_closer_tell() - signal the eventfd @fd (nonblocking) when a queue becomes empty; -1: none */
void unm_closer_tell(int fd);

/* All that follows never waits. Thread: any, one at a time for each queue. */

/** unm_closer_close() - close @fd, which is of a sender. Without memory for that it stays open. */
void unm_closer_close(struct unm_closer_queue *q, int fd);

/**
 * unm_closer_empty() - throw away what lies in the queue of the socket @fd, to which nothing more can
 * be sent (SHUT_RD). @fd stays the caller's
 *
 * Return: 0, -ENOMEM, -EMFILE.
 */
int unm_closer_empty(struct unm_closer_queue *q, int fd);

/** unm_closer_len() - how much has not been done yet. 0: what was asked for before has been done */
unsigned int unm_closer_len(const struct unm_closer_queue *q);

/**
 * unm_closer_end() - the sender has gone. @q, allocated by malloc(), is freed when it is empty
 * @n_left: counts it until then (atomic; lives as long as the process); NULL: nothing does
 */
void unm_closer_end(struct unm_closer_queue *q, unsigned int *n_left);

/** unm_closer_abandon() - close @fd, in a queue of its own that @n_left counts */
void unm_closer_abandon(int fd, unsigned int *n_left);

#endif
