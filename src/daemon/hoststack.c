/* SPDX-License-Identifier: BSD-2-Clause */
/* The TAP beside an interface and the programs that join the two. See hoststack.h. */
/* Syscalls: openat ioctl socket getrandom */
#include "daemon/hoststack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/bpf.h"
#include "daemon/bpf_switch.h"
#include "daemon/clsact.h"
#include "daemon/netns.h"
#include "daemon/tap.h"

/* Later than the headers that we build with (Linux 6.6). */
#define TCX_INGRESS 46
#define TCX_EGRESS  47

#define NEXT	    (-1) /* TCX_NEXT, TC_ACT_UNSPEC: as if this program were not there */
#define NAME_TRIES  10
#define TAP_MTU	    65521 /* the most that a TAP takes: what fits the interface is not our question */

#define TUN_DEVICE  "/dev/net/tun"

/* --- programs --- */

#define R0	  BPF_REG_0
#define R1	  BPF_REG_1
#define R2	  BPF_REG_2
#define R3	  BPF_REG_3
#define R4	  BPF_REG_4
#define R5	  BPF_REG_5
#define R6	  BPF_REG_6
#define R10	  BPF_REG_10

#define MAX_INSNS 48

struct program {
	struct bpf_insn code[MAX_INSNS];
	size_t n;
};

static void
emit(struct program *p, struct bpf_insn i)
{
	if (p->n < MAX_INSNS) /* all of ours are shorter */
		p->code[p->n++] = i;
}

static void
emit_redirect(struct program *p, uint32_t ifindex, int32_t flags)
{
	emit(p, unm_bpf_set(R1, (int32_t)ifindex));
	emit(p, unm_bpf_set(R2, flags));
	emit(p, unm_bpf_call(BPF_FUNC_redirect));
	emit(p, unm_bpf_exit());
}

/* At the interface's egress. @switch_map: redirect only while its first entry has a socket; or -1 */
static int
load_to_tap(uint32_t tap_ifindex, int switch_map)
{
	struct program p = {.n = 0};

	if (switch_map >= 0) {
		unm_bpf_switch_code(p.code, switch_map, NEXT);
		p.n = UNM_BPF_SWITCH_INSNS;
	}
	emit_redirect(&p, tap_ifindex, 0);
	return unm_bpf_load(BPF_PROG_TYPE_SCHED_CLS, 0, 0, "unetmap_to_tap", p.code, p.n);
}

/* Put the token, which lies on the stack from -16 on, in front of the frame. */
static void
emit_token(struct program *p)
{
	uint32_t word[UNM_HOST_TOKEN_LEN / 4];
	int16_t i;

	memcpy(word, unm_host_token(), sizeof(word));
	emit(p, unm_bpf_mov(R6, R1));
	emit(p, unm_bpf_set(R2, UNM_HOST_TOKEN_LEN));
	emit(p, unm_bpf_set(R3, 0));
	emit(p, unm_bpf_call(BPF_FUNC_skb_change_head));
	emit(p, unm_bpf_insn(BPF_JMP | BPF_JEQ | BPF_K, R0, 0, 2, 0));
	emit(p, unm_bpf_set(R0, TC_ACT_SHOT));
	emit(p, unm_bpf_exit());
	for (i = 0; i < 4; i++)
		emit(p, unm_bpf_insn(BPF_ST | BPF_MEM | BPF_W, R10, 0, (int16_t)(4 * i - 16),
				(int32_t)word[i]));
	emit(p, unm_bpf_mov(R1, R6));
	emit(p, unm_bpf_set(R2, 0));
	emit(p, unm_bpf_mov(R3, R10));
	emit(p, unm_bpf_insn(BPF_ALU64 | BPF_ADD | BPF_K, R3, 0, 0, -16));
	emit(p, unm_bpf_set(R4, UNM_HOST_TOKEN_LEN));
	emit(p, unm_bpf_set(R5, 0));
	emit(p, unm_bpf_call(BPF_FUNC_skb_store_bytes));
}

/* At the TAP's ingress. */
static int
load_from_tap(uint32_t ifindex, enum unm_host_inject inject)
{
	struct program p = {.n = 0};

	if (inject == UNM_HOST_MARKED) {
		emit(&p, unm_bpf_set(R2, (int32_t)UNM_HOST_MARK));
		emit(&p, unm_bpf_insn(BPF_STX | BPF_MEM | BPF_W, R1, R2,
				 offsetof(struct __sk_buff, mark), 0));
	} else if (inject == UNM_HOST_TOKEN) {
		emit_token(&p);
	}
	emit_redirect(&p, ifindex, BPF_F_INGRESS);
	return unm_bpf_load(BPF_PROG_TYPE_SCHED_CLS, 0, 0, "unetmap_to_host", p.code, p.n);
}

