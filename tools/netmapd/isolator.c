/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nm-isolator: the broker of an isolate (src/isolate/broker.h). netmapd starts it, with the
 * listening socket as descriptor 3; it is not for use by hand.
 *
 * It tells netmapd who it is (UNM_MSG_BROKER), learns what its clients may do, gives up everything
 * that it does not need, and serves until it is killed or neither netmapd nor a client is left.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/fdtab.h"
#include "client/process.h"
#include "client/session.h"
#include "client/spin.h"
#include "confine.h"
#include "isolate/broker.h"
#include "nmt_cli.h"
#include "output.h"

#define LISTEN_FD 3

static const struct nmt_cli cli = {
	.prog = "nm-isolator",
	.help = "nm-isolator - serve isolated clients, started by netmapd\n"
		"\n"
		"usage: nm-isolator NAME\n"
		"\n"
		"  --help     this text\n"
		"  --version  version\n",
	.shortopts = "",
};

static struct unm_broker broker;
static int listen_fd = -1;

/* Who we are. @ask: how. Return: 0, or negative errno. */
static int
introduce(int (*ask)(struct unm_call *c), struct unm_msg_broker *ans, size_t size)
{
	struct unm_msg_broker req = {.text_len = 0};
	struct unm_call c = {.type = UNM_MSG_BROKER,
		.body = &req,
		.body_len = sizeof(req),
		.fds = &listen_fd,
		.n_fds = 1,
		.ans = ans,
		.ans_size = size};
	int err;

	memcpy(req.name, broker.name, sizeof(req.name));
	err = ask(&c);
	if (err < 0)
		return err;
	unm_call_close_fds(&c, 0);
	if (c.error < 0)
		return c.error;
	return c.ans_len >= sizeof(*ans) && ans->text_len == c.ans_len - sizeof(*ans) ? 0 : -EPROTO;
}

/* To a netmapd that was restarted. One that does not know us will have another broker. */
static int
introduce_again(void)
{
	static char buf[sizeof(struct unm_msg_broker) + UNM_POLICY_TEXT_SIZE]
		__attribute__((aligned(8)));
	const int err = introduce(
		unm_session_call_locked, (struct unm_msg_broker *)(void *)buf, sizeof(buf));

	if (err == -EPERM)
		nmt_die(&cli, "%s: netmapd does not know this isolate any more", broker.name);
	return err;
}

static void
lost(void)
{
	unm_broker_alone(&broker);
}

static void
learn_policy(void)
{
	static char buf[sizeof(struct unm_msg_broker) + UNM_POLICY_TEXT_SIZE]
		__attribute__((aligned(8)));
	struct unm_msg_broker *ans = (struct unm_msg_broker *)(void *)buf;
	char why[UNM_POLICY_WHY_SIZE] = "";
	int err = introduce(unm_session_call, ans, sizeof(buf));

	if (err < 0)
		nmt_die(&cli, "%s: netmapd does not take this as a broker: %s", broker.name,
			strerror(-err));
	unm_policy_defaults(&broker.policy);
	err = unm_policy_words(&broker.policy, ans->text, ans->text_len, why);
	if (err < 0)
		nmt_die(&cli, "%s: %s", broker.name, why);
}

int
main(int argc, char **argv)
{
	int err;

	output_watch_parent();
	while (nmt_cli_next(&cli, argc, argv) != -1)
		continue; /* the two options that there are end the program */
	if (argc - optind != 1 || strlen(argv[optind]) >= sizeof(broker.name))
		nmt_usage_error(&cli, "the name of an isolate is needed");
	strcpy(broker.name, argv[optind]);
	unm_log_open(false, LOG_INFO);
	err = unm_process_init();
	if (err == 0) {
		listen_fd = unm_fd_internal(LISTEN_FD);
		err = listen_fd < 0 ? listen_fd : 0;
	}
	if (err < 0)
		nmt_die(&cli, "%s: no listening socket: %s", broker.name, strerror(-err));
	unm_spin_set_default(UNM_SPIN_BROKER_US);
	unm_session_on_restore(introduce_again);
	unm_session_on_loss(lost);
	learn_policy();
	err = confine_broker();
	if (err < 0)
		fprintf(stderr, "nm-isolator: can't give up privileges: %s\n", strerror(-err));
	err = unm_broker_run(&broker, listen_fd);
	if (err == 0)
		return 0;
	nmt_die(&cli, "%s: %s", broker.name, strerror(-err));
}
