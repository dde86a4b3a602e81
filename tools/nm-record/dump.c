/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing what is kept to a file. See dump.h. */
#include "dump.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pcap/pcapng.h"

#define MAX_SAME_SECOND 1000
#define FILE_BUFFER	(1u << 20)

static int
failed(struct dump_result *r, int error, const char *what)
{
	r->error = error;
	snprintf(r->why, sizeof(r->why), "%s %s: %s", what, r->path, strerror(-error));
	return error;
}

/* A file that is not there yet: PREFIX-20261129-023000.pcapng, -2 and so on behind the time. */
static FILE *
open_new(const char *prefix, struct dump_result *r)
{
	const time_t now = time(NULL);
	char stamp[32], count[16] = "";
	FILE *f = NULL;
	struct tm tm;
	int i;

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	for (i = 1; i <= MAX_SAME_SECOND && f == NULL; i++) {
		if (i > 1)
			snprintf(count, sizeof(count), "-%d", i);
		snprintf(r->path, sizeof(r->path), "%.3900s-%s%s.pcapng", prefix, stamp, count);
		f = fopen(r->path, "wxe");
		if (f == NULL && errno != EEXIST)
			break;
	}
	return f;
}

static FILE *
open_file(const struct dump_job *job, struct dump_result *r)
{
	if (job->path == NULL || job->path[0] == '\0')
		return open_new(job->prefix, r);
	snprintf(r->path, sizeof(r->path), "%s", job->path);
	return fopen(job->path, "we");
}

static void
write_frames(struct unm_pcapng *w, const struct dump_job *job, struct dump_result *r)
{
	struct store_pos pos = store_first(job->store);
	struct store_frame f;

	while (w->error == 0 && store_next(job->store, &pos, &f)) {
		const struct unm_pcapng_packet pkt = {
			.data = f.data,
			.caplen = f.caplen,
			.len = f.len,
			.time_ns = f.time_ns,
			.direction = f.is_tx ? UNM_PCAPNG_OUT : UNM_PCAPNG_IN,
		};

		if (unm_pcapng_packet(w, f.port, &pkt) == 0) {
			r->n_frames++;
			r->n_bytes += f.caplen;
		}
	}
}

static void
write_interfaces(struct unm_pcapng *w, const struct dump_job *job)
{
	unsigned int i;

	for (i = 0; i < job->n_ports; i++) {
		const struct unm_pcapng_interface iface = {
			.name = job->ports[i].name,
			.description = "netmap port, recorded",
			.filter = job->filter,
			.snaplen = job->snaplen,
		};

		(void)unm_pcapng_interface(w, &iface); /* an error sticks */
	}
}

static void
write_counters(struct unm_pcapng *w, const struct dump_job *job)
{
	struct timespec now;
	unsigned int i;

	clock_gettime(CLOCK_REALTIME, &now);
	for (i = 0; i < job->n_ports; i++) {
		const struct unm_cap_counters *c = &job->ports[i].counters;
		const struct unm_pcapng_counters counters = {
			.start_ns = job->start_ns,
			.end_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
			.received = c->frames,
			.dropped = c->missed + c->invalid,
			.accepted = c->frames,
		};

		(void)unm_pcapng_counters(w, i, &counters);
	}
}

static int
write_file(const struct dump_job *job, struct dump_result *r)
{
	FILE *f = open_file(job, r);
	struct unm_pcapng w;
	int error;

	if (f == NULL)
		return failed(r, -errno, "cannot create");
	(void)setvbuf(f, NULL, _IOFBF, FILE_BUFFER); /* without it it is slower */
	(void)unm_pcapng_begin(&w, f, "nm-record");
	write_interfaces(&w, job);
	write_frames(&w, job, r);
	write_counters(&w, job);
	error = unm_pcapng_flush(&w);
	if (fclose(f) != 0 && error == 0)
		error = -errno;
	if (error == 0)
		return 0;
	/* Half a file helps nobody, and the disk may be full because of it. */
	if (job->path == NULL || strncmp(job->path, "/dev/", 5) != 0)
		(void)unlink(r->path);
	return failed(r, error, "cannot write");
}

static void __attribute__((noreturn)) child(const struct dump_job *job, int fd)
{
	static struct dump_result r;
	const char *p = (const char *)&r;
	size_t left = sizeof(r);

	signal(SIGPIPE, SIG_IGN);
	(void)write_file(job, &r); /* what came of it is in @r */
	while (left > 0) {
		const ssize_t n = write(fd, p, left);

		if (n <= 0 && errno != EINTR)
			break;
		if (n > 0) {
			p += n;
			left -= (size_t)n;
		}
	}
	_exit(r.error == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int
dump_start(struct dump *d, const struct dump_job *job)
{
	int fds[2], error;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		child(job, fds[1]);
	error = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (error < 0) {
		close(fds[0]);
		return error;
	}
	d->pid = pid;
	d->fd = fds[0];
	return 0;
}

void
dump_finish(struct dump *d, struct dump_result *r)
{
	char *p = (char *)r;
	size_t got = 0;
	int status;

	while (got < sizeof(*r)) { /* the child writes it in one go, at its end */
		const ssize_t n = read(d->fd, p + got, sizeof(*r) - got);

		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		if (n > 0)
			got += (size_t)n;
	}
	if (got < sizeof(*r)) {
		memset(r, 0, sizeof(*r));
		r->error = -ECHILD;
		snprintf(r->why, sizeof(r->why), "the process that wrote was killed");
	}
	r->path[sizeof(r->path) - 1] = '\0';
	r->why[sizeof(r->why) - 1] = '\0';
	close(d->fd);
	while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
		; /* it exits right after */
	d->pid = 0;
	d->fd = -1;
}
