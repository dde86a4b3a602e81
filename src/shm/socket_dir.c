/* SPDX-License-Identifier: BSD-2-Clause */
/* See socket_dir.h. */
/* Syscalls: stat newfstatat */
#include "shm/socket_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shm/proto.h"

#define PATH_ROOM sizeof(((struct sockaddr_un *)0)->sun_path)

int
unm_socket_default(char *path, size_t size)
{
	const char *run = secure_getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		return snprintf(path, size, "%s/%s", UNM_SYSTEM_DIR, UNM_SOCKET_NAME);
	if (run != NULL && run[0] == '/')
		return snprintf(path, size, "%s/unetmap/%s", run, UNM_SOCKET_NAME);
	return snprintf(path, size, "/tmp/unetmap-%u/%s", (unsigned int)geteuid(), UNM_SOCKET_NAME);
}

bool
unm_socket_dir(const char *path, char *dir, size_t size)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path || (size_t)(slash - path) >= size)
		return false;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	return true;
}

bool
unm_socket_dir_missing(const char *path, char *dir, size_t size)
{
	char own[PATH_ROOM];
	const int n = unm_socket_default(own, sizeof(own));
	struct stat st;

	if (n > 0 && (size_t)n < sizeof(own) && strcmp(own, path) == 0)
		return false;
	return unm_socket_dir(path, dir, size) && lstat(dir, &st) < 0 && errno == ENOENT;
}

bool
unm_socket_is_isolated(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & UNM_SOCKET_ISOLATED);
}

/* The directory of @path, without slashes at its end. Return: the last part. */
static const char *
split_path(const char *path, char *dir, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash != NULL ? (size_t)(slash - path) : 0;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (slash == NULL)
		snprintf(dir, size, ".");
	else
		snprintf(dir, size, "%.*s", len > 0 ? (int)len : 1, path);
	return slash != NULL ? slash + 1 : path;
}

bool
unm_socket_same(const char *a, const char *b)
{
	char a_dir[PATH_ROOM], b_dir[PATH_ROOM];
	struct stat a_st, b_st;

	if (a[0] == '\0' || b[0] == '\0' ||
		strcmp(split_path(a, a_dir, sizeof(a_dir)), split_path(b, b_dir, sizeof(b_dir))) !=
			0)
		return false;
	if (strcmp(a_dir, b_dir) == 0)
		return true; /* whether it is there or not */
	return stat(a_dir, &a_st) == 0 && stat(b_dir, &b_st) == 0 && a_st.st_ino == b_st.st_ino &&
	       a_st.st_dev == b_st.st_dev;
}
