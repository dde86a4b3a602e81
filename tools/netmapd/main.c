/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netmapd: the program. Options, configuration, the instance's socket, then the server
 * (src/daemon).
 *
 * With --autostart, as the library starts it, netmapd becomes a daemon once its socket listens (so
 * that its parent's exit means "connect now"), and ends by itself when nobody needs it any more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int
serve(const struct options *o, const struct unm_config *cfg, struct instance *in)
{
	static struct unm_server srv; /* kept off the stack; one per process */
	int ret;

	if (o->autostart) {
		ret = process_detach();
		if (ret < 0)
			nmt_die(&cli, "can't become a daemon: %s", strerror(-ret));
		unm_log_open(true, cfg->log_level);
	}
	ret = unm_server_init(&srv, cfg);
	if (ret == 0) {
		srv.is_system = in->is_system;
		srv.is_autostarted = o->autostart;
		memcpy(srv.socket_path, in->socket_path, sizeof(srv.socket_path));
		unm_restore_begin(&srv, in->found_stale);
		ret = unm_server_listen(&srv, in->listen_fd);
	}
	if (ret == 0 && o->autostart && unm_home_watch(&srv) < 0)
		unm_log(LOG_WARNING, "it will not be noticed if %s is removed", in->socket_path);
	if (ret == 0) {
		confine(cfg, &srv);
		unm_isolate_begin(&srv); /* brokers inherit the limits */
		instance_notify("READY=1");
		unm_log(LOG_INFO, "netmapd " UNM_VERSION " serves at %s", in->socket_path);
		ret = unm_server_run(&srv);
		instance_notify("STOPPING=1");
	}
	if (ret < 0)
		unm_log(LOG_ERR, "%s", strerror(-ret));
	if (srv.home.is_gone)
		unm_isolate_end_brokers(&srv); /* nobody starts a netmapd here for them */
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
	const char *path = CONFIG_PATH;
	struct unm_config cfg;
	struct unm_reason why;
	struct instance in;
	struct options o;
	int ret;

	parse_options(argc, argv, &o);
	if (o.config_path != NULL)
		path = o.config_path;
	unm_config_defaults(&cfg);
	ret = instance_find(&in, o.socket_path, &why);
	if (ret == 0)
		ret = unm_config_load(&cfg, path, o.config_path != NULL, &why);
	if (ret == 0)
		ret = unm_config_check_socket(&cfg, path, in.socket_path, &why);
	if (ret < 0)
		nmt_die(&cli, "%s", why.text);
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
	return serve(&o, &cfg, &in);
}
