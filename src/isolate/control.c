/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker's control thread: who is connected, and how much each may ask. See broker.h.
 *
 * A client that asks more than its share is not read for a while; its requests wait in its own
 * socket. All together have a share of netmapd's time as well, however many connections they make;
 * when that is used up they take turns. One that does not read its answers is hung up on. What came
 * from a client, its connection included, is closed elsewhere (shm/closer.h), and counts until it is.
 * So no client makes the others wait for more than a request of its own takes.
 *
 * It outlives netmapd, and is not alone then as long as it has clients. Without those and without a
 * successor it ends: the next netmapd starts another one.
 */
/* Syscalls: accept4 getsockopt timerfd_create timerfd_settime read close openat eventfd2 shutdown */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/device.h"
#include "client/process.h"
#include "client/session.h"
#include "isolate/broker.h"
#include "shm/clock.h"

#define REQUESTS_A_SECOND 100u /* of a session, after a burst of UNM_BUCKET_MIN */
#define ASKED_A_SECOND	  200u /* of netmapd by all, after a burst: */
#define ASKED_AT_ONCE	  500u /* a container starts all its programs */
#define MOST_CALLED	  16u  /* at once, of those who wait for that */
#define PAUSE_NS	  20000000L
#define ALONE_S		  10  /* a restart takes less */
#define MOST_REFUSED	  64u /* that are not closed yet */
#define CLOSE_WAIT_NS	  UINT64_C(500000000)

/* Connections that have ended and are not closed yet. */
static unsigned int
n_left(const struct unm_broker *br)
{
	return __atomic_load_n(&br->n_sessions_left, __ATOMIC_RELAXED);
}

static void
end_session(struct unm_isession *s)
{
	struct unm_broker *br = s->br;
	struct unm_isession **pp;
	const struct unm_idesc *d;

	for (pp = &br->sessions; *pp != s; pp = &(*pp)->next)
		continue;
	*pp = s->next;
	unm_loop_del(&br->loop, &s->src);
	shutdown(s->src.fd, SHUT_RDWR); /* at once, however long the closing takes */
	unm_broker_drop_held(s);
	unm_closer_close(s->closing, s->src.fd);
	unm_closer_end(s->closing, &br->n_sessions_left);
	br->n_sessions--;
	for (d = br->descs; d != NULL && s->slot != 0; d = d->next)
		if (d->binding != NULL)
			unm_ibinding_break_locks(br, d->binding, s->slot);
	free(s);
}

/* --- how much a client may ask --- */

/* One that runs is not put off: clients that are paused one after the other would keep the rest waiting. */
static void
set_timer(struct unm_broker *br, bool runs)
{
	const struct itimerspec when = {.it_value = {0, runs ? PAUSE_NS : 0}};

	if (runs && br->is_timing)
		return;
	timerfd_settime(br->timer.fd, 0, &when, NULL);
	br->is_timing = runs;
}

/* Read it, or not. Return: 0 or negative errno. */
static int
watch(struct unm_isession *s)
{
	const bool reads = !s->is_paused && s->held == NULL;

	return unm_loop_mod(&s->br->loop, &s->src, reads ? EPOLLIN | EPOLLRDHUP : 0);
}

static void
pause_session(struct unm_isession *s)
{
	s->is_paused = true;
	if (watch(s) < 0)
		s->is_paused = false;
	else
		set_timer(s->br, true);
}

/* Nobody is accepted for a while. */
static void
stop_listening(struct unm_broker *br)
{
	if (unm_loop_mod(&br->loop, &br->listener, 0) < 0)
		return;
	br->is_deaf = true;
	set_timer(br, true);
}

static bool
has_room(const struct unm_broker *br)
{
	return br->n_sessions + n_left(br) < br->policy.max_clients;
}

/* Is there none only because of connections that are about to be closed? Mostly that takes no time. */
static bool
has_room_soon(struct unm_broker *br)
{
	const uint64_t now = unm_now_ns();

	if (has_room(br) || br->n_sessions >= br->policy.max_clients) {
		br->full_since_ns = 0;
		return false;
	}
	if (br->full_since_ns == 0)
		br->full_since_ns = now;
	return now - br->full_since_ns < CLOSE_WAIT_NS;
}

/* Return: false not yet. */
static bool
listen_again(struct unm_broker *br)
{
	if (!br->is_deaf)
		return true;
	if (br->spare_fd < 0)
		br->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	br->is_deaf = br->spare_fd < 0 || n_left(br) > br->policy.max_clients + MOST_REFUSED ||
		      has_room_soon(br) || unm_loop_mod(&br->loop, &br->listener, EPOLLIN) < 0;
	return !br->is_deaf;
}

/* Return: has been paused, as all together have asked enough for now. */
static bool
wait_for_turn(struct unm_isession *s)
{
	struct unm_broker *br = s->br;

	if (s->ticket != 0) { /* it has been called, else it would be paused */
		s->ticket = 0;
		return false;
	}
	unm_bucket_fill(&br->requests, unm_now_ns());
	if (br->called == br->last_ticket && unm_bucket_room(&br->requests, 1) > 0)
		return false;
	pause_session(s);
	if (s->is_paused)
		s->ticket = ++br->last_ticket;
	return s->is_paused;
}

