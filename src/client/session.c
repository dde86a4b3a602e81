/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session with netmapd. See session.h.
 *
 *   NONE      no socket. Exits: LIVE (connect, HELLO, RESTOREs answered).
 *   LIVE      socket and slot valid. Exits: NONE (hang-up, no answer in time, fork).
 *
 * The slot outlives a LIVE session: locks go on being taken with it until the next netmapd has confirmed or replaced it. All fields
 * of @session are under @lock, but for the slot (unm_process_page, read by every sync).
 */
/* Syscalls: socket connect sendmsg recvmsg poll ppoll nanosleep clock_nanosleep */
#include "client/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "client/autostart.h"
#include "client/control_thread.h"
#include "client/desc.h"
#include "client/epoch.h"
#include "client/fdtab.h"
#include "client/process.h"
#include "client/real.h"
#include "client/spin.h"
#include "client/sealed.h"
#include "shm/atomic.h"
#include "shm/clock.h"
#include "shm/socket_dir.h"

#define AWAY_MS	       5000  /* how long a request waits for a netmapd that is away */
#define BY_HAND_MS     2000  /* for whoever starts one by hand, or supervises it, to do so again */
#define ANSWER_MS      20000 /* longer than netmapd makes a REGISTER wait after a restart */
#define FIRST_NAP_US   1000
#define LONGEST_NAP_US 50000
#define NS_A_MS	       UINT64_C(1000000)
#define SLICE_MS       200 /* after which who waits looks whether all is over */
#define N_TRIES	       3   /* netmapd dying again and again while we ask */

static struct {
	int fd;		/* -1: NONE */
	uint64_t inode; /* of the socket: the number may be taken from us behind our back */
	uint32_t seq;	/* of the last request */
	bool is_late;	/* an answer is still to come that nobody waits for */
	/* Read without the lock */
	bool has_tired; /* somebody's patience has come to its end, and there has been no answer since */
	bool is_over;	      /* no request is made any more */
	uint64_t ending_ms;   /* since when unm_session_hang_up() limits waiting; 0: it does not */
	unsigned int over_ms; /* ... to so much */
	uint64_t instance;    /* netmapd's, 0 = never connected */
	enum unm_instance which;
	bool is_managed;  /* somebody else starts the next one: UNM_HELLOF_SYSTEM, _ELSEWHERE */
	bool is_isolated; /* the other end is a broker */
	bool is_by_hand;  /* somebody else may start the next one: UNM_HELLOF_BY_HAND */
	uint64_t away_ms; /* since when nobody was there; 0: somebody is, for all we know */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char buf[UNM_PROTO_MAXLEN] __attribute__((aligned(8)));
} session = {.fd = -1};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int patience_ms = UNM_PATIENCE_DEFAULT;
static int (*restore_hook)(void);
static void (*loss_hook)(void);

void
unm_session_on_restore(int (*hook)(void))
{
	restore_hook = hook;
}

void
unm_session_on_loss(void (*hook)(void))
{
	loss_hook = hook;
}

