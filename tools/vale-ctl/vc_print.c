/* SPDX-License-Identifier: BSD-2-Clause */
/* The output of vale-ctl: see vc_print.h. vc_print_finish() finds write errors. */
#include "vc_print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "nmt_json.h"

static void
json_begin(struct nmt_json *j)
{
	nmt_json_init(j, stdout);
	nmt_json_begin_object(j, NULL);
}

static void
json_end(struct nmt_json *j)
{
	nmt_json_end_object(j);
	(void)nmt_json_newline(j); /* reported by vc_print_finish() */
}

void
vc_print_list(const struct vc_list_entry *entries, size_t n, bool json)
{
	struct nmt_json j;

	if (!json) {
		for (size_t i = 0; i < n; i++)
			printf("%s bridge_idx %" PRIu32 " port_idx %" PRIu32 "\n", entries[i].name,
				entries[i].bridge_idx, entries[i].port_idx);
		return;
	}
	json_begin(&j);
	nmt_json_begin_array(&j, "ports");
	for (size_t i = 0; i < n; i++) {
		nmt_json_begin_object(&j, NULL);
		nmt_json_str(&j, "name", entries[i].name);
		nmt_json_u64(&j, "bridge_idx", entries[i].bridge_idx);
		nmt_json_u64(&j, "port_idx", entries[i].port_idx);
		nmt_json_end_object(&j);
	}
	nmt_json_end_array(&j);
	json_end(&j);
}

/* A number under its name. @label as it stands in text output, colon included. */
static void
print_field(struct nmt_json *j, const char *key, const char *label, uint64_t val)
{
	if (j != NULL)
		nmt_json_u64(j, key, val);
	else
		printf("%-12s%" PRIu64 "\n", label, val);
}

void
vc_print_indices(const struct vc_list_entry *e, bool json)
{
	struct nmt_json buf = {.out = stdout};
	struct nmt_json *j = json ? &buf : NULL;

	if (j != NULL) {
		json_begin(j);
		nmt_json_str(j, "name", e->name);
	}
	print_field(j, "bridge_idx", "bridge_idx:", e->bridge_idx);
	print_field(j, "port_idx", "port_idx:", e->port_idx);
	if (j != NULL)
		json_end(j);
}

void
vc_print_info(const struct vc_port_info *info, bool json)
{
	struct nmt_json buf = {.out = stdout};
	struct nmt_json *j = json ? &buf : NULL;

	if (j != NULL)
		json_begin(j);
	if (info->memsize != 0)
		print_field(j, "memsize", "memsize:", info->memsize);
	print_field(j, "tx_slots", "tx_slots:", info->geometry.tx_slots);
	print_field(j, "rx_slots", "rx_slots:", info->geometry.rx_slots);
	print_field(j, "tx_rings", "tx_rings:", info->geometry.tx_rings);
	print_field(j, "rx_rings", "rx_rings", info->geometry.rx_rings);
	print_field(j, "mem_id", "mem_id:", info->mem_id);
	if (j != NULL)
		json_end(j);
}

void
vc_print_port_index(uint32_t port_index, bool json)
{
	struct nmt_json j;

	if (!json) {
		printf("port_index: %" PRIu32 "\n", port_index);
		return;
	}
	json_begin(&j);
	nmt_json_u64(&j, "port_index", port_index);
	json_end(&j);
}

int
vc_print_finish(void)
{
	if (fflush(stdout) == EOF || ferror(stdout))
		return -EIO;
	return 0;
}
