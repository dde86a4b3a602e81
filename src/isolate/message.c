/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One message of an isolated client. See broker.h.
 *
 * As in netmapd, everything is checked before anything is done, descriptors that nobody keeps are
 * closed, and what can't be understood is answered with EPROTO. What a client may not ask at all is
 * answered with EPERM.
 *
 * Closing is not done here, as it may wait (shm/closer.h), but it comes before the answer: a copy of C
 * that came as a proof must not keep D from hanging up when the client has closed its own. So a
 * message with descriptors has a second half, which runs when they are closed. Who sends what can't
 * be closed waits for it, and nobody else does.
 */
/* Syscalls: shutdown */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "isolate/broker.h"
#include "shm/desc_id.h"

#define OUT_SIZE    (UNM_PROTO_MAXLEN - sizeof(struct unm_msg_hdr))
#define LAST_SLOT   65535u
#define SPARE_DESCS 64u /* descriptors that are open, but not registered */
#define FDS_AS_SAID UINT32_MAX

/* What is left of a message's descriptors. */
struct taken {
	unsigned int n_fds;  /* that there were */
	uint64_t cookies[2]; /* of the first ones */
	int d_fd;	     /* D, for a handler that keeps it and puts -1 in its place; or -1 */
	int error;	     /* positive errno: the answer */
};

struct unm_iheld {
	struct taken t;
	char buf[] __attribute__((aligned(8)));
};

struct message {
	struct unm_isession *s;
	struct unm_broker *br;
	const void *body;
	size_t len;
	struct taken *t;
	int error; /* positive errno */
	char *out;
	size_t out_len;
	int out_fds[UNM_BIND_FDS]; /* borrowed */
	unsigned int n_out_fds;
};

static bool
slot_is_used(const struct unm_broker *br, uint32_t slot)
{
	const struct unm_isession *s;

	for (s = br->sessions; s != NULL; s = s->next)
		if (s->slot == slot)
			return true;
	return false;
}

static void
handle_hello(struct message *m)
{
	const struct unm_msg_hello *req = m->body;
	struct unm_msg_hello *ans = (struct unm_msg_hello *)(void *)m->out;
	struct unm_broker *br = m->br;

	memset(ans, 0, sizeof(*ans));
	ans->proto_version = UNM_PROTO_VERSION;
	ans->instance = br->instance;
	ans->flags = UNM_HELLOF_ISOLATED;
	snprintf(ans->version, sizeof(ans->version), "%s", UNM_VERSION);
	m->out_len = sizeof(*ans);
	if (req->proto_version != UNM_PROTO_VERSION) {
		m->error = EPROTO;
		snprintf(ans->text, sizeof(ans->text),
			"unetmap " UNM_VERSION " out there speaks protocol %u, this program's "
			"libnetmap %u: install the same release in here",
			UNM_PROTO_VERSION, req->proto_version);
		return;
	}
	/* Fewer sessions than slots: the walk ends. Numbers are not used again soon. */
	while (m->s->slot == 0) {
		br->last_slot = br->last_slot % LAST_SLOT + 1;
		if (!slot_is_used(br, br->last_slot))
			m->s->slot = br->last_slot;
	}
	ans->slot = m->s->slot;
}

/* --- descriptors --- */

/* The one of that id of which the message has a proof: who knows the id only knows nothing. */
static struct unm_idesc *
find_desc(const struct message *m, const uint8_t *id)
{
	const uint64_t cookie = m->t->cookies[0];
	struct unm_idesc *d;

	for (d = cookie != 0 ? m->br->descs : NULL; d != NULL; d = d->next)
		if ((cookie == d->cookies[0] || cookie == d->cookies[1]) &&
			memcmp(d->id, id, sizeof(d->id)) == 0)
			break;
	return d;
}

