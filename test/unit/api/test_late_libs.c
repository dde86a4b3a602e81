/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_late_libs.c - proves that NETMAP_WITH_LIBS works although an earlier header included
 * net/netmap_user.h without it, and beside an ND of the program's own. Built by headers.sh.
 */
#define ND(x) ((void)(x))
#define LIBNETMAP_NOTHREADSAFE
#include <libnetmap.h>
#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>

#ifdef D
#error "a program with an ND of its own brings D, or has none"
#endif

extern int abi_late(const char *name);

int
abi_late(const char *name)
{
	struct nm_desc *d = nm_open(name, NULL, 0, NULL);

	ND(d);
	return nm_close(d);
}
