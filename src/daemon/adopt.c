/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports and bindings made from segment entries. See adopt.h. */
/* Syscalls: readlink readlinkat eventfd2 */
#include "daemon/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include "daemon/format.h"
#include "daemon/host_port.h"
#include "daemon/join.h"
#include "daemon/monitors.h"
#include "daemon/nic.h"
#include "daemon/nic_host.h"
#include "daemon/nic_names.h"
#include "daemon/worker.h"
#include "net/netmap.h"
#include "shm/lock.h"
#include "vale/vnet.h"

/* Our copy of what an entry and its krings say, after the checks. */
struct entry {
	uint32_t idx;
	uint32_t gen;
	struct unm_seg_port e;
	uint32_t n_tx, n_rx; /* NIC and host rings */
	uint32_t tx_slots, rx_slots;
};

static struct unm_dport *
port_at(const struct unm_domain *dom, const struct unm_dseg *seg, uint32_t idx)
{
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->seg == seg && p->idx == idx)
			return p;
	}
	return NULL;
}

/* All rings of a direction have the same slots, and lie where a ring object begins. */
static int
read_rings(const struct unm_dseg *seg, const struct unm_region_info *info, struct entry *en)
{
	uint32_t i;

	for (i = 0; i < en->n_tx + en->n_rx; i++) {
		const struct unm_kring *k = &seg->krings[en->e.kring_base + i];
		const uint32_t slots = UNM_READ_ONCE(k->num_slots);
		const uint64_t ofs = __atomic_load_n(&k->ring_ofs, __ATOMIC_RELAXED);
		uint32_t *want = i < en->n_tx ? &en->tx_slots : &en->rx_slots;

		if (i == 0 || i == en->n_tx)
			*want = slots;
		if (slots != *want || slots > UNM_RING_MAX_SLOTS || ofs < info->ring_ofs ||
			(ofs - info->ring_ofs) % info->ring_size != 0 ||
			(ofs - info->ring_ofs) / info->ring_size >= info->ring_num)
			return -EINVAL;
	}
	return 0;
}

/* Copy an entry and check everything that can be checked without its region. */
static int
read_entry(const struct unm_dseg *seg, uint32_t idx, struct entry *en, struct unm_reason *why)
{
	const struct unm_seg_port *p = &seg->ports[idx];
	const char *colon;

	memset(en, 0, sizeof(*en));
	if (idx >= seg->top_port)
		return unm_fail(why, -EINVAL, "there is no port %u in %s", idx, seg->name);
	en->idx = idx;
	en->gen = unm_load_acquire(&p->gen);
	memcpy(&en->e, p, sizeof(en->e));
	en->n_tx = en->e.n_tx_rings + en->e.n_host_tx_rings; /* bounded below */
	en->n_rx = en->e.n_rx_rings + en->e.n_host_rx_rings;
	colon = memchr(en->e.name, ':', sizeof(en->e.name));
	if ((en->e.flags & UNM_PORTF_DETACHED) && colon != NULL) /* it has its plain name again */
		memmove(en->e.name, colon + 1, (size_t)(en->e.name + UNM_NAME_SIZE - colon - 1));
	if ((en->gen & 1) || en->e.state != UNM_PORT_ACTIVE)
		return unm_fail(
			why, -ESTALE, "port %u of %s is not active any more", idx, seg->name);
	if (memchr(en->e.name, '\0', sizeof(en->e.name)) == NULL ||
		unm_kind_ops(en->e.kind) == NULL ||
		(en->e.kind != UNM_PORT_MONITOR &&
			(en->e.kind == UNM_PORT_VALE) != (seg->type == UNM_SEG_VALE)) ||
		en->e.n_tx_rings > UNM_PORT_MAX_RINGS || en->e.n_rx_rings > UNM_PORT_MAX_RINGS ||
		en->e.n_host_tx_rings > UNM_PORT_MAX_RINGS ||
		en->e.n_host_rx_rings > UNM_PORT_MAX_RINGS || en->e.kring_base > seg->n_krings ||
		en->n_tx + en->n_rx > seg->n_krings - en->e.kring_base ||
		(en->e.vnet_hdr_len != 0 && en->e.vnet_hdr_len != 10 && en->e.vnet_hdr_len != 12))
		return unm_fail(
			why, -EINVAL, "the entry of port %u of %s is damaged", idx, seg->name);
	return 0;
}