void
unm_set_error(const char *fmt, ...)
{
	struct unm_thread *t = unm_thread_get();
	char text[UNM_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (t != NULL)
		memcpy(t->text, text, sizeof(text));
	if (text[0] != '\0' && getenv("UNETMAP_VERBOSE") != NULL)
		dprintf(STDERR_FILENO, "libnetmap: %s\n", text);
}

const char *
unm_last_error(void)
{
	const struct unm_thread *t = unm_thread_self;

	return t != NULL ? t->text : "";
}

void
unm_call_close_fds(struct unm_call *c, unsigned int from)
{
	unsigned int i;

	for (i = from; i < c->n_ans_fds; i++)
		UNM_RAW_CLOSE(c->ans_fds[i]);
	c->n_ans_fds = c->n_ans_fds < from ? c->n_ans_fds : from;
}

static uint64_t
inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

/* Only our end of it: whatever was done through it goes on. */
static void
close_session(void)
{
	if (session.fd < 0)
		return;
	if (inode_of(session.fd) == session.inode)
		unm_fd_internal_close(session.fd);
	else
		unm_fdtab_take(session.fd); /* somebody else's by now */
	session.fd = -1;
}

static void
drop_session(void)
{
	if (session.fd >= 0 && session.is_isolated)
		unm_desc_lose_all(); /* a broker's successor has nothing of what it did */
	if (session.fd >= 0 && loss_hook != NULL)
		loss_hook();
	close_session();
}

static uint64_t
now_ms(void)
{
	return unm_now_ns() / NS_A_MS;
}

/* Does netmapd owe an answer, or a connection, since @start_ms, for longer than is waited at the end? */
static bool
must_end(uint64_t start_ms)
{
	const uint64_t ending = UNM_READ_ONCE(session.ending_ms);
	const uint64_t since = start_ms > ending ? start_ms : ending;

	if (ending != 0 && now_ms() - since >= UNM_READ_ONCE(session.over_ms))
		UNM_WRITE_ONCE(session.is_over, true);
	return UNM_READ_ONCE(session.is_over);
}

/* Return: 0 there is an answer; -ETIMEDOUT not until @end_ms, -EIO all is over, -errno. */
static int
await_answer(uint64_t end_ms)
{
	struct pollfd pfd = {session.fd, POLLIN, 0};
	const uint64_t start = now_ms();

	for (;;) { /* bounded by the deadline */
		const uint64_t now = now_ms();
		const uint64_t left = now < end_ms ? end_ms - now : 0;
		const int n = UNM_REAL(poll)(&pfd, 1, left < SLICE_MS ? (int)left : SLICE_MS);

		if (n < 0)
			return -errno;
		if (n > 0) {
			UNM_WRITE_ONCE(session.has_tired, false);
			return 0;
		}
		if (must_end(start))
			return -EIO;
		if (left == 0)
			return -ETIMEDOUT;
	}
}

/* Until when @c waits for its answer, which it asks for now. */
static uint64_t
answer_by(const struct unm_call *c)
{
	return c->patience > 0 ? c->end_ms : now_ms() + ANSWER_MS;
}

/* Its patience has come to its end. Return: -EAGAIN. */
static int
give_up(void)
{
	UNM_WRITE_ONCE(session.has_tired, true);
	return -EAGAIN;
}

/* Throw away what comes too late. Return: 0, or -errno as exchange(). */
static int
catch_up(const struct unm_call *c)
{
	int fds[UNM_PROTO_MAXFDS];
	unsigned int i, n = 0;
	int err;

	if (!session.is_late)
		return 0;
	err = await_answer(answer_by(c));
	if (err == -ETIMEDOUT && c->patience > 0)
		return give_up();
	if (err == 0)
		err = unm_proto_recv(
			session.fd, session.buf, sizeof(session.buf), fds, &n, MSG_DONTWAIT);
	if (err < 0 && err != -EMFILE)
		return err;
	for (i = 0; err == 0 && i < n; i++)
		UNM_RAW_CLOSE(fds[i]);
	session.is_late = false;
	return 0;
}

/* Is it from one who refuses all that connect, without having been asked? */
static bool
is_refusal(const struct unm_call *c, const struct unm_msg_hdr *hdr)
{
	return c->type == UNM_MSG_HELLO && hdr->seq == 0 && hdr->error > 0;
}

/*
 * One request and its answer on a live socket. Return: 0; -EAGAIN there is no answer yet; else
 * -errno, and the session is of no use any more.
 */
static int
exchange(struct unm_call *c)
{
	struct unm_msg_hdr req = {.type = c->type};
	const struct unm_msg_hdr *hdr = (const struct unm_msg_hdr *)session.buf;
	size_t body_len;
	int err;

	c->n_ans_fds = 0;
	c->fds_lost = false;
	c->ans_len = 0;
	if (inode_of(session.fd) != session.inode)
		return -EBADF;
	err = catch_up(c);
	if (err < 0)
		return err;
	if (c->patience > 0)
		c->end_ms = now_ms() + c->patience; /* nothing is owed: it has its own time */
	req.seq = ++session.seq;
	err = unm_proto_send(session.fd, &req, c->body, c->body_len, c->fds, c->n_fds, 0);
	if (err < 0 && err != -EPIPE)		    /* who has closed it may have answered before */
		return err == -EAGAIN ? -EIO : err; /* there is room for a question, always */
	err = await_answer(answer_by(c));
	if (err == -ETIMEDOUT && c->patience > 0) {
		session.is_late = true;
		return give_up();
	}
	if (err < 0)
		return err;
	err = unm_proto_recv(session.fd, session.buf, sizeof(session.buf), c->ans_fds,
		&c->n_ans_fds, MSG_DONTWAIT);
	if (err == -EMFILE && hdr->seq == req.seq) {
		/* Without what belongs to it, as we have no descriptors left. The session is as good as before. */
		c->n_ans_fds = 0;
		c->fds_lost = true;
		c->error = -EMFILE;
		return 0;
	}
	if (err < 0)
		return err;
	if ((hdr->seq != req.seq && !is_refusal(c, hdr)) || hdr->type != c->type ||
		hdr->error < 0) {
		unm_call_close_fds(c, 0);
		return -EPROTO;
	}
	body_len = hdr->len - sizeof(*hdr);
	c->ans_len = body_len < c->ans_size ? body_len : c->ans_size;
	if (c->ans_len > 0)
		memcpy(c->ans, hdr + 1, c->ans_len);
	c->error = -hdr->error;
	return 0;
}

int
unm_session_call_locked(struct unm_call *c)
{
	if (session.fd < 0)
		return -ENOTCONN;
	return exchange(c);
}

static void
explain_refusal(const char *text, int err)
{
	static bool told;
	char safe[sizeof(((struct unm_msg_hello *)0)->text) + 1];

	snprintf(safe, sizeof(safe), "%.*s", (int)sizeof(safe) - 1, text);
	if (err == -EPROTO && !told) {
		told = true;
		dprintf(STDERR_FILENO, "libnetmap " UNM_VERSION ": %s\n", safe);
	}
	unm_set_error("%s", safe);
}

/* No answer to HELLO, or none that netmapd would give. */
static int
explain_silence(int err)
{
	if (err == -ETIMEDOUT)
		unm_set_error("netmapd does not answer on %s: it is stopped, or the machine is "
			      "too busy",
			session.path);
	else if (err == -EPROTO)
		unm_set_error("what listens on %s does not speak netmapd's protocol", session.path);
	return err == -ETIMEDOUT ? -EIO : err;
}

static int
say_hello(void)
{
	struct unm_msg_hello hello = {
		.proto_version = UNM_PROTO_VERSION,
		.slot = unm_process_page->slot,
		.instance = session.instance,
		.pid = getpid(),
		.version = UNM_VERSION,
	};
	struct unm_msg_hello ans = {0};
	struct unm_call c = {.type = UNM_MSG_HELLO,
		.body = &hello,
		.body_len = sizeof(hello),
		.ans = &ans,
		.ans_size = sizeof(ans)};
	int err = exchange(&c);

	if (err < 0)
		return explain_silence(err);
	unm_call_close_fds(&c, 0);
	if (c.error < 0) {
		ans.text[sizeof(ans.text) - 1] = '\0';
		explain_refusal(ans.text, c.error);
		return c.error;
	}
	if (c.ans_len < sizeof(ans) || ans.slot == 0 || ans.slot > UINT16_MAX)
		return explain_silence(-EPROTO);
	session.instance = ans.instance;
	session.is_managed = (ans.flags & (UNM_HELLOF_SYSTEM | UNM_HELLOF_ELSEWHERE)) != 0;
	session.is_by_hand = (ans.flags & UNM_HELLOF_BY_HAND) != 0;
	session.away_ms = 0;
	UNM_WRITE_ONCE(session.is_isolated, (ans.flags & UNM_HELLOF_ISOLATED) != 0);
	if (session.is_isolated)
		unm_spin_set_default(UNM_SPIN_BROKER_US);
	UNM_WRITE_ONCE(unm_process_page->slot, ans.slot);
	return 0;
}

/* Hand back what we hold to a netmapd that does not know of it. */
static int
restore(void)
{
	struct unm_call done = {.type = UNM_MSG_RESTORE_DONE};
	int err = restore_hook != NULL ? restore_hook() : 0;

	if (err == 0)
		err = unm_desc_restore_all();

	if (err == 0)
		err = exchange(&done);
	unm_call_close_fds(&done, 0);
	return err;
}

const char *
unm_session_path(void)
{
	return session.path;
}

static int
connect_to(const char *path)
{
	struct sockaddr_un any;
	const struct sockaddr_un *sa = unm_sealed_find(path, &any);
	int fd, err;

	if (sa == NULL)
		return -ENOENT; /* the program goes by others only */
	/* A netmapd that is stopped has a full queue in the end, and does not keep us in it. */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0) {
		err = -errno;
		UNM_RAW_CLOSE(fd);
		return err;
	}
	return unm_fd_internal(fd);
}

