/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One message: what its length and descriptors must be, who may send it when, and the small requests.
 *
 * Everything is checked before anything is done; descriptors that no handler has kept are closed at the end. A
 * request that can't be understood but has a proper header gets EPROTO as its answer and the session goes on.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/elsewhere.h"
#include "daemon/server.h"

#include "daemon/bitmap.h"
#include "daemon/isolate.h"
#include "daemon/missing.h"
#include "daemon/monitors.h"
#include "daemon/tap.h"
#include "shm/lock.h"

/* A request that waits for the end of the restore phase, or for its next step. */
struct unm_held {
	bool is_step;
	struct unm_msg_hdr hdr;
	int fds[UNM_PROTO_MAXFDS];
	unsigned int n_fds;
	size_t len;
	char buf[] __attribute__((aligned(8)));
};

static void
handle_hello(struct unm_msg *m)
{
	const struct unm_msg_hello *req = m->body;
	struct unm_msg_hello *ans = (struct unm_msg_hello *)(void *)m->out;
	struct unm_server *srv = m->srv;
	uint32_t tries;

	memset(ans, 0, sizeof(*ans));
	ans->proto_version = UNM_PROTO_VERSION;
	ans->instance = srv->instance;
	ans->pid = getpid();
	ans->flags = srv->is_system && !srv->is_autostarted ? UNM_HELLOF_SYSTEM : 0;
	if (!srv->is_autostarted)
		ans->flags |= UNM_HELLOF_BY_HAND;
	if (unm_elsewhere_is(m->s))
		ans->flags |= UNM_HELLOF_ELSEWHERE;
	snprintf(ans->version, sizeof(ans->version), "%s", UNM_VERSION);
	m->out_len = sizeof(*ans);
	if (m->s->is_denied) {
		m->error = EPERM;
		snprintf(ans->text, sizeof(ans->text), "%.*s", (int)sizeof(ans->text) - 1,
			m->s->reason.text);
		return;
	}
	if (req->proto_version != UNM_PROTO_VERSION) {
		m->error = EPROTO;
		snprintf(ans->text, sizeof(ans->text),
			"netmapd " UNM_VERSION " speaks protocol %u, this program's libnetmap %u: "
			"install both from one release, restart both",
			UNM_PROTO_VERSION, req->proto_version);
		return;
	}
	if (m->s->slot != 0) {
		ans->slot = m->s->slot; /* said twice: the same answer */
		return;
	}
	if (srv->n_sessions >= srv->cfg.clients) {
		m->error = EAGAIN;
		snprintf(ans->text, sizeof(ans->text),
			"netmapd serves %u clients, its limit: raise [limits] clients in "
			"netmapd.conf",
			srv->n_sessions);
		return;
	}
	/* The slot of before a restart, as locks may carry it; else the next one round, so that numbers are not reused soon. */
	ans->slot = req->slot;
	for (tries = 0; tries < UNM_SLOT_NETMAPD; tries++) {
		if (ans->slot > 0 && ans->slot < UNM_SLOT_NETMAPD &&
			!unm_bit_test(srv->slots_used, ans->slot))
			break;
		srv->next_slot = srv->next_slot + 1 < UNM_SLOT_NETMAPD ? srv->next_slot + 1 : 1;
		ans->slot = srv->next_slot;
	}
	unm_bit_set(srv->slots_used, ans->slot);
	m->s->slot = ans->slot;
	snprintf(m->s->version, sizeof(m->s->version), "%.*s", (int)sizeof(req->version) - 1,
		req->version);
	m->s->is_returning = req->instance != 0;
	m->s->started = unm_process_started(m->s->pid);
	srv->n_sessions++;
	unm_state_file_update(srv);
}

static void
handle_open(struct unm_msg *m)
{
	const struct unm_msg_open *req = m->body;
	struct unm_desc *d;
	const int ret = unm_desc_add(m->srv, m->fds[0], m->fds[1], req->desc_id, m->s->pid, &d);

	if (ret < 0)
		m->error = -ret;
	else
		m->fds[0] = -1;
}

void
unm_answer_binding(struct unm_msg *m, const struct unm_desc *d, struct unm_bind_info *info)
{
	const struct unm_dport *port = d->binding.port;
	uint32_t i;

	unm_bind_info(&d->binding, d->id, info);
	m->out_fds[0] = d->src.fd;
	m->out_fds[1] = port->region->fd;
	m->out_fds[2] = port->region->map_fd;
	m->out_fds[3] = port->seg->fd;
	m->out_fds[4] = d->binding.wake_fd;
	for (i = 0; i < info->n_port_fds; i++)
		m->out_fds[UNM_BIND_FDS + i] = port->port_fds[i];
	m->n_out_fds = UNM_BIND_FDS + info->n_port_fds;
}

