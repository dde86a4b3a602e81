/* SPDX-License-Identifier: BSD-2-Clause */
/* nmctl isolate: sockets for clients that are not trusted. */
#include <stdio.h>
#include <string.h>

#include "nmctl.h"

static void
print_one(struct json_object *o)
{
	struct json_object *allow = field_obj(o, "allow");
	char memory[32], rate[16];
	size_t i;

	printf("%s\n  socket   %s, mode %04o, owner %u:%u\n", field_str(o, "name"),
		field_str(o, "socket"), (unsigned int)field_u64(o, "mode"),
		(unsigned int)field_u64(o, "uid"), (unsigned int)field_u64(o, "gid"));
	if (field_bool(o, "socket_removed"))
		printf("  socket   has been removed, nobody else can connect: isolate remove, then "
		       "create\n");
	printf("  allow    ");
	for (i = 0; allow != NULL && i < json_object_array_length(allow); i++)
		printf("%s%s", i > 0 ? ", " : "",
			json_object_get_string(json_object_array_get_idx(allow, i)));
	printf("\n  ports    %llu of %llu, of at most %llu clients\n",
		(unsigned long long)field_u64(o, "ports_used"),
		(unsigned long long)field_u64(o, "max_ports"),
		(unsigned long long)field_u64(o, "max_clients"));
	snprintf(memory, sizeof(memory), "%llu MiB",
		(unsigned long long)field_u64(o, "max_memory") >> 20);
	format_count(rate, (double)field_u64(o, "rate_pps"));
	printf("  limits   memory %s, %s%s\n", memory,
		field_u64(o, "rate_pps") == 0 ? "any rate" : rate,
		field_u64(o, "rate_pps") == 0 ? "" : " packets/s");
	if (field_u64(o, "broker_pid") != 0)
		printf("  broker   process %llu\n", (unsigned long long)field_u64(o, "broker_pid"));
	else
		printf("  broker   none; one is started soon\n");
}

int
cmd_isolate(struct nmctl *n)
{
	const bool is_show = strcmp(n->args[1], "show") == 0;
	struct json_object *out, *rows;
	size_t i;

	nmctl_connect(n);
	out = nmctl_ask(n, (const char *const *)n->args, n->n_args);
	rows = field_obj(out, "isolates");
	if (is_show && n->n_args == 3 && (rows == NULL || json_object_array_length(rows) == 0))
		nmt_die(n->cli, "there is no isolate '%s'", n->args[2]);
	if (n->json)
		printf("%s\n", json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN));
	for (i = 0; !n->json && rows != NULL && i < json_object_array_length(rows); i++)
		print_one(json_object_array_get_idx(rows, i));
	json_object_put(out);
	return 0;
}
