/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves the descriptor table: references, replacing, walking, internal descriptors, and look-ups that race with changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/epoch.h"
#include "client/fdtab.h"
#include "shm/atomic.h"

struct thing {
	struct unm_file file;
	uint32_t alive;
};

static int n_released;

static void
release_thing(struct unm_file *f)
{
	((struct thing *)f)->alive = 0;
	__atomic_fetch_add(&n_released, 1, __ATOMIC_RELAXED);
}

static struct thing
new_thing(void)
{
	return (struct thing){{UNM_FILE_DESC, 1, release_thing}, 1};
}

static void
references(void **state)
{
	struct thing a = new_thing(), b = new_thing();

	(void)state;
	n_released = 0;
	assert_null(unm_fdtab_get(5));
	assert_null(unm_fdtab_get(-1));
	assert_null(unm_fdtab_get(INT32_MAX));
	assert_int_equal(unm_fdtab_set(5, &a.file), 0);
	assert_true(unm_fdtab_used);
	unm_file_hold(&a.file);
	assert_int_equal(unm_fdtab_set(7, &a.file), 0);
	assert_ptr_equal(unm_fdtab_get(7), &a.file);
	assert_int_equal(unm_fdtab_set(5, &b.file), 0); /* replaced: one of a's references goes */
	assert_int_equal(n_released, 0);
	assert_ptr_equal(unm_fdtab_take(7), &a.file);
	assert_null(unm_fdtab_take(7));
	unm_file_put(&a.file);
	assert_int_equal(n_released, 1);
	assert_false(unm_file_try_hold(&a.file)); /* too late */
	unm_file_put(unm_fdtab_take(5));
	assert_int_equal(n_released, 2);
	assert_int_equal(unm_fdtab_set(UNM_FDTAB_MAX, &b.file), -EMFILE);
	assert_int_equal(unm_fdtab_set(-1, &b.file), -EMFILE);
}

static void
walking(void **state)
{
	static const int at[] = {0, 3, 1023, 1024, 5000, UNM_FDTAB_MAX - 1};
	struct thing a = new_thing();
	size_t i, n = sizeof(at) / sizeof(at[0]);
	int fd;

	(void)state;
	for (i = 0; i < n; i++) {
		unm_file_hold(&a.file);
		assert_int_equal(unm_fdtab_set(at[i], &a.file), 0);
	}
	for (i = 0, fd = unm_fdtab_next(0, INT32_MAX); fd >= 0;
		fd = unm_fdtab_next(fd + 1, INT32_MAX))
		assert_int_equal(fd, at[i++]);
	assert_int_equal(i, n);
	assert_int_equal(unm_fdtab_next(4, 1022), -1);
	assert_int_equal(unm_fdtab_next(4, 1023), 1023);
	for (i = 0; i < n; i++)
		unm_file_put(unm_fdtab_take(at[i]));
	assert_int_equal(unm_fdtab_next(0, INT32_MAX), -1);
}

static void
internal_descriptors(void **state)
{
	int fd = dup(0), moved;

	(void)state;
	moved = unm_fd_internal(fd);
	assert_true(moved >= 512);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* moved, not copied */
	assert_int_equal(fcntl(moved, F_GETFD), FD_CLOEXEC);
	assert_int_equal(close(moved), -1); /* ours is the close() that refuses */
	assert_int_equal(errno, EBADF);
	assert_int_equal(fcntl(moved, F_GETFD), FD_CLOEXEC);
	unm_fd_internal_close(moved);
	assert_int_equal(fcntl(moved, F_GETFD), -1);
	unm_fd_internal_close(-1);
}

#define RACE_ROUNDS 20000

static uint32_t race_over;

static void
free_thing(void *arg)
{
	struct thing *t = arg;

	t->alive = 0xdead;
	free(t);
}

static void
retire_thing(struct unm_file *f)
{
	unm_epoch_retire(free_thing, f);
}

static void *
reader_main(void *arg)
{
	uint64_t *n_seen = arg;
	struct unm_thread *t = unm_thread_get();

	while (!unm_load_acquire(&race_over)) {
		const bool outer = unm_epoch_enter(t);
		const struct thing *thing = (const struct thing *)unm_fdtab_get(9);

		if (thing != NULL) {
			assert_int_equal(UNM_READ_ONCE(thing->alive), 1);
			(*n_seen)++;
		}
		unm_epoch_exit(t, outer);
	}
	return NULL;
}

/* A thing found in a section stays whole until the section ends, though it is taken out and retired meanwhile. */
static void
readers_race_with_the_end(void **state)
{
	uint64_t n_seen[2] = {0};
	pthread_t t[2];
	int i;

	(void)state;
	unm_epoch_init();
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader_main, &n_seen[i]), 0);
	for (i = 0; i < RACE_ROUNDS || n_seen[0] + n_seen[1] == 0; i++) {
		struct thing *thing = malloc(sizeof(*thing));

		assert_non_null(thing);
		*thing = (struct thing){{UNM_FILE_DESC, 1, retire_thing}, 1};
		assert_int_equal(unm_fdtab_set(9, &thing->file), 0);
		unm_file_put(unm_fdtab_take(9));
		if (i % 64 == 0)
			unm_epoch_collect();
	}
	unm_store_release(&race_over, 1);
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	unm_epoch_collect();
	assert_false(unm_epoch_pending());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references),
		cmocka_unit_test(walking),
		cmocka_unit_test(internal_descriptors),
		cmocka_unit_test(readers_race_with_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
