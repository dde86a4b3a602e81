/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and dropping views of receivers: the slow half of peers.h. */
#include "vale/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring/kring.h"
#include "ring/slot.h"
#include "shm/clock.h"
#include "vale/vnet.h"

struct unm_peers *
unm_peers_new(const struct unm_env *env, struct unm_seg *seg, uint32_t self)
{
	struct unm_peers *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->env = env;
	t->seg = seg;
	t->self = self;
	return t;
}

static void
peer_drop(struct unm_peers *t, uint32_t port)
{
	struct unm_peer *p = t->peer[port];
	uint32_t i;

	if (p == NULL)
		return;
	t->peer[port] = NULL;
	for (i = 0; i < p->n_rings; i++)
		unm_mons_free(p->ring[i].mons);
	if (p->n_queues > 0)
		t->env->queues_put(p->queue, p->n_queues);
	t->env->region_put(p->region);
	free(p);
}

void
unm_peers_free(struct unm_peers *t)
{
	uint32_t i;

	if (t == NULL)
		return;
	for (i = 0; i < UNM_SEG_NPORTS_VALE; i++)
		peer_drop(t, i);
	free(t);
}

/* Which offloads the port of an entry can't take. */
static uint32_t
lacks_of(const struct unm_seg_port *e)
{
	const uint32_t lacks = UNM_READ_ONCE(e->vnet_lacks) & UNM_VNET_LACKS_ALL;

	if (UNM_READ_ONCE(e->vnet_hdr_len) == 0 || lacks & UNM_VNET_LACKS_CSUM)
		return UNM_VNET_LACKS_ALL;
	return lacks;
}

void
unm_peers_rescan(struct unm_peers *t, uint32_t epoch)
{
	uint32_t n = UNM_READ_ONCE(t->seg->hdr->n_ports_used);
	uint32_t i;

	if (n > t->seg->n_ports)
		n = t->seg->n_ports;
	t->n_open = 0;
	t->any_lossless = false;
	memset(t->retry_ns, 0, sizeof(t->retry_ns));
	for (i = 0; i < UNM_SEG_NPORTS_VALE; i++) {
		const struct unm_seg_port *e = &t->seg->ports[i];
		uint32_t flags;

		if (i >= n) {
			peer_drop(t, i);
			continue;
		}
		flags = UNM_READ_ONCE(e->flags);
		if (UNM_READ_ONCE(e->state) != UNM_PORT_ACTIVE || !(flags & UNM_PORTF_OPEN) ||
			UNM_READ_ONCE(e->kind) != UNM_PORT_VALE) { /* else a monitor */
			peer_drop(t, i);
			continue;
		}
		if (t->peer[i] != NULL &&
			(t->peer[i]->may_have_queues || t->peer[i]->gen != UNM_READ_ONCE(e->gen) ||
				t->peer[i]->hdr_len != UNM_READ_ONCE(e->vnet_hdr_len) ||
				t->peer[i]->lacks != lacks_of(e) ||
				t->peer[i]->max_frame != UNM_READ_ONCE(e->max_frame) ||
				t->peer[i]->lossless != !!(flags & UNM_PORTF_LOSSLESS)))
			peer_drop(t, i);
		if (i == t->self)
			continue;
		t->open[t->n_open++] = (uint16_t)i;
		t->any_lossless |= (flags & UNM_PORTF_LOSSLESS) != 0;
	}
	t->epoch = epoch;
	t->valid = true;
}

/* Copy the entry. Return: false if it is no open port of the switch now. */
static bool
read_entry(const struct unm_seg_port *e, struct unm_seg_port *copy)
{
	return unm_seg_port_read(e, copy) && copy->kind == UNM_PORT_VALE &&
	       (copy->flags & UNM_PORTF_OPEN);
}

/*
 * Ring @i of the view: addresses from checked offsets. Return: false if it does not lie inside the
 * region.
 */