/* One try on one candidate. */
static int
try_instance(enum unm_instance which)
{
	const uint64_t before = session.instance;
	int err = unm_instance_path(which, session.path, sizeof(session.path));

	if (err == -EPERM)
		unm_set_error("the directory for netmapd's socket under /tmp belongs to somebody "
			      "else or is open to others: set " UNM_SOCKET_ENV);
	if (err < 0)
		return err;
	session.which = which;
	err = connect_to(session.path);
	if (err < 0)
		return err;
	session.fd = err;
	session.inode = inode_of(session.fd);
	session.is_late = false;
	err = say_hello();
	if (err == 0 && before != 0 && session.instance != before)
		err = restore();
	if (err < 0) {
		session.instance = before; /* what was not handed back still is to be */
		drop_session();
		return err;
	}
	unm_control_kick(); /* it must watch the new socket */
	return 0;
}

/* Nobody listens there, which starting a netmapd can change. */
static bool
is_absent(int err)
{
	return err == -ENOENT || err == -ECONNREFUSED;
}

/* Is it for us to start one at @which, where nobody is? */
static bool
is_ours_to_start(enum unm_instance which)
{
	if (!unm_instance_may_start(which) || session.is_managed || session.is_isolated)
		return false;
	if (session.away_ms == 0)
		session.away_ms = now_ms();
	return !session.is_by_hand || now_ms() - session.away_ms >= BY_HAND_MS;
}

