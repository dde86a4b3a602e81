/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands of nmctl. See admin.h.
 *
 * create, delete, attach and detach are the requests that any client may make by ioctl: the same
 * handlers serve them, but attach also puts an open port back on the switch that it was taken from. An answer too long for a message comes in a memfd, whose descriptor is
 * attached.
 */
#include "daemon/admin.h"
#include "daemon/nic.h"

#include <errno.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/elsewhere.h"
#include "daemon/isolate.h"
#include "daemon/request.h"
#include "daemon/tap.h"
#include "daemon/worker.h"
#include "shm/atomic.h"

#define MAX_WORDS 40

struct command {
	struct unm_server *srv;
	struct unm_session *s;
	unsigned int n;
	const char *word[MAX_WORDS];
	struct unm_json json;
	struct unm_reason why;
	bool waits; /* unm_msg.waits */
};

/* What changes something waits for the clients of a previous run, as requests of programs do. */
static int
wait_for_restore(struct command *c)
{
	c->waits = true;
	return unm_fail(&c->why, -EAGAIN, "netmapd is out of memory"); /* if it can't wait */
}

static int
parse_u32(struct command *c, const char *text, uint32_t max, uint32_t *out)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || v > max)
		return unm_fail(&c->why, -EINVAL, "'%s' is not a number from 0 to %u", text, max);
	*out = (uint32_t)v;
	return 0;
}

/* Run a request as if it had come by ioctl. */
static int
as_request(struct command *c, const char *name, void *body, int (*handle)(struct unm_ctrl *c))
{
	struct nmreq_header hdr = {.nr_version = NETMAP_API};
	struct unm_ctrl ctrl = {.srv = c->srv,
		.s = c->s,
		.hdr = &hdr,
		.body = body,
		.is_admin = true,
		.extmem_fd = -1};
	int ret;

	if (strlen(name) >= sizeof(hdr.nr_name))
		return unm_fail(&c->why, -EINVAL, "'%s': a name has at most %zu characters", name,
			sizeof(hdr.nr_name) - 1);
	memcpy(hdr.nr_name, name, strlen(name));
	ret = handle(&ctrl);
	c->why = ctrl.why;
	return ret;
}

static int
cmd_show(struct command *c)
{
	const char *what = c->n > 1 ? c->word[1] : "all";
	const char *name = c->n > 2 ? c->word[2] : NULL;
	struct unm_name n;

	if (name != NULL && unm_name_parse(name, &n, NULL) == 0) {
		unm_port_true_name(&c->srv->dom, &n, NULL);
		name = n.full;
	}

	unm_json_open(&c->json, NULL, '{');
	if (!unm_admin_show(c->srv, &c->json, what, name))
		return unm_fail(&c->why, -EINVAL,
			"there is no table '%s': daemon, ports, switches, rings, mac, memory, "
			"clients or all",
			what);
	unm_json_close(&c->json, '}');
	return 0;
}

/* Turn @flag of a port on or off, as @value says. */
static int
set_flag(struct command *c, struct unm_dport *port, uint32_t flag, const char *value)
{
	if (strcmp(value, "on") == 0)
		port->flags |= flag;
	else if (strcmp(value, "off") == 0)
		port->flags &= ~flag;
	else
		return unm_fail(&c->why, -EINVAL, "%s is on or off, not '%s'", c->word[2], value);
	unm_dport_update(port);
	return 0;
}

static int
set_lossless(struct command *c, const char *value)
{
	struct unm_dport *port;
	struct unm_name name;
	int ret = unm_name_parse(c->word[1], &name, &c->why);

	if (ret < 0)
		return ret;
	port = unm_port_find(&c->srv->dom, &name);
	if (port == NULL || port->kind != UNM_PORT_VALE)
		return unm_fail(&c->why, -ENOENT, "there is no VALE port '%s'", name.full);
	ret = set_flag(c, port, UNM_PORTF_LOSSLESS, value);
	if (ret < 0)
		return ret;
	unm_dseg_wake(port->seg); /* who waited for room need not any more */
	if (port->flags & UNM_PORTF_PERSISTENT)
		unm_state_file_update(c->srv);
	return 0;
}

