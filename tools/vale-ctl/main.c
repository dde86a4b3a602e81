/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vale-ctl: shows and changes what is attached to VALE switches. One request per run, on an unbound
 * descriptor; what it changes stays after the end.
 *
 * Exit status: 0, 1 when the request failed ("failed to ACTION NAME: REASON", and a line that says
 * what may help), 2 for a wrong command line. Listing ends with 0 too, where upstream says 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vc_options.h"
#include "vc_print.h"
#include "vc_requests.h"

#define LIST_GROW      64
#define VALE_PART_SIZE 16 /* of a switch's or a port's name, with the terminating 0 */
#define SWITCH_CHARS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

/* The verb for messages, and what was done, by enum vc_action. */
static const struct {
	const char *verb, *done;
} words[] = {
	[VC_LIST] = {"list", NULL},
	[VC_INFO] = {"get info of", NULL},
	[VC_ATTACH] = {"attach", "attached"},
	[VC_ATTACH_HOST] = {"attach", "attached with its host stack"},
	[VC_DETACH] = {"detach", "detached"},
	[VC_CREATE] = {"create", "created"},
	[VC_DELETE] = {"delete", "deleted"},
	[VC_POLL_START] = {"start polling", "polling started"},
	[VC_POLL_STOP] = {"stop polling", "polling stopped"},
};

/* Is @name, if it begins with vale, valeSWITCH:PORT with parts of a length and characters that can be? */
static bool
may_be_port(const char *name)
{
	const size_t sw_len = strspn(name, SWITCH_CHARS);
	const size_t len = name[sw_len] == ':' ? strlen(name + sw_len + 1) : 0;

	return strncmp(name, "vale", 4) != 0 ||
	       (sw_len < VALE_PART_SIZE && len > 0 && len < VALE_PART_SIZE);
}

/*
 * The errno to put into words. netmap's own for a malformed name is ENOMEM, and EFAULT for polling
 * that is what it should become: programs rely on them, but a user would be misled.
 */
static int
error_in_words(const struct vc_options *opts, int error)
{
	const bool names_port = opts->action == VC_ATTACH || opts->action == VC_ATTACH_HOST ||
				opts->action == VC_INFO;

	if (error == -ENOMEM && names_port && !may_be_port(opts->name))
		return -EINVAL;
	if (error == -EFAULT && opts->action == VC_POLL_START)
		return -EBUSY;
	if (error == -EFAULT && opts->action == VC_POLL_STOP)
		return -EINVAL;
	return error;
}

static void
report_failure(const struct vc_options *opts, const char *what, int error)
{
	const char *why = nmctx_last_error();

	/* What failed last is looking for one more port, which is not what went wrong. */
	if (opts->action == VC_LIST && error == -ENOENT)
		why = "there is no such switch or port; vale-ctl without options lists all";
	fprintf(stderr, "failed to %s %s: %s\n", words[opts->action].verb, what,
		strerror(-error_in_words(opts, error)));
	if (why[0] != '\0')
		fprintf(stderr, "(%s)\n", why);
}

/* Is @port, "vale0:x", a port of @sw, "vale0"? NULL is every switch. */
static bool
is_port_of(const char *port, const char *sw)
{
	size_t len = sw != NULL ? strlen(sw) : 0;

	return sw == NULL || (strncmp(port, sw, len) == 0 && port[len] == ':');
}

/* All ports of one switch or of all. @out is freed by the caller, also after an error. */
static int
collect_list(int fd, const char *sw, struct vc_list_entry **out, size_t *n)
{
	struct vc_list_entry e = {.bridge_idx = 0};
	struct vc_list_entry *more;
	int error;

	/* vc_list_next() never goes back, so this ends. */
	while ((error = vc_list_next(fd, &e)) == 0) {
		if (is_port_of(e.name, sw)) {
			if (*n % LIST_GROW == 0) {
				more = realloc(*out, (*n + LIST_GROW) * sizeof(**out));
				if (more == NULL)
					return -ENOMEM;
				*out = more;
			}
			(*out)[(*n)++] = e;
		}
		e.port_idx++;
	}
	if (error == -ENOENT && (*n > 0 || sw == NULL))
		error = 0;
	return error;
}

