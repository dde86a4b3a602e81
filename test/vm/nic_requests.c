/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What befalls a NIC besides traffic: reboots, stops, reconnections, a dirty log. Runs in the NIC's
 * thread.
 *
 * A dirty log is checked like this. Once the server has confirmed that it keeps the log, memory is
 * copied. Later the rings are stopped, and each page of which the device's part has changed must be
 * marked. The device's part are the receive buffers, and of the rings what only the device writes;
 * the rest the guest changes as well, and a guest's own stores are not the server's to log.
 */
#include "nic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/atomic.h"

#define DRAIN_NS 2000000000ull

static int
refill(struct nic *n)
{
	unsigned int i;
	int ret = fe_fresh(&n->fe);

	for (i = 0; ret == 0 && i < n->c.fe.n_pairs; i++) {
		ret = nd_fresh(&n->rx[i]);
		if (ret == 0)
			ret = nd_fresh(&n->tx[i]);
	}
	return ret;
}

static void
set_up(struct nic *n, int ret)
{
	UNM_WRITE_ONCE(n->is_up, ret == 0);
	n->t0 = 0; /* the rate is not caught up with */
	n->ping_is_out = false;
}

static int
reboot(struct nic *n)
{
	int ret = fe_stop(&n->fe);

	if (ret == 0)
		ret = refill(n);
	if (ret == 0)
		ret = fe_start(&n->fe);
	set_up(n, ret);
	return ret;
}

static int
stop_cont(struct nic *n)
{
	int ret = fe_stop(&n->fe);

	if (ret == 0)
		ret = fe_start(&n->fe);
	set_up(n, ret);
	return ret;
}

int
nic_reconnect(struct nic *n)
{
	int ret = fe_connect(&n->fe);

	if (ret == 0)
		ret = fe_start(&n->fe);
	if (ret == 0)
		unm_count(&n->reconnects, 1);
	set_up(n, ret);
	return ret;
}

/* ---- dirty log ------------------------------------------------------------------------------- */

static int
log_begin(struct nic *n)
{
	int ret = fe_log_begin(&n->fe);

	if (ret < 0)
		return ret;
	n->snapshot = malloc(n->fe.guest.size);
	if (n->snapshot == NULL)
		return -ENOMEM;
	memcpy(n->snapshot, n->fe.guest.base, n->fe.guest.size);
	return 0;
}

/* Pages with a byte of [p, p + len). */
static void
check_range(struct nic *n, const uint8_t *p, size_t len)
{
	const struct guest *g = &n->fe.guest;
	size_t at = (size_t)(p - g->base);
	const size_t end = at + len;

	while (at < end) {
		const size_t page_end = (at / GUEST_PAGE + 1) * GUEST_PAGE;
		const size_t part = (page_end < end ? page_end : end) - at;
		const bool changed = memcmp(g->base + at, n->snapshot + at, part) != 0;
		const bool marked = fe_log_has(&n->fe, guest_gpa(g, g->base + at));

		n->log_result.changed += changed;
		n->log_result.marked += marked;
		n->log_result.missed += changed && !marked;
		at += part;
	}
}

static void
check_ring(struct nic *n, const struct fe_ring *r)
{
	const size_t num = n->c.fe.queue_size;

	if (!r->vd.c.is_packed)
		check_range(n, vd_device_area(&r->vd),
			sizeof(struct vd_split_used) + num * sizeof(struct vd_used_elem) + 2);
}

static int
log_check(struct nic *n)
{
	unsigned int i;
	int ret;

	if (n->snapshot == NULL)
		return -EINVAL;
	ret = fe_stop(&n->fe);
	n->log_result = (struct nic_log_result){0};
	for (i = 0; ret == 0 && i < n->c.fe.n_pairs; i++) {
		check_range(n, n->rx[i].buf, (size_t)n->rx[i].n_bufs * n->rx[i].stride);
		check_ring(n, n->rx[i].ring);
		check_ring(n, n->tx[i].ring);
	}
	free(n->snapshot);
	n->snapshot = NULL;
	if (ret == 0)
		ret = fe_start(&n->fe);
	if (ret == 0)
		ret = fe_log_end(&n->fe);
	set_up(n, ret);
	return ret;
}

/* ---------------------------------------------------------------------------------------------- */

/* Wait until the server has given all transmit buffers back. */
static int
drain(struct nic *n)
{
	const uint64_t end = nic_now_ns() + DRAIN_NS;
	unsigned int i;
	bool all;

	do {
		all = true;
		for (i = 0; i < n->c.fe.n_pairs; i++) {
			if (nd_tx_reclaim(&n->tx[i]) < 0)
				return -EPROTO;
			if (nd_rx(&n->rx[i], n->rx[i].n_bufs, nic_on_frame, n) < 0)
				return -EPROTO;
			nic_send_echoes(n);
			all &= n->tx[i].n_free == n->tx[i].n_bufs;
		}
		if (all)
			return 0;
	} while (nic_now_ns() < end);
	return -ETIMEDOUT;
}

int
nic_handle_request(struct nic *n, enum nic_request request)
{
	switch (request) {
	case NIC_REQ_RUN:
		n->t0 = 0;
		UNM_WRITE_ONCE(n->is_paused, 0);
		return 0;
	case NIC_REQ_PAUSE:
		UNM_WRITE_ONCE(n->is_paused, 1);
		return 0;
	case NIC_REQ_REBOOT:
		return reboot(n);
	case NIC_REQ_STOP_CONT:
		return stop_cont(n);
	case NIC_REQ_DROP:
		return nic_reconnect(n);
	case NIC_REQ_LOG_BEGIN:
		return log_begin(n);
	case NIC_REQ_LOG_CHECK:
		return log_check(n);
	case NIC_REQ_DRAIN:
		return drain(n);
	case NIC_REQ_NONE:
		break;
	}
	return -EINVAL;
}
