/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket's name: when the socket is not there any more nobody can find the instance again. One
 * that was started on demand ends as soon as nobody uses it, with what it has attached; ports that
 * outlive their users (persistent ones) would keep it for ever otherwise. One that was started by hand
 * is somebody's to end, and says so.
 *
 * A look every few seconds. inotify would tell at once, but closing it waits for kernel threads, also
 * when the process is killed: on a busy machine that was seen to take more than 20 s (Linux 6.18), in
 * which no client saw that its session had ended.
 */
#ifndef UNM_DAEMON_HOME_H
#define UNM_DAEMON_HOME_H

#include "daemon/server.h"

/** unm_home_watch() - from now on. Return: 0 or negative errno: the instance will not notice. */
int unm_home_watch(struct unm_server *srv);

/** unm_home_look() - is the socket still there? Does nothing before home.look_ns, or if that is 0. */
void unm_home_look(struct unm_server *srv);

/** unm_home_has_ended() - the socket is gone, and so is everybody whom we would serve without it */
bool unm_home_has_ended(struct unm_server *srv);

#endif