const uint8_t *
unm_host_token(void)
{
	static uint8_t token[UNM_HOST_TOKEN_LEN];

	while (token[0] == 0) { /* ends after two turns, but for one in 2^16 */
		if (getrandom(token, sizeof(token), 0) != (ssize_t)sizeof(token))
			abort(); /* so few bytes are always there once the system runs */
	}
	return token;
}

/* --- attaching --- */

/* For as long as the interface is there. */
static int
attach_for_good(uint32_t ifindex, int prog_fd)
{
	union bpf_attr attr;
	int ret = -EINVAL;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = ifindex;
	attr.attach_bpf_fd = (uint32_t)prog_fd;
	attr.attach_type = TCX_INGRESS;
	if (!unm_clsact_is_wanted())
		ret = unm_bpf(BPF_PROG_ATTACH, &attr);
	return ret == -EINVAL ? unm_clsact_add(ifindex, false, prog_fd) : ret;
}

static int
link_egress(uint32_t ifindex, uint32_t tap_ifindex)
{
	const int prog_fd = load_to_tap(tap_ifindex, -1);
	union bpf_attr attr;
	int ret;

	if (prog_fd < 0)
		return prog_fd;
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)prog_fd;
	attr.link_create.target_ifindex = ifindex;
	attr.link_create.attach_type = TCX_EGRESS;
	ret = unm_bpf(BPF_LINK_CREATE, &attr);
	close(prog_fd);
	return ret;
}

/* A filter with a switch. Return: the socket that keeps it on. */
static int
filter_egress(uint32_t ifindex, uint32_t tap_ifindex)
{
	int map_fd, prog_fd = -1, ret;
	const int sock = unm_bpf_switch_new(&map_fd);

	if (sock < 0)
		return sock;
	ret = unm_bpf_switch_set(map_fd, sock, true);
	if (ret == 0)
		prog_fd = ret = load_to_tap(tap_ifindex, map_fd);
	if (ret >= 0)
		ret = unm_clsact_add(ifindex, true, prog_fd);
	if (prog_fd >= 0)
		close(prog_fd);
	close(map_fd);
	if (ret == 0)
		return sock;
	close(sock);
	return ret;
}

/* Enter the network namespace of a TAP. Return: descriptor for unm_netns_leave(), or -errno. */
static int
enter_netns_of(int tap_fd)
{
	const int ns = ioctl(tap_fd, TUNGETDEVNETNS, 0);
	int home;

	if (ns < 0)
		return -errno;
	home = unm_netns_enter(ns);
	close(ns);
	return home;
}

