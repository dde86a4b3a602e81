/* SPDX-License-Identifier: BSD-2-Clause */
/* Which handlers can run in a thread, and when it is asked (client/handlers.h). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>

#include "client/handlers.h"

#define MS UINT64_C(1000000)

static void
on_signal(int sig)
{
	(void)sig;
}

static void
install(int sig, void (*handler)(int))
{
	const struct sigaction sa = {.sa_handler = handler};

	assert_int_equal(sigaction(sig, &sa, NULL), 0);
}

static void
block(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	assert_int_equal(pthread_sigmask(how, &set, NULL), 0);
}

/* cmocka has handlers of its own, for faults. */
static void
any(void **state)
{
	const int sigs[] = {SIGINT, SIGCONT, SIGUSR1, SIGRTMIN, SIGRTMAX};
	size_t i;

	(void)state;
	assert_false(unm_handlers_any());
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		install(sigs[i], on_signal);
		assert_true(unm_handlers_any());
		block(SIG_BLOCK, sigs[i]);
		assert_false(unm_handlers_any());
		block(SIG_UNBLOCK, sigs[i]);
		assert_true(unm_handlers_any());
		install(sigs[i], SIG_IGN);
		assert_false(unm_handlers_any());
		install(sigs[i], SIG_DFL);
		assert_false(unm_handlers_any());
	}
}

/* A period with @n sleeps from @begin_ns on. Return: what the last one was told. */
static bool
sleeps(struct unm_handlers *h, uint64_t begin_ns, unsigned int n)
{
	bool none = false;

	while (n-- > 0)
		none = unm_handlers_none(h, begin_ns);
	return none;
}

static void
asked_once_in_a_period(void **state)
{
	struct unm_handlers h = {0};
	uint64_t t = 1000 * MS;

	(void)state;
	assert_false(sleeps(&h, t, UNM_HANDLERS_WORTH)); /* nobody has asked */
	t += UNM_HANDLERS_PERIOD_NS;
	assert_true(sleeps(&h, t, UNM_HANDLERS_WORTH));
	install(SIGINT, on_signal);
	t += UNM_HANDLERS_PERIOD_NS;
	assert_false(sleeps(&h, t, UNM_HANDLERS_WORTH));
	install(SIGINT, SIG_DFL);
	assert_false(sleeps(&h, t, UNM_HANDLERS_WORTH));
	t += UNM_HANDLERS_PERIOD_NS;
	assert_true(sleeps(&h, t, UNM_HANDLERS_WORTH - 1));
	t += UNM_HANDLERS_PERIOD_NS; /* too few to be worth it */
	assert_false(sleeps(&h, t, UNM_HANDLERS_WORTH));
	t += 1000 * MS;
	assert_true(sleeps(&h, t, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any),
		cmocka_unit_test(asked_once_in_a_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
