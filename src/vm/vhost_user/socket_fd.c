/* SPDX-License-Identifier: BSD-2-Clause */
/* See socket_fd.h. */
#include "vm/vhost_user/socket_fd.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static bool
is_unix_stream(int fd)
{
	socklen_t len = sizeof(int);
	int domain, type;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

typedef int name_fn(int fd, struct sockaddr *sa, socklen_t *len);

/* Has this end, or the other one, no name? Not connected: no as well. */
static bool
is_nameless(int fd, name_fn *get_name)
{
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);

	return get_name(fd, (struct sockaddr *)&sa, &len) == 0 &&
	       len <= offsetof(struct sockaddr_un, sun_path);
}

static bool
is_empty(int fd)
{
	char c;

	return recv(fd, &c, sizeof(c), MSG_DONTWAIT | MSG_PEEK) <= 0;
}

const char *
unm_vu_socket_check(int fd, struct unm_closer_queue *q)
{
	if (!is_unix_stream(fd))
		return "the descriptor is not a UNIX stream socket";
	if (!is_nameless(fd, getsockname) || !is_nameless(fd, getpeername))
		return "the socket is not one of a pair: it could be somebody's connection to this "
		       "server, which would then never end";
	/* The other end can't send from here on, so what is not there now never will be. */
	if (shutdown(fd, SHUT_RD) != 0 || !is_empty(fd))
		return "the socket is to be written to, and there is something to be read from it";
	if (q != NULL && unm_closer_empty(q, fd) < 0)
		return "this process is out of memory or descriptors";
	return NULL;
}
