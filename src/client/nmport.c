/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmport.c - life of a port descriptor: made, parsed, registered, closed.
 *
 * States of a struct nmport_d, each step with the function that undoes it:
 *
 *	new          nmport_new()       nmport_delete()        memory of the struct
 *	prepared     nmport_parse()     nmport_undo_parse()    hdr, reg, the list of cleanups
 *	registered   nmport_register()  nmport_undo_register() fd, register_done
 *	mapped       nmport_mmap()      nmport_undo_mmap()     mem, nifp, rings (nmport_mmap.c)
 *
 * A step is taken only from the state before it, with one exception: a program may skip parsing and
 * fill hdr and reg itself. Undoing a step that was not taken does nothing.
 */
#include "nmport_priv.h"

#include <stdbool.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void *
unm_nmport_zalloc(struct nmctx *ctx, size_t size)
{
	void *p = nmctx_malloc(ctx, size);

	if (p == NULL) {
		nmctx_ferror(ctx, "no memory: %zu bytes for a port", size);
		errno = ENOMEM;
		return NULL;
	}
	return memset(p, 0, size);
}

void
unm_nmport_push_cleanup(struct nmport_d *d, struct nmport_cleanup_d *c,
	void (*cleanup)(struct nmport_cleanup_d *, struct nmport_d *))
{
	c->cleanup = cleanup;
	c->next = d->clist;
	d->clist = c;
}

void
unm_nmport_drop_option(struct nmport_d *d, struct nmreq_option *opt)
{
	nmreq_remove_option(&d->hdr, opt);
	nmctx_free(d->ctx, opt);
}

void
nmport_do_cleanup(struct nmport_d *d)
{
	while (d->clist != NULL) {
		struct nmport_cleanup_d *c = d->clist;

		d->clist = c->next;
		c->cleanup(c, d);
		nmctx_free(d->ctx, c);
	}
}

static struct nmport_d *
new_in_context(struct nmctx *ctx)
{
	struct nmport_d *d = unm_nmport_zalloc(ctx, sizeof(*d));

	if (d == NULL)
		return NULL;
	nmreq_header_init(&d->hdr, NETMAP_REQ_REGISTER, &d->reg);
	d->ctx = ctx;
	d->fd = -1;
	return d;
}

struct nmport_d *
nmport_new(void)
{
	return new_in_context(nmctx_get());
}

void
nmport_delete(struct nmport_d *d)
{
	if (d != NULL)
		nmctx_free(d->ctx, d);
}

/*
 * "tap:x%my-ns": the name has ended at the "-", and what follows is neither ring nor flags. Say how
 * such a namespace is named.
 */
static void
explain_netns(const struct nmport_d *d, const char *portspec)
{
	const char *tap = strstr(portspec, "tap:"), *netns = tap != NULL ? strchr(tap, '%') : NULL;

	if (netns != NULL && strncmp(d->hdr.nr_name, "tap:", 4) == 0)
		nmctx_ferror(d->ctx,
			"%s: after %% the name of a network namespace ends at - * ^ / or @; one "
			"that has these is given as an option: %.*s@netns=%s",
			portspec, (int)(netns - tap), tap, netns + 1);
}

/* "x%pid:-1": the name has ended at the "-". */
static bool
has_pid(const struct nmreq_header *hdr)
{
	const char *netns = strrchr(hdr->nr_name, '%');

	return netns == NULL || strcmp(netns, "%pid:") != 0;
}

int
nmport_parse(struct nmport_d *d, const char *portspec)
{
	const char *scan = portspec;
	int err;

	/* nmport_undo_parse() leaves zeros; any other header may carry options already. */
	if (d->hdr.nr_version == 0)
		nmreq_header_init(&d->hdr, NETMAP_REQ_REGISTER, &d->reg);
	err = nmreq_header_decode(&scan, &d->hdr, d->ctx) < 0 ? -errno : 0;
	if (err == 0 && !has_pid(&d->hdr)) {
		nmctx_ferror(d->ctx, "%s: pid: needs the number of a process", portspec);
		err = -EINVAL;
	}
	if (err == 0 && nmreq_register_decode(&scan, &d->reg, d->ctx) < 0) {
		err = -errno;
		explain_netns(d, portspec);
	}
	if (err == 0 && nmreq_options_decode(scan, unm_nmport_parsers(), d, d->ctx) < 0)
		err = -errno;
	if (err == 0)
		return 0;
	nmport_undo_parse(d);
	return unm_nmport_result(err);
}