/* As many of those who wait as there is room for, in the order in which they came. */
static void
call_next(struct unm_broker *br, uint64_t now_ns)
{
	const struct unm_isession *s;
	uint32_t n;

	unm_bucket_fill(&br->requests, now_ns);
	n = unm_bucket_room(&br->requests, MOST_CALLED);
	for (; n > 0 && br->called < br->last_ticket; n--) {
		uint64_t next = br->last_ticket; /* whose owner may have gone */

		for (s = br->sessions; s != NULL; s = s->next)
			if (s->ticket > br->called && s->ticket < next)
				next = s->ticket;
		br->called = next;
	}
}

static void
timer_ready(struct unm_source *src, uint32_t events)
{
	struct unm_broker *br =
		(struct unm_broker *)(void *)((char *)src - offsetof(struct unm_broker, timer));
	const uint64_t now = unm_now_ns();
	struct unm_isession *s;
	bool any = false;
	uint64_t n;

	(void)events; /* readable is all that was asked for */
	if (read(src->fd, &n, sizeof(n)) < 0)
		return;
	br->is_timing = false;
	call_next(br, now);
	for (s = br->sessions; s != NULL; s = s->next) {
		if (!s->is_paused)
			continue;
		unm_bucket_fill(&s->requests, now);
		s->is_paused = unm_bucket_room(&s->requests, 1) == 0 || s->ticket > br->called;
		if (!s->is_paused)
			s->is_paused = watch(s) < 0;
		any |= s->is_paused;
	}
	any |= !listen_again(br);
	set_timer(br, any);
}

static void
session_ready(struct unm_source *src, uint32_t events)
{
	static char buf[UNM_PROTO_MAXLEN] __attribute__((aligned(8))); /* one thread: one message */
	struct unm_isession *s =
		(struct unm_isession *)(void *)((char *)src - offsetof(struct unm_isession, src));
	int fds[UNM_PROTO_SCM_FDS], ret;
	unsigned int n_fds, i;

	if (s->is_paused || s->held != NULL) { /* not asked to read: this is a hang-up */
		end_session(s);
		return;
	}
	if (wait_for_turn(s))
		return;
	ret = unm_proto_recv_foreign(s->src.fd, buf, sizeof(buf), fds, &n_fds);
	if (ret == -EAGAIN && !(events & (EPOLLHUP | EPOLLERR)))
		return;
	for (i = 0; ret < 0 && i < n_fds; i++)
		unm_closer_close(s->closing, fds[i]);
	if (ret == 0)
		ret = unm_broker_message(s, buf, fds, n_fds);
	else if (ret == -EPROTO)
		unm_log_peer(LOG_WARNING, "%s: a client (process %d) sent what is no message",
			s->br->name, (int)s->pid);
	else if (ret == -EMFILE)
		unm_log_peer(LOG_WARNING, "%s: out of descriptors: lost a client (process %d)",
			s->br->name, (int)s->pid);
	if (ret == 0 && s->held != NULL)
		ret = watch(s);
	if (ret < 0) {
		end_session(s);
		return;
	}
	unm_bucket_fill(&s->requests, unm_now_ns());
	unm_bucket_take(&s->requests, 1);
	if (unm_bucket_room(&s->requests, 1) == 0)
		pause_session(s);
}

/* Some have waited for that. */
static void
closed_ready(struct unm_source *src, uint32_t events)
{
	struct unm_broker *br =
		(struct unm_broker *)(void *)((char *)src - offsetof(struct unm_broker, closed));
	struct unm_isession *s, *next;
	uint64_t n;

	(void)events; /* readable is all that was asked for */
	if (read(src->fd, &n, sizeof(n)) < 0)
		return;
	for (s = br->sessions; s != NULL; s = next) {
		next = s->next;
		if (s->held != NULL && unm_closer_len(s->closing) == 0 &&
			(unm_broker_go_on(s) < 0 || watch(s) < 0))
			end_session(s);
	}
	listen_again(br);
}

/* --- who is connected --- */

/* Say why, in the answer to a HELLO that need not have come yet, and close. */
static void
refuse(struct unm_broker *br, int fd, int error, const char *text)
{
	struct unm_msg_hello body = {.proto_version = UNM_PROTO_VERSION};
	struct unm_msg_hdr hdr = {.type = UNM_MSG_HELLO, .error = error};

	strncpy(body.text, text, sizeof(body.text) - 1);
	unm_proto_send(fd, &hdr, &body, sizeof(body), NULL, 0, MSG_DONTWAIT);
	unm_closer_abandon(fd, &br->n_sessions_left);
	unm_log_peer(LOG_WARNING, "%s: refused a client: %s", br->name, text);
	if (n_left(br) > br->policy.max_clients + MOST_REFUSED)
		stop_listening(br);
}

