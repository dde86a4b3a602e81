/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network interfaces as ports: how one is opened, found again after a restart, and ends. Ring i sends to
 * and receives from queue i (nic_rings.c).
 *
 * The sockets are opened in the interface's namespace, over the low part of the region's buffers,
 * whose pages the kernel pins.
 */
/* Syscalls: memfd_create ftruncate mmap munmap fcntl socket */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/host_port.h"
#include "daemon/join.h"
#include "daemon/kinds.h"
#include "daemon/netns.h"
#include "daemon/nic.h"
#include "daemon/nic_host.h"
#include "daemon/nic_names.h"
#include "daemon/nic_rings.h"
#include "daemon/offload.h"
#include "daemon/packet.h"
#include "daemon/veth.h"
#include "shm/xsk_ring.h"

#define PAGE	  UINT64_C(4096)
#define HUGE_PAGE UINT64_C(2097152)
#define SEALS	  (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static uint32_t
power_of_two(uint32_t n)
{
	uint32_t p = 2;

	while (p < n)
		p *= 2;
	return p;
}

/* --- memory --- */

/* The part of a region that is the sockets' UMEM, mapped here while they are made. */
struct window {
	uint32_t n_bufs;
	uint64_t lead;
	void *map;
	uint64_t len;
};

static int
map_window(struct unm_dregion *r, uint32_t n_bufs, struct window *w, struct unm_reason *why)
{
	const struct unm_region_info *i = &r->info;
	const uint64_t page = i->flags & UNM_REGIONF_HUGE ? HUGE_PAGE : PAGE;
	const uint64_t start = (i->file_ofs + i->buf_ofs) / page * page;
	int ret;

	w->n_bufs = n_bufs < i->buf_num ? n_bufs : i->buf_num;
	w->lead = i->file_ofs + i->buf_ofs - start;
	w->len = (w->lead + (uint64_t)w->n_bufs * i->buf_size + page - 1) / page * page;
	if (start + w->len > i->file_ofs + i->size) { /* the end of a region is no full page */
		w->len -= page;
		w->n_bufs = (uint32_t)((w->len - w->lead) / i->buf_size);
	}
	ret = unm_commit_range(&r->commit, i->buf_ofs, (uint64_t)w->n_bufs * i->buf_size, why);
	if (ret < 0)
		return ret;
	w->map = mmap(NULL, w->len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)start);
	if (w->map == MAP_FAILED)
		return unm_fail(
			why, -ENOMEM, "can't map the region's buffers: %s", strerror(errno));
	return 0;
}

static int
map_state(struct unm_nic *nic, int fd, uint64_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	nic->st = map;
	return 0;
}

/*
 * The state that the clients share, still empty, and our copy of its setup. Return: its descriptor,
 * or negative errno with the reason.
 */
