/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmctx.c - contexts: how libnetmap prints, allocates and locks.
 *
 * A context is a table of callbacks with the list of regions mapped through it. Ports keep the
 * context they were made in; new ports get the default one. The library's own context prints on
 * stderr, uses libc's allocator and has no lock until nmctx_threads.c gives it one.
 */
#include "nmport_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Longest message, with its zero byte. */
#define ERROR_SIZE 1000

static void
builtin_error(struct nmctx *ctx, const char *msg)
{
	(void)ctx; /* all contexts share stderr */
	fprintf(stderr, "%s\n", msg);
}

static void *
builtin_malloc(struct nmctx *ctx, size_t sz)
{
	(void)ctx; /* all contexts share the heap */
	return malloc(sz);
}

static void
builtin_free(struct nmctx *ctx, void *ptr)
{
	(void)ctx; /* all contexts share the heap */
	free(ptr);
}

static struct nmctx builtin_ctx = {
	.verbose = 1,
	.error = builtin_error,
	.malloc = builtin_malloc,
	.free = builtin_free,
};

/* W: the program, before its threads. */
static struct nmctx *default_ctx = &builtin_ctx;

struct nmctx *
nmctx_get(void)
{
	return default_ctx;
}

struct nmctx *
nmctx_set_default(struct nmctx *ctx)
{
	struct nmctx *old = default_ctx;

	default_ctx = ctx != NULL ? ctx : &builtin_ctx;
	return old;
}

void
nmctx_ferror(struct nmctx *ctx, const char *fmt, ...)
{
	const int saved_errno = errno; /* callers report first and return errno after */
	char msg[ERROR_SIZE];
	va_list ap;

	if (!ctx->verbose || ctx->error == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	ctx->error(ctx, msg);
	errno = saved_errno;
}

void *
nmctx_malloc(struct nmctx *ctx, size_t sz)
{
	return ctx->malloc(ctx, sz);
}

void
nmctx_free(struct nmctx *ctx, void *ptr)
{
	if (ptr != NULL)
		ctx->free(ctx, ptr);
}

void
nmctx_lock(struct nmctx *ctx)
{
	if (ctx->lock != NULL)
		ctx->lock(ctx, 1);
}

void
nmctx_unlock(struct nmctx *ctx)
{
	if (ctx->lock != NULL)
		ctx->lock(ctx, 0);
}
