/* SPDX-License-Identifier: BSD-2-Clause */
/* The identity of a descriptor. See desc_id.h. */
/* Syscalls: getsockname getpeername getsockopt */
#include "shm/desc_id.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shm/proto.h"
#include "shm/socket_kind.h"

static bool
has_name(int fd, const uint8_t *id)
{
	static const char hex[] = "0123456789abcdef";
	const size_t prefix = strlen(UNM_DESC_NAME_PREFIX);
	const size_t want_len =
		offsetof(struct sockaddr_un, sun_path) + 1 + prefix + UNM_DESC_ID_HEXLEN;
	char want[1 + sizeof(UNM_DESC_NAME_PREFIX) + UNM_DESC_ID_HEXLEN];
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);
	int i;

	want[0] = '\0';
	memcpy(want + 1, UNM_DESC_NAME_PREFIX, prefix);
	for (i = 0; i < 16; i++) {
		want[1 + prefix + 2 * (size_t)i] = hex[id[i] >> 4];
		want[2 + prefix + 2 * (size_t)i] = hex[id[i] & 15];
	}
	return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && len == want_len &&
	       memcmp(sa.sun_path, want, 1 + prefix + UNM_DESC_ID_HEXLEN) == 0;
}

/* One of a pair: the other end has no name. Nobody can claim another's id. */
int
unm_desc_id_check(int fd, const uint8_t *id)
{
	return unm_socket_is_unix_stream(fd) && has_name(fd, id) &&
			       unm_socket_is_nameless(fd, getpeername)
		       ? 0
		       : -EINVAL;
}

uint64_t
unm_desc_cookie(int fd)
{
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	if (!unm_socket_is_unix(fd) || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0)
		return 0;
	return cookie;
}