static void
handle_get_binding(struct unm_msg *m)
{
	const struct unm_msg_get_binding *req = m->body;
	struct unm_msg_get_binding *ans = (struct unm_msg_get_binding *)(void *)m->out;
	const struct unm_desc *d = unm_desc_find_held(m->srv, req->desc_id, m->fds[0]);

	memset(ans, 0, sizeof(*ans));
	memcpy(ans->desc_id, req->desc_id, sizeof(ans->desc_id));
	m->out_len = sizeof(*ans);
	if (d == NULL) {
		m->error = ENXIO;
		return;
	}
	ans->is_open = 1;
	if (d->binding.port == NULL) {
		m->error = ENXIO;
		m->out_fds[0] = d->src.fd;
		m->n_out_fds = 1;
		return;
	}
	ans->has_bind_info = 1;
	unm_answer_binding(m, d, &ans->info);
}

static void
handle_unbind(struct unm_msg *m)
{
	const struct unm_msg_unbind *req = m->body;
	struct unm_desc *d = unm_desc_find_held(m->srv, req->desc_id, m->fds[0]);

	if (d != NULL)
		unm_unbind(&m->srv->dom, &d->binding);
	else
		m->error = EBADF;
}

static void
handle_get_region(struct unm_msg *m)
{
	const struct unm_msg_get_region *req = m->body;
	struct unm_msg_get_region *ans = (struct unm_msg_get_region *)(void *)m->out;
	const struct unm_dregion *r = unm_dregion_by_uid(&m->srv->dom.regions, req->info.uid);

	memset(ans, 0, sizeof(*ans));
	m->out_len = sizeof(*ans);
	if (r == NULL) {
		ans->info.uid = req->info.uid;
		m->error = ESTALE;
		return;
	}
	ans->info = r->info;
	m->out_fds[0] = r->fd;
	m->n_out_fds = 1;
}

static void
handle_get_wake(struct unm_msg *m)
{
	const struct unm_msg_get_wake *req = m->body;
	const uint64_t one = 1;
	const struct unm_dseg *seg = unm_domain_seg_by_uid(&m->srv->dom, req->seg_uid);

	memcpy(m->out, req, sizeof(*req));
	m->out_len = sizeof(*req);
	if (seg == NULL || req->binding >= seg->n_bindings ||
		!unm_bit_test(seg->binding_used, req->binding) ||
		UNM_READ_ONCE(seg->bindings[req->binding].gen) != req->binding_gen) {
		m->error = ESTALE;
		return;
	}
	/* Signalled here, too: the client asks because somebody has to be woken, and may have no descriptor left for the answer. */
	if (write(seg->wake_fds[req->binding], &one, sizeof(one)) < 0 && errno != EAGAIN)
		unm_log_peer(LOG_WARNING, "can't wake a client: %s", strerror(errno));
	m->out_fds[0] = seg->wake_fds[req->binding];
	m->n_out_fds = 1;
}

/* Does this client forward for a port of the switch? */
static bool
is_worker_on(const struct unm_server *srv, pid_t pid, const struct unm_dseg *seg)
{
	const struct unm_dport *p;

	for (p = srv->dom.ports; p != NULL; p = p->next) {
		if (p->seg == seg && !p->is_dying && (p->flags & UNM_PORTF_ATTACHED) &&
			p->worker_pid == pid)
			return true;
	}
	return false;
}

static void
handle_get_queues(struct unm_msg *m)
{
	const struct unm_msg_get_queues *req = m->body;
	struct unm_domain *dom = &m->srv->dom;
	const struct unm_dseg *seg = unm_domain_seg_by_uid(dom, req->seg_uid);
	const struct unm_dport *p = seg != NULL ? dom->ports : NULL;
	const struct unm_dport *tap;
	uint32_t i;

	memcpy(m->out, req, sizeof(*req));
	m->out_len = sizeof(*req);
	while (p != NULL && (p->seg != seg || p->idx != req->port || p->is_dying))
		p = p->next;
	if (p != NULL && !is_worker_on(m->srv, m->s->pid, seg)) {
		m->error = EPERM;
		return;
	}
	tap = p != NULL && p->gen == req->port_gen ? unm_tap_behind(dom, p) : NULL;
	if (tap == NULL || tap->n_port_fds == 0) {
		m->error = ESTALE;
		return;
	}
	for (i = 0; i < tap->n_port_fds; i++)
		m->out_fds[i] = tap->port_fds[i];
	m->n_out_fds = i;
}

