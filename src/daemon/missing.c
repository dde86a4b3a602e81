/* SPDX-License-Identifier: BSD-2-Clause */
/* Who has not come back after a restart. See missing.h. */
/* Syscalls: openat */
#include "daemon/missing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/server.h"

#define STAT_SIZE                                                                                  \
	512 /* of /proc/PID/stat as far as we read it: a name of 15 bytes and 20 numbers */

/* Return: false if there is no such process, or it can't be seen. */
static bool
read_process(pid_t pid, char *state, uint64_t *started)
{
	char path[40], text[STAT_SIZE];
	const char *after;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
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

void
unm_missing_write(const struct unm_server *srv, FILE *f)
{
	const struct unm_missing *m;
	const struct unm_session *s;
	uint32_t n = 0;

	for (m = srv->missing; m != NULL && n < UNM_MISSING_MAX; m = m->next, n++)
		fprintf(f, "client %d %" PRIu64 "\n", (int)m->pid, m->started);
	for (s = srv->sessions; s != NULL && n < UNM_MISSING_MAX; s = s->next) {
		if (s->slot == 0 || s->started == 0)
			continue;
		fprintf(f, "client %d %" PRIu64 "\n", (int)s->pid, s->started);
		n++;
	}
}

bool
unm_missing_read(struct unm_server *srv, const char *line)
{
	struct unm_missing *m;
	uint64_t started;
	int pid;

	if (sscanf(line, "client %d %" SCNu64, &pid, &started) != 2 || pid <= 0)
		return false;
	unm_missing_returned(srv,
		pid); /* a client that was coming back when that run ended may stand there twice */
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return true; /* then it is one that nobody knows of */
	m->pid = pid;
	m->started = started;
	m->next = srv->missing;
	srv->missing = m;
	return true;
}

void
unm_missing_returned(struct unm_server *srv, pid_t pid)
{
	struct unm_missing **pp, *m;

	for (pp = &srv->missing; *pp != NULL; pp = &(*pp)->next) {
		if ((*pp)->pid == pid) {
			m = *pp;
			*pp = m->next;
			free(m);
			return;
		}
	}
}

enum unm_missing_state
unm_missing_look(const struct unm_server *srv)
{
	enum unm_missing_state worst = UNM_MISSING_NOBODY;
	const struct unm_missing *m;
	uint32_t n = 0;

	for (m = srv->missing; m != NULL; m = m->next, n++) {
		uint64_t started;
		char state;

		if (!read_process(m->pid, &state, &started) || started != m->started ||
			state == 'Z' || state == 'X')
			continue;
		if (state != 'T' && state != 't')
			return UNM_MISSING_ALIVE;
		worst = UNM_MISSING_UNSURE;
	}
	return srv->n_restored + n < srv->n_expected ? UNM_MISSING_UNSURE : worst;
}

void
unm_missing_clear(struct unm_server *srv)
{
	while (srv->missing != NULL)
		unm_missing_returned(srv, srv->missing->pid);
}
