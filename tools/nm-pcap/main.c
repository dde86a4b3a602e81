/* SPDX-License-Identifier: BSD-2-Clause */
/* nm-pcap - run a program that captures with libpcap, and have it find netmap ports. */
#include <stddef.h>

#include "preload.h"

#define LIBRARY_NAME "unetmap/libpcap.so.0.8"

static const char help[] =
	"nm-pcap - run a libpcap program on netmap ports\n"
	"\n"
	"usage: nm-pcap [--library FILE] [--] PROGRAM [ARG...]\n"
	"\n"
	"  --library FILE   preload FILE instead of the installed unetmap/libpcap.so.0.8\n"
	"  --help           this text\n"
	"  --version        version\n"
	"\n"
	"For example:\n"
	"  nm-pcap tcpdump -D\n"
	"  nm-pcap tcpdump -n -i vale0:a\n"
	"\n"
	"A port in use is monitored, another is made. Other interfaces are as without nm-pcap.\n"
	"See nm-pcap(1).\n";

static const struct nmt_cli cli = {
	.prog = "nm-pcap",
	.help = help,
	.shortopts = "",
	.longopts = preload_longopts,
};

static const struct preload preload = {
	.cli = &cli,
	.beside = {"../../src/pcap/libpcap.so.0.8", "../lib/" LIBRARY_NAME},
	.installed = UNM_LIBDIR "/" LIBRARY_NAME,
};

int
main(int argc, char **argv)
{
	return preload_main(&preload, argc, argv);
}
