/* SPDX-License-Identifier: BSD-2-Clause */
/* nmrun - run a program with libnetmap in front of the C library. */
#include <stddef.h>

#include "preload.h"

#define LIBRARY_NAME "libnetmap.so.1"

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

static const struct nmt_cli cli = {
	.prog = "nmrun",
	.help = help,
	.shortopts = "",
	.longopts = preload_longopts,
};

static const struct preload preload = {
	.cli = &cli,
	.beside = {"../../src/client/" LIBRARY_NAME, "../lib/" LIBRARY_NAME},
	.installed = UNM_LIBDIR "/" LIBRARY_NAME,
};

int
main(int argc, char **argv)
{
	return preload_main(&preload, argc, argv);
}
