/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmport_extmem.c - ports in memory that the program brings (option EXTMEM).
 *
 * nmport_extmem() takes memory that stays the program's. nmport_extmem_from_file() maps a file and
 * calls it; that mapping is ours, and goes when neither the port nor a region mapping of
 * nmport_mmap.c holds a reference to it.
 */
#include "nmport_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct file_cleanup {
	struct nmport_cleanup_d up;
	struct unm_filemap *map;
};

void
nmport_extmem_cleanup(struct nmport_cleanup_d *c, struct nmport_d *d)
{
	(void)c; /* there is one such option at most, and d knows it */
	if (d->extmem == NULL)
		return;
	unm_nmport_drop_option(d, &d->extmem->nro_opt);
	d->extmem = NULL;
}

int
nmport_extmem(struct nmport_d *d, void *base, size_t size)
{
	struct nmreq_opt_extmem *opt;
	struct nmport_cleanup_d *c;

	if (d->register_done || d->extmem != NULL) {
		nmctx_ferror(d->ctx, "%s: external memory is set once, before registration",
			d->hdr.nr_name);
		return unm_nmport_result(-EINVAL);
	}
	c = unm_nmport_zalloc(d->ctx, sizeof(*c));
	if (c == NULL)
		return unm_nmport_result(-ENOMEM);
	opt = unm_nmport_zalloc(d->ctx, sizeof(*opt));
	if (opt == NULL) {
		nmctx_free(d->ctx, c);
		return unm_nmport_result(-ENOMEM);
	}
	opt->nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM;
	opt->nro_usrptr = (uintptr_t)base;
	opt->nro_info.nr_memsize = size;
	nmreq_push_option(&d->hdr, &opt->nro_opt);
	d->extmem = opt;
	unm_nmport_push_cleanup(d, c, nmport_extmem_cleanup);
	return 0;
}

struct nmreq_pools_info *
nmport_extmem_getinfo(struct nmport_d *d)
{
	return d->extmem != NULL ? &d->extmem->nro_info : NULL;
}

void
unm_filemap_get(struct unm_filemap *map)
{
	map->n_refs++;
}

void
unm_filemap_put(struct nmctx *ctx, struct unm_filemap *map)
{
	if (--map->n_refs > 0)
		return;
	munmap(map->base, map->size);
	nmctx_free(ctx, map);
}

struct unm_filemap *
unm_filemap_of(struct nmport_d *d)
{
	struct nmport_cleanup_d *c;

	for (c = d->clist; c != NULL; c = c->next) {
		if (c->cleanup == nmport_extmem_from_file_cleanup)
			return ((struct file_cleanup *)c)->map;
	}
	return NULL;
}

void
nmport_extmem_from_file_cleanup(struct nmport_cleanup_d *c, struct nmport_d *d)
{
	struct file_cleanup *fc = (struct file_cleanup *)c;

	nmctx_lock(d->ctx);
	unm_filemap_put(d->ctx, fc->map);
	nmctx_unlock(d->ctx);
}

/* Map all of a file, shared. Reports failure; then nothing is left. */
static int
map_file(struct nmctx *ctx, const char *fname, struct unm_filemap *map)
{
	const char *what = "open";
	int fd, err = 0;
	off_t size;

	fd = open(fname, O_RDWR);
	if (fd < 0) {
		err = errno;
		goto out;
	}
	what = "get the size of";
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0) {
		err = size < 0 ? errno : EINVAL;
		goto out;
	}
	what = "map";
	map->size = (size_t)size;
	map->base = mmap(NULL, map->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map->base == MAP_FAILED)
		err = errno;
out:
	if (err != 0)
		nmctx_ferror(ctx, "cannot %s %s for use as memory: %s", what, fname, strerror(err));
	if (fd >= 0)
		close(fd);
	return -err;
}

int
nmport_extmem_from_file(struct nmport_d *d, const char *fname)
{
	struct file_cleanup *fc = NULL;
	struct unm_filemap *map;
	int rv;

	map = unm_nmport_zalloc(d->ctx, sizeof(*map));
	if (map == NULL)
		return unm_nmport_result(-ENOMEM);
	fc = unm_nmport_zalloc(d->ctx, sizeof(*fc));
	rv = fc != NULL ? map_file(d->ctx, fname, map) : -ENOMEM;
	if (rv < 0)
		goto fail;
	if (nmport_extmem(d, map->base, map->size) < 0) {
		rv = -errno;
		munmap(map->base, map->size);
		goto fail;
	}
	map->n_refs = 1;
	fc->map = map;
	/*
	 * Runs before the cleanup of the option. That only takes the option off the list and does
	 * not look at the memory.
	 */
	unm_nmport_push_cleanup(d, &fc->up, nmport_extmem_from_file_cleanup);
	return 0;
fail:
	nmctx_free(d->ctx, fc);
	nmctx_free(d->ctx, map);
	return unm_nmport_result(rv);
}
