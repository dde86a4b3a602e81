/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of vale-ctl: see vc_options.h. Options may come in any order, so what belongs
 * together is checked at the end.
 */
#include "vc_options.h"

#include <string.h>

#include <libnetmap.h>

#include "nmt_units.h"

#define GEOMETRY_NUMBERS 4
#define POLLING_NUMBERS	 3

static const char help_text[] =
	"usage: vale-ctl [-jv] [-l [vale[S][:PORT]]]\n"
	"       vale-ctl [-jv] -g PORT\n"
	"       vale-ctl [-jv] -a valeS:IF | -h valeS:IF [-m MEM]\n"
	"       vale-ctl [-jv] -d valeS:IF\n"
	"       vale-ctl [-jv] -n NAME [-C TXS[,RXS[,TXR[,RXR]]]] [-m MEM]\n"
	"       vale-ctl [-v] -r NAME\n"
	"       vale-ctl [-v] -p valeS:IF -C MODE,CPU[,N] | -P valeS:IF\n"
	"\n"
	"Show and change what is attached to VALE switches. Without options: list all ports.\n"
	"\n"
	"  -l [NAME]  list all ports, those of switch NAME, or the indices of port NAME\n"
	"  -g PORT    slots, rings and memory region of a port\n"
	"  -a NAME    attach an interface or persistent port to a switch\n"
	"  -h NAME    the same, with the kernel's network stack as a second port\n"
	"  -d NAME    detach\n"
	"  -n NAME    create a persistent port\n"
	"  -r NAME    delete a persistent port\n"
	"  -p NAME    start polling of an attached interface\n"
	"  -P NAME    stop polling\n"
	"  -C ...     with -n: slots and rings, transmit and receive; the first number alone\n"
	"             counts for both sorts of slots, the third for both sorts of rings\n"
	"             with -p: MODE 0 polls all rings on CPU, MODE 1 ring K on CPU K,\n"
	"             for N CPUs from CPU on\n"
	"  -m MEM     memory region: a number, or a port whose region is used\n"
	"  -j, --json print results as JSON\n"
	"  -v         print the result of -a, -h, -d and -n, and what was done\n"
	"  --help     print this text\n"
	"  --version  print the version\n";

static const struct option longopts[] = {
	{"json", no_argument, NULL, 'j'},
	{0},
};

const struct nmt_cli vc_cli = {
	.prog = "vale-ctl",
	.help = help_text,
	.shortopts = "d:a:h:g:ln:r:C:p:P:m:vj",
	.longopts = longopts,
};

/* Options as they were met. */
struct seen {
	int action_opt; /* 0: none yet */
	const char *config;
};

static void
set_action(struct vc_options *opts, struct seen *seen, int opt, enum vc_action action)
{
	if (seen->action_opt != 0)
		nmt_usage_error(
			&vc_cli, "-%c and -%c: one action at a time", seen->action_opt, opt);
	seen->action_opt = opt;
	opts->action = action;
	opts->name = opt == 'l' ? NULL : optarg;
}

static void
parse_numbers(const char *config, uint64_t max, uint64_t *vals, size_t n_max, size_t *n)
{
	struct nmt_err err;

	if (nmt_parse_u64_list(config, ',', 0, max, vals, n_max, n, &err) != 0)
		nmt_usage_error(&vc_cli, "-C: %s", err.text);
}

static void
parse_geometry(struct vc_geometry *g, const char *config)
{
	uint64_t vals[GEOMETRY_NUMBERS] = {0};
	size_t n;

	parse_numbers(config, UINT16_MAX, vals, GEOMETRY_NUMBERS, &n);
	g->tx_slots = (uint32_t)vals[0];
	g->rx_slots = (uint32_t)(n > 1 ? vals[1] : vals[0]);
	g->tx_rings = (uint16_t)vals[2];
	g->rx_rings = (uint16_t)(n > 3 ? vals[3] : vals[2]);
}

