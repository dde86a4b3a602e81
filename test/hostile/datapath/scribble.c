/* SPDX-License-Identifier: BSD-2-Clause */
/* See scribble.h. */
#include "scribble.h"

#include <time.h>

#include "shm/atomic.h"
#include "shm/clock.h"
#include "traffic.h"

uint32_t
scribble_value(uint64_t *seed)
{
	static const uint32_t telling[] = {0, 1, 2, 3, 63, 64, 65, 127, 128, 255, 256, 2047, 2048,
		4095, 4096, 65535, 65536, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe,
		0xffffffff};

	switch (traffic_random(seed) % 4) {
	case 0:
		return telling[traffic_random(seed) % (sizeof(telling) / sizeof(telling[0]))];
	case 1:
		return traffic_random(seed) % 64;
	case 2: /* flags and length of a slot, a lock word with its mark */
		return (traffic_random(seed) & 0x80ff) << 16 | traffic_random(seed) % 4096;
	default:
		return traffic_random(seed);
	}
}

void
scribble(const struct area *areas, uint32_t n_areas, uint32_t n, uint64_t *seed)
{
	for (; n > 0; n--) {
		const struct area *a = &areas[traffic_random(seed) % n_areas];
		const size_t at = traffic_random(seed) % (a->len / sizeof(uint32_t));

		UNM_WRITE_ONCE(((uint32_t *)a->base)[at], scribble_value(seed));
	}
}

void
watch_start(struct watch *w)
{
	w->cpu_ns = unm_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	w->wall_ns = unm_now_ns();
}

void
watch_end(const struct watch *w)
{
	CHECK(unm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - w->cpu_ns < CALL_MAX_NS);
	CHECK(unm_now_ns() - w->wall_ns < CALL_MAX_NS + CALL_MAX_SLEEP_NS);
}
