/* SPDX-License-Identifier: BSD-2-Clause */
/* nmctl show: netmapd's tables, as columns or as they come (-j). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nmctl.h"

uint64_t
field_u64(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_uint64(v) : 0;
}

const char *
field_str(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : "";
}

bool
field_bool(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_get_boolean(v);
}

struct json_object *
field_obj(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? v : NULL;
}

const char *
format_count(char *buf, double v)
{
	static const char units[] = " KMGT";
	unsigned int u = 0;

	while (v >= 1000 && u < 4) {
		v /= 1000;
		u++;
	}
	if (u == 0)
		snprintf(buf, 16, "%.0f", v);
	else
		snprintf(buf, 16, "%.*f%c", v < 10 ? 2 : v < 100 ? 1 : 0, v, units[u]);
	return buf;
}

uint64_t
dropped_total(struct json_object *o)
{
	struct json_object *dropped = field_obj(o, "dropped");
	uint64_t sum = 0;

	if (dropped == NULL)
		return 0;
	json_object_object_foreach(dropped, key, val)
	{
		(void)key;
		sum += json_object_get_uint64(val);
	}
	return sum;
}

/* "rx_full 12, no_port 3": what was dropped and why. */
static void
print_drops(struct json_object *o)
{
	struct json_object *dropped = field_obj(o, "dropped");
	const char *sep = "    dropped: ";

	if (dropped == NULL || dropped_total(o) == 0)
		return;
	json_object_object_foreach(dropped, key, val)
	{
		if (json_object_get_uint64(val) == 0)
			continue;
		printf("%s%s %" PRIu64, sep, key, json_object_get_uint64(val));
		sep = ", ";
	}
	printf("\n");
}

/* How an interface is reached, and why not in a faster way. */
static void
interface_line(struct json_object *nic)
{
	const char *why = field_str(nic, "slower_because");

	printf("    mode %s", field_str(nic, "mode"));
	if (field_u64(nic, "copied") > 0)
		printf(", %" PRIu64 " frames copied", field_u64(nic, "copied"));
	if (field_str(nic, "offloads_off")[0] != '\0')
		printf(", off: %s", field_str(nic, "offloads_off"));
	if (field_u64(nic, "queues_without_ring") > 0)
		printf(", %" PRIu64 " queues added since it was opened",
			field_u64(nic, "queues_without_ring"));
	if (strcmp(field_str(nic, "mode"), "xdp-generic") == 0)
		printf(", loses TSO frames");
	if (!field_bool(nic, "keeps_vlan_tags"))
		printf(", may lose VLAN tags");
	if (field_u64(nic, "kernel_missed") > 0)
		printf(", %" PRIu64 " missed by the kernel", field_u64(nic, "kernel_missed"));
	printf("%s%s%s\n", why[0] != '\0' ? " (" : "", why, why[0] != '\0' ? ")" : "");
}

/* An end of a veth pair whose other end is open as well, and what stands against joining them. */
static void
veth_line(struct json_object *p)
{
	if (field_str(p, "veth_peer")[0] == '\0' || field_u64(p, "joined_rings") > 0)
		return;
	printf("    not joined with %s: %s\n", field_str(p, "veth_peer"),
		field_str(p, "veth_state"));
}

static void
port_line(struct json_object *p)
{
	char rings[48], slots[24], sent[16], received[16], missed[16], dropped[16];

	int n;

	n = snprintf(rings, sizeof(rings), "%" PRIu64 "/%" PRIu64, field_u64(p, "tx_rings"),
		field_u64(p, "rx_rings"));
	if (field_u64(p, "host_tx_rings") > 0)
		snprintf(rings + n, sizeof(rings) - (size_t)n, "^%" PRIu64 "/%" PRIu64,
			field_u64(p, "host_tx_rings"), field_u64(p, "host_rx_rings"));
	snprintf(slots, sizeof(slots), "%" PRIu64 "/%" PRIu64, field_u64(p, "tx_slots"),
		field_u64(p, "rx_slots"));
	printf("%-24s %-5s %5" PRIu64 " %4" PRIu64 " %7s %11s %8s %8s %8s %8s%s%s%s%s%s%s%s\n",
		field_str(p, "name"), field_str(p, "kind"), field_u64(p, "users"),
		field_u64(p, "memory"), rings, slots,
		format_count(sent, (double)field_u64(p, "sent")),
		format_count(received, (double)field_u64(p, "received")),
		format_count(missed, (double)field_u64(p, "missed")),
		format_count(dropped, (double)dropped_total(p)),
		field_bool(p, "link") ? "" : " down",
		field_u64(p, "joined_rings") > 0 ? " joined" : "",
		field_bool(p, "lossless") ? " lossless" : "",
		field_bool(p, "forward") ? " forward" : "",
		field_bool(p, "persistent") ? " persistent" : "",
		field_bool(p, "attached") ? " attached" : "",
		field_bool(p, "closing") ? " closing" : "");
	if (field_obj(p, "interface") != NULL)
		interface_line(field_obj(p, "interface"));
	veth_line(p);
	print_drops(p);
}

