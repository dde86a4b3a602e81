/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers: processes that forward between a VALE switch and what can't run the library itself:
 * network interfaces and TAPs.
 *
 * A worker (nm-worker) is an ordinary client. netmapd makes the switch port, marks it ATTACHED, so
 * that no other client gets it, and starts the worker, which opens that port and the TAP. It
 * outlives netmapd like any client; the next netmapd knows by the port's flag and name what it is
 * for. One that ends is started again (child.h).
 */
#ifndef UNM_DAEMON_WORKER_H
#define UNM_DAEMON_WORKER_H

#include <stdio.h>

#include "daemon/server.h"

/**
 * unm_worker_far_name() - what is behind the ATTACHED port of the given name: "tap:IF%NETNS" of
 * "vale0:tap:IF%NETNS", or of "vale0:IF" if IF is a TAP; "IF%NETNS" of an interface; "tap:IF^" of
 * the host's side of one; a persistent port as it is known
 */
void unm_worker_far_name(struct unm_domain *dom, const char *attached, char *out, size_t size);

/* Cores that poll an attached interface (spec 16.8). */
struct unm_polling {
	uint32_t mode; /* NETMAP_POLLING_MODE_*, 0: none, the worker sleeps when idle */
	uint32_t first_cpu, n_cpus;
};

/**
 * unm_worker_set_polling() - end the worker of @port and start one that polls, or sleeps, from now
 * on. Return: 0, or negative errno with the reason: then one as before is on its way.
 */
int unm_worker_set_polling(struct unm_server *srv, struct unm_dport *port,
	const struct unm_polling *polling, struct unm_reason *why);
bool unm_worker_is_polling(struct unm_server *srv, const struct unm_dport *port);

/**
 * unm_worker_attach() - start a worker for @port, which is ATTACHED
 *
 * Return: 0, or negative errno with the reason: no worker can be run. Then there is none, nor will be.
 */
int unm_worker_attach(struct unm_server *srv, struct unm_dport *port, struct unm_reason *why);

/** unm_worker_keep() - see that @port, which was ATTACHED before a restart, gets a worker. */
void unm_worker_keep(struct unm_server *srv, struct unm_dport *port);

/** unm_worker_adopt() - after a restart: process @pid, a client, forwards for @port. */
void unm_worker_adopt(struct unm_server *srv, struct unm_dport *port, pid_t pid);

/** unm_worker_detach() - end the worker of @port. */
void unm_worker_detach(struct unm_server *srv, const struct unm_dport *port);

/** unm_worker_end_all() - for `nmctl stop`. */
void unm_worker_end_all(struct unm_server *srv);

/*
 * Attached interfaces in the state file: how they are polled, and the port on the switch of one that
 * is away. Nobody hands that back: its worker has ended, as it waits for the interface.
 */
void unm_worker_write(const struct unm_server *srv, FILE *f);

/** unm_worker_read() - take a line of a previous run. Return: false: it is none of ours. */
bool unm_worker_read(struct unm_server *srv, const char *line);

/** unm_worker_remake() - at the end of the restore phase: ports of interfaces that are away. */
void unm_worker_remake(struct unm_server *srv);

#endif
