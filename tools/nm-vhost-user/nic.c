/* SPDX-License-Identifier: BSD-2-Clause */
/* One NIC's sockets and life. See nic.h. */
#include "nic.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lock.h"
#include "records.h"
#include "shm/clock.h"
#include "vm/net_features.h"
#include "vm/guest_file.h"
#include "vm/log.h"

#define FIRST_PAUSE_MS	 50
#define LONGEST_PAUSE_MS 1000
#define ACCEPT_PAUSE_MS	 200
/* After a front end that has kept the process waiting: 2 % of the time at most. */
#define BUSY_PAUSE_MS	1000
#define OPENING_LOOK_MS 10 /* at a port that is being opened */
#define MOST_CLOSING	16
#define BACKLOG		4
#define PATH_ROOM	sizeof(((struct sockaddr_un *)0)->sun_path)
/* A front end that has just begun to start its rings is let through with it. */
#define HANG_UP_MS 200
/* So long may a front end be silent while another one waits, until that is said. */
#define SILENT_MS 1000

static void connect_or_wait(struct vh_nic *n);

static struct sockaddr_un
socket_address(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	strncpy(sa.sun_path, path, sizeof(sa.sun_path) - 1); /* its length was checked */
	return sa;
}

static int
say(char *why, int err, const char *what, const char *about)
{
	snprintf(why, VH_WHY_SIZE, "%s %s: %s", what, about, strerror(-err));
	return err;
}

/* Who is at the other end of a connection; pid 0: not to be known. */
static struct ucred
peer_of(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		cred = (struct ucred){0};
	return cred;
}

/*
 * Who sends each message is told with it (vhost_user/conn.h). Before the socket listens or connects, as
 * messages come at once.
 */
static int
pass_credentials(int sock)
{
	const int on = 1;

	return setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 ? 0 : -errno;
}

/* ---- the socket's name ---- */

/* @dir: PATH_ROOM */
static void
dir_of(const char *path, char *dir)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		snprintf(dir, PATH_ROOM, ".");
	else /* with the slash, which may be all of it */
		snprintf(dir, PATH_ROOM, "%.*s", (int)(slash - path) + 1, path);
}

/*
 * The directory of the socket, for its owner alone, if it is missing: where there is no run-time
 * directory nmctl vm-args names one below /tmp, which a reboot takes away.
 */
static void
make_dir(const char *path)
{
	char dir[PATH_ROOM];

	dir_of(path, dir);
	(void)mkdir(dir, 0700); /* whoever makes the socket finds out, and says so */
}

/*
 * Servers that start at once look for a stale socket, remove it and make their own: one after the
 * other, or one would remove what another has just made. They share a lock of the directory, for
 * a lock file would be left behind. Anybody who can read the directory can hold that as well, so
 * it is not waited for long: servers that start one at a time do not need it.
 * Return: the lock, to be closed, or -1.
 */
static int
lock_dir(const char *path)
{
	char dir[PATH_ROOM];
	int fd;

	dir_of(path, dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && vh_lock(fd) != 0) { /* held, or a file system without locks */
		close(fd);
		return -1;
	}
	return fd;
}

/* To a path that is no socket connect() says what it says of one that nobody listens on. */
static int
refusal_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISSOCK(st.st_mode) ? -ENOTSOCK : -ECONNREFUSED;
}

static int
no_socket(const char *path, char *why)
{
	snprintf(why, VH_WHY_SIZE, "%s is there and is not a socket", path);
	return -EEXIST;
}

/* Out of the way with a socket whose owner has died; nothing else is removed. */
static int
remove_stale(const char *path, char *why)
{
	const struct sockaddr_un sa = socket_address(path);
	struct stat st;
	int fd, err = 0;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : say(why, -errno, "socket", path);
	if (!S_ISSOCK(st.st_mode))
		return no_socket(path, why);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return say(why, -errno, "socket", path);
	/* Refused: nobody has it. All else (another type, no permission) says nothing of that. */
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0 || errno != ECONNREFUSED) {
		snprintf(why, VH_WHY_SIZE,
			peer_of(fd).pid == getpid() ? VH_SOCKET_TAKEN : "another program serves %s",
			path);
		err = -EADDRINUSE;
	} else if (unlink(path) != 0) {
		err = say(why, -errno, "can't replace socket", path);
	}
	close(fd);
	return err;
}

