/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Port names, as the device sees them (spec 11).
 *
 *   BASE{ID  BASE}ID      ends of a pipe; the last '{' decides, only without one the last '}'
 *   valeS:P               port P of switch valeS
 *   valeS:tap:IF%NETNS    a TAP that is attached to it
 *   tap:IF  tap:IF%NETNS  a TAP interface; NETNS is a name below /run/netns, an absolute path, or
 *           pid:N
 *   NAME                  an interface or a persistent port
 */
#ifndef UNM_DAEMON_NAMES_H
#define UNM_DAEMON_NAMES_H

#include <stdbool.h>

#include "daemon/log.h"

#define UNM_NAME_SIZE	64 /* NETMAP_REQ_IFNAMSIZ */
#define UNM_IFNAME_SIZE 16

/* Of a name that nothing has: to netmap it is a letter like others (spec 22.2). */
#define UNM_NAME_NO_PLUS                                                                           \
	"a + at the end chooses no rings: IF* is the interface's and the host's, IF^ the host's, " \
	"IF-N ring N"
/* What follows a name that chooses rings, or has options: in no interface's name that nobody has. */
#define UNM_NAME_RINGS	"^*@"
#define UNM_SWITCH_SIZE 16

enum unm_name_kind {
	UNM_NAME_PLAIN,
	UNM_NAME_VALE,
	UNM_NAME_PIPE,
	UNM_NAME_TAP,
};

struct unm_name {
	enum unm_name_kind kind;
	char full[UNM_NAME_SIZE];
	char sw[UNM_SWITCH_SIZE]; /* VALE: "vale0" */
	char port[UNM_NAME_SIZE]; /* VALE: port part */
	char base[UNM_NAME_SIZE]; /* pipe */
	char id[UNM_NAME_SIZE];	  /* pipe */
	bool is_master;		  /* pipe: '{' */
	/*
	 * TAP (also as a VALE port), plain; else empty. Of a TAP it may be IF^, the host's side of
	 * interface IF: with one of the longest names, that is one byte more than the kernel has.
	 */
	char ifname[UNM_IFNAME_SIZE + 1];
	char netns[UNM_NAME_SIZE]; /* of the TAP; empty = netmapd's own */
};

/**
 * unm_name_parse() - take a name apart
 * @raw: NETMAP_REQ_IFNAMSIZ bytes, maybe without a NUL: then the last byte counts as one
 *
 * Return: 0, -EINVAL (empty pipe base or id, bad TAP name), -ENXIO (plain name too long or empty),
 * -ENOMEM (malformed VALE name; netmap's errno for creation, the caller turns it into ENXIO for a
 * look-up).
 */
int unm_name_parse(const char *raw, struct unm_name *out, struct unm_reason *why);

/** unm_ifname_ok() - may the kernel have an interface of this name? */
bool unm_ifname_ok(const char *name);

#endif
