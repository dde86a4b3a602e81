/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for an interface. See nic_return.h. */
/* Syscalls: recvfrom */
#include "daemon/nic_return.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/netns.h"
#include "daemon/nic.h"

#define MAX_MESSAGES 64 /* read in one go; the loop calls again */

/* Room for a message. netmapd has one thread */
static union {
	struct nlmsghdr h;
	char bytes[32768];
} incoming;

/* Is it about an interface of that name, there or new or renamed? */
static bool
is_about(const struct nlmsghdr *h, const char *ifname)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	const struct rtattr *a = IFLA_RTA(ifi);
	int len = (int)IFLA_PAYLOAD(h);

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*ifi)))
		return false;
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		const size_t n = strlen(ifname) + 1;

		if (a->rta_type == IFLA_IFNAME)
			return RTA_PAYLOAD(a) >= n && memcmp(RTA_DATA(a), ifname, n) == 0;
	}
	return false;
}

static void
news(struct unm_source *src, uint32_t events)
{
	struct unm_nic_return *r =
		(struct unm_nic_return *)(void *)((char *)src -
						  offsetof(struct unm_nic_return, src));
	bool came = false;
	int i;

	(void)events; /* readable is all that was asked for */
	for (i = 0; i < MAX_MESSAGES && !came; i++) {
		const ssize_t n = recv(src->fd, &incoming, sizeof(incoming), MSG_DONTWAIT);

		if (n < 0 && errno != ENOBUFS)
			break;
		/* Lost ones may have been about it. */
		came = n < 0 ||
		       (NLMSG_OK(&incoming.h, (size_t)n) && is_about(&incoming.h, r->ifname));
	}
	if (came) {
		unm_nic_return_stop(r);
		r->came(r);
	}
}

void
unm_nic_return_init(
	struct unm_nic_return *r, struct unm_loop *loop, void (*came)(struct unm_nic_return *r))
{
	memset(r, 0, sizeof(*r));
	r->src.fd = -1;
	r->src.ready = news;
	r->loop = loop;
	r->came = came;
}

void
unm_nic_return_listen(struct unm_nic_return *r, const struct unm_name *name)
{
	int ns, home = -1;

	unm_nic_return_stop(r);
	if (name->netns[0] != '\0') {
		ns = unm_netns_open(name->netns);
		if (ns < 0)
			return;
		home = unm_netns_enter(ns);
		close(ns);
		if (home < 0)
			return;
	}
	memcpy(r->ifname, name->ifname, sizeof(r->ifname));
	r->src.fd = unm_nic_netlink(RTMGRP_LINK);
	if (home >= 0)
		unm_netns_leave(home);
	if (r->src.fd >= 0 && unm_loop_add(r->loop, &r->src, EPOLLIN) < 0) {
		close(r->src.fd);
		r->src.fd = -1;
	}
}

void
unm_nic_return_stop(struct unm_nic_return *r)
{
	unm_loop_close(r->loop, &r->src);
}
