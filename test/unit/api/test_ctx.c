/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ctx.c - see test_ctx.h.
 */
#include "test_ctx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_ctx test_ctx;

static void
remember_error(struct nmctx *ctx, const char *msg)
{
	struct test_ctx *t = (struct test_ctx *)ctx;

	t->n_errors++;
	snprintf(t->last, sizeof(t->last), "%s", msg);
}

static void *
counted_malloc(struct nmctx *ctx, size_t size)
{
	struct test_ctx *t = (struct test_ctx *)ctx;

	if (++t->n_allocs == t->fail_at)
		return NULL;
	t->n_live++;
	return malloc(size);
}

static void
counted_free(struct nmctx *ctx, void *ptr)
{
	struct test_ctx *t = (struct test_ctx *)ctx;

	t->n_live--;
	free(ptr);
}

static void
checked_lock(struct nmctx *ctx, int lock)
{
	struct test_ctx *t = (struct test_ctx *)ctx;

	assert_int_equal(t->locked, !lock);
	t->locked = lock;
	t->n_locks += lock;
}

void
test_ctx_init(void)
{
	memset(&test_ctx, 0, sizeof(test_ctx));
	test_ctx.ctx.verbose = 1;
	test_ctx.ctx.error = remember_error;
	test_ctx.ctx.malloc = counted_malloc;
	test_ctx.ctx.free = counted_free;
	test_ctx.ctx.lock = checked_lock;
	nmctx_set_default(&test_ctx.ctx);
}

void
test_ctx_check(void)
{
	assert_int_equal(test_ctx.n_live, 0);
	assert_int_equal(test_ctx.locked, 0);
	assert_null(test_ctx.ctx.mem_descs);
}
