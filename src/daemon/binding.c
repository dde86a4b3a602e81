/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Binding descriptors to rings and letting go of them. See binding.h; the order of checks is that
 * of spec 6.1.
 */
/* Syscalls: eventfd2 */
#include "daemon/binding.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include "daemon/format.h"
#include "daemon/join.h"
#include "daemon/kinds.h"
#include "daemon/monitors.h"
#include "daemon/nic.h"
#include "daemon/nic_host.h"
#include "net/netmap.h"
#include "shm/atomic.h"
#include "shm/clock.h"

bool
unm_bind_has(const struct unm_dport *port, const struct unm_dbinding *b, uint32_t i)
{
	if (i < port->n_tx)
		return i >= b->tx_lo && i < b->tx_hi;
	return i - port->n_tx >= b->rx_lo && i - port->n_tx < b->rx_hi;
}

static bool
is_sw_mode(uint32_t mode)
{
	return mode == NR_REG_SW || mode == NR_REG_ONE_SW || mode == NR_REG_NIC_SW;
}

/* Reduce the rings *lo ... *hi - 1 to the one of number @id; a direction with fewer gives its first. */
static void
select_one(uint32_t *lo, uint32_t *hi, uint32_t id)
{
	if (id < *hi - *lo)
		*lo += id;
	if (*lo < *hi)
		*hi = *lo + 1;
}

static int
fail_without_host(const struct unm_dport *port, struct unm_reason *why)
{
	if (port->nic == NULL)
		return unm_fail(why, -EINVAL,
			"'%s' has no host rings: only a network interface has", port->name);
	if (port->nic->no_host.text[0] != '\0')
		return unm_fail(why, -EINVAL, "%s", port->nic->no_host.text);
	return unm_fail(why, -EINVAL,
		"'%s' has no host rings: the log of the netmapd that opened it says why",
		port->name);
}

int
unm_bind_select(const struct unm_dport *port, const struct unm_bind_wish *wish,
	struct unm_dbinding *b, struct unm_reason *why)
{
	b->tx_lo = 0;
	b->tx_hi = port->n_tx;
	b->rx_lo = 0;
	b->rx_hi = port->n_rx;
	switch (wish->mode) {
	case NR_REG_ALL_NIC:
	case NR_REG_NULL:
	case NR_REG_ONE_NIC:
		b->tx_hi = unm_dport_nic_tx(port);
		b->rx_hi = unm_dport_nic_rx(port);
		break;
	case NR_REG_SW:
	case NR_REG_ONE_SW:
		b->tx_lo = unm_dport_nic_tx(port);
		b->rx_lo = unm_dport_nic_rx(port);
		break;
	case NR_REG_NIC_SW:
		break;
	default:
		return unm_fail(
			why, -EINVAL, "%u is not a mode (nr_mode) for REGISTER", wish->mode);
	}
	if (is_sw_mode(wish->mode) && port->n_host_tx + port->n_host_rx == 0)
		return fail_without_host(port, why);
	if (wish->mode == NR_REG_ONE_NIC || wish->mode == NR_REG_ONE_SW) {
		const uint32_t n_tx = b->tx_hi - b->tx_lo, n_rx = b->rx_hi - b->rx_lo;

		if (wish->ringid >= n_tx && wish->ringid >= n_rx)
			return unm_fail(why, -EINVAL,
				"'%s' has no %sring %u: %u tx and %u rx rings", port->name,
				wish->mode == NR_REG_ONE_SW ? "host " : "", wish->ringid, n_tx,
				n_rx);
		select_one(&b->tx_lo, &b->tx_hi, wish->ringid);
		select_one(&b->rx_lo, &b->rx_hi, wish->ringid);
	}
	if (wish->flags & NR_TX_RINGS_ONLY)
		b->rx_lo = b->rx_hi = 0;
	if (wish->flags & NR_RX_RINGS_ONLY)
		b->tx_lo = b->tx_hi = 0;
	return 0;
}