/* All descriptors are in use: give up the spare one, or the client would wait for ever. */
static void
refuse_for_fds(struct unm_broker *br)
{
	int fd;

	close(br->spare_fd);
	fd = accept4(br->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		refuse(br, fd, EMFILE, "the broker of this socket is out of descriptors");
	br->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (br->spare_fd < 0)
		stop_listening(br); /* until who was told so has been closed */
}

static void
listener_ready(struct unm_source *src, uint32_t events)
{
	struct unm_broker *br =
		(struct unm_broker *)(void *)((char *)src - offsetof(struct unm_broker, listener));
	struct ucred cred = {.pid = 0};
	socklen_t len = sizeof(cred);
	struct unm_closer_queue *closing;
	struct unm_isession *s;
	int fd;

	(void)events; /* readable is all that was asked for */
	if (has_room_soon(br)) {
		stop_listening(br);
		return;
	}
	fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			refuse_for_fds(br);
		return;
	}
	if (!has_room(br)) {
		refuse(br, fd, EUSERS,
			"this socket serves as many clients as it may (clients= of nmctl isolate "
			"create)");
		return;
	}
	s = calloc(1, sizeof(*s));
	closing = calloc(1, sizeof(*closing));
	if (s == NULL || closing == NULL) {
		unm_closer_abandon(fd, &br->n_sessions_left);
		free(s);
		free(closing);
		return;
	}
	s->closing = closing;
	s->src.fd = fd;
	s->src.ready = session_ready;
	s->br = br;
	s->id = ++br->last_session_id;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
		s->pid = cred.pid;
		s->uid = cred.uid;
	}
	unm_bucket_init(&s->requests, REQUESTS_A_SECOND, unm_now_ns());
	if (unm_loop_add(&br->loop, &s->src, EPOLLIN | EPOLLRDHUP) < 0) {
		unm_closer_abandon(fd, &br->n_sessions_left);
		free(s);
		free(closing);
		return;
	}
	s->next = br->sessions;
	br->sessions = s;
	br->n_sessions++;
}

/* --- start --- */

/* --- netmapd's absence --- */

void
unm_broker_alone(struct unm_broker *br)
{
	const struct itimerspec when = {.it_value = {ALONE_S, 0}};

	if (br->alone.ready != NULL) /* else it is about to start */
		timerfd_settime(br->alone.fd, 0, &when, NULL);
}

static void
alone_ready(struct unm_source *src, uint32_t events)
{
	struct unm_broker *br =
		(struct unm_broker *)(void *)((char *)src - offsetof(struct unm_broker, alone));
	uint64_t n;

	(void)events; /* readable is all that was asked for */
	if (read(src->fd, &n, sizeof(n)) < 0 || unm_session_fd() >= 0)
		return;
	if (br->n_sessions == 0 && br->n_bindings == 0)
		br->is_needless = true;
	else
		unm_broker_alone(br);
}

static int
make_sources(struct unm_broker *br, int listen_fd)
{
	int ret = unm_loop_init(&br->loop);

	if (ret < 0)
		return ret;
	br->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	br->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	br->timer.ready = timer_ready;
	br->alone.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	br->closed.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	br->closed.ready = closed_ready;
	if (br->timer.fd < 0 || br->alone.fd < 0 || br->closed.fd < 0)
		return -errno;
	br->alone.ready = alone_ready;
	br->listener.fd = listen_fd;
	br->listener.ready = listener_ready;
	ret = unm_loop_add(&br->loop, &br->timer, EPOLLIN);
	if (ret == 0)
		ret = unm_loop_add(&br->loop, &br->alone, EPOLLIN);
	if (ret == 0)
		ret = unm_loop_add(&br->loop, &br->closed, EPOLLIN);
	return ret < 0 ? ret : unm_loop_add(&br->loop, &br->listener, EPOLLIN);
}

int
unm_broker_run(struct unm_broker *br, int listen_fd)
{
	int ret = make_sources(br, listen_fd);

	if (ret == 0) {
		unm_closer_tell(br->closed.fd);
		ret = unm_closer_start();
	}
	if (ret == 0 && getrandom(&br->instance, sizeof(br->instance), 0) != sizeof(br->instance))
		ret = -EIO;
	br->instance |= 1; /* 0 means "never connected" to clients */
	unm_bucket_init_size(&br->requests, ASKED_A_SECOND, ASKED_AT_ONCE, unm_now_ns());
	if (ret == 0)
		ret = unm_pump_new(&br->pump, br->policy.rate_pps);
	if (ret == 0) {
		br->scratch_fd = unm_desc_open(O_RDWR | O_CLOEXEC);
		ret = br->scratch_fd < 0 ? br->scratch_fd : 0;
	}
	if (ret == 0)
		unm_broker_alone(br); /* by now netmapd may be gone */
	while (ret == 0 && !br->is_needless)
		ret = unm_loop_run_once(&br->loop);
	return ret;
}
