/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netmapd's loop: accepting clients, noticing that they are gone, and the few moments at which it
 * wakes by itself.
 *
 * The timer is armed only while there is something to wait for: a ring that a live client still
 * holds, the end of the restore phase, the exit of an instance started on demand. An idle netmapd
 * sleeps without end.
 */
/* Syscalls: stat newfstatat accept4 getsockopt signalfd4 timerfd_create timerfd_settime openat */
/* Syscalls: shutdown */
#include "daemon/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/bitmap.h"
#include "daemon/child.h"
#include "daemon/home.h"
#include "daemon/isolate.h"
#include "daemon/missing.h"
#include "daemon/monitors.h"
#include "daemon/worker.h"
#include "shm/closer.h"
#include "shm/lock.h"
#include "shm/clock.h"
#include "shm/user_ns.h"

#define REAP_INTERVAL_NS UINT64_C(20000000)
#define REAP_LONGEST_NS	 UINT64_C(1280000000)
#define NS_PER_S	 UINT64_C(1000000000)
#define DEAF_NS		 UINT64_C(20000000)
#define MAX_GROUPS	 1024
#define SPARE_CLIENTS                                                                              \
	64u /* connections beyond the limit of clients, for nmctl and for refusals with a reason */

/*
 * Whom we don't trust, or don't know yet, must not keep us by what he sends, nor by what lies in his
 * connection: that is closed elsewhere (shm/closer.h).
 */

/* --- who may connect --- */

static bool
is_in_group(int sock, gid_t primary, gid_t wanted)
{
	gid_t groups[MAX_GROUPS];
	socklen_t len = sizeof(groups);
	size_t i;

	if (wanted == UNM_CONFIG_GID_NONE)
		return false;
	if (primary == wanted)
		return true;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == wanted)
			return true;
	}
	return false;
}

static void
check_credentials(struct unm_session *s)
{
	const struct unm_config *cfg = &s->srv->cfg;
	struct ucred cred = {.pid = 0};
	socklen_t len = sizeof(cred);

	if (getsockopt(s->src.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		s->is_denied = true;
		unm_fail(&s->reason, -EPERM, "netmapd can't tell who you are");
		return;
	}
	s->pid = cred.pid;
	s->uid = cred.uid;
	if (!unm_is_in_our_user_ns(s->pid, s->uid)) {
		s->is_denied = true;
		unm_fail(&s->reason, -EPERM,
			"a program in another %s namespace (a container) is not trusted: make it "
			"a socket with nmctl isolate create",
			s->pid > 0 ? "user" : "PID");
		return;
	}
	if (cred.uid == geteuid() || cred.uid == 0 || is_in_group(s->src.fd, cred.gid, cfg->gid))
		return;
	s->is_denied = true;
	if (cfg->group[0] != '\0')
		unm_fail(&s->reason, -EPERM,
			"user %u may not use this netmapd: become a member of group %s (usermod "
			"-aG %s USER), then log in again",
			cred.uid, cfg->group, cfg->group);
	else
		unm_fail(&s->reason, -EPERM,
			"user %u may not use this netmapd, which runs as user %u and has no group "
			"set ([access] group in netmapd.conf)",
			cred.uid, geteuid());
}

/* --- sessions --- */

/*
 * Whatever lock the client held it will not release; and it may have cleared a want word without
 * signalling.
 */
static void
clean_up_after(struct unm_server *srv, uint32_t slot)
{
	struct unm_dseg *seg;

	for (seg = srv->dom.segs; seg != NULL; seg = seg->next) {
		uint32_t n;

		unm_monitors_repair(srv, seg, slot);
		n = unm_dseg_break_locks(seg, slot);
		if (n > 0)
			unm_log(LOG_INFO, "%s: broke %u locks of a client that is gone", seg->name,
				n);
		unm_dseg_wake(seg);
	}
}

void
unm_session_end(struct unm_session *s)
{
	struct unm_server *srv = s->srv;
	struct unm_session **pp;

	for (pp = &srv->sessions; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == s) {
			*pp = s->next;
			break;
		}
	}
	unm_loop_del(&srv->loop, &s->src);
	if (s->closing != NULL) {
		shutdown(s->src.fd, SHUT_RDWR); /* at once, however long the closing takes */
		unm_closer_close(s->closing, s->src.fd);
		unm_closer_end(s->closing, &srv->n_left);
	} else {
		close(s->src.fd);
	}
	unm_message_free_held(s);
	srv->n_connections--;
	if (s->slot != 0) {
		unm_bit_clear(srv->slots_used, s->slot);
		srv->n_sessions--;
		if (s->has_restored)
			unm_restore_leaves(srv);
		clean_up_after(srv, s->slot);
		unm_state_file_update(srv);
	}
	free(s);
	unm_server_arm_timer(srv);
}

