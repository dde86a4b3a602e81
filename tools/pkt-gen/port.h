/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port that pkt-gen works on, opened once for each thread.
 *
 * Kinds: a netmap port of any sort (NIC, VALE, pipe, monitor, TAP), an interface through libpcap,
 * or the dummy "null", which takes everything and gives nothing.
 */
#ifndef PG_PORT_H_
#define PG_PORT_H_

#include <stdbool.h>
#include <stdint.h>
#include <net/if.h>

#include "nmt_err.h"
#include "nmt_pkt.h"
#include "options.h"

struct nmport_d;
struct pg_pcap;

enum pg_port_kind {
	PG_PORT_NETMAP,
	PG_PORT_PCAP,
	PG_PORT_NULL,
};

#define PG_PORT_NAME_SIZE 256

/* What can be told from the name alone. */
struct pg_port_name {
	enum pg_port_kind kind;
	char name[PG_PORT_NAME_SIZE]; /* with prefix, as given to nmport_open() */
	char ifname[IFNAMSIZ]; /* kernel interface of that name, if there is one; may be "" */
	bool has_link;	       /* something whose link may need time to come up */
};

struct pg_port {
	struct pg_port_name id;
	uint32_t n_threads;
	struct nmport_d *nmd[PG_THREADS_MAX]; /* netmap: one per thread, owned */
	struct pg_pcap *pcap;		      /* pcap: owned */
	uint32_t n_queues;		      /* rings in the direction of the function */
	uint32_t vnet_len;		      /* virtio-net header before each frame */
};

/**
 * pg_port_parse_name() - tell the kind of port from what was given with -i
 *
 * Return: 0 or -EINVAL. Thread: any. Source: spec section 24.1.
 */
int pg_port_parse_name(const char *text, struct pg_port_name *out, struct nmt_err *err);

/**
 * pg_port_open() - open it for all threads
 * @port: written; ended with pg_port_close(), on errors too
 *
 * Checks what depends on the port: rings for the threads, the MTU, the virtio header, options that
 * only netmap ports understand. Thread: main.
 * Return: 0 or negative errno with a message in @err.
 */
int pg_port_open(struct pg_port *port, const struct pg_options *opt, struct nmt_err *err);

void pg_port_close(struct pg_port *port);

/**
 * pg_port_mac() - address of the interface behind the port, or one derived from the port's name
 */
void pg_port_mac(const struct pg_port_name *id, uint8_t mac[NMT_MAC_LEN]);

#endif /* PG_PORT_H_ */