/* Transparent mode of an interface, for clients that do not ask for it ring by ring (spec 13.4). */
static int
set_forward(struct command *c, const char *value)
{
	struct unm_dport *port;
	struct unm_name name;
	bool is_there;
	int ret = unm_name_parse(c->word[1], &name, &c->why);

	if (ret == 0)
		ret = unm_port_true_name(&c->srv->dom, &name, &c->why);
	port = ret == 0 ? unm_port_find(&c->srv->dom, &name) : NULL;
	if (ret != -EBUSY && port == NULL)
		ret = unm_nic_parse_name(c->word[1], &name, &is_there, &c->why);
	if (ret < 0)
		return ret;
	if (port == NULL || port->n_host_fds == 0)
		return unm_fail(&c->why, -ENOENT,
			"there is no interface '%s' with host rings that is open", name.full);
	return set_flag(c, port, UNM_PORTF_FORWARD, value);
}

static int
set_ageing(struct command *c, const char *value)
{
	struct unm_dseg *seg = unm_domain_switch(&c->srv->dom, c->word[1]);
	uint32_t seconds;
	int ret;

	if (seg == NULL)
		return unm_fail(&c->why, -ENOENT, "there is no switch '%s'", c->word[1]);
	ret = parse_u32(c, value, UNM_CONFIG_MAX_AGEING_S, &seconds);
	if (ret < 0)
		return ret;
	UNM_WRITE_ONCE(seg->hdr->max_ageing_s, seconds);
	unm_state_file_update(c->srv);
	return 0;
}

static int
set_interface(struct command *c)
{
	int ret = unm_elsewhere_check(c->s, c->word[1], false, &c->why);
	char note[UNM_NAME_SIZE + 64];
	bool is_there = false;

	if (ret == 0)
		ret = unm_nic_set(
			&c->srv->dom, c->word[1], c->word[2], c->word[3], &is_there, &c->why);
	if (ret < 0)
		return ret;
	unm_state_file_update(c->srv);
	if (!is_there && strcmp(c->word[3], UNM_NIC_DEFAULT) != 0) {
		snprintf(note, sizeof(note),
			"'%.*s': no such interface now; kept for when it comes", UNM_NAME_SIZE,
			c->word[1]);
		unm_json_open(&c->json, NULL, '{');
		unm_json_str(&c->json, "note", note);
		unm_json_close(&c->json, '}');
	}
	return 0;
}

static int
cmd_set(struct command *c)
{
	if (c->n != 4)
		return unm_fail(
			&c->why, -EINVAL, "set needs a port or switch, what to set, and a value");
	if (strcmp(c->word[2], "lossless") == 0)
		return set_lossless(c, c->word[3]);
	if (strcmp(c->word[2], "forward") == 0)
		return set_forward(c, c->word[3]);
	if (strcmp(c->word[2], "ageing") == 0)
		return set_ageing(c, c->word[3]);
	if (strcmp(c->word[2], "mode") == 0 || strcmp(c->word[2], "uplink") == 0)
		return set_interface(c);
	return unm_fail(&c->why, -EINVAL,
		"'%s' can't be set: lossless (of a port), ageing (of a switch), mode, uplink or "
		"forward (of an interface)",
		c->word[2]);
}

/* link PORT up|down */
static int
cmd_link(struct command *c)
{
	struct unm_dport *port, *tap;
	struct unm_name name;
	bool is_up;
	int ret;

	if (c->n != 3)
		return unm_fail(&c->why, -EINVAL, "link needs a port, and up or down");
	is_up = strcmp(c->word[2], "up") == 0;
	if (!is_up && strcmp(c->word[2], "down") != 0)
		return unm_fail(&c->why, -EINVAL, "a link is up or down, not '%s'", c->word[2]);
	ret = unm_name_parse(c->word[1], &name, &c->why);
	if (ret < 0)
		return ret;
	port = unm_port_find(&c->srv->dom, &name);
	if (port == NULL)
		return unm_fail(&c->why, -ENOENT, "there is no port '%s'", name.full);
	if (port->kind != UNM_PORT_VALE && port->kind != UNM_PORT_TAP)
		return unm_fail(&c->why, -EOPNOTSUPP,
			"'%s' has no link: ports of a switch and TAPs have one", name.full);
	tap = port->kind == UNM_PORT_TAP ? port : unm_tap_behind(&c->srv->dom, port);
	if (tap != NULL && tap->n_port_fds > 0) {
		ret = unm_tap_set_carrier(tap->port_fds[0], is_up);
		if (ret < 0)
			return unm_fail(&c->why, ret, "can't change the carrier of '%s': %s",
				tap->name, strerror(-ret));
	}
	unm_dport_set_link(port, is_up);
	if (port->flags & UNM_PORTF_PERSISTENT)
		unm_state_file_update(c->srv);
	return 0;
}