static void
parse_polling(struct vc_polling *p, const char *config)
{
	uint64_t vals[POLLING_NUMBERS] = {0};
	size_t n;

	parse_numbers(config, INT32_MAX, vals, POLLING_NUMBERS, &n);
	if (n < 2)
		nmt_usage_error(&vc_cli, "-C: '%s' names no CPU, write MODE,CPU", config);
	if (vals[0] > 1)
		nmt_usage_error(
			&vc_cli, "-C: MODE is 0 (all rings on one CPU) or 1, not '%s'", config);
	if (vals[0] == 0 && n == 3 && vals[2] != 1)
		nmt_usage_error(&vc_cli, "-C: with MODE 0 there is one CPU, N cannot be %u",
			(unsigned)vals[2]);
	p->mode = vals[0] == 0 ? NETMAP_POLLING_MODE_SINGLE_CPU : NETMAP_POLLING_MODE_MULTI_CPU;
	p->first_cpu = (uint32_t)vals[1];
	p->n_cpus = n == 3 ? (uint32_t)vals[2] : 1;
}

/* A port may be named as programs name it, where it may be one that is on no switch. */
static void
drop_prefix(struct vc_options *opts)
{
	static const char prefix[] = "netmap:";

	if ((opts->action == VC_INFO || opts->action == VC_DELETE) &&
		strncmp(opts->name, prefix, strlen(prefix)) == 0)
		opts->name += strlen(prefix);
}

static void
check_name(const struct vc_options *opts, int opt)
{
	if (opts->name == NULL)
		return;
	if (opts->name[0] == '\0' || strlen(opts->name) >= NETMAP_REQ_IFNAMSIZ)
		nmt_usage_error(&vc_cli, "-%c: '%.80s' is not a name of 1 to %d characters", opt,
			opts->name, NETMAP_REQ_IFNAMSIZ - 1);
}

/* Which options belong to which action. */
static void
check_combination(const struct vc_options *opts, const struct seen *seen)
{
	const enum vc_action action = opts->action;

	if (seen->config != NULL && action != VC_CREATE && action != VC_POLL_START)
		nmt_usage_error(&vc_cli, "-C belongs to -n or -p");
	if (seen->config == NULL && action == VC_POLL_START)
		nmt_usage_error(&vc_cli, "-p wants -C MODE,CPU[,N]");
	if (opts->mem_spec != NULL && action != VC_CREATE && action != VC_ATTACH &&
		action != VC_ATTACH_HOST)
		nmt_usage_error(&vc_cli, "-m belongs to -n, -a or -h");
	if (opts->json &&
		(action == VC_DELETE || action == VC_POLL_START || action == VC_POLL_STOP))
		nmt_usage_error(&vc_cli, "-j: -%c has no result to print", seen->action_opt);
}

void
vc_options_parse(struct vc_options *opts, int argc, char **argv)
{
	struct seen seen = {0};
	int opt;

	*opts = (struct vc_options){.action = VC_LIST};
	while ((opt = nmt_cli_next(&vc_cli, argc, argv)) != -1) {
		switch (opt) {
		case 'l':
			set_action(opts, &seen, opt, VC_LIST);
			break;
		case 'g':
			set_action(opts, &seen, opt, VC_INFO);
			break;
		case 'a':
			set_action(opts, &seen, opt, VC_ATTACH);
			break;
		case 'h':
			set_action(opts, &seen, opt, VC_ATTACH_HOST);
			break;
		case 'd':
			set_action(opts, &seen, opt, VC_DETACH);
			break;
		case 'n':
			set_action(opts, &seen, opt, VC_CREATE);
			break;
		case 'r':
			set_action(opts, &seen, opt, VC_DELETE);
			break;
		case 'p':
			set_action(opts, &seen, opt, VC_POLL_START);
			break;
		case 'P':
			set_action(opts, &seen, opt, VC_POLL_STOP);
			break;
		case 'C':
			seen.config = optarg;
			break;
		case 'm':
			opts->mem_spec = optarg;
			break;
		case 'v':
			opts->verbose = true;
			break;
		case 'j':
			opts->json = true;
			break;
		}
	}
	if (seen.action_opt == 'l' && optind < argc)
		opts->name = argv[optind++];
	if (optind < argc)
		nmt_usage_error(&vc_cli, "unexpected argument '%.60s'", argv[optind]);
	drop_prefix(opts);
	check_name(opts, seen.action_opt);
	check_combination(opts, &seen);
	if (opts->action == VC_CREATE && seen.config != NULL)
		parse_geometry(&opts->geometry, seen.config);
	if (opts->action == VC_POLL_START)
		parse_polling(&opts->polling, seen.config);
}
