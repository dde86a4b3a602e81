/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of nm-record. See options.h. */
#include "options.h"

#include <string.h>

#include "store.h"

#define DEFAULT_BYTES	  (64u << 20)
#define DEFAULT_MAX_DUMPS 10
#define MAX_SNAPLEN	  262144
#define NS_PER_S	  UINT64_C(1000000000)

enum option_value {
	OPT_MAX_DUMPS = 256,
};

static const char help[] =
	"nm-record - keep the last frames of netmap ports, and write them when it matters\n"
	"\n"
	"usage: nm-record [options] PORT|SWITCH: ...\n"
	"       nm-record [-S SOCKET] dump [FILE]\n"
	"       nm-record [-S SOCKET] [-j] status\n"
	"       nm-record [-S SOCKET] stop\n"
	"\n"
	"  -b, --bytes N        memory for frames (default 64M; K, M, G: powers of 1024)\n"
	"  -n, --frames N       keep N frames at most\n"
	"  -t, --seconds TIME   keep frames that are not older\n"
	"  -s, --snaplen N      bytes of each frame (default 262144)\n"
	"  -f, --filter FILTER  keep only these frames\n"
	"  -w, --write PREFIX   files are named PREFIX-DATE-TIME.pcapng (default nm-record)\n"
	"  -e, --on EVENTS      write by itself; EVENTS: port, netmapd, exit, separated by commas\n"
	"  -p, --pid PID        write when this process ends\n"
	"  --max-dumps N        write by itself so often at most (default 10)\n"
	"  -S, --socket SOCKET  for commands (default: nm-record.sock beside netmapd's)\n"
	"  -j, --json           JSON\n"
	"  --help               this text\n"
	"  --version            version\n"
	"\n"
	"SWITCH: (with a colon, vale0:) is all its ports. SIGUSR1 writes, too. See nm-record(1).\n";

static const struct option longopts[] = {
	{"bytes", required_argument, NULL, 'b'},
	{"frames", required_argument, NULL, 'n'},
	{"seconds", required_argument, NULL, 't'},
	{"snaplen", required_argument, NULL, 's'},
	{"filter", required_argument, NULL, 'f'},
	{"write", required_argument, NULL, 'w'},
	{"on", required_argument, NULL, 'e'},
	{"pid", required_argument, NULL, 'p'},
	{"max-dumps", required_argument, NULL, OPT_MAX_DUMPS},
	{"socket", required_argument, NULL, 'S'},
	{"json", no_argument, NULL, 'j'},
	{0},
};

const struct nmt_cli record_cli = {
	.prog = "nm-record",
	.help = help,
	.shortopts = "b:n:t:s:f:w:e:p:S:j",
	.longopts = longopts,
};

/* Return: enum when, or 0. */
static unsigned int
event_by_name(const char *name, size_t len)
{
	static const struct {
		const char *name;
		enum when when;
	} events[] = {{"port", WHEN_PORT}, {"netmapd", WHEN_NETMAPD}, {"exit", WHEN_EXIT}};
	size_t i;

	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (strlen(events[i].name) == len && strncmp(name, events[i].name, len) == 0)
			return events[i].when;
	return 0;
}

static unsigned int
parse_events(const char *text)
{
	unsigned int all = 0;

	for (;;) { /* a word each round */
		const size_t len = strcspn(text, ",");
		const unsigned int one = event_by_name(text, len);

		if (one == 0)
			nmt_usage_error(&record_cli, "-e: '%.*s' is not one of port, netmapd, exit",
				(int)len, text);
		all |= one;
		if (text[len] == '\0')
			return all;
		text += len + 1;
	}
}

static void
set_command(struct options *o)
{
	static const struct {
		const char *name;
		enum command command;
		unsigned int max_words;
	} commands[] = {{"dump", COMMAND_DUMP, 1}, {"status", COMMAND_STATUS, 0},
		{"stop", COMMAND_STOP, 0}};
	size_t i;

	if (o->n_words == 0)
		nmt_usage_error(&record_cli, "which ports? or dump, status, stop");
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(o->words[0], commands[i].name) != 0)
			continue;
		o->command = commands[i].command;
		o->words++;
		o->n_words--;
		if (o->n_words > commands[i].max_words)
			nmt_usage_error(&record_cli, "%s: too many words", commands[i].name);
		break;
	}
	if (o->json && o->command != COMMAND_STATUS)
		nmt_usage_error(&record_cli, "-j is for status");
}

void
options_parse(struct options *o, int argc, char **argv)
{
	int opt;

	*o = (struct options){
		.n_bytes = DEFAULT_BYTES,
		.snaplen = MAX_SNAPLEN,
		.prefix = "nm-record",
		.max_dumps = DEFAULT_MAX_DUMPS,
	};
	while ((opt = nmt_cli_next(&record_cli, argc, argv)) != -1) {
		switch (opt) {
		case 'b':
			o->n_bytes = nmt_cli_size(
				&record_cli, "-b", optarg, STORE_MIN_SIZE, UINT64_C(1) << 40);
			break;
		case 'n':
			o->n_frames = nmt_cli_count(&record_cli, "-n", optarg, 1, UINT64_MAX);
			break;
		case 't':
			o->age_ns = nmt_cli_time_ns(&record_cli, "-t", optarg, 's', 1000000,
				UINT64_C(86400) * 366 * NS_PER_S);
			break;
		case 's':
			o->snaplen =
				(uint32_t)nmt_cli_u64(&record_cli, "-s", optarg, 1, MAX_SNAPLEN);
			break;
		case 'f':
			o->filter = optarg;
			break;
		case 'w':
			o->prefix = optarg;
			break;
		case 'e':
			o->when |= parse_events(optarg);
			break;
		case 'p':
			if (o->n_pids == OPTIONS_PIDS_MAX)
				nmt_usage_error(
					&record_cli, "-p: at most %d processes", OPTIONS_PIDS_MAX);
			o->pid[o->n_pids++] = nmt_cli_int(&record_cli, "-p", optarg, 1, INT32_MAX);
			break;
		case OPT_MAX_DUMPS:
			o->max_dumps =
				nmt_cli_u64(&record_cli, "--max-dumps", optarg, 0, UINT64_MAX);
			break;
		case 'S':
			o->socket_path = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		}
	}
	o->words = argv + optind;
	o->n_words = (unsigned int)(argc - optind);
	set_command(o);
}
