/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ports as netmapd makes them for network interfaces, that are the ends of one veth pair, and their clients. In
 * place of the kernel there is a queue of frames each way.
 */
#ifndef JOIN_RIG_H
#define JOIN_RIG_H

#include <pthread.h>

#include "daemon/binding.h"
#include "daemon/join.h"
#include "port/internal.h"
#include "traffic.h"

#define RIG_SLOTS 16u
#define RIG_WIRE  64u
#define RIG_FRAME 64u

/* The kernel's part, from the tx ring of one end to the rx ring of the other. Shared by all processes. */
struct wire {
	pthread_mutex_t mutex;
	uint8_t frame[RIG_WIRE][RIG_FRAME];
	uint32_t len[RIG_WIRE];
	uint32_t first, n;
	uint32_t tx_pos, rx_pos; /* where the kernel path of the rings is, as of a NIC */
	uint32_t n_late;	 /* frames that were on the wire when the rings had joined */
	uint64_t n_kernel;	 /* frames that went this way */
};

struct rig_end {
	struct unm_dport *port;
	struct unm_dbinding binding; /* binding.port == NULL: closed */
	struct unm_bport *bp;
	struct wire *out, *in;
	uint64_t sent, got; /* numbers of the next frames */
};

struct rig {
	struct unm_domain dom;
	struct unm_seg seg;
	struct unm_region region;
	struct wire *wires;
	struct rig_end end[2];
	uint32_t n_free; /* buffers of the region before the ends were opened */
};

/* Make both ports, opened by nobody; @slots: of end 0's rings, and of end 1's. */
void rig_init(struct rig *rig, uint32_t slots0, uint32_t slots1);
void rig_fini(struct rig *rig);

void rig_open(struct rig *rig, unsigned int end);
void rig_close(struct rig *rig, unsigned int end);

/* State of the rings from @end's tx to the other one's rx. */
uint32_t rig_state(const struct rig *rig, unsigned int end);

/* Both directions through the handshake; they must be linked. */
void rig_join(struct rig *rig);

/* Send @n frames, or as many as there is room for. Return: how many. */
uint32_t rig_send(struct rig *rig, unsigned int end, uint32_t n);
/* Receive at most @n; each must be the next one of the other end. Return: how many. */
uint32_t rig_receive(struct rig *rig, unsigned int end, uint32_t n);

/* netmapd was killed: its locks are freed, and it looks at what it finds. */
void rig_restart(struct rig *rig);

/*
 * Both are open, and parted: each of the four rings has as many buffers as slots, no buffer is in two of them, and all
 * of them are allocated.
 */
void rig_check_buffers(struct rig *rig, const uint32_t *extra, uint32_t n_extra);

/* Runs in the middle of parting, at the last moment before it is done. */
extern void (*rig_in_parting)(void);

/* Called by an rxsync that has found nothing, before it answers an offer; may be NULL. */
extern void (*rig_before_answer)(struct rig *rig);

#endif
