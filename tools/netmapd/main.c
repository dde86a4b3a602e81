/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netmapd: the program. Options, configuration, the instance's socket, then the server
 * (src/daemon).
 *
 * With --autostart, as the library starts it, netmapd becomes a daemon once its socket listens (so
 * that its parent's exit means "connect now"), and ends by itself when nobody needs it any more.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "daemon/home.h"
#include "daemon/isolate.h"
#include "daemon/server.h"
#include "instance.h"
#include "nmt_cli.h"
#include "process.h"

#define CONFIG_PATH UNM_SYSCONFDIR "/unetmap/netmapd.conf"

enum {
	OPT_AUTOSTART = 256,
	OPT_FOREGROUND,
	OPT_SOCKET,
	OPT_CHECK_CONFIG,
};

static const struct option long_options[] = {
	{"autostart", no_argument, NULL, OPT_AUTOSTART},
	{"foreground", no_argument, NULL, OPT_FOREGROUND},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"config", required_argument, NULL, 'c'},
	{"check-config", no_argument, NULL, OPT_CHECK_CONFIG},
	{NULL, 0, NULL, 0},
};

static const char help_text[] =
	"netmapd - ports, switches and memory for netmap programs\n"
	"\n"
	"usage: netmapd [--foreground | --autostart] [--socket PATH] [-c FILE]\n"
	"       netmapd --check-config [-c FILE]\n"
	"\n"
	"  --foreground     stay in the foreground, messages on standard error (default)\n"
	"  --autostart      become a daemon; end when no program uses it any more\n"
	"  --socket PATH    serve there (default: $UNETMAP_SOCKET, else /run/unetmap/netmapd.sock\n"
	"                   for root, else unetmap/netmapd.sock in the user's runtime directory)\n"
	"  -c, --config FILE\n"
	"                   read FILE instead of " CONFIG_PATH "\n"
	"  --check-config   say whether the configuration is right, and do nothing else\n"
	"  --help           this text\n"
	"  --version        version\n"
	"\n"
	"See netmapd(8), netmapd.conf(5), nmctl(8).\n";

static const struct nmt_cli cli = {
	.prog = "netmapd",
	.help = help_text,
	.shortopts = "c:",
	.longopts = long_options,
};

struct options {
	bool autostart;
	bool check_only;
	const char *socket_path;
	const char *config_path;
};

static void
parse_options(int argc, char **argv, struct options *o)
{
	int opt;

	memset(o, 0, sizeof(*o));
	while ((opt = nmt_cli_next(&cli, argc, argv)) != -1) {
		switch (opt) {
		case OPT_AUTOSTART:
			o->autostart = true;
			break;
		case OPT_FOREGROUND:
			o->autostart = false;
			break;
		case OPT_SOCKET:
			o->socket_path = optarg;
			break;
		case 'c':
			o->config_path = optarg;
			break;
		case OPT_CHECK_CONFIG:
			o->check_only = true;
			break;
		}
	}
	if (optind < argc)
		nmt_usage_error(
			&cli, "'%s' is not expected: netmapd takes options only", argv[optind]);
}

/* The last stage of starting: from here on netmapd can do little but serve. */
static void
confine(const struct unm_config *cfg, struct unm_server *srv)
{
	const int err = confine_netmapd(cfg->use_seccomp);

	srv->is_confined = err == 0 && cfg->use_seccomp;
	if (err < 0)
		unm_log(LOG_WARNING, "can't give up all privileges: %s", strerror(-err));
}

/*
 * Which file the configuration is in, absolute, as a successor started by a client reads it again;
 * by that one, in the state file. @path: receives it. Return: false: the default one.
 */
static bool
find_config(const struct options *o, const struct instance *in, char *path, size_t size)
{
	char dir[PATH_MAX];
	int n;

	if (o->config_path == NULL)
		return o->autostart && unm_state_config(in->socket_path, path, size);
	if (o->config_path[0] == '/')
		n = snprintf(path, size, "%s", o->config_path);
	else if (getcwd(dir, sizeof(dir)) != NULL)
		n = snprintf(path, size, "%s/%s", dir, o->config_path);
	else
		n = -1;
	if (n < 0 || (size_t)n >= size || strchr(path, '\n') != NULL)
		nmt_die(&cli, "-c %s: another path is needed", o->config_path);
	return true;
}