/* Which rings were open when the previous run ended? A pipe's always are, else those with users. */
static void
take_ring_states(struct unm_dport *port)
{
	const struct unm_region_info *info = &port->region->info;
	uint32_t i;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		const struct unm_kring *k = unm_dport_kring(port, i);
		struct unm_dring *ring = &port->rings[i];

		ring->obj = (uint32_t)((__atomic_load_n(&k->ring_ofs, __ATOMIC_RELAXED) -
					       info->ring_ofs) /
				       info->ring_size);
		ring->is_open = port->ops->keeps_rings || UNM_READ_ONCE(k->n_users) > 0;
		ring->offset_bits = (uint32_t)__builtin_popcountll(
			__atomic_load_n(&k->offset_mask, __ATOMIC_RELAXED));
		ring->offset_max = UNM_READ_ONCE(k->offset_max);
	}
}

/* They must be in the allocation map; that does not tell which of them have memory. */
static int
take_ring_objs(const struct unm_dport *port, struct unm_reason *why)
{
	const struct unm_pool *pool = &port->region->rings;
	uint32_t i, k;
	int ret = 0;

	for (i = 0; i < port->n_tx + port->n_rx && ret == 0; i++) {
		const uint32_t run = unm_dport_ring_objs(port, i);

		for (k = 0; k < run; k++) {
			if (!unm_pool_holds(pool, port->rings[i].obj + k))
				return unm_fail(why, -EINVAL,
					"the rings of '%s' are not in the allocation map",
					port->name);
		}
		if (port->rings[i].is_open)
			ret = unm_dring_commit(port, i, why);
	}
	return ret;
}

static struct unm_dport *
build(struct unm_dseg *seg, struct unm_dregion *region, const struct entry *en)
{
	struct unm_dport *port = calloc(1, sizeof(*port));

	if (port == NULL)
		return NULL;
	port->rings = calloc((size_t)en->n_tx + en->n_rx + 1, sizeof(*port->rings));
	if (port->rings == NULL) {
		free(port);
		return NULL;
	}
	memcpy(port->name, en->e.name, sizeof(port->name));
	port->kind = (enum unm_port_kind)en->e.kind;
	port->ops = unm_kind_ops(en->e.kind);
	port->flags =
		en->e.flags & (UNM_PORTF_LOSSLESS | UNM_PORTF_PERSISTENT | UNM_PORTF_ATTACHED |
				      UNM_PORTF_DETACHED | UNM_PORTF_LINK_DOWN | UNM_PORTF_ORPHAN |
				      UNM_PORTF_FORWARD | UNM_PORTF_STOPPED | UNM_PORTF_HOST_SIDE |
				      UNM_PORTF_STACK);
	port->seg = seg;
	port->idx = en->idx;
	port->gen = en->gen;
	port->region = region;
	port->n_tx = en->n_tx;
	port->n_rx = en->n_rx;
	port->n_host_tx = en->e.n_host_tx_rings;
	port->n_host_rx = en->e.n_host_rx_rings;
	port->tx_slots = en->tx_slots;
	port->rx_slots = en->rx_slots;
	port->kring_base = en->e.kring_base;
	port->vnet_hdr_len = en->e.vnet_hdr_len;
	port->vnet_lacks = en->e.vnet_lacks & UNM_VNET_LACKS_ALL;
	port->max_frame = en->e.max_frame;
	memcpy(port->mac, en->e.mac, sizeof(port->mac));
	port->created_ns = en->e.created_ns;
	if (port->kind == UNM_PORT_MONITOR)
		port->mon_flags = en->e.mon_flags & (UNM_MONF_TX | UNM_MONF_RX | UNM_MONF_ZCOPY);
	take_ring_states(port);
	return port;
}

