/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nmrun and nm-pcap are: "NAME [--library FILE] [--] PROGRAM [ARG...]", for one library each.
 */
#ifndef NMRUN_PRELOAD_H
#define NMRUN_PRELOAD_H

#include "nmt_cli.h"

#define PRELOAD_BESIDE 2

struct preload {
	const struct nmt_cli *cli; /* longopts: preload_longopts */
	/* Where the library may be, from the directory of the wrapper: in a build, installed */
	const char *beside[PRELOAD_BESIDE];
	const char *installed; /* where it was to be installed */
};

extern const struct option preload_longopts[];

/**
 * preload_main() - do what the command line says; on success the program runs in our place
 *
 * Return: exit status. Wrong arguments and a missing library do not return.
 */
int preload_main(const struct preload *p, int argc, char **argv);

#endif
