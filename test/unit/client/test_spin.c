/* SPDX-License-Identifier: BSD-2-Clause */
/* How long a thread looks before it sleeps: credit, and the price that is learnt from wake-ups (client/spin.h). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "client/spin.h"

#define US UINT64_C(1000)

/* What the library has learnt is the process's: this goes on where the last test ended. */
static void
wake_ups(unsigned int n, uint32_t us)
{
	while (n-- > 0)
		unm_spin_woken(us);
}

static void
earned_by_short_sleeps(void **state)
{
	struct unm_spin s = {0};
	int i;

	(void)state;
	assert_true(unm_spin_budget_ns(&s) == 0);
	for (i = 0; i < 3; i++)
		unm_spin_slept(&s, 20 * US);
	unm_spin_slept(&s, 100 * 1000 * US); /* a long one: counted from the start */
	for (i = 0; i < 3; i++)
		unm_spin_slept(&s, 20 * US);
	assert_true(unm_spin_budget_ns(&s) == 0);
	unm_spin_slept(&s, 20 * US);
	assert_true(unm_spin_budget_ns(&s) == UNM_SPIN_DEFAULT_US * US);
	unm_spin_result(&s, false);
	assert_true(unm_spin_budget_ns(&s) == 0);
	for (i = 0; i < 4; i++)
		unm_spin_slept(&s, 20 * US);
	assert_true(unm_spin_budget_ns(&s) > 0);
	unm_spin_result(&s, false); /* twice in vain: it takes twice as many */
	for (i = 0; i < 7; i++)
		unm_spin_slept(&s, 20 * US);
	assert_true(unm_spin_budget_ns(&s) == 0);
	unm_spin_slept(&s, 20 * US);
	assert_true(unm_spin_budget_ns(&s) > 0);
}

static void
price_is_learnt(void **state)
{
	const struct unm_spin s = {.credit = 1};

	(void)state;
	wake_ups(100, 5); /* cheap: never below the default */
	assert_true(unm_spin_budget_ns(&s) == UNM_SPIN_DEFAULT_US * US);
	wake_ups(4, 120); /* dear: soon, and a quarter more */
	assert_in_range(unm_spin_budget_ns(&s), 80 * US, 150 * US);
	wake_ups(40, 120);
	assert_in_range(unm_spin_budget_ns(&s), 140 * US, 150 * US);
	wake_ups(100, 1000000); /* nonsense, or a processor that others had */
	assert_true(unm_spin_budget_ns(&s) == UNM_SPIN_LEARNT_MAX_US * US);
	wake_ups(4, 5); /* forgotten slowly */
	assert_true(unm_spin_budget_ns(&s) > 150 * US);
	wake_ups(200, 5);
	assert_true(unm_spin_budget_ns(&s) == UNM_SPIN_DEFAULT_US * US);
}

static void
short_sleep_follows_price(void **state)
{
	struct unm_spin s = {0};
	int i;

	(void)state;
	wake_ups(100, 5);
	for (i = 0; i < 10; i++)
		unm_spin_slept(&s, 180 * US);
	assert_true(unm_spin_budget_ns(&s) == 0);
	wake_ups(100, 100);
	for (i = 0; i < 4; i++)
		unm_spin_slept(&s, 180 * US);
	assert_true(unm_spin_budget_ns(&s) > 100 * US);
	wake_ups(200, 5);
}

static void
default_is_a_floor(void **state)
{
	const struct unm_spin s = {.credit = 1};

	(void)state;
	unm_spin_set_default(UNM_SPIN_BROKER_US);
	assert_true(unm_spin_budget_ns(&s) == UNM_SPIN_BROKER_US * US);
	unm_spin_set_default(UNM_SPIN_DEFAULT_US);
	assert_true(unm_spin_budget_ns(&s) == UNM_SPIN_DEFAULT_US * US);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(earned_by_short_sleeps),
		cmocka_unit_test(price_is_learnt),
		cmocka_unit_test(short_sleep_follows_price),
		cmocka_unit_test(default_is_a_floor),
	};

	unsetenv("UNETMAP_SPIN_US");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
