/* SPDX-License-Identifier: BSD-2-Clause */
/* The identity of a descriptor. See desc_id.h. */
/* Syscalls: getsockname getsockopt */
#include "shm/desc_id.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shm/proto.h"

/*
 * The descriptor must be a connected stream-like UNIX socket that is bound to the name made of @id:
 * nobody can claim another's id.
 */
int
unm_desc_id_check(int fd, const uint8_t *id)
{
	static const char hex[] = "0123456789abcdef";
	const size_t prefix = strlen(UNM_DESC_NAME_PREFIX);
	const size_t want_len =
		offsetof(struct sockaddr_un, sun_path) + 1 + prefix + UNM_DESC_ID_HEXLEN;
	char want[1 + sizeof(UNM_DESC_NAME_PREFIX) + UNM_DESC_ID_HEXLEN];
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);
	int type = 0, i;
	socklen_t type_len = sizeof(type);

	want[0] = '\0';
	memcpy(want + 1, UNM_DESC_NAME_PREFIX, prefix);
	for (i = 0; i < 16; i++) {
		want[1 + prefix + 2 * (size_t)i] = hex[id[i] >> 4];
		want[2 + prefix + 2 * (size_t)i] = hex[id[i] & 15];
	}
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 || sa.sun_family != AF_UNIX ||
		len != want_len || memcmp(sa.sun_path, want, 1 + prefix + UNM_DESC_ID_HEXLEN) != 0)
		return -EINVAL;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 ||
		(type != SOCK_STREAM && type != SOCK_SEQPACKET))
		return -EINVAL; /* a datagram socket does not tell that its peer is gone */
	return 0;
}
