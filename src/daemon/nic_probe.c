/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trying the modes. See nic_probe.h.
 *
 * The kernel is asked, not its version: each step is made as it would be used, and undone when it
 * fails. Chunks of the UMEM: unaligned ones let a frame have a whole buffer (2048 bytes). What they
 * cost in copy mode can't be told from aligned ones (bench/README.md, "Aligned or unaligned chunks").
 * A driver's zero copy refuses unaligned frames that cross a page, as every second one does here,
 * unless the region is on huge pages: there chunks are aligned, and a frame may have what is left of
 * 2048 bytes behind the headroom.
 */
#include "daemon/nic.h"
#include "daemon/packet.h"

#include "daemon/hoststack.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shm/atomic.h"

#define PAGE	      4096u
#define BUSY_TRIES    40
#define BUSY_PAUSE_NS 5000000

static const struct {
	enum unm_nic_mode mode;
	const char *name;
} mode_names[] = {
	{0, "auto"},
	{UNM_NIC_XDP_ZC, "xdp-zerocopy"},
	{UNM_NIC_XDP_DRV, "xdp"},
	{UNM_NIC_XDP_SKB, "xdp-generic"},
	{UNM_NIC_PACKET, "packet"},
};

#define N_MODES (sizeof(mode_names) / sizeof(mode_names[0]))

const char *
unm_nic_mode_name(uint32_t mode)
{
	size_t i;

	for (i = 0; i < N_MODES; i++)
		if (mode_names[i].mode == mode)
			return mode_names[i].name;
	return "?";
}

int
unm_nic_mode_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < N_MODES; i++)
		if (strcmp(mode_names[i].name, name) == 0)
			return (int)mode_names[i].mode;
	return -EINVAL;
}

static const char *const hurdles[UNM_NIC_N_HURDLES] = {
	[UNM_NIC_HURDLE_SOCKET] = "socket",
	[UNM_NIC_HURDLE_QUEUE] = "queue",
	[UNM_NIC_HURDLE_TABLE] = "table of sockets",
	[UNM_NIC_HURDLE_PROGRAM] = "program",
	[UNM_NIC_HURDLE_ATTACH] = "program on the interface",
	[UNM_NIC_HURDLE_BUFFERS] = "buffers of this region",
	[UNM_NIC_HURDLE_GUARD] = "received frames reach the stack too",
	[UNM_NIC_HURDLE_RINGS] = "rings of a bound socket",
};

static void
note(struct unm_nic_sockets *s, enum unm_nic_mode mode, enum unm_nic_hurdle what, int error)
{
	s->refused[mode - UNM_NIC_XDP_ZC] = unm_nic_refusal(what, -error);
}

void
unm_nic_why_not(const uint32_t refused[UNM_NIC_N_MODES], char out[UNM_NIC_REASON_SIZE])
{
	size_t len = 0;
	uint32_t i;

	out[0] = '\0';
	for (i = 0; i < UNM_NIC_N_MODES && len < UNM_NIC_REASON_SIZE; i++) {
		const uint32_t refusal = UNM_READ_ONCE(refused[i]);
		const uint32_t what = unm_nic_refusal_hurdle(refusal);

		if (what == UNM_NIC_NO_HURDLE || what >= UNM_NIC_N_HURDLES)
			continue;
		len += (size_t)snprintf(out + len, UNM_NIC_REASON_SIZE - len, "%s%s: %s: %s",
			len > 0 ? "; " : "", unm_nic_mode_name(UNM_NIC_XDP_ZC + i), hurdles[what],
			strerror(unm_nic_refusal_error(refusal)));
	}
}

void
unm_nic_sockets_close(struct unm_nic_sockets *s)
{
	while (s->n > 0)
		close(s->fds[--s->n]);
	if (s->link_fd >= 0)
		close(s->link_fd);
	if (s->map_fd >= 0)
		close(s->map_fd);
	s->link_fd = s->map_fd = -1;
}

/* One socket per queue, all over one UMEM, whose chunks and flags are in @s. */
static int
open_queues(const struct unm_netdev *dev, const struct unm_nic_wish *wish,
	struct unm_nic_sockets *s, enum unm_nic_hurdle *what)
{
	const struct unm_xsk_umem umem = {
		.addr = wish->umem,
		.len = wish->umem_len,
		.chunk = s->is_unaligned ? s->frame_room + UNM_NIC_HEADROOM : wish->stride,
		.is_unaligned = s->is_unaligned,
	};
	const uint32_t flags = (s->mode == UNM_NIC_XDP_ZC ? UNM_XSK_ZEROCOPY : 0) |
			       (s->is_multi_buffer ? UNM_XSK_SG : 0);
	uint32_t i;
	int ret = 0;

