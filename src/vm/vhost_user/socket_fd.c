/* SPDX-License-Identifier: BSD-2-Clause */
/* See socket_fd.h. */
#include "vm/vhost_user/socket_fd.h"

#include <stdbool.h>
#include <sys/socket.h>

#include "shm/socket_kind.h"

static bool
is_empty(int fd)
{
	char c;

	return recv(fd, &c, sizeof(c), MSG_DONTWAIT | MSG_PEEK) <= 0;
}

const char *
unm_vu_socket_check(int fd, struct unm_closer_queue *q)
{
	if (!unm_socket_is_unix_stream(fd))
		return "the descriptor is not a UNIX stream socket";
	if (!unm_socket_is_nameless(fd, getsockname) || !unm_socket_is_nameless(fd, getpeername))
		return "the socket is not one of a pair: it could be somebody's connection to this "
		       "server, which would then never end";
	/* The other end can't send from here on, so what is not there now never will be. */
	if (shutdown(fd, SHUT_RD) != 0 || !is_empty(fd))
		return "the socket is to be written to, and there is something to be read from it";
	if (q != NULL && unm_closer_empty(q, fd) < 0)
		return "this process is out of memory or descriptors";
	return NULL;
}
