/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of spin.h, and its one setting. */
#include "client/spin.h"

#include <stdlib.h>

#include "shm/atomic.h"

#define CREDIT_MAX 8u
#define PRICE_MIN  4u
#define PRICE_MAX  4096u
#define UNSET	   UINT32_MAX

static uint32_t setting_us = UNSET, default_us = UNM_SPIN_DEFAULT_US;

void
unm_spin_set_default(uint32_t us)
{
	UNM_WRITE_ONCE(default_us, us);
	UNM_WRITE_ONCE(setting_us, UNSET); /* found out again at the next look */
}

static uint64_t
full_ns(void)
{
	uint32_t us = UNM_READ_ONCE(setting_us);

	if (__builtin_expect(us == UNSET, 0)) {
		const char *text = getenv("UNETMAP_SPIN_US");
		char *end = NULL;
		const unsigned long v =
			text != NULL ? strtoul(text, &end, 10) : UNM_READ_ONCE(default_us);

		us = text != NULL && (end == text || *end != '\0' || v > UNM_SPIN_MAX_US)
			     ? UNM_READ_ONCE(default_us)
			     : (uint32_t)v;
		UNM_WRITE_ONCE(setting_us, us);
	}
	return us * UINT64_C(1000);
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
