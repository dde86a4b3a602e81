/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the state file (restore.c) gets onto a disk that may be full.
 *
 *   a new file, with room in reserve  --rename-->  PATH
 *   no room for one: over the old one, in the room that it has
 *   not enough: no file, as a wrong one is worse (it would make again what was removed)
 */
#ifndef UNM_DAEMON_STATE_STORE_H
#define UNM_DAEMON_STATE_STORE_H

#include <stddef.h>

/**
 * unm_state_store() - @len bytes of @text are what is at @path
 * @tmp: a name beside it, for as long as this takes
 *
 * Return: 0; -errno: there is nothing at @path.
 */
int unm_state_store(const char *path, const char *tmp, const char *text, size_t len);

#endif