/* Another client has a ring of the port for itself: a worker, perhaps. */
static int
fail_taken(const struct unm_dport *port, struct unm_reason *why)
{
	const char *colon = port->kind == UNM_PORT_VALE ? strchr(port->name, ':') : NULL;
	const struct unm_dport *attached =
		unm_port_attached_as(port->dom, colon != NULL ? colon + 1 : port->name);
	int len;

	if (attached == NULL)
		return unm_fail(
			why, -EBUSY, "'%s': another client has this ring exclusively", port->name);
	len = (int)strcspn(attached->name, ":");
	return unm_fail(why, -EBUSY,
		"'%s' is attached to switch %.*s: detach it first (nmctl detach %.*s %s), or use "
		"a port of that switch or a monitor",
		port->name, len, attached->name, len, attached->name, attached->name + len + 1);
}

static int
check_sharing(const struct unm_dport *port, const struct unm_dbinding *b, bool exclusive,
	struct unm_reason *why)
{
	uint32_t i;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		const struct unm_dring *ring = &port->rings[i];

		if (!unm_bind_has(port, b, i) || ring->n_users == 0)
			continue;
		if (ring->is_exclusive)
			return fail_taken(port, why);
		if (exclusive)
			return unm_fail(why, -EBUSY,
				"'%s': exclusive use was asked for, but another client has this "
				"ring",
				port->name);
	}
	return 0;
}

static void
add_user(struct unm_dport *port, uint32_t i, bool exclusive)
{
	struct unm_dring *ring = &port->rings[i];
	struct unm_kring *k = unm_dport_kring(port, i);

	ring->n_users++;
	ring->is_exclusive = exclusive;
	ring->is_virgin = false;
	UNM_WRITE_ONCE(k->n_users, ring->n_users);
	UNM_WRITE_ONCE(k->exclusive, exclusive);
}

static void
drop_user(struct unm_domain *dom, struct unm_dport *port, uint32_t i)
{
	struct unm_dring *ring = &port->rings[i];
	struct unm_kring *k = unm_dport_kring(port, i);

	ring->n_users--;
	ring->is_exclusive = false;
	if (port->seg->is_adopted)
		return; /* users that have not come back yet: see unm_adopt_finish() */
	UNM_WRITE_ONCE(k->n_users, ring->n_users);
	UNM_WRITE_ONCE(k->exclusive, 0);
	if (ring->n_users > 0 || port->ops->keeps_rings || port->is_dying)
		return;
	if (unm_dring_close(port, i) < 0 && !port->needs_reap) {
		port->needs_reap = true;
		dom->n_reap++;
	}
}

static int
fail_offsets(const struct unm_bind_wish *wish, struct unm_reason *why, int error, const char *text)
{
	if (wish->offsets_error != NULL)
		*wish->offsets_error = -error;
	return unm_fail(why, error, "%s", text);
}

static uint64_t
offset_mask(uint32_t bits)
{
	return bits == 0 || bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

static int
check_offsets(const struct unm_dport *port, const struct unm_dbinding *b,
	const struct unm_bind_wish *wish, struct unm_reason *why)
{
	const struct unm_offsets *o = wish->offsets;
	const uint64_t mask = o->bits <= 64 ? offset_mask(o->bits) : 0;
	uint32_t i;

	if (port->mon_flags & UNM_MONF_ZCOPY)
		return fail_offsets(wish, why, -EOPNOTSUPP,
			"offsets: a zero-copy monitor gets buffers as they are");
	if (o->bits > 64)
		return fail_offsets(wish, why, -EINVAL, "offsets: at most 64 bits");
	if (o->max > port->region->info.buf_size)
		return fail_offsets(
			wish, why, -EINVAL, "offsets: the maximum is larger than a buffer");
	if ((o->max & mask) != o->max)
		return fail_offsets(
			wish, why, -EINVAL, "offsets: the maximum does not fit into the bits");
	if (o->initial > o->max)
		return fail_offsets(
			wish, why, -EINVAL, "offsets: the initial offset is above the maximum");
	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		const struct unm_dring *ring = &port->rings[i];

		if (!unm_bind_has(port, b, i) || !ring->is_open || ring->is_virgin)
			continue;
		if (ring->offset_bits == 0 || (mask & ~offset_mask(ring->offset_bits)) != 0 ||
			o->max > ring->offset_max)
			return fail_offsets(wish, why, -EBUSY,
				"offsets: a ring is open already with fewer bits or a smaller "
				"maximum");
	}
	return 0;
}

