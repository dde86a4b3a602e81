/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of the virtio-net device: shared by net*.c and loop.c only. */
#ifndef UNM_VM_NET_PRIV_H
#define UNM_VM_NET_PRIV_H

#include <libnetmap.h>
#include <unetmap.h>

#include "vm/asker.h"
#include "vm/net_features.h"
#include "vm/net.h"
#include "vm/vq.h"

#define NET_MAX_PAIRS 64u
#define NET_NAME_LEN  64

/* virtio-net header with num_buffers, as guests and ports have it */
#define NET_HDR_LEN 12u
#define NET_ETH_LEN 14u
/* The longest frame: what an IP length field can say, an Ethernet header, two VLAN tags */
#define NET_MAX_FRAME (65535u + NET_ETH_LEN + 8u)

/*
 * Frames of a guest up to this length are copied to the port's buffer: cheaper than two fragments
 */
#define NET_TX_COPY 256u
/* Of longer ones only so much, which is more than all headers: what was checked must not change */
#define NET_TX_HEAD 192u
/*
 * Buffers that copied frames use, before a sync: enough for as many short frames as the budget has,
 * and 64 KiB more. 640 KiB in all
 */
#define NET_WARM (NET_BUDGET + NETMAP_MAX_FRAGS)
/* Chains peeked at once, so that what one needs is on its way while others are worked on */
#define NET_BURST 32u
/* Chains that one frame may be spread over (MRG_RXBUF): 64 KiB in buffers of 512 bytes */
#define NET_CHAINS     128u
#define NET_POOL_PARTS (UNM_VQ_MAX_PARTS + 2 * NET_CHAINS)
/* Slots of one frame, more are dropped: more than 64 KiB in buffers of 512 bytes */
#define NET_RX_PARTS 160u
/* Frames of one queue before it is another one's turn */
#define NET_BUDGET 256u
/*
 * Likewise descriptors and parts that are looked at for them, if there are more than one each: some
 * 40 us where a driver makes as many as it may, of length 0. Usual frames stay far below.
 */
#define NET_LOOKS 8192u
/* So long for several queues of a NIC before it is another one's turn */
#define NET_PASS_NS UINT64_C(300000)

/* One virtqueue. */
struct net_queue {
	struct unm_net *net;
	struct unm_vq *q; /* NULL: not started */
	int kick_fd;	  /* borrowed; -1: none */
	bool enabled;
	bool starved; /* rx: frames wait for buffers */
	bool call_pending;
	uint32_t call_frames; /* since the first one that the pending call is about */
	uint64_t call_due_ns;
};

/* Rings k of the port. */
struct net_ring {
	struct nmport_d *port;
	struct netmap_ring *tx, *rx;
	uint32_t n_bufs;
	/*
	 * The port did not take all, or has no room for what comes next: tx->cur is where its tail
	 * was found then, and POLLOUT tells that it has moved
	 */
	bool tx_blocked;
	struct net_queue *target; /* rx: whom it is served to; NULL: nobody */
	/*
	 * Chains whose frames lie in slots that the port may not have taken yet, oldest first, and
	 * how many slots each has; in rings of tx->num_slots entries
	 */
	struct unm_vq_done *sent;
	uint16_t *slots;
	uint32_t sent_head, n_sent, sent_slots;
};

struct net_port {
	struct net_ring ring[NET_MAX_PAIRS];
	unsigned int n_rings;
	uint32_t hdr_len;  /* virtio-net header of the port */
	bool had_hdr;	   /* before we came */
	bool can_indirect; /* NS_INDIRECT slots save a copy */
	bool lost;
};

/* What netmapd is to be told of the port, and is told by the asker (asker.h), under its lock. */
struct net_tell {
	struct unm_ask ask;
	char port[NETMAP_REQ_IFNAMSIZ]; /* "": nothing is to be told */
	uint32_t hdr_len;
	uint32_t lacks; /* UNM_VNET_LACKS_* */
};

/* The port opened anew, by the asker, which has @net for itself while the job is busy. */
struct net_opening {
	struct unm_ask ask;
	struct unm_net *net; /* a device for the port and its name only; NULL: not under way */
	int err;
	char why[UNM_NET_WHY_SIZE];
};

struct net_config_space {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_pairs;
	uint16_t mtu;
	uint32_t speed;
	uint8_t duplex;
} __attribute__((packed));

