/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * After netmapd's death: when to wait for the clients of the previous run, and for how long.
 *
 * The state file beside the socket tells how many clients the previous run had and who they were
 * (and which kernel it ran on, so that one left by a crash of the machine is not believed) and
 * which ports were made by NEWIF, which interfaces are attached, what was set of switches and
 * interfaces, and which configuration holds, if it is not the default one. Each client hands back
 * what it holds and says RESTORE_DONE. Until all that live have, requests that look at the tables
 * wait: a switch must not be made twice.
 * RESTORE_WAIT is for clients that are stopped or can't be seen, RESTORE_LIMIT for those that live
 * and are slow: less than what a waiting request has patience for (ANSWER_MS in client/session.c).
 */
/* Syscalls: openat */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/adopt.h"
#include "daemon/isolate.h"
#include "daemon/kinds.h"
#include "daemon/missing.h"
#include "daemon/nic.h"
#include "daemon/offload.h"
#include "daemon/server.h"
#include "daemon/state_store.h"
#include "daemon/worker.h"
#include "shm/atomic.h"

#define RESTORE_WAIT_NS	 UINT64_C(3000000000)
#define RESTORE_LIMIT_NS UINT64_C(15000000000)
#define RESTORE_LOOK_NS	 UINT64_C(50000000) /* between two looks at who lives */
#define UNSURE_WAIT_NS                                                                             \
	UINT64_C(1000000000) /* no state file, but a socket that somebody left behind */
#define STATE_SUFFIX   ".state"
#define STATE_RETRY_NS UINT64_C(1000000000)
#define BOOT_ID_FILE   "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_SIZE   37
#define CONFIG_LINE    "config "
#define LINE_SIZE      (PATH_MAX + 16) /* room for the longest: that of the configuration */
#define PORT_LINE      "port %u %u %u %u %s %u %u %u\n"
#define SWITCH_LINE    "switch %s %u\n"

static void
read_boot_id(char *out)
{
	FILE *f = fopen(BOOT_ID_FILE, "re");

	memset(out, 0, BOOT_ID_SIZE);
	if (f == NULL)
		return;
	if (fgets(out, BOOT_ID_SIZE, f) == NULL)
		out[0] = '\0';
	fclose(f);
}

static void
state_path(const struct unm_server *srv, const char *suffix, char *out, size_t size)
{
	snprintf(out, size, "%s%s", srv->socket_path, suffix);
}

static void
write_switches(const struct unm_server *srv, FILE *f)
{
	const struct unm_saved_switch *w;
	const struct unm_dseg *seg;

	for (w = srv->saved_switches; w != NULL; w = w->next)
		fprintf(f, SWITCH_LINE, w->name, w->ageing_s);
	for (seg = srv->dom.segs; seg != NULL; seg = seg->next) {
		uint32_t ageing_s;

		if (seg->type != UNM_SEG_VALE)
			continue;
		ageing_s = UNM_READ_ONCE(seg->hdr->max_ageing_s);
		if (ageing_s != srv->dom.defaults.ageing_s)
			fprintf(f, SWITCH_LINE, seg->name, ageing_s);
	}
}