static int
apply_offsets(struct unm_dport *port, const struct unm_dbinding *b, const struct unm_offsets *o)
{
	uint32_t i;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		struct unm_dring *ring = &port->rings[i];
		struct unm_kring *k = unm_dport_kring(port, i);
		int ret;

		if (!unm_bind_has(port, b, i) || !ring->is_virgin)
			continue;
		ret = unm_format_offsets(port->region, unm_dport_ring_ofs(port, i),
			unm_dport_ring_slots(port, i), offset_mask(o->bits), o->initial, true);
		if (ret < 0)
			return ret;
		ring->offset_bits = o->bits == 0 ? 64 : o->bits;
		ring->offset_max = o->max;
		k->offset_mask = offset_mask(o->bits);
		k->offset_max = (uint32_t)o->max;
		k->offset_gap = (uint32_t)(o->min_gap < UINT32_MAX ? o->min_gap : UINT32_MAX);
	}
	return 0;
}

uint64_t
unm_bind_nifp_ofs(const struct unm_dbinding *b)
{
	const struct unm_region_info *i = &b->port->region->info;

	return i->if_ofs + (uint64_t)b->if_obj * i->if_size;
}

static uint32_t
n_if_objs(const struct unm_dport *port)
{
	return unm_pool_n_objs(&port->region->ifs, unm_format_if_bytes(port->n_tx, port->n_rx));
}

/*
 * Have memory for the netmap_if, before extra buffers take all there is: what has been committed
 * stays so.
 */
static int
commit_if(const struct unm_dport *port, struct unm_reason *why)
{
	struct unm_pool *pool = &port->region->ifs;
	uint32_t first;
	const int ret = unm_pool_alloc_run(pool, n_if_objs(port), &first, why);

	if (ret == 0)
		unm_pool_free_run(pool, first, n_if_objs(port));
	return ret;
}

/* The private netmap_if with the extra buffers' head. */
static int
make_if(struct unm_dport *port, struct unm_dbinding *b, uint32_t extra_head, struct unm_reason *why)
{
	struct unm_pool *pool = &port->region->ifs;
	const uint32_t n_rings = port->n_tx + port->n_rx;
	uint64_t *ofs = calloc((size_t)n_rings + 1, sizeof(*ofs));
	struct unm_if_format f = {
		.name = port->name,
		.n_tx = port->n_tx,
		.n_rx = port->n_rx,
		.n_host_tx = port->n_host_tx,
		.n_host_rx = port->n_host_rx,
		.is_private = !(port->region->info.flags & UNM_REGIONF_GLOBAL),
		.extra_head = extra_head,
		.ring_ofs = ofs,
	};
	uint32_t i;
	int ret;

	if (ofs == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	b->n_if_objs = n_if_objs(port);
	ret = unm_pool_alloc_run(pool, b->n_if_objs, &b->if_obj, why);
	if (ret == 0) {
		for (i = 0; i < n_rings; i++)
			ofs[i] = unm_bind_has(port, b, i) ? unm_dport_ring_ofs(port, i) : 0;
		f.if_ofs = unm_bind_nifp_ofs(b);
		ret = unm_format_if(port->region, &f);
		if (ret < 0) {
			unm_pool_free_run(pool, b->if_obj, b->n_if_objs);
			ret = unm_fail(why, -ENOMEM, "can't write into the memory region");
		}
	}
	free(ofs);
	return ret;
}

static int
open_ring(struct unm_dport *port, uint32_t i, uint64_t deadline_ns, struct unm_reason *why)
{
	const uint32_t n = unm_dport_ring_slots(port, i);
	int ret = 0;

	if (port->kind == UNM_PORT_PIPE && i >= port->n_tx)
		return unm_dring_open_rx_empty(port, i, why);
	if (n > UNM_PORT_MAX_SLOTS)
		ret = unm_pool_prepare(&port->region->bufs, n, deadline_ns, why);
	return ret < 0 ? ret : unm_dring_open(port, i, why);
}

/*
 * Give the binding's rings, or all if @b is NULL, their memory, in steps. Return: 0, -EINPROGRESS,
 * or negative errno with the reason.
 */
static int
open_rings(struct unm_dport *port, const struct unm_dbinding *b, uint64_t deadline_ns,
	struct unm_reason *why)
{
	uint32_t i;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		int ret;

		if ((b != NULL && !unm_bind_has(port, b, i)) ||
			(port->rings[i].is_open && !port->rings[i].is_closing))
			continue;
		ret = open_ring(port, i, deadline_ns, why);
		if (ret < 0)
			return ret;
		if (unm_now_ns() >= deadline_ns)
			return -EINPROGRESS; /* with one ring less to open */
	}
	return 0;
}