/* Return: 0 or a negative errno. */
static int
listen_at(struct vh_nic *n, char *why)
{
	const struct vh_nic_options *opts = n->opts;
	const struct sockaddr_un sa = socket_address(opts->socket);
	mode_t old_mask;
	int err = remove_stale(opts->socket, why);

	if (err < 0)
		return err;
	n->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->listen_fd < 0)
		return say(why, -errno, "socket", opts->socket);
	err = pass_credentials(n->listen_fd);
	/* Never for a moment more open than it shall be. */
	old_mask = umask(0777 & ~opts->socket_mode);
	if (err == 0 && bind(n->listen_fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0)
		err = -errno;
	umask(old_mask);
	if (err == 0)
		vh_new_file_note(&n->new_socket, opts->socket);
	if (err == 0 && listen(n->listen_fd, BACKLOG) != 0)
		err = -errno;
	if (err < 0) {
		close(n->listen_fd);
		n->listen_fd = -1;
		return say(why, err, "can't make socket", opts->socket);
	}
	return 0;
}

static void
clear(struct vh_nic *n, const struct vh_nic_options *opts)
{
	*n = (struct vh_nic){.opts = opts, .listen_fd = -1, .records_fd = -1, .timer_fd = -1};
}

int
vh_nic_bind(struct vh_nic *n, const struct vh_nic_options *opts, char *why)
{
	int lock, err;

	clear(n, opts);
	make_dir(opts->socket);
	if (opts->is_client) {
		if (refusal_of(opts->socket) == -ENOTSOCK)
			return no_socket(opts->socket, why);
		return 0;
	}
	lock = lock_dir(opts->socket);
	err = listen_at(n, why); /* another server sees a socket that listens, or a stale one */
	if (lock >= 0)
		close(lock);
	return err;
}

/* ---- connections ---- */

/* Have the timer run out when the first thing is due. */
static void
set_timer(struct vh_nic *n)
{
	struct itimerspec t = {0};
	uint64_t first = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < VH_N_DUE; i++)
		if (n->due_ns[i] != 0 && n->due_ns[i] < first)
			first = n->due_ns[i];
	if (first != UINT64_MAX)
		t.it_value = unm_timespec(first);
	(void)timerfd_settime(n->timer_fd, TFD_TIMER_ABSTIME, &t, NULL); /* the values are right */
}

static void
set_due(struct vh_nic *n, enum vh_due what, unsigned int ms)
{
	n->due_ns[what] = unm_now_ns() + ms * UINT64_C(1000000);
	set_timer(n);
}

static unsigned int
next_pause(struct vh_nic *n)
{
	const unsigned int pause = n->connect_pause_ms;

	n->connect_pause_ms = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
	return pause;
}

/*
 * Somebody else wants to be the front end, and the one there is has not spoken. It may be about to;
 * or it is nobody who ever will, which the other, who gets no answer, can't know.
 */
static void
on_other(void *arg, short revents)
{
	struct vh_nic *n = arg;

	(void)revents;
	unm_loop_unwatch(n->loop, n->listen_fd);
	set_due(n, VH_DUE_SILENT, SILENT_MS);
}

static void
watch_others_no_more(struct vh_nic *n)
{
	if (n->listen_fd >= 0)
		unm_loop_unwatch(n->loop, n->listen_fd);
	n->due_ns[VH_DUE_SILENT] = 0;
}

