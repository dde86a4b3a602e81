/* SPDX-License-Identifier: BSD-2-Clause */
/* Which ports there are to capture from. */
#ifndef UNM_PCAP_LIST_H
#define UNM_PCAP_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_LIST_NAME_SIZE 80 /* "netmap:", 63 characters, "@netns=" for one of them, zero byte */

#define UNM_LIST_WHY_SIZE  256
#define UNM_LIST_WAIT_MS   1000

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
 * @wait_ms: for netmapd's answer; UNM_LIST_WAIT_MS where somebody looks at the screen
 * @why: UNM_LIST_WHY_SIZE bytes; on failure a sentence, or "" without a netmapd: then there are none
 *
 * Monitors are left out. Return: how many; or negative errno: no netmapd (-ENOENT, -ECONNREFUSED),
 * refused, -EAGAIN no answer, -EPROTO an answer that makes no sense, -ENOMEM.
 */
int unm_list_ports(struct unm_list_port **out, unsigned int wait_ms, char *why);

/* The same from the text that netmapd answered; for tests. */
int unm_list_parse(const char *json, struct unm_list_port **out);

/* A line about the port for people. @size: 160 is enough. */
void unm_list_describe(const struct unm_list_port *p, char *text, size_t size);

#endif
