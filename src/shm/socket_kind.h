/* SPDX-License-Identifier: BSD-2-Clause */
/* What kind of socket a descriptor is, told by the kernel without asking anybody else. */
#ifndef UNM_SHM_SOCKET_KIND_H
#define UNM_SHM_SOCKET_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* @option: SO_DOMAIN, SO_TYPE. Return: false also if it is no socket. */
static inline bool
unm_socket_is(int fd, int option, int value)
{
	socklen_t len = sizeof(int);
	int is;

	return getsockopt(fd, SOL_SOCKET, option, &is, &len) == 0 && is == value;
}

static inline bool
unm_socket_is_unix(int fd)
{
	return unm_socket_is(fd, SO_DOMAIN, AF_UNIX);
}

/* To be asked before its names: of other families that may wait. */
static inline bool
unm_socket_is_unix_stream(int fd)
{
	return unm_socket_is_unix(fd) && unm_socket_is(fd, SO_TYPE, SOCK_STREAM);
}

/* getsockname() or getpeername() */
typedef int unm_socket_name_fn(int fd, struct sockaddr *sa, socklen_t *len);

/* Has this end, or the other one, no name? Not connected: no as well. */
static inline bool
unm_socket_is_nameless(int fd, unm_socket_name_fn *get_name)
{
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);

	return get_name(fd, (struct sockaddr *)&sa, &len) == 0 &&
	       len <= offsetof(struct sockaddr_un, sun_path);
}

#endif
