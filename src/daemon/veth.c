/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding veth pairs. See veth.h. */
/* Syscalls: socket sendto recvfrom ioctl */
#include "daemon/veth.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/netns.h"

#define ANSWER_SIZE 32768u /* of an interface with everything that it may have */

/* What an interface says about its other end. */
struct other_end {
	bool is_veth;
	bool has_netnsid;
	uint32_t ifindex;
	int32_t netnsid;
};

union message {
	struct nlmsghdr h;
	char bytes[ANSWER_SIZE];
};

static const struct rtattr *
find_attr(const struct rtattr *a, int len, unsigned short type)
{
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	}
	return NULL;
}

static bool
get_word(const struct rtattr *a, void *out)
{
	if (a == NULL || RTA_PAYLOAD(a) < sizeof(uint32_t))
		return false;
	memcpy(out, RTA_DATA(a), sizeof(uint32_t));
	return true;
}

/*
 * Put the question @m and read the answer into it. The kernel answers in the call; nobody else talks
 * on such a socket.
 */
static int
ask(int sock, union message *m)
{
	ssize_t n;

	if (send(sock, m, m->h.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(sock, m, sizeof(*m), MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	return NLMSG_OK(&m->h, (size_t)n) && m->h.nlmsg_type != NLMSG_ERROR ? 0 : -EPROTO;
}

int
unm_veth_socket(int fd)
{
	const int home = unm_netns_enter_of_socket(fd);
	int sock;

	if (home < 0)
		return home;
	sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (sock < 0)
		sock = -errno;
	unm_netns_leave(home);
	return sock;
}

static int
ask_other_end(int sock, uint32_t ifindex, struct other_end *out)
{
	static union message m; /* netmapd has one thread */
	struct ifinfomsg *ifi = NLMSG_DATA(&m.h);
	const struct rtattr *attrs = IFLA_RTA(ifi), *info, *kind;
	int ret, len;

	memset(&m, 0, NLMSG_LENGTH(sizeof(*ifi)));
	m.h.nlmsg_len = NLMSG_LENGTH(sizeof(*ifi));
	m.h.nlmsg_type = RTM_GETLINK;
	m.h.nlmsg_flags = NLM_F_REQUEST;
	ifi->ifi_index = (int)ifindex;
	ret = ask(sock, &m);
	if (ret < 0)
		return ret;
	if (m.h.nlmsg_type != RTM_NEWLINK || m.h.nlmsg_len < NLMSG_LENGTH(sizeof(*ifi)))
		return -EPROTO;
	len = (int)IFLA_PAYLOAD(&m.h);
	memset(out, 0, sizeof(*out));
	info = find_attr(attrs, len, IFLA_LINKINFO);
	kind = info != NULL ? find_attr(RTA_DATA(info), (int)RTA_PAYLOAD(info), IFLA_INFO_KIND)
			    : NULL;
	out->is_veth = kind != NULL && RTA_PAYLOAD(kind) >= strlen("veth") &&
		       memcmp(RTA_DATA(kind), "veth", strlen("veth")) == 0;
	out->has_netnsid = get_word(find_attr(attrs, len, IFLA_LINK_NETNSID), &out->netnsid);
	return get_word(find_attr(attrs, len, IFLA_LINK), &out->ifindex) ? 0 : -ENOENT;
}

int
unm_veth_ask_netnsid(int sock, int ns, int32_t *id)
{
	static union message m;
	struct rtgenmsg *gen = NLMSG_DATA(&m.h);
	struct rtattr *a = (struct rtattr *)(void *)(m.bytes + NLMSG_SPACE(sizeof(*gen)));
	int ret, len;

	memset(&m, 0, NLMSG_SPACE(sizeof(*gen)) + RTA_SPACE(sizeof(ns)));
	m.h.nlmsg_len = NLMSG_SPACE(sizeof(*gen)) + RTA_SPACE(sizeof(ns));
	m.h.nlmsg_type = RTM_GETNSID;
	m.h.nlmsg_flags = NLM_F_REQUEST;
	gen->rtgen_family = AF_UNSPEC;
	a->rta_type = NETNSA_FD;
	a->rta_len = (unsigned short)RTA_LENGTH(sizeof(ns));
	memcpy(RTA_DATA(a), &ns, sizeof(ns));
	ret = ask(sock, &m);
	if (ret < 0)
		return ret;
	if (m.h.nlmsg_type != RTM_NEWNSID || m.h.nlmsg_len < NLMSG_SPACE(sizeof(*gen)))
		return -EPROTO;
	len = (int)(m.h.nlmsg_len - NLMSG_SPACE(sizeof(*gen)));
	return get_word(find_attr(a, len, NETNSA_NSID), id) && *id != NETNSA_NSID_NOT_ASSIGNED
		       ? 0
		       : -ENOENT;
}

/* The number that the namespace of @sock has for that of socket @other. Return: 0 or -errno. */
static int
ask_netnsid_of(int sock, int other, int32_t *id)
{
	const int ns = ioctl(other, SIOCGSKNS);
	int ret;

	if (ns < 0)
		return -errno;
	ret = unm_veth_ask_netnsid(sock, ns, id);
	close(ns);
	return ret;
}

/* Are the two sockets in one namespace? */
static bool
is_same_netns(int a, int b)
{
	uint64_t ca = 0, cb = 1;
	socklen_t len = sizeof(ca);

	return getsockopt(a, SOL_SOCKET, SO_NETNS_COOKIE, &ca, &len) == 0 &&
	       getsockopt(b, SOL_SOCKET, SO_NETNS_COOKIE, &cb, &len) == 0 && ca == cb;
}

bool
unm_veth_is_pair(int sock_a, uint32_t a, int sock_b, uint32_t b)
{
	struct other_end end;
	int32_t id = NETNSA_NSID_NOT_ASSIGNED;

	if (ask_other_end(sock_a, a, &end) < 0 || !end.is_veth || end.ifindex != b)
		return false;
	if (!end.has_netnsid) /* the pair is in one namespace */
		return a != b && is_same_netns(sock_a, sock_b);
	return ask_netnsid_of(sock_a, sock_b, &id) == 0 && id == end.netnsid;
}
