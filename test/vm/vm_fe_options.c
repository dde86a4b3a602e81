/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of vm-fe. */
#include "vm_fe.h"

#include <stdlib.h>
#include <string.h>

#include "nmt_units.h"

#define SECOND_NS	 1000000000ull
#define DEFAULT_RX_BUF	 2036u /* with the header 2 KiB */
#define DEFAULT_BURST	 64u
#define TABLE_LEN	 64u
#define DEFAULT_GSO_SIZE 1448u
#define CONNECT_MS	 10000

static const char help_text[] =
	"Usage: vm-fe [OPTION]... --nic SPEC...\n"
	"Play guests with virtio-net cards towards vhost-user servers, at native speed.\n"
	"\n"
	"SPEC is PATH[,KEY=VALUE]...: the server's socket and\n"
	"  role=ROLE      idle, send, recv, both, echo or ping (default idle: what comes is "
	"counted)\n"
	"  cpu=N          the thread of this NIC runs there\n"
	"  dst=N          frames go to the address of NIC N (default: 0 and 1, 2 and 3, ... are "
	"pairs)\n"
	"  id=N           number in its address and in its streams (default: position)\n"
	"  server=1       we listen and the server connects\n"
	"  Options before a --nic are its defaults:\n"
	"  --with LIST    features, of: packed event indirect merge inorder tso status slots ack "
	"mq\n"
	"                 inflight log reset (default "
	"event,indirect,merge,status,slots,ack,mq,reset)\n"
	"  --queues N     queue pairs (default 1)\n"
	"  --ring N       descriptors of a ring (default 256)\n"
	"  --frame N      bytes (default 60)\n"
	"  --tso SIZE     frames are TCP segments to be cut to SIZE; --frame up to 65549\n"
	"  --fill         fill frames by their number and check each byte\n"
	"  --rx-buf N     bytes of a receive buffer, without header (default 2036)\n"
	"  --rx-seg N     cut receive buffers into descriptors of N bytes, the header apart\n"
	"  --tx-seg N     the same for what is sent\n"
	"  --indirect-from N  chains of N descriptors or more go by a table (default 2)\n"
	"  --regions N    memory regions (default 1); --hole N bytes between them\n"
	"  --burst N      frames between two looks around (default 64)\n"
	"  --rate N       frames or pings a second and queue pair (default: no limit)\n"
	"  --count N      frames to send per queue pair (default: no end)\n"
	"  --window N     frames under way to NIC dst, which must be in this process\n"
	"  --spin TIME    before going to sleep, like 20us, or \"always\" (default 0)\n"
	"  --reconnect    when the server has gone, look for the next one\n"
	"  --paused       send only after the command \"run\"\n"
	"\n"
	"  --seconds S    length of the measurement (default 1), after --warm-up S (default 0.2)\n"
	"  --watch PID    report the CPU time of this process too; can be repeated\n"
	"  --busy LIST    report what all programs used of these CPUs\n"
	"  --control      obey commands on standard input, a line of JSON for each:\n"
	"                 run, pause, reboot, stop-cont, drop, log-begin, log-check, drain N|all;\n"
	"                 stats; quit\n"
	"  -h, --help     this text\n"
	"\n"
	"Prints one line of JSON. Ends with 1 if a NIC has failed.\n";

enum {
	OPT_NIC = 256,
	OPT_WITH,
	OPT_QUEUES,
	OPT_RING,
	OPT_FRAME,
	OPT_TSO,
	OPT_FILL,
	OPT_RX_BUF,
	OPT_RX_SEG,
	OPT_TX_SEG,
	OPT_INDIRECT_FROM,
	OPT_REGIONS,
	OPT_HOLE,
	OPT_BURST,
	OPT_RATE,
	OPT_COUNT,
	OPT_WINDOW,
	OPT_SPIN,
	OPT_RECONNECT,
	OPT_PAUSED,
	OPT_SECONDS,
	OPT_WARM_UP,
	OPT_WATCH,
	OPT_BUSY,
	OPT_CONTROL,
};

