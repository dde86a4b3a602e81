/* SPDX-License-Identifier: BSD-2-Clause */
/* See nic_run.h. */
/* Syscalls: getsockname */
#include "port/nic_run.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "port/tx_run.h"
#include "shm/clock.h"
#include "vale/vnet.h"

#define MIN_LEN	     256u		  /* of a segment that is worth it */
#define PAUSE_NS     UINT64_C(1000000000) /* at first, doubled each time */
#define PAUSE_MAX_NS (64 * PAUSE_NS)

bool
unm_nic_run_may(const struct unm_bring *r, const struct unm_nic_run *run)
{
	const uint32_t flags = UNM_READ_ONCE(r->bp->seg->ports[r->bp->info.port].flags);

	if (run->fd < 0 || r->bp->host_rx == NULL ||
		(flags & (UNM_PORTF_LINK_DOWN | UNM_PORTF_VETH_PEER)))
		return false;
	return ((flags & UNM_PORTF_STACK) || UNM_READ_ONCE(r->bp->host_rx->n_users) > 0) &&
	       (run->after_ns == 0 || unm_now_coarse_ns() >= run->after_ns);
}

/* A slot that is a frame with something that looks like TCP; *@len: its bytes. */
static bool
is_segment(const struct unm_bring *r, uint32_t pos, uint32_t *len)
{
	const struct netmap_slot v = unm_slot_load(&r->ring->slot[pos]);
	const uint8_t *frame = unm_slot_data(r, &v);

	*len = v.len;
	return frame != NULL && v.len >= MIN_LEN && !(v.flags & NS_MOREFRAG) &&
	       unm_segment_is_tcp(frame, v.len);
}

bool
unm_nic_run_begins(const struct unm_bring *r, uint32_t pos, uint32_t head)
{
	const uint32_t next = unm_pos_next(pos, r->num_slots);
	uint32_t len, next_len;

	return next != head && is_segment(r, pos, &len) && is_segment(r, next, &next_len) &&
	       next_len <= len;
}

static bool
is_bound(const struct unm_nic_run *run)
{
	struct sockaddr_ll sa;
	socklen_t len = sizeof(sa);

	return getsockname(run->fd, (struct sockaddr *)&sa, &len) == 0 &&
	       sa.sll_family == AF_PACKET && sa.sll_ifindex == (int)run->ifindex;
}

static void
pause_runs(struct unm_nic_run *run)
{
	if (run->pause_ns == 0)
		run->pause_ns = PAUSE_NS;
	else if (run->pause_ns < PAUSE_MAX_NS)
		run->pause_ns *= 2;
	run->after_ns = unm_now_coarse_ns() + run->pause_ns;
}

uint32_t
unm_nic_run_send(struct unm_bring *r, struct unm_nic_run *run, uint32_t pos, uint32_t head,
	uint64_t *pkts, uint64_t *bytes)
{
	struct unm_super_tx x;
	uint32_t n;

	unm_super_tx_init(&x, run->fd, UNM_VNET_HDR_BASE, NULL);
	x.gro.keeps_ids = true;
	n = unm_tx_run(&x, r, pos, head, 0);
	if (n < 2)
		return 0;
	if (is_bound(run))
		unm_super_tx_flush(&x);
	if (x.pkts == 0) {
		if (x.error != EAGAIN) /* else it has much under way */
			pause_runs(run);
		return 0;
	}
	run->pause_ns = 0;
	*pkts += x.pkts;
	*bytes += x.bytes;
	return n;
}