/* One round over the candidates. @absent: where a netmapd could be started, or UNM_INSTANCE_N. */
static int
try_all(enum unm_instance *absent)
{
	int err = -ENOENT, which;

	*absent = UNM_INSTANCE_N;
	for (which = 0; which < UNM_INSTANCE_N; which++) {
		char path[sizeof(session.path)];
		int one;

		if (session.instance != 0 && which != (int)session.which)
			continue; /* what we hold belongs to that one */
		if (unm_instance_path(which, path, sizeof(path)) == -ENOENT)
			continue;
		one = try_instance(which);
		if (one == -EAGAIN) /* it is there, with a full queue: no other will do */
			*absent = UNM_INSTANCE_N;
		if (one == 0 || one == -EAGAIN)
			return one;
		if (is_absent(one) && is_ours_to_start(which))
			*absent = which;
		if (!is_absent(one) || is_absent(err))
			err = one;
	}
	return err;
}

/* A reason for that nobody is at @path that can be seen from here. */
static bool
explain_no_dir(const char *path)
{
	char dir[sizeof(session.path)];

	if (!unm_socket_dir_missing(path, dir, sizeof(dir)))
		return false;
	unm_set_error("%s: %s (" UNM_SOCKET_DIR_HINT ")", dir, strerror(ENOENT));
	return true;
}

