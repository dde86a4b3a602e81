/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves that a bad address in a request is EFAULT, wherever in it the bad part lies, and never a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "client/uaccess.h"

#define PAGE 4096

static void
good_and_bad(void **state)
{
	char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char buf[64];

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(munmap(p + PAGE, PAGE), 0);
	memset(p, 7, PAGE);
	errno = E2BIG;
	assert_int_equal(unm_user_read(buf, (uintptr_t)p + PAGE - 64, 64), 0);
	assert_int_equal(buf[63], 7);
	assert_int_equal(unm_user_read(buf, (uintptr_t)p + PAGE - 63, 64), -EFAULT);
	assert_int_equal(unm_user_read(buf, (uintptr_t)p + 2 * PAGE - 1, 64), -EFAULT);
	assert_int_equal(unm_user_read(buf, 0, 1), -EFAULT);
	assert_int_equal(unm_user_read(buf, UINT64_MAX - 3, 8), -EFAULT);
	assert_int_equal(unm_user_read(buf, 0, 0), 0);
	assert_int_equal(unm_user_write((uintptr_t)p + 2 * PAGE, buf, 64), 0);
	assert_int_equal(p[2 * PAGE + 63], 7);
	assert_int_equal(unm_user_write((uintptr_t)p + PAGE - 1, buf, 2), -EFAULT);
	assert_int_equal(mprotect(p, PAGE, PROT_READ), 0);
	assert_int_equal(unm_user_write((uintptr_t)p, buf, 1), -EFAULT);
	assert_int_equal(errno, E2BIG);
	munmap(p, 3 * PAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_and_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
