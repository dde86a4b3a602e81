/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ours_port.c - opening, announcing and waiting for netmap ports; see ours_port.h.
 */
#include "ours_port.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define ANNOUNCE_NS  UINT64_C(1000000000) /* for a broker to forward a frame */
#define QUIET_NS     UINT64_C(20000000)
#define NAP_NS	     UINT64_C(100000)
#define DRAIN_MAX_NS UINT64_C(3000000000)

const char *ours_nics[2] = {"", ""};

enum ours_kind
ours_kind(const char *text)
{
	if (strcmp(text, "vale") == 0)
		return OURS_VALE;
	if (strcmp(text, "pipe") == 0)
		return OURS_PIPE;
	if (strcmp(text, "nic") == 0)
		return OURS_NIC;
	bench_say("--kind: \"%.40s\" is neither vale nor pipe nor nic", text);
	exit(2);
}

void
ours_raise_limits(void)
{
	struct rlimit limit;

	/* A failure leaves the old limit, and the port that meets it says so. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* @rest: what follows the port in its name. */
static struct nmport_d *
open_port(enum ours_kind kind, char role, uint32_t number, const char *rest)
{
	const int group = (int)getppid(); /* the same for all sides of a measurement */
	struct nmport_d *d;
	char name[96];

	if (kind == OURS_PIPE)
		snprintf(name, sizeof(name), "netmap:bench%d%c%u%s", group, role == 's' ? '{' : '}',
			number, rest);
	else if (kind == OURS_NIC)
		snprintf(name, sizeof(name), "netmap:%s%s", ours_nics[role == 'r'], rest);
	else
		snprintf(name, sizeof(name), "valebench%d:%c%u%s", group, role, number, rest);
	d = nmport_open(name);
	if (d == NULL)
		bench_say("cannot open %s: %s", name, strerror(errno));
	return d;
}

struct nmport_d *
ours_open(enum ours_kind kind, char role, uint32_t number, uint32_t slots)
{
	char conf[32] = "";

	if (slots != 0)
		snprintf(conf, sizeof(conf), "@conf:slots=%u", slots);
	return open_port(kind, role, number, conf);
}

struct nmport_d *
ours_open_monitor(enum ours_kind kind, char role, const char *flags)
{
	char rest[32];

	snprintf(rest, sizeof(rest), "/%sR", flags);
	return open_port(kind, role, 0, rest);
}

struct netmap_ring *
ours_tx(const struct nmport_d *d)
{
	return NETMAP_TXRING(d->nifp, d->first_tx_ring);
}

struct netmap_ring *
ours_rx(const struct nmport_d *d)
{
	return NETMAP_RXRING(d->nifp, d->first_rx_ring);
}

int
ours_sync(struct nmport_d *d, unsigned long request)
{
	int err;

	if (ioctl(d->fd, request, NULL) == 0)
		return 0;
	err = errno;
	bench_say("cannot sync %s: %s", d->hdr.nr_name, strerror(err));
	return -err;
}

int
ours_announce(struct nmport_d *d, uint32_t address)
{
	const uint64_t deadline = bench_now_ns() + ANNOUNCE_NS;
	char buf[BENCH_MIN_FRAME];
	int err;

	bench_frame(buf, sizeof(buf), BENCH_BROADCAST, address, 0);
	if (nmport_inject(d, buf, sizeof(buf)) == 0) {
		bench_say("%s has no room for one frame", d->hdr.nr_name);
		return -ENOSPC;
	}
	/* An isolated client's frame is on its way for a moment, in the buffer that it was put into. */
	err = ours_sync(d, NIOCTXSYNC);
	while (err == 0 && nm_tx_pending(ours_tx(d)) && bench_now_ns() < deadline) {
		bench_sleep_until(bench_now_ns() + NAP_NS);
		err = ours_sync(d, NIOCTXSYNC);
	}
	return err;
}

int
ours_drain(struct nmport_d *d)
{
	const uint64_t limit = bench_now_ns() + DRAIN_MAX_NS;
	struct netmap_ring *ring = ours_rx(d);
	uint64_t end;
	int err;

	do { /* until nothing has come for a while, which is at most a ring full of announcements */
		end = bench_now_ns() + QUIET_NS;
		err = ours_sync(d, NIOCRXSYNC);
		while (err == 0 && nm_ring_empty(ring) && bench_now_ns() < end) {
			bench_sleep_until(bench_now_ns() + NAP_NS);
			err = ours_sync(d, NIOCRXSYNC);
		}
		if (err != 0 || nm_ring_empty(ring))
			return err;
		ring->head = ring->cur = ring->tail;
	} while (bench_now_ns() < limit);
	bench_say("frames of others keep coming");
	return -EBUSY;
}

int
ours_wait(struct pollfd *fds, uint32_t n, int timeout_ms)
{
	const int ready = poll(fds, n, timeout_ms);

	if (ready < 0) {
		const int err = errno;

		if (err == EINTR)
			return 0;
		bench_say("poll: %s", strerror(err));
		return -err;
	}
	for (uint32_t i = 0; ready > 0 && i < n; i++) {
		if (fds[i].revents & (POLLERR | POLLNVAL)) {
			bench_say("poll reports an error on port %u", i);
			return -EIO;
		}
	}
	return ready;
}
