/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets for isolated clients and their brokers. See isolate.h. */
/* Syscalls: socket connect unlink unlinkat dup2 dup3 lstat newfstatat getsockopt shutdown */
#include "daemon/isolate.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/missing.h"
#include "daemon/socket_place.h"
#include "shm/closer.h"
#include "shm/socket_dir.h"
#include "shm/socket_kind.h"

#define BACKLOG	  128
#define BROKER_FD 3 /* where the broker finds its socket */

static struct unm_isolate *
isolate_of(const struct unm_child *c)
{
	return (struct unm_isolate *)(uintptr_t)((const char *)c -
						 offsetof(struct unm_isolate, child));
}

struct unm_isolate *
unm_isolate_find(const struct unm_server *srv, const char *name)
{
	struct unm_isolate *iso;

	for (iso = srv->isolates; iso != NULL; iso = iso->next) {
		if (strcmp(iso->spec.name, name) == 0)
			return iso;
	}
	return NULL;
}

/* --- the socket --- */

static void
fill_address(struct sockaddr_un *sa, const char *path)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	memcpy(sa->sun_path, path, strlen(path)); /* shorter: isolate_spec.h */
}

static int
make_socket(const struct unm_isolate_spec *spec, struct unm_reason *why)
{
	const struct unm_socket_owner owner = {
		spec->uid, spec->gid, spec->mode | UNM_SOCKET_ISOLATED};
	struct stat st;
	int fd, err;

	if (lstat(spec->path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return unm_fail(why, -EEXIST, "%s is there, and is no socket", spec->path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return unm_fail(why, -errno, "can't make a socket: %s", strerror(errno));
	err = unm_socket_place(fd, spec->path, &owner, BACKLOG);
	if (err == 0)
		return fd;
	close(fd);
	return unm_fail(why, err, "can't make the socket %s: %s", spec->path, strerror(-err));
}

/* A socket that some program may be serving is not ours to replace. */
static int
check_path(struct unm_server *srv, const struct unm_isolate_spec *spec, struct unm_reason *why)
{
	const struct unm_isolate *iso;
	struct sockaddr_un sa;
	int fd, ret;

	if (unm_socket_same(srv->socket_path, spec->path))
		return unm_fail(why, -EEXIST, "%s is netmapd's own socket", spec->path);
	for (iso = srv->isolates; iso != NULL; iso = iso->next) {
		if (unm_socket_same(iso->spec.path, spec->path))
			return unm_fail(why, -EEXIST, "%s is the socket of isolate %s", spec->path,
				iso->spec.name);
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return unm_fail(why, -errno, "can't make a socket: %s", strerror(errno));
	fill_address(&sa, spec->path);
	ret = connect(fd, (const struct sockaddr *)&sa, sizeof(sa));
	close(fd);
	return ret == 0 ? unm_fail(why, -EEXIST, "another program serves at %s", spec->path) : 0;
}

/* --- the broker --- */

static void
exec_broker(const struct unm_child *c, const char *path)
{
	const struct unm_isolate *iso = isolate_of(c);

	if (dup2(iso->listen_fd, BROKER_FD) != BROKER_FD)
		return;
	if (iso->listen_fd == BROKER_FD) /* then dup2() has left close-on-exec as it was */
		return;
	execl(path, c->ops->program, iso->spec.name, (char *)NULL);
}

/* Nobody has the socket any more, if broker and netmapd have both ended: then another one. */
static int
prepare_broker(struct unm_child *c, struct unm_reason *why)
{
	struct unm_isolate *iso = isolate_of(c);

	if (iso->listen_fd >= 0)
		return 0;
	iso->listen_fd = make_socket(&iso->spec, why);
	return iso->listen_fd < 0 ? iso->listen_fd : 0;
}

static void
broker_changed(struct unm_child *c)
{
	unm_state_file_update(c->srv); /* who is the broker */
}

static const char *
broker_name(const struct unm_child *c)
{
	return isolate_of(c)->spec.name;
}

static const struct unm_child_ops broker_ops = {
	.program = "nm-isolator",
	.prepare = prepare_broker,
	.exec = exec_broker,
	.changed = broker_changed,
	.name = broker_name,
};

static struct unm_isolate *
new_isolate(struct unm_server *srv, const struct unm_isolate_spec *spec)
{
	struct unm_isolate *iso = calloc(1, sizeof(*iso));

	if (iso == NULL)
		return NULL;
	unm_child_init(&iso->child, srv, &broker_ops);
	iso->spec = *spec;
	iso->listen_fd = -1;
	iso->id = ++srv->last_isolate_id;
	iso->next = srv->isolates;
	srv->isolates = iso;
	return iso;
}

/* The socket stays, dead: without it a client would take the path for one where it may start a netmapd. */
static void
end_isolate(struct unm_server *srv, struct unm_isolate *iso)
{
	struct unm_isolate **pp;
	struct unm_session *s;

	unm_child_end(&iso->child);
	for (s = srv->sessions; s != NULL; s = s->next) {
		if (s->isolate == iso)
			s->isolate = NULL; /* its hang-up is on its way */
	}
	for (pp = &srv->isolates; *pp != iso; pp = &(*pp)->next)
		continue;
	*pp = iso->next;
	if (iso->listen_fd >= 0) { /* clients that nobody has accepted may have sent something */
		shutdown(iso->listen_fd, SHUT_RDWR);
		unm_closer_abandon(iso->listen_fd, NULL);
	}
	free(iso);
}

/* --- requests --- */

/* @waits: a broker that can't be run now is tried again later. */
static int
create(struct unm_server *srv, const struct unm_isolate_spec *spec, bool waits,
	struct unm_reason *why)
{
	struct unm_isolate *iso;
	int err;

	if (unm_isolate_find(srv, spec->name) != NULL)
		return unm_fail(why, -EEXIST, "there is an isolate %s already", spec->name);
	err = check_path(srv, spec, why);
	if (err < 0)
		return err;
	iso = new_isolate(srv, spec);
	if (iso == NULL)
		return unm_fail(why, -ENOMEM, "netmapd is out of memory");
	err = prepare_broker(&iso->child, why);
	if (err == 0 && waits)
		unm_child_keep(&iso->child);
	else if (err == 0)
		err = unm_child_start(&iso->child, why);
	if (err < 0) {
		if (iso->listen_fd >= 0)
			unlink(iso->spec.path); /* nobody has used it */
		end_isolate(srv, iso);
	}
	return err;
}

int
unm_isolate_create(
	struct unm_server *srv, const struct unm_isolate_spec *spec, struct unm_reason *why)
{
	return create(srv, spec, false, why);
}

int
unm_isolate_remove(struct unm_server *srv, const char *name, struct unm_reason *why)
{
	struct unm_isolate *iso = unm_isolate_find(srv, name);

	if (iso == NULL)
		return unm_fail(why, -ENOENT, "there is no isolate '%s'", name);
	end_isolate(srv, iso);
	unm_state_file_update(srv);
	return 0;
}

void
unm_isolate_end_brokers(struct unm_server *srv)
{
	struct unm_isolate *iso;

	for (iso = srv->isolates; iso != NULL; iso = iso->next) {
		unm_child_end(&iso->child);
		iso->child.pid = 0;
	}
	unm_state_file_update(srv);
}

static bool
is_used(const struct unm_server *srv, const struct unm_isolate *iso)
{
	const struct unm_desc *d;
	uint32_t i;

	for (i = 0; i < UNM_DESC_HASH; i++)
		for (d = srv->descs[i]; d != NULL; d = d->next)
			if (d->binding.port != NULL && d->pid == iso->child.pid)
				return true;
	return false;
}

void
unm_isolate_end_idle(struct unm_server *srv)
{
	struct unm_isolate *iso;

	for (iso = srv->isolates; iso != NULL; iso = iso->next) {
		if (iso->child.pid <= 0 || is_used(srv, iso))
			continue;
		unm_child_end(&iso->child);
		iso->child.pid = 0;
	}
	if (srv->isolates != NULL)
		unm_state_file_update(srv);
}

/* --- over a restart --- */

void
unm_isolate_write(const struct unm_server *srv, FILE *f)
{
	char text[UNM_ISOLATE_TEXT_SIZE];
	const struct unm_isolate *iso;
	const char *w;
	size_t len;

	for (iso = srv->isolates; iso != NULL; iso = iso->next) {
		len = unm_isolate_spec_format(&iso->spec, '\0', text, sizeof(text));
		fprintf(f, "isolate %s %d %llu %d\n", iso->spec.name, (int)iso->child.pid,
			(unsigned long long)unm_process_started(iso->child.pid),
			iso->is_configured);
		for (w = text; w < text + len; w += strlen(w) + 1)
			fprintf(f, "word %s\n", w);
	}
}

bool
unm_isolate_read(struct unm_server *srv, const char *line)
{
	char word[UNM_ISOLATE_PATH_SIZE + 16], why[UNM_POLICY_WHY_SIZE];
	struct unm_isolate_spec spec;
	unsigned long long started;
	struct unm_isolate *iso;
	int pid, is_configured;

	/* The words of an isolate follow its line: it is the first of our list. */
	if (sscanf(line, "word %119s", word) == 1) {
		if (srv->isolates != NULL)
			unm_isolate_spec_word(&srv->isolates->spec, word, why);
		return true;
	}
	if (sscanf(line, "isolate %119s %d %llu %d", word, &pid, &started, &is_configured) != 4)
		return false;
	if (unm_isolate_spec_init(&spec, word, why) < 0)
		return true;
	iso = new_isolate(srv, &spec);
	if (iso != NULL && pid > 0 && started != 0 && unm_process_started(pid) == started)
		iso->child.pid = pid; /* watched from unm_isolate_begin() on */
	if (iso != NULL)
		iso->is_configured = is_configured != 0;
	return true;
}

/* One that was there before: its broker lives, and will come back, or both are made anew. */
static void
take_over(struct unm_isolate *iso)
{
	if (iso->child.pid > 0)
		unm_child_adopt(&iso->child, iso->child.pid);
	else
		unm_child_keep(&iso->child);
}

/* Does the configuration have it, exactly as it is? */
static bool
is_as_configured(const struct unm_config *cfg, const struct unm_isolate *iso)
{
	char want[UNM_ISOLATE_TEXT_SIZE], have[UNM_ISOLATE_TEXT_SIZE];
	uint32_t i;

	unm_isolate_spec_format(&iso->spec, ' ', have, sizeof(have));
	for (i = 0; i < cfg->n_isolates; i++) {
		if (strcmp(cfg->isolates[i].name, iso->spec.name) != 0)
			continue;
		unm_isolate_spec_format(&cfg->isolates[i], ' ', want, sizeof(want));
		return strcmp(want, have) == 0;
	}
	return false;
}

void
unm_isolate_begin(struct unm_server *srv)
{
	const struct unm_config *cfg = &srv->cfg;
	struct unm_isolate *iso, *next;
	struct unm_reason why;
	uint32_t i;

	for (iso = srv->isolates; iso != NULL; iso = next) {
		next = iso->next;
		if (iso->is_configured && !is_as_configured(cfg, iso))
			end_isolate(srv, iso);
		else
			take_over(iso);
	}
	for (i = 0; i < cfg->n_isolates; i++) {
		if (unm_isolate_find(srv, cfg->isolates[i].name) != NULL)
			continue;
		if (create(srv, &cfg->isolates[i], true, &why) < 0)
			unm_log(LOG_ERR, "isolate %s: %s", cfg->isolates[i].name, why.text);
		else
			srv->isolates->is_configured = true;
	}
	if (srv->isolates != NULL)
		unm_state_file_update(srv);
}

/* A listening socket, made for the isolate. */
static bool
is_its_socket(const struct unm_isolate *iso, int fd)
{
	return unm_socket_is_placed(fd, iso->spec.path) && unm_socket_is(fd, SO_ACCEPTCONN, 1);
}

void
unm_handle_broker(struct unm_msg *m)
{
	const struct unm_msg_broker *req = m->body;
	struct unm_msg_broker *ans = (struct unm_msg_broker *)(void *)m->out;
	struct unm_isolate *iso;
	char name[sizeof(req->name)];

	snprintf(name, sizeof(name), "%.*s", (int)sizeof(req->name) - 1, req->name);
	iso = unm_isolate_find(m->srv, name);
	if (iso == NULL || iso->child.pid != m->s->pid || !is_its_socket(iso, m->fds[0])) {
		m->error = EPERM;
		return;
	}
	m->s->isolate = iso;
	if (iso->listen_fd < 0) {
		iso->listen_fd = m->fds[0];
		m->fds[0] = -1;
	}
	memset(ans, 0, sizeof(*ans));
	memcpy(ans->name, name, sizeof(ans->name));
	ans->text_len = (uint32_t)unm_policy_format(
		&iso->spec.policy, '\0', ans->text, UNM_POLICY_TEXT_SIZE);
	m->out_len = sizeof(*ans) + ans->text_len;
}

/* --- nmctl --- */

static void
show_use(const struct unm_server *srv, const struct unm_isolate *iso, struct unm_json *j)
{
	const struct unm_desc *d;
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < UNM_DESC_HASH; i++)
		for (d = srv->descs[i]; d != NULL; d = d->next)
			n += d->binding.port != NULL && iso->child.pid > 0 &&
			     d->pid == iso->child.pid;
	unm_json_u64(j, "ports_used", n);
}

/* Somebody may have removed it; its clients go on, and it is not for us to make it again in his way. */
static bool
is_socket_there(const struct unm_isolate *iso)
{
	struct stat st;

	return lstat(iso->spec.path, &st) == 0 && S_ISSOCK(st.st_mode);
}

void
unm_isolate_show(const struct unm_server *srv, struct unm_json *j, const char *name)
{
	const struct unm_isolate *iso;
	uint32_t i;

	unm_json_open(j, "isolates", '[');
	for (iso = srv->isolates; iso != NULL; iso = iso->next) {
		const struct unm_isolate_spec *s = &iso->spec;

		if (name != NULL && strcmp(name, s->name) != 0)
			continue;
		unm_json_open(j, NULL, '{');
		unm_json_str(j, "name", s->name);
		unm_json_str(j, "socket", s->path);
		unm_json_bool(j, "socket_removed", !is_socket_there(iso));
		unm_json_u64(j, "mode", s->mode);
		unm_json_u64(j, "uid", s->uid != (uid_t)-1 ? s->uid : geteuid());
		unm_json_u64(j, "gid", s->uid != (uid_t)-1 ? s->gid : getegid());
		unm_json_u64(j, "broker_pid", iso->child.pid > 0 ? (uint64_t)iso->child.pid : 0);
		unm_json_open(j, "allow", '[');
		for (i = 0; i < s->policy.n_allow; i++)
			unm_json_str(j, NULL, s->policy.allow[i]);
		unm_json_close(j, ']');
		unm_json_u64(j, "max_ports", s->policy.max_ports);
		unm_json_u64(j, "max_clients", s->policy.max_clients);
		unm_json_u64(j, "max_memory", s->policy.max_memory);
		unm_json_u64(j, "rate_pps", s->policy.rate_pps);
		show_use(srv, iso, j);
		unm_json_close(j, '}');
	}
	unm_json_close(j, ']');
}
