/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock word in shared memory: exclusion among processes, holders that are killed, garbage in the word, bounded
 * waiting, and the mark that a waiter leaves.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/lock.h"
#include "traffic.h"

#define MS	 UINT64_C(1000000)
#define SLACK_NS (2000 * MS) /* what a loaded machine may add to a bounded wait */

struct shared {
	uint32_t word;
	uint32_t n_waiting;
	uint64_t counter; /* protected by word, not atomic */
	uint64_t done;
};

static struct shared *
shared_new(void)
{
	struct shared *s =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(s != MAP_FAILED);
	return s;
}

static void
expect_exit(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
words(void **state)
{
	uint32_t word = 0;

	(void)state;
	assert_int_equal(unm_lock_try(&word, 7), 0);
	assert_int_equal(word, 7);
	assert_int_equal(unm_lock_try(&word, 8), -EBUSY);
	assert_int_equal(unm_lock_try(&word, 7), -EBUSY); /* two threads of one client */
	assert_int_equal(unm_lock_break(&word, 8), 0);
	assert_int_equal(word, 7);
	assert_false(unm_lock_release(&word));
	assert_int_equal(word, 0);
	assert_int_equal(unm_lock_break(&word, 7), 0);
	assert_int_equal(unm_lock_break(&word, 0), 0);
	word = 7 | UNM_LOCK_CONTENDED;
	assert_int_equal(unm_lock_break(&word, 7), 1);
	assert_int_equal(word, 0);
}

static void
turned_away(void **state)
{
	uint32_t word = 0;

	(void)state;
	assert_int_equal(unm_lock_try_or_mark(&word, 7), 0);
	assert_false(unm_lock_release_unslept(&word));
	assert_int_equal(unm_lock_try_or_mark(&word, 7), 0);
	assert_int_equal(unm_lock_try_or_mark(&word, 8), -EBUSY);
	assert_int_equal(unm_lock_try_or_mark(&word, 8), -EBUSY);
	assert_int_equal(word, 7 | UNM_LOCK_CONTENDED);
	assert_true(unm_lock_release_unslept(&word));
	assert_int_equal(unm_lock_try_or_mark(&word, 8), 0);
	assert_false(unm_lock_release_unslept(&word));
}

/* Nobody frees the word: the wait ends, not before its time, and leaves the word marked for the next release. */
static void
garbage(void **state)
{
	static const uint32_t values[] = {
		9, 9 | UNM_LOCK_CONTENDED, 0x12345678, UINT32_MAX, UNM_LOCK_CONTENDED};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint32_t word = values[i];
		const uint64_t start = traffic_now_ns();
		uint64_t took;

		assert_int_equal(unm_lock_take(&word, 1), -ETIMEDOUT);
		took = traffic_now_ns() - start;
		assert_true(took >= UNM_LOCK_WAIT_NS);
		assert_true(took < UNM_LOCK_WAIT_NS + SLACK_NS);
		assert_int_equal(word, values[i] | UNM_LOCK_CONTENDED);
		assert_true(unm_lock_release(&word));
	}
}

static void
budget(void **state)
{
	uint64_t left = 30 * MS, start = traffic_now_ns(), took;
	uint32_t stuck[50], i, word = 0;

	(void)state;
	for (i = 0; i < 50; i++) {
		stuck[i] = 9;
		assert_int_equal(unm_lock_wait(&stuck[i], 1, &left), -ETIMEDOUT);
	}
	took = traffic_now_ns() - start;
	assert_true(took >= 30 * MS);
	assert_true(took < 30 * MS + SLACK_NS);
	assert_true(left == 0);
	assert_int_equal(unm_lock_wait(&word, 1, &left), 0); /* a free one is taken without any */
}

#define N_CLIENTS 4
#define N_TURNS	  20000

/* Each process adds to a counter that only the lock protects. */
static void
processes(void **state)
{
	struct shared *s = shared_new();
	pid_t pid[N_CLIENTS];
	uint32_t i;

	(void)state;
	for (i = 0; i < N_CLIENTS; i++) {
		pid[i] = fork();
		CHECK(pid[i] >= 0);
		if (pid[i] == 0) {
			uint64_t n_done = 0;

			while (n_done < N_TURNS) {
				if (unm_lock_take(&s->word, i + 1) != 0)
					continue; /* starved for 50 ms on a loaded machine */
				CHECK((UNM_READ_ONCE(s->word) & UNM_LOCK_SLOT_MASK) == i + 1);
				s->counter++;
				n_done++;
				unm_lock_release(&s->word);
			}
			_exit(0);
		}
	}
	for (i = 0; i < N_CLIENTS; i++)
		expect_exit(pid[i]);
	assert_true(s->counter == (uint64_t)N_CLIENTS * N_TURNS);
	assert_int_equal(s->word, 0);
	munmap(s, 4096);
}

