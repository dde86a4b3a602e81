/* SPDX-License-Identifier: BSD-2-Clause */
/* Noticing that the socket has been removed. See home.h. */
/* Syscalls: lstat newfstatat */
#include "daemon/home.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/child.h"
#include "shm/clock.h"

#define LOOK_NS UINT64_C(2000000000)

/* Another one's socket may be at the same place by now. What can't be seen just now is still there. */
static bool
is_there(const struct unm_server *srv)
{
	struct stat st;

	if (lstat(srv->socket_path, &st) < 0)
		return errno != ENOENT && errno != ENOTDIR;
	return st.st_dev == srv->home.dev && st.st_ino == srv->home.ino;
}

int
unm_home_watch(struct unm_server *srv)
{
	struct stat st;

	if (lstat(srv->socket_path, &st) < 0)
		return -errno;
	srv->home.dev = st.st_dev;
	srv->home.ino = st.st_ino;
	srv->home.look_ns = unm_now_ns() + LOOK_NS;
	unm_server_arm_timer(srv);
	return 0;
}

void
unm_home_look(struct unm_server *srv)
{
	const uint64_t now = unm_now_ns();

	if (srv->home.look_ns == 0 || now < srv->home.look_ns)
		return;
	srv->home.look_ns = now + LOOK_NS;
	if (is_there(srv))
		return;
	srv->home.look_ns = 0;
	if (!srv->is_autostarted) {
		unm_log(LOG_WARNING,
			"the socket %s has been removed: nobody can reach this netmapd any more; "
			"end it (kill %d) and start it again",
			srv->socket_path, (int)getpid());
		return;
	}
	unm_log(LOG_NOTICE, "the socket %s has been removed: ending as soon as nobody is left",
		srv->socket_path);
	srv->home.is_gone = true;
}

/* A broker opens descriptors too, but for its clients. */
static bool
is_workers(const struct unm_server *srv, const struct unm_desc *d)
{
	const struct unm_session *s;

	if (!unm_child_is_any(srv, d->pid))
		return false;
	for (s = srv->sessions; s != NULL; s = s->next)
		if (s->pid == d->pid && s->isolate != NULL)
			return false;
	return true;
}

/*
 * Workers and brokers by themselves use nothing, and could not be told anything any more; what a
 * broker's clients have open are descriptors with ports.
 */
bool
unm_home_has_ended(struct unm_server *srv)
{
	const struct unm_session *s;
	const struct unm_desc *d;
	uint32_t i;

	if (!srv->home.is_gone)
		return false;
	for (s = srv->sessions; s != NULL; s = s->next)
		if (s->isolate == NULL && !unm_child_is_any(srv, s->pid))
			return false;
	for (i = 0; i < UNM_DESC_HASH; i++)
		for (d = srv->descs[i]; d != NULL; d = d->next)
			if (d->binding.port != NULL && !is_workers(srv, d))
				return false;
	return true;
}