/* Once for each connection. */
static void
say_silent(struct vh_nic *n)
{
	struct pollfd p = {.fd = n->listen_fd, .events = POLLIN};
	char who[32] = "";

	if (poll(&p, 1, 0) != 1) { /* it has given up: the next one is waited for */
		(void)unm_loop_watch(n->loop, n->listen_fd, POLLIN, on_other, n);
		return;
	}
	if (n->peer != 0)
		snprintf(who, sizeof(who), " (process %d)", (int)n->peer);
	unm_vm_log(unm_net_name(n->net),
		"a front end waits, as the one that is connected%s has sent nothing yet", who);
}

static void
disconnect(struct vh_nic *n)
{
	n->due_ns[VH_DUE_HANG_UP] = 0; /* not the next one's */
	if (n->backend == NULL)
		return;
	watch_others_no_more(n);
	unm_loop_unwatch(n->loop, unm_vu_fd(n->backend));
	unm_loop_unwatch(n->loop, unm_vu_fault_fd(n->backend));
	unm_loop_unwatch(n->loop, unm_vu_timer_fd(n->backend));
	unm_vu_backend_free(n->backend);
	n->backend = NULL;
	n->peer = 0;
	vh_trust_end(&n->trust);
}

/* Is the link down, and does the front end see that only by our going? */
static bool
must_hang_up(const struct vh_nic *n)
{
	return n->opts->hangs_up && n->link_is_down && n->backend != NULL && n->peer != 0 &&
	       unm_vu_is_running(n->backend) && !unm_vu_takes_config_changes(n->backend);
}

static void
hang_up_later(struct vh_nic *n)
{
	if (must_hang_up(n) && n->due_ns[VH_DUE_HANG_UP] == 0) /* messages do not put it off */
		set_due(n, VH_DUE_HANG_UP, HANG_UP_MS);
}

/* After a front end that has kept the process waiting. */
static void
wait_a_while(struct vh_nic *n)
{
	n->is_waiting = true;
	set_due(n, VH_DUE_CONNECT, BUSY_PAUSE_MS);
}

static void
on_message(void *arg, short revents)
{
	struct vh_nic *n = arg;
	int err;

	(void)revents;
	if (n->backend == NULL)
		return;
	if (!n->has_spoken)
		watch_others_no_more(n);
	n->has_spoken = true;
	err = unm_vu_readable(n->backend);
	if (err == 0 && unm_vu_was_handed_on(n->backend))
		vh_trust_handed_on(&n->trust);
	if (err == 0) {
		hang_up_later(n);
		return;
	}
	if (err != -ECONNRESET)
		n->n_failures++;
	disconnect(n);
	if (err != -ETIMEDOUT && !n->made.has_given_up) {
		connect_or_wait(n);
		return;
	}
	wait_a_while(n);
}

/* For as long as this process lives. */
static int
unnamed_records(const struct vh_nic *n)
{
	return unm_guest_file_new("nm-vhost-rings", unm_vu_records_size(n->ops.n_rings));
}

static void
use_records(struct vh_nic *n)
{
	int err = unm_vu_set_records(n->backend, n->records_fd);

	if (err == 0)
		return;
	/* Somebody has truncated it. */
	unm_vm_log(unm_net_name(n->net),
		"%s.rings can't be used; a guest's packed rings would not "
		"outlive this process",
		n->opts->socket);
	close(n->records_fd);
	n->records_fd = unnamed_records(n);
	if (n->records_fd >= 0)
		(void)unm_vu_set_records(n->backend, n->records_fd); /* else there are none */
}

/* Connections that have ended and can't be closed. */
static bool
has_too_many(const struct vh_nic *n)
{
	return __atomic_load_n(&n->made.n_closing, __ATOMIC_RELAXED) >= MOST_CLOSING;
}