static const struct option longopts[] = {
	{"nic", required_argument, NULL, OPT_NIC},
	{"with", required_argument, NULL, OPT_WITH},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"ring", required_argument, NULL, OPT_RING},
	{"frame", required_argument, NULL, OPT_FRAME},
	{"tso", required_argument, NULL, OPT_TSO},
	{"fill", no_argument, NULL, OPT_FILL},
	{"rx-buf", required_argument, NULL, OPT_RX_BUF},
	{"rx-seg", required_argument, NULL, OPT_RX_SEG},
	{"tx-seg", required_argument, NULL, OPT_TX_SEG},
	{"indirect-from", required_argument, NULL, OPT_INDIRECT_FROM},
	{"regions", required_argument, NULL, OPT_REGIONS},
	{"hole", required_argument, NULL, OPT_HOLE},
	{"burst", required_argument, NULL, OPT_BURST},
	{"rate", required_argument, NULL, OPT_RATE},
	{"count", required_argument, NULL, OPT_COUNT},
	{"window", required_argument, NULL, OPT_WINDOW},
	{"spin", required_argument, NULL, OPT_SPIN},
	{"reconnect", no_argument, NULL, OPT_RECONNECT},
	{"paused", no_argument, NULL, OPT_PAUSED},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"warm-up", required_argument, NULL, OPT_WARM_UP},
	{"watch", required_argument, NULL, OPT_WATCH},
	{"busy", required_argument, NULL, OPT_BUSY},
	{"control", no_argument, NULL, OPT_CONTROL},
	{NULL, 0, NULL, 0},
};

const struct nmt_cli vm_fe_cli = {.prog = "vm-fe",
	.help = help_text,
	.shortopts = "h",
	.longopts = longopts,
	.h_is_help = true};

struct feature_name {
	const char *name;
	uint64_t features, protocol;
};

#define FEATURES_TSO                                                                               \
	(FE_F_CSUM | FE_F_GUEST_CSUM | FE_F_GUEST_TSO4 | FE_F_GUEST_TSO6 | FE_F_GUEST_ECN |        \
		FE_F_HOST_TSO4 | FE_F_HOST_TSO6 | FE_F_HOST_ECN)

static const struct feature_name feature_names[] = {
	{"packed", FE_F_PACKED, 0},
	{"event", FE_F_EVENT_IDX, 0},
	{"indirect", FE_F_INDIRECT_DESC, 0},
	{"merge", FE_F_MRG_RXBUF, 0},
	{"inorder", FE_F_IN_ORDER, 0},
	{"tso", FEATURES_TSO, 0},
	{"status", 0, WIRE_PF_STATUS},
	{"slots", 0, WIRE_PF_MEM_SLOTS},
	{"ack", 0, WIRE_PF_REPLY_ACK},
	{"mq", FE_F_MQ, WIRE_PF_MQ},
	{"inflight", 0, WIRE_PF_INFLIGHT_SHMFD},
	{"log", 0, WIRE_PF_LOG_SHMFD},
	{"reset", 0, WIRE_PF_RESET_DEVICE},
};

#define N_FEATURE_NAMES (sizeof(feature_names) / sizeof(feature_names[0]))

static void
parse_with(struct fe_config *f, const char *list)
{
	char *copy = strdup(list), *rest = copy, *word;
	size_t i;

	f->features = f->protocol_features = 0;
	while (copy != NULL && (word = strsep(&rest, ",")) != NULL) {
		for (i = 0; i < N_FEATURE_NAMES; i++)
			if (strcmp(word, feature_names[i].name) == 0)
				break;
		if (i == N_FEATURE_NAMES && *word != '\0')
			nmt_usage_error(&vm_fe_cli, "--with: '%s' is not a feature", word);
		if (i == N_FEATURE_NAMES)
			continue;
		f->features |= feature_names[i].features;
		f->protocol_features |= feature_names[i].protocol;
	}
	free(copy);
}

static enum nic_role
parse_role(const char *text)
{
	static const char *const names[] = {"idle", "send", "recv", "both", "echo", "ping"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum nic_role)i;
	nmt_usage_error(&vm_fe_cli,
		"--nic: role '%s' is not one of idle, send, recv, both, echo, ping", text);
}

/* A locally administered address that tells the number. */
static void
make_mac(uint8_t mac[6], unsigned int id)
{
	const uint8_t bytes[6] = {0x02, 0x76, 0x6d, 0, (uint8_t)(id >> 8), (uint8_t)id};

	memcpy(mac, bytes, 6);
}

