/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command line of pkt-gen: see options.h.
 *
 * Texts whose meaning depends on other options (addresses on -4 and -6, -b and -l on -f) are kept
 * until all options are known.
 */
#include "options.h"

#include <string.h>

#include "nmt_affinity.h"
#include "nmt_log.h"
#include "nmt_units.h"
#include "pace.h"

#define BURST_DEFAULT	  512
#define FRAME_LEN_DEFAULT 60
#define SLOTS_MAX	  65536 /* above any provider's limit, which is said at registration */
#define RINGS_MAX	  256
#define REPORT_MS_MAX	  3600000
#define WAIT_S_MAX	  3600
#define RATE_MAX	  UINT64_C(1000000000)
#define COUNT_MAX	  (UINT64_MAX / 2)
#define STAMP_LEN	  12 /* number, seconds, nanoseconds */
#define SEQ_LEN		  4

enum { OPT_JSON = 0x100, OPT_BUSY_WAIT };

static const struct option longopts[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"busy-wait", no_argument, NULL, OPT_BUSY_WAIT},
	{0},
};

static const struct nmt_cli cli = {
	.prog = "pkt-gen",
	.help = pg_help_text,
	.shortopts = "46a:b:c:d:f:hi:l:n:o:p:rs:vw:zABC:D:F:H:IM:NP:R:S:T:WXZ",
	.longopts = longopts,
	.h_is_help = true,
};

static const char *const function_names[] = {
	[PG_RX] = "rx",
	[PG_TX] = "tx",
	[PG_PING] = "ping",
	[PG_PONG] = "pong",
	[PG_RXSEQ] = "rxseq",
	[PG_TXSEQ] = "txseq",
};

/* Arguments that can only be understood at the end. */
struct raw_args {
	const char *src_ip, *dst_ip, *src_mac, *dst_mac;
	uint32_t lens[2];
	unsigned n_lens;
	int n_cpus;    /* -1: not given */
	bool v4_given; /* -4 next to -6 is a contradiction */
	int verbosity;
};

const struct nmt_cli *
pg_cli(void)
{
	return &cli;
}

const char *
pg_function_name(enum pg_function function)
{
	return function_names[function];
}

bool
pg_is_sender(const struct pg_options *opt)
{
	return opt->function == PG_TX || opt->function == PG_TXSEQ;
}

bool
pg_is_receiver(const struct pg_options *opt)
{
	return opt->function == PG_RX || opt->function == PG_RXSEQ;
}

static bool
is_single(const struct nmt_ip_range *r)
{
	return memcmp(&r->first, &r->last, sizeof(r->first)) == 0 && r->port_first == r->port_last;
}

static bool
is_single_mac(const struct nmt_mac_range *r)
{
	return memcmp(r->first, r->last, NMT_MAC_LEN) == 0;
}

/* Whether the user asked for more than one address. */
static bool
has_varied_addresses(const struct pg_options *opt)
{
	return opt->random_src || opt->random_dst || !is_single(&opt->src_ip) ||
	       !is_single(&opt->dst_ip) || !is_single_mac(&opt->src_mac) ||
	       !is_single_mac(&opt->dst_mac);
}

bool
pg_is_varied(const struct pg_options *opt)
{
	return has_varied_addresses(opt) || opt->frame_len_min != opt->frame_len_max ||
	       opt->function == PG_TXSEQ || (opt->data & PG_DATA_STAMP) != 0;
}

static enum pg_function
parse_function(const char *text)
{
	size_t n = sizeof(function_names) / sizeof(function_names[0]);

	for (size_t i = 0; i < n; i++)
		if (strcmp(text, function_names[i]) == 0)
			return (enum pg_function)i;
	nmt_usage_error(&cli, "-f: '%.40s' is not one of rx, tx, ping, pong, txseq, rxseq", text);
}

