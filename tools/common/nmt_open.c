/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening ports, with what to say if that fails: see nmt_open.h. */
/* Whether ports are opened in several threads is the program's to say. */
#define LIBNETMAP_NOTHREADSAFE
#include "nmt_open.h"

#include <errno.h>
#include <string.h>

/* What the library said last: it prints, unless somebody keeps it. W: main */
static struct nmt_err library_message;

static void
keep_message(struct nmctx *ctx, const char *text)
{
	(void)ctx; /* there is only the default one */
	nmt_err_set(&library_message, 0, "%s", text);
}

static void
listen_to_library(void)
{
	nmctx_get()->error = keep_message;
	library_message.text[0] = '\0';
	errno = 0;
}

static int
open_failed(const char *spec, struct nmt_err *err)
{
	const int error = errno != 0 ? -errno : -EINVAL;
	const char *why = nmctx_last_error();

	if (why[0] == '\0')
		why = library_message.text;
	return nmt_err_set(err, error, "cannot open %.80s: %s%s%.300s", spec, strerror(-error),
		why[0] != '\0' ? ": " : "", why);
}

struct nmport_d *
nmt_port_prepare(const char *spec, struct nmt_err *err)
{
	struct nmport_d *d;

	listen_to_library();
	d = nmport_prepare(spec);
	if (d == NULL)
		errno = -open_failed(spec, err);
	return d;
}

int
nmt_port_open_desc(struct nmport_d *d, const char *spec, struct nmt_err *err)
{
	listen_to_library();
	return nmport_open_desc(d) == 0 ? 0 : open_failed(spec, err);
}

struct nmport_d *
nmt_port_open(const char *spec, struct nmt_err *err)
{
	struct nmport_d *d = nmt_port_prepare(spec, err);
	int error;

	if (d == NULL)
		return NULL;
	error = nmt_port_open_desc(d, spec, err);
	if (error == 0)
		return d;
	nmport_undo_prepare(d);
	errno = -error;
	return NULL;
}
