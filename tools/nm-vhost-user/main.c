/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nm-vhost-user: the program. Options, sockets, sandbox, ports, then the loop until a signal.
 *
 * Exit status: 0 when told to stop, 1 when a socket or port can't be had, 2 for a wrong command
 * line.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unetmap.h>
#include <unistd.h>

#include "helper.h"
#include "nic.h"
#include "options.h"
#include "sandbox.h"
#include "shm/socket_dir.h"
#include "status.h"
#include "vm/asker.h"
#include "vm/event_fd.h"

#define END_MS	    1000 /* that netmapd has for the requests at the end */
#define PATIENCE_MS 100	 /* a NIC that waits for netmapd keeps the others waiting */

/* NICs and what the loop's callbacks need; one for the program. */
struct server {
	struct vh_options opts;
	struct vh_nic nic[VH_MAX_NICS];
	struct unm_loop *loop;
	struct vh_witness witness;
	int signal_fd;
	int interval_fd; /* -1: no status lines by themselves */
};

static struct server server = {.witness = {.fd = -1}};

/* Descriptors of front ends are many: a region, two for each ring. */
static void
raise_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl); /* what we have may do */
	}
}

static int
start_nic(struct server *s, unsigned int i, const struct vh_helper *h, char *why)
{
	int err = vh_nic_start(&s->nic[i], s->loop, &s->witness, why), n;

	/* Most errors are about the port, and come again at once; for a busy one it waited. */
	for (n = 0; n < VH_N_WAKES && err < 0 && err != -EBUSY && s->nic[i].net == NULL; n++) {
		if (!vh_helper_wake_netmapd(h))
			break;
		err = vh_nic_start(&s->nic[i], s->loop, &s->witness, why);
	}
	return err;
}

static void
on_signal(void *arg, short revents)
{
	struct server *s = arg;
	struct signalfd_siginfo info;

	(void)revents;
	if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1)
		vh_status_print(STDOUT_FILENO, s->nic, s->opts.n_nics);
	else
		unm_loop_stop(s->loop);
}

static void
on_interval(void *arg, short revents)
{
	struct server *s = arg;
	uint64_t n_expired;

	(void)revents;
	if (read(s->interval_fd, &n_expired, sizeof(n_expired)) == (ssize_t)sizeof(n_expired))
		vh_status_print(STDOUT_FILENO, s->nic, s->opts.n_nics);
}

static void
on_answer(void *arg, short revents)
{
	struct server *s = arg;
	const int fd = s->witness.fd;
	uint32_t question;
	unsigned int i;
	bool is_ours;

	(void)revents;
	while (vh_witness_answer(&s->witness, &question, &is_ours)) /* one for each connection */
		for (i = 0; i < s->opts.n_nics; i++)
			vh_trust_answered(&s->nic[i].trust, question, is_ours);
	if (s->witness.fd < 0)
		unm_loop_unwatch(s->loop, fd);
}

static struct vh_nic *
find_nic(struct server *s, const struct unm_net *n)
{
	unsigned int i;

	for (i = 0; i < s->opts.n_nics; i++) {
		if (s->nic[i].net == n)
			return &s->nic[i];
	}
	return NULL;
}

static void
on_port_lost(void *arg, struct unm_net *n)
{
	struct vh_nic *nic = find_nic(arg, n);

	if (nic != NULL)
		vh_nic_port_lost(nic);
}

static void
on_link(void *arg, struct unm_net *n, bool up)
{
	struct vh_nic *nic = find_nic(arg, n);

	if (nic != NULL)
		vh_nic_link_changed(nic, up);
}

static int
catch_signals(struct server *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return -errno;
	return unm_loop_watch(s->loop, s->signal_fd, POLLIN, on_signal, s);
}

static int
start_interval(struct server *s)
{
	const struct itimerspec t = {.it_value = {.tv_sec = s->opts.interval_s},
		.it_interval = {.tv_sec = s->opts.interval_s}};

	s->interval_fd = -1;
	if (s->opts.interval_s == 0)
		return 0;
	s->interval_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->interval_fd < 0 || timerfd_settime(s->interval_fd, 0, &t, NULL) != 0)
		return -errno;
	return unm_loop_watch(s->loop, s->interval_fd, POLLIN, on_interval, s);
}

/* Does any NIC need the witness? */
static bool
any_auto(const struct vh_options *o)
{
	unsigned int i;

	for (i = 0; i < o->n_nics; i++)
		if (o->nic[i].memory == VH_MEMORY_AUTO)
			return true;
	return false;
}

static void
start_witness(struct server *s)
{
	const int err = any_auto(&s->opts) ? vh_witness_start(&s->witness) : 0;

	if (err < 0)
		fprintf(stderr, "nm-vhost-user: no process to look at front ends by: %s\n",
			strerror(-err));
}

