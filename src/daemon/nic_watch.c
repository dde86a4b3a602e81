/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of an open interface: a netlink socket for each, in the interface's namespace, tells
 * of links. Each message is only a reason to ask for the present state, so that none may be missed.
 * A second socket asks: on the first, news of other interfaces may come before the answer.
 *
 *   carrier lost, back     the port's link (port/link.h)
 *   taken down             its rings stop: syncs fail with EIO, polls with POLLERR, until it is up
 *   renamed                so is the port (nic_names.h)
 *   removed, moved away    the port ends: its clients have a zombie. The message of an interface that
 *                          was moved tells where to, by the number that its old namespace has for
 *                          the new one: its offloads are given back there
 */
/* Syscalls: socket bind sendto recvfrom recvmsg */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/host_port.h"
#include "daemon/loop.h"
#include "daemon/netdev.h"
#include "daemon/netns.h"
#include "daemon/nic.h"
#include "daemon/nic_names.h"
#include "daemon/offload.h"
#include "daemon/veth.h"

#define MAX_MESSAGES 64 /* read in one go; the loop calls again */

/* Where an interface was moved to. */
struct new_place {
	bool is_known;
	int32_t netnsid; /* as the old namespace counts */
	uint32_t ifindex;
};

struct unm_nic_watch {
	struct unm_source src;
	int ask_fd;
	struct unm_domain *dom;
	struct unm_dport *port;
	struct new_place moved;
};

/* Room for a message. netmapd has one thread */
static union {
	struct nlmsghdr h;
	char bytes[32768];
} incoming;

/* The present state of an interface, as RTM_GETLINK tells it. */
struct link_state {
	char name[UNM_IFNAME_SIZE];
	bool is_up, has_carrier;
	uint32_t mtu;
	uint32_t prog_id; /* of an XDP program, 0 = none */
};

int
unm_nic_netlink(uint32_t groups)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK, .nl_groups = groups};
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		const int error = -errno;

		close(fd);
		return error;
	}
	return fd < 0 ? -errno : fd;
}

static void
take_xdp(const struct rtattr *xdp, struct link_state *s)
{
	const struct rtattr *a = RTA_DATA(xdp);
	int len = (int)RTA_PAYLOAD(xdp);

	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		/* Several modes at once have an id each; any will do. */
		if ((a->rta_type == IFLA_XDP_PROG_ID || a->rta_type == IFLA_XDP_DRV_PROG_ID ||
			    a->rta_type == IFLA_XDP_SKB_PROG_ID ||
			    a->rta_type == IFLA_XDP_HW_PROG_ID) &&
			RTA_PAYLOAD(a) >= sizeof(uint32_t))
			memcpy(&s->prog_id, RTA_DATA(a), sizeof(uint32_t));
	}
}

static void
take_attributes(const struct nlmsghdr *h, struct link_state *s)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	const struct rtattr *a = IFLA_RTA(ifi);
	int len = (int)IFLA_PAYLOAD(h);

	s->is_up = ifi->ifi_flags & IFF_UP;
	s->has_carrier = ifi->ifi_flags & IFF_RUNNING;
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		const size_t n = RTA_PAYLOAD(a);

		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFLA_IFNAME:
			snprintf(s->name, sizeof(s->name), "%.*s", (int)n, (char *)RTA_DATA(a));
			break;
		case IFLA_MTU:
			if (n >= sizeof(s->mtu))
				memcpy(&s->mtu, RTA_DATA(a), sizeof(s->mtu));
			break;
		case IFLA_XDP:
			take_xdp(a, s);
			break;
		default:
			break;
		}
	}
}

/* Does the message say that interface @ifindex has left its namespace for another one? */
static void
take_move(const struct nlmsghdr *h, uint32_t ifindex, struct new_place *out)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	const struct rtattr *a = IFLA_RTA(ifi);
	int len = (int)IFLA_PAYLOAD(h);
	struct new_place p = {.ifindex = ifindex};

	if (h->nlmsg_type != RTM_DELLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*ifi)) ||
		ifi->ifi_index != (int)ifindex)
		return;
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (RTA_PAYLOAD(a) < sizeof(uint32_t))
			continue;
		if (a->rta_type == IFLA_NEW_NETNSID) {
			memcpy(&p.netnsid, RTA_DATA(a), sizeof(p.netnsid));
			p.is_known = true;
		} else if (a->rta_type == IFLA_NEW_IFINDEX) {
			memcpy(&p.ifindex, RTA_DATA(a), sizeof(p.ifindex));
		}
	}
	if (p.is_known)
		*out = p;
}