static int
write_state(const struct unm_server *srv, FILE *f)
{
	char boot_id[BOOT_ID_SIZE];
	const struct unm_saved_port *s;
	const struct unm_dport *p;
	struct unm_netns_id here;
	uint32_t n = srv->n_sessions;

	/*
	 * A run that dies while it still waits for the clients of the one before leaves them to the
	 * next
	 */
	if (srv->is_restoring && srv->n_expected > n)
		n = srv->n_expected;
	read_boot_id(boot_id);
	fprintf(f, "unetmap 1 %s\nsessions %u\n", boot_id, n);
	if (srv->config_path != NULL)
		fprintf(f, CONFIG_LINE "%s\n", srv->config_path);
	if (unm_netns_id("", &here) == 0)
		fprintf(f, "netns %" PRIu64 "\n", here.ino);
	unm_missing_write(srv, f);
	unm_region_ids_write(&srv->dom.regions, f);
	unm_isolate_write(srv, f);
	unm_nic_settings_write(&srv->dom, f);
	write_switches(srv, f);
	unm_offload_write(&srv->dom, f);
	unm_worker_write(srv, f);
	for (s = srv->saved_ports; s != NULL; s = s->next)
		fprintf(f, PORT_LINE, s->n_tx, s->n_rx, s->tx_slots, s->rx_slots, s->name,
			s->is_lossless, s->vnet_hdr_len, s->is_down);
	for (p = srv->dom.ports; p != NULL; p = p->next) {
		if ((p->flags & UNM_PORTF_PERSISTENT) && !p->is_dying)
			fprintf(f, PORT_LINE, p->n_tx, p->n_rx, p->tx_slots, p->rx_slots, p->name,
				(p->flags & UNM_PORTF_LOSSLESS) != 0, p->vnet_hdr_len,
				(p->flags & UNM_PORTF_LINK_DOWN) != 0);
	}
	errno = ENOMEM; /* if an earlier write has failed */
	return ferror(f) || fflush(f) != 0 ? -errno : 0;
}

/* In memory first. @text: allocated. Return: 0, -ENOMEM. */
static int
format_state(const struct unm_server *srv, char **text, size_t *len)
{
	FILE *f;
	int ret;

	*text = NULL;
	f = open_memstream(text, len);
	if (f == NULL)
		return -errno;
	ret = write_state(srv, f);
	if (fclose(f) != 0 && ret == 0)
		ret = -errno;
	return ret;
}

void
unm_state_file_update(struct unm_server *srv)
{
	char path[sizeof(srv->socket_path) + 16], tmp[sizeof(srv->socket_path) + 16];
	size_t len;
	char *text;
	int ret;

	srv->dom.regions.ids.is_changed = false;
	srv->state_retry_ns = 0;
	if (srv->socket_path[0] == '\0' || srv->home.is_gone)
		return;
	state_path(srv, STATE_SUFFIX, path, sizeof(path));
	state_path(srv, UNM_STATE_NEW_SUFFIX, tmp, sizeof(tmp));
	ret = format_state(srv, &text, &len);
	if (ret == 0)
		ret = unm_state_store(path, tmp, text, len);
	free(text);
	if (ret < 0)
		srv->state_retry_ns = unm_now_ns() + STATE_RETRY_NS;
	if (ret < 0 && !srv->is_state_lost)
		unm_log(LOG_WARNING,
			"can't write %s (%s): a netmapd that is killed now forgets what it has "
			"made, attached and set; it is tried again until it can be written",
			path, strerror(-ret));
	else if (ret == 0 && srv->is_state_lost)
		unm_log(LOG_INFO, "%s is written again", path);
	srv->is_state_lost = ret < 0;
}

/* One line of a previous run's persistent ports, kept until the phase ends. */
static void
note_port(struct unm_server *srv, const char *line)
{
	struct unm_saved_port *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return;
	if (sscanf(line, "port %u %u %u %u %63s %u %u %u", &s->n_tx, &s->n_rx, &s->tx_slots,
		    &s->rx_slots, s->name, &s->is_lossless, &s->vnet_hdr_len, &s->is_down) < 5) {
		free(s);
		return;
	}
	s->next = srv->saved_ports;
	srv->saved_ports = s;
}

static bool
note_switch(struct unm_server *srv, const char *line)
{
	struct unm_saved_switch *w;
	char name[UNM_NAME_SIZE];
	uint32_t ageing_s;

	if (sscanf(line, "switch %63s %u", name, &ageing_s) != 2)
		return false;
	w = ageing_s <= UNM_CONFIG_MAX_AGEING_S ? calloc(1, sizeof(*w)) : NULL;
	if (w == NULL)
		return true;
	memcpy(w->name, name, sizeof(w->name));
	w->ageing_s = ageing_s;
	w->next = srv->saved_switches;
	srv->saved_switches = w;
	return true;
}

