/* SPDX-License-Identifier: BSD-2-Clause */
/* See vale_rig.h. */
#include "vale_rig.h"

#include <string.h>

#include "ring/kring.h"

void
vale_rig_init(struct vale_rig *v, uint32_t n_bufs)
{
	memset(v, 0, sizeof(*v));
	v->d = fake_domain_new(UNM_SEG_VALE, n_bufs, RIG_BUF_SIZE);
	v->d->seg.hdr->max_ageing_s = 300;
}

void
vale_rig_free(struct vale_rig *v)
{
	uint32_t i;

	for (i = 0; i < v->n; i++)
		unm_bport_close(v->port[i]);
	fake_domain_free(v->d);
}

uint32_t
vale_rig_add(struct vale_rig *v, struct fake_geometry g)
{
	uint32_t port;

	g.kind = UNM_PORT_VALE;
	port = fake_port_add(v->d, &g);
	CHECK(port == v->n);
	v->port[v->n++] = fake_port_open(v->d, port);
	return port;
}

void
vale_rig_simple(struct vale_rig *v, uint32_t n, uint32_t slots)
{
	const struct fake_geometry g = {.n_tx = 1, .n_rx = 1, .slots = slots};
	uint32_t i;

	vale_rig_init(v, 2 + 2 * n * slots);
	for (i = 0; i < n; i++)
		vale_rig_add(v, g);
}

/* A frame to one's own address is learned from and goes nowhere. */
void
vale_rig_teach(struct vale_rig *v)
{
	uint32_t i;

	for (i = 0; i < v->n; i++) {
		uint8_t frame[12 + 60] = {0};
		struct unm_bring *r = vale_tx(v, i);
		const uint32_t hdr_len = v->d->seg.ports[i].vnet_hdr_len;

		traffic_mac(frame + hdr_len, i);
		traffic_mac(frame + hdr_len + 6, i);
		ring_send(r, frame, hdr_len + 60, 0);
		vale_txsync(v, i);
		memset(r->kring->drops, 0, sizeof(r->kring->drops));
		r->kring->n_pkts = r->kring->n_bytes = 0;
	}
}

struct unm_bring *
vale_tx(const struct vale_rig *v, uint32_t port)
{
	return &v->port[port]->tx[0];
}

struct unm_bring *
vale_rx(const struct vale_rig *v, uint32_t port)
{
	return &v->port[port]->rx[0];
}

void
vale_send(struct vale_rig *v, uint32_t from, uint32_t to, uint32_t len, uint64_t seq)
{
	ring_send_frame(vale_tx(v, from), len, to, from, from, seq);
}

void
vale_txsync(struct vale_rig *v, uint32_t port)
{
	CHECK(unm_bport_txsync(v->port[port]) == 0);
}

uint32_t
vale_pending(struct vale_rig *v, uint32_t port)
{
	CHECK(unm_bport_rxsync(v->port[port]) == 0);
	return ring_space(vale_rx(v, port));
}

void
vale_expect(struct vale_rig *v, uint32_t port, uint32_t from, uint64_t seq)
{
	struct unm_bring *r = vale_rx(v, port);
	const struct netmap_slot *s = &r->ring->slot[r->ring->head];
	uint32_t flow;
	uint64_t number;

	CHECK(vale_pending(v, port) > 0);
	CHECK(s->flags == 1 << NS_PORT_SHIFT);
	CHECK(traffic_check(ring_buf(r, r->ring->head), s->len, &flow, &number));
	CHECK(flow == from);
	CHECK(number == seq);
	ring_advance(r, 1);
	CHECK(unm_bport_rxsync(v->port[port]) == 0);
}

uint32_t
vale_drain(struct vale_rig *v, uint32_t port)
{
	const uint32_t n = vale_pending(v, port);

	ring_advance(vale_rx(v, port), n);
	CHECK(unm_bport_rxsync(v->port[port]) == 0);
	return n;
}

uint64_t
vale_drops(const struct vale_rig *v, uint32_t port, enum unm_drop reason)
{
	return vale_tx(v, port)->kring->drops[reason];
}

uint64_t
vale_all_drops(const struct vale_rig *v, uint32_t port)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < UNM_DROP_N; i++)
		n += vale_tx(v, port)->kring->drops[i];
	return n;
}