static void
ring_line(struct json_object *r)
{
	char packets[16], bytes[16], missed[16], id[16];

	snprintf(id, sizeof(id), "%u%s", (unsigned int)field_u64(r, "ring"),
		field_bool(r, "host") ? "^" : "");
	printf("%-24s %s%-3s %5" PRIu64 " %5" PRIu64 " %6" PRIu64 " %6" PRIu64
	       " %8s %8s %8s %6" PRIu64 "%s%s%s\n",
		field_str(r, "port"), field_str(r, "direction"), id, field_u64(r, "slots"),
		field_u64(r, "users"), field_u64(r, "hwcur"), field_u64(r, "hwtail"),
		format_count(packets, (double)field_u64(r, "packets")),
		format_count(bytes, (double)field_u64(r, "bytes")),
		format_count(missed, (double)field_u64(r, "missed")), field_u64(r, "reinits"),
		field_bool(r, "exclusive") ? " exclusive" : "",
		field_bool(r, "sleeper") ? " sleeper" : "", field_bool(r, "open") ? "" : " closed");
	print_drops(r);
}

static void
switch_line(struct json_object *s)
{
	printf("%-16s %5" PRIu64 " %6" PRIu64 " %6" PRIu64 " %8" PRIu64 "\n", field_str(s, "name"),
		field_u64(s, "index"), field_u64(s, "ports"), field_u64(s, "macs"),
		field_u64(s, "ageing_s"));
}

static void
mac_line(struct json_object *m)
{
	printf("%-16s %-17s %-24s %5" PRIu64 "\n", field_str(m, "switch"), field_str(m, "mac"),
		field_str(m, "port"), field_u64(m, "age_s"));
}

static void
print_pool(struct json_object *r, const char *key)
{
	struct json_object *p = field_obj(r, key);

	if (p != NULL)
		printf(" %8" PRIu64 "/%-8" PRIu64, field_u64(p, "used"), field_u64(p, "total"));
}

static void
memory_line(struct json_object *r)
{
	printf("%5" PRIu64 " %-8s %5" PRIu64 " %8.1f %8.1f", field_u64(r, "id"),
		field_str(r, "kind"), field_u64(r, "ports"),
		(double)field_u64(r, "size") / 1048576.0,
		(double)field_u64(r, "committed") / 1048576.0);
	print_pool(r, "interfaces");
	print_pool(r, "rings");
	print_pool(r, "buffers");
	printf("%s\n", field_bool(r, "huge_pages") ? " huge" : "");
}

static void
client_line(struct json_object *c)
{
	struct json_object *descs = field_obj(c, "descriptors");
	size_t i;

	printf("%8" PRIu64 " %6" PRIu64 " %-16s %6" PRIu64 "  ", field_u64(c, "pid"),
		field_u64(c, "uid"), field_str(c, "program"), field_u64(c, "slot"));
	for (i = 0; descs != NULL && i < json_object_array_length(descs); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(descs, i));

		printf("%s ", name[0] != '\0' ? name : "(unbound)");
	}
	printf("\n");
}

