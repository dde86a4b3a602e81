/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory that netmapd's socket lies in. That of the default socket is made by netmapd; that
 * of another one may be a slip of the pen, so netmapd does not start, and whoever looks for it there
 * is told. Whom a socket is for, as far as that can be seen when nobody serves it; and whether two
 * paths are one socket's.
 */
#ifndef UNM_SHM_SOCKET_DIR_H
#define UNM_SHM_SOCKET_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define UNM_SOCKET_DIR_HINT "make the directory of the socket first"

/** unm_socket_default() - where this user's netmapd serves if nobody says. Return: as snprintf(). */
int unm_socket_default(char *path, size_t size);

/**
 * unm_socket_dir() - the directory of @path
 * @dir: as large as @path
 *
 * Return: false: it is the root, or the present one, without a name in @path.
 */
bool unm_socket_dir(const char *path, char *dir, size_t size);

/**
 * The sticky bit, which means nothing else on a socket: it is for isolated clients (daemon/isolate.h).
 * As part of the socket it is seen wherever that is mounted, and goes when another one takes its place.
 */
#define UNM_SOCKET_ISOLATED S_ISVTX

/**
 * unm_socket_is_isolated() - is @path a socket for isolated clients, served or not?
 *
 * A netmapd that a client starts there would be one without the isolate's policy.
 */
bool unm_socket_is_isolated(const char *path);

/**
 * unm_socket_same() - do two paths of sockets (sun_path at most) name one file, be it there or not?
 *
 * By the directories they are in, so that slashes, dots and links make no difference. An empty path
 * is none.
 */
bool unm_socket_same(const char *a, const char *b);

/** unm_socket_dir_missing() - must somebody make it? @dir: receives it if so. */
bool unm_socket_dir_missing(const char *path, char *dir, size_t size);

#endif
