/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net/netmap_virt.h - registers of the two PCI devices that show a netmap port to a guest.
 *
 * The memory device exposes a region as a PCI memory BAR and describes its pools. The NIC device
 * carries one port: its geometry, its control register and a doorbell for each ring. Ring indices
 * travel through two arrays in guest memory, struct nm_csb_atok written by the guest ("GH", guest
 * to host) and struct nm_csb_ktoa written by the host ("HG").
 */
#ifndef NETMAP_VIRT_H
#define NETMAP_VIRT_H

#define PTNETMAP_MEMDEV_NAME "ptnetmap-memdev"

/* PCI identity and BARs, common to both devices. */
#define PTNETMAP_PCI_VENDOR_ID 0x1b36
#define PTNETMAP_PCI_DEVICE_ID 0x000c /* memory device */
#define PTNETMAP_PCI_NETIF_ID  0x000d /* NIC device */
#define PTNETMAP_IO_PCI_BAR    0
#define PTNETMAP_MEM_PCI_BAR   1
#define PTNETMAP_MSIX_PCI_BAR  2

/* Memory device, I/O BAR: byte offsets of 32-bit registers. */
#define PTNET_MDEV_IO_MEMSIZE_LO       0
#define PTNET_MDEV_IO_MEMSIZE_HI       4
#define PTNET_MDEV_IO_MEMID	       8
#define PTNET_MDEV_IO_IF_POOL_OFS      64
#define PTNET_MDEV_IO_IF_POOL_OBJNUM   68
#define PTNET_MDEV_IO_IF_POOL_OBJSZ    72
#define PTNET_MDEV_IO_RING_POOL_OFS    76
#define PTNET_MDEV_IO_RING_POOL_OBJNUM 80
#define PTNET_MDEV_IO_RING_POOL_OBJSZ  84
#define PTNET_MDEV_IO_BUF_POOL_OFS     88
#define PTNET_MDEV_IO_BUF_POOL_OBJNUM  92
#define PTNET_MDEV_IO_BUF_POOL_OBJSZ   96
#define PTNET_MDEV_IO_END	       100

/* NIC device, I/O BAR: byte offsets of 32-bit registers. */
#define PTNET_IO_PTFEAT	      0	 /* features that both sides have */
#define PTNET_IO_PTCTL	      4	 /* commands, PTNETMAP_PTCTL_* */
#define PTNET_IO_MAC_LO	      8	 /* last four bytes of the MAC address */
#define PTNET_IO_MAC_HI	      12 /* first two bytes */
#define PTNET_IO_CSBBAH	      16 /* single CSB of older hosts */
#define PTNET_IO_CSBBAL	      20
#define PTNET_IO_NIFP_OFS     24 /* where in the region the struct netmap_if is */
#define PTNET_IO_NUM_TX_RINGS 28
#define PTNET_IO_NUM_RX_RINGS 32
#define PTNET_IO_NUM_TX_SLOTS 36
#define PTNET_IO_NUM_RX_SLOTS 40
#define PTNET_IO_VNET_HDR_LEN 44
#define PTNET_IO_HOSTMEMID    48
#define PTNET_IO_CSB_GH_BAH   52 /* guest physical address of the array written by the guest */
#define PTNET_IO_CSB_GH_BAL   56
#define PTNET_IO_CSB_HG_BAH   60 /* guest physical address of the array written by the host */
#define PTNET_IO_CSB_HG_BAL   64
#define PTNET_IO_END	      68
#define PTNET_IO_KICK_BASE    128 /* one doorbell for each ring, four bytes apart */
#define PTNET_IO_MASK	      0xff

/* Bits of PTNET_IO_PTFEAT. */
#define PTNETMAP_F_VNET_HDR 1

/* Values written to PTNET_IO_PTCTL. */
#define PTNETMAP_PTCTL_CREATE 1
#define PTNETMAP_PTCTL_DELETE 2

#endif /* NETMAP_VIRT_H */
