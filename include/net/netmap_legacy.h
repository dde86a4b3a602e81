/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net/netmap_legacy.h - the requests of netmap API 11: struct nmreq with NIOCREGIF and NIOCGINFO.
 *
 * Included by net/netmap.h; programs do not include it by themselves. New programs use NIOCCTRL.
 * The header-only nm_open() of net/netmap_user.h and libpcap still speak this.
 */
#ifndef _NET_NETMAP_LEGACY_H_
#define _NET_NETMAP_LEGACY_H_

/* Bits of nr_ringid. */
#define NETMAP_HW_RING	  0x4000 /* one ring, the one in NETMAP_RING_MASK */
#define NETMAP_SW_RING	  0x2000 /* the host rings */
#define NETMAP_RING_MASK  0x0fff
#define NETMAP_NO_TX_POLL 0x1000 /* as NR_NO_TX_POLL */
#define NETMAP_DO_RX_POLL 0x8000 /* as NR_DO_RX_POLL */

/* nr_cmd. 0 registers; the others are commands for which the descriptor is only a door. */
#define NETMAP_BDG_ATTACH      1 /* attach an interface to a VALE switch */
#define NETMAP_BDG_DETACH      2
#define NETMAP_BDG_REGOPS      3 /* of kernel modules, always refused */
#define NETMAP_BDG_LIST	       4 /* NIOCGINFO only */
#define NETMAP_BDG_VNET_HDR    5 /* set the virtio-net header length, in nr_arg1 */
#define NETMAP_BDG_NEWIF       6 /* create a persistent VALE port */
#define NETMAP_BDG_DELIF       7
#define NETMAP_PT_HOST_CREATE  8 /* of old virtual machine monitors, always refused */
#define NETMAP_PT_HOST_DELETE  9
#define NETMAP_BDG_POLLING_ON  10
#define NETMAP_BDG_POLLING_OFF 11
#define NETMAP_VNET_HDR_GET    12 /* get the virtio-net header length, in nr_arg1 */

/* nr_arg1 of NETMAP_BDG_ATTACH: connect the host's stack too. */
#define NETMAP_BDG_HOST 1

/* Which part of nr_flags is an NR_REG_* mode. */
#define NR_REG_MASK 0xf

/**
 * struct nmreq - one struct for all requests; unlike NIOCCTRL its results are 32 bits wide
 * @nr_name: port name, terminated by a zero byte
 * @nr_version: NETMAP_API
 * @nr_offset: out: where in the region the struct netmap_if is
 * @nr_memsize: out: bytes of the region
 * @nr_tx_slots: in: wish, 0 for the default; out: slots of each transmit ring
 * @nr_rx_slots: likewise, receive rings
 * @nr_tx_rings: in: wish; out: transmit rings
 * @nr_rx_rings: in: wish; out: receive rings
 * @nr_ringid: ring number or-ed with NETMAP_HW_RING and the bits after it
 * @nr_cmd: 0 or NETMAP_BDG_*
 * @nr_arg1: argument of some commands; ignored by a registration
 * @nr_arg2: in: region wanted, 0 for any; out: region in use
 * @nr_arg3: in: extra buffers wanted; out: obtained
 * @nr_flags: NR_REG_* mode or-ed with NR_MONITOR_TX and the flags that follow it
 * @spare2: 0
 */
struct nmreq {
	char nr_name[IFNAMSIZ];
	uint32_t nr_version;
	uint32_t nr_offset;
	uint32_t nr_memsize;
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_ringid;
	uint16_t nr_cmd;
	uint16_t nr_arg1;
	uint16_t nr_arg2;
	uint32_t nr_arg3;
	uint32_t nr_flags;
	uint32_t spare2[1];
};

/* Argument of NIOCCONFIG, which goes to extensions of a switch. */
#define NM_IFRDATA_LEN 256
struct nm_ifreq {
	char nifr_name[IFNAMSIZ];
	char data[NM_IFRDATA_LEN];
};

#define NIOCGINFO  _IOWR('i', 145, struct nmreq)
#define NIOCREGIF  _IOWR('i', 146, struct nmreq)
#define NIOCCONFIG _IOWR('i', 150, struct nm_ifreq)

#endif /* _NET_NETMAP_LEGACY_H_ */
