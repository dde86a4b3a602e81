/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: rest, then frames into the store, then whatever else has happened: what has come before
 * it is in the file. See recorder.h.
 *
 * Whatever may take long is done by others: the seeker opens ports (ports.h), a forked process
 * writes (dump.h).
 *
 * At the end that process is waited for, but neither a FIFO that nobody reads nor a dead file system
 * holds the recorder for ever: a process that has got nowhere for STUCK_S is killed, and so it is at
 * a signal, once the user knows what is waited for. Earlier ones may be of the same wish to end:
 * systemd sends SIGTERM right after ExecStop=nm-record stop, a script passes on what a terminal has
 * sent to all.
 */
#include "recorder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "nmt_time.h"
#include "pcap/filter.h"

#define N_OTHERS (4 + OPTIONS_PIDS_MAX) /* descriptors besides those of ports */
#define STUCK_S	 20			/* for two files less than systemd's 90 s until SIGKILL */
#define TELL_S	 1

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("nm-record: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static uint64_t
real_time_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NMT_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* ---- writing ---- */

static void
copy_counters(struct recorder *r, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct port *p = ports_get(r->ports, i);
		struct dump_port *out = &r->dump_ports[i];

		memcpy(out->name, p->name, sizeof(p->name));
		ports_counters(r->ports, p, &out->counters);
		out->n_accepted = p->n_accepted;
	}
}

/* Return: 0, or negative errno: none has been started. */
static int
start_dump(struct recorder *r, const char *path)
{
	const unsigned int n = ports_count(r->ports);
	struct dump_port *ports = realloc(r->dump_ports, (n > 0 ? n : 1) * sizeof(*ports));
	const struct dump_job job = {
		.store = r->store,
		.ports = ports,
		.n_ports = n,
		.path = path,
		.prefix = r->opts->prefix,
		.filter = r->opts->filter,
		.snaplen = r->opts->snaplen,
		.start_ns = r->start_ns,
	};

	if (ports == NULL)
		return -ENOMEM;
	r->dump_ports = ports;
	copy_counters(r, n);
	store_expire(r->store, real_time_ns());
	return dump_start(&r->dump, &job);
}

/* Something has happened that is worth a file. */
static void
own_dump(struct recorder *r)
{
	int ret;

	if (r->dump.pid != 0) {
		r->dump_again = true;
		return;
	}
	if (r->n_own_dumps == r->opts->max_dumps) {
		say("not written: --max-dumps %llu files have been written",
			(unsigned long long)r->opts->max_dumps);
		return;
	}
	r->n_own_dumps++;
	ret = start_dump(r, NULL);
	if (ret == 0)
		return;
	r->n_failed++;
	say("cannot write: %s", strerror(-ret));
}

static void
dump_done(struct recorder *r)
{
	char text[sizeof(r->last.path) + sizeof(r->last.why) + 80];

	dump_finish(&r->dump, &r->last);
	if (r->last.error == 0) {
		r->n_dumps++;
		snprintf(text, sizeof(text), "wrote %llu frames to %s",
			(unsigned long long)r->last.n_frames, r->last.path);
	} else {
		r->n_failed++;
		snprintf(text, sizeof(text), "%s%s", r->last.why,
			r->is_stopping ? "" : "; recording goes on");
	}
	say("%s", text);
	if (r->dump_client >= 0)
		control_answer(r->dump_client, r->last.error, text);
	r->dump_client = -1;
	if (r->dump_again) {
		r->dump_again = false;
		own_dump(r);
	}
}

/* ---- requests ---- */

static void
answer_status(int fd, char *text)
{
	control_answer(fd, text != NULL ? 0 : -ENOMEM, text != NULL ? text : "out of memory");
	free(text);
}

static void
request_dump(struct recorder *r, int fd, const char *path)
{
	int ret;

	if (r->dump.pid != 0) {
		control_answer(fd, -EBUSY, "another file is being written: try again");
		return;
	}
	if (r->is_stopping) {
		control_answer(fd, -ESHUTDOWN, "the recorder is ending");
		return;
	}
	ret = start_dump(r, path);
	if (ret < 0)
		control_answer(fd, ret, strerror(-ret));
	else
		r->dump_client = fd;
}

