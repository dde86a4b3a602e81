/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nm-lb: distributes the packets of a port over pipes, by flow. lb.h has the picture.
 *
 * The main loop alternates between netmap's turn (a sync of all ports concerned, by poll(2), or by
 * ioctl(2) when asked never to sleep) and ours (lb_collect(), lb_receive()). Pipes that were
 * filled are synced right after, so that consumers start while we look for more; pipes that are
 * filling up, before. poll() watches the port and those pipes whose consumer's progress alone is
 * worth waking.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb.h"
#include "lb_stats.h"
#include "nmt_log.h"
#include "nmt_port.h"
#include "nmt_stop.h"
#include "nmt_time.h"

struct reports {
	struct lb_stats *to_syslog; /* NULL: not asked for */
	struct lb_stats *to_stdout;
};

/* The port (entry 0) and pipes, in no particular order. */
struct poll_set {
	struct pollfd fds[1 + LB_MAX_PIPES];
	const struct nmport_d *ports[1 + LB_MAX_PIPES];
	nfds_t n;
};

/* Hand filled slots to the consumers. */
static int
sync_dirty_pipes(struct lb *lb)
{
	int error = 0;

	for (uint32_t i = 0; i < lb->n_pipes && error == 0; i++) {
		struct lb_pipe *p = &lb->pipes[i];

		if (!p->dirty)
			continue;
		error = nmt_port_sync(p->port, NIOCTXSYNC);
		p->dirty = false;
	}
	return error;
}

/* Learn what the consumers of full pipes released meanwhile, before packets are dropped. */
static int
sync_filling_pipes(const struct lb *lb)
{
	int error = 0;

	for (uint32_t i = 0; i < lb->n_pipes && error == 0; i++)
		if (lb_is_filling(&lb->pipes[i]))
			error = nmt_port_sync(lb->pipes[i].port, NIOCTXSYNC);
	return error;
}

/* netmap's turn, without sleeping. */
static int
sync_all(struct lb *lb)
{
	int error = nmt_port_sync(lb->port, NIOCRXSYNC);

	for (uint32_t i = 0; i < lb->n_pipes && error == 0; i++)
		if (lb_wants_release(lb, &lb->pipes[i]))
			error = nmt_port_sync(lb->pipes[i].port, NIOCTXSYNC);
	return error;
}

static void
add_to_set(struct poll_set *set, const struct nmport_d *d, short events)
{
	set->fds[set->n] = (struct pollfd){.fd = d->fd, .events = events};
	set->ports[set->n++] = d;
}

/* poll() says POLLERR after it put a ring with wrong indices right, too; so ask again. */
static int
check_errors(const struct poll_set *set)
{
	int error = 0;

	for (nfds_t i = 0; i < set->n && error == 0; i++)
		if ((set->fds[i].revents & (POLLERR | POLLNVAL)) != 0)
			error = nmt_port_sync(set->ports[i], i == 0 ? NIOCRXSYNC : NIOCTXSYNC);
	return error;
}

/* netmap's turn: sleep until there is something to do, at most until @until_ns. */
static int
wait_for_work(struct lb *lb, struct poll_set *set, uint64_t until_ns)
{
	int timeout_ms = -1;
	uint64_t now_ns;
	int n;

	set->n = 0;
	add_to_set(set, lb->port, POLLIN);
	for (uint32_t i = 0; i < lb->n_pipes; i++)
		if (lb_wants_release(lb, &lb->pipes[i]))
			add_to_set(set, lb->pipes[i].port, POLLOUT);
	if (until_ns != UINT64_MAX) {
		now_ns = nmt_now_ns();
		/* An interval is at most a day, which fits. */
		timeout_ms = until_ns > now_ns ? (int)((until_ns - now_ns) / 1000000) + 1 : 0;
	}
	n = nmt_stop_poll(set->fds, set->n, timeout_ms);
	if (n > 0)
		return check_errors(set);
	if (n == 0 || n == -EINTR)
		return 0;
	nmt_log("poll: %s", strerror(-n));
	return n;
}

static int
run(struct lb *lb, const struct lb_options *opts, const struct reports *reports)
{
	static struct poll_set set; /* large; the loop is its only user */
	int error = 0;

	while (error == 0 && !nmt_stop_requested()) { /* until a signal, or a port fails */
		const uint64_t now_ns = nmt_now_ns();
		const uint64_t syslog_ns = lb_stats_tick(reports->to_syslog, now_ns);
		const uint64_t stdout_ns = lb_stats_tick(reports->to_stdout, now_ns);

		if (stdout_ns == 0) {
			nmt_log("cannot write to standard output");
			return -EIO;
		}
		error = opts->busy_wait ? sync_all(lb)
					: wait_for_work(lb, &set,
						  syslog_ns < stdout_ns ? syslog_ns : stdout_ns);
		if (error == 0)
			error = sync_filling_pipes(lb);
		if (error != 0)
			break;
		lb_collect(lb);
		(void)lb_receive(lb, opts->batch); /* what is left wakes poll() at once */
		error = sync_dirty_pipes(lb);
	}
	if (error == 0) { /* room that was made meanwhile saves waiting packets */
		lb_collect(lb);
		error = sync_dirty_pipes(lb);
	}
	return error;
}

static int
start_reports(struct reports *reports, const struct lb *lb, const struct lb_options *opts)
{
	int error = 0;

	if (opts->syslog_interval_s > 0)
		error = lb_stats_new(lb, opts->base, LB_STATS_SYSLOG, opts->syslog_interval_s,
			&reports->to_syslog);
	if (error == 0 && opts->stdout_interval_s > 0)
		error = lb_stats_new(lb, opts->base, LB_STATS_STDOUT, opts->stdout_interval_s,
			&reports->to_stdout);
	if (error != 0)
		nmt_log("cannot set up reports: %s", strerror(-error));
	return error;
}

int
main(int argc, char **argv)
{
	static struct lb_options opts; /* large, as is the next */
	static struct lb lb;
	struct reports reports = {NULL, NULL};
	struct lb_counters total;
	int error;

	lb_options_parse(&opts, argc, argv);
	signal(SIGPIPE, SIG_IGN); /* a reader of -o that goes away is a failed write */
	error = nmt_stop_init(opts.busy_wait);
	if (error != 0)
		nmt_die(&lb_cli, "cannot set signal handlers: %s", strerror(-error));
	nmt_log("interface is %s", opts.port);
	error = lb_open(&lb, &opts);
	if (error == 0)
		error = start_reports(&reports, &lb, &opts);
	if (error != 0) {
		lb_close(&lb);
		return EXIT_FAILURE;
	}
	if (opts.wait_s > 0) {
		nmt_log("Wait %u secs for link to come up...", opts.wait_s);
		(void)nmt_stop_sleep(opts.wait_s);
	}
	nmt_log("Ready, %u pipes in %u groups", lb.n_pipes, lb.n_groups);
	error = run(&lb, &opts, &reports);
	lb_finish(&lb);
	total = lb_total(&lb);
	lb_close(&lb);
	printf("%" PRIu64 " packets forwarded.  %" PRIu64 " packets dropped. Total %" PRIu64 "\n",
		total.forwarded_packets, total.dropped_packets,
		total.forwarded_packets + total.dropped_packets);
	lb_stats_free(reports.to_syslog);
	lb_stats_free(reports.to_stdout);
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
