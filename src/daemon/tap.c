/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP interfaces. See tap.h.
 *
 * Which namespace a TAP lands in is decided by the thread that opens /dev/net/tun and names the
 * interface. netmapd itself never changes its namespace: a child process does, opens the queues
 * there and passes them back over a socket pair.
 */
/* Syscalls: openat ioctl socket setns readlink readlinkat access faccessat faccessat2 */
/* Syscalls: socketpair sendmsg recvmsg setsockopt poll ppoll clone clone3 kill wait4 waitid fstatfs */
#include "daemon/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/domain.h"
#include "daemon/netns.h"
#include "shm/proto.h"
#include "vale/vnet.h"

/* Later than the oldest kernel headers that we build with (Linux 6.2). */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TUN_DEVICE    "/dev/net/tun"
#define CHILD_WAIT_MS 2000 /* opening takes milliseconds; a stuck child must not stop netmapd */
#define BUSY_TRIES    40
#define BUSY_PAUSE_NS 5000000

static int
open_queue(const char *ifname, bool is_multi)
{
	struct ifreq ifr;
	int fd, ret;

	fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags =
		(short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (is_multi ? IFF_MULTI_QUEUE : 0));
	memcpy(ifr.ifr_name, ifname, strlen(ifname) + 1);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* The offloads that a kernel with a header in front of its frames may leave undone. */
static unsigned int
offloads(uint32_t lacks)
{
	unsigned int f = TUN_F_CSUM;

	if (lacks & UNM_VNET_LACKS_CSUM)
		return 0; /* segments have checksums too */
	if (!(lacks & UNM_VNET_LACKS_TSO4))
		f |= TUN_F_TSO4;
	if (!(lacks & UNM_VNET_LACKS_TSO6))
		f |= TUN_F_TSO6;
	if ((f & (TUN_F_TSO4 | TUN_F_TSO6)) && !(lacks & UNM_VNET_LACKS_ECN))
		f |= TUN_F_TSO_ECN;
	if (!(lacks & (UNM_VNET_LACKS_USO4 | UNM_VNET_LACKS_USO6)))
		f |= TUN_F_USO4 | TUN_F_USO6; /* the kernel has them together only */
	return f;
}

int
unm_tap_set_header(int fd, uint32_t len, uint32_t lacks)
{
	const int size = len == UNM_VNET_HDR_BASE ? UNM_VNET_HDR_BASE : UNM_VNET_HDR_MAX;
	const unsigned int f = len == 0 ? 0 : offloads(lacks);

	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0)
		return -errno;
	if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)f) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)(f & ~(TUN_F_USO4 | TUN_F_USO6))) < 0
		       ? -errno /* and not for want of USO */
		       : 0;
}

/* In the current namespace. Return: 0 or negative errno; on error nothing is open. */
static int
open_here(const char *ifname, uint32_t n, int *fds)
{
	uint32_t i;
	int ret;

	for (i = 0; i < n; i++) {
		fds[i] = open_queue(ifname, n > 1);
		if (fds[i] == -EINVAL && n == 1)
			fds[i] = open_queue(ifname, true); /* exists, made for several queues */
		if (fds[i] < 0) {
			ret = fds[i];
			while (i-- > 0)
				close(fds[i]);
			return ret;
		}
	}
	ret = unm_tap_set_header(fds[0], 0, 0); /* a persistent one is as its last user left it */
	if (ret == 0)
		return 0;
	while (i-- > 0)
		close(fds[i]);
	return ret;
}

int
unm_tap_set_carrier(int fd, bool is_on)
{
	const int on = is_on;

	return ioctl(fd, TUNSETCARRIER, &on) < 0 ? -errno : 0;
}

/*
 * The child: enter, open, send the result as a message of ours. Only async-signal-safe work between
 * fork and exit.
 */
static void
child(int sock, int ns_fd, const char *ifname, uint32_t n)
{
	struct unm_msg_hdr hdr = {.type = UNM_MSG_OPEN};
	int fds[UNM_MAX_TAP_QUEUES];
	int ret = setns(ns_fd, CLONE_NEWNET) < 0 ? -errno : 0;

	if (ret == 0)
		ret = open_here(ifname, n, fds);
	hdr.error = -ret;
	unm_proto_send(sock, &hdr, NULL, 0, fds, ret == 0 ? n : 0, 0);
	_exit(0);
}

