/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link-watch PORT: a netmap program that only wants to know of its link. Prints "link up" or "link
 * down" at the start and whenever poll() says POLLPRI; ends with SIGTERM, or after two minutes. It
 * has no timer: what wakes it is the change.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>

#include "libnetmap.h"

#define LIFE_S 120

int
main(int argc, char **argv)
{
	struct nmport_d *d;
	struct pollfd pfd = {.events = POLLPRI};

	if (argc != 2)
		return 2;
	alarm(LIFE_S);
	d = nmport_open(argv[1]);
	if (d == NULL)
		return 1;
	pfd.fd = d->fd;
	do {
		if (ioctl(d->fd, NIOCRXSYNC, NULL) != 0 || (pfd.revents & (POLLERR | POLLIN)))
			break;
		printf("link %s\n", d->nifp->ni_flags & NI_LINK_DOWN ? "down" : "up");
		fflush(stdout);
	} while (poll(&pfd, 1, -1) == 1);
	fprintf(stderr, "link-watch: lost %s\n", argv[1]);
	return 1;
}