/* Make the port of a checked entry. Return: 0 or negative errno with the reason. */
static int
adopt_port(struct unm_domain *dom, struct unm_dseg *seg, struct unm_dregion *region,
	struct entry *en, struct unm_dport **out, struct unm_reason *why)
{
	struct unm_dport *port;
	const bool by_name = en->e.kind != UNM_PORT_NULL && en->e.kind != UNM_PORT_MONITOR;
	int ret;

	if (region->info.uid != en->e.region_uid || read_rings(seg, &region->info, en) < 0)
		return unm_fail(
			why, -EINVAL, "port '%s' does not fit its memory region", en->e.name);
	if (by_name && unm_dport_find(dom, en->e.name) != NULL)
		return unm_fail(why, -EEXIST, "there is another port '%s' by now", en->e.name);
	if (unm_dseg_claim_port(seg, en->idx, en->e.kring_base, en->n_tx + en->n_rx) < 0)
		return unm_fail(why, -EINVAL, "port '%s' uses rings of another one", en->e.name);
	port = build(seg, region, en);
	ret = port != NULL ? take_ring_objs(port, why)
			   : unm_fail(why, -ENOMEM, "netmapd is out of memory");
	if (ret < 0) {
		unm_dseg_unclaim_port(seg, en->idx, en->e.kring_base, en->n_tx + en->n_rx);
		if (port != NULL)
			free(port->rings);
		free(port);
		return ret;
	}
	port->dom = dom;
	unm_dregion_get(region);
	seg->n_refs++;
	port->next = dom->ports;
	dom->ports = port;
	dom->n_ports++;
	if (by_name)
		unm_dport_link(dom, port);
	*out = port;
	return 0;
}

/* The other end of a pipe comes with the first one, whether somebody has it open or not. */
static int
adopt_pipe_peer(
	struct unm_domain *dom, struct unm_dport *port, uint32_t peer_idx, struct unm_reason *why)
{
	struct unm_dport *peer;
	struct entry en;
	int ret = read_entry(port->seg, peer_idx, &en, why);

	if (ret == 0 && (en.e.kind != UNM_PORT_PIPE || en.e.peer_port != port->idx ||
				en.n_tx != port->n_rx || en.n_rx != port->n_tx))
		ret = unm_fail(why, -EINVAL, "the ends of pipe '%s' do not fit", port->name);
	if (ret == 0)
		ret = adopt_port(dom, port->seg, port->region, &en, &peer, why);
	if (ret < 0)
		return ret;
	if (peer->tx_slots != port->rx_slots || peer->rx_slots != port->tx_slots) {
		unm_dport_remove(dom, peer);
		return unm_fail(why, -EINVAL, "the ends of pipe '%s' do not fit", port->name);
	}
	port->peer = peer;
	peer->peer = port;
	return 0;
}

static int
find_or_adopt_port(struct unm_server *srv, struct unm_dseg *seg, struct unm_dregion *region,
	const struct unm_bind_info *info, struct unm_dport **out, struct unm_reason *why)
{
	struct unm_dport *port = port_at(&srv->dom, seg, info->port);
	struct entry en;
	int ret;

	if (port != NULL) {
		*out = port;
		return port->gen == info->port_gen && port->kind == info->kind &&
				       port->region == region
			       ? 0
			       : unm_fail(why, -ESTALE, "the port is not the one that was bound");
	}
	ret = read_entry(seg, info->port, &en, why);
	if (ret < 0)
		return ret;
	if (en.gen != info->port_gen || en.e.kind != info->kind)
		return unm_fail(why, -ESTALE, "the port is not the one that was bound");
	ret = adopt_port(&srv->dom, seg, region, &en, &port, why);
	if (ret == 0 && port->kind == UNM_PORT_PIPE)
		ret = adopt_pipe_peer(&srv->dom, port, en.e.peer_port, why);
	if (ret < 0)
		return ret;
	*out = port;
	return 0;
}

static bool
is_eventfd(int fd)
{
	char path[40], target[40];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, "anon_inode:[eventfd]") == 0;
}

