/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmctx_threads.c - a mutex for the default context, for programs with threads.
 *
 * libnetmap.h makes every program that includes it refer to nmctx_threadsafe, unless it defines
 * LIBNETMAP_NOTHREADSAFE. With the static library that reference is what links this object, and
 * the constructor below does the rest; without it the object stays out. The shared library always
 * contains both. Nothing else may be defined here that another object needs.
 */
#include "libnetmap.h"

#include <pthread.h>

int nmctx_threadsafe;

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;

static void
lock_default(struct nmctx *ctx, int lock)
{
	(void)ctx; /* one mutex: only one context is the default one when this is installed */
	if (lock)
		pthread_mutex_lock(&default_lock);
	else
		pthread_mutex_unlock(&default_lock);
}

__attribute__((constructor)) void
nmctx_set_threadsafe(void)
{
	struct nmctx *ctx = nmctx_get();

	if (ctx->lock == NULL)
		ctx->lock = lock_default;
}