static void
parse_conf(struct pg_options *opt, const char *text)
{
	uint64_t vals[4] = {0};
	struct nmt_err err;
	size_t n;

	if (nmt_parse_u64_list(text, ',', 0, SLOTS_MAX, vals, 4, &n, &err) != 0)
		nmt_usage_error(&cli, "-C: %s", err.text);
	if (vals[2] > RINGS_MAX || vals[3] > RINGS_MAX)
		nmt_usage_error(&cli, "-C: a port has at most %d rings", RINGS_MAX);
	opt->n_tx_slots = (uint32_t)vals[0];
	opt->n_rx_slots = (uint32_t)vals[1];
	opt->n_tx_rings = (uint16_t)vals[2];
	opt->n_rx_rings = (uint16_t)vals[3];
}

static void
parse_data_bits(struct pg_options *opt, const char *text)
{
	uint64_t bits = nmt_cli_u64(&cli, "-o", text, 0, UINT32_MAX);

	if ((bits & ~(uint64_t)PG_DATA_ALL) != 0)
		nmt_usage_error(&cli,
			"-o: %s is not a sum of 1, 2, 4, 8, 16, 32, 64 and 256 (see --help)", text);
	opt->data |= (unsigned)bits;
}

static int
parse_vnet_hdr_len(const char *text)
{
	uint64_t len = nmt_cli_u64(&cli, "-H", text, 0, 12);

	if (len != 0 && len != 10 && len != 12)
		nmt_usage_error(&cli, "-H: %s is not 0, 10 or 12", text);
	return (int)len;
}

static void
add_len(struct raw_args *raw, const char *text)
{
	if (raw->n_lens == 2)
		nmt_usage_error(&cli, "-l may be given twice, not more often");
	raw->lens[raw->n_lens++] =
		(uint32_t)nmt_cli_u64(&cli, "-l", text, PG_FRAME_LEN_MIN, PG_FRAME_LEN_MAX);
}

/* Options about packets. False: not one of them. */
static bool
parse_packet_option(struct pg_options *opt, struct raw_args *raw, int letter, const char *arg)
{
	switch (letter) {
	case '4':
		raw->v4_given = true;
		break;
	case '6':
		opt->is_v6 = true;
		break;
	case 'b':
		opt->burst = (uint32_t)nmt_cli_u64(&cli, "-b", arg, 1, SLOTS_MAX);
		break;
	case 'd':
		raw->dst_ip = arg;
		break;
	case 's':
		raw->src_ip = arg;
		break;
	case 'D':
		raw->dst_mac = arg;
		break;
	case 'S':
		raw->src_mac = arg;
		break;
	case 'l':
		add_len(raw, arg);
		break;
	case 'F':
		opt->n_frags = (uint32_t)nmt_cli_u64(&cli, "-F", arg, 1, PG_FRAGS_MAX);
		break;
	case 'M':
		opt->frag_len = (uint32_t)nmt_cli_u64(&cli, "-M", arg, 1, PG_FRAME_LEN_MAX);
		break;
	case 'H':
		opt->vnet_hdr_len = parse_vnet_hdr_len(arg);
		break;
	case 'I':
		opt->data |= PG_DATA_INDIRECT;
		break;
	case 'X':
		opt->data |= PG_DATA_DUMP;
		break;
	case 'r':
		opt->data |= PG_DATA_RUBBISH;
		break;
	case 'o':
		parse_data_bits(opt, arg);
		break;
	case 'P':
		opt->template_file = arg;
		break;
	case 'z':
		opt->random_src = true;
		break;
	case 'Z':
		opt->random_dst = true;
		break;
	default:
		return false;
	}
	return true;
}

/* All others. */
static void
parse_run_option(struct pg_options *opt, struct raw_args *raw, int letter, const char *arg)
{
	switch (letter) {
	case 'a':
		opt->first_cpu = nmt_cli_int(&cli, "-a", arg, 0, UINT16_MAX);
		break;
	case 'c':
		raw->n_cpus = nmt_cli_int(&cli, "-c", arg, 0, UINT16_MAX);
		break;
	case 'f':
		opt->function = parse_function(arg);
		break;
	case 'i':
		opt->port_name = arg;
		break;
	case 'n':
		opt->n_packets = nmt_cli_count(&cli, "-n", arg, 0, COUNT_MAX);
		break;
	case 'p':
		opt->n_threads = (uint32_t)nmt_cli_u64(&cli, "-p", arg, 1, PG_THREADS_MAX);
		break;
	case 'w':
		opt->wait_s = nmt_cli_int(&cli, "-w", arg, 0, WAIT_S_MAX);
		break;
	case 'A':
		opt->window_stats = true;
		break;
	case 'B':
		opt->count_framing = true;
		break;
	case 'C':
		parse_conf(opt, arg);
		break;
	case 'N':
		opt->plain_numbers = true;
		break;
	case 'R':
		opt->rate_pps = nmt_cli_count(&cli, "-R", arg, 1, RATE_MAX);
		break;
	case 'T':
		opt->report_ms = (uint32_t)nmt_cli_u64(&cli, "-T", arg, 1, REPORT_MS_MAX);
		break;
	case 'W':
		opt->exit_on_silence = true;
		break;
	case OPT_JSON:
		opt->json = true;
		break;
	case OPT_BUSY_WAIT:
		opt->busy_wait = true;
		break;
	default: /* 'v': nmt_cli_next() returns nothing that is not in the tables */
		raw->verbosity++;
		break;
	}
}