/* Which rules would hold is not for a client to change: it starts a netmapd with these, or none. */
static void
load_config(const struct options *o, const struct instance *in, const char *path, bool is_default,
	struct unm_config *cfg)
{
	struct unm_reason why;
	int ret;

	unm_config_defaults(cfg);
	ret = unm_config_load(cfg, path, !is_default, &why);
	if (ret == 0)
		ret = unm_config_check_socket(cfg, path, in->socket_path, &why);
	if (ret == 0)
		return;
	if (!is_default && o->config_path == NULL)
		nmt_die(&cli,
			"%s (the configuration of the run before at %s: mend it, or give one "
			"with -c)",
			why.text, in->socket_path);
	nmt_die(&cli, "%s", why.text);
}

/* Which configuration holds from now on, if a successor would take another one to do so. */
static void
note_config(struct unm_server *srv)
{
	char before[PATH_MAX];

	if (srv->is_restoring)
		return; /* noted at the end of that */
	if (srv->config_path != NULL || unm_state_config(srv->socket_path, before, sizeof(before)))
		unm_state_file_update(srv);
}

static int
serve(const struct options *o, const struct unm_config *cfg, const char *config_path,
	struct instance *in)
{
	static struct unm_server srv; /* kept off the stack; one per process */
	int ret;

	if (o->autostart) {
		ret = process_detach();
		if (ret < 0)
			nmt_die(&cli, "can't become a daemon: %s", strerror(-ret));
		unm_log_open(true, cfg->log_level);
	}
	instance_sign(in);
	ret = unm_server_init(&srv, cfg);
	if (ret == 0) {
		srv.is_system = in->is_system;
		srv.is_autostarted = o->autostart;
		srv.config_path = config_path;
		memcpy(srv.socket_path, in->socket_path, sizeof(srv.socket_path));
		unm_restore_begin(&srv, in->found_stale);
		ret = unm_server_listen(&srv, in->listen_fd);
	}
	if (ret == 0 && in->lock_fd >= 0 && unm_home_watch(&srv) < 0)
		unm_log(LOG_WARNING, "it will not be noticed if %s is removed", in->socket_path);
	if (ret == 0) {
		confine(cfg, &srv);
		unm_isolate_begin(&srv); /* brokers inherit the limits */
		note_config(&srv);
		instance_notify("READY=1");
		unm_log(LOG_INFO, "netmapd " UNM_VERSION " serves at %s", in->socket_path);
		ret = unm_server_run(&srv);
		instance_notify("STOPPING=1");
	}
	if (ret < 0)
		unm_log(LOG_ERR, "%s", strerror(-ret));
	if (srv.home.is_gone)
		unm_server_end_children(&srv); /* nobody starts a netmapd here for them */
	else if (in->lock_fd >= 0)
		unm_isolate_end_idle(&srv); /* who holds a socket for us starts a successor */
	if (!srv.home.is_gone)
		instance_give_up(in);
	unm_server_fini(&srv);
	return ret < 0 ? 1 : 0;
}

int
main(int argc, char **argv)
{
	static char config_path[PATH_MAX]; /* kept off the stack; one per process */
	bool is_default;
	struct unm_config cfg;
	struct unm_reason why;
	struct instance in;
	struct options o;
	int ret;

	parse_options(argc, argv, &o);
	ret = instance_find(&in, o.socket_path, &why);
	if (ret < 0)
		nmt_die(&cli, "%s", why.text);
	is_default = !find_config(&o, &in, config_path, sizeof(config_path));
	load_config(&o, &in,
		is_default		? CONFIG_PATH
		: o.config_path != NULL ? o.config_path
					: config_path,
		is_default, &cfg);
	if (o.check_only) {
		printf("the configuration is right\n");
		return 0;
	}
	unm_log_open(false, cfg.log_level);
	process_clean(o.autostart);
	ret = instance_claim(&in, cfg.gid, &why);
	if (ret == -EEXIST) {
		unm_log(LOG_INFO, "%s: nothing to do", why.text);
		return 0;
	}
	if (ret < 0)
		nmt_die(&cli, "%s", why.text);
	return serve(&o, &cfg, is_default ? NULL : config_path, &in);
}