static int
open_in_netns(int ns_fd, const char *ifname, uint32_t n, int *fds)
{
	struct unm_msg_hdr hdr;
	struct timeval wait = {.tv_sec = CHILD_WAIT_MS / 1000};
	int sv[2], got[UNM_PROTO_MAXFDS];
	unsigned int n_got = 0;
	int ret;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	pid = fork();
	if (pid == 0)
		child(sv[1], ns_fd, ifname, n);
	ret = pid < 0 ? -errno : 0;
	close(sv[1]);
	if (ret == 0) {
		ret = unm_proto_recv(sv[0], &hdr, sizeof(hdr), got, &n_got, 0);
		if (ret == 0)
			ret = hdr.error != 0 ? -hdr.error : n_got == n ? 0 : -EPROTO;
	}
	close(sv[0]);
	if (ret == 0) {
		memcpy(fds, got, n * sizeof(*fds));
		return 0;
	}
	while (n_got-- > 0)
		close(got[n_got]);
	return ret;
}

/*
 * One that was detached from a switch a moment ago is let go by the workers of its neighbours in
 * this moment.
 */
static int
open_queues(const struct unm_name *name, int ns_fd, uint32_t n, int *fds)
{
	const struct timespec pause = {.tv_nsec = BUSY_PAUSE_NS};
	int tries, ret;

	for (tries = 0;; tries++) { /* at most BUSY_TRIES */
		ret = ns_fd < 0 ? open_here(name->ifname, n, fds)
				: open_in_netns(ns_fd, name->ifname, n, fds);
		if (ret != -EBUSY || tries == BUSY_TRIES)
			return ret;
		nanosleep(&pause, NULL);
	}
}

int
unm_tap_open_queues(const struct unm_name *name, uint32_t n, int *fds, struct unm_reason *why)
{
	int ns_fd = -1, ret = -EINVAL;

	if (name->netns[0] != '\0') {
		ns_fd = unm_netns_open(name->netns);
		if (ns_fd < 0)
			return unm_netns_fail(why, name->full, name->netns, ns_fd);
	}
	/* Longer: the host's side of an interface (names.h) that is not on a switch */
	if (unm_ifname_ok(name->ifname))
		ret = open_queues(name, ns_fd, n, fds);
	if (ns_fd >= 0)
		close(ns_fd);
	switch (ret) {
	case 0:
		return 0;
	case -EPERM:
	case -EACCES:
		return unm_fail(why, -EPERM,
			"'%s': a TAP needs CAP_NET_ADMIN in its namespace: run netmapd as root, or "
			"make it yours: ip tuntap add %s mode tap user USER",
			name->full, name->ifname);
	case -ENOENT:
		return unm_fail(why, -ENXIO,
			"'%s': this system has no " TUN_DEVICE " (modprobe tun)", name->full);
	case -EBUSY:
		return unm_fail(
			why, -EBUSY, "'%s': another program has the interface open", name->full);
	case -EINVAL:
		return unm_fail(why, -EINVAL,
			"'%s': an interface of that name exists and is no TAP, or has not so many "
			"queues",
			name->full);
	default:
		return unm_fail(
			why, ret, "'%s': can't open the TAP: %s", name->full, strerror(-ret));
	}
}

int
unm_tap_allowed(struct unm_reason *why)
{
	if (access(TUN_DEVICE, R_OK | W_OK) < 0)
		return unm_fail(why, errno == ENOENT ? -ENXIO : -EPERM,
			"netmapd can't open " TUN_DEVICE " (%s)", strerror(errno));
	return 0;
}

bool
unm_tap_is_tap(const char *ifname)
{
	char path[64];
	unsigned int flags = 0;
	FILE *f;
	int n;

	if (!unm_ifname_ok(ifname))
		return false;
	snprintf(path, sizeof(path), "/sys/class/net/%s/tun_flags", ifname);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	n = fscanf(f, "%x", &flags);
	fclose(f);
	return n == 1 && (flags & IFF_TAP);
}