/* Is the file, of which the first line is read here, of this kernel? */
static bool
is_of_this_boot(FILE *f)
{
	char line[64], boot_id[BOOT_ID_SIZE], theirs[BOOT_ID_SIZE] = "";

	read_boot_id(boot_id);
	return fgets(line, sizeof(line), f) != NULL &&
	       sscanf(line, "unetmap 1 %36s", theirs) == 1 && strcmp(theirs, boot_id) == 0;
}

bool
unm_state_config(const char *socket_path, char *path, size_t size)
{
	char state[PATH_MAX], line[LINE_SIZE];
	bool is_found = false;
	FILE *f;

	snprintf(state, sizeof(state), "%s" STATE_SUFFIX, socket_path);
	f = fopen(state, "re");
	if (f == NULL)
		return false;
	if (is_of_this_boot(f))
		while (!is_found && fgets(line, sizeof(line), f) != NULL) /* bounded by the file */
			is_found = strncmp(line, CONFIG_LINE, strlen(CONFIG_LINE)) == 0;
	fclose(f);
	if (!is_found)
		return false;
	line[strcspn(line, "\n")] = '\0';
	snprintf(path, size, "%s", line + strlen(CONFIG_LINE));
	return true;
}

/*
 * Return: 1 there was a previous run on this kernel, 0 there was none that matters, -ENOENT nobody
 * knows.
 */
static int
read_state(struct unm_server *srv)
{
	char path[sizeof(srv->socket_path) + 16], line[LINE_SIZE];
	FILE *f;
	int ret;

	state_path(srv, STATE_SUFFIX, path, sizeof(path));
	f = fopen(path, "re");
	if (f == NULL)
		return -ENOENT;
	ret = is_of_this_boot(f);
	while (ret == 1 && fgets(line, sizeof(line), f) != NULL) { /* bounded by the file */
		if (sscanf(line, "sessions %u", &srv->n_expected) == 0 &&
			sscanf(line, "netns %" SCNu64, &srv->home_netns) == 0 &&
			!unm_missing_read(srv, line) &&
			!unm_region_ids_read(&srv->dom.regions.ids, line) &&
			!unm_isolate_read(srv, line) && !unm_nic_settings_read(&srv->dom, line) &&
			!unm_offload_read(&srv->dom, line) && !unm_worker_read(srv, line) &&
			!note_switch(srv, line))
			note_port(srv, line);
	}
	fclose(f);
	return ret;
}

static void
begin_phase(struct unm_server *srv, uint64_t wait_ns)
{
	const uint64_t now = unm_now_ns();

	srv->is_restoring = true;
	srv->restore_deadline_ns = now + wait_ns;
	srv->restore_limit_ns = now + RESTORE_LIMIT_NS;
	srv->restore_look_ns = now + (srv->missing != NULL ? 0 : wait_ns);
}

/* What was set of a switch that nobody has handed back. */
static void
set_switches(struct unm_server *srv)
{
	while (srv->saved_switches != NULL) {
		struct unm_saved_switch *w = srv->saved_switches;
		const struct unm_dseg *seg = unm_domain_switch(&srv->dom, w->name);

		srv->saved_switches = w->next;
		if (seg != NULL)
			UNM_WRITE_ONCE(seg->hdr->max_ageing_s, w->ageing_s);
		free(w);
	}
}

/*
 * Interfaces and TAPs that have no namespace in their names are those of the run before: who starts
 * this one may be somewhere else.
 */
static void
go_home(const struct unm_server *srv)
{
	const int ret = srv->home_netns != 0 ? unm_netns_move(srv->home_netns) : 0;

	if (ret > 0)
		unm_log(LOG_INFO, "in the network namespace of the run before (inode %" PRIu64 ")",
			srv->home_netns);
	else if (ret < 0)
		unm_log(LOG_WARNING,
			"the run before was in another network namespace (inode %" PRIu64
			"), which can't be entered: %s",
			srv->home_netns, strerror(-ret));
}

