/* SPDX-License-Identifier: BSD-2-Clause */
/* Traffic control messages to the kernel: a clsact qdisc, and one BPF filter in it. See clsact.h. */
/* Syscalls: socket sendto sendmsg recvfrom recvmsg setsockopt */
#include "daemon/clsact.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define FILTER_PRIO   0x6e6du /* nobody else's by accident */
#define FILTER_HANDLE 1u
#define ANSWER_WAIT_S 2

struct message {
	struct nlmsghdr nl;
	struct tcmsg tc;
	uint8_t attrs[128];
};

/* An attribute at the message's end. All of ours fit by far. */
static struct rtattr *
add_attr(struct message *m, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)m + NLMSG_ALIGN(m->nl.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	m->nl.nlmsg_len = NLMSG_ALIGN(m->nl.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void
begin(struct message *m, uint16_t type, uint16_t flags, uint32_t ifindex, uint32_t parent)
{
	memset(m, 0, sizeof(*m));
	m->nl.nlmsg_len = NLMSG_LENGTH(sizeof(m->tc));
	m->nl.nlmsg_type = type;
	m->nl.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	m->tc.tcm_family = AF_UNSPEC;
	m->tc.tcm_ifindex = (int)ifindex;
	m->tc.tcm_parent = parent;
}

/* Ask the kernel and wait for its word. Return: 0 or -errno. */
static int
ask(const struct message *m)
{
	const struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct {
		struct nlmsghdr nl;
		struct nlmsgerr err;
		uint8_t more[512];
	} ans;
	ssize_t n;
	int ret = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (send(fd, m, m->nl.nlmsg_len, 0) < 0) {
		ret = -errno;
	} else {
		n = recv(fd, &ans, sizeof(ans), 0);
		if (n < 0)
			ret = -errno;
		else if ((size_t)n < sizeof(ans.nl) + sizeof(ans.err.error) ||
			 ans.nl.nlmsg_type != NLMSG_ERROR)
			ret = -EPROTO;
		else
			ret = ans.err.error;
	}
	close(fd);
	return ret;
}

bool
unm_clsact_is_wanted(void)
{
	const char *how = getenv(UNM_ATTACH_ENV);

	return how != NULL && strcmp(how, "clsact") == 0;
}

static uint32_t
parent(bool is_egress)
{
	return TC_H_MAKE(TC_H_CLSACT, is_egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

int
unm_clsact_add(uint32_t ifindex, bool is_egress, int prog_fd)
{
	const uint32_t prog = (uint32_t)prog_fd, flags = TCA_BPF_FLAG_ACT_DIRECT;
	struct rtattr *options;
	struct message m;
	int ret;

	begin(&m, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex, TC_H_CLSACT);
	m.tc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	add_attr(&m, TCA_KIND, "clsact", sizeof("clsact"));
	ret = ask(&m);
	if (ret < 0 && ret != -EEXIST)
		return ret == -ENOENT ? -EOPNOTSUPP : ret;
	begin(&m, RTM_NEWTFILTER, NLM_F_CREATE, ifindex, parent(is_egress));
	m.tc.tcm_handle = FILTER_HANDLE;
	m.tc.tcm_info = TC_H_MAKE(FILTER_PRIO << 16, htons(ETH_P_ALL));
	add_attr(&m, TCA_KIND, "bpf", sizeof("bpf"));
	options = add_attr(&m, TCA_OPTIONS, "", 0);
	add_attr(&m, TCA_BPF_FD, &prog, sizeof(prog));
	add_attr(&m, TCA_BPF_NAME, "unetmap", sizeof("unetmap"));
	add_attr(&m, TCA_BPF_FLAGS, &flags, sizeof(flags));
	options->rta_len = (unsigned short)((uint8_t *)&m + m.nl.nlmsg_len - (uint8_t *)options);
	ret = ask(&m);
	return ret == -ENOENT ? -EOPNOTSUPP : ret;
}

int
unm_clsact_del(uint32_t ifindex, bool is_egress)
{
	struct message m;

	begin(&m, RTM_DELTFILTER, 0, ifindex, parent(is_egress));
	m.tc.tcm_handle = FILTER_HANDLE;
	m.tc.tcm_info = TC_H_MAKE(FILTER_PRIO << 16, htons(ETH_P_ALL));
	add_attr(&m, TCA_KIND, "bpf", sizeof("bpf"));
	return ask(&m);
}