/* Both ends of a pipe have all of theirs while one is bound. */
static int
open_pipe(struct unm_dport *port, uint64_t deadline_ns, struct unm_reason *why)
{
	const int ret = open_rings(port, NULL, deadline_ns, why);

	return ret < 0 || port->peer == NULL ? ret : open_rings(port->peer, NULL, deadline_ns, why);
}

/* The rings are open: make them the binding's. */
static int
use_rings(struct unm_dport *port, const struct unm_dbinding *b, bool exclusive,
	const struct unm_bind_wish *wish, struct unm_reason *why)
{
	const uint32_t n_rings = port->n_tx + port->n_rx;
	uint32_t i;

	for (i = 0; i < n_rings; i++) {
		if (unm_bind_has(port, b, i) && port->rings[i].n_users == 0 &&
			!port->rings[i].is_virgin && unm_dring_reuse(port, i) < 0)
			return unm_fail(why, -ENOMEM, "can't write into the memory region");
	}
	if (wish->offsets != NULL && apply_offsets(port, b, wish->offsets) < 0)
		return unm_fail(why, -ENOMEM, "can't write into the memory region");
	for (i = 0; i < n_rings; i++) {
		if (unm_bind_has(port, b, i))
			add_user(port, i, exclusive);
	}
	return 0;
}

static void
close_rings(struct unm_domain *dom, struct unm_dport *port, const struct unm_dbinding *b)
{
	uint32_t i;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		if (unm_bind_has(port, b, i))
			drop_user(dom, port, i);
	}
}

/*
 * Rings of a lossless port have been opened or closed: senders that wait for room in them have
 * nobody else to tell them.
 */
static void
wake_room_waiters(struct unm_dport *port)
{
	if (port->flags & UNM_PORTF_LOSSLESS)
		unm_dseg_wake(port->seg);
}

/* Eventfd and table entry. */
static int
join_segment(struct unm_dport *port, struct unm_dbinding *b, struct unm_reason *why)
{
	int ret;

	b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->wake_fd < 0)
		return unm_fail(why, -errno,
			"netmapd is out of descriptors (%s): nmctl doctor tells how to raise them",
			strerror(errno));
	ret = unm_dseg_add_binding(port->seg, port->idx, b->wake_fd, &b->idx, &b->gen, why);
	if (ret < 0) {
		close(b->wake_fd);
		b->wake_fd = -1;
	}
	return ret;
}

int
unm_bind(struct unm_domain *dom, struct unm_dport *port, const struct unm_bind_wish *wish,
	struct unm_dbinding *b, struct unm_reason *why)
{
	const bool exclusive = wish->flags & NR_EXCLUSIVE;
	struct unm_pending *pending = wish->pending;
	const uint64_t deadline_ns = unm_now_ns() + UNM_STEP_NS;
	int ret;