/* How many there may be, and how to get more. */
static void
explain_fds(const struct unm_server *srv, char *text, size_t size)
{
	snprintf(text, size,
		srv->is_autostarted ? "netmapd has used up its %ld descriptors, the limit of the "
				      "program that started it: nmctl stop, then ulimit -Hn 1048576"
				    : "netmapd has used up its %ld descriptors: raise LimitNOFILE= "
				      "of its unit, or ulimit -Hn before it starts",
		sysconf(_SC_OPEN_MAX));
}

static void
answer_out_of_fds(struct unm_session *s, const struct unm_msg_hdr *req)
{
	struct unm_msg_hdr hdr = {.type = req->type, .seq = req->seq, .error = EMFILE};
	struct unm_msg_ctrl body = {.blob_len = 0};

	explain_fds(s->srv, body.text, sizeof(body.text));
	unm_log_peer(LOG_ERR, "%s", body.text);
	unm_proto_send(s->src.fd, &hdr, &body, req->type == UNM_MSG_CTRL ? sizeof(body) : 0, NULL,
		0, MSG_DONTWAIT);
}

/* Of one who is denied. Nothing that he may ask comes with descriptors. */
static int
receive_denied(struct unm_session *s, char *buf)
{
	int fds[UNM_PROTO_SCM_FDS], ret;
	unsigned int n_fds, i;

	ret = unm_proto_recv_foreign(s->src.fd, buf, UNM_PROTO_MAXLEN, fds, &n_fds);
	for (i = 0; i < n_fds; i++)
		unm_closer_close(s->closing, fds[i]);
	return n_fds > 0 || ret == -EMFILE ? -ECONNRESET : ret;
}

static void
session_ready(struct unm_source *src, uint32_t events)
{
	static char buf[UNM_PROTO_MAXLEN] __attribute__((aligned(8))); /* one thread: one message */
	struct unm_session *s =
		(struct unm_session *)(void *)((char *)src - offsetof(struct unm_session, src));
	int fds[UNM_PROTO_MAXFDS];
	unsigned int n_fds = 0;
	int ret;

	if (s->held != NULL) { /* not asked to read: this is a hang-up */
		unm_session_end(s);
		return;
	}
	if (s->is_denied)
		ret = receive_denied(s, buf);
	else
		ret = unm_proto_recv(s->src.fd, buf, sizeof(buf), fds, &n_fds, MSG_DONTWAIT);
	if (ret == -EAGAIN && !(events & (EPOLLHUP | EPOLLERR)))
		return;
	if (ret == -EMFILE) {
		answer_out_of_fds(s, (const struct unm_msg_hdr *)(const void *)buf);
		return;
	}
	if (ret == 0)
		ret = unm_message_handle(s, buf, fds, n_fds);
	else if (ret == -EPROTO)
		unm_log_peer(
			LOG_WARNING, "client %d sent what is no message: hanging up", (int)s->pid);
	if (ret < 0)
		unm_session_end(s);
}

/* --- who connects --- */

static unsigned int
n_left(const struct unm_server *srv)
{
	return __atomic_load_n(&srv->n_left, __ATOMIC_RELAXED);
}

static void
stop_listening(struct unm_server *srv)
{
	srv->is_deaf = unm_loop_mod(&srv->loop, &srv->listener, 0) == 0;
	unm_server_arm_timer(srv);
}

