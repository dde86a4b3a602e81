/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_context.c - proves contexts: the callbacks get what they should, the built-in context prints
 * on stderr, the constructor gives it a mutex, and that ports opened and closed by several threads
 * at once leave the list of regions whole. The latter is for the thread sanitizer.
 */
#include "test_ctx.h"
#include "fake_dev.h"
#include "fake_region.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
default_context(void **state)
{
	struct nmctx *builtin = nmctx_get();
	struct nmport_d *d;

	(void)state;
	test_ctx_init();
	assert_ptr_equal(nmctx_get(), &test_ctx.ctx);
	d = nmport_new();
	assert_ptr_equal(d->ctx, &test_ctx.ctx);
	assert_int_equal(test_ctx.n_live, 1);
	/* A port keeps its context. */
	assert_ptr_equal(nmctx_set_default(NULL), &test_ctx.ctx);
	assert_ptr_equal(nmctx_get(), builtin);
	nmport_delete(d);
	test_ctx_check();
	assert_ptr_equal(nmctx_set_default(&test_ctx.ctx), builtin);
	assert_ptr_equal(nmctx_set_default(builtin), &test_ctx.ctx);
	assert_int_equal(builtin->verbose, 1);
	assert_null(builtin->mem_descs);
}

static void
callbacks(void **state)
{
	void *p;

	(void)state;
	test_ctx_init();
	p = nmctx_malloc(&test_ctx.ctx, 10);
	assert_non_null(p);
	assert_int_equal(test_ctx.n_live, 1);
	nmctx_free(&test_ctx.ctx, p);
	nmctx_free(&test_ctx.ctx, NULL); /* does not reach the callback */
	assert_int_equal(test_ctx.n_live, 0);
	nmctx_lock(&test_ctx.ctx);
	assert_int_equal(test_ctx.locked, 1);
	nmctx_unlock(&test_ctx.ctx);
	assert_int_equal(test_ctx.locked, 0);
	test_ctx.ctx.lock = NULL;
	nmctx_lock(&test_ctx.ctx);
	nmctx_unlock(&test_ctx.ctx);
	nmctx_set_default(NULL);
}

static void
error_messages(void **state)
{
	char want[1100];

	(void)state;
	test_ctx_init();
	errno = ENXIO;
	nmctx_ferror(&test_ctx.ctx, "%d and %s", 5, "text");
	assert_int_equal(errno, ENXIO);
	assert_string_equal(test_ctx.last, "5 and text");
	/* At most 999 characters. */
	memset(want, 'w', sizeof(want) - 1);
	want[sizeof(want) - 1] = '\0';
	nmctx_ferror(&test_ctx.ctx, "%s", want);
	want[999] = '\0';
	assert_string_equal(test_ctx.last, want);
	test_ctx.ctx.verbose = 0;
	nmctx_ferror(&test_ctx.ctx, "not to be seen");
	assert_int_equal(test_ctx.n_errors, 2);
	nmctx_set_default(NULL);
}

static void
builtin_context_prints(void **state)
{
	char text[64] = "";
	FILE *tmp = tmpfile();
	int saved = dup(STDERR_FILENO);

	(void)state;
	assert_non_null(tmp);
	assert_int_not_equal(saved, -1);
	dup2(fileno(tmp), STDERR_FILENO);
	nmctx_ferror(nmctx_get(), "x=%d", 1);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(tmp);
	assert_int_equal(fread(text, 1, sizeof(text), tmp), 4);
	assert_string_equal(text, "x=1\n");
	fclose(tmp);
}

#ifdef LIBNETMAP_NOTHREADSAFE

/* The static library leaves out the object with the constructor. */
static void
lock_of_the_default_context(void **state)
{
	(void)state;
	assert_null(nmctx_get()->lock);
}

#else

/* Including the header was enough; and a lock of the program's own is respected. */
static void
lock_of_the_default_context(void **state)
{
	nmctx_lock_cb installed = nmctx_get()->lock;

	(void)state;
	assert_non_null(installed);
	nmctx_lock(nmctx_get());
	nmctx_unlock(nmctx_get());
	test_ctx_init();
	nmctx_set_threadsafe();
	assert_ptr_not_equal(test_ctx.ctx.lock, installed);
	test_ctx.ctx.lock = NULL;
	nmctx_set_threadsafe();
	assert_ptr_equal(test_ctx.ctx.lock, installed);
	nmctx_set_default(NULL);
}

#define N_THREADS 4
#define N_ROUNDS  300

static void *
open_and_close(void *arg)
{
	int i;

	for (i = 0; i < N_ROUNDS; i++) {
		struct nmport_d *d = nmport_open("netmap:x");

		if (d == NULL || d->mem->mem != fake_dev.mem)
			return arg;
		nmport_close(d);
	}
	return NULL;
}

static void
several_threads(void **state)
{
	static const struct fake_geometry geo = {1, 1, 1, 1, 8, 128};
	struct fake_region region;
	pthread_t threads[N_THREADS];
	void *failed;
	int i;

	(void)state;
	fake_region_init(&region, &geo);
	memset(&fake_dev, 0, sizeof(fake_dev));
	fake_dev.mem = region.mem;
	fake_dev.memsize = region.size;
	fake_dev.offset = FAKE_NIFP_OFS;
	fake_dev.mem_id = 1;
	for (i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, &region), 0);
	for (i = 0; i < N_THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_null(nmctx_get()->mem_descs);
	assert_int_equal(fake_dev.n_opened, N_THREADS * N_ROUNDS);
	assert_int_equal(fake_dev.n_open, 0);
	assert_int_equal(fake_dev.n_mapped, 0);
	fake_region_fini(&region);
}

#endif /* LIBNETMAP_NOTHREADSAFE */

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_context),
		cmocka_unit_test(callbacks),
		cmocka_unit_test(error_messages),
		cmocka_unit_test(builtin_context_prints),
		cmocka_unit_test(lock_of_the_default_context),
#ifndef LIBNETMAP_NOTHREADSAFE
		cmocka_unit_test(several_threads),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
