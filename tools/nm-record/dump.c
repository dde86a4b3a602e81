/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing what is kept to a file. See dump.h. */
#include "dump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pcap/pcapng.h"

#define MAX_SAME_SECOND 1000
#define FILE_BUFFER	(1u << 20)
#define KILL_WAIT_MS	1000

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

/* Where the file at @path is replaced: behind links, as far as these lead to something. */
static void
find_target(const char *path, struct dump_result *r)
{
	if (realpath(path, r->target) == NULL)
		snprintf(r->target, sizeof(r->target), "%s", path);
}

/*
 * The new file gets owner, group and mode of the old one, as far as we may. Where the group can't be had,
 * what it may is nobody's: ours may be anybody's.
 */
static void
take_over_access(int fd, const struct stat *old)
{
	mode_t mode = old->st_mode & 0777;

	if (fchown(fd, old->st_uid, old->st_gid) < 0 && fchown(fd, (uid_t)-1, old->st_gid) < 0)
		mode &= 0707;
	(void)fchmod(fd, mode);
}

/*
 * A file beside the target that takes its place once it is whole: what is there now, @old or NULL,
 * stays until then, and who may read it may read the new one. The name is short, as that of the
 * target may be long; one that a killed process has left is passed over.
 */
static int
open_part(struct dump_result *r, const struct stat *old)
{
	const char *slash = strrchr(r->target, '/');
	const int dir_len = slash != NULL ? (int)(slash + 1 - r->target) : 0;
	char count[16] = "";
	int fd = -1, i, len;

	for (i = 1; i <= MAX_SAME_SECOND && fd < 0; i++) {
		if (i > 1)
			snprintf(count, sizeof(count), "-%d", i);
		len = snprintf(r->part, sizeof(r->part), "%.*snm-record-%d%s.part", dir_len,
			r->target, (int)getpid(), count);
		if (len < 0 || (size_t)len >= sizeof(r->part)) {
			errno = ENAMETOOLONG;
			break;
		}
		fd = open(r->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			old != NULL ? 0600 : 0666);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0)
		r->part[0] = '\0';
	else if (old != NULL)
		take_over_access(fd, old);
	return fd;
}

/* errno is set if there is none. */
static FILE *
file_of(int fd)
{
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	const int saved = errno;

	if (fd >= 0 && f == NULL)
		close(fd);
	errno = saved;
	return f;
}

/* What is no regular file, a FIFO or a device, is written to as it is, and never removed. */
static FILE *
open_special(const char *path)
{
	return file_of(open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY));
}

static FILE *
open_file(const struct dump_job *job, struct dump_result *r)
{
	struct stat st;
	bool is_there;
	FILE *f;

	if (job->path == NULL || job->path[0] == '\0')
		return open_new(job->prefix, r);
	snprintf(r->path, sizeof(r->path), "%s", job->path);
	is_there = stat(job->path, &st) == 0;
	if (is_there && !S_ISREG(st.st_mode))
		return open_special(job->path);
	/* To replace it takes no permission to write to it, but it may be there to be kept. */
	if (is_there && faccessat(AT_FDCWD, job->path, W_OK, AT_EACCESS) < 0)
		return NULL;
	find_target(job->path, r);
	f = file_of(open_part(r, is_there ? &st : NULL));
	if (f == NULL && r->part[0] != '\0') {
		const int saved = errno;

		unlink(r->part);
		r->part[0] = '\0';
		errno = saved;
	}
	return f;
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
			/* Read meanwhile by dump_n_frames() */
			__atomic_store_n(&r->n_frames, r->n_frames + 1, __ATOMIC_RELAXED);
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
			.accepted = job->ports[i].n_accepted,
		};

		(void)unm_pcapng_counters(w, i, &counters);
	}
}

/* All has been written, or not: @error. */
static int
finish_file(const struct dump_job *job, struct dump_result *r, int error)
{
	const bool is_new = job->path == NULL || job->path[0] == '\0';

	if (error == 0 && r->part[0] != '\0' && rename(r->part, r->target) < 0)
		error = -errno;
	if (error == 0) {
		r->part[0] = '\0';
		return 0;
	}
	/* Half a file helps nobody, and the disk may be full because of it. */
	if (is_new)
		(void)unlink(r->path);
	else if (r->part[0] != '\0')
		(void)unlink(r->part);
	r->part[0] = '\0';
	return failed(r, error, "cannot write");
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
	return finish_file(job, r, error);
}

static void
pass_over(int signo)
{
	(void)signo; /* see dump.h */
}

static void
let_signals_in(void)
{
	struct sigaction sa = {
		.sa_handler = pass_over,
		.sa_flags = (int)(SA_RESETHAND | SA_RESTART),
	};
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void __attribute__((noreturn)) child(const struct dump_job *job, struct dump_result *r)
{
	let_signals_in();
	_exit(write_file(job, r) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int
fork_child(struct dump *d, const struct dump_job *job)
{
	int error;

	d->pid = fork();
	if (d->pid == 0)
		child(job, d->result);
	if (d->pid < 0)
		return -errno;
	d->fd = pidfd_open(d->pid, 0);
	if (d->fd >= 0)
		return 0;
	error = -errno;
	kill(d->pid, SIGKILL);
	waitpid(d->pid, NULL, 0);
	return error;
}

int
dump_start(struct dump *d, const struct dump_job *job)
{
	struct dump_result *r =
		mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int error;

	if (r == MAP_FAILED)
		return -errno;
	snprintf(r->path, sizeof(r->path), "%s", job->path != NULL ? job->path : job->prefix);
	d->result = r;
	error = fork_child(d, job);
	if (error < 0) {
		munmap(r, sizeof(*r));
		*d = (struct dump){.fd = -1};
	}
	return error;
}

uint64_t
dump_n_frames(const struct dump *d)
{
	return __atomic_load_n(&d->result->n_frames, __ATOMIC_RELAXED);
}

void
dump_kill(const struct dump *d)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN};

	kill(d->pid, SIGKILL);
	(void)poll(&p, 1, KILL_WAIT_MS); /* dump_finish() sees how it went */
}

void
dump_finish(struct dump *d, struct dump_result *r)
{
	int status;
	/* A file system may hold a process that has been killed: that one is left to itself. */
	const pid_t ended = waitpid(d->pid, &status, WNOHANG);

	memcpy(r, d->result, sizeof(*r));
	r->path[sizeof(r->path) - 1] = '\0';
	r->part[sizeof(r->part) - 1] = '\0';
	r->why[sizeof(r->why) - 1] = '\0';
	if (ended != d->pid || !WIFEXITED(status)) {
		r->error = -ECHILD;
		snprintf(r->why, sizeof(r->why),
			"cannot write %s: the process that wrote it was killed%s%s%s", r->path,
			ended == 0 ? ", but can't end" : "",
			r->part[0] != '\0' ? "; what it has written is in " : "", r->part);
	}
	munmap(d->result, sizeof(*d->result));
	close(d->fd);
	*d = (struct dump){.fd = -1};
}
