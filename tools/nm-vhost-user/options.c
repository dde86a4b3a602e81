/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of nm-vhost-user. Options that describe a NIC belong to the --socket before
 * them; those before the first --socket are defaults for all.
 */
#include "options.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "nmt_pkt.h"
#include "nmt_units.h"
#include "vm/net_features.h"

#define MAX_PAIRS	      64
#define MAX_MODERATION_US     100000
#define MAX_MODERATION_FRAMES 32768

enum {
	OPT_CLIENT = 256,
	OPT_HANG_UP,
	OPT_MEMORY,
	OPT_QUEUES,
	OPT_MAC,
	OPT_MTU,
	OPT_FEATURES,
	OPT_MODERATION,
	OPT_SOCKET_MODE,
	OPT_INTERVAL,
	OPT_NO_SANDBOX,
};

static const struct option long_options[] = {
	{"socket", required_argument, NULL, 's'},
	{"port", required_argument, NULL, 'p'},
	{"client", no_argument, NULL, OPT_CLIENT},
	{"hang-up", no_argument, NULL, OPT_HANG_UP},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"mac", required_argument, NULL, OPT_MAC},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"features", required_argument, NULL, OPT_FEATURES},
	{"moderation", required_argument, NULL, OPT_MODERATION},
	{"socket-mode", required_argument, NULL, OPT_SOCKET_MODE},
	{"interval", required_argument, NULL, OPT_INTERVAL},
	{"no-sandbox", no_argument, NULL, OPT_NO_SANDBOX},
	{NULL, 0, NULL, 0},
};

static const char help_text[] =
	"nm-vhost-user - plug virtual machines into netmap ports (vhost-user, virtio-net)\n"
	"\n"
	"usage: nm-vhost-user --socket PATH --port PORT [NIC OPTION]... [--socket ...]\n"
	"\n"
	"Each --socket begins a NIC; what follows describes it. NIC options before the first\n"
	"--socket are defaults for all.\n"
	"\n"
	"  -s, --socket PATH   the UNIX socket between QEMU and this NIC\n"
	"  -p, --port PORT     the netmap port, e.g. vale0:vm1, tap:t0, netmap:x{1\n"
	"  --client            connect to the socket (QEMU has server=on) instead of listening\n"
	"  --hang-up           no connection while the port's link is down: QEMU takes the\n"
	"                      guest's carrier away then, if it has reconnect=\n"
	"  --socket-mode MODE  permissions of the socket, octal (default 600)\n"
	"  --memory MODE       frames that the guest sends: auto (default), direct (the switch\n"
	"                      reads them in the guest's memory) or copy (this program copies\n"
	"                      them first: the front end can't stop others)\n"
	"  --queues N          queue pairs (default: as many as the port has rings)\n"
	"  --mac ADDR          the guest's address (default: made from the port's name)\n"
	"  --mtu N             the MTU that the guest is told\n"
	"  --features LIST     what to offer or, with no- in front, not to offer, e.g.\n"
	"                      no-packed,no-offload; see nm-vhost-user(1)\n"
	"  --moderation US[,N] interrupt the guest at most US microseconds after a frame, or\n"
	"                      after N frames (default: at once)\n"
	"\n"
	"  --interval S        a line of status for each NIC every S seconds (default: only\n"
	"                      after SIGUSR1)\n"
	"  --no-sandbox        keep privileges and system calls, to debug\n"
	"  --help              this text\n"
	"  --version           version\n";

const struct nmt_cli vh_cli = {
	.prog = "nm-vhost-user",
	.help = help_text,
	.shortopts = "s:p:",
	.longopts = long_options,
};

static void
parse_mac(struct vh_nic_options *n)
{
	struct nmt_err err;

	if (nmt_parse_station_mac(optarg, n->mac, &err) != 0)
		nmt_usage_error(&vh_cli, "--mac: %s", err.text);
}

static void
parse_moderation(struct vh_nic_options *n)
{
	uint64_t vals[2] = {0, 0};
	struct nmt_err err;
	size_t n_vals;

	if (nmt_parse_u64_list(optarg, ',', 0, MAX_MODERATION_US, vals, 2, &n_vals, &err) != 0)
		nmt_usage_error(&vh_cli, "--moderation: %s", err.text);
	if (vals[1] > MAX_MODERATION_FRAMES)
		nmt_usage_error(
			&vh_cli, "--moderation: more than %d frames", MAX_MODERATION_FRAMES);
	if (vals[0] == 0 && vals[1] > 0)
		nmt_usage_error(&vh_cli, "--moderation: with 0 microseconds the guest is "
					 "interrupted at once: no number of frames");
	n->coalesce_us = (uint32_t)vals[0];
	n->coalesce_frames = (uint32_t)vals[1];
}

static void
parse_features(struct vh_nic_options *n)
{
	struct nmt_err err;

	if (vh_features_parse(optarg, &n->features, &err) != 0)
		nmt_usage_error(&vh_cli, "--features: %s", err.text);
}

