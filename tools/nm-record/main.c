/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nm-record: the program. Sets up a recorder, or asks one that runs.
 *
 * Exit status: 0; 1 the recorder could not be set up, could not do what it was asked, or did not
 * write what it had to at its end; 2 wrong arguments.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "control.h"
#include "options.h"
#include "pcap/filter.h"
#include "recorder.h"

/* The recorder may have another working directory than we. */
static void
absolute_path(const char *path, char *req, size_t size)
{
	char cwd[PATH_MAX] = "";
	int len;

	if (path[0] == '\0')
		nmt_usage_error(&record_cli, "dump: the name of the file is empty");
	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		nmt_die(&record_cli, "where are we? %s", strerror(errno));
	len = snprintf(req, size, "dump %s%s%s", cwd, cwd[0] != '\0' ? "/" : "", path);
	if (len < 0 || (size_t)len + 2 > size || strchr(req, '\n') != NULL)
		nmt_usage_error(&record_cli, "dump: the path is too long, or has a line end in it");
}

static int
ask(const struct options *o, const char *path)
{
	char req[CONTROL_MAX_REQ] = "stop", *answer;
	int ret;

	if (o->command == COMMAND_STATUS)
		snprintf(req, sizeof(req), "status%s", o->json ? " json" : "");
	else if (o->command == COMMAND_DUMP && o->n_words == 0)
		snprintf(req, sizeof(req), "dump");
	else if (o->command == COMMAND_DUMP)
		absolute_path(o->words[0], req, sizeof(req));
	ret = control_ask(path, req, &answer);
	if (ret < 0)
		nmt_die(&record_cli, "no recorder answers at %s: %s", path, strerror(-ret));
	if (ret > 0)
		nmt_die(&record_cli, "%s", answer != NULL ? answer : "failed");
	if (answer != NULL && answer[0] != '\0')
		printf("%s%s", answer, o->command == COMMAND_DUMP ? "\n" : "");
	free(answer);
	return EXIT_SUCCESS;
}

static int
block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* That the place for files can't be written to must not come out when one is wanted. */
static void
check_place(const char *prefix)
{
	const char *slash = strrchr(prefix, '/');
	char dir[PATH_MAX] = ".";
	const size_t len = slash != NULL ? (size_t)(slash - prefix) + 1 : 0;

	if (len >= sizeof(dir))
		nmt_usage_error(&record_cli, "-w: the path is too long");
	if (len > 0) {
		memcpy(dir, prefix, len);
		dir[len] = '\0';
	}
	if (access(dir, W_OK | X_OK) < 0)
		nmt_usage_error(
			&record_cli, "-w: no files can be made in %s: %s", dir, strerror(errno));
}

static int
record(const struct options *o, const char *path)
{
	static struct recorder r; /* a page and more of paths */
	const struct store_limits limits = {.n_frames = o->n_frames, .age_ns = o->age_ns};
	char why[UNM_CAP_WHY_SIZE];
	int status;

	r.opts = o;
	check_place(o->prefix);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* it may be inherited as ignored: no status of writers then */
	r.signal_fd = block_signals();
	if (r.signal_fd < 0)
		nmt_die(&record_cli, "signals: %s", strerror(errno));
	if (o->filter != NULL && unm_filter_compile(&r.filter, o->filter, why) < 0)
		nmt_usage_error(&record_cli, "-f: %s", why);
	if (recorder_watch(&r) < 0)
		return EXIT_FAILURE;
	if (store_new(&r.store, o->n_bytes, &limits) < 0)
		nmt_die(&record_cli, "%llu bytes: out of memory", (unsigned long long)o->n_bytes);
	r.listen_fd = control_listen(path, why);
	if (r.listen_fd < 0)
		nmt_die(&record_cli, "%s", why);
	if (ports_new(&r.ports, o->words, o->n_words, why) < 0) {
		unlink(path);
		nmt_usage_error(&record_cli, "%s", why);
	}
	fprintf(stderr, "nm-record: recording; commands at %s\n", path);
	status = recorder_run(&r);
	unlink(path);
	close(r.listen_fd);
	ports_free(r.ports);
	store_free(r.store);
	unm_filter_free(r.filter);
	return status;
}

int
main(int argc, char **argv)
{
	char path[CONTROL_PATH_SIZE];
	struct options o;

	options_parse(&o, argc, argv);
	if (o.socket_path != NULL && strlen(o.socket_path) >= sizeof(path))
		nmt_usage_error(&record_cli, "-S: the path is too long");
	if (o.socket_path != NULL)
		snprintf(path, sizeof(path), "%s", o.socket_path);
	else if (control_default_path(path) < 0)
		nmt_die(&record_cli, "the usual path of the socket is too long: give one with -S");
	return o.command == COMMAND_RECORD ? record(&o, path) : ask(&o, path);
}
