/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pkt-gen: send, receive and measure packets on a netmap port. Manual page: pkt-gen.8.
 *
 * options.c reads the command line, port.c opens the port once per thread, frame.c makes what is
 * sent. One worker thread per ring runs a body from tx.c, rx.c or pingpong.c, while the main thread
 * prints reports (report.c) and waits for the end, of which results.c tells.
 *
 * Signals: workers have SIGINT and SIGTERM blocked, the main thread takes them with sigtimedwait().
 * SIGUSR1 tells the main thread that a worker has ended, SIGUSR2 interrupts a worker's wait. They
 * are set up after the port is open, so that a daemon started on the way does not inherit the mask.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libnetmap.h>

#include "nmt_log.h"
#include "nmt_time.h"
#include "pcap_io.h"
#include "report.h"

#define WAIT_S_DEFAULT 2

static void
on_interrupt(int signo)
{
	(void)signo; /* its only purpose is to end a wait with EINTR */
}

static void
set_up_signals(void)
{
	struct sigaction action = {.sa_handler = on_interrupt};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGUSR2, &action, NULL);
}

/* -P: the frame comes from a file, and so does its length. */
static void
load_template(struct pg_options *opt, uint8_t *frame, uint32_t *len)
{
	struct nmt_err err;

	if (pg_pcap_first_frame(opt->template_file, frame, PG_FRAME_LEN_MAX, len, &err) != 0)
		nmt_die(pg_cli(), "-P: %s", err.text);
	if (*len == 0)
		nmt_die(pg_cli(), "-P: the first packet of %s is empty", opt->template_file);
	opt->frame_len_min = opt->frame_len_max = *len;
	pg_options_resolve_frags(opt);
}

/* A packet has to fit the buffers of the port, in as many slots as asked for. */
static void
check_buffers(const struct pg_run *run)
{
	const struct pg_options *opt = run->opt;
	const struct pg_worker *w = &run->workers[0];
	uint32_t len = run->tmpl->len;
	uint32_t part = opt->frag_len;
	uint32_t room;

	if (pg_is_receiver(opt) || opt->function == PG_PONG || w->n_tx_rings == 0)
		return;
	room = w->tx_rings[0].ring->nr_buf_size;
	if (opt->n_frags == 1)
		part = len;
	else if (len - (opt->n_frags - 1) * part > part)
		part = len - (opt->n_frags - 1) * part;
	if (part > room && (opt->data & PG_DATA_INDIRECT) == 0)
		nmt_die(pg_cli(), "%u bytes do not fit a buffer of %u; use -F %u or more slots",
			part, room, (len + room - 1) / room);
	if (opt->n_frags >= w->tx_rings[0].ring->num_slots)
		nmt_die(pg_cli(), "-F: a ring of %u slots has no room for a packet of %u slots",
			w->tx_rings[0].ring->num_slots, opt->n_frags);
	if (len > UINT16_MAX && opt->n_frags == 1)
		nmt_die(pg_cli(), "-l: a slot holds at most %d bytes", UINT16_MAX);
}

/* The function needs rings in its directions. */
static void
check_rings(const struct pg_run *run)
{
	const struct pg_options *opt = run->opt;
	const struct pg_worker *w = &run->workers[0];

	if (run->port->id.kind != PG_PORT_NETMAP)
		return;
	if (!pg_is_sender(opt) && w->n_rx_rings == 0)
		nmt_die(pg_cli(), "%s has no receive rings here, which -f %s needs",
			run->port->id.name, pg_function_name(opt->function));
	if (!pg_is_receiver(opt) && w->n_tx_rings == 0)
		nmt_die(pg_cli(), "%s has no transmit rings here, which -f %s needs",
			run->port->id.name, pg_function_name(opt->function));
}

static void
wait_for_link(const struct pg_run *run)
{
	int wait_s = run->opt->wait_s;
	uint64_t end_ns;

	if (wait_s < 0)
		wait_s = run->port->id.has_link ? WAIT_S_DEFAULT : 0;
	nmt_log_at("main", __LINE__, "Wait %d secs for phy reset", wait_s);
	end_ns = nmt_now_ns() + (uint64_t)wait_s * NMT_NS_PER_S;
	while (nmt_now_ns() < end_ns)
		nmt_sleep_until_ns(end_ns); /* -EINTR: sleep on */
	nmt_log_at("main", __LINE__, "Ready...");
}

static void
init_workers(struct pg_run *run, struct pg_port *port, struct pg_worker *workers)
{
	run->workers = workers;
	for (uint32_t i = 0; i < run->opt->n_threads; i++)
		if (pg_worker_init(&workers[i], run->opt, run->tmpl, port, i) != 0)
			nmt_die(pg_cli(), "out of memory");
}

static void
start_workers(struct pg_run *run)
{
	static void *(*const bodies[])(void *) = {
		[PG_RX] = receiver_body,
		[PG_TX] = sender_body,
		[PG_PING] = ping_body,
		[PG_PONG] = pong_body,
		[PG_RXSEQ] = receiver_body,
		[PG_TXSEQ] = sender_body,
	};
	uint64_t start_ns = nmt_now_ns() + PG_START_DELAY_NS;

	for (uint32_t i = 0; i < run->opt->n_threads; i++) {
		struct pg_worker *w = &run->workers[i];
		int error;

		pg_worker_set_start(w, start_ns);
		error = pthread_create(&w->thread, NULL, bodies[run->opt->function], w);
		if (error != 0)
			nmt_die(pg_cli(), "cannot start thread %u: %s", i, strerror(error));
		w->is_started = true;
	}
}

int
main(int argc, char **argv)
{
	static struct pg_options opt;
	static struct pg_port port;
	static struct pg_template tmpl;
	static uint8_t frame[PG_FRAME_LEN_MAX];
	struct pg_run run = {.opt = &opt, .port = &port, .tmpl = &tmpl};
	struct pg_worker *workers;
	struct nmt_err err;
	uint32_t frame_len = 0;
	int error;

	pg_options_parse(&opt, argc, argv);
	if (opt.template_file != NULL)
		load_template(&opt, frame, &frame_len);
	if (pg_port_open(&port, &opt, &err) != 0)
		nmt_die(pg_cli(), "%s", err.text);
	if (!opt.src_mac_given) {
		pg_port_mac(&port.id, opt.src_mac.first);
		memcpy(opt.src_mac.last, opt.src_mac.first, NMT_MAC_LEN);
	}
	error = opt.template_file != NULL ? pg_template_set(&tmpl, frame, frame_len, port.vnet_len)
					  : pg_template_init(&tmpl, &opt, port.vnet_len);
	workers = aligned_alloc(PG_CACHE_LINE, opt.n_threads * sizeof(*workers));
	if (error != 0 || workers == NULL)
		nmt_die(pg_cli(), "out of memory");
	init_workers(&run, &port, workers);
	check_rings(&run);
	check_buffers(&run);
	pg_report_start(&run);
	wait_for_link(&run);
	set_up_signals();
	start_workers(&run);
	pg_report_loop(&run);
	error = pg_report_final(&run);
	for (uint32_t i = 0; i < opt.n_threads; i++)
		pg_worker_free(&workers[i]);
	free(workers);
	pg_template_free(&tmpl);
	pg_port_close(&port);
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
