/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the virtio-net device have in common, both ways: a rig, and frames. */
#ifndef TEST_UNIT_VM_NET_CASE_H
#define TEST_UNIT_VM_NET_CASE_H

#include <stdint.h>

#include "net_rig.h"
#include "vm/net_hdr.h"

#define MODERN (UNM_F_VERSION_1 | UNM_F_MRG_RXBUF | UNM_F_EVENT_IDX | UNM_F_INDIRECT_DESC)

#define ALL_OFFLOADS                                                                               \
	(UNM_F_CSUM | UNM_F_GUEST_CSUM | UNM_F_GUEST_TSO4 | UNM_F_GUEST_TSO6 | UNM_F_GUEST_ECN |   \
		UNM_F_HOST_TSO4)

static struct net_rig r;
static uint8_t frame[70000], got[70100];

static inline int
teardown(void **state)
{
	(void)state;
	net_rig_close(&r);
	return 0;
}

/* An Ethernet frame of @len bytes, IPv4, that says @seed. */
static inline void
make_frame(uint32_t len, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + seed + (i >> 8));
	frame[12] = 8;
	frame[13] = 0;
}

#endif