static void
parse_mode(struct vh_nic_options *n)
{
	mode_t mode = 0;
	const char *p;

	for (p = optarg; *p >= '0' && *p <= '7' && p - optarg < 4; p++)
		mode = mode * 8 + (mode_t)(*p - '0');
	if (p == optarg || *p != '\0' || mode > 0777)
		nmt_usage_error(&vh_cli, "--socket-mode: '%.20s' is not 0 to 777, octal", optarg);
	n->socket_mode = mode;
}

static void
parse_memory(struct vh_nic_options *n)
{
	if (strcmp(optarg, "auto") == 0)
		n->memory = VH_MEMORY_AUTO;
	else if (strcmp(optarg, "direct") == 0)
		n->memory = VH_MEMORY_DIRECT;
	else if (strcmp(optarg, "copy") == 0)
		n->memory = VH_MEMORY_COPY;
	else
		nmt_usage_error(&vh_cli, "--memory: '%.20s' is not auto, direct or copy", optarg);
}

static struct vh_nic_options *
add_nic(struct vh_options *o, const struct vh_nic_options *defaults)
{
	struct vh_nic_options *n;
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	unsigned int i;

	if (o->n_nics == VH_MAX_NICS)
		nmt_usage_error(&vh_cli, "--socket: more than %u NICs", VH_MAX_NICS);
	if (optarg[0] == '\0' || strlen(optarg) > max)
		nmt_usage_error(&vh_cli, "--socket: the path must have 1 to %zu characters", max);
	for (i = 0; i < o->n_nics; i++) {
		if (strcmp(o->nic[i].socket, optarg) == 0)
			nmt_usage_error(&vh_cli, "--socket: %s is named twice", optarg);
	}
	n = &o->nic[o->n_nics++];
	*n = *defaults;
	n->socket = optarg;
	return n;
}

static void
parse_nic_option(struct vh_nic_options *n, int opt)
{
	switch (opt) {
	case 'p':
		n->port = optarg;
		break;
	case OPT_CLIENT:
		n->is_client = true;
		break;
	case OPT_HANG_UP:
		n->hangs_up = true;
		break;
	case OPT_MEMORY:
		parse_memory(n);
		break;
	case OPT_QUEUES:
		n->queues = (unsigned int)nmt_cli_u64(&vh_cli, "--queues", optarg, 1, MAX_PAIRS);
		break;
	case OPT_MAC:
		parse_mac(n);
		break;
	case OPT_MTU:
		n->mtu = (uint16_t)nmt_cli_u64(
			&vh_cli, "--mtu", optarg, UNM_NET_MIN_MTU, UINT16_MAX);
		break;
	case OPT_FEATURES:
		parse_features(n);
		break;
	case OPT_MODERATION:
		parse_moderation(n);
		break;
	case OPT_SOCKET_MODE:
		parse_mode(n);
		break;
	}
}

/* What two NICs can't both have. */
static void
check_pair(const struct vh_nic_options *a, const struct vh_nic_options *b)
{
	static const uint8_t not_given[NMT_MAC_LEN];
	char mac[NMT_MAC_TEXT_SIZE];

	if (strcmp(a->port, b->port) == 0)
		nmt_usage_error(&vh_cli, "--port: %s is named twice", b->port);
	if (memcmp(b->mac, not_given, sizeof(b->mac)) != 0 &&
		memcmp(a->mac, b->mac, sizeof(b->mac)) == 0)
		nmt_usage_error(&vh_cli,
			"--mac: two NICs would have %s (before the first --socket it is for all)",
			nmt_format_mac(mac, b->mac));
}

static void
check_nics(const struct vh_options *o)
{
	unsigned int i, j;

	if (o->n_nics == 0)
		nmt_usage_error(&vh_cli, "no --socket");
	for (i = 0; i < o->n_nics; i++) {
		if (o->nic[i].port == NULL)
			nmt_usage_error(&vh_cli, "--socket %s has no --port", o->nic[i].socket);
		for (j = 0; j < i; j++)
			check_pair(&o->nic[j], &o->nic[i]);
	}
}

void
vh_options_parse(struct vh_options *o, int argc, char **argv)
{
	struct vh_nic_options defaults = {.socket_mode = 0600};
	struct vh_nic_options *n = &defaults;
	int opt;

	*o = (struct vh_options){.has_sandbox = true};
	while ((opt = nmt_cli_next(&vh_cli, argc, argv)) != -1) {
		switch (opt) {
		case 's':
			n = add_nic(o, &defaults);
			break;
		case OPT_INTERVAL:
			o->interval_s =
				(unsigned int)nmt_cli_u64(&vh_cli, "--interval", optarg, 1, 86400);
			break;
		case OPT_NO_SANDBOX:
			o->has_sandbox = false;
			break;
		default:
			parse_nic_option(n, opt);
			break;
		}
	}
	if (optind < argc)
		nmt_usage_error(&vh_cli, "unexpected argument '%.60s'", argv[optind]);
	check_nics(o);
}
