/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nm-extcap - netmap ports as interfaces of Wireshark.
 *
 * Wireshark runs the programs in its extcap directory to learn which interfaces they have, what can
 * be set for them, and to capture: frames go into a FIFO of its making as pcapng, until it ends us
 * by SIGTERM or by closing the FIFO.
 *
 * Wireshark's syntax puts values in braces, and a pipe's name may have one: so "{", "}" and "%" in
 * names of interfaces are written as %7B, %7D and %25.
 *
 * Source: extcap(4), as of Wireshark 4.0.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "extcap.h"
#include "nmt_cli.h"
#include "pcap/capture.h"
#include "pcap/filter.h"
#include "pcap/list.h"

#define ANY_PORT     "netmap" /* the interface whose port is asked for */
#define NAME_MAX_LEN 256
#define SNAPLEN_MAX  262144
#define VALUE_SIZE   (3 * UNM_LIST_NAME_SIZE)

static const char help[] =
	"nm-extcap - netmap ports as interfaces of Wireshark\n"
	"\n"
	"usage: nm-extcap --extcap-interfaces [--extcap-version=VERSION]\n"
	"       nm-extcap --extcap-interface=PORT --extcap-dlts|--extcap-config\n"
	"       nm-extcap --extcap-interface=PORT --capture --fifo=FILE [options]\n"
	"\n"
	"  --extcap-interfaces        list the ports that there are\n"
	"  --extcap-version=VERSION   Wireshark's version\n"
	"  --extcap-interface=PORT    the port, as the list has it\n"
	"  --extcap-dlts              which link types it has\n"
	"  --extcap-config            what can be set for it\n"
	"  --capture                  capture from it\n"
	"  --fifo=FILE                write pcapng to this file\n"
	"  --extcap-capture-filter=FILTER\n"
	"                             capture only this; without --capture: is it correct?\n"
	"  --port=PORT                interface 'netmap': the port that is meant\n"
	"  --direction=DIRECTION      of a port in use: in, out or both (default both)\n"
	"  --snaplen=BYTES            of each frame (default 262144)\n"
	"  --help                     this text\n"
	"  --version                  version\n"
	"\n"
	"Wireshark finds it in its extcap directory. See nm-extcap(1).\n";

enum option_value {
	OPT_INTERFACES = 256,
	OPT_VERSION,
	OPT_INTERFACE,
	OPT_DLTS,
	OPT_CONFIG,
	OPT_CAPTURE,
	OPT_FIFO,
	OPT_FILTER,
	OPT_PORT,
	OPT_DIRECTION,
	OPT_SNAPLEN,
};

static const struct option longopts[] = {
	{"extcap-interfaces", no_argument, NULL, OPT_INTERFACES},
	{"extcap-version", optional_argument, NULL, OPT_VERSION},
	{"extcap-interface", required_argument, NULL, OPT_INTERFACE},
	{"extcap-dlts", no_argument, NULL, OPT_DLTS},
	{"extcap-config", no_argument, NULL, OPT_CONFIG},
	{"capture", no_argument, NULL, OPT_CAPTURE},
	{"fifo", required_argument, NULL, OPT_FIFO},
	{"extcap-capture-filter", required_argument, NULL, OPT_FILTER},
	{"port", required_argument, NULL, OPT_PORT},
	{"direction", required_argument, NULL, OPT_DIRECTION},
	{"snaplen", required_argument, NULL, OPT_SNAPLEN},
	{0},
};

static const struct nmt_cli cli = {
	.prog = "nm-extcap",
	.help = help,
	.shortopts = "",
	.longopts = longopts,
};

struct options {
	enum option_value action; /* OPT_INTERFACES, _DLTS, _CONFIG, _CAPTURE; 0: none */
	char name[NAME_MAX_LEN];  /* decoded; "": none */
	const char *filter;	  /* NULL: none */
	const char *fifo;
	enum extcap_direction direction;
	uint32_t snaplen;
};

static void
print_value(const char *name)
{
	for (; *name != '\0'; name++) {
		if (strchr("{}%", *name) != NULL)
			printf("%%%02X", (unsigned int)(unsigned char)*name);
		else
			putchar(*name);
	}
}

static void
decode(const char *value, char *name, size_t size)
{
	size_t n = 0;

	while (*value != '\0' && n + 1 < size) {
		char hex[3] = {value[0] == '%' ? value[1] : '\0', value[1], '\0'};
		char *end;
		unsigned long c;

		if (hex[0] != '\0' && hex[1] != '\0')
			hex[1] = value[2];
		c = strtoul(hex, &end, 16);
		if (value[0] == '%' && end == hex + 2) {
			name[n++] = (char)c;
			value += 3;
		} else {
			name[n++] = *value++;
		}
	}
	name[n] = '\0';
}

static void
print_interfaces(void)
{
	struct unm_list_port *ports = NULL;
	char text[160], why[UNM_LIST_WHY_SIZE];
	const int n = unm_list_ports(&ports, UNM_LIST_WAIT_MS, why);
	int i;

	if (n < 0 && why[0] != '\0') /* the list goes on with what can be had */
		fprintf(stderr, "nm-extcap: ports are not listed: %s\n", why);

	printf("extcap {version=" UNM_VERSION "}{help=man:nm-extcap(1)}{display=netmap ports}\n");
	for (i = 0; i < n; i++) {
		unm_list_describe(&ports[i], text, sizeof(text));
		printf("interface {value=");
		print_value(ports[i].name);
		printf("}{display=%s}\n", text);
	}
	printf("interface {value=" ANY_PORT "}{display=netmap port by name}\n");
	free(ports);
}

