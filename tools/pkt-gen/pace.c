/* SPDX-License-Identifier: BSD-2-Clause */
/* Rate control: see pace.h. */
#include "pace.h"

#include <errno.h>

#include "nmt_time.h"

/* A sleeping thread wakes some 50 us late on a virtual machine; the last stretch is spun away. With
 * the burst rule that is at most 1.5 % of a CPU at rates up to 150 kpps. */
#define PACE_SPIN_NS	 50000

#define BURSTS_PER_S_MIN 300

uint32_t
pg_pace_burst(uint64_t rate_pps, uint32_t n_threads, uint32_t burst)
{
	uint64_t limit = rate_pps / n_threads / BURSTS_PER_S_MIN;

	if (rate_pps == 0 || limit >= burst)
		return burst;
	return limit < 1 ? 1 : (uint32_t)limit;
}

void
pg_pace_init(struct pg_pace *p, uint64_t rate_pps, uint32_t n_threads, uint32_t thread_idx,
	uint64_t start_ns)
{
	*p = (struct pg_pace){.rate_pps = rate_pps, .n_threads = n_threads, .start_ns = start_ns};
	if (rate_pps != 0)
		p->start_ns += NMT_NS_PER_S * thread_idx / rate_pps;
}

uint64_t
pg_pace_due_ns(const struct pg_pace *p, uint64_t idx)
{
	unsigned __int128 ns = (unsigned __int128)idx * p->n_threads * NMT_NS_PER_S;

	return p->start_ns + (uint64_t)(ns / p->rate_pps);
}

void
pg_pace_record(struct pg_pace *p, uint64_t idx, uint64_t now_ns)
{
	uint64_t due_ns = pg_pace_due_ns(p, idx);
	uint64_t late_ns = now_ns > due_ns ? now_ns - due_ns : 0;

	if (p->n_bursts++ == 0)
		p->first_ns = now_ns;
	p->last_ns = now_ns;
	p->last_idx = idx;
	p->late_sum_ns += late_ns;
	if (late_ns > p->late_max_ns)
		p->late_max_ns = late_ns;
}

int
pg_pace_wait(struct pg_pace *p, uint64_t idx)
{
	uint64_t due_ns = pg_pace_due_ns(p, idx);
	uint64_t now_ns = nmt_now_ns();

	if (due_ns > now_ns && due_ns - now_ns > PACE_SPIN_NS) {
		if (nmt_sleep_until_ns(due_ns - PACE_SPIN_NS) != 0)
			return -EINTR;
		now_ns = nmt_now_ns();
	}
	while (now_ns < due_ns) /* at most PACE_SPIN_NS */
		now_ns = nmt_now_ns();
	pg_pace_record(p, idx, now_ns);
	return 0;
}

bool
pg_pace_result(const struct pg_pace *const *paces, uint32_t n, struct pg_pace_result *out)
{
	struct pg_pace_result r = {.asked_pps = (double)paces[0]->rate_pps};
	uint64_t late_sum_ns = 0;
	uint64_t n_bursts = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct pg_pace *p = paces[i];

		if (p->n_bursts < 2 || p->last_ns <= p->first_ns)
			return false;
		r.measured_pps += (double)p->last_idx * 1e9 / (double)(p->last_ns - p->first_ns);
		late_sum_ns += p->late_sum_ns;
		n_bursts += p->n_bursts;
		if (p->late_max_ns > r.late_max_ns)
			r.late_max_ns = p->late_max_ns;
	}
	if (n_bursts == 0) /* no threads */
		return false;
	r.error_ppm = (r.measured_pps / r.asked_pps - 1) * 1e6;
	r.late_mean_ns = late_sum_ns / n_bursts;
	*out = r;
	return true;
}