static void
handle_lock_stuck(struct unm_msg *m)
{
	const struct unm_msg_lock_stuck *req = m->body;
	const struct unm_dseg *seg = unm_domain_seg_by_uid(&m->srv->dom, req->seg_uid);
	struct unm_kring *k;
	uint32_t *words[2];
	int i;

	if (seg == NULL || req->kring >= seg->n_krings ||
		!unm_bit_test(seg->kring_used, req->kring)) {
		m->error = ESTALE;
		return;
	}
	if (!unm_lock_is_dead(m->srv, req->word))
		return;
	unm_monitors_repair(m->srv, seg, 0);
	k = &seg->krings[req->kring];
	words[0] = &k->lock;
	words[1] = &k->busy;
	for (i = 0; i < 2; i++) {
		if (UNM_READ_ONCE(*words[i]) == req->word && unm_cas(words[i], req->word, 0)) {
			unm_lock_wake(words[i]);
			unm_log_peer(
				LOG_WARNING, "%s: broke a lock that nobody alive held", seg->name);
		}
	}
}

#define FDS_AS_SAID UINT32_MAX /* the handler checks */

/* What happens to a request while the clients of a previous run are coming back. */
enum restore_rule {
	SERVE,	       /* as always */
	WAIT,	       /* held until the phase is over */
	WAIT_ON_ERROR, /* tried, and held if what it names is not there (yet) */
};

struct msg_rule {
	void (*handle)(struct unm_msg *m);
	uint32_t min_len, max_len; /* of the body */
	uint32_t n_fds;
	bool before_hello;
	enum restore_rule in_restore;
};

#define BODY(type) sizeof(struct type), sizeof(struct type)

static const struct msg_rule rules[UNM_MSG_N] = {
	[UNM_MSG_HELLO] = {handle_hello, BODY(unm_msg_hello), 0, true, SERVE},
	[UNM_MSG_OPEN] = {handle_open, BODY(unm_msg_open), 2, false, SERVE},
	[UNM_MSG_CTRL] = {unm_handle_ctrl, sizeof(struct unm_msg_ctrl),
		sizeof(struct unm_msg_ctrl) + 88 + 2 * UNM_REQ_MAXSIZE, FDS_AS_SAID, false, WAIT},
	[UNM_MSG_GET_BINDING] = {handle_get_binding, BODY(unm_msg_get_binding), 1, false,
		WAIT_ON_ERROR},
	[UNM_MSG_GET_REGION] = {handle_get_region, BODY(unm_msg_get_region), 0, false,
		WAIT_ON_ERROR},
	[UNM_MSG_GET_WAKE] = {handle_get_wake, BODY(unm_msg_get_wake), 0, false, WAIT_ON_ERROR},
	[UNM_MSG_GET_QUEUES] = {handle_get_queues, BODY(unm_msg_get_queues), 0, false,
		WAIT_ON_ERROR},
	[UNM_MSG_LOCK_STUCK] = {handle_lock_stuck, BODY(unm_msg_lock_stuck), 0, false, WAIT},
	[UNM_MSG_RESTORE] = {unm_handle_restore, BODY(unm_msg_restore), FDS_AS_SAID, false, SERVE},
	[UNM_MSG_RESTORE_DONE] = {unm_handle_restore_done, 0, 0, 0, false, SERVE},
	[UNM_MSG_UNBIND] = {handle_unbind, BODY(unm_msg_unbind), 1, false, WAIT},
	[UNM_MSG_BROKER] = {unm_handle_broker, BODY(unm_msg_broker), 1, false, SERVE},
	[UNM_MSG_ADMIN] = {unm_handle_admin, sizeof(struct unm_msg_admin),
		sizeof(struct unm_msg_admin) + UNM_REQ_MAXSIZE, 0, true, SERVE}, /* or m.waits */
};

/* Return: 0 to go on, a positive errno to answer with. */
static int
check_rule(const struct unm_msg *m, const struct msg_rule *rule)
{
	if (rule == NULL || rule->handle == NULL)
		return EOPNOTSUPP;
	if (m->s->is_denied && m->type != UNM_MSG_HELLO)
		return EPERM;
	if (m->s->slot == 0 && !rule->before_hello)
		return EPROTO;
	if (m->len < rule->min_len || m->len > rule->max_len)
		return EPROTO;
	if (rule->n_fds != FDS_AS_SAID && m->n_fds != rule->n_fds)
		return EPROTO;
	return 0;
}