static int
run_list(int fd, const struct vc_options *opts)
{
	struct vc_list_entry *entries = NULL;
	struct vc_list_entry one;
	size_t n = 0;
	int error;

	if (opts->name != NULL && strchr(opts->name, ':') != NULL) {
		error = vc_list_port(fd, opts->name, &one);
		if (error == 0)
			vc_print_indices(&one, opts->json);
		return error;
	}
	error = collect_list(fd, opts->name, &entries, &n);
	if (error == 0)
		vc_print_list(entries, n, opts->json);
	free(entries);
	return error;
}

static int
run_attach(int fd, const struct vc_options *opts, uint16_t mem_id)
{
	uint32_t port_index = 0;
	int error;

	if (opts->action == VC_DETACH)
		error = vc_detach(fd, opts->name, &port_index);
	else
		error = vc_attach(
			fd, opts->name, opts->action == VC_ATTACH_HOST, mem_id, &port_index);
	if (error == 0 && (opts->verbose || opts->json))
		vc_print_port_index(port_index, opts->json);
	return error;
}

static int
run_info(int fd, const struct vc_options *opts, uint16_t mem_id)
{
	struct vc_port_info info = {.geometry = opts->geometry, .mem_id = mem_id};
	int error;

	if (opts->action == VC_INFO)
		error = vc_info(fd, opts->name, &info);
	else
		error = vc_create(fd, opts->name, &info);
	if (error == 0 && (opts->action == VC_INFO || opts->verbose || opts->json))
		vc_print_info(&info, opts->json);
	return error;
}

static int
run_action(int fd, const struct vc_options *opts, uint16_t mem_id)
{
	switch (opts->action) {
	case VC_LIST:
		return run_list(fd, opts);
	case VC_INFO:
	case VC_CREATE:
		return run_info(fd, opts, mem_id);
	case VC_ATTACH:
	case VC_ATTACH_HOST:
	case VC_DETACH:
		return run_attach(fd, opts, mem_id);
	case VC_DELETE:
		return vc_delete(fd, opts->name);
	case VC_POLL_START:
		return vc_poll_start(fd, opts->name, &opts->polling);
	case VC_POLL_STOP:
		return vc_poll_stop(fd, opts->name);
	}
	return -EINVAL;
}

int
main(int argc, char **argv)
{
	struct vc_options opts;
	uint16_t mem_id = 0;
	int error = 0;
	int fd;

	vc_options_parse(&opts, argc, argv);
	if (opts.mem_spec != NULL)
		error = vc_find_mem_id(opts.mem_spec, &mem_id);
	if (error != 0)
		nmt_die(&vc_cli,
			"-m: no memory region '%.80s': %s (write a number from 1 to 65535, or a "
			"port such as netmap:x or vale0:a)",
			opts.mem_spec, strerror(-error));
	fd = open(NETMAP_DEVICE_NAME, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		nmt_die(&vc_cli, "cannot open %s: %s%s%s (nmctl doctor says more)",
			NETMAP_DEVICE_NAME, strerror(errno),
			nmctx_last_error()[0] != '\0' ? ": " : "", nmctx_last_error());
	error = run_action(fd, &opts, mem_id);
	close(fd);
	if (error != 0) {
		report_failure(&opts, opts.name != NULL ? opts.name : "ports", error);
		return EXIT_FAILURE;
	}
	if (opts.verbose && words[opts.action].done != NULL)
		fprintf(stderr, "%s: %s\n", opts.name, words[opts.action].done);
	if (vc_print_finish() != 0)
		nmt_die(&vc_cli, "cannot write to standard output");
	return EXIT_SUCCESS;
}