/* Why nobody is at @path, and why none can be started. Return: false, if nothing speaks against that. */
static bool
explain_absence(const char *path)
{
	if (explain_no_dir(path))
		return true;
	if (!unm_socket_is_isolated(path))
		return false;
	unm_set_error(
		"nobody serves %s, a socket for isolated clients: the isolate was removed, or "
		"netmapd is away (nmctl isolate show)",
		path);
	return true;
}

/* @started: one has been started, by us. A broker shows this text to its clients: no path, no advice */
static void
explain_timeout(bool started)
{
	if (explain_absence(session.path))
		return;
	if (started)
		unm_set_error("netmapd does not answer on %s: \"netmapd --autostart --socket %s\" "
			      "says why it can't start",
			session.path, session.path);
	else
		unm_set_error("netmapd has ended, and the next one has not been started: frames "
			      "go on, requests don't");
}

static int
start_netmapd(enum unm_instance which)
{
	char path[sizeof(session.path)];
	int err = unm_instance_path(which, path, sizeof(path));

	if (err == 0 && explain_absence(path))
		return -ENOENT;
	if (err == 0)
		err = unm_autostart(path);
	if (err < 0)
		unm_set_error("no netmapd listens on %s, and none can be started (%s): set "
			      "UNETMAP_NETMAPD to the program, or start it by hand",
			path, strerror(-err));
	return err;
}

/* Sleep without the lock, so that who may not wait is not kept. */
static void
nap(long us)
{
	const struct timespec t = {us / 1000000, us % 1000000 * 1000};

	pthread_mutex_unlock(&lock);
	nanosleep(&t, NULL);
	pthread_mutex_lock(&lock);
}

/* Have a live session. With the lock held (given up while napping). */
static int
ensure(const struct unm_call *c)
{
	const bool was_connected = session.instance != 0;
	const uint64_t start = now_ms();
	const uint64_t deadline = start + AWAY_MS + (session.is_by_hand ? BY_HAND_MS : 0);
	long nap_us = FIRST_NAP_US;
	bool started = false;

	for (;;) { /* bounded by the deadline */
		enum unm_instance absent;
		/* It died after it took the connection, or its queue is full: try again */
		bool comes;
		int err;

		if (must_end(start))
			return -EIO;
		if (session.fd >= 0)
			return 0;
		if (c->patience > 0)
			return -EAGAIN; /* the control thread brings it back */
		err = try_all(&absent);
		if (err == 0)
			return 0;
		if (c->flags & UNM_CALL_NOWAIT)
			return err;
		comes = err == -ECONNRESET || err == -EPIPE || err == -EAGAIN;
		if (absent != UNM_INSTANCE_N && !started) {
			started = true;
			if (start_netmapd(absent) < 0)
				return -ENOENT;
		} else if (!comes && !started && !was_connected) {
			if (is_absent(err) && !explain_absence(session.path))
				unm_set_error("no netmapd is running (start it, or let this "
					      "program start one: see netmap(4))");
			return is_absent(err) ? -ENOENT : err;
		} else if (!comes && !is_absent(err) && absent == UNM_INSTANCE_N) {
			return err; /* else the one that was started has not come yet */
		}
		if (now_ms() > deadline) {
			if (err == -EAGAIN)
				return explain_silence(-ETIMEDOUT);
			explain_timeout(started);
			return is_absent(err) ? -ENOENT : -EIO;
		}
		nap(nap_us);
		nap_us = nap_us * 2 < LONGEST_NAP_US ? nap_us * 2 : LONGEST_NAP_US;
	}
}

