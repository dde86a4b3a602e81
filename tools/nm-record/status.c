/* SPDX-License-Identifier: BSD-2-Clause */
/* What a recorder says of itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "nmt_json.h"
#include "recorder.h"

static uint64_t
oldest_ns(const struct recorder *r)
{
	struct store_pos pos = store_first(r->store);
	struct store_frame f;

	return store_next(r->store, &pos, &f) ? f.time_ns : 0;
}

static void
json_port(struct nmt_json *j, struct recorder *r, const struct port *p)
{
	const bool open = ports_is_open(r->ports, p);
	struct unm_cap_counters c;
	char why[UNM_CAP_WHY_SIZE];

	ports_counters(r->ports, p, &c);
	nmt_json_begin_object(j, NULL);
	nmt_json_str(j, "name", p->name);
	nmt_json_bool(j, "recorded", open);
	nmt_json_u64(j, "frames", c.frames);
	nmt_json_u64(j, "bytes", c.bytes);
	nmt_json_u64(j, "missed", c.missed);
	nmt_json_u64(j, "invalid", c.invalid);
	nmt_json_u64(j, "gone", p->n_gone);
	if (!open) {
		ports_why(r->ports, p, why);
		nmt_json_str(j, "waiting", why);
	}
	nmt_json_end_object(j);
}

static void
print_json(struct recorder *r, FILE *f)
{
	const unsigned int n = ports_count(r->ports);
	char why[UNM_LIST_WHY_SIZE];
	unsigned int i, pos = 0;
	const char *name;
	struct nmt_json j;

	nmt_json_init(&j, f);
	nmt_json_begin_object(&j, NULL);
	nmt_json_bool(&j, "netmapd", ports_netmapd_lives(r->ports));
	nmt_json_bool(&j, "isolated", ports_is_isolated(r->ports));
	nmt_json_u64(&j, "kept_frames", store_n_frames(r->store));
	nmt_json_u64(&j, "kept_bytes", store_n_bytes(r->store));
	nmt_json_u64(&j, "oldest_ns", oldest_ns(r));
	nmt_json_u64(&j, "memory", r->opts->n_bytes);
	nmt_json_u64(&j, "filtered_out", r->n_refused);
	nmt_json_bool(&j, "writing", r->dump.pid != 0);
	nmt_json_u64(&j, "files", r->n_dumps);
	nmt_json_str(&j, "last_file", r->n_dumps > 0 && r->last.error == 0 ? r->last.path : NULL);
	nmt_json_str(&j, "last_error", r->last.error != 0 ? r->last.why : NULL);
	nmt_json_begin_array(&j, "incomplete");
	while ((name = ports_switch(r->ports, &pos, why)) != NULL) {
		nmt_json_begin_object(&j, NULL);
		nmt_json_str(&j, "name", name);
		nmt_json_str(&j, "reason", why);
		nmt_json_end_object(&j);
	}
	nmt_json_end_array(&j);
	nmt_json_begin_array(&j, "ports");
	for (i = 0; i < n; i++)
		json_port(&j, r, ports_get(r->ports, i));
	nmt_json_end_array(&j);
	nmt_json_end_object(&j);
	(void)nmt_json_newline(&j); /* to memory */
}

static void
print_text(struct recorder *r, FILE *f)
{
	const unsigned int n = ports_count(r->ports);
	char list_why[UNM_LIST_WHY_SIZE];
	unsigned int i, pos = 0;
	const char *name;

	fprintf(f, "kept     %" PRIu64 " frames, %" PRIu64 " bytes, in %" PRIu64 " bytes\n",
		store_n_frames(r->store), store_n_bytes(r->store), r->opts->n_bytes);
	fprintf(f, "written  %" PRIu64 " files%s%s\n", r->n_dumps,
		r->dump.pid != 0 ? ", one more now" : "",
		ports_netmapd_lives(r->ports) ? "" : "; netmapd does not answer");
	if (r->last.error != 0)
		fprintf(f, "last     %s\n", r->last.why);
	if ((r->opts->when & WHEN_NETMAPD) && ports_is_isolated(r->ports))
		fprintf(f, "not seen netmapd's death (-e netmapd): " RECORDER_NO_DEATH "\n");
	while ((name = ports_switch(r->ports, &pos, list_why)) != NULL)
		fprintf(f, "%-20s not all ports are recorded: %s\n", name, list_why);
	for (i = 0; i < n; i++) {
		const struct port *p = ports_get(r->ports, i);
		struct unm_cap_counters c;
		char why[UNM_CAP_WHY_SIZE];

		ports_counters(r->ports, p, &c);
		fprintf(f, "%-20s %12" PRIu64 " frames %14" PRIu64 " bytes %8" PRIu64 " missed",
			p->name, c.frames, c.bytes, c.missed);
		if (ports_is_open(r->ports, p)) {
			fputc('\n', f);
		} else {
			ports_why(r->ports, p, why);
			fprintf(f, "  waiting: %s\n", why);
		}
	}
}

static char *
to_memory(struct recorder *r, void (*print)(struct recorder *r, FILE *f))
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	print(r, f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

char *
status_text(struct recorder *r)
{
	return to_memory(r, print_text);
}

char *
status_json(struct recorder *r)
{
	return to_memory(r, print_json);
}
