/* SPDX-License-Identifier: BSD-2-Clause */
/* The library's one thread: asleep until netmapd dies, or something waits to be freed or to be woken. */
#ifndef UNM_CLIENT_CONTROL_THREAD_H
#define UNM_CLIENT_CONTROL_THREAD_H

#include <stdbool.h>

/* Start it, if it does not run in this process. Cheap when it does. */
void unm_control_start(void);

bool unm_control_runs(void);

/*
 * Make it look around: a new session, things to free, signals that are owed, a change in what it watches. Any thread;
 * async-signal-safe.
 */
void unm_control_kick(void);

void unm_control_after_fork(void);

#endif
