/* SPDX-License-Identifier: BSD-2-Clause */
/* Delivery to a sink. See sink.h. */
#include "vale/sink.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "vale/offload_fp.h"
#include "vale/vnet.h"

#define MAX_SINKS   1024u
#define CHUNK	    32u /* frames offered at once */
#define CHUNK_PARTS 512u

struct sink {
	const void *owner; /* thread; NULL: free. Stored last, cleared first */
	uint64_t seg;	   /* its uid */
	uint32_t port, gen, ring;
	unetmap_sink_fn *fn;
	void *arg;
};

static struct sink sinks[MAX_SINKS];
uint32_t unm_sinks_used;

static pthread_mutex_t writers = PTHREAD_MUTEX_INITIALIZER;

/* Its address is the thread's name. */
static __thread char self __attribute__((tls_model("initial-exec")));

static bool
is_for(const struct sink *k, const struct unm_seg *seg, uint32_t port, uint32_t ring)
{
	return k->seg == seg->uid && k->port == port && k->ring == ring;
}

/* This thread's sink there, or NULL. */
static struct sink *
find_sink(const struct unm_seg *seg, uint32_t port, uint32_t ring)
{
	const uint32_t n = unm_load_acquire(&unm_sinks_used);
	uint32_t i;

	for (i = 0; i < n; i++)
		if (__atomic_load_n(&sinks[i].owner, __ATOMIC_ACQUIRE) == &self &&
			is_for(&sinks[i], seg, port, ring))
			return &sinks[i];
	return NULL;
}

static int
add_sink(const struct sink *k)
{
	uint32_t i;

	for (i = 0; i < unm_sinks_used && sinks[i].owner != NULL; i++)
		; /* the first free one */
	if (i == MAX_SINKS)
		return -ENOSPC;
	sinks[i].seg = k->seg;
	sinks[i].port = k->port;
	sinks[i].gen = k->gen;
	sinks[i].ring = k->ring;
	sinks[i].fn = k->fn;
	sinks[i].arg = k->arg;
	__atomic_store_n(&sinks[i].owner, k->owner, __ATOMIC_RELEASE);
	if (i == unm_sinks_used)
		unm_store_release(&unm_sinks_used, i + 1);
	return 0;
}

int
unm_sink_set(const struct unm_seg *seg, uint32_t port, uint32_t gen, uint32_t ring,
	unetmap_sink_fn *fn, void *arg)
{
	const struct sink wanted = {&self, seg->uid, port, gen, ring, fn, arg};
	struct sink *old;
	int err = 0;

	pthread_mutex_lock(&writers);
	old = find_sink(seg, port, ring);
	if (old != NULL)
		__atomic_store_n(&old->owner, NULL, __ATOMIC_RELEASE);
	if (fn != NULL)
		err = add_sink(&wanted);
	pthread_mutex_unlock(&writers);
	return err;
}

/* Frames that are offered together. */
struct chunk {
	unsigned int n, n_parts;
	struct unetmap_packet packet[CHUNK];
	struct unetmap_part part[CHUNK_PARTS];
	uint8_t head[CHUNK][UNM_VNET_HDR_MAX + UNM_HEAD_MAX]; /* checked copies */
	unsigned int after_a[CHUNK], after_b[CHUNK];	      /* the lists behind each frame */
};

enum add { ADDED, ADD_DROPPED, ADD_STOP };

static void
add_part(struct chunk *c, struct unetmap_packet *p, const uint8_t *data, uint32_t len)
{
	if (len == 0)
		return;
	c->part[c->n_parts++] = (struct unetmap_part){data, len};
	p->n_parts++;
	p->len += len;
}

/*
 * The header of @hdr_len bytes, checked, becomes part 0, with the frame's own if these were.
 * Return: what becomes of the frame.
 */
