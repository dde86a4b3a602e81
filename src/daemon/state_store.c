/* SPDX-License-Identifier: BSD-2-Clause */
/* How the state file gets onto a disk that may be full. See state_store.h. */
/* Syscalls: openat fstat newfstatat fallocate pwrite64 ftruncate close rename renameat */
/* Syscalls: renameat2 unlink unlinkat */
#include "daemon/state_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESERVE	      16384 /* bytes; a hundred lines or more */
#define BYTES_A_BLOCK 512   /* of st_blocks */

/* Return: 0, -errno. */
static int
write_all(int fd, const char *text, size_t len)
{
	const ssize_t n = pwrite(fd, text, len, 0);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -ENOSPC;
}

static int
replace(const char *path, const char *tmp, const char *text, size_t len)
{
	const int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int ret;

	if (fd < 0)
		return -errno;
	ret = write_all(fd, text, len);
	if (ret == 0)
		(void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)len + RESERVE); /* if it can */
	if (close(fd) < 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && rename(tmp, path) < 0)
		ret = -errno;
	if (ret < 0)
		unlink(tmp);
	return ret;
}

/*
 * Over the @old_len bytes that are there: what is left of a longer text are empty lines. The file keeps
 * its size, as to set it would give back what is reserved behind it (RESERVE).
 */
static int
write_over(int fd, const char *text, size_t len, size_t old_len)
{
	const size_t all = old_len > len ? old_len : len;
	char *padded = malloc(all);
	int ret;

	if (padded == NULL)
		return -ENOMEM;
	memset(padded, '\n', all);
	memcpy(padded, text, len);
	ret = write_all(fd, padded, all); /* one call: if killed, all of it or whole pages */
	free(padded);
	return ret;
}

static int
overwrite(const char *path, const char *text, size_t len)
{
	const int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int ret;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		ret = -errno;
	else if ((uint64_t)st.st_blocks * BYTES_A_BLOCK < len)
		ret = -ENOSPC;
	else
		ret = write_over(fd, text, len, (size_t)st.st_size);
	close(fd);
	return ret;
}

int
unm_state_store(const char *path, const char *tmp, const char *text, size_t len)
{
	const int ret = replace(path, tmp, text, len);

	if (ret == 0 || overwrite(path, text, len) == 0)
		return 0;
	unlink(path);
	return ret;
}