static int
send_answer(struct unm_msg *m)
{
	struct unm_msg_hdr hdr = {.type = m->type, .seq = m->seq, .error = m->error};
	const int ret = unm_proto_send(
		m->s->src.fd, &hdr, m->out, m->out_len, m->out_fds, m->n_out_fds, MSG_DONTWAIT);

	if (ret == -EAGAIN)
		unm_log_peer(LOG_WARNING, "client %d does not read its answers: hanging up",
			(int)m->s->pid);
	return ret;
}

static int
hold(struct unm_session *s, const struct unm_msg_hdr *hdr, const int *fds, unsigned int n_fds)
{
	struct unm_held *h = malloc(sizeof(*h) + hdr->len);

	if (h == NULL)
		return -ENOMEM;
	h->hdr = *hdr;
	h->len = hdr->len;
	h->n_fds = n_fds;
	memcpy(h->fds, fds, n_fds * sizeof(*fds));
	memcpy(h->buf, hdr, hdr->len);
	h->is_step = false;
	s->held = h;
	return unm_loop_mod(&s->srv->loop, &s->src, 0); /* its next request waits in the socket */
}

void
unm_message_free_held(struct unm_session *s)
{
	unsigned int i;

	if (s->held == NULL)
		return;
	for (i = 0; i < s->held->n_fds; i++)
		close(s->held->fds[i]);
	free(s->held);
	s->held = NULL;
}

int
unm_message_handle(struct unm_session *s, const void *buf, const int *fds, unsigned int n_fds)
{
	static char out[UNM_MSG_OUT_SIZE] __attribute__((aligned(8))); /* one thread: one answer */
	const struct unm_msg_hdr *hdr = buf;
	const struct msg_rule *rule = hdr->type < UNM_MSG_N ? &rules[hdr->type] : NULL;
	struct unm_msg m = {
		.s = s,
		.srv = s->srv,
		.type = hdr->type,
		.seq = hdr->seq,
		.body = hdr + 1,
		.len = hdr->len - sizeof(*hdr),
		.n_fds = n_fds,
		.out = out,
		.out_own_fd = -1,
	};
	const bool is_restoring = s->srv->is_restoring;
	unsigned int i;
	int ret;

	memcpy(m.fds, fds, n_fds * sizeof(*fds));
	m.error = check_rule(&m, rule);
	if (m.error == 0) {
		unm_loop_poll_hangups(&s->srv->loop);
		if (!is_restoring || rule->in_restore != WAIT)
			rule->handle(&m);
		if (is_restoring && (rule->in_restore == WAIT || m.waits ||
					    (rule->in_restore == WAIT_ON_ERROR && m.error != 0))) {
			ret = hold(s, hdr, fds, n_fds);
			if (ret == 0)
				return 0;
			m.error = -ret;
		}
	}
	if (m.goes_on) {
		ret = hold(s, hdr, fds, n_fds);
		if (ret == 0) {
			s->held->is_step = true;
			unm_server_arm_timer(s->srv);
			return 0;
		}
		m.error = -ret;
	}
	if (s->srv->dom.regions.ids.is_changed)
		unm_state_file_update(s->srv);
	/* First: a copy of C must not keep D from hanging up when the client has closed its own. */
	for (i = 0; i < n_fds; i++) {
		if (m.fds[i] >= 0)
			close(m.fds[i]);
	}
	ret = send_answer(&m);
	if (m.out_own_fd >= 0)
		close(m.out_own_fd);
	if (m.wants_restore_check)
		unm_restore_check(s->srv);
	unm_server_arm_timer(s->srv);
	return ret;
}

static void
run_held(struct unm_server *srv, bool steps_only)
{
	struct unm_session *s, *next;

	for (s = srv->sessions; s != NULL; s = next) {
		struct unm_held *h = s->held;
		int ret;

		next = s->next;
		if (h == NULL || (steps_only && !h->is_step))
			continue;
		s->held = NULL;
		ret = unm_loop_mod(&srv->loop, &s->src, EPOLLIN | EPOLLRDHUP);
		if (ret == 0)
			ret = unm_message_handle(s, h->buf, h->fds, h->n_fds);
		free(h);
		if (ret < 0)
			unm_session_end(s);
	}
}

void
unm_message_run_held(struct unm_server *srv)
{
	run_held(srv, false);
}

void
unm_message_run_steps(struct unm_server *srv)
{
	run_held(srv, true);
}

bool
unm_message_has_steps(const struct unm_server *srv)
{
	const struct unm_session *s;

	for (s = srv->sessions; s != NULL; s = s->next) {
		if (s->held != NULL && s->held->is_step)
			return true;
	}
	return false;
}
