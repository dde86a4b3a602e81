/* SPDX-License-Identifier: BSD-2-Clause */
/* Big requests in small steps. See pending.h. */
#include "daemon/pending.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/format.h"
#include "daemon/kinds.h"
#include "shm/clock.h"

#define BATCH 512u /* between two looks at the clock: 1 MiB */

struct unm_giveback {
	struct unm_giveback *next;
	struct unm_dregion *region;
	uint32_t idx;	 /* next buffer of the list */
	uint32_t n_left; /* steps that the list may still have: it may be a circle */
};

void
unm_pending_begin(struct unm_domain *dom, struct unm_pending *p, struct unm_dport *port)
{
	if (p->port == port)
		return;
	unm_pending_drop(dom, p);
	p->port = port;
	port->n_pending++;
}

/* Allocate up to @n buffers, fewer if there is no memory for all. Return: how many. */
static uint32_t
alloc_some(struct unm_pool *pool, uint32_t n, uint32_t *out)
{
	if (n > pool->n_free)
		n = pool->n_free;
	while (n > 0 && unm_pool_alloc_many(pool, n, out, NULL) < 0)
		n /= 2; /* at most 10 rounds */
	return n;
}

/* Add a batch to the list. Return: 0 there may be more, -ENOMEM. */
static int
add_batch(struct unm_pending *p)
{
	struct unm_dregion *region = p->port->region;
	const uint32_t wanted = p->n_wanted - p->n_extra < BATCH ? p->n_wanted - p->n_extra : BATCH;
	const uint32_t n = alloc_some(&region->bufs, wanted, p->extra + p->n_extra);
	/* Linked from the end of what is there already on. */
	const uint32_t from = p->n_extra > 0 ? p->n_extra - 1 : 0;

	p->n_extra += n;
	if (unm_format_extra_link(region, p->extra + from, p->n_extra - from) < 0) {
		unm_pool_free_many(&region->bufs, p->extra, p->n_extra);
		p->n_extra = 0;
		return -ENOMEM;
	}
	return n == wanted ? 0 : -ENOMEM;
}

int
unm_pending_extra(struct unm_pending *p, uint32_t wanted, uint64_t deadline_ns)
{
	if (wanted > UNM_MAX_EXTRA_BUFS)
		wanted = UNM_MAX_EXTRA_BUFS;
	if (p->extra == NULL && wanted > 0) {
		p->extra = malloc(wanted * sizeof(*p->extra));
		if (p->extra == NULL)
			return -ENOMEM;
		p->n_wanted = wanted;
	}
	while (p->n_extra < p->n_wanted) { /* each round adds a batch, or is the last */
		if (add_batch(p) < 0)
			p->n_wanted = p->n_extra; /* as many as there are */
		if (p->n_extra < p->n_wanted && unm_now_ns() >= deadline_ns)
			return -EINPROGRESS;
	}
	return 0;
}

static void
clear(struct unm_pending *p)
{
	free(p->extra);
	p->extra = NULL;
	p->n_extra = p->n_wanted = 0;
	p->port->n_pending--;
	p->port = NULL;
}

void
unm_pending_done(struct unm_pending *p)
{
	if (p->port != NULL)
		clear(p);
}

void
unm_pending_drop(struct unm_domain *dom, struct unm_pending *p)
{
	struct unm_dport *port = p->port;

	if (port == NULL)
		return;
	unm_pool_free_many(&port->region->bufs, p->extra, p->n_extra);
	clear(p);
	if (!port->is_dying)
		unm_dport_close_idle(dom, port);
	if (port->is_dying)
		unm_dport_finish(dom, port);
	else
		unm_port_release(dom, port);
}

/* Free a batch of the list. Return: true if there are more. */
static bool
free_batch(struct unm_dregion *region, uint32_t *idx, uint32_t *n_left)
{
	struct unm_pool *pool = &region->bufs;
	uint32_t batch[BATCH];
	uint32_t n = 0;
	bool more = true;

	while (more && n < BATCH) {
		if (*n_left == 0 || !unm_pool_holds(pool, *idx)) {
			more = false;
			break;
		}
		--*n_left;
		batch[n++] = *idx;
		more = unm_format_extra_next(region, *idx, idx) == 0;
	}
	unm_pool_free_many(pool, batch, n);
	return more;
}

/* As much of the list as a step has time for. Return: true if there are more. */
static bool
walk(struct unm_dregion *region, uint32_t *idx, uint32_t *n_left)
{
	const uint64_t deadline_ns = unm_now_ns() + UNM_STEP_NS;

	while (free_batch(region, idx, n_left)) { /* bounded by *n_left */
		if (unm_now_ns() >= deadline_ns)
			return true;
	}
	return false;
}

void
unm_giveback(struct unm_domain *dom, struct unm_dregion *region, uint32_t head)
{
	struct unm_giveback *g;
	uint32_t n_left = region->bufs.n;

	if (!walk(region, &head, &n_left))
		return;
	g = malloc(sizeof(*g));
	if (g == NULL)
		return; /* lost until the region is empty */
	g->region = unm_dregion_get(region);
	g->idx = head;
	g->n_left = n_left;
	g->next = dom->givebacks;
	dom->givebacks = g;
}

void
unm_giveback_step(struct unm_domain *dom)
{
	struct unm_giveback *g = dom->givebacks;

	if (g == NULL)
		return;
	if (g->region->n_refs > 1 && walk(g->region, &g->idx, &g->n_left))
		return;
	dom->givebacks = g->next;
	unm_dregion_put(&dom->regions, g->region);
	free(g);
}

void
unm_giveback_fini(struct unm_domain *dom)
{
	while (dom->givebacks != NULL) {
		struct unm_giveback *g = dom->givebacks;

		dom->givebacks = g->next;
		free(g);
	}
}