	memset(b, 0, sizeof(*b));
	b->wake_fd = -1;
	ret = unm_bind_select(port, wish, b, why);
	if (ret == 0)
		ret = check_sharing(port, b, exclusive, why);
	if (ret == 0 && wish->offsets != NULL)
		ret = check_offsets(port, b, wish, why);
	if (ret == 0) {
		unm_pending_begin(dom, pending, port);
		ret = port->kind == UNM_PORT_PIPE ? open_pipe(port, deadline_ns, why)
						  : open_rings(port, b, deadline_ns, why);
	}
	if (ret == 0)
		ret = commit_if(port, why);
	if (ret == 0)
		ret = unm_pending_extra(pending, wish->n_extra, deadline_ns);
	if (ret == 0)
		ret = use_rings(port, b, exclusive, wish, why);
	if (ret < 0)
		return ret;
	b->port = port;
	b->n_extra = pending->n_extra;
	ret = make_if(port, b, b->n_extra > 0 ? pending->extra[0] : 0, why);
	if (ret == 0) {
		ret = join_segment(port, b, why);
		if (ret < 0)
			unm_pool_free_run(&port->region->ifs, b->if_obj, b->n_if_objs);
	}
	if (ret < 0) {
		close_rings(dom, port, b);
		b->port = NULL;
		return ret;
	}
	unm_pending_done(pending);
	b->mode = wish->mode;
	b->ringid = wish->ringid;
	b->flags = wish->flags;
	if (wish->offsets != NULL) {
		b->offset_bits = wish->offsets->bits == 0 ? 64 : wish->offsets->bits;
		b->offset_max = wish->offsets->max;
		b->offset_gap = wish->offsets->min_gap;
	}
	port->n_bindings++;
	unm_dport_update(port);
	if (port->ops->bound != NULL)
		port->ops->bound(dom, port, b);
	wake_room_waiters(port);
	unm_join_rings(port);
	return 0;
}

void
unm_unbind(struct unm_domain *dom, struct unm_dbinding *b)
{
	struct unm_dport *port = b->port;
	uint32_t head;

	if (port == NULL)
		return;
	unm_dseg_del_binding(port->seg, port->idx, b->idx);
	close(b->wake_fd);
	b->wake_fd = -1;
	if (unm_format_extra_head(port->region, unm_bind_nifp_ofs(b), &head) == 0)
		unm_giveback(dom, port->region, head);
	unm_pool_free_run(&port->region->ifs, b->if_obj, b->n_if_objs);
	b->port = NULL;
	port->n_bindings--;
	unm_dport_update(port);
	if (port->n_bindings == 0 && !port->seg->is_adopted)
		unm_monitors_orphan(dom, port);
	close_rings(dom, port, b);
	wake_room_waiters(port);
	if (port->is_dying)
		unm_dport_finish(dom, port);
	else if (!port->seg->is_adopted)
		unm_port_release(dom, port);
}

void
unm_bind_info(const struct unm_dbinding *b, const uint8_t *desc_id, struct unm_bind_info *info)
{
	const struct unm_dport *port = b->port;

	memset(info, 0, sizeof(*info));
	memcpy(info->desc_id, desc_id, sizeof(info->desc_id));
	info->seg_uid = port->seg->uid;
	info->seg_size = port->seg->size;
	info->port = port->idx;
	info->port_gen = port->gen;
	info->binding = b->idx;
	info->binding_gen = b->gen;
	info->kind = port->kind;
	info->n_port_fds = unm_nic_host_shown_fds(b);
	info->nifp_ofs = unm_bind_nifp_ofs(b);
	info->nr_flags = b->flags;
	info->nr_mode = b->mode;
	info->nr_ringid = b->ringid;
	info->tx_lo = b->tx_lo;
	info->tx_hi = b->tx_hi;
	info->rx_lo = b->rx_lo;
	info->rx_hi = b->rx_hi;
	info->n_extra_bufs = b->n_extra;
	info->offset_bits = b->offset_bits;
	info->offset_max = b->offset_max;
	info->offset_gap = b->offset_gap;
	info->host_fd = port->host_fd;
	info->n_host_fds = port->n_host_fds;
	info->region = port->region->info;
}
