/* SPDX-License-Identifier: BSD-2-Clause */
/* The workers among netmapd's children. See worker.h, child.h. */
/* Syscalls: openat */
#include "daemon/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/child.h"
#include "daemon/host_port.h"
#include "daemon/missing.h"
#include "daemon/netns.h"
#include "daemon/nic.h"
#include "daemon/nic_return.h"
#include "daemon/persistent.h"
#include "daemon/proc.h"
#include "daemon/tap.h"

struct unm_worker {
	struct unm_child child;
	struct unm_worker *next;
	char port_name[UNM_NAME_SIZE];
	struct unm_polling polling;
	uint64_t started; /* of the process: see missing.h */
	bool is_deprived; /* its interface has been taken away from the one that runs */
	struct unm_nic_return back;
};

#define POLL	    "--poll="
#define LINE	    "attached %s %u %u %u %u %u %u %u %u %u"
#define LINE_VALUES 10

static struct unm_worker *
worker_of(const struct unm_child *c)
{
	return (struct unm_worker *)(uintptr_t)((const char *)c -
						offsetof(struct unm_worker, child));
}

static struct unm_dport *
port_of(const struct unm_worker *w)
{
	return unm_dport_find(&w->child.srv->dom, w->port_name);
}

/*
 * The port by the name that a worker forwards for, or NULL. The base of pipes of that name is none: it
 * may have been made while the interface was away.
 */
static struct unm_dport *
far_port(struct unm_domain *dom, const char *name)
{
	struct unm_dport *p = unm_dport_find(dom, name);

	if (p != NULL && p->kind == UNM_PORT_BASE && !(p->flags & UNM_PORTF_PERSISTENT))
		return NULL;
	return p;
}

void
unm_worker_far_name(struct unm_domain *dom, const char *attached, char *out, size_t size)
{
	const char *part = strchr(attached, ':');
	const struct unm_dport *port;
	char tap[UNM_NAME_SIZE + 8];
	bool is_nic;

	part = part != NULL ? part + 1 : attached;
	port = unm_dport_find(dom, attached);
	if (port != NULL && (port->flags & UNM_PORTF_HOST_SIDE)) {
		snprintf(out, size, "tap:%s", part);
		return;
	}
	port = unm_persistent_find(dom, part);
	if (port != NULL) {
		snprintf(out, size, "%s", port->name);
		return;
	}
	port = far_port(dom, part);
	/* A TAP has its port as long as it is attached. An interface may be away. */
	snprintf(tap, sizeof(tap), "tap:%s", part);
	is_nic = port != NULL ? port->kind == UNM_PORT_NIC
			      : strchr(part, '%') != NULL ||
					(far_port(dom, tap) == NULL && !unm_tap_is_tap(part));
	snprintf(out, size, "%s%s", is_nic || strncmp(part, "tap:", 4) == 0 ? "" : "tap:", part);
}

/*
 * A TAP has its port before its worker comes, or again when it could not be made before: after a
 * restart, see reattach.c.
 */
static int
prepare_worker(struct unm_child *c, struct unm_reason *why)
{
	const struct unm_geometry geo = {0}; /* as the attached port's */
	const struct unm_dport *port = port_of(worker_of(c));
	struct unm_domain *dom = &c->srv->dom;
	char far[UNM_NAME_SIZE + 8];
	struct unm_dport *tap;
	struct unm_name name;

	if (port == NULL || (port->flags & UNM_PORTF_HOST_SIDE))
		return 0;
	unm_worker_far_name(dom, port->name, far, sizeof(far));
	if (unm_name_parse(far, &name, NULL) < 0 || name.kind != UNM_NAME_TAP)
		return 0;
	return unm_tap_open(dom, &name, &geo, &tap, why);
}

static void
exec_worker(const struct unm_child *c, const char *path)
{
	const struct unm_worker *w = worker_of(c);
	char far[UNM_NAME_SIZE + 8], cpus[48];

	unm_worker_far_name(&c->srv->dom, w->port_name, far, sizeof(far));
	if (w->polling.mode == 0) {
		execl(path, c->ops->program, w->port_name, far, (char *)NULL);
		return;
	}
	snprintf(cpus, sizeof(cpus), POLL "%u:%u:%u", w->polling.mode, w->polling.first_cpu,
		w->polling.n_cpus);
	execl(path, c->ops->program, cpus, w->port_name, far, (char *)NULL);
}

static void
worker_changed(struct unm_child *c)
{
	struct unm_worker *w = worker_of(c);
	struct unm_dport *port = port_of(w);

	w->started = unm_process_started(c->pid);
	w->is_deprived = false;
	if (c->pid != 0)
		unm_nic_return_stop(&w->back); /* a late one may have come back */
	if (port != NULL)
		port->worker_pid = c->pid;
}

static const char *
worker_name(const struct unm_child *c)
{
	return worker_of(c)->port_name;
}

/*
 * Does @w forward for an interface, or the host's side of one, that is no port now? Then @far is its
 * name.
 */
