/* SPDX-License-Identifier: BSD-2-Clause */
/* The socket of this instance, and the lock beside it. See instance.h. */
/* Syscalls: socket sendto unlink unlinkat */
#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/server.h"
#include "shm/clock.h"
#include "shm/proto.h"
#include "shm/socket_dir.h"
#include "shm/socket_kind.h"

#define BACKLOG	       128
#define LISTEN_FD      3     /* first descriptor of systemd's protocol */
#define LOCK_WAIT_MS   10000 /* one that ends has gigabytes to give back, on a busy machine */
#define SERVED_WAIT_MS 1000  /* sockets of one that was killed are closed one after another */
#define ANSWER_WAIT_MS 500
#define PAUSE_MS       20
#define NS_PER_MS      UINT64_C(1000000)
#define NO_GROUP       ((unsigned int)-1)
#define NEW_SUFFIX     ".new" /* of the socket until it serves */

int
instance_find(struct instance *in, const char *wanted, struct unm_reason *why)
{
	const char *env = getenv(UNM_SOCKET_ENV);
	int n;

	memset(in, 0, sizeof(*in));
	in->listen_fd = -1;
	in->lock_fd = -1;
	if (wanted == NULL && env != NULL && env[0] != '\0')
		wanted = env;
	if (wanted != NULL)
		n = snprintf(in->socket_path, sizeof(in->socket_path), "%s", wanted);
	else
		n = unm_socket_default(in->socket_path, sizeof(in->socket_path));
	if (n < 0 || (size_t)n > sizeof(in->socket_path) - sizeof(NEW_SUFFIX))
		return unm_fail(why, -ENAMETOOLONG,
			"the socket's path has more than %zu characters: choose a shorter one",
			sizeof(in->socket_path) - sizeof(NEW_SUFFIX));
	in->is_system = strcmp(in->socket_path, UNM_SYSTEM_DIR "/" UNM_SOCKET_NAME) == 0;
	return 0;
}

/*
 * The directory of the socket: made if a default one is missing, and refused if somebody else could
 * replace what is in it.
 */
