/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding and entering network namespaces. See netns.h. */
/* Syscalls: openat ioctl setns getdents64 newfstatat */
#include "daemon/netns.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/names.h"

#define OWN_NETNS  "/proc/self/ns/net"
#define NAMED_DIR  "/run/netns"
#define PID_1	   "pid:1"
#define MAX_LOOKED 65536 /* entries of a directory */

/* netmapd's own, while it is in another one: it has one thread. */
static struct unm_netns_id own;
static unsigned int n_entered;

static void
id_of(int fd, struct unm_netns_id *out)
{
	struct stat file;

	memset(out, 0, sizeof(*out));
	if (fstat(fd, &file) == 0) {
		out->dev = file.st_dev;
		out->ino = file.st_ino;
	}
}

void
unm_netns_here(struct unm_netns_id *out)
{
	const int fd = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);

	id_of(fd, out);
	if (fd >= 0)
		close(fd);
}

void
unm_netns_of_socket(int sock, struct unm_netns_id *out)
{
	const int fd = ioctl(sock, SIOCGSKNS);

	id_of(fd, out);
	if (fd >= 0)
		close(fd);
}

bool
unm_netns_same(const struct unm_netns_id *a, const struct unm_netns_id *b)
{
	return a->ino != 0 && a->ino == b->ino && a->dev == b->dev;
}

int
unm_netns_id(const char *netns, struct unm_netns_id *out)
{
	int fd;

	if (netns[0] == '\0') {
		if (n_entered > 0)
			*out = own;
		else
			unm_netns_here(out);
		return out->ino != 0 ? 0 : -ENOENT;
	}
	fd = unm_netns_open(netns);
	if (fd < 0)
		return fd;
	id_of(fd, out);
	close(fd);
	return out->ino != 0 ? 0 : -ENOENT;
}

int
unm_netns_interface(
	const char *netns, const char *ifname, struct unm_netns_id *ns, uint32_t *ifindex)
{
	int fd, home = -1;

	if (netns[0] != '\0') {
		fd = unm_netns_open(netns);
		if (fd < 0)
			return fd;
		home = unm_netns_enter(fd);
		close(fd);
		if (home < 0)
			return home;
	}
	unm_netns_here(ns);
	*ifindex = if_nametoindex(ifname);
	if (home >= 0)
		unm_netns_leave(home);
	return *ifindex != 0 ? 0 : -ENODEV;
}

