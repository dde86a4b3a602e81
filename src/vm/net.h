/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-net device: queue pairs on one side, an open netmap port on the other. One copy each
 * way.
 *
 *   guest memory                net_tx_fp.c, net_rx_fp.c               netmap port
 *   tx queue 2k+1 --chain, header checked--> slots of tx ring k --txsync--> VALE, pipe, NIC, TAP
 *   rx queue 2k   <--one copy, header------- slots of rx ring k <--rxsync--
 *
 * Queue pair k works on tx and rx ring k of the port. Rings of the port whose pair is not enabled
 * are served to the enabled pairs in turn, since a switch spreads frames over all rings of a port.
 * A tx queue that is started but not enabled consumes and drops.
 *
 * What a guest has no buffers for stays in the port's rx ring; when that is full, the sender drops
 * and counts (VALE) or waits (pipe, lossless port). So a guest that stops costs itself its frames
 * and nobody else anything. When a guest starts, what came before is thrown away.
 *
 * Ports whose header length can be set (VALE, not opened by somebody else with another one) get 12
 * bytes, and the guest is offered checksum and segmentation offloads; other ports carry plain
 * frames, and nothing is offered.
 *
 * Threads: everything here runs in one thread, that of the loop (loop.h); several devices may share
 * it. Nothing waits for a guest or a front end. Nor for netmapd, once a device is open and as long
 * as the asker runs (asker.h), which tells it what a guest can't take and opens ports anew. A guest
 * that takes less than the one before it is not given what it can't take meanwhile: such frames are
 * dropped. What is left is libnetmap's, within a sync: it needs the eventfd of a peer that is woken for the
 * first time, or the memory of one that is new, and waits for netmapd for as long as its user has said
 * (unetmap_wait_at_most()), and not again before it has answered.
 */
#ifndef UNM_VM_NET_H
#define UNM_VM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/vhost_user/backend.h"

/* Room for a sentence about what went wrong. */
#define UNM_NET_WHY_SIZE 512

struct unm_net;

enum unm_net_offload {
	UNM_NET_OFFLOAD_AUTO, /* what the port can do */
	UNM_NET_OFFLOAD_OFF,  /* plain frames */
};

struct unm_net_config {
	const char *port;     /* netmap port name, e.g. "vale0:vm1"; copied */
	unsigned int n_pairs; /* queue pairs; 0: as many as the port has rings, 1 for a new port */
	uint8_t mac[6];	      /* all zero: derived from the port's name, locally administered */
	uint16_t mtu;	      /* what the guest is told; 0: nothing */
	enum unm_net_offload offload;
	bool can_pack; /* offer packed rings */
	bool in_order; /* offer in-order completion */
	bool ctrl_vq; /* offer the control queue (front ends that don't serve it themselves: UML) */
	/*
	 * Interrupt moderation, towards the guest: delay a call until so many frames, or so long
	 * after the first; 0: call at once
	 */
	uint32_t coalesce_frames;
	uint32_t coalesce_us;
};

/**
 * unm_net_open() - open the port, make the device
 * @out: written on success; caller owns it, ends it with unm_net_free()
 * @why: on error a sentence for the user; UNM_NET_WHY_SIZE
 *
 * Return: 0 or a negative errno: what opening the port gave; -EINVAL the configuration does not fit
 * the port; -ENOMEM.
 */
int unm_net_open(struct unm_net **out, const struct unm_net_config *c, char *why);

/* Not while a back end or a loop has it. NULL is accepted. */
void unm_net_free(struct unm_net *n);

/* For unm_vu_backend_new(), with the device itself as its @dev. Valid as long as the device. */
const struct unm_vu_device_ops *unm_net_ops(const struct unm_net *n);

/*
 * May the switch use the guest's memory itself, while it holds a lock that others need? Whoever has
 * a file of memory can make an access to it sleep for as long as he likes, uninterruptibly: by
 * punching holes (the kernel has a fault wait until the hole is punched). If not, which is so at first,
 * frames are copied between the guest's memory and the port's by this thread, which holds no lock then:
 *
 *   guest -> port    the whole frame goes to slots of the tx ring before the sync
 *   port -> guest    through the rx ring always, also from a sender in this thread
 *
 * Between batches, at any time.
 */
void unm_net_set_direct(struct unm_net *n, bool is_direct);
/* Is it done? Of some ports (pipes, interfaces) it never is. */
bool unm_net_is_direct(const struct unm_net *n);
bool unm_net_can_be_direct(const struct unm_net *n);

/*
 * The link as the guest sees it (config space; unm_vu_config_changed() tells it). While it is down,
 * frames of both directions are dropped.
 */
void unm_net_set_link(struct unm_net *n, bool up);

/*
 * Has the port gone (removed from its switch, closed by netmapd) since the last call, or since it was
 * opened again? The device then drops everything until unm_net_reopen().
 */
bool unm_net_is_lost_anew(struct unm_net *n);

/*
 * Has the port been taken from its switch, where it can come back (nmctl detach, attach)? Until
 * then its link is down.
 */
bool unm_net_is_off_switch(const struct unm_net *n);

/*
 * Open the port of the same name again; @why as for unm_net_open(). Running queues stay. Return:
 * -EINPROGRESS it is being opened, call again; else as unm_net_open().
 */
int unm_net_reopen(struct unm_net *n, char *why);

const char *unm_net_name(const struct unm_net *n);
const uint8_t *unm_net_mac(const struct unm_net *n);

/* Sums over all queues. */
struct unm_net_stats {
	uint64_t tx_frames, tx_bytes; /* from the guest into the port */
	uint64_t rx_frames, rx_bytes; /* from the port into the guest */
	uint64_t rx_direct;	      /* of those, straight from a sender in this process */
	uint64_t tx_bad_header;	      /* virtio-net header that makes no sense */
	uint64_t tx_bad_frame; /* shorter than an Ethernet header, or longer than the port takes */
	uint64_t tx_disabled;  /* queue not enabled, link down, or port lost */
	uint64_t rx_no_buffer; /* the guest's buffer is too small for the frame */
	/*
	 * What this guest can't be shown: a peer's virtio-net header, a frame too short or too
	 * long, or in too many slots, or with one that can't be read
	 */
	uint64_t rx_bad_header;
	uint64_t rx_discarded; /* came while no guest ran, or with the link down */
	uint64_t calls, kicks, sleeps;
};
void unm_net_get_stats(const struct unm_net *n, struct unm_net_stats *out);

#endif