/* create NAME [slots=N] [rings=N] [memory=ID] */
static int
cmd_create(struct command *c)
{
	struct nmreq_vale_newif req = {0};
	unsigned int i;

	if (c->n < 2)
		return unm_fail(&c->why, -EINVAL, "create needs a name");
	for (i = 2; i < c->n; i++) {
		const char *w = c->word[i], *eq = strchr(w, '=');
		uint32_t v;
		int ret;

		if (eq == NULL)
			return unm_fail(&c->why, -EINVAL, "'%s' is not of the form key=value", w);
		ret = parse_u32(c, eq + 1, 65535, &v);
		if (ret < 0)
			return ret;
		if (strncmp(w, "slots=", 6) == 0 && v <= UNM_PORT_MAX_SLOTS)
			req.nr_tx_slots = req.nr_rx_slots = v;
		else if (strncmp(w, "rings=", 6) == 0 && v <= UNM_VALE_MAX_RINGS)
			req.nr_tx_rings = req.nr_rx_rings = (uint16_t)v;
		else if (strncmp(w, "memory=", 7) == 0)
			req.nr_mem_id = (uint16_t)v;
		else
			return unm_fail(&c->why, -EINVAL,
				"'%s': slots=1...%u, rings=1...%u or memory=ID is expected", w,
				UNM_PORT_MAX_SLOTS, UNM_VALE_MAX_RINGS);
	}
	return as_request(c, c->word[1], &req, unm_req_vale_newif);
}

static int
cmd_delete(struct command *c)
{
	if (c->n != 2)
		return unm_fail(&c->why, -EINVAL, "delete needs a name");
	return as_request(c, c->word[1], NULL, unm_req_vale_delif);
}

/* Return: 0, or -EINVAL with the reason. */
static int
join_name(struct command *c, const char *sw, const char *port, char *name, size_t size)
{
	if (strchr(sw, ':') != NULL)
		return unm_fail(&c->why, -EINVAL,
			"'%s' is no switch: a switch's name comes without a colon, like vale0", sw);
	snprintf(name, size, "%.60s:%.60s", sw, port);
	return 0;
}

/* attach SWITCH PORT [queues=N] [host] */
static int
cmd_attach(struct command *c)
{
	static const char key[] = "queues=";
	struct nmreq_vale_attach req = {.reg = {.nr_mode = NR_REG_ALL_NIC}};
	char name[UNM_NAME_SIZE * 2];
	uint32_t n_queues = 0;
	unsigned int i;
	int ret;

	if (c->n < 3)
		return unm_fail(&c->why, -EINVAL, "attach needs a switch and a port");
	for (i = 3; i < c->n; i++) {
		if (strcmp(c->word[i], "host") == 0) {
			req.reg.nr_mode = NR_REG_NIC_SW;
			continue;
		}
		if (strncmp(c->word[i], key, strlen(key)) != 0)
			return unm_fail(&c->why, -EINVAL, "'%s': queues=1...%u or host is expected",
				c->word[i], UNM_MAX_TAP_QUEUES);
		ret = parse_u32(c, c->word[i] + strlen(key), UNM_MAX_TAP_QUEUES, &n_queues);
		if (ret == 0 && n_queues == 0)
			ret = unm_fail(&c->why, -EINVAL, "a TAP has at least one queue");
		if (ret < 0)
			return ret;
	}
	req.reg.nr_tx_rings = req.reg.nr_rx_rings = (uint16_t)n_queues;
	ret = join_name(c, c->word[1], c->word[2], name, sizeof(name));
	return ret < 0 ? ret : as_request(c, name, &req, unm_req_vale_attach);
}

static int
cmd_detach(struct command *c)
{
	struct nmreq_vale_detach req = {0};
	char name[UNM_NAME_SIZE * 2];
	int ret;

	if (c->n != 3)
		return unm_fail(&c->why, -EINVAL, "detach needs a switch and a port");
	ret = join_name(c, c->word[1], c->word[2], name, sizeof(name));
	return ret < 0 ? ret : as_request(c, name, &req, unm_req_vale_detach);
}

/* isolate create NAME WORD... */
static int
isolate_create(struct command *c)
{
	struct unm_isolate_spec spec;
	char why[UNM_POLICY_WHY_SIZE];
	unsigned int i;
	int ret;

	if (c->srv->is_restoring)
		return wait_for_restore(c);
	ret = unm_isolate_spec_init(&spec, c->word[2], why);
	for (i = 3; i < c->n && ret == 0; i++)
		ret = unm_isolate_spec_word(&spec, c->word[i], why);
	if (ret == 0)
		ret = unm_isolate_spec_check(&spec, why);
	if (ret < 0)
		return unm_fail(&c->why, ret, "%s", why);
	return unm_isolate_create(c->srv, &spec, &c->why);
}

