/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: epoll, one event at a time, so that a handler may free any source it likes.
 *
 * Hang-ups of application descriptors are in an epoll set of their own, which is itself a source of
 * the main one: netmapd can thus ask "has anybody closed something?" before it acts on a request,
 * without looking at anything else.
 */
#ifndef UNM_DAEMON_LOOP_H
#define UNM_DAEMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct unm_source {
	int fd;
	void (*ready)(struct unm_source *src, uint32_t events); /* EPOLL* */
};

struct unm_loop {
	int ep;
	int hup_ep;
	struct unm_source hup_source;
};

/** unm_loop_init() - Return: 0 or negative errno. */
int unm_loop_init(struct unm_loop *loop);
void unm_loop_fini(struct unm_loop *loop);

/** unm_loop_add() - watch @src for @events; unm_loop_mod() changes them, unm_loop_del() ends it. */
int unm_loop_add(struct unm_loop *loop, struct unm_source *src, uint32_t events);
int unm_loop_mod(struct unm_loop *loop, struct unm_source *src, uint32_t events);
void unm_loop_del(struct unm_loop *loop, struct unm_source *src);

/**
 * unm_loop_add_process() - watch process @pid: @src, whose fd becomes a pidfd, is ready when it has
 * ended. unm_loop_close() ends that
 *
 * Return: 0, or negative errno; fd is -1 then.
 */
int unm_loop_add_process(struct unm_loop *loop, struct unm_source *src, int pid);

/** unm_loop_close() - the end of @src and of its descriptor, which becomes -1; one of -1: no effect */
void unm_loop_close(struct unm_loop *loop, struct unm_source *src);

/** unm_loop_add_hup() - call @src->ready once the peer of the socket @src->fd is closed */
int unm_loop_add_hup(struct unm_loop *loop, struct unm_source *src);
void unm_loop_del_hup(struct unm_loop *loop, struct unm_source *src);

/** unm_loop_poll_hangups() - handle all hang-ups that have happened by now */
void unm_loop_poll_hangups(struct unm_loop *loop);

/**
 * unm_loop_run_once() - sleep until something happens and handle one event. Return: 0 or negative
 * errno.
 */
int unm_loop_run_once(struct unm_loop *loop);

#endif
