/* SPDX-License-Identifier: BSD-2-Clause */
/* vhost-user messages on a stream socket; see wire.h. */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HEADER_SIZE	12u
#define FLAG_VERSION	1u
#define FLAG_REPLY	4u
#define FLAG_NEED_REPLY 8u
#define RETRY_MS	5 /* for a server that is not there yet */

_Static_assert(sizeof(struct wire_addr) == 40, "SET_VRING_ADDR");
_Static_assert(sizeof(struct wire_region) == 32, "memory region");
_Static_assert(sizeof(struct wire_inflight) == 24, "in-flight description");

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
accept_one(const struct sockaddr_un *addr, int timeout_ms)
{
	const int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd p = {.fd = l, .events = POLLIN};
	int ret = -ETIMEDOUT;

	if (l < 0)
		return -errno;
	unlink(addr->sun_path);
	if (bind(l, (const struct sockaddr *)addr, sizeof(*addr)) < 0 || listen(l, 1) < 0) {
		ret = -errno;
	} else if (poll(&p, 1, timeout_ms) == 1) {
		ret = accept4(l, NULL, NULL, SOCK_CLOEXEC);
		if (ret < 0)
			ret = -errno;
	}
	close(l);
	unlink(addr->sun_path);
	return ret;
}

int
wire_connect(const char *path, bool listen, int timeout_ms)
{
	const int64_t end = now_ms() + timeout_ms;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int s, ret;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	if (listen)
		return accept_one(&addr, timeout_ms);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -errno;
	while (connect(s, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = -errno;
		if (ret != -ENOENT && ret != -ECONNREFUSED && ret != -EAGAIN && ret != -EINTR) {
			close(s);
			return ret;
		}
		if (now_ms() >= end) {
			close(s);
			return -ETIMEDOUT;
		}
		poll(NULL, 0, RETRY_MS);
	}
	return s;
}

int
wire_send(int sock, uint32_t request, bool need_reply, const void *payload, uint32_t size,
	const int *fd, unsigned int n_fds)
{
	const uint32_t header[3] = {
		request, FLAG_VERSION | (need_reply ? FLAG_NEED_REPLY : 0), size};
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov[2] = {
		{(void *)(uintptr_t)header, sizeof(header)}, {(void *)(uintptr_t)payload, size}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = size > 0 ? 2 : 1};
	ssize_t n;

	if (n_fds > WIRE_MAX_FDS)
		return -EINVAL;
	if (n_fds > 0) {
		struct cmsghdr *c;

		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fd, n_fds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == (ssize_t)(sizeof(header) + size) ? 0 : -EIO;
}

/* Exactly @size bytes; descriptors that come with them go to @m. */
static int
recv_all(int sock, void *buf, size_t size, struct wire_msg *m, int64_t end)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
	} control;
	size_t done = 0;

	while (done < size) {
		struct iovec iov = {(char *)buf + done, size - done};
		struct msghdr h = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control)};
		struct pollfd p = {.fd = sock, .events = POLLIN};
		const int64_t left = end - now_ms();
		const struct cmsghdr *c;
		ssize_t n;

		if (left < 0 || poll(&p, 1, (int)left) == 0)
			return -ETIMEDOUT;
		n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		done += (size_t)n;
		c = CMSG_FIRSTHDR(&h);
		if (c != NULL && c->cmsg_type == SCM_RIGHTS && m->n_fds == 0) {
			m->n_fds = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(m->fd, CMSG_DATA(c), m->n_fds * sizeof(int));
		}
	}
	return 0;
}

int
wire_recv(int sock, uint32_t request, struct wire_msg *m, int timeout_ms)
{
	const int64_t end = now_ms() + timeout_ms;
	uint32_t header[3];
	int ret;

	m->n_fds = 0;
	ret = recv_all(sock, header, HEADER_SIZE, m, end);
	if (ret < 0)
		return ret;
	m->request = header[0];
	m->flags = header[1];
	m->size = header[2];
	if (m->size > sizeof(m->payload))
		return -EBADMSG;
	ret = recv_all(sock, m->payload, m->size, m, end);
	if (ret < 0)
		return ret;
	return m->request == request && m->flags == (FLAG_VERSION | FLAG_REPLY) ? 0 : -EBADMSG;
}
