/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop. See loop.h. */
/* Syscalls: epoll_create1 epoll_ctl epoll_wait epoll_pwait pidfd_open */
#include "daemon/loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_HANGUPS 65536 /* at one go; more than there can be descriptors in a segment's table */

static void
hup_ready(struct unm_source *src, uint32_t events)
{
	(void)events; /* only EPOLLIN was asked for */
	unm_loop_poll_hangups(
		(struct unm_loop *)(void *)((char *)src - offsetof(struct unm_loop, hup_source)));
}

int
unm_loop_init(struct unm_loop *loop)
{
	int ret;

	loop->ep = epoll_create1(EPOLL_CLOEXEC);
	if (loop->ep < 0)
		return -errno;
	loop->hup_ep = epoll_create1(EPOLL_CLOEXEC);
	if (loop->hup_ep < 0) {
		ret = -errno;
		close(loop->ep);
		return ret;
	}
	loop->hup_source.fd = loop->hup_ep;
	loop->hup_source.ready = hup_ready;
	ret = unm_loop_add(loop, &loop->hup_source, EPOLLIN);
	if (ret < 0)
		unm_loop_fini(loop);
	return ret;
}

void
unm_loop_fini(struct unm_loop *loop)
{
	close(loop->hup_ep);
	close(loop->ep);
}

static int
control(int ep, int op, struct unm_source *src, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = src};

	return epoll_ctl(ep, op, src->fd, &ev) < 0 ? -errno : 0;
}

int
unm_loop_add(struct unm_loop *loop, struct unm_source *src, uint32_t events)
{
	return control(loop->ep, EPOLL_CTL_ADD, src, events);
}

int
unm_loop_mod(struct unm_loop *loop, struct unm_source *src, uint32_t events)
{
	return control(loop->ep, EPOLL_CTL_MOD, src, events);
}

void
unm_loop_del(struct unm_loop *loop, struct unm_source *src)
{
	control(loop->ep, EPOLL_CTL_DEL, src, 0);
}

void
unm_loop_close(struct unm_loop *loop, struct unm_source *src)
{
	if (src->fd < 0)
		return;
	unm_loop_del(loop, src);
	close(src->fd);
	src->fd = -1;
}

int
unm_loop_add_process(struct unm_loop *loop, struct unm_source *src, int pid)
{
	int ret;

	src->fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (src->fd < 0)
		return -errno;
	ret = unm_loop_add(loop, src, EPOLLIN);
	if (ret < 0) {
		close(src->fd);
		src->fd = -1;
	}
	return ret;
}

int
unm_loop_add_hup(struct unm_loop *loop, struct unm_source *src)
{
	return control(
		loop->hup_ep, EPOLL_CTL_ADD, src, 0); /* EPOLLHUP and EPOLLERR come unasked */
}

void
unm_loop_del_hup(struct unm_loop *loop, struct unm_source *src)
{
	control(loop->hup_ep, EPOLL_CTL_DEL, src, 0);
}

void
unm_loop_poll_hangups(struct unm_loop *loop)
{
	struct epoll_event ev;
	int i;

	for (i = 0; i < MAX_HANGUPS; i++) {
		struct unm_source *src;

		if (epoll_wait(loop->hup_ep, &ev, 1, 0) != 1)
			return;
		src = ev.data.ptr;
		src->ready(src, ev.events);
	}
}

int
unm_loop_run_once(struct unm_loop *loop)
{
	struct epoll_event ev;
	struct unm_source *src;
	const int n = epoll_wait(loop->ep, &ev, 1, -1);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 1) {
		src = ev.data.ptr;
		src->ready(src, ev.events);
	}
	return 0;
}
