/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interface's port without an interface: the AF_XDP socket is a file of memory, whose rings are
 * mapped at the offsets that a socket's have, and the test plays the kernel.
 */
#ifndef NIC_RIG_H
#define NIC_RIG_H

#include "fake_domain.h"
#include "net/netmap.h"
#include "shm/xsk_ring.h"

#define SLOTS	 16u
#define RING	 16u
#define BUF_SIZE 2048u
#define N_BUFS	 256u
#define WINDOW	 200u
#define POOL	 16u
#define N_BOUNCE 4u
#define FIRST	 100u /* of the kernel's pool: free in the fake domain */
#define MAX_FDS	 6u

struct nic_rig {
	struct fake_domain *d;
	struct unm_bport *bp;
	struct unm_nic_state *st;
	size_t st_len;
	int fds[MAX_FDS];
	uint32_t n_fds;
	int wire; /* with host rings: the other end of the socket for segments; else -1 */
	struct unm_xsk_ring rx, tx, fill, comp; /* the kernel's view */
};

/* cmocka's, with and without host rings (one each way, which nobody has open). *@state: the rig */
int nic_rig_setup(void **state);
int nic_rig_setup_host(void **state);
int nic_rig_teardown(void **state);

/* The application: the next slot of a tx ring; and how many it may fill. */
void nic_rig_put(struct unm_bring *r, uint16_t len, uint16_t flags);
uint32_t nic_rig_room(const struct unm_bring *r);

/* The kernel: the frame at @addr has been sent. */
void nic_rig_complete(struct nic_rig *rig, uint64_t addr);

#endif
