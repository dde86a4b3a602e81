/* SPDX-License-Identifier: BSD-2-Clause */
/* See lock.h. */
#include "lock.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>

#define PAUSE_MS 10
#define TRIES	 100

int
vh_lock(int fd)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}
