/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture filters for programs, compiled by libpcap. */
#ifndef UNM_PCAP_FILTER_H
#define UNM_PCAP_FILTER_H

#include <stdbool.h>

struct unm_cap_frame;
struct unm_filter;

/**
 * unm_filter_compile() - read pcap-filter(7) syntax, for Ethernet
 * @why: UNM_CAP_WHY_SIZE bytes; on failure a sentence
 *
 * Return: 0, -EINVAL syntax, -EOPNOTSUPP see program.h, -ENOMEM.
 */
int unm_filter_compile(struct unm_filter **out, const char *text, char *why);
void unm_filter_free(struct unm_filter *f);

/* @f NULL matches everything. */
bool unm_filter_matches(const struct unm_filter *f, const struct unm_cap_frame *frame);

#endif