static enum add
add_header(struct chunk *c, struct unetmap_packet *p, struct unm_reader *r, uint32_t hdr_len,
	uint32_t len, uint32_t lacks)
{
	uint8_t *head = c->head[c->n];
	struct unm_offload o;

	unm_reader_take(r, head, hdr_len);
	if (__builtin_expect(unm_vnet_is_plain(head), 1)) {
		add_part(c, p, head, hdr_len);
		return ADDED;
	}
	if (hdr_len < UNM_VNET_HDR_MAX)
		memset(head + hdr_len, 0, UNM_VNET_HDR_MAX - hdr_len);
	if (!unm_offload_parse(&o, head, r, len))
		return ADD_DROPPED;
	if (o.needs & lacks)
		return ADD_STOP;
	memcpy(head, &o.vnet, sizeof(o.vnet));
	memcpy(head + hdr_len, o.head + UNM_VNET_HDR_MAX, o.head_len);
	add_part(c, p, head, hdr_len + o.head_len);
	return ADDED;
}

/* Add a frame to the chunk, if it is one for a sink and there is room. */
static enum add
add_frame(struct unm_vale_src *s, const struct unm_spot *sp, struct chunk *c,
	const struct unm_frame *f)
{
	struct unetmap_packet *p = &c->packet[c->n];
	struct unm_reader r = {.frag = &s->frags[f->frag]};
	const struct unm_frag *end = r.frag + f->n_frags;

	if (c->n == CHUNK || f->n_frags + 1u > CHUNK_PARTS - c->n_parts)
		return ADD_STOP;
	*p = (struct unetmap_packet){.parts = &c->part[c->n_parts]};
	if (s->hdr_len > 0) {
		const enum add add =
			add_header(c, p, &r, s->hdr_len, f->total - s->hdr_len, sp->p->lacks);

		if (add != ADDED)
			return add;
	}
	for (; r.frag < end; r.frag++, r.ofs = 0) /* at most n_frags turns */
		add_part(c, p, r.frag->data + r.ofs, r.frag->len - r.ofs);
	c->n++;
	return ADDED;
}

/*
 * Fill a chunk from the lists. Return: false when something has to go another way, or nothing is
 * left.
 */
static bool
fill(struct unm_vale_src *s, const struct unm_spot *sp, int q, struct chunk *c, unsigned int a,
	unsigned int b)
{
	c->n = c->n_parts = 0;
	while (a != UNM_VALE_NOFRAME ||
		b != UNM_VALE_NOFRAME) { /* each turn takes a frame, or ends */
		const unsigned int cur = a < b ? a : b;
		const struct unm_frame *f = &s->frames[cur];
		enum add add = ADD_DROPPED;

		if (q < 0 || s->ring_of[cur] == q) {
			add = add_frame(s, sp, c, f);
			if (add == ADD_STOP)
				return c->n == CHUNK || c->n_parts + f->n_frags + 1 > CHUNK_PARTS;
			if (add == ADD_DROPPED)
				return false; /* the usual way counts it */
		}
		if (cur == a)
			a = f->next;
		else
			b = f->next;
		if (add == ADDED) {
			c->after_a[c->n - 1] = a;
			c->after_b[c->n - 1] = b;
		}
	}
	return false;
}

void
unm_sink_deliver(
	struct unm_vale_src *s, struct unm_spot *sp, int q, unsigned int *a, unsigned int *b)
{
	const struct unm_peer *p = sp->p;
	const uint32_t ring = q < 0 ? 0 : (uint32_t)q;
	const struct sink *k = find_sink(s->seg, p->port, ring);
	struct unm_kring *kring = p->ring[ring].kring;
	struct chunk c;
	bool more = true;

	if (k == NULL || k->gen != p->gen || s->hdr_len != p->hdr_len)
		return;
	while (more &&
		UNM_READ_ONCE(sp->ring->head) == sp->pos) { /* each turn takes a chunk, or ends */
		uint64_t bytes = 0;
		uint32_t n, i;

		more = fill(s, sp, q, &c, *a, *b);
		if (c.n == 0)
			return;
		n = k->fn(k->arg, c.packet, c.n);
		if (n == 0)
			return;
		for (i = 0; i < n; i++)
			bytes += c.packet[i].len;
		*a = c.after_a[n - 1];
		*b = c.after_b[n - 1];
		unm_count(&kring->rx_pkts, n);
		unm_count(&kring->rx_bytes, bytes);
		if (n < c.n)
			return;
	}
}
