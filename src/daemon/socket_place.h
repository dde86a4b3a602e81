/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A socket's file in a directory that somebody else may write to, as a container does in the one that
 * is mounted into it. Whatever has a name there can be replaced by a link at any moment; so owner and
 * mode are set in a directory of our own inside it, of a file that is open, and then it gets its name:
 *
 *   DIR/.NAME.new (0700, ours)  /  NAME: bound, given its owner and mode, listening  --rename--> DIR/NAME
 */
#ifndef UNM_DAEMON_SOCKET_PLACE_H
#define UNM_DAEMON_SOCKET_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

/* Who may connect. */
struct unm_socket_owner {
	uid_t uid; /* (uid_t)-1: whoever makes it; else @gid counts too */
	gid_t gid;
	mode_t mode;
};

/**
 * unm_socket_place() - have the unbound UNIX socket @fd listen at @path
 * @path: with a directory in it; a file of that name is replaced. Its directory is looked up once
 *
 * Return: 0; -errno: there is nothing new at @path.
 */
int unm_socket_place(int fd, const char *path, const struct unm_socket_owner *owner, int backlog);

/** unm_socket_is_placed() - was @fd bound by unm_socket_place() under the last part of @path? */
bool unm_socket_is_placed(int fd, const char *path);

#endif