	for (i = 0; i < wish->n_queues && ret == 0; i++) {
		*what = UNM_NIC_HURDLE_SOCKET;
		ret = unm_xsk_open(i == 0 ? &umem : NULL, &wish->sizes);
		if (ret < 0)
			break;
		s->fds[s->n++] = ret;
		*what = UNM_NIC_HURDLE_QUEUE;
		ret = unm_xsk_bind(s->fds[i], dev->ifindex, i, i > 0 ? s->fds[0] : -1, flags);
		if (ret == 0 && i == 0 && !unm_xsk_is_shareable(s->fds[i])) {
			*what = UNM_NIC_HURDLE_RINGS;
			ret = -ENOSYS;
		}
	}
	if (ret == 0)
		return 0;
	while (s->n > 0)
		close(s->fds[--s->n]);
	return ret;
}

/* How frames lie in buffers. Return: false if the mode can't have them there. */
static bool
choose_chunks(const struct unm_nic_wish *wish, struct unm_nic_sockets *s)
{
	const uint32_t most = PAGE - UNM_NIC_HEADROOM; /* a chunk is a page at most */

	s->is_unaligned = s->mode != UNM_NIC_XDP_ZC || wish->is_contiguous;
	s->frame_room = wish->stride < most ? wish->stride : most;
	if (s->is_unaligned)
		return true;
	s->frame_room = wish->stride - UNM_NIC_HEADROOM;
	return wish->lead == UNM_NIC_HEADROOM && (wish->stride == PAGE / 2 || wish->stride == PAGE);
}

static int
try_xdp(const struct unm_netdev *dev, const struct unm_nic_wish *wish, enum unm_nic_mode mode,
	struct unm_nic_sockets *s)
{
	enum unm_nic_hurdle what = UNM_NIC_HURDLE_TABLE;
	int prog, ret;

	s->mode = mode;
	s->refused[mode - UNM_NIC_XDP_ZC] = 0; /* of a try before */
	if (!choose_chunks(wish, s)) {
		note(s, mode, UNM_NIC_HURDLE_BUFFERS, -EINVAL);
		return -EOPNOTSUPP;
	}
	s->map_fd = ret = unm_xdp_map_new(wish->n_queues);
	if (ret >= 0) {
		what = UNM_NIC_HURDLE_PROGRAM;
		prog = ret = unm_xdp_prog_new(s->map_fd, dev->ifindex,
			mode == UNM_NIC_XDP_SKB ? unm_host_token() : NULL, &s->puts_tags_back);
		if (ret >= 0) {
			what = UNM_NIC_HURDLE_ATTACH;
			s->link_fd = ret =
				unm_xdp_attach(prog, dev->ifindex, mode == UNM_NIC_XDP_SKB);
			close(prog);
		}
	}
	if (ret >= 0) {
		s->is_multi_buffer = true;
		ret = open_queues(dev, wish, s, &what);
		if (ret == -EINVAL || ret == -EOPNOTSUPP) { /* without frames of several buffers? */
			s->is_multi_buffer = false;
			ret = open_queues(dev, wish, s, &what);
		}
	}
	if (ret >= 0)
		return 0;
	note(s, mode, what, ret);
	unm_nic_sockets_close(s);
	return ret;
}

/* The last resort: there is nothing that it needs of driver or memory. */
static int
try_packet(const struct unm_netdev *dev, const struct unm_nic_wish *wish, struct unm_nic_sockets *s)
{
	const int fd = unm_packet_open(dev->ifindex);

	if (fd < 0) {
		note(s, UNM_NIC_PACKET, UNM_NIC_HURDLE_SOCKET, fd);
		return fd;
	}
	s->mode = UNM_NIC_PACKET;
	s->fds[0] = fd;
	s->n = 1;
	s->is_unaligned = true;
	s->is_multi_buffer = true;
	s->puts_tags_back = false; /* port/packet_fp.c does */
	s->frame_room = wish->stride;
	s->link_fd = unm_packet_guard(dev->ifindex, &s->map_fd);
	if (s->link_fd < 0)
		note(s, UNM_NIC_PACKET, UNM_NIC_HURDLE_GUARD, s->link_fd);
	return 0;
}

