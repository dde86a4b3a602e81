/* SPDX-License-Identifier: BSD-2-Clause */
/* See net_rig.h. This takes the place of net_port.c. */
#include "net_rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "shm/atomic.h"

struct net_rig *net_rig;
static uint32_t n_tx_slots = NET_SLOTS;

void
net_rig_set_tx_slots(uint32_t n)
{
	n_tx_slots = n;
}

static struct netmap_ring *
new_ring(uint32_t slots)
{
	const size_t head = sizeof(struct netmap_ring) + slots * sizeof(struct netmap_slot);
	const size_t ofs = (head + 63) & ~(size_t)63;
	const size_t n_bufs = slots + 2 > NET_BUFS ? slots + 2 : NET_BUFS;
	struct netmap_ring *ring = aligned_alloc(64, ofs + n_bufs * NET_BUF_SIZE);
	uint32_t i;

	if (ring == NULL)
		abort();
	memset(ring, 0, ofs + n_bufs * NET_BUF_SIZE);
	*(int64_t *)(uintptr_t)&ring->buf_ofs = (int64_t)ofs;
	*(uint32_t *)(uintptr_t)&ring->num_slots = slots;
	*(uint32_t *)(uintptr_t)&ring->nr_buf_size = NET_BUF_SIZE;
	for (i = 0; i < slots; i++)
		ring->slot[i].buf_idx = i + 2;
	return ring;
}

bool
unm_net_port_sync(struct unm_net *n, struct net_ring *r, unsigned long request)
{
	if (net_rig->gone) {
		n->port.lost = true;
		return false;
	}
	if (request == NIOCRXSYNC) {
		net_rig->released = r->rx->head;
		return true;
	}
	net_rig->n_txsyncs++;
	while (net_rig->taken_to != r->tx->head &&
		net_rig->takes > 0) { /* less than num_slots turns */
		net_rig->taken_to = (net_rig->taken_to + 1) % r->tx->num_slots;
		if (net_rig->takes != UINT32_MAX)
			net_rig->takes--;
	}
	r->tx->tail = (net_rig->taken_to + r->tx->num_slots - 1) % r->tx->num_slots;
	return true;
}

int
unm_net_port_open(struct unm_net *n, char *why)
{
	struct net_ring *r = &n->port.ring[0];

	(void)why;
	n->port.n_rings = 1;
	r->tx = new_ring(n_tx_slots);
	r->rx = new_ring(NET_RX_SLOTS);
	r->tx->tail = n_tx_slots - 1;
	r->n_bufs = n_tx_slots + 2 > NET_BUFS ? n_tx_slots + 2 : NET_BUFS;
	r->sent = calloc(n_tx_slots, sizeof(*r->sent));
	r->slots = calloc(n_tx_slots, sizeof(*r->slots));
	if (r->sent == NULL || r->slots == NULL)
		abort();
	return 0;
}

void
unm_net_port_close(struct net_port *p)
{
	free(p->ring[0].tx);
	free(p->ring[0].rx);
	free(p->ring[0].sent);
	free(p->ring[0].slots);
}

void
unm_net_port_use(struct unm_net *n)
{
	(void)n;
}

void
unm_net_port_tell(struct unm_net *n)
{
	(void)n; /* a switch that is never told */
}

void
unm_net_port_tell_end(struct unm_net *n)
{
	(void)n;
}

void
unm_net_port_check(struct unm_net *n)
{
	unm_net_port_sync(n, &n->port.ring[0], NIOCRXSYNC);
}

void
unm_net_port_inject(struct unm_net *n, const void *frame, uint32_t len)
{
	struct netmap_ring *tx = n->port.ring[0].tx;

	memcpy(NETMAP_BUF(tx, tx->slot[tx->head].buf_idx), frame, len);
	tx->slot[tx->head].len = (uint16_t)len;
	tx->head = tx->cur = nm_ring_next(tx, tx->head);
}

static void
open_guest(struct net_rig *r)
{
	const struct rig_config tx = {
		.name = "tx", .num = 64, .has_event_idx = true, .table_len = 8};
	const struct rig_config rx = {
		.name = "rx", .num = 64, .has_event_idx = true, .has_log = true};

	rig_open(&r->tx, &tx);
	rig_open(&r->rx, &rx);
}

void
net_rig_open(struct net_rig *r, uint32_t hdr_len, bool can_indirect, uint64_t features)
{
	const struct unm_net_config c = {.port = "vale0:test"};
	const struct unm_vu_device_ops *ops;
	char why[UNM_NET_WHY_SIZE];

	memset(r, 0, sizeof(*r));
	net_rig = r;
	r->takes = UINT32_MAX;
	if (unm_net_open(&r->n, &c, why) != 0)
		abort();
	r->n->port.hdr_len = hdr_len;
	r->n->port.can_indirect = can_indirect;
	unm_net_set_direct(r->n, can_indirect);
	r->port_tx = r->n->port.ring[0].tx;
	r->port_rx = r->n->port.ring[0].rx;
	open_guest(r);
	ops = unm_net_ops(r->n);
	ops->set_features(r->n, features);
	ops->ring_started(r->n, 0, r->rx.q, -1);
	ops->ring_started(r->n, 1, r->tx.q, -1);
	ops->ring_enabled(r->n, 0, true);
	ops->ring_enabled(r->n, 1, true);
	ops->driver_ok(r->n, true);
	/* Each queue has a memory here; the device logs in that of the rx queue. */
	r->n->mem = &r->rx.mem;
}

void
net_rig_close(struct net_rig *r)
{
	const struct unm_vu_device_ops *ops = unm_net_ops(r->n);

	if (r->n->tx[0].q != NULL)
		ops->ring_stopped(r->n, 1);
	if (r->n->rx[0].q != NULL)
		ops->ring_stopped(r->n, 0);
	rig_close(&r->tx);
	rig_close(&r->rx);
	unm_net_free(r->n);
}

uint32_t
net_rig_frame(const struct net_rig *r, uint32_t at, uint8_t *out, uint32_t *next)
{
	struct netmap_ring *ring = r->port_tx;
	const struct netmap_slot *slot;
	uint32_t len = 0;

	do { /* a frame ends before head */
		const void *from;

		slot = &ring->slot[at];
		from = slot->flags & NS_INDIRECT ? (const void *)(uintptr_t)slot->ptr
						 : NETMAP_BUF(ring, slot->buf_idx);
		memcpy(out + len, from, slot->len);
		len += slot->len;
		at = nm_ring_next(ring, at);
	} while (slot->flags & NS_MOREFRAG && at != ring->head);
	*next = at;
	return len;
}

void
net_rig_receive(struct net_rig *r, const uint8_t *frame, uint32_t len, uint32_t part)
{
	struct netmap_ring *ring = r->port_rx;

	while (len > 0) { /* the test leaves room */
		const uint32_t k = len < part ? len : part;
		struct netmap_slot *slot = &ring->slot[ring->tail];

		if (nm_ring_next(ring, ring->tail) == ring->head)
			abort();
		memcpy(NETMAP_BUF(ring, slot->buf_idx), frame, k);
		slot->len = (uint16_t)k;
		slot->flags = len > k ? NS_MOREFRAG : 0;
		frame += k;
		len -= k;
		ring->tail = nm_ring_next(ring, ring->tail);
	}
}
