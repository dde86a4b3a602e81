/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_PACKET sockets, and a program at the interface's ingress hook. See packet.h.
 *
 * The socket sees a frame before the hook does. The program returns what its table of one entry
 * says: pass on, or drop. Frames from host tx rings, which have a mark, pass, and are not for the
 * socket. Where the hook has no links (TCX, Linux 6.6), it is a filter with a switch (bpf_switch.h),
 * and drops while that is on.
 */
/* Syscalls: socket bind setsockopt fstat newfstatat (bpf: see tools/netmapd/confine.c) */
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
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/bpf.h"
#include "daemon/bpf_switch.h"
#include "daemon/clsact.h"
#include "daemon/hoststack.h"
#include "daemon/netns.h"
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

static bool
is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int
unm_packet_guard_set(int held_fd, int map_fd, bool drops)
{
	if (is_socket(held_fd))
		return unm_bpf_switch_set(map_fd, held_fd, drops);
	return unm_bpf_map_set(map_fd, 0, drops ? TCX_DROP : TCX_NEXT);
}

static int
guard_by_link(uint32_t ifindex, int *map_fd)
{
	int map = unm_bpf_map_new(BPF_MAP_TYPE_ARRAY, 1, "unetmap_guard");
	int prog, link;

	if (map < 0)
		return map;
	link = unm_bpf_map_set(map, 0, TCX_NEXT);
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

static int
guard_by_filter(uint32_t ifindex, int *map_fd)
{
	const int sock = unm_bpf_switch_new(map_fd);
	int prog, ret;

	if (sock < 0)
		return sock;
	prog = ret = unm_bpf_switched_drop_prog(*map_fd);
	if (ret >= 0) {
		ret = unm_clsact_add(ifindex, false, prog);
		close(prog);
	}
	if (ret == 0)
		return sock;
	close(sock);
	close(*map_fd);
	return ret;
}

int
unm_packet_guard(uint32_t ifindex, int *map_fd)
{
	const int ret = unm_clsact_is_wanted() ? -EINVAL : guard_by_link(ifindex, map_fd);

	return ret == -EINVAL ? guard_by_filter(ifindex, map_fd) : ret;
}

void
unm_packet_guard_end(int packet_fd, uint32_t ifindex, int held_fd)
{
	int home;

	if (!is_socket(held_fd)) {
		unm_xdp_detach(held_fd);
		return;
	}
	home = unm_netns_enter_of_socket(packet_fd);
	if (home < 0)
		return; /* then it stays there, switched off */
	unm_clsact_del(ifindex, false);
	unm_netns_leave(home);
}