/* As unm_nic_probe_late() has been told */
static pid_t late_pid;
static uint32_t n_late;

void
unm_nic_probe_late(pid_t pid, uint32_t n)
{
	late_pid = pid;
	n_late = n;
}

/* Whose program is on the interface, and what is to be done about that? */
static int
fail_busy(const struct unm_netdev *dev, const struct unm_nic_wish *wish, struct unm_reason *why)
{
	char holder[48];

	unm_xdp_prog_name(unm_nic_xdp_id(dev->ifindex), holder, sizeof(holder));
	if (n_late == 0 || strncmp(holder, UNM_XDP_PROG_NAME, strlen(UNM_XDP_PROG_NAME)) != 0)
		return unm_fail(why, -EBUSY,
			"'%s' has another XDP program, %s: end it, or: nmctl set %s mode packet",
			wish->name, holder, wish->name);
	return unm_fail(why, -EBUSY,
		"'%s' has the program of a client of netmapd's run before, process %d%s: "
		"kill -CONT %d if it is stopped, or end it",
		wish->name, (int)late_pid, n_late > 1 ? " or another (nmctl doctor)" : "",
		(int)late_pid);
}

static int
fail(const struct unm_netdev *dev, const struct unm_nic_wish *wish, const struct unm_nic_sockets *s,
	int error, struct unm_reason *why)
{
	char reason[UNM_NIC_REASON_SIZE];

	unm_nic_why_not(s->refused, reason);
	switch (error) {
	case -EBUSY:
		return fail_busy(dev, wish, why);
	case -EPERM:
	case -EACCES:
		if (geteuid() != 0)
			return unm_fail(why, -EPERM,
				"'%s': network interfaces need a netmapd that root runs: %s",
				wish->name, reason);
		return unm_fail(why, -EPERM, "'%s': netmapd may not: %s", wish->name, reason);
	case -ENOBUFS:
	case -ENOMEM:
		return unm_fail(
			why, -ENOMEM, "'%s': no memory that can be locked: %s", wish->name, reason);
	default:
		if (wish->mode == 0)
			return unm_fail(
				why, -EOPNOTSUPP, "'%s' can't be had: %s", wish->name, reason);
		/* What helps comes first: the end may be cut off. */
		return unm_fail(why, -EOPNOTSUPP,
			"'%s' can't be had in mode %s, but maybe after nmctl set %s mode auto: %s",
			wish->name, unm_nic_mode_name(wish->mode), wish->name, reason);
	}
}

/*
 * bpf(), AF_XDP or locked memory: a capability, a filter, a security module or a limit forbids it,
 * or the kernel has no such thing.
 */
static bool
is_denied(int error)
{
	return error == -EPERM || error == -EACCES || error == -ENOMEM || error == -ENOBUFS ||
	       error == -ENOSYS;
}

int
unm_nic_probe(const struct unm_netdev *dev, const struct unm_nic_wish *wish,
	struct unm_nic_sockets *out, struct unm_reason *why)
{
	static const enum unm_nic_mode modes[] = {UNM_NIC_XDP_ZC, UNM_NIC_XDP_DRV, UNM_NIC_XDP_SKB};
	const struct timespec pause = {.tv_nsec = BUSY_PAUSE_NS};
	int ret = -EOPNOTSUPP;
	size_t i;
	int tries;

	memset(out, 0, sizeof(*out));
	out->link_fd = out->map_fd = -1;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (wish->mode != 0 && wish->mode != modes[i])
			continue;
		/* Who had it a moment ago may be about to let go of it. */
		for (tries = 0; tries < BUSY_TRIES; tries++) {
			ret = try_xdp(dev, wish, modes[i], out);
			if (ret != -EBUSY)
				break;
			nanosleep(&pause, NULL);
		}
		if (ret == 0)
			return 0;
		if (ret == -EBUSY)
			return fail(dev, wish, out, ret, why);
		if (is_denied(ret))
			break; /* in the other modes as well */
	}
	if (wish->mode == 0 || wish->mode == UNM_NIC_PACKET)
		ret = try_packet(dev, wish, out);
	if (ret == 0)
		return 0;
	return fail(dev, wish, out, ret, why);
}