static void
serve_request(struct recorder *r)
{
	static char req[CONTROL_MAX_REQ];
	const int fd = control_accept(r->listen_fd, req);

	if (fd < 0)
		return; /* who asked has gone */
	if (strcmp(req, "status") == 0) {
		answer_status(fd, status_text(r));
	} else if (strcmp(req, "status json") == 0) {
		answer_status(fd, status_json(r));
	} else if (strcmp(req, "dump") == 0 || strncmp(req, "dump ", 5) == 0) {
		request_dump(r, fd, req[4] == ' ' ? req + 5 : NULL);
	} else if (strcmp(req, "stop") == 0) {
		r->is_stopping = true;
		control_answer(fd, 0, "");
	} else {
		control_answer(fd, -EINVAL, "there is no such command");
	}
}

/* ---- events ---- */

static void
event(struct recorder *r, enum when when)
{
	if (r->opts->when & when)
		own_dump(r);
}

static void
take_signal(struct recorder *r)
{
	struct signalfd_siginfo info;

	if (read(r->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo != SIGUSR1) {
		r->is_stopping = true;
		r->has_end_signal = true;
	} else if (!r->is_stopping) {
		own_dump(r);
	}
}

static void
take_ports_event(struct recorder *r)
{
	if (ports_take_event(r->ports)) {
		say("netmapd has died");
		event(r, WHEN_NETMAPD);
	}
	if ((r->opts->when & WHEN_NETMAPD) && !r->has_told && ports_is_isolated(r->ports)) {
		say("nothing will be written when netmapd dies (-e netmapd): " RECORDER_NO_DEATH);
		r->has_told = true;
	}
}

static void
process_ended(struct recorder *r, unsigned int i)
{
	say("process %d has ended", (int)r->opts->pid[i]);
	close(r->pid_fd[i]);
	r->pid_fd[i] = -1;
	own_dump(r);
}

/* ---- frames ---- */

static void
keep(struct recorder *r, struct port *p, const struct unm_cap_frame *f)
{
	const struct store_frame stored = {
		.time_ns = unm_cap_time_ns(p->cap),
		.caplen = f->len < r->opts->snaplen ? f->len : r->opts->snaplen,
		.len = f->len,
		.port = p->number,
		.is_tx = f->is_tx,
		.data = f->data,
	};

	if (unm_filter_matches(r->filter, f)) {
		p->n_accepted++;
		store_put(r->store, &stored);
	} else {
		r->n_refused++;
	}
}

/* Return: how many frames that were. */
static uint32_t
take_batch(struct recorder *r, struct port *p)
{
	struct unm_cap_frame f[UNM_CAP_BATCH];
	const uint32_t n = unm_cap_batch(p->cap, f, UNM_CAP_BATCH);
	uint32_t i;

	for (i = 0; i < n; i++)
		keep(r, p, &f[i]);
	unm_cap_release(p->cap);
	p->pace.frames += n;
	return n;
}

/*
 * All that is there; of a port that has gone, what it has left in the rings. Return: 0, or negative
 * errno: the port has gone.
 */
static int
drain(struct recorder *r, struct port *p)
{
	const uint32_t n_slots = unm_cap_n_slots(p->cap);
	uint32_t n, total = 0;
	int ret;

	do {
		ret = unm_cap_sync(p->cap);
		n = take_batch(r, p);
		total += n;
	} while (ret == 0 && n > 0 && total < n_slots); /* then others have their turn */
	return ret;
}

/* Read all ports. Return: for how long to look away; 0: wait for frames. */
static uint32_t
drain_all(struct recorder *r)
{
	const unsigned int n = ports_count(r->ports);
	uint32_t nap_ns = 0, one;
	bool has_gone = false;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct port *p = ports_get(r->ports, i);

		if (!ports_is_open(r->ports, p))
			continue;
		if (drain(r, p) < 0) {
			say("%s has gone: waiting for it", p->name);
			ports_give_up(r->ports, p);
			has_gone = true;
			continue;
		}
		one = unm_pace_nap_ns(&p->pace, unm_cap_time_ns(p->cap), unm_cap_n_slots(p->cap));
		if (one != 0 && (nap_ns == 0 || one < nap_ns))
			nap_ns = one;
	}
	if (has_gone) /* after all have been read */
		event(r, WHEN_PORT);
	return nap_ns;
}

/* ---- the loop ---- */

/* Return: how many. */
static unsigned int
fill_others(const struct recorder *r, struct pollfd *p)
{
	unsigned int i, n = 0;

	p[n++] = (struct pollfd){.fd = r->signal_fd, .events = POLLIN};
	p[n++] = (struct pollfd){.fd = r->listen_fd, .events = POLLIN};
	p[n++] = (struct pollfd){.fd = ports_event_fd(r->ports), .events = POLLIN};
	p[n++] = (struct pollfd){.fd = r->dump.pid != 0 ? r->dump.fd : -1, .events = POLLIN};
	for (i = 0; i < r->opts->n_pids; i++)
		p[n++] = (struct pollfd){.fd = r->pid_fd[i], .events = POLLIN};
	return n;
}

