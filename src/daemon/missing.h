/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients of the previous run that have not come back yet: who they were, and whether they still
 * can.
 *
 * The state file has a line for each client (up to UNM_MISSING_MAX): its process id, and when it
 * was started, as process ids are used again. So a take-over need not wait for the dead, and waits
 * longer for those that live but are slow, on a machine with too much to do. Those that have given up
 * the right to connect (a capture that was started by root and runs as nobody in particular) are not
 * waited for.
 *
 * Who lives and has not come back when the wait is over, being stopped, is late: nobody waits for it
 * any more, neither this run nor the next one, but it may still come, and find its memory's numbers
 * free (region_ids.h) and the offloads of its interfaces off (offload.h). So it is until it ends,
 * which its pidfd tells: where there is none to be had, only its numbers are kept.
 */
#ifndef UNM_DAEMON_MISSING_H
#define UNM_DAEMON_MISSING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "daemon/loop.h"

#define UNM_MISSING_MAX                                                                            \
	512u /* the file is written at each coming and going: so it must stay small */

struct unm_server;

struct unm_missing {
	struct unm_missing *next;
	pid_t pid;
	uint64_t started;      /* clock ticks after boot */
	bool is_late;	       /* not waited for */
	struct unm_source src; /* late: its pidfd; fd -1: none */
	struct unm_server *srv;
};

enum unm_missing_state {
	UNM_MISSING_NOBODY, /* all that are missing have ended, or may not come back */
	UNM_MISSING_UNSURE, /* stopped, or nobody knows */
	UNM_MISSING_ALIVE,
};

/**
 * unm_process_started() - when process @pid began, in clock ticks after boot. Return: 0 when that
 * can't be known.
 */
uint64_t unm_process_started(pid_t pid);

/** unm_missing_write() - lines for all clients that the next run may expect */
void unm_missing_write(const struct unm_server *srv, FILE *f);

/**
 * unm_missing_read() - take a line of a previous run. Return: false: it is not one of
 * unm_missing_write().
 */
bool unm_missing_read(struct unm_server *srv, const char *line);

/**
 * unm_missing_returned() - the client @pid has handed back what it has, or will not. Return: it was
 * late, so it is none of those whom this run expects.
 */
bool unm_missing_returned(struct unm_server *srv, pid_t pid);

/** unm_missing_lives() - has process @pid not come back, and not ended? */
bool unm_missing_lives(const struct unm_server *srv, pid_t pid, uint64_t started);

enum unm_missing_state unm_missing_look(const struct unm_server *srv);

/** unm_missing_is_stopped() - is it kept from coming back by a signal or a debugger? */
bool unm_missing_is_stopped(const struct unm_missing *m);

/** unm_missing_give_up() - the wait is over: who lives is late from now on. */
void unm_missing_give_up(struct unm_server *srv);
void unm_missing_clear(struct unm_server *srv);

#endif
