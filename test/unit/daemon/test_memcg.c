/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: what memory cgroups have left is the least of all levels, in both versions, also in a
 * container that sees its own cgroup as the mount's root; caches are no use; no limit is none.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/memcg.h"

#define MIB (UINT64_C(1) << 20)

static char base[] = "/tmp/unm-memcg-XXXXXX";

/* Make the file, and the directories above it. */
static void
put(const char *path, const char *text)
{
	char full[PATH_MAX];
	char *p;
	FILE *f;

	assert_true(snprintf(full, sizeof(full), "%s%s", base, path) < (int)sizeof(full));
	for (p = full + strlen(base) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		(void)mkdir(full, 0700);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static uint64_t
room(void)
{
	char proc[PATH_MAX];

	assert_true(snprintf(proc, sizeof(proc), "%s/proc", base) < (int)sizeof(proc));
	return unm_memcg_room_at(proc, base);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(base + sizeof(base) - 7, "XXXXXX");
	return mkdtemp(base) == NULL;
}

static int
teardown(void **state)
{
	char command[PATH_MAX];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

static void
none(void **state)
{
	(void)state;
	assert_true(room() == UINT64_MAX); /* no such file */
	put("/proc", "nonsense\n4:memory:/a\n0::/b\n");
	assert_true(room() == UINT64_MAX); /* no such cgroups */
	put("/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
	put("/memory/a/memory.usage_in_bytes", "1000\n");
	put("/b/memory.max", "max\n");
	put("/b/memory.current", "1000\n");
	assert_true(room() == UINT64_MAX);
}

static void
first_version(void **state)
{
	(void)state;
	put("/proc", "5:cpu,memory:/a/b\n3:cpuset:/\n0::/\n");
	put("/memory/a/b/memory.limit_in_bytes", "167772160\n"); /* 160 MiB */
	put("/memory/a/b/memory.usage_in_bytes", "83886080\n");	 /* 80 */
	assert_true(room() == 70 * MIB);
	put("/memory/a/b/memory.stat", "inactive_file 7\ntotal_inactive_file 41943040\nother 1\n");
	assert_true(room() == 105 * MIB);		       /* 120 */
	put("/memory/a/memory.limit_in_bytes", "100663296\n"); /* 96 MiB */
	put("/memory/a/memory.usage_in_bytes", "83886080\n");
	assert_true(room() == 14 * MIB);
	put("/memory/memory.limit_in_bytes", "83886080\n");
	put("/memory/memory.usage_in_bytes", "83886081\n");
	assert_true(room() == 0);
}

static void
second_version(void **state)
{
	(void)state;
	put("/proc", "0::/user.slice/x\n");
	put("/user.slice/x/memory.max", "max\n");
	put("/user.slice/x/memory.current", "0\n");
	put("/user.slice/memory.max", "16777216\n");
	put("/user.slice/memory.current", "8388608\n");
	assert_true(room() == 7 * MIB);
	put("/unified/user.slice/x/memory.max", "8388608\n"); /* beside version 1 */
	put("/unified/user.slice/x/memory.current", "0\n");
	put("/unified/user.slice/x/memory.stat", "inactive_file 99999999999\n");
	put("/user.slice/memory.current", "0\n");
	assert_true(room() == 7 * MIB);
}

/* The path is the host's, the mount shows the container's own part. */
static void
container(void **state)
{
	(void)state;
	put("/proc", "4:memory:/docker/0123\n");
	put("/memory/memory.limit_in_bytes", "125829120\n"); /* 120 MiB */
	put("/memory/memory.usage_in_bytes", "0\n");
	assert_true(room() == 105 * MIB);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(none, setup, teardown),
		cmocka_unit_test_setup_teardown(first_version, setup, teardown),
		cmocka_unit_test_setup_teardown(second_version, setup, teardown),
		cmocka_unit_test_setup_teardown(container, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
