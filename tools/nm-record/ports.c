/* SPDX-License-Identifier: BSD-2-Clause */
/* The ports that are recorded, and the thread that looks for them. See ports.h. */
#include "ports.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/conn.h"
#include "shm/socket_dir.h"
#include "shm/thread.h"

#define SEEK_PERIOD_MS 1000
#define LIST_WAIT_MS   20000u /* nobody waits for the seeker */
#define MOST_SLOTS     16384  /* of all rings of a port, as there may be many ports: 36 MB */

struct ports {
	char *const *wanted; /* switches among them end with ':' */
	unsigned int n_wanted;
	char (*list_why)[UNM_LIST_WHY_SIZE]; /* of each: why not all its ports are known, or "" */
	struct port *port[PORTS_MAX];	     /* the first n_ports are set, for good. W: seeker */
	unsigned int n_ports;		     /* release by the seeker, acquire by main */
	pthread_mutex_t lock;		     /* states, list_why, and the words below */
	bool netmapd_died;
	bool netmapd_lives;
	bool is_isolated; /* it answers behind a socket for isolated clients */
	int event_fd;	  /* seeker to main */
	int stop_fd;	  /* main to seeker */
	pthread_t seeker;
	struct unm_conn conn; /* the seeker's: its hang-up is netmapd's death */
};

static bool
is_switch(const char *name)
{
	const size_t len = strlen(name);

	return strncmp(name, "vale", 4) == 0 && len > 4 && name[len - 1] == ':';
}

unsigned int
ports_count(const struct ports *t)
{
	return __atomic_load_n(&t->n_ports, __ATOMIC_ACQUIRE);
}

struct port *
ports_get(const struct ports *t, unsigned int number)
{
	return t->port[number];
}

static struct port *
find_port(const struct ports *t, const char *name)
{
	unsigned int i;

	for (i = 0; i < t->n_ports; i++)
		if (strcmp(t->port[i]->name, name) == 0)
			return t->port[i];
	return NULL;
}

/* Before the seeker runs, or by it. */
static int
add_port(struct ports *t, const char *name)
{
	struct port *p;

	if (find_port(t, name) != NULL)
		return 0;
	if (t->n_ports == PORTS_MAX)
		return -ENOSPC;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->number = (uint16_t)t->n_ports;
	t->port[t->n_ports] = p;
	__atomic_store_n(&t->n_ports, t->n_ports + 1, __ATOMIC_RELEASE);
	return 0;
}

static void
tell_main(struct ports *t)
{
	(void)eventfd_write(t->event_fd, 1); /* full is as good as written */
}

static void
set_netmapd(struct ports *t, bool lives, bool is_isolated)
{
	bool died, is_new;

	pthread_mutex_lock(&t->lock);
	/* A broker's end is not netmapd's, nor is it seen through a broker. */
	died = t->netmapd_lives && !lives && !t->is_isolated;
	is_new = is_isolated && !t->is_isolated;
	t->netmapd_lives = lives;
	t->is_isolated = is_isolated;
	t->netmapd_died |= died;
	pthread_mutex_unlock(&t->lock);
	if (died || is_new)
		tell_main(t);
}

/* Said once for each reason; that netmapd dies is said by others. */
static void
note_list(struct ports *t, unsigned int i, int error, const char *why)
{
	bool is_new;

	if (error == -ECONNRESET || error == -EPIPE || error == -ECONNREFUSED || error == -ENOENT)
		return;
	if (error == 0)
		why = "";
	pthread_mutex_lock(&t->lock);
	is_new = strcmp(t->list_why[i], why) != 0;
	snprintf(t->list_why[i], sizeof(t->list_why[i]), "%s", why);
	pthread_mutex_unlock(&t->lock);
	if (is_new && error != 0)
		fprintf(stderr, "nm-record: not all ports of %s are recorded: %s\n", t->wanted[i],
			why);
}

/* Ports of a switch that somebody uses and that are not known yet. */
static void
seek_switch(struct ports *t, unsigned int number)
{
	const char *name = t->wanted[number];
	char why[UNM_LIST_WHY_SIZE];
	struct unm_list_port *list;
	int i, n, ret = 0;

	if (t->is_isolated) {
		note_list(t, number, -EPERM, "isolated clients get no list: give names of ports");
		return;
	}
	n = unm_list_ports(&list, LIST_WAIT_MS, why);
	for (i = 0; i < n; i++) {
		if (strncmp(list[i].name, name, strlen(name)) == 0 &&
			(list[i].users > 0 || list[i].is_attached))
			ret = add_port(t, list[i].name);
		if (ret < 0) /* no room: the known ones are recorded */
			break;
	}
	if (ret < 0)
		snprintf(why, sizeof(why), "%s",
			ret == -ENOSPC ? "there are too many" : strerror(-ret));
	note_list(t, number, n < 0 ? n : ret, why);
	if (n >= 0)
		free(list);
}

