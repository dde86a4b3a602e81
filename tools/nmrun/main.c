/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmrun - run a program with libnetmap in front of the C library.
 *
 * The environment variable LD_PRELOAD makes the dynamic linker do it; what nmrun adds is finding
 * the library, and saying beforehand when it could not work.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nmt_cli.h"
#include "program.h"

#define LIBRARY_NAME  "libnetmap.so.1"
#define EXIT_CANT_RUN 126 /* as env(1) and the shells have it */
#define EXIT_NO_FILE  127

static const char help[] =
	"nmrun - run a program with netmap in user space\n"
	"\n"
	"usage: nmrun [--library FILE] [--] PROGRAM [ARG...]\n"
	"\n"
	"  --library FILE   preload FILE instead of the installed libnetmap.so.1\n"
	"  --help           this text\n"
	"  --version        version\n"
	"\n"
	"What else is in LD_PRELOAD stays there. See nmrun(1), netmap(4).\n";

enum { OPT_LIBRARY = 256 };

static const struct option longopts[] = {
	{"library", required_argument, NULL, OPT_LIBRARY},
	{0},
};

static const struct nmt_cli cli = {
	.prog = "nmrun",
	.help = help,
	.shortopts = "",
	.longopts = longopts,
};

/* The library of this very build or installation, found from where nmrun is. */
static int
find_beside(char *path)
{
	static const char *const relative[] = {
		"/../../src/client/" LIBRARY_NAME,
		"/../lib/" LIBRARY_NAME,
	};
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
	for (i = 0; i < sizeof(relative) / sizeof(relative[0]); i++) {
		snprintf(candidate, sizeof(candidate), "%s%s", self, relative[i]);
		if (realpath(candidate, path) != NULL)
			return 0;
	}
	return -ENOENT;
}

static void
find_library(const char *wanted, char *path)
{
	if (wanted != NULL) {
		if (realpath(wanted, path) == NULL)
			nmt_usage_error(&cli, "--library: %s: %s", wanted, strerror(errno));
		return;
	}
	if (find_beside(path) < 0 && realpath(UNM_LIBDIR "/" LIBRARY_NAME, path) == NULL)
		nmt_die(&cli,
			"no " LIBRARY_NAME " in " UNM_LIBDIR ": install it, or use --library");
}

/* The dynamic linker takes both as separators, and has no way to quote them. */
static void
preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *both;

	if (strpbrk(library, " :") != NULL)
		nmt_die(&cli, "%s: LD_PRELOAD can't hold a path with a blank or colon in it",
			library);
	if (old == NULL || old[0] == '\0') {
		both = strdup(library);
	} else if (asprintf(&both, "%s:%s", library, old) < 0) {
		both = NULL;
	}
	if (both == NULL || setenv("LD_PRELOAD", both, 1) < 0)
		nmt_die(&cli, "out of memory");
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
main(int argc, char **argv)
{
	const int n_ours = count_ours(argc, argv);
	char program[PATH_MAX], library[PATH_MAX];
	const char *wanted = NULL, *why;
	int opt, err;

	while ((opt = nmt_cli_next(&cli, n_ours, argv)) != -1)
		if (opt == OPT_LIBRARY)
			wanted = optarg;
	if (optind >= argc)
		nmt_usage_error(&cli, "which program?");
	find_library(wanted, library);
	err = nmrun_program_find(argv[optind], program, sizeof(program));
	if (err < 0) {
		fprintf(stderr, "nmrun: %s: %s\n", argv[optind], strerror(-err));
		return err == -ENOENT ? EXIT_NO_FILE : EXIT_CANT_RUN;
	}
	why = nmrun_program_obstacle(program, library);
	if (why != NULL) {
		fprintf(stderr, "nmrun: %s: %s\n", argv[optind], why);
		return EXIT_CANT_RUN;
	}
	preload(library);
	execv(program, argv + optind);
	fprintf(stderr, "nmrun: %s: %s\n", argv[optind], strerror(errno));
	return EXIT_CANT_RUN;
}
