/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the programs that test the client library. See ct.h. */
#include "ct.h"

#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>

#define CASE_TIMEOUT_S 30

static const char *case_name = "?";

void
ct_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: %s: ", file, line, case_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

static bool
run_case(const struct ct_case *c)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(CASE_TIMEOUT_S); /* a hang is a failure too */
		case_name = c->name;
		c->run();
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFSIGNALED(status))
		fprintf(stderr, "%s: ended by signal %d\n", c->name, WTERMSIG(status));
	printf("%s %s\n", status == 0 ? "ok" : "not ok", c->name);
	return status == 0;
}

int
ct_main(int argc, char **argv, const struct ct_case *cases, size_t n)
{
	size_t i, n_run = 0, n_bad = 0;

	for (i = 0; i < n; i++) {
		if (argc > 1 && strcmp(argv[1], cases[i].name) != 0)
			continue;
		n_run++;
		if (!run_case(&cases[i]))
			n_bad++;
	}
	printf("%zu cases, %zu failed\n", n_run, n_bad);
	return n_run == 0 || n_bad != 0;
}

int
ct_open_device(void)
{
	const int fd = open("/dev/netmap", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		ct_fail(__FILE__, __LINE__, "open(/dev/netmap): %s", strerror(errno));
	return fd;
}

int
ct_register(int fd, const char *name, struct nmreq_register *reg)
{
	struct nmreq_header h = {.nr_version = NETMAP_API,
		.nr_reqtype = NETMAP_REQ_REGISTER,
		.nr_body = (uintptr_t)reg};

	snprintf(h.nr_name, sizeof(h.nr_name), "%s", name);
	return ioctl(fd, NIOCCTRL, &h);
}

void
ct_map(struct ct_port *p)
{
	p->mem_size = p->reg.nr_memsize;
	p->mem = mmap(NULL, p->mem_size, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	CHECK(p->mem != MAP_FAILED);
	p->nifp = NETMAP_IF(p->mem, p->reg.nr_offset);
	p->tx = NETMAP_TXRING(p->nifp, 0);
	p->rx = NETMAP_RXRING(p->nifp, 0);
}

struct ct_port
ct_port(const char *name, uint64_t flags)
{
	struct ct_port p = {.reg = {.nr_mode = NR_REG_ALL_NIC, .nr_flags = flags}};

	p.fd = ct_open_device();
	if (ct_register(p.fd, name, &p.reg) < 0)
		ct_fail(__FILE__, __LINE__, "REGISTER %s: %s", name, strerror(errno));
	ct_map(&p);
	return p;
}

void
ct_close(struct ct_port *p)
{
	CHECK_EQ(munmap(p->mem, p->mem_size), 0);
	CHECK_EQ(close(p->fd), 0);
}

void
ct_pipe(struct ct_port *a, struct ct_port *b, const char *what)
{
	char name[64];

	snprintf(name, sizeof(name), "ct%d%s{1", (int)getpid(), what);
	*a = ct_port(name, 0);
	*strchr(name, '{') = '}';
	*b = ct_port(name, 0);
}

void
ct_send(struct ct_port *p, uint32_t first, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct netmap_ring *r = p->tx;
		struct netmap_slot *s = &r->slot[r->head];
		char *buf = NETMAP_BUF(r, s->buf_idx);
		const uint32_t number = first + i;

		CHECK(!nm_ring_empty(r));
		memset(buf, 0xff, 6); /* broadcast, so that VALE delivers it too */
		memset(buf + 6, 2, 54);
		memcpy(buf + 20, &number, sizeof(number));
		s->len = 60;
		r->head = r->cur = nm_ring_next(r, r->head);
	}
	CHECK_EQ(ioctl(p->fd, NIOCTXSYNC, NULL), 0);
}

uint32_t
ct_take(struct ct_port *p, uint32_t *last)
{
	struct netmap_ring *r = p->rx;
	uint32_t n = 0;

	for (; !nm_ring_empty(r); n++) {
		const char *buf = NETMAP_BUF(r, r->slot[r->head].buf_idx);

		if (last != NULL)
			memcpy(last, buf + 20, sizeof(*last));
		r->head = r->cur = nm_ring_next(r, r->head);
	}
	return n;
}

uint32_t
ct_recv(struct ct_port *p)
{
	CHECK_EQ(ioctl(p->fd, NIOCRXSYNC, NULL), 0);
	return ct_take(p, NULL);
}

uint64_t
ct_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

pid_t
ct_spawn(void (*fn)(void *arg), void *arg)
{
	const pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		alarm(CASE_TIMEOUT_S);
		fn(arg);
		_exit(0);
	}
	return pid;
}

void
ct_join(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

void
ct_send_fd(int sock, int fd)
{
	char byte = 0;
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} space;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space.buf,
		.msg_controllen = sizeof(space.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(sock, &msg, 0), 1);
}

int
ct_recv_fd(int sock)
{
	char byte;
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} space;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space.buf,
		.msg_controllen = sizeof(space.buf)};
	struct cmsghdr *c;
	int fd;

	CHECK_EQ(recvmsg(sock, &msg, 0), 1);
	c = CMSG_FIRSTHDR(&msg);
	CHECK(c != NULL && c->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}
