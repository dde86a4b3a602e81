/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory of the socket, for an instance that was started on demand: when the socket is not
 * there any more nobody can find the instance again, so it ends as soon as nobody uses it. Ports
 * that outlive their users (persistent ones) would keep it for ever otherwise.
 *
 * inotify tells; nothing is done before.
 */
#ifndef UNM_DAEMON_HOME_H
#define UNM_DAEMON_HOME_H

#include "daemon/server.h"

/** unm_home_watch() - from now on. Return: 0 or negative errno: the instance will not notice. */
int unm_home_watch(struct unm_server *srv);

/** unm_home_has_ended() - the socket is gone, and so is everybody who could still reach us */
bool unm_home_has_ended(struct unm_server *srv);

void unm_home_fini(struct unm_server *srv);

#endif