/* Memory for rings and buffers, each rounded up to pages. */
static size_t
memory_of(const struct nic_config *c)
{
	const uint32_t tx =
		c->role == NIC_ECHO && c->rx_buf > c->kind.len ? c->rx_buf : c->kind.len;
	const size_t buffers = (size_t)c->fe.queue_size * (c->rx_buf + tx + 4u * ND_HDR_LEN + 128u);
	const struct vd_config ring = {.num = c->fe.queue_size, .table_len = c->fe.table_len};
	const size_t pair = buffers + 2 * vd_mem_size(&ring) + 8u * GUEST_PAGE;

	/* With holes a region is never used to its end. */
	return (pair * c->fe.n_pairs + GUEST_PAGE) * (c->fe.hole > 0 ? 2u * c->fe.n_regions : 1u);
}

static void
add_nic(struct vm_fe *v, const struct nic_config *defaults, char *spec)
{
	struct nic_config *c = &v->config[v->n_nics];
	unsigned int id = v->n_nics, dst = v->n_nics ^ 1u;
	char *word, *value;

	if (v->n_nics == VM_FE_MAX_NICS)
		nmt_usage_error(&vm_fe_cli, "--nic: at most %u", VM_FE_MAX_NICS);
	*c = *defaults;
	c->fe.path = strsep(&spec, ",");
	while ((word = strsep(&spec, ",")) != NULL) {
		value = strchr(word, '=');
		if (value == NULL)
			nmt_usage_error(&vm_fe_cli, "--nic: '%s' is not KEY=VALUE", word);
		*value++ = '\0';
		if (strcmp(word, "role") == 0)
			c->role = parse_role(value);
		else if (strcmp(word, "cpu") == 0)
			c->cpu = nmt_cli_int(&vm_fe_cli, "--nic cpu", value, 0, 4095);
		else if (strcmp(word, "dst") == 0)
			dst = (unsigned int)nmt_cli_int(&vm_fe_cli, "--nic dst", value, 0, 65535);
		else if (strcmp(word, "id") == 0)
			id = (unsigned int)nmt_cli_int(&vm_fe_cli, "--nic id", value, 0, 127);
		else if (strcmp(word, "server") == 0)
			c->fe.is_server = nmt_cli_int(&vm_fe_cli, "--nic server", value, 0, 1) == 1;
		else
			nmt_usage_error(&vm_fe_cli, "--nic: no key '%s'", word);
	}
	make_mac(c->kind.src, id);
	make_mac(c->kind.dst, dst);
	c->kind.stream = (uint16_t)id;
	c->fe.mem_size = memory_of(c);
	v->n_nics++;
}

static void
parse_cpus(struct vm_fe *v, const char *list)
{
	uint64_t cpu[VM_FE_MAX_CPUS];
	struct nmt_err err;
	size_t n, i;

	if (nmt_parse_u64_list(list, ',', 0, 4095, cpu, VM_FE_MAX_CPUS, &n, &err) < 0)
		nmt_usage_error(&vm_fe_cli, "--busy: %s", err.text);
	for (i = 0; i < n; i++)
		v->busy_cpu[i] = (int)cpu[i];
	v->n_busy_cpus = (unsigned int)n;
}