/* Said once for each reason: a port may be waited for for long. */
static void
note_port(struct ports *t, struct port *p, const char *why)
{
	pthread_mutex_lock(&t->lock);
	snprintf(p->why, sizeof(p->why), "%s", why);
	pthread_mutex_unlock(&t->lock);
	if (strcmp(p->said, why) == 0)
		return;
	snprintf(p->said, sizeof(p->said), "%s", why);
	fprintf(stderr, "nm-record: %s is not recorded yet: %s\n", p->name, why);
}

static void
seek_port(struct ports *t, struct port *p)
{
	const struct unm_cap_opts opts = {
		.name = p->name, .most_slots = MOST_SLOTS, .monitor_only = true};
	char why[UNM_CAP_WHY_SIZE];
	struct unm_cap *cap = NULL;

	if (unm_cap_open(&cap, &opts, why) < 0) {
		note_port(t, p, why);
		return;
	}
	pthread_mutex_lock(&t->lock);
	p->cap = cap;
	p->state = PORT_OPEN;
	pthread_mutex_unlock(&t->lock);
	p->said[0] = '\0';
	tell_main(t);
}

static bool
is_all_open(struct ports *t)
{
	unsigned int i;

	for (i = 0; i < t->n_ports; i++)
		if (!ports_is_open(t, t->port[i]))
			return false;
	return true;
}

/*
 * A netmapd lives that has answered: a connection alone may be one that waits in the queue of one
 * that dies just now. None to ask is no reason to start one.
 *
 * A broker refuses the question, and a connection of ours is one client less: it is only seen
 * whether there is one, while a port is to be opened. Return: 0, or negative errno with t->conn.text.
 */
static int
connect_netmapd(struct ports *t)
{
	static const char *const words[] = {"show", "daemon"};
	char *text = NULL;
	int ret;

	if (t->conn.fd >= 0 || (t->is_isolated && t->n_ports > 0 && is_all_open(t)))
		return 0;
	ret = unm_conn_open(&t->conn, NULL);
	if (ret == 0 && unm_socket_is_isolated(t->conn.path)) {
		unm_conn_close(&t->conn);
		set_netmapd(t, true, true);
		return 0;
	}
	if (ret == 0)
		ret = unm_conn_ask(&t->conn, words, 2, &text);
	free(text);
	if (ret < 0)
		unm_conn_close(&t->conn);
	set_netmapd(t, ret == 0, ret < 0 && t->is_isolated);
	return ret;
}

static void
seek(struct ports *t)
{
	const int ret = connect_netmapd(t);
	unsigned int i;

	for (i = 0; i < t->n_wanted && ret == 0; i++)
		if (is_switch(t->wanted[i]))
			seek_switch(t, i);
	for (i = 0; i < t->n_ports; i++) {
		if (ports_is_open(t, t->port[i]))
			continue;
		if (ret == 0)
			seek_port(t, t->port[i]);
		else
			note_port(t, t->port[i], t->conn.text);
	}
}

static void *
seeker(void *arg)
{
	struct ports *t = arg;

	for (;;) { /* until told to stop */
		struct pollfd p[2] = {{.fd = t->stop_fd, .events = POLLIN}};

		seek(t);
		p[1] = (struct pollfd){.fd = t->conn.fd, .events = POLLIN}; /* -1: left out */
		if (poll(p, 2, SEEK_PERIOD_MS) < 0 && errno != EINTR)
			return NULL;
		if (p[0].revents != 0)
			return NULL;
		if (t->conn.fd >= 0 && p[1].revents != 0) { /* it never says anything unasked */
			unm_conn_close(&t->conn);
			set_netmapd(t, false, false);
		}
	}
}

static int
start_seeker(struct ports *t)
{
	t->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->event_fd < 0 || t->stop_fd < 0)
		return -errno;
	return unm_thread_start(&t->seeker, seeker, t);
}

