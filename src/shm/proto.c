/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending and receiving one control message with its descriptors. See proto.h. */
/* Syscalls: sendmsg recvmsg */
#include "shm/proto.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

union fd_space {
	char buf[CMSG_SPACE(sizeof(int) * UNM_PROTO_MAXFDS)];
	struct cmsghdr align;
};

int
unm_proto_send(int sock, struct unm_msg_hdr *hdr, const void *body, size_t body_len, const int *fds,
	unsigned int n_fds, int flags)
{
	struct iovec iov[2] = {{hdr, sizeof(*hdr)}, {(void *)(uintptr_t)body, body_len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = body_len > 0 ? 2 : 1};
	union fd_space space;
	ssize_t n;

	if (n_fds > UNM_PROTO_MAXFDS || body_len > UNM_PROTO_MAXLEN - sizeof(*hdr))
		return -EMSGSIZE;
	hdr->magic = UNM_PROTO_MAGIC;
	hdr->n_fds = (uint16_t)n_fds;
	hdr->len = (uint32_t)(sizeof(*hdr) + body_len);
	if (n_fds > 0) {
		struct cmsghdr *c;

		memset(&space, 0, sizeof(space));
		msg.msg_control = space.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	do {
		n = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/*
 * Collect the descriptors of all SCM_RIGHTS in @msg; those beyond the array are closed and reported
 * as too many.
 */
static unsigned int
take_fds(struct msghdr *msg, int *fds, unsigned int max, bool *too_many)
{
	unsigned int n = 0;
	struct cmsghdr *c;

	*too_many = (msg->msg_flags & MSG_CTRUNC) != 0;
	for (c = CMSG_FIRSTHDR(msg); c != NULL;
		c = CMSG_NXTHDR(msg, c)) { /* bounded by the control buffer */
		size_t i, cnt;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		cnt = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < cnt; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n < max) {
				fds[n++] = fd;
			} else {
				close(fd);
				*too_many = true;
			}
		}
	}
	return n;
}

/* What came, @len bytes with @n descriptors. Return: 0, or as unm_proto_recv(). */
static int
check(const struct msghdr *msg, ssize_t len, unsigned int n, bool too_many)
{
	const struct unm_msg_hdr *hdr = msg->msg_iov->iov_base;

	if (len == 0)
		return -ECONNRESET;
	/*
	 * The kernel leaves out what does not fit into our descriptor table. The message itself is
	 * whole: it can be answered.
	 */
	if ((msg->msg_flags & (MSG_CTRUNC | MSG_TRUNC)) == MSG_CTRUNC &&
		(size_t)len >= sizeof(*hdr) && hdr->magic == UNM_PROTO_MAGIC &&
		hdr->len == (size_t)len && hdr->n_fds <= UNM_PROTO_MAXFDS && n < hdr->n_fds)
		return -EMFILE;
	if (too_many || (msg->msg_flags & MSG_TRUNC) || (size_t)len < sizeof(*hdr) ||
		hdr->magic != UNM_PROTO_MAGIC || hdr->len != (size_t)len || hdr->n_fds != n)
		return -EPROTO;
	return 0;
}

/*
 * Not libnetmap's recvmsg(), which a netmapd that was started under nmrun has: it would ask netmapd
 * about a C that comes as a proof.
 */
static ssize_t
receive(int sock, struct msghdr *msg, int flags)
{
	bool was_reset = false; /* is told once, before what the peer had sent until then */
	ssize_t len;

	for (;;) { /* until no signal comes */
		len = syscall(SYS_recvmsg, sock, msg, flags | MSG_CMSG_CLOEXEC);
		if (len >= 0 || (errno != EINTR && (errno != ECONNRESET || was_reset)))
			return len;
		was_reset = was_reset || errno == ECONNRESET;
	}
}

int
unm_proto_recv(int sock, void *buf, size_t buf_size, int *fds, unsigned int *n_fds, int flags)
{
	struct iovec iov = {buf, buf_size};
	union fd_space space;
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space.buf,
		.msg_controllen = sizeof(space.buf)};
	const ssize_t len = receive(sock, &msg, flags);
	unsigned int i, n;
	bool too_many;
	int err;

	if (len < 0)
		return -errno;
	n = take_fds(&msg, fds, UNM_PROTO_MAXFDS, &too_many);
	err = check(&msg, len, n, too_many);
	for (i = 0; i < n && err < 0; i++)
		close(fds[i]);
	if (err == 0)
		*n_fds = n;
	return err;
}

/*
 * A look at the message gives its descriptors once more: while we hold all of them, the kernel closes
 * none for good when it drops the message.
 */
int
unm_proto_recv_foreign(int sock, void *buf, size_t buf_size, int *fds, unsigned int *n_fds)
{
	struct iovec iov = {buf, buf_size};
	union {
		char buf[CMSG_SPACE(sizeof(int) * UNM_PROTO_SCM_FDS)];
		struct cmsghdr align;
	} space;
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space.buf,
		.msg_controllen = sizeof(space.buf)};
	const ssize_t len = receive(sock, &msg, MSG_PEEK | MSG_DONTWAIT);
	struct msghdr none = {.msg_iov = NULL};
	bool too_many;

	*n_fds = 0;
	if (len < 0)
		return -errno;
	*n_fds = take_fds(&msg, fds, UNM_PROTO_SCM_FDS, &too_many);
	if (too_many)
		return -EMFILE;
	if (receive(sock, &none, MSG_DONTWAIT) < 0)
		return -errno;
	return *n_fds > UNM_PROTO_MAXFDS ? -EPROTO : check(&msg, len, *n_fds, too_many);
}
