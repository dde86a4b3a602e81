/* SPDX-License-Identifier: BSD-2-Clause */
/* The file with the records of packed rings. See records.h. */
#include "records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lock.h"

#define SUFFIX ".rings"

static int
check_owner(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	/* One name only: else it might be a file that somebody has put in the place of ours. */
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1 ||
		(st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return -EPERM;
	return 0;
}

int
vh_records_open(const char *socket)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(SUFFIX)];
	int fd, err;

	snprintf(path, sizeof(path), "%s" SUFFIX, socket); /* the socket's length was checked */
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = check_owner(fd);
	if (err == 0)
		err = vh_lock(fd);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

int
vh_records_resize(int fd, uint64_t size)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if ((uint64_t)st.st_size != size && ftruncate(fd, (off_t)size) != 0)
		return -errno;
	return fallocate(fd, 0, 0, (off_t)size) != 0 ? -errno : 0;
}
