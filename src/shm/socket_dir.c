/* SPDX-License-Identifier: BSD-2-Clause */
/* See socket_dir.h. */
#include "shm/socket_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shm/proto.h"

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
	char own[sizeof(((struct sockaddr_un *)0)->sun_path)];
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