void
nmport_undo_parse(struct nmport_d *d)
{
	nmport_do_cleanup(d);
	memset(&d->reg, 0, sizeof(d->reg));
	memset(&d->hdr, 0, sizeof(d->hdr));
}

struct nmport_d *
nmport_prepare(const char *portspec)
{
	struct nmport_d *d = nmport_new();

	if (d == NULL)
		return NULL;
	if (nmport_parse(d, portspec) < 0) {
		const int err = errno;

		nmport_delete(d);
		errno = err;
		return NULL;
	}
	return d;
}

void
nmport_undo_prepare(struct nmport_d *d)
{
	if (d == NULL)
		return;
	nmport_undo_parse(d);
	nmport_delete(d);
}

const char *
nmctx_last_error(void)
{
	return unm_last_error != NULL ? unm_last_error() : "";
}

/* What was wrong and what to do, as netmapd says it; else what the errno says. */
static const char *
reason(int err)
{
	const char *text = nmctx_last_error();

	return text[0] != '\0' ? text : strerror(err);
}

/*
 * Tell why a registration failed: the options that were not accepted, and the errno unless one of
 * them explains it. Options that were not reached are among the former, with EOPNOTSUPP.
 */
static void
report_register(struct nmport_d *d, int err)
{
	struct nmreq_option *opt;
	int explained = 0;

	nmreq_foreach_option(&d->hdr, opt)
	{
		if (opt->nro_status == 0)
			continue;
		nmctx_ferror(d->ctx, "%s: option %s: %s", d->hdr.nr_name,
			nmreq_option_name(opt->nro_reqtype), strerror((int)opt->nro_status));
		explained = explained || (int)opt->nro_status == err;
	}
	if (!explained)
		nmctx_ferror(d->ctx, "%s: cannot register: %s", d->hdr.nr_name, reason(err));
}

int
nmport_register_fd(struct nmport_d *d, int fd)
{
	if (d->register_done) {
		nmctx_ferror(d->ctx, "%s: registered already", d->hdr.nr_name);
		return unm_nmport_result(-EINVAL);
	}
	if (ioctl(fd, NIOCCTRL, &d->hdr) < 0) {
		const int err = errno;

		report_register(d, err);
		return unm_nmport_result(-err);
	}
	d->fd = fd;
	d->register_done = 1;
	return 0;
}

int
nmport_register(struct nmport_d *d)
{
	int fd, err;

	/* nmport_register_fd() says so, before it looks at the descriptor. */
	if (d->register_done)
		return nmport_register_fd(d, -1);
	fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (fd < 0) {
		err = errno;
		nmctx_ferror(d->ctx, "cannot open %s: %s", NETMAP_DEVICE_NAME, reason(err));
		return unm_nmport_result(-err);
	}
	if (nmport_register_fd(d, fd) < 0) {
		err = errno;
		close(fd);
		return unm_nmport_result(-err);
	}
	return 0;
}

void
nmport_undo_register(struct nmport_d *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	d->register_done = 0;
}

int
nmport_open_desc(struct nmport_d *d)
{
	if (nmport_register(d) < 0)
		return -1;
	if (nmport_mmap(d) < 0) {
		const int err = errno;

		nmport_undo_open_desc(d);
		return unm_nmport_result(-err);
	}
	return 0;
}

void
nmport_undo_open_desc(struct nmport_d *d)
{
	if (d == NULL)
		return;
	nmport_undo_mmap(d);
	nmport_undo_register(d);
}

struct nmport_d *
nmport_open(const char *portspec)
{
	struct nmport_d *d = nmport_prepare(portspec);

	if (d == NULL)
		return NULL;
	if (nmport_open_desc(d) < 0) {
		const int err = errno;

		nmport_undo_prepare(d);
		errno = err;
		return NULL;
	}
	return d;
}

void
nmport_close(struct nmport_d *d)
{
	nmport_undo_open_desc(d);
	nmport_undo_prepare(d);
}

struct nmport_d *
nmport_clone(struct nmport_d *d)
{
	struct nmport_d *c;

	if (d->extmem != NULL && !d->register_done) {
		nmctx_ferror(d->ctx, "%s: a port with external memory is cloned after registration",
			d->hdr.nr_name);
		errno = EINVAL;
		return NULL;
	}
	c = new_in_context(d->ctx);
	if (c == NULL)
		return NULL;
	c->hdr = d->hdr;
	c->hdr.nr_options = 0;
	c->hdr.nr_body = (uintptr_t)&c->reg;
	c->reg = d->reg;
	return c;
}
