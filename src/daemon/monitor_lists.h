/* SPDX-License-Identifier: BSD-2-Clause */
/* The lists of monitors in a segment: written here only. */
#ifndef UNM_DAEMON_MONITOR_LISTS_H
#define UNM_DAEMON_MONITOR_LISTS_H

#include "daemon/domain.h"

/** unm_monitor_link() - put rings mon_lo ... mon_hi - 1 of @mon on the lists of what it watches. */
void unm_monitor_link(struct unm_domain *dom, struct unm_dport *mon);

/**
 * unm_monitor_watched() - the ring that ring @i of @mon watches in direction UNM_MON_OF_TX or _RX
 *
 * Return: its number in the segment, UNM_NONE if there is none.
 */
uint32_t unm_monitor_watched(const struct unm_dport *mon, uint32_t dir, uint32_t i);

/** unm_monitor_unlink() - take them off; a zero-copy monitor behind it moves up. */
void unm_monitor_unlink(struct unm_domain *dom, struct unm_dport *mon);

#endif
