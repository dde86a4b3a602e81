/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_PACKET sockets, and a program at the interface's ingress hook (TCX). See packet.h.
 *
 * The socket sees a frame before the hook does. The program returns what its table of one entry
 * says: pass on, or drop. Frames from host tx rings, which have a mark, pass, and are not for the
 * socket.
 */
/* Syscalls: socket bind setsockopt (bpf: see tools/netmapd/confine.c) */
#include "daemon/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/hoststack.h"
#include "daemon/xdp.h"

/* Newer than the headers that we build with (Linux 6.6). */
#define TCX_INGRESS 46
#define TCX_NEXT    UINT32_MAX
#define TCX_DROP    2u

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

#define RECEIVE_BUFFER (16 * 1024 * 1024)
#define SEND_BUFFER    (4 * 1024 * 1024)

static int
ignore_marked(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_MARK)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UNM_HOST_MARK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

int
unm_packet_open(uint32_t ifindex)
{
	struct sockaddr_ll sa = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)ifindex,
	};
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int one = 1, rcvbuf = RECEIVE_BUFFER;
	int ret;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) == 0 &&
		setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) == 0 &&
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) == 0 &&
		ignore_marked(fd) == 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
		/* Without them it is slower: the queueing discipline is passed, the buffer small. */
		if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
			setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)) < 0)
			return fd;
		return fd;
	}
	ret = -errno;
	close(fd);
	return ret;
}

static int
receive_nothing(int fd)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_fprog prog = {.len = 1, .filter = code};
	const int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof(one));
}

int
unm_packet_open_sender(uint32_t ifindex)
{
	/* Protocol 0: nothing comes. */
	const struct sockaddr_ll sa = {.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex};
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int one = 1, sndbuf = SEND_BUFFER;
	int ret;

	if (fd < 0)
		return -errno;
	if (receive_nothing(fd) == 0 &&
		setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) == 0 &&
		setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf)) == 0 &&
		bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int
unm_packet_guard_set(int map_fd, bool drops)
{
	return unm_bpf_map_set(map_fd, 0, drops ? TCX_DROP : TCX_NEXT);
}

int
unm_packet_guard(uint32_t ifindex, int *map_fd)
{
	int map = unm_bpf_array_new("unetmap_guard");
	int prog, link;

	if (map < 0)
		return map;
	link = unm_packet_guard_set(map, false);
	prog = link < 0 ? link : unm_bpf_verdict_prog(map, TCX_NEXT);
	if (prog >= 0) {
		link = unm_bpf_attach(prog, ifindex, TCX_INGRESS, 0);
		close(prog);
	} else {
		link = prog;
	}
	if (link < 0)
		close(map);
	else
		*map_fd = map;
	return link;
}