static int
tap_index(int tap_fd, uint32_t *ifindex)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	if (ioctl(tap_fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	*ifindex = if_nametoindex(ifr.ifr_name);
	return *ifindex != 0 ? 0 : -ENODEV;
}

static int
intercept_here(int tap_fd, uint32_t ifindex)
{
	uint32_t tap_ifindex = 0;
	int ret = tap_index(tap_fd, &tap_ifindex);

	if (ret < 0)
		return ret;
	ret = unm_clsact_is_wanted() ? -EINVAL : link_egress(ifindex, tap_ifindex);
	return ret == -EINVAL ? filter_egress(ifindex, tap_ifindex) : ret;
}

int
unm_host_intercept(int tap_fd, uint32_t ifindex, struct unm_reason *why)
{
	const int home = enter_netns_of(tap_fd);
	int ret = home;

	if (home >= 0) {
		ret = intercept_here(tap_fd, ifindex);
		unm_netns_leave(home);
	}
	if (ret >= 0)
		return ret;
	return unm_fail(why, ret, "can't intercept what the kernel sends: %s%s", strerror(-ret),
		ret == -EPERM ? ": it takes a netmapd that root runs" : "");
}

void
unm_host_release(int tap_fd, uint32_t ifindex, int held_fd)
{
	union bpf_attr attr;
	int home;

	memset(&attr, 0, sizeof(attr));
	attr.link_detach.link_fd = (uint32_t)held_fd;
	if (unm_bpf(BPF_LINK_DETACH, &attr) < 0) { /* a socket */
		home = enter_netns_of(tap_fd);
		if (home >= 0) {
			unm_clsact_del(ifindex, true); /* fails where the interface went */
			unm_netns_leave(home);
		}
	}
	close(held_fd);
}

/* --- the TAP --- */

static int
open_queue(const char *tap, bool is_first)
{
	const int fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq ifr;
	int ret;

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? -ENXIO : -errno;
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE |
				(is_first ? IFF_TUN_EXCL : 0));
	memcpy(ifr.ifr_name, tap, strlen(tap) + 1);
	if (ioctl(fd, TUNSETIFF, &ifr) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

/* A name that nobody has: the interface's and a ^, if need be with a digit. Return: first queue. */
static int
open_first(const char *ifname, char *tap)
{
	int i, fd;

	for (i = 0; i < NAME_TRIES; i++) {
		char digit[4] = "";

		if (i > 0)
			snprintf(digit, sizeof(digit), "%d", i);
		snprintf(
			tap, IFNAMSIZ, "%.*s^%s", IFNAMSIZ - 2 - (int)strlen(digit), ifname, digit);
		fd = open_queue(tap, true);
		if (fd != -EBUSY && fd != -EEXIST && fd != -EINVAL)
			return fd;
	}
	return -EEXIST;
}

static int
set_number(int sock, const char *tap, unsigned long request, int value)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, tap, strlen(tap) + 1);
	ifr.ifr_mtu = value; /* the same place for all requests with a number */
	return ioctl(sock, request, &ifr) < 0 ? -errno : 0;
}

/* No addresses, nothing that it would say by itself, and up. */
static int
bring_up(const char *tap)
{
	const int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr;
	char path[80];
	int fd, ret;

	if (sock < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", tap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) != 1)
			unm_log(LOG_WARNING, "%s may send IPv6 frames of its own", tap);
		close(fd);
	}
	ret = set_number(sock, tap, SIOCSIFMTU, TAP_MTU);
	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, tap, strlen(tap) + 1);
	ifr.ifr_flags = IFF_UP | IFF_NOARP;
	if (ret == 0 && ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
		ret = -errno;
	close(sock);
	return ret;
}

static int
join(const char *tap, uint32_t ifindex, enum unm_host_inject inject)
{
	const uint32_t tap_ifindex = if_nametoindex(tap);
	const int prog_fd = load_from_tap(ifindex, inject);
	int ret;

	if (prog_fd < 0)
		return prog_fd;
	ret = attach_for_good(tap_ifindex, prog_fd);
	close(prog_fd);
	return ret;
}

static int
open_tap(const char *ifname, uint32_t ifindex, enum unm_host_inject inject, uint32_t n, int *fds)
{
	char tap[IFNAMSIZ];
	uint32_t i;
	int ret = open_first(ifname, tap);

	if (ret < 0)
		return ret;
	fds[0] = ret;
	for (i = 1; i < n && ret >= 0; i++)
		fds[i] = ret = open_queue(tap, false);
	if (ret >= 0)
		ret = unm_tap_set_header(fds[0], 12, 0);
	if (ret == 0)
		ret = join(tap, ifindex, inject); /* before it could say anything */
	if (ret == 0)
		ret = bring_up(tap);
	if (ret == 0)
		return 0;
	while (i-- > 0) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	return ret;
}

int
unm_host_open(const char *ifname, uint32_t ifindex, enum unm_host_inject inject, uint32_t n,
	int *fds, struct unm_reason *why)
{
	const int ret = open_tap(ifname, ifindex, inject, n, fds);

	switch (ret) {
	case 0:
		return 0;
	case -EPERM:
	case -EACCES:
		return unm_fail(why, -EPERM,
			"'%s' has no host rings: they need CAP_NET_ADMIN and CAP_BPF: run netmapd "
			"as root",
			ifname);
	case -ENXIO:
		return unm_fail(why, ret,
			"'%s' has no host rings: this system has no " TUN_DEVICE " (modprobe tun)",
			ifname);
	case -EEXIST:
		return unm_fail(why, ret,
			"'%s' has no host rings: interfaces named %.13s^, %.13s^1, ... exist "
			"already",
			ifname, ifname, ifname);
	default:
		return unm_fail(why, ret, "'%s' has no host rings: %s", ifname, strerror(-ret));
	}
}