/* What the binding says it holds of the port. */
static int
check_binding(const struct unm_dport *port, const struct unm_bind_info *info,
	struct unm_dbinding *b, struct unm_reason *why)
{
	const struct unm_region_info *r = &port->region->info;
	const struct unm_bind_wish wish = {
		.mode = info->nr_mode, .ringid = info->nr_ringid, .flags = info->nr_flags};
	uint32_t i;

	memset(b, 0, sizeof(*b));
	if (unm_bind_select(port, &wish, b, why) < 0)
		return -EINVAL;
	if (b->tx_lo != info->tx_lo || b->tx_hi != info->tx_hi || b->rx_lo != info->rx_lo ||
		b->rx_hi != info->rx_hi || info->offset_bits > 64 ||
		info->host_fd > info->n_port_fds ||
		info->n_host_fds > info->n_port_fds - info->host_fd)
		return unm_fail(why, -EINVAL, "the binding's rings are not those of its mode");
	if (info->nifp_ofs < r->if_ofs || (info->nifp_ofs - r->if_ofs) % r->if_size != 0 ||
		(info->nifp_ofs - r->if_ofs) / r->if_size >= r->if_num)
		return unm_fail(
			why, -EINVAL, "the binding's interface object is outside the region");
	b->if_obj = (uint32_t)((info->nifp_ofs - r->if_ofs) / r->if_size);
	b->n_if_objs =
		unm_pool_n_objs(&port->region->ifs, unm_format_if_bytes(port->n_tx, port->n_rx));
	for (i = 0; i < b->n_if_objs; i++) {
		if (!unm_pool_holds(&port->region->ifs, b->if_obj + i))
			return unm_fail(why, -EINVAL, "the binding's interface object is free");
	}
	b->port = (struct unm_dport *)(uintptr_t)port;
	b->idx = info->binding;
	b->gen = info->binding_gen;
	b->mode = info->nr_mode;
	b->ringid = info->nr_ringid;
	b->flags = info->nr_flags;
	b->n_extra = info->n_extra_bufs;
	b->offset_bits = info->offset_bits;
	b->offset_max = info->offset_max;
	b->offset_gap = info->offset_gap;
	return 0;
}

static int
take_port_fds(struct unm_domain *dom, struct unm_dport *port, int *fds,
	const struct unm_bind_info *info, struct unm_reason *why)
{
	uint32_t i;

	if (port->kind != UNM_PORT_TAP && port->kind != UNM_PORT_NIC &&
		port->kind != UNM_PORT_MONITOR)
		return 0;
	if (port->kind == UNM_PORT_NIC && port->nic == NULL) {
		const bool has_host_rings = info->n_host_fds > 0;
		const int ret = unm_nic_adopt(dom, port, fds + UNM_BIND_FDS,
			has_host_rings ? info->host_fd : info->n_port_fds, has_host_rings, why);

		if (ret < 0)
			return ret;
	}
	/* One that has more than others: it holds an interception (nic_host.h). */
	for (i = port->n_port_fds; i < info->n_port_fds && i < UNM_MAX_PORT_FDS; i++) {
		port->port_fds[i] = fds[UNM_BIND_FDS + i];
		fds[UNM_BIND_FDS + i] = -1;
	}
	if (i == port->n_port_fds)
		return 0;
	port->n_port_fds = i;
	port->host_fd = info->host_fd;
	port->n_host_fds = info->n_host_fds;
	return 0;
}

static void
count_users(struct unm_dport *port, const struct unm_dbinding *b)
{
	uint32_t i;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		struct unm_dring *ring = &port->rings[i];
		struct unm_kring *k = unm_dport_kring(port, i);

		if (!unm_bind_has(port, b, i))
			continue;
		ring->n_users++;
		ring->is_open = true;
		ring->is_exclusive = b->flags & NR_EXCLUSIVE;
		UNM_WRITE_ONCE(k->n_users, ring->n_users);
	}
}

static int
find_or_adopt_seg(struct unm_domain *dom, const struct unm_bind_info *info, int fd,
	struct unm_dseg **out, struct unm_reason *why)
{
	struct unm_dseg *other;
	int ret;

