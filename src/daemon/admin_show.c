/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables as JSON. See admin.h. Counters are read from the krings; they are hints, any client
 * could have written them.
 */
/* Syscalls: prlimit64 getrlimit */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "daemon/admin.h"
#include "daemon/bitmap.h"
#include "daemon/join.h"
#include "daemon/missing.h"
#include "daemon/nic.h"
#include "daemon/offload.h"
#include "daemon/proc.h"
#include "shm/atomic.h"

#define FDB_TICK_S 2u /* vale/fdb.h */

static const char *const drop_names[UNM_DROP_N] = {
	[UNM_DROP_RX_FULL] = "rx_full",
	[UNM_DROP_NO_PORT] = "no_port",
	[UNM_DROP_BAD_SLOT] = "bad_slot",
	[UNM_DROP_TOO_LONG] = "too_long",
	[UNM_DROP_RUNT] = "runt",
	[UNM_DROP_BUSY] = "busy",
	[UNM_DROP_UNMAPPED] = "unmapped",
	[UNM_DROP_POLICY] = "policy",
	[UNM_DROP_OFFLOAD] = "offload",
	[UNM_DROP_LINK_DOWN] = "link_down",
	[UNM_DROP_JOINED] = "joined",
};

static uint64_t
counter(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* One that was detached while it is open is still in the switch's tables (persistent.h). */
static bool
is_on_switch(const struct unm_dport *p)
{
	return p->seg->type == UNM_SEG_VALE && p->kind == UNM_PORT_VALE &&
	       !(p->flags & UNM_PORTF_DETACHED);
}

/* A table may be asked for one port, or for all of a switch. */
static bool
is_wanted(const struct unm_dport *p, const char *name)
{
	return name == NULL || strcmp(p->name, name) == 0 ||
	       (strcmp(p->seg->name, name) == 0 && !(p->flags & UNM_PORTF_DETACHED));
}

static void
show_drops(struct unm_json *j, const struct unm_dport *p, uint32_t from, uint32_t to)
{
	uint64_t sum[UNM_DROP_N] = {0};
	uint32_t i, d;

	for (i = from; i < to; i++) {
		for (d = 0; d < UNM_DROP_N; d++)
			sum[d] += counter(&unm_dport_kring(p, i)->drops[d]);
	}
	unm_json_open(j, "dropped", '{');
	for (d = 0; d < UNM_DROP_N; d++)
		unm_json_u64(j, drop_names[d], sum[d]);
	unm_json_close(j, '}');
}

/* What the kernel has dropped of an interface's frames, by its own count. */
static struct unm_xsk_drops
kernel_drops(const struct unm_dport *p)
{
	const struct unm_nic_setup *setup = &p->nic->setup;
	struct unm_xsk_drops sum = {0}, one;
	uint32_t i;

	for (i = 0; i < setup->n_queues; i++) {
		if (setup->mode == UNM_NIC_PACKET || unm_xsk_statistics(p->port_fds[i], &one) < 0)
			continue;
		sum.rx_full += one.rx_full;
		sum.rx_invalid += one.rx_invalid;
		sum.tx_invalid += one.tx_invalid;
	}
	return sum;
}

static void
show_counters(struct unm_json *j, const struct unm_dport *p)
{
	uint64_t sent = 0, sent_bytes = 0, received = 0, received_bytes = 0, missed = 0, wakes = 0,
		 reinits = 0;
	uint32_t i;

	for (i = 0; i < p->n_tx + p->n_rx; i++) {
		const struct unm_kring *k = unm_dport_kring(p, i);

		wakes += counter(&k->n_wakes);
		reinits += counter(&k->n_reinits);
		if (i < p->n_tx) {
			sent += counter(&k->n_pkts);
			sent_bytes += counter(&k->n_bytes);
		} else {
			received += counter(&k->rx_pkts);
			received_bytes += counter(&k->rx_bytes);
			missed += counter(&k->rx_full);
		}
	}
	if (p->nic != NULL)
		missed += kernel_drops(p).rx_full;
	unm_json_u64(j, "sent", sent);
	unm_json_u64(j, "sent_bytes", sent_bytes);
	unm_json_u64(j, "received", received);
	unm_json_u64(j, "received_bytes", received_bytes);
	unm_json_u64(j, "missed", missed);
	unm_json_u64(j, "wakes", wakes);
	unm_json_u64(j, "reinits", reinits);
	show_drops(j, p, 0, p->n_tx + p->n_rx); /* of an rx ring: joined ones only */
}

/* Is it one end of a veth pair whose other end is open too, and do frames go straight there? */
static void
show_join(struct unm_json *j, const struct unm_dport *p)
{
	const struct unm_dport *peer = p->join_with;
	const char *state = "";
	uint32_t n = 0, n_failed = 0, i;

	for (i = 0; i < p->n_tx + p->n_rx; i++) {
		n += unm_join_state_of(p, i) == UNM_JOIN_JOINED;
		n_failed += UNM_READ_ONCE(unm_dport_kring(p, i)->join_failed); /* tx rings' */
	}
	if (n > 0)
		state = "joined";
	else if (peer != NULL && p->region != peer->region)
		state = "other memory";
	else if (peer != NULL && p->tx_slots != peer->rx_slots && p->rx_slots != peer->tx_slots)
		state = "other number of slots";
	else if (peer != NULL)
		state = "through the kernel";
	unm_json_str(j, "veth_peer", peer != NULL ? peer->name : "");
	unm_json_str(j, "veth_state", state);
	unm_json_u64(j, "joined_rings", n);
	unm_json_u64(j, "failed_offers", n_failed);
}

/* What is behind a network interface's port. */
static void
show_nic(struct unm_json *j, const struct unm_dport *p)
{
	const struct unm_nic *nic = p->nic;
	const struct unm_nic_setup *setup = &nic->setup;
	const struct unm_nic_state *st = nic->st;
	const struct unm_xsk_drops sum = kernel_drops(p);
	char off[256], why[UNM_NIC_REASON_SIZE];
	uint64_t copied = 0, calls = 0, joined = 0;
	uint32_t i;

	for (i = 0; i < setup->n_queues; i++) {
		copied += counter(&st->txq[i].n_copied) + counter(&st->rxq[i].n_copied);
		calls += counter(&st->txq[i].n_kicks) + counter(&st->rxq[i].n_kicks);
		joined += counter(&st->txq[i].n_joined);
	}
	unm_json_open(j, "interface", '{');
	unm_json_str(j, "name", nic->ifname);
	unm_json_u64(j, "index", nic->ifindex);
	unm_json_str(j, "netns", nic->netns);
	unm_json_str(j, "mode", unm_nic_mode_name(setup->mode));
	unm_nic_why_not(setup->refused, why);
	unm_json_str(j, "slower_because", why);
	unm_json_bool(j, "up", nic->is_up);
	unm_json_bool(j, "watched", nic->watch != NULL);
	unm_json_u64(j, "mtu", nic->mtu);
	unm_json_u64(j, "queues_without_ring", unm_nic_extra_queues(nic));
	unm_offload_list(p->dom, nic->ifindex, nic->netns, nic->ns.ino, off, sizeof(off));
	unm_json_str(j, "offloads_off", off);
	unm_json_bool(j, "keeps_vlan_tags", setup->keeps_tags != 0);
	unm_json_u64(j, "window", setup->n_window);
	unm_json_u64(j, "frame_room", setup->frame_room);
	unm_json_bool(j, "multi_buffer", setup->is_multi_buffer);
	unm_json_u64(j, "copied", copied);
	unm_json_u64(j, "calls", calls);
	unm_json_bool(j, "joins_segments", setup->joins_segments != 0);
	unm_json_u64(j, "joined_segments", joined);
	unm_json_u64(j, "kernel_missed", sum.rx_full);
	unm_json_u64(j, "kernel_rx_invalid", sum.rx_invalid);
	unm_json_u64(j, "kernel_tx_invalid", sum.tx_invalid);
	unm_json_close(j, '}');
}

static void
show_port(struct unm_json *j, const struct unm_dport *p)
{
	char mac[24];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", p->mac[0], p->mac[1], p->mac[2],
		p->mac[3], p->mac[4], p->mac[5]);
	unm_json_open(j, NULL, '{');
	unm_json_str(j, "name", p->name);
	unm_json_str(j, "kind", p->ops->label);
	unm_json_str(j, "switch", is_on_switch(p) ? p->seg->name : "");
	unm_json_u64(j, "index", p->idx);
	unm_json_u64(j, "memory", p->region->info.id);
	unm_json_bool(j, "huge_pages", p->region->info.flags & UNM_REGIONF_HUGE);
	unm_json_u64(j, "tx_rings", unm_dport_nic_tx(p));
	unm_json_u64(j, "rx_rings", unm_dport_nic_rx(p));
	unm_json_u64(j, "host_tx_rings", p->n_host_tx);
	unm_json_u64(j, "host_rx_rings", p->n_host_rx);
	unm_json_u64(j, "tx_slots", p->tx_slots);
	unm_json_u64(j, "rx_slots", p->rx_slots);
	unm_json_u64(j, "users", p->n_bindings);
	unm_json_u64(j, "pipes", p->n_pipes);
	if (p->kind == UNM_PORT_MONITOR)
		unm_json_str(j, "watches", p->watched != NULL ? p->watched->name : "");
	unm_json_str(j, "mac", mac);
	unm_json_u64(j, "vnet_hdr_len", p->vnet_hdr_len);
	unm_json_u64(j, "vnet_lacks", p->vnet_lacks);
	unm_json_u64(j, "max_frame", p->max_frame);
	unm_json_bool(j, "link", !(p->flags & UNM_PORTF_LINK_DOWN));
	unm_json_bool(j, "lossless", p->flags & UNM_PORTF_LOSSLESS);
	unm_json_bool(j, "forward", p->flags & UNM_PORTF_FORWARD);
	unm_json_bool(j, "persistent", p->flags & UNM_PORTF_PERSISTENT);
	unm_json_bool(j, "attached", p->flags & UNM_PORTF_ATTACHED);
	unm_json_bool(j, "closing", p->is_dying);
	if (p->flags & UNM_PORTF_ATTACHED)
		unm_json_u64(j, "worker_pid", p->worker_pid > 0 ? (uint64_t)p->worker_pid : 0);
	if (p->kind == UNM_PORT_NIC)
		show_join(j, p);
	unm_json_u64(j, "created_s", p->created_ns / 1000000000u);
	show_counters(j, p);
	if (p->nic != NULL)
		show_nic(j, p);
	unm_json_close(j, '}');
}