/* Return: false: somebody else asks, and has had no answer in time. */
static bool
lock_for(struct unm_call *c)
{
	struct timespec t;

	if (c->patience == 0) {
		pthread_mutex_lock(&lock);
		return true;
	}
	c->end_ms = now_ms() + (UNM_READ_ONCE(session.has_tired) ? 0 : c->patience);
	t = unm_timespec(c->end_ms * NS_A_MS);
	if (pthread_mutex_clocklock(&lock, CLOCK_MONOTONIC, &t) == 0)
		return true;
	give_up();
	return false;
}

int
unm_session_call(struct unm_call *c)
{
	struct unm_quiet quiet;
	int err = -EIO, i;

	if (!unm_process_is_ours())
		return -EIO; /* a vforked child has nothing to ask */
	if (!unm_control_runs())
		c->patience = 0; /* nobody would bring the session back */
	unm_quiet_begin(&quiet);
	if (!lock_for(c)) {
		unm_quiet_end(&quiet);
		return -EAGAIN;
	}
	for (i = 0; i < N_TRIES; i++) {
		err = ensure(c);
		if (err < 0)
			break;
		err = exchange(c);
		if (err == 0 || err == -EAGAIN)
			break;
		drop_session();
		unm_control_kick(); /* it may be about to watch what is closed now */
		if (err == -ETIMEDOUT || (c->flags & UNM_CALL_NOWAIT)) {
			unm_set_error("netmapd did not answer");
			err = -EIO;
			break;
		}
		err = -EIO;
	}
	pthread_mutex_unlock(&lock);
	unm_quiet_end(&quiet);
	return err;
}

uint32_t
unm_session_slot(void)
{
	const struct unm_call nothing = {.flags = UNM_CALL_NOWAIT};
	struct unm_quiet quiet;
	uint32_t slot;

	if (!unm_process_is_ours())
		return 0;
	unm_quiet_begin(&quiet);
	pthread_mutex_lock(&lock);
	if (unm_process_page->slot == 0) {
		ensure(&nothing);
		unm_control_start();
	}
	slot = unm_process_page->slot;
	pthread_mutex_unlock(&lock);
	unm_quiet_end(&quiet);
	return slot;
}

bool
unm_session_is_isolated(void)
{
	return UNM_READ_ONCE(session.is_isolated);
}

int
unm_session_fd(void)
{
	int fd;

	pthread_mutex_lock(&lock);
	fd = session.fd;
	pthread_mutex_unlock(&lock);
	return fd;
}

int
unm_session_revive(bool may_start)
{
	struct pollfd pfd = {.events = 0};
	enum unm_instance absent;
	int err = 0;

	if (UNM_READ_ONCE(session.is_over))
		return -EIO;
	pthread_mutex_lock(&lock);
	pfd.fd = session.fd;
	if (session.fd >= 0 && UNM_REAL(poll)(&pfd, 1, 0) != 0)
		drop_session();
	if (session.fd < 0) {
		err = try_all(&absent);
		if (err < 0 && may_start && absent != UNM_INSTANCE_N)
			start_netmapd(absent);
	}
	pthread_mutex_unlock(&lock);
	return err;
}

unsigned int
unm_session_patience(void)
{
	return UNM_READ_ONCE(patience_ms);
}

void
unm_session_set_patience(unsigned int ms)
{
	UNM_WRITE_ONCE(patience_ms, ms);
}

/* Who waits sees it within a slice. */
void
unm_session_hang_up(unsigned int ms)
{
	if (!unm_process_is_ours())
		return;
	UNM_WRITE_ONCE(session.over_ms, ms);
	__atomic_store_n(&session.ending_ms, now_ms(), __ATOMIC_RELEASE);
}

void
unm_session_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	session.has_tired = session.is_over = false;
	session.ending_ms = 0;
	close_session(); /* the socket is our parent's: a copy here would hide its death */
}
