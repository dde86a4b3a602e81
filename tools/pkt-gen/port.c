/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening the port: see port.h. */
#include "port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <libnetmap.h>

#include "frame.h"
#include "nmt_log.h"
#include "nmt_open.h"
#include "pcap_io.h"

#define ETH_OVERHEAD (NMT_ETH_HDR_LEN + 4) /* header and a VLAN tag, not counted in an MTU */

static bool
has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The part of a port name that may be a kernel interface: up to the first special character. */
static void
copy_ifname(struct pg_port_name *out, const char *text)
{
	size_t len = strcspn(text, "-*^/@{}");

	if (len < sizeof(out->ifname))
		memcpy(out->ifname, text, len); /* the rest is zero already */
}

int
pg_port_parse_name(const char *text, struct pg_port_name *out, struct nmt_err *err)
{
	struct pg_port_name parsed = {.kind = PG_PORT_NETMAP};
	const char *prefix = "";
	const char *base = text;
	int len;

	if (strcmp(text, "null") == 0) {
		parsed.kind = PG_PORT_NULL;
	} else if (has_prefix(text, "pcap:")) {
		parsed.kind = PG_PORT_PCAP;
		base = text + strlen("pcap:");
		copy_ifname(&parsed, base);
		parsed.has_link = true;
	} else if (has_prefix(text, "netmap:") || has_prefix(text, "tap:")) {
		copy_ifname(&parsed, strchr(text, ':') + 1);
		/* The ends of a pipe share its name's base with an interface, but not its link. */
		parsed.has_link = strpbrk(text, "{}") == NULL;
	} else if (!has_prefix(text, "vale")) {
		prefix = has_prefix(text, "tap") ? "tap:" : "netmap:";
		copy_ifname(&parsed, text);
		parsed.has_link = strpbrk(text, "{}") == NULL;
	}
	if (base[0] == '\0')
		return nmt_err_set(err, -EINVAL, "'%s' names no interface", text);
	len = snprintf(parsed.name, sizeof(parsed.name), "%s%s", prefix, text);
	if (len >= (int)sizeof(parsed.name))
		return nmt_err_set(err, -EINVAL, "the name of the port is longer than %zu bytes",
			sizeof(parsed.name) - 1);
	*out = parsed;
	return 0;
}

/* One SIOCGIF* request about the interface of the port. */
static int
query_interface(const struct pg_port_name *id, unsigned long request, struct ifreq *ifr)
{
	int error = 0;
	int fd;

	if (id->ifname[0] == '\0')
		return -ENODEV;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ifr = (struct ifreq){0};
	memcpy(ifr->ifr_name, id->ifname, sizeof(id->ifname));
	if (ioctl(fd, request, ifr) != 0)
		error = -errno;
	close(fd);
	return error;
}

void
pg_port_mac(const struct pg_port_name *id, uint8_t mac[NMT_MAC_LEN])
{
	struct ifreq ifr;

	if (query_interface(id, SIOCGIFHWADDR, &ifr) == 0)
		memcpy(mac, ifr.ifr_hwaddr.sa_data, NMT_MAC_LEN);
	else
		pg_derived_mac(id->name, mac);
}

/* -l beyond the MTU would be dropped on the way; ports without an interface have no MTU. */
static int
check_mtu(const struct pg_port *port, const struct pg_options *opt, struct nmt_err *err)
{
	struct ifreq ifr;

	if (pg_is_receiver(opt) || query_interface(&port->id, SIOCGIFMTU, &ifr) != 0)
		return 0;
	if (opt->frame_len_max > (uint32_t)ifr.ifr_mtu + ETH_OVERHEAD)
		return nmt_err_set(err, -EMSGSIZE,
			"-l: %u bytes do not fit the MTU of %s, which is %d (ip link set %s mtu "
			"...)",
			opt->frame_len_max, port->id.ifname, ifr.ifr_mtu, port->id.ifname);
	return 0;
}

/* Set or ask the length of the virtio-net header. */
static int
negotiate_vnet_hdr(struct pg_port *port, const struct pg_options *opt, struct nmt_err *err)
{
	struct nmport_d *d = port->nmd[0];
	struct nmreq_port_hdr body = {0};
	struct nmreq_header hdr;
	bool is_set = opt->vnet_hdr_len >= 0;

	nmreq_header_init(&hdr, is_set ? NETMAP_REQ_PORT_HDR_SET : NETMAP_REQ_PORT_HDR_GET, &body);
	memcpy(hdr.nr_name, d->hdr.nr_name, sizeof(hdr.nr_name));
	if (is_set)
		body.nr_hdr_len = (uint32_t)opt->vnet_hdr_len;
	if (ioctl(d->fd, NIOCCTRL, &hdr) != 0) {
		if (!is_set)
			return 0; /* a port without such headers */
		if (opt->vnet_hdr_len == 0)
			return 0; /* as it is */
		return nmt_err_set(err, -errno,
			"-H: %s does not take a virtio header of %d bytes: %s", port->id.name,
			opt->vnet_hdr_len, strerror(errno));
	}
	if (body.nr_hdr_len > PG_VNET_HDR_MAX)
		return nmt_err_set(err, -EPROTO,
			"%s has a virtio header of %u bytes, at most %d known", port->id.name,
			body.nr_hdr_len, PG_VNET_HDR_MAX);
	port->vnet_len = body.nr_hdr_len;
	return 0;
}

