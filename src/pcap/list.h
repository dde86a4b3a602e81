/* SPDX-License-Identifier: BSD-2-Clause */
/* Which ports there are to capture from. */
#ifndef UNM_PCAP_LIST_H
#define UNM_PCAP_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_LIST_NAME_SIZE 80 /* "netmap:", 63 characters, zero byte */

struct unm_list_port {
	char name[UNM_LIST_NAME_SIZE]; /* as unm_cap_open() takes it */
	char kind[16];
	char vale[64]; /* the switch it is on, or "" */
	uint64_t users;
	bool is_attached; /* served by a worker of netmapd's */
	bool has_link;
};

/**
 * unm_list_ports() - ask netmapd which ports there are; none is started for that
 * @out: on success an array, the caller's to free(); NULL if there are none
 *
 * Monitors are left out. Blocks for netmapd's answer. Return: how many; or negative errno: no
 * netmapd (-ENOENT, -ECONNREFUSED), refused, -EPROTO an answer that makes no sense, -ENOMEM.
 */
int unm_list_ports(struct unm_list_port **out);

/* The same from the text that netmapd answered; for tests. */
int unm_list_parse(const char *json, struct unm_list_port **out);

/* A line about the port for people. @size: 160 is enough. */
void unm_list_describe(const struct unm_list_port *p, char *text, size_t size);

#endif