	*out = unm_domain_seg_by_uid(dom, info->seg_uid);
	if (*out != NULL)
		return unm_same_file((*out)->fd, fd)
			       ? 0
			       : unm_fail(why, -EINVAL, "the segment is not the one of that name");
	ret = unm_dseg_adopt(fd, info->seg_uid, out, why);
	if (ret < 0)
		return ret;
	/* A switch is one by its name. Ports outside switches have names of their own. */
	other = (*out)->type == UNM_SEG_VALE ? unm_domain_switch(dom, (*out)->name) : NULL;
	if (other != NULL) {
		ret = unm_fail(why, -EEXIST, "%s has been made anew by now", other->name);
		unm_dseg_free(*out);
		return ret;
	}
	(*out)->is_adopted = true;
	unm_domain_add_segment(dom, *out);
	return 0;
}

int
unm_adopt_binding(struct unm_server *srv, struct unm_desc *d, const struct unm_bind_info *info,
	int *fds, pid_t pid, struct unm_reason *why)
{
	struct unm_dregion *region = NULL;
	struct unm_dport *port = NULL;
	struct unm_dbinding b;
	struct unm_dseg *seg;
	int ret;

	srv->dom.is_adopting = true;
	if (!is_eventfd(fds[4]))
		return unm_fail(why, -EINVAL, "the fifth descriptor is no eventfd");
	ret = find_or_adopt_seg(&srv->dom, info, fds[3], &seg, why);
	if (ret == 0)
		ret = unm_dregion_adopt(
			&srv->dom.regions, &info->region, fds[1], fds[2], &region, why);
	if (ret == 0)
		ret = find_or_adopt_port(srv, seg, region, info, &port, why);
	if (ret == 0)
		ret = check_binding(port, info, &b, why);
	if (ret == 0)
		ret = take_port_fds(&srv->dom, port, fds, info, why);
	if (ret == 0) {
		ret = unm_dseg_claim_binding(seg, port->idx, fds[4], b.idx, b.gen);
		if (ret < 0)
			unm_fail(why, ret, "the binding is not there any more, or somebody else's");
	}
	if (ret < 0)
		return ret;
	b.wake_fd = fds[4];
	fds[4] = -1;
	d->binding = b;
	port->n_bindings++;
	count_users(port, &b);
	port->mon_lo = b.rx_lo; /* for monitors */
	port->mon_hi = b.rx_hi;
	if (port->flags & UNM_PORTF_ATTACHED)
		unm_worker_adopt(srv, port, pid);
	return 0;
}

/* --- end of the phase --- */

/* A port that nobody handed back: kept if it outlives its bindings and its memory is here. */
static void
settle_entry(struct unm_domain *dom, struct unm_dseg *seg, uint32_t idx)
{
	struct unm_dregion *region;
	struct unm_dport *port;
	struct entry en;

	if (port_at(dom, seg, idx) != NULL)
		return;
	if (read_entry(seg, idx, &en, NULL) == 0) {
		region = unm_dregion_by_uid(&dom->regions, en.e.region_uid);
		if (region != NULL && adopt_port(dom, seg, region, &en, &port, NULL) == 0) {
			/* Which buffers are whose takes both ends */
			if (port->kind == UNM_PORT_PIPE)
				adopt_pipe_peer(dom, port, en.e.peer_port, NULL);
			return; /* without users it is released below */
		}
	}
	if (UNM_READ_ONCE(seg->ports[idx].state) != UNM_PORT_FREE)
		unm_dseg_retire_entry(seg, idx);
}

/* Pipes know their base by name only. */
static void
link_bases(struct unm_domain *dom)
{
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		char base[UNM_NAME_SIZE];
		struct unm_dport *b;

		if (p->kind != UNM_PORT_PIPE || p->is_dying || p->base != NULL)
			continue;
		memcpy(base, p->name, sizeof(base));
		base[strcspn(base, "{}")] = '\0';
		b = unm_dport_find(dom, base);
		if (b == NULL || b->region != p->region)
			continue; /* its memory lives with the pipe all the same */
		p->base = b;
		if (p->peer == NULL || p->peer->base == NULL) /* count a pair once */
			b->n_pipes++;
	}
}