static void
desc_hangup(struct unm_source *src, uint32_t events)
{
	struct unm_idesc *d =
		(struct unm_idesc *)(void *)((char *)src - offsetof(struct unm_idesc, src));
	struct unm_broker *br = d->br;
	struct unm_idesc **pp;

	(void)events; /* nothing but a hang-up or an error is reported */
	unm_loop_del_hup(&br->loop, &d->src);
	unm_ibinding_end(br, d);
	for (pp = &br->descs; *pp != d; pp = &(*pp)->next)
		continue;
	*pp = d->next;
	br->n_descs--;
	unm_closer_abandon(d->src.fd, &br->n_descs_left);
	free(d);
}

static int
add_desc(struct message *m, const uint8_t *id)
{
	struct unm_broker *br = m->br;
	const uint32_t n_left = __atomic_load_n(&br->n_descs_left, __ATOMIC_RELAXED);
	struct unm_idesc *d;
	int err;

	if (find_desc(m, id) != NULL)
		return -EEXIST;
	if (br->n_descs + n_left >= br->n_bindings + br->policy.max_clients + SPARE_DESCS)
		return -EMFILE;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->src.fd = m->t->d_fd;
	d->src.ready = desc_hangup;
	d->br = br;
	memcpy(d->id, id, sizeof(d->id));
	memcpy(d->cookies, m->t->cookies, sizeof(d->cookies));
	d->session_id = m->s->id;
	err = unm_loop_add_hup(&br->loop, &d->src);
	if (err < 0) {
		free(d);
		return err;
	}
	m->t->d_fd = -1;
	d->next = br->descs;
	br->descs = d;
	br->n_descs++;
	return 0;
}

static void
handle_open(struct message *m)
{
	const struct unm_msg_open *req = m->body;

	m->error = -add_desc(m, req->desc_id);
}

/* With the binding's descriptors in the answer. */
static void
answer_binding(struct message *m, const struct unm_idesc *d, struct unm_bind_info *info)
{
	*info = d->binding->info;
	unm_ibinding_fds(d, m->out_fds);
	m->n_out_fds = UNM_BIND_FDS;
}

static void
handle_get_binding(struct message *m)
{
	const struct unm_msg_get_binding *req = m->body;
	struct unm_msg_get_binding *ans = (struct unm_msg_get_binding *)(void *)m->out;
	const struct unm_idesc *d = find_desc(m, req->desc_id);

	memset(ans, 0, sizeof(*ans));
	memcpy(ans->desc_id, req->desc_id, sizeof(ans->desc_id));
	m->out_len = sizeof(*ans);
	if (d == NULL || d->binding == NULL) {
		m->error = ENXIO;
		ans->is_open = d != NULL;
		if (d != NULL) {
			m->out_fds[0] = d->src.fd;
			m->n_out_fds = 1;
		}
		return;
	}
	ans->is_open = 1;
	ans->has_bind_info = 1;
	answer_binding(m, d, &ans->info);
}

/* Its own eventfd: one process of the client wakes another one. */
static void
handle_get_wake(struct message *m)
{
	const struct unm_msg_get_wake *req = m->body;
	const struct unm_idesc *d;

	memcpy(m->out, req, sizeof(*req));
	m->out_len = sizeof(*req);
	m->error = ESTALE;
	for (d = m->br->descs; d != NULL; d = d->next) {
		if (d->binding == NULL || d->binding->info.seg_uid != req->seg_uid)
			continue;
		m->error = 0;
		m->out_fds[0] = d->binding->call_fd;
		m->n_out_fds = 1;
		unm_pump_call(m->br->pump, &d->binding->pump); /* as netmapd does */
		return;
	}
}

static void
handle_unbind(struct message *m)
{
	const struct unm_msg_unbind *req = m->body;
	struct unm_idesc *d = find_desc(m, req->desc_id);

	if (d != NULL)
		unm_ibinding_end(m->br, d);
	else
		m->error = EBADF;
}

/* Of our predecessor's bindings nothing is left; of what was only open, all that there is. */
static void
handle_restore(struct message *m)
{
	const struct unm_msg_restore *req = m->body;

	m->error = -add_desc(m, req->info.desc_id);
}

static void
handle_restore_done(struct message *m)
{
	(void)m; /* nobody waits for it */
}

