/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmctl: look into netmapd, and tell it what to do. The command line; commands that only pass words
 * on are here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "nmctl.h"

/* A restarted netmapd waits 15 s for its clients at most. */
#define ASK_TRIES     5
#define ASK_PAUSE_US  100000 /* one that was killed may still accept for a moment */
#define STOP_TRIES    400
#define STOP_PAUSE_US 50000

enum {
	OPT_LIBVIRT = 256,
	OPT_UML,
};

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'},
	{"interval", required_argument, NULL, 'i'},
	{"count", required_argument, NULL, 'n'},
	{"socket", required_argument, NULL, 's'},
	{"libvirt", no_argument, NULL, OPT_LIBVIRT},
	{"uml", no_argument, NULL, OPT_UML},
	{NULL, 0, NULL, 0},
};

static const char help_text[] =
	"nmctl - look into netmapd and tell it what to do\n"
	"\n"
	"usage: nmctl [options] COMMAND\n"
	"\n"
	"  show [TABLE [NAME]]      TABLE: daemon, switches, ports, rings, mac, memory, clients, "
	"all\n"
	"                           NAME: only this port or switch\n"
	"  stats [NAME]             rates of all ports, or of one, until interrupted\n"
	"  create NAME [slots=N] [rings=N] [memory=ID]\n"
	"                           make a persistent port\n"
	"  delete NAME              remove it\n"
	"  attach SWITCH PORT [netns=NETNS] [queues=N] [host]\n"
	"                           put a persistent port, a TAP (tap:NAME) or an interface on a "
	"switch;\n"
	"                           host: the interface's network stack as well\n"
	"  detach SWITCH PORT [netns=NETNS]\n"
	"                           take it off\n"
	"  link PORT up|down        plug in or pull a port's cable\n"
	"  set PORT lossless on|off senders wait for room in its rings\n"
	"  set PORT forward on|off  an interface's rx frames go on once seen, see nmctl(8)\n"
	"  set SWITCH ageing SECS   forget addresses unheard for so long, 0: never\n"
	"  set IF mode MODE         how an interface is reached, next time: auto, xdp, packet, "
	"...\n"
	"  set IF uplink yes|no     programs may take it although it has the only default route\n"
	"  isolate create NAME socket=PATH allow=PATTERN ... [owner=UID:GID] [mode=OCTAL]\n"
	"          [ports=N] [clients=N] [memory=BYTES] [rate=PPS]\n"
	"                           make a socket for clients that are not trusted\n"
	"  isolate show [NAME]      which there are\n"
	"  isolate remove NAME      end it; its clients lose their ports\n"
	"  vm-args PORT [queues=N] [memory=MIB] [path=SOCKET] [mac=ADDR] [mtu=N]\n"
	"          [vectors=N] [mode=server|client]\n"
	"                           how to plug a virtual machine into the port\n"
	"  doctor                   what this machine offers, and what is slow or refused\n"
	"  stop                     end netmapd; programs go on and find the next one\n"
	"\n"
	"  -j, --json           JSON\n"
	"  -i, --interval TIME  stats: seconds between two lines, or 500ms (default 1)\n"
	"  -n, --count N        stats: end after N tables\n"
	"  -s, --socket PATH    netmapd's socket\n"
	"  --libvirt            vm-args: XML for libvirt\n"
	"  --uml                vm-args: for User-Mode Linux\n"
	"  --help               this text\n"
	"  --version            version\n";

static const struct nmt_cli cli = {
	.prog = "nmctl",
	.help = help_text,
	.shortopts = "ji:n:s:",
	.longopts = long_options,
};

/* What is set for interfaces is kept for their opening, others are set when they are there. */
static bool
sets_interface(const struct nmctl *n)
{
	return n->n_args == 4 && strcmp(n->args[0], "set") == 0 &&
	       (strcmp(n->args[2], "mode") == 0 || strcmp(n->args[2], "uplink") == 0);
}

/* Commands that make something are worth starting a netmapd for, as opening a port is. */
static bool
makes_something(const char *command)
{
	return strcmp(command, "create") == 0 || strcmp(command, "attach") == 0 ||
	       strcmp(command, "isolate") == 0;
}