struct unm_net {
	struct unm_net_config c;
	char name[NET_NAME_LEN]; /* of the port; c.port points here */
	struct unm_vu_device_ops ops;
	struct net_port port;
	struct net_tell tell;
	struct net_opening opening;
	unsigned int n_pairs;
	unsigned int n_active; /* pairs the driver uses: all, unless the control queue says else */
	unsigned int n_asked;  /* what it has said last; holds as long as that queue goes on */
	struct net_queue rx[NET_MAX_PAIRS], tx[NET_MAX_PAIRS];
	struct net_queue ctrl;
	struct unm_guest_mem *mem; /* of the running queues */
	uint64_t features;	   /* acked */
	uint32_t hdr_len;	   /* the guest's virtio-net header: 10 or 12 */
	uint32_t lacks;		   /* what the guest can't take: UNM_VNET_LACKS_* */
	bool link_up;
	bool port_link_up;     /* as last seen */
	bool loss_is_told;     /* the port is lost, and the loop knows */
	unsigned int n_missed; /* and so often it could not be had again */
	bool is_off_switch;
	bool driver_ok;
	bool is_direct;		 /* unm_net_set_direct() */
	uint64_t rx_stopped_ns;	 /* when the last rx queue stopped; 0: none ever ran */
	unsigned int n_port_fds; /* of those last given to the loop */
	unsigned int turn;	 /* queue that the next pass begins with: see unm_net_work() */
	struct net_config_space config;
	struct unm_net_stats stats;
	/* Scratch of a burst */
	struct unm_vq_chain chain[NET_CHAINS];
	struct unm_vq_part part[NET_POOL_PARTS];
};

/* net_port.c */

/* Open the port of @n, as many rings as it has pairs (n->n_pairs 0: as many as the port has). */
int unm_net_port_open(struct unm_net *n, char *why);
void unm_net_port_close(struct net_port *p);
/*
 * After it was opened, perhaps by another thread, or n->is_direct has changed: it is this thread's to
 * serve.
 */
void unm_net_port_use(struct unm_net *n);
/*
 * Have the switch told what the guest can't take (n->lacks). Does not wait: until it is done,
 * frames come that the guest can't be given.
 */
void unm_net_port_tell(struct unm_net *n);
/* No more of that; waits until nothing is under way. Before unm_net_port_close(), for good. */
void unm_net_port_tell_end(struct unm_net *n);
/* Sync; a port that has gone is noted. */
bool unm_net_port_sync(struct unm_net *n, struct net_ring *r, unsigned long request);
/* Something is wrong with it, says poll(2). */
void unm_net_port_check(struct unm_net *n);
/* Send one frame of ours, headers not included, if there is room. */
void unm_net_port_inject(struct unm_net *n, const void *frame, uint32_t len);

/*
 * net_tx_fp.c: from queue @k. Return: number of chains done; at least 1 if there is a reason to look
 * again at once.
 */
unsigned int unm_net_tx(struct unm_net *n, unsigned int k);
/*
 * Nothing of the guest's memory is referred to any more by slots of ring @k; their chains count as
 * not peeked.
 */
void unm_net_tx_abandon(struct unm_net *n, unsigned int k);

/* net_rx_fp.c: from ring @k to its target. Return: number of frames done. */
unsigned int unm_net_rx(struct unm_net *n, unsigned int k);
/*
 * The same for packets of a sender in this thread; a unetmap_sink_fn with the ring as its argument.
 */
uint32_t unm_net_sink(void *arg, const struct unetmap_packet *packets, uint32_t n_packets);
/* Throw away what waits in the rings. */
void unm_net_rx_discard(struct unm_net *n);

/* Of the pairs that are enabled, the driver uses the first so many, says the control queue. */
void unm_net_set_active_pairs(struct unm_net *n, unsigned int pairs);

/* net_ctrl.c: serve the control queue. Return: commands done. */
unsigned int unm_net_ctrl(struct unm_net *n);

/* Completions of @frames frames are published and the driver @wants a call: now, or later. */
void unm_net_call(struct net_queue *nq, bool wants, unsigned int frames);

/* For the loop (loop.c). */

/*
 * A pass over the queues, of about half a millisecond at most, whatever the guest has written: the
 * rest is for the next one. Return: frames moved.
 */
unsigned int unm_net_work(struct unm_net *n);
/* Pending calls that are due; *deadline_ns is lowered to that of the next one. */
void unm_net_timers(struct unm_net *n, uint64_t now_ns, uint64_t *deadline_ns);
/* Has the switch taken the link down or up? Then *up says which, and the device knows. */
bool unm_net_link_has_changed(struct unm_net *n, bool *up);
/* Ask for kicks. Return: false if something has come meanwhile. */
bool unm_net_sleep_prepare(struct unm_net *n);
void unm_net_sleep_end(struct unm_net *n);
/* Fill in what ends a sleep: the port, kicks. Return: entries, at most unm_net_max_fds(). */
struct pollfd;
unsigned int unm_net_max_fds(const struct unm_net *n);
unsigned int unm_net_fds(struct unm_net *n, struct pollfd *out);
/* After the sleep: the same entries, with their revents. */
void unm_net_fds_ready(struct unm_net *n, const struct pollfd *fds, unsigned int n_fds);

#endif
