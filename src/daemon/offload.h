/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offloads of interfaces that would change received frames before we see them: put right when an
 * interface is opened, given back when its port ends.
 *
 * Switched off, where they are on:
 *   rx-gro-hw, rx-lro                      several frames made into one
 *   rx-gro                                 the same by the stack, where that has frames before us
 *   rx-vlan-hw-parse, rx-vlan-stag-...     the tag taken out of the frame
 *   rx-vlan-filter, rx-vlan-stag-filter    frames dropped whose tag the host does not use
 *
 * What was switched off is noted first, and stands in the state file (restore.c) until it has been
 * given back. So it is also after a crash: the next netmapd gives back what no client has handed
 * over to it, once there is none that is late (missing.h): that one may receive from the interface
 * yet. An interface that is gone from its namespace by then is left alone; one that is moved while
 * netmapd looks on is followed (nic_watch.c).
 *
 * Only those of the interface itself: what a veth's other end leaves undone is that one's affair.
 */
#ifndef UNM_DAEMON_OFFLOAD_H
#define UNM_DAEMON_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/domain.h"

#define UNM_OFFLOAD_ALWAYS 1u
#define UNM_OFFLOAD_GRO	   2u /* those that only matter where the stack has frames before us */

struct unm_offload {
	struct unm_offload *next;
	uint32_t ifindex;
	uint64_t ns_ino;	   /* of its namespace: another one may have the name by now */
	char netns[UNM_NAME_SIZE]; /* as unm_nic has it */
	uint32_t off;		   /* bits: those of ours that were switched off */
	bool is_inherited; /* from a run before, and no client has handed its port back yet */
};

/**
 * unm_offload_put_right() - switch off what is on, of an interface of the current namespace
 * @netns: that namespace, as the port's name has it; empty: netmapd's own
 * @which: UNM_OFFLOAD_*
 *
 * Return: 0, or negative errno: some of it stays on. What the driver does not let be changed is no
 * error.
 */
int unm_offload_put_right(
	struct unm_domain *dom, uint32_t ifindex, const char *netns, unsigned int which);

/**
 * unm_offload_give_back() - switch on again what had been switched off
 * @ns_ino: as unm_nic has it; 0: the namespace is told by its name
 * @sock:   any socket of the interface's namespace but AF_XDP and AF_PACKET ones; negative: enter it
 */
void unm_offload_give_back(
	struct unm_domain *dom, uint32_t ifindex, const char *netns, uint64_t ns_ino, int sock);

/**
 * unm_offload_give_back_moved() - the same, when the interface has been moved to another namespace
 * @ifindex, @netns, @ns_ino: where it was
 * @sock:            any socket of the namespace where it is, but AF_XDP and AF_PACKET ones. Negative:
 *                   nobody knows which that is, so they stay off, which is logged
 * @new_ifindex:     its number there
 */
void unm_offload_give_back_moved(struct unm_domain *dom, uint32_t ifindex, const char *netns,
	uint64_t ns_ino, int sock, uint32_t new_ifindex);

/**
 * unm_offload_settle() - give back what belongs to no port that is open, nor may belong to one of a
 * client that is late
 */
void unm_offload_settle(struct unm_domain *dom);

/** unm_offload_list() - names of what is off: "rx-gro rx-lro", at most @size bytes with the NUL. */
void unm_offload_list(const struct unm_domain *dom, uint32_t ifindex, const char *netns,
	uint64_t ns_ino, char *out, size_t size);

/**
 * unm_offload_tags_stay() - is the tag of a received frame in it, for an interface of the current
 * namespace? True: neither does the driver take it out, nor is it one that gets frames from a kernel.
 */
bool unm_offload_tags_stay(uint32_t ifindex);

/** unm_offload_write(), unm_offload_read() - lines of the state file; as unm_missing_write(). */
void unm_offload_write(const struct unm_domain *dom, FILE *f);
bool unm_offload_read(struct unm_domain *dom, const char *line);

void unm_offload_clear(struct unm_domain *dom);

#endif