/* The holder is killed while others wait: after the break each of them gets the lock, without waiting for a timeout. */
static void
holder_killed(void **state)
{
	struct shared *s = shared_new();
	int round;

	(void)state;
	for (round = 0; round < 30; round++) {
		pid_t holder, waiter[3];
		uint64_t start;
		uint32_t i;

		memset(s, 0, sizeof(*s));
		holder = fork();
		CHECK(holder >= 0);
		if (holder == 0) {
			unm_lock_take(&s->word, 9);
			pause();
			_exit(1);
		}
		while ((UNM_READ_ONCE(s->word) & UNM_LOCK_SLOT_MASK) != 9)
			usleep(100);
		for (i = 0; i < 3; i++) {
			waiter[i] = fork();
			CHECK(waiter[i] >= 0);
			if (waiter[i] == 0) {
				uint64_t patience = 60000 * MS;

				__atomic_fetch_add(&s->n_waiting, 1, __ATOMIC_SEQ_CST);
				CHECK(unm_lock_wait(&s->word, 10 + i, &patience) == 0);
				s->done++;
				unm_lock_release(&s->word);
				_exit(0);
			}
		}
		kill(holder, SIGKILL);
		waitpid(holder, NULL, 0);
		while (UNM_READ_ONCE(s->n_waiting) < 3)
			usleep(100);
		usleep((unsigned int)round * 50); /* some spin, some sleep */
		start = traffic_now_ns();
		assert_int_equal(unm_lock_break(&s->word, 9), 1);
		for (i = 0; i < 3; i++)
			expect_exit(waiter[i]);
		assert_true(s->done == 3);
		assert_true(traffic_now_ns() - start < 30000 * MS);
		assert_int_equal(s->word, 0);
	}
	munmap(s, 4096);
}

static uint32_t break_word;
static uint32_t break_stop;

static void *
marker(void *arg)
{
	(void)arg;
	while (!UNM_READ_ONCE(break_stop)) {
		if (UNM_READ_ONCE(break_word) == 9)
			unm_cas(&break_word, 9, 9 | UNM_LOCK_CONTENDED);
	}
	return NULL;
}

/* A waiter marks the word at the very moment of the break: the word of a dead holder is freed all the same. */
static void
break_against_mark(void **state)
{
	pthread_t t;
	int i;

	(void)state;
	UNM_WRITE_ONCE(break_stop, 0);
	assert_int_equal(pthread_create(&t, NULL, marker, NULL), 0);
	for (i = 0; i < 300000; i++) {
		UNM_WRITE_ONCE(break_word, 9);
		if (unm_lock_break(&break_word, 9) != 1)
			break;
	}
	UNM_WRITE_ONCE(break_stop, 1);
	pthread_join(t, NULL);
	assert_int_equal(i, 300000);
}

/*
 * Sleepers with a short patience, so that they often give up just when they are woken, and a holder that takes
 * the lock in between without a mark: whoever still sleeps must be woken by the next release.
 */
#define N_IMPATIENT 2

static struct {
	uint32_t word, stop;
} herd;

static void *
impatient(void *arg)
{
	const uint32_t slot = (uint32_t)(uintptr_t)arg;

	while (!UNM_READ_ONCE(herd.stop)) {
		uint64_t patience = 300000;

		if (unm_lock_wait(&herd.word, slot, &patience) == 0)
			unm_lock_release(&herd.word);
	}
	return NULL;
}

static void
wake_is_passed_on(void **state)
{
	pthread_t t[N_IMPATIENT];
	uint64_t end = traffic_now_ns() + 500 * MS;
	uintptr_t i;

	(void)state;
	memset(&herd, 0, sizeof(herd));
	for (i = 0; i < N_IMPATIENT; i++)
		assert_int_equal(pthread_create(&t[i], NULL, impatient, (void *)(i + 1)), 0);
	while (traffic_now_ns() < end) {
		uint64_t patience = 60000 * MS, start;

		if (unm_lock_try(&herd.word, 100) == 0) {
			usleep(100);
			unm_lock_release(&herd.word);
		}
		start = traffic_now_ns();
		assert_int_equal(unm_lock_wait(&herd.word, 101, &patience), 0);
		assert_true(traffic_now_ns() - start < SLACK_NS);
		unm_lock_release(&herd.word);
	}
	UNM_WRITE_ONCE(herd.stop, 1);
	for (i = 0; i < N_IMPATIENT; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(herd.word, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(turned_away),
		cmocka_unit_test(garbage),
		cmocka_unit_test(budget),
		cmocka_unit_test(processes),
		cmocka_unit_test(holder_killed),
		cmocka_unit_test(break_against_mark),
		cmocka_unit_test(wake_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
