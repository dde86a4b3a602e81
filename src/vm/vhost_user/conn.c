/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages out of a byte stream. See conn.h. */
#include "vm/vhost_user/conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

void
unm_vu_conn_init(struct unm_vu_conn *c, int sock)
{
	socklen_t len = sizeof(c->peer);
	const int on = 1;

	c->sock = sock;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &c->peer, &len) != 0)
		c->peer = (struct ucred){0};
	(void)setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)); /* was_handed_on tells */
	c->was_handed_on = false;
	c->closing = NULL;
	c->n_closing = NULL;
	c->n_got = 0;
	c->msg.n_fds = 0;
	c->error = NULL;
}

static void
close_fds(struct unm_vu_conn *c)
{
	struct unm_vu_msg *m = &c->msg;
	unsigned int i;

	for (i = 0; i < m->n_fds; i++) {
		if (m->fd[i] >= 0)
			unm_fd_close(m->fd[i], c->closing);
	}
	m->n_fds = 0;
}

void
unm_vu_conn_fini(struct unm_vu_conn *c)
{
	close_fds(c);
	shutdown(c->sock, SHUT_RDWR); /* at once, however long the closing takes */
	unm_closer_abandon(c->sock, c->n_closing);
	c->sock = -1;
}

static int
fail(struct unm_vu_conn *c, const char *why)
{
	c->error = why;
	return -EPROTO;
}

static void
check_sender(struct unm_vu_conn *c, struct msghdr *mh)
{
	struct cmsghdr *cm;
	struct ucred from = {0};

	for (cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm))
		if (cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_CREDENTIALS)
			memcpy(&from, CMSG_DATA(cm), sizeof(from));
	if (from.pid != c->peer.pid || from.uid != c->peer.uid)
		c->was_handed_on = true;
}

/* Put the descriptors of one piece into the message, or close them all. */
static int
collect_fds(struct unm_vu_conn *c, struct msghdr *mh)
{
	struct cmsghdr *cm;
	int err = 0;

	for (cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		unsigned int n, i;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned int)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
			if (c->msg.n_fds < UNM_VU_MAX_FDS) {
				c->msg.fd[c->msg.n_fds++] = fd;
			} else {
				unm_fd_close(fd, c->closing);
				err = -EPROTO;
			}
		}
	}
	if (err < 0 || (mh->msg_flags & MSG_CTRUNC) != 0)
		return fail(c, "more descriptors than a message, or this process, can have");
	return 0;
}

/* One piece. Return: 1 something came, 0 nothing there, or an error. */
static int
receive_piece(struct unm_vu_conn *c, void *dst, size_t len)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred)) +
			   CMSG_SPACE(UNM_VU_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = {dst, len};
	struct msghdr mh = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n;
	int err;

	if (c->closing != NULL && unm_fd_queue_is_full(c->closing))
		return fail(c, "too many descriptors of this front end can't be closed");
	/* Not libnetmap's, which asks netmapd about descriptors that look as if they were netmap's. */
	n = syscall(SYS_recvmsg, c->sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return -ECONNRESET;
	err = collect_fds(c, &mh);
	if (err < 0)
		return err;
	if (n == 0)
		return -ECONNRESET;
	check_sender(c, &mh);
	c->n_got += (size_t)n;
	return 1;
}

static int
check_header(struct unm_vu_conn *c)
{
	const struct unm_vu_hdr *h = &c->msg.hdr;

	if ((h->flags & UNM_VU_VERSION_MASK) != UNM_VU_VERSION)
		return fail(c, "a message of another version than 1");
	if ((h->flags & UNM_VU_FLAG_REPLY) != 0)
		return fail(c, "an answer, although nothing was asked");
	if (h->size > UNM_VU_MAX_PAYLOAD)
		return fail(c, "a message with more than 4096 bytes of payload");
	return 0;
}

int
unm_vu_conn_recv(struct unm_vu_conn *c)
{
	const size_t hdr_size = sizeof(c->msg.hdr);
	int ret;

	c->error = NULL;
	if (c->n_got < hdr_size) {
		ret = receive_piece(c, (uint8_t *)&c->msg.hdr + c->n_got, hdr_size - c->n_got);
		if (ret <= 0)
			return ret;
		if (c->n_got < hdr_size)
			return 0;
		ret = check_header(c);
		if (ret < 0)
			return ret;
	}
	if (c->n_got < hdr_size + c->msg.hdr.size) {
		const size_t have = c->n_got - hdr_size;

		ret = receive_piece(c, c->msg.payload.bytes + have, c->msg.hdr.size - have);
		if (ret <= 0)
			return ret;
	}
	return c->n_got == hdr_size + c->msg.hdr.size;
}

bool
unm_vu_conn_is_midway(const struct unm_vu_conn *c)
{
	return c->n_got > 0;
}

void
unm_vu_conn_next(struct unm_vu_conn *c)
{
	close_fds(c);
	c->n_got = 0;
}

int
unm_vu_msg_take_fd(struct unm_vu_msg *m, unsigned int i)
{
	int fd;

	if (i >= m->n_fds)
		return -1;
	fd = m->fd[i];
	m->fd[i] = -1;
	return fd;
}

int
unm_vu_send(int sock, uint32_t request, uint32_t flags, const void *payload, size_t len, int fd)
{
	struct unm_vu_hdr hdr = {
		.request = request, .flags = UNM_VU_VERSION | flags, .size = (uint32_t)len};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov[2] = {{&hdr, sizeof(hdr)}, {(void *)(uintptr_t)payload, len}};
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *cm = &control.align;

		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
	}
	n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return (size_t)n == sizeof(hdr) + len ? 0 : -EMSGSIZE;
}

int
unm_vu_conn_reply(struct unm_vu_conn *c, const void *payload, size_t len, int fd)
{
	const int err =
		unm_vu_send(c->sock, c->msg.hdr.request, UNM_VU_FLAG_REPLY, payload, len, fd);

	if (err == 0)
		return 0;
	/* The socket holds hundreds of answers: who lets it fill up does not want them. */
	c->error = err == -EAGAIN || err == -EMSGSIZE ? "answers are not read" : NULL;
	return -ECONNRESET;
}
