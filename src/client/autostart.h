/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the control socket is, and starting a netmapd behind it. */
#ifndef UNM_CLIENT_AUTOSTART_H
#define UNM_CLIENT_AUTOSTART_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

/* Candidates in the order in which they are tried. */
enum unm_instance {
	UNM_INSTANCE_ENV,    /* $UNETMAP_SOCKET: the only candidate when set */
	UNM_INSTANCE_SYSTEM, /* /run/unetmap */
	UNM_INSTANCE_USER,   /* $XDG_RUNTIME_DIR/unetmap, or /tmp/unetmap-UID */
	UNM_INSTANCE_N,
};

/**
 * unm_instance_path() - the socket of candidate @which
 *
 * Return: 0, -ENOENT there is no such candidate for this user, -ENAMETOOLONG, -EPERM its directory
 * is somebody else's.
 */
int unm_instance_path(enum unm_instance which, char *path, size_t size);

/* May a client start a netmapd for this candidate? */
bool unm_instance_may_start(enum unm_instance which);

/**
 * unm_autostart() - start netmapd on @path, as nobody's child
 *
 * The application sees no child process and no SIGCHLD. Returns when the program has been started,
 * which is before it listens. Return: 0, -ENOENT no netmapd found, -errno.
 */
int unm_autostart(const char *path);

#endif