/* isolate create|show|remove: who may decide whom to trust */
static int
cmd_isolate(struct command *c)
{
	const char *what = c->n > 1 ? c->word[1] : "";

	if (strcmp(what, "show") == 0 && c->n <= 3) {
		unm_json_open(&c->json, NULL, '{');
		unm_isolate_show(c->srv, &c->json, c->n == 3 ? c->word[2] : NULL);
		unm_json_close(&c->json, '}');
		return 0;
	}
	if (c->s->uid != geteuid() && c->s->uid != 0)
		return unm_fail(&c->why, -EPERM, "only root and user %u may change who is isolated",
			geteuid());
	if (strcmp(what, "create") == 0 && c->n >= 3)
		return isolate_create(c);
	if (strcmp(what, "remove") == 0 && c->n == 3)
		return unm_isolate_remove(c->srv, c->word[2], &c->why);
	return unm_fail(&c->why, -EINVAL,
		"isolate create NAME socket=PATH allow=PATTERN ..., isolate show [NAME] or isolate "
		"remove NAME is expected");
}

static int
cmd_stop(struct command *c)
{
	if (c->s->uid != geteuid() && c->s->uid != 0)
		return unm_fail(
			&c->why, -EPERM, "only root and user %u may stop this netmapd", geteuid());
	unm_server_end_children(c->srv);
	c->srv->wants_exit = true;
	unm_log(LOG_INFO, "ending on request of client %d", (int)c->s->pid);
	return 0;
}

static const struct {
	const char *word;
	int (*run)(struct command *c);
	bool changes; /* not while a previous run's clients are coming back */
} commands[] = {
	{"show", cmd_show, false},
	{"set", cmd_set, true},
	{"link", cmd_link, true},
	{"create", cmd_create, true},
	{"delete", cmd_delete, true},
	{"attach", cmd_attach, true},
	{"detach", cmd_detach, true},
	{"isolate", cmd_isolate, false},
	{"stop", cmd_stop, false},
};

/* Words are NUL-terminated one after another. */
static int
split(struct command *c, const char *text, size_t len)
{
	size_t at = 0;

	if (len == 0 || text[len - 1] != '\0')
		return unm_fail(&c->why, -EINVAL, "the command is cut off");
	while (at < len) { /* each round takes at least the NUL */
		if (c->n == MAX_WORDS)
			return unm_fail(
				&c->why, -EINVAL, "a command has at most %u words", MAX_WORDS);
		c->word[c->n++] = text + at;
		at += strlen(text + at) + 1;
	}
	return 0;
}

static int
run(struct command *c)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(c->word[0], commands[i].word) != 0)
			continue;
		if (commands[i].changes && c->srv->is_restoring)
			return wait_for_restore(c);
		return commands[i].run(c);
	}
	return unm_fail(&c->why, -EINVAL, "there is no command '%s'", c->word[0]);
}

/* Into the message, or into a memfd. */
static int
put_text(struct unm_msg *m, const char *text, size_t len)
{
	struct unm_msg_admin *ans = (struct unm_msg_admin *)(void *)m->out;
	int fd;

	ans->text_len = 0;
	ans->admin_pad = 0;
	m->out_len = sizeof(*ans);
	if (len <= UNM_MSG_OUT_SIZE - sizeof(*ans)) {
		memcpy(ans->text, text, len);
		ans->text_len = (uint32_t)len;
		m->out_len += len;
		return 0;
	}
	fd = memfd_create("unetmap-admin", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	m->out_own_fd = fd;
	if (write(fd, text, len) != (ssize_t)len)
		return -ENOMEM;
	m->out_fds[0] = fd;
	m->n_out_fds = 1;
	return 0;
}

void
unm_handle_admin(struct unm_msg *m)
{
	const struct unm_msg_admin *req = m->body;
	struct command c = {.srv = m->srv, .s = m->s};
	int ret;

	if (req->text_len != m->len - sizeof(*req)) {
		m->error = EPROTO;
		return;
	}
	ret = split(&c, req->text, req->text_len);
	if (ret == 0)
		ret = run(&c);
	m->waits = c.waits;
	if (ret == 0)
		ret = unm_json_finish(&c.json);
	if (ret == 0)
		ret = c.json.len > 0 ? put_text(m, c.json.buf, c.json.len) : put_text(m, "{}", 2);
	if (ret < 0) {
		m->error = -ret;
		put_text(m, c.why.text, strlen(c.why.text));
	}
	unm_json_free(&c.json);
}
