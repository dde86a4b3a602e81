/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-net device with one queue pair on a port of ours: rings in plain memory, and syncs that
 * do what the test says. The guest is two virtqueues of vq_rig.h, each with a memory of its own.
 */
#ifndef TEST_UNIT_VM_NET_RIG_H
#define TEST_UNIT_VM_NET_RIG_H

#include "vm/net_priv.h"
#include "vq_rig.h"

#define NET_SLOTS    64u  /* of the tx ring */
#define NET_RX_SLOTS 256u /* more than one frame may have */
#define NET_BUFS     (NET_RX_SLOTS + 2)
#define NET_BUF_SIZE 2048u

struct net_rig {
	struct unm_net *n;
	struct rig tx, rx; /* the guest's queues */
	struct netmap_ring *port_tx, *port_rx;
	/* The port, played by the test: */
	uint32_t takes;	   /* slots that a txsync takes at most; UINT32_MAX: all */
	uint32_t taken_to; /* slot behind the last one taken */
	uint32_t released; /* slots of the rx ring that came back in a sync */
	unsigned int n_txsyncs;
	bool gone;
};

/* The one that the fake port belongs to. */
extern struct net_rig *net_rig;

/* Of the rigs opened from now on: slots of the tx ring, NET_SLOTS at first. */
void net_rig_set_tx_slots(uint32_t n);

/*
 * @hdr_len: virtio-net header of the port. @can_indirect: as a VALE port, with a guest whose memory may
 * be used directly; unm_net_set_direct() takes the latter back. @features: what the driver takes; rings are started and
 * enabled.
 */
void net_rig_open(struct net_rig *r, uint32_t hdr_len, bool can_indirect, uint64_t features);
void net_rig_close(struct net_rig *r);

/*
 * Frames of the port's tx ring from slot @at on, gathered to @out. Return: length; *next is the
 * slot behind it.
 */
uint32_t net_rig_frame(const struct net_rig *r, uint32_t at, uint8_t *out, uint32_t *next);
/* Put a frame into the port's rx ring, in slots of at most @part bytes. */
void net_rig_receive(struct net_rig *r, const uint8_t *frame, uint32_t len, uint32_t part);

#endif
