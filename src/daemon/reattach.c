/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attaching again after a restart.
 *
 * An attached port is usually handed back by its worker. One whose worker has ended with the run
 * before is gone, and so is what only the worker kept: the frames in its rings, an interface's
 * sockets, and a TAP that was not there before. Its line in the state file says how it was attached,
 * and so it is again: the same rings and polling, memory that is everybody's. What can't be opened
 * now is tried again each time its worker is started; an interface that is away is waited for, as
 * ever (child.h).
 *
 * A worker that lives and did not come back in time, being stopped, keeps all that. It is waited for
 * without an end: until it hands its port back, or is refused, as its switch has been made anew, or
 * ends.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host_port.h"
#include "daemon/missing.h"
#include "daemon/persistent.h"
#include "daemon/worker.h"

/* The interface that @attached forwards for, if that is one: its worker finds it open. */
static void
open_interface(struct unm_domain *dom, const struct unm_dport *attached, bool is_away)
{
	const struct unm_geometry geo = {0};
	char full[UNM_NAME_SIZE + 8];
	struct unm_reason why = {""};
	struct unm_dport *nic;
	struct unm_name name;
	int ret;

	unm_worker_far_name(dom, attached->name, full, sizeof(full));
	ret = unm_name_parse(full, &name, &why);
	if (ret == 0 && name.kind == UNM_NAME_PLAIN)
		ret = unm_nic_open(dom, &name, &geo, &nic, &why);
	if (ret < 0 && !is_away)
		unm_log(LOG_WARNING, "%s: %s", attached->name, why.text);
}

static int
attach(struct unm_server *srv, const struct unm_saved_attachment *s, const struct unm_name *name,
	struct unm_reason *why)
{
	struct unm_domain *dom = &srv->dom;
	struct unm_geometry geo = s->geo;
	struct unm_dport *port;
	int ret = unm_dregion_global(&dom->regions, &geo.region, why);

	if (ret < 0)
		return ret;
	unm_vale_geometry(dom, &geo);
	ret = unm_vale_new(dom, name->full, name->sw, &geo,
		UNM_PORTF_ATTACHED | (s->is_host_side ? UNM_PORTF_HOST_SIDE : 0), &port, why);
	unm_dregion_put(&dom->regions, geo.region);
	if (ret < 0)
		return ret;
	if (!s->is_host_side)
		open_interface(dom, port, s->is_away);
	unm_worker_keep(srv, port);
	return 0;
}

/* Return: 0 or negative errno with the reason; -EALREADY: it is attached. */
static int
attach_again(struct unm_server *srv, const struct unm_saved_attachment *s, struct unm_reason *why)
{
	struct unm_domain *dom = &srv->dom;
	struct unm_dport *port;
	struct unm_name name;
	int ret = unm_name_parse(s->name, &name, why);

	if (ret < 0)
		return ret;
	if (name.kind != UNM_NAME_VALE)
		return unm_fail(why, -EINVAL, "this is no port of a switch");
	if (unm_dport_find(dom, name.full) != NULL)
		return -EALREADY;
	port = s->is_host_side ? NULL : unm_persistent_find(dom, name.port);
	if (port == NULL)
		return attach(srv, s, &name, why);
	if (!unm_persistent_is_on_switch(port))
		return unm_fail(why, -EINVAL, "'%s' is on no other switch", port->name);
	ret = unm_persistent_make_second(dom, port, &name, &port, why);
	if (ret == 0)
		unm_worker_keep(srv, port);
	return ret;
}

/* One that was late has ended, and nothing is left of what it had. */
static void
late_ended(struct unm_source *src, uint32_t events)
{
	struct unm_saved_attachment *s =
		(struct unm_saved_attachment *)(void *)((char *)src -
							offsetof(struct unm_saved_attachment, src));
	struct unm_server *srv = s->srv;

	(void)events; /* readable is all that a pidfd becomes */
	unm_loop_close(&s->srv->loop, &s->src);
	if (!srv->is_restoring) /* else at the end of that */
		unm_reattach(srv);
	unm_state_file_update(srv);
}

/* Does its worker live, and may come back yet? */
static bool
is_late(struct unm_saved_attachment *s)
{
	if (!unm_missing_lives(s->srv, s->pid, s->started)) {
		unm_loop_close(&s->srv->loop, &s->src);
		return false;
	}
	if (s->src.fd >= 0)
		return true;
	s->src.ready = late_ended;
	return unm_loop_add_process(&s->srv->loop, &s->src, s->pid) == 0;
}

/* Interfaces before their hosts' sides, which have what the interface has. */
static void
attach_all(struct unm_server *srv, bool host_sides)
{
	struct unm_saved_attachment *s;

	for (s = srv->saved_attachments; s != NULL; s = s->next) {
		struct unm_reason why = {""};
		int ret;

		if ((s->is_host_side != 0) != host_sides || is_late(s))
			continue;
		ret = attach_again(srv, s, &why);
		if (ret == -EALREADY)
			continue;
		if (ret < 0)
			unm_log(LOG_WARNING, "can't attach %s again: %s", s->name, why.text);
		else if (!s->is_away)
			unm_log(LOG_WARNING,
				"%s: attached again, as its nm-worker has not handed it back",
				s->name);
	}
}

static void
forget(struct unm_server *srv, bool but_late)
{
	struct unm_saved_attachment **pp = &srv->saved_attachments;

	while (*pp != NULL) {
		struct unm_saved_attachment *s = *pp;

		if (but_late && s->src.fd >= 0) {
			pp = &s->next;
			continue;
		}
		*pp = s->next;
		unm_loop_close(&s->srv->loop, &s->src);
		free(s);
	}
}

void
unm_reattach(struct unm_server *srv)
{
	struct unm_dport *p;

	attach_all(srv, false);
	attach_all(srv, true);
	for (p = srv->dom.ports; p != NULL; p = p->next) {
		if (p->kind == UNM_PORT_NIC && p->nic != NULL)
			unm_host_port_settle(&srv->dom, p);
	}
	forget(srv, true);
}

void
unm_reattach_forget(struct unm_server *srv)
{
	forget(srv, false);
}
