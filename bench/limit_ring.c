/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit_ring.c - the consuming side of the bare ring; limit_ring.h has the scheme.
 */
#include "limit_ring.h"

int
limit_consume(struct bench_run *run, struct bench_stat *stat, void *arg)
{
	const struct limit_rx *rx = arg;
	struct limit_ring *r = rx->ring;
	struct bench_check check = {.numbered = rx->numbered};
	uint32_t head = 0, tail = 0;

	bench_barrier(run);
	while (!bench_stop(run)) {
		uint32_t n;

		if (head == tail) {
			head = limit_load_head(r);
			if (head == tail) {
				bench_pause();
				continue;
			}
		}
		n = head - tail < rx->batch ? head - tail : rx->batch;
		for (uint32_t i = 0; i < n; i++) /* at most a batch */
			bench_check_frame(&check, r->buf[limit_slot(r, tail + i)->buf_idx]);
		tail += n;
		limit_release(r, tail);
		bench_count(&stat->packets, n);
		bench_count(&stat->batches, 1);
	}
	stat->errors = bench_check_errors(&check);
	return 0;
}