static void
daemon_line(struct json_object *d)
{
	struct json_object *late = field_obj(d, "late_clients");
	char limit[40] = "no limit";
	size_t i;

	if (field_u64(d, "max_memory") > 0)
		snprintf(limit, sizeof(limit), "limit %" PRIu64 " MiB",
			field_u64(d, "max_memory") >> 20);
	printf("netmapd %s, pid %" PRIu64 ", user %" PRIu64 ", %s%s\n"
	       "  socket   %s\n"
	       "  clients  %" PRIu64 " of %" PRIu64 ", %" PRIu64 " descriptors, %" PRIu64 " ports\n"
	       "  memory   %.1f MiB committed, %s\n",
		field_str(d, "version"), field_u64(d, "pid"), field_u64(d, "uid"),
		field_bool(d, "system") ? "system instance" : "user instance",
		field_bool(d, "restoring") ? ", waiting for the clients of its last run" : "",
		field_str(d, "socket"), field_u64(d, "clients"), field_u64(d, "max_clients"),
		field_u64(d, "descriptors"), field_u64(d, "ports"),
		(double)field_u64(d, "memory") / 1048576.0, limit);
	for (i = 0; late != NULL && i < json_object_array_length(late); i++) {
		struct json_object *c = json_object_array_get_idx(late, i);

		printf("  late     %s, pid %" PRIu64 "%s: not back since netmapd was restarted\n",
			field_str(c, "program"), field_u64(c, "pid"),
			field_bool(c, "stopped") ? ", stopped" : "");
	}
}

static const struct {
	const char *what;
	const char *head;
	void (*line)(struct json_object *o);
} tables[] = {
	{"daemon", NULL, daemon_line},
	{"switches", "SWITCH           INDEX  PORTS   MACS   AGEING", switch_line},
	{"ports",
		"PORT                     KIND  USERS  MEM   RINGS       SLOTS     SENT RECEIVED   "
		"MISSED  DROPPED",
		port_line},
	{"rings",
		"PORT                     RING  SLOTS USERS  HWCUR HWTAIL  PACKETS    BYTES   "
		"MISSED RESETS",
		ring_line},
	{"mac", "SWITCH           ADDRESS           PORT                       AGE", mac_line},
	{"memory",
		"   ID KIND     PORTS      MiB     USED        INTERFACES             RINGS        "
		"   BUFFERS",
		memory_line},
	{"clients", "     PID   USER PROGRAM            SLOT  PORTS", client_line},
};

/* Return: how many lines there were. */
static size_t
print_tables(struct json_object *all)
{
	bool is_first = true;
	size_t t, i, n_lines = 0;

	for (t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		struct json_object *rows = field_obj(all, tables[t].what);

		if (rows == NULL)
			continue;
		if (!is_first)
			printf("\n");
		is_first = false;
		if (tables[t].head != NULL)
			printf("%s\n", tables[t].head);
		for (i = 0; i < json_object_array_length(rows); i++)
			tables[t].line(json_object_array_get_idx(rows, i));
		n_lines += i;
	}
	return n_lines;
}

/* A port as programs name it, or a switch with its colon: its name in the tables. */
static const char *
table_name(const char *arg, char *buf, size_t size)
{
	size_t len;

	if (strncmp(arg, "netmap:", 7) == 0)
		arg += 7;
	len = strlen(arg);
	if (len > 1 && arg[len - 1] == ':')
		len--;
	snprintf(buf, size, "%.*s", (int)len, arg);
	return buf;
}

int
cmd_show(struct nmctl *n)
{
	const char *words[3] = {"show", n->n_args > 1 ? n->args[1] : "all", NULL};
	struct json_object *all;
	char name[256];
	size_t n_lines = 1;

	if (n->n_args > 3)
		nmt_usage_error(n->cli, "show: '%s' is one word too many", n->args[3]);
	if (n->n_args > 2)
		words[2] = table_name(n->args[2], name, sizeof(name));
	nmctl_connect(n);
	all = nmctl_ask(n, words, n->n_args > 2 ? 3 : 2);
	if (n->json)
		printf("%s\n", json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN));
	else
		n_lines = print_tables(all);
	json_object_put(all);
	if (n_lines == 0 && words[2] != NULL && strcmp(words[1], "ports") == 0) {
		fprintf(stderr, "nmctl: there is no port or switch '%s' (nmctl show)\n", name);
		return EXIT_FAILURE;
	}
	return 0;
}