/* Read what there is. It may be out of date, or may have been lost: only where it was moved counts. */
static void
listen_to(int fd, uint32_t ifindex, struct new_place *moved)
{
	int i;

	for (i = 0; i < MAX_MESSAGES; i++) {
		const ssize_t n = recv(fd, &incoming, sizeof(incoming), MSG_DONTWAIT);

		if (n < 0 && errno != ENOBUFS)
			break;
		if (n > 0 && NLMSG_OK(&incoming.h, (size_t)n))
			take_move(&incoming.h, ifindex, moved);
	}
}

static int
error_of(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);

	return h->nlmsg_len >= NLMSG_LENGTH(sizeof(*e)) && e->error < 0 ? e->error : -EPROTO;
}

/*
 * Ask on socket @fd, to which nobody sends but the kernel its answers, and these within the call.
 * Return: 0, -ENODEV: there is no such interface in its namespace, another negative errno: not known.
 */
static int
ask(int fd, uint32_t ifindex, struct link_state *out)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg ifi;
	} req = {
		.h = {.nlmsg_len = sizeof(req),
			.nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST},
		.ifi = {.ifi_index = (int)ifindex},
	};
	const struct nlmsghdr *h = &incoming.h;
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	ssize_t n;

	if (send(fd, &req, sizeof(req), 0) < 0)
		return -errno;
	n = recv(fd, &incoming, sizeof(incoming), 0);
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(h, (size_t)n))
		return -EPROTO;
	if (h->nlmsg_type == NLMSG_ERROR)
		return error_of(h);
	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*ifi)) ||
		ifi->ifi_index != (int)ifindex)
		return -EPROTO;
	memset(out, 0, sizeof(*out));
	take_attributes(h, out);
	return 0;
}

uint32_t
unm_nic_xdp_id(uint32_t ifindex)
{
	const int fd = unm_nic_netlink(0);
	struct link_state s;
	int ret;

	if (fd < 0)
		return 0;
	ret = ask(fd, ifindex, &s);
	close(fd);
	return ret == 0 ? s.prog_id : 0;
}

/* --- changes --- */

/* In the mode that it was opened in, a frame may have to fit a buffer. */
static void
warn_of_mtu(const struct unm_dport *port)
{
	const struct unm_nic_setup *s = &port->nic->setup;

	if (!s->is_multi_buffer && port->max_frame > s->frame_room)
		unm_log(LOG_WARNING,
			"%s has frames of up to %u bytes now, a buffer takes %u: longer ones are "
			"dropped",
			port->name, port->max_frame, s->frame_room);
}

static void
apply(struct unm_domain *dom, struct unm_dport *port, const struct link_state *s)
{
	struct unm_nic *nic = port->nic;
	const uint32_t before = port->flags;

	if (strcmp(s->name, nic->ifname) != 0) {
		memcpy(nic->ifname, s->name, sizeof(nic->ifname));
		unm_nic_names_settle(dom);
	}
	if (s->mtu != nic->mtu) {
		nic->mtu = s->mtu;
		port->max_frame = s->mtu + UNM_ETH_OVERHEAD;
		unm_dport_update(port);
		warn_of_mtu(port);
	}
	if (nic->is_up && !s->is_up)
		port->flags |= UNM_PORTF_STOPPED;
	else if (s->is_up)
		port->flags &= ~UNM_PORTF_STOPPED;
	nic->is_up = s->is_up;
	if (port->flags != before || s->has_carrier == !!(port->flags & UNM_PORTF_LINK_DOWN))
		unm_dport_set_link(port, s->has_carrier);
}

struct netnsid {
	int sock;
	int32_t id;
};

static bool
has_netnsid(int ns, const void *arg)
{
	const struct netnsid *want = arg;
	int32_t id;

	return unm_veth_ask_netnsid(want->sock, ns, &id) == 0 && id == want->id;
}