static int
make_state(struct unm_nic *nic, const struct unm_nic_wish *wish, const struct unm_nic_sockets *s,
	const struct window *w, struct unm_reason *why)
{
	const uint64_t size = (sizeof(struct unm_nic_state) + w->n_bufs + PAGE - 1) / PAGE * PAGE;
	const int fd = memfd_create("unetmap-nic", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int ret;

	if (fd < 0)
		return unm_fail(why, -errno, "netmapd is out of descriptors");
	if (ftruncate(fd, (off_t)size) < 0 || fallocate(fd, 0, 0, (off_t)size) < 0 ||
		fcntl(fd, F_ADD_SEALS, SEALS) < 0 || map_state(nic, fd, size) < 0) {
		ret = unm_fail(
			why, -ENOMEM, "can't make a port's shared state: %s", strerror(errno));
		close(fd);
		return ret;
	}
	nic->st_size = size;
	nic->setup = (struct unm_nic_setup){
		.magic = UNM_NIC_MAGIC,
		.version = UNM_NIC_VERSION,
		.size = size,
		.mode = s->mode,
		.n_queues = s->n,
		.ifindex = nic->ifindex,
		.is_multi_buffer = s->is_multi_buffer,
		.lead = w->lead,
		.stride = wish->stride,
		.n_window = w->n_bufs,
		.frame_room = s->frame_room,
		.n_bounce = UNM_NIC_MAX_BOUNCE,
		.tx_size = wish->sizes.tx,
		.comp_size = wish->sizes.comp,
		.rx_size = wish->sizes.rx,
		.fill_size = wish->sizes.fill,
		.is_unaligned = s->is_unaligned,
		.is_busy_polled = wish->sizes.busy_poll_us > 0,
	};
	memcpy(nic->setup.refused, s->refused, sizeof(nic->setup.refused));
	ret = s->mode == UNM_NIC_PACKET ? 0 : unm_xsk_offsets(s->fds[0], &nic->setup);
	if (ret == 0)
		return fd;
	close(fd);
	return unm_fail(why, ret, "the kernel's AF_XDP is too old");
}

/* --- the port --- */

/* Rings as the driver has them, unless the request says otherwise; a socket serves both ways. */
static void
choose_geometry(
	const struct unm_netdev *dev, const struct unm_geometry *geo, struct unm_port_spec *spec)
{
	const uint32_t n = dev->n_tx > dev->n_rx ? dev->n_tx : dev->n_rx;

	spec->n_tx = unm_hint(n, 1, 1, UNM_NIC_MAX_QUEUES);
	spec->n_rx = spec->n_tx;
	spec->tx_slots = unm_hint(geo->tx_slots,
		unm_hint(dev->tx_slots, UNM_DEFAULT_SLOTS, UNM_MIN_SLOTS, UNM_PORT_MAX_SLOTS),
		UNM_MIN_SLOTS, UNM_PORT_MAX_SLOTS);
	spec->rx_slots = unm_hint(geo->rx_slots,
		unm_hint(dev->rx_slots, UNM_DEFAULT_SLOTS, UNM_MIN_SLOTS, UNM_PORT_MAX_SLOTS),
		UNM_MIN_SLOTS, UNM_PORT_MAX_SLOTS);
}

static struct unm_nic *
new_nic(void)
{
	struct unm_nic *nic = calloc(1, sizeof(*nic));

	if (nic != NULL)
		nic->veth_fd = -1;
	return nic;
}

static void
free_nic(struct unm_nic *nic)
{
	if (nic == NULL)
		return;
	if (nic->st != NULL)
		munmap(nic->st, nic->st_size);
	if (nic->veth_fd >= 0)
		close(nic->veth_fd);
	unm_nic_unwatch(nic);
	free(nic);
}

/*
 * Is the port one end of a veth pair whose other end is open too? Without an
 * answer frames go through the kernel.
 */
static void
meet_other_end(struct unm_dport *port)
{
	struct unm_nic *nic = port->nic;
	struct unm_dport *p;

	if (nic->veth_fd < 0 || nic->setup.mode == UNM_NIC_PACKET)
		return;
	for (p = port->dom->ports; p != NULL; p = p->next) {
		if (p == port || p->is_dying || p->nic == NULL || p->nic->veth_fd < 0 ||
			p->nic->setup.mode == UNM_NIC_PACKET ||
			!unm_veth_is_pair(
				nic->veth_fd, nic->ifindex, p->nic->veth_fd, p->nic->ifindex))
			continue;
		unm_join_pair(port, p);
		return;
	}
}

static int
dup_of(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void
take_sockets(struct unm_dport *port, const struct unm_nic_sockets *s, int state_fd)
{
	memcpy(port->port_fds, s->fds, s->n * sizeof(s->fds[0]));
	port->port_fds[UNM_NIC_FD_STATE(s->n)] = state_fd;
	/* Every place has a descriptor: see nic_rings.c. */
	port->port_fds[UNM_NIC_FD_LINK(s->n)] = s->link_fd >= 0 ? s->link_fd : dup_of(state_fd);
	port->port_fds[UNM_NIC_FD_MAP(s->n)] = s->link_fd >= 0 ? s->map_fd : dup_of(state_fd);
	port->n_port_fds = unm_nic_n_fds(s->n, false);
}

static void
put_right(struct unm_domain *dom, const struct unm_netdev *dev, const struct unm_nic *nic,
	unsigned int which)
{
	const int ret = unm_offload_put_right(dom, dev->ifindex, nic->netns, which);

	if (ret < 0 && ret != -EOPNOTSUPP)
		unm_log(LOG_WARNING, "'%s': offloads can't be switched off: %s (ethtool -K)",
			dev->name, strerror(-ret));
}

/* Is a VLAN tag that is not in a received frame put into it? Or are all in their frames? */
static bool
keeps_tags(const struct unm_netdev *dev, const struct unm_nic_sockets *s)
{
	if (s->mode == UNM_NIC_PACKET || s->puts_tags_back)
		return true;
	return !dev->is_virtual && unm_offload_tags_stay(dev->ifindex);
}

/* Hand all that has been opened and made for @port over to it. */
static void
take_over(struct unm_domain *dom, const struct unm_netdev *dev, struct unm_nic *nic,
	const struct unm_nic_sockets *sockets, struct unm_nic_host *host, int state_fd,
	struct unm_dport *port)
{
	take_sockets(port, sockets, state_fd);
	unm_nic_host_join(port, host);
	nic->no_host = host->why;
	nic->st->setup = nic->setup;
	port->nic = nic;
	port->max_frame = dev->mtu + UNM_ETH_OVERHEAD;
	memcpy(port->mac, dev->mac, sizeof(port->mac));
	if (!dev->has_carrier)
		port->flags |= UNM_PORTF_LINK_DOWN;
	unm_dport_activate(port);
	unm_dport_link(dom, port);
	nic->veth_fd = unm_veth_socket(port->port_fds[0]);
	meet_other_end(port);
	unm_nic_watch(dom, port); /* without it changes go unnoticed, nothing worse */
}

static int
make_port(struct unm_domain *dom, const struct unm_netdev *dev, const struct unm_geometry *geo,
	struct unm_port_spec *spec, struct unm_nic *nic, struct unm_dport **out,
	struct unm_reason *why)
{
	struct unm_nic_wish wish = {
		.name = spec->name,
		.mode = (enum unm_nic_mode)unm_nic_mode_for(dom, spec->name),
		.n_queues = spec->n_tx,
		.sizes = {.tx = power_of_two(spec->tx_slots),
			.comp = power_of_two(spec->tx_slots),
			.rx = power_of_two(spec->rx_slots),
			.fill = power_of_two(spec->rx_slots),
			.busy_poll_us = dom->defaults.nic_busy_poll_us},
		.stride = spec->region->info.buf_size,
		.is_contiguous = spec->region->info.flags & UNM_REGIONF_HUGE,
	};
	/* Slots, the kernel's pool and bounce buffers of each queue, and as much again for others */
	const uint32_t per_queue =
		spec->tx_slots + spec->rx_slots + wish.sizes.fill + UNM_NIC_MAX_BOUNCE;
	struct unm_nic_sockets sockets;
	struct unm_nic_host host = {0};
	struct unm_dport *port;
	struct window w;
	int ret, state_fd = -1;

	ret = map_window(spec->region,
		unm_hint(2 * per_queue * wish.n_queues, 0, dom->defaults.nic_buffers, UINT32_MAX),
		&w, why);
	if (ret < 0)
		return ret;
	wish.umem = w.map;
	wish.umem_len = w.len;
	wish.lead = w.lead;
	/* Before, as with some of them drivers don't take a program. */
	put_right(dom, dev, nic, UNM_OFFLOAD_ALWAYS);
	ret = unm_nic_probe(dev, &wish, &sockets, why);
	munmap(w.map, w.len); /* the kernel keeps the pages */
	if (ret < 0) {
		unm_offload_give_back(dom, dev->ifindex, nic->netns, nic->ns.ino, -1);
		return ret;
	}
	if (sockets.mode >= UNM_NIC_XDP_SKB)
		put_right(dom, dev, nic, UNM_OFFLOAD_GRO);
	spec->n_tx = spec->n_rx = sockets.n; /* a packet socket takes all queues */
	if (!sockets.is_multi_buffer && dev->mtu + UNM_ETH_OVERHEAD > sockets.frame_room) {
		unm_nic_sockets_close(&sockets);
		unm_offload_give_back(dom, dev->ifindex, nic->netns, nic->ns.ino, -1);
		return unm_fail(why, -EINVAL,
			"'%s' has frames of up to %u bytes, a buffer here takes %u: lower its MTU",
			dev->name, dev->mtu + UNM_ETH_OVERHEAD, sockets.frame_room);
	}
	state_fd = ret = make_state(nic, &wish, &sockets, &w, why);
	if (ret >= 0) {
		nic->setup.keeps_tags = keeps_tags(dev, &sockets);
		/* A driver's own rings are filled from a wire, the stack's hook also from here. */
		nic->setup.has_open_sums = dev->is_virtual || sockets.mode >= UNM_NIC_XDP_SKB;
		unm_nic_host_open(dev, sockets.mode, geo, &host);
		spec->n_tx += host.n_tx;
		spec->n_rx += host.n_rx;
		spec->n_host_tx = host.n_tx;
		spec->n_host_rx = host.n_rx;
		nic->setup.joins_segments = host.n_fds > 0 && host.segment_fd >= 0;
		ret = unm_dport_new(dom, spec, &port, why);
	}
	if (ret < 0) {
		unm_nic_sockets_close(&sockets);
		unm_nic_host_close(&host);
		unm_offload_give_back(dom, dev->ifindex, nic->netns, nic->ns.ino, -1);
		if (state_fd >= 0)
			close(state_fd);
		return ret;
	}
	take_over(dom, dev, nic, &sockets, &host, state_fd, port);
	*out = port;
	return 0;
}

/* Take what netmapd needs of a state that a client has handed back, if that fits its port. */
static int
read_state(struct unm_nic *nic, const struct unm_dport *port, uint32_t n)
{
	struct unm_nic_setup *s = &nic->setup;
	uint32_t i;

	if (unm_dport_nic_tx(port) != n || unm_dport_nic_rx(port) != n ||
		unm_nic_setup_read(nic->st, nic->st_size, n, &port->region->info, s) < 0)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		nic->n_pool[i] = UNM_READ_ONCE(nic->st->rxq[i].n_pool);
		if ((nic->n_pool[i] != 0 && nic->n_pool[i] != s->fill_size) ||
			unm_nic_bounce_read(nic->st, s, i, nic->bounce[i]) < 0)
			return -EINVAL;
	}
	return 0;
}

static int
adopt_state(struct unm_nic *nic, const struct unm_dport *port, int fd, uint32_t n)
{
	struct stat file;

	if (fstat(fd, &file) < 0 || file.st_size < (off_t)sizeof(*nic->st) ||
		(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) == 0)
		return -EINVAL;
	if (map_state(nic, fd, (uint64_t)file.st_size) < 0)
		return -ENOMEM;
	nic->st_size = (uint64_t)file.st_size;
	return read_state(nic, port, n);
}

/* Where the port's name says that the interface is. */
static int
watch_in_netns(struct unm_domain *dom, struct unm_dport *port)
{
	int ns, home, ret;

	if (port->nic->netns[0] == '\0')
		return unm_nic_watch(dom, port);
	ns = unm_netns_open(port->nic->netns);
	if (ns < 0)
		return ns; /* without a name by now: its sockets go on all the same */
	home = unm_netns_enter(ns);
	close(ns);
	if (home < 0)
		return home;
	ret = unm_nic_watch(dom, port);
	unm_netns_leave(home);
	return ret;
}

int
unm_nic_adopt(struct unm_domain *dom, struct unm_dport *port, const int *fds, uint32_t n_fds,
	bool has_host_rings, struct unm_reason *why)
{
	const uint32_t n = n_fds - unm_nic_n_fds(0, has_host_rings); /* queues */
	struct unm_name name;
	struct unm_nic *nic;

	if (n_fds < unm_nic_n_fds(1, has_host_rings) || n > UNM_NIC_MAX_QUEUES ||
		unm_name_parse(port->name, &name, why) < 0)
		return unm_fail(
			why, -EINVAL, "'%s': wrong descriptors of an interface", port->name);
	nic = new_nic();
	if (nic == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	if (adopt_state(nic, port, fds[UNM_NIC_FD_STATE(n)], n) < 0) {
		free_nic(nic);
		return unm_fail(why, -EINVAL, "'%s': its shared state does not fit", port->name);
	}
	memcpy(nic->ifname, name.ifname, sizeof(nic->ifname));
	memcpy(nic->netns, name.netns, sizeof(nic->netns));
	nic->ifindex = nic->setup.ifindex;
	nic->veth_fd = unm_veth_socket(fds[0]);
	unm_netns_of_socket(fds[0], &nic->ns);
	port->nic = nic;
	if (watch_in_netns(dom, port) == -ENODEV) {
		unm_xdp_detach(fds[UNM_NIC_FD_LINK(n)]); /* it may have moved away */
		free_nic(nic);
		port->nic = NULL;
		return unm_fail(why, -ENXIO, "'%s': the interface is gone", port->name);
	}
	meet_other_end(port);
	return 0;
}

void
unm_nic_put_right_again(struct unm_domain *dom, const struct unm_dport *port)
{
	const struct unm_nic *nic = port->nic;
	const unsigned int gro = nic->setup.mode >= UNM_NIC_XDP_SKB ? UNM_OFFLOAD_GRO : 0;
	struct unm_netdev dev = {.ifindex = nic->ifindex};
	const int home = unm_netns_enter_of_socket(port->port_fds[0]);

	if (home < 0)
		return;
	memcpy(dev.name, nic->ifname, sizeof(dev.name));
	put_right(dom, &dev, nic, UNM_OFFLOAD_ALWAYS | gro);
	unm_netns_leave(home);
}

/* In the interface's namespace. */
static int
open_here(struct unm_domain *dom, const struct unm_name *name, const struct unm_geometry *geo,
	struct unm_dregion *region, struct unm_dport **out, struct unm_reason *why)
{
	struct unm_port_spec spec = {
		.kind = UNM_PORT_NIC,
		.ops = &unm_kind_nic,
		.name = name->full,
		.region = region,
		.seg = unm_domain_segment(dom, why),
	};
	const struct unm_dport *other;
	struct unm_netns_id ns;
	struct unm_netdev dev;
	struct unm_nic *nic;
	int ret;

	if (spec.seg == NULL)
		return -ENOMEM;
	ret = unm_netdev_get(name->ifname, &dev);
	if (ret < 0)
		return unm_fail(why, -ENXIO, "there is no network interface '%s'", name->full);
	unm_netns_here(&ns);
	/* A switch waits for it, and meanwhile somebody has opened it by the name it had then. */
	other = unm_nic_find(dom, &ns, dev.ifindex);
	if (other != NULL)
		return unm_fail(why, -EBUSY, "'%s' is open as '%s': close that first", name->full,
			other->name);
	if (!dev.is_ethernet)
		return unm_fail(why, -EINVAL, "'%s' does not carry Ethernet frames", name->full);
	ret = unm_nic_check_uplink(dom, name->full, dev.name, why);
	if (ret < 0)
		return ret;
	choose_geometry(&dev, geo, &spec);
	if (unm_nic_mode_for(dom, name->full) == UNM_NIC_PACKET)
		spec.n_tx = spec.n_rx = 1;
	ret = unm_port_check_size(geo, &spec, why);
	if (ret < 0)
		return ret;
	nic = new_nic();
	if (nic == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	unm_host_port_end(dom, name->full); /* of one whose sockets were lost */
	nic->ifindex = dev.ifindex;
	nic->mtu = dev.mtu;
	nic->is_up = dev.is_up;
	memcpy(nic->ifname, name->ifname, sizeof(nic->ifname));
	memcpy(nic->netns, name->netns, sizeof(nic->netns));
	nic->ns = ns;
	ret = make_port(dom, &dev, geo, &spec, nic, out, why);
	if (ret < 0)
		free_nic(nic);
	else
		unm_host_port_settle(dom, *out);
	return ret;
}

static int
open_in_netns(struct unm_domain *dom, const struct unm_name *name, const struct unm_geometry *geo,
	struct unm_dregion *region, struct unm_dport **out, struct unm_reason *why)
{
	const int ns = unm_netns_open(name->netns);
	int home, ret;

	if (ns < 0)
		return unm_netns_fail(why, name->full, name->netns, ns);
	home = unm_netns_enter(ns);
	close(ns);
	if (home < 0)
		return unm_fail(why, -EPERM,
			"'%s': entering a network namespace needs a netmapd that root runs",
			name->full);
	ret = open_here(dom, name, geo, region, out, why);
	unm_netns_leave(home);
	return ret;
}

int
unm_nic_open(struct unm_domain *dom, const struct unm_name *name, const struct unm_geometry *geo,
	struct unm_dport **out, struct unm_reason *why)
{
	struct unm_dregion *global = NULL, *region = geo->region;
	struct unm_dport *base;
	int ret;

	*out = unm_dport_find(dom, name->full);
	ret = unm_base_in_the_way(name->full, out, &base, why);
	if (ret < 0 || *out != NULL)
		return ret;
	if (region == NULL) {
		ret = unm_dregion_global(&dom->regions, &global, why);
		region = global;
	}
	if (ret == 0 && name->netns[0] != '\0')
		ret = open_in_netns(dom, name, geo, region, out, why);
	else if (ret == 0)
		ret = open_here(dom, name, geo, region, out, why);
	if (ret == 0 && base != NULL)
		unm_dport_remove(dom, base);
	unm_dregion_put(&dom->regions, global);
	if (ret == 0 && dom->save != NULL && unm_nic_is_attached(dom, *out))
		dom->save(dom); /* it was away, and has come back */
	if (ret == 0 && dom->nic_changed != NULL)
		dom->nic_changed(dom, *out, true);
	return ret;
}

void
unm_nic_let_go(struct unm_dport *port)
{
	const uint32_t n = port->nic->setup.n_queues;
	const int held = port->port_fds[UNM_NIC_FD_LINK(n)];

	unm_nic_host_stop(port);
	if (port->nic->setup.mode ==
		UNM_NIC_PACKET) /* of what keeps frames from the stack, if it is there */
		unm_packet_guard_set(held, port->port_fds[UNM_NIC_FD_MAP(n)], false);
	unm_xdp_detach(held);
}

bool
unm_nic_is_attached(const struct unm_domain *dom, const struct unm_dport *nic)
{
	return unm_port_attached_as(dom, nic->name) != NULL;
}

static void
nic_idle(struct unm_domain *dom, struct unm_dport *port)
{
	/*
	 * One that is on a switch waits for its next worker. Without sockets, as nobody has handed
	 * them back, it is of no use to anybody.
	 */
	if (port->nic != NULL && (port->n_pipes > 0 || unm_nic_is_attached(dom, port)))
		return;
	unm_host_port_end(dom, port->name);
	unm_dport_remove(dom, port);
}

/* The kernel's buffers, once nothing of it is left that could write to them. */
static void
nic_release_memory(struct unm_dport *port)
{
	struct unm_pool *pool = &port->region->bufs;
	const struct unm_nic *nic = port->nic;
	const struct unm_nic_setup *s;
	uint32_t i;

	if (nic == NULL)
		return;
	s = &nic->setup;
	unm_offload_give_back(port->dom, nic->ifindex, nic->netns, nic->ns.ino, nic->veth_fd);
	/*
	 * A client that has just been killed may be about to close its copies of the descriptors:
	 * nothing must be received into the buffers by then.
	 */
	if (s->mode != UNM_NIC_PACKET)
		unm_xdp_detach(port->port_fds[UNM_NIC_FD_LINK(s->n_queues)]);
	else
		unm_packet_guard_end(port->port_fds[0], nic->ifindex,
			port->port_fds[UNM_NIC_FD_LINK(s->n_queues)]);
	for (i = 0; i < port->n_port_fds; i++)
		close(port->port_fds[i]);
	port->n_port_fds = 0;
	for (i = 0; i < s->n_window; i++) {
		if (UNM_READ_ONCE(nic->st->owner[i]) != 0)
			unm_pool_free_run(pool, i, 1);
	}
	for (i = 0; i < s->n_queues; i++) {
		if (nic->bounce[i][0] != 0)
			unm_pool_free_many(pool, nic->bounce[i], s->n_bounce);
	}
}

static void
nic_free(struct unm_dport *port)
{
	free_nic(port->nic);
	port->nic = NULL;
}

const struct unm_port_kind_ops unm_kind_nic = {
	.label = "nic",
	.idle = nic_idle,
	.ring_moved = unm_nic_ring_moved,
	.ring_opened = unm_nic_ring_opened,
	.ring_closing = unm_nic_ring_closing,
	.release_memory = nic_release_memory,
	.free = nic_free,
};
