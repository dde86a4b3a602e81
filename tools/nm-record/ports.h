/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports that are recorded. They come and go; whoever records waits for them.
 *
 * Asking netmapd may take as long as netmapd does, and frames come meanwhile. So a thread of its
 * own, the seeker, lists the ports of switches, opens what is to be had, and watches whether
 * netmapd lives; the main thread reads. An entry belongs to one of them:
 *
 *   WAITING  the seeker's: it tries to open it, once a second
 *   OPEN     the main thread's: it reads, and makes it WAITING again when the port has gone
 *
 * Why a port can't be recorded, or ports of a switch can't be listed, the seeker says on standard
 * error, whenever the reason is a new one.
 *
 * Entries are never removed: frames in the store name them by number.
 */
#ifndef NM_RECORD_PORTS_H
#define NM_RECORD_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "pcap/capture.h"
#include "pcap/list.h"
#include "pcap/pace.h"

#define PORTS_MAX 4096

enum port_state {
	PORT_WAITING,
	PORT_OPEN,
};

struct port {
	char name[UNM_LIST_NAME_SIZE];
	uint16_t number;
	enum port_state state; /* under the table's lock; then what it protects is the owner's */
	struct unm_cap *cap;
	char why[UNM_CAP_WHY_SIZE];  /* WAITING: why it is not open; "" before the first try */
	char said[UNM_CAP_WHY_SIZE]; /* the last that the user has been told. W: seeker */
	/* W: main */
	struct unm_pace pace;
	struct unm_cap_counters before; /* of captures that have ended */
	uint64_t n_gone;		/* how often the port has gone */
	uint64_t n_accepted;		/* frames that the filter wanted, of all captures */
};

struct ports;

/**
 * ports_new() - a table, and its seeker
 * @wanted: @n names: ports, or switches as "vale0:"; borrowed
 *
 * Return: 0, -EINVAL with @why: a name that is none, -ENOMEM, -errno.
 */
int ports_new(struct ports **out, char *const *wanted, unsigned int n, char *why);

/* Ends the seeker, closes all. It may take as long as netmapd takes to answer. */
void ports_free(struct ports *t);

/*
 * Readable when the seeker has something to say: a port was opened, netmapd has died, or we turn out
 * to be isolated.
 */
int ports_event_fd(const struct ports *t);

/* Take the event: has netmapd died since the last call? */
bool ports_take_event(struct ports *t);

/* Does netmapd answer? */
bool ports_netmapd_lives(struct ports *t);

/* Behind a socket for isolated clients? Then lists and the death of netmapd are not to be seen. */
bool ports_is_isolated(struct ports *t);

/**
 * ports_switch() - the next switch whose ports are not all known
 * @pos: 0 for the first one; moved on
 * @why: UNM_LIST_WHY_SIZE bytes; receives the reason
 *
 * Return: its name, NULL: no more.
 */
const char *ports_switch(struct ports *t, unsigned int *pos, char *why);

/* How many entries there are; they are numbered from 0. More may come at any time. */
unsigned int ports_count(const struct ports *t);
struct port *ports_get(const struct ports *t, unsigned int number);

/* Is it OPEN, and so the main thread's? */
bool ports_is_open(struct ports *t, const struct port *p);

/* The port has gone: close it, and let the seeker have it. */
void ports_give_up(struct ports *t, struct port *p);

/* Of all captures of the port. Main thread. */
void ports_counters(struct ports *t, const struct port *p, struct unm_cap_counters *out);

/* Copy why a WAITING port is not open. */
void ports_why(struct ports *t, const struct port *p, char *why);

#endif