static void
serve_others(struct recorder *r, const struct pollfd *p)
{
	unsigned int i;

	if (p[0].revents != 0)
		take_signal(r);
	if (p[2].revents != 0)
		take_ports_event(r);
	if (p[3].revents != 0)
		dump_done(r);
	if (p[1].revents != 0)
		serve_request(r);
	for (i = 0; i < r->opts->n_pids; i++)
		if (p[4 + i].revents != 0)
			process_ended(r, i);
}

/* @events of all open ports, or, to look away (unm_cap_nap()), no events of one. */
static unsigned int
fill_ports(struct recorder *r, struct pollfd *p, short events)
{
	const unsigned int n = ports_count(r->ports);
	unsigned int i, k = 0;

	for (i = 0; i < n; i++) {
		const struct port *port = ports_get(r->ports, i);

		if (events == 0 && k > 0)
			break;
		if (ports_is_open(r->ports, port))
			p[k++] = (struct pollfd){.fd = unm_cap_fd(port->cap), .events = events};
	}
	return k;
}

int
recorder_watch(struct recorder *r)
{
	unsigned int i;

	for (i = 0; i < r->opts->n_pids; i++) {
		r->pid_fd[i] = pidfd_open(r->opts->pid[i], 0);
		if (r->pid_fd[i] < 0) {
			say("-p %d: %s", (int)r->opts->pid[i], strerror(errno));
			return -errno;
		}
	}
	return 0;
}

static void
loop(struct recorder *r)
{
	static struct pollfd fds[N_OTHERS + PORTS_MAX];
	struct timespec nap = {.tv_nsec = drain_all(r)};

	while (!r->is_stopping) {
		unsigned int n = fill_others(r, fds);
		int n_ready;

		n += fill_ports(r, fds + n, nap.tv_nsec == 0 ? POLLIN : 0);
		n_ready = ppoll(fds, n, nap.tv_nsec != 0 ? &nap : NULL, NULL);
		nap.tv_nsec = drain_all(r);
		if (n_ready > 0)
			serve_others(r, fds);
	}
}

static void
give_up(struct recorder *r)
{
	if (r->has_end_signal && r->dump_again) {
		r->dump_again = false;
		r->n_failed++;
		say("not written: the file that was due next");
	}
	dump_kill(&r->dump);
	dump_done(r);
}

/* Look after the rest while a file is written, about a second at most. Return: is it done? */
static bool
watch_writing(struct recorder *r)
{
	struct pollfd p[] = {
		{.fd = r->dump.fd, .events = POLLIN},
		{.fd = r->signal_fd, .events = POLLIN},
		{.fd = r->listen_fd, .events = POLLIN},
	};

	(void)poll(p, 3, TELL_S * 1000);
	if (p[1].revents != 0)
		take_signal(r);
	if (p[2].revents != 0)
		serve_request(r);
	return p[0].revents != 0;
}

/* At the end: wait for the file that is being written, and for one that is due after it. */
static void
finish_writing(struct recorder *r)
{
	const uint64_t began_ns = nmt_now_ns();
	uint64_t n_frames = 0, moved_ns = began_ns;
	bool told = false;

	while (r->dump.pid != 0) { /* two files at most: nothing makes another one due any more */
		const bool is_done = watch_writing(r);
		const uint64_t n = dump_n_frames(&r->dump), now_ns = nmt_now_ns();

		if (!told)
			r->has_end_signal = false;
		if (!told && !is_done && now_ns - began_ns >= TELL_S * NMT_NS_PER_S) {
			say("a file is still being written: SIGTERM or SIGINT gives it up");
			told = true;
		}
		if (n != n_frames)
			moved_ns = now_ns;
		n_frames = n;
		if (is_done) {
			dump_done(r);
		} else if (r->has_end_signal) {
			say("told to end again: the file is given up");
			give_up(r);
		} else if (now_ns - moved_ns >= STUCK_S * NMT_NS_PER_S) {
			say("nothing has been written for %d s: the file is given up", STUCK_S);
			give_up(r);
		} else {
			continue;
		}
		moved_ns = nmt_now_ns(); /* of the next one */
	}
}

int
recorder_run(struct recorder *r)
{
	uint64_t n_failed;

	r->start_ns = real_time_ns();
	r->dump_client = -1;
	loop(r);
	n_failed = r->n_failed;
	(void)drain_all(r);
	event(r, WHEN_EXIT);
	finish_writing(r);
	free(r->dump_ports);
	return r->n_failed != n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