static void
listen_again(struct unm_server *srv)
{
	if (!srv->is_deaf)
		return;
	if (srv->spare_fd < 0)
		srv->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (srv->spare_fd >= 0 && n_left(srv) < SPARE_CLIENTS)
		srv->is_deaf = unm_loop_mod(&srv->loop, &srv->listener, EPOLLIN) < 0;
}

/*
 * All descriptors are in use: give up the spare one to tell a client so, or it would wait for ever.
 */
static void
refuse_for_fds(struct unm_server *srv)
{
	struct unm_msg_hello body = {.proto_version = UNM_PROTO_VERSION};
	struct unm_msg_hdr hdr = {.type = UNM_MSG_HELLO, .error = EMFILE};
	int fd;

	explain_fds(srv, body.text, sizeof(body.text));
	close(srv->spare_fd);
	fd = accept4(srv->listener.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0) {
		unm_proto_send(fd, &hdr, &body, sizeof(body), NULL, 0, MSG_DONTWAIT);
		unm_closer_abandon(fd, &srv->n_left);
	}
	srv->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (srv->spare_fd < 0)
		stop_listening(srv); /* until who was told so has been closed */
	unm_log_peer(LOG_ERR, "out of descriptors: refused a client");
}

static void
listener_ready(struct unm_source *src, uint32_t events)
{
	struct unm_server *srv =
		(struct unm_server *)(void *)((char *)src - offsetof(struct unm_server, listener));
	struct unm_session *s;
	int fd;

	(void)events; /* readable is all that was asked for */
	if (n_left(srv) >= SPARE_CLIENTS) {
		stop_listening(srv);
		return;
	}
	fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			refuse_for_fds(srv);
		return;
	}
	s = srv->n_connections < srv->cfg.clients + SPARE_CLIENTS ? calloc(1, sizeof(*s)) : NULL;
	if (s == NULL) {
		unm_log_peer(LOG_ERR, "too many connections (%u): refused one", srv->n_connections);
		unm_closer_abandon(fd, &srv->n_left);
		return;
	}
	s->src.fd = fd;
	s->src.ready = session_ready;
	s->srv = srv;
	check_credentials(s);
	if (s->is_denied)
		s->closing = calloc(1, sizeof(*s->closing));
	if ((s->is_denied && s->closing == NULL) ||
		unm_loop_add(&srv->loop, &s->src, EPOLLIN | EPOLLRDHUP) < 0) {
		unm_closer_abandon(fd, &srv->n_left);
		free(s->closing);
		free(s);
		return;
	}
	s->next = srv->sessions;
	srv->sessions = s;
	srv->n_connections++;
	unm_server_arm_timer(srv);
}

void
unm_server_end_children(struct unm_server *srv)
{
	unm_worker_end_all(srv);
	unm_loop_poll_hangups(&srv->loop); /* what they had open is closed now */
	unm_state_file_update(srv);	   /* nothing is attached any more */
	unm_isolate_end_brokers(srv);
}

/* --- timer and signals --- */

static bool
is_idle(const struct unm_server *srv)
{
	/* Offloads that a late client's end gives back would stay off. */
	return srv->n_connections == 0 && srv->dom.n_ports == 0 && !srv->is_restoring &&
	       !(srv->dom.has_late && srv->dom.offloads != NULL);
}

static void
sooner(uint64_t *deadline, uint64_t t)
{
	if (*deadline == 0 || t < *deadline)
		*deadline = t;
}

