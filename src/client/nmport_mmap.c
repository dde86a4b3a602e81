/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmport_mmap.c - regions in the memory of this process.
 *
 * A region is mapped once per context, however many ports use it: each mapping is a struct nmem_d
 * on the list of the context, with a count of its ports. Equal mem pointers of two ports thus mean
 * one region, and buffers that can be exchanged by index.
 *
 * Region numbers are netmap's, and unique as long as a region has users; a mapping leaves the list
 * with its last port, before that port gives up its registration. Should a region have grown since
 * it was mapped, ports that know the new size get a mapping of their own.
 */
#include "nmport_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/*
 * A mapping with what only we may know. mem comes first: the public pointer is that of the whole.
 */
struct mapping {
	struct nmem_d mem;
	struct unm_filemap *file; /* holds a reference, or NULL */
};

static struct nmem_d *
find_mem(struct nmctx *ctx, const struct nmreq_register *reg)
{
	struct nmem_d *m;

	for (m = ctx->mem_descs; m != NULL; m = m->next) {
		if (m->mem_id == reg->nr_mem_id && m->size >= reg->nr_memsize)
			break;
	}
	return m;
}

/* Fill in address and size; the memory is the program's already when it is external. */
static int
map_region(struct nmport_d *d, struct mapping *m)
{
	m->mem.size = (size_t)d->reg.nr_memsize;
	if (d->extmem != NULL) {
		m->mem.mem = (void *)(uintptr_t)d->extmem->nro_usrptr;
		m->mem.is_extmem = 1;
		m->file = unm_filemap_of(d);
		if (m->file != NULL)
			unm_filemap_get(m->file);
		return 0;
	}
	m->mem.mem = mmap(NULL, m->mem.size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (m->mem.mem == MAP_FAILED) {
		const int err = errno;

		nmctx_ferror(d->ctx, "%s: cannot map %zu bytes: %s", d->hdr.nr_name, m->mem.size,
			strerror(err));
		return -err;
	}
	return 0;
}

/* Find or make the mapping for a port. The context is locked. */
static int
get_mem(struct nmport_d *d)
{
	struct nmem_d *mem = find_mem(d->ctx, &d->reg);
	struct mapping *m;
	int rv;

	if (mem == NULL) {
		m = unm_nmport_zalloc(d->ctx, sizeof(*m));
		if (m == NULL)
			return -ENOMEM;
		rv = map_region(d, m);
		if (rv < 0) {
			nmctx_free(d->ctx, m);
			return rv;
		}
		mem = &m->mem;
		mem->mem_id = d->reg.nr_mem_id;
		mem->next = d->ctx->mem_descs;
		if (mem->next != NULL)
			mem->next->prev = mem;
		d->ctx->mem_descs = mem;
	}
	mem->refcount++;
	d->mem = mem;
	return 0;
}

/* The context is locked. */
static void
put_mem(struct nmctx *ctx, struct nmem_d *mem)
{
	struct mapping *m = (struct mapping *)mem;

	if (--mem->refcount > 0)
		return;
	if (mem->prev != NULL)
		mem->prev->next = mem->next;
	else
		ctx->mem_descs = mem->next;
	if (mem->next != NULL)
		mem->next->prev = mem->prev;
	if (m->file != NULL)
		unm_filemap_put(ctx, m->file);
	else if (!mem->is_extmem)
		munmap(mem->mem, mem->size);
	nmctx_free(ctx, m);
}

/*
 * The first run of bound rings among n entries of ring_ofs. Without any, first becomes n and last
 * n - 1, in 16 bits: that is the empty interval that programs know, 0...65535 when n is 0.
 */
static void
find_rings(const ssize_t *ring_ofs, uint32_t n, uint16_t *first, uint16_t *last)
{
	uint32_t i, end;

	for (i = 0; i < n && ring_ofs[i] == 0; i++)
		;
	for (end = i; end < n && ring_ofs[end] != 0; end++)
		;
	*first = (uint16_t)i;
	*last = (uint16_t)(end - 1);
}

int
nmport_mmap(struct nmport_d *d)
{
	const struct netmap_if *nifp;
	uint32_t n_tx;
	int rv;

	if (!d->register_done || d->mmap_done) {
		nmctx_ferror(d->ctx, "%s: %s", d->hdr.nr_name,
			d->mmap_done ? "mapped already" : "cannot map before registration");
		return unm_nmport_result(-EINVAL);
	}
	nmctx_lock(d->ctx);
	rv = get_mem(d);
	nmctx_unlock(d->ctx);
	if (rv < 0)
		return unm_nmport_result(rv);
	d->nifp = NETMAP_IF(d->mem->mem, d->reg.nr_offset);
	nifp = d->nifp;
	n_tx = nifp->ni_tx_rings + nifp->ni_host_tx_rings;
	find_rings(nifp->ring_ofs, n_tx, &d->first_tx_ring, &d->last_tx_ring);
	find_rings(nifp->ring_ofs + n_tx, nifp->ni_rx_rings + nifp->ni_host_rx_rings,
		&d->first_rx_ring, &d->last_rx_ring);
	d->cur_tx_ring = d->first_tx_ring;
	d->cur_rx_ring = d->first_rx_ring;
	d->mmap_done = 1;
	return 0;
}

void
nmport_undo_mmap(struct nmport_d *d)
{
	if (d->mem != NULL) {
		nmctx_lock(d->ctx);
		put_mem(d->ctx, d->mem);
		nmctx_unlock(d->ctx);
	}
	d->mem = NULL;
	d->nifp = NULL;
	d->first_tx_ring = d->last_tx_ring = d->cur_tx_ring = 0;
	d->first_rx_ring = d->last_rx_ring = d->cur_rx_ring = 0;
	d->mmap_done = 0;
}