static void
resolve_ip(const char *name, const char *text, const char *preset, bool is_v6,
	struct nmt_ip_range *range)
{
	struct nmt_err err;

	*range = (struct nmt_ip_range){.port_first = 1234, .port_last = 1234};
	range->first.is_v6 = is_v6;
	if (nmt_parse_ip_range(text != NULL ? text : preset, range, &err) != 0)
		nmt_usage_error(&cli, "%s: %s", name, err.text);
}

static void
resolve_addresses(struct pg_options *opt, const struct raw_args *raw)
{
	const char *dst_mac = raw->dst_mac != NULL ? raw->dst_mac : "ff:ff:ff:ff:ff:ff";
	struct nmt_err err;

	resolve_ip(
		"-s", raw->src_ip, opt->is_v6 ? "fd00::1" : "10.0.0.1", opt->is_v6, &opt->src_ip);
	resolve_ip(
		"-d", raw->dst_ip, opt->is_v6 ? "fd00::1:1" : "10.1.0.1", opt->is_v6, &opt->dst_ip);
	if (nmt_parse_mac_range(dst_mac, &opt->dst_mac, &err) != 0)
		nmt_usage_error(&cli, "-D: %s", err.text);
	if (raw->src_mac != NULL && nmt_parse_mac_range(raw->src_mac, &opt->src_mac, &err) != 0)
		nmt_usage_error(&cli, "-S: %s", err.text);
	opt->src_mac_given = raw->src_mac != NULL;
}

/* Bytes that a function writes into each frame and that must therefore fit, 0 for none. */
static uint32_t
frame_len_needed(const struct pg_options *opt)
{
	uint32_t payload_off = (uint32_t)nmt_udp_payload_off(opt->is_v6);

	if (opt->function == PG_PING || (opt->function == PG_TX && (opt->data & PG_DATA_STAMP)))
		return payload_off + STAMP_LEN;
	if (opt->function == PG_TXSEQ)
		return payload_off + SEQ_LEN;
	return 0;
}

static void
resolve_lens(struct pg_options *opt, const struct raw_args *raw)
{
	uint32_t needed = frame_len_needed(opt);
	uint32_t a = FRAME_LEN_DEFAULT;
	uint32_t b;

	if (raw->n_lens > 0)
		a = raw->lens[0];
	else if (needed > a) /* IPv6 headers and a stamp do not fit in the default */
		a = needed;
	b = raw->n_lens > 1 ? raw->lens[1] : a;
	opt->frame_len_min = a < b ? a : b;
	opt->frame_len_max = a < b ? b : a;
	opt->frame_len_given = raw->n_lens > 0;
	if (opt->frame_len_min < needed)
		nmt_usage_error(&cli, "-l: -f %s needs at least %u bytes here",
			pg_function_name(opt->function), needed);
}

