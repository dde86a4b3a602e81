/* SPDX-License-Identifier: BSD-2-Clause */
/* Other network namespaces. */
#ifndef UNM_DAEMON_NETNS_H
#define UNM_DAEMON_NETNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/log.h"

/**
 * unm_netns_open() - descriptor of the namespace that a port's name gives
 * @netns: a name below /run/netns, an absolute path, or pid:N
 *
 * Return: descriptor; -ENOENT and other errnos of open(2); -EINVAL: no network namespace.
 */
int unm_netns_open(const char *netns);

/** unm_netns_find_number() - the namespace of that inode. Return: as unm_netns_find(). */
int unm_netns_find_number(uint64_t ino);

/**
 * unm_netns_move() - make the namespace of that inode netmapd's own
 *
 * At the start only: nothing may have been opened in the one before.
 * Return: 1, 0 (it is), -ENOENT (it is gone, or not to be seen from here), -errno of setns(2).
 */
int unm_netns_move(uint64_t ino);

/**
 * unm_netns_find() - a namespace of which nothing but a property is known
 * @is_it: called with the descriptor of one after the other, some of them several times
 *
 * Looks at netmapd's own, at those below /run/netns, and at those of processes. Return: descriptor,
 * or -ENOENT: none of them is it.
 */
int unm_netns_find(bool (*is_it)(int fd, const void *arg), const void *arg);

/* Which namespace it is, whatever it is called. */
struct unm_netns_id {
	uint64_t dev, ino; /* of its file; @ino 0: nobody knows */
};

/** unm_netns_here() - the one that the caller is in. */
void unm_netns_here(struct unm_netns_id *out);

/** unm_netns_of_socket() - the one that socket @sock is of. */
void unm_netns_of_socket(int sock, struct unm_netns_id *out);

/** unm_netns_same() - false if one of them is not known. */
bool unm_netns_same(const struct unm_netns_id *a, const struct unm_netns_id *b);

/**
 * unm_netns_id() - the one that a port's name gives
 * @netns: as for unm_netns_open(); empty: netmapd's own, also between enter and leave
 *
 * Return: 0 or -errno.
 */
int unm_netns_id(const char *netns, struct unm_netns_id *out);

/**
 * unm_netns_interface() - which interface does a port's name mean?
 * @netns: as for unm_netns_id(); not between enter and leave
 *
 * Return: 0; -ENODEV: the namespace has none; another negative errno: no such namespace, or it can't
 * be entered.
 */
int unm_netns_interface(
	const char *netns, const char *ifname, struct unm_netns_id *ns, uint32_t *ifindex);

/**
 * unm_netns_name() - what a port's name may call @ns: a name below /run/netns, or pid:1
 *
 * Return: false: nothing, or it does not fit.
 */
bool unm_netns_name(const struct unm_netns_id *ns, char *out, size_t size);

/** unm_netns_hint() - for a sentence that there is none: how one of that kind is found. Static. */
const char *unm_netns_hint(const char *netns);

/**
 * unm_netns_fail() - say why @netns, in port name @full, could not be opened with @error. Return:
 * -EPERM, -ENXIO.
 */
int unm_netns_fail(struct unm_reason *why, const char *full, const char *netns, int error);

/**
 * unm_netns_enter() - make a namespace the caller's, for as long as it takes to open something
 * there
 * @fd: from unm_netns_open()
 *
 * netmapd has one thread, so nothing else is done meanwhile.
 * Return: descriptor for unm_netns_leave(), or -errno.
 */
int unm_netns_enter(int fd);

/** unm_netns_enter_of_socket() - the same for the namespace that socket @sock is of */
int unm_netns_enter_of_socket(int sock);

/** unm_netns_leave() - back to where unm_netns_enter() came from; @home is closed. */
void unm_netns_leave(int home);

#endif