static void
show_ports(const struct unm_server *srv, struct unm_json *j, const char *name)
{
	const struct unm_dport *p;

	for (p = srv->dom.ports; p != NULL; p = p->next) {
		if (is_wanted(p, name))
			show_port(j, p);
	}
}

static void
show_ring(struct unm_json *j, const struct unm_dport *p, uint32_t i)
{
	const struct unm_kring *k = unm_dport_kring(p, i);
	const bool is_rx = i >= p->n_tx;
	const uint32_t id = is_rx ? i - p->n_tx : i;
	const uint32_t n_nic = is_rx ? unm_dport_nic_rx(p) : unm_dport_nic_tx(p);

	unm_json_open(j, NULL, '{');
	unm_json_str(j, "port", p->name);
	unm_json_str(j, "direction", is_rx ? "rx" : "tx");
	unm_json_u64(j, "ring", id);
	unm_json_bool(j, "host", id >= n_nic);
	unm_json_u64(j, "slots", unm_dport_ring_slots(p, i));
	unm_json_u64(j, "users", p->rings[i].n_users);
	unm_json_bool(j, "open", p->rings[i].is_open);
	unm_json_bool(j, "exclusive", p->rings[i].is_exclusive);
	unm_json_u64(j, "hwcur", UNM_READ_ONCE(k->hwcur));
	unm_json_u64(j, "hwtail", is_rx ? UNM_READ_ONCE(k->hwtail) : UNM_READ_ONCE(k->pub_tail));
	unm_json_u64(j, "syncs", counter(&k->n_syncs));
	unm_json_u64(j, "packets", is_rx ? counter(&k->rx_pkts) : counter(&k->n_pkts));
	unm_json_u64(j, "bytes", is_rx ? counter(&k->rx_bytes) : counter(&k->n_bytes));
	unm_json_u64(j, "missed", is_rx ? counter(&k->rx_full) : 0);
	unm_json_u64(j, "wakes", counter(&k->n_wakes));
	unm_json_u64(j, "reinits", counter(&k->n_reinits));
	unm_json_bool(j, "sleeper", UNM_READ_ONCE(k->want) != 0);
	unm_json_u64(j, "held_by", UNM_READ_ONCE(k->busy) & 0xffff);
	unm_json_bool(j, "joined", unm_join_state_of(p, i) == UNM_JOIN_JOINED);
	show_drops(j, p, i, i + 1);
	unm_json_close(j, '}');
}