static bool
lacks_interface(const struct unm_worker *w, struct unm_name *far)
{
	struct unm_domain *dom = &w->child.srv->dom;
	const struct unm_dport *port = port_of(w);
	char name[UNM_NAME_SIZE + 8];

	if (port == NULL)
		return false;
	unm_worker_far_name(dom, port->name, name, sizeof(name));
	if (far_port(dom, name) != NULL || unm_name_parse(name, far, NULL) < 0)
		return false;
	if (port->flags & UNM_PORTF_HOST_SIDE)
		return unm_host_port_nic(dom, name) == NULL;
	return far->kind == UNM_NAME_PLAIN;
}

/* A host's side comes with its interface. One that can't be looked for is not waited for. */
static bool
is_away(const struct unm_name *far)
{
	struct unm_netns_id ns;
	uint32_t ifindex;
	int ret;

	if (far->kind != UNM_NAME_PLAIN)
		return true;
	ret = unm_netns_interface(far->netns, far->ifname, &ns, &ifindex);
	return ret == -ENODEV || ret == -ENOENT;
}

/* A worker may have seen that its interface is gone before netmapd has. */
static bool
was_deprived(struct unm_child *c)
{
	const struct unm_worker *w = worker_of(c);
	const struct unm_dport *port = port_of(w);
	struct unm_domain *dom = &c->srv->dom;
	char name[UNM_NAME_SIZE + 8];
	struct unm_dport *nic;
	struct unm_name far;

	if (port == NULL)
		return false;
	unm_worker_far_name(dom, port->name, name, sizeof(name));
	nic = port->flags & UNM_PORTF_HOST_SIDE ? unm_host_port_nic(dom, name)
						: far_port(dom, name);
	if (nic != NULL)
		unm_nic_look(nic);
	if (!w->is_deprived && !(lacks_interface(w, &far) && is_away(&far)))
		return false;
	unm_log(LOG_NOTICE, "%s: its interface has gone; it is back on its switch with that",
		w->port_name);
	return true;
}

static bool
has_to_wait(struct unm_child *c)
{
	struct unm_worker *w = worker_of(c);
	struct unm_name far;
	bool waits;

	unm_nic_return_stop(&w->back);
	if (!lacks_interface(w, &far))
		return false;
	if (far.kind == UNM_NAME_PLAIN)
		unm_nic_return_listen(&w->back, &far); /* before the look, or it could be missed */
	waits = is_away(&far);
	if (!waits)
		unm_nic_return_stop(&w->back);
	return waits;
}

static void
interface_came(struct unm_nic_return *r)
{
	struct unm_worker *w =
		(struct unm_worker *)(void *)((char *)r - offsetof(struct unm_worker, back));

	unm_child_due(&w->child);
}

static const struct unm_child_ops worker_ops = {
	.program = "nm-worker",
	.prepare = prepare_worker,
	.exec = exec_worker,
	.changed = worker_changed,
	.name = worker_name,
	.was_deprived = was_deprived,
	.has_to_wait = has_to_wait,
};

static struct unm_worker *
new_worker(struct unm_server *srv, const struct unm_dport *port)
{
	struct unm_worker *w = calloc(1, sizeof(*w));
	const struct unm_saved_attachment *s;

	if (w == NULL)
		return NULL;
	unm_child_init(&w->child, srv, &worker_ops);
	unm_nic_return_init(&w->back, &srv->loop, interface_came);
	memcpy(w->port_name, port->name, sizeof(w->port_name));
	for (s = srv->saved_attachments; s != NULL; s = s->next) {
		if (strcmp(s->name, port->name) == 0)
			w->polling = s->polling;
	}
	w->next = srv->workers;
	srv->workers = w;
	return w;
}

static struct unm_worker *
find_worker(struct unm_server *srv, const struct unm_dport *port)
{
	struct unm_worker *w;

	for (w = srv->workers; w != NULL; w = w->next) {
		if (strcmp(w->port_name, port->name) == 0)
			return w;
	}
	return NULL;
}

static void
end_worker(struct unm_server *srv, struct unm_worker *w)
{
	struct unm_worker **pp;

	unm_nic_return_stop(&w->back);
	unm_child_end(&w->child);
	for (pp = &srv->workers; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == w) {
			*pp = w->next;
			break;
		}
	}
	free(w);
}

