/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Isolates: sockets for isolated clients, each with what may be done there, and with a broker
 * (nm-isolator) that serves it.
 *
 * netmapd makes and keeps the listening socket, so that clients which come while there is no broker
 * wait; the broker gets a copy. After a restart netmapd gets it back from the broker
 * (UNM_MSG_BROKER), or makes another one if both have died. The regions of ports that a broker
 * opens belong to the isolate: no other client may share them, and they are no larger than needed.
 *
 * The socket's file is marked (UNM_SOCKET_ISOLATED) and outlives the isolate, as clients start no
 * netmapd of their own where they find the mark.
 */
#ifndef UNM_DAEMON_ISOLATE_H
#define UNM_DAEMON_ISOLATE_H

#include <stdio.h>

#include "daemon/child.h"
#include "daemon/isolate_spec.h"
#include "daemon/json_out.h"

struct unm_isolate {
	struct unm_child child; /* the broker */
	struct unm_isolate *next;
	struct unm_isolate_spec spec;
	uint32_t id;	    /* of this run; never 0 */
	int listen_fd;	    /* -1: the broker of a previous run has it */
	bool is_configured; /* by netmapd.conf: ends when it does not stand there any more */
};

/**
 * unm_isolate_create() - make the socket, start the broker
 *
 * Return: 0, -EEXIST (name or path), -EINVAL, -errno, each with the reason.
 */
int unm_isolate_create(
	struct unm_server *srv, const struct unm_isolate_spec *spec, struct unm_reason *why);

/** unm_isolate_remove() - end the broker, leave the socket dead; clients lose their ports. -ENOENT. */
int unm_isolate_remove(struct unm_server *srv, const char *name, struct unm_reason *why);

/** unm_isolate_end_brokers() - for `nmctl stop`; the next run starts new ones. */
void unm_isolate_end_brokers(struct unm_server *srv);

/**
 * unm_isolate_end_idle() - for an end that no successor is known to follow: brokers whose clients
 * have no port would be of no use
 */
void unm_isolate_end_idle(struct unm_server *srv);

struct unm_isolate *unm_isolate_find(const struct unm_server *srv, const char *name);

/** unm_isolate_write(), unm_isolate_read() - lines of the state file. read: false = not of ours. */
void unm_isolate_write(const struct unm_server *srv, FILE *f);
bool unm_isolate_read(struct unm_server *srv, const char *line);

/** unm_isolate_begin() - those of the configuration and the previous run: once, before serving. */
void unm_isolate_begin(struct unm_server *srv);

/** unm_isolate_show() - an array for nmctl; @name: only that one, or NULL. */
void unm_isolate_show(const struct unm_server *srv, struct unm_json *j, const char *name);

/** unm_handle_broker() - UNM_MSG_BROKER. */
void unm_handle_broker(struct unm_msg *m);

#endif
