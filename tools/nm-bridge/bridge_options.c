/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of nm-bridge: see bridge_options.h. Ports come from -i and from what is not an
 * option, in that order; a single port, or the same twice, means its host rings and itself.
 */
#include "bridge_options.h"

#include <stdio.h>
#include <string.h>

#include "nmt_log.h"

#define DEFAULT_BURST  1024
#define DEFAULT_WAIT_S 4
#define MAX_BURST      (1u << 20)

static const char help_text[] =
	"usage: nm-bridge [-cLv] [-b BURST] [-w S] [-i PORTA] [-i PORTB]\n"
	"       nm-bridge [-cLv] [-b BURST] [-w S] PORTA [PORTB [BURST]]\n"
	"\n"
	"Forward packets between two netmap ports, in both directions, without copying where\n"
	"both share a memory region. With one port: between it and the kernel's network stack.\n"
	"\n"
	"  -i PORT     a port, such as netmap:eth0, vale0:a or netmap:x{1; at most twice\n"
	"  -b BURST    slots moved between two syncs (default 1024)\n"
	"  -w S        seconds to wait for the link before starting (default 4)\n"
	"  -c          copy packets even if buffers could be exchanged\n"
	"  -L          send what one port receives back through the same port\n"
	"  -v          a line for each poll and each move; twice: for each packet\n"
	"  -h, --help  print this text\n"
	"  --version   print the version\n";

const struct nmt_cli br_cli = {
	.prog = "nm-bridge",
	.help = help_text,
	.shortopts = "hvcLb:w:i:",
	.h_is_help = true,
};

static void
set_port(char *port, const char *opt, const char *arg)
{
	if (arg[0] == '\0' || strlen(arg) >= BR_SPEC_SIZE)
		nmt_usage_error(&br_cli, "%s: '%.60s' is not a port name of 1 to %d characters",
			opt, arg, BR_SPEC_SIZE - 1);
	strcpy(port, arg); /* fits */
}

static void
add_port(struct br_options *opts, const char *opt, const char *arg)
{
	if (opts->port_a[0] == '\0')
		set_port(opts->port_a, opt, arg);
	else if (opts->port_b[0] == '\0')
		set_port(opts->port_b, opt, arg);
	else
		nmt_usage_error(&br_cli, "%s %.60s: two ports are named already", opt, arg);
}

static uint32_t
parse_burst(const char *opt, const char *arg)
{
	return (uint32_t)nmt_cli_u64(&br_cli, opt, arg, 1, MAX_BURST);
}

/* [PORTA [PORTB [BURST]]], as far as -i has not named the ports. */
static void
parse_operands(struct br_options *opts, int argc, char **argv)
{
	int i = optind;

	while (i < argc && opts->port_b[0] == '\0')
		add_port(opts, "port", argv[i++]);
	if (i < argc)
		opts->burst = parse_burst("BURST", argv[i++]);
	if (i < argc)
		nmt_usage_error(&br_cli, "unexpected argument '%.60s'", argv[i]);
}

/* "eth0%/path@rest": "@rest" comes behind "^", and then the path as an option. Return: as snprintf(). */
static int
host_rings_by_path(char *out, size_t size, const char *port, size_t len)
{
	const char *path = port + len, *rest = path + strcspn(path, "@");

	return snprintf(out, size, "%.*s^%s@netns=%.*s", (int)len - 1, port, rest,
		(int)(rest - path), path);
}

/* B is A, so A becomes the host rings of that port: a '^' behind the name of the device. */
static void
use_host_rings(struct br_options *opts)
{
	const char *colon = strchr(opts->port_b, ':');
	size_t name_at = colon != NULL ? (size_t)(colon - opts->port_b) + 1 : 0;
	size_t len = name_at + strcspn(opts->port_b + name_at, "-*^{}/@");
	const char *rest = opts->port_b + len;
	int n;

	if (rest[0] != '\0' && strchr("-*^", rest[0]) != NULL)
		nmt_usage_error(&br_cli,
			"'%.60s' names some rings of a port; name the other port too, or -L",
			opts->port_b);
	if (rest[0] == '{' || rest[0] == '}' || strncmp(opts->port_b, "vale", 4) == 0)
		nmt_usage_error(&br_cli,
			"'%.60s' has no host rings to bridge to; name the other port too, or -L",
			opts->port_b);
	if (rest[0] == '/' && len > 0 && rest[-1] == '%')
		n = host_rings_by_path(opts->port_a, sizeof(opts->port_a), opts->port_b, len);
	else
		n = snprintf(opts->port_a, sizeof(opts->port_a), "%.*s^%s", (int)len, opts->port_b,
			rest);
	if (n >= (int)sizeof(opts->port_a))
		nmt_usage_error(&br_cli, "'%.60s' is too long", opts->port_b);
	nmt_log("same interface, endpoint 0 goes to host");
}

static void
resolve_ports(struct br_options *opts, bool loopback)
{
	const bool same = opts->port_b[0] == '\0' || strcmp(opts->port_a, opts->port_b) == 0;

	if (opts->port_a[0] == '\0')
		nmt_usage_error(&br_cli, "no port is named");
	if (loopback && !same)
		nmt_usage_error(&br_cli, "-L is for one port, '%.60s' is a second", opts->port_b);
	if (loopback) {
		opts->port_b[0] = '\0';
		nmt_log("same interface, loopbacking traffic");
	} else if (same) {
		memcpy(opts->port_b, opts->port_a, sizeof(opts->port_b));
		use_host_rings(opts);
	}
}

void
br_options_parse(struct br_options *opts, int argc, char **argv)
{
	bool loopback = false;
	int verbosity = 0;
	int opt;

	*opts = (struct br_options){.burst = DEFAULT_BURST, .wait_s = DEFAULT_WAIT_S};
	while ((opt = nmt_cli_next(&br_cli, argc, argv)) != -1) {
		switch (opt) {
		case 'b':
			opts->burst = parse_burst("-b", optarg);
			break;
		case 'w':
			opts->wait_s = (unsigned)nmt_cli_u64(&br_cli, "-w", optarg, 0, 3600);
			break;
		case 'i':
			add_port(opts, "-i", optarg);
			break;
		case 'c':
			opts->copy = true;
			break;
		case 'L':
			loopback = true;
			break;
		case 'v':
			verbosity++;
			break;
		}
	}
	parse_operands(opts, argc, argv);
	nmt_log_set_verbosity(verbosity);
	resolve_ports(opts, loopback);
}