int
unm_worker_attach(struct unm_server *srv, struct unm_dport *port, struct unm_reason *why)
{
	struct unm_worker *w = new_worker(srv, port);
	int ret;

	if (w == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	ret = unm_child_start(&w->child, why);
	if (ret < 0)
		end_worker(srv, w);
	return ret;
}

void
unm_worker_keep(struct unm_server *srv, struct unm_dport *port)
{
	struct unm_worker *w = find_worker(srv, port);

	if (w != NULL) /* another one is on its way */
		return;
	w = new_worker(srv, port);
	if (w != NULL)
		unm_child_keep(&w->child);
}

/*
 * How a worker polls that a previous run has started, by what it was told: it may come back when
 * nobody remembers any more.
 */
static void
ask_worker(pid_t pid, struct unm_polling *out)
{
	struct unm_polling v;
	char text[256];
	const char *arg;
	size_t n;

	if (!unm_proc_read(pid, "cmdline", text, sizeof(text), &n))
		return;
	arg = text + strlen(text) + 1; /* the first one is the program */
	if (arg < text + n && sscanf(arg, POLL "%u:%u:%u", &v.mode, &v.first_cpu, &v.n_cpus) == 3)
		*out = v;
}

void
unm_worker_adopt(struct unm_server *srv, struct unm_dport *port, pid_t pid)
{
	struct unm_worker *w = find_worker(srv, port);

	if (w == NULL) {
		w = new_worker(srv, port);
		if (w != NULL)
			ask_worker(pid, &w->polling);
	}
	if (w != NULL && w->child.pid == 0)
		unm_child_adopt(&w->child, pid);
}

int
unm_worker_set_polling(struct unm_server *srv, struct unm_dport *port,
	const struct unm_polling *polling, struct unm_reason *why)
{
	struct unm_worker *w = find_worker(srv, port);
	struct unm_polling before = {0};
	int ret;

	if (w != NULL) {
		before = w->polling;
		end_worker(srv, w);
	}
	unm_loop_poll_hangups(&srv->loop); /* what it had open is closed now */
	w = new_worker(srv, port);
	if (w == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	w->polling = *polling;
	ret = unm_child_start(&w->child, why);
	if (ret < 0) {
		w->polling = before;
		unm_child_keep(&w->child);
	}
	return ret;
}

bool
unm_worker_is_polling(struct unm_server *srv, const struct unm_dport *port)
{
	const struct unm_worker *w = find_worker(srv, port);

	return w != NULL && w->polling.mode != 0;
}

void
unm_worker_detach(struct unm_server *srv, const struct unm_dport *port)
{
	struct unm_worker *w = find_worker(srv, port);

	if (w != NULL)
		end_worker(srv, w);
}

static void
change(struct unm_server *srv, const struct unm_dport *attached, bool is_there)
{
	struct unm_worker *w = attached != NULL ? find_worker(srv, attached) : NULL;

	if (w == NULL)
		return;
	if (is_there)
		unm_child_due(&w->child);
	else
		w->is_deprived = w->child.pid != 0;
}

void
unm_worker_nic_changed(struct unm_server *srv, const struct unm_dport *nic, bool is_there)
{
	const struct unm_dport *attached = unm_port_attached_as(&srv->dom, nic->name);

	change(srv, attached, is_there);
	if (attached != NULL)
		change(srv, unm_host_port_of(&srv->dom, attached), is_there);
}

void
unm_worker_end_all(struct unm_server *srv)
{
	while (srv->workers != NULL)
		end_worker(srv, srv->workers);
	unm_reattach_forget(srv);
}

/* --- state file --- */

static void
write_line(FILE *f, const struct unm_saved_attachment *s)
{
	fprintf(f, LINE " %d %" PRIu64 "\n", s->name, s->geo.n_tx, s->geo.n_rx, s->geo.tx_slots,
		s->geo.rx_slots, s->is_host_side, s->is_away, s->polling.mode, s->polling.first_cpu,
		s->polling.n_cpus, s->pid, s->started);
}

void
unm_worker_write(const struct unm_server *srv, FILE *f)
{
	/* Looking a name up changes nothing. */
	struct unm_domain *dom = (struct unm_domain *)(uintptr_t)&srv->dom;
	const struct unm_saved_attachment *s;
	const struct unm_worker *w;

	for (s = srv->saved_attachments; s != NULL; s = s->next)
		write_line(f, s);
	for (w = srv->workers; w != NULL; w = w->next) {
		const struct unm_dport *port = port_of(w);
		struct unm_saved_attachment line = {
			.polling = w->polling,
			.pid = w->child.pid,
			.started = w->started,
		};
		char far[UNM_NAME_SIZE + 8];

		if (port == NULL)
			continue;
		unm_worker_far_name(dom, port->name, far, sizeof(far));
		memcpy(line.name, port->name, sizeof(line.name));
		line.geo.n_tx = port->n_tx;
		line.geo.n_rx = port->n_rx;
		line.geo.tx_slots = port->tx_slots;
		line.geo.rx_slots = port->rx_slots;
		line.is_host_side = (port->flags & UNM_PORTF_HOST_SIDE) != 0;
		line.is_away = far_port(dom, far) == NULL;
		write_line(f, &line);
	}
}

bool
unm_worker_read(struct unm_server *srv, const char *line)
{
	struct unm_saved_attachment *s, v = {
						.next = srv->saved_attachments,
						.src.fd = -1,
						.srv = srv,
					};

	/* Who the worker was may be missing: a netmapd before this one did not say. */
	if (sscanf(line, "attached %63s %u %u %u %u %u %u %u %u %u %d %" SCNu64, v.name,
		    &v.geo.n_tx, &v.geo.n_rx, &v.geo.tx_slots, &v.geo.rx_slots, &v.is_host_side,
		    &v.is_away, &v.polling.mode, &v.polling.first_cpu, &v.polling.n_cpus, &v.pid,
		    &v.started) < LINE_VALUES)
		return false;
	s = malloc(sizeof(*s));
	if (s == NULL)
		return true;
	*s = v;
	srv->saved_attachments = s;
	return true;
}