static void
show_rings(const struct unm_server *srv, struct unm_json *j, const char *name)
{
	const struct unm_dport *p;
	uint32_t i;

	for (p = srv->dom.ports; p != NULL; p = p->next) {
		for (i = 0; is_wanted(p, name) && i < p->n_tx + p->n_rx; i++)
			show_ring(j, p, i);
	}
}

static uint32_t
count_macs(const struct unm_dseg *seg)
{
	uint32_t i, way, n = 0;

	for (i = 0; i < UNM_FDB_NBUCKETS; i++) {
		for (way = 0; way < UNM_FDB_WAYS; way++)
			n += UNM_READ_ONCE(seg->fdb[i].entry[way]) != 0;
	}
	return n;
}

static uint32_t
count_ports(const struct unm_server *srv, const struct unm_dseg *seg)
{
	const struct unm_dport *p;
	uint32_t n = 0;

	for (p = srv->dom.ports; p != NULL; p = p->next)
		n += p->seg == seg && is_on_switch(p);
	return n;
}

static void
show_switches(const struct unm_server *srv, struct unm_json *j, const char *name)
{
	const struct unm_dseg *s;

	for (s = srv->dom.segs; s != NULL; s = s->next) {
		const uint32_t n_ports = s->type == UNM_SEG_VALE ? count_ports(srv, s) : 0;

		if (n_ports == 0 || (name != NULL && strcmp(s->name, name) != 0))
			continue;
		unm_json_open(j, NULL, '{');
		unm_json_str(j, "name", s->name);
		unm_json_u64(j, "index", s->switch_idx);
		unm_json_u64(j, "ports", n_ports);
		unm_json_u64(j, "max_ports", s->n_ports - 1);
		unm_json_u64(j, "macs", count_macs(s));
		unm_json_u64(j, "ageing_s", UNM_READ_ONCE(s->hdr->max_ageing_s));
		unm_json_u64(j, "epoch", UNM_READ_ONCE(s->hdr->epoch));
		unm_json_hex(j, "uid", s->uid);
		unm_json_close(j, '}');
	}
}

