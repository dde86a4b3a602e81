/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of spin.h, and its one setting. */
#include "client/spin.h"

#include <stdlib.h>

#include "shm/atomic.h"

#define CREDIT_MAX 8u
#define PRICE_MIN  4u
#define PRICE_MAX  4096u

/* Of the environment's setting. */
#define NOT_READ UINT32_MAX
#define NOT_SET	 (UINT32_MAX - 1)

/* An average follows dearer wake-ups quickly, cheaper ones slowly: too short a look is the trap. */
#define FRACTION 16u /* of a microsecond, in the average */
#define RISE	 4u
#define FALL	 16u

static uint32_t setting_us = NOT_READ, default_us = UNM_SPIN_DEFAULT_US;
static uint32_t wake_up; /* what one takes, on average, in 1/FRACTION us */

void
unm_spin_set_default(uint32_t us)
{
	UNM_WRITE_ONCE(default_us, us);
}

static uint32_t
from_environment(void)
{
	const char *text = getenv("UNETMAP_SPIN_US");
	char *end;
	unsigned long v;

	if (text == NULL)
		return NOT_SET;
	v = strtoul(text, &end, 10);
	return end == text || *end != '\0' || v > UNM_SPIN_MAX_US ? NOT_SET : (uint32_t)v;
}

static uint64_t
full_ns(void)
{
	uint32_t us = UNM_READ_ONCE(setting_us), learnt;

	if (__builtin_expect(us == NOT_READ, 0)) {
		us = from_environment();
		UNM_WRITE_ONCE(setting_us, us);
	}
	if (us == NOT_SET) {
		us = UNM_READ_ONCE(default_us);
		learnt = UNM_READ_ONCE(wake_up) / FRACTION * 5 / 4;
		if (learnt > us)
			us = learnt < UNM_SPIN_LEARNT_MAX_US ? learnt : UNM_SPIN_LEARNT_MAX_US;
	}
	return us * UINT64_C(1000);
}

void
unm_spin_woken(uint32_t us)
{
	const uint32_t was = UNM_READ_ONCE(wake_up);
	const uint32_t now = (us < UNM_SPIN_LEARNT_MAX_US ? us : UNM_SPIN_LEARNT_MAX_US) * FRACTION;

	UNM_WRITE_ONCE(wake_up, now > was ? was + (now - was) / RISE : was - (was - now) / FALL);
}

uint64_t
unm_spin_budget_ns(const struct unm_spin *s)
{
	return s->credit > 0 ? full_ns() : 0;
}

void
unm_spin_result(struct unm_spin *s, bool found)
{
	if (found) {
		if (s->credit < CREDIT_MAX)
			s->credit++;
		s->price = PRICE_MIN;
		return;
	}
	s->credit--;
	s->short_sleeps = 0;
	if (s->credit == 0 && s->price < PRICE_MAX)
		s->price = s->price == 0 ? PRICE_MIN : s->price * 2;
}

void
unm_spin_slept(struct unm_spin *s, uint64_t ns)
{
	const uint32_t price = s->price < PRICE_MIN ? PRICE_MIN : s->price;

	/* A sleep as long as two wake-ups may have been one that was over before it began. */
	if (ns > 2 * full_ns()) {
		s->short_sleeps = 0;
		return;
	}
	if (++s->short_sleeps >= price) {
		s->short_sleeps = 0;
		s->credit = 1;
	}
}
