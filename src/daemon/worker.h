/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers: processes that forward between a VALE switch and what can't run the library itself:
 * network interfaces and TAPs.
 *
 * A worker (nm-worker) is an ordinary client. netmapd makes the switch port, marks it ATTACHED, so
 * that no other client gets it, and starts the worker, which opens that port and the TAP. It
 * outlives netmapd like any client; the next netmapd knows by the port's flag and name what it is
 * for. One that ends is started again (child.h); while its interface is away it waits for that.
 */
#ifndef UNM_DAEMON_WORKER_H
#define UNM_DAEMON_WORKER_H

#include <stdio.h>

#include "daemon/kinds.h"
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

/**
 * unm_worker_nic_changed() - interface @nic has been opened (@is_there), or is about to end as it is
 * gone: as unm_domain's nic_changed()
 */
void unm_worker_nic_changed(struct unm_server *srv, const struct unm_dport *nic, bool is_there);

/** unm_worker_end_all() - for `nmctl stop`. */
void unm_worker_end_all(struct unm_server *srv);

/* An attached port as the state file has it, until it is there again. */
struct unm_saved_attachment {
	struct unm_saved_attachment *next;
	char name[UNM_NAME_SIZE];
	struct unm_geometry geo; /* without its region */
	uint32_t is_host_side;
	uint32_t is_away; /* what is attached was not there */
	struct unm_polling polling;
	int pid; /* of its worker, and when that was started; see missing.h */
	uint64_t started;
	struct unm_source src; /* after the phase: its worker lives, but has not come back */
	struct unm_server *srv;
};

/**
 * unm_worker_write() - a line for each attached port: nobody hands one back whose worker has ended
 * together with netmapd, or that waits for its interface
 */
void unm_worker_write(const struct unm_server *srv, FILE *f);

/** unm_worker_read() - take a line of a previous run. Return: false: it is none of ours. */
bool unm_worker_read(struct unm_server *srv, const char *line);

/**
 * unm_reattach() - at the end of the restore phase, with persistent ports made: attach again what
 * nobody has handed back (reattach.c)
 */
void unm_reattach(struct unm_server *srv);

/** unm_reattach_forget() - nothing of a previous run is to be attached again. */
void unm_reattach_forget(struct unm_server *srv);

#endif