void
pg_options_resolve_frags(struct pg_options *opt)
{
	uint32_t len = opt->frame_len_max;

	if (opt->n_frags == 0 && opt->frag_len == 0) {
		opt->n_frags = 1;
		opt->frag_len = len;
		return;
	}
	if (opt->n_frags == 0)
		opt->n_frags = (len + opt->frag_len - 1) / opt->frag_len;
	if (opt->frag_len == 0)
		opt->frag_len = (len + opt->n_frags - 1) / opt->n_frags;
	if (opt->n_frags > PG_FRAGS_MAX)
		nmt_usage_error(&cli, "-M: %u bytes in slots of %u make %u slots, %d are the most",
			len, opt->frag_len, opt->n_frags, PG_FRAGS_MAX);
	if ((opt->n_frags - 1) * opt->frag_len >= opt->frame_len_min)
		nmt_usage_error(&cli, "-F, -M: a packet of %u bytes does not fill %u slots of %u",
			opt->frame_len_min, opt->n_frags, opt->frag_len);
}

static void
resolve_cpus(struct pg_options *opt, const struct raw_args *raw)
{
	int have = nmt_n_cpus();

	opt->n_cpus_given = raw->n_cpus >= 0;
	opt->n_cpus = raw->n_cpus < 0 ? 1 : raw->n_cpus == 0 ? have : raw->n_cpus;
	if (opt->n_cpus > have)
		nmt_usage_error(
			&cli, "-c: %d CPUs asked for, this machine has %d", opt->n_cpus, have);
	if (opt->first_cpu >= have)
		nmt_usage_error(&cli, "-a: CPU %d asked for, this machine has %d, counted from 0",
			opt->first_cpu, have);
}

/* Combinations that cannot be done. */
static void
check_combinations(const struct pg_options *opt, const struct raw_args *raw)
{
	bool sends_frames =
		opt->function != PG_RX && opt->function != PG_RXSEQ && opt->function != PG_PONG;

	if (raw->v4_given && opt->is_v6)
		nmt_usage_error(&cli, "-4 and -6 exclude each other");
	if (opt->template_file != NULL) {
		if (opt->function != PG_TX)
			nmt_usage_error(&cli, "-P goes with -f tx only");
		if (opt->frame_len_given || pg_is_varied(opt))
			nmt_usage_error(&cli, "-P sends the packet as it is: not with -l, -z, -Z, "
					      "-o 16 or ranges");
	}
	if (sends_frames && (opt->data & PG_DATA_INDIRECT) != 0 &&
		(opt->function != PG_TX || pg_is_varied(opt) || opt->n_frags > 1))
		nmt_usage_error(&cli, "-I sends one frame from one place: only -f tx, without "
				      "ranges, -z, -Z, -F");
	if (opt->n_threads > 1 && opt->function != PG_TX && opt->function != PG_RX)
		nmt_usage_error(
			&cli, "-p: -f %s runs in one thread", pg_function_name(opt->function));
	if (opt->exit_on_silence && !pg_is_receiver(opt))
		nmt_usage_error(&cli, "-W goes with -f rx and rxseq only");
	if (sends_frames && opt->function != PG_TX && opt->n_frags > 1)
		nmt_usage_error(&cli, "-F, -M go with -f tx only");
}

void
pg_options_parse(struct pg_options *opt, int argc, char **argv)
{
	struct raw_args raw = {.n_cpus = -1};
	int letter;

	*opt = (struct pg_options){
		.function = PG_RX,
		.vnet_hdr_len = -1,
		.wait_s = -1,
		.first_cpu = -1,
		.n_threads = 1,
		.report_ms = 1000,
	};
	while ((letter = nmt_cli_next(&cli, argc, argv)) != -1)
		if (!parse_packet_option(opt, &raw, letter, optarg))
			parse_run_option(opt, &raw, letter, optarg);
	if (optind < argc)
		nmt_usage_error(&cli, "unexpected argument '%.60s'", argv[optind]);
	if (opt->port_name == NULL || opt->port_name[0] == '\0')
		nmt_usage_error(&cli, "no port: -i PORT is missing");
	if (opt->burst == 0)
		opt->burst =
			opt->function == PG_PING || opt->function == PG_PONG ? 1 : BURST_DEFAULT;
	opt->burst = pg_pace_burst(opt->rate_pps, opt->n_threads, opt->burst);
	resolve_addresses(opt, &raw);
	resolve_lens(opt, &raw);
	check_combinations(opt, &raw);
	if (opt->template_file == NULL)
		pg_options_resolve_frags(opt);
	resolve_cpus(opt, &raw);
	nmt_log_set_verbosity(raw.verbosity);
}