static void
handle_ctrl(struct message *m)
{
	const struct unm_msg_ctrl *req = m->body;
	struct unm_msg_ctrl *ans = (struct unm_msg_ctrl *)(void *)m->out;
	struct unm_irequest r = {.br = m->br, .s = m->s, .len = req->blob_len};
	int ret;

	if (req->blob_len != m->len - sizeof(*req) || r.len < sizeof(struct nmreq_header) ||
		r.len % 8 != 0 || req->has_extmem > 1 || m->t->n_fds != 1 + req->has_extmem) {
		m->error = EPROTO;
		return;
	}
	memcpy(ans, req, m->len);
	memset(ans->text, 0, sizeof(ans->text));
	ans->has_bind_info = 0;
	m->out_len = m->len;
	r.blob = (char *)ans->blob;
	r.has_extmem = req->has_extmem != 0;
	r.has_csb = req->has_csb != 0;
	r.desc = find_desc(m, req->desc_id);
	ret = r.desc == NULL ? unm_fail(&r.why, -EBADF, "the broker does not know this descriptor")
			     : unm_broker_request(&r);
	if (ret < 0) {
		m->error = -ret;
		snprintf(ans->text, sizeof(ans->text), "%s", r.why.text);
		return;
	}
	if (r.has_registered) {
		ans->has_bind_info = 1;
		answer_binding(m, r.desc, (struct unm_bind_info *)(void *)(ans->blob + r.len));
		m->out_len += sizeof(struct unm_bind_info);
	}
}

struct rule {
	void (*handle)(struct message *m);
	size_t min_len, max_len;
	uint32_t n_fds;
};

#define BODY(t) sizeof(struct t), sizeof(struct t)

/* Types that are not in here are for trusted clients. */
static const struct rule rules[UNM_MSG_N] = {
	[UNM_MSG_HELLO] = {handle_hello, BODY(unm_msg_hello), 0},
	[UNM_MSG_OPEN] = {handle_open, BODY(unm_msg_open), 2},
	[UNM_MSG_CTRL] = {handle_ctrl, sizeof(struct unm_msg_ctrl) + sizeof(struct nmreq_header),
		sizeof(struct unm_msg_ctrl) + sizeof(struct nmreq_header) + UNM_REQ_MAXSIZE,
		FDS_AS_SAID},
	[UNM_MSG_GET_BINDING] = {handle_get_binding, BODY(unm_msg_get_binding), 1},
	[UNM_MSG_GET_WAKE] = {handle_get_wake, BODY(unm_msg_get_wake), 0},
	[UNM_MSG_RESTORE] = {handle_restore, BODY(unm_msg_restore), FDS_AS_SAID},
	[UNM_MSG_RESTORE_DONE] = {handle_restore_done, 0, 0, 0},
	[UNM_MSG_UNBIND] = {handle_unbind, BODY(unm_msg_unbind), 1},
};

/* nmctl asks without a HELLO, and shows the answer's text. */
static void
refuse_admin(struct message *m)
{
	static const char text[] = "this socket is for isolated clients: nmctl needs netmapd's own";
	struct unm_msg_admin *ans = (struct unm_msg_admin *)(void *)m->out;

	memset(ans, 0, sizeof(*ans));
	ans->text_len = sizeof(text) - 1;
	memcpy(ans->text, text, sizeof(text) - 1);
	m->out_len = sizeof(*ans) + sizeof(text) - 1;
}

/* Return: 0 to go on, a positive errno to answer with. */
static int
check_rule(const struct unm_isession *s, const struct unm_msg_hdr *hdr)
{
	const struct rule *rule = hdr->type < UNM_MSG_N ? &rules[hdr->type] : NULL;
	const size_t len = hdr->len - sizeof(*hdr);

	if (rule == NULL || hdr->type == 0)
		return EOPNOTSUPP;
	if (rule->handle == NULL)
		return EPERM;
	if (s->slot == 0 && hdr->type != UNM_MSG_HELLO)
		return EPROTO;
	if (len < rule->min_len || len > rule->max_len)
		return EPROTO;
	return rule->n_fds != FDS_AS_SAID && hdr->n_fds != rule->n_fds ? EPROTO : 0;
}

