/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of nm-lb: see lb_options.h. Groups are collected as they are written and
 * resolved at the end, since their names depend on -i, which may come last.
 */
#include "lb_options.h"

#include <stdio.h>
#include <string.h>

#include "nmt_units.h"

#define NETMAP_PREFIX  "netmap:"
#define DEFAULT_PIPES  2
#define DEFAULT_BATCH  2048
#define DEFAULT_WAIT_S 2

static const char help_text[] =
	"usage: nm-lb -i PORT [-p [NAME:]N]... [-B N] [-b N] [-w S] [-W] [-s S] [-o S]\n"
	"\n"
	"Distribute the packets of a netmap port over pipes, by flow. Both directions of a\n"
	"connection go to the same pipe; consumers open netmap:NAME}0 to netmap:NAME}N-1.\n"
	"\n"
	"  -i PORT      port to read, such as netmap:eth0 or vale0:lb; a plain name gets netmap:\n"
	"  -p [NAME:]N  a group of N pipes over port NAME (default: 2 over PORT itself); given\n"
	"               several times, each packet visits one pipe of each group in turn\n"
	"  -B N         extra buffers, for packets whose pipe is full (default 0)\n"
	"  -b N         packets handled between two syncs (default 2048)\n"
	"  -w S         seconds to wait for the link before starting (default 2)\n"
	"  -W           never sleep: ask the ports for packets again and again\n"
	"  -s S         counters as JSON lines to syslog, every S seconds\n"
	"  -o S         counters as JSON lines to standard output, every S seconds\n"
	"  -h, --help   print this text\n"
	"  --version    print the version\n";

const struct nmt_cli lb_cli = {
	.prog = "nm-lb",
	.help = help_text,
	.shortopts = "hi:p:B:b:w:Ws:o:",
	.h_is_help = true,
};

/* -i: the name to open, and the device's name without mode, flags, options and pipe end. */
static void
resolve_port(struct lb_options *opts, const char *arg)
{
	const char *name;
	size_t len;
	int n;

	if (strncmp(arg, NETMAP_PREFIX, strlen(NETMAP_PREFIX)) == 0 || strncmp(arg, "vale", 4) == 0)
		n = snprintf(opts->port, sizeof(opts->port), "%s", arg);
	else
		n = snprintf(opts->port, sizeof(opts->port), NETMAP_PREFIX "%s", arg);
	if (n >= (int)sizeof(opts->port))
		nmt_usage_error(&lb_cli, "-i: '%.40s...' is too long, %zu characters are the limit",
			arg, sizeof(opts->port) - 1);
	name = opts->port;
	if (strncmp(name, NETMAP_PREFIX, strlen(NETMAP_PREFIX)) == 0)
		name += strlen(NETMAP_PREFIX);
	len = strcspn(name, "-*^{}/@");
	if (len > 1 && name[len] == '/' && name[len - 1] == '%') /* no pipe can have the path */
		len--;
	if (len == 0 || len >= sizeof(opts->base))
		nmt_usage_error(&lb_cli, "-i: '%.80s' has no port name of 1 to %zu characters", arg,
			sizeof(opts->base) - 1);
	memcpy(opts->base, name, len);
	opts->base[len] = '\0';
}

/* -p: [NAME:]N. NAME may have a colon of its own (vale0:x), so the last one counts. */
static void
add_group(struct lb_options *opts, const char *arg)
{
	const char *colon = strrchr(arg, ':');
	const char *name = arg;
	struct lb_group_spec *g;
	size_t len;

	if (opts->n_groups == LB_MAX_GROUPS)
		nmt_usage_error(&lb_cli, "-p: more than %d groups", LB_MAX_GROUPS);
	g = &opts->groups[opts->n_groups++];
	g->n_pipes = (uint32_t)nmt_cli_u64(
		&lb_cli, "-p", colon != NULL ? colon + 1 : arg, 1, LB_MAX_PIPES);
	opts->n_pipes += g->n_pipes;
	if (opts->n_pipes > LB_MAX_PIPES)
		nmt_usage_error(&lb_cli, "-p: more than %d pipes in all", LB_MAX_PIPES);
	if (colon == NULL)
		return;
	if (strncmp(name, NETMAP_PREFIX, strlen(NETMAP_PREFIX)) == 0 &&
		name + strlen(NETMAP_PREFIX) <= colon)
		name += strlen(NETMAP_PREFIX);
	len = (size_t)(colon - name);
	if (len == 0 || len >= sizeof(g->name) || strcspn(name, "-*^{}/@") < len)
		nmt_usage_error(&lb_cli,
			"-p: '%.80s': the part before the last colon must be a port name of 1 to "
			"%zu characters without any of - * ^ { } / @",
			arg, sizeof(g->name) - 1);
	memcpy(g->name, name, len);
	g->name[len] = '\0';
}

/* Default group, default names; groups of one name share the numbers from 0 on. */
static void
resolve_groups(struct lb_options *opts)
{
	if (opts->n_groups == 0) {
		opts->groups[opts->n_groups++].n_pipes = DEFAULT_PIPES;
		opts->n_pipes = DEFAULT_PIPES;
	}
	for (uint32_t i = 0; i < opts->n_groups; i++) {
		struct lb_group_spec *g = &opts->groups[i];

		if (g->name[0] == '\0')
			memcpy(g->name, opts->base, sizeof(g->name));
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(g->name, opts->groups[j].name) == 0)
				g->first_id += opts->groups[j].n_pipes;
	}
}

void
lb_options_parse(struct lb_options *opts, int argc, char **argv)
{
	const char *port = NULL;
	int opt;

	*opts = (struct lb_options){.batch = DEFAULT_BATCH, .wait_s = DEFAULT_WAIT_S};
	while ((opt = nmt_cli_next(&lb_cli, argc, argv)) != -1) {
		switch (opt) {
		case 'i':
			if (port != NULL)
				nmt_usage_error(&lb_cli, "-i is given twice, one port is read");
			port = optarg;
			break;
		case 'p':
			add_group(opts, optarg);
			break;
		case 'B':
			opts->n_extra_bufs =
				(uint32_t)nmt_cli_count(&lb_cli, "-B", optarg, 0, INT32_MAX);
			break;
		case 'b':
			opts->batch = (uint32_t)nmt_cli_u64(&lb_cli, "-b", optarg, 1, 1u << 20);
			break;
		case 'w':
			opts->wait_s = (unsigned)nmt_cli_u64(&lb_cli, "-w", optarg, 0, 3600);
			break;
		case 'W':
			opts->busy_wait = true;
			break;
		case 's':
			opts->syslog_interval_s =
				(unsigned)nmt_cli_u64(&lb_cli, "-s", optarg, 1, 86400);
			break;
		case 'o':
			opts->stdout_interval_s =
				(unsigned)nmt_cli_u64(&lb_cli, "-o", optarg, 1, 86400);
			break;
		}
	}
	if (optind < argc)
		nmt_usage_error(&lb_cli, "unexpected argument '%.60s', ports are named with -i",
			argv[optind]);
	if (port == NULL)
		nmt_usage_error(&lb_cli, "-i PORT is missing");
	resolve_port(opts, port);
	resolve_groups(opts);
}
