/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Periodic counters of the load balancer as JSON lines, one for each pipe and one for all:
 *
 *	{"ts":1730000000.123456,"interface":"eth0","output_ring":0,"packets_forwarded":...}
 *
 * "interface" and "output_ring" are NAME and K of the pipe NAME{K, or the port's name and null.
 * Rates are those of the time since the line before. Source: spec section 24.3.
 */
#ifndef NM_LB_LB_STATS_H_
#define NM_LB_LB_STATS_H_

#include <stdint.h>

#include "lb.h"

struct lb_stats;

enum lb_stats_sink { LB_STATS_STDOUT, LB_STATS_SYSLOG };

/**
 * lb_stats_new() - start reporting every @interval_s seconds, the first time one interval from now
 * @lb:   borrowed; must outlive the result
 * @base: the port's name in the lines; borrowed
 * @out:  written on success only; ended with lb_stats_free()
 *
 * Thread: main. Return: 0 or -ENOMEM.
 */
int lb_stats_new(const struct lb *lb, const char *base, enum lb_stats_sink sink,
	unsigned interval_s, struct lb_stats **out);

/** lb_stats_free() - stop reporting. Accepts NULL. */
void lb_stats_free(struct lb_stats *st);

/**
 * lb_stats_tick() - report if it is time
 *
 * Thread: main; may block as long as the sink does. Accepts NULL, for which it never is time.
 * Return: monotonic time of the next report in ns, UINT64_MAX for never; 0: standard output takes
 * no more.
 */
uint64_t lb_stats_tick(struct lb_stats *st, uint64_t now_ns);

/** lb_total() - the counters of all pipes together, and of packets that were meant for none */
struct lb_counters lb_total(const struct lb *lb);

#endif /* NM_LB_LB_STATS_H_ */
