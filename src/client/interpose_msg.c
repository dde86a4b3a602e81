/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recvmsg and recvmmsg: a netmap descriptor may arrive over a UNIX socket.
 *
 * Its receiver may poll it before anything else, so it must be known at once. A message with
 * descriptors is looked through; each one that bears a netmap descriptor's name is entered in the
 * table. Where no descriptors arrive the cost is a look at the message's header.
 */
#include "client/interpose.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "client/desc.h"
#include "client/fdtab.h"
#include "client/real.h"

/*
 * A number that the kernel has just given out is nobody's: an entry for it is a leftover of a close
 * that we did not see.
 */
static void
arrived(int fd)
{
	struct unm_file *old = unm_fdtab_used ? unm_fdtab_take(fd) : NULL;

	if (old != NULL)
		unm_file_put(old);
	unm_desc_adopt(fd);
}

static void
look_through(struct msghdr *msg)
{
	struct cmsghdr *c;

	if (msg->msg_control == NULL || msg->msg_controllen < sizeof(*c))
		return;
	for (c = CMSG_FIRSTHDR(msg); c != NULL;
		c = CMSG_NXTHDR(msg, c)) { /* bounded by the buffer */
		size_t i, n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
			c->cmsg_len < CMSG_LEN(0))
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			arrived(fd);
		}
	}
}

UNM_INTERPOSE ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	const ssize_t r = UNM_REAL(recvmsg)(fd, msg, flags);

	if (r >= 0)
		look_through(msg);
	return r;
}

UNM_INTERPOSE int
recvmmsg(int fd, struct mmsghdr *vec, unsigned int n, int flags, struct timespec *timeout)
{
	const int r = UNM_REAL(recvmmsg)(fd, vec, n, flags, timeout);
	int i;

	for (i = 0; i < r; i++)
		look_through(&vec[i].msg_hdr);
	return r;
}