int
unm_netns_open(const char *netns)
{
	char path[UNM_NAME_SIZE + 32];
	long pid;
	int fd;

	if (netns[0] == '/') {
		snprintf(path, sizeof(path), "%s", netns);
	} else if (strncmp(netns, "pid:", 4) == 0) {
		char *end;

		pid = strtol(netns + 4, &end, 10);
		if (*end != '\0' || pid <= 0)
			return -EINVAL;
		snprintf(path, sizeof(path), "/proc/%ld/ns/net", pid);
	} else {
		snprintf(path, sizeof(path), NAMED_DIR "/%s", netns);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) { /* some other file */
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int
try_netns(const char *netns, bool (*is_it)(int fd, const void *arg), const void *arg)
{
	const int fd = unm_netns_open(netns);

	if (fd < 0 || is_it(fd, arg))
		return fd;
	close(fd);
	return -ENOENT;
}

/* By what stands in @dir: names as unm_netns_open() takes them, behind @prefix. */
static int
find_in(const char *dir, const char *prefix, bool (*is_it)(int fd, const void *arg),
	const void *arg)
{
	DIR *d = opendir(dir);
	int fd = -ENOENT, i;

	for (i = 0; d != NULL && fd < 0 && i < MAX_LOOKED; i++) {
		const struct dirent *e = readdir(d);
		char netns[UNM_NAME_SIZE];

		if (e == NULL)
			break;
		if (e->d_name[0] == '.' ||
			(prefix[0] != '\0' && !isdigit((unsigned char)e->d_name[0])))
			continue;
		if ((size_t)snprintf(netns, sizeof(netns), "%s%s", prefix, e->d_name) <
			sizeof(netns))
			fd = try_netns(netns, is_it, arg);
	}
	if (d != NULL)
		closedir(d);
	return fd < 0 ? -ENOENT : fd;
}

int
unm_netns_find(bool (*is_it)(int fd, const void *arg), const void *arg)
{
	int fd = try_netns(OWN_NETNS, is_it, arg);

	if (fd < 0)
		fd = find_in(NAMED_DIR, "", is_it, arg);
	if (fd < 0)
		fd = find_in("/proc", "pid:", is_it, arg);
	return fd < 0 ? -ENOENT : fd;
}

static bool
is_file_of(int dir, const char *path, const struct unm_netns_id *ns)
{
	struct unm_netns_id id;
	struct stat file;

	if (fstatat(dir, path, &file, 0) < 0)
		return false;
	id.dev = file.st_dev;
	id.ino = file.st_ino;
	return unm_netns_same(&id, ns);
}

bool
unm_netns_name(const struct unm_netns_id *ns, char *out, size_t size)
{
	DIR *d = opendir(NAMED_DIR);
	bool found = false;
	int i;

	for (i = 0; d != NULL && !found && i < MAX_LOOKED; i++) {
		const struct dirent *e = readdir(d);

		if (e == NULL)
			break;
		if (e->d_name[0] == '.' || strlen(e->d_name) >= size)
			continue;
		found = is_file_of(dirfd(d), e->d_name, ns);
		if (found)
			memcpy(out, e->d_name, strlen(e->d_name) + 1);
	}
	if (d != NULL)
		closedir(d);
	if (found || size < sizeof(PID_1) || !is_file_of(AT_FDCWD, "/proc/1/ns/net", ns))
		return found;
	memcpy(out, PID_1, sizeof(PID_1));
	return true;
}

static bool
has_number(int fd, const void *arg)
{
	struct unm_netns_id id;

	id_of(fd, &id);
	return id.ino != 0 && id.ino == *(const uint64_t *)arg;
}

int
unm_netns_find_number(uint64_t ino)
{
	return unm_netns_find(has_number, &ino);
}

int
unm_netns_move(uint64_t ino)
{
	struct unm_netns_id here;
	int fd, ret;

	unm_netns_here(&here);
	if (here.ino == 0 || here.ino == ino)
		return 0;
	fd = unm_netns_find_number(ino);
	if (fd < 0)
		return fd;
	ret = setns(fd, CLONE_NEWNET) == 0 ? 1 : -errno;
	close(fd);
	return ret;
}

const char *
unm_netns_hint(const char *netns)
{
	if (netns[0] != '\0' && netns[strlen(netns) - 1] == '+')
		return UNM_NAME_NO_PLUS;
	if (strchr(netns, '%') != NULL)
		return "the first % ends the interface's name, all that follows is the "
		       "namespace's: there is one too many";
	if (netns[0] == '/')
		return "a path is that of a namespace's file, like /run/netns/NAME or "
		       "/proc/PID/ns/net";
	if (strncmp(netns, "pid:", 4) == 0)
		return "pid:N takes the number of a process that runs";
	return "ip netns list; programs take a name with - as @netns=NAME";
}

int
unm_netns_fail(struct unm_reason *why, const char *full, const char *netns, int error)
{
	if (error == -EACCES || error == -EPERM)
		return unm_fail(why, -EPERM,
			"'%s': netmapd, which runs as user %u, has no permission for network "
			"namespace '%s' (%s): that takes a netmapd that root runs, outside of "
			"containers",
			full, geteuid(), netns, strerror(-error));
	return unm_fail(why, -ENXIO, "'%s': there is no network namespace '%s' (%s)", full, netns,
		unm_netns_hint(netns));
}

int
unm_netns_enter(int fd)
{
	const int home = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
	int ret;

	if (home < 0)
		return -errno;
	if (setns(fd, CLONE_NEWNET) == 0) {
		if (n_entered++ == 0)
			id_of(home, &own);
		return home;
	}
	ret = -errno;
	close(home);
	return ret;
}

int
unm_netns_enter_of_socket(int sock)
{
	const int ns = ioctl(sock, SIOCGSKNS);
	int home;

	if (ns < 0)
		return -errno;
	home = unm_netns_enter(ns);
	close(ns);
	return home;
}

void
unm_netns_leave(int home)
{
	/* Entering it was allowed a moment ago with the same privileges: so is the way back. */
	if (setns(home, CLONE_NEWNET) < 0) {
		unm_log(LOG_CRIT, "can't return to the own network namespace: %s", strerror(errno));
		abort();
	}
	n_entered--;
	close(home);
}