/* @sock: owned from now on. Return: 0, -EAGAIN turned away, another negative errno. */
static int
begin_connection(struct vh_nic *n, int sock)
{
	const struct ucred peer = peer_of(sock);
	int err;

	if (n->hung_up != 0 && n->hung_up == peer.pid) {
		unm_closer_abandon(sock, &n->made.n_closing);
		return -EAGAIN;
	}
	n->hung_up = 0;
	n->peer = peer.pid;
	err = unm_vu_backend_new(&n->backend, sock, &n->ops, n->net, unm_net_name(n->net));
	if (err < 0) {
		n->peer = 0;
		return err;
	}
	vh_trust_begin(&n->trust, &peer, unm_vu_fd(n->backend));
	unm_vu_keep_made(n->backend, &n->made);
	if (n->records_fd >= 0)
		use_records(n);
	err = unm_loop_watch(n->loop, unm_vu_fd(n->backend), POLLIN, on_message, n);
	if (err == 0)
		err = unm_loop_watch(n->loop, unm_vu_fault_fd(n->backend), POLLIN, on_message, n);
	if (err == 0)
		err = unm_loop_watch(n->loop, unm_vu_timer_fd(n->backend), POLLIN, on_message, n);
	n->has_spoken = false;
	if (err == 0 && n->listen_fd >= 0)
		err = unm_loop_watch(n->loop, n->listen_fd, POLLIN, on_other, n);
	if (err < 0) {
		disconnect(n);
		return err;
	}
	n->n_connections++;
	n->connect_pause_ms = FIRST_PAUSE_MS;
	return 0;
}

/* Nobody can be accepted. */
static void
accept_later(struct vh_nic *n, int err)
{
	if (!n->is_short)
		unm_vm_log(unm_net_name(n->net), "can't accept a connection: %s; it waits",
			strerror(-err));
	n->is_short = true;
	unm_loop_unwatch(n->loop, n->listen_fd);
	set_due(n, VH_DUE_CONNECT, ACCEPT_PAUSE_MS);
}

static void
on_connection(void *arg, short revents)
{
	struct vh_nic *n = arg;
	int sock, err;

	(void)revents;
	if (has_too_many(n)) {
		accept_later(n, -EBUSY);
		return;
	}
	sock = accept4(n->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sock < 0) {
		err = -errno;
		if (err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOBUFS)
			accept_later(n, err);
		return; /* else it has gone again */
	}
	n->is_short = false;
	unm_loop_unwatch(n->loop, n->listen_fd);
	err = begin_connection(n, sock);
	if (err < 0 && err != -EAGAIN)
		unm_vm_log(unm_net_name(n->net), "can't serve a connection: %s", strerror(-err));
	if (err < 0)
		connect_or_wait(n);
}

static int
connect_to_front_end(struct vh_nic *n)
{
	const struct sockaddr_un any = socket_address(n->opts->socket);
	const struct sockaddr_un *sa = n->sealed != NULL ? n->sealed : &any;
	int sock, err;

	if (has_too_many(n))
		return -EBUSY;
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return -errno;
	err = pass_credentials(sock);
	if (err == 0 && connect(sock, (const struct sockaddr *)sa, sizeof(*sa)) != 0)
		err = errno == ECONNREFUSED ? refusal_of(n->opts->socket) : -errno;
	if (err < 0) {
		close(sock);
		return err;
	}
	return begin_connection(n, sock);
}

/*
 * As a client. That nobody listens yet, has a queue that is full, or is turned away goes by itself;
 * all else is said, once as long as it stays the same.
 */
static void
try_connect(struct vh_nic *n)
{
	int err = connect_to_front_end(n);

	if (err < 0)
		set_due(n, VH_DUE_CONNECT, next_pause(n));
	if (err == -ENOENT || err == -ECONNREFUSED || err == -EAGAIN)
		err = 0;
	if (err < 0 && err != n->connect_error)
		unm_vm_log(unm_net_name(n->net), "can't connect to %s: %s; trying again",
			n->opts->socket, strerror(-err));
	n->connect_error = err;
}

/* Idle: wait for somebody, or try to reach somebody. */
static void
connect_or_wait(struct vh_nic *n)
{
	int err;

	if (!n->opts->is_client) {
		err = unm_loop_watch(n->loop, n->listen_fd, POLLIN, on_connection, n);
		if (err == 0)
			return;
		unm_vm_log(unm_net_name(n->net), "can't wait for connections: %s; trying again",
			strerror(-err));
		set_due(n, VH_DUE_CONNECT, ACCEPT_PAUSE_MS);
		return;
	}
	/* Never at once: a front end that ends each connection must not keep us busy. */
	set_due(n, VH_DUE_CONNECT, next_pause(n));
}