/* Where netmapd was killed, there may be what they change: the next one takes it over. */
static bool
changes_something(const char *command)
{
	return strcmp(command, "set") == 0 || strcmp(command, "link") == 0 ||
	       strcmp(command, "delete") == 0 || strcmp(command, "detach") == 0;
}

void
nmctl_connect(struct nmctl *n)
{
	const bool start = n->n_args > 0 && (makes_something(n->args[0]) || sets_interface(n));
	int ret = start ? conn_open_or_start(&n->conn, n->socket_path)
			: unm_conn_open(&n->conn, n->socket_path);

	if (ret == -ECONNREFUSED && !start && n->n_args > 0 && changes_something(n->args[0]))
		ret = conn_open_or_start(&n->conn, n->socket_path);
	if (ret < 0)
		nmt_die(&cli, "%s", n->conn.text);
}

struct json_object *
nmctl_ask(struct nmctl *n, const char *const *words, unsigned int n_words)
{
	struct json_object *out = NULL;
	int ret = conn_ask(&n->conn, words, n_words, &out), tries;

	for (tries = 1; tries < ASK_TRIES && (ret == -ECONNRESET || ret == -EPIPE); tries++) {
		unm_conn_close(&n->conn); /* it was being killed: the next one answers */
		usleep(ASK_PAUSE_US);
		nmctl_connect(n);
		ret = conn_ask(&n->conn, words, n_words, &out);
	}
	/*
	 * Words that are wrong whatever there is. Whether a port can be attached or deleted is not a
	 * matter of words.
	 */
	if (ret == -EINVAL && strcmp(words[0], "attach") != 0 && strcmp(words[0], "detach") != 0 &&
		strcmp(words[0], "delete") != 0)
		nmt_usage_error(&cli, "%s", n->conn.text);
	if (ret < 0)
		nmt_die(&cli, "%s", n->conn.text);
	return out;
}

/* Is netmapd still waiting for the clients of its last run? */
static bool
is_restoring(struct nmctl *n)
{
	const char *const words[] = {"show", "daemon"};
	struct json_object *all = nmctl_ask(n, words, 2), *rows = field_obj(all, "daemon");
	bool restoring = false;

	if (rows != NULL && json_object_array_length(rows) == 1)
		restoring = field_bool(json_object_array_get_idx(rows, 0), "restoring");
	json_object_put(all);
	return restoring;
}

/*
 * A netmapd that was killed has left its workers behind, which go on. They end with a successor that has found them: so
 * where a socket is that nobody serves, one is started to be stopped.
 */
static int
cmd_stop(struct nmctl *n)
{
	const char *const words[] = {"stop"};
	int ret = unm_conn_open(&n->conn, n->socket_path), tries;

	if (ret == -ECONNREFUSED)
		ret = conn_open_or_start(&n->conn, n->socket_path);
	if (ret < 0)
		nmt_die(&cli, "%s", n->conn.text);
	for (tries = 0; tries < STOP_TRIES && is_restoring(n); tries++)
		usleep(STOP_PAUSE_US);
	json_object_put(nmctl_ask(n, words, 1));
	if (n->json)
		puts("{}");
	return 0;
}

/* Commands whose words netmapd understands as they are. */
static int
pass_on(struct nmctl *n)
{
	struct json_object *out;

	nmctl_connect(n);
	out = nmctl_ask(n, (const char *const *)n->args, n->n_args);
	if (field_str(out, "note")[0] != '\0')
		fprintf(stderr, "nmctl: %s\n", field_str(out, "note"));
	if (n->json)
		printf("%s\n", json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN));
	json_object_put(out);
	return 0;
}

/* A port may be named as programs name it. */
static void
drop_prefix(char **name)
{
	static const char prefix[] = "netmap:";

	if (strncmp(*name, prefix, strlen(prefix)) == 0)
		*name += strlen(prefix);
}

/* COMMAND PORT ... */
static int
cmd_port(struct nmctl *n)
{
	drop_prefix(&n->args[1]);
	return pass_on(n);
}