int
ports_new(struct ports **out, char *const *wanted, unsigned int n, char *why)
{
	struct ports *t = calloc(1, sizeof(*t));
	unsigned int i;
	int ret = 0;

	if (t == NULL) {
		snprintf(why, UNM_CAP_WHY_SIZE, "out of memory");
		return -ENOMEM;
	}
	t->list_why = calloc(n + 1, sizeof(*t->list_why));
	if (t->list_why == NULL) {
		free(t);
		snprintf(why, UNM_CAP_WHY_SIZE, "out of memory");
		return -ENOMEM;
	}
	t->wanted = wanted;
	t->n_wanted = n;
	t->conn.fd = -1;
	pthread_mutex_init(&t->lock, NULL);
	for (i = 0; i < n && ret == 0; i++) {
		if (!unm_cap_is_name(wanted[i]) || strlen(wanted[i]) >= UNM_LIST_NAME_SIZE) {
			snprintf(why, UNM_CAP_WHY_SIZE,
				"'%.128s' is no port: vale0:a, netmap:x{1, or vale0: for all ports "
				"of a switch",
				wanted[i]);
			ret = -EINVAL;
		} else if (!is_switch(wanted[i])) {
			ret = add_port(t, wanted[i]);
			if (ret < 0)
				snprintf(why, UNM_CAP_WHY_SIZE, "%s", strerror(-ret));
		}
	}
	if (ret == 0) {
		ret = start_seeker(t);
		if (ret < 0)
			snprintf(why, UNM_CAP_WHY_SIZE, "cannot start: %s", strerror(-ret));
	}
	if (ret == 0) {
		*out = t;
		return 0;
	}
	for (i = 0; i < t->n_ports; i++)
		free(t->port[i]);
	free(t->list_why);
	free(t);
	return ret;
}

void
ports_free(struct ports *t)
{
	unsigned int i;

	(void)eventfd_write(t->stop_fd, 1);
	pthread_join(t->seeker, NULL);
	unm_conn_close(&t->conn);
	for (i = 0; i < t->n_ports; i++) {
		unm_cap_close(t->port[i]->cap);
		free(t->port[i]);
	}
	close(t->event_fd);
	close(t->stop_fd);
	pthread_mutex_destroy(&t->lock);
	free(t->list_why);
	free(t);
}

int
ports_event_fd(const struct ports *t)
{
	return t->event_fd;
}

bool
ports_take_event(struct ports *t)
{
	eventfd_t n;
	bool died;

	(void)eventfd_read(t->event_fd, &n); /* nothing there is as well */
	pthread_mutex_lock(&t->lock);
	died = t->netmapd_died;
	t->netmapd_died = false;
	pthread_mutex_unlock(&t->lock);
	return died;
}

bool
ports_netmapd_lives(struct ports *t)
{
	bool lives;

	pthread_mutex_lock(&t->lock);
	lives = t->netmapd_lives;
	pthread_mutex_unlock(&t->lock);
	return lives;
}

bool
ports_is_isolated(struct ports *t)
{
	bool is_isolated;

	pthread_mutex_lock(&t->lock);
	is_isolated = t->is_isolated;
	pthread_mutex_unlock(&t->lock);
	return is_isolated;
}

const char *
ports_switch(struct ports *t, unsigned int *pos, char *why)
{
	const char *name = NULL;

	pthread_mutex_lock(&t->lock);
	for (; *pos < t->n_wanted && name == NULL; ++*pos) {
		if (t->list_why[*pos][0] == '\0')
			continue;
		name = t->wanted[*pos];
		memcpy(why, t->list_why[*pos], UNM_LIST_WHY_SIZE);
	}
	pthread_mutex_unlock(&t->lock);
	return name;
}

bool
ports_is_open(struct ports *t, const struct port *p)
{
	bool open;

	pthread_mutex_lock(&t->lock);
	open = p->state == PORT_OPEN;
	pthread_mutex_unlock(&t->lock);
	return open;
}

void
ports_give_up(struct ports *t, struct port *p)
{
	struct unm_cap *cap = p->cap;

	ports_counters(t, p, &p->before);
	p->n_gone++;
	pthread_mutex_lock(&t->lock);
	p->cap = NULL;
	p->state = PORT_WAITING;
	snprintf(p->why, sizeof(p->why), "the port has gone");
	pthread_mutex_unlock(&t->lock);
	unm_cap_close(cap);
}

void
ports_counters(struct ports *t, const struct port *p, struct unm_cap_counters *out)
{
	struct unm_cap_counters c = {0};

	if (ports_is_open(t, p))
		unm_cap_get_counters(p->cap, &c);
	*out = (struct unm_cap_counters){
		.frames = p->before.frames + c.frames,
		.bytes = p->before.bytes + c.bytes,
		.missed = p->before.missed + c.missed,
		.invalid = p->before.invalid + c.invalid,
	};
}

void
ports_why(struct ports *t, const struct port *p, char *why)
{
	pthread_mutex_lock(&t->lock);
	memcpy(why, p->why, UNM_CAP_WHY_SIZE);
	pthread_mutex_unlock(&t->lock);
}