void
unm_restore_begin(struct unm_server *srv, bool found_stale_socket)
{
	const int ret = read_state(srv);

	if (ret == 1 && srv->n_expected > 0)
		begin_phase(srv, RESTORE_WAIT_NS);
	else if (ret == 1 && (srv->saved_ports != NULL || srv->saved_attachments != NULL))
		begin_phase(srv, 0); /* nobody to wait for, but ports to make */
	else if (ret == -ENOENT && found_stale_socket)
		begin_phase(srv, UNSURE_WAIT_NS);
	if (srv->is_restoring) {
		go_home(srv);
		unm_log(LOG_INFO, "taking over from a previous run with %u clients",
			srv->n_expected);
		return;
	}
	unm_missing_give_up(srv);
	set_switches(srv); /* there are none */
	if (srv->dom.offloads != NULL)
		unm_offload_settle(&srv->dom); /* nobody is coming back, but for late ones */
}

/*
 * A persistent port whose memory nobody held is made anew: empty, with its geometry and settings.
 */
static void
remake_port(struct unm_server *srv, const struct unm_saved_port *s)
{
	struct unm_geometry geo = {
		.n_tx = s->n_tx, .n_rx = s->n_rx, .tx_slots = s->tx_slots, .rx_slots = s->rx_slots};
	struct unm_reason why = {""};
	struct unm_dport *port = NULL;
	struct unm_name name;
	int ret = unm_name_parse(s->name, &name, &why);

	unm_vale_geometry(&srv->dom, &geo);
	if (ret < 0 || unm_port_find(&srv->dom, &name) != NULL)
		return;
	if (name.kind == UNM_NAME_VALE)
		ret = unm_vale_new(
			&srv->dom, name.full, name.sw, &geo, UNM_PORTF_PERSISTENT, &port, &why);
	else if (name.kind == UNM_NAME_PLAIN)
		ret = unm_base_new(&srv->dom, name.full, &geo, UNM_PORTF_PERSISTENT, &port, &why);
	if (ret < 0 || port == NULL) {
		unm_log(LOG_WARNING, "can't make the persistent port %s again: %s", name.full,
			why.text);
		return;
	}
	if (s->is_lossless && port->kind == UNM_PORT_VALE)
		port->flags |= UNM_PORTF_LOSSLESS;
	if (s->is_down && port->kind == UNM_PORT_VALE)
		port->flags |= UNM_PORTF_LINK_DOWN;
	unm_dport_set_vnet_hdr(
		port, s->vnet_hdr_len == 10 || s->vnet_hdr_len == 12 ? s->vnet_hdr_len : 0, 0);
}

static void
end_phase(struct unm_server *srv)
{
	srv->is_restoring = false;
	unm_missing_give_up(srv);
	unm_adopt_finish(srv);
	unm_offload_settle(&srv->dom);
	while (srv->saved_ports != NULL) {
		struct unm_saved_port *s = srv->saved_ports;

		srv->saved_ports = s->next;
		remake_port(srv, s);
		free(s);
	}
	unm_reattach(srv);
	set_switches(srv);
	unm_log(LOG_INFO, "took over: %u clients, %u ports, %u descriptors", srv->n_restored,
		srv->dom.n_ports, srv->n_descs);
	srv->n_expected = 0;
	unm_state_file_update(srv);
	unm_message_run_held(srv);
}

/* Is there still somebody to wait for? */
static bool
is_waiting(struct unm_server *srv, uint64_t now)
{
	if (now >= srv->restore_limit_ns)
		return false;
	if (srv->n_expected == 0) /* a phase of fixed length */
		return now < srv->restore_deadline_ns;
	if (srv->n_restored >= srv->n_expected)
		return false;
	switch (unm_missing_look(srv)) {
	case UNM_MISSING_ALIVE:
		return true;
	case UNM_MISSING_UNSURE:
		return now < srv->restore_deadline_ns;
	default:
		return false;
	}
}

