/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_portlist.c - libFuzzer on the reader of netmapd's list of ports, which runs in programs that
 * are not ours. Beyond memory errors it checks that what is accepted is whole: each name is a
 * port's and ends within its field.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcap/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct unm_list_port *ports;
	char line[160];
	int i, n;

	if (text == NULL)
		return 0;
	n = unm_list_parse(text, &ports);
	for (i = 0; i < n; i++) {
		if (memchr(ports[i].name, '\0', sizeof(ports[i].name)) == NULL ||
			strchr(ports[i].name, ':') == NULL || strcmp(ports[i].kind, "monitor") == 0)
			abort();
		unm_list_describe(&ports[i], line, sizeof(line));
	}
	if (n >= 0)
		free(ports);
	free(text);
	return 0;
}
