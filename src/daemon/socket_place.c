/* SPDX-License-Identifier: BSD-2-Clause */
/* A socket's file where others may write. See socket_place.h. */
/* Syscalls: openat fstat newfstatat mkdirat unlinkat bind chmod fchmodat fchownat listen */
/* Syscalls: renameat renameat2 getsockname close */
#include "daemon/socket_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* No other name leads to what is in a directory that may be moved and replaced. */
#define BOUND_AS  "/proc/self/fd/%d/%s"
#define MAX_BOUND 64u

struct place {
	int parent; /* the directory that it gets its name in */
	int own;    /* ours, inside it; -1: not open */
	const char *name;
	const char *bound; /* its name in ours: short enough for a socket's address */
	char own_name[128];
};

static const char *
last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* As much of its end as an address has room for. */
static const char *
bound_name(const char *path)
{
	const char *name = last_part(path);
	const size_t len = strlen(name);

	return len > MAX_BOUND ? name + (len - MAX_BOUND) : name;
}

static int
open_parent(struct place *p, const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const size_t len = (size_t)(p->name - path);

	if (len == 0 || len >= sizeof(dir) || p->name[0] == '\0')
		return -EINVAL;
	memcpy(dir, path, len);
	dir[len] = '\0';
	p->parent = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->parent < 0 ? -errno : 0;
}

/* What an attempt that was killed has left is taken over. */
static int
open_own(struct place *p)
{
	struct stat st;

	if (mkdirat(p->parent, p->own_name, 0700) < 0 && errno != EEXIST)
		return -errno;
	p->own = openat(p->parent, p->own_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p->own < 0)
		return -errno;
	if (fstat(p->own, &st) < 0)
		return -errno;
	return st.st_uid == geteuid() && (st.st_mode & 077) == 0 ? 0 : -EPERM;
}

static int
bind_in_own(const struct place *p, int fd)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const int len = snprintf(sa.sun_path, sizeof(sa.sun_path), BOUND_AS, p->own, p->bound);

	if (len < 0 || (size_t)len >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	if (unlinkat(p->own, p->bound, 0) < 0 && errno != ENOENT)
		return -errno;
	return bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
}

/*
 * By what was opened, and only if that is a socket: root of a container may have our user's number,
 * and put a link in its place here too. The sockets within its reach are its own.
 */
static int
set_owner(const struct place *p, const struct unm_socket_owner *owner)
{
	const int file = openat(p->own, p->bound, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char link[32];
	struct stat st;
	int ret = 0;

	if (file < 0)
		return -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	if (fstat(file, &st) < 0)
		ret = -errno;
	else if (!S_ISSOCK(st.st_mode))
		ret = -EPERM;
	else if (fchmodat(AT_FDCWD, link, owner->mode, 0) < 0 || /* while it is ours */
		 (owner->uid != (uid_t)-1 &&
			 fchownat(file, "", owner->uid, owner->gid, AT_EMPTY_PATH) < 0))
		ret = -errno;
	close(file);
	return ret;
}

static int
place(const struct place *p, int fd, const struct unm_socket_owner *owner, int backlog)
{
	int ret = bind_in_own(p, fd);

	if (ret == 0)
		ret = set_owner(p, owner);
	if (ret == 0 &&
		(listen(fd, backlog) < 0 || renameat(p->own, p->bound, p->parent, p->name) < 0))
		ret = -errno;
	return ret;
}

int
unm_socket_place(int fd, const char *path, const struct unm_socket_owner *owner, int backlog)
{
	struct place p = {.own = -1, .name = last_part(path), .bound = bound_name(path)};
	int ret = open_parent(&p, path);

	if (ret < 0)
		return ret;
	snprintf(p.own_name, sizeof(p.own_name), ".%.110s.new", p.name);
	ret = open_own(&p);
	if (ret == 0)
		ret = place(&p, fd, owner, backlog);
	if (ret < 0 && p.own >= 0)
		unlinkat(p.own, p.bound, 0);
	unlinkat(p.parent, p.own_name,
		AT_REMOVEDIR); /* of another's making it stays if it is full */
	if (p.own >= 0)
		close(p.own);
	close(p.parent);
	return ret;
}

bool
unm_socket_is_placed(int fd, const char *path)
{
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);

	memset(&sa, 0, sizeof(sa));
	return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && sa.sun_family == AF_UNIX &&
	       len < sizeof(sa) && strcmp(last_part(sa.sun_path), bound_name(path)) == 0;
}