/*
 * Time in which we did not run (stopped, or the machine has too much to do) does not count: what
 * clients sent meanwhile is still to be read.
 */
static void
allow_for_delay(struct unm_server *srv, uint64_t now)
{
	const uint64_t late = now > srv->restore_look_ns ? now - srv->restore_look_ns : 0;

	if (late < RESTORE_LOOK_NS)
		return;
	srv->restore_deadline_ns += late;
	srv->restore_limit_ns += late;
}

void
unm_restore_check(struct unm_server *srv)
{
	const uint64_t now = unm_now_ns();

	if (!srv->is_restoring)
		return;
	allow_for_delay(srv, now);
	if (!is_waiting(srv, now))
		end_phase(srv);
	else
		srv->restore_look_ns = now + RESTORE_LOOK_NS;
}

void
unm_restore_leaves(struct unm_server *srv)
{
	srv->n_restored--;
	if (srv->n_expected > 0 && --srv->n_expected == 0)
		srv->restore_deadline_ns = 0; /* nobody else is */
}

void
unm_handle_restore_done(struct unm_msg *m)
{
	if (m->s->is_returning && !m->s->has_restored) {
		m->s->has_restored = true;
		m->srv->n_restored++;
		if (unm_missing_returned(m->srv, m->s->pid) && m->srv->n_expected > 0)
			m->srv->n_expected++;
	}
	m->wants_restore_check = true; /* after the answer */
}

static int
restore_one(struct unm_msg *m, const struct unm_msg_restore *req, struct unm_reason *why)
{
	const struct unm_bind_info *info = &req->info;
	struct unm_desc *d = unm_desc_find(m->srv, info->desc_id);
	bool is_new = false;
	int ret = 0;

	if (d != NULL && d->binding.port != NULL)
		return 0; /* another process that has it too was faster */
	if (d == NULL) {
		ret = unm_desc_add(
			m->srv, m->fds[0], m->fds[m->n_fds - 1], info->desc_id, m->s->pid, &d);
		if (ret < 0)
			return unm_fail(why, ret, "the first descriptor is no descriptor of ours");
		m->fds[0] = -1;
		is_new = true;
	}
	if (!req->registered)
		return 0;
	/* a client that was stopped: clean up again once it is through */
	if (!m->srv->is_restoring)
		begin_phase(m->srv, UNSURE_WAIT_NS);
	ret = unm_adopt_binding(m->srv, d, info, m->fds, m->s->pid, why);
	if (ret == 0 && m->s->isolate != NULL && (info->region.flags & UNM_REGIONF_ISOLATED))
		d->binding.port->region->isolate_id = m->s->isolate->id;
	/* Nobody was expected: it is late, or for all that we know. */
	if (ret == 0 && m->srv->n_expected == 0 && d->binding.port->kind == UNM_PORT_NIC)
		unm_nic_put_right_again(&m->srv->dom, d->binding.port);
	if (ret < 0 && is_new)
		unm_desc_close(d);
	return ret;
}

void
unm_handle_restore(struct unm_msg *m)
{
	const struct unm_msg_restore *req = m->body;
	struct unm_reason why = {""};
	int ret;

	if (req->registered > 1 || (!req->registered && m->n_fds != 2) ||
		(req->registered && (req->info.n_port_fds > UNM_MAX_PORT_FDS ||
					    m->n_fds != UNM_BIND_FDS + req->info.n_port_fds + 1))) {
		m->error = EPROTO;
		return;
	}
	ret = restore_one(m, req, &why);
	if (ret < 0) {
		m->error = -ret;
		unm_log_peer(LOG_WARNING, "client %d: can't take a descriptor back: %s",
			(int)m->s->pid, why.text);
	}
}