void
unm_server_arm_timer(struct unm_server *srv)
{
	const uint64_t now = unm_now_ns();
	struct itimerspec when = {.it_value = {0, 0}};
	uint64_t deadline = 0;

	if (unm_home_has_ended(srv))
		srv->wants_exit = true;
	if (!is_idle(srv))
		srv->idle_since_ns = 0;
	else if (srv->idle_since_ns == 0)
		srv->idle_since_ns = now;
	/* Requests in between must not push it back. */
	if (srv->dom.n_reap == 0) {
		srv->reap_at_ns = 0;
		srv->reap_pause_ns = REAP_INTERVAL_NS;
	} else if (srv->reap_at_ns == 0) {
		srv->reap_at_ns = now + srv->reap_pause_ns;
	}
	if (srv->reap_at_ns != 0)
		sooner(&deadline, srv->reap_at_ns);
	if (srv->is_restoring)
		sooner(&deadline, srv->restore_look_ns);
	if (srv->is_autostarted && srv->cfg.idle_exit_s > 0 && srv->idle_since_ns != 0)
		sooner(&deadline, srv->idle_since_ns + srv->cfg.idle_exit_s * NS_PER_S);
	if (srv->dom.givebacks != NULL || unm_message_has_steps(srv))
		sooner(&deadline, now); /* at once, but after who is waiting already */
	if (unm_child_next_start_ns(srv) != 0)
		sooner(&deadline, unm_child_next_start_ns(srv));
	if (srv->home.look_ns != 0)
		sooner(&deadline, srv->home.look_ns);
	if (srv->is_deaf)
		sooner(&deadline, now + DEAF_NS);
	if (srv->state_retry_ns != 0)
		sooner(&deadline, srv->state_retry_ns);
	when.it_value.tv_sec = (time_t)(deadline / NS_PER_S);
	when.it_value.tv_nsec = (long)(deadline % NS_PER_S);
	if (timerfd_settime(srv->timer.fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		unm_log(LOG_ERR, "can't set the timer: %s", strerror(errno));
}

/* Rings that could not be closed: again, less and less often while that is in vain. */
static void
reap(struct unm_server *srv)
{
	const uint32_t n_before = srv->dom.n_reap;
	struct unm_dseg *seg;

	for (seg = srv->dom.segs; seg != NULL && !srv->is_restoring; seg = seg->next) {
		unm_monitors_repair(srv, seg, 0);
		unm_free_dead_locks(srv, seg);
	}
	unm_domain_reap(&srv->dom);
	if (srv->dom.n_reap < n_before)
		srv->reap_pause_ns = REAP_INTERVAL_NS;
	else if (srv->reap_pause_ns < REAP_LONGEST_NS)
		srv->reap_pause_ns *= 2;
}

static void
timer_ready(struct unm_source *src, uint32_t events)
{
	struct unm_server *srv =
		(struct unm_server *)(void *)((char *)src - offsetof(struct unm_server, timer));
	const uint64_t now = unm_now_ns();
	uint64_t n;

	(void)events; /* readable is all that was asked for */
	if (read(src->fd, &n, sizeof(n)) < 0)
		return;
	if (srv->reap_at_ns != 0 && now >= srv->reap_at_ns) {
		srv->reap_at_ns = 0;
		reap(srv);
	}
	unm_restore_check(srv);
	unm_giveback_step(&srv->dom);
	unm_message_run_steps(srv);
	unm_child_start_due(srv);
	unm_home_look(srv);
	listen_again(srv);
	if (srv->state_retry_ns != 0 && now >= srv->state_retry_ns)
		unm_state_file_update(srv);
	if (srv->is_autostarted && srv->cfg.idle_exit_s > 0 && is_idle(srv) &&
		srv->idle_since_ns != 0 &&
		now >= srv->idle_since_ns + srv->cfg.idle_exit_s * NS_PER_S)
		srv->wants_exit = true;
	unm_server_arm_timer(srv);
}

static void
signal_ready(struct unm_source *src, uint32_t events)
{
	struct unm_server *srv =
		(struct unm_server *)(void *)((char *)src - offsetof(struct unm_server, signals));
	struct signalfd_siginfo si;

	(void)events; /* readable is all that was asked for */
	if (read(src->fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo == SIGCHLD) {
		unm_child_reap(srv);
		unm_server_arm_timer(srv);
		return;
	}
	unm_log(LOG_INFO, "ending on signal %u", si.ssi_signo);
	srv->wants_exit = true;
}

/* --- start and end --- */

static int
make_sources(struct unm_server *srv)
{
	sigset_t set;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is an ENOMEM of one request, not our end */
	srv->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	srv->signals.ready = signal_ready;
	srv->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	srv->timer.ready = timer_ready;
	srv->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (srv->signals.fd < 0 || srv->timer.fd < 0 || srv->spare_fd < 0)
		return -errno;
	ret = unm_loop_add(&srv->loop, &srv->signals, EPOLLIN);
	return ret < 0 ? ret : unm_loop_add(&srv->loop, &srv->timer, EPOLLIN);
}

static void
save_state(struct unm_domain *dom)
{
	unm_state_file_update(
		(struct unm_server *)(void *)((char *)dom - offsetof(struct unm_server, dom)));
}

static void
nic_changed(struct unm_domain *dom, const struct unm_dport *nic, bool is_there)
{
	unm_worker_nic_changed(
		(struct unm_server *)(void *)((char *)dom - offsetof(struct unm_server, dom)), nic,
		is_there);
}

int
unm_server_init(struct unm_server *srv, const struct unm_config *cfg)
{
	const struct unm_port_defaults defaults = {
		.vale_slots = cfg->slots,
		.max_ports = cfg->ports,
		.ageing_s = cfg->ageing_s,
		.nic_mode = cfg->nic_mode,
		.nic_buffers = cfg->nic_buffers,
		.nic_busy_poll_us = cfg->nic_busy_poll_us,
		.nic_may_take_uplink = cfg->nic_may_take_uplink,
	};
	int ret;

	memset(srv, 0, sizeof(*srv));
	srv->cfg = *cfg;
	srv->instance = unm_random64();
	srv->next_slot = (uint32_t)(unm_random64() % (UNM_SLOT_NETMAPD - 1));
	srv->started_ns = unm_now_ns();
	srv->lock_fd = -1;
	srv->reap_pause_ns = REAP_INTERVAL_NS;
	srv->listener.fd = -1;
	unm_domain_init(&srv->dom, &defaults, cfg->memory_mib << 20, cfg->use_huge_pages);
	srv->dom.loop = &srv->loop;
	srv->dom.save = save_state;
	srv->dom.nic_changed = nic_changed;
	srv->slots_used = calloc(UNM_BITMAP_WORDS(65536), sizeof(uint64_t));
	if (srv->slots_used == NULL)
		return -ENOMEM;
	ret = unm_loop_init(&srv->loop);
	return ret < 0 ? ret : make_sources(srv);
}

int
unm_server_listen(struct unm_server *srv, int fd)
{
	srv->listener.fd = fd;
	srv->listener.ready = listener_ready;
	return unm_loop_add(&srv->loop, &srv->listener, EPOLLIN);
}

int
unm_server_run(struct unm_server *srv)
{
	int ret = 0;

	unm_server_arm_timer(srv);
	while (ret == 0 && !srv->wants_exit)
		ret = unm_loop_run_once(&srv->loop);
	return ret;
}

void
unm_server_fini(struct unm_server *srv)
{
	uint32_t i;

	while (srv->sessions != NULL) {
		struct unm_session *s = srv->sessions;

		srv->sessions = s->next;
		close(s->src.fd);
		unm_message_free_held(s);
		if (s->closing != NULL)
			unm_closer_end(s->closing, NULL);
		free(s);
	}
	for (i = 0; i < UNM_DESC_HASH; i++) {
		while (srv->descs[i] != NULL) { /* clients keep theirs: nothing is unregistered */
			struct unm_desc *d = srv->descs[i];

			srv->descs[i] = d->next;
			if (d->binding.wake_fd >= 0)
				close(d->binding.wake_fd);
			close(d->src.fd);
			free(d->pending.extra);
			free(d);
		}
	}
	unm_domain_fini(&srv->dom);
	unm_missing_clear(srv);
	free(srv->slots_used);
	if (srv->listener.fd >= 0)
		close(srv->listener.fd);
	close(srv->timer.fd);
	close(srv->signals.fd);
	close(srv->spare_fd);
	unm_loop_fini(&srv->loop);
}
