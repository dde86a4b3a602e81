/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The netmap port of a virtio-net device: one descriptor for each ring pair, so that a sleeper can
 * wait for rings apart, and the length of its virtio-net header.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vale/vnet.h"
#include "vm/guest_guard.h"
#include "vm/net_priv.h"

/* What the library had to say about the latest failure. */
static char library_message[UNM_NET_WHY_SIZE];

static void
keep_message(struct nmctx *ctx, const char *text)
{
	(void)ctx; /* the default one */
	snprintf(library_message, sizeof(library_message), "%s", text);
}

static int
open_failed(const char *name, char *why)
{
	const int err = errno != 0 ? errno : EINVAL;

	snprintf(why, UNM_NET_WHY_SIZE, "cannot open %.80s: %.400s", name,
		library_message[0] != '\0' ? library_message : strerror(err));
	return -err;
}

static uint32_t
count_bufs(const struct nmport_d *d, const struct netmap_ring *ring)
{
	const char *end = (const char *)d->mem->mem + d->mem->size;
	const uint64_t n = (uint64_t)(end - NETMAP_BUF(ring, 0)) / ring->nr_buf_size;

	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* Take over an open descriptor as the next ring pair. */
static int
add_ring(struct net_port *p, struct nmport_d *d)
{
	struct net_ring *r = &p->ring[p->n_rings];

	*r = (struct net_ring){.port = d};
	if (d->first_tx_ring > d->last_tx_ring || d->first_rx_ring > d->last_rx_ring)
		return -EINVAL;
	r->tx = NETMAP_TXRING(d->nifp, d->first_tx_ring);
	r->rx = NETMAP_RXRING(d->nifp, d->first_rx_ring);
	if (r->tx->num_slots == 0 || r->rx->num_slots == 0)
		return -EINVAL;
	r->n_bufs = count_bufs(d, r->rx);
	r->sent = calloc(r->tx->num_slots, sizeof(*r->sent));
	r->slots = calloc(r->tx->num_slots, sizeof(*r->slots));
	if (r->sent == NULL || r->slots == NULL) {
		free(r->sent);
		free(r->slots);
		return -ENOMEM;
	}
	p->n_rings++;
	return 0;
}

/* Ask for the header's length, or set it. Return: the length now, or 0 for a port that has none. */
static uint32_t
port_hdr(const struct net_port *p, uint16_t request, uint32_t len, uint32_t lacks)
{
	const struct nmport_d *d = p->ring[0].port;
	struct nmreq_port_hdr body = {.nr_hdr_len = len, .pad1 = lacks};
	struct nmreq_header hdr;

	nmreq_header_init(&hdr, request, &body);
	memcpy(hdr.nr_name, d->hdr.nr_name, sizeof(hdr.nr_name));
	if (ioctl(d->fd, NIOCCTRL, &hdr) != 0 || !unm_vnet_len_ok(body.nr_hdr_len))
		return 0;
	return body.nr_hdr_len;
}

/* The asker's job. By a descriptor of its own: the loop may close a port's meanwhile. */
static bool
tell(struct unm_ask *a)
{
	static int fd = -1;				   /* opened once for the process */
	struct net_tell *t = (struct net_tell *)(void *)a; /* its first member */
	struct nmreq_port_hdr body = {0};
	struct nmreq_header hdr;

	nmreq_header_init(&hdr, NETMAP_REQ_PORT_HDR_SET, &body);
	unm_asker_lock();
	memcpy(hdr.nr_name, t->port, sizeof(hdr.nr_name));
	body.nr_hdr_len = t->hdr_len;
	body.pad1 = t->lacks;
	unm_asker_unlock();
	if (hdr.nr_name[0] == '\0')
		return true;
	if (fd < 0)
		fd = open("/dev/netmap", O_RDWR | O_CLOEXEC);
	return fd >= 0 && ioctl(fd, NIOCCTRL, &hdr) == 0;
}

static struct nmport_d *
prepare(const struct unm_net *n)
{
	struct nmport_d *d;

	library_message[0] = '\0';
	errno = 0;
	nmctx_get()->error = keep_message;
	d = nmport_prepare(n->name);
	if (d == NULL)
		return NULL;
	/* Two that move a ring's positions would disturb each other. */
	d->reg.nr_flags |= NR_ACCEPT_VNET_HDR | NR_EXCLUSIVE;
	if (n->n_pairs > 0) {
		d->reg.nr_tx_rings = (uint16_t)n->n_pairs;
		d->reg.nr_rx_rings = (uint16_t)n->n_pairs;
	}
	return d;
}

/* The other rings of a port of which @first has ring 0. */
static int
open_others(struct unm_net *n, const struct nmport_d *first, char *why)
{
	unsigned int i;

	for (i = 1; i < first->reg.nr_rx_rings; i++) { /* at most NET_MAX_PAIRS, checked */
		struct nmport_d *d = prepare(n);
		int err;

		if (d == NULL)
			return open_failed(n->name, why);
		d->reg.nr_mode = NR_REG_ONE_NIC;
		d->reg.nr_ringid = (uint16_t)i;
		if (nmport_open_desc(d) != 0) {
			err = open_failed(n->name, why);
			nmport_undo_prepare(d);
			return err;
		}
		err = add_ring(&n->port, d);
		if (err != 0) {
			nmport_close(d);
			return err;
		}
	}
	return 0;
}

static int
check_rings(const struct unm_net *n, const struct nmport_d *d, bool all, char *why)
{
	const unsigned int tx = all ? d->reg.nr_tx_rings : 1, rx = all ? d->reg.nr_rx_rings : 1;

	if (tx != rx || rx > NET_MAX_PAIRS) {
		snprintf(why, UNM_NET_WHY_SIZE,
			"%.80s has %u tx and %u rx rings: as many of both, at most %u, are needed",
			n->name, tx, rx, NET_MAX_PAIRS);
		return -EINVAL;
	}
	if (n->n_pairs > rx) {
		snprintf(why, UNM_NET_WHY_SIZE,
			"%.80s has %u ring%s, so it can't have %u queue pairs", n->name, rx,
			rx == 1 ? "" : "s", n->n_pairs);
		return -EINVAL;
	}
	return 0;
}

static int
open_rings(struct unm_net *n, char *why)
{
	struct nmport_d *d = prepare(n);
	bool all;
	int err;

	if (d == NULL)
		return open_failed(n->name, why);
	all = d->reg.nr_mode == NR_REG_ALL_NIC;
	if (all) {
		d->reg.nr_mode = NR_REG_ONE_NIC;
		d->reg.nr_ringid = 0;
	}
	if (nmport_open_desc(d) != 0) {
		err = open_failed(n->name, why);
		nmport_undo_prepare(d);
		return err;
	}
	err = check_rings(n, d, all, why);
	if (err == 0) {
		err = add_ring(&n->port, d);
		if (err != 0)
			snprintf(why, UNM_NET_WHY_SIZE, "%.80s has no rings of both directions",
				n->name);
	}
	if (err != 0) {
		nmport_close(d);
		return err;
	}
	return all ? open_others(n, d, why) : 0;
}

int
unm_net_port_open(struct unm_net *n, char *why)
{
	struct net_port *p = &n->port;
	const char *name;
	int err;

	*p = (struct net_port){0};
	snprintf(why, UNM_NET_WHY_SIZE, "out of memory");
	err = open_rings(n, why);
	if (err != 0) {
		unm_net_port_close(p);
		return err;
	}
	/* VALE reads NS_INDIRECT payload where it is, if the memory is guarded; pipes do not. */
	name = p->ring[0].port->hdr.nr_name;
	p->can_indirect = strncmp(name, "vale", 4) == 0 && strpbrk(name, "{}") == NULL;
	p->hdr_len = port_hdr(p, NETMAP_REQ_PORT_HDR_GET, 0, 0);
	p->had_hdr = p->hdr_len > 0;
	if (!p->had_hdr && n->c.offload == UNM_NET_OFFLOAD_AUTO)
		p->hdr_len = port_hdr(p, NETMAP_REQ_PORT_HDR_SET, NET_HDR_LEN, UNM_VNET_LACKS_ALL);
	return 0;
}

void
unm_net_port_use(struct unm_net *n)
{
	struct net_port *p = &n->port;
	unsigned int k;

	unm_guest_guard_tell(unetmap_trust_memory, unetmap_distrust_memory);
	unetmap_sleeps_in_poll(); /* else it costs a little more */
	for (k = 0; k < p->n_rings && p->can_indirect; k++) {
		/* Else the ring serves; and an isolated client's broker can't read our memory either. */
		if (unetmap_set_sink(p->ring[k].port->fd, n->is_direct ? unm_net_sink : NULL,
			    &p->ring[k]) < 0 &&
			errno == EOPNOTSUPP)
			p->can_indirect = false;
	}
}

void
unm_net_port_close(struct net_port *p)
{
	unsigned int i;

	if (p->hdr_len > 0 && !p->had_hdr && !p->lost) /* a persistent port is left as it was */
		port_hdr(p, NETMAP_REQ_PORT_HDR_SET, 0, 0);
	for (i = 0; i < p->n_rings; i++) {
		unetmap_set_sink(p->ring[i].port->fd, NULL, NULL);
		nmport_close(p->ring[i].port);
		free(p->ring[i].sent);
		free(p->ring[i].slots);
	}
	*p = (struct net_port){0};
}

void
unm_net_port_tell(struct unm_net *n)
{
	const struct net_port *p = &n->port;
	struct net_tell *t = &n->tell;
	bool is_news;

	unm_asker_lock();
	t->ask.fn = tell;
	if (p->lost || p->hdr_len == 0) {
		t->port[0] = '\0'; /* the one that comes back will be told */
		is_news = false;
	} else {
		is_news = t->port[0] == '\0' || t->lacks != n->lacks;
		memcpy(t->port, p->ring[0].port->hdr.nr_name, sizeof(t->port));
		t->hdr_len = p->hdr_len;
		t->lacks = n->lacks;
	}
	unm_asker_unlock();
	if (is_news)
		unm_ask(&t->ask);
}

void
unm_net_port_tell_end(struct unm_net *n)
{
	unm_ask_end(&n->tell.ask);
}

bool
unm_net_port_sync(struct unm_net *n, struct net_ring *r, unsigned long request)
{
	if (ioctl(r->port->fd, request, NULL) == 0)
		return true;
	if (errno == ENXIO || errno == EBADF)
		n->port.lost = true;
	return false;
}

void
unm_net_port_check(struct unm_net *n)
{
	unsigned int k;

	for (k = 0; k < n->port.n_rings; k++)
		unm_net_port_sync(n, &n->port.ring[k], NIOCRXSYNC);
}

void
unm_net_port_inject(struct unm_net *n, const void *frame, uint32_t len)
{
	struct net_ring *r = &n->port.ring[0];
	struct netmap_slot *slot;
	uint32_t room;

	if (n->port.lost || r->n_sent > 0 || nm_ring_empty(r->tx))
		return;
	slot = &r->tx->slot[r->tx->head];
	room = r->tx->nr_buf_size;
	if (slot->buf_idx >= r->n_bufs || len > room || n->port.hdr_len > room - len)
		return;
	memset(NETMAP_BUF(r->tx, slot->buf_idx), 0, n->port.hdr_len);
	memcpy(NETMAP_BUF(r->tx, slot->buf_idx) + n->port.hdr_len, frame, len);
	slot->len = (uint16_t)(n->port.hdr_len + len);
	slot->flags = 0;
	r->tx->head = r->tx->cur = nm_ring_next(r->tx, r->tx->head);
	unm_net_port_sync(n, r, NIOCTXSYNC);
}
