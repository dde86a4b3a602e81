/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which instance of netmapd this is: its socket, and that there is only one.
 *
 * The socket's path decides (docs/ARCHITECTURE.md). Beside it lies a lock file, held for netmapd's
 * life: only its holder may remove a stale socket and make a new one.
 */
#ifndef NETMAPD_INSTANCE_H
#define NETMAPD_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/log.h"

struct instance {
	char socket_path[108]; /* sun_path */
	bool is_system;
	bool found_stale; /* there was a socket that nobody served */
	int listen_fd;
	int lock_fd;
};

/**
 * instance_find() - where the socket has to be
 * @wanted: from the command line, or NULL
 *
 * Return: 0 or -ENAMETOOLONG.
 */
int instance_find(struct instance *in, const char *wanted, struct unm_reason *why);

/**
 * instance_claim() - take the lock and listen
 * @gid: group that may connect, or (gid_t)-1
 *
 * With systemd's LISTEN_FDS the socket is the one that was handed over, and no lock is needed.
 * Another one that ends is waited for.
 * Return: 0; -EEXIST another netmapd serves there; -EBUSY it holds the lock and does not answer;
 * -errno with the reason.
 */
int instance_claim(struct instance *in, unsigned int gid, struct unm_reason *why);

/** instance_sign() - note in the lock file who holds it, for the message of whoever finds it held. */
void instance_sign(const struct instance *in);

/** instance_notify() - tell systemd, if it asked for it. @state: as in sd_notify(3). */
void instance_notify(const char *state);

/** instance_give_up() - remove the socket that instance_claim() made. */
void instance_give_up(struct instance *in);

#endif
