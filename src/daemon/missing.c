/* SPDX-License-Identifier: BSD-2-Clause */
/* Who has not come back after a restart. See missing.h. */
#include "daemon/missing.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/nic_probe.h"
#include "daemon/offload.h"
#include "daemon/proc.h"
#include "daemon/server.h"

/* Lines of the state file begin so */
#define CLIENT "client"
#define LATE   "late"

#define STAT_SIZE                                                                                  \
	512 /* of /proc/PID/stat as far as we read it: a name of 15 bytes and 20 numbers */

/* Return: false if there is no such process, or it can't be seen. */
static bool
read_process(pid_t pid, char *state, uint64_t *started)
{
	char text[STAT_SIZE];
	const char *after;

	if (!unm_proc_read(pid, "stat", text, sizeof(text), NULL))
		return false;
	after = strrchr(
		text, ')'); /* the name may hold anything, the numbers after it no parenthesis */
	/* proc(5): field 3 is the state, field 22 the start */
	return after != NULL &&
	       sscanf(after + 1,
		       " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		       "%*s %" SCNu64,
		       state, started) == 2;
}

uint64_t
unm_process_started(pid_t pid)
{
	uint64_t started;
	char state;

	return read_process(pid, &state, &started) ? started : 0;
}

static void
write_client(FILE *f, const char *what, pid_t pid, uint64_t started)
{
	fprintf(f, "%s %d %" PRIu64 "\n", what, (int)pid, started);
}

void
unm_missing_write(const struct unm_server *srv, FILE *f)
{
	const struct unm_missing *m;
	const struct unm_session *s;
	uint32_t n = 0;

	for (m = srv->missing; m != NULL && n < UNM_MISSING_MAX; m = m->next) {
		if (m->is_late)
			continue;
		write_client(f, CLIENT, m->pid, m->started);
		n++;
	}
	for (s = srv->sessions; s != NULL && n < UNM_MISSING_MAX; s = s->next) {
		if (s->slot == 0 || s->started == 0)
			continue;
		write_client(f, CLIENT, s->pid, s->started);
		n++;
	}
	for (m = srv->missing; m != NULL && n < UNM_MISSING_MAX; m = m->next) {
		if (!m->is_late)
			continue;
		write_client(f, LATE, m->pid, m->started);
		n++;
	}
}

static struct unm_missing *
find(const struct unm_server *srv, pid_t pid)
{
	struct unm_missing *m = srv->missing;

	while (m != NULL && m->pid != pid)
		m = m->next;
	return m;
}

bool
unm_missing_read(struct unm_server *srv, const char *line)
{
	struct unm_missing *m;
	char what[sizeof(CLIENT)];
	uint64_t started;
	bool is_late;
	int pid;

	if (sscanf(line, "%6s %d %" SCNu64, what, &pid, &started) != 3 || pid <= 0)
		return false;
	is_late = strcmp(what, LATE) == 0;
	if (!is_late && strcmp(what, CLIENT) != 0)
		return false;
	if (find(srv, pid) != NULL)
		return true; /* it was coming back when that run ended */
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return true; /* then it is one that nobody knows of */
	m->pid = pid;
	m->started = started;
	m->is_late = is_late;
	m->src.fd = -1;
	m->srv = srv;
	m->next = srv->missing;
	srv->missing = m;
	return true;
}

static void
forget(struct unm_missing *m)
{
	struct unm_missing **pp = &m->srv->missing;

	while (*pp != m)
		pp = &(*pp)->next;
	*pp = m->next;
	unm_loop_close(&m->srv->loop, &m->src);
	free(m);
}

/* Who of those that are late is still there? What is kept for them depends on it. */
static void
take_stock(struct unm_server *srv)
{
	const struct unm_missing *m;
	uint32_t n = 0;
	pid_t pid = 0;

	for (m = srv->missing; m != NULL; m = m->next) {
		if (m->src.fd < 0)
			continue;
		n++;
		pid = m->pid;
	}
	srv->dom.has_late = n > 0;
	unm_nic_probe_late(pid, n);
	if (srv->missing == NULL)
		unm_region_ids_give_up(&srv->dom.regions.ids);
}

/* One that was late is not any more. While clients come back the rest is done at the end of that. */
static void
one_less(struct unm_server *srv)
{
	if (srv->is_restoring)
		return;
	take_stock(srv);
	unm_offload_settle(&srv->dom);
}

bool
unm_missing_returned(struct unm_server *srv, pid_t pid)
{
	struct unm_missing *m = find(srv, pid);
	bool was_late;

	if (m == NULL)
		return false;
	was_late = m->is_late;
	forget(m);
	if (was_late)
		one_less(srv);
	return was_late;
}

static bool
is_stopped(char state)
{
	return state == 'T' || state == 't';
}

/* Return: its state's letter, or 0: it has ended. */
static char
state_of(const struct unm_missing *m)
{
	uint64_t started;
	char state;

	if (!read_process(m->pid, &state, &started) || started != m->started || state == 'Z' ||
		state == 'X')
		return 0;
	return state;
}

bool
unm_missing_lives(const struct unm_server *srv, pid_t pid, uint64_t started)
{
	const struct unm_missing *m = find(srv, pid);

	return m != NULL && m->started == started && state_of(m) != 0;
}

enum unm_missing_state
unm_missing_look(const struct unm_server *srv)
{
	enum unm_missing_state worst = UNM_MISSING_NOBODY;
	const struct unm_missing *m;
	uint32_t n = 0;

	for (m = srv->missing; m != NULL; m = m->next) {
		char state;

		if (m->is_late)
			continue;
		n++;
		state = state_of(m);
		if (state == 0 || !unm_proc_may_act_as(m->pid, geteuid(), srv->cfg.gid))
			continue;
		if (!is_stopped(state))
			return UNM_MISSING_ALIVE;
		worst = UNM_MISSING_UNSURE;
	}
	return srv->n_restored + n < srv->n_expected ? UNM_MISSING_UNSURE : worst;
}

bool
unm_missing_is_stopped(const struct unm_missing *m)
{
	return is_stopped(state_of(m));
}

static void
late_ended(struct unm_source *src, uint32_t events)
{
	struct unm_missing *m =
		(struct unm_missing *)(void *)((char *)src - offsetof(struct unm_missing, src));
	struct unm_server *srv = m->srv;

	(void)events; /* readable is all that a pidfd becomes */
	forget(m);
	one_less(srv);
}

/* Its end is to be noticed. */
static void
watch(struct unm_missing *m)
{
	if (m->src.fd >= 0)
		return;
	m->src.ready = late_ended;
	if (unm_loop_add_process(&m->srv->loop, &m->src, m->pid) == 0)
		unm_log(LOG_WARNING,
			"process %d, a client of the run before, has not come back%s: what only "
			"it has is left as it is until it does, or ends",
			(int)m->pid, unm_missing_is_stopped(m) ? ", as it is stopped" : "");
}

void
unm_missing_give_up(struct unm_server *srv)
{
	struct unm_missing *m, *next;

	for (m = srv->missing; m != NULL; m = next) {
		next = m->next;
		m->is_late = true;
		if (state_of(m) != 0)
			watch(m);
		else
			forget(m);
	}
	take_stock(srv);
}

void
unm_missing_clear(struct unm_server *srv)
{
	while (srv->missing != NULL)
		forget(srv->missing);
}
