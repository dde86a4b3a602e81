/* SPDX-License-Identifier: BSD-2-Clause */
/* Syncing a port: see nmt_port.h. */
/* Whether ports are opened in several threads is the program's to say, nothing is opened here. */
#define LIBNETMAP_NOTHREADSAFE
#include "nmt_port.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "nmt_log.h"

int
nmt_port_sync(const struct nmport_d *d, unsigned long request)
{
	int error;

	if (ioctl(d->fd, request, NULL) == 0)
		return 0;
	error = -errno;
	nmt_log("cannot sync %s: %s", d->hdr.nr_name, strerror(-error));
	return error;
}