static const char *
port_name(const struct unm_server *srv, const struct unm_dseg *seg, uint32_t idx)
{
	const struct unm_dport *p;

	for (p = srv->dom.ports; p != NULL; p = p->next) {
		if (p->seg == seg && p->idx == idx)
			return p->name;
	}
	return NULL;
}

/*
 * The low 48 bits are the address in memory order, so that the first octet is the lowest byte on
 * little-endian machines.
 */
static void
show_mac(const struct unm_server *srv, struct unm_json *j, const struct unm_dseg *seg,
	uint64_t entry, uint32_t age_s)
{
	const char *port = port_name(srv, seg, (uint32_t)(entry & 0xffff));
	uint64_t mac = entry >> 16;
	uint8_t b[8] = {0};
	char text[24];

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	mac <<= 16;
#endif
	memcpy(b, &mac, sizeof(b));
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
		b[5]);
	unm_json_open(j, NULL, '{');
	unm_json_str(j, "switch", seg->name);
	unm_json_str(j, "mac", text);
	unm_json_str(j, "port", port != NULL ? port : "");
	unm_json_u64(j, "age_s", age_s);
	unm_json_close(j, '}');
}

static void
show_macs(const struct unm_server *srv, struct unm_json *j, const char *name)
{
	const struct unm_dseg *s;
	struct timespec now;
	uint32_t i, way;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	for (s = srv->dom.segs; s != NULL; s = s->next) {
		const uint32_t max_age = UNM_READ_ONCE(s->hdr->max_ageing_s);

		if (s->type != UNM_SEG_VALE || (name != NULL && strcmp(s->name, name) != 0))
			continue;
		for (i = 0; i < UNM_FDB_NBUCKETS; i++) {
			for (way = 0; way < UNM_FDB_WAYS; way++) {
				const uint64_t e = UNM_READ_ONCE(s->fdb[i].entry[way]);
				const uint8_t tick = (uint8_t)((uint64_t)now.tv_sec / FDB_TICK_S);
				const uint8_t age =
					(uint8_t)(tick - UNM_READ_ONCE(s->fdb[i].age[way]));

				if (e != 0 && (max_age == 0 || age * FDB_TICK_S <= max_age))
					show_mac(srv, j, s, e, age * FDB_TICK_S);
			}
		}
	}
}

