/* SPDX-License-Identifier: BSD-2-Clause */
/* The file with the records of packed rings. See records.h. */
#include "records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lock.h"

#define SUFFIX	  ".rings"
#define PATH_ROOM (sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(SUFFIX))
#define TRIES	  3

/* @path: PATH_ROOM */
static void
path_of(const char *socket, char *path)
{
	snprintf(path, PATH_ROOM, "%s" SUFFIX, socket); /* the socket's length was checked */
}

static int
check_owner(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (st.st_nlink == 0)
		return -ENOENT;
	/* One name only: else it might be a file that somebody has put in the place of ours. */
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1 ||
		(st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return -EPERM;
	return 0;
}

/* The file at @path, made if it is missing. Return: a descriptor or a negative errno. */
static int
open_or_make(const char *path, bool *is_made)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd = open(path, flags | O_CREAT | O_EXCL, 0600);

	*is_made = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, flags);
	return fd >= 0 ? fd : -errno;
}

int
vh_records_open(const char *socket, struct vh_new_file *made)
{
	char path[PATH_ROOM];
	int fd = -ENOENT, err = -ENOENT;
	bool is_made;
	unsigned int i;

	path_of(socket, path);
	/* Whoever has made the file may remove it, until we have locked it. */
	for (i = 0; i < TRIES && err == -ENOENT; i++) {
		fd = open_or_make(path, &is_made);
		err = fd < 0 ? fd : vh_lock(fd);
		if (err == 0)
			err = check_owner(fd);
		/* -EBUSY, -ENOENT: another server was faster, and has it now */
		if (fd >= 0 && is_made && err != -EBUSY && err != -ENOENT)
			vh_new_file_note_fd(made, fd);
		if (err < 0 && fd >= 0)
			close(fd);
	}
	return err < 0 ? err : fd;
}

void
vh_records_remove(const struct vh_new_file *made, const char *socket)
{
	char path[PATH_ROOM];

	path_of(socket, path);
	vh_new_file_remove(made, path);
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
