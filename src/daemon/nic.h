/* SPDX-License-Identifier: BSD-2-Clause */
/* A network interface that is open as a port: netmapd's side of it. */
#ifndef UNM_DAEMON_NIC_H
#define UNM_DAEMON_NIC_H

#include <stdio.h>

#include "daemon/domain.h"
#include "daemon/netns.h"
#include "daemon/nic_probe.h"

#define UNM_ETH_OVERHEAD 18u /* header and one VLAN tag */

struct unm_nic_watch;

/*
 * While clients hand back what they have there may be interfaces' ports without one: nobody has such a
 * port open, and at the end of that it is taken down.
 */
struct unm_nic {
	struct unm_nic_state *st; /* mapped */
	uint64_t st_size;
	/* Our own copies of what we have put there, where clients can write: none is read back */
	struct unm_nic_setup setup;
	uint32_t n_pool[UNM_NIC_MAX_QUEUES];
	uint32_t bounce[UNM_NIC_MAX_QUEUES][UNM_NIC_MAX_BOUNCE]; /* first one 0: none yet */
	uint32_t ifindex;
	int veth_fd; /* asks about it: veth.h */
	char ifname[UNM_IFNAME_SIZE];
	char netns[UNM_NAME_SIZE]; /* empty: netmapd's own */
	struct unm_netns_id ns;	   /* what that is */
	uint32_t mtu;
	bool is_up;
	struct unm_reason no_host;   /* why it has no host rings; empty: it has, or was adopted */
	struct unm_nic_watch *watch; /* NULL: nobody tells us of changes */
};

/**
 * unm_nic_adopt() - make the @nic of an adopted port from descriptors that a client has handed back
 * @fds: @n of them, as in shm/nic.h, without the host rings' queues; borrowed. The caller makes them
 *       the port's
 *
 * Return: 0, or -EINVAL with the reason.
 */
int unm_nic_adopt(struct unm_domain *dom, struct unm_dport *port, const int *fds, uint32_t n,
	bool has_host_rings, struct unm_reason *why);

/**
 * unm_nic_put_right_again() - switch off the offloads of an adopted port's interface that have been
 * given back meanwhile
 */
void unm_nic_put_right_again(struct unm_domain *dom, const struct unm_dport *port);

/**
 * unm_nic_let_go() - the interface is somebody else's now, whatever @port's clients still hold: no
 * program of ours stays on it
 */
void unm_nic_let_go(struct unm_dport *port);

/** unm_nic_is_attached() - is the interface on a switch? */
bool unm_nic_is_attached(const struct unm_domain *dom, const struct unm_dport *nic);

/**
 * unm_nic_watch() - follow what becomes of the interface; called in its namespace
 *
 * Return: 0; -ENODEV: there is no such interface (any more); other errnos: nobody follows it.
 */
int unm_nic_watch(struct unm_domain *dom, struct unm_dport *port);
void unm_nic_unwatch(struct unm_nic *nic);

/** unm_nic_look() - hear what there is to be heard now; @port may have ended by that. */
void unm_nic_look(struct unm_dport *port);

/**
 * unm_nic_extra_queues() - receive queues that the interface has beyond those it was opened with
 * (ethtool -L): their frames go to the host stack
 */
uint32_t unm_nic_extra_queues(const struct unm_nic *nic);

/**
 * unm_nic_netlink() - a socket of the current namespace for questions about links, non-blocking
 * @groups: RTMGRP_*: what is to be told unasked
 *
 * Return: descriptor or -errno.
 */
int unm_nic_netlink(uint32_t groups);

/** unm_nic_xdp_id() - number of the XDP program on an interface of the current namespace, or 0. */
uint32_t unm_nic_xdp_id(uint32_t ifindex);

/* What the administrator wants of interface @name, open or not. */
struct unm_nic_setting {
	struct unm_nic_setting *next;
	char name[UNM_NAME_SIZE];
	int mode;	     /* enum unm_nic_mode, 0: the best; negative: as netmapd.conf says */
	int may_take_uplink; /* 0, 1; negative: as netmapd.conf says */
};

/**
 * unm_nic_parse_name() - unm_name_parse() where an interface is expected, there now or to come
 * @is_there: is there one now?
 *
 * Not between enter and leave of a namespace.
 * Return: 0, or negative errno with the reason, which is one for all commands: -EINVAL for a name
 * that looks like one with rings or options behind it, or that no interface will have.
 */
int unm_nic_parse_name(
	const char *raw, struct unm_name *out, bool *is_there, struct unm_reason *why);

/**
 * unm_nic_same_name() - do two names mean an interface of one namespace, of one name, be it there or
 * not?
 */
bool unm_nic_same_name(const char *a, const char *b);

/**
 * unm_nic_set() - change a setting for the next opening of @name: "mode" or "uplink"
 * @value:    UNM_NIC_DEFAULT takes it back
 * @is_there: is there such an interface now?
 *
 * Return: 0, -EINVAL, -ENOSPC, -ENOMEM, each with the reason.
 */
#define UNM_NIC_DEFAULT "default"
int unm_nic_set(struct unm_domain *dom, const char *name, const char *key, const char *value,
	bool *is_there, struct unm_reason *why);

/**
 * unm_nic_settings_write() - into the state file, for the next netmapd
 * unm_nic_settings_read() - take over one line of it. Return: false if it is about something else.
 */
void unm_nic_settings_write(const struct unm_domain *dom, FILE *f);
bool unm_nic_settings_read(struct unm_domain *dom, const char *line);

/** unm_nic_forget_settings() - free them. */
void unm_nic_forget_settings(struct unm_domain *dom);

/** unm_nic_mode_for() - the mode demanded for port @name, 0: the best that works. */
int unm_nic_mode_for(const struct unm_domain *dom, const char *name);

/**
 * unm_nic_check_uplink() - may interface @ifname of the current namespace be taken as port @name?
 *
 * Return: 0, or -EPERM with the reason: it is the only way out, and nobody has agreed.
 */
int unm_nic_check_uplink(
	const struct unm_domain *dom, const char *name, const char *ifname, struct unm_reason *why);

#endif