static bool
map_ring(struct unm_peer_ring *r, const struct unm_seg *seg, const struct unm_region *region,
	uint32_t kring_idx)
{
	r->kring = &seg->krings[kring_idx];
	r->kring_idx = kring_idx;
	r->ring = unm_region_ring(region, r->kring, 2, &r->num_slots);
	return r->ring != NULL && UNM_READ_ONCE(r->kring->is_rx);
}

/* May the numbers in this copy of an entry be used? */
static bool
entry_ok(const struct unm_seg_port *e, const struct unm_seg *seg)
{
	return e->n_rx_rings > 0 && e->n_rx_rings <= UNM_PORT_MAX_RINGS &&
	       e->n_tx_rings <= UNM_PORT_MAX_RINGS && e->n_host_tx_rings <= UNM_PORT_MAX_RINGS &&
	       e->kring_base <= seg->n_krings &&
	       e->n_tx_rings + e->n_host_tx_rings + e->n_rx_rings <=
		       seg->n_krings - e->kring_base &&
	       unm_vnet_len_ok(e->vnet_hdr_len);
}

/* The view of entry @e on @region, or NULL: it does not fit, or no memory. */
static struct unm_peer *
peer_new(const struct unm_seg *seg, const struct unm_seg_port *e, uint32_t port,
	struct unm_region *region)
{
	const uint32_t base = e->kring_base + e->n_tx_rings + e->n_host_tx_rings;
	struct unm_peer *p;
	uint32_t i;

	if (unm_region_check(&region->info) != 0)
		return NULL;
	p = calloc(1, sizeof(*p) + e->n_rx_rings * sizeof(p->ring[0]));
	if (p == NULL)
		return NULL;
	p->gen = e->gen;
	p->port = port;
	p->n_rings = e->n_rx_rings;
	p->max_frame = e->max_frame;
	p->hdr_len = e->vnet_hdr_len;
	p->lacks = lacks_of(e);
	p->lossless = (e->flags & UNM_PORTF_LOSSLESS) != 0;
	p->region = region;
	p->bufs = region->base + region->info.buf_ofs;
	p->n_bufs = region->info.buf_num;
	p->buf_size = region->info.buf_size;
	for (i = 0; i < e->n_rx_rings; i++) {
		if (!map_ring(&p->ring[i], seg, region, base + i)) {
			free(p);
			return NULL;
		}
	}
	return p;
}

/* A worker gets the queues of the other TAPs. Whoever gets none delivers into the ring. */
static void
take_queues(struct unm_peers *t, struct unm_peer *p, const struct unm_seg_port *e)
{
	const uint32_t self = UNM_READ_ONCE(t->seg->ports[t->self].flags);
	int n;

	if (!(self & e->flags & UNM_PORTF_ATTACHED) || t->env->queues_get == NULL)
		return;
	n = t->env->queues_get(t->seg, p->port, p->gen, p->queue, UNM_PEER_QUEUES);
	p->may_have_queues = n == -EAGAIN;
	if (n > 0) {
		p->n_queues = (uint32_t)n;
		t->any_queues = true;
	}
}

struct unm_peer *
unm_peers_map(struct unm_peers *t, uint32_t port)
{
	struct unm_seg_port e = {0};
	struct unm_region *region = NULL;
	struct unm_peer *p = NULL;
	int err;

	if (port >= t->seg->n_ports || port == t->self)
		return NULL;
	if (t->retry_ns[port] != 0 && unm_now_coarse_ns() < t->retry_ns[port])
		return NULL;
	if (!read_entry(&t->seg->ports[port], &e))
		return NULL;
	err = entry_ok(&e, t->seg) ? t->env->region_get(e.region_uid, false, &region) : -EINVAL;
	if (err == 0) {
		p = peer_new(t->seg, &e, port, region);
		if (p != NULL)
			take_queues(t, p, &e);
		else
			t->env->region_put(region);
	}
	if (p == NULL)
		t->retry_ns[port] = unm_now_coarse_ns() + unm_region_retry_ns(err);
	t->peer[port] = p;
	return p;
}
