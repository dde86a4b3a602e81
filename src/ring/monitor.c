/* SPDX-License-Identifier: BSD-2-Clause */
/* Following the list of a ring's monitors: the slow half of monitor.h. */
#include "ring/monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/clock.h"

/* The monitor rings in the list of @kring_idx. Return: how many. */
static uint32_t
follow_list(const struct unm_seg *seg, uint32_t kring_idx, uint32_t *out)
{
	const struct unm_kring *of = &seg->krings[kring_idx];
	const uint32_t dir = UNM_READ_ONCE(of->is_rx) ? UNM_MON_OF_RX : UNM_MON_OF_TX;
	uint32_t i = unm_load_acquire(&of->mon_head), n = 0;

	/* A list that is being changed may lead astray: its writer's new epoch brings us here again. */
	while (i < seg->n_krings && n < UNM_RING_MAX_MONITORS) {
		const struct unm_kring *k = &seg->krings[i];

		if (UNM_READ_ONCE(k->mon_of[dir]) != kring_idx || !UNM_READ_ONCE(k->is_rx))
			break;
		out[n++] = i;
		i = unm_load_acquire(&k->mon_next[dir]);
	}
	return n;
}

/* Map what the view shows. A failure is tried again later. */
static void
view_map(struct unm_mon_view *v, const struct unm_mons *m, const struct unm_seg_port *e)
{
	const int err = m->env->region_get(e->region_uid, false, &v->region);

	if (err < 0)
		v->region = NULL;
	if (v->region != NULL && unm_region_check(&v->region->info) == 0)
		v->ring = unm_region_ring(v->region, v->kring, 2, &v->num_slots);
	if (v->region != NULL && v->ring == NULL) {
		m->env->region_put(v->region);
		v->region = NULL;
	}
	v->retry_ns = v->region == NULL ? unm_now_coarse_ns() + unm_region_retry_ns(err) : 0;
}

/* Take what is known of the ring from the old views, with the region's reference. */
static bool
view_keep(struct unm_mon_view *v, struct unm_mons *old)
{
	uint32_t i;

	for (i = 0; old != NULL && i < old->n; i++) {
		struct unm_mon_view *o = &old->view[i];

		if (o->kring_idx != v->kring_idx || o->port != v->port || o->gen != v->gen)
			continue;
		if (o->region == NULL && unm_now_coarse_ns() >= o->retry_ns)
			return false;
		*v = *o;
		return true;
	}
	return false;
}

static bool
view_fill(
	struct unm_mon_view *v, const struct unm_mons *m, struct unm_mons *old, uint32_t kring_idx)
{
	struct unm_seg_port e = {0};

	memset(v, 0, sizeof(*v));
	v->kring_idx = kring_idx;
	v->kring = &m->seg->krings[kring_idx];
	v->port = UNM_READ_ONCE(v->kring->port);
	if (v->port >= m->seg->n_ports || !unm_seg_port_read(&m->seg->ports[v->port], &e) ||
		e.kind != UNM_PORT_MONITOR)
		return false;
	v->gen = e.gen;
	if (view_keep(v, old))
		return true;
	v->is_zcopy = (e.mon_flags & UNM_MONF_ZCOPY) != 0;
	view_map(v, m, &e);
	return true;
}

/* Does @m still hold the view's region, as the one that was made from it? */
static bool
is_kept(const struct unm_mon_view *o, const struct unm_mons *m)
{
	uint32_t i;

	for (i = 0; m != NULL && i < m->n; i++)
		if (m->view[i].kring_idx == o->kring_idx && m->view[i].port == o->port &&
			m->view[i].gen == o->gen && m->view[i].region == o->region)
			return true;
	return false;
}

/* Free @old but for what @m has taken over. */
static void
drop_views(struct unm_mons *old, const struct unm_mons *m)
{
	uint32_t i;

	if (old == NULL)
		return;
	for (i = 0; i < old->n; i++)
		if (old->view[i].region != NULL && !is_kept(&old->view[i], m))
			old->env->region_put(old->view[i].region);
	free(old);
}

static struct unm_mons *
rescan(struct unm_mons *old, const struct unm_env *env, struct unm_seg *seg, uint32_t kring_idx,
	uint32_t epoch)
{
	uint32_t idx[UNM_RING_MAX_MONITORS];
	const uint32_t n = follow_list(seg, kring_idx, idx);
	struct unm_mons *m = calloc(1, sizeof(*m) + n * sizeof(m->view[0]));
	uint32_t i;

	if (m == NULL)
		return NULL;
	m->env = env;
	m->seg = seg;
	m->kring_idx = kring_idx;
	m->epoch = epoch;
	for (i = 0; i < n; i++) {
		struct unm_mon_view *v = &m->view[m->n];

		if (!view_fill(v, m, old, idx[i]))
			continue;
		if (v->region == NULL && (m->retry_ns == 0 || v->retry_ns < m->retry_ns))
			m->retry_ns = v->retry_ns;
		m->n++;
	}
	return m;
}

struct unm_mons *
unm_mons_get(
	struct unm_mons **mp, const struct unm_env *env, struct unm_seg *seg, uint32_t kring_idx)
{
	/* Pairs with netmapd's release store of epoch, made after the lists that it speaks for. */
	const uint32_t epoch = unm_load_acquire(&seg->hdr->epoch);
	struct unm_mons *old = *mp, *m;

	if (!unm_is_watched(&seg->krings[kring_idx])) {
		*mp = NULL;
		drop_views(old, NULL);
		return NULL;
	}
	if (__builtin_expect(old != NULL && old->epoch == epoch && old->retry_ns == 0, 1))
		return old;
	if (old != NULL && old->epoch == epoch && unm_now_coarse_ns() < old->retry_ns)
		return old;
	/* The new one is complete before it takes the place: a fork may come at any moment. */
	m = rescan(old, env, seg, kring_idx, epoch);
	if (m == NULL)
		return NULL;
	*mp = m;
	drop_views(old, m);
	return m;
}

bool
unm_mons_take_buffers(const struct unm_mons *m)
{
	uint32_t i;

	for (i = 0; i < m->n; i++)
		if (m->view[i].is_zcopy)
			return true;
	return false;
}

void
unm_mons_free(struct unm_mons *m)
{
	drop_views(m, NULL);
}