/* What was switched off for us is on again, where the interface is now. */
static void
follow(struct unm_domain *dom, const struct unm_nic *nic, const struct new_place *moved)
{
	const struct netnsid want = {.sock = nic->veth_fd, .id = moved->netnsid};
	const int ns = unm_netns_find(has_netnsid, &want);
	const int home = ns >= 0 ? unm_netns_enter(ns) : -1;
	int sock = -1;

	if (ns >= 0)
		close(ns);
	if (home >= 0) {
		sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		unm_netns_leave(home);
	}
	unm_offload_give_back_moved(
		dom, nic->ifindex, nic->netns, nic->ns.ino, sock, moved->ifindex);
	if (sock >= 0)
		close(sock);
}

static void
look(struct unm_nic_watch *w)
{
	struct unm_domain *dom = w->dom;
	struct unm_dport *port = w->port;
	const uint32_t ifindex = port->nic->ifindex;
	struct link_state s;
	int ret;

	listen_to(w->src.fd, ifindex, &w->moved);
	ret = ask(w->ask_fd, ifindex, &s);
	if (ret == 0) {
		apply(dom, port, &s);
	} else if (ret == -ENODEV) {
		unm_log(LOG_INFO, "%s: the interface is gone from its namespace", port->name);
		listen_to(w->src.fd, ifindex, &w->moved); /* it may have moved just now */
		if (w->moved.is_known)
			follow(dom, port->nic, &w->moved);
		if (dom->nic_changed != NULL)
			dom->nic_changed(dom, port, false);
		unm_host_port_end(dom, port->name);
		unm_nic_unwatch(port->nic); /* frees @w */
		unm_nic_let_go(port);
		unm_dport_remove(dom, port);
		unm_nic_names_settle(dom);
		if (dom->save != NULL)
			dom->save(dom); /* if it is attached, it is away now */
	}
}

static void
news(struct unm_source *src, uint32_t events)
{
	(void)events; /* readable is all that was asked for */
	look((struct unm_nic_watch *)(void *)((char *)src - offsetof(struct unm_nic_watch, src)));
}

void
unm_nic_look(struct unm_dport *port)
{
	if (port->nic != NULL && port->nic->watch != NULL)
		look(port->nic->watch);
}

uint32_t
unm_nic_extra_queues(const struct unm_nic *nic)
{
	uint32_t n;

	if (nic->watch == NULL || nic->setup.mode == UNM_NIC_PACKET) /* which takes all */
		return 0;
	n = unm_netdev_queues(nic->watch->ask_fd, nic->ifname);
	return n > nic->setup.n_queues ? n - nic->setup.n_queues : 0;
}

static void
free_watch(struct unm_nic_watch *w)
{
	if (w->src.fd >= 0)
		close(w->src.fd);
	if (w->ask_fd >= 0)
		close(w->ask_fd);
	free(w);
}

int
unm_nic_watch(struct unm_domain *dom, struct unm_dport *port)
{
	struct unm_nic_watch *w = calloc(1, sizeof(*w));
	struct link_state s;
	int ret;

	if (w == NULL)
		return -ENOMEM;
	w->dom = dom;
	w->port = port;
	w->src.ready = news;
	w->src.fd = unm_nic_netlink(RTMGRP_LINK);
	w->ask_fd = unm_nic_netlink(0);
	if (w->src.fd < 0 || w->ask_fd < 0 || dom->loop == NULL ||
		unm_loop_add(dom->loop, &w->src, EPOLLIN) < 0) {
		free_watch(w);
		return -EMFILE;
	}
	port->nic->watch = w;
	ret = ask(w->ask_fd, port->nic->ifindex, &s); /* what happened before the socket listened */
	if (ret == 0)
		apply(dom, port, &s);
	return ret == -ENODEV ? ret : 0;
}

void
unm_nic_unwatch(struct unm_nic *nic)
{
	struct unm_nic_watch *w = nic->watch;

	if (w == NULL)
		return;
	nic->watch = NULL;
	unm_loop_del(w->dom->loop, &w->src);
	free_watch(w);
}
