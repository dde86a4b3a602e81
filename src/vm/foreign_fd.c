/* SPDX-License-Identifier: BSD-2-Clause */
/* See foreign_fd.h. */
#include "vm/foreign_fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/socket_kind.h"

#define MOST_WAITING 64u /* of a sender; and as many as come with one message */
#define NAME_SIZE    64

/* An anonymous file: its mode has no type. */
static bool
has_no_type(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

/* @name: as in /proc/self/fd; that of a file begins with a slash. */
static enum unm_fd_kind
kind_by_name(int fd, const char *name)
{
	if (strcmp(name, "anon_inode:[eventfd]") == 0)
		return UNM_FD_EVENT;
	if (strncmp(name, "pipe:[", 6) == 0)
		return UNM_FD_PIPE;
	return strncmp(name, "socket:[", 8) == 0 && unm_socket_is_unix(fd) ? UNM_FD_SOCKET
									   : UNM_FD_OTHER;
}

enum unm_fd_kind
unm_fd_kind(int fd)
{
	char path[32], name[NAME_SIZE];
	ssize_t n;

	if (fcntl(fd, F_GET_SEALS) >= 0) /* other file systems have none */
		return UNM_FD_MEMORY;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	if (n >= 0) {
		name[n] = '\0';
		return kind_by_name(fd, name);
	}
	if (fcntl(fd, F_GETPIPE_SZ) >= 0)
		return UNM_FD_PIPE;
	if (unm_socket_is_unix(fd))
		return UNM_FD_SOCKET;
	return has_no_type(fd) ? UNM_FD_EVENT : UNM_FD_OTHER;
}

bool
unm_fd_queue_is_full(const struct unm_closer_queue *q)
{
	return unm_closer_len(q) >= MOST_WAITING;
}

/* To free much memory takes time, and in the queue of a socket may lie anything. */
void
unm_fd_close(int fd, struct unm_closer_queue *q)
{
	const enum unm_fd_kind kind = unm_fd_kind(fd);

	if (kind == UNM_FD_EVENT || kind == UNM_FD_PIPE)
		close(fd);
	else if (q != NULL)
		unm_closer_close(q, fd);
	else
		unm_closer_abandon(fd, NULL);
}
