/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and ending monitors. See monitors.h; the lists are kept in monitor_lists.c. */
/* Syscalls: fcntl */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include "daemon/format.h"
#include "daemon/monitor_lists.h"
#include "daemon/monitors.h"
#include "daemon/nic_host.h"
#include "net/netmap.h"
#include "shm/atomic.h"

static bool
is_monitor_of(const struct unm_dport *p, const struct unm_dport *watched)
{
	return p->kind == UNM_PORT_MONITOR && p->watched == watched;
}

static uint32_t
count_monitors(const struct unm_domain *dom, const struct unm_dport *watched)
{
	const struct unm_dport *p;
	uint32_t n = 0;

	for (p = dom->ports; p != NULL; p = p->next)
		n += is_monitor_of(p, watched);
	return n;
}

/* The lowest number that no monitor of the port has. */
static uint32_t
new_number(const struct unm_domain *dom, const struct unm_dport *watched)
{
	const struct unm_dport *p = dom->ports;
	uint32_t n = 0;

	while (p != NULL) { /* ends: n grows at most once per monitor */
		const char *mark = strrchr(p->name, '#');
		unsigned int theirs;

		if (is_monitor_of(p, watched) && mark != NULL &&
			sscanf(mark, "#%u", &theirs) == 1 && theirs == n) {
			n++;
			p = dom->ports;
		} else {
			p = p->next;
		}
	}
	return n;
}

static uint32_t
mon_flags(uint64_t flags)
{
	if (flags & NR_ZCOPY_MON) /* always both directions: spec 15.1 */
		return UNM_MONF_ZCOPY | UNM_MONF_TX | UNM_MONF_RX;
	return (flags & NR_MONITOR_TX ? UNM_MONF_TX : 0) |
	       (flags & NR_MONITOR_RX ? UNM_MONF_RX : 0);
}

/* "vale0:a/rt#0" (spec 15.2); a long name loses its end, not its number. */
static void
make_name(const struct unm_domain *dom, const struct unm_dport *watched, uint32_t flags, char *out)
{
	char suffix[24];
	int len;

	len = snprintf(suffix, sizeof(suffix), "/%s%s%s#%u", flags & UNM_MONF_ZCOPY ? "z" : "",
		flags & UNM_MONF_RX ? "r" : "", flags & UNM_MONF_TX ? "t" : "",
		new_number(dom, watched));
	snprintf(out, UNM_NAME_SIZE, "%.*s%s", UNM_NAME_SIZE - 1 - len, watched->name, suffix);
}

/* A zero-copy monitor's buffers are the watched port's; a copy monitor's its own, or where it asks for. */
static int
take_region(struct unm_domain *dom, const struct unm_dport *watched, uint32_t flags,
	const struct unm_port_spec *spec, const struct unm_geometry *geo, struct unm_dregion **out,
	struct unm_reason *why)
{
	const struct unm_geometry own = {
		.n_tx = spec->n_tx,
		.n_rx = spec->n_rx,
		.tx_slots = spec->tx_slots,
		.rx_slots = spec->rx_slots,
		.n_extra = geo->n_extra < UNM_MAX_EXTRA_BUFS ? geo->n_extra : UNM_MAX_EXTRA_BUFS,
	};
	struct unm_region_shape shape;

	if (flags & UNM_MONF_ZCOPY) {
		*out = unm_dregion_get(watched->region);
		return 0;
	}
	if (geo->region != NULL) {
		*out = unm_dregion_get(geo->region);
		return 0;
	}
	unm_private_shape(&own, &shape);
	return unm_dregion_create(&dom->regions, &shape, out, why);
}

/* Who gets copies of what the kernel sends has to be able to fetch it (port/monitor_fp.c). */
static int
take_descriptors(struct unm_dport *mon, const struct unm_dport *watched, struct unm_reason *why)
{
	uint32_t i;

	if ((mon->mon_flags & (UNM_MONF_RX | UNM_MONF_ZCOPY)) != UNM_MONF_RX)
		return 0;
	for (i = 0; i < unm_nic_host_n_fds(watched); i++) {
		mon->port_fds[i] = fcntl(watched->port_fds[i], F_DUPFD_CLOEXEC, 0);
		if (mon->port_fds[i] < 0)
			return unm_fail(why, -errno,
				"netmapd is out of descriptors (%s): nmctl doctor tells how to "
				"raise them",
				strerror(errno));
		mon->n_port_fds = i + 1;
	}
	mon->host_fd = watched->host_fd;
	mon->n_host_fds = watched->n_host_fds;
	return 0;
}