/* What all descriptors of the port ask for. */
static void
edit_request(struct nmport_d *d, const struct pg_options *opt)
{
	d->reg.nr_flags |= NR_ACCEPT_VNET_HDR;
	if (pg_is_receiver(opt))
		d->reg.nr_flags |= NR_NO_TX_POLL; /* nothing to flush when waiting for packets */
	if (opt->n_tx_slots != 0)
		d->reg.nr_tx_slots = opt->n_tx_slots;
	if (opt->n_rx_slots != 0)
		d->reg.nr_rx_slots = opt->n_rx_slots;
	if (opt->n_tx_rings != 0)
		d->reg.nr_tx_rings = opt->n_tx_rings;
	if (opt->n_rx_rings != 0)
		d->reg.nr_rx_rings = opt->n_rx_rings;
}

/* Several threads: each gets one ring of its own. */
static int
open_clones(struct pg_port *port, struct nmt_err *err)
{
	struct nmport_d *first = port->nmd[0];

	if (port->n_threads > port->n_queues)
		return nmt_err_set(err, -EINVAL,
			"-p: %u threads need as many rings, %s has %u (more with @conf:rings=%u)",
			port->n_threads, port->id.name, port->n_queues, port->n_threads);
	for (uint32_t i = 1; i < port->n_threads; i++) {
		struct nmport_d *d = nmport_clone(first);

		int error;

		if (d == NULL)
			return nmt_err_set(err, -errno, "cannot open %.80s: %s", port->id.name,
				strerror(errno));
		port->nmd[i] = d;
		d->reg.nr_ringid = (uint16_t)i;
		error = nmt_port_open_desc(d, port->id.name, err);
		if (error != 0)
			return error;
	}
	return 0;
}

static uint32_t
count_queues(const struct pg_port *port, const struct pg_options *opt)
{
	const struct nmreq_register *reg = &port->nmd[0]->reg;
	bool is_host = reg->nr_mode == NR_REG_SW || reg->nr_mode == NR_REG_ONE_SW;

	if (pg_is_receiver(opt))
		return is_host ? reg->nr_host_rx_rings : reg->nr_rx_rings;
	return is_host ? reg->nr_host_tx_rings : reg->nr_tx_rings;
}

static int
open_netmap(struct pg_port *port, const struct pg_options *opt, struct nmt_err *err)
{
	struct nmport_d *d;
	int error;

	d = nmt_port_prepare(port->id.name, err);
	if (d == NULL)
		return -errno;
	port->nmd[0] = d;
	edit_request(d, opt);
	if (port->n_threads > 1) {
		if (d->reg.nr_mode != NR_REG_ALL_NIC && d->reg.nr_mode != NR_REG_SW)
			return nmt_err_set(err, -EINVAL,
				"-p: threads share all rings of a port; %s names some of them",
				port->id.name);
		d->reg.nr_mode = d->reg.nr_mode == NR_REG_SW ? NR_REG_ONE_SW : NR_REG_ONE_NIC;
		d->reg.nr_ringid = 0;
	}
	error = nmt_port_open_desc(d, port->id.name, err);
	if (error != 0)
		return error;
	port->n_queues = count_queues(port, opt);
	nmt_debug(1, "%s: mode %u, rings tx %u rx %u, slots tx %u rx %u, region %u", port->id.name,
		d->reg.nr_mode, d->reg.nr_tx_rings, d->reg.nr_rx_rings, d->reg.nr_tx_slots,
		d->reg.nr_rx_slots, d->reg.nr_mem_id);
	if (port->n_threads > 1) {
		error = open_clones(port, err);
		if (error != 0)
			return error;
	}
	return negotiate_vnet_hdr(port, opt, err);
}

/* Options that have no meaning without slots and rings. */
static int
check_not_netmap(const struct pg_port *port, const struct pg_options *opt, struct nmt_err *err)
{
	const char *name = port->id.kind == PG_PORT_PCAP ? "pcap" : "null";

	if (opt->n_frags > 1 || (opt->data & (PG_DATA_INDIRECT | PG_DATA_RUBBISH)) != 0 ||
		opt->vnet_hdr_len > 0)
		return nmt_err_set(
			err, -ENOTSUP, "-F, -M, -I, -r and -H need a netmap port, not %s", name);
	if (port->n_threads > 1 && port->id.kind == PG_PORT_PCAP)
		return nmt_err_set(err, -ENOTSUP, "-p: a pcap port serves one thread");
	if (opt->function == PG_PING || opt->function == PG_PONG)
		return nmt_err_set(err, -ENOTSUP, "-f %s needs a netmap port, not %s",
			pg_function_name(opt->function), name);
	return 0;
}

int
pg_port_open(struct pg_port *port, const struct pg_options *opt, struct nmt_err *err)
{
	int error;

	*port = (struct pg_port){.n_threads = opt->n_threads, .n_queues = 1};
	error = pg_port_parse_name(opt->port_name, &port->id, err);
	if (error != 0)
		return error;
	if (port->id.kind == PG_PORT_NETMAP) {
		error = open_netmap(port, opt, err);
	} else {
		error = check_not_netmap(port, opt, err);
		if (error == 0 && port->id.kind == PG_PORT_PCAP)
			error = pg_pcap_open(port->id.name + strlen("pcap:"), &port->pcap, err);
	}
	if (error == 0)
		error = check_mtu(port, opt, err);
	return error;
}

void
pg_port_close(struct pg_port *port)
{
	for (uint32_t i = 0; i < port->n_threads; i++) {
		nmport_close(port->nmd[i]);
		port->nmd[i] = NULL;
	}
	pg_pcap_close(port->pcap);
	port->pcap = NULL;
}