/* ---- the port ---- */

static void
try_reopen(struct vh_nic *n)
{
	char why[VH_WHY_SIZE];
	const int err = unm_net_reopen(n->net, why);

	if (err == -EINPROGRESS) {
		set_due(n, VH_DUE_REOPEN, OPENING_LOOK_MS);
		return;
	}
	if (err == 0) {
		unm_vm_log(unm_net_name(n->net), "the port is back");
		n->is_reopening = false;
		n->no_port[0] = '\0';
		return;
	}
	if (strcmp(why, n->no_port) != 0) /* once as long as it stays the same */
		unm_vm_log(unm_net_name(n->net), "%s; trying again", why);
	/* The first failure may be a matter of a moment. */
	set_due(n, VH_DUE_REOPEN, n->no_port[0] == '\0' ? FIRST_PAUSE_MS : LONGEST_PAUSE_MS);
	snprintf(n->no_port, sizeof(n->no_port), "%s", why);
}

void
vh_nic_port_lost(struct vh_nic *n)
{
	unm_vm_log(unm_net_name(n->net), "the port has gone; waiting for it to come back");
	n->is_reopening = true;
	try_reopen(n);
}

void
vh_nic_link_changed(struct vh_nic *n, bool up)
{
	unm_vm_log(unm_net_name(n->net), "%slink %s",
		unm_net_is_off_switch(n->net) ? "the port was taken from its switch: " : "",
		up ? "up" : "down");
	n->link_is_down = !up;
	if (up) {
		n->hung_up = 0;
		n->due_ns[VH_DUE_HANG_UP] = 0;
	}
	if (n->backend == NULL) {
		if (up && n->opts->is_client && !n->is_waiting)
			set_due(n, VH_DUE_CONNECT, FIRST_PAUSE_MS);
		return;
	}
	/* Without a channel (QEMU has a configuration space of its own) frames stop, no more. */
	(void)unm_vu_config_changed(n->backend);
	hang_up_later(n);
}

static void
hang_up(struct vh_nic *n)
{
	n->hung_up = n->peer;
	disconnect(n);
	if (!n->made.has_given_up) {
		connect_or_wait(n);
		return;
	}
	wait_a_while(n);
}

static void
connect_now(struct vh_nic *n)
{
	n->is_waiting = false;
	if (n->backend != NULL)
		return;
	if (n->opts->is_client)
		try_connect(n);
	else
		connect_or_wait(n);
}

static void
on_timer(void *arg, short revents)
{
	struct vh_nic *n = arg;
	const uint64_t now = unm_now_ns();
	uint64_t n_expired;
	unsigned int i;

	(void)revents;
	(void)!read(n->timer_fd, &n_expired, sizeof(n_expired)); /* it was set anew meanwhile */
	for (i = 0; i < VH_N_DUE; i++) {
		if (n->due_ns[i] == 0 || n->due_ns[i] > now)
			continue;
		n->due_ns[i] = 0;
		if (i == VH_DUE_REOPEN && n->is_reopening)
			try_reopen(n);
		else if (i == VH_DUE_CONNECT)
			connect_now(n);
		else if (i == VH_DUE_HANG_UP && must_hang_up(n))
			hang_up(n);
		else if (i == VH_DUE_SILENT && n->backend != NULL)
			say_silent(n);
	}
	set_timer(n);
}

/* ---- records of packed rings ---- */

void
vh_nic_open_records(struct vh_nic *n)
{
	if ((n->opts->features.virtio_off & UNM_F_PACKED) != 0)
		return;
	n->records_fd = vh_records_open(n->opts->socket, &n->new_records);
	if (n->records_fd < 0)
		n->records_error = n->records_fd;
}