static void
show_pool(struct unm_json *j, const char *key, const struct unm_pool *p)
{
	unm_json_open(j, key, '{');
	unm_json_u64(j, "total", p->n);
	unm_json_u64(j, "used", p->n - p->n_free);
	unm_json_u64(j, "size", p->obj_size);
	unm_json_close(j, '}');
}

static void
show_memory(const struct unm_server *srv, struct unm_json *j, const char *name)
{
	const struct unm_dregion *r;

	(void)name; /* regions have numbers */
	for (r = srv->dom.regions.first; r != NULL; r = r->next) {
		unm_json_open(j, NULL, '{');
		unm_json_u64(j, "id", r->info.id);
		unm_json_hex(j, "uid", r->info.uid);
		unm_json_str(j, "kind",
			r->info.flags & UNM_REGIONF_GLOBAL   ? "global"
			: r->info.flags & UNM_REGIONF_EXTMEM ? "external"
							     : "private");
		unm_json_bool(j, "huge_pages", r->info.flags & UNM_REGIONF_HUGE);
		unm_json_u64(j, "ports", r->n_refs);
		unm_json_u64(j, "size", r->info.size);
		unm_json_u64(j, "committed", r->commit.n_bytes);
		show_pool(j, "interfaces", &r->ifs);
		show_pool(j, "rings", &r->rings);
		show_pool(j, "buffers", &r->bufs);
		unm_json_close(j, '}');
	}
}

static void
show_descs(const struct unm_server *srv, struct unm_json *j, pid_t pid)
{
	const struct unm_desc *d;
	uint32_t i;

	unm_json_open(j, "descriptors", '[');
	for (i = 0; i < UNM_DESC_HASH; i++) {
		for (d = srv->descs[i]; d != NULL; d = d->next) {
			if (d->pid == pid)
				unm_json_str(j, NULL,
					d->binding.port != NULL ? d->binding.port->name : "");
		}
	}
	unm_json_close(j, ']');
}

static void
read_comm(pid_t pid, char *comm, size_t size)
{
	if (!unm_proc_read(pid, "comm", comm, size, NULL))
		comm[0] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
}

