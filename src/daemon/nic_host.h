/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host rings of a network interface's port: its TAP (hoststack.h), and the interception of what
 * the kernel sends, which is there while an NIC tx ring is open (spec 12). One that can't have a TAP
 * has no host rings, and works otherwise.
 *
 * Descriptors of the port, behind those of its own (shm/nic.h): the TAP's queues, and last what holds the
 * interception, if there is one. That one goes only to clients that have an NIC tx ring: whoever is
 * killed, the kernel sends on the interface again when the last of them is gone.
 */
#ifndef UNM_DAEMON_NIC_HOST_H
#define UNM_DAEMON_NIC_HOST_H

#include "daemon/binding.h"
#include "daemon/kinds.h"
#include "daemon/netdev.h"
#include "shm/nic.h"

struct unm_nic_host {
	struct unm_reason why; /* there are none */
	uint32_t n_tx, n_rx;   /* host rings */
	uint32_t n_fds;
	int fds[UNM_MAX_TAP_QUEUES];
	int segment_fd; /* socket for segments that are sent joined, or negative */
};

/**
 * unm_nic_host_open() - the TAP of an interface of the current network namespace
 * @geo: how many host rings are asked for
 *
 * On failure, which is logged, there are none.
 */
void unm_nic_host_open(const struct unm_netdev *dev, enum unm_nic_mode mode,
	const struct unm_geometry *geo, struct unm_nic_host *h);
void unm_nic_host_close(const struct unm_nic_host *h);

/** unm_nic_host_join() - make @h the port's, which has its other descriptors. */
void unm_nic_host_join(struct unm_dport *port, const struct unm_nic_host *h);

/** unm_nic_host_stop() - what the stack sends is the interface's own again. */
void unm_nic_host_stop(struct unm_dport *port);

/** unm_nic_host_settle() - intercept if an NIC tx ring other than @closing (or UNM_NONE) is open. */
void unm_nic_host_settle(struct unm_dport *port, uint32_t closing);

/** unm_nic_host_note_switch() - the interface's host's side has got on a switch, or off it. */
void unm_nic_host_note_switch(struct unm_dport *port, bool is_on);

/** unm_nic_host_n_fds() - descriptors of a port, of any kind, that hold no interception. */
uint32_t unm_nic_host_n_fds(const struct unm_dport *port);

/** unm_nic_host_shown_fds() - how many of its port's descriptors a binding gets, of any kind. */
uint32_t unm_nic_host_shown_fds(const struct unm_dbinding *b);

#endif