static uint32_t
more(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

int
unm_monitor_open(struct unm_domain *dom, const struct unm_name *name, uint64_t flags,
	const struct unm_geometry *geo, struct unm_dport **out, struct unm_reason *why)
{
	struct unm_dport *watched = unm_port_find(dom, name);
	char full[UNM_NAME_SIZE];
	struct unm_port_spec spec = {
		.kind = UNM_PORT_MONITOR, .ops = &unm_kind_monitor, .name = full};
	struct unm_dport *mon;
	uint32_t slots;
	int ret;

	if (watched == NULL || watched->n_bindings == 0)
		return unm_fail(
			why, -EINVAL, "'%s' can't be monitored: nobody has it open", name->full);
	if (count_monitors(dom, watched) >= UNM_RING_MAX_MONITORS)
		return unm_fail(why, -ENOMEM, "'%s' has %u monitors, which is the limit",
			watched->name, UNM_RING_MAX_MONITORS);
	make_name(dom, watched, mon_flags(flags), full);
	slots = more(watched->tx_slots, watched->rx_slots);
	spec.seg = watched->seg;
	spec.n_tx = 1; /* a dummy: clients expect one */
	spec.n_host_rx = more(watched->n_host_tx, watched->n_host_rx);
	spec.n_rx = more(unm_dport_nic_tx(watched), unm_dport_nic_rx(watched)) + spec.n_host_rx;
	spec.tx_slots = UNM_MIN_SLOTS;
	spec.rx_slots = unm_hint(geo->rx_slots, slots, UNM_MIN_SLOTS,
		flags & NR_ZCOPY_MON ? UNM_PORT_MAX_SLOTS : unm_max_rx_slots(spec.n_rx));
	ret = take_region(dom, watched, mon_flags(flags), &spec, geo, &spec.region, why);
	if (ret < 0)
		return ret;
	ret = unm_port_check_size(geo, &spec, why);
	if (ret == 0)
		ret = unm_dport_new(dom, &spec, &mon, why);
	unm_dregion_put(&dom->regions, spec.region);
	if (ret < 0)
		return ret;
	mon->watched = watched;
	mon->mon_flags = mon_flags(flags);
	mon->vnet_hdr_len = watched->vnet_hdr_len;
	mon->vnet_lacks = watched->vnet_lacks;
	mon->max_frame = watched->max_frame;
	unm_dport_activate(mon); /* not linked: nobody opens it by name */
	ret = take_descriptors(mon, watched, why);
	if (ret < 0)
		unm_dport_remove(dom, mon);
	else
		*out = mon;
	return ret;
}

/* Buffers that come as they are bring their offsets along. */
static void
show_offsets(const struct unm_dport *mon, uint32_t i)
{
	const uint32_t rx = unm_monitor_watched(mon, UNM_MON_OF_RX, i);
	const uint32_t of = rx != UNM_NONE ? rx : unm_monitor_watched(mon, UNM_MON_OF_TX, i);
	const uint64_t mask = __atomic_load_n(&mon->seg->krings[of].offset_mask, __ATOMIC_RELAXED);
	const uint32_t ring = mon->n_tx + i;

	if (mask != 0 && unm_format_offsets(mon->region, unm_dport_ring_ofs(mon, ring),
				 unm_dport_ring_slots(mon, ring), mask, 0, false) < 0)
		unm_log(LOG_WARNING, "%s: can't write a ring", mon->name);
}

/* @mon has its binding: its rings that are bound go on the lists. */
static void
monitor_bound(struct unm_domain *dom, struct unm_dport *mon, const struct unm_dbinding *b)
{
	uint32_t i;

	mon->mon_lo = b->rx_lo;
	mon->mon_hi = b->rx_hi;
	for (i = b->rx_lo; i < b->rx_hi && (mon->mon_flags & UNM_MONF_ZCOPY); i++)
		show_offsets(mon, i);
	unm_monitor_link(dom, mon);
}

void
unm_monitors_orphan(struct unm_domain *dom, struct unm_dport *port)
{
	struct unm_dport *p;
	bool any = false;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (!is_monitor_of(p, port))
			continue;
		unm_monitor_unlink(dom, p);
		p->watched = NULL;
		p->flags |= UNM_PORTF_ORPHAN;
		unm_dport_update(p);
		any = true;
	}
	if (any)
		unm_dseg_wake(port->seg);
}

void
unm_monitors_set_header(struct unm_domain *dom, const struct unm_dport *port)
{
	struct unm_dport *p;

	for (p = dom->ports; p != NULL; p = p->next) {
		if (is_monitor_of(p, port))
			unm_dport_set_vnet_hdr(p, port->vnet_hdr_len, port->vnet_lacks);
	}
}

static void
monitor_idle(struct unm_domain *dom, struct unm_dport *mon)
{
	if (mon->watched != NULL)
		unm_monitor_unlink(dom, mon);
	mon->watched = NULL;
	unm_dport_remove(dom, mon);
}

const struct unm_port_kind_ops unm_kind_monitor = {
	.label = "monitor",
	.shares_rx_lock = true,
	.idle = monitor_idle,
	.bound = monitor_bound,
};
