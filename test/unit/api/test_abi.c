/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_abi.c - proves that sizes, offsets, types, constants and ioctl numbers of the public headers
 * are those that existing programs were compiled with.
 *
 * All of it is decided by the compiler: headers.sh builds this file with each compiler and language
 * standard, and a wrong value is an array of negative size. The numbers come from the tables of the
 * API, not from the headers. Types are compared in C only.
 */
#define LIBNETMAP_NOTHREADSAFE
#define NETMAP_WITH_LIBS
#include <libnetmap.h>
#include <net/netmap_virt.h>

#include <stddef.h>

/* Declares the same array again and again; its size is 1, or an error. */
#define CHECK(cond) extern char abi_check[(cond) ? 1 : -1]

#ifdef __cplusplus
#define SAME_TYPE(s, member, type) 1
#else
#define SAME_TYPE(s, member, type)                                                                 \
	__builtin_types_compatible_p(__typeof__(((struct s *)0)->member), type)
#endif

#define SIZE(s, size) CHECK(sizeof(struct s) == (size))
#define ALIGN(s, al)                                                                               \
	struct align_##s {                                                                         \
		char c;                                                                            \
		struct s v;                                                                        \
	};                                                                                         \
	CHECK(offsetof(struct align_##s, v) == (al))
#define FIELD(s, member, off, type)                                                                \
	CHECK(offsetof(struct s, member) == (off) &&                                               \
		sizeof(((struct s *)0)->member) == sizeof(type) && SAME_TYPE(s, member, type))
/* An array at the end of a struct, of no length. */
#define FLEX(s, member, off, size)                                                                 \
	CHECK(offsetof(struct s, member) == (off) &&                                               \
		sizeof(((struct s *)0)->member[0]) == (size) && sizeof(struct s) == (off))

/* ---- what a ring is made of ---- */

SIZE(netmap_slot, 16);
ALIGN(netmap_slot, 8);
FIELD(netmap_slot, buf_idx, 0, uint32_t);
FIELD(netmap_slot, len, 4, uint16_t);
FIELD(netmap_slot, flags, 6, uint16_t);
FIELD(netmap_slot, ptr, 8, uint64_t);

SIZE(netmap_ring, 256);
CHECK(__alignof__(struct netmap_ring) == 128);
FIELD(netmap_ring, buf_ofs, 0, int64_t);
FIELD(netmap_ring, num_slots, 8, uint32_t);
FIELD(netmap_ring, nr_buf_size, 12, uint32_t);
FIELD(netmap_ring, ringid, 16, uint16_t);
FIELD(netmap_ring, dir, 18, uint16_t);
FIELD(netmap_ring, head, 20, uint32_t);
FIELD(netmap_ring, cur, 24, uint32_t);
FIELD(netmap_ring, tail, 28, uint32_t);
FIELD(netmap_ring, flags, 32, uint32_t);
FIELD(netmap_ring, ts, 40, struct timeval);
FIELD(netmap_ring, offset_mask, 56, uint64_t);
FIELD(netmap_ring, buf_align, 64, uint64_t);
FIELD(netmap_ring, sem, 128, uint8_t[128]);
FLEX(netmap_ring, slot, 256, 16);

CHECK(__alignof__(struct netmap_if) == 8);
FIELD(netmap_if, ni_name, 0, char[16]);
FIELD(netmap_if, ni_version, 16, uint32_t);
FIELD(netmap_if, ni_flags, 20, uint32_t);
FIELD(netmap_if, ni_tx_rings, 24, uint32_t);
FIELD(netmap_if, ni_rx_rings, 28, uint32_t);
FIELD(netmap_if, ni_bufs_head, 32, uint32_t);
FIELD(netmap_if, ni_host_tx_rings, 36, uint32_t);
FIELD(netmap_if, ni_host_rx_rings, 40, uint32_t);
FIELD(netmap_if, ni_spare1, 44, const uint32_t[3]);
FLEX(netmap_if, ring_ofs, 56, 8);

/* ---- requests ---- */

SIZE(nmreq_header, 88);
ALIGN(nmreq_header, 8);
FIELD(nmreq_header, nr_version, 0, uint16_t);
FIELD(nmreq_header, nr_reqtype, 2, uint16_t);
FIELD(nmreq_header, nr_reserved, 4, uint32_t);
FIELD(nmreq_header, nr_name, 8, char[64]);
FIELD(nmreq_header, nr_options, 72, uint64_t);
FIELD(nmreq_header, nr_body, 80, uint64_t);

SIZE(nmreq_option, 24);
ALIGN(nmreq_option, 8);
FIELD(nmreq_option, nro_next, 0, uint64_t);
FIELD(nmreq_option, nro_reqtype, 8, uint32_t);
FIELD(nmreq_option, nro_status, 12, uint32_t);
FIELD(nmreq_option, nro_size, 16, uint64_t);

SIZE(nmreq_register, 56);
ALIGN(nmreq_register, 8);
FIELD(nmreq_register, nr_offset, 0, uint64_t);
FIELD(nmreq_register, nr_memsize, 8, uint64_t);
FIELD(nmreq_register, nr_tx_slots, 16, uint32_t);
FIELD(nmreq_register, nr_rx_slots, 20, uint32_t);
FIELD(nmreq_register, nr_tx_rings, 24, uint16_t);
FIELD(nmreq_register, nr_rx_rings, 26, uint16_t);
FIELD(nmreq_register, nr_host_tx_rings, 28, uint16_t);
FIELD(nmreq_register, nr_host_rx_rings, 30, uint16_t);
FIELD(nmreq_register, nr_mem_id, 32, uint16_t);
FIELD(nmreq_register, nr_ringid, 34, uint16_t);
FIELD(nmreq_register, nr_mode, 36, uint32_t);
FIELD(nmreq_register, nr_extra_bufs, 40, uint32_t);
FIELD(nmreq_register, nr_flags, 48, uint64_t);

SIZE(nmreq_port_info_get, 32);
ALIGN(nmreq_port_info_get, 8);
FIELD(nmreq_port_info_get, nr_memsize, 0, uint64_t);
FIELD(nmreq_port_info_get, nr_tx_slots, 8, uint32_t);
FIELD(nmreq_port_info_get, nr_rx_slots, 12, uint32_t);
FIELD(nmreq_port_info_get, nr_tx_rings, 16, uint16_t);
FIELD(nmreq_port_info_get, nr_rx_rings, 18, uint16_t);
FIELD(nmreq_port_info_get, nr_host_tx_rings, 20, uint16_t);
FIELD(nmreq_port_info_get, nr_host_rx_rings, 22, uint16_t);
FIELD(nmreq_port_info_get, nr_mem_id, 24, uint16_t);
FIELD(nmreq_port_info_get, pad, 26, uint16_t[3]);

SIZE(nmreq_vale_attach, 64);
ALIGN(nmreq_vale_attach, 8);
FIELD(nmreq_vale_attach, reg, 0, struct nmreq_register);
FIELD(nmreq_vale_attach, port_index, 56, uint32_t);
FIELD(nmreq_vale_attach, pad1, 60, uint32_t);

SIZE(nmreq_vale_detach, 8);
FIELD(nmreq_vale_detach, port_index, 0, uint32_t);
FIELD(nmreq_vale_detach, pad1, 4, uint32_t);

SIZE(nmreq_vale_list, 8);
FIELD(nmreq_vale_list, nr_bridge_idx, 0, uint16_t);
FIELD(nmreq_vale_list, pad1, 2, uint16_t);
FIELD(nmreq_vale_list, nr_port_idx, 4, uint32_t);

SIZE(nmreq_port_hdr, 8);
FIELD(nmreq_port_hdr, nr_hdr_len, 0, uint32_t);
FIELD(nmreq_port_hdr, pad1, 4, uint32_t);

SIZE(nmreq_vale_newif, 16);
FIELD(nmreq_vale_newif, nr_tx_slots, 0, uint32_t);
FIELD(nmreq_vale_newif, nr_rx_slots, 4, uint32_t);
FIELD(nmreq_vale_newif, nr_tx_rings, 8, uint16_t);
FIELD(nmreq_vale_newif, nr_rx_rings, 10, uint16_t);
FIELD(nmreq_vale_newif, nr_mem_id, 12, uint16_t);
FIELD(nmreq_vale_newif, pad1, 14, uint16_t);

SIZE(nmreq_vale_polling, 16);
FIELD(nmreq_vale_polling, nr_mode, 0, uint32_t);
FIELD(nmreq_vale_polling, nr_first_cpu_id, 4, uint32_t);
FIELD(nmreq_vale_polling, nr_num_polling_cpus, 8, uint32_t);
FIELD(nmreq_vale_polling, pad1, 12, uint32_t);

SIZE(nmreq_pools_info, 64);
ALIGN(nmreq_pools_info, 8);
FIELD(nmreq_pools_info, nr_memsize, 0, uint64_t);
FIELD(nmreq_pools_info, nr_mem_id, 8, uint16_t);
FIELD(nmreq_pools_info, pad1, 10, uint16_t[3]);
FIELD(nmreq_pools_info, nr_if_pool_offset, 16, uint64_t);
FIELD(nmreq_pools_info, nr_if_pool_objtotal, 24, uint32_t);
FIELD(nmreq_pools_info, nr_if_pool_objsize, 28, uint32_t);
FIELD(nmreq_pools_info, nr_ring_pool_offset, 32, uint64_t);
FIELD(nmreq_pools_info, nr_ring_pool_objtotal, 40, uint32_t);
FIELD(nmreq_pools_info, nr_ring_pool_objsize, 44, uint32_t);
FIELD(nmreq_pools_info, nr_buf_pool_offset, 48, uint64_t);
FIELD(nmreq_pools_info, nr_buf_pool_objtotal, 56, uint32_t);
FIELD(nmreq_pools_info, nr_buf_pool_objsize, 60, uint32_t);

SIZE(nmreq_sync_kloop_start, 8);
FIELD(nmreq_sync_kloop_start, sleep_us, 0, uint32_t);
FIELD(nmreq_sync_kloop_start, pad1, 4, uint32_t);

/* ---- options ---- */

SIZE(nmreq_opt_extmem, 96);
FIELD(nmreq_opt_extmem, nro_opt, 0, struct nmreq_option);
FIELD(nmreq_opt_extmem, nro_usrptr, 24, uint64_t);
FIELD(nmreq_opt_extmem, nro_info, 32, struct nmreq_pools_info);

SIZE(nmreq_opt_csb, 40);
FIELD(nmreq_opt_csb, nro_opt, 0, struct nmreq_option);
FIELD(nmreq_opt_csb, csb_atok, 24, uint64_t);
FIELD(nmreq_opt_csb, csb_ktoa, 32, uint64_t);

FIELD(nmreq_opt_sync_kloop_eventfds, nro_opt, 0, struct nmreq_option);
FLEX(nmreq_opt_sync_kloop_eventfds, eventfds, 24, 8);
FIELD(nmreq_opt_sync_kloop_eventfds, eventfds[0].ioeventfd, 24, int32_t);
FIELD(nmreq_opt_sync_kloop_eventfds, eventfds[0].irqfd, 28, int32_t);

SIZE(nmreq_opt_sync_kloop_mode, 32);
FIELD(nmreq_opt_sync_kloop_mode, nro_opt, 0, struct nmreq_option);
FIELD(nmreq_opt_sync_kloop_mode, mode, 24, uint32_t);

SIZE(nmreq_opt_offsets, 56);
FIELD(nmreq_opt_offsets, nro_opt, 0, struct nmreq_option);
FIELD(nmreq_opt_offsets, nro_max_offset, 24, uint64_t);
FIELD(nmreq_opt_offsets, nro_initial_offset, 32, uint64_t);
FIELD(nmreq_opt_offsets, nro_offset_bits, 40, uint32_t);
FIELD(nmreq_opt_offsets, nro_tx_align, 44, uint32_t);
FIELD(nmreq_opt_offsets, nro_min_gap, 48, uint64_t);

/* ---- CSB ---- */

SIZE(nm_csb_atok, 64);
ALIGN(nm_csb_atok, 4);
FIELD(nm_csb_atok, head, 0, uint32_t);
FIELD(nm_csb_atok, cur, 4, uint32_t);
FIELD(nm_csb_atok, appl_need_kick, 8, uint32_t);
FIELD(nm_csb_atok, sync_flags, 12, uint32_t);
FIELD(nm_csb_atok, pad, 16, uint32_t[12]);

SIZE(nm_csb_ktoa, 64);
ALIGN(nm_csb_ktoa, 4);
FIELD(nm_csb_ktoa, hwcur, 0, uint32_t);
FIELD(nm_csb_ktoa, hwtail, 4, uint32_t);
FIELD(nm_csb_ktoa, kern_need_kick, 8, uint32_t);
FIELD(nm_csb_ktoa, pad, 12, uint32_t[13]);

/* ---- legacy ---- */

SIZE(nmreq, 60);
ALIGN(nmreq, 4);
FIELD(nmreq, nr_name, 0, char[16]);
FIELD(nmreq, nr_version, 16, uint32_t);
FIELD(nmreq, nr_offset, 20, uint32_t);
FIELD(nmreq, nr_memsize, 24, uint32_t);
FIELD(nmreq, nr_tx_slots, 28, uint32_t);
FIELD(nmreq, nr_rx_slots, 32, uint32_t);
FIELD(nmreq, nr_tx_rings, 36, uint16_t);
FIELD(nmreq, nr_rx_rings, 38, uint16_t);
FIELD(nmreq, nr_ringid, 40, uint16_t);
FIELD(nmreq, nr_cmd, 42, uint16_t);
FIELD(nmreq, nr_arg1, 44, uint16_t);
FIELD(nmreq, nr_arg2, 46, uint16_t);
FIELD(nmreq, nr_arg3, 48, uint32_t);
FIELD(nmreq, nr_flags, 52, uint32_t);
FIELD(nmreq, spare2, 56, uint32_t[1]);

SIZE(nm_ifreq, 272);
ALIGN(nm_ifreq, 1);
FIELD(nm_ifreq, nifr_name, 0, char[16]);
FIELD(nm_ifreq, data, 16, char[256]);

/* ---- ioctl numbers, as Linux encodes them ---- */

CHECK(NIOCGINFO == 0xc03c6991);
CHECK(NIOCREGIF == 0xc03c6992);
CHECK(NIOCTXSYNC == 0x00006994);
CHECK(NIOCRXSYNC == 0x00006995);
CHECK(NIOCCONFIG == 0xc1106996);
CHECK(NIOCCTRL == 0xc0586997);

/* ---- enumerations ---- */

CHECK(NETMAP_REQ_REGISTER == 1 && NETMAP_REQ_PORT_INFO_GET == 2 && NETMAP_REQ_VALE_ATTACH == 3);
CHECK(NETMAP_REQ_VALE_DETACH == 4 && NETMAP_REQ_VALE_LIST == 5 && NETMAP_REQ_PORT_HDR_SET == 6);
CHECK(NETMAP_REQ_PORT_HDR_GET == 7 && NETMAP_REQ_VALE_NEWIF == 8 && NETMAP_REQ_VALE_DELIF == 9);
CHECK(NETMAP_REQ_VALE_POLLING_ENABLE == 10 && NETMAP_REQ_VALE_POLLING_DISABLE == 11);
CHECK(NETMAP_REQ_POOLS_INFO_GET == 12 && NETMAP_REQ_SYNC_KLOOP_START == 13);
CHECK(NETMAP_REQ_SYNC_KLOOP_STOP == 14 && NETMAP_REQ_CSB_ENABLE == 15);

CHECK(NETMAP_REQ_OPT_EXTMEM == 1 && NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS == 2);
CHECK(NETMAP_REQ_OPT_CSB == 3 && NETMAP_REQ_OPT_SYNC_KLOOP_MODE == 4);
CHECK(NETMAP_REQ_OPT_OFFSETS == 5 && NETMAP_REQ_OPT_MAX == 6);

CHECK(NR_REG_DEFAULT == 0 && NR_REG_ALL_NIC == 1 && NR_REG_SW == 2 && NR_REG_NIC_SW == 3);
CHECK(NR_REG_ONE_NIC == 4 && NR_REG_PIPE_MASTER == 5 && NR_REG_PIPE_SLAVE == 6);
CHECK(NR_REG_NULL == 7 && NR_REG_ONE_SW == 8);

CHECK(NETMAP_POLLING_MODE_SINGLE_CPU == 1 && NETMAP_POLLING_MODE_MULTI_CPU == 2);

/* ---- macros, which programs and configure scripts test with the preprocessor ---- */

#if NETMAP_API != 14 || NETMAP_MIN_API != 14 || NETMAP_MAX_API != 15
#error "API version"
#endif
#if NM_CACHE_ALIGN != 128 || NETMAP_REQ_IFNAMSIZ != 64 || NETMAP_REQ_MAXSIZE != 4096 ||            \
	NETMAP_MAX_FRAGS != 64 || NM_IFRDATA_LEN != 256
#error "sizes"
#endif
#if NS_BUF_CHANGED != 0x0001 || NS_REPORT != 0x0002 || NS_FORWARD != 0x0004 ||                     \
	NS_NO_LEARN != 0x0008 || NS_INDIRECT != 0x0010 || NS_MOREFRAG != 0x0020 ||                 \
	NS_TXMON != 0x0040 || NS_PORT_SHIFT != 8 || NS_PORT_MASK != 0xff00
#error "slot flags"
#endif
#if NR_TIMESTAMP != 0x0002 || NR_FORWARD != 0x0004 || NI_PRIV_MEM != 0x1
#error "ring and interface flags"
#endif
#if NR_MONITOR_TX != 0x100 || NR_MONITOR_RX != 0x200 || NR_ZCOPY_MON != 0x400 ||                   \
	NR_EXCLUSIVE != 0x800 || NR_RX_RINGS_ONLY != 0x2000 || NR_TX_RINGS_ONLY != 0x4000 ||       \
	NR_ACCEPT_VNET_HDR != 0x8000 || NR_DO_RX_POLL != 0x10000 || NR_NO_TX_POLL != 0x20000
#error "nr_flags"
#endif
#if NM_OPT_SYNC_KLOOP_DIRECT_TX != 1 || NM_OPT_SYNC_KLOOP_DIRECT_RX != 2
#error "kloop modes"
#endif
#if NR_REG_MASK != 0xf || NETMAP_HW_RING != 0x4000 || NETMAP_SW_RING != 0x2000 ||                  \
	NETMAP_RING_MASK != 0x0fff || NETMAP_NO_TX_POLL != 0x1000 || NETMAP_DO_RX_POLL != 0x8000
#error "legacy nr_ringid"
#endif
#if NETMAP_BDG_ATTACH != 1 || NETMAP_BDG_DETACH != 2 || NETMAP_BDG_REGOPS != 3 ||                  \
	NETMAP_BDG_LIST != 4 || NETMAP_BDG_VNET_HDR != 5 || NETMAP_BDG_NEWIF != 6 ||               \
	NETMAP_BDG_DELIF != 7 || NETMAP_PT_HOST_CREATE != 8 || NETMAP_PT_HOST_DELETE != 9 ||       \
	NETMAP_BDG_POLLING_ON != 10 || NETMAP_BDG_POLLING_OFF != 11 ||                             \
	NETMAP_VNET_HDR_GET != 12 || NETMAP_BDG_HOST != 1
#error "legacy commands"
#endif
#if NM_MORE_PKTS != 1 || NM_ERRBUF_SIZE != 512 || MAXERRMSG != 80
#error "helpers"
#endif
#if NMREQ_OPT_MAXKEYS != 16 || NMREQ_OPTK_ALLOWEMPTY != 1 || NMREQ_OPTK_MUSTSET != 2 ||            \
	NMREQ_OPTK_DEFAULT != 4 || NMREQ_OPTF_DISABLED != 1 || NMREQ_OPTF_ALLOWEMPTY != 2
#error "option parsers"
#endif
#if PTNETMAP_PCI_VENDOR_ID != 0x1b36 || PTNETMAP_PCI_DEVICE_ID != 0x000c ||                        \
	PTNETMAP_PCI_NETIF_ID != 0x000d || PTNETMAP_IO_PCI_BAR != 0 ||                             \
	PTNETMAP_MEM_PCI_BAR != 1 || PTNETMAP_MSIX_PCI_BAR != 2
#error "PCI identity"
#endif
#if PTNET_MDEV_IO_MEMSIZE_LO != 0 || PTNET_MDEV_IO_MEMSIZE_HI != 4 || PTNET_MDEV_IO_MEMID != 8 ||  \
	PTNET_MDEV_IO_IF_POOL_OFS != 64 || PTNET_MDEV_IO_IF_POOL_OBJNUM != 68 ||                   \
	PTNET_MDEV_IO_IF_POOL_OBJSZ != 72 || PTNET_MDEV_IO_RING_POOL_OFS != 76 ||                  \
	PTNET_MDEV_IO_RING_POOL_OBJNUM != 80 || PTNET_MDEV_IO_RING_POOL_OBJSZ != 84 ||             \
	PTNET_MDEV_IO_BUF_POOL_OFS != 88 || PTNET_MDEV_IO_BUF_POOL_OBJNUM != 92 ||                 \
	PTNET_MDEV_IO_BUF_POOL_OBJSZ != 96 || PTNET_MDEV_IO_END != 100
#error "registers of the memory device"
#endif
#if PTNET_IO_PTFEAT != 0 || PTNET_IO_PTCTL != 4 || PTNET_IO_MAC_LO != 8 ||                         \
	PTNET_IO_MAC_HI != 12 || PTNET_IO_CSBBAH != 16 || PTNET_IO_CSBBAL != 20 ||                 \
	PTNET_IO_NIFP_OFS != 24 || PTNET_IO_NUM_TX_RINGS != 28 || PTNET_IO_NUM_RX_RINGS != 32 ||   \
	PTNET_IO_NUM_TX_SLOTS != 36 || PTNET_IO_NUM_RX_SLOTS != 40 ||                              \
	PTNET_IO_VNET_HDR_LEN != 44 || PTNET_IO_HOSTMEMID != 48 || PTNET_IO_CSB_GH_BAH != 52 ||    \
	PTNET_IO_CSB_GH_BAL != 56 || PTNET_IO_CSB_HG_BAH != 60 || PTNET_IO_CSB_HG_BAL != 64 ||     \
	PTNET_IO_END != 68 || PTNET_IO_KICK_BASE != 128 || PTNET_IO_MASK != 0xff
#error "registers of the NIC device"
#endif
#if PTNETMAP_F_VNET_HDR != 1 || PTNETMAP_PTCTL_CREATE != 1 || PTNETMAP_PTCTL_DELETE != 2
#error "control of the NIC device"
#endif
#if !defined(likely) || !defined(unlikely) || !defined(D) || !defined(RD) || !defined(ND) ||       \
	!defined(NETMAP_IF) || !defined(NETMAP_TXRING) || !defined(NETMAP_RXRING) ||               \
	!defined(NETMAP_BUF) || !defined(NETMAP_BUF_IDX) || !defined(NETMAP_ROFFSET) ||            \
	!defined(NETMAP_WOFFSET) || !defined(NETMAP_BUF_OFFSET) || !defined(NS_RFRAGS) ||          \
	!defined(P2NMD) || !defined(IS_NETMAP_DESC) || !defined(NETMAP_FD) ||                      \
	!defined(nmreq_foreach_option) || !defined(_NETMAP_OFFSET)
#error "a macro is missing"
#endif
#if !defined(_NET_NETMAP_H_) || !defined(_NET_NETMAP_LEGACY_H_) ||                                 \
	!defined(_NET_NETMAP_USER_H_) || !defined(HAVE_NETMAP_WITH_LIBS) ||                        \
	!defined(NETMAP_VIRT_H) || !defined(LIBNETMAP_H_)
#error "include guards"
#endif

CHECK(sizeof(NETMAP_DEVICE_NAME) == sizeof("/dev/netmap"));
CHECK(sizeof(NM_BDG_NAME) == sizeof("vale"));
CHECK(sizeof(PTNETMAP_MEMDEV_NAME) == sizeof("ptnetmap-memdev"));

/* ---- the nm_* helpers ---- */

SIZE(nm_pkthdr, 56);
FIELD(nm_pkthdr, ts, 0, struct timeval);
FIELD(nm_pkthdr, caplen, 16, uint32_t);
FIELD(nm_pkthdr, len, 20, uint32_t);
FIELD(nm_pkthdr, flags, 24, uint64_t);
FIELD(nm_pkthdr, d, 32, struct nm_desc *);
FIELD(nm_pkthdr, slot, 40, struct netmap_slot *);
FIELD(nm_pkthdr, buf, 48, uint8_t *);

SIZE(nm_stat, 12);
FIELD(nm_stat, ps_recv, 0, unsigned int);
FIELD(nm_stat, ps_drop, 4, unsigned int);
FIELD(nm_stat, ps_ifdrop, 8, unsigned int);

SIZE(nm_desc, 760);
FIELD(nm_desc, self, 0, struct nm_desc *);
FIELD(nm_desc, fd, 8, int);
FIELD(nm_desc, mem, 16, void *);
FIELD(nm_desc, memsize, 24, size_t);
FIELD(nm_desc, done_mmap, 32, int);
FIELD(nm_desc, nifp, 40, struct netmap_if *);
FIELD(nm_desc, first_tx_ring, 48, uint16_t);
FIELD(nm_desc, last_tx_ring, 50, uint16_t);
FIELD(nm_desc, cur_tx_ring, 52, uint16_t);
FIELD(nm_desc, first_rx_ring, 54, uint16_t);
FIELD(nm_desc, last_rx_ring, 56, uint16_t);
FIELD(nm_desc, cur_rx_ring, 58, uint16_t);
FIELD(nm_desc, req, 60, struct nmreq);
FIELD(nm_desc, hdr, 120, struct nm_pkthdr);
FIELD(nm_desc, some_ring, 176, struct netmap_ring *);
FIELD(nm_desc, buf_start, 184, void *);
FIELD(nm_desc, buf_end, 192, void *);
FIELD(nm_desc, snaplen, 200, int);
FIELD(nm_desc, promisc, 204, int);
FIELD(nm_desc, to_ms, 208, int);
FIELD(nm_desc, errbuf, 216, char *);
FIELD(nm_desc, if_flags, 224, uint32_t);
FIELD(nm_desc, if_reqcap, 228, uint32_t);
FIELD(nm_desc, if_curcap, 232, uint32_t);
FIELD(nm_desc, st, 236, struct nm_stat);
FIELD(nm_desc, msg, 248, char[512]);

CHECK(NM_OPEN_NO_MMAP == 0x40000 && NM_OPEN_IFNAME == 0x80000 && NM_OPEN_ARG1 == 0x100000);
CHECK(NM_OPEN_ARG2 == 0x200000 && NM_OPEN_ARG3 == 0x400000 && NM_OPEN_RING_CFG == 0x800000);

/* ---- libnetmap.h ---- */

SIZE(nmport_d, 216);
FIELD(nmport_d, hdr, 0, struct nmreq_header);
FIELD(nmport_d, reg, 88, struct nmreq_register);
FIELD(nmport_d, mem, 144, struct nmem_d *);
FIELD(nmport_d, ctx, 152, struct nmctx *);
FIELD(nmport_d, register_done, 160, int);
FIELD(nmport_d, mmap_done, 164, int);
FIELD(nmport_d, extmem, 168, struct nmreq_opt_extmem *);
FIELD(nmport_d, fd, 176, int);
FIELD(nmport_d, nifp, 184, struct netmap_if *);
FIELD(nmport_d, first_tx_ring, 192, uint16_t);
FIELD(nmport_d, last_tx_ring, 194, uint16_t);
FIELD(nmport_d, first_rx_ring, 196, uint16_t);
FIELD(nmport_d, last_rx_ring, 198, uint16_t);
FIELD(nmport_d, cur_tx_ring, 200, uint16_t);
FIELD(nmport_d, cur_rx_ring, 202, uint16_t);
FIELD(nmport_d, clist, 208, struct nmport_cleanup_d *);

SIZE(nmem_d, 48);
FIELD(nmem_d, mem_id, 0, uint16_t);
FIELD(nmem_d, refcount, 4, int);
FIELD(nmem_d, mem, 8, void *);
FIELD(nmem_d, size, 16, size_t);
FIELD(nmem_d, is_extmem, 24, int);
FIELD(nmem_d, next, 32, struct nmem_d *);
FIELD(nmem_d, prev, 40, struct nmem_d *);

SIZE(nmctx, 48);
FIELD(nmctx, verbose, 0, int);
FIELD(nmctx, error, 8, nmctx_error_cb);
FIELD(nmctx, malloc, 16, nmctx_malloc_cb);
FIELD(nmctx, free, 24, nmctx_free_cb);
FIELD(nmctx, lock, 32, nmctx_lock_cb);
FIELD(nmctx, mem_descs, 40, struct nmem_d *);

SIZE(nmreq_opt_key, 16);
FIELD(nmreq_opt_key, key, 0, const char *);
FIELD(nmreq_opt_key, id, 8, int);
FIELD(nmreq_opt_key, flags, 12, unsigned int);

SIZE(nmreq_opt_parser, 304);
ALIGN(nmreq_opt_parser, 16);
FIELD(nmreq_opt_parser, prefix, 0, const char *);
FIELD(nmreq_opt_parser, parse, 8, nmreq_opt_parser_cb);
FIELD(nmreq_opt_parser, default_key, 16, int);
FIELD(nmreq_opt_parser, nr_keys, 20, int);
FIELD(nmreq_opt_parser, flags, 24, unsigned int);
FIELD(nmreq_opt_parser, next, 32, struct nmreq_opt_parser *);
FIELD(nmreq_opt_parser, keys, 40, struct nmreq_opt_key[16]);

SIZE(nmreq_parse_ctx, 144);
FIELD(nmreq_parse_ctx, ctx, 0, struct nmctx *);
FIELD(nmreq_parse_ctx, token, 8, void *);
FIELD(nmreq_parse_ctx, keys, 16, const char *[16]);

/* ---- prototypes: each assignment fails to compile if the function has another type ---- */

struct prototypes {
	int (*ring_empty)(struct netmap_ring *);
	void (*stst)(void);
	void (*ldld)(void);
	void (*appl_write)(struct nm_csb_atok *, uint32_t, uint32_t);
	void (*appl_read)(struct nm_csb_ktoa *, uint32_t *, uint32_t *);
	uint32_t (*ring_next)(struct netmap_ring *, uint32_t);
	int (*tx_pending)(struct netmap_ring *);
	uint32_t (*ring_space)(struct netmap_ring *);
	void (*pkt_copy)(const void *, void *, int);
	struct nm_desc *(*open)(
		const char *, const struct nmreq *, uint64_t, const struct nm_desc *);
	int (*close)(struct nm_desc *);
	int (*map)(struct nm_desc *, const struct nm_desc *);
	int (*inject)(struct nm_desc *, const void *, size_t);
	int (*dispatch)(struct nm_desc *, int, nm_cb_t, unsigned char *);
	unsigned char *(*nextpkt)(struct nm_desc *, struct nm_pkthdr *);
	int (*parse)(const char *, struct nm_desc *, char *);

	struct nmport_d *(*nmport_by_name[2])(const char *);
	void (*nmport_void[8])(struct nmport_d *);
	int (*nmport_int[3])(struct nmport_d *);
	struct nmport_d *(*nmport_make)(void);
	struct nmport_d *(*nmport_copy)(struct nmport_d *);
	int (*nmport_text[2])(struct nmport_d *, const char *);
	int (*nmport_fd)(struct nmport_d *, int);
	int (*nmport_packet)(struct nmport_d *, const void *, size_t);
	int (*nmport_memory)(struct nmport_d *, void *, size_t);
	struct nmreq_pools_info *(*nmport_info)(struct nmport_d *);
	int (*nmport_offsets)(struct nmport_d *, uint64_t, uint64_t, uint64_t, uint64_t);
	void (*nmport_cleanup[2])(struct nmport_cleanup_d *, struct nmport_d *);
	void (*option_off)(const char *);
	int (*option_on)(const char *);

	void (*hdr_init)(struct nmreq_header *, uint16_t, void *);
	int (*hdr_decode)(const char **, struct nmreq_header *, struct nmctx *);
	int (*reg_decode)(const char **, struct nmreq_register *, struct nmctx *);
	int (*opt_decode)(const char *, struct nmreq_opt_parser *, void *, struct nmctx *);
	int32_t (*mem_id)(const char **, struct nmctx *);
	void (*opt_change[2])(struct nmreq_header *, struct nmreq_option *);
	struct nmreq_option *(*opt_find)(struct nmreq_header *, uint32_t);
	void (*opt_free)(struct nmreq_header *);
	const char *(*opt_name)(uint32_t);

	struct nmctx *(*ctx_get)(void);
	struct nmctx *(*ctx_set)(struct nmctx *);
	void (*ctx_error)(struct nmctx *, const char *, ...);
	void *(*ctx_malloc)(struct nmctx *, size_t);
	void (*ctx_free)(struct nmctx *, void *);
	void (*ctx_lock[2])(struct nmctx *);
	void (*ctx_threads)(void);
};

extern const struct prototypes abi_prototypes;
const struct prototypes abi_prototypes = {nm_ring_empty, nm_stst_barrier, nm_ldld_barrier,
	nm_sync_kloop_appl_write, nm_sync_kloop_appl_read, nm_ring_next, nm_tx_pending,
	nm_ring_space, nm_pkt_copy, nm_open, nm_close, nm_mmap, nm_inject, nm_dispatch, nm_nextpkt,
	nm_parse, {nmport_open, nmport_prepare},
	{nmport_close, nmport_delete, nmport_undo_parse, nmport_undo_register, nmport_undo_mmap,
		nmport_undo_prepare, nmport_undo_open_desc, nmport_do_cleanup},
	{nmport_register, nmport_mmap, nmport_open_desc}, nmport_new, nmport_clone,
	{nmport_parse, nmport_extmem_from_file}, nmport_register_fd, nmport_inject, nmport_extmem,
	nmport_extmem_getinfo, nmport_offset,
	{nmport_extmem_cleanup, nmport_extmem_from_file_cleanup}, nmport_disable_option,
	nmport_enable_option, nmreq_header_init, nmreq_header_decode, nmreq_register_decode,
	nmreq_options_decode, nmreq_get_mem_id, {nmreq_push_option, nmreq_remove_option},
	nmreq_find_option, nmreq_free_options, nmreq_option_name, nmctx_get, nmctx_set_default,
	nmctx_ferror, nmctx_malloc, nmctx_free, {nmctx_lock, nmctx_unlock}, nmctx_set_threadsafe};