void
vh_nic_unmake(const struct vh_nic *n)
{
	if (n->opts == NULL)
		return; /* it has not come to this one */
	vh_new_file_remove(&n->new_socket, n->opts->socket);
	vh_records_remove(&n->new_records, n->opts->socket);
}

/* Room in the file; without one the records live as long as we do. */
static void
make_records(struct vh_nic *n)
{
	const uint64_t size = unm_vu_records_size(n->ops.n_rings);
	int err = n->records_error;

	if ((n->opts->features.virtio_off & UNM_F_PACKED) != 0)
		return;
	if (err == 0)
		err = vh_records_resize(n->records_fd, size);
	if (err == 0)
		return;
	unm_vm_log(unm_net_name(n->net),
		"no file %s.rings: %s; a guest's packed rings would not outlive this process",
		n->opts->socket, strerror(-err));
	if (n->records_fd >= 0)
		close(n->records_fd);
	n->records_fd = unnamed_records(n);
}

int
vh_nic_start(struct vh_nic *n, struct unm_loop *loop, struct vh_witness *witness, char *why)
{
	const struct vh_nic_options *o = n->opts;
	struct unm_net_config c = {
		.port = o->port,
		.n_pairs = o->queues,
		.mtu = o->mtu,
		.offload = (o->features.virtio_off & UNM_F_OFFLOADS) == UNM_F_OFFLOADS
				   ? UNM_NET_OFFLOAD_OFF
				   : UNM_NET_OFFLOAD_AUTO,
		.can_pack = (o->features.virtio_off & UNM_F_PACKED) == 0,
		.in_order = (o->features.virtio_off & UNM_F_IN_ORDER) == 0,
		.ctrl_vq = (o->features.virtio_off & UNM_F_CTRL_VQ) == 0,
		.coalesce_frames = o->coalesce_frames,
		.coalesce_us = o->coalesce_us,
	};
	int err;

	memcpy(c.mac, o->mac, sizeof(c.mac));
	err = unm_net_open(&n->net, &c, why);
	if (err < 0)
		return err;
	vh_trust_init(&n->trust, o->memory, witness, n->net);
	n->ops = *unm_net_ops(n->net);
	n->ops.features &= ~o->features.virtio_off;
	n->ops.protocol_features &= ~o->features.protocol_off;
	make_records(n);
	n->connect_pause_ms = FIRST_PAUSE_MS;
	n->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (n->timer_fd < 0)
		return say(why, -errno, "timer for", o->port);
	err = unm_loop_add(loop, n->net);
	if (err < 0)
		return say(why, err, "can't serve", o->port);
	n->loop = loop;
	err = unm_loop_watch(loop, n->timer_fd, POLLIN, on_timer, n);
	if (err < 0)
		return say(why, err, "can't serve", o->port);
	if (o->is_client)
		set_due(n, VH_DUE_CONNECT, 1);
	else
		connect_or_wait(n);
	return 0;
}

void
vh_nic_stop(struct vh_nic *n)
{
	if (n->loop != NULL) {
		disconnect(n);
		unm_loop_unwatch(n->loop, n->timer_fd);
		if (n->listen_fd >= 0)
			unm_loop_unwatch(n->loop, n->listen_fd);
		unm_loop_remove(n->loop, n->net);
	}
	unm_net_free(n->net);
	if (n->timer_fd >= 0)
		close(n->timer_fd);
	if (n->listen_fd >= 0)
		close(n->listen_fd);
	if (n->records_fd >= 0)
		close(n->records_fd);
	unm_vu_made_fini(&n->made);
	clear(n, n->opts);
}

const char *
vh_nic_state(const struct vh_nic *n)
{
	if (n->is_reopening)
		return "port lost";
	if (unm_net_is_off_switch(n->net))
		return "port detached";
	if (n->backend != NULL)
		return "connected";
	if (n->hung_up != 0)
		return "hung up";
	return n->opts->is_client ? "connecting" : "listening";
}
