/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nmctl asks. A command is a list of words; the answer is JSON, or a sentence when it fails.
 *
 *   admin.c       words, dispatch, commands that change something
 *   admin_show.c  the tables as JSON: ports with counters, rings, switches, MACs, memory, clients,
 *                 daemon
 */
#ifndef UNM_DAEMON_ADMIN_H
#define UNM_DAEMON_ADMIN_H

#include "daemon/json_out.h"
#include "daemon/server.h"

/**
 * unm_admin_show() - append the table @what ("ports", ...), only of @name if that is given; false:
 * no such table.
 */
bool unm_admin_show(
	const struct unm_server *srv, struct unm_json *j, const char *what, const char *name);

#endif
