/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ctx.h - a context of libnetmap that remembers: messages, memory not freed, locks held.
 */
#ifndef TEST_CTX_H
#define TEST_CTX_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <libnetmap.h>

/**
 * struct test_ctx - the context comes first, so that callbacks find the rest
 * @ctx: for the library
 * @n_errors: messages since test_ctx_init()
 * @last: the last one
 * @n_live: allocations not freed
 * @n_allocs: allocations ever asked for
 * @fail_at: refuse the allocation with this number, counted from 1; 0 for none
 * @locked: held now
 * @n_locks: times it was taken
 */
struct test_ctx {
	struct nmctx ctx;
	int n_errors;
	char last[1000];
	int n_live;
	int n_allocs;
	int fail_at;
	int locked;
	int n_locks;
};

extern struct test_ctx test_ctx;

/** test_ctx_init() - start afresh, and make it the default context */
void test_ctx_init(void);

/** test_ctx_check() - fail the test if anything is allocated, mapped or locked still */
void test_ctx_check(void);

#endif /* TEST_CTX_H */
