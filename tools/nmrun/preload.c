/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running a program with a library in front of its own. See preload.h.
 *
 * The environment variable LD_PRELOAD makes the dynamic linker do it; what we add is finding the
 * library, and saying beforehand when it could not work.
 */
#include "preload.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program.h"

#define EXIT_CANT_RUN 126 /* as env(1) and the shells have it */
#define EXIT_NO_FILE  127

enum { OPT_LIBRARY = 256 };

const struct option preload_longopts[] = {
	{"library", required_argument, NULL, OPT_LIBRARY},
	{0},
};

/* The library of this very build or installation, found from where the program is. */
static int
find_beside(const struct preload *p, char *path)
{
	char self[PATH_MAX], candidate[PATH_MAX + 64];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;
	size_t i;

	if (len <= 0)
		return -ENOENT;
	self[len] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL)
		return -ENOENT;
	*slash = '\0';
	for (i = 0; i < PRELOAD_BESIDE; i++) {
		snprintf(candidate, sizeof(candidate), "%s/%s", self, p->beside[i]);
		if (realpath(candidate, path) != NULL)
			return 0;
	}
	return -ENOENT;
}

static void
find_library(const struct preload *p, const char *wanted, char *path)
{
	if (wanted != NULL) {
		if (realpath(wanted, path) == NULL)
			nmt_usage_error(p->cli, "--library: %s: %s", wanted, strerror(errno));
		return;
	}
	if (find_beside(p, path) < 0 && realpath(p->installed, path) == NULL)
		nmt_die(p->cli, "there is no %s: install it, or use --library", p->installed);
}

/* The dynamic linker takes both as separators, and has no way to quote them. */
static void
set_environment(const struct preload *p, const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *both;

	if (strpbrk(library, " :") != NULL)
		nmt_die(p->cli, "%s: LD_PRELOAD can't hold a path with a blank or colon in it",
			library);
	if (old == NULL || old[0] == '\0') {
		both = strdup(library);
	} else if (asprintf(&both, "%s:%s", library, old) < 0) {
		both = NULL;
	}
	if (both == NULL || setenv("LD_PRELOAD", both, 1) < 0)
		nmt_die(p->cli, "out of memory");
	free(both);
}

/*
 * How many of the arguments are ours: those from the program's name on are not, though they may
 * look like options.
 */
static int
count_ours(int argc, char **argv)
{
	int i = 1;

	while (i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0)
		i += strcmp(argv[i], "--library") == 0 ? 2 : 1;
	if (i < argc && strcmp(argv[i], "--") == 0)
		i++;
	return i < argc ? i : argc;
}

int
preload_main(const struct preload *p, int argc, char **argv)
{
	const int n_ours = count_ours(argc, argv);
	char program[PATH_MAX], library[PATH_MAX];
	const char *wanted = NULL, *why;
	int opt, err;

	while ((opt = nmt_cli_next(p->cli, n_ours, argv)) != -1)
		if (opt == OPT_LIBRARY)
			wanted = optarg;
	if (optind >= argc)
		nmt_usage_error(p->cli, "which program?");
	find_library(p, wanted, library);
	err = nmrun_program_find(argv[optind], program, sizeof(program));
	if (err < 0) {
		fprintf(stderr, "%s: %s: %s\n", p->cli->prog, argv[optind], strerror(-err));
		return err == -ENOENT ? EXIT_NO_FILE : EXIT_CANT_RUN;
	}
	why = nmrun_program_obstacle(program, library);
	if (why != NULL) {
		fprintf(stderr, "%s: %s: %s\n", p->cli->prog, argv[optind], why);
		return EXIT_CANT_RUN;
	}
	set_environment(p, library);
	execv(program, argv + optind);
	fprintf(stderr, "%s: %s: %s\n", p->cli->prog, argv[optind], strerror(errno));
	return EXIT_CANT_RUN;
}
