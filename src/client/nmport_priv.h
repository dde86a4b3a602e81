/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmport_priv.h - what the files of nmport_* and nmreq_* share.
 *
 * Cleanups. Whatever parsing or an extra adds to a descriptor (an option, a mapped file) comes with
 * a cleanup on the list of the descriptor; nmport_undo_parse() runs them, latest first.
 *
 * Mapped files. Memory from nmport_extmem_from_file() is used by the port that mapped it, and by
 * every port that joined the region and shares the mapping through the context. Each holds a
 * reference to a struct unm_filemap, so that ports may be closed in any order.
 */
#ifndef UNM_NMPORT_PRIV_H
#define UNM_NMPORT_PRIV_H

/* Only programs ask for the mutex, never the library itself: see nmctx_threads.c. */
#define LIBNETMAP_NOTHREADSAFE
#include "libnetmap.h"

#include <errno.h>

/*
 * unm_nmport_result() - from our convention, 0 or a negative errno, to that of the public functions
 *
 * Each public function of these files ends in it; what is static returns negative errnos.
 */
static inline int
unm_nmport_result(int rv)
{
	if (rv >= 0)
		return 0;
	errno = -rv;
	return -1;
}

/**
 * struct nmport_cleanup_d - undo one addition; begins a larger struct where there is more to keep
 * @next: added before this one, or NULL
 * @cleanup: does it; must not free the struct
 */
struct nmport_cleanup_d {
	struct nmport_cleanup_d *next;
	void (*cleanup)(struct nmport_cleanup_d *, struct nmport_d *);
};

/**
 * struct unm_filemap - a file mapped as external memory
 * @n_refs: under the lock of the context
 * @base: address
 * @size: bytes
 */
struct unm_filemap {
	int n_refs;
	void *base;
	size_t size;
};

/**
 * unm_nmport_zalloc() - zeroed memory from the context of a port
 *
 * Reports failure. Return: for nmctx_free(); NULL with errno ENOMEM.
 */
void *unm_nmport_zalloc(struct nmctx *ctx, size_t size);

/** unm_nmport_push_cleanup() - have nmport_undo_parse() call @cleanup; @c then belongs to @d */
void unm_nmport_push_cleanup(struct nmport_d *d, struct nmport_cleanup_d *c,
	void (*cleanup)(struct nmport_cleanup_d *, struct nmport_d *));

/**
 * unm_nmport_drop_option() - take an option that was allocated for @d out of the list and free it
 */
void unm_nmport_drop_option(struct nmport_d *d, struct nmreq_option *opt);

/** unm_filemap_of() - the file behind the external memory of a port, or NULL */
struct unm_filemap *unm_filemap_of(struct nmport_d *d);

/** unm_filemap_get() - another reference; the context is locked */
void unm_filemap_get(struct unm_filemap *map);

/** unm_filemap_put() - drop a reference, unmap and free after the last; the context is locked */
void unm_filemap_put(struct nmctx *ctx, struct unm_filemap *map);

/**
 * unm_last_error() - netmapd's sentence about this thread's last failed open or request, "" = none
 * (session.c)
 *
 * Weak: these files also work on a /dev/netmap that is not ours.
 */
const char *unm_last_error(void) __attribute__((weak));

/** unm_nmport_parsers() - the options of port names */
struct nmreq_opt_parser *unm_nmport_parsers(void);

/**
 * unm_nmreq_number() - decimal digits at *pos
 * @pos: in/out: moved behind the digits on success
 * @max: largest value wanted
 * @out: written on success
 *
 * Return: 0, -EINVAL no digit, -ERANGE above @max.
 */
int unm_nmreq_number(const char **pos, unsigned long max, unsigned long *out);

#endif /* UNM_NMPORT_PRIV_H */
