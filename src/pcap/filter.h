/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture filters for programs, compiled by libpcap. */
#ifndef UNM_PCAP_FILTER_H
#define UNM_PCAP_FILTER_H

#include <stdbool.h>
#include <stdint.h>

struct unm_filter;

/**
 * unm_filter_compile() - read pcap-filter(7) syntax, for Ethernet
 * @why: UNM_CAP_WHY_SIZE bytes; on failure a sentence
 *
 * Return: 0, -EINVAL syntax, -ENOMEM.
 */
int unm_filter_compile(struct unm_filter **out, const char *text, char *why);
void unm_filter_free(struct unm_filter *f);

/* @f NULL matches everything. */
bool unm_filter_matches(const struct unm_filter *f, const uint8_t *data, uint32_t len);

#endif
