/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of ports and segments. See domain.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/domain.h"
#include "daemon/format.h"
#include "daemon/join.h"
#include "daemon/monitors.h"
#include "daemon/nic.h"
#include "daemon/offload.h"
#include "daemon/pending.h"
#include "shm/atomic.h"

void
unm_domain_init(struct unm_domain *dom, const struct unm_port_defaults *defaults,
	uint64_t mem_limit, bool use_huge_pages)
{
	memset(dom, 0, sizeof(*dom));
	dom->defaults = *defaults;
	unm_region_set_init(&dom->regions, mem_limit, use_huge_pages);
}

static uint32_t
hash_name(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h % UNM_PORT_HASH;
}

void
unm_dport_link(struct unm_domain *dom, struct unm_dport *port)
{
	struct unm_dport **bucket = &dom->hash[hash_name(port->name)];

	port->next_hash = *bucket;
	*bucket = port;
}

void
unm_dport_unlink(struct unm_domain *dom, struct unm_dport *port)
{
	struct unm_dport **pp;

	for (pp = &dom->hash[hash_name(port->name)]; *pp != NULL; pp = &(*pp)->next_hash) {
		if (*pp == port) {
			*pp = port->next_hash;
			port->next_hash = NULL;
			return;
		}
	}
}

struct unm_dport *
unm_dport_find(struct unm_domain *dom, const char *name)
{
	struct unm_dport *p;

	for (p = dom->hash[hash_name(name)]; p != NULL; p = p->next_hash) {
		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

struct unm_dseg *
unm_domain_seg_by_uid(struct unm_domain *dom, uint64_t uid)
{
	struct unm_dseg *s;

	for (s = dom->segs; s != NULL; s = s->next) {
		if (s->uid == uid)
			return s;
	}
	return NULL;
}

struct unm_dseg *
unm_domain_switch(struct unm_domain *dom, const char *name)
{
	struct unm_dseg *s;

	for (s = dom->segs; s != NULL; s = s->next) {
		if (s->type == UNM_SEG_VALE && strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

static struct unm_dseg *
first_domain_segment(const struct unm_domain *dom)
{
	struct unm_dseg *s = dom->segs;

	while (s != NULL && s->type != UNM_SEG_DOMAIN)
		s = s->next;
	return s;
}

struct unm_dseg *
unm_domain_segment(struct unm_domain *dom, struct unm_reason *why)
{
	struct unm_dseg *s = first_domain_segment(dom);

	if (s != NULL)
		return s;
	if (unm_dseg_create(UNM_SEG_DOMAIN, "domain", &s, why) < 0)
		return NULL;
	unm_domain_add_segment(dom, s);
	return s;
}

/* Lowest number that no switch has. */
static uint32_t
new_switch_idx(const struct unm_domain *dom)
{
	const struct unm_dseg *s = dom->segs;
	uint32_t idx = 0;

	while (s != NULL) { /* ends: idx grows at most once per switch */
		if (s->type == UNM_SEG_VALE && s->switch_idx == idx) {
			idx++;
			s = dom->segs;
		} else {
			s = s->next;
		}
	}
	return idx;
}

void
unm_domain_add_segment(struct unm_domain *dom, struct unm_dseg *seg)
{
	struct unm_dseg **at = &dom->segs;

	if (seg->type == UNM_SEG_VALE)
		seg->switch_idx = new_switch_idx(dom);
	/* Of two domain segments the first is used: a late client's comes behind. */
	while (seg->type == UNM_SEG_DOMAIN && *at != NULL)
		at = &(*at)->next;
	seg->next = *at;
	*at = seg;
}

int
unm_domain_switch_get(
	struct unm_domain *dom, const char *name, struct unm_dseg **out, struct unm_reason *why)
{
	struct unm_dseg *s = unm_domain_switch(dom, name);
	int ret;

	if (s == NULL) {
		ret = unm_dseg_create(UNM_SEG_VALE, name, &s, why);
		if (ret < 0)
			return ret;
		UNM_WRITE_ONCE(s->hdr->max_ageing_s, dom->defaults.ageing_s);
		unm_domain_add_segment(dom, s);
	}
	*out = s;
	return 0;
}

void
unm_domain_seg_drop_unused(struct unm_domain *dom)
{
	struct unm_dseg **pp = &dom->segs;

	while (*pp != NULL) {
		struct unm_dseg *s = *pp;

		/* one being adopted gets its ports in a moment */
		if (s->n_refs > 0 || s->is_adopted || s == first_domain_segment(dom)) {
			pp = &s->next;
			continue;
		}
		*pp = s->next;
		dom->n_reap -= s->has_held;
		unm_dseg_free(s);
	}
}

uint32_t
unm_dport_ring_objs(const struct unm_dport *port, uint32_t i)
{
	const uint32_t n = unm_dport_ring_slots(port, i);
	uint64_t bytes = unm_format_ring_bytes(n);

	if (port->kind == UNM_PORT_NIC && i >= port->n_tx)
		bytes += (uint64_t)n * sizeof(uint32_t); /* spares: port/join.h */
	return unm_pool_n_objs(&port->region->rings, bytes);
}

static void
free_ring_objs(struct unm_dport *port)
{
	uint32_t i;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		if (port->rings[i].obj != UNM_NONE)
			unm_pool_free_run(&port->region->rings, port->rings[i].obj,
				unm_dport_ring_objs(port, i));
	}
}

static int
alloc_ring_objs(struct unm_dport *port, struct unm_reason *why)
{
	struct unm_pool *pool = &port->region->rings;
	uint32_t i;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		const int ret = unm_pool_alloc_run(
			pool, unm_dport_ring_objs(port, i), &port->rings[i].obj, why);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static void
init_krings(struct unm_dport *port)
{
	uint32_t i;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		struct unm_kring *k = unm_dport_kring(port, i);

		k->port = port->idx;
		k->ring_id = i < port->n_tx ? i : i - port->n_tx;
		k->is_rx = i >= port->n_tx;
		k->num_slots = unm_dport_ring_slots(port, i);
		k->ring_ofs = unm_dport_ring_ofs(port, i);
		k->mon_head = UNM_NONE;
		k->mon_from = UNM_NONE;
		k->mon_next[UNM_MON_OF_TX] = k->mon_next[UNM_MON_OF_RX] = UNM_NONE;
		k->mon_of[UNM_MON_OF_TX] = k->mon_of[UNM_MON_OF_RX] = UNM_NONE;
		k->join_peer = UNM_NONE;
		k->join_state = UNM_JOIN_NONE;
		if (k->is_rx && k->num_slots > 0)
			k->hwtail = k->num_slots - 1; /* closed: full */
	}
}

/* Pipes may outlive their base: what they need of it is the memory, of which they have references. */
static void
leave_pipes(struct unm_domain *dom, const struct unm_dport *base)
{
	struct unm_dport *p;

	if (base->n_pipes == 0)
		return;
	for (p = dom->ports; p != NULL; p = p->next) {
		if (p->base == base)
			p->base = NULL;
	}
}

/* Free what is netmapd's own. Nothing that clients share is changed. */
static void
dport_drop(struct unm_domain *dom, struct unm_dport *port)
{
	struct unm_dport **pp;
	uint32_t i;

	for (pp = &dom->ports; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == port) {
			*pp = port->next;
			dom->n_ports--;
			dom->n_removed++;
			break;
		}
	}
	for (i = 0; i < port->n_port_fds; i++)
		close(port->port_fds[i]);
	if (port->peer != NULL)
		port->peer->peer = NULL;
	leave_pipes(dom, port);
	if (port->ops->free != NULL)
		port->ops->free(port);
	unm_dport_leave_pair(port);
	free(port->rings);
	free(port);
}

static void
dport_free(struct unm_domain *dom, struct unm_dport *port)
{
	if (port->ops->release_memory != NULL)
		port->ops->release_memory(port);
	if (port->region != NULL)
		free_ring_objs(port);
	unm_dregion_put(&dom->regions, port->region);
	dport_drop(dom, port);
}

int
unm_dport_new(struct unm_domain *dom, const struct unm_port_spec *spec, struct unm_dport **out,
	struct unm_reason *why)
{
	const uint32_t n_rings = spec->n_tx + spec->n_rx;
	struct unm_dport *port;
	struct timespec now;
	uint32_t i;
	int ret;

	if (dom->defaults.max_ports > 0 && dom->n_ports >= dom->defaults.max_ports)
		return unm_fail(why, -ENOMEM,
			"netmapd has %u ports, its limit: raise [limits] ports in netmapd.conf",
			dom->n_ports);
	port = calloc(1, sizeof(*port));
	if (port == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	snprintf(port->name, sizeof(port->name), "%s", spec->name);
	port->dom = dom;
	port->kind = spec->kind;
	port->ops = spec->ops;
	port->flags = spec->flags;
	port->n_tx = spec->n_tx;
	port->n_rx = spec->n_rx;
	port->n_host_tx = spec->n_host_tx;
	port->n_host_rx = spec->n_host_rx;
	port->tx_slots = spec->tx_slots;
	port->rx_slots = spec->rx_slots;
	port->max_frame = 1514; /* spec 17 */
	clock_gettime(CLOCK_REALTIME, &now);
	port->created_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	port->seg = spec->seg;
	port->region = unm_dregion_get(spec->region);
	port->rings = calloc((size_t)n_rings + 1, sizeof(*port->rings));
	ret = port->rings != NULL ? 0 : unm_fail(why, -ENOMEM, "netmapd is out of memory");
	for (i = 0; i < n_rings && ret == 0; i++)
		port->rings[i].obj = UNM_NONE;
	if (ret == 0)
		ret = alloc_ring_objs(port, why);
	if (ret == 0)
		ret = unm_dseg_alloc_port(port->seg, n_rings, &port->idx, &port->kring_base, why);
	if (ret < 0) {
		port->n_tx = port->rings != NULL ? port->n_tx : 0;
		port->n_rx = port->rings != NULL ? port->n_rx : 0;
		dport_free(dom, port);
		return ret;
	}
	port->seg->n_refs++;
	unm_dseg_reuse_entry(port->seg, port->idx, port->name);
	init_krings(port);
	port->next = dom->ports;
	dom->ports = port;
	dom->n_ports++;
	*out = port;
	return 0;
}

static void
random_mac(uint8_t *mac)
{
	const uint64_t r = unm_random64();

	memcpy(mac, &r, 6);
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02); /* locally administered, unicast */
}

static uint32_t
entry_flags(const struct unm_dport *port)
{
	const bool takes_frames = port->n_bindings > 0 && !(port->flags & UNM_PORTF_DETACHED);

	return port->flags | (takes_frames ? UNM_PORTF_OPEN : 0) |
	       (port->join_with != NULL ? UNM_PORTF_VETH_PEER : 0);
}

void
unm_dport_activate(struct unm_dport *port)
{
	struct unm_seg_port *e = unm_dseg_port_begin(port->seg, port->idx);

	if (port->mac[0] == 0)
		random_mac(port->mac);
	e->kind = port->kind;
	e->flags = entry_flags(port);
	memcpy(e->name, port->name, sizeof(e->name));
	e->region_uid = port->region->info.uid;
	e->region_id = port->region->info.id;
	e->n_tx_rings = unm_dport_nic_tx(port);
	e->n_rx_rings = unm_dport_nic_rx(port);
	e->n_host_tx_rings = port->n_host_tx;
	e->n_host_rx_rings = port->n_host_rx;
	e->kring_base = port->kring_base;
	e->bind_head = UNM_NONE;
	e->peer_port = port->peer != NULL      ? port->peer->idx
		       : port->watched != NULL ? port->watched->idx
					       : UNM_NONE;
	e->peer_gen = port->watched != NULL ? port->watched->gen : 0;
	e->mon_flags = port->mon_flags;
	e->vnet_hdr_len = port->vnet_hdr_len;
	e->vnet_lacks = port->vnet_lacks;
	e->max_frame = port->max_frame;
	memcpy(e->mac, port->mac, sizeof(e->mac));
	e->created_ns = port->created_ns;
	e->room_wanted = 0;
	memset(e->room_map, 0, sizeof(e->room_map));
	e->state = UNM_PORT_ACTIVE;
	port->gen = unm_dseg_port_end(port->seg, port->idx);
}

void
unm_dport_set_vnet_hdr(struct unm_dport *port, uint32_t len, uint32_t lacks)
{
	port->vnet_hdr_len = len;
	port->vnet_lacks = lacks;
	if (len != 0)
		port->max_frame = port->region->info.buf_size;
	unm_dport_update(port);
}

void
unm_dport_set_link(struct unm_dport *port, bool is_up)
{
	if (is_up)
		port->flags &= ~UNM_PORTF_LINK_DOWN;
	else
		port->flags |= UNM_PORTF_LINK_DOWN;
	unm_dport_update(port);
	unm_join_update(port);
	unm_dseg_wake(port->seg); /* its own clients, and those who wait for room in it */
}

void
unm_dport_rename(struct unm_domain *dom, struct unm_dport *port, const char *name)
{
	struct unm_seg_port *e = &port->seg->ports[port->idx];

	unm_dport_unlink(dom, port);
	snprintf(port->name, sizeof(port->name), "%s", name);
	unm_dport_link(dom, port);
	memcpy(e->name, port->name, sizeof(e->name)); /* for display, and for the next netmapd */
}

void
unm_dport_update(struct unm_dport *port)
{
	struct unm_seg_port *e = &port->seg->ports[port->idx];

	UNM_WRITE_ONCE(e->vnet_hdr_len, port->vnet_hdr_len);
	UNM_WRITE_ONCE(e->vnet_lacks, port->vnet_lacks);
	UNM_WRITE_ONCE(e->max_frame, port->max_frame);
	UNM_WRITE_ONCE(e->flags, entry_flags(port));
	unm_dseg_port_touch(port->seg);
}

void
unm_dport_leave_pair(struct unm_dport *port)
{
	struct unm_dport *other = port->join_with;

	if (other == NULL)
		return;
	port->join_with = NULL;
	other->join_with = NULL;
	unm_dport_update(other);
}

static void
want_reap(struct unm_domain *dom, struct unm_dport *port, bool wanted)
{
	if (wanted != port->needs_reap)
		dom->n_reap += wanted ? 1 : -1u;
	port->needs_reap = wanted;
}

/* Close what has no users. Return: rings that could not be closed yet. */
static uint32_t
close_idle_rings(struct unm_dport *port)
{
	uint32_t i, n_left = 0;

	for (i = 0; i < port->n_tx + port->n_rx; i++) {
		if (port->rings[i].n_users == 0 && unm_dring_close(port, i) < 0)
			n_left++;
	}
	return n_left;
}

void
unm_dport_close_idle(struct unm_domain *dom, struct unm_dport *port)
{
	if (!port->ops->keeps_rings && close_idle_rings(port) > 0)
		want_reap(dom, port, true);
}

/* Syncs of one end of a pipe write to rings of the other: neither is freed while they may go on. */
static bool
peer_may_write(const struct unm_dport *port)
{
	struct unm_dport *peer = port->peer;

	return peer != NULL && (!peer->is_dying || peer->n_bindings > 0 || peer->n_pending > 0 ||
				       close_idle_rings(peer) > 0);
}

void
unm_dport_finish(struct unm_domain *dom, struct unm_dport *port)
{
	struct unm_dseg *seg = port->seg;

	if (!port->is_dying || port->n_bindings > 0 || port->n_pending > 0)
		return;
	if (peer_may_write(port) || close_idle_rings(port) > 0) {
		want_reap(dom, port, true);
		return;
	}
	want_reap(dom, port, false);
	unm_dseg_forget_macs(seg, port->idx);
	unm_dseg_free_port(seg, port->idx, port->kring_base, port->n_tx + port->n_rx);
	seg->n_refs--;
	dport_free(dom, port);
	unm_domain_seg_drop_unused(dom);
}

void
unm_dport_remove(struct unm_domain *dom, struct unm_dport *port)
{
	struct unm_seg_port *e = &port->seg->ports[port->idx];

	if (!port->is_dying) {
		unm_monitors_orphan(dom, port);
		port->is_dying = true;
		unm_dport_unlink(dom, port);
		UNM_WRITE_ONCE(e->state, UNM_PORT_DEAD);
		unm_dseg_port_touch(port->seg);
		/* Its own clients must learn of it, and so must those who wait for room in it. */
		unm_dseg_wake(port->seg);
	}
	unm_dport_finish(dom, port);
}

void
unm_domain_reap(struct unm_domain *dom)
{
	struct unm_dport *port, *next;
	struct unm_dseg *seg;
	uint32_t i;

	for (seg = dom->segs; seg != NULL; seg = seg->next) {
		if (seg->has_held && unm_dseg_free_held(seg))
			dom->n_reap--;
	}
	for (port = dom->ports; port != NULL; port = next) {
		uint32_t n_left = 0;

		next = port->next;
		if (port->is_dying) {
			unm_dport_finish(dom, port);
			continue;
		}
		if (!port->needs_reap)
			continue;
		for (i = 0; i < port->n_tx + port->n_rx; i++) {
			if (port->rings[i].is_closing && unm_dring_close(port, i) < 0)
				n_left++;
		}
		n_left += unm_join_retry(port);
		want_reap(dom, port, n_left > 0);
	}
}

void
unm_domain_fini(struct unm_domain *dom)
{
	const struct unm_dport *port;

	/*
	 * Clients go on without us: their rings must stay in the allocation maps, for the next
	 * netmapd.
	 */
	unm_giveback_fini(dom);
	unm_nic_forget_settings(dom);
	for (port = dom->ports; port != NULL; port = port->next) {
		if (port->nic != NULL && port->n_bindings == 0) /* no client has it */
			unm_offload_give_back(dom, port->nic->ifindex, port->nic->netns,
				port->nic->ns.ino, port->nic->veth_fd);
	}
	unm_offload_clear(dom);
	while (dom->ports != NULL)
		dport_drop(dom, dom->ports);
	while (dom->segs != NULL) {
		struct unm_dseg *s = dom->segs;

		dom->segs = s->next;
		unm_dseg_free(s);
	}
	unm_region_set_fini(&dom->regions);
}