/* A port's header is put back by a request, for which a netmapd that is stopped gets little time. */
static void
stop_nics(struct server *s)
{
	unsigned int i;

	unetmap_hang_up(END_MS);
	for (i = 0; i < s->opts.n_nics; i++)
		vh_nic_stop(&s->nic[i]);
}

/* From here on nothing connects but to netmapd and to the front ends. */
static int
limit_calls(struct server *s)
{
	const struct sockaddr_un *address[1 + VH_MAX_NICS];
	unsigned int n = 0, i;

	address[n] = unetmap_seal_address(NULL);
	if (address[n++] == NULL)
		return -errno;
	for (i = 0; i < s->opts.n_nics; i++) {
		if (!s->opts.nic[i].is_client)
			continue;
		s->nic[i].sealed = unetmap_seal_address(s->opts.nic[i].socket);
		if (s->nic[i].sealed == NULL)
			return -errno;
		address[n++] = s->nic[i].sealed;
	}
	return vh_sandbox_calls(address, n);
}

static int fail(char *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* @why: VH_WHY_SIZE. Return: @err. */
static int
fail(char *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, VH_WHY_SIZE, fmt, ap);
	va_end(ap);
	return err;
}

static int
bind_nics(struct server *s, char *why)
{
	unsigned int i, j;
	int err;

	for (i = 0; i < s->opts.n_nics; i++) {
		const char *path = s->opts.nic[i].socket;

		err = vh_nic_bind(&s->nic[i], &s->opts.nic[i], why);
		if (err < 0)
			return err;
		for (j = 0; j < i; j++) /* the directories are there now */
			if (unm_socket_same(s->opts.nic[j].socket, path))
				return fail(why, -EADDRINUSE, VH_SOCKET_TAKEN, path);
	}
	return 0;
}

static int
start_loop(struct server *s, char *why)
{
	int err;

	s->loop = unm_loop_new();
	err = s->loop == NULL ? -ENOMEM : catch_signals(s);
	if (err == 0)
		err = start_interval(s);
	if (err == 0 && s->witness.fd >= 0)
		err = unm_loop_watch(s->loop, s->witness.fd, POLLIN, on_answer, s);
	if (err < 0)
		return fail(why, err, "can't start: %s", strerror(-err));
	unm_loop_on_port_lost(s->loop, on_port_lost, s);
	unm_loop_on_link(s->loop, on_link, s);
	return 0;
}

/* The threads are made here: before, they would have kept their privileges. */
static int
enter_sandbox(struct server *s, char *why)
{
	int err;

	if (s->opts.has_sandbox && (err = vh_sandbox_files()) < 0)
		return fail(why, err, "can't give up privileges: %s (--no-sandbox keeps them)",
			strerror(-err));
	if ((err = unm_event_watchdog_start()) < 0)
		return fail(why, err, "can't start the watchdog: %s", strerror(-err));
	if ((err = unm_asker_start()) < 0)
		return fail(
			why, err, "can't start the thread that asks netmapd: %s", strerror(-err));
	return 0;
}

/* Sockets and files before the sandbox, ports inside it: see sandbox.h. */
static int
start(struct server *s, struct vh_helper *h, char *why)
{
	unsigned int i;
	int err;

	start_witness(s);
	err = bind_nics(s, why);
	if (err == 0)
		err = vh_helper_need_netmapd(why);
	if (err < 0)
		return err;
	(void)unetmap_wait_at_most(PATIENCE_MS); /* the number is right */
	for (i = 0; i < s->opts.n_nics; i++)
		vh_nic_open_records(&s->nic[i]);
	vh_helper_start(h, s->nic, s->opts.n_nics);
	vh_status_make_room(STDOUT_FILENO, s->opts.n_nics);
	err = start_loop(s, why);
	if (err == 0)
		err = enter_sandbox(s, why);
	for (i = 0; i < s->opts.n_nics && err == 0; i++)
		err = start_nic(s, i, h, why);
	if (err == 0 && s->opts.has_sandbox && (err = limit_calls(s)) < 0)
		return fail(why, err, "can't limit system calls: %s (--no-sandbox allows all)",
			strerror(-err));
	return err;
}

int
main(int argc, char **argv)
{
	struct vh_helper helper = {.pid = -1, .sock = -1};
	struct server *s = &server;
	char why[VH_WHY_SIZE];
	int err;

	vh_options_parse(&s->opts, argc, argv);
	raise_limits();
	if (start(s, &helper, why) < 0) {
		vh_helper_unmake(&helper, s->nic, s->opts.n_nics);
		nmt_die(&vh_cli, "%s", why);
	}
	vh_helper_end(&helper);
	err = unm_loop_run(s->loop);
	stop_nics(s);
	vh_witness_stop(&s->witness);
	unm_asker_stop();
	unm_event_watchdog_stop();
	unm_loop_free(s->loop);
	if (err < 0)
		nmt_die(&vh_cli, "can't wait for work: %s", strerror(-err));
	return EXIT_SUCCESS;
}
