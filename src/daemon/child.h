/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that netmapd starts and keeps running: workers (worker.h) and brokers (isolate.h).
 *
 * Each is an ordinary client and outlives netmapd. Its end is seen by a pidfd, as one that was
 * taken over from a previous run is not our child. One that ends is started again, after a pause
 * that grows with each failure: 1, 2, 4 s and so on up to a minute, and 1 s again after one that ran
 * for some seconds.
 *
 * What it works on may be taken away, and come back: that is no failure. It waits for that, then
 * starts at once, but twice a second at the most, however often that happens.
 */
#ifndef UNM_DAEMON_CHILD_H
#define UNM_DAEMON_CHILD_H

#include "daemon/server.h"

struct unm_child;

struct unm_child_ops {
	const char *program; /* beside netmapd, or in libexec */
	/* What it needs; NULL: nothing. Return: 0, or negative errno with the reason. */
	int (*prepare)(struct unm_child *c, struct unm_reason *why);
	/* In the new process: execl(@path, ...). Returning is a failure, errno says which. */
	void (*exec)(const struct unm_child *c, const char *path);
	/* It runs now as process c->pid, or does not (0). */
	void (*changed)(struct unm_child *c);
	const char *(*name)(const struct unm_child *c); /* for the log */
	/* It has just ended: as what it works on was taken away? NULL: never */
	bool (*was_deprived)(struct unm_child *c);
	/*
	 * Is what it works on away, so that it can't start? That is asked every few seconds, and
	 * after unm_child_due(). NULL: never
	 */
	bool (*has_to_wait)(struct unm_child *c);
};

struct unm_child {
	struct unm_source src; /* pidfd; -1 while it does not run */
	struct unm_child *next;
	struct unm_server *srv;
	const struct unm_child_ops *ops;
	pid_t pid;
	uint64_t started_ns;
	uint64_t next_start_ns; /* 0: runs */
	uint32_t pause_s;
	bool waits; /* as ops->has_to_wait() said */
	int status; /* of its end, as wait(2) has it; -1: not known */
};

/** unm_child_init() - @c is part of the caller's own; it is in the server's list until its end. */
void unm_child_init(struct unm_child *c, struct unm_server *srv, const struct unm_child_ops *ops);

/**
 * unm_child_start() - run the program
 *
 * Blocks until its image has been loaded. Return: 0, or negative errno with the reason: what it needs
 * is not there, or no such program can be run. Then it is not tried again.
 */
int unm_child_start(struct unm_child *c, struct unm_reason *why);

/** unm_child_keep() - the same; a failure is logged, and it is tried again later. */
void unm_child_keep(struct unm_child *c);

/** unm_child_due() - what one that waits has to wait for may be there. */
void unm_child_due(struct unm_child *c);

/** unm_child_adopt() - @pid, which a previous run started, is the one. */
void unm_child_adopt(struct unm_child *c, pid_t pid);

/** unm_child_is_any() - is process @pid one of them? */
bool unm_child_is_any(const struct unm_server *srv, pid_t pid);

/** unm_child_end() - kill it, wait for that, and forget @c. */
void unm_child_end(struct unm_child *c);

/** unm_child_reap() - collect those that have ended (SIGCHLD). */
void unm_child_reap(struct unm_server *srv);

/** unm_child_next_start_ns() - when one is due to be started again; 0 = none is. */
uint64_t unm_child_next_start_ns(const struct unm_server *srv);
void unm_child_start_due(struct unm_server *srv);

#endif