/*
 * D is kept, so nothing may lie in its queue: not a client's end of its own session, nor C itself, as
 * neither would ever hang up. Return: 0 or a positive errno.
 */
static int
take_desc(struct unm_isession *s, const struct unm_msg_hdr *hdr, int *fds, struct taken *t)
{
	const struct unm_msg_open *o = (const struct unm_msg_open *)(hdr + 1);
	const struct unm_msg_restore *r = (const struct unm_msg_restore *)(hdr + 1);
	int err;

	if (hdr->type == UNM_MSG_RESTORE && (r->registered || t->n_fds != 2))
		return ESTALE;
	err = unm_desc_id_check(
		fds[0], hdr->type == UNM_MSG_RESTORE ? r->info.desc_id : o->desc_id);
	if (err == 0 && shutdown(fds[0], SHUT_RD) < 0)
		err = -errno;
	if (err == 0)
		err = unm_closer_empty(s->closing, fds[0]);
	if (err < 0)
		return -err;
	t->d_fd = fds[0];
	fds[0] = -1;
	return 0;
}

static int
handle(struct unm_isession *s, const struct unm_msg_hdr *req, struct taken *t)
{
	static char out[OUT_SIZE] __attribute__((aligned(8))); /* one thread: one answer */
	struct unm_msg_hdr hdr = {.type = req->type, .seq = req->seq};
	struct message m = {
		.s = s,
		.br = s->br,
		.body = req + 1,
		.len = req->len - sizeof(*req),
		.t = t,
		.error = t->error,
		.out = out,
	};
	int ret;

	if (m.error == EPERM && req->type == UNM_MSG_ADMIN)
		refuse_admin(&m);
	if (m.error == 0) {
		unm_loop_poll_hangups(&s->br->loop);
		rules[req->type].handle(&m);
	}
	hdr.error = m.error;
	ret = unm_proto_send(
		s->src.fd, &hdr, m.out, m.out_len, m.out_fds, m.n_out_fds, MSG_DONTWAIT);
	if (t->d_fd >= 0)
		unm_closer_close(s->closing, t->d_fd);
	return ret;
}

int
unm_broker_message(struct unm_isession *s, const void *buf, int *fds, unsigned int n_fds)
{
	const struct unm_msg_hdr *hdr = buf;
	struct taken t = {.n_fds = n_fds, .d_fd = -1, .error = check_rule(s, hdr)};
	unsigned int i;

	for (i = 0; i < n_fds && i < 2; i++)
		t.cookies[i] = unm_desc_cookie(fds[i]);
	if (t.error == 0 && (hdr->type == UNM_MSG_OPEN || hdr->type == UNM_MSG_RESTORE))
		t.error = take_desc(s, hdr, fds, &t);
	for (i = 0; i < n_fds; i++)
		if (fds[i] >= 0)
			unm_closer_close(s->closing, fds[i]);
	if (unm_closer_len(s->closing) == 0)
		return handle(s, hdr, &t);
	s->held = malloc(sizeof(*s->held) + hdr->len);
	if (s->held == NULL) {
		if (t.d_fd >= 0)
			unm_closer_close(s->closing, t.d_fd);
		return -ENOMEM;
	}
	s->held->t = t;
	memcpy(s->held->buf, buf, hdr->len);
	return 0;
}

int
unm_broker_go_on(struct unm_isession *s)
{
	struct unm_iheld *h = s->held;
	int ret;

	s->held = NULL;
	ret = handle(s, (const struct unm_msg_hdr *)(const void *)h->buf, &h->t);
	free(h);
	return ret;
}

void
unm_broker_drop_held(struct unm_isession *s)
{
	if (s->held == NULL)
		return;
	if (s->held->t.d_fd >= 0)
		unm_closer_close(s->closing, s->held->t.d_fd);
	free(s->held);
	s->held = NULL;
}