static void
show_clients(const struct unm_server *srv, struct unm_json *j, const char *name)
{
	const struct unm_session *s;
	char comm[32];

	(void)name; /* clients have numbers */
	for (s = srv->sessions; s != NULL; s = s->next) {
		if (s->slot == 0)
			continue;
		read_comm(s->pid, comm, sizeof(comm));
		unm_json_open(j, NULL, '{');
		unm_json_u64(j, "pid", (uint64_t)s->pid);
		unm_json_u64(j, "uid", s->uid);
		unm_json_str(j, "program", comm);
		unm_json_u64(j, "slot", s->slot);
		unm_json_str(j, "version", s->version);
		show_descs(srv, j, s->pid);
		unm_json_close(j, '}');
	}
}

/* Clients of a run before that may still come back. */
static void
show_late(const struct unm_server *srv, struct unm_json *j)
{
	const struct unm_missing *m;
	char comm[32];

	unm_json_open(j, "late_clients", '[');
	for (m = srv->missing; m != NULL; m = m->next) {
		if (!m->is_late)
			continue;
		read_comm(m->pid, comm, sizeof(comm));
		unm_json_open(j, NULL, '{');
		unm_json_u64(j, "pid", (uint64_t)m->pid);
		unm_json_str(j, "program", comm);
		unm_json_bool(j, "stopped", unm_missing_is_stopped(m));
		unm_json_close(j, '}');
	}
	unm_json_close(j, ']');
}

static void
show_daemon(const struct unm_server *srv, struct unm_json *j, const char *name)
{
	const struct unm_mem_budget *b = &srv->dom.regions.budget;
	struct rlimit nofile = {0, 0};
	struct unm_netns_id netns;

	(void)name; /* there is one */
	getrlimit(RLIMIT_NOFILE, &nofile);
	unm_json_open(j, NULL, '{');
	unm_json_str(j, "version", UNM_VERSION);
	unm_json_u64(j, "protocol", UNM_PROTO_VERSION);
	unm_json_u64(j, "pid", (uint64_t)getpid());
	unm_json_u64(j, "uid", geteuid());
	unm_json_str(j, "socket", srv->socket_path);
	unm_json_bool(j, "system", srv->is_system);
	unm_json_bool(j, "autostarted", srv->is_autostarted);
	if (unm_netns_id("", &netns) == 0)
		unm_json_u64(j, "netns_inode", netns.ino);
	unm_json_bool(j, "restoring", srv->is_restoring);
	unm_json_bool(j, "state_file", !srv->is_state_lost);
	unm_json_u64(j, "uptime_s", (unm_now_ns() - srv->started_ns) / 1000000000u);
	unm_json_u64(j, "clients", srv->n_sessions);
	unm_json_u64(j, "max_clients", srv->cfg.clients);
	unm_json_u64(j, "descriptors", srv->n_descs);
	unm_json_u64(j, "ports", srv->dom.n_ports);
	unm_json_u64(j, "waiting_for_locks", srv->dom.n_reap);
	unm_json_u64(j, "memory", b->n_bytes);
	unm_json_u64(j, "max_memory", b->limit);
	unm_json_bool(j, "huge_pages", srv->cfg.use_huge_pages);
	unm_json_u64(j, "max_fds", nofile.rlim_cur);
	unm_json_bool(j, "syscall_filter", srv->is_confined);
	unm_json_bool(j, "syscall_filter_wanted", srv->cfg.use_seccomp);
	show_late(srv, j);
	unm_json_close(j, '}');
}

static const struct {
	const char *what;
	void (*show)(const struct unm_server *srv, struct unm_json *j, const char *name);
} tables[] = {
	{"daemon", show_daemon},
	{"switches", show_switches},
	{"ports", show_ports},
	{"rings", show_rings},
	{"mac", show_macs},
	{"memory", show_memory},
	{"clients", show_clients},
};

bool
unm_admin_show(const struct unm_server *srv, struct unm_json *j, const char *what, const char *name)
{
	const bool all = strcmp(what, "all") == 0;
	bool found = false;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (!all && strcmp(what, tables[i].what) != 0)
			continue;
		unm_json_open(j, tables[i].what, '[');
		tables[i].show(srv, j, name);
		unm_json_close(j, ']');
		found = true;
	}
	return found;
}