/* Objects of the dead are in no table: reduce the pools of interfaces and rings to what is. */
static void
settle_pools(struct unm_server *srv)
{
	struct unm_dregion *r;
	struct unm_dport *p;
	uint32_t i;

	for (r = srv->dom.regions.first; r != NULL; r = r->next) {
		unm_pool_clear(&r->ifs);
		unm_pool_clear(&r->rings);
	}
	for (i = 0; i < UNM_DESC_HASH; i++) {
		const struct unm_desc *d;

		for (d = srv->descs[i]; d != NULL; d = d->next) {
			if (d->binding.port != NULL)
				unm_pool_mark_run(&d->binding.port->region->ifs, d->binding.if_obj,
					d->binding.n_if_objs);
		}
	}
	for (p = srv->dom.ports; p != NULL; p = p->next) {
		for (i = 0; i < p->n_tx + p->n_rx; i++)
			unm_pool_mark_run(
				&p->region->rings, p->rings[i].obj, unm_dport_ring_objs(p, i));
	}
	for (r = srv->dom.regions.first; r != NULL; r = r->next) {
		unm_pool_store(&r->ifs);
		unm_pool_store(&r->rings);
	}
}

static void
settle_segment(struct unm_server *srv, struct unm_dseg *seg)
{
	uint32_t i;

	unm_dseg_drop_unclaimed(seg);
	for (i = 0; i < seg->top_port; i++)
		settle_entry(&srv->dom, seg, i);
	unm_monitors_repair(srv, seg, 0);
	unm_free_dead_locks(srv, seg);
	unm_dseg_hold_unclaimed(seg);
	if (!unm_dseg_free_held(seg))
		srv->dom.n_reap++;
}

/* Rings that only the missing used are closed, ports without users end or get a new worker. */
static void
settle_ports(struct unm_server *srv)
{
	struct unm_domain *dom = &srv->dom;
	struct unm_dport *p;
	uint32_t n, i;

	for (p = dom->ports; p != NULL; p = p->next) {
		for (i = 0; i < p->n_tx + p->n_rx; i++) {
			UNM_WRITE_ONCE(unm_dport_kring(p, i)->n_users, p->rings[i].n_users);
			if (p->rings[i].n_users == 0 && !p->ops->keeps_rings &&
				unm_dring_close(p, i) < 0 && !p->needs_reap) {
				p->needs_reap = true;
				dom->n_reap++;
			}
		}
		if (p->kind == UNM_PORT_NIC)
			unm_nic_host_settle(p, UNM_NONE);
		if (p->kind == UNM_PORT_NIC && p->nic != NULL)
			unm_host_port_settle(dom, p);
		unm_dport_update(p);
		if ((p->flags & UNM_PORTF_ATTACHED) && p->n_bindings == 0)
			unm_worker_keep(srv, p);
	}
	/*
	 * A release may free other ports too (a pipe's peer and base): so start again after each.
	 */
	for (n = dom->n_ports + 1; n > 0; n--) {
		const uint64_t before = dom->n_removed;

		for (p = dom->ports; p != NULL; p = p->next) {
			if (p->n_bindings == 0 && !p->is_dying) {
				unm_port_release(dom, p);
				if (dom->n_removed != before)
					break;
			}
		}
		if (p == NULL)
			break;
	}
}

void
unm_adopt_finish(struct unm_server *srv)
{
	struct unm_domain *dom = &srv->dom;
	struct unm_dport *p;
	struct unm_dseg *seg;

	for (seg = dom->segs; seg != NULL; seg = seg->next) {
		if (seg->is_adopted)
			settle_segment(srv, seg);
	}
	link_bases(dom);
	unm_monitors_adopt(srv);
	unm_join_adopt(dom);
	settle_pools(srv);
	settle_ports(srv);
	for (seg = dom->segs; seg != NULL; seg = seg->next) {
		seg->is_adopted = false;
		unm_dseg_wake(seg);
	}
	for (p = dom->ports; p != NULL; p = p->next)
		unm_join_update(p);
	dom->is_adopting = false;
	unm_nic_names_settle(dom);
	unm_domain_seg_drop_unused(dom);
	unm_region_set_drop_unused(&dom->regions);
}