/* The value of @word if it is KEY=VALUE with this key, else NULL. */
static const char *
value_of(const char *word, const char *key)
{
	const size_t len = strlen(key);

	return strncmp(word, key, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

/*
 * SWITCH NAME netns=NETNS is SWITCH NAME%NETNS for netmapd, where NAME is an interface or tap:NAME.
 * Attach (with queues=N, host) and detach.
 */
static int
cmd_attach(struct nmctl *n)
{
	const bool is_attach = strcmp(n->args[0], "attach") == 0;
	char port[128];
	char *args[5];
	unsigned int i, n_args = 3;
	bool has_queues = false, has_host = false;
	int len;

	args[0] = n->args[0];
	args[1] = n->args[1];
	args[2] = n->args[2];
	drop_prefix(&args[2]);
	for (i = 3; i < n->n_args; i++) {
		const char *netns = value_of(n->args[i], "netns");

		if (netns != NULL && args[2] != port) {
			if (strchr(args[2], '%') != NULL)
				nmt_usage_error(&cli,
					"%s: %s: %s names a network namespace already", n->args[0],
					n->args[i], args[2]);
			len = snprintf(port, sizeof(port), "%s%%%s", args[2], netns);
			if (len < 0 || (size_t)len >= sizeof(port))
				nmt_usage_error(&cli, "%s: the names are too long", n->args[0]);
			args[2] = port;
		} else if (is_attach && value_of(n->args[i], "queues") != NULL && !has_queues) {
			has_queues = true;
			args[n_args++] = n->args[i];
		} else if (is_attach && strcmp(n->args[i], "host") == 0 && !has_host) {
			has_host = true;
			args[n_args++] = n->args[i];
		} else {
			nmt_usage_error(&cli,
				"%s: '%s': after the port only netns=NETNS%s can follow",
				n->args[0], n->args[i], is_attach ? ", queues=N and host" : "");
		}
	}
	n->args = args;
	n->n_args = n_args;
	return pass_on(n);
}

static const struct {
	const char *name;
	int (*run)(struct nmctl *n);
	unsigned int min_words, max_words;
} commands[] = {
	{"show", cmd_show, 1, 3},
	{"stats", cmd_stats, 1, 2},
	{"create", pass_on, 2, 5},
	{"delete", cmd_port, 2, 2},
	{"attach", cmd_attach, 3, 6},
	{"detach", cmd_attach, 3, 4},
	{"link", cmd_port, 3, 3},
	{"set", cmd_port, 4, 4},
	{"isolate", cmd_isolate, 2, 40},
	{"vm-args", cmd_vm_args, 2, 9},
	{"doctor", cmd_doctor, 1, 1},
	{"stop", cmd_stop, 1, 1},
};

static int
run(struct nmctl *n)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(n->args[0], commands[i].name) != 0)
			continue;
		if (n->n_args < commands[i].min_words || n->n_args > commands[i].max_words)
			nmt_usage_error(&cli, "%s: %s words", n->args[0],
				n->n_args < commands[i].min_words ? "too few" : "too many");
		return commands[i].run(n);
	}
	nmt_usage_error(&cli, "there is no command '%s'", n->args[0]);
}

int
main(int argc, char **argv)
{
	struct nmctl n = {.cli = &cli, .interval_ns = 1000000000u};
	int opt, ret;

	n.conn.fd = -1;
	while ((opt = nmt_cli_next(&cli, argc, argv)) != -1) {
		switch (opt) {
		case 'j':
			n.json = true;
			break;
		case 'i':
			n.interval_ns = nmt_cli_time_ns(
				&cli, "-i", optarg, 's', 1000000u, UINT64_C(86400000000000));
			break;
		case 'n':
			n.count = nmt_cli_u64(&cli, "-n", optarg, 1, UINT64_MAX);
			break;
		case 's':
			n.socket_path = optarg;
			break;
		case OPT_LIBVIRT:
			n.libvirt = true;
			break;
		case OPT_UML:
			n.uml = true;
			break;
		}
	}
	if (optind == argc)
		nmt_usage_error(&cli, "a command is needed");
	n.args = argv + optind;
	n.n_args = (unsigned int)(argc - optind);
	ret = run(&n);
	unm_conn_close(&n.conn);
	return ret;
}
