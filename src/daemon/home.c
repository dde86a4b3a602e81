/* SPDX-License-Identifier: BSD-2-Clause */
/* Noticing that the socket has been removed. See home.h. */
/* Syscalls: inotify_init1 inotify_add_watch lstat newfstatat read close */
#include "daemon/home.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/isolate.h"

/* A directory that is moved away takes the socket with it, too. */
#define EVENTS (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* Another one's socket may be at the same place by now. */
static bool
is_there(const struct unm_server *srv)
{
	struct stat st;

	return lstat(srv->socket_path, &st) == 0 && st.st_dev == srv->home.dev &&
	       st.st_ino == srv->home.ino;
}

static void
home_ready(struct unm_source *src, uint32_t events)
{
	struct unm_server *srv =
		(struct unm_server *)(void *)((char *)src - offsetof(struct unm_server, home.src));
	char buf[4096] __attribute__((aligned(8)));

	(void)events; /* readable is all that was asked for */
	if (read(src->fd, buf, sizeof(buf)) < 0 || is_there(srv))
		return;
	unm_log(LOG_NOTICE, "the socket %s has been removed: ending as soon as nobody is left",
		srv->socket_path);
	srv->home.is_gone = true;
	unm_home_fini(srv);
	unm_server_arm_timer(srv);
}

int
unm_home_watch(struct unm_server *srv)
{
	char dir[sizeof(srv->socket_path)];
	struct stat st;
	char *slash;
	int ret;

	memcpy(dir, srv->socket_path, sizeof(dir));
	slash = strrchr(dir, '/');
	if (slash == NULL || lstat(srv->socket_path, &st) < 0)
		return -ENOENT;
	slash[slash == dir] = '\0';
	srv->home.dev = st.st_dev;
	srv->home.ino = st.st_ino;
	srv->home.src.ready = home_ready;
	srv->home.src.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (srv->home.src.fd < 0)
		return -errno;
	if (inotify_add_watch(srv->home.src.fd, dir, EVENTS) < 0) {
		ret = -errno;
		close(srv->home.src.fd);
		srv->home.src.fd = -1;
		return ret;
	}
	return unm_loop_add(&srv->loop, &srv->home.src, EPOLLIN);
}

/* Brokers by themselves use nothing; what their clients have open are descriptors with ports. */
bool
unm_home_has_ended(struct unm_server *srv)
{
	const struct unm_session *s;
	const struct unm_desc *d;
	uint32_t i;

	if (!srv->home.is_gone)
		return false;
	for (s = srv->sessions; s != NULL; s = s->next)
		if (s->isolate == NULL)
			return false;
	for (i = 0; i < UNM_DESC_HASH; i++)
		for (d = srv->descs[i]; d != NULL; d = d->next)
			if (d->binding.port != NULL)
				return false;
	return true;
}

void
unm_home_fini(struct unm_server *srv)
{
	unm_loop_close(&srv->loop, &srv->home.src);
}