static int
prepare_dir(const struct instance *in, unsigned int gid, struct unm_reason *why)
{
	char dir[sizeof(in->socket_path)];
	struct stat st;

	if (unm_socket_dir_missing(in->socket_path, dir, sizeof(dir)))
		return unm_fail(
			why, -ENOENT, "%s: %s (" UNM_SOCKET_DIR_HINT ")", dir, strerror(ENOENT));
	if (!unm_socket_dir(in->socket_path, dir, sizeof(dir)))
		return 0;
	if (mkdir(dir, gid != NO_GROUP ? 0750 : 0700) == 0) {
		if (gid != NO_GROUP && chown(dir, (uid_t)-1, gid) < 0)
			return unm_fail(why, -errno, "can't give %s to the group: %s", dir,
				strerror(errno));
		return 0;
	}
	if (errno != EEXIST)
		return unm_fail(
			why, -errno, "can't make the directory %s: %s", dir, strerror(errno));
	if (lstat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return unm_fail(why, -ENOTDIR, "%s is no directory", dir);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return unm_fail(why, -EPERM,
			"%s belongs to user %u: remove it, or choose another socket (--socket)",
			dir, st.st_uid);
	return 0;
}

static void
pause_a_little(void)
{
	const struct timespec t = {.tv_nsec = PAUSE_MS * (long)NS_PER_MS};

	nanosleep(&t, NULL);
}

/* A question that changes nothing, and the first byte of its answer. Return: as ask(). */
static int
exchange(int fd)
{
	static const char words[] = "show\0daemon";
	const struct unm_msg_admin req = {.text_len = sizeof(words)};
	struct unm_msg_hdr hdr = {.type = UNM_MSG_ADMIN, .seq = 1};
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char body[sizeof(req) + sizeof(words)], first;
	int ret;

	memcpy(body, &req, sizeof(req));
	memcpy(body + sizeof(req), words, sizeof(words));
	ret = unm_proto_send(fd, &hdr, body, sizeof(body), NULL, 0, MSG_DONTWAIT);
	if (ret < 0)
		return ret;
	if (poll(&pfd, 1, ANSWER_WAIT_MS) != 1)
		return -ETIMEDOUT;
	return recv(fd, &first, 1, MSG_DONTWAIT) == 1 ? 0 : -ECONNRESET;
}

/*
 * Does who listens there answer? That it can be connected to says little: so can one that is
 * stopped, or on its way out. Return: 0; -ENOENT, -ECONNREFUSED nobody listens; -ECONNRESET it has
 * ended; -ETIMEDOUT no answer yet; -errno.
 */
static int
ask(const struct sockaddr_un *sa)
{
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret;

	if (fd < 0)
		return -errno;
	ret = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : exchange(fd);
	close(fd);
	return ret;
}

static int
explain_held_lock(int fd, const char *path, struct unm_reason *why)
{
	char text[16] = "";
	int pid = 0;

	if (pread(fd, text, sizeof(text) - 1, 0) > 0)
		(void)sscanf(text, "%d", &pid);
	if (pid <= 0)
		return unm_fail(why, -EBUSY,
			"another netmapd holds %s but does not answer: it is stopped, or is still "
			"ending",
			path);
	return unm_fail(why, -EBUSY,
		"another netmapd (process %d) holds %s but does not answer: it is stopped, "
		"is still ending, or its socket was removed; kill %d ends it",
		pid, path, pid);
}

/*
 * Another netmapd may be starting or ending: it holds the lock. Wait until it serves (then we are
 * not needed) or lets go.
 */
static int
take_lock(struct instance *in, const struct sockaddr_un *sa, struct unm_reason *why)
{
	const uint64_t deadline = unm_now_ns() + LOCK_WAIT_MS * NS_PER_MS;
	char path[sizeof(in->socket_path) + 8];

	snprintf(path, sizeof(path), "%s.lock", in->socket_path);
	in->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (in->lock_fd < 0)
		return unm_fail(why, -errno, "can't open %s: %s", path, strerror(errno));
	while (flock(in->lock_fd, LOCK_EX | LOCK_NB) < 0) { /* bounded by the deadline */
		if (ask(sa) == 0)
			return unm_fail(
				why, -EEXIST, "another netmapd serves at %s", in->socket_path);
		if (unm_now_ns() >= deadline)
			return explain_held_lock(in->lock_fd, path, why);
		pause_a_little();
	}
	return 0;
}

/*
 * The lock is ours: does somebody serve there without it? One that was killed loses its lock before
 * its socket, and answers nobody.
 */
static bool
is_served(const struct sockaddr_un *sa)
{
	const uint64_t deadline = unm_now_ns() + SERVED_WAIT_MS * NS_PER_MS;

	for (;;) { /* bounded by the deadline */
		const int ret = ask(sa);

		if (ret == 0)
			return true;
		if (ret != -ETIMEDOUT && ret != -ECONNRESET && ret != -EPIPE && ret != -EAGAIN)
			return false;
		if (unm_now_ns() >= deadline)
			return true; /* no netmapd, or a stopped one: not ours to replace */
		pause_a_little();
	}
}

/* Bind @fd to @sa, for those who may use it, and listen. */
static int
bind_and_listen(int fd, const struct sockaddr_un *sa, unsigned int gid, struct unm_reason *why)
{
	const mode_t mode = gid != NO_GROUP ? 0660 : 0600;

	fchmod(fd, mode);
	if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		return unm_fail(why, -errno, "can't bind %s: %s", sa->sun_path, strerror(errno));
	if (chmod(sa->sun_path, mode) < 0 ||
		(gid != NO_GROUP && chown(sa->sun_path, (uid_t)-1, gid) < 0))
		return unm_fail(
			why, -errno, "can't set who may use %s: %s", sa->sun_path, strerror(errno));
	if (listen(fd, BACKLOG) < 0)
		return unm_fail(why, -errno, "can't listen: %s", strerror(errno));
	return 0;
}

/* What a run that was killed has left half done: it may have the last room there was. */
static void
remove_left(const struct instance *in)
{
	char path[sizeof(in->socket_path) + sizeof(UNM_STATE_NEW_SUFFIX)];

	snprintf(path, sizeof(path), "%s" UNM_STATE_NEW_SUFFIX, in->socket_path);
	unlink(path);
}

/*
 * The socket gets its name when it listens: whoever finds it is served, and nobody takes one that
 * is about to listen for a dead one's.
 */
static int
make_socket(
	struct instance *in, const struct sockaddr_un *sa, unsigned int gid, struct unm_reason *why)
{
	struct sockaddr_un fresh = *sa;
	struct stat st;
	int ret;

	if (is_served(sa))
		return unm_fail(why, -EEXIST, "another program serves at %s", in->socket_path);
	/*
	 * A socket is stale: the lock is ours and nobody listens. Anything else is not ours to
	 * remove.
	 */
	in->found_stale = lstat(in->socket_path, &st) == 0;
	if (in->found_stale && !S_ISSOCK(st.st_mode))
		return unm_fail(why, -ENOTSOCK,
			"%s is there, and is not a socket: give another path, or remove it",
			in->socket_path);
	in->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (in->listen_fd < 0)
		return unm_fail(why, -errno, "can't make a socket: %s", strerror(errno));
	strcat(fresh.sun_path, NEW_SUFFIX); /* fits: instance_find() */
	unlink(fresh.sun_path);
	remove_left(in);
	ret = bind_and_listen(in->listen_fd, &fresh, gid, why);
	if (ret == 0 && rename(fresh.sun_path, in->socket_path) < 0)
		ret = unm_fail(why, -errno, "can't make %s: %s", in->socket_path, strerror(errno));
	if (ret < 0)
		unlink(fresh.sun_path);
	return ret;
}

/* systemd's socket activation: LISTEN_PID and LISTEN_FDS. Return: the socket or -1. */
static int
inherited_socket(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");

	if (pid == NULL || n == NULL || atol(pid) != (long)getpid() || atoi(n) != 1)
		return -1;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	if (!unm_socket_is(LISTEN_FD, SO_TYPE, SOCK_SEQPACKET))
		return -1;
	fcntl(LISTEN_FD, F_SETFD, FD_CLOEXEC);
	fcntl(LISTEN_FD, F_SETFL, O_NONBLOCK);
	return LISTEN_FD;
}

int
instance_claim(struct instance *in, unsigned int gid, struct unm_reason *why)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int ret;

	in->listen_fd = inherited_socket();
	if (in->listen_fd >= 0)
		return 0;
	memcpy(sa.sun_path, in->socket_path, sizeof(sa.sun_path));
	ret = prepare_dir(in, gid, why);
	if (ret == 0)
		ret = take_lock(in, &sa, why);
	if (ret == 0)
		ret = make_socket(in, &sa, gid, why);
	return ret;
}

void
instance_sign(const struct instance *in)
{
	char text[16];
	const int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (in->lock_fd < 0)
		return;
	(void)!ftruncate(in->lock_fd, 0);
	(void)!pwrite(in->lock_fd, text, (size_t)n, 0); /* a full disk: then nobody is named */
}

void
instance_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	socklen_t len;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
		strlen(path) >= sizeof(sa.sun_path))
		return;
	memcpy(sa.sun_path, path, strlen(path));
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (sa.sun_path[0] == '@')
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa, len) < 0)
		unm_log(LOG_WARNING, "can't notify the service manager: %s", strerror(errno));
	close(fd);
}

void
instance_give_up(struct instance *in)
{
	if (in->lock_fd >= 0)
		/* the lock file stays: removing it would race with the next one */
		unlink(in->socket_path);
}