static void
print_config(const struct options *o)
{
	unsigned int n = 0;

	if (strcmp(o->name, ANY_PORT) == 0)
		printf("arg {number=%u}{call=--port}{display=Port}{type=string}{required=true}"
		       "{tooltip=for example vale0:a}\n",
			n++);
	printf("arg {number=%u}{call=--direction}{display=Direction}{type=selector}"
	       "{tooltip=of a port that is in use}\n",
		n);
	printf("value {arg=%u}{value=both}{display=received and sent}{default=true}\n", n);
	printf("value {arg=%u}{value=in}{display=received}{default=false}\n", n);
	printf("value {arg=%u}{value=out}{display=sent}{default=false}\n", n++);
	printf("arg {number=%u}{call=--snaplen}{display=Snapshot length}{type=unsigned}"
	       "{range=1,%d}{default=%d}{tooltip=bytes of each frame}\n",
		n, SNAPLEN_MAX, SNAPLEN_MAX);
}

/* Wireshark takes any text for what is wrong with the filter, and none for a good one. */
static int
check_filter(const char *text)
{
	char why[UNM_CAP_WHY_SIZE];
	struct unm_filter *f;

	if (unm_filter_compile(&f, text, why) < 0)
		printf("%s\n", why);
	else
		unm_filter_free(f);
	return EXIT_SUCCESS;
}

static enum extcap_direction
parse_direction(const char *text)
{
	if (strcmp(text, "both") == 0)
		return EXTCAP_BOTH;
	if (strcmp(text, "in") == 0)
		return EXTCAP_IN;
	if (strcmp(text, "out") == 0)
		return EXTCAP_OUT;
	nmt_usage_error(&cli, "--direction: '%s' is not one of in, out, both", text);
}

static void
set_action(struct options *o, enum option_value action)
{
	if (o->action != 0 && o->action != action)
		nmt_usage_error(&cli, "one of --extcap-interfaces, --extcap-dlts, --extcap-config, "
				      "--capture, not two");
	o->action = action;
}

static void
parse_options(struct options *o, int argc, char **argv)
{
	const char *port = NULL;
	int opt;

	while ((opt = nmt_cli_next(&cli, argc, argv)) != -1) {
		switch (opt) {
		case OPT_INTERFACES:
		case OPT_DLTS:
		case OPT_CONFIG:
		case OPT_CAPTURE:
			set_action(o, (enum option_value)opt);
			break;
		case OPT_VERSION: /* ours has the same form for all */
			break;
		case OPT_INTERFACE:
			decode(optarg, o->name, sizeof(o->name));
			break;
		case OPT_FIFO:
			o->fifo = optarg;
			break;
		case OPT_FILTER:
			o->filter = optarg;
			break;
		case OPT_PORT:
			port = optarg;
			break;
		case OPT_DIRECTION:
			o->direction = parse_direction(optarg);
			break;
		case OPT_SNAPLEN:
			o->snaplen =
				(uint32_t)nmt_cli_u64(&cli, "--snaplen", optarg, 1, SNAPLEN_MAX);
			break;
		}
	}
	if (optind < argc)
		nmt_usage_error(&cli, "'%s': there are options only", argv[optind]);
	if (port != NULL && strcmp(o->name, ANY_PORT) == 0 && o->action == OPT_CAPTURE)
		snprintf(o->name, sizeof(o->name), "%s", port);
}

static int
capture(const struct options *o)
{
	struct extcap_job job = {
		.name = o->name,
		.fifo = o->fifo,
		.filter_text = o->filter,
		.direction = o->direction,
		.snaplen = o->snaplen,
	};
	char why[UNM_CAP_WHY_SIZE];

	if (o->fifo == NULL)
		nmt_usage_error(&cli, "--capture needs --fifo");
	if (strcmp(o->name, ANY_PORT) == 0)
		nmt_usage_error(&cli, "interface '" ANY_PORT "' needs --port");
	if (o->filter != NULL && o->filter[0] != '\0' &&
		unm_filter_compile(&job.filter, o->filter, why) < 0)
		nmt_die(&cli, "%s", why);
	if (extcap_capture(&job, why) < 0)
		nmt_die(&cli, "%s", why);
	unm_filter_free(job.filter);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct options o = {.snaplen = SNAPLEN_MAX, .direction = EXTCAP_BOTH};

	parse_options(&o, argc, argv);
	if (o.action == OPT_INTERFACES) {
		print_interfaces();
		return EXIT_SUCCESS;
	}
	if (o.action == 0 && o.filter == NULL)
		nmt_usage_error(&cli, "what shall be done? Wireshark runs this program");
	if (o.name[0] == '\0')
		nmt_usage_error(&cli, "--extcap-interface is needed");
	switch (o.action) {
	case OPT_DLTS:
		printf("dlt {number=1}{name=EN10MB}{display=Ethernet}\n");
		return EXIT_SUCCESS;
	case OPT_CONFIG:
		print_config(&o);
		return EXIT_SUCCESS;
	case OPT_CAPTURE:
		return capture(&o);
	default:
		return check_filter(o.filter);
	}
}