/* Options that are a NIC's. Return: it was one. */
static bool
parse_nic_option(struct nic_config *c, int opt)
{
	const struct nmt_cli *cli = &vm_fe_cli;

	switch (opt) {
	case OPT_WITH:
		parse_with(&c->fe, optarg);
		return true;
	case OPT_QUEUES:
		c->fe.n_pairs = (uint16_t)nmt_cli_int(cli, "--queues", optarg, 1, FE_MAX_PAIRS);
		return true;
	case OPT_RING:
		c->fe.queue_size = (uint16_t)nmt_cli_int(cli, "--ring", optarg, 2, VD_MAX_SIZE);
		return true;
	case OPT_FRAME:
		c->kind.len = (uint32_t)nmt_cli_u64(cli, "--frame", optarg, FR_MIN_LEN, FR_MAX_LEN);
		return true;
	case OPT_TSO:
		c->kind.gso_size = (uint16_t)nmt_cli_int(cli, "--tso", optarg, 0, 65535);
		return true;
	case OPT_FILL:
		c->kind.is_filled = true;
		return true;
	case OPT_RX_BUF:
		c->rx_buf = (uint32_t)nmt_cli_u64(cli, "--rx-buf", optarg, 128, 1u << 17);
		return true;
	case OPT_RX_SEG:
		c->rx_seg = (uint32_t)nmt_cli_u64(cli, "--rx-seg", optarg, 0, 1u << 17);
		return true;
	case OPT_TX_SEG:
		c->tx_seg = (uint32_t)nmt_cli_u64(cli, "--tx-seg", optarg, 0, 1u << 17);
		return true;
	case OPT_INDIRECT_FROM:
		c->fe.indirect_from =
			(uint16_t)nmt_cli_int(cli, "--indirect-from", optarg, 1, TABLE_LEN);
		return true;
	case OPT_REGIONS:
		c->fe.n_regions =
			(unsigned int)nmt_cli_int(cli, "--regions", optarg, 1, GUEST_MAX_REGIONS);
		return true;
	case OPT_HOLE:
		c->fe.hole = nmt_cli_u64(cli, "--hole", optarg, 0, 1ull << 40) & ~0xfffull;
		return true;
	case OPT_BURST:
		c->burst = (uint32_t)nmt_cli_u64(cli, "--burst", optarg, 1, VD_MAX_SIZE);
		return true;
	case OPT_RATE:
		c->rate = nmt_cli_scaled(cli, "--rate", optarg, 0, 1e9);
		return true;
	case OPT_COUNT:
		c->count = nmt_cli_count(cli, "--count", optarg, 0, UINT64_MAX);
		return true;
	case OPT_WINDOW:
		c->window = nmt_cli_u64(cli, "--window", optarg, 0, VD_MAX_SIZE);
		return true;
	case OPT_SPIN:
		c->spin_ns = strcmp(optarg, "always") == 0
				     ? NIC_SPIN_ALWAYS
				     : nmt_cli_time_ns(cli, "--spin", optarg, 's', 0, SECOND_NS);
		return true;
	case OPT_RECONNECT:
		c->reconnects = true;
		return true;
	case OPT_PAUSED:
		c->starts_paused = true;
		return true;
	default:
		return false;
	}
}

static void
parse_program_option(struct vm_fe *v, const struct nic_config *defaults, int opt)
{
	switch (opt) {
	case OPT_NIC:
		add_nic(v, defaults, optarg);
		break;
	case OPT_SECONDS:
		v->seconds = nmt_cli_scaled(&vm_fe_cli, "--seconds", optarg, 0, 1e6);
		break;
	case OPT_WARM_UP:
		v->warm_up = nmt_cli_scaled(&vm_fe_cli, "--warm-up", optarg, 0, 1e6);
		break;
	case OPT_WATCH:
		if (v->n_watched == VM_FE_MAX_WATCHED)
			nmt_usage_error(&vm_fe_cli, "--watch: too many");
		v->watched[v->n_watched++] =
			(pid_t)nmt_cli_int(&vm_fe_cli, "--watch", optarg, 1, INT32_MAX);
		break;
	case OPT_BUSY:
		parse_cpus(v, optarg);
		break;
	case OPT_CONTROL:
		v->has_control = true;
		break;
	default:
		nmt_usage_error(&vm_fe_cli, "unknown option");
	}
}

void
vm_fe_parse(struct vm_fe *v, int argc, char **argv)
{
	struct nic_config c = {.fe = {.n_pairs = 1,
				       .queue_size = 256,
				       .table_len = TABLE_LEN,
				       .indirect_from = 2,
				       .n_regions = 1,
				       .timeout_ms = CONNECT_MS},
		.cpu = -1,
		.kind = {.len = FR_MIN_LEN},
		.rx_buf = DEFAULT_RX_BUF,
		.burst = DEFAULT_BURST};
	int opt;

	v->seconds = 1;
	v->warm_up = 0.2;
	parse_with(&c.fe, "event,indirect,merge,status,slots,ack,mq,reset");
	while ((opt = nmt_cli_next(&vm_fe_cli, argc, argv)) != -1)
		if (!parse_nic_option(&c, opt))
			parse_program_option(v, &c, opt);
	if (optind < argc)
		nmt_usage_error(&vm_fe_cli, "'%s' is not an option", argv[optind]);
	if (v->n_nics == 0)
		nmt_usage_error(&vm_fe_cli, "no --nic");
}
