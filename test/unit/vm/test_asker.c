/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread that asks: a job is repeated until it is done, what was wanted last is what it says
 * last, one that waits keeps nobody but other jobs, and none runs after its end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <stdbool.h>

#include "vm/asker.h"

#define N_JOBS 3

struct job {
	struct unm_ask ask;
	/* Under the asker's lock */
	unsigned int n_runs, n_failures, wanted, said;
	bool is_held;
};

static struct job job[N_JOBS];

static bool
work(struct unm_ask *a)
{
	struct job *j = (struct job *)(void *)a;
	unsigned int wanted;
	bool done;

	unm_asker_lock();
	wanted = j->wanted;
	while (j->is_held) {
		unm_asker_unlock();
		poll(NULL, 0, 1);
		unm_asker_lock();
	}
	j->n_runs++;
	done = j->n_failures == 0;
	if (done)
		j->said = wanted;
	else
		j->n_failures--;
	unm_asker_unlock();
	return done;
}

static void
want(struct job *j, unsigned int what)
{
	unm_asker_lock();
	j->wanted = what;
	unm_asker_unlock();
	unm_ask(&j->ask);
}

static void
hold(struct job *j, bool on)
{
	unm_asker_lock();
	j->is_held = on;
	unm_asker_unlock();
}

static void
settle(struct job *j)
{
	while (unm_ask_is_busy(&j->ask)) /* the test's time limit ends it */
		poll(NULL, 0, 1);
}

static int
setup(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < N_JOBS; i++)
		job[i] = (struct job){.ask = {.fn = work}};
	return unm_asker_start();
}

static int
teardown(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < N_JOBS; i++)
		unm_ask_end(&job[i].ask);
	unm_asker_stop();
	return 0;
}

static void
repeated_until_done(void **state)
{
	(void)state;
	job[0].n_failures = 3;
	want(&job[0], 5);
	want(&job[1], 6);
	settle(&job[1]);
	assert_int_equal(job[1].said, 6); /* not kept by the other's pauses */
	settle(&job[0]);
	assert_int_equal(job[0].n_runs, 4);
	assert_int_equal(job[0].said, 5);
}

static void
last_wish_counts(void **state)
{
	unsigned int i;

	(void)state;
	hold(&job[0], true);
	for (i = 1; i <= 10; i++) { /* none of these waits */
		want(&job[0], i);
		poll(NULL, 0, 1);
	}
	hold(&job[0], false);
	settle(&job[0]);
	assert_int_equal(job[0].said, 10);
	assert_true(job[0].n_runs <= 2);
}

static void
nothing_after_the_end(void **state)
{
	(void)state;
	hold(&job[0], true);
	want(&job[0], 1);
	want(&job[1], 2);
	unm_ask_end(&job[1].ask); /* it has not begun, or is done */
	hold(&job[0], false);
	settle(&job[0]);
	job[0].n_failures = 1000;
	want(&job[0], 3);
	poll(NULL, 0, 20);
	unm_ask_end(&job[0].ask);
	job[0].n_runs = 0;
	poll(NULL, 0, 120);
	assert_int_equal(job[0].n_runs, 0);
	assert_false(unm_ask_is_busy(&job[0].ask));
	job[0].n_failures = 0;
	want(&job[0], 4); /* it can begin again */
	settle(&job[0]);
	assert_int_equal(job[0].said, 4);
}

static void
without_the_thread(void **state)
{
	(void)state;
	unm_asker_stop();
	want(&job[0], 7);
	assert_int_equal(job[0].said, 7);
	assert_false(unm_ask_is_busy(&job[0].ask));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(repeated_until_done, setup, teardown),
		cmocka_unit_test_setup_teardown(last_wish_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_after_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(without_the_thread, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
