/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of nmreplay: see options.h. */
#include "options.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/random.h>

#include "nmt_log.h"
#include "nmt_units.h"
#include "transmit.h"

/* Packets in one sync; upstream's default (spec 24.5). */
#define BATCH_DEFAULT 128

/* A day: whoever wants to wait longer has meant something else. */
#define WAIT_MAX_S 86400

/* Half of what is available may go into packets and schedule, unless the user says otherwise. */
#define MEMORY_SHARE 2

enum { OPT_LOOPS = 0x100, OPT_SEED, OPT_MAX_MEMORY };

static const char help_text[] =
	"usage: nmreplay -f FILE -i PORT [options]\n"
	"\n"
	"Plays a capture file (pcap or pcapng) on a netmap port.\n"
	"\n"
	"  -f FILE        the capture; - reads it from standard input\n"
	"  -i PORT        netmap:NAME, valeX:NAME, a pipe end NAME{ID or NAME}ID; a plain\n"
	"                 name gets netmap: in front\n"
	"  --loops N      play the capture N times; 0 (default) until interrupted\n"
	"\n"
	"The link:\n"
	"  -B RATE        when packets leave:\n"
	"                   real[,SPEED]   at the times of the capture, SPEED times as fast\n"
	"                                  (default: real)\n"
	"                   [constant,]BPS so many bits of frame a second; 0 is no limit\n"
	"                   ether,BPS      the same with 24 bytes of framing a packet\n"
	"                 K, M, G may follow BPS\n"
	"  -D DELAY       what they are delayed by: [constant,]T  uniform,MIN,MAX\n"
	"                 exp,MIN,AVG; seconds, or with s, m, u, n behind the number\n"
	"  -L LOSS        how many are lost: [plr,]X of the packets, ber,X of the bits\n"
	"  --seed N       repeat the random numbers of another run\n"
	"\n"
	"Sending:\n"
	"  -b COUNT       packets handed to the port at once, at most (default 128)\n"
	"  -w SECONDS     wait for the link before the first packet (default 0)\n"
	"  -C CPU[,CPU]   run the transmitter on one CPU, everything else on the other\n"
	"  --max-memory BYTES\n"
	"                 for packets and schedule; K, M, G: powers of 1024 (default half\n"
	"                 of what is available)\n"
	"\n"
	"Output:\n"
	"  -j, --json     results as JSON objects, one per line, on standard output\n"
	"  -v             say more about capture and schedule\n"
	"  -h, --help     print this text\n"
	"  --version      print the version\n"
	"\n"
	"Ctrl-C ends the run with the final report.\n";

static const struct option longopts[] = {
	{"loops", required_argument, NULL, OPT_LOOPS},
	{"seed", required_argument, NULL, OPT_SEED},
	{"max-memory", required_argument, NULL, OPT_MAX_MEMORY},
	{"json", no_argument, NULL, 'j'},
	{0},
};

static const struct nmt_cli cli = {
	.prog = "nmreplay",
	.help = help_text,
	.shortopts = "f:i:B:D:L:b:w:C:jvh",
	.longopts = longopts,
	.h_is_help = true,
};

const struct nmt_cli *
nmr_cli(void)
{
	return &cli;
}

/* Options that upstream accepts twice for a second direction, which does not exist here. */
static void
require_once(bool *given, const char *opt)
{
	if (*given)
		nmt_usage_error(&cli, "%s given twice", opt);
	*given = true;
}

static void
check_model(const char *opt, int error, const struct nmt_err *err)
{
	if (error != 0)
		nmt_usage_error(&cli, "%s: %s", opt, err->text);
}

static void
parse_cpus(struct nmr_options *opt, const char *arg)
{
	uint64_t cpus[2] = {0};
	struct nmt_err err;
	size_t n = 0;

	if (nmt_parse_u64_list(arg, ',', 0, CPU_SETSIZE - 1, cpus, 2, &n, &err) != 0)
		nmt_usage_error(&cli, "-C: %s", err.text);
	opt->tx_cpu = (int)cpus[0];
	if (n > 1)
		opt->main_cpu = (int)cpus[1];
}

static void
parse_loops(struct nmr_options *opt, const char *arg)
{
	uint64_t n = nmt_cli_count(&cli, "--loops", arg, 0, UINT32_MAX);

	opt->n_rounds = n == 0 ? NMR_FOREVER : n;
}

/* The options that may be given once. Return: false, it is another one. */
static bool
parse_once_option(struct nmr_options *opt, int option)
{
	static bool file_given, port_given, bw_given, delay_given, loss_given;
	struct nmt_err err;

	switch (option) {
	case 'f':
		require_once(&file_given, "-f");
		opt->file = optarg;
		return true;
	case 'i':
		require_once(&port_given, "-i");
		opt->port_name = optarg;
		return true;
	case 'B':
		require_once(&bw_given, "-B");
		check_model("-B", nmr_bw_parse(optarg, &opt->link.bw, &err), &err);
		return true;
	case 'D':
		require_once(&delay_given, "-D");
		check_model("-D", nmr_delay_parse(optarg, &opt->link.delay, &err), &err);
		return true;
	case 'L':
		require_once(&loss_given, "-L");
		check_model("-L", nmr_loss_parse(optarg, &opt->link.loss, &err), &err);
		return true;
	default:
		return false;
	}
}

static void
parse_option(struct nmr_options *opt, int option)
{
	if (parse_once_option(opt, option))
		return;
	switch (option) {
	case 'b':
		opt->batch = (uint32_t)nmt_cli_u64(&cli, "-b", optarg, 1, UINT32_MAX);
		break;
	case 'w':
		opt->wait_s = (unsigned)nmt_cli_u64(&cli, "-w", optarg, 0, WAIT_MAX_S);
		break;
	case 'C':
		parse_cpus(opt, optarg);
		break;
	case 'j':
		opt->json = true;
		break;
	case 'v':
		nmt_log_set_verbosity(nmt_log_verbosity() + 1);
		break;
	case OPT_LOOPS:
		parse_loops(opt, optarg);
		break;
	case OPT_SEED:
		opt->link.seed = nmt_cli_u64(&cli, "--seed", optarg, 0, UINT64_MAX);
		break;
	case OPT_MAX_MEMORY:
		opt->memory_limit = nmt_cli_size(&cli, "--max-memory", optarg, 1, SIZE_MAX / 2);
		break;
	}
}

void
nmr_options_parse(struct nmr_options *opt, int argc, char **argv)
{
	int option;

	*opt = (struct nmr_options){
		.link = {.bw = {.kind = NMR_BW_REAL, .speed = 1}},
		.n_rounds = NMR_FOREVER,
		.memory_limit = nmr_memory_available() / MEMORY_SHARE,
		.batch = BATCH_DEFAULT,
		.tx_cpu = NMR_NO_CPU,
		.main_cpu = NMR_NO_CPU,
	};
	if (opt->memory_limit == 0) /* not known: the kernel will say when there is no more */
		opt->memory_limit = SIZE_MAX / 2;
	/* Some seed, printed with -v. */
	if (getrandom(&opt->link.seed, sizeof(opt->link.seed), GRND_NONBLOCK) < 0)
		opt->link.seed = 0; /* early at boot: as good as any */
	while ((option = nmt_cli_next(&cli, argc, argv)) != -1)
		parse_option(opt, option);
	if (optind < argc)
		nmt_usage_error(&cli, "unexpected argument '%.60s'", argv[optind]);
	if (opt->file == NULL)
		nmt_usage_error(&cli, "no capture file given (-f)");
	if (opt->port_name == NULL)
		nmt_usage_error(&cli, "no port given (-i)");
}
